/*
 * fsck.h - the filesystem's own invariants, held against one state of a store: every record of
 * `default`, `inodes` and `chunks` is read, and each is looked for that another speaks of.  What
 * the engine promises of its files is lsmkv_check's, and comes first.
 *
 * Memory: 16 bytes a record of `default` or inode record with attributes, 8 more a name of a file
 * with several, 48 more a file in chunks or an orphan; for a million files from 16 to 72 MB.  No
 * file's contents are held.
 */
#ifndef FS_FSCK_H
#define FS_FSCK_H

#include <stdint.h>

#include "lsmkv.h"
#include "store.h"

struct fsck_finding {
    enum lsmkv_severity severity;
    const char *where; /* "a/b" (printable), "inode 12", "data 7"; holds for the call */
    const char *text;
};

struct fsck_report {
    void (*finding)(void *context, const struct fsck_finding *finding);
    /* Records read so far; NULL: not wanted. */
    void (*progress)(void *context, uint64_t records);
    void *context;
};

/* Checks the state that `snapshot` sees (NULL: the newest) of a store that nobody changes.
 * `*damage` gets the number of findings that are damage.  A negative errno if it cannot be read to
 * its end. */
LSMKV_CHECKED int fsck_run(struct store *store, const struct lsmkv_snapshot *snapshot,
                           const struct fsck_report *report, uint64_t *damage);

#endif
