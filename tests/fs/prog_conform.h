/*
 * prog_conform.h - what the programs of the conformance suite share.
 *
 *     prog_conform_FAMILY DIRECTORY
 *
 * Each of them is a list of cases of one family of calls.  A case is a call and what it must
 * give: an error (FAILS), success (OK), a number (IS), or which times it marks (MARKS).  It
 * prints a line "ok - GROUP: CALL" or "not ok - GROUP: CALL: what was expected, what came", and
 * the program ends with 1 if one of them failed.
 *
 * A group begins in a new empty directory that everyone may write, as root, with umask 022.
 * be() becomes somebody else, as far as file systems care, until the next be() or group(); what
 * asks for real user ids, or must not come back, forks.
 *
 * conform.sh runs every program on the mount and on the file system beneath it, so that what is
 * expected here is never only our opinion.
 */
#ifndef TESTS_FS_PROG_CONFORM_H
#define TESTS_FS_PROG_CONFORM_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct who {
    const char *name;
    uid_t uid;
    gid_t gid;
    size_t group_count;
    gid_t groups[4];
};

static const struct who root = {"root", 0, 0, 0, {0}};
/* Two strangers, and somebody who is in the first one's group besides his own. */
static const struct who alice = {"alice", 65534, 65534, 0, {0}};
static const struct who bob = {"bob", 65533, 65533, 0, {0}};
static const struct who carol = {"carol", 65532, 65532, 1, {65534}};

static struct {
    char directory[PATH_MAX];
    const char *group;
    const struct who *who;
    unsigned groups, failures;
} conform;

/* Prints one case; `wrong` describes the failure, or is NULL. */
static inline bool
report(const char *what, const char *wrong)
{
    const char *who = conform.who == &root ? "" : conform.who->name;

    printf("%s - %s: %s%s%s%s%s\n", wrong ? "not ok" : "ok", conform.group, who,
           *who ? ": " : "", what, wrong ? ": " : "", wrong ? wrong : "");
    conform.failures += wrong != NULL;
    return wrong == NULL;
}

static inline const char *
error_name(int error)
{
    const char *name = strerrorname_np(error);

    return error == 0 ? "success" : name ? name : "an unknown error";
}

static inline bool
report_errors(const char *what, int wanted, int got)
{
    char wrong[128];

    snprintf(wrong, sizeof(wrong), "expected %s, got %s", error_name(wanted),
             error_name(got));
    return report(what, wanted == got ? NULL : wrong);
}

static inline bool
report_numbers(const char *what, long long wanted, long long got)
{
    char wrong[128];

    snprintf(wrong, sizeof(wrong), "expected %lld (0%llo), got %lld (0%llo)", wanted,
             (unsigned long long)wanted, got, (unsigned long long)got);
    return report(what, wanted == got ? NULL : wrong);
}

static inline bool
report_texts(const char *what, const char *wanted, const char *got)
{
    char wrong[1024];

    snprintf(wrong, sizeof(wrong), "expected \"%.400s\", got \"%.400s\"", wanted, got);
    return report(what, strcmp(wanted, got) == 0 ? NULL : wrong);
}

/* A call fails with the error, succeeds, gives the number or the text. */
#define FAILS(error, call) \
    (errno = 0, report_errors(#call, error, (long long)(call) == -1 ? errno : 0))
#define OK(call)            (errno = 0, report_errors(#call, 0, (long long)(call) == -1 ? errno : 0))
#define IS(wanted, value)   report_numbers(#value, (long long)(wanted), (long long)(value))
#define TEXT(wanted, value) report_texts(#value, wanted, value)
#define TRUE(value)         report(#value, (value) ? NULL : "it is not so")

/* The fixture could not be made: the program cannot go on. */
#define MUST(call) ((long long)(call) == -1 ? broken(#call, __FILE__, __LINE__) : (void)0)

static inline void
broken(const char *call, const char *file, int line)
{
    printf("not ok - %s: %s:%d: %s: %s\n", conform.group, file, line, call,
           strerror(errno));
    fflush(stdout);
    exit(1);
}

/* Becomes somebody, as far as files are concerned. */
static inline void
be(const struct who *who)
{
    if (geteuid() != 0)
        MUST(seteuid(0));
    MUST(setegid(who->gid));
    MUST(setgroups(who->group_count, who->groups));
    if (who->uid != 0)
        MUST(seteuid(who->uid));
    conform.who = who;
}

/* Begins a group of cases in a directory of its own. */
static inline void
group(const char *name)
{
    char directory[PATH_MAX + 16];

    be(&root);
    umask(022);
    conform.group = name;
    snprintf(directory, sizeof(directory), "%s/%u", conform.directory, ++conform.groups);
    MUST(mkdir(directory, 0777));
    MUST(chmod(directory, 0777));
    MUST(chdir(directory));
    fflush(stdout);
}

static inline void
conform_begin(int argc, char **argv)
{
    conform.group = "begin";
    conform.who = &root;
    if (argc != 2 || !realpath(argv[1], conform.directory) || geteuid() != 0) {
        fprintf(stderr, "usage: %s DIRECTORY, as root\n", argv[0]);
        exit(2);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    /* Whatever hangs is a failure. */
    alarm(300);
}

static inline int
conform_end(void)
{
    be(&root);
    return conform.failures > 0;
}

/* Runs `body` in a process that is `who` in every respect; its failures count here. */
static inline void
as(const struct who *who, void (*body)(void))
{
    int status;
    pid_t child;

    fflush(stdout);
    be(&root);
    MUST(child = fork());
    if (child == 0) {
        conform.failures = 0;
        conform.who = who;
        MUST(setgroups(who->group_count, who->groups));
        MUST(setresgid(who->gid, who->gid, who->gid));
        MUST(setresuid(who->uid, who->uid, who->uid));
        body();
        fflush(stdout);
        _exit(conform.failures > 100 ? 100 : (int)conform.failures);
    }
    MUST(waitpid(child, &status, 0));
    if (WIFEXITED(status))
        conform.failures += (unsigned)WEXITSTATUS(status);
    else
        report("a child of the test", "it died");
}

/* A call in a process of its own gives its errno, or 0. */
#define ELSEWHERE(call)                                 \
    __extension__({                                     \
        int status_ = 0;                                \
        pid_t child_;                                   \
                                                        \
        fflush(stdout);                                 \
        MUST(child_ = fork());                          \
        if (child_ == 0)                                \
            _exit((long long)(call) == -1 ? errno : 0); \
        MUST(waitpid(child_, &status_, 0));             \
        WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; \
    })

/* An address that no call may use, and that no compiler sees through. */
static inline char *
nowhere(void)
{
    static char *volatile address = (char *)1;

    return address;
}

/* ---- making and looking at files ---- */

/* A file with `mode` exactly, and these contents; made by whoever we are. */
static inline void
make(const char *path, mode_t mode, const char *contents)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    size_t size = strlen(contents);

    MUST(fd);
    if (write(fd, contents, size) != (ssize_t)size)
        broken("write", path, 0);
    MUST(fchmod(fd, mode));
    MUST(close(fd));
}

static inline void
make_dir(const char *path, mode_t mode)
{
    MUST(mkdir(path, 0700));
    MUST(chmod(path, mode));
}

/* One of every kind of file: file, dir, fifo, sock, chr, blk, link (to file), gone (to nothing).
 */
static inline void
make_kinds(void)
{
    make("file", 0644, "contents");
    make_dir("dir", 0755);
    MUST(mkfifo("fifo", 0644));
    MUST(mknod("sock", S_IFSOCK | 0644, 0));
    MUST(mknod("chr", S_IFCHR | 0644, (dev_t)0x103));
    MUST(mknod("blk", S_IFBLK | 0644, (dev_t)0x7fe));
    MUST(symlink("file", "link"));
    MUST(symlink("nothing", "gone"));
}

static inline struct stat
lstat_of(const char *path)
{
    struct stat st = {0};

    if (lstat(path, &st) != 0)
        st.st_mode = 0;
    return st;
}

static inline mode_t
mode_of(const char *path)
{
    return lstat_of(path).st_mode & 07777;
}

static inline long long
size_of(const char *path)
{
    return (long long)lstat_of(path).st_size;
}

static inline long long
links_of(const char *path)
{
    return (long long)lstat_of(path).st_nlink;
}

static inline bool
exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static inline bool
same_file(const char *a, const char *b)
{
    struct stat x = lstat_of(a), y = lstat_of(b);

    return x.st_mode != 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The contents of a small file, as text. */
static inline const char *
contents_of(const char *path)
{
    static char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    text[size < 0 ? 0 : size] = '\0';
    return size < 0 ? "(unreadable)" : text;
}

/* "uid:gid mode", as of somebody's file. */
static inline const char *
owner_of(const char *path)
{
    static char text[64];
    struct stat st = lstat_of(path);

    snprintf(text, sizeof(text), "%u:%u %o", st.st_uid, st.st_gid, st.st_mode & 07777);
    return text;
}

/* A name of `length` bytes, valid until the next but three. */
static inline const char *
name_of_length(size_t length)
{
    static char names[4][PATH_MAX * 2];
    static unsigned turn;
    char *name = names[turn++ % 4];

    memset(name, 'x', length);
    name[length] = '\0';
    return name;
}

/* A path of exactly `length` bytes that leads to `last`: "./././last". */
static inline const char *
path_of_length(size_t length, const char *last)
{
    static char path[PATH_MAX * 2];
    size_t before = length - strlen(last), i;

    for (i = 0; i + 2 <= before; i += 2)
        memcpy(path + i, "./", 2);
    if (i < before)
        path[i++] = '/';
    strcpy(path + i, last);
    return path;
}

/* ---- times ---- */

/* Longer than the clock by which a file system marks files is coarse. */
static inline void
let_time_pass(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 12000000}, NULL);
}

static inline bool
later(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/* Which of atime, mtime and ctime differ: "amc", each letter if so. */
static inline const char *
marks_between(struct stat before, struct stat after)
{
    static char marks[4];
    char *end = marks;

    if (later(after.st_atim, before.st_atim) || later(before.st_atim, after.st_atim))
        *end++ = 'a';
    if (later(after.st_mtim, before.st_mtim) || later(before.st_mtim, after.st_mtim))
        *end++ = 'm';
    if (later(after.st_ctim, before.st_ctim) || later(before.st_ctim, after.st_ctim))
        *end++ = 'c';
    *end = '\0';
    return marks;
}

/* A call succeeds and marks exactly these times of `path`, as it was or has become. */
#define MARKS_AT(marks, path, path_after, call)                         \
    do {                                                                \
        struct stat before_ = lstat_of(path);                           \
                                                                        \
        let_time_pass();                                                \
        if (OK(call))                                                   \
            report_texts(#call " marks " path, marks,                   \
                         marks_between(before_, lstat_of(path_after))); \
    } while (0)
#define MARKS(marks, path, call) MARKS_AT(marks, path, path, call)

/* The same for a call that must fail and mark nothing. */
#define FAILS_MARKING_NOTHING(error, path, call)                  \
    do {                                                          \
        struct stat before_ = lstat_of(path);                     \
                                                                  \
        let_time_pass();                                          \
        if (FAILS(error, call))                                   \
            report_texts(#call " marks " path, "",                \
                         marks_between(before_, lstat_of(path))); \
    } while (0)

#endif
