/*
 * arena.h - memory that is handed out in small pieces and given back all at once.
 *
 * Pieces come one behind the other from blocks of a pool.  A block doubles in size with
 * each one taken, from 4 KiB to 1 MiB, so that an idle keyspace costs a page and a busy
 * one few calls; a piece too large to share a block has one of its own.
 *
 * A1  A piece never moves and is never reused before arena_fini.
 * A2  After arena_reserve(n), pieces of n bytes in all (each rounded up to its alignment)
 *     are handed out without fail.
 *
 * One thread at a time allocates and reserves; arena_memory may be asked by any.
 */
#ifndef MEMTABLE_ARENA_H
#define MEMTABLE_ARENA_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "memtable/pool.h"

#define ARENA_ALIGNMENT 8u
#define ARENA_LINE      64u /* of the processor's cache */

struct arena_block;

/* What is still free of a block; its end is aligned to ARENA_LINE. */
struct arena_room {
    uint8_t *next;
    size_t left;
};

struct arena {
    struct block_pool *pool;
    struct arena_block *blocks; /* all of them, for arena_fini */
    struct arena_room current;
    struct arena_room spare;         /* reserved and wholly unused; often empty */
    struct arena_block *spare_block; /* whose room `spare` is, or NULL */
    size_t block_size;               /* of the next shared block */
    _Atomic size_t memory;
};

void arena_init(struct arena *arena, struct block_pool *pool);
/* Gives back every block. */
void arena_fini(struct arena *arena);

/* Aligned to ARENA_ALIGNMENT, not zeroed; holds until arena_fini.  NULL: no memory. */
void *arena_allocate(struct arena *arena, size_t size);
/* The same, aligned to ARENA_LINE. */
void *arena_allocate_lines(struct arena *arena, size_t size);
/* -ENOMEM leaves the arena as it was, an earlier reservation included. */
int ENV_CHECKED arena_reserve(struct arena *arena, size_t size);
/* Bytes taken from the pool, free ones included. */
size_t arena_memory(const struct arena *arena);

#endif
