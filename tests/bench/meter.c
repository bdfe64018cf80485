/* meter.c - see meter.h. */
#include "meter.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

enum { STEPS = 32, OPEN_DIRECTORIES = 16 };

static uint64_t
read_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t
meter_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t
meter_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* ---- histogram ---- */

/* Below 32 each number has its bucket; above, each power of two has 32. */
static unsigned
bucket_of(uint64_t number)
{
    unsigned shift;

    if (number < STEPS)
        return (unsigned)number;
    shift = 58u - (unsigned)__builtin_clzll(number);
    return (shift + 1) * STEPS + (unsigned)(number >> shift) - STEPS;
}

/* The largest number of a bucket. */
static uint64_t
bucket_end(unsigned bucket)
{
    unsigned shift = bucket / STEPS;

    if (shift == 0)
        return bucket;
    return (((uint64_t)bucket % STEPS + STEPS + 1) << (shift - 1)) - 1;
}

void
histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
    histogram->buckets[bucket_of(nanoseconds)]++;
    histogram->count++;
    if (nanoseconds > histogram->longest)
        histogram->longest = nanoseconds;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < 64 * STEPS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    if (from->longest > into->longest)
        into->longest = from->longest;
}

double
histogram_percentile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;

    for (unsigned i = 0; i < 64 * STEPS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted)
            return (double)bucket_end(i) / 1e3;
    }
    return (double)histogram->longest / 1e3;
}

/* ---- the process ---- */

/* The number behind `name` in a file of lines "name: number". */
static uint64_t
read_number(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    char line[256];
    uint64_t number = 0;
    size_t length = strlen(name);

    if (file == NULL)
        die("%s cannot be read", path);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            sscanf(line + length + 1, "%" SCNu64, &number);
    fclose(file);
    return number;
}

void
io_counters_read(struct io_counters *counters)
{
    const char *path = "/proc/self/io";

    counters->calls = read_number(path, "syscr") + read_number(path, "syscw");
    counters->bytes_written = read_number(path, "write_bytes");
}

uint64_t
peak_memory(void)
{
    return peak_memory_of(getpid());
}

uint64_t
peak_memory_of(pid_t process)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/status", (int)process);
    return read_number(path, "VmHWM") << 10;
}

/* ---- directories ---- */

static uint64_t space;

static int
add_space(const char *path, const struct stat *attr, int type, struct FTW *place)
{
    (void)path, (void)type, (void)place;
    space += (uint64_t)attr->st_blocks * 512;
    return 0;
}

/* An engine may remove a file meanwhile: then the walk is made again. */
uint64_t
space_taken(const char *path)
{
    do
        space = 0;
    while (nftw(path, add_space, OPEN_DIRECTORIES, FTW_PHYS) != 0);
    return space;
}

static int
remove_entry(const char *path, const struct stat *attr, int type, struct FTW *place)
{
    (void)attr, (void)type, (void)place;
    return remove(path);
}

void
remove_tree(const char *path)
{
    if (nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "%s: %s: cannot be removed\n", program_invocation_short_name,
                path);
}
