/*
 * prog_conform_open - open and creat: every error, who may open what, what creation sets.
 */
#include "prog_conform.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

static void
errors(void)
{
    group("open: errors of the path");
    make_kinds();
    FAILS(ENOENT, open("missing", O_RDONLY));
    FAILS(ENOENT, open("missing/file", O_RDONLY));
    FAILS(ENOENT, open("missing/file", O_WRONLY | O_CREAT, 0644));
    FAILS(ENOENT, open("", O_RDONLY));
    FAILS(ENOENT, open("", O_RDWR | O_CREAT, 0644));
    FAILS(ENOENT, open("gone", O_RDONLY));
    FAILS(ENOENT, open("gone/x", O_RDONLY | O_CREAT, 0644));
    FAILS(ENOTDIR, open("file/x", O_RDONLY));
    FAILS(ENOTDIR, open("file/x", O_RDWR | O_CREAT, 0644));
    FAILS(ENOTDIR, open("fifo/x", O_RDONLY));
    FAILS(ENOTDIR, open("sock/x", O_RDONLY));
    FAILS(ENOTDIR, open("chr/x", O_RDONLY));
    FAILS(ENOTDIR, open("link/x", O_RDONLY));
    FAILS(ENOTDIR, open("file/", O_RDONLY));
    FAILS(ENOTDIR, open("link/", O_RDONLY));
    FAILS(ENOTDIR, open("file", O_RDONLY | O_DIRECTORY));
    FAILS(ENOTDIR, open("link", O_RDONLY | O_DIRECTORY));
    FAILS(ENOTDIR, open("fifo", O_RDONLY | O_DIRECTORY | O_NONBLOCK));
    FAILS(ENOTDIR, open("link", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    FAILS(EISDIR, open("missing/", O_RDWR | O_CREAT, 0644));
    FAILS(EISDIR, open("file/", O_RDWR | O_CREAT, 0644));
    FAILS(EISDIR, open("dir", O_WRONLY));
    FAILS(EISDIR, open("dir", O_RDWR));
    FAILS(EISDIR, open("dir", O_RDONLY | O_CREAT, 0644));
    FAILS(EISDIR, open("dir", O_RDONLY | O_TRUNC));
    FAILS(EISDIR, open(".", O_RDWR));
    FAILS(EISDIR, creat("dir", 0644));
    FAILS(EISDIR, creat("..", 0644));
    FAILS(EEXIST, open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(EEXIST, open("dir", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(EEXIST, open("fifo", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(EEXIST, open("sock", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(EEXIST, open("chr", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(EEXIST, open("link", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(EEXIST, open("gone", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(ENXIO, open("sock", O_RDONLY));
    FAILS(ENXIO, open("sock", O_RDWR));
    FAILS(ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
    FAILS(ELOOP, open("link", O_RDONLY | O_NOFOLLOW));
    FAILS(ELOOP, open("link", O_RDWR | O_CREAT | O_NOFOLLOW, 0644));
    FAILS(ELOOP, open("gone", O_RDWR | O_CREAT | O_NOFOLLOW, 0644));
    FAILS(EFAULT, open(nowhere(), O_RDONLY));
    FAILS(EINVAL, open("file", O_RDONLY | O_CREAT | O_DIRECTORY, 0644));
    FAILS(EINVAL, open("missing", O_RDONLY | O_CREAT | O_DIRECTORY, 0644));
    FAILS(EBADF, openat(-1, "file", O_RDONLY));
    FAILS(ENOTDIR, openat(open("file", O_RDONLY), "x", O_RDONLY));
    FAILS(ENAMETOOLONG, open(name_of_length(256), O_RDONLY));
    FAILS(ENAMETOOLONG, open(name_of_length(256), O_RDWR | O_CREAT, 0644));
    OK(open(name_of_length(255), O_RDWR | O_CREAT, 0644));
    FAILS(ENOENT, open(path_of_length(4095, "none"), O_RDONLY));
    OK(open(path_of_length(4095, "file"), O_RDONLY));
    FAILS(ENAMETOOLONG, open(path_of_length(4096, "file"), O_RDONLY));
    TRUE(!exists("missing"));
    TEXT("contents", contents_of("file"));
}

static void
successes(void)
{
    int fd;
    char byte;

    group("open: what it gives");
    make_kinds();
    OK(open("dir", O_RDONLY));
    OK(open("dir/", O_RDONLY));
    OK(open("dir", O_RDONLY | O_DIRECTORY));
    OK(open("dir/.", O_RDONLY));
    OK(open("dir/../file", O_RDONLY));
    OK(open("link", O_RDONLY));
    OK(open("link", O_PATH | O_NOFOLLOW));
    OK(open("sock", O_PATH));
    OK(open("fifo", O_RDONLY | O_NONBLOCK));
    OK(open("chr", O_RDWR));
    OK(open("file", O_RDWR | O_CREAT, 0));
    OK(open("gone", O_RDWR | O_CREAT, 0600));
    IS(S_IFREG | 0600, lstat_of("nothing").st_mode);
    IS(S_IFLNK | 0777, lstat_of("gone").st_mode);

    OK(fd = open("file", O_RDONLY));
    FAILS(EBADF, write(fd, "x", 1));
    FAILS(EINVAL, ftruncate(fd, 0));
    IS(1, read(fd, &byte, 1));
    IS('c', byte);
    OK(close(fd));
    FAILS(EBADF, close(fd));
    OK(fd = open("file", O_WRONLY));
    FAILS(EBADF, read(fd, &byte, 1));
    IS(0, lseek(fd, 0, SEEK_CUR));
    IS(1, write(fd, "C", 1));
    OK(close(fd));
    TEXT("Contents", contents_of("file"));
    OK(fd = open("file", O_PATH));
    FAILS(EBADF, read(fd, &byte, 1));
    FAILS(EBADF, fchmod(fd, 0600));
    FAILS(EBADF, ftruncate(fd, 0));
    OK(close(fd));
    OK(fd = open("dir", O_RDONLY));
    FAILS(EISDIR, read(fd, &byte, 1));
    FAILS(EBADF, write(fd, "x", 1));
    FAILS(EINVAL, ftruncate(fd, 0));
    OK(fsync(fd));
    OK(fdatasync(fd));
    OK(close(fd));

    OK(fd = open("file", O_RDWR | O_APPEND));
    IS(O_RDWR | O_APPEND,
       fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_TRUNC | O_CREAT));
    OK(fcntl(fd, F_SETFL, 0));
    IS(O_RDWR, fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND));
    OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK));
    IS(O_APPEND | O_NONBLOCK, fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK));
    OK(fcntl(fd, F_SETFL, O_DIRECT));
    IS(O_DIRECT, fcntl(fd, F_GETFL) & O_DIRECT);
    OK(close(fd));
    OK(open("sync", O_RDWR | O_CREAT | O_SYNC, 0644));
    OK(open("dsync", O_RDWR | O_CREAT | O_DSYNC, 0644));
    OK(open("direct", O_RDWR | O_CREAT | O_DIRECT, 0644));
    OK(open("all",
            O_RDWR | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_NOCTTY | O_NONBLOCK |
                O_CLOEXEC | O_NOFOLLOW | O_NOATIME,
            0644));
}

static void
truncates(void)
{
    int fd;

    group("open: O_TRUNC");
    make("file", 0644, "contents");
    MUST(mkfifo("fifo", 0666));
    MARKS("mc", "file", close(open("file", O_WRONLY | O_TRUNC)));
    IS(0, size_of("file"));
    MARKS("mc", "file", close(open("file", O_WRONLY | O_TRUNC)));
    MARKS("mc", "file", close(open("file", O_RDWR | O_CREAT | O_TRUNC, 0600)));
    MARKS("", "file", close(open("file", O_RDWR)));
    MARKS("", "file", close(open("file", O_RDWR | O_CREAT, 0600)));
    IS(0644, mode_of("file"));
    make("file", 0644, "contents");
    OK(fd = open("file", O_RDWR));
    OK(close(open("file", O_WRONLY | O_TRUNC)));
    IS(3, pwrite(fd, "abc", 3, 5));
    IS(8, size_of("file"));
    IS(0, memcmp("\0\0\0\0\0abc", contents_of("file"), 8));
    OK(close(fd));
    OK(fd = open("fifo", O_RDWR | O_TRUNC | O_NONBLOCK));
    OK(close(fd));
    make("private", 0644, "contents");
    be(&alice);
    FAILS_MARKING_NOTHING(EACCES, "private", open("private", O_RDWR | O_TRUNC));
    FAILS_MARKING_NOTHING(EACCES, "private", open("private", O_RDONLY | O_TRUNC));
    TEXT("contents", contents_of("private"));
}

static void
creates(void)
{
    group("open: what creation sets");
    MUST(umask(0));
    OK(close(open("a", O_WRONLY | O_CREAT, 0777)));
    TEXT("0:0 777", owner_of("a"));
    OK(close(open("b", O_WRONLY | O_CREAT, 07777)));
    IS(07777, mode_of("b"));
    OK(close(open("c", O_WRONLY | O_CREAT, 0)));
    IS(0, mode_of("c"));
    umask(0153);
    OK(close(open("d", O_WRONLY | O_CREAT, 0777)));
    IS(0624, mode_of("d"));
    umask(0777);
    OK(close(open("e", O_RDWR | O_CREAT, 0777)));
    IS(0, mode_of("e"));
    umask(022);
    be(&alice);
    OK(close(creat("f", 0666)));
    TEXT("65534:65534 644", owner_of("f"));
    FAILS(EACCES, open("missing-not", O_RDWR | O_CREAT, 0) == -1
                      ? -1
                      : open("missing-not", O_RDWR));
    OK(write(open("readonly", O_WRONLY | O_CREAT | O_EXCL, 0444), "x", 1));
    FAILS(EACCES, open("readonly", O_WRONLY));
    be(&carol);
    OK(close(creat("g", 0666)));
    TEXT("65532:65532 644", owner_of("g"));
    OK(close(open("h", O_CREAT | O_WRONLY, 06755)));
    TEXT("65532:65532 6755", owner_of("h"));
    be(&root);
    MARKS("mc", ".", close(open("new", O_WRONLY | O_CREAT, 0600)));
    MARKS("", ".", close(open("new", O_WRONLY | O_CREAT, 0600)));
    TRUE(!strcmp(marks_between(lstat_of("new"), lstat_of("new")), ""));
    IS(0, size_of("new"));
    IS(0, lstat_of("new").st_blocks);
    IS(1, links_of("new"));
    TRUE(!later(lstat_of("new").st_atim, lstat_of("new").st_mtim));
    TRUE(!later(lstat_of("new").st_ctim, lstat_of("new").st_mtim));
    IS(lstat_of(".").st_dev, lstat_of("new").st_dev);
}

static void
setgid_directories(void)
{
    group("open: setgid directories");
    make_dir("d", 0777);
    MUST(chown("d", 0, 65531));
    MUST(chmod("d", 02777));
    umask(0);
    OK(close(open("d/root", O_WRONLY | O_CREAT, 02755)));
    TEXT("0:65531 2755", owner_of("d/root"));
    OK(mkdir("d/sub", 0755));
    TEXT("0:65531 2755", owner_of("d/sub"));
    OK(mkfifo("d/fifo", 0644));
    TEXT("0:65531 644", owner_of("d/fifo"));
    OK(symlink("x", "d/link"));
    IS(65531, lstat_of("d/link").st_gid);
    be(&alice);
    OK(close(open("d/a", O_WRONLY | O_CREAT, 0755)));
    TEXT("65534:65531 755", owner_of("d/a"));
    /* Who is not of the group gets no setgid program for it. */
    OK(close(open("d/b", O_WRONLY | O_CREAT, 02755)));
    TEXT("65534:65531 755", owner_of("d/b"));
    OK(close(open("d/c", O_WRONLY | O_CREAT, 02745)));
    TEXT("65534:65531 2745", owner_of("d/c"));
    OK(mkdir("d/e", 0700));
    TEXT("65534:65531 2700", owner_of("d/e"));
    OK(mknod("d/f", S_IFREG | 02755, 0));
    TEXT("65534:65531 755", owner_of("d/f"));
    be(&root);
    MUST(chown("d", 0, 65534));
    MUST(chmod("d", 02777));
    be(&carol);
    OK(close(open("d/g", O_WRONLY | O_CREAT, 02755)));
    TEXT("65532:65534 2755", owner_of("d/g"));
}

/* Opens with each way of access; each letter says that it went: r, w, b(oth). */
static const char *
ways(const char *path)
{
    static char text[4];
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR};
    char *end = text;

    for (int i = 0; i < 3; i++) {
        int fd = open(path, flags[i]);

        if (fd >= 0)
            *end++ = "rwb"[i];
        else if (errno != EACCES)
            *end++ = '?';
        if (fd >= 0)
            close(fd);
    }
    *end = '\0';
    return text;
}

static void
permissions(void)
{
    static const char *const expected[8] = {"", "", "w", "w", "r", "r", "rwb", "rwb"};
    char what[64];

    group("open: permissions");
    make("f", 0, "contents");
    MUST(chown("f", 65534, 65534));
    for (unsigned bits = 0; bits < 8; bits++) {
        be(&root);
        MUST(chmod("f", bits << 6));
        TEXT("rwb", ways("f"));
        be(&alice);
        snprintf(what, sizeof(what), "the owner opens mode %03o", bits << 6);
        report_texts(what, expected[bits], ways("f"));
        be(&carol);
        TEXT("", ways("f"));
        be(&root);
        MUST(chmod("f", bits << 3));
        be(&alice);
        TEXT("", ways("f"));
        be(&carol);
        snprintf(what, sizeof(what), "a member opens mode %03o", bits << 3);
        report_texts(what, expected[bits], ways("f"));
        be(&bob);
        TEXT("", ways("f"));
        be(&root);
        MUST(chmod("f", bits));
        be(&bob);
        snprintf(what, sizeof(what), "others open mode %03o", bits);
        report_texts(what, expected[bits], ways("f"));
        be(&carol);
        TEXT("", ways("f"));
        be(&alice);
        TEXT("", ways("f"));
    }
    be(&root);
    make_dir("d", 0755);
    make("d/f", 0666, "");
    for (unsigned bits = 0; bits < 8; bits++) {
        be(&root);
        MUST(chmod("d", 0700 | bits));
        be(&bob);
        snprintf(what, sizeof(what), "a name in a directory of mode %04o", 0700 | bits);
        report_errors(what, bits & 1 ? 0 : EACCES, open("d/f", O_RDWR) < 0 ? errno : 0);
        report_errors(what, bits & 1 ? ENOENT : EACCES,
                      open("d/none", O_RDWR) < 0 ? errno : 0);
        snprintf(what, sizeof(what), "reads a directory of mode %04o", 0700 | bits);
        report_errors(what, bits & 4 ? 0 : EACCES, open("d", O_RDONLY) < 0 ? errno : 0);
        snprintf(what, sizeof(what), "creates in a directory of mode %04o", 0700 | bits);
        report_errors(what, (bits & 3) == 3 ? 0 : EACCES,
                      open("d/new", O_RDWR | O_CREAT | O_EXCL, 0600) < 0 ? errno : 0);
        be(&root);
        unlink("d/new");
    }
    FAILS(ENOTDIR, open("d/f/..", O_RDONLY));
    make("noatime", 0666, "");
    OK(open("noatime", O_RDONLY | O_NOATIME));
    be(&alice);
    FAILS(EPERM, open("noatime", O_RDONLY | O_NOATIME));
    OK(open("noatime", O_RDONLY));
}

/* access(2) asks for who the process really is. */
static void
access_of_bob(void)
{
    OK(access("rwx", F_OK | R_OK | W_OK | X_OK));
    OK(access("r", R_OK));
    FAILS(EACCES, access("r", W_OK));
    FAILS(EACCES, access("r", X_OK));
    FAILS(EACCES, access("none", R_OK));
    OK(access("none", F_OK));
    OK(faccessat(AT_FDCWD, "r", R_OK, AT_EACCESS));
    FAILS(EACCES, faccessat(AT_FDCWD, "r", W_OK, AT_EACCESS));
    FAILS(EACCES, access("closed/none", F_OK));
    FAILS(EINVAL, access("r", 8));
    FAILS(ENOENT, access("dangling", F_OK));
    OK(faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
    FAILS(ENOTDIR, access("r/x", F_OK));
}

static void
access_rights(void)
{
    group("access");
    make("rwx", 0777, "");
    make("r", 0744, "");
    make("none", 0, "");
    make("x", 0100, "");
    make_dir("closed", 0700);
    MUST(symlink("nothing", "dangling"));
    OK(access("none", R_OK | W_OK));
    FAILS(EACCES, access("none", X_OK));
    OK(access("x", X_OK));
    OK(access("closed", X_OK));
    FAILS(ENOENT, access("missing", F_OK));
    as(&bob, access_of_bob);
}

static void
busy_text(void)
{
    int fd, status, executed[2];
    pid_t child;
    char byte;

    group("open: ETXTBSY and execution");
    status = system("cp /bin/sleep program && chmod 755 program");
    IS(0, status);
    /* Executing closes the pipe. */
    MUST(pipe2(executed, O_CLOEXEC));
    MUST(child = fork());
    if (child == 0) {
        execl("./program", "program", "10", (char *)NULL);
        _exit(9);
    }
    close(executed[1]);
    IS(0, read(executed[0], &byte, 1));
    close(executed[0]);
    FAILS(ETXTBSY, open("program", O_WRONLY));
    FAILS(ETXTBSY, open("program", O_RDWR));
    FAILS(ETXTBSY, open("program", O_WRONLY | O_TRUNC));
    FAILS(ETXTBSY, truncate("program", 0));
    OK(open("program", O_RDONLY));
    OK(chmod("program", 0711));
    OK(rename("program", "renamed"));
    OK(unlink("renamed"));
    MUST(kill(child, SIGTERM));
    waitpid(child, &status, 0);
    TRUE(WIFSIGNALED(status));
    IS(0, system("cp /bin/true program && chmod 755 program"));
    OK(fd = open("program", O_WRONLY));
    IS(ETXTBSY, ELSEWHERE(execl("./program", "program", (char *)NULL)));
    OK(close(fd));
    IS(0, ELSEWHERE(execl("./program", "program", (char *)NULL)));
    OK(chmod("program", 0644));
    IS(EACCES, ELSEWHERE(execl("./program", "program", (char *)NULL)));
    make("script", 0755, "#!/bin/sh\nexit 7\n");
    IS(7, ELSEWHERE(execl("./script", "script", (char *)NULL)));
    make("garbage", 0755, "\1\2\3\4");
    IS(ENOEXEC, ELSEWHERE(execl("./garbage", "garbage", (char *)NULL)));
    IS(EACCES, ELSEWHERE(execl(".", ".", (char *)NULL)));
}

/* Set-user-id and set-group-id programs run as their owners. */
static void
run_suid(void)
{
    IS(0, system("./id-u -u > /dev/null"));
    IS(0, system("test $(./id-u -u) = 65533"));
    IS(0, system("test $(./id-g -g) = 65533"));
    IS(0, system("test $(./id -u) = 65534"));
}

static void
set_ids(void)
{
    group("open: set-id programs");
    IS(0, system("cp /usr/bin/id id-u; cp /usr/bin/id id-g; cp /usr/bin/id id;"
                 "chown 65533:65533 id-u id-g id;"
                 "chmod 4755 id-u; chmod 2755 id-g; chmod 755 id"));
    as(&alice, run_suid);
}

static void
temporary(void)
{
    int fd;

    group("open: a bound socket and a fifo");
    int end = socket(AF_UNIX, SOCK_STREAM, 0), peer = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "bound"};

    OK(bind(end, (struct sockaddr *)&name, sizeof(name)));
    IS(S_IFSOCK | 0755, lstat_of("bound").st_mode);
    FAILS(ECONNREFUSED, connect(peer, (struct sockaddr *)&name, sizeof(name)));
    OK(listen(end, 1));
    OK(connect(peer, (struct sockaddr *)&name, sizeof(name)));
    FAILS(EADDRINUSE,
          bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&name, sizeof(name)));
    OK(rename("bound", "moved"));
    OK(unlink("moved"));
    MUST(mkfifo("fifo", 0600));
    OK(fd = open("fifo", O_RDWR));
    MARKS("mc", "fifo", write(fd, "hello", 5));
    char text[6] = {0};

    IS(5, read(fd, text, 5));
    TEXT("hello", text);
    IS(0, size_of("fifo"));
    OK(close(fd));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    successes();
    truncates();
    creates();
    setgid_directories();
    permissions();
    access_rights();
    busy_text();
    set_ids();
    temporary();
    return conform_end();
}
