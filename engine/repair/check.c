/*
 * check.c - lsmkv_check: reading a whole store with suspicion.
 *
 * It goes through the steps of opening read-only (open.c, recover.c), and goes on where opening
 * stops.  Nothing is parsed here: what reads a file finds what is wrong with it and reports; the
 * reporter of a store that is checked makes a finding of each line.
 *
 *     manifest     its tables are known               unknown: each table by itself
 *     tables       table_verify, and the manifest against each
 *     blob files   blob_walk: every record
 *     levels       take_state
 *     CLOSED, log  recover_logs: the chain of logs    damaged: each log by itself
 *                  and the blob files that they refer to
 *     the rest     files of the directory that nothing names
 *     versions     check_order, if nothing was damaged so far; and what tables refer to
 *
 * Of a store that is open (lsmkv_check_open) the memtables are flushed, so that no log is needed for what was
 * written before; the state is what the store has in memory, and MANIFEST is read while it adds no line.
 *
 * K1  The lock is shared, every file is opened for reading, no thread is started.
 * K2  Damage never ends the check; what is no damage (-ENOMEM) does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "db/open.h"
#include "repair/beside.h"
#include "repair/check.h"
#include "repair/finding.h"
#include "table/blob.h"

/* A numbered file in the directory. */
struct store_file {
    uint64_t number;
    uint64_t size;
    enum file_kind kind;
    bool is_live; /* the manifest names it, or a log refers to it */
};

struct checker {
    const struct lsmkv_check_options *ask;
    struct lsmkv *db;
    uint64_t damage; /* findings of it */
    char last[512];  /* the line of the last one */
    char known[512]; /* not told again */
    uint64_t done, total;

    struct store_file *files;
    size_t count;
    bool has_manifest, has_tmp[2];

    struct manifest_edit state; /* if has_state */
    uint64_t manifest_number, manifest_end, oldest_log;
    bool has_state;
    bool knows_logged; /* which blob files the logs refer to */
};

/* ---- findings ---- */

static void
tell(struct checker *checker, enum lsmkv_severity severity, const char *line)
{
    struct line_finding told;

    if (severity == LSMKV_DAMAGE && strcmp(line, checker->known) == 0)
        return;
    finding_from_line(severity, line, &told);
    if (severity == LSMKV_DAMAGE) {
        checker->damage++;
        snprintf(checker->last, sizeof(checker->last), "%s", line);
    }
    if (checker->ask->finding != NULL)
        checker->ask->finding(checker->ask->context, &told.finding);
}

/* The log of the store that is checked: an error's line has its detail without the errno. */
static void
take_line(void *context, enum lsmkv_level level, const char *line)
{
    if (level == LSMKV_LOG_ERROR)
        tell(context, LSMKV_DAMAGE, lsmkv_error_detail());
    else if (level == LSMKV_LOG_WARNING)
        tell(context, LSMKV_NOTE, line);
}

/* -ECANCELED: to go no further. */
static int
advance(void *context, uint64_t bytes)
{
    struct checker *checker = context;
    const struct lsmkv_check_options *ask = checker->ask;

    checker->done += bytes;
    if (checker->done > checker->total)
        checker->done = checker->total;
    if (ask->progress == NULL ||
        ask->progress(ask->context, checker->done, checker->total))
        return 0;
    return error_detail(-ECANCELED, "the check was ended");
}

/* Damage was told of when it was met (K2). */
static int
unless_damage(int result)
{
    return result == -ENOMEM || result == -ECANCELED ? result : 0;
}

/* ---- the directory ---- */

static int
add_file(struct checker *checker, uint64_t number, enum file_kind kind)
{
    struct store_file *files =
        array_grown(checker->files, checker->count, sizeof(*files));

    if (files == NULL)
        return -ENOMEM;
    checker->files = files;
    files[checker->count++] = (struct store_file){.number = number, .kind = kind};
    return 0;
}

static int
note_name(void *context, const char *name)
{
    struct checker *checker = context;
    uint64_t number;
    enum file_kind kind;

    checker->has_manifest = checker->has_manifest || strcmp(name, MANIFEST_NAME) == 0;
    checker->has_tmp[0] = checker->has_tmp[0] || strcmp(name, MANIFEST_TMP_NAME) == 0;
    checker->has_tmp[1] = checker->has_tmp[1] || strcmp(name, CLOSED_TMP_NAME) == 0;
    return file_name_parse(name, &number, &kind) ? add_file(checker, number, kind) : 0;
}

/* One that cannot be opened has no size here, and is told of when it is read. */
static void
measure(struct checker *checker, struct store_file *file)
{
    char name[TABLE_NAME_SIZE];
    struct env_file *open;

    file_name(name, file->kind, file->number);
    if (env_file_open(checker->db->dir, name, ENV_READ, &open) != 0)
        return;
    if (env_file_size(open, &file->size) != 0)
        file->size = 0;
    (void)env_file_close(open); /* only looked at */
}

static int
compare_files(const void *left, const void *right)
{
    const struct store_file *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static int
scan_directory(struct checker *checker)
{
    int result = env_dir_list(checker->db->dir, note_name, checker);

    if (result != 0)
        return result;
    if (checker->count > 0)
        qsort(checker->files, checker->count, sizeof(*checker->files), compare_files);
    for (size_t i = 0; i < checker->count; i++) {
        struct store_file *file = &checker->files[i];

        measure(checker, file);
        /* Others than logs are read twice: by themselves, and to compare versions. */
        checker->total += file->kind == FILE_LOG ? file->size : 2 * file->size;
    }
    return 0;
}

static struct store_file *
find_file(struct checker *checker, uint64_t number, enum file_kind kind)
{
    struct store_file wanted = {.number = number, .kind = kind};

    return checker->count == 0 ? NULL
                               : bsearch(&wanted, checker->files, checker->count,
                                         sizeof(wanted), compare_files);
}

/* ---- the manifest ---- */

static void
check_snapshots(struct checker *checker)
{
    const struct manifest_edit *state = &checker->state;

    for (size_t i = 1; i < state->snapshot_count; i++) {
        const struct lsmkv_snapshot_info *left = &state->snapshots[i - 1];
        const struct lsmkv_snapshot_info *right = &state->snapshots[i];

        if (left->id >= right->id || left->sequence > right->sequence)
            (void)report_error(&checker->db->reporter, -EUCLEAN,
                               MANIFEST_NAME
                               ": offset 0: snapshot \"%s\" comes after \"%s\", but "
                               "its id or its sequence does not",
                               right->name, left->name);
    }
}

static int
check_manifest(struct checker *checker, const char *path)
{
    struct lsmkv *db = checker->db;
    int result;

    if (!checker->has_manifest && checker->count == 0)
        return error_detail(-ENOENT, "%s: not a store (it has no MANIFEST)", path);
    if (!checker->has_manifest) {
        (void)report_error(&db->reporter, -EUCLEAN,
                           MANIFEST_NAME ": offset 0: the file is missing");
        return 0;
    }
    result = manifest_load(db->dir, &db->reporter, &checker->state,
                           &checker->manifest_number, &checker->manifest_end);
    checker->has_state = result == 0;
    if (result == -ENOTSUP)
        return result; /* a newer version's: nothing here can be judged */
    checker->oldest_log = checker->state.oldest_log;
    check_snapshots(checker);
    if (result == 0)
        result = manifest_check_features(&checker->state, false, &db->reporter);
    return unless_damage(result);
}

/* ---- tables ---- */

static void
check_belonging(struct checker *checker, const struct table *table,
                const struct edit_table *named)
{
    const struct table_properties *properties = table_get_properties(table);
    const struct edit_keyspace *keyspace =
        manifest_state_keyspace(&checker->state, named->keyspace);

    if (properties->keyspace != named->keyspace || keyspace == NULL ||
        properties->order != keyspace->order)
        (void)report_error(&checker->db->reporter, -EUCLEAN,
                           "%06llu.sst: offset 0: the table is of another keyspace or "
                           "order than MANIFEST has it",
                           (unsigned long long)named->meta.number);
}

/* `named` is NULL if the manifest is not known: then any size will do. */
static int
check_table(struct checker *checker, uint64_t number, const struct edit_table *named)
{
    struct table *table;
    int result = table_open(&checker->db->tables, number,
                            named != NULL ? named->meta.size : 0, &table);

    if (result != 0)
        return unless_damage(result);
    result = table_verify(table);
    if (named != NULL)
        check_belonging(checker, table, named);
    /* A block that cannot be read would be told again, and be missed. */
    if (named != NULL && result == 0)
        result = table_verify_meta(table, &named->meta);
    table_close(table);
    return unless_damage(result);
}

/* Size 0: any will do. */
static int
check_blob(struct checker *checker, uint64_t number, uint64_t size)
{
    return unless_damage(blob_walk(&checker->db->tables, number, size, NULL, NULL, NULL));
}

static int
check_named_blobs(struct checker *checker)
{
    struct table_blob *blobs;
    size_t count;
    int result = manifest_state_blobs(&checker->state, &blobs, &count);

    if (result != 0)
        return result;
    for (size_t i = 0; i < count && result == 0; i++) {
        struct store_file *file = find_file(checker, blobs[i].number, FILE_BLOB);

        result = check_blob(checker, blobs[i].number, blobs[i].size);
        if (file == NULL)
            continue;
        file->is_live = true;
        if (result == 0)
            result = advance(checker, file->size);
    }
    free(blobs);
    return result;
}

static int
check_named_files(struct checker *checker)
{
    int result = 0;

    for (size_t i = 0; i < checker->state.added_count && result == 0; i++) {
        const struct edit_table *named = &checker->state.added[i];
        struct store_file *file = find_file(checker, named->meta.number, FILE_TABLE);

        if (file == NULL) {
            (void)report_error(&checker->db->reporter, -EUCLEAN,
                               "%06llu.sst: offset 0: the file is missing, and MANIFEST "
                               "needs it",
                               (unsigned long long)named->meta.number);
            continue;
        }
        file->is_live = true;
        result = check_table(checker, named->meta.number, named);
        if (result == 0)
            result = advance(checker, file->size);
    }
    return result == 0 ? check_named_blobs(checker) : result;
}

static int
check_all_files(struct checker *checker)
{
    int result = 0;

    for (size_t i = 0; i < checker->count && result == 0; i++) {
        const struct store_file *file = &checker->files[i];

        if (file->kind == FILE_TABLE)
            result = check_table(checker, file->number, NULL);
        else if (file->kind == FILE_BLOB)
            result = check_blob(checker, file->number, 0);
        else
            continue;
        if (result == 0)
            result = advance(checker, file->size);
    }
    return result;
}

/* ---- logs ---- */

/* Every frame up to the first that is bad; what that means, the chain would have told. */
static int
check_log(struct checker *checker, const struct store_file *file)
{
    struct reporter *reporter = &checker->db->reporter;
    struct wal_reader *reader;
    struct wal_frame frame;
    uint64_t offset;
    int result = wal_reader_open(checker->db->dir, file->number, reporter, &reader);

    if (result != 0)
        return unless_damage(result);
    do
        result = wal_read(reader, &frame);
    while (result > 0);
    if (result == 0 && wal_reader_stop(reader, &offset) == WAL_DAMAGED)
        (void)report_error(reporter, wal_reader_error(reader),
                           "%06llu.log: offset %llu: %s",
                           (unsigned long long)file->number, (unsigned long long)offset,
                           wal_reader_reason(reader));
    wal_reader_close(reader);
    return unless_damage(result);
}

static int
check_each_log(struct checker *checker)
{
    int result = 0;

    for (size_t i = 0; i < checker->count && result == 0; i++)
        if (checker->files[i].kind == FILE_LOG &&
            checker->files[i].number >= checker->oldest_log)
            result = check_log(checker, &checker->files[i]);
    return result;
}

/* The chain of logs, replayed as opening does, and held against CLOSED. */
static int
check_recovery(struct checker *checker)
{
    struct lsmkv *db = checker->db;
    struct closed_mark mark, *closed = NULL;
    struct wal_previous last = {0};
    int result =
        check_closed(db, checker->manifest_number, checker->manifest_end, &mark, &closed);

    if (result == -ENOMEM)
        return result;
    /* A mark that is no good was told of: the logs are read as after an unclean stop. */
    return recover_logs(db, checker->oldest_log, closed, &last);
}

/* The blob files that the logs refer to, which were found there, and long enough. */
static int
check_logged_blobs(struct checker *checker)
{
    struct lsmkv *db = checker->db;
    int result = 0;

    checker->knows_logged = true;
    for (const struct generation *g = db->oldest; g != NULL; g = g->newer)
        for (size_t i = 0; i < g->blob_count && result == 0; i++) {
            const struct generation_blob *blob = &g->blobs[i];
            struct store_file *file = find_file(checker, blob->number, FILE_BLOB);

            result = unless_damage(
                blob_walk_growing(&db->tables, blob->number, blob->size, NULL, NULL));
            if (file == NULL)
                continue;
            file->is_live = true;
            if (result == 0)
                result = advance(checker, file->size);
        }
    return result;
}

/* Levels, logs, and what readers would see.  Sets `*readable` if all of that can be read. */
static int
check_state(struct checker *checker, bool *readable)
{
    uint64_t before = checker->damage;
    int result = take_state(checker->db, &checker->state);

    if (result == 0)
        result = check_recovery(checker);
    if (result == 0)
        result = check_logged_blobs(checker);
    if (result == 0 && checker->damage == before)
        result = begin_read_only(checker->db);
    *readable = result == 0 && checker->damage == 0;
    return unless_damage(result);
}

static int
check_logs(struct checker *checker, bool *readable)
{
    uint64_t before = checker->damage;
    int result = checker->has_state ? check_state(checker, readable) : 0;

    /* With the chain broken, which of its logs are good is still to be told. */
    if (result == 0 && (!checker->has_state || checker->damage > before)) {
        memcpy(checker->known, checker->last, sizeof(checker->known));
        result = check_each_log(checker);
    }
    for (size_t i = 0; i < checker->count && result == 0; i++)
        if (checker->files[i].kind == FILE_LOG)
            result = advance(checker, checker->files[i].size);
    return result;
}

/* ---- the rest ---- */

static void
note_leftovers(struct checker *checker)
{
    static const char *const tmp[] = {MANIFEST_TMP_NAME, CLOSED_TMP_NAME};
    struct reporter *reporter = &checker->db->reporter;

    for (size_t i = 0; i < 2; i++)
        if (checker->has_tmp[i])
            report_warning(reporter, "%s: left by a crash; the next opening deletes it",
                           tmp[i]);
    for (size_t i = 0; i < checker->count && checker->has_state; i++) {
        const struct store_file *file = &checker->files[i];
        char name[TABLE_NAME_SIZE];

        if (file->kind == FILE_LOG ? file->number >= checker->oldest_log : file->is_live)
            continue;
        if (file->kind == FILE_BLOB && !checker->knows_logged)
            continue;
        file_name(name, file->kind, file->number);
        report_warning(reporter,
                       "%s: nothing needs it, it was left by a crash; the next "
                       "opening deletes it",
                       name);
    }
}

static int
check_versions(struct checker *checker)
{
    struct lsmkv *db = checker->db;
    int result = 0;

    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL && result == 0;
         ks = ks->next)
        result = unless_damage(check_order(db, ks, advance, checker));
    return result;
}

static int
check_store(struct checker *checker, const char *path)
{
    bool readable = false;
    int result = scan_directory(checker);

    if (result == 0)
        result = check_manifest(checker, path);
    if (result == 0)
        result =
            checker->has_state ? check_named_files(checker) : check_all_files(checker);
    if (result == 0)
        result = check_logs(checker, &readable);
    if (result == 0)
        note_leftovers(checker);
    if (result == 0 && readable)
        result = check_versions(checker);
    return result == 0 ? advance(checker, checker->total) : result;
}

static int
open_directory(struct checker *checker, const char *path)
{
    struct lsmkv *db = checker->db;
    int result = env_dir_open(db->env, path, false, &db->dir);

    if (result != 0)
        return error_detail(result, "%s: %s", path, strerror(-result));
    result = lock_take(db, path);
    return result == 0 ? make_caches(db) : result;
}

int
lsmkv_check(const char *path, const struct lsmkv_options *options,
            const struct lsmkv_check_options *check)
{
    struct checker checker = {.ask = check};
    struct lsmkv_options changed;
    int result;

    error_clear();
    lsmkv_options_init(&changed);
    if (options != NULL)
        changed = *options;
    changed.read_only = true;
    changed.create = false;
    changed.log = take_line;
    changed.log_context = &checker;
    checker.db = db_new(&changed);
    if (checker.db == NULL)
        return -ENOMEM;
    result = open_directory(&checker, path);
    if (result == 0)
        result = check_store(&checker, path);
    manifest_edit_fini(&checker.state);
    free(checker.files);
    db_free(checker.db);
    return result == 0 && checker.damage > 0 ? -EUCLEAN : result;
}

/* ---- a store that is open ---- */

/* What it has by the log alone becomes tables, unless it cannot write. */
static int
flush_first(struct checker *checker, struct lsmkv *of) LSMKV_EXCLUDES(of->mutex)
{
    int result = lsmkv_flush(of);
    char line[128];

    if (result == 0 || result == -EROFS || result == -ENOMEM || result == -ECANCELED)
        return result == -EROFS ? 0 : result;
    snprintf(line, sizeof(line), "logs: what only they have was left out: %s",
             lsmkv_strerror(result));
    tell(checker, LSMKV_NOTE, line);
    return 0;
}

/* As it is on the disk; what it says is known. */
static int
check_manifest_beside(struct checker *checker, struct lsmkv *of)
    LSMKV_EXCLUDES(of->manifest_mutex)
{
    struct reporter *reporter = &checker->db->reporter;
    struct manifest_edit state = {0};
    uint64_t number, end;
    int result;

    mutex_lock(&of->manifest_mutex);
    result = manifest_load(checker->db->dir, reporter, &state, &number, &end);
    mutex_unlock(&of->manifest_mutex);
    manifest_edit_fini(&state);
    if (result == -ENOENT)
        result = report_error(reporter, -EUCLEAN,
                              MANIFEST_NAME ": offset 0: the file is missing");
    return unless_damage(result);
}

/* The directory may have other files, too, which come and go. */
static int
check_beside(struct checker *checker, struct lsmkv *of)
{
    int result = scan_directory(checker);

    checker->has_state = true;
    if (result == 0) {
        check_snapshots(checker);
        result = check_named_files(checker);
    }
    if (result == 0)
        result = unless_damage(take_state(checker->db, &checker->state));
    if (result == 0 && checker->damage == 0)
        result = unless_damage(begin_read_only(checker->db));
    if (result == 0 && checker->damage == 0)
        result = check_versions(checker);
    if (result == 0)
        result = check_manifest_beside(checker, of);
    return result == 0 ? advance(checker, checker->total) : result;
}

int
lsmkv_check_open(struct lsmkv *db, const struct lsmkv_check_options *check)
{
    struct checker checker = {.ask = check};
    struct beside beside = {0};
    int result;

    error_clear();
    result = flush_first(&checker, db);
    if (result == 0)
        result = beside_open(&beside, db, false, take_line, &checker);
    if (result == 0) {
        checker.db = beside.db;
        checker.state = beside.state;
        beside.state = (struct manifest_edit){0};
        result = check_beside(&checker, db);
    }
    manifest_edit_fini(&checker.state);
    free(checker.files);
    beside_close(&beside);
    return result == 0 && checker.damage > 0 ? -EUCLEAN : result;
}
