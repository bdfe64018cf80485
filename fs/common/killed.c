/* killed.c - see killed.h. */
#include "common/killed.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/log.h"
#include "common/mountinfo.h"

#define WAITS   250
#define WAIT_NS 20000000

/* Its first thread, which a daemon lives as long as, has ended, or will where it next leaves the
 * kernel. */
static bool
is_killed(pid_t pid)
{
    char path[64], *line = NULL, state;
    size_t capacity = 0;
    unsigned long long pending;
    bool killed = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!killed && getline(&line, &capacity, file) > 0) {
        if (sscanf(line, "State: %c", &state) == 1)
            killed = state == 'Z' || state == 'X';
        else if (sscanf(line, "SigPnd: %llx", &pending) == 1)
            killed = (pending >> (SIGKILL - 1) & 1) != 0;
    }
    free(line);
    fclose(file);
    return killed;
}

pid_t
killed_peer(int connected)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        peer.pid <= 0 || !is_killed(peer.pid))
        return 0;
    return peer.pid;
}

struct ending {
    const char *store;
    int failure; /* the first */
};

static bool
end_if_of(void *context, const struct mountinfo *info)
{
    struct ending *ending = context;

    if (strcmp(info->type, MOUNT_TYPE) == 0 && strcmp(info->source, ending->store) == 0 &&
        ending->failure == 0) {
        ending->failure = mountinfo_end_connection(info->device);
        if (ending->failure != 0)
            log_say(LSMKV_LOG_ERROR, "%s: " MOUNTINFO_CONNECTIONS ": %s", info->point,
                    strerror(-ending->failure));
    }
    return true;
}

/* What the lock file says of who holds the store; 0: nobody does. */
static int
holder_of(const char *store)
{
    char note[16];
    int pid;

    return lsmkv_lock_holder(store, &pid, note, sizeof(note)) == 0 ? pid : 0;
}

int
killed_end(const char *store, pid_t pid)
{
    const struct timespec wait = {0, WAIT_NS};
    const int holder = holder_of(store);
    struct ending ending = {.store = store};
    int result = mountinfo_each(0, end_if_of, &ending);

    for (int i = 0; i < WAITS && result == 0 && ending.failure == 0; i++) {
        if (holder == 0 || holder_of(store) != holder) {
            log_say(LSMKV_LOG_WARNING, "%s: its daemon was killed, and is ended", store);
            return 0;
        }
        nanosleep(&wait, NULL);
    }
    log_say(
        LSMKV_LOG_ERROR,
        "%s: process %d, its daemon, was killed and does not end: it waits in the kernel "
        "(as root: `umount -fl` of where it is mounted)",
        store, (int)pid);
    return -ENOTCONN;
}
