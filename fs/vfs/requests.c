/* requests.c - see requests.h. */
#include "vfs/requests.h"

#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "vfs/newer.h"

#define CACHE_LINE 64u

struct cell {
    _Atomic uint64_t nanoseconds, buckets[REQUESTS_BUCKETS];
};

/* Of one thread.  The gap keeps the next row off its lines, wherever the first begins. */
struct row {
    struct cell cells[REQUESTS_KINDS];
    char gap[CACHE_LINE];
};

struct requests {
    unsigned threads;
    struct row rows[];
};

struct requests *
requests_new(unsigned threads)
{
    struct requests *requests =
        calloc(1, sizeof(*requests) + threads * sizeof(requests->rows[0]));

    if (requests != NULL)
        requests->threads = threads;
    return requests;
}

void
requests_free(struct requests *requests)
{
    free(requests);
}

/* ---- counting ---- */

uint64_t
requests_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nobody else writes here, so it need not be one step. */
static void
add(_Atomic uint64_t *count, uint64_t more)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

/* The first bucket that the time fits: its bound is the first power of four, in units of 1024
 * nanoseconds, that is not less. */
static unsigned
bucket_of(uint64_t nanoseconds)
{
    unsigned bits, bucket;

    if (nanoseconds <= REQUESTS_BOUND(0))
        return 0;
    bits = 64u - (unsigned)__builtin_clzll((nanoseconds - 1) >> 10);
    bucket = (bits + 1) / 2;
    return bucket < REQUESTS_BUCKETS ? bucket : REQUESTS_BUCKETS - 1;
}

uint64_t
requests_count(struct requests *requests, unsigned thread, uint32_t opcode,
               uint64_t began)
{
    uint64_t now = requests_now(), took = now - began;
    struct cell *cell =
        &requests->rows[thread].cells[requests_name(opcode) != NULL ? opcode : 0];

    add(&cell->nanoseconds, took);
    add(&cell->buckets[bucket_of(took)], 1);
    return now;
}

/* ---- looking ---- */

void
requests_sum(const struct requests *requests, unsigned kind, struct requests_kind *sum)
{
    *sum = (struct requests_kind){0};
    for (unsigned i = 0; i < requests->threads; i++) {
        const struct cell *cell = &requests->rows[i].cells[kind];

        sum->nanoseconds +=
            atomic_load_explicit(&cell->nanoseconds, memory_order_relaxed);
        for (unsigned k = 0; k < REQUESTS_BUCKETS; k++) {
            uint64_t count =
                atomic_load_explicit(&cell->buckets[k], memory_order_relaxed);

            sum->buckets[k] += count;
            sum->count += count;
        }
    }
}

uint64_t
requests_total(const struct requests *requests)
{
    uint64_t total = 0;

    for (unsigned kind = 0; kind < REQUESTS_KINDS; kind++) {
        struct requests_kind sum;

        requests_sum(requests, kind, &sum);
        total += sum.count;
    }
    return total;
}

const char *
requests_name(unsigned kind)
{
    static const char *const names[REQUESTS_KINDS] = {
        [0] = "other",
        [FUSE_LOOKUP] = "lookup",
        [FUSE_FORGET] = "forget",
        [FUSE_GETATTR] = "getattr",
        [FUSE_SETATTR] = "setattr",
        [FUSE_READLINK] = "readlink",
        [FUSE_SYMLINK] = "symlink",
        [FUSE_MKNOD] = "mknod",
        [FUSE_MKDIR] = "mkdir",
        [FUSE_UNLINK] = "unlink",
        [FUSE_RMDIR] = "rmdir",
        [FUSE_RENAME] = "rename",
        [FUSE_LINK] = "link",
        [FUSE_OPEN] = "open",
        [FUSE_READ] = "read",
        [FUSE_WRITE] = "write",
        [FUSE_STATFS] = "statfs",
        [FUSE_RELEASE] = "release",
        [FUSE_FSYNC] = "fsync",
        [FUSE_SETXATTR] = "setxattr",
        [FUSE_GETXATTR] = "getxattr",
        [FUSE_LISTXATTR] = "listxattr",
        [FUSE_REMOVEXATTR] = "removexattr",
        [FUSE_FLUSH] = "flush",
        [FUSE_INIT] = "init",
        [FUSE_OPENDIR] = "opendir",
        [FUSE_READDIR] = "readdir",
        [FUSE_RELEASEDIR] = "releasedir",
        [FUSE_FSYNCDIR] = "fsyncdir",
        [FUSE_CREATE] = "create",
        [FUSE_INTERRUPT] = "interrupt",
        [FUSE_BMAP] = "bmap",
        [FUSE_DESTROY] = "destroy",
        [FUSE_IOCTL] = "ioctl",
        [FUSE_POLL] = "poll",
        [FUSE_BATCH_FORGET] = "batch_forget",
        [FUSE_FALLOCATE] = "fallocate",
        [FUSE_READDIRPLUS] = "readdirplus",
        [FUSE_RENAME2] = "rename2",
        [FUSE_LSEEK] = "lseek",
        [FUSE_COPY_FILE_RANGE] = "copy_file_range",
        [FUSE_SYNCFS] = "syncfs",
        [NEWER_TMPFILE] = "tmpfile",
        [NEWER_STATX] = "statx",
    };

    return kind < REQUESTS_KINDS ? names[kind] : NULL;
}
