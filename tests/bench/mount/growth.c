/*
 * growth.c - what an entry costs as files become many: empty ones, created, looked up cold, listed
 * cold with their attributes, unlinked.
 *
 * All are in *one* directory, or *spread*, a hundred in each.  Sizes follow each other on one
 * mount, the smallest first, so that there is little to be met of what those before have left
 * behind.  Of directories of a thousand there are ten: one would be done with too soon.
 *
 * A row is OPERATION-LAYOUT-FILES, of files at scale 1; OPERATION-one-ratio says how much longer an
 * entry of the largest directory takes than one of a thousand.
 */
#include <stdio.h>

#include "bench.h"
#include "common.h"
#include "crowd.h"
#include "meter.h"

/* At scale 1. */
struct size {
    const char *label;
    double directories, in_one;
    bool grows_wide; /* smaller with the scale: the number of directories, not theirs */
};

static const struct size sizes[] = {
    {"one-1000", 10, 1e3, false},       {"one-10000", 1, 1e4, false},
    {"spread-10000", 1e2, 1e2, true},   {"one-100000", 1, 1e5, false},
    {"spread-100000", 1e3, 1e2, true},  {"one-1000000", 1, 1e6, false},
    {"spread-1000000", 1e4, 1e2, true},
};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), SMALLEST = 0, LARGEST = 5 };

static const struct operation {
    const char *name;
    bool cold;
    void (*run)(struct crowd *crowd);
} operations[] = {
    {"create", false, crowd_create},
    {"stat-cold", true, crowd_stat},
    {"list-cold", true, crowd_list},
    {"unlink", false, crowd_unlink},
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

/* Of an entry, in microseconds. */
struct cost {
    double time, cpu;
};

static struct cost
measure(const struct bench *bench, const struct operation *operation,
        const struct size *size, struct crowd *crowd)
{
    double per = (double)crowd->files * 1e3;
    struct meter meter;
    struct cost cost;
    char name[40];

    if (operation->cold)
        bench_go_cold(bench);
    else
        bench_settle(bench);
    meter_begin(&meter, bench);
    operation->run(crowd);
    meter_end(&meter, bench);
    cost.time = (double)meter.begin / per;
    cost.cpu = (double)(meter.caller + meter.daemon) / per;
    snprintf(name, sizeof(name), "%s-%s", operation->name, size->label);
    bench_emit(bench, name, "", "us", BETTER_LESS, cost.time,
               operation->cold ? tally_check(&crowd->seen) : 0);
    bench_emit_costs(bench, name, "us", &meter, per);
    return cost;
}

static uint64_t
scaled(double count, double scale)
{
    return count * scale < 1 ? 1 : (uint64_t)(count * scale);
}

static void
run_size(const struct bench *bench, const struct size *size, struct cost *costs)
{
    uint64_t directories = scaled(size->directories, size->grows_wide ? bench->scale : 1);
    uint64_t in_one = scaled(size->in_one, size->grows_wide ? 1 : bench->scale);
    struct crowd crowd;

    crowd_open(&crowd, bench->root, size->label, directories * in_one, in_one);
    for (unsigned i = 0; i < OPERATIONS; i++)
        costs[i] = measure(bench, &operations[i], size, &crowd);
    crowd_close(&crowd);
}

void
series_growth(struct bench *bench)
{
    struct cost costs[SIZES][OPERATIONS];
    char name[40];

    for (unsigned i = 0; i < SIZES; i++)
        run_size(bench, &sizes[i], costs[i]);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        const struct cost *small = &costs[SMALLEST][i], *large = &costs[LARGEST][i];

        snprintf(name, sizeof(name), "%s-one-ratio", operations[i].name);
        bench_emit(bench, name, "", "1e6/1e3", BETTER_LESS, large->time / small->time, 0);
        bench_emit(bench, name, "-cpu", "1e6/1e3", BETTER_LESS, large->cpu / small->cpu,
                   0);
    }
}
