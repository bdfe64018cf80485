/*
 * install.c - how the store changes what it consists of: one durable manifest line, then the
 * same change in memory.
 *
 * The new versions, and all other memory, are made before the line is written, so that an edit
 * that cannot be applied is never made durable.  After the line, the change is made in one hold of
 * mutex, and cannot fail: readers see all of it or nothing.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "table/blob.h"

/* One keyspace's part of an edit. */
struct change {
    struct lsmkv_keyspace *keyspace;
    struct version *version; /* the one to install */
    struct version_change *added, *removed;
    size_t added_count, removed_count;
};

struct change_set {
    struct change *changes;
    size_t count;
    struct lsmkv_keyspace *created;
    struct view_set views; /* for every keyspace that there is */
};

/* Rotations that may come while the line is written; one more waits (room.c). */
#define ROTATIONS_MAX 4u

static struct change *
change_of(struct change_set *set, struct lsmkv_keyspace *keyspace, size_t room)
{
    struct change *change;

    for (size_t i = 0; i < set->count; i++)
        if (set->changes[i].keyspace == keyspace)
            return &set->changes[i];
    change = &set->changes[set->count];
    change->added = calloc(room, sizeof(*change->added));
    change->removed = calloc(room, sizeof(*change->removed));
    change->keyspace = keyspace;
    set->count++;
    return change->added != NULL && change->removed != NULL ? change : NULL;
}

static void
change_set_fini(struct change_set *set)
{
    view_set_fini(&set->views);
    for (size_t i = 0; i < set->count; i++) {
        struct change *change = &set->changes[i];

        for (size_t k = 0; k < change->added_count; k++)
            table_file_unref(change->added[k].file);
        for (size_t k = 0; k < change->removed_count; k++)
            table_file_unref(change->removed[k].file);
        version_unref(change->version);
        free(change->added);
        free(change->removed);
    }
    free(set->changes);
}

static struct table_file *
find_file(const struct version *version, int level, uint64_t number)
{
    for (size_t i = 0; i < version->levels[level].count; i++)
        if (version->levels[level].files[i]->meta.number == number)
            return version->levels[level].files[i];
    return NULL;
}

static int
set_remove(struct lsmkv *db, struct change_set *set, const struct edit_table *table,
           size_t room) LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_keyspace *keyspace = keyspace_by_id(db, table->keyspace);
    struct change *change;
    struct table_file *file;

    if (keyspace == NULL)
        return -ESTALE; /* dropped while its tables were being merged */
    change = change_of(set, keyspace, room);
    if (change == NULL)
        return -ENOMEM;
    file = find_file(keyspace->view->version, table->level, table->meta.number);
    if (file == NULL)
        return -ESTALE;
    table_file_ref(file);
    change->removed[change->removed_count].level = table->level;
    change->removed[change->removed_count++].file = file;
    return 0;
}

static struct table_file *
removed_file(const struct change *change, uint64_t number)
{
    for (size_t i = 0; i < change->removed_count; i++)
        if (change->removed[i].file->meta.number == number)
            return change->removed[i].file;
    return NULL;
}

static int
set_add(struct lsmkv *db, struct change_set *set, const struct edit_table *table,
        size_t room) LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_keyspace *keyspace = keyspace_by_id(db, table->keyspace);
    struct change *change;
    struct table_file *file;

    if (keyspace == NULL)
        return -ESTALE;
    change = change_of(set, keyspace, room);
    if (change == NULL)
        return -ENOMEM;
    file = removed_file(change, table->meta.number);
    if (file != NULL) {
        table_file_ref(file); /* a trivial move: the same file at another level */
    } else {
        struct table_meta meta = {0};
        int result = table_meta_copy(&meta, &table->meta);

        if (result != 0)
            return result;
        result = table_file_new(&db->tables, &db->obsolete.reaper, table->keyspace, &meta,
                                &file);
        table_meta_fini(&meta);
        if (result != 0)
            return result;
    }
    change->added[change->added_count].level = table->level;
    change->added[change->added_count++].file = file;
    return 0;
}

static int
change_set_make(struct lsmkv *db, struct change_set *set,
                const struct manifest_edit *edit) LSMKV_REQUIRES(db->mutex)
{
    size_t room = edit->added_count + edit->removed_count;
    int result = 0;

    set->changes = calloc(room + 1, sizeof(*set->changes));
    if (set->changes == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < edit->removed_count && result == 0; i++)
        result = set_remove(db, set, &edit->removed[i], room);
    for (size_t i = 0; i < edit->added_count && result == 0; i++)
        result = set_add(db, set, &edit->added[i], room);
    for (size_t i = 0; i < set->count && result == 0; i++) {
        struct change *change = &set->changes[i];

        result = version_edit(change->keyspace->view->version, change->removed,
                              change->removed_count, change->added, change->added_count,
                              &db->reporter, &change->version);
    }
    if (result == 0)
        result = keyspaces_make(db, edit, &set->created);
    if (result == 0) {
        db->view_room = db->frozen + 1 + ROTATIONS_MAX;
        result = view_set_reserve(db, db->view_room, &set->views);
    }
    return result;
}

/* NULL: the keyspace keeps the one that it has. */
static struct version *
changed_version(const struct change_set *set, const struct lsmkv_keyspace *keyspace)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->changes[i].keyspace == keyspace)
            return set->changes[i].version;
    return NULL;
}

/* From the oldest on, up to `last`. */
static void
retire(struct lsmkv *db, const struct generation *last) LSMKV_REQUIRES(db->mutex)
{
    struct generation *generation;

    do {
        generation = db->oldest;
        assert(generation->newer != NULL);
        db->oldest = generation->newer;
        db->frozen--;
        generation->flushed = true;
    } while (generation != last);
    atomic_fetch_add(&db->counters.flushes, 1); /* before who waits for it looks */
}

/* The store's references of those that were retired. */
static void
let_go(struct generation *generation, const struct generation *last)
{
    struct generation *newer;

    for (bool more = true; more; generation = newer) {
        more = generation != last;
        newer = generation->newer;
        generation_unref(generation);
    }
}

/* Files that the edit removed and did not put at another level die with their last reader. */
static void
mark_obsolete(const struct change *change)
{
    for (size_t i = 0; i < change->removed_count; i++) {
        struct table_file *file = change->removed[i].file;
        bool moved = false;

        for (size_t k = 0; k < change->added_count; k++)
            moved = moved || change->added[k].file == file;
        if (!moved)
            atomic_store(&file->obsolete, true);
    }
}

/* B3 of table/blob.h. */
static void
count_blobs(struct lsmkv *db, const struct change *change) LSMKV_REQUIRES(db->mutex)
{
    for (size_t i = 0; i < change->added_count; i++)
        blob_files_add_live(db->blobs, change->added[i].file->meta.blobs,
                            change->added[i].file->meta.blob_count);
    for (size_t i = 0; i < change->removed_count; i++)
        blob_files_drop_live(db->blobs, change->removed[i].file->meta.blobs,
                             change->removed[i].file->meta.blob_count);
    change->keyspace->collect_known = false;
}

/* What moves to another level goes in there, but is not written.  Under the mutex. */
static void
count_traffic(const struct change *change)
{
    struct level_traffic *traffic = change->keyspace->traffic;

    for (size_t i = 0; i < change->added_count; i++) {
        const struct version_change *added = &change->added[i];

        if (removed_file(change, added->file->meta.number) == NULL)
            traffic[added->level].written += added->file->meta.size;
        if (change->removed_count == 0)
            traffic[added->level].in += added->file->meta.size;
    }
    for (size_t i = 0; i < change->removed_count && change->added_count > 0; i++)
        if (change->removed[i].level != change->added[0].level)
            traffic[change->added[0].level].in += change->removed[i].file->meta.size;
}

/* The change in memory, after its line is durable. */
static void
apply(struct lsmkv *db, struct change_set *set, const struct manifest_edit *edit,
      struct generation *retired, uint64_t publish) LSMKV_REQUIRES(db->mutex)
{
    if (retired != NULL)
        retire(db, retired);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next) {
        struct version *version = changed_version(set, ks);

        if (version != NULL || retired != NULL)
            view_set_install(db, &set->views, ks,
                             version != NULL ? version : ks->view->version);
    }
    keyspaces_apply(db, edit, &set->created);
    snapshots_apply(db, edit);
    for (size_t i = 0; i < set->count; i++) {
        mark_obsolete(&set->changes[i]);
        count_blobs(db, &set->changes[i]);
        count_traffic(&set->changes[i]);
    }
    if (publish > db->last_sequence)
        db->last_sequence = publish;
}

int
state_edit(struct lsmkv *db, struct manifest_edit *edit)
{
    int result = 0;

    memset(edit, 0, sizeof(*edit));
    edit->next_file = atomic_load(&db->next_file);
    edit->oldest_log = db->oldest != NULL ? db->oldest->log_number : 0;
    edit->last_sequence = db->last_sequence;
    edit->next_keyspace = db->next_keyspace;
    edit->next_snapshot = db->next_snapshot;
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL && result == 0;
         ks = ks->next) {
        struct edit_keyspace described = {
            .id = ks->id, .order = ks->order, .compression = ks->compression};

        memcpy(described.name, ks->name, sizeof(described.name));
        result = manifest_edit_keyspace(edit, &described);
        for (int level = 0; level < LEVEL_COUNT && result == 0; level++) {
            const struct level *tables = &ks->view->version->levels[level];

            for (size_t i = 0; i < tables->count && result == 0; i++) {
                struct table_meta meta = {0};

                result = table_meta_copy(&meta, &tables->files[i]->meta);
                if (result == 0) {
                    result = manifest_edit_add(edit, ks->id, level, &meta);
                    table_meta_fini(&meta);
                }
            }
        }
    }
    for (struct named_snapshot *named = db->named; named != NULL && result == 0;
         named = named->next)
        if (named->durable)
            result = manifest_edit_snapshot(edit, &named->info);
    if (result != 0)
        manifest_edit_fini(edit);
    return result;
}

/* Replaces the manifest; the old one goes on if nothing was renamed. */
static int
roll(struct lsmkv *db, bool names_lz4) LSMKV_REQUIRES(db->manifest_mutex)
{
    struct manifest_edit state;
    int result;

    mutex_lock(&db->mutex);
    result = state_edit(db, &state);
    mutex_unlock(&db->mutex);
    if (result != 0)
        return result;
    state.names_lz4 = names_lz4;
    result = manifest_replace(&db->manifest, file_number_take(db), &state);
    manifest_edit_fini(&state);
    return result != 0 && manifest_is_broken(db->manifest) ? poison(db, result) : result;
}

int
install_manifest(struct lsmkv *db)
{
    int result;

    mutex_lock(&db->manifest_mutex);
    result = roll(db, false);
    mutex_unlock(&db->manifest_mutex);
    return result;
}

/* M5: before the first compressed keyspace's line. */
static int
name_features(struct lsmkv *db, const struct manifest_edit *edit)
    LSMKV_REQUIRES(db->manifest_mutex)
{
    bool needed = false, named = false;

    for (size_t i = 0; i < edit->keyspace_count; i++)
        needed = needed || edit->keyspaces[i].compression != LSMKV_COMPRESSION_NONE;
    if (!needed)
        return 0;
    mutex_lock(&db->mutex);
    for (const struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        named = named || ks->compression != LSMKV_COMPRESSION_NONE;
    mutex_unlock(&db->mutex);
    return named ? 0 : roll(db, true);
}

static int
append_line(struct lsmkv *db, struct manifest_edit *edit, uint64_t publish)
    LSMKV_REQUIRES(db->manifest_mutex)
{
    uint64_t before = manifest_end(db->manifest);
    int result;

    mutex_lock(&db->mutex);
    edit->last_sequence = publish > db->last_sequence ? publish : db->last_sequence;
    mutex_unlock(&db->mutex);
    edit->next_file = atomic_load(&db->next_file);
    result = manifest_append(db->manifest, edit);
    if (result == 0) {
        atomic_fetch_add(&db->counters.manifest_lines, 1);
        atomic_fetch_add(&db->counters.manifest_bytes,
                         manifest_end(db->manifest) - before);
    }
    return result;
}

int
install(struct lsmkv *db, struct manifest_edit *edit, struct generation *retired,
        uint64_t publish)
{
    struct change_set set = {0};
    struct generation *oldest; /* as it was before */
    bool undecided = false;    /* the line may be durable although its writing failed */
    int result;

    mutex_lock(&db->manifest_mutex);
    mutex_lock(&db->mutex);
    result = db->poison;
    if (result == 0)
        result = change_set_make(db, &set, edit);
    mutex_unlock(&db->mutex);
    if (result == 0) {
        result = name_features(db, edit);
        if (result == 0)
            result = append_line(db, edit, publish);
        undecided = manifest_is_broken(db->manifest);
        if (undecided) {
            atomic_store(&db->obsolete.stopped, true);
            (void)poison(db, result);
        }
    }
    if (result != 0 && !undecided)
        files_discard_added(db, edit);
    mutex_lock(&db->mutex);
    oldest = db->oldest;
    if (result == 0)
        apply(db, &set, edit, retired, publish);
    keyspaces_unmake(db, &set.created);
    db->view_room = 0;
    condition_broadcast(&db->work); /* the levels changed */
    condition_broadcast(&db->progress);
    mutex_unlock(&db->mutex);
    change_set_fini(&set);
    if (result == 0) {
        int rolled = manifest_wants_roll(db->manifest) ? roll(db, false) : 0;

        if (rolled != 0)
            report_warning(&db->reporter, "MANIFEST: cannot be rolled: %s",
                           strerror(-rolled));
    }
    mutex_unlock(&db->manifest_mutex);
    if (result == 0 && retired != NULL)
        let_go(oldest, retired);
    return result;
}
