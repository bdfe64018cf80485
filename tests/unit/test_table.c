/*
 * test_table.c - tables against a sorted array: what was written comes back, in both
 * directions, from every starting point, with no block read that need not be.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "support/table_fixture.h"

#define BLOCKS_READ(fixture) tally_sum(&(fixture)->counters, TABLE_BLOCKS_READ)

static struct table_fixture fixture;
static struct table_model model;
static struct table *table;
static struct iterator *it;

static void
setup(void)
{
    table_fixture_init(&fixture, 0, 128);
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

static void
build(void)
{
    table_model_sort(&model);
    table_model_write(&model, &fixture, 1);
    table = table_fixture_open(&fixture, 1);
    ck_assert_int_eq(table_iterate(table, TABLE_KEEPING, &it), 0);
}

static void
build_random(enum lsmkv_order order, size_t block_size, size_t count,
             struct random *random)
{
    fixture.context.block_size = block_size;
    model.order = order;
    table_model_fill_random(&model, random, count);
    build();
}

static void
put(const char *key, uint64_t sequence)
{
    table_model_put(&model, lsmkv_str(key), sequence, lsmkv_str("value"));
}

/* `keys`, each its own block. */
static void
build_of(enum lsmkv_order order, const struct lsmkv_slice *keys, size_t count)
{
    fixture.context.block_size = 1;
    model.order = order;
    for (size_t i = 0; i < count; i++)
        table_model_put(&model, keys[i], i + 1, lsmkv_str("v"));
    build();
}

/* The iterator stands on entry `i`; on none if that is past the end. */
static void
assert_at(size_t i)
{
    ck_assert_int_eq(it->status, 0);
    ck_assert_int_eq(it->valid, i < model.count);
    if (i < model.count) {
        assert_slices(it->entry->key, table_model_key(&model, i));
        assert_slices(it->entry->payload, table_model_payload(&model, i));
    }
}

static size_t
last_at_or_before(struct lsmkv_slice internal)
{
    size_t i = table_model_ceiling(&model, internal);

    if (i < model.count &&
        internal_key_compare(model.order, table_model_key(&model, i), internal) == 0)
        return i;
    return i == 0 ? SIZE_MAX : i - 1;
}

/* What the array says a loop of this ordinal runs with. */
static const size_t block_sizes[] = {1, 64, 128, 500, 4096};

START_TEST(test_every_entry_comes_back_in_both_directions)
{
    struct random random = random_of(random_seed());
    size_t i = 0;

    build_random((enum lsmkv_order)(_i & 1), block_sizes[_i / 2], 700, &random);
    for (iterator_first(it); it->valid; iterator_next(it))
        assert_at(i++);
    ck_assert_uint_eq(i, model.count);
    assert_at(i);
    for (iterator_last(it); it->valid; iterator_prev(it))
        assert_at(--i);
    ck_assert_uint_eq(i, 0);
    ck_assert_int_eq(table_verify(table), 0);
    ck_assert_uint_eq(fixture.reports, 0);
}
END_TEST

static void
assert_ceiling(struct lsmkv_slice target)
{
    size_t expected = table_model_ceiling(&model, target);
    struct table_hit hit = {0};
    int result = table_ceiling(table, target, &hit);

    if (expected == model.count) {
        ck_assert_int_eq(result, -ENOENT);
        return;
    }
    ck_assert_int_eq(result, 0);
    assert_slices(hit.key, table_model_key(&model, expected));
    assert_slices(hit.payload, table_model_payload(&model, expected));
    table_hit_release(&hit);
}

/* As a reader does it: the filter first. */
static int
filter_and_get(struct lsmkv_slice target, struct table_version *version)
{
    if (!table_may_contain(table, table_hash(internal_user_key(target))))
        return -ENOENT;
    return table_get(table, target, version);
}

static void
assert_get(struct lsmkv_slice target)
{
    struct lsmkv_slice user = internal_user_key(target);
    size_t expected = table_model_ceiling(&model, target);
    struct table_version version;
    int result = filter_and_get(target, &version);

    if (expected == model.count ||
        !slice_equal(table_model_user_key(&model, expected), user)) {
        ck_assert_int_eq(result, -ENOENT);
        return;
    }
    ck_assert_int_eq(result, 0);
    ck_assert_uint_eq(version.trailer,
                      internal_trailer(table_model_key(&model, expected)));
    assert_slices(version.payload, table_model_payload(&model, expected));
    block_unpin(version.block);
}

START_TEST(test_every_search_agrees_with_the_array)
{
    struct random random = random_of(random_seed());
    struct keybuf target = {0};
    uint8_t bytes[16];

    build_random((enum lsmkv_order)(_i & 1), block_sizes[_i / 2], 500, &random);
    for (int probe = 0; probe < 1000; probe++) {
        struct lsmkv_slice user = table_model_random_key(&random, bytes);
        uint64_t sequence = random_below(&random, 4000);

        if (random_coin(&random))
            user = table_model_user_key(&model, random_below(&random, model.count));
        ck_assert_int_eq(keybuf_set_internal(&target, user, sequence, 0xff), 0);
        assert_ceiling(keybuf_slice(&target));
        assert_get(keybuf_slice(&target));
        iterator_seek(it, keybuf_slice(&target));
        assert_at(table_model_ceiling(&model, keybuf_slice(&target)));
        iterator_seek_before(it, keybuf_slice(&target));
        assert_at(last_at_or_before(keybuf_slice(&target)));
    }
    keybuf_fini(&target);
}
END_TEST

START_TEST(test_turning_round_anywhere_keeps_the_place)
{
    struct random random = random_of(random_seed());
    size_t at;

    build_random((enum lsmkv_order)(_i & 1), block_sizes[_i / 2], 300, &random);
    at = model.count / 2;
    iterator_seek(it, table_model_key(&model, at));
    for (int step = 0; step < 3000; step++) {
        assert_at(at);
        if (at == 0 || (at + 1 < model.count && random_coin(&random))) {
            iterator_next(it);
            at++;
        } else {
            iterator_prev(it);
            at--;
        }
    }
}
END_TEST

/* ---- versions of one key over several blocks ---- */

START_TEST(test_versions_spanning_blocks_are_each_found_with_one_block_read)
{
    struct table_version version;

    put("a", 1);
    for (uint64_t sequence = 1; sequence <= 200; sequence++)
        put("key", sequence);
    put("z", 1);
    fixture.context.block_size = 100;
    build();
    ck_assert_uint_gt(table_get_properties(table)->data_blocks, 30);
    for (size_t i = 0; i < model.count; i++) {
        uint64_t before = BLOCKS_READ(&fixture);

        ck_assert_int_eq(table_get(table, table_model_key(&model, i), &version), 0);
        ck_assert_uint_eq(version.trailer, internal_trailer(table_model_key(&model, i)));
        block_unpin(version.block);
        ck_assert_uint_eq(BLOCKS_READ(&fixture) - before, 1);
    }
}
END_TEST

START_TEST(test_the_newest_version_is_found_when_its_block_holds_other_keys_before_it)
{
    struct keybuf target = {0};

    for (uint64_t sequence = 1; sequence <= 40; sequence++)
        put("key", sequence);
    put("k", 1);
    put("ke", 1);
    build();
    ck_assert_int_eq(keybuf_set_internal(&target, lsmkv_str("key"), SEQUENCE_MAX, 0xff),
                     0);
    assert_ceiling(keybuf_slice(&target));
    assert_get(keybuf_slice(&target));
    iterator_seek_before(it, keybuf_slice(&target));
    assert_at(1);
    keybuf_fini(&target);
}
END_TEST

/* ---- separators ---- */

struct separators {
    struct lsmkv_slice expected[8];
    size_t count;
};

static int
check_separator(void *context, const struct table_index_entry *entry)
{
    struct separators *separators = context;

    assert_slices(entry->separator, separators->expected[separators->count++]);
    ck_assert_uint_eq(entry->trailer, UINT64_MAX);
    return 0;
}

static void
assert_separators(struct separators separators, size_t count)
{
    ck_assert_int_eq(table_each_index_entry(table, check_separator, &separators), 0);
    ck_assert_uint_eq(separators.count, count);
}

/* '.' is 0x2e, '/' 0x2f, '0' 0x30: an incremented '.' would sort below everything. */
START_TEST(test_separators_in_path_order_are_prefixes_of_the_right_key)
{
    const struct lsmkv_slice keys[] = {
        lsmkv_bytes("a", 1),        lsmkv_bytes("a/b", 3),      lsmkv_bytes("a\0long", 6),
        lsmkv_bytes("a.longer", 8), lsmkv_bytes("a0longer", 8), lsmkv_bytes("ab", 2),
    };
    struct separators expected = {
        .expected = {lsmkv_bytes("", 0), lsmkv_bytes("a/", 2), lsmkv_bytes("a\0", 2),
                     lsmkv_bytes("a.", 2), lsmkv_bytes("a0", 2), lsmkv_bytes("ab", 2)}};

    build_of(LSMKV_ORDER_PATH, keys, 6);
    assert_separators(expected, 6);
    for (size_t i = 0; i < model.count; i++) {
        assert_ceiling(table_model_key(&model, i));
        assert_get(table_model_key(&model, i));
    }
}
END_TEST

START_TEST(test_separators_in_byte_order_are_prefixes_of_the_right_key)
{
    const struct lsmkv_slice keys[] = {
        lsmkv_bytes("a", 1),        lsmkv_bytes("a\0long", 6),
        lsmkv_bytes("a.longer", 8), lsmkv_bytes("a/longer", 8),
        lsmkv_bytes("a0longer", 8), lsmkv_bytes("ab", 2),
    };
    struct separators expected = {
        .expected = {lsmkv_bytes("", 0), lsmkv_bytes("a\0", 2), lsmkv_bytes("a.", 2),
                     lsmkv_bytes("a/", 2), lsmkv_bytes("a0", 2), lsmkv_bytes("ab", 2)}};

    build_of(LSMKV_ORDER_BYTES, keys, 6);
    assert_separators(expected, 6);
    for (size_t i = 0; i < model.count; i++)
        assert_get(table_model_key(&model, i));
}
END_TEST

/* ---- skip_older ---- */

static size_t
model_skip(size_t from, uint64_t sequence, struct lsmkv_slice bound)
{
    size_t i = from;

    while (i < model.count && internal_sequence(table_model_key(&model, i)) <= sequence &&
           (bound.data == NULL ||
            key_compare(model.order, table_model_user_key(&model, i), bound) < 0))
        i++;
    return i;
}

START_TEST(test_skip_older_agrees_with_the_array)
{
    struct random random = random_of(random_seed());
    uint8_t bytes[16];

    build_random((enum lsmkv_order)(_i & 1), block_sizes[_i / 2], 400, &random);
    for (int probe = 0; probe < 1500; probe++) {
        size_t from = random_below(&random, model.count);
        uint64_t sequence = 900 + random_below(&random, 1400);
        struct lsmkv_slice bound = table_model_random_key(&random, bytes);

        if (random_below(&random, 3) == 0)
            bound.data = NULL;
        iterator_seek(it, table_model_key(&model, from));
        iterator_skip_older(it, sequence, bound);
        assert_at(model_skip(from, sequence, bound));
    }
}
END_TEST

static void
build_numbered(size_t count)
{
    char key[24];

    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "k%05zu", i);
        put(key, i == count / 2 ? 100 : 10);
    }
    build();
}

START_TEST(test_skip_older_reads_only_blocks_with_something_newer)
{
    uint64_t before;

    build_numbered(1000);
    iterator_first(it);
    before = BLOCKS_READ(&fixture);
    iterator_skip_older(it, 10, lsmkv_bytes(NULL, 0));
    assert_at(500);
    ck_assert_uint_eq(BLOCKS_READ(&fixture) - before, 1);
    iterator_next(it);
    before = BLOCKS_READ(&fixture);
    iterator_skip_older(it, 10, lsmkv_bytes(NULL, 0));
    assert_at(model.count);
    ck_assert_uint_eq(BLOCKS_READ(&fixture) - before, 0);
}
END_TEST

START_TEST(test_skip_older_of_a_whole_old_table_reads_only_the_bounds_block)
{
    uint64_t before;

    build_numbered(1000);
    iterator_first(it);
    before = BLOCKS_READ(&fixture);
    iterator_skip_older(it, 100, lsmkv_str("k00777"));
    assert_at(777);
    ck_assert_uint_le(BLOCKS_READ(&fixture) - before, 2);
    iterator_first(it);
    before = BLOCKS_READ(&fixture);
    iterator_skip_older(it, 100, lsmkv_bytes(NULL, 0));
    assert_at(model.count);
    ck_assert_uint_eq(BLOCKS_READ(&fixture) - before, 0);
}
END_TEST

/* ---- filters ---- */

static bool
may_contain(const char *key)
{
    return table_may_contain(table, table_hash(lsmkv_str(key)));
}

START_TEST(test_the_filter_of_a_path_table_knows_every_ancestor)
{
    put("usr/lib/x/y", 1);
    put("usr/lib/x/z", 2);
    put("//double", 3);
    build();
    ck_assert(may_contain("usr"));
    ck_assert(may_contain("usr/lib"));
    ck_assert(may_contain("usr/lib/x"));
    ck_assert(may_contain("usr/lib/x/z"));
    ck_assert(may_contain("/"));
    /* usr, usr/lib, usr/lib/x, two files; "/" and "//double": the empty prefix is left
     * out */
    ck_assert_uint_eq(table_get_properties(table)->filter_keys, 7);
    ck_assert(!may_contain("usr/li"));
    ck_assert(!may_contain("usr/lib/x/"));
}
END_TEST

START_TEST(test_an_absent_key_costs_no_block_read)
{
    struct table_version version;
    struct keybuf target = {0};
    uint64_t before;
    unsigned passed = 0;

    build_numbered(2000);
    before = BLOCKS_READ(&fixture);
    for (unsigned i = 0; i < 1000; i++) {
        char key[24];

        snprintf(key, sizeof(key), "k00%03u-absent", i);
        ck_assert_int_eq(keybuf_set_internal(&target, lsmkv_str(key), SEQUENCE_MAX, 0xff),
                         0);
        ck_assert_int_eq(filter_and_get(keybuf_slice(&target), &version), -ENOENT);
    }
    passed = (unsigned)tally_sum(&fixture.counters, TABLE_FILTER_FALSE_POSITIVES);
    ck_assert_uint_le(passed, 30);
    ck_assert_uint_eq(tally_sum(&fixture.counters, TABLE_FILTER_CHECKS), 1000);
    ck_assert_uint_eq(tally_sum(&fixture.counters, TABLE_FILTER_NEGATIVES),
                      1000 - passed);
    ck_assert_uint_le(BLOCKS_READ(&fixture) - before, 2 * passed);
    keybuf_fini(&target);
}
END_TEST

START_TEST(test_a_table_without_a_filter_finds_all_the_same)
{
    struct random random = random_of(random_seed());

    fixture.context.filter_bits_per_key = 0;
    build_random(LSMKV_ORDER_PATH, 128, 200, &random);
    ck_assert_uint_eq(table_get_properties(table)->filter_bytes, 0);
    for (size_t i = 0; i < model.count; i++)
        assert_get(table_model_key(&model, i));
    ck_assert_int_eq(table_verify(table), 0);
}
END_TEST

/* ---- limits ---- */

START_TEST(test_the_largest_key_and_value_come_back)
{
    uint8_t *bytes = calloc(1, LSMKV_VALUE_MAX);

    ck_assert_ptr_nonnull(bytes);
    table_model_put(&model, lsmkv_bytes(bytes, LSMKV_KEY_MAX), 2, lsmkv_bytes(bytes, 1));
    table_model_put(&model, lsmkv_bytes(bytes, LSMKV_KEY_MAX - 1), 1,
                    lsmkv_bytes(bytes, LSMKV_VALUE_MAX));
    table_model_put(&model, lsmkv_bytes(bytes, 0), 3, lsmkv_bytes(bytes, 0));
    free(bytes);
    build();
    for (size_t i = 0; i < model.count; i++)
        assert_get(table_model_key(&model, i));
    iterator_first(it);
    for (size_t i = 0; i < model.count; i++, iterator_next(it))
        assert_at(i);
    ck_assert_int_eq(table_verify(table), 0);
}
END_TEST

/* ---- the cache ---- */

START_TEST(test_a_walk_that_does_not_fill_the_cache_leaves_it_empty)
{
    struct table_fixture cached;
    size_t entries = 0;

    build_numbered(300);
    table_fixture_init(&cached, 1 << 20, 128);
    table_model_write(&model, &cached, 9);
    iterator_free(it);
    table_close(table);
    table = table_fixture_open(&cached, 9);
    ck_assert_int_eq(table_iterate(table, TABLE_PASSING, &it), 0);
    for (iterator_first(it); it->valid; iterator_next(it))
        entries++;
    ck_assert_uint_eq(entries, model.count);
    ck_assert_uint_eq(block_cache_bytes(cached.cache), 0);

    iterator_free(it);
    ck_assert_int_eq(table_iterate(table, TABLE_KEEPING, &it), 0);
    for (iterator_first(it); it->valid; iterator_next(it))
        entries++;
    ck_assert_uint_gt(block_cache_bytes(cached.cache), 0);
    iterator_free(it);
    it = NULL;
    table_close(table);
    table = NULL;
    table_fixture_fini(&cached);
}
END_TEST

/* ---- writing ---- */

static bool
file_is_there(uint64_t number)
{
    char name[TABLE_NAME_SIZE];
    struct env_file *file;
    int result;

    table_name(name, number);
    result = env_file_open(fixture.dir, name, ENV_READ, &file);
    if (result == 0)
        ck_assert_int_eq(env_file_close(file), 0);
    return result == 0;
}

START_TEST(test_entries_out_of_order_are_refused_and_the_file_goes)
{
    struct table_writer *writer;
    struct table_meta meta = {0};

    put("b", 5);
    put("a", 5);
    ck_assert_int_eq(table_writer_open(&fixture.context, 3, 0, model.order, &writer), 0);
    ck_assert_int_eq(table_writer_add(writer, table_model_key(&model, 0),
                                      table_model_payload(&model, 0)),
                     0);
    ck_assert_int_eq(table_writer_add(writer, table_model_key(&model, (size_t)_i),
                                      table_model_payload(&model, 1)),
                     -EINVAL);
    ck_assert_int_eq(table_writer_finish(writer, &meta), -EINVAL);
    ck_assert(!file_is_there(3));
}
END_TEST

START_TEST(test_an_empty_or_abandoned_table_leaves_no_file)
{
    struct table_writer *writer;
    struct table_meta meta = {0};

    ck_assert_int_eq(table_writer_open(&fixture.context, 3, 0, model.order, &writer), 0);
    ck_assert(file_is_there(3));
    ck_assert_int_eq(table_writer_finish(writer, &meta), -EINVAL);
    ck_assert(!file_is_there(3));
    ck_assert_int_eq(table_writer_open(&fixture.context, 4, 0, model.order, &writer), 0);
    table_writer_abandon(writer);
    ck_assert(!file_is_there(4));
}
END_TEST

START_TEST(test_a_table_of_another_number_is_refused)
{
    uint8_t *bytes;
    size_t size;

    build_numbered(10);
    bytes = table_fixture_read(&fixture, 1, &size);
    table_fixture_replace(&fixture, 2, bytes, size);
    free(bytes);
    table_close(table);
    table = NULL;
    iterator_free(it);
    it = NULL;
    ck_assert_int_eq(table_open(&fixture.context, 2, 0, &table), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "000002.sst"));
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "expected table 2"));
    ck_assert_int_eq(table_open_file(&fixture.context, "000002.sst", &table), 0);
    ck_assert_uint_eq(table_number(table), 1);
}
END_TEST

START_TEST(test_a_missing_table_or_one_of_another_size_is_an_error)
{
    ck_assert_int_eq(table_open(&fixture.context, 5, 0, &table), -ENOENT);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "000005.sst"));
    build_numbered(10);
    table_close(table);
    iterator_free(it);
    it = NULL;
    table = NULL;
    ck_assert_int_eq(table_open(&fixture.context, 1, 77, &table), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "expected 77"));
}
END_TEST

/* ---- failing calls ---- */

static int
write_all(uint64_t number)
{
    struct table_writer *writer;
    struct table_meta meta = {0};
    int result = table_writer_open(&fixture.context, number, 0, model.order, &writer);

    if (result != 0)
        return result;
    for (size_t i = 0; result == 0 && i < model.count; i++)
        result = table_writer_add(writer, table_model_key(&model, i),
                                  table_model_payload(&model, i));
    if (result != 0) {
        table_writer_abandon(writer);
        return result;
    }
    result = table_writer_finish(writer, &meta);
    if (result == 0)
        table_meta_fini(&meta);
    return result;
}

START_TEST(test_whatever_call_of_writing_fails_is_told_and_leaves_no_file)
{
    struct random random = random_of(random_seed());
    int result = -EIO;

    table_model_fill_random(&model, &random, 20000);
    for (uint64_t nth = 1; result != 0; nth++) {
        struct fault fault = {
            .call = ENV_CALL_ANY, .nth = nth, .error = EIO, .partial_write = true};
        uint64_t failures = fault_env_failures(fixture.fault);

        ck_assert_uint_lt(nth, 100);
        fault_env_set(fixture.fault, fault);
        result = write_all(nth);
        fault_env_heal(fixture.fault);
        if (fault_env_failures(fixture.fault) > failures)
            ck_assert_int_ne(result, 0);
        ck_assert_int_eq(file_is_there(nth), result == 0);
    }
}
END_TEST

/* Counts what a walk shows before it ends. */
static size_t
walk(void)
{
    size_t shown = 0;

    for (iterator_first(it); it->valid; iterator_next(it)) {
        assert_slices(it->entry->key, table_model_key(&model, shown));
        shown++;
    }
    return shown;
}

START_TEST(test_a_failed_read_is_an_error_and_never_the_end_of_the_data)
{
    struct random random = random_of(random_seed());
    bool failing = true;

    build_random(LSMKV_ORDER_PATH, 256, 300, &random);
    for (uint64_t nth = 1; failing; nth++) {
        struct fault fault = {.call = ENV_CALL_ANY, .nth = nth, .error = EIO};
        uint64_t failures = fault_env_failures(fixture.fault);
        size_t shown;

        fault_env_set(fixture.fault, fault);
        shown = walk();
        fault_env_heal(fixture.fault);
        failing = fault_env_failures(fixture.fault) > failures;
        ck_assert_int_eq(it->status != 0, failing);
        if (!failing)
            ck_assert_uint_eq(shown, model.count);
        ck_assert_uint_eq(walk(), model.count);
        ck_assert_int_eq(it->status, 0);
    }
}
END_TEST

START_TEST(test_whatever_call_of_opening_fails_is_told)
{
    int result = -EIO;

    build_numbered(50);
    for (uint64_t nth = 1; result != 0; nth++) {
        struct fault fault = {.call = ENV_CALL_ANY, .nth = nth, .error = EIO};
        struct table *again = NULL;

        ck_assert_uint_lt(nth, 30);
        fault_env_set(fixture.fault, fault);
        result = table_open(&fixture.context, 1, 0, &again);
        fault_env_heal(fixture.fault);
        ck_assert_int_eq(result == 0, again != NULL);
        table_close(again);
    }
}
END_TEST

static Suite *
table_suite(void)
{
    const int orders_and_sizes = 2 * (int)(sizeof(block_sizes) / sizeof(block_sizes[0]));
    Suite *suite = suite_create("table");
    TCase *reading = tcase_create("reading");
    TCase *writing = tcase_create("writing");

    tcase_add_checked_fixture(reading, setup, teardown);
    tcase_add_loop_test(reading, test_every_entry_comes_back_in_both_directions, 0,
                        orders_and_sizes);
    tcase_add_loop_test(reading, test_every_search_agrees_with_the_array, 0,
                        orders_and_sizes);
    tcase_add_loop_test(reading, test_turning_round_anywhere_keeps_the_place, 0,
                        orders_and_sizes);
    tcase_add_test(reading,
                   test_versions_spanning_blocks_are_each_found_with_one_block_read);
    tcase_add_test(
        reading,
        test_the_newest_version_is_found_when_its_block_holds_other_keys_before_it);
    tcase_add_test(reading, test_separators_in_path_order_are_prefixes_of_the_right_key);
    tcase_add_test(reading, test_separators_in_byte_order_are_prefixes_of_the_right_key);
    tcase_add_loop_test(reading, test_skip_older_agrees_with_the_array, 0,
                        orders_and_sizes);
    tcase_add_test(reading, test_skip_older_reads_only_blocks_with_something_newer);
    tcase_add_test(reading,
                   test_skip_older_of_a_whole_old_table_reads_only_the_bounds_block);
    tcase_add_test(reading, test_the_filter_of_a_path_table_knows_every_ancestor);
    tcase_add_test(reading, test_an_absent_key_costs_no_block_read);
    tcase_add_test(reading, test_a_table_without_a_filter_finds_all_the_same);
    tcase_add_test(reading, test_the_largest_key_and_value_come_back);
    tcase_add_test(reading, test_a_walk_that_does_not_fill_the_cache_leaves_it_empty);
    suite_add_tcase(suite, reading);

    tcase_add_checked_fixture(writing, setup, teardown);
    tcase_add_loop_test(writing, test_entries_out_of_order_are_refused_and_the_file_goes,
                        0, 2);
    tcase_add_test(writing, test_an_empty_or_abandoned_table_leaves_no_file);
    tcase_add_test(writing, test_a_table_of_another_number_is_refused);
    tcase_add_test(writing, test_a_missing_table_or_one_of_another_size_is_an_error);
    tcase_add_test(writing,
                   test_whatever_call_of_writing_fails_is_told_and_leaves_no_file);
    tcase_add_test(writing, test_a_failed_read_is_an_error_and_never_the_end_of_the_data);
    tcase_add_test(writing, test_whatever_call_of_opening_fails_is_told);
    suite_add_tcase(suite, writing);
    return suite;
}

int
main(void)
{
    return run_suite(table_suite());
}
