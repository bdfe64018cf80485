/*
 * pool.h - large blocks of memory, kept from one memtable for the next.
 *
 * Fresh memory costs more than what is written to it: the kernel clears it page by page.
 *
 * P1  No more is kept than the memtables to come are expected to take: what pool_expect
 *     said, less what has been taken since.
 *
 * Any thread may call; the mutex is a leaf.
 */
#ifndef MEMTABLE_POOL_H
#define MEMTABLE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mutex.h"
#include "env/env.h"

struct kept_block;

struct block_pool {
    struct lsmkv_env *env; /* constant */
    struct mutex mutex;
    /* guarded by mutex */
    struct kept_block *kept; /* the newest first */
    size_t kept_bytes;
    size_t wanted;  /* that may be kept */
    unsigned looks; /* of pool_rest since one was taken */
};

void pool_init(struct block_pool *pool, struct lsmkv_env *env);
/* All that was taken is given back. */
void pool_fini(struct block_pool *pool);

/* A block of *size bytes or somewhat more; then *size says so.  NULL: no memory. */
void *pool_take(struct block_pool *pool, size_t *size);
/* `size` as pool_take left it. */
void pool_give(struct block_pool *pool, void *block, size_t size);

/* A memtable begins that will take so many bytes. */
void pool_expect(struct block_pool *pool, size_t bytes);
bool pool_keeps(struct block_pool *pool);
/* To be called now and then while something is kept: gives all back to the env when
 * nothing was taken for `most` calls. */
void pool_rest(struct block_pool *pool, unsigned most);

#endif
