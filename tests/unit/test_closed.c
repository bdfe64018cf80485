/* test_closed.c - the mark of a clean close. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manifest/manifest.h"
#include "support/fault_env.h"
#include "support/mem_env.h"
#include "support/suite.h"

static struct mem_env *memory;
static struct env_dir *dir;
static struct reporter reporter;
static char last_report[800];

static void
note_report(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    strncpy(last_report, line, sizeof(last_report) - 1);
}

static void
setup(void)
{
    memory = mem_env_new();
    ck_assert_int_eq(env_dir_open(mem_env_base(memory), "store", true, &dir), 0);
    reporter_init(&reporter, note_report, NULL);
}

static void
teardown(void)
{
    env_dir_close(dir);
    mem_env_free(memory);
    reporter_fini(&reporter);
}

static const struct closed_mark mark = {7, 1234, 9, UINT64_C(1) << 40};

static size_t
read_mark(char *out, size_t capacity)
{
    struct env_file *file;
    ssize_t size;

    ck_assert_int_eq(env_file_open(dir, "CLOSED", ENV_READ, &file), 0);
    size = env_file_read(file, 0, out, capacity - 1);
    ck_assert_int_gt(size, 0);
    env_file_close(file);
    out[size] = '\0';
    return (size_t)size;
}

static void
replace_mark(const char *bytes, size_t size)
{
    struct env_file *file;

    ck_assert_int_eq(env_file_open(dir, "CLOSED", ENV_REPLACE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 0, bytes, size), 0);
    env_file_close(file);
}

static int
read_after_crash(enum mem_data data, enum mem_names names)
{
    struct mem_env *image = mem_env_crash(memory, (struct mem_crash){data, names}, 1);
    struct closed_mark read = {0};
    struct env_dir *after;
    int result;

    ck_assert_int_eq(env_dir_open(mem_env_base(image), "store", false, &after), 0);
    result = closed_read(after, &reporter, &read);
    if (result == 0)
        ck_assert_uint_eq(read.log_end, mark.log_end);
    env_dir_close(after);
    mem_env_free(image);
    return result;
}

START_TEST(test_the_mark_is_these_bytes)
{
    char bytes[256];

    ck_assert_int_eq(closed_write(dir, &mark), 0);
    read_mark(bytes, sizeof(bytes));
    ck_assert_str_eq(bytes,
                     "{\"manifest\":[7,1234],\"log\":[9,1099511627776]}\t828006ca\n");
}
END_TEST

START_TEST(test_a_written_mark_is_read_after_a_power_cut)
{
    struct closed_mark read = {0};

    ck_assert_int_eq(closed_write(dir, &mark), 0);
    ck_assert_int_eq(closed_read(dir, &reporter, &read), 0);
    ck_assert_uint_eq(read.manifest_number, mark.manifest_number);
    ck_assert_uint_eq(read.manifest_end, mark.manifest_end);
    ck_assert_uint_eq(read.log_number, mark.log_number);
    ck_assert_uint_eq(read.log_end, mark.log_end);
    ck_assert_int_eq(read_after_crash(MEM_DATA_NONE, MEM_NAMES_DROPPED), 0);
}
END_TEST

START_TEST(test_a_removed_mark_does_not_come_back)
{
    struct closed_mark read = {0};

    ck_assert_int_eq(closed_write(dir, &mark), 0);
    ck_assert_int_eq(closed_remove(dir), 0);
    ck_assert_int_eq(closed_read(dir, &reporter, &read), -ENOENT);
    ck_assert_int_eq(read_after_crash(MEM_DATA_ALL, MEM_NAMES_DROPPED), -ENOENT);
    ck_assert_int_eq(closed_remove(dir), 0);
}
END_TEST

/* An opener that was killed between the removal and the sync of the directory: the next one
 * finds no mark, and must still make sure of it. */
START_TEST(test_removing_nothing_makes_an_earlier_removal_durable)
{
    ck_assert_int_eq(closed_write(dir, &mark), 0);
    ck_assert_int_eq(env_dir_unlink(dir, "CLOSED"), 0);
    ck_assert_int_eq(read_after_crash(MEM_DATA_ALL, MEM_NAMES_DROPPED), 0);
    ck_assert_int_eq(closed_remove(dir), 0);
    ck_assert_int_eq(read_after_crash(MEM_DATA_ALL, MEM_NAMES_DROPPED), -ENOENT);
}
END_TEST

START_TEST(test_a_damaged_mark_is_an_error_with_file_and_offset)
{
    char bytes[256], changed[256];
    struct closed_mark read = {0};
    size_t size;

    ck_assert_int_eq(closed_write(dir, &mark), 0);
    size = read_mark(bytes, sizeof(bytes));
    for (size_t at = 0; at < size; at++) {
        memcpy(changed, bytes, size);
        changed[at] = (char)(changed[at] ^ 1 << at % 8);
        replace_mark(changed, size);
        ck_assert_int_eq(closed_read(dir, &reporter, &read), -EBADMSG);
        ck_assert_ptr_nonnull(strstr(last_report, "CLOSED: offset 0: "));
        replace_mark(bytes, at);
        ck_assert_int_eq(closed_read(dir, &reporter, &read), -EBADMSG);
    }
    ck_assert_uint_eq(read.log_end, 0);
}
END_TEST

static void
check_image(void *context, uint64_t ordinal, enum env_call call)
{
    int least = *(int *)context;

    (void)ordinal;
    (void)call;
    for (int data = MEM_DATA_ALL; data <= MEM_DATA_NONE; data++) {
        for (int names = MEM_NAMES_KEPT; names <= MEM_NAMES_DROPPED; names++) {
            int result = read_after_crash((enum mem_data)data, (enum mem_names)names);

            ck_assert_msg(result == 0 || result == least, "%d", result);
        }
    }
}

START_TEST(test_a_power_cut_leaves_a_whole_mark_or_none)
{
    int none = -ENOENT;

    mem_env_set_hook(memory, check_image, &none);
    ck_assert_int_eq(closed_write(dir, &mark), 0);
    ck_assert_int_eq(closed_remove(dir), 0);
    ck_assert_int_eq(closed_write(dir, &mark), 0);
    mem_env_set_hook(memory, NULL, NULL);
}
END_TEST

START_TEST(test_a_mark_that_cannot_be_synced_is_not_written)
{
    static const enum env_call steps[] = {ENV_CALL_FILE_OPEN, ENV_CALL_FILE_WRITE,
                                          ENV_CALL_FILE_SYNC, ENV_CALL_DIR_RENAME};
    struct fault_env *faults = fault_env_new(mem_env_base(memory));
    struct closed_mark read = {0};
    struct env_dir *failing;

    ck_assert_int_eq(env_dir_open(fault_env_base(faults), "store", false, &failing), 0);
    fault_env_set(faults, (struct fault){steps[_i], 1, false, EIO, true});
    ck_assert_int_eq(closed_write(failing, &mark), -EIO);
    ck_assert_int_eq(closed_read(dir, &reporter, &read), -ENOENT);
    env_dir_close(failing);
    fault_env_free(faults);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("closed");
    TCase *cases = tcase_create("closed");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_the_mark_is_these_bytes);
    tcase_add_test(cases, test_a_written_mark_is_read_after_a_power_cut);
    tcase_add_test(cases, test_a_removed_mark_does_not_come_back);
    tcase_add_test(cases, test_removing_nothing_makes_an_earlier_removal_durable);
    tcase_add_test(cases, test_a_damaged_mark_is_an_error_with_file_and_offset);
    tcase_add_test(cases, test_a_power_cut_leaves_a_whole_mark_or_none);
    tcase_add_loop_test(cases, test_a_mark_that_cannot_be_synced_is_not_written, 0, 4);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
