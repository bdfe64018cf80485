/*
 * hint.h - what is known of a key without reading it.
 *
 * Keys are paths, whose long shared prefixes tell nothing, and every key lies somewhere
 * else in memory, in no cache.  So beside a reference to an entry n, which follows entry
 * p, stands a hint of n's key:
 *
 *     skip  2 bytes   how many bytes n surely shares with p
 *     rank  14 bytes  the bytes of n behind those, as a number that sorts as the keys do
 *
 * and a search for a key K keeps `shared`, how many bytes K has in common with the entry
 * it stands on.  Standing on p, with K > p:
 *
 *     skip > shared    n agrees with p where p and K part, so n < K: go on
 *     skip <= shared   all three agree on the first `skip` bytes, so n's rank against K's
 *                      bytes there decides; only a tie has to read n's key
 *
 * H1  Both also hold with a skip that is too low, so a hint stays true of n when a key is
 *     inserted between p and n.
 * H2  Where a key has ended its rank has the lowest byte, so that bytes that tie may be
 *     the end of n and lowest bytes of K.  Then `shared` comes out too high, but only
 *     when all of n is K's; what follows n shares no more than that with it, so both
 *     rules hold.  A hint of K, however, is made without those bytes: hint_skip.
 */
#ifndef MEMTABLE_HINT_H
#define MEMTABLE_HINT_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/coding.h"
#include "base/key.h"

static inline uint64_t
rank_of(enum lsmkv_order order, uint64_t bytes)
{
    bytes = __builtin_bswap64(bytes);
    return order == LSMKV_ORDER_PATH ? rank_as_path(bytes) : bytes;
}

/* Up to eight bytes of a key from `offset` on; where the key has ended, the lowest rank.
 * So an end ties with the lowest byte, and a tie says nothing. */
static inline uint64_t
rank_at(enum lsmkv_order order, const uint8_t *key, uint32_t size, uint32_t offset)
{
    uint32_t left = size - offset;
    uint64_t bytes = 0;

    if (left >= 8)
        return rank_of(order, get_u64(key + offset));
    if (left == 0)
        return 0;
    memcpy(&bytes, key + offset, left);
    return rank_of(order, bytes) & ~(UINT64_MAX >> (8 * left));
}

/* How many of the first `size` bytes two keys have in common; `from` are known to be. */
static inline uint32_t
key_common(const uint8_t *a, const uint8_t *b, uint32_t size, uint32_t from)
{
    while (size - from >= 8) {
        uint64_t difference = get_u64(a + from) ^ get_u64(b + from);

        if (difference != 0)
            return from + (uint32_t)__builtin_ctzll(difference) / 8;
        from += 8;
    }
    while (from < size && a[from] == b[from])
        from++;
    return from;
}

struct hint {
    uint64_t high; /* skip, and the first six bytes of the rank */
    uint64_t low;  /* the other eight */
};

/* The hint of a key that has at least `skip` bytes. */
static inline struct hint
hint_of(enum lsmkv_order order, const uint8_t *key, uint32_t size, uint32_t skip)
{
    uint32_t behind = size - skip < 6 ? size : skip + 6;
    struct hint hint = {
        .high = (uint64_t)skip << 48 | rank_at(order, key, size, skip) >> 16,
        .low = rank_at(order, key, size, behind),
    };

    return hint;
}

/* What `shared` is surely worth (H2). */
static inline uint32_t
hint_skip(enum lsmkv_order order, const uint8_t *key, uint32_t shared)
{
    uint8_t lowest = order == LSMKV_ORDER_PATH ? '/' : 0;

    while (shared > 0 && key[shared - 1] == lowest)
        shared--;
    return shared;
}

/* ---- the key sought ---- */

#define SOUGHT_RANKED 256u /* bytes of it that are ranked beforehand */

struct sought {
    enum lsmkv_order order;
    uint32_t size;
    uint32_t ranked_size; /* bytes from which on `ranked` says nothing */
    const uint8_t *data;  /* user key */
    uint64_t trailer;
    uint8_t ranked[SOUGHT_RANKED + 16]; /* rank of each byte, 0 behind the last */
};

static inline void
sought_init(struct sought *sought, enum lsmkv_order order, struct lsmkv_slice user_key,
            uint64_t trailer)
{
    uint32_t at = 0, size = (uint32_t)user_key.size;

    sought->order = order;
    sought->size = size;
    sought->data = user_key.data;
    sought->trailer = trailer;
    sought->ranked_size = size < SOUGHT_RANKED ? UINT32_MAX : SOUGHT_RANKED - 16;
    for (; at < size && at < SOUGHT_RANKED; at += 8)
        put_u64(sought->ranked + at,
                __builtin_bswap64(rank_at(order, sought->data, size, at)));
    put_u64(sought->ranked + at, 0);
    put_u64(sought->ranked + at + 8, 0);
}

/* rank_at of the key. */
static inline uint64_t
sought_rank(const struct sought *sought, uint32_t offset)
{
    if (offset < sought->ranked_size)
        return __builtin_bswap64(get_u64(sought->ranked + offset));
    if (offset > sought->size)
        return 0;
    return rank_at(sought->order, sought->data, sought->size, offset);
}

enum side {
    SIDE_BEFORE,    /* sorts before the key sought */
    SIDE_NOT,       /* at or after it */
    SIDE_UNDECIDED, /* its key has to tell */
};

/* What a hint says.  If it is SIDE_BEFORE, *shared becomes what the key sought has in
 * common with the hint's.  `low` is only looked at where `high` ties. */
static inline enum side
hint_side(uint64_t high, const _Atomic uint64_t *low, const struct sought *sought,
          uint32_t *shared)
{
    uint32_t skip = (uint32_t)(high >> 48);
    uint64_t mine, its;

    if (skip > *shared)
        return SIDE_BEFORE;
    mine = (uint64_t)skip << 48 | sought_rank(sought, skip) >> 16;
    if (high > mine)
        return SIDE_NOT;
    if (high < mine) {
        *shared = skip + (uint32_t)__builtin_clzll(high ^ mine) / 8 - 2;
        return SIDE_BEFORE;
    }
    its = atomic_load_explicit(low, memory_order_acquire);
    mine = sought_rank(sought, skip + 6);
    if (its == mine)
        return SIDE_UNDECIDED;
    if (its > mine)
        return SIDE_NOT;
    *shared = skip + 6 + (uint32_t)__builtin_clzll(its ^ mine) / 8;
    return SIDE_BEFORE;
}

#endif
