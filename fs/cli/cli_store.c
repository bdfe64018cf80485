/*
 * cli_store.c - the commands for a store that is not mounted.  What they do to files is in
 * bykey.c; here are arguments, streams and messages.
 */
#include "cli/cli_store.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/client.h"
#include "common/spool.h"
#include "daemon/mount.h"
#include "store/bykey.h"
#include "store/foreign.h"
#include "store/keylist.h"
#include "store/store.h"
#include "store/sweep.h"

#define STATUSES                                                                                \
    "Exit status: 0, or 1 failed (no such KEY), 2 wrong usage, 3 the store is in use and its\n" \
    "daemon cannot be asked, 4 not a good store, 5 not permitted.\n"

static const char put_help[] =
    "Usage: lsmfs put [OPTION]... STORE|MOUNTPOINT KEY [FILE]\n"
    "Store FILE, or standard input, as the contents of KEY.  STORE is made if it is absent or\n"
    "an empty directory.  A file that exists keeps its owner, mode and extended attributes.\n"
    "All or nothing, and durable when the command returns.\n"
    "\n"
    "  -h, --help   show this help and exit\n"
    "\n"
    "Examples:\n"
    "  echo hello | lsmfs put notes.store greeting\n"
    "  lsmfs put notes.store letters/one letter.txt\n"
    "\n" STATUSES;

static const char get_help[] = "Usage: lsmfs get [OPTION]... STORE|MOUNTPOINT KEY\n"
                               "Write the contents of KEY to standard output.\n"
                               "\n"
                               "  -h, --help   show this help and exit\n"
                               "\n"
                               "Example:\n"
                               "  lsmfs get notes.store greeting\n"
                               "\n" STATUSES;

static const char rm_help[] = "Usage: lsmfs rm [OPTION]... STORE|MOUNTPOINT KEY...\n"
                              "Remove each KEY.  Durable when the command returns.\n"
                              "\n"
                              "  -f, --force  a KEY that is not there is no error\n"
                              "  -h, --help   show this help and exit\n"
                              "\n"
                              "Example:\n"
                              "  lsmfs rm notes.store greeting letters/one\n"
                              "\n" STATUSES;

static const char ls_help[] =
    "Usage: lsmfs ls [OPTION]... STORE|MOUNTPOINT [KEY]\n"
    "List what is directly below KEY (by default, in the root), directories with a '/'; or KEY\n"
    "itself if nothing is.\n"
    "\n"
    "  -R, --recursive  list every key below KEY that has a record, whole\n"
    "  -l, --long       show mode, owner, size and time, too\n"
    "  -0, --null       end each line with a NUL instead of a newline\n"
    "  -h, --help       show this help and exit\n"
    "\n"
    "Examples:\n"
    "  lsmfs ls -l notes.store letters\n"
    "  lsmfs ls -R0 notes.store | xargs -0 -n 1 lsmfs get notes.store\n"
    "\n" STATUSES;

/* ---- what the commands share ---- */

struct command {
    const char *name;
    const char *help;
    bool force;
    bool ours; /* nobody but lsmfs wrote to the store */
    struct keylist_options list;
};

static int
fail(const struct command *command, const char *what, int result)
{
    const char *detail = lsmkv_error_detail();
    fprintf(stderr, "lsmfs %s: %s: %s%s%s\n", command->name, what, strerror(-result),
            *detail ? ": " : "", detail);
    return STATUS_FAILED;
}

static int
misused(const struct command *command)
{
    fprintf(stderr, "Try 'lsmfs %s --help'.\n", command->name);
    return STATUS_USAGE;
}

/* Takes the options in `letters`; -1 to go on, else the exit status. */
static int
parse(struct command *command, int argc, char **argv, const char *letters)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},      {"force", no_argument, NULL, 'f'},
        {"recursive", no_argument, NULL, 'R'}, {"long", no_argument, NULL, 'l'},
        {"null", no_argument, NULL, '0'},      {0},
    };
    command->name = argv[0];
    command->list.end = '\n';
    opterr = 0; /* getopt would call this program by the command's name */
    optind = 0; /* start anew: another parser may have run before */
    for (int letter; (letter = getopt_long(argc, argv, "hfRl0", names, NULL)) != -1;) {
        if (letter == 'h') {
            fputs(command->help, stdout);
            return fflush(stdout) ? STATUS_FAILED : 0;
        }
        if (letter == '?') {
            fprintf(stderr, "lsmfs %s: unknown option '%s'\n", command->name,
                    argv[optind - 1]);
            return misused(command);
        }
        if (!strchr(letters, letter)) {
            fprintf(stderr, "lsmfs %s: option '%c' is not for this command\n",
                    command->name, letter);
            return misused(command);
        }
        command->force |= letter == 'f';
        command->list.recursive |= letter == 'R';
        command->list.lengthy |= letter == 'l';
        command->list.end = letter == '0' ? '\0' : command->list.end;
    }
    return -1;
}

/* Says so if there are too few or too many operands. */
static bool
operands_fit(const struct command *command, int count, int least, int most)
{
    if (count >= least && count <= most)
        return true;
    fprintf(stderr, "lsmfs %s: %s\n", command->name,
            count < least ? "missing operand" : "too many operands");
    return false;
}

/* Opens the store that `path` is, or that is mounted there without a daemon that could be asked: the
 * mount may be read-only.  The exit status; unless it is STATUS_OK, what went wrong has been said. */
static int
open_store(struct command *command, const char *path, bool writing, bool create,
           struct store **store)
{
    struct store_options options;
    bool foreign = true;
    char absolute[PATH_MAX], why[1024];
    int found = client_find_store(path, absolute, NULL);
    if (found) {
        fprintf(stderr, "lsmfs %s: %s: %s\n", command->name, path, strerror(-found));
        return mount_status_of(found);
    }
    store_options_init(&options);
    options.path = absolute;
    options.read_only = !writing;
    options.create = create;
    int result = store_open(&options, store, why, sizeof why);
    if (result) {
        fprintf(stderr, "lsmfs %s: %s\n", command->name, why);
        return mount_status_of(result);
    }
    result = sweep_new(*store);
    if (result == 0)
        result = foreign_find(*store, &foreign);
    command->ours = !foreign;
    if (result == 0)
        return STATUS_OK;
    sweep_free(*store);
    fail(command, path, result);
    store_close(*store);
    return STATUS_FAILED;
}

/* Closes what open_store opened; `status` is the command's so far. */
static int
close_store(const struct command *command, struct store *store, const char *path,
            int status)
{
    bool more = !store->read_only;
    /* What cannot be given back now is left to the next mount. */
    while (more && sweep_step(store, &more) == 0)
        continue;
    sweep_free(store);
    /* Or else the next mount would take this for somebody else's work. */
    int noted = command->ours && !store->read_only ? foreign_note_closed(store) : 0;
    int result = store_close(store);
    if (result == 0 && noted != -ENOSPC)
        result = noted;
    return result ? fail(command, path, result) : status;
}

/* Standard output, to its end on the disk or the pipe. */
static int
flush_output(const struct command *command)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return STATUS_OK;
    return fail(command, "standard output", errno ? -errno : -EIO);
}

/* ---- put ---- */

static ssize_t
read_file(void *context, void *bytes, size_t size)
{
    return spool_read_from(*(const int *)context, bytes, size);
}

static int
put_from(const struct command *command, struct store *store, const char *key, int fd)
{
    mode_t mask = umask(0);
    umask(mask);
    struct bykey_source source = {read_file, &fd};
    struct bykey_owner owner = {geteuid(), getegid(), 0666 & ~mask, geteuid() == 0};
    int result = bykey_put(store, lsmkv_str(key), &source, &owner);
    return result ? fail(command, key, result) : 0;
}

int
cli_put(int argc, char **argv)
{
    struct command command = {.help = put_help};
    int status = parse(&command, argc, argv, "");
    if (status >= 0)
        return status;
    char **operands = argv + optind;
    int count = argc - optind;
    if (!operands_fit(&command, count, 2, 3))
        return misused(&command);
    int fd = count == 3 ? open(operands[2], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd < 0) {
        fprintf(stderr, "lsmfs put: %s: %s\n", operands[2], strerror(errno));
        return STATUS_FAILED;
    }
    struct store *store;
    status = open_store(&command, operands[0], true, true, &store);
    if (status == STATUS_OK) {
        status = put_from(&command, store, operands[1], fd);
        status = close_store(&command, store, operands[0], status);
    }
    if (fd != STDIN_FILENO)
        close(fd);
    return status;
}

/* ---- get ---- */

static int
write_stream(void *context, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, context) == size ? 0 : -errno;
}

int
cli_get(int argc, char **argv)
{
    struct command command = {.help = get_help};
    int status = parse(&command, argc, argv, "");
    if (status >= 0)
        return status;
    char **operands = argv + optind;
    if (!operands_fit(&command, argc - optind, 2, 2))
        return misused(&command);
    struct store *store;
    status = open_store(&command, operands[0], false, false, &store);
    if (status != STATUS_OK)
        return status;
    struct bykey_sink sink = {write_stream, stdout};
    int result = bykey_get(store, lsmkv_str(operands[1]), &sink);
    status = result ? fail(&command, operands[1], result) : flush_output(&command);
    return close_store(&command, store, operands[0], status);
}

/* ---- rm ---- */

int
cli_rm(int argc, char **argv)
{
    struct command command = {.help = rm_help};
    int status = parse(&command, argc, argv, "f");
    if (status >= 0)
        return status;
    char **operands = argv + optind;
    int count = argc - optind;
    if (!operands_fit(&command, count, 2, argc))
        return misused(&command);
    struct store *store;
    status = open_store(&command, operands[0], true, false, &store);
    if (status != STATUS_OK)
        return status;
    status = 0;
    for (int i = 1; i < count; i++) {
        int result = bykey_remove(store, lsmkv_str(operands[i]));
        if (result && !(result == -ENOENT && command.force))
            status = fail(&command, operands[i], result);
    }
    return close_store(&command, store, operands[0], status);
}

/* ---- ls ---- */

int
cli_ls(int argc, char **argv)
{
    struct command command = {.help = ls_help};
    int status = parse(&command, argc, argv, "Rl0");
    if (status >= 0)
        return status;
    char **operands = argv + optind;
    int count = argc - optind;
    if (!operands_fit(&command, count, 1, 2))
        return misused(&command);
    const char *key = count == 2 ? operands[1] : "";
    struct store *store;
    status = open_store(&command, operands[0], false, false, &store);
    if (status != STATUS_OK)
        return status;
    int result = keylist_print(store, lsmkv_str(key), &command.list, stdout);
    status = result ? fail(&command, key, result) : flush_output(&command);
    return close_store(&command, store, operands[0], status);
}
