/*
 * test_fs_rollback.c - a store that `lsmfs snapshot rollback` led back, as the next mount finds it: with
 * keys below files, from before the first mount.
 */
#include "store/foreign.h"
#include "vfs_fixture.h"

static struct vfs_fixture fs;

static void
setup(void)
{
    fs_init(&fs);
}

static void
teardown(void)
{
    fs_fini(&fs);
}

static struct store *
open_as_is(void)
{
    struct store_options options = fs.options.store;
    struct store *store;
    char why[256];

    options.create = false;
    options.as_is = true;
    ck_assert_int_eq(store_open(&options, &store, why, sizeof(why)), 0);
    return store;
}

/* What the command does. */
static int
roll_back(const char *name)
{
    struct store *store = open_as_is();
    struct lsmkv_rollback_options options = {.except = store->meta};
    struct lsmkv_snapshot *snapshot;
    int result = lsmkv_snapshot_open(store->db, name, &snapshot, NULL);

    if (result == 0) {
        result = lsmkv_rollback(store->db, snapshot, &options);
        lsmkv_snapshot_release(store->db, snapshot);
    }
    ck_assert_int_eq(store_close(store), 0);
    return result;
}

/* Waits until the mount has found that nobody else wrote, as it has said when it is closed. */
static void
expect_ours(void)
{
    const struct timespec step = {0, 1000000};
    bool foreign = true;

    for (unsigned i = 0; i < 10000 && foreign; i++) {
        struct store *store;

        nanosleep(&step, NULL);
        fs_close(&fs);
        store = open_as_is();
        ck_assert_int_eq(foreign_find(store, &foreign), 0);
        ck_assert_int_eq(store_close(store), 0);
        fs_open(&fs);
    }
    ck_assert(!foreign);
}

/* The mount before has found that no file has keys below it; that is not so any more. */
START_TEST(test_keys_below_files_that_come_back_are_found)
{
    ck_assert_int_eq(fs_put(&fs, "f", "file"), 0);
    fs_raw_put(&fs, "f/below", 7, "x");
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(lsmkv_delete(vfs_store(fs.vfs)->db, NULL, lsmkv_str("f/below"), 0),
                     0);
    fs_reopen(&fs);
    expect_ours();
    fs_expect(&fs, "f", "file");
    fs_close(&fs);
    ck_assert_int_eq(roll_back("s"), 0);
    fs_open(&fs);
    fs_expect(&fs, "f/below", "x");
    fs_expect(&fs, ".lsmfs/keys/f", "file");
}
END_TEST

/* Numbers go on from where they were: none is given out twice. */
START_TEST(test_no_number_is_given_out_again)
{
    uint64_t before;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(fs_put(&fs, "f", "1"), 0);
    before = fs_ino(&fs, "f");
    fs_close(&fs);
    ck_assert_int_eq(roll_back("s"), 0);
    fs_open(&fs);
    ck_assert_int_eq(fs_put(&fs, "g", "1"), 0);
    ck_assert_uint_gt(fs_ino(&fs, "g"), before);
}
END_TEST

static int
count_keyspace(void *context, const char *name, enum lsmkv_order order)
{
    (void)name, (void)order;
    ++*(unsigned *)context;
    return 0;
}

/* A name that was mistyped made a store of ours of one that was not. */
START_TEST(test_a_store_that_was_never_mounted_gets_nothing_of_ours)
{
    struct lsmkv_options options = fs.engine;
    unsigned count = 0;
    struct lsmkv *db;

    fs.options.store.path = "other-store";
    options.create = true;
    ck_assert_int_eq(lsmkv_open("other-store", &options, &db), 0);
    ck_assert_int_eq(lsmkv_snapshot_create(db, "s", NULL), 0);
    ck_assert_int_eq(
        lsmkv_put(db, NULL, lsmkv_str("k"), lsmkv_str(""), lsmkv_str("v"), 0), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    ck_assert_int_eq(roll_back("t"), -ENOENT);
    ck_assert_int_eq(roll_back("s"), 0);
    ck_assert_int_eq(lsmkv_open("other-store", &options, &db), 0);
    ck_assert_int_eq(lsmkv_keyspace_list(db, count_keyspace, &count), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(lsmkv_lookup(db, NULL, NULL, lsmkv_str("k"), false, NULL, 0, NULL),
                     LSMKV_ABSENT);
    ck_assert_int_eq(lsmkv_close(db), 0);
    fs.options.store.path = "lsmfs-test-store";
}
END_TEST

/* The root has no record then; the next mount makes one, as the first one did. */
START_TEST(test_back_to_before_the_first_mount)
{
    struct lsmkv_options options = fs.engine;
    struct lsmkv *db;
    struct stat before, st;

    fs_close(&fs);
    fs.options.store.path = "other-store";
    options.create = true;
    ck_assert_int_eq(lsmkv_open("other-store", &options, &db), 0);
    ck_assert_int_eq(
        lsmkv_put(db, NULL, lsmkv_str("d/k"), lsmkv_str(""), lsmkv_str("v"), 0), 0);
    ck_assert_int_eq(lsmkv_snapshot_create(db, "s", NULL), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    fs_open(&fs);
    ck_assert_int_eq(fs_stat(&fs, "", &before), 0);
    ck_assert_int_eq(fs_put(&fs, "d/ours", "1"), 0);
    fs_expect(&fs, "d/k", "v");
    fs_close(&fs);
    ck_assert_int_eq(roll_back("s"), 0);
    fs_open(&fs);
    ck_assert_int_eq(fs_stat(&fs, "d/ours", &st), -ENOENT);
    fs_expect(&fs, "d/k", "v");
    ck_assert_int_eq(fs_stat(&fs, "", &st), 0);
    ck_assert_uint_eq(st.st_ino, before.st_ino);
    ck_assert_int_ge(st.st_mtim.tv_sec, before.st_mtim.tv_sec);
    ck_assert_int_eq(fs_put(&fs, "d/ours", "2"), 0);
    fs_reopen(&fs);
    fs_expect(&fs, "d/ours", "2");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fs_rollback");
    TCase *tcase = tcase_create("rollback");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_keys_below_files_that_come_back_are_found);
    tcase_add_test(tcase, test_no_number_is_given_out_again);
    tcase_add_test(tcase, test_a_store_that_was_never_mounted_gets_nothing_of_ours);
    tcase_add_test(tcase, test_back_to_before_the_first_mount);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
