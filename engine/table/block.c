/* block.c - prefix-compressed blocks: builder and cursor; the format stands in
 * block.h. */
#include "table/block.h"

#include <errno.h>
#include <string.h>

#include "base/coding.h"

#define ENTRY_HEAD_MAX   (3u * VARINT32_MAX)
#define INTERNAL_KEY_MAX (LSMKV_KEY_MAX + KEY_TRAILER_SIZE)
#define COPIED_AT_ONCE   16u /* bytes of a key that cost no call */

static struct lsmkv_slice
slice_from(struct lsmkv_slice slice, size_t begin)
{
    return lsmkv_bytes((const uint8_t *)slice.data + begin, slice.size - begin);
}

/* ---- building ---- */

void
block_builder_fini(struct block_builder *builder)
{
    keybuf_fini(&builder->data);
    keybuf_fini(&builder->restarts);
    keybuf_fini(&builder->last);
}

void
block_builder_clear(struct block_builder *builder)
{
    builder->data.size = 0;
    builder->restarts.size = 0;
    builder->last.size = 0;
    builder->entries = 0;
}

static size_t
shared_prefix(const struct keybuf *last, struct lsmkv_slice key)
{
    const uint8_t *bytes = key.data;
    size_t limit = last->size < key.size ? last->size : key.size;
    size_t shared = 0;

    while (shared < limit && last->data[shared] == bytes[shared])
        shared++;
    return shared;
}

static int
append_u32(struct keybuf *buf, uint32_t value)
{
    uint8_t bytes[4];

    put_u32(bytes, value);
    return keybuf_append(buf, lsmkv_bytes(bytes, sizeof(bytes)));
}

int
block_builder_add(struct block_builder *builder, struct lsmkv_slice key,
                  struct lsmkv_slice payload)
{
    uint8_t head[ENTRY_HEAD_MAX];
    uint8_t *end;
    size_t shared = 0;
    int result = 0;

    if (builder->entries % BLOCK_RESTART_INTERVAL != 0)
        shared = shared_prefix(&builder->last, key);
    else
        result = append_u32(&builder->restarts, (uint32_t)builder->data.size);

    end = put_varint(head, shared);
    end = put_varint(end, key.size - shared);
    end = put_varint(end, payload.size);
    if (result == 0)
        result = keybuf_append(&builder->data, lsmkv_bytes(head, (size_t)(end - head)));
    if (result == 0)
        result = keybuf_append(&builder->data, slice_from(key, shared));
    if (result == 0)
        result = keybuf_append(&builder->data, payload);
    if (result == 0)
        result = keybuf_set(&builder->last, key);
    if (result == 0)
        builder->entries++;
    return result;
}

size_t
block_builder_size(const struct block_builder *builder)
{
    return builder->data.size + builder->restarts.size + 4;
}

int
block_builder_finish(struct block_builder *builder)
{
    int result = keybuf_append(&builder->data, keybuf_slice(&builder->restarts));

    if (result == 0)
        result = append_u32(&builder->data, (uint32_t)(builder->restarts.size / 4));
    return result;
}

/* ---- reading ---- */

int
block_iter_set(struct block_iter *it, enum lsmkv_order order, struct lsmkv_slice contents)
{
    const uint8_t *data = contents.data;
    size_t restarts;

    it->valid = false;
    it->status = 0;
    if (contents.size < 4)
        return -EUCLEAN;
    restarts = get_u32(data + contents.size - 4);
    if (restarts == 0 || restarts > (contents.size - 4) / 4)
        return -EUCLEAN;
    it->order = order;
    it->data = data;
    it->restarts = restarts;
    it->entries_end = contents.size - 4 - restarts * 4;
    /* The first restart point is where prev() stops looking. */
    if (it->entries_end == 0 || get_u32(data + it->entries_end) != 0)
        return -EUCLEAN;
    return 0;
}

void
block_iter_fini(struct block_iter *it)
{
    keybuf_fini(&it->buffer);
}

static void
end_at(struct block_iter *it, int status)
{
    it->valid = false;
    it->status = status;
}

static size_t
restart_offset(const struct block_iter *it, size_t i)
{
    return get_u32(it->data + it->entries_end + i * 4);
}

/* As it stands in the block; `end` is 0 if it cannot be one. */
struct entry {
    size_t shared;
    struct lsmkv_slice rest;
    struct lsmkv_slice payload;
    size_t end;
};

static struct entry
parse_long_entry(const struct block_iter *it, size_t offset)
{
    struct reader reader =
        reader_of(lsmkv_bytes(it->data + offset, it->entries_end - offset));
    const uint32_t shared = read_varint32(&reader);
    const uint32_t rest = read_varint32(&reader);
    const uint32_t payload = read_varint32(&reader);
    struct entry entry = {.shared = shared};

    entry.rest = read_bytes(&reader, rest);
    entry.payload = read_bytes(&reader, payload);
    if (!reader.failed && shared <= INTERNAL_KEY_MAX &&
        rest <= INTERNAL_KEY_MAX - shared && shared + rest >= KEY_TRAILER_SIZE)
        entry.end = (size_t)(reader.next - it->data);
    return entry;
}

/* Nearly always the lengths of the key are one byte each, and that of the payload one or two; that
 * is worth telling apart. */
static inline struct entry
parse_entry(const struct block_iter *it, size_t offset)
{
    const uint8_t *at = it->data + offset;
    size_t left, shared, rest, payload, head = 3;

    if (offset >= it->entries_end)
        return (struct entry){0};
    left = it->entries_end - offset;
    if (left < 4 || (at[0] | at[1]) >= 0x80)
        return parse_long_entry(it, offset);
    shared = at[0];
    rest = at[1];
    payload = at[2];
    if (payload >= 0x80) {
        if (at[3] == 0 || at[3] >= 0x80)
            return parse_long_entry(it, offset);
        payload = (payload & 0x7f) | (size_t)at[3] << 7;
        head = 4;
    }
    if (rest + payload > left - head || shared + rest < KEY_TRAILER_SIZE)
        return (struct entry){0};
    return (struct entry){
        .shared = shared,
        .rest = lsmkv_bytes(at + head, rest),
        .payload = lsmkv_bytes(at + head + rest, payload),
        .end = offset + head + rest + payload,
    };
}

/* Appends the rest of a key to what it shares with the one before, which stands in the buffer
 * already.  In whole steps: up to one more may be written, and read while the block has it. */
static inline void
append_rest(struct block_iter *it, const struct entry *entry)
{
    uint8_t *to = it->buffer.data + entry->shared;
    const uint8_t *from = entry->rest.data, *end = it->data + it->entries_end;

    if (entry->rest.size + COPIED_AT_ONCE > (size_t)(end - from)) {
        memcpy(to, from, entry->rest.size);
        return;
    }
    for (size_t copied = 0; copied < entry->rest.size; copied += COPIED_AT_ONCE)
        memcpy(to + copied, from + copied, COPIED_AT_ONCE);
}

/* Makes the entry at `offset` the current one.  It must be a restart point or follow the
 * current one. */
static inline void
read_entry(struct block_iter *it, size_t offset)
{
    const struct entry entry = parse_entry(it, offset);
    const size_t size = entry.shared + entry.rest.size;

    if (entry.end == 0 || entry.shared > it->entry.key.size) {
        end_at(it, -EUCLEAN);
        return;
    }
    if (keybuf_reserve(&it->buffer, size + COPIED_AT_ONCE) != 0) {
        end_at(it, -ENOMEM);
        return;
    }
    append_rest(it, &entry);
    it->buffer.size = size;
    it->entry.key = keybuf_slice(&it->buffer);
    it->entry.payload = entry.payload;
    it->offset = offset;
    it->next = entry.end;
    it->status = 0;
    it->valid = true;
}

static void
read_restart(struct block_iter *it, size_t i)
{
    it->entry.key.size = 0; /* B1: nothing to share */
    read_entry(it, restart_offset(it, i));
}

/* To the last restart point whose key is before `internal`, or the first of all. */
static void
bisect_restarts(struct block_iter *it, struct lsmkv_slice internal)
{
    size_t low = 0, high = it->restarts - 1;
    struct entry entry;

    while (low < high) {
        size_t middle = high - (high - low) / 2;

        entry = parse_entry(it, restart_offset(it, middle));
        if (entry.end == 0 || entry.shared != 0) { /* B1 */
            end_at(it, -EUCLEAN);
            return;
        }
        if (internal_key_compare(it->order, entry.rest, internal) < 0)
            low = middle;
        else
            high = middle - 1;
    }
    read_restart(it, low);
}

void
block_expect_search(struct lsmkv_slice contents)
{
    struct block_iter it = {0};

    if (block_iter_set(&it, LSMKV_ORDER_BYTES, contents) != 0)
        return;
    __builtin_prefetch(it.data);
    __builtin_prefetch(it.data + restart_offset(&it, it.restarts / 2));
}

void
block_iter_seek(struct block_iter *it, struct lsmkv_slice internal)
{
    bisect_restarts(it, internal);
    while (it->valid && internal_key_compare(it->order, it->entry.key, internal) < 0)
        block_iter_next(it);
}

void
block_iter_seek_before(struct block_iter *it, struct lsmkv_slice internal)
{
    block_iter_seek(it, internal);
    if (it->valid && internal_key_compare(it->order, it->entry.key, internal) > 0)
        block_iter_prev(it);
    else if (!it->valid && it->status == 0)
        block_iter_last(it);
}

void
block_iter_first(struct block_iter *it)
{
    read_restart(it, 0);
}

void
block_iter_last(struct block_iter *it)
{
    read_restart(it, it->restarts - 1);
    while (it->valid && it->next < it->entries_end)
        read_entry(it, it->next);
}

void
block_iter_next(struct block_iter *it)
{
    if (it->next < it->entries_end)
        read_entry(it, it->next);
    else
        end_at(it, 0);
}

size_t
block_iter_peek(const struct block_iter *it, struct iterator_ahead *ahead, size_t count)
{
    size_t offset = it->next, found = 0;
    struct entry entry;

    while (found < count) {
        entry = parse_entry(it, offset);
        if (entry.end == 0 || entry.rest.size < KEY_TRAILER_SIZE)
            break;
        ahead[found++] =
            (struct iterator_ahead){internal_kind(entry.rest), entry.payload};
        offset = entry.end;
    }
    return found;
}

/* From the last restart point before the current entry forward to the entry before it. */
void
block_iter_prev(struct block_iter *it)
{
    size_t current = it->offset;
    size_t i = it->restarts - 1;

    if (current == 0) {
        end_at(it, 0);
        return;
    }
    while (restart_offset(it, i) >= current)
        i--; /* ends: the first is 0 */
    read_restart(it, i);
    while (it->valid && it->next < current)
        read_entry(it, it->next);
}
