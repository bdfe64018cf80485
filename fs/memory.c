/*
 * memory.c - see memory.h.
 *
 * Blocks of all sizes up to a chunk's 128 KiB come and go on a dozen threads, so glibc's arenas
 * end up more holes than blocks: of 166 MiB after two minutes of fio 106 were free.  Letting all
 * chunks be mapped and unmapped one by one would keep none of it, at 32 page faults a chunk; so
 * the pages of the holes are given back, when they have become many.
 */
#include "memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define WASTE \
    (32l << 20) /* bytes of holes, program and stacks that are not worth the while */

void
memory_begin(void)
{
    /* Each arena keeps what its threads freed; a dozen threads must not have one each. */
    mallopt(M_ARENA_MAX, 2);
    /* Left to itself, the threshold grows up to 32 MiB with the first large block that is freed,
     * and then memtables leave holes, too. */
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
}

/* Bytes in memory; 0 if that cannot be known. */
static long
resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

void
memory_give_back(void)
{
    struct mallinfo2 info = mallinfo2();

    if (resident() >= (long)(info.uordblks + info.hblkhd) + WASTE)
        malloc_trim(0);
}
