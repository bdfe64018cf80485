/*
 * statsfile.h - the files .lsmfs/stats, stats.json and stats.prom of a mount: stats.h, to
 * be read.
 *
 * Every lookup makes a node of its own, with the text as it is then, so that it has the
 * size that it shows, and whoever has it open reads on in the same text: the kernel may
 * keep its pages, and on a read-only mount, where it opens files without asking, nothing
 * else would tell it to drop them.  The node is like that of a file whose name is gone,
 * and goes when the kernel forgets it.
 */
#ifndef FS_STATSFILE_H
#define FS_STATSFILE_H

#include "vfs/op.h"
#include "vfs/stats.h"
#include "vfs/vfs.h"

/* Inode number of the file of each form; 2 to 4 are directories: snapdir.h, keysdir.h. */
#define STATSFILE_INO(form) (5u + (unsigned)(form))

/* In .lsmfs of the tree that is mounted; -ENOENT: it is none of these. */
LSMKV_CHECKED int statsfile_lookup(struct vfs *vfs, const struct node *directory,
                                   struct lsmkv_slice name, struct vfs_entry *entry);

#endif
