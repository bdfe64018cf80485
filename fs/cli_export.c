/*
 * cli_export.c - `lsmfs export`: arguments, streams and messages; the archive is export.c's.
 */
#include "cli_export.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "mount.h"
#include "store.h"

static const char help[] =
    "Usage: lsmfs export [OPTION]... STORE [PATH]...\n"
    "Write a tar archive (pax) of what STORE, which is not mounted, holds at and below each PATH,\n"
    "by default of everything, to standard output: modes, owners, times, links, devices, extended\n"
    "attributes.  What cannot be read is named on standard error, and the rest goes on.\n"
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
    uint64_t damage; /* that the engine met */
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
    lsmkv_options_init(&engine);
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
    struct command command = {0};
    int fd = STDOUT_FILENO, status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    if (!command.output && isatty(fd))
        return misused("an archive is not written to a terminal", "");
    if (command.output)
        fd = open(command.output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(command.output, -errno);
    /* libarchive looks at names as text of the locale; bytes that are none stay as they are. */
    setlocale(LC_CTYPE, "C.UTF-8");
    status = export_to(&command, fd);
    if (command.output && close(fd) && status == STATUS_OK)
        status = fail(command.output, -errno);
    return status;
}
