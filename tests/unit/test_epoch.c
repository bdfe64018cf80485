/* test_epoch.c - epochs: what a reader may hold is not released, and nothing is kept for long. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/epoch.h"
#include "support/suite.h"

static struct limbo limbo;
static atomic_int released;

static void
setup(void)
{
    limbo = (struct limbo){.first = NULL};
    limbo_init(&limbo);
    atomic_store(&released, 0);
}

static void
teardown(void)
{
    limbo_fini(&limbo);
}

static void
count_release(struct retired *retired)
{
    (void)retired;
    atomic_fetch_add(&released, 1);
}

static void
retire(struct retired *retired)
{
    *retired = (struct retired){.release = count_release};
    epoch_retire(&limbo, retired);
}

/* ---- one reader, step by step ---- */

/* A thread that enters, and leaves when it is told. */
struct reader {
    pthread_t thread;
    pthread_barrier_t inside, leave, left;
    bool entered;
};

static void *
read_slowly(void *argument)
{
    struct reader *reader = argument;

    reader->entered = epoch_enter();
    pthread_barrier_wait(&reader->inside);
    pthread_barrier_wait(&reader->leave);
    if (reader->entered)
        epoch_leave(&limbo);
    pthread_barrier_wait(&reader->left);
    return NULL;
}

static void
reader_start(struct reader *reader)
{
    pthread_barrier_init(&reader->inside, NULL, 2);
    pthread_barrier_init(&reader->leave, NULL, 2);
    pthread_barrier_init(&reader->left, NULL, 2);
    ck_assert_int_eq(pthread_create(&reader->thread, NULL, read_slowly, reader), 0);
    pthread_barrier_wait(&reader->inside);
}

static void
reader_end(struct reader *reader)
{
    pthread_barrier_wait(&reader->leave);
    pthread_barrier_wait(&reader->left);
    pthread_join(reader->thread, NULL);
    pthread_barrier_destroy(&reader->inside);
    pthread_barrier_destroy(&reader->leave);
    pthread_barrier_destroy(&reader->left);
}

START_TEST(test_without_readers_what_is_retired_is_released_at_once)
{
    struct retired one;

    retire(&one);
    ck_assert_int_eq(atomic_load(&released), 1);
    ck_assert(epoch_enter());
    epoch_leave(&limbo);
    retire(&one);
    ck_assert_int_eq(atomic_load(&released), 2);
}
END_TEST

START_TEST(test_a_reader_keeps_what_was_retired_while_it_was_inside)
{
    struct reader reader;
    struct retired one, other;

    reader_start(&reader);
    ck_assert(reader.entered);
    retire(&one);
    retire(&other);
    epoch_collect(&limbo);
    ck_assert_int_eq(atomic_load(&released), 0);
    reader_end(&reader); /* who leaves releases it */
    ck_assert_int_eq(atomic_load(&released), 2);
}
END_TEST

/* Its slot in the child said for ever that somebody is inside. */
START_TEST(test_a_reader_that_a_fork_left_behind_keeps_nothing)
{
    struct reader reader;
    struct retired one;
    int status;
    pid_t child;

    reader_start(&reader);
    ck_assert(reader.entered);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        retire(&one);
        _exit(atomic_load(&released) == 1 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    reader_end(&reader);
}
END_TEST

START_TEST(test_a_reader_that_entered_later_keeps_nothing)
{
    struct reader first, later;
    struct retired one;

    reader_start(&first);
    retire(&one);
    reader_start(&later);
    reader_end(&first);
    ck_assert_int_eq(atomic_load(&released), 1);
    reader_end(&later);
}
END_TEST

START_TEST(test_what_is_left_at_the_end_is_released)
{
    struct reader reader; /* of another store, say */
    struct retired one;

    reader_start(&reader);
    retire(&one);
    limbo_fini(&limbo);
    ck_assert_int_eq(atomic_load(&released), 1);
    limbo_init(&limbo);
    reader_end(&reader);
}
END_TEST

START_TEST(test_too_many_readers_are_told_and_a_thread_that_ends_makes_room)
{
    enum { MANY = 200 };
    static struct reader readers[MANY];
    unsigned refused = 0;

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            reader_start(&readers[i]);
            refused += !readers[i].entered;
        }
        for (unsigned i = 0; i < MANY; i++)
            reader_end(&readers[i]);
        ck_assert_uint_eq(refused, (round + 1) * (MANY - 128));
    }
}
END_TEST

/* ---- many ---- */

enum { THREADS = 4, REPLACED = 20000, ALIVE = 0x600d };

struct shared {
    struct retired retired; /* first */
    int state;
};

static struct shared *_Atomic current;
static atomic_bool done;

static void
release_shared(struct retired *retired)
{
    ((struct shared *)retired)->state = 0;
    free(retired);
}

static struct shared *
shared_new(void)
{
    struct shared *made = malloc(sizeof(*made));

    if (made == NULL)
        abort();
    *made = (struct shared){.retired = {.release = release_shared}, .state = ALIVE};
    return made;
}

static void *
read_on(void *argument)
{
    static char wrong[] = "read what was released";

    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        int state;

        if (!epoch_enter())
            continue;
        state = atomic_load(&current)->state;
        epoch_leave(&limbo);
        if (state != ALIVE)
            return wrong;
    }
    return argument;
}

/* A reader that left looked at the others, found none, and released what was retired behind that
 * look, too, though a third had entered meanwhile. */
START_TEST(test_readers_never_meet_what_was_released)
{
    pthread_t threads[THREADS];

    atomic_store(&current, shared_new());
    atomic_store(&done, false);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, NULL), 0);
    for (int i = 0; i < REPLACED; i++)
        epoch_retire(&limbo, &atomic_exchange(&current, shared_new())->retired);
    atomic_store(&done, true);
    for (int i = 0; i < THREADS; i++) {
        void *problem;

        ck_assert_int_eq(pthread_join(threads[i], &problem), 0);
        ck_assert_ptr_null(problem);
    }
    epoch_collect(&limbo);
    ck_assert_ptr_null(limbo.first);
    free(atomic_load(&current));
}
END_TEST

static Suite *
epoch_suite(void)
{
    Suite *suite = suite_create("epoch");
    TCase *tcase = tcase_create("epoch");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_without_readers_what_is_retired_is_released_at_once);
    tcase_add_test(tcase, test_a_reader_keeps_what_was_retired_while_it_was_inside);
    tcase_add_test(tcase, test_a_reader_that_a_fork_left_behind_keeps_nothing);
    tcase_add_test(tcase, test_a_reader_that_entered_later_keeps_nothing);
    tcase_add_test(tcase, test_what_is_left_at_the_end_is_released);
    tcase_add_test(tcase,
                   test_too_many_readers_are_told_and_a_thread_that_ends_makes_room);
    tcase_add_test(tcase, test_readers_never_meet_what_was_released);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    return run_suite(epoch_suite());
}
