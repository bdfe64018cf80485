/*
 * skiplist.h - a skip list of internal keys and payloads in an arena; see skiplist.c.
 *
 * One thread at a time adds; any number search and walk meanwhile without locks.  Nodes never
 * change once linked, never move, and hold until skiplist_fini.
 */
#ifndef MEMTABLE_SKIPLIST_H
#define MEMTABLE_SKIPLIST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/coding.h"
#include "base/key.h"
#include "memtable/arena.h"

#define SKIPLIST_HEIGHT_MAX 18u /* 2^18 entries before searches grow, slowly, linear */

struct node;

struct link {
    struct node *_Atomic next;
    _Atomic uint64_t hint; /* what next's key is like; see skiplist.c */
};

struct node {
    uint32_t key_size; /* of the user key */
    uint32_t payload_size;
    uint32_t height;
    struct link links[]; /* `height` of them, then user key, trailer, payload */
};

/* Where a search came down: on each level the last node before the key, how many bytes that
 * node has in common with it, and a hint of the node behind. */
struct path {
    struct node *before[SKIPLIST_HEIGHT_MAX];
    uint32_t shared[SKIPLIST_HEIGHT_MAX];
    uint64_t hint[SKIPLIST_HEIGHT_MAX];
};

struct skiplist {
    enum lsmkv_order order;
    struct arena arena;
    struct node *head;   /* before all keys; of full height, without a key */
    atomic_uint height;  /* levels in use, at least 1 */
    struct node *newest; /* the writer's: the node linked last, or head */
    struct path path;    /* the writer's: to just behind `newest` */
    uint64_t random;     /* the writer's */
};

/* -ENOMEM. */
int LSMKV_CHECKED skiplist_init(struct skiplist *list, struct lsmkv_env *env,
                                enum lsmkv_order order);
/* Nobody may be reading it any more. */
void skiplist_fini(struct skiplist *list);

/* Copies the key into a node that readers do not see yet.  The caller fills the payload, then
 * links it before making another.  NULL: no memory. */
struct node *skiplist_new_node(struct skiplist *list, struct lsmkv_slice user_key,
                               uint64_t trailer, size_t payload_size);
/* The key must not be in the list. */
void skiplist_link(struct skiplist *list, struct node *node);
/* Room for `count` nodes with `bytes` of keys and payloads in all.  -ENOMEM. */
int LSMKV_CHECKED skiplist_reserve(struct skiplist *list, size_t bytes, size_t count);

/* The first node at or after the key; sets the last one before it.  NULL: none.  The two were
 * neighbours when they were read: what is linked between them meanwhile is neither. */
const struct node *skiplist_find(const struct skiplist *list, struct lsmkv_slice user_key,
                                 uint64_t trailer, const struct node **before);
const struct node *skiplist_last(const struct skiplist *list);

static inline struct node *
node_next(const struct node *node, unsigned level)
{
    return atomic_load_explicit(&node->links[level].next, memory_order_acquire);
}

static inline const struct node *
skiplist_first(const struct skiplist *list)
{
    return node_next(list->head, 0);
}

/* The bytes of a node before its key. */
static inline size_t
node_head_size(unsigned height)
{
    return sizeof(struct node) + height * sizeof(struct link);
}

static inline const uint8_t *
node_key(const struct node *node)
{
    return (const uint8_t *)node + node_head_size(node->height);
}

static inline struct lsmkv_slice
node_user_key(const struct node *node)
{
    return lsmkv_bytes(node_key(node), node->key_size);
}

static inline struct lsmkv_slice
node_internal_key(const struct node *node)
{
    return lsmkv_bytes(node_key(node), node->key_size + KEY_TRAILER_SIZE);
}

static inline uint64_t
node_trailer(const struct node *node)
{
    return get_u64(node_key(node) + node->key_size);
}

static inline struct lsmkv_slice
node_payload(const struct node *node)
{
    return lsmkv_bytes(node_key(node) + node->key_size + KEY_TRAILER_SIZE,
                       node->payload_size);
}

/* For the writer, before the node is linked. */
static inline uint8_t *
node_payload_room(struct node *node)
{
    return (uint8_t *)node + node_head_size(node->height) + node->key_size +
           KEY_TRAILER_SIZE;
}

#endif
