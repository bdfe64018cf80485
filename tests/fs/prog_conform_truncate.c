/*
 * prog_conform_truncate - truncate and ftruncate.
 */
#include <sys/resource.h>

#include "prog_conform.h"

static void
errors(void)
{
    int fd;

    group("truncate: errors");
    make_kinds();
    FAILS(ENOENT, truncate("missing", 0));
    FAILS(ENOENT, truncate("missing/x", 0));
    FAILS(ENOENT, truncate("", 0));
    FAILS(ENOENT, truncate("gone", 0));
    FAILS(ENOTDIR, truncate("file/x", 0));
    FAILS(ENOTDIR, truncate("file/", 0));
    FAILS(EISDIR, truncate("dir", 0));
    FAILS(EISDIR, truncate(".", 0));
    FAILS(EINVAL, truncate("fifo", 0));
    FAILS(EINVAL, truncate("sock", 0));
    FAILS(EINVAL, truncate("chr", 0));
    FAILS(EINVAL, truncate("blk", 0));
    FAILS(EINVAL, truncate("file", -1));
    FAILS(EINVAL, truncate("file", INT64_MIN));
    FAILS(EINVAL, truncate("missing", -1));
    FAILS(EFAULT, truncate(nowhere(), 0));
    FAILS(ENAMETOOLONG, truncate(name_of_length(256), 0));
    FAILS(ENAMETOOLONG, truncate(path_of_length(4096, "file"), 0));
    FAILS(EBADF, ftruncate(-1, 0));
    OK(fd = open("file", O_RDONLY));
    FAILS(EINVAL, ftruncate(fd, 0));
    OK(close(fd));
    OK(fd = open("file", O_WRONLY));
    FAILS(EINVAL, ftruncate(fd, -1));
    OK(close(fd));
    FAILS(EFBIG, truncate("file", INT64_MAX));
    FAILS_MARKING_NOTHING(EINVAL, "file", truncate("file", -1));
    make_dir("hidden", 0666);
    make("hidden/f", 0666, "");
    be(&alice);
    FAILS_MARKING_NOTHING(EACCES, "file", truncate("file", 0));
    FAILS(EACCES, truncate("file", 8));
    FAILS(EACCES, truncate("hidden/f", 0));
    FAILS(EISDIR, truncate("dir", 0));
    make("readonly", 0444, "r");
    FAILS(EACCES, truncate("readonly", 0));
    OK(fd = open("new", O_RDWR | O_CREAT, 0));
    OK(ftruncate(fd, 10));
    FAILS(EACCES, truncate("new", 5));
    IS(10, size_of("new"));
    TEXT("contents", contents_of("file"));
}

/* Shrinks and grows a file of `size` bytes; what comes back must be zeros. */
static void
shrink_and_grow(off_t size)
{
    static char data[1000001], back[1000001];
    const off_t cuts[] = {size - 1, size / 2, size / 3 + 1, 100, 1, 0};
    int fd;

    memset(data, 'd', (size_t)size);
    MUST(fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
    for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
        off_t cut = cuts[i] < size ? cuts[i] : size;

        IS(size, pwrite(fd, data, (size_t)size, 0));
        OK(ftruncate(fd, cut));
        IS(cut, size_of("f"));
        IS(cut, pread(fd, back, (size_t)size, 0));
        IS(0, memcmp(back, data, (size_t)cut));
        OK(truncate("f", size));
        IS(size, size_of("f"));
        IS(size, pread(fd, back, (size_t)size, 0));
        IS(0, memcmp(back, data, (size_t)cut));
        off_t zeros = cut;

        while (zeros < size && back[zeros] == 0)
            zeros++;
        IS(size, zeros);
    }
    MUST(close(fd));
    MUST(unlink("f"));
}

static void
effects(void)
{
    int fd;

    group("truncate: what it does");
    shrink_and_grow(3);
    shrink_and_grow(4096);
    shrink_and_grow(4097);
    shrink_and_grow(131072);
    shrink_and_grow(131073);
    shrink_and_grow(1000000);
    make("f", 0644, "contents");
    OK(truncate("f", 1LL << 40));
    IS(1LL << 40, size_of("f"));
    TRUE(lstat_of("f").st_blocks < 1000);
    OK(truncate("f", 4));
    TEXT("cont", contents_of("f"));
    OK(fd = open("f", O_RDWR));
    IS(3, lseek(fd, 3, SEEK_SET));
    OK(ftruncate(fd, 1));
    IS(3, lseek(fd, 0, SEEK_CUR));
    IS(1, write(fd, "z", 1));
    IS(4, size_of("f"));
    IS(0, memcmp("c\0\0z", contents_of("f"), 4));
    OK(close(fd));
    /* Past what an ordinary limit allows. */
    struct rlimit limit = {1000, RLIM_INFINITY};

    MUST(setrlimit(RLIMIT_FSIZE, &limit));
    FAILS(EFBIG, truncate("f", 1001));
    OK(truncate("f", 1000));
    OK(fd = open("f", O_RDWR));
    FAILS(EFBIG, ftruncate(fd, 2000));
    FAILS(EFBIG, pwrite(fd, "x", 1, 1000));
    IS(1, pwrite(fd, "xy", 2, 999));
    IS(1000, size_of("f"));
    OK(close(fd));
    limit.rlim_cur = RLIM_INFINITY;
    MUST(setrlimit(RLIMIT_FSIZE, &limit));
    OK(truncate("f", 2000));
}

static void
times(void)
{
    group("truncate: times and modes");
    make("f", 0644, "contents");
    MARKS("mc", "f", truncate("f", 0));
    MARKS("mc", "f", truncate("f", 0));
    MARKS("mc", "f", truncate("f", 100000));
    MARKS("mc", "f", truncate("f", 100000));
    MARKS("", ".", truncate("f", 1));
    be(&alice);
    make("g", 0644, "contents");
    MARKS("mc", "g", truncate("g", 3));
    IS(0644, mode_of("g"));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    effects();
    times();
    return conform_end();
}
