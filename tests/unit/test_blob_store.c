/*
 * test_blob_store.c - a store with values apart from their keys: every way to read them, merges and
 * moves that carry references, what lets a blob file go, what collects one, and what is damaged.
 */
#include "blob_fixture.h"
#include "support/suite.h"

#define THRESHOLD 1000u
/* What a value takes in a file, at least. */
#define STORED (packing ? VALUE / 3 : VALUE)

static void
setup(void)
{
    rig_init(&rig);
    if (packing)
        rig.options.compression = LSMKV_COMPRESSION_LZ4;
    rig.options.blob_threshold = THRESHOLD;
    rig.options.direct_threshold = 0; /* files that a flush makes */
    rig_open(&rig);
}

static void
setup_packed(void)
{
    packing = true;
    setup();
}

static void
teardown(void)
{
    packing = false;
    rig_fini(&rig);
}

/* ---- reading ---- */

START_TEST(test_every_read_gives_a_value_that_stands_apart)
{
    struct lsmkv_iter *iter;
    struct lsmkv_held *held;
    struct lsmkv_record record;
    unsigned i = 0;

    put_all(10, 1);
    flush();
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 1);
    ck_assert_uint_gt(rig_stats(&rig).blob_file_bytes, 10 * STORED);
    ck_assert_uint_lt(rig_stats(&rig).blob_file_bytes, 10 * STORED + 10 * 200);
    ck_assert_uint_lt(rig_stats(&rig).table_bytes, VALUE);
    assert_all(NULL, 10, 1);
    ck_assert_int_eq(lsmkv_get_held(rig.db, NULL, NULL, lsmkv_str(key_of(3)), &held), 0);
    assert_value(lsmkv_held_record(held)->value, 3, 1);
    lsmkv_held_release(held);
    ck_assert_int_eq(lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str(key_of(4)), true, buffer,
                                  sizeof(buffer), &record),
                     LSMKV_EXACT);
    assert_value(record.value, 4, 1);
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter), i++)
        assert_value(lsmkv_iter_record(iter)->value, i, 1);
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    ck_assert_uint_eq(i, 10);
    for (lsmkv_iter_last(iter); lsmkv_iter_valid(iter); lsmkv_iter_prev(iter))
        assert_value(lsmkv_iter_record(iter)->value, --i, 1);
    ck_assert_uint_eq(i, 0);
    lsmkv_iter_free(iter);
}
END_TEST

/* Sizes and attributes are in the tables. */
START_TEST(test_who_asks_for_no_value_reads_none)
{
    const struct lsmkv_iter_options lazy = {.lazy_values = true};
    struct lsmkv_iter *iter;
    struct lsmkv_record record;
    struct lsmkv_slice value;
    unsigned i = 0;

    put_all(10, 1);
    flush();
    ck_assert_int_eq(lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str(key_of(4)), false, buffer,
                                  sizeof(buffer), &record),
                     LSMKV_EXACT);
    ck_assert_uint_eq(record.value.size, VALUE);
    ck_assert_int_eq(
        lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key_of(4)), buffer, VALUE, &record),
        -ERANGE);
    ck_assert_uint_eq(record.value.size, VALUE);
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &lazy, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter), i++) {
        ck_assert_uint_eq(lsmkv_iter_record(iter)->value.size, VALUE);
        ck_assert_ptr_null(lsmkv_iter_record(iter)->value.data);
        ck_assert_mem_eq(lsmkv_iter_record(iter)->attributes.data, "at", 2);
    }
    ck_assert_uint_eq(i, 10);
    ck_assert_uint_eq(rig_stats(&rig).blobs_read, 0);
    lsmkv_iter_seek(iter, lsmkv_str(key_of(7)));
    ck_assert_int_eq(lsmkv_iter_value(iter, &value), 0);
    assert_value(value, 7, 1);
    ck_assert_int_eq(lsmkv_iter_value(iter, &value), 0);
    ck_assert_uint_eq(rig_stats(&rig).blobs_read, 1);
    lsmkv_iter_free(iter);
}
END_TEST

START_TEST(test_the_threshold_holds_to_the_byte)
{
    struct lsmkv_slice value = value_of(1, 1);

    value.size = THRESHOLD - 1;
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("a"), none, value, 0), 0);
    flush();
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 0);
    value.size = THRESHOLD;
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("b"), none, value, 0), 0);
    flush();
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 1);
    rig_close(&rig);
    rig.options.blob_threshold = 0;
    rig_open(&rig);
    put(1, 1);
    flush();
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 1);
    compact(); /* what is apart stays so */
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 1);
    assert_at(NULL, key_of(1), 1, 1);
}
END_TEST

/* ---- merges and moves carry references ---- */

START_TEST(test_a_merge_writes_no_value_again)
{
    uint64_t written;

    for (unsigned version = 0; version < 3; version++) {
        for (unsigned i = version; i < 30; i += 3)
            put(i, 1);
        flush();
    }
    written = rig_stats(&rig).blob_bytes_written;
    ck_assert_uint_gt(written, 30 * STORED);
    compact();
    ck_assert_uint_eq(rig_stats(&rig).tables, 1);
    ck_assert_uint_eq(rig_stats(&rig).blob_bytes_written, written);
    ck_assert_uint_eq(rig_stats(&rig).blobs_read, 0);
    assert_all(NULL, 30, 1);
}
END_TEST

/* Values that were written when the threshold was another come apart as they are merged. */
START_TEST(test_a_merge_takes_large_values_out)
{
    rig_close(&rig);
    rig.options.blob_threshold = 0;
    rig_open(&rig);
    put_all(10, 1);
    flush();
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 0);
    rig_close(&rig);
    rig.options.blob_threshold = THRESHOLD;
    rig_open(&rig);
    compact();
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 1);
    ck_assert_uint_lt(rig_stats(&rig).table_bytes, VALUE);
    assert_all(NULL, 10, 1);
}
END_TEST

static void
move(const char *from, const char *to)
{
    const struct lsmkv_move trees = {lsmkv_str(from), lsmkv_str(to)};

    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &trees, 1, NULL, 0), 0);
}

static void
assert_moved(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char key[24];

        snprintf(key, sizeof(key), "e/k%05u", i);
        assert_at(NULL, key, i, 1);
    }
}

/* The same file serves the tables of the old keys and those of the new ones; with the old ones gone
 * it stays for the new. */
START_TEST(test_a_large_move_shares_the_file)
{
    uint64_t written;

    rig_close(&rig);
    rig.options.move_log_limit = 4 * VALUE;
    rig_open(&rig);
    put_all(15, 1);
    flush();
    written = rig_stats(&rig).blob_bytes_written;
    move("d", "e");
    ck_assert_uint_eq(rig_stats(&rig).blob_bytes_written, written);
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 1);
    assert_moved(15);
    compact();
    ck_assert_uint_eq(rig_stats(&rig).tables, 1);
    ck_assert_uint_eq(rig_stats(&rig).blob_bytes_written, written);
    assert_moved(15);
    rig_close(&rig);
    rig_open(&rig);
    assert_moved(15);
    ck_assert_uint_eq(blob_files().count, 1);
}
END_TEST

START_TEST(test_a_small_move_and_a_copy_write_the_value)
{
    struct lsmkv_batch *batch;
    struct lsmkv_held *held;

    put_all(2, 1);
    flush();
    move("d", "e");
    assert_moved(2);
    ck_assert_int_eq(lsmkv_get_held(rig.db, NULL, NULL, lsmkv_str("e/k00001"), &held), 0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(
        lsmkv_batch_put_held(batch, NULL, lsmkv_str("copy"), lsmkv_str("at"), held), 0);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, 0), 0);
    lsmkv_batch_free(batch);
    lsmkv_held_release(held);
    ck_assert_int_eq(lsmkv_delete(rig.db, NULL, lsmkv_str("e/k00001"), 0), 0);
    compact();
    assert_at(NULL, "copy", 1, 1);
    assert_at(NULL, "e/k00000", 0, 1);
}
END_TEST

/* ---- what lets a file go ---- */

START_TEST(test_a_file_goes_with_the_last_entry_that_refers_to_it)
{
    put_all(5, 1);
    flush();
    put_all(5, 2);
    flush();
    ck_assert_uint_eq(blob_files().count, 2);
    compact();
    ck_assert_uint_eq(blob_files().count, 1);
    assert_all(NULL, 5, 2);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(lsmkv_delete(rig.db, NULL, lsmkv_str(key_of(i)), 0), 0);
    compact();
    ck_assert_uint_eq(blob_files().count, 0);
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 0);
}
END_TEST

/* Held by an iterator it outlives the tables of the newest version; it goes with the iterator. */
START_TEST(test_a_reader_keeps_the_file)
{
    struct lsmkv_iter *iter;

    put_all(5, 1);
    flush();
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
    lsmkv_iter_first(iter);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(lsmkv_delete(rig.db, NULL, lsmkv_str(key_of(i)), 0), 0);
    compact();
    ck_assert_uint_eq(blob_files().count, 1);
    for (unsigned i = 0; i < 5; i++, lsmkv_iter_next(iter))
        assert_value(lsmkv_iter_record(iter)->value, i, 1);
    lsmkv_iter_free(iter);
    ck_assert_uint_eq(blob_files().count, 0);
}
END_TEST

START_TEST(test_a_named_snapshot_keeps_the_file)
{
    struct lsmkv_snapshot *snapshot;

    put_all(5, 1);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), 0);
    flush();
    put_all(5, 2);
    compact();
    rig_close(&rig);
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "s", &snapshot, NULL), 0);
    assert_all(snapshot, 5, 1);
    assert_all(NULL, 5, 2);
    lsmkv_snapshot_release(rig.db, snapshot);
    ck_assert_uint_eq(blob_files().count, 2);
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "s"), 0);
    compact();
    ck_assert_uint_eq(blob_files().count, 1);
    assert_all(NULL, 5, 2);
}
END_TEST

START_TEST(test_a_dropped_keyspace_takes_its_files_along)
{
    struct lsmkv_keyspace *keyspace;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &keyspace),
                     0);
    ck_assert_int_eq(lsmkv_put(rig.db, keyspace, lsmkv_str("a"), none, value_of(1, 1), 0),
                     0);
    put(1, 1);
    flush();
    ck_assert_uint_eq(blob_files().count, 2);
    ck_assert_int_eq(lsmkv_keyspace_drop(rig.db, keyspace), 0);
    ck_assert_uint_eq(blob_files().count, 1);
    assert_at(NULL, key_of(1), 1, 1);
}
END_TEST

START_TEST(test_a_file_that_a_crash_left_is_swept)
{
    struct env_dir *dir;
    struct env_file *file;

    put_all(5, 1);
    flush();
    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, "000900.blob", ENV_CREATE, &file), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
    ck_assert_uint_eq(blob_files().count, 2);
    rig_close(&rig);
    rig_open(&rig);
    ck_assert_uint_eq(blob_files().count, 1);
    assert_all(NULL, 5, 1);
}
END_TEST

/* ---- collecting ---- */

/* Values that lie spread over files: most of the older ones die, one in `step` stays. */
static void
make_holes(unsigned count, unsigned step)
{
    put_all(count, 1);
    flush();
    for (unsigned i = 0; i < count; i++)
        if (i % step != 0)
            put(i, 2);
    flush();
}

static void
assert_holes(const struct lsmkv_snapshot *snapshot, unsigned count, unsigned step)
{
    for (unsigned i = 0; i < count; i++)
        assert_at(snapshot, key_of(i), i, i % step != 0 ? 2 : 1);
}

START_TEST(test_files_that_are_mostly_dead_are_collected)
{
    struct lsmkv_stats stats;

    make_holes(100, 4);
    compact();
    stats = rig_stats(&rig);
    ck_assert_uint_lt(stats.blob_file_bytes, 130 * VALUE);
    ck_assert_uint_le(2 * stats.blob_dead_bytes, stats.blob_file_bytes);
    assert_holes(NULL, 100, 4);
    rig_close(&rig);
    rig_open(&rig);
    assert_holes(NULL, 100, 4);
    ck_assert_uint_eq(blob_files().count, rig_stats(&rig).blob_files);
}
END_TEST

/* Without any merge that is due: what is dead is known from the tables alone, so a collection that an
 * end came across goes on when the store is opened. */
START_TEST(test_a_collection_is_due_by_itself)
{
    struct lsmkv_stats stats;

    make_holes(100, 10);
    rig.options.blob_threshold = THRESHOLD;
    compact();
    for (unsigned i = 1; i < 100; i += 2)
        put(i, 3);
    flush();
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    rig_close(&rig);
    rig_open(&rig);
    compact();
    stats = rig_stats(&rig);
    ck_assert_uint_le(2 * stats.blob_dead_bytes, stats.blob_file_bytes);
    for (unsigned i = 0; i < 100; i++)
        assert_at(NULL, key_of(i), i, i % 2 == 1 ? 3 : i % 10 != 0 ? 2 : 1);
}
END_TEST

START_TEST(test_collecting_keeps_what_snapshots_see)
{
    struct lsmkv_snapshot *snapshot;

    put_all(50, 0);
    ck_assert_int_eq(lsmkv_snapshot_take(rig.db, &snapshot), 0);
    make_holes(50, 5);
    compact();
    for (unsigned i = 0; i < 50; i++)
        assert_at(snapshot, key_of(i), i, 0);
    assert_holes(NULL, 50, 5);
    lsmkv_snapshot_release(rig.db, snapshot);
    compact();
    assert_holes(NULL, 50, 5);
    ck_assert_uint_lt(rig_stats(&rig).blob_file_bytes, 2 * 50 * VALUE + 5000);
}
END_TEST

/* A file with a value that cannot be read is not collected over and over, and merges go on. */
START_TEST(test_a_bad_value_does_not_stop_merges)
{
    struct lsmkv_record record;
    struct file_list files;

    put_all(15, 1);
    flush();
    files = blob_files();
    ck_assert_uint_eq(files.count, 1);
    change_file(files.names[0], 200, 0); /* in the first value */
    for (unsigned i = 1; i < 14; i++)
        put(i, 2);
    compact();
    ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key_of(0)), buffer,
                               sizeof(buffer), &record),
                     -EBADMSG);
    ck_assert_ptr_nonnull(strstr(lsmkv_error_detail(), files.names[0]));
    for (unsigned i = 1; i < 15; i++)
        assert_at(NULL, key_of(i), i, i < 14 ? 2 : 1);
}
END_TEST

/* ---- a full disk ---- */

/* A flush under way has both its log and its output, and may leave no room for a moment. */
static int
put_when_there_is_room(unsigned i, unsigned round)
{
    int result = -EAGAIN;

    for (unsigned tries = 0; tries < 3 && result != 0; tries++) {
        result = lsmkv_put(rig.db, NULL, lsmkv_str(key_of(i)), lsmkv_str("at"),
                           value_of(i, round), LSMKV_UNSYNCED);
        if (result == -ENOSPC && lsmkv_wait_for_space(rig.db, 60000) != 0)
            break;
    }
    return result;
}

/* After the one round that the deletes began, who waited was told that nothing would come, though
 * a merge was under way and a third of the blob files was dead. */
START_TEST(test_deleted_values_come_free_on_a_full_disk)
{
    unsigned count = 0;
    int result;

    rig_close(&rig);
    mem_env_set_capacity(rig.memory, 8 << 20);
    rig_open(&rig);
    while ((result = lsmkv_put(rig.db, NULL, lsmkv_str(key_of(count)), lsmkv_str("at"),
                               value_of(count, 1), LSMKV_UNSYNCED)) == 0)
        count++;
    ck_assert_int_eq(result, -ENOSPC);
    ck_assert_uint_gt(count, 1000);
    for (unsigned i = 0; i < count; i++) /* a third, spread over all files */
        if (i % 3 == 0)
            ck_assert_int_eq(
                lsmkv_delete(rig.db, NULL, lsmkv_str(key_of(i)), LSMKV_UNSYNCED), 0);
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    for (unsigned i = 0; i < count / 5; i++) {
        result = put_when_there_is_room(3 * i, 2);
        ck_assert_msg(result == 0, "%u of %u: %s", i, count, lsmkv_error_detail());
    }
    for (unsigned i = 0; i < count; i++)
        if (i % 3 != 0)
            assert_at(NULL, key_of(i), i, 1);
}
END_TEST

/* Nothing is deleted, so no round began after the first: the values that were overwritten were
 * dead, and who waited was told that nothing would come. */
START_TEST(test_overwritten_values_come_free_on_a_full_disk)
{
    const unsigned count = 1700;

    rig_close(&rig);
    mem_env_set_capacity(rig.memory, 8 << 20);
    rig_open(&rig);
    put_all(count, 1);
    for (unsigned round = 2; round < 5; round++)
        for (unsigned i = 0; i < count; i++) {
            int result = put_when_there_is_room(i * 7 % count, round);

            ck_assert_msg(result == 0, "%u of round %u: %s", i, round,
                          lsmkv_error_detail());
        }
    assert_all(NULL, count, 4);
}
END_TEST

/* Makes less than half of each file dead, and has all merges done. */
static void
make_a_part_dead(unsigned count, unsigned first)
{
    for (unsigned i = first; i < count; i += 4)
        put(i, 2);
    compact();
    ck_assert_uint_gt(rig_stats(&rig).blob_dead_bytes, count / 5 * VALUE);
}

/* So much of the disk is used that free space is a little below the reserve. */
static void
run_short(void)
{
    flush();
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    mem_env_set_capacity(rig.memory, mem_env_used(rig.memory) +
                                         rig.options.space_reserve - (32 << 10));
}

/* Small values between the others, so that the tables are larger than what is dead beside them. */
static void
put_small(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct lsmkv_slice value = value_of(i, 9);
        char key[64];

        value.size = THRESHOLD - 1;
        for (int k = 0; k < 2; k++) {
            snprintf(key, sizeof(key), "%s-%d", key_of(i), k);
            ck_assert_int_eq(
                lsmkv_put(rig.db, NULL, lsmkv_str(key), none, value, LSMKV_UNSYNCED), 0);
        }
    }
}

/* Which files are worth collecting was known from when there was space, until the tables changed;
 * which they do not while puts are refused.  And what is dead was weighed against the tables. */
START_TEST(test_a_disk_that_gets_short_again_is_freed_again)
{
    const unsigned count = 600;

    rig_close(&rig);
    rig.options.write_buffer_size = 192 << 10;
    rig.options.space_reserve = 1 << 20;
    rig_open(&rig);
    put_all(count, 1);
    put_small(count);
    for (unsigned round = 0; round < 2; round++) {
        make_a_part_dead(count, round);
        run_short();
        ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
        ck_assert_int_eq(lsmkv_settle(rig.db), 0);
        ck_assert_uint_lt(rig_stats(&rig).blob_dead_bytes, count / 10 * VALUE);
        mem_env_set_capacity(rig.memory, 64 << 20);
    }
}
END_TEST

/* ---- damage ---- */

START_TEST(test_a_missing_or_short_file_is_found_by_opening)
{
    struct file_list files;
    struct env_dir *dir;

    put_all(5, 1);
    flush();
    rig_close(&rig);
    files = blob_files();
    change_file(files.names[0], 0, 5000);
    refuse_to_open();
    ck_assert_ptr_nonnull(strstr(lsmkv_error_detail(), files.names[0]));
    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_unlink(dir, files.names[0]), 0);
    env_dir_close(dir);
    refuse_to_open();
    ck_assert_ptr_nonnull(strstr(lsmkv_error_detail(), "missing"));
}
END_TEST

START_TEST(test_check_finds_a_flipped_byte_anywhere)
{
    struct file_list files;
    uint64_t size;

    put_all(3, 1);
    flush();
    size = rig_stats(&rig).blob_file_bytes;
    rig_close(&rig);
    files = blob_files();
    for (uint64_t at = 0; at < size; at += at < 100 ? 1 : 97) {
        struct told told = {.findings = 0};
        const struct lsmkv_check_options check = {.finding = note_finding,
                                                  .context = &told};

        change_file(files.names[0], at, 0);
        ck_assert_int_eq(lsmkv_check("store", &rig.options, &check), -EUCLEAN);
        ck_assert_uint_gt(told.findings, 0);
        ck_assert_str_eq(told.file, files.names[0]);
        change_file(files.names[0], at, 0);
        told.findings = 0;
        ck_assert_int_eq(lsmkv_check("store", &rig.options, &check), 0);
    }
}
END_TEST

START_TEST(test_repair_keeps_what_can_be_read_and_tells_the_rest)
{
    struct told told = {.findings = 0};
    const struct lsmkv_repair_options repair = {
        .finding = note_finding, .lost = note_loss, .context = &told};
    struct lsmkv_options options = rig.options;
    struct lsmkv_record record;
    struct file_list files;

    put_all(10, 1);
    flush();
    compact();
    rig_close(&rig);
    files = blob_files();
    change_file(files.names[0], 200, 0);
    ck_assert_int_eq(lsmkv_repair("store", "mended", &options, &repair), -EUCLEAN);
    ck_assert_uint_eq(told.losses, 1);
    ck_assert_str_eq(told.first, key_of(0));
    ck_assert_str_eq(told.file, files.names[0]);
    options.create = false;
    ck_assert_int_eq(lsmkv_open("mended", &options, &rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 1);
    for (unsigned i = 1; i < 10; i++)
        assert_at(NULL, key_of(i), i, 1);
    ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key_of(0)), buffer,
                               sizeof(buffer), &record),
                     -ENOENT);
}
END_TEST

/* Without MANIFEST only the tables tell of blob files. */
START_TEST(test_repair_without_a_manifest_finds_the_values)
{
    struct told told = {.findings = 0};
    const struct lsmkv_repair_options repair = {
        .finding = note_finding, .lost = note_loss, .context = &told};
    struct lsmkv_options options = rig.options;
    struct env_dir *dir;

    put_all(10, 1);
    flush();
    rig_close(&rig);
    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
    env_dir_close(dir);
    ck_assert_int_eq(lsmkv_repair("store", "mended", &options, &repair), -EUCLEAN);
    ck_assert_uint_eq(told.losses, 0);
    options.create = false;
    ck_assert_int_eq(lsmkv_open("mended", &options, &rig.db), 0);
    assert_all(NULL, 10, 1);
}
END_TEST

static void
add_tests(TCase *tests)
{
    tcase_add_test(tests, test_every_read_gives_a_value_that_stands_apart);
    tcase_add_test(tests, test_who_asks_for_no_value_reads_none);
    tcase_add_test(tests, test_the_threshold_holds_to_the_byte);
    tcase_add_test(tests, test_a_merge_writes_no_value_again);
    tcase_add_test(tests, test_a_merge_takes_large_values_out);
    tcase_add_test(tests, test_a_large_move_shares_the_file);
    tcase_add_test(tests, test_a_small_move_and_a_copy_write_the_value);
    tcase_add_test(tests, test_a_file_goes_with_the_last_entry_that_refers_to_it);
    tcase_add_test(tests, test_a_reader_keeps_the_file);
    tcase_add_test(tests, test_a_named_snapshot_keeps_the_file);
    tcase_add_test(tests, test_a_dropped_keyspace_takes_its_files_along);
    tcase_add_test(tests, test_a_file_that_a_crash_left_is_swept);
    tcase_add_test(tests, test_files_that_are_mostly_dead_are_collected);
    tcase_add_test(tests, test_a_collection_is_due_by_itself);
    tcase_add_test(tests, test_collecting_keeps_what_snapshots_see);
    tcase_add_test(tests, test_a_bad_value_does_not_stop_merges);
    tcase_add_test(tests, test_a_missing_or_short_file_is_found_by_opening);
    tcase_add_test(tests, test_check_finds_a_flipped_byte_anywhere);
    tcase_add_test(tests, test_repair_keeps_what_can_be_read_and_tells_the_rest);
    tcase_add_test(tests, test_repair_without_a_manifest_finds_the_values);
}

int
main(void)
{
    Suite *suite = suite_create("blob_store");
    TCase *plain = tcase_create("blob_store"), *air = tcase_create("packed values");
    TCase *full = tcase_create("full disk");

    tcase_add_checked_fixture(plain, setup, teardown);
    tcase_add_checked_fixture(air, setup_packed, teardown);
    add_tests(plain);
    add_tests(air);
    suite_add_tcase(suite, plain);
    suite_add_tcase(suite, air);
    tcase_add_checked_fixture(full, setup, teardown);
    tcase_add_test(full, test_deleted_values_come_free_on_a_full_disk);
    tcase_add_test(full, test_overwritten_values_come_free_on_a_full_disk);
    tcase_add_test(full, test_a_disk_that_gets_short_again_is_freed_again);
    suite_add_tcase(suite, full);
    return run_suite(suite);
}
