/*
 * vfs.c - the life of a mounted filesystem, and its root.
 *
 * V1  What is written while the store is foreign and what a walk finds are told apart by V2 of
 *     foreign.c; so the walk runs beside the first requests, and they look until it is done.
 */
#include "vfs/vfs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/foreign.h"
#include "vfs/deferred.h"
#include "vfs/inode.h"
#include "vfs/listing.h"
#include "vfs/notify.h"
#include "vfs/op.h"
#include "vfs/snapdir.h"

#define NODE_LIMIT    (256u << 10) /* about 60 MiB */
#define LISTING_LIMIT (16u << 20)

void
vfs_options_init(struct vfs_options *options)
{
    *options = (struct vfs_options){
        .node_limit = NODE_LIMIT,
        .listing_limit = LISTING_LIMIT,
    };
    store_options_init(&options->store);
}

static void
dispose(void *context, struct node *node)
{
    struct vfs *vfs = context;

    if (node->remains && node->remains->data_id != 0)
        sweep_release(vfs->store, node->remains->data_id);
    remains_set(vfs, node, NULL);
    if (node->realm == REALM_TREE && node->top && node->view != &vfs->live)
        view_free(vfs->store, (struct view *)(uintptr_t)node->view);
}

static int
make_locks(struct vfs *vfs)
{
    pthread_rwlockattr_t attributes;

    if (pthread_rwlockattr_init(&attributes) != 0)
        return -ENOMEM;
    /* Otherwise a stream of operations could keep a rename waiting for ever. */
    pthread_rwlockattr_setkind_np(&attributes,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&vfs->tree, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_rwlock_init(&vfs->uploads, NULL);
    for (unsigned i = 0; i < VFS_LOCKS; i++)
        pthread_rwlock_init(&vfs->locks[i], NULL);
    pthread_mutex_init(&vfs->pool_mutex, NULL);
    pthread_mutex_init(&vfs->walk_mutex, NULL);
    pthread_mutex_init(&vfs->deferred_mutex, NULL);
    return 0;
}

static void
free_locks(struct vfs *vfs)
{
    pthread_rwlock_destroy(&vfs->tree);
    pthread_rwlock_destroy(&vfs->uploads);
    for (unsigned i = 0; i < VFS_LOCKS; i++)
        pthread_rwlock_destroy(&vfs->locks[i]);
    pthread_mutex_destroy(&vfs->pool_mutex);
    pthread_mutex_destroy(&vfs->walk_mutex);
    pthread_mutex_destroy(&vfs->deferred_mutex);
}

/* ---- whether others wrote (V1) ---- */

static int
find_foreign(struct vfs *vfs)
{
    bool foreign;
    int result = foreign_find(vfs->store, &foreign);

    if (result < 0)
        return result;
    vfs->foreign = foreign;
    return foreign && !vfs->read_only ? foreign_note(vfs->store) : 0;
}

static void *
walk(void *argument)
{
    struct vfs *vfs = argument;
    int result = foreign_walk(vfs->store, &vfs->walk_stop);

    if (result == 0)
        vfs->foreign = false;
    else if (result != -EEXIST && result != -ECANCELED)
        vfs_log(vfs, LSMKV_LOG_WARNING, "the walk for files with keys below them: %s",
                lsmkv_strerror(result));
    return NULL;
}

static int
start_walk(struct vfs *vfs)
{
    int result;

    if (!vfs->foreign || vfs->read_only)
        return 0;
    vfs->walk_stop = false;
    result = -pthread_create(&vfs->walker, NULL, walk, vfs);
    vfs->walking = result == 0; /* `foreign` may be false again by now */
    return result;
}

static void
stop_walk(struct vfs *vfs)
{
    vfs->walk_stop = true;
    if (vfs->walking)
        pthread_join(vfs->walker, NULL);
    vfs->walking = false;
}

int
vfs_doubt(struct vfs *vfs)
{
    stop_walk(vfs);
    vfs->foreign = true;
    return foreign_note(vfs->store);
}

void
vfs_walk_again(struct vfs *vfs)
{
    int result = start_walk(vfs);

    if (result < 0)
        vfs_log(vfs, LSMKV_LOG_WARNING, "no walk for files with keys below them: %s",
                lsmkv_strerror(result));
}

/* Nothing is written after this.  Where there is no room even for that, the next mount walks. */
static int
note_closed(struct vfs *vfs)
{
    int result = foreign_note_closed(vfs->store);

    return result == -ENOSPC ? 0 : result;
}

/* ---- the root ---- */

static int
make_root_record(struct vfs *vfs, struct op *op, struct inode *inode)
{
    int empty = store_is_empty(vfs->store);

    if (empty < 0)
        return empty;
    vfs->born = store_now();
    inode->attr.atime = inode->attr.mtime = inode->attr.ctime = inode->attr.btime =
        vfs->born;
    if (empty)
        inode->attr.subdirs = 0;
    empty = inode_put(op, inode);
    return empty < 0 ? empty : op_publish(op, false);
}

/* Reads the root's number and times; the root's record comes into being with the first
 * writable mount. */
static int
find_root(struct vfs *vfs)
{
    struct node probe = {.ino = ATTR_INO_ROOT, .view = &vfs->live, .directory = true};
    struct op *op = op_begin(vfs);
    struct inode inode;
    int result;

    if (!op)
        return -ENOMEM;
    probe.top = true;
    inode_init(&inode, op, &probe, &vfs->live, lsmkv_bytes("", 0));
    result = inode_of_key(op, &probe, inode.key, INODE_ATTRIBUTES, &inode);
    if (result == 0 && inode.implied && !vfs->read_only)
        result = make_root_record(vfs, op, &inode);
    else if (result == 0)
        vfs->born = inode.attr.btime;
    inode_fini(&inode);
    op_end(op);
    /* Its record has another number. */
    return result == -ESTALE ? -EUCLEAN : result;
}

static int
add_root(struct vfs *vfs)
{
    struct node_seed seed = {.ino = ATTR_INO_ROOT,
                             .view = &vfs->live,
                             .realm = REALM_TREE,
                             .directory = true,
                             .top = true};

    vfs->root = nodes_add(vfs->nodes, &seed);
    return vfs->root ? find_root(vfs) : -ENOMEM;
}

static int
show_snapshot(struct vfs *vfs, const char *name)
{
    struct view *view;
    int result = view_open(vfs->store, name, snapdir_is_backup(name), &view);

    if (result < 0)
        return result;
    vfs->live = *view;
    free(view);
    return 0;
}

/* ---- opening and closing ---- */

static int
put_deferred(void *context)
{
    return deferred_put_all(context);
}

static int
make_parts(struct vfs *vfs, const struct vfs_options *options)
{
    vfs->nodes = nodes_new(dispose, vfs);
    vfs->listing = listing_new(options->listing_limit);
    if (vfs->nodes)
        vfs->notices = notices_new(vfs->nodes, options->node_limit);
    return vfs->nodes && vfs->listing && vfs->notices ? 0 : -ENOMEM;
}

static void
free_parts(struct vfs *vfs)
{
    notices_free(vfs->notices);
    nodes_free(vfs->nodes);
    listing_free(vfs->listing);
    op_pool_free(vfs);
    free_locks(vfs);
}

static int
open_parts(struct vfs *vfs, const struct vfs_options *options)
{
    int result = sweep_new(vfs->store);

    if (result == 0)
        result = make_parts(vfs, options);
    if (result == 0 && options->snapshot)
        result = show_snapshot(vfs, options->snapshot);
    if (result == 0)
        result = find_foreign(vfs);
    if (result == 0)
        result = add_root(vfs);
    if (result == 0 && !vfs->read_only)
        result = store_start(vfs->store, put_deferred, vfs);
    if (result < 0 || vfs->read_only)
        return result;
    result = sweep_start(vfs->store);
    if (result == 0)
        result = start_walk(vfs);
    if (result < 0 && store_stop(vfs->store) < 0)
        vfs_log(vfs, LSMKV_LOG_ERROR, "the last sync failed");
    return result;
}

int
vfs_open(const struct vfs_options *options, struct vfs **out, char *why, size_t why_size)
{
    struct store_options store = options->store;
    struct vfs *vfs = calloc(1, sizeof(*vfs));
    int result = vfs ? make_locks(vfs) : -ENOMEM;

    if (result < 0) {
        free(vfs);
        return result;
    }
    vfs->read_only = store.read_only || options->snapshot;
    vfs->show_snapshots = options->show_snapshots && !options->snapshot;
    vfs->acl = options->acl;
    vfs->writeback = options->writeback && !vfs->read_only;
    vfs->atime = vfs->read_only ? VFS_NOATIME : options->atime;
    vfs->nodiratime = options->nodiratime;
    vfs->sync = store.sync;
    vfs->step_aside = options->step_aside;
    vfs->source = options->source;
    if (store.engine) {
        vfs->log = store.engine->log;
        vfs->log_context = store.engine->log_context;
    }
    store.read_only = vfs->read_only;
    result = store_open(&store, &vfs->store, why, why_size);
    if (result < 0) {
        free_locks(vfs);
        free(vfs);
        return result;
    }
    result = open_parts(vfs, options);
    if (result < 0) {
        snprintf(why, why_size, "%s: %s%s%s", store.path, lsmkv_strerror(result),
                 options->snapshot ? ": snapshot " : "",
                 options->snapshot ? options->snapshot : "");
        free_parts(vfs);
        sweep_free(vfs->store);
        if (vfs->live.snapshot)
            lsmkv_snapshot_release(vfs->store->db, vfs->live.snapshot);
        (void)store_close(vfs->store); /* nothing was acknowledged */
        free(vfs);
        return result;
    }
    *out = vfs;
    return 0;
}

int
vfs_close(struct vfs *vfs)
{
    struct store *store = vfs->store;
    int result = 0, closed;

    notices_stop(vfs->notices);
    stop_walk(vfs);
    if (!vfs->read_only)
        result = store_stop(store);
    free_parts(vfs);
    sweep_free(store);
    if (result == 0 && !vfs->read_only)
        result = note_closed(vfs);
    if (vfs->live.snapshot)
        lsmkv_snapshot_release(store->db, vfs->live.snapshot);
    closed = store_close(store);
    free(vfs);
    return result < 0 ? result : closed;
}

int
vfs_start_notices(struct vfs *vfs, const struct vfs_notify *notify)
{
    return notices_start(vfs->notices, notify);
}

void
vfs_stop_notices(struct vfs *vfs)
{
    vfs->ending = true;
    notices_stop(vfs->notices);
}

struct store *
vfs_store(struct vfs *vfs)
{
    return vfs->store;
}

bool
vfs_is_read_only(const struct vfs *vfs)
{
    return vfs->read_only;
}

struct node *
vfs_root(struct vfs *vfs)
{
    return vfs->root;
}

bool
vfs_attributes_last(const struct node *node)
{
    return node->realm == REALM_TREE;
}

bool
vfs_contents_last(const struct vfs *vfs, const struct node *node)
{
    return vfs->atime != VFS_STRICTATIME && vfs_attributes_last(node);
}

bool
vfs_listing_holds(struct node *node)
{
    return !atomic_exchange(&node->moved, false);
}

void
vfs_listing_changed(struct node *node)
{
    node->moved = true;
}

bool
vfs_listing_take(struct node *node)
{
    return !atomic_exchange(&node->listed, true);
}

void
vfs_listing_give(struct node *node)
{
    if (atomic_exchange(&node->mixed, false))
        node->moved = true;
    node->listed = false;
}

uint64_t
vfs_generation(const struct node *node)
{
    return node->generation;
}

int
vfs_sync(struct vfs *vfs)
{
    int result = 0, synced;

    if (vfs->read_only)
        return 0;
    result = deferred_put_all(vfs);
    synced = store_sync(vfs->store);
    return result < 0 ? result : synced;
}

void
vfs_log(const struct vfs *vfs, enum lsmkv_level level, const char *format, ...)
{
    char line[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (vfs->log)
        vfs->log(vfs->log_context, level, line);
    else if (level <= LSMKV_LOG_WARNING)
        fprintf(stderr, "lsmfs: %s\n", line);
}
