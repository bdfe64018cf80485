/*
 * test_linger.c - when the thread that reads requests looks for the next before it sleeps.
 */
#include <check.h>

#include "daemon/linger.h"
#include "support/suite.h"

#define MICROSECOND 1000u
#define SECOND      (1000000u * MICROSECOND)

static struct linger linger;
static uint64_t now;

static void
setup(void)
{
    linger = (struct linger){0};
    now = SECOND;
}

/* A request that comes so long after the last answer, and takes no time. */
static void
request(uint64_t after)
{
    now += after;
    linger_arrived(&linger, now);
    linger_answered(&linger, now);
}

/* So many requests that come quickly pass before it is worth it. */
static unsigned
quick_ones(void)
{
    unsigned count = 0;

    while (!linger_wanted(&linger)) {
        request(MICROSECOND);
        count++;
    }
    return count;
}

START_TEST(test_quick_requests_are_looked_for)
{
    ck_assert(!linger_wanted(&linger));
    request(SECOND);
    for (int i = 0; i < 4; i++) {
        ck_assert(!linger_wanted(&linger));
        request(LINGER_QUICK);
    }
    for (int i = 0; i < 100; i++) {
        ck_assert(linger_wanted(&linger));
        request(LINGER_QUICK);
    }
}
END_TEST

START_TEST(test_slow_ones_are_not)
{
    for (int i = 0; i < 100; i++) {
        request(LINGER_QUICK + 1);
        ck_assert(!linger_wanted(&linger));
    }
    /* Nor after a single slow one. */
    quick_ones();
    request(SECOND);
    ck_assert_uint_eq(quick_ones(), 4);
}
END_TEST

/* They come quickly, and not while it is looked. */
START_TEST(test_a_look_in_vain_spares_a_few)
{
    for (int i = 0; i < 10; i++) {
        unsigned count = 0;

        quick_ones();
        linger_missed(&linger);
        while (!linger_wanted(&linger)) {
            request(LINGER + 1);
            count++;
        }
        ck_assert_uint_eq(count, 8);
    }
}
END_TEST

START_TEST(test_an_answer_given_aside_may_be_older)
{
    request(SECOND);
    linger_answered(&linger, now - LINGER);
    for (int i = 0; i < 4; i++) {
        request(LINGER);
        linger_answered(&linger, now - LINGER);
    }
    ck_assert(linger_wanted(&linger));
}
END_TEST

START_TEST(test_others_are_spared_longer_each_time)
{
    quick_ones();
    for (unsigned i = 0; i < 8; i++) {
        linger_away(&linger, 10 * MICROSECOND);
        ck_assert(!linger_wanted(&linger));
        ck_assert_uint_eq(quick_ones(), (10u << i) + 4);
    }
    linger_away(&linger, 10 * MICROSECOND);
    ck_assert_uint_eq(quick_ones(), (10u << 7) + 4);
    /* Until one comes while this thread runs. */
    linger_gained(&linger);
    linger_away(&linger, 10 * MICROSECOND);
    ck_assert_uint_eq(quick_ones(), 10 + 4);
}
END_TEST

START_TEST(test_a_slow_one_does_not_end_it)
{
    quick_ones();
    linger_away(&linger, 100 * MICROSECOND);
    for (int i = 0; i < 10; i++)
        request(SECOND);
    ck_assert_uint_eq(quick_ones(), 100 + 4);
}
END_TEST

START_TEST(test_a_process_that_was_stopped_looks_again)
{
    quick_ones();
    for (int i = 0; i < 20; i++)
        linger_away(&linger, UINT64_MAX);
    ck_assert_uint_le(quick_ones(), 2000000);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("linger");
    TCase *cases = tcase_create("linger");

    tcase_add_checked_fixture(cases, setup, NULL);
    tcase_add_test(cases, test_quick_requests_are_looked_for);
    tcase_add_test(cases, test_slow_ones_are_not);
    tcase_add_test(cases, test_a_look_in_vain_spares_a_few);
    tcase_add_test(cases, test_an_answer_given_aside_may_be_older);
    tcase_add_test(cases, test_others_are_spared_longer_each_time);
    tcase_add_test(cases, test_a_slow_one_does_not_end_it);
    tcase_add_test(cases, test_a_process_that_was_stopped_looks_again);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
