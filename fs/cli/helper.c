/*
 * helper.c - mount.lsmfs, mount.fuse.lsmfs, umount.lsmfs, umount.fuse.lsmfs.
 *
 * One program with several names, not scripts: nothing has to be quoted, found in a PATH
 * or read from another's messages, and an option means here what it means to lsmfs.
 *
 * H1  An option that mount(8) passes on is obeyed, or is known to mean nothing here; any
 *     other is refused, unless mount -s asks for it to be passed over.
 * H2  No store is made.  If the disk of a store is not there, its mount point, an empty
 *     directory, must not become an empty store, which backups would then copy.
 */
#include "cli/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/client.h"
#include "common/mountinfo.h"
#include "daemon/mount.h"
#include "daemon/options.h"
#include "daemon/remount.h"

struct call {
    bool sloppy, fake, force, lazy, read_only, verbose;
    const char *namespace;
    const char *operands[2];
    int count;
};

/* What the statuses of lsmfs are to mount(8).  `failed`: what none of them says. */
static int
status_of(int status, int failed)
{
    switch (status) {
    case STATUS_OK:
        return HELPER_OK;
    case STATUS_USAGE:
    case STATUS_PERMISSION:
        return HELPER_USAGE;
    case STATUS_FUSE:
        return HELPER_SYSTEM;
    case STATUS_DIED:
        return HELPER_BUG;
    case STATUS_LOCKED:
    case STATUS_STORE:
    case STATUS_MOUNTPOINT:
        return HELPER_FAILED;
    default:
        return failed;
    }
}

static void
on_interrupt(int number)
{
    (void)number;
    _exit(HELPER_INTERRUPTED);
}

/* mount(8) itself goes into NAMESPACE only to look around there, and leaves the mounting
 * in it to us: a process, or the path of a namespace. */
static int
enter(const char *namespace)
{
    char path[64];
    bool is_process = namespace[strspn(namespace, "0123456789")] == '\0';

    snprintf(path, sizeof(path), "/proc/%.20s/ns/mnt", namespace);
    int fd = open(is_process ? path : namespace, O_RDONLY | O_CLOEXEC);
    int result = fd < 0 || setns(fd, CLONE_NEWNS) != 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (result == 0)
        return HELPER_OK;
    fprintf(stderr, "lsmfs: namespace %s: %s\n", namespace, strerror(-result));
    return result == -EPERM || result == -EACCES ? HELPER_USAGE : HELPER_SYSTEM;
}

/* All but -o. */
static int
parse(int argc, char **argv, const char *letters, int operands, struct call *call)
{
    int letter;

    memset(call, 0, sizeof(*call));
    optind = 0;
    opterr = 0;
    while ((letter = getopt(argc, argv, letters)) != -1) {
        switch (letter) {
        case 's':
            call->sloppy = true;
            break;
        case 'f':
            call->fake = call->force = true;
            break;
        case 'l':
            call->lazy = true;
            break;
        case 'r':
            call->read_only = true;
            break;
        case 'v':
            call->verbose = true;
            break;
        case 'N':
            call->namespace = optarg;
            break;
        case 'n': /* no mtab: there is none */
        case 'o':
        case 't':
        case 'w':
            break;
        default:
            return HELPER_USAGE;
        }
    }
    call->count = argc - optind;
    for (int i = 0; i < operands && i < call->count; i++)
        call->operands[i] = argv[optind + i];
    return call->count == operands ? HELPER_OK : HELPER_USAGE;
}

/* ---- mount ---- */

#define MOUNT_LETTERS "sfnvrwN:o:t:"

static const char mount_usage[] =
    "Usage: mount.lsmfs STORE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]\n"
    "Called by `mount -t lsmfs STORE DIR`; see mount.lsmfs(8), and lsmfs(5) for OPTIONS.\n";

static int
add_options(int argc, char **argv, struct options *options)
{
    int letter, result = 0;

    optind = 0;
    while (result == 0 && (letter = getopt(argc, argv, MOUNT_LETTERS)) != -1) {
        if (letter == 'o')
            result = options_add(options, optarg);
        else if (letter == 'r' || letter == 'w')
            options->read_only = letter == 'r';
    }
    return result;
}

static int
mount_with(const struct options *options, const struct call *call)
{
    if (options->remount)
        return status_of(remount_run(options), HELPER_FAILED);
    int status = status_of(mount_run(options), HELPER_SYSTEM);
    if (status == HELPER_OK && call->verbose)
        printf("lsmfs: %s mounted on %s.\n", options->store, options->mountpoint);
    return status;
}

static int
helper_mount(int argc, char **argv)
{
    static struct options options;
    struct call call;
    int status = parse(argc, argv, MOUNT_LETTERS, 2, &call);

    if (status != HELPER_OK) {
        fputs(mount_usage, stderr);
        return status;
    }
    signal(SIGINT, on_interrupt);
    if (call.namespace != NULL && (status = enter(call.namespace)) != HELPER_OK)
        return status;
    options_init(&options);
    options.sloppy = call.sloppy;
    options.must_exist = true; /* H2 */
    if (add_options(argc, argv, &options) != 0)
        return HELPER_USAGE;
    if (options.nofail && access(call.operands[0], F_OK) != 0 && errno == ENOENT) {
        fprintf(stderr, "lsmfs: %s is not there; nothing is mounted (nofail)\n",
                call.operands[0]);
        return HELPER_OK;
    }
    if (options_place(&options, call.operands[0], call.operands[1]) != 0)
        return HELPER_USAGE;
    options.foreground = options.debug =
        false; /* mount(8) waits for the end of its helper */
    return call.fake ? HELPER_OK : mount_with(&options, &call);
}

/* ---- umount ---- */

static const char umount_usage[] =
    "Usage: umount.lsmfs DIR [-flnrv] [-N NAMESPACE] [-t TYPE]\n"
    "Called by `umount DIR`; see mount.lsmfs(8).  Returns when everything is on disk.\n";

/* As umount(2) does it: the daemon, which may not answer any more, is not asked; but what is left of a
 * killed one is ended, since nothing would lead to it afterwards. */
static int
unmount_directly(const char *place, const struct call *call)
{
    char point[PATH_MAX];
    int result = mountinfo_absolute(place, point);
    const char *why = strerror(-result);

    if (result == 0) {
        (void)client_is_killed_at(point);
        result = call->force ? mountinfo_abort(point, call->lazy)
                             : mountinfo_unmount(point, true);
        why = mountinfo_why(result);
    }
    if (result == 0)
        return HELPER_OK;
    fprintf(stderr, "lsmfs: %s: %s\n", place, why);
    return result == -EPERM || result == -EACCES ? HELPER_USAGE : HELPER_FAILED;
}

/* umount -r: what is in use becomes read-only instead. */
static int
make_read_only(const char *place)
{
    static struct options options;
    struct mountinfo info;

    options_init(&options);
    if (mountinfo_absolute(place, options.mountpoint) != 0 ||
        mountinfo_find(0, options.mountpoint, &info) != 0)
        return HELPER_FAILED;
    stpcpy(options.store, info.source);
    options.read_only = true;
    int status = status_of(remount_run(&options), HELPER_FAILED);
    if (status == HELPER_OK)
        fprintf(stderr, "lsmfs: %s is read-only now\n", place);
    return status;
}

static int
helper_umount(int argc, char **argv)
{
    struct call call;
    int status = parse(argc, argv, "flnrvN:t:", 1, &call);

    if (status != HELPER_OK) {
        fputs(umount_usage, stderr);
        return status;
    }
    const char *place = call.operands[0];
    signal(SIGINT, on_interrupt);
    if (call.namespace != NULL && (status = enter(call.namespace)) != HELPER_OK)
        return status;
    if (call.force || call.lazy)
        status = unmount_directly(place, &call);
    else
        status = status_of(cli_umount_at(place), HELPER_FAILED);
    if (status == HELPER_FAILED && call.read_only)
        status = make_read_only(place);
    else if (status == HELPER_OK && call.verbose)
        printf("lsmfs: %s unmounted\n", place);
    return status;
}

/* ---- which one it is ---- */

bool
helper_run(int argc, char **argv, int *status)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } helpers[] = {
        {"mount.lsmfs", helper_mount},
        {"mount.fuse.lsmfs", helper_mount},
        {"umount.lsmfs", helper_umount},
        {"umount.fuse.lsmfs", helper_umount},
    };
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;

    name = name != NULL ? name + 1 : argc > 0 ? argv[0] : "";
    for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++) {
        if (strcmp(name, helpers[i].name) == 0) {
            *status = helpers[i].run(argc, argv);
            return true;
        }
    }
    return false;
}
