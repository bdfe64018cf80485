/*
 * chunks.c - the contents of a large file: chunks, and fragments lying over them.
 *
 * A record (data id, index, 0) is a chunk: its value is the file's bytes from index *
 * CHUNK_SIZE on, at most CHUNK_SIZE of them; a shorter one reads as zeros behind its end.
 * A record (data id, index, n) for n = 1, 2, ... is a fragment: a later write to a part
 * of the chunk.  A chunk may be there as fragments alone, over zeros, or because they have
 * come to cover it (C4).  With neither it is a hole.
 *
 *     attributes of a fragment   offset  size  field
 *                                     0     4  at       bytes into the chunk
 *                                     4     4  total    bytes in this fragment and earlier ones
 *     a chunk has none; "lost" stands there if a repair did not find it.
 *
 * Keys sort as the file does and, within a chunk, as the writes did, so one forward scan
 * reads; the last key of a chunk tells all that a write must know of it, without any
 * value.
 *
 * C1  The fragments of a chunk are numbered from 1 without a gap: whoever puts the chunk
 *     deletes them all in the same batch.  Of a fragment that was put again, longer or with
 *     other bytes at the same place, the newest version counts: no later one lay over it.
 * C2  No record of a chunk reaches past its end, nor past the end of the file (data.c):
 *     what a file grows over was never written.
 * C3  What cannot be read of a record does no harm where nothing of it is wanted, or a
 *     later fragment lies over all that is wanted of the chunk: a page that was written over a
 *     damaged one is read back.
 * C4  The chunk itself is deleted in the batch of the fragment that covers what was left of
 *     it, where that is known.  So what is written over in pages takes its place on the disk
 *     once, not beside what it was.
 */
#include "store/chunks.h"

#include <errno.h>
#include <string.h>

#include "common/coding.h"
#include "common/slice.h"
#include "store/known_chunks.h"
#include "store/records.h"

#define FRAGMENT_ATTRIBUTES 8u
#define LOST                "lost"

struct fragment {
    uint32_t at, total;
};

static int
iter_between(struct store *store, const struct lsmkv_snapshot *snapshot,
             struct lsmkv_slice lower, struct lsmkv_slice upper, struct lsmkv_iter **iter)
{
    struct lsmkv_iter_options options = {
        .snapshot = snapshot, .lower = lower, .upper = upper, .lazy_values = true};
    if (!store->chunks)
        return -EUCLEAN;
    return lsmkv_iter_new(store->db, store->chunks, &options, iter);
}

int
chunks_iter(struct store *store, const struct lsmkv_snapshot *snapshot, uint64_t data_id,
            uint64_t first, uint64_t last, struct lsmkv_iter **iter)
{
    struct chunk_key lower = chunk_key(data_id, first, 0);
    struct chunk_key upper = chunk_key(data_id, last < UINT64_MAX ? last + 1 : last, 0);
    struct lsmkv_slice end = chunk_slice(&upper);
    /* Without the fragment's number the bound is as short as what the engine knows of the
     * block that begins there, which then is not read. */
    if (last < UINT32_MAX)
        end.size--;
    return iter_between(store, snapshot, chunk_slice(&lower), end, iter);
}

/* The key the iterator stands on; -ENOENT at its end. */
static int
current_key(struct lsmkv_iter *iter, uint64_t *index, unsigned *fragment)
{
    uint64_t data_id;
    if (!lsmkv_iter_valid(iter)) {
        int result = lsmkv_iter_status(iter);
        return result ? result : -ENOENT;
    }
    return chunk_key_decode(lsmkv_iter_key(iter), &data_id, index, fragment) ? 0
                                                                             : -EUCLEAN;
}

int
chunks_at(struct lsmkv_iter *iter, uint64_t *index)
{
    unsigned fragment;
    return current_key(iter, index, &fragment);
}

/* A fragment's attributes, checked against its chunk (C2). */
static int
fragment_decode(const struct lsmkv_record *record, struct fragment *fragment)
{
    if (record->attributes.size != FRAGMENT_ATTRIBUTES)
        return -EUCLEAN;
    fragment->at = get_le32(record->attributes.data);
    fragment->total = get_le32((const uint8_t *)record->attributes.data + 4);
    if (fragment->at > CHUNK_SIZE || record->value.size > CHUNK_SIZE - fragment->at)
        return -EUCLEAN;
    return 0;
}

int
chunks_record_decode(const struct lsmkv_record *record, unsigned number, uint32_t *end,
                     uint32_t *total)
{
    struct fragment fragment = {0};
    int result = 0;
    if (number > 0)
        result = fragment_decode(record, &fragment);
    else if (record->attributes.size > 0 || record->value.size > CHUNK_SIZE)
        result = -EUCLEAN;
    *end = fragment.at + (uint32_t)record->value.size;
    *total = fragment.total;
    return result;
}

bool
chunks_is_lost(const struct lsmkv_record *record, unsigned fragment)
{
    return fragment == 0 && record->value.size == 0 && slice_is(record->attributes, LOST);
}

int
chunks_put_lost(struct store *store, struct lsmkv_batch *batch, uint64_t data_id,
                uint64_t index)
{
    struct chunk_key key = chunk_key(data_id, index, 0);
    return lsmkv_batch_put(batch, store->chunks, chunk_slice(&key), lsmkv_str(LOST),
                           lsmkv_bytes(NULL, 0));
}

int
chunks_probe(struct lsmkv_iter *iter, uint64_t data_id, uint64_t index,
             struct chunk_state *state)
{
    struct chunk_key last = chunk_key(data_id, index, UINT8_MAX);
    struct fragment fragment = {0};
    uint64_t found;
    memset(state, 0, sizeof *state);
    lsmkv_iter_seek_before(iter, chunk_slice(&last));
    int result = current_key(iter, &found, &state->fragments);
    if (result == -ENOENT || (result == 0 && found != index)) {
        state->fragments = 0;
        return 0;
    }
    if (result)
        return result;
    state->present = true;
    if (state->fragments == 0)
        return 0;
    result = fragment_decode(lsmkv_iter_record(iter), &fragment);
    state->fragment_bytes = fragment.total;
    if (state->fragments < CHUNK_FRAGMENTS_MAX)
        state->extents[state->fragments - 1] = (struct chunk_extent){
            fragment.at, (uint32_t)lsmkv_iter_record(iter)->value.size};
    return result;
}

int
chunks_note(struct chunk_state *state, const struct lsmkv_record *record, unsigned number)
{
    struct fragment fragment = {0};
    if (number == 0)
        return 0;
    if (number != state->fragments + 1 || number >= CHUNK_FRAGMENTS_MAX ||
        fragment_decode(record, &fragment) ||
        fragment.total != state->fragment_bytes + record->value.size) {
        memset(state, 0, sizeof *state);
        return -EUCLEAN;
    }
    state->extents[state->fragments++] =
        (struct chunk_extent){fragment.at, (uint32_t)record->value.size};
    state->fragment_bytes = fragment.total;
    return 0;
}

/* ---- reading ---- */

/* What is wanted of a file, and how far it has been filled. */
struct reading {
    uint64_t offset, end;
    uint8_t *bytes;
    uint64_t
        filled; /* up to this offset the chunks (not yet all fragments) are in place */
    uint64_t index; /* of the chunk at hand */
    int bad;        /* why what is wanted of it is not known, or 0 (C3) */
};

static void
fill_zeros(struct reading *reading, uint64_t to)
{
    if (to > reading->end)
        to = reading->end;
    if (to <= reading->filled)
        return;
    memset(reading->bytes + (reading->filled - reading->offset), 0, to - reading->filled);
    reading->filled = to;
}

/* Reads those of the bytes of the iterator's record, at file offset `at`, that are wanted. */
static int
overlay(struct reading *reading, uint64_t at, struct lsmkv_iter *iter)
{
    uint64_t end = at + lsmkv_iter_record(iter)->value.size;
    uint64_t from = at > reading->offset ? at : reading->offset;
    uint64_t to = end < reading->end ? end : reading->end;
    if (from >= to)
        return 0;
    return lsmkv_iter_value_copy(iter, from - at, to - from,
                                 reading->bytes + (from - reading->offset));
}

static int
read_record(struct reading *reading, uint64_t index, unsigned number,
            struct lsmkv_iter *iter)
{
    const struct lsmkv_record *record = lsmkv_iter_record(iter);
    uint64_t start = index * CHUNK_SIZE;
    struct fragment fragment;
    fill_zeros(reading, start);
    if (number > 0) {
        int result = fragment_decode(record, &fragment);
        if (result)
            return result;
        fill_zeros(reading, start + CHUNK_SIZE);
        return overlay(reading, start + fragment.at, iter);
    }
    if (record->value.size > CHUNK_SIZE || record->attributes.size > 0)
        return -EUCLEAN;
    int result = overlay(reading, start, iter);
    uint64_t end = start + record->value.size;
    if (result == 0 && end > reading->filled)
        reading->filled = end < reading->end ? end : reading->end;
    return result;
}

/* Is it a fragment, over all that is wanted of its chunk? */
static bool
covers(const struct reading *reading, uint64_t index, unsigned number,
       const struct lsmkv_record *record)
{
    uint64_t start = index * CHUNK_SIZE, end = start + CHUNK_SIZE;
    struct fragment fragment;
    if (number == 0 || fragment_decode(record, &fragment))
        return false;
    uint64_t at = start + fragment.at;
    return at <= (reading->offset > start ? reading->offset : start) &&
           at + record->value.size >= (reading->end < end ? reading->end : end);
}

/* The record that the iterator stands on. */
static int
read_next(struct reading *reading, uint64_t index, unsigned fragment,
          struct lsmkv_iter *iter)
{
    if (reading->bad && index != reading->index)
        return reading->bad;
    reading->index = index;
    if (reading->bad && !covers(reading, index, fragment, lsmkv_iter_record(iter)))
        return 0;
    reading->bad = read_record(reading, index, fragment, iter);
    return 0;
}

static bool
extents_meet(const struct chunk_extent *a, const struct chunk_extent *b)
{
    return a->at < b->at + b->size && b->at < a->at + a->size;
}

/* Of the records of a chunk, numbered as fragments are, those from `*first` to `*last` have all that
 * is wanted of it. */
static void
find_wanted(const struct chunk_state *state, const struct chunk_extent *wanted,
            unsigned *first, unsigned *last)
{
    *first = *last = 0;
    for (unsigned number = state->fragments; number > 0; number--) {
        const struct chunk_extent *extent = &state->extents[number - 1];
        if (extent->size > 0 && !extents_meet(extent, wanted))
            continue;
        if (*last == 0)
            *last = number;
        if (extent->at <= wanted->at &&
            extent->at + extent->size >= wanted->at + wanted->size) {
            *first = number;
            return;
        }
    }
}

/* Over the records that a read has to see: of one chunk that is known, those alone that have
 * something that is wanted. */
static int
reading_iter(struct store *store, const struct lsmkv_snapshot *snapshot, uint64_t data_id,
             const struct reading *reading, struct lsmkv_iter **iter)
{
    uint64_t index = chunk_index(reading->offset),
             last_index = chunk_index(reading->end - 1);
    struct chunk_extent wanted = {(uint32_t)(reading->offset % CHUNK_SIZE),
                                  (uint32_t)(reading->end - reading->offset)};
    struct chunk_state state;
    unsigned first, last;
    if (snapshot || index != last_index ||
        !known_chunks_look(store->known_chunks, data_id, index, &state))
        return chunks_iter(store, snapshot, data_id, index, last_index, iter);
    find_wanted(&state, &wanted, &first, &last);
    struct chunk_key lower = chunk_key(data_id, index, first);
    struct chunk_key upper = chunk_key(data_id, index, last + 1);
    return iter_between(store, NULL, chunk_slice(&lower), chunk_slice(&upper), iter);
}

int
chunks_read(struct store *store, const struct lsmkv_snapshot *snapshot, uint64_t data_id,
            uint64_t offset, uint8_t *bytes, size_t size)
{
    struct reading reading = {
        .offset = offset, .end = offset + size, .bytes = bytes, .filled = offset};
    struct lsmkv_iter *iter;
    int result = reading_iter(store, snapshot, data_id, &reading, &iter);
    if (result)
        return result;
    uint64_t index;
    unsigned fragment;
    for (lsmkv_iter_first(iter); (result = current_key(iter, &index, &fragment)) == 0;
         lsmkv_iter_next(iter)) {
        result = read_next(&reading, index, fragment, iter);
        if (result)
            break;
    }
    lsmkv_iter_free(iter);
    if (result != -ENOENT)
        return result;
    if (reading.bad)
        return reading.bad;
    fill_zeros(&reading, reading.end);
    return 0;
}

/* ---- writing ---- */

int
chunks_put(struct store *store, struct lsmkv_batch *batch, uint64_t data_id,
           uint64_t index, const struct chunk_state *state, const void *bytes,
           size_t size)
{
    struct chunk_key key = chunk_key(data_id, index, 0);
    int result = lsmkv_batch_put(batch, store->chunks, chunk_slice(&key),
                                 lsmkv_bytes(NULL, 0), lsmkv_bytes(bytes, size));
    for (unsigned i = 1; result == 0 && i <= state->fragments; i++) {
        key = chunk_key(data_id, index, i);
        result = lsmkv_batch_delete(batch, store->chunks, chunk_slice(&key));
    }
    return result;
}

bool
chunks_covered(const struct chunk_state *state, size_t size)
{
    size_t reached = 0;
    if (state->fragment_bytes < size)
        return false;
    for (unsigned i = 0; i < state->fragments && reached < size;) {
        const struct chunk_extent *extent = &state->extents[i++];
        if (extent->at > reached || extent->at + extent->size <= reached)
            continue;
        reached = extent->at + extent->size;
        i = 0;
    }
    return reached >= size;
}

int
chunks_delete_covered(struct store *store, struct lsmkv_batch *batch, uint64_t data_id,
                      uint64_t index, struct chunk_state *state, size_t size)
{
    struct chunk_key key = chunk_key(data_id, index, 0);
    if (state->bare || !chunks_covered(state, size))
        return 0;
    state->bare = true;
    return lsmkv_batch_delete(batch, store->chunks, chunk_slice(&key));
}

/* The fragment that lies just there, if no later one lies over any of it; else 0. */
static unsigned
same_place(const struct chunk_state *state, size_t at, size_t size)
{
    struct chunk_extent place = {(uint32_t)at, (uint32_t)size};
    if (state->fragments >= CHUNK_FRAGMENTS_MAX)
        return 0;
    for (unsigned number = state->fragments; number > 0; number--) {
        const struct chunk_extent *extent = &state->extents[number - 1];
        if (extent->at == at && extent->size == size)
            return number;
        if (extent->size == 0 || extents_meet(extent, &place))
            return 0;
    }
    return 0;
}

bool
chunks_would_fold(const struct chunk_state *state, size_t size)
{
    return state->fragments + 1 >= CHUNK_FRAGMENTS_MAX ||
           state->fragment_bytes + size > CHUNK_SIZE;
}

/* Where all fragments of the chunk lie, looked up if `state` does not have it.  Of what is damaged it
 * stays unknown: the chunk will fold. */
static int
learn_fragments(struct store *store, uint64_t data_id, uint64_t index,
                struct chunk_state *state)
{
    struct chunk_state learned = {.present = true, .bare = true};
    struct lsmkv_iter *iter;
    unsigned number, known = 0;
    uint64_t found;
    while (known < state->fragments && known < CHUNK_FRAGMENTS_MAX - 1 &&
           state->extents[known].size > 0)
        known++;
    if (known == state->fragments)
        return 0;
    int result = chunks_iter(store, NULL, data_id, index, index, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); (result = current_key(iter, &found, &number)) == 0;
         lsmkv_iter_next(iter)) {
        learned.bare = learned.bare && number > 0;
        result = chunks_note(&learned, lsmkv_iter_record(iter), number);
        if (result)
            break;
    }
    lsmkv_iter_free(iter);
    if (result == -ENOENT)
        *state = learned;
    return result == -ENOENT || result == -EUCLEAN ? 0 : result;
}

int
chunks_place(struct store *store, uint64_t data_id, uint64_t index,
             struct chunk_state *state, size_t at, size_t size, unsigned *number)
{
    *number = same_place(state, at, size);
    if (*number > 0 || !chunks_would_fold(state, size + 1))
        return 0;
    int result = learn_fragments(store, data_id, index, state);
    *number = same_place(state, at, size);
    return result;
}

bool
chunks_would_grow(const struct chunk_state *state, size_t at, size_t size)
{
    if (state->fragments == 0)
        return false;
    const struct chunk_extent *last = &state->extents[state->fragments - 1];
    return last->size > 0 && at == last->at + last->size &&
           last->size + size <= CHUNK_GROWN_MAX;
}

static int
put_fragment(struct store *store, struct lsmkv_batch *batch, struct lsmkv_slice key,
             size_t at, uint32_t total, struct lsmkv_slice bytes)
{
    uint8_t attributes[FRAGMENT_ATTRIBUTES];
    put_le32(put_le32(attributes, (uint32_t)at), total);
    return lsmkv_batch_put(batch, store->chunks, key,
                           lsmkv_bytes(attributes, sizeof attributes), bytes);
}

int
chunks_put_fragment(struct store *store, struct lsmkv_batch *batch, uint64_t data_id,
                    uint64_t index, const struct chunk_state *state, size_t at,
                    const void *bytes, size_t size)
{
    struct chunk_key key = chunk_key(data_id, index, state->fragments + 1);
    return put_fragment(store, batch, chunk_slice(&key), at,
                        state->fragment_bytes + (uint32_t)size, lsmkv_bytes(bytes, size));
}

int
chunks_put_again(struct store *store, struct lsmkv_batch *batch, uint64_t data_id,
                 uint64_t index, const struct chunk_state *state, unsigned number,
                 const void *bytes)
{
    struct chunk_key key = chunk_key(data_id, index, number);
    struct chunk_extent extent = state->extents[number - 1];
    uint32_t total = state->fragment_bytes;
    for (unsigned later = number; later < state->fragments; later++)
        total -= state->extents[later].size;
    return put_fragment(store, batch, chunk_slice(&key), extent.at, total,
                        lsmkv_bytes(bytes, extent.size));
}

int
chunks_grow_fragment(struct store *store, struct lsmkv_batch *batch, uint64_t data_id,
                     uint64_t index, const struct chunk_state *state, const void *bytes,
                     size_t size)
{
    struct chunk_key key = chunk_key(data_id, index, state->fragments);
    struct chunk_extent last = state->extents[state->fragments - 1];
    uint8_t stored[FRAGMENT_ATTRIBUTES + CHUNK_GROWN_MAX];
    struct lsmkv_record record;
    int result = lsmkv_get(store->db, store->chunks, NULL, chunk_slice(&key), stored,
                           sizeof stored, &record);
    if (result)
        return result;
    if (record.attributes.size != FRAGMENT_ATTRIBUTES || record.value.size != last.size)
        return -EUCLEAN;
    uint8_t *value = stored + FRAGMENT_ATTRIBUTES;
    memcpy(value + record.value.size, bytes, size);
    return put_fragment(store, batch, chunk_slice(&key), last.at,
                        state->fragment_bytes + (uint32_t)size,
                        lsmkv_bytes(value, record.value.size + size));
}
