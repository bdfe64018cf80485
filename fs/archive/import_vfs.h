/*
 * import_vfs.h - importing into a store that is not mounted, through the filesystem's own
 * calls: whoever runs it, owners and devices are those of the archive.
 */
#ifndef FS_IMPORT_VFS_H
#define FS_IMPORT_VFS_H

#include "archive/import_tree.h"
#include "vfs/vfs.h"

/* `vfs` has `acl`, or lists are told to be lost; it outlives this.  NULL: no memory. */
struct import_tree *import_vfs_new(struct vfs *vfs);
void import_vfs_free(struct import_tree *tree);

#endif
