/*
 * data.c - the contents of files.
 *
 * A file is inline or in chunks (chunks.c), and its attributes say which.  A write
 * decides, chunk by chunk:
 *
 *     it covers all that the file has there    put the chunk, delete its fragments
 *     it covers a part                         put a fragment
 *     and just what an earlier fragment does   put that again, with the new bytes
 *     and is short, behind the last fragment   put that again, longer: grow
 *     and fragments lie over all of the chunk  delete what is below them, too
 *     the fragments become too many            read, merge, put the chunk: fold
 *
 * Sequential writes of 4 KiB and more are thus written once, and so are pages that a database
 * writes again and again; others of 4 KiB twice or less, and no write reads a chunk but the one
 * that folds.
 *
 * D1  An inline file grows out of its value in one step: from then on its id has every
 *     byte.  A file cut to DATA_INLINE_MAX or less goes back, and its id becomes an
 *     orphan.  So a file cut to nothing that grows again has a new id, and an id's chunks
 *     are never reused.
 * D2  No record reaches past the end of the file: a shrink rewrites the chunk it cuts.
 *     So what a file grows over reads as zeros.
 * D3  Records past the end are dead ones of a trim.  Growing over them finishes the trim
 *     first (sweep_finish_trims); therefore a chunk past the end need not be looked up.
 * D4  An id with chunks is named by one file record, or by one orphan record.  A file
 *     without names puts the orphan in the batch that gives it the id.
 * D5  A hole is a chunk that is absent, or blocks of zeros in one that has other blocks
 *     too: what was never written of it, or punched.  A chunk of nothing but zeros was
 *     written so.  Therefore SEEK_DATA reads two chunks at most; SEEK_HOLE, which would
 *     have to read all of a file without holes, looks into the first DATA_SEEK_CHUNKS
 *     only.
 */
#include "store/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/chunks.h"
#include "store/known_chunks.h"

#define PUNCH_ENTRIES 1024u /* in one batch of a punch */

/* ---- buffers ---- */

void
data_buffer_free(struct data_buffer *buffer)
{
    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->capacity = 0;
}

/* Room for `size` bytes; what was in it is lost. */
static int
buffer_reserve(struct data_buffer *buffer, size_t size)
{
    if (size <= buffer->capacity)
        return 0;
    size_t capacity = size > DATA_INLINE_MAX ? size : DATA_INLINE_MAX;
    uint8_t *bytes = malloc(capacity);
    if (!bytes)
        return -ENOMEM;
    free(buffer->bytes);
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 0;
}

/* ---- pieces: one chunk's part of a write ---- */

struct piece {
    uint64_t index;
    size_t at;   /* bytes into the chunk */
    size_t size; /* above 0 */
    const uint8_t *bytes;
    size_t visible; /* bytes that the file had of this chunk before; of a hole, 0 */
};

static size_t
visible_bytes(uint64_t size, uint64_t index)
{
    uint64_t start = index * CHUNK_SIZE;
    if (size <= start)
        return 0;
    return size - start < CHUNK_SIZE ? (size_t)(size - start) : CHUNK_SIZE;
}

/* The piece of [offset, end) in the chunk that `offset` is in. */
static struct piece
piece_at(uint64_t offset, uint64_t end, const uint8_t *bytes, uint64_t old_size)
{
    struct piece piece;
    piece.index = chunk_index(offset);
    piece.at = offset % CHUNK_SIZE;
    piece.size = end - offset < CHUNK_SIZE - piece.at ? (size_t)(end - offset)
                                                      : CHUNK_SIZE - piece.at;
    piece.bytes = bytes;
    piece.visible = visible_bytes(old_size, piece.index);
    return piece;
}

/* Lays the piece over the buffer, which holds the `visible` bytes of the chunk, and
 * returns the size of the result. */
static size_t
piece_merge(const struct piece *piece, uint8_t *chunk)
{
    size_t end = piece->at + piece->size;
    if (piece->at > piece->visible)
        memset(chunk + piece->visible, 0, piece->at - piece->visible);
    memcpy(chunk + piece->at, piece->bytes, piece->size);
    return end > piece->visible ? end : piece->visible;
}

static bool
piece_covers(const struct piece *piece)
{
    return piece->at == 0 && piece->size >= piece->visible;
}

/* The chunk is read with its fragments, merged with the piece, and put whole. */
static int
piece_fold(struct data_edit *edit, const struct piece *piece,
           const struct chunk_state *state)
{
    int result = buffer_reserve(edit->buffer, CHUNK_SIZE);
    if (result)
        return result;
    uint8_t *chunk = edit->buffer->bytes;
    if (piece->visible > 0)
        result = chunks_read(edit->store, NULL, edit->data.id, piece->index * CHUNK_SIZE,
                             chunk, piece->visible);
    if (result)
        return result;
    size_t size = piece_merge(piece, chunk);
    return chunks_put(edit->store, edit->batch, edit->data.id, piece->index, state, chunk,
                      size);
}

/* The last fragment grows by the piece, or the piece becomes a fragment. */
static int
piece_lay_over(struct data_edit *edit, const struct piece *piece,
               const struct chunk_state *state, struct chunk_state *after)
{
    uint64_t id = edit->data.id;
    int result = -ENOENT;
    if (chunks_would_grow(state, piece->at, piece->size))
        result = chunks_grow_fragment(edit->store, edit->batch, id, piece->index, state,
                                      piece->bytes, piece->size);
    if (result == -ENOMEM)
        return result;
    *after = *state;
    after->present = true;
    after->bare = state->bare || !state->present;
    after->fragment_bytes += (uint32_t)piece->size;
    if (result == 0) {
        after->extents[after->fragments - 1].size += (uint32_t)piece->size;
        return 0;
    }
    /* One that cannot be read does no harm (C3 of chunks.c): it stays as it is. */
    after->extents[after->fragments++] =
        (struct chunk_extent){(uint32_t)piece->at, (uint32_t)piece->size};
    return chunks_put_fragment(edit->store, edit->batch, id, piece->index, state,
                               piece->at, piece->bytes, piece->size);
}

/* It covers a part of the chunk. */
static int
piece_put(struct data_edit *edit, const struct piece *piece, struct chunk_state *state,
          struct chunk_state *after)
{
    struct store *store = edit->store;
    uint64_t id = edit->data.id;
    unsigned same;
    int result =
        chunks_place(store, id, piece->index, state, piece->at, piece->size, &same);
    if (result)
        return result;
    if (same == 0 && chunks_would_fold(state, piece->size))
        return piece_fold(edit, piece, state);
    if (same == 0) {
        result = piece_lay_over(edit, piece, state, after);
    } else {
        *after = *state;
        result = chunks_put_again(store, edit->batch, id, piece->index, state, same,
                                  piece->bytes);
    }
    return result ? result
                  : chunks_delete_covered(store, edit->batch, id, piece->index, after,
                                          piece->visible);
}

static int
piece_write(struct data_edit *edit, const struct piece *piece, struct chunk_state *state)
{
    struct chunk_state after = {.present = true};
    int result;
    if (!state->present)
        edit->data.chunks++;
    if (piece_covers(piece))
        result = chunks_put(edit->store, edit->batch, edit->data.id, piece->index, state,
                            piece->bytes, piece->size);
    else
        result = piece_put(edit, piece, state, &after);
    edit->put[edit->put_count++ % DATA_PUT_MAX] = (struct data_put){piece->index, after};
    return result;
}

/* ---- becoming chunks (D1) ---- */

/* Gives the file an id, with nothing in it yet. */
static int
become_chunks(struct data_edit *edit)
{
    uint64_t id;
    int result = store_new_data_id(edit->store, &id);
    if (result == 0 && edit->unlinked)
        result = sweep_orphan(edit->store, edit->batch, edit->dead, id, true);
    if (result)
        return result;
    edit->data.kind = ATTR_CHUNKS;
    edit->data.id = id;
    edit->data.chunks = 0;
    edit->value = lsmkv_bytes(NULL, 0);
    return 0;
}

/* Puts the chunks `from` to before `to` of `contents`. */
static int
put_chunks_of(struct data_edit *edit, struct lsmkv_slice contents, uint64_t from,
              uint64_t to)
{
    static const struct chunk_state absent;
    int result = 0;
    for (uint64_t i = from; result == 0 && i < to; i++) {
        const uint8_t *bytes = (const uint8_t *)contents.data + i * CHUNK_SIZE;
        size_t size = visible_bytes(contents.size, i);
        result =
            chunks_put(edit->store, edit->batch, edit->data.id, i, &absent, bytes, size);
        edit->data.chunks++;
    }
    return result;
}

/* A piece of a write to contents that are in memory. */
static int
piece_write_over(struct data_edit *edit, struct lsmkv_slice old,
                 const struct piece *piece)
{
    struct chunk_state absent = {0};
    if (piece->visible == 0 || piece_covers(piece))
        return piece_write(edit, piece, &absent);
    int result = buffer_reserve(edit->buffer, CHUNK_SIZE);
    if (result)
        return result;
    uint8_t *chunk = edit->buffer->bytes;
    memcpy(chunk, (const uint8_t *)old.data + piece->index * CHUNK_SIZE, piece->visible);
    edit->data.chunks++;
    size_t size = piece_merge(piece, chunk);
    return chunks_put(edit->store, edit->batch, edit->data.id, piece->index, &absent,
                      chunk, size);
}

/* An inline file becomes chunks with the write laid over it: one pass, each byte put
 * once. */
static int
write_out_of_line(struct data_edit *edit, uint64_t offset, const uint8_t *bytes,
                  size_t size)
{
    struct lsmkv_slice old = edit->value;
    uint64_t old_chunks = chunk_count(old.size), end = offset + size;
    uint64_t first = chunk_index(offset), next = chunk_count(end);
    int result = become_chunks(edit);
    if (result == 0)
        result = put_chunks_of(edit, old, 0, first < old_chunks ? first : old_chunks);
    for (uint64_t at = offset; result == 0 && at < end;) {
        struct piece piece = piece_at(at, end, bytes + (at - offset), old.size);
        result = piece_write_over(edit, old, &piece);
        at += piece.size;
    }
    if (result == 0 && next < old_chunks)
        result = put_chunks_of(edit, old, next, old_chunks);
    edit->data.size = end > old.size ? end : old.size;
    return result;
}

/* ---- writing ---- */

void
data_edit_begin(struct data_edit *edit, struct store *store, struct lsmkv_batch *batch,
                struct sweep_list *dead, struct data_buffer *buffer,
                const struct attr_data *data, struct lsmkv_slice value, bool unlinked)
{
    *edit = (struct data_edit){.store = store,
                               .batch = batch,
                               .dead = dead,
                               .buffer = buffer,
                               .data = *data,
                               .value = value,
                               .unlinked = unlinked};
    if (data->kind == ATTR_INLINE)
        edit->data.size = value.size;
    else
        edit->value = lsmkv_bytes(NULL, 0);
}

/* Writes to an inline file that stays one. */
static int
write_inline(struct data_edit *edit, uint64_t offset, const uint8_t *bytes, size_t size)
{
    struct lsmkv_slice old = edit->value;
    size_t end = (size_t)offset + size;
    size_t whole = end > old.size ? end : old.size;
    edit->data.size = whole;
    if (offset == 0 && size == whole) {
        edit->value = lsmkv_bytes(bytes, size);
        return 0;
    }
    int result = buffer_reserve(edit->buffer, whole);
    if (result)
        return result;
    uint8_t *contents = edit->buffer->bytes;
    if (old.size > 0)
        memcpy(contents, old.data, old.size);
    if (offset > old.size)
        memset(contents + old.size, 0, (size_t)offset - old.size);
    memcpy(contents + offset, bytes, size);
    edit->value = lsmkv_bytes(contents, whole);
    return 0;
}

/* What is stored of the chunk of a piece, if the file had bytes there.  `*iter`, NULL at first, goes
 * over the chunks from it up to `last`. */
static int
piece_look(struct data_edit *edit, const struct piece *piece, uint64_t last,
           struct lsmkv_iter **iter, struct chunk_state *state)
{
    uint64_t id = edit->data.id;
    int result = 0;
    *state = (struct chunk_state){0};
    if (known_chunks_take(edit->store->known_chunks, id, piece->index, state) ||
        piece->visible == 0)
        return 0;
    if (!*iter)
        result = chunks_iter(edit->store, NULL, id, piece->index, last, iter);
    return result ? result : chunks_probe(*iter, id, piece->index, state);
}

static int
write_chunks(struct data_edit *edit, uint64_t offset, const uint8_t *bytes, size_t size)
{
    uint64_t old_size = edit->data.size, end = offset + size;
    struct lsmkv_iter *iter = NULL;
    int result = 0;
    if (end > old_size)
        result = sweep_finish_trims(edit->store, edit->data.id, chunk_index(end - 1));
    for (uint64_t at = offset; result == 0 && at < end;) {
        struct piece piece = piece_at(at, end, bytes + (at - offset), old_size);
        struct chunk_state state;
        result = piece_look(edit, &piece, chunk_index(end - 1), &iter, &state);
        if (!state.present)
            piece.visible = 0;
        if (result == 0)
            result = piece_write(edit, &piece, &state);
        at += piece.size;
    }
    lsmkv_iter_free(iter);
    if (end > old_size)
        edit->data.size = end;
    return result;
}

int
data_write(struct data_edit *edit, uint64_t offset, const void *bytes, size_t size)
{
    if (offset > DATA_SIZE_MAX || size > DATA_SIZE_MAX - offset)
        return -EFBIG;
    if (size > DATA_WRITE_MAX)
        return -EINVAL;
    if (size == 0)
        return 0;
    if (edit->data.kind == ATTR_CHUNKS)
        return write_chunks(edit, offset, bytes, size);
    if (edit->value.size <= DATA_INLINE_MAX && offset + size <= DATA_INLINE_MAX)
        return write_inline(edit, offset, bytes, size);
    return write_out_of_line(edit, offset, bytes, size);
}

void
data_published(const struct data_edit *edit)
{
    for (unsigned i = 0; i < edit->put_count && i < DATA_PUT_MAX; i++)
        known_chunks_give(edit->store->known_chunks, edit->data.id, edit->put[i].index,
                          &edit->put[i].state);
}

/* ---- cutting and extending ---- */

static int
truncate_inline(struct data_edit *edit, uint64_t size)
{
    struct lsmkv_slice old = edit->value;
    edit->data.size = size;
    if (size <= old.size && size <= DATA_INLINE_MAX) {
        edit->value = lsmkv_bytes(old.data, (size_t)size);
        return 0;
    }
    if (size > DATA_INLINE_MAX) {
        size_t kept = old.size < size ? old.size : (size_t)size;
        int result = become_chunks(edit);
        return result ? result
                      : put_chunks_of(edit, lsmkv_bytes(old.data, kept), 0,
                                      chunk_count(kept));
    }
    int result = buffer_reserve(edit->buffer, (size_t)size);
    if (result)
        return result;
    uint8_t *contents = edit->buffer->bytes;
    if (old.size > 0)
        memcpy(contents, old.data, old.size);
    memset(contents + old.size, 0, (size_t)size - old.size);
    edit->value = lsmkv_bytes(contents, (size_t)size);
    return 0;
}

/* What is left of a large file becomes inline, and its id an orphan (D1). */
static int
become_inline(struct data_edit *edit, uint64_t size)
{
    int result = buffer_reserve(edit->buffer, DATA_INLINE_MAX);
    if (result == 0 && size > 0)
        result = chunks_read(edit->store, NULL, edit->data.id, 0, edit->buffer->bytes,
                             (size_t)size);
    if (result == 0)
        result = sweep_orphan(edit->store, edit->batch, edit->dead, edit->data.id, false);
    edit->data = (struct attr_data){ATTR_INLINE, size, 0, 0};
    edit->value = lsmkv_bytes(edit->buffer->bytes, (size_t)size);
    return result;
}

static int
probe_chunk(const struct data_edit *edit, uint64_t index, struct chunk_state *state)
{
    uint64_t id = edit->data.id;
    struct lsmkv_iter *iter;
    int result = chunks_iter(edit->store, NULL, id, index, index, &iter);
    if (result)
        return result;
    result = chunks_probe(iter, id, index, state);
    lsmkv_iter_free(iter);
    return result;
}

/* Rewrites chunk `index` with its first `size` bytes alone (D2). */
static int
cut_chunk(struct data_edit *edit, uint64_t index, size_t size)
{
    struct chunk_state state;
    uint64_t id = edit->data.id;
    int result = probe_chunk(edit, index, &state);
    if (result || !state.present)
        return result;
    result = buffer_reserve(edit->buffer, CHUNK_SIZE);
    if (result)
        return result;
    uint8_t *chunk = edit->buffer->bytes;
    result = chunks_read(edit->store, NULL, id, index * CHUNK_SIZE, chunk, size);
    return result ? result
                  : chunks_put(edit->store, edit->batch, id, index, &state, chunk, size);
}

static int
shrink_chunks(struct data_edit *edit, uint64_t size)
{
    struct attr_data *data = &edit->data;
    uint64_t first_dead = chunk_count(size), old_chunks = chunk_count(data->size);
    int result = 0;
    if (size % CHUNK_SIZE > 0)
        result = cut_chunk(edit, first_dead - 1, size % CHUNK_SIZE);
    if (result == 0 && first_dead < old_chunks)
        result = sweep_trim(edit->store, edit->batch, edit->dead, data->id, first_dead);
    data->size = size;
    if (data->chunks > first_dead)
        data->chunks = first_dead;
    return result;
}

int
data_truncate(struct data_edit *edit, uint64_t size)
{
    if (size > DATA_SIZE_MAX)
        return -EFBIG;
    if (size == edit->data.size)
        return 0;
    /* Cutting is how a full filesystem gets room. */
    int result = size < edit->data.size ? store_let_through(edit->store, edit->batch) : 0;
    if (result)
        return result;
    if (edit->data.kind != ATTR_CHUNKS)
        return truncate_inline(edit, size);
    known_chunks_forget(edit->store->known_chunks, edit->data.id,
                        chunk_count(edit->data.size));
    if (size <= DATA_INLINE_MAX)
        return become_inline(edit, size);
    if (size < edit->data.size)
        return shrink_chunks(edit, size);
    edit->data.size = size;
    return sweep_finish_trims(edit->store, edit->data.id, chunk_index(size - 1));
}

int
data_remove(struct data_edit *edit, bool held)
{
    if (edit->data.kind != ATTR_CHUNKS)
        return 0;
    return sweep_orphan(edit->store, edit->batch, edit->dead, edit->data.id, held);
}

/* ---- punching ---- */

static int
punch_inline(struct data_edit *edit, uint64_t offset, uint64_t end)
{
    size_t size = edit->value.size;
    /* Another value may be large: its buffer is not kept. */
    struct data_buffer large = {0};
    struct data_buffer *buffer = size > CHUNK_SIZE ? &large : edit->buffer;
    int result = buffer_reserve(buffer, size);
    if (result)
        return result;
    memcpy(buffer->bytes, edit->value.data, size);
    memset(buffer->bytes + offset, 0, (size_t)(end - offset));
    edit->value = lsmkv_bytes(buffer->bytes, size);
    if (size > DATA_INLINE_MAX) {
        struct lsmkv_slice contents = edit->value;
        result = become_chunks(edit);
        if (result == 0)
            result = put_chunks_of(edit, contents, 0, chunk_count(size));
    }
    data_buffer_free(&large);
    return result;
}

/* Zeros a part of a chunk: as a fold does, without new bytes. */
static int
punch_part(struct data_edit *edit, uint64_t index, size_t from, size_t to, size_t visible)
{
    struct chunk_state state;
    int result = probe_chunk(edit, index, &state);
    if (result || !state.present)
        return result;
    result = buffer_reserve(edit->buffer, CHUNK_SIZE);
    if (result)
        return result;
    uint8_t *chunk = edit->buffer->bytes;
    result =
        chunks_read(edit->store, NULL, edit->data.id, index * CHUNK_SIZE, chunk, visible);
    if (result)
        return result;
    memset(chunk + from, 0, to - from);
    return chunks_put(edit->store, edit->batch, edit->data.id, index, &state, chunk,
                      visible);
}

/* Deletes the chunks `first` to `last`; `*next` is the first it did not come to. */
static int
punch_whole(struct data_edit *edit, uint64_t first, uint64_t last, uint64_t *next)
{
    struct lsmkv_iter *iter;
    uint64_t index, previous = UINT64_MAX;
    int result = chunks_iter(edit->store, NULL, edit->data.id, first, last, &iter);
    if (result)
        return result;
    *next = last + 1;
    for (lsmkv_iter_first(iter); (result = chunks_at(iter, &index)) == 0;
         lsmkv_iter_next(iter)) {
        if (index != previous && lsmkv_batch_count(edit->batch) >= PUNCH_ENTRIES) {
            *next = index;
            break;
        }
        result =
            lsmkv_batch_delete(edit->batch, edit->store->chunks, lsmkv_iter_key(iter));
        if (result)
            break;
        if (index != previous && edit->data.chunks > 0)
            edit->data.chunks--;
        previous = index;
    }
    lsmkv_iter_free(iter);
    return result == -ENOENT ? 0 : result;
}

/* The first chunk in part or, from its start, as many whole ones as a batch should
 * hold. */
static int
punch_chunks(struct data_edit *edit, uint64_t offset, uint64_t end, uint64_t *done)
{
    uint64_t size = edit->data.size, index = chunk_index(offset), next = index;
    size_t visible = visible_bytes(size, index), from = offset % CHUNK_SIZE;
    uint64_t chunk_end = index * CHUNK_SIZE + visible;
    *done = end < chunk_end ? end : chunk_end;
    if (from > 0 || *done < chunk_end)
        return punch_part(edit, index, from, from + (size_t)(*done - offset), visible);
    uint64_t last = end == size ? chunk_index(end - 1) : chunk_index(end) - 1;
    int result = punch_whole(edit, index, last, &next);
    *done = next * CHUNK_SIZE < end ? next * CHUNK_SIZE : end;
    return result;
}

int
data_punch(struct data_edit *edit, uint64_t offset, uint64_t end, uint64_t *done)
{
    uint64_t stop = end < edit->data.size ? end : edit->data.size;
    int result = 0;
    *done = end;
    if (offset >= stop)
        return 0;
    if (edit->data.kind != ATTR_CHUNKS)
        return punch_inline(edit, offset, stop);
    known_chunks_forget(edit->store->known_chunks, edit->data.id,
                        chunk_count(edit->data.size));
    uint64_t reached;
    result = punch_chunks(edit, offset, stop, &reached);
    if (result == 0 && reached < stop)
        *done = reached;
    return result;
}

/* ---- the record ---- */

int
data_edit_put(struct data_edit *edit, struct lsmkv_keyspace *keyspace,
              struct lsmkv_slice key, const struct attr *attr)
{
    uint8_t small[ATTR_BUFFER], *bytes = small;
    struct attr changed = *attr;
    changed.data = edit->data;
    size_t size = attr_encoded_size(&changed);
    if (size > LSMKV_ATTRIBUTES_MAX)
        return -E2BIG;
    if (size > sizeof small && !(bytes = malloc(size)))
        return -ENOMEM;
    attr_encode(&changed, bytes);
    int result = lsmkv_batch_put(edit->batch, keyspace, key, lsmkv_bytes(bytes, size),
                                 edit->value);
    if (bytes != small)
        free(bytes);
    return result;
}

/* ---- reading ---- */

int
data_read(struct store *store, const struct lsmkv_snapshot *snapshot,
          const struct attr_data *data, struct lsmkv_slice value, uint64_t offset,
          void *bytes, size_t size, size_t *got)
{
    bool chunks = data->kind == ATTR_CHUNKS;
    uint64_t whole = chunks ? data->size : value.size;
    *got = 0;
    if (offset >= whole || size == 0)
        return 0;
    if (size > whole - offset)
        size = (size_t)(whole - offset);
    int result = 0;
    if (chunks)
        result = chunks_read(store, snapshot, data->id, offset, bytes, size);
    else
        memcpy(bytes, (const uint8_t *)value.data + offset, size);
    if (result == 0)
        *got = size;
    return result;
}

/* The first hole at or after chunk `index` as a chunk number, not past `count`. */
static int
seek_hole(struct lsmkv_iter *iter, uint64_t index, uint64_t count, uint64_t *hole)
{
    uint64_t at;
    int result;
    *hole = index;
    for (lsmkv_iter_first(iter); (result = chunks_at(iter, &at)) == 0;
         lsmkv_iter_next(iter)) {
        if (at > *hole)
            break;
        *hole = at + 1;
    }
    if (*hole > count)
        *hole = count;
    return result == -ENOENT ? 0 : result;
}

static int
seek_chunks(struct store *store, const struct lsmkv_snapshot *snapshot,
            const struct attr_data *data, uint64_t offset, bool hole, uint64_t *chunk)
{
    uint64_t count = chunk_count(data->size), index = chunk_index(offset);
    struct lsmkv_iter *iter;
    int result = chunks_iter(store, snapshot, data->id, index, count - 1, &iter);
    if (result)
        return result;
    if (hole) {
        result = seek_hole(iter, index, count, chunk);
    } else {
        lsmkv_iter_first(iter);
        result = chunks_at(iter, chunk);
    }
    lsmkv_iter_free(iter);
    return result == -ENOENT ? -ENXIO : result;
}

static bool
is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* In the chunk of `from`, the first block from there on that is a hole, or that is not:
 * one of zeros is, if the chunk has others.  -ENOENT: there is none. */
static int
seek_inside(struct store *store, const struct lsmkv_snapshot *snapshot,
            const struct attr_data *data, uint64_t from, bool hole,
            struct data_buffer *buffer, uint64_t *found)
{
    uint64_t start = chunk_index(from) * CHUNK_SIZE, at = from - from % DATA_BLOCK;
    size_t size =
        data->size - start < CHUNK_SIZE ? (size_t)(data->size - start) : CHUNK_SIZE;
    int result = buffer_reserve(buffer, CHUNK_SIZE);
    if (result == 0)
        result = chunks_read(store, snapshot, data->id, start, buffer->bytes, size);
    if (result)
        return result;
    bool zeros_are_data = is_zero(buffer->bytes, size);
    for (; at < start + size; at += DATA_BLOCK) {
        size_t left = (size_t)(start + size - at);
        bool zeros =
            is_zero(buffer->bytes + (at - start), left < DATA_BLOCK ? left : DATA_BLOCK);
        if ((zeros && !zeros_are_data) == hole) {
            *found = at > from ? at : from;
            return 0;
        }
    }
    return -ENOENT;
}

/* D5 */
static int
seek_blocks(struct store *store, const struct lsmkv_snapshot *snapshot,
            const struct attr_data *data, uint64_t offset, bool hole,
            struct data_buffer *buffer, uint64_t *found)
{
    uint64_t chunk, start, at = offset;
    int result = seek_chunks(store, snapshot, data, offset, hole, &chunk);
    for (unsigned looked = 0; result == 0; looked++) {
        start = chunk * CHUNK_SIZE;
        start = start > at ? start : at;
        *found = start < data->size ? start : data->size;
        if (hole && (at >= *found || looked == DATA_SEEK_CHUNKS))
            return 0;
        if (!hole)
            at = start;
        result = seek_inside(store, snapshot, data, at, hole, buffer, found);
        if (result != -ENOENT)
            return result;
        at = (chunk_index(at) + 1) * CHUNK_SIZE;
        if (!hole)
            result = at < data->size
                         ? seek_chunks(store, snapshot, data, at, false, &chunk)
                         : -ENXIO;
        else
            result = 0;
    }
    return result;
}

int
data_seek(struct store *store, const struct lsmkv_snapshot *snapshot,
          const struct attr_data *data, uint64_t offset, int whence, uint64_t *found)
{
    bool hole = whence == SEEK_HOLE;
    struct data_buffer buffer = {0};
    if (offset >= data->size)
        return -ENXIO;
    *found = hole ? data->size : offset;
    if (data->kind != ATTR_CHUNKS)
        return 0;
    int result = seek_blocks(store, snapshot, data, offset, hole, &buffer, found);
    data_buffer_free(&buffer);
    return result;
}
