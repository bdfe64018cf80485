/*
 * memtable.h - the newest entries of one keyspace, in memory: a skip list in an arena.
 *
 * One writer at a time adds; any number of readers search and iterate meanwhile without
 * locks.  An entry, once added, never changes or moves.  Entries are published to readers
 * by release stores of the links; a reader sees every entry whose sequence it may read,
 * because the sequence is published after the insert.
 *
 * A memtable that is no longer small has a filter of its keys, and in path order of their
 * ancestors, beside the list (key_filter.h): most lookups find nothing in a memtable.
 *
 * Skip list: W. Pugh, "Skip Lists: A Probabilistic Alternative to Balanced Trees", CACM
 * 1990.
 */
#ifndef MEMTABLE_MEMTABLE_H
#define MEMTABLE_MEMTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"
#include "iter/iterator.h"
#include "memtable/pool.h"

struct memtable;

/* It is expected to grow to `expected` bytes.  -ENOMEM. */
int LSMKV_CHECKED memtable_new(struct block_pool *pool, enum lsmkv_order order,
                               size_t expected, struct memtable **memtable);
/* Nobody may be reading it any more. */
void memtable_free(struct memtable *memtable);
/* Of an empty one: it is filled at once and soon flushed, so it is not worth a filter. */
void memtable_forgo_filter(struct memtable *memtable);

/* Adds an entry; `record` is as record_encode takes it and is copied.  Only one thread at
 * a time.  -ENOMEM leaves it as it was. */
int LSMKV_CHECKED memtable_add(struct memtable *memtable, struct lsmkv_slice key,
                               uint64_t sequence, uint8_t kind,
                               const struct lsmkv_record *record);
/* Makes room for entries that need `bytes` in all of keys and payloads and `count` in
 * number, so that adding them cannot fail: a batch is inserted whole or not at all. */
int LSMKV_CHECKED memtable_reserve(struct memtable *memtable, size_t bytes, size_t count);

/* Bytes taken, free space of the current arena block included. */
size_t memtable_memory(const struct memtable *memtable);
/* Entries added. */
size_t memtable_count(const struct memtable *memtable);
bool memtable_is_empty(const struct memtable *memtable);

struct memtable_hit {
    struct lsmkv_slice key;     /* internal; holds as long as the memtable */
    struct lsmkv_slice payload; /* likewise */
};

/* The newest version of `key`, which `hash` is the filter_hash of, with a sequence at or
 * below `sequence`.  False: none; `hit` is then the first entry of a key behind it, with an
 * empty internal key if there is none, or if none in path order is below the key. */
bool memtable_get(const struct memtable *memtable, struct lsmkv_slice key, uint64_t hash,
                  uint64_t sequence, struct memtable_hit *hit);
/* The first entry at or after an internal key.  False: none. */
bool memtable_ceiling(const struct memtable *memtable, struct lsmkv_slice internal,
                      struct memtable_hit *hit);

/* Borrows the memtable.  -ENOMEM. */
int LSMKV_CHECKED memtable_iterate(const struct memtable *memtable, struct iterator **it);

#endif
