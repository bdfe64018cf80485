/*
 * remount.c - other flags for a mount that there is.
 *
 * The kernel does it all: it refuses to make read-only what somebody writes to, and sends
 * what shared mappings have changed.  A daemon that has its store for reading only cannot
 * be made to write, so that is refused here, before the kernel would promise it.
 */
#include "daemon/remount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "common/client.h"
#include "common/mountinfo.h"
#include "common/note.h"
#include "daemon/mount.h"

static const struct {
    const char *name;
    unsigned long set, clear;
} flags[] = {
    {"rw", 0, MS_RDONLY},     {"suid", 0, MS_NOSUID}, {"nosuid", MS_NOSUID, 0},
    {"dev", 0, MS_NODEV},     {"nodev", MS_NODEV, 0}, {"exec", 0, MS_NOEXEC},
    {"noexec", MS_NOEXEC, 0},
};

static const struct {
    unsigned long of_statvfs, of_mount;
} kept[] = {
    {ST_RDONLY, MS_RDONLY},     {ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},
    {ST_NOEXEC, MS_NOEXEC},     {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME},
    {ST_RELATIME, MS_RELATIME},
};

/* What it has, changed by what is asked for.  Without `ro` or `rw` it stays what it is.
 * mount(8) takes a nosuid away for suid, and so on, and then says neither; but its list
 * is only complete if it began with what the kernel says of the mount, rather than with a
 * line of fstab, which lacks the nosuid and nodev that FUSE begins with. */
static unsigned long
wanted_flags(const struct options *options, unsigned long now)
{
    char list[OPTIONS_PASSED_MAX];
    const char *name;
    char *rest = list;
    unsigned long wanted = 0;

    if (options->existing)
        now &= ~(unsigned long)(ST_NOSUID | ST_NODEV | ST_NOEXEC);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (now & kept[i].of_statvfs)
            wanted |= kept[i].of_mount;
    }
    stpcpy(list, options->passed);
    while ((name = strsep(&rest, ",")) != NULL) {
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
            if (strcmp(name, flags[i].name) == 0)
                wanted = (wanted & ~flags[i].clear) | flags[i].set;
        }
    }
    return options->read_only ? wanted | MS_RDONLY : wanted;
}

/* Who only reads says nothing of itself. */
static bool
only_reads(const char *store)
{
    char point[PATH_MAX];
    int pid;

    return note_read(store, &pid, point) == 0 && pid == 0;
}

static int
fail(const struct options *options, const char *why, int status)
{
    fprintf(stderr, "lsmfs: cannot remount %s: %s\n", options->mountpoint, why);
    return status;
}

int
remount_run(const struct options *options)
{
    const char *point = options->mountpoint;
    struct mountinfo info;
    struct statvfs st;
    int result = mountinfo_find(0, point, &info);

    if (result == -ENOENT || (result == 0 && (strcmp(info.type, MOUNT_TYPE) != 0 ||
                                              strcmp(info.source, options->store) != 0)))
        return fail(options, "that store is not mounted there", STATUS_MOUNTPOINT);
    if (result != 0)
        return fail(options, strerror(-result), STATUS_FAILED);
    if (client_is_killed_at(point))
        return fail(options, strerror(ENOTCONN), STATUS_MOUNTPOINT);
    if (statvfs(point, &st) != 0)
        return fail(options, strerror(errno), STATUS_MOUNTPOINT);

    unsigned long wanted = wanted_flags(options, st.f_flag);
    if ((st.f_flag & ST_RDONLY) && !(wanted & MS_RDONLY) && only_reads(options->store))
        return fail(options, "it was mounted read-only; unmount it, then mount it anew",
                    STATUS_FAILED);
    if (mount(NULL, point, NULL, MS_REMOUNT | wanted, NULL) == 0)
        return STATUS_OK;
    return fail(options, strerror(errno),
                errno == EPERM || errno == EACCES ? STATUS_PERMISSION : STATUS_FAILED);
}
