/*
 * test_pack.c - data blocks packed with LZ4: golden bytes, what is worth packing, what a
 * block may say of its size; and tables of such blocks, read in every way.
 *
 * test_table_damage flips and cuts a table of them, too.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "support/table_fixture.h"
#include "table/format.h"
#include "table/pack.h"

#define RAW_SIZE 4096u

static uint8_t raw[RAW_SIZE];
static struct keybuf packed, unpacked;

static void
teardown(void)
{
    keybuf_fini(&packed);
    keybuf_fini(&unpacked);
}

static struct lsmkv_slice
raw_slice(size_t size)
{
    return lsmkv_bytes(raw, size);
}

/* `random` bytes of noise, then what is all the same. */
static void
fill(size_t noise, struct random *random)
{
    for (size_t i = 0; i < RAW_SIZE; i++)
        raw[i] = i < noise ? (uint8_t)random_next(random) : 'x';
}

static int
unpack(const uint8_t *block, size_t size)
{
    const char *problem = NULL;
    int result = block_unpack_into(block, size, &unpacked, &problem);

    ck_assert(result == 0 || (result == -EUCLEAN && problem != NULL));
    return result;
}

/* ---- blocks ---- */

/* Made by hand from the description of the format: one literal, of which a match of 15 + 4 + 36
 * bytes, one byte back, makes 56; then eight literals. */
START_TEST(test_golden_packed_block)
{
    static const uint8_t golden[] = {
        64,   0,   0,   0,                            /* size */
        0x1f, 'a', 1,   0,   36,                      /* token, literal, match */
        0x80, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'z', /* token, literals */
    };

    ck_assert_int_eq(unpack(golden, sizeof(golden)), 0);
    ck_assert_uint_eq(unpacked.size, 64);
    for (size_t i = 0; i < 64; i++)
        ck_assert_uint_eq(unpacked.data[i], i < 63 ? 'a' : 'z');
    memcpy(raw, unpacked.data, 64);
    ck_assert_int_eq(block_pack(raw_slice(64), &packed), 1);
    ck_assert_uint_le(packed.size, sizeof(golden) + 4);
    ck_assert_mem_eq(packed.data, golden, 4);
    ck_assert_int_eq(unpack(packed.data, packed.size), 0);
    ck_assert_mem_eq(unpacked.data, raw, 64);
}
END_TEST

/* K1, for every share of noise and many sizes. */
START_TEST(test_what_saves_an_eighth_is_packed_and_comes_back)
{
    struct random random = random_of(random_seed());
    unsigned kept = 0, made = 0;

    for (size_t noise = 0; noise <= RAW_SIZE; noise += 64) {
        size_t size = noise + random_below(&random, RAW_SIZE - noise + 1);
        int result;

        fill(noise, &random);
        result = block_pack(raw_slice(size), &packed);
        ck_assert_int_ge(result, 0);
        if (result == 0) {
            /* What is not noise takes next to nothing. */
            ck_assert_uint_le(size - size / 8, noise + noise / 255 + 40);
            kept++;
            continue;
        }
        ck_assert_uint_le(packed.size, size - size / 8);
        ck_assert_int_eq(unpack(packed.data, packed.size), 0);
        ck_assert_uint_eq(unpacked.size, size);
        ck_assert_mem_eq(unpacked.data, raw, size);
        made++;
    }
    ck_assert_uint_gt(kept, 0);
    ck_assert_uint_gt(made, 0);
}
END_TEST

START_TEST(test_a_few_bytes_are_never_packed)
{
    for (size_t size = 0; size <= 5; size++)
        ck_assert_int_eq(block_pack(raw_slice(size), &packed), 0);
}
END_TEST

/* So large is no data block; the most that LZ4 makes of its bytes is still within its bound. */
START_TEST(test_the_largest_block_comes_back)
{
    uint8_t *large = calloc(1, BLOCK_UNPACKED_MAX + 1);

    ck_assert_ptr_nonnull(large);
    ck_assert_int_eq(block_pack(lsmkv_bytes(large, BLOCK_UNPACKED_MAX), &packed), 1);
    ck_assert_uint_lt(packed.size, BLOCK_UNPACKED_MAX / 200);
    ck_assert_int_eq(unpack(packed.data, packed.size), 0);
    ck_assert_uint_eq(unpacked.size, BLOCK_UNPACKED_MAX);
    ck_assert_mem_eq(unpacked.data, large, BLOCK_UNPACKED_MAX);
    ck_assert_int_eq(block_pack(lsmkv_bytes(large, BLOCK_UNPACKED_MAX + 1), &packed), 0);
    free(large);
}
END_TEST

/* ---- what is no packed block ---- */

static void
pack_some(size_t noise)
{
    struct random random = random_of(random_seed());

    fill(noise, &random);
    ck_assert_int_eq(block_pack(raw_slice(RAW_SIZE), &packed), 1);
}

/* K2: what it says decides nothing before it is held against the bounds. */
START_TEST(test_hostile_sizes_are_refused_before_memory_is_asked_for)
{
    static const uint32_t sizes[] = {0, (24u << 20) + 1, UINT32_MAX, 0x80000000u};
    const char *problem;
    size_t size;

    pack_some(1000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put_u32(packed.data, sizes[i]);
        ck_assert_int_eq(block_unpacked_size(packed.data, packed.size, &size, &problem),
                         -EUCLEAN);
        ck_assert_int_eq(unpack(packed.data, packed.size), -EUCLEAN);
    }
    /* No more than so many bytes can come to: 24 MiB of 100 cannot be. */
    put_u32(packed.data, 24u << 20);
    ck_assert_int_eq(block_unpacked_size(packed.data, 104, &size, &problem), -EUCLEAN);
    put_u32(packed.data, 255 * 100);
    ck_assert_int_eq(block_unpacked_size(packed.data, 104, &size, &problem), 0);
    ck_assert_uint_eq(unpacked.capacity, 0);
}
END_TEST

START_TEST(test_another_size_than_it_has_is_refused)
{
    pack_some(1000);
    for (uint32_t size = 1; size < 2 * RAW_SIZE; size++) {
        put_u32(packed.data, size);
        ck_assert_int_eq(unpack(packed.data, packed.size),
                         size == RAW_SIZE ? 0 : -EUCLEAN);
    }
}
END_TEST

START_TEST(test_every_length_cut_is_refused)
{
    pack_some(1000);
    for (size_t size = 0; size < packed.size; size++) {
        uint8_t *cut = malloc(size + 1); /* so that a sanitizer sees a read past it */

        ck_assert_ptr_nonnull(cut);
        memcpy(cut, packed.data, size);
        ck_assert_int_eq(unpack(cut, size), -EUCLEAN);
        free(cut);
    }
}
END_TEST

/* Any bytes at all: an error, or as many as were promised. */
START_TEST(test_hostile_bytes_are_survived)
{
    struct random random = random_of(random_seed());

    pack_some(1000);
    for (unsigned round = 0; round < 20000; round++) {
        size_t at = random_below(&random, packed.size);
        uint8_t was = packed.data[at];

        packed.data[at] = (uint8_t)random_next(&random);
        if (unpack(packed.data, packed.size) == 0)
            ck_assert_uint_eq(unpacked.size, get_u32(packed.data));
        if (round % 64 != 0) /* now and then it stays bad */
            packed.data[at] = was;
        else
            pack_some(1000);
    }
}
END_TEST

/* ---- tables ---- */

static struct table_fixture fixture;
static struct table_model model;

static void
setup_table(void)
{
    struct random random = random_of(random_seed());
    char key[32], value[201];

    table_fixture_init(&fixture, 1 << 20, 1024);
    fixture.compression = LSMKV_COMPRESSION_LZ4;
    model = (struct table_model){.order = LSMKV_ORDER_PATH};
    for (unsigned i = 0; i < 2000; i++) {
        size_t size = 1 + random_below(&random, 200);

        /* Every other hundred is noise, of which no block is packed. */
        for (size_t k = 0; k < size; k++)
            value[k] = (char)(i / 100 % 2 == 0 ? 'a' + k % 3 : random_next(&random));
        snprintf(key, sizeof(key), "dir%u/file%u", i / 40, i);
        table_model_put(&model, lsmkv_str(key), 100 + i, lsmkv_bytes(value, size));
    }
    table_model_sort(&model);
}

static void
teardown_table(void)
{
    table_model_fini(&model);
    table_fixture_fini(&fixture);
}

/* Forwards and backwards. */
static void
check_walk(struct table *table, enum table_walk how)
{
    struct iterator *it;
    size_t shown = 0;

    ck_assert_int_eq(table_iterate(table, how, &it), 0);
    for (iterator_first(it); it->valid; iterator_next(it), shown++) {
        assert_slices(it->entry->key, table_model_key(&model, shown));
        assert_slices(it->entry->payload, table_model_payload(&model, shown));
    }
    ck_assert_int_eq(it->status, 0);
    ck_assert_uint_eq(shown, model.count);
    if (how != TABLE_SALVAGING)
        for (iterator_last(it); it->valid; iterator_prev(it))
            assert_slices(it->entry->key, table_model_key(&model, --shown));
    ck_assert_int_eq(it->status, 0);
    iterator_free(it);
}

static void
check_gets(struct table *table)
{
    for (size_t i = 0; i < model.count; i++) {
        struct table_version version;

        ck_assert_int_eq(table_get(table, table_model_key(&model, i), &version), 0);
        assert_slices(version.payload, table_model_payload(&model, i));
        block_unpin(version.block);
    }
}

START_TEST(test_a_packed_table_is_read_in_every_way)
{
    const struct table_properties *properties;
    struct table *table;

    table_model_write(&model, &fixture, 1);
    table = table_fixture_open(&fixture, 1);
    properties = table_get_properties(table);
    ck_assert(properties->packed);
    ck_assert_uint_lt(properties->data_bytes, properties->raw_data_bytes * 3 / 4);
    check_gets(table); /* from the disk */
    check_gets(table); /* from the cache */
    check_walk(table, TABLE_KEEPING);
    check_walk(table, TABLE_PASSING);
    check_walk(table, TABLE_SALVAGING);
    ck_assert_int_eq(table_verify(table), 0);
    ck_assert_uint_eq(fixture.reports, 0);
    table_close(table);
}
END_TEST

/* With no cache at all, runs cannot be lent either. */
START_TEST(test_a_packed_table_is_read_without_a_cache)
{
    struct table *table;

    block_cache_free(fixture.cache);
    ck_assert_int_eq(block_cache_new(fixture.context.env, 0, &fixture.cache), 0);
    fixture.context.cache = fixture.cache;
    table_model_write(&model, &fixture, 1);
    table = table_fixture_open(&fixture, 1);
    check_gets(table);
    check_walk(table, TABLE_KEEPING);
    check_walk(table, TABLE_PASSING);
    table_close(table);
}
END_TEST

/* The cache is charged for what it holds: blocks as they are unpacked. */
START_TEST(test_the_cache_counts_blocks_as_they_are_unpacked)
{
    const struct table_properties *properties;
    struct table *table;

    table_model_write(&model, &fixture, 1);
    table = table_fixture_open(&fixture, 1);
    properties = table_get_properties(table);
    check_gets(table);
    ck_assert_uint_ge(block_cache_bytes(fixture.cache),
                      properties->raw_data_bytes -
                          properties->data_blocks * BLOCK_TRAILER_SIZE);
    table_close(table);
}
END_TEST

/* A table of which no block is worth packing has the same bytes as without compression. */
START_TEST(test_a_table_of_noise_is_as_if_it_were_not_compressed)
{
    struct random random = random_of(random_seed());
    uint8_t *with, *without, value[100];
    char name[TABLE_NAME_SIZE];
    size_t with_size, without_size;
    struct table *table;

    table_model_fini(&model);
    model = (struct table_model){.order = LSMKV_ORDER_PATH};
    for (unsigned i = 0; i < 200; i++) {
        char key[16];

        for (size_t k = 0; k < sizeof(value); k++)
            value[k] = (uint8_t)random_next(&random);
        snprintf(key, sizeof(key), "%u", i);
        table_model_put(&model, lsmkv_str(key), random_next(&random) >> 8,
                        lsmkv_bytes(value, sizeof(value)));
    }
    table_model_sort(&model);
    table_model_write(&model, &fixture, 1);
    with = table_fixture_read(&fixture, 1, &with_size);
    table = table_fixture_open(&fixture, 1);
    ck_assert(!table_get_properties(table)->packed);
    table_close(table);
    table_name(name, 1);
    ck_assert_int_eq(env_dir_unlink(fixture.dir, name), 0);
    fixture.compression = LSMKV_COMPRESSION_NONE;
    table_model_write(&model, &fixture, 1);
    without = table_fixture_read(&fixture, 1, &without_size);
    ck_assert_uint_eq(with_size, without_size);
    ck_assert_mem_eq(with, without, with_size);
    free(with);
    free(without);
}
END_TEST

/* A packed block in the place of the index, the filter or the properties. */
START_TEST(test_only_data_may_be_packed)
{
    struct table_footer footer;
    struct block_handle handle;
    const char *problem;
    struct table *table;
    uint8_t *bytes;
    size_t size;

    table_model_write(&model, &fixture, 1);
    bytes = table_fixture_read(&fixture, 1, &size);
    ck_assert_int_eq(table_footer_decode(bytes + size - TABLE_FOOTER_SIZE,
                                         size - TABLE_FOOTER_SIZE, &footer, &problem),
                     0);
    handle = _i == 0 ? footer.index : _i == 1 ? footer.filter : footer.properties;
    block_seal(bytes + handle.offset, handle.size, BLOCK_LZ4, 1, handle.offset);
    table_fixture_replace(&fixture, 1, bytes, size);
    ck_assert_int_eq(table_open(&fixture.context, 1, 0, &table), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "as only data may be"));
    free(bytes);
}
END_TEST

/* Without footer and index, found block by block. */
START_TEST(test_a_packed_table_is_salvaged)
{
    const struct table_identity identity = {true, 7, LSMKV_ORDER_PATH};
    struct table_footer footer;
    const char *problem;
    struct table *table;
    uint8_t *bytes;
    size_t size;

    table_model_write(&model, &fixture, 1);
    bytes = table_fixture_read(&fixture, 1, &size);
    ck_assert_int_eq(table_footer_decode(bytes + size - TABLE_FOOTER_SIZE,
                                         size - TABLE_FOOTER_SIZE, &footer, &problem),
                     0);
    bytes[size - 1] ^= 1;
    if (_i > 0)
        bytes[footer.index.offset] ^= 1;
    if (_i > 1)
        bytes[footer.properties.offset] ^= 1;
    table_fixture_replace(&fixture, 1, bytes, size);
    ck_assert_int_eq(table_open_salvaging(&fixture.context, 1, size, &identity, &table),
                     0);
    ck_assert(_i > 1 || table_get_properties(table)->packed);
    check_walk(table, TABLE_SALVAGING);
    check_gets(table);
    table_close(table);
    free(bytes);
}
END_TEST

static Suite *
pack_suite(void)
{
    Suite *suite = suite_create("pack");
    TCase *blocks = tcase_create("blocks"), *tables = tcase_create("tables");

    tcase_add_checked_fixture(blocks, NULL, teardown);
    tcase_add_test(blocks, test_golden_packed_block);
    tcase_add_test(blocks, test_what_saves_an_eighth_is_packed_and_comes_back);
    tcase_add_test(blocks, test_a_few_bytes_are_never_packed);
    tcase_add_test(blocks, test_the_largest_block_comes_back);
    tcase_add_test(blocks, test_hostile_sizes_are_refused_before_memory_is_asked_for);
    tcase_add_test(blocks, test_another_size_than_it_has_is_refused);
    tcase_add_test(blocks, test_every_length_cut_is_refused);
    tcase_add_test(blocks, test_hostile_bytes_are_survived);
    suite_add_tcase(suite, blocks);
    tcase_add_checked_fixture(tables, setup_table, teardown_table);
    tcase_add_test(tables, test_a_packed_table_is_read_in_every_way);
    tcase_add_test(tables, test_a_packed_table_is_read_without_a_cache);
    tcase_add_test(tables, test_the_cache_counts_blocks_as_they_are_unpacked);
    tcase_add_test(tables, test_a_table_of_noise_is_as_if_it_were_not_compressed);
    tcase_add_loop_test(tables, test_only_data_may_be_packed, 0, 3);
    tcase_add_loop_test(tables, test_a_packed_table_is_salvaged, 0, 3);
    suite_add_tcase(suite, tables);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(pack_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
