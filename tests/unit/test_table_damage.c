/*
 * test_table_damage.c - a table of which a byte was changed, or that was cut, moved or
 * replaced: the right answer, or an error that names file and offset, and never a crash.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "support/rounds.h"
#include "support/suite.h"
#include "support/table_fixture.h"
#include "table/format.h"

#define NUMBER 12u

static struct table_fixture fixture;
static struct table_model model;
static uint8_t *good; /* the whole table */
static size_t size;

static void
setup_with(enum lsmkv_compression compression)
{
    char key[24];

    table_fixture_init(&fixture, 0, 128);
    fixture.compression = compression;
    model = (struct table_model){.order = LSMKV_ORDER_PATH};
    for (unsigned i = 0; i < 24; i++) {
        snprintf(key, sizeof(key), "dir%u/file%u", i / 8, i);
        table_model_put(&model, lsmkv_str(key), 100 + i, lsmkv_str("contents"));
    }
    table_model_delete(&model, lsmkv_str("dir0/file0"), 200);
    table_model_sort(&model);
    table_model_write(&model, &fixture, NUMBER);
    good = table_fixture_read(&fixture, NUMBER, &size);
}

static void
setup(void)
{
    setup_with(LSMKV_COMPRESSION_NONE);
}

static void
setup_packed(void)
{
    struct table *table;

    setup_with(LSMKV_COMPRESSION_LZ4);
    table = table_fixture_open(&fixture, NUMBER);
    ck_assert(table_get_properties(table)->packed);
    table_close(table);
}

static void
teardown(void)
{
    free(good);
    table_model_fini(&model);
    table_fixture_fini(&fixture);
}

/* The last report says where. */
static void
assert_told(int result)
{
    ck_assert_msg(result == -EBADMSG || result == -EUCLEAN, "result %d", result);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "000012.sst: offset "));
}

/* Walks a table that may be damaged: each entry shown must be the right one, in its place
 * from the end where the walk began. */
static int
walk(struct iterator *it, bool forward)
{
    size_t shown = 0;

    if (forward)
        iterator_first(it);
    else
        iterator_last(it);
    while (it->valid) {
        size_t i = forward ? shown : model.count - 1 - shown;

        ck_assert_uint_lt(shown, model.count);
        assert_slices(it->entry->key, table_model_key(&model, i));
        assert_slices(it->entry->payload, table_model_payload(&model, i));
        shown++;
        if (forward)
            iterator_next(it);
        else
            iterator_prev(it);
    }
    if (it->status == 0)
        ck_assert_uint_eq(shown, model.count);
    return it->status;
}

static int
get_all(struct table *table)
{
    int first_error = 0;

    for (size_t i = 0; i < model.count; i++) {
        struct lsmkv_slice key = table_model_key(&model, i);
        struct table_version version;
        int result = table_get(table, key, &version);

        if (result == 0) {
            ck_assert_uint_eq(version.trailer, internal_trailer(key));
            assert_slices(version.payload, table_model_payload(&model, i));
            block_unpin(version.block);
        } else if (first_error == 0) {
            first_error = result;
        }
    }
    return first_error;
}

/* Everything a reader does.  Returns the first error; no answer is ever wrong. */
static int
use_table(void)
{
    struct table *table;
    struct iterator *it;
    int forward, backward, got, verified;
    int result = table_open(&fixture.context, NUMBER, 0, &table);

    if (result != 0)
        return result;
    ck_assert_int_eq(table_iterate(table, TABLE_KEEPING, &it), 0);
    forward = walk(it, true);
    backward = walk(it, false);
    iterator_free(it);
    got = get_all(table);
    verified = table_verify(table);
    table_close(table);
    ck_assert_int_eq(forward, backward);
    ck_assert_int_eq(forward, got);
    ck_assert_int_eq(forward, verified);
    return forward;
}

START_TEST(test_the_undamaged_table_is_read_without_a_report)
{
    ck_assert_int_eq(use_table(), 0);
    ck_assert_uint_eq(fixture.reports, 0);
}
END_TEST

/* Loop i flips bit i % 8 of every byte, and for i == 8 all eight. */
START_TEST(test_every_flipped_byte_is_told_with_file_and_offset)
{
    uint8_t flip = (uint8_t)(_i == 8 ? 0xffu : 1u << _i);

    for (size_t at = (size_t)_i % rounds_of_bytes_one_in(); at < size;
         at += rounds_of_bytes_one_in()) {
        good[at] ^= flip;
        table_fixture_replace(&fixture, NUMBER, good, size);
        good[at] ^= flip;
        fixture.last_report[0] = '\0';
        assert_told(use_table());
    }
}
END_TEST

START_TEST(test_every_truncation_is_told_with_file_and_offset)
{
    for (size_t left = 0; left < size; left += rounds_of_bytes_one_in()) {
        table_fixture_replace(&fixture, NUMBER, good, left);
        fixture.last_report[0] = '\0';
        assert_told(use_table());
    }
}
END_TEST

START_TEST(test_zeroes_and_foreign_bytes_are_told)
{
    uint8_t *bytes = calloc(1, size);
    struct random random = random_of(random_seed());

    ck_assert_ptr_nonnull(bytes);
    table_fixture_replace(&fixture, NUMBER, bytes, size);
    assert_told(use_table());
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)random_next(&random);
    table_fixture_replace(&fixture, NUMBER, bytes, size);
    assert_told(use_table());
    free(bytes);
}
END_TEST

START_TEST(test_zeroed_pages_inside_are_told)
{
    uint8_t *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    for (size_t at = 0; at < size; at += 512) {
        memcpy(bytes, good, size);
        memset(bytes + at, 0, size - at < 512 ? size - at : 512);
        table_fixture_replace(&fixture, NUMBER, bytes, size);
        assert_told(use_table());
    }
    free(bytes);
}
END_TEST

/* ---- blocks in the wrong place ---- */

START_TEST(test_a_block_of_another_table_is_told)
{
    uint8_t *other;
    size_t other_size;

    table_model_write(&model, &fixture, NUMBER + 1);
    other = table_fixture_read(&fixture, NUMBER + 1, &other_size);
    ck_assert_uint_eq(other_size, size);
    memcpy(good, other, 512); /* the same contents, but for their checksums */
    free(other);
    table_fixture_replace(&fixture, NUMBER, good, size);
    ck_assert_int_eq(use_table(), -EBADMSG);
    assert_told(-EBADMSG);
}
END_TEST

START_TEST(test_two_blocks_that_changed_places_are_told)
{
    struct table *table;
    size_t block;
    uint8_t *swapped;

    table_model_fini(&model);
    model = (struct table_model){.order = LSMKV_ORDER_BYTES};
    table_model_put(&model, lsmkv_str("a"), 1, lsmkv_str("value"));
    table_model_put(&model, lsmkv_str("b"), 1, lsmkv_str("value"));
    fixture.context.block_size = 1;
    table_model_write(&model, &fixture, NUMBER + 2);
    table = table_fixture_open(&fixture, NUMBER + 2);
    block = table_get_properties(table)->data_bytes / 2;
    table_close(table);

    free(good);
    good = table_fixture_read(&fixture, NUMBER + 2, &size);
    swapped = malloc(size);
    ck_assert_ptr_nonnull(swapped);
    memcpy(swapped, good, size);
    memcpy(swapped, good + block, block);
    memcpy(swapped + block, good, block);
    table_fixture_replace(&fixture, NUMBER + 2, swapped, size);
    free(swapped);
    table = table_fixture_open(&fixture, NUMBER + 2);
    ck_assert_int_eq(table_verify(table), -EBADMSG);
    table_close(table);
}
END_TEST

/* ---- what a checksum vouches for and is wrong all the same ---- */

static struct table_footer
footer_of(const uint8_t *bytes)
{
    struct table_footer footer;
    const char *problem;

    ck_assert_int_eq(table_footer_decode(bytes + size - TABLE_FOOTER_SIZE,
                                         size - TABLE_FOOTER_SIZE, &footer, &problem),
                     0);
    return footer;
}

static void
reseal(uint8_t *bytes, struct block_handle handle)
{
    uint8_t *block = bytes + handle.offset;

    block_seal(block, handle.size,
               block[handle.size] == BLOCK_LZ4 ? BLOCK_LZ4 : BLOCK_PLAIN, NUMBER,
               handle.offset);
}

/* Reads whatever it says; only ending, and not crashing, is asked for. */
static void
survive(void)
{
    struct table *table;
    struct iterator *it;
    size_t steps = 0;

    if (table_open(&fixture.context, NUMBER, 0, &table) != 0)
        return;
    ck_assert_int_eq(table_iterate(table, TABLE_KEEPING, &it), 0);
    for (iterator_first(it); it->valid; iterator_next(it))
        ck_assert_uint_lt(steps++, 10000);
    for (iterator_last(it); it->valid; iterator_prev(it))
        ck_assert_uint_lt(steps++, 20000);
    for (size_t i = 0; i < model.count; i += 5) {
        struct lsmkv_slice key = table_model_key(&model, i);
        struct table_version version;

        iterator_seek(it, key);
        if (it->valid)
            iterator_skip_older(it, 110, lsmkv_str("dir2"));
        iterator_seek_before(it, key);
        if (table_get(table, key, &version) == 0)
            block_unpin(version.block);
    }
    (void)!table_verify(table); /* any verdict: the bytes may mean something else now */
    iterator_free(it);
    table_close(table);
}

START_TEST(test_hostile_blocks_with_good_checksums_are_survived)
{
    struct table_footer footer = footer_of(good);
    struct block_handle handles[3] = {footer.filter, footer.index, footer.properties};
    struct random random = random_of(random_seed());
    uint8_t *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    for (unsigned round = 3000 / rounds_of_bytes_one_in(); round > 0; round--) {
        struct block_handle handle = handles[random_below(&random, 3)];

        memcpy(bytes, good, size);
        for (uint64_t flips = 1 + random_below(&random, 3); flips > 0; flips--)
            bytes[handle.offset + random_below(&random, handle.size)] =
                (uint8_t)random_next(&random);
        reseal(bytes, handle);
        table_fixture_replace(&fixture, NUMBER, bytes, size);
        survive();
    }
    free(bytes);
}
END_TEST

START_TEST(test_hostile_data_blocks_with_good_checksums_are_survived)
{
    struct random random = random_of(random_seed());
    struct block_handle first = {0, 0};
    uint8_t *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    /* The first block ends where its trailer's checksum fits. */
    for (;; first.size++) {
        const char *problem;

        ck_assert_uint_lt(first.size, size);
        if (block_check(good, first.size, NUMBER, 0, &problem) == 0)
            break;
    }
    for (unsigned round = 3000 / rounds_of_bytes_one_in(); round > 0; round--) {
        memcpy(bytes, good, size);
        for (uint64_t flips = 1 + random_below(&random, 3); flips > 0; flips--)
            bytes[random_below(&random, first.size)] = (uint8_t)random_next(&random);
        reseal(bytes, first);
        table_fixture_replace(&fixture, NUMBER, bytes, size);
        survive();
    }
    free(bytes);
}
END_TEST

START_TEST(test_hostile_footers_with_good_checksums_are_refused)
{
    static const uint64_t offsets[] = {0,          1,          4096,
                                       UINT32_MAX, UINT64_MAX, UINT64_MAX - 4};
    const size_t count = sizeof(offsets) / sizeof(offsets[0]);
    const struct table_footer right = footer_of(good);

    for (size_t i = 0; i < 6 * count; i++) {
        struct table_footer footer = right;
        struct block_handle *handles[] = {&footer.filter, &footer.index,
                                          &footer.properties};
        struct block_handle *hostile = handles[i % 3];
        uint64_t value = offsets[i / 6];
        struct table *table;

        if (i % 6 < 3)
            hostile->offset = value;
        else
            hostile->size = (uint32_t)value;
        table_footer_encode(good + size - TABLE_FOOTER_SIZE, &footer,
                            size - TABLE_FOOTER_SIZE);
        table_fixture_replace(&fixture, NUMBER, good, size);
        ck_assert_int_eq(table_open(&fixture.context, NUMBER, 0, &table), -EUCLEAN);
        assert_told(-EUCLEAN);
        /* before anything of such a size is allocated or read */
        ck_assert_ptr_nonnull(strstr(fixture.last_report, "do not follow each other"));
    }
}
END_TEST

static void
assert_refused_saying(const char *words)
{
    struct table *table;

    table_fixture_replace(&fixture, NUMBER, good, size);
    ck_assert_int_eq(table_open(&fixture.context, NUMBER, 0, &table), -EUCLEAN);
    assert_told(-EUCLEAN);
    ck_assert_msg(strstr(fixture.last_report, words) != NULL, "%s", fixture.last_report);
}

START_TEST(test_a_newer_version_of_the_format_is_refused_by_name)
{
    struct block_handle properties = footer_of(good).properties;

    put_u32(good + properties.offset, TABLE_VERSION + 1);
    reseal(good, properties);
    assert_refused_saying("format version");
}
END_TEST

START_TEST(test_an_unknown_feature_is_refused_by_name)
{
    struct block_handle properties = footer_of(good).properties;

    put_u32(good + properties.offset + 4, TABLE_FEATURES_KNOWN | 1u << _i);
    reseal(good, properties);
    assert_refused_saying("features");
}
END_TEST

START_TEST(test_an_unknown_compatible_feature_is_ignored)
{
    struct block_handle properties = footer_of(good).properties;

    put_u32(good + properties.offset + 8, UINT32_MAX);
    reseal(good, properties);
    table_fixture_replace(&fixture, NUMBER, good, size);
    ck_assert_int_eq(use_table(), 0);
}
END_TEST

START_TEST(test_an_unknown_order_is_refused_by_name)
{
    struct block_handle properties = footer_of(good).properties;

    put_u32(good + properties.offset + 16, 2);
    reseal(good, properties);
    assert_refused_saying("order");
}
END_TEST

/* ---- what only verifying notices ---- */

START_TEST(test_verify_reads_the_disk_and_not_the_cache)
{
    struct table_fixture cached;
    struct table *table;
    struct iterator *it;

    table_fixture_init(&cached, 1 << 20, 128);
    table_model_write(&model, &cached, NUMBER);
    table = table_fixture_open(&cached, NUMBER);
    ck_assert_int_eq(table_iterate(table, TABLE_KEEPING, &it), 0);
    ck_assert_int_eq(walk(it, true), 0);
    good[3] ^= 1;
    table_fixture_replace(&cached, NUMBER, good, size);
    ck_assert_int_eq(walk(it, true), 0);
    ck_assert_int_ne(table_verify(table), 0);
    iterator_free(it);
    table_close(table);
    table_fixture_fini(&cached);
}
END_TEST

START_TEST(test_a_file_cut_while_its_table_is_open_is_told)
{
    struct table *table = table_fixture_open(&fixture, NUMBER);
    struct iterator *it;

    table_fixture_replace(&fixture, NUMBER, good, 64);
    ck_assert_int_eq(table_iterate(table, TABLE_KEEPING, &it), 0);
    ck_assert_int_eq(walk(it, true), -EUCLEAN);
    assert_told(-EUCLEAN);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "the file ends"));
    iterator_free(it);
    table_close(table);
}
END_TEST

/* Writes false properties and expects verify to say so; opening cannot know. */
static void
assert_verify_finds(size_t property, const char *words)
{
    struct block_handle properties = footer_of(good).properties;
    struct table *table;

    good[properties.offset + property] ^= 1;
    reseal(good, properties);
    table_fixture_replace(&fixture, NUMBER, good, size);
    table = table_fixture_open(&fixture, NUMBER);
    ck_assert_int_eq(table_verify(table), -EUCLEAN);
    ck_assert_msg(strstr(fixture.last_report, words) != NULL, "%s", fixture.last_report);
    table_close(table);
}

START_TEST(test_verify_counts_again)
{
    static const struct {
        size_t property;
        const char *words;
    } cases[] = {
        {20, "number of entries"},   {28, "number of entries"}, {68, "sizes of keys"},
        {76, "sizes of keys"},       {84, "other sequences"},   {92, "other sequences"},
        {100, "keys in the filter"},
    };

    assert_verify_finds(cases[_i].property, cases[_i].words);
}
END_TEST

START_TEST(test_verify_asks_the_filter_for_every_key)
{
    struct block_handle filter = footer_of(good).filter;
    struct table *table;

    memset(good + filter.offset, 0, filter.size - 1);
    reseal(good, filter);
    table_fixture_replace(&fixture, NUMBER, good, size);
    table = table_fixture_open(&fixture, NUMBER);
    ck_assert_int_eq(table_verify(table), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "the filter does not know"));
    table_close(table);
}
END_TEST

START_TEST(test_verify_counts_what_is_packed_again)
{
    assert_verify_finds(_i == 0 ? 108 : 4, _i == 0 ? "compressed blocks" : "blob files");
}
END_TEST

/* The same of a table that is packed. */
static TCase *
packed_cases(void)
{
    TCase *tcase = tcase_create("packed");

    tcase_add_checked_fixture(tcase, setup_packed, teardown);
    tcase_add_test(tcase, test_the_undamaged_table_is_read_without_a_report);
    tcase_add_loop_test(tcase, test_every_flipped_byte_is_told_with_file_and_offset, 0,
                        9);
    tcase_add_test(tcase, test_every_truncation_is_told_with_file_and_offset);
    tcase_add_test(tcase, test_zeroed_pages_inside_are_told);
    tcase_add_test(tcase, test_a_block_of_another_table_is_told);
    tcase_add_test(tcase, test_hostile_blocks_with_good_checksums_are_survived);
    tcase_add_test(tcase, test_hostile_data_blocks_with_good_checksums_are_survived);
    tcase_add_loop_test(tcase, test_verify_counts_what_is_packed_again, 0, 2);
    return tcase;
}

static Suite *
damage_suite(void)
{
    Suite *suite = suite_create("table damage");
    TCase *tcase = tcase_create("damage");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_the_undamaged_table_is_read_without_a_report);
    tcase_add_loop_test(tcase, test_every_flipped_byte_is_told_with_file_and_offset, 0,
                        9);
    tcase_add_test(tcase, test_every_truncation_is_told_with_file_and_offset);
    tcase_add_test(tcase, test_zeroes_and_foreign_bytes_are_told);
    tcase_add_test(tcase, test_zeroed_pages_inside_are_told);
    tcase_add_test(tcase, test_a_block_of_another_table_is_told);
    tcase_add_test(tcase, test_two_blocks_that_changed_places_are_told);
    tcase_add_test(tcase, test_hostile_blocks_with_good_checksums_are_survived);
    tcase_add_test(tcase, test_hostile_data_blocks_with_good_checksums_are_survived);
    tcase_add_test(tcase, test_hostile_footers_with_good_checksums_are_refused);
    tcase_add_test(tcase, test_a_newer_version_of_the_format_is_refused_by_name);
    tcase_add_loop_test(tcase, test_an_unknown_feature_is_refused_by_name, 4, 32);
    tcase_add_test(tcase, test_an_unknown_compatible_feature_is_ignored);
    tcase_add_test(tcase, test_an_unknown_order_is_refused_by_name);
    tcase_add_test(tcase, test_verify_reads_the_disk_and_not_the_cache);
    tcase_add_test(tcase, test_a_file_cut_while_its_table_is_open_is_told);
    tcase_add_loop_test(tcase, test_verify_counts_again, 0, 7);
    tcase_add_test(tcase, test_verify_asks_the_filter_for_every_key);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, packed_cases());
    return suite;
}

int
main(void)
{
    return run_suite(damage_suite());
}
