/*
 * test_power.c - a power cut at every env call of a workload.
 *
 * Before every call that the engine makes of its env, images are taken of what a power cut at
 * that moment could leave (all unsynced data kept, none, a random part of its sectors; names of
 * files kept or dropped), reopened, and held against an oracle:
 *
 *     operations   0 1 2 3 4 5 6 7 8 ...
 *                        ^         ^
 *                  durable       issued      the image must equal the state after k
 *                                            operations, durable <= k <= issued
 *
 * States are compared by a hash over all keys, attributes and values of all keyspaces; the
 * hashes of all prefixes are computed beforehand from the model.  Snapshots in the image must
 * hash to the state they were taken of; those acknowledged must be there.
 *
 * LSMKV_SEED replays; LSMKV_IMAGES=N stops after N images (0: all).
 */
#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsmkv.h"
#include "support/mem_env.h"
#include "support/plan.h"
#include "support/random.h"

#define OPERATIONS    500
#define SNAPSHOTS_MAX 64

struct sweep {
    struct plan plan;
    struct mem_env *env;
    struct plan_store store;
    /* Written by the workload, read by the hook on any thread. */
    atomic_size_t issued, durable;
    /* Snapshot "s<i>" sees the state after i operations: when it was asked for, acknowledged,
     * and when its drop was asked for. */
    atomic_bool snapshot_issued[OPERATIONS + 1], snapshot_made[OPERATIONS + 1],
        snapshot_dropping[OPERATIONS + 1], snapshot_dropped[OPERATIONS + 1];
    uint64_t images, images_limit;
    struct random random; /* of the hook */
};

static void
die(const struct sweep *sweep, const char *what, int result)
{
    printf("LSMKV_SEED=%llu: %s: %s (%s)\n", (unsigned long long)sweep->plan.seed, what,
           lsmkv_strerror(result), lsmkv_error_detail());
    fflush(stdout);
    abort();
}

/* ---- one image ---- */

static void
quiet(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    if (level == LSMKV_LOG_ERROR)
        printf("%s\n", line);
}

struct bounds {
    size_t durable, issued;
    bool made[OPERATIONS + 1], dropping[OPERATIONS + 1], issued_at[OPERATIONS + 1],
        dropped[OPERATIONS + 1];
};

struct listed {
    const struct sweep *sweep;
    const struct bounds *bounds;
    struct lsmkv *db;
    bool found[OPERATIONS + 1];
    char names[SNAPSHOTS_MAX * 4][32];
    size_t count;
};

static int
list_name(void *context, const struct lsmkv_snapshot_info *info)
{
    struct listed *listed = context;

    snprintf(listed->names[listed->count++], 32, "%.31s", info->name);
    return 0;
}

static void
check_snapshots(const struct sweep *sweep, const struct bounds *bounds, struct lsmkv *db)
{
    struct listed *listed = calloc(1, sizeof(*listed));

    if (listed == NULL || lsmkv_snapshot_list(db, list_name, listed) != 0)
        die(sweep, "snapshots cannot be listed", 0);
    for (size_t i = 0; i < listed->count; i++) {
        size_t at = strtoull(listed->names[i] + 1, NULL, 10);
        struct lsmkv_snapshot *snapshot;
        uint64_t hash = 0;
        int result = lsmkv_snapshot_open(db, listed->names[i], &snapshot, NULL);

        if (result == 0)
            result = plan_hash_store(db, snapshot, &hash);
        if (result != 0)
            die(sweep, "a snapshot cannot be read", result);
        lsmkv_snapshot_release(db, snapshot);
        if (hash != sweep->plan.hashes[at])
            die(sweep, "a snapshot does not hold the state it was taken of", 0);
        if (!bounds->issued_at[at] || bounds->dropped[at])
            die(sweep, "a snapshot that should not be there", 0);
        listed->found[at] = true;
    }
    for (size_t i = 0; i <= OPERATIONS; i++)
        if (bounds->made[i] && !bounds->dropping[i] && !listed->found[i])
            die(sweep, "an acknowledged snapshot is gone", 0);
    free(listed);
}

static void
check_state(const struct sweep *sweep, const struct bounds *bounds, struct lsmkv *db)
{
    uint64_t hash;
    int result = plan_hash_store(db, NULL, &hash);

    if (result != 0)
        die(sweep, "the reopened store cannot be read", result);
    for (size_t i = bounds->durable; i <= bounds->issued; i++)
        if (hash == sweep->plan.hashes[i])
            return;
    for (size_t i = 0; i <= OPERATIONS; i++)
        if (hash == sweep->plan.hashes[i])
            printf("the image holds %zu operations; durable %zu, issued %zu\n", i,
                   bounds->durable, bounds->issued);
    die(sweep, "the reopened store is not a prefix that holds what was durable", 0);
}

static void
print_finding(void *context, const struct lsmkv_finding *finding)
{
    (void)context;
    if (finding->severity == LSMKV_DAMAGE)
        printf("%s: offset %llu: %s\n", finding->file,
               (unsigned long long)finding->offset, finding->text);
}

/* Opens the image, checks it, writes to it, and opens it once more. */
static void
check_image(const struct sweep *sweep, const struct bounds *bounds, struct mem_env *image)
{
    struct lsmkv_options options = plan_options(mem_env_base(image));
    struct lsmkv_check_options check = {.finding = print_finding};
    struct lsmkv *db;
    struct lsmkv_record record;
    char buffer[16];
    int result;

    options.log = quiet;
    result = lsmkv_check("store", &options, &check);
    /* Before the directory was synced for the first time there is no store. */
    if (result != 0 && result != -ENOENT)
        die(sweep, "a check finds an image damaged", result);
    result = lsmkv_open("store", &options, &db);
    if (result != 0)
        die(sweep, "an image does not open", result);
    check_state(sweep, bounds, db);
    check_snapshots(sweep, bounds, db);
    result = lsmkv_put(db, NULL, lsmkv_str("after"), lsmkv_str(""), lsmkv_str("cut"), 0);
    if (result == 0)
        result = lsmkv_close(db);
    if (result != 0)
        die(sweep, "an image takes no write", result);
    result = lsmkv_open("store", &options, &db);
    if (result == 0)
        result = lsmkv_get(db, NULL, NULL, lsmkv_str("after"), buffer, sizeof(buffer),
                           &record);
    if (result == 0)
        result = lsmkv_close(db);
    if (result != 0)
        die(sweep, "an image does not open a second time", result);
}

/* ---- cutting the power inside recovery, too ---- */

struct second_cut {
    const struct sweep *sweep;
    const struct bounds *bounds;
    struct mem_env *env;
    uint64_t at;
    struct mem_crash policy;
};

static void
cut_again(void *context, uint64_t ordinal, enum env_call call)
{
    struct second_cut *cut = context;
    struct mem_env *image;

    (void)call;
    if (ordinal != cut->at)
        return;
    image = mem_env_crash(cut->env, cut->policy, ordinal);
    check_image(cut->sweep, cut->bounds, image);
    mem_env_free(image);
}

/* Opens the image; when opening makes its `at`-th call the power goes again. */
static void
check_recovery(struct sweep *sweep, const struct bounds *bounds, struct mem_env *image,
               struct mem_crash policy)
{
    struct lsmkv_options options = plan_options(mem_env_base(image));
    struct second_cut cut = {sweep, bounds, image,
                             mem_env_calls(image) + 1 + random_below(&sweep->random, 40),
                             policy};
    struct lsmkv *db;
    int result;

    options.log = quiet;
    mem_env_set_hook(image, cut_again, &cut);
    result = lsmkv_open("store", &options, &db);
    if (result != 0)
        die(sweep, "an image does not open", result);
    mem_env_set_hook(image, NULL, NULL);
    result = lsmkv_close(db);
    if (result != 0)
        die(sweep, "an image does not close", result);
}

static const struct mem_crash policies[] = {
    {MEM_DATA_ALL, MEM_NAMES_KEPT},    {MEM_DATA_NONE, MEM_NAMES_DROPPED},
    {MEM_DATA_NONE, MEM_NAMES_KEPT},   {MEM_DATA_ALL, MEM_NAMES_DROPPED},
    {MEM_DATA_RANDOM, MEM_NAMES_KEPT}, {MEM_DATA_RANDOM, MEM_NAMES_RANDOM},
};

static void
take_bounds_before(struct sweep *sweep, struct bounds *bounds)
{
    bounds->durable = atomic_load(&sweep->durable);
    for (size_t i = 0; i <= OPERATIONS; i++) {
        bounds->made[i] = atomic_load(&sweep->snapshot_made[i]);
        bounds->dropped[i] = atomic_load(&sweep->snapshot_dropped[i]);
    }
}

static void
take_bounds_after(struct sweep *sweep, struct bounds *bounds)
{
    bounds->issued = atomic_load(&sweep->issued);
    for (size_t i = 0; i <= OPERATIONS; i++) {
        bounds->issued_at[i] = atomic_load(&sweep->snapshot_issued[i]);
        bounds->dropping[i] = atomic_load(&sweep->snapshot_dropping[i]);
    }
}

static void
at_call(void *context, uint64_t ordinal, enum env_call call)
{
    struct sweep *sweep = context;

    /* Only a call that changes something makes the state after it another one. */
    if (!env_call_changes(call))
        return;
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        struct bounds bounds;
        struct mem_env *image;

        if (sweep->images_limit != 0 && sweep->images >= sweep->images_limit)
            return;
        take_bounds_before(sweep, &bounds);
        image = mem_env_crash(sweep->env, policies[i], sweep->plan.seed ^ ordinal);
        take_bounds_after(sweep, &bounds);
        if (random_below(&sweep->random, 8) == 0)
            check_recovery(sweep, &bounds, image, policies[i]);
        else
            check_image(sweep, &bounds, image);
        mem_env_free(image);
        sweep->images++;
    }
}

/* ---- running the workload ---- */

static void
open_store(struct sweep *sweep)
{
    struct lsmkv_options options = plan_options(mem_env_base(sweep->env));
    int result = plan_open(&options, &sweep->store);

    if (result != 0)
        die(sweep, "open", result);
}

static int
run_snapshot(struct sweep *sweep, size_t at)
{
    char name[32];
    int result;

    snprintf(name, sizeof(name), "s%zu", at);
    atomic_store(&sweep->snapshot_issued[at], true);
    result = lsmkv_snapshot_create(sweep->store.db, name, NULL);
    if (result == 0)
        atomic_store(&sweep->snapshot_made[at], true);
    return result;
}

/* Drops the oldest snapshot. */
static int
run_drop(struct sweep *sweep)
{
    for (size_t i = 0; i <= OPERATIONS; i++) {
        char name[32];
        int result;

        if (!atomic_load(&sweep->snapshot_made[i]) ||
            atomic_load(&sweep->snapshot_dropping[i]))
            continue;
        snprintf(name, sizeof(name), "s%zu", i);
        atomic_store(&sweep->snapshot_dropping[i], true);
        result = lsmkv_snapshot_drop(sweep->store.db, name);
        if (result == 0)
            atomic_store(&sweep->snapshot_dropped[i], true);
        return result;
    }
    return 0;
}

/* Sets *durable if the operation makes everything so far durable. */
static int
run_operation(struct sweep *sweep, const struct plan_operation *operation, bool *durable)
{
    int result;

    *durable = operation->kind != PLAN_DROP;
    switch (operation->kind) {
    case PLAN_SNAPSHOT:
        return run_snapshot(sweep, operation->number);
    case PLAN_DROP:
        return run_drop(sweep);
    case PLAN_REOPEN:
        result = lsmkv_close(sweep->store.db);
        if (result == 0)
            open_store(sweep);
        return result;
    default:
        return plan_run(&sweep->store, operation, durable);
    }
}

/* Sanitizers look for other things: a tenth of the images is enough for them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IMAGES_DEFAULT 1500
#else
#define IMAGES_DEFAULT 0
#endif

static uint64_t
limit_given(void)
{
    const char *given = getenv("LSMKV_IMAGES");

    return given != NULL ? strtoull(given, NULL, 10) : IMAGES_DEFAULT;
}

START_TEST(test_every_image_is_a_prefix_that_holds_what_was_durable)
{
    struct sweep *sweep = calloc(1, sizeof(*sweep));

    ck_assert_ptr_nonnull(sweep);
    plan_init(&sweep->plan, random_seed(), OPERATIONS);
    sweep->random = random_of(sweep->plan.seed);
    sweep->images_limit = limit_given();
    sweep->env = mem_env_new();
    mem_env_set_hook(sweep->env, at_call, sweep);
    open_store(sweep);
    for (size_t i = 0; i < OPERATIONS; i++) {
        bool durable;
        int result;

        atomic_store(&sweep->issued, i + 1);
        result = run_operation(sweep, &sweep->plan.operations[i], &durable);
        if (result != 0)
            die(sweep, "an operation failed", result);
        if (durable)
            atomic_store(&sweep->durable, i + 1);
    }
    ck_assert_int_eq(lsmkv_close(sweep->store.db), 0);
    mem_env_set_hook(sweep->env, NULL, NULL);
    mem_env_free(sweep->env);
    printf("power: %llu images, 0 failures\n", (unsigned long long)sweep->images);
    ck_assert(sweep->images_limit != 0 || sweep->images >= 10000);
    plan_fini(&sweep->plan);
    free(sweep);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("power");
    TCase *tcase = tcase_create("power");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 900);
    tcase_add_test(tcase, test_every_image_is_a_prefix_that_holds_what_was_durable);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
