/*
 * test_blob.c - blob files by themselves: golden bytes, what is refused, who refers to them, what
 * is chosen to be collected.
 *
 * Checksums below were computed by another program than ours.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "blob_file_fixture.h"
#include "support/suite.h"

static const uint8_t golden[] = {
    0x6c, 0x73, 0x6d, 0x6b, 0x76, 0x42, 0x4c, 0x42, 0x01, 0x00, 0x00,
    0x00, 0x01, 0x00, 0x00, 0x00, 0x21, 0x00, 0x00, 0x00, 0x02, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x19, 0x65, 0x24, 0x78, /* the record */
    0xa0, 0x91, 0x4d, 0x2a, 0x13, 0xc3, 0xad, 0x90, 0x05, 0x00, 0x00,
    0x00, 0x0b, 0x00, 0x00, 0x00, 'a',  '/',  'b',  0x02, 0x05, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 'v',  'a',  'l',  'u',  'e'};
static const struct blob_ref golden_ref = {NUMBER, 59, 5, 0x90adc313, 0, 0};

static int
add(struct blob_writer *writer, const char *key, uint64_t sequence, const char *value,
    struct blob_ref *ref)
{
    struct keybuf internal = {0};
    int result;

    ck_assert_int_eq(
        keybuf_set_internal(&internal, lsmkv_str(key), sequence, KIND_PUT_TIMED), 0);
    result = blob_writer_add(writer, keybuf_slice(&internal), lsmkv_str(value), ref);
    keybuf_fini(&internal);
    return result;
}

static uint64_t
write_one(struct blob_ref *ref)
{
    struct blob_writer *writer;
    uint64_t size;

    ck_assert_int_eq(
        blob_writer_open(&fixture.context, NUMBER, 0x21, LSMKV_COMPRESSION_NONE, &writer),
        0);
    ck_assert_int_eq(add(writer, "a/b", 5, "value", ref), 0);
    size = blob_writer_size(writer);
    ck_assert_int_eq(blob_writer_finish(writer), 0);
    return size;
}

static int
append(struct blob_appender *appender, const char *key, uint64_t sequence,
       const char *value, struct blob_ref *ref)
{
    struct keybuf internal = {0};
    int result;

    ck_assert_int_eq(
        keybuf_set_internal(&internal, lsmkv_str(key), sequence, KIND_PUT_TIMED), 0);
    result = blob_appender_add(appender, keybuf_slice(&internal), lsmkv_str(value), ref);
    keybuf_fini(&internal);
    return result;
}

static uint64_t
length(void)
{
    uint64_t size;

    ck_assert_int_eq(blob_length(&fixture.context, NUMBER, &size), 0);
    return size;
}

/* ---- bytes ---- */

static void
assert_golden(const struct blob_ref *ref)
{
    ck_assert_uint_eq(ref->file, golden_ref.file);
    ck_assert_uint_eq(ref->offset, golden_ref.offset);
    ck_assert_uint_eq(ref->length, golden_ref.length);
    ck_assert_uint_eq(ref->checksum, golden_ref.checksum);
    ck_assert_uint_eq(ref->pages, golden_ref.pages);
}

/* One that grows has the same as one that is written whole. */
START_TEST(test_an_appended_file_has_these_bytes)
{
    struct blob_appender *appender;
    uint8_t bytes[sizeof(golden) + 1];
    char name[TABLE_NAME_SIZE];
    struct env_file *file;
    struct blob_ref ref;

    ck_assert_int_eq(blob_appender_open(&fixture.context, NUMBER, 0x21,
                                        LSMKV_COMPRESSION_NONE, &appender),
                     0);
    ck_assert_int_eq(append(appender, "a/b", 5, "value", &ref), 0);
    assert_golden(&ref);
    ck_assert_uint_eq(length(), 0);
    ck_assert_int_eq(blob_appender_write(appender), 0);
    ck_assert_uint_eq(blob_appender_size(appender), sizeof(golden));
    blob_name(name, NUMBER);
    ck_assert_int_eq(env_file_open(fixture.dir, name, ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_read(file, 0, bytes, sizeof(bytes)), sizeof(golden));
    ck_assert_mem_eq(bytes, golden, sizeof(golden));
    ck_assert_int_eq(env_file_close(file), 0);
    blob_appender_close(appender);
}
END_TEST

/* What is forgotten is not written, what is undone is gone, and only that. */
START_TEST(test_only_the_last_write_is_undone)
{
    struct blob_appender *appender;
    struct blob_ref first, again;
    uint64_t size;

    ck_assert_int_eq(blob_appender_open(&fixture.context, NUMBER, 0x21,
                                        LSMKV_COMPRESSION_NONE, &appender),
                     0);
    ck_assert_int_eq(append(appender, "a", 1, "one", &first), 0);
    blob_appender_forget(appender);
    ck_assert_int_eq(blob_appender_write(appender), 0);
    ck_assert_uint_eq(length(), 0);
    ck_assert_int_eq(append(appender, "b", 2, "two", &again), 0);
    ck_assert_uint_eq(again.offset, first.offset);
    ck_assert_int_eq(blob_appender_write(appender), 0);
    size = length();
    ck_assert_int_eq(append(appender, "c", 3, "three", &first), 0);
    ck_assert_int_eq(blob_appender_write(appender), 0);
    ck_assert_uint_gt(length(), size);
    ck_assert_int_eq(blob_appender_undo(appender), 0);
    ck_assert_uint_eq(length(), size);
    ck_assert_int_eq(blob_appender_undo(appender), 0);
    ck_assert_uint_eq(length(), size);
    ck_assert_int_eq(append(appender, "d", 4, "four", &again), 0);
    ck_assert_uint_eq(again.offset, first.offset);
    blob_appender_forget(appender);
    ck_assert_int_eq(blob_appender_undo(appender), 0);
    ck_assert_uint_eq(blob_appender_size(appender), size);
    ck_assert_int_eq(blob_appender_write(appender), 0); /* nothing */
    ck_assert_int_eq(blob_appender_undo(appender), 0);
    ck_assert_uint_eq(length(), size);
    blob_appender_close(appender);
}
END_TEST

/* A file whose undoing failed in its sync took the next one, which the kernel passed: a snapshot that
 * had waited for its turn meanwhile said that what the first had lost was durable. */
START_TEST(test_a_file_that_broke_is_not_synced_again)
{
    struct blob_appender *appender;
    struct blob_ref ref;
    uint64_t syncs;

    ck_assert_int_eq(blob_appender_open(&fixture.context, NUMBER, 0x21,
                                        LSMKV_COMPRESSION_NONE, &appender),
                     0);
    ck_assert_int_eq(append(appender, "a", 1, "one", &ref), 0);
    ck_assert_int_eq(blob_appender_write(appender), 0);
    ck_assert_int_eq(append(appender, "b", 2, "two", &ref), 0);
    ck_assert_int_eq(blob_appender_write(appender), 0);
    fault_env_set(fixture.fault,
                  (struct fault){.call = ENV_CALL_FILE_SYNC, .nth = 1, .error = EIO});
    ck_assert_int_eq(blob_appender_undo(appender), -EIO);
    fault_env_heal(fixture.fault);
    ck_assert(blob_appender_is_broken(appender));
    syncs = fault_env_calls(fixture.fault, ENV_CALL_FILE_SYNC);
    ck_assert_int_eq(blob_appender_sync(appender), -EIO);
    ck_assert_uint_eq(fault_env_calls(fixture.fault, ENV_CALL_FILE_SYNC), syncs);
    blob_appender_close(appender);
}
END_TEST

/* More records than one call takes, of sizes about those of a head. */
START_TEST(test_many_records_are_appended_at_once)
{
    struct blob_appender *appender;
    struct blob_ref refs[1500];
    const struct table_blob blob = {.number = NUMBER};
    char key[16], back[16];

    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    ck_assert_int_eq(blob_appender_open(&fixture.context, NUMBER, 0x21,
                                        LSMKV_COMPRESSION_NONE, &appender),
                     0);
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(key, sizeof(key), "%u", i);
        ck_assert_int_eq(append(appender, key, i + 1, "same value", &refs[i]), 0);
    }
    ck_assert_int_eq(blob_appender_write(appender), 0);
    ck_assert_int_eq(blob_appender_sync(appender), 0);
    for (unsigned i = 0; i < 1500; i++) {
        ck_assert_int_eq(blob_read(files, &refs[i], back), 0);
        ck_assert_mem_eq(back, "same value", refs[i].length);
    }
    ck_assert_uint_eq(length(), blob_appender_size(appender));
    blob_appender_close(appender);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* Every byte of the file is held against a checksum, those of a record that is not the first, too. */
START_TEST(test_a_probe_finds_every_flipped_byte_and_every_cut)
{
    const struct table_blob blob = {NUMBER, 5, sizeof(golden)};
    const size_t key_size = 3 + KEY_TRAILER_SIZE;
    struct blob_ref low = golden_ref;
    struct keybuf room = {0};
    uint8_t bytes[sizeof(golden)];

    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    ck_assert_int_eq(blob_probe(files, &golden_ref, key_size, &room), 0); /* no file */
    put_file(golden, sizeof(golden));
    ck_assert_int_eq(blob_probe(files, &golden_ref, key_size, &room), 1);
    ck_assert_int_eq(blob_probe(files, &golden_ref, key_size - 1, &room), 0);
    low.offset = BLOB_HEADER_SIZE + 1; /* there is no place for a head before it */
    ck_assert_int_eq(blob_probe(files, &low, key_size, &room), 0);
    for (size_t at = 0; at < sizeof(golden); at++) {
        memcpy(bytes, golden, sizeof(golden));
        bytes[at] ^= 0x40;
        put_file(bytes, sizeof(bytes));
        ck_assert_int_eq(blob_probe(files, &golden_ref, key_size, &room), 0);
        put_file(golden, at);
        ck_assert_int_eq(blob_probe(files, &golden_ref, key_size, &room), 0);
    }
    ck_assert_uint_eq(fixture.reports, 0);
    keybuf_fini(&room);
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

START_TEST(test_a_blob_file_has_these_bytes)
{
    uint8_t bytes[sizeof(golden) + 1];
    char name[TABLE_NAME_SIZE];
    struct env_file *file;
    struct blob_ref ref;

    ck_assert_uint_eq(write_one(&ref), sizeof(golden));
    ck_assert_uint_eq(ref.file, golden_ref.file);
    ck_assert_uint_eq(ref.offset, golden_ref.offset);
    ck_assert_uint_eq(ref.length, golden_ref.length);
    ck_assert_uint_eq(ref.checksum, golden_ref.checksum);
    blob_name(name, NUMBER);
    ck_assert_str_eq(name, "000258.blob");
    ck_assert_int_eq(env_file_open(fixture.dir, name, ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_read(file, 0, bytes, sizeof(bytes)), sizeof(golden));
    ck_assert_mem_eq(bytes, golden, sizeof(golden));
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

static int
count_record(void *user, const struct blob_record *record)
{
    struct lsmkv_slice user_key = internal_user_key(record->key);

    ++*(unsigned *)user;
    ck_assert_uint_eq(record->offset, BLOB_HEADER_SIZE);
    ck_assert_uint_eq(record->ref.offset, golden_ref.offset);
    assert_slices(user_key, lsmkv_str("a/b"));
    ck_assert_uint_eq(internal_sequence(record->key), 5);
    if (record->value != NULL)
        ck_assert_mem_eq(record->value, "value", 5);
    return 0;
}

START_TEST(test_a_walk_finds_every_record)
{
    uint32_t keyspace;
    unsigned count = 0;

    put_file(golden, sizeof(golden));
    ck_assert_int_eq(blob_walk(&fixture.context, NUMBER, sizeof(golden), &keyspace,
                               count_record, &count),
                     0);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(keyspace, 0x21);
    ck_assert_uint_eq(fixture.reports, 0);
}
END_TEST

/* Whatever byte is flipped, the walk says so, with file and offset; and so does a read of the value,
 * if it is one of its bytes. */
START_TEST(test_every_flipped_byte_is_found)
{
    const struct table_blob blob = {NUMBER, 5, sizeof(golden)};

    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    for (size_t at = 0; at < sizeof(golden); at++) {
        uint8_t bytes[sizeof(golden)], value[5];
        unsigned count = 0, reports = fixture.reports;
        int result;

        memcpy(bytes, golden, sizeof(golden));
        bytes[at] ^= 0x40;
        put_file(bytes, sizeof(bytes));
        result = blob_walk(&fixture.context, NUMBER, sizeof(golden), NULL, count_record,
                           &count);
        ck_assert_msg(result == -EBADMSG || result == -EUCLEAN, "byte %zu: %d", at,
                      result);
        ck_assert_uint_gt(fixture.reports, reports);
        ck_assert_ptr_nonnull(strstr(fixture.last_report, "000258.blob: offset "));
        result = blob_read(files, &golden_ref, value);
        ck_assert_int_eq(result, at < golden_ref.offset ? 0 : -EBADMSG);
        if (result != 0)
            ck_assert_ptr_nonnull(
                strstr(fixture.last_report, "000258.blob: offset 59: "));
    }
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

START_TEST(test_every_cut_is_found)
{
    const struct table_blob blob = {NUMBER, 5, sizeof(golden)};

    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    for (size_t size = 0; size < sizeof(golden); size++) {
        unsigned count = 0;
        uint8_t value[5];

        put_file(golden, size);
        ck_assert_int_eq(blob_walk(&fixture.context, NUMBER, sizeof(golden), NULL,
                                   count_record, &count),
                         -EUCLEAN);
        ck_assert_int_eq(blob_read(files, &golden_ref, value), -EUCLEAN);
    }
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* Checksums are bound to place and file. */
START_TEST(test_a_value_of_another_file_or_place_is_refused)
{
    const struct table_blob blobs[] = {{NUMBER, 5, sizeof(golden)},
                                       {NUMBER + 1, 5, sizeof(golden)}};
    struct blob_ref other = golden_ref;
    struct env_file *file;
    uint8_t value[5];

    put_file(golden, sizeof(golden));
    ck_assert_int_eq(blob_files_ref(files, 0x21, blobs, 2), 0);
    ck_assert_int_eq(blob_read(files, &golden_ref, value), 0);
    ck_assert_mem_eq(value, "value", 5);
    ck_assert_int_eq(env_file_open(fixture.dir, "000259.blob", ENV_CREATE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 0, golden, sizeof(golden)), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    other.file++;
    ck_assert_int_eq(blob_read(files, &other, value), -EBADMSG);
    other = golden_ref;
    other.file = 7; /* no table has it */
    ck_assert_int_eq(blob_read(files, &other, value), -EUCLEAN);
    ck_assert(blob_files_unref(files, NUMBER));
    ck_assert(blob_files_unref(files, NUMBER + 1));
}
END_TEST

START_TEST(test_values_of_all_sizes_come_back)
{
    static const size_t sizes[] = {1, 100, 4096, 300000, 5, LSMKV_VALUE_MAX, 2};
    struct table_blob blob = {NUMBER, 1, 0};
    struct blob_ref refs[sizeof(sizes) / sizeof(sizes[0])];
    char *value = malloc(LSMKV_VALUE_MAX + 1), *read = malloc(LSMKV_VALUE_MAX);
    struct blob_writer *writer;

    ck_assert(value != NULL && read != NULL);
    ck_assert_int_eq(
        blob_writer_open(&fixture.context, NUMBER, 1, LSMKV_COMPRESSION_NONE, &writer),
        0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(value, 'a' + (int)i, sizes[i]);
        value[sizes[i]] = '\0';
        ck_assert_int_eq(add(writer, "key", 10 - i, value, &refs[i]), 0);
    }
    blob.size = blob_writer_size(writer);
    ck_assert_uint_eq(blob_writer_number(writer), NUMBER);
    ck_assert_int_eq(blob_writer_finish(writer), 0);
    ck_assert_int_eq(blob_files_ref(files, 1, &blob, 1), 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(value, 'a' + (int)i, sizes[i]);
        ck_assert_uint_eq(refs[i].length, sizes[i]);
        ck_assert_int_eq(blob_read(files, &refs[i], read), 0);
        ck_assert_mem_eq(read, value, sizes[i]);
    }
    ck_assert_uint_eq(tally_sum(&fixture.counters, TABLE_BLOBS_READ), 7);
    ck_assert(blob_files_unref(files, NUMBER));
    free(value);
    free(read);
}
END_TEST

/* A walk that meets the values of two files by turns reads them in few calls, and tells of a
 * damaged one as a get does. */
START_TEST(test_a_run_reads_many_values_at_once)
{
    enum { VALUES = 100, SIZE = 3000, BROKEN = 70 };
    struct table_blob blobs[2] = {{NUMBER, 1, 0}, {NUMBER + 1, 1, 0}};
    struct blob_ref refs[VALUES];
    struct blob_writer *writers[2];
    struct blob_run run = {0};
    char value[SIZE + 1];
    const uint8_t *read;
    uint64_t calls;

    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(blob_writer_open(&fixture.context, NUMBER + i, 1,
                                          LSMKV_COMPRESSION_NONE, &writers[i]),
                         0);
    value[SIZE] = '\0';
    for (unsigned i = 0; i < VALUES; i++) {
        memset(value, 'A' + (int)i % 50, SIZE);
        ck_assert_int_eq(add(writers[i % 2], "key", i + 1, value, &refs[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        blobs[i].size = blob_writer_size(writers[i]);
        ck_assert_int_eq(blob_writer_finish(writers[i]), 0);
    }
    ck_assert_int_eq(blob_files_ref(files, 1, blobs, 2), 0);
    refs[BROKEN].checksum ^= 1;
    calls = fault_env_calls(fixture.fault, ENV_CALL_FILE_READ);
    for (unsigned i = 0; i < VALUES; i++) {
        int result = blob_run_read(&run, files, &refs[i], &read);

        ck_assert_int_eq(result, i == BROKEN ? -EBADMSG : 0);
        if (result != 0)
            continue;
        memset(value, 'A' + (int)i % 50, SIZE);
        ck_assert_mem_eq(read, value, SIZE);
    }
    ck_assert_uint_lt(fault_env_calls(fixture.fault, ENV_CALL_FILE_READ) - calls, 20);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "checksum"));
    blob_run_fini(&run);
    for (unsigned i = 0; i < 2; i++)
        ck_assert(blob_files_unref(files, NUMBER + i));
}
END_TEST

/* What is short comes from the cache the second time, what is long does not. */
START_TEST(test_a_short_value_is_kept_in_the_cache)
{
    static const struct {
        size_t cache, kept;
    } cases[] = {{4u << 20, BLOB_CACHED_MIN},
                 {(size_t)BLOB_CACHED_PART * 20000, 20000},
                 {512u << 20, BLOB_CACHED_MAX}};
    const size_t kept_max = cases[_i].kept;
    const size_t sizes[] = {1, kept_max, kept_max + 1};
    struct table_blob blob = {NUMBER, 1, 0};
    struct blob_ref refs[3];
    char value[BLOB_CACHED_MAX + 2];
    struct blob_writer *writer;
    const struct block *block;

    teardown();
    begin(cases[_i].cache);
    ck_assert_int_eq(
        blob_writer_open(&fixture.context, NUMBER, 1, LSMKV_COMPRESSION_NONE, &writer),
        0);
    for (size_t i = 0; i < 3; i++) {
        memset(value, 'a' + (int)i, sizes[i]);
        value[sizes[i]] = '\0';
        ck_assert_int_eq(add(writer, "key", 10 - i, value, &refs[i]), 0);
    }
    blob.size = blob_writer_size(writer);
    ck_assert_int_eq(blob_writer_finish(writer), 0);
    ck_assert_int_eq(blob_files_ref(files, 1, &blob, 1), 0);
    for (size_t i = 0; i < 3; i++) {
        bool kept = sizes[i] <= kept_max;

        ck_assert_ptr_null(blob_find(files, &refs[i]));
        ck_assert_int_eq(blob_read_pinned(files, &refs[i], &block), 0);
        ck_assert_uint_eq(block->size, sizes[i]);
        ck_assert_int_eq(block->data[sizes[i] - 1], 'a' + (int)i);
        block_unpin(block);
        block = blob_find(files, &refs[i]);
        ck_assert_int_eq(block != NULL, kept);
        if (block != NULL)
            block_unpin(block);
    }
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* It reads nothing, and keeps no pin: what was expected can be thrown out. */
START_TEST(test_what_is_expected_stays_as_it_was)
{
    const struct table_blob blob = {NUMBER, 5, sizeof(golden)};
    struct lsmkv_env *env = fixture.context.env;
    const struct block *block;
    uint64_t calls;

    put_file(golden, sizeof(golden));
    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    calls = fault_env_calls(fixture.fault, ENV_CALL_FILE_READ);
    for (int i = 0; i < 2; i++)
        blob_expect(files, &golden_ref, i == 0);
    ck_assert_uint_eq(fault_env_calls(fixture.fault, ENV_CALL_FILE_READ), calls);
    ck_assert_ptr_null(blob_find(files, &golden_ref));
    ck_assert_int_eq(blob_read_pinned(files, &golden_ref, &block), 0);
    block_unpin(block);
    for (int i = 0; i < 2; i++)
        blob_expect(files, &golden_ref, i == 0);
    for (uint64_t i = 0; i < 4000; i++) {
        block = block_cache_insert(fixture.context.cache, NUMBER, i,
                                   env->allocate(env, 16 << 10), 1, 16 << 10);
        ck_assert_ptr_nonnull(block);
        block_unpin(block);
    }
    ck_assert_ptr_null(blob_find(files, &golden_ref));
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* Only a crafted store has two lengths for one value.  Whoever asks for the longer one must not be
 * given the block of the shorter. */
START_TEST(test_a_cached_value_has_one_length)
{
    const struct table_blob blob = {NUMBER, 5, sizeof(golden)};
    struct blob_ref other = golden_ref;
    const struct block *block;

    put_file(golden, sizeof(golden));
    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    ck_assert_int_eq(blob_read_pinned(files, &golden_ref, &block), 0);
    other.length--;
    other.checksum =
        crc32c(crc32c_seed(NUMBER, other.offset), golden + other.offset, other.length);
    ck_assert_ptr_null(blob_find(files, &other));
    block_unpin(block);
    ck_assert_int_eq(blob_read_pinned(files, &other, &block), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "another length"));
    ck_assert(blob_files_unref(files, NUMBER));
}
END_TEST

/* Only a crafted store has a table of a blob file's number.  Its blocks are no values. */
START_TEST(test_a_block_of_a_table_is_not_taken_for_a_value)
{
    const size_t size = golden_ref.length;
    struct lsmkv_env *env = fixture.context.env;
    const struct block *block;

    block = block_cache_insert(fixture.context.cache, NUMBER, golden_ref.offset,
                               memset(env->allocate(env, size), 0, size), size, size);
    ck_assert_ptr_nonnull(block);
    block_unpin(block);
    ck_assert_ptr_null(blob_find(files, &golden_ref));
}
END_TEST

START_TEST(test_what_failed_leaves_no_file)
{
    static const enum env_call calls[] = {ENV_CALL_FILE_WRITE, ENV_CALL_FILE_SYNC,
                                          ENV_CALL_FILE_CLOSE};

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct fault fault = {.call = calls[i], .nth = 1, .error = EIO};
        struct blob_writer *writer;
        struct blob_ref ref;
        struct env_file *file;

        ck_assert_int_eq(blob_writer_open(&fixture.context, NUMBER, 1,
                                          LSMKV_COMPRESSION_NONE, &writer),
                         0);
        ck_assert_int_eq(add(writer, "key", 1, "value", &ref), 0);
        fault_env_set(fixture.fault, fault);
        ck_assert_int_eq(blob_writer_finish(writer), -EIO);
        fault_env_heal(fixture.fault);
        ck_assert_int_eq(env_file_open(fixture.dir, "000258.blob", ENV_READ, &file),
                         -ENOENT);
    }
}
END_TEST

/* ---- who refers to them ---- */

START_TEST(test_the_last_table_lets_a_file_go)
{
    const struct table_blob two[] = {{3, 10, 100}, {5, 10, 100}};

    ck_assert_int_eq(blob_files_ref(files, 1, two, 2), 0);
    ck_assert_int_eq(blob_files_ref(files, 1, two, 1), 0);
    ck_assert(!blob_files_unref(files, 3));
    ck_assert(blob_files_unref(files, 5));
    ck_assert(blob_files_unref(files, 3));
    ck_assert_uint_eq(blob_files_totals(files).files, 0);
}
END_TEST

/* Then one of them is not what it says. */
static ssize_t (*read_on)(struct env_file *file, uint64_t offset, void *buffer,
                          size_t size);

static ssize_t
let_go_and_read(struct env_file *file, uint64_t offset, void *buffer, size_t size)
{
    ck_assert(blob_files_unref(files, NUMBER));
    return read_on(file, offset, buffer, size);
}

/* A crafted table refers to a file that it does not tell of: so the last table that does may go while
 * the value is being read. */
START_TEST(test_a_file_that_goes_while_it_is_read_is_read_to_the_end)
{
    const struct table_blob blob = {NUMBER, 5, sizeof(golden)};
    char value[8];

    put_file(golden, sizeof(golden));
    ck_assert_int_eq(blob_files_ref(files, 0x21, &blob, 1), 0);
    read_on = fixture.context.env->file_read;
    fixture.context.env->file_read = let_go_and_read;
    ck_assert_int_eq(blob_read(files, &golden_ref, value), 0);
    fixture.context.env->file_read = read_on;
    ck_assert_int_eq(blob_read(files, &golden_ref, value), -EUCLEAN);
}
END_TEST

START_TEST(test_tables_that_differ_about_a_file_are_refused)
{
    const struct table_blob blobs[] = {{3, 10, 100}, {5, 10, 100}};
    const struct table_blob others[] = {{3, 10, 100}, {5, 10, 101}};

    ck_assert_int_eq(blob_files_ref(files, 1, blobs, 2), 0);
    ck_assert_int_eq(blob_files_ref(files, 1, others, 2), -EUCLEAN);
    ck_assert_int_eq(blob_files_ref(files, 2, blobs, 2), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(fixture.last_report, "MANIFEST: offset 0: "));
    ck_assert(blob_files_unref(files, 3)); /* the refused ones hold nothing */
    ck_assert(blob_files_unref(files, 5));
}
END_TEST

/* ---- what is collected ---- */

static struct blob_victims
victims_of(uint32_t keyspace, unsigned least, uint64_t most)
{
    const struct blob_wanted wanted = {.least = least, .most = most};
    struct blob_victims victims;

    ck_assert_int_eq(blob_files_victims(files, keyspace, &wanted, &victims), 0);
    return victims;
}

START_TEST(test_the_deadest_files_are_collected_first)
{
    /* live, of 800 bytes of records: all, half, a quarter, nothing that counts, an eighth of another keyspace */
    const struct table_blob blobs[] = {
        {1, 800, 832}, {2, 400, 832}, {3, 200, 832}, {4, 1, 832}};
    const struct table_blob other = {5, 100, 832}, large = {6, 600, 8000};
    struct blob_victims victims;

    ck_assert_int_eq(blob_files_ref(files, 1, blobs, 4), 0);
    ck_assert_int_eq(blob_files_ref(files, 2, &other, 1), 0);
    blob_files_add_live(files, blobs, 3); /* of 4 only an old reader has a table */
    blob_files_add_live(files, &other, 1);
    ck_assert_uint_eq(blob_files_totals(files).bytes, 5 * 832);
    ck_assert_uint_eq(blob_files_totals(files).dead_bytes, 400 + 600 + 700);

    victims = victims_of(1, 4, 10000);
    ck_assert_uint_eq(victims.count, 2);
    ck_assert_uint_eq(victims.dead, 1000);
    ck_assert(blob_victims_have(&victims, 2) && blob_victims_have(&victims, 3));
    ck_assert(!blob_victims_have(&victims, 1) && !blob_victims_have(&victims, 5));
    blob_victims_fini(&victims);
    victims = victims_of(1, 5, 10000); /* less than five eighths dead: not */
    ck_assert_uint_eq(victims.count, 1);
    blob_victims_fini(&victims);
    victims = victims_of(1, 4, 599); /* no room for the second */
    ck_assert_uint_eq(victims.count, 1);
    ck_assert(blob_victims_have(&victims, 3));
    blob_victims_fini(&victims);
    /* Deader than all, but alone too large: the others need not wait for it. */
    ck_assert_int_eq(blob_files_ref(files, 1, &large, 1), 0);
    blob_files_add_live(files, &large, 1);
    victims = victims_of(1, 4, 599);
    ck_assert_uint_eq(victims.count, 1);
    ck_assert(blob_victims_have(&victims, 3));
    blob_victims_fini(&victims);
    blob_files_drop_live(files, &large, 1);
    ck_assert(blob_files_unref(files, large.number));
    blob_files_pass_over(files, 3);
    victims = victims_of(1, 4, 10000);
    ck_assert_uint_eq(victims.count, 1);
    ck_assert(blob_victims_have(&victims, 2));
    blob_victims_fini(&victims);
    for (uint64_t number = 1; number <= 5; number++)
        ck_assert(blob_files_unref(files, number));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("blob");
    TCase *tests = tcase_create("blob");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_blob_file_has_these_bytes);
    tcase_add_test(tests, test_an_appended_file_has_these_bytes);
    tcase_add_test(tests, test_only_the_last_write_is_undone);
    tcase_add_test(tests, test_a_file_that_broke_is_not_synced_again);
    tcase_add_test(tests, test_many_records_are_appended_at_once);
    tcase_add_test(tests, test_a_probe_finds_every_flipped_byte_and_every_cut);
    tcase_add_test(tests, test_a_walk_finds_every_record);
    tcase_add_test(tests, test_every_flipped_byte_is_found);
    tcase_add_test(tests, test_every_cut_is_found);
    tcase_add_test(tests, test_a_value_of_another_file_or_place_is_refused);
    tcase_add_test(tests, test_values_of_all_sizes_come_back);
    tcase_add_test(tests, test_a_run_reads_many_values_at_once);
    tcase_add_loop_test(tests, test_a_short_value_is_kept_in_the_cache, 0, 3);
    tcase_add_test(tests, test_what_is_expected_stays_as_it_was);
    tcase_add_test(tests, test_a_cached_value_has_one_length);
    tcase_add_test(tests, test_a_block_of_a_table_is_not_taken_for_a_value);
    tcase_add_test(tests, test_what_failed_leaves_no_file);
    tcase_add_test(tests, test_the_last_table_lets_a_file_go);
    tcase_add_test(tests, test_a_file_that_goes_while_it_is_read_is_read_to_the_end);
    tcase_add_test(tests, test_tables_that_differ_about_a_file_are_refused);
    tcase_add_test(tests, test_the_deadest_files_are_collected_first);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
