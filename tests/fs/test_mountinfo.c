/* test_mountinfo.c - paths made absolute, and what is mounted where. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mountinfo.h"
#include "support/suite.h"

static char folder[PATH_MAX];

static void
setup(void)
{
    char made[] = "/tmp/test_mountinfo.XXXXXX";

    ck_assert_ptr_nonnull(mkdtemp(made));
    ck_assert_ptr_nonnull(realpath(made, folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(mkdir("there", 0755), 0);
    ck_assert_int_eq(symlink("there", "link"), 0);
    ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
}

static void
teardown(void)
{
    unlink("link");
    unlink("dangling");
    rmdir("there");
    rmdir(folder);
}

/* `path` becomes `folder` and `rest`. */
static void
expect(const char *path, const char *rest)
{
    char absolute[PATH_MAX], wanted[2 * PATH_MAX];

    snprintf(wanted, sizeof(wanted), "%s%s", folder, rest);
    ck_assert_msg(mountinfo_absolute(path, absolute) == 0, "%s", path);
    ck_assert_str_eq(absolute, wanted);
}

START_TEST(test_a_last_component_need_not_exist)
{
    expect("there", "/there");
    expect("there/", "/there");
    expect("there//new///", "/there/new");
    expect("new", "/new");
    expect("./new", "/new");
    expect("there/../new", "/new");
    expect(".", "");
    expect("there/..", "");
}
END_TEST

START_TEST(test_symbolic_links_are_followed)
{
    char absolute[PATH_MAX];

    expect("link", "/there");
    expect("link/new", "/there/new");
    ck_assert_int_eq(mountinfo_absolute("dangling", absolute), -ENOENT);
}
END_TEST

START_TEST(test_what_cannot_be_made_absolute)
{
    char absolute[PATH_MAX], *name = calloc(1, 2 * PATH_MAX);

    ck_assert_ptr_nonnull(name);
    ck_assert_int_eq(mountinfo_absolute("", absolute), -ENOENT);
    ck_assert_int_eq(mountinfo_absolute("absent/below", absolute), -ENOENT);
    memset(name, 'n', PATH_MAX);
    ck_assert_int_eq(mountinfo_absolute(name, absolute), -ENAMETOOLONG);
    /* Short as it is, too long with what stands before it. */
    name[PATH_MAX - 3] = '\0';
    ck_assert_int_eq(mountinfo_absolute(name, absolute), -ENAMETOOLONG);
    free(name);
}
END_TEST

START_TEST(test_the_root_and_what_is_below_it)
{
    char absolute[PATH_MAX];

    ck_assert_int_eq(mountinfo_absolute("/", absolute), 0);
    ck_assert_str_eq(absolute, "/");
    ck_assert_int_eq(mountinfo_absolute("//new", absolute), 0);
    ck_assert_str_eq(absolute, "/new");
}
END_TEST

START_TEST(test_mounts_are_found_by_their_point)
{
    struct mountinfo *info = malloc(sizeof(*info));

    ck_assert_ptr_nonnull(info);
    ck_assert_int_eq(mountinfo_find(0, "/proc", info), 0);
    ck_assert_str_eq(info->type, "proc");
    ck_assert_str_eq(info->point, "/proc");
    ck_assert_str_eq(info->root, "/");
    ck_assert_int_eq(mountinfo_find(getpid(), "/proc", info), 0);
    char device[sizeof(info->device)];
    stpcpy(device, info->device);
    ck_assert_int_eq(mountinfo_find_device(device, "proc", info), 0);
    ck_assert_str_eq(info->device, device);
    /* Of a mount that went, another had the number: it passed for still mounted elsewhere. */
    ck_assert_int_eq(mountinfo_find_device(device, "/a/store", info), -ENOENT);
    ck_assert_int_eq(mountinfo_find_device("0:0", "proc", info), -ENOENT);
    ck_assert_int_eq(mountinfo_find(0, folder, info), -ENOENT);
    free(info);
}
END_TEST

/* The daemon killed, its first thread is dead at once, but another may be in the kernel, syncing,
 * and keep the store's lock until it returns.  Linux then says EINVAL of its mounts, which passed
 * for a holder that goes on: mounting failed, as "in use", instead of waiting. */
START_TEST(test_a_process_that_is_ending_has_no_mounts)
{
    struct mountinfo info;
    siginfo_t ended;
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(mountinfo_find(child, "/proc", &info), -ENOENT);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(mountinfo_find(child, "/proc", &info), -ENOENT);
}
END_TEST

struct seen {
    unsigned count, enough;
};

static bool
count_mounts(void *context, const struct mountinfo *info)
{
    struct seen *seen = context;

    ck_assert_int_eq(info->point[0], '/');
    /* The file system repeats what begins a mount's own options. */
    ck_assert(strncmp(info->options, "rw", 2) == 0 ||
              strncmp(info->options, "ro", 2) == 0);
    ck_assert_ptr_null(strstr(info->options, ",rw,"));
    return ++seen->count < seen->enough;
}

START_TEST(test_mounts_are_told_until_it_is_enough)
{
    struct seen all = {0, UINT_MAX}, first = {0, 1};

    ck_assert_int_eq(mountinfo_each(0, count_mounts, &all), 0);
    ck_assert_uint_gt(all.count, 1);
    ck_assert_int_eq(mountinfo_each(0, count_mounts, &first), 0);
    ck_assert_uint_eq(first.count, 1);
}
END_TEST

START_TEST(test_nothing_is_unmounted_where_nothing_is)
{
    ck_assert_int_eq(mountinfo_unmount(folder, false), -EINVAL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("mountinfo");
    TCase *tests = tcase_create("mountinfo");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_last_component_need_not_exist);
    tcase_add_test(tests, test_symbolic_links_are_followed);
    tcase_add_test(tests, test_what_cannot_be_made_absolute);
    tcase_add_test(tests, test_the_root_and_what_is_below_it);
    tcase_add_test(tests, test_mounts_are_found_by_their_point);
    tcase_add_test(tests, test_a_process_that_is_ending_has_no_mounts);
    tcase_add_test(tests, test_mounts_are_told_until_it_is_enough);
    tcase_add_test(tests, test_nothing_is_unmounted_where_nothing_is);
    suite_add_tcase(suite, tests);

    return run_suite(suite);
}
