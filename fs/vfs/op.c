/*
 * op.c - see op.h.
 */
#include "vfs/op.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/slice.h"
#include "vfs/deferred.h"
#include "vfs/inode.h"

#define NANOSECONDS INT64_C(1000000000)

void
op_note_put(struct op *op, struct node *node)
{
    for (unsigned i = 0; i < op->puts_count; i++)
        if (op->puts[i] == node)
            return;
    assert(op->puts_count < OP_PUTS);
    op->puts[op->puts_count++] = node;
}

/* The batch is written, or will not be. */
static void
settle(struct op *op, int result)
{
    for (; op->puts_count > 0; op->puts_count--)
        if (result == 0)
            deferred_clear(op->vfs, op->puts[op->puts_count - 1]);

    while (op->remains_count > 0) {
        struct node *node = op->remains[--op->remains_count].node;
        struct remains *remains = op->remains[op->remains_count].remains;

        if (result < 0) {
            remains_free(remains);
            continue;
        }
        remains_set(op->vfs, node, remains);
        node->unlinked = true;
        deferred_clear(op->vfs, node);
    }
}

static struct op *
op_take(struct vfs *vfs)
{
    struct op *op;

    pthread_mutex_lock(&vfs->pool_mutex);
    op = vfs->pool;
    if (op)
        vfs->pool = op->next;
    pthread_mutex_unlock(&vfs->pool_mutex);
    if (op)
        return op;
    op = calloc(1, sizeof(*op));
    if (op && lsmkv_batch_new(&op->batch) != 0) {
        free(op);
        return NULL;
    }
    return op;
}

static int64_t
nanoseconds(struct timespec time)
{
    return time.tv_sec * NANOSECONDS + time.tv_nsec;
}

struct timespec
vfs_now(const struct vfs *vfs)
{
    struct timespec now = store_now(), tick;
    int64_t told = vfs->told;

    if (!vfs->writeback || clock_gettime(CLOCK_REALTIME_COARSE, &tick) != 0)
        return now;
    if (told > nanoseconds(tick) && told < nanoseconds(now))
        tick = (struct timespec){told / NANOSECONDS, told % NANOSECONDS};
    return tick;
}

void
vfs_told(struct vfs *vfs, struct timespec when)
{
    int64_t told = nanoseconds(when), before = vfs->told;

    while (before < told && !atomic_compare_exchange_weak(&vfs->told, &before, told))
        continue;
}

struct op *
op_begin(struct vfs *vfs)
{
    struct op *op = op_take(vfs);

    if (!op)
        return NULL;
    op->vfs = vfs;
    op->exclusive = false;
    pthread_rwlock_rdlock(&vfs->tree);
    return op;
}

struct op *
op_begin_exclusive(struct vfs *vfs)
{
    struct op *op = op_take(vfs);

    if (!op)
        return NULL;
    op->vfs = vfs;
    op->exclusive = true;
    if (pthread_rwlock_trywrlock(&vfs->tree) != 0) {
        op_step_aside(vfs);
        pthread_rwlock_wrlock(&vfs->tree);
    }
    return op;
}

void
op_step_aside(const struct vfs *vfs)
{
    if (vfs->step_aside)
        vfs->step_aside();
}

struct op *
op_begin_for(struct vfs *vfs, const struct node *node)
{
    return node->realm == REALM_KEYS ? op_begin_exclusive(vfs) : op_begin(vfs);
}

void
op_end(struct op *op)
{
    struct vfs *vfs = op->vfs;

    settle(op, -ECANCELED);
    op_unlock_nodes(op);
    pthread_rwlock_unlock(&vfs->tree);
    if (lsmkv_batch_count(op->batch) > 0)
        lsmkv_batch_clear(op->batch);
    op->dead.count = 0;
    op->small = false;
    pthread_mutex_lock(&vfs->pool_mutex);
    op->next = vfs->pool;
    vfs->pool = op;
    pthread_mutex_unlock(&vfs->pool_mutex);
}

void
op_pool_free(struct vfs *vfs)
{
    while (vfs->pool) {
        struct op *op = vfs->pool;

        vfs->pool = op->next;
        lsmkv_batch_free(op->batch);
        data_buffer_free(&op->buffer);
        data_buffer_free(&op->second_buffer);
        free(op);
    }
}

/* ---- locks ---- */

static unsigned
lock_index(const struct node *node)
{
    return (unsigned)(((uintptr_t)node * UINT64_C(0x9e3779b97f4a7c15)) >> 56) % VFS_LOCKS;
}

/* Insertion keeps the locks sorted by index and one of a kind. */
static void
want_lock(struct op *op, unsigned index, bool exclusive)
{
    unsigned at = 0;

    while (at < op->locks_held && op->locks[at].index < index)
        at++;
    if (at < op->locks_held && op->locks[at].index == index) {
        op->locks[at].exclusive |= exclusive;
        return;
    }
    memmove(&op->locks[at + 1], &op->locks[at],
            (op->locks_held - at) * sizeof(op->locks[0]));
    op->locks[at].index = index;
    op->locks[at].exclusive = exclusive;
    op->locks_held++;
}

void
op_lock_nodes(struct op *op, const struct op_lock *wanted, unsigned count)
{
    if (op->exclusive)
        return;
    for (unsigned i = 0; i < count; i++)
        if (wanted[i].node)
            want_lock(op, lock_index(wanted[i].node), wanted[i].exclusive);
    for (unsigned i = 0; i < op->locks_held; i++) {
        pthread_rwlock_t *lock = &op->vfs->locks[op->locks[i].index];

        if (op->locks[i].exclusive)
            pthread_rwlock_wrlock(lock);
        else
            pthread_rwlock_rdlock(lock);
    }
}

void
op_lock_node(struct op *op, const struct node *node, bool exclusive)
{
    struct op_lock wanted = {node, exclusive};

    op_lock_nodes(op, &wanted, 1);
}

void
op_unlock_nodes(struct op *op)
{
    while (op->locks_held > 0)
        pthread_rwlock_unlock(&op->vfs->locks[op->locks[--op->locks_held].index]);
}

/* ---- keys ---- */

int
op_key(struct op *op, unsigned slot, const struct node *node, struct lsmkv_slice *key)
{
    return node_path(op->vfs->nodes, node, op->keys[slot].bytes, key);
}

int
op_child_key(struct op *op, unsigned slot, const struct node *parent,
             struct lsmkv_slice name, struct lsmkv_slice *parent_key,
             struct lsmkv_slice *key)
{
    struct lsmkv_slice above;
    uint8_t *at = op->keys[slot].bytes + LSMKV_KEY_MAX;
    int result = op_key(op, slot, parent, &above);

    if (result < 0)
        return result;
    *parent_key = above;
    if (above.size > 0) {
        if (above.size + 1 + name.size > LSMKV_KEY_MAX)
            return -ENAMETOOLONG;
        *at = '/';
        memcpy(at + 1, name.data, name.size);
        *key = lsmkv_bytes(above.data, above.size + 1 + name.size);
    } else {
        memcpy(at, name.data, name.size);
        *key = lsmkv_bytes(at, name.size);
    }
    return 0;
}

int
op_name(const char *text, struct lsmkv_slice *name)
{
    size_t size = strlen(text);

    if (size > KEY_NAME_MAX)
        return -ENAMETOOLONG;
    *name = lsmkv_bytes(text, size);
    return key_is_name(*name) ? 0 : -EINVAL;
}

/* ---- the store ---- */

int
op_publish(struct op *op, bool durable)
{
    struct store *store = op->vfs->store;
    int result = sweep_publish(store, op->batch, &op->dead, durable);

    /* Only then: it costs a record. */
    if (result == -ENOSPC && op->small) {
        result = store_let_through(store, op->batch);
        if (result == 0)
            result = sweep_publish(store, op->batch, &op->dead, durable);
    }
    settle(op, result);
    return result;
}

int
op_publish_moves(struct op *op, const struct lsmkv_move *moves, size_t count)
{
    struct store *store = op->vfs->store;
    int result = sweep_before(store, &op->dead);

    if (result == 0) {
        result = store_move(store, moves, count, op->batch, false);
        sweep_after(store, &op->dead, result);
    }
    settle(op, result);
    return result;
}

int
op_writable(const struct vfs *vfs, const struct node *node)
{
    if (vfs->read_only || node->view->snapshot)
        return -EROFS;
    return node->realm == REALM_STATS ? -EPERM : 0;
}

int
op_has_below(struct op *op, const struct view *view, struct lsmkv_slice key)
{
    struct vfs *vfs = op->vfs;
    struct lsmkv_iter_options options = {
        .snapshot = view->snapshot, .lower = key, .lazy_values = true};
    struct lsmkv_iter *iter;
    int result;

    /* An end, so as not to walk what was deleted behind it. */
    if (key.size > 0 && key.size < LSMKV_KEY_MAX) {
        memcpy(op->attributes, key.data, key.size);
        op->attributes[key.size] = 0;
        options.upper = lsmkv_bytes(op->attributes, key.size + 1);
    }
    result = lsmkv_iter_new(vfs->store->db, vfs->store->files, &options, &iter);
    if (result < 0)
        return result;
    lsmkv_iter_first(iter);
    if (lsmkv_iter_valid(iter) && slices_equal(lsmkv_iter_key(iter), key))
        lsmkv_iter_next(iter);
    result = lsmkv_iter_status(iter);
    if (result == 0 && lsmkv_iter_valid(iter))
        result = key_is_below(lsmkv_iter_key(iter), key);
    lsmkv_iter_free(iter);
    return result;
}

/* ---- numbers ---- */

/* A Feistel network on 62 bits of two halves: a permutation whatever the rounds do.  Bit
 * 62, the mark of numbers made of stamps, is kept. */
static uint64_t
permute(uint64_t ino, uint64_t permutation)
{
    uint64_t left = ino >> 31 & 0x7fffffff, right = ino & 0x7fffffff;

    for (uint64_t round = 0; round < 4; round++) {
        uint64_t mixed =
            (right ^ permutation << 3 ^ round << 33) * UINT64_C(0xd6e8feb86659fd93);
        uint64_t next = left ^ (mixed >> 33 & 0x7fffffff);

        left = right;
        right = next;
    }
    return (ino & ATTR_INO_PLAIN) | left << 31 | right;
}

uint64_t
view_ino(const struct view *view, uint64_t ino)
{
    return view->permutation ? ATTR_INO_SNAPSHOT | permute(ino, view->permutation) : ino;
}
