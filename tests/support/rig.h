/*
 * rig.h - a store in memory for tests: a mem_env, a fault_env around it, small buffers.
 *
 * The functions fail the test (ck_assert) when the engine errs where it must not.
 */
#ifndef SUPPORT_RIG_H
#define SUPPORT_RIG_H

#include "lsmkv.h"
#include "support/fault_env.h"
#include "support/mem_env.h"

struct rig {
    struct mem_env *memory;
    struct fault_env *faults;
    struct lsmkv_options options; /* change between rig_init and rig_open */
    struct lsmkv *db;
    unsigned errors, warnings; /* lines logged */
    char last_error[512];
};

/* Prepares; nothing is opened yet. */
void rig_init(struct rig *rig);
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* Closes if open, and frees everything. */
void rig_fini(struct rig *rig);
/* Dies here and comes back as a new process finds it; or after a power cut. */
void rig_kill(struct rig *rig);
void rig_cut_power(struct rig *rig, struct mem_crash policy, uint64_t seed);
/* From now on what the store sleeps for takes no time, and its clock goes on by that alone. */
void rig_hurry(struct rig *rig);

void rig_put(struct rig *rig, const char *key, const char *value);
void rig_delete(struct rig *rig, const char *key);
/* Whether `key` holds exactly `value`; NULL: whether it is absent. */
bool rig_holds(struct rig *rig, const struct lsmkv_snapshot *snapshot, const char *key,
               const char *value);
struct lsmkv_stats rig_stats(struct rig *rig);

#endif
