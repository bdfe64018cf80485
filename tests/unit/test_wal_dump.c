/*
 * test_wal_dump.c - the tool lsm-wal-dump, run on logs in a real directory.
 *
 * The tool is looked for beside this program, in ../bin; LSM_WAL_DUMP names another.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/coding.h"
#include "base/record.h"
#include "log/frame.h"
#include "log/wal.h"
#include "support/log_fixture.h"
#include "support/suite.h"

static char directory[64];
static char output[1 << 16];
static struct env_dir *dir;
static struct reporter reporter;

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/test_wal_dump.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    reporter_init(&reporter, NULL, NULL);
    ck_assert_int_eq(env_dir_open(env_posix(), directory, false, &dir), 0);
}

static int
unlink_name(void *context, const char *name)
{
    (void)context;
    return env_dir_unlink(dir, name);
}

static void
teardown(void)
{
    ck_assert_int_eq(env_dir_list(dir, unlink_name, NULL), 0);
    env_dir_close(dir);
    reporter_fini(&reporter);
    ck_assert_int_eq(rmdir(directory), 0);
}

static const char *
tool(void)
{
    static char path[512];
    const char *given = getenv("LSM_WAL_DUMP");
    ssize_t length;

    if (given != NULL)
        return given;
    length = readlink("/proc/self/exe", path, sizeof(path) - 32);
    ck_assert_int_gt(length, 0);
    path[length] = '\0';
    snprintf(strrchr(path, '/'), 32, "/../bin/lsm-wal-dump");
    return path;
}

/* Runs the tool with these arguments, %s being the directory; gives its exit status. */
static int
dump(const char *arguments)
{
    char command[1024], expanded[256];
    FILE *pipe;
    size_t size;
    int status;

    snprintf(expanded, sizeof(expanded), "%s%s%s", directory,
             *arguments == '/' ? "" : " ", arguments);
    snprintf(command, sizeof(command), "%s %s 2>&1", tool(), expanded);
    pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size = fread(output, 1, sizeof(output) - 1, pipe);
    output[size] = '\0';
    status = pclose(pipe);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
expect_line(const char *line)
{
    ck_assert_msg(strstr(output, line) != NULL, "no \"%s\" in:\n%s", line, output);
}

/* Log 7 with a put, a delete and a moved record, then log 9 with one put, not synced. */
static void
write_logs(void)
{
    const struct wal_previous none = {0, 0};
    struct lsmkv_record record = {.value = lsmkv_str("hello\n"),
                                  .attributes = lsmkv_str("at"),
                                  .stamp_sequence = 3,
                                  .stamp_time = 4};
    struct wal_writer *older, *newer;
    struct lsmkv_batch batch;
    struct wal_append frame = {.first_sequence = 10};

    ck_assert_int_eq(wal_create(dir, 7, &none, &reporter, &older), 0);
    batch_init(&batch);
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT, lsmkv_str("a/b"), &record), 0);
    ck_assert_int_eq(batch_add(&batch, 2, KIND_DELETE, lsmkv_str("gone"), NULL), 0);
    ck_assert_int_eq(batch_add(&batch, 0, KIND_PUT_STAMPED, lsmkv_str("moved"), &record),
                     0);
    batch_set_time(&batch, 1234567890);
    frame.entries = batch_slice(&batch);
    ck_assert_int_eq(wal_append(older, &frame, 1), 0);
    ck_assert_int_eq(wal_rotate(dir, 9, older, &newer), 0);
    log_append_ok(newer, 13, 10);
    ck_assert_int_eq(wal_close(older), 0);
    ck_assert_int_eq(wal_close(newer), 0);
    batch_fini(&batch);
}

/* Writes bytes into a log; an offset below 0 counts from its end. */
static void
patch(const char *name, long offset, const void *bytes, size_t size)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(test_a_store_is_shown_log_by_log_and_operation_by_operation)
{
    write_logs();
    ck_assert_int_eq(dump(""), 0);
    expect_line("log log=7 size=");
    expect_line(
        "first log=7 offset=0 length=32 checksum=ok version=1 features=3 previous=0 "
        "previous_end=0\n");
    expect_line("batch log=7 offset=56 length=69 checksum=ok first_sequence=10 entries=3 "
                "synced=56 time=1234567890\n");
    expect_line("operation log=7 sequence=10 kind=put keyspace=0 key=\"a/b\" "
                "stamp_sequence=10 stamp_time=0 attributes=\"at\" value=\"hello\\n\"\n");
    expect_line("operation log=7 sequence=11 kind=delete keyspace=2 key=\"gone\"\n");
    expect_line("sequence=12 kind=put_stamped keyspace=0 key=\"moved\" stamp_sequence=3 "
                "stamp_time=4 ");
    expect_line("end log=7 offset=152 stop=clean_end reason=where log 9 says");
    expect_line(
        "first log=9 offset=0 length=32 checksum=ok version=1 features=3 previous=7 "
        "previous_end=152\n");
    expect_line("stop=clean_end reason=the end of the file\n");
}
END_TEST

START_TEST(test_a_value_that_stands_apart_is_shown_as_its_reference)
{
    const struct wal_previous none = {0, 0};
    const struct blob_ref ref = {8, 60, 5000, 77, 0, 0};
    uint8_t bytes[BLOB_REF_SIZE];
    struct lsmkv_record record = {.attributes = lsmkv_str("at")};
    struct wal_append frame = {.first_sequence = 10};
    struct wal_writer *writer;
    struct lsmkv_batch batch;

    blob_ref_encode(bytes, &ref);
    record.value = lsmkv_bytes(bytes, sizeof(bytes));
    batch_init(&batch);
    ck_assert_int_eq(
        batch_add(&batch, 0, KIND_PUT | KIND_BLOB_BIT, lsmkv_str("a"), &record), 0);
    frame.entries = batch_slice(&batch);
    ck_assert_int_eq(wal_create(dir, 7, &none, &reporter, &writer), 0);
    ck_assert_int_eq(wal_append(writer, &frame, 1), 0);
    ck_assert_int_eq(wal_close(writer), 0);
    batch_fini(&batch);
    ck_assert_int_eq(dump(""), 0);
    expect_line("kind=put_blob keyspace=0 key=\"a\" stamp_sequence=10 stamp_time=0 "
                "attributes=\"at\" blob=8 offset=60 bytes=5000 checksum=77\n");
}
END_TEST

START_TEST(test_one_file_is_shown_and_a_copy_by_its_number)
{
    write_logs();
    ck_assert_int_eq(dump("/000009.log"), 0);
    expect_line("operation log=9 sequence=13 kind=put ");
    ck_assert_ptr_null(strstr(output, "log=7 offset"));
    ck_assert_int_eq(env_dir_rename(dir, "000009.log", "copy"), 0);
    ck_assert_int_eq(dump("/copy"), 2);
    ck_assert_int_eq(dump("/copy --number 9"), 0);
    expect_line("operation log=9 sequence=13 kind=put ");
    ck_assert_int_eq(dump("/copy --number 8"), 4);
    expect_line("end log=8 offset=0 stop=torn_frame");
}
END_TEST

START_TEST(test_a_torn_frame_is_status_4_and_damage_status_1)
{
    write_logs();
    patch("000009.log", -3, "\xff", 1);
    ck_assert_int_eq(dump(""), 4);
    expect_line("bad_frame log=9 offset=56 length=");
    expect_line(" checksum=bad frame_type=2 first_sequence=13 synced=56\n");
    expect_line("end log=9 offset=56 stop=torn_frame reason=");

    patch("000007.log", 70, "\xff", 1);
    ck_assert_int_eq(dump(""), 1);
    expect_line("end log=7 offset=56 stop=damage reason=");
    expect_line("log 9 says it was durable up to 152\n");
    /* Alone, nothing says that it was durable. */
    ck_assert_int_eq(dump("/000007.log"), 4);
}
END_TEST

START_TEST(test_a_zero_tail_is_no_fault)
{
    static const uint8_t zeros[100];

    write_logs();
    patch("000009.log", 120, zeros, sizeof(zeros));
    ck_assert_int_eq(dump("/000009.log"), 0);
    expect_line("end log=9 offset=120 stop=zero_tail reason=100 zero bytes\n");
}
END_TEST

START_TEST(test_json_lines_and_hex)
{
    write_logs();
    ck_assert_int_eq(dump("--json"), 0);
    expect_line("{\"type\":\"operation\",\"log\":7,\"sequence\":11,\"kind\":\"delete\","
                "\"keyspace\":2,\"key\":\"676f6e65\",\"key_text\":\"gone\"}\n");
    expect_line("{\"type\":\"end\",\"log\":7,\"offset\":152,\"stop\":\"clean_end\",");
    ck_assert_int_eq(dump("--hex"), 0);
    expect_line("key=676f6e65\n");
}
END_TEST

START_TEST(test_bad_usage_and_what_cannot_be_read_have_their_status)
{
    ck_assert_int_eq(dump("--help"), 0);
    expect_line("usage: lsm-wal-dump");
    ck_assert_int_eq(dump("--version"), 0);
    expect_line(lsmkv_version());
    ck_assert_int_eq(dump("--nonsense"), 2);
    ck_assert_int_eq(dump("second"), 2);
    ck_assert_int_eq(dump("--number 0"), 2);
    ck_assert_int_eq(dump("/missing"), 3);
    ck_assert_int_eq(dump("/000001.log"), 3);
    ck_assert_int_eq(dump(""), 0);
    ck_assert_str_eq(output, "");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("wal_dump");
    TCase *tests = tcase_create("wal_dump");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_store_is_shown_log_by_log_and_operation_by_operation);
    tcase_add_test(tests, test_a_value_that_stands_apart_is_shown_as_its_reference);
    tcase_add_test(tests, test_one_file_is_shown_and_a_copy_by_its_number);
    tcase_add_test(tests, test_a_torn_frame_is_status_4_and_damage_status_1);
    tcase_add_test(tests, test_a_zero_tail_is_no_fault);
    tcase_add_test(tests, test_json_lines_and_hex);
    tcase_add_test(tests, test_bad_usage_and_what_cannot_be_read_have_their_status);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
