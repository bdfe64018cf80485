/*
 * compare_dirs.c - directories read piecemeal, through descriptors kept open while other calls
 * change them.
 *
 * A name that was there when the reading began, and that no call touched since, comes exactly
 * once; what came behind a cookie comes again behind it.  In which order, and what comes of
 * the others, is each side's own affair.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compare.h"

#define LISTINGS  2
#define NAMES_MAX 1024

struct listed {
    char name[256];
    bool touched; /* no claim is made about it any more */
    unsigned seen;
};

struct listing {
    int fd; /* -1: none */
    ino_t number;
    struct listed names[NAMES_MAX]; /* there at the beginning */
    size_t count;
    int order[NAMES_MAX * 2]; /* what came, as indexes; -1 for another name */
    size_t read;
    off_t cookie; /* behind what came first... */
    size_t mark;  /* ...so many */
};

/* The same directories on both sides. */
static struct listing listings[LISTINGS][SIDES];

void
dirs_init(void)
{
    for (size_t i = 0; i < LISTINGS; i++)
        listings[i][0].fd = listings[i][1].fd = -1;
}

static struct listed *
find(struct listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->names[i].name, name) == 0)
            return &listing->names[i];
    return NULL;
}

void
dirs_touch(const char *path)
{
    char parent[PATH_ROOM];
    const char *slash = strrchr(path, '/');
    struct listed *name;
    struct stat st;

    parent_of(path, parent);
    for (size_t i = 0; i < LISTINGS; i++)
        for (int side = 0; side < SIDES; side++) {
            struct listing *listing = &listings[i][side];

            if (listing->fd < 0 || fstatat(run.roots[side], parent, &st, 0) != 0 ||
                st.st_ino != listing->number)
                continue;
            name = find(listing, slash == NULL ? path : slash + 1);
            if (name != NULL)
                name->touched = true;
        }
}

/* Begins from the first entry, with what another descriptor lists. */
static bool
begin(int side, struct listing *listing)
{
    bool ours = side == 0 && run.mounted;
    int fd = openat(listing->fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    listing->count = listing->read = listing->mark = 0;
    listing->cookie = 0;
    if (dir == NULL || lseek(listing->fd, 0, SEEK_SET) != 0)
        return false;
    while ((entry = readdir(dir)) != NULL && listing->count < NAMES_MAX) {
        struct listed *name = &listing->names[listing->count++];

        snprintf(name->name, sizeof(name->name), "%s", entry->d_name);
        /* ext4 itself loses these two now and then when the directory grows. */
        name->touched = !ours && name->name[strspn(name->name, ".")] == '\0';
    }
    closedir(dir);
    return listing->count < NAMES_MAX;
}

static void
stop(struct listing listing[SIDES])
{
    for (int side = 0; side < SIDES; side++) {
        if (listing[side].fd >= 0)
            close(listing[side].fd);
        listing[side].fd = -1;
    }
}

static void
start(struct listing listing[SIDES])
{
    char path[PATH_ROOM];
    struct stat st;
    bool began = true;

    random_path(path);
    if (once_in(2))
        snprintf(path, sizeof(path), "%s", once_in(4) ? "." : "many");
    call_is("listing of %s", path);
    BOTH((listing[side].fd = openat(run.roots[side], path, O_RDONLY | O_DIRECTORY)) < 0
             ? -1
             : 0);
    if (listing[0].fd < 0)
        return;
    for (int side = 0; side < SIDES; side++) {
        began = began && fstat(listing[side].fd, &st) == 0;
        listing[side].number = st.st_ino;
        began = began && begin(side, &listing[side]);
    }
    if (!began)
        stop(listing);
}

/* The end: every name that nobody touched came once. */
static void
check(int side, struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        listing->names[i].seen = 0;
    for (size_t i = 0; i < listing->read; i++)
        if (listing->order[i] >= 0)
            listing->names[listing->order[i]].seen++;
    for (size_t i = 0; i < listing->count; i++)
        if (!listing->names[i].touched && listing->names[i].seen != 1)
            differ("side %d: of %zu names %s came %u times", side, listing->count,
                   listing->names[i].name, listing->names[i].seen);
}

/* One call; false at the end. */
static bool
read_some(int side, struct listing *listing, size_t room, bool mark)
{
    char buffer[8192] __attribute__((aligned(8)));
    long got = syscall(SYS_getdents64, listing->fd, buffer, room);

    if (got < 0 && errno == ENOENT)
        return false; /* it was removed */
    if (got < 0)
        differ("side %d: getdents: %s", side, strerror(errno));
    for (long at = 0; at < got;) {
        const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
        struct listed *name = find(listing, entry->d_name);

        if (listing->read == COUNT(listing->order))
            differ("side %d: the listing has no end", side);
        listing->order[listing->read++] =
            name == NULL ? -1 : (int)(name - listing->names);
        if (mark) {
            listing->cookie = entry->d_off;
            listing->mark = listing->read;
        }
        at += entry->d_reclen;
    }
    return got > 0;
}

/* A listing whose directory was removed ends early. */
static bool
is_removed(const struct listing *listing)
{
    struct stat st;

    return fstat(listing->fd, &st) != 0 || st.st_nlink == 0;
}

/* In a directory that was removed ext4 takes its cookies for too large. */
static void
go_back(struct listing listing[SIDES])
{
    for (int side = 0; side < SIDES; side++) {
        if (lseek(listing[side].fd, listing[side].cookie, SEEK_SET) !=
                listing[side].cookie &&
            !is_removed(&listing[side]))
            differ("side %d: seekdir: %s", side, strerror(errno));
        listing[side].read = listing[side].mark;
    }
}

void
do_listing(void)
{
    struct listing *listing = listings[below(LISTINGS)];
    size_t room = 300 + below(once_in(3) ? 7000 : 600);
    bool mark = once_in(3), more[SIDES];

    if (listing[0].fd < 0) {
        start(listing);
        return;
    }
    if (once_in(10)) {
        call_is("seekdir to the entry %zu", listing[0].mark);
        go_back(listing);
        return;
    }
    call_is("getdents of %zu bytes", room);
    for (int side = 0; side < SIDES; side++) {
        more[side] = read_some(side, &listing[side], room, mark);
        if (more[side])
            continue;
        if (!is_removed(&listing[side]))
            check(side, &listing[side]);
    }
    if (!more[0] && !more[1] &&
        (once_in(2) || !begin(0, &listing[0]) || !begin(1, &listing[1])))
        stop(listing);
}
