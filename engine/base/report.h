/*
 * report.h - where errors are told: once, where they are detected, with file, offset and
 * what was expected.
 *
 * A report goes to the store's log function and becomes the thread's
 * lsmkv_error_detail().  The functions that report allow a NULL reporter: then nothing is
 * logged, but the detail is still set.  Control characters become '?', so that a report
 * is one line.
 *
 * A report about a file of the store begins with its name and ": ", then "offset N: "
 * where that is known: lsmkv_check makes of it what it finds.
 */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H

#include "base/mutex.h"
#include "lsmkv.h"

/* Constant after report_init but for the mutex, which keeps lines whole. */
struct reporter {
    void (*log)(void *context, enum lsmkv_level level, const char *line);
    void *context;
    struct mutex mutex;
};

/* A NULL `log` means errors and warnings to stderr. */
void reporter_init(struct reporter *reporter,
                   void (*log)(void *context, enum lsmkv_level level, const char *line),
                   void *context);
void reporter_fini(struct reporter *reporter);

/* Logs an error, with lsmkv_strerror(result) behind it, and sets the thread's detail,
 * without it.  Returns `result`, so that it can end a function: `return report_error(r,
 * -EBADMSG, "%s: offset %llu: ...", ...)`. */
int report_error(struct reporter *reporter, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_warning(struct reporter *reporter, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void report_info(struct reporter *reporter, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sets the thread's detail without a log line: a caller's mistake, or nothing to log
 * to. */
int error_detail(int result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Forgets the thread's detail; public functions call it first. */
void error_clear(void);

#endif
