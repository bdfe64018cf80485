/*
 * test_vfs_nameless.c - files made without a name: nothing of them is in the store until they
 * get one, and then all of it is.
 */
#include "store/sweep.h"
#include "vfs_fixture.h"

#define LARGE (300u << 10)

static struct vfs_fixture fs;
static char bytes[LARGE], back[LARGE];

static void
setup(void)
{
    fs_init(&fs);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
}

static void
teardown(void)
{
    fs_fini(&fs);
}

static struct node *
nameless(int flags)
{
    struct vfs_entry entry;

    ck_assert_int_eq(
        vfs_tmpfile(fs.vfs, &fs.caller, vfs_root(fs.vfs), 0640, O_RDWR | flags, &entry),
        0);
    ck_assert_uint_eq(entry.stat.st_nlink, 0);
    return entry.node;
}

static void
write_all(struct node *node, size_t size)
{
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, bytes, size, 0), 0);
}

static int
name_it(struct node *node, const char *name)
{
    struct vfs_entry entry;
    int result = vfs_link(fs.vfs, node, vfs_root(fs.vfs), name, &entry);

    if (result == 0) {
        ck_assert_ptr_eq(entry.node, node);
        ck_assert_uint_eq(entry.stat.st_nlink, 1);
        vfs_forget(fs.vfs, node, 1);
    }
    return result;
}

static void
expect(const char *path, size_t size)
{
    struct node *node;
    size_t got;

    ck_assert_int_eq(fs_node(&fs, path, &node), 0);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, back, LARGE, 0, &got), 0);
    ck_assert_uint_eq(got, size);
    ck_assert(memcmp(bytes, back, size) == 0);
    vfs_forget(fs.vfs, node, 1);
}

static size_t
count_keys(struct lsmkv_keyspace *keyspace)
{
    struct lsmkv_iter_options options = {.snapshot = NULL};
    struct lsmkv_iter *iter;
    size_t count = 0;

    ck_assert_int_eq(lsmkv_iter_new(vfs_store(fs.vfs)->db, keyspace, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    lsmkv_iter_free(iter);
    return count;
}

static void
sweep_all(void)
{
    bool more = true;

    ck_assert_int_eq(vfs_sync(fs.vfs), 0); /* or times to be put hold on to nodes */
    while (more)
        ck_assert_int_eq(sweep_step(vfs_store(fs.vfs), &more), 0);
}

START_TEST(test_nothing_is_left_of_one_that_got_no_name)
{
    struct node *small = nameless(0), *large = nameless(0);

    write_all(small, 100);
    write_all(large, LARGE);
    ck_assert_uint_gt(count_keys(vfs_store(fs.vfs)->chunks), 0);
    vfs_forget(fs.vfs, small, 1);
    vfs_forget(fs.vfs, large, 1);
    sweep_all();
    ck_assert_uint_eq(count_keys(vfs_store(fs.vfs)->chunks), 0);
    ck_assert_uint_eq(count_keys(vfs_store(fs.vfs)->inodes), 0);
    fs_expect_names(&fs, "", "");
}
END_TEST

START_TEST(test_a_crash_takes_those_without_a_name_and_no_other)
{
    struct node *gone = nameless(0), *named = nameless(0);

    write_all(gone, LARGE);
    write_all(named, LARGE);
    ck_assert_int_eq(name_it(named, "named"), 0);
    vfs_forget(fs.vfs, named, 1);
    vfs_forget(fs.vfs, gone, 1);
    fs_kill(&fs);
    sweep_all();
    fs_expect_names(&fs, "", "named ");
    expect("named", LARGE);
    ck_assert_int_eq(fs_unlink(&fs, "named"), 0);
    sweep_all();
    ck_assert_uint_eq(count_keys(vfs_store(fs.vfs)->chunks), 0);
    ck_assert_uint_eq(count_keys(vfs_store(fs.vfs)->inodes), 0);
}
END_TEST

START_TEST(test_a_named_one_is_as_any_other)
{
    static const size_t sizes[] = {0, 1, 4096, 4097, LARGE};
    char value[3000] = "value";

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct node *node = nameless(0);
        size_t length;

        if (sizes[i] > 0)
            write_all(node, sizes[i]);
        ck_assert_int_eq(
            vfs_setxattr(fs.vfs, &fs.caller, node, "user.long", value, sizeof(value), 0),
            0);
        ck_assert_int_eq(name_it(node, "f"), 0);
        expect("f", sizes[i]);
        /* The sweep has no claim on its chunks any more. */
        sweep_all();
        expect("f", sizes[i]);
        ck_assert_int_eq(fs_rename(&fs, "f", "g", 0), 0);
        ck_assert_int_eq(fs_link(&fs, "g", "h"), 0);
        vfs_forget(fs.vfs, node, 1);
        fs_reopen(&fs);
        sweep_all();
        expect("g", sizes[i]);
        ck_assert_int_eq(fs_node(&fs, "h", &node), 0);
        ck_assert_int_eq(
            vfs_getxattr(fs.vfs, node, "user.long", back, sizeof(back), &length), 0);
        ck_assert_uint_eq(length, sizeof(value));
        vfs_forget(fs.vfs, node, 1);
        ck_assert_int_eq(fs_unlink(&fs, "g"), 0);
        ck_assert_int_eq(fs_unlink(&fs, "h"), 0);
        sweep_all();
        ck_assert_uint_eq(count_keys(vfs_store(fs.vfs)->chunks), 0);
        ck_assert_uint_eq(count_keys(vfs_store(fs.vfs)->inodes), 0);
    }
}
END_TEST

START_TEST(test_who_may_not_be_named_is_not)
{
    struct node *excluded = nameless(O_EXCL), *named = nameless(0), *removed;

    ck_assert_int_eq(name_it(excluded, "e"), -ENOENT);
    ck_assert_int_eq(fs_put(&fs, "there", ""), 0);
    ck_assert_int_eq(name_it(named, "there"), -EEXIST);
    ck_assert_int_eq(name_it(named, "n"), 0);
    ck_assert_int_eq(fs_node(&fs, "there", &removed), 0);
    ck_assert_int_eq(fs_unlink(&fs, "there"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "n"), 0);
    ck_assert_int_eq(name_it(named, "again"), -ENOENT);
    ck_assert_int_eq(name_it(removed, "again"), -ENOENT);
    fs_expect_names(&fs, "", "");
    vfs_forget(fs.vfs, excluded, 1);
    vfs_forget(fs.vfs, named, 1);
    vfs_forget(fs.vfs, removed, 1);
}
END_TEST

/* A write that fails leaves the file without its name, and as it was. */
START_TEST(test_a_name_that_cannot_be_written_is_not_there)
{
    struct node *node = nameless(0);
    unsigned tries = 0;
    size_t got;

    write_all(node, 1000);
    mem_env_set_capacity(fs.env, mem_env_used(fs.env) + fs.engine.space_reserve / 2);
    while (fs_write(&fs, "other", bytes, LARGE, NULL) == 0)
        ck_assert_uint_lt(tries++, 100); /* the engine looks now and then */
    ck_assert_int_eq(name_it(node, "n"), -ENOSPC);
    mem_env_set_capacity(fs.env, UINT64_MAX);
    fs_expect_names(&fs, "", "other ");
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, back, LARGE, 0, &got), 0);
    ck_assert(got == 1000 && memcmp(bytes, back, got) == 0);
    ck_assert_int_eq(name_it(node, "n"), 0);
    vfs_forget(fs.vfs, node, 1);
    expect("n", 1000);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_nameless");
    TCase *tcase = tcase_create("nameless");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_nothing_is_left_of_one_that_got_no_name);
    tcase_add_test(tcase, test_a_crash_takes_those_without_a_name_and_no_other);
    tcase_add_test(tcase, test_a_named_one_is_as_any_other);
    tcase_add_test(tcase, test_who_may_not_be_named_is_not);
    tcase_add_test(tcase, test_a_name_that_cannot_be_written_is_not_there);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
