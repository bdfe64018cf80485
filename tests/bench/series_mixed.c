/* series_mixed.c - reads of a store that is being written. */
#include "series.h"

#include <stdlib.h>

enum { WRITER = 0 };

/* The first thread puts over keys that are there, the others get. */
static void
step_mixed(struct worker *worker, uint64_t i)
{
    if (worker->index == WRITER)
        step_put_random_order(worker, i);
    else
        step_get_random(worker, i);
}

void
series_read_while_writing(struct bench *bench)
{
    unsigned threads = bench->series->threads;
    struct histogram *by_worker = need(threads * sizeof(*by_worker)),
                     reads = {.count = 0};
    struct work work;
    struct outcome outcome;

    bench_open(bench, false);
    bench_fill(bench, &outcome);
    bench_settle(bench);
    work = bench_work(bench, threads, 0, step_mixed);
    work.seconds = bench->seconds;
    work_run(&work, &outcome, by_worker);
    for (unsigned i = WRITER + 1; i < threads; i++)
        histogram_merge(&reads, &by_worker[i]);
    bench_emit(bench, "get", "k/s", BETTER_MORE,
               (double)reads.count / outcome.seconds / 1e3);
    bench_emit_latencies(bench, "get", &reads);
    bench_emit(bench, "put", "k/s", BETTER_MORE,
               (double)by_worker[WRITER].count / outcome.seconds / 1e3);
    bench_emit_latencies(bench, "put", &by_worker[WRITER]);
    bench_close(bench);
    free(by_worker);
}
