/* import_vfs.c - see import_vfs.h. */
#include "archive/import_vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/data.h"

#define SPACE_TRIES 3u

_Static_assert(IMPORT_WRITE_MAX <= DATA_WRITE_MAX, "a write is one of vfs_write");

struct import_vfs {
    struct import_tree tree;
    struct vfs *vfs;
    struct vfs_caller maker; /* whose what is new is at first */
};

/* Root, who may do anything, and keeps what he writes as it is. */
static const struct vfs_caller root = {0};

static struct vfs *
vfs_of(struct import_tree *tree)
{
    return ((struct import_vfs *)tree)->vfs;
}

/* As for a mount's requests: what was deleted gives its space back a moment later.  True: try again. */
static bool
is_again(struct import_tree *tree, int result, unsigned *tries)
{
    return result == -ENOSPC && (*tries)++ < SPACE_TRIES &&
           vfs_wait_for_space(vfs_of(tree));
}

/* ---- names ---- */

static int
find(struct import_tree *tree, union import_file directory, const char *name,
     union import_file *file, struct stat *st)
{
    struct vfs_entry entry;
    int result = vfs_lookup(vfs_of(tree), directory.node, name, &entry, NULL);

    if (result != 0)
        return result;
    file->node = entry.node;
    *st = entry.stat;
    return 0;
}

static int
make_once(struct import_vfs *to, union import_file directory, const char *name,
          const struct import_kind *kind, struct vfs_entry *entry)
{
    if (S_ISDIR(kind->mode))
        return vfs_mkdir(to->vfs, &to->maker, directory.node, name, kind->mode & 07777,
                         entry);
    if (S_ISLNK(kind->mode))
        return vfs_symlink(to->vfs, &to->maker, kind->link, directory.node, name, entry);
    return vfs_mknod(to->vfs, &to->maker, directory.node, name, kind->mode, kind->rdev,
                     entry);
}

static int
make(struct import_tree *tree, union import_file directory, const char *name,
     const struct import_kind *kind, union import_file *file)
{
    struct vfs_entry entry;
    unsigned tries = 0;
    int result;

    do {
        result = make_once((struct import_vfs *)tree, directory, name, kind, &entry);
    } while (is_again(tree, result, &tries));
    if (result == 0)
        file->node = entry.node;
    return result;
}

static int
link_file(struct import_tree *tree, union import_file file, union import_file directory,
          const char *name)
{
    struct vfs_entry entry;
    unsigned tries = 0;
    int result;

    do {
        result = vfs_link(vfs_of(tree), file.node, directory.node, name, &entry);
    } while (is_again(tree, result, &tries));
    if (result == 0)
        vfs_forget(vfs_of(tree), entry.node, 1);
    return result;
}

static int
rename_with(struct import_tree *tree, union import_file directory, const char *from,
            const char *to, unsigned flags)
{
    unsigned tries = 0;
    int result;

    do {
        result =
            vfs_rename(vfs_of(tree), directory.node, from, directory.node, to, flags);
    } while (is_again(tree, result, &tries));
    return result;
}

static int
rename_file(struct import_tree *tree, union import_file directory, const char *from,
            const char *to)
{
    return rename_with(tree, directory, from, to, 0);
}

static int
exchange(struct import_tree *tree, union import_file directory, const char *from,
         const char *to)
{
    return rename_with(tree, directory, from, to, RENAME_EXCHANGE);
}

static int
remove_name(struct import_tree *tree, union import_file directory, const char *name,
            bool is_folder)
{
    return is_folder ? vfs_rmdir(vfs_of(tree), directory.node, name)
                     : vfs_unlink(vfs_of(tree), directory.node, name);
}

static void
forget(struct import_tree *tree, union import_file file)
{
    if (file.node != tree->root.node)
        vfs_forget(vfs_of(tree), file.node, 1);
}

/* ---- contents and attributes ---- */

static int
change(struct import_tree *tree, union import_file file, const struct stat *wanted,
       unsigned which)
{
    struct stat now;
    unsigned tries = 0;
    int result;

    do {
        result = vfs_setattr(vfs_of(tree), &root, file.node, wanted, which, &now);
    } while (is_again(tree, result, &tries));
    return result;
}

static int
write_bytes(struct import_tree *tree, union import_file file, const void *bytes,
            size_t size, int64_t offset)
{
    unsigned tries = 0;
    int result;

    do {
        result =
            vfs_write(vfs_of(tree), &root, file.node, (uint64_t)offset, bytes, size, 0);
    } while (is_again(tree, result, &tries));
    return result;
}

static int
stat_file(struct import_tree *tree, union import_file file, struct stat *st)
{
    return vfs_getattr(vfs_of(tree), file.node, st, NULL);
}

static int
finish(struct import_tree *tree, union import_file file, int64_t size)
{
    struct stat wanted = {.st_size = size}, now;
    int result = stat_file(tree, file, &now);

    return result != 0 || now.st_size == size ? result
                                              : change(tree, file, &wanted, VFS_SIZE);
}

static int
set_owner(struct import_tree *tree, union import_file file, uid_t uid, gid_t gid)
{
    struct stat wanted = {.st_uid = uid, .st_gid = gid};

    return change(tree, file, &wanted, VFS_UID | VFS_GID);
}

static int
set_mode(struct import_tree *tree, union import_file file, mode_t mode)
{
    struct stat wanted = {.st_mode = mode};

    return change(tree, file, &wanted, VFS_MODE);
}

static int
set_times(struct import_tree *tree, union import_file file,
          const struct timespec times[2])
{
    struct stat wanted = {.st_atim = times[0], .st_mtim = times[1]};
    unsigned which = (times[0].tv_nsec != UTIME_OMIT ? VFS_ATIME : 0u) |
                     (times[1].tv_nsec != UTIME_OMIT ? VFS_MTIME : 0u);

    return which != 0 ? change(tree, file, &wanted, which) : 0;
}

static int
set_xattr(struct import_tree *tree, union import_file file, const char *name,
          const void *value, size_t size)
{
    unsigned tries = 0;
    int result;

    do {
        result = vfs_setxattr(vfs_of(tree), &root, file.node, name, value, size, 0);
    } while (is_again(tree, result, &tries));
    return result;
}

static int
remove_xattr(struct import_tree *tree, union import_file file, const char *name)
{
    return vfs_removexattr(vfs_of(tree), file.node, name);
}

/* ---- values ---- */

struct value {
    struct bykey_upload *upload;
    struct lsmkv_slice key;
    const struct bykey_owner *owner;
};

static int
commit(void *context, struct store *store)
{
    const struct value *value = context;

    (void)store; /* the upload has it */
    return bykey_commit(value->upload, value->key, value->owner);
}

static int
put(struct import_tree *tree, struct lsmkv_slice key, const struct bykey_source *source,
    const struct bykey_owner *owner)
{
    struct vfs *vfs = vfs_of(tree);
    struct value value = {NULL, key, owner};
    int result = bykey_upload(vfs_store(vfs), key, source, &value.upload);

    if (result == 0) {
        result = vfs_alter(vfs, key, commit, &value);
        bykey_upload_free(value.upload);
    }
    return result;
}

/* ---- its life ---- */

struct import_tree *
import_vfs_new(struct vfs *vfs)
{
    struct import_vfs *to = calloc(1, sizeof(*to));

    if (to == NULL)
        return NULL;
    to->vfs = vfs;
    to->maker = (struct vfs_caller){.uid = geteuid(), .gid = getegid()};
    to->tree = (struct import_tree){.root.node = vfs_root(vfs),
                                    .sets_owners = true,
                                    .find = find,
                                    .make = make,
                                    .link = link_file,
                                    .rename = rename_file,
                                    .exchange = exchange,
                                    .remove = remove_name,
                                    .forget = forget,
                                    .write = write_bytes,
                                    .finish = finish,
                                    .stat = stat_file,
                                    .set_owner = set_owner,
                                    .set_mode = set_mode,
                                    .set_times = set_times,
                                    .set_xattr = set_xattr,
                                    .remove_xattr = remove_xattr,
                                    .put = put};
    return &to->tree;
}

void
import_vfs_free(struct import_tree *tree)
{
    free(tree);
}
