/*
 * workdir.c - see workdir.h.
 *
 * W1  Nothing is removed but from a directory that is empty or has the mark, whose lock
 *     we hold.
 * W2  The new store is durable when it is closed; its name is when the directory that the
 *     name is in has been synced.
 */
#include "common/workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "UNFINISHED"

static const char mark_text[] =
    "A store that is being made, or whose making was interrupted: not yet to be used.\n"
    "The next lsmfs repair to the same name replaces it; it may as well be deleted.\n";

/* ---- emptying ---- */

/* Removes the files of a directory; those in `store` of the working directory.  A daemon whose
 * command has gone may do the same at this moment. */
static int
remove_files(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    int result = 0;
    if (!directory) {
        result = -errno;
        if (fd >= 0)
            close(fd);
        return result == -ENOENT ? 0 : result;
    }
    for (struct dirent *entry; result == 0 && (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
            unlinkat(fd, entry->d_name, 0) && errno != ENOENT)
            result = -errno;
    closedir(directory);
    if (result == 0 && unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
        result = -errno;
    return result;
}

/* Removes the half-made store; the mark stays. */
static int
empty(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = remove_files(fd, "store");
    close(fd);
    return result;
}

/* ---- making ---- */

/* Is there nothing at `path`, or an empty directory? */
static bool
is_vacant(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return errno == ENOENT;
    bool vacant = true;
    for (struct dirent *entry; vacant && (entry = readdir(directory));)
        vacant = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    closedir(directory);
    return vacant;
}

static char *
join(const char *left, const char *right)
{
    char *joined;
    return asprintf(&joined, "%s%s", left, right) < 0 ? NULL : joined;
}

static int
name_paths(struct workdir *work, const char *target)
{
    size_t size = strlen(target);
    work->target = strdup(target);
    if (!work->target)
        return -ENOMEM;
    while (size > 1 && work->target[size - 1] == '/')
        work->target[--size] = '\0';
    work->path = join(work->target, ".unfinished");
    work->store = work->path ? join(work->path, "/store") : NULL;
    return work->store ? 0 : -ENOMEM;
}

/* Opens and locks the mark (W1).  -EEXIST: the directory is somebody else's. */
static int
take_mark(struct workdir *work)
{
    char *name = join(work->path, "/" MARK);
    if (!name)
        return -ENOMEM;
    bool fresh = is_vacant(work->path);
    work->mark =
        open(name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (fresh ? O_CREAT : 0), 0600);
    int result = work->mark < 0 ? -errno : 0;
    free(name);
    if (result)
        return result == -ENOENT ? -EEXIST : result;
    if (flock(work->mark, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (pwrite(work->mark, mark_text, strlen(mark_text), 0) < 0)
        return -errno;
    return 0;
}

static void
forget(struct workdir *work)
{
    if (work->mark >= 0)
        close(work->mark);
    work->mark = -1;
    free(work->target);
    free(work->path);
    free(work->store);
    work->target = work->path = work->store = NULL;
}

int
workdir_make(struct workdir *work, const char *target, char *why, size_t why_size)
{
    *work = (struct workdir){.mark = -1};
    int result = name_paths(work, target);
    if (result == 0 && !is_vacant(work->target)) {
        snprintf(why, why_size, "%s: is there already", work->target);
        forget(work);
        return -EEXIST;
    }
    if (result == 0 && mkdir(work->path, 0700) && errno != EEXIST)
        result = -errno;
    if (result == 0)
        result = take_mark(work);
    if (result == 0)
        result = empty(work->path);
    if (result == 0)
        return 0;
    if (result == -EBUSY)
        snprintf(why, why_size, "%s: another repair is making it", work->target);
    else if (result == -EEXIST)
        snprintf(why, why_size, "%s: is there, and is not what a repair leaves",
                 work->path);
    else
        snprintf(why, why_size, "%s: %s", work->path ? work->path : target,
                 strerror(-result));
    if (result == -EBUSY || result == -EEXIST)
        forget(work);
    else
        workdir_drop(work);
    return result;
}

/* ---- publishing ---- */

/* Only root may, and need. */
static int
give_to(const char *path, const struct stat *owner)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    int result = 0;
    if (!directory) {
        result = -errno;
        if (fd >= 0)
            close(fd);
        return result;
    }
    for (struct dirent *entry; result == 0 && (entry = readdir(directory));)
        if (strcmp(entry->d_name, "..") && fchownat(fd, entry->d_name, owner->st_uid,
                                                    owner->st_gid, AT_SYMLINK_NOFOLLOW))
            result = -errno;
    closedir(directory);
    return result;
}

static int
sync_parent(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    char *slash = strrchr(copy, '/');
    if (slash)
        slash[slash == copy] = '\0';
    int fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 || fsync(fd) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}

int
workdir_publish(struct workdir *work, const char *like)
{
    struct stat owner;
    int result = 0;
    if (geteuid() == 0 && stat(like, &owner) == 0 && owner.st_uid != 0)
        result = give_to(work->store, &owner);
    if (result)
        return result;
    if (rename(work->store, work->target))
        return -errno;
    return sync_parent(work->target);
}

void
workdir_drop(struct workdir *work)
{
    if (!work->store) {
        forget(work);
        return;
    }
    char *name = join(work->path, "/" MARK);
    int emptied = empty(work->path);
    /* What is left of it the next repair replaces. */
    if (emptied == 0 && name)
        unlink(name);
    rmdir(work->path);
    free(name);
    forget(work);
}
