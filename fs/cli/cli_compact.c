/*
 * cli_compact.c - `lsmfs compact`: of a store that is mounted its daemon does it, and
 * says how far it has come.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_line.h"
#include "cli/cli_report.h"
#include "cli/cli_signals.h"
#include "common/client.h"
#include "daemon/mount.h"
#include "store/compact.h"
#include "store/store.h"

static const char help[] =
    "Usage: lsmfs compact [OPTION]... STORE|MOUNTPOINT\n"
    "Merge all of the store's tables, so that what was deleted or written over takes no space, and\n"
    "reads have the fewest to look in.  It does so by itself as it needs to; this is for before a\n"
    "copy, or after much was deleted.  What snapshots see stays.  The mount can be used meanwhile.\n"
    "An interrupt ends it after the part that it is at; what was merged stays so.\n"
    "\n"
    "      --json  print an object in the end: store, before, after (bytes)\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  $ lsmfs compact notes\n"
    "  /home/me/notes.store: 513212416 bytes before, 20971520 now\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 the store is in use, or mounted read-only, 4 not a\n"
    "good store, 5 not permitted, 130 interrupted (128 and the number of another signal).\n";

struct command {
    struct cli_line line;
    struct cli_report report;
    struct compact_sizes sizes;
    char store[PATH_MAX];
};

/* ---- signals ---- */

static volatile sig_atomic_t stopped_by;
static volatile sig_atomic_t socket_to_daemon = -1;

/* The daemon stops when nobody listens. */
static void
on_signal(int number)
{
    int saved = errno;

    stopped_by = number;
    if (socket_to_daemon >= 0)
        shutdown(socket_to_daemon, SHUT_RDWR);
    errno = saved;
}

static int
interrupted(struct command *command)
{
    report_clear_bar(&command->report);
    fprintf(stderr, "lsmfs compact: %s: interrupted; what was merged stays so\n",
            command->store);
    return STATUS_SIGNAL + stopped_by;
}

/* ---- progress ---- */

static bool
show(void *context, uint64_t done, uint64_t total)
{
    struct command *command = context;

    if (total > 0)
        report_bytes(&command->report, done, total);
    else
        report_records(&command->report, done);
    return stopped_by == 0;
}

/* ---- not mounted ---- */

static int
fail(struct command *command, int result)
{
    report_unable_at(&command->report, command->store, result);
    return mount_status_of(result);
}

static int
compact_unmounted(struct command *command)
{
    const struct compact_report report = {show, command};
    struct lsmkv_options options;
    struct lsmkv *db;

    store_engine_init(&options);
    int result = lsmkv_open(command->store, &options, &db);
    if (result != 0)
        return fail(command, result);
    result = compact_store(db, &report, &command->sizes);
    int status = result == 0            ? STATUS_OK
                 : result == -ECANCELED ? interrupted(command)
                                        : fail(command, result);
    result = lsmkv_close(db);
    return result == 0 || status != STATUS_OK ? status : fail(command, result);
}

/* ---- mounted ---- */

/* Takes a line of the reply but for the last.  False: it was not one, or a signal has
 * come. */
static bool
take_line(struct command *command, const char *line)
{
    unsigned long long first, second;

    if (sscanf(line, "progress %llu %llu", &first, &second) == 2)
        return show(command, first, second);
    if (sscanf(line, "sizes %llu %llu", &first, &second) != 2)
        return false;
    command->sizes = (struct compact_sizes){first, second};
    return true;
}

static int
compact_mounted(struct command *command, struct client *client)
{
    const char *line;

    socket_to_daemon = client->wire.fd;
    if (stopped_by != 0) /* before the handler knew of the socket */
        return interrupted(command);
    client_ask(client, "compact", lsmkv_bytes(NULL, 0));
    while ((line = wire_line(&client->wire)) != NULL && take_line(command, line))
        continue;
    socket_to_daemon = -1;
    report_clear_bar(&command->report);
    int result = client_end(client, line);
    if (result != 0 && stopped_by != 0)
        return interrupted(command);
    return result == 0 ? STATUS_OK
                       : client_fail(client, "compact", command->store, result);
}

/* ---- the command ---- */

static int
run(struct command *command)
{
    const char *given = command->line.operands[0];
    int result = client_find_store(given, command->store, NULL);

    if (result != 0) {
        fprintf(stderr, "lsmfs compact: %s: %s\n", given, strerror(-result));
        return mount_status_of(result);
    }
    cli_catch_signals(on_signal);
    struct client *client = client_open(command->store);
    if (client == NULL)
        return compact_unmounted(command);
    int status = compact_mounted(command, client);
    client_close(client);
    return status;
}

static void
print(const struct command *command)
{
    if (command->line.json)
        report_json(json_pack("{so sI sI}", "store", report_text(command->store),
                              "before", (json_int_t)command->sizes.before, "after",
                              (json_int_t)command->sizes.after));
    else
        printf("%s: %llu bytes before, %llu now\n", command->store,
               (unsigned long long)command->sizes.before,
               (unsigned long long)command->sizes.after);
}

int
cli_compact(int argc, char **argv)
{
    static struct command command = {
        .line = {
            .name = "compact", .help = help, .takes_json = true, .least = 1, .most = 1}};
    int status = cli_line_parse(&command.line, argc, argv);

    if (status >= 0)
        return status;
    command.report = (struct cli_report){.name = "compact", .json = command.line.json};
    report_begin(&command.report);
    status = run(&command);
    report_clear_bar(&command.report);
    if (status == STATUS_OK)
        print(&command);
    return cli_line_finish(&command.line, status);
}
