/* run.c - see run.h. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>

#include "apart.h"

static void
work_on_series(void *context, int out)
{
    struct bench *bench = context;

    bench->out = out;
    payloads_init(bench->payloads);
    bench->series->run(bench);
}

bool
run_series(const struct run_settings *settings, const struct series *series,
           const struct engine *engine, struct report *report, unsigned subject)
{
    char path[4096];
    struct bench bench = {
        .series = series,
        .engine = engine,
        .path = path,
        .keys = (uint64_t)((double)series->keys * settings->scale),
        .seconds = settings->seconds,
        .payloads = settings->payloads,
        .compress = settings->compress,
    };
    bool done;

    if (asked_to_end())
        return false;
    snprintf(path, sizeof(path), "%s/lsm-bench.XXXXXX", settings->directory);
    if (mkdtemp(path) == NULL)
        die("%s: %s", path, strerror(errno));
    done = run_apart(work_on_series, &bench, report, subject);
    remove_tree(path);
    return done;
}
