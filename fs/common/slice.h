/*
 * slice.h - whether bytes are the same.
 */
#ifndef FS_SLICE_H
#define FS_SLICE_H

#include <stdbool.h>
#include <string.h>

#include "lsmkv.h"

static inline bool
slices_equal(struct lsmkv_slice a, struct lsmkv_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool
slice_is(struct lsmkv_slice slice, const char *text)
{
    return slices_equal(slice, lsmkv_str(text));
}

#endif
