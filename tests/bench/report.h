/*
 * report.h - all that was measured, by row and subject (an engine, a mount): as a table to read,
 * as JSON to plot.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { SUBJECTS_MAX = 8, REPEATS_MAX = 25, ROWS_MAX = 1024 };

enum better { BETTER_MORE, BETTER_LESS };

struct sample {
    char row[48];
    char unit[16];
    enum better better;
    double value;
    uint64_t check; /* of what was read: the same for all subjects; 0: not compared */
};

/* How the first subject is held against another one. */
enum standing {
    PEER,      /* by the best of its kind */
    YARDSTICK, /* by itself */
    ASIDE,     /* not at all */
};

struct subject {
    const char *name;
    const char *build;
    const char *durability;
    enum standing standing;
};

struct cell {
    double values[REPEATS_MAX];
    unsigned count;
};

struct row {
    char name[48];
    char unit[16];
    enum better better;
    struct cell cells[SUBJECTS_MAX];
    uint64_t check; /* what the first subject has read; 0: nothing yet */
};

struct report {
    struct subject subjects[SUBJECTS_MAX];
    unsigned subject_count;
    unsigned repeats;
    double scale;
    struct row rows[ROWS_MAX];
    unsigned row_count;
};

/* False: the subject has read something else than another; that was told. */
bool report_add(struct report *report, unsigned subject, const struct sample *sample);

/* Medians, how far values lie apart, and how the first subject stands to the best of its peers
 * and to each yardstick: above 1 it is ahead, whichever way the row counts. */
void report_print(const struct report *report, FILE *out);

/*
 * {"program", "date", "system", "processors", "scale", "repeats",
 *  "engines": [{"name", "build", "durability"}],
 *  "rows": [{"row", "unit", "better": "more" or "less",
 *            "engines": {NAME: {"median", "values": [...]}},
 *            "best_peer": NAME, "ratio", "ratios": {YARDSTICK: ratio}}]}
 *
 * best_peer, ratio and those of ratios are left out where there is none.
 */
void report_json(const struct report *report, FILE *out);

/* The same into a file; ends the process if it cannot be written. */
void report_save(const struct report *report, const char *path);

#endif
