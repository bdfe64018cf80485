/*
 * test_vfs_threads.c - many threads at once, for the sanitizers and for what must hold anyhow:
 * nobody sees half a rename, no write goes to an old path, nothing is left behind.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "vfs_fixture.h"

#define THREADS 4
#define ROUNDS  300
#define FILES   8

static struct vfs_fixture fs;
static atomic_bool stop;

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

static void
run(unsigned threads, void *(*work)(void *number))
{
    pthread_t ids[THREADS];

    for (uintptr_t i = 0; i < threads; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, work, (void *)i), 0);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
}

/* ---- a directory that swings between two names ---- */

static void *
swing(void *number)
{
    (void)number;
    for (unsigned i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(fs_rename(&fs, "here", "there", 0), 0);
        ck_assert_int_eq(fs_rename(&fs, "there", "here", 0), 0);
    }
    stop = true;
    return NULL;
}

static void *
write_below(void *number)
{
    uint64_t count = 0, back;
    struct node *node;
    char path[32];
    size_t got;

    snprintf(path, sizeof(path), "here/f%u", (unsigned)(uintptr_t)number);
    while (fs_node(&fs, path, &node) < 0)
        continue;
    while (!stop) {
        count++;
        ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, &count, sizeof(count), 0),
                         0);
        ck_assert_int_eq(vfs_read(fs.vfs, node, 0, &back, sizeof(back), 0, &got), 0);
        ck_assert_uint_eq(back, count);
    }
    vfs_forget(fs.vfs, node, 1);
    return NULL;
}

static void *
swing_or_write(void *number)
{
    return number ? write_below(number) : swing(number);
}

START_TEST(test_writes_follow_a_directory_being_renamed)
{
    char path[32];

    ck_assert_int_eq(fs_mkdir(&fs, "here"), 0);
    for (unsigned i = 1; i < THREADS; i++) {
        snprintf(path, sizeof(path), "here/f%u", i);
        ck_assert_int_eq(fs_put(&fs, path, "12345678"), 0);
    }
    run(THREADS, swing_or_write);
    fs_expect_names(&fs, "", "here/ ");
    fs_expect_names(&fs, "here", "f1 f2 f3 ");
}
END_TEST

/* ---- the same few names made, linked, moved and removed by all ---- */

static void
do_something(struct random *dice)
{
    static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    char a[32], b[32], bytes[64];
    struct stat st;
    int result = 0;

    snprintf(a, sizeof(a), "d%u/n%u", (unsigned)random_below(dice, 2),
             (unsigned)random_below(dice, FILES));
    snprintf(b, sizeof(b), "d%u/n%u", (unsigned)random_below(dice, 2),
             (unsigned)random_below(dice, FILES));
    switch (random_below(dice, 10)) {
    case 0:
    case 1:
        result = fs_put(&fs, a, "some text");
        break;
    case 2:
        result = fs_mkdir(&fs, a);
        break;
    case 3:
        result = fs_link(&fs, a, b);
        break;
    case 4:
        result = fs_unlink(&fs, a);
        break;
    case 5:
        result = fs_rmdir(&fs, a);
        break;
    case 6:
        result = fs_rename(&fs, a, b, flags[random_below(dice, 3)]);
        break;
    case 7:
        result = fs_stat(&fs, a, &st);
        break;
    case 8:
        result = fs_read(&fs, a, bytes, sizeof(bytes));
        break;
    default: {
        struct fs_names *names = malloc(sizeof(*names));

        fs_list_by(&fs, random_coin(dice) ? "d0" : "d1", random_coin(dice), 3, names);
        free(names);
    }
    }
    /* Whatever came in between, these are the answers there are. */
    ck_assert_msg(result >= 0 || result == -ENOENT || result == -EEXIST ||
                      result == -EISDIR || result == -ENOTDIR || result == -ENOTEMPTY ||
                      result == -EPERM || result == -EINVAL || result == -ESTALE,
                  "%s", strerror(-result));
}

static void *
do_many(void *number)
{
    struct random dice = random_of((uintptr_t)number + 1);

    for (unsigned i = 0; i < ROUNDS * 4; i++)
        do_something(&dice);
    return NULL;
}

START_TEST(test_threads_on_the_same_names_leave_a_sound_tree)
{
    ck_assert_int_eq(fs_mkdir(&fs, "d0"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "d1"), 0);
    run(THREADS, do_many);
    for (unsigned d = 0; d < 2; d++) {
        char path[32];

        for (unsigned n = 0; n < FILES; n++) {
            struct stat st;

            snprintf(path, sizeof(path), "d%u/n%u", d, n);
            if (fs_stat(&fs, path, &st) < 0)
                continue;
            ck_assert_int_eq(fs_remove(&fs, path, S_ISDIR(st.st_mode)), 0);
        }
        snprintf(path, sizeof(path), "d%u", d);
        ck_assert_uint_eq(fs_nlink(&fs, path), 2);
        fs_expect_names(&fs, path, "");
    }
    fs_reopen(&fs);
    ck_assert_int_eq(fs_rmdir(&fs, "d0"), 0);
    ck_assert_int_eq(fs_rmdir(&fs, "d1"), 0);
}
END_TEST

/* ---- names of one file ---- */

static void *
link_and_unlink(void *number)
{
    struct stat st;
    char name[8];

    snprintf(name, sizeof(name), "h%u", (unsigned)(uintptr_t)number);
    for (unsigned i = 0; i < ROUNDS * 4; i++) {
        ck_assert_int_eq(fs_link(&fs, "f", name), 0);
        ck_assert_int_eq(fs_stat(&fs, i % 2 ? "f" : name, &st), 0);
        ck_assert_uint_ge(st.st_nlink, 2);
        ck_assert_uint_le(st.st_nlink, THREADS + 1);
        ck_assert_int_eq(fs_unlink(&fs, name), 0);
    }
    return NULL;
}

START_TEST(test_links_are_counted_whoever_makes_them)
{
    ck_assert_int_eq(fs_put(&fs, "f", "text"), 0);
    run(THREADS, link_and_unlink);
    ck_assert_uint_eq(fs_nlink(&fs, "f"), 1);
    fs_expect(&fs, "f", "text");
}
END_TEST

static void *
contend(void *number)
{
    (void)number;
    for (unsigned i = 0; i < ROUNDS * 20; i++) {
        int result = fs_put(&fs, "a", "text");

        ck_assert(result == 0 || result == -EEXIST || result == -ENOENT ||
                  result == -ESTALE);
        result = fs_link(&fs, "a", "b");
        ck_assert(result == 0 || result == -EEXIST || result == -ENOENT ||
                  result == -ESTALE);
        result = fs_unlink(&fs, "a");
        ck_assert_msg(result == 0 || result == -ENOENT, "%s", strerror(-result));
        result = fs_unlink(&fs, "b");
        ck_assert_msg(result == 0 || result == -ENOENT, "%s", strerror(-result));
    }
    return NULL;
}

/* The second one to remove a name met its reference without what it refers to: EUCLEAN. */
START_TEST(test_the_last_two_names_are_removed_once_each)
{
    run(THREADS, contend);
    fs_expect_names(&fs, "", "");
}
END_TEST

/* ---- snapshots beside all of it ---- */

static void *
snap_or_do(void *number)
{
    struct random dice = random_of((uintptr_t)number + 100);

    if (number) {
        while (!stop)
            do_something(&dice);
        return NULL;
    }
    for (unsigned i = 0; i < 20; i++) {
        struct fs_names *names = malloc(sizeof(*names));

        ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
        fs_list_by(&fs, ".snapshots/s/d0", true, 0, names);
        ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/s"), 0);
        ck_assert_int_eq(vfs_sync(fs.vfs), 0);
        free(names);
    }
    stop = true;
    return NULL;
}

START_TEST(test_snapshots_can_be_taken_at_any_time)
{
    ck_assert_int_eq(fs_mkdir(&fs, "d0"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "d1"), 0);
    run(3, snap_or_do);
}
END_TEST

/* ---- times that are put by the commit timer ---- */

static _Atomic int64_t changed; /* the directory's, at least; nanoseconds */

static int64_t
nanoseconds(struct timespec time)
{
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void
change_names(void)
{
    struct stat st;

    for (unsigned i = 0; i < ROUNDS * 30; i++) {
        ck_assert_int_eq(fs_put(&fs, "d/f", ""), 0);
        ck_assert_int_eq(fs_unlink(&fs, "d/f"), 0);
        ck_assert_int_eq(fs_stat(&fs, "d", &st), 0);
        changed = nanoseconds(st.st_mtim);
    }
    stop = true;
}

static void *
change_put_or_look(void *number)
{
    if (number == 0)
        change_names();
    while (!stop && (uintptr_t)number == 1)
        ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    while (!stop) {
        int64_t before = changed;
        struct vfs_entry entry;

        ck_assert_int_eq(vfs_lookup(fs.vfs, vfs_root(fs.vfs), "d", &entry, NULL), 0);
        vfs_forget(fs.vfs, entry.node, 1);
        ck_assert_int_ge(nanoseconds(entry.stat.st_mtim), before);
    }
    return NULL;
}

/* A lookup that read the record before the times were put, and asked for deferred ones after,
 * answered with times long past, which the kernel then kept for ever. */
START_TEST(test_a_lookup_never_shows_older_times)
{
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    run(THREADS, change_put_or_look);
}
END_TEST

/* ---- who leads the loop steps aside ---- */

static atomic_uint stepped_aside;
static pthread_t renaming;

static void
step_aside(void)
{
    stepped_aside++;
}

static void
watch_steps(void)
{
    fs.options.step_aside = step_aside;
    fs.options.store.commit_ms = 3600 * 1000; /* or its thread may have the tree */
    fs_reopen(&fs);
    ck_assert_int_eq(fs_put(&fs, "file", "text"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "directory"), 0);
    stepped_aside = 0;
}

START_TEST(test_renaming_a_file_steps_not_aside)
{
    watch_steps();
    ck_assert_int_eq(fs_rename(&fs, "file", "other", 0), 0);
    ck_assert_int_eq(fs_put(&fs, "file", "more"), 0);
    ck_assert_int_eq(fs_rename(&fs, "file", "other", 0), 0);
    ck_assert_int_eq(fs_rename(&fs, "other", "directory/file", 0), 0);
    ck_assert_uint_eq(stepped_aside, 0);
}
END_TEST

/* What is below them may be moved, or snapshots made durable. */
START_TEST(test_renaming_a_directory_or_snapshot_steps_aside)
{
    watch_steps();
    ck_assert_int_eq(fs_rename(&fs, "directory", "other", 0), 0);
    ck_assert_uint_eq(stepped_aside, 1);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/one"), 0);
    ck_assert_int_eq(fs_rename(&fs, ".snapshots/one", ".snapshots/two", 0), 0);
    ck_assert_uint_eq(stepped_aside, 2);
}
END_TEST

static void *
rename_file(void *unused)
{
    (void)unused;
    ck_assert_int_eq(fs_rename(&fs, "file", "other", 0), 0);
    return NULL;
}

/* Notes how many stepped aside before the first name, which then takes long. */
static bool
dawdle(void *first, const struct vfs_listed *listed)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    if (strcmp(listed->name, ".") == 0)
        *(unsigned *)first = stepped_aside;
    nanosleep(&pause, NULL);
    return true;
}

static bool
add_name(void *unused, const struct vfs_listed *listed)
{
    (void)unused;
    (void)listed;
    return true;
}

static int
list_root(bool (*add)(void *context, const struct vfs_listed *listed), void *context)
{
    return vfs_readdir(fs.vfs, vfs_root(fs.vfs), 0, false, add, context);
}

START_TEST(test_a_listing_that_takes_long_steps_aside_as_does_the_next)
{
    unsigned before = 1, quick = 0;

    watch_steps();
    ck_assert_int_eq(list_root(dawdle, &before), 0);
    ck_assert_uint_eq(before, 0);
    ck_assert_uint_ge(stepped_aside, 1);
    stepped_aside = 0;
    ck_assert_int_eq(list_root(dawdle, &before), 0);
    ck_assert_uint_eq(before, 1);
    /* This machine may be slow, but not every time. */
    for (unsigned i = 0; i < 10000 && quick == 0; i++) {
        stepped_aside = 0;
        ck_assert_int_eq(list_root(add_name, NULL), 0);
        quick += stepped_aside == 0;
    }
    ck_assert_uint_eq(quick, 1);
}
END_TEST

/* Holds the tree until another thread wants it, and has said that it will wait. */
static bool
hold_tree(void *started, const struct vfs_listed *listed)
{
    (void)listed;
    if (!*(bool *)started)
        ck_assert_int_eq(pthread_create(&renaming, NULL, rename_file, NULL), 0);
    *(bool *)started = true;
    while (stepped_aside == 0)
        sched_yield();
    return false;
}

START_TEST(test_a_rename_that_has_to_wait_steps_aside_before)
{
    bool started = false;

    watch_steps();
    ck_assert_int_eq(vfs_readdir(fs.vfs, vfs_root(fs.vfs), 0, false, hold_tree, &started),
                     0);
    ck_assert(started);
    pthread_join(renaming, NULL);
    ck_assert_uint_eq(stepped_aside, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_threads");
    TCase *tcase = tcase_create("threads");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_writes_follow_a_directory_being_renamed);
    tcase_add_test(tcase, test_threads_on_the_same_names_leave_a_sound_tree);
    tcase_add_test(tcase, test_links_are_counted_whoever_makes_them);
    tcase_add_test(tcase, test_the_last_two_names_are_removed_once_each);
    tcase_add_test(tcase, test_snapshots_can_be_taken_at_any_time);
    tcase_add_test(tcase, test_a_lookup_never_shows_older_times);
    tcase_add_test(tcase, test_renaming_a_file_steps_not_aside);
    tcase_add_test(tcase, test_a_listing_that_takes_long_steps_aside_as_does_the_next);
    tcase_add_test(tcase, test_renaming_a_directory_or_snapshot_steps_aside);
    tcase_add_test(tcase, test_a_rename_that_has_to_wait_steps_aside_before);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
