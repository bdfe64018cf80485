/*
 * prog_conform_xattr - extended attributes.
 */
#include <linux/limits.h>
#include <sys/xattr.h>

#include "prog_conform.h"

static char value[XATTR_SIZE_MAX + 2];

/* The names a file has, "user.a,user.b,", sorted as they come; those of security left out. */
static const char *
names_of(const char *path)
{
    static char text[8192];
    char list[8192];
    ssize_t size = llistxattr(path, list, sizeof(list));

    text[0] = '\0';
    for (ssize_t i = 0; i < size; i += (ssize_t)strlen(list + i) + 1)
        if (strncmp(list + i, "security.selinux", 16) != 0)
            strcat(strcat(text, list + i), ",");
    return text;
}

/* The value as text. */
static const char *
value_of(const char *path, const char *name)
{
    static char text[256];
    ssize_t size = lgetxattr(path, name, text, sizeof(text) - 1);

    text[size < 0 ? 0 : size] = '\0';
    return size < 0 ? "(none)" : text;
}

static void
errors(void)
{
    char text[16];
    int fd;

    group("xattr: errors");
    make_kinds();
    FAILS(ENOENT, setxattr("missing", "user.a", "1", 1, 0));
    FAILS(ENOENT, setxattr("gone", "user.a", "1", 1, 0));
    FAILS(ENOTDIR, setxattr("file/x", "user.a", "1", 1, 0));
    FAILS(ENOENT, getxattr("missing", "user.a", text, 16));
    FAILS(ENOENT, listxattr("missing", text, 16));
    FAILS(ENOENT, removexattr("missing", "user.a"));
    FAILS(ENODATA, getxattr("file", "user.a", text, 16));
    FAILS(ENODATA, removexattr("file", "user.a"));
    FAILS(ENODATA, setxattr("file", "user.a", "1", 1, XATTR_REPLACE));
    FAILS(EOPNOTSUPP, setxattr("file", "a", "1", 1, 0));
    FAILS(EOPNOTSUPP, setxattr("file", "unknown.a", "1", 1, 0));
    FAILS(EOPNOTSUPP, setxattr("file", "userx.a", "1", 1, 0));
    FAILS(EOPNOTSUPP, setxattr("file", "system.other", "1", 1, 0));
    FAILS(EOPNOTSUPP, getxattr("file", "unknown.a", text, 16));
    FAILS(EOPNOTSUPP, getxattr("file", "system.other", text, 16));
    FAILS(EOPNOTSUPP, removexattr("file", "unknown.a"));
    FAILS(EINVAL, setxattr("file", "user.", "1", 1, 0));
    FAILS(EINVAL, getxattr("file", "user.", text, 16));
    FAILS(EINVAL, setxattr("file", "trusted.", "1", 1, 0));
    FAILS(EINVAL, setxattr("file", "security.", "1", 1, 0));
    FAILS(ERANGE, setxattr("file", "", "1", 1, 0));
    FAILS(ERANGE, getxattr("file", "", text, 16));
    FAILS(EINVAL, setxattr("file", "user.a", "1", 1, 8));
    FAILS(EFAULT, setxattr("file", nowhere(), "1", 1, 0));
    FAILS(EFAULT, setxattr("file", "user.a", nowhere(), 1, 0));
    FAILS(EBADF, fsetxattr(-1, "user.a", "1", 1, 0));
    FAILS(EBADF, fgetxattr(-1, "user.a", text, 16));
    FAILS(E2BIG, setxattr("file", "user.a", value, XATTR_SIZE_MAX + 1, 0));
    char name[300] = "user.";

    memset(name + 5, 'n', 250);
    OK(setxattr("file", name, "long", 4, 0));
    TEXT("long", value_of("file", name));
    OK(removexattr("file", name));
    name[255] = 'n';
    FAILS(ERANGE, setxattr("file", name, "long", 4, 0));
    FAILS(ERANGE, getxattr("file", name, text, 16));
    FAILS(ERANGE, removexattr("file", name));
    OK(setxattr("file", "user.a", "12345", 5, XATTR_CREATE));
    FAILS(EEXIST, setxattr("file", "user.a", "1", 1, XATTR_CREATE));
    FAILS(EEXIST, setxattr("file", "user.a", "1", 1, XATTR_CREATE | XATTR_REPLACE));
    FAILS(ENODATA, setxattr("file", "user.none", "1", 1, XATTR_CREATE | XATTR_REPLACE));
    OK(setxattr("file", "user.a", "12345", 5, XATTR_REPLACE));
    FAILS(ERANGE, getxattr("file", "user.a", text, 4));
    IS(5, getxattr("file", "user.a", text, 5));
    IS(5, getxattr("file", "user.a", NULL, 0));
    FAILS(ERANGE, listxattr("file", text, 6));
    IS(7, listxattr("file", text, 7));
    IS(7, listxattr("file", NULL, 0));
    OK(fd = open("file", O_PATH));
    FAILS(EBADF, fgetxattr(fd, "user.a", text, 16));
    OK(close(fd));
    /* Only files and directories have user attributes. */
    FAILS(EPERM, setxattr("fifo", "user.a", "1", 1, 0));
    FAILS(EPERM, setxattr("sock", "user.a", "1", 1, 0));
    FAILS(EPERM, setxattr("chr", "user.a", "1", 1, 0));
    FAILS(EPERM, setxattr("blk", "user.a", "1", 1, 0));
    FAILS(EPERM, lsetxattr("link", "user.a", "1", 1, 0));
    FAILS(ENODATA, getxattr("fifo", "user.a", text, 16));
    FAILS(ENODATA, lgetxattr("link", "user.a", text, 16));
    FAILS(EPERM, removexattr("fifo", "user.a"));
    OK(setxattr("fifo", "trusted.a", "1", 1, 0));
    OK(lsetxattr("link", "trusted.a", "1", 1, 0));
    TEXT("1", value_of("link", "trusted.a"));
    FAILS(ENODATA, getxattr("link", "trusted.a", text, 16));
}

static void
effects(void)
{
    int fd;

    group("xattr: what is kept");
    make_kinds();
    TEXT("", names_of("file"));
    OK(setxattr("file", "user.a", "one", 3, 0));
    OK(setxattr("file", "user.b", "", 0, 0));
    OK(setxattr("file", "user.c.d", "t\0o", 3, 0));
    TEXT("one", value_of("file", "user.a"));
    IS(0, getxattr("file", "user.b", NULL, 0));
    IS(3, getxattr("file", "user.c.d", value, 100));
    IS(0, memcmp(value, "t\0o", 3));
    IS(23, listxattr("file", NULL, 0));
    OK(setxattr("file", "user.a", "another, longer", 15, 0));
    TEXT("another, longer", value_of("file", "user.a"));
    OK(setxattr("file", "user.a", "", 0, 0));
    TEXT("", value_of("file", "user.a"));
    OK(removexattr("file", "user.a"));
    FAILS(ENODATA, getxattr("file", "user.a", NULL, 0));
    OK(removexattr("file", "user.c.d"));
    TEXT("user.b,", names_of("file"));
    FAILS(EOPNOTSUPP, setxattr("file", "USER.x", "1", 1, 0));
    OK(setxattr("file", "user.B", "B", 1, 0));
    IS(0, getxattr("file", "user.b", NULL, 0));
    TEXT("B", value_of("file", "user.B"));
    OK(setxattr("link", "user.l", "followed", 8, 0));
    TEXT("followed", value_of("file", "user.l"));
    OK(fd = open("file", O_RDONLY));
    OK(fsetxattr(fd, "user.f", "by fd", 5, 0));
    TEXT("by fd", value_of("file", "user.f"));
    OK(fremovexattr(fd, "user.f"));
    OK(close(fd));
    OK(setxattr("dir", "user.d", "dir", 3, 0));
    TEXT("dir", value_of("dir", "user.d"));
    OK(setxattr("file", "trusted.t", "t", 1, 0));
    OK(setxattr("file", "security.s", "s", 1, 0));
    TEXT("t", value_of("file", "trusted.t"));
    TEXT("s", value_of("file", "security.s"));
    OK(rename("file", "moved"));
    TEXT("t", value_of("moved", "trusted.t"));
    OK(link("moved", "linked"));
    TEXT("followed", value_of("linked", "user.l"));
    OK(setxattr("linked", "user.l", "shared", 6, 0));
    TEXT("shared", value_of("moved", "user.l"));
    OK(unlink("moved"));
    TEXT("shared", value_of("linked", "user.l"));
    OK(truncate("linked", 0));
    OK(truncate("linked", 100000));
    TEXT("shared", value_of("linked", "user.l"));
    OK(chmod("linked", 0600));
    OK(chown("linked", 1, 1));
    TEXT("shared", value_of("linked", "user.l"));
    OK(fd = open("linked", O_RDWR));
    OK(unlink("linked"));
    IS(6, fgetxattr(fd, "user.l", value, 100));
    OK(fsetxattr(fd, "user.l", "unlinked", 8, 0));
    IS(8, fgetxattr(fd, "user.l", value, 100));
    OK(close(fd));
    make("linked", 0644, "");
    TEXT("", names_of("linked"));
    OK(rename("dir", "dir2"));
    TEXT("dir", value_of("dir2", "user.d"));
}

/* ext4 keeps what fits in a block: 4 KiB with the names. */
static void
many_and_large(void)
{
    char name[32];
    int wrong = 0;

    group("xattr: many and large");
    make("file", 0644, "");
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "user.%d", i);
        if (setxattr("file", name, name, strlen(name), XATTR_CREATE) != 0)
            wrong++;
    }
    IS(0, wrong);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "user.%d", i);
        wrong += strcmp(name, value_of("file", name)) != 0;
    }
    IS(0, wrong);
    IS(10 * 7 + 50 * 8, listxattr("file", NULL, 0));
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "user.%d", i);
        wrong += removexattr("file", name) != 0;
    }
    IS(0, wrong);
    IS(0, listxattr("file", NULL, 0));
    memset(value, 'v', sizeof(value));
    static const size_t sizes[] = {1, 500, 1000, 1100, 3000, 10, 3500, 0};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        OK(setxattr("file", "user.v", value, sizes[i], 0));
        IS(sizes[i], getxattr("file", "user.v", value, sizeof(value) - 2));
    }
    OK(setxattr("file", "user.v", value, 3500, 0));
    OK(link("file", "linked"));
    IS(3500, getxattr("linked", "user.v", NULL, 0));
    OK(unlink("file"));
    IS(3500, getxattr("linked", "user.v", NULL, 0));
    OK(rename("linked", "file"));
    IS(3500, getxattr("file", "user.v", NULL, 0));
    OK(removexattr("file", "user.v"));
    int fd;

    OK(fd = open("file", O_RDWR));
    OK(setxattr("file", "user.v", value, 3500, 0));
    OK(unlink("file"));
    IS(3500, fgetxattr(fd, "user.v", NULL, 0));
    IS(7, flistxattr(fd, NULL, 0));
    OK(fsetxattr(fd, "user.v", value, 3000, 0));
    IS(3000, fgetxattr(fd, "user.v", NULL, 0));
    OK(fremovexattr(fd, "user.v"));
    OK(fsetxattr(fd, "user.w", value, 2000, 0));
    IS(2000, fgetxattr(fd, "user.w", NULL, 0));
    OK(close(fd));
    make("file", 0644, "");
    IS(0, listxattr("file", NULL, 0));
    /* More than ext4 has room for: kept whole, or refused whole. */
    if (setxattr("file", "user.v", value, XATTR_SIZE_MAX, 0) == 0)
        IS(XATTR_SIZE_MAX, getxattr("file", "user.v", value, XATTR_SIZE_MAX));
    else {
        TRUE(errno == ENOSPC);
        FAILS(ENODATA, getxattr("file", "user.v", NULL, 0));
    }
}

static void
permissions(void)
{
    char text[32];

    group("xattr: permissions");
    make("file", 0644, "");
    make("private", 0600, "");
    make("secret", 0222, "");
    make("open", 0666, "");
    make_dir("dir", 0755);
    make_dir("sticky", 01777);
    make_dir("hidden", 0666);
    make("hidden/f", 0666, "");
    MUST(setxattr("file", "user.a", "1", 1, 0));
    MUST(setxattr("file", "trusted.t", "t", 1, 0));
    MUST(setxattr("file", "security.s", "s", 1, 0));
    MUST(setxattr("private", "user.a", "1", 1, 0));
    be(&alice);
    IS(1, getxattr("file", "user.a", text, 16));
    FAILS_MARKING_NOTHING(EACCES, "file", setxattr("file", "user.b", "1", 1, 0));
    FAILS(EACCES, setxattr("file", "user.a", "1", 1, XATTR_CREATE));
    FAILS(EACCES, removexattr("file", "user.a"));
    FAILS(EACCES, removexattr("file", "user.none"));
    FAILS(EACCES, getxattr("private", "user.a", text, 16));
    FAILS(EACCES, getxattr("private", "user.none", text, 16));
    FAILS(EACCES, getxattr("secret", "user.none", text, 16));
    OK(setxattr("secret", "user.x", "1", 1, 0));
    FAILS(EACCES, getxattr("hidden/f", "user.a", text, 16));
    FAILS(ENODATA, getxattr("file", "trusted.t", text, 16));
    FAILS(EPERM, setxattr("file", "trusted.t", "x", 1, 0));
    FAILS(EPERM, setxattr("open", "trusted.t", "x", 1, 0));
    FAILS(EPERM, removexattr("file", "trusted.t"));
    IS(1, getxattr("file", "security.s", text, 16));
    FAILS(EPERM, setxattr("file", "security.s", "x", 1, 0));
    FAILS(EPERM, removexattr("file", "security.s"));
    OK(setxattr("open", "user.a", "1", 1, 0));
    OK(removexattr("open", "user.a"));
    FAILS(EACCES, setxattr("dir", "user.a", "1", 1, 0));
    FAILS(EPERM, setxattr("sticky", "user.a", "1", 1, 0));
    /* A list names what one may read the value of: trusted is left out. */
    TEXT("user.a,security.s,", names_of("file"));
    OK(listxattr("private", text, 32));
    make("mine", 0600, "");
    OK(setxattr("mine", "user.a", "1", 1, 0));
    FAILS(EPERM, setxattr("mine", "trusted.a", "1", 1, 0));
    MUST(chmod("mine", 0400));
    FAILS(EACCES, setxattr("mine", "user.a", "2", 1, 0));
    OK(getxattr("mine", "user.a", text, 1));
    be(&root);
    MUST(chown("sticky", 65534, 65534));
    be(&alice);
    OK(setxattr("sticky", "user.a", "1", 1, 0));
    be(&bob);
    FAILS(EPERM, setxattr("sticky", "user.a", "1", 1, 0));
    be(&root);
    OK(setxattr("sticky", "user.b", "1", 1, 0));
    OK(setxattr("private", "user.b", "1", 1, 0));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    effects();
    many_and_large();
    permissions();
    return conform_end();
}
