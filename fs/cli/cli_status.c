/*
 * cli_status.c - `lsmfs status` and `lsmfs sync`: one question to the daemon, one answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_line.h"
#include "common/client.h"
#include "daemon/mount.h"

#define STATUSES                                                                      \
    "Exit status: 0, or 1 failed (it is not mounted, or read-only), 2 wrong usage,\n" \
    "5 not permitted.\n"

static const char status_help[] =
    "Usage: lsmfs status STORE|MOUNTPOINT\n"
    "Show what the daemon of a mounted store says of itself, a line \"name: value\" each.\n"
    "\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  lsmfs status notes\n"
    "\n" STATUSES;

static const char sync_help[] =
    "Usage: lsmfs sync STORE|MOUNTPOINT\n"
    "Return when all that the file system has acknowledged is on disk.\n"
    "\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  lsmfs sync notes\n"
    "\n" STATUSES;

/* Says why nobody answers; both commands need a daemon. */
static int
unanswered(const char *command, const char *place, int error)
{
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        fprintf(stderr, "lsmfs %s: %s: not mounted read-write by lsmfs\n", command,
                place);
    else
        fprintf(stderr, "lsmfs %s: %s: %s\n", command, place, strerror(error));
    return error == EACCES || error == EPERM ? STATUS_PERMISSION : STATUS_FAILED;
}

static int
ask(const char *command, const char *place)
{
    char store[PATH_MAX];
    int result = client_find_store(place, store, NULL);

    if (result != 0)
        return unanswered(command, place, -result);
    struct client *client = client_open(store);
    if (client == NULL)
        return unanswered(command, place, errno);
    client_ask(client, command, lsmkv_bytes(NULL, 0));
    result = client_answer(client, STDOUT_FILENO);
    int status = result == 0 ? STATUS_OK : client_fail(client, command, place, result);
    client_close(client);
    return status;
}

static int
run(int argc, char **argv, const char *help)
{
    struct cli_line line = {.name = argv[0], .help = help, .least = 1, .most = 1};
    int status = cli_line_parse(&line, argc, argv);

    return status >= 0 ? status : ask(line.name, line.operands[0]);
}

int
cli_status(int argc, char **argv)
{
    return run(argc, argv, status_help);
}

int
cli_sync(int argc, char **argv)
{
    return run(argc, argv, sync_help);
}
