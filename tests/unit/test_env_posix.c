/* test_env_posix.c - what only the operating system's env has to deal with: links, special
 * files, signals, forks.  What all envs share is in test_env.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env/env.h"
#include "support/suite.h"

static char path[64];
static struct env_dir *dir;

static void
setup(void)
{
    snprintf(path, sizeof(path), "/tmp/test_env_posix.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
    ck_assert_int_eq(env_dir_open(env_posix(), path, false, &dir), 0);
}

static int
remove_name(void *context, const char *name)
{
    char full[400];

    (void)context;
    snprintf(full, sizeof(full), "%s/%s", path, name);
    return remove(full) == 0 ? 0 : -errno;
}

static void
teardown(void)
{
    ck_assert_int_eq(env_dir_list(dir, remove_name, NULL), 0);
    env_dir_close(dir);
    ck_assert_int_eq(rmdir(path), 0);
}

static const char *
inside(const char *name)
{
    static char full[400];

    snprintf(full, sizeof(full), "%s/%s", path, name);
    return full;
}

/* ---- what is not a regular file ---- */

static void
check_refused(const char *name)
{
    struct env_file *file;

    ck_assert_int_eq(env_file_open(dir, name, ENV_READ, &file), -EUCLEAN);
    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), -EUCLEAN);
    ck_assert_int_eq(env_file_open(dir, name, ENV_REPLACE, &file), -EUCLEAN);
}

START_TEST(test_a_symbolic_link_is_refused_and_its_target_untouched)
{
    struct env_lock *lock;
    struct stat status;
    int fd = open(inside("target"), O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(write(fd, "kept", 4), 4);
    close(fd);
    ck_assert_int_eq(symlink("target", inside("link")), 0);
    ck_assert_int_eq(symlink("nowhere", inside("dangling")), 0);
    check_refused("link");
    check_refused("dangling");
    ck_assert_int_eq(env_posix()->lock(dir, "link", false, &lock), -EUCLEAN);
    ck_assert_int_eq(stat(inside("target"), &status), 0);
    ck_assert_int_eq(status.st_size, 4);
    ck_assert_int_eq(stat(inside("nowhere"), &status), -1);
}
END_TEST

/* A fifo without a writer would block an open for ever. */
START_TEST(test_special_files_are_refused_at_once)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_eq(mkfifo(inside("fifo"), 0600), 0);
    check_refused("fifo");
    ck_assert_int_eq(mkdir(inside("dir"), 0700), 0);
    check_refused("dir");
    ck_assert_int_lt(
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", inside("socket")),
        (int)sizeof(address.sun_path));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    check_refused("socket");
}
END_TEST

START_TEST(test_files_are_private_and_closed_on_exec)
{
    struct env_file *file;
    struct stat status;
    int before = open("/dev/null", O_RDONLY);

    close(before); /* the lowest free descriptor is what the file gets */
    ck_assert_int_eq(env_file_open(dir, "a", ENV_CREATE, &file), 0);
    ck_assert_int_eq(fstat(before, &status), 0);
    ck_assert(S_ISREG(status.st_mode));
    ck_assert_int_eq(status.st_mode & 07777, 0600);
    ck_assert_int_eq(fcntl(before, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

static void
check_owner(const char *name, uid_t uid, gid_t gid)
{
    struct stat status;

    ck_assert_int_eq(lstat(inside(name), &status), 0);
    ck_assert_uint_eq(status.st_uid, uid);
    ck_assert_uint_eq(status.st_gid, gid);
}

/* What root had done to a store of somebody else left files of root's there, and its owner could not
 * open it any more. */
START_TEST(test_what_root_makes_in_anothers_directory_is_the_others)
{
    static const char *const names[] = {"created", "replaced"};
    static const enum env_open ways[] = {ENV_CREATE, ENV_REPLACE};
    struct env_lock *lock;
    struct env_file *file;

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(path, 4711, 4712), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(env_file_open(dir, names[i], ways[i], &file), 0);
        ck_assert_int_eq(env_file_close(file), 0);
        check_owner(names[i], 4711, 4712);
    }
    ck_assert_int_eq(env_posix()->lock(dir, "LOCK", false, &lock), 0);
    env_posix()->unlock(lock);
    check_owner("LOCK", 4711, 4712);
}
END_TEST

/* Else the owner of a store could have any file of the disk given to him, or cut by root. */
START_TEST(test_what_root_finds_in_anothers_directory_keeps_its_owner)
{
    struct env_lock *lock;
    struct env_file *file;
    struct stat status;
    char target[400];
    int fd;

    if (geteuid() != 0)
        return;
    fd = open(inside("file"), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "text", 4), 4);
    ck_assert_int_eq(close(fd), 0);
    strcpy(target, inside("file"));
    ck_assert_int_eq(link(target, inside("link")), 0);
    ck_assert_int_eq(symlink("nowhere", inside("dangling")), 0);
    ck_assert_int_eq(chown(path, 4711, 4712), 0);
    ck_assert_int_eq(env_file_open(dir, "link", ENV_REPLACE, &file), -EUCLEAN);
    ck_assert_int_eq(env_file_open(dir, "link", ENV_CREATE, &file), -EEXIST);
    ck_assert_int_eq(env_posix()->lock(dir, "link", false, &lock), -EUCLEAN);
    check_owner("file", 0, 0);
    ck_assert_int_eq(stat(inside("file"), &status), 0);
    ck_assert_int_eq(status.st_size, 4);
    check_refused("dangling");
    check_owner("dangling", 0, 0);
    /* One with this name alone, or one of the owner's, as in a copy made of links. */
    ck_assert_int_eq(unlink(inside("link")), 0);
    ck_assert_int_eq(env_file_open(dir, "file", ENV_REPLACE, &file), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    check_owner("file", 0, 0);
    ck_assert_int_eq(stat(inside("file"), &status), 0);
    ck_assert_int_eq(status.st_size, 0);
    ck_assert_int_eq(chown(inside("file"), 4711, 4712), 0);
    ck_assert_int_eq(link(target, inside("link")), 0);
    ck_assert_int_eq(env_posix()->lock(dir, "link", false, &lock), 0);
    env_posix()->unlock(lock);
}
END_TEST

START_TEST(test_an_open_directory_may_be_renamed)
{
    struct env_file *file;
    char moved[80];

    snprintf(moved, sizeof(moved), "%s.moved", path);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_int_eq(env_file_open(dir, "a", ENV_CREATE, &file), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_eq(rename(moved, path), 0);
    ck_assert_int_eq(access(inside("a"), F_OK), 0);
}
END_TEST

START_TEST(test_directories_are_made_private_under_any_spelling)
{
    static const char *const spellings[] = {"new", "new///"};
    struct env_dir *made;
    struct stat status;
    size_t i;

    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(env_dir_open(env_posix(), inside(spellings[i]), true, &made), 0);
        env_dir_close(made);
        ck_assert_int_eq(stat(inside("new"), &status), 0);
        ck_assert_int_eq(status.st_mode & 07777, 0700);
        ck_assert_int_eq(rmdir(inside("new")), 0);
    }
    ck_assert_int_eq(chdir(path), 0);
    ck_assert_int_eq(env_dir_open(env_posix(), "relative", true, &made), 0);
    env_dir_close(made);
    ck_assert_int_eq(env_dir_open(env_posix(), "no/such", true, &made), -ENOENT);
    ck_assert_int_eq(close(open("plain", O_CREAT | O_WRONLY, 0600)), 0);
    ck_assert_int_eq(env_dir_open(env_posix(), "plain", true, &made), -ENOTDIR);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* ---- syncs ---- */

/* These two stand in for the C library's: they see which file is synced, and can fail. */
static struct {
    unsigned count;
    ino_t last; /* what was synced */
    int error;  /* for the next one; 0: it succeeds */
} syncs;

static int
sync_seen(int fd, long call)
{
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    syncs.count++;
    syncs.last = status.st_ino;
    errno = syncs.error;
    return syncs.error != 0 ? -1 : (int)syscall(call, fd);
}

int
fdatasync(int fd)
{
    return sync_seen(fd, SYS_fdatasync);
}

int
fsync(int fd)
{
    return sync_seen(fd, SYS_fsync);
}

static ino_t
number_of(const char *name)
{
    struct stat status;

    ck_assert_int_eq(stat(name, &status), 0);
    return status.st_ino;
}

/* Every other test of durability runs on an env that is told of syncs: without this one the
 * system might never hear of any, and everything would be lost with the power. */
START_TEST(test_a_sync_is_asked_of_the_system_and_its_failure_told)
{
    struct env_file *file;

    ck_assert_int_eq(env_file_open(dir, "a", ENV_CREATE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 0, "x", 1), 0);
    syncs.count = 0;
    ck_assert_int_eq(env_file_sync(file), 0);
    ck_assert_uint_eq(syncs.count, 1);
    ck_assert_uint_eq(syncs.last, number_of(inside("a")));
    ck_assert_int_eq(env_dir_sync(dir), 0);
    ck_assert_uint_eq(syncs.count, 2);
    ck_assert_uint_eq(syncs.last, number_of(path));
    /* Tried again, a sync may find the lost pages clean (E3): not even after EINTR. */
    syncs.error = EINTR;
    ck_assert_int_eq(env_file_sync(file), -EINTR);
    ck_assert_int_eq(env_dir_sync(dir), -EINTR);
    ck_assert_uint_eq(syncs.count, 4);
    syncs.error = 0;
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

/* A store whose own name is lost is lost as a whole.  One that is there already may be there
 * only since a process that died before this sync. */
START_TEST(test_the_name_of_a_store_is_made_durable)
{
    struct env_dir *made;

    for (int i = 0; i < 2; i++) {
        syncs.count = 0;
        ck_assert_int_eq(env_dir_open(env_posix(), inside("new"), true, &made), 0);
        env_dir_close(made);
        ck_assert_uint_eq(syncs.count, 1);
        ck_assert_uint_eq(syncs.last, number_of(path));
    }
    syncs.error = EIO;
    ck_assert_int_eq(env_dir_open(env_posix(), inside("new"), true, &made), -EIO);
    syncs.error = 0;
}
END_TEST

/* ---- writing back ---- */

/* As above: what the system was asked to start writing. */
static struct {
    pthread_mutex_t mutex;
    bool held; /* no call returns */
    unsigned count, of_others;
    uint64_t bytes;
    ino_t last;
    cpu_set_t processors; /* where it was told to */
    pthread_t writer;
} written = {.mutex = PTHREAD_MUTEX_INITIALIZER};

int
sync_file_range(int fd, off_t offset, off_t size, unsigned flags)
{
    struct stat status;
    bool held = true;

    ck_assert_uint_eq(flags, SYNC_FILE_RANGE_WRITE);
    ck_assert_int_ge(offset, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    pthread_mutex_lock(&written.mutex);
    written.count++;
    written.bytes += (uint64_t)size;
    written.last = status.st_ino;
    written.of_others += !pthread_equal(pthread_self(), written.writer);
    ck_assert_int_eq(
        sched_getaffinity(0, sizeof(written.processors), &written.processors), 0);
    pthread_mutex_unlock(&written.mutex);
    while (held && !pthread_equal(pthread_self(), written.writer)) {
        pthread_mutex_lock(&written.mutex);
        held = written.held;
        pthread_mutex_unlock(&written.mutex);
        usleep(1000);
    }
    return 0;
}

/* Nobody is kept from writing on by a slow disk, as long as few ranges wait; more are not left
 * dirty.  A file may be closed meanwhile, and a directory when all has begun. */
START_TEST(test_the_writing_of_many_bytes_is_started_by_another_thread)
{
    const uint64_t size = 1 << 20;
    struct env_file *file;

    written.writer = pthread_self();
    written.held = true;
    ck_assert_int_eq(env_file_open(dir, "file", ENV_CREATE, &file), 0);
    env_file_writeback(file, 0, size - 1);
    ck_assert_uint_eq(written.count, 1);
    ck_assert_uint_eq(written.of_others, 0);
    for (unsigned i = 0; i < 10; i++)
        env_file_writeback(file, i * size, size);
    pthread_mutex_lock(&written.mutex);
    ck_assert_uint_le(written.of_others, 1);
    ck_assert_uint_ge(written.count, 6); /* four wait, and one is under way */
    written.held = false;
    pthread_mutex_unlock(&written.mutex);
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_eq(env_dir_list(dir, remove_name, NULL), 0);
    env_dir_close(dir);
    ck_assert_uint_eq(written.count, 11);
    ck_assert_uint_ge(written.of_others, 4);
    ck_assert_uint_eq(written.bytes, 11 * size - 1);
    ck_assert_int_eq(env_dir_open(env_posix(), path, false, &dir), 0);
}
END_TEST

/* Writes, keeping to the first processor that it may use. */
static void *
write_from_one_processor(void *file)
{
    cpu_set_t all, one;
    unsigned first = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    env_file_writeback(file, 0, 1 << 20);
    return NULL;
}

/* Its thread was bound to the place of whoever needed it first. */
START_TEST(test_the_writing_is_started_where_the_opener_may_run)
{
    struct env_file *file;
    pthread_t writer;
    cpu_set_t all;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    ck_assert_int_eq(env_file_open(dir, "file", ENV_CREATE, &file), 0);
    ck_assert_int_eq(pthread_create(&writer, NULL, write_from_one_processor, file), 0);
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_eq(env_dir_list(dir, remove_name, NULL), 0);
    env_dir_close(dir);
    ck_assert_uint_eq(written.of_others, 1);
    ck_assert(CPU_EQUAL(&all, &written.processors));
    ck_assert_int_eq(env_dir_open(env_posix(), path, false, &dir), 0);
}
END_TEST

/* ---- errors and interruptions ---- */

START_TEST(test_a_write_beyond_the_limit_tells_why)
{
    struct rlimit limit = {100000, 100000};
    static char bytes[200000];
    struct env_file *file;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(env_file_open(dir, "a", ENV_CREATE, &file), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    /* The first write(2) is short; only the next one tells. */
    ck_assert_int_eq(env_file_write(file, 0, bytes, sizeof(bytes)), -EFBIG);
    ck_assert_int_eq(env_file_close(file), 0);
}
END_TEST

static volatile sig_atomic_t ticks;

static void
tick(int signal_number)
{
    (void)signal_number;
    ticks++;
}

/* A handler without SA_RESTART and a timer of 1 ms: whatever can be interrupted, is. */
START_TEST(test_interrupted_calls_finish)
{
    struct sigaction action = {.sa_handler = tick};
    struct itimerval timer = {{0, 1000}, {0, 1000}}, off = {0};
    size_t size = 4 << 20;
    char *in = malloc(size), *out = malloc(size);
    struct env_file *file;
    uint64_t before;
    int i;

    memset(in, 'x', size);
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
    ck_assert_int_eq(env_file_open(dir, "a", ENV_CREATE, &file), 0);
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(env_file_write(file, size * (size_t)i, in, size), 0);
        ck_assert_int_eq(env_file_read(file, size * (size_t)i, out, size), (ssize_t)size);
        ck_assert_mem_eq(in, out, size);
    }
    before = env_posix()->monotonic(env_posix());
    env_posix()->sleep(env_posix(), 30000000);
    ck_assert_uint_ge(env_posix()->monotonic(env_posix()) - before, 30000000);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &off, NULL), 0);
    ck_assert_int_gt(ticks, 5);
    ck_assert_int_eq(env_file_close(file), 0);
    free(in);
    free(out);
}
END_TEST

static void
see_signals(void *argument)
{
    pthread_sigmask(SIG_SETMASK, NULL, argument);
}

START_TEST(test_threads_block_signals_but_those_of_faults)
{
    struct env_thread *thread;
    sigset_t set, own;

    ck_assert_int_eq(
        env_posix()->thread_start(env_posix(), "signals", see_signals, &set, &thread), 0);
    env_posix()->thread_join(thread);
    ck_assert_int_eq(sigismember(&set, SIGINT), 1);
    ck_assert_int_eq(sigismember(&set, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&set, SIGALRM), 1);
    ck_assert_int_eq(sigismember(&set, SIGSEGV), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    ck_assert_int_eq(sigismember(&own, SIGTERM), 0);
}
END_TEST

/* ---- the lock ---- */

static int
child_status(pid_t child)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(test_another_process_finds_the_lock_held)
{
    struct env_lock *lock, *other;
    pid_t child;

    ck_assert_int_eq(env_posix()->lock(dir, "LOCK", false, &lock), 0);
    child = fork();
    if (child == 0)
        _exit(env_posix()->lock(dir, "LOCK", false, &other) == -EBUSY &&
                      env_posix()->lock_held(dir, "LOCK") == 1
                  ? 0
                  : 1);
    ck_assert_int_eq(child_status(child), 0);
    env_posix()->unlock(lock);
}
END_TEST

/* A daemon's parent exits; a record lock would stay behind with it. */
START_TEST(test_a_lock_survives_fork_and_the_death_of_the_parent)
{
    struct env_lock *lock;
    int ready[2], stop[2];
    pid_t child;
    char byte;

    ck_assert(pipe(ready) == 0 && pipe(stop) == 0);
    child = fork();
    if (child == 0) {
        if (env_posix()->lock(dir, "LOCK", false, &lock) != 0)
            _exit(1);
        if (fork() == 0) { /* inherits the lock, tells, and waits */
            close(stop[1]);
            byte = write(ready[1], "r", 1) == 1 ? 0 : 1;
            if (read(stop[0], &byte, 1) < 0)
                _exit(1);
            _exit(0);
        }
        _exit(0);
    }
    ck_assert_int_eq(child_status(child), 0);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(env_posix()->lock_held(dir, "LOCK"), 1);
    close(stop[1]); /* the last holder ends, and the lock with it */
    ck_assert_int_eq(read(ready[0], &byte, 1), 0);
    while (env_posix()->lock_held(dir, "LOCK") == 1)
        usleep(1000);
    ck_assert_int_eq(env_posix()->lock_held(dir, "LOCK"), 0);
}
END_TEST

/* A record lock would go with any close of the file in this process. */
START_TEST(test_closing_another_descriptor_keeps_the_lock)
{
    struct env_lock *lock, *other;
    char text[8];

    ck_assert_int_eq(env_posix()->lock(dir, "LOCK", false, &lock), 0);
    ck_assert_int_eq(env_posix()->lock_read(dir, "LOCK", text, sizeof(text)), 0);
    ck_assert_int_eq(close(open(inside("LOCK"), O_RDWR)), 0);
    ck_assert_int_eq(env_posix()->lock(dir, "LOCK", false, &other), -EBUSY);
    env_posix()->unlock(lock);
}
END_TEST

/* A child between fork and exec has a copy of the descriptor. */
START_TEST(test_unlock_frees_what_a_child_still_has_open)
{
    struct env_lock *lock;
    int stop[2];
    pid_t child;
    char byte;

    ck_assert_int_eq(pipe(stop), 0);
    ck_assert_int_eq(env_posix()->lock(dir, "LOCK", false, &lock), 0);
    child = fork();
    if (child == 0) {
        close(stop[1]);
        _exit(read(stop[0], &byte, 1) == 0 ? 0 : 1);
    }
    env_posix()->unlock(lock);
    ck_assert_int_eq(env_posix()->lock_held(dir, "LOCK"), 0);
    close(stop[1]);
    ck_assert_int_eq(child_status(child), 0);
}
END_TEST

/* ---- memory ---- */

enum { BUFFERS = 200, BUFFER_SIZE = 4200 };

/* A number that changes with what is mapped. */
static uint64_t
mappings(void)
{
    uint64_t sum = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    int byte;

    ck_assert_ptr_nonnull(file);
    while ((byte = fgetc(file)) != EOF)
        sum = sum * 31 + (uint64_t)byte;
    fclose(file);
    return sum;
}

static void
allocate_buffers(void *argument)
{
    struct lsmkv_env *env = env_posix();
    unsigned *changes = argument;
    void *buffers[BUFFERS];
    uint64_t before = mappings(), after;

    for (unsigned i = 0; i < BUFFERS; i++, before = after) {
        buffers[i] = env->allocate(env, BUFFER_SIZE);
        ck_assert_ptr_nonnull(buffers[i]);
        after = mappings();
        *changes += after != before;
    }
    for (unsigned i = 0; i < BUFFERS; i++)
        env->release(env, buffers[i], BUFFER_SIZE);
}

/* Filling a cache from a thread took a system call for the memory of each block. */
START_TEST(test_a_thread_asks_the_system_for_many_buffers_at_once)
{
    struct lsmkv_env *env = env_posix();
    struct env_thread *thread;
    unsigned changes = 0;

    ck_assert_int_eq(
        env->thread_start(env, "allocates", allocate_buffers, &changes, &thread), 0);
    env->thread_join(thread);
    ck_assert_uint_lt(changes, BUFFERS / 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("env_posix");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_symbolic_link_is_refused_and_its_target_untouched);
    tcase_add_test(tests, test_special_files_are_refused_at_once);
    tcase_add_test(tests, test_files_are_private_and_closed_on_exec);
    tcase_add_test(tests, test_what_root_makes_in_anothers_directory_is_the_others);
    tcase_add_test(tests, test_what_root_finds_in_anothers_directory_keeps_its_owner);
    tcase_add_test(tests, test_an_open_directory_may_be_renamed);
    tcase_add_test(tests, test_directories_are_made_private_under_any_spelling);
    tcase_add_test(tests, test_a_sync_is_asked_of_the_system_and_its_failure_told);
    tcase_add_test(tests, test_the_name_of_a_store_is_made_durable);
    tcase_add_test(tests, test_the_writing_of_many_bytes_is_started_by_another_thread);
    tcase_add_test(tests, test_the_writing_is_started_where_the_opener_may_run);
    tcase_add_test(tests, test_a_write_beyond_the_limit_tells_why);
    tcase_add_test(tests, test_interrupted_calls_finish);
    tcase_add_test(tests, test_threads_block_signals_but_those_of_faults);
    tcase_add_test(tests, test_another_process_finds_the_lock_held);
    tcase_add_test(tests, test_a_lock_survives_fork_and_the_death_of_the_parent);
    tcase_add_test(tests, test_closing_another_descriptor_keeps_the_lock);
    tcase_add_test(tests, test_unlock_frees_what_a_child_still_has_open);
    tcase_add_test(tests, test_a_thread_asks_the_system_for_many_buffers_at_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
