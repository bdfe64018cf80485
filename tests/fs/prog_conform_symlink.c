/*
 * prog_conform_symlink - symlink, readlink and following links.
 */
#include <sys/syscall.h>

#include "prog_conform.h"

static const char *
target_of(const char *path)
{
    static char text[PATH_MAX + 1];
    ssize_t size = readlink(path, text, sizeof(text) - 1);

    text[size < 0 ? 0 : size] = '\0';
    return size < 0 ? "(none)" : text;
}

static void
symlink_errors(void)
{
    group("symlink: errors");
    make_kinds();
    FAILS(EEXIST, symlink("x", "file"));
    FAILS(EEXIST, symlink("x", "dir"));
    FAILS(EEXIST, symlink("x", "dir/"));
    FAILS(EEXIST, symlink("x", "fifo"));
    FAILS(EEXIST, symlink("x", "link"));
    FAILS(EEXIST, symlink("x", "gone"));
    FAILS(EEXIST, symlink("x", "."));
    FAILS(ENOENT, symlink("", "new"));
    FAILS(ENOENT, symlink("x", ""));
    FAILS(ENOENT, symlink("x", "new/"));
    FAILS(ENOENT, symlink("x", "missing/new"));
    FAILS(ENOENT, symlink("x", "gone/new"));
    FAILS(ENOTDIR, symlink("x", "file/new"));
    FAILS(ENOTDIR, symlink("x", "fifo/new"));
    FAILS(EFAULT, symlink(nowhere(), "new"));
    FAILS(EFAULT, symlink("x", nowhere()));
    FAILS(EBADF, symlinkat("x", -1, "new"));
    FAILS(ENAMETOOLONG, symlink("x", name_of_length(256)));
    FAILS(ENAMETOOLONG, symlink("x", path_of_length(4096, "new")));
    FAILS(ENAMETOOLONG, symlink(name_of_length(4096), "new"));
    OK(symlink(name_of_length(4095), "longest"));
    TEXT(name_of_length(4095), target_of("longest"));
    IS(4095, size_of("longest"));
    FAILS(ENAMETOOLONG, open("longest", O_RDONLY));
    OK(symlink(path_of_length(4095, "file"), "longpath"));
    OK(open("longpath", O_RDONLY));
    OK(symlink("x", name_of_length(255)));
    make_dir("closed", 0755);
    make_dir("hidden", 0666);
    be(&alice);
    FAILS_MARKING_NOTHING(EACCES, "closed", symlink("x", "closed/new"));
    FAILS(EACCES, symlink("x", "hidden/new"));
    OK(symlink("x", "mine"));
    TEXT("65534:65534 777", owner_of("mine"));
}

static void
readlink_errors(void)
{
    char text[16];

    group("readlink: errors");
    make_kinds();
    FAILS(EINVAL, readlink("file", text, 16));
    FAILS(EINVAL, readlink("dir", text, 16));
    FAILS(EINVAL, readlink("fifo", text, 16));
    FAILS(EINVAL, readlink("sock", text, 16));
    FAILS(EINVAL, readlink(".", text, 16));
    FAILS(EINVAL, syscall(SYS_readlinkat, AT_FDCWD, "link", text, 0));
    FAILS(ENOENT, readlink("missing", text, 16));
    FAILS(ENOENT, readlink("", text, 16));
    FAILS(ENOENT, readlink("gone/x", text, 16));
    FAILS(ENOTDIR, readlink("file/x", text, 16));
    FAILS(ENOTDIR, readlink("link/", text, 16));
    FAILS(EFAULT, readlink("link", nowhere(), 16));
    FAILS(ENAMETOOLONG, readlink(name_of_length(256), text, 16));
    make_dir("hidden", 0666);
    MUST(symlink("x", "hidden/l"));
    be(&alice);
    FAILS(EACCES, readlink("hidden/l", text, 16));
    IS(4, readlink("link", text, 16));
    IS(0, memcmp(text, "file", 4));
    IS(2, readlink("link", text, 2));
    IS(0, memcmp(text, "fi", 2));
}

static void
symlink_effects(void)
{
    struct stat st;
    int fd;

    group("symlink: what it makes");
    make_kinds();
    IS(S_IFLNK | 0777, lstat_of("link").st_mode);
    umask(0777);
    OK(symlink("dir", "todir"));
    umask(022);
    IS(S_IFLNK | 0777, lstat_of("todir").st_mode);
    IS(3, size_of("todir"));
    IS(1, links_of("todir"));
    TEXT("dir", target_of("todir"));
    MARKS("mc", ".", symlink("any target: \n\xff", "odd"));
    TEXT("any target: \n\xff", target_of("odd"));
    OK(stat("todir", &st));
    TRUE(S_ISDIR(st.st_mode));
    OK(stat("link", &st));
    IS(8, st.st_size);
    FAILS(ENOENT, stat("gone", &st));
    make("todir/inner", 0644, "inner");
    TEXT("inner", contents_of("dir/inner"));
    OK(unlink("todir/inner"));
    OK(symlink("../file", "dir/up"));
    TEXT("contents", contents_of("todir/up"));
    OK(symlink("todir/up", "chain"));
    TEXT("contents", contents_of("chain"));
    OK(chmod("link", 0600));
    IS(0600, mode_of("file"));
    IS(0777, mode_of("link"));
    OK(lchown("link", 3, 4));
    TEXT("3:4 777", owner_of("link"));
    TEXT("0:0 600", owner_of("file"));
    OK(chown("link", 7, 8));
    TEXT("3:4 777", owner_of("link"));
    TEXT("7:8 600", owner_of("file"));
    OK(truncate("link", 2));
    TEXT("co", contents_of("file"));
    OK(fd = open("link", O_PATH | O_NOFOLLOW));
    OK(fstat(fd, &st));
    TRUE(S_ISLNK(st.st_mode));
    char text[16] = {0};

    IS(4, readlinkat(fd, "", text, sizeof(text)));
    TEXT("file", text);
    OK(fchownat(fd, "", 9, 9, AT_EMPTY_PATH));
    TEXT("9:9 777", owner_of("link"));
    OK(close(fd));
    OK(rename("link", "renamed"));
    TEXT("file", target_of("renamed"));
    MARKS("", "file", unlink("renamed"));
    TRUE(exists("file"));
    make_dir("top", 0755);
    OK(symlink("/", "slash"));
    OK(stat("slash", &st));
    OK(symlink(".", "self"));
    TEXT("co", contents_of("self/self/self/file"));
    FAILS(ENOTDIR, rmdir("todir"));
}

static void
loops(void)
{
    char name[16], target[16];
    struct stat st;

    group("symlink: loops");
    MUST(symlink("b", "a"));
    MUST(symlink("a", "b"));
    MUST(symlink("self", "self"));
    make("file", 0644, "end");
    FAILS(ELOOP, open("a", O_RDONLY));
    FAILS(ELOOP, open("a", O_RDWR | O_CREAT, 0644));
    FAILS(ELOOP, open("self/x", O_RDONLY));
    FAILS(ELOOP, stat("a", &st));
    FAILS(ELOOP, stat("a/x", &st));
    OK(lstat("a", &st));
    FAILS(ELOOP, chmod("a", 0644));
    FAILS(ELOOP, chown("a", 0, 0));
    FAILS(ELOOP, truncate("a", 0));
    FAILS(ELOOP, mkdir("a/x", 0755));
    FAILS(EEXIST, mkdir("a", 0755));
    FAILS(ELOOP, rmdir("a/x"));
    FAILS(ENOTDIR, rmdir("a"));
    FAILS(ELOOP, unlink("a/x"));
    FAILS(ELOOP, link("a/x", "y"));
    FAILS(ELOOP, link("file", "a/x"));
    FAILS(ELOOP, symlink("x", "a/x"));
    FAILS(ELOOP, rename("a/x", "y"));
    FAILS(ELOOP, rename("file", "a/x"));
    FAILS(ELOOP, mkfifo("a/x", 0644));
    FAILS(ELOOP, readlink("a/x", name, sizeof(name)));
    FAILS(ELOOP, utimensat(AT_FDCWD, "a", NULL, 0));
    FAILS(ELOOP, access("a", F_OK));
    FAILS(ELOOP, chdir("a"));
    OK(utimensat(AT_FDCWD, "a", NULL, AT_SYMLINK_NOFOLLOW));
    MUST(symlink("file", "0"));
    for (int i = 1; i <= 41; i++) {
        snprintf(name, sizeof(name), "%d", i);
        snprintf(target, sizeof(target), "%d", i - 1);
        MUST(symlink(target, name));
    }
    TEXT("end", contents_of("39"));
    FAILS(ELOOP, open("40", O_RDONLY));
    FAILS(ELOOP, open("41", O_RDONLY));
    OK(rename("a", "c"));
    FAILS(ENOENT, open("b", O_RDONLY));
    OK(unlink("self"));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    symlink_errors();
    readlink_errors();
    symlink_effects();
    loops();
    return conform_end();
}
