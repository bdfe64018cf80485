/*
 * inode_put.c - putting an inode back, and what is left of one without a name: see
 * inode.h.
 */
#include "vfs/inode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/implied.h"
#include "store/records.h"
#include "vfs/left_xattr.h"

/* ---- putting ---- */

static int
encode(struct op *op, const struct attr *attr, struct lsmkv_slice *attributes)
{
    if (attr_encoded_size(attr) > sizeof(op->attributes))
        return -ENOSPC;
    *attributes = lsmkv_bytes(op->attributes, attr_encode(attr, op->attributes));
    return 0;
}

static int
add_remains(struct op *op, struct node *node, const struct attr *attr,
            struct lsmkv_slice value)
{
    size_t size = attr_encoded_size(attr);
    struct remains *remains = malloc(sizeof(*remains) + size + value.size);

    if (!remains)
        return -ENOMEM;
    remains->linkable = false;
    remains->xattrs = NULL;
    remains->data_id = attr->data.kind == ATTR_CHUNKS ? attr->data.id : 0;
    remains->attributes_size = attr_encode(attr, remains->bytes);
    remains->value_size = value.size;
    if (value.size > 0)
        memcpy(remains->bytes + size, value.data, value.size);
    op->remains[op->remains_count].node = node;
    op->remains[op->remains_count++].remains = remains;
    return 0;
}

/* Puts the directory's record that keeps `value` for a key's own. */
static int
put_kept(struct op *op, struct inode *inode, struct lsmkv_slice value)
{
    size_t size = attr_encoded_size(&inode->attr);
    struct lsmkv_slice attributes;
    void *nested = malloc(size);
    int result;

    if (!nested)
        return -ENOMEM;
    attr_encode(&inode->attr, nested);
    inode->directory.value_attributes = lsmkv_bytes(nested, size);
    result = encode(op, &inode->directory, &attributes);
    if (result == 0)
        result =
            lsmkv_batch_put(op->batch, inode->keyspace, inode->key, attributes, value);
    free(nested);
    return result;
}

int
inode_put_at(struct op *op, struct inode *inode, struct lsmkv_keyspace *keyspace,
             struct lsmkv_slice key)
{
    struct lsmkv_slice attributes;
    int result = inode_load_value(op, inode);

    if (result == 0)
        result = encode(op, &inode->attr, &attributes);
    if (result == 0 && inode->implied && implied_is(inode->attr.ino))
        result = implied_take(op->vfs->store, op->batch, inode->attr.ino);
    if (result < 0)
        return result;
    if (inode->held && inode->record.value.size > 0)
        return lsmkv_batch_put_held(op->batch, keyspace, key, attributes, inode->held);
    return lsmkv_batch_put(op->batch, keyspace, key, attributes, inode->record.value);
}

int
inode_put(struct op *op, struct inode *inode)
{
    int result;

    if (inode->node && inode->node->unlinked)
        return add_remains(op, inode->node, &inode->attr, inode->record.value);
    if (inode->kept) {
        result = inode_load_value(op, inode);
        return result < 0 ? result : put_kept(op, inode, inode->record.value);
    }
    result = inode_put_at(op, inode, inode->keyspace, inode->key);
    if (result == 0 && inode->node)
        op_note_put(op, inode->node);
    return result;
}

void
inode_edit(struct op *op, struct inode *inode, struct data_buffer *buffer,
           struct data_edit *edit)
{
    struct lsmkv_slice value = {NULL, 0};

    if (inode->attr.data.kind == ATTR_INLINE)
        value = inode->record.value;
    data_edit_begin(edit, op->vfs->store, op->batch, &op->dead, buffer, &inode->attr.data,
                    value, inode->node && inode->node->unlinked);
}

int
inode_put_contents(struct op *op, struct inode *inode, struct data_edit *edit)
{
    int result;

    inode->attr.data = edit->data;
    if (inode->node && inode->node->unlinked)
        return add_remains(op, inode->node, &inode->attr, edit->value);
    if (inode->kept)
        return put_kept(op, inode, edit->value);
    result = data_edit_put(edit, inode->keyspace, inode->key, &inode->attr);
    if (result == 0 && inode->node)
        op_note_put(op, inode->node);
    return result;
}

int
inode_put_reference(struct op *op, const struct inode *inode, struct lsmkv_slice key)
{
    struct attr reference;
    struct lsmkv_slice attributes;
    int result;

    attr_init(&reference, inode->attr.mode & S_IFMT, 0, 0, inode->attr.ino,
              inode->attr.ctime);
    reference.data.kind = ATTR_REFERENCE;
    result = encode(op, &reference, &attributes);
    if (result < 0)
        return result;
    return lsmkv_batch_put(op->batch, op->vfs->store->files, key, attributes,
                           lsmkv_bytes(NULL, 0));
}

/* ---- removing ---- */

void
remains_free(struct remains *remains)
{
    if (remains)
        left_xattr_free(remains->xattrs);
    free(remains);
}

void
remains_set(struct vfs *vfs, struct node *node, struct remains *remains)
{
    if (remains)
        vfs->remains_bytes += remains->value_size;
    if (node->remains)
        vfs->remains_bytes -= node->remains->value_size;
    if (remains && node->remains) {
        remains->linkable = node->remains->linkable;
        remains->xattrs = node->remains->xattrs;
        node->remains->xattrs = NULL;
    }
    remains_free(node->remains);
    node->remains = remains;
}

/* Contents that would stand in memory become chunks of an orphan, if too much stands
 * there already.  A byte written behind the limit makes them so; it is not kept. */
static int
spill(struct op *op, struct inode *inode)
{
    uint64_t size = inode->record.value.size;
    struct data_edit edit;
    int result;

    if (!S_ISREG(inode->attr.mode) || size == 0 || inode->attr.data.kind != ATTR_INLINE ||
        op->vfs->remains_bytes + size <= REMAINS_LIMIT)
        return 0;
    data_edit_begin(&edit, op->vfs->store, op->batch, &op->dead, &op->buffer,
                    &inode->attr.data, inode->record.value, true);
    result = data_write(&edit, size > DATA_INLINE_MAX ? size : DATA_INLINE_MAX, "", 1);
    if (result < 0)
        return result;
    edit.data.size = size;
    inode->attr.data = edit.data;
    inode->record.value = lsmkv_bytes(NULL, 0);
    return 0;
}

/* The directory's record stays, without the value. */
static int
delete_kept(struct op *op, struct inode *inode)
{
    struct lsmkv_slice attributes;
    int result;

    inode->directory.has_value = false;
    inode->directory.value_attributes = lsmkv_bytes(NULL, 0);
    result = encode(op, &inode->directory, &attributes);
    if (result < 0)
        return result;
    return lsmkv_batch_put(op->batch, inode->keyspace, inode->key, attributes,
                           lsmkv_bytes(NULL, 0));
}

static int
delete_record(struct op *op, const struct inode *inode)
{
    int result = lsmkv_batch_delete(op->batch, inode->keyspace, inode->key);

    if (result == 0 && S_ISDIR(inode->attr.mode) && implied_is(inode->attr.ino))
        result = implied_give_back(op->vfs->store, op->batch, inode->attr.ino);
    return result;
}

int
inode_remove(struct op *op, struct inode *inode)
{
    struct left_xattr *xattrs = NULL;
    struct attr left;
    int result = 0;

    if (inode->attr.xattr_records)
        result = record_xattrs_delete(op->vfs->store->db, op->vfs->store->inodes,
                                      inode->attr.ino, op->batch);
    if (result == 0 && inode->attr.data.kind == ATTR_CHUNKS) {
        struct data_edit edit;

        inode_edit(op, inode, &op->buffer, &edit);
        result = data_remove(&edit, inode->node != NULL);
    }
    if (result == 0 && inode->kept)
        result = delete_kept(op, inode);
    else if (result == 0 && !inode->implied)
        result = delete_record(op, inode);
    if (result == 0 && inode->node)
        result = inode_load_value(op, inode);
    if (result == 0 && inode->node)
        result = spill(op, inode);
    if (result < 0 || !inode->node)
        return result;
    if (inode->attr.xattr_records)
        result = left_xattr_load(op, inode->attr.ino, &xattrs);
    left = inode->attr;
    left.xattr_records = false;
    left.ctime = vfs_now(op->vfs);
    if (result == 0)
        result = add_remains(op, inode->node, &left, inode->record.value);
    if (result == 0)
        op->remains[op->remains_count - 1].remains->xattrs = xattrs;
    else
        left_xattr_free(xattrs);
    return result;
}

/* ---- stat ---- */

void
inode_stat(const struct inode *inode, struct stat *st)
{
    attr_to_stat(&inode->attr, st);
    st->st_ino = view_ino(inode->view, inode->attr.ino);
    if (inode->node && inode->node->unlinked)
        st->st_nlink = inode->node->realm == REALM_STATS; /* it can be looked up */
    if (inode->view->time != 0 && inode->key.size == 0 && inode->node &&
        inode->node->top) {
        st->st_ctim.tv_sec = inode->view->time / 1000000000;
        st->st_ctim.tv_nsec = inode->view->time % 1000000000;
    }
}
