/* test_record.c - payloads: golden bytes, and what is refused. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "base/record.h"
#include "support/random.h"
#include "support/suite.h"

static const struct lsmkv_record sample = {
    .attributes = {"at", 2},
    .value = {"value", 5},
    .sequence = 77,
    .stamp_sequence = UINT64_C(0x0a0b0c0d0e0f),
    .stamp_time = INT64_C(0x0102030405060708),
};

/* ---- golden bytes ---- */

static const struct {
    uint8_t kind;
    size_t size;
    uint8_t bytes[32];
} golden[] = {
    {KIND_DELETE, 0, {0}},
    {KIND_PUT, 8, {2, 'a', 't', 'v', 'a', 'l', 'u', 'e'}},
    {KIND_PUT_TIMED, 16, {8, 7, 6, 5, 4, 3, 2, 1, 2, 'a', 't', 'v', 'a', 'l', 'u', 'e'}},
    {KIND_PUT_STAMPED, 24, {0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0,   0,
                            8,    7,    6,    5,    4,    3,    2,   1,
                            2,    'a',  't',  'v',  'a',  'l',  'u', 'e'}},
};

START_TEST(test_payload_has_these_bytes)
{
    uint8_t out[64];
    uint8_t head[RECORD_HEAD_MAX];
    size_t head_size;

    ck_assert_uint_eq(record_payload_size(golden[_i].kind, &sample), golden[_i].size);
    record_encode(out, golden[_i].kind, &sample);
    ck_assert_mem_eq(out, golden[_i].bytes, golden[_i].size);
    head_size = record_encode_head(head, golden[_i].kind, &sample);
    ck_assert_uint_eq(head_size, golden[_i].size == 0 ? 0 : golden[_i].size - 7);
    ck_assert_mem_eq(head, golden[_i].bytes, head_size);
}
END_TEST

START_TEST(test_decoding_gives_the_stamp_of_its_kind)
{
    struct lsmkv_record record;
    uint8_t kind = golden[_i].kind;

    ck_assert_int_eq(
        record_decode(kind, 77, lsmkv_bytes(golden[_i].bytes, golden[_i].size), &record),
        0);
    ck_assert_uint_eq(record.sequence, 77);
    ck_assert_uint_eq(record.stamp_sequence,
                      kind == KIND_PUT_STAMPED ? sample.stamp_sequence : 77);
    ck_assert_int_eq(record.stamp_time, kind >= KIND_PUT_TIMED ? sample.stamp_time : 0);
    if (kind == KIND_DELETE) {
        ck_assert_uint_eq(record.attributes.size, 0);
        ck_assert_uint_eq(record.value.size, 0);
    } else {
        ck_assert(slice_equal(record.attributes, sample.attributes));
        ck_assert(slice_equal(record.value, sample.value));
    }
}
END_TEST

/* A value that stands apart is its reference, in 24 bytes. */
START_TEST(test_a_reference_has_these_bytes)
{
    static const uint8_t bytes[BLOB_REF_SIZE] = {
        0x02, 0x01, 0, 0, 0, 0, 0, 0, 0x3b, 0,    0,    0,
        0,    0,    0, 0, 5, 0, 0, 0, 0x13, 0xc3, 0xad, 0x90};
    const struct blob_ref ref = {0x0102, 59, 5, 0x90adc313, 0, 0};
    const uint8_t kind = KIND_PUT_TIMED | KIND_BLOB_BIT;
    struct lsmkv_record apart = sample, record;
    uint8_t out[BLOB_REF_SIZE], payload[64];
    struct blob_ref read;

    blob_ref_encode(out, &ref);
    ck_assert_mem_eq(out, bytes, sizeof(bytes));
    ck_assert_int_eq(blob_ref_decode(lsmkv_bytes(bytes, sizeof(bytes)), &read), 0);
    ck_assert_uint_eq(read.file, ref.file);
    ck_assert_uint_eq(read.offset, ref.offset);
    ck_assert_uint_eq(read.length, ref.length);
    ck_assert_uint_eq(read.checksum, ref.checksum);
    ck_assert_uint_eq(read.pages, 0);
    apart.value = lsmkv_bytes(out, sizeof(out));
    record_encode(payload, kind, &apart);
    ck_assert_uint_eq(record_payload_size(kind, &apart), 8 + 3 + BLOB_REF_SIZE);
    ck_assert_int_eq(
        record_decode(kind, 77, lsmkv_bytes(payload, 8 + 3 + BLOB_REF_SIZE), &record), 0);
    ck_assert(slice_equal(record.value, apart.value));
    ck_assert_int_eq(record.stamp_time, sample.stamp_time);
}
END_TEST

/* Of one in pages the length says so, and the reader how many there are. */
START_TEST(test_a_reference_to_pages_has_one_bit_more)
{
    static const uint32_t lengths[] = {1, 4096, 4097, 20000, LSMKV_VALUE_MAX};
    static const uint32_t pages[] = {1, 1, 2, 5, 4096};

    for (size_t i = 0; i < 5; i++) {
        const struct blob_ref ref = {7, 1u << 20, lengths[i], 9, pages[i], 0};
        uint8_t out[BLOB_REF_SIZE];
        struct blob_ref read;

        blob_ref_encode(out, &ref);
        ck_assert_uint_eq(out[19], 0x80 | lengths[i] >> 24);
        ck_assert_int_eq(blob_ref_decode(lsmkv_bytes(out, sizeof(out)), &read), 0);
        ck_assert_uint_eq(read.length, lengths[i]);
        ck_assert_uint_eq(read.pages, pages[i]);
    }
}
END_TEST

/* Of a packed one another bit, and how many bytes it has in the file. */
START_TEST(test_a_reference_to_a_packed_value_has_four_bytes_more)
{
    static const uint8_t bytes[BLOB_REF_SIZE_MAX] = {
        2, 0, 0, 0,    0,    0,    0, 0, 0x48, 0, 0,    0, 0, 0,
        0, 0, 0, 0x80, 0x00, 0x40, 9, 0, 0,    0, 0x21, 3, 0, 0};
    const struct blob_ref ref = {2, 0x48, 0x8000, 9, 0, 0x321};
    uint8_t out[BLOB_REF_SIZE_MAX];
    struct blob_ref read;

    ck_assert_uint_eq(blob_ref_encode(out, &ref), BLOB_REF_SIZE_MAX);
    ck_assert_mem_eq(out, bytes, sizeof(bytes));
    ck_assert_int_eq(blob_ref_decode(lsmkv_bytes(bytes, sizeof(bytes)), &read), 0);
    ck_assert_uint_eq(read.file, 2);
    ck_assert_uint_eq(read.offset, 0x48);
    ck_assert_uint_eq(read.length, 0x8000);
    ck_assert_uint_eq(read.checksum, 9);
    ck_assert_uint_eq(read.pages, 0);
    ck_assert_uint_eq(read.packed, 0x321);
    ck_assert_uint_eq(blob_table_size(&read), 16);
    ck_assert_uint_eq(blob_stored_size(&read), 0x321);
}
END_TEST

/* ---- what is refused ---- */

static int
decode(uint8_t kind, const void *bytes, size_t size)
{
    struct lsmkv_record untouched, record;
    int result;

    memset(&untouched, 0x5a, sizeof(untouched));
    record = untouched;
    result = record_decode(kind, 1, lsmkv_bytes(bytes, size), &record);
    if (result != 0)
        ck_assert_mem_eq(&record, &untouched, sizeof(record));
    return result;
}

START_TEST(test_damaged_payload_is_refused)
{
    static const uint8_t stamp_beyond[17] = {0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t cut[] = {3, 'a', 'b'};
    static const uint8_t overlong[] = {0x80, 0x00};
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 'a'};

    ck_assert_int_eq(decode(KIND_DELETE, "x", 1), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT, "", 0), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT, cut, sizeof(cut)), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT, overlong, sizeof(overlong)), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT, huge, sizeof(huge)), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT_TIMED, stamp_beyond, 8), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT_STAMPED, stamp_beyond, 16), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT_STAMPED, stamp_beyond, 17), -EUCLEAN);
    ck_assert_int_eq(decode(0x04, "\0", 1), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT | KIND_BLOB_BIT, "\0", 1), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT, "\0", 1), 0);
}
END_TEST

START_TEST(test_an_impossible_reference_is_refused)
{
    static const struct blob_ref refs[] = {
        {1, 1, 0, 0, 0, 0},                       /* an empty value stands with its key */
        {1, 1, LSMKV_VALUE_MAX + 1, 0, 0, 0},     /* too long */
        {1, UINT64_MAX - 3, 4, 0, 0, 0},          /* past what a file can be */
        {1, (uint64_t)INT64_MAX - 4, 4, 0, 0, 0}, /* just possible */
        {1, 7, 4097, 0, 2, 0}, /* no place for the checksums of its pages */
        {1, 8, 4097, 0, 2, 0},
    };
    uint8_t payload[1 + BLOB_REF_SIZE_MAX] = {0};

    for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        blob_ref_encode(payload + 1, &refs[i]);
        ck_assert_int_eq(decode(KIND_PUT | KIND_BLOB_BIT, payload, 1 + BLOB_REF_SIZE),
                         i == 3 || i == 5 ? 0 : -EUCLEAN);
        ck_assert_int_eq(decode(KIND_PUT | KIND_BLOB_BIT, payload, BLOB_REF_SIZE),
                         -EUCLEAN);
        ck_assert_int_eq(decode(KIND_PUT | KIND_BLOB_BIT, payload, 2 + BLOB_REF_SIZE),
                         -EUCLEAN);
        ck_assert_int_eq(decode(KIND_PUT | KIND_BLOB_BIT, payload, sizeof(payload)),
                         -EUCLEAN);
    }
}
END_TEST

START_TEST(test_an_impossible_packed_reference_is_refused)
{
    static const struct blob_ref refs[] = {
        {1, 100, 1000, 0, 0, 1000},                    /* nothing was won */
        {1, 100, 1000, 0, 0, 999},                     /* just possible */
        {1, 100, 4 * BLOB_UNIT_SIZE, 0, 0, 3},         /* of four units one is empty */
        {1, 100, 4 * BLOB_UNIT_SIZE, 0, 0, 4},         /* just possible */
        {1, 31, 4 * BLOB_UNIT_SIZE, 0, 0, 4},          /* no place for its table */
        {1, 32, 4 * BLOB_UNIT_SIZE, 0, 0, 4},          /* just */
        {1, 1 << 20, LSMKV_VALUE_MAX + 1, 0, 0, 5000}, /* too long */
    };
    uint8_t bytes[BLOB_REF_SIZE_MAX + 1] = {0};
    struct blob_ref read;

    for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        const size_t size = blob_ref_encode(bytes, &refs[i]);
        const bool possible = i == 1 || i == 3 || i == 5;

        ck_assert_int_eq(blob_ref_decode(lsmkv_bytes(bytes, size), &read),
                         possible ? 0 : -EUCLEAN);
        ck_assert_int_eq(blob_ref_decode(lsmkv_bytes(bytes, size - 4), &read), -EUCLEAN);
        ck_assert_int_eq(blob_ref_decode(lsmkv_bytes(bytes, size + 1), &read), -EUCLEAN);
    }
    blob_ref_encode(bytes, &refs[1]);
    bytes[19] |= 0x80; /* in pages, too */
    ck_assert_int_eq(blob_ref_decode(lsmkv_bytes(bytes, BLOB_REF_SIZE_MAX), &read),
                     -EUCLEAN);
}
END_TEST

START_TEST(test_limits_hold_to_the_byte)
{
    static uint8_t bytes[LSMKV_VALUE_MAX + 2];
    static uint8_t attributes[3 + LSMKV_ATTRIBUTES_MAX + 1] = {0xff, 0xff, 0x03};

    ck_assert_int_eq(decode(KIND_PUT, bytes, 1 + LSMKV_VALUE_MAX), 0);
    ck_assert_int_eq(decode(KIND_PUT, bytes, 2 + LSMKV_VALUE_MAX), -EUCLEAN);
    ck_assert_int_eq(decode(KIND_PUT, attributes, 3 + LSMKV_ATTRIBUTES_MAX), 0);
    attributes[0] = attributes[1] = 0x80; /* 65,536 */
    attributes[2] = 0x04;
    ck_assert_int_eq(decode(KIND_PUT, attributes, sizeof(attributes)), -EUCLEAN);
}
END_TEST

START_TEST(test_random_bytes_never_read_past_the_end)
{
    struct random random = random_of(random_seed());
    uint8_t bytes[40];
    int i;

    for (i = 0; i < 100000; i++) {
        size_t size = (size_t)random_below(&random, sizeof(bytes) + 1);
        struct lsmkv_record record;
        size_t j;

        for (j = 0; j < size; j++)
            bytes[j] = (uint8_t)random_below(&random, 32);
        if (record_decode((uint8_t)random_below(&random, 5), 1, lsmkv_bytes(bytes, size),
                          &record) != 0)
            continue;
        if (record.attributes.size + record.value.size > size)
            ck_abort_msg("payload %d", i);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("record");
    TCase *tests = tcase_create("all");
    int kinds = (int)(sizeof(golden) / sizeof(golden[0]));

    tcase_add_loop_test(tests, test_payload_has_these_bytes, 0, kinds);
    tcase_add_loop_test(tests, test_decoding_gives_the_stamp_of_its_kind, 0, kinds);
    tcase_add_test(tests, test_damaged_payload_is_refused);
    tcase_add_test(tests, test_limits_hold_to_the_byte);
    tcase_add_test(tests, test_a_reference_has_these_bytes);
    tcase_add_test(tests, test_a_reference_to_pages_has_one_bit_more);
    tcase_add_test(tests, test_a_reference_to_a_packed_value_has_four_bytes_more);
    tcase_add_test(tests, test_an_impossible_reference_is_refused);
    tcase_add_test(tests, test_an_impossible_packed_reference_is_refused);
    tcase_add_test(tests, test_random_bytes_never_read_past_the_end);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
