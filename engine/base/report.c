/* report.c - one line a report: to the store's log, and kept as the thread's detail. */
#include "base/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DETAIL_MAX 512

static _Thread_local char detail[DETAIL_MAX];

const char *
lsmkv_error_detail(void)
{
    return detail;
}

void
error_clear(void)
{
    detail[0] = '\0';
}

static void
log_to_stderr(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    if (level == LSMKV_LOG_ERROR)
        fprintf(stderr, "lsmkv: error: %s\n", line);
    else if (level == LSMKV_LOG_WARNING)
        fprintf(stderr, "lsmkv: warning: %s\n", line);
}

void
reporter_init(struct reporter *reporter,
              void (*log)(void *context, enum lsmkv_level level, const char *line),
              void *context)
{
    reporter->log = log != NULL ? log : log_to_stderr;
    reporter->context = context;
    mutex_init(&reporter->mutex);
}

void
reporter_fini(struct reporter *reporter)
{
    mutex_fini(&reporter->mutex);
}

static void format_line(char *out, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* File names and damaged bytes may hold anything, but a report is one line. */
static void
format_line(char *out, size_t size, const char *format, va_list arguments)
{
    char *next;

    if (vsnprintf(out, size, format, arguments) < 0)
        snprintf(out, size, "%s", format);
    for (next = out; *next != '\0'; next++)
        if ((unsigned char)*next < ' ' || *next == 0x7f)
            *next = '?';
}

static void
send_line(struct reporter *reporter, enum lsmkv_level level, const char *line)
{
    if (reporter == NULL)
        return;
    mutex_lock(&reporter->mutex);
    reporter->log(reporter->context, level, line);
    mutex_unlock(&reporter->mutex);
}

int
report_error(struct reporter *reporter, int result, const char *format, ...)
{
    char line[DETAIL_MAX + 64];
    va_list arguments;

    va_start(arguments, format);
    format_line(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    snprintf(line, sizeof(line), "%s: %s", detail, lsmkv_strerror(result));
    send_line(reporter, LSMKV_LOG_ERROR, line);
    return result;
}

void
report_warning(struct reporter *reporter, const char *format, ...)
{
    char line[DETAIL_MAX];
    va_list arguments;

    va_start(arguments, format);
    format_line(line, sizeof(line), format, arguments);
    va_end(arguments);
    send_line(reporter, LSMKV_LOG_WARNING, line);
}

void
report_info(struct reporter *reporter, const char *format, ...)
{
    char line[DETAIL_MAX];
    va_list arguments;

    va_start(arguments, format);
    format_line(line, sizeof(line), format, arguments);
    va_end(arguments);
    send_line(reporter, LSMKV_LOG_INFO, line);
}

int
error_detail(int result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_line(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    return result;
}
