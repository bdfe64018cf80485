/*
 * test_awake.c - when processors are kept awake, by what is written to a file in the device's place.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/awake.h"
#include "support/suite.h"

static struct awake awake;
static int stand_in;
static char device[64];
static uint64_t requests;

static void
setup(void)
{
    stand_in = memfd_create("device", MFD_CLOEXEC);
    ck_assert_int_ge(stand_in, 0);
    snprintf(device, sizeof(device), "/proc/self/fd/%d", stand_in);
    requests = 0;
    ck_assert_int_eq(awake_open(&awake, device), 0);
}

static void
teardown(void)
{
    awake_close(&awake);
    close(stand_in);
}

static void
look(unsigned more)
{
    requests += more;
    ck_assert_int_eq(awake_look(&awake, requests), 0);
}

/* What has been asked for so far, "held" and "free" one after the other. */
static const char *
asked(void)
{
    static char text[256];
    int32_t most;

    text[0] = '\0';
    for (off_t at = 0; pread(stand_in, &most, sizeof(most), at) > 0;
         at += (off_t)sizeof(most))
        strcat(text, most == 0 ? "held " : most == INT32_MAX ? "free " : "? ");
    return text;
}

START_TEST(test_nothing_is_asked_for_at_first)
{
    look(0);
    look(AWAKE_QUICK - 1);
    look(AWAKE_QUICK - 1);
    ck_assert_str_eq(asked(), "");
}
END_TEST

START_TEST(test_quick_requests_hold_once)
{
    look(AWAKE_QUICK);
    ck_assert_str_eq(asked(), "held ");
    for (unsigned i = 0; i < 20; i++)
        look(AWAKE_QUICK);
    ck_assert_str_eq(asked(), "held ");
}
END_TEST

START_TEST(test_a_pause_does_not_let_go)
{
    look(AWAKE_QUICK);
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned k = 1; k < AWAKE_QUIET; k++)
            look(0);
        look(AWAKE_QUICK);
    }
    ck_assert_str_eq(asked(), "held ");
}
END_TEST

START_TEST(test_quiet_lets_go_and_it_begins_anew)
{
    look(AWAKE_QUICK);
    for (unsigned k = 1; k < AWAKE_QUIET; k++)
        look(AWAKE_QUICK - 1);
    ck_assert_str_eq(asked(), "held ");
    look(0);
    ck_assert_str_eq(asked(), "held free ");
    for (unsigned k = 0; k < 3 * AWAKE_QUIET; k++)
        look(0);
    ck_assert_str_eq(asked(), "held free ");
    look(AWAKE_QUICK);
    ck_assert_str_eq(asked(), "held free held ");
}
END_TEST

START_TEST(test_requests_before_the_first_look_count)
{
    requests = UINT32_MAX;
    look(0);
    ck_assert_str_eq(asked(), "held ");
    look(0);
    look(AWAKE_QUICK - 1);
    ck_assert_uint_eq(awake.quiet, 2);
}
END_TEST

START_TEST(test_what_cannot_be_asked_is_an_error)
{
    awake_close(&awake);
    ck_assert_int_eq(awake_open(&awake, "/dev/full"), 0);
    ck_assert_int_eq(awake_look(&awake, AWAKE_QUICK), -ENOSPC);
    ck_assert(!awake.held);
}
END_TEST

START_TEST(test_without_the_device_nothing_is_done)
{
    awake_close(&awake);
    awake_close(&awake);
    ck_assert_int_eq(awake_look(&awake, AWAKE_QUICK), 0);
    ck_assert_str_eq(asked(), "");
    ck_assert_int_eq(awake_open(&awake, "/nonexistent/device"), -ENOENT);
    ck_assert_int_eq(awake_look(&awake, 2 * AWAKE_QUICK), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("awake");
    TCase *cases = tcase_create("awake");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_nothing_is_asked_for_at_first);
    tcase_add_test(cases, test_quick_requests_hold_once);
    tcase_add_test(cases, test_a_pause_does_not_let_go);
    tcase_add_test(cases, test_quiet_lets_go_and_it_begins_anew);
    tcase_add_test(cases, test_requests_before_the_first_look_count);
    tcase_add_test(cases, test_what_cannot_be_asked_is_an_error);
    tcase_add_test(cases, test_without_the_device_nothing_is_done);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
