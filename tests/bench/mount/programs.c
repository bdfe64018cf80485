/* programs.c - real work: the steps of the script, one after the other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "common.h"

enum { STEPS_MAX = 64 };

struct step {
    char name[32];
    char state[8]; /* "cold" or "warm" */
};

/* The script's list of its steps. */
static unsigned
read_steps(const struct bench *bench, struct step *steps)
{
    char command[4200];
    unsigned count = 0;
    FILE *list;

    snprintf(command, sizeof(command), "'%s' --list", bench->script);
    list = popen(command, "r");
    if (list == NULL)
        die("%s: %s", bench->script, strerror(errno));
    while (count < STEPS_MAX &&
           fscanf(list, "%31s %7s", steps[count].name, steps[count].state) == 2)
        count++;
    if (pclose(list) != 0 || count == 0)
        die("%s has no steps", bench->script);
    return count;
}

static void
run_script(const struct bench *bench, const char *step)
{
    char scale[32];
    int status = 1;
    pid_t child;

    snprintf(scale, sizeof(scale), "%g", bench->scale);
    fflush(NULL);
    child = fork();
    if (child < 0)
        die("no process can be made: %s", strerror(errno));
    if (child == 0) {
        execl(bench->script, bench->script, step, bench->root, bench->source, scale,
              (char *)NULL);
        die("%s: %s", bench->script, strerror(errno));
    }
    while (waitpid(child, &status, 0) != child)
        if (errno != EINTR)
            break;
    if (status != 0)
        die("%s %s has failed", bench->script, step);
}

void
series_programs(struct bench *bench)
{
    struct step steps[STEPS_MAX];
    unsigned count = read_steps(bench, steps);

    for (unsigned i = 0; i < count; i++) {
        const char *name = steps[i].name;
        struct meter meter;

        if (strcmp(steps[i].state, "cold") == 0) {
            bench_go_cold(bench);
        } else {
            bench_settle(bench);
            run_script(bench, "warm-source");
        }
        meter_begin(&meter, bench);
        run_script(bench, name);
        meter_end(&meter, bench);
        bench_emit(bench, name, "", "s", BETTER_LESS, (double)meter.begin / 1e9, 0);
        bench_emit_costs(bench, name, "s", &meter, 1e9);
    }
}
