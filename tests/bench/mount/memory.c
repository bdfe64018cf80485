/*
 * memory.c - how much memory the daemon has taken at most, a row a task: VmHWM, set back before
 * each.
 *
 *     create    a million files made in one directory
 *     list      that directory listed, with attributes
 *     lookup    each file looked up cold, ten times over: the kernel knows a million, is told to
 *               forget them, and asks again
 *     forgotten what is still taken when the kernel has been told once more, and
 *               the daemon has had the time to give it back
 *     copy      10 GiB written, synced, and read cold
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "common.h"
#include "crowd.h"
#include "large.h"
#include "meter.h"

enum { FILES = 1000000, PASSES = 10, GIBIBYTES = 10, SECONDS_TO_FORGET = 3 };

/* From now on the peak is what is taken now, or more. */
static void
forget_peak(const struct bench *bench)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)bench->daemon);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1)
        die("%s: %s", path, strerror(errno));
    close(fd);
}

static void
emit_peak(const struct bench *bench, const char *row)
{
    bench_emit(bench, row, "", "MiB", BETTER_LESS,
               (double)peak_memory_of(bench->daemon) / (1 << 20), 0);
}

static void
work_on_crowd(const struct bench *bench, struct crowd *crowd)
{
    forget_peak(bench);
    crowd_create(crowd);
    emit_peak(bench, "create");
    bench_go_cold(bench);
    forget_peak(bench);
    crowd_list(crowd);
    emit_peak(bench, "list");
    forget_peak(bench);
    for (unsigned i = 0; i < PASSES; i++) {
        bench_go_cold(bench);
        crowd_stat(crowd);
    }
    emit_peak(bench, "lookup");
    bench_go_cold(bench);
    sleep(SECONDS_TO_FORGET);
    forget_peak(bench);
    emit_peak(bench, "forgotten");
}

void
series_memory(struct bench *bench)
{
    uint64_t files = (uint64_t)(FILES * bench->scale);
    struct crowd crowd;

    files = files == 0 ? 1 : files;
    crowd_open(&crowd, bench->root, "crowd", files, files);
    work_on_crowd(bench, &crowd);
    crowd_close(&crowd);
    forget_peak(bench);
    large_write_and_read(bench, GIBIBYTES);
    emit_peak(bench, "copy");
}
