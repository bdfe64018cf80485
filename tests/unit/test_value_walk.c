/*
 * test_value_walk.c - a walk over values that were not put in the order of keys: where one has come
 * off the disk, reading of the next ones begins, and where none has, no call is spent on that.
 */
#include "direct_fixture.h"
#include "support/suite.h"

enum { COUNT = 97, STEP = 41, SLOW = 1000000 };

static struct lsmkv_env real;    /* its functions */
static _Thread_local bool walks; /* this thread does, just now */
static uint64_t clock_now, disk_time;
static unsigned reads, begun;
static uint64_t begun_at[COUNT];

static uint64_t
seen_monotonic(struct lsmkv_env *env)
{
    return walks ? clock_now : real.monotonic(env);
}

static ssize_t
seen_file_read(struct env_file *file, uint64_t offset, void *to, size_t size)
{
    bool waits = walks;

    for (unsigned i = 0; waits && i < begun; i++)
        waits = begun_at[i] != offset;
    if (walks)
        reads++;
    if (waits)
        clock_now += disk_time;
    return real.file_read(file, offset, to, size);
}

static void
seen_file_readahead(struct env_file *file, uint64_t offset, uint64_t size)
{
    if (walks) {
        ck_assert_uint_lt(begun, COUNT);
        begun_at[begun++] = offset;
    }
    real.file_readahead(file, offset, size);
}

/* Their order in the file is another than that of their keys. */
static void
set_up(void)
{
    struct lsmkv_env *env;

    prepare();
    rig.options.write_buffer_size = 4 << 20; /* one table: what is ahead is seen in one */
    env = rig.options.env;
    real = *env;
    env->monotonic = seen_monotonic;
    env->file_read = seen_file_read;
    env->file_readahead = seen_file_readahead;
    rig_open(&rig);
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert_int_eq(try_put(i * STEP % COUNT, 1), 0);
    flush();
    clock_now = reads = begun = 0;
}

static void
walk(void)
{
    struct lsmkv_iter *iter;
    unsigned count = 0;

    walks = true;
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter), count++) {
        struct lsmkv_slice value = lsmkv_iter_record(iter)->value;
        struct lsmkv_slice wanted = value_of(count, 1);

        ck_assert_uint_eq(value.size, wanted.size);
        ck_assert_int_eq(memcmp(value.data, wanted.data, wanted.size), 0);
    }
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    ck_assert_uint_eq(count, COUNT);
    lsmkv_iter_free(iter);
    walks = false;
}

START_TEST(test_what_waits_is_begun_for_several)
{
    disk_time = SLOW;
    walk();
    ck_assert_uint_gt(begun, COUNT * 3 / 4);
    /* Less than a fifth was waited for. */
    ck_assert_uint_lt(clock_now, UINT64_C(1) * SLOW * COUNT / 5);
}
END_TEST

/* What was begun before lies elsewhere. */
START_TEST(test_a_walk_that_goes_elsewhere_begins_anew)
{
    struct lsmkv_iter *iter;
    unsigned before;

    disk_time = SLOW;
    walks = true;
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    lsmkv_iter_first(iter);
    lsmkv_iter_next(iter);
    before = begun;
    ck_assert_uint_gt(before, 0);
    /* By itself a seek begins nothing. */
    lsmkv_iter_seek(iter, lsmkv_str(key_of(COUNT / 2)));
    ck_assert_uint_eq(begun, before);
    lsmkv_iter_next(iter);
    ck_assert_uint_gt(begun, before);
    lsmkv_iter_free(iter);
    walks = false;
}
END_TEST

START_TEST(test_what_is_in_memory_is_not_asked_for)
{
    disk_time = 1000;
    walk();
    ck_assert_uint_ge(reads, COUNT);
    ck_assert_uint_eq(begun, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("value_walk");
    TCase *tests = tcase_create("value_walk");

    tcase_add_checked_fixture(tests, set_up, teardown);
    tcase_add_test(tests, test_what_waits_is_begun_for_several);
    tcase_add_test(tests, test_a_walk_that_goes_elsewhere_begins_anew);
    tcase_add_test(tests, test_what_is_in_memory_is_not_asked_for);
    suite_add_tcase(suite, tests);

    return run_suite(suite);
}
