/*
 * test_cached.c - what a store's cache is left with: tables that merges replace take their blocks
 * along and what they were charged for, indexes leave less of it, walks give back the buffers that
 * they were lent, and reads that level 0 holds up have it merged.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/rig.h"

#define KIB     1024u
#define KEYS    2000u
#define ENTRIES 20000u /* of a walk that is a long one */
#define LONG    1000u  /* a key, and with it what an index has of a block */

static struct rig rig;
static size_t key_shared;
static const struct lsmkv_slice none = {NULL, 0};

static void
setup(void)
{
    rig_init(&rig);
    rig.options.write_buffer_size = 8192 * KIB; /* it is flushed when the test says so */
    rig.options.table_size = 8192 * KIB;
    rig.options.level_base_size = 65536 * KIB;
    rig.options.max_open_tables = 64;
    rig.options.l0_compaction_trigger = 100;
    rig.options.l0_slowdown_trigger = 200;
    rig.options.l0_stop_trigger = 300;
}

static void
teardown(void)
{
    rig_fini(&rig);
}

/* Behind so many letters that all keys share. */
static struct lsmkv_slice
key_of(unsigned i)
{
    static char key[LONG + 32];

    memset(key, 'k', key_shared);
    return lsmkv_bytes(key,
                       key_shared + (size_t)snprintf(key + key_shared, 32, "k%06u", i));
}

static void
put_all(unsigned count, size_t size)
{
    char value[512];

    memset(value, 'v', sizeof(value));
    value[size] = '\0';
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(
            lsmkv_put(rig.db, NULL, key_of(i), none, lsmkv_str(value), LSMKV_UNSYNCED),
            0);
    }
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
}

static void
merge(void)
{
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, lsmkv_str(""), none), 0);
}

static void
get_all(unsigned count)
{
    struct lsmkv_record record;
    char buffer[512];

    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(
            lsmkv_get(rig.db, NULL, NULL, key_of(i), buffer, sizeof(buffer), &record), 0);
    }
}

static uint64_t
cached(void)
{
    return rig_stats(&rig).cache_bytes;
}

/* They had been found often, and stayed for long. */
START_TEST(test_blocks_of_tables_that_a_merge_replaced_leave_the_cache)
{
    uint64_t empty, full;

    rig.options.cache_size = 4096 * KIB;
    rig_open(&rig);
    empty = cached();
    put_all(KEYS, 400);
    merge(); /* goes down as it is */
    put_all(KEYS, 400);
    for (int i = 0; i < 3; i++)
        get_all(KEYS);
    full = cached();
    ck_assert_uint_gt(full, empty + 600 * KIB);
    merge();
    ck_assert_uint_lt(cached(), empty + (full - empty) / 4);
    get_all(KEYS);
}
END_TEST

/* Else what is left for blocks would be a fourth of the cache after a while. */
START_TEST(test_tables_that_a_merge_replaced_are_charged_no_more)
{
    rig.options.cache_size = 1024 * KIB;
    rig.options.filter_bits_per_key = 200; /* 50 KiB a table */
    rig_open(&rig);
    for (int i = 0; i < 30; i++) {
        put_all(KEYS, 400);
        merge();
        get_all(1); /* loads index and filter */
    }
    for (int i = 0; i < 3; i++)
        get_all(KEYS);
    ck_assert_uint_gt(cached(), 500 * KIB);
}
END_TEST

/* No filter, and an index that is more than half of the cache.  Found by a mutant: only
 * filters were looked at. */
START_TEST(test_indexes_leave_less_of_the_cache_to_blocks)
{
    rig.options.cache_size = 1024 * KIB;
    rig.options.filter_bits_per_key = 0;
    key_shared = LONG;
    rig_open(&rig);
    put_all(KEYS, 500);
    for (int i = 0; i < 3; i++)
        get_all(KEYS);
    ck_assert_uint_gt(cached(), 200 * KIB);
    ck_assert_uint_lt(cached(), 500 * KIB);
}
END_TEST

/* The file reads of a walk over everything. */
static uint64_t
reads_of_a_walk(void)
{
    uint64_t before = fault_env_calls(rig.faults, ENV_CALL_FILE_READ);
    struct lsmkv_iter *iter;
    unsigned count = 0;

    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_free(iter);
    ck_assert_uint_eq(count, ENTRIES);
    return fault_env_calls(rig.faults, ENV_CALL_FILE_READ) - before;
}

/* A fourth of the cache is lent, or a MiB: a few walks' buffers. */
START_TEST(test_walks_give_back_what_they_were_lent)
{
    uint64_t first;

    rig.options.cache_size = 64 * KIB;
    rig_open(&rig);
    put_all(ENTRIES, 200);
    merge();
    (void)reads_of_a_walk(); /* opens the tables */
    first = reads_of_a_walk();
    for (int i = 0; i < 20; i++)
        ck_assert_uint_le(reads_of_a_walk(), first + first / 4);
    /* Whereas so many blocks were read. */
    ck_assert_uint_lt(first, ENTRIES / 60);
}
END_TEST

/* Two tables are few, until reads have asked the first in vain for as much as a merge costs. */
START_TEST(test_reads_that_level_0_holds_up_have_it_merged_and_no_others)
{
    struct lsmkv_stats before;

    rig.options.cache_size = 4096 * KIB;
    rig_open(&rig);
    put_all(KEYS, 100);
    merge();
    get_all(KEYS);
    before = rig_stats(&rig);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).compactions, before.compactions);
    put_all(KEYS, 50);
    put_all(1, 50);
    for (int i = 0; i < 60000; i++)
        get_all(1); /* from the newer one, which is asked first */
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).compactions, before.compactions);
    for (int i = 0; i < 40; i++)
        get_all(KEYS);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_gt(rig_stats(&rig).compactions, before.compactions);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cached");
    TCase *tcase = tcase_create("cached");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_blocks_of_tables_that_a_merge_replaced_leave_the_cache);
    tcase_add_test(tcase, test_tables_that_a_merge_replaced_are_charged_no_more);
    tcase_add_test(tcase, test_indexes_leave_less_of_the_cache_to_blocks);
    tcase_add_test(tcase, test_walks_give_back_what_they_were_lent);
    tcase_add_test(tcase, test_reads_that_level_0_holds_up_have_it_merged_and_no_others);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
