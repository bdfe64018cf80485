/*
 * launch.h - a daemon whose parent waits until it works, and passes on how that went.
 */
#ifndef FS_LAUNCH_H
#define FS_LAUNCH_H

struct launch;

/* Forks.  In the child, `*launch` is set.  In the parent it is NULL, and the result is
 * the exit status: 0 once the child has called launch_detach, otherwise what it gave to
 * launch_end, or STATUS_DIED. */
int launch_fork(struct launch **launch);

/* In the child: it works.  Leaves session, terminal and directory, sends messages to the
 * system's log from now on, and lets the parent go. */
void launch_detach(struct launch *launch);

/* In the child, last: `status` reaches the parent if it still waits.  Frees `launch`. */
void launch_end(struct launch *launch, int status);

#endif
