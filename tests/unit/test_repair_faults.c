/*
 * lsmkv_repair when it fails or dies under way: there is no new store, or a whole one, and the damaged
 * one is as it was.
 */
#include "repair_fixture.h"
#include "support/suite.h"

static int
refuse_any(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "LOCK") == 0 ? 0 : -EEXIST;
}

/* However full the disk is: no new store, nothing left of it, the old one untouched. */
START_TEST(test_a_full_disk_leaves_nothing)
{
    unsigned failed = 0;

    for (uint64_t more = 0; more < 64; more += 4) {
        struct mem_env *copy = mem_env_kill(rig.memory);
        struct outcome outcome = {.sought = NULL};
        struct env_dir *dir;
        int result;

        mem_env_set_capacity(copy, mem_env_used(copy) + more * 1024);
        result = repair(copy, &outcome);
        if (result != 0) {
            failed++;
            ck_assert_int_eq(result, -ENOSPC);
            if (env_dir_open(mem_env_base(copy), "new", false, &dir) == 0) {
                ck_assert_int_eq(env_dir_list(dir, refuse_any, NULL), 0);
                env_dir_close(dir);
            }
            mem_env_set_capacity(copy, mem_env_used(copy) + (1 << 20));
            ck_assert_int_eq(repair(copy, &outcome), 0);
        }
        mem_env_set_capacity(copy, mem_env_used(copy) + (1 << 20));
        for (size_t i = 0; i < file_count; i++)
            check_unchanged(copy, &files[i]);
        check_new_store(copy, &outcome);
        mem_env_free(copy);
    }
    ck_assert_uint_ge(failed, 3);
}
END_TEST

/* Repairs a copy of which the nth env call fails. */
static int
repair_failing(struct mem_env *copy, struct fault fault, struct outcome *outcome)
{
    struct fault_env *faults = fault_env_new(mem_env_base(copy));
    struct lsmkv_repair_options ask = {.finding = note_finding,
                                       .lost = note_loss,
                                       .rename = name_again,
                                       .context = outcome};
    struct lsmkv_options options = rig.options;
    int result;

    ck_assert_ptr_nonnull(faults);
    fault_env_on_lost_sync(faults, mem_env_lose_unsynced);
    fault_env_set(faults, fault);
    options.env = fault_env_base(faults);
    result = lsmkv_repair("store", "new", &options, &ask);
    if (fault_env_failures(faults) == 0)
        result = 1; /* there are no so many calls */
    fault_env_free(faults);
    return result;
}

/* Whatever call fails: a new store that is sound, and what could not be read was told; or an error,
 * and no store. */
static bool
fail_at(uint64_t nth, bool onwards)
{
    struct fault fault = {
        .call = ENV_CALL_ANY, .nth = nth, .onwards = onwards, .error = EIO};
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct outcome outcome = {.sought = NULL};
    struct lsmkv_options options = rig.options;
    int result = repair_failing(copy, fault, &outcome);
    struct env_dir *dir;
    struct lsmkv *db;

    for (size_t i = 0; i < file_count; i++)
        check_unchanged(copy, &files[i]);
    options.env = mem_env_base(copy);
    options.create = false;
    options.read_only = true;
    if (result == 0 || result == -EUCLEAN) {
        check_new_store(copy, &outcome);
    } else if (result < 0 && lsmkv_open("new", &options, &db) == 0) {
        ck_assert(onwards); /* it could not be removed again */
        ck_assert_int_eq(lsmkv_close(db), 0);
        check_new_store(copy, &outcome);
    } else if (result < 0 && !onwards &&
               env_dir_open(mem_env_base(copy), "new", false, &dir) == 0) {
        ck_assert_int_eq(env_dir_list(dir, refuse_any, NULL), 0);
        env_dir_close(dir);
    }
    mem_env_free(copy);
    return result != 1;
}

START_TEST(test_every_call_fails_once)
{
    uint64_t nth = 1;

    while (fail_at(nth, false))
        nth++;
    ck_assert_uint_gt(nth, 100);
}
END_TEST

START_TEST(test_every_call_fails_from_then_on)
{
    uint64_t nth = 1;

    while (fail_at(nth, true))
        nth += 3;
    ck_assert_uint_gt(nth, 100);
}
END_TEST

struct death {
    struct mem_env *env;
    uint64_t at;
    struct mem_env *image;
};

static void
die(void *context, uint64_t ordinal, enum env_call call)
{
    struct death *death = context;
    struct mem_crash policy = {MEM_DATA_NONE, MEM_NAMES_DROPPED};

    (void)call;
    if (ordinal == death->at)
        death->image = mem_env_crash(death->env, policy, 1);
}

/* Power goes before any call: there is no new store, or a whole one; the old one is as it was. */
START_TEST(test_power_goes_under_way)
{
    uint64_t first, last;
    unsigned none = 0, whole = 0;
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct outcome outcome = {.sought = NULL};

    first = mem_env_calls(copy);
    ck_assert_int_eq(repair(copy, &outcome), 0);
    last = mem_env_calls(copy);
    mem_env_free(copy);
    for (uint64_t at = first + 1; at <= last; at += 3) {
        struct death death = {.at = at};
        struct lsmkv_options options = rig.options;
        struct lsmkv *db;
        int result;

        death.env = mem_env_kill(rig.memory);
        memset(&outcome, 0, sizeof(outcome));
        mem_env_set_hook(death.env, die, &death);
        ck_assert_int_eq(repair(death.env, &outcome), 0);
        mem_env_set_hook(death.env, NULL, NULL);
        mem_env_free(death.env);
        if (death.image == NULL)
            continue;
        for (size_t i = 0; i < file_count; i++)
            check_unchanged(death.image, &files[i]);
        options.env = mem_env_base(death.image);
        options.create = false;
        options.read_only = true;
        result = lsmkv_open("new", &options, &db);
        if (result == 0) {
            whole++;
            ck_assert_int_eq(lsmkv_close(db), 0);
            check_new_store(death.image, &outcome);
            ck_assert_uint_eq(outcome.missing, 0);
        } else {
            none++;
            ck_assert_int_eq(result, -ENOENT);
        }
        mem_env_free(death.image);
    }
    ck_assert_uint_gt(none, 5);
    ck_assert_uint_gt(whole, 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("repair_faults");
    TCase *tcase = tcase_create("repair_faults");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, test_a_full_disk_leaves_nothing);
    tcase_add_test(tcase, test_every_call_fails_once);
    tcase_add_test(tcase, test_every_call_fails_from_then_on);
    tcase_add_test(tcase, test_power_goes_under_way);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
