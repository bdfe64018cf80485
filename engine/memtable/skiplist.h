/*
 * skiplist.h - a skip list of internal keys and payloads in an arena; see skiplist.c.
 *
 * One thread at a time adds; any number search and walk meanwhile without locks.  Entries
 * never change once linked, never move, and hold until skiplist_fini.
 */
#ifndef MEMTABLE_SKIPLIST_H
#define MEMTABLE_SKIPLIST_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/coding.h"
#include "base/key.h"
#include "memtable/arena.h"

#define SKIPLIST_LEVELS_MAX 12u

/* An entry. */
struct node {
    uint32_t key_size; /* of the user key */
    uint32_t payload_size;
    uint8_t bytes[]; /* user key, trailer, payload */
};

struct block;

/* Where a search came down on one level: the last slot before the key. */
struct spot {
    struct block *block;
    unsigned slot;
    uint32_t version; /* of the block, when it was searched */
    uint32_t
        shared; /* bytes that the key has in common with the slot's entry; see hint.h */
};

struct skiplist {
    enum lsmkv_order order;
    struct arena arena;
    struct block *_Atomic top; /* the first block of the highest level */

    /* The writer's alone. */
    struct node *newest; /* linked last; NULL: the path is not its own */
    struct spot path[SKIPLIST_LEVELS_MAX]; /* to `newest` */
    unsigned run;    /* entries added since the last cut, each next to the one before */
    size_t bottom;   /* blocks on level 0 */
    size_t promised; /* entries reserved and not yet added */
    size_t blocks;   /* that the arena has room for, if promised > 0 */
};

/* -ENOMEM. */
int LSMKV_CHECKED skiplist_init(struct skiplist *list, struct block_pool *pool,
                                enum lsmkv_order order);
/* Nobody may be reading it any more. */
void skiplist_fini(struct skiplist *list);

/* Copies the key into a node that readers do not see yet.  The caller fills the payload,
 * then links it before making another.  NULL: no memory. */
struct node *skiplist_new_node(struct skiplist *list, struct lsmkv_slice user_key,
                               uint64_t trailer, size_t payload_size);
/* The key must not be in the list.  -ENOMEM leaves the list as it was; after a
 * reservation it cannot fail. */
int LSMKV_CHECKED skiplist_link(struct skiplist *list, struct node *node);
/* Room for `count` nodes with `bytes` of keys and payloads in all.  -ENOMEM. */
int LSMKV_CHECKED skiplist_reserve(struct skiplist *list, size_t bytes, size_t count);

/* An entry that a reader stands on. */
struct place {
    const struct node *node; /* NULL: none */
    const struct block *block;
    unsigned slot;
    uint32_t version; /* of the block, before the slot was read */
};

/* The first entry at or after the key; sets the last node before it, NULL if there is
 * none.  The two were neighbours when they were read: what is linked between them
 * meanwhile is neither. */
struct place skiplist_find(const struct skiplist *list, struct lsmkv_slice user_key,
                           uint64_t trailer, const struct node **before);
struct place skiplist_first(const struct skiplist *list);
struct place skiplist_next(const struct skiplist *list, const struct place *place);
const struct node *skiplist_last(const struct skiplist *list);

static inline struct lsmkv_slice
node_user_key(const struct node *node)
{
    return lsmkv_bytes(node->bytes, node->key_size);
}

static inline struct lsmkv_slice
node_internal_key(const struct node *node)
{
    return lsmkv_bytes(node->bytes, node->key_size + KEY_TRAILER_SIZE);
}

static inline uint64_t
node_trailer(const struct node *node)
{
    return get_u64(node->bytes + node->key_size);
}

static inline struct lsmkv_slice
node_payload(const struct node *node)
{
    return lsmkv_bytes(node->bytes + node->key_size + KEY_TRAILER_SIZE,
                       node->payload_size);
}

/* For the writer, before the node is linked. */
static inline uint8_t *
node_payload_room(struct node *node)
{
    return node->bytes + node->key_size + KEY_TRAILER_SIZE;
}

#endif
