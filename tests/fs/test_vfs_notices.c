/*
 * test_vfs_notices.c - above the limit of nodes the kernel is asked to forget: which files, and
 * how often.
 */
#include <stdatomic.h>
#include <time.h>

#include "vfs_fixture.h"

#define LIMIT 10
#define FILES 50

static struct vfs_fixture fs;
static struct node *nodes[FILES];
static atomic_uint asked[FILES], asked_all;

/* A kernel that has reasons not to forget anything. */
static void
invalidate(void *context, struct node *node, const char *name, size_t size)
{
    unsigned i;

    (void)context;
    (void)node;
    if (name && size > 1 && sscanf(name, "f%u", &i) == 1 && i < FILES) {
        asked[i]++;
        asked_all++;
    }
}

static void
setup(void)
{
    struct vfs_notify notify = {invalidate, NULL};
    char name[16];

    fs_init(&fs);
    fs.options.node_limit = LIMIT;
    fs_reopen(&fs);
    ck_assert_int_eq(vfs_start_notices(fs.vfs, &notify), 0);
    ck_assert_int_eq(fs_write(&fs, "f0", "", 0, &nodes[0]), 0);
    vfs_opened(fs.vfs, nodes[0]);
    for (unsigned i = 1; i < FILES; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        ck_assert_int_eq(fs_write(&fs, name, "", 0, &nodes[i]), 0);
    }
}

static void
teardown(void)
{
    for (unsigned i = 0; i < FILES; i++)
        vfs_forget(fs.vfs, nodes[i], 1);
    fs_fini(&fs);
}

static void
pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static void
await(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        for (unsigned waited = 0; asked[i] == 0; waited++) {
            ck_assert_uint_lt(waited, 2000);
            pause_ms(5);
        }
}

/* The oldest were asked for whether or not they were open; a running program's file then was
 * "(deleted)". */
START_TEST(test_open_files_are_not_asked_for)
{
    await(1, FILES);
    ck_assert_uint_eq(asked[0], 0);
    vfs_released(fs.vfs, nodes[0]);
    await(0, 1);
}
END_TEST

/* A thousand times a second, and the thread was busy with nothing else. */
START_TEST(test_in_vain_it_is_asked_less_and_less)
{
    await(1, FILES);
    pause_ms(1000);
    ck_assert_uint_lt(asked_all, 30 * 256); /* thirty times, each as many as at once */
    vfs_released(fs.vfs, nodes[0]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_notices");
    TCase *tcase = tcase_create("notices");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_open_files_are_not_asked_for);
    tcase_add_test(tcase, test_in_vain_it_is_asked_less_and_less);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
