/*
 * test_table_walk.c - how a walk comes to its blocks: in runs, pinned beforehand, approached
 * step by step.  Whatever the way, it shows what the array holds.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iter/merge.h"
#include "support/suite.h"
#include "support/table_fixture.h"
#include "table/reader.h"

#define NUMBER 7u

static struct table_fixture fixture;
static struct table_model model;
static struct table *table;
static struct iterator *it;

static void
setup(void)
{
    model = (struct table_model){.order = LSMKV_ORDER_PATH};
}

static void
teardown(void)
{
    iterator_free(it);
    it = NULL;
    table_close(table);
    table = NULL;
    table_model_fini(&model);
    table_fixture_fini(&fixture);
}

/* `count` entries with values of `value_size`, in blocks of 128 bytes or one value. */
static void
build(size_t cache_bytes, size_t count, size_t value_size)
{
    char *value = malloc(value_size);
    char key[64];

    ck_assert_ptr_nonnull(value);
    table_fixture_init(&fixture, cache_bytes, 128);
    for (size_t i = 0; i < count; i++) {
        memset(value, (int)('a' + i % 26), value_size);
        snprintf(key, sizeof(key), "dir%zu/file%06zu", i / 50, i);
        table_model_put(&model, lsmkv_str(key), 1 + i, lsmkv_bytes(value, value_size));
    }
    free(value);
    table_model_sort(&model);
    table_model_write(&model, &fixture, NUMBER);
    table = table_fixture_open(&fixture, NUMBER);
}

static void
begin(enum table_walk walk)
{
    iterator_free(it);
    it = NULL;
    ck_assert_int_eq(table_iterate(table, walk, &it), 0);
}

static void
assert_at(size_t i)
{
    assert_slices(it->entry->key, table_model_key(&model, i));
    assert_slices(it->entry->payload, table_model_payload(&model, i));
}

/* Returns how many entries came, each the right one. */
static size_t
walk_forwards(void)
{
    size_t i = 0;

    for (iterator_first(it); it->valid; iterator_next(it))
        assert_at(i++);
    return i;
}

static uint64_t
reads(void)
{
    return fault_env_calls(fixture.fault, ENV_CALL_FILE_READ);
}

START_TEST(test_a_passing_walk_reads_many_blocks_at_once)
{
    uint64_t before, counted, blocks;
    size_t i;

    build(0, 2000, 100);
    blocks = table_get_properties(table)->data_blocks;
    ck_assert_uint_gt(blocks, 500);
    begin(TABLE_PASSING);
    before = reads();
    counted = tally_sum(&fixture.counters, TABLE_BLOCKS_READ);
    ck_assert_uint_eq(walk_forwards(), model.count);
    ck_assert_int_eq(it->status, 0);
    ck_assert_uint_le(reads() - before, 4);
    counted = tally_sum(&fixture.counters, TABLE_BLOCKS_READ) - counted;
    ck_assert_uint_eq(counted, blocks);

    i = model.count;
    for (iterator_last(it); it->valid; iterator_prev(it))
        assert_at(--i);
    ck_assert_uint_eq(i, 0);
}
END_TEST

/* Through a merge, too: of its source that is ahead. */
START_TEST(test_a_walk_tells_what_it_comes_to)
{
    struct iterator_ahead ahead[2];
    struct iterator *sources[2];
    size_t i = 0, told = 0;

    build(1 << 20, 500, 10);
    for (unsigned k = 0; k < 2; k++)
        ck_assert_int_eq(table_iterate(table, TABLE_KEEPING, &sources[k]), 0);
    ck_assert_int_eq(merge_new(LSMKV_ORDER_PATH, sources, _i == 0 ? 2 : 1, &it), 0);
    if (_i == 1)
        iterator_free(sources[1]);
    for (iterator_first(it); it->valid; iterator_next(it), i++) {
        size_t at = _i == 0 ? i / 2 : i, count = iterator_peek(it, ahead, 2);

        assert_at(at);
        for (size_t k = 0; k < count; k++) {
            assert_slices(ahead[k].payload, table_model_payload(&model, at + 1 + k));
            ck_assert_int_eq(ahead[k].kind, internal_kind(table_model_key(&model, at)));
        }
        told += count;
    }
    ck_assert_uint_eq(iterator_peek(it, ahead, 2), 0);
    ck_assert_uint_gt(told, i / 2);
}
END_TEST

/* What is read once must not push out what is read often. */
START_TEST(test_a_long_walk_does_not_fill_the_cache)
{
    build(16 << 20, 1500, 4096);
    begin(TABLE_KEEPING);
    ck_assert_uint_eq(walk_forwards(), model.count);
    ck_assert_uint_gt(block_cache_bytes(fixture.cache), 1 << 20);
    ck_assert_uint_lt(block_cache_bytes(fixture.cache), 2 << 20);
    /* Part of it is cached now, part is not. */
    ck_assert_uint_eq(walk_forwards(), model.count);
    ck_assert_int_eq(it->status, 0);
}
END_TEST

START_TEST(test_blocks_too_large_for_a_run_are_read_alone)
{
    build(0, 5, 200 << 10);
    begin(TABLE_PASSING);
    ck_assert_uint_eq(walk_forwards(), model.count);
    ck_assert_int_eq(it->status, 0);
}
END_TEST

START_TEST(test_a_damaged_block_of_a_run_is_told_once_and_where_it_is)
{
    struct block_handle handle;
    char place[64];
    uint8_t *bytes;
    size_t size, shown;

    build(0, 600, 100);
    handle = table_data_handle(table, 100);
    bytes = table_fixture_read(&fixture, NUMBER, &size);
    bytes[handle.offset + 5] ^= 1;
    table_fixture_replace(&fixture, NUMBER, bytes, size);
    free(bytes);

    begin(TABLE_PASSING);
    shown = walk_forwards();
    ck_assert_int_eq(it->status, -EBADMSG);
    ck_assert_uint_ge(shown, 100); /* all before it */
    ck_assert_uint_lt(shown, model.count);
    ck_assert_uint_eq(fixture.reports, 1);
    snprintf(place, sizeof(place), "offset %" PRIu64 ":", handle.offset);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, place));
}
END_TEST

/* A run is an attempt: its blocks are read alone then, and it is they who tell. */
START_TEST(test_a_run_that_cannot_be_read_is_read_block_by_block)
{
    struct fault fault = {.call = ENV_CALL_FILE_READ, .nth = 1, .error = EIO};

    build(0, 600, 100);
    begin(TABLE_PASSING);
    fault_env_set(fixture.fault, fault);
    ck_assert_uint_eq(walk_forwards(), model.count);
    ck_assert_int_eq(it->status, 0);
    ck_assert_uint_eq(fixture.reports, 0);

    begin(TABLE_PASSING);
    fault.onwards = true;
    fault_env_set(fixture.fault, fault);
    ck_assert_uint_eq(walk_forwards(), 0);
    ck_assert_int_eq(it->status, -EIO);
    ck_assert_uint_eq(fixture.reports, 1);
    fault_env_heal(fixture.fault);
}
END_TEST

START_TEST(test_a_seek_lands_where_it_does_unapproached)
{
    struct random random = random_of(random_seed());
    uint8_t room[16];
    struct keybuf target = {0};

    table_fixture_init(&fixture, _i == 0 ? 0 : 1 << 20, 128);
    table_model_fill_random(&model, &random, 500);
    table_model_sort(&model);
    table_model_write(&model, &fixture, NUMBER);
    table = table_fixture_open(&fixture, NUMBER);
    begin(TABLE_KEEPING);
    for (unsigned n = 0; n < 2000; n++) {
        struct lsmkv_slice key = table_model_random_key(&random, room);
        size_t expected;

        ck_assert_int_eq(keybuf_set_internal(&target, key, n % 600, 0xff), 0);
        expected = table_model_ceiling(&model, keybuf_slice(&target));
        for (unsigned step = 0; n % 3 != 0 && step < APPROACH_STEPS; step++)
            iterator_approach(it, keybuf_slice(&target), step);
        iterator_seek(it, keybuf_slice(&target));
        ck_assert_int_eq(it->valid, expected < model.count);
        for (unsigned steps = 0; it->valid && steps < n % 9; steps++) {
            assert_at(expected++);
            iterator_next(it);
        }
    }
    ck_assert_uint_eq(fixture.reports, 0);
    keybuf_fini(&target);
}
END_TEST

static Suite *
table_walk_suite(void)
{
    Suite *suite = suite_create("table_walk");
    TCase *walks = tcase_create("walks");

    tcase_add_checked_fixture(walks, setup, teardown);
    tcase_add_test(walks, test_a_passing_walk_reads_many_blocks_at_once);
    tcase_add_loop_test(walks, test_a_walk_tells_what_it_comes_to, 0, 2);
    tcase_add_test(walks, test_a_long_walk_does_not_fill_the_cache);
    tcase_add_test(walks, test_blocks_too_large_for_a_run_are_read_alone);
    tcase_add_test(walks, test_a_damaged_block_of_a_run_is_told_once_and_where_it_is);
    tcase_add_test(walks, test_a_run_that_cannot_be_read_is_read_block_by_block);
    tcase_add_loop_test(walks, test_a_seek_lands_where_it_does_unapproached, 0, 2);
    suite_add_tcase(suite, walks);
    return suite;
}

int
main(void)
{
    return run_suite(table_walk_suite());
}
