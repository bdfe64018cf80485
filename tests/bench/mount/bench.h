/*
 * bench.h - a run: one series of work on one contender, in a process of its own beside the
 * daemon.
 *
 * Cold is after a sync and a drop of all caches of the kernel's (/proc/sys/vm/drop_caches, 3),
 * the same for each contender: names, attributes and pages are asked for again, and a daemon has
 * been told to forget them.  What the daemon itself keeps, it keeps.
 */
#ifndef BENCH_MOUNT_BENCH_H
#define BENCH_MOUNT_BENCH_H

#include <stdint.h>
#include <sys/types.h>

#include "report.h"

struct bench;

struct series {
    const char *name;
    const char *about;
    void (*run)(struct bench *bench);
    unsigned callers;       /* of series_calls */
    bool pinned;            /* callers and daemon to one core */
    const char *takes_part; /* contenders, between commas; NULL: all */
};

/* Ends with one whose name is NULL. */
extern const struct series all_series[];

struct bench {
    const struct series *series;
    const char *beneath; /* a directory on the file system that holds the run's */
    const char *root;    /* where to work */
    const char *source;  /* a tree to copy; see source.h */
    const char *script;  /* the steps of real work */
    pid_t daemon;        /* 0: none */
    double scale;
    int out; /* where samples go */
};

/* A stretch of work, and what it has cost. */
struct meter {
    uint64_t begin, caller, daemon; /* nanoseconds */
};

void meter_begin(struct meter *meter, const struct bench *bench);
/* From now on the three are what has passed since meter_begin. */
void meter_end(struct meter *meter, const struct bench *bench);

/* Waits until all that was written is on the disk, so that it is not paid for later. */
void bench_settle(const struct bench *bench);
/* The same, then what comes is cold. */
void bench_go_cold(const struct bench *bench);

/* `name` is the row's within the series, `part` what of it ("" or "-p50"). */
void bench_emit(const struct bench *bench, const char *name, const char *part,
                const char *unit, enum better better, double value, uint64_t check);
/* Processor time of both, of caller, and of daemon, `unit` of which takes `per` nanoseconds. */
void bench_emit_costs(const struct bench *bench, const char *name, const char *unit,
                      const struct meter *meter, double per);

/* The series: calls.c, growth.c, large.c, memory.c, programs.c. */
void series_calls(struct bench *bench);
void series_growth(struct bench *bench);
void series_large(struct bench *bench);
void series_memory(struct bench *bench);
void series_programs(struct bench *bench);

#endif
