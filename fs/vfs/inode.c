/*
 * inode.c - see inode.h.
 *
 * How a key of the tree reads:
 *
 *   record there      keys below   shows as
 *   none              none         nothing
 *   none              some         an implied directory
 *   a directory's     any          that directory
 *   any other         none         that file; a reference leads on to `inodes`
 *   any other         some         an implied directory; the value is in .lsmfs/keys
 *
 * Only what others wrote can bring the last case about: this daemon looks for it in
 * records without attributes, and in all if the store may have had other writers
 * (vfs->foreign).
 */
#include "vfs/inode.h"

#include <errno.h>
#include <string.h>

#include "store/implied.h"
#include "vfs/deferred.h"
#include "vfs/keysdir.h"

/* ---- reading ---- */

static int
read_held(struct op *op, struct inode *inode)
{
    struct lsmkv_held *held;
    int result = lsmkv_get_held(op->vfs->store->db, inode->keyspace,
                                inode->view->snapshot, inode->key, &held);

    if (result < 0)
        return result;
    lsmkv_held_release(inode->held);
    inode->held = held;
    return 0;
}

/* Returns the presence of inode->key in inode->keyspace. */
int
inode_read(struct op *op, struct inode *inode, enum inode_want want)
{
    struct lsmkv *db = op->vfs->store->db;
    int presence = lsmkv_lookup(db, inode->keyspace, inode->view->snapshot, inode->key,
                                want == INODE_VALUE, inode->space, sizeof(inode->space),
                                &inode->record);

    if (presence == LSMKV_EXACT &&
        (want != INODE_VALUE || inode->record.value.size == 0 ||
         inode->record.value.data))
        return presence;
    if (presence == LSMKV_EXACT || presence == -ERANGE) {
        int result = read_held(op, inode);

        if (result < 0)
            return result == -ENOENT ? LSMKV_ABSENT : result;
        inode->record = *lsmkv_held_record(inode->held);
        return LSMKV_EXACT;
    }
    return presence;
}

int
inode_load_value(struct op *op, struct inode *inode)
{
    int result;

    if (inode->record.value.size == 0 || inode->record.value.data)
        return 0;
    result = read_held(op, inode);
    if (result == 0)
        inode->record.value = lsmkv_held_record(inode->held)->value;
    return result;
}

void
inode_fini(struct inode *inode)
{
    if (inode->held)
        lsmkv_held_release(inode->held);
    inode->held = NULL;
}

/* The first number for `key` that neither a record nor a live node of another name
 * has. */
int
implied_ino(struct op *op, const struct view *view, const struct node *parent,
            struct lsmkv_slice name, struct lsmkv_slice key, uint64_t *ino)
{
    struct vfs *vfs = op->vfs;
    uint64_t number = 0;
    int used = 1;

    for (unsigned i = 0; i < IMPLIED_TRIES && used > 0; i++) {
        number = implied_number(vfs->store, key, i);
        used = nodes_ino_taken(vfs->nodes, view, number, parent, name)
                   ? 1
                   : implied_in_use(vfs->store, view->snapshot, number);
    }
    if (used < 0)
        return used;
    *ino = number;
    return 0;
}

/* Makes it an implied directory: the node's, or the one at `name` of `parent`. */
static int
imply(struct op *op, struct inode *inode, const struct node *parent,
      struct lsmkv_slice name, bool occupied)
{
    uint64_t ino;
    int result = 0;

    if (inode->node)
        ino = inode->node->ino;
    else
        result = implied_ino(op, inode->view, parent, name, inode->key, &ino);
    if (result < 0)
        return result;
    inode->implied = true;
    inode->occupied = occupied;
    attr_init_implied(&inode->attr, &op->vfs->store->defaults, ino, op->vfs->born);
    if (occupied)
        attr_keep_value(&inode->attr, &inode->record);
    else
        inode->record = (struct lsmkv_record){0};
    return 0;
}

int
inode_decode(struct op *op, struct inode *inode)
{
    return attr_decode(&inode->record, &op->vfs->store->defaults, &inode->attr);
}

/* Goes on to the record that the names of a file share. */
int
inode_follow(struct op *op, struct inode *inode, uint64_t ino, enum inode_want want)
{
    int presence;

    if (!op->vfs->store->inodes)
        return -EUCLEAN;
    inode->keyspace = op->vfs->store->inodes;
    inode->inode_key = record_inode(ino);
    inode->key = record_slice(&inode->inode_key);
    presence = inode_read(op, inode, want);
    if (presence < 0)
        return presence;
    if (presence != LSMKV_EXACT)
        return -EUCLEAN;
    presence = inode_decode(op, inode);
    if (presence == 0 && inode->attr.data.kind == ATTR_REFERENCE)
        return -EUCLEAN;
    return presence;
}

/* Can a file's record have keys below it, as far as can be told without looking? */
static bool
may_be_occupied(const struct op *op, const struct inode *inode)
{
    return inode->attr.plain || op->vfs->foreign || inode->key.size == 0;
}

/* Makes sense of the record that was read: of the node's, or of that at `name` of
 * `parent`. */
static int
classify(struct op *op, struct inode *inode, int presence, const struct node *parent,
         struct lsmkv_slice name, enum inode_want want)
{
    int result;

    if (presence == LSMKV_IMPLIED || (presence == LSMKV_ABSENT && inode->key.size == 0))
        return imply(op, inode, parent, name, false);
    if (presence != LSMKV_EXACT)
        return presence < 0 ? presence : -ENOENT;
    result = inode_decode(op, inode);
    if (result < 0 || S_ISDIR(inode->attr.mode))
        return result;
    if (may_be_occupied(op, inode)) {
        result = inode->key.size == 0 ? 1 : op_has_below(op, inode->view, inode->key);
        if (result < 0)
            return result;
        if (result > 0)
            return imply(op, inode, parent, name, true);
    }
    if (inode->attr.data.kind == ATTR_REFERENCE)
        return inode_follow(op, inode, inode->attr.ino, want);
    return 0;
}

void
inode_init(struct inode *inode, struct op *op, struct node *node, const struct view *view,
           struct lsmkv_slice key)
{
    inode->node = node;
    inode->view = view;
    inode->keyspace = op->vfs->store->files;
    inode->key = key;
    inode->implied = inode->occupied = inode->kept = false;
    inode->held = NULL;
}

int
inode_at(struct op *op, const struct node *parent, struct lsmkv_slice name,
         struct lsmkv_slice key, enum inode_want want, struct inode *inode)
{
    int presence;

    inode_init(inode, op, NULL, parent->view, key);
    presence = inode_read(op, inode, want);
    if (presence == LSMKV_ABSENT)
        return -ENOENT;
    return classify(op, inode, presence, parent, name, want);
}

int
inode_from(struct op *op, const struct node *parent, struct lsmkv_slice name,
           struct lsmkv_slice key, const struct lsmkv_record *record,
           const struct attr *attr, bool has_below, struct inode *inode)
{
    int result = 0;

    inode_init(inode, op, NULL, parent->view, key);
    if (!record)
        return imply(op, inode, parent, name, false);
    inode->record = *record;
    if (attr)
        inode->attr = *attr;
    else
        result = inode_decode(op, inode);
    if (result < 0 || S_ISDIR(inode->attr.mode))
        return result;
    if (has_below)
        result = imply(op, inode, parent, name, true);
    else if (inode->attr.data.kind == ATTR_REFERENCE)
        result = inode_follow(op, inode, inode->attr.ino, INODE_ATTRIBUTES);
    return result;
}

static int
from_remains(struct op *op, struct inode *inode)
{
    const struct remains *remains = inode->node->remains;
    int result;

    if (!remains)
        return -ESTALE;
    inode->record = (struct lsmkv_record){
        .attributes = lsmkv_bytes(remains->bytes, remains->attributes_size),
        .value =
            lsmkv_bytes(remains->bytes + remains->attributes_size, remains->value_size),
    };
    result = inode_decode(op, inode);
    if (result < 0)
        return result;
    inode->attr.nlink = 0;
    deferred_apply(op->vfs, inode->node, &inode->attr);
    return 0;
}

int
inode_of_key(struct op *op, struct node *node, struct lsmkv_slice key,
             enum inode_want want, struct inode *inode)
{
    int result;

    inode_init(inode, op, node, node->view, key);
    if (node->unlinked)
        return from_remains(op, inode);
    if (node->shared) {
        result = inode_follow(op, inode, node->ino, want);
    } else {
        result = classify(op, inode, inode_read(op, inode, want), NULL,
                          lsmkv_bytes(NULL, 0), want);
        if (result == 0 && inode->keyspace == op->vfs->store->inodes)
            node->shared = true;
    }
    if (result < 0)
        return result;
    if (inode->attr.ino != node->ino || S_ISDIR(inode->attr.mode) != node->directory)
        return -ESTALE;
    deferred_apply(op->vfs, node, &inode->attr);
    return 0;
}

int
inode_of(struct op *op, unsigned slot, struct node *node, enum inode_want want,
         struct inode *inode)
{
    struct lsmkv_slice key = {NULL, 0};

    inode->held = NULL;
    if (node->realm == REALM_KEYS && !node->unlinked)
        return keysdir_inode(op, slot, node, want, inode);
    if (!node->unlinked && !node->shared) {
        int result = op_key(op, slot, node, &key);

        if (result < 0)
            return result;
    }
    return inode_of_key(op, node, key, want, inode);
}

struct node *
inode_enter(struct op *op, struct node *parent, struct lsmkv_slice name,
            const struct inode *inode, struct node_room *room)
{
    struct node_seed seed = {
        .ino = inode->attr.ino,
        .view = parent->view,
        .realm = REALM_TREE,
        .directory = S_ISDIR(inode->attr.mode),
        .shared = inode->keyspace == op->vfs->store->inodes,
    };

    return nodes_enter(op->vfs->nodes, parent, name, &seed, room);
}
