/* awake.c - see awake.h. */
#include "daemon/awake.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
awake_open(struct awake *awake, const char *device)
{
    int fd = open(device, O_WRONLY | O_CLOEXEC);

    *awake = (struct awake){.fd = fd};
    return fd < 0 ? -errno : 0;
}

/* Microseconds that waking may take. */
static int
ask(struct awake *awake, bool hold)
{
    const int32_t most = hold ? 0 : INT32_MAX;
    ssize_t written = write(awake->fd, &most, sizeof(most));

    if (written != (ssize_t)sizeof(most))
        return written < 0 ? -errno : -EIO;
    awake->held = hold;
    return 0;
}

int
awake_look(struct awake *awake, uint64_t requests)
{
    const bool quick = requests - awake->requests >= AWAKE_QUICK;

    if (awake->fd < 0)
        return 0;
    awake->requests = requests;
    awake->quiet = quick ? 0 : awake->quiet + 1;
    if (quick && !awake->held)
        return ask(awake, true);
    if (awake->held && awake->quiet >= AWAKE_QUIET)
        return ask(awake, false);
    return 0;
}

void
awake_close(struct awake *awake)
{
    if (awake->fd >= 0)
        close(awake->fd);
    awake->fd = -1;
}
