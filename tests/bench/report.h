/*
 * report.h - all that was measured, by row and engine: as a table to read, as JSON to plot.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "series.h"

enum { ENGINES_MAX = 8, REPEATS_MAX = 25, ROWS_MAX = 256 };

struct cell {
    double values[REPEATS_MAX];
    unsigned count;
};

struct row {
    char name[48];
    char unit[16];
    enum better better;
    struct cell cells[ENGINES_MAX];
    uint64_t check; /* what the first engine has read; 0: nothing yet */
};

struct report {
    const struct engine *engines[ENGINES_MAX];
    unsigned engine_count;
    unsigned repeats;
    double scale;
    struct row rows[ROWS_MAX];
    unsigned row_count;
};

/* False: the engine has read something else than another; that was told. */
bool report_add(struct report *report, unsigned engine, const struct sample *sample);

/* Medians, how far values lie apart, and how the first engine stands to the best of the others: above 1 it is
 * ahead, whichever way the row counts. */
void report_print(const struct report *report, FILE *out);

/*
 * {"date", "system", "processors", "scale", "repeats",
 *  "engines": [{"name", "build", "durability"}],
 *  "rows": [{"row", "unit", "better": "more" or "less",
 *            "engines": {NAME: {"median", "values": [...]}},
 *            "best_peer": NAME, "ratio"}]}
 *
 * best_peer and ratio are left out where there is none.
 */
void report_json(const struct report *report, FILE *out);

#endif
