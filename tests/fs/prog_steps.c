/*
 * prog_steps - a sequence of random operations on a directory, for steps.bash.
 *
 *     prog_steps SEED FIRST END DIRECTORY [PROGRESS [PAGES]]
 *
 * Does the steps FIRST to END - 1 of the sequence that SEED means.  Every step is one call that
 * changes something, or a sync, chosen without looking at the directory, so that the same
 * sequence elsewhere leads to the same tree; what fails there fails here.  The number of the next
 * step is written to the file PROGRESS before the first and after each.  Ends with status 3 when
 * the file system is gone.
 *
 * With PAGES, the last step, if it writes, stops at the PAGESth page boundary in its way: a large
 * write may reach a FUSE file system in several requests, cut where pages end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DIRECTORIES 6u
#define FILES       12u
#define WRITE_MAX   100000u
#define PAGE        4096u
#define OFFSET_MAX  400000u

static uint64_t state;
static uint32_t pages_left; /* in this step's write; 0: all of it */

/* splitmix64 */
static uint32_t
pick(uint32_t below)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) >> 32) % below;
}

static void
directory_name(char *name)
{
    sprintf(name, "d%u", pick(DIRECTORIES));
}

static void
file_name(char *name)
{
    if (pick(4) == 0)
        sprintf(name, "f%u", pick(FILES));
    else
        sprintf(name, "d%u/f%u", pick(DIRECTORIES), pick(FILES));
}

/* Closes, and returns the result with its errno. */
static int
close_after(int fd, int result)
{
    int saved = errno;

    close(fd);
    errno = saved;
    return result;
}

static int
step_create(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

    return fd < 0 ? -1 : close(fd);
}

static int
step_write(const char *name)
{
    static unsigned char bytes[WRITE_MAX];
    uint32_t size = 1 + pick(pick(4) == 0 ? WRITE_MAX : 3000);
    uint32_t offset = pick(3) == 0 ? pick(OFFSET_MAX) : pick(5000);
    unsigned char fill = (unsigned char)(1 + pick(255));
    static const int ways[] = {0, 0, 0, O_SYNC, O_DSYNC};
    int fd = open(name, O_WRONLY | ways[pick(sizeof(ways) / sizeof(ways[0]))]);

    if (fd < 0)
        return -1;
    if (pages_left > 0) {
        uint32_t end = (offset / PAGE + pages_left) * PAGE;
        size = end - offset < size ? end - offset : size;
    }
    memset(bytes, fill, size);
    ssize_t done = pwrite(fd, bytes, size, offset);
    /* A short write: the file system died between two requests. */
    if (done >= 0)
        errno = ENOTCONN;
    return close_after(fd, done == (ssize_t)size ? 0 : -1);
}

/* Of one page, and not behind the end of the file: that would show only where the page stays in
 * memory. */
static int
store_through_mapping(int fd, off_t offset, int fill)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return -1;
    if (st.st_size <= offset) {
        errno = EINVAL;
        return -1;
    }
    size_t left = (size_t)(st.st_size - offset);
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    if (page == MAP_FAILED)
        return -1;
    memset(page, fill, left < PAGE ? left : PAGE);
    int result = msync(page, PAGE, MS_SYNC);
    int saved = errno;
    munmap(page, PAGE);
    errno = saved;
    return result;
}

static int
step_map(const char *name)
{
    off_t offset = (off_t)pick(4) * PAGE;
    int fill = 1 + (int)pick(255);
    int fd = open(name, O_RDWR);

    return fd < 0 ? -1 : close_after(fd, store_through_mapping(fd, offset, fill));
}

static int
step_sync(const char *name)
{
    int fd = open(name, O_RDONLY | O_NONBLOCK);

    return fd < 0 ? -1 : close_after(fd, fsync(fd));
}

/* The four that a file may get fit together into the one block that ext4 has for them. */
static int
step_xattr(const char *name)
{
    char attribute[32], value[900];
    uint32_t size = pick(4) == 0 ? pick(sizeof(value)) : pick(40);

    sprintf(attribute, "user.x%u", pick(4));
    memset(value, 'a' + (char)pick(26), size);
    return setxattr(name, attribute, value, size, 0);
}

static int
step(void)
{
    char name[64], other[64];
    uint32_t kind = pick(100);

    file_name(name);
    file_name(other);
    if (kind < 20)
        return step_create(name);
    if (kind < 54)
        return step_write(name);
    if (kind < 57)
        return step_map(name);
    if (kind < 60)
        return step_sync(name);
    if (kind < 65)
        return truncate(name, pick(pick(2) == 0 ? 6000 : OFFSET_MAX));
    if (kind < 72)
        return rename(name, other);
    if (kind < 80)
        return unlink(name);
    if (kind < 82)
        return symlink(other, name);
    if (kind < 84)
        return link(other, name);
    if (kind < 87)
        return chmod(name, (mode_t)(0400 + pick(0400)));
    if (kind < 90)
        return step_xattr(name);
    directory_name(name);
    directory_name(other);
    if (kind < 96)
        return mkdir(name, 0755);
    return kind < 99 ? rename(name, other) : rmdir(name);
}

static void
report(int progress, unsigned long done)
{
    char text[32];
    int size = sprintf(text, "%10lu\n", done);

    if (progress >= 0 && pwrite(progress, text, (size_t)size, 0) != size)
        exit(1);
}

/* A page that cannot be had: the file system is gone. */
static void
on_bus_error(int number)
{
    (void)number;
    _exit(3);
}

int
main(int argc, char **argv)
{
    int progress = -1;

    if (argc < 5) {
        fprintf(stderr,
                "usage: prog_steps SEED FIRST END DIRECTORY [PROGRESS [PAGES]]\n");
        return 2;
    }
    signal(SIGBUS, on_bus_error);
    uint64_t seed = strtoull(argv[1], NULL, 10);
    unsigned long first = strtoul(argv[2], NULL, 10), end = strtoul(argv[3], NULL, 10);
    if (argc > 5)
        progress = open(argv[5], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (chdir(argv[4]) != 0) {
        perror(argv[4]);
        return 1;
    }
    report(progress, first);
    for (unsigned long i = first; i < end; i++) {
        /* Each step has its own randomness, so that a sequence can begin anywhere. */
        state = (seed << 32) + i * UINT64_C(0x632be59bd9b4e019);
        if (argc > 6 && i + 1 == end)
            pages_left = (uint32_t)strtoul(argv[6], NULL, 10);
        if (step() != 0 && (errno == ENOTCONN || errno == ECONNABORTED ||
                            errno == ECANCELED || errno == EIO))
            return 3;
        report(progress, i + 1);
    }
    return 0;
}
