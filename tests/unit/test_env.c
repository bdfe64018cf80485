/*
 * test_env.c - what env.h promises, asked of every env there is: the operating system's, the
 * one in memory, and that one behind fault_env.  A test on an env in memory proves something
 * only as far as the three agree.
 */
#include <check.h>
#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env/env.h"
#include "support/fault_env.h"
#include "support/mem_env.h"
#include "support/suite.h"

enum { POSIX, MEMORY, FAULT, ENVS };

static struct mem_env *memory;
static struct fault_env *fault;
static struct lsmkv_env *env;
static struct env_dir *dir;
static char path[64];

static void
open_env(int which)
{
    snprintf(path, sizeof(path), "/tmp/test_env.XXXXXX");
    if (which == POSIX) {
        env = env_posix();
        ck_assert_ptr_nonnull(mkdtemp(path));
    } else {
        memory = mem_env_new();
        env = mem_env_base(memory);
    }
    if (which == FAULT) {
        fault = fault_env_new(env);
        env = fault_env_base(fault);
    }
    ck_assert_int_eq(env_dir_open(env, path, which != POSIX, &dir), 0);
}

static int
remove_name(void *context, const char *name)
{
    (void)context;
    return env_dir_unlink(dir, name);
}

static void
close_env(int which)
{
    ck_assert_int_eq(env_dir_list(dir, remove_name, NULL), 0);
    env_dir_close(dir);
    if (which == POSIX)
        ck_assert_int_eq(rmdir(path), 0);
    if (which == FAULT)
        fault_env_free(fault);
    if (which != POSIX)
        mem_env_free(memory);
}

static struct env_file *
open_file(const char *name, enum env_open how)
{
    struct env_file *file = NULL;

    ck_assert_int_eq(env_file_open(dir, name, how, &file), 0);
    return file;
}

static uint64_t
size_of(struct env_file *file)
{
    uint64_t size;

    ck_assert_int_eq(env_file_size(file, &size), 0);
    return size;
}

/* ---- files ---- */

START_TEST(test_open_modes_say_what_must_exist)
{
    struct env_file *file = NULL;

    open_env(_i);
    ck_assert_int_eq(env_file_open(dir, "a", ENV_READ, &file), -ENOENT);
    ck_assert_int_eq(env_file_open(dir, "a", ENV_WRITE, &file), -ENOENT);
    ck_assert_ptr_null(file);
    ck_assert_int_eq(env_file_close(open_file("a", ENV_CREATE)), 0);
    ck_assert_int_eq(env_file_open(dir, "a", ENV_CREATE, &file), -EEXIST);
    file = open_file("a", ENV_WRITE);
    ck_assert_int_eq(env_file_write(file, 0, "12345", 5), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    file = open_file("a", ENV_READ);
    ck_assert_uint_eq(size_of(file), 5);
    ck_assert_int_ne(env_file_write(file, 0, "x", 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    file = open_file("a", ENV_REPLACE);
    ck_assert_uint_eq(size_of(file), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_eq(env_file_close(open_file("b", ENV_REPLACE)), 0);
    ck_assert_int_eq(env_file_close(NULL), 0);
    close_env(_i);
}
END_TEST

START_TEST(test_names_stay_inside_their_directory)
{
    static const char *const names[] = {"", "/etc/passwd", "a/b", "../x"};
    struct env_file *file;
    size_t i;

    open_env(_i);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_int_eq(env_file_open(dir, names[i], ENV_REPLACE, &file), -EINVAL);
    close_env(_i);
}
END_TEST

START_TEST(test_reads_are_short_only_at_the_end)
{
    struct env_file *file;
    char buffer[16];

    open_env(_i);
    file = open_file("a", ENV_CREATE);
    ck_assert_int_eq(env_file_write(file, 0, "0123456789", 10), 0);
    ck_assert_int_eq(env_file_read(file, 2, buffer, 5), 5);
    ck_assert_mem_eq(buffer, "23456", 5);
    ck_assert_int_eq(env_file_read(file, 7, buffer, sizeof(buffer)), 3);
    ck_assert_int_eq(env_file_read(file, 10, buffer, sizeof(buffer)), 0);
    ck_assert_int_eq(env_file_read(file, 1 << 20, buffer, sizeof(buffer)), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    close_env(_i);
}
END_TEST

/* More parts than the kernel takes at once, empty ones among them. */
START_TEST(test_gathered_writes_put_every_part)
{
    enum { PARTS = 200 };
    struct iovec parts[PARTS];
    char in[PARTS * 7], out[sizeof(in)];
    struct env_file *file;
    size_t total = 0;
    int i;

    open_env(_i);
    for (i = 0; i < (int)sizeof(in); i++)
        in[i] = (char)('a' + i % 23);
    for (i = 0; i < PARTS; i++) {
        parts[i] = (struct iovec){in + total, (size_t)(i % 8)};
        total += parts[i].iov_len;
    }
    file = open_file("a", ENV_CREATE);
    ck_assert_int_eq(env_file_writev(file, 3, parts, PARTS), 0);
    ck_assert_uint_eq(size_of(file), total + 3);
    ck_assert_int_eq(env_file_read(file, 3, out, total), (ssize_t)total);
    ck_assert_mem_eq(out, in, total);
    ck_assert_int_eq(env_file_writev(file, 0, parts, 0), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    close_env(_i);
}
END_TEST

START_TEST(test_holes_and_grown_ends_read_as_zeros)
{
    static const char zeros[100] = {0};
    struct env_file *file;
    char buffer[100];

    open_env(_i);
    file = open_file("a", ENV_CREATE);
    ck_assert_int_eq(env_file_write(file, 5000, "x", 1), 0);
    ck_assert_int_eq(env_file_read(file, 4096, buffer, 100), 100);
    ck_assert_mem_eq(buffer, zeros, 100);
    ck_assert_int_eq(env_file_write(file, 0, "abcdef", 6), 0);
    ck_assert_int_eq(env_file_truncate(file, 3), 0);
    ck_assert_int_eq(env_file_truncate(file, 103), 0);
    ck_assert_int_eq(env_file_read(file, 3, buffer, 100), 100);
    ck_assert_mem_eq(buffer, zeros, 100);
    ck_assert_uint_eq(size_of(file), 103);
    env_file_writeback(file, 0, 10000);
    env_file_readahead(file, 0, 10000);
    ck_assert_int_eq(env_file_sync(file), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    close_env(_i);
}
END_TEST

/* ---- names ---- */

static int
collect(void *context, const char *name)
{
    char *names = context;

    strcat(names, name);
    strcat(names, " ");
    return 0;
}

static int
stop_at_once(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
    return -ECANCELED;
}

START_TEST(test_list_rename_and_unlink)
{
    char names[64] = "";
    int seen = 0;

    open_env(_i);
    ck_assert_int_eq(env_file_close(open_file("a", ENV_CREATE)), 0);
    ck_assert_int_eq(env_file_close(open_file("b", ENV_CREATE)), 0);
    ck_assert_int_eq(env_dir_list(dir, stop_at_once, &seen), -ECANCELED);
    ck_assert_int_eq(seen, 1);
    ck_assert_int_eq(env_dir_rename(dir, "a", "b"), 0);
    ck_assert_int_eq(env_dir_rename(dir, "a", "c"), -ENOENT);
    ck_assert_int_eq(env_dir_rename(dir, "b", "b"), 0);
    ck_assert_int_eq(env_dir_list(dir, collect, names), 0);
    ck_assert_str_eq(names, "b ");
    ck_assert_int_eq(env_dir_unlink(dir, "b"), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "b"), -ENOENT);
    ck_assert_int_eq(env_dir_sync(dir), 0);
    close_env(_i);
}
END_TEST

START_TEST(test_an_open_file_outlives_its_name)
{
    struct env_file *file;
    char buffer[4];

    open_env(_i);
    file = open_file("a", ENV_CREATE);
    ck_assert_int_eq(env_file_write(file, 0, "data", 4), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "a"), 0);
    ck_assert_int_eq(env_file_close(open_file("a", ENV_CREATE)), 0);
    ck_assert_int_eq(env_file_read(file, 0, buffer, 4), 4);
    ck_assert_mem_eq(buffer, "data", 4);
    ck_assert_int_eq(env_file_close(file), 0);
    close_env(_i);
}
END_TEST

START_TEST(test_space_is_told)
{
    uint64_t free_bytes = 0, total_bytes = 0;

    open_env(_i);
    ck_assert_int_eq(env_dir_space(dir, &free_bytes, &total_bytes), 0);
    ck_assert_uint_gt(free_bytes, 0);
    ck_assert_uint_le(free_bytes, total_bytes);
    close_env(_i);
}
END_TEST

START_TEST(test_a_missing_directory_is_made_only_if_asked)
{
    struct env_dir *other = NULL;
    char missing[80];

    open_env(_i);
    snprintf(missing, sizeof(missing), "%s.d", path);
    ck_assert_int_eq(env_dir_open(env, missing, false, &other), -ENOENT);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(env_dir_open(env, missing, true, &other), 0);
    env_dir_close(other);
    ck_assert_int_eq(env_dir_open(env, missing, true, &other), 0);
    env_dir_close(other);
    ck_assert_int_eq(env_dir_open(env, missing, false, &other), 0);
    env_dir_close(other);
    env_dir_close(NULL);
    if (_i == POSIX)
        ck_assert_int_eq(rmdir(missing), 0);
    close_env(_i);
}
END_TEST

/* ---- the lock ---- */

START_TEST(test_the_lock_excludes_and_tells_who)
{
    struct env_lock *one = NULL, *two = NULL;
    char text[8];

    open_env(_i);
    ck_assert_int_eq(env->lock_held(dir, "LOCK"), -ENOENT);
    ck_assert_int_eq(env->lock(dir, "LOCK", true, &one), -ENOENT);
    ck_assert_int_eq(env->lock(dir, "LOCK", false, &one), 0);
    ck_assert_int_eq(env->lock_held(dir, "LOCK"), 1);
    ck_assert_int_eq(env->lock(dir, "LOCK", false, &two), -EBUSY);
    ck_assert_int_eq(env->lock(dir, "LOCK", true, &two), -EBUSY);
    ck_assert_int_eq(env->lock_write(one, "a longer note"), 0);
    ck_assert_int_eq(env->lock_read(dir, "LOCK", text, sizeof(text)), 0);
    ck_assert_str_eq(text, "a longe");
    ck_assert_int_eq(env->lock_write(one, "short"), 0);
    ck_assert_int_eq(env->lock_read(dir, "LOCK", text, sizeof(text)), 0);
    ck_assert_str_eq(text, "short");
    env->unlock(one);
    ck_assert_int_eq(env->lock_held(dir, "LOCK"), 0);
    close_env(_i);
}
END_TEST

START_TEST(test_shared_locks_share)
{
    struct env_lock *one, *two, *three;

    open_env(_i);
    ck_assert_int_eq(env_file_close(open_file("LOCK", ENV_CREATE)), 0);
    ck_assert_int_eq(env->lock(dir, "LOCK", true, &one), 0);
    ck_assert_int_eq(env->lock(dir, "LOCK", true, &two), 0);
    ck_assert_int_eq(env->lock_held(dir, "LOCK"), 2);
    ck_assert_int_eq(env->lock(dir, "LOCK", false, &three), -EBUSY);
    env->unlock(one);
    ck_assert_int_eq(env->lock(dir, "LOCK", false, &three), -EBUSY);
    env->unlock(two);
    ck_assert_int_eq(env->lock(dir, "LOCK", false, &three), 0);
    env->unlock(three);
    close_env(_i);
}
END_TEST

/* ---- clock, threads, memory ---- */

START_TEST(test_time_passes_while_sleeping)
{
    uint64_t before;

    open_env(_i);
    before = env->monotonic(env);
    env->sleep(env, 2000000);
    ck_assert_uint_ge(env->monotonic(env) - before, 2000000);
    ck_assert_int_gt(env->now(env), INT64_C(1600000000000000000));
    close_env(_i);
}
END_TEST

static void
set_to_seven(void *argument)
{
    *(int *)argument = 7;
}

START_TEST(test_a_thread_runs_its_body_and_is_joined)
{
    struct env_thread *thread;
    int value = 0;

    open_env(_i);
    ck_assert_int_eq(
        env->thread_start(env, "a name longer than fits", set_to_seven, &value, &thread),
        0);
    env->thread_join(thread);
    ck_assert_int_eq(value, 7);
    close_env(_i);
}
END_TEST

START_TEST(test_buffers_are_aligned_and_wholly_writable)
{
    size_t size;

    open_env(_i);
    for (size = 4096; size <= 4 << 20; size = size * 3 + 1) {
        void *buffer = env->allocate(env, size);

        ck_assert_ptr_nonnull(buffer);
        ck_assert_uint_eq((uintptr_t)buffer % alignof(max_align_t), 0);
        memset(buffer, 1, size);
        env->release(env, buffer, size);
    }
    close_env(_i);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("env");
    TCase *tests = tcase_create("all");

    tcase_add_loop_test(tests, test_open_modes_say_what_must_exist, 0, ENVS);
    tcase_add_loop_test(tests, test_names_stay_inside_their_directory, 0, ENVS);
    tcase_add_loop_test(tests, test_reads_are_short_only_at_the_end, 0, ENVS);
    tcase_add_loop_test(tests, test_gathered_writes_put_every_part, 0, ENVS);
    tcase_add_loop_test(tests, test_holes_and_grown_ends_read_as_zeros, 0, ENVS);
    tcase_add_loop_test(tests, test_list_rename_and_unlink, 0, ENVS);
    tcase_add_loop_test(tests, test_an_open_file_outlives_its_name, 0, ENVS);
    tcase_add_loop_test(tests, test_space_is_told, 0, ENVS);
    tcase_add_loop_test(tests, test_a_missing_directory_is_made_only_if_asked, 0, ENVS);
    tcase_add_loop_test(tests, test_the_lock_excludes_and_tells_who, 0, ENVS);
    tcase_add_loop_test(tests, test_shared_locks_share, 0, ENVS);
    tcase_add_loop_test(tests, test_time_passes_while_sleeping, 0, ENVS);
    tcase_add_loop_test(tests, test_a_thread_runs_its_body_and_is_joined, 0, ENVS);
    tcase_add_loop_test(tests, test_buffers_are_aligned_and_wholly_writable, 0, ENVS);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
