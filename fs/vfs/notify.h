/*
 * notify.h - telling the kernel to forget, from a thread of its own: a request's handler
 * that did it would wait for itself.
 */
#ifndef FS_NOTIFY_H
#define FS_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "vfs/node.h"
#include "vfs/vfs.h"

struct notices;

/* `nodes` and `limit`: above so many nodes the kernel is asked to forget the oldest. */
struct notices *notices_new(struct nodes *nodes, size_t limit);
/* After notices_stop, or if it was never started. */
void notices_free(struct notices *notices);

LSMKV_CHECKED int notices_start(struct notices *notices, const struct vfs_notify *notify);
/* Drops what is queued; returns when no call is under way. */
void notices_stop(struct notices *notices);

/* Queues: the entry `name` of `node`, or, with an empty name, the node's attributes,
 * pages and listing.  Takes a reference of its own.  Nothing happens while nobody
 * listens, and when there is no memory: the kernel then goes on believing what it
 * knew. */
void notices_add(struct notices *notices, struct node *node, struct lsmkv_slice name);
/* The same, but when there is no memory it waits until what is queued has been told.  From where
 * notices_wait may be called. */
void notices_tell(struct notices *notices, struct node *node, struct lsmkv_slice name);
/* Queues `work`, which asks the kernel for something and waits while it does it: for
 * requests that it makes meanwhile, so not from the handler of one.  Called with NULL
 * instead if nobody listens any more.  The node has a reference until it returns.
 * -ESHUTDOWN: nobody listens now. -ENOMEM. */
typedef void notices_work(void *context, const struct vfs_notify *notify);
LSMKV_CHECKED int notices_ask(struct notices *notices, struct node *node,
                              notices_work *work, void *context);
/* Returns when what is queued has been told.  Not from the handler of a request, for
 * which the kernel would wait meanwhile. */
void notices_wait(struct notices *notices);
/* There are more nodes than before: looks at the limit. */
void notices_count(struct notices *notices);
/* Are there so many nodes that who lists a directory must not add to them?  Above the limit, if
 * forgetting in it has to wait for those who list it; else, by `prune`, a quarter above. */
bool notices_crowded(const struct notices *notices);

#endif
