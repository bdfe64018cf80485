/* run.c - see run.h. */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t asked_to_end;

static void
take_note(int signal)
{
    asked_to_end = signal;
}

void
run_catch_signals(void)
{
    struct sigaction action = {.sa_handler = take_note}; /* no SA_RESTART */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* In the child; does not return. */
static void
run_child(struct bench *bench)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    payloads_init();
    bench->series->run(bench);
    exit(0);
}

/* False: the child is to be ended. */
static bool
read_samples(int in, struct report *report, unsigned engine)
{
    struct sample sample;
    ssize_t got;

    while ((got = read(in, &sample, sizeof(sample))) == sizeof(sample))
        if (!report_add(report, engine, &sample))
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

/* Samples are smaller than a pipe's atomic write, so they come whole. */
static bool
run_in_directory(struct bench *bench, struct report *report, unsigned engine)
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
        close(ends[0]);
        bench->out = ends[1];
        run_child(bench);
    }
    close(ends[1]);
    complete = read_samples(ends[0], report, engine);
    close(ends[0]);
    if (!complete)
        kill(child, SIGKILL);
    return wait_for(child) && complete && !asked_to_end;
}

bool
run_series(const struct run_settings *settings, const struct series *series,
           struct report *report, unsigned engine)
{
    char path[4096];
    struct bench bench = {
        .series = series,
        .engine = report->engines[engine],
        .path = path,
        .keys = (uint64_t)((double)series->keys * settings->scale),
        .seconds = settings->seconds,
    };
    bool done;

    if (asked_to_end)
        return false;
    snprintf(path, sizeof(path), "%s/lsm-bench.XXXXXX", settings->directory);
    if (mkdtemp(path) == NULL)
        die("%s: %s", path, strerror(errno));
    done = run_in_directory(&bench, report, engine);
    remove_tree(path);
    return done;
}
