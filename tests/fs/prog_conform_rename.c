/*
 * prog_conform_rename - rename and renameat2: errors, sticky directories, effects, flags.
 */
#include "prog_conform.h"

#define rename2(from, to, flags) renameat2(AT_FDCWD, from, AT_FDCWD, to, flags)

static void
errors(void)
{
    group("rename: errors");
    make_kinds();
    make_dir("dir2", 0755);
    make_dir("full", 0755);
    make("full/f", 0644, "");
    FAILS(ENOENT, rename("missing", "new"));
    FAILS(ENOENT, rename("missing", "file"));
    FAILS(ENOENT, rename("missing/x", "new"));
    FAILS(ENOENT, rename("file", "missing/new"));
    FAILS(ENOENT, rename("", "new"));
    FAILS(ENOENT, rename("file", ""));
    FAILS(ENOENT, rename("file", "gone/new"));
    FAILS(ENOTDIR, rename("file/x", "new"));
    FAILS(ENOTDIR, rename("file", "file/new"));
    FAILS(ENOTDIR, rename("file", "fifo/new"));
    FAILS(ENOTDIR, rename("file/", "new"));
    FAILS(ENOTDIR, rename("file", "new/"));
    FAILS(ENOTDIR, rename("link/", "new"));
    FAILS(ENOTDIR, rename("dir", "file"));
    FAILS(ENOTDIR, rename("dir", "fifo"));
    FAILS(ENOTDIR, rename("dir", "sock"));
    FAILS(ENOTDIR, rename("dir", "chr"));
    FAILS(ENOTDIR, rename("dir", "link"));
    FAILS(ENOTDIR, rename("dir", "gone"));
    FAILS(EISDIR, rename("file", "dir"));
    FAILS(EISDIR, rename("file", "full"));
    FAILS(EISDIR, rename("fifo", "dir"));
    FAILS(EISDIR, rename("link", "dir"));
    FAILS(EISDIR, rename("gone", "dir"));
    FAILS(ENOTDIR, rename("file", "dir/"));
    FAILS(ENOTEMPTY, rename("dir", "full"));
    FAILS(EBUSY, rename("full/f", "."));
    FAILS(ENOTEMPTY, rename("dir/../full/f", "full"));
    FAILS(EINVAL, rename("dir", "dir/inner"));
    MUST(mkdir("full/deep", 0755));
    FAILS(EINVAL, rename("full", "full/deep/er"));
    FAILS(EINVAL, rename("full", "full/deep"));
    FAILS(ENOTEMPTY, rename("full/deep", "full"));
    FAILS(EBUSY, rename(".", "new"));
    FAILS(EBUSY, rename("..", "new"));
    FAILS(EBUSY, rename("dir/.", "new"));
    FAILS(EBUSY, rename("dir", "."));
    FAILS(EBUSY, rename("dir", "dir2/."));
    FAILS(EBUSY, rename("dir", "dir2/.."));
    FAILS(EXDEV, rename("/proc/self/status", "new"));
    FAILS(EFAULT, rename(nowhere(), "new"));
    FAILS(EFAULT, rename("file", nowhere()));
    FAILS(EBADF, renameat(-1, "file", AT_FDCWD, "new"));
    FAILS(EBADF, renameat(AT_FDCWD, "file", -1, "new"));
    FAILS(ENOTDIR, renameat(open("file", O_RDONLY), "x", AT_FDCWD, "new"));
    FAILS(ENAMETOOLONG, rename(name_of_length(256), "new"));
    FAILS(ENAMETOOLONG, rename("file", name_of_length(256)));
    FAILS(ENAMETOOLONG, rename("file", path_of_length(4096, "new")));
    FAILS_MARKING_NOTHING(ENOTEMPTY, "full", rename("dir", "full"));
    FAILS_MARKING_NOTHING(EISDIR, "file", rename("file", "full"));
    TRUE(!exists("new"));
    TEXT("contents", contents_of("file"));
}

static void
effects(void)
{
    static const char *const kinds[] = {"file", "fifo", "sock", "chr",
                                        "blk",  "link", "gone"};
    struct stat before;

    group("rename: what it does");
    make_kinds();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        before = lstat_of(kinds[i]);
        OK(rename(kinds[i], "moved"));
        TRUE(!exists(kinds[i]));
        IS(before.st_ino, lstat_of("moved").st_ino);
        IS(before.st_mode, lstat_of("moved").st_mode);
        OK(rename("moved", "dir/moved"));
        IS(before.st_ino, lstat_of("dir/moved").st_ino);
        OK(rename("dir/moved", kinds[i]));
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        make("victim", 0644, "victim");
        before = lstat_of("victim");
        OK(link("victim", "witness"));
        OK(rename(kinds[i], "victim"));
        IS(1, links_of("witness"));
        TRUE(!same_file("victim", "witness"));
        OK(rename("victim", kinds[i]));
        OK(unlink("witness"));
    }
    TEXT("contents", contents_of("file"));
    OK(rename("file", "file"));
    TEXT("contents", contents_of("file"));
    OK(link("file", "same"));
    MARKS("", "file", rename("file", "same"));
    TRUE(exists("file") && exists("same"));
    IS(2, links_of("file"));
    MARKS("", ".", rename("same", "file"));
    OK(unlink("same"));
    OK(rename("dir", "dir"));
    MARKS_AT("c", "file", "new", rename("file", "new"));
    MARKS("mc", ".", rename("new", "file"));
    MARKS("mc", "dir", rename("file", "dir/file"));
    MARKS("mc", ".", rename("dir/file", "file"));
    MARKS("mc", "dir", rename("file", "dir/file"));
    MARKS("mc", "dir", rename("dir/file", "file"));
    make("victim", 0644, "");
    OK(link("victim", "witness"));
    MARKS("c", "witness", rename("file", "victim"));
    TEXT("contents", contents_of("victim"));
    MARKS_AT("c", "dir", "dir3", rename("dir", "dir3"));
    make_dir("dir4", 0755);
    MARKS_AT("c", "dir3", "dir4/in", rename("dir3", "dir4/in"));
    IS(3, links_of("dir4"));
    TRUE(same_file("dir4/in/..", "dir4"));
    OK(rename("dir4/in", "out"));
    IS(2, links_of("dir4"));
    TRUE(same_file("out/..", "."));
    make_dir("empty", 0755);
    make("dir4/inner", 0644, "inner");
    OK(rename("dir4/", "empty/"));
    TEXT("inner", contents_of("empty/inner"));
    TRUE(!exists("dir4"));
    OK(rename("empty", "fresh/"));
    TEXT("inner", contents_of("fresh/inner"));
    OK(symlink("fresh", "tofresh"));
    OK(rename("tofresh", "link2"));
    TEXT("inner", contents_of("link2/inner"));
    FAILS(ENOTDIR, rename("fresh", "link2"));
}

static void
deep(void)
{
    int fd;
    struct stat st;

    group("rename: a tree with somebody in it");
    make_dir("a", 0755);
    make_dir("a/b", 0755);
    make_dir("a/b/c", 0755);
    make("a/b/c/f", 0644, "deep");
    make("a-b", 0644, "beside");
    make("a.txt", 0644, "beside");
    make_dir("z", 0755);
    OK(fd = open("a/b/c/f", O_RDWR));
    st = lstat_of("a/b/c/f");
    MUST(chdir("a/b/c"));
    OK(rename("../../../a", "../../../z/moved"));
    TEXT("deep", contents_of("f"));
    TEXT("deep", contents_of("../../../../z/moved/b/c/f"));
    IS(st.st_ino, lstat_of("f").st_ino);
    make("g", 0644, "new");
    IS(5, pwrite(fd, "DEEP!", 5, 0));
    MUST(chdir("../../../.."));
    TEXT("DEEP!", contents_of("z/moved/b/c/f"));
    TEXT("new", contents_of("z/moved/b/c/g"));
    TEXT("beside", contents_of("a-b"));
    TEXT("beside", contents_of("a.txt"));
    TRUE(!exists("a"));
    FAILS(EINVAL, rename("z", "z/moved/b/c/z"));
    OK(rename("z/moved/b", "b"));
    OK(rename("b/c/f", "b/f"));
    IS(2, pwrite(fd, "de", 2, 0));
    TEXT("deEP!", contents_of("b/f"));
    OK(close(fd));
    IS(0, system("rm -r z b"));
}

static void
permissions(void)
{
    group("rename: permissions");
    make_dir("closed", 0755);
    make("closed/f", 0666, "");
    make_dir("hidden", 0666);
    make("hidden/f", 0666, "");
    make_dir("open", 0777);
    make("open/f", 0600, "");
    make_dir("open/foreign", 0755);
    make_dir("open/foreign-open", 0777);
    be(&alice);
    make("mine", 0644, "");
    make_dir("own", 0755);
    FAILS(EACCES, rename("closed/f", "new"));
    FAILS(EACCES, rename("closed/f", "closed/g"));
    FAILS(EACCES, rename("mine", "closed/new"));
    FAILS(EACCES, rename("mine", "closed/f"));
    FAILS(EACCES, rename("hidden/f", "new"));
    FAILS(EACCES, rename("mine", "hidden/new"));
    OK(rename("open/f", "stolen"));
    OK(rename("open/foreign", "open/renamed"));
    /* Its ".." would change, and that needs leave to write in it. */
    FAILS(EACCES, rename("open/renamed", "elsewhere"));
    FAILS(EACCES, rename("open/renamed", "own/elsewhere"));
    OK(rename("open/foreign-open", "own/elsewhere"));
    FAILS_MARKING_NOTHING(EACCES, "closed", rename("closed/f", "closed/g"));
}

/* Who may rename in, and onto, sticky directories: every owner of directory and file. */
static void
sticky(void)
{
    static const uid_t owners[] = {0, 65534, 65533};

    group("rename: sticky directories");
    for (size_t d = 0; d < 3; d++)
        for (size_t f = 0; f < 3; f++) {
            bool may = owners[d] == 65534 || owners[f] == 65534;
            char what[96];

            be(&root);
            make_dir("sticky", 01777);
            make("sticky/f", 0666, "");
            make_dir("sticky/d", 0777);
            make_dir("plain", 0777);
            MUST(chown("sticky/f", owners[f], 0));
            MUST(chown("sticky/d", owners[f], 0));
            MUST(chown("sticky", owners[d], 0));
            be(&alice);
            make("mine", 0666, "");
            snprintf(what, sizeof(what), "in a sticky directory of %u, a file of %u",
                     owners[d], owners[f]);
            report_errors(what, may ? 0 : EPERM,
                          rename("sticky/f", "plain/f") ? errno : 0);
            if (!may)
                report_errors("within it", EPERM,
                              rename("sticky/f", "sticky/g") ? errno : 0);
            else
                MUST(rename("plain/f", "sticky/f"));
            report_errors("onto it", may ? 0 : EPERM,
                          rename("mine", "sticky/f") ? errno : 0);
            if (may)
                MUST(unlink("sticky/f"));
            report_errors("a directory", may ? 0 : EPERM,
                          rename("sticky/d", "plain/d") ? errno : 0);
            report_errors("exchanged", may ? ENOENT : EPERM,
                          rename2("plain", "sticky/d", RENAME_EXCHANGE) ? errno : 0);
            be(&root);
            MUST(system("rm -rf sticky plain mine"));
        }
}

static void
noreplace(void)
{
    group("renameat2: NOREPLACE");
    make_kinds();
    FAILS(EEXIST, rename2("file", "dir", RENAME_NOREPLACE));
    FAILS(EEXIST, rename2("file", "fifo", RENAME_NOREPLACE));
    FAILS(EEXIST, rename2("dir", "file", RENAME_NOREPLACE));
    FAILS(EEXIST, rename2("file", "gone", RENAME_NOREPLACE));
    FAILS(EEXIST, rename2("file", "file", RENAME_NOREPLACE));
    FAILS(ENOENT, rename2("missing", "file", RENAME_NOREPLACE));
    FAILS(ENOENT, rename2("missing", "new", RENAME_NOREPLACE));
    FAILS(EINVAL, rename2("dir", "dir/new", RENAME_NOREPLACE));
    FAILS(EEXIST, rename2("dir", ".", RENAME_NOREPLACE));
    FAILS(EBUSY, rename2(".", "new", RENAME_NOREPLACE));
    MUST(link("file", "same"));
    FAILS(EEXIST, rename2("file", "same", RENAME_NOREPLACE));
    OK(rename2("file", "new", RENAME_NOREPLACE));
    OK(rename2("dir", "dir2", RENAME_NOREPLACE));
    OK(rename2("new", "dir2/new", RENAME_NOREPLACE));
    TEXT("contents", contents_of("dir2/new"));
    make_dir("closed", 0755);
    be(&alice);
    FAILS(EACCES, rename2("same", "closed/new", RENAME_NOREPLACE));
}

static void
exchange(void)
{
    struct stat x, y;

    group("renameat2: EXCHANGE");
    make_kinds();
    make("other", 0600, "other");
    make("dir/in", 0644, "in dir");
    FAILS(ENOENT, rename2("file", "missing", RENAME_EXCHANGE));
    FAILS(ENOENT, rename2("missing", "file", RENAME_EXCHANGE));
    FAILS(EINVAL, rename2("dir", "dir/in", RENAME_EXCHANGE));
    FAILS(EINVAL, rename2("dir/in", "dir", RENAME_EXCHANGE));
    x = lstat_of("file");
    y = lstat_of("other");
    OK(rename2("file", "other", RENAME_EXCHANGE));
    IS(x.st_ino, lstat_of("other").st_ino);
    IS(y.st_ino, lstat_of("file").st_ino);
    TEXT("other", contents_of("file"));
    TEXT("contents", contents_of("other"));
    MARKS_AT("c", "file", "other", rename2("file", "other", RENAME_EXCHANGE));
    MARKS_AT("c", "file", "other", rename2("other", "file", RENAME_EXCHANGE));
    MARKS("mc", ".", rename2("other", "file", RENAME_EXCHANGE));
    MARKS("mc", "dir", rename2("file", "dir/in", RENAME_EXCHANGE));
    TEXT("in dir", contents_of("file"));
    OK(rename2("file", "file", RENAME_EXCHANGE));
    OK(rename2("file", "fifo", RENAME_EXCHANGE));
    IS(S_IFIFO | 0644, lstat_of("file").st_mode);
    OK(rename2("link", "dir", RENAME_EXCHANGE));
    TRUE(S_ISLNK(lstat_of("dir").st_mode));
    TRUE(S_ISDIR(lstat_of("link").st_mode));
    TRUE(exists("link/in"));
    make_dir("d1", 0755);
    make_dir("d1/inner", 0755);
    make("d1/inner/f", 0644, "1");
    make_dir("d2", 0755);
    make("d2/g", 0644, "2");
    OK(rename2("d1/inner", "d2", RENAME_EXCHANGE));
    TEXT("2", contents_of("d1/inner/g"));
    TEXT("1", contents_of("d2/f"));
    IS(3, links_of("d1"));
    make("plain", 0644, "plain");
    OK(rename2("d1/inner", "plain", RENAME_EXCHANGE));
    IS(2, links_of("d1"));
    TEXT("plain", contents_of("d1/inner"));
    TEXT("2", contents_of("plain/g"));
    TRUE(same_file("plain/..", "."));
    OK(link("plain/g", "hard"));
    OK(rename2("plain/g", "hard", RENAME_EXCHANGE));
    IS(2, links_of("hard"));
    OK(rename2("hard", "other", RENAME_EXCHANGE));
    TEXT("2", contents_of("other"));
    IS(2, links_of("other"));
    IS(1, links_of("hard"));

    group("renameat2: other flags");
    make("file", 0644, "");
    FAILS(EINVAL, rename2("file", "new", RENAME_NOREPLACE | RENAME_EXCHANGE));
    FAILS(EINVAL, rename2("file", "new", RENAME_WHITEOUT | RENAME_EXCHANGE));
    FAILS(EINVAL, rename2("file", "new", 8));
    FAILS(EINVAL, rename2("file", "new", 0x80000000u));
    make_dir("closed", 0755);
    make("closed/f", 0644, "");
    be(&alice);
    make("mine", 0644, "");
    FAILS(EACCES, rename2("mine", "closed/f", RENAME_EXCHANGE));
    FAILS(EACCES, rename2("closed/f", "mine", RENAME_EXCHANGE));
}

/* A reader sees the one or the other, never nothing. */
static void
atomic(void)
{
    int missing = 0, odd = 0;
    pid_t child;

    group("rename: atomic to readers");
    make("target", 0644, "aaaa");
    MUST(child = fork());
    if (child == 0) {
        for (int i = 0; i < 1000; i++) {
            make("temporary", 0644, i % 2 ? "aaaa" : "bbbb");
            if (rename("temporary", "target") != 0)
                _exit(1);
        }
        _exit(0);
    }
    int status;

    while (waitpid(child, &status, WNOHANG) == 0) {
        const char *text = contents_of("target");

        missing += text[0] == '(';
        odd += strcmp(text, "aaaa") != 0 && strcmp(text, "bbbb") != 0;
    }
    IS(0, status);
    IS(0, missing);
    IS(0, odd);
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    effects();
    deep();
    permissions();
    sticky();
    noreplace();
    exchange();
    atomic();
    return conform_end();
}
