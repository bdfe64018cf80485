/*
 * import_tree.h - what an import asks of the files that it makes, as a table of
 * functions: of a store that is not mounted (import_vfs.h) or of a mount (import_disk.h).
 *
 * Names are one component.  Nothing here follows a symbolic link, nor leaves the file
 * system of `root`.  Results are 0 or a negative errno; out-parameters are written only
 * on success.
 */
#ifndef FS_IMPORT_TREE_H
#define FS_IMPORT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "lsmkv.h"
#include "store/bykey.h"

struct node;

/* A file of any type that was found or made; `forget` gives it back. */
union import_file {
    struct node *node;
    int fd;
};

/* What is to be made. */
struct import_kind {
    mode_t mode; /* type and permissions */
    dev_t rdev;
    const char *link; /* where a symbolic link leads to */
};

struct import_tree {
    union import_file root; /* as long as the tree; `forget` leaves it alone */
    bool sets_owners;
    bool is_shared; /* others may change it meanwhile */

    /* -ENOENT: it is not there. */
    int (*find)(struct import_tree *tree, union import_file directory, const char *name,
                union import_file *file, struct stat *st);
    /* -EEXIST: something is there. */
    int (*make)(struct import_tree *tree, union import_file directory, const char *name,
                const struct import_kind *kind, union import_file *file);
    int (*link)(struct import_tree *tree, union import_file file,
                union import_file directory, const char *name);
    /* `to` of the same directory is replaced. */
    int (*rename)(struct import_tree *tree, union import_file directory, const char *from,
                  const char *to);
    /* Each gets the other's name. */
    int (*exchange)(struct import_tree *tree, union import_file directory,
                    const char *from, const char *to);
    int (*remove)(struct import_tree *tree, union import_file directory, const char *name,
                  bool is_folder);
    void (*forget)(struct import_tree *tree, union import_file file);

    /* Of a file that was made; at most IMPORT_WRITE_MAX bytes. */
    int (*write)(struct import_tree *tree, union import_file file, const void *bytes,
                 size_t size, int64_t offset);
    /* Makes it `size` bytes long, and says what the writes have left to be said. */
    int (*finish)(struct import_tree *tree, union import_file file, int64_t size);

    int (*stat)(struct import_tree *tree, union import_file file, struct stat *st);
    int (*set_owner)(struct import_tree *tree, union import_file file, uid_t uid,
                     gid_t gid);
    int (*set_mode)(struct import_tree *tree, union import_file file, mode_t mode);
    /* Of access and of change; UTIME_OMIT leaves one. */
    int (*set_times)(struct import_tree *tree, union import_file file,
                     const struct timespec times[2]);
    int (*set_xattr)(struct import_tree *tree, union import_file file, const char *name,
                     const void *value, size_t size);
    int (*remove_xattr)(struct import_tree *tree, union import_file file,
                        const char *name);

    /* The value of a key that has no path.  An error of the source is returned as it
     * is. */
    int (*put)(struct import_tree *tree, struct lsmkv_slice key,
               const struct bykey_source *source, const struct bykey_owner *owner);
};

#define IMPORT_WRITE_MAX (1u << 20)

#endif
