/*
 * test_vfs_snapshots.c - .snapshots: taking, listing, reading, renaming and dropping.
 */
#include <sys/xattr.h>

#include <time.h>

#include "vfs_fixture.h"

static struct vfs_fixture fs;

static void
setup(void)
{
    fs_init(&fs);
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "before"), 0);
    ck_assert_int_eq(fs_link(&fs, "d/f", "d/g"), 0);
}

static void
teardown(void)
{
    fs_fini(&fs);
}

START_TEST(test_snapshot_stays_as_it_was)
{
    struct stat live, then;

    ck_assert_int_eq(fs_stat(&fs, "d/f", &live), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "after"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "d/g"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/new", ""), 0);
    ck_assert_int_eq(fs_rename(&fs, "d", "e", 0), 0);
    fs_expect(&fs, ".snapshots/s/d/f", "before");
    fs_expect_names(&fs, ".snapshots/s/d", "f g ");
    ck_assert_int_eq(fs_stat(&fs, ".snapshots/s/d/f", &then), 0);
    ck_assert_uint_ne(then.st_ino, live.st_ino);
    ck_assert_uint_eq(then.st_ino, fs_ino(&fs, ".snapshots/s/d/g"));
    ck_assert_uint_eq(then.st_nlink, 2);
    ck_assert_int_eq(then.st_mtim.tv_nsec, live.st_mtim.tv_nsec);
    ck_assert_int_eq(then.st_ctim.tv_nsec, live.st_ctim.tv_nsec);
    fs_kill(&fs);
    fs_expect(&fs, ".snapshots/s/d/f", "before");
    ck_assert_uint_eq(fs_ino(&fs, ".snapshots/s/d/f"), then.st_ino);
    fs_expect(&fs, "e/f", "after");
}
END_TEST

START_TEST(test_inside_nothing_can_be_written)
{
    struct stat st = {.st_mode = 0600};
    struct node *node;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(fs_put(&fs, ".snapshots/s/x", ""), -EROFS);
    ck_assert_int_eq(fs_put(&fs, ".snapshots/s/d/f", "x"), -EROFS);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s/x"), -EROFS);
    ck_assert_int_eq(fs_unlink(&fs, ".snapshots/s/d/f"), -EROFS);
    ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/s/d"), -EROFS);
    ck_assert_int_eq(fs_rename(&fs, ".snapshots/s/d/f", ".snapshots/s/d/h", 0), -EROFS);
    ck_assert_int_eq(fs_link(&fs, ".snapshots/s/d/f", ".snapshots/s/d/h"), -EROFS);
    ck_assert_int_eq(fs_link(&fs, ".snapshots/s/d/f", "h"), -EXDEV);
    ck_assert_int_eq(fs_rename(&fs, ".snapshots/s/d/f", "h", 0), -EXDEV);
    ck_assert_int_eq(fs_rename(&fs, "d/f", ".snapshots/s/d/h", 0), -EXDEV);
    ck_assert_int_eq(fs_rename(&fs, "d", ".snapshots/t", 0), -EXDEV);
    ck_assert_int_eq(fs_node(&fs, ".snapshots/s/d/f", &node), 0);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_MODE, &st), -EROFS);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "user.x", "1", 1, 0), -EROFS);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_RDWR), -EROFS);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_RDONLY), 0);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

START_TEST(test_directory_of_snapshots_obeys)
{
    struct stat st = {.st_mode = 0700};
    struct node *node;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/a"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/b"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/a"), -EEXIST);
    fs_expect_names(&fs, ".snapshots", "a/ b/ ");
    ck_assert_int_eq(fs_rename(&fs, ".snapshots/a", ".snapshots/b", 0), -EEXIST);
    ck_assert_int_eq(fs_rename(&fs, ".snapshots/a", ".snapshots/c", 0), 0);
    fs_expect_names(&fs, ".snapshots", "c/ b/ ");
    fs_expect(&fs, ".snapshots/c/d/f", "before");
    ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/a"), -ENOENT);
    ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/b"), 0);
    fs_expect_names(&fs, ".snapshots", "c/ ");
    ck_assert_int_eq(fs_rmdir(&fs, ".snapshots"), -EPERM);
    ck_assert_int_eq(fs_put(&fs, ".snapshots/file", ""), -EPERM);
    ck_assert_int_eq(fs_unlink(&fs, ".snapshots/c"), -EISDIR);
    ck_assert_int_eq(fs_node(&fs, ".snapshots", &node), 0);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_MODE, &st), -EPERM);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    ck_assert_uint_eq(st.st_mode, S_IFDIR | 0755);
    ck_assert_uint_eq(st.st_nlink, 3);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

static int64_t
modified(const char *path)
{
    struct stat st;

    ck_assert_int_eq(fs_stat(&fs, path, &st), 0);
    ck_assert_int_eq(st.st_mtim.tv_nsec, st.st_ctim.tv_nsec);
    return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* They were the newest snapshot's: they went back when it was dropped, and a renaming did not
 * change them. */
START_TEST(test_times_of_the_directory_never_go_back)
{
    struct timespec tick = {0, 20000000}; /* the clock is coarse */
    int64_t made, renamed, dropped;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/a"), 0);
    nanosleep(&tick, NULL);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/b"), 0);
    made = modified(".snapshots");
    nanosleep(&tick, NULL);
    ck_assert_int_eq(fs_rename(&fs, ".snapshots/a", ".snapshots/c", 0), 0);
    renamed = modified(".snapshots");
    ck_assert_int_gt(renamed, made);
    nanosleep(&tick, NULL);
    ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/b"), 0);
    dropped = modified(".snapshots");
    ck_assert_int_gt(dropped, renamed);
    fs_reopen(&fs);
    ck_assert_int_eq(modified(".snapshots"), dropped);
}
END_TEST

/* A program that makes a backup of each, and goes by paths and inode numbers, finds the same file. */
START_TEST(test_snapshots_called_backup_have_the_same_numbers)
{
    const char *name = ".snapshots/.backup", *file = ".snapshots/.backup/d/f";
    uint64_t directory, number, other;
    struct stat root, then;

    ck_assert_int_eq(fs_stat(&fs, "", &root), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/other"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, name), 0);
    directory = fs_ino(&fs, name);
    number = fs_ino(&fs, file);
    other = fs_ino(&fs, ".snapshots/other/d/f");
    ck_assert_uint_ne(number, fs_ino(&fs, "d/f"));
    ck_assert_uint_ne(number, other);
    ck_assert_int_eq(fs_rmdir(&fs, name), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "after"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, name), 0);
    fs_expect(&fs, file, "after");
    ck_assert_uint_eq(fs_ino(&fs, name), directory);
    ck_assert_uint_eq(fs_ino(&fs, file), number);
    ck_assert_int_eq(fs_stat(&fs, name, &then), 0);
    ck_assert_int_eq(then.st_ctim.tv_sec, root.st_ctim.tv_sec);
    ck_assert_int_eq(then.st_ctim.tv_nsec, root.st_ctim.tv_nsec);
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_ino(&fs, file), number);
    /* With another name it is another one, and the other way round. */
    ck_assert_int_eq(fs_rename(&fs, name, ".snapshots/kept", 0), 0);
    ck_assert_uint_ne(fs_ino(&fs, ".snapshots/kept/d/f"), number);
    ck_assert_int_eq(fs_rename(&fs, ".snapshots/other", name, 0), 0);
    fs_expect(&fs, file, "before");
    ck_assert_uint_eq(fs_ino(&fs, file), number);
    /* At a mount point of its own, too. */
    fs.options.snapshot = ".backup";
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_ino(&fs, "d/f"), number);
    fs_expect_names(&fs, "d", "f g ");
    fs.options.snapshot = NULL;
    fs_reopen(&fs);
}
END_TEST

START_TEST(test_dropped_snapshot_is_readable_to_those_inside)
{
    struct node *node;
    char bytes[16];
    size_t got;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(fs_node(&fs, ".snapshots/s/d/f", &node), 0);
    ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "after"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    fs_expect(&fs, ".snapshots/s/d/f", "after");
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_uint_eq(got, 6);
    ck_assert_int_eq(memcmp(bytes, "before", 6), 0);
    vfs_forget(fs.vfs, node, 1);
    fs_expect(&fs, ".snapshots/s/d/f", "after");
}
END_TEST

START_TEST(test_snapshot_sees_deferred_times)
{
    struct stat live, then;

    ck_assert_int_eq(fs_put(&fs, "d/new", ""), 0);
    ck_assert_int_eq(fs_stat(&fs, "d", &live), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(fs_stat(&fs, ".snapshots/s/d", &then), 0);
    ck_assert_int_eq(live.st_mtim.tv_nsec, then.st_mtim.tv_nsec);
    ck_assert_int_eq(live.st_mtim.tv_sec, then.st_mtim.tv_sec);
}
END_TEST

START_TEST(test_mounted_snapshot_has_the_numbers_of_the_live_tree)
{
    uint64_t ino = fs_ino(&fs, "d/f");
    struct node *node;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "d/f"), 0);
    fs_close(&fs);
    fs.options.snapshot = "s";
    fs_open(&fs);
    ck_assert_uint_eq(fs_ino(&fs, "d/f"), ino);
    ck_assert_uint_eq(fs_ino(&fs, ""), 1);
    fs_expect(&fs, "d/f", "before");
    ck_assert_int_eq(fs_put(&fs, "x", ""), -EROFS);
    ck_assert_int_eq(fs_node(&fs, ".snapshots", &node), -ENOENT);
    fs_close(&fs);
    fs.options.snapshot = "none";
    {
        char why[256] = "";

        ck_assert_int_eq(vfs_open(&fs.options, &fs.vfs, why, sizeof(why)), -ENOENT);
        ck_assert(strstr(why, "none") != NULL);
    }
    fs.options.snapshot = NULL;
    fs_open(&fs);
}
END_TEST

START_TEST(test_numbers_of_two_snapshots_differ_and_last)
{
    uint64_t a, b;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/a"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/b"), 0);
    a = fs_ino(&fs, ".snapshots/a/d/f");
    b = fs_ino(&fs, ".snapshots/b/d/f");
    ck_assert_uint_ne(a, b);
    ck_assert(a >> 63 == 1 && b >> 63 == 1);
    ck_assert_int_eq(fs_rename(&fs, ".snapshots/a", ".snapshots/c", 0), 0);
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_ino(&fs, ".snapshots/c/d/f"), a);
}
END_TEST

START_TEST(test_extended_attributes_are_kept_in_snapshots)
{
    char big[6000], value[6000];
    struct node *node;
    size_t length;

    memset(big, 'x', sizeof(big));
    ck_assert_int_eq(fs_node(&fs, "d/f", &node), 0);
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.small", "1", 1, XATTR_CREATE), 0);
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.small", "1", 1, XATTR_CREATE),
        -EEXIST);
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.none", "1", 1, XATTR_REPLACE),
        -ENODATA);
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.big", big, sizeof(big), 0), 0);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "wrong.x", "1", 1, 0),
                     -EOPNOTSUPP);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(vfs_removexattr(fs.vfs, node, "user.big"), 0);
    ck_assert_int_eq(vfs_removexattr(fs.vfs, node, "user.big"), -ENODATA);
    ck_assert_int_eq(vfs_removexattr(fs.vfs, node, "user.small"), 0);
    vfs_forget(fs.vfs, node, 1);
    ck_assert_int_eq(fs_node(&fs, ".snapshots/s/d/f", &node), 0);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "user.big", value, 10, &length), -ERANGE);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "user.big", value, 0, &length), 0);
    ck_assert_uint_eq(length, sizeof(big));
    ck_assert_int_eq(
        vfs_getxattr(fs.vfs, node, "user.big", value, sizeof(value), &length), 0);
    ck_assert_int_eq(memcmp(value, big, sizeof(big)), 0);
    ck_assert_int_eq(
        vfs_listxattr(fs.vfs, &fs.caller, node, value, sizeof(value), &length), 0);
    ck_assert_uint_eq(length, sizeof("user.small") + sizeof("user.big"));
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_snapshots");
    TCase *tcase = tcase_create("snapshots");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_snapshot_stays_as_it_was);
    tcase_add_test(tcase, test_inside_nothing_can_be_written);
    tcase_add_test(tcase, test_directory_of_snapshots_obeys);
    tcase_add_test(tcase, test_times_of_the_directory_never_go_back);
    tcase_add_test(tcase, test_dropped_snapshot_is_readable_to_those_inside);
    tcase_add_test(tcase, test_snapshot_sees_deferred_times);
    tcase_add_test(tcase, test_mounted_snapshot_has_the_numbers_of_the_live_tree);
    tcase_add_test(tcase, test_numbers_of_two_snapshots_differ_and_last);
    tcase_add_test(tcase, test_snapshots_called_backup_have_the_same_numbers);
    tcase_add_test(tcase, test_extended_attributes_are_kept_in_snapshots);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
