/*
 * snapdir.c - see snapdir.h.
 *
 * A snapshot's tree has nodes of its own, with a view as their state.  The view belongs
 * to the tree's root node: dropping the snapshot takes the name away, and the view lasts
 * as long as somebody stands in the tree.
 *
 * Inode numbers in a snapshot are permuted, by its id: two trees of one mount must not
 * have the same, or diff(1) takes files that differ for one.  A snapshot called
 * SNAPDIR_BACKUP has the permutation of its name: those come one after the other, and to
 * a program that makes a backup of each, a file that did not change is to be the same
 * one.  For the same reason its root does not show when it was taken, as others do.
 *
 * The directory's times are those of the newest snapshot, or of the last removal or
 * renaming, a record of `meta`, integers little-endian:
 *
 *     key          value
 *     "snapshots"  8 nanoseconds since 1970
 */
#include "vfs/snapdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/coding.h"
#include "vfs/deferred.h"
#include "vfs/listing.h"

#define NS_PER_SECOND 1000000000

/* ---- views ---- */

static uint64_t
permutation_of(const struct lsmkv_snapshot_info *info)
{
    return snapdir_is_backup(info->name) ? UINT64_MAX : info->id;
}

bool
snapdir_is_backup(const char *name)
{
    return strcmp(name, SNAPDIR_BACKUP) == 0;
}

int
view_open(struct store *store, const char *name, bool permuted, struct view **out)
{
    struct lsmkv_snapshot_info info;
    struct lsmkv_snapshot *snapshot;
    struct view *view;
    int result = lsmkv_snapshot_open(store->db, name, &snapshot, &info);

    if (result < 0)
        return result;
    view = malloc(sizeof(*view));
    if (!view) {
        lsmkv_snapshot_release(store->db, snapshot);
        return -ENOMEM;
    }
    *view = (struct view){.snapshot = snapshot,
                          .id = info.id,
                          .time = permuted && !snapdir_is_backup(name) ? info.time : 0,
                          .permutation = permuted ? permutation_of(&info) : 0};
    *out = view;
    return 0;
}

void
view_free(struct store *store, struct view *view)
{
    lsmkv_snapshot_release(store->db, view->snapshot);
    free(view);
}

/* A checked name with a NUL. */
static void
copy_name(struct lsmkv_slice name, char *text)
{
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
}

/* ---- the directory ---- */

struct node *
snapdir_enter(struct vfs *vfs)
{
    struct node_seed seed = {.ino = SNAPDIR_INO,
                             .view = &vfs->live,
                             .realm = REALM_SNAPSHOTS,
                             .directory = true};

    return nodes_enter(vfs->nodes, vfs->root, lsmkv_str(KEY_SNAPSHOTS), &seed, NULL);
}

struct summary {
    uint32_t count;
    int64_t latest;
};

static int
summarize(void *context, const struct lsmkv_snapshot_info *info)
{
    struct summary *summary = context;

    summary->count++;
    if (info->time > summary->latest)
        summary->latest = info->time;
    return 0;
}

static int64_t
nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Of the last removal or renaming; 0: there was none. */
static int
read_noted(struct store *store, int64_t *noted)
{
    uint8_t buffer[8];
    struct lsmkv_record record;
    int result;

    *noted = 0;
    if (!store->meta)
        return 0;
    result = lsmkv_get(store->db, store->meta, NULL, lsmkv_str("snapshots"), buffer,
                       sizeof(buffer), &record);
    if (result == 0 && record.value.size == sizeof(buffer))
        *noted = (int64_t)get_le64(buffer);
    return result == -ENOENT || result == -ERANGE ? 0 : result;
}

static int
summary_init(struct vfs *vfs, struct summary *summary)
{
    int64_t noted;
    int result = read_noted(vfs->store, &noted);

    *summary = (struct summary){0, nanoseconds(vfs->born)};
    if (result < 0)
        return result;
    if (noted > summary->latest)
        summary->latest = noted;
    return lsmkv_snapshot_list(vfs->store->db, summarize, summary);
}

/* The change is made, so that the time of it cannot be noted is no failure of it.  It is
 * not before that of what was there `before`. */
static void
note_change(struct vfs *vfs, const struct summary *before)
{
    int64_t now = nanoseconds(store_now());
    struct lsmkv_batch *batch;
    uint8_t value[8];
    int result = lsmkv_batch_new(&batch);

    if (result == 0) {
        put_le64(value, (uint64_t)(now > before->latest ? now : before->latest));
        result = store_let_through(vfs->store, batch);
        if (result == 0)
            result =
                lsmkv_batch_put(batch, vfs->store->meta, lsmkv_str("snapshots"),
                                lsmkv_bytes(NULL, 0), lsmkv_bytes(value, sizeof(value)));
        if (result == 0)
            result = store_write(vfs->store, batch, false);
        lsmkv_batch_free(batch);
    }
    if (result < 0)
        vfs_log(vfs, LSMKV_LOG_WARNING, "the times of .snapshots: %s",
                lsmkv_strerror(result));
}

int
snapdir_getattr(struct vfs *vfs, struct stat *st)
{
    struct summary summary;
    int result = summary_init(vfs, &summary);

    if (result < 0)
        return result;
    memset(st, 0, sizeof(*st));
    st->st_ino = SNAPDIR_INO;
    st->st_mode = S_IFDIR | 0755;
    st->st_nlink = 2 + summary.count;
    st->st_uid = vfs->store->defaults.uid;
    st->st_gid = vfs->store->defaults.gid;
    st->st_blksize = 4096;
    st->st_mtim.tv_sec = summary.latest / NS_PER_SECOND;
    st->st_mtim.tv_nsec = summary.latest % NS_PER_SECOND;
    st->st_atim = st->st_ctim = st->st_mtim;
    return 0;
}

/* The node of the snapshot that has the name now; one of an earlier one loses it. */
static int
enter_snapshot(struct vfs *vfs, struct node *directory, struct lsmkv_slice name,
               struct view *view, struct node **out)
{
    struct node_seed seed = {.ino = ATTR_INO_ROOT,
                             .view = view,
                             .realm = REALM_TREE,
                             .directory = true,
                             .top = true};
    struct node *node = nodes_find(vfs->nodes, directory, name);

    if (node && node->view->id != view->id) {
        node_unlink(vfs->nodes, directory, name);
        node_unref(vfs->nodes, node, 1);
        node = NULL;
    }
    if (!node)
        node = nodes_enter(vfs->nodes, directory, name, &seed, NULL);
    if (!node || node->view != view)
        view_free(vfs->store, view);
    *out = node;
    return node ? 0 : -ENOMEM;
}

int
snapdir_lookup(struct vfs *vfs, struct node *directory, struct lsmkv_slice name,
               struct vfs_entry *entry)
{
    char text[KEY_NAME_MAX + 1];
    struct view *view;
    int result;

    copy_name(name, text);
    result = view_open(vfs->store, text, true, &view);
    if (result == 0)
        result = enter_snapshot(vfs, directory, name, view, &entry->node);
    if (result < 0)
        return result;
    entry->lasting = false;
    result = vfs_getattr(vfs, entry->node, &entry->stat, NULL);
    if (result < 0)
        node_unref(vfs->nodes, entry->node, 1);
    return result;
}

/* ---- changing it ---- */

/* A snapshot that was made, but cannot be shown to who asked for it. */
static void
take_back(struct vfs *vfs, const char *name, int why)
{
    int result = lsmkv_snapshot_drop(vfs->store->db, name);

    if (result < 0)
        vfs_log(vfs, LSMKV_LOG_WARNING,
                "snapshot '%s' was made, although its mkdir failed (%s), and stays: %s",
                name, lsmkv_strerror(why), lsmkv_strerror(result));
}

int
snapdir_mkdir(struct vfs *vfs, struct node *directory, struct lsmkv_slice name,
              struct vfs_entry *entry)
{
    char text[KEY_NAME_MAX + 1];
    struct op *op;
    int result;

    if (vfs->read_only)
        return -EROFS;
    copy_name(name, text);
    op = op_begin_exclusive(vfs);
    if (!op)
        return -ENOMEM;
    /* With nothing running, what is deferred goes in and nothing is added. */
    result = deferred_put_all_in(op);
    if (result == 0)
        result = lsmkv_snapshot_create(vfs->store->db, text, NULL);
    op_end(op);
    if (result < 0)
        return result;
    result = snapdir_lookup(vfs, directory, name, entry);
    if (result < 0)
        take_back(vfs, text, result);
    return result;
}

int
snapdir_rmdir(struct vfs *vfs, struct node *directory, struct lsmkv_slice name)
{
    char text[KEY_NAME_MAX + 1];
    struct summary before;
    int result;

    if (vfs->read_only)
        return -EROFS;
    copy_name(name, text);
    result = summary_init(vfs, &before);
    if (result == 0)
        result = lsmkv_snapshot_drop(vfs->store->db, text);
    if (result < 0)
        return result;
    note_change(vfs, &before);
    node_unlink(vfs->nodes, directory, name);
    return 0;
}

int
snapdir_rename(struct vfs *vfs, struct node *directory, struct lsmkv_slice name,
               struct lsmkv_slice new_name, unsigned flags)
{
    char from[KEY_NAME_MAX + 1], to[KEY_NAME_MAX + 1];
    struct node_room room;
    struct summary before;
    int result;

    if (vfs->read_only)
        return -EROFS;
    if (flags & ~(unsigned)RENAME_NOREPLACE)
        return -EINVAL;
    copy_name(name, from);
    copy_name(new_name, to);
    result = node_room_for_rename(&room, name, new_name);
    if (result < 0)
        return result;
    result = summary_init(vfs, &before);
    if (result == 0)
        result = lsmkv_snapshot_rename(vfs->store->db, from, to);
    if (result == 0)
        note_change(vfs, &before);
    /* With another permutation it is another node. */
    if (result == 0 && snapdir_is_backup(from) != snapdir_is_backup(to))
        node_unlink(vfs->nodes, directory, name);
    else if (result == 0)
        node_rename(vfs->nodes, directory, name, directory, new_name, &room);
    node_room_free(&room);
    return result;
}

/* ---- listing it ---- */

struct gathering {
    struct lsmkv_snapshot_info *infos;
    size_t count, capacity;
};

static int
gather(void *context, const struct lsmkv_snapshot_info *info)
{
    struct gathering *all = context;

    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? all->capacity * 2 : 16;
        void *grown = realloc(all->infos, capacity * sizeof(*info));

        if (!grown)
            return -ENOMEM;
        all->infos = grown;
        all->capacity = capacity;
    }
    all->infos[all->count++] = *info;
    return 0;
}

static void
hand_over(const struct gathering *all, uint64_t cookie,
          bool (*add)(void *context, const struct vfs_listed *listed), void *context)
{
    for (size_t i = 0; i < all->count; i++) {
        struct view view = {.permutation = permutation_of(&all->infos[i])};
        struct vfs_listed listed = {.name = all->infos[i].name,
                                    .cookie = LISTING_FIRST + all->infos[i].id};

        if (listed.cookie <= cookie)
            continue;
        listed.st.st_ino = view_ino(&view, ATTR_INO_ROOT);
        listed.st.st_mode = S_IFDIR | 0755;
        if (!add(context, &listed))
            return;
    }
}

static bool
add_dot(const char *name, uint64_t ino, uint64_t cookie,
        bool (*add)(void *context, const struct vfs_listed *listed), void *context)
{
    struct vfs_listed listed = {.name = name, .cookie = cookie};

    listed.st.st_ino = ino;
    listed.st.st_mode = S_IFDIR | 0755;
    return add(context, &listed);
}

int
snapdir_readdir(struct vfs *vfs, uint64_t cookie,
                bool (*add)(void *context, const struct vfs_listed *listed),
                void *context)
{
    struct gathering all = {NULL, 0, 0};
    int result;

    if (cookie < 1 && !add_dot(".", SNAPDIR_INO, 1, add, context))
        return 0;
    if (cookie < 2 && !add_dot("..", ATTR_INO_ROOT, 2, add, context))
        return 0;
    result = lsmkv_snapshot_list(vfs->store->db, gather, &all);
    if (result == 0)
        hand_over(&all, cookie, add, context);
    free(all.infos);
    return result;
}
