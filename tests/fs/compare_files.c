/*
 * compare_files.c - calls on open files.  They stay open over renames and unlinks.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "compare.h"

static struct handle handles[HANDLES];

void
handles_init(void)
{
    for (size_t i = 0; i < HANDLES; i++)
        handles[i].fds[0] = handles[i].fds[1] = -1;
}

struct handle *
random_handle(void)
{
    return &handles[below(HANDLES)];
}

void
handle_set(struct handle *handle, const int fds[SIDES], int flags)
{
    for (int side = 0; side < SIDES; side++) {
        if (handle->fds[side] >= 0)
            close(handle->fds[side]);
        handle->fds[side] = fds[side];
    }
    handle->flags = flags;
}

bool
handle_is_regular(const struct handle *handle)
{
    struct stat st;

    return handle->fds[0] >= 0 && fstat(handle->fds[1], &st) == 0 && S_ISREG(st.st_mode);
}

static bool
is_direct(const struct handle *handle)
{
    return (handle->flags & O_DIRECT) != 0;
}

/* Often within the file. */
static uint64_t
offset_in(const struct handle *handle)
{
    struct stat st;

    if (once_in(2) && fstat(handle->fds[1], &st) == 0 && st.st_size > 0)
        return below((uint64_t)st.st_size);
    return random_offset();
}

/* ---- reading and writing ---- */

/* ext4 wants whole blocks of a direct call; the mount takes anything. */
static void
align(const struct handle *handle, uint64_t *offset, size_t *size)
{
    if (is_direct(handle)) {
        *offset &= ~(uint64_t)(BLOCK - 1);
        *size &= ~(size_t)(BLOCK - 1);
    }
}

/* ext4 may use what a direct read leaves of the buffer. */
static void
compare_seen(void)
{
    for (long i = 0; i < run.result; i++)
        if (run.seen[0][i] != run.seen[1][i])
            differ("byte %ld of what was read is %02x, there %02x", i, run.seen[0][i],
                   run.seen[1][i]);
}

static void
forget_seen(size_t size)
{
    for (int side = 0; side < SIDES; side++)
        memset(run.seen[side], 0xaa, size);
}

/* Cuts `size` bytes into three vectors; direct ones at blocks. */
static int
cut(struct iovec vector[3], uint8_t *bytes, size_t size, const size_t at[2])
{
    vector[0] = (struct iovec){bytes, at[0]};
    vector[1] = (struct iovec){bytes + at[0], at[1] - at[0]};
    vector[2] = (struct iovec){bytes + at[1], size - at[1]};
    return 3;
}

static void
random_cuts(const struct handle *handle, size_t size, size_t at[2])
{
    uint64_t unused = 0;

    at[0] = below(size + 1);
    at[1] = at[0] + below(size - at[0] + 1);
    align(handle, &unused, &at[0]);
    align(handle, &unused, &at[1]);
}

/* Of the kernel's flags those that FUSE has, and one that nobody has. */
static int
random_rwf(bool writing)
{
    static const int reads[] = {0, 0, RWF_HIPRI, 1 << 30};
    static const int writes[] = {
        0, 0, RWF_SYNC, RWF_DSYNC, RWF_SYNC | RWF_HIPRI, RWF_APPEND, 1 << 30};

    return writing ? writes[below(COUNT(writes))] : reads[below(COUNT(reads))];
}

static void
do_read(const struct handle *handle)
{
    uint64_t offset = offset_in(handle);
    size_t size = random_size(), at[2];
    struct iovec vector[3];
    int flags = random_rwf(false);

    align(handle, &offset, &size);
    random_cuts(handle, size, at);
    forget_seen(size);
    switch (below(4)) {
    case 0:
        call_is("preadv2 %zu, %zu, %zu of %zu at %llu flags %x", at[0], at[1] - at[0],
                size - at[1], size, (unsigned long long)offset, flags);
        BOTH(preadv2(handle->fds[side], vector, cut(vector, run.seen[side], size, at),
                     (off_t)offset, flags));
        break;
    case 1:
        if (!is_direct(handle)) {
            call_is("read %zu", size);
            BOTH(read(handle->fds[side], run.seen[side], size));
            break;
        }
        /* fall through */
    default:
        call_is("pread %zu at %llu", size, (unsigned long long)offset);
        BOTH(pread(handle->fds[side], run.seen[side], size, (off_t)offset));
    }
    compare_seen();
}

static void
do_write(const struct handle *handle)
{
    uint64_t offset = offset_in(handle);
    size_t size = random_size(), at[2];
    struct iovec vector[3];
    int flags = random_rwf(true);

    align(handle, &offset, &size);
    random_cuts(handle, size, at);
    if (is_direct(handle))
        flags &= ~RWF_APPEND;
    switch (below(4)) {
    case 0:
        call_is("pwritev2 %zu, %zu, %zu of %zu at %llu flags %x", at[0], at[1] - at[0],
                size - at[1], size, (unsigned long long)offset, flags);
        BOTH(pwritev2(handle->fds[side], vector, cut(vector, run.data, size, at),
                      (off_t)offset, flags));
        break;
    case 1:
        if (!is_direct(handle)) {
            call_is("write %zu", size);
            BOTH(write(handle->fds[side], run.data, size));
            break;
        }
        /* fall through */
    default:
        call_is("pwrite %zu at %llu%s", size, (unsigned long long)offset,
                is_direct(handle) ? ", direct" : "");
        BOTH(pwrite(handle->fds[side], run.data, size, (off_t)offset));
    }
}

/* A write that meets the process's limit is cut or refused. */
static void
do_limited_write(const struct handle *handle)
{
    struct rlimit usual, limit;
    uint64_t offset = random_offset();
    size_t size = random_size();

    align(handle, &offset, &size);
    if (getrlimit(RLIMIT_FSIZE, &usual) != 0)
        return;
    limit = usual;
    limit.rlim_cur = below(1 << 18) & ~(uint64_t)(BLOCK - 1);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return;
    call_is("pwrite %zu at %llu below a limit of %llu", size, (unsigned long long)offset,
            (unsigned long long)limit.rlim_cur);
    if (once_in(2)) {
        BOTH(pwrite(handle->fds[side], run.data, size, (off_t)offset));
    } else {
        call_is("ftruncate %llu below a limit of %llu", (unsigned long long)offset,
                (unsigned long long)limit.rlim_cur);
        BOTH(ftruncate(handle->fds[side], (off_t)offset));
    }
    if (setrlimit(RLIMIT_FSIZE, &usual) != 0)
        differ("the limit stays");
}

/* ---- space ---- */

static void
do_fallocate(const struct handle *handle)
{
    static const int modes[] = {0,
                                FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_ZERO_RANGE,
                                FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_PUNCH_HOLE,
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE,
                                FALLOC_FL_UNSHARE_RANGE,
                                FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_INSERT_RANGE | FALLOC_FL_ZERO_RANGE,
                                FALLOC_FL_NO_HIDE_STALE,
                                1 << 20};
    int mode = modes[below(COUNT(modes))];
    off_t offset = once_in(60) ? -1 : (off_t)offset_in(handle);
    off_t size = once_in(60) ? -1 : (off_t)random_size();

    call_is("fallocate mode %x at %lld size %lld", mode, (long long)offset,
            (long long)size);
    BOTH(fallocate(handle->fds[side], mode, offset, size));
    if (!run.mounted || !once_in(20) || (handle->flags & O_ACCMODE) == O_RDONLY)
        return;
    /* These two are never done here. */
    mode = once_in(2) ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE;
    call_is("fallocate mode %x of the first block", mode);
    if (fallocate(handle->fds[0], mode, 0, BLOCK) == 0 ||
        (errno != EOPNOTSUPP && errno != EPERM && errno != EBADF))
        differ("gives %s", strerror(errno));
}

static bool
is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* How finely holes are known differs.  What is called a hole must read as zeros. */
static void
check_hole(int side, int fd, off_t offset, off_t size)
{
    off_t data = lseek(fd, offset, SEEK_DATA), hole = lseek(fd, offset, SEEK_HOLE);
    off_t end = data < 0 ? size : data;
    size_t want = end - offset < DATA_MAX ? (size_t)(end - offset) : DATA_MAX;

    if (offset >= size)
        return;
    if (hole < offset || hole > size || (data >= 0 && (data < offset || data >= size)) ||
        (data < 0 && errno != ENXIO) || (data != offset && hole != offset))
        differ("side %d: after %lld of %lld come data at %lld and a hole at %lld", side,
               (long long)offset, (long long)size, (long long)data, (long long)hole);
    if (pread(fd, run.seen[side], want, offset) != (ssize_t)want)
        return; /* not open for reading */
    if (!is_zero(run.seen[side], want))
        differ("side %d: the hole at %lld holds data", side, (long long)offset);
}

static void
do_seek(const struct handle *handle)
{
    static const int from[] = {SEEK_SET, SEEK_CUR, SEEK_END, 77};
    off_t offset = (off_t)offset_in(handle) - (once_in(10) ? 1 << 20 : 0);
    int whence = from[below(COUNT(from))];
    off_t was[SIDES];
    struct stat st;

    call_is("lseek %lld from %d", (long long)offset, whence);
    BOTH(lseek(handle->fds[side], offset, whence));
    if (run.result < 0 || is_direct(handle) || offset < 0 || whence != SEEK_SET)
        return;
    call_is("data and holes from %lld", (long long)offset);
    for (int side = 0; side < SIDES; side++) {
        was[side] = lseek(handle->fds[side], 0, SEEK_CUR);
        if (fstat(handle->fds[side], &st) == 0)
            check_hole(side, handle->fds[side], offset, st.st_size);
        if (lseek(handle->fds[side], was[side], SEEK_SET) != was[side])
            differ("side %d: the position is lost", side);
    }
    if (fstat(handle->fds[1], &st) == 0 && offset >= st.st_size) {
        call_is("SEEK_DATA and SEEK_HOLE at %lld, past the end", (long long)offset);
        BOTH(lseek(handle->fds[side], offset, SEEK_DATA));
        BOTH(lseek(handle->fds[side], offset, SEEK_HOLE));
    }
}

/* ---- from file to file ---- */

/* From `pipe` to the file, all of `size`; -1. */
static long
drain(int pipe, int to, off_t *offset, size_t size)
{
    for (size_t left = size; left > 0;) {
        ssize_t out = splice(pipe, NULL, to, offset, left, 0);

        if (out <= 0)
            return -1;
        left -= (size_t)out;
    }
    return (long)size;
}

/* Through a pipe, as much as there is. */
static long
splice_all(int from, off_t from_offset, int to, off_t to_offset, size_t size)
{
    long done = 0, in = 1;
    int ends[2], error;

    if (pipe(ends) != 0)
        return -1;
    while (size > 0 && in > 0) {
        in = splice(from, &from_offset, ends[1], NULL, size, 0);
        if (in > 0 && drain(ends[0], to, &to_offset, (size_t)in) < 0)
            in = -1;
        if (in > 0) {
            size -= (size_t)in;
            done += in;
        }
    }
    error = errno;
    close(ends[0]);
    close(ends[1]);
    errno = error;
    return in < 0 ? -1 : done;
}

static long
send_from(int from, off_t at, int to, size_t size)
{
    return sendfile(to, from, &at, size);
}

static long
copy_range(int from, off_t at, int to, off_t there, size_t size, unsigned flags)
{
    return copy_file_range(from, &at, to, &there, size, flags);
}

/* A pipe holds the pages of what it was given, not what they contained.  From a file into itself
 * ext4 sends what that has just put there; a mount that writes past the pages (write-only
 * handles) does not. */
static bool
shows_own_writes(const struct handle *from, const struct handle *to)
{
    struct stat is, shall;

    return (to->flags & O_ACCMODE) == O_WRONLY && fstat(from->fds[1], &is) == 0 &&
           fstat(to->fds[1], &shall) == 0 && is.st_ino == shall.st_ino;
}

static void
do_copy(const struct handle *to)
{
    const struct handle *from = once_in(4) ? to : random_handle();
    off_t in = 0, out = (off_t)offset_in(to);
    size_t size = random_size();
    unsigned flags = once_in(20) ? 1 : 0;
    uint64_t way = below(5);

    if (!handle_is_regular(from) || is_direct(from) || is_direct(to) ||
        (way < 2 && shows_own_writes(from, to)))
        return;
    in = (off_t)offset_in(from);
    if (once_in(3)) { /* chunks by reference */
        in &= ~(off_t)131071;
        out &= ~(off_t)131071;
        size = 131072 * (1 + below(2));
    }
    switch (way) {
    case 0:
        call_is("sendfile %zu from %lld", size, (long long)in);
        BOTH(send_from(from->fds[side], in, to->fds[side], size));
        break;
    case 1:
        call_is("splice %zu from %lld to %lld%s", size, (long long)in, (long long)out,
                to == from ? " of the same file" : "");
        BOTH(splice_all(from->fds[side], in, to->fds[side], out, size));
        break;
    case 2:
        call_is("copy_file_range of %zu at the positions", size);
        BOTH(copy_file_range(from->fds[side], NULL, to->fds[side], NULL, size, flags));
        break;
    default:
        call_is("copy_file_range of %zu from %lld to %lld%s flags %u", size,
                (long long)in, (long long)out, to == from ? " of the same file" : "",
                flags);
        BOTH(copy_range(from->fds[side], in, to->fds[side], out, size, flags));
    }
}

/* ---- the rest ---- */

static void
do_sync(const struct handle *handle)
{
    switch (below(4)) {
    case 0:
        call_is("fdatasync");
        BOTH(fdatasync(handle->fds[side]));
        break;
    case 1:
        call_is("sync_file_range");
        BOTH(sync_file_range(handle->fds[side], 0, 1 << 20,
                             SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                 SYNC_FILE_RANGE_WAIT_AFTER));
        break;
    case 2:
        /* The pages go, and are read again. */
        call_is("posix_fadvise");
        BOTH(posix_fadvise(handle->fds[side], 0, 0, POSIX_FADV_DONTNEED));
        break;
    default:
        call_is("fsync");
        BOTH(fsync(handle->fds[side]));
    }
}

static void
do_flags(struct handle *handle)
{
    int flags = once_in(2) && !is_direct(handle) ? O_APPEND : 0;

    call_is("F_SETFL %o", flags | (handle->flags & O_DIRECT));
    BOTH(fcntl(handle->fds[side], F_SETFL,
               O_NONBLOCK | flags | (handle->flags & O_DIRECT)));
    call_is("F_GETFL");
    BOTH(fcntl(handle->fds[side], F_GETFL));
}

void
do_handle(void)
{
    struct handle *handle = random_handle();
    const int none[SIDES] = {-1, -1};
    struct stat st[SIDES];
    struct watch watch;

    if (!handle_is_regular(handle)) {
        /* It must not stand in the way of others. */
        if (handle->fds[0] >= 0)
            handle_set(handle, none, 0);
        return;
    }
    fill_data(DATA_MAX);
    watch_handle(&watch, handle->fds);
    switch (below(19)) {
    case 0:
    case 1:
    case 2:
    case 3:
        do_write(handle);
        break;
    case 4:
    case 5:
    case 6:
        do_read(handle);
        break;
    case 7:
    case 8: {
        off_t size = once_in(60) ? -1 : (off_t)offset_in(handle);

        call_is("ftruncate %lld", (long long)size);
        BOTH(ftruncate(handle->fds[side], size));
    } break;
    case 9:
    case 10:
    case 11:
        do_fallocate(handle);
        break;
    case 12:
    case 13:
    case 14:
        do_copy(handle);
        break;
    case 15:
        do_seek(handle);
        break;
    case 16:
        do_flags(handle);
        break;
    case 17:
        do_limited_write(handle);
        break;
    default:
        do_sync(handle);
    }
    watch_end(&watch);
    BOTH(fstat(handle->fds[side], &st[side]));
    compare_stat("the open file", st);
    maps_agree(st[1].st_ino);
}
