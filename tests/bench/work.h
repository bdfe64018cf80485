/*
 * work.h - a number of operations on an open store, by one or more threads.
 *
 * The clock is read once an operation, by every engine's: it costs some 25 ns of each.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include "engine.h"
#include "keys.h"
#include "meter.h"

struct worker {
    const struct work *work;
    unsigned index; /* 0 to threads - 1 */
    void *session;
    struct random random; /* the same for each engine */
    uint64_t inserted;    /* counted by steps that insert */
    struct tally tally;
    struct histogram latencies;
};

struct work {
    const struct engine *engine;
    void *store;
    unsigned threads;
    uint64_t operations; /* of all threads together; 0: until the time is up */
    double seconds;      /* after which it ends; 0: when all is done */
    uint64_t keys;       /* that are in the store, or will be */
    size_t payload;
    /* Makes operation number i. */
    void (*step)(struct worker *worker, uint64_t i);
    const void *context; /* of step */
};

struct outcome {
    double seconds;
    double cpu_seconds; /* of the whole process, background threads too */
    struct tally tally;
    struct histogram latencies;
    bool cut; /* the time was up before all was done */
};

/* by_worker: the latencies of each thread; NULL, or as many as there are threads. */
void work_run(const struct work *work, struct outcome *outcome,
              struct histogram *by_worker);

/* Operations a second, in thousands. */
double outcome_rate(const struct outcome *outcome);

#endif
