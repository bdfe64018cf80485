/*
 * fuse_attr.h - attributes in replies, and the requests for them.
 */
#ifndef FS_FUSE_ATTR_H
#define FS_FUSE_ATTR_H

#include "daemon/fuse_req.h"

#define ATTR_FOR_EVER 1e9 /* seconds */

/* What the kernel gets of an entry. */
struct fuse_entry_param attr_entry(fuse_req_t req, const struct vfs_entry *entry);

void attr_on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void attr_on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *change, int to_set,
                     struct fuse_file_info *fi);
/* STATX, which is handed over as BMAP: see newer.h. */
void attr_on_statx(fuse_req_t req, fuse_ino_t ino, size_t block_size, uint64_t block);

#endif
