/*
 * test_faults.c - every env call of a workload fails: once, and from then on.
 *
 * The calls of a run without faults are counted; then the workload runs once for each of them
 * and each shape of fault: opening, operations, closing, opening again.  trial.h says against
 * what it is held.
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
#include "support/rounds.h"
#include "support/suite.h"
#include "support/trial.h"

static const struct fault shapes[] = {
    {.call = ENV_CALL_ANY, .error = EIO},
    {.call = ENV_CALL_ANY, .error = EIO, .onwards = true},
    {.call = ENV_CALL_ANY, .error = EIO, .partial_write = true},
    {.call = ENV_CALL_ANY, .error = ENOSPC, .partial_write = true},
    {.call = ENV_CALL_ANY, .error = ENOSPC, .onwards = true},
    {.call = ENV_CALL_ANY, .error = EINTR},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void
heal(struct trial *trial)
{
    fault_env_heal(trial->context);
}

static struct fault_env *
begin(struct trial *trial, const struct plan *plan, uint64_t number)
{
    struct fault_env *faults;

    trial_init(trial, plan, number);
    faults = fault_env_new(trial->env);
    fault_env_on_lost_sync(faults, mem_env_lose_unsynced);
    trial->env = fault_env_base(faults);
    trial->variable = "LSMKV_FAULT";
    trial->heal = heal;
    trial->heal_opened = number % 3 == 0;
    trial->context = faults;
    return faults;
}

static void
end(struct trial *trial)
{
    fault_env_free(trial->context);
    trial_fini(trial);
}

static uint64_t
count_calls(const struct plan *plan)
{
    struct trial trial;
    struct fault_env *faults = begin(&trial, plan, 1);
    uint64_t calls;

    trial_run(&trial);
    calls = fault_env_calls(faults, ENV_CALL_ANY);
    end(&trial);
    return calls;
}

/* ---- opening what a power cut left ---- */

/* Opens an image with a fault and closes it; returns how many calls that took. */
static uint64_t
recover_under_fault(struct trial *trial, struct fault fault)
{
    static const struct mem_crash policy = {MEM_DATA_RANDOM, MEM_NAMES_RANDOM};
    struct mem_env *image = mem_env_crash(trial->memory, policy, trial->plan->seed);
    struct fault_env *faults = fault_env_new(mem_env_base(image));
    struct lsmkv_options options = trial_options(fault_env_base(faults));
    struct plan_store store;
    uint64_t hash, calls;

    fault_env_on_lost_sync(faults, mem_env_lose_unsynced);
    fault_env_set(faults, fault);
    if (plan_open(&options, &store) == 0) {
        if (plan_hash_store(store.db, NULL, &hash) == 0 && !trial_is_state(trial, hash))
            trial_die(trial, "recovered under a fault it holds another state", 0);
        (void)lsmkv_close(store.db); /* fails, or not */
    }
    calls = fault_env_calls(faults, ENV_CALL_ANY);
    fault_env_free(faults);
    trial_check_reopened(trial, image, trial->durable);
    mem_env_free(image);
    return calls;
}

START_TEST(test_nothing_is_lost_whatever_call_fails)
{
    const char *only = getenv("LSMKV_FAULT");
    uint64_t first = only ? strtoull(only, NULL, 10) : 0, calls, runs = 0, hits = 0;
    struct plan plan;

    plan_init(&plan, random_seed(), TRIAL_OPERATIONS);
    calls = count_calls(&plan);
    for (uint64_t number = first; number < calls * SHAPES; number += rounds_one_in()) {
        struct fault fault = shapes[number % SHAPES];
        struct trial trial;
        struct fault_env *faults = begin(&trial, &plan, number);

        fault.nth = 1 + number / SHAPES;
        fault_env_set(faults, fault);
        trial_run(&trial);
        hits += fault_env_failures(faults) > 0;
        end(&trial);
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
    struct trial trial;

    plan_init(&plan, random_seed(), TRIAL_OPERATIONS);
    (void)begin(&trial, &plan, 0);
    trial_open(&trial);
    ck_assert_ptr_nonnull(trial.store.db);
    trial_operate(&trial);
    calls = recover_under_fault(&trial, (struct fault){.nth = UINT64_MAX});
    for (trial.number = 0; trial.number < calls * SHAPES;
         trial.number += rounds_one_in()) {
        struct fault fault = shapes[trial.number % SHAPES];

        fault.nth = 1 + trial.number / SHAPES;
        (void)recover_under_fault(&trial, fault);
    }
    trial_close(&trial);
    printf("faults: %llu calls of a recovery, 0 failures\n", (unsigned long long)calls);
    ck_assert_uint_gt(calls, 20);
    end(&trial);
    plan_fini(&plan);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("faults");
    TCase *tcase = tcase_create("faults");

    tcase_set_timeout(tcase, 900);
    tcase_add_test(tcase, test_nothing_is_lost_whatever_call_fails);
    tcase_add_test(tcase, test_recovery_may_fail_at_any_call_and_begin_again);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
