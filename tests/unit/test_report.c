/* test_report.c - error lines, the thread's detail, and small text. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/report.h"
#include "support/suite.h"

struct heard {
    int count;
    enum lsmkv_level level;
    char line[1024];
};

static void
listen(void *context, enum lsmkv_level level, const char *line)
{
    struct heard *heard = context;

    heard->count++;
    heard->level = level;
    snprintf(heard->line, sizeof(heard->line), "%s", line);
}

START_TEST(test_an_error_is_logged_once_and_becomes_the_detail)
{
    struct heard heard = {0};
    struct reporter reporter;

    reporter_init(&reporter, listen, &heard);
    ck_assert_int_eq(report_error(&reporter, -EBADMSG, "%s: offset %d", "12.log", 96),
                     -EBADMSG);
    ck_assert_int_eq(heard.count, 1);
    ck_assert_int_eq(heard.level, LSMKV_LOG_ERROR);
    ck_assert_str_eq(heard.line, "12.log: offset 96: checksum mismatch");
    ck_assert_str_eq(lsmkv_error_detail(), "12.log: offset 96");
    error_clear();
    ck_assert_str_eq(lsmkv_error_detail(), "");
    reporter_fini(&reporter);
}
END_TEST

START_TEST(test_warnings_and_information_leave_the_detail)
{
    struct heard heard = {0};
    struct reporter reporter;

    reporter_init(&reporter, listen, &heard);
    ck_assert_int_eq(error_detail(-EINVAL, "key of %d bytes", 70000), -EINVAL);
    ck_assert_int_eq(heard.count, 0);
    report_warning(&reporter, "torn tail at %d", 7);
    ck_assert_int_eq(heard.level, LSMKV_LOG_WARNING);
    ck_assert_str_eq(heard.line, "torn tail at 7");
    report_info(&reporter, "opened");
    ck_assert_int_eq(heard.level, LSMKV_LOG_INFO);
    ck_assert_str_eq(lsmkv_error_detail(), "key of 70000 bytes");
    reporter_fini(&reporter);
}
END_TEST

START_TEST(test_a_report_is_one_line_however_long)
{
    struct heard heard = {0};
    struct reporter reporter;
    char text[5000];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    text[3] = '\n';
    text[4] = 0x1b;
    reporter_init(&reporter, listen, &heard);
    report_warning(&reporter, "%s", text);
    ck_assert_int_eq(strncmp(heard.line, "xxx??xx", 7), 0);
    ck_assert_int_eq(report_error(&reporter, -EIO, "%s", text), -EIO);
    ck_assert_ptr_nonnull(strstr(heard.line, "x: Input/output error"));
    reporter_fini(&reporter);
}
END_TEST

START_TEST(test_no_reporter_still_sets_the_detail)
{
    ck_assert_int_eq(report_error(NULL, -EIO, "no log"), -EIO);
    ck_assert_str_eq(lsmkv_error_detail(), "no log");
    report_warning(NULL, "nobody hears");
}
END_TEST

static void *
other_thread(void *argument)
{
    (void)argument;
    ck_assert_str_eq(lsmkv_error_detail(), "");
    ck_assert_int_eq(error_detail(-EIO, "theirs"), -EIO);
    return NULL;
}

START_TEST(test_a_detail_belongs_to_its_thread)
{
    pthread_t thread;

    ck_assert_int_eq(error_detail(-EIO, "mine"), -EIO);
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_eq(lsmkv_error_detail(), "mine");
}
END_TEST

START_TEST(test_every_result_has_a_text)
{
    ck_assert_str_eq(lsmkv_strerror(0), "success");
    ck_assert_str_eq(lsmkv_strerror(-ENOENT), "not found");
    ck_assert_str_eq(lsmkv_strerror(-EUCLEAN), "damaged structure");
    ck_assert_str_eq(lsmkv_strerror(-ENOSPC), "No space left on device");
    ck_assert_str_eq(lsmkv_strerror(-99999), "unknown error");
    ck_assert_str_eq(lsmkv_strerror(5), "unknown error");
}
END_TEST

START_TEST(test_a_string_becomes_a_slice_without_its_nul)
{
    struct lsmkv_slice slice = lsmkv_str("abc");

    ck_assert_uint_eq(slice.size, 3);
    ck_assert_mem_eq(slice.data, "abc", 3);
    ck_assert_uint_eq(lsmkv_str("").size, 0);
}
END_TEST

/* The version stands in strings.c and in CMakeLists.txt. */
START_TEST(test_the_version_is_the_one_of_the_build)
{
    char text[4096], want[64];
    FILE *file;

    snprintf(text, sizeof(text), "%s", __FILE__);
    *strstr(text, "tests/unit/") = '\0';
    strcat(text, "CMakeLists.txt");
    file = fopen(text, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    snprintf(want, sizeof(want), "project(lsmfs VERSION %s ", lsmkv_version());
    ck_assert_ptr_nonnull(strstr(text, want));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, test_an_error_is_logged_once_and_becomes_the_detail);
    tcase_add_test(tests, test_warnings_and_information_leave_the_detail);
    tcase_add_test(tests, test_a_report_is_one_line_however_long);
    tcase_add_test(tests, test_no_reporter_still_sets_the_detail);
    tcase_add_test(tests, test_a_detail_belongs_to_its_thread);
    tcase_add_test(tests, test_every_result_has_a_text);
    tcase_add_test(tests, test_a_string_becomes_a_slice_without_its_nul);
    tcase_add_test(tests, test_the_version_is_the_one_of_the_build);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
