/*
 * key.h - user keys, their two orders, and internal keys.
 *
 * An internal key is the user key followed by an 8-byte little-endian trailer: the
 * sequence (56 bits) in the high bits, the kind in the low 8.  Internal keys sort by user
 * key upwards, then by trailer downwards: the newest version of a key comes first.
 *
 * Path order (LSMKV_ORDER_PATH): '/' ranks below every other byte, the others keep their
 * order, so NUL comes next.  A prefix sorts before what it begins.
 *
 * K1  Below K is exactly the range [K "/", K "\0"); below the empty key, ["/", infinity).
 * K2  A separator is a prefix of the right key, never an incremented byte.
 */
#ifndef BASE_KEY_H
#define BASE_KEY_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/coding.h"
#include "lsmkv.h"

#define KEY_TRAILER_SIZE 8u
#define SEQUENCE_MAX     ((UINT64_C(1) << 56) - 1)

/* The kind byte: what an entry carries.  Values are part of the formats. */
enum kind {
    KIND_DELETE = 0x00,      /* a tombstone: nothing */
    KIND_PUT = 0x01,         /* no time; the stamp is the entry's own sequence */
    KIND_PUT_TIMED = 0x02,   /* a time; the stamp's sequence is the entry's own */
    KIND_PUT_STAMPED = 0x03, /* a whole stamp: sequence and time (moved records) */
    KIND_BLOB_BIT = 0x10,    /* with a put: the value is a reference into a blob file */
};

/* Whether this version of the engine understands entries of this kind. */
bool kind_is_known(uint8_t kind);

static inline bool
kind_is_put(uint8_t kind)
{
    return kind != KIND_DELETE;
}

/* Whether the value stands apart, in a blob file. */
static inline bool
kind_is_apart(uint8_t kind)
{
    return (kind & KIND_BLOB_BIT) != 0;
}

/* Less than, equal to or greater than 0, as memcmp. */
int key_compare(enum lsmkv_order order, struct lsmkv_slice a, struct lsmkv_slice b);
/* Both must hold at least KEY_TRAILER_SIZE bytes. */
int internal_key_compare(enum lsmkv_order order, struct lsmkv_slice a,
                         struct lsmkv_slice b);

/* Of two keys that are neighbours in an order the last bytes are the likeliest to
 * differ. */
static inline bool
slice_equal(struct lsmkv_slice a, struct lsmkv_slice b)
{
    const uint8_t *x = a.data;
    const uint8_t *y = b.data;

    if (a.size != b.size)
        return false;
    return a.size == 0 || (x[a.size - 1] == y[a.size - 1] && memcmp(x, y, a.size) == 0);
}

/* Whether `key` is in [K "/", K "\0"), for K = `ancestor`; path order. */
bool key_is_below(struct lsmkv_slice key, struct lsmkv_slice ancestor);

/* The index of the lowest byte that is set in `difference`, which is not 0. */
static inline size_t
key_lowest_byte(uint64_t difference)
{
    return (size_t)__builtin_ctzll(difference) / 8;
}

static inline size_t
key_short_common_size(const uint8_t *a, const uint8_t *b, size_t size)
{
    size_t i = 0;

    if (size >= 4) {
        uint32_t difference = get_u32(a) ^ get_u32(b);

        if (difference != 0)
            return key_lowest_byte(difference);
        i = 4;
    }
    while (i < size && a[i] == b[i])
        i++;
    return i;
}

/* How many of the first `size` bytes of both agree before the first that does not. */
static inline size_t
key_common_size(const uint8_t *a, const uint8_t *b, size_t size)
{
    size_t i;

    if (size < 8)
        return key_short_common_size(a, b, size);
    for (i = 0; i <= size - 8; i += 8) {
        uint64_t difference = get_u64(a + i) ^ get_u64(b + i);

        if (difference != 0)
            return i + key_lowest_byte(difference);
    }
    if (i < size) {
        /* The last eight bytes again reach to the end: what they overlap is known
         * equal. */
        uint64_t difference = get_u64(a + size - 8) ^ get_u64(b + size - 8);

        if (difference != 0)
            return size - 8 + key_lowest_byte(difference);
    }
    return size;
}

/* How the byte ranks at which two keys part. */
static inline int
key_byte_rank(enum lsmkv_order order, uint8_t byte)
{
    return order == LSMKV_ORDER_PATH && byte == '/' ? -1 : byte;
}

/* Up to eight bytes of a key from `offset` on (at most its size) as a number.  Of two
 * keys that agree before `offset`, the one with the smaller number sorts first; equal
 * numbers say nothing, for where a key has ended is the lowest rank. */
uint64_t key_rank(enum lsmkv_order order, struct lsmkv_slice key, size_t offset);

/* The length of the shortest prefix of `right` that sorts after `left`; needs left <
 * right.  That prefix P satisfies left < P <= right. */
size_t key_separator_size(enum lsmkv_order order, struct lsmkv_slice left,
                          struct lsmkv_slice right);

static inline uint64_t
trailer_pack(uint64_t sequence, uint8_t kind)
{
    return sequence << 8 | kind;
}

/* Fields of an internal key of at least KEY_TRAILER_SIZE bytes. */
static inline struct lsmkv_slice
internal_user_key(struct lsmkv_slice internal)
{
    assert(internal.size >= KEY_TRAILER_SIZE);
    return lsmkv_bytes(internal.data, internal.size - KEY_TRAILER_SIZE);
}

static inline uint64_t
internal_trailer(struct lsmkv_slice internal)
{
    const uint8_t *data = internal.data;

    assert(internal.size >= KEY_TRAILER_SIZE);
    return get_u64(data + internal.size - KEY_TRAILER_SIZE);
}

static inline uint64_t
internal_sequence(struct lsmkv_slice internal)
{
    return internal_trailer(internal) >> 8;
}

static inline uint8_t
internal_kind(struct lsmkv_slice internal)
{
    return (uint8_t)internal_trailer(internal);
}

/* Each byte equal to '/' becomes 0, each below it one more: path order.  (Eight bytes at
 * once; no byte carries into the next.) */
static inline uint64_t
rank_as_path(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;
    uint64_t from_slash = bytes ^ (ones * '/');
    uint64_t below = ~((bytes | highs) - ones * '/') & ~bytes & highs;
    uint64_t other = (((from_slash & ~highs) + ~highs) | from_slash) & highs;

    return (bytes + (below >> 7)) & ((other >> 7) * 0xff);
}

/* A growable internal key.  Zero it to begin; keybuf_fini frees. */
struct keybuf {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void keybuf_fini(struct keybuf *buf);
/* keybuf_reserve for more than there is room for. */
int LSMKV_CHECKED keybuf_grow(struct keybuf *buf, size_t size);

/* Room for `size` bytes; the contents stay. */
static inline int LSMKV_CHECKED
keybuf_reserve(struct keybuf *buf, size_t size)
{
    return size <= buf->capacity ? 0 : keybuf_grow(buf, size);
}

static inline int LSMKV_CHECKED
keybuf_set(struct keybuf *buf, struct lsmkv_slice bytes)
{
    int result = keybuf_reserve(buf, bytes.size);

    if (result != 0)
        return result;
    if (bytes.size > 0)
        memmove(buf->data, bytes.data, bytes.size);
    buf->size = bytes.size;
    return 0;
}

int LSMKV_CHECKED keybuf_append(struct keybuf *buf, struct lsmkv_slice bytes);
/* User key and trailer.  For a seek to the newest version at or below a sequence pass
 * kind 0xff. */
int LSMKV_CHECKED keybuf_set_internal(struct keybuf *buf, struct lsmkv_slice user_key,
                                      uint64_t sequence, uint8_t kind);

static inline struct lsmkv_slice
keybuf_slice(const struct keybuf *buf)
{
    return lsmkv_bytes(buf->data, buf->size);
}

#endif
