/* The store when its disk, its callers or its threads do what they should not. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig_fixture.h"
#include "support/suite.h"

/* ---- faults ---- */

START_TEST(test_a_failed_sync_poisons_until_reopened)
{
    rig_put(&rig, "durable", "1");
    fault_env_set(rig.faults,
                  (struct fault){.call = ENV_CALL_FILE_SYNC, .nth = 1, .error = EIO});
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("lost"), none, lsmkv_str("2"), 0),
                     -EIO);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("more"), none, lsmkv_str("3"), 0),
                     -EIO);
    ck_assert_int_eq(lsmkv_sync(rig.db), -EIO);
    ck_assert(rig_holds(&rig, NULL, "durable", "1"));
    ck_assert(rig_holds(&rig, NULL, "lost", NULL));
    ck_assert_int_eq(lsmkv_close(rig.db), -EIO);
    rig.db = NULL;
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "durable", "1"));
    ck_assert(rig_holds(&rig, NULL, "more", NULL));
    rig_put(&rig, "again", "4");
}
END_TEST

START_TEST(test_a_write_that_met_a_full_disk_is_undone_and_the_next_goes_on)
{
    char large[20000];

    memset(large, 'x', sizeof(large));
    rig_put(&rig, "before", "1");
    mem_env_set_capacity(rig.memory, mem_env_used(rig.memory) + 8192);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("large"), none,
                               lsmkv_bytes(large, sizeof(large)), 0),
                     -ENOSPC);
    ck_assert(rig_holds(&rig, NULL, "large", NULL));
    ck_assert(rig_holds(&rig, NULL, "before", "1"));
    mem_env_set_capacity(rig.memory, UINT64_MAX);
    rig_put(&rig, "after", "2");
    rig_cut_power(&rig, (struct mem_crash){MEM_DATA_NONE, MEM_NAMES_DROPPED}, 1);
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "before", "1"));
    ck_assert(rig_holds(&rig, NULL, "large", NULL));
    ck_assert(rig_holds(&rig, NULL, "after", "2"));
}
END_TEST

static uint64_t
sequence_of(const char *key)
{
    struct lsmkv_record record;
    char buffer[16];

    ck_assert_int_eq(
        lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key), buffer, sizeof(buffer), &record),
        0);
    return record.sequence;
}

/* Invariant 2, found by a mutant: a frame that was undone may yet come back from a disk that
 * lied about the cut; it must not share its sequences with what was written later. */
START_TEST(test_a_failed_write_burns_its_sequence)
{
    rig_put(&rig, "before", "1");
    fault_env_set(rig.faults,
                  (struct fault){.call = ENV_CALL_FILE_WRITE, .nth = 1, .error = EIO});
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("failed"), none, none, 0), -EIO);
    rig_put(&rig, "after", "2");
    ck_assert(rig_holds(&rig, NULL, "failed", NULL));
    ck_assert_uint_eq(sequence_of("after"), sequence_of("before") + 2);
}
END_TEST

/* Invariant 15: below the reserve only deletes go on, and they free the rig. */
START_TEST(test_deletes_work_when_puts_meet_the_reserve)
{
    char value[1000];
    int result = 0, last;

    memset(value, 'v', sizeof(value));
    rig_close(&rig);
    mem_env_set_capacity(rig.memory, 8 << 20);
    rig_open(&rig);
    for (last = 0; last < 20000 && result == 0; last++) {
        char key[32];

        snprintf(key, sizeof(key), "f%05d", last);
        result = lsmkv_put(rig.db, NULL, lsmkv_str(key), none,
                           lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED);
    }
    ck_assert_int_eq(result, -ENOSPC);
    for (int i = 0; i < last; i++) {
        char key[32];

        snprintf(key, sizeof(key), "f%05d", i);
        ck_assert_int_eq(lsmkv_delete(rig.db, NULL, lsmkv_str(key), LSMKV_UNSYNCED), 0);
    }
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    rig_put(&rig, "there is", "space again");
}
END_TEST

START_TEST(test_a_failed_flush_is_tried_again_and_poisons_nothing)
{
    rig_put(&rig, "k", "v");
    fault_env_set(rig.faults, (struct fault){.call = ENV_CALL_FILE_OPEN,
                                             .nth = 2,
                                             .onwards = true,
                                             .error = ENOSPC});
    ck_assert_int_eq(lsmkv_flush(rig.db), -ENOSPC);
    ck_assert(rig_holds(&rig, NULL, "k", "v"));
    fault_env_heal(rig.faults);
    rig_put(&rig, "l", "w");
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_uint_gt(rig_stats(&rig).tables, 0);
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "k", "v"));
    ck_assert(rig_holds(&rig, NULL, "l", "w"));
}
END_TEST

/* Bug: settling waited before it looked whether the store had been poisoned. */
START_TEST(test_settling_a_poisoned_store_returns)
{
    rig_put(&rig, "k", "v");
    fault_env_set(rig.faults,
                  (struct fault){.call = ENV_CALL_FILE_SYNC, .nth = 1, .error = EIO});
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("l"), none, none, 0), -EIO);
    fault_env_heal(rig.faults);
    ck_assert_int_eq(lsmkv_settle(rig.db), -EIO);
    ck_assert_int_eq(lsmkv_flush(rig.db), -EIO);
}
END_TEST

/* Bug: a plain sync waited for room in the memtables, for ever once the threads had ended. */
START_TEST(test_a_sync_needs_no_room)
{
    char value[8000];

    memset(value, 'v', sizeof(value));
    /* Nothing can be created, so that nothing is flushed and no log begun: all is full. */
    fault_env_set(rig.faults, (struct fault){.call = ENV_CALL_FILE_OPEN,
                                             .nth = 1,
                                             .onwards = true,
                                             .error = ENOSPC});
    for (int i = 0; i < 100; i++) {
        char key[16];

        snprintf(key, sizeof(key), "k%d", i);
        if (lsmkv_put(rig.db, NULL, lsmkv_str(key), none,
                      lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED) != 0)
            break;
    }
    ck_assert_int_eq(lsmkv_sync(rig.db), 0);
    fault_env_heal(rig.faults);
    rig_close(&rig);
    rig_open(&rig);
    ck_assert_int_eq(
        lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str("k0"), false, NULL, 0, NULL),
        LSMKV_EXACT);
}
END_TEST

/* Bug: a batch for a keyspace dropped meanwhile was acknowledged, and went nowhere. */
START_TEST(test_a_batch_for_a_dropped_keyspace_is_refused)
{
    struct lsmkv_keyspace *plain;
    struct lsmkv_batch *batch;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &plain),
                     0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, plain, lsmkv_str("k"), none, none), 0);
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, plain), 0);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, 0), -EINVAL);
    lsmkv_batch_free(batch);
    rig_put(&rig, "others", "go on");
}
END_TEST

/* Bug: with these writers stopped before any merge was due, and waited for ever. */
START_TEST(test_options_that_never_work_are_refused)
{
    struct lsmkv_options options = rig.options;
    struct lsmkv *other;

    options.l0_stop_trigger = options.l0_compaction_trigger - 1;
    ck_assert_int_eq(lsmkv_open("other", &options, &other), -EINVAL);
    options = rig.options;
    options.write_buffer_size = 0;
    ck_assert_int_eq(lsmkv_open("other", &options, &other), -EINVAL);
}
END_TEST

/* Bug: tables that only an iterator kept were deleted by some later merge, if one came. */
START_TEST(test_the_last_reader_gives_the_space_back)
{
    struct lsmkv_iter *iter;
    uint64_t held;
    char value[60000];

    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("k"), none,
                               lsmkv_bytes(value, sizeof(value)), 0),
                     0);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    rig_delete(&rig, "k");
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    held = mem_env_used(rig.memory);
    lsmkv_iter_free(iter);
    ck_assert_uint_le(mem_env_used(rig.memory) + sizeof(value), held);
}
END_TEST

/* ---- damage after an unclean stop ---- */

/* Changes `size` bytes of a file of the closed store: flips a bit of each, or zeroes them. */
static void
spoil(const char *name, bool from_end, uint64_t at, size_t size, bool zero)
{
    struct env_dir *dir;
    struct env_file *file;
    uint8_t bytes[128];
    uint64_t length;

    ck_assert_uint_le(size, sizeof(bytes));
    ck_assert_int_eq(env_dir_open(mem_env_base(rig.memory), "store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_size(file, &length), 0);
    at = from_end ? length - at : at;
    ck_assert_int_eq(env_file_read(file, at, bytes, size), (ssize_t)size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = zero ? 0 : bytes[i] ^ 1;
    ck_assert_int_eq(env_file_write(file, at, bytes, size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
}

/* Bug: a log that MANIFEST named, its first frame gone, passed for one that never began. */
START_TEST(test_a_named_log_without_its_beginning_is_damage)
{
    rig_put(&rig, "a", "1");
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_put(&rig, "b", "2");
    rig_kill(&rig);
    spoil("000003.log", false, 0, 76, true);
    ck_assert_int_eq(lsmkv_open("store", &rig.options, &rig.db), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(rig.last_error, "000003.log"));
    rig.db = NULL;
}
END_TEST

/* Found by a mutant: with its only log gone, what was written since the last flush would have
 * passed for never written. */
START_TEST(test_a_named_log_that_is_gone_is_damage)
{
    struct env_dir *dir;

    rig_put(&rig, "a", "1");
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_put(&rig, "b", "2");
    rig_kill(&rig);
    ck_assert_int_eq(env_dir_open(mem_env_base(rig.memory), "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "000003.log"), 0);
    env_dir_close(dir);
    ck_assert_int_eq(lsmkv_open("store", &rig.options, &rig.db), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(rig.last_error, "000003.log"));
    rig.db = NULL;
}
END_TEST

/* Bug: a large move that had begun above the reserve wrote until the disk was full, and the deletes
 * that would have made room found none. */
START_TEST(test_a_large_move_leaves_room_for_deletes)
{
    struct lsmkv_move move = {lsmkv_str("old"), lsmkv_str("new")};
    char key[32];

    rig_close(&rig);
    rig.options.move_log_limit = 1;
    rig.options.space_reserve = 100 << 10;
    rig_open(&rig);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "old/%d", i);
        rig_put(&rig, key, "1");
    }
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    /* What it needs, but not two memtables besides. */
    mem_env_set_capacity(rig.memory, mem_env_used(rig.memory) + (180 << 10));
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &move, 1, NULL, 0), -ENOSPC);
    ck_assert(rig_holds(&rig, NULL, "old/0", "1"));
    ck_assert(rig_holds(&rig, NULL, "new/0", NULL));
    rig_delete(&rig, "old/1");
    mem_env_set_capacity(rig.memory, UINT64_MAX);
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &move, 1, NULL, 0), 0);
    ck_assert(rig_holds(&rig, NULL, "new/0", "1"));
    ck_assert(rig_holds(&rig, NULL, "new/1", NULL));
}
END_TEST

/* Bug: a flipped bit in the last line passed for a line torn by a crash; the move it recorded
 * was undone, and its tables deleted. */
START_TEST(test_a_flipped_bit_in_the_last_line_undoes_nothing)
{
    struct lsmkv_move move = {lsmkv_str("old"), lsmkv_str("new")};

    rig_close(&rig);
    rig.options.move_log_limit = 1;
    rig_open(&rig);
    rig_put(&rig, "old/file", "1");
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &move, 1, NULL, 0), 0);
    rig_kill(&rig);
    spoil("MANIFEST", true, 40, 1, false);
    ck_assert_int_eq(lsmkv_open("store", &rig.options, &rig.db), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(rig.last_error, "MANIFEST"));
    rig.db = NULL;
    spoil("MANIFEST", true, 40, 1, false); /* mended, it is all there */
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "new/file", "1"));
}
END_TEST

/* Bug: numbers went on from a stray file's, past what a file name or MANIFEST can hold. */
START_TEST(test_a_file_of_an_absurd_number_is_refused)
{
    struct env_dir *dir;
    struct env_file *file;

    rig_close(&rig);
    ck_assert_int_eq(env_dir_open(mem_env_base(rig.memory), "store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, "9999999999999999999.sst", ENV_CREATE, &file), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_eq(lsmkv_open("store", &rig.options, &rig.db), -EUCLEAN);
    rig.db = NULL;
    ck_assert_int_eq(env_dir_unlink(dir, "9999999999999999999.sst"), 0);
    env_dir_close(dir);
    rig_open(&rig);
}
END_TEST

/* ---- many threads ---- */

#define THREADS 8
#define PUTS    300

static void *
put_many(void *argument)
{
    int id = *(int *)argument;

    for (int i = 0; i < PUTS; i++) {
        char key[32];
        int result;

        snprintf(key, sizeof(key), "t%d/%d", id, i);
        result = lsmkv_put(rig.db, NULL, lsmkv_str(key), none, lsmkv_str(key), 0);
        if (result != 0)
            return argument;
        if (!rig_holds(&rig, NULL, key, key))
            return argument;
    }
    return NULL;
}

START_TEST(test_threads_share_syncs_and_lose_nothing)
{
    pthread_t threads[THREADS];
    int ids[THREADS];
    struct lsmkv_stats stats;

    for (int i = 0; i < THREADS; i++) {
        ids[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_many, &ids[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;

        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    stats = rig_stats(&rig);
    ck_assert_uint_eq(stats.writes, THREADS * PUTS);
    ck_assert_uint_le(stats.write_groups, stats.writes);
    rig_cut_power(&rig, (struct mem_crash){MEM_DATA_NONE, MEM_NAMES_DROPPED}, 1);
    rig_open(&rig);
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < PUTS; i++) {
            char key[32];

            snprintf(key, sizeof(key), "t%d/%d", t, i);
            ck_assert(rig_holds(&rig, NULL, key, key));
        }
}
END_TEST

/* ---- a group that waits behind a sync ---- */

static atomic_bool syncing, go_on;

/* Holds the first sync until it is told. */
static void
hold_sync(void *context, uint64_t ordinal, enum env_call call)
{
    (void)context;
    (void)ordinal;
    if (call != ENV_CALL_FILE_SYNC || atomic_exchange(&syncing, true))
        return;
    while (!atomic_load(&go_on))
        usleep(1000);
}

struct put {
    const char *key;
    unsigned flags;
    pthread_t thread;
};

static void *
put_one(void *argument)
{
    struct put *put = argument;
    int result = lsmkv_put(rig.db, NULL, lsmkv_str(put->key), none, none, put->flags);

    return result == 0 ? NULL : argument;
}

/* While a sync is held up, the writes behind it gather to one group: some asked for a sync,
 * whoever comes last did not, or only he did. */
START_TEST(test_a_group_is_synced_for_any_of_its_writers)
{
    struct put puts[] = {{"first", 0, 0},
                         {"synced", _i == 0 ? 0 : LSMKV_UNSYNCED, 0},
                         {"also", LSMKV_UNSYNCED, 0},
                         {"last", _i == 0 ? LSMKV_UNSYNCED : 0, 0}};

    mem_env_set_hook(rig.memory, hold_sync, NULL);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&puts[i].thread, NULL, put_one, &puts[i]), 0);
        while (!atomic_load(&syncing))
            usleep(1000);
        usleep(100000); /* to its place in the queue; if that fails, nothing is tested */
    }
    atomic_store(&go_on, true);
    for (size_t i = 0; i < 4; i++) {
        void *failed;

        ck_assert_int_eq(pthread_join(puts[i].thread, &failed), 0);
        ck_assert_ptr_null(failed);
    }
    mem_env_set_hook(rig.memory, NULL, NULL);
    rig_cut_power(&rig, (struct mem_crash){MEM_DATA_NONE, MEM_NAMES_DROPPED}, 1);
    rig_open(&rig);
    for (size_t i = 0; i < 4; i++)
        ck_assert(puts[i].flags != 0 || rig_holds(&rig, NULL, puts[i].key, ""));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("db_faults");
    TCase *tcase = tcase_create("db_faults");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_a_failed_sync_poisons_until_reopened);
    tcase_add_test(tcase,
                   test_a_write_that_met_a_full_disk_is_undone_and_the_next_goes_on);
    tcase_add_test(tcase, test_a_failed_write_burns_its_sequence);
    tcase_add_test(tcase, test_deletes_work_when_puts_meet_the_reserve);
    tcase_add_test(tcase, test_a_failed_flush_is_tried_again_and_poisons_nothing);
    tcase_add_test(tcase, test_settling_a_poisoned_store_returns);
    tcase_add_test(tcase, test_a_sync_needs_no_room);
    tcase_add_test(tcase, test_a_batch_for_a_dropped_keyspace_is_refused);
    tcase_add_test(tcase, test_options_that_never_work_are_refused);
    tcase_add_test(tcase, test_the_last_reader_gives_the_space_back);
    tcase_add_test(tcase, test_a_named_log_without_its_beginning_is_damage);
    tcase_add_test(tcase, test_a_named_log_that_is_gone_is_damage);
    tcase_add_test(tcase, test_a_large_move_leaves_room_for_deletes);
    tcase_add_test(tcase, test_a_flipped_bit_in_the_last_line_undoes_nothing);
    tcase_add_test(tcase, test_a_file_of_an_absurd_number_is_refused);
    tcase_add_test(tcase, test_threads_share_syncs_and_lose_nothing);
    tcase_add_loop_test(tcase, test_a_group_is_synced_for_any_of_its_writers, 0, 2);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
