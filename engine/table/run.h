/*
 * run.h - many data blocks of a table read at once, for a walk that goes on and on.
 *
 * Embedded in a cursor; zero it to begin.  One thread at a time.  It is an attempt: what it
 * cannot read, or what its checksum refuses, is the caller's to read alone, and to tell of.
 */
#ifndef TABLE_RUN_H
#define TABLE_RUN_H

#include "table/reader.h"

struct block_run {
    const struct table *table; /* NULL: no buffer yet */
    uint8_t *buffer;
    size_t allocated;
    size_t first, end;      /* the blocks that stand in the buffer */
    struct keybuf unpacked; /* the one that was got last, if it is packed there */
};

void block_run_fini(struct block_run *run);
/* Reads block `i` and some of those behind it into the buffer, if the cache lends one and it is of
 * use: not so for blocks of which the buffer has no room for two. */
void block_run_read(struct block_run *run, const struct table *table, size_t i);

static inline bool
block_run_has(const struct block_run *run, size_t i)
{
    return run->first <= i && i < run->end;
}

/* The bytes of a block, checked; they hold until another is got or the run is read anew.  False: it
 * is not there, or bad. */
bool block_run_get(struct block_run *run, size_t i, struct lsmkv_slice *contents);

#endif
