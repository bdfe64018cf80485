/* test_fault_env.c - calls fail when they should, as they should, and no others do. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "support/fault_env.h"
#include "support/mem_env.h"
#include "support/suite.h"

static struct mem_env *mem;
static struct fault_env *fault;
static struct lsmkv_env *env;
static struct env_dir *dir;

static void
setup(void)
{
    mem = mem_env_new();
    fault = fault_env_new(mem_env_base(mem));
    fault_env_on_lost_sync(fault, mem_env_lose_unsynced);
    env = fault_env_base(fault);
    ck_assert_int_eq(env_dir_open(env, "store", true, &dir), 0);
}

static void
teardown(void)
{
    env_dir_close(dir);
    fault_env_free(fault);
    mem_env_free(mem);
}

static struct env_file *
create(const char *name)
{
    struct env_file *file = NULL;

    ck_assert_int_eq(env_file_open(dir, name, ENV_CREATE, &file), 0);
    return file;
}

static uint64_t
size_of(struct env_file *file)
{
    uint64_t size;

    ck_assert_int_eq(env_file_size(file, &size), 0);
    return size;
}

/* ---- which call fails ---- */

START_TEST(test_only_the_nth_call_of_its_kind_fails)
{
    struct env_file *file = create("f");
    int i;

    fault_env_set(fault, (struct fault){ENV_CALL_FILE_WRITE, 3, false, EIO, false});
    for (i = 1; i <= 5; i++) {
        ck_assert_int_eq(env_file_write(file, 0, "x", 1), i == 3 ? -EIO : 0);
        ck_assert_int_eq(env_file_sync(file), 0);
    }
    ck_assert_uint_eq(fault_env_failures(fault), 1);
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

START_TEST(test_onwards_means_until_healed)
{
    struct env_file *file = create("f");
    int i;

    fault_env_set(fault, (struct fault){ENV_CALL_FILE_WRITE, 2, true, ENOSPC, false});
    for (i = 1; i <= 5; i++)
        ck_assert_int_eq(env_file_write(file, 0, "x", 1), i >= 2 ? -ENOSPC : 0);
    fault_env_heal(fault);
    ck_assert_int_eq(env_file_write(file, 0, "x", 1), 0);
    ck_assert_uint_eq(fault_env_failures(fault), 4);
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

static int
keep_going(void *context, const char *name)
{
    (void)context;
    (void)name;
    return 0;
}

static void
do_nothing(void *argument)
{
    (void)argument;
}

/* One call of every kind that can fail; returns the first failure. */
static int
one_of_each(void)
{
    struct env_thread *thread;
    struct env_file *file = NULL;
    struct env_lock *lock = NULL;
    struct env_dir *other;
    uint64_t number, total;
    char text[8];
    void *buffer;
    int result;

    if ((result = env_dir_open(env, "other", true, &other)) != 0)
        return result;
    env_dir_close(other);
    if ((result = env_file_open(dir, "f", ENV_REPLACE, &file)) != 0)
        return result;
    if ((result = env_file_write(file, 0, "abc", 3)) != 0 ||
        (result = (int)env_file_read(file, 0, text, 3)) < 0 ||
        (result = env_file_sync(file)) != 0 ||
        (result = env_file_truncate(file, 1)) != 0 ||
        (result = env_file_size(file, &number)) != 0) {
        ck_assert_int_eq(env_file_close(file), 0);
        return result;
    }
    if ((result = env_file_close(file)) != 0 || (result = env_dir_sync(dir)) != 0 ||
        (result = env_dir_list(dir, keep_going, NULL)) != 0 ||
        (result = env_dir_space(dir, &number, &total)) != 0 ||
        (result = env_dir_rename(dir, "f", "g")) != 0 ||
        (result = env_dir_unlink(dir, "g")) != 0)
        return result;
    if ((result = env->lock(dir, "LOCK", false, &lock)) != 0)
        return result;
    if ((result = env->lock_write(lock, "me")) == 0 &&
        (result = env->lock_read(dir, "LOCK", text, sizeof(text))) == 0)
        result = env->lock_held(dir, "LOCK");
    env->unlock(lock);
    if (result != 1)
        return result;
    if ((result = env->thread_start(env, "t", do_nothing, NULL, &thread)) != 0)
        return result;
    env->thread_join(thread);
    buffer = env->allocate(env, 4096);
    env->release(env, buffer, 4096);
    return buffer == NULL ? -EIO : 0;
}

/* Walks every call in turn: each fails once, and every kind that can fail is met. */
START_TEST(test_any_walks_through_every_call_that_can_fail)
{
    enum { KINDS_THAT_FAIL = ENV_CALL_COUNT - 4 };
    uint64_t nth;

    ck_assert_int_eq(one_of_each(), 0);
    for (nth = 1;; nth++) {
        uint64_t failures = fault_env_failures(fault);
        int result;

        fault_env_set(fault, (struct fault){ENV_CALL_ANY, nth, false, EIO, false});
        result = one_of_each();
        if (fault_env_failures(fault) == failures) {
            ck_assert_int_eq(result, 0);
            break;
        }
        ck_assert_int_eq(result, -EIO);
        ck_assert_uint_eq(fault_env_failures(fault), failures + 1);
    }
    ck_assert_uint_eq(nth - 1, KINDS_THAT_FAIL);
}
END_TEST

START_TEST(test_calls_are_counted_by_kind)
{
    struct env_file *file = create("f");
    uint64_t all = fault_env_calls(fault, ENV_CALL_ANY);
    int i;

    for (i = 0; i < 3; i++)
        ck_assert_int_eq(env_file_write(file, 0, "x", 1), 0);
    ck_assert_int_eq(env_file_sync(file), 0);
    env_file_writeback(file, 0, 1);
    ck_assert_uint_eq(fault_env_calls(fault, ENV_CALL_FILE_WRITE), 3);
    ck_assert_uint_eq(fault_env_calls(fault, ENV_CALL_FILE_SYNC), 1);
    ck_assert_uint_eq(fault_env_calls(fault, ENV_CALL_FILE_WRITEBACK), 1);
    ck_assert_uint_eq(fault_env_calls(fault, ENV_CALL_ANY), all + 5);
    ck_assert_uint_eq(fault_env_failures(fault), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

/* ---- how it fails ---- */

START_TEST(test_a_failed_write_puts_nothing_or_half)
{
    struct env_file *file = create("f");
    char a[] = "aaaaaa", b[] = "bbbb";
    struct iovec parts[] = {{a, 6}, {b, 4}};
    char buffer[10];

    fault_env_set(fault, (struct fault){ENV_CALL_FILE_WRITE, 1, false, EIO, false});
    ck_assert_int_eq(env_file_writev(file, 0, parts, 2), -EIO);
    ck_assert_uint_eq(size_of(file), 0);
    fault_env_set(fault, (struct fault){ENV_CALL_FILE_WRITE, 1, false, EIO, true});
    ck_assert_int_eq(env_file_writev(file, 0, parts, 2), -EIO);
    ck_assert_uint_eq(size_of(file), 5);
    ck_assert_int_eq(env_file_read(file, 0, buffer, sizeof(buffer)), 5);
    ck_assert_mem_eq(buffer, "aaaaa", 5);
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

/* As a kernel does: the sync after a failed one succeeds, and the bytes are gone. */
START_TEST(test_a_failed_sync_loses_what_was_unsynced)
{
    const struct mem_crash policy = {MEM_DATA_ALL, MEM_NAMES_KEPT};
    struct env_file *file = create("f");
    struct mem_env *image;
    struct env_dir *image_dir;
    struct env_file *left;
    char byte = 'x';

    ck_assert_int_eq(env_file_write(file, 0, "a", 1), 0);
    fault_env_set(fault, (struct fault){ENV_CALL_FILE_SYNC, 1, false, EIO, false});
    ck_assert_int_eq(env_file_sync(file), -EIO);
    ck_assert_int_eq(env_file_sync(file), 0);
    ck_assert_int_eq(env_file_read(file, 0, &byte, 1), 1);
    ck_assert_int_eq(byte, 'a');
    image = mem_env_crash(mem, policy, 0);
    ck_assert_int_eq(env_dir_open(mem_env_base(image), "store", false, &image_dir), 0);
    ck_assert_int_eq(env_file_open(image_dir, "f", ENV_READ, &left), 0);
    ck_assert_int_eq(env_file_read(left, 0, &byte, 1), 1);
    ck_assert_int_eq(byte, 0);
    ck_assert_int_eq(env_file_close(left), 0);
    env_dir_close(image_dir);
    mem_env_free(image);
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

START_TEST(test_a_failed_close_has_closed)
{
    struct env_file *file = create("f");

    ck_assert_int_eq(env_file_write(file, 0, "x", 1), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "f"), 0);
    fault_env_set(fault, (struct fault){ENV_CALL_FILE_CLOSE, 1, false, EIO, false});
    ck_assert_int_eq(env_file_close(file), -EIO);
    ck_assert_uint_eq(mem_env_used(mem), 0);
}
END_TEST

START_TEST(test_a_failed_allocation_gives_null)
{
    void *buffer;

    fault_env_set(fault, (struct fault){ENV_CALL_ALLOCATE, 2, false, ENOMEM, false});
    buffer = env->allocate(env, 8192);
    ck_assert_ptr_nonnull(buffer);
    ck_assert_ptr_null(env->allocate(env, 8192));
    env->release(env, buffer, 8192);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fault_env");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_only_the_nth_call_of_its_kind_fails);
    tcase_add_test(tests, test_onwards_means_until_healed);
    tcase_add_test(tests, test_any_walks_through_every_call_that_can_fail);
    tcase_add_test(tests, test_calls_are_counted_by_kind);
    tcase_add_test(tests, test_a_failed_write_puts_nothing_or_half);
    tcase_add_test(tests, test_a_failed_sync_loses_what_was_unsynced);
    tcase_add_test(tests, test_a_failed_close_has_closed);
    tcase_add_test(tests, test_a_failed_allocation_gives_null);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
