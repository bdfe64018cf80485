/*
 * posix_file.c - files of the POSIX env.
 *
 * Reads and writes go through pread(2) and pwritev(2): a disk that fails gives an error
 * here, where a mapping would give a signal.
 */
#include "env/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE  0600
#define WINDOW_MAX 64 /* parts handed to the kernel at a time */

struct posix_file {
    struct env_file base;
    int fd;
    struct posix_writeback *writeback; /* the directory's */
};

static int
file_fd(const struct env_file *file)
{
    const struct posix_file *posix = (const struct posix_file *)file;

    return posix->fd;
}

/* What open(2) says of symbolic links, directories and sockets. */
static int
open_error(int error)
{
    return error == ELOOP || error == EISDIR || error == ENXIO ? -EUCLEAN : -error;
}

/* A descriptor, or a negative errno. */
static int
open_name(int dir_fd, const char *name, int flags)
{
    /* O_NONBLOCK: opening a fifo must fail below, not wait for its other end. */
    int always = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd;

    do {
        fd = openat(dir_fd, name, flags | always, FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Gives a file that was made to whom the directory belongs.  Root who may not do that (for want of
 * the capability, or on the disk of another machine) keeps it: then the store is root's to open. */
static int
give_to_owner(int fd, const struct stat *directory)
{
    struct stat file;

    /* A FUSE or network disk that decides of owners itself may not know the call. */
    if (fstat(fd, &file) == 0 && file.st_uid == directory->st_uid &&
        file.st_gid == directory->st_gid)
        return 0;
    if (fchown(fd, directory->st_uid, directory->st_gid) == 0)
        return 0;
    return errno == EPERM || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP
               ? 0
               : -errno;
}

/* Opens a name that is there to write to it.  The owner of the directory may have linked any
 * file of the disk to it: one with other names that is not his is neither cut nor written to. */
static int
open_existing(int dir_fd, const char *name, int flags, const struct stat *directory)
{
    int fd = open_name(dir_fd, name, flags & ~(O_CREAT | O_TRUNC)), result = 0;
    struct stat file;

    if (fd < 0)
        return fd;
    if (fstat(fd, &file) != 0)
        result = -errno;
    else if (file.st_nlink > 1 && file.st_uid != directory->st_uid)
        result = -EUCLEAN;
    else if ((flags & O_TRUNC) != 0 && S_ISREG(file.st_mode) && ftruncate(fd, 0) != 0)
        result = -errno;
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

/* Opens a file for root in the directory of somebody else, who is to be able to open it, too.  Only
 * what this call has made is given away. */
static int
open_for_another(int dir_fd, const char *name, int flags, const struct stat *directory)
{
    int fd, result;

    do {
        fd = open_name(dir_fd, name, flags | O_EXCL);
        if (fd != -EEXIST || (flags & O_EXCL) != 0)
            break;
        fd = open_existing(dir_fd, name, flags, directory);
        if (fd >= 0)
            return fd;
    } while (fd == -ENOENT); /* deleted in between */
    if (fd < 0)
        return fd;
    result = give_to_owner(fd, directory);
    if (result == 0)
        return fd;
    close(fd);
    unlinkat(dir_fd, name, 0);
    return result;
}

int
posix_open_regular(int dir_fd, const char *name, int flags)
{
    struct stat status;
    int result = 0;
    int fd;

    if (*name == '\0' || strchr(name, '/') != NULL)
        return -EINVAL;
    if ((flags & O_CREAT) != 0 && geteuid() == 0 && fstat(dir_fd, &status) == 0 &&
        status.st_uid != 0)
        fd = open_for_another(dir_fd, name, flags, &status);
    else
        fd = open_name(dir_fd, name, flags);
    if (fd < 0)
        return open_error(-fd);
    if (fstat(fd, &status) != 0)
        result = -errno;
    else if (!S_ISREG(status.st_mode))
        result = -EUCLEAN;
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

ssize_t
posix_read_all(int fd, void *buffer, size_t size, uint64_t offset)
{
    char *next = buffer;
    size_t done = 0;

    while (done < size) {
        ssize_t n = pread(fd, next + done, size - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* Where a sequence of parts has got to. */
struct cursor {
    const struct iovec *parts;
    int count;
    size_t skip; /* bytes of parts[0] that are done */
};

static void
cursor_advance(struct cursor *cursor, size_t done)
{
    cursor->skip += done;
    while (cursor->count > 0 && cursor->skip >= cursor->parts->iov_len) {
        cursor->skip -= cursor->parts->iov_len;
        cursor->parts++;
        cursor->count--;
    }
}

/* The next parts, as the kernel wants them. */
static int
cursor_window(const struct cursor *cursor, struct iovec *window)
{
    int count = cursor->count < WINDOW_MAX ? cursor->count : WINDOW_MAX;

    memcpy(window, cursor->parts, (size_t)count * sizeof(*window));
    window[0].iov_base = (char *)window[0].iov_base + cursor->skip;
    window[0].iov_len -= cursor->skip;
    return count;
}

int
posix_write_all(int fd, const struct iovec *parts, int count, uint64_t offset)
{
    struct cursor cursor = {parts, count, 0};

    cursor_advance(&cursor, 0);
    while (cursor.count > 0) {
        struct iovec window[WINDOW_MAX];
        int used = cursor_window(&cursor, window);
        ssize_t n = pwritev(fd, window, used, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* no progress and no reason: do not try for ever */
        offset += (uint64_t)n;
        cursor_advance(&cursor, (size_t)n);
    }
    return 0;
}

int
posix_truncate(int fd, uint64_t size)
{
    int result;

    do {
        result = ftruncate(fd, (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

static int
open_flags(enum env_open how)
{
    switch (how) {
    case ENV_READ:
        return O_RDONLY;
    case ENV_WRITE:
        return O_RDWR;
    case ENV_CREATE:
        return O_RDWR | O_CREAT | O_EXCL;
    case ENV_REPLACE:
        return O_RDWR | O_CREAT | O_TRUNC;
    }
    return O_RDONLY;
}

int
posix_file_open(struct env_dir *dir, const char *name, enum env_open how,
                struct env_file **file)
{
    struct posix_file *opened = malloc(sizeof(*opened));
    int fd;

    if (opened == NULL)
        return -ENOMEM;
    fd = posix_open_regular(posix_dir_fd(dir), name, open_flags(how));
    if (fd < 0) {
        free(opened);
        return fd;
    }
    *opened = (struct posix_file){.base.env = dir->env,
                                  .fd = fd,
                                  .writeback = ((struct posix_dir *)dir)->writeback};
    *file = &opened->base;
    return 0;
}

int
posix_file_close(struct env_file *file)
{
    int result = close(file_fd(file)) == 0 ? 0 : -errno;

    free(file);
    /* On Linux an interrupted close has closed, and says nothing about the data. */
    return result == -EINTR ? 0 : result;
}

ssize_t
posix_file_read(struct env_file *file, uint64_t offset, void *buffer, size_t size)
{
    return posix_read_all(file_fd(file), buffer, size, offset);
}

int
posix_file_write(struct env_file *file, uint64_t offset, const struct iovec *parts,
                 int count)
{
    return posix_write_all(file_fd(file), parts, count, offset);
}

/* Never tried again, not even after EINTR (E3). */
int
posix_file_sync(struct env_file *file)
{
    return fdatasync(file_fd(file)) == 0 ? 0 : -errno;
}

int
posix_file_truncate(struct env_file *file, uint64_t size)
{
    return posix_truncate(file_fd(file), size);
}

int
posix_file_size(struct env_file *file, uint64_t *size)
{
    struct stat status;

    if (fstat(file_fd(file), &status) != 0)
        return -errno;
    *size = (uint64_t)status.st_size;
    return 0;
}

void
posix_file_writeback(struct env_file *file, uint64_t offset, uint64_t size)
{
    struct posix_file *posix = (struct posix_file *)file;

    posix_writeback_start(posix->writeback, file->env, posix->fd, offset, size);
}

/* A hint: failing costs time only. */
void
posix_file_readahead(struct env_file *file, uint64_t offset, uint64_t size)
{
    (void)posix_fadvise(file_fd(file), (off_t)offset, (off_t)size, POSIX_FADV_WILLNEED);
}
