/*
 * prog_conform_mkdir - mkdir and rmdir.
 */
#include "prog_conform.h"

static void
mkdir_errors(void)
{
    group("mkdir: errors");
    make_kinds();
    FAILS(EEXIST, mkdir("file", 0755));
    FAILS(EEXIST, mkdir("dir", 0755));
    FAILS(EEXIST, mkdir("dir/", 0755));
    FAILS(EEXIST, mkdir("fifo", 0755));
    FAILS(EEXIST, mkdir("sock", 0755));
    FAILS(EEXIST, mkdir("chr", 0755));
    FAILS(EEXIST, mkdir("blk", 0755));
    FAILS(EEXIST, mkdir("link", 0755));
    FAILS(EEXIST, mkdir("gone", 0755));
    FAILS(EEXIST, mkdir("gone/", 0755));
    FAILS(EEXIST, mkdir(".", 0755));
    FAILS(EEXIST, mkdir("..", 0755));
    FAILS(EEXIST, mkdir("/", 0755));
    FAILS(ENOENT, mkdir("", 0755));
    FAILS(ENOENT, mkdir("missing/dir", 0755));
    FAILS(ENOENT, mkdir("gone/dir", 0755));
    FAILS(ENOENT, mkdir("missing/.", 0755));
    FAILS(EEXIST, mkdir("dir/.", 0755));
    FAILS(EEXIST, mkdir("dir/..", 0755));
    FAILS(ENOTDIR, mkdir("file/dir", 0755));
    FAILS(ENOTDIR, mkdir("fifo/dir", 0755));
    FAILS(ENOTDIR, mkdir("link/dir", 0755));
    FAILS(EFAULT, mkdir(nowhere(), 0755));
    FAILS(EBADF, mkdirat(-1, "d", 0755));
    FAILS(ENOTDIR, mkdirat(open("file", O_RDONLY), "d", 0755));
    FAILS(ENAMETOOLONG, mkdir(name_of_length(256), 0755));
    FAILS(ENAMETOOLONG, mkdir(path_of_length(4096, "d"), 0755));
    OK(mkdir(name_of_length(255), 0755));
    OK(mkdir(path_of_length(4095, "longpath"), 0755));
    OK(mkdir("trailing/", 0755));
    OK(mkdir("trailing//double//", 0755));
    OK(mkdirat(open("dir", O_RDONLY), "at", 0700));
    IS(S_IFDIR | 0700, lstat_of("dir/at").st_mode);
    make_dir("removed", 0755);
    int fd = open("removed", O_RDONLY);

    MUST(rmdir("removed"));
    FAILS(ENOENT, mkdirat(fd, "d", 0755));
    FAILS(ENOENT, openat(fd, "f", O_RDWR | O_CREAT, 0644));
    FAILS(ENOENT, openat(fd, "f", O_RDONLY));
    FAILS(ENOENT, symlinkat("x", fd, "l"));
    FAILS(ENOENT, linkat(AT_FDCWD, "file", fd, "l", 0));
    FAILS(ENOENT, renameat(AT_FDCWD, "file", fd, "f"));
    FAILS(ENOENT, mkfifoat(fd, "f", 0644));
}

static void
mkdir_effects(void)
{
    group("mkdir: what it makes");
    umask(0);
    OK(mkdir("a", 0777));
    TEXT("0:0 777", owner_of("a"));
    OK(mkdir("b", 01777));
    IS(01777, mode_of("b"));
    OK(mkdir("c", 06755));
    IS(0755, mode_of("c"));
    OK(mkdir("d", 0));
    IS(0, mode_of("d"));
    umask(027);
    OK(mkdir("e", 0777));
    IS(0750, mode_of("e"));
    umask(022);
    IS(2, links_of("e"));
    OK(mkdir("e/1", 0755));
    IS(3, links_of("e"));
    OK(mkdir("e/2", 0755));
    IS(4, links_of("e"));
    make("e/file", 0644, "");
    IS(4, links_of("e"));
    OK(rmdir("e/1"));
    IS(3, links_of("e"));
    OK(rename("e/2", "a/2"));
    IS(2, links_of("e"));
    IS(3, links_of("a"));
    TRUE(same_file("a/2/..", "a"));
    TRUE(same_file("a/2/.", "a/2"));
    TRUE(same_file("a/.", "a"));
    MARKS("mc", ".", mkdir("times", 0755));
    MARKS("mc", "times", mkdir("times/inner", 0755));
    MARKS("mc", "times", rmdir("times/inner"));
    MARKS("mc", ".", rmdir("times"));
    FAILS_MARKING_NOTHING(EEXIST, ".", mkdir("a", 0755));
    FAILS_MARKING_NOTHING(ENOTEMPTY, "a", rmdir("a"));
    be(&alice);
    OK(mkdir("mine", 0755));
    TEXT("65534:65534 755", owner_of("mine"));
    OK(mkdir("mine/inner", 0755));
    be(&bob);
    FAILS_MARKING_NOTHING(EACCES, "mine", mkdir("mine/theirs", 0755));
    FAILS(EEXIST, mkdir("mine/inner", 0755));
    FAILS(EACCES, mkdir("b/../mine/none", 0755));
    be(&carol);
    FAILS(EACCES, mkdir("mine/members", 0755));
    be(&alice);
    MUST(chmod("mine", 0770));
    be(&carol);
    OK(mkdir("mine/members", 0755));
    TEXT("65532:65532 755", owner_of("mine/members"));
    be(&bob);
    FAILS(EACCES, mkdir("mine/inner", 0755));
    FAILS(EACCES, mkdir("mine/inner/x", 0755));
}

static void
rmdir_errors(void)
{
    group("rmdir: errors");
    make_kinds();
    FAILS(ENOTDIR, rmdir("file"));
    FAILS(ENOTDIR, rmdir("file/"));
    FAILS(ENOTDIR, rmdir("fifo"));
    FAILS(ENOTDIR, rmdir("sock"));
    FAILS(ENOTDIR, rmdir("chr"));
    FAILS(ENOTDIR, rmdir("link"));
    FAILS(ENOTDIR, rmdir("gone"));
    FAILS(ENOTDIR, rmdir("file/x"));
    FAILS(ENOENT, rmdir("missing"));
    FAILS(ENOENT, rmdir("missing/x"));
    FAILS(ENOENT, rmdir("gone/x"));
    FAILS(ENOENT, rmdir(""));
    FAILS(EINVAL, rmdir("dir/."));
    FAILS(EINVAL, rmdir("."));
    FAILS(ENOTEMPTY, rmdir(".."));
    FAILS(ENOTEMPTY, rmdir("dir/.."));
    FAILS(EBUSY, rmdir("/"));
    FAILS(EFAULT, rmdir(nowhere()));
    FAILS(ENAMETOOLONG, rmdir(name_of_length(256)));
    FAILS(ENAMETOOLONG, rmdir(path_of_length(4096, "dir")));
    FAILS(EISDIR, unlink("dir"));
    FAILS(ENOTDIR, unlinkat(AT_FDCWD, "file", AT_REMOVEDIR));
    FAILS(EINVAL, unlinkat(AT_FDCWD, "dir", 0x4000));
    MUST(symlink("dir", "todir"));
    FAILS(ENOTDIR, rmdir("todir"));
    FAILS(ENOTDIR, rmdir("todir/"));
    static const char *const inside[] = {"dir/f", "dir/..f", "dir/ ", "dir/\xff",
                                         "dir/-"};

    for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++) {
        make(inside[i], 0644, "");
        FAILS(ENOTEMPTY, rmdir("dir"));
        MUST(unlink(inside[i]));
    }
    MUST(symlink("x", "dir/l"));
    FAILS(ENOTEMPTY, rmdir("dir"));
    MUST(unlink("dir/l"));
    MUST(mkfifo("dir/p", 0644));
    FAILS(ENOTEMPTY, rmdir("dir"));
    MUST(unlink("dir/p"));
    MUST(mkdir("dir/d", 0644));
    FAILS(ENOTEMPTY, rmdir("dir"));
    MUST(rmdir("dir/d"));
    OK(rmdir("dir/"));
    FAILS(ENOENT, rmdir("dir"));
    OK(mkdir("dir", 0755));
    OK(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
    OK(mkdir("a", 0755));
    OK(mkdir("a-b", 0755));
    make("a-b/f", 0644, "");
    make("a.txt", 0644, "");
    OK(rmdir("a"));
}

static void
rmdir_permissions(void)
{
    group("rmdir: permissions");
    make_dir("open", 0777);
    make_dir("open/d", 0755);
    make_dir("closed", 0755);
    make_dir("closed/d", 0777);
    make_dir("hidden", 0666);
    make_dir("hidden/d", 0777);
    make_dir("sticky", 01777);
    make_dir("sticky/root", 0777);
    be(&alice);
    FAILS_MARKING_NOTHING(EACCES, "closed", rmdir("closed/d"));
    FAILS(EACCES, rmdir("hidden/d"));
    FAILS(EACCES, rmdir("hidden/none"));
    FAILS(ENOENT, rmdir("closed/none"));
    FAILS_MARKING_NOTHING(EPERM, "sticky", rmdir("sticky/root"));
    MUST(mkdir("sticky/alice", 0777));
    be(&bob);
    FAILS(EPERM, rmdir("sticky/alice"));
    OK(rmdir("open/d"));
    be(&alice);
    OK(rmdir("sticky/alice"));
    MUST(mkdir("sticky/alice", 0777));
    be(&root);
    MUST(chown("sticky", 65533, 65533));
    be(&bob);
    OK(rmdir("sticky/alice"));
    OK(rmdir("sticky/root"));
}

static void
removed_while_used(void)
{
    struct stat st;
    int fd;

    group("rmdir: a directory somebody stands in");
    make_dir("d", 0755);
    OK(fd = open("d", O_RDONLY));
    MUST(chdir("d"));
    OK(rmdir("../d"));
    OK(fstat(fd, &st));
    IS(0, st.st_nlink);
    OK(stat(".", &st));
    IS(0, st.st_nlink);
    FAILS(ENOENT, open("f", O_RDWR | O_CREAT, 0644));
    FAILS(ENOENT, mkdir("d", 0755));
    OK(stat("..", &st));
    OK(fchmod(fd, 0700));
    OK(fstat(fd, &st));
    IS(0700, st.st_mode & 07777);
    OK(fchown(fd, 1, 1));
    OK(futimens(fd, NULL));
    OK(fsync(fd));
    OK(chdir(".."));
    OK(close(fd));
    TRUE(!exists("d"));
    OK(mkdir("d", 0755));
    IS(2, links_of("d"));
    OK(rmdir("d"));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    mkdir_errors();
    mkdir_effects();
    rmdir_errors();
    rmdir_permissions();
    removed_while_used();
    return conform_end();
}
