/*
 * node_table.h - the tables that nodes are found in, for node.c alone.
 *
 * Two hash tables: links by (parent, name), nodes by (view, number).  Both are chained through
 * the objects themselves and double when they hold more than they have buckets.  All nodes
 * stand in a list by when they were last asked for, from which nodes_pick takes.
 *
 * Threads: with the mutex held, but table_dispose and the reserving of memory.
 */
#ifndef FS_NODE_TABLE_H
#define FS_NODE_TABLE_H

#include <pthread.h>

#include "vfs/node.h"

/* One name of one node. */
struct link {
    struct node *node;
    struct node *parent; /* holds a reference on it */
    struct link *next;   /* of the same node */
    struct link *next_name;
    uint64_t hash;
    size_t size;
    char name[];
};

/* Blocks of memory of one size for those to come: when the kernel lets go of many files, or lists
 * as many, the heap takes longer to put holes together and cut them again than all else that is
 * done with a node. */
struct spares {
    void *first; /* each begins with the next one's address */
    size_t count;
};

struct nodes {
    pthread_mutex_t mutex;
    /* Constant. */
    uint64_t seed;
    void (*dispose)(void *context, struct node *node);
    void *context;
    /* Guarded by the mutex. */
    struct link **names;
    struct node **inos;
    size_t names_buckets, inos_buckets; /* powers of two */
    size_t names_count;
    _Atomic size_t count;
    _Atomic uint64_t gone;
    uint64_t generation;
    struct spares spare_nodes, spare_links;
    struct node ends; /* of the list: ends.newer is the oldest, ends.older the newest */
};

struct link *table_find_link(struct nodes *nodes, const struct node *parent,
                             struct lsmkv_slice name);
struct node *table_find_ino(struct nodes *nodes, const struct view *view, uint64_t ino);

void table_list_remove(struct node *node);
void table_list_add(struct nodes *nodes, struct node *node);
/* The node with one more reference, as the one asked for last. */
struct node *table_touch(struct nodes *nodes, struct node *node);

/* For a name of that size, without the mutex; NULL. */
struct link *table_reserve_link(size_t size);
/* Takes the one set aside, which is for a name of this size, or makes one; NULL: out of memory. */
struct link *table_make_link(struct nodes *nodes, struct link **reserved,
                             struct node *parent, struct lsmkv_slice name);
void table_add_link(struct nodes *nodes, struct node *node, struct link *link);
/* Takes `link` out of everything. */
void table_unhook_link(struct nodes *nodes, struct link *link);
/* The same, and frees it; the parent's reference is the caller's. */
struct node *table_take_link(struct nodes *nodes, struct link *link);

/* As table_make_link. */
struct node *table_make_node(struct nodes *nodes, const struct node_seed *seed,
                             struct node **reserved);
/* Under its number. */
void table_add_ino(struct nodes *nodes, struct node *node);
void table_take_ino(struct nodes *nodes, struct node *node);
/* Drops references.  Nodes that have none left are taken out and chained to `*gone` through
 * next_ino; their parents may follow them. */
void table_drop(struct nodes *nodes, struct node *node, uint64_t count,
                struct node **gone);
/* Without the mutex: frees what was chained so. */
void table_dispose(struct nodes *nodes, struct node *gone);
/* Frees what is kept for nodes and links to come. */
void table_free_spares(struct nodes *nodes);

#endif
