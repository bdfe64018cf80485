/*
 * test_blob_packed.c - packed values: their bytes, their parts, whatever byte of them is flipped, and
 * what nobody would have written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "blob_file_fixture.h"
#include "support/suite.h"

#define KEY_SIZE (3 + KEY_TRAILER_SIZE) /* of a/b */
#define UNIT     BLOB_UNIT_SIZE
#define SIZE \
    (3 * UNIT + 1000u) /* the second unit does not become shorter, the last is short */
#define TABLE (4 * 8u)
#define FRONT (BLOB_HEAD_MAX + KEY_SIZE + TABLE)

static uint8_t value[SIZE], unpacked[SIZE], bytes[BLOB_HEADER_SIZE + FRONT + SIZE];
static struct keybuf key, room;

static void
begin_packed(void)
{
    setup();
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (uint8_t)('a' + i / 100 % 23);
    srand(7); /* NOLINT: any bytes that LZ4 finds nothing in */
    for (size_t i = UNIT; i < 2 * UNIT; i++)
        value[i] = (uint8_t)(rand() >> 7);
    key = room = (struct keybuf){0};
    ck_assert_int_eq(keybuf_set_internal(&key, lsmkv_str("a/b"), 5, KIND_PUT_TIMED), 0);
}

static void
end_packed(void)
{
    keybuf_fini(&key);
    keybuf_fini(&room);
    teardown();
}

/* Somebody refers to the file, whose bytes these are. */
static size_t
take_file(void)
{
    struct table_blob blob = {NUMBER, SIZE, 0};
    char name[TABLE_NAME_SIZE];
    struct env_file *file;
    ssize_t size;

    blob_name(name, NUMBER);
    ck_assert_int_eq(env_file_open(fixture.dir, name, ENV_READ, &file), 0);
    size = env_file_read(file, 0, bytes, sizeof(bytes));
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_gt(size, BLOB_HEADER_SIZE);
    blob.size = (uint64_t)size;
    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    return (size_t)size;
}

static size_t
write_value(size_t size, struct blob_ref *ref)
{
    struct blob_writer *writer;

    ck_assert_int_eq(
        blob_writer_open(&fixture.context, NUMBER, 0x21, LSMKV_COMPRESSION_LZ4, &writer),
        0);
    ck_assert_int_eq(
        blob_writer_add(writer, keybuf_slice(&key), lsmkv_bytes(value, size), ref), 0);
    ck_assert_int_eq(blob_writer_finish(writer), 0);
    return take_file();
}

START_TEST(test_a_packed_value_has_these_bytes)
{
    struct blob_ref ref;
    size_t size = write_value(SIZE, &ref), at = 0;
    const uint8_t *record = bytes + BLOB_HEADER_SIZE, *table;

    ck_assert_uint_eq(bytes[12], BLOB_FEATURE_PAGES | BLOB_FEATURE_PACKED);
    ck_assert_uint_eq(ref.pages, 0);
    ck_assert_uint_eq(ref.offset, BLOB_HEADER_SIZE + FRONT);
    ck_assert_uint_eq(size, ref.offset + ref.packed);
    ck_assert_uint_lt(ref.packed, UNIT + UNIT / 4);
    ck_assert_uint_eq(get_u32(record + 8), SIZE | BLOB_PACKED);
    ck_assert_uint_eq(get_u32(record + 12), KEY_SIZE);
    ck_assert_uint_eq(get_u32(record + 16), ref.packed);
    ck_assert_mem_eq(record + BLOB_HEAD_MAX, key.data, KEY_SIZE);
    ck_assert_uint_eq(get_u32(record), crc32c(crc32c_seed(NUMBER, BLOB_HEADER_SIZE),
                                              record + 4, 16 + KEY_SIZE));
    table = bytes + ref.offset - TABLE;
    for (size_t i = 0; i < 4; i++) {
        uint32_t unit = get_u32(table + 8 * i);

        ck_assert(i == 1 ? unit == UNIT : unit < UNIT / 8);
        ck_assert_uint_eq(
            get_u32(table + 8 * i + 4),
            crc32c(crc32c_seed(NUMBER, ref.offset + at), bytes + ref.offset + at, unit));
        at += unit;
    }
    ck_assert_uint_eq(at, ref.packed);
    ck_assert_uint_eq(ref.checksum,
                      crc32c(crc32c_seed(NUMBER, ref.offset), table, TABLE));
    ck_assert_int_eq(blob_read(files, &ref, unpacked), 0);
    ck_assert_mem_eq(unpacked, value, SIZE);
    ck_assert_int_eq(blob_probe(files, &ref, KEY_SIZE, &room), 1);
    ck_assert_int_eq(blob_walk(&fixture.context, NUMBER, size, NULL, NULL, NULL), 0);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* What would not lose an eighth is written as in any keyspace. */
START_TEST(test_what_is_not_worth_it_is_not_packed)
{
    struct blob_ref ref;

    memmove(value, value + UNIT, UNIT);
    (void)write_value(UNIT, &ref);
    ck_assert_uint_eq(ref.packed, 0);
    ck_assert_uint_eq(ref.pages, 0);
    ck_assert_int_eq(blob_read(files, &ref, unpacked), 0);
    ck_assert_mem_eq(unpacked, value, UNIT);
    ck_assert(blob_files_unref(files, NUMBER));
    blob_files_free(files);
    ck_assert_int_eq(blob_files_new(&fixture.context, &files), 0);
    ck_assert_int_eq(env_dir_unlink(fixture.dir, "000258.blob"), 0);
    memcpy(value + UNIT, value, UNIT);
    (void)write_value(2 * UNIT, &ref);
    ck_assert_uint_eq(ref.packed, 0);
    ck_assert_uint_eq(ref.pages, 8);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* To the byte. */
START_TEST(test_an_eighth_is_worth_it)
{
    struct keybuf packed = {0};
    uint32_t stored;
    bool seen[2] = {false, false};

    for (size_t random = UNIT / 2; random < UNIT; random++) {
        memset(value, 'x', UNIT);
        memcpy(value, value + UNIT, random);
        ck_assert_int_eq(blob_pack(lsmkv_bytes(value, UNIT), &packed, &stored), 0);
        ck_assert_uint_eq(stored > 0, packed.size <= UNIT - UNIT / 8);
        ck_assert(stored == 0 || stored + 8 == packed.size);
        seen[stored > 0] = true;
    }
    ck_assert(seen[0] && seen[1]);
    keybuf_fini(&packed);
}
END_TEST

START_TEST(test_every_part_comes_back_from_its_units_alone)
{
    static const size_t ends[] = {
        0, 1, UNIT - 1, UNIT, UNIT + 1, 2 * UNIT, 2 * UNIT + 9, 3 * UNIT, SIZE - 1, SIZE};
    struct blob_ref ref;

    (void)write_value(SIZE, &ref);
    for (size_t i = 0; i < 10; i++)
        for (size_t k = i + 1; k < 10; k++) {
            uint64_t before = tally_sum(&fixture.counters, TABLE_BLOB_BYTES_READ), read;
            size_t size = ends[k] - ends[i];
            const uint8_t *part;

            ck_assert_int_eq(blob_read_part(files, &ref, ends[i], size, &room, &part), 0);
            ck_assert_mem_eq(part, value + ends[i], size);
            read = tally_sum(&fixture.counters, TABLE_BLOB_BYTES_READ) - before;
            ck_assert(ends[i] < 2 * UNIT && ends[k] > UNIT ? read >= UNIT
                                                           : read < UNIT / 4);
        }
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

static unsigned bad_values;

static int
count_bad(void *user, const struct blob_record *record)
{
    (void)user;
    bad_values += record->value == NULL;
    return 0;
}

/* In the table it refuses all, in a unit that unit's parts. */
START_TEST(test_every_flipped_byte_is_found)
{
    struct blob_ref ref;
    size_t size = write_value(SIZE, &ref), first, second;

    first = get_u32(bytes + ref.offset - TABLE);
    second = first + UNIT;
    for (size_t at = BLOB_HEADER_SIZE; at < size; at += at < ref.offset + 9 ? 1 : 97) {
        const bool in_table = at >= ref.offset - TABLE && at < ref.offset;
        const bool in_head = at < ref.offset - TABLE;
        const uint8_t *part;

        bytes[at] ^= 0x40;
        put_file(bytes, size);
        ck_assert_int_eq(blob_probe(files, &ref, KEY_SIZE, &room), 0);
        bad_values = 0;
        ck_assert_int_ne(blob_walk(&fixture.context, NUMBER, size, NULL, count_bad, NULL),
                         0);
        ck_assert_uint_eq(bad_values, in_head ? 0 : 1);
        ck_assert_int_eq(blob_read(files, &ref, unpacked), in_head ? 0 : -EBADMSG);
        for (size_t unit = 0; unit < 3; unit++) {
            size_t in = at - ref.offset;
            bool hit = unit == 0   ? in < first
                       : unit == 1 ? in >= first && in < second
                                   : in >= second;
            int result = blob_read_part(files, &ref, unit * UNIT + 5, 10, &room, &part);

            if (unit == 2 && hit) /* or it is in the last, short one */
                ck_assert(result == 0 || result == -EBADMSG);
            else
                ck_assert_int_eq(result,
                                 in_table || (at >= ref.offset && hit) ? -EBADMSG : 0);
            ck_assert(result != 0 || memcmp(part, value + unit * UNIT + 5, 10) == 0);
        }
        bytes[at] ^= 0x40;
    }
    for (size_t cut = ref.offset - TABLE; cut < size; cut += 331) {
        put_file(bytes, cut);
        ck_assert_int_eq(blob_read(files, &ref, unpacked), -EUCLEAN);
        ck_assert_int_eq(blob_probe(files, &ref, KEY_SIZE, &room), 0);
    }
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* With all checksums right. */
static void
seal(struct blob_ref *ref)
{
    uint8_t *table = bytes + ref->offset - TABLE;

    ref->checksum = crc32c(crc32c_seed(NUMBER, ref->offset), table, TABLE);
    blob_head_encode(bytes + BLOB_HEADER_SIZE, ref, keybuf_slice(&key));
}

START_TEST(test_a_crafted_table_is_refused)
{
    struct blob_ref ref;
    size_t size = write_value(SIZE, &ref);
    uint8_t *table = bytes + ref.offset - TABLE;
    const uint32_t last = get_u32(table + 24);
    const uint32_t sizes[] = {0, last - 1, last + 1, 1001, UNIT, UINT32_MAX};
    const uint8_t *part;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put_u32(table + 24, sizes[i]);
        seal(&ref);
        put_file(bytes, size);
        ck_assert_int_eq(blob_read(files, &ref, unpacked), -EUCLEAN);
        ck_assert_int_eq(blob_read_part(files, &ref, 5, 10, &room, &part), -EUCLEAN);
        ck_assert_int_eq(blob_probe(files, &ref, KEY_SIZE, &room), 0);
        ck_assert_int_ne(blob_walk(&fixture.context, NUMBER, size, NULL, NULL, NULL), 0);
    }
    /* Together they are right, and one is more than it would be unpacked. */
    put_u32(table + 24, 1001);
    put_u32(table + 8, UNIT - (1001 - last));
    seal(&ref);
    put_file(bytes, size);
    ck_assert_int_eq(blob_read_part(files, &ref, 5, 10, &room, &part), -EUCLEAN);
    ck_assert_int_eq(blob_read_part(files, &ref, 3 * UNIT, 10, &room, &part), -EUCLEAN);
    ck_assert_int_eq(blob_read(files, &ref, unpacked), -EUCLEAN);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* Who has only the file is to know by its header what may be in it. */
START_TEST(test_a_header_that_does_not_tell_is_found)
{
    struct blob_header header = {0x21, NUMBER, false};
    struct blob_ref ref;
    size_t size = write_value(SIZE, &ref);

    blob_header_encode(bytes, &header);
    put_file(bytes, size);
    bad_values = 0;
    ck_assert_int_eq(blob_walk(&fixture.context, NUMBER, size, NULL, count_bad, NULL),
                     -EUCLEAN);
    ck_assert_uint_eq(bad_values, 0);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* A unit of whatever bytes, with the right checksum. */
START_TEST(test_a_crafted_unit_is_refused)
{
    struct blob_ref ref;
    size_t size = write_value(SIZE, &ref);
    uint8_t *table = bytes + ref.offset - TABLE;
    const uint32_t unit = get_u32(table);
    const uint8_t *part;

    for (unsigned fill = 0; fill < 256; fill++) {
        memset(bytes + ref.offset, (int)fill, unit);
        put_u32(table + 4,
                crc32c(crc32c_seed(NUMBER, ref.offset), bytes + ref.offset, unit));
        seal(&ref);
        put_file(bytes, size);
        ck_assert_int_eq(blob_read(files, &ref, unpacked), -EUCLEAN);
        ck_assert_int_eq(blob_read_part(files, &ref, 5, 10, &room, &part), -EUCLEAN);
        ck_assert_int_eq(blob_read_part(files, &ref, UNIT, 10, &room, &part), 0);
        bad_values = 0;
        ck_assert_int_eq(blob_walk(&fixture.context, NUMBER, size, NULL, count_bad, NULL),
                         -EUCLEAN);
        ck_assert_uint_eq(bad_values, 1);
    }
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* Beside the log they are as in any file, packed or not. */
START_TEST(test_an_appender_packs_too)
{
    struct blob_appender *appender;
    struct blob_ref refs[3];
    static const size_t from[] = {0, UNIT, 2 * UNIT}, size[] = {SIZE, UNIT, 5000};

    ck_assert_int_eq(blob_appender_open(&fixture.context, NUMBER, 0x21,
                                        LSMKV_COMPRESSION_LZ4, &appender),
                     0);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(blob_appender_add(appender, keybuf_slice(&key),
                                           lsmkv_bytes(value + from[i], size[i]),
                                           &refs[i]),
                         0);
    ck_assert_int_eq(blob_appender_write(appender), 0);
    ck_assert_int_eq(blob_appender_sync(appender), 0);
    ck_assert_uint_eq(refs[1].packed, 0);
    ck_assert(refs[0].packed > 0 && refs[2].packed > 0);
    ck_assert_uint_eq(blob_appender_size(appender), refs[2].offset + refs[2].packed);
    blob_appender_close(appender);
    ck_assert_int_eq(blob_walk(&fixture.context, NUMBER, take_file(), NULL, NULL, NULL),
                     0);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(blob_read(files, &refs[i], unpacked), 0);
        ck_assert_mem_eq(unpacked, value + from[i], size[i]);
        ck_assert_int_eq(blob_probe(files, &refs[i], KEY_SIZE, &room), 1);
    }
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("blob_packed");
    TCase *tests = tcase_create("blob_packed");

    tcase_add_checked_fixture(tests, begin_packed, end_packed);
    tcase_add_test(tests, test_a_packed_value_has_these_bytes);
    tcase_add_test(tests, test_what_is_not_worth_it_is_not_packed);
    tcase_add_test(tests, test_an_eighth_is_worth_it);
    tcase_add_test(tests, test_every_part_comes_back_from_its_units_alone);
    tcase_add_test(tests, test_every_flipped_byte_is_found);
    tcase_add_test(tests, test_a_crafted_table_is_refused);
    tcase_add_test(tests, test_a_header_that_does_not_tell_is_found);
    tcase_add_test(tests, test_a_crafted_unit_is_refused);
    tcase_add_test(tests, test_an_appender_packs_too);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
