/*
 * memory_steps.h - the operations whose memory fails in test_vfs_memory.c: a table of steps, each
 * one operation on the tree that those before it made.  Memory fails between arm and disarm only.
 */
#ifndef TESTS_MEMORY_STEPS_H
#define TESTS_MEMORY_STEPS_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive/export.h"
#include "check/fsck.h"
#include "memory_seen.h"
#include "store/bykey.h"
#include "store/keylist.h"
#include "store/sweep.h"
#include "vfs/snapshots.h"

struct step {
    const char *name;
    int (*run)(const struct step *step);
    const char *path, *other;
    uint64_t number;
};

static struct node *
node_at(const char *path)
{
    struct node *node;

    ck_assert_int_eq(fs_node(&fs, path, &node), 0);
    return node;
}

static struct node *
parent_of(const char *path, const char **name)
{
    struct node *parent;

    ck_assert_int_eq(fs_parent(&fs, path, &parent, name), 0);
    return parent;
}

static int
entered(int result, struct vfs_entry *entry, struct node *parent)
{
    if (result == 0)
        vfs_forget(fs.vfs, entry->node, 1);
    vfs_forget(fs.vfs, parent, 1);
    return result;
}

static int
do_lookup(const struct step *step)
{
    struct vfs_entry entry;
    const char *name;
    struct node *parent = parent_of(step->path, &name);

    arm();
    return entered(disarm(vfs_lookup(fs.vfs, parent, name, &entry, NULL)), &entry,
                   parent);
}

static int
do_mknod(const struct step *step)
{
    struct vfs_entry entry;
    const char *name;
    struct node *parent = parent_of(step->path, &name);

    arm();
    return entered(disarm(vfs_mknod(fs.vfs, &fs.caller, parent, name,
                                    (mode_t)step->number, 0, &entry)),
                   &entry, parent);
}

static int
do_create(const struct step *step)
{
    struct vfs_entry entry;
    const char *name;
    struct node *parent = parent_of(step->path, &name);

    arm();
    return entered(disarm(vfs_create(fs.vfs, &fs.caller, parent, name, 0644,
                                     O_WRONLY | O_TRUNC, &entry)),
                   &entry, parent);
}

static int
do_mkdir(const struct step *step)
{
    struct vfs_entry entry;
    const char *name;
    struct node *parent = parent_of(step->path, &name);

    arm();
    return entered(disarm(vfs_mkdir(fs.vfs, &fs.caller, parent, name, 0755, &entry)),
                   &entry, parent);
}

/* The one operation that may be found done although it said -ENOMEM, and tells the log so: what
 * cannot be shown to the kernel is dropped again, but that may fail, too. */
static int
do_snapshot(const struct step *step)
{
    return do_mkdir(step);
}

static bool
has_snapshot(const struct step *step)
{
    struct stat st;

    return fs_stat(&fs, step->path, &st) == 0;
}

static int
do_symlink(const struct step *step)
{
    struct vfs_entry entry;
    const char *name;
    struct node *parent = parent_of(step->path, &name);

    arm();
    return entered(
        disarm(vfs_symlink(fs.vfs, &fs.caller, step->other, parent, name, &entry)),
        &entry, parent);
}

static int
do_link(const struct step *step)
{
    struct vfs_entry entry;
    const char *name;
    struct node *node = node_at(step->path), *parent = parent_of(step->other, &name);
    int result;

    arm();
    result =
        entered(disarm(vfs_link(fs.vfs, node, parent, name, &entry)), &entry, parent);
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_unlink(const struct step *step)
{
    const char *name;
    struct node *parent = parent_of(step->path, &name);
    int result;

    arm();
    result = disarm(vfs_unlink(fs.vfs, parent, name));
    vfs_forget(fs.vfs, parent, 1);
    return result;
}

/* With the file open: what is left of it is read to the end. */
static int
do_unlink_open(const struct step *step)
{
    struct node *node = node_at(step->path);
    int result = do_unlink(step);
    struct stat st;

    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    ck_assert_uint_eq(st.st_nlink, result == 0 ? 0 : 1);
    ck_assert_int_eq(st.st_size, (off_t)step->number);
    see_contents(node, &st);
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_rmdir(const struct step *step)
{
    const char *name;
    struct node *parent = parent_of(step->path, &name);
    int result;

    arm();
    result = disarm(vfs_rmdir(fs.vfs, parent, name));
    vfs_forget(fs.vfs, parent, 1);
    return result;
}

static int
do_rename(const struct step *step)
{
    const char *name, *new_name;
    struct node *parent = parent_of(step->path, &name);
    struct node *new_parent = parent_of(step->other, &new_name);
    int result;

    arm();
    result = disarm(
        vfs_rename(fs.vfs, parent, name, new_parent, new_name, (unsigned)step->number));
    vfs_forget(fs.vfs, parent, 1);
    vfs_forget(fs.vfs, new_parent, 1);
    return result;
}

static int
do_tmpfile(const struct step *step)
{
    struct vfs_entry entry, named;
    const char *name;
    struct node *parent = parent_of(step->path, &name);
    int result;

    arm();
    result = vfs_tmpfile(fs.vfs, &fs.caller, parent, 0600, O_RDWR, &entry);
    if (result == 0) {
        result = vfs_write(fs.vfs, &fs.caller, entry.node, 0, large, step->number, 0);
        if (result == 0)
            result = vfs_link(fs.vfs, entry.node, parent, name, &named);
        if (result == 0)
            vfs_forget(fs.vfs, named.node, 1);
        vfs_forget(fs.vfs, entry.node, 1);
    }
    vfs_forget(fs.vfs, parent, 1);
    return disarm(result);
}

static int
do_getattr(const struct step *step)
{
    struct node *node = node_at(step->path);
    struct stat st;
    int result;

    arm();
    result = disarm(vfs_getattr(fs.vfs, node, &st, NULL));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_setattr(const struct step *step)
{
    struct stat st = {.st_mode = 0640, .st_uid = 3, .st_gid = 4};
    struct node *node = node_at(step->path);
    int result;

    st.st_size = (off_t)step->number;
    arm();
    result = disarm(vfs_setattr(
        fs.vfs, &fs.caller, node, &st,
        step->other ? VFS_SIZE : VFS_MODE | VFS_UID | VFS_GID | VFS_MTIME_NOW, &st));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_open(const struct step *step)
{
    struct node *node = node_at(step->path);
    int result;

    arm();
    result = disarm(vfs_file_open(fs.vfs, &fs.caller, node, O_RDWR | (int)step->number));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_read(const struct step *step)
{
    struct node *node = node_at(step->path);
    char bytes[5000];
    size_t got;
    int result;

    arm();
    result = disarm(vfs_read(fs.vfs, node, step->number, bytes, sizeof(bytes), 0, &got));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

/* `other`: so many bytes. */
static int
do_write(const struct step *step)
{
    struct node *node = node_at(step->path);
    int result;

    arm();
    result = disarm(vfs_write(fs.vfs, &fs.caller, node, step->number, large,
                              (size_t)atoi(step->other), 0));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_fallocate(const struct step *step)
{
    struct node *node = node_at(step->path);
    int result;

    arm();
    result = disarm(vfs_fallocate(fs.vfs, &fs.caller, node, (int)step->number, 1000,
                                  (size_t)atoi(step->other)));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

/* The same, of a range that is zeroed piece by piece. */
static int
do_zero(const struct step *step)
{
    return do_fallocate(step);
}

static int
do_seek(const struct step *step)
{
    struct node *node = node_at(step->path);
    uint64_t found;
    int result;

    arm();
    result = disarm(vfs_seek(fs.vfs, node, 0, (int)step->number, &found));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_copy(const struct step *step)
{
    struct node *from = node_at(step->path), *to = node_at(step->other);
    size_t copied = 0;
    int result;

    arm();
    result = disarm(
        vfs_copy(fs.vfs, &fs.caller, from, 0, to, step->number, 200000, 0, &copied));
    vfs_forget(fs.vfs, from, 1);
    vfs_forget(fs.vfs, to, 1);
    return result == 0 && copied < (size_t)atoi(step->name + strlen("copy ")) ? -ENOMEM
                                                                              : result;
}

/* Some of it may be done when it fails, or says that it did not go to the end. */
static bool
is_in_parts(const struct step *step)
{
    return step->run == do_zero || step->run == do_copy;
}

static int
do_fsync(const struct step *step)
{
    struct node *node = node_at(step->path);
    int result;

    arm();
    result = disarm(vfs_fsync(fs.vfs, node));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static bool
take_name(void *context, const struct vfs_listed *listed)
{
    (void)context;
    if (listed->node)
        vfs_forget(fs.vfs, listed->node, 1);
    return true;
}

/* `number`: with attributes. */
static int
do_readdir(const struct step *step)
{
    struct node *node = node_at(step->path);
    int result;

    arm();
    result = disarm(vfs_readdir(fs.vfs, node, 0, step->number != 0, take_name, NULL));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

/* `number`: bytes of the value. */
static int
do_setxattr(const struct step *step)
{
    struct node *node = node_at(step->path);
    int result;

    arm();
    result = disarm(
        vfs_setxattr(fs.vfs, &fs.caller, node, step->other, large, step->number, 0));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

/* A default list that gives its file to everybody. */
static int
do_setacl(const struct step *step)
{
    static const char acl[] = "\2\0\0\0"
                              "\1\0\7\0\377\377\377\377"   /* ACL_USER_OBJ rwx */
                              "\4\0\7\0\377\377\377\377"   /* ACL_GROUP_OBJ rwx */
                              "\40\0\6\0\377\377\377\377"; /* ACL_OTHER rw- */
    struct node *node = node_at(step->path);
    int result;

    arm();
    result = disarm(vfs_setxattr(fs.vfs, &fs.caller, node, "system.posix_acl_default",
                                 acl, sizeof(acl) - 1, 0));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_getxattr(const struct step *step)
{
    struct node *node = node_at(step->path);
    char names[4096];
    size_t length;
    int result;

    arm();
    result = vfs_getxattr(fs.vfs, node, step->other, NULL, 0, &length);
    if (result == 0)
        result = vfs_listxattr(fs.vfs, &fs.caller, node, names, sizeof(names), &length);
    result = disarm(result);
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_removexattr(const struct step *step)
{
    struct node *node = node_at(step->path);
    int result;

    arm();
    result = disarm(vfs_removexattr(fs.vfs, node, step->other));
    vfs_forget(fs.vfs, node, 1);
    return result;
}

static int
do_statfs(const struct step *step)
{
    struct statvfs st;

    (void)step;
    arm();
    return disarm(vfs_statfs(fs.vfs, &st));
}

static int
do_sync(const struct step *step)
{
    (void)step;
    arm();
    return disarm(vfs_sync(fs.vfs));
}

static int
do_sweep(const struct step *step)
{
    bool more = true;
    int result = 0;

    (void)step;
    arm();
    while (result == 0 && more)
        result = sweep_step(vfs_store(fs.vfs), &more);
    return disarm(result);
}

static int
do_flush(const struct step *step)
{
    struct lsmkv_slice none = {NULL, 0};
    struct store *store = vfs_store(fs.vfs);

    (void)step;
    ck_assert_int_eq(lsmkv_compact(store->db, store->files, none, none), 0);
    return lsmkv_compact(store->db, store->chunks, none, none);
}

/* ---- by key, and the whole ---- */

static int
take_bytes(void *context, const void *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    return 0;
}

static int
do_get(const struct step *step)
{
    struct bykey_sink sink = {take_bytes, NULL};

    arm();
    return disarm(bykey_get(vfs_store(fs.vfs), lsmkv_str(step->path), &sink));
}

static ssize_t
give_bytes(void *context, void *bytes, size_t size)
{
    size_t *left = context, now = *left < size ? *left : size;

    memset(bytes, 'k', now);
    *left -= now;
    return (ssize_t)now;
}

static int
commit_key(void *context, struct store *store)
{
    const struct step *step = context;
    size_t left = step->number;
    struct bykey_source source = {give_bytes, &left};
    struct bykey_owner owner = {1, 2, 0644, true};

    return bykey_put(store, lsmkv_str(step->path), &source, &owner);
}

static int
do_put(const struct step *step)
{
    struct step copy = *step;

    arm();
    return disarm(vfs_alter(fs.vfs, lsmkv_str(step->path), commit_key, &copy));
}

static int
do_remove_key(const struct step *step)
{
    arm();
    return disarm(vfs_remove_key(fs.vfs, lsmkv_str(step->path)));
}

static int
do_list_keys(const struct step *step)
{
    struct keylist_options options = {.recursive = true, .lengthy = true, .end = '\n'};
    FILE *out = fopen("/dev/null", "w");
    int result;

    (void)step;
    arm();
    result =
        disarm(keylist_print(vfs_store(fs.vfs), lsmkv_bytes(NULL, 0), &options, out));
    fclose(out);
    return result;
}

static unsigned findings;

static void
count_finding(void *context, const struct fsck_finding *finding)
{
    (void)context;
    printf("# %s: %s\n", finding->where, finding->text);
    findings++;
}

static int
do_check(const struct step *step)
{
    struct fsck_report report = {.finding = count_finding};
    uint64_t damage;
    int result;

    (void)step;
    arm();
    result = disarm(fsck_run(vfs_store(fs.vfs), NULL, &report, &damage));
    ck_assert_uint_eq(findings, 0);
    return result;
}

/* `lost` counts: what could not be read for want of memory is told. */
static void
count_lost(void *context, struct lsmkv_slice key, const char *what)
{
    unsigned *lost = context;

    (void)key, (void)what;
    ++*lost;
}

static int
do_export(const struct step *step)
{
    unsigned told = 0;
    struct export_report report = {count_lost, count_lost, &told};
    struct export *export;
    int fd = memfd_create("archive", MFD_CLOEXEC), result, ended;
    uint64_t lost = 0;

    (void)step;
    ck_assert_int_ge(fd, 0);
    arm();
    result = export_new(vfs_store(fs.vfs), NULL, fd, &report, &export);
    if (result == 0) {
        result = export_tree(export, lsmkv_bytes(NULL, 0));
        ended = export_finish(export, &lost);
        if (result == 0)
            result = ended;
    }
    result = disarm(result);
    close(fd);
    ck_assert(result != 0 || attempt.failures > 0 || told == 0);
    return result == 0 && lost > 0 ? -ENOMEM : result;
}

static int
do_rollback(const struct step *step)
{
    struct vfs_rollback rollback = {.snapshot = step->path};

    arm();
    return disarm(vfs_rollback(fs.vfs, &rollback));
}

static int
do_diff(const struct step *step)
{
    struct snapshots_output output = {.out = tmpfile()};
    int result;

    ck_assert_ptr_nonnull(output.out);
    arm();
    result = disarm(snapshots_diff(fs.vfs, lsmkv_str(step->path), &output));
    ck_assert_int_eq(fclose(output.out), 0);
    return result;
}

static const struct step steps[] = {
    {"mkdir", do_mkdir, "d", NULL, 0},
    {"mkdir below", do_mkdir, "d/sub", NULL, 0},
    {"create", do_create, "d/small", NULL, 0},
    {"write", do_write, "d/small", "100", 0},
    {"append", do_write, "d/small", "50", 100},
    {"create large", do_create, "d/large", NULL, 0},
    {"write large", do_write, "d/large", "290000", 0},
    {"overwrite a piece", do_write, "d/large", "300", 140000},
    {"overwrite another", do_write, "d/large", "70000", 1000},
    {"write behind the end", do_write, "d/large", "10", 600000},
    {"grow small to large", do_write, "d/small", "9000", 3000},
    {"fifo", do_mknod, "d/fifo", NULL, S_IFIFO | 0600},
    {"symlink", do_symlink, "d/symlink", "somewhere/else", 0},
    {"readlink", do_lookup, "d/symlink", NULL, 0},
    {"tmpfile", do_tmpfile, "d/tmp", NULL, 1000},
    {"tmpfile, large", do_tmpfile, "d/tmplarge", NULL, 200000},
    {"chmod", do_setattr, "d/large", NULL, 0},
    {"chmod of a directory", do_setattr, "d/sub", NULL, 0},
    {"shrink", do_setattr, "d/tmplarge", "", 150000},
    {"grow", do_setattr, "d/tmplarge", "", 900000},
    {"link", do_link, "d/tmp", "d/sub/tmp", 0},
    {"link again", do_link, "d/tmp", "d/sub/third", 0},
    {"link large", do_link, "d/tmplarge", "d/sub/tmplarge", 0},
    {"write shared", do_write, "d/sub/tmp", "10", 5},
    {"xattr", do_setxattr, "d/small", "user.a", 20},
    {"xattr, long", do_setxattr, "d/small", "user.long", 30000},
    {"xattr of a directory", do_setxattr, "d", "user.dir", 5},
    {"xattrs read", do_getxattr, "d/small", "user.long", 0},
    {"xattr removed", do_removexattr, "d/small", "user.a", 0},
    {"put by key", do_put, "plain/below/file", NULL, 30},
    {"put by key, large", do_put, "plain/large", NULL, 300000},
    {"put over", do_put, "d/large", NULL, 400000},
    {"lookup of an implied directory", do_lookup, "plain/below", NULL, 0},
    {"mkdir in an implied directory", do_mkdir, "plain/below/made", NULL, 0},
    {"default acl", do_setacl, "d/sub", NULL, 0},
    {"mkdir that inherits", do_mkdir, "d/sub/dir", NULL, 0},
    {"create that inherits", do_create, "d/sub/dir/file", NULL, 0},
    {"put of an odd key", do_put, "odd//key", NULL, 40},
    {"lookup of an odd key", do_lookup, ODD, NULL, 0},
    {"read of an odd key", do_read, ODD, NULL, 0},
    {"write to an odd key", do_write, ODD, "9000", 5},
    {"truncation of an odd key", do_setattr, ODD, "", 10},
    {"listing of odd keys", do_readdir, ".lsmfs/keys", NULL, 1},
    {"unlink of an odd key, open", do_unlink_open, ODD, NULL, 10},
    {"snapshot", do_snapshot, ".snapshots/first", NULL, 0},
    {"statistics", do_lookup, ".lsmfs/stats", NULL, 0},
    {"statistics, JSON", do_lookup, ".lsmfs/stats.json", NULL, 0},
    {"statistics, Prometheus", do_lookup, ".lsmfs/stats.prom", NULL, 0},
    {"flush", do_flush, NULL, NULL, 0},
    {"lookup in a snapshot", do_lookup, ".snapshots/first/d", NULL, 0},
    {"read in a snapshot", do_read, ".snapshots/first/d/large", NULL, 3000},
    {"listing of a snapshot", do_readdir, ".snapshots/first/d", NULL, 1},
    {"listing of snapshots", do_readdir, ".snapshots", NULL, 1},
    {"lookup of a snapshot", do_lookup, ".snapshots/first", NULL, 0},
    {"lookup from tables", do_lookup, "d/large", NULL, 0},
    {"getattr", do_getattr, "d/large", NULL, 0},
    {"getattr of snapshots", do_getattr, ".snapshots", NULL, 0},
    {"read", do_read, "d/large", NULL, 130000},
    {"read small", do_read, "d/sub/third", NULL, 0},
    {"listing", do_readdir, "d", NULL, 0},
    {"listing with attributes", do_readdir, "d", NULL, 1},
    {"listing of the root", do_readdir, "", NULL, 1},
    {"open", do_open, "d/small", NULL, 0},
    {"hole", do_seek, "d/large", NULL, SEEK_HOLE},
    {"data", do_seek, "d/large", NULL, SEEK_DATA},
    {"punch", do_zero, "d/large", "200000", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
    {"zeros", do_zero, "d/tmplarge", "140000", FALLOC_FL_ZERO_RANGE},
    {"allocate", do_fallocate, "d/sub/tmp", "100", 0},
    {"copy 200000 bytes", do_copy, "d/large", "d/small", 50},
    {"copy 1000 bytes", do_copy, "d/tmp", "d/large", 0},
    {"create over", do_create, "d/small", NULL, 0},
    {"open with truncation", do_open, "d/large", NULL, O_TRUNC},
    {"rename", do_rename, "d/small", "d/renamed", 0},
    {"rename over", do_rename, "d/renamed", "d/large", 0},
    {"rename to another directory", do_rename, "d/large", "d/sub/large", 0},
    {"rename of a link", do_rename, "d/tmp", "plain/tmp", 0},
    {"rename of a directory", do_rename, "d/sub", "plain/sub", 0},
    {"exchange", do_rename, "plain/sub", "d", RENAME_EXCHANGE},
    {"exchange files", do_rename, "d/third", "d/large", RENAME_EXCHANGE},
    {"rename of a tree by tables", do_rename, "plain", "moved", 0},
    {"rename of a snapshot", do_rename, ".snapshots/first", ".snapshots/second", 0},
    {"unlink", do_unlink, "d/third", NULL, 0},
    {"unlink one of several", do_unlink, "d/tmp", NULL, 0},
    {"unlink large", do_unlink, "d/tmplarge", NULL, 0},
    {"create to be open", do_put, "d/open", NULL, 500},
    {"unlink open", do_unlink_open, "d/open", NULL, 500},
    {"create large to be open", do_put, "d/largeopen", NULL, 250000},
    {"unlink open, large", do_unlink_open, "d/largeopen", NULL, 250000},
    {"rmdir", do_rmdir, "moved/below/made", NULL, 0},
    {"remove by key", do_remove_key, "moved/large", NULL, 0},
    {"sweep", do_sweep, NULL, NULL, 0},
    {"get by key", do_get, "moved/tmp", NULL, 0},
    {"list keys", do_list_keys, NULL, NULL, 0},
    {"statfs", do_statfs, NULL, NULL, 0},
    {"fsync", do_fsync, "d/large", NULL, 0},
    {"fsyncdir", do_fsync, "d", NULL, 0},
    {"sync", do_sync, NULL, NULL, 0},
    {"check", do_check, NULL, NULL, 0},
    {"export", do_export, NULL, NULL, 0},
    {"differences", do_diff, "second/", NULL, 0},
    {"back to a snapshot", do_rollback, "second", NULL, 0},
    {"drop of a snapshot", do_rmdir, ".snapshots/second", NULL, 0},
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

#endif
