/*
 * cli_create.c - `lsmfs create`: a new store, as the first mount would make it.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_line.h"
#include "cli/cli_report.h"
#include "common/mountinfo.h"
#include "daemon/mount.h"
#include "store/store.h"
#include "vfs/vfs.h"

static const char help[] =
    "Usage: lsmfs create [OPTION]... STORE\n"
    "Make a new, empty store in the directory STORE, which is absent (its parent is there) or\n"
    "empty, and say where it is.  Its root directory is the caller's, with mode 755.  It is on disk\n"
    "when the command returns.  What a mount can choose, it chooses anew each time; what is chosen\n"
    "here stays.\n"
    "\n"
    "      --compress=HOW  lz4: what is put into tables and blob files, that is names, attributes and\n"
    "                      contents, is compressed where that saves an eighth.  Versions of lsmfs that\n"
    "                      cannot read it refuse such a store.  none: the default\n"
    "      --json          print an object: store, format, compression\n"
    "  -h, --help          show this help and exit\n"
    "\n"
    "Examples:\n"
    "  $ lsmfs create notes.store\n"
    "  /home/me/notes.store: a new store\n"
    "  $ lsmfs mount notes.store notes\n"
    "  $ lsmfs create --compress=lz4 mail.store\n"
    "\n"
    "Exit status: 0, or 1 failed (STORE is there already), 2 wrong usage, 3 another makes it,\n"
    "4 there is no directory to make it in, 5 not permitted.\n";

static int
fail(const char *path, const char *why, int result)
{
    fprintf(stderr, "lsmfs create: %s: %s\n", path, why);
    return mount_status_of(result);
}

/* False: there is none of that name. */
static bool
parse_compression(const char *name, enum lsmkv_compression *compression)
{
    if (name == NULL || strcmp(name, "none") == 0)
        *compression = LSMKV_COMPRESSION_NONE;
    else if (strcmp(name, "lz4") == 0)
        *compression = LSMKV_COMPRESSION_LZ4;
    else
        return false;
    return true;
}

static int
make(const char *path, enum lsmkv_compression compression)
{
    struct lsmkv_options engine;
    struct vfs_options options;
    struct vfs *vfs;
    char why[2048];

    store_engine_init(&engine);
    engine.exclusive = true;
    engine.compression = compression;
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
    struct cli_line line = {.name = "create",
                            .help = help,
                            .takes_json = true,
                            .takes = "compress",
                            .least = 1,
                            .most = 1};
    enum lsmkv_compression compression;
    char store[PATH_MAX];
    int status = cli_line_parse(&line, argc, argv);

    if (status >= 0)
        return status;
    if (!parse_compression(line.taken, &compression))
        return cli_line_misused(&line, "unknown compression ", line.taken);
    int result = mountinfo_absolute(line.operands[0], store);
    if (result != 0)
        return fail(line.operands[0], strerror(-result), result);
    status = make(store, compression);
    if (status != STATUS_OK)
        return status;
    if (line.json)
        report_json(json_pack("{so si ss}", "store", report_text(store), "format",
                              (int)STORE_FORMAT, "compression",
                              compression == LSMKV_COMPRESSION_LZ4 ? "lz4" : "none"));
    else
        printf("%s: a new store\n", store);
    return cli_line_finish(&line, STATUS_OK);
}
