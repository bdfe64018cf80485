/*
 * prog_conform_io - read, write, lseek, O_APPEND, O_DIRECT, holes, fallocate, copy_file_range.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include "prog_conform.h"

#define KEEP FALLOC_FL_KEEP_SIZE

/* Where zeros end, from `from` on. */
static off_t
zeros_until(int fd, off_t from, off_t to)
{
    char byte;

    while (from < to && pread(fd, &byte, 1, from) == 1 && byte == 0)
        from++;
    return from;
}

static void
offsets(void)
{
    char text[32] = {0};
    int fd;

    group("io: offsets");
    make("f", 0644, "0123456789");
    OK(fd = open("f", O_RDWR));
    IS(3, read(fd, text, 3));
    IS(3, lseek(fd, 0, SEEK_CUR));
    IS(2, pread(fd, text, 2, 8));
    IS(3, lseek(fd, 0, SEEK_CUR));
    IS(0, memcmp(text, "89", 2));
    IS(2, pread(fd, text, 10, 8));
    IS(0, pread(fd, text, 10, 10));
    IS(0, pread(fd, text, 10, 1000000));
    FAILS(EINVAL, pread(fd, text, 10, -1));
    FAILS(EINVAL, pwrite(fd, text, 10, -1));
    FAILS(EFAULT, read(fd, nowhere(), 3));
    FAILS(EFAULT, write(fd, nowhere(), 3));
    IS(0, read(fd, text, 0));
    IS(10, lseek(fd, 0, SEEK_END));
    IS(0, read(fd, text, 10));
    IS(8, lseek(fd, -2, SEEK_CUR));
    FAILS(EINVAL, lseek(fd, -9, SEEK_CUR));
    FAILS(EINVAL, lseek(fd, -1, SEEK_SET));
    FAILS(EINVAL, lseek(fd, 0, 99));
    FAILS(EINVAL, lseek(fd, INT64_MAX, SEEK_SET));
    FAILS(EINVAL, lseek(fd, INT64_MAX, SEEK_CUR));
    FAILS(EBADF, lseek(-1, 0, SEEK_SET));
    IS(20, lseek(fd, 20, SEEK_SET));
    IS(10, size_of("f"));
    IS(0, read(fd, text, 10));
    IS(1, write(fd, "x", 1));
    IS(21, size_of("f"));
    IS(20, zeros_until(fd, 10, 21));
    struct iovec parts[3] = {{text, 2}, {text + 10, 3}, {text + 20, 1}};

    IS(6, preadv(fd, parts, 3, 2));
    IS(0, memcmp(text, "23", 2));
    IS(0, memcmp(text + 10, "456", 3));
    IS(6, pwritev(fd, parts, 3, 0));
    IS(0, memcmp(contents_of("f"), "234567", 6));
    IS(0, preadv(fd, parts, 0, 0));
    OK(close(fd));
    FAILS(EBADF, read(fd, text, 1));
    FAILS(EBADF, write(fd, text, 1));
    /* Descriptors of one opening share the offset; of two do not. */
    OK(fd = open("f", O_RDONLY));
    int twin = dup(fd), other = open("f", O_RDONLY);

    IS(2, read(fd, text, 2));
    IS(2, lseek(twin, 0, SEEK_CUR));
    IS(0, lseek(other, 0, SEEK_CUR));
    IS(0, ELSEWHERE(lseek(fd, 7, SEEK_SET) == 7 ? 0 : -1));
    IS(7, lseek(twin, 0, SEEK_CUR));
    close(fd), close(twin), close(other);
}

static void
appends(void)
{
    char text[16] = {0};
    int a, b;

    group("io: O_APPEND");
    make("f", 0644, "start");
    OK(a = open("f", O_RDWR | O_APPEND));
    OK(b = open("f", O_RDWR | O_APPEND));
    IS(0, lseek(a, 0, SEEK_CUR));
    IS(1, write(a, "1", 1));
    IS(1, write(b, "2", 1));
    IS(1, write(a, "3", 1));
    TEXT("start123", contents_of("f"));
    IS(8, lseek(a, 0, SEEK_CUR));
    IS(0, lseek(a, 0, SEEK_SET));
    IS(1, write(a, "4", 1));
    IS(9, lseek(a, 0, SEEK_CUR));
    /* Linux appends with pwrite too. */
    IS(1, pwrite(a, "5", 1, 0));
    TEXT("start12345", contents_of("f"));
    IS(9, lseek(a, 0, SEEK_CUR));
    IS(2, pread(a, text, 2, 0));
    TEXT("st", text);
    OK(ftruncate(a, 2));
    IS(1, write(b, "6", 1));
    TEXT("st6", contents_of("f"));
    close(a), close(b);
    /* Processes append whole records. */
    make("g", 0644, "");
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            char record[101];
            int fd = open("g", O_WRONLY | O_APPEND);

            memset(record, 'a' + i, 100);
            record[100] = '\n';
            for (int j = 0; j < 200; j++)
                if (write(fd, record, 101) != 101)
                    _exit(1);
            _exit(0);
        }
    for (int i = 0; i < 4; i++) {
        int status = -1;

        wait(&status);
        IS(0, status);
    }
    IS(4 * 200 * 101, size_of("g"));
    IS(0, system("test $(grep -cE '^(a{100}|b{100}|c{100}|d{100})$' g) = 800"));
}

static void
direct(void)
{
    static char block[3 * 65536] __attribute__((aligned(65536)));
    static char back[3 * 65536] __attribute__((aligned(65536)));
    int fd, plain;

    group("io: O_DIRECT");
    memset(block, 'd', sizeof(block));
    OK(fd = open("f", O_RDWR | O_CREAT | O_DIRECT, 0644));
    OK(plain = open("f", O_RDWR));
    IS(4096, write(fd, block, 4096));
    IS(4096, pread(plain, back, 8192, 0));
    IS(0, memcmp(block, back, 4096));
    IS(2, pwrite(plain, "PP", 2, 100));
    IS(4096, pread(fd, back, 4096, 0));
    IS('P', back[100]);
    IS(8192, pwrite(fd, block, 8192, 4096));
    IS(8192, pread(plain, back, 8192, 4096));
    IS(0, memcmp(block, back, 8192));
    IS(12288, size_of("f"));
    IS(4096, pread(fd, back, 8192, 8192));
    IS(0, pread(fd, back, 4096, 12288));
    IS(sizeof(block), pwrite(fd, block, sizeof(block), 1 << 20));
    IS(sizeof(block), pread(fd, back, sizeof(block), 1 << 20));
    IS(0, memcmp(block, back, sizeof(block)));
    IS(4096, pread(fd, back, 4096, 65536));
    IS(4096, zeros_until(plain, 65536, 65536 + 4096) - 65536);
    OK(ftruncate(fd, 5000));
    IS(904, pread(fd, back, 4096, 4096));
    close(fd), close(plain);
    OK(fd = open("f", O_RDWR | O_DIRECT | O_APPEND | O_TRUNC));
    IS(4096, write(fd, block, 4096));
    IS(4096, write(fd, block, 4096));
    IS(8192, size_of("f"));
    OK(close(fd));
}

static void
synced(void)
{
    int fd;

    group("io: fsync and the like");
    OK(fd = open("f", O_RDWR | O_CREAT | O_SYNC, 0644));
    IS(5, write(fd, "hello", 5));
    OK(fsync(fd));
    OK(fdatasync(fd));
    OK(sync_file_range(fd, 0, 5, SYNC_FILE_RANGE_WRITE));
    OK(syncfs(fd));
    OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    OK(readahead(fd, 0, 5));
    OK(close(fd));
    FAILS(EBADF, fsync(fd));
    FAILS(EBADF, fdatasync(-1));
    OK(fd = open("f", O_RDONLY));
    OK(fsync(fd));
    struct iovec part = {(char[]){"x"}, 1};

    FAILS(EBADF, pwritev2(fd, &part, 1, 0, RWF_DSYNC));
    OK(close(fd));
    OK(fd = open("f", O_RDWR));
    IS(1, pwritev2(fd, &part, 1, 0, RWF_DSYNC));
    IS(1, pwritev2(fd, &part, 1, 0, RWF_APPEND));
    TEXT("xellox", contents_of("f"));
    FAILS(EOPNOTSUPP, pwritev2(fd, &part, 1, 0, 0x4000));
    OK(close(fd));
    int bytes = -1;

    OK(fd = open("f", O_RDONLY));
    IS(2, lseek(fd, 2, SEEK_SET));
    OK(ioctl(fd, FIONREAD, &bytes));
    IS(4, bytes);
    FAILS(ENOTTY, ioctl(fd, TIOCGWINSZ, &bytes));
    OK(close(fd));
}

static void
holes(void)
{
    char text[16];
    int fd;

    group("io: holes");
    OK(fd = open("f", O_RDWR | O_CREAT, 0644));
    IS(5, pwrite(fd, "hello", 5, 10 << 20));
    IS((10 << 20) + 5, size_of("f"));
    TRUE(lstat_of("f").st_blocks * 512 < 1 << 20);
    IS(5, pread(fd, text, 5, 5 << 20));
    IS(0, memcmp(text, "\0\0\0\0\0", 5));
    IS(10 << 20, lseek(fd, 0, SEEK_DATA));
    IS(0, lseek(fd, 0, SEEK_HOLE));
    IS(77, lseek(fd, 77, SEEK_HOLE));
    IS((10 << 20) + 5, lseek(fd, 10 << 20, SEEK_HOLE));
    IS((10 << 20) + 2, lseek(fd, (10 << 20) + 2, SEEK_DATA));
    FAILS(ENXIO, lseek(fd, (10 << 20) + 5, SEEK_DATA));
    FAILS(ENXIO, lseek(fd, (10 << 20) + 5, SEEK_HOLE));
    FAILS(ENXIO, lseek(fd, -1, SEEK_DATA));
    FAILS(ENXIO, lseek(fd, -1, SEEK_HOLE));
    OK(ftruncate(fd, 20 << 20));
    FAILS(ENXIO, lseek(fd, 15 << 20, SEEK_DATA));
    IS(15 << 20, lseek(fd, 15 << 20, SEEK_HOLE));
    IS(15 << 20, lseek(fd, 0, SEEK_CUR));
    OK(close(fd));
    OK(fd = open("empty", O_RDWR | O_CREAT, 0644));
    FAILS(ENXIO, lseek(fd, 0, SEEK_DATA));
    FAILS(ENXIO, lseek(fd, 0, SEEK_HOLE));
    IS(5, write(fd, "hello", 5));
    IS(0, lseek(fd, 0, SEEK_DATA));
    IS(5, lseek(fd, 0, SEEK_HOLE));
    OK(close(fd));
    OK(fd = open(".", O_RDONLY));
    OK(close(fd));
    OK(fd = open("tera", O_RDWR | O_CREAT, 0644));
    IS(3, pwrite(fd, "end", 3, 3LL << 40));
    IS((3LL << 40) + 3, size_of("tera"));
    IS(3, pread(fd, text, 8, 3LL << 40));
    IS(3LL << 40, lseek(fd, 0, SEEK_DATA));
    IS(3, pwrite(fd, "mid", 3, 1LL << 40));
    IS(1LL << 40, lseek(fd, 4096, SEEK_DATA));
    OK(close(fd));
}

/* Bug: a hole was what a whole 128 KiB had never been written of, and nothing less. */
static void
small_holes(void)
{
    static char data[57344];
    int fd;

    group("io: holes of a few blocks");
    memset(data, 'd', sizeof(data));
    OK(fd = open("f", O_RDWR | O_CREAT, 0644));
    OK(ftruncate(fd, 4 << 20));
    IS(4096, pwrite(fd, data, 4096, 0));
    IS(4096, lseek(fd, 0, SEEK_HOLE));
    IS(4096, lseek(fd, 1, SEEK_HOLE));
    IS(5000, lseek(fd, 5000, SEEK_HOLE));
    FAILS(ENXIO, lseek(fd, 4096, SEEK_DATA));
    IS(1, pwrite(fd, "x", 1, 100000));
    IS(98304, lseek(fd, 4096, SEEK_DATA));
    IS(99000, lseek(fd, 99000, SEEK_DATA));
    IS(102400, lseek(fd, 98304, SEEK_HOLE));
    IS(sizeof(data), pwrite(fd, data, sizeof(data), 3 * sizeof(data)));
    IS(3 * sizeof(data), lseek(fd, 102400, SEEK_DATA));
    IS(4 * sizeof(data), lseek(fd, 3 * sizeof(data), SEEK_HOLE));
    OK(close(fd));
    OK(fd = open("dense", O_RDWR | O_CREAT, 0644));
    for (off_t at = 0; at < 20; at++)
        IS(sizeof(data), pwrite(fd, data, sizeof(data), at * (off_t)sizeof(data)));
    IS(20 * sizeof(data), lseek(fd, 0, SEEK_HOLE));
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 401408, 8192));
    IS(401408, lseek(fd, 0, SEEK_HOLE));
    IS(409600, lseek(fd, 401408, SEEK_DATA));
    /* Zeros that were written are data. */
    OK(ftruncate(fd, 0));
    memset(data, 0, sizeof(data));
    for (off_t at = 0; at < 20; at++)
        IS(sizeof(data), pwrite(fd, data, sizeof(data), at * (off_t)sizeof(data)));
    IS(0, lseek(fd, 0, SEEK_DATA));
    IS(20 * sizeof(data), lseek(fd, 0, SEEK_HOLE));
    OK(close(fd));
}

/* A megabyte of data at `fd`, afresh. */
static void
fill(int fd)
{
    static char data[1 << 20];

    memset(data, 'd', sizeof(data));
    MUST(ftruncate(fd, 0));
    if (pwrite(fd, data, sizeof(data), 0) != sizeof(data))
        broken("pwrite", __FILE__, __LINE__);
}

static void
allocation(void)
{
    char byte;
    int fd, reader, directory;

    group("io: fallocate");
    OK(fd = open("f", O_RDWR | O_CREAT, 0644));
    OK(reader = open("f", O_RDONLY));
    OK(directory = open(".", O_RDONLY));
    FAILS(EINVAL, fallocate(fd, 0, -1, 10));
    FAILS(EINVAL, fallocate(fd, 0, 0, 0));
    FAILS(EINVAL, fallocate(fd, 0, 0, -1));
    FAILS(EFBIG, fallocate(fd, 0, INT64_MAX - 5, 10));
    FAILS(EBADF, fallocate(reader, 0, 0, 10));
    FAILS(EBADF, fallocate(-1, 0, 0, 10));
    FAILS(EBADF, fallocate(directory, 0, 0, 10));
    FAILS(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
    FAILS(EOPNOTSUPP, fallocate(fd, 0x1000, 0, 10));
    IS(0, size_of("f"));
    OK(fallocate(fd, 0, 0, 10000));
    IS(10000, size_of("f"));
    IS(10000, zeros_until(fd, 0, 10000));
    OK(fallocate(fd, 0, 5000, 2000));
    IS(10000, size_of("f"));
    OK(fallocate(fd, KEEP, 0, 50000));
    IS(10000, size_of("f"));
    OK(fallocate(fd, 0, 20000, 1));
    IS(20001, size_of("f"));
    IS(0, posix_fallocate(fd, 0, 30000));
    IS(30000, size_of("f"));
    fill(fd);
    OK(fallocate(fd, 0, 1000, 1000));
    IS(1, pread(fd, &byte, 1, 1500));
    IS('d', byte);

    fill(fd);
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | KEEP, 262144, 262144));
    IS(1 << 20, size_of("f"));
    IS(524288, zeros_until(fd, 262144, 1 << 20));
    IS(1, pread(fd, &byte, 1, 262143));
    IS('d', byte);
    IS(262144, lseek(fd, 0, SEEK_HOLE));
    IS(524288, lseek(fd, 262144, SEEK_DATA));
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | KEEP, 1000, 1000));
    IS(2000, zeros_until(fd, 1000, 3000));
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | KEEP, 1 << 20, 1 << 20));
    IS(1 << 20, size_of("f"));
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | KEEP, 0, 4 << 20));
    IS(1 << 20, size_of("f"));
    FAILS(ENXIO, lseek(fd, 0, SEEK_DATA));
    TRUE(lstat_of("f").st_blocks * 512 < 65536);

    fill(fd);
    OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000, 100000));
    IS(101000, zeros_until(fd, 1000, 102000));
    IS(1 << 20, size_of("f"));
    OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | KEEP, 1000000, 100000));
    IS(1 << 20, size_of("f"));
    IS(1 << 20, zeros_until(fd, 1000000, 1 << 20));
    OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000000, 100000));
    IS(1100000, size_of("f"));
    IS(1100000, zeros_until(fd, 1000000, 1100000));
    OK(ftruncate(fd, 10));
    OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 2, 3));
    IS(0, memcmp("dd\0\0\0ddddd", contents_of("f"), 10));
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | KEEP, 5, 2));
    IS(0, memcmp("dd\0\0\0\0\0ddd", contents_of("f"), 10));

    /* Collapse and insert: done rightly, or not at all. */
    fill(fd);
    if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 131072) == 0)
        IS((1 << 20) - 131072, size_of("f"));
    else
        TRUE(errno == EOPNOTSUPP);
    fill(fd);
    if (fallocate(fd, FALLOC_FL_INSERT_RANGE, 131072, 131072) == 0)
        IS((1 << 20) + 131072, size_of("f"));
    else
        TRUE(errno == EOPNOTSUPP);
    close(fd), close(reader);
    MUST(mkfifo("p", 0600));
    OK(fd = open("p", O_RDWR));
    FAILS(ESPIPE, fallocate(fd, 0, 0, 10));
    OK(close(fd));
}

static void
copies(void)
{
    int from, to, reader, appender, directory;
    loff_t in, out;

    group("io: copy_file_range and sendfile");
    OK(from = open("from", O_RDWR | O_CREAT, 0644));
    OK(to = open("to", O_RDWR | O_CREAT, 0644));
    OK(reader = open("to", O_RDONLY));
    OK(appender = open("to", O_WRONLY | O_APPEND));
    OK(directory = open(".", O_RDONLY));
    fill(from);
    IS(1, pwrite(from, "B", 1, 300000));
    in = 0, out = 0;
    IS(1 << 20, copy_file_range(from, &in, to, &out, 1 << 20, 0));
    IS(1 << 20, in);
    IS(1 << 20, out);
    IS(0, lseek(from, 0, SEEK_CUR));
    IS(0, system("cmp from to"));
    in = 5, out = 1000;
    IS(300000, copy_file_range(from, &in, to, &out, 300000, 0));
    IS(0, system("cmp -n 300000 -i 5:1000 from to"));
    IS(0, system("cmp -n 1000 from to"));
    in = 1 << 20;
    IS(0, copy_file_range(from, &in, to, NULL, 100, 0));
    in = 2 << 20;
    IS(0, copy_file_range(from, &in, to, NULL, 100, 0));
    in = (1 << 20) - 10;
    IS(10, copy_file_range(from, &in, to, NULL, 100, 0));
    IS(10, lseek(to, 0, SEEK_CUR));
    IS(0, copy_file_range(from, NULL, to, NULL, 0, 0));
    in = 0, out = 10;
    FAILS(EINVAL, copy_file_range(from, &in, from, &out, 100, 0));
    out = 500000;
    IS(1000, copy_file_range(from, &in, from, &out, 1000, 0));
    FAILS(EINVAL, copy_file_range(from, NULL, to, NULL, 10, 1));
    FAILS(EBADF, copy_file_range(from, NULL, reader, NULL, 10, 0));
    FAILS(EBADF, copy_file_range(from, NULL, appender, NULL, 10, 0));
    FAILS(EISDIR, copy_file_range(directory, NULL, to, NULL, 10, 0));
    FAILS(EBADF, copy_file_range(-1, NULL, to, NULL, 10, 0));
    in = -1;
    FAILS(EOVERFLOW, copy_file_range(from, &in, to, NULL, 10, 0));
    /* Onto another's file: set-id bits and holes are no matter of the source. */
    OK(ftruncate(to, 0));
    OK(ftruncate(from, 0));
    IS(1, pwrite(from, "x", 1, 500000));
    in = 0, out = 0;
    IS(500001, copy_file_range(from, &in, to, &out, 500001, 0));
    IS(0, system("cmp from to"));
    off_t at = 499990;

    OK(lseek(to, 0, SEEK_SET));
    IS(11, sendfile(to, from, &at, 100));
    IS(500001, at);
    IS(0, system("cmp -n 11 -i 499990:0 from to"));
    close(from), close(to), close(reader), close(appender);
    /* To and from a pipe. */
    int ends[2];
    char text[16] = {0};

    MUST(pipe(ends));
    make("spliced", 0644, "");
    OK(to = open("spliced", O_RDWR));
    IS(6, write(ends[1], "splice", 6));
    IS(6, splice(ends[0], NULL, to, NULL, 100, 0));
    TEXT("splice", contents_of("spliced"));
    in = 1;
    IS(3, splice(to, &in, ends[1], NULL, 3, 0));
    IS(3, read(ends[0], text, sizeof(text)));
    TEXT("pli", text);
    close(to), close(ends[0]), close(ends[1]);
}

static void
between_descriptors(void)
{
    static char big[1 << 20];
    char text[16] = {0};
    int a, b;

    group("io: coherence between descriptors and sizes");
    OK(a = open("f", O_RDWR | O_CREAT, 0644));
    OK(b = open("f", O_RDONLY));
    for (off_t at = 1; at < 4 << 20; at = at * 3 + 1) {
        IS(3, pwrite(a, "abc", 3, at));
        IS(3, pread(b, text, 8, at));
        IS(0, memcmp(text, "abc", 3));
        IS(at + 3, size_of("f"));
        IS(2, pwrite(a, "BC", 2, at + 1));
        IS(3, pread(b, text, 8, at));
        IS(0, memcmp(text, "aBC", 3));
    }
    memset(big, 'x', sizeof(big));
    for (size_t size = 1; size <= sizeof(big); size *= 2) {
        OK(ftruncate(a, 0));
        IS(size, pwrite(a, big, size, 0));
        IS(size, pread(b, big, sizeof(big), 0));
        IS('x', big[size - 1]);
    }
    close(a), close(b);
    /* Each small write of many, and in descending order. */
    OK(a = open("g", O_RDWR | O_CREAT, 0644));
    for (int i = 199; i >= 0; i--) {
        snprintf(text, sizeof(text), "%06d", i);
        if (pwrite(a, text, 6, (off_t)i * 1000) != 6)
            broken("pwrite", __FILE__, __LINE__);
    }
    int wrong = 0;

    for (int i = 0; i < 200; i++) {
        char got[16] = {0};

        snprintf(text, sizeof(text), "%06d", i);
        wrong += pread(a, got, 6, (off_t)i * 1000) != 6 || strcmp(got, text) != 0;
    }
    IS(0, wrong);
    IS(199006, size_of("g"));
    OK(close(a));
}

static void
largest(void)
{
    loff_t in, out;
    int fd, from;

    group("io: the largest offsets");
    OK(fd = open("f", O_RDWR | O_CREAT, 0644));
    FAILS(EFBIG, pwrite(fd, "x", 1, INT64_MAX - 1));
    FAILS(EINVAL, pwrite(fd, "x", 1, INT64_MAX));
    FAILS(EFBIG, ftruncate(fd, INT64_MAX));
    FAILS(EFBIG, fallocate(fd, 0, INT64_MAX - 100, 50));
    IS(0, size_of("f"));
    /* What ext4 allows with blocks of 4 KiB: 16 TiB less one block. */
    OK(ftruncate(fd, (16LL << 40) - 4096));
    IS((16LL << 40) - 4096, size_of("f"));
    IS(1, pwrite(fd, "x", 1, (16LL << 40) - 4097));
    FAILS(EFBIG, ftruncate(fd, 16LL << 40));
    FAILS(EFBIG, ftruncate(fd, 1LL << 60));
    FAILS(EFBIG, pwrite(fd, "x", 1, 16LL << 40));
    FAILS(EFBIG, pwrite(fd, "x", 1, 1LL << 60));
    FAILS(EFBIG, fallocate(fd, 0, 16LL << 40, 4096));
    FAILS(EFBIG, fallocate(fd, FALLOC_FL_KEEP_SIZE, 1LL << 60, 4096));
    FAILS(EFBIG, truncate("f", 1LL << 60));
    /* A write is cut at the limit. */
    IS(1, pwrite(fd, "xy", 2, (16LL << 40) - 4097));
    /* Bug: a copy across it was refused. */
    make("source", 0644, "contents");
    OK(from = open("source", O_RDONLY));
    in = 0, out = (16LL << 40) - 4100;
    IS(4, copy_file_range(from, &in, fd, &out, 8, 0));
    FAILS(EFBIG, copy_file_range(from, &in, fd, &out, 4, 0));
    in = 0, out = 17LL << 40;
    FAILS(EFBIG, copy_file_range(from, &in, fd, &out, 8, 0));
    OK(close(from));
    FAILS(EINVAL, lseek(fd, 17LL << 40, SEEK_SET));
    OK(ftruncate(fd, 0));
    OK(close(fd));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    offsets();
    appends();
    direct();
    synced();
    holes();
    small_holes();
    allocation();
    copies();
    between_descriptors();
    largest();
    return conform_end();
}
