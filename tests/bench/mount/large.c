/* large.c - see large.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "common.h"
#include "keys.h"
#include "large.h"
#include "meter.h"

enum { PIECE = 128 << 10 };

static const char name[] = "large";

static int
open_large(const struct bench *bench, int flags)
{
    char path[4200];
    int fd;

    snprintf(path, sizeof(path), "%s/large", bench->root);
    fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        die("%s: %s", path, strerror(errno));
    return fd;
}

static void
emit(const struct bench *bench, const char *row, struct meter *meter, uint64_t pieces,
     const struct tally *tally)
{
    double megabytes = (double)(pieces * PIECE) / 1e6;

    bench_emit(bench, row, "", "MB/s", BETTER_MORE,
               megabytes / ((double)meter->begin / 1e9), tally_check(tally));
    bench_emit_costs(bench, row, "us/MB", meter, megabytes * 1e3);
}

static void
write_large(const struct bench *bench, uint64_t pieces)
{
    int fd = open_large(bench, O_WRONLY | O_CREAT | O_EXCL);
    struct tally none = {0};
    char piece[PIECE];
    struct meter meter;

    meter_begin(&meter, bench);
    for (uint64_t i = 0; i < pieces; i++) {
        for (unsigned j = 0; j < PIECE / PAYLOAD_MAX; j++)
            memcpy(piece + j * PAYLOAD_MAX, payload_of(i * 2 + j, PAYLOAD_MAX).data,
                   PAYLOAD_MAX);
        if (write(fd, piece, sizeof(piece)) != sizeof(piece))
            die("%s: %s", name, strerror(errno));
    }
    if (fsync(fd) != 0 || close(fd) != 0)
        die("%s: %s", name, strerror(errno));
    meter_end(&meter, bench);
    emit(bench, "write-fsync", &meter, pieces, &none);
}

static void
read_large(const struct bench *bench, uint64_t pieces)
{
    int fd = open_large(bench, O_RDONLY);
    struct tally tally = {0};
    char piece[PIECE];
    struct meter meter;

    meter_begin(&meter, bench);
    for (uint64_t i = 0; i < pieces; i++) {
        if (read(fd, piece, sizeof(piece)) != sizeof(piece))
            die("%s: it is shorter than it was made", name);
        tally_add(&tally, piece, PIECE / 16);
    }
    close(fd);
    meter_end(&meter, bench);
    emit(bench, "read-cold", &meter, pieces, &tally);
}

void
large_write_and_read(const struct bench *bench, unsigned gibibytes)
{
    uint64_t pieces = (uint64_t)((1 << 30) / PIECE * gibibytes * bench->scale);

    pieces = pieces == 0 ? 1 : pieces;
    bench_settle(bench);
    write_large(bench, pieces);
    bench_go_cold(bench);
    read_large(bench, pieces);
}

void
series_large(struct bench *bench)
{
    large_write_and_read(bench, 1);
    if (bench->daemon != 0)
        bench_emit(bench, "memory", "", "MiB", BETTER_LESS,
                   (double)peak_memory_of(bench->daemon) / (1 << 20), 0);
}
