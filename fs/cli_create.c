/*
 * cli_create.c - `lsmfs create`: a new store, as the first mount would make it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cli_line.h"
#include "cli_report.h"
#include "mount.h"
#include "mountinfo.h"
#include "vfs.h"

static const char help[] =
    "Usage: lsmfs create [OPTION]... STORE\n"
    "Make a new, empty store in the directory STORE, which is absent (its parent is there) or\n"
    "empty, and say where it is.  Its root directory is the caller's, with mode 755.  It is on disk\n"
    "when the command returns.  What a mount can choose, it chooses anew each time, so there is\n"
    "nothing to choose here.\n"
    "\n"
    "      --json  print an object: store, format\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  $ lsmfs create notes.store\n"
    "  /home/me/notes.store: a new store\n"
    "  $ lsmfs mount notes.store notes\n"
    "\n"
    "Exit status: 0, or 1 failed (STORE is there already), 2 wrong usage, 3 another makes it,\n"
    "4 there is no directory to make it in, 5 not permitted.\n";

static int
fail(const char *path, const char *why, int result)
{
    fprintf(stderr, "lsmfs create: %s: %s\n", path, why);
    return mount_status_of(result);
}

static int
make(const char *path)
{
    struct lsmkv_options engine;
    struct vfs_options options;
    struct vfs *vfs;
    char why[2048];

    lsmkv_options_init(&engine);
    engine.exclusive = true;
    vfs_options_init(&options);
    options.store.path = path;
    options.store.engine = &engine;
    options.store.create = true;
    int result = vfs_open(&options, &vfs, why, sizeof(why));
    if (result != 0) {
        fprintf(stderr, "lsmfs create: %s\n", why);
        return mount_status_of(result);
    }
    result = vfs_close(vfs);
    return result == 0 ? STATUS_OK : fail(path, lsmkv_strerror(result), result);
}

int
cli_create(int argc, char **argv)
{
    struct cli_line line = {
        .name = "create", .help = help, .takes_json = true, .least = 1, .most = 1};
    char store[PATH_MAX];
    int status = cli_line_parse(&line, argc, argv);

    if (status >= 0)
        return status;
    int result = mountinfo_absolute(line.operands[0], store);
    if (result != 0)
        return fail(line.operands[0], strerror(-result), result);
    status = make(store);
    if (status != STATUS_OK)
        return status;
    if (line.json)
        report_json(json_pack("{so si}", "store", report_text(store), "format",
                              (int)STORE_FORMAT));
    else
        printf("%s: a new store\n", store);
    return cli_line_finish(&line, STATUS_OK);
}
