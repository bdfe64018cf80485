/*
 * test_table_format.c - the bytes of each part of a table, pinned: a changed constant
 * fails one of these, and the byte table above its code is what must be changed with it.
 *
 * Checksums and hashes below were computed by other programs than ours.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "support/suite.h"
#include "table/filter.h"
#include "table/format.h"
#include "table/index.h"

START_TEST(test_a_table_is_named_by_its_number)
{
    char name[TABLE_NAME_SIZE];

    table_name(name, 12);
    ck_assert_str_eq(name, "000012.sst");
    table_name(name, UINT64_MAX);
    ck_assert_str_eq(name, "18446744073709551615.sst");
}
END_TEST

START_TEST(test_golden_block_trailer)
{
    static const uint8_t golden[] = {'b',  'l',  'o',  'c',  'k',
                                     0x00, 0xbe, 0xe6, 0xf1, 0xd7};
    uint8_t bytes[sizeof(golden)] = "block";
    const char *problem;

    block_seal(bytes, 5, BLOCK_PLAIN, 0x0102, 0x1122334455);
    ck_assert_mem_eq(bytes, golden, sizeof(golden));
    ck_assert_int_eq(block_check(golden, 5, 0x0102, 0x1122334455, &problem), 0);
    ck_assert_int_eq(block_check(golden, 5, 0x0103, 0x1122334455, &problem), -EBADMSG);
    ck_assert_int_eq(block_check(golden, 5, 0x0102, 0x1122334456, &problem), -EBADMSG);
}
END_TEST

/* The type is under the checksum: neither passes for the other. */
START_TEST(test_golden_trailer_of_a_packed_block)
{
    static const uint8_t golden[] = {'b',  'l',  'o',  'c',  'k',
                                     0x01, 0xbd, 0x65, 0x9a, 0x25};
    uint8_t bytes[sizeof(golden)] = "block";
    const char *problem;

    block_seal(bytes, 5, BLOCK_LZ4, 0x0102, 0x1122334455);
    ck_assert_mem_eq(bytes, golden, sizeof(golden));
    ck_assert_int_eq(block_check(bytes, 5, 0x0102, 0x1122334455, &problem), 0);
    bytes[5] = BLOCK_PLAIN;
    ck_assert_int_eq(block_check(bytes, 5, 0x0102, 0x1122334455, &problem), -EBADMSG);
}
END_TEST

/* Seals a block of another type, as a later version will. */
static int
check_type(uint8_t type, const char **problem)
{
    uint8_t bytes[16 + 5 + BLOCK_TRAILER_SIZE] = {0};

    bytes[0] = 1; /* table 1, offset 0: the seed, then the block */
    memcpy(bytes + 16, "block", 5);
    bytes[21] = type;
    put_u32(bytes + 22, crc32c(0, bytes, 22));
    return block_check(bytes + 16, 5, 1, 0, problem);
}

START_TEST(test_blocks_of_an_unknown_type_are_refused_by_name)
{
    const char *problem;

    ck_assert_int_eq(check_type(0, &problem), 0);
    ck_assert_int_eq(check_type(1, &problem), 0);
    for (unsigned type = 2; type < 256; type++) {
        ck_assert_int_eq(check_type((uint8_t)type, &problem), -EUCLEAN);
        ck_assert_ptr_nonnull(strstr(problem, "unknown"));
    }
}
END_TEST

static const struct table_properties properties = {
    .keyspace = 0x21,
    .order = LSMKV_ORDER_PATH,
    .entries = 0x31,
    .tombstones = 0x32,
    .data_blocks = 0x33,
    .data_bytes = 0x34,
    .index_bytes = 0x35,
    .filter_bytes = 0x36,
    .raw_key_bytes = 0x37,
    .raw_payload_bytes = 0x38,
    .smallest_sequence = 0x39,
    .largest_sequence = 0x3a,
    .filter_keys = 0x3b,
};

#define U64(low) low, 0, 0, 0, 0, 0, 0, 0
#define U32(low) low, 0, 0, 0

START_TEST(test_golden_properties)
{
    static const uint8_t golden[] = {
        U32(1),                          /* version */
        U32(0),    U32(0),               /* incompatible, compatible */
        U32(0x21),                       /* keyspace */
        U32(1),                          /* order */
        U64(0x31), U64(0x32), U64(0x33), /* entries, tombstones, data_blocks */
        U64(0x34), U64(0x35), U64(0x36), /* data, index, filter bytes */
        U64(0x37), U64(0x38),            /* raw key, payload bytes */
        U64(0x39), U64(0x3a), U64(0x3b), /* sequences, filter_keys */
    };
    uint8_t bytes[sizeof(golden)];
    struct table_properties again;
    const char *problem;

    ck_assert_uint_eq(sizeof(golden), TABLE_PROPERTIES_SIZE);
    ck_assert_uint_eq(table_properties_encode(bytes, &properties), sizeof(golden));
    ck_assert_mem_eq(bytes, golden, sizeof(golden));
    ck_assert_int_eq(
        table_properties_decode(lsmkv_bytes(golden, sizeof(golden)), &again, &problem),
        0);
    memset(bytes, 0xff, sizeof(bytes));
    table_properties_encode(bytes, &again); /* not the structs: they have gaps */
    ck_assert_mem_eq(bytes, golden, sizeof(golden));
}
END_TEST

/* The same, but for its feature, and with one number more behind. */
START_TEST(test_golden_properties_of_a_packed_table)
{
    static const uint8_t golden[] = {U64(0x3c)}; /* raw_data_bytes */
    uint8_t plain[TABLE_PROPERTIES_SIZE], bytes[TABLE_PROPERTIES_MAX];
    struct table_properties with = properties, again;
    const char *problem;

    with.packed = true;
    with.raw_data_bytes = 0x3c;
    table_properties_encode(plain, &properties);
    plain[4] = 2;
    ck_assert_uint_eq(table_properties_encode(bytes, &with), sizeof(bytes));
    ck_assert_mem_eq(bytes, plain, sizeof(plain));
    ck_assert_mem_eq(bytes + sizeof(plain), golden, sizeof(golden));
    ck_assert_int_eq(
        table_properties_decode(lsmkv_bytes(bytes, sizeof(bytes)), &again, &problem), 0);
    ck_assert(again.packed && again.raw_data_bytes == 0x3c);
    ck_assert_int_eq(
        table_properties_decode(lsmkv_bytes(plain, sizeof(plain)), &again, &problem),
        -EUCLEAN);
}
END_TEST

START_TEST(test_properties_cut_short_are_refused)
{
    uint8_t bytes[TABLE_PROPERTIES_SIZE];
    struct table_properties again;
    const char *problem;

    table_properties_encode(bytes, &properties);
    for (size_t size = 0; size < sizeof(bytes); size++)
        ck_assert_int_eq(
            table_properties_decode(lsmkv_bytes(bytes, size), &again, &problem),
            -EUCLEAN);
}
END_TEST

/* Repairing made a store with such a keyspace, which did not open: MANIFEST takes no such number. */
START_TEST(test_properties_of_no_keyspace_are_refused)
{
    struct table_properties none = properties, again;
    uint8_t bytes[TABLE_PROPERTIES_SIZE];
    const char *problem;

    none.keyspace = KEYSPACE_UNKNOWN;
    table_properties_encode(bytes, &none);
    ck_assert_int_eq(
        table_properties_decode(lsmkv_bytes(bytes, sizeof(bytes)), &again, &problem),
        -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(problem, "keyspace"));
}
END_TEST

static const struct table_footer footer = {
    .number = 7,
    .filter = {0x1000, 0x81},
    .index = {0x1086, 0x200},
    .properties = {0x128b, 0x6c},
};
#define FOOTER_OFFSET 0x12fcu

START_TEST(test_golden_footer)
{
    static const uint8_t golden[] = {
        U64(7),                                                         /* number */
        0x00,   0x10, 0,    0,    0,   0,   0,   0,   0x81, 0x00, 0, 0, /* filter */
        0x86,   0x10, 0,    0,    0,   0,   0,   0,   0x00, 0x02, 0, 0, /* index */
        0x8b,   0x12, 0,    0,    0,   0,   0,   0,   0x6c, 0x00, 0, 0, /* properties */
        0x8b,   0xa2, 0x41, 0x6b,                                       /* checksum */
        'l',    's',  'm',  'k',  'v', 'S', 'S', 'T',                   /* magic */
    };
    uint8_t bytes[sizeof(golden)];
    struct table_footer again;
    const char *problem;

    ck_assert_uint_eq(sizeof(golden), TABLE_FOOTER_SIZE);
    table_footer_encode(bytes, &footer, FOOTER_OFFSET);
    ck_assert_mem_eq(bytes, golden, sizeof(golden));
    ck_assert_int_eq(table_footer_decode(golden, FOOTER_OFFSET, &again, &problem), 0);
    ck_assert_uint_eq(again.number, footer.number);
    ck_assert_uint_eq(again.index.offset, footer.index.offset);
    ck_assert_int_eq(table_footer_decode(golden, FOOTER_OFFSET + 1, &again, &problem),
                     -EBADMSG);
}
END_TEST

static int
add(struct block_builder *builder, const char *user, uint64_t sequence, uint8_t kind,
    const char *payload)
{
    struct keybuf key = {0};
    int result = keybuf_set_internal(&key, lsmkv_str(user), sequence, kind);

    ck_assert_int_eq(result, 0);
    result = block_builder_add(builder, keybuf_slice(&key), lsmkv_str(payload));
    keybuf_fini(&key);
    return result;
}

START_TEST(test_golden_block)
{
    static const uint8_t golden[] = {
        0, 11, 3, 'a', '/',  'b', 0x01, 9, 0, 0, 0, 0, 0, 0, 'o', 'n', 'e', /* a/b */
        2, 9,  0, 'c', 0x00, 8,   0,    0, 0, 0, 0, 0,                      /* a/c */
        0, 0,  0, 0,                                                        /* restart */
        1, 0,  0, 0,                                                        /* count */
    };
    struct block_builder builder = {0};

    ck_assert_int_eq(add(&builder, "a/b", 9, KIND_PUT, "one"), 0);
    ck_assert_int_eq(add(&builder, "a/c", 8, KIND_DELETE, ""), 0);
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    ck_assert_uint_eq(builder.data.size, sizeof(golden));
    ck_assert_mem_eq(builder.data.data, golden, sizeof(golden));
    block_builder_fini(&builder);
}
END_TEST

START_TEST(test_every_sixteenth_entry_is_a_restart_point)
{
    struct block_builder builder = {0};

    for (uint64_t i = 0; i < 33; i++) {
        ck_assert_uint_eq(builder.restarts.size, (i + 15) / 16 * 4);
        ck_assert_int_eq(add(&builder, "key", 100 - i, KIND_DELETE, ""), 0);
    }
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    ck_assert_mem_eq(builder.data.data + builder.data.size - 4, "\3\0\0\0", 4);
    block_builder_fini(&builder);
}
END_TEST

static void
append_index(struct block_builder *builder, const char *left, uint64_t left_sequence,
             const char *right, uint64_t sequence, uint32_t size)
{
    struct keybuf a = {0}, b = {0}, separator = {0};

    if (left != NULL)
        ck_assert_int_eq(keybuf_set_internal(&a, lsmkv_str(left), left_sequence, 1), 0);
    ck_assert_int_eq(keybuf_set_internal(&b, lsmkv_str(right), sequence, 1), 0);
    ck_assert_int_eq(
        index_separator(LSMKV_ORDER_PATH, keybuf_slice(&a), keybuf_slice(&b), &separator),
        0);
    ck_assert_int_eq(index_add(builder, keybuf_slice(&separator), size, sequence), 0);
    keybuf_fini(&a);
    keybuf_fini(&b);
    keybuf_fini(&separator);
}

START_TEST(test_golden_index)
{
    static const uint8_t
        golden[] =
            {
                0,    8,    2,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                0xff, 0xff, 0x7f, 5, /* before all */
                0,    10,   3,    'a',  '/',  0xff, 0xff, 0xff, 0xff,
                0xff, 0xff, 0xff, 0xff, /* a | a/long */
                0x80, 0x01, 9,          /* 128 bytes, 9 */
                2,    12,   2,    'l',  'o',  'n',  'g',  0x01, 8,
                0,    0,    0,    0,    0,    0,    64,   8, /* in a/long */
                0,    0,    0,    0,    1,    0,    0,    0, /* restarts */
            };
    struct block_builder builder = {0};
    struct table_index index;
    const char *problem;

    append_index(&builder, NULL, 0, "a", 5, 127);
    append_index(&builder, "a", 5, "a/long", 9, 128);
    append_index(&builder, "a/long", 9, "a/long", 8, 64);
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    ck_assert_uint_eq(builder.data.size, sizeof(golden));
    ck_assert_mem_eq(builder.data.data, golden, sizeof(golden));
    block_builder_fini(&builder);

    ck_assert_int_eq(table_index_decode(lsmkv_bytes(golden, sizeof(golden)),
                                        LSMKV_ORDER_PATH, 1000, 1000, &index, &problem),
                     0);
    ck_assert_uint_eq(index.count, 3);
    ck_assert_uint_eq(index.entries[2].offset, 127 + 5 + 128 + 5);
    ck_assert_uint_eq(index.entries[2].largest_sequence, 8);
    ck_assert_uint_eq(index.data_end, 127 + 128 + 64 + 3 * 5);
    table_index_fini(&index);
}
END_TEST

START_TEST(test_an_index_that_reaches_past_the_data_is_refused)
{
    struct block_builder builder = {0};
    struct table_index index;
    const char *problem;

    append_index(&builder, NULL, 0, "a", 5, 127);
    append_index(&builder, "a", 5, "b", 5, 128);
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    for (uint64_t limit = 0; limit < 127 + 128 + 2 * 5; limit++)
        ck_assert_int_eq(table_index_decode(keybuf_slice(&builder.data), LSMKV_ORDER_PATH,
                                            limit, limit, &index, &problem),
                         -EUCLEAN);
    block_builder_fini(&builder);
}
END_TEST

/* Of `count` separators, so many that a restart point is followed by `interval` - 1. */
static void
decode_long_separators(unsigned count, unsigned interval, int expected)
{
    struct block_builder builder = {0};
    struct table_index index;
    const char *problem;
    char key[20000];

    memset(key, 'k', sizeof(key));
    for (unsigned i = 0; i < count; i++) {
        struct keybuf separator = {0};

        if (i % interval != 0 && builder.entries % BLOCK_RESTART_INTERVAL == 0)
            builder.entries++; /* no restart point */
        snprintf(key + sizeof(key) - 8, 8, "%07u", i % 10000000);
        ck_assert_int_eq(keybuf_set_internal(&separator,
                                             lsmkv_bytes(key, sizeof(key) - 1),
                                             UINT64_MAX >> 8, UINT8_MAX),
                         0);
        ck_assert_int_eq(index_add(&builder, keybuf_slice(&separator), 1, 1), 0);
        keybuf_fini(&separator);
    }
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    ck_assert_int_eq(table_index_decode(keybuf_slice(&builder.data), LSMKV_ORDER_PATH,
                                        1000000, UINT64_MAX, &index, &problem),
                     expected);
    if (expected == 0) {
        ck_assert_uint_eq(index.count, count);
        ck_assert_uint_gt(index.memory, builder.data.size * 15);
        table_index_fini(&index);
    }
    block_builder_fini(&builder);
}

/* Bug: separators that share nearly all were held against the data, of a compressed table
 * against what LZ4 can make of so many bytes, so that a file of 4 MiB could have a GiB
 * asked for. */
START_TEST(test_an_index_that_grows_more_than_sixteenfold_is_refused)
{
    decode_long_separators(160, 16, 0); /* no genuine one grows more */
    decode_long_separators(160, 160, -EUCLEAN);
}
END_TEST

START_TEST(test_golden_hash)
{
    ck_assert_uint_eq(filter_hash(lsmkv_str("")), UINT64_C(0x2d06800538d394c2));
    ck_assert_uint_eq(filter_hash(lsmkv_str("a/key")), UINT64_C(0xc7bfe2a1ae1899a7));
    ck_assert_uint_eq(filter_hash(lsmkv_str("usr/share/dict/words")),
                      UINT64_C(0x8158319a2b624fea));
}
END_TEST

/* Two keys share a line at 10 bits each; 250 each and a twentieth more need two lines. */
START_TEST(test_golden_filter)
{
    static const uint64_t hashes[] = {UINT64_C(0x0123456789abcdef),
                                      UINT64_C(0xfedcba9876543210)};
    static const uint16_t bits[2][6] = {{275, 227, 436, 48, 130, 237},
                                        {236, 479, 132, 232, 273, 341}};
    uint8_t golden[129] = {0};
    struct filter_builder builder = {0};
    uint8_t *block;
    size_t size;

    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(filter_builder_add(&builder, hashes[i]), 0);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 6; j++)
            golden[bits[i][j] / 8] =
                (uint8_t)(golden[bits[i][j] / 8] | 1u << bits[i][j] % 8);
    golden[64] = 6;
    ck_assert_int_eq(filter_builder_finish(&builder, 10, &block, &size), 0);
    ck_assert_uint_eq(size, 65);
    ck_assert_mem_eq(block, golden, 65);
    free(block);
    ck_assert_int_eq(filter_builder_finish(&builder, 250, &block, &size), 0);
    ck_assert_uint_eq(size, 129);
    ck_assert_uint_eq(block[128], 16);
    free(block);
    filter_builder_fini(&builder);
}
END_TEST

static Suite *
format_suite(void)
{
    Suite *suite = suite_create("table format");
    TCase *tcase = tcase_create("golden");

    tcase_add_test(tcase, test_a_table_is_named_by_its_number);
    tcase_add_test(tcase, test_golden_block_trailer);
    tcase_add_test(tcase, test_golden_trailer_of_a_packed_block);
    tcase_add_test(tcase, test_blocks_of_an_unknown_type_are_refused_by_name);
    tcase_add_test(tcase, test_golden_properties);
    tcase_add_test(tcase, test_golden_properties_of_a_packed_table);
    tcase_add_test(tcase, test_properties_cut_short_are_refused);
    tcase_add_test(tcase, test_properties_of_no_keyspace_are_refused);
    tcase_add_test(tcase, test_golden_footer);
    tcase_add_test(tcase, test_golden_block);
    tcase_add_test(tcase, test_every_sixteenth_entry_is_a_restart_point);
    tcase_add_test(tcase, test_golden_index);
    tcase_add_test(tcase, test_an_index_that_reaches_past_the_data_is_refused);
    tcase_add_test(tcase, test_an_index_that_grows_more_than_sixteenfold_is_refused);
    tcase_add_test(tcase, test_golden_hash);
    tcase_add_test(tcase, test_golden_filter);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    return run_suite(format_suite());
}
