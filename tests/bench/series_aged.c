/* series_aged.c - what a store's past costs: deleted keys in front, a writer that was killed. */
#include "series.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- emptied ---- */

static void
step_delete_in_order(struct worker *worker, uint64_t i)
{
    struct key key = key_of(i);

    worker->work->engine->remove(worker->session, key_bytes(&key));
}

static void
step_first_key(struct worker *worker, uint64_t i)
{
    (void)i;
    worker->work->engine->scan(worker->session, (struct bytes){"!", 1}, 1,
                               SCAN_ATTRIBUTES, &worker->tally);
}

static void
find_first(struct bench *bench, const char *name)
{
    struct work work = bench_work(bench, 1, 1, step_first_key);
    struct outcome outcome;

    work_run(&work, &outcome, NULL);
    if (outcome.tally.entries != 1)
        die("%s: there is no first key", bench->engine->name);
    bench_emit(bench, name, "ms", BETTER_LESS, (double)outcome.latencies.longest / 1e6);
}

static void
fill_in_order(struct bench *bench, struct outcome *outcome)
{
    struct work work = bench_work(bench, 1, bench->keys, step_put_in_order);

    work_run(&work, outcome, NULL);
    bench_settle(bench);
}

static void
empty_in_order(struct bench *bench)
{
    struct work work = bench_work(bench, 1, bench->keys / 10 * 9, step_delete_in_order);
    struct outcome outcome;

    work_run(&work, &outcome, NULL);
}

void
series_emptied(struct bench *bench)
{
    struct outcome outcome;

    bench_open(bench, false);
    fill_in_order(bench, &outcome);
    bench_emit_rate(bench, "fill-in-order", &outcome);
    empty_in_order(bench);
    find_first(bench, "first-key");
    find_first(bench, "first-key-again");
    bench_close(bench);
}

/* At rest every key that was deleted is still there, for the snapshot. */
void
series_emptied_kept(struct bench *bench)
{
    struct outcome outcome;

    if (bench->engine->keep == NULL)
        return;
    bench_open(bench, false);
    fill_in_order(bench, &outcome);
    bench->engine->keep(bench->store);
    empty_in_order(bench);
    bench_settle(bench);
    find_first(bench, "first-key");
    find_first(bench, "first-key-again");
    bench_close(bench);
}

/* ---- reopen ---- */

/* In a process that has not opened the store yet; does not return. */
static void
fill_and_die(struct bench *bench)
{
    struct outcome outcome;

    bench_open(bench, false);
    bench_fill(bench, &outcome);
    (void)raise(SIGKILL);
}

static void
step_count(struct worker *worker, uint64_t i)
{
    (void)i;
    worker->work->engine->scan(worker->session, (struct bytes){"!", 1}, UINT64_MAX,
                               SCAN_ATTRIBUTES, &worker->tally);
}

void
series_reopen(struct bench *bench)
{
    struct work work;
    struct outcome outcome;
    uint64_t begin;
    int status;
    pid_t child = fork();

    if (child == 0)
        fill_and_die(bench);
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("no process can be made: %s", strerror(errno));
    if (!WIFSIGNALED(status))
        die("the process that was to be killed has ended");

    begin = meter_now();
    bench_open(bench, false);
    work = bench_work(bench, 1, 1, step_get_random);
    work_run(&work, &outcome, NULL);
    bench_emit(bench, "first-get", "ms", BETTER_LESS,
               (double)(meter_now() - begin) / 1e6);
    bench_emit(bench, "memory", "MiB", BETTER_LESS, (double)peak_memory() / (1 << 20));
    work = bench_work(bench, 1, 1, step_count);
    work_run(&work, &outcome, NULL);
    if (outcome.tally.entries != bench->keys)
        die("%s: has lost puts that had returned", bench->engine->name);
    bench_close(bench);
}
