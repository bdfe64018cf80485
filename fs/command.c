/* command.c - see command.h. */
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
held_signals(sigset_t *set)
{
    static const int numbers[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                  SIGUSR1, SIGUSR2, SIGCHLD};

    sigemptyset(set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(set, numbers[i]);
}

void
command_hold_signals(sigset_t *before)
{
    sigset_t held;

    /* Ignored by who started us, it would take the child's status with it. */
    signal(SIGCHLD, SIG_DFL);
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
        sigprocmask(SIG_SETMASK, before, NULL);
        execvp(file, arguments);
    }
    give_up(name, arguments[0], errno == ENOENT ? COMMAND_ABSENT : COMMAND_CANNOT);
}

/* What a terminal sends it sends to all of its foreground, the command too. */
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
        if (number > 0 && number != SIGCHLD && info.si_code <= 0)
            kill(child, number);
    }
    return WIFSIGNALED(status) ? COMMAND_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

int
command_run(const char *name, char **arguments, int folder, const sigset_t *before)
{
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
