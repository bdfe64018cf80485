/*
 * rollback.c - back to what a snapshot sees, atomically.
 *
 * Every key that changed since (changes.c) gets an entry: the record that it had, with
 * its stamp, or a tombstone.  They go straight to level-0 tables (straight.h) of all
 * keyspaces, which one manifest line installs.  Values that stand apart stay where they
 * are, only the references are written.
 *
 * O1  The writer's turn is held from before the flush until the line is durable, so
 *     nothing is written between what is read and what replaces it.
 * O2  It may use the reserve (N3), for it is how a full disk is left: what was written
 *     since goes when merges bring it together with the tombstones, unless a snapshot
 *     sees it.
 * O3  Level 0 may have more tables afterwards than writers are stopped for, as after a
 *     large move: the next memtable waits until merges, which begin at once, have taken
 *     them down.
 */
#include <errno.h>
#include <stdlib.h>

#include "db/straight.h"
#include "iter/cursor.h"

#define PROGRESS_EVERY 4096u /* keys */

struct rollback {
    struct lsmkv *db;
    const struct lsmkv_snapshot *snapshot;
    const struct lsmkv_rollback_options *options;
    uint64_t keys; /* that entries were made of */
    struct manifest_edit edit;
    struct view **views; /* of the keyspaces, which all is read from (N2) */
    size_t view_count;
};

/* What one keyspace gets. */
struct restorer {
    struct straight_source source; /* first member */
    struct rollback *rollback;
    struct lsmkv_changes *changes;
    struct cursor then; /* the keyspace as the snapshot sees it */
    bool begun;         /* that cursor stands somewhere */
};

/* ---- one keyspace ---- */

static void
count(struct rollback *rollback)
{
    const struct lsmkv_rollback_options *options = rollback->options;

    if (++rollback->keys % PROGRESS_EVERY == 0 && options->progress != NULL)
        options->progress(options->context, rollback->keys);
}

/* Brings the cursor to `key`, or past it if the snapshot does not see it; 1, 0 or an
 * error.  It only goes forward, so that what came after the snapshot is passed once. */
static int
find_then(struct restorer *restorer, struct lsmkv_slice key)
{
    struct cursor *then = &restorer->then;

    if (!restorer->begun ||
        (cursor_valid(then) && key_compare(then->order, cursor_key(then), key) < 0))
        cursor_seek(then, key);
    restorer->begun = true;
    if (!cursor_valid(then))
        return cursor_status(then);
    return slice_equal(cursor_key(then), key);
}

static int
restorer_next(struct straight_source *source, struct straight_entry *entry)
{
    struct restorer *restorer = (struct restorer *)source;
    int found;

    if (!lsmkv_changes_next(restorer->changes))
        return lsmkv_changes_status(restorer->changes);
    entry->key = lsmkv_changes_key(restorer->changes);
    found = find_then(restorer, entry->key);
    if (found < 0)
        return found;
    entry->kind = found ? KIND_PUT_STAMPED : KIND_DELETE;
    if (found && cursor_is_apart(&restorer->then))
        entry->kind |= KIND_BLOB_BIT;
    if (found)
        entry->record = *cursor_record(&restorer->then);
    count(restorer->rollback);
    return 1;
}

static int
restorer_init(struct restorer *restorer, struct rollback *rollback,
              const struct read_point *point)
{
    const struct lsmkv_changes_options options = {.from = rollback->snapshot};
    const struct lsmkv_slice none = {NULL, 0};
    const enum lsmkv_order order = point->keyspace->order;
    struct iterator *it;
    int result;

    *restorer = (struct restorer){.source.next = restorer_next, .rollback = rollback};
    result =
        lsmkv_changes_new(rollback->db, point->keyspace, &options, &restorer->changes);
    if (result == 0)
        result = view_iterate(point->view, order, TABLE_KEEPING, none, &it);
    if (result == 0)
        result = cursor_init(&restorer->then, it, order, point->sequence, none, none,
                             point->keyspace->dead_ranges);
    return result;
}

static int
restore(struct rollback *rollback, const struct read_point *point)
{
    struct restorer restorer;
    int result = restorer_init(&restorer, rollback, point);

    if (result == 0)
        result = straight_put(rollback->db, point->keyspace, &restorer.source,
                              &rollback->edit);
    lsmkv_changes_free(restorer.changes);
    cursor_fini(&restorer.then);
    return result;
}

/* ---- all of them ---- */

/* The first keyspace, or the one after another, without the one that stays; NULL: there
 * is none. */
static struct lsmkv_keyspace *
keyspace_after(struct rollback *rollback, const struct lsmkv_keyspace *keyspace)
{
    struct lsmkv *db = rollback->db;
    struct lsmkv_keyspace *next;

    mutex_lock(&db->mutex); /* the turn keeps the list as it is */
    next = keyspace == NULL ? db->keyspaces : keyspace->next;
    if (next != NULL && next == rollback->options->except)
        next = next->next;
    mutex_unlock(&db->mutex);
    return next;
}

static int
restore_all(struct rollback *rollback)
{
    struct lsmkv_keyspace *keyspace = NULL;
    int result = straight_begin(rollback->db);

    while (result == 0 && (keyspace = keyspace_after(rollback, keyspace)) != NULL) {
        struct read_point point =
            read_point_take(rollback->db, keyspace, rollback->snapshot);

        rollback->views[rollback->view_count++] = point.view;
        result = restore(rollback, &point);
    }
    return straight_end(rollback->db, &rollback->edit, result);
}

static bool
is_unchanged(const struct rollback *rollback)
{
    struct lsmkv *db = rollback->db;
    bool unchanged;

    mutex_lock(&db->mutex);
    unchanged = db->last_sequence == rollback->snapshot->sequence;
    mutex_unlock(&db->mutex);
    return unchanged;
}

static int
roll_back(struct rollback *rollback)
{
    struct lsmkv_keyspace *keyspace = NULL;
    size_t room = 1;
    int result;

    if (is_unchanged(rollback))
        return 0;
    while ((keyspace = keyspace_after(rollback, keyspace)) != NULL)
        room++;
    rollback->views = calloc(room, sizeof(struct view *));
    if (rollback->views == NULL)
        return -ENOMEM;
    result = restore_all(rollback);
    while (rollback->view_count > 0)
        view_unref(rollback->views[--rollback->view_count]);
    free(rollback->views);
    files_delete_obsolete(rollback->db);
    return result;
}

int
lsmkv_rollback(struct lsmkv *db, const struct lsmkv_snapshot *snapshot,
               const struct lsmkv_rollback_options *options)
{
    const struct lsmkv_rollback_options none = {0};
    struct rollback rollback = {
        .db = db, .snapshot = snapshot, .options = options != NULL ? options : &none};
    struct writer turn;
    int result;

    error_clear();
    result = check_writable(db);
    if (result != 0)
        return result;
    writer_begin(db, &turn); /* O1 */
    result = roll_back(&rollback);
    space_look(db);
    writer_end(db, &turn);
    if (result == 0 && rollback.options->progress != NULL)
        rollback.options->progress(rollback.options->context, rollback.keys);
    if (result == 0)
        reclaim_note_deletes(db, rollback.keys); /* each has hidden another */
    if (result == -ENOSPC)
        space_note_full(db);
    return result;
}
