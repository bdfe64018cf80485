/*
 * deferred.c - see deferred.h.
 *
 * A node with deferred times stands in a list and holds a reference for it, so that the kernel
 * forgetting it does not lose them.  It stays in the list until a walk takes it out, even if
 * its times have been put by then: `in_list` is the reference.  One without a name has no
 * record to put them in: its times stay with it until it goes, and no list holds it.
 */
#include "deferred.h"

#include <errno.h>

#include "inode.h"

#define RELATIME_SECONDS (24 * 60 * 60)
#define IN_LIST          4u /* beside DEFERRED_*: node->deferred */

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
    node->deferred |= which;
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

    if (vfs->noatime || node->view->snapshot || node->realm != REALM_TREE)
        return;
    /* Reading alone does not make a record of ours of a plain value, nor rewrite a large one
     * that is still in its record. */
    if (!node->unlinked &&
        (attr->plain || (attr->data.kind == ATTR_INLINE && S_ISREG(attr->mode) &&
                         attr->data.size > DATA_INLINE_MAX)))
        return;
    now = store_now();
    if (is_older(attr->atime, attr->mtime) || is_older(attr->atime, attr->ctime) ||
        now.tv_sec - attr->atime.tv_sec >= RELATIME_SECONDS)
        deferred_set(vfs, node, DEFERRED_ACCESSED, now);
}

void
deferred_apply(struct vfs *vfs, struct node *node, struct attr *attr)
{
    if ((node->deferred & ~IN_LIST) == 0)
        return;
    pthread_mutex_lock(&vfs->deferred_mutex);
    if (node->deferred & DEFERRED_CHANGED)
        attr->mtime = attr->ctime = node->changed;
    if (node->deferred & DEFERRED_ACCESSED)
        attr->atime = node->accessed;
    pthread_mutex_unlock(&vfs->deferred_mutex);
}

void
deferred_clear(struct vfs *vfs, struct node *node)
{
    if ((node->deferred & ~IN_LIST) == 0)
        return;
    pthread_mutex_lock(&vfs->deferred_mutex);
    node->deferred &= IN_LIST;
    pthread_mutex_unlock(&vfs->deferred_mutex);
}

int
deferred_put(struct op *op, struct node *node)
{
    struct inode inode;
    int result;

    if ((node->deferred & ~IN_LIST) == 0 || node->unlinked)
        return 0;
    op->small = true;
    result = inode_of(op, 0, node, INODE_VALUE, &inode);
    if (result == 0)
        result = inode_put(op, &inode);
    if (result == 0)
        result = op_publish(op, false);
    inode_fini(&inode);
    lsmkv_batch_clear(op->batch);
    return result == -ENOENT || result == -ESTALE ? 0 : result;
}

static struct node *
take_list(struct vfs *vfs)
{
    struct node *list;

    pthread_mutex_lock(&vfs->deferred_mutex);
    list = vfs->deferred;
    vfs->deferred = NULL;
    pthread_mutex_unlock(&vfs->deferred_mutex);
    return list;
}

/* Off a list that was taken: until now the node kept IN_LIST, so nobody used its link. */
static struct node *
pop(struct vfs *vfs, struct node **list)
{
    struct node *node = *list;

    if (!node)
        return NULL;
    pthread_mutex_lock(&vfs->deferred_mutex);
    *list = node->next_deferred;
    node->deferred &= ~IN_LIST;
    pthread_mutex_unlock(&vfs->deferred_mutex);
    return node;
}

/* Puts the node's times, or keeps them for the next time. */
static int
put_or_keep(struct op *op, struct node *node)
{
    unsigned which = node->deferred;
    struct timespec changed = node->changed, accessed = node->accessed;
    int result = deferred_put(op, node);

    if (result < 0 && which & DEFERRED_CHANGED)
        deferred_set(op->vfs, node, DEFERRED_CHANGED, changed);
    if (result < 0 && which & DEFERRED_ACCESSED)
        deferred_set(op->vfs, node, DEFERRED_ACCESSED, accessed);
    return result;
}

int
deferred_put_all(struct vfs *vfs)
{
    struct node *list = take_list(vfs), *node;
    int first = 0;

    while ((node = pop(vfs, &list))) {
        struct op *op = op_begin(vfs);
        int result = -ENOMEM;

        if (op) {
            op_lock_node(op, node, true);
            result = put_or_keep(op, node);
            op_end(op);
        }
        node_unref(vfs->nodes, node, 1);
        if (result < 0 && first == 0)
            first = result;
    }
    return first;
}

int
deferred_put_all_in(struct op *op)
{
    struct node *list = take_list(op->vfs), *node;
    int first = 0;

    while ((node = pop(op->vfs, &list))) {
        int result = put_or_keep(op, node);

        node_unref(op->vfs->nodes, node, 1);
        if (result < 0 && first == 0)
            first = result;
    }
    return first;
}
