/*
 * ranks.h - an ascending array of numbers, in which a search touches few cache lines.
 *
 * Above the numbers stand levels of fences: the last number of each line of eight, again
 * in lines, until a single line is left.
 *
 *     fences              [12        40        90]
 *                         /          |          \
 *     numbers     [1 5 .. 12] [20 33 .. 40] [55 61 .. 90]
 *
 * A search looks at one line a level, where halving would come to another one at nearly
 * every step.  It is a B+-tree without pointers: line i stands below fence i.
 */
#ifndef TABLE_RANKS_H
#define TABLE_RANKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/coding.h"

#define RANKS_LINE       8u  /* numbers in a line */
#define RANKS_HEIGHT_MAX 22u /* 8 to the 22nd are more than there can be */

struct ranks {
    uint64_t
        *levels[RANKS_HEIGHT_MAX]; /* the lowest is the numbers, each in whole lines */
    unsigned height;
    size_t count;
    void *memory; /* that they are in */
    size_t bytes; /* of that */
};

/* Makes room for `count` numbers; levels[0] is to be filled with them, ascending, and
 * ranks_build called.  -ENOMEM.  ranks_fini frees it, and takes a zeroed one. */
int LSMKV_CHECKED ranks_reserve(struct ranks *ranks, size_t count);
void ranks_build(struct ranks *ranks);
void ranks_fini(struct ranks *ranks);

/* The index of the first number that is not below `least`, or `count`. */
size_t ranks_find(const struct ranks *ranks, uint64_t least);

#endif
