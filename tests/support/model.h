/*
 * model.h - what a keyspace should hold: a sorted array, written to be obviously right.
 *
 * It shares no code with the engine: its order is its own, byte by byte.
 */
#ifndef SUPPORT_MODEL_H
#define SUPPORT_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "lsmkv.h"

struct model_entry {
    struct lsmkv_slice key, attributes, value; /* malloced together, at key.data */
};

struct model {
    enum lsmkv_order order;
    struct model_entry *entries;
    size_t count, capacity;
};

void model_init(struct model *model, enum lsmkv_order order);
void model_fini(struct model *model);
/* A copy of its own. */
void model_copy(struct model *to, const struct model *from);

/* -1, 0 or 1. */
int model_compare(enum lsmkv_order order, struct lsmkv_slice a, struct lsmkv_slice b);
bool model_is_below(struct lsmkv_slice key, struct lsmkv_slice ancestor);
/* The index of the first entry at or after `key`. */
size_t model_ceiling(const struct model *model, struct lsmkv_slice key);
const struct model_entry *model_find(const struct model *model, struct lsmkv_slice key);

void model_put(struct model *model, struct lsmkv_slice key, struct lsmkv_slice attributes,
               struct lsmkv_slice value);
void model_delete(struct model *model, struct lsmkv_slice key);
/* What lsmkv_move_trees promises. */
void model_move(struct model *model, const struct lsmkv_move *moves, size_t count);

/* Walks `keyspace` forwards and backwards and gets every key; false, with the first difference
 * printed, if the engine does not hold exactly the model. */
bool model_matches(const struct model *model, struct lsmkv *db,
                   struct lsmkv_keyspace *keyspace,
                   const struct lsmkv_snapshot *snapshot);

#endif
