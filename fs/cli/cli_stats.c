/*
 * cli_stats.c - `lsmfs stats`: what a store and its mount are doing.
 *
 * The daemon says it if the store is mounted; that of a read-only mount has no control
 * socket, and says it in a file of the mount.  Any other store is opened to be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/place.h"
#include "common/client.h"
#include "daemon/mount.h"
#include "vfs/stats.h"

static const char help[] =
    "Usage: lsmfs stats [OPTION]... STORE|MOUNTPOINT\n"
    "Show what a store, mounted or not, and its mount are doing: levels with their read and write\n"
    "amplification, memtables, log, cache, filters, compactions, what is not on disk yet, what\n"
    "snapshots keep, the kernel's requests by kind with their times, and what recovery found when\n"
    "the store was opened.  Counts are since then.  In a mount the same is in .lsmfs/stats,\n"
    ".lsmfs/stats.json and .lsmfs/stats.prom, for its owner and root.\n"
    "\n"
    "      --json        as one JSON object\n"
    "      --prometheus  in the text format of Prometheus\n"
    "  -h, --help        show this help and exit\n"
    "\n"
    "Examples:\n"
    "  lsmfs stats notes\n"
    "  lsmfs stats --json notes | jq .unsynced\n"
    "  lsmfs stats --prometheus notes >/var/lib/prometheus/node-exporter/lsmfs.prom\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 the store is in use, 4 not a good store,\n"
    "5 not permitted.\n";

static int
failed(const char *what, int result)
{
    fprintf(stderr, "lsmfs stats: %s: %s\n", what, lsmkv_strerror(result));
    return mount_status_of(result);
}

/* From the daemon of a read-only mount. */
static int
copy_file(const char *mounted, enum stats_form form)
{
    char path[PATH_MAX + 32], buffer[4096];
    int fd, result = 0;
    ssize_t got;

    snprintf(path, sizeof(path), "%s/.lsmfs/%s", mounted, stats_file_name(form));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(path, -errno);
    while ((got = read(fd, buffer, sizeof(buffer))) > 0)
        fwrite(buffer, 1, (size_t)got, stdout);
    if (got < 0)
        result = failed(path, -errno);
    close(fd);
    return result;
}

static int
ask(const char *store, enum stats_form form)
{
    struct client *client = client_open(store);
    char command[32];

    if (client == NULL)
        return failed(store, -errno);
    snprintf(command, sizeof(command), "stats-%s", stats_form_name(form));
    client_ask(client, command, lsmkv_bytes(NULL, 0));
    int result = client_answer(client, STDOUT_FILENO);
    int status = result == 0 ? STATUS_OK : client_fail(client, "stats", store, result);
    client_close(client);
    return status;
}

static int
open_and_print(const char *given, enum stats_form form)
{
    struct place place;
    int status = place_open(&place, "stats", given, false);

    if (status != STATUS_OK)
        return status;
    if (place.vfs == NULL)
        return ask(place.store, form);
    struct stats_source source = {.store = place.store};
    int result = stats_print(place.vfs, &source, form, stdout);
    if (result != 0)
        status = failed(place.store, result);
    return place_close(&place, status);
}

static int
print(const char *given, enum stats_form form)
{
    char store[PATH_MAX], mounted[PATH_MAX];
    int result = client_find_store(given, store, mounted);

    if (result != 0)
        return failed(given, result);
    if (mounted[0] != '\0') {
        struct client *client = client_open(store);
        if (client == NULL && (errno == ENOENT || errno == ECONNREFUSED))
            return copy_file(mounted, form);
        client_close(client);
    }
    return open_and_print(given, form);
}

int
cli_stats(int argc, char **argv)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        {"prometheus", no_argument, NULL, 'p'},
        {0},
    };
    enum stats_form form = STATS_TEXT;
    int letter;

    optind = 0;
    while ((letter = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        if (letter == '?')
            return STATUS_USAGE;
        if (letter == 'h') {
            fputs(help, stdout);
            return fflush(stdout) != 0 ? STATUS_FAILED : STATUS_OK;
        }
        form = letter == 'j' ? STATS_JSON : STATS_PROMETHEUS;
    }
    if (argc - optind != 1) {
        fputs(help, stderr);
        return STATUS_USAGE;
    }
    int status = print(argv[optind], form);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "lsmfs stats: standard output: %s\n", strerror(errno));
    return status != STATUS_OK ? status : STATUS_FAILED;
}
