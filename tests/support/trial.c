/*
 * trial.c - see trial.h.
 */
#include "support/trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
trial_die(const struct trial *trial, const char *what, int result)
{
    printf("LSMKV_SEED=%llu %s=%llu: %s: %s (%s)\n",
           (unsigned long long)trial->plan->seed, trial->variable,
           (unsigned long long)trial->number, what, lsmkv_strerror(result),
           lsmkv_error_detail());
    fflush(stdout);
    abort();
}

static void
no_log(void *context, enum lsmkv_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

struct lsmkv_options
trial_options(struct lsmkv_env *env)
{
    struct lsmkv_options options = plan_options(env);

    options.log = no_log;
    return options;
}

/* ---- what is known of the state ---- */

static bool
writes(const struct plan_operation *operation)
{
    return operation->kind <= PLAN_ROLLBACK;
}

static void
copy_models(struct model to[PLAN_KEYSPACES], const struct model from[PLAN_KEYSPACES])
{
    plan_models_fini(to);
    for (int k = 0; k < PLAN_KEYSPACES; k++)
        model_copy(&to[k], &from[k]);
}

static void
apply(const struct trial *trial, const struct plan_operation *operation,
      struct model models[PLAN_KEYSPACES])
{
    if (operation->kind == PLAN_ROLLBACK)
        copy_models(models, trial->snapshots[operation->target]);
    else
        plan_apply(models, operation);
}

static void
succeeded(struct trial *trial, const struct plan_operation *operation, bool durable)
{
    trial->doubtful = 0;
    apply(trial, operation, trial->models);
    if (writes(operation))
        trial->states[++trial->count] = plan_hash_models(trial->models);
    if (durable)
        trial->durable = trial->count;
}

static void
failed(struct trial *trial, const struct plan_operation *operation)
{
    struct model models[PLAN_KEYSPACES];

    if (trial->only_error != 0 || trial->doubtful != 0 || !writes(operation))
        return;
    plan_models_init(models);
    copy_models(models, trial->models);
    apply(trial, operation, models);
    trial->doubtful = plan_hash_models(models);
    plan_models_fini(models);
}

/* ---- looking ---- */

static void
pause(const struct trial *trial, bool paused)
{
    if (trial->pause)
        trial->pause(paused);
}

/* A result of the engine while something fails. */
static void
check_result(const struct trial *trial, const char *what, int result)
{
    if (result != 0 && trial->only_error != 0 && result != trial->only_error)
        trial_die(trial, what, result);
}

static void
get_under_fault(struct trial *trial, const struct plan_operation *operation)
{
    const struct model_entry *entry =
        model_find(&trial->models[operation->keyspace], lsmkv_str(operation->key));
    struct lsmkv_record record;
    char buffer[8192];
    int result =
        lsmkv_get(trial->store.db, trial->store.keyspaces[operation->keyspace], NULL,
                  lsmkv_str(operation->key), buffer, sizeof(buffer), &record);

    if (result == -ENOENT && entry)
        trial_die(trial, "a key that is there reads as absent", result);
    check_result(trial, "get", result == -ENOENT ? 0 : result);
    if (result == 0 &&
        (!entry || record.value.size != entry->value.size ||
         memcmp(record.value.data, entry->value.data, entry->value.size) != 0))
        trial_die(trial, "a wrong value", 0);
}

static void
scan_under_fault(struct trial *trial)
{
    uint64_t hash;
    int result = plan_hash_store(trial->store.db, NULL, &hash);

    check_result(trial, "scan", result);
    if (result == 0 && hash != trial->states[trial->count])
        trial_die(trial, "a scan sees another state", 0);
}

struct listed {
    struct trial *trial;
    struct lsmkv *db;
    bool found[TRIAL_OPERATIONS];
};

static int
note_name(void *context, const struct lsmkv_snapshot_info *info)
{
    struct listed *listed = context;
    unsigned long number = strtoul(info->name + 1, NULL, 10);

    if (info->name[0] != 's' || number >= TRIAL_OPERATIONS ||
        !listed->trial->asked[number])
        trial_die(listed->trial, "a snapshot that nobody made", 0);
    listed->found[number] = true;
    return 0;
}

static void
check_snapshots(struct trial *trial, struct lsmkv *db)
{
    struct listed listed = {trial, db, {false}};
    int result = lsmkv_snapshot_list(db, note_name, &listed);

    for (size_t i = 0; i < TRIAL_OPERATIONS && result == 0; i++) {
        struct lsmkv_snapshot *snapshot;
        uint64_t hash;
        char name[32];

        if (trial->made[i] && !listed.found[i])
            trial_die(trial, "a snapshot is gone", 0);
        if (!listed.found[i])
            continue;
        snprintf(name, sizeof(name), "s%zu", i);
        result = lsmkv_snapshot_open(db, name, &snapshot, NULL);
        if (result != 0)
            break;
        result = plan_hash_store(db, snapshot, &hash);
        lsmkv_snapshot_release(db, snapshot);
        if (result == 0 && hash != trial->snapshot_states[i])
            trial_die(trial, "a snapshot shows another state", 0);
    }
    if (result != 0)
        trial_die(trial, "snapshots cannot be read", result);
}

static bool
is_state_from(const struct trial *trial, size_t first, uint64_t hash)
{
    for (size_t i = first; i <= trial->count; i++)
        if (hash == trial->states[i])
            return true;
    return false;
}

bool
trial_is_state(const struct trial *trial, uint64_t hash)
{
    return is_state_from(trial, trial->durable, hash);
}

void
trial_check_reopened(struct trial *trial, struct mem_env *env, size_t first)
{
    struct lsmkv_options options = trial_options(mem_env_base(env));
    struct plan_store store;
    uint64_t hash;
    int result;

    pause(trial, true);
    result = plan_open(&options, &store);
    if (result == 0)
        result = plan_hash_store(store.db, NULL, &hash);
    if (result != 0)
        trial_die(trial, "it cannot be opened and read again", result);
    if (!is_state_from(trial, first, hash) &&
        (trial->doubtful == 0 || hash != trial->doubtful))
        trial_die(trial, "opened again it holds another state", 0);
    check_snapshots(trial, store.db);
    result = lsmkv_put(store.db, NULL, lsmkv_str("z"), lsmkv_str(""), lsmkv_str("x"), 0);
    if (result == 0)
        result = lsmkv_close(store.db);
    if (result != 0)
        trial_die(trial, "opened again it takes no write", result);
    pause(trial, false);
}

static void
check_power_cut(struct trial *trial)
{
    static const struct mem_crash policies[] = {{MEM_DATA_NONE, MEM_NAMES_DROPPED},
                                                {MEM_DATA_RANDOM, MEM_NAMES_RANDOM}};
    struct mem_env *image = mem_env_crash(trial->memory, policies[trial->number % 2],
                                          trial->plan->seed ^ trial->number);

    trial_check_reopened(trial, image, trial->durable);
    mem_env_free(image);
}

/* Nothing fails any more. */
static void
check_live(struct trial *trial)
{
    uint64_t hash;
    int result = plan_hash_store(trial->store.db, NULL, &hash);

    if (result != 0)
        trial_die(trial, "what is there cannot be read", result);
    if (hash != trial->states[trial->count])
        trial_die(trial, "it holds another state than what succeeded", 0);
}

/* ---- the workload ---- */

static int
make_snapshot(struct trial *trial, size_t number)
{
    char name[32];
    int result;

    snprintf(name, sizeof(name), "s%zu", number);
    trial->snapshot_states[number] = trial->states[trial->count];
    copy_models(trial->snapshots[number], trial->models);
    result = lsmkv_snapshot_create(trial->store.db, name, NULL);
    trial->made[number] = result == 0;
    trial->asked[number] = result == 0 || trial->only_error == 0;
    return result;
}

/* The oldest one; from then on it may be there or not, unless it is known. */
static int
drop_snapshot(struct trial *trial)
{
    size_t number = 0;
    char name[32];
    int result;

    while (number < TRIAL_OPERATIONS && !trial->made[number])
        number++;
    if (number == TRIAL_OPERATIONS)
        return 0;
    snprintf(name, sizeof(name), "s%zu", number);
    result = lsmkv_snapshot_drop(trial->store.db, name);
    trial->made[number] = result != 0 && trial->only_error != 0;
    trial->asked[number] = result != 0;
    return result;
}

static int
roll_back(struct trial *trial, const struct plan_operation *operation)
{
    struct lsmkv_snapshot *snapshot;
    char name[32];
    int result;

    snprintf(name, sizeof(name), "s%llu", (unsigned long long)operation->target);
    result = lsmkv_snapshot_open(trial->store.db, name, &snapshot, NULL);
    if (result != 0)
        return result;
    result = lsmkv_rollback(trial->store.db, snapshot, NULL);
    lsmkv_snapshot_release(trial->store.db, snapshot);
    return result;
}

/* What the plan would do that cannot be: the store stays open, and a snapshot may have failed. */
static bool
is_left_out(const struct trial *trial, const struct plan_operation *operation)
{
    return operation->kind == PLAN_REOPEN || plan_is_nothing(operation) ||
           (operation->kind == PLAN_ROLLBACK && !trial->made[operation->target]);
}

static void
run_operation(struct trial *trial, const struct plan_operation *operation)
{
    bool durable = false;
    int result;

    if (is_left_out(trial, operation))
        return;
    if (operation->kind == PLAN_SNAPSHOT) {
        durable = true;
        result = make_snapshot(trial, operation->number);
    } else if (operation->kind == PLAN_ROLLBACK) {
        durable = true;
        result = roll_back(trial, operation);
    } else if (operation->kind == PLAN_DROP) {
        check_result(trial, "drop", drop_snapshot(trial)); /* 0 if there is none */
        return;
    } else {
        result = plan_run(&trial->store, operation, &durable);
    }
    check_result(trial, "operation", result);
    pause(trial, true);
    if (result == 0)
        succeeded(trial, operation, durable);
    else
        failed(trial, operation);
    pause(trial, false);
    get_under_fault(trial, operation);
    if (operation->number % 8 == 0)
        scan_under_fault(trial);
}

void
trial_operate(struct trial *trial)
{
    for (size_t i = 0; trial->store.db && i < trial->plan->count; i++)
        run_operation(trial, &trial->plan->operations[i]);
}

void
trial_open(struct trial *trial)
{
    struct lsmkv_options options = trial_options(trial->env);
    int result = plan_open(&options, &trial->store);

    check_result(trial, "open", result);
    if (result != 0)
        trial->store.db = NULL;
}

void
trial_close(struct trial *trial)
{
    int result = trial->store.db ? lsmkv_close(trial->store.db) : 0;

    check_result(trial, "close", result);
    trial->store.db = NULL;
    if (result == 0)
        trial->durable = trial->count;
}

static int
flush_and_merge(struct trial *trial)
{
    struct lsmkv_slice none = {NULL, 0};
    struct lsmkv *db = trial->store.db;
    int result = lsmkv_flush(db);

    for (int k = 0; k < PLAN_KEYSPACES && result == 0; k++)
        result = lsmkv_compact(db, trial->store.keyspaces[k], none, none);
    return result == 0 ? lsmkv_settle(db) : result;
}

/* Writes are taken, and what is done in the background goes on.  Each of the two threads there may
 * have met the failure and not told yet. */
static void
check_goes_on(struct trial *trial)
{
    struct lsmkv_slice key = lsmkv_str("z"), none = {NULL, 0};
    struct lsmkv *db = trial->store.db;
    int result;

    for (int i = 0; i < 3; i++)
        if ((result = flush_and_merge(trial)) == 0)
            break;
    if (result == 0)
        result = lsmkv_put(db, NULL, key, none, none, 0);
    if (result == 0)
        result = lsmkv_delete(db, NULL, key, 0);
    if (result == 0)
        result = flush_and_merge(trial);
    if (result != 0)
        trial_die(trial, "it does not go on", result);
}

void
trial_init(struct trial *trial, const struct plan *plan, uint64_t number)
{
    memset(trial, 0, sizeof(*trial));
    trial->plan = plan;
    trial->number = number;
    trial->memory = mem_env_new();
    mem_env_set_time(trial->memory, 1); /* nobody waits before trying again */
    trial->env = mem_env_base(trial->memory);
    plan_models_init(trial->models);
    for (size_t i = 0; i < TRIAL_OPERATIONS; i++)
        plan_models_init(trial->snapshots[i]);
    trial->states[0] = plan_hash_models(trial->models);
}

void
trial_fini(struct trial *trial)
{
    for (size_t i = 0; i < TRIAL_OPERATIONS; i++)
        plan_models_fini(trial->snapshots[i]);
    plan_models_fini(trial->models);
    mem_env_free(trial->memory);
}

void
trial_run(struct trial *trial)
{
    trial_open(trial);
    trial_operate(trial);
    if (trial->heal_opened && trial->store.db) {
        trial->heal(trial);
        check_live(trial);
        if (trial->only_error != 0)
            check_goes_on(trial);
        check_live(trial);
        check_power_cut(trial);
    }
    trial_close(trial);
    check_power_cut(trial);
    trial_open(trial);
    if (trial->store.db)
        for (size_t i = 0; i < trial->plan->count; i++)
            if (trial->doubtful == 0) /* else it is not known which is right */
                get_under_fault(trial, &trial->plan->operations[i]);
    trial_close(trial);
    trial->heal(trial);
    trial_check_reopened(trial, trial->memory, trial->count);
}
