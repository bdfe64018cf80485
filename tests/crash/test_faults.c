/*
 * test_faults.c - every env call of a workload fails: once, and from then on.
 *
 * The calls of a run without faults are counted; then the workload runs once for each of them
 * and each shape of fault: opening, operations, closing, opening again.  It is held against the
 * states that those operations made which succeeded:
 *
 *   - while the fault lasts, a read is right or an error;
 *   - when it has passed, the store holds all that succeeded and nothing else;
 *   - opened again it holds that, and at most the one operation with which a row of failures
 *     began that no success ended (what a failed sync covered may have come through);
 *   - after a power cut it holds a prefix of what succeeded, with all that was durable;
 *   - a named snapshot is there if its making succeeded, and shows the state it was made of.
 *
 * LSMKV_SEED replays; LSMKV_FAULT=N makes only the N-th run, which a failure names.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsmkv.h"
#include "support/fault_env.h"
#include "support/mem_env.h"
#include "support/plan.h"

#define OPERATIONS 60

static const struct fault shapes[] = {
    {.call = ENV_CALL_ANY, .error = EIO},
    {.call = ENV_CALL_ANY, .error = EIO, .onwards = true},
    {.call = ENV_CALL_ANY, .error = EIO, .partial_write = true},
    {.call = ENV_CALL_ANY, .error = ENOSPC, .partial_write = true},
    {.call = ENV_CALL_ANY, .error = ENOSPC, .onwards = true},
    {.call = ENV_CALL_ANY, .error = EINTR},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

struct run {
    const struct plan *plan;
    uint64_t number; /* of LSMKV_FAULT */
    struct mem_env *memory;
    struct fault_env *faults;
    struct plan_store store; /* db NULL: it could not be opened */
    struct model models[PLAN_KEYSPACES];
    /* What each success made of it, beginning with nothing; those before `durable` are over. */
    uint64_t states[OPERATIONS + 1];
    size_t count, durable;
    /* The state that the failed operation would have made which may yet show; 0: none. */
    uint64_t doubtful;
    /* Of the operation of each number: was the snapshot made, and from which state? */
    bool made[OPERATIONS], asked[OPERATIONS];
    uint64_t snapshot_states[OPERATIONS];
};

static void
die(const struct run *run, const char *what, int result)
{
    printf("LSMKV_SEED=%llu LSMKV_FAULT=%llu: %s: %s (%s)\n",
           (unsigned long long)run->plan->seed, (unsigned long long)run->number, what,
           lsmkv_strerror(result), lsmkv_error_detail());
    fflush(stdout);
    abort();
}

static void
no_log(void *context, enum lsmkv_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

static struct lsmkv_options
options_on(struct lsmkv_env *env)
{
    struct lsmkv_options options = plan_options(env);

    options.log = no_log;
    return options;
}

/* ---- what is known of the state ---- */

static bool
writes(const struct plan_operation *operation)
{
    return operation->kind <= PLAN_MOVE;
}

static void
succeeded(struct run *run, const struct plan_operation *operation, bool durable)
{
    run->doubtful = 0;
    plan_apply(run->models, operation);
    if (writes(operation))
        run->states[++run->count] = plan_hash_models(run->models);
    if (durable)
        run->durable = run->count;
}

static void
failed(struct run *run, const struct plan_operation *operation)
{
    struct model models[PLAN_KEYSPACES];

    if (run->doubtful != 0 || !writes(operation))
        return;
    for (int k = 0; k < PLAN_KEYSPACES; k++)
        model_copy(&models[k], &run->models[k]);
    plan_apply(models, operation);
    run->doubtful = plan_hash_models(models);
    plan_models_fini(models);
}

/* ---- looking ---- */

static void
read_under_fault(struct run *run, const struct plan_operation *operation)
{
    const struct model_entry *entry =
        model_find(&run->models[operation->keyspace], lsmkv_str(operation->key));
    struct lsmkv_record record;
    char buffer[8192];
    int result = lsmkv_get(run->store.db, run->store.keyspaces[operation->keyspace], NULL,
                           lsmkv_str(operation->key), buffer, sizeof(buffer), &record);

    if (result == -ENOENT && entry)
        die(run, "a key that is there reads as absent", result);
    if (result == 0 &&
        (!entry || record.value.size != entry->value.size ||
         memcmp(record.value.data, entry->value.data, entry->value.size) != 0))
        die(run, "a wrong value", 0);
}

struct listed {
    struct run *run;
    struct lsmkv *db;
    bool found[OPERATIONS];
};

static int
note_name(void *context, const struct lsmkv_snapshot_info *info)
{
    struct listed *listed = context;
    unsigned long number = strtoul(info->name + 1, NULL, 10);

    if (info->name[0] != 's' || number >= OPERATIONS || !listed->run->asked[number])
        die(listed->run, "a snapshot that nobody made", 0);
    listed->found[number] = true;
    return 0;
}

static void
check_snapshots(struct run *run, struct lsmkv *db)
{
    struct listed listed = {run, db, {false}};
    int result = lsmkv_snapshot_list(db, note_name, &listed);

    for (size_t i = 0; i < OPERATIONS && result == 0; i++) {
        struct lsmkv_snapshot *snapshot;
        uint64_t hash;
        char name[32];

        if (run->made[i] && !listed.found[i])
            die(run, "a snapshot is gone", 0);
        if (!listed.found[i])
            continue;
        snprintf(name, sizeof(name), "s%zu", i);
        result = lsmkv_snapshot_open(db, name, &snapshot, NULL);
        if (result != 0)
            break;
        result = plan_hash_store(db, snapshot, &hash);
        lsmkv_snapshot_release(db, snapshot);
        if (result == 0 && hash != run->snapshot_states[i])
            die(run, "a snapshot shows another state", 0);
    }
    if (result != 0)
        die(run, "snapshots cannot be read", result);
}

/* The store in `env`, opened anew, holds one of the states from `first` on. */
static void
check_reopened(struct run *run, struct mem_env *env, size_t first)
{
    struct lsmkv_options options = options_on(mem_env_base(env));
    struct plan_store store;
    uint64_t hash;
    bool found;
    int result = plan_open(&options, &store);

    if (result == 0)
        result = plan_hash_store(store.db, NULL, &hash);
    if (result != 0)
        die(run, "it cannot be opened and read again", result);
    found = run->doubtful != 0 && hash == run->doubtful;
    for (size_t i = first; i <= run->count && !found; i++)
        found = hash == run->states[i];
    if (!found)
        die(run, "opened again it holds another state", 0);
    check_snapshots(run, store.db);
    result = lsmkv_put(store.db, NULL, lsmkv_str("z"), lsmkv_str(""), lsmkv_str("x"), 0);
    if (result == 0)
        result = lsmkv_close(store.db);
    if (result != 0)
        die(run, "opened again it takes no write", result);
}

static void
check_power_cut(struct run *run)
{
    static const struct mem_crash policies[] = {{MEM_DATA_NONE, MEM_NAMES_DROPPED},
                                                {MEM_DATA_RANDOM, MEM_NAMES_RANDOM}};
    struct mem_env *image = mem_env_crash(run->memory, policies[run->number % 2],
                                          run->plan->seed ^ run->number);

    check_reopened(run, image, run->durable);
    mem_env_free(image);
}

/* Nothing fails any more. */
static void
check_live(struct run *run)
{
    uint64_t hash;
    int result = plan_hash_store(run->store.db, NULL, &hash);

    if (result != 0)
        die(run, "what is there cannot be read", result);
    if (hash != run->states[run->count])
        die(run, "it holds another state than what succeeded", 0);
}

/* ---- the workload ---- */

static int
make_snapshot(struct run *run, size_t number)
{
    char name[32];
    int result;

    snprintf(name, sizeof(name), "s%zu", number);
    run->asked[number] = true;
    run->snapshot_states[number] = run->states[run->count];
    result = lsmkv_snapshot_create(run->store.db, name, NULL);
    run->made[number] = result == 0;
    return result;
}

/* The oldest one; from then on it may be there or not, unless that succeeds. */
static int
drop_snapshot(struct run *run)
{
    size_t number = 0;
    char name[32];
    int result;

    while (number < OPERATIONS && !run->made[number])
        number++;
    if (number == OPERATIONS)
        return 0;
    snprintf(name, sizeof(name), "s%zu", number);
    run->made[number] = false;
    result = lsmkv_snapshot_drop(run->store.db, name);
    run->asked[number] = result != 0;
    return result;
}

static void
run_operation(struct run *run, const struct plan_operation *operation)
{
    bool durable = false;
    int result;

    if (operation->kind == PLAN_REOPEN || plan_is_nothing(operation))
        return;
    if (operation->kind == PLAN_SNAPSHOT) {
        durable = true;
        result = make_snapshot(run, operation->number);
    } else if (operation->kind == PLAN_DROP) {
        (void)drop_snapshot(run); /* which succeeds if there is none */
        return;
    } else {
        result = plan_run(&run->store, operation, &durable);
    }
    if (result == 0)
        succeeded(run, operation, durable);
    else
        failed(run, operation);
    read_under_fault(run, operation);
}

static void
open_store(struct run *run)
{
    struct lsmkv_options options = options_on(fault_env_base(run->faults));

    if (plan_open(&options, &run->store) != 0)
        run->store.db = NULL;
}

static void
close_store(struct run *run)
{
    int result = run->store.db ? lsmkv_close(run->store.db) : 0;

    run->store.db = NULL;
    if (result == 0)
        run->durable = run->count;
}

static void
run_init(struct run *run, const struct plan *plan, uint64_t number)
{
    memset(run, 0, sizeof(*run));
    run->plan = plan;
    run->number = number;
    run->memory = mem_env_new();
    mem_env_set_time(run->memory, 1); /* nobody waits before trying again */
    run->faults = fault_env_new(mem_env_base(run->memory));
    fault_env_on_lost_sync(run->faults, mem_env_lose_unsynced);
    plan_models_init(run->models);
    run->states[0] = plan_hash_models(run->models);
}

static void
run_fini(struct run *run)
{
    plan_models_fini(run->models);
    fault_env_free(run->faults);
    mem_env_free(run->memory);
}

/* From an empty directory to the second opening. */
static void
run_workload(struct run *run)
{
    open_store(run);
    for (size_t i = 0; run->store.db && i < run->plan->count; i++)
        run_operation(run, &run->plan->operations[i]);
    if (run->number % 3 == 0 && run->store.db) {
        /* The fault is over while the store is open. */
        fault_env_heal(run->faults);
        check_live(run);
        check_power_cut(run);
    }
    close_store(run);
    check_power_cut(run);
    open_store(run);
    if (run->store.db)
        for (size_t i = 0; i < run->plan->count; i++)
            if (run->doubtful == 0) /* else it is not known which is right */
                read_under_fault(run, &run->plan->operations[i]);
    close_store(run);
    fault_env_heal(run->faults);
    check_reopened(run, run->memory, run->count);
}

static uint64_t
count_calls(const struct plan *plan)
{
    struct run run;
    uint64_t calls;

    run_init(&run, plan, 1);
    run_workload(&run);
    calls = fault_env_calls(run.faults, ENV_CALL_ANY);
    run_fini(&run);
    return calls;
}

/* ---- opening what a power cut left ---- */

/* Opens an image with a fault and closes it; returns how many calls that took. */
static uint64_t
recover_under_fault(struct run *run, struct fault fault)
{
    static const struct mem_crash policy = {MEM_DATA_RANDOM, MEM_NAMES_RANDOM};
    struct mem_env *image = mem_env_crash(run->memory, policy, run->plan->seed);
    struct fault_env *faults = fault_env_new(mem_env_base(image));
    struct lsmkv_options options = options_on(fault_env_base(faults));
    struct plan_store store;
    uint64_t hash, calls;
    bool found = false;

    fault_env_on_lost_sync(faults, mem_env_lose_unsynced);
    fault_env_set(faults, fault);
    if (plan_open(&options, &store) == 0) {
        if (plan_hash_store(store.db, NULL, &hash) == 0) {
            for (size_t i = run->durable; i <= run->count && !found; i++)
                found = hash == run->states[i];
            if (!found)
                die(run, "recovered under a fault it holds another state", 0);
        }
        (void)lsmkv_close(store.db); /* fails, or not */
    }
    calls = fault_env_calls(faults, ENV_CALL_ANY);
    fault_env_free(faults);
    check_reopened(run, image, run->durable);
    mem_env_free(image);
    return calls;
}

/* Sanitizers look for other things: fewer faults are enough for them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 7
#else
#define STRIDE 1
#endif

START_TEST(test_nothing_is_lost_whatever_call_fails)
{
    const char *only = getenv("LSMKV_FAULT");
    uint64_t first = only ? strtoull(only, NULL, 10) : 0, calls, runs = 0, hits = 0;
    struct plan plan;

    plan_init(&plan, random_seed(), OPERATIONS);
    calls = count_calls(&plan);
    for (uint64_t number = first; number < calls * SHAPES; number += STRIDE) {
        struct fault fault = shapes[number % SHAPES];
        struct run run;

        fault.nth = 1 + number / SHAPES;
        run_init(&run, &plan, number);
        fault_env_set(run.faults, fault);
        run_workload(&run);
        hits += fault_env_failures(run.faults) > 0;
        run_fini(&run);
        runs++;
        if (only)
            break;
    }
    printf("faults: %llu calls, %llu runs, %llu with failed calls, 0 failures\n",
           (unsigned long long)calls, (unsigned long long)runs, (unsigned long long)hits);
    ck_assert(only || hits > runs / 2);
    plan_fini(&plan);
}
END_TEST

START_TEST(test_recovery_may_fail_at_any_call_and_begin_again)
{
    uint64_t calls;
    struct plan plan;
    struct run run;

    plan_init(&plan, random_seed(), OPERATIONS);
    run_init(&run, &plan, 0);
    open_store(&run);
    ck_assert_ptr_nonnull(run.store.db);
    for (size_t i = 0; i < plan.count; i++)
        run_operation(&run, &plan.operations[i]);
    calls = recover_under_fault(&run, (struct fault){.nth = UINT64_MAX});
    for (run.number = 0; run.number < calls * SHAPES; run.number += STRIDE) {
        struct fault fault = shapes[run.number % SHAPES];

        fault.nth = 1 + run.number / SHAPES;
        (void)recover_under_fault(&run, fault);
    }
    close_store(&run);
    printf("faults: %llu calls of a recovery, 0 failures\n", (unsigned long long)calls);
    ck_assert_uint_gt(calls, 20);
    run_fini(&run);
    plan_fini(&plan);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("faults");
    TCase *tcase = tcase_create("faults");
    SRunner *runner;
    int failures;

    tcase_set_timeout(tcase, 900);
    tcase_add_test(tcase, test_nothing_is_lost_whatever_call_fails);
    tcase_add_test(tcase, test_recovery_may_fail_at_any_call_and_begin_again);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
