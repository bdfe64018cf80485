/*
 * keysdir.c - see keysdir.h.
 */
#include "vfs/keysdir.h"

#include <errno.h>
#include <string.h>

#include "common/slice.h"
#include "vfs/remove.h"
#include "vfs/statsfile.h"

/* ---- the directories ---- */

struct node *
keysdir_enter(struct vfs *vfs, struct node *root)
{
    struct node_seed seed = {.ino = KEYSDIR_INO,
                             .view = root->view,
                             .realm = REALM_PRIVATE,
                             .directory = true};

    return nodes_enter(vfs->nodes, root, lsmkv_str(KEY_PRIVATE), &seed, NULL);
}

void
keysdir_stat(struct vfs *vfs, const struct node *node, struct stat *st)
{
    memset(st, 0, sizeof(*st));
    st->st_ino = view_ino(node->view, node->ino);
    /* What is below some closed directory as a path is readable to nobody else here. */
    st->st_mode = S_IFDIR | 0700;
    st->st_nlink = 2;
    st->st_uid = vfs->store->defaults.uid;
    st->st_gid = vfs->store->defaults.gid;
    st->st_blksize = 4096;
    st->st_atim = st->st_mtim = st->st_ctim = vfs->born;
}

static int
enter_directory(struct vfs *vfs, struct node *parent, struct lsmkv_slice name,
                uint64_t ino, bool top, struct vfs_entry *entry)
{
    struct node_seed seed = {.ino = ino,
                             .view = parent->view,
                             .realm = REALM_KEYS,
                             .directory = true,
                             .top = top};

    entry->node = nodes_enter(vfs->nodes, parent, name, &seed, NULL);
    if (!entry->node)
        return -ENOMEM;
    keysdir_stat(vfs, entry->node, &entry->stat);
    return 0;
}

/* ---- the files ---- */

/* The key of the file `name` in `parent`, in keys[1]. */
static int
decode_child(struct op *op, const struct node *parent, struct lsmkv_slice name,
             struct lsmkv_slice *key)
{
    void *buffer = op->keys[1].bytes;
    struct lsmkv_slice parent_path, path;
    size_t size;
    int result = op_child_key(op, 0, parent, name, &parent_path, &path);

    if (result == 0)
        result = key_decode(path, buffer, LSMKV_KEY_MAX, &size);
    if (result == 0)
        *key = lsmkv_bytes(buffer, size);
    return result;
}

/* Does the record, a file's, show here and not at its path? */
static int
shows_here(struct op *op, const struct inode *inode)
{
    if (inode->key.size == 0 || !key_is_plain(inode->key))
        return 1;
    return op_has_below(op, inode->view, inode->key);
}

/* Reads what `key` holds, if it belongs here. */
static int
read_key(struct op *op, struct node *node, const struct view *view,
         struct lsmkv_slice key, enum inode_want want, struct inode *inode)
{
    int result;

    inode_init(inode, op, node, view, key);
    result = inode_read(op, inode, want);
    if (result != LSMKV_EXACT)
        return result < 0 ? result : -ENOENT;
    result = inode_decode(op, inode);
    if (result < 0)
        return result;
    if (!S_ISDIR(inode->attr.mode)) {
        result = shows_here(op, inode);
        if (result <= 0)
            return result < 0 ? result : -ENOENT;
    } else if (inode->attr.has_value) {
        inode->kept = true;
        inode->directory = inode->attr;
        result = attr_decode_kept(&inode->directory, &inode->record,
                                  &op->vfs->store->defaults, &inode->attr);
        if (result < 0)
            return result;
    } else {
        return -ENOENT;
    }
    if (inode->attr.data.kind != ATTR_REFERENCE)
        return 0;
    inode->kept = false;
    return inode_follow(op, inode, inode->attr.ino, want);
}

int
keysdir_inode(struct op *op, unsigned slot, struct node *node, enum inode_want want,
              struct inode *inode)
{
    void *buffer = op->keys[slot ^ 1].bytes;
    struct lsmkv_slice path;
    size_t size;
    int result = op_key(op, slot, node, &path);

    if (result == 0)
        result = key_decode(path, buffer, LSMKV_KEY_MAX, &size);
    if (result < 0)
        return result;
    result = read_key(op, node, node->view, lsmkv_bytes(buffer, size), want, inode);
    if (result < 0)
        return result;
    /* The number of a value without attributes follows the directory's record that keeps
     * it. */
    return inode->kept || inode->attr.ino == node->ino ? 0 : -ESTALE;
}

static int
enter_file(struct op *op, struct node *parent, struct lsmkv_slice name,
           struct inode *inode, struct vfs_entry *entry)
{
    struct node_seed seed = {.ino = inode->attr.ino,
                             .view = parent->view,
                             .realm = REALM_KEYS,
                             .shared = inode->keyspace == op->vfs->store->inodes};

    entry->node = nodes_enter(op->vfs->nodes, parent, name, &seed, NULL);
    if (!entry->node)
        return -ENOMEM;
    inode_stat(inode, &entry->stat);
    return 0;
}

static int
lookup_file(struct vfs *vfs, struct node *parent, struct lsmkv_slice name,
            struct vfs_entry *entry)
{
    struct op *op = op_begin_exclusive(vfs);
    struct lsmkv_slice key;
    struct inode inode;
    int result;

    if (!op)
        return -ENOMEM;
    inode.held = NULL;
    result = decode_child(op, parent, name, &key);
    if (result == 0)
        result = read_key(op, NULL, parent->view, key, INODE_ATTRIBUTES, &inode);
    if (result == 0)
        result = enter_file(op, parent, name, &inode, entry);
    inode_fini(&inode);
    op_end(op);
    return result;
}

static int
lookup_part(struct vfs *vfs, struct node *parent, struct lsmkv_slice name,
            struct vfs_entry *entry)
{
    struct op *op = op_begin(vfs);
    struct lsmkv_slice parent_path, path;
    uint64_t ino = 0;
    int result;

    if (!op)
        return -ENOMEM;
    result = op_child_key(op, 0, parent, name, &parent_path, &path);
    if (result == 0)
        result = implied_ino(op, parent->view, parent, name, path, &ino);
    op_end(op);
    return result < 0 ? result : enter_directory(vfs, parent, name, ino, false, entry);
}

int
keysdir_lookup(struct vfs *vfs, struct node *parent, struct lsmkv_slice name,
               struct vfs_entry *entry)
{
    if (parent->realm == REALM_PRIVATE)
        return slice_is(name, "keys")
                   ? enter_directory(vfs, parent, name, KEYSDIR_KEYS_INO, true, entry)
                   : statsfile_lookup(vfs, parent, name, entry);
    if (key_is_coded_directory(name))
        return lookup_part(vfs, parent, name, entry);
    return lookup_file(vfs, parent, name, entry);
}

/* Takes the value away from its key; a directory's record stays without it. */
static int
remove_value(struct op *op, struct inode *inode, struct lsmkv_slice key)
{
    struct inode again;
    int result;

    if (inode->keyspace != op->vfs->store->inodes)
        return inode_remove(op, inode);
    /* One of several names, maybe kept by a directory. */
    result = remove_name(op, inode, key, vfs_now(op->vfs));
    if (result < 0)
        return result;
    inode_init(&again, op, NULL, inode->view, key);
    result = inode_read(op, &again, INODE_ATTRIBUTES);
    result = result == LSMKV_EXACT ? inode_decode(op, &again) : -EUCLEAN;
    if (result == 0 && S_ISDIR(again.attr.mode)) {
        again.attr.has_value = false;
        again.attr.value_attributes = lsmkv_bytes(NULL, 0);
        again.record.value = lsmkv_bytes(NULL, 0);
        result = inode_put(op, &again);
    }
    inode_fini(&again);
    return result;
}

int
keysdir_unlink(struct vfs *vfs, struct node *parent, struct lsmkv_slice name)
{
    int result = op_writable(vfs, parent);
    struct lsmkv_slice key;
    struct inode inode;
    struct node *node;
    struct op *op;

    if (result < 0)
        return result;
    if (parent->realm == REALM_PRIVATE || key_is_coded_directory(name))
        return -EPERM;
    op = op_begin_exclusive(vfs);
    if (!op)
        return -ENOMEM;
    inode.held = NULL;
    node = nodes_find(vfs->nodes, parent, name);
    result = decode_child(op, parent, name, &key);
    if (result == 0)
        result = read_key(op, node, parent->view, key, INODE_VALUE, &inode);
    if (result == 0)
        result = remove_value(op, &inode, key);
    if (result == 0)
        result = op_publish(op, false);
    if (result == 0)
        node_unlink(vfs->nodes, parent, name);
    inode_fini(&inode);
    op_end(op);
    if (node)
        node_unref(vfs->nodes, node, 1);
    return result;
}
