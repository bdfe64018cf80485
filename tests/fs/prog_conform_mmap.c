/*
 * prog_conform_mmap - mappings, shared and private, and their coherence with read and write.
 */
#include <setjmp.h>
#include <sys/mman.h>

#include "prog_conform.h"

#define PAGE 4096u

static char *
map(size_t size, int protection, int flags, int fd, off_t offset)
{
    char *address = mmap(NULL, size, protection, flags, fd, offset);

    return address == MAP_FAILED ? (char *)-1 : address;
}

static void
errors(void)
{
    int reader, writer, directory;

    group("mmap: errors");
    make("f", 0644, "contents");
    OK(reader = open("f", O_RDONLY));
    OK(writer = open("f", O_WRONLY));
    OK(directory = open(".", O_RDONLY));
    FAILS(EACCES, map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0));
    FAILS(EACCES, map(PAGE, PROT_READ, MAP_SHARED, writer, 0));
    FAILS(EACCES, map(PAGE, PROT_READ, MAP_PRIVATE, writer, 0));
    FAILS(ENODEV, map(PAGE, PROT_READ, MAP_SHARED, directory, 0));
    FAILS(EINVAL, map(0, PROT_READ, MAP_SHARED, reader, 0));
    FAILS(EINVAL, map(PAGE, PROT_READ, MAP_SHARED, reader, 1));
    FAILS(EINVAL, map(PAGE, PROT_READ, 0, reader, 0));
    FAILS(EBADF, map(PAGE, PROT_READ, MAP_SHARED, -1, 0));
    OK(map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0));
    OK(map(PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, reader, 0));
    OK(map(100 * PAGE, PROT_READ, MAP_SHARED, reader, 0));
    char *address = map(PAGE, PROT_READ, MAP_SHARED, reader, 0);

    FAILS(EACCES, mprotect(address, PAGE, PROT_READ | PROT_WRITE));
    close(reader), close(writer), close(directory);
}

static void
shared(void)
{
    char text[32] = {0};
    char *a, *b;
    int fd;

    group("mmap: shared");
    make("f", 0644, "contents");
    OK(truncate("f", 3 * PAGE));
    OK(fd = open("f", O_RDWR));
    OK(a = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    OK(b = map(2 * PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
    IS(0, memcmp(a, "contents", 8));
    memcpy(a, "CON", 3);
    IS(8, pread(fd, text, 8, 0));
    TEXT("CONtents", text);
    IS(4, pwrite(fd, "TENT", 4, 3));
    IS(0, memcmp(a, "CONTENTs", 8));
    memcpy(a + PAGE + 5, "second", 6);
    IS(0, memcmp(b + 5, "second", 6));
    IS(6, pwrite(fd, "SECOND", 6, PAGE + 5));
    IS(0, memcmp(b + 5, "SECOND", 6));
    OK(msync(a, 3 * PAGE, MS_SYNC));
    OK(msync(a, 3 * PAGE, MS_ASYNC));
    FAILS(EINVAL, msync(a + 1, PAGE, MS_SYNC));
    FAILS(ENOMEM, msync(a + (1LL << 40), PAGE, MS_SYNC));
    OK(close(fd));
    /* The mapping lives without the descriptor. */
    memcpy(a + 2 * PAGE, "third", 5);
    OK(munmap(a, 3 * PAGE));
    IS(0, memcmp(b + PAGE, "third", 5));
    OK(munmap(b, 2 * PAGE));
    OK(fd = open("f", O_RDONLY));
    IS(5, pread(fd, text, 5, 2 * PAGE));
    IS(0, memcmp(text, "third", 5));
    OK(close(fd));
    IS(3 * PAGE, size_of("f"));

    group("mmap: shared between processes");
    make("f", 0644, "");
    OK(truncate("f", PAGE));
    OK(fd = open("f", O_RDWR));
    OK(a = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    IS(0, ELSEWHERE((memcpy(a, "child", 5), 0)));
    IS(0, memcmp(a, "child", 5));
    IS(0, ELSEWHERE(system("printf written | dd of=f conv=notrunc status=none")));
    IS(0, memcmp(a, "written", 7));
    memcpy(a, "PARENT!", 7);
    IS(0, system("test $(head -c 7 f) = PARENT!"));
    OK(munmap(a, PAGE));
    OK(close(fd));
}

static void private(void)
{
    char text[16] = {0};
    char *a;
    int fd;

    group("mmap: private");
    make("f", 0644, "contents");
    OK(fd = open("f", O_RDWR));
    OK(a = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    memcpy(a, "CON", 3);
    IS(8, pread(fd, text, 8, 0));
    TEXT("contents", text);
    OK(msync(a, PAGE, MS_SYNC));
    OK(munmap(a, PAGE));
    TEXT("contents", contents_of("f"));
    OK(close(fd));
}

static sigjmp_buf escape;

static void
caught(int signal)
{
    (void)signal;
    siglongjmp(escape, 1);
}

/* 0 if the byte can be read, 1 if it faults. */
static int
faults(volatile char *byte)
{
    int result = 1;

    signal(SIGBUS, caught);
    if (sigsetjmp(escape, 1) == 0) {
        (void)*byte;
        result = 0;
    }
    signal(SIGBUS, SIG_DFL);
    return result;
}

static void
ends(void)
{
    char *a;
    int fd, zero;

    group("mmap: the end of the file");
    make("f", 0644, "contents");
    OK(fd = open("f", O_RDWR));
    OK(a = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    for (zero = 8; zero < (int)PAGE && a[zero] == 0; zero++)
        ;
    IS(PAGE, zero);
    IS(1, faults(a + PAGE));
    /* What is stored past the end of the file does not come to light when it grows. */
    memset(a + 8, 'x', 100);
    OK(msync(a, PAGE, MS_SYNC));
    IS(8, size_of("f"));
    OK(ftruncate(fd, 2 * PAGE));
    IS(0, faults(a + PAGE));
    IS(0, a[8]);
    IS(0, a[50]);
    IS(0, a[PAGE + 5]);
    a[PAGE + 5] = 'y';
    OK(ftruncate(fd, PAGE));
    IS(1, faults(a + PAGE + 5));
    OK(ftruncate(fd, 2 * PAGE));
    IS(0, a[PAGE + 5]);
    a[10] = 'q';
    OK(ftruncate(fd, 9));
    OK(ftruncate(fd, PAGE));
    IS(0, a[10]);
    IS(0, memcmp(a, "contents", 8));
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
    IS(0, memcmp(a, "\0\0\0\0ents", 8));
    a[0] = 'C';
    OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 6));
    IS(0, memcmp(a, "\0\0\0\0\0\0ts", 8));
    int from;

    make("from", 0644, "copied");
    OK(from = open("from", O_RDONLY));
    OK(lseek(fd, 0, SEEK_SET));
    IS(6, copy_file_range(from, NULL, fd, NULL, 6, 0));
    IS(0, memcmp(a, "copiedts", 8));
    OK(close(from));
    a[1] = 'O';
    OK(from = open("to", O_RDWR | O_CREAT, 0644));
    OK(lseek(fd, 0, SEEK_SET));
    IS(8, copy_file_range(fd, NULL, from, NULL, 8, 0));
    TEXT("cOpiedts", contents_of("to"));
    OK(close(from));
    OK(close(open("f", O_WRONLY | O_TRUNC)));
    IS(1, faults(a));
    OK(munmap(a, 4 * PAGE));
    OK(close(fd));
}

static void
with_others(void)
{
    static char block[PAGE] __attribute__((aligned(4096)));
    char *a;
    int fd, direct;

    group("mmap: with O_DIRECT, append, unlink and rename");
    make("f", 0644, "");
    OK(truncate("f", 4 * PAGE));
    OK(fd = open("f", O_RDWR));
    OK(direct = open("f", O_RDWR | O_DIRECT));
    OK(a = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    a[0] = 'm';
    IS(PAGE, pread(direct, block, PAGE, 0));
    IS('m', block[0]);
    memset(block, 'd', PAGE);
    IS(PAGE, pwrite(direct, block, PAGE, 0));
    IS('d', a[0]);
    IS('d', a[PAGE - 1]);
    OK(close(direct));
    OK(rename("f", "g"));
    a[1] = 'r';
    OK(msync(a, PAGE, MS_SYNC));
    IS(0, system("test $(head -c 2 g) = dr"));
    OK(link("g", "h"));
    a[1] = 's';
    IS(0, system("test $(head -c 2 h) = ds"));
    OK(unlink("g"));
    OK(unlink("h"));
    a[2] = 'u';
    OK(msync(a, PAGE, MS_SYNC));
    char text[4] = {0};

    IS(3, pread(fd, text, 3, 0));
    TEXT("dsu", text);
    OK(close(fd));
    IS('u', a[2]);
    OK(munmap(a, 4 * PAGE));

    group("mmap: a sparse file");
    OK(fd = open("s", O_RDWR | O_CREAT, 0644));
    OK(ftruncate(fd, 64 << 20));
    OK(a = map(64 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    IS(0, a[5 << 20]);
    for (size_t at = 0; at < 64 << 20; at += 7 << 20)
        a[at + at / 1000] = 'z';
    OK(munmap(a, 64 << 20));
    OK(fsync(fd));
    int wrong = 0;

    for (size_t at = 0; at < 64 << 20; at += 7 << 20)
        wrong += pread(fd, text, 1, (off_t)(at + at / 1000)) != 1 || text[0] != 'z';
    IS(0, wrong);
    TRUE(lstat_of("s").st_blocks * 512 < 8 << 20);
    OK(close(fd));
}

/* The kernel asks for data and holes without writing what mappings have stored: a sparse copy
 * lost it. */
/* A mapping beside the descriptor that created the file and only writes. */
static void
with_writer(void)
{
    char text[16] = {0};
    int writer, fd;
    char *a;

    group("mmap: with a descriptor that only writes");
    OK(writer = open("f", O_WRONLY | O_CREAT | O_EXCL, 0644));
    IS(8, write(writer, "contents", 8));
    OK(fd = open("f", O_RDWR));
    OK(a = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    IS(0, memcmp(a, "contents", 8));
    a[0] = 'C';
    IS(4, pwrite(writer, "TENT", 4, 3));
    IS(0, memcmp(a, "ConTENTs", 8));
    a[1] = 'O';
    IS(8, pread(fd, text, sizeof(text), 0));
    TEXT("COnTENTs", text);
    IS(5, write(writer, " more", 5));
    IS(0, memcmp(a, "COnTENTs more", 13));
    a[12] = 'E';
    OK(ftruncate(writer, 3));
    IS(0, a[12]);
    OK(msync(a, PAGE, MS_SYNC));
    TEXT("COn", contents_of("f"));
    OK(close(writer));
    OK(writer = open("f", O_WRONLY | O_TRUNC));
    IS(3, write(writer, "new", 3));
    IS(0, memcmp(a, "new", 4));
    OK(munmap(a, PAGE));
    OK(close(fd));
    OK(close(writer));
}

static void
holes(void)
{
    static const off_t stored[] = {299008, 299008 + PAGE, 5 << 20, 33 << 20};
    static const size_t size = 64 << 20;
    char *a;
    int fd, other;

    group("mmap: holes are found as they were stored into");
    OK(fd = open("h", O_RDWR | O_CREAT, 0644));
    OK(other = open("h", O_RDONLY));
    OK(ftruncate(fd, (off_t)size));
    OK(a = map(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    FAILS(ENXIO, lseek(other, 0, SEEK_DATA));
    for (size_t i = 0; i < sizeof(stored) / sizeof(stored[0]); i++)
        a[stored[i] + 17] = 'x';
    IS(stored[0], lseek(other, 0, SEEK_DATA));
    IS(stored[0] + 1, lseek(other, stored[0] + 1, SEEK_DATA));
    IS(stored[2], lseek(fd, stored[1] + PAGE, SEEK_DATA));
    IS(stored[3], lseek(fd, stored[2] + PAGE, SEEK_DATA));
    FAILS(ENXIO, lseek(other, stored[3] + PAGE, SEEK_DATA));
    IS(stored[1] + PAGE, lseek(other, stored[0], SEEK_HOLE));
    a[stored[1] + PAGE] = 'y';
    a[stored[1] + 2 * PAGE] = 'z';
    IS(stored[1] + 3 * PAGE, lseek(other, stored[0], SEEK_HOLE));
    a[stored[2] + PAGE] = 'y';
    IS(stored[2] + 2 * PAGE, lseek(fd, stored[2], SEEK_HOLE));
    IS(0, lseek(fd, 0, SEEK_HOLE));
    a[0] = 'b';
    IS(0, lseek(fd, 0, SEEK_DATA));
    IS(PAGE, lseek(fd, 0, SEEK_HOLE));
    a[size - 1] = 'e';
    IS(size - PAGE, lseek(fd, stored[3] + PAGE, SEEK_DATA));
    IS(size, lseek(fd, (off_t)(size - 1), SEEK_HOLE));
    FAILS(ENXIO, lseek(fd, (off_t)size, SEEK_HOLE));
    OK(close(fd)); /* the mapping lasts */
    a[9 << 20] = 'm';
    IS(9 << 20, lseek(other, 6 << 20, SEEK_DATA));
    IS('m', a[9 << 20]);
    IS('y', a[stored[1] + PAGE]);
    OK(munmap(a, size));
    IS(9 << 20, lseek(other, 6 << 20, SEEK_DATA));
    OK(close(other));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    shared();
    private();
    ends();
    with_others();
    with_writer();
    holes();
    return conform_end();
}
