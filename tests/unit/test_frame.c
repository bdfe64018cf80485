/*
 * test_frame.c - the bytes of a frame.
 *
 * The golden checksums were computed by another implementation of CRC32C, bit by bit.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/frame.h"
#include "log/wal.h"
#include "support/mem_env.h"
#include "support/suite.h"

#define NUMBER 7u

/* clang-format off: the columns are the point. */
static const uint8_t golden[] = {
    /* the first frame, at 0 */
    0xbe,
    0x4f,
    0xa5,
    0x7d, /* checksum */
    32,
    0,
    0,
    0, /* length */
    1, /* type */
    0,
    0,
    0,
    0,
    0,
    0,
    0, /* first_seq */
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0, /* synced */
    1,
    0,
    0,
    0, /* version */
    3,
    0,
    0,
    0, /* features */
    6,
    0,
    0,
    0,
    0,
    0,
    0,
    0, /* previous */
    0,
    0x10,
    0,
    0,
    0,
    0,
    0,
    0, /* its end */
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0, /* earlier */
    /* a batch, at 56 */
    0x12,
    0x8a,
    0x9d,
    0x90,
    16,
    0,
    0,
    0,
    2,
    7,
    6,
    5,
    4,
    3,
    2,
    1,
    56,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0x88,
    0x77,
    0x66,
    0x55,
    0x44,
    0x33,
    0x22,
    0x11,
    1,
    0,
    0,
    0,
    0,
    0,
    1,
    'k',
    /* a batch of 18 bytes with padding, at 96 */
    0x82,
    0xfd,
    0x5a,
    0x1f,
    18,
    0,
    0,
    0,
    2,
    8,
    6,
    5,
    4,
    3,
    2,
    1,
    56,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0x88,
    0x77,
    0x66,
    0x55,
    0x44,
    0x33,
    0x22,
    0x11,
    1,
    0,
    0,
    0,
    0,
    0,
    3,
    'k',
    'e',
    'y',
    0,
    0,
    0,
    0,
    0,
    0,
};
/* clang-format on */

START_TEST(test_frame_bytes_are_golden)
{
    struct mem_env *env = mem_env_new();
    const struct wal_previous previous = {6, 4096};
    struct wal_append frames[2] = {
        {0x01020304050607, lsmkv_bytes(golden + 80, 16)},
        {0x01020304050608, lsmkv_bytes(golden + 120, 18)},
    };
    uint8_t bytes[sizeof(golden) + 1];
    struct reporter reporter;
    struct wal_writer *writer;
    struct env_dir *dir;
    struct env_file *file;

    reporter_init(&reporter, NULL, NULL);
    ck_assert_int_eq(env_dir_open(mem_env_base(env), "store", true, &dir), 0);
    ck_assert_int_eq(wal_create(dir, NUMBER, &previous, &reporter, &writer), 0);
    ck_assert_int_eq(wal_append(writer, frames, 2), 0);
    ck_assert_int_eq(wal_close(writer), 0);
    ck_assert_int_eq(env_file_open(dir, "000007.log", ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_read(file, 0, bytes, sizeof(bytes)), sizeof(golden));
    ck_assert_mem_eq(bytes, golden, sizeof(golden));
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
    reporter_fini(&reporter);
    mem_env_free(env);
}
END_TEST

START_TEST(test_header_fields_come_back)
{
    struct frame_header header;
    uint8_t bytes[FRAME_HEADER_SIZE];

    frame_header_decode(golden + 56, &header);
    ck_assert_uint_eq(header.checksum, 0x909d8a12);
    ck_assert_uint_eq(header.length, 16);
    ck_assert_uint_eq(header.type, WAL_FRAME_BATCH);
    ck_assert_uint_eq(header.first_sequence, 0x01020304050607);
    ck_assert_uint_eq(header.synced, 56);
    frame_header_encode(bytes, &header);
    ck_assert_mem_eq(bytes, golden + 56, sizeof(bytes));
}
END_TEST

static uint32_t
checksum_at(uint64_t number, uint64_t offset)
{
    return crc32c(crc32c_seed(number, offset), golden + 60, 36);
}

START_TEST(test_a_frame_is_foreign_in_another_log_and_elsewhere)
{
    ck_assert_uint_eq(checksum_at(NUMBER, 56), 0x909d8a12);
    ck_assert_uint_ne(checksum_at(NUMBER + 1, 56), 0x909d8a12);
    ck_assert_uint_ne(checksum_at(NUMBER, 64), 0x909d8a12);
    ck_assert_uint_ne(checksum_at(56, NUMBER), 0x909d8a12);
}
END_TEST

START_TEST(test_sizes_are_padded_to_the_alignment)
{
    uint32_t length;

    for (length = 0; length < 3 * FRAME_ALIGNMENT; length++) {
        ck_assert_uint_eq(frame_size(length) % FRAME_ALIGNMENT, 0);
        ck_assert_uint_ge(frame_size(length), FRAME_HEADER_SIZE + length);
        ck_assert_uint_lt(frame_size(length),
                          FRAME_HEADER_SIZE + length + FRAME_ALIGNMENT);
    }
    ck_assert_uint_eq(frame_size(UINT32_MAX), (UINT64_C(1) << 32) + FRAME_HEADER_SIZE);
}
END_TEST

START_TEST(test_first_frame_is_refused_unless_wholly_known)
{
    struct frame_first first;
    const struct frame_first known = {FRAME_VERSION, 0, 6, 4096};
    uint8_t bytes[FRAME_FIRST_SIZE + 1] = {0};

    frame_first_encode(bytes, &known);
    ck_assert_int_eq(frame_first_decode(lsmkv_bytes(bytes, FRAME_FIRST_SIZE), &first), 0);
    ck_assert_uint_eq(first.previous, 6);
    ck_assert_uint_eq(first.end, 4096);
    ck_assert_int_eq(frame_first_decode(lsmkv_bytes(bytes, FRAME_FIRST_SIZE - 1), &first),
                     -EUCLEAN);
    ck_assert_int_eq(frame_first_decode(lsmkv_bytes(bytes, FRAME_FIRST_SIZE + 1), &first),
                     -EUCLEAN);
    bytes[0]++;
    ck_assert_int_eq(frame_first_decode(lsmkv_bytes(bytes, FRAME_FIRST_SIZE), &first),
                     -EUCLEAN);
    bytes[0]--;
    bytes[24] = 1;
    ck_assert_int_eq(frame_first_decode(lsmkv_bytes(bytes, FRAME_FIRST_SIZE), &first),
                     -EUCLEAN);
    bytes[24] = 0;
    bytes[6] = 1;
    ck_assert_int_eq(frame_first_decode(lsmkv_bytes(bytes, FRAME_FIRST_SIZE), &first),
                     -EUCLEAN);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("frame");
    TCase *tests = tcase_create("frame");

    tcase_add_test(tests, test_frame_bytes_are_golden);
    tcase_add_test(tests, test_header_fields_come_back);
    tcase_add_test(tests, test_a_frame_is_foreign_in_another_log_and_elsewhere);
    tcase_add_test(tests, test_sizes_are_padded_to_the_alignment);
    tcase_add_test(tests, test_first_frame_is_refused_unless_wholly_known);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
