/*
 * vfs_rename.c - rename(2), with RENAME_NOREPLACE and RENAME_EXCHANGE.
 *
 * The tree is held exclusively from reading what is renamed until its node has the new
 * name, so nobody builds a path that is half old and half new.  Whatever is renamed gets
 * a new record at the new key (its ctime changes); what is below a directory moves by
 * reference.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>

#include "vfs/deferred.h"
#include "vfs/dir.h"
#include "vfs/inode.h"
#include "vfs/op.h"
#include "vfs/remove.h"
#include "vfs/snapdir.h"
#include "vfs/vfs.h"

/* One of the two names. */
struct side {
    struct dir dir;
    struct inode inode; /* what is there */
    struct node *node;  /* with a reference; NULL: nothing is there */
    bool directory;
    bool full; /* a directory with keys below it */
};

struct renaming {
    struct side from, to;
    struct node_room room;
    struct lsmkv_move moves[2];
    size_t count;
};

static int
look(struct op *op, struct side *side)
{
    int result = dir_find(op, side->dir.node, side->dir.name, side->dir.key, INODE_VALUE,
                          &side->inode, &side->node);

    if (result == -ENOENT) {
        side->node = NULL;
        return 0;
    }
    if (result < 0)
        return result;
    side->directory = S_ISDIR(side->inode.attr.mode);
    if (!side->directory)
        return 0;
    op_step_aside(op->vfs); /* to move a tree may take long */
    result = op_has_below(op, side->inode.view, side->inode.key);
    side->full = result > 0;
    return result < 0 ? result : 0;
}

static int
check(struct op *op, const struct renaming *r, unsigned flags)
{
    const struct side *from = &r->from, *to = &r->to;
    struct nodes *nodes = op->vfs->nodes;

    if (!from->node || (!to->node && flags & RENAME_EXCHANGE))
        return -ENOENT;
    if (to->node && flags & RENAME_NOREPLACE)
        return -EEXIST;
    if (from->node == to->node)
        return 0; /* two names of one file, or the same name */
    if (from->directory && node_is_below(nodes, to->dir.node, from->node))
        return -EINVAL;
    if (to->node && to->directory && node_is_below(nodes, from->dir.node, to->node))
        return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    if (!to->node || flags & RENAME_EXCHANGE)
        return 0;
    if (from->directory && !to->directory)
        return -ENOTDIR;
    if (!from->directory && to->directory)
        return -EISDIR;
    return to->directory ? remove_check_empty(op, &to->inode) : 0;
}

/* Both directories' times, and their counts when what is at the two names changes by
 * `from_subdirs` and `to_subdirs` directories. */
static int
change_dirs(struct op *op, struct renaming *r, int from_subdirs, int to_subdirs)
{
    int result;

    if (r->from.dir.node == r->to.dir.node)
        return dir_change(op, &r->from.dir, from_subdirs + to_subdirs);
    result = dir_change(op, &r->from.dir, from_subdirs);
    return result < 0 ? result : dir_change(op, &r->to.dir, to_subdirs);
}

/* Puts what is at `side` to `key` instead. */
static int
place(struct op *op, struct renaming *r, struct side *side, struct lsmkv_slice key)
{
    struct store *store = op->vfs->store;
    struct inode *inode = &side->inode;
    int result;

    inode->attr.ctime = r->from.dir.now;
    if (side->full) {
        r->moves[r->count].from = side->dir.key;
        r->moves[r->count++].to = key;
    }
    if (inode->keyspace == store->inodes) {
        result = inode_put(op, inode);
        return result < 0 ? result : inode_put_reference(op, inode, key);
    }
    result = inode_put_at(op, inode, store->files, key);
    if (result == 0)
        op_note_put(op, side->node);
    return result;
}

static int
publish(struct op *op, struct renaming *r)
{
    int result =
        r->count > 0 ? op_publish_moves(op, r->moves, r->count) : op_publish(op, false);

    if (result < 0)
        return result;
    dir_changed(op, &r->from.dir);
    dir_changed(op, &r->to.dir);
    return 0;
}

static int
exchange(struct op *op, struct renaming *r)
{
    struct dir *from = &r->from.dir, *to = &r->to.dir;
    int moved = (r->to.directory ? 1 : 0) - (r->from.directory ? 1 : 0);
    int result = change_dirs(op, r, moved, -moved);

    if (result == 0)
        result = place(op, r, &r->from, to->key);
    if (result == 0)
        result = place(op, r, &r->to, from->key);
    if (result == 0)
        result = publish(op, r);
    if (result == 0)
        node_exchange(op->vfs->nodes, from->node, from->name, to->node, to->name,
                      &r->room);
    return result;
}

static int
replace(struct op *op, struct renaming *r)
{
    struct dir *from = &r->from.dir, *to = &r->to.dir;
    int result = change_dirs(op, r, r->from.directory ? -1 : 0,
                             (r->from.directory ? 1 : 0) -
                                 (r->to.node && r->to.directory ? 1 : 0));

    /* Removals come first: of two entries for a key the later one counts. */
    if (result == 0 && r->to.node)
        result = remove_name(op, &r->to.inode, to->key, to->now);
    if (result == 0)
        result = lsmkv_batch_delete(op->batch, op->vfs->store->files, from->key);
    if (result == 0)
        result = place(op, r, &r->from, to->key);
    if (result == 0)
        result = publish(op, r);
    if (result < 0)
        return result;
    if (r->to.node)
        deferred_clear(op->vfs, r->to.node);
    node_rename(op->vfs->nodes, from->node, from->name, to->node, to->name, &r->room);
    return 0;
}

/* After a move to another parent. */
static void
note_moved(const struct side *side)
{
    if (side->node && side->directory)
        vfs_listing_changed(side->node);
}

static int
rename_in(struct op *op, struct renaming *r, unsigned flags)
{
    int result = look(op, &r->from);

    if (result == 0)
        result = look(op, &r->to);
    if (result == 0)
        result = check(op, r, flags);
    if (result < 0)
        return result;
    if (r->from.node == r->to.node)
        return 0;
    result = node_room_for_rename(&r->room, r->from.dir.name, r->to.dir.name);
    if (result == 0)
        result = flags & RENAME_EXCHANGE ? exchange(op, r) : replace(op, r);
    if (result == 0 && r->from.dir.node != r->to.dir.node) {
        note_moved(&r->from);
        note_moved(&r->to);
    }
    return result;
}

static void
side_fini(struct vfs *vfs, struct side *side)
{
    dir_fini(&side->dir);
    inode_fini(&side->inode);
    if (side->node)
        node_unref(vfs->nodes, side->node, 1);
}

static int
rename_tree(struct vfs *vfs, struct node *parent, struct lsmkv_slice name,
            struct node *new_parent, struct lsmkv_slice new_name, unsigned flags)
{
    struct op *op = op_begin_exclusive(vfs);
    struct renaming r;
    int result;

    if (!op)
        return -ENOMEM;
    r.count = 0;
    r.room = (struct node_room){NULL, NULL, NULL};
    r.from.node = r.to.node = NULL;
    r.from.full = r.to.full = r.from.directory = r.to.directory = false;
    r.from.inode.held = r.to.inode.held = r.to.dir.inode.held = NULL;
    result = dir_init_unread(op, 0, parent, name, &r.from.dir);
    if (result == 0)
        result = dir_init_unread(op, 1, new_parent, new_name, &r.to.dir);
    if (result == 0)
        result = rename_in(op, &r, flags);
    op_end(op);
    node_room_free(&r.room);
    side_fini(vfs, &r.from);
    side_fini(vfs, &r.to);
    return result;
}

int
vfs_rename(struct vfs *vfs, struct node *parent, const char *text,
           struct node *new_parent, const char *new_text, unsigned flags)
{
    struct lsmkv_slice name, new_name;
    int result = op_name(text, &name);

    if (result == 0)
        result = op_name(new_text, &new_name);
    if (result < 0)
        return result;
    if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
        return -EINVAL;
    if (parent->view != new_parent->view || parent->realm != new_parent->realm)
        return -EXDEV;
    if (parent->realm == REALM_SNAPSHOTS) {
        op_step_aside(vfs); /* it is made durable */
        return snapdir_rename(vfs, parent, name, new_name, flags);
    }
    if (parent->realm != REALM_TREE)
        return -EPERM;
    return rename_tree(vfs, parent, name, new_parent, new_name, flags);
}
