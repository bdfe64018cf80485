/*
 * prog_conform_chown - chown, fchown, lchown, fchownat.
 */
#include "prog_conform.h"

#define NONE ((uid_t)-1)

static void
errors(void)
{
    int fd;

    group("chown: errors");
    make_kinds();
    FAILS(ENOENT, chown("missing", 0, 0));
    FAILS(ENOENT, chown("missing/x", 0, 0));
    FAILS(ENOENT, chown("", 0, 0));
    FAILS(ENOENT, chown("gone", 0, 0));
    OK(lchown("gone", 1, 1));
    FAILS(ENOTDIR, chown("file/x", 0, 0));
    FAILS(ENOTDIR, chown("file/", 0, 0));
    FAILS(ENOTDIR, lchown("link/", 0, 0));
    FAILS(EFAULT, chown(nowhere(), 0, 0));
    FAILS(EBADF, fchown(-1, 0, 0));
    FAILS(EBADF, fchownat(-1, "file", 0, 0, 0));
    FAILS(EINVAL, fchownat(AT_FDCWD, "file", 0, 0, 0x8000));
    FAILS(ENAMETOOLONG, chown(name_of_length(256), 0, 0));
    FAILS(ENAMETOOLONG, chown(path_of_length(4096, "file"), 0, 0));
    FAILS(ENOENT, fchownat(open(".", O_RDONLY), "", 0, 0, 0));
    make_dir("hidden", 0666);
    make("hidden/f", 0644, "");
    be(&alice);
    FAILS(EACCES, chown("hidden/f", NONE, NONE));
    FAILS_MARKING_NOTHING(EPERM, "file", chown("file", 65534, 65534));
    FAILS(EPERM, chown("file", 65534, NONE));
    FAILS(EPERM, chown("file", NONE, 65534));
    FAILS(EPERM, chown("file", 0, 0));
    FAILS(EPERM, lchown("link", NONE, 65534));
    OK(fd = open("file", O_RDONLY));
    FAILS(EPERM, fchown(fd, 65534, 65534));
    TEXT("0:0 644", owner_of("file"));
}

static void
by_root(void)
{
    static const char *const kinds[] = {"file", "dir", "fifo", "sock",
                                        "chr",  "blk", "link"};
    char wanted[64];
    int fd;

    group("chown: by root");
    make_kinds();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        mode_t mode = mode_of(kinds[i]);

        snprintf(wanted, sizeof(wanted), "123:456 %o", mode);
        OK(lchown(kinds[i], 123, 456));
        TEXT(wanted, owner_of(kinds[i]));
        snprintf(wanted, sizeof(wanted), "7:456 %o", mode);
        OK(lchown(kinds[i], 7, NONE));
        TEXT(wanted, owner_of(kinds[i]));
        snprintf(wanted, sizeof(wanted), "7:8 %o", mode);
        OK(lchown(kinds[i], NONE, 8));
        TEXT(wanted, owner_of(kinds[i]));
        OK(lchown(kinds[i], NONE, NONE));
        TEXT(wanted, owner_of(kinds[i]));
        OK(lchown(kinds[i], 4294967294u, 4294967294u));
        IS(4294967294u, lstat_of(kinds[i]).st_uid);
        IS(4294967294u, lstat_of(kinds[i]).st_gid);
    }
    OK(chown("link", 1, 2));
    TEXT("1:2 644", owner_of("file"));
    OK(fchownat(AT_FDCWD, "link", 3, 4, AT_SYMLINK_NOFOLLOW));
    TEXT("3:4 777", owner_of("link"));
    MARKS("c", "file", chown("file", 5, 6));
    MARKS("c", "file", chown("file", 5, 6));
    MARKS("c", "file", chown("file", NONE, 6));
    MARKS("c", "file", chown("file", 5, NONE));
    MARKS("c", "file", chown("file", NONE, NONE));
    MARKS("c", "link", lchown("link", 5, 6));
    MARKS("c", "dir", chown("dir", 5, 6));
    OK(fd = open("file", O_RDONLY));
    MARKS("c", "file", fchown(fd, 7, 8));
    TEXT("7:8 644", owner_of("file"));
}

static void
by_owner(void)
{
    int fd;

    group("chown: by the owner");
    make("f", 0644, "");
    make("g", 0644, "");
    MUST(chown("f", 65532, 65532));
    MUST(symlink("f", "l"));
    MUST(lchown("l", 65532, 65532));
    be(&carol);
    MARKS("c", "f", chown("f", NONE, 65534));
    TEXT("65532:65534 644", owner_of("f"));
    OK(chown("f", 65532, 65532));
    OK(chown("f", 65532, 65534));
    OK(chown("f", NONE, 65534));
    FAILS(EPERM, chown("f", NONE, 65533));
    FAILS(EPERM, chown("f", NONE, 0));
    FAILS(EPERM, chown("f", 65534, NONE));
    FAILS(EPERM, chown("f", 0, 65532));
    FAILS(EPERM, chown("g", NONE, 65534));
    FAILS(EPERM, chown("g", NONE, 65532));
    OK(chown("f", NONE, NONE));
    OK(lchown("l", NONE, 65534));
    TEXT("65532:65534 777", owner_of("l"));
    OK(fd = open("f", O_RDONLY));
    OK(fchown(fd, 65532, 65532));
    FAILS(EPERM, fchown(fd, 0, NONE));
    TEXT("65532:65532 644", owner_of("f"));
    be(&alice);
    FAILS(EPERM, chown("f", 65534, NONE));
    FAILS(EPERM, chown("f", NONE, 65534));
    FAILS(EPERM, chown("f", NONE, 65532));
    be(&root);
    MUST(chown("f", 65532, 65531));
    be(&carol);
    OK(chown("f", NONE, 65532));
}

/* The mode of a file or directory of `mode` after its group was changed by root and owner. */
static void
mode_after(mode_t mode, mode_t file, mode_t directory)
{
    char what[64];

    be(&root);
    make("f", 0, "");
    make_dir("d", 0);
    for (int user = 0; user < 2; user++)
        for (int same = 0; same < 3; same++) {
            static const char *const how[] = {"the same", "another", "no"};
            gid_t gid = same == 0 ? 65532 : same == 1 ? 65534 : NONE;

            be(&root);
            MUST(chown("f", 65532, 65532));
            MUST(chown("d", 65532, 65532));
            MUST(chmod("f", mode));
            MUST(chmod("d", mode));
            be(user ? &carol : &root);
            snprintf(what, sizeof(what), "mode %04o of a file after %s group", mode,
                     how[same]);
            MUST(chown("f", NONE, gid));
            report_numbers(what, file, mode_of("f"));
            snprintf(what, sizeof(what), "mode %04o of a directory after %s group", mode,
                     how[same]);
            MUST(chown("d", 65532, gid));
            report_numbers(what, directory, mode_of("d"));
        }
    be(&root);
    MUST(unlink("f"));
    MUST(rmdir("d"));
}

static void
set_ids(void)
{
    group("chown: set-id bits");
    mode_after(0777, 0777, 0777);
    mode_after(04777, 0777, 04777);
    mode_after(02777, 0777, 02777);
    mode_after(06777, 0777, 06777);
    mode_after(06710, 0710, 06710);
    mode_after(01777, 01777, 01777);
    mode_after(07555, 01555, 07555);
    mode_after(04000, 0, 04000);
    make("f", 0, "");
    MUST(chmod("f", 02644));
    OK(chown("f", 1, 1));
    IS(02644, mode_of("f"));
    MUST(chmod("f", 06644));
    OK(chown("f", 2, NONE));
    IS(02644, mode_of("f"));
    /* Not executable by its group, setgid stays to members of it only. */
    MUST(chown("f", 65533, 65534));
    MUST(chmod("f", 02644));
    be(&bob);
    OK(chown("f", 65533, NONE));
    IS(0644, mode_of("f"));
    be(&root);
    MUST(chown("f", 65532, 65534));
    MUST(chmod("f", 02644));
    be(&carol);
    OK(chown("f", 65532, NONE));
    IS(02644, mode_of("f"));
    be(&root);
    /* To change nothing once did not take it. */
    MUST(chown("f", 65533, 65534));
    MUST(chmod("f", 02644));
    be(&bob);
    OK(chown("f", NONE, NONE));
    IS(0644, mode_of("f"));
    /* Who may set the bit keeps it; and one who does not own the file takes nothing away. */
    be(&root);
    MUST(chmod("f", 02644));
    OK(chown("f", NONE, NONE));
    IS(02644, mode_of("f"));
    be(&alice);
    OK(chown("f", NONE, NONE));
    IS(02644, mode_of("f"));
    be(&root);
    MUST(chown("f", 65532, 65534));
    MUST(chmod("f", 02644));
    be(&carol);
    OK(chown("f", NONE, NONE));
    IS(02644, mode_of("f"));
    be(&root);
    MUST(chmod("f", 02654));
    be(&carol);
    OK(chown("f", NONE, NONE));
    IS(0654, mode_of("f"));
    be(&root);
    MUST(mkfifo("p", 0));
    MUST(chmod("p", 06777));
    OK(chown("p", 1, 1));
    IS(0777, mode_of("p"));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    by_root();
    by_owner();
    set_ids();
    return conform_end();
}
