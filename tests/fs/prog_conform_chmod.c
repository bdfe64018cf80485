/*
 * prog_conform_chmod - chmod, fchmod, fchmodat; and what takes set-id bits away.
 */
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "prog_conform.h"

static void
errors(void)
{
    int fd;

    group("chmod: errors");
    make_kinds();
    FAILS(ENOENT, chmod("missing", 0644));
    FAILS(ENOENT, chmod("missing/x", 0644));
    FAILS(ENOENT, chmod("", 0644));
    FAILS(ENOENT, chmod("gone", 0644));
    FAILS(ENOTDIR, chmod("file/x", 0644));
    FAILS(ENOTDIR, chmod("file/", 0644));
    FAILS(EFAULT, chmod(nowhere(), 0644));
    FAILS(EBADF, fchmod(-1, 0644));
    FAILS(EBADF, fchmodat(-1, "file", 0644, 0));
    FAILS(ENAMETOOLONG, chmod(name_of_length(256), 0644));
    FAILS(ENAMETOOLONG, chmod(path_of_length(4096, "file"), 0644));
    FAILS(EOPNOTSUPP, fchmodat(AT_FDCWD, "link", 0644, AT_SYMLINK_NOFOLLOW));
    make_dir("hidden", 0666);
    make("hidden/f", 0644, "");
    MUST(chown("hidden/f", 65534, 65534));
    be(&alice);
    FAILS(EACCES, chmod("hidden/f", 0600));
    FAILS_MARKING_NOTHING(EPERM, "file", chmod("file", 0666));
    FAILS(EPERM, chmod("dir", 0777));
    FAILS(EPERM, chmod("fifo", 0777));
    FAILS(EPERM, chmod("link", 0666));
    FAILS(EPERM, chmod("file", 0644));
    OK(fd = open("file", O_RDONLY));
    FAILS(EPERM, fchmod(fd, 0666));
    IS(0644, mode_of("file"));
    be(&root);
    MUST(chown("file", 65534, 65533));
    be(&bob);
    FAILS(EPERM, chmod("file", 0666));
    be(&alice);
    OK(chmod("file", 0600));
}

static void
effects(void)
{
    static const char *const kinds[] = {"file", "dir", "fifo", "sock", "chr", "blk"};
    static const mode_t modes[] = {0,     0777, 01777, 02777, 04777,
                                   07777, 0123, 0456,  06711};
    int fd;

    group("chmod: what it does");
    make_kinds();
    umask(0777);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        mode_t kind = lstat_of(kinds[i]).st_mode & S_IFMT;

        for (size_t j = 0; j < sizeof(modes) / sizeof(*modes); j++) {
            OK(chmod(kinds[i], modes[j]));
            IS(kind | modes[j], lstat_of(kinds[i]).st_mode);
        }
    }
    umask(022);
    OK(chmod("file", 0100644));
    IS(S_IFREG | 0644, lstat_of("file").st_mode);
    MARKS("c", "file", chmod("file", 0600));
    MARKS("c", "file", chmod("file", 0600));
    MARKS("c", "dir", chmod("dir", 0700));
    MARKS("", ".", chmod("dir", 0755));
    OK(fd = open("file", O_RDONLY));
    MARKS("c", "file", fchmod(fd, 0640));
    IS(0640, mode_of("file"));
    OK(chmod("file", 0));
    char byte;

    /* Rights are those of the opening. */
    IS(1, read(fd, &byte, 1));
    OK(close(fd));
    OK(fchmodat(AT_FDCWD, "link", 0604, 0));
    IS(0604, mode_of("file"));
    /* A file of a foreign group gets no setgid bit from its owner. */
    MUST(chown("file", 65534, 65531));
    be(&alice);
    OK(chmod("file", 02755));
    IS(0755, mode_of("file"));
    OK(chmod("file", 06755));
    IS(04755, mode_of("file"));
    OK(chmod("file", 01644));
    IS(01644, mode_of("file"));
    be(&root);
    MUST(chown("dir", 65534, 65531));
    be(&alice);
    OK(chmod("dir", 03755));
    IS(01755, mode_of("dir"));
    be(&root);
    MUST(chown("file", 65532, 65534));
    be(&carol);
    OK(chmod("file", 02755));
    IS(02755, mode_of("file"));
    be(&root);
    MUST(chown("file", 65534, 65531));
    OK(chmod("file", 02755));
    IS(02755, mode_of("file"));
}

/* As a program asks that wants the mode and nothing else, stat -c %a for one. */
static mode_t
mode_alone(const char *path)
{
    struct statx got;

    MUST(statx(AT_FDCWD, path, 0, STATX_MODE, &got));
    return got.stx_mode & 07777;
}

/* The mode that a file of `mode`, of the group 65534, has after root or `user` did each of these
 * to it. */
static void
after(mode_t mode, mode_t by_root, const struct who *user, mode_t by_user)
{
    static const char *const names[] = {
        "write",
        "pwrite",
        "write nothing",
        "truncate",
        "truncate to its size",
        "ftruncate",
        "O_TRUNC",
        "fallocate",
        "fallocate behind the end", /* Bug: this changed nothing at all. */
        "punch a hole",
        "append",
        "write 200k",
        "copy_file_range",
        "O_DIRECT write",
    };
    static char big[200000] __attribute__((aligned(4096)));
    const size_t count = sizeof(names) / sizeof(*names);
    char what[96];

    for (size_t i = 0; i < 2 * count; i++) {
        bool by_somebody = i >= count;
        mode_t wanted = by_somebody ? by_user : by_root;
        int fd, from, result = 0;

        be(&root);
        unlink("f");
        make("f", 0666, "contents");
        MUST(chown("f", 0, 65534));
        MUST(chmod("f", mode));
        if (by_somebody) {
            /* Everybody may write it, whatever else its mode says. */
            MUST(chmod("f", mode | 0066));
            wanted |= 0066;
            be(user);
        }
        switch (i % count) {
        case 0:
            MUST(fd = open("f", O_WRONLY));
            result = (int)write(fd, "x", 1) - 1;
            close(fd);
            break;
        case 1:
            MUST(fd = open("f", O_WRONLY));
            result = (int)pwrite(fd, "x", 1, 100) - 1;
            close(fd);
            break;
        case 2:
            MUST(fd = open("f", O_WRONLY));
            result = (int)write(fd, "", 0);
            close(fd);
            wanted = by_somebody ? mode | 0066 : mode;
            break;
        case 3:
            result = truncate("f", 3);
            break;
        case 4:
            result = truncate("f", 8);
            break;
        case 5:
            MUST(fd = open("f", O_WRONLY));
            result = ftruncate(fd, 30);
            close(fd);
            break;
        case 6:
            MUST(fd = open("f", O_WRONLY | O_TRUNC));
            close(fd);
            break;
        case 7:
            MUST(fd = open("f", O_WRONLY));
            result = fallocate(fd, 0, 0, 100);
            close(fd);
            break;
        case 8:
            MUST(fd = open("f", O_WRONLY));
            result = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10000);
            close(fd);
            break;
        case 9:
            MUST(fd = open("f", O_WRONLY));
            result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 100);
            close(fd);
            break;
        case 10:
            MUST(fd = open("f", O_WRONLY | O_APPEND));
            result = (int)write(fd, "x", 1) - 1;
            close(fd);
            break;
        case 11:
            MUST(fd = open("f", O_WRONLY));
            result = (int)write(fd, big, sizeof(big)) - (int)sizeof(big);
            close(fd);
            break;
        case 12:
            make("source", 0666, "source");
            MUST(from = open("source", O_RDONLY));
            MUST(fd = open("f", O_WRONLY));
            result = (int)copy_file_range(from, NULL, fd, NULL, 6, 0) - 6;
            close(fd);
            close(from);
            be(&root);
            unlink("source");
            break;
        case 13:
            MUST(fd = open("f", O_WRONLY | O_DIRECT));
            result = (int)write(fd, big, 4096) - 4096;
            close(fd);
            break;
        }
        snprintf(what, sizeof(what), "mode %04o after %s by %s: success", mode,
                 names[i % count], by_somebody ? user->name : "root");
        report_numbers(what, 0, result);
        snprintf(what, sizeof(what), "mode %04o after %s by %s", mode, names[i % count],
                 user ? "a user" : "root");
        /* Bug: to statx(STATX_MODE) the kernel answered with a mode from before the write. */
        report_numbers(what, wanted, mode_alone("f"));
        report_numbers(what, wanted, mode_of("f"));
    }
    be(&root);
}

static void
set_ids_go(void)
{
    group("chmod: what takes set-id bits away");
    after(0777, 0777, &bob, 0777);
    after(04777, 04777, &bob, 0777);
    after(02777, 02777, &bob, 0777);
    after(06777, 06777, &bob, 0777);
    after(06755, 06755, &bob, 0755);
    after(06777, 06777, &carol, 0777);
    /* Truncated, it once lost but set-user-id. */
    after(06700, 06700, &bob, 0700);
    after(06700, 06700, &carol, 02700);
    /* Without the group's x, setgid stays to members of the group. */
    after(02767, 02767, &carol, 02767);
    after(06767, 06767, &carol, 02767);
    after(02767, 02767, &bob, 0767);
    /* Bug: truncate, which the kernel accompanies with the mode without setuid, left setgid. */
    after(06767, 06767, &bob, 0767);
    after(01777, 01777, &bob, 01777);
}

/* Of a file by the descriptor that created it, or cut it to nothing, and only writes. */
static void
set_ids_and_writer(void)
{
    static const unsigned char capability[20] = {0, 0, 0, 2, 0, 4};
    int fd;

    group("chmod: set-id bits and who fills a file");
    for (int i = 0; i < 2; i++) {
        be(&bob);
        if (i == 0)
            OK(fd = open("f", O_WRONLY | O_CREAT | O_EXCL, 0666));
        else
            OK(fd = open("f", O_WRONLY | O_TRUNC));
        be(&root);
        OK(chmod("f", 06777));
        IS(1, write(fd, "x", 1));
        IS(06777, mode_alone("f"));
        OK(setxattr("f", "security.capability", capability, sizeof(capability), 0));
        be(&bob);
        IS(1, write(fd, "x", 1));
        IS(0777, mode_alone("f"));
        IS(0777, mode_of("f"));
        FAILS(ENODATA, getxattr("f", "security.capability", NULL, 0));
        OK(close(fd));
        TEXT("xx", contents_of("f"));
    }
    be(&root);
}

/* Stores through a mapping take nothing away, whoever does them. */
static void
set_ids_and_mmap(void)
{
    static const struct who *const callers[] = {&root, &alice};
    char *mapped;
    int fd;

    group("chmod: set-id bits and a mapping");
    for (size_t i = 0; i < 2; i++) {
        be(&root);
        make("f", 0666, "contents");
        MUST(chmod("f", 06777));
        be(callers[i]);
        OK(fd = open("f", O_RDWR));
        mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        TRUE(mapped != MAP_FAILED);
        mapped[0] = 'C';
        OK(msync(mapped, 4096, MS_SYNC));
        TEXT("Contents", contents_of("f"));
        IS(06777, mode_of("f"));
        mapped[1] = 'O';
        OK(munmap(mapped, 4096));
        OK(fsync(fd));
        OK(close(fd));
        TEXT("COntents", contents_of("f"));
        IS(06777, mode_of("f"));
    }
}

/* Gives up, or takes, one of the effective capabilities. */
static void
change_capability(unsigned capability, bool take)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    MUST(syscall(SYS_capget, &head, data));
    if (take)
        data[capability / 32].effective |= 1u << capability % 32;
    else
        data[capability / 32].effective &= ~(1u << capability % 32);
    MUST(syscall(SYS_capset, &head, data));
}

/* It is the capability that counts, not the number of the user. */
static void
privilege(void)
{
    int fd;

    group("chmod: set-id bits and privilege");
    make("f", 0666, "contents");
    MUST(chmod("f", 06777));
    change_capability(CAP_FSETID, false);
    OK(fd = open("f", O_WRONLY));
    IS(1, write(fd, "x", 1));
    OK(close(fd));
    IS(0777, mode_of("f"));
    change_capability(CAP_FSETID, true);
    MUST(chmod("f", 06777));
    change_capability(CAP_FSETID, false);
    OK(truncate("f", 3));
    IS(0777, mode_of("f"));
    change_capability(CAP_FSETID, true);
    MUST(chmod("f", 06777));
    be(&bob);
    change_capability(CAP_FSETID, true);
    OK(fd = open("f", O_WRONLY));
    IS(1, write(fd, "x", 1));
    OK(close(fd));
    IS(06777, mode_of("f"));
    OK(truncate("f", 2));
    IS(06777, mode_of("f"));
    be(&root);
    /* Trusted attributes show to who may administer. */
    OK(setxattr("f", "trusted.a", "1", 1, 0));
    change_capability(CAP_SYS_ADMIN, false);
    IS(0, listxattr("f", NULL, 0));
    change_capability(CAP_SYS_ADMIN, true);
    IS(10, listxattr("f", NULL, 0));
}

/* File capabilities go when anyone, root too, writes. */
static void
capabilities(void)
{
    static const char capability[20] = {1, 0, 0, 2, 0, 4};
    int fd;

    group("chmod: capabilities");
    make("f", 0777, "contents");
    OK(setxattr("f", "security.capability", capability, sizeof(capability), 0));
    IS(20, getxattr("f", "security.capability", NULL, 0));
    OK(chmod("f", 0755));
    IS(20, getxattr("f", "security.capability", NULL, 0));
    OK(fd = open("f", O_WRONLY));
    IS(20, getxattr("f", "security.capability", NULL, 0));
    OK(write(fd, "x", 1));
    FAILS(ENODATA, getxattr("f", "security.capability", NULL, 0));
    OK(close(fd));
    OK(setxattr("f", "security.capability", capability, sizeof(capability), 0));
    OK(truncate("f", 2));
    FAILS(ENODATA, getxattr("f", "security.capability", NULL, 0));
    OK(setxattr("f", "security.capability", capability, sizeof(capability), 0));
    OK(chown("f", 0, 0));
    FAILS(ENODATA, getxattr("f", "security.capability", NULL, 0));
    OK(setxattr("f", "security.capability", capability, sizeof(capability), 0));
    OK(close(open("f", O_WRONLY | O_TRUNC)));
    FAILS(ENODATA, getxattr("f", "security.capability", NULL, 0));
    OK(setxattr("f", "security.capability", capability, sizeof(capability), 0));
    OK(rename("f", "g"));
    OK(link("g", "h"));
    OK(chown("g", (uid_t)-1, (gid_t)-1));
    OK(utimensat(AT_FDCWD, "g", NULL, 0));
    be(&alice);
    FAILS(EPERM, setxattr("g", "security.capability", capability, 20, 0));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    effects();
    set_ids_go();
    set_ids_and_writer();
    set_ids_and_mmap();
    privilege();
    capabilities();
    return conform_end();
}
