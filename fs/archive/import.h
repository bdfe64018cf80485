/*
 * import.h - a tar archive's files put into a store: modes, owners (by number), times,
 * links, devices, extended attributes, access control lists; zeros become holes.
 *
 * import.c reads the archive and says what each name is in the store; import_make.h makes
 * it there, in a tree (import_tree.h), which is a store that is not mounted or a mount.
 */
#ifndef FS_IMPORT_H
#define FS_IMPORT_H

#include "archive/import_tree.h"

struct import_report {
    /* `path` of the archive is not there, or not as it should be: `why`, one line.  Both
     * may have any bytes in them. */
    void (*failed)(void *context, const char *path, const char *why);
    /* Now and then: bytes of the file descriptor that were read, and entries. */
    void (*progress)(void *context, uint64_t bytes, uint64_t entries);
    /* Is the import to end where it is? */
    bool (*stopped)(void *context);
    void *context;
};

struct import_place {
    struct import_tree *tree;
    const char *directory; /* that it goes into, a clean path; "": all of the tree */
    /* The tree's root is the store's, where .snapshots and .lsmfs are; no part of it that
     * is bound elsewhere. */
    bool is_whole;
};

/* Entries of which something was told, and all others. */
struct import_counts {
    uint64_t put, failed;
};

struct import;

/* Makes of `path` a clean one below `directory`, which is clean or "": names with a '/'
 * between, or "." for the directory that all others are in.  NULL: it has a ".." (errno
 * EINVAL), or there is no memory. */
char *import_clean(const char *directory, const char *path);

/* Begins to read an archive, so that one that is none is told before a store is made.
 * -EBADMSG: it is none, or cannot be read, and `why` says so; -ECANCELED: stopped.  `fd`
 * and `report` outlive it. */
LSMKV_CHECKED int import_open(int fd, const struct import_report *report,
                              struct import **import, char *why, size_t why_size);

/* Puts all of it there.  -EBADMSG as above, or it breaks off in an entry; what came before
 * is there.  -ECANCELED: stopped, likewise.  Other errors were told: nothing more can be
 * written. */
LSMKV_CHECKED int import_into(struct import *import, const struct import_place *place,
                              struct import_counts *counts, char *why, size_t why_size);

/* NULL is nothing. */
void import_close(struct import *import);

#endif
