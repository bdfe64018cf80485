/*
 * world.h - a store under random operations beside its models: the engine's whole public
 * surface, driven from a seed.
 *
 * Two keyspaces ("default" in path order, compressed if the seed is even, "plain" in byte order,
 * compressed), up to WORLD_SNAPSHOTS
 * snapshots, half of them named, each with a copy of the models as they were.
 */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "lsmkv.h"
#include "support/mem_env.h"
#include "support/model.h"
#include "support/random.h"

#define WORLD_KEYSPACES 2
#define WORLD_SNAPSHOTS 4

struct world_snapshot {
    struct lsmkv_snapshot *handle; /* NULL: the slot is free */
    char name[32];                 /* "": unnamed */
    struct model models[WORLD_KEYSPACES];
};

struct world {
    struct mem_env *env;
    struct lsmkv_options options;
    struct lsmkv *db;
    struct lsmkv_keyspace *keyspaces[WORLD_KEYSPACES];
    struct model models[WORLD_KEYSPACES];
    struct world_snapshot snapshots[WORLD_SNAPSHOTS];
    struct random random;
    uint64_t step;
    unsigned named; /* snapshots named so far */
};

/* A new store in a new mem_env; small buffers, so that a few hundred operations flush and
 * merge.  The functions below exit with a message when the engine errs. */
void world_init(struct world *world, uint64_t seed, bool dead_ranges);
void world_fini(struct world *world);
/* One random operation, with a small check of what it touched. */
void world_step(struct world *world);
/* The whole: every keyspace and snapshot against its model. */
void world_check(struct world *world);
/* Closes and opens again; or dies and opens again, with everything acknowledged there. */
void world_reopen(struct world *world);

#endif
