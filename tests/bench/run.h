/* run.h - runs one series of one engine in a process of its own. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "series.h"

struct run_settings {
    const char *directory; /* stores are made in it, and removed */
    double scale;          /* of the number of keys */
    double seconds;        /* that parts without a number of operations last */
    enum payload_kind payloads;
    bool compress; /* see engine.h */
};

/* Adds the samples to the report, as those of `subject`.  False: the process failed and has said
 * why, or this one was asked to end. */
bool run_series(const struct run_settings *settings, const struct series *series,
                const struct engine *engine, struct report *report, unsigned subject);

#endif
