/*
 * compact.h - merging all of a store's tables, a slice of its keys after the other: so
 * that it can be ended in between, writers need not wait for the whole, and it takes the
 * space of a slice.
 */
#ifndef FS_COMPACT_H
#define FS_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"

struct compact_report {
    /* Called between slices, and while they are looked for: then `total` is 0 and `done`
     * a number of records.  False: to go no further. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/* Bytes of tables, blob files and logs. */
struct compact_sizes {
    uint64_t before, after;
};

/* -ECANCELED: it was ended; what was merged stays so.  Errors of the store. */
LSMKV_CHECKED int compact_store(struct lsmkv *db, const struct compact_report *report,
                                struct compact_sizes *sizes);

#endif
