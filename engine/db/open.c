/*
 * open.c - opening and closing a store.
 *
 * Opening: lock, manifest, CLOSED held against it, logs replayed, CLOSED removed durably, a
 * new log, orphans swept, threads.  Before the new log nothing of the store has changed but
 * for the recovered log's own repair (log/recovery.c), so opening can be interrupted anywhere
 * and begun again.
 *
 * Closing: threads stopped, log synced, CLOSED written, lock given up.  Memtables are not
 * flushed, unless more than LOGS_LEFT wait: the log holds them, and the next opening replays it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/direct.h"
#include "db/open.h"
#include "db/salvage.h"
#include "table/blob.h"

#define MIB (UINT64_C(1) << 20)
/* What a small disk makes no smaller. */
#define LEAST_BUFFER (256u << 10)
#define LEAST_TABLE  (128u << 10)
#define LEAST_BASE   (512u << 10)
/* Frozen generations, and their logs, that are left to the next opening at most. */
#define LOGS_LEFT 16u

void
lsmkv_options_init(struct lsmkv_options *options)
{
    memset(options, 0, sizeof(*options));
    options->write_buffer_size = 64 * MIB;
    options->cache_size = 64 * MIB;
    options->block_size = 4096;
    options->blob_threshold = 2048;
    options->direct_threshold = 32 << 10;
    options->table_size = 16 * MIB;
    options->level_base_size = 64 * MIB;
    options->l0_compaction_trigger = 4;
    options->l0_slowdown_trigger = 20;
    options->l0_stop_trigger = 36;
    options->filter_bits_per_key = 10;
    options->move_log_limit = 16 * MIB;
    options->dead_ranges = true;
    options->lock_wait_ms = 30000;
}

/* ---- making and freeing the struct ---- */

struct lsmkv *
db_new(const struct lsmkv_options *options)
{
    struct lsmkv *db = calloc(1, sizeof(*db));

    if (db == NULL)
        return NULL;
    db->options = *options;
    db->env = options->env != NULL ? options->env : env_posix();
    reporter_init(&db->reporter, options->log, options->log_context);
    obsolete_init(&db->obsolete);
    mutex_init(&db->manifest_mutex);
    mutex_init(&db->mutex);
    pool_init(&db->pool, db->env);
    condition_init(&db->work);
    condition_init(&db->progress);
    limbo_init(&db->limbo);
    db->snapshots.prev = db->snapshots.next = &db->snapshots;
    atomic_store(&db->next_file, 1);
    if (options->lock_note != NULL) {
        db->lock_note = strdup(options->lock_note);
        if (db->lock_note != NULL)
            db->lock_note[strcspn(db->lock_note, "\n")] = '\0';
    }
    return db;
}

static void
free_keyspaces(struct lsmkv *db)
{
    while (db->keyspaces != NULL) {
        struct lsmkv_keyspace *keyspace = db->keyspaces;

        db->keyspaces = keyspace->next;
        keyspace_free(keyspace);
    }
    while (db->oldest != NULL) {
        struct generation *generation = db->oldest;

        db->oldest = generation->newer;
        generation_unref(generation);
    }
}

void
db_free(struct lsmkv *db)
{
    snapshots_free_all(db);
    free_keyspaces(db);
    limbo_fini(&db->limbo);
    if (db->wal != NULL)
        (void)wal_close(db->wal); /* synced before, or given up */
    if (db->manifest != NULL)
        (void)manifest_close(db->manifest); /* every line was synced */
    if (db->cache != NULL)
        block_cache_free(db->cache);
    blob_files_free(db->blobs);
    open_files_free(db->files);
    if (db->lock != NULL)
        db->env->unlock(db->lock);
    env_dir_close(db->dir);
    obsolete_fini(&db->obsolete);
    reclaim_fini(db);
    condition_fini(&db->work);
    condition_fini(&db->progress);
    mutex_fini(&db->manifest_mutex);
    mutex_fini(&db->mutex);
    pool_fini(&db->pool);
    reporter_fini(&db->reporter);
    free(db->recovery_text);
    free(db->lock_note);
    free(db);
}

/* ---- a new store ---- */

struct foreign {
    char name[256];
    bool ours;
};

/* Stops at a name that a directory without a store must not have: others than those of a store whose
 * making was interrupted, and of a new file system. */
static int
look_for_foreign(void *context, const char *name)
{
    struct foreign *foreign = context;
    uint64_t number;
    enum file_kind kind;

    if (strcmp(name, LOCK_NAME) == 0 || strcmp(name, MANIFEST_TMP_NAME) == 0 ||
        strcmp(name, "lost+found") == 0)
        return 0;
    strncpy(foreign->name, name, sizeof(foreign->name) - 1);
    foreign->ours = file_name_parse(name, &number, &kind);
    return -ENOTEMPTY;
}

/* Refuses to make a store over something else, or over one that lost its manifest. */
static int
check_empty(struct lsmkv *db, const char *path)
{
    struct foreign foreign = {.ours = false};
    int result = env_dir_list(db->dir, look_for_foreign, &foreign);

    if (result != -ENOTEMPTY)
        return result;
    /* Another process has made it since it was looked for: the lock decides. */
    if (manifest_exists(db->dir) != -ENOENT)
        return 0;
    if (foreign.ours)
        return report_error(&db->reporter, -EUCLEAN, "%s: has %s but no MANIFEST", path,
                            foreign.name);
    return error_detail(-ENOTEMPTY, "%s: not a store, and not empty (it has %s)", path,
                        foreign.name);
}

static int
make_store(struct lsmkv *db, const char *path)
{
    struct edit_keyspace described = {.id = 0,
                                      .order = LSMKV_ORDER_PATH,
                                      .name = "default",
                                      .compression = db->options.compression};
    struct manifest_edit state = {.next_keyspace = 1, .next_snapshot = 1};
    uint64_t number = file_number_take(db);
    int result = check_empty(db, path);

    state.next_file = atomic_load(&db->next_file);
    if (result == 0)
        result = manifest_edit_keyspace(&state, &described);
    if (result == 0)
        result = manifest_roll(db->dir, &db->reporter, number, &state, &db->manifest);
    manifest_edit_fini(&state);
    if (result == 0) {
        result = manifest_close(db->manifest);
        db->manifest = NULL;
    }
    return result;
}

/* ---- the state the manifest describes ---- */

static int
take_tables(struct lsmkv *db, struct manifest_edit *state,
            struct lsmkv_keyspace *keyspace) LSMKV_REQUIRES(db->mutex)
{
    struct version_change *added = calloc(state->added_count + 1, sizeof(*added));
    struct version *version = NULL;
    size_t count = 0;
    int result = added == NULL ? -ENOMEM : 0;

    for (size_t i = 0; i < state->added_count && result == 0; i++) {
        struct edit_table *table = &state->added[i];

        if (table->keyspace != keyspace->id)
            continue;
        added[count].level = table->level;
        result = table_file_new(&db->tables, &db->obsolete.reaper, keyspace->id,
                                &table->meta, &added[count].file);
        if (result == 0)
            added[count++].file->identity =
                (struct table_identity){true, keyspace->id, keyspace->order};
    }
    if (result == 0)
        result = version_edit(keyspace->view->version, NULL, 0, added, count,
                              &db->reporter, &version);
    if (result == 0)
        result = view_install(db, keyspace, version);
    version_unref(version);
    for (size_t i = 0; i < count; i++) {
        if (result == 0)
            blob_files_add_live(db->blobs, added[i].file->meta.blobs,
                                added[i].file->meta.blob_count);
        table_file_unref(added[i].file);
    }
    free(added);
    return result;
}

static int
check_numbers(struct lsmkv *db, const struct manifest_edit *state)
{
    const char *what;
    uint64_t number;

    if (state->last_sequence > SEQUENCE_LIMIT) {
        what = "sequence";
        number = state->last_sequence;
    } else if (state->next_file > FILE_NUMBER_MAX) {
        what = "file";
        number = state->next_file;
    } else if (state->next_snapshot > FILE_NUMBER_MAX) {
        what = "snapshot";
        number = state->next_snapshot;
    } else {
        return 0;
    }
    return report_error(&db->reporter, -EUCLEAN,
                        "MANIFEST: offset 0: %s %llu, which no store comes to", what,
                        (unsigned long long)number);
}

int
take_state(struct lsmkv *db, struct manifest_edit *state)
{
    int result = 0;

    mutex_lock(&db->mutex);
    atomic_store(&db->next_file, state->next_file);
    db->last_sequence = state->last_sequence;
    for (size_t i = 0; i < state->keyspace_count && result == 0; i++)
        result = keyspace_register(db, &state->keyspaces[i]);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL && result == 0;
         ks = ks->next) {
        ks->created_sequence = 0;
        result = take_tables(db, state, ks);
    }
    for (size_t i = 0; i < state->snapshot_count && result == 0; i++) {
        struct named_snapshot *named;

        result = snapshot_register(db, &state->snapshots[i], &named);
        if (result == 0)
            named->durable = true;
    }
    if (state->next_keyspace > db->next_keyspace)
        db->next_keyspace = state->next_keyspace;
    if (state->next_snapshot > db->next_snapshot)
        db->next_snapshot = state->next_snapshot;
    db->default_keyspace = keyspace_by_id(db, 0);
    mutex_unlock(&db->mutex);
    if (result == 0)
        result = check_numbers(db, state);
    if (result == 0 && db->default_keyspace == NULL)
        result = report_error(&db->reporter, -EUCLEAN, "MANIFEST: no default keyspace");
    return result;
}

/* The log that the next writes go to, behind all recovered ones. */
static int
begin_log(struct lsmkv *db, const struct wal_previous *last)
{
    struct generation *generation;
    uint64_t number = file_number_take(db);
    int result = wal_create(db->dir, number, last, &db->reporter, &db->wal);

    if (result != 0)
        return result;
    wal_set_ahead(db->wal, direct_sync, db);
    mutex_lock(&db->mutex);
    result = generation_new(db, number, &generation);
    if (result == 0) {
        if (db->active != NULL)
            db->active->newer = generation;
        else
            db->oldest = generation;
        db->active = generation;
        result = view_install_all(db);
    }
    mutex_unlock(&db->mutex);
    return result;
}

int
begin_read_only(struct lsmkv *db)
{
    struct generation *generation;
    int result = 0;

    mutex_lock(&db->mutex);
    if (db->active == NULL) {
        result = generation_new(db, 0, &generation);
        if (result == 0)
            db->oldest = db->active = generation;
    } else {
        db->frozen--; /* the newest recovered generation stands in for the active one */
    }
    if (result == 0)
        result = view_install_all(db);
    mutex_unlock(&db->mutex);
    return result;
}

/* ---- what is kept free ---- */

/* The memtables' tables; what a merge leaves alone (compact.c); the larger of two merges: as much of
 * level 0 as is taken at once into the level below, or a plain choice of a deeper one; and what is
 * written between two looks (room.c). */
static uint64_t
reserve_wanted(const struct lsmkv_options *options)
{
    uint64_t buffer = options->write_buffer_size, table = options->table_size;
    uint64_t shallow = options->level_base_size +
                       COMPACTION_L0_FACTOR * options->l0_compaction_trigger * buffer;
    uint64_t deep = COMPACTION_PLAIN_TABLES * table;
    uint64_t wanted = 4 * buffer + table + (shallow > deep ? shallow : deep);

    return wanted + (wanted / 8 < MIB ? wanted / 8 : MIB);
}

/* `size` in the proportion of `most` to `wanted`, but not below `least`. */
static size_t
scaled(size_t size, size_t least, uint64_t most, uint64_t wanted)
{
    size_t less = (size_t)((double)size * ((double)most / (double)wanted));

    return less >= least ? less : size < least ? size : least;
}

/* The reserve is at most an eighth of the disk.  On a small one memtables and tables are
 * smaller, so that merges fit it: else nothing that is deleted would come free. */
static void
derive_reserve(struct lsmkv *db)
{
    struct lsmkv_options *options = &db->options;
    uint64_t free_bytes, total_bytes, wanted = reserve_wanted(options);

    if (options->space_reserve != 0) {
        db->space_reserve = options->space_reserve;
        return;
    }
    db->space_reserve = wanted;
    if (env_dir_space(db->dir, &free_bytes, &total_bytes) != 0 ||
        wanted <= total_bytes / 8)
        return;
    db->space_reserve = total_bytes / 8;
    options->write_buffer_size =
        scaled(options->write_buffer_size, LEAST_BUFFER, total_bytes / 8, wanted);
    options->table_size =
        scaled(options->table_size, LEAST_TABLE, total_bytes / 8, wanted);
    options->level_base_size =
        scaled(options->level_base_size, LEAST_BASE, total_bytes / 8, wanted);
}

/* ---- opening ---- */

/* Before anything is made: a directory that is something else is left alone, without so much as
 * a lock file. */
static int
check_directory(struct lsmkv *db, const char *path)
{
    int result = manifest_exists(db->dir);

    if (result != -ENOENT || db->options.salvage)
        return 0; /* what else is wrong with it, manifest_load tells */
    if (!db->options.create || db->options.read_only)
        return error_detail(-ENOENT, "%s: not a store (it has no MANIFEST)", path);
    return check_empty(db, path);
}

/* Half of what the process may have, so that logs, threads and the program have theirs. */
static unsigned
open_tables_limit(const struct lsmkv *db)
{
    unsigned half = db->env->file_limit(db->env) / 2, asked = db->options.max_open_tables;

    return asked > 0 && asked < half ? asked : half;
}

int
make_caches(struct lsmkv *db)
{
    const struct lsmkv_options *options = &db->options;
    int result;

    db->tables = (struct table_context){
        .env = db->env,
        .dir = db->dir,
        .reporter = &db->reporter,
        .counters = &db->reads,
        .block_size = options->block_size,
        .filter_bits_per_key = options->filter_bits_per_key,
        .salvage = options->salvage,
        .lost = db->tables.lost,
        .lost_context = db->tables.lost_context,
    };
    result = block_cache_new(db->env, options->cache_size, &db->cache);
    if (result == 0)
        result = open_files_new(open_tables_limit(db), &db->files);
    db->tables.cache = db->cache;
    db->tables.files = db->files;
    if (result == 0)
        result = blob_files_new(&db->tables, &db->blobs);
    db->tables.blobs = db->blobs;
    return result;
}

static int
open_environment(struct lsmkv *db, const char *path)
{
    const struct lsmkv_options *options = &db->options;
    int result =
        env_dir_open(db->env, path, options->create && !options->read_only, &db->dir);

    if (result != 0)
        return error_detail(result, "%s: %s", path, strerror(-result));
    result = check_directory(db, path);
    if (result == 0)
        result = lock_take(db, path);
    derive_reserve(db);
    return result == 0 ? make_caches(db) : result;
}

static int
load_manifest(struct lsmkv *db, const char *path, struct manifest_edit *state,
              uint64_t *number, uint64_t *end)
{
    int result;

    if (db->options.salvage)
        return salvage_state(db, path, state, number, end);
    result = manifest_load(db->dir, &db->reporter, state, number, end);
    if (result == 0 && db->options.exclusive && db->options.create)
        return error_detail(-EEXIST, "%s: there is a store already", path);
    if (result != -ENOENT)
        return result;
    if (!db->options.create || db->options.read_only)
        return error_detail(-ENOENT, "%s: not a store (it has no MANIFEST)", path);
    error_clear(); /* that there is none yet is no error */
    result = make_store(db, path);
    return result == 0 ? manifest_load(db->dir, &db->reporter, state, number, end)
                       : result;
}

int
check_closed(struct lsmkv *db, uint64_t number, uint64_t end, struct closed_mark *mark,
             struct closed_mark **closed)
{
    int result = closed_read(db->dir, &db->reporter, mark);

    *closed = NULL;
    if (result != 0)
        return result == -ENOENT ? 0 : result;
    if (mark->manifest_number != number || mark->manifest_end != end)
        return report_error(
            &db->reporter, -EUCLEAN,
            "MANIFEST: offset %llu: the store was closed with manifest %llu "
            "ending at %llu, not %llu",
            (unsigned long long)end, (unsigned long long)mark->manifest_number,
            (unsigned long long)mark->manifest_end, (unsigned long long)number);
    *closed = mark;
    return 0;
}

static int
begin_writing(struct lsmkv *db, uint64_t number, uint64_t end, bool names_all,
              uint64_t oldest_log, const struct wal_previous *last)
{
    int result = closed_remove(db->dir);

    if (result == 0)
        result = manifest_open(db->dir, &db->reporter, number, end, &db->manifest);
    reclaim_begin(db);
    space_look(db);
    if (result == 0)
        result = begin_log(db, last);
    if (result == 0 && !names_all) /* M5 */
        result = install_manifest(db);
    if (result == 0)
        result = files_sweep(db, oldest_log);
    if (result == 0)
        result = background_start(db);
    return result;
}

int
open_store(struct lsmkv *db, const char *path)
{
    struct manifest_edit state = {0};
    struct closed_mark mark, *closed = NULL;
    struct wal_previous last = {0};
    uint64_t number, end, oldest_log = 0;
    bool names_all = false;
    int result = open_environment(db, path);

    if (result == 0)
        result = load_manifest(db, path, &state, &number, &end);
    if (result == 0)
        result = manifest_check_features(&state, !db->options.read_only, &db->reporter);
    /* A flipped bit in the last line looks like a torn one; but then what the line replaced
     * is gone, and the sweep would delete what it added (invariant 9). */
    if (result == 0 && !db->options.read_only)
        result = manifest_check_tables(db->dir, &db->reporter, &state);
    if (result == 0)
        result = take_state(db, &state);
    oldest_log = state.oldest_log;
    names_all = state.names_all;
    manifest_edit_fini(&state);
    if (result == 0 && db->options.salvage) {
        /* What it says of the log holds, whatever has become of MANIFEST. */
        result = closed_read(db->dir, &db->reporter, &mark);
        closed = result == 0 ? &mark : NULL;
        result = result == -ENOMEM ? result : 0;
    } else if (result == 0) {
        result = check_closed(db, number, end, &mark, &closed);
    }
    if (result == 0)
        result = recover_logs(db, oldest_log, closed, &last);
    if (result != 0)
        return result;
    if (db->options.read_only)
        return begin_read_only(db);
    return begin_writing(db, number, end, names_all, oldest_log, &last);
}

/* Refuses what would never work: a buffer of nothing, writers that stop before a compaction
 * is due. */
static int
check_options(const struct lsmkv_options *options)
{
    if (options->write_buffer_size == 0 || options->block_size == 0 ||
        options->table_size == 0 || options->level_base_size == 0)
        return error_detail(-EINVAL, "a size among the options is 0");
    if (!compression_is_known(options->compression))
        return error_detail(-EINVAL, "compression %d is not known",
                            (int)options->compression);
    if (options->salvage && !options->read_only)
        return error_detail(-EINVAL, "salvage is for reading only");
    if (options->l0_compaction_trigger == 0 ||
        options->l0_stop_trigger < options->l0_compaction_trigger)
        return error_detail(-EINVAL,
                            "l0_compaction_trigger %u must be above 0, and not above "
                            "l0_stop_trigger %u",
                            options->l0_compaction_trigger, options->l0_stop_trigger);
    return 0;
}

int
lsmkv_open(const char *path, const struct lsmkv_options *options, struct lsmkv **out)
{
    struct lsmkv_options defaults;
    struct lsmkv *db;
    int result;

    error_clear();
    if (options == NULL) {
        lsmkv_options_init(&defaults);
        options = &defaults;
    }
    result = check_options(options);
    if (result != 0)
        return result;
    db = db_new(options);
    if (db == NULL)
        return -ENOMEM;
    result = open_store(db, path);
    if (result != 0) {
        background_stop(db);
        db_free(db);
        return result;
    }
    *out = db;
    return 0;
}

/* ---- closing ---- */

/* Of runs so short that the flush behind them was never done, the logs would become ever
 * more.  What fails here is there to be flushed the next time. */
static void
flush_many(struct lsmkv *db)
{
    unsigned frozen;
    int result = check_writable(db);

    while (result == 0) {
        mutex_lock(&db->mutex);
        frozen = db->frozen;
        mutex_unlock(&db->mutex);
        if (frozen <= LOGS_LEFT)
            return;
        result = flush_oldest(db);
    }
}

/* The last sync, then the mark; without the first no second. */
static int
close_cleanly(struct lsmkv *db)
{
    struct closed_mark mark;
    int result = lsmkv_sync(db);

    if (result == 0)
        result = check_writable(db); /* poisoned in the background */
    if (result == 0)
        result = wal_finish(db->wal);
    if (result != 0)
        return result;
    mark.manifest_number = manifest_number(db->manifest);
    mark.manifest_end = manifest_end(db->manifest);
    mark.log_number = wal_number(db->wal);
    mark.log_end = wal_end(db->wal);
    return closed_write(db->dir, &mark);
}

int
lsmkv_close(struct lsmkv *db)
{
    int result = 0;

    if (db == NULL)
        return 0;
    if (!db->options.read_only)
        flush_many(db);
    error_clear(); /* that it did not succeed is no failure of this */
    background_stop(db);
    limbo_empty(&db->limbo); /* who is inside an epoch still reads another store */
    if (!db->options.read_only) {
        lsmkv_announce_close(db);
        files_delete_obsolete(db);
        result = close_cleanly(db);
    }
    db_free(db);
    return result;
}
