/*
 * beside.h - a store that is open, read once more beside its use: with caches of its own, and what is
 * wrong with its files is told to who asked, not to the store's log.
 */
#ifndef REPAIR_BESIDE_H
#define REPAIR_BESIDE_H

#include "db/db.h"

/* Embedded; zero it to begin. */
struct beside {
    /* Of the same directory, read-only, without state: take_state is the caller's. */
    struct lsmkv *db;
    /* What the store consists of, but for what is in memory and in the logs.  It stays on the disk as
     * long as this does, for the views are held. */
    struct manifest_edit state;
    struct view **views;
    size_t count;
    struct lsmkv *of;
};

/* `salvage` and `log` as in struct lsmkv_options.  -EINVAL: `of` was opened with salvage.  Whatever
 * the result, beside_close is the caller's: it deletes the files that only this has kept. */
int LSMKV_CHECKED beside_open(struct beside *beside, struct lsmkv *of, bool salvage,
                              void (*log)(void *context, enum lsmkv_level level,
                                          const char *line),
                              void *log_context) LSMKV_EXCLUDES(of->mutex);
void beside_close(struct beside *beside) LSMKV_EXCLUDES(beside->of->mutex);

#endif
