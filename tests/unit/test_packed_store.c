/*
 * test_packed_store.c - a compressed store with large values: packed beside the log, whole after a
 * crash or not at all, read in parts, and found again without MANIFEST.
 */
#include "direct_fixture.h"
#include "support/suite.h"

static void
setup_packed(void)
{
    packing = true;
    prepare();
    rig.options.compression = LSMKV_COMPRESSION_LZ4;
    rig_open(&rig);
}

static void
teardown_packed(void)
{
    packing = false;
    teardown();
}

START_TEST(test_values_beside_the_log_are_packed)
{
    uint64_t size;

    put_all(20, 1);
    sync_store();
    size = size_of(the_file());
    ck_assert_uint_lt(size, 20 * (VALUE / 2));
    die_and_open();
    assert_all(NULL, 20, 1);
    flush();
    compact();
    assert_all(NULL, 20, 1);
    ck_assert_uint_eq(rig_stats(&rig).blob_file_bytes, size);
    die_and_open();
    assert_all(NULL, 20, 1);
}
END_TEST

/* What is dead of a file is known by what its values take there. */
START_TEST(test_the_dead_are_counted_as_they_are_stored)
{
    uint64_t size, dead;

    put_all(20, 1);
    flush();
    compact();
    size = rig_stats(&rig).blob_file_bytes;
    ck_assert_uint_le(rig_stats(&rig).blob_dead_bytes, BLOB_HEADER_SIZE);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(lsmkv_delete(rig.db, NULL, lsmkv_str(key_of(i)), LSMKV_UNSYNCED),
                         0);
    compact();
    dead = rig_stats(&rig).blob_dead_bytes;
    ck_assert_uint_gt(dead, size / 5);
    ck_assert_uint_lt(dead, size / 3);
}
END_TEST

/* From the begin of the second record: in its checksum, the stored length, the key, the table, and
 * behind it in the value. */
static const uint64_t places[] = {1,
                                  BLOB_HEAD_SIZE + 1,
                                  BLOB_HEAD_MAX + 3,
                                  BLOB_HEAD_MAX + 16 + 2,
                                  BLOB_HEAD_MAX + 16 + 5,
                                  BLOB_HEAD_MAX + 16 + 8 + 100};

START_TEST(test_a_packed_value_that_is_not_there_whole_ends_the_log)
{
    uint64_t second = put_some_durably();

    rig_kill(&rig);
    change_file(the_file(), second + places[_i], 0);
    assert_ends_behind_the_first();
}
END_TEST

static uint8_t long_value[200000], copied[sizeof(long_value)];

static void
put_long(void)
{
    for (size_t i = 0; i < sizeof(long_value); i++)
        long_value[i] = (uint8_t)(i / 50 * 7);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("long"), none,
                               lsmkv_bytes(long_value, sizeof(long_value)),
                               LSMKV_UNSYNCED),
                     0);
}

/* The same of one of many units: in its table, and at the end of the last one. */
START_TEST(test_each_unit_has_to_be_there)
{
    uint64_t second, end;

    put(0, 1);
    sync_store();
    second = size_of(the_file());
    put_long();
    end = size_of(the_file());
    ck_assert_uint_lt(end - second, sizeof(long_value) / 2);
    rig_kill(&rig);
    change_file(the_file(), _i == 0 ? second + BLOB_HEAD_MAX + 12 + 12 * 8 : end - 1, 0);
    assert_sound();
    rig_open(&rig);
    ck_assert_uint_gt(rig.warnings, 0);
    assert_at(NULL, key_of(0), 0, 1);
    assert_absent("long");
}
END_TEST

/* What of a packed value is lost is told by where it was in the file. */
START_TEST(test_a_loss_lies_in_the_file)
{
    struct told told = {.findings = 0};
    const struct lsmkv_repair_options repair = {
        .finding = note_finding, .lost = note_loss, .context = &told};
    struct lsmkv_options options;
    uint64_t end;

    put_long();
    flush();
    end = size_of(the_file());
    rig_close(&rig);
    change_file(the_file(), end - 1, 0);
    options = rig.options;
    ck_assert_int_eq(lsmkv_repair("store", "mended", &options, &repair), -EUCLEAN);
    ck_assert_uint_eq(told.losses, 1);
    ck_assert_uint_eq(told.lost_end, end);
}
END_TEST

/* Of a part the units that it lies in are read, and whatever reads all of it has all. */
START_TEST(test_parts_of_a_packed_value)
{
    const struct lsmkv_iter_options lazy = {.lazy_values = true};
    struct lsmkv_iter *iter;
    struct lsmkv_slice value;
    uint64_t before;

    put_long();
    for (unsigned flushed = 0; flushed < 2; flushed++) {
        if (flushed)
            flush();
        ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &lazy, &iter), 0);
        lsmkv_iter_seek(iter, lsmkv_str("long"));
        before = rig_stats(&rig).blob_bytes_read;
        for (size_t at = 0; at < sizeof(long_value); at += 12345) {
            ck_assert_int_eq(lsmkv_iter_value_copy(iter, at, 100, copied), 0);
            ck_assert_mem_eq(copied, long_value + at, 100);
        }
        ck_assert_uint_lt(rig_stats(&rig).blob_bytes_read - before,
                          17 * BLOB_UNIT_SIZE / 8);
        ck_assert_int_eq(lsmkv_iter_value_copy(iter, 0, sizeof(long_value), copied), 0);
        ck_assert_mem_eq(copied, long_value, sizeof(long_value));
        ck_assert_int_eq(lsmkv_iter_value(iter, &value), 0);
        ck_assert_mem_eq(value.data, long_value, sizeof(long_value));
        lsmkv_iter_free(iter);
    }
}
END_TEST

/* One after the other, as a walk reads them: many at a time, each unpacked; whole (`_i` is 0), or in
 * parts, as who copies pages of files asks for them. */
START_TEST(test_a_walk_reads_many_at_a_time)
{
    const struct lsmkv_iter_options options = {.lazy_values = _i == 1};
    struct lsmkv_iter *iter;
    uint64_t before;
    unsigned i = 0;

    put_all(200, 1);
    flush();
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &options, &iter), 0);
    before = fault_env_calls(rig.faults, ENV_CALL_FILE_READ);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter), i++) {
        if (_i == 0)
            assert_value(lsmkv_iter_record(iter)->value, i, 1);
        for (size_t at = 0; at < VALUE && _i == 1; at += 500) {
            ck_assert_int_eq(lsmkv_iter_value_copy(iter, at, 500, copied), 0);
            ck_assert_mem_eq(copied, (const uint8_t *)value_of(i, 1).data + at, 500);
        }
    }
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    ck_assert_uint_eq(i, 200);
    ck_assert_uint_lt(fault_env_calls(rig.faults, ENV_CALL_FILE_READ) - before, 30);
    lsmkv_iter_free(iter);
}
END_TEST

/* That keyspaces are compressed stood there, and is told by what they hold: by tables, or, if there is
 * none yet (`_i` is 0), by the log alone. */
START_TEST(test_repair_without_manifest_packs_again)
{
    struct told told = {.findings = 0};
    const struct lsmkv_repair_options repair = {
        .finding = note_finding, .lost = note_loss, .context = &told};
    struct lsmkv_options options;

    put_all(10, 1);
    sync_store();
    if (_i == 1)
        flush();
    rig_kill(&rig);
    remove_file("MANIFEST");
    options = rig.options;
    options.compression = LSMKV_COMPRESSION_NONE;
    ck_assert_int_eq(lsmkv_repair("store", "mended", &options, &repair), -EUCLEAN);
    options.create = false;
    ck_assert_int_eq(lsmkv_open("mended", &options, &rig.db), 0);
    assert_all(NULL, 10, 1);
    ck_assert_int_eq(lsmkv_keyspace_compression(lsmkv_default_keyspace(rig.db)),
                     LSMKV_COMPRESSION_LZ4);
    ck_assert_uint_lt(rig_stats(&rig).blob_file_bytes, 10 * (VALUE / 2));
}
END_TEST

/* A keyspace of the same store that is not compressed has its values as they are, and a copy from the
 * one to the other is as its own. */
START_TEST(test_keyspaces_choose_for_themselves)
{
    const struct lsmkv_keyspace_options plain = {LSMKV_ORDER_BYTES,
                                                 LSMKV_COMPRESSION_NONE};
    struct lsmkv_keyspace *keyspace;
    uint64_t before;

    put(1, 1);
    flush();
    before = rig_stats(&rig).blob_file_bytes;
    ck_assert_uint_lt(before, VALUE / 2);
    ck_assert_int_eq(lsmkv_keyspace_create_with(rig.db, "plain", &plain, &keyspace), 0);
    ck_assert_int_eq(lsmkv_put(rig.db, keyspace, lsmkv_str("k"), lsmkv_str("at"),
                               value_of(1, 1), LSMKV_UNSYNCED),
                     0);
    flush();
    ck_assert_uint_gt(rig_stats(&rig).blob_file_bytes - before, VALUE);
    die_and_open();
    assert_at(NULL, key_of(1), 1, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("packed_store");
    TCase *tests = tcase_create("packed_store");

    tcase_add_checked_fixture(tests, setup_packed, teardown_packed);
    tcase_add_test(tests, test_values_beside_the_log_are_packed);
    tcase_add_test(tests, test_the_dead_are_counted_as_they_are_stored);
    tcase_add_loop_test(tests, test_a_packed_value_that_is_not_there_whole_ends_the_log,
                        0, 6);
    tcase_add_loop_test(tests, test_each_unit_has_to_be_there, 0, 2);
    tcase_add_test(tests, test_a_loss_lies_in_the_file);
    tcase_add_test(tests, test_parts_of_a_packed_value);
    tcase_add_loop_test(tests, test_a_walk_reads_many_at_a_time, 0, 2);
    tcase_add_loop_test(tests, test_repair_without_manifest_packs_again, 0, 2);
    tcase_add_test(tests, test_keyspaces_choose_for_themselves);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
