/*
 * compare_watch.c - which times a call changes: the same ones on both sides.
 *
 * Of a file that is mapped for shared writing they are not compared: its mtime changes when the
 * kernel writes the pages, and when it does so is its own affair.
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "compare.h"

bool
same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

void
parent_of(const char *path, char parent[PATH_ROOM])
{
    const char *slash = strrchr(path, '/');

    snprintf(parent, PATH_ROOM, "%.*s", slash == NULL ? 1 : (int)(slash - path),
             slash == NULL ? "." : path);
}

static bool
look(const struct watch *watch, size_t i, int side, struct stat *st)
{
    const char *path = watch->items[i].path;

    return (path[0] == '\0'
                ? fstat(watch->items[i].fds[side], st)
                : fstatat(run.roots[side], path, st, AT_SYMLINK_NOFOLLOW)) == 0;
}

static void
remember(struct watch *watch)
{
    size_t i = watch->count++;

    for (int side = 0; side < SIDES; side++)
        watch->items[i].there[side] = look(watch, i, side, &watch->items[i].before[side]);
}

/* The name and its parent; what stands behind its last slash is not part of it. */
static void
watch_name(struct watch *watch, const char *path)
{
    char *name = watch->items[watch->count].path;
    size_t size = strlen(path);

    if (size > 2 && strcmp(path + size - 2, "/.") == 0)
        size -= 2;
    else if (path[size - 1] == '/')
        size--;
    snprintf(name, PATH_ROOM, "%.*s", (int)size, path);
    dirs_touch(name);
    remember(watch);
    parent_of(name, watch->items[watch->count].path);
    remember(watch);
}

/* What changes then has another time than what changed before. */
static void
await_tick(void)
{
    struct timespec tick;

    if (!run.kernels_times || clock_getres(CLOCK_REALTIME_COARSE, &tick) != 0)
        return;
    tick.tv_nsec += tick.tv_nsec / 4;
    nanosleep(&tick, NULL);
}

void
watch_begin(struct watch *watch, const char *first, const char *second)
{
    await_tick();
    watch->count = 0;
    watch_name(watch, first);
    if (second != NULL)
        watch_name(watch, second);
}

void
watch_handle(struct watch *watch, const int fds[SIDES])
{
    await_tick();
    watch->count = 0;
    watch->items[0].path[0] = '\0';
    memcpy(watch->items[0].fds, fds, sizeof(watch->items[0].fds));
    remember(watch);
}

static const char *
said(bool changed)
{
    return changed ? "changed" : "stayed";
}

static void
compare_times(const char *name, bool there[SIDES], bool modified[SIDES],
              bool changed[SIDES])
{
    if (there[0] != there[1])
        differ("%s is %s, there it is %s", name, there[0] ? "there" : "absent",
               there[1] ? "there" : "absent");
    if (modified[0] != modified[1])
        differ("mtime of %s %s, there it %s", name, said(modified[0]), said(modified[1]));
    if (changed[0] != changed[1])
        differ("ctime of %s %s, there it %s", name, said(changed[0]), said(changed[1]));
}

void
watch_end(const struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        bool there[SIDES], modified[SIDES], changed[SIDES], mapped = false;
        const char *path = watch->items[i].path;

        for (int side = 0; side < SIDES; side++) {
            const struct stat *before = &watch->items[i].before[side];
            struct stat now;
            bool stayed;

            there[side] = look(watch, i, side, &now);
            /* Another file under the name has times of its own. */
            stayed = there[side] && watch->items[i].there[side] &&
                     now.st_ino == before->st_ino;
            mapped = mapped || (stayed && maps_cover(side, now.st_ino));
            modified[side] = stayed && !same_time(now.st_mtim, before->st_mtim);
            changed[side] = stayed && !same_time(now.st_ctim, before->st_ctim);
        }
        if (mapped)
            memset(modified, 0, sizeof(modified)), memset(changed, 0, sizeof(changed));
        compare_times(path[0] == '\0' ? "the open file" : path, there, modified, changed);
    }
}
