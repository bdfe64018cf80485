/*
 * filter.h - a bloom filter whose every question touches one cache line.
 *
 *     lines    64 bytes each
 *     probes   1 byte: bits asked of a key
 *
 * A key's hash h is XXH3_64bits of its bytes, unseeded: the same for every table, so that
 * a lookup hashes once.  Its line is the high half of h scaled to the number of lines.
 * Its bits are the top nine bits of the low half of h (bit n is bit n % 8 of byte n / 8
 * of the line), which is multiplied by 0x9e3779b9, modulo 2^32, between one bit and the
 * next.
 *
 * F1  What was added is always found.
 * F2  Lines fill unevenly, which costs accuracy: with 10 bits a key 0.96 % of absent keys
 *     would pass, of a plain bloom filter 0.82 %.  A twentieth more bits than asked for
 *     make up for it: 0.79 % pass, measured; so the promised 1 % holds for any 20,000 of
 *     them.
 */
#ifndef TABLE_FILTER_H
#define TABLE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"

#define FILTER_LINE_SIZE 64u

uint64_t filter_hash(struct lsmkv_slice key);

/* ---- lines and bits ---- */

/* Which of `lines` lines a hash belongs to. */
static inline size_t
filter_line(uint64_t hash, uint32_t lines)
{
    return (size_t)((hash >> 32) * lines >> 32);
}

/* The next of a hash's bits of its line; `state` begins as the hash's low half. */
static inline unsigned
filter_next_bit(uint32_t *state)
{
    unsigned bit = *state >> 23;

    *state *= UINT32_C(0x9e3779b9);
    return bit;
}

/* ---- which keys a filter holds ---- */

/* Ancestors of `key` (prefixes that end before a '/', the empty one left out) that are
 * neither `previous` nor ancestors of it.  As a subtree is contiguous in path order,
 * those are just the ones that no earlier key brought.
 *
 *     size_t at = filter_ancestor_first(previous, key);
 *     for (; at < key.size; at = filter_ancestor_next(key, at))
 *         the first `at` bytes of `key` are one
 */
size_t filter_ancestor_first(struct lsmkv_slice previous, struct lsmkv_slice key);
size_t filter_ancestor_next(struct lsmkv_slice key, size_t at);

/* ---- building ---- */

/* Zero it to begin. */
struct filter_builder {
    uint64_t *hashes;
    size_t count;
};

void filter_builder_fini(struct filter_builder *builder);
int LSMKV_CHECKED filter_builder_add(struct filter_builder *builder, uint64_t hash);
/* Makes the block; the caller frees it.  At least one hash, `bits_per_key` > 0. */
int LSMKV_CHECKED filter_builder_finish(const struct filter_builder *builder,
                                        unsigned bits_per_key, uint8_t **block,
                                        size_t *size);

/* ---- asking ---- */

struct filter {
    const uint8_t *lines; /* NULL: no filter, everything may be there */
    uint32_t count;       /* of lines */
    unsigned probes;
};

/* Borrows the bytes; best aligned to a line. */
int LSMKV_CHECKED filter_decode(struct lsmkv_slice contents, struct filter *filter);
/* It will be asked soon: its line is fetched meanwhile. */
void filter_expect(const struct filter *filter, uint64_t hash);
bool filter_may_contain(const struct filter *filter, uint64_t hash);

#endif
