/* series_put.c - puts of new keys in random order: synced, and many in a batch. */
#include "series.h"

void
series_put_synced(struct bench *bench)
{
    struct work work;
    struct outcome outcome;

    bench_open(bench, true);
    work = bench_work(bench, bench->series->threads, bench->keys, step_put_random_order);
    work.seconds = bench->seconds;
    work_run(&work, &outcome, NULL);
    bench_emit_rate(bench, "put", &outcome);
    bench_emit_latencies(bench, "put", &outcome.latencies);
    bench_close(bench);
}

enum { BATCH = 1000 };

static void
step_put_batch(struct worker *worker, uint64_t i)
{
    const struct work *work = worker->work;
    struct key keys[BATCH];
    struct pair pairs[BATCH];

    for (uint64_t j = 0; j < BATCH; j++) {
        uint64_t n = permute((i * BATCH + j) % work->keys, work->keys);

        keys[j] = key_of(n);
        pairs[j] = (struct pair){key_bytes(&keys[j]), payload_of(n, work->payload)};
    }
    work->engine->put_many(worker->session, pairs, BATCH);
}

void
series_put_batches(struct bench *bench)
{
    const uint64_t batches = bench->keys / BATCH + 1;
    struct work work;
    struct outcome outcome;

    bench_open(bench, false);
    work = bench_work(bench, 1, batches, step_put_batch);
    work_run(&work, &outcome, NULL);
    bench_emit(bench, "put", "k/s", BETTER_MORE, outcome_rate(&outcome) * BATCH);
    bench_emit(bench, "put-cpu", "cpu us", BETTER_LESS,
               outcome.cpu_seconds / (double)(batches * BATCH) * 1e6);
    bench_close(bench);
}
