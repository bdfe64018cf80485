/*
 * compare_maps.c - mappings, kept over the other calls, past close and unlink.
 *
 * A touch that the kernel answers with SIGBUS ends there, on both sides at the same byte.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compare.h"

#define MAPS      5
#define PAGES_MAX 40

struct mapping {
    uint8_t *at[SIDES]; /* NULL: none */
    size_t size;
    off_t offset; /* of the file */
    int path;     /* to the file, but not open */
    bool shared, writable;
    ino_t numbers[SIDES];
};

static struct mapping maps[MAPS];
static sigjmp_buf no_page;
static volatile size_t touched; /* bytes, until the signal */

static void
on_signal(int number)
{
    (void)number;
    siglongjmp(no_page, 1);
}

void
maps_init(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, NULL) != 0)
        abort();
    /* Which is an error beside it. */
    signal(SIGXFSZ, SIG_IGN);
}

/* How many bytes could be read. */
static long
look_at(const uint8_t *from, size_t size, uint8_t *to)
{
    touched = 0;
    if (sigsetjmp(no_page, 1) == 0)
        for (; touched < size; touched++)
            to[touched] = *(const volatile uint8_t *)(from + touched);
    return (long)touched;
}

static long
store(uint8_t *to, size_t size, const uint8_t *from)
{
    touched = 0;
    if (sigsetjmp(no_page, 1) == 0)
        for (; touched < size; touched++)
            *(volatile uint8_t *)(to + touched) = from[touched];
    return (long)touched;
}

bool
maps_cover(int side, ino_t ino)
{
    for (size_t i = 0; i < MAPS; i++)
        if (maps[i].at[0] != NULL && maps[i].shared && maps[i].writable &&
            maps[i].numbers[side] == ino)
            return true;
    return false;
}

void
maps_settle(ino_t beneath)
{
    for (size_t i = 0; i < MAPS; i++)
        if (maps[i].at[0] != NULL && maps[i].shared &&
            (beneath == 0 || maps[i].numbers[1] == beneath))
            for (int side = 0; side < SIDES; side++)
                if (msync(maps[i].at[side], maps[i].size, MS_SYNC) != 0)
                    differ("side %d: msync: %s", side, strerror(errno));
}

static void
agree(const struct mapping *map, size_t offset, size_t size)
{
    BOTH(look_at(map->at[side] + offset, size, run.seen[side]));
    for (size_t i = 0; i < (size_t)run.result; i++)
        if (run.seen[0][i] != run.seen[1][i])
            differ("byte %zu of a %s mapping is %02x, there %02x", offset + i,
                   map->shared ? "shared" : "private", run.seen[0][i], run.seen[1][i]);
}

void
maps_agree(ino_t beneath)
{
    for (size_t i = 0; i < MAPS; i++)
        if (maps[i].at[0] != NULL && maps[i].numbers[1] == beneath)
            agree(&maps[i], 0, maps[i].size);
}

static void
unmap(struct mapping *map)
{
    for (int side = 0; side < SIDES; side++) {
        munmap(map->at[side], map->size);
        map->at[side] = NULL;
    }
    close(map->path);
}

static void
map_file(struct mapping *map, const struct handle *handle)
{
    bool shared = !once_in(3), writable = !once_in(4);
    int prot = PROT_READ | (writable ? PROT_WRITE : 0);
    int flags = shared ? MAP_SHARED : MAP_PRIVATE;
    size_t pages = 1 + below(PAGES_MAX), size = pages * BLOCK;
    off_t offset = once_in(2) ? 0 : (off_t)(below(40) * BLOCK);
    uint8_t *at[SIDES];
    char path[64];
    struct stat st;

    if (once_in(20))
        offset = (off_t)(random_offset() & ~(uint64_t)(BLOCK - 1));
    call_is("map %zu pages at %lld %s%s", pages, (long long)offset,
            shared ? "shared" : "privately", writable ? "" : ", for reading");
    BOTH((at[side] = mmap(NULL, size, prot, flags, handle->fds[side], offset)) ==
                 MAP_FAILED
             ? -1
             : 0);
    if (at[0] == MAP_FAILED)
        return;
    map->shared = shared;
    map->writable = writable;
    map->size = size;
    map->offset = offset;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", handle->fds[1]);
    map->path = open(path, O_PATH);
    for (int side = 0; side < SIDES; side++) {
        map->at[side] = at[side];
        if (fstat(handle->fds[side], &st) != 0)
            differ("fstat: %s", strerror(errno));
        map->numbers[side] = st.st_ino;
    }
}

/* How much of a store remains: what lies behind the end, but in its page, is left alone.  By POSIX
 * nobody sees it; but if the file then grows the kernel shows it on FUSE. */
static size_t
within(const struct mapping *map, size_t offset, size_t size)
{
    struct stat st;
    off_t left, page;

    if (!map->shared || fstat(map->path, &st) != 0)
        return size;
    left = st.st_size - map->offset - (off_t)offset;
    page = (st.st_size + BLOCK - 1) / BLOCK * BLOCK - map->offset - (off_t)offset;
    if (page <= 0 || left >= (off_t)size)
        return size;
    return left < 0 ? 0 : (size_t)left;
}

static void
use(struct mapping *map)
{
    static const int syncs[] = {MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE,
                                MS_SYNC | MS_ASYNC};
    static const int advice[] = {MADV_DONTNEED, MADV_WILLNEED, MADV_REMOVE};
    size_t offset = below(map->size), size = 1 + below(map->size - offset);
    size_t page = offset & ~(size_t)(BLOCK - 1);
    const char *kind = map->shared ? "shared" : "private";
    int which;

    if (once_in(2) && size > 200)
        size = 1 + below(200);
    switch (below(6)) {
    case 0:
        which = syncs[below(COUNT(syncs))];
        call_is("msync %d", which);
        BOTH(msync(map->at[side], map->size, which));
        break;
    case 1:
        which = advice[below(COUNT(advice))];
        call_is("madvise %d of %zu at %zu of a %s mapping", which, size, page, kind);
        BOTH(madvise(map->at[side] + page, size, which));
        break;
    case 2:
        call_is("read %zu at %zu of a %s mapping", size, offset, kind);
        agree(map, offset, size);
        break;
    default:
        if (!map->writable)
            break;
        size = within(map, offset, size);
        fill_data(size);
        call_is("store %zu at %zu of a %s mapping", size, offset, kind);
        BOTH(store(map->at[side] + offset, size, run.data));
        call_is("what was stored");
        maps_agree(map->numbers[1]);
    }
}

void
do_map(void)
{
    struct mapping *map = &maps[below(MAPS)];
    const struct handle *handle = random_handle();

    if (map->at[0] == NULL) {
        if (handle_is_regular(handle))
            map_file(map, handle);
    } else if (once_in(8)) {
        call_is("munmap");
        unmap(map);
    } else {
        use(map);
    }
}
