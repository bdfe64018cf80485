/* test_coding.c - integers, varints and the bounded reader. */
#include <check.h>

#include "base/coding.h"
#include "support/random.h"
#include "support/suite.h"

/* ---- golden bytes ---- */

START_TEST(test_fixed_integers_are_little_endian)
{
    static const uint8_t want32[] = {0x04, 0x03, 0x02, 0x01};
    static const uint8_t want64[] = {8, 7, 6, 5, 4, 3, 2, 1};
    uint8_t out[8];

    put_u32(out, 0x01020304);
    ck_assert_mem_eq(out, want32, sizeof(want32));
    ck_assert_uint_eq(get_u32(out), 0x01020304);
    put_u64(out, UINT64_C(0x0102030405060708));
    ck_assert_mem_eq(out, want64, sizeof(want64));
    ck_assert_uint_eq(get_u64(out), UINT64_C(0x0102030405060708));
}
END_TEST

static const struct {
    uint64_t value;
    size_t size;
    uint8_t bytes[VARINT64_MAX];
} varints[] = {
    {0, 1, {0x00}},
    {1, 1, {0x01}},
    {127, 1, {0x7f}},
    {128, 2, {0x80, 0x01}},
    {300, 2, {0xac, 0x02}},
    {16383, 2, {0xff, 0x7f}},
    {16384, 3, {0x80, 0x80, 0x01}},
    {UINT32_MAX, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
    {UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
};

START_TEST(test_varint_has_these_bytes)
{
    uint8_t out[VARINT64_MAX];
    uint8_t *end = put_varint(out, varints[_i].value);
    struct reader reader;

    ck_assert_uint_eq((size_t)(end - out), varints[_i].size);
    ck_assert_uint_eq(varint_size(varints[_i].value), varints[_i].size);
    ck_assert_mem_eq(out, varints[_i].bytes, varints[_i].size);
    reader = reader_of(lsmkv_bytes(out, varints[_i].size));
    ck_assert_uint_eq(read_varint(&reader), varints[_i].value);
    ck_assert(!reader.failed);
    ck_assert_uint_eq(reader_left(&reader), 0);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *why;
    size_t size;
    uint8_t bytes[12];
} bad_varints[] = {
    {"empty", 0, {0}},
    {"cut", 1, {0x80}},
    {"cut late", 3, {0xff, 0xff, 0xff}},
    {"overlong zero", 2, {0x80, 0x00}},
    {"overlong one", 3, {0x81, 0x80, 0x00}},
    {"above 64 bits", 10, {255, 255, 255, 255, 255, 255, 255, 255, 255, 0x02}},
    {"eleven bytes", 11, {255, 255, 255, 255, 255, 255, 255, 255, 255, 0x81, 0x01}},
};

START_TEST(test_bad_varint_fails)
{
    struct reader reader =
        reader_of(lsmkv_bytes(bad_varints[_i].bytes, bad_varints[_i].size));

    ck_assert_uint_eq(read_varint(&reader), 0);
    ck_assert_msg(reader.failed, "%s", bad_varints[_i].why);
}
END_TEST

START_TEST(test_varint32_refuses_more_than_32_bits)
{
    uint8_t out[VARINT64_MAX];
    size_t size = (size_t)(put_varint(out, (uint64_t)UINT32_MAX + 1) - out);
    struct reader reader = reader_of(lsmkv_bytes(out, size));

    ck_assert_uint_eq(read_varint32(&reader), 0);
    ck_assert(reader.failed);
    size = (size_t)(put_varint(out, UINT32_MAX) - out);
    reader = reader_of(lsmkv_bytes(out, size));
    ck_assert_uint_eq(read_varint32(&reader), UINT32_MAX);
    ck_assert(!reader.failed);
}
END_TEST

START_TEST(test_reader_stops_at_its_end_and_stays_failed)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7};
    struct reader reader = reader_of(lsmkv_bytes(bytes, sizeof(bytes)));

    ck_assert_uint_eq(read_u32(&reader), 0x04030201);
    ck_assert_uint_eq(read_u64(&reader), 0);
    ck_assert(reader.failed);
    ck_assert_uint_eq(read_u8(&reader), 0);
    ck_assert_uint_eq(read_bytes(&reader, 0).size, 0);
    ck_assert(reader.failed);
}
END_TEST

START_TEST(test_read_bytes_refuses_a_length_beyond_the_end)
{
    static const uint8_t bytes[] = {1, 2, 3};
    static const uint64_t sizes[] = {4, UINT32_MAX, UINT64_MAX, (uint64_t)INT64_MAX + 1};
    struct reader reader;
    struct lsmkv_slice slice;
    size_t i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        reader = reader_of(lsmkv_bytes(bytes, sizeof(bytes)));
        slice = read_bytes(&reader, sizes[i]);
        ck_assert(reader.failed);
        ck_assert_uint_eq(slice.size, 0);
    }
    reader = reader_of(lsmkv_bytes(bytes, sizeof(bytes)));
    slice = read_bytes(&reader, 3);
    ck_assert(!reader.failed && slice.size == 3 && slice.data == bytes);
}
END_TEST

/* ---- at random ---- */

START_TEST(test_every_varint_reads_back)
{
    struct random random = random_of(random_seed());
    uint8_t out[VARINT64_MAX];
    int i;

    for (i = 0; i < 100000; i++) {
        uint64_t value = random_next(&random) >> random_below(&random, 64);
        size_t size = (size_t)(put_varint(out, value) - out);
        struct reader reader = reader_of(lsmkv_bytes(out, size));

        if (varint_size(value) != size || read_varint(&reader) != value ||
            reader.failed || reader_left(&reader) != 0)
            ck_abort_msg("varint %d", i);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("coding");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, test_fixed_integers_are_little_endian);
    tcase_add_loop_test(tests, test_varint_has_these_bytes, 0,
                        (int)(sizeof(varints) / sizeof(varints[0])));
    tcase_add_loop_test(tests, test_bad_varint_fails, 0,
                        (int)(sizeof(bad_varints) / sizeof(bad_varints[0])));
    tcase_add_test(tests, test_varint32_refuses_more_than_32_bits);
    tcase_add_test(tests, test_reader_stops_at_its_end_and_stays_failed);
    tcase_add_test(tests, test_read_bytes_refuses_a_length_beyond_the_end);
    tcase_add_test(tests, test_every_varint_reads_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
