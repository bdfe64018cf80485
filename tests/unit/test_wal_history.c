/*
 * test_wal_history.c - random histories of a store's logs: appends, syncs, rotations, flushes,
 * failing calls, deaths of the process and power cuts, recovery after each.
 *
 * What must hold: the sequences (flushed, last] come back in order, last is at least what was
 * acknowledged durable and at most what was attempted.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "log/wal.h"
#include "support/log_fixture.h"
#include "support/random.h"
#include "support/suite.h"

static const struct wal_previous none = {0, 0};
static struct log_fixture fixture;

static void
setup(void)
{
    log_fixture_init(&fixture);
}

static void
teardown(void)
{
    log_fixture_fini(&fixture);
}

struct history {
    struct random random;
    struct wal_writer *writer;
    uint64_t number;    /* of the writer's log */
    uint64_t oldest;    /* what a durable manifest would name */
    uint64_t flushed;   /* sequences up to here are in tables */
    uint64_t written;   /* appended without error */
    uint64_t attempted; /* appended, or failed */
    uint64_t durable;
};

static void
history_append(struct history *history)
{
    static const size_t limits[] = {20, 600, 5000, 70000};
    size_t limit = limits[random_below(&history->random, 4)];

    history->attempted = history->written + 1;
    if (log_append(history->writer, history->attempted,
                   (size_t)random_below(&history->random, limit)) == 0)
        history->written = history->attempted;
}

static void
history_sync(struct history *history)
{
    if (wal_sync(history->writer) == 0)
        history->durable = history->written;
}

static void
history_flush(struct history *history)
{
    char name[WAL_NAME_SIZE];
    uint64_t number;
    int result;

    for (number = history->oldest; number < history->number; number++) {
        wal_name(name, number);
        result = env_dir_unlink(fixture.dir, name);
        /* Many numbers were never given. */
        ck_assert(result == 0 || result == -ENOENT || result == -EIO);
    }
    history->oldest = history->number;
}

static void
history_rotate(struct history *history)
{
    uint64_t number = history->number + 1 + random_below(&history->random, 3);
    struct wal_writer *newer;

    if (wal_rotate(fixture.dir, number, history->writer, &newer) != 0) {
        if (!wal_is_broken(history->writer))
            history->number = number; /* not to be given again */
        return;
    }
    ck_assert_int_eq(wal_close(history->writer), 0);
    history->writer = newer;
    history->number = number;
    history->durable = history->written;
    if (random_coin(&history->random)) {
        history->flushed = history->written;
        history_flush(history);
    }
}

static void
history_fault(struct history *history)
{
    static const enum env_call failing[] = {ENV_CALL_FILE_WRITE, ENV_CALL_FILE_SYNC,
                                            ENV_CALL_DIR_SYNC, ENV_CALL_ANY};
    struct fault fault = {
        failing[random_below(&history->random, 4)], 1 + random_below(&history->random, 3),
        random_below(&history->random, 4) == 0, EIO, random_coin(&history->random)};

    fault_env_set(fixture.fault, fault);
}

static void
history_step(struct history *history)
{
    uint64_t dice = random_below(&history->random, 100);

    if (dice < 70)
        history_append(history);
    else if (dice < 88)
        history_sync(history);
    else if (dice < 94)
        history_rotate(history);
    else if (dice < 97)
        history_fault(history);
    else
        fault_env_heal(fixture.fault);
}

static void
history_crash(struct history *history)
{
    struct mem_crash policy = {(enum mem_data)random_below(&history->random, 3),
                               (enum mem_names)random_below(&history->random, 3)};

    fault_env_heal(fixture.fault);
    ck_assert_int_eq(wal_close(history->writer), 0);
    if (random_below(&history->random, 4) == 0)
        log_fixture_kill(&fixture);
    else
        log_fixture_crash(&fixture, policy, random_next(&history->random));
}

static void
history_recover(struct history *history)
{
    struct log_replay replay = {0};
    struct log_list logs = {.oldest = history->oldest};
    uint64_t last;

    ck_assert_msg(log_recover(&fixture, history->oldest, false, &replay) == 0, "%d: %s",
                  replay.result, fixture.report);
    last = replay.frames == 0 ? history->flushed : replay.last;
    if (replay.frames > 0)
        ck_assert_uint_eq(replay.first, history->flushed + 1);
    ck_assert_uint_ge(last, history->durable);
    ck_assert_uint_le(last, history->attempted);
    history->written = history->attempted = history->durable = last;

    log_list_logs(&fixture, &logs);
    if (logs.count > 0 && logs.numbers[logs.count - 1] > history->number)
        history->number = logs.numbers[logs.count - 1];
    history->number++;
    history->writer = log_create(&fixture, history->number, replay.outcome.last);
}

START_TEST(test_random_histories_lose_nothing_durable_and_keep_a_prefix)
{
    struct history history = {
        .random = random_of(random_seed()), .number = 1, .oldest = 1};
    unsigned round, steps;

    history.writer = log_create(&fixture, 1, none);
    for (round = 0; round < 400; round++) {
        for (steps = (unsigned)random_below(&history.random, 30); steps > 0; steps--)
            history_step(&history);
        history_crash(&history);
        history_recover(&history);
        if (random_below(&history.random, 3) == 0) {
            history.flushed = history.written;
            history_flush(&history);
        }
    }
    ck_assert_uint_gt(history.written, 500);
    ck_assert_int_eq(wal_close(history.writer), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("wal_history");
    TCase *tests = tcase_create("wal_history");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_random_histories_lose_nothing_durable_and_keep_a_prefix);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
