/* test_open_files.c - tables read through few descriptors: a limit of the store's, one of the
 * process's. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lsmkv.h"
#include "support/suite.h"
#include "table/open_files.h"

#define FILES 20u

static char path[64];
static struct env_dir *dir;
static struct open_files *files;
static struct open_file *file[FILES];

static int
remove_name(void *context, const char *name)
{
    (void)context;
    return env_dir_unlink(dir, name);
}

/* Each file holds its own number. */
static void
setup(void)
{
    snprintf(path, sizeof(path), "/tmp/test_open_files.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
    ck_assert_int_eq(env_dir_open(env_posix(), path, false, &dir), 0);
}

static void
make_files(unsigned limit)
{
    ck_assert_int_eq(open_files_new(limit, &files), 0);
    for (unsigned i = 0; i < FILES; i++) {
        struct env_file *made;
        char name[16];

        snprintf(name, sizeof(name), "%u", i);
        ck_assert_int_eq(env_file_open(dir, name, ENV_CREATE, &made), 0);
        ck_assert_int_eq(env_file_write(made, 0, &i, sizeof(i)), 0);
        ck_assert_int_eq(env_file_close(made), 0);
        ck_assert_int_eq(open_file_new(files, dir, name, &file[i]), 0);
    }
}

static void
free_files(void)
{
    for (unsigned i = 0; i < FILES; i++)
        open_file_free(file[i]);
    open_files_free(files);
}

static void
teardown(void)
{
    ck_assert_int_eq(env_dir_list(dir, remove_name, NULL), 0);
    env_dir_close(dir);
    ck_assert_int_eq(rmdir(path), 0);
}

static void
check_holds_number(struct env_file *held, unsigned number)
{
    unsigned found = ~number;

    ck_assert_int_eq(env_file_read(held, 0, &found, sizeof(found)), sizeof(found));
    ck_assert_uint_eq(found, number);
}

static void
read_once(unsigned i)
{
    struct env_file *held;

    ck_assert_int_eq(open_file_hold(file[i], &held), 0);
    check_holds_number(held, i);
    open_file_release(file[i]);
}

/* Of this process, those that look included. */
static unsigned
count_descriptors(void)
{
    DIR *list = opendir("/proc/self/fd");
    unsigned count = 0;

    ck_assert_ptr_nonnull(list);
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count;
}

START_TEST(test_no_more_are_open_than_the_limit)
{
    unsigned before = count_descriptors();

    make_files(4);
    ck_assert_uint_eq(count_descriptors(), before);
    for (unsigned i = 0; i < 3 * FILES; i++) {
        read_once(i * 7 % FILES);
        ck_assert_uint_le(count_descriptors(), before + 4);
    }
    ck_assert_uint_eq(count_descriptors(), before + 4);
    free_files();
    ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(test_what_is_held_stays_open_beyond_the_limit)
{
    unsigned before = count_descriptors();
    struct env_file *held[FILES];

    make_files(2);
    for (unsigned i = 0; i < FILES - 1; i++)
        ck_assert_int_eq(open_file_hold(file[i], &held[i]), 0);
    for (unsigned i = 0; i < FILES - 1; i++)
        check_holds_number(held[i], i);
    for (unsigned i = 0; i < FILES - 1; i++)
        open_file_release(file[i]);
    read_once(FILES - 1);
    ck_assert_uint_eq(count_descriptors(), before + 2);
    free_files();
}
END_TEST

/* That it was never shut shows when its name has gone. */
START_TEST(test_what_is_used_again_and_again_stays_open)
{
    struct env_file *held;

    make_files(4);
    read_once(0);
    ck_assert_int_eq(env_dir_unlink(dir, "0"), 0);
    for (unsigned i = 1; i < FILES; i++) {
        read_once(i);
        read_once(0);
    }
    for (unsigned i = 1; i < FILES; i++)
        read_once(i);
    ck_assert_int_eq(open_file_hold(file[0], &held), -ENOENT);
    free_files();
}
END_TEST

/* Leaves so many descriptors to the process. */
static void
leave_descriptors(unsigned count)
{
    int next = dup(STDIN_FILENO);
    struct rlimit limit = {(rlim_t)next + count, (rlim_t)next + count};

    ck_assert_int_ge(next, 0);
    close(next);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(test_they_make_room_for_each_other_when_the_process_has_no_more)
{
    make_files(1000);
    leave_descriptors(3);
    for (unsigned i = 0; i < 2 * FILES; i++)
        read_once(i % FILES);
    free_files();
}
END_TEST

START_TEST(test_without_any_descriptor_it_is_an_error_and_later_none)
{
    struct env_file *held;
    int taken;

    make_files(1000);
    leave_descriptors(1);
    taken = dup(STDIN_FILENO);
    ck_assert_int_eq(open_file_hold(file[0], &held), -EMFILE);
    close(taken);
    read_once(0);
    free_files();
}
END_TEST

static void *
read_many(void *argument)
{
    unsigned state = *(unsigned *)argument;

    for (unsigned i = 0; i < 5000; i++) {
        state = state * 1103515245 + 12345;
        read_once((state >> 16) % FILES);
    }
    return NULL;
}

START_TEST(test_threads_share_the_few)
{
    unsigned seeds[] = {1, 2, 3, 4};
    pthread_t threads[4];

    make_files(2);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_many, &seeds[i]), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    free_files();
}
END_TEST

/* ---- a whole store ---- */

static void
put_round(struct lsmkv *db, unsigned round)
{
    for (unsigned i = 0; i < 3000; i++) {
        char key[16], value[600];

        snprintf(key, sizeof(key), "%05u", i * 1237 % 3000);
        memset(value, 'a' + (int)((i + round) % 26), sizeof(value));
        ck_assert_int_eq(lsmkv_put(db, NULL, lsmkv_str(key), lsmkv_str(""),
                                   lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED),
                         0);
    }
}

static void
find_all(struct lsmkv *db, unsigned round)
{
    struct lsmkv_iter *iter;
    unsigned count = 0;

    for (unsigned i = 0; i < 3000; i++) {
        struct lsmkv_record record;
        char key[16], value[700];

        snprintf(key, sizeof(key), "%05u", i * 1237 % 3000);
        ck_assert_int_eq(
            lsmkv_get(db, NULL, NULL, lsmkv_str(key), value, sizeof(value), &record), 0);
        ck_assert_int_eq(*(const char *)record.value.data, 'a' + (int)((i + round) % 26));
    }
    ck_assert_int_eq(lsmkv_iter_new(db, NULL, NULL, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    ck_assert_uint_eq(count, 3000);
    lsmkv_iter_free(iter);
}

/* Every table kept a descriptor, so that a store of more tables than the process may have could
 * neither be read nor, without one for a new log, be written. */
START_TEST(test_a_store_has_more_tables_than_the_process_has_descriptors)
{
    struct lsmkv_options options;
    struct lsmkv_stats stats;
    struct lsmkv *db;

    lsmkv_options_init(&options);
    options.create = true;
    options.write_buffer_size = 128 << 10;
    options.cache_size = 64 << 10;
    options.table_size = 8 << 10;
    leave_descriptors(40);
    ck_assert_int_eq(lsmkv_open(path, &options, &db), 0);
    for (unsigned round = 0; round < 3; round++) {
        put_round(db, round);
        find_all(db, round);
    }
    ck_assert_int_eq(lsmkv_compact(db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)),
                     0);
    ck_assert_int_eq(lsmkv_get_stats(db, &stats), 0);
    ck_assert_uint_gt(stats.tables, 100);
    find_all(db, 2);
    ck_assert_int_eq(lsmkv_close(db), 0);
    ck_assert_int_eq(lsmkv_open(path, &options, &db), 0);
    find_all(db, 2);
    ck_assert_int_eq(lsmkv_close(db), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("open files");
    TCase *tcase = tcase_create("open files");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_no_more_are_open_than_the_limit);
    tcase_add_test(tcase, test_what_is_held_stays_open_beyond_the_limit);
    tcase_add_test(tcase, test_what_is_used_again_and_again_stays_open);
    tcase_add_test(tcase,
                   test_they_make_room_for_each_other_when_the_process_has_no_more);
    tcase_add_test(tcase, test_without_any_descriptor_it_is_an_error_and_later_none);
    tcase_add_test(tcase, test_threads_share_the_few);
    tcase_add_test(tcase, test_a_store_has_more_tables_than_the_process_has_descriptors);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
