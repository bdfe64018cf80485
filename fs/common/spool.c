/* spool.c - see spool.h. */
#include "common/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int
spool_open(struct spool *spool, int directory)
{
    int fd = memfd_create("spool", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    *spool = (struct spool){.directory = directory, .fd = fd};
    return 0;
}

void
spool_close(struct spool *spool)
{
    close(spool->fd);
}

/* Not every file system beneath a store has files without a name from the beginning. */
static int
open_on_disk(int directory)
{
    char path[64];
    int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    /* mkostemp(3) wants six letters X at the end, and puts those of a name that is free for them. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d/spool.XXXXXX", directory);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (unlink(path) == 0)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

static int
write_all(int fd, const void *bytes, size_t size)
{
    const char *from = bytes;

    while (size > 0) {
        ssize_t done = write(fd, from, size);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            from += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

int
spool_to_disk(struct spool *spool)
{
    int fd = open_on_disk(spool->directory), result = 0;

    if (fd < 0)
        return fd;
    if (spool->size > 0) {
        void *held = mmap(NULL, spool->size, PROT_READ, MAP_SHARED, spool->fd, 0);
        if (held == MAP_FAILED)
            result = -errno;
        else
            result = write_all(fd, held, spool->size);
        if (held != MAP_FAILED)
            munmap(held, spool->size);
    }
    if (result != 0) {
        close(fd);
        return result;
    }
    close(spool->fd);
    spool->fd = fd;
    spool->on_disk = true;
    return 0;
}

int
spool_write(struct spool *spool, const void *bytes, size_t size)
{
    int result = 0;

    if (!spool->on_disk && size > SPOOL_MEMORY - spool->size)
        result = spool_to_disk(spool);
    if (result == 0)
        result = write_all(spool->fd, bytes, size);
    if (result == 0)
        spool->size += size;
    return result;
}

int
spool_rewind(struct spool *spool)
{
    return lseek(spool->fd, 0, SEEK_SET) == 0 ? 0 : -errno;
}

ssize_t
spool_read(struct spool *spool, void *bytes, size_t size)
{
    return spool_read_from(spool->fd, bytes, size);
}

ssize_t
spool_read_from(int fd, void *bytes, size_t size)
{
    size_t used = 0;

    while (used < size) {
        ssize_t got = read(fd, (char *)bytes + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

/* The stream is told of a failure by 0, and tries again when it is closed. */
static ssize_t
take(void *cookie, const char *bytes, size_t size)
{
    struct spool *spool = cookie;

    if (spool->error == 0)
        spool->error = spool_write(spool, bytes, size);
    errno = -spool->error;
    return spool->error == 0 ? (ssize_t)size : 0;
}

FILE *
spool_stream(struct spool *spool)
{
    return fopencookie(spool, "w", (cookie_io_functions_t){.write = take});
}
