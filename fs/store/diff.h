/*
 * diff.h - what differs between two states of a store's tree, found from sequence
 * numbers: it reads what was written between the two, not the tree.  Only if something
 * changed of a file with several names are all names read once, for nobody knows which
 * are its.
 *
 * A file or directory is *modified* if anything that stat(2) shows of it is different,
 * access and change time apart (of a directory its number of links, too), or its
 * contents, its target or its extended attributes are; also if another file took its
 * name.  What was renamed is removed and added; so is what became another kind of file.
 *
 * Where it is not exact.  Told though all is as it was: a file that was emptied and
 * written again with the same bytes and times; one whose extended attributes were set
 * again in another order.  Not told, for contents are known by their file's record, which
 * every write puts along: that `lsmfs repair` marked a part of a file as lost, or that a
 * program changed chunks by the C API.  Nor that a directory which only keys imply was
 * replaced by one with the same keys.
 */
#ifndef FS_DIFF_H
#define FS_DIFF_H

#include <stdbool.h>
#include <sys/types.h>

#include "lsmkv.h"
#include "store/store.h"

enum diff_kind {
    DIFF_ADDED = '+',
    DIFF_REMOVED = '-',
    DIFF_MODIFIED = 'M',
    DIFF_DAMAGED =
        '!', /* its record, or what that refers to, cannot be read at one of them */
};

struct diff_entry {
    enum diff_kind kind;
    mode_t mode; /* of what was removed, as it was; 0 of what is damaged */
    /* From the root, which is the empty path; below KEY_PRIVATE "/keys/" for values that
     * have no path of their own, as a mount shows them.  Holds for the call. */
    struct lsmkv_slice path;
};

struct diff_calls {
    /* A result other than 0 ends it. */
    int (*each)(void *context, const struct diff_entry *entry);
    /* Asked now and then; false: to go no further. */
    bool (*go_on)(void *context);
    void *context;
};

/* Calls `each` for every difference on the way from `from` to `to`, either of which may
 * be the older, in path order; returns the result that ended it.  -ECANCELED: of go_on.
 * What is damaged is told and passed; an error is what ends the walk itself. */
LSMKV_CHECKED int diff_trees(struct store *store, const struct lsmkv_snapshot *from,
                             const struct lsmkv_snapshot *to,
                             const struct diff_calls *calls);

#endif
