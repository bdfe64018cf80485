/*
 * log.h - where messages go: to stderr while somebody may be reading it, to the system's
 * log once the daemon runs on its own.
 *
 * Threads: log_say, log_engine and log_begin_syslog from any; the rest while one thread
 * runs.
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include "lsmkv.h"

/* From now on the system's log gets what would go to stderr. */
void log_begin_syslog(void);

/* A line, dropped if its level is beyond the one that was set. */
void log_say(enum lsmkv_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The last level that is said; at first LSMKV_LOG_WARNING. */
void log_set_level(enum lsmkv_level level);

/* lsmkv_options.log; `context` is not used. */
void log_engine(void *context, enum lsmkv_level level, const char *line);

/* Sends libfuse's messages here too.  Between log_hold and log_release they are kept
 * back, the last of them to be asked for: it says why a mount failed. */
void log_adopt_libfuse(void);
void log_hold(void);
/* The last message kept back, "" if there was none; holds until the next log_hold. */
const char *log_release(void);

#endif
