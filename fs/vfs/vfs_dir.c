/*
 * vfs_dir.c - listing a directory.
 *
 * One pass of an iterator a reply, made and freed within it: so attributes are those of
 * the moment, and nothing is held between replies.  It jumps over each subdirectory's
 * tree.  What a cookie means is kept in listing.h; those below LISTING_FIRST are
 *
 *     1  behind "."    2  behind ".."    3  behind ".snapshots", before all other entries
 *     4096  the end: where lseek(SEEK_END) goes, to a directory's size
 *
 * Most listings take no longer than it takes to hand over the requests behind them, so that
 * is done within one that turns out to be long, and at once while they do.
 */
#include <errno.h>
#include <string.h>

#include "vfs/deferred.h"
#include "vfs/dir.h"
#include "vfs/inode.h"
#include "vfs/keysdir.h"
#include "vfs/listing.h"
#include "vfs/notify.h"
#include "vfs/op.h"
#include "vfs/requests.h"
#include "vfs/snapdir.h"
#include "vfs/statsfile.h"
#include "vfs/vfs.h"

#define LONG       250000u /* nanoseconds */
#define LONG_NAMES 4u      /* between two looks at the clock */

enum { COOKIE_SELF = 1, COOKIE_PARENT = 2, COOKIE_BEGIN = 3, COOKIE_END = 4096 };

struct walk {
    struct op *op;
    struct node *node;
    bool plus;
    bool (*add)(void *context, const struct vfs_listed *listed);
    void *context;
    struct lsmkv_slice key; /* of the directory */
    size_t prefix;          /* bytes of a child's key before its name */
    unsigned skip;          /* entries to leave out */
    struct lsmkv_iter *iter;
    struct listing_span *span;
    char name[KEY_NAME_MAX + 1];
    size_t name_size;
    struct attr attr; /* of the record at the iterator */
    bool full;        /* the reply is */
    uint64_t began;   /* when */
    unsigned names;   /* come to so far */
};

/* ---- entries without a record ---- */

/* Hands over an entry of which number and type are enough. */
static bool
add_typed(struct walk *walk, const char *name, uint64_t ino, mode_t mode, uint64_t cookie)
{
    struct vfs_listed listed = {.name = name, .cookie = cookie, .lasting = true};

    listed.st.st_ino = ino;
    listed.st.st_mode = mode;
    return walk->add(walk->context, &listed);
}

static bool
add_fixed(struct walk *walk, const char *name, uint64_t ino, uint64_t cookie)
{
    return add_typed(walk, name, ino, S_IFDIR | 0755, cookie);
}

static uint64_t
parent_ino(struct vfs *vfs, const struct node *node)
{
    struct node *parent = node_parent(vfs->nodes, node);
    uint64_t ino;

    if (!parent)
        return view_ino(node->view, node->ino);
    ino = parent->realm == REALM_TREE ? view_ino(parent->view, parent->ino) : parent->ino;
    node_unref(vfs->nodes, parent, 1);
    return ino;
}

/* False: the reply is full. */
static bool
add_dots(struct walk *walk, uint64_t cookie, uint64_t ino)
{
    struct vfs *vfs = walk->op->vfs;

    if (cookie < COOKIE_SELF && !add_fixed(walk, ".", ino, COOKIE_SELF))
        return false;
    if (cookie < COOKIE_PARENT &&
        !add_fixed(walk, "..", parent_ino(vfs, walk->node), COOKIE_PARENT))
        return false;
    if (cookie < COOKIE_BEGIN && vfs->show_snapshots && walk->node == vfs->root &&
        !add_fixed(walk, KEY_SNAPSHOTS, SNAPDIR_INO, COOKIE_BEGIN))
        return false;
    return true;
}

/* ---- the tree ---- */

static bool
add_listed(struct walk *walk, struct inode *inode)
{
    struct vfs_listed listed = {.name = walk->name, .lasting = true};
    struct lsmkv_slice name = {walk->name, walk->name_size};
    struct vfs *vfs = walk->op->vfs;
    bool added;

    if (walk->plus) {
        listed.node = inode_enter(walk->op, walk->node, name, inode, NULL);
        if (listed.node) {
            node_asked_for(listed.node);
            inode->node = listed.node;
            deferred_apply(vfs, listed.node, &inode->attr);
        }
    }
    inode_stat(inode, &listed.st);
    listed.cookie = listing_next_cookie(walk->span);
    added = walk->add(walk->context, &listed);
    if (!added && listed.node)
        node_unref(vfs->nodes, listed.node, 1);
    return added;
}

/* The type and number of a reference are its own: without attributes there is no need to
 * go where it leads. */
static int
read_entry(struct walk *walk, struct lsmkv_slice key, const struct lsmkv_record *record,
           const struct attr *attr, bool has_below, struct inode *inode)
{
    struct lsmkv_slice name = {walk->name, walk->name_size};

    if (record && !walk->plus && !has_below) {
        inode_init(inode, walk->op, NULL, walk->node->view, key);
        inode->record = *record;
        return inode_decode(walk->op, inode);
    }
    return inode_from(walk->op, walk->node, name, key, record, attr, has_below, inode);
}

/* `attr` is the record's; NULL: it is to be decoded. */
static int
handle_entry(struct walk *walk, struct lsmkv_slice key, const struct lsmkv_record *record,
             const struct attr *attr, bool has_below)
{
    struct lsmkv_slice name = {walk->name, walk->name_size};
    struct inode inode;
    int result;

    if (walk->skip > 0) {
        walk->skip--;
        return 0;
    }
    result = read_entry(walk, key, record, attr, has_below, &inode);
    if (result == 0 && !add_listed(walk, &inode))
        walk->full = true;
    else if (result == 0)
        result = listing_add(walk->span, name);
    else if (result == -EUCLEAN || result == -EBADMSG)
        vfs_log(walk->op->vfs, LSMKV_LOG_ERROR, "'%.*s' is damaged and not listed",
                (int)(key.size < 200 ? key.size : 200), (const char *)key.data);
    inode_fini(&inode);
    /* A damaged entry must not hide the others. */
    return result == -EUCLEAN ? 0 : result;
}

/* A file's record that may have keys below it: is the next key one?  The record is
 * copied, for the iterator moves. */
static int
handle_doubtful(struct walk *walk, struct lsmkv_slice key)
{
    struct op *op = walk->op;
    struct lsmkv_record record = *lsmkv_iter_record(walk->iter);
    bool has_below;
    int result;

    memcpy(op->attributes, record.attributes.data ? record.attributes.data : "",
           record.attributes.size);
    record.attributes.data = op->attributes;
    record.value.data = NULL;
    lsmkv_iter_next(walk->iter);
    has_below =
        lsmkv_iter_valid(walk->iter) && key_is_below(lsmkv_iter_key(walk->iter), key);
    result = handle_entry(walk, key, &record, NULL, has_below);
    if (has_below)
        lsmkv_iter_skip_tree(walk->iter, key);
    return result;
}

/* Is the record at the iterator a directory's, or may it have keys below it? */
static int
classify(struct walk *walk, bool *directory, bool *doubtful)
{
    const struct lsmkv_record *record = lsmkv_iter_record(walk->iter);
    const struct attr *attr = &walk->attr;
    int result = attr_decode(record, &walk->op->vfs->store->defaults, &walk->attr);

    *directory = result == 0 && S_ISDIR(attr->mode);
    *doubtful = result == 0 && !*directory && (attr->plain || walk->op->vfs->foreign);
    return result;
}

/* The entry that the key at the iterator is, or is below; then on to the next entry. */
static int
handle_key(struct walk *walk)
{
    struct lsmkv_slice at = lsmkv_iter_key(walk->iter), key;
    const uint8_t *bytes = at.data, *slash;
    struct lsmkv_slice name;
    bool exact, decoded = false, directory = true, doubtful = false;
    int result;

    slash = memchr(bytes + walk->prefix, '/', at.size - walk->prefix);
    key.size = slash ? (size_t)(slash - bytes) : at.size;
    key.data = memcpy(walk->op->keys[1].bytes, bytes, key.size);
    name = lsmkv_bytes((const uint8_t *)key.data + walk->prefix, key.size - walk->prefix);
    exact = !slash;
    if (!key_is_name(name) || dir_is_reserved(walk->node, name)) {
        lsmkv_iter_skip_tree(walk->iter, key);
        return 0;
    }
    memcpy(walk->name, name.data, name.size);
    walk->name[name.size] = '\0';
    walk->name_size = name.size;
    if (exact)
        decoded = classify(walk, &directory, &doubtful) == 0; /* handle_entry says why */
    if (doubtful)
        return handle_doubtful(walk, key);
    result = handle_entry(walk, key, exact ? lsmkv_iter_record(walk->iter) : NULL,
                          decoded ? &walk->attr : NULL, false);
    if (exact && !directory)
        lsmkv_iter_next(walk->iter);
    else
        lsmkv_iter_skip_tree(walk->iter, key);
    return result;
}

/* Places the iterator on the first key behind the cookie's name. */
static int
seek(struct walk *walk, uint64_t cookie)
{
    uint8_t *at = walk->op->keys[1].bytes;
    int size;

    if (cookie < LISTING_FIRST) {
        lsmkv_iter_first(walk->iter);
        if (walk->key.size == 0 && lsmkv_iter_valid(walk->iter) &&
            lsmkv_iter_key(walk->iter).size == 0)
            lsmkv_iter_next(walk->iter); /* the root's own record */
        return 0;
    }
    memcpy(at, walk->key.data, walk->key.size);
    at += walk->key.size;
    if (walk->key.size > 0)
        *at++ = '/';
    size = listing_name(walk->op->vfs->listing, walk->node->ino, cookie, (char *)at,
                        &walk->skip);
    if (size < 0)
        return size;
    /* The first key that is neither the name nor below it. */
    at[size] = '\0';
    lsmkv_iter_seek(walk->iter, lsmkv_bytes(walk->op->keys[1].bytes,
                                            walk->prefix + (size_t)size + 1));
    return 0;
}

static bool
is_long(const struct walk *walk)
{
    return requests_now() - walk->began > LONG;
}

static int
walk_tree(struct walk *walk, uint64_t cookie)
{
    int result = seek(walk, cookie);

    while (result == 0 && !walk->full && lsmkv_iter_valid(walk->iter) &&
           !listing_is_full(walk->span)) {
        if (walk->names++ % LONG_NAMES == 0 && is_long(walk))
            op_step_aside(walk->op->vfs);
        result = handle_key(walk);
    }
    return result == 0 ? lsmkv_iter_status(walk->iter) : result;
}

/* An iterator over the keys below the directory. */
static int
open_iter(struct walk *walk)
{
    struct op *op = walk->op;
    struct store *store = op->vfs->store;
    struct lsmkv_iter_options options = {.snapshot = walk->node->view->snapshot,
                                         .lazy_values = true};
    uint8_t *upper = op->keys[1].bytes;
    size_t size = walk->key.size;

    if (size > 0) {
        memcpy(op->attributes, walk->key.data, size);
        op->attributes[size] = '/';
        memcpy(upper, walk->key.data, size);
        upper[size] = '\0';
        options.lower = lsmkv_bytes(op->attributes, size + 1);
        options.upper = lsmkv_bytes(upper, size + 1);
    }
    walk->prefix = size > 0 ? size + 1 : 0;
    return lsmkv_iter_new(store->db, store->files, &options, &walk->iter);
}

/* Once a listing, when it begins. */
static void
note_access(struct walk *walk)
{
    struct inode inode;

    if (walk->op->vfs->atime == VFS_NOATIME)
        return;
    if (inode_of_key(walk->op, walk->node, walk->key, INODE_ATTRIBUTES, &inode) == 0 &&
        !inode.implied)
        deferred_access(walk->op->vfs, walk->node, &inode.attr);
    inode_fini(&inode);
}

static int
list_tree(struct walk *walk, uint64_t cookie)
{
    struct vfs *vfs = walk->op->vfs;
    int result = op_key(walk->op, 0, walk->node, &walk->key);

    if (result < 0)
        return result == -ENOENT ? 0 : result; /* removed: nothing in it */
    if (!add_dots(walk, cookie, view_ino(walk->node->view, walk->node->ino)))
        return 0;
    if (walk->key.size == LSMKV_KEY_MAX)
        return 0;
    result = open_iter(walk);
    if (result < 0)
        return result;
    if (cookie == 0)
        note_access(walk);
    walk->span = listing_begin(vfs->listing, walk->node->ino);
    result = walk->span ? walk_tree(walk, cookie) : -ENOMEM;
    listing_end(vfs->listing, walk->span);
    lsmkv_iter_free(walk->iter);
    return result;
}

/* ---- the directories that are in no tree ---- */

static void
list_virtual(struct walk *walk, uint64_t cookie)
{
    if (!add_dots(walk, cookie, walk->node->ino) || walk->node->realm != REALM_PRIVATE)
        return;
    if (cookie < COOKIE_BEGIN && !add_fixed(walk, "keys", KEYSDIR_KEYS_INO, COOKIE_BEGIN))
        return;
    if (walk->node->view != &walk->op->vfs->live)
        return;
    for (enum stats_form form = 0; form < STATS_FORMS; form++) {
        uint64_t at = COOKIE_BEGIN + 1 + form;

        if (cookie < at && !add_typed(walk, stats_file_name(form), STATSFILE_INO(form),
                                      S_IFREG | 0400, at))
            return;
    }
}

int
vfs_readdir(struct vfs *vfs, struct node *node, uint64_t cookie, bool plus,
            bool (*add)(void *context, const struct vfs_listed *listed), void *context)
{
    struct walk walk = {
        .node = node, .add = add, .context = context, .began = requests_now()};
    int result = 0;

    if (cookie == COOKIE_END)
        return 0;
    walk.plus = plus && !notices_crowded(vfs->notices);
    if (!node->directory)
        return -ENOTDIR;
    if (vfs->long_listings || node->realm == REALM_SNAPSHOTS)
        op_step_aside(vfs);
    if (node->realm == REALM_SNAPSHOTS)
        return snapdir_readdir(vfs, cookie, add, context);
    walk.op = op_begin(vfs);
    if (!walk.op)
        return -ENOMEM;
    op_lock_node(walk.op, node, false);
    if (node->realm != REALM_TREE)
        list_virtual(&walk, cookie);
    else
        result = list_tree(&walk, cookie);
    if (plus)
        notices_count(vfs->notices);
    op_end(walk.op);
    vfs->long_listings = is_long(&walk);
    return result;
}
