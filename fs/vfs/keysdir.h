/*
 * keysdir.h - .lsmfs/keys: the values that have no path, because their key is no path or
 * has keys below it, one file each under a coded name (key.h).  They can be read,
 * rewritten and removed, nothing else.  Not listed.
 *
 * What a name here shows depends on what else is below its key, so the kernel keeps
 * neither entries nor attributes.  Modes on the path that a key resembles do not guard it
 * here: only the owner of the daemon may enter.
 *
 * Such a file may share its record with a directory; operations on it hold the tree
 * exclusively, which stands for both locks.
 */
#ifndef FS_KEYSDIR_H
#define FS_KEYSDIR_H

#include "vfs/inode.h"
#include "vfs/op.h"
#include "vfs/vfs.h"

#define KEYSDIR_INO      3u /* .lsmfs */
#define KEYSDIR_KEYS_INO 4u /* .lsmfs/keys */

/* The node of .lsmfs in the tree of `root`, with one more reference; NULL: out of
 * memory. */
struct node *keysdir_enter(struct vfs *vfs, struct node *root);
/* In .lsmfs, .lsmfs/keys or a directory below. */
LSMKV_CHECKED int keysdir_lookup(struct vfs *vfs, struct node *parent,
                                 struct lsmkv_slice name, struct vfs_entry *entry);
/* Of a directory of these. */
void keysdir_stat(struct vfs *vfs, const struct node *node, struct stat *st);
/* What a file here is, as inode_of; it uses keys[slot]. */
LSMKV_CHECKED int keysdir_inode(struct op *op, unsigned slot, struct node *node,
                                enum inode_want want, struct inode *inode);
LSMKV_CHECKED int keysdir_unlink(struct vfs *vfs, struct node *parent,
                                 struct lsmkv_slice name);

#endif
