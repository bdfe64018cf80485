/*
 * snapshots.h - what commands do to the named snapshots of a store: the daemon's, of a
 * mounted one, and the commands' own, of one that they open.
 *
 *     snapshot-create NAME        as mkdir, rmdir and mv in .snapshots
 *     snapshot-delete NAME
 *     snapshot-rename FROM/TO
 *     snapshots                   a line each, in order of creation: "ID NANOSECONDS NAME", the
 *                                 time of its making since 1970, the name coded
 *                                 (wire_encode)
 *     diff FROM/TO                what is different in TO (none: now): of each difference three
 *                                 parts, the last one ended by a NUL: the letter of its
 *                                 kind (diff.h), one for the type as `ls -l` has it, the
 *                                 path
 */
#ifndef FS_SNAPSHOTS_H
#define FS_SNAPSHOTS_H

#include <stdbool.h>
#include <stdio.h>

#include "vfs/vfs.h"

/* Carries out one of those; the list goes to `out` (NULL for the others).  -EPROTO: none
 * of them.  -ENOENT and -EEXIST: of snapshots; -EINVAL, -ENAMETOOLONG: not a name. */
LSMKV_CHECKED int snapshots_do(struct vfs *vfs, const char *command,
                               struct lsmkv_slice argument, FILE *out);

struct snapshots_output {
    FILE *out;
    bool (*go_on)(
        void *context); /* asked now and then; false: to go no further.  NULL: on */
    void *context;
};

/* Carries out `diff` with that argument.  -EPROTO: it is malformed; -ENOENT: of
 * snapshots, and of nothing else; -ECANCELED.  Now is without those times of directories
 * that could not be put, on a full disk or after a failed sync. */
LSMKV_CHECKED int snapshots_diff(struct vfs *vfs, struct lsmkv_slice argument,
                                 const struct snapshots_output *output);

#endif
