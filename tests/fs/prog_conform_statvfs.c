/*
 * prog_conform_statvfs - stat, statx, statvfs, pathconf and file handles.
 */
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "prog_conform.h"

static void
stats(void)
{
    struct stat st;
    int fd;

    group("stat");
    make_kinds();
    FAILS(ENOENT, stat("missing", &st));
    FAILS(ENOENT, stat("gone", &st));
    FAILS(ENOENT, stat("", &st));
    FAILS(ENOENT, lstat("missing/x", &st));
    FAILS(ENOTDIR, stat("file/x", &st));
    FAILS(ENOTDIR, stat("file/", &st));
    FAILS(ENOTDIR, stat("file/.", &st));
    FAILS(ENOTDIR, stat("file/..", &st));
    FAILS(ENOTDIR, lstat("link/", &st));
    FAILS(EFAULT, stat(nowhere(), &st));
    FAILS(EFAULT, stat("file", (struct stat *)(void *)nowhere()));
    FAILS(EBADF, fstat(-1, &st));
    FAILS(EBADF, fstatat(-1, "file", &st, 0));
    FAILS(EINVAL, fstatat(AT_FDCWD, "file", &st, 0x8000000));
    FAILS(ENAMETOOLONG, stat(name_of_length(256), &st));
    FAILS(ENOENT, stat(name_of_length(255), &st));
    FAILS(ENAMETOOLONG, stat(path_of_length(4096, "file"), &st));
    OK(stat(path_of_length(4095, "file"), &st));
    OK(lstat("gone", &st));
    OK(stat("dir/", &st));
    OK(stat("dir/.", &st));
    OK(stat("./dir/../file", &st));
    IS(8, st.st_size);
    OK(fd = open("file", O_RDONLY));
    OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
    IS(8, st.st_size);
    OK(close(fd));
    make_dir("hidden", 0666);
    make("hidden/f", 0644, "");
    be(&alice);
    FAILS(EACCES, stat("hidden/f", &st));
    OK(stat("hidden", &st));
}

static void
extended(void)
{
    struct statx x;

    group("statx");
    make("f", 0640, "contents");
    OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
    IS(STATX_BASIC_STATS, x.stx_mask & STATX_BASIC_STATS);
    IS(S_IFREG | 0640, x.stx_mode);
    IS(8, x.stx_size);
    IS(1, x.stx_nlink);
    IS(lstat_of("f").st_ino, x.stx_ino);
    IS(lstat_of("f").st_mtim.tv_nsec, x.stx_mtime.tv_nsec);
    FAILS(EINVAL, statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &x));
    FAILS(EINVAL, statx(AT_FDCWD, "f", 0, STATX__RESERVED, &x));
    FAILS(ENOENT, statx(AT_FDCWD, "missing", 0, STATX_BASIC_STATS, &x));
    FAILS(ENOENT, statx(AT_FDCWD, "", 0, STATX_BASIC_STATS, &x));
    OK(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_SIZE, &x));
    OK(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_SIZE, &x));
    IS(8, x.stx_size);
}

/* Blocks count what is stored, so that du tells the truth. */
static void
blocks(void)
{
    static char data[1 << 20];
    int fd;

    group("stat: blocks");
    memset(data, 'd', sizeof(data));
    OK(fd = open("f", O_RDWR | O_CREAT, 0644));
    IS(0, lstat_of("f").st_blocks);
    IS(sizeof(data), write(fd, data, sizeof(data)));
    OK(fsync(fd));
    TRUE(lstat_of("f").st_blocks * 512 >= 1 << 20);
    TRUE(lstat_of("f").st_blocks * 512 <= (1 << 20) + 65536);
    OK(ftruncate(fd, 100 << 20));
    TRUE(lstat_of("f").st_blocks * 512 <= (1 << 20) + 65536);
    OK(ftruncate(fd, 0));
    OK(fsync(fd));
    IS(0, lstat_of("f").st_blocks);
    IS(1, pwrite(fd, "x", 1, 10 << 20));
    OK(fsync(fd));
    TRUE(lstat_of("f").st_blocks > 0);
    TRUE(lstat_of("f").st_blocks * 512 <= 1 << 18);
    TRUE(lstat_of("f").st_blksize >= 512);
    OK(close(fd));
    IS(0, system("test $(du -k f | cut -f1) -lt 300"));
    IS(0, system("test $(du -k --apparent-size f | cut -f1) -gt 10000"));
}

static void
space(void)
{
    struct statvfs whole, again;
    struct statfs fs;
    int fd;

    group("statvfs");
    make_kinds();
    OK(statvfs(".", &whole));
    TRUE(whole.f_bsize >= 512 && whole.f_frsize >= 512);
    TRUE(whole.f_blocks > 0 && whole.f_bfree <= whole.f_blocks);
    TRUE(whole.f_bavail <= whole.f_bfree && whole.f_bavail > 0);
    TRUE(whole.f_ffree <= whole.f_files);
    IS(255, whole.f_namemax);
    TRUE(!(whole.f_flag & ST_RDONLY));
    TRUE(!(whole.f_flag & ST_NOSUID));
    OK(statvfs("file", &again));
    IS(whole.f_blocks, again.f_blocks);
    OK(statvfs("link", &again));
    OK(statvfs("fifo", &again));
    OK(fd = open("file", O_RDONLY));
    OK(fstatvfs(fd, &again));
    IS(whole.f_frsize, again.f_frsize);
    OK(close(fd));
    FAILS(ENOENT, statvfs("missing", &again));
    FAILS(ENOENT, statvfs("", &again));
    FAILS(ENOENT, statvfs("gone", &again));
    FAILS(ENOTDIR, statvfs("file/x", &again));
    FAILS(EFAULT, statfs(nowhere(), &fs));
    FAILS(EFAULT, statfs(".", (struct statfs *)(void *)nowhere()));
    FAILS(EBADF, fstatvfs(-1, &again));
    OK(statfs(".", &fs));
    IS(255, fs.f_namelen);
    be(&alice);
    OK(statvfs(".", &again));
    IS(255, pathconf(".", _PC_NAME_MAX));
    IS(4096, pathconf(".", _PC_PATH_MAX));
    IS(1, pathconf(".", _PC_NO_TRUNC));
    IS(1, pathconf(".", _PC_CHOWN_RESTRICTED));
    IS(0, system("df . >/dev/null && df -i . >/dev/null"));
}

static void
handles(void)
{
    struct {
        struct file_handle head;
        unsigned char bytes[MAX_HANDLE_SZ];
    } handle;
    int mount, fd, here;
    char text[16] = {0};

    group("file handles");
    make("f", 0644, "contents");
    OK(here = open(".", O_RDONLY));
    handle.head.handle_bytes = 0;
    FAILS(EOVERFLOW, name_to_handle_at(AT_FDCWD, "f", &handle.head, &mount, 0));
    handle.head.handle_bytes = MAX_HANDLE_SZ;
    OK(name_to_handle_at(AT_FDCWD, "f", &handle.head, &mount, 0));
    OK(fd = open_by_handle_at(here, &handle.head, O_RDONLY));
    IS(8, read(fd, text, sizeof(text)));
    TEXT("contents", text);
    OK(close(fd));
    OK(rename("f", "g"));
    OK(fd = open_by_handle_at(here, &handle.head, O_RDONLY));
    OK(close(fd));
    OK(unlink("g"));
    FAILS(ESTALE, open_by_handle_at(here, &handle.head, O_RDONLY));
    handle.head.handle_bytes = MAX_HANDLE_SZ;
    OK(name_to_handle_at(here, "", &handle.head, &mount, AT_EMPTY_PATH));
    OK(fd = open_by_handle_at(here, &handle.head, O_RDONLY));
    be(&alice);
    FAILS(EPERM, open_by_handle_at(here, &handle.head, O_RDONLY));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    stats();
    extended();
    blocks();
    space();
    handles();
    return conform_end();
}
