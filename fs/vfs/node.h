/*
 * node.h - the inodes that somebody holds: those the kernel has looked up, and for the length
 * of an operation those that it touches.
 *
 * A node knows its number and, as *links*, the names it was reached by: (parent, name).  Its
 * path is built by walking parents, so renaming a directory relinks one node however many are
 * below it.  A link pins its parent, so the walk always ends at a root.
 *
 * N1  A (parent, name) has at most one link, and so one node.
 * N2  Several names of one file (a shared inode) have one node in a view.
 * N3  A node is freed when its last reference goes; until then its address is its identity:
 *     the kernel's node id is that address, with a generation never used twice.
 *
 * Threads.  The table has one mutex of its own, a leaf: nothing else is acquired under it.  It
 * guards links, references and the tables.  What else a node carries is guarded as said there.
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lsmkv.h"

struct nodes;
struct link;
struct remains;

/* What a node's name means. */
enum realm {
    REALM_TREE,      /* a path: its key is the names from the root of its view down */
    REALM_SNAPSHOTS, /* the directory .snapshots */
    REALM_PRIVATE,   /* the directory .lsmfs */
    REALM_KEYS,      /* .lsmfs/keys and all below it: coded keys */
    REALM_STATS,     /* the files .lsmfs/stats*: without names, each made for a lookup */
};

/* A state of the store that a tree shows.  Belongs to the root node of that tree. */
struct view {
    struct lsmkv_snapshot *snapshot; /* NULL: the live one */
    uint64_t id;                     /* of the snapshot; 0: live */
    int64_t
        time; /* nanoseconds since 1970: what the root shows as its ctime; 0: its own */
    uint64_t permutation; /* of inode numbers; 0: those of the live tree */
};

struct node {
    /* Constant, but for node_lose. */
    uint64_t ino; /* as the record has it; a view may show it permuted */
    /* Constant. */
    uint64_t generation;
    const struct view *view;
    enum realm realm;
    bool directory;
    bool top; /* paths begin at it: the root of a view, .lsmfs/keys */

    /* Guarded by the table. */
    struct link *links;
    struct node *next_ino; /* in its hash chain */
    struct node *older, *newer;
    uint64_t refs;

    _Atomic uint64_t opens; /* of files: descriptions that the kernel has open */
    _Atomic uint64_t
        mappable; /* those of them that may be mapped to be written through */
    /* Of files: the kernel may have pages that were read, as far as node_asked_for tells. */
    _Atomic bool was_read;
    /* Of directories: an open one is served from the listing that the kernel keeps. */
    _Atomic bool listed;
    _Atomic bool moved; /* of directories: what `..` is has changed since an opendir */
    _Atomic bool
        mixed; /* `listed`, by who began before the tree went back to a snapshot */

    /* Guarded by the node's lock (vfs.h), exclusively to change them. */
    _Atomic bool shared; /* its record is in `inodes`; never unset */
    _Atomic bool
        unlinked; /* it has no name; unset only if it never had one, and gets it */
    struct remains *remains; /* what it is made of then, see inode.h */

    /* Times newer than the record's, guarded by the mutex of deferred times. */
    _Atomic unsigned deferred; /* which ones */
    struct timespec changed, accessed;
    struct timespec
        modified; /* of files, and `changed`: as the kernel told them last, if `told` */
    bool told;    /* guarded by the node's lock */
    struct node *next_deferred;
};

/* What is known of an inode when its node is made. */
struct node_seed {
    uint64_t ino;
    const struct view *view;
    enum realm realm;
    bool directory;
    bool top;
    bool shared;
};

/* The kernel asks for it by name.  So it had let go of the name, and hardly has pages of a file
 * that is not open; it tells us that it forgot the file later than it asks anew. */
static inline void
node_asked_for(struct node *node)
{
    if (node->opens == 0)
        node->was_read = false;
}

/* `dispose` is called once for every node that goes, outside the table's mutex, before its
 * memory is freed.  NULL: out of memory. */
struct nodes *nodes_new(void (*dispose)(void *context, struct node *node), void *context);
/* Disposes of all nodes that are left. */
void nodes_free(struct nodes *nodes);
size_t nodes_count(const struct nodes *nodes);
/* How many went so far. */
uint64_t nodes_gone(const struct nodes *nodes);

/* A node without a name, with one reference: a root, or a file that is to have none.  NULL: out
 * of memory. */
struct node *nodes_add(struct nodes *nodes, const struct node_seed *seed);

/* The node at a name, with one more reference; NULL if nobody holds one. */
struct node *nodes_find(struct nodes *nodes, const struct node *parent,
                        struct lsmkv_slice name);
/* The node of a number in a view, with one more reference; NULL. */
struct node *nodes_find_ino(struct nodes *nodes, const struct view *view, uint64_t ino);
/* Does a live node other than the one at (`parent`, `name`) have this number? */
bool nodes_ino_taken(struct nodes *nodes, const struct view *view, uint64_t ino,
                     const struct node *parent, struct lsmkv_slice name);

/* Memory set aside before a change is published, for what must not fail behind it: entering a
 * node at `name`, or giving what is at `name` the new name, and the other way round.  Given back by
 * node_room_free whether or not it was used; zeros hold none. */
struct node_room {
    struct node *node;
    struct link *link, *old_link;
};
LSMKV_CHECKED int node_room_for_entry(struct node_room *room, struct lsmkv_slice name);
LSMKV_CHECKED int node_room_for_rename(struct node_room *room, struct lsmkv_slice name,
                                       struct lsmkv_slice new_name);
void node_room_free(struct node_room *room);

/* The node at (`parent`, `name`), which is now `seed`'s inode: found, found by its number and
 * given this name too, or made.  A node there with another number loses the name.  With one
 * more reference; NULL: out of memory, and there was no `room` (which may be NULL). */
struct node *nodes_enter(struct nodes *nodes, struct node *parent,
                         struct lsmkv_slice name, const struct node_seed *seed,
                         struct node_room *room);

void node_ref(struct nodes *nodes, struct node *node);

/* Gives a node without a name one that no node has.  -ENOMEM: nothing changed. */
LSMKV_CHECKED int node_name(struct nodes *nodes, struct node *node, struct node *parent,
                            struct lsmkv_slice name);
void node_unref(struct nodes *nodes, struct node *node, uint64_t count);

/* Takes the name away from whatever node has it, if any. */
void node_unlink(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name);
/* Gives the node at the old name, if there is one, the new name instead, which no node has
 * any more. */
void node_rename(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name,
                 struct node *new_parent, struct lsmkv_slice new_name,
                 struct node_room *room);
/* Exchanges the nodes at two names; the room is for renaming a to b. */
void node_exchange(struct nodes *nodes, struct node *parent_a, struct lsmkv_slice name_a,
                   struct node *parent_b, struct lsmkv_slice name_b,
                   struct node_room *room);

/* The path to `node` from the `top` above it: at the end of `buffer`, which holds
 * LSMKV_KEY_MAX bytes.  -ENOENT: it or an ancestor has been removed; -ENAMETOOLONG. */
LSMKV_CHECKED int node_path(struct nodes *nodes, const struct node *node, void *buffer,
                            struct lsmkv_slice *path);
/* The parent of a directory with one more reference; NULL: a root, or removed. */
struct node *node_parent(struct nodes *nodes, const struct node *node);
/* Is `ancestor` the node itself or above it? */
bool node_is_below(struct nodes *nodes, const struct node *node,
                   const struct node *ancestor);

/* A node, and what was so when all were gathered. */
struct node_known {
    struct node *node; /* with a reference */
    unsigned depth;    /* names above it */
    bool open;
};
/* All nodes of a view in its tree and below .lsmfs/keys, parents first; free(*all).  -ENOMEM. */
LSMKV_CHECKED int nodes_all(struct nodes *nodes, const struct view *view,
                            struct node_known **all, size_t *count);
/* The inode that it was is no more: it loses its names, which go to the front of `*lost`, and its
 * number, for one that no inode has.  No operation runs. */
void node_lose(struct nodes *nodes, struct node *node, uint64_t ino, struct link **lost);
/* Takes a name off the list, copied with a NUL, and the reference on its parent.  False: none is left. */
bool nodes_next_lost(struct link **lost, struct node **parent, char name[256]);

/* Takes up to `max` of the files that were not asked for lately, have a name and are not open:
 * the caller asks the kernel to forget them.  Not directories: the kernel takes their names
 * away even from those who stand in them, and mounts on them.  Each has a reference on the parent; the name is copied with
 * a NUL. */
struct node_victim {
    struct node *node; /* without a reference: a number */
    struct node *parent;
    char name[256];
};
size_t nodes_pick(struct nodes *nodes, struct node_victim *victims, size_t max);

#endif
