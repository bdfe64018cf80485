/*
 * snapshot.c - pinned read sequences, with and without names.
 *
 * A pin keeps merges from dropping what its sequence sees.  Pins stand in a ring that
 * ascends by sequence; a pin is made at last_sequence, so it goes to the end, but for
 * those that the manifest brings back at opening.
 *
 * Making a named one, in the writer's turn: registered in memory, log synced, manifest
 * line, in that order.  A merge that begins after the registration keeps what it sees,
 * and the line never names a sequence that a power cut could take back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

/* Pins `sequence` in the ascending ring. */
static int
snapshot_pin(struct lsmkv *db, uint64_t sequence, struct lsmkv_snapshot **out)
    LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_snapshot *snapshot = malloc(sizeof(*snapshot)),
                          *after = db->snapshots.prev;

    if (snapshot == NULL)
        return -ENOMEM;
    while (after != &db->snapshots && after->sequence > sequence)
        after = after->prev;
    snapshot->sequence = sequence;
    snapshot->prev = after;
    snapshot->next = after->next;
    after->next->prev = snapshot;
    after->next = snapshot;
    *out = snapshot;
    return 0;
}

static void
snapshot_unpin(struct lsmkv *db, struct lsmkv_snapshot *snapshot)
    LSMKV_REQUIRES(db->mutex)
{
    bool prev_too = snapshot->prev != &db->snapshots &&
                    snapshot->prev->sequence == snapshot->sequence;
    bool next_too = snapshot->next != &db->snapshots &&
                    snapshot->next->sequence == snapshot->sequence;

    if (!prev_too && !next_too && snapshot->sequence < db->last_sequence)
        reclaim_note_released(db, snapshot->sequence);
    snapshot->prev->next = snapshot->next;
    snapshot->next->prev = snapshot->prev;
    free(snapshot);
}

int
snapshot_sequences(struct lsmkv *db, uint64_t **out, size_t *out_count)
{
    uint64_t *sequences;
    size_t count = 1;

    mutex_lock(&db->mutex);
    for (struct lsmkv_snapshot *s = db->snapshots.next; s != &db->snapshots; s = s->next)
        count++;
    sequences = malloc(count * sizeof(*sequences));
    if (sequences != NULL) {
        count = 0;
        for (struct lsmkv_snapshot *s = db->snapshots.next; s != &db->snapshots;
             s = s->next)
            if (count == 0 || sequences[count - 1] != s->sequence)
                sequences[count++] = s->sequence;
        if (count == 0 || sequences[count - 1] != db->last_sequence)
            sequences[count++] = db->last_sequence;
    }
    mutex_unlock(&db->mutex);
    if (sequences == NULL)
        return -ENOMEM;
    *out = sequences;
    *out_count = count;
    return 0;
}

/* ---- named ones in memory ---- */

static struct named_snapshot *
named_find(struct lsmkv *db, const char *name) LSMKV_REQUIRES(db->mutex)
{
    struct named_snapshot *named = db->named;

    while (named != NULL && strcmp(named->info.name, name) != 0)
        named = named->next;
    return named;
}

static struct named_snapshot *
named_by_id(struct lsmkv *db, uint64_t id) LSMKV_REQUIRES(db->mutex)
{
    struct named_snapshot *named = db->named;

    while (named != NULL && named->info.id != id)
        named = named->next;
    return named;
}

static void
named_forget(struct lsmkv *db, struct named_snapshot *named) LSMKV_REQUIRES(db->mutex)
{
    struct named_snapshot **link = &db->named;

    while (*link != named)
        link = &(*link)->next;
    *link = named->next;
    snapshot_unpin(db, named->pin);
    free(named);
}

int
snapshot_register(struct lsmkv *db, const struct lsmkv_snapshot_info *info,
                  struct named_snapshot **out)
{
    struct named_snapshot *named = calloc(1, sizeof(*named)), **end = &db->named;
    int result;

    if (named == NULL)
        return -ENOMEM;
    named->info = *info;
    result = snapshot_pin(db, info->sequence, &named->pin);
    if (result != 0) {
        free(named);
        return result;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = named;
    if (db->next_snapshot <= info->id)
        db->next_snapshot = info->id + 1;
    if (out != NULL)
        *out = named;
    return 0;
}

void
snapshots_apply(struct lsmkv *db, const struct manifest_edit *edit)
{
    for (size_t i = 0; i < edit->snapshot_count; i++) {
        struct named_snapshot *named = named_by_id(db, edit->snapshots[i].id);

        if (named != NULL) {
            named->info = edit->snapshots[i];
            named->durable = true;
        }
    }
    for (size_t i = 0; i < edit->dropped_snapshot_count; i++) {
        struct named_snapshot *named = named_by_id(db, edit->dropped_snapshots[i]);

        if (named != NULL)
            named_forget(db, named);
    }
}

void
snapshots_free_all(struct lsmkv *db)
{
    mutex_lock(&db->mutex);
    while (db->named != NULL)
        named_forget(db, db->named);
    mutex_unlock(&db->mutex);
}

/* ---- the public functions ---- */

static int
check_name(const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || size > LSMKV_NAME_MAX || strchr(name, '/') != NULL)
        return error_detail(-EINVAL, "a snapshot's name has 1 to %u bytes and no '/'",
                            LSMKV_NAME_MAX);
    return 0;
}

/* The name is taken and the sequence pinned; nothing is durable yet. */
static int
register_new(struct lsmkv *db, const char *name, struct named_snapshot **named)
{
    struct lsmkv_snapshot_info info = {.time = db->env->now(db->env)};
    int result;

    memcpy(info.name, name, strlen(name) + 1);
    mutex_lock(&db->mutex);
    if (named_find(db, name) != NULL) {
        result = error_detail(-EEXIST, "there is a snapshot named \"%s\"", name);
    } else {
        info.id = db->next_snapshot;
        info.sequence = db->last_sequence;
        result = snapshot_register(db, &info, named);
    }
    mutex_unlock(&db->mutex);
    return result;
}

static int
create_in_turn(struct lsmkv *db, const char *name, struct lsmkv_snapshot_info *info)
{
    struct manifest_edit edit = {0};
    struct named_snapshot *named;
    int result = register_new(db, name, &named);

    if (result != 0)
        return result;
    *info = named->info;
    result = sync_log(db);
    if (result == 0)
        result = manifest_edit_snapshot(&edit, info);
    if (result == 0) {
        edit.next_snapshot = info->id + 1;
        result = install(db, &edit, NULL, 0);
    }
    manifest_edit_fini(&edit);
    if (result != 0) {
        mutex_lock(&db->mutex);
        named_forget(db, named);
        mutex_unlock(&db->mutex);
    }
    return result;
}

int
lsmkv_snapshot_create(struct lsmkv *db, const char *name,
                      struct lsmkv_snapshot_info *info)
{
    struct lsmkv_snapshot_info made;
    struct writer turn;
    int result;

    error_clear();
    result = check_name(name);
    if (result == 0)
        result = check_writable(db);
    if (result != 0)
        return result;
    writer_begin(db, &turn);
    result = create_in_turn(db, name, &made);
    writer_end(db, &turn);
    if (result == 0 && info != NULL)
        *info = made;
    return result;
}

/* The durable snapshot `name`, copied out; -ENOENT. */
static int
info_of(struct lsmkv *db, const char *name, struct lsmkv_snapshot_info *info)
    LSMKV_REQUIRES(db->mutex)
{
    struct named_snapshot *named = named_find(db, name);

    if (named == NULL || !named->durable)
        return error_detail(-ENOENT, "no snapshot named \"%s\"", name);
    *info = named->info;
    return 0;
}

int
lsmkv_snapshot_drop(struct lsmkv *db, const char *name)
{
    struct manifest_edit edit = {0};
    struct lsmkv_snapshot_info info;
    struct writer turn;
    int result;

    error_clear();
    result = check_writable(db);
    if (result != 0)
        return result;
    writer_begin(db, &turn); /* two drops of one name: one of them finds nothing */
    mutex_lock(&db->mutex);
    result = info_of(db, name, &info);
    mutex_unlock(&db->mutex);
    if (result == 0)
        result = manifest_edit_drop_snapshot(&edit, info.id);
    if (result == 0)
        result = install(db, &edit, NULL, 0);
    writer_end(db, &turn);
    manifest_edit_fini(&edit);
    if (result == 0)
        reclaim_note_deletes(db, RECLAIM_MANY);
    return result;
}

int
lsmkv_snapshot_rename(struct lsmkv *db, const char *from, const char *to)
{
    struct manifest_edit edit = {0};
    struct lsmkv_snapshot_info info;
    struct writer turn;
    int result;

    error_clear();
    result = check_name(to);
    if (result == 0)
        result = check_writable(db);
    if (result != 0)
        return result;
    writer_begin(db, &turn);
    mutex_lock(&db->mutex);
    result = info_of(db, from, &info);
    if (result == 0 && named_find(db, to) != NULL)
        result = error_detail(-EEXIST, "there is a snapshot named \"%s\"", to);
    mutex_unlock(&db->mutex);
    if (result == 0) {
        memcpy(info.name, to, strlen(to) + 1);
        result = manifest_edit_snapshot(&edit, &info);
    }
    if (result == 0)
        result = install(db, &edit, NULL, 0);
    writer_end(db, &turn);
    manifest_edit_fini(&edit);
    return result;
}

int
lsmkv_snapshot_list(struct lsmkv *db,
                    int (*each)(void *context, const struct lsmkv_snapshot_info *info),
                    void *context)
{
    int result = 0;

    error_clear();
    mutex_lock(&db->mutex);
    for (struct named_snapshot *n = db->named; n != NULL && result == 0; n = n->next)
        if (n->durable)
            result = each(context, &n->info);
    mutex_unlock(&db->mutex);
    return result;
}

int
lsmkv_snapshot_open(struct lsmkv *db, const char *name, struct lsmkv_snapshot **snapshot,
                    struct lsmkv_snapshot_info *info)
{
    struct lsmkv_snapshot_info found;
    int result;

    error_clear();
    mutex_lock(&db->mutex);
    result = info_of(db, name, &found);
    if (result == 0)
        result = snapshot_pin(db, found.sequence, snapshot);
    mutex_unlock(&db->mutex);
    if (result == 0 && info != NULL)
        *info = found;
    return result;
}

int
lsmkv_snapshot_take(struct lsmkv *db, struct lsmkv_snapshot **snapshot)
{
    int result;

    error_clear();
    mutex_lock(&db->mutex);
    result = snapshot_pin(db, db->last_sequence, snapshot);
    mutex_unlock(&db->mutex);
    return result;
}

void
lsmkv_snapshot_release(struct lsmkv *db, struct lsmkv_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    mutex_lock(&db->mutex);
    snapshot_unpin(db, snapshot);
    mutex_unlock(&db->mutex);
}

uint64_t
lsmkv_snapshot_sequence(const struct lsmkv_snapshot *snapshot)
{
    return snapshot->sequence;
}
