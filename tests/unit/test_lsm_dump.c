/*
 * test_lsm_dump.c - the program lsm-dump, run on tables and stores made here.
 *
 * It stands in ../bin beside the folder of this program, or where LSM_DUMP says.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/record.h"
#include "manifest/manifest.h"
#include "support/suite.h"

#define OUTPUT_MAX 65536

static char folder[] = "/tmp/test_lsm_dump.XXXXXX";
static char program[PATH_MAX];
static char output[OUTPUT_MAX]; /* of the last run, standard error too */
static struct env_dir *dir;
static struct block_cache *cache;
static struct reporter reporter;
static struct tally counters;
static struct table_context context;

static void
ignore(void *unused, enum lsmkv_level level, const char *line)
{
    (void)unused;
    (void)level;
    (void)line;
}

static void
find_program(void)
{
    const char *given = getenv("LSM_DUMP");
    ssize_t size;
    char *slash;

    if (given != NULL) {
        snprintf(program, sizeof(program), "%s", given);
        return;
    }
    size = readlink("/proc/self/exe", program, sizeof(program) - 32);
    ck_assert_int_gt(size, 0);
    program[size] = '\0';
    slash = strrchr(program, '/');
    strcpy(slash, "/../bin/lsm-dump");
    ck_assert_msg(access(program, X_OK) == 0, "%s is not there", program);
}

static void
setup(void)
{
    find_program();
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(env_dir_open(env_posix(), folder, false, &dir), 0);
    ck_assert_int_eq(block_cache_new(env_posix(), 0, &cache), 0);
    reporter_init(&reporter, ignore, NULL);
    context = (struct table_context){
        .env = env_posix(),
        .dir = dir,
        .cache = cache,
        .reporter = &reporter,
        .counters = &counters,
        .block_size = 64,
        .filter_bits_per_key = 10,
    };
}

static int
unlink_one(void *unused, const char *name)
{
    (void)unused;
    return env_dir_unlink(dir, name);
}

static void
teardown(void)
{
    ck_assert_int_eq(env_dir_list(dir, unlink_one, NULL), 0);
    ck_assert_int_eq(rmdir(folder), 0);
    block_cache_free(cache);
    reporter_fini(&reporter);
    env_dir_close(dir);
}

/* Runs lsm-dump with `arguments` (for the shell) in the folder; returns its exit
 * status. */
static int
run(const char *arguments)
{
    char command[2 * PATH_MAX];
    FILE *pipe;
    size_t size;
    int status;

    snprintf(command, sizeof(command), "cd %s && %s %s 2>&1", folder, program, arguments);
    pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size = fread(output, 1, sizeof(output) - 1, pipe);
    output[size] = '\0';
    status = pclose(pipe);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
add(struct table_writer *writer, struct lsmkv_slice key, uint64_t sequence, uint8_t kind,
    const struct lsmkv_record *record)
{
    struct keybuf internal = {0};
    uint8_t payload[256];

    ck_assert_uint_le(record_payload_size(kind, record), sizeof(payload));
    record_encode(payload, kind, record);
    ck_assert_int_eq(keybuf_set_internal(&internal, key, sequence, kind), 0);
    ck_assert_int_eq(
        table_writer_add(writer, keybuf_slice(&internal),
                         lsmkv_bytes(payload, record_payload_size(kind, record))),
        0);
    keybuf_fini(&internal);
}

/* a/b (twice), a NUL, a.c (gone), ctl, utf8: five keys, six entries. */
static void
write_table(uint64_t number, struct table_meta *meta)
{
    struct lsmkv_record one = {.attributes = lsmkv_str("at"), .value = lsmkv_str("one")};
    struct lsmkv_record timed = {.value = lsmkv_str("two\n"), .stamp_time = -5};
    struct lsmkv_record moved = {
        .value = lsmkv_bytes("\xff\x00", 2), .stamp_sequence = 3, .stamp_time = 99};
    struct table_writer *writer;

    ck_assert_int_eq(table_writer_open(&context, number, 4, LSMKV_ORDER_PATH, &writer),
                     0);
    add(writer, lsmkv_str("a/b"), 8, KIND_PUT_TIMED, &timed);
    add(writer, lsmkv_str("a/b"), 5, KIND_PUT, &one);
    add(writer, lsmkv_bytes("a\0", 2), 6, KIND_PUT, &one);
    add(writer, lsmkv_str("a.c"), 7, KIND_DELETE, &one);
    add(writer, lsmkv_str("ctl\x1b\"\\"), 9, KIND_PUT_STAMPED, &moved);
    add(writer, lsmkv_str("utf\xc3\xa9"), 10, KIND_PUT, &one);
    ck_assert_int_eq(table_writer_finish(writer, meta), 0);
}

static void
write_file(void)
{
    struct table_meta meta = {0};

    write_table(12, &meta);
    table_meta_fini(&meta);
}

START_TEST(test_entries_are_printed_sorted_with_every_version)
{
    write_file();
    ck_assert_int_eq(run("000012.sst"), 0);
    ck_assert_str_eq(
        output,
        "entry key=\"a/b\" sequence=8 kind=put_timed stamp_time=-5 attributes=\"\" "
        "value=\"two\\n\"\n"
        "entry key=\"a/b\" sequence=5 kind=put attributes=\"at\" value=\"one\"\n"
        "entry key=\"a\\x00\" sequence=6 kind=put attributes=\"at\" value=\"one\"\n"
        "entry key=\"a.c\" sequence=7 kind=delete\n"
        "entry key=\"ctl\\x1b\\\"\\\\\" sequence=9 kind=put_stamped stamp_sequence=3 "
        "stamp_time=99 attributes=\"\" value=\"\\xff\\x00\"\n"
        "entry key=\"utf\xc3\xa9\" sequence=10 kind=put attributes=\"at\" value=\"one\"\n");
}
END_TEST

START_TEST(test_keys_in_hex)
{
    write_file();
    ck_assert_int_eq(run("--keys --hex ./000012.sst"), 0);
    ck_assert_str_eq(output, "entry key=612f62 sequence=8 kind=put_timed\n"
                             "entry key=612f62 sequence=5 kind=put\n"
                             "entry key=6100 sequence=6 kind=put\n"
                             "entry key=612e63 sequence=7 kind=delete\n"
                             "entry key=63746c1b225c sequence=9 kind=put_stamped\n"
                             "entry key=757466c3a9 sequence=10 kind=put\n");
}
END_TEST

static void
assert_string(const json_t *object, const char *name, const char *expected)
{
    const json_t *field = json_object_get(object, name);

    if (expected == NULL) {
        ck_assert_ptr_null(field);
        return;
    }
    ck_assert(json_is_string(field));
    ck_assert_uint_eq(json_string_length(field), strlen(expected));
    ck_assert_str_eq(json_string_value(field), expected);
}

START_TEST(test_every_json_line_parses)
{
    static const char *const keys[][2] = {
        {"612f62", "a/b"},
        {"612f62", "a/b"},
        {"6100", NULL},
        {"612e63", "a.c"},
        {"63746c1b225c", "ctl\x1b\"\\"},
        {"757466c3a9", "utf\xc3\xa9"},
    };
    char *line, *rest = output;
    size_t i = 0;

    write_file();
    ck_assert_int_eq(run("--json 000012.sst"), 0);
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        json_t *object = json_loads(line, JSON_ALLOW_NUL, NULL);

        ck_assert_msg(object != NULL, "%s", line);
        ck_assert_uint_lt(i, 6);
        assert_string(object, "type", "entry");
        assert_string(object, "key", keys[i][0]);
        if (keys[i][1] != NULL)
            assert_string(object, "key_text", keys[i][1]);
        ck_assert_int_eq(json_integer_value(json_object_get(object, "table")), 12);
        if (i == 4) {
            assert_string(object, "value", "ff00");
            assert_string(object, "value_text", NULL); /* no UTF-8 */
        }
        json_decref(object);
        i++;
    }
    ck_assert_uint_eq(i, 6);
}
END_TEST

START_TEST(test_ranges_follow_the_order_of_the_table)
{
    write_file();
    ck_assert_int_eq(run("--keys --hex --from=a/ --to='a.' 000012.sst"), 0);
    ck_assert_str_eq(output, "entry key=612f62 sequence=8 kind=put_timed\n"
                             "entry key=612f62 sequence=5 kind=put\n"
                             "entry key=6100 sequence=6 kind=put\n");
    ck_assert_int_eq(run("--keys --hex --prefix='a\\x00' 000012.sst"), 0);
    ck_assert_str_eq(output, "entry key=6100 sequence=6 kind=put\n");
    ck_assert_int_eq(run("--keys --hex --prefix=a --from=a.c 000012.sst"), 0);
    ck_assert_str_eq(output, "entry key=612e63 sequence=7 kind=delete\n");
    ck_assert_int_eq(run("--prefix=b 000012.sst"), 0);
    ck_assert_str_eq(output, "");
    ck_assert_int_eq(run("--from='\\q' 000012.sst"), 2);
}
END_TEST

START_TEST(test_index_filter_and_properties)
{
    write_file();
    ck_assert_int_eq(run("--index --filter --props 000012.sst"), 0);
    ck_assert_ptr_nonnull(strstr(output,
                                 "properties table=12 keyspace=4 order=path entries=6 "
                                 "tombstones=1 smallest_sequence=5 "
                                 "largest_sequence=10"));
    /* five keys and the ancestor "a" */
    ck_assert_ptr_nonnull(strstr(output, "filter lines=1 bytes=65 keys=6 probes=6"));
    ck_assert_ptr_nonnull(strstr(output, "block offset=0 size="));
    ck_assert_ptr_nonnull(strstr(output, "largest_sequence=8 separator=\"\"\n"));
    ck_assert_ptr_null(strstr(output, "entry"));
}
END_TEST

START_TEST(test_properties_of_a_compressed_table)
{
    static char text[200];
    struct lsmkv_record record = {.value = lsmkv_bytes(text, sizeof(text))};
    struct table_meta meta = {0};
    struct table_writer *writer;

    ck_assert_int_eq(table_writer_open(&context, 13, 4, LSMKV_ORDER_PATH, &writer), 0);
    table_writer_compress(writer, LSMKV_COMPRESSION_LZ4);
    add(writer, lsmkv_str("key"), 8, KIND_PUT, &record);
    ck_assert_int_eq(table_writer_finish(writer, &meta), 0);
    table_meta_fini(&meta);
    ck_assert_int_eq(run("--props --keys --verify 000013.sst"), 0);
    /* a block of one entry: three lengths in 4 bytes, key of 11, payload of 201, 8 and 5 */
    ck_assert_ptr_nonnull(strstr(output, " compression=lz4 raw_data_bytes=229 "));
    ck_assert_ptr_nonnull(strstr(output, "entry key=\"key\" sequence=8 kind=put\n"));
    ck_assert_ptr_nonnull(strstr(output, "verify table=13 result=good entries=1"));
    write_file();
    ck_assert_int_eq(run("--props 000012.sst"), 0);
    ck_assert_ptr_null(strstr(output, "compression"));
}
END_TEST

static void
damage(const char *name, uint64_t offset)
{
    struct env_file *file;
    uint8_t byte;

    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_read(file, offset, &byte, 1), 1);
    byte ^= 1;
    ck_assert_int_eq(env_file_write(file, offset, &byte, 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

START_TEST(test_verify_tells_good_from_damaged)
{
    write_file();
    ck_assert_int_eq(run("--verify 000012.sst"), 0);
    ck_assert_ptr_nonnull(strstr(output, "verify table=12 result=good entries=6"));
    damage("000012.sst", 1);
    ck_assert_int_eq(run("--verify 000012.sst"), 1);
    ck_assert_ptr_nonnull(strstr(output, "result=damaged"));
    ck_assert_ptr_nonnull(strstr(output, "lsm-dump: 000012.sst: offset 0: "));
    ck_assert_int_eq(run("000012.sst"), 1);
    ck_assert_ptr_nonnull(strstr(output, "lsm-dump: 000012.sst: offset 0: "));
}
END_TEST

START_TEST(test_usage_and_absence_have_their_own_status)
{
    ck_assert_int_eq(run("--help"), 0);
    ck_assert_ptr_nonnull(strstr(output, "usage: lsm-dump"));
    ck_assert_int_eq(run("--version"), 0);
    ck_assert_int_eq(strncmp(output, "lsm-dump ", 9), 0);
    ck_assert_int_eq(run(""), 2);
    ck_assert_int_eq(run("--nonsense x"), 2);
    ck_assert_int_eq(run("nothing-here.sst"), 2);
    ck_assert_int_eq(run("."), 2);
    ck_assert_ptr_nonnull(strstr(output, "not a store"));
}
END_TEST

START_TEST(test_output_that_cannot_be_written_is_an_error)
{
    write_file();
    ck_assert_int_eq(run("--props 000012.sst >/dev/full"), 2);
}
END_TEST

/* ---- stores ---- */

/* A store of two tables: 13 at level 0, 12 at level 1. */
static void
write_store(void)
{
    struct manifest_edit state = {.next_file = 20};
    struct edit_keyspace keyspace = {
        .id = 4, .order = LSMKV_ORDER_PATH, .name = "default"};
    struct manifest *manifest;

    ck_assert_int_eq(manifest_edit_keyspace(&state, &keyspace), 0);
    for (uint64_t number = 12; number <= 13; number++) {
        struct table_meta meta = {0};

        write_table(number, &meta);
        ck_assert_int_eq(manifest_edit_add(&state, 4, number == 12, &meta), 0);
    }
    ck_assert_int_eq(manifest_roll(dir, &reporter, 1, &state, &manifest), 0);
    ck_assert_int_eq(manifest_close(manifest), 0);
    manifest_edit_fini(&state);
}

START_TEST(test_a_store_is_dumped_by_level)
{
    const char *first, *second;

    write_store();
    ck_assert_int_eq(run("--keys ."), 0);
    first = strstr(output, "table number=13 level=0 keyspace=\"default\"");
    second = strstr(output, "table number=12 level=1 keyspace=\"default\"");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    ck_assert(first < second);
    ck_assert_ptr_nonnull(strstr(output, "smallest=\"a/b\" largest=\"utf\xc3\xa9\""));
    ck_assert_ptr_nonnull(strstr(second, "entry key=\"a.c\" sequence=7 kind=delete\n"));
    ck_assert_int_eq(run("--verify ."), 0);
}
END_TEST

START_TEST(test_a_store_with_a_lost_or_foreign_table_is_damaged)
{
    write_store();
    ck_assert_int_eq(env_dir_unlink(dir, "000013.sst"), 0);
    ck_assert_int_eq(run("--keys ."), 1);
    ck_assert_ptr_nonnull(strstr(output, "000013.sst"));
    ck_assert_ptr_nonnull(strstr(output, "table number=12")); /* the rest goes on */
    ck_assert_int_eq(env_dir_rename(dir, "000012.sst", "000013.sst"), 0);
    ck_assert_int_eq(run("--keys ."), 1);
    ck_assert_ptr_nonnull(strstr(output, "expected table 13"));
}
END_TEST

START_TEST(test_a_store_with_a_damaged_manifest_is_damaged)
{
    write_store();
    damage("MANIFEST", 3);
    ck_assert_int_eq(run("."), 1);
    ck_assert_ptr_nonnull(strstr(output, "MANIFEST"));
}
END_TEST

static Suite *
dump_suite(void)
{
    Suite *suite = suite_create("lsm-dump");
    TCase *tcase = tcase_create("lsm-dump");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_entries_are_printed_sorted_with_every_version);
    tcase_add_test(tcase, test_keys_in_hex);
    tcase_add_test(tcase, test_every_json_line_parses);
    tcase_add_test(tcase, test_ranges_follow_the_order_of_the_table);
    tcase_add_test(tcase, test_index_filter_and_properties);
    tcase_add_test(tcase, test_properties_of_a_compressed_table);
    tcase_add_test(tcase, test_verify_tells_good_from_damaged);
    tcase_add_test(tcase, test_usage_and_absence_have_their_own_status);
    tcase_add_test(tcase, test_output_that_cannot_be_written_is_an_error);
    tcase_add_test(tcase, test_a_store_is_dumped_by_level);
    tcase_add_test(tcase, test_a_store_with_a_lost_or_foreign_table_is_damaged);
    tcase_add_test(tcase, test_a_store_with_a_damaged_manifest_is_damaged);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    return run_suite(dump_suite());
}
