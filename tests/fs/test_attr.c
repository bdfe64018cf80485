/* test_attr.c - the attributes codec: its bytes, hostile ones, and what values look like. */
#include <errno.h>

#include "store/attr.h"
#include "store_fixture.h"

static const struct attr_defaults defaults = {7, 8, 0640, 0750};

static struct lsmkv_record
record_of(const void *attributes, size_t size, size_t value_size)
{
    struct lsmkv_record record = {
        .attributes = lsmkv_bytes(attributes, size),
        .value = lsmkv_bytes(NULL, value_size),
        .stamp_sequence = 42,
        .stamp_time = -1,
    };

    return record;
}

static struct attr
sample(void)
{
    struct attr attr;

    attr_init(&attr, S_IFREG | 0644, 0x11, 0x22, 0x0102030405060708,
              (struct timespec){0x33, 0x44});
    attr.atime.tv_sec = -1;
    attr.data = (struct attr_data){ATTR_CHUNKS, 0x55, 0x66, 0x77};
    attr.nlink = 3;
    attr.rdev = 0x88;
    attr.xattr_records = true;
    attr.xattrs = lsmkv_bytes("\1\2\0nvv", 6);
    attr.value_attributes = lsmkv_str("old");
    return attr;
}

/* clang-format off: the columns are the point. */
static const uint8_t golden[] = {
    0xF5, 1,    2,    0x3D,                      /* mark, version, chunks, flags */
    0xA4, 0x81, 0,    0,                         /* mode */
    8,    7,    6,    5,    4,    3,    2,    1, /* ino */
    0x11, 0,    0,    0,    0x22, 0,    0,    0, /* uid, gid */
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x44, 0, 0, 0, /* atime */
    0x33, 0,    0,    0,    0,    0,    0,    0,    0x44, 0, 0, 0, /* mtime */
    0x33, 0,    0,    0,    0,    0,    0,    0,    0x44, 0, 0, 0, /* ctime */
    0x33, 0,    0,    0,    0,    0,    0,    0,    0x44, 0, 0, 0, /* btime */
    0x55, 0,    0,    0,    0,    0,    0,    0,                   /* size */
    0x66, 0,    0,    0,    0,    0,    0,    0,                   /* data id */
    0x77, 0,    0,    0,    0,    0,    0,    0,                   /* chunks */
    3,    0,    0,    0,                                           /* links */
    0x88, 0,    0,    0,    0,    0,    0,    0,                   /* rdev */
    6,    0,    1,    2,    0,    'n',  'v',  'v', /* extended attributes */
    3,    0,    'o',  'l',  'd',                   /* attributes that were here before */
};
/* clang-format on */

static void
expect_same(const struct attr *a, const struct attr *b)
{
    uint8_t left[ATTR_BUFFER], right[ATTR_BUFFER];
    size_t size = attr_encode(a, left);

    ck_assert_uint_eq(attr_encode(b, right), size);
    ck_assert_mem_eq(left, right, size);
}

START_TEST(test_attributes_are_golden_and_come_back)
{
    struct attr attr = sample(), back;
    struct lsmkv_record record = record_of(golden, sizeof golden, 0);
    uint8_t bytes[ATTR_BUFFER];

    ck_assert_uint_eq(attr_encoded_size(&attr), sizeof golden);
    ck_assert_uint_eq(attr_encode(&attr, bytes), sizeof golden);
    ck_assert_mem_eq(bytes, golden, sizeof golden);
    ck_assert_int_eq(attr_decode(&record, &defaults, &back), 0);
    expect_same(&attr, &back);
    ck_assert_int_eq(back.atime.tv_sec, -1);
    ck_assert_uint_eq(back.data.id, 0x66);
    ck_assert(!back.plain);
}
END_TEST

START_TEST(test_a_reference_says_type_and_number_alone)
{
    static const uint8_t bytes[] = {0xF5, 1, 3, 0, 0, 0x80, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
    struct attr attr = sample(), back;
    struct lsmkv_record record = record_of(bytes, sizeof bytes, 0);
    uint8_t out[ATTR_BUFFER];

    attr.data.kind = ATTR_REFERENCE;
    ck_assert_uint_eq(attr_encoded_size(&attr), sizeof bytes);
    ck_assert_uint_eq(attr_encode(&attr, out), sizeof bytes);
    ck_assert_mem_eq(out, bytes, sizeof bytes);
    ck_assert_int_eq(attr_decode(&record, &defaults, &back), 0);
    ck_assert(back.data.kind == ATTR_REFERENCE && back.mode == S_IFREG);
    /* Found by fuzzing: what was set on such a directory was not there afterwards. */
    attr.mode = S_IFDIR;
    ck_assert_uint_eq(attr_encode(&attr, out), sizeof bytes);
    record = record_of(out, sizeof bytes, 0);
    ck_assert_int_eq(attr_decode(&record, &defaults, &back), -EUCLEAN);
}
END_TEST

START_TEST(test_a_fresh_small_file_takes_72_bytes)
{
    struct attr attr, back;
    uint8_t bytes[ATTR_BUFFER];

    attr_init(&attr, S_IFREG | 0600, 0, 0, 99, (struct timespec){1, 2});
    ck_assert_uint_eq(attr_encode(&attr, bytes), 72);
    struct lsmkv_record record = record_of(bytes, 72, 1234);
    ck_assert_int_eq(attr_decode(&record, &defaults, &back), 0);
    ck_assert(back.data.kind == ATTR_INLINE && back.data.size == 1234);
    ck_assert_uint_eq(attr_nlink(&back), 1);
}
END_TEST

START_TEST(test_every_truncation_and_any_extra_byte_is_refused)
{
    uint8_t bytes[sizeof golden + 1] = {0};
    struct attr attr;

    memcpy(bytes, golden, sizeof golden);
    for (size_t size = 1; size <= sizeof bytes; size++) {
        struct lsmkv_record record = record_of(bytes, size, 0);
        int expected = size == sizeof golden ? 0 : -EUCLEAN;
        ck_assert_int_eq(attr_decode(&record, &defaults, &attr), expected);
    }
}
END_TEST

static void
expect_refused(size_t offset, uint8_t byte)
{
    uint8_t bytes[sizeof golden];
    struct attr attr;

    memcpy(bytes, golden, sizeof golden);
    bytes[offset] = byte;
    struct lsmkv_record record = record_of(bytes, sizeof bytes, 0);
    ck_assert_msg(attr_decode(&record, &defaults, &attr) == -EUCLEAN, "%zu", offset);
}

START_TEST(test_hostile_fields_are_refused)
{
    expect_refused(1, 2);     /* a newer version */
    expect_refused(2, 0);     /* kind */
    expect_refused(2, 4);     /* kind */
    expect_refused(3, 0xBD);  /* an unknown flag */
    expect_refused(5, 0x01);  /* no type of file */
    expect_refused(35, 0xFF); /* nanoseconds */
    expect_refused(79, 0x80); /* a negative size */
    expect_refused(108, 7);   /* longer than what is left */
    expect_refused(110, 0);   /* an attribute without a name */
    expect_refused(111, 3);   /* whose value ends behind the list */
}
END_TEST

START_TEST(test_random_bytes_never_read_past_their_end)
{
    struct random random = random_of(random_seed());

    for (unsigned round = 0; round < 20000; round++) {
        size_t size = 1 + random_below(&random, 160);
        uint8_t *bytes = calloc(1, size);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(i < sizeof golden && !random_coin(&random)
                                     ? golden[i]
                                     : random_next(&random));
        bytes[0] = 0xF5;
        struct lsmkv_record record = record_of(bytes, size, 0);
        struct attr attr;
        int result = attr_decode(&record, &defaults, &attr);
        ck_assert(result == 0 || result == -EUCLEAN);
        free(bytes);
    }
}
END_TEST

START_TEST(test_a_value_without_attributes_is_a_default_file)
{
    struct lsmkv_record record = record_of(NULL, 0, 55);
    struct attr attr;

    ck_assert_int_eq(attr_decode(&record, &defaults, &attr), 0);
    ck_assert(attr.plain && attr.mode == (S_IFREG | 0640));
    ck_assert(attr.uid == 7 && attr.gid == 8 && attr.data.size == 55);
    ck_assert(attr.ino == (ATTR_INO_PLAIN | 42));
    ck_assert(attr.mtime.tv_sec == -1 && attr.mtime.tv_nsec == 999999999);
}
END_TEST

START_TEST(test_foreign_attributes_are_kept)
{
    struct lsmkv_record record = record_of("foreign", 7, 5);
    struct attr attr, back;
    uint8_t bytes[ATTR_BUFFER];

    ck_assert_int_eq(attr_decode(&record, &defaults, &attr), 0);
    ck_assert(attr.plain);
    struct lsmkv_record changed = record_of(bytes, attr_encode(&attr, bytes), 5);
    ck_assert_int_eq(attr_decode(&changed, &defaults, &back), 0);
    ck_assert(!back.plain && back.ino == attr.ino);
    ck_assert_uint_eq(back.value_attributes.size, 7);
    ck_assert_mem_eq(back.value_attributes.data, "foreign", 7);
}
END_TEST

START_TEST(test_a_directory_keeps_a_value_with_its_attributes)
{
    struct lsmkv_record value = record_of(golden, sizeof golden, 0);
    struct attr directory, back, kept, original = sample();
    uint8_t bytes[ATTR_BUFFER];

    attr_init_implied(&directory, &defaults, 5, (struct timespec){0});
    attr_keep_value(&directory, &value);
    struct lsmkv_record record = record_of(bytes, attr_encode(&directory, bytes), 0);
    ck_assert_int_eq(attr_decode(&record, &defaults, &back), 0);
    ck_assert(back.has_value && back.mode == (S_IFDIR | 0750));
    ck_assert_uint_eq(attr_nlink(&back), 1);
    ck_assert_int_eq(attr_decode_kept(&back, &record, &defaults, &kept), 0);
    expect_same(&original, &kept);

    struct lsmkv_record plain = record_of(NULL, 0, 9);
    attr_keep_value(&directory, &plain);
    record = record_of(bytes, attr_encode(&directory, bytes), 9);
    ck_assert_mem_eq(bytes + 72, "\x2a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
                     16);
    record.stamp_sequence = 43; /* of the directory's put */
    record.stamp_time = 44;
    ck_assert_int_eq(attr_decode(&record, &defaults, &back), 0);
    ck_assert_int_eq(attr_decode_kept(&back, &record, &defaults, &kept), 0);
    ck_assert(kept.plain && kept.data.size == 9 && S_ISREG(kept.mode));
    ck_assert(kept.ino == (ATTR_INO_PLAIN | 42) && kept.mtime.tv_nsec == 999999999);
}
END_TEST

START_TEST(test_blocks_count_present_chunks_only)
{
    struct attr attr = sample();

    attr.data = (struct attr_data){ATTR_CHUNKS, UINT64_C(1) << 32, 1, 2};
    ck_assert_uint_eq(attr_blocks(&attr), 512);
    attr.data.size = (128 << 10) + 513;
    ck_assert_uint_eq(attr_blocks(&attr), 258);
    attr.data.chunks = UINT64_MAX;
    ck_assert_uint_eq(attr_blocks(&attr), 258);
    attr.data = (struct attr_data){ATTR_INLINE, 1, 0, 0};
    ck_assert_uint_eq(attr_blocks(&attr), 1);
}
END_TEST

START_TEST(test_extended_attributes_are_replaced_found_and_removed)
{
    struct lsmkv_slice one = lsmkv_str("1"), empty = lsmkv_str(""), found, list;
    char first[64], second[64];

    list =
        lsmkv_bytes(first, attr_xattr_replace(empty, lsmkv_str("user.a"), &one, first));
    list = lsmkv_bytes(second,
                       attr_xattr_replace(list, lsmkv_str("user.b"), &empty, second));
    ck_assert(attr_xattr_find(list, lsmkv_str("user.a"), &found) && found.size == 1);
    ck_assert(attr_xattr_find(list, lsmkv_str("user.b"), &found) && found.size == 0);
    ck_assert(!attr_xattr_find(list, lsmkv_str("user"), &found));
    list =
        lsmkv_bytes(first, attr_xattr_replace(list, lsmkv_str("user.a"), &empty, first));
    ck_assert_uint_eq(list.size, 18);
    list =
        lsmkv_bytes(second, attr_xattr_replace(list, lsmkv_str("user.b"), NULL, second));
    ck_assert(!attr_xattr_find(list, lsmkv_str("user.b"), &found));
    ck_assert_uint_eq(list.size, 9);
}
END_TEST

START_TEST(test_implied_numbers_depend_on_path_and_salt)
{
    uint64_t ino = attr_implied_ino(1, lsmkv_str("a/b"));

    ck_assert(ino == attr_implied_ino(1, lsmkv_str("a/b")));
    ck_assert(ino != attr_implied_ino(2, lsmkv_str("a/b")));
    ck_assert(ino != attr_implied_ino(1, lsmkv_str("a/c")));
    ck_assert_uint_eq(ino >> 61, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("attr");
    TCase *tests = tcase_create("attr");

    tcase_add_test(tests, test_attributes_are_golden_and_come_back);
    tcase_add_test(tests, test_a_reference_says_type_and_number_alone);
    tcase_add_test(tests, test_a_fresh_small_file_takes_72_bytes);
    tcase_add_test(tests, test_every_truncation_and_any_extra_byte_is_refused);
    tcase_add_test(tests, test_hostile_fields_are_refused);
    tcase_add_test(tests, test_random_bytes_never_read_past_their_end);
    tcase_add_test(tests, test_a_value_without_attributes_is_a_default_file);
    tcase_add_test(tests, test_foreign_attributes_are_kept);
    tcase_add_test(tests, test_a_directory_keeps_a_value_with_its_attributes);
    tcase_add_test(tests, test_blocks_count_present_chunks_only);
    tcase_add_test(tests, test_extended_attributes_are_replaced_found_and_removed);
    tcase_add_test(tests, test_implied_numbers_depend_on_path_and_salt);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
