/* run.c - see run.h. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>

#include "apart.h"
#include "memory_group.h"

struct task {
    struct bench bench;
    struct memory_group memory;
};

static void
work_on_series(void *context, int out)
{
    struct task *task = context;
    struct bench *bench = &task->bench;

    if (bench->series->memory != 0)
        memory_group_enter(&task->memory);
    bench->out = out;
    payloads_init(bench->payloads);
    bench->series->run(bench);
}

bool
run_series(const struct run_settings *settings, const struct series *series,
           const struct engine *engine, struct report *report, unsigned subject)
{
    char path[4096];
    struct task task = {
        .bench =
            {
                .series = series,
                .engine = engine,
                .path = path,
                .keys = (uint64_t)((double)series->keys * settings->scale),
                .seconds = settings->seconds,
                .payloads = settings->payloads,
                .compress = settings->compress,
            },
    };
    bool done;

    if (asked_to_end())
        return false;
    snprintf(path, sizeof(path), "%s/lsm-bench.XXXXXX", settings->directory);
    if (mkdtemp(path) == NULL)
        die("%s: %s", path, strerror(errno));
    if (series->memory != 0 && !memory_group_make(&task.memory, series->memory)) {
        fprintf(stderr, "%s is left out\n", series->name);
        remove_tree(path);
        return true;
    }
    done = run_apart(work_on_series, &task, report, subject);
    remove_tree(path);
    if (series->memory != 0)
        memory_group_remove(&task.memory);
    return done;
}
