/* snapshots.c - see snapshots.h. */
#include "vfs/snapshots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire.h"
#include "store/attr.h"
#include "store/diff.h"
#include "store/key.h"

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

/* ---- differences ---- */

static int
print_difference(void *context, const struct diff_entry *entry)
{
    const struct snapshots_output *output = context;
    FILE *out = output->out;

    errno = 0;
    putc((int)entry->kind, out);
    putc(attr_type_letter(entry->mode), out);
    if (entry->path.size > 0)
        fwrite(entry->path.data, 1, entry->path.size, out);
    putc('\0', out);
    if (!ferror(out))
        return 0;
    return errno != 0 ? -errno : -EIO;
}

static bool
is_wanted(void *context)
{
    const struct snapshots_output *output = context;

    return output->go_on == NULL || output->go_on(output->context);
}

/* What is in memory only, as times of directories are, belongs to now.  A disk that takes
 * nothing more is no reason not to look. */
static int
take_now(struct vfs *vfs, struct lsmkv_snapshot **snapshot)
{
    int result = vfs_sync(vfs);

    return result == -ENOMEM ? result : lsmkv_snapshot_take(vfs_store(vfs)->db, snapshot);
}

static int
diff_two(struct vfs *vfs, const struct lsmkv_snapshot *from,
         const struct lsmkv_snapshot *to, const struct snapshots_output *output)
{
    struct snapshots_output copy = *output;
    const struct diff_calls calls = {print_difference, is_wanted, &copy};
    int result = diff_trees(vfs_store(vfs), from, to, &calls);

    return result == -ENOENT ? -EUCLEAN : result; /* a file of the store */
}

static int
diff_names(struct vfs *vfs, const char *from, const char *to,
           const struct snapshots_output *output)
{
    struct store *store = vfs_store(vfs);
    struct lsmkv_snapshot *first, *second;
    int result = lsmkv_snapshot_open(store->db, from, &first, NULL);

    if (result < 0)
        return result;
    if (*to != '\0')
        result = lsmkv_snapshot_open(store->db, to, &second, NULL);
    else
        result = take_now(vfs, &second);
    if (result == 0) {
        result = diff_two(vfs, first, second, output);
        lsmkv_snapshot_release(store->db, second);
    }
    lsmkv_snapshot_release(store->db, first);
    return result;
}

/* The argument's bytes, ended by a NUL, into `text` of 2 * NAME_SIZE bytes. */
static int
copy_argument(struct lsmkv_slice argument, char *text)
{
    if (argument.size >= 2 * (size_t)NAME_SIZE)
        return -ENAMETOOLONG;
    if (argument.size > 0)
        memcpy(text, argument.data, argument.size);
    text[argument.size] = '\0';
    return strlen(text) == argument.size ? 0 : -EINVAL;
}

int
snapshots_diff(struct vfs *vfs, struct lsmkv_slice argument,
               const struct snapshots_output *output)
{
    char names[2 * NAME_SIZE], *slash;
    int result = copy_argument(argument, names);

    if (result != 0)
        return result;
    slash = strchr(names, '/');
    if (slash == NULL)
        return -EPROTO;
    *slash = '\0';
    return diff_names(vfs, names, slash + 1, output);
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
    int result = copy_argument(argument, text);
    if (result == -ENAMETOOLONG)
        return result;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        if (strcmp(command, changes[i].name) != 0)
            continue;
        if (result != 0)
            return result;
        result = vfs_lookup(vfs, vfs_root(vfs), KEY_SNAPSHOTS, &entry, NULL);
        if (result < 0)
            return result;
        result = changes[i].run(vfs, entry.node, text);
        vfs_forget(vfs, entry.node, 1);
        return result;
    }
    return -EPROTO;
}
