/*
 * cli_backup.c - `lsmfs backup`: a command on a snapshot, at a path that is the same
 * every time.
 *
 * Programs that make backups know a file again by its path and its inode number, else
 * they read it anew.  From one run to the next both are the same:
 *
 *     the store is      the command works in             which is
 *     mounted           MOUNTPOINT/.snapshots/.backup    what it is
 *     mounted, --at     DIR                              a bind mount of that; root's alone
 *     not mounted       DIR, or below /run               a mount of the snapshot, by a child of ours
 *
 * The numbers go with the name .backup, wherever it is shown (snapdir.c).
 *
 * B1  Who has the store's directory locked, by flock, has its .backup.  So what is there
 *     without a holder was left by one that died, and is dropped by the next.  The
 *     command holds it, too, so that it keeps what it works in if we are killed.
 * B2  From before the snapshot until it is dropped no signal ends us but SIGKILL.
 * B3  Our mount ends with us, even by SIGKILL.
 * B4  The command's directory is on a mount of this store, whatever its path leads to by
 *     now: others may own a directory on the way, and put a link there or another mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/place.h"
#include "common/client.h"
#include "common/command.h"
#include "common/mountinfo.h"
#include "daemon/mount.h"
#include "vfs/snapdir.h"

#define READY_STEP 10000000 /* nanoseconds */

static const char help[] =
    "Usage: lsmfs backup STORE|MOUNTPOINT [--at DIR] -- COMMAND [ARG]...\n"
    "Take a snapshot, run COMMAND in it, and delete the snapshot.  Paths, inode numbers and times\n"
    "are the same in every run, so that a program that makes backups reads what has changed.\n"
    "COMMAND works in MOUNTPOINT/.snapshots/.backup if the store is mounted; otherwise the snapshot\n"
    "is mounted at /run/lsmfs/NAME, for other users than root $XDG_RUNTIME_DIR/lsmfs/NAME, where\n"
    "NAME is the store's path as systemd-escape(1) writes it.  It finds LSMFS_SNAPSHOT, the\n"
    "snapshot's name, and LSMFS_SNAPSHOT_DIR, the directory, in its environment.\n"
    "\n"
    "      --at=DIR  show the snapshot at the directory DIR; of a mounted store only for root\n"
    "  -h, --help    show this help and exit\n"
    "\n"
    "Examples:\n"
    "  lsmfs backup notes -- restic backup .\n"
    "  lsmfs backup notes -- borg create /backup::{now} .\n"
    "  lsmfs backup notes -- rsync -aHAX --delete ./ /backup/notes/\n"
    "\n"
    "Exit status: that of COMMAND, 128 and the number of a signal that ended it, 127 if it is not\n"
    "there, 126 if it cannot be run; 125 if there was no snapshot to run it in, or wrong usage, or\n"
    "if COMMAND succeeded and something was left to clean up.\n";

struct backup {
    const char *given, *at; /* `at` may be NULL */
    char **arguments;       /* of the command, its name first */
    sigset_t signals;       /* held before */
    char store[PATH_MAX];
    char directory[PATH_MAX]; /* where the command works */
    uint64_t id;              /* of the snapshot */
    int lock;                 /* a descriptor of the store's directory (B1) */
    int folder;               /* one of `directory` (B4) */
    bool mounted;             /* by others */
    bool bound;               /* by us, to `directory` */
    bool made;                /* by us: `directory` itself */
    pid_t daemon;             /* of our mount; 0: none */
};

__attribute__((format(printf, 1, 2))) static int
complain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("lsmfs backup: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    return COMMAND_FAILED;
}

/* ---- the snapshot ---- */

static int
lock_store(struct backup *backup)
{
    int result = client_find_store(backup->given, backup->store, NULL);

    if (result != 0)
        return complain("%s: %s", backup->given, strerror(-result));
    backup->lock = open(backup->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (backup->lock < 0)
        return complain("%s: %s", backup->store, strerror(errno));
    if (flock(backup->lock, LOCK_EX | LOCK_NB) == 0)
        return STATUS_OK;
    if (errno == EWOULDBLOCK)
        return complain("%s: a backup is under way", backup->store);
    return complain("%s: %s", backup->store, strerror(errno));
}

/* ---- what an earlier one left that was killed ---- */

struct search {
    const char *store;
    char point[PATH_MAX]; /* "" until it is found */
};

/* Is it a snapshot of a backup, which may have been dropped since? */
static bool
look_for_bound(void *context, const struct mountinfo *info)
{
    static const char root[] = "/" KEY_SNAPSHOTS "/" SNAPDIR_BACKUP;
    struct search *search = context;
    const char *behind = info->root + strlen(root);

    if (strcmp(info->type, MOUNT_TYPE) == 0 && strcmp(info->source, search->store) == 0 &&
        strncmp(info->root, root, strlen(root)) == 0 &&
        (*behind == '\0' || *behind == '/'))
        strcpy(search->point, info->point);
    return search->point[0] == '\0';
}

static bool
look_for_mount(void *context, const struct mountinfo *info)
{
    struct search *search = context;

    if (strcmp(info->type, MOUNT_TYPE) == 0 && strcmp(info->source, search->store) == 0)
        strcpy(search->point, info->point);
    return search->point[0] == '\0';
}

/* A daemon whose last place has gone is about to end.  Until it has, it still takes
 * commands, and does not answer them.  One that goes on is in a namespace of its own. */
static void
await_leaving_daemon(const struct backup *backup)
{
    const struct timespec step = {0, 20000000};

    for (int i = 0; i < 250; i++) {
        struct search search = {.store = backup->store};
        char note[16];
        int pid;

        if (mountinfo_each(0, look_for_mount, &search) != 0 || search.point[0] != '\0' ||
            lsmkv_lock_holder(backup->store, &pid, note, sizeof(note)) == -ENOENT)
            return;
        nanosleep(&step, NULL);
    }
}

/* What is bound anywhere, since nobody else has it (B1).  It keeps a daemon alive, so
 * that this comes before it is known whether the store is mounted.  Only root can, and
 * only root can have left it. */
static int
unbind_left_over(const struct backup *backup)
{
    struct search search = {.store = backup->store};
    bool found = false;
    int result = 0;

    while (geteuid() == 0 && result == 0) {
        search.point[0] = '\0';
        result = mountinfo_each(0, look_for_bound, &search);
        if (result == 0 && search.point[0] == '\0')
            break;
        if (result == 0)
            result = mountinfo_unmount(search.point, true);
        found = true;
    }
    if (found)
        await_leaving_daemon(backup);
    return result == 0 ? STATUS_OK : complain("%s: %s", search.point, strerror(-result));
}

/* 0 as well if there is none. */
static int
drop_snapshot(const struct place *place)
{
    int result = place_delete(place, SNAPDIR_BACKUP);

    if (result == 0 || result == -ENOENT)
        return 0;
    return place_fail(place, SNAPDIR_BACKUP, result);
}

/* The number of the snapshot that there is, which no other will have; 0: there is
 * none. */
static int
find_snapshot(const struct place *place, uint64_t *id)
{
    struct place_snapshot *all;
    size_t count;
    int result = place_list(place, &all, &count);

    if (result != 0)
        return place_fail(place, SNAPDIR_BACKUP, result);
    *id = 0;
    for (size_t i = 0; i < count; i++) {
        if (snapdir_is_backup(all[i].name))
            *id = all[i].id;
    }
    free(all);
    return 0;
}

static int
take_snapshot(struct backup *backup)
{
    struct place place;
    int status = place_open(&place, "backup", backup->store, true);

    if (status != STATUS_OK)
        return COMMAND_FAILED;
    backup->mounted = place.vfs == NULL;
    status = drop_snapshot(&place);
    if (status == STATUS_OK) {
        int result = place_create(&place, SNAPDIR_BACKUP);
        if (result != 0)
            status = place_fail(&place, SNAPDIR_BACKUP, result);
        else
            status = find_snapshot(&place, &backup->id);
    }
    return place_close(&place, status) == STATUS_OK ? STATUS_OK : COMMAND_FAILED;
}

/* One that somebody has made in its place is his. */
static int
drop_own(const struct backup *backup, const struct place *place)
{
    uint64_t id;
    int status = find_snapshot(place, &id);

    return status == 0 && id == backup->id ? drop_snapshot(place) : status;
}

/* By its daemon or not: that may have changed meanwhile. */
static int
give_back_snapshot(struct backup *backup)
{
    struct place place;
    int status = place_open(&place, "backup", backup->store, true);

    if (status == STATUS_OK)
        status = place_close(&place, drop_own(backup, &place));
    if (status == STATUS_OK)
        return STATUS_OK;
    return complain("%s: the snapshot %s is left, for the next backup to delete",
                    backup->store, SNAPDIR_BACKUP);
}

/* ---- of a mounted store ---- */

/* Without following a link.  Takes `above`, unless it is AT_FDCWD; -1 with errno, as
 * open. */
static int
enter(int above, const char *name, int flags)
{
    int folder = openat(above, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;

    if (above >= 0)
        close(above);
    errno = error;
    return folder;
}

/* `folder`: of backup->directory; -1 with errno: it could not be opened. */
static int
work_in(struct backup *backup, int folder)
{
    backup->folder = folder;
    if (folder < 0)
        return complain("%s: %s%s", backup->directory, strerror(errno),
                        errno == EACCES ? "; it is for who mounted it, unless with "
                                          "-o allow_root or allow_other"
                                        : "");
    if (!mountinfo_holds(folder, backup->store)) /* B4 */
        return complain("%s: not on a mount of %s", backup->directory, backup->store);
    return STATUS_OK;
}

static int
find_in_mount(struct backup *backup)
{
    char point[PATH_MAX];

    if (client_find_mount(backup->store, point) != 0)
        return complain("%s: cannot tell where it is mounted", backup->store);
    int length = snprintf(backup->directory, sizeof(backup->directory), "%s/%s/%s", point,
                          KEY_SNAPSHOTS, SNAPDIR_BACKUP);
    if (length >= (int)sizeof(backup->directory))
        return complain("%s: %s", point, strerror(ENAMETOOLONG));
    int folder = enter(AT_FDCWD, point, O_PATH);
    if (folder >= 0)
        folder = enter(folder, KEY_SNAPSHOTS, O_PATH);
    if (folder >= 0)
        folder = enter(folder, SNAPDIR_BACKUP, O_RDONLY);
    return work_in(backup, folder);
}

static int
bind(struct backup *backup)
{
    const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV;
    char at[PATH_MAX], source[64];
    struct mountinfo there;
    int result = mountinfo_absolute(backup->at, at);

    if (result != 0)
        return complain("%s: %s", backup->at, strerror(-result));
    if (mountinfo_find(0, at, &there) == 0)
        return complain("%s: something is mounted there", at);
    snprintf(source, sizeof(source), "/proc/self/fd/%d", backup->folder);
    if (mount(source, at, NULL, MS_BIND, NULL) != 0) {
        if (errno == EPERM)
            return complain("--at %s: only root can show a mounted store there; without "
                            "--at the command works in %s, which is the same every time",
                            at, backup->directory);
        return complain("%s: %s", at, strerror(errno));
    }
    backup->bound = true;
    strcpy(backup->directory, at);
    if (mount(NULL, at, NULL, MS_REMOUNT | MS_BIND | flags, NULL) != 0)
        return complain("%s: %s", at, strerror(errno));
    close(backup->folder);
    return work_in(backup, enter(AT_FDCWD, at, O_RDONLY));
}

/* ---- of one that is not mounted ---- */

/* As systemd-escape --path does; -ENAMETOOLONG. */
static int
escape(const char *path, char name[NAME_MAX + 1])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.";
    size_t used = 0;

    path += strspn(path, "/");
    for (const char *at = path; *at != '\0'; at++) {
        bool is_plain = strchr(plain, *at) != NULL && !(*at == '.' && at == path);
        if (used + 5 > NAME_MAX)
            return -ENAMETOOLONG;
        if (*at == '/' || is_plain)
            name[used++] = *at == '/' ? '-' : *at;
        else
            used += (size_t)snprintf(name + used, 5, "\\x%02x", (unsigned char)*at);
    }
    name[used] = '\0';
    return 0;
}

static int
make_directory(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return STATUS_OK;
    return complain("%s: %s", path, strerror(errno));
}

static int
choose_directory(struct backup *backup)
{
    const char *runtime = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
    char above[PATH_MAX], name[NAME_MAX + 1];

    if (backup->at != NULL) {
        int result = mountinfo_absolute(backup->at, backup->directory);
        return result == 0 ? STATUS_OK
                           : complain("%s: %s", backup->at, strerror(-result));
    }
    if (runtime == NULL || *runtime != '/')
        return complain("XDG_RUNTIME_DIR is not set; give a directory with --at");
    if (escape(backup->store, name) != 0 ||
        snprintf(above, sizeof(above), "%s/lsmfs", runtime) >= PATH_MAX ||
        snprintf(backup->directory, PATH_MAX, "%s/lsmfs/%s", runtime, name) >= PATH_MAX)
        return complain("%s: the path is too long; give a directory with --at",
                        backup->store);
    int status = make_directory(above, 0755);
    if (status == STATUS_OK)
        status = make_directory(backup->directory, 0700);
    backup->made = status == STATUS_OK;
    return status;
}

/* In the child, which is the daemon of our mount. */
static int
serve(const struct backup *backup, pid_t parent)
{
    static struct options options;

    setsid(); /* what a terminal sends is not meant for it */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        return STATUS_FAILED;
    command_restore_signals(&backup->signals);
    options_init(&options);
    options.foreground = true;
    options.must_exist = true;
    options.acl = true; /* those that there are belong into a backup */
    strcpy(options.snapshot, SNAPDIR_BACKUP);
    if (options_place(&options, backup->store, backup->directory) != 0)
        return STATUS_USAGE;
    return mount_run(&options);
}

/* Waits until the mount answers, or its daemon has ended, having said why. */
static int
await_mount(struct backup *backup)
{
    const struct timespec step = {0, READY_STEP};
    struct mountinfo info;
    struct statfs fs;

    while (waitpid(backup->daemon, NULL, WNOHANG) == 0) {
        if (mountinfo_find(0, backup->directory, &info) == 0 &&
            strcmp(info.type, MOUNT_TYPE) == 0 &&
            strcmp(info.source, backup->store) == 0 &&
            statfs(backup->directory, &fs) == 0)
            return work_in(backup, enter(AT_FDCWD, backup->directory, O_RDONLY));
        nanosleep(&step, NULL);
    }
    backup->daemon = 0;
    return COMMAND_FAILED;
}

static int
mount_snapshot(struct backup *backup)
{
    pid_t parent = getpid();
    int status = choose_directory(backup);

    if (status != STATUS_OK)
        return status;
    fflush(stdout);
    backup->daemon = fork();
    if (backup->daemon == 0)
        _exit(serve(backup, parent));
    if (backup->daemon > 0)
        return await_mount(backup);
    backup->daemon = 0;
    return complain("%s", strerror(errno));
}

/* ---- the whole ---- */

static int
show_snapshot(struct backup *backup)
{
    if (!backup->mounted)
        return mount_snapshot(backup);
    int status = find_in_mount(backup);
    return status == STATUS_OK && backup->at != NULL ? bind(backup) : status;
}

static int
unbind(struct backup *backup)
{
    int result = mountinfo_unmount(backup->directory, false);

    if (result == -EBUSY) {
        complain("%s is in use; it is taken away from whoever uses it",
                 backup->directory);
        result = mountinfo_unmount(backup->directory, true);
    }
    return result == 0 ? STATUS_OK
                       : complain("%s: %s", backup->directory, mountinfo_why(result));
}

/* Told to end, a daemon takes its mount away even from who uses it. */
static int
end_daemon(struct backup *backup)
{
    int status;

    kill(backup->daemon, SIGTERM);
    while (waitpid(backup->daemon, &status, 0) < 0) {
        if (errno != EINTR)
            return complain("%s", strerror(errno));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? STATUS_OK
               : complain("%s: the daemon of the snapshot failed", backup->directory);
}

static int
hide_snapshot(struct backup *backup)
{
    int status = STATUS_OK;

    if (backup->folder >= 0)
        close(backup->folder); /* or it would be in use */
    if (backup->bound)
        status = unbind(backup);
    if (backup->daemon != 0)
        status = end_daemon(backup);
    if (backup->made && rmdir(backup->directory) != 0)
        status = complain("%s: %s", backup->directory, strerror(errno));
    return status;
}

static int
run_command(struct backup *backup)
{
    if (setenv("LSMFS_SNAPSHOT", SNAPDIR_BACKUP, 1) != 0 ||
        setenv("LSMFS_SNAPSHOT_DIR", backup->directory, 1) != 0)
        return complain("%s", strerror(errno));
    if (fcntl(backup->lock, F_SETFD, 0) != 0)
        return complain("%s", strerror(errno));
    return command_run("backup", backup->arguments, backup->folder, &backup->signals);
}

static int
run(struct backup *backup)
{
    command_hold_signals(&backup->signals);
    int status = lock_store(backup);
    if (status != STATUS_OK)
        return status;
    status = unbind_left_over(backup);
    if (status == STATUS_OK)
        status = take_snapshot(backup);
    if (status != STATUS_OK)
        return status;
    status = show_snapshot(backup);
    if (status == STATUS_OK)
        status = run_command(backup);
    int hidden = hide_snapshot(backup), given_back = give_back_snapshot(backup);
    flock(backup->lock, LOCK_UN); /* even if the command has left children */
    if (status == STATUS_OK)
        status = hidden != STATUS_OK ? hidden : given_back;
    return status;
}

static int
misused(const char *why, const char *what)
{
    fprintf(stderr, "lsmfs backup: %s%s\nTry 'lsmfs backup --help'.\n", why, what);
    return COMMAND_FAILED;
}

/* Options are before and behind the first operand, and end with the command.  -1 to go
 * on, else the exit status. */
static int
parse(struct backup *backup, int argc, char **argv)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'}, {"at", required_argument, NULL, 'a'}, {0}};

    opterr = 0;
    optind = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int letter; (letter = getopt_long(argc, argv, "+:h", names, NULL)) != -1;) {
            if (letter == 'h') {
                fputs(help, stdout);
                return fflush(stdout) != 0 ? COMMAND_FAILED : STATUS_OK;
            }
            if (letter != 'a')
                return misused(letter == '?' ? "unknown option " : "no value for ",
                               argv[optind - 1]);
            backup->at = optarg;
        }
        if (optind >= argc)
            return misused(pass == 0 ? "missing operand" : "missing command", "");
        if (pass == 0)
            backup->given = argv[optind++];
    }
    backup->arguments = argv + optind;
    return -1;
}

int
cli_backup(int argc, char **argv)
{
    static struct backup backup = {.lock = -1, .folder = -1};
    int status = parse(&backup, argc, argv);

    return status >= 0 ? status : run(&backup);
}
