/*
 * lsmkv_check of what no checksum shows: stores whose files are whole, but do not belong together.
 * Tables are written here and named by a manifest that is rolled over the store's own.  (That each
 * flipped, cut and missing byte is found, test_store_damage shows.)
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "manifest/manifest.h"
#include "support/rig.h"
#include "support/suite.h"
#include "table/table.h"

#define FOUND_MAX 32

struct found {
    unsigned damage, notes;
    char lines[FOUND_MAX][256]; /* "FILE OFFSET TEXT" */
    unsigned count;
    uint64_t done, total;
    bool backwards;
};

static struct rig rig;
static struct found found;
static struct env_dir *dir;
static struct manifest_edit state; /* of the store's manifest, to be changed and rolled */
static struct block_cache *cache;
static struct reporter reporter;
static struct tally counters;
static struct table_context context;

static void
ignore_line(void *unused, enum lsmkv_level level, const char *line)
{
    (void)unused;
    (void)level;
    (void)line;
}

/* ---- running the check ---- */

static void
take_finding(void *unused, const struct lsmkv_finding *finding)
{
    (void)unused;
    if (finding->severity == LSMKV_DAMAGE)
        found.damage++;
    else
        found.notes++;
    if (found.count < FOUND_MAX)
        snprintf(found.lines[found.count++], sizeof(found.lines[0]), "%s %llu %s",
                 finding->file, (unsigned long long)finding->offset, finding->text);
}

static bool
take_progress(void *unused, uint64_t done, uint64_t total)
{
    (void)unused;
    found.backwards = found.backwards || done < found.done || done > total;
    found.done = done;
    found.total = total;
    return true;
}

static int
run_check(void)
{
    static const struct lsmkv_check_options check = {take_finding, take_progress, NULL};

    memset(&found, 0, sizeof(found));
    return lsmkv_check("store", &rig.options, &check);
}

static bool
was_found(const char *text)
{
    for (unsigned i = 0; i < found.count; i++)
        if (strstr(found.lines[i], text) != NULL)
            return true;
    for (unsigned i = 0; i < found.count; i++)
        printf("# %s\n", found.lines[i]);
    return false;
}

static void
expect_damage(const char *text)
{
    int result = run_check();

    ck_assert_msg(was_found(text), "not found: %s", text);
    ck_assert_uint_ge(found.damage, 1);
    ck_assert_int_eq(result, -EUCLEAN);
}

static void
expect_note(const char *text)
{
    int result = run_check();

    ck_assert_msg(was_found(text), "not found: %s", text);
    ck_assert_uint_eq(found.damage, 0);
    ck_assert_int_eq(result, 0);
}

/* ---- making stores ---- */

/* A store with one key, closed; its manifest as `state`. */
static void
setup(void)
{
    uint64_t number, end;

    rig_init(&rig);
    rig_open(&rig);
    rig_put(&rig, "a/b", "1");
    rig_close(&rig);
    memset(&state, 0, sizeof(state));
    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    reporter_init(&reporter, ignore_line, NULL);
    ck_assert_int_eq(manifest_load(dir, &reporter, &state, &number, &end), 0);
    ck_assert_int_eq(block_cache_new(rig.options.env, 1 << 20, &cache), 0);
    context = (struct table_context){
        .env = rig.options.env,
        .dir = dir,
        .cache = cache,
        .reporter = &reporter,
        .counters = &counters,
        .block_size = 512,
        .filter_bits_per_key = 10,
    };
}

static void
teardown(void)
{
    manifest_edit_fini(&state);
    block_cache_free(cache);
    reporter_fini(&reporter);
    env_dir_close(dir);
    rig_fini(&rig);
}

/* A table of tombstones of `first` and `last` (which may be the same), one entry each. */
static void
write_table(uint64_t number, uint32_t keyspace, enum lsmkv_order order, const char *first,
            const char *last, uint64_t sequence, struct table_meta *meta)
{
    struct table_writer *writer;
    struct keybuf key = {0};

    ck_assert_int_eq(table_writer_open(&context, number, keyspace, order, &writer), 0);
    ck_assert_int_eq(keybuf_set_internal(&key, lsmkv_str(first), sequence, KIND_DELETE),
                     0);
    ck_assert_int_eq(table_writer_add(writer, keybuf_slice(&key), lsmkv_bytes(NULL, 0)),
                     0);
    if (strcmp(first, last) != 0) {
        ck_assert_int_eq(
            keybuf_set_internal(&key, lsmkv_str(last), sequence + 1, KIND_DELETE), 0);
        ck_assert_int_eq(
            table_writer_add(writer, keybuf_slice(&key), lsmkv_bytes(NULL, 0)), 0);
    }
    keybuf_fini(&key);
    memset(meta, 0, sizeof(*meta));
    ck_assert_int_eq(table_writer_finish(writer, meta), 0);
}

static void
add_table(uint64_t number, int level, const char *first, const char *last,
          uint64_t sequence)
{
    struct table_meta meta;

    write_table(number, 0, LSMKV_ORDER_PATH, first, last, sequence, &meta);
    ck_assert_int_eq(manifest_edit_add(&state, 0, level, &meta), 0);
}

static void
roll_manifest(void)
{
    struct manifest *manifest;

    ck_assert_int_eq(closed_remove(dir), 0);
    ck_assert_int_eq(manifest_roll(dir, &reporter, state.next_file, &state, &manifest),
                     0);
    ck_assert_int_eq(manifest_close(manifest), 0);
}

/* Flushes, so that the manifest names a log as the oldest that is needed. */
static void
flush_store(void)
{
    uint64_t number, end;

    rig_open(&rig);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_close(&rig);
    manifest_edit_fini(&state);
    ck_assert_int_eq(manifest_load(dir, &reporter, &state, &number, &end), 0);
    ck_assert_uint_gt(state.oldest_log, 1);
}

static void
write_file(const char *name)
{
    struct env_file *file;

    ck_assert_int_eq(env_file_open(dir, name, ENV_REPLACE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 0, "x", 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

/* ---- good stores ---- */

START_TEST(test_a_clean_store_has_no_finding)
{
    uint64_t calls;

    ck_assert_int_eq(run_check(), 0);
    ck_assert_uint_eq(found.count, 0);
    ck_assert(!found.backwards);
    ck_assert_uint_gt(found.total, 0);
    ck_assert_uint_eq(found.done, found.total);
    /* And the check leaves nothing that a second one would see. */
    calls = mem_env_used(rig.memory);
    ck_assert_int_eq(run_check(), 0);
    ck_assert_uint_eq(mem_env_used(rig.memory), calls);
}
END_TEST

START_TEST(test_crafted_tables_that_belong_together_are_clean)
{
    add_table(100, 1, "a", "c", 10);
    add_table(101, 1, "d", "f", 12);
    add_table(102, 0, "a", "f", 20);
    add_table(103, 0, "a", "b", 30);
    roll_manifest();
    ck_assert_int_eq(run_check(), 0);
    ck_assert_uint_eq(found.damage, 0);
}
END_TEST

START_TEST(test_a_killed_store_has_notes_but_no_damage)
{
    rig_open(&rig);
    rig_put(&rig, "c", "2");
    env_dir_close(dir);
    block_cache_free(cache);
    rig_kill(&rig);
    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(block_cache_new(rig.options.env, 1 << 20, &cache), 0);
    expect_note("recovery: unclean stop");
}
END_TEST

START_TEST(test_a_store_in_use_is_busy)
{
    rig_open(&rig);
    ck_assert_int_eq(run_check(), -EBUSY);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(test_a_store_that_others_read_is_checked)
{
    struct lsmkv_options options = rig.options;
    struct lsmkv *reader;

    options.read_only = true;
    options.create = false;
    ck_assert_int_eq(lsmkv_open("store", &options, &reader), 0);
    ck_assert_int_eq(run_check(), 0);
    ck_assert_int_eq(lsmkv_close(reader), 0);
}
END_TEST

/* ---- a store that is open ---- */

static void
put_and_flush(const char *value)
{
    char key[16];

    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%02d", i);
        rig_put(&rig, key, value);
    }
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
}

/* Replaces what is being checked. */
static bool
merge_meanwhile(void *unused, uint64_t done, uint64_t total)
{
    struct lsmkv_slice none = {NULL, 0};

    if (found.total == 0) {
        put_and_flush("newer");
        ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    }
    return take_progress(unused, done, total);
}

static int
count_tables(void *count, const char *name)
{
    *(uint64_t *)count += strstr(name, ".sst") != NULL;
    return 0;
}

/* Of the store, and of the directory. */
static void
expect_tables_of_store_only(void)
{
    struct lsmkv_stats stats;
    uint64_t there = 0;

    ck_assert_int_eq(lsmkv_get_stats(rig.db, &stats), 0);
    ck_assert_int_eq(env_dir_list(dir, count_tables, &there), 0);
    ck_assert_uint_eq(there, stats.tables);
}

/* What was merged away meanwhile stayed until something else was deleted, and the disk full. */
START_TEST(test_an_open_store_is_checked_beside_its_use)
{
    static const struct lsmkv_check_options check = {take_finding, merge_meanwhile, NULL};

    rig_open(&rig);
    put_and_flush("old");
    put_and_flush("new");
    memset(&found, 0, sizeof(found));
    ck_assert_int_eq(lsmkv_check_open(rig.db, &check), 0);
    ck_assert_uint_eq(found.count, 0);
    ck_assert(!found.backwards);
    ck_assert_uint_gt(found.total, 0);
    ck_assert_uint_eq(found.done, found.total);
    expect_tables_of_store_only();
    ck_assert(rig_holds(&rig, NULL, "k42", "newer"));
    rig_close(&rig);
    ck_assert_int_eq(run_check(), 0);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(test_damage_of_an_open_store_is_told_to_who_asked)
{
    static const struct lsmkv_check_options check = {take_finding, take_progress, NULL};
    struct env_file *file;
    char name[32], text[64];
    uint64_t number, end;

    rig_open(&rig);
    put_and_flush("old");
    manifest_edit_fini(&state);
    ck_assert_int_eq(manifest_load(dir, &reporter, &state, &number, &end), 0);
    ck_assert_uint_ge(state.added_count, 1);
    snprintf(name, sizeof(name), "%06u.sst", (unsigned)state.added[0].meta.number);
    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 3, "?", 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    memset(&found, 0, sizeof(found));
    ck_assert_int_eq(lsmkv_check_open(rig.db, &check), -EUCLEAN);
    snprintf(text, sizeof(text), "%s 0 ", name);
    ck_assert(was_found(text));
    ck_assert_uint_eq(found.damage, 1);
    ck_assert_uint_eq(rig.errors, 0);
}
END_TEST

static int
note_blob(void *name, const char *found_name)
{
    if (strstr(found_name, ".blob") != NULL)
        snprintf(name, 32, "%s", found_name);
    return 0;
}

static void
damage_file(const char *name, uint64_t offset)
{
    struct env_file *file;

    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_write(file, offset, "?", 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

/* What the log alone referred to was left out. */
START_TEST(test_what_was_not_flushed_is_checked_too)
{
    static const struct lsmkv_check_options check = {take_finding, NULL, NULL};
    static char value[100000];
    char name[32] = "", text[64];

    rig_open(&rig);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("k"), lsmkv_str(""),
                               lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED),
                     0);
    ck_assert_int_eq(env_dir_list(dir, note_blob, name), 0);
    ck_assert_str_ne(name, "");
    damage_file(name, 50000);
    memset(&found, 0, sizeof(found));
    ck_assert_int_eq(lsmkv_check_open(rig.db, &check), -EUCLEAN);
    snprintf(text, sizeof(text), "%s ", name);
    ck_assert(was_found(text));
    ck_assert_uint_eq(found.damage, 1);
}
END_TEST

/* It was left out, and told when the store could not be opened any more. */
START_TEST(test_the_manifest_of_an_open_store_is_checked)
{
    static const struct lsmkv_check_options check = {take_finding, NULL, NULL};

    rig_open(&rig);
    put_and_flush("old");
    damage_file("MANIFEST", 10);
    memset(&found, 0, sizeof(found));
    ck_assert_int_eq(lsmkv_check_open(rig.db, &check), -EUCLEAN);
    ck_assert(was_found("MANIFEST 0 checksum"));
    ck_assert_uint_eq(found.damage, 1);
    ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
    memset(&found, 0, sizeof(found));
    ck_assert_int_eq(lsmkv_check_open(rig.db, &check), -EUCLEAN);
    ck_assert(was_found("MANIFEST 0 the file is missing"));
}
END_TEST

START_TEST(test_that_something_could_not_be_flushed_is_a_note)
{
    static const struct lsmkv_check_options check = {take_finding, NULL, NULL};

    rig_open(&rig);
    put_and_flush("old");
    fault_env_set(rig.faults, (struct fault){ENV_CALL_FILE_SYNC, 1, false, EIO, false});
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_str("k"), lsmkv_str(""), lsmkv_str("v"), 0), -EIO);
    fault_env_heal(rig.faults);
    memset(&found, 0, sizeof(found));
    ck_assert_int_eq(lsmkv_check_open(rig.db, &check), 0);
    ck_assert(was_found(" 0 logs: what only they have was left out"));
    ck_assert_uint_eq(found.count, 1);
}
END_TEST

static bool
stop(void *unused, uint64_t done, uint64_t total)
{
    (void)unused, (void)done, (void)total;
    found.total++;
    return false;
}

START_TEST(test_a_check_can_be_ended)
{
    static const struct lsmkv_check_options check = {take_finding, stop, NULL};

    flush_store();
    memset(&found, 0, sizeof(found));
    ck_assert_int_eq(lsmkv_check("store", &rig.options, &check), -ECANCELED);
    ck_assert_uint_eq(found.total, 1);
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_check_open(rig.db, &check), -ECANCELED);
    ck_assert_uint_eq(found.total, 2);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

/* ---- what is no good store ---- */

START_TEST(test_what_is_no_store_is_not_checked)
{
    static const struct lsmkv_check_options check = {take_finding, NULL, NULL};

    memset(&found, 0, sizeof(found));
    ck_assert_int_eq(lsmkv_check("nowhere", &rig.options, &check), -ENOENT);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(test_a_store_without_its_lock_file_is_checked)
{
    ck_assert_int_eq(env_dir_unlink(dir, "LOCK"), 0);
    ck_assert_int_eq(run_check(), 0);
}
END_TEST

START_TEST(test_a_store_of_a_newer_version_is_not_judged)
{
    static const char json[] =
        "{\"format\":\"lsmkv-manifest\",\"version\":2,\"manifest\":7}";
    struct env_file *file;
    char line[128];
    int size = snprintf(line, sizeof(line), "%s\t%08x\n", json,
                        crc32c(0, json, sizeof(json) - 1));

    ck_assert_int_eq(env_file_open(dir, "MANIFEST", ENV_REPLACE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 0, line, (size_t)size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_eq(run_check(), -ENOTSUP);
    ck_assert_uint_eq(found.count, 0);
    ck_assert_ptr_nonnull(strstr(lsmkv_error_detail(), "version 2 of the format"));
}
END_TEST

/* ---- leftovers ---- */

START_TEST(test_leftovers_are_notes)
{
    struct table_meta meta;

    write_table(100, 0, LSMKV_ORDER_PATH, "a", "b", 10, &meta);
    table_meta_fini(&meta);
    expect_note("000100.sst 0 nothing needs it");
    write_file("MANIFEST.tmp");
    expect_note("MANIFEST.tmp 0 left by a crash");
    write_file("CLOSED.tmp");
    expect_note("CLOSED.tmp 0 left by a crash");
}
END_TEST

START_TEST(test_a_log_that_was_replaced_is_a_note)
{
    char name[32];

    flush_store();
    snprintf(name, sizeof(name), "%06llu.log", (unsigned long long)state.oldest_log - 1);
    write_file(name);
    expect_note("nothing needs it");
}
END_TEST

/* ---- damage ---- */

START_TEST(test_tables_of_a_level_that_overlap)
{
    add_table(100, 1, "a", "c", 10);
    add_table(101, 1, "c", "f", 12);
    roll_manifest();
    expect_damage("tables 100 and 101 overlap");
}
END_TEST

START_TEST(test_an_older_version_above_a_newer_one)
{
    add_table(100, 2, "k", "k", 20);
    add_table(101, 1, "k", "k", 10);
    roll_manifest();
    expect_damage("key \"k\": an older version lies above a newer one");
}
END_TEST

/* Level 0 is read by the largest sequence first, of equals by the largest number: here 101, though
 * its "k" is older than that of 100. */
START_TEST(test_an_older_version_above_a_newer_one_in_level_0)
{
    add_table(100, 0, "k", "k", 20);
    add_table(101, 0, "k", "z", 19);
    roll_manifest();
    expect_damage("key \"k\": an older version lies above a newer one");
}
END_TEST

START_TEST(test_one_version_in_two_places)
{
    add_table(100, 1, "k", "k", 10);
    add_table(101, 0, "k", "k", 10);
    roll_manifest();
    expect_damage("key \"k\": one version is in two places");
}
END_TEST

START_TEST(test_a_table_of_another_keyspace_or_order)
{
    struct table_meta meta;

    write_table(100, 7, LSMKV_ORDER_PATH, "a", "b", 10, &meta);
    ck_assert_int_eq(manifest_edit_add(&state, 0, 1, &meta), 0);
    roll_manifest();
    expect_damage("000100.sst 0 the table is of another keyspace or order");
    write_table(101, 0, LSMKV_ORDER_BYTES, "c", "d", 20, &meta);
    state.added_count--;
    table_meta_fini(&state.added[0].meta);
    ck_assert_int_eq(manifest_edit_add(&state, 0, 1, &meta), 0);
    roll_manifest();
    expect_damage("000101.sst 0 the table is of another keyspace or order");
}
END_TEST

START_TEST(test_a_manifest_that_says_other_things_of_a_table)
{
    add_table(100, 1, "a", "c", 10);
    state.added[0].meta.entries++;
    roll_manifest();
    expect_damage("MANIFEST 0 table 100 holds other entries");
    state.added[0].meta.entries--;
    ck_assert_int_eq(keybuf_set_internal(&state.added[0].meta.largest, lsmkv_str("d"), 11,
                                         KIND_DELETE),
                     0);
    roll_manifest();
    expect_damage("MANIFEST 0 table 100 holds other entries");
}
END_TEST

START_TEST(test_a_table_that_is_missing_or_has_another_size)
{
    add_table(100, 1, "a", "c", 10);
    state.added[0].meta.size++;
    roll_manifest();
    expect_damage("000100.sst");
    ck_assert(was_found("the file ends here"));
    ck_assert_int_eq(env_dir_unlink(dir, "000100.sst"), 0);
    expect_damage("000100.sst 0 the file is missing");
}
END_TEST

START_TEST(test_snapshots_out_of_order)
{
    struct lsmkv_snapshot_info first = {"first", 1, 5, 0}, second = {"second", 2, 4, 0};

    ck_assert_int_eq(manifest_edit_snapshot(&state, &first), 0);
    ck_assert_int_eq(manifest_edit_snapshot(&state, &second), 0);
    roll_manifest();
    expect_damage("snapshot \"second\" comes after \"first\"");
}
END_TEST

START_TEST(test_a_missing_log)
{
    char name[32];

    flush_store();
    snprintf(name, sizeof(name), "%06llu.log", (unsigned long long)state.oldest_log);
    ck_assert_int_eq(env_dir_unlink(dir, name), 0);
    expect_damage("the file is missing, and MANIFEST needs it");
}
END_TEST

/* Its tables are checked all the same: of two bad things both are told. */
START_TEST(test_tables_without_a_manifest_are_checked)
{
    struct table_meta meta;
    struct env_file *file;

    write_table(100, 0, LSMKV_ORDER_PATH, "a", "b", 10, &meta);
    table_meta_fini(&meta);
    ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
    expect_damage("MANIFEST 0 the file is missing");
    ck_assert_uint_eq(found.damage, 1);
    ck_assert_int_eq(env_file_open(dir, "000100.sst", ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 3, "?", 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    expect_damage("000100.sst 0 ");
    ck_assert_uint_eq(found.damage, 2);
}
END_TEST

static int
newest_log(void *newest, const char *name)
{
    if (strstr(name, ".log") != NULL && strcmp(name, newest) > 0)
        snprintf(newest, 32, "%s", name);
    return 0;
}

static void
damage_log(void)
{
    struct env_file *file;
    char name[32] = "";

    ck_assert_int_eq(env_dir_list(dir, newest_log, name), 0);
    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 100, "?", 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

/* The chain of logs finds it, and then each log is read by itself: it is told once. */
START_TEST(test_a_damaged_log_is_told_once)
{
    flush_store();
    rig_open(&rig);
    rig_put(&rig, "c", "a value that reaches past byte 100 of the log");
    rig_put(&rig, "d", "one that says that the one before was durable");
    rig_close(&rig);
    damage_log();
    expect_damage(".log ");
    ck_assert_uint_eq(found.damage, 1);
    /* Without a manifest there is no chain. */
    ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
    expect_damage(".log ");
    ck_assert_uint_eq(found.damage, 2);
}
END_TEST

/* All damaged tables are named, not the first alone. */
START_TEST(test_every_damaged_table_is_told)
{
    struct env_file *file;
    char name[32];

    for (unsigned i = 0; i < 3; i++) {
        char key[2] = {(char)('a' + i), '\0'};

        add_table(100 + i, 1, key, key, 10 + i);
        snprintf(name, sizeof(name), "%06u.sst", 100 + i);
        ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
        ck_assert_int_eq(env_file_write(file, 3, "?", 1), 0);
        ck_assert_int_eq(env_file_close(file), 0);
    }
    roll_manifest();
    expect_damage("000100.sst 0 ");
    ck_assert(was_found("000101.sst 0 "));
    ck_assert(was_found("000102.sst 0 "));
    ck_assert_uint_eq(found.damage, 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("check");
    TCase *tcase = tcase_create("check");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_clean_store_has_no_finding);
    tcase_add_test(tcase, test_crafted_tables_that_belong_together_are_clean);
    tcase_add_test(tcase, test_a_killed_store_has_notes_but_no_damage);
    tcase_add_test(tcase, test_a_store_in_use_is_busy);
    tcase_add_test(tcase, test_a_store_that_others_read_is_checked);
    tcase_add_test(tcase, test_an_open_store_is_checked_beside_its_use);
    tcase_add_test(tcase, test_damage_of_an_open_store_is_told_to_who_asked);
    tcase_add_test(tcase, test_what_was_not_flushed_is_checked_too);
    tcase_add_test(tcase, test_the_manifest_of_an_open_store_is_checked);
    tcase_add_test(tcase, test_that_something_could_not_be_flushed_is_a_note);
    tcase_add_test(tcase, test_a_check_can_be_ended);
    tcase_add_test(tcase, test_what_is_no_store_is_not_checked);
    tcase_add_test(tcase, test_a_store_without_its_lock_file_is_checked);
    tcase_add_test(tcase, test_a_store_of_a_newer_version_is_not_judged);
    tcase_add_test(tcase, test_leftovers_are_notes);
    tcase_add_test(tcase, test_a_log_that_was_replaced_is_a_note);
    tcase_add_test(tcase, test_tables_of_a_level_that_overlap);
    tcase_add_test(tcase, test_an_older_version_above_a_newer_one);
    tcase_add_test(tcase, test_an_older_version_above_a_newer_one_in_level_0);
    tcase_add_test(tcase, test_one_version_in_two_places);
    tcase_add_test(tcase, test_a_table_of_another_keyspace_or_order);
    tcase_add_test(tcase, test_a_manifest_that_says_other_things_of_a_table);
    tcase_add_test(tcase, test_a_table_that_is_missing_or_has_another_size);
    tcase_add_test(tcase, test_snapshots_out_of_order);
    tcase_add_test(tcase, test_a_missing_log);
    tcase_add_test(tcase, test_tables_without_a_manifest_are_checked);
    tcase_add_test(tcase, test_a_damaged_log_is_told_once);
    tcase_add_test(tcase, test_every_damaged_table_is_told);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
