/*
 * mend.h - the filesystem's own invariants in a store that lsmkv_repair has made: records
 * of it are missing, and what others say of them is wrong.
 *
 * What can be set right without guessing at contents is: counts, notes, and who owns
 * what.  What has lost its name is put into the directory lost+found; a chunk that is
 * lost reads as an error, not as zeros; of two records of one file the newer one keeps its
 * contents, and of two files that claim the same contents each gets them.  A name whose
 * file is lost stays, and reads as an error.
 */
#ifndef FS_MEND_H
#define FS_MEND_H

#include <stddef.h>

#include "check/fsck.h"
#include "lsmkv.h"
#include "store/store.h"

struct mend_report {
    void (*mended)(void *context, const char *where, const char *text);
    /* Of file `where` (a path, or "inode 12") contents are lost, or may be older. */
    void (*lost)(void *context, const char *where, const char *text);
    /* What is still wrong at the end. */
    void (*left)(void *context, const struct fsck_finding *finding);
    void (*progress)(void *context, uint64_t records); /* may be NULL */
    void *context;
};

/* What was lost of `chunks`: records with keys from `first` to before `last`, or to
 * `last`.  NULL data: no bound is known. */
struct mend_loss {
    struct lsmkv_slice first, last;
    bool last_too;
    uint64_t sequence; /* of what was lost, at most */
};

/* Makes, in a store that lsmfs has written to, what store_open needs: keyspaces, the
 * format, and counters above every number that is in use.  `*ours`: it is such a
 * store. */
LSMKV_CHECKED int mend_prepare(struct lsmkv *db, const struct mend_report *report,
                               bool *ours);

/* Mends the store, which nobody else uses; `count` losses are known. */
LSMKV_CHECKED int mend_store(struct store *store, const struct mend_loss *losses,
                             size_t count, const struct mend_report *report);

#endif
