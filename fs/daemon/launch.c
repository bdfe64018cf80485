/*
 * launch.c - a daemon whose parent waits until it works.
 *
 * The child writes one byte, its status, to a pipe.  A pipe that ends without it means
 * that the child died.  Until it is detached the child stays in the parent's process
 * group, so that an interrupt from the terminal reaches both.
 */
#include "daemon/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/mount.h"

struct launch {
    int pipe; /* -1 once the status has been sent */
};

/* What the child says, or what became of it. */
static int
await(int pipe, pid_t child)
{
    unsigned char status;
    ssize_t got;
    int end;

    do {
        got = read(pipe, &status, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1)
        return status;
    while (waitpid(child, &end, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(end))
        log_say(LSMKV_LOG_ERROR, "the daemon was killed by signal %d (%s)", WTERMSIG(end),
                strsignal(WTERMSIG(end)));
    else
        log_say(LSMKV_LOG_ERROR, "the daemon ended without a word");
    return STATUS_DIED;
}

int
launch_fork(struct launch **launch)
{
    int ends[2];
    pid_t child;

    *launch = NULL;
    /* A daemon that keeps what it inherited keeps others' locks and pipes. */
    close_range(STDERR_FILENO + 1, ~0u, 0);
    if (pipe2(ends, O_CLOEXEC) != 0 || (child = fork()) < 0) {
        log_say(LSMKV_LOG_ERROR, "cannot start a daemon: %s", strerror(errno));
        return STATUS_FAILED;
    }
    if (child != 0) {
        close(ends[1]);
        return await(ends[0], child);
    }
    close(ends[0]);
    *launch = malloc(sizeof(**launch));
    if (*launch == NULL)
        _exit(STATUS_FAILED);
    (*launch)->pipe = ends[1];
    return 0;
}

static void
send_status(struct launch *launch, int status)
{
    unsigned char byte = (unsigned char)status;

    if (launch->pipe < 0)
        return;
    /* A parent that is gone does not want to know. */
    if (write(launch->pipe, &byte, 1) != 1)
        log_say(LSMKV_LOG_WARNING, "nobody waits for the mount");
    close(launch->pipe);
    launch->pipe = -1;
}

void
launch_detach(struct launch *launch)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    log_begin_syslog();
    setsid();
    if (chdir("/") != 0)
        log_say(LSMKV_LOG_WARNING, "/: %s", strerror(errno));
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    send_status(launch, 0);
}

void
launch_end(struct launch *launch, int status)
{
    send_status(launch, status);
    free(launch);
}
