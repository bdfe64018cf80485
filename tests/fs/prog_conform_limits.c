/*
 * prog_conform_limits - names and paths at their limits, in every call; trees deeper than a path
 * can say.
 */
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "prog_conform.h"

static void
name_max(void)
{
    struct stat st;
    char text[8];

    group("limits: NAME_MAX");
    make("file", 0644, "contents");
    for (size_t length = 254; length <= 256; length++) {
        const char *name = name_of_length(length);
        int error = length > 255 ? ENAMETOOLONG : 0;
        int absent = length > 255 ? ENAMETOOLONG : ENOENT;
        char other[300];
        char what[64];

        snprintf(other, sizeof(other), "Y%.298s", name + 1);
#define CASE(wanted, call)                                                         \
    (snprintf(what, sizeof(what), "%.40s, name of %zu", #call, length), errno = 0, \
     report_errors(what, wanted, (call) == -1 ? errno : 0))
        CASE(absent, stat(name, &st));
        CASE(absent, unlink(name));
        CASE(absent, rmdir(name));
        CASE(absent, chmod(name, 0644));
        CASE(absent, chown(name, 0, 0));
        CASE(absent, truncate(name, 0));
        CASE(absent, access(name, F_OK));
        CASE(absent, readlink(name, text, 8));
        CASE(absent, utimensat(AT_FDCWD, name, NULL, 0));
        CASE(absent, chdir(name));
        CASE(absent, getxattr(name, "user.a", NULL, 0));
        CASE(absent, open(name, O_RDONLY));
        CASE(absent, rename(name, other));
        CASE(absent, link(name, other));
        CASE(error, mkdir(name, 0755));
        CASE(error, rmdir(name));
        CASE(error, symlink("x", name));
        CASE(error, unlink(name));
        CASE(error, mkfifo(name, 0644));
        CASE(error, rename(name, other));
        CASE(error, unlink(other));
        CASE(error, link("file", name));
        CASE(error, rename(name, other));
        CASE(error, link(other, name));
        CASE(error, unlink(name));
        CASE(error, unlink(other));
        CASE(error, open(name, O_RDWR | O_CREAT | O_EXCL, 0644));
        CASE(error, open(name, O_RDWR));
        CASE(error, truncate(name, 10));
        CASE(error, setxattr(name, "user.a", "1", 1, 0));
        CASE(error, rename("file", name));
        if (!error)
            MUST(rename(name, "file"));
    }
    /* Bytes count, not letters. */
    char bytes[260] = "";

    for (int i = 0; i < 127; i++)
        strcat(bytes, "\xc3\xa4");
    OK(mkdir(bytes, 0755));
    strcat(bytes, "x");
    OK(mkdir(bytes, 0755));
    strcat(bytes, "x");
    FAILS(ENAMETOOLONG, mkdir(bytes, 0755));
}

static void
path_max(void)
{
    struct stat st;

    group("limits: PATH_MAX");
    make("file", 0644, "contents");
    make_dir("dir", 0755);
    for (size_t length = 4093; length <= 4097; length++) {
        int error = length > 4095 ? ENAMETOOLONG : 0;
        char what[64];

        CASE(error, stat(path_of_length(length, "file"), &st));
        CASE(error, open(path_of_length(length, "file"), O_RDWR));
        CASE(error, chmod(path_of_length(length, "file"), 0644));
        CASE(error, mkdir(path_of_length(length, "made"), 0755));
        CASE(error, rmdir(path_of_length(length, "made")));
        CASE(error, symlink("x", path_of_length(length, "made")));
        CASE(error, unlink(path_of_length(length, "made")));
        CASE(error, chdir(path_of_length(length, "dir")));
        if (!error)
            MUST(chdir(".."));
    }
}

/* Goes down `depth` directories of long names from here, making them. */
static void
descend(int depth, const char *name)
{
    for (int i = 0; i < depth; i++) {
        MUST(mkdir(name, 0755));
        MUST(chdir(name));
    }
}

static void
deep(void)
{
    const int depth = 40;
    char name[256], cwd[PATH_MAX];
    struct stat st;
    int top, fd;

    group("limits: a tree past PATH_MAX");
    memset(name, 'n', 200);
    name[200] = '\0';
    OK(top = open(".", O_RDONLY));
    descend(depth, name);
    TRUE(getcwd(cwd, sizeof(cwd)) == NULL && (errno == ENAMETOOLONG || errno == ERANGE));
    make("file", 0644, "deep");
    TEXT("deep", contents_of("file"));
    OK(symlink("file", "link"));
    TEXT("deep", contents_of("link"));
    OK(link("file", "hard"));
    IS(2, links_of("file"));
    OK(rename("hard", "renamed"));
    OK(mkdir("inner", 0755));
    OK(rename("renamed", "inner/renamed"));
    TEXT("deep", contents_of("inner/renamed"));
    OK(setxattr("file", "user.a", "1", 1, 0));
    OK(chmod("file", 0600));
    OK(truncate("file", 100000));
    IS(100000, size_of("inner/renamed"));
    OK(fd = open("file", O_RDWR));
    OK(mknod("fifo", S_IFIFO | 0644, 0));
    IS(0, system("test \"$(ls | wc -l)\" = 4"));
    OK(unlink("file"));
    IS(3, pwrite(fd, "abc", 3, 99000));
    OK(close(fd));
    OK(fchdir(top));
    /* The whole tree elsewhere, with somebody deep in it. */
    OK(mkdir("other", 0755));
    char to[300];

    snprintf(to, sizeof(to), "other/%s", name);
    OK(rename(name, to));
    OK(chdir("other"));
    for (int i = 0; i < depth; i++)
        if (chdir(name) != 0)
            broken("chdir", __FILE__, i);
    OK(stat("inner/renamed", &st));
    IS(100000, st.st_size);
    OK(chdir(".."));
    OK(fchdir(top));
    IS(0, system("test \"$(find . | wc -l)\" = 46"));
    IS(0, system("rm -rf other"));
    TRUE(!exists("other"));
    OK(close(top));

    group("limits: a tree of a thousand levels");
    OK(top = open(".", O_RDONLY));
    descend(1000, "d");
    make("file", 0644, "bottom");
    TEXT("bottom", contents_of("file"));
    OK(fchdir(top));
    OK(rename("d", "e"));
    OK(chdir("e"));
    int levels = 1;

    while (chdir("d") == 0)
        levels++;
    IS(1000, levels);
    TEXT("bottom", contents_of("file"));
    OK(fchdir(top));
    IS(0, system("rm -rf e"));
    TRUE(!exists("e"));
}

static void
many(void)
{
    char name[32];
    int wrong = 0;

    group("limits: many open files and directories");
    for (int i = 0; i < 900; i++) {
        snprintf(name, sizeof(name), "%d", i);
        wrong += open(name, O_RDWR | O_CREAT, 0644) < 0;
        wrong += unlink(name) != 0;
    }
    IS(0, wrong);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        wrong += mkdir(name, 0755) != 0;
    }
    IS(0, wrong);
    IS(2002, links_of("."));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    name_max();
    path_max();
    deep();
    many();
    return conform_end();
}
