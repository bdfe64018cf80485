/*
 * array.h - arrays that grow, and what they are searched and sorted by.
 *
 * An array carries a count alone: it grows when its count is a power of two, to twice that, so
 * the room behind `count` elements is always at least the next power of two.
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Makes room for one more element behind `count` of `size` bytes.  The array, moved or not; NULL:
 * no memory, and it is as it was. */
static inline void *
array_grown(void *array, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return array;
    return reallocarray(array, count == 0 ? 1 : 2 * count, size);
}

/* For qsort and bsearch of uint64_t. */
static inline int
compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

#endif
