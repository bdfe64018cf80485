/* command.c - see command.h. */
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* All that would end us, but for those that nothing can hold and those of our own faults. */
static void
held_signals(sigset_t *set)
{
    static const int others[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT,
                                 SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT, SIGTRAP,
                                 SIGSYS,  SIGPIPE, SIGURG,  SIGWINCH};

    sigfillset(set);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        sigdelset(set, others[i]);
}

static void (*pipe_before)(int);

void
command_restore_signals(const sigset_t *before)
{
    signal(SIGPIPE, pipe_before);
    sigprocmask(SIG_SETMASK, before, NULL);
}

void
command_hold_signals(sigset_t *before)
{
    sigset_t held;

    /* Ignored by who started us, it would take the child's status with it. */
    signal(SIGCHLD, SIG_DFL);
    /* A message that nobody reads any more must not keep us from cleaning up. */
    pipe_before = signal(SIGPIPE, SIG_IGN);
    held_signals(&held);
    sigprocmask(SIG_BLOCK, &held, before);
}

/* In the child: the command is not run. */
static _Noreturn void
give_up(const char *name, const char *what, int status)
{
    fprintf(stderr, "lsmfs %s: %s: %s\n", name, what, strerror(errno));
    _exit(status);
}

/* In the child. */
static _Noreturn void
execute(const char *name, char **arguments, int folder, const sigset_t *before)
{
    char path[PATH_MAX];
    const char *file = arguments[0];

    if (strchr(file, '/') != NULL)
        file = realpath(file, path);
    if (file != NULL) {
        if (fchdir(folder) != 0)
            give_up(name, "the snapshot", COMMAND_FAILED);
        command_restore_signals(before);
        execvp(file, arguments);
    }
    give_up(name, arguments[0], errno == ENOENT ? COMMAND_ABSENT : COMMAND_CANNOT);
}

/* One that came while the snapshot was taken and shown; 0: none. */
static int
already_told(void)
{
    const struct timespec at_once = {0, 0};
    sigset_t held;
    int number;

    held_signals(&held);
    sigdelset(&held, SIGCHLD);
    number = sigtimedwait(&held, NULL, &at_once);
    return number > 0 ? number : 0;
}

/* What is typed at a terminal it sends to all of its foreground, the command too; that it is gone it
 * tells the leader of the session alone. */
static bool
is_for_us_alone(int number, const siginfo_t *info)
{
    return number != SIGCHLD && (info->si_code <= 0 || number == SIGHUP);
}

static int
await(pid_t child)
{
    sigset_t held;
    siginfo_t info;
    int status;

    held_signals(&held);
    for (;;) {
        int number = sigwaitinfo(&held, &info);
        if (number == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
            break;
        if (number > 0 && is_for_us_alone(number, &info))
            kill(child, number);
    }
    return WIFSIGNALED(status) ? COMMAND_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

int
command_run(const char *name, char **arguments, int folder, const sigset_t *before)
{
    int number = already_told();

    if (number != 0)
        return COMMAND_SIGNAL + number;
    fflush(stdout);
    pid_t child = fork();

    if (child < 0) {
        fprintf(stderr, "lsmfs %s: %s\n", name, strerror(errno));
        return COMMAND_FAILED;
    }
    if (child == 0)
        execute(name, arguments, folder, before);
    return await(child);
}
