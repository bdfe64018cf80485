/* The store as its users see it: what each public function promises. */
#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig_fixture.h"
#include "support/suite.h"

/* ---- records ---- */

START_TEST(test_get_gives_attributes_value_and_stamp)
{
    char buffer[32];
    struct lsmkv_record record;

    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_str("k"), lsmkv_str("attr"), lsmkv_str("value"), 0),
        0);
    ck_assert_int_eq(
        lsmkv_get(rig.db, NULL, NULL, lsmkv_str("k"), buffer, sizeof(buffer), &record),
        0);
    ck_assert_mem_eq(record.attributes.data, "attr", 4);
    ck_assert_uint_eq(record.attributes.size, 4);
    ck_assert_mem_eq(record.value.data, "value", 5);
    ck_assert_uint_eq(record.value.size, 5);
    ck_assert_uint_eq(record.sequence, rig_stats(&rig).sequence);
    ck_assert_uint_eq(record.stamp_sequence, record.sequence);
    ck_assert_int_gt(record.stamp_time, 0);
}
END_TEST

START_TEST(test_get_without_room_gives_the_sizes)
{
    char buffer[8];
    struct lsmkv_record record;

    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_str("k"), lsmkv_str("attr"), lsmkv_str("value"), 0),
        0);
    ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str("k"), buffer, 8, &record),
                     -ERANGE);
    ck_assert_uint_eq(record.attributes.size, 4);
    ck_assert_uint_eq(record.value.size, 5);
    ck_assert_ptr_null(record.value.data);
}
END_TEST

START_TEST(test_limits_are_refused)
{
    char *large = calloc(1, LSMKV_VALUE_MAX + 1);

    ck_assert_ptr_nonnull(large);
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_bytes(large, LSMKV_KEY_MAX), none, none, 0), 0);
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_bytes(large, LSMKV_KEY_MAX + 1), none, none, 0),
        -E2BIG);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("a"),
                               lsmkv_bytes(large, LSMKV_ATTRIBUTES_MAX + 1), none, 0),
                     -E2BIG);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("v"), none,
                               lsmkv_bytes(large, LSMKV_VALUE_MAX), 0),
                     0);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("v"), none,
                               lsmkv_bytes(large, LSMKV_VALUE_MAX + 1), 0),
                     -E2BIG);
    free(large);
}
END_TEST

START_TEST(test_a_held_record_outlives_its_key)
{
    struct lsmkv_held *held;

    rig_put(&rig, "k", "held");
    ck_assert_int_eq(lsmkv_get_held(rig.db, NULL, NULL, lsmkv_str("k"), &held), 0);
    rig_delete(&rig, "k");
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_mem_eq(lsmkv_held_record(held)->value.data, "held", 4);
    lsmkv_held_release(held);
    ck_assert(rig_holds(&rig, NULL, "k", NULL));
}
END_TEST

START_TEST(test_batch_puts_a_held_value_under_another_key)
{
    struct lsmkv_batch *batch;
    struct lsmkv_held *held;

    rig_put(&rig, "from", "by reference");
    ck_assert_int_eq(lsmkv_get_held(rig.db, NULL, NULL, lsmkv_str("from"), &held), 0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_put_held(batch, NULL, lsmkv_str("to"), none, held), 0);
    ck_assert_int_eq(lsmkv_batch_delete(batch, NULL, lsmkv_str("from")), 0);
    ck_assert_uint_eq(lsmkv_batch_count(batch), 2);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, 0), 0);
    lsmkv_batch_free(batch);
    lsmkv_held_release(held);
    ck_assert(rig_holds(&rig, NULL, "to", "by reference"));
    ck_assert(rig_holds(&rig, NULL, "from", NULL));
}
END_TEST

/* ---- lookup and iterators ---- */

START_TEST(test_lookup_tells_exact_implied_and_absent)
{
    struct lsmkv_record record;
    char buffer[16];

    rig_put(&rig, "a/b/c", "x");
    rig_put(&rig, "d.txt", "y");
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str("a/b/c"), true,
                                      buffer, sizeof(buffer), &record),
                         LSMKV_EXACT);
        ck_assert_mem_eq(record.value.data, "x", 1);
        ck_assert_int_eq(
            lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str("a/b"), false, NULL, 0, NULL),
            LSMKV_IMPLIED);
        ck_assert_int_eq(
            lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str(""), false, NULL, 0, NULL),
            LSMKV_IMPLIED);
        ck_assert_int_eq(
            lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str("d"), false, NULL, 0, NULL),
            LSMKV_ABSENT);
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    }
    /* The directory goes with the last key below it, wherever its tombstone stands. */
    rig_delete(&rig, "a/b/c");
    ck_assert_int_eq(
        lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str("a/b"), false, NULL, 0, NULL),
        LSMKV_ABSENT);
}
END_TEST

START_TEST(test_an_absent_name_reads_no_block)
{
    struct lsmkv_stats before, after;
    unsigned read = 0;

    for (int i = 0; i < 500; i++) {
        char key[32];

        snprintf(key, sizeof(key), "dir%d/file%d", i % 20, i);
        rig_put(&rig, key, "v");
    }
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    before = rig_stats(&rig);
    for (int i = 0; i < 1000; i++) {
        char key[32];

        snprintf(key, sizeof(key), "dir%d/none%d", i % 20, i);
        ck_assert_int_eq(
            lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str(key), false, NULL, 0, NULL),
            LSMKV_ABSENT);
    }
    after = rig_stats(&rig);
    read = (unsigned)(after.cache_hits + after.cache_misses - before.cache_hits -
                      before.cache_misses);
    ck_assert_msg(read < 100, "%u blocks were looked at for 1000 absent names", read);
}
END_TEST

START_TEST(test_iterator_stays_within_its_bounds)
{
    struct lsmkv_iter_options options = {.lower = lsmkv_str("b"),
                                         .upper = lsmkv_str("d")};
    struct lsmkv_iter *iter;

    rig_put(&rig, "a", "1");
    rig_put(&rig, "b", "2");
    rig_put(&rig, "c", "3");
    rig_put(&rig, "d", "4");
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &options, &iter), 0);
    ck_assert(!lsmkv_iter_valid(iter));
    lsmkv_iter_seek(iter, lsmkv_str("a"));
    ck_assert(lsmkv_iter_valid(iter));
    ck_assert_mem_eq(lsmkv_iter_key(iter).data, "b", 1);
    lsmkv_iter_last(iter);
    ck_assert_mem_eq(lsmkv_iter_key(iter).data, "c", 1);
    lsmkv_iter_next(iter);
    ck_assert(!lsmkv_iter_valid(iter));
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_seek_before(iter, lsmkv_str("z"));
    ck_assert_mem_eq(lsmkv_iter_key(iter).data, "c", 1);
    lsmkv_iter_free(iter);
}
END_TEST

START_TEST(test_iterator_sees_the_state_of_its_making)
{
    struct lsmkv_iter *iter;

    rig_put(&rig, "a", "1");
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    rig_put(&rig, "b", "2");
    rig_delete(&rig, "a");
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    lsmkv_iter_first(iter);
    ck_assert(lsmkv_iter_valid(iter));
    ck_assert_mem_eq(lsmkv_iter_key(iter).data, "a", 1);
    lsmkv_iter_next(iter);
    ck_assert(!lsmkv_iter_valid(iter));
    lsmkv_iter_free(iter);
}
END_TEST

/* '/' ranks below all, then NUL: a directory's subtree follows it at once. */
START_TEST(test_path_order_nests_like_brackets)
{
    static const struct lsmkv_slice expected[] = {
        {"a", 1},    {"a/", 2},  {"a/b", 3}, {"a/b/c", 5}, {"a/b\0", 4}, {"a/b-c", 5},
        {"a/b.", 4}, {"a\0", 2}, {"a-b", 3}, {"a.txt", 5}, {"a0", 2},    {"b", 1}};
    const size_t count = sizeof(expected) / sizeof(expected[0]);
    struct lsmkv_iter *iter;

    for (size_t i = 0; i < count; i++) {
        size_t scattered = i * 5 % count; /* 5 and 12 have no common divisor */

        ck_assert_int_eq(
            lsmkv_put(rig.db, NULL, expected[scattered], none, none, LSMKV_UNSYNCED), 0);
        if (i == 6)
            ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    }
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    lsmkv_iter_first(iter);
    for (size_t i = 0; i < count; i++, lsmkv_iter_next(iter)) {
        ck_assert(lsmkv_iter_valid(iter));
        ck_assert_uint_eq(lsmkv_iter_key(iter).size, expected[i].size);
        ck_assert_mem_eq(lsmkv_iter_key(iter).data, expected[i].data, expected[i].size);
    }
    lsmkv_iter_seek(iter, lsmkv_str("a"));
    lsmkv_iter_skip_tree(iter, lsmkv_str("a"));
    ck_assert_uint_eq(lsmkv_iter_key(iter).size, 2);
    ck_assert_mem_eq(lsmkv_iter_key(iter).data, "a\0", 2);
    lsmkv_iter_free(iter);
}
END_TEST

/* ---- rmdir, then mkdir, and what a merge makes of it ---- */

START_TEST(test_a_name_made_again_stays_through_merges)
{
    for (int with_snapshot = 0; with_snapshot < 2; with_snapshot++) {
        rig_put(&rig, "dir", "first");
        rig_put(&rig, "dir/file", "x");
        ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
        if (with_snapshot)
            ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), 0);
        rig_delete(&rig, "dir/file");
        rig_delete(&rig, "dir");
        ck_assert_int_eq(lsmkv_flush(rig.db), 0);
        rig_put(&rig, "dir", "second");
        flush_and_merge();
        ck_assert(rig_holds(&rig, NULL, "dir", "second"));
        ck_assert(rig_holds(&rig, NULL, "dir/file", NULL));
        if (with_snapshot) {
            struct lsmkv_snapshot *snapshot;

            ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "s", &snapshot, NULL), 0);
            ck_assert(rig_holds(&rig, snapshot, "dir", "first"));
            ck_assert(rig_holds(&rig, snapshot, "dir/file", "x"));
            lsmkv_snapshot_release(rig.db, snapshot);
        }
    }
}
END_TEST

/* Gets of what lies in the oldest table of level 0, and seeks, pay for its merge; so that is made,
 * with fewer tables than writers would wait for. */
START_TEST(test_reads_that_level_0_holds_up_have_it_merged)
{
    for (int by_seeks = 0; by_seeks < 2; by_seeks++) {
        struct lsmkv_stats before, after;

        rig_put(&rig, "old", "x");
        ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
        for (int run = 0; run < 2; run++) {
            rig_put(&rig, run == 0 ? "old" : "new", "y");
            rig_put(&rig, "zoo", "y"); /* in both, so that they overlap */
            ck_assert_int_eq(lsmkv_flush(rig.db), 0);
        }
        ck_assert_int_eq(lsmkv_settle(rig.db), 0);
        before = rig_stats(&rig);
        for (unsigned i = 0; i < (by_seeks ? 2100 : 17000); i++) {
            struct lsmkv_iter *iter;

            if (!by_seeks) {
                ck_assert(rig_holds(&rig, NULL, "old", "y"));
                continue;
            }
            ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
            lsmkv_iter_seek(iter, lsmkv_str("old"));
            ck_assert(lsmkv_iter_valid(iter));
            lsmkv_iter_free(iter);
        }
        ck_assert_int_eq(lsmkv_settle(rig.db), 0);
        after = rig_stats(&rig);
        ck_assert_uint_eq(before.compactions + before.trivial_moves + 1,
                          after.compactions + after.trivial_moves);
        ck_assert_uint_eq(after.tables, 1);
        ck_assert(rig_holds(&rig, NULL, "old", "y"));
    }
}
END_TEST

/* On the disk, too: of tables that nobody names the files are gone. */
START_TEST(test_deleting_everything_gives_the_space_back)
{
    const uint64_t used = mem_env_used(rig.memory);
    struct lsmkv_stats stats;

    for (int i = 0; i < 2000; i++) {
        char key[32];

        snprintf(key, sizeof(key), "f%05d", i);
        rig_put(&rig, key, "some contents that take space");
    }
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    for (int i = 0; i < 2000; i++) {
        char key[32];

        snprintf(key, sizeof(key), "f%05d", i);
        rig_delete(&rig, key);
    }
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    stats = rig_stats(&rig);
    ck_assert_uint_eq(stats.tables, 0);
    /* MANIFEST's lines may be more; and a thread in the background may be about to delete. */
    for (unsigned i = 0; i < 1000 && mem_env_used(rig.memory) > used + (16 << 10); i++)
        rig.options.env->sleep(rig.options.env, 10000000);
    ck_assert_uint_le(mem_env_used(rig.memory), used + (16 << 10));
}
END_TEST

/* ---- keyspaces ---- */

START_TEST(test_a_batch_spans_keyspaces)
{
    struct lsmkv_keyspace *plain, *again;
    struct lsmkv_batch *batch;
    struct lsmkv_record record;
    char buffer[16];

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &plain),
                     0);
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &again),
                     -EEXIST);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str("k"), none, lsmkv_str("1")),
                     0);
    ck_assert_int_eq(lsmkv_batch_put(batch, plain, lsmkv_str("k"), none, lsmkv_str("2")),
                     0);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, 0), 0);
    lsmkv_batch_free(batch);
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "k", "1"));
    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "plain", &plain), 0);
    ck_assert_int_eq(lsmkv_keyspace_order(plain), LSMKV_ORDER_BYTES);
    ck_assert_int_eq(
        lsmkv_get(rig.db, plain, NULL, lsmkv_str("k"), buffer, sizeof(buffer), &record),
        0);
    ck_assert_mem_eq(record.value.data, "2", 1);
}
END_TEST

START_TEST(test_a_dropped_keyspace_is_gone_and_its_log_entries_pass)
{
    struct lsmkv_keyspace *plain, *again;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &plain),
                     0);
    ck_assert_int_eq(lsmkv_put(rig.db, plain, lsmkv_str("k"), none, lsmkv_str("v"), 0),
                     0);
    rig_put(&rig, "k", "stays");
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, plain), 0);
    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "plain", &plain), -ENOENT);
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &again),
                     0);
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "k", "stays"));
    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "plain", &plain), 0);
    ck_assert_int_eq(
        lsmkv_lookup(rig.db, plain, NULL, lsmkv_str("k"), false, NULL, 0, NULL),
        LSMKV_ABSENT);
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, lsmkv_default_keyspace(rig.db)),
                     -EINVAL);
}
END_TEST

START_TEST(test_a_keyspace_that_a_snapshot_sees_cannot_be_dropped)
{
    struct lsmkv_keyspace *plain;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &plain),
                     0);
    ck_assert_int_eq(lsmkv_put(rig.db, plain, lsmkv_str("k"), none, none, 0), 0);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), 0);
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, plain), -EBUSY);
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "s"), 0);
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, plain), 0);
}
END_TEST

/* All keyspaces freeze together, so one that is never written does not pin logs. */
START_TEST(test_an_idle_keyspace_pins_no_log)
{
    struct lsmkv_keyspace *idle;
    struct lsmkv_stats stats;
    char value[1000];

    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "idle", LSMKV_ORDER_BYTES, &idle), 0);
    ck_assert_int_eq(lsmkv_put(rig.db, idle, lsmkv_str("once"), none, none, 0), 0);
    for (int i = 0; i < 2000; i++) {
        char key[32];

        snprintf(key, sizeof(key), "f%d", i);
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str(key), none,
                                   lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED),
                         0);
    }
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    stats = rig_stats(&rig);
    ck_assert_uint_eq(stats.logs, 1);
    ck_assert_uint_lt(stats.log_bytes, 4 * rig.options.write_buffer_size);
}
END_TEST

/* ---- snapshots ---- */

START_TEST(test_named_snapshots_last)
{
    struct lsmkv_snapshot *snapshot;
    struct lsmkv_snapshot_info first, second, opened;

    rig_put(&rig, "k", "old");
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "one", &first), 0);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "one", NULL), -EEXIST);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "a/b", NULL), -EINVAL);
    rig_put(&rig, "k", "new");
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "two", &second), 0);
    ck_assert_uint_ne(first.id, second.id);
    ck_assert_int_eq(lsmkv_snapshot_rename(rig.db, "one", "two"), -EEXIST);
    ck_assert_int_eq(lsmkv_snapshot_rename(rig.db, "one", "uno"), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "one", &snapshot, NULL), -ENOENT);
    ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "uno", &snapshot, &opened), 0);
    ck_assert_uint_eq(opened.id, first.id);
    ck_assert_int_eq(opened.time, first.time);
    ck_assert(rig_holds(&rig, snapshot, "k", "old"));
    ck_assert(rig_holds(&rig, NULL, "k", "new"));
    /* Dropped, it stays readable to who holds it. */
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "uno"), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert(rig_holds(&rig, snapshot, "k", "old"));
    lsmkv_snapshot_release(rig.db, snapshot);
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "uno"), -ENOENT);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "three", &first), 0);
    ck_assert_uint_gt(first.id, second.id);
}
END_TEST

/* ---- tree moves ---- */

START_TEST(test_moves_keep_stamps_and_exchange)
{
    struct lsmkv_move moves[] = {{lsmkv_str("a"), lsmkv_str("b")},
                                 {lsmkv_str("b"), lsmkv_str("a")}};
    struct lsmkv_record before, after;
    char buffer[16];

    for (int large = 0; large < 2; large++) {
        ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str("a/x"), buffer,
                                   sizeof(buffer), &before),
                         large ? 0 : -ENOENT);
        if (!large) {
            rig_put(&rig, "a/x", "1");
            rig_put(&rig, "b/x", "2");
            rig_put(&rig, "b/y", "3");
            rig_put(&rig, "a-b", "beside");
        }
        ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str("a/x"), buffer,
                                   sizeof(buffer), &before),
                         0);
        ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, moves, 2, NULL, 0), 0);
        ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str("b/x"), buffer,
                                   sizeof(buffer), &after),
                         0);
        ck_assert_uint_eq(after.stamp_sequence, before.stamp_sequence);
        ck_assert_int_eq(after.stamp_time, before.stamp_time);
        ck_assert_uint_gt(after.sequence, before.sequence);
        ck_assert(rig_holds(&rig, NULL, large ? "b/y" : "a/y", "3"));
        ck_assert(rig_holds(&rig, NULL, large ? "a/y" : "b/y", NULL));
        ck_assert(rig_holds(&rig, NULL, "a-b", "beside"));
        rig_kill(&rig);
        rig.options.move_log_limit = 1; /* the second time by tables */
        rig_open(&rig);
    }
}
END_TEST

START_TEST(test_impossible_moves_are_refused)
{
    struct lsmkv_move into_itself = {lsmkv_str("a"), lsmkv_str("a/b")};
    struct lsmkv_move same = {lsmkv_str("a"), lsmkv_str("a")};
    struct lsmkv_move meeting[] = {{lsmkv_str("a"), lsmkv_str("x")},
                                   {lsmkv_str("a/b"), lsmkv_str("y")}};

    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &into_itself, 1, NULL, 0), -EINVAL);
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &same, 1, NULL, 0), -EINVAL);
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, meeting, 2, NULL, 0), -EINVAL);
}
END_TEST

/* ---- opening ---- */

START_TEST(test_the_holder_of_a_store_is_named)
{
    struct lsmkv *other;

    ck_assert_int_eq(lsmkv_set_lock_note(rig.db, "mounted at /somewhere"), 0);
    ck_assert_int_eq(lsmkv_open("store", &rig.options, &other), -EBUSY);
    ck_assert_ptr_nonnull(strstr(lsmkv_error_detail(), "mounted at /somewhere"));
}
END_TEST

START_TEST(test_what_is_not_a_store_is_refused)
{
    struct lsmkv_options options = rig.options;
    struct lsmkv *other;

    options.create = false;
    ck_assert_int_eq(lsmkv_open("nowhere", &options, &other), -ENOENT);
    options.create = true;
    options.exclusive = true;
    rig_close(&rig);
    ck_assert_int_eq(lsmkv_open("store", &options, &other), -EEXIST);
}
END_TEST

/* Once a lock file was left in it, and then it was not even empty any more. */
START_TEST(test_a_directory_that_is_no_store_is_left_alone)
{
    struct lsmkv_options options = rig.options;
    struct env_dir *dir;
    struct env_file *file;
    struct lsmkv *other;
    char note[8];

    ck_assert_int_eq(env_dir_open(options.env, "foreign", true, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, "precious", ENV_CREATE, &file), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    options.create = false;
    ck_assert_int_eq(lsmkv_open("foreign", &options, &other), -ENOENT);
    options.create = true;
    ck_assert_int_eq(lsmkv_open("foreign", &options, &other), -ENOTEMPTY);
    ck_assert_int_eq(options.env->lock_read(dir, "LOCK", note, sizeof(note)), -ENOENT);
    env_dir_close(dir);
}
END_TEST

/* Whoever only read was told that there was no store, where a power cut had left the manifest's
 * name and not the lock's. */
START_TEST(test_read_only_needs_no_lock_file)
{
    struct env_dir *dir;
    struct lsmkv *other;

    rig_put(&rig, "key", "value");
    rig_close(&rig);
    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "LOCK"), 0);
    rig.options.read_only = true;
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "key", "value"));
    rig_close(&rig);
    rig.options.read_only = false;
    ck_assert_int_eq(lsmkv_open("store", &rig.options, &other), 0);
    ck_assert_int_eq(lsmkv_close(other), 0);
    env_dir_close(dir);
}
END_TEST

START_TEST(test_read_only_changes_no_file)
{
    uint64_t used;

    rig_put(&rig, "k", "v");
    rig_kill(&rig); /* an unclean log to replay */
    used = mem_env_used(rig.memory);
    rig.options.read_only = true;
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "k", "v"));
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("k"), none, none, 0), -EROFS);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), -EROFS);
    ck_assert_int_eq(lsmkv_flush(rig.db), -EROFS);
    ck_assert_int_eq(lsmkv_sync(rig.db), 0);
    rig_close(&rig);
    ck_assert_uint_eq(mem_env_used(rig.memory), used);
    ck_assert_uint_eq(fault_env_calls(rig.faults, ENV_CALL_FILE_WRITE), 0);
    ck_assert_uint_eq(fault_env_calls(rig.faults, ENV_CALL_DIR_UNLINK), 0);
    rig.options.read_only = false;
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "k", "v"));
}
END_TEST

START_TEST(test_a_log_shorter_than_at_the_clean_close_is_damage)
{
    struct env_dir *dir;
    struct env_file *file;
    uint64_t size;
    struct lsmkv_env *env;

    rig_put(&rig, "k", "v");
    rig_close(&rig);
    env = mem_env_base(rig.memory);
    ck_assert_int_eq(env_dir_open(env, "store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, "000002.log", ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    ck_assert_int_eq(env_file_truncate(file, size - 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
    ck_assert_int_lt(lsmkv_open("store", &rig.options, &rig.db), 0);
    ck_assert_ptr_nonnull(strstr(rig.last_error, "000002.log"));
    rig.db = NULL;
}
END_TEST

/* An opening that failed for want of memory said that MANIFEST or CLOSED does not exist: what it had
 * met on its way, and is as it should be. */
START_TEST(test_what_a_new_or_a_killed_store_lacks_is_no_detail_of_an_error)
{
    ck_assert_str_eq(lsmkv_error_detail(), "");
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert_str_eq(lsmkv_error_detail(), "");
}
END_TEST

START_TEST(test_texts_tell_what_there_is)
{
    char text[4096];

    rig_put(&rig, "k", "v");
    ck_assert_int_gt(lsmkv_property(rig.db, "lsmkv.stats", text, sizeof(text)), 0);
    ck_assert_ptr_nonnull(strstr(text, "writes 1\n"));
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_gt(lsmkv_property(rig.db, "lsmkv.levels", text, sizeof(text)), 0);
    ck_assert_ptr_nonnull(strstr(text, "L0"));
    ck_assert_int_gt(lsmkv_property(rig.db, "lsmkv.recovery", text, sizeof(text)), 0);
    ck_assert_int_eq(lsmkv_property(rig.db, "lsmkv.error", text, sizeof(text)), 0);
    ck_assert_int_eq(lsmkv_property(rig.db, "no such", text, sizeof(text)), -ENOENT);
    ck_assert_int_eq(lsmkv_get_held(rig.db, NULL, NULL, lsmkv_str("x"), NULL), -ENOENT);
}
END_TEST

/* ---- memory ---- */

static atomic_size_t blocks_taken, blocks_held; /* of a full memtable */

static void *
count_allocate(struct lsmkv_env *env, size_t size)
{
    (void)env;
    if (size == 1 << 20) {
        atomic_fetch_add(&blocks_taken, 1);
        atomic_fetch_add(&blocks_held, 1);
    }
    return malloc(size);
}

static void
count_release(struct lsmkv_env *env, void *buffer, size_t size)
{
    (void)env;
    if (size == 1 << 20)
        atomic_fetch_sub(&blocks_held, 1);
    free(buffer);
}

static void
fill_and_flush(size_t megabytes)
{
    static char value[1 << 16];

    for (size_t i = 0; i < megabytes << 4; i++)
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_bytes(&i, sizeof(i)), none,
                                   lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED),
                         0);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
}

START_TEST(test_a_memtable_gets_the_memory_of_the_last_and_an_idle_store_keeps_none)
{
    size_t taken;

    rig_close(&rig);
    rig.options.write_buffer_size = 16 << 20;
    rig.options.env->allocate = count_allocate;
    rig.options.env->release = count_release;
    rig_open(&rig);
    for (int i = 0; i < 20;
         i++) { /* and no pause long enough to be idle, once at least */
        taken = atomic_load(&blocks_taken);
        fill_and_flush(6);
        if (atomic_load(&blocks_taken) <= taken + 1)
            break;
    }
    ck_assert_uint_le(atomic_load(&blocks_taken), taken + 1);
    for (int i = 0; i < 200 && atomic_load(&blocks_held) > 0; i++)
        usleep(50000);
    ck_assert_uint_eq(atomic_load(&blocks_held), 0);
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("db");
    TCase *tcase = tcase_create("db");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_get_gives_attributes_value_and_stamp);
    tcase_add_test(tcase, test_get_without_room_gives_the_sizes);
    tcase_add_test(tcase, test_limits_are_refused);
    tcase_add_test(tcase, test_a_held_record_outlives_its_key);
    tcase_add_test(tcase, test_batch_puts_a_held_value_under_another_key);
    tcase_add_test(tcase, test_lookup_tells_exact_implied_and_absent);
    tcase_add_test(tcase, test_an_absent_name_reads_no_block);
    tcase_add_test(tcase, test_iterator_stays_within_its_bounds);
    tcase_add_test(tcase, test_iterator_sees_the_state_of_its_making);
    tcase_add_test(tcase, test_path_order_nests_like_brackets);
    tcase_add_test(tcase, test_a_name_made_again_stays_through_merges);
    tcase_add_test(tcase, test_reads_that_level_0_holds_up_have_it_merged);
    tcase_add_test(tcase, test_deleting_everything_gives_the_space_back);
    tcase_add_test(tcase, test_a_batch_spans_keyspaces);
    tcase_add_test(tcase, test_a_dropped_keyspace_is_gone_and_its_log_entries_pass);
    tcase_add_test(tcase, test_a_keyspace_that_a_snapshot_sees_cannot_be_dropped);
    tcase_add_test(tcase, test_an_idle_keyspace_pins_no_log);
    tcase_add_test(tcase, test_named_snapshots_last);
    tcase_add_test(tcase, test_moves_keep_stamps_and_exchange);
    tcase_add_test(tcase, test_impossible_moves_are_refused);
    tcase_add_test(tcase, test_the_holder_of_a_store_is_named);
    tcase_add_test(tcase, test_what_is_not_a_store_is_refused);
    tcase_add_test(tcase, test_a_directory_that_is_no_store_is_left_alone);
    tcase_add_test(tcase, test_read_only_needs_no_lock_file);
    tcase_add_test(tcase, test_read_only_changes_no_file);
    tcase_add_test(tcase, test_a_log_shorter_than_at_the_clean_close_is_damage);
    tcase_add_test(tcase,
                   test_what_a_new_or_a_killed_store_lacks_is_no_detail_of_an_error);
    tcase_add_test(tcase, test_texts_tell_what_there_is);
    tcase_add_test(
        tcase, test_a_memtable_gets_the_memory_of_the_last_and_an_idle_store_keeps_none);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
