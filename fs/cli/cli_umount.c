/*
 * cli_umount.c - `lsmfs umount`: returns when everything is on disk and the lock is free.
 *
 * Of these the daemon tells; so it is asked to unmount itself.  If it is dead, or has no
 * control socket (a read-only mount), the mount is removed as umount(8) does it, and the
 * store is opened and closed once, which recovers what the daemon left and makes it
 * durable.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_line.h"
#include "common/client.h"
#include "common/log.h"
#include "common/mountinfo.h"
#include "daemon/mount.h"
#include "store/store.h"

static const char help[] =
    "Usage: lsmfs umount MOUNTPOINT\n"
    "Unmount a file system of lsmfs.  Returns when everything is on disk and the store can be\n"
    "opened again; not 0 if it is in use or if anything could not be made durable.\n"
    "\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  lsmfs umount notes\n"
    "\n"
    "Exit status: 0, or 1 failed (it is in use, or something is not on disk), 2 wrong usage,\n"
    "5 not permitted, 6 no file system of lsmfs is mounted at MOUNTPOINT.\n";

static int
refuse(const char *point, int result)
{
    if (result == -EBUSY)
        fprintf(stderr, "lsmfs umount: %s is in use (`fuser -vm %s` says by whom)\n",
                point, point);
    else
        fprintf(stderr, "lsmfs umount: %s: %s\n", point, mountinfo_why(result));
    return result == -EACCES || result == -EPERM ? STATUS_PERMISSION : STATUS_FAILED;
}

/* Is the daemon that has the store the one mounted at `point`?  A bind mount of it is
 * not. */
static bool
is_daemons_place(const char *store, const char *point)
{
    char place[PATH_MAX];

    return client_find_mount(store, place) == 0 && strcmp(place, point) == 0;
}

static int
ask_daemon(struct client *client, const char *store, const char *point)
{
    client_ask(client, "umount", lsmkv_bytes(NULL, 0));
    int result = client_answer(client, STDOUT_FILENO);
    if (result == 0)
        return STATUS_OK;
    if (result == -EBUSY && strcmp(client->text, strerror(EBUSY)) == 0)
        return refuse(point, result);
    client_fail(client, "umount", result == -EBUSY ? point : store, result);
    return result == -EPERM ? STATUS_PERMISSION : STATUS_FAILED;
}

/* Opens and closes the store; waits for a holder that is shutting down. */
static int
settle(const char *store)
{
    struct lsmkv_options options;
    struct lsmkv *db;

    store_engine_init(&options);
    options.log = log_engine;
    int result = lsmkv_open(store, &options, &db);
    if (result == 0)
        result = lsmkv_close(db);
    if (result == 0)
        return STATUS_OK;
    fprintf(stderr, "lsmfs umount: %s is unmounted, but: %s: %s\n", store,
            lsmkv_strerror(result), lsmkv_error_detail());
    return STATUS_FAILED;
}

/* Waits a while until nobody has the store. */
static int
await_close(const char *store)
{
    const struct timespec step = {0, 20000000};
    char note[16];
    int pid;

    for (int i = 0; i < 250; i++) {
        if (lsmkv_lock_holder(store, &pid, note, sizeof(note)) == -ENOENT)
            break;
        nanosleep(&step, NULL);
    }
    /* Still held: by another read-only mount, as a rule, and that is its good right. */
    return STATUS_OK;
}

/* What is mounted there is dead, read-only, or another mount of a live one.  Of a killed daemon that
 * cannot end (client_open) nothing is asked. */
static int
unmount_directly(const char *store, const char *point, bool killed)
{
    struct statfs st;
    struct mountinfo info, other;
    bool alive = !killed && (statfs(point, &st) == 0 || !mountinfo_is_dead(errno));
    int result = mountinfo_find(0, point, &info);

    if (result == 0)
        result = killed ? mountinfo_abort(point, true) : mountinfo_unmount(point, false);
    if (result != 0)
        return refuse(point, result);
    if (killed)
        (void)await_close(store);
    if (alive)
        return mountinfo_find_device(info.device, store, &other) == 0
                   ? STATUS_OK
                   : await_close(store);
    fprintf(stderr, "lsmfs umount: the daemon of %s had died; the store is recovered\n",
            point);
    return settle(store);
}

int
cli_umount_at(const char *place)
{
    char store[PATH_MAX], point[PATH_MAX];
    int status, result = client_find_store(place, store, point);

    if (result == 0 && point[0] == '\0')
        result = -EINVAL;
    if (result != 0) {
        fprintf(stderr, "lsmfs umount: %s: %s\n", place,
                result == -EINVAL ? "no file system of lsmfs is mounted there"
                                  : strerror(-result));
        return STATUS_MOUNTPOINT;
    }
    struct client *client = client_open(store);
    bool killed = client == NULL && errno == ENOTCONN;
    if (client != NULL && is_daemons_place(store, point))
        status = ask_daemon(client, store, point);
    else
        status = unmount_directly(store, point, killed);
    client_close(client);
    return status;
}

int
cli_umount(int argc, char **argv)
{
    struct cli_line line = {.name = "umount", .help = help, .least = 1, .most = 1};
    int status = cli_line_parse(&line, argc, argv);

    return status >= 0 ? status : cli_umount_at(line.operands[0]);
}
