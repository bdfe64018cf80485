/* series.c - the list of series, and what they share. */
#include "series.h"

#include <stdio.h>
#include <time.h>

#include "apart.h"

#define MIB ((size_t)1 << 20)

const struct series all_series[] = {
    {"sync-1", "synced puts, 1 thread, 100 B", series_put_synced, true, 100, 20000, 1,
     256 * MIB, 64 * MIB, 0},
    {"sync-8", "synced puts, 8 threads, 100 B", series_put_synced, true, 100, 60000, 8,
     256 * MIB, 64 * MIB, 0},
    {"stream-sync", "synced puts of 100 B beside a stream of unsynced ones of 64 KiB",
     series_stream_sync, false, 64 << 10, 4000, 2, 256 * MIB, 64 * MIB, 0},
    {"100", "fill, get, scan, list, delete: 100 B", series_tour, false, 100, 1000000, 1,
     256 * MIB, 64 * MIB, 0},
    {"1k", "the same: 1 KiB", series_tour, false, 1 << 10, 250000, 1, 256 * MIB, 64 * MIB,
     0},
    {"4k", "the same: 4 KiB", series_tour, false, 4 << 10, 100000, 1, 256 * MIB, 64 * MIB,
     0},
    {"64k", "the same: 64 KiB", series_tour, false, 64 << 10, 8000, 1, 256 * MIB,
     64 * MIB, 0},
    {"batch", "puts of 1,000 in a batch, unsynced, 100 B", series_put_batches, false, 100,
     1000000, 1, 256 * MIB, 64 * MIB, 0},
    {"small-cache", "4 KiB, data four times the cache of 64 MiB", series_small_cache,
     false, 4 << 10, 65536, 1, 64 * MIB, 64 * MIB, 0},
    {"small-memory", "4 KiB, data four times all memory, 128 MiB (as root)",
     series_small_memory, false, 4 << 10, 131072, 1, 32 * MIB, 8 * MIB, 128 * MIB},
    {"emptied", "the first key after nine tenths were deleted in order", series_emptied,
     false, 100, 1000000, 1, 256 * MIB, 64 * MIB, 0},
    {"emptied-kept", "the same at rest, with a snapshot of all that was there",
     series_emptied_kept, false, 100, 1000000, 1, 256 * MIB, 64 * MIB, 0},
    {"reopen", "opening after the writer was killed", series_reopen, false, 100, 300000,
     1, 256 * MIB, 64 * MIB, 0},
    {"mixed", "two threads get while one puts", series_read_while_writing, false, 100,
     1000000, 3, 256 * MIB, 64 * MIB, 0},
    {"ycsb", "YCSB A to F, 2 threads, 1 KiB", series_ycsb, false, 1 << 10, 200000, 2,
     256 * MIB, 64 * MIB, 0},
    {.name = NULL},
};

/* ---- opening and closing ---- */

void
bench_open(struct bench *bench, bool synced)
{
    struct engine_options options = {
        .path = bench->path,
        .synced = synced,
        .write_buffer = bench->series->write_buffer,
        .cache = bench->series->cache,
        .filter_bits = 10,
        .scarce = bench->series->memory != 0,
        .compress = bench->compress,
    };

    bench->store = bench->engine->open(&options);
}

void
bench_close(struct bench *bench)
{
    bench->engine->close(bench->store);
    bench->store = NULL;
}

/* Engines differ in what they tell of their background work, but all of it writes: it is over
 * when nothing was written for a while. */
void
bench_settle(struct bench *bench)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    struct io_counters before, after;
    int quiet = 0;

    bench->engine->settle(bench->store);
    io_counters_read(&before);
    while (quiet < 3) {
        nanosleep(&pause, NULL);
        io_counters_read(&after);
        quiet = after.bytes_written == before.bytes_written ? quiet + 1 : 0;
        before = after;
    }
}

/* ---- samples ---- */

static void
emit(struct bench *bench, const char *name, const char *unit, enum better better,
     double value, uint64_t check)
{
    struct sample sample = {.better = better, .value = value, .check = check};

    snprintf(sample.row, sizeof(sample.row), "%s.%s", bench->series->name, name);
    snprintf(sample.unit, sizeof(sample.unit), "%s", unit);
    sample_emit(bench->out, &sample);
}

void
bench_emit(struct bench *bench, const char *name, const char *unit, enum better better,
           double value)
{
    emit(bench, name, unit, better, value, 0);
}

void
bench_emit_rate(struct bench *bench, const char *name, const struct outcome *outcome)
{
    char cpu[32];

    emit(bench, name, "k/s", BETTER_MORE, outcome_rate(outcome),
         outcome->cut ? 0 : tally_check(&outcome->tally));
    snprintf(cpu, sizeof(cpu), "%s-cpu", name);
    bench_emit(bench, cpu, "cpu us", BETTER_LESS,
               outcome->cpu_seconds / (double)outcome->latencies.count * 1e6);
}

void
bench_emit_latencies(struct bench *bench, const char *name,
                     const struct histogram *latencies)
{
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}};
    char row[32];

    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        snprintf(row, sizeof(row), "%s-%s", name, shares[i].name);
        bench_emit(bench, row, "us", BETTER_LESS,
                   histogram_percentile(latencies, shares[i].share));
    }
}

/* ---- work ---- */

struct work
bench_work(const struct bench *bench, unsigned threads, uint64_t operations,
           void (*step)(struct worker *worker, uint64_t i))
{
    return (struct work){
        .engine = bench->engine,
        .store = bench->store,
        .threads = threads,
        .operations = operations,
        .keys = bench->keys,
        .payload = bench->series->payload,
        .step = step,
    };
}

static void
put(struct worker *worker, uint64_t n)
{
    struct key key = key_of(n);

    worker->work->engine->put(worker->session, key_bytes(&key),
                              payload_of(n, worker->work->payload));
}

void
step_put_random_order(struct worker *worker, uint64_t i)
{
    put(worker, permute(i % worker->work->keys, worker->work->keys));
}

void
step_put_in_order(struct worker *worker, uint64_t i)
{
    put(worker, i);
}

void
step_get_random(struct worker *worker, uint64_t i)
{
    struct key key = key_of(random_below(&worker->random, worker->work->keys));

    (void)i;
    if (!worker->work->engine->get(worker->session, key_bytes(&key), &worker->tally))
        die("%s: %s is not there", worker->work->engine->name, key.text);
}

void
bench_fill(struct bench *bench, struct outcome *outcome)
{
    struct work work = bench_work(bench, 1, bench->keys, step_put_random_order);

    work_run(&work, outcome, NULL);
}
