/*
 * prog_conform_tmpfile - files made without a name: O_TMPFILE, and the link that names one.
 */
#include <linux/stat.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "prog_conform.h"

#define LONG (1 << 20) /* more than any file system keeps in an inode */

static struct stat
fstat_of(int fd)
{
    struct stat st = {0};

    MUST(fstat(fd, &st));
    return st;
}

/* The two ways to name an open file. */
static int
link_by_proc(int fd, const char *path)
{
    char self[64];

    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

static int
link_by_fd(int fd, const char *path)
{
    return linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH);
}

static int
nameless(mode_t mode)
{
    int fd = open(".", O_TMPFILE | O_RDWR, mode);

    MUST(fd);
    return fd;
}

static void
errors(void)
{
    group("O_TMPFILE: errors");
    make_kinds();
    FAILS(EINVAL, open(".", O_TMPFILE | O_RDONLY, 0600));
    FAILS(ENOTDIR, open("file", O_TMPFILE | O_RDWR, 0600));
    FAILS(ENOTDIR, open("fifo", O_TMPFILE | O_RDWR, 0600));
    FAILS(ENOTDIR, open("link", O_TMPFILE | O_RDWR, 0600));
    FAILS(ENOENT, open("missing", O_TMPFILE | O_RDWR, 0600));
    FAILS(ENOENT, open("gone", O_TMPFILE | O_RDWR, 0600));
    FAILS(EINVAL, open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
    make_dir("closed", 0755);
    make_dir("hidden", 0666);
    be(&alice);
    FAILS(EACCES, open("closed", O_TMPFILE | O_RDWR, 0600));
    FAILS(EACCES, open("hidden", O_TMPFILE | O_RDWR, 0600));
    OK(open(".", O_TMPFILE | O_RDWR, 0000));
    OK(open("dir/..", O_TMPFILE | O_WRONLY | O_EXCL, 0600));
    be(&root);
    TRUE(rmdir("closed") == 0 && rmdir("hidden") == 0 && rmdir("dir") == 0);
}

static void
attributes(void)
{
    int fd;

    group("O_TMPFILE: attributes");
    make_dir("setgid", 02777);
    MUST(chown("setgid", 0, 65533));
    umask(027);
    fd = nameless(0766);
    IS(S_IFREG | 0740, fstat_of(fd).st_mode);
    IS(0, fstat_of(fd).st_nlink);
    IS(0, fstat_of(fd).st_size);
    IS(0, fstat_of(fd).st_blocks);
    MARKS("", ".", nameless(0600));
    fd = open("setgid", O_TMPFILE | O_RDWR, 0600);
    IS(65533, fstat_of(fd).st_gid);
    be(&carol);
    fd = open("setgid", O_TMPFILE | O_RDWR, 02666);
    IS(65532, fstat_of(fd).st_uid);
    IS(65533, fstat_of(fd).st_gid);
    OK(fchown(fd, 65532, 65534));
    IS(65534, fstat_of(fd).st_gid);
    OK(fsetxattr(fd, "user.a", "value", 5, XATTR_CREATE));
    IS(5, fgetxattr(fd, "user.a", NULL, 0));
    OK(fchmod(fd, 0444));
    IS(S_IFREG | 0444, fstat_of(fd).st_mode);
    OK(futimens(fd, (struct timespec[]){{1, 2}, {3, 4}}));
    IS(3, fstat_of(fd).st_mtim.tv_sec);
    IS(2, fstat_of(fd).st_atim.tv_nsec);
}

/* Sizes on both sides of what may stand in an inode, or move out of it. */
static void
contents(size_t size)
{
    char name[64], *bytes = malloc(size), *back = malloc(size);
    int fd, again;

    snprintf(name, sizeof(name), "O_TMPFILE: %zu bytes", size);
    group(name);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    fd = nameless(0640);
    IS(size, pwrite(fd, bytes, size, 0));
    IS(size, pread(fd, back, size, 0));
    TRUE(memcmp(bytes, back, size) == 0);
    OK(ftruncate(fd, (off_t)size / 2));
    OK(ftruncate(fd, (off_t)size));
    IS(size, fstat_of(fd).st_size);
    IS(0, back[0] = 0);
    IS(size, pread(fd, back, size, 0));
    TRUE(memcmp(bytes, back, size / 2) == 0);
    TRUE(back[size - 1] == 0);
    IS(size, pwrite(fd, bytes, size, 0));
    OK(fsync(fd));
    OK(link_by_proc(fd, "named"));
    IS(1, fstat_of(fd).st_nlink);
    IS(fstat_of(fd).st_ino, lstat_of("named").st_ino);
    IS(size, size_of("named"));
    again = open("named", O_RDWR);
    IS(size, pread(again, back, size, 0));
    TRUE(memcmp(bytes, back, size) == 0);
    IS(1, pwrite(fd, "x", 1, (off_t)size));
    IS(size + 1, size_of("named"));
    OK(link("named", "second"));
    IS(2, fstat_of(fd).st_nlink);
    OK(unlink("named"));
    OK(rename("second", "third"));
    IS(1, links_of("third"));
    OK(unlink("third"));
    IS(0, fstat_of(fd).st_nlink);
    FAILS(ENOENT, link_by_proc(fd, "back"));
    IS(size, pread(fd, back, size, 0));
    TRUE(memcmp(bytes, back, size) == 0);
    /* What the next look at the tree, after a remount, finds. */
    fd = nameless(0640);
    IS(size, write(fd, bytes, size));
    OK(link_by_proc(fd, "kept"));
    free(bytes);
    free(back);
}

static void
naming(void)
{
    char value[2000] = "long";
    int fd;

    group("O_TMPFILE: a name");
    make_kinds();
    fd = nameless(0600);
    FAILS(EEXIST, link_by_proc(fd, "file"));
    FAILS(EEXIST, link_by_proc(fd, "dir"));
    FAILS(ENOENT, link_by_proc(fd, "missing/name"));
    FAILS(ENAMETOOLONG, link_by_proc(fd, name_of_length(256)));
    IS(0, fstat_of(fd).st_nlink);
    OK(fsetxattr(fd, "user.short", "value", 5, 0));
    OK(fsetxattr(fd, "user.long", value, sizeof(value), 0));
    IS(7, write(fd, "written", 7));
    MARKS("mc", "dir", link_by_fd(fd, "dir/name"));
    IS(1, links_of("dir/name"));
    TEXT("written", contents_of("dir/name"));
    IS(5, getxattr("dir/name", "user.short", NULL, 0));
    IS(sizeof(value), getxattr("dir/name", "user.long", NULL, 0));
    IS(sizeof(value), fgetxattr(fd, "user.long", value, sizeof(value)));
    TEXT("long", value);
    OK(link_by_proc(fd, "another"));
    IS(2, links_of("dir/name"));
    OK(unlink("another"));
    OK(unlink("dir/name"));
    FAILS(ENOENT, link_by_fd(fd, "again"));
    fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    FAILS(ENOENT, link_by_proc(fd, "excluded"));
    FAILS(ENOENT, link_by_fd(fd, "excluded"));
    fd = nameless(0600);
    MARKS("mc", "dir", link_by_proc(fd, "dir/marks"));
    OK(linkat(AT_FDCWD, "dir/marks", AT_FDCWD, "dir/more", 0));
    IS(2, fstat_of(fd).st_nlink);
    be(&alice);
    fd = nameless(0600);
    FAILS(EACCES, link_by_proc(fd, "dir/denied"));
    OK(link_by_proc(fd, "mine"));
    TEXT("65534:65534 600", owner_of("mine"));
}

static void
mapping(void)
{
    char *map;
    int fd;

    group("O_TMPFILE: mapped");
    fd = nameless(0600);
    OK(ftruncate(fd, 8192));
    map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRUE(map != MAP_FAILED);
    strcpy(map + 4096, "stored");
    OK(msync(map, 8192, MS_SYNC));
    OK(link_by_proc(fd, "mapped"));
    strcpy(map, "after");
    TEXT("after", contents_of("mapped"));
    OK(munmap(map, 8192));
    IS(8192, size_of("mapped"));
}

/* When a file was made is there to be asked for, and nothing changes it. */
static long long
birth_of(const char *path)
{
    struct statx statx_ = {0};

    if (syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_ALL, &statx_) !=
            0 ||
        !(statx_.stx_mask & STATX_BTIME))
        return -1;
    return statx_.stx_btime.tv_sec * 1000000000LL + statx_.stx_btime.tv_nsec;
}

static bool
statx_agrees(const char *path)
{
    struct stat st = lstat_of(path);
    struct statx x;

    return syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_ALL, &x) == 0 &&
           x.stx_mode == st.st_mode && x.stx_nlink == st.st_nlink &&
           x.stx_uid == st.st_uid && x.stx_gid == st.st_gid && x.stx_ino == st.st_ino &&
           x.stx_size == (uint64_t)st.st_size && x.stx_blocks == (uint64_t)st.st_blocks &&
           x.stx_atime.tv_sec == st.st_atim.tv_sec &&
           x.stx_mtime.tv_nsec == (uint32_t)st.st_mtim.tv_nsec &&
           x.stx_ctime.tv_nsec == (uint32_t)st.st_ctim.tv_nsec &&
           x.stx_rdev_minor == (st.st_rdev & 0xff) && x.stx_rdev_major == st.st_rdev >> 8;
}

static void
births(void)
{
    static const char *const kinds[] = {"file", "dir", "fifo", "sock",
                                        "chr",  "blk", "link"};
    struct timespec now;
    long long birth;
    int fd;

    group("statx: the time of birth");
    make_kinds();
    MUST(clock_gettime(CLOCK_REALTIME, &now));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        birth = birth_of(kinds[i]);
        TRUE(birth > (now.tv_sec - 100) * 1000000000LL);
        TRUE(birth < (now.tv_sec + 1) * 1000000000LL);
        TRUE(statx_agrees(kinds[i]));
    }
    birth = birth_of("file");
    let_time_pass();
    make("file", 0600, "others");
    OK(utimensat(AT_FDCWD, "file", (struct timespec[]){{1, 0}, {1, 0}}, 0));
    OK(chmod("file", 0644));
    OK(link("file", "hard"));
    OK(rename("hard", "renamed"));
    IS(birth, birth_of("file"));
    IS(birth, birth_of("renamed"));
    birth = birth_of("dir");
    make("dir/new", 0600, "");
    OK(rename("dir", "moved"));
    IS(birth, birth_of("moved"));
    TRUE(birth_of("moved/new") > birth);
    fd = nameless(0600);
    let_time_pass();
    OK(link_by_proc(fd, "born"));
    TRUE(birth_of("born") > 0);
    TRUE(birth_of("born") / 1000000 < lstat_of("born").st_ctim.tv_sec * 1000LL +
                                          lstat_of("born").st_ctim.tv_nsec / 1000000);
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    attributes();
    contents(10);
    contents(4096);
    contents(4097);
    contents(200000);
    contents(LONG);
    naming();
    mapping();
    births();
    return conform_end();
}
