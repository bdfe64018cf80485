/* series_tour.c - a store from its first put to its deletes: most rows of the report. */
#include "series.h"

#include <inttypes.h>

enum { READS_MAX = 300000, LISTINGS_MAX = 20000 };
enum { DISK_READS_MAX = 10000, DISK_LISTINGS_MAX = 300 };

static uint64_t
at_most(uint64_t number, uint64_t limit)
{
    return number < limit ? number : limit;
}

/* How many keys are read, and directories listed: fewer where each goes to the disk. */
static uint64_t
reads_of(const struct bench *bench)
{
    return at_most(bench->keys, bench->series->memory != 0 ? DISK_READS_MAX : READS_MAX);
}

static uint64_t
listings_of(const struct bench *bench)
{
    return at_most(bench->keys,
                   bench->series->memory != 0 ? DISK_LISTINGS_MAX : LISTINGS_MAX);
}

/* ---- steps ---- */

static void
step_get_each(struct worker *worker, uint64_t i)
{
    struct key key = key_of(permute(i, worker->work->keys));

    if (!worker->work->engine->get(worker->session, key_bytes(&key), &worker->tally))
        die("%s: %s is not there", worker->work->engine->name, key.text);
}

static void
step_get_absent(struct worker *worker, uint64_t i)
{
    struct key key = key_absent(random_below(&worker->random, worker->work->keys));

    (void)i;
    if (worker->work->engine->get(worker->session, key_bytes(&key), &worker->tally))
        die("%s: %s is there", worker->work->engine->name, key.text);
}

static void
step_delete_random_order(struct worker *worker, uint64_t i)
{
    struct key key = key_of(permute(i, worker->work->keys));

    worker->work->engine->remove(worker->session, key_bytes(&key));
}

static void
step_list(struct worker *worker, uint64_t i)
{
    struct key key = key_directory(random_below(&worker->random, worker->work->keys));
    const enum scan_what *what = worker->work->context;

    (void)i;
    worker->work->engine->scan(worker->session, key_bytes(&key), FILES_IN_DIRECTORY,
                               *what, &worker->tally);
}

static void
step_scan_all(struct worker *worker, uint64_t i)
{
    (void)i;
    worker->work->engine->scan(worker->session, (struct bytes){"!", 1}, UINT64_MAX,
                               SCAN_VALUES, &worker->tally);
}

/* ---- parts ---- */

static void
fill(struct bench *bench)
{
    struct io_counters before, after;
    struct outcome outcome;

    io_counters_read(&before);
    bench_fill(bench, &outcome);
    io_counters_read(&after);
    bench_emit_rate(bench, "fill", &outcome);
    bench_emit_latencies(bench, "fill", &outcome.latencies);
    bench_emit(bench, "fill-calls", "calls/put", BETTER_LESS,
               (double)(after.calls - before.calls) / (double)bench->keys);
}

static void
read_random(struct bench *bench, const char *name, unsigned threads)
{
    struct work work = bench_work(bench, threads, reads_of(bench), step_get_random);
    struct outcome outcome;

    work_run(&work, &outcome, NULL);
    bench_emit_rate(bench, name, &outcome);
}

static void
settle(struct bench *bench, const struct io_counters *before)
{
    double bytes = (double)bench->keys * (double)(KEY_SIZE + bench->series->payload);
    struct io_counters after;

    bench_settle(bench);
    io_counters_read(&after);
    bench_emit(bench, "written", "bytes/byte", BETTER_LESS,
               (double)(after.bytes_written - before->bytes_written) / bytes);
    bench_emit(bench, "space", "bytes/byte", BETTER_LESS,
               (double)space_taken(bench->path) / bytes);
}

/* Each key once, so that what fits into a cache is there. */
static void
warm(struct bench *bench)
{
    struct work work = bench_work(bench, 1, bench->keys, step_get_each);
    struct outcome outcome;

    work_run(&work, &outcome, NULL);
}

static void
list(struct bench *bench, const char *name, enum scan_what what)
{
    struct work work = bench_work(bench, 1, listings_of(bench), step_list);
    struct outcome outcome;

    work.context = &what;
    work_run(&work, &outcome, NULL);
    bench_emit_rate(bench, name, &outcome);
}

static void
scan_all(struct bench *bench)
{
    struct work work = bench_work(bench, 1, 1, step_scan_all);
    struct outcome outcome;

    work_run(&work, &outcome, NULL);
    if (outcome.tally.entries != bench->keys)
        die("%s: a scan has met %" PRIu64 " entries of %" PRIu64, bench->engine->name,
            outcome.tally.entries, bench->keys);
    bench_emit(bench, "scan", "k entries/s", BETTER_MORE,
               (double)outcome.tally.entries / outcome.seconds / 1e3);
}

static void
read_absent(struct bench *bench)
{
    struct work work = bench_work(bench, 1, reads_of(bench), step_get_absent);
    struct outcome outcome;

    work_run(&work, &outcome, NULL);
    bench_emit_rate(bench, "get-absent", &outcome);
}

static void
delete_some(struct bench *bench)
{
    struct work work = bench_work(bench, 1, reads_of(bench), step_delete_random_order);
    struct outcome outcome;

    work_run(&work, &outcome, NULL);
    bench_emit_rate(bench, "delete", &outcome);
}

static void
emit_memory(struct bench *bench)
{
    bench_emit(bench, "memory", "MiB", BETTER_LESS, (double)peak_memory() / (1 << 20));
}

void
series_tour(struct bench *bench)
{
    struct io_counters before;

    bench_open(bench, false);
    io_counters_read(&before);
    fill(bench);
    read_random(bench, "get-fresh", 1);
    settle(bench, &before);
    warm(bench);
    read_random(bench, "get", 1);
    read_random(bench, "get-2t", 2);
    read_random(bench, "get-8t", 8);
    read_absent(bench);
    scan_all(bench);
    list(bench, "list", SCAN_ATTRIBUTES);
    list(bench, "list-values", SCAN_VALUES);
    delete_some(bench);
    emit_memory(bench);
    bench_close(bench);
}

void
series_small_cache(struct bench *bench)
{
    struct outcome outcome;

    bench_open(bench, false);
    bench_fill(bench, &outcome);
    bench_settle(bench);
    warm(bench);
    read_random(bench, "get", 1);
    read_random(bench, "get-2t", 2);
    read_random(bench, "get-8t", 8);
    list(bench, "list", SCAN_ATTRIBUTES);
    emit_memory(bench);
    bench_close(bench);
}

void
series_small_memory(struct bench *bench)
{
    bench_open(bench, false);
    fill(bench);
    bench_settle(bench);
    read_random(bench, "get", 1);
    read_random(bench, "get-8t", 8);
    read_absent(bench);
    scan_all(bench);
    list(bench, "list", SCAN_ATTRIBUTES);
    list(bench, "list-values", SCAN_VALUES);
    emit_memory(bench);
    bench_close(bench);
}
