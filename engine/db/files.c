/*
 * files.c - the names of the store's files, and the one place that deletes them.
 *
 * A table dies when its last reference goes and no durable version names it, and with it
 * the blob files that nothing else refers to; a flushed generation of memtables lets go
 * of them likewise.  Their numbers are then handed to the reaper here and deleted by the
 * next caller of files_delete_obsolete (invariant 13).  A log dies when the manifest line
 * that replaces it is durable (invariant 8).  Only names of our own form are ever
 * deleted, and none after a manifest line whose sync failed: it may come to be, and names
 * blob files whose last reference in memory may go (N2 of straight.h).  The sweep of the
 * next opening decides.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "db/collect.h"
#include "table/blob.h"

/* Digits beyond this cannot be a 64-bit number of ours. */
#define NUMBER_DIGITS_MAX 19

uint64_t
file_number_take(struct lsmkv *db)
{
    return atomic_fetch_add(&db->next_file, 1);
}

void
file_name(char *name, enum file_kind kind, uint64_t number)
{
    switch (kind) {
    case FILE_LOG:
        wal_name(name, number);
        break;
    case FILE_TABLE:
        table_name(name, number);
        break;
    case FILE_BLOB:
        blob_name(name, number);
        break;
    }
}

bool
file_name_parse(const char *name, uint64_t *number, enum file_kind *kind)
{
    static const enum file_kind kinds[] = {FILE_LOG, FILE_TABLE, FILE_BLOB};
    size_t digits = strspn(name, "0123456789");
    char ours[TABLE_NAME_SIZE];
    uint64_t value = 0;

    if (digits == 0 || digits > NUMBER_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (uint64_t)(name[i] - '0');
    *number = value;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        file_name(ours, kinds[i], value);
        *kind = kinds[i];
        if (strcmp(name, ours) == 0)
            return true;
    }
    return false;
}

/* ---- the reaper ---- */

static void
reap(struct file_reaper *reaper, enum file_kind kind, uint64_t number)
{
    struct obsolete_files *obsolete = (struct obsolete_files *)reaper;
    struct obsolete_file *files;

    mutex_lock(&obsolete->mutex);
    files = array_grown(obsolete->files, obsolete->count, sizeof(*files));
    /* Without memory the file stays until the sweep of the next opening. */
    if (files != NULL) {
        obsolete->files = files;
        files[obsolete->count++] = (struct obsolete_file){kind, number};
        atomic_store(&obsolete->any, true);
    }
    mutex_unlock(&obsolete->mutex);
}

void
obsolete_init(struct obsolete_files *obsolete)
{
    obsolete->reaper.reap = reap;
    mutex_init(&obsolete->mutex);
}

void
obsolete_fini(struct obsolete_files *obsolete)
{
    free(obsolete->files);
    mutex_fini(&obsolete->mutex);
}

/* Deletes `name`; a failure leaves an orphan for the next opening and is worth a
 * warning. */
static void
delete_file(struct lsmkv *db, const char *name)
{
    int result = env_dir_unlink(db->dir, name);

    if (result != 0 && result != -ENOENT)
        report_warning(&db->reporter, "%s: cannot delete: %s", name, strerror(-result));
}

void
files_delete_obsolete(struct lsmkv *db)
{
    struct obsolete_files *obsolete = &db->obsolete;
    struct obsolete_file *files;
    size_t count;

    if (atomic_load_explicit(&db->limbo.any, memory_order_relaxed))
        epoch_collect(&db->limbo); /* what a reader was in when it was retired */
    if (!atomic_load_explicit(&obsolete->any, memory_order_relaxed) ||
        atomic_load(&obsolete->stopped))
        return;
    mutex_lock(&obsolete->mutex);
    atomic_store(&obsolete->any, false);
    files = obsolete->files;
    count = obsolete->count;
    obsolete->files = NULL;
    obsolete->count = 0;
    obsolete->deleting++;
    mutex_unlock(&obsolete->mutex);
    for (size_t i = 0; i < count; i++) {
        char name[TABLE_NAME_SIZE];

        file_name(name, files[i].kind, files[i].number);
        delete_file(db, name);
    }
    free(files);
    mutex_lock(&obsolete->mutex);
    obsolete->deleting--;
    mutex_unlock(&obsolete->mutex);
    collect_note_room(db);
}

bool
files_are_going(struct lsmkv *db)
{
    struct obsolete_files *obsolete = &db->obsolete;
    bool going;

    mutex_lock(&obsolete->mutex);
    going = obsolete->count > 0 || obsolete->deleting > 0;
    mutex_unlock(&obsolete->mutex);
    return going || atomic_load(&db->limbo.any);
}

void
files_discard_added(struct lsmkv *db, const struct manifest_edit *edit)
{
    for (size_t i = 0; i < edit->added_count; i++) {
        bool moved = false; /* only to another level: the file is in use */

        for (size_t k = 0; k < edit->removed_count; k++)
            moved = moved || edit->removed[k].meta.number == edit->added[i].meta.number;
        if (!moved)
            db->obsolete.reaper.reap(&db->obsolete.reaper, FILE_TABLE,
                                     edit->added[i].meta.number);
    }
    for (size_t i = 0; i < edit->made_blob_count; i++)
        db->obsolete.reaper.reap(&db->obsolete.reaper, FILE_BLOB,
                                 edit->made_blobs[i].number);
    files_delete_obsolete(db);
}

/* ---- scanning the directory ---- */

struct scan {
    uint64_t from, below; /* logs in [from, below) are wanted */
    uint64_t *logs;
    size_t count;
    uint64_t highest;
};

static int
scan_name(void *context, const char *name)
{
    struct scan *scan = context;
    uint64_t number, *logs;
    enum file_kind kind;

    if (!file_name_parse(name, &number, &kind))
        return 0;
    if (number > scan->highest)
        scan->highest = number;
    if (kind != FILE_LOG || number < scan->from || number >= scan->below)
        return 0;
    logs = array_grown(scan->logs, scan->count, sizeof(*logs));
    if (logs == NULL)
        return -ENOMEM;
    scan->logs = logs;
    logs[scan->count++] = number;
    return 0;
}

int
files_scan(struct lsmkv *db, uint64_t oldest_log, uint64_t **logs, size_t *count,
           uint64_t *highest)
{
    struct scan scan = {.from = oldest_log, .below = UINT64_MAX};
    int result = env_dir_list(db->dir, scan_name, &scan);

    if (result != 0) {
        free(scan.logs);
        return result;
    }
    if (scan.count > 0)
        qsort(scan.logs, scan.count, sizeof(*scan.logs), compare_numbers);
    *logs = scan.logs;
    *count = scan.count;
    *highest = scan.highest;
    return 0;
}

void
files_delete_logs(struct lsmkv *db, uint64_t from, uint64_t oldest_log)
{
    struct scan scan = {.from = from, .below = oldest_log};

    if (env_dir_list(db->dir, scan_name, &scan) == 0) {
        for (size_t i = 0; i < scan.count; i++) {
            char name[WAL_NAME_SIZE];

            wal_name(name, scan.logs[i]);
            delete_file(db, name);
        }
    }
    free(scan.logs);
    collect_note_room(db);
}

/* ---- the sweep at opening ---- */

struct sweep {
    uint64_t oldest_log;
    uint64_t *live; /* tables and blob files, ascending */
    size_t live_count;
    char (*names)[TABLE_NAME_SIZE];
    size_t count;
};

static int
collect_live(struct lsmkv *db, struct sweep *sweep) LSMKV_REQUIRES(db->mutex)
{
    size_t room = 1;

    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        for (int i = 0; i < LEVEL_COUNT; i++) {
            const struct level *level = &ks->view->version->levels[i];

            for (size_t k = 0; k < level->count; k++)
                room += 1 + level->files[k]->meta.blob_count;
        }
    for (struct generation *g = db->oldest; g != NULL; g = g->newer)
        room += g->blob_count;
    sweep->live = malloc(room * sizeof(*sweep->live));
    if (sweep->live == NULL)
        return -ENOMEM;
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        for (int i = 0; i < LEVEL_COUNT; i++) {
            const struct level *level = &ks->view->version->levels[i];

            for (size_t k = 0; k < level->count; k++) {
                const struct table_meta *meta = &level->files[k]->meta;

                sweep->live[sweep->live_count++] = meta->number;
                for (size_t b = 0; b < meta->blob_count; b++)
                    sweep->live[sweep->live_count++] = meta->blobs[b].number;
            }
        }
    for (struct generation *g = db->oldest; g != NULL; g = g->newer)
        for (size_t i = 0; i < g->blob_count; i++)
            sweep->live[sweep->live_count++] = g->blobs[i].number;
    qsort(sweep->live, sweep->live_count, sizeof(*sweep->live), compare_numbers);
    return 0;
}

static bool
is_live(const struct sweep *sweep, uint64_t number)
{
    return bsearch(&number, sweep->live, sweep->live_count, sizeof(number),
                   compare_numbers) != NULL;
}

static int
sweep_name(void *context, const char *name)
{
    struct sweep *sweep = context;
    uint64_t number;
    enum file_kind kind;
    void *names;

    if (strcmp(name, MANIFEST_TMP_NAME) != 0 && strcmp(name, CLOSED_TMP_NAME) != 0) {
        if (!file_name_parse(name, &number, &kind))
            return 0;
        if (kind == FILE_LOG ? number >= sweep->oldest_log : is_live(sweep, number))
            return 0;
    }
    names = array_grown(sweep->names, sweep->count, sizeof(*sweep->names));
    if (names == NULL)
        return -ENOMEM;
    sweep->names = names;
    snprintf(sweep->names[sweep->count++], TABLE_NAME_SIZE, "%s", name);
    return 0;
}

int
files_sweep(struct lsmkv *db, uint64_t oldest_log)
{
    struct sweep sweep = {.oldest_log = oldest_log};
    int result;

    mutex_lock(&db->mutex);
    result = collect_live(db, &sweep);
    mutex_unlock(&db->mutex);
    if (result == 0)
        result = env_dir_list(db->dir, sweep_name, &sweep);
    for (size_t i = 0; i < sweep.count && result == 0; i++) {
        report_info(&db->reporter, "%s: left by a crash, deleted", sweep.names[i]);
        delete_file(db, sweep.names[i]);
    }
    free(sweep.names);
    free(sweep.live);
    return result;
}
