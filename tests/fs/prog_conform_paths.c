/*
 * prog_conform_paths - every call that takes a path, with every path that cannot be followed.
 */
#include <dirent.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "prog_conform.h"

static struct stat st;
static struct statvfs fs;
static char buffer[64];

/* Each of these calls gets a path. */
#define CALLS(X)                                                     \
    X(stat(path, &st))                                               \
    X(lstat(path, &st))                                              \
    X(faccessat(AT_FDCWD, path, R_OK, AT_EACCESS))                   \
    X(statvfs(path, &fs))                                            \
    X(open(path, O_RDONLY))                                          \
    X(open(path, O_RDWR))                                            \
    X(open(path, O_RDONLY | O_DIRECTORY))                            \
    X(open(path, O_RDONLY | O_NOFOLLOW))                             \
    X(open(path, O_PATH))                                            \
    X(open(path, O_RDWR | O_CREAT, 0644))                            \
    X(open(path, O_RDWR | O_CREAT | O_EXCL, 0644))                   \
    X(open(path, O_WRONLY | O_TRUNC))                                \
    X(creat(path, 0644))                                             \
    X(mkdir(path, 0755))                                             \
    X(rmdir(path))                                                   \
    X(mkfifo(path, 0644))                                            \
    X(mknod(path, S_IFREG | 0644, 0))                                \
    X(unlink(path))                                                  \
    X(unlinkat(AT_FDCWD, path, AT_REMOVEDIR))                        \
    X(symlink("x", path))                                            \
    X(readlink(path, buffer, sizeof(buffer)))                        \
    X(link("file", path))                                            \
    X(link(path, "new"))                                             \
    X(linkat(AT_FDCWD, path, AT_FDCWD, "new", AT_SYMLINK_FOLLOW))    \
    X(rename("file", path))                                          \
    X(rename("dir", path))                                           \
    X(rename(path, "new"))                                           \
    X(renameat2(AT_FDCWD, path, AT_FDCWD, "new", RENAME_NOREPLACE))  \
    X(renameat2(AT_FDCWD, "file", AT_FDCWD, path, RENAME_NOREPLACE)) \
    X(renameat2(AT_FDCWD, path, AT_FDCWD, "file", RENAME_EXCHANGE))  \
    X(renameat2(AT_FDCWD, "file", AT_FDCWD, path, RENAME_EXCHANGE))  \
    X(chmod(path, 0600))                                             \
    X(fchmodat(AT_FDCWD, path, 0600, 0))                             \
    X(chown(path, (uid_t)-1, (gid_t)-1))                             \
    X(lchown(path, (uid_t)-1, (gid_t)-1))                            \
    X(truncate(path, 0))                                             \
    X(utimensat(AT_FDCWD, path, NULL, 0))                            \
    X(utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW))          \
    X(chdir(path))                                                   \
    X(chroot(path))                                                  \
    X(setxattr(path, "user.a", "1", 1, 0))                           \
    X(getxattr(path, "user.a", buffer, sizeof(buffer)))              \
    X(lgetxattr(path, "user.a", buffer, sizeof(buffer)))             \
    X(listxattr(path, buffer, sizeof(buffer)))                       \
    X(removexattr(path, "user.a"))

/* Every call with one path; they must all give the error. */
static void
all(int error, const char *path, const char *shown)
{
    char what[128];

#define ONE(call)                                                \
    errno = 0;                                                   \
    snprintf(what, sizeof(what), "%.70s with %s", #call, shown); \
    report_errors(what, error, (call) == -1 ? errno : 0);
    CALLS(ONE)
#undef ONE
}

static void
below(void)
{
    char path[600];

    group("paths: below what is no directory");
    make_kinds();
    all(ENOENT, "", "an empty path");
    all(ENOENT, "missing/x", "missing/x");
    all(ENOENT, "gone/x", "gone/x");
    all(ENOENT, "dir/missing/x", "dir/missing/x");
    all(ENOTDIR, "file/x", "file/x");
    all(ENOTDIR, "link/x", "link/x");
    all(ENOTDIR, "fifo/x", "fifo/x");
    all(ENOTDIR, "sock/x", "sock/x");
    all(ENOTDIR, "chr/x", "chr/x");
    all(ENOTDIR, "blk/x", "blk/x");
    all(ENOTDIR, "file/./x", "file/./x");
    all(ENOTDIR, "dir/../file/x", "dir/../file/x");
    MUST(symlink("loop", "loop"));
    all(ELOOP, "loop/x", "loop/x");
    MUST(symlink("pong", "ping"));
    MUST(symlink("ping/x", "pong"));
    all(ELOOP, "ping/x", "ping/x");
    all(ENAMETOOLONG, name_of_length(256), "a name of 256");
    snprintf(path, sizeof(path), "%s/x", name_of_length(256));
    all(ENAMETOOLONG, path, "a directory's name of 256");
    snprintf(path, sizeof(path), "dir/%s", name_of_length(300));
    all(ENAMETOOLONG, path, "dir/ and a name of 300");
    all(ENAMETOOLONG, path_of_length(4096, "x"), "a path of 4096");
    all(EFAULT, nowhere(), "a bad address");
    TEXT("contents", contents_of("file"));
    IS(0, system("test $(ls -A | wc -l) = 11"));
}

static void
unsearchable(void)
{
    group("paths: below what one may not search");
    make_kinds();
    make_dir("r", 0666);
    make("r/x", 0777, "");
    make_dir("deep", 0700);
    make_dir("deep/in", 0777);
    MUST(symlink("r/x", "through"));
    be(&alice);
    all(EACCES, "r/x", "r/x");
    all(EACCES, "r/missing", "r/missing");
    all(EACCES, "deep/in/x", "deep/in/x");
    all(EACCES, "deep/in/../../file/x", "deep/in/../../file/x");
    be(&root);
    MUST(chown("r", 65534, 65534));
    MUST(chmod("r", 0077));
    be(&alice);
    all(EACCES, "r/x", "r/x as its owner");
    be(&root);
    MUST(chmod("r", 0707));
    be(&carol);
    all(EACCES, "r/x", "r/x as a member");
    FAILS(EACCES, open("through", O_RDONLY));
    FAILS(EACCES, stat("through", &st));
    OK(lstat("through", &st));
    be(&bob);
    OK(open("r/x", O_RDONLY));
    OK(open("through", O_RDONLY));
}

/* Whoever may not write a directory may do none of these in it. */
static void
unwritable(void)
{
    group("paths: in a directory one may not write");
    make_kinds();
    make_dir("d", 0755);
    make("d/f", 0666, "inside");
    make_dir("d/d", 0777);
    be(&alice);
    make("mine", 0644, "");
    make_dir("own", 0755);
#define DENIED(call) FAILS(EACCES, call)
    DENIED(open("d/new", O_RDWR | O_CREAT, 0644));
    DENIED(open("d/new", O_RDONLY | O_CREAT | O_EXCL, 0644));
    DENIED(creat("d/new", 0644));
    DENIED(mkdir("d/new", 0755));
    DENIED(mkfifo("d/new", 0644));
    DENIED(mknod("d/new", S_IFREG | 0644, 0));
    DENIED(mknod("d/new", S_IFSOCK | 0644, 0));
    DENIED(symlink("x", "d/new"));
    DENIED(link("mine", "d/new"));
    DENIED(rename("mine", "d/new"));
    DENIED(rename("own", "d/new"));
    DENIED(rename("d/f", "new"));
    DENIED(rename("d/d", "new"));
    DENIED(rename("mine", "d/f"));
    DENIED(rename("own", "d/d"));
    DENIED(renameat2(AT_FDCWD, "mine", AT_FDCWD, "d/f", RENAME_EXCHANGE));
    DENIED(unlink("d/f"));
    DENIED(rmdir("d/d"));
    OK(open("d/f", O_RDWR));
    OK(open("d/f", O_RDWR | O_CREAT, 0644));
    OK(open("d/f", O_RDWR | O_TRUNC));
    OK(truncate("d/f", 10));
    OK(utimensat(AT_FDCWD, "d/f", NULL, 0));
    OK(setxattr("d/f", "user.a", "1", 1, 0));
    FAILS(EEXIST, open("d/f", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(EEXIST, mkdir("d/f", 0755));
    FAILS(EEXIST, symlink("x", "d/f"));
    FAILS(EEXIST, mkfifo("d/f", 0644));
    FAILS(EEXIST, link("mine", "d/f"));
    FAILS(ENOENT, unlink("d/none"));
    FAILS(ENOENT, rename("d/none", "new"));
    IS(10, size_of("d/f"));
    TRUE(!exists("new") && !exists("d/new"));
}

/* By descriptors of directories instead of the current one. */
static void
relative(void)
{
    int dir, file, path;

    group("paths: relative to a descriptor");
    make_kinds();
    OK(dir = open("dir", O_RDONLY));
    OK(file = open("file", O_RDONLY));
    OK(path = open("dir", O_PATH));
    OK(mkdirat(dir, "d", 0755));
    OK(mknodat(dir, "p", S_IFIFO | 0644, 0));
    OK(symlinkat("../file", dir, "l"));
    OK(linkat(AT_FDCWD, "file", dir, "h", 0));
    OK(openat(dir, "f", O_RDWR | O_CREAT, 0644));
    OK(fstatat(path, "f", &st, 0));
    OK(openat(path, "g", O_RDWR | O_CREAT, 0644));
    OK(renameat(dir, "g", path, "i"));
    OK(fchmodat(dir, "f", 0600, 0));
    OK(fchownat(dir, "f", 1, 1, 0));
    OK(utimensat(dir, "l", NULL, 0));
    OK(faccessat(dir, "l", R_OK, 0));
    IS(7, readlinkat(dir, "l", buffer, sizeof(buffer)));
    OK(fstatat(dir, "../file", &st, 0));
    OK(fstatat(dir, "", &st, AT_EMPTY_PATH));
    FAILS(ENOENT, fstatat(dir, "", &st, 0));
    OK(fstatat(file, "", &st, AT_EMPTY_PATH));
    FAILS(ENOTDIR, fstatat(file, "x", &st, 0));
    FAILS(ENOTDIR, mkdirat(file, "x", 0755));
    FAILS(ENOTDIR, unlinkat(file, "x", 0));
    FAILS(ENOTDIR, linkat(file, "x", dir, "y", 0));
    FAILS(ENOTDIR, renameat(dir, "f", file, "x"));
    FAILS(ENOTDIR, fchownat(file, "x", 1, 1, 0));
    FAILS(ENOTDIR, utimensat(file, "x", NULL, 0));
    FAILS(EBADF, unlinkat(-1, "x", 0));
    FAILS(EBADF, readlinkat(-1, "x", buffer, 8));
    FAILS(EBADF, faccessat(-1, "x", F_OK, 0));
    OK(unlinkat(dir, "d", AT_REMOVEDIR));
    OK(unlinkat(path, "f", 0));
    OK(rename("dir", "elsewhere"));
    OK(openat(dir, "again", O_RDWR | O_CREAT, 0644));
    TRUE(exists("elsewhere/again"));
    OK(fchdir(path));
    TRUE(exists("again"));
    close(dir), close(file), close(path);
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    below();
    unsearchable();
    unwritable();
    relative();
    return conform_end();
}
