/*
 * test_compression.c - keyspaces that are compressed: chosen at creation, kept in MANIFEST, and
 * told there before any line has one; small on disk, the same to readers; whatever a store does
 * with its keyspaces.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/rig.h"

#define KEYS 2000

static struct rig rig;
static const struct lsmkv_keyspace_options lz4 = {LSMKV_ORDER_BYTES,
                                                  LSMKV_COMPRESSION_LZ4};

static void
setup(void)
{
    rig_init(&rig);
}

static void
teardown(void)
{
    rig_fini(&rig);
}

static struct lsmkv_keyspace *
create(const char *name)
{
    struct lsmkv_keyspace *keyspace;

    ck_assert_int_eq(lsmkv_keyspace_create_with(rig.db, name, &lz4, &keyspace), 0);
    return keyspace;
}

static enum lsmkv_compression
compression_of(const char *name)
{
    struct lsmkv_keyspace *keyspace;

    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, name, &keyspace), 0);
    return lsmkv_keyspace_compression(keyspace);
}

/* What MANIFEST is, up to the end of its first line, and all of it; freed by the caller. */
static char *
manifest(bool whole)
{
    struct lsmkv_env *env = mem_env_base(rig.memory);
    struct env_file *file;
    struct env_dir *dir;
    uint64_t size;
    char *text;

    ck_assert_int_eq(env_dir_open(env, "store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, "MANIFEST", ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    text = calloc(1, size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(env_file_read(file, 0, text, size), (ssize_t)size);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
    if (!whole)
        text[strcspn(text, "\n")] = '\0';
    return text;
}

/* M5. */
static bool
first_line_names_lz4(void)
{
    char *line = manifest(false);
    bool names =
        strstr(line, "\"incompatible\":[\"lz4\",\"packed\",\"pages\"]") != NULL ||
        strstr(line, "\"incompatible\":[\"blobs\",\"lz4\",\"packed\",\"pages\"]") != NULL;

    free(line);
    return names;
}

static void
fill(struct lsmkv_keyspace *keyspace, unsigned round)
{
    char key[32], value[128];

    for (unsigned i = 0; i < KEYS; i++) {
        int size = snprintf(value, sizeof(value), "value %u of key %u, and of key %u",
                            round, i, i);

        snprintf(key, sizeof(key), "dir%u/file%u", i % 20, i);
        ck_assert_int_eq(lsmkv_put(rig.db, keyspace, lsmkv_str(key), lsmkv_str("attr"),
                                   lsmkv_bytes(value, (size_t)size), LSMKV_UNSYNCED),
                         0);
    }
}

static void
check_filled(struct lsmkv_keyspace *keyspace, const struct lsmkv_snapshot *snapshot,
             const char *prefix, unsigned round)
{
    struct lsmkv_iter_options options = {.snapshot = snapshot};
    struct lsmkv_iter *iter;
    unsigned count = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        char key[48], value[128], buffer[256];
        struct lsmkv_record record;
        int size = snprintf(value, sizeof(value), "value %u of key %u, and of key %u",
                            round, i, i);

        snprintf(key, sizeof(key), "%sdir%u/file%u", prefix, i % 20, i);
        ck_assert_int_eq(lsmkv_get(rig.db, keyspace, snapshot, lsmkv_str(key), buffer,
                                   sizeof(buffer), &record),
                         0);
        ck_assert_uint_eq(record.value.size, (size_t)size);
        ck_assert_mem_eq(record.value.data, value, (size_t)size);
    }
    ck_assert_int_eq(lsmkv_iter_new(rig.db, keyspace, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    ck_assert_uint_eq(count, KEYS);
    lsmkv_iter_free(iter);
}

static void
compact(struct lsmkv_keyspace *keyspace)
{
    const struct lsmkv_slice all = lsmkv_bytes(NULL, 0);

    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, keyspace, all, all), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
}

/* ---- the choice ---- */

START_TEST(test_it_is_kept_through_reopening_and_death)
{
    rig.options.compression = LSMKV_COMPRESSION_LZ4;
    rig_open(&rig);
    create("one");
    rig.options.compression =
        LSMKV_COMPRESSION_NONE; /* it says nothing of what is there */
    for (unsigned i = 0; i < 2; i++) {
        if (i == 0) {
            rig_close(&rig);
        } else {
            rig_kill(&rig);
        }
        rig_open(&rig);
        ck_assert_int_eq(compression_of("default"), LSMKV_COMPRESSION_LZ4);
        ck_assert_int_eq(compression_of("one"), LSMKV_COMPRESSION_LZ4);
    }
}
END_TEST

START_TEST(test_nothing_is_compressed_that_nobody_asked_for)
{
    struct lsmkv_keyspace *keyspace;
    char *text;

    rig_open(&rig);
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "one", LSMKV_ORDER_PATH, &keyspace),
                     0);
    ck_assert_int_eq(compression_of("default"), LSMKV_COMPRESSION_NONE);
    ck_assert_int_eq(compression_of("one"), LSMKV_COMPRESSION_NONE);
    text = manifest(true);
    ck_assert_ptr_null(strstr(text, "lz4"));
    ck_assert_ptr_null(strstr(text, "compression"));
    free(text);
}
END_TEST

START_TEST(test_an_unknown_choice_is_refused)
{
    struct lsmkv_keyspace_options unknown = lz4;
    struct lsmkv_keyspace *keyspace;

    unknown.compression = (enum lsmkv_compression)2;
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_keyspace_create_with(rig.db, "one", &unknown, &keyspace),
                     -EINVAL);
    rig_close(&rig);
    rig.options.compression = unknown.compression;
    ck_assert_int_eq(lsmkv_open("store", &rig.options, &rig.db), -EINVAL);
    rig.options.compression = LSMKV_COMPRESSION_NONE;
}
END_TEST

/* ---- what older versions are told (M5) ---- */

START_TEST(test_the_first_line_names_it_of_a_store_made_so)
{
    rig.options.compression = LSMKV_COMPRESSION_LZ4;
    rig_open(&rig);
    ck_assert(first_line_names_lz4());
}
END_TEST

START_TEST(test_the_first_line_names_it_before_a_keyspace_made_later)
{
    struct lsmkv_keyspace *keyspace;

    rig_open(&rig);
    rig_put(&rig, "key", "value");
    ck_assert(!first_line_names_lz4());
    keyspace = create("one");
    ck_assert(first_line_names_lz4());
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, keyspace), 0);
    create("two");
    ck_assert(first_line_names_lz4());
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert_int_eq(compression_of("two"), LSMKV_COMPRESSION_LZ4);
    ck_assert(rig_holds(&rig, NULL, "key", "value"));
}
END_TEST

/* The first of two lines is written anew for the first such keyspace, and not for the others. */
START_TEST(test_a_second_keyspace_is_a_line_and_no_more)
{
    uint64_t calls[2];

    rig_open(&rig);
    for (unsigned i = 0; i < 3; i++) {
        char name[8];
        uint64_t before = fault_env_calls(rig.faults, ENV_CALL_DIR_RENAME);

        snprintf(name, sizeof(name), "k%u", i);
        create(name);
        calls[i > 0] = fault_env_calls(rig.faults, ENV_CALL_DIR_RENAME) - before;
    }
    ck_assert_uint_eq(calls[0], 1);
    ck_assert_uint_eq(calls[1], 0);
}
END_TEST

START_TEST(test_a_manifest_that_is_rolled_still_has_it)
{
    uint64_t rolled;
    char name[LSMKV_NAME_MAX + 1];

    rig_open(&rig);
    create("one");
    memset(name, 'n', LSMKV_NAME_MAX);
    name[LSMKV_NAME_MAX] = '\0';
    rolled = fault_env_calls(rig.faults, ENV_CALL_DIR_RENAME) + 1;
    while (fault_env_calls(rig.faults, ENV_CALL_DIR_RENAME) < rolled) {
        ck_assert_int_eq(lsmkv_snapshot_create(rig.db, name, NULL), 0);
        ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, name), 0);
    }
    ck_assert(first_line_names_lz4());
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert_int_eq(compression_of("one"), LSMKV_COMPRESSION_LZ4);
}
END_TEST

/* Whatever call fails, the keyspace is there or it is not, and no line has one that was not told of. */
START_TEST(test_every_failing_call_of_its_making)
{
    for (uint64_t nth = 1;; nth++) {
        struct lsmkv_keyspace *keyspace;
        bool failed;
        int result;

        if (nth > 1) {
            rig_fini(&rig);
            rig_init(&rig);
        }
        rig_open(&rig);
        rig_put(&rig, "key", "value");
        fault_env_set(rig.faults, (struct fault){ENV_CALL_ANY, nth, false, EIO, false});
        result = lsmkv_keyspace_create_with(rig.db, "one", &lz4, &keyspace);
        failed = fault_env_failures(rig.faults) > 0;
        fault_env_heal(rig.faults);
        if (!failed) {
            ck_assert_int_eq(result, 0);
            ck_assert_uint_gt(nth, 5);
            return;
        }
        rig_kill(&rig);
        rig_open(&rig);
        ck_assert(rig_holds(&rig, NULL, "key", "value"));
        if (lsmkv_keyspace_open(rig.db, "one", &keyspace) == 0)
            ck_assert(first_line_names_lz4());
        else
            ck_assert_int_ne(result, 0);
    }
}
END_TEST

/* ---- what is stored ---- */

START_TEST(test_tables_are_smaller_and_hold_the_same)
{
    uint64_t bytes[2];

    for (unsigned i = 0; i < 2; i++) {
        if (i == 1) {
            rig_fini(&rig);
            rig_init(&rig);
            rig.options.compression = LSMKV_COMPRESSION_LZ4;
        }
        rig_open(&rig);
        fill(NULL, 1);
        compact(NULL);
        check_filled(NULL, NULL, "", 1);
        bytes[i] = rig_stats(&rig).table_bytes;
        rig_close(&rig);
        rig_open(&rig);
        check_filled(NULL, NULL, "", 1);
    }
    ck_assert_uint_lt(bytes[1], bytes[0] / 2);
}
END_TEST

/* Bug: an index may not hold more than the data it is of; but that was held against the blocks as
 * they are on the disk, where long keys that are all alike are nearly nothing: such a table could
 * be written and not be opened. */
START_TEST(test_an_index_of_long_keys_is_larger_than_the_data)
{
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_record record;
    char key[4096], buffer[16];
    const struct lsmkv_check_options check = {0};
    const size_t prefix = 3000;

    rig_open(&rig);
    keyspace = create("long");
    memset(key, 'k', prefix);
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(key + prefix, sizeof(key) - prefix, "%06u", i);
        ck_assert_int_eq(lsmkv_put(rig.db, keyspace, lsmkv_str(key), lsmkv_str(""),
                                   lsmkv_str("value"), LSMKV_UNSYNCED),
                         0);
    }
    compact(keyspace);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < KEYS; i += 37) {
            snprintf(key + prefix, sizeof(key) - prefix, "%06u", i);
            ck_assert_int_eq(lsmkv_get(rig.db, keyspace, NULL, lsmkv_str(key), buffer,
                                       sizeof(buffer), &record),
                             0);
            ck_assert_mem_eq(record.value.data, "value", 5);
        }
        rig_close(&rig);
        ck_assert_int_eq(lsmkv_check("store", &rig.options, &check), 0);
        rig_open(&rig);
        ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "long", &keyspace), 0);
    }
}
END_TEST

START_TEST(test_snapshots_moves_and_rollback_go_on_in_it)
{
    const struct lsmkv_move move = {lsmkv_str("dir7"), lsmkv_str("moved")};
    struct lsmkv_snapshot *snapshot;
    struct lsmkv_check_options check = {0};

    rig.options.compression = LSMKV_COMPRESSION_LZ4;
    rig.options.move_log_limit = 100; /* by tables */
    rig_open(&rig);
    fill(NULL, 1);
    compact(NULL);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "snap", NULL), 0);
    fill(NULL, 2);
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &move, 1, NULL, 0), 0);
    ck_assert(rig_holds(&rig, NULL, "moved/file7", "value 2 of key 7, and of key 7"));
    compact(NULL);
    ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "snap", &snapshot, NULL), 0);
    check_filled(NULL, snapshot, "", 1);
    ck_assert_int_eq(lsmkv_rollback(rig.db, snapshot, NULL), 0);
    check_filled(NULL, NULL, "", 1);
    lsmkv_snapshot_release(rig.db, snapshot);
    rig_close(&rig);
    ck_assert_int_eq(lsmkv_check("store", &rig.options, &check), 0);
}
END_TEST

/* ---- repair ---- */

static void
remove_manifest(void)
{
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(mem_env_base(rig.memory), "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "CLOSED"), 0);
    env_dir_close(dir);
}

/* With MANIFEST it is what that says; without, what the tables are. */
START_TEST(test_a_repaired_store_is_compressed_as_it_was)
{
    const struct lsmkv_repair_options repair = {0};
    struct lsmkv_keyspace *plain;
    const char *name = _i == 0 ? "one" : "keyspace-2";
    uint64_t bytes;

    rig.options.block_size = 1024;
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &plain),
                     0);
    fill(create("one"), 1);
    fill(plain, 1);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    bytes = rig_stats(&rig).table_bytes;
    rig_close(&rig);
    if (_i > 0)
        remove_manifest();
    ck_assert_int_eq(lsmkv_repair("store", "new", &rig.options, &repair),
                     _i == 0 ? 0 : -EUCLEAN);
    rig.options.create = false;
    ck_assert_int_eq(lsmkv_open("new", &rig.options, &rig.db), 0);
    ck_assert_int_eq(compression_of("default"), LSMKV_COMPRESSION_NONE);
    ck_assert_int_eq(compression_of(_i == 0 ? "plain" : "keyspace-1"),
                     LSMKV_COMPRESSION_NONE);
    ck_assert_int_eq(compression_of(name), LSMKV_COMPRESSION_LZ4);
    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, name, &plain), 0);
    check_filled(plain, NULL, "", 1);
    ck_assert_uint_lt(rig_stats(&rig).table_bytes, bytes * 5 / 4);
}
END_TEST

static Suite *
compression_suite(void)
{
    Suite *suite = suite_create("compression");
    TCase *tcase = tcase_create("compression");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_it_is_kept_through_reopening_and_death);
    tcase_add_test(tcase, test_nothing_is_compressed_that_nobody_asked_for);
    tcase_add_test(tcase, test_an_unknown_choice_is_refused);
    tcase_add_test(tcase, test_the_first_line_names_it_of_a_store_made_so);
    tcase_add_test(tcase, test_the_first_line_names_it_before_a_keyspace_made_later);
    tcase_add_test(tcase, test_a_second_keyspace_is_a_line_and_no_more);
    tcase_add_test(tcase, test_a_manifest_that_is_rolled_still_has_it);
    tcase_add_test(tcase, test_every_failing_call_of_its_making);
    tcase_add_test(tcase, test_tables_are_smaller_and_hold_the_same);
    tcase_add_test(tcase, test_an_index_of_long_keys_is_larger_than_the_data);
    tcase_add_test(tcase, test_snapshots_moves_and_rollback_go_on_in_it);
    tcase_add_loop_test(tcase, test_a_repaired_store_is_compressed_as_it_was, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(compression_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
