/*
 * snapdir.h - the directory .snapshots: one entry a named snapshot, below each the tree
 * as it was.  mkdir in it takes a snapshot, rmdir drops one, rename renames one.
 *
 * Names come checked (op_name); `directory` is the node of .snapshots.  Results as of
 * vfs.h.
 */
#ifndef FS_SNAPDIR_H
#define FS_SNAPDIR_H

#include "vfs/op.h"
#include "vfs/vfs.h"

#define SNAPDIR_INO 2u

/* The snapshot that `lsmfs backup` takes and drops: one after the other with this name,
 * and a file has the same inode number in all of them. */
#define SNAPDIR_BACKUP ".backup"
bool snapdir_is_backup(const char *name);

/* The node of .snapshots itself, with one more reference; NULL: out of memory. */
struct node *snapdir_enter(struct vfs *vfs);
LSMKV_CHECKED int snapdir_getattr(struct vfs *vfs, struct stat *st);
LSMKV_CHECKED int snapdir_lookup(struct vfs *vfs, struct node *directory,
                                 struct lsmkv_slice name, struct vfs_entry *entry);
LSMKV_CHECKED int snapdir_mkdir(struct vfs *vfs, struct node *directory,
                                struct lsmkv_slice name, struct vfs_entry *entry);
LSMKV_CHECKED int snapdir_rmdir(struct vfs *vfs, struct node *directory,
                                struct lsmkv_slice name);
LSMKV_CHECKED int snapdir_rename(struct vfs *vfs, struct node *directory,
                                 struct lsmkv_slice name, struct lsmkv_slice new_name,
                                 unsigned flags);
/* As vfs_readdir without plus (the kernel must not keep what it would be told); a cookie
 * is the snapshot's id from LISTING_FIRST on, 1 and 2 are "." and "..". */
LSMKV_CHECKED int snapdir_readdir(struct vfs *vfs, uint64_t cookie,
                                  bool (*add)(void *context,
                                              const struct vfs_listed *listed),
                                  void *context);

/* Opens a snapshot as a view; -ENOENT.  view_free gives it back. */
LSMKV_CHECKED int view_open(struct store *store, const char *name, bool permuted,
                            struct view **view);
void view_free(struct store *store, struct view *view);

#endif
