/*
 * cli_import.c - `lsmfs import`: where an archive goes to, and what is said; the rest is
 * import.c's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive/import.h"
#include "archive/import_disk.h"
#include "archive/import_vfs.h"
#include "cli/cli.h"
#include "cli/cli_line.h"
#include "cli/cli_report.h"
#include "cli/cli_signals.h"
#include "common/client.h"
#include "common/mountinfo.h"
#include "daemon/mount.h"
#include "store/key.h"
#include "vfs/vfs.h"

#define SHOW_STEP 100 /* milliseconds, from one look at a pipe to the next */

static const char help[] =
    "Usage: lsmfs import [OPTION]... STORE|MOUNTPOINT [DIR]\n"
    "Read a tar archive from standard input and put its files into the directory DIR of the store,\n"
    "by default into its root: modes, owners (by their numbers), times, links, devices, extended\n"
    "attributes, access control lists; zeros become holes.  The archive may be compressed by gzip,\n"
    "bzip2, xz, zstd or lz4.  STORE is made, and that is said, if it is absent or an empty directory;\n"
    "DIR is made if it is absent.  A file that is there is replaced when the new one is whole, a\n"
    "directory stays and gets more.  It is on disk when the command returns.\n"
    "\n"
    "Values without a path, as lsmfs export writes them, become those again, if there is no DIR; in a\n"
    "mounted store they do not get the owner and mode that they had.\n"
    "\n"
    "A mounted store gets the files by its mount, with the caller's rights: only root sets owners and\n"
    "makes devices, and lists need -o acl.  In one that is not mounted they are as the archive says.\n"
    "\n"
    "      --json  print an object in the end: entries (that were put), failed (of which something\n"
    "              was told)\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Examples:\n"
    "  lsmfs export notes.store | lsmfs import copy.store\n"
    "  lsmfs import notes letters <letters.tar.xz\n"
    "\n"
    "Exit status: 0 all of it, 1 failed (it is no whole archive, or no more can be written), 2 wrong\n"
    "usage, 3 the store is in use, or mounted read-only, 4 not all of it could be put, or not a good\n"
    "store, 5 not permitted, 130 interrupted (128 and the number of another signal).\n";

struct command {
    struct cli_line line;
    struct cli_report report;
    struct import_report calls;
    struct import *import; /* NULL: not begun */
    char *directory;       /* clean; "" is the root */
    char store[PATH_MAX];
    char mounted[PATH_MAX]; /* the mount point that was named; "": none was */
    uint64_t size;          /* of standard input; 0: not known */
    int64_t shown;          /* when the amount was; milliseconds */
    struct import_counts counts;
    bool began; /* `counts` tell something */
};

static int
fail(const char *what, const char *why)
{
    fprintf(stderr, "lsmfs import: %s: %s\n", what, why);
    return STATUS_FAILED;
}

static void
show_failure(void *context, const char *path, const char *why)
{
    struct command *command = context;

    report_clear_bar(&command->report);
    fputs("lsmfs import: ", stderr);
    report_quoted(stderr, path);
    fputs(": ", stderr);
    report_quoted(stderr, why);
    fputc('\n', stderr);
}

/* How much of a pipe is to come nobody knows. */
static void
show_amount(struct command *command, uint64_t bytes, uint64_t entries)
{
    struct timespec now;
    char text[96];

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (at - command->shown < SHOW_STEP)
        return;
    command->shown = at;
    snprintf(text, sizeof(text), "%llu entries, %llu MiB", (unsigned long long)entries,
             (unsigned long long)(bytes >> 20));
    report_amount(&command->report, text);
}

static void
show_progress(void *context, uint64_t bytes, uint64_t entries)
{
    struct command *command = context;

    if (command->size > 0)
        report_bytes(&command->report, bytes < command->size ? bytes : command->size,
                     command->size);
    else
        show_amount(command, bytes, entries);
}

/* ---- signals ---- */

static volatile sig_atomic_t stopped_by;

static void
on_signal(int number)
{
    stopped_by = number;
}

static bool
is_stopped(void *context)
{
    (void)context;
    return stopped_by != 0;
}

/* ---- the archive ---- */

/* The exit status for a result of import_open or import_into. */
static int
status_of(struct command *command, int result, const char *why)
{
    report_clear_bar(&command->report);
    if (result == -EBADMSG)
        show_failure(command, "standard input", why);
    if (result == -ECANCELED) {
        fputs("lsmfs import: interrupted; what came before is there\n", stderr);
        return STATUS_SIGNAL + stopped_by;
    }
    return result == 0 ? STATUS_OK : STATUS_FAILED;
}

/* Reads its beginning, if that has not been done; the exit status. */
static int
begin_archive(struct command *command)
{
    char why[512];

    if (command->import != NULL)
        return STATUS_OK;
    int result =
        import_open(STDIN_FILENO, &command->calls, &command->import, why, sizeof(why));
    return status_of(command, result, why);
}

static int
take_archive(struct command *command, struct import_tree *tree, bool is_whole)
{
    const struct import_place place = {tree, command->directory, is_whole};
    char why[512];
    int status = begin_archive(command);

    if (status != STATUS_OK)
        return status;
    command->began = true;
    int result = import_into(command->import, &place, &command->counts, why, sizeof(why));
    return status_of(command, result, why);
}

/* What is behind the archive's end, so that whoever writes the pipe can end. */
static void
drain(void)
{
    char bytes[4096];
    struct stat input;

    if (fstat(STDIN_FILENO, &input) != 0 ||
        (!S_ISFIFO(input.st_mode) && !S_ISSOCK(input.st_mode)))
        return;
    while (stopped_by == 0 && read(STDIN_FILENO, bytes, sizeof(bytes)) > 0)
        continue;
}

/* ---- into a store that is not mounted ---- */

/* The mount that a path is on: its point is the longest that the path begins with. */
struct cover {
    const char *path;
    size_t length;
    bool is_ours;
};

static bool
look_for_cover(void *context, const struct mountinfo *info)
{
    struct cover *cover = context;
    size_t length = strcmp(info->point, "/") == 0 ? 0 : strlen(info->point);

    if (length >= cover->length && strncmp(cover->path, info->point, length) == 0 &&
        (cover->path[length] == '/' || cover->path[length] == '\0')) {
        cover->length = length;
        cover->is_ours = strcmp(info->type, MOUNT_TYPE) == 0;
    }
    return true;
}

/* A directory of a mounted store was meant. */
static bool
is_in_mount(const char *path)
{
    struct cover cover = {path, 0, false};

    return mountinfo_each(0, look_for_cover, &cover) == 0 && cover.is_ours;
}

/* Is there nothing, or an empty directory?  A store is made nowhere else. */
static bool
is_vacant(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    bool vacant = true;

    if (directory == NULL)
        return errno == ENOENT;
    while (vacant && (entry = readdir(directory)) != NULL)
        vacant = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                 strcmp(entry->d_name, "lost+found") == 0;
    closedir(directory);
    return vacant;
}

/* None is made for an archive that is none.  The exit status. */
static int
open_store(struct command *command, struct vfs **vfs)
{
    struct vfs_options options;
    char why[2048];

    vfs_options_init(&options);
    options.store.path = command->store;
    options.acl = true;
    int result = vfs_open(&options, vfs, why, sizeof(why));
    if (result == -ENOENT && is_vacant(command->store)) {
        if (is_in_mount(command->store)) {
            fail(command->store,
                 "a directory of a mounted store: give its mount point, and "
                 "this as DIR");
            return STATUS_STORE;
        }
        int status = begin_archive(command);
        if (status != STATUS_OK)
            return status;
        options.store.create = true;
        result = vfs_open(&options, vfs, why, sizeof(why));
        if (result == 0)
            fprintf(stderr, "lsmfs import: %s: no store was there: a new one is made\n",
                    command->store);
    }
    if (result != 0)
        fprintf(stderr, "lsmfs import: %s\n", why);
    return result != 0 ? mount_status_of(result) : STATUS_OK;
}

static int
import_unmounted(struct command *command)
{
    struct vfs *vfs;
    int status = open_store(command, &vfs);

    if (status != STATUS_OK)
        return status;
    struct import_tree *tree = import_vfs_new(vfs);
    int result = tree == NULL ? -ENOMEM : 0;
    if (result == 0)
        status = take_archive(command, tree, true);
    import_vfs_free(tree);
    int closed = vfs_close(vfs);
    result = result != 0 ? result : closed;
    return result != 0 ? fail(command->store, lsmkv_strerror(result)) : status;
}

/* ---- into a mount ---- */

/* All that was written is on disk. */
static int
sync_store(struct client *client, const struct command *command)
{
    client_ask(client, "sync", lsmkv_bytes(NULL, 0));
    int result = client_answer(client, STDOUT_FILENO);

    return result == 0 ? STATUS_OK
                       : client_fail(client, "import", command->store, result);
}

/* The mount that was named, or that of the store. */
static int
find_mount(const struct command *command, struct mountinfo *info)
{
    char point[PATH_MAX];
    int result = 0;

    if (*command->mounted != '\0')
        strcpy(point, command->mounted);
    else
        result = client_find_mount(command->store, point);
    return result == 0 ? mountinfo_find(0, point, info) : result;
}

/* A descriptor of it, whatever its path leads to later; the exit status. */
static int
open_mount(const struct command *command, const struct mountinfo *info, int *folder)
{
    /* A bind mount shows a part of it, a path that begins with a '/'. */
    if (!key_is_plain(lsmkv_str(info->root + 1)))
        return fail(info->point, "not a directory of a store");
    *folder = open(info->point, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*folder < 0) {
        int status = errno == EACCES ? STATUS_PERMISSION : STATUS_FAILED;
        fail(info->point, strerror(errno));
        return status;
    }
    if (mountinfo_is_root(*folder, info) && mountinfo_holds(*folder, command->store))
        return STATUS_OK;
    close(*folder);
    return fail(info->point, "another mount is there");
}

static int
import_to(struct command *command, struct client *client, int folder, bool is_whole)
{
    struct import_tree *tree = import_disk_new(folder, command->store);

    if (tree == NULL)
        return fail(command->store, strerror(ENOMEM));
    int status = take_archive(command, tree, is_whole);
    int synced = sync_store(client, command);
    import_disk_free(tree);
    return status != STATUS_OK ? status : synced;
}

static int
import_mounted(struct command *command, struct client *client)
{
    struct mountinfo *info = malloc(sizeof(*info));
    int status, folder = -1;

    if (info == NULL)
        return fail(command->store, strerror(ENOMEM));
    if (find_mount(command, info) != 0)
        status = fail(command->store, "cannot tell where it is mounted");
    else
        status = open_mount(command, info, &folder);
    if (status == STATUS_OK) {
        status = import_to(command, client, folder, strcmp(info->root, "/") == 0);
        close(folder);
    }
    free(info);
    return status;
}

/* ---- the command ---- */

static int
find_directory(struct command *command)
{
    const char *given = command->line.count > 1 ? command->line.operands[1] : "";

    command->directory = import_clean("", given);
    if (command->directory == NULL && errno == ENOMEM)
        return fail(given, strerror(ENOMEM));
    if (command->directory != NULL && strcmp(command->directory, ".") == 0)
        *command->directory = '\0';
    if (command->directory == NULL || !key_is_plain(lsmkv_str(command->directory)))
        return cli_line_misused(&command->line, "not a directory of a store: ", given);
    return STATUS_OK;
}

static int
run(struct command *command)
{
    const char *given = command->line.operands[0];
    struct stat input;
    int result = client_find_store(given, command->store, command->mounted);

    if (result != 0) {
        fail(given, strerror(-result));
        return mount_status_of(result);
    }
    if (fstat(STDIN_FILENO, &input) == 0 && S_ISREG(input.st_mode))
        command->size = (uint64_t)input.st_size;
    command->calls =
        (struct import_report){show_failure, show_progress, is_stopped, command};
    cli_catch_signals(on_signal);
    struct client *client = client_open(command->store);
    int status =
        client == NULL ? import_unmounted(command) : import_mounted(command, client);
    client_close(client);
    import_close(command->import);
    return status;
}

static int
finish(struct command *command, int status)
{
    if (status == STATUS_OK)
        drain();
    if (status == STATUS_OK && command->counts.failed > 0) {
        fputs("lsmfs import: not everything could be put\n", stderr);
        status = STATUS_STORE;
    }
    if (command->line.json && command->began) {
        json_t *row = json_pack("{sI sI}", "entries", (json_int_t)command->counts.put,
                                "failed", (json_int_t)command->counts.failed);
        if (row == NULL)
            status = fail("--json", strerror(ENOMEM));
        report_json(row);
    }
    return cli_line_finish(&command->line, status);
}

int
cli_import(int argc, char **argv)
{
    static struct command command = {
        .line = {
            .name = "import", .help = help, .takes_json = true, .least = 1, .most = 2}};
    int status = cli_line_parse(&command.line, argc, argv);

    if (status >= 0)
        return status;
    if (isatty(STDIN_FILENO))
        return cli_line_misused(&command.line, "an archive is not read from a terminal",
                                "");
    command.report = (struct cli_report){.name = "import", .json = command.line.json};
    report_begin(&command.report);
    status = find_directory(&command);
    if (status == STATUS_OK)
        status = run(&command);
    free(command.directory);
    return finish(&command, status);
}
