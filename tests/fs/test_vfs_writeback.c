/*
 * test_vfs_writeback.c - with the kernel's writeback cache: whose times and size of a file count, and
 * what the kernel's own reads and writes change.
 */
#include <linux/falloc.h>
#include <sys/xattr.h>

#include "vfs_fixture.h"

static struct vfs_fixture fs;
static struct node *node;
static const struct vfs_caller kernel = {.uid = 1, .writeback = true};

static void
find(void)
{
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
}

static void
setup(void)
{
    fs_init(&fs);
    fs_close(&fs);
    fs.options.writeback = true;
    fs_open(&fs);
    ck_assert_int_eq(fs_write(&fs, "f", "contents", 8, &node), 0);
}

static void
teardown(void)
{
    vfs_forget(fs.vfs, node, 1);
    fs_fini(&fs);
}

static void
set(struct stat change, unsigned which)
{
    struct stat st;

    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &change, which, &st), 0);
}

static void
kernel_writes(const char *text)
{
    ck_assert_int_eq(vfs_write(fs.vfs, &kernel, node, 0, text, strlen(text), 0), 0);
}

static struct stat
get(void)
{
    struct stat st;

    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    return st;
}

static const struct stat told = {.st_mtim = {1000, 1}, .st_ctim = {2000, 2}};

static void
has_what_was_told(void)
{
    struct stat st = get();

    ck_assert_int_eq(st.st_mtim.tv_sec, 1000);
    ck_assert_int_eq(st.st_mtim.tv_nsec, 1);
    ck_assert_int_eq(st.st_ctim.tv_sec, 2000);
    ck_assert_int_eq(st.st_ctim.tv_nsec, 2);
}

/* The kernel tells the times of a change before or after it writes the contents, and those of a
 * change within one of its ticks not at all: what it told last is what the record comes to say. */
START_TEST(test_times_are_those_that_the_kernel_told)
{
    struct node *from;
    size_t copied;

    ck_assert_int_eq(fs_write(&fs, "from", "copy", 4, &from), 0);
    set(told, VFS_MTIME | VFS_CTIME);
    kernel_writes("later");
    has_what_was_told();
    ck_assert_int_eq(vfs_fallocate(fs.vfs, &fs.caller, node, FALLOC_FL_ZERO_RANGE, 1, 1),
                     0);
    ck_assert_int_eq(vfs_copy(fs.vfs, &fs.caller, from, 0, node, 2, 4, 0, &copied), 0);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_WRONLY | O_TRUNC), 0);
    set((struct stat){.st_size = 5}, VFS_SIZE);
    has_what_was_told();
    vfs_forget(fs.vfs, from, 1);
    vfs_forget(fs.vfs, node, 1);
    fs_reopen(&fs);
    find();
    has_what_was_told();
    set((struct stat){.st_mtim = {3000, 3}, .st_ctim = {3000, 3}}, VFS_MTIME | VFS_CTIME);
    ck_assert_int_eq(get().st_mtim.tv_sec, 3000);
}
END_TEST

/* What it knows since it looked the file up it was not told to us. */
START_TEST(test_times_are_those_that_were_looked_up)
{
    struct stat before;

    set(told, VFS_MTIME | VFS_CTIME);
    vfs_forget(fs.vfs, node, 1);
    fs_reopen(&fs);
    find();
    before = get();
    kernel_writes("more");
    vfs_forget(fs.vfs, node, 1);
    fs_reopen(&fs);
    find();
    ck_assert_int_eq(get().st_mtim.tv_sec, before.st_mtim.tv_sec);
    has_what_was_told();
}
END_TEST

/* Should the daemon die before the kernel tells them, contents are not newer than they look. */
START_TEST(test_contents_that_the_kernel_writes_have_new_times_at_once)
{
    set(told, VFS_MTIME | VFS_CTIME);
    kernel_writes("late");
    fs_kill(&fs);
    find();
    ck_assert_int_gt(get().st_mtim.tv_sec, 3000);
}
END_TEST

/* atime, and mtime of now, are the same moment, the kernel's. */
START_TEST(test_now_is_the_kernels)
{
    set((struct stat){.st_ctim = {4000, 4}}, VFS_ATIME_NOW | VFS_MTIME_NOW | VFS_CTIME);
    ck_assert_int_eq(get().st_atim.tv_sec, 4000);
    ck_assert_int_eq(get().st_mtim.tv_nsec, 4);
}
END_TEST

static bool
is_later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* It reads its clock's ticks, so that what was written after something was made looked older. */
START_TEST(test_what_is_made_has_a_time_that_the_kernel_would_have_given)
{
    struct timespec before, after;

    for (unsigned i = 0; i < 100; i++) {
        clock_gettime(CLOCK_REALTIME_COARSE, &before);
        ck_assert_int_eq(fs_put(&fs, "made", ""), 0);
        clock_gettime(CLOCK_REALTIME_COARSE, &after);
        vfs_forget(fs.vfs, node, 1);
        ck_assert_int_eq(fs_node(&fs, "made", &node), 0);
        ck_assert(!is_later(before, get().st_mtim));
        ck_assert(!is_later(get().st_mtim, after));
        ck_assert(!is_later(get().st_atim, after));
        ck_assert_int_eq(fs_unlink(&fs, "made"), 0);
    }
}
END_TEST

/* It may be ahead of its ticks. */
START_TEST(test_what_is_made_is_not_older_than_what_was_written)
{
    struct stat change, made;

    for (unsigned i = 0; i < 100; i++) {
        clock_gettime(CLOCK_REALTIME, &change.st_ctim);
        change.st_mtim = change.st_ctim;
        set(change, VFS_MTIME | VFS_CTIME);
        ck_assert_int_eq(fs_put(&fs, "made", ""), 0);
        ck_assert_int_eq(fs_stat(&fs, "made", &made), 0);
        ck_assert(!is_later(change.st_mtim, made.st_mtim));
        ck_assert_int_eq(fs_unlink(&fs, "made"), 0);
    }
    change.st_ctim.tv_sec += 1000; /* its clock has been set back since */
    set(change, VFS_MTIME | VFS_CTIME);
    ck_assert_int_eq(fs_put(&fs, "made", ""), 0);
    ck_assert_int_eq(fs_stat(&fs, "made", &made), 0);
    ck_assert_int_lt(made.st_mtim.tv_sec, change.st_ctim.tv_sec - 500);
}
END_TEST

/* Privileges that a file got after it was written stay when the kernel writes it. */
START_TEST(test_what_the_kernel_writes_takes_no_privileges)
{
    static const char name[] = "security.capability";
    size_t length;

    set((struct stat){.st_mode = 06755}, VFS_MODE | VFS_CTIME);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, name, "c", 1, 0), 0);
    kernel_writes("late");
    ck_assert_uint_eq(get().st_mode & 07777, 06755);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, name, NULL, 0, &length), 0);
}
END_TEST

/* The kernel's size may be larger than ours; its offset of an append is right. */
START_TEST(test_appending_goes_where_the_kernel_says)
{
    ck_assert_int_eq(
        vfs_write(fs.vfs, &fs.caller, node, 10, "end", 3, O_WRONLY | O_APPEND), 0);
    ck_assert_int_eq(get().st_size, 13);
}
END_TEST

/* Who may only write has the kernel read the rest of a page. */
START_TEST(test_filling_a_page_is_no_access)
{
    char bytes[8];
    size_t got;

    set((struct stat){.st_atim = {1000, 0}, .st_ctim = {2000, 0}}, VFS_ATIME | VFS_CTIME);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), O_WRONLY, &got), 0);
    ck_assert_int_eq(get().st_atim.tv_sec, 1000);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_int_gt(get().st_atim.tv_sec, 1000);
}
END_TEST

static int
nothing(void *context, struct store *store)
{
    (void)context, (void)store;
    return 0;
}

/* The kernel would keep the size it knows, so it gets another file to look up; a directory stays. */
START_TEST(test_what_changed_by_key_is_another_node)
{
    struct node *old = node, *directory, *again;
    struct stat st;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_node(&fs, "d", &directory), 0);
    ck_assert_int_eq(vfs_alter(fs.vfs, lsmkv_str("f"), nothing, NULL), 0);
    ck_assert_int_eq(vfs_alter(fs.vfs, lsmkv_str("d/new"), nothing, NULL), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, old, &st, NULL), -ESTALE);
    ck_assert_int_eq(vfs_write(fs.vfs, &kernel, old, 0, "late", 4, 0), -ESTALE);
    find();
    ck_assert_ptr_ne(node, old);
    ck_assert_int_eq(get().st_size, 8);
    ck_assert_int_eq(fs_node(&fs, "d", &again), 0);
    ck_assert_ptr_eq(again, directory);
    vfs_forget(fs.vfs, again, 1);
    vfs_forget(fs.vfs, directory, 1);
    vfs_forget(fs.vfs, old, 1);
}
END_TEST

static char asked[16]; /* what the kernel was, in order */

static void
note(char what)
{
    size_t length = strlen(asked);

    ck_assert_uint_lt(length + 1, sizeof(asked));
    asked[length] = what;
}

static void
sync_all(void *context)
{
    (void)context;
    note('s');
}

static void
write_back(void *context, struct node *of, uint64_t offset, uint64_t size)
{
    (void)context;
    ck_assert_ptr_eq(of, node);
    ck_assert_uint_eq(offset, 0);
    ck_assert_uint_eq(size, 0);
    note('w');
}

/* Contents with times of before would look unchanged; those of later with times of now, for ever. */
START_TEST(test_times_are_sent_before_contents_are_waited_for)
{
    const struct vfs_notify notify = {.sync = sync_all, .write_back = write_back};

    ck_assert_int_eq(vfs_start_notices(fs.vfs, &notify), 0);
    ck_assert_int_eq(vfs_write_back(fs.vfs), 0);
    ck_assert_str_eq(asked, "s");
    vfs_opened(fs.vfs, node, O_WRONLY);
    ck_assert_int_eq(vfs_write_back(fs.vfs), 0);
    ck_assert_str_eq(asked, "ssw");
    vfs_released(fs.vfs, node, O_WRONLY);
    vfs_stop_notices(fs.vfs);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_writeback");
    TCase *tcase = tcase_create("vfs_writeback");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_times_are_those_that_the_kernel_told);
    tcase_add_test(tcase, test_times_are_those_that_were_looked_up);
    tcase_add_test(tcase, test_contents_that_the_kernel_writes_have_new_times_at_once);
    tcase_add_test(tcase, test_now_is_the_kernels);
    tcase_add_test(tcase, test_what_is_made_has_a_time_that_the_kernel_would_have_given);
    tcase_add_test(tcase, test_what_is_made_is_not_older_than_what_was_written);
    tcase_add_test(tcase, test_what_the_kernel_writes_takes_no_privileges);
    tcase_add_test(tcase, test_appending_goes_where_the_kernel_says);
    tcase_add_test(tcase, test_filling_a_page_is_no_access);
    tcase_add_test(tcase, test_what_changed_by_key_is_another_node);
    tcase_add_test(tcase, test_times_are_sent_before_contents_are_waited_for);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
