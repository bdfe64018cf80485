/*
 * inode.h - reading what a node or a name is made of, and putting it back changed.
 *
 * An inode's record stands at its path, or, once it has several names, in `inodes`; that
 * of an implied directory does not exist; that of a removed file is in its node's memory.
 * Here these are one: read it, change `attr`, put it.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lsmkv.h"
#include "store/attr.h"
#include "store/data.h"
#include "store/records.h"
#include "vfs/node.h"
#include "vfs/op.h"

/* A file of up to the inline limit fits, with its attributes. */
#define INODE_SPACE (DATA_INLINE_MAX + ATTR_BUFFER)

struct inode {
    struct node *node; /* NULL: read by name */
    const struct view *view;
    struct lsmkv_keyspace *keyspace; /* of its record */
    struct lsmkv_slice key;          /* in the operation's key buffers, or in inode_key */
    struct record_key inode_key;
    bool implied;  /* a directory without a record */
    bool occupied; /* implied, and its key holds a value: `record` is that */
    bool kept;     /* a value that the record of a directory keeps: that is `directory` */
    struct attr attr;
    struct attr directory;
    struct lsmkv_record record; /* the value has data if it was asked for */
    struct lsmkv_held *held;
    uint8_t space[INODE_SPACE];
};

enum inode_want { INODE_ATTRIBUTES, INODE_VALUE };

/* What the name `name` of `parent`, whose keys op_child_key built, is.  -ENOENT.
 * Whatever it returns, inode_fini ends the use; until then nothing may reuse the keys. */
LSMKV_CHECKED int inode_at(struct op *op, const struct node *parent,
                           struct lsmkv_slice name, struct lsmkv_slice key,
                           enum inode_want want, struct inode *inode);
/* What a node is; its key is built in keys[slot].  The node's lock is held.  -ENOENT: its
 * name or an ancestor is gone; -ESTALE: something else has its name. */
LSMKV_CHECKED int inode_of(struct op *op, unsigned slot, struct node *node,
                           enum inode_want want, struct inode *inode);
/* As inode_of with the key already built. */
LSMKV_CHECKED int inode_of_key(struct op *op, struct node *node, struct lsmkv_slice key,
                               enum inode_want want, struct inode *inode);
/* What a record is that an iterator is at; `attr` is what it decodes to, or NULL.  `held` and
 * `space` are not used, but by hard links and by a value that has keys below it
 * (`has_below`). */
LSMKV_CHECKED int inode_from(struct op *op, const struct node *parent,
                             struct lsmkv_slice name, struct lsmkv_slice key,
                             const struct lsmkv_record *record, const struct attr *attr,
                             bool has_below, struct inode *inode);
void inode_fini(struct inode *inode);

/* The steps of those: `inode` for nothing yet; the presence of its key; its record made
 * sense of; on to the record that a reference to `ino` names. */
void inode_init(struct inode *inode, struct op *op, struct node *node,
                const struct view *view, struct lsmkv_slice key);
LSMKV_CHECKED int inode_read(struct op *op, struct inode *inode, enum inode_want want);
LSMKV_CHECKED int inode_decode(struct op *op, struct inode *inode);
LSMKV_CHECKED int inode_follow(struct op *op, struct inode *inode, uint64_t ino,
                               enum inode_want want);

/* Makes the value present in `record`, if it was not asked for. */
LSMKV_CHECKED int inode_load_value(struct op *op, struct inode *inode);

/* The node of what was read by name, made if need be, with one more reference. */
struct node *inode_enter(struct op *op, struct node *parent, struct lsmkv_slice name,
                         const struct inode *inode, struct node_room *room);

/* Puts the record with `attr` as it is now, the value unchanged, into the batch; for a
 * removed file, into its node.  An implied directory gets its record, keeping the value
 * of its key. */
LSMKV_CHECKED int inode_put(struct op *op, struct inode *inode);
/* Likewise with the contents of `edit`. */
LSMKV_CHECKED int inode_put_contents(struct op *op, struct inode *inode,
                                     struct data_edit *edit);
/* The same record at another key, as it is now. */
LSMKV_CHECKED int inode_put_at(struct op *op, struct inode *inode,
                               struct lsmkv_keyspace *keyspace, struct lsmkv_slice key);
/* A reference to `inode`'s record in `inodes`, at a path. */
LSMKV_CHECKED int inode_put_reference(struct op *op, const struct inode *inode,
                                      struct lsmkv_slice key);

/* Begins an edit of the contents: the value must be loaded. */
void inode_edit(struct op *op, struct inode *inode, struct data_buffer *buffer,
                struct data_edit *edit);

/* ---- removed ones ---- */

/* What is left of a file or directory without a name: guarded by its node's lock. */
struct remains {
    bool linkable; /* it never had a name, and may get one; when it is replaced that
                   * stays */
    uint64_t
        data_id; /* of its chunks, which the sweep spares until the node goes; 0: none */
    struct left_xattr *xattrs; /* the long ones; when it is replaced they stay */
    size_t attributes_size;
    size_t value_size;
    uint8_t bytes[]; /* attributes, value */
};

/* Above so many bytes in all nodes, contents go to the store. */
#define REMAINS_LIMIT (32u << 20)

/* Gives the node these instead of those it has; NULL: none. */
void remains_set(struct vfs *vfs, struct node *node, struct remains *remains);
/* Of those that no node has got. */
void remains_free(struct remains *remains);

/* Builds into the batch what follows from the inode losing its last name: the record at
 * its key, long extended attributes and chunks go, the chunks once the node has.
 * Publishing leaves the remains with the node. */
LSMKV_CHECKED int inode_remove(struct op *op, struct inode *inode);

/* ---- stat ---- */

void inode_stat(const struct inode *inode, struct stat *st);

/* The number of an implied directory (implied.h): one that a live node of another name
 * has is skipped, too. */
LSMKV_CHECKED int implied_ino(struct op *op, const struct view *view,
                              const struct node *parent, struct lsmkv_slice name,
                              struct lsmkv_slice key, uint64_t *ino);

#endif
