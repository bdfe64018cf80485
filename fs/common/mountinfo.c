/*
 * mountinfo.c - /proc/PID/mountinfo, and umount(2) or, for those who may not,
 * fusermount3.
 *
 * A line of mountinfo is
 *
 *     id parent major:minor root point options optional... - type source superoptions
 *
 * with blanks, tabs, newlines and backslashes as \ooo.
 */
#include "common/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* For half a second: who looks at all mounts, as some programs do, holds each for a
 * moment. */
#define BUSY_TRIES 25
#define BUSY_STEP  20000000 /* nanoseconds */

extern char **environ;

/* Copies a field, its escapes resolved; one that does not fit is cut. */
static void
copy_field(char *to, size_t size, const char *from)
{
    size_t used = 0;

    while (*from != '\0' && used + 1 < size) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] != '\0' &&
            from[3] != '\0') {
            int byte = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');
            to[used++] = (char)byte;
            from += 4;
        } else {
            to[used++] = *from++;
        }
    }
    to[used] = '\0';
}

/* Copies the next field of a line; false: it has no more. */
static bool
take_field(char **rest, char *to, size_t size)
{
    const char *field = strsep(rest, " \n");

    if (field == NULL)
        return false;
    copy_field(to, size, field);
    return true;
}

/* Adds the options of the file system, but for the "rw" or "ro" that begins them, which
 * the mount's own have. */
static void
add_options(struct mountinfo *info, const char *super)
{
    size_t used = strlen(info->options);

    super += strcspn(super, ",");
    copy_field(info->options + used, sizeof(info->options) - used, super);
}

/* False: not a line of mountinfo. */
static bool
parse_line(char *line, struct mountinfo *info)
{
    char *rest = line;
    const char *field;

    info->id = strtoull(line, NULL, 10);
    /* id, parent */
    if (strsep(&rest, " ") == NULL || strsep(&rest, " ") == NULL ||
        !take_field(&rest, info->device, sizeof(info->device)) ||
        !take_field(&rest, info->root, sizeof(info->root)) ||
        !take_field(&rest, info->point, sizeof(info->point)) ||
        !take_field(&rest, info->options, sizeof(info->options)))
        return false;
    while ((field = strsep(&rest, " ")) != NULL && strcmp(field, "-") != 0)
        ;
    if (!take_field(&rest, info->type, sizeof(info->type)) ||
        !take_field(&rest, info->source, sizeof(info->source)))
        return false;
    field = strsep(&rest, " \n");
    add_options(info, field != NULL ? field : "");
    return true;
}

int
mountinfo_each(pid_t pid, bool (*take)(void *context, const struct mountinfo *info),
               void *context)
{
    struct mountinfo *info = malloc(sizeof(*info));
    char path[64], *line = NULL;
    size_t capacity = 0;
    FILE *file;

    if (info == NULL)
        return -ENOMEM;
    if (pid == 0)
        pid = getpid();
    snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
    file = fopen(path, "re");
    if (file == NULL) {
        /* EINVAL: its first thread has ended, though others may still live. */
        int result = errno == EINVAL ? -ENOENT : -errno;
        free(info);
        return result;
    }
    while (getline(&line, &capacity, file) > 0) {
        if (parse_line(line, info) && !take(context, info))
            break;
    }
    free(line);
    fclose(file);
    free(info);
    return 0;
}

/* ---- looking for one ---- */

struct search {
    bool (*matches)(const struct mountinfo *info, const void *wanted);
    const void *wanted;
    struct mountinfo *found;
    bool any;
};

static bool
look_at(void *context, const struct mountinfo *info)
{
    struct search *search = context;

    if (search->matches(info, search->wanted)) {
        *search->found = *info;
        search->any = true;
    }
    return true;
}

/* The last that `matches`; a later mount lies on top of an earlier one. */
static int
find(pid_t pid, bool (*matches)(const struct mountinfo *info, const void *wanted),
     const void *wanted, struct mountinfo *found)
{
    struct search search = {matches, wanted, found, false};
    int result = mountinfo_each(pid, look_at, &search);

    return result == 0 && !search.any ? -ENOENT : result;
}

static bool
is_at(const struct mountinfo *info, const void *point)
{
    return strcmp(info->point, point) == 0;
}

struct mount_of {
    const char *device, *source;
};

static bool
is_of(const struct mountinfo *info, const void *wanted)
{
    const struct mount_of *of = wanted;

    return strcmp(info->device, of->device) == 0 && strcmp(info->source, of->source) == 0;
}

int
mountinfo_find(pid_t pid, const char *point, struct mountinfo *found)
{
    return find(pid, is_at, point, found);
}

int
mountinfo_find_device(const char *device, const char *source, struct mountinfo *found)
{
    struct mount_of of = {device, source};

    return find(0, is_of, &of, found);
}

bool
mountinfo_holds(int folder, const char *store)
{
    struct mountinfo info;
    struct stat stat;
    char device[sizeof(info.device)];

    if (fstat(folder, &stat) != 0)
        return false;
    snprintf(device, sizeof(device), "%u:%u", major(stat.st_dev), minor(stat.st_dev));
    return mountinfo_find_device(device, store, &info) == 0 &&
           strcmp(info.type, MOUNT_TYPE) == 0;
}

bool
mountinfo_is_root(int folder, const struct mountinfo *info)
{
    struct statx stat;

    return statx(folder, "", AT_EMPTY_PATH, STATX_MNT_ID, &stat) == 0 &&
           stat.stx_mask & STATX_MNT_ID && stat.stx_mnt_id == info->id &&
           stat.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* The type of a file system that answers when somebody else does. */
static bool
waits_for_others(const char *type)
{
    static const char *const network[] = {"nfs", "nfs4", "cifs", "smb3",  "ceph",
                                          "9p",  "afs",  "coda", "autofs"};

    for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++) {
        if (strcmp(type, network[i]) == 0)
            return true;
    }
    return strncmp(type, "fuse", 4) == 0;
}

static bool
is_on_the_way(const struct mountinfo *info, const void *path)
{
    size_t length = strlen(info->point);
    const char *rest = (const char *)path + length;

    /* What the root needs, the caller has waited for. */
    return length > 1 && strncmp(path, info->point, length) == 0 &&
           (*rest == '/' || *rest == '\0') && waits_for_others(info->type);
}

bool
mountinfo_may_wait(const char *path)
{
    struct mountinfo info;

    return find(0, is_on_the_way, path, &info) != -ENOENT;
}

/* ---- paths ---- */

/* Splits at the last '/', the trailing ones left out.  False: there is no name to split
 * off. */
static bool
split(char *path, const char **folder, const char **name)
{
    size_t length = strlen(path);
    char *slash;

    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    slash = strrchr(path, '/');
    *name = slash == NULL ? path : slash + 1;
    *folder = slash == NULL ? "." : slash == path ? "/" : path;
    if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
        return false;
    if (slash != NULL)
        *slash = '\0';
    return true;
}

static bool
is_link(const char *folder, const char *name)
{
    char path[2 * PATH_MAX], target[1];

    /* readlink, since lstat of a mount point whose daemon has died fails. */
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return readlink(path, target, sizeof(target)) >= 0;
}

int
mountinfo_absolute(const char *path, char *absolute)
{
    char copy[PATH_MAX], resolved[PATH_MAX];
    const char *folder, *name;

    if (*path == '\0')
        return -ENOENT;
    if (strlen(path) >= sizeof(copy))
        return -ENAMETOOLONG;
    strcpy(copy, path);
    if (!split(copy, &folder, &name))
        return realpath(path, absolute) == NULL ? -errno : 0;
    if (realpath(folder, resolved) == NULL)
        return -errno;
    if (is_link(resolved, name))
        return realpath(path, absolute) == NULL ? -errno : 0;
    if (strcmp(resolved, "/") == 0)
        resolved[0] = '\0';
    if (strlen(resolved) + 1 + strlen(name) >= PATH_MAX)
        return -ENAMETOOLONG;
    stpcpy(stpcpy(stpcpy(absolute, resolved), "/"), name);
    return 0;
}

/* ---- unmounting ---- */

bool
mountinfo_is_dead(int error)
{
    return error == ENOTCONN || error == ECONNABORTED || error == ECANCELED;
}

static _Thread_local char reason[256]; /* as mountinfo_why has it */

const char *
mountinfo_why(int result)
{
    return reason[0] != '\0' ? reason : strerror(-result);
}

/* Keeps what comes out of the pipe, and waits for its end. */
static void
take_reason(int from)
{
    size_t used = 0;
    char rest[64];
    ssize_t got;

    do {
        bool full = used == sizeof(reason) - 1;

        got = full ? read(from, rest, sizeof(rest))
                   : read(from, reason + used, sizeof(reason) - 1 - used);
        if (got > 0 && !full)
            used += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    reason[used] = '\0';
}

/* Its messages go to `messages`; no signal is blocked in it. */
static int
spawn(char **arguments, int messages, pid_t *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    int result = -posix_spawn_file_actions_init(&files);

    if (result != 0)
        return result;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    result = -posix_spawn_file_actions_adddup2(&files, messages, STDERR_FILENO);
    if (result == 0)
        result =
            -posix_spawnp(child, arguments[0], &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return result;
}

/* What fusermount3 does with the rights of root for the owner of a mount. */
static int
fusermount(const char *point, bool lazily)
{
    char program[] = "fusermount3", option[] = "-u", lazy[] = "-uz", end[] = "--";
    char *copy = strdup(point);
    char *arguments[] = {program, lazily ? lazy : option, end, copy, NULL};
    int messages[2], status, result;
    pid_t child;

    if (copy == NULL)
        return -ENOMEM;
    if (pipe2(messages, O_CLOEXEC) != 0) {
        result = -errno;
        free(copy);
        return result;
    }
    result = spawn(arguments, messages[1], &child);
    free(copy);
    close(messages[1]);
    take_reason(messages[0]);
    close(messages[0]);
    if (result != 0)
        return result;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        reason[0] = '\0';
        return 0;
    }
    /* It does not translate its words; a warning may come before them. */
    bool busy = reason[0] == '\0' || strstr(reason, "Device or resource busy") != NULL;
    reason[busy ? 0 : strcspn(reason, "\n")] = '\0';
    return busy ? -EBUSY : -EPERM;
}

static int
unmount_once(const char *point, bool lazily)
{
    struct mountinfo info;
    int result;

    if (umount2(point, UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)) == 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    result = mountinfo_find(0, point, &info);
    if (result != 0)
        return result == -ENOENT ? -EINVAL : result;
    return fusermount(point, lazily);
}

int
mountinfo_unmount(const char *point, bool lazily)
{
    const struct timespec step = {0, BUSY_STEP};

    reason[0] = '\0';
    int result = unmount_once(point, lazily);

    for (int i = 0; i < BUSY_TRIES && result == -EBUSY; i++) {
        nanosleep(&step, NULL);
        result = unmount_once(point, lazily);
    }
    return result;
}

int
mountinfo_abort(const char *point, bool lazily)
{
    int flags = UMOUNT_NOFOLLOW | MNT_FORCE | (lazily ? MNT_DETACH : 0);

    if (umount2(point, flags) == 0)
        return 0;
    return errno == EPERM ? mountinfo_unmount(point, lazily) : -errno;
}

int
mountinfo_end_connection(const char *device)
{
    const char *minor = strchr(device, ':');
    char path[sizeof(MOUNTINFO_CONNECTIONS) + 64];
    int file, result;

    if (minor == NULL)
        return -EINVAL;
    snprintf(path, sizeof(path), MOUNTINFO_CONNECTIONS "/%.32s/abort", minor + 1);
    file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    result = write(file, "1", 1) == 1 ? 0 : -errno;
    close(file);
    return result;
}
