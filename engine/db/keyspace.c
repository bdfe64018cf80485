/*
 * keyspace.c - creating, finding and dropping keyspaces.
 *
 * Creation and dropping hold the writer's turn: no batch is under way that could name the
 * keyspace before its manifest line is durable, or after it is gone.  Entries of a dropped
 * keyspace that are still in a log are passed over by the replay.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

struct lsmkv_keyspace *
keyspace_by_id(struct lsmkv *db, uint32_t id)
{
    struct lsmkv_keyspace *keyspace = db->keyspaces;

    while (keyspace != NULL && keyspace->id != id)
        keyspace = keyspace->next;
    return keyspace;
}

static struct lsmkv_keyspace *
keyspace_by_name(struct lsmkv *db, const char *name) LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_keyspace *keyspace = db->keyspaces;

    while (keyspace != NULL && strcmp(keyspace->name, name) != 0)
        keyspace = keyspace->next;
    return keyspace;
}

void
keyspace_free(struct lsmkv_keyspace *keyspace)
{
    if (keyspace == NULL)
        return;
    view_unref(keyspace->view);
    compaction_cursor_fini(&keyspace->cursor);
    dead_ranges_free(keyspace->dead_ranges);
    free(keyspace);
}

/* A memtable for it in every live generation, so that its view has one to write to. */
static int
add_memtables(struct lsmkv *db, const struct lsmkv_keyspace *keyspace)
    LSMKV_REQUIRES(db->mutex)
{
    if (db->active == NULL || generation_memtable(db->active, keyspace->id) != NULL)
        return 0;
    return generation_add_keyspace(db, db->active, keyspace->id, keyspace->order);
}

/* Frees one that is in no list, and its memtable. */
static void
keyspace_unmake(struct lsmkv *db, struct lsmkv_keyspace *keyspace)
    LSMKV_REQUIRES(db->mutex)
{
    uint32_t id = keyspace->id;

    keyspace_free(keyspace);
    if (db->active != NULL)
        generation_take_back(db->active, id);
}

static int
keyspace_make(struct lsmkv *db, const struct edit_keyspace *described,
              struct lsmkv_keyspace **made) LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_keyspace *keyspace = calloc(1, sizeof(*keyspace));
    struct version *version = NULL;
    int result;

    if (keyspace == NULL)
        return -ENOMEM;
    keyspace->db = db;
    keyspace->id = described->id;
    keyspace->order = described->order;
    keyspace->compression = described->compression;
    memcpy(keyspace->name, described->name, sizeof(keyspace->name));
    keyspace->created_sequence = db->last_sequence;
    result = version_new(keyspace->order, &version);
    if (result == 0 && db->options.dead_ranges)
        result =
            dead_ranges_new(keyspace->order, DEAD_RANGES_MAX, &keyspace->dead_ranges);
    if (result == 0)
        result = add_memtables(db, keyspace);
    if (result == 0)
        result = view_install(db, keyspace, version);
    version_unref(version);
    if (result == 0)
        *made = keyspace;
    else
        keyspace_unmake(db, keyspace);
    return result;
}

static void
keyspace_append(struct lsmkv *db, struct lsmkv_keyspace *keyspace)
    LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_keyspace **end = &db->keyspaces;

    while (*end != NULL)
        end = &(*end)->next;
    *end = keyspace;
    if (db->next_keyspace <= keyspace->id)
        db->next_keyspace = keyspace->id + 1;
}

int
keyspace_register(struct lsmkv *db, const struct edit_keyspace *described)
{
    struct lsmkv_keyspace *keyspace;
    int result = keyspace_make(db, described, &keyspace);

    if (result == 0)
        keyspace_append(db, keyspace);
    return result;
}

/* Unlinks a dropped keyspace and lets its files die with their last reader. */
static void
forget(struct lsmkv *db, struct lsmkv_keyspace *keyspace) LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_keyspace **link = &db->keyspaces;

    while (*link != keyspace)
        link = &(*link)->next;
    *link = keyspace->next;
    for (struct generation *g = db->oldest; g != NULL; g = g->newer) {
        struct generation_slot *slot = generation_slot(g, keyspace->id);

        if (slot != NULL)
            slot->dropped = true;
    }
    for (int i = 0; i < LEVEL_COUNT; i++) {
        const struct level *level = &keyspace->view->version->levels[i];

        for (size_t k = 0; k < level->count; k++)
            atomic_store(&level->files[k]->obsolete, true);
    }
}

int
keyspaces_make(struct lsmkv *db, const struct manifest_edit *edit,
               struct lsmkv_keyspace **made)
{
    int result = 0;

    *made = NULL;
    for (size_t i = 0; i < edit->keyspace_count && result == 0; i++) {
        result = keyspace_make(db, &edit->keyspaces[i], made);
        if (result == 0)
            made = &(*made)->next;
    }
    return result;
}

void
keyspaces_unmake(struct lsmkv *db, struct lsmkv_keyspace **made)
{
    if (*made == NULL)
        return;
    keyspaces_unmake(db, &(*made)->next); /* the last one added goes first */
    keyspace_unmake(db, *made);
    *made = NULL;
}

void
keyspaces_apply(struct lsmkv *db, const struct manifest_edit *edit,
                struct lsmkv_keyspace **made)
{
    while (*made != NULL) {
        struct lsmkv_keyspace *keyspace = *made;

        *made = keyspace->next;
        keyspace->next = NULL;
        keyspace_append(db, keyspace);
    }
    for (size_t i = 0; i < edit->dropped_keyspace_count; i++) {
        struct lsmkv_keyspace *keyspace = keyspace_by_id(db, edit->dropped_keyspaces[i]);

        if (keyspace != NULL)
            forget(db, keyspace);
    }
}

/* ---- the public functions ---- */

struct lsmkv_keyspace *
lsmkv_default_keyspace(struct lsmkv *db)
{
    return db->default_keyspace;
}

const char *
lsmkv_keyspace_name(const struct lsmkv_keyspace *keyspace)
{
    return keyspace->name;
}

enum lsmkv_order
lsmkv_keyspace_order(const struct lsmkv_keyspace *keyspace)
{
    return keyspace->order;
}

enum lsmkv_compression
lsmkv_keyspace_compression(const struct lsmkv_keyspace *keyspace)
{
    return keyspace->compression;
}

int
lsmkv_keyspace_open(struct lsmkv *db, const char *name, struct lsmkv_keyspace **keyspace)
{
    struct lsmkv_keyspace *found;

    error_clear();
    mutex_lock(&db->mutex);
    found = keyspace_by_name(db, name);
    mutex_unlock(&db->mutex);
    if (found == NULL)
        return error_detail(-ENOENT, "no keyspace named \"%s\"", name);
    *keyspace = found;
    return 0;
}

static int
create_in_turn(struct lsmkv *db, const char *name,
               const struct lsmkv_keyspace_options *options)
{
    struct edit_keyspace described = {.order = options->order,
                                      .compression = options->compression};
    struct manifest_edit edit = {0};
    bool taken;
    int result;

    memcpy(described.name, name, strlen(name) + 1);
    mutex_lock(&db->mutex);
    taken = keyspace_by_name(db, name) != NULL;
    described.id = db->next_keyspace;
    mutex_unlock(&db->mutex);
    if (taken)
        return error_detail(-EEXIST, "there is a keyspace named \"%s\"", name);
    if (described.id == UINT32_MAX) /* is no id, and there is none after it */
        return error_detail(-EOVERFLOW, "keyspace \"%s\": all ids were used", name);
    edit.next_keyspace = described.id + 1;
    result = manifest_edit_keyspace(&edit, &described);
    if (result == 0)
        result = install(db, &edit, NULL, 0);
    manifest_edit_fini(&edit);
    return result;
}

int
lsmkv_keyspace_create(struct lsmkv *db, const char *name, enum lsmkv_order order,
                      struct lsmkv_keyspace **keyspace)
{
    struct lsmkv_keyspace_options options = {.order = order};

    return lsmkv_keyspace_create_with(db, name, &options, keyspace);
}

int
lsmkv_keyspace_create_with(struct lsmkv *db, const char *name,
                           const struct lsmkv_keyspace_options *options,
                           struct lsmkv_keyspace **keyspace)
{
    size_t size = strlen(name);
    struct writer turn;
    int result;

    error_clear();
    if (size == 0 || size > LSMKV_NAME_MAX ||
        (options->order != LSMKV_ORDER_BYTES && options->order != LSMKV_ORDER_PATH))
        return error_detail(-EINVAL, "a keyspace's name has 1 to %u bytes",
                            LSMKV_NAME_MAX);
    if (!compression_is_known(options->compression))
        return error_detail(-EINVAL, "compression %d is not known",
                            (int)options->compression);
    result = check_writable(db);
    if (result != 0)
        return result;
    writer_begin(db, &turn);
    result = create_in_turn(db, name, options);
    writer_end(db, &turn);
    return result == 0 ? lsmkv_keyspace_open(db, name, keyspace) : result;
}

static bool
is_seen_by_snapshot(struct lsmkv *db, const struct lsmkv_keyspace *keyspace)
    LSMKV_REQUIRES(db->mutex)
{
    for (struct named_snapshot *named = db->named; named != NULL; named = named->next)
        if (named->info.sequence > keyspace->created_sequence)
            return true;
    return false;
}

int
lsmkv_keyspace_drop(struct lsmkv *db, struct lsmkv_keyspace *keyspace)
{
    struct manifest_edit edit = {0};
    struct writer turn;
    bool seen;
    int result;

    error_clear();
    if (keyspace == NULL || keyspace == db->default_keyspace)
        return error_detail(-EINVAL, "the default keyspace cannot be dropped");
    result = check_writable(db);
    if (result != 0)
        return result;
    writer_begin(db, &turn);
    mutex_lock(&db->mutex);
    seen = is_seen_by_snapshot(db, keyspace);
    while (!seen && (db->compacting || db->flushing))
        condition_wait(&db->progress, &db->mutex);
    if (!seen)
        db->compacting = db->flushing = true; /* no merge may be using it */
    mutex_unlock(&db->mutex);
    if (seen) {
        result = error_detail(-EBUSY, "a snapshot sees keyspace \"%s\"", keyspace->name);
    } else {
        result = manifest_edit_drop_keyspace(&edit, keyspace->id);
        if (result == 0)
            result = install(db, &edit, NULL, 0);
        mutex_lock(&db->mutex);
        db->compacting = db->flushing = false;
        condition_broadcast(&db->progress);
        condition_broadcast(&db->work);
        mutex_unlock(&db->mutex);
    }
    writer_end(db, &turn);
    manifest_edit_fini(&edit);
    if (result == 0) {
        keyspace_free(keyspace);
        files_delete_obsolete(db);
    }
    return result;
}

int
lsmkv_keyspace_list(struct lsmkv *db,
                    int (*each)(void *context, const char *name, enum lsmkv_order order),
                    void *context)
{
    int result = 0;

    error_clear();
    mutex_lock(&db->mutex);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL && result == 0;
         ks = ks->next)
        result = each(context, ks->name, ks->order);
    mutex_unlock(&db->mutex);
    return result;
}
