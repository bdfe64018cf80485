/*
 * posix.c - the operating system's env: its table, directories, clock, threads, memory.
 * Files are in posix_file.c and posix_writeback.c, the lock in posix_lock.c.
 *
 * Everything in a store is reached through the directory's descriptor, so renaming the
 * store's directory while it is open changes nothing, and a symbolic link inside it is never
 * followed.
 */
#include "env/posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define DIR_MODE        0700
#define THREAD_NAME_MAX 16 /* with the NUL: the kernel's limit */
#define NANOSECONDS     1000000000

/* ---- directories ---- */

static int
open_directory(int at, const char *path)
{
    int fd;

    do {
        fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static int
sync_directory(const char *path)
{
    int fd = open_directory(AT_FDCWD, path);
    int result;

    if (fd < 0)
        return fd;
    result = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return result;
}

/* Cuts the last component off a path; "." if there is no other. */
static void
cut_to_parent(char *path)
{
    size_t size = strlen(path);

    while (size > 1 && path[size - 1] == '/')
        size--;
    while (size > 0 && path[size - 1] != '/')
        size--;
    if (size == 0)
        path[size++] = '.';
    path[size] = '\0';
}

static int
make_directory(const char *path)
{
    bool existed = false;
    char *parent;
    int result;

    if (mkdir(path, DIR_MODE) != 0) {
        if (errno != EEXIST)
            return -errno;
        existed = true; /* perhaps made by somebody who died before the next lines */
    }
    parent = strdup(path);
    if (parent == NULL)
        return -ENOMEM;
    cut_to_parent(parent);
    result = sync_directory(parent);
    free(parent);
    return existed && result == -EACCES ? 0 : result;
}

static int
posix_dir_open(struct lsmkv_env *env, const char *path, bool create, struct env_dir **dir)
{
    struct posix_dir *opened;
    int result = create ? make_directory(path) : 0;
    int fd;

    if (result != 0)
        return result;
    fd = open_directory(AT_FDCWD, path);
    if (fd < 0)
        return fd;
    opened = malloc(sizeof(*opened));
    if (opened == NULL) {
        close(fd);
        return -ENOMEM;
    }
    *opened = (struct posix_dir){.base.env = env, .fd = fd};
    opened->writeback = posix_writeback_new();
    if (opened->writeback == NULL) {
        close(fd);
        free(opened);
        return -ENOMEM;
    }
    *dir = &opened->base;
    return 0;
}

static void
posix_dir_close(struct env_dir *dir)
{
    struct posix_dir *posix = (struct posix_dir *)dir;

    posix_writeback_free(posix->writeback, dir->env);
    close(posix->fd);
    free(posix);
}

static int
posix_dir_sync(struct env_dir *dir)
{
    return fsync(posix_dir_fd(dir)) == 0 ? 0 : -errno;
}

static bool
is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int
posix_dir_list(struct env_dir *dir, int (*each)(void *context, const char *name),
               void *context)
{
    /* A description of its own: the shared one has one position for all threads. */
    int fd = open_directory(posix_dir_fd(dir), ".");
    struct dirent *entry;
    DIR *stream;
    int result;

    if (fd < 0)
        return fd;
    stream = fdopendir(fd);
    if (stream == NULL) {
        result = -errno;
        close(fd);
        return result;
    }
    do {
        errno = 0;
        entry = readdir(stream);
        result = entry == NULL ? -errno : 0;
        if (entry != NULL && !is_dot(entry->d_name))
            result = each(context, entry->d_name);
    } while (entry != NULL && result == 0);
    closedir(stream);
    return result;
}

static int
posix_dir_rename(struct env_dir *dir, const char *from, const char *to)
{
    int fd = posix_dir_fd(dir);

    return renameat(fd, from, fd, to) == 0 ? 0 : -errno;
}

static int
posix_dir_unlink(struct env_dir *dir, const char *name)
{
    return unlinkat(posix_dir_fd(dir), name, 0) == 0 ? 0 : -errno;
}

static int
posix_dir_space(struct env_dir *dir, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs status;

    if (fstatvfs(posix_dir_fd(dir), &status) != 0)
        return -errno;
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    /* Blocks kept for others are neither used nor ours: left out, as df does for its shares. */
    *total_bytes =
        (uint64_t)(status.f_blocks - status.f_bfree + status.f_bavail) * status.f_frsize;
    return 0;
}

/* The soft limit, at this moment. */
static unsigned
posix_file_limit(struct lsmkv_env *env)
{
    struct rlimit limit;

    (void)env;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT_MAX)
        return UINT_MAX;
    return (unsigned)limit.rlim_cur;
}

/* ---- clock ---- */

static int64_t
read_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * NANOSECONDS + time.tv_nsec;
}

static int64_t
posix_now(struct lsmkv_env *env)
{
    (void)env;
    return read_clock(CLOCK_REALTIME);
}

static uint64_t
posix_monotonic(struct lsmkv_env *env)
{
    (void)env;
    return (uint64_t)read_clock(CLOCK_MONOTONIC);
}

static void
posix_sleep(struct lsmkv_env *env, uint64_t nanoseconds)
{
    struct timespec left = {(time_t)(nanoseconds / NANOSECONDS),
                            (long)(nanoseconds % NANOSECONDS)};

    (void)env;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* ---- threads ---- */

struct posix_thread {
    struct env_thread base;
    pthread_t os;
    void (*body)(void *argument);
    void *argument;
    char name[THREAD_NAME_MAX];
};

static void *
thread_main(void *argument)
{
    struct posix_thread *thread = argument;

    (void)pthread_setname_np(pthread_self(), thread->name); /* for ps and gdb only */
    thread->body(thread->argument);
    return NULL;
}

/* Every signal but those that a faulty instruction raises, which must not be held back. */
static void
asynchronous_signals(sigset_t *set)
{
    sigfillset(set);
    sigdelset(set, SIGBUS);
    sigdelset(set, SIGFPE);
    sigdelset(set, SIGILL);
    sigdelset(set, SIGSEGV);
}

/* The program's signals are for the program's threads: ours start with them blocked, which
 * they inherit from their creator. */
static int
posix_thread_start(struct lsmkv_env *env, const char *name, void (*body)(void *argument),
                   void *argument, struct env_thread **thread)
{
    struct posix_thread *started = malloc(sizeof(*started));
    sigset_t blocked, before;
    int error;

    if (started == NULL)
        return -ENOMEM;
    *started = (struct posix_thread){.base.env = env, .body = body, .argument = argument};
    snprintf(started->name, sizeof(started->name), "%s", name);
    asynchronous_signals(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    error = pthread_create(&started->os, NULL, thread_main, started);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free(started);
        return -error;
    }
    *thread = &started->base;
    return 0;
}

static void
posix_thread_join(struct env_thread *thread)
{
    struct posix_thread *posix = (struct posix_thread *)thread;

    pthread_join(posix->os, NULL);
    free(posix);
}

/* ---- memory ---- */

#define AHEAD_SIZE ((size_t)96 << 10) /* less than malloc maps by itself, or gives back */

/* The arena of a thread that is not the first grows by just what is asked of it, with a system call
 * each time.  For a buffer of some KiB that costs as much as to fill it: so malloc gets room for
 * several at once. */
static void
allocate_ahead(size_t size)
{
    static _Thread_local size_t left; /* of that room, if nothing else takes of it */
    void *volatile room;              /* or the compiler leaves out both calls */

    if (size <= left) {
        left -= size;
        return;
    }
    room = malloc(AHEAD_SIZE);
    free(room);
    left = AHEAD_SIZE - size;
}

/* Not posix_memalign, with which glibc before 2.38 does not use freed buffers again: it looks for
 * a free block with room for the alignment, and what was freed has none.  Whoever needs lines of
 * the processor's cache (filters do) makes room and aligns itself. */
static void *
posix_allocate(struct lsmkv_env *env, size_t size)
{
    (void)env;
    if (size <= AHEAD_SIZE / 4)
        allocate_ahead(size);
    return malloc(size);
}

static void
posix_release(struct lsmkv_env *env, void *buffer, size_t size)
{
    (void)env;
    (void)size;
    free(buffer);
}

struct lsmkv_env *
env_posix(void)
{
    static struct lsmkv_env env = {
        .dir_open = posix_dir_open,
        .dir_close = posix_dir_close,
        .dir_sync = posix_dir_sync,
        .dir_list = posix_dir_list,
        .dir_rename = posix_dir_rename,
        .dir_unlink = posix_dir_unlink,
        .dir_space = posix_dir_space,
        .lock = posix_lock,
        .lock_write = posix_lock_write,
        .lock_read = posix_lock_read,
        .lock_held = posix_lock_held,
        .unlock = posix_unlock,
        .file_open = posix_file_open,
        .file_close = posix_file_close,
        .file_read = posix_file_read,
        .file_write = posix_file_write,
        .file_sync = posix_file_sync,
        .file_truncate = posix_file_truncate,
        .file_size = posix_file_size,
        .file_writeback = posix_file_writeback,
        .file_readahead = posix_file_readahead,
        .file_limit = posix_file_limit,
        .now = posix_now,
        .monotonic = posix_monotonic,
        .sleep = posix_sleep,
        .thread_start = posix_thread_start,
        .thread_join = posix_thread_join,
        .allocate = posix_allocate,
        .release = posix_release,
    };

    return &env;
}
