/*
 * fuzz_store.c - a whole store made of crafted files, opened, read, written, merged.
 *
 * What must hold: a store that does not open keeps all its files.  One that opens answers or
 * errs, and ends every walk; what it then takes as written is read back, and if it closes
 * well, it opens again and has it.
 *
 * Input: files (files.h).
 */
#include <errno.h>

#include "files.h"
#include "table/table.h"

#define STEPS_MAX 200000u /* far more entries than an input can hold */

static const char mine[] = "fuzz/mine";
static const char large[] = "of so many bytes that it goes to a blob file at once";

static struct lsmkv_options
options_of(struct fuzz_files *files)
{
    struct lsmkv_options options;

    lsmkv_options_init(&options);
    options.env = files->env;
    options.write_buffer_size = 64 << 10;
    options.cache_size = 64 << 10;
    options.block_size = 512;
    options.table_size = 16 << 10;
    options.level_base_size = 32 << 10;
    options.blob_threshold = options.direct_threshold = 40;
    options.space_reserve = 1;
    options.lock_wait_ms = 1;
    options.log = fuzz_silence;
    return options;
}

static bool
is_an_error(int result)
{
    return result == -EBADMSG || result == -EUCLEAN || result == -ENOTSUP ||
           result == -EIO;
}

/* ---- reading ---- */

static void
walk(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
     const struct lsmkv_snapshot *snapshot, bool forwards)
{
    struct lsmkv_iter_options bounds = {.snapshot = snapshot};
    struct lsmkv_iter *iter;
    unsigned steps = 0;
    int result = lsmkv_iter_new(db, keyspace, &bounds, &iter);

    if (result != 0) {
        fuzz_check(is_an_error(result));
        return;
    }
    if (forwards)
        lsmkv_iter_first(iter);
    else
        lsmkv_iter_last(iter);
    while (lsmkv_iter_valid(iter)) {
        fuzz_check(++steps < STEPS_MAX);
        fuzz_check(lsmkv_iter_record(iter)->value.size <= LSMKV_VALUE_MAX);
        if (forwards)
            lsmkv_iter_next(iter);
        else
            lsmkv_iter_prev(iter);
    }
    result = lsmkv_iter_status(iter);
    fuzz_check(result == 0 || is_an_error(result));
    lsmkv_iter_free(iter);
}

/* Each key of a walk is asked for, and its tree skipped. */
static void
ask(struct lsmkv *db, struct lsmkv_keyspace *keyspace)
{
    struct lsmkv_iter *iter;
    unsigned steps = 0;

    if (lsmkv_iter_new(db, keyspace, NULL, &iter) != 0)
        return;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && steps < 64; steps++) {
        struct lsmkv_slice key = lsmkv_iter_key(iter);
        struct lsmkv_held *held;
        int result = lsmkv_get_held(db, keyspace, NULL, key, &held);

        fuzz_check(result == 0 || result == -ENOENT || is_an_error(result));
        if (result == 0)
            lsmkv_held_release(held);
        result = lsmkv_lookup(db, keyspace, NULL, key, false, NULL, 0, NULL);
        fuzz_check(result >= 0 || is_an_error(result));
        if (steps % 4 == 3 && lsmkv_keyspace_order(keyspace) == LSMKV_ORDER_PATH)
            lsmkv_iter_skip_tree(iter, key);
        else
            lsmkv_iter_next(iter);
    }
    lsmkv_iter_free(iter);
}

/* The names that a store tells, at most so many. */
struct names {
    char names[8][LSMKV_NAME_MAX + 1];
    size_t count;
};

static int
note_name(struct names *names, const char *name)
{
    if (names->count < sizeof(names->names) / sizeof(names->names[0]))
        snprintf(names->names[names->count++], sizeof(names->names[0]), "%s", name);
    return 0;
}

static int
note_keyspace(void *context, const char *name, enum lsmkv_order order)
{
    (void)order;
    return note_name(context, name);
}

static int
note_snapshot(void *context, const struct lsmkv_snapshot_info *info)
{
    fuzz_check(strchr(info->name, '/') == NULL);
    return note_name(context, info->name);
}

static void
read_all(struct lsmkv *db)
{
    struct names keyspaces = {.count = 0}, snapshots = {.count = 0};

    fuzz_check(lsmkv_keyspace_list(db, note_keyspace, &keyspaces) == 0);
    fuzz_check(lsmkv_snapshot_list(db, note_snapshot, &snapshots) == 0);
    for (size_t i = 0; i < keyspaces.count; i++) {
        struct lsmkv_keyspace *keyspace;

        fuzz_check(lsmkv_keyspace_open(db, keyspaces.names[i], &keyspace) == 0);
        walk(db, keyspace, NULL, true);
        walk(db, keyspace, NULL, false);
        ask(db, keyspace);
        for (size_t s = 0; s < snapshots.count; s++) {
            struct lsmkv_snapshot *snapshot;

            fuzz_check(lsmkv_snapshot_open(db, snapshots.names[s], &snapshot, NULL) == 0);
            walk(db, keyspace, snapshot, true);
            lsmkv_snapshot_release(db, snapshot);
        }
    }
}

/* ---- writing ---- */

static bool
has_mine(struct lsmkv *db, const char *value)
{
    struct lsmkv_held *held;
    int result = lsmkv_get_held(db, NULL, NULL, lsmkv_str(mine), &held);

    if (is_an_error(result))
        return true; /* behind damage, and it says so */
    if (result != 0)
        return false;
    result = fuzz_equal(lsmkv_held_record(held)->value, lsmkv_str(value));
    lsmkv_held_release(held);
    return result;
}

/* Whether it was taken, and durably. */
static bool
write_mine(struct lsmkv *db, const char *value)
{
    int result = lsmkv_put(db, NULL, lsmkv_str(mine), lsmkv_str(""), lsmkv_str(value), 0);

    if (result == 0)
        fuzz_check(has_mine(db, value));
    else
        fuzz_check(is_an_error(result));
    return result == 0;
}

static void
merge_all(struct lsmkv *db)
{
    const struct lsmkv_slice all = lsmkv_bytes(NULL, 0);
    struct lsmkv_move move = {lsmkv_str("a"), lsmkv_str("fuzz/moved")};
    const struct lsmkv_keyspace_options packed = {.order = LSMKV_ORDER_BYTES,
                                                  .compression = LSMKV_COMPRESSION_LZ4};
    struct lsmkv_keyspace *made;
    int result = lsmkv_flush(db);

    fuzz_check(result == 0 || is_an_error(result));
    result = lsmkv_snapshot_create(db, "fuzz", NULL);
    fuzz_check(result == 0 || result == -EEXIST || is_an_error(result));
    result = lsmkv_keyspace_create_with(db, "fuzz", &packed, &made);
    fuzz_check(result == 0 || result == -EEXIST || is_an_error(result));
    for (unsigned i = 0; result == 0 && i < 8; i++)
        result = lsmkv_put(db, made, lsmkv_bytes(&large[i], sizeof(large) - i),
                           lsmkv_str(large), lsmkv_str(mine), LSMKV_UNSYNCED);
    fuzz_check(result == 0 || result == -EEXIST || is_an_error(result));
    result = lsmkv_flush(db);
    fuzz_check(result == 0 || is_an_error(result));
    result = lsmkv_put(db, NULL, lsmkv_str("a/large"), lsmkv_str(""), lsmkv_str(large),
                       LSMKV_UNSYNCED);
    fuzz_check(result == 0 || is_an_error(result));
    result = lsmkv_move_trees(db, NULL, &move, 1, NULL, LSMKV_UNSYNCED);
    fuzz_check(result == 0 || is_an_error(result));
    result = lsmkv_compact(db, NULL, all, all);
    fuzz_check(result == 0 || is_an_error(result));
}

/* ---- opening ---- */

static bool
is_kept(struct fuzz_files *files, const struct fuzz_file *made, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!fuzz_files_has(files, made[i].name))
            return false;
    return true;
}

static void
read_only(struct fuzz_files *files, const struct fuzz_file *made, size_t count)
{
    struct lsmkv_options options = options_of(files);
    struct lsmkv *db;

    options.read_only = true;
    if (lsmkv_open("store", &options, &db) == 0) {
        read_all(db);
        fuzz_check(lsmkv_close(db) == 0);
    }
    fuzz_check(is_kept(files, made, count));
}

static void
read_write(struct fuzz_files *files, const struct fuzz_file *made, size_t count)
{
    struct lsmkv_options options = options_of(files);
    struct lsmkv *db;
    bool written, closed;

    if (lsmkv_open("store", &options, &db) != 0) {
        fuzz_check(is_kept(files, made, count));
        return;
    }
    read_all(db);
    written = write_mine(db, "one");
    merge_all(db);
    if (written)
        fuzz_check(has_mine(db, "one"));
    read_all(db);
    written = write_mine(db, "two");
    closed = lsmkv_close(db) == 0;
    if (!closed || !written)
        return;
    if (lsmkv_open("store", &options, &db) != 0)
        fuzz_fail("it does not open again: %s", lsmkv_error_detail());
    fuzz_check(has_mine(db, "two"));
    (void)lsmkv_close(db); /* its background work may meet the damage */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct fuzz_file made[FUZZ_FILES_MAX];
    struct fuzz_files files;
    size_t count;

    fuzz_files_init(&files);
    count = fuzz_files_unpack(&files, &input, made);
    read_only(&files, made, count);
    read_write(&files, made, count);
    fuzz_files_fini(&files);
    return 0;
}
