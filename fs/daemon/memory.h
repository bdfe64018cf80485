/*
 * memory.h - what the daemon's memory is shared out to, and keeping what the allocator
 * holds beyond what is in use small.  For the daemon, which has the process to itself.
 */
#ifndef FS_MEMORY_H
#define FS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* What the daemon's resident memory stays below, in bytes. */
#define MEMORY_DEFAULT (UINT64_C(256) << 20)
#define MEMORY_LEAST   (UINT64_C(48) << 20)
#define MEMORY_MOST    (UINT64_C(1) << 40)

struct memory_shares {
    size_t write_buffer; /* of one set of memtables: there may be three */
    size_t cache;
    size_t nodes;    /* how many before the kernel is asked to forget */
    size_t listings; /* of their names, and again of first and last ones */
    size_t holes;    /* program, stacks, rings, and what the allocator may hold free */
};

/* Shares out `total` bytes, MEMORY_LEAST to MEMORY_MOST, of which rings keep `rings`, at most
 * an eighth. */
void memory_share(uint64_t total, uint64_t rings, struct memory_shares *shares);

/* Before other threads start. */
void memory_begin(const struct memory_shares *shares);

/* Gives back what is free, if it is much.  Called now and then; a few milliseconds at
 * most. */
void memory_give_back(void);

#endif
