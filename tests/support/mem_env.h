/*
 * mem_env.h - an env in memory that knows what a power cut would leave.
 *
 * It keeps, separately, which bytes of each file and which names of each directory were
 * synced (mem_file.h, mem_disk.h), and can give at any moment, from any thread, the state in
 * which a power cut or the death of the process could leave the store, as a new env.  A
 * test opens that and compares.  What is not modelled: of a sector written several times
 * between two syncs only the first and the last state come back.
 *
 *     hook: the sweep stops here          image: opened and compared
 *     ------v------v------v------          mem_env_crash(env, ALL, KEPT, 0)
 *      write  sync   rename  ...    --->   mem_env_crash(env, NONE, DROPPED, 0)
 *                                          mem_env_crash(env, RANDOM, RANDOM, seed)
 *
 * All functions may be called from any thread.
 */
#ifndef SUPPORT_MEM_ENV_H
#define SUPPORT_MEM_ENV_H

#include "env/env.h"
#include "support/env_call.h"
#include "support/mem_disk.h"

struct mem_env;

struct mem_env *mem_env_new(void);
/* Handles, threads and buffers must be gone. */
void mem_env_free(struct mem_env *env);
/* What the engine is given. */
struct lsmkv_env *mem_env_base(struct mem_env *env);

struct mem_crash {
    enum mem_data data;
    enum mem_names names;
};

/* A new, independent env in the state that a power cut now could leave.  The same seed gives
 * the same image of the same state.  Its clock, virtual or not, goes on from this one's. */
struct mem_env *mem_env_crash(struct mem_env *env, struct mem_crash policy,
                              uint64_t seed);
/* A new env as a new process finds the machine after this one was killed: nothing is lost,
 * locks are free, and what was not synced is still not. */
struct mem_env *mem_env_kill(struct mem_env *env);

/* A hash of all names and bytes.  The lock's note, in the file `LOCK`, is left out: it names a
 * process. */
uint64_t mem_env_hash(struct mem_env *env);

/* Called before every storage call takes effect, with its ordinal, counted from 1.  Calls of
 * the hook never overlap.  It may use the functions of this header, but must not make env
 * calls on the same env.  NULL ends it: when that returns, no call of the hook is under way (so it
 * is not for the hook itself). */
void mem_env_set_hook(struct mem_env *env,
                      void (*hook)(void *context, uint64_t ordinal, enum env_call call),
                      void *context);
/* Storage calls so far. */
uint64_t mem_env_calls(struct mem_env *env);

/* Bytes that all files may take, in whole pages of 4 KiB; MEM_CAPACITY at first.  A write
 * beyond it puts what fits and gives -ENOSPC. */
void mem_env_set_capacity(struct mem_env *env, uint64_t bytes);
uint64_t mem_env_used(struct mem_env *env);

/* Makes the clock virtual, at `now` (nanoseconds since 1970): only sleep and
 * mem_env_advance move it, and sleep returns at once; so do those who sleep. */
void mem_env_set_time(struct mem_env *env, int64_t now);
void mem_env_advance(struct mem_env *env, uint64_t nanoseconds);

/* What a failed sync of `file` does: its unsynced bytes are readable, clean and not durable.
 * Given to a fault_env, it makes the failed syncs of that behave as a kernel's. */
void mem_env_lose_unsynced(struct env_file *file);

#endif
