/*
 * test_turns.c - that turns.h keeps its word: one thread at a time, the same order for the same
 * seed, several orders for several seeds, deadlines in order, real threads outside.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/suite.h"
#include "turns/turns.h"

#define THREADS 3
#define STEPS   20

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static char order[THREADS * STEPS + 1];
static size_t at;

/* With the thread sanitizer threads do not take turns. */
#if !defined(__SANITIZE_THREAD__)
static void *
write_letters(void *letter)
{
    for (int i = 0; i < STEPS; i++) {
        pthread_mutex_lock(&mutex);
        order[at++] = *(const char *)letter;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void
run(uint64_t seed)
{
    static char letters[THREADS] = {'a', 'b', 'c'};
    pthread_t ids[THREADS];

    at = 0;
    turns_begin(seed);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, write_letters, &letters[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    turns_end();
    ck_assert_uint_eq(at, THREADS * STEPS);
}

START_TEST(test_a_seed_gives_its_order_again)
{
    char first[sizeof(order)];
    int others = 0;

    run(1);
    memcpy(first, order, sizeof(order));
    for (uint64_t seed = 2; seed < 10; seed++) {
        run(seed);
        others += memcmp(first, order, sizeof(order)) != 0;
    }
    ck_assert_int_ge(others, 7);
    run(1);
    ck_assert_mem_eq(first, order, sizeof(order));
}
END_TEST
#endif

static void *
wait_a_second(void *result)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_mutex_lock(&mutex);
    *(int *)result = pthread_cond_timedwait(&condition, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

/* Who only waits for a deadline waits no longer than it takes to see that all do. */
START_TEST(test_time_jumps_to_the_next_deadline_when_everybody_waits)
{
    struct timespec before, after;
    pthread_t id;
    int result = 0;

    turns_begin(1);
    clock_gettime(CLOCK_REALTIME, &before);
    ck_assert_int_eq(pthread_create(&id, NULL, wait_a_second, &result), 0);
    pthread_join(id, NULL);
    clock_gettime(CLOCK_REALTIME, &after);
    turns_end();
    ck_assert_int_eq(result, ETIMEDOUT);
    ck_assert_int_ge(after.tv_sec, before.tv_sec + 1);
    ck_assert_int_le(after.tv_sec, before.tv_sec + 2);
}
END_TEST

static void *
nest(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&mutex);
    turns_begin(5);
    turns_end();
    order[at++] = 'x';
    pthread_mutex_unlock(&mutex);
    return NULL;
}

START_TEST(test_a_world_within_another_ends_where_it_began)
{
    pthread_t ids[2];

    at = 0;
    turns_begin(1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, nest, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(ids[i], NULL);
    turns_end();
    ck_assert_uint_eq(at, 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("turns");
    TCase *tcase = tcase_create("turns");

#if !defined(__SANITIZE_THREAD__)
    tcase_add_test(tcase, test_a_seed_gives_its_order_again);
#endif
    tcase_add_test(tcase, test_time_jumps_to_the_next_deadline_when_everybody_waits);
    tcase_add_test(tcase, test_a_world_within_another_ends_where_it_began);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
