/*
 * cli_report.h - what `lsmfs check` and `lsmfs repair` say: findings on standard output,
 * a line each or a JSON object each; on a terminal, how far they have come, on standard
 * error.
 */
#ifndef FS_CLI_REPORT_H
#define FS_CLI_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/report_text.h"
#include "lsmkv.h"

/* Exit statuses, as fsck(8) has them. */
enum {
    REPORT_CLEAN = 0,
    REPORT_MENDED = 1,
    REPORT_DAMAGED = 4,
    REPORT_UNABLE = 8,
    REPORT_MISUSED = 16,
};

/* Zero it, set name, json and quiet, then report_begin. */
struct cli_report {
    const char *name; /* the command's */
    bool json, quiet;
    /* private */
    bool bar, colour; /* on a terminal */
    bool bar_shown;
    unsigned percent;
};

void report_begin(struct cli_report *report);

/* Progress: callbacks of lsmkv.h and fsck.h that find the report at `context`. */
void report_bytes(void *context, uint64_t done, uint64_t total);
void report_records(void *context, uint64_t records);
/* The same, in words. */
void report_amount(struct cli_report *report, const char *text);
void report_clear_bar(struct cli_report *report);

/* "damage" or "note". */
const char *report_severity(enum lsmkv_severity severity);
/* A line "WORD: WHERETEXT"; `bad`: in red on a terminal. */
void report_line(struct cli_report *report, const char *word, bool bad, const char *where,
                 const char *text);
/* A line with the object, which is given up; NULL: there was no memory for it. */
void report_json(json_t *object);
/* A finding about a file of the store, in either form. */
void report_file(struct cli_report *report, const struct lsmkv_finding *finding);

/* What the command could not do, on standard error; returns REPORT_UNABLE. */
int report_unable(struct cli_report *report, const char *why);
/* The same of an engine call about `path` that gave `result`. */
int report_unable_at(struct cli_report *report, const char *path, int result);

#endif
