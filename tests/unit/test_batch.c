/* test_batch.c - the entries of a batch: their bytes, limits, and hostile bytes. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "base/record.h"
#include "log/batch.h"
#include "lsmkv.h"
#include "support/random.h"
#include "support/suite.h"

static struct lsmkv_batch batch;

static void
setup(void)
{
    batch_init(&batch);
}

static void
teardown(void)
{
    batch_fini(&batch);
}

static struct lsmkv_record
record_of(const char *attributes, const char *value)
{
    struct lsmkv_record record = {
        .attributes = lsmkv_str(attributes),
        .value = lsmkv_str(value),
        .stamp_sequence = 0x0102030405060708 & SEQUENCE_MAX,
        .stamp_time = -2,
    };

    return record;
}

static void
add(uint32_t keyspace, uint8_t kind, const char *key, const char *value)
{
    struct lsmkv_record record = record_of("at", value);

    ck_assert_int_eq(batch_add(&batch, keyspace, kind, lsmkv_str(key),
                               kind == KIND_DELETE ? NULL : &record),
                     0);
}

static void
add_four(void)
{
    add(0, KIND_DELETE, "gone", "");
    add(1, KIND_PUT, "k", "value");
    add(300, KIND_PUT_TIMED, "", "");
    add(2, KIND_PUT_STAMPED, "moved", "v");
    batch_set_time(&batch, 0x1122334455667788);
}

/* What the file's head says, byte by byte. */
/* clang-format off: the columns are the point. */
static const uint8_t golden[] = {
    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* time */
    4,    0,    0,    0,                            /* count */
    0x00, 0,    4,    'g',  'o',  'n',  'e',        /* a tombstone */
    0x01, 1,    1,    'k',  2,    'a',  't',  5,    'v', 'a', 'l',
    'u',  'e',  0x02, 0xac, 0x02, 0,    2,    'a',  't', 0, /* keyspace 300, empty key and value */
    0x03, 2,    5,    'm',  'o',  'v',  'e',  'd',  8,   7,   6,
    5,    4,    3,    2,    0,                      /* the stamp's sequence */
    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* and time */
    2,    'a',  't',  1,    'v',
};
/* clang-format on */

START_TEST(test_batch_bytes_are_golden)
{
    struct lsmkv_slice encoded;

    add_four();
    encoded = batch_slice(&batch);
    ck_assert_uint_eq(encoded.size, sizeof(golden));
    ck_assert_mem_eq(encoded.data, golden, sizeof(golden));
}
END_TEST

static void
expect_string(struct lsmkv_slice slice, const char *expected)
{
    ck_assert_uint_eq(slice.size, strlen(expected));
    ck_assert(slice.size == 0 || memcmp(slice.data, expected, slice.size) == 0);
}

START_TEST(test_entries_come_back_with_their_sequences_and_stamps)
{
    struct batch_reader reader;
    struct batch_entry entry;

    ck_assert_int_eq(batch_read(&reader, lsmkv_bytes(golden, sizeof(golden)), 100), 0);

    ck_assert_int_eq(batch_next(&reader, &entry), 1);
    ck_assert_uint_eq(entry.kind, KIND_DELETE);
    ck_assert_uint_eq(entry.sequence, 100);
    expect_string(entry.key, "gone");
    expect_string(entry.record.value, "");

    ck_assert_int_eq(batch_next(&reader, &entry), 1);
    ck_assert_uint_eq(entry.keyspace, 1);
    expect_string(entry.key, "k");
    expect_string(entry.record.attributes, "at");
    expect_string(entry.record.value, "value");
    ck_assert_uint_eq(entry.record.sequence, 101);
    ck_assert_uint_eq(entry.record.stamp_sequence, 101);
    ck_assert_int_eq(entry.record.stamp_time, 0);

    ck_assert_int_eq(batch_next(&reader, &entry), 1);
    ck_assert_uint_eq(entry.keyspace, 300);
    ck_assert_uint_eq(entry.record.stamp_sequence, 102);
    ck_assert_int_eq(entry.record.stamp_time, 0x1122334455667788);

    ck_assert_int_eq(batch_next(&reader, &entry), 1);
    ck_assert_uint_eq(entry.sequence, 103);
    ck_assert_uint_eq(entry.record.sequence, 103);
    ck_assert_uint_eq(entry.record.stamp_sequence, 0x02030405060708);
    ck_assert_int_eq(entry.record.stamp_time, -2);
    expect_string(entry.record.value, "v");

    ck_assert_int_eq(batch_next(&reader, &entry), 0);
}
END_TEST

/* Of a value that stands apart a batch has the reference, which is golden in test_record. */
static const struct blob_ref reference = {7, 32, 5000, 0x01020304, 0, 0};

static void
add_apart(uint8_t kind, const char *key)
{
    struct lsmkv_record record = record_of("at", "");
    uint8_t bytes[BLOB_REF_SIZE];

    blob_ref_encode(bytes, &reference);
    record.value = lsmkv_bytes(bytes, sizeof(bytes));
    ck_assert_int_eq(batch_add(&batch, 1, kind | KIND_BLOB_BIT, lsmkv_str(key), &record),
                     0);
}

START_TEST(test_a_value_that_stands_apart_is_its_reference)
{
    static const uint8_t head[] = {0x11, 1, 1, 'k', 2, 'a', 't', BLOB_REF_SIZE};
    struct batch_reader reader;
    struct batch_entry entry;
    struct blob_ref back;

    add_apart(KIND_PUT, "k");
    add_apart(KIND_PUT_TIMED, "t");
    add_apart(KIND_PUT_STAMPED, "s");
    batch_set_time(&batch, 77);
    ck_assert_mem_eq(batch.data + BATCH_HEADER_SIZE, head, sizeof(head));
    ck_assert_int_eq(batch_read(&reader, batch_slice(&batch), 5), 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(batch_next(&reader, &entry), 1);
        ck_assert(kind_is_apart(entry.kind));
        ck_assert_int_eq(blob_ref_decode(entry.record.value, &back), 0);
        ck_assert_uint_eq(back.offset, reference.offset);
        ck_assert_uint_eq(back.checksum, reference.checksum);
        ck_assert_int_eq(entry.record.stamp_time, i == 0 ? 0 : i == 1 ? 77 : -2);
    }
    ck_assert_int_eq(batch_next(&reader, &entry), 0);
}
END_TEST

/* The bit with a tombstone, and a reference that is none, of another size or length. */
START_TEST(test_what_is_no_reference_is_refused)
{
    const size_t at = BATCH_HEADER_SIZE + 7;
    uint8_t bytes[128];
    size_t size;

    add_apart(KIND_PUT, "k");
    size = batch.size;
    memcpy(bytes, batch.data, size);
    ck_assert_int_eq(batch_verify(lsmkv_bytes(bytes, size)), 0);
    for (size_t cut = 0; cut < size; cut++)
        ck_assert_int_eq(batch_verify(lsmkv_bytes(bytes, cut)), -EUCLEAN);
    bytes[BATCH_HEADER_SIZE] = KIND_DELETE | KIND_BLOB_BIT;
    ck_assert_int_eq(batch_verify(lsmkv_bytes(bytes, size)), -EUCLEAN);
    memcpy(bytes, batch.data, size);
    bytes[at] = BLOB_REF_SIZE - 1;
    ck_assert_int_eq(batch_verify(lsmkv_bytes(bytes, size - 1)), -EUCLEAN);
    memcpy(bytes, batch.data, size);
    memset(bytes + at + 1 + 16, 0, 4); /* its length */
    ck_assert_int_eq(batch_verify(lsmkv_bytes(bytes, size)), -EUCLEAN);
}
END_TEST

START_TEST(test_a_batch_knows_its_largest_value)
{
    struct lsmkv_batch other;

    add(0, KIND_PUT, "a", "12345");
    add(0, KIND_PUT, "b", "123");
    add(0, KIND_DELETE, "c", "");
    ck_assert_uint_eq(batch.largest, 5);
    batch_init(&other);
    ck_assert_int_eq(batch_append(&other, &batch), 0);
    ck_assert_uint_eq(other.largest, 5);
    batch_clear(&other);
    ck_assert_uint_eq(other.largest, 0);
    batch_fini(&other);
}
END_TEST

START_TEST(test_an_empty_batch_has_a_header)
{
    struct lsmkv_slice encoded = batch_slice(&batch);

    ck_assert_uint_eq(encoded.size, BATCH_HEADER_SIZE);
    ck_assert_int_eq(batch_verify(encoded), 0);
    add_four();
    batch_clear(&batch);
    encoded = batch_slice(&batch);
    ck_assert_uint_eq(encoded.size, BATCH_HEADER_SIZE);
    ck_assert_int_eq(batch_verify(encoded), 0);
}
END_TEST

START_TEST(test_append_joins_entries_and_counts_even_its_own)
{
    struct lsmkv_batch other;

    batch_init(&other);
    add_four();
    ck_assert_int_eq(batch_append(&other, &batch), 0);
    ck_assert_int_eq(batch_append(&other, &batch), 0);
    ck_assert_int_eq(batch_append(&other, &other), 0);
    ck_assert_uint_eq(other.count, 16);
    ck_assert_uint_eq(other.size,
                      BATCH_HEADER_SIZE + 4 * (sizeof(golden) - BATCH_HEADER_SIZE));
    ck_assert_int_eq(batch_verify(batch_slice(&other)), 0);
    batch_clear(&batch);
    ck_assert_int_eq(batch_append(&other, &batch), 0);
    ck_assert_uint_eq(other.count, 16);
    batch_fini(&other);
}
END_TEST

START_TEST(test_limits_are_held_to_the_byte_and_leave_the_batch_as_it_was)
{
    static const uint8_t bytes[LSMKV_VALUE_MAX + 1];
    struct lsmkv_record record = {.value = lsmkv_bytes(bytes, LSMKV_VALUE_MAX)};
    struct lsmkv_slice key = lsmkv_bytes(bytes, LSMKV_KEY_MAX);
    size_t before;

    record.attributes = lsmkv_bytes(bytes, LSMKV_ATTRIBUTES_MAX);
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, key, &record), 0);
    before = batch.size;

    key.size++;
    ck_assert_int_eq(batch_add(&batch, 0, KIND_DELETE, key, NULL), -E2BIG);
    key.size = 0;
    record.attributes.size++;
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, key, &record), -E2BIG);
    record.attributes.size = 0;
    record.value.size++;
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, key, &record), -E2BIG);

    ck_assert_uint_eq(batch.count, 1);
    ck_assert_uint_eq(batch.size, before);
    ck_assert_int_eq(batch_verify(batch_slice(&batch)), 0);
}
END_TEST

START_TEST(test_a_batch_holds_its_maximum_and_not_a_byte_more)
{
    static const uint8_t bytes[LSMKV_VALUE_MAX];
    /* kind, keyspace, key's length, attributes' length, value's length of 2 bytes */
    const size_t overhead = 1 + 1 + 1 + 1 + 2;
    struct lsmkv_record record = {.value = lsmkv_bytes(bytes, LSMKV_VALUE_MAX)};
    struct lsmkv_slice none = lsmkv_bytes(NULL, 0);
    struct lsmkv_batch one;
    size_t left;

    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, none, &record), 0);
    record.value.size -= 200;
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, none, &record), 0);
    left = LSMKV_BATCH_MAX - batch.size;
    record.value.size = left - overhead + 1;
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, none, &record), -E2BIG);
    record.value.size--;
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, none, &record), 0);
    ck_assert_uint_eq(batch_slice(&batch).size, LSMKV_BATCH_MAX);
    ck_assert_int_eq(batch_verify(batch_slice(&batch)), 0);

    batch_init(&one);
    ck_assert_int_eq(batch_add(&one, 0, KIND_DELETE, none, NULL), 0);
    ck_assert_int_eq(batch_append(&batch, &one), -E2BIG);
    ck_assert_uint_eq(batch.count, 3);
    batch_fini(&one);
}
END_TEST

/* In a block of exactly its size, so that the sanitizer sees a byte read beyond it. */
static int
verify_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    int result;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    result = batch_verify(lsmkv_bytes(copy, size));
    free(copy);
    return result;
}

START_TEST(test_every_truncation_and_any_extra_byte_is_refused)
{
    uint8_t longer[sizeof(golden) + 1] = {0};
    size_t size;

    for (size = 0; size < sizeof(golden); size++)
        ck_assert_int_eq(verify_copy(golden, size), -EUCLEAN);
    ck_assert_int_eq(verify_copy(golden, sizeof(golden)), 0);
    memcpy(longer, golden, sizeof(golden));
    ck_assert_int_eq(verify_copy(longer, sizeof(longer)), -EUCLEAN);
}
END_TEST

static int
verify_patched(size_t offset, const uint8_t *patch, size_t size)
{
    uint8_t bytes[sizeof(golden)];

    memcpy(bytes, golden, sizeof(golden));
    memcpy(bytes + offset, patch, size);
    return verify_copy(bytes, sizeof(bytes));
}

START_TEST(test_hostile_fields_are_refused)
{
    static const uint8_t count_one_more[] = {5}, count_huge[] = {0xff, 0xff, 0xff, 0xff};
    static const uint8_t kind_unknown[] = {0x04}, kind_blob[] = {0x11};
    static const uint8_t length_huge[] = {0xff, 0xff, 0xff, 0xff, 0x0f};
    static const uint8_t overlong[] = {0x84, 0x00};
    static const uint8_t sequence_huge[] = {0, 0, 0, 0, 0, 0, 0, 1};
    const size_t stamp = sizeof(golden) - 5 - 16;

    ck_assert_int_eq(verify_patched(8, count_one_more, 1), -EUCLEAN);
    ck_assert_int_eq(verify_patched(8, count_huge, 4), -EUCLEAN);
    ck_assert_int_eq(verify_patched(12, kind_unknown, 1), -EUCLEAN);
    ck_assert_int_eq(verify_patched(19, kind_blob, 1), -EUCLEAN);
    ck_assert_int_eq(verify_patched(14, length_huge, 5), -EUCLEAN);
    ck_assert_int_eq(verify_patched(14, overlong, 2), -EUCLEAN);
    ck_assert_int_eq(verify_patched(stamp, sequence_huge, 8), -EUCLEAN);
}
END_TEST

/* A batch of one put, with lengths of its own and all the bytes that they ask for. */
static int
verify_lengths(size_t key, size_t attributes, size_t value)
{
    uint8_t *bytes = calloc(1, BATCH_HEADER_SIZE + 32 + key + attributes + value), *end;
    int result;

    ck_assert_ptr_nonnull(bytes);
    bytes[8] = 1; /* entry */
    bytes[BATCH_HEADER_SIZE] = KIND_PUT;
    end = put_varint(bytes + BATCH_HEADER_SIZE + 2, key) + key;
    end = put_varint(end, attributes) + attributes;
    end = put_varint(end, value) + value;
    result = batch_verify(lsmkv_bytes(bytes, (size_t)(end - bytes)));
    free(bytes);
    return result;
}

/* Found by a mutant: replayed from a log, a key longer than a table takes would fail every
 * flush from then on. */
START_TEST(test_lengths_that_no_table_takes_are_refused)
{
    ck_assert_int_eq(verify_lengths(LSMKV_KEY_MAX, 0, 0), 0);
    ck_assert_int_eq(verify_lengths(LSMKV_KEY_MAX + 1, 0, 0), -EUCLEAN);
    ck_assert_int_eq(verify_lengths(1, LSMKV_ATTRIBUTES_MAX, 0), 0);
    ck_assert_int_eq(verify_lengths(1, LSMKV_ATTRIBUTES_MAX + 1, 0), -EUCLEAN);
    ck_assert_int_eq(verify_lengths(1, 0, LSMKV_VALUE_MAX), 0);
    ck_assert_int_eq(verify_lengths(1, 0, LSMKV_VALUE_MAX + 1), -EUCLEAN);
}
END_TEST

/* The sanitizers watch; without them, a valid result must be a whole one. */
START_TEST(test_random_bytes_never_read_past_their_end)
{
    struct random random = random_of(random_seed());
    uint8_t bytes[sizeof(golden)];
    int i;

    for (i = 0; i < 20000; i++) {
        size_t size = (size_t)random_below(&random, sizeof(golden) + 1);
        unsigned changes = (unsigned)random_below(&random, 4);

        memcpy(bytes, golden, sizeof(golden));
        while (changes-- > 0)
            bytes[random_below(&random, sizeof(bytes))] = (uint8_t)random_next(&random);
        ck_assert_int_le(verify_copy(bytes, size), 0);
    }
}
END_TEST

START_TEST(test_a_count_that_cannot_be_is_refused_at_once)
{
    uint8_t bytes[BATCH_HEADER_SIZE + 6] = {[8] = 3};
    struct batch_reader reader;

    ck_assert_int_eq(batch_read(&reader, lsmkv_bytes(bytes, sizeof(bytes)), 1), -EUCLEAN);
    bytes[8] = 2;
    ck_assert_int_eq(batch_read(&reader, lsmkv_bytes(bytes, sizeof(bytes)), 1), 0);
    ck_assert_uint_eq(reader.left, 2);
}
END_TEST

START_TEST(test_sequences_end_at_their_maximum)
{
    struct batch_reader reader;
    struct lsmkv_slice encoded = lsmkv_bytes(golden, sizeof(golden));

    ck_assert_int_eq(batch_read(&reader, encoded, SEQUENCE_MAX - 4), 0);
    ck_assert_int_eq(batch_read(&reader, encoded, SEQUENCE_MAX - 3), -EUCLEAN);
    ck_assert_int_eq(batch_read(&reader, encoded, UINT64_MAX), -EUCLEAN);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("batch");
    TCase *tests = tcase_create("batch");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_batch_bytes_are_golden);
    tcase_add_test(tests, test_entries_come_back_with_their_sequences_and_stamps);
    tcase_add_test(tests, test_a_value_that_stands_apart_is_its_reference);
    tcase_add_test(tests, test_what_is_no_reference_is_refused);
    tcase_add_test(tests, test_a_batch_knows_its_largest_value);
    tcase_add_test(tests, test_an_empty_batch_has_a_header);
    tcase_add_test(tests, test_append_joins_entries_and_counts_even_its_own);
    tcase_add_test(tests, test_limits_are_held_to_the_byte_and_leave_the_batch_as_it_was);
    tcase_add_test(tests, test_a_batch_holds_its_maximum_and_not_a_byte_more);
    tcase_add_test(tests, test_every_truncation_and_any_extra_byte_is_refused);
    tcase_add_test(tests, test_hostile_fields_are_refused);
    tcase_add_test(tests, test_lengths_that_no_table_takes_are_refused);
    tcase_add_test(tests, test_random_bytes_never_read_past_their_end);
    tcase_add_test(tests, test_a_count_that_cannot_be_is_refused_at_once);
    tcase_add_test(tests, test_sequences_end_at_their_maximum);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
