/* series_stream.c - what a sync waits for, while somebody else streams. */
#include "series.h"

enum { STREAM = 0, SYNCED = 1, SMALL = 100 };

/* The first thread puts large values over and over, unsynced; the other small ones, synced, under
 * keys behind those. */
static void
step_stream(struct worker *worker, uint64_t i)
{
    const struct work *work = worker->work;
    uint64_t n = i / work->threads % work->keys;
    struct key key;

    if (worker->index == STREAM) {
        key = key_of(permute(n, work->keys));
        work->engine->put(worker->session, key_bytes(&key), payload_of(n, work->payload));
    } else {
        key = key_of(work->keys + n);
        work->engine->put_synced(worker->session, key_bytes(&key), payload_of(n, SMALL));
    }
}

void
series_stream_sync(struct bench *bench)
{
    struct histogram by_worker[2];
    struct outcome outcome;
    struct work work;

    bench_open(bench, false);
    work = bench_work(bench, 2, 0, step_stream);
    work.seconds = bench->seconds;
    work_run(&work, &outcome, by_worker);
    bench_emit(bench, "stream", "MiB/s", BETTER_MORE,
               (double)by_worker[STREAM].count * (double)work.payload / (1 << 20) /
                   outcome.seconds);
    bench_emit(bench, "put", "k/s", BETTER_MORE,
               (double)by_worker[SYNCED].count / outcome.seconds / 1e3);
    bench_emit_latencies(bench, "put", &by_worker[SYNCED]);
    bench_close(bench);
}
