/*
 * cli_export.c - `lsmfs export`: arguments, streams and messages; the archive is
 * export.c's, which the daemon runs of a store that is mounted (control_reads.c).
 */
#include "cli/cli_export.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/export.h"
#include "common/client.h"
#include "daemon/mount.h"
#include "store/store.h"

static const char help[] =
    "Usage: lsmfs export [OPTION]... STORE|MOUNTPOINT [PATH]...\n"
    "Write a tar archive (pax) of what the store holds at and below each PATH, by default of\n"
    "everything, to standard output: modes, owners, times, links, devices, extended attributes.\n"
    "If it is mounted, that is its state when the command begins.  What cannot be read is named on\n"
    "standard error, and the rest goes on; a damaged table ends it while the store is mounted.\n"
    "\n"
    "  -o, --output=FILE    write to FILE\n"
    "      --snapshot=NAME  what that snapshot sees\n"
    "  -h, --help           show this help and exit\n"
    "\n"
    "Example:\n"
    "  lsmfs export notes.store | xz >notes.tar.xz\n"
    "\n"
    "Exit status: 0 all of it, 1 failed, 2 wrong usage, 4 not everything could be read.\n";

struct command {
    const char *store;
    const char *output; /* NULL: standard output */
    const char *snapshot;
    char **paths;
    int count;
    uint64_t damage;      /* that the engine met */
    uint64_t lost;        /* of a mounted store, says its daemon */
    bool absent;          /* a PATH of it */
    bool unread;          /* keys of it, which ended the archive */
    char found[PATH_MAX]; /* the store's path, if `store` was a mount point */
};

static int
fail(const char *what, int result)
{
    const char *detail = lsmkv_error_detail();
    fprintf(stderr, "lsmfs export: %s: %s%s%s\n", what, strerror(-result),
            *detail ? ": " : "", detail);
    return STATUS_FAILED;
}

static void
say(struct lsmkv_slice key, const char *how, const char *what)
{
    fprintf(stderr, "lsmfs export: %.*s: %s%s\n", (int)key.size, (const char *)key.data,
            how, what);
}

static void
say_lost(void *context, struct lsmkv_slice key, const char *what)
{
    (void)context;
    say(key, "", what);
}

static void
say_left_out(void *context, struct lsmkv_slice key, const char *what)
{
    (void)context;
    say(key, "left out: ", what);
}

static void
take_log(void *context, enum lsmkv_level level, const char *line)
{
    struct command *command = context;
    if (level == LSMKV_LOG_ERROR) {
        command->damage++;
        fprintf(stderr, "lsmfs export: %s\n", line);
    }
}

/* Every path, as far as the archive can be written. */
static int
add_paths(const struct command *command, struct export *export)
{
    int status = STATUS_OK;
    if (command->count == 0) {
        int result = export_tree(export, lsmkv_str(""));
        return result && result != -ENOENT ? fail("the archive", result) : STATUS_OK;
    }
    for (int i = 0; i < command->count; i++) {
        int result = export_tree(export, lsmkv_str(command->paths[i]));
        if (result == -ENOENT)
            status = fail(command->paths[i], result);
        else if (result)
            return fail("the archive", result);
    }
    return status;
}

static int
write_archive(const struct command *command, struct store *store,
              struct lsmkv_snapshot *snapshot, int fd)
{
    static const struct export_report report = {say_lost, say_left_out, NULL};
    struct export *export;
    uint64_t lost;
    int result = export_new(store, snapshot, fd, &report, &export);
    if (result)
        return fail("the archive", result);
    int status = add_paths(command, export);
    result = export_finish(export, &lost);
    if (status == STATUS_OK && result == 0 && command->output && fsync(fd))
        result = -errno;
    if (status == STATUS_OK && result)
        status = fail("the archive", result);
    if (lost + command->damage > 0)
        fputs("lsmfs export: not everything could be read\n", stderr);
    return status == STATUS_OK && lost + command->damage > 0 ? STATUS_STORE : status;
}

static int
export_to(struct command *command, int fd)
{
    struct store_options options;
    struct lsmkv_options engine;
    struct lsmkv_snapshot *snapshot = NULL;
    struct store *store;
    char why[1024];
    store_options_init(&options);
    options.path = command->store;
    options.read_only = true;
    store_engine_init(&engine);
    engine.salvage = true;
    engine.log = take_log;
    engine.log_context = command;
    options.engine = &engine;
    if (store_open(&options, &store, why, sizeof why)) {
        fprintf(stderr, "lsmfs export: %s\n", why);
        return STATUS_FAILED;
    }
    int status = STATUS_OK, result = 0;
    if (command->snapshot)
        result = lsmkv_snapshot_open(store->db, command->snapshot, &snapshot, NULL);
    if (result)
        status = fail(command->snapshot, result);
    else
        status = write_archive(command, store, snapshot, fd);
    if (snapshot)
        lsmkv_snapshot_release(store->db, snapshot);
    result = store_close(store);
    return status == STATUS_OK && result ? fail(command->store, result) : status;
}

/* ---- mounted ---- */

/* The name of the snapshot, or nothing, and the paths, each with a NUL behind it.
 * malloced. */
static char *
make_request(const struct command *command, size_t *size)
{
    const char *snapshot = command->snapshot ? command->snapshot : "";
    size_t wanted = strlen(snapshot) + 1;
    for (int i = 0; i < command->count; i++)
        wanted += strlen(command->paths[i]) + 1;
    char *request = malloc(wanted), *to = request;
    if (!request)
        return NULL;
    to = stpcpy(to, snapshot) + 1;
    for (int i = 0; i < command->count; i++)
        to = stpcpy(to, command->paths[i]) + 1;
    *size = wanted;
    return request;
}

static int
ask(struct command *command, struct client *client)
{
    size_t size;
    char *request = make_request(command, &size);
    int result = !request ? -ENOMEM : size > LSMKV_KEY_MAX ? -E2BIG : 0;
    if (result == 0)
        client_ask(client, "export", lsmkv_bytes(request, size));
    free(request);
    return result;
}

/* Takes a line of the reply but for data and the last.  False: it was not one. */
static bool
take_line(struct command *command, char *line)
{
    static const char *const words[] = {"lost", "left", "absent"};
    char *rest = line, *word = strsep(&rest, " "), *key, *what;
    size_t kind = 0, size, length;
    while (kind < 3 && strcmp(word, words[kind]) != 0)
        kind++;
    if (kind == 3) {
        if (rest)
            rest[-1] = ' '; /* it is taken for the last one */
        return false;
    }
    key = strsep(&rest, " ");
    what = rest;
    if (!key || !what || wire_decode(key, &size) || wire_decode(what, &length))
        return false;
    what[length] = '\0';
    if (kind == 0)
        say_lost(NULL, lsmkv_bytes(key, size), what);
    else if (kind == 1)
        say_left_out(NULL, lsmkv_bytes(key, size), what);
    else
        say(lsmkv_bytes(key, size), "", strerror(ENOENT));
    command->lost += kind == 0;
    command->absent |= kind == 2;
    return true;
}

static int
export_mounted(struct command *command, struct client *client, int fd)
{
    char *line = NULL;
    int result = ask(command, client);
    if (result)
        return fail("the PATHs", result);
    while ((line = wire_copy_data(&client->wire, fd)) && take_line(command, line))
        continue;
    result = client_end(client, line);
    if (result == 0 && command->output && fsync(fd))
        result = -errno;
    if (result) {
        const char *what =
            result == -ENOENT && command->snapshot ? command->snapshot : "the archive";
        int status = client_fail(client, "export", what, result);
        command->unread = result == -EUCLEAN || result == -EBADMSG;
        if (!command->unread)
            return status;
    }
    if (command->unread || command->lost > 0)
        fputs("lsmfs export: not everything could be read\n", stderr);
    if (command->absent)
        return STATUS_FAILED;
    return command->unread || command->lost > 0 ? STATUS_STORE : STATUS_OK;
}

/* The daemon of the store, if it is mounted read-write. */
static struct client *
find_daemon(struct command *command)
{
    char mounted[PATH_MAX];
    if (client_find_store(command->store, command->found, mounted) != 0)
        return NULL;
    if (mounted[0] != '\0')
        command->store = command->found;
    return client_open(command->found);
}

/* ---- the command ---- */

static int
misused(const char *why, const char *what)
{
    fprintf(stderr, "lsmfs export: %s%s\nTry 'lsmfs export --help'.\n", why, what);
    return STATUS_USAGE;
}

/* -1 to go on, else the exit status. */
static int
parse(struct command *command, int argc, char **argv)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},
        {"output", required_argument, NULL, 'o'},
        {"snapshot", required_argument, NULL, 's'},
        {0},
    };
    opterr = 0;
    optind = 0;
    for (int letter; (letter = getopt_long(argc, argv, ":ho:", names, NULL)) != -1;) {
        if (letter == 'h') {
            fputs(help, stdout);
            return fflush(stdout) ? STATUS_FAILED : STATUS_OK;
        }
        if (letter == '?' || letter == ':')
            return misused(letter == '?' ? "unknown option " : "no value for ",
                           argv[optind - 1]);
        if (letter == 'o')
            command->output = optarg;
        else
            command->snapshot = optarg;
    }
    if (optind == argc)
        return misused("missing operand", "");
    command->store = argv[optind];
    command->paths = argv + optind + 1;
    command->count = argc - optind - 1;
    return -1;
}

int
cli_export(int argc, char **argv)
{
    static struct command command;
    int fd = STDOUT_FILENO, status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    if (!command.output && isatty(fd))
        return misused("an archive is not written to a terminal", "");
    if (command.output)
        fd = open(command.output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(command.output, -errno);
    /* libarchive looks at names as text of the locale; bytes that are none stay as they
     * are. */
    setlocale(LC_CTYPE, "C.UTF-8");
    struct client *client = find_daemon(&command);
    status = client ? export_mounted(&command, client, fd) : export_to(&command, fd);
    client_close(client);
    if (command.output && close(fd) && status == STATUS_OK)
        status = fail(command.output, -errno);
    return status;
}
