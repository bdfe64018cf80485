/*
 * command.h - a command of the user's, run as a child that gets the signals which are
 * sent to us.
 *
 *     command_hold_signals, what must be undone, command_run, undoing it, the end of the
 *     process
 */
#ifndef FS_COMMAND_H
#define FS_COMMAND_H

#include <signal.h>

/* Exit statuses, as env(1) has them. */
enum {
    COMMAND_FAILED = 125, /* we, not the command */
    COMMAND_CANNOT = 126, /* it is there, but cannot be run */
    COMMAND_ABSENT = 127,
    COMMAND_SIGNAL = 128, /* and the number of the signal that ended it */
};

/* From now on signals that would end this process wait, and SIGPIPE is ignored.
 * `before`: the mask that there was. */
void command_hold_signals(sigset_t *before);
/* In a child: as they were. */
void command_restore_signals(const sigset_t *before);

/* Runs the command, looked for in PATH or, with a '/', both from the working directory of
 * now, with the directory `folder` as its own, and waits for its end; signals that come
 * are passed on; one that waits already is the end: the command is not run.  The exit
 * status. */
int command_run(const char *name, char **arguments, int folder, const sigset_t *before);

#endif
