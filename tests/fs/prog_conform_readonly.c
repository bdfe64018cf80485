/*
 * prog_conform_readonly - a tree that must not change: on a read-only mount and in a snapshot.
 *
 * DIRECTORY holds what conform.sh has put there: file ("contents", with user.a = "1"), dir,
 * full/f, fifo, link (to file), hard (the file).
 */
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "prog_conform.h"

static void
refused(void)
{
    int fd;

    FAILS(EROFS, open("file", O_WRONLY));
    FAILS(EROFS, open("file", O_RDWR));
    FAILS(EROFS, open("file", O_RDONLY | O_TRUNC));
    FAILS(EROFS, open("new", O_RDWR | O_CREAT, 0644));
    FAILS(EROFS, open("new", O_RDONLY | O_CREAT | O_EXCL, 0644));
    FAILS(EROFS, open("file", O_RDWR | O_CREAT, 0644));
    FAILS(EROFS, creat("file", 0644));
    FAILS(EEXIST, open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(EROFS, mkdir("new", 0755));
    FAILS(EEXIST, mkdir("dir", 0755));
    FAILS(EROFS, rmdir("dir"));
    FAILS(EROFS, mkfifo("new", 0644));
    FAILS(EROFS, mknod("new", S_IFREG | 0644, 0));
    FAILS(EROFS, symlink("x", "new"));
    FAILS(EROFS, link("file", "new"));
    FAILS(EROFS, unlink("file"));
    FAILS(EROFS, unlink("fifo"));
    FAILS(EROFS, rename("file", "new"));
    FAILS(EROFS, rename("file", "dir/new"));
    FAILS(EROFS, rename("dir", "new"));
    FAILS(EROFS, renameat2(AT_FDCWD, "file", AT_FDCWD, "fifo", RENAME_EXCHANGE));
    FAILS(EROFS, chmod("file", 0600));
    FAILS(EROFS, chmod("dir", 0700));
    FAILS(EROFS, chown("file", 1, 1));
    FAILS(EROFS, lchown("link", 1, 1));
    FAILS(EROFS, truncate("file", 0));
    FAILS(EROFS, truncate("file", 8));
    FAILS(EROFS, utimensat(AT_FDCWD, "file", NULL, 0));
    FAILS(EROFS, utimensat(AT_FDCWD, "dir", (struct timespec[]){{1, 1}, {1, 1}}, 0));
    FAILS(EROFS, setxattr("file", "user.b", "1", 1, 0));
    FAILS(EROFS, setxattr("dir", "user.b", "1", 1, 0));
    FAILS(EROFS, removexattr("file", "user.a"));
    OK(fd = open("file", O_RDONLY));
    FAILS(EROFS, fchmod(fd, 0600));
    FAILS(EROFS, fchown(fd, 1, 1));
    FAILS(EROFS, futimens(fd, NULL));
    FAILS(EROFS, fsetxattr(fd, "user.b", "1", 1, 0));
    FAILS(EBADF, write(fd, "x", 1));
    FAILS(EINVAL, ftruncate(fd, 0));
    FAILS(EBADF, fallocate(fd, 0, 0, 10));
    TRUE(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
         errno == EACCES);
    OK(close(fd));
    TRUE(!exists("new"));
}

static void
allowed(void)
{
    char text[16] = {0};
    struct stat st;
    struct statvfs fs;
    int fd;

    TEXT("contents", contents_of("file"));
    TEXT("contents", contents_of("link"));
    IS(2, links_of("file"));
    TRUE(same_file("file", "hard"));
    IS(1, getxattr("file", "user.a", text, sizeof(text)));
    IS('1', text[0]);
    IS(4, readlink("link", text, sizeof(text)));
    OK(stat("dir", &st));
    OK(statvfs(".", &fs));
    OK(fd = open("fifo", O_RDWR | O_NONBLOCK));
    IS(1, write(fd, "x", 1));
    OK(close(fd));
    OK(access("file", R_OK));
    OK(fd = open("file", O_RDONLY));
    OK(fsync(fd));
    char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    TRUE(mapped != MAP_FAILED && memcmp(mapped, "contents", 8) == 0);
    MARKS("", "file", read(fd, text, 8));
    OK(close(fd));
    OK(fd = open("dir", O_RDONLY));
    OK(fsync(fd));
    OK(close(fd));
    IS(0, system("test $(ls | wc -l) = 6"));
    IS(0, system("cp -a . /tmp/conform-copy.$$ && rm -r /tmp/conform-copy.$$"));
    FAILS(ENOENT, open("missing", O_RDONLY));
    FAILS(ENOTDIR, open("file/x", O_RDONLY));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    MUST(chdir(conform.directory));
    conform.group = "readonly: refused";
    refused();
    conform.group = "readonly: allowed";
    allowed();
    conform.group = "readonly: by a user";
    be(&alice);
    FAILS(EACCES, open("full/f", O_RDONLY));
    FAILS(EROFS, open("file", O_RDWR));
    TEXT("contents", contents_of("file"));
    FAILS(EROFS, mkdir("dir/new", 0755));
    return conform_end();
}
