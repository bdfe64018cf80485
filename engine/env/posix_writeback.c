/*
 * posix_writeback.c - a thread of a directory that starts the writing of dirty bytes.
 *
 * The kernel takes as long to send four mebibytes to a disk as it took to copy them from the
 * program, so whoever writes does not do it in between.  The thread starts with the first range, and
 * runs where whoever opened the directory might: not on the one processor that the thread which
 * happens to write first may be bound to.  It has a descriptor of its own for each range, so files
 * may be closed meanwhile; few wait, and beyond that the writer does it itself, so that no more
 * stays dirty.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutex.h"
#include "env/posix.h"

#define WAITING_MAX 4
#define ASIDE_SIZE  (1u << 20) /* below it handing over gains nothing */

struct range {
    int fd;
    off_t offset, size;
};

struct posix_writeback {
    cpu_set_t processors; /* the opener's; empty: not known */
    struct mutex mutex;
    struct condition work;
    /* guarded by mutex */
    struct env_thread *thread; /* NULL: not yet */
    struct range waiting[WAITING_MAX];
    unsigned count;
    bool closing;
};

/* Without a WAIT flag this neither waits nor takes an error away from the sync that comes later.
 * So its result tells nothing that the sync does not. */
static void
start_writing(int fd, off_t offset, off_t size)
{
    (void)sync_file_range(fd, offset, size, SYNC_FILE_RANGE_WRITE);
}

struct posix_writeback *
posix_writeback_new(void)
{
    struct posix_writeback *writeback = calloc(1, sizeof(*writeback));

    if (writeback == NULL)
        return NULL;
    if (sched_getaffinity(0, sizeof(writeback->processors), &writeback->processors) != 0)
        CPU_ZERO(&writeback->processors);
    mutex_init(&writeback->mutex);
    condition_init(&writeback->work);
    return writeback;
}

static void
writeback_thread(void *argument)
{
    struct posix_writeback *writeback = argument;

    (void)sched_setaffinity(0, sizeof(writeback->processors), &writeback->processors);
    mutex_lock(&writeback->mutex);
    while (!writeback->closing || writeback->count > 0) {
        struct range range;

        if (writeback->count == 0) {
            condition_wait(&writeback->work, &writeback->mutex);
            continue;
        }
        range = writeback->waiting[0];
        writeback->count--;
        memmove(&writeback->waiting[0], &writeback->waiting[1],
                writeback->count * sizeof(range));
        mutex_unlock(&writeback->mutex);
        start_writing(range.fd, range.offset, range.size);
        close(range.fd);
        mutex_lock(&writeback->mutex);
    }
    mutex_unlock(&writeback->mutex);
}

/* False: nobody will do it. */
static bool hand_over(struct posix_writeback *writeback, struct lsmkv_env *env,
                      struct range range) LSMKV_REQUIRES(writeback->mutex);

static bool
hand_over(struct posix_writeback *writeback, struct lsmkv_env *env, struct range range)
{
    if (writeback->count == WAITING_MAX)
        return false;
    if (writeback->thread == NULL &&
        env->thread_start(env, "lsmkv-writeback", writeback_thread, writeback,
                          &writeback->thread) != 0)
        return false;
    range.fd = fcntl(range.fd, F_DUPFD_CLOEXEC, 0);
    if (range.fd < 0)
        return false;
    writeback->waiting[writeback->count++] = range;
    condition_signal(&writeback->work);
    return true;
}

void
posix_writeback_start(struct posix_writeback *writeback, struct lsmkv_env *env, int fd,
                      uint64_t offset, uint64_t size)
{
    const struct range range = {fd, (off_t)offset, (off_t)size};
    bool taken = false;

    if (size >= ASIDE_SIZE) {
        mutex_lock(&writeback->mutex);
        taken = hand_over(writeback, env, range);
        mutex_unlock(&writeback->mutex);
    }
    if (!taken)
        start_writing(fd, range.offset, range.size);
}

void
posix_writeback_free(struct posix_writeback *writeback, struct lsmkv_env *env)
{
    struct env_thread *thread;

    mutex_lock(&writeback->mutex);
    writeback->closing = true;
    thread = writeback->thread;
    condition_signal(&writeback->work);
    mutex_unlock(&writeback->mutex);
    if (thread != NULL)
        env->thread_join(thread);
    condition_fini(&writeback->work);
    mutex_fini(&writeback->mutex);
    free(writeback);
}
