/*
 * snapshots.h - what commands do to the named snapshots of a store: the daemon's, of a mounted
 * one, and the commands' own, of one that they open.
 *
 *     snapshot-create NAME        as mkdir, rmdir and mv in .snapshots
 *     snapshot-delete NAME
 *     snapshot-rename FROM/TO
 *     snapshots                   a line each, in order of creation: "ID NANOSECONDS NAME", the
 *                                 time of its making since 1970, the name coded (wire_encode)
 */
#ifndef FS_SNAPSHOTS_H
#define FS_SNAPSHOTS_H

#include <stdio.h>

#include "vfs.h"

/* Carries out one of those; the list goes to `out` (NULL for the others).  -EPROTO: none of
 * them.  -ENOENT and -EEXIST: of snapshots; -EINVAL, -ENAMETOOLONG: not a name. */
LSMKV_CHECKED int snapshots_do(struct vfs *vfs, const char *command,
                               struct lsmkv_slice argument, FILE *out);

#endif
