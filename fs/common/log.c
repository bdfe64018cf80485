/*
 * log.c - one sink for the messages of the engine, of libfuse and of the daemon itself.
 */
#include "common/log.h"

#include <fuse_log.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#define LINE_SIZE 1024u

static atomic_bool to_syslog;
/* Changed only while one thread runs. */
static enum lsmkv_level last_said = LSMKV_LOG_WARNING;
static bool holding;
static char held[LINE_SIZE];

void
log_begin_syslog(void)
{
    openlog("lsmfs", LOG_PID, LOG_DAEMON);
    atomic_store(&to_syslog, true);
}

void
log_set_level(enum lsmkv_level level)
{
    last_said = level;
}

static int
priority_of(enum lsmkv_level level)
{
    switch (level) {
    case LSMKV_LOG_ERROR:
        return LOG_ERR;
    case LSMKV_LOG_WARNING:
        return LOG_WARNING;
    case LSMKV_LOG_INFO:
        return LOG_INFO;
    default:
        return LOG_DEBUG;
    }
}

static void
emit(enum lsmkv_level level, const char *line)
{
    if (level > last_said)
        return;
    if (atomic_load(&to_syslog))
        syslog(priority_of(level), "%s", line);
    else
        fprintf(stderr, "lsmfs: %s\n", line);
}

void
log_say(enum lsmkv_level level, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    emit(level, line);
}

void
log_engine(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    emit(level, line);
}

/* ---- libfuse ---- */

/* Debugging output comes in pieces of lines, so it goes through as it is. */
__attribute__((format(printf, 2, 0))) static void
libfuse_message(enum fuse_log_level level, const char *format, va_list arguments)
{
    char line[LINE_SIZE];

    if (level == FUSE_LOG_DEBUG) {
        vfprintf(stderr, format, arguments);
        return;
    }
    vsnprintf(line, sizeof(line), format, arguments);
    line[strcspn(line, "\n")] = '\0';
    if (holding)
        memcpy(held, line, sizeof(held));
    else
        emit(level <= FUSE_LOG_ERR ? LSMKV_LOG_ERROR : LSMKV_LOG_WARNING, line);
}

void
log_adopt_libfuse(void)
{
    fuse_set_log_func(libfuse_message);
}

void
log_hold(void)
{
    held[0] = '\0';
    holding = true;
}

const char *
log_release(void)
{
    holding = false;
    return held;
}
