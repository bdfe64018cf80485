/*
 * deferred.c - see deferred.h.
 *
 * A node with deferred times stands in a list and holds a reference for it, so that the kernel
 * forgetting it does not lose them.  It stays in the list until a walk takes it out, even if
 * its times have been put by then: IN_LIST is the reference.  One without a name has no
 * record to put them in: its times stay with it until it goes, and no list holds it.
 *
 * T1  Who reads a record holds the tree's lock, but not always the node's, and asks here
 *     afterwards.  So times that were put without the kernel hearing of it stay here until
 *     every operation has ended that may have read the record before: else a lookup would
 *     answer with the old ones, and the kernel keep them.
 * T2  Nodes leave the list only in settle_list, in a walk, and walks come one after another: so
 *     a walk sees every node that was listed before it, and so does deferred_put_all_in.
 */
#include "vfs/deferred.h"

#include <errno.h>

#include "vfs/inode.h"

#define RELATIME_SECONDS (24 * 60 * 60)
#define SETTLE_NS        2000000 /* an operation that waits for nothing has ended by then */

/* Beside DEFERRED_* in node->deferred. */
#define IN_LIST 4u
#define IS_PUT  8u /* the record has the times, too (T1) */
#define TIMES   (DEFERRED_CHANGED | DEFERRED_ACCESSED | DEFERRED_TOLD)

static bool
is_later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

void
deferred_set(struct vfs *vfs, struct node *node, unsigned which, struct timespec when)
{
    bool fresh;

    pthread_mutex_lock(&vfs->deferred_mutex);
    if (which & DEFERRED_CHANGED &&
        (!(node->deferred & DEFERRED_CHANGED) || is_later(when, node->changed)))
        node->changed = when;
    if (which & DEFERRED_ACCESSED)
        node->accessed = when;
    fresh = !(node->deferred & IN_LIST) && !node->unlinked;
    node->deferred = (node->deferred | which) & ~IS_PUT;
    if (fresh) {
        node->deferred |= IN_LIST;
        node_ref(vfs->nodes, node);
        node->next_deferred = vfs->deferred;
        vfs->deferred = node;
    }
    pthread_mutex_unlock(&vfs->deferred_mutex);
    if (fresh)
        store_touch(vfs->store);
}

static bool
is_older(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec);
}

void
deferred_access(struct vfs *vfs, struct node *node, const struct attr *attr)
{
    struct timespec now;

    if (vfs->atime == VFS_NOATIME || (vfs->nodiratime && node->directory) ||
        node->view->snapshot || node->realm != REALM_TREE)
        return;
    /* Reading alone does not make a record of ours of a plain value, nor rewrite a large one
     * that is still in its record. */
    if (!node->unlinked &&
        (attr->plain || (attr->data.kind == ATTR_INLINE && S_ISREG(attr->mode) &&
                         attr->data.size > DATA_INLINE_MAX)))
        return;
    now = vfs_now(vfs);
    if (vfs->atime == VFS_STRICTATIME || is_older(attr->atime, attr->mtime) ||
        is_older(attr->atime, attr->ctime) ||
        now.tv_sec - attr->atime.tv_sec >= RELATIME_SECONDS)
        deferred_set(vfs, node, DEFERRED_ACCESSED, now);
}

/* The node's lock is held exclusively, here and in the next two. */
void
deferred_told(struct node *node, const struct attr *attr)
{
    node->modified = attr->mtime;
    node->changed = attr->ctime;
    node->told = true;
}

void
deferred_touch(const struct vfs *vfs, struct node *node, struct attr *attr)
{
    if (vfs->writeback && !node->told)
        deferred_told(node, attr); /* what it was told, it has */
    attr->mtime = attr->ctime = store_now();
}

void
deferred_touched(struct vfs *vfs, struct node *node)
{
    if (vfs->writeback)
        deferred_set(vfs, node, DEFERRED_TOLD, node->changed);
}

void
deferred_apply(struct vfs *vfs, struct node *node, struct attr *attr)
{
    if ((node->deferred & TIMES) == 0)
        return;
    pthread_mutex_lock(&vfs->deferred_mutex);
    if (node->deferred & DEFERRED_CHANGED)
        attr->mtime = attr->ctime = node->changed;
    if (node->deferred & DEFERRED_TOLD) {
        attr->mtime = node->modified;
        attr->ctime = node->changed;
    }
    if (node->deferred & DEFERRED_ACCESSED)
        attr->atime = node->accessed;
    pthread_mutex_unlock(&vfs->deferred_mutex);
}

void
deferred_clear(struct vfs *vfs, struct node *node)
{
    if ((node->deferred & TIMES) == 0)
        return;
    pthread_mutex_lock(&vfs->deferred_mutex);
    node->deferred &= IN_LIST;
    pthread_mutex_unlock(&vfs->deferred_mutex);
}

/* The node's lock is held exclusively. */
static int
put_in(struct op *op, struct node *node)
{
    struct inode inode;
    int result;

    if ((node->deferred & TIMES) == 0 || node->deferred & IS_PUT || node->unlinked)
        return 0;
    op->small = true;
    result = inode_of(op, 0, node, INODE_VALUE, &inode);
    if (result == 0)
        result = inode_put(op, &inode);
    op->puts_count = 0; /* they stay (T1) */
    if (result == 0)
        result = op_publish(op, false);
    inode_fini(&inode);
    lsmkv_batch_clear(op->batch);
    if (result == -ENOENT || result == -ESTALE)
        result = 0; /* nothing is there any more to put them in */
    if (result == 0)
        node->deferred |= IS_PUT;
    return result;
}

int
deferred_put(struct vfs *vfs, struct node *node)
{
    struct op *op = op_begin(vfs);
    int result;

    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, true);
    result = put_in(op, node);
    op_end(op);
    return result;
}

static struct node *
first_listed(struct vfs *vfs)
{
    struct node *node;

    pthread_mutex_lock(&vfs->deferred_mutex);
    node = vfs->deferred;
    pthread_mutex_unlock(&vfs->deferred_mutex);
    return node;
}

/* Takes the nodes whose times are in their records off the list, and forgets these.  No
 * operation runs (T1), so nobody else is at the list. */
static void
settle_list(struct vfs *vfs)
{
    struct node **slot = &vfs->deferred, *node;

    while ((node = *slot)) {
        if (node->deferred & TIMES && !(node->deferred & IS_PUT) && !node->unlinked) {
            slot = &node->next_deferred;
            continue;
        }
        *slot = node->next_deferred;
        node->deferred = node->unlinked ? node->deferred & TIMES : 0;
        node_unref(vfs->nodes, node, 1);
    }
    /* Those that changed again or could not be put. */
    if (vfs->deferred)
        store_touch(vfs->store);
}

/* Exclusively, unless that takes long: who waits for it keeps everybody else waiting, and some
 * operations wait for the disk.  The list can be settled at any later time. */
static bool
lock_briefly(pthread_rwlock_t *lock)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += SETTLE_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    return pthread_rwlock_timedwrlock(lock, &until) == 0;
}

int
deferred_put_all(struct vfs *vfs)
{
    struct node *listed;
    int first = 0;

    pthread_mutex_lock(&vfs->walk_mutex);
    listed = first_listed(vfs);
    for (struct node *node = listed; node; node = node->next_deferred) {
        int result = deferred_put(vfs, node);

        if (result < 0 && first == 0)
            first = result;
    }
    if (listed && lock_briefly(&vfs->tree)) {
        settle_list(vfs);
        pthread_rwlock_unlock(&vfs->tree);
    } else if (listed) {
        store_touch(vfs->store);
    }
    pthread_mutex_unlock(&vfs->walk_mutex);
    return first;
}

bool
deferred_let_go(struct vfs *vfs)
{
    bool any = false;

    pthread_mutex_lock(&vfs->walk_mutex);
    for (struct node *node = first_listed(vfs); node && !any; node = node->next_deferred)
        any = node->unlinked;
    if (any && lock_briefly(&vfs->tree)) {
        settle_list(vfs);
        pthread_rwlock_unlock(&vfs->tree);
    }
    pthread_mutex_unlock(&vfs->walk_mutex);
    return any;
}

int
deferred_put_all_in(struct op *op)
{
    int first = 0;

    for (struct node *node = op->vfs->deferred; node; node = node->next_deferred) {
        int result = put_in(op, node);

        if (node->deferred & IS_PUT)
            node->deferred = IN_LIST; /* a walk may be at the list: the node stays */
        if (result < 0 && first == 0)
            first = result;
    }
    return first;
}

void
deferred_drop_all_in(struct op *op)
{
    for (struct node *node = op->vfs->deferred; node; node = node->next_deferred)
        node->deferred = IN_LIST;
}
