/* meter.h - clocks and counters: what an operation, and what the whole process, has cost. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <sys/types.h>

/* Nanoseconds, from some fixed moment. */
uint64_t meter_now(void);

/* Nanoseconds that all threads of the process have computed. */
uint64_t meter_cpu(void);

/* How often operations took how long, in buckets at most 1/32 apart. */
struct histogram {
    uint64_t buckets[64 * 32];
    uint64_t count, longest;
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The time, in microseconds, that `share` of the operations stayed within. */
double histogram_percentile(const struct histogram *histogram, double share);

/* What the process has done since it began: /proc/self/io. */
struct io_counters {
    uint64_t calls;         /* of the read and the write family */
    uint64_t bytes_written; /* of pages that it made dirty: what will go to the disk */
};

void io_counters_read(struct io_counters *counters);

/* Most memory that the process ever held, mapped files included, bytes. */
uint64_t peak_memory(void);
uint64_t peak_memory_of(pid_t process);

/* Bytes of all that lies below a directory, as it takes place on the disk. */
uint64_t space_taken(const char *path);
/* Removes a directory with all that is in it. */
void remove_tree(const char *path);

#endif
