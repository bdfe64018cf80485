/*
 * test_reclaim.c - what is deleted comes free without any write: at once where the disk is full,
 * and in time where it is not.
 */
#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/fault_env.h"
#include "support/random.h"
#include "support/rig.h"
#include "support/suite.h"

#define VALUE 3000u

static struct rig rig;
static char value[VALUE];
static const struct lsmkv_slice none = {NULL, 0};

static void
setup(void)
{
    rig_init(&rig);
    rig.options.blob_threshold = 0; /* test_blob_store.c has those */
}

static void
teardown(void)
{
    rig_fini(&rig);
}

static const char *
key_of(unsigned i)
{
    static char key[16];

    snprintf(key, sizeof(key), "k%07u", i);
    return key;
}

static int
put(unsigned i)
{
    struct random random = random_of(i);

    for (unsigned at = 0; at < VALUE; at++)
        value[at] = (char)random_next(&random);
    return lsmkv_put(rig.db, NULL, lsmkv_str(key_of(i)), none, lsmkv_bytes(value, VALUE),
                     LSMKV_UNSYNCED);
}

static int delete (unsigned i)
{
    return lsmkv_delete(rig.db, NULL, lsmkv_str(key_of(i)), LSMKV_UNSYNCED);
}

/* A disk of so many bytes, and puts until it takes no more.  How many it took. */
static unsigned
fill(uint64_t bytes)
{
    unsigned count = 0;
    int result;

    mem_env_set_capacity(rig.memory, bytes);
    rig_open(&rig);
    while ((result = put(count)) == 0)
        count++;
    ck_assert_int_eq(result, -ENOSPC);
    ck_assert_uint_gt(count, bytes / 2 / VALUE);
    return count;
}

static void
delete_each(unsigned count, unsigned step, unsigned first)
{
    for (unsigned i = first; i < count; i += step)
        ck_assert_int_eq(delete (i), 0);
}

static uint64_t
free_now(void)
{
    return rig_stats(&rig).free_bytes;
}

/* Each is there that should be, and says what it should. */
static void
expect_rest(unsigned count, unsigned step, unsigned first)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(
            lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str(key_of(i)), false, NULL, 0, NULL),
            i % step == first ? LSMKV_ABSENT : LSMKV_EXACT);
}

/* All that was deleted stayed where it was: tombstones wait for writes to move them, and there
 * were none. */
START_TEST(test_deletes_alone_free_a_full_disk)
{
    const uint64_t disk = 24 << 20;
    unsigned count = fill(disk);

    delete_each(count, 1, 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_gt(free_now(), disk / 3);
    for (unsigned i = 0; i < count / 3; i++)
        ck_assert_int_eq(put(i), 0);
    expect_rest(count / 3, count, count);
}
END_TEST

/* Few tombstones are a table that lies over all others: the one merge that took them down had to
 * rewrite the whole store, for which there is no room (C5). */
START_TEST(test_few_deletes_all_over_the_store_free_theirs)
{
    unsigned count = fill(24 << 20);
    uint64_t before = rig_stats(&rig).table_bytes, deleted = count / 20 * VALUE;

    delete_each(count, 20, 7);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    /* The log held some; and tables are cut at other places. */
    ck_assert_uint_lt(rig_stats(&rig).table_bytes, before - deleted / 2);
    expect_rest(count, 20, 7);
}
END_TEST

/* As who writes to a full disk should: a merge that is under way holds its inputs, too, and when it
 * is done there may be room. */
static int
put_patiently(unsigned i)
{
    int result = put(i);

    for (unsigned tries = 0; result == -ENOSPC && tries < 10; tries++)
        result = lsmkv_wait_for_space(rig.db, 60000) == 0 ? put(i) : -ENOSPC;
    return result;
}

/* Of a disk of up to a gigabyte a third of the keys freed nothing: the merge did not fit the
 * reserve, an eighth, with the sizes that a large disk has. */
START_TEST(test_a_small_disk_has_room_for_a_merge)
{
    struct lsmkv_options defaults;
    unsigned count, stored;

    lsmkv_options_init(&defaults);
    rig.options.write_buffer_size = defaults.write_buffer_size;
    rig.options.table_size = defaults.table_size;
    rig.options.level_base_size = defaults.level_base_size;
    count = fill(48 << 20);
    delete_each(count, 3, 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    expect_rest(count, 3, 0);
    for (stored = 0; stored < count / 5; stored++)
        ck_assert_int_eq(put_patiently(count + stored), 0);
    ck_assert_int_eq(rig.errors, 0);
}
END_TEST

/* Whether all merges are done: tombstones that free nothing take of the reserve, and then some
 * need not fit. */
static bool
settles(void)
{
    int result = lsmkv_settle(rig.db);

    ck_assert(result == 0 || result == -ENOSPC);
    return result == 0;
}

/* R2: what a snapshot holds is not merged over and over; when it goes, its space comes. */
START_TEST(test_what_a_snapshot_holds_comes_free_with_it)
{
    struct lsmkv_snapshot_info info;
    struct lsmkv_stats before, after;
    unsigned count = fill(24 << 20);
    bool all_done;

    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "held", &info), 0);
    delete_each(count, 2, 1);
    all_done = settles();
    before = rig_stats(&rig);
    ck_assert_int_eq(put(0), -ENOSPC);
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 10000), -ENOSPC);
    all_done = settles() && all_done;
    after = rig_stats(&rig);
    if (all_done)
        ck_assert_uint_eq(after.compactions, before.compactions); /* R1 */
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "held"), 0);
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
    ck_assert_int_eq(put(0), 0);
    expect_rest(count, 2, 1);
}
END_TEST

/* Nobody is there to delete when a full store is opened; then somebody is. */
START_TEST(test_a_store_that_is_opened_full_can_be_emptied)
{
    unsigned count = fill(24 << 20);

    rig_close(&rig);
    rig_open(&rig);
    ck_assert_int_eq(put(count), -ENOSPC);
    delete_each(count, 2, 1);
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_int_eq(put(count), 0);
    expect_rest(count, 2, 1);
}
END_TEST

/* R3: one damaged table kept all others from being merged. */
START_TEST(test_a_merge_that_fails_does_not_end_the_round)
{
    unsigned count = fill(24 << 20);
    uint64_t before = free_now();

    fault_env_set(rig.faults,
                  (struct fault){.call = ENV_CALL_FILE_READ, .nth = 40, .error = EIO});
    delete_each(count, 1, 0);
    for (unsigned waited = 0; waited < 3000 && free_now() < before + (8 << 20); waited++)
        rig.options.env->sleep(rig.options.env, 10000000);
    ck_assert_uint_ge(free_now(), before + (8 << 20));
}
END_TEST

/* A store that is short of space, of whose round nothing comes; then there is space again. */
static uint64_t
open_after_a_shortage(void)
{
    uint64_t reserve = rig.options.space_reserve = 1 << 20;

    rig_open(&rig);
    mem_env_set_capacity(rig.memory, reserve);
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), -ENOSPC);
    mem_env_set_capacity(rig.memory, 4 * reserve);
    return reserve;
}

/* Only rounds were waited for: who waited while a flush was to be tried again, whose log holds the
 * space, was told that nothing would come. */
START_TEST(test_a_flush_that_is_due_is_waited_for)
{
    uint64_t reserve = open_after_a_shortage();

    fault_env_set(rig.faults, (struct fault){.call = ENV_CALL_FILE_OPEN,
                                             .nth = 2,
                                             .error = EIO}); /* its table */
    for (unsigned i = 0; i < 30; i++)                        /* of which one stays */
        ck_assert_int_eq(put(0), 0);
    while (fault_env_failures(rig.faults) == 0)
        rig.options.env->sleep(rig.options.env, 1000000);
    mem_env_set_capacity(rig.memory, mem_env_used(rig.memory) + reserve - (16 << 10));
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
    ck_assert_uint_eq(rig_stats(&rig).flushes, 1);
}
END_TEST

/* R5: what the few tables of level 0 hide stayed, for puts that would have made them more were
 * refused. */
START_TEST(test_what_was_overwritten_comes_free)
{
    uint64_t reserve = open_after_a_shortage();

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 15; i++)
            ck_assert_int_eq(put(i), 0);
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    }
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).tables, 3);
    mem_env_set_capacity(rig.memory, mem_env_used(rig.memory) + reserve - (16 << 10));
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_int_eq(put(0), 0);
    expect_rest(15, 15, 15);
}
END_TEST

/* R1: each look into a snapshot, which is a second pin of what it sees, and lets go of it again,
 * had all that it keeps rewritten. */
START_TEST(test_looking_into_a_snapshot_begins_no_round)
{
    struct lsmkv_snapshot_info info;
    struct lsmkv_snapshot *look;
    struct lsmkv_stats before;
    unsigned count = fill(24 << 20);

    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "held", &info), 0);
    delete_each(count / 4, 2, 1);
    ck_assert(settles());
    before = rig_stats(&rig);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "held", &look, NULL), 0);
        lsmkv_snapshot_release(rig.db, look);
        ck_assert(settles());
    }
    ck_assert_uint_eq(rig_stats(&rig).compaction_bytes_written,
                      before.compaction_bytes_written);
}
END_TEST

/* No tombstone says what of it a snapshot kept, and kept it stayed. */
START_TEST(test_what_was_overwritten_under_a_snapshot_comes_free_with_it)
{
    const uint64_t disk = 24 << 20;
    struct lsmkv_snapshot_info info;
    unsigned count = 0, more;

    mem_env_set_capacity(rig.memory, disk);
    rig_open(&rig);
    while (free_now() > disk / 8 * 5)
        ck_assert_int_eq(put(count++), 0);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "held", &info), 0);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(put(i), 0);
    more = count;
    do { /* what is merged meanwhile may leave room for a few */
        while (put(more) == 0)
            more++;
        (void)settles();
    } while (put(more) == 0);
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "held"), 0);
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
    ck_assert(settles());
    ck_assert_uint_gt(free_now(), disk / 4);
    expect_rest(more, more, more);
}
END_TEST

/* The round waited for the writer's turn, and who had it for a merge. */
START_TEST(test_a_writer_that_stops_at_level_0_is_no_deadlock)
{
    unsigned count;

    rig.options.write_buffer_size = 16 << 10;
    rig.options.space_reserve = 4 << 20;
    rig.options.l0_stop_trigger = 4;
    count = fill(24 << 20);
    for (unsigned round = 0; round < 10; round++)
        for (unsigned i = 0; i < count; i++) {
            int result = delete (i);

            ck_assert(result == 0 || result == -ENOSPC);
        }
    ck_assert(settles());
}
END_TEST

/* Each try that found no merge that had not just failed counted as a success, so that the failure
 * was told to nobody, and the writer waited for ever. */
START_TEST(test_a_writer_that_waits_for_merges_is_told_that_they_fail)
{
    unsigned count = 0;
    int result;

    rig.options.l0_slowdown_trigger = 6;
    rig.options.l0_stop_trigger = 8;
    rig_open(&rig);
    fault_env_set(rig.faults, (struct fault){.call = ENV_CALL_FILE_READ,
                                             .nth = 1,
                                             .onwards = true,
                                             .error = EIO});
    while ((result = put(count % 30)) == 0 && count < 20000)
        count++;
    ck_assert_int_eq(result, -EIO);
    fault_env_heal(rig.faults);
}
END_TEST

/* ---- on a disk with space enough (R4) ---- */

static void
put_settled(unsigned count)
{
    rig_open(&rig);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(put(i), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
}

/* Whether it comes to that by itself. */
static bool
tables_shrink_to(uint64_t bytes)
{
    for (unsigned waited = 0; waited < 3000; waited++) {
        if (rig_stats(&rig).table_bytes <= bytes)
            return true;
        env_posix()->sleep(env_posix(), 10000000);
    }
    return false;
}

/* A store that was emptied and then left alone kept its size for ever. */
START_TEST(test_what_is_deleted_goes_when_all_is_quiet)
{
    const unsigned count = 2000;

    rig_hurry(&rig);
    put_settled(count);
    delete_each(count, 1, 0);
    /* Where sleep takes no time a round may begin before the last are deleted, and too few be left
     * for another. */
    ck_assert(tables_shrink_to(count * (uint64_t)VALUE / 3));
    expect_rest(count, 1, 0);
}
END_TEST

START_TEST(test_what_was_deleted_before_opening_goes_too)
{
    const unsigned count = 2000;

    put_settled(count);
    delete_each(count, 2, 0);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_close(&rig);
    rig_hurry(&rig);
    rig_open(&rig);
    ck_assert(tables_shrink_to(count * (uint64_t)VALUE / 5 * 3));
    expect_rest(count, 2, 0);
}
END_TEST

/* Every so many of the compaction thread's sleeps something small is put; 0: nothing is.  At the
 * 600th, three times as many as a round waits for, it is seen how often has been flushed. */
static void (*sleep_only)(struct lsmkv_env *env, uint64_t nanoseconds);
static atomic_uint put_each, sleeps;
static atomic_bool is_open;
static uint64_t flushes_before;
static atomic_uint_fast64_t flushes_at_600 = UINT64_MAX;

static void
sleep_and_put(struct lsmkv_env *env, uint64_t nanoseconds)
{
    unsigned each = atomic_load(&put_each), now;

    sleep_only(env, nanoseconds);
    while (!atomic_load(&is_open))
        env_posix()->sleep(env_posix(), 1000000);
    now = atomic_fetch_add(&sleeps, 1) + 1;
    if (each > 0 && now % each == 0)
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("z"), none, lsmkv_str("now"),
                                   LSMKV_UNSYNCED),
                         0);
    if (now == 600)
        atomic_store(&flushes_at_600, rig_stats(&rig).flushes);
}

/* Opens a store of which half is deleted, and goes on writing. */
static void
open_half_deleted(unsigned count, unsigned each)
{
    put_settled(count);
    delete_each(count, 2, 0);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_close(&rig);
    rig_hurry(&rig);
    sleep_only = rig.options.env->sleep;
    rig.options.env->sleep = sleep_and_put;
    atomic_store(&put_each, each);
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    flushes_before = rig_stats(&rig).flushes;
    atomic_store(&is_open, true);
}

/* Something written every few seconds, a line of a log, kept what was deleted for ever: that was not
 * quiet, and filled no level either. */
START_TEST(test_what_is_deleted_goes_though_a_little_is_written)
{
    const unsigned count = 2000;

    open_half_deleted(count, 50);
    ck_assert(tables_shrink_to(count * (uint64_t)VALUE / 5 * 3));
    atomic_store(&put_each, 0);
    expect_rest(count, 2, 0);
}
END_TEST

START_TEST(test_no_round_begins_while_much_is_written)
{
    const unsigned count = 2000;

    open_half_deleted(count, 4);
    while (atomic_load(&sleeps) <= 600 && rig_stats(&rig).flushes == flushes_before)
        env_posix()->sleep(env_posix(), 1000000);
    atomic_store(&put_each, 0);
    ck_assert(atomic_load(&flushes_at_600) == flushes_before);
    ck_assert(tables_shrink_to(count * (uint64_t)VALUE / 5 * 3));
}
END_TEST

/* A round, which comes behind 200 sleeps, is held where it makes its first table. */
static int (*open_only)(struct env_dir *dir, const char *name, enum env_open how,
                        struct env_file **file);
static atomic_bool is_held, may_go;
static atomic_uint
    rested; /* sleeps from then to the last one before anything was flushed */

static int
hold_first_table(struct env_dir *dir, const char *name, enum env_open how,
                 struct env_file **file)
{
    bool is_table = how == ENV_CREATE && strstr(name, ".sst") != NULL;

    if (is_table && atomic_load(&sleeps) >= 200)
        atomic_store(&is_held, true);
    while (is_table && atomic_load(&is_held) && !atomic_load(&may_go))
        env_posix()->sleep(env_posix(), 1000000);
    return open_only(dir, name, how, file);
}

static void
sleep_and_count(struct lsmkv_env *env, uint64_t nanoseconds)
{
    sleep_only(env, nanoseconds);
    if (atomic_load(&may_go) && rig_stats(&rig).flushes == flushes_before)
        atomic_fetch_add(&rested, 1);
}

/* Bug: the round's end took the rest away, and the next began at once. */
START_TEST(test_what_is_deleted_while_a_round_runs_waits_for_quiet)
{
    const unsigned count = 2000;

    open_only = rig.options.env->file_open;
    rig.options.env->file_open = hold_first_table;
    open_half_deleted(count, 0);
    while (!atomic_load(&is_held))
        env_posix()->sleep(env_posix(), 1000000);
    rig.options.env->sleep = sleep_and_count;
    delete_each(count, 2, 1);
    ck_assert_uint_eq(rig_stats(&rig).flushes, flushes_before);
    atomic_store(&may_go, true);
    while (rig_stats(&rig).flushes == flushes_before)
        env_posix()->sleep(env_posix(), 1000000);
    ck_assert_uint_ge(atomic_load(&rested), 199);
    ck_assert(tables_shrink_to(0));
}
END_TEST

START_TEST(test_few_deletes_do_not_have_a_store_rewritten)
{
    const unsigned count = 30000, step = 50;
    uint64_t before;

    rig_hurry(&rig);
    rig_open(&rig);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str(key_of(i)), none,
                                   lsmkv_bytes(value, 100), LSMKV_UNSYNCED),
                         0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    before = rig_stats(&rig).compaction_bytes_written;
    delete_each(count, step, 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_le(rig_stats(&rig).compaction_bytes_written,
                      before + rig_stats(&rig).table_bytes / 4);
    expect_rest(count, step, 0);
}
END_TEST

/* Each burst of deletes elsewhere, and each opening, had all that a snapshot holds written again. */
START_TEST(test_what_a_snapshot_holds_is_not_written_again)
{
    const unsigned count = 2000, others = 600;
    struct lsmkv_snapshot_info info;
    uint64_t before;

    put_settled(count);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "held", &info), 0);
    delete_each(count, 1, 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    for (unsigned round = 0; round < 3; round++) {
        before = rig_stats(&rig).compaction_bytes_written;
        for (unsigned i = 0; i < others; i++)
            ck_assert_int_eq(put(count + i), 0);
        for (unsigned i = 0; i < others; i++)
            ck_assert_int_eq(delete (count + i), 0);
        ck_assert_int_eq(lsmkv_settle(rig.db), 0);
        ck_assert_uint_lt(rig_stats(&rig).compaction_bytes_written - before,
                          count * (uint64_t)VALUE * 2 / 3);
        rig_close(&rig);
        rig_open(&rig);
        ck_assert_int_eq(lsmkv_settle(rig.db), 0);
        ck_assert_uint_lt(rig_stats(&rig).compaction_bytes_written,
                          count * (uint64_t)VALUE / 2);
    }
}
END_TEST

/* Deleted under a snapshot, all had gone down as far as there is to go. */
START_TEST(test_a_dropped_snapshot_gives_back_what_was_deleted)
{
    const unsigned count = 2000;
    struct lsmkv_snapshot_info info;

    put_settled(count);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "held", &info), 0);
    delete_each(count, 1, 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_ge(rig_stats(&rig).table_bytes, count * (uint64_t)VALUE);
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "held"), 0);
    ck_assert(tables_shrink_to(0));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("reclaim");
    TCase *tcase = tcase_create("full disk");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_deletes_alone_free_a_full_disk);
    tcase_add_test(tcase, test_few_deletes_all_over_the_store_free_theirs);
    tcase_add_test(tcase, test_a_small_disk_has_room_for_a_merge);
    tcase_add_test(tcase, test_what_a_snapshot_holds_comes_free_with_it);
    tcase_add_test(tcase, test_a_store_that_is_opened_full_can_be_emptied);
    tcase_add_test(tcase, test_a_merge_that_fails_does_not_end_the_round);
    tcase_add_test(tcase, test_a_flush_that_is_due_is_waited_for);
    tcase_add_test(tcase, test_what_was_overwritten_comes_free);
    tcase_add_test(tcase, test_looking_into_a_snapshot_begins_no_round);
    tcase_add_test(tcase, test_what_was_overwritten_under_a_snapshot_comes_free_with_it);
    tcase_add_test(tcase, test_a_writer_that_stops_at_level_0_is_no_deadlock);
    tcase_add_test(tcase, test_a_writer_that_waits_for_merges_is_told_that_they_fail);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("quiet");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_what_is_deleted_goes_when_all_is_quiet);
    tcase_add_test(tcase, test_what_was_deleted_before_opening_goes_too);
    tcase_add_test(tcase, test_what_is_deleted_goes_though_a_little_is_written);
    tcase_add_test(tcase, test_no_round_begins_while_much_is_written);
    tcase_add_test(tcase, test_what_is_deleted_while_a_round_runs_waits_for_quiet);
    tcase_add_test(tcase, test_few_deletes_do_not_have_a_store_rewritten);
    tcase_add_test(tcase, test_what_a_snapshot_holds_is_not_written_again);
    tcase_add_test(tcase, test_a_dropped_snapshot_gives_back_what_was_deleted);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
