/*
 * counter.h - numbers that are given out once: a block of them is reserved on disk before
 * the first of it is (M2 of store.c).
 */
#ifndef FS_COUNTER_H
#define FS_COUNTER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "store/store.h"

#define COUNTER_BLOCK 65536u /* numbers reserved by one synced put */
/* Numbers beyond it no store comes to; above are those of ATTR_INO_IMPLIED and others. */
#define NUMBER_LIMIT (ATTR_INO_IMPLIED / 2)

struct counter {
    const char *name;
    _Atomic uint64_t next;     /* to be given out; may run ahead of `bound` */
    _Atomic uint64_t bound;    /* on disk: numbers below are reserved */
    pthread_mutex_t reserving; /* held to move `bound` */
};

/* It begins at `first` unless the store has more; `name` is that of its record in
 * `meta`. */
void counter_init(struct counter *counter, const char *name, uint64_t first);
LSMKV_CHECKED int counter_load(struct store *store, struct counter *counter);
/* Numbers that records of `inodes` and `chunks` have are not given out, whatever a damaged
 * counter says: a new file would have contents and attributes of another.  What cannot be
 * read is left to lsmfs check. */
void counters_pass_records(struct store *store, struct counter *inodes,
                           struct counter *data_ids);
/* Of a damaged store; if it cannot be read, any number may have been given out. */
void counter_salvage(struct store *store, struct counter *counter);
/* The next one.  From any thread; it may wait for a sync. */
LSMKV_CHECKED int counter_take(struct store *store, struct counter *counter,
                               uint64_t *number);
/* Reserves the next block, on the commit thread, once half of this one is gone, so that
 * as a rule no caller waits for that sync. */
void counter_keep_ahead(struct store *store, struct counter *counter);

#endif
