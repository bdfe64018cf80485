/*
 * test_vfs_full.c - a store on a full disk: what must go on, and what is refused.
 *
 * Full is: less free space than the reserve, so that the engine takes removals with little
 * beside them and nothing else.
 */
#include <linux/falloc.h>

#include "store/sweep.h"
#include "support/suite.h"
#include "vfs_fixture.h"

static struct vfs_fixture fs;
static char large[300000];

/* Other files take all but half of the reserve. */
static void
fill_disk(void)
{
    mem_env_set_capacity(fs.env, mem_env_used(fs.env) + (fs.engine.space_reserve / 2));
    fs_reopen(&fs);
    ck_assert_int_eq(fs_put(&fs, "more", "x"), -ENOSPC);
}

static int
allocate(struct node *node, int mode, uint64_t offset, uint64_t length)
{
    return vfs_fallocate(fs.vfs, &fs.caller, node, mode, offset, length);
}

static void
setup(void)
{
    fs_init(&fs);
    memset(large, 'l', sizeof(large) - 1);
    ck_assert_int_eq(fs_put(&fs, "large", large), 0);
    ck_assert_int_eq(fs_put(&fs, "small", "small"), 0);
    ck_assert_int_eq(fs_put(&fs, "gone", "gone"), 0);
}

static void
teardown(void)
{
    fs_fini(&fs);
}

/* The mount that followed a kill noted that others may have written, a lone put: -ENOSPC. */
START_TEST(test_a_killed_full_store_can_be_mounted_again)
{
    fill_disk();
    ck_assert_int_eq(fs_unlink(&fs, "gone"), 0);
    fs_kill(&fs);
    fs_expect(&fs, "small", "small");
    fs_reopen(&fs);
}
END_TEST

/* What was deferred was forgotten with the batch being built, whether or not it was written. */
START_TEST(test_a_refused_change_leaves_the_times_of_its_directory)
{
    struct stat before, after, again;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_stat(&fs, "d", &before), 0);
    do {
        ck_assert_int_eq(fs_put(&fs, "d/f", ""), 0);
        ck_assert_int_eq(fs_unlink(&fs, "d/f"), 0);
        ck_assert_int_eq(fs_stat(&fs, "d", &after), 0);
    } while (after.st_mtim.tv_nsec == before.st_mtim.tv_nsec); /* the clock is coarse */
    mem_env_set_capacity(fs.env, mem_env_used(fs.env) + (fs.engine.space_reserve / 2));
    for (unsigned i = 0; fs_put(&fs, "large", large) == 0; i++)
        ck_assert_uint_lt(i, 100); /* it looks now and then */
    ck_assert_int_eq(fs_mkdir(&fs, "d/sub"), -ENOSPC);
    ck_assert_int_eq(fs_stat(&fs, "d", &again), 0);
    ck_assert_int_eq(again.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    ck_assert_int_eq(again.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}
END_TEST

/* So did the note of having been closed in good order, and `lsmfs umount` failed. */
START_TEST(test_a_full_store_closes_in_good_order)
{
    fill_disk();
    ck_assert_int_eq(fs_unlink(&fs, "gone"), 0);
    ck_assert_int_eq(vfs_close(fs.vfs), 0);
    fs_open(&fs);
}
END_TEST

/* Cutting a file and changing its mode or times failed, although ext4 allows them. */
START_TEST(test_a_full_store_lets_files_be_cut_and_changed)
{
    struct stat st, change = {.st_mode = 0600};
    struct node *node;

    fill_disk();
    ck_assert_int_eq(fs_node(&fs, "large", &node), 0);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &change, VFS_MODE, &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &change,
                                 VFS_ATIME_NOW | VFS_MTIME_NOW, &st),
                     0);
    change.st_size = 131072;
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &change, VFS_SIZE, &st), 0);
    ck_assert_int_eq(st.st_size, 131072);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_WRONLY | O_TRUNC), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    ck_assert_int_eq(st.st_size, 0);
    vfs_forget(fs.vfs, node, 1);
    ck_assert_int_eq(fs_node(&fs, "small", &node), 0);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_WRONLY | O_TRUNC), 0);
    vfs_forget(fs.vfs, node, 1);
    fs_expect(&fs, "small", "");
}
END_TEST

/* It gave any size, and the writes that counted on it failed. */
START_TEST(test_no_more_is_allocated_than_is_free)
{
    const int keep = FALLOC_FL_KEEP_SIZE;
    struct stat st;
    struct node *node;

    mem_env_set_capacity(fs.env, mem_env_used(fs.env) + (64 << 20));
    ck_assert_int_eq(fs_node(&fs, "large", &node), 0);
    ck_assert_int_eq(allocate(node, 0, 0, 1 << 30), -ENOSPC);
    ck_assert_int_eq(allocate(node, keep, 0, 1 << 30), -ENOSPC);
    ck_assert_int_eq(allocate(node, FALLOC_FL_ZERO_RANGE, 0, 1 << 30), -ENOSPC);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    ck_assert_int_eq(st.st_size, sizeof(large) - 1);
    /* What needs no space, or less than that, is done. */
    ck_assert_int_eq(allocate(node, FALLOC_FL_PUNCH_HOLE | keep, 1 << 20, 1 << 30), 0);
    ck_assert_int_eq(allocate(node, 0, 0, 32 << 20), 0);
    mem_env_set_capacity(fs.env, mem_env_used(fs.env) + fs.engine.space_reserve / 2);
    ck_assert_int_eq(allocate(node, 0, 0, sizeof(large) - 1), 0);
    ck_assert_int_eq(allocate(node, keep, 0, 1 << 20), -ENOSPC);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

/* A snapshot first puts the deferred times, which failed. */
START_TEST(test_a_full_store_takes_snapshots)
{
    fill_disk();
    ck_assert_int_eq(fs_unlink(&fs, "gone"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    fs_expect(&fs, ".snapshots/s/small", "small");
}
END_TEST

static bool
has_chunks(void)
{
    struct lsmkv_iter_options options = {.snapshot = NULL};
    struct lsmkv_iter *iter;
    bool has;

    ck_assert_int_eq(
        lsmkv_iter_new(vfs_store(fs.vfs)->db, vfs_store(fs.vfs)->chunks, &options, &iter),
        0);
    lsmkv_iter_first(iter);
    has = lsmkv_iter_valid(iter);
    lsmkv_iter_free(iter);
    return has;
}

/* Its access time, yet to be put, kept it from the sweep for up to a second: what was made until then
 * was refused. */
START_TEST(test_who_waits_for_space_gets_that_of_what_was_read_and_removed)
{
    struct node *node;
    bool more = true;
    size_t got;
    char byte;

    fs.options.store.commit_ms = 1000000;
    fs_reopen(&fs);
    ck_assert_int_eq(fs_node(&fs, "large", &node), 0);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, &byte, 1, 0, &got), 0);
    ck_assert_int_eq(fs_unlink(&fs, "large"), 0);
    vfs_forget(fs.vfs, node, 1);
    ck_assert(has_chunks());
    ck_assert(vfs_wait_for_space(fs.vfs));
    while (more)
        ck_assert_int_eq(sweep_step(vfs_store(fs.vfs), &more), 0);
    ck_assert(!has_chunks());
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_full");
    TCase *tcase = tcase_create("full");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_refused_change_leaves_the_times_of_its_directory);
    tcase_add_test(tcase, test_a_killed_full_store_can_be_mounted_again);
    tcase_add_test(tcase, test_a_full_store_closes_in_good_order);
    tcase_add_test(tcase, test_a_full_store_lets_files_be_cut_and_changed);
    tcase_add_test(tcase, test_no_more_is_allocated_than_is_free);
    tcase_add_test(tcase, test_a_full_store_takes_snapshots);
    tcase_add_test(tcase,
                   test_who_waits_for_space_gets_that_of_what_was_read_and_removed);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
