/*
 * store.h - a store in memory for tests: a mem_env, a fault_env around it, small buffers.
 *
 * The functions fail the test (ck_assert) when the engine errs where it must not.
 */
#ifndef SUPPORT_STORE_H
#define SUPPORT_STORE_H

#include "lsmkv.h"
#include "support/fault_env.h"
#include "support/mem_env.h"

struct store {
    struct mem_env *memory;
    struct fault_env *faults;
    struct lsmkv_options options; /* change between store_init and store_open */
    struct lsmkv *db;
    unsigned errors, warnings; /* lines logged */
    char last_error[512];
};

/* Prepares; nothing is opened yet. */
void store_init(struct store *store);
void store_open(struct store *store);
void store_close(struct store *store);
/* Closes if open, and frees everything. */
void store_fini(struct store *store);
/* Dies here and comes back as a new process finds it; or after a power cut. */
void store_kill(struct store *store);
void store_cut_power(struct store *store, struct mem_crash policy, uint64_t seed);

void store_put(struct store *store, const char *key, const char *value);
void store_delete(struct store *store, const char *key);
/* Whether `key` holds exactly `value`; NULL: whether it is absent. */
bool store_holds(struct store *store, const struct lsmkv_snapshot *snapshot,
                 const char *key, const char *value);
struct lsmkv_stats store_stats(struct store *store);

#endif
