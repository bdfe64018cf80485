/* apart.c - see apart.h. */
#include "apart.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

static volatile sig_atomic_t noted;

static void
take_note(int signal)
{
    noted = signal;
}

void
catch_signals(void)
{
    struct sigaction action = {.sa_handler = take_note}; /* no SA_RESTART */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool
asked_to_end(void)
{
    return noted != 0;
}

void
sample_emit(int out, const struct sample *sample)
{
    if (write(out, sample, sizeof(*sample)) != sizeof(*sample))
        die("the driver does not listen: %s", strerror(errno));
}

/* Samples are smaller than a pipe's atomic write, so they come whole.  False: the child is to be
 * ended. */
static bool
read_samples(int in, struct report *report, unsigned subject)
{
    struct sample sample;
    ssize_t got;

    while ((got = read(in, &sample, sizeof(sample))) == sizeof(sample))
        if (!report_add(report, subject, &sample))
            return false;
    return got == 0;
}

static bool
wait_for(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) != child)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool
run_apart(void (*work)(void *context, int out), void *context, struct report *report,
          unsigned subject)
{
    int ends[2];
    pid_t child;
    bool complete;

    if (pipe(ends) != 0)
        die("no pipe: %s", strerror(errno));
    fflush(NULL);
    child = fork();
    if (child < 0)
        die("no process can be made: %s", strerror(errno));
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        close(ends[0]);
        work(context, ends[1]);
        exit(0);
    }
    close(ends[1]);
    complete = read_samples(ends[0], report, subject);
    close(ends[0]);
    if (!complete)
        kill(child, SIGKILL);
    return wait_for(child) && complete && !asked_to_end();
}
