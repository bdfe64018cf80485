/*
 * prog_conform_times - utimensat and futimens, and which operation marks which time.
 */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "prog_conform.h"

#define NOW  ((struct timespec){0, UTIME_NOW})
#define OMIT ((struct timespec){0, UTIME_OMIT})

/* utimensat on a path, with times given one by one. */
static int
set(const char *path, struct timespec atime, struct timespec mtime)
{
    return utimensat(AT_FDCWD, path, (struct timespec[]){atime, mtime}, 0);
}

static int
set_link(const char *path, struct timespec atime, struct timespec mtime)
{
    return utimensat(AT_FDCWD, path, (struct timespec[]){atime, mtime},
                     AT_SYMLINK_NOFOLLOW);
}

#define AT(s, n) ((struct timespec){s, n})

static void
errors(void)
{
    int fd;

    group("utimensat: errors");
    make_kinds();
    FAILS(ENOENT, set("missing", NOW, NOW));
    FAILS(ENOENT, set("missing/x", NOW, NOW));
    FAILS(ENOENT, set("", NOW, NOW));
    FAILS(ENOENT, set("gone", NOW, NOW));
    FAILS(ENOTDIR, set("file/x", NOW, NOW));
    FAILS(ENOTDIR, set("file/", NOW, NOW));
    FAILS(EINVAL, set("file", AT(0, 1000000000), NOW));
    FAILS(EINVAL, set("file", NOW, AT(0, 1000000000)));
    FAILS(EINVAL, set("file", NOW, AT(0, -1)));
    FAILS(EINVAL, utimensat(AT_FDCWD, "file", NULL, 0x8000));
    FAILS(EBADF, utimensat(-1, "file", NULL, 0));
    FAILS(EBADF, futimens(-1, NULL));
    FAILS(ENAMETOOLONG, set(name_of_length(256), NOW, NOW));
    make_dir("hidden", 0666);
    make("hidden/f", 0644, "");
    make("writable", 0666, "");
    be(&alice);
    FAILS(EACCES, set("hidden/f", NOW, NOW));
    FAILS_MARKING_NOTHING(EACCES, "file", set("file", NOW, NOW));
    FAILS(EACCES, utimensat(AT_FDCWD, "file", NULL, 0));
    FAILS(EPERM, set("file", AT(1, 1), AT(1, 1)));
    FAILS(EPERM, set("file", NOW, OMIT));
    FAILS(EPERM, set("file", OMIT, NOW));
    FAILS(EPERM, set("file", AT(1, 1), OMIT));
    OK(set("file", OMIT, OMIT));
    OK(set("writable", NOW, NOW));
    OK(utimensat(AT_FDCWD, "writable", NULL, 0));
    FAILS(EPERM, set("writable", AT(1, 1), AT(1, 1)));
    FAILS(EPERM, set("writable", NOW, OMIT));
    FAILS(EPERM, set("writable", OMIT, AT(1, 1)));
    OK(fd = open("writable", O_WRONLY));
    OK(futimens(fd, NULL));
    FAILS(EPERM, futimens(fd, (struct timespec[]){{1, 1}, {1, 1}}));
    make("mine", 0400, "");
    OK(set("mine", NOW, NOW));
    OK(set("mine", AT(5, 6), AT(7, 8)));
    OK(set("mine", OMIT, NOW));
}

static void
values(void)
{
    static const struct timespec times[] = {
        {0, 0},
        {1, 1},
        {-1, 0},
        {-1, 999999999},
        {-2147483648, 0},
        {-1000000, 123456789},
        {2147483647, 999999999},
        {2147483648, 1},
        {4294967295, 5},
        {4294967296, 6},
        {1234567890, 987654321},
        {15032385535, 0},
    };
    static const char *const kinds[] = {"file", "dir", "fifo", "sock", "chr", "link"};
    struct stat st, was;
    int fd;

    group("utimensat: values");
    make_kinds();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        for (size_t j = 0; j < sizeof(times) / sizeof(*times); j++) {
            struct timespec other = times[(j + 5) % (sizeof(times) / sizeof(*times))];

            OK(set_link(kinds[i], times[j], other));
            st = lstat_of(kinds[i]);
            IS(times[j].tv_sec, st.st_atim.tv_sec);
            IS(times[j].tv_nsec, st.st_atim.tv_nsec);
            IS(other.tv_sec, st.st_mtim.tv_sec);
            IS(other.tv_nsec, st.st_mtim.tv_nsec);
        }
    OK(set("file", AT(100, 1), AT(200, 2)));
    OK(set("file", OMIT, AT(300, 3)));
    IS(100, lstat_of("file").st_atim.tv_sec);
    IS(300, lstat_of("file").st_mtim.tv_sec);
    OK(set("file", AT(400, 4), OMIT));
    IS(400, lstat_of("file").st_atim.tv_sec);
    IS(3, lstat_of("file").st_mtim.tv_nsec);
    OK(set("file", NOW, OMIT));
    IS(300, lstat_of("file").st_mtim.tv_sec);
    TRUE(lstat_of("file").st_atim.tv_sec > 1000000000);
    OK(set("file", AT(400, 4), NOW));
    TRUE(lstat_of("file").st_mtim.tv_sec > 1000000000);
    MARKS("c", "file", set("file", AT(400, 4), OMIT));
    MARKS("", "file", set("file", OMIT, OMIT));
    MARKS("amc", "file", set("file", NOW, NOW));
    MARKS("amc", "file", utimensat(AT_FDCWD, "file", NULL, 0));
    MARKS("ac", "file", set("file", NOW, OMIT));
    MARKS("mc", "file", set("file", OMIT, NOW));
    MARKS("", "link", set("link", AT(1, 1), AT(2, 2)));
    IS(2, lstat_of("file").st_mtim.tv_sec);
    MARKS("", ".", set("file", NOW, NOW));
    was = lstat_of("file");
    OK(set("file", NOW, NOW));
    st = lstat_of("file");
    TRUE(later(st.st_ctim, was.st_ctim));
    IS(st.st_atim.tv_nsec, st.st_mtim.tv_nsec);
    OK(fd = open("file", O_RDONLY));
    OK(futimens(fd, (struct timespec[]){{11, 12}, {13, 14}}));
    IS(14, lstat_of("file").st_mtim.tv_nsec);
    OK(close(fd));
    /* A time that was set stays while nothing else happens. */
    OK(fd = open("file", O_RDWR));
    OK(set("file", AT(11, 12), AT(13, 14)));
    OK(close(fd));
    IS(13, lstat_of("file").st_mtim.tv_sec);
    OK(fd = open("file", O_RDWR));
    IS(1, write(fd, "x", 1));
    OK(futimens(fd, (struct timespec[]){{11, 12}, {13, 14}}));
    OK(fsync(fd));
    OK(close(fd));
    IS(13, lstat_of("file").st_mtim.tv_sec);
    OK(chmod("file", 0600));
    IS(13, lstat_of("file").st_mtim.tv_sec);
}

/* Empties the kernel's memory of a file: reads of pages that it keeps do not reach a daemon. */
static void
forget(const char *path)
{
    int fd = open(path, O_RDONLY | O_NOATIME);

    MUST(fsync(fd));
    MUST(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    MUST(close(fd));
}

static void
reading_marks(void)
{
    static char big[100000];
    char text[16];
    struct stat before;
    DIR *dir;
    int fd;

    group("times: reading");
    make("f", 0644, "contents");
    make_dir("d", 0755);
    make("d/f", 0644, "");
    MUST(symlink("f", "l"));
    /* relatime: an atime that is not later than the mtime is marked, another one is not. */
    OK(set("f", AT(1000, 0), AT(2000, 0)));
    MARKS("a", "f", read(fd = open("f", O_RDONLY), text, 4));
    OK(close(fd));
    MARKS("", "f", read(fd = open("f", O_RDONLY), text, 4));
    OK(close(fd));
    OK(set("f", AT(1000, 0), AT(2000, 0)));
    MARKS("", "f", close(open("f", O_RDONLY)));
    MARKS("", "f", lstat("f", &before));
    MARKS("", "f", read(fd = open("f", O_RDONLY | O_NOATIME), text, 4));
    OK(close(fd));
    MARKS("", "f", read(fd = open("f", O_RDONLY), text, 0));
    OK(close(fd));
    /* A day later it counts in any case. */
    time_t now = time(NULL);

    OK(set("f", AT(now - 90000, 0), AT(now - 100000, 0)));
    MARKS("", "f", close(open("f", O_RDONLY)));
    forget("f");
    MARKS("a", "f", read(fd = open("f", O_RDONLY), text, 4));
    OK(close(fd));
    forget("f");
    MARKS("", "f", read(fd = open("f", O_RDONLY), text, 4));
    OK(unlink("f"));
    OK(fchmod(fd, 0600));
    struct stat st;

    OK(fstat(fd, &before));
    let_time_pass();
    OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    IS(4, pread(fd, text, 4, 0));
    OK(fstat(fd, &st));
    TEXT("a", marks_between(before, st));
    OK(close(fd));
    make("f", 0644, "contents");
    OK(set("d", AT(1000, 0), AT(2000, 0)));
    TRUE((dir = opendir("d")) != NULL);
    MARKS("a", "d", readdir(dir) ? 0 : -1);
    closedir(dir);
    MARKS("", "d", (dir = opendir("d")) && readdir(dir) ? 0 : -1);
    closedir(dir);
    OK(set_link("l", AT(1000, 0), AT(2000, 0)));
    MARKS("a", "l", readlink("l", text, sizeof(text)));
    MARKS("", "l", readlink("l", text, sizeof(text)));
    OK(fd = open("big", O_RDWR | O_CREAT, 0644));
    MUST(write(fd, big, sizeof(big)));
    OK(set("big", AT(1000, 0), AT(2000, 0)));
    MARKS("a", "big", pread(fd, big, sizeof(big), 0));
    OK(close(fd));
}

static void
writing_marks(void)
{
    static char big[200000];
    char *mapped;
    int fd, from;

    group("times: writing");
    make("f", 0644, "contents");
    OK(fd = open("f", O_RDWR));
    MARKS("mc", "f", write(fd, "x", 1));
    MARKS("mc", "f", pwrite(fd, "x", 1, 3));
    MARKS("", "f", write(fd, "x", 0));
    MARKS("mc", "f", write(fd, big, sizeof(big)));
    MARKS("mc", "f", pwrite(fd, "x", 1, 150000));
    MARKS("", ".", write(fd, "x", 1));
    MARKS("", "f", fsync(fd));
    MARKS("mc", "f", ftruncate(fd, 3));
    MARKS("mc", "f", ftruncate(fd, 3));
    MARKS("mc", "f", ftruncate(fd, 300000));
    MARKS("mc", "f", truncate("f", 5));
    MARKS("mc", "f", truncate("f", 5));
    MARKS("mc", "f", fallocate(fd, 0, 0, 100000));
    MARKS("mc", "f", fallocate(fd, 0, 0, 100000));
    /* Bug: these two marked nothing. */
    MARKS("mc", "f", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
    MARKS("mc", "f", fallocate(fd, FALLOC_FL_KEEP_SIZE, 200000, 4096));
    MARKS("mc", "f", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    MARKS("mc", "f", fallocate(fd, FALLOC_FL_ZERO_RANGE, 4096, 4096));
    make("source", 0644, "source");
    OK(from = open("source", O_RDONLY));
    OK(set("source", NOW, AT(2000, 0)));
    MARKS("mc", "f", copy_file_range(from, NULL, fd, NULL, 6, 0));
    OK(close(from));
    mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRUE(mapped != MAP_FAILED);
    /* Reading a mapping counts when it is made, or when the page is first touched. */
    TRUE(*(volatile char *)mapped == 0);
    MARKS("mc", "f", (mapped[0] = 'M', msync(mapped, 4096, MS_SYNC)));
    OK(munmap(mapped, 4096));
    MARKS("", "f", close(fd));
    OK(fd = open("f", O_RDWR | O_APPEND));
    MARKS("mc", "f", write(fd, "x", 1));
    OK(close(fd));
    MARKS("c", "f", setxattr("f", "user.x", "1", 1, 0));
    MARKS("c", "f", setxattr("f", "user.x", "2", 1, 0));
    MARKS("", "f", getxattr("f", "user.x", NULL, 0));
    MARKS("", "f", listxattr("f", NULL, 0));
    MARKS("c", "f", removexattr("f", "user.x"));
    FAILS_MARKING_NOTHING(ENODATA, "f", removexattr("f", "user.x"));
    FAILS_MARKING_NOTHING(EINVAL, "f", truncate("f", -1));
    MARKS("c", "f", chmod("f", 0600));
    MARKS("c", "f", chown("f", 1, 1));
    MARKS("", "f", access("f", R_OK));
    /* A file once marked is later than all that came before. */
    make("first", 0644, "");
    let_time_pass();
    make("second", 0644, "");
    TRUE(later(lstat_of("second").st_mtim, lstat_of("first").st_mtim));
    let_time_pass();
    OK(chmod("first", 0600));
    TRUE(later(lstat_of("first").st_ctim, lstat_of("second").st_ctim));
}

static void
directories_are_marked(void)
{
    group("times: directories");
    make_dir("d", 0755);
    make("f", 0644, "");
    MARKS("mc", "d", close(open("d/f", O_RDWR | O_CREAT | O_EXCL, 0644)));
    MARKS("", "d", close(open("d/f", O_RDWR | O_CREAT, 0644)));
    MARKS("", "d", chmod("d/f", 0600));
    MARKS("", "d", truncate("d/f", 10));
    MARKS("mc", "d", mkdir("d/d", 0755));
    MARKS("mc", "d", symlink("x", "d/l"));
    MARKS("mc", "d", mkfifo("d/p", 0644));
    MARKS("mc", "d", link("f", "d/h"));
    MARKS("mc", "d", rename("d/h", "d/i"));
    MARKS("mc", "d", rename("d/i", "i"));
    MARKS("mc", "d", rename("i", "d/i"));
    MARKS("mc", "d", rename("d/f", "d/i"));
    MARKS("mc", "d", unlink("d/i"));
    MARKS("mc", "d", unlink("d/l"));
    MARKS("mc", "d", rmdir("d/d"));
    MARKS("mc", "d/../d", unlink("d/p"));
    FAILS_MARKING_NOTHING(ENOENT, "d", unlink("d/p"));
    FAILS_MARKING_NOTHING(ENOENT, "d", rename("d/none", "d/x"));
    MARKS("c", "d", setxattr("d", "user.x", "1", 1, 0));
    OK(set("d", AT(5, 5), AT(6, 6)));
    IS(6, lstat_of("d").st_mtim.tv_sec);
    make("d/new", 0644, "");
    TRUE(lstat_of("d").st_mtim.tv_sec > 6);
    OK(set("d", AT(5, 5), AT(6, 6)));
    let_time_pass();
    IS(6, lstat_of("d").st_mtim.tv_sec);
    OK(chmod("d", 0700));
    IS(6, lstat_of("d").st_mtim.tv_sec);
    /* Made at once: all three alike, and not before its directory's mark. */
    make_dir("fresh", 0755);
    MUST(close(open("fresh/f", O_RDWR | O_CREAT | O_EXCL, 0644)));
    TRUE(!later(lstat_of("fresh/f").st_mtim, lstat_of("fresh").st_mtim));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    values();
    reading_marks();
    writing_marks();
    directories_are_marked();
    return conform_end();
}
