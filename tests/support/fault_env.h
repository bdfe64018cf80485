/*
 * fault_env.h - an env around another that counts calls and fails the Nth.
 *
 * A failing call does not reach the inner env, but for those that end something: a failed
 * close closes, and a failed sync loses what it should have synced, if fault_env_on_lost_sync
 * says how.  A failing write may put a part of its bytes first, as an interrupted or a short
 * write(2) would.  Calls without a result (the hints, unlock, dir_close) are counted and
 * never fail; a failing allocation gives NULL.
 *
 * All functions may be called from any thread.
 */
#ifndef SUPPORT_FAULT_ENV_H
#define SUPPORT_FAULT_ENV_H

#include "env/env.h"
#include "support/env_call.h"

struct fault_env;

/* What to fail.  Counting begins when the plan is set. */
struct fault {
    enum env_call call; /* or ENV_CALL_ANY: every call that can fail */
    uint64_t nth;       /* 1: the next such call */
    bool onwards;       /* that call and all such after it, or only it */
    int error;          /* a positive errno */
    bool partial_write; /* a failing write puts half of its bytes first */
};

struct fault_env *fault_env_new(struct lsmkv_env *inner);
void fault_env_free(struct fault_env *env);
struct lsmkv_env *fault_env_base(struct fault_env *env);

void fault_env_set(struct fault_env *env, struct fault fault);
/* Nothing fails from now on. */
void fault_env_heal(struct fault_env *env);
/* Calls of one kind, or of all, since the env was made; those that failed since then. */
uint64_t fault_env_calls(struct fault_env *env, enum env_call call);
uint64_t fault_env_failures(struct fault_env *env);

/* Called with the inner file of a failed sync: mem_env_lose_unsynced.  Set before use. */
void fault_env_on_lost_sync(struct fault_env *env, void (*lost)(struct env_file *inner));

#endif
