/*
 * test_store_crafted.c - stores made on purpose: every checksum holds, and what they say cannot
 * be.  None opens and does harm: it is refused with all its files left, or what is wrong shows
 * where it is met and goes no further.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/record.h"
#include "db/db.h"
#include "log/frame.h"
#include "support/rig.h"
#include "support/suite.h"
#include "table/blob.h"

#define PATH "store"

static struct rig rig;
static struct env_dir *dir;
static struct reporter reporter;
static struct tally counters;
static struct table_context tables;
static struct manifest_edit state;

static void
say_nothing(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
}

/* A manifest in the making, of an empty store. */
static void
setup(void)
{
    struct edit_keyspace described = {.order = LSMKV_ORDER_PATH, .name = "default"};

    rig_init(&rig);
    rig.options.create = false;
    ck_assert_int_eq(env_dir_open(rig.options.env, PATH, true, &dir), 0);
    reporter_init(&reporter, say_nothing, NULL);
    tables = (struct table_context){.env = rig.options.env,
                                    .dir = dir,
                                    .reporter = &reporter,
                                    .counters = &counters,
                                    .block_size = 4096,
                                    .filter_bits_per_key = 10};
    memset(&state, 0, sizeof(state));
    state.next_file = 20;
    state.last_sequence = 100;
    ck_assert_int_eq(manifest_edit_keyspace(&state, &described), 0);
}

static void
teardown(void)
{
    manifest_edit_fini(&state);
    reporter_fini(&reporter);
    env_dir_close(dir);
    rig_fini(&rig);
}

static void
write_manifest(void)
{
    struct manifest *manifest;

    ck_assert_int_eq(manifest_roll(dir, &reporter, 1, &state, &manifest), 0);
    ck_assert_int_eq(manifest_close(manifest), 0);
}

static void
add_to(struct table_writer *writer, const char *key, uint64_t sequence)
{
    struct lsmkv_record record = {.value = lsmkv_str("value")};
    struct keybuf internal = {0};
    uint8_t payload[64];

    record_encode(payload, KIND_PUT, &record);
    ck_assert_int_eq(keybuf_set_internal(&internal, lsmkv_str(key), sequence, KIND_PUT),
                     0);
    ck_assert_int_eq(
        table_writer_add(writer, keybuf_slice(&internal),
                         lsmkv_bytes(payload, record_payload_size(KIND_PUT, &record))),
        0);
    keybuf_fini(&internal);
}

/* A table of two keys, and what its writer says of it. */
static struct table_meta
write_table(uint64_t number, const char *first, const char *last, uint64_t sequence)
{
    struct table_meta meta = {0};
    struct table_writer *writer;

    ck_assert_int_eq(table_writer_open(&tables, number, 0, LSMKV_ORDER_PATH, &writer), 0);
    add_to(writer, first, sequence);
    add_to(writer, last, sequence);
    ck_assert_int_eq(table_writer_finish(writer, &meta), 0);
    return meta;
}

static void
list_table(int level, struct table_meta meta)
{
    ck_assert_int_eq(manifest_edit_add(&state, 0, level, &meta), 0);
}

static bool
is_there(const char *name)
{
    struct env_file *file;

    return env_file_open(dir, name, ENV_READ, &file) == 0 && env_file_close(file) == 0;
}

static void
expect_refused(const char *reason)
{
    struct lsmkv *db;

    ck_assert_int_eq(lsmkv_open(PATH, &rig.options, &db), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(rig.last_error, reason));
}

/* It answers, can be written, closed, opened again. */
static void
expect_whole(const char *key)
{
    for (int round = 0; round < 2; round++) {
        if (rig.db == NULL)
            rig_open(&rig);
        ck_assert(rig_holds(&rig, NULL, key, "value"));
        rig_put(&rig, "more", "value");
        rig_close(&rig);
    }
}

static void
compact(int expected)
{
    rig_open(&rig);
    ck_assert_int_eq(
        lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)),
        expected);
}

/* ---- numbers ---- */

START_TEST(test_numbers_in_the_manifest_that_no_store_comes_to_are_refused)
{
    uint64_t *const numbers[] = {&state.next_file, &state.next_snapshot,
                                 &state.last_sequence};
    const uint64_t most[] = {(uint64_t)INT64_MAX - 1, (uint64_t)INT64_MAX - 1,
                             SEQUENCE_MAX};

    /* Bug: file and snapshot numbers were believed, the next of which MANIFEST cannot hold:
     * the store opened, and never again. */
    for (size_t i = 0; i < 3; i++) {
        uint64_t honest = *numbers[i];

        *numbers[i] = most[i];
        write_manifest();
        expect_refused("which no store comes to");
        *numbers[i] = honest;
    }
    write_manifest();
    rig_open(&rig);
}
END_TEST

/* Bug: the last keyspace id there is was given out: the line that made the keyspace is one
 * that its reader refuses. */
START_TEST(test_the_last_keyspace_id_is_not_given_out)
{
    struct lsmkv_keyspace *keyspace;

    state.next_keyspace = UINT32_MAX;
    write_manifest();
    rig_open(&rig);
    ck_assert_int_eq(
        lsmkv_keyspace_create(rig.db, "one more", LSMKV_ORDER_BYTES, &keyspace),
        -EOVERFLOW);
    rig_close(&rig);
    rig_open(&rig);
}
END_TEST

/* Another first line of MANIFEST: `before` becomes `after`, and the checksum what it has to be. */
static void
rewrite_manifest(const char *before, const char *after)
{
    char line[4096], made[4096], *at, *tab;
    struct env_file *file;
    size_t got;

    ck_assert_int_eq(env_file_open(dir, "MANIFEST", ENV_READ | ENV_WRITE, &file), 0);
    got = (size_t)env_file_read(file, 0, line, sizeof(line) - 1);
    ck_assert_uint_lt(got, sizeof(line) - 1);
    line[got] = '\0';
    at = strstr(line, before);
    tab = strchr(line, '\t');
    ck_assert(at != NULL && tab != NULL && strlen(tab) == 10);
    got = (size_t)snprintf(made, sizeof(made), "%.*s%s%.*s", (int)(at - line), line,
                           after, (int)(tab - at - (ptrdiff_t)strlen(before)),
                           at + strlen(before));
    got += (size_t)snprintf(made + got, sizeof(made) - got, "\t%08x\n",
                            crc32c(0, made, got));
    ck_assert_int_eq(env_file_write(file, 0, made, got), 0);
    ck_assert_int_eq(env_file_truncate(file, got), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

/* Who writes it would have to know the feature: it is opened to be read and checked, by nobody else,
 * and stays as it is to the byte. */
START_TEST(test_a_store_with_a_feature_for_readers_is_never_written)
{
    static const char
        lists[] = "\"incompatible\":[\"pages\"]",
        more[] = "\"read_only_compatible\":[\"later\"],\"incompatible\":[\"pages\"]";
    struct lsmkv_check_options check = {.finding = NULL};
    uint64_t before = 0;

    list_table(1, write_table(10, "a", "b", 5));
    write_manifest();
    rewrite_manifest(lists, more);
    for (int i = 0; i < 2; i++) { /* the first leaves a LOCK */
        before = mem_env_hash(rig.memory);
        ck_assert_int_eq(lsmkv_open(PATH, &rig.options, &rig.db), -ENOTSUP);
        ck_assert_ptr_nonnull(strstr(lsmkv_error_detail(), "needs feature \"later\""));
    }
    ck_assert_uint_eq(mem_env_hash(rig.memory), before);
    rig.options.read_only = true;
    rig_open(&rig);
    ck_assert_uint_gt(rig.warnings, 0);
    ck_assert(rig_holds(&rig, NULL, "a", "value"));
    ck_assert_int_lt(
        lsmkv_put(rig.db, NULL, lsmkv_str("a"), lsmkv_str(""), lsmkv_str("new"), 0), 0);
    rig_close(&rig);
    ck_assert_int_eq(lsmkv_check(PATH, &rig.options, &check), 0);
    ck_assert_uint_eq(mem_env_hash(rig.memory), before);
    rewrite_manifest(more, lists);
    rig.options.read_only = false;
    expect_whole("a");
}
END_TEST

static const char *
first_line(void)
{
    static char line[4096];
    struct env_file *file;

    memset(line, 0, sizeof(line));
    ck_assert_int_eq(env_file_open(dir, "MANIFEST", ENV_READ, &file), 0);
    ck_assert_int_gt(env_file_read(file, 0, line, sizeof(line) - 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

/* As its first line has it. */
static unsigned long
shown_number(void)
{
    const char *at = strstr(first_line(), "\"manifest\":");

    ck_assert_ptr_nonnull(at);
    return strtoul(at + strlen("\"manifest\":"), NULL, 10);
}

/* One that an earlier version made names what this one writes before anything is written; not when
 * it is only read, and once. */
START_TEST(test_a_store_of_an_earlier_version_names_pages)
{
    unsigned long before;

    list_table(1, write_table(10, "a", "b", 5));
    write_manifest();
    rewrite_manifest("[\"pages\"]", "[]");
    rig.options.read_only = true;
    rig_open(&rig);
    rig_close(&rig);
    before = shown_number();
    rig.options.read_only = false;
    rig_open(&rig);
    rig_close(&rig);
    ck_assert_uint_gt(shown_number(), before);
    before = shown_number();
    expect_whole("a");
    ck_assert_uint_eq(shown_number(), before);
}
END_TEST

/* The same of one whose compressed keyspaces had no packed values yet. */
START_TEST(test_a_store_that_names_lz4_names_packed)
{
    unsigned long before;

    state.keyspaces[0].compression = LSMKV_COMPRESSION_LZ4;
    list_table(1, write_table(10, "a", "b", 5));
    write_manifest();
    before = shown_number();
    rewrite_manifest("[\"lz4\",\"packed\",\"pages\"]", "[\"lz4\",\"pages\"]");
    rig_open(&rig);
    ck_assert_ptr_nonnull(strstr(first_line(), "[\"lz4\",\"packed\",\"pages\"]"));
    rig_close(&rig);
    ck_assert_uint_gt(shown_number(), before);
    before = shown_number();
    expect_whole("a");
    ck_assert_uint_eq(shown_number(), before);
}
END_TEST

/* Whichever call of that fails, once or from then on, the next opening finds the store. */
START_TEST(test_every_failing_call_of_naming_pages)
{
    const int error = _i % 2 == 0 ? EIO : ENOSPC;
    const bool sticky = _i >= 2;

    for (uint64_t nth = 1;; nth++) {
        bool failed;
        int result;

        if (nth > 1) {
            teardown();
            setup();
        }
        list_table(1, write_table(10, "a", "b", 5));
        write_manifest();
        rewrite_manifest("[\"pages\"]", "[]");
        fault_env_set(rig.faults,
                      (struct fault){ENV_CALL_ANY, nth, sticky, error, false});
        result = lsmkv_open(PATH, &rig.options, &rig.db);
        failed = fault_env_failures(rig.faults) > 0;
        fault_env_heal(rig.faults);
        if (result == 0) { /* the call was not needed, or the threads' */
            (void)lsmkv_close(rig.db);
            rig.db = NULL;
        }
        if (!failed) {
            ck_assert_int_eq(result, 0);
            ck_assert_uint_gt(nth, 20);
            return;
        }
        expect_whole("a");
    }
}
END_TEST

/* ---- logs ---- */

static void
write_entries(uint64_t number, struct wal_previous previous, uint64_t sequence,
              struct lsmkv_batch *batch)
{
    struct wal_append frame = {.first_sequence = sequence, .entries = batch_slice(batch)};
    struct wal_writer *writer;

    ck_assert_int_eq(wal_create(dir, number, &previous, &reporter, &writer), 0);
    ck_assert_int_eq(wal_append(writer, &frame, 1), 0);
    ck_assert_int_eq(wal_sync(writer), 0);
    ck_assert_int_eq(wal_close(writer), 0);
    batch_fini(batch);
}

static void
write_log(uint64_t number, struct wal_previous previous, uint64_t sequence)
{
    struct lsmkv_record record = {.value = lsmkv_str("value")};
    struct lsmkv_batch batch;

    batch_init(&batch);
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, lsmkv_str("key"), &record), 0);
    write_entries(number, previous, sequence, &batch);
}

/* Bug: a sequence that only a log names was believed.  The next ones would have run into the
 * kind's byte, and the flush wrote a MANIFEST that does not load. */
START_TEST(test_a_log_with_sequences_that_no_store_comes_to_is_refused)
{
    write_log(3, (struct wal_previous){0, 0}, SEQUENCE_MAX - 1);
    write_manifest();
    expect_refused("which no store comes to");
    ck_assert_ptr_nonnull(strstr(rig.last_error, "000003.log: offset"));
    ck_assert(is_there("000003.log"));
}
END_TEST

START_TEST(test_logs_that_name_each_other_are_refused)
{
    const struct wal_previous itself = {3, 112}, later = {4, 112}, earlier = {3, 112};

    write_manifest();
    write_log(3, itself, 101);
    expect_refused("names log 3 as the one before it");
    ck_assert_int_eq(env_dir_unlink(dir, "000003.log"), 0);
    write_log(3, later, 101);
    write_log(4, earlier, 102);
    expect_refused("names log 4 as the one before it");
    ck_assert(is_there("000003.log") && is_there("000004.log"));
}
END_TEST

/* An entry of the log that refers to a value in a blob file. */
static void
add_ref(struct lsmkv_batch *batch, uint64_t file, uint64_t offset)
{
    const struct blob_ref ref = {.file = file, .offset = offset, .length = 10};
    uint8_t bytes[BLOB_REF_SIZE];
    const struct lsmkv_record record = {.value = lsmkv_bytes(bytes, sizeof(bytes))};

    blob_ref_encode(bytes, &ref);
    ck_assert_int_eq(
        batch_add(batch, 0, KIND_PUT | KIND_BLOB_BIT, lsmkv_str("key"), &record), 0);
}

static const uint64_t first_value = BLOB_HEADER_SIZE + BLOB_HEAD_SIZE + 3 + 8;

/* What it refers to would be read once an entry, and all between written again, holes too. */
START_TEST(test_a_log_that_refers_to_values_out_of_turn_is_refused)
{
    const uint64_t offsets[][2] = {{0, first_value},
                                   {first_value + 1, first_value},
                                   {first_value, first_value},
                                   {first_value, UINT64_C(1) << 50}};
    struct lsmkv_batch batch;

    batch_init(&batch);
    for (unsigned i = 0; i < 2; i++)
        add_ref(&batch, 9, offsets[_i][i]);
    write_entries(3, (struct wal_previous){0, 0}, 101, &batch);
    write_manifest();
    expect_refused("which does not follow the value before");
    ck_assert_ptr_nonnull(strstr(rig.last_error, "000003.log: offset"));
}
END_TEST

/* Each entry was looked for among all files that the log referred to. */
START_TEST(test_a_log_that_refers_to_many_blob_files_is_refused)
{
    struct lsmkv_batch batch;

    batch_init(&batch);
    for (unsigned i = 0; i < 100000; i++)
        add_ref(&batch, 9 + i, first_value);
    write_entries(3, (struct wal_previous){0, 0}, 101, &batch);
    write_manifest();
    expect_refused("one file more than the 32");
    ck_assert_ptr_nonnull(strstr(rig.last_error, "000003.log: offset"));
}
END_TEST

/* ---- tables ---- */

START_TEST(test_tables_of_a_level_that_overlap_are_refused)
{
    list_table(1, write_table(5, "a", "k", 7));
    list_table(1, write_table(6, "c", "z", 8));
    write_manifest();
    expect_refused("overlap");
    ck_assert(is_there("000005.sst") && is_there("000006.sst"));
}
END_TEST

START_TEST(test_a_table_of_an_absurd_size_is_refused)
{
    struct table_meta meta = write_table(5, "a", "k", 7);

    meta.size = (uint64_t)INT64_MAX - 1;
    list_table(1, meta);
    write_manifest();
    expect_refused("000005.sst: offset");
    ck_assert(is_there("000005.sst"));
}
END_TEST

static void
lower_sequence(struct table_meta *meta, struct lsmkv_slice user_key, struct keybuf *key,
               uint64_t sequence)
{
    meta->smallest_sequence = meta->largest_sequence = sequence;
    ck_assert_int_eq(keybuf_set_internal(key, user_key, sequence, KIND_PUT), 0);
}

/* Bug: a merge wrote into MANIFEST the sequences that it found in its inputs, though they were
 * told to hold none so large: the store closed well, and did not open again. */
START_TEST(test_a_table_with_larger_sequences_than_told_is_not_merged)
{
    struct table_meta meta = write_table(5, "a", "k", SEQUENCE_MAX - 1);

    lower_sequence(&meta, lsmkv_str("a"), &meta.smallest, 7);
    lower_sequence(&meta, lsmkv_str("k"), &meta.largest, 7);
    list_table(0, meta);
    list_table(0, write_table(6, "c", "z", 8));
    write_manifest();
    compact(-EUCLEAN);
    ck_assert_ptr_nonnull(strstr(rig.last_error, "that MANIFEST does not tell of"));
    ck_assert(is_there("000005.sst") && is_there("000006.sst"));
    expect_whole("z");
}
END_TEST

/* With keys beyond those told the merged table would lie over its neighbours. */
START_TEST(test_a_table_with_other_keys_than_told_is_not_merged)
{
    struct table_meta meta = write_table(5, "a", "y", 7);

    ck_assert_int_eq(keybuf_set_internal(&meta.largest, lsmkv_str("c"), 7, KIND_PUT), 0);
    list_table(0, meta);
    list_table(0, write_table(6, "b", "d", 8));
    list_table(1, write_table(7, "x", "z", 3));
    write_manifest();
    rig.options.l0_compaction_trigger = 2;
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, lsmkv_str("a"), lsmkv_str("d")),
                     -EUCLEAN);
    expect_whole("z");
}
END_TEST

/* A table whose key refers to a value in `blob`, and which tells of no blob file. */
static struct table_meta
write_reference(uint64_t number, const char *key, const struct blob_ref *blob)
{
    const uint8_t kind = KIND_PUT | KIND_BLOB_BIT;
    uint8_t bytes[BLOB_REF_SIZE], payload[64];
    struct lsmkv_record record = {.value = lsmkv_bytes(bytes, sizeof(bytes))};
    struct table_meta meta = {0};
    struct table_writer *writer;
    struct keybuf internal = {0};

    blob_ref_encode(bytes, blob);
    record_encode(payload, kind, &record);
    ck_assert_int_eq(keybuf_set_internal(&internal, lsmkv_str(key), 7, kind), 0);
    ck_assert_int_eq(table_writer_open(&tables, number, 0, LSMKV_ORDER_PATH, &writer), 0);
    ck_assert_int_eq(
        table_writer_add(writer, keybuf_slice(&internal),
                         lsmkv_bytes(payload, record_payload_size(kind, &record))),
        0);
    ck_assert_int_eq(table_writer_finish(writer, &meta), 0);
    keybuf_fini(&internal);
    free(meta.blobs);
    meta.blobs = NULL;
    meta.blob_count = 0;
    return meta;
}

/* Bug: a merge wrote into MANIFEST the blob files that it found in its inputs, though they were told
 * to refer to none, and without a size: the store closed well, and did not open again. */
START_TEST(test_a_table_that_refers_to_other_blob_files_than_told_is_not_merged)
{
    const struct blob_ref blob = {9, 100, 10, 0, 0, 0};
    struct lsmkv_record record;
    char value[16];

    list_table(0, write_reference(5, "a", &blob));
    list_table(0, write_table(6, "a", "z", 3));
    write_manifest();
    compact(-EUCLEAN);
    ck_assert_ptr_nonnull(strstr(rig.last_error, "none that MANIFEST tells of"));
    ck_assert_int_eq(
        lsmkv_get(rig.db, NULL, NULL, lsmkv_str("a"), value, sizeof(value), &record),
        -EUCLEAN);
    expect_whole("z");
}
END_TEST

/* ---- other files than regular ones ---- */

static void
expect_link_refused(const char *store, const char *name)
{
    struct lsmkv_options options = {0};
    char path[256], target[256];
    struct lsmkv *db;

    lsmkv_options_init(&options);
    options.log = say_nothing;
    snprintf(path, sizeof(path), "%s/%s", store, name);
    snprintf(target, sizeof(target), "%s.elsewhere", store);
    ck_assert_int_eq(rename(path, target), 0);
    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_ne(lsmkv_open(store, &options, &db), 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_ne(lsmkv_open(store, &options, &db), 0);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rename(target, path), 0);
}

/* Each file of a real store gives its place to a link to it, and to a folder. */
START_TEST(test_links_and_folders_in_place_of_files_are_refused)
{
    static const char *const names[] = {"MANIFEST", "CLOSED", "LOCK", "000002.log"};
    struct lsmkv_options options;
    char store[] = "/tmp/lsmkv-crafted.XXXXXX", path[256];
    struct lsmkv *db;

    ck_assert_ptr_nonnull(mkdtemp(store));
    lsmkv_options_init(&options);
    options.create = true;
    ck_assert_int_eq(lsmkv_open(store, &options, &db), 0);
    ck_assert_int_eq(
        lsmkv_put(db, NULL, lsmkv_str("k"), lsmkv_str(""), lsmkv_str("v"), 0), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        expect_link_refused(store, names[i]);
    ck_assert_int_eq(lsmkv_open(store, &options, &db), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    ck_assert_int_lt(snprintf(path, sizeof(path), "rm -r %s", store), sizeof(path));
    ck_assert_int_eq(system(path), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store_crafted");
    TCase *tcase = tcase_create("store_crafted");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase,
                   test_numbers_in_the_manifest_that_no_store_comes_to_are_refused);
    tcase_add_test(tcase, test_the_last_keyspace_id_is_not_given_out);
    tcase_add_test(tcase, test_a_store_with_a_feature_for_readers_is_never_written);
    tcase_add_test(tcase, test_a_store_of_an_earlier_version_names_pages);
    tcase_add_test(tcase, test_a_store_that_names_lz4_names_packed);
    tcase_add_loop_test(tcase, test_every_failing_call_of_naming_pages, 0, 4);
    tcase_add_test(tcase, test_a_log_with_sequences_that_no_store_comes_to_is_refused);
    tcase_add_test(tcase, test_logs_that_name_each_other_are_refused);
    tcase_add_test(tcase, test_a_log_that_refers_to_many_blob_files_is_refused);
    tcase_add_loop_test(tcase, test_a_log_that_refers_to_values_out_of_turn_is_refused, 0,
                        4);
    tcase_add_test(tcase, test_tables_of_a_level_that_overlap_are_refused);
    tcase_add_test(tcase, test_a_table_of_an_absurd_size_is_refused);
    tcase_add_test(tcase, test_a_table_with_larger_sequences_than_told_is_not_merged);
    tcase_add_test(tcase, test_a_table_with_other_keys_than_told_is_not_merged);
    tcase_add_test(tcase,
                   test_a_table_that_refers_to_other_blob_files_than_told_is_not_merged);
    tcase_add_test(tcase, test_links_and_folders_in_place_of_files_are_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
