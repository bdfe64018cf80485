/*
 * key.c - the two orders of user keys, internal keys, and separators.
 *
 * key_compare is the hottest function of the engine: every step of a skip list, every
 * probe of a block and every step of a merge is one.  Both orders agree with each other
 * on where two keys part, and differ only in how the two bytes there rank.  So path order
 * costs one search for the first differing byte, eight bytes at a time, and one look at
 * that byte.
 */
#include "base/key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool
kind_is_known(uint8_t kind)
{
    return kind <= KIND_PUT_STAMPED || (kind >= (KIND_PUT | KIND_BLOB_BIT) &&
                                        kind <= (KIND_PUT_STAMPED | KIND_BLOB_BIT));
}

static inline size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline int
compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

/* How two bytes rank that are not the same. */
static inline int
compare_at(enum lsmkv_order order, uint8_t x, uint8_t y)
{
    if (order == LSMKV_ORDER_PATH) {
        if (x == '/')
            return -1;
        if (y == '/')
            return 1;
    }
    return (int)x - (int)y;
}

static int
compare_path(struct lsmkv_slice a, struct lsmkv_slice b)
{
    const uint8_t *x = a.data;
    const uint8_t *y = b.data;
    size_t size = smaller(a.size, b.size);
    size_t i = key_common_size(x, y, size);

    if (i == size)
        return compare_sizes(a.size, b.size);
    return compare_at(LSMKV_ORDER_PATH, x[i], y[i]);
}

static int
compare_bytes(struct lsmkv_slice a, struct lsmkv_slice b)
{
    size_t size = smaller(a.size, b.size);
    int result = size == 0 ? 0 : memcmp(a.data, b.data, size);

    return result != 0 ? result : compare_sizes(a.size, b.size);
}

int
key_compare(enum lsmkv_order order, struct lsmkv_slice a, struct lsmkv_slice b)
{
    return order == LSMKV_ORDER_PATH ? compare_path(a, b) : compare_bytes(a, b);
}

/* As key_common_size of two user keys, behind which their trailers stand: so that eight
 * bytes can be read wherever one of the key is left. */
static inline size_t
internal_common_size(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i += KEY_TRAILER_SIZE) {
        uint64_t difference = get_u64(a + i) ^ get_u64(b + i);

        if (difference != 0)
            return smaller(size, i + key_lowest_byte(difference));
    }
    return size;
}

int
internal_key_compare(enum lsmkv_order order, struct lsmkv_slice a, struct lsmkv_slice b)
{
    const uint8_t *x = a.data;
    const uint8_t *y = b.data;
    size_t size_x = internal_user_key(a).size, size_y = internal_user_key(b).size;
    size_t i = internal_common_size(x, y, smaller(size_x, size_y));
    uint64_t trailer_x, trailer_y;

    if (i < size_x && i < size_y)
        return compare_at(order, x[i], y[i]);
    if (size_x != size_y)
        return compare_sizes(size_x, size_y);
    trailer_x = internal_trailer(a);
    trailer_y = internal_trailer(b);
    return (trailer_x < trailer_y) - (trailer_x > trailer_y);
}

bool
key_is_below(struct lsmkv_slice key, struct lsmkv_slice ancestor)
{
    const uint8_t *data = key.data;

    if (ancestor.size == 0)
        return key.size > 0; /* every other key, whatever its first byte (K1) */
    return key.size > ancestor.size && data[ancestor.size] == '/' &&
           memcmp(data, ancestor.data, ancestor.size) == 0;
}

/* ---- ranks ---- */

static uint64_t
rank_of(enum lsmkv_order order, uint64_t bytes)
{
    bytes = __builtin_bswap64(bytes);
    return order == LSMKV_ORDER_PATH ? rank_as_path(bytes) : bytes;
}

uint64_t
key_rank(enum lsmkv_order order, struct lsmkv_slice key, size_t offset)
{
    const uint8_t *data = key.data;
    size_t left = key.size - offset;
    uint64_t bytes = 0;

    if (left >= 8)
        return rank_of(order, get_u64(data + offset));
    if (left == 0)
        return 0;
    memcpy(&bytes, data + offset, left);
    return rank_of(order, bytes) & ~(UINT64_MAX >> (8 * left));
}

/* ---- separators ---- */

/* In either order the keys part at the byte behind what they share, where `right` ranks
 * higher or `left` has ended: that byte is needed, and it is enough (K2). */
size_t
key_separator_size(enum lsmkv_order order, struct lsmkv_slice left,
                   struct lsmkv_slice right)
{
    assert(key_compare(order, left, right) < 0);
    (void)order;
    return key_common_size(left.data, right.data, smaller(left.size, right.size)) + 1;
}

void
keybuf_fini(struct keybuf *buf)
{
    free(buf->data);
    *buf = (struct keybuf){0};
}

int
keybuf_grow(struct keybuf *buf, size_t size)
{
    size_t capacity = buf->capacity < 32 ? 64 : buf->capacity * 2;
    uint8_t *data;

    if (capacity < size)
        capacity = size;
    data = realloc(buf->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int
keybuf_append(struct keybuf *buf, struct lsmkv_slice bytes)
{
    int result = keybuf_reserve(buf, buf->size + bytes.size);

    if (result != 0)
        return result;
    if (bytes.size > 0)
        memcpy(buf->data + buf->size, bytes.data, bytes.size);
    buf->size += bytes.size;
    return 0;
}

int
keybuf_set_internal(struct keybuf *buf, struct lsmkv_slice user_key, uint64_t sequence,
                    uint8_t kind)
{
    int result = keybuf_reserve(buf, user_key.size + KEY_TRAILER_SIZE);

    if (result != 0)
        return result;
    if (user_key.size > 0)
        memmove(buf->data, user_key.data, user_key.size);
    put_u64(buf->data + user_key.size, trailer_pack(sequence, kind));
    buf->size = user_key.size + KEY_TRAILER_SIZE;
    return 0;
}
