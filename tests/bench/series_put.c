/* series_put.c - synced puts of new keys, in random order. */
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
