/*
 * posix_lock.c - the store's lock: an open file description lock on a file of the store.
 *
 * The other kinds do not do: a POSIX record lock is dropped when the process closes any
 * descriptor of the file, and is not inherited by fork; flock(2) is one of those two on
 * some network file systems.  The kernel drops this one when its last holder dies,
 * however it dies, so there is no stale lock.  The file's text is only a note; it proves
 * nothing.
 */
#include "env/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct posix_lock {
    struct env_lock base;
    int fd;
};

static struct flock
whole_file(short type)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET};

    return range;
}

static int
lock_fd(int fd, bool shared)
{
    struct flock range = whole_file(shared ? F_RDLCK : F_WRLCK);

    if (fcntl(fd, F_OFD_SETLK, &range) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

int
posix_lock(struct env_dir *dir, const char *name, bool shared, struct env_lock **lock)
{
    struct posix_lock *taken = malloc(sizeof(*taken));
    int result;
    int fd;

    if (taken == NULL)
        return -ENOMEM;
    fd =
        posix_open_regular(posix_dir_fd(dir), name, shared ? O_RDONLY : O_RDWR | O_CREAT);
    if (fd < 0) {
        result = fd;
        goto free_taken;
    }
    result = lock_fd(fd, shared);
    if (result != 0)
        goto close_fd;
    *taken = (struct posix_lock){.base.env = dir->env, .fd = fd};
    *lock = &taken->base;
    return 0;

close_fd:
    close(fd);
free_taken:
    free(taken);
    return result;
}

/* The text goes in with its NUL before the file is cut behind it: whoever reads in
 * between finds the old text or the new one. */
int
posix_lock_write(struct env_lock *lock, const char *text)
{
    const struct posix_lock *posix = (const struct posix_lock *)lock;
    struct iovec part = env_part(text, strlen(text) + 1);
    int result = posix_write_all(posix->fd, &part, 1, 0);

    return result != 0 ? result : posix_truncate(posix->fd, part.iov_len);
}

int
posix_lock_read(struct env_dir *dir, const char *name, char *text, size_t size)
{
    ssize_t n;
    int fd;

    if (size == 0)
        return -EINVAL;
    fd = posix_open_regular(posix_dir_fd(dir), name, O_RDONLY);
    if (fd < 0)
        return fd;
    n = posix_read_all(fd, text, size - 1, 0);
    close(fd);
    if (n < 0)
        return (int)n;
    text[n] = '\0';
    return 0;
}

/* A wish for an exclusive lock collides with either kind. */
int
posix_lock_held(struct env_dir *dir, const char *name)
{
    struct flock range = whole_file(F_WRLCK);
    int fd = posix_open_regular(posix_dir_fd(dir), name, O_RDONLY);
    int result = 0;

    if (fd < 0)
        return fd;
    if (fcntl(fd, F_OFD_GETLK, &range) != 0)
        result = -errno;
    else if (range.l_type != F_UNLCK)
        result = range.l_type == F_WRLCK ? 1 : 2;
    close(fd);
    return result;
}

/* Unlocked before it is closed: a child between fork and exec may hold a copy of the
 * descriptor, and the lock must be free when this returns. */
void
posix_unlock(struct env_lock *lock)
{
    const struct posix_lock *posix = (const struct posix_lock *)lock;
    struct flock range = whole_file(F_UNLCK);

    (void)fcntl(posix->fd, F_OFD_SETLK, &range); /* closing does it too */
    close(posix->fd);
    free(lock);
}
