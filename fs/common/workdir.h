/*
 * workdir.h - where a new store is made before it has its name, so that whatever has the
 * name is whole.
 *
 *     NEW.unfinished/          made first; 0700
 *         UNFINISHED           says what it is; locked while it is being worked in
 *         store/               the new store, renamed to NEW when it is whole
 *
 * What an interrupted one left is known by the file UNFINISHED, and is replaced.
 */
#ifndef FS_WORKDIR_H
#define FS_WORKDIR_H

#include "lsmkv.h"

struct workdir {
    char *target; /* NEW */
    char *path;   /* NEW.unfinished */
    char *store;  /* NEW.unfinished/store, which is not made here */
    int mark;     /* descriptor of the file, locked */
};

/* `target` must be missing or an empty directory.  On failure `why` says in words what
 * went wrong, and nothing of ours is left. */
LSMKV_CHECKED int workdir_make(struct workdir *work, const char *target, char *why,
                               size_t why_size);

/* Gives the new store, which is closed, the owner of the directory `like`, as far as we
 * may, then its name, durably, and removes the rest.  -ENOTEMPTY, -EEXIST, -ENOTDIR:
 * somebody else has taken the name meanwhile.  On failure workdir_drop is still to be
 * called. */
LSMKV_CHECKED int workdir_publish(struct workdir *work, const char *like);

/* Removes all of it, and frees; after workdir_publish it only frees. */
void workdir_drop(struct workdir *work);

#endif
