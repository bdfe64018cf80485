/*
 * place.h - the snapshots of a store for a command: by its daemon if it is mounted, else
 * by opening it.
 *
 *     place_open, any number of calls, place_close
 */
#ifndef FS_PLACE_H
#define FS_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lsmkv.h"

struct vfs;

struct place {
    const char *command; /* for messages */
    char store[PATH_MAX];
    struct vfs *vfs; /* NULL: mounted read-write, its daemon is asked */
};

struct place_snapshot {
    char name[LSMKV_NAME_MAX + 1];
    uint64_t id;
    int64_t time; /* of its making, nanoseconds since 1970 */
};

/* Finds the store that `given`, a store or a mount point, means.  The exit status
 * (mount.h); what went wrong has been said. */
LSMKV_CHECKED int place_open(struct place *place, const char *command, const char *given,
                             bool writing);
/* `status` is the command's so far, and is returned unless closing fails, which is
 * said. */
int place_close(struct place *place, int status);

/* -ENOENT, -EEXIST: of snapshots. */
LSMKV_CHECKED int place_create(const struct place *place, const char *name);
LSMKV_CHECKED int place_delete(const struct place *place, const char *name);
LSMKV_CHECKED int place_rename(const struct place *place, const char *from,
                               const char *to);

/* All of them, the newest last; free(*all) gives them back. */
LSMKV_CHECKED int place_list(const struct place *place, struct place_snapshot **all,
                             size_t *count);

/* What is different in snapshot `to` (NULL: now), as `diff` of snapshots.h has it, is
 * written to `file`, which then stands at its beginning. */
LSMKV_CHECKED int place_diff(const struct place *place, const char *from, const char *to,
                             FILE *file);

/* Says what is wrong with snapshot `name`, or with all of the store if it is
 * place->store; returns the exit status. */
int place_fail(const struct place *place, const char *name, int result);

#endif
