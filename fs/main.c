/*
 * main.c - lsmfs: which command it is.
 *
 * Under another name it is a helper of mount(8), see helper.h.
 * `lsmfs STORE MOUNTPOINT` mounts, as `lsmfs mount STORE MOUNTPOINT` does; a first argument that is
 * a command's name is that command.  A store with such a name is given as ./NAME.
 */
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_check.h"
#include "cli/cli_export.h"
#include "cli/cli_repair.h"
#include "cli/cli_store.h"
#include "cli/helper.h"
#include "daemon/mount.h"
#include "daemon/options.h"
#include "daemon/remount.h"

#define LINE "STORE MOUNTPOINT [-o OPTION[,OPTION]...] [-f] [-d]\n"

static const char usage[] =
    "Usage: lsmfs " LINE "       lsmfs mount " LINE
    "       lsmfs create [--compress=lz4] STORE\n"
    "       lsmfs umount MOUNTPOINT\n"
    "       lsmfs list\n"
    "       lsmfs status|sync STORE|MOUNTPOINT\n"
    "       lsmfs stats [--json|--prometheus] STORE|MOUNTPOINT\n"
    "       lsmfs put|get|rm|ls STORE [KEY]        (see lsmfs COMMAND --help)\n"
    "       lsmfs check STORE|MOUNTPOINT\n"
    "       lsmfs repair STORE|MOUNTPOINT [NEW-STORE]\n"
    "       lsmfs compact STORE|MOUNTPOINT\n"
    "       lsmfs export STORE|MOUNTPOINT [PATH]...\n"
    "       lsmfs import STORE|MOUNTPOINT [DIR]\n"
    "       lsmfs snapshot create|list|delete|rename|diff|prune STORE|MOUNTPOINT\n"
    "       lsmfs snapshot rollback [--force] STORE|MOUNTPOINT NAME\n"
    "       lsmfs backup STORE|MOUNTPOINT [--at DIR] -- COMMAND [ARG]...\n";

static const char mount_usage[] = "Usage: lsmfs mount " LINE;

static const char help[] =
    "Mount STORE, a directory that holds a key-value store, at MOUNTPOINT.  A STORE that is\n"
    "absent or an empty directory becomes a new one.  Returns when the mount answers.\n"
    "\n"
    "  -f, --foreground  stay in the foreground\n"
    "  -d, --debug       print every request; implies -f\n"
    "  -h, --help        show this help and exit\n"
    "  -V, --version     show the versions and exit\n"
    "\n"
    "Options:\n"
    "  commit=SECONDS    what is acknowledged reaches the disk after so long at the latest; 1\n"
    "  sync, dirsync     every change is on disk before it is acknowledged\n"
    "  ro                read-only: no file of STORE is changed\n"
    "  nocreate          make no new store, as when its disk may be missing\n"
    "  snapshot=NAME     show that snapshot, read-only\n"
    "  snapdir=visible   list .snapshots in the root directory\n"
    "  acl               POSIX access control lists\n"
    "  uid=USER, gid=GROUP  show all files as theirs\n"
    "  umask=MASK        show all files with the permissions 0777 but MASK, in octal\n"
    "  memory=SIZE       what the daemon's memory stays below, from 48M; 256M\n"
    "  loglevel=LEVEL    say what is error, warning (the default), info or debug, and worse\n"
    "  noatime, strictatime  reading never changes access times, or it always does\n"
    "  allow_other, allow_root  other users, or root, may use the mount\n"
    "  suid, nosuid, dev, nodev  set-user-ID bits, device files: obeyed, or not, the default\n"
    "  nodiratime        listing does not change access times\n"
    "  writeback_cache   what is written to a file waits in the kernel: see lsmfs(5)\n"
    "  io_uring          requests over io_uring, where the kernel allows it\n"
    "  low_latency       idle processors stay awake while requests come quickly, as root\n"
    "  rw, exec, noexec  as for mount(8)\n"
    "  remount           change ro, rw, suid, dev, exec of a mount that there is\n"
    "\n"
    "Example:\n"
    "  lsmfs mount -o commit=5,acl notes.store notes\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 STORE is in use, 4 not a good store,\n"
    "5 not permitted, 6 MOUNTPOINT cannot be used, 7 no FUSE, 8 the daemon died (of check,\n"
    "repair, export and backup: see their --help).  See lsmfs(1); of -o, lsmfs(5).\n";

static int
print_version(void)
{
    printf("lsmfs %s, lsmkv %s, libfuse %s\n", LSMFS_VERSION, lsmkv_version(),
           fuse_pkgversion());
    return fflush(stdout) != 0 ? STATUS_FAILED : STATUS_OK;
}

static int
print_help(const char *synopsis)
{
    fputs(synopsis, stdout);
    return fputs(help, stdout) < 0 || fflush(stdout) != 0 ? STATUS_FAILED : STATUS_OK;
}

/* Help or versions, if they are asked for, wherever.  False: they are not. */
static bool
inform(int argc, char **argv, const char *synopsis, int *status)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            *status = print_help(synopsis);
            return true;
        }
        if (strcmp(argv[i], "-V") == 0 || strcmp(argv[i], "--version") == 0) {
            *status = print_version();
            return true;
        }
    }
    return false;
}

static int
mount_main(int argc, char **argv)
{
    static struct options options;
    int result = options_parse(argc, argv, &options);

    if (result != 0)
        return STATUS_USAGE;
    return options.remount ? remount_run(&options) : mount_run(&options);
}

static int
cli_mount(int argc, char **argv)
{
    int status;

    return inform(argc, argv, mount_usage, &status) ? status : mount_main(argc, argv);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    bool by_key; /* the daemon does it if the store is mounted */
} commands[] = {
    {"mount", cli_mount, false},
    {"create", cli_create, false},
    {"list", cli_list, false},
    {"umount", cli_umount, false},
    {"status", cli_status, false},
    {"sync", cli_sync, false},
    {"put", cli_put, true},
    {"get", cli_get, true},
    {"rm", cli_rm, true},
    {"ls", cli_ls, true},
    {"check", cli_check, false},
    {"export", cli_export, false},
    {"compact", cli_compact, false},
    {"import", cli_import, false},
    {"repair", cli_repair, false},
    {"snapshot", cli_snapshot, false},
    {"backup", cli_backup, false},
    {"stats", cli_stats, false},
};

int
main(int argc, char **argv)
{
    int status;

    if (helper_run(argc, argv, &status))
        return status;
    if (argc < 2) {
        fputs(usage, stderr);
        fputs(help, stderr);
        return STATUS_USAGE;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (commands[i].by_key && cli_mounted(argc - 1, argv + 1, &status))
            return status;
        return commands[i].run(argc - 1, argv + 1);
    }
    return inform(argc, argv, usage, &status) ? status : mount_main(argc, argv);
}
