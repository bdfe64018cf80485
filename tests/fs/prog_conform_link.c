/*
 * prog_conform_link - link and unlink.
 */
#include <dirent.h>

#include "prog_conform.h"

static void
link_errors(void)
{
    group("link: errors");
    make_kinds();
    FAILS(EEXIST, link("file", "dir"));
    FAILS(EEXIST, link("file", "fifo"));
    FAILS(EEXIST, link("file", "link"));
    FAILS(EEXIST, link("file", "gone"));
    FAILS(EEXIST, link("file", "file"));
    FAILS(EEXIST, link("file", "."));
    FAILS(ENOENT, link("missing", "new"));
    FAILS(ENOENT, link("file", "missing/new"));
    FAILS(ENOENT, link("file", "new/"));
    FAILS(ENOENT, link("", "new"));
    FAILS(ENOENT, link("file", ""));
    FAILS(ENOENT, link("file", "gone/new"));
    FAILS(ENOTDIR, link("file/x", "new"));
    FAILS(ENOTDIR, link("file/", "new"));
    FAILS(ENOTDIR, link("file", "fifo/new"));
    FAILS(ENOTDIR, link("file", "file/new"));
    FAILS(EPERM, link("dir", "new"));
    FAILS(EPERM, link(".", "new"));
    FAILS(EPERM, link("dir/.", "new"));
    FAILS(EXDEV, link("/proc/self/status", "new"));
    FAILS(EFAULT, link(nowhere(), "new"));
    FAILS(EFAULT, link("file", nowhere()));
    FAILS(EINVAL, linkat(AT_FDCWD, "file", AT_FDCWD, "new", AT_REMOVEDIR));
    FAILS(EBADF, linkat(-1, "file", AT_FDCWD, "new", 0));
    FAILS(EBADF, linkat(AT_FDCWD, "file", -1, "new", 0));
    FAILS(ENOENT, linkat(AT_FDCWD, "gone", AT_FDCWD, "new", AT_SYMLINK_FOLLOW));
    FAILS(ENAMETOOLONG, link("file", name_of_length(256)));
    FAILS(ENAMETOOLONG, link(name_of_length(256), "new"));
    FAILS(ENAMETOOLONG, link("file", path_of_length(4096, "new")));
    FAILS_MARKING_NOTHING(EEXIST, "file", link("file", "dir"));
    FAILS_MARKING_NOTHING(EEXIST, ".", link("file", "dir"));
    TRUE(!exists("new"));
    IS(1, links_of("file"));
}

static void
link_effects(void)
{
    struct stat st;
    int fd;

    group("link: what it does");
    make_kinds();
    MARKS("c", "file", link("file", "file2"));
    MARKS("mc", ".", link("file", "file3"));
    IS(3, links_of("file"));
    IS(3, links_of("file2"));
    TRUE(same_file("file", "file2"));
    TRUE(same_file("file", "file3"));
    OK(link("fifo", "fifo2"));
    TRUE(same_file("fifo", "fifo2"));
    OK(link("sock", "sock2"));
    OK(link("blk", "blk2"));
    OK(link("link", "link2"));
    IS(S_IFLNK | 0777, lstat_of("link2").st_mode);
    IS(2, links_of("link"));
    OK(link("gone", "gone2"));
    OK(linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    TRUE(same_file("followed", "file"));
    IS(4, links_of("file"));
    OK(chmod("file2", 0604));
    IS(0604, mode_of("file"));
    OK(chown("file3", 5, 6));
    TEXT("5:6 604", owner_of("file2"));
    OK(fd = open("file2", O_WRONLY | O_APPEND));
    IS(5, write(fd, " more", 5));
    TEXT("contents more", contents_of("file3"));
    IS(13, size_of("file"));
    MARKS("mc", "file", write(fd, "!", 1));
    OK(close(fd));
    OK(truncate("file3", 3));
    TEXT("con", contents_of("file"));
    MARKS("c", "file", unlink("file2"));
    IS(3, links_of("file"));
    OK(rename("followed", "dir/moved"));
    TRUE(same_file("file", "dir/moved"));
    OK(unlink("file"));
    TEXT("con", contents_of("dir/moved"));
    IS(2, links_of("dir/moved"));
    OK(fd = open("dir/moved", O_RDWR));
    OK(unlink("file3"));
    OK(fstat(fd, &st));
    IS(1, st.st_nlink);
    OK(unlink("dir/moved"));
    OK(fstat(fd, &st));
    IS(0, st.st_nlink);
    IS(3, st.st_size);
    OK(close(fd));
}

static void
link_permissions(void)
{
    group("link: permissions");
    make_dir("closed", 0755);
    make_dir("hidden", 0666);
    make_dir("open", 0777);
    make("file", 0666, "");
    make("private", 0600, "");
    make("hidden/f", 0666, "");
    MUST(symlink("x", "symlink"));
    be(&alice);
    make("mine", 0644, "");
    FAILS(EACCES, link("mine", "closed/new"));
    FAILS(EACCES, link("mine", "hidden/new"));
    FAILS(EACCES, link("hidden/f", "new"));
    OK(link("mine", "open/new"));
    /* /proc/sys/fs/protected_hardlinks may forbid links to what one cannot write. */
    int fd = open("/proc/sys/fs/protected_hardlinks", O_RDONLY);
    char protected = '0';

    if (fd >= 0)
        MUST(read(fd, &protected, 1));
    OK(link("file", "open/file"));
    if (protected == '1')
        FAILS(EPERM, link("private", "open/private"));
    else
        OK(link("private", "open/private"));
    be(&root);
    IS(2, links_of("mine"));
}

static void
many_links(void)
{
    char name[32];
    int made = 0;

    group("link: many");
    make("file", 0644, "shared");
    make_dir("d", 0755);
    while (made < 3000) {
        snprintf(name, sizeof(name), "%s%d", made % 2 ? "d/" : "", made);
        if (link("file", name) != 0)
            break;
        made++;
    }
    IS(3000, made);
    IS(3001, links_of("file"));
    OK(chmod("file", 0600));
    IS(0600, mode_of("d/2999"));
    TEXT("shared", contents_of("d/2999"));
    while (made-- > 0) {
        snprintf(name, sizeof(name), "%s%d", made % 2 ? "d/" : "", made);
        if (unlink(name) != 0)
            break;
    }
    IS(-1, made);
    IS(1, links_of("file"));
}

static void
link_from_nothing(void)
{
    char path[64];
    int fd;

    group("link: by descriptor");
    make("file", 0644, "contents");
    OK(fd = open("file", O_RDONLY));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    OK(linkat(AT_FDCWD, path, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
    TRUE(same_file("file", "again"));
    OK(linkat(fd, "", AT_FDCWD, "empty", AT_EMPTY_PATH));
    TRUE(same_file("file", "empty"));
    MUST(unlink("file"));
    MUST(unlink("again"));
    MUST(unlink("empty"));
    FAILS(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "new", AT_SYMLINK_FOLLOW));
    FAILS(ENOENT, linkat(fd, "", AT_FDCWD, "new", AT_EMPTY_PATH));
    OK(close(fd));
    /* O_TMPFILE is optional; where it is there it can be linked in. */
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        IS(1, write(fd, "t", 1));
        OK(linkat(AT_FDCWD, path, AT_FDCWD, "tmp", AT_SYMLINK_FOLLOW));
        TEXT("t", contents_of("tmp"));
        OK(close(fd));
    } else
        TRUE(errno == EOPNOTSUPP || errno == EISDIR);
}

static void
unlink_errors(void)
{
    group("unlink: errors");
    make_kinds();
    FAILS(ENOENT, unlink("missing"));
    FAILS(ENOENT, unlink("missing/x"));
    FAILS(ENOENT, unlink(""));
    FAILS(ENOENT, unlink("gone/x"));
    FAILS(ENOTDIR, unlink("file/"));
    FAILS(ENOTDIR, unlink("link/"));
    FAILS(ENOTDIR, unlink("file/x"));
    FAILS(ENOTDIR, unlink("fifo/x"));
    FAILS(EISDIR, unlink("dir"));
    FAILS(EISDIR, unlink("dir/"));
    FAILS(EISDIR, unlink("."));
    FAILS(EISDIR, unlink(".."));
    FAILS(EISDIR, unlink("/"));
    FAILS(EFAULT, unlink(nowhere()));
    FAILS(ENAMETOOLONG, unlink(name_of_length(256)));
    FAILS(ENAMETOOLONG, unlink(path_of_length(4096, "file")));
    FAILS(EBADF, unlinkat(-1, "file", 0));
    be(&alice);
    FAILS(EISDIR, unlink("dir"));
    be(&root);
    MARKS("mc", ".", unlink("fifo"));
    OK(unlink("sock"));
    OK(unlink("chr"));
    OK(unlink("blk"));
    OK(unlink("link"));
    TRUE(exists("file"));
    OK(unlink("gone"));
    MARKS("mc", ".", unlink("file"));
    FAILS(ENOENT, unlink("file"));
    IS(0, rmdir("dir"));
}

static void
unlink_permissions(void)
{
    static const char *const kinds[] = {"file", "fifo", "sock", "chr", "blk", "link"};
    char name[64];

    group("unlink: permissions and sticky directories");
    make_dir("closed", 0755);
    make("closed/f", 0666, "");
    make_dir("hidden", 0666);
    make("hidden/f", 0666, "");
    make_dir("wx", 0733);
    make("wx/f", 0, "");
    make_dir("sticky", 01777);
    make_kinds();
    for (size_t i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "sticky/%s", kinds[i]);
        MUST(rename(kinds[i], name));
    }
    be(&alice);
    FAILS_MARKING_NOTHING(EACCES, "closed/f", unlink("closed/f"));
    FAILS(EACCES, unlink("hidden/f"));
    OK(unlink("wx/f"));
    for (size_t i = 0; i < 6; i++) {
        be(&alice);
        snprintf(name, sizeof(name), "sticky/%s", kinds[i]);
        FAILS(EPERM, unlink(name));
        FAILS(EPERM, rename(name, "sticky/elsewhere"));
        FAILS(EPERM, rename(name, "elsewhere"));
        be(&root);
        MUST(lchown(name, 65534, 65534));
        be(&carol);
        FAILS(EPERM, unlink(name));
        be(&alice);
        OK(unlink(name));
    }
    make("sticky/a", 0666, "");
    be(&root);
    MUST(chown("sticky", 65533, 65533));
    be(&bob);
    OK(unlink("sticky/a"));
    be(&alice);
    make("sticky/a", 0666, "");
    be(&root);
    OK(unlink("sticky/a"));
}

static int
count_names(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void
unlinked_but_open(size_t size)
{
    static char block[600000], back[600000];
    struct stat st;
    char path[64];
    int fd, again;

    memset(block, 'b', size);
    OK(fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
    IS(size, write(fd, block, size));
    OK(unlink("f"));
    FAILS(ENOENT, open("f", O_RDONLY));
    IS(2, count_names("."));
    OK(fstat(fd, &st));
    IS(0, st.st_nlink);
    IS(size, st.st_size);
    IS(size, pread(fd, back, size + 16, 0));
    IS(0, memcmp(block, back, size));
    IS(3, pwrite(fd, "end", 3, (off_t)size));
    IS(3, pwrite(fd, "beg", 3, 0));
    IS(size + 3, pread(fd, back, size + 16, 0));
    IS(0, memcmp(back, "beg", 3));
    IS(0, memcmp(back + size, "end", 3));
    OK(fchmod(fd, 0600));
    OK(fchown(fd, 65534, 65534));
    OK(futimens(fd, (struct timespec[]){{1, 2}, {3, 4}}));
    OK(fstat(fd, &st));
    IS(S_IFREG | 0600, st.st_mode);
    IS(65534, st.st_uid);
    IS(4, st.st_mtim.tv_nsec);
    OK(fsync(fd));
    make("f", 0644, "another");
    IS(7, size_of("f"));
    TRUE(lstat_of("f").st_ino != st.st_ino);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    OK(again = open(path, O_RDWR));
    IS(3, pread(again, back, 3, 0));
    IS(0, memcmp(back, "beg", 3));
    OK(close(fd));
    OK(ftruncate(again, 100000));
    OK(fstat(again, &st));
    IS(100000, st.st_size);
    OK(ftruncate(again, 2));
    IS(2, pread(again, back, 16, 0));
    OK(close(again));
    TEXT("another", contents_of("f"));
    OK(unlink("f"));
}

static void
replaced_but_open(void)
{
    int fd;
    char text[8] = {0};

    group("unlink: replaced by rename while open");
    make("old", 0644, "old");
    make("new", 0644, "new");
    OK(fd = open("old", O_RDWR));
    OK(rename("new", "old"));
    IS(3, pread(fd, text, 8, 0));
    TEXT("old", text);
    IS(3, pwrite(fd, "OLD", 3, 0));
    TEXT("new", contents_of("old"));
    OK(close(fd));
    TEXT("new", contents_of("old"));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    link_errors();
    link_effects();
    link_permissions();
    many_links();
    link_from_nothing();
    unlink_errors();
    unlink_permissions();
    group("unlink: a small file still open");
    unlinked_but_open(10);
    group("unlink: a large file still open");
    unlinked_but_open(500000);
    group("unlink: a file of three bytes still open");
    unlinked_but_open(3);
    replaced_but_open();
    return conform_end();
}
