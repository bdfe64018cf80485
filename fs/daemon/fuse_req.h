/*
 * fuse_req.h - what every handler of a request works with: nodes and callers of a
 * request, errors, a buffer for the reply.
 */
#ifndef FS_FUSE_REQ_H
#define FS_FUSE_REQ_H

#include "daemon/fuse_ops.h"

struct vfs *req_vfs(fuse_req_t req);
const struct shown *req_shown(fuse_req_t req);

/* A node id is the node's address, but the root's, which is 1. */
struct node *req_node(fuse_req_t req, fuse_ino_t ino);
fuse_ino_t req_id(struct vfs *vfs, const struct node *node);

/* Who asks; good while the request is. */
struct vfs_caller req_caller(fuse_req_t req);

/* Answers with an errno, or 0.  Damage is an input or output error to programs. */
void req_reply(fuse_req_t req, int result);

/* Is a change that had this result to be tried again?  Whoever removes a file and at once
 * writes another finds the disk full, for what was removed comes free a little later. */
bool req_again(fuse_req_t req, int result, unsigned *tries);

/* At least `size` bytes until the next call on this thread; NULL: no memory. */
char *req_buffer(size_t size);
/* The same for the reply to a request that has neither names nor contents. */
char *req_reply_buffer(size_t size);

#endif
