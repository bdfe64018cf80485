/*
 * cli_signals.h - what ends a command that may take long: it goes on to where it can end
 * well, and its exit status is then STATUS_SIGNAL and the number.
 */
#ifndef FS_CLI_SIGNALS_H
#define FS_CLI_SIGNALS_H

#define STATUS_SIGNAL 128 /* and its number */

/* Has SIGINT, SIGTERM and SIGHUP call `on_signal`, the first time; the second ends us at
 * once, and a read that waits ends, too.  What is ignored, as nohup has it, stays so.
 * SIGPIPE and SIGXFSZ no longer end it halfway: who writes is told. */
void cli_catch_signals(void (*on_signal)(int number));

#endif
