/*
 * test_blob_pages.c - values in pages: their bytes, their parts, and whatever byte of them is flipped.
 */
#include <errno.h>
#include <string.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "blob_file_fixture.h"
#include "support/suite.h"

#define KEY_SIZE (3 + KEY_TRAILER_SIZE) /* of a/b */

#define PAGED_SIZE  20000u /* five pages, the last of them short */
#define PAGED_FRONT (BLOB_HEAD_SIZE + KEY_SIZE + 5 * sizeof(uint32_t))

static char paged[PAGED_SIZE];

/* A file of one such value; the bytes of the file, which somebody refers to. */
static size_t
write_paged(struct blob_ref *ref, uint8_t *bytes, size_t capacity)
{
    struct table_blob blob = {NUMBER, PAGED_SIZE, 0};
    struct blob_writer *writer;
    struct keybuf key = {0};
    char name[TABLE_NAME_SIZE];
    struct env_file *file;
    ssize_t size;

    for (size_t i = 0; i < PAGED_SIZE; i++)
        paged[i] = (char)('a' + i * i % 23);
    ck_assert_int_eq(
        blob_writer_open(&fixture.context, NUMBER, 0x21, LSMKV_COMPRESSION_NONE, &writer),
        0);
    ck_assert_int_eq(keybuf_set_internal(&key, lsmkv_str("a/b"), 5, KIND_PUT_TIMED), 0);
    ck_assert_int_eq(
        blob_writer_add(writer, keybuf_slice(&key), lsmkv_bytes(paged, PAGED_SIZE), ref),
        0);
    keybuf_fini(&key);
    ck_assert_int_eq(blob_writer_finish(writer), 0);
    blob_name(name, NUMBER);
    ck_assert_int_eq(env_file_open(fixture.dir, name, ENV_READ, &file), 0);
    size = env_file_read(file, 0, bytes, capacity);
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_eq(size, BLOB_HEADER_SIZE + PAGED_FRONT + PAGED_SIZE);
    blob.size = (uint64_t)size;
    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    return (size_t)size;
}

START_TEST(test_a_value_in_pages_has_its_checksums_before_it)
{
    uint8_t bytes[PAGED_SIZE + 200];
    struct blob_ref ref;

    (void)write_paged(&ref, bytes, sizeof(bytes));
    ck_assert_uint_eq(ref.pages, 5);
    ck_assert_uint_eq(ref.offset, BLOB_HEADER_SIZE + PAGED_FRONT);
    ck_assert_uint_eq(get_u32(bytes + BLOB_HEADER_SIZE + 8), PAGED_SIZE | BLOB_PAGED);
    for (size_t i = 0; i < 5; i++) {
        size_t at = ref.offset + i * 4096, size = i == 4 ? PAGED_SIZE - 4 * 4096 : 4096;

        ck_assert_uint_eq(get_u32(bytes + ref.offset - 20 + 4 * i),
                          crc32c(crc32c_seed(NUMBER, at), bytes + at, size));
    }
    ck_assert_uint_eq(ref.checksum, crc32c(crc32c_seed(NUMBER, ref.offset),
                                           bytes + ref.offset - 20, 20));
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

START_TEST(test_short_values_are_in_no_pages)
{
    ck_assert_uint_eq(blob_place(1, 0, 8, BLOB_PAGED_ABOVE, 0).pages, 0);
    ck_assert_uint_eq(blob_place(1, 0, 8, BLOB_PAGED_ABOVE + 1, 0).pages, 5);
    ck_assert_uint_eq(blob_place(1, 0, 8, LSMKV_VALUE_MAX, 0).pages, 4096);
}
END_TEST

START_TEST(test_every_part_comes_back_from_its_pages_alone)
{
    static const size_t ends[] = {0,     1,     4095,  4096,       4097, 8192,
                                  12000, 16384, 19999, PAGED_SIZE, 0};
    uint8_t bytes[PAGED_SIZE + 200];
    struct keybuf room = {0};
    struct blob_ref ref;

    (void)write_paged(&ref, bytes, sizeof(bytes));
    for (size_t i = 0; i < 10; i++)
        for (size_t k = i + 1; k < 10; k++) {
            uint64_t before = tally_sum(&fixture.counters, TABLE_BLOB_BYTES_READ), read;
            size_t size = ends[k] - ends[i];
            const uint8_t *part;

            ck_assert_int_eq(blob_read_part(files, &ref, ends[i], size, &room, &part), 0);
            ck_assert_mem_eq(part, paged + ends[i], size);
            read = tally_sum(&fixture.counters, TABLE_BLOB_BYTES_READ) - before;
            ck_assert_uint_lt(read, size + 2 * 4096);
        }
    keybuf_fini(&room);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* A part is refused if a byte of its pages was flipped, and no other part.  With the checksums
 * damaged, which is told, a value that is intact is read all the same. */
START_TEST(test_every_flipped_byte_of_a_part_is_found)
{
    uint8_t bytes[PAGED_SIZE + 200];
    struct keybuf room = {0};
    struct blob_ref ref;
    size_t size = write_paged(&ref, bytes, sizeof(bytes));
    bool told = false; /* once a file */

    ck_assert_int_eq(blob_probe(files, &ref, KEY_SIZE, &room), 1);
    for (size_t at = ref.offset - 20; at < size; at += at < ref.offset + 20 ? 1 : 977) {
        const uint8_t *part;
        unsigned reports = fixture.reports;
        int result;

        bytes[at] ^= 0x40;
        put_file(bytes, size);
        ck_assert_int_eq(blob_walk(&fixture.context, NUMBER, size, NULL, NULL, NULL),
                         -EBADMSG);
        ck_assert_int_eq(blob_probe(files, &ref, KEY_SIZE, &room), 0);
        reports = fixture.reports;
        for (size_t page = 0; page < 5; page++) {
            bool hit = at >= ref.offset && (at - ref.offset) / 4096 == page;

            result = blob_read_part(files, &ref, page * 4096 + 5, 10, &room, &part);
            ck_assert_int_eq(result, hit ? -EBADMSG : 0);
            ck_assert(result != 0 || memcmp(part, paged + page * 4096 + 5, 10) == 0);
        }
        ck_assert_uint_eq(fixture.reports - reports, at >= ref.offset ? 1 : told ? 0 : 1);
        told = told || at < ref.offset;
        bytes[at] ^= 0x40;
    }
    for (size_t cut = ref.offset - 20; cut < size; cut += 3331) {
        const uint8_t *part;
        int result;

        put_file(bytes, cut);
        result = blob_read_part(files, &ref, 100, 10, &room, &part);
        ck_assert_int_eq(result, cut < ref.offset + 4096 ? -EUCLEAN : 0);
        ck_assert_int_eq(blob_probe(files, &ref, KEY_SIZE, &room), 0);
    }
    keybuf_fini(&room);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* Those of earlier versions have none, whatever their length. */
START_TEST(test_a_long_value_without_pages_comes_back)
{
    static uint8_t bytes[BLOB_HEADER_SIZE + BLOB_HEAD_SIZE + KEY_SIZE + PAGED_SIZE];
    const struct blob_header header = {0x21, NUMBER, false};
    struct table_blob blob = {NUMBER, PAGED_SIZE, sizeof(bytes)};
    struct keybuf room = {0}, key = {0};
    struct blob_ref ref = {NUMBER, sizeof(bytes) - PAGED_SIZE, PAGED_SIZE, 0, 0, 0};
    uint8_t read[PAGED_SIZE];

    memset(bytes + ref.offset, 'v', PAGED_SIZE);
    memcpy(bytes + ref.offset + 7000, "part", 4);
    ref.checksum =
        crc32c(crc32c_seed(NUMBER, ref.offset), bytes + ref.offset, PAGED_SIZE);
    blob_header_encode(bytes, &header);
    ck_assert_int_eq(keybuf_set_internal(&key, lsmkv_str("a/b"), 5, KIND_PUT_TIMED), 0);
    blob_head_encode(bytes + BLOB_HEADER_SIZE, &ref, keybuf_slice(&key));
    put_file(bytes, sizeof(bytes));
    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    ck_assert_int_eq(blob_walk(&fixture.context, NUMBER, sizeof(bytes), NULL, NULL, NULL),
                     0);
    ck_assert_int_eq(blob_probe(files, &ref, KEY_SIZE, &room), 1);
    ck_assert_int_eq(blob_read(files, &ref, read), 0);
    ck_assert_mem_eq(read + 7000, "part", 4);
    keybuf_fini(&key);
    keybuf_fini(&room);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("blob_pages");
    TCase *tests = tcase_create("blob_pages");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_value_in_pages_has_its_checksums_before_it);
    tcase_add_test(tests, test_short_values_are_in_no_pages);
    tcase_add_test(tests, test_every_part_comes_back_from_its_pages_alone);
    tcase_add_test(tests, test_every_flipped_byte_of_a_part_is_found);
    tcase_add_test(tests, test_a_long_value_without_pages_comes_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
