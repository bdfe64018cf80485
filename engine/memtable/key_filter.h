/*
 * key_filter.h - which keys a memtable may have: a bloom filter that is asked while it
 * fills.
 *
 * Its lines are filled as those of filter.h, by the same hashes: a lookup, which has
 * hashed its key for the tables, reads one line of the cache here where a search among
 * 300,000 entries would wait for ten.
 *
 * K1  What was added is found by whoever may know that it was: bits are only set, and
 *     nobody asks before it is published.
 *
 * One thread at a time makes and adds; any number ask meanwhile without locks.
 */
#ifndef MEMTABLE_KEY_FILTER_H
#define MEMTABLE_KEY_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memtable/pool.h"

struct key_filter_line;

/* Zero it to begin. */
struct key_filter {
    struct key_filter_line *_Atomic asked; /* NULL: not published, or given up */
    struct key_filter_line *lines;         /* NULL: not made, or given up */
    uint32_t count;                        /* of lines */
    _Atomic size_t memory;                 /* bytes of `block`, which lines lie in */
    void *block;
};

/* For about `hashes` of them, in `most` bytes or somewhat more.  False: no memory. */
bool key_filter_make(struct key_filter *filter, struct block_pool *pool, size_t hashes,
                     size_t most);
/* Nobody may be asking any more. */
void key_filter_fini(struct key_filter *filter, struct block_pool *pool);

/* To one that is made.  False: it would have passed before. */
bool key_filter_add(struct key_filter *filter, uint64_t hash);
/* From now on it may be asked. */
void key_filter_publish(struct key_filter *filter);
bool key_filter_is_made(const struct key_filter *filter);
/* Do so many different hashes leave it with little to tell? */
bool key_filter_is_full(const struct key_filter *filter, size_t hashes);
/* It is neither asked nor added to any more. */
void key_filter_give_up(struct key_filter *filter);
/* True if it is not published, or given up. */
bool key_filter_may_contain(const struct key_filter *filter, uint64_t hash);

#endif
