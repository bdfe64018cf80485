/* command.c - see command.h. */
#include "common/command.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* All that would end us, but for those that nothing can hold and those of our own
 * faults. */
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

/* False, with errno: it is too long, or there is no working directory. */
static bool
absolute(const char *directory, const char *file, char *path, size_t size)
{
    char here[PATH_MAX] = "";
    int length;

    if (*directory != '/' && getcwd(here, sizeof(here)) == NULL)
        return false;
    length = snprintf(path, size, "%s%s%s/%s", here, *here != '\0' ? "/" : "", directory,
                      file);
    if (length >= 0 && (size_t)length < size)
        return true;
    errno = ENAMETOOLONG;
    return false;
}

/* As execvp would, but from the working directory of now: a PATH may have parts that are
 * not absolute, and those the snapshot must not fill.  The last link is kept: a program
 * may go by its name.  False, with errno. */
static bool
find(const char *file, char *path, size_t size)
{
    const char *parts = getenv("PATH");
    int error = ENOENT;
    struct stat found;

    if (strchr(file, '/') != NULL)
        return absolute(*file == '/' ? "/" : ".", file, path, size);
    if (*file == '\0') {
        errno = ENOENT;
        return false;
    }
    if (parts == NULL)
        parts = "/bin:/usr/bin";
    for (;;) {
        char part[PATH_MAX];
        size_t length = strcspn(parts, ":");

        snprintf(part, sizeof(part), "%.*s", (int)(length > 0 ? length : 1),
                 length > 0 ? parts : ".");
        if (length < sizeof(part) && absolute(part, file, path, size) &&
            stat(path, &found) == 0 && S_ISREG(found.st_mode)) {
            if (access(path, X_OK) == 0)
                return true;
            error = EACCES;
        }
        if (parts[length] == '\0')
            break;
        parts += length + 1;
    }
    errno = error;
    return false;
}

/* In the child. */
static _Noreturn void
execute(const char *name, char **arguments, int folder, const sigset_t *before)
{
    char path[2 * PATH_MAX];

    if (find(arguments[0], path, sizeof(path))) {
        if (fchdir(folder) != 0)
            give_up(name, "the snapshot", COMMAND_FAILED);
        command_restore_signals(before);
        execvp(path, arguments);
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

/* What is typed at a terminal it sends to all of its foreground, the command too; that it
 * is gone it tells the leader of the session alone. */
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
