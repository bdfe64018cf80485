/*
 * plan.h - a workload made beforehand from a seed, with a hash of the state after each of its
 * operations: what the sweeps of tests/crash run, and hold a store against.
 *
 *     operations   0 1 2 3 4 ...
 *     hashes      0 1 2 3 4 ...      hashes[i]: all keys, attributes and values of both
 *                                    keyspaces after the first i operations
 */
#ifndef SUPPORT_PLAN_H
#define SUPPORT_PLAN_H

#include "lsmkv.h"
#include "support/model.h"
#include "support/random.h"

#define PLAN_KEYSPACES 2 /* the default one, in path order, and "plain" */

enum plan_kind {
    PLAN_PUT,
    PLAN_DELETE,
    PLAN_BATCH,
    PLAN_MOVE,
    PLAN_ROLLBACK, /* the caller's, and only what comes before this changes the state, too */
    PLAN_FLUSH,
    PLAN_COMPACT,
    PLAN_SNAPSHOT, /* this and the next: names are the caller's */
    PLAN_DROP,
    PLAN_SYNC,
    PLAN_REOPEN, /* the caller's */
};

struct plan_operation {
    enum plan_kind kind;
    int keyspace;
    bool sync;
    char key[64], other[64];
    size_t value_size;
    uint64_t number; /* which one it is */
    uint64_t target; /* of a rollback: which one made the snapshot */
};

struct plan {
    uint64_t seed;
    size_t count;
    struct plan_operation *operations;
    uint64_t *hashes; /* count + 1 */
};

struct plan_store {
    struct lsmkv *db;
    struct lsmkv_keyspace *keyspaces[PLAN_KEYSPACES];
};

void plan_init(struct plan *plan, uint64_t seed, size_t count);
void plan_fini(struct plan *plan);

/* ---- states ---- */

void plan_models_init(struct model models[PLAN_KEYSPACES]);
void plan_models_fini(struct model models[PLAN_KEYSPACES]);
/* What an operation that succeeds does to them, a rollback left out. */
void plan_apply(struct model models[PLAN_KEYSPACES],
                const struct plan_operation *operation);
uint64_t plan_hash_models(const struct model models[PLAN_KEYSPACES]);
/* A store without the second keyspace counts as one where that is empty. */
LSMKV_CHECKED int plan_hash_store(struct lsmkv *db, const struct lsmkv_snapshot *snapshot,
                                  uint64_t *hash);

/* ---- running ---- */

/* Buffers so small that a few hundred operations flush, merge and move both ways. */
struct lsmkv_options plan_options(struct lsmkv_env *env);
LSMKV_CHECKED int plan_open(const struct lsmkv_options *options,
                            struct plan_store *store);
/* lsmkv_check of the store; damage is printed, -ENOENT (no store yet) is none. */
LSMKV_CHECKED int plan_check(const struct lsmkv_options *options);
/* A move onto itself or into its own tree, which is left out. */
bool plan_is_nothing(const struct plan_operation *operation);
/* Runs one that is not the caller's.  `*durable`: a success makes all so far durable. */
LSMKV_CHECKED int plan_run(struct plan_store *store,
                           const struct plan_operation *operation, bool *durable);

#endif
