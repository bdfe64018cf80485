/*
 * test_budgets.c - the bounds of what a store takes of the machine, each under a load that would
 * pass it: memory, descriptors, bytes that a sync has to write, tables of level 0, bytes of logs and
 * of MANIFEST, and the rate of merges.
 *
 * What is bounded is measured at the env (meter.h), not asked of the store.  Bounds stand here in
 * numbers, so that they do not move with the constants of the engine.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/meter.h"
#include "support/random.h"
#include "support/rig.h"
#include "support/suite.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)

#define THREADS 4u

static struct rig rig;
static const struct lsmkv_slice none = {NULL, 0};

/* Buffers and limits of a size at which a bound is told from none within seconds. */
static void
setup(void)
{
    rig_init(&rig);
    rig.options.write_buffer_size = 4 * MIB;
    rig.options.table_size = MIB;
    rig.options.level_base_size = 4 * MIB;
    rig.options.cache_size = MIB;
    meter_attach(rig.options.env);
}

static void
teardown(void)
{
    rig_fini(&rig);
}

/* ---- load ---- */

/* The values that a thread writes: for the table, for a blob file by way of the log, and for a blob
 * file at once. */
static const size_t sizes[] = {100, 1000, 5000, 64 << 10};

static struct load {
    pthread_t threads[THREADS];
    atomic_bool stop;
    atomic_uint_fast64_t bytes;
    atomic_uint failures;
    struct lsmkv_keyspace *keyspaces[THREADS];
} load;

static int
write_one(struct random *random, uint64_t number)
{
    static const char bytes[64 << 10];
    const size_t size = sizes[random_below(random, 4)];
    char key[40];

    snprintf(key, sizeof(key), "%08llx/%llu",
             (unsigned long long)random_below(random, 1 << 24),
             (unsigned long long)number);
    if (number % 16 == 0)
        return lsmkv_delete(rig.db, load.keyspaces[number / 16 % THREADS], lsmkv_str(key),
                            LSMKV_UNSYNCED);
    atomic_fetch_add(&load.bytes, size);
    return lsmkv_put(rig.db, load.keyspaces[number % THREADS], lsmkv_str(key), none,
                     lsmkv_bytes(bytes, size), number % 32 == 1 ? 0 : LSMKV_UNSYNCED);
}

static void *
write_on(void *argument)
{
    struct random random = random_of((uint64_t)(uintptr_t)argument);

    for (uint64_t number = 0; !atomic_load(&load.stop); number++)
        if (write_one(&random, number) != 0)
            atomic_fetch_add(&load.failures, 1);
    return NULL;
}

static void
load_begin(void)
{
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(
            pthread_create(&load.threads[i], NULL, write_on, (void *)(uintptr_t)(i + 1)),
            0);
}

static void
load_end(void)
{
    atomic_store(&load.stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(load.threads[i], NULL), 0);
    ck_assert_uint_eq(atomic_load(&load.failures), 0);
}

static void
await_bytes(uint64_t bytes)
{
    while (atomic_load(&load.bytes) < bytes)
        usleep(1000);
}

static void
make_keyspaces(void)
{
    for (unsigned i = 1; i < THREADS; i++) {
        char name[8];

        snprintf(name, sizeof(name), "%u", i);
        ck_assert_int_eq(
            lsmkv_keyspace_create(rig.db, name, LSMKV_ORDER_BYTES, &load.keyspaces[i]),
            0);
    }
}

/* ---- memory and logs ---- */

/* Three sets of memtables at the most, each a buffer, what the last group adds and what the arenas
 * have taken beyond; and the cache. */
START_TEST(test_writers_wait_for_a_flush_that_is_held_up_within_their_memory_and_logs)
{
    const uint64_t set = 4 * MIB + 2 * MIB;

    rig.options.direct_threshold = 0; /* all goes through memtables and logs */
    rig_open(&rig);
    make_keyspaces();
    meter_hold_tables();
    load_begin();
    while (rig_stats(&rig).stall_stops == 0) {
        ck_assert_uint_lt(meter_now(METER_LOGS), 64 * MIB);
        usleep(1000);
    }
    ck_assert_uint_le(meter_most(METER_MEMORY), 3 * set + 2 * MIB);
    ck_assert_uint_le(meter_most(METER_LOGS), 3 * set);
    ck_assert_uint_ge(meter_most(METER_MEMORY), 9 * MIB); /* they are measured */
    ck_assert_uint_ge(meter_most(METER_LOGS), 4 * MIB);
    /* Beside one more set, and its log, that are just going. */
    meter_let_tables_go();
    await_bytes(96 * MIB);
    load_end();
    ck_assert_uint_le(meter_most(METER_MEMORY), 4 * set + 4 * MIB);
    ck_assert_uint_le(meter_most(METER_LOGS), 4 * set);
}
END_TEST

/* Filters of memtables, too, are within the buffer, whatever number of keyspaces it is shared by. */
START_TEST(test_many_keyspaces_share_a_buffer)
{
    enum { KEYSPACES = 64, KEYS = 1100 };
    struct lsmkv_keyspace *keyspace;
    char name[32];

    rig.options.write_buffer_size = 64 * MIB;
    rig_open(&rig);
    for (unsigned i = 0; i < KEYSPACES; i++) {
        snprintf(name, sizeof(name), "many-%u", i);
        ck_assert_int_eq(lsmkv_keyspace_create(rig.db, name, LSMKV_ORDER_PATH, &keyspace),
                         0);
        for (unsigned n = 0; n < KEYS; n++) {
            snprintf(name, sizeof(name), "key/%u", n);
            ck_assert_int_eq(lsmkv_put(rig.db, keyspace, lsmkv_str(name), lsmkv_str(""),
                                       lsmkv_str("value"), LSMKV_UNSYNCED),
                             0);
        }
    }
    ck_assert_uint_eq(rig_stats(&rig).flushes, 0);
    ck_assert_uint_lt(rig_stats(&rig).memtable_bytes, 32 * MIB);
}
END_TEST

/* Room is made for all entries of a batch before it is logged: 616 bytes each, if all of them made
 * blocks of the skip list. */
START_TEST(test_a_batch_of_small_entries_takes_no_more_than_they_can_need)
{
    enum { ENTRIES = 100000, EACH = 230 };
    struct random random = random_of(random_seed());
    struct lsmkv_batch *batch;

    rig.options.write_buffer_size = 256 * MIB;
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    for (int i = 0; i < ENTRIES; i++) {
        uint64_t key = random_below(&random, UINT64_MAX);

        ck_assert_int_eq(lsmkv_batch_delete(batch, NULL, lsmkv_bytes(&key, sizeof(key))),
                         0);
    }
    ck_assert_int_eq(lsmkv_write(rig.db, batch, LSMKV_UNSYNCED), 0);
    ck_assert_uint_le(rig_stats(&rig).memtable_bytes, ENTRIES * EACH + MIB);
    ck_assert_uint_ge(rig_stats(&rig).memtable_bytes, ENTRIES * 24);
    lsmkv_batch_free(batch);
}
END_TEST

/* Keys that lie among those of other parts. */
static void
put_part(unsigned part, unsigned count)
{
    static const char value[1000];

    for (unsigned i = 0; i < count; i++) {
        char key[32];

        snprintf(key, sizeof(key), "key%05u-%05u", i, part);
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str(key), none,
                                   lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED),
                         0);
    }
}

/* A part a table of level 0, each of which a walk goes through from its beginning. */
static void
fill_level_0(unsigned tables)
{
    rig.options.l0_compaction_trigger = rig.options.l0_slowdown_trigger =
        rig.options.l0_stop_trigger = 1000;
    rig_open(&rig);
    for (unsigned i = 0; i < tables; i++) {
        put_part(i, 1500);
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    }
    rig_close(&rig); /* with it go the memtables' blocks */
    rig_open(&rig);
}

static void *
get_on(void *argument)
{
    struct random random = random_of((uint64_t)(uintptr_t)argument);
    struct lsmkv_record record;
    char buffer[1000], key[32];

    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "key%05u-%05u", (unsigned)random_below(&random, 1500),
                 (unsigned)random_below(&random, 24));
        if (lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key), buffer, sizeof(buffer),
                      &record) != 0)
            atomic_fetch_add(&load.failures, 1);
    }
    return NULL;
}

/* Bug: every table that a long walk goes through had a buffer of 256 KiB, beside the cache: 24 MiB
 * here. */
START_TEST(test_reading_takes_the_cache_and_what_is_pinned)
{
    enum { TABLES = 24, WALKS = 4, PINNED = 2 * TABLES * WALKS * 4500 };
    struct lsmkv_iter *iters[WALKS];
    unsigned count = 0;

    rig.options.cache_size = 4 * MIB;
    fill_level_0(TABLES);
    meter_reset();
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&load.threads[i], NULL, get_on, (void *)(i + 1)),
                         0);
    for (int i = 0; i < WALKS; i++) {
        const struct lsmkv_iter_options options = {0};

        ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &options, &iters[i]), 0);
        lsmkv_iter_first(iters[i]);
    }
    /* Abreast, and further than what makes a walk a long one: a MiB of each table. */
    for (; count < TABLES * 1500 && lsmkv_iter_valid(iters[0]); count++)
        for (int i = 0; i < WALKS; i++)
            lsmkv_iter_next(iters[i]);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(load.threads[i], NULL), 0);
    for (int i = 0; i < WALKS; i++) {
        ck_assert_int_eq(lsmkv_iter_status(iters[i]), 0);
        lsmkv_iter_free(iters[i]);
    }
    ck_assert_uint_eq(atomic_load(&load.failures), 0);
    ck_assert_uint_eq(count, TABLES * 1500);
    ck_assert_uint_le(meter_most(METER_MEMORY), 4 * MIB + PINNED + 256 * KIB);
    ck_assert_uint_ge(meter_most(METER_MEMORY), 3 * MIB);
}
END_TEST

/* Bug: what open tables keep of themselves was in no budget. */
START_TEST(test_filters_leave_less_of_the_cache_to_blocks)
{
    enum { TABLES = 24 };

    rig.options.cache_size = 2 * MIB;
    rig.options.filter_bits_per_key = 200;
    fill_level_0(TABLES);
    /* Else reading would have a merge begin, with buffers of its own. */
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, lsmkv_str(""), none), 0);
    for (int i = 0; i < 4; i++)
        (void)get_on((void *)(uintptr_t)(i + 1));
    ck_assert_uint_eq(atomic_load(&load.failures), 0);
    ck_assert_uint_le(rig_stats(&rig).cache_bytes, 2 * MIB);
    ck_assert_uint_le(meter_now(METER_MEMORY), 2 * MIB + 64 * KIB);
    ck_assert_uint_ge(meter_now(METER_MEMORY), MIB);
}
END_TEST

/* ---- descriptors ---- */

static void *
read_on(void *argument)
{
    struct random random = random_of((uint64_t)(uintptr_t)argument);

    while (!atomic_load(&load.stop)) {
        const struct lsmkv_iter_options options = {0};
        struct lsmkv_iter *iter;
        char key[16];

        if (lsmkv_iter_new(rig.db, load.keyspaces[random_below(&random, THREADS)],
                           &options, &iter) != 0) {
            atomic_fetch_add(&load.failures, 1);
            continue;
        }
        snprintf(key, sizeof(key), "%08llx",
                 (unsigned long long)random_below(&random, 1 << 24));
        lsmkv_iter_seek(iter, lsmkv_str(key));
        for (int i = 0; i < 20 && lsmkv_iter_valid(iter); i++)
            lsmkv_iter_next(iter);
        if (lsmkv_iter_status(iter) != 0)
            atomic_fetch_add(&load.failures, 1);
        lsmkv_iter_free(iter);
    }
    return NULL;
}

/* Beside those of tables: one a reader, one a log and one a blob file that is being written, what
 * flush and merge make, MANIFEST. */
START_TEST(test_many_files_are_read_and_written_with_few_open)
{
    pthread_t readers[THREADS];
    struct lsmkv_stats stats;

    rig.options.max_open_tables = 8;
    rig.options.write_buffer_size = 256 * KIB;
    rig.options.table_size = 32 * KIB;
    rig_open(&rig);
    make_keyspaces();
    for (unsigned i = 0; i < 16; i++)
        put_part(i, 500);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    load_begin();
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_on, (void *)(i + 100)),
                         0);
    await_bytes(16 * MIB);
    load_end();
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(readers[i], NULL), 0);
    ck_assert_uint_eq(atomic_load(&load.failures), 0);
    stats = rig_stats(&rig);
    ck_assert_uint_ge(stats.tables, 100);
    ck_assert_uint_le(meter_most(METER_FILES), 8 + 2 * THREADS + 24);
}
END_TEST

/* ---- what a sync waits for ---- */

/* A stream into which a sync comes late.  To the log and through it, or to a blob file at once. */
static void
stream(size_t size, uint64_t bytes)
{
    static const char value[MIB];

    for (uint64_t written = 0; written < bytes; written += size) {
        uint64_t key = written;

        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_bytes(&key, sizeof(key)), none,
                                   lsmkv_bytes(value, size), LSMKV_UNSYNCED),
                         0);
    }
    ck_assert_int_eq(lsmkv_sync(rig.db), 0);
}

START_TEST(test_a_sync_behind_a_stream_has_some_mebibytes_to_write)
{
    static const struct {
        size_t size;
        enum meter_what what;
    } streams[] = {{16 << 10, METER_LOG_DIRTY}, {1 << 20, METER_BLOB_DIRTY}};

    rig.options.write_buffer_size = 64 * MIB;
    rig.options.table_size = 16 * MIB;
    rig_open(&rig);
    for (size_t i = 0; i < 2; i++) {
        meter_reset();
        stream(streams[i].size, 26 * MIB);
        ck_assert_uint_ge(meter_most(streams[i].what), 1); /* it is measured */
        ck_assert_uint_le(meter_most(streams[i].what), 4 * MIB + streams[i].size + KIB);
    }
    /* What a flush and a merge write is synced when it is whole. */
    put_part(0, 8000);
    meter_reset();
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, lsmkv_str(""), none), 0);
    ck_assert_uint_le(meter_most(METER_TABLE_DIRTY), MIB);
    ck_assert_uint_le(meter_most(METER_BLOB_DIRTY), 4 * MIB + MIB);
}
END_TEST

/* ---- a level 0 that is not merged ---- */

static void (*real_sleep)(struct lsmkv_env *env, uint64_t nanoseconds);
static pthread_t writer;
static unsigned naps; /* the writer's */

static void
noted_sleep(struct lsmkv_env *env, uint64_t nanoseconds)
{
    if (pthread_equal(pthread_self(), writer) != 0)
        naps++;
    real_sleep(env, nanoseconds);
}

/* Every put while there are tables enough is slowed, none before, and none is stopped: not until
 * there are as many as that takes, and then only by who needs another set of memtables. */
START_TEST(test_writers_are_slowed_down_before_they_are_stopped)
{
    enum { SLOW = 4, STOP = 6, PUTS = 50 };

    rig.options.l0_compaction_trigger = 2;
    rig.options.l0_slowdown_trigger = SLOW;
    rig.options.l0_stop_trigger = STOP;
    real_sleep = rig.options.env->sleep;
    rig.options.env->sleep = noted_sleep;
    writer = pthread_self();
    meter_hold_merges();
    rig_open(&rig);
    make_keyspaces();
    for (unsigned tables = 0; tables <= STOP; tables++) {
        unsigned slowed = tables < SLOW ? 0 : (tables + 1 - SLOW) * PUTS;

        put_part(tables, PUTS);
        ck_assert_uint_eq(rig_stats(&rig).stall_slowdowns, slowed);
        ck_assert_uint_eq(naps, slowed);
        ck_assert_uint_eq(rig_stats(&rig).stall_stops, 0);
        if (tables < STOP)
            ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    }
    ck_assert_uint_eq(rig_stats(&rig).tables, STOP);
    load_begin();
    while (rig_stats(&rig).stall_stops == 0)
        usleep(1000);
    ck_assert_uint_eq(rig_stats(&rig).tables, STOP);
    meter_let_merges_go();
    await_bytes(16 * MIB);
    load_end();
    ck_assert_uint_ge(rig_stats(&rig).compactions, 1);
}
END_TEST

/* ---- MANIFEST ---- */

START_TEST(test_a_manifest_stays_near_a_mebibyte)
{
    static char key[8 << 10];

    rig.options.level_base_size = MIB;
    rig_open(&rig);
    memset(key, 'k', sizeof(key));
    for (unsigned i = 0; i < 250; i++) {
        key[sizeof(key) - 1] = (char)('a' + i % 4);
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_bytes(key, sizeof(key)), none,
                                   lsmkv_str("value"), LSMKV_UNSYNCED),
                         0);
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
        /* The bound follows the tables that there are: they are to stay few. */
        if (i % 4 == 3)
            ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    }
    ck_assert_uint_ge(rig_stats(&rig).manifest_bytes, 6 * MIB);
    /* The old one and the one that is to replace it. */
    ck_assert_uint_le(meter_most(METER_MANIFEST), 2 * MIB);
    ck_assert_uint_ge(meter_most(METER_MANIFEST), 512 * KIB);
}
END_TEST

/* ---- the rate of merges ---- */

static uint64_t
milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

START_TEST(test_merges_write_no_more_than_their_rate)
{
    struct lsmkv_stats before, after;
    uint64_t begin, took, written;

    rig.options.compaction_rate = 4 * MIB;
    fill_level_0(2);
    before = rig_stats(&rig);
    begin = milliseconds();
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, lsmkv_str(""), none), 0);
    took = milliseconds() - begin;
    after = rig_stats(&rig);
    written = after.compaction_bytes_written - before.compaction_bytes_written;
    ck_assert_uint_ge(written, 2 * MIB);
    ck_assert_uint_ge(took + 100, written * 1000 / (4 * MIB));
}
END_TEST

/* At that rate writers would stop for ever; nor does closing wait for it. */
START_TEST(test_merges_keep_to_no_rate_while_writers_wait)
{
    rig.options.compaction_rate = 1;
    rig.options.write_buffer_size = 64 * KIB;
    rig.options.l0_compaction_trigger = 2;
    rig.options.l0_slowdown_trigger = 4;
    rig.options.l0_stop_trigger = 6;
    rig_open(&rig);
    for (unsigned i = 0; i < 8; i++)
        put_part(i, 500);
    ck_assert_uint_ge(rig_stats(&rig).compactions, 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("budgets");
    TCase *tests = tcase_create("budgets");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(
        tests,
        test_writers_wait_for_a_flush_that_is_held_up_within_their_memory_and_logs);
    tcase_add_test(tests, test_many_keyspaces_share_a_buffer);
    tcase_add_test(tests, test_a_batch_of_small_entries_takes_no_more_than_they_can_need);
    tcase_add_test(tests, test_reading_takes_the_cache_and_what_is_pinned);
    tcase_add_test(tests, test_filters_leave_less_of_the_cache_to_blocks);
    tcase_add_test(tests, test_many_files_are_read_and_written_with_few_open);
    tcase_add_test(tests, test_a_sync_behind_a_stream_has_some_mebibytes_to_write);
    tcase_add_test(tests, test_writers_are_slowed_down_before_they_are_stopped);
    tcase_add_test(tests, test_a_manifest_stays_near_a_mebibyte);
    tcase_add_test(tests, test_merges_write_no_more_than_their_rate);
    tcase_add_test(tests, test_merges_keep_to_no_rate_while_writers_wait);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
