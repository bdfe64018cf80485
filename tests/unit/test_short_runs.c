/*
 * test_short_runs.c - a store that is opened, written to a little and closed, again and again:
 * its logs are flushed together, its small blob files collected together, and neither become
 * ever more.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "env/env.h"
#include "support/rig.h"
#include "support/suite.h"

#define MIB    (UINT64_C(1) << 20)
#define SIZE   3000u /* of a value: it stands apart */
#define KEYS   20u
#define ROUNDS 200u

static struct rig rig;
static const struct lsmkv_slice none = {NULL, 0};

static void
setup(void)
{
    rig_init(&rig);
    rig.options.write_buffer_size = 4 * MIB;
    rig.options.table_size = MIB;
}

static void
teardown(void)
{
    rig_fini(&rig);
}

/* ---- values ---- */

static struct lsmkv_slice
key_of(unsigned key)
{
    static char name[32];

    snprintf(name, sizeof(name), "key/%06u", key);
    return lsmkv_str(name);
}

/* Of another size. */
static void
put_bytes(unsigned key, unsigned size)
{
    char bytes[SIZE];

    memset(bytes, (int)key, size);
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, key_of(key), none, lsmkv_bytes(bytes, size), 0), 0);
}

static void
fill(char *bytes, unsigned key, unsigned round)
{
    for (unsigned i = 0; i < SIZE; i++)
        bytes[i] = (char)(key * 7 + round * 31 + i);
}

static void
put(unsigned key, unsigned round)
{
    char bytes[SIZE];

    fill(bytes, key, round);
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, key_of(key), none, lsmkv_bytes(bytes, SIZE), 0), 0);
}

static void
expect(unsigned key, unsigned round)
{
    char wanted[SIZE], bytes[SIZE];
    struct lsmkv_record record;

    fill(wanted, key, round);
    ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, key_of(key), bytes, SIZE, &record), 0);
    ck_assert_uint_eq(record.value.size, SIZE);
    ck_assert_mem_eq(record.value.data, wanted, SIZE);
}

/* ---- files ---- */

struct census {
    const char *suffix;
    unsigned count;
};

static int
note_file(void *context, const char *name)
{
    struct census *census = context;
    size_t size = strlen(name), end = strlen(census->suffix);

    census->count += size > end && strcmp(name + size - end, census->suffix) == 0;
    return 0;
}

static unsigned
files(const char *suffix)
{
    struct census census = {.suffix = suffix};
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_list(dir, note_file, &census), 0);
    env_dir_close(dir);
    return census.count;
}

/* ---- a flush, or a merge, that is never done ---- */

static const char *held;

static int (*start_thread)(struct lsmkv_env *env, const char *name, void (*body)(void *),
                           void *argument, struct env_thread **thread);

static void
do_nothing(void *argument)
{
    (void)argument;
}

static int
start_others(struct lsmkv_env *env, const char *name, void (*body)(void *),
             void *argument, struct env_thread **thread)
{
    return start_thread(env, name, strcmp(name, held) == 0 ? do_nothing : body, argument,
                        thread);
}

static void
hold(const char *name)
{
    held = name;
    start_thread = rig.options.env->thread_start;
    rig.options.env->thread_start = start_others;
}

static void
let_go(void)
{
    rig.options.env->thread_start = start_thread;
}

/* ---- the tests ---- */

START_TEST(test_small_logs_are_flushed_together)
{
    hold("lsmkv-flush");
    for (unsigned round = 0; round < 10; round++) {
        rig_open(&rig);
        for (unsigned key = round; key < 10; key++) /* the later ones again and again */
            put(key, round);
        rig_close(&rig);
    }
    ck_assert_uint_ge(files(".log"), 10);
    let_go();
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).flushes, 1);
    ck_assert_uint_eq(files(".sst"), 1);
    ck_assert_uint_eq(files(".blob"), 1);
    ck_assert_uint_eq(files(".log"), 1);
    for (unsigned key = 0; key < 10; key++)
        expect(key, key);
    rig_kill(&rig); /* what the tables and the logs have, and not the memtables */
    rig_open(&rig);
    for (unsigned key = 0; key < 10; key++)
        expect(key, key);
}
END_TEST

/* Keyspaces that came later, and one that is gone. */
START_TEST(test_logs_of_other_keyspaces_are_flushed_together)
{
    struct lsmkv_keyspace *keyspace;
    char name[16];

    hold("lsmkv-flush");
    for (unsigned round = 0; round < 4; round++) {
        rig_open(&rig);
        snprintf(name, sizeof(name), "space-%u", round);
        ck_assert_int_eq(
            lsmkv_keyspace_create(rig.db, name, LSMKV_ORDER_BYTES, &keyspace), 0);
        ck_assert_int_eq(
            lsmkv_put(rig.db, keyspace, lsmkv_str("a"), none, lsmkv_str(name), 0), 0);
        put(round, 0);
        rig_close(&rig);
    }
    let_go();
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "space-1", &keyspace), 0);
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, keyspace), 0);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_kill(&rig);
    rig_open(&rig);
    for (unsigned round = 0; round < 4; round++) {
        struct lsmkv_record record;
        char bytes[64];

        expect(round, 0);
        snprintf(name, sizeof(name), "space-%u", round);
        if (round == 1) {
            ck_assert_int_eq(lsmkv_keyspace_open(rig.db, name, &keyspace), -ENOENT);
            continue;
        }
        ck_assert_int_eq(lsmkv_keyspace_open(rig.db, name, &keyspace), 0);
        ck_assert_int_eq(lsmkv_get(rig.db, keyspace, NULL, lsmkv_str("a"), bytes,
                                   sizeof(bytes), &record),
                         0);
        ck_assert_uint_eq(record.value.size, strlen(name));
    }
}
END_TEST

/* Those that do not fit a write buffer together are not. */
START_TEST(test_large_logs_are_flushed_by_themselves)
{
    hold("lsmkv-flush");
    for (unsigned round = 0; round < 3; round++) {
        rig_open(&rig);
        for (unsigned key = 0; key < 800; key++) /* 2.4 MB */
            put(1000 * round + key, round);
        rig_close(&rig);
    }
    let_go();
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).flushes, 3);
}
END_TEST

START_TEST(test_logs_are_not_left_for_ever)
{
    hold("lsmkv-flush");
    for (unsigned round = 0; round < 40; round++) {
        rig_open(&rig);
        put(round % KEYS, round);
        rig_close(&rig);
        ck_assert_uint_le(files(".log"), 17);
    }
    rig_open(&rig);
    for (unsigned round = 20; round < 40; round++)
        expect(round % KEYS, round);
}
END_TEST

/* Of 200 flushes, each with a blob file. */
START_TEST(test_small_blob_files_are_collected_together)
{
    unsigned most = 0;

    rig_open(&rig);
    for (unsigned round = 0; round < ROUNDS; round++) {
        rig_put(&rig, "a", "short"); /* so that tables lie over one another */
        put(round, round);
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
        if (round % 10 == 9) {
            ck_assert_int_eq(lsmkv_settle(rig.db), 0);
            most = files(".blob") > most ? files(".blob") : most;
        }
    }
    ck_assert_uint_le(most, 32 + 10);
    ck_assert_uint_ge(most, 20); /* they were not few by another way */
    for (unsigned round = 0; round < ROUNDS; round++)
        expect(round, round);
    /* Each value was written some times, not each time. */
    ck_assert_uint_le(rig_stats(&rig).blob_bytes_written, UINT64_C(8) * ROUNDS * SIZE);
    rig_kill(&rig);
    rig_open(&rig);
    for (unsigned round = 0; round < ROUNDS; round++)
        expect(round, round);
}
END_TEST

/* As many tables as small files: to make fewer of these is not to be had, and not tried. */
START_TEST(test_small_blob_files_of_many_tables_stay)
{
    struct lsmkv_stats before, after;

    rig.options.table_size = 4096; /* a table each few keys */
    rig_open(&rig);
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 40; i++) /* what fills tables */
            put_bytes(round * 1000 + i + 1, 1000);
        put(round * 1000, round);
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    }
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0); /* that ends */
    before = rig_stats(&rig);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    after = rig_stats(&rig);
    ck_assert_uint_eq(before.compactions, after.compactions);
    for (unsigned round = 0; round < 60; round++)
        expect(round * 1000, round);
}
END_TEST

/* All of them together had no room, so the logs stayed, which one by one give theirs back. */
START_TEST(test_small_logs_are_flushed_on_a_full_disk)
{
    hold("lsmkv-flush");
    for (unsigned round = 0; round < 12; round++) {
        rig_open(&rig);
        for (unsigned key = 0; key < 80; key++) /* 240 KB */
            put(1000 * round + key, round);
        rig_close(&rig);
    }
    let_go();
    mem_env_set_capacity(rig.memory, mem_env_used(rig.memory) + (700u << 10));
    rig.options.space_reserve = 30 * MIB; /* a large disk that others filled */
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    for (unsigned round = 0; round < 12; round++)
        expect(1000 * round, round);
}
END_TEST

/* 72 of 12 tables, and runs that end when one of these was written.  It always was the
 * same. */
START_TEST(test_small_blob_files_are_collected_in_short_runs)
{
    const struct timespec moment = {0, 1000000};

    rig.options.l0_slowdown_trigger = rig.options.l0_stop_trigger = 1000;
    rig.options.table_size = 128 << 10;
    hold("lsmkv-compact");
    rig_open(&rig);
    for (unsigned table = 0; table < 12; table++)
        for (unsigned i = 0; i < 130; i++)
            put_bytes(table * 1000 + i, 1000);
    for (unsigned round = 0; round < 72; round++) {
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
        put(round % 12 * 1000 + 60 + round / 12, round);
    }
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    rig_close(&rig);
    let_go();
    ck_assert_uint_ge(files(".blob"), 72);
    rig.options.compaction_rate = MIB; /* an eighth of a second a table */
    for (unsigned run = 0; run < 20 && files(".blob") > 32; run++) {
        rig_open(&rig);
        for (unsigned i = 0; i < 2000 && rig_stats(&rig).compactions == 0; i++)
            nanosleep(&moment, NULL);
        rig_close(&rig);
    }
    ck_assert_uint_le(files(".blob"), 32);
    rig_open(&rig);
    for (unsigned round = 0; round < 72; round++)
        expect(round % 12 * 1000 + 60 + round / 12, round);
}
END_TEST

/* A large one, of which more than half is dead, but less than the tables that refer to it.
 * Because of small ones these were all written again. */
START_TEST(test_what_is_not_worth_it_is_not_collected_with_small_ones)
{
    struct lsmkv_stats before, after;

    rig_open(&rig);
    for (unsigned i = 0; i < 1000; i++)
        put(i * 10, 0);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    for (unsigned i = 0; i < 7000; i++)
        put_bytes(i / 7 * 10 + i % 7 + 1, 1500); /* 10 MB of tables */
    for (unsigned i = 0; i < 1000; i++)
        if (i % 16 < 9)
            put_bytes(i * 10, 100);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    before = rig_stats(&rig);
    ck_assert_uint_gt(before.blob_dead_bytes, 3 * MIB / 2);
    for (unsigned round = 0; round < 60; round++) {
        put_bytes(900000, 20); /* so that tables lie over one another */
        put(900001 + round % 40, round);
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    }
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    after = rig_stats(&rig);
    ck_assert_uint_lt(files(".blob"), 40); /* the small ones were */
    ck_assert_uint_lt(after.compaction_bytes_written - before.compaction_bytes_written,
                      2 * MIB);
}
END_TEST

/* What was looked at on the way is nothing that failed. */
START_TEST(test_a_store_that_is_read_closes_without_detail)
{
    rig_open(&rig);
    rig_close(&rig);
    rig.options.read_only = true;
    rig_open(&rig);
    rig_close(&rig);
    ck_assert_str_eq(lsmkv_error_detail(), "");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("short_runs");
    TCase *cases = tcase_create("short_runs");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_small_logs_are_flushed_together);
    tcase_add_test(cases, test_logs_of_other_keyspaces_are_flushed_together);
    tcase_add_test(cases, test_large_logs_are_flushed_by_themselves);
    tcase_add_test(cases, test_logs_are_not_left_for_ever);
    tcase_add_test(cases, test_small_blob_files_are_collected_together);
    tcase_add_test(cases, test_small_blob_files_of_many_tables_stay);
    tcase_add_test(cases, test_small_logs_are_flushed_on_a_full_disk);
    tcase_add_test(cases, test_small_blob_files_are_collected_in_short_runs);
    tcase_add_test(cases, test_what_is_not_worth_it_is_not_collected_with_small_ones);
    tcase_add_test(cases, test_a_store_that_is_read_closes_without_detail);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
