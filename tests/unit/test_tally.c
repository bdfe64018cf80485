/* test_tally.c - counts by many threads: nothing is lost, whoever counts where. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/tally.h"
#include "support/suite.h"

enum { ONE = 3, OTHER = 4, EACH = 20000 };

static struct tally tally;
static pthread_barrier_t all_run;

static void *
count(void *argument)
{
    pthread_barrier_wait(&all_run);
    for (unsigned i = 0; i < EACH; i++) {
        tally_add(&tally, ONE, 1);
        tally_add(&tally, OTHER, 5);
    }
    pthread_barrier_wait(
        &all_run); /* none ends, and leaves its slot, before all counted */
    return argument;
}

static void
count_by(unsigned threads)
{
    pthread_t *ids = calloc(threads, sizeof(*ids));

    ck_assert_ptr_nonnull(ids);
    pthread_barrier_init(&all_run, NULL, threads);
    for (unsigned i = 0; i < threads; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, count, NULL), 0);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&all_run);
    free(ids);
}

static void
setup(void)
{
    tally = (struct tally){0};
}

START_TEST(test_what_threads_count_at_once_adds_up)
{
    count_by(8);
    ck_assert_uint_eq(tally_sum(&tally, ONE), 8 * EACH);
    ck_assert_uint_eq(tally_sum(&tally, OTHER), 5 * 8 * EACH);
    ck_assert_uint_eq(tally_sum(&tally, 0), 0);
}
END_TEST

START_TEST(test_threads_that_end_leave_their_counts)
{
    for (unsigned i = 1; i <= 3; i++) {
        count_by(8);
        ck_assert_uint_eq(tally_sum(&tally, ONE), i * 8 * EACH);
    }
}
END_TEST

START_TEST(test_threads_without_a_slot_count_too)
{
    enum { MANY = EPOCH_SLOTS + 20 };

    count_by(MANY);
    ck_assert_uint_eq(tally_sum(&tally, ONE), (uint64_t)MANY * EACH);
    ck_assert_uint_ge(tally.parts[EPOCH_SLOTS].counts[ONE], 20 * EACH);
}
END_TEST

static Suite *
tally_suite(void)
{
    Suite *suite = suite_create("tally");
    TCase *tcase = tcase_create("tally");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, test_what_threads_count_at_once_adds_up);
    tcase_add_test(tcase, test_threads_that_end_leave_their_counts);
    tcase_add_test(tcase, test_threads_without_a_slot_count_too);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    return run_suite(tally_suite());
}
