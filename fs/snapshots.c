/* snapshots.c - see snapshots.h. */
#include "snapshots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "key.h"
#include "wire.h"

#define NAME_SIZE (LSMKV_NAME_MAX + 1)

/* A snapshot belongs to nobody, so it does not matter who asks. */
static const struct vfs_caller anybody = {0};

/* ---- what they do, in the directory .snapshots ---- */

static int
create(struct vfs *vfs, struct node *directory, const char *name)
{
    struct vfs_entry entry;
    int result = vfs_mkdir(vfs, &anybody, directory, name, 0755, &entry);

    if (result == 0)
        vfs_forget(vfs, entry.node, 1);
    return result;
}

static int
drop(struct vfs *vfs, struct node *directory, const char *name)
{
    return vfs_rmdir(vfs, directory, name);
}

/* `names`: both, with a '/' between. */
static int
rename_one(struct vfs *vfs, struct node *directory, const char *names)
{
    char from[NAME_SIZE];
    const char *slash = strchr(names, '/');

    if (slash == NULL)
        return -EINVAL;
    if (slash - names >= NAME_SIZE)
        return -ENAMETOOLONG;
    snprintf(from, sizeof(from), "%.*s", (int)(slash - names), names);
    return vfs_rename(vfs, directory, from, directory, slash + 1, 0);
}

/* ---- the list ---- */

static int
print(void *context, const struct lsmkv_snapshot_info *info)
{
    char coded[3 * NAME_SIZE];

    wire_encode(info->name, strlen(info->name), coded);
    fprintf(context, "%llu %lld %s\n", (unsigned long long)info->id,
            (long long)info->time, coded);
    return ferror((FILE *)context) ? -EIO : 0;
}

/* ---- which it is ---- */

static const struct {
    const char *name;
    int (*run)(struct vfs *vfs, struct node *directory, const char *argument);
} changes[] = {
    {"snapshot-create", create},
    {"snapshot-delete", drop},
    {"snapshot-rename", rename_one},
};

int
snapshots_do(struct vfs *vfs, const char *command, struct lsmkv_slice argument, FILE *out)
{
    char text[2 * NAME_SIZE];
    struct vfs_entry entry;

    if (strcmp(command, "snapshots") == 0)
        return lsmkv_snapshot_list(vfs_store(vfs)->db, print, out);
    if (argument.size >= sizeof(text))
        return -ENAMETOOLONG;
    if (argument.size > 0)
        memcpy(text, argument.data, argument.size);
    text[argument.size] = '\0';
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        if (strcmp(command, changes[i].name) != 0)
            continue;
        if (strlen(text) != argument.size)
            return -EINVAL;
        int result = vfs_lookup(vfs, vfs_root(vfs), KEY_SNAPSHOTS, &entry, NULL);
        if (result < 0)
            return result;
        result = changes[i].run(vfs, entry.node, text);
        vfs_forget(vfs, entry.node, 1);
        return result;
    }
    return -EPROTO;
}
