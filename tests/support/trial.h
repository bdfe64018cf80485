/*
 * trial.h - one run of a plan (plan.h) in which something fails, held against the states that
 * those operations made which succeeded:
 *
 *   - while it fails, a read is right or an error;
 *   - when that has passed, the store holds all that succeeded and nothing else;
 *   - opened again it holds that, and at most the one operation with which a row of failures
 *     began that no success ended (what a failed sync covered may have come through);
 *   - after a power cut it holds a prefix of what succeeded, with all that was durable;
 *   - a named snapshot is there if its making succeeded, and shows the state it was made of.
 *
 * What does not hold is printed with seed and number, and the program aborts.
 */
#ifndef SUPPORT_TRIAL_H
#define SUPPORT_TRIAL_H

#include "support/mem_env.h"
#include "support/plan.h"

#define TRIAL_OPERATIONS 60 /* of the plans; no more */

struct trial {
    const struct plan *plan;
    uint64_t number; /* names it; see `variable` */
    struct mem_env *memory;

    /* To be set between trial_init and trial_open. */
    struct lsmkv_env *env; /* the engine's; `memory` at first */
    const char *variable;  /* of the environment, by which this run is chosen */
    /* The failures are over; and whether they stand still for what is looked at meanwhile. */
    void (*heal)(struct trial *trial);
    void (*pause)(bool paused); /* or NULL */
    int only_error; /* the one result of what fails, which then leaves nothing behind; 0:
                         any result, and what failed may show after opening again */
    bool heal_opened; /* they are over before the store is closed */
    void *context;

    struct plan_store store; /* db NULL: it could not be opened */
    struct model models[PLAN_KEYSPACES];
    /* What each success made of it, beginning with nothing; those before `durable` are over. */
    uint64_t states[TRIAL_OPERATIONS + 1];
    size_t count, durable;
    /* The state that the failed operation would have made which may yet show; 0: none. */
    uint64_t doubtful;
    /* Of the operation of each number: was the snapshot made, and from which state? */
    bool made[TRIAL_OPERATIONS], asked[TRIAL_OPERATIONS];
    uint64_t snapshot_states[TRIAL_OPERATIONS];
    struct model snapshots[TRIAL_OPERATIONS][PLAN_KEYSPACES];
};

void trial_init(struct trial *trial, const struct plan *plan, uint64_t number);
void trial_fini(struct trial *trial);

/* From an empty directory to the second opening and what that finds. */
void trial_run(struct trial *trial);

/* Parts of it.  plan_options, and nothing logged. */
struct lsmkv_options trial_options(struct lsmkv_env *env);
void trial_open(struct trial *trial);
void trial_operate(struct trial *trial);
void trial_close(struct trial *trial);
/* Is a hash that of a state which a power cut may have left? */
bool trial_is_state(const struct trial *trial, uint64_t hash);
/* The store in `env`, opened anew, holds one of the states from `first` on, and takes writes. */
void trial_check_reopened(struct trial *trial, struct mem_env *env, size_t first);
_Noreturn void trial_die(const struct trial *trial, const char *what, int result);

#endif
