/*
 * series.h - a series: one store of one engine, made, worked on and measured by a process of its
 * own, so that its memory, its files and its death are its own.
 *
 * A series emits samples, which the driver reads from a pipe.  A row of the report is what all
 * engines and repetitions emitted under one name.
 */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include "report.h"
#include "work.h"

struct bench;

struct series {
    const char *name;
    const char *about;
    void (*run)(struct bench *bench);
    bool puts_only; /* also for engines that can only put */
    size_t payload; /* bytes of attributes and value */
    uint64_t keys;
    unsigned threads;
    size_t cache, write_buffer;
    size_t
        memory; /* of the process and what the kernel keeps of its files; 0: no bound */
};

/* Ends with one whose name is NULL. */
extern const struct series all_series[];

/* One run of a series. */
struct bench {
    const struct series *series;
    const struct engine *engine;
    const char *path; /* an empty directory */
    int out;          /* where samples go */
    uint64_t keys;    /* those of the series, scaled */
    double seconds;   /* that work without a fixed number of operations lasts */
    enum payload_kind payloads;
    bool compress; /* see engine.h */
    void *store;
};

void bench_open(struct bench *bench, bool synced);
void bench_close(struct bench *bench);
/* Waits until the engine has written everything and merged what it wants to. */
void bench_settle(struct bench *bench);

/* `name` is the row's within the series. */
void bench_emit(struct bench *bench, const char *name, const char *unit,
                enum better better, double value);
/* Emits the rate of a work, in thousands a second, and the processor's time that an operation
 * took, which other load disturbs less; what was read is compared. */
void bench_emit_rate(struct bench *bench, const char *name,
                     const struct outcome *outcome);
/* Emits the p50, p99, p99.9 of some operations, in microseconds. */
void bench_emit_latencies(struct bench *bench, const char *name,
                          const struct histogram *latencies);

/* `operations` of `threads`, on the keys of the bench. */
struct work bench_work(const struct bench *bench, unsigned threads, uint64_t operations,
                       void (*step)(struct worker *worker, uint64_t i));
/* Puts all keys in random order, by one thread, and says how that went. */
void bench_fill(struct bench *bench, struct outcome *outcome);

/* Operations that several series make. */
void step_put_random_order(struct worker *worker, uint64_t i);
void step_put_in_order(struct worker *worker, uint64_t i);
void step_get_random(struct worker *worker, uint64_t i);

/* The series: series_tour.c, series_put.c, series_stream.c, series_aged.c, series_mixed.c, series_ycsb.c. */
void series_tour(struct bench *bench);
void series_small_cache(struct bench *bench);
void series_small_memory(struct bench *bench);
void series_put_synced(struct bench *bench);
void series_put_batches(struct bench *bench);
void series_stream_sync(struct bench *bench);
void series_emptied(struct bench *bench);
void series_emptied_kept(struct bench *bench);
void series_reopen(struct bench *bench);
void series_read_while_writing(struct bench *bench);
void series_ycsb(struct bench *bench);

#endif
