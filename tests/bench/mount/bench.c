/* bench.c - see bench.h. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "apart.h"
#include "common.h"
#include "meter.h"

const struct series all_series[] = {
    {"core-1", "calls on small files, 1 caller, caller and daemon on one core",
     .run = series_calls, .callers = 1, .pinned = true},
    {"core-2", "the same, 2 callers", .run = series_calls, .callers = 2, .pinned = true},
    {"core-4", "the same, 4 callers", .run = series_calls, .callers = 4, .pinned = true},
    {"core-8", "the same, 8 callers", .run = series_calls, .callers = 8, .pinned = true},
    {"free-1", "calls on small files, 1 caller, nothing pinned", .run = series_calls,
     .callers = 1},
    {"free-2", "the same, 2 callers", .run = series_calls, .callers = 2},
    {"free-4", "the same, 4 callers", .run = series_calls, .callers = 4},
    {"free-8", "the same, 8 callers", .run = series_calls, .callers = 8},
    {"large", "a file of 1 GiB written with fsync, read cold", .run = series_large},
    {"programs", "cp, tar, find, grep, du, rsync, git, make, sqlite3, fio, rm",
     .run = series_programs},
    {"growth", "an entry's cost among a thousand to a million files, on one core",
     .run = series_growth, .pinned = true, .takes_part = "lsmfs,null,ext4"},
    {"memory", "the daemon's at a million files, then at 10 GiB", .run = series_memory,
     .takes_part = "lsmfs"},
    {.name = NULL},
};

/* ---- meter ---- */

/* The daemon's, threads that have ended included, to the nanosecond; /proc/PID/stat counts in
 * hundredths of a second. */
static uint64_t
cpu_of(pid_t process)
{
    struct timespec time;
    clockid_t clock;

    if (process == 0)
        return 0;
    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0)
        die("the daemon has gone");
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t
nanoseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

/* Of this process, and of those that it has waited for. */
static uint64_t
cpu_of_callers(void)
{
    struct rusage children;

    getrusage(RUSAGE_CHILDREN, &children);
    return meter_cpu() + nanoseconds(children.ru_utime) + nanoseconds(children.ru_stime);
}

void
meter_begin(struct meter *meter, const struct bench *bench)
{
    meter->daemon = cpu_of(bench->daemon);
    meter->caller = cpu_of_callers();
    meter->begin = meter_now();
}

void
meter_end(struct meter *meter, const struct bench *bench)
{
    meter->begin = meter_now() - meter->begin;
    meter->caller = cpu_of_callers() - meter->caller;
    meter->daemon = cpu_of(bench->daemon) - meter->daemon;
}

/* ---- caches ---- */

static void
sync_below(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) != 0)
        die("%s: no sync: %s", path, strerror(errno));
    close(fd);
}

/* Of the mount first: its daemon writes then. */
void
bench_settle(const struct bench *bench)
{
    sync_below(bench->root);
    sync_below(bench->beneath);
}

void
bench_go_cold(const struct bench *bench)
{
    int fd;

    bench_settle(bench);
    fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "3", 1) != 1)
        die("/proc/sys/vm/drop_caches: %s", strerror(errno));
    close(fd);
}

/* ---- samples ---- */

void
bench_emit(const struct bench *bench, const char *name, const char *part,
           const char *unit, enum better better, double value, uint64_t check)
{
    struct sample sample = {.better = better, .value = value, .check = check};

    snprintf(sample.row, sizeof(sample.row), "%s.%s%s", bench->series->name, name, part);
    snprintf(sample.unit, sizeof(sample.unit), "%s", unit);
    sample_emit(bench->out, &sample);
}

void
bench_emit_costs(const struct bench *bench, const char *name, const char *unit,
                 const struct meter *meter, double per)
{
    bench_emit(bench, name, "-cpu", unit, BETTER_LESS,
               (double)(meter->caller + meter->daemon) / per, 0);
    bench_emit(bench, name, "-caller", unit, BETTER_LESS, (double)meter->caller / per, 0);
    if (bench->daemon != 0)
        bench_emit(bench, name, "-daemon", unit, BETTER_LESS, (double)meter->daemon / per,
                   0);
}
