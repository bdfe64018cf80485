/*
 * vfs_rollback.c - the tree goes back to what a snapshot sees, while it is mounted.
 *
 * No operation runs while the store does, and then every node that somebody holds is held against it.
 *
 * G1  A node stays if its name still leads to the inode that it is: the directory or file of before, or
 *     after.  Others are lost: they have no name, a number that nothing has, and answer ESTALE until
 *     the kernel forgets them.  What came back at their names gets nodes of its own.
 * G2  Of an open file the node is lost in any case: what is written through an old descriptor, or is
 *     still in a mapping, must not get into what came back.  So it is of a file with several names, and
 *     with the writeback cache of every file: the kernel would keep the size and the times it knows.
 * G3  The kernel is told when operations run again, for requests under way hold what telling it waits
 *     for.  First the names of lost nodes, and of each directory one that nobody uses: that waits for
 *     the lookups and listings in it whose replies are of before.  Then the kernel knows all nodes that
 *     they tell of: now it forgets attributes, pages and listings, and heeds none in replies to what
 *     it asked before.  Last the names that it may know as absent: of each key that changed, the first
 *     on its path without a node.
 * G4  What was only in memory goes: times that were deferred, what removed files were made of, what the
 *     sweep was to do.  Counters stay in `meta`: no number is given out twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vfs/deferred.h"
#include "vfs/inode.h"
#include "vfs/notify.h"
#include "vfs/op.h"
#include "vfs/vfs.h"

#define TOLD_AT_ONCE 1024u /* notices that may be queued */
/* Closing a file does not wait for the daemon to hear of it. */
#define CLOSING_TRIES    50u
#define CLOSING_PAUSE_NS 10000000
/* In what directory should it be?  A name with a '/' some kernels refuse without waiting. */
#define NOBODYS_NAME "\001lsmfs\001"

struct going_back {
    struct vfs *vfs;
    struct vfs_rollback *call;
    struct lsmkv_snapshot *then, *before;
    struct lsmkv_changes *changes; /* from then to before, of paths */
    struct node_known *known;
    size_t count;
    struct link *lost;       /* names of lost nodes */
    unsigned queued;         /* notices */
    struct lsmkv_slice told; /* the path told last, in `path` */
    uint8_t path[LSMKV_KEY_MAX];
};

static const struct lsmkv_slice itself;

/* ---- the nodes ---- */

/* G1, G2. */
static bool
stands(struct op *op, const struct node_known *known)
{
    struct node *node = known->node, *parent;
    struct lsmkv_slice key, name;
    struct inode inode;
    const char *slash;

    if (op->vfs->writeback && !node->directory)
        return false;
    if (known->open || node->unlinked || node->shared || node->realm != REALM_TREE ||
        op_key(op, 0, node, &key) < 0)
        return false;
    slash = memrchr(key.data, '/', key.size);
    name = slash ? lsmkv_bytes(slash + 1,
                               key.size - (size_t)(slash + 1 - (const char *)key.data))
                 : key;
    parent = node_parent(op->vfs->nodes, node);
    bool same = inode_at(op, parent, name, key, INODE_ATTRIBUTES, &inode) == 0 &&
                inode.attr.ino == node->ino &&
                S_ISDIR(inode.attr.mode) == node->directory;
    inode_fini(&inode);
    node_unref(op->vfs->nodes, parent, 1);
    return same;
}

/* Those of directories in .lsmfs/keys, which are made of names alone, stay. */
static void
judge(struct going_back *back, struct op *op)
{
    struct vfs *vfs = back->vfs;

    for (size_t i = 0; i < back->count; i++) {
        struct node *node = back->known[i].node;

        if (!node->top && !(node->directory && node->realm == REALM_KEYS) &&
            !stands(op, &back->known[i])) {
            remains_set(vfs, node, NULL);
            node->unlinked = true;
            node_lose(vfs->nodes, node, ATTR_INO_SNAPSHOT | node->generation,
                      &back->lost);
        }
        node->mixed = node->listed;
        node->moved = true;
    }
}

/* ---- the store ---- */

static void
note_keys(void *context, uint64_t keys)
{
    struct going_back *back = context;

    back->call->keys = keys;
}

static int
go_back_in(struct going_back *back, struct op *op)
{
    struct vfs *vfs = back->vfs;
    int result = vfs_doubt(vfs);

    if (result == 0)
        result = sweep_before_rollback(vfs->store, back->then);
    if (result == 0) {
        result = store_rollback(vfs->store, back->then, note_keys, back);
        sweep_went_back(vfs->store, result == 0);
    }
    if (result == 0) {
        deferred_drop_all_in(op);
        judge(back, op);
    }
    vfs_walk_again(vfs);
    return result;
}

/* All that may fail comes before the store goes back. */
static int
prepare(struct going_back *back)
{
    struct store *store = back->vfs->store;
    struct lsmkv_changes_options options = {.from = back->then};
    int result =
        nodes_all(back->vfs->nodes, &back->vfs->live, &back->known, &back->count);

    if (result < 0)
        return result;
    back->call->open = 0;
    for (size_t i = 0; i < back->count; i++)
        back->call->open += back->known[i].open;
    if (back->call->open > 0 && !back->call->force)
        return -EBUSY;
    result = lsmkv_snapshot_take(store->db, &back->before);
    options.to = back->before;
    return result < 0
               ? result
               : lsmkv_changes_new(store->db, store->files, &options, &back->changes);
}

static void
give_up(struct going_back *back)
{
    struct vfs *vfs = back->vfs;

    for (size_t i = 0; i < back->count; i++)
        node_unref(vfs->nodes, back->known[i].node, 1);
    free(back->known);
    back->known = NULL;
    back->count = 0;
    lsmkv_changes_free(back->changes);
    back->changes = NULL;
    if (back->before)
        lsmkv_snapshot_release(vfs->store->db, back->before);
    back->before = NULL;
}

static int
go_back(struct going_back *back)
{
    struct op *op = op_begin_exclusive(back->vfs);

    if (!op)
        return -ENOMEM;
    int result = prepare(back);
    if (result == 0)
        result = go_back_in(back, op);
    op_end(op);
    return result;
}

/* ---- the kernel (G3) ---- */

static void
tell(struct going_back *back, struct node *node, struct lsmkv_slice name)
{
    notices_tell(back->vfs->notices, node, name);
    if (++back->queued % TOLD_AT_ONCE == 0)
        notices_wait(back->vfs->notices);
}

static void
tell_nodes(struct going_back *back)
{
    char name[KEY_NAME_MAX + 1];
    struct node *parent;

    while (nodes_next_lost(&back->lost, &parent, name)) {
        tell(back, parent, lsmkv_str(name));
        node_unref(back->vfs->nodes, parent, 1);
    }
    for (size_t i = 0; i < back->count; i++) {
        if (back->known[i].node->directory)
            tell(back, back->known[i].node, lsmkv_str(NOBODYS_NAME));
    }
    for (size_t i = 0; i < back->count; i++)
        tell(back, back->known[i].node, itself);
}

static bool
is_told(const struct going_back *back, struct lsmkv_slice key)
{
    const struct lsmkv_slice told = back->told;

    return told.size > 0 && key.size >= told.size &&
           memcmp(key.data, told.data, told.size) == 0 &&
           (key.size == told.size || ((const char *)key.data)[told.size] == '/');
}

static void
tell_absent(struct going_back *back, struct lsmkv_slice key)
{
    struct vfs *vfs = back->vfs;
    struct node *node = vfs->root, *child;
    const char *at = key.data, *end = at + key.size;

    node_ref(vfs->nodes, node);
    while (at < end && node && node->realm == REALM_TREE) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *behind = slash ? slash : end;
        struct lsmkv_slice name = {at, (size_t)(behind - at)};

        if (!key_is_name(name))
            break;
        child = nodes_find(vfs->nodes, node, name);
        if (!child) {
            tell(back, node, name);
            back->told =
                lsmkv_bytes(back->path, (size_t)(behind - (const char *)key.data));
            memcpy(back->path, key.data, back->told.size);
        }
        node_unref(vfs->nodes, node, 1);
        node = child;
        at = slash ? slash + 1 : end;
    }
    if (node)
        node_unref(vfs->nodes, node, 1);
}

static void
tell_kernel(struct going_back *back)
{
    tell_nodes(back);
    while (lsmkv_changes_next(back->changes)) {
        struct lsmkv_slice key = lsmkv_changes_key(back->changes);

        if (!is_told(back, key))
            tell_absent(back, key);
    }
    notices_wait(back->vfs->notices);
    int result = lsmkv_changes_status(back->changes);
    if (result < 0)
        vfs_log(back->vfs, LSMKV_LOG_ERROR,
                "names that came back may not be seen before the next mount: %s",
                lsmkv_strerror(result));
}

/* ---- all of it ---- */

void
vfs_begin_upload(struct vfs *vfs)
{
    pthread_rwlock_rdlock(&vfs->uploads);
}

void
vfs_end_upload(struct vfs *vfs)
{
    pthread_rwlock_unlock(&vfs->uploads);
}

int
vfs_rollback(struct vfs *vfs, struct vfs_rollback *rollback)
{
    const struct timespec pause = {0, CLOSING_PAUSE_NS};
    struct going_back *back;
    int result;

    if (vfs->read_only)
        return -EROFS;
    back = calloc(1, sizeof(*back));
    if (!back)
        return -ENOMEM;
    back->vfs = vfs;
    back->call = rollback;
    pthread_rwlock_wrlock(&vfs->uploads);
    result = lsmkv_snapshot_open(vfs->store->db, rollback->snapshot, &back->then, NULL);
    if (result < 0)
        goto unlock;
    result = go_back(back);
    for (unsigned i = 0; result == -EBUSY && i < CLOSING_TRIES; i++) {
        give_up(back);
        nanosleep(&pause, NULL);
        result = go_back(back);
    }
    if (result == 0)
        tell_kernel(back);
    give_up(back);
    lsmkv_snapshot_release(vfs->store->db, back->then);
unlock:
    pthread_rwlock_unlock(&vfs->uploads);
    free(back);
    return result;
}
