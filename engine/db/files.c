/*
 * files.c - the names of the store's files, and the one place that deletes them.
 *
 * A table dies when its last reference goes and no durable version names it; its number is
 * then handed to the reaper here and deleted by the next caller of files_delete_obsolete
 * (invariant 13).  A log dies when the manifest line that replaces it is durable
 * (invariant 8).  Only names of our own form are ever deleted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

/* Digits beyond this cannot be a 64-bit number of ours. */
#define NUMBER_DIGITS_MAX 19

uint64_t
file_number_take(struct lsmkv *db)
{
    return atomic_fetch_add(&db->next_file, 1);
}

bool
file_name_parse(const char *name, uint64_t *number, bool *is_log)
{
    size_t digits = strspn(name, "0123456789");
    uint64_t value = 0;

    if (digits < 6 || digits > NUMBER_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (uint64_t)(name[i] - '0');
    if (strcmp(name + digits, ".log") == 0)
        *is_log = true;
    else if (strcmp(name + digits, ".sst") == 0)
        *is_log = false;
    else
        return false;
    *number = value;
    return true;
}

/* ---- the reaper ---- */

static void
reap(struct file_reaper *reaper, uint64_t number)
{
    struct obsolete_files *obsolete = (struct obsolete_files *)reaper;

    mutex_lock(&obsolete->mutex);
    if (obsolete->count == obsolete->capacity) {
        size_t capacity = obsolete->capacity == 0 ? 16 : obsolete->capacity * 2;
        uint64_t *numbers = realloc(obsolete->numbers, capacity * sizeof(*numbers));

        if (numbers != NULL) {
            obsolete->numbers = numbers;
            obsolete->capacity = capacity;
        }
    }
    /* Without memory the file stays until the sweep of the next opening. */
    if (obsolete->count < obsolete->capacity)
        obsolete->numbers[obsolete->count++] = number;
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
    free(obsolete->numbers);
    mutex_fini(&obsolete->mutex);
}

/* Deletes `name`; a failure leaves an orphan for the next opening and is worth a warning. */
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
    uint64_t *numbers;
    size_t count;

    mutex_lock(&obsolete->mutex);
    numbers = obsolete->numbers;
    count = obsolete->count;
    obsolete->numbers = NULL;
    obsolete->count = obsolete->capacity = 0;
    mutex_unlock(&obsolete->mutex);
    for (size_t i = 0; i < count; i++) {
        char name[TABLE_NAME_SIZE];

        table_name(name, numbers[i]);
        delete_file(db, name);
    }
    free(numbers);
}

/* ---- scanning the directory ---- */

struct scan {
    uint64_t from, below; /* logs in [from, below) are wanted */
    uint64_t *logs;
    size_t count, capacity;
    uint64_t highest;
};

static int
scan_name(void *context, const char *name)
{
    struct scan *scan = context;
    uint64_t number;
    bool is_log;

    if (!file_name_parse(name, &number, &is_log))
        return 0;
    if (number > scan->highest)
        scan->highest = number;
    if (!is_log || number < scan->from || number >= scan->below)
        return 0;
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity == 0 ? 8 : scan->capacity * 2;
        uint64_t *logs = realloc(scan->logs, capacity * sizeof(*logs));

        if (logs == NULL)
            return -ENOMEM;
        scan->logs = logs;
        scan->capacity = capacity;
    }
    scan->logs[scan->count++] = number;
    return 0;
}

static int
compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
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
}

/* ---- the sweep at opening ---- */

struct sweep {
    struct lsmkv *db;
    uint64_t oldest_log;
    char (*names)[TABLE_NAME_SIZE];
    size_t count, capacity;
};

static bool
table_is_live(struct lsmkv *db, uint64_t number)
{
    bool live = false;

    mutex_lock(&db->mutex);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL && !live; ks = ks->next)
        for (int level = 0; level < LEVEL_COUNT && !live; level++) {
            const struct level *tables = &ks->view->version->levels[level];

            for (size_t i = 0; i < tables->count && !live; i++)
                live = tables->files[i]->meta.number == number;
        }
    mutex_unlock(&db->mutex);
    return live;
}

static int
sweep_name(void *context, const char *name)
{
    struct sweep *sweep = context;
    uint64_t number;
    bool is_log;

    if (strcmp(name, MANIFEST_TMP_NAME) != 0 && strcmp(name, CLOSED_TMP_NAME) != 0) {
        if (!file_name_parse(name, &number, &is_log))
            return 0;
        if (is_log ? number >= sweep->oldest_log : table_is_live(sweep->db, number))
            return 0;
    }
    if (sweep->count == sweep->capacity) {
        size_t capacity = sweep->capacity == 0 ? 16 : sweep->capacity * 2;
        void *names = realloc(sweep->names, capacity * sizeof(*sweep->names));

        if (names == NULL)
            return -ENOMEM;
        sweep->names = names;
        sweep->capacity = capacity;
    }
    snprintf(sweep->names[sweep->count++], TABLE_NAME_SIZE, "%s", name);
    return 0;
}

int
files_sweep(struct lsmkv *db, uint64_t oldest_log)
{
    struct sweep sweep = {.db = db, .oldest_log = oldest_log};
    int result = env_dir_list(db->dir, sweep_name, &sweep);

    for (size_t i = 0; i < sweep.count && result == 0; i++) {
        report_info(&db->reporter, "%s: left by a crash, deleted", sweep.names[i]);
        delete_file(db, sweep.names[i]);
    }
    free(sweep.names);
    return result;
}
