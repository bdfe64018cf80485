/*
 * test_direct.c - large values that go to a blob file before the log: written once, found by every
 * read, kept and let go with their log, undone with it.
 */
#include "direct_fixture.h"
#include "support/suite.h"

/* ---- once ---- */

START_TEST(test_a_large_value_is_written_once)
{
    struct lsmkv_stats before = rig_stats(&rig), stats;

    put_all(10, 1);
    stats = rig_stats(&rig);
    ck_assert_uint_eq(size_of(the_file()), SIZE_OF(10));
    ck_assert_uint_eq(stats.blob_file_bytes, SIZE_OF(10));
    ck_assert_uint_eq(stats.blob_bytes_written, SIZE_OF(10));
    ck_assert_uint_lt(stats.log_bytes_written - before.log_bytes_written, VALUE);
    flush();
    ck_assert_uint_eq(rig_stats(&rig).blob_bytes_written, SIZE_OF(10));
    ck_assert_uint_lt(rig_stats(&rig).table_bytes, VALUE);
    ck_assert_uint_eq(size_of(the_file()), SIZE_OF(10));
    assert_all(NULL, 10, 1);
    rig_close(&rig);
    assert_sound();
    rig_open(&rig);
    assert_all(NULL, 10, 1);
}
END_TEST

START_TEST(test_other_values_go_to_the_log_whole)
{
    struct lsmkv_slice value = value_of(1, 1);
    uint64_t before = rig_stats(&rig).log_bytes_written;

    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("synced"), none, value, 0), 0);
    value.size = DIRECT - 1;
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_str("small"), none, value, LSMKV_UNSYNCED), 0);
    ck_assert_uint_gt(rig_stats(&rig).log_bytes_written - before, VALUE + DIRECT);
    ck_assert_uint_eq(blob_files().count, 0);
    value.size = DIRECT;
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_str("large"), none, value, LSMKV_UNSYNCED), 0);
    ck_assert_uint_eq(blob_files().count, 1);
    flush();
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 2);
}
END_TEST

static uint64_t
put_middling(unsigned i)
{
    uint64_t before = rig_stats(&rig).direct_bytes_written;
    struct lsmkv_slice value = value_of(i, 1);

    value.size = DIRECT - 1;
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_str(key_of(i)), none, value, LSMKV_UNSYNCED), 0);
    return rig_stats(&rig).direct_bytes_written - before;
}

/* L5: a sync that has much to write may as well sync two files. */
START_TEST(test_smaller_values_follow_where_no_sync_is_near)
{
    const unsigned enough = 10;
    struct lsmkv_record record;
    struct lsmkv_slice value;
    unsigned count = 0;

    rig_close(&rig);
    rig.options.write_buffer_size = enough * (size_t)DIRECT * 32;
    rig_open(&rig);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < enough; i++)
            ck_assert_uint_eq(put_middling(count++), 0);
        for (unsigned i = 0; i < 3; i++)
            ck_assert_uint_gt(put_middling(count++), DIRECT);
        value = value_of(count, 1);
        value.size = rig.options.blob_threshold - 1;
        ck_assert_int_eq(
            lsmkv_put(rig.db, NULL, lsmkv_str("small"), none, value, LSMKV_UNSYNCED), 0);
        sync_store();
    }
    ck_assert_uint_eq(size_of(the_file()),
                      BLOB_HEADER_SIZE + 6 * (RECORD - VALUE + DIRECT - 1));
    die_and_open();
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key_of(i)), buffer,
                                   sizeof(buffer), &record),
                         0);
        ck_assert_uint_eq(record.value.size, DIRECT - 1);
        ck_assert_mem_eq(record.value.data, value_of(i, 1).data, DIRECT - 1);
    }
}
END_TEST

/* 0 of either threshold: no value does; below the first threshold none stands apart at all. */
START_TEST(test_the_thresholds_turn_it_off)
{
    static const size_t thresholds[][2] = {{0, DIRECT}, {1000, 0}, {VALUE + 1, DIRECT}};

    rig_close(&rig);
    rig.options.blob_threshold = thresholds[_i][0];
    rig.options.direct_threshold = thresholds[_i][1];
    rig_open(&rig);
    put_all(3, 1);
    ck_assert_uint_eq(blob_files().count, 0);
    assert_all(NULL, 3, 1);
}
END_TEST

START_TEST(test_every_read_finds_what_a_memtable_refers_to)
{
    const struct lsmkv_iter_options lazy = {.lazy_values = true};
    struct lsmkv_iter *iter;
    struct lsmkv_held *held;
    struct lsmkv_record record;
    struct lsmkv_slice value;
    unsigned i = 0;

    put_all(5, 1);
    ck_assert_int_eq(lsmkv_get_held(rig.db, NULL, NULL, lsmkv_str(key_of(3)), &held), 0);
    assert_value(lsmkv_held_record(held)->value, 3, 1);
    ck_assert_int_eq(lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str(key_of(4)), true, buffer,
                                  sizeof(buffer), &record),
                     LSMKV_EXACT);
    assert_value(record.value, 4, 1);
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &lazy, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter), i++) {
        ck_assert_uint_eq(lsmkv_iter_record(iter)->value.size, VALUE);
        ck_assert_int_eq(lsmkv_iter_value(iter, &value), 0);
        assert_value(value, i, 1);
    }
    ck_assert_uint_eq(i, 5);
    lsmkv_iter_free(iter);
    flush();
    assert_value(lsmkv_held_record(held)->value, 3, 1);
    lsmkv_held_release(held);
}
END_TEST

START_TEST(test_a_batch_keeps_its_order_and_its_other_entries)
{
    struct lsmkv_batch *batch;
    struct lsmkv_record record;

    put(7, 1);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str(key_of(1)), lsmkv_str("at"),
                                     value_of(1, 1)),
                     0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str("small"), lsmkv_str("s"),
                                     lsmkv_str("value")),
                     0);
    ck_assert_int_eq(lsmkv_batch_delete(batch, NULL, lsmkv_str(key_of(7))), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str(key_of(1)), lsmkv_str("at"),
                                     value_of(1, 2)),
                     0);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, LSMKV_UNSYNCED), 0);
    lsmkv_batch_free(batch);
    die_and_open();
    assert_at(NULL, key_of(1), 1, 2);
    assert_absent(key_of(7));
    ck_assert(rig_holds(&rig, NULL, "small", "value"));
    ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str("small"), buffer,
                               sizeof(buffer), &record),
                     0);
    ck_assert_int_gt(record.stamp_time, 0);
}
END_TEST

/* A file ends with the last record that the log refers to, also if a batch is refused: the store, once
 * closed, would not open. */
START_TEST(test_a_refused_batch_leaves_nothing)
{
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_batch *batch;

    put(3, 1);
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "gone", LSMKV_ORDER_BYTES, &keyspace),
                     0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(
        lsmkv_batch_put(batch, keyspace, lsmkv_str("a"), none, value_of(1, 1)), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str(key_of(1)), lsmkv_str("at"),
                                     value_of(1, 1)),
                     0);
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, keyspace), 0);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, LSMKV_UNSYNCED), -EINVAL);
    lsmkv_batch_free(batch);
    ck_assert_uint_eq(size_of(the_file()), SIZE_OF(1));
    rig_close(&rig);
    assert_sound();
    rig_open(&rig);
    assert_absent(key_of(1));
    assert_at(NULL, key_of(3), 3, 1);
}
END_TEST

START_TEST(test_moves_and_copies_take_values_from_a_memtable)
{
    const struct lsmkv_move move = {lsmkv_str("d"), lsmkv_str("e")};
    struct lsmkv_batch *batch;
    struct lsmkv_held *held;

    put_all(4, 1);
    ck_assert_int_eq(lsmkv_get_held(rig.db, NULL, NULL, lsmkv_str(key_of(3)), &held), 0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(
        lsmkv_batch_put_held(batch, NULL, lsmkv_str("copy"), lsmkv_str("at"), held), 0);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, LSMKV_UNSYNCED), 0);
    lsmkv_batch_free(batch);
    lsmkv_held_release(held);
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &move, 1, NULL, LSMKV_UNSYNCED), 0);
    assert_at(NULL, "copy", 3, 1);
    assert_at(NULL, "e/k00002", 2, 1);
    flush();
    die_and_open();
    assert_at(NULL, "copy", 3, 1);
    for (unsigned i = 0; i < 4; i++) {
        char moved[24];

        snprintf(moved, sizeof(moved), "e/k%05u", i);
        assert_at(NULL, moved, i, 1);
    }
}
END_TEST

/* ---- a generation ---- */

START_TEST(test_a_generation_is_full_by_what_stands_beside_its_log)
{
    struct file_list files;

    put_all(100, 1);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_ge(rig_stats(&rig).flushes, 3);
    files = blob_files();
    ck_assert_uint_ge(files.count, 4);
    for (unsigned i = 0; i < files.count; i++)
        ck_assert_uint_le(size_of(files.names[i]),
                          rig.options.write_buffer_size + RECORD);
    die_and_open();
    assert_all(NULL, 100, 1);
}
END_TEST

START_TEST(test_each_keyspace_has_a_file_of_its_own)
{
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_record record;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "other", LSMKV_ORDER_BYTES, &keyspace),
                     0);
    for (unsigned i = 0; i < 3; i++) {
        put(i, 1);
        ck_assert_int_eq(lsmkv_put(rig.db, keyspace, lsmkv_str(key_of(i)), none,
                                   value_of(i, 2), LSMKV_UNSYNCED),
                         0);
    }
    ck_assert_uint_eq(blob_files().count, 2);
    die_and_open();
    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "other", &keyspace), 0);
    assert_all(NULL, 3, 1);
    ck_assert_int_eq(lsmkv_get(rig.db, keyspace, NULL, lsmkv_str(key_of(2)), buffer,
                               sizeof(buffer), &record),
                     0);
    assert_value(record.value, 2, 2);
    compact();
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, keyspace), 0);
    ck_assert_uint_eq(blob_files().count, 1);
}
END_TEST

/* Each had one, and the store ran out of descriptors: a put in one keyspace more failed. */
START_TEST(test_of_many_keyspaces_only_some_have_a_file)
{
    static const unsigned many = 40, most = 32;
    struct lsmkv_keyspace *keyspaces[40];
    struct lsmkv_record record;
    char name[16];

    rig.options.write_buffer_size = 64u << 20; /* one generation */
    die_and_open();
    for (unsigned i = 0; i < many; i++) {
        snprintf(name, sizeof(name), "k%u", i);
        ck_assert_int_eq(
            lsmkv_keyspace_create(rig.db, name, LSMKV_ORDER_BYTES, &keyspaces[i]), 0);
    }
    for (unsigned version = 1; version <= 2; version++)
        for (unsigned i = 0; i < many; i++)
            ck_assert_int_eq(lsmkv_put(rig.db, keyspaces[i], lsmkv_str(key_of(i)), none,
                                       value_of(i, version), LSMKV_UNSYNCED),
                             0);
    ck_assert_uint_eq(blob_files().count, most);
    die_and_open();
    for (unsigned i = 0; i < many; i++) {
        snprintf(name, sizeof(name), "k%u", i);
        ck_assert_int_eq(lsmkv_keyspace_open(rig.db, name, &keyspaces[i]), 0);
        ck_assert_int_eq(lsmkv_get(rig.db, keyspaces[i], NULL, lsmkv_str(key_of(i)),
                                   buffer, sizeof(buffer), &record),
                         0);
        assert_value(record.value, i, 2);
    }
}
END_TEST

/* The log still refers to the file when the keyspace is gone; no replay may want it. */
START_TEST(test_a_dropped_keyspace_lets_its_file_go)
{
    struct lsmkv_keyspace *keyspace;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "other", LSMKV_ORDER_BYTES, &keyspace),
                     0);
    ck_assert_int_eq(
        lsmkv_put(rig.db, keyspace, lsmkv_str("k"), none, value_of(1, 1), LSMKV_UNSYNCED),
        0);
    put(2, 1);
    sync_store();
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, keyspace), 0);
    for (int i = 0; i < 3; i++) {
        die_and_open();
        assert_at(NULL, key_of(2), 2, 1);
    }
    flush();
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_eq(blob_files().count, 1);
}
END_TEST

START_TEST(test_a_file_of_which_nothing_is_left_goes_with_its_memtable)
{
    struct lsmkv_iter *iter;

    put_all(5, 1);
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    lsmkv_iter_first(iter);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(lsmkv_delete(rig.db, NULL, lsmkv_str(key_of(i)), 0), 0);
    ck_assert_uint_eq(blob_files().count, 1);
    flush();
    ck_assert_int_eq(lsmkv_settle(rig.db), 0); /* the flush itself has let go of it */
    ck_assert_uint_eq(blob_files().count, 1);
    for (unsigned i = 0; i < 5; i++, lsmkv_iter_next(iter))
        assert_value(lsmkv_iter_record(iter)->value, i, 1);
    lsmkv_iter_free(iter);
    ck_assert_uint_eq(blob_files().count, 0);
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 0);
}
END_TEST

START_TEST(test_what_is_overwritten_in_a_memtable_is_dead)
{
    put_all(5, 1);
    put_all(2, 2);
    flush();
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_ge(rig_stats(&rig).blob_dead_bytes, 2 * VALUE);
    ck_assert_uint_lt(rig_stats(&rig).blob_dead_bytes, 3 * VALUE);
    put_all(5, 3);
    compact();
    ck_assert_uint_lt(rig_stats(&rig).blob_file_bytes, 6 * RECORD); /* the rest is gone */
    assert_all(NULL, 5, 3);
}
END_TEST

START_TEST(test_the_log_keeps_its_file_through_openings)
{
    put_all(3, 1);
    for (int i = 0; i < 3; i++) {
        rig_close(&rig);
        assert_sound();
        rig.options.read_only = true;
        rig_open(&rig);
        assert_all(NULL, 3, 1);
        rig_close(&rig);
        rig.options.read_only = false;
        rig_open(&rig);
        assert_all(NULL, 3, 1);
        die_and_open();
        assert_all(NULL, 3, 1);
    }
}
END_TEST

/* ---- what is durable ---- */

/* In the log that the store opened with and in later ones: of a sync, of a synced put beside it. */
START_TEST(test_a_sync_covers_what_the_log_refers_to)
{
    for (int i = 0; i < _i % 3; i++) {
        put(50, 1);
        flush();
    }
    put_all(3, 1);
    if (_i < 3)
        sync_store();
    else
        rig_put(&rig, "synced", "put");
    rig_cut_power(&rig, worst, 0);
    assert_sound();
    rig_open(&rig);
    assert_all(NULL, 3, 1);
}
END_TEST

/* Freezing a generation is a sync, too. */
START_TEST(test_what_was_flushed_is_durable)
{
    put_all(3, 1);
    flush();
    rig_cut_power(&rig, worst, 0);
    assert_sound();
    rig_open(&rig);
    assert_all(NULL, 3, 1);
}
END_TEST

/* ---- what fails ---- */

/* Of the two writes of a put the first is of the value, the second of the frame: whichever fails,
 * both files end as they did. */
START_TEST(test_a_failed_write_is_undone)
{
    const unsigned before = (unsigned)_i / 2;
    const char *file = NULL;

    put_all(before, 1);
    fail_next(ENV_CALL_FILE_WRITE, 1 + (unsigned)_i % 2, EIO);
    ck_assert_int_eq(try_put(8, 1), -EIO);
    fault_env_heal(rig.faults);
    file = the_file();
    ck_assert_uint_eq(size_of(file), before == 0 ? 0 : SIZE_OF(before));
    assert_absent(key_of(8));
    put(9, 1);
    ck_assert_uint_eq(size_of(file), SIZE_OF(before + 1));
    sync_store();
    rig_cut_power(&rig, worst, 0);
    assert_sound();
    rig_open(&rig);
    assert_all(NULL, before, 1);
    assert_absent(key_of(8));
    assert_at(NULL, key_of(9), 9, 1);
}
END_TEST

/* It is undone durably, for the undoing of the frame has made it durable: the manifest names the
 * size that the file has then. */
START_TEST(test_a_write_that_was_undone_does_not_come_back)
{
    put(1, 1);
    sync_store();
    fail_next(ENV_CALL_FILE_WRITE, 2, EIO);
    ck_assert_int_eq(try_put(2, 1), -EIO);
    fault_env_heal(rig.faults);
    flush();
    rig_cut_power(&rig, worst, 0);
    assert_sound();
    rig_open(&rig);
    assert_at(NULL, key_of(1), 1, 1);
}
END_TEST

/* A group that touches two files, of which the second fails, takes back what it wrote to the first, and
 * no more than that. */
START_TEST(test_two_files_are_undone_together)
{
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_batch *batch;
    struct file_list files;
    struct lsmkv_record record;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "other", LSMKV_ORDER_BYTES, &keyspace),
                     0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str(key_of(1)), lsmkv_str("at"),
                                     value_of(1, 1)),
                     0);
    ck_assert_int_eq(
        lsmkv_batch_put(batch, keyspace, lsmkv_str(key_of(1)), none, value_of(1, 2)), 0);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, LSMKV_UNSYNCED), 0);
    for (unsigned nth = 1; nth <= 3; nth++) {
        fail_next(ENV_CALL_FILE_WRITE, nth, EIO);
        ck_assert_int_eq(lsmkv_write(rig.db, batch, LSMKV_UNSYNCED), -EIO);
        fault_env_heal(rig.faults);
        files = blob_files();
        ck_assert_uint_eq(files.count, 2);
        ck_assert_uint_eq(size_of(files.names[0]), SIZE_OF(1));
        ck_assert_uint_eq(size_of(files.names[1]), SIZE_OF(1));
    }
    lsmkv_batch_free(batch);
    assert_at(NULL, key_of(1), 1, 1);
    ck_assert_int_eq(lsmkv_get(rig.db, keyspace, NULL, lsmkv_str(key_of(1)), buffer,
                               sizeof(buffer), &record),
                     0);
    assert_value(record.value, 1, 2);
}
END_TEST

START_TEST(test_a_file_that_cannot_be_made_fails_the_put_alone)
{
    fail_next(ENV_CALL_FILE_OPEN, 1, EMFILE);
    ck_assert_int_eq(try_put(1, 1), -EMFILE);
    fault_env_heal(rig.faults);
    assert_absent(key_of(1));
    put(1, 1);
    assert_at(NULL, key_of(1), 1, 1);
    die_and_open();
    assert_at(NULL, key_of(1), 1, 1);
}
END_TEST

START_TEST(test_an_undoing_that_fails_poisons)
{
    put(1, 1);
    sync_store();
    fault_env_set(rig.faults, (struct fault){.call = ENV_CALL_ANY,
                                             .nth = 1,
                                             .onwards = true,
                                             .error = EIO,
                                             .partial_write = true});
    ck_assert_int_eq(try_put(2, 1), -EIO);
    fault_env_heal(rig.faults);
    ck_assert_int_lt(try_put(3, 1), 0);
    assert_at(NULL, key_of(1), 1, 1);
    die_and_open();
    assert_at(NULL, key_of(1), 1, 1);
    assert_absent(key_of(2));
    put(3, 1);
    flush();
    die_and_open();
    assert_at(NULL, key_of(3), 3, 1);
}
END_TEST

/* The sync of the blob file, that of its name, that of the log.  What opening then shows is durable: all
 * that was lost is written again. */
START_TEST(test_a_failed_sync_poisons_and_what_shows_again_stays)
{
    static const struct {
        enum env_call call;
        uint64_t nth;
    } faults[] = {
        {ENV_CALL_FILE_SYNC, 1}, {ENV_CALL_DIR_SYNC, 1}, {ENV_CALL_FILE_SYNC, 2}};

    put_all(3, 1);
    fail_next(faults[_i].call, faults[_i].nth, EIO);
    ck_assert_int_eq(lsmkv_sync(rig.db), -EIO);
    fault_env_heal(rig.faults);
    ck_assert_int_lt(lsmkv_sync(rig.db), 0);
    ck_assert_int_lt(try_put(4, 1), 0);
    assert_all(NULL, 3, 1);
    die_and_open();
    assert_all(NULL, 3, 1);
    rig_cut_power(&rig, worst, 0);
    assert_sound();
    rig_open(&rig);
    assert_all(NULL, 3, 1);
}
END_TEST

START_TEST(test_a_full_disk_takes_nothing_and_goes_on)
{
    unsigned count = 0;
    int result;

    rig_close(&rig);
    mem_env_set_capacity(rig.memory, 8 << 20);
    rig_open(&rig);
    while ((result = try_put(count, 1)) == 0)
        count++;
    ck_assert_int_eq(result, -ENOSPC);
    for (unsigned i = 0; i < count; i++)
        if (i % 3 != 0)
            ck_assert_int_eq(
                lsmkv_delete(rig.db, NULL, lsmkv_str(key_of(i)), LSMKV_UNSYNCED), 0);
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    for (unsigned i = 0, waits = 0; i < count / 6; i++)
        while ((result = try_put(3 * i + 1, 2)) != 0) { /* a merge may be using it */
            ck_assert_int_eq(result, -ENOSPC);
            ck_assert_uint_lt(++waits, 20);
            ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
        }
    die_and_open();
    for (unsigned i = 0; i < count; i++)
        if (i % 3 == 0)
            assert_at(NULL, key_of(i), i, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("direct");
    TCase *tests = tcase_create("direct");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_large_value_is_written_once);
    tcase_add_test(tests, test_other_values_go_to_the_log_whole);
    tcase_add_test(tests, test_smaller_values_follow_where_no_sync_is_near);
    tcase_add_loop_test(tests, test_the_thresholds_turn_it_off, 0, 3);
    tcase_add_test(tests, test_every_read_finds_what_a_memtable_refers_to);
    tcase_add_test(tests, test_a_batch_keeps_its_order_and_its_other_entries);
    tcase_add_test(tests, test_a_refused_batch_leaves_nothing);
    tcase_add_test(tests, test_moves_and_copies_take_values_from_a_memtable);
    tcase_add_test(tests, test_a_generation_is_full_by_what_stands_beside_its_log);
    tcase_add_test(tests, test_each_keyspace_has_a_file_of_its_own);
    tcase_add_test(tests, test_of_many_keyspaces_only_some_have_a_file);
    tcase_add_test(tests, test_a_dropped_keyspace_lets_its_file_go);
    tcase_add_test(tests, test_a_file_of_which_nothing_is_left_goes_with_its_memtable);
    tcase_add_test(tests, test_what_is_overwritten_in_a_memtable_is_dead);
    tcase_add_test(tests, test_the_log_keeps_its_file_through_openings);
    tcase_add_loop_test(tests, test_a_sync_covers_what_the_log_refers_to, 0, 6);
    tcase_add_test(tests, test_what_was_flushed_is_durable);
    tcase_add_loop_test(tests, test_a_failed_write_is_undone, 0, 6);
    tcase_add_test(tests, test_a_write_that_was_undone_does_not_come_back);
    tcase_add_test(tests, test_two_files_are_undone_together);
    tcase_add_test(tests, test_a_file_that_cannot_be_made_fails_the_put_alone);
    tcase_add_test(tests, test_an_undoing_that_fails_poisons);
    tcase_add_loop_test(tests, test_a_failed_sync_poisons_and_what_shows_again_stays, 0,
                        3);
    tcase_add_test(tests, test_a_full_disk_takes_nothing_and_goes_on);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
