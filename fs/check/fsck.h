/*
 * fsck.h - the filesystem's own invariants, held against one state of a store: every
 * record of `default`, `inodes` and `chunks` is read, and each is looked for that another
 * speaks of.  What the engine promises of its files is lsmkv_check's, and comes first.
 *
 * Memory: 16 bytes a record of `default` or inode record with attributes, 8 more a name
 * of a file with several, 48 more a file in chunks or an orphan; for a million files from
 * 16 to 72 MB.  No file's contents are held.
 */
#ifndef FS_FSCK_H
#define FS_FSCK_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"
#include "store/store.h"

/* What is wrong in a way that mend.c knows how to set right.  `number` is an inode's or a
 * data id, `value` what is to be in place of what is there. */
enum fsck_problem {
    FSCK_UNMENDABLE,
    FSCK_SUBDIRS,       /* of the directory `key`: the count of subdirectories */
    FSCK_NAMELESS,      /* an inode that no name leads to */
    FSCK_NO_INODE,      /* the name `key` leads to an inode that is not there */
    FSCK_LINKS,         /* an inode: the count of its names */
    FSCK_TWO_INODES,    /* two records have the inode number */
    FSCK_NOTE_UNUSED,   /* an inode number is noted as in use */
    FSCK_NOTE_MISSING,  /* ... and is not */
    FSCK_XATTR_UNOWNED, /* an inode that is not there has an extended attribute */
    FSCK_TWO_OWNERS,    /* two records have the data id */
    FSCK_UNOWNED,       /* nobody has the data id, which has chunks */
    FSCK_PAST_END,      /* of a data id: there are contents up to here */
    FSCK_CHUNKS, /* of a data id: so many chunks there are, more than its file says */
};

struct fsck_finding {
    enum lsmkv_severity severity;
    const char *where; /* "a/b" (printable), "inode 12", "data 7"; holds for the call */
    const char *text;
    enum fsck_problem problem;
    uint64_t number, value;
    struct lsmkv_slice key; /* of `default`, if it is of one; holds for the call */
};

/* A file in chunks; if it has fewer than it says, the others are holes, or lost. */
struct fsck_contents {
    uint64_t id, ino, size;
    uint64_t chunks, found;
};

struct fsck_report {
    void (*finding)(void *context, const struct fsck_finding *finding);
    /* Records read so far; NULL: not wanted.  False: to go no further. */
    bool (*progress)(void *context, uint64_t records);
    void *context;
    bool salvaging; /* what cannot be read is passed over; the engine has told of it */
    /* Each file in chunks; NULL: not wanted. */
    void (*contents)(void *context, const struct fsck_contents *contents);
};

/* Checks the state that `snapshot` sees (NULL: the newest, of a store that nobody
 * changes). `*damage` gets the number of findings that are damage.  A negative errno if
 * it cannot be read to its end, -ECANCELED if `progress` ended it. */
LSMKV_CHECKED int fsck_run(struct store *store, const struct lsmkv_snapshot *snapshot,
                           const struct fsck_report *report, uint64_t *damage);

/* The same of each snapshot that has a name, which `begin` is told before its findings
 * come. */
LSMKV_CHECKED int fsck_run_named(struct store *store, const struct fsck_report *report,
                                 void (*begin)(void *context, const char *name));

/* A key as one printable word; what has no room is cut. */
void fsck_print_key(struct lsmkv_slice key, char *out, size_t size);

#endif
