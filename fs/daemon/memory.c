/*
 * memory.c - see memory.h.
 *
 * Blocks of all sizes up to a chunk's 128 KiB come and go on a dozen threads, so glibc's
 * arenas end up more holes than blocks: of 166 MiB after two minutes of fio 106 were
 * free.  Letting all chunks be mapped and unmapped one by one would keep none of it, at
 * 32 page faults a chunk; so the pages of the holes are given back, when they have become
 * many.
 */
#include "daemon/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

/* What a daemon takes however little it has: the program, stacks, the buffers of
 * requests, what is in flight. */
#define FIXED (UINT64_C(32) << 20)
/* Of that the program and its stacks, which count as holes. */
#define PROGRAM ((size_t)12 << 20)

/* From there on larger memtables gain little, and a log takes longer to be recovered. */
#define WRITE_BUFFER_MOST ((size_t)64 << 20)

/* Bytes of holes, program and stacks that are not worth the while. */
static size_t not_worth;

/* Of `all`, which MEMORY_DEFAULT allows, what `total` does.  In KiB, so that nothing
 * overflows. */
static size_t
part_of(uint64_t total, size_t all)
{
    return (size_t)(all * ((total - FIXED) >> 10) / ((MEMORY_DEFAULT - FIXED) >> 10));
}

void
memory_share(uint64_t all, uint64_t rings, struct memory_shares *shares)
{
    const uint64_t total = all - rings;
    const size_t buffer = part_of(total, 16u << 20);
    const size_t taken = buffer < WRITE_BUFFER_MOST ? buffer : WRITE_BUFFER_MOST;

    *shares = (struct memory_shares){
        .write_buffer = taken,
        .cache = part_of(total, 48u << 20) + 3 * (buffer - taken),
        .nodes = part_of(total, 150000),
        .listings = part_of(total, 16u << 20),
        .holes = PROGRAM + (size_t)rings + part_of(total, 20u << 20),
    };
}

void
memory_begin(const struct memory_shares *shares)
{
    not_worth = shares->holes;
    /* Each arena keeps what its threads freed; a dozen threads must not have one each. */
    mallopt(M_ARENA_MAX, 2);
    /* Left to itself, the threshold grows up to 32 MiB with the first large block that is
     * freed, and then memtables leave holes, too. */
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
}

/* Bytes in memory; 0 if that cannot be known. */
static size_t
resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

void
memory_give_back(void)
{
    struct mallinfo2 info = mallinfo2();

    if (resident() >= info.uordblks + info.hblkhd + not_worth)
        malloc_trim(0);
}
