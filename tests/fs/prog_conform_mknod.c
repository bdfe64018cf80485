/*
 * prog_conform_mknod - mknod and mkfifo.
 */
#include <sys/sysmacros.h>

#include "prog_conform.h"

static void
errors(void)
{
    group("mknod: errors");
    make_kinds();
    FAILS(EEXIST, mkfifo("file", 0644));
    FAILS(EEXIST, mkfifo("dir", 0644));
    FAILS(EEXIST, mkfifo("fifo", 0644));
    FAILS(EEXIST, mkfifo("link", 0644));
    FAILS(EEXIST, mkfifo("gone", 0644));
    FAILS(EEXIST, mknod("sock", S_IFREG | 0644, 0));
    FAILS(EEXIST, mknod("chr", S_IFCHR | 0644, makedev(1, 3)));
    FAILS(EEXIST, mkfifo(".", 0644));
    FAILS(ENOENT, mkfifo("", 0644));
    FAILS(ENOENT, mkfifo("new/", 0644));
    FAILS(ENOENT, mkfifo("missing/fifo", 0644));
    FAILS(ENOENT, mknod("gone/fifo", S_IFREG, 0));
    FAILS(ENOTDIR, mkfifo("file/fifo", 0644));
    FAILS(ENOTDIR, mknod("fifo/fifo", S_IFREG, 0));
    FAILS(EPERM, mknod("d", S_IFDIR | 0755, 0));
    FAILS(EINVAL, mknod("d", S_IFLNK | 0755, 0));
    FAILS(EINVAL, mknod("d", 0130000, 0));
    FAILS(EFAULT, mkfifo(nowhere(), 0644));
    FAILS(EBADF, mkfifoat(-1, "f", 0644));
    FAILS(ENOTDIR, mknodat(open("file", O_RDONLY), "f", S_IFIFO, 0));
    FAILS(ENAMETOOLONG, mkfifo(name_of_length(256), 0644));
    FAILS(ENAMETOOLONG, mknod(name_of_length(256), S_IFREG, 0));
    FAILS(ENAMETOOLONG, mkfifo(path_of_length(4096, "d"), 0755));
    OK(mkfifo(name_of_length(255), 0644));
    make_dir("closed", 0755);
    make_dir("hidden", 0666);
    be(&alice);
    FAILS_MARKING_NOTHING(EACCES, "closed", mkfifo("closed/f", 0644));
    FAILS(EACCES, mkfifo("hidden/f", 0644));
    FAILS(EPERM, mknod("c", S_IFCHR | 0644, makedev(1, 3)));
    FAILS(EPERM, mknod("b", S_IFBLK | 0644, makedev(7, 0)));
    OK(mknod("p", S_IFIFO | 0644, 0));
    OK(mknod("s", S_IFSOCK | 0644, 0));
    OK(mknod("r", S_IFREG | 0644, 0));
    OK(mknod("z", 0644, 0));
    IS(S_IFREG | 0644, lstat_of("z").st_mode);
    TEXT("65534:65534 644", owner_of("p"));
}

static void
effects(void)
{
    static const struct {
        mode_t kind;
        dev_t device;
    } kinds[] = {
        {S_IFREG, 0}, {S_IFIFO, 0}, {S_IFSOCK, 0}, {S_IFCHR, 0x103}, {S_IFBLK, 0x7fe}};
    char name[32];

    group("mknod: what it makes");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        for (unsigned mode = 0; mode <= 07777; mode += 0777) {
            snprintf(name, sizeof(name), "%zu-%o", i, mode);
            umask(0);
            OK(mknod(name, kinds[i].kind | mode, kinds[i].device));
            IS(kinds[i].kind | mode, lstat_of(name).st_mode);
            IS(kinds[i].device, lstat_of(name).st_rdev);
            IS(1, links_of(name));
            IS(0, size_of(name));
            IS(0, lstat_of(name).st_blocks);
            MUST(unlink(name));
            umask(0137);
            OK(mknod(name, kinds[i].kind | mode, kinds[i].device));
            IS(kinds[i].kind | (mode & ~0137u), lstat_of(name).st_mode);
        }
    }
    umask(022);
    OK(mknod("large", S_IFCHR | 0600, makedev(511, 1048575)));
    IS(511, major(lstat_of("large").st_rdev));
    IS(1048575, minor(lstat_of("large").st_rdev));
    OK(mknod("block", S_IFBLK | 0600, makedev(4095, 255)));
    IS(4095, major(lstat_of("block").st_rdev));
    OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    OK(write(open("null", O_WRONLY), "x", 1));
    OK(mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
    char byte = 1;

    IS(1, read(open("zero", O_RDONLY), &byte, 1));
    IS(0, byte);
    OK(mknod("nodevice", S_IFCHR | 0666, makedev(300, 3)));
    FAILS(ENXIO, open("nodevice", O_RDONLY));
    MARKS("mc", ".", mkfifo("f", 0644));
    MARKS("mc", ".", mknod("c", S_IFCHR | 0644, makedev(1, 3)));
    MARKS("mc", ".", unlink("c"));
    OK(rename("null", "moved"));
    IS(0x103, lstat_of("moved").st_rdev);
    OK(link("moved", "linked"));
    IS(0x103, lstat_of("linked").st_rdev);
    IS(2, links_of("moved"));
    TRUE(same_file("moved", "linked"));
    OK(chmod("linked", 0640));
    IS(0640, mode_of("moved"));
    FAILS(EINVAL, truncate("f", 0));
    FAILS(EINVAL, truncate("f", 5));
    FAILS(EINVAL, truncate("large", 5));
}

static void
sends(void)
{
    char text[16] = {0};
    int out, in;
    pid_t child;

    group("mknod: a fifo between processes");
    OK(mkfifo("p", 0600));
    MUST(child = fork());
    if (child == 0) {
        out = open("p", O_WRONLY);
        _exit(write(out, "message", 7) == 7 ? 0 : 1);
    }
    OK(in = open("p", O_RDONLY));
    IS(7, read(in, text, sizeof(text)));
    TEXT("message", text);
    IS(0, read(in, text, sizeof(text)));
    FAILS(ESPIPE, lseek(in, 0, SEEK_SET));
    FAILS(EINVAL, ftruncate(in, 0));
    FAILS(EINVAL, fsync(in));
    MUST(waitpid(child, NULL, 0));
    OK(out = open("p", O_WRONLY | O_NONBLOCK));
    OK(close(in));
    FAILS(EPIPE, write(out, "x", 1));
    OK(unlink("p"));
    TRUE(!exists("p"));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    effects();
    sends();
    return conform_end();
}
