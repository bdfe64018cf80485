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
 * States are compared by a hash over all keys, attributes and values of two keyspaces; the
 * hashes of all prefixes are computed beforehand from the model.  Snapshots in the image must
 * hash to the state they were taken of; those acknowledged must be there, as must other
 * keyspaces that come and go beside.  Recoveries are cut, too (turns/cuts.h).
 *
 * With every second seed the manifest is about to be rolled when the sweep begins.  The threads
 * take turns (turns/turns.h), so that a seed gives the same images again.  Round after round, each with the
 * seed after the last one's, it runs until there were enough different images.
 *
 * LSMKV_SEED replays, beginning with that round; LSMKV_IMAGES=N stops after N different images.
 */
#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collected.h"
#include "lsmkv.h"
#include "support/mem_env.h"
#include "support/plan.h"
#include "support/random.h"
#include "support/suite.h"
#include "turns/cuts.h"
#include "turns/turns.h"

#define OPERATIONS     250
#define IMAGES         10000
#define MANIFEST_ROLLS (1 << 20) /* bytes; see manifest/manifest.c */
#define MANIFEST_LEFT  100       /* of those when the sweep begins */

/* Some of the keyspaces that come and go hold values that were collected. */
static bool
has_collected(size_t keyspace)
{
    return keyspace % 120 == 0;
}

/* Something with a name that comes and goes: "s12" is what operation 12 made. */
struct things {
    atomic_bool asked[OPERATIONS], made[OPERATIONS], dropping[OPERATIONS],
        dropped[OPERATIONS];
};

/* The same at one moment. */
struct things_then {
    bool asked[OPERATIONS], made[OPERATIONS], dropping[OPERATIONS], dropped[OPERATIONS];
};

/* What the workload did; all must be there, or it proves less than it says. */
struct done {
    uint64_t flushes, compactions, small_moves, large_moves, renames, snapshots, drops,
        rollbacks, keyspaces, keyspace_drops, reopenings, deaths, collected;
};

struct sweep {
    struct plan plan;
    struct mem_env *env;
    struct plan_store store;
    /* Written by the workload, read by the hook on any thread. */
    atomic_size_t issued, durable;
    struct things snapshots, keyspaces;
    bool held[OPERATIONS]
             [OPERATIONS]; /* which keyspaces a snapshot saw with their record */
    struct done done;
    struct cuts cuts;
};

struct bounds {
    size_t durable, issued;
    struct things_then snapshots, keyspaces;
};

/* What an image holds. */
struct look {
    uint64_t state;
    bool snapshots[OPERATIONS], keyspaces[OPERATIONS];
};

static void
die(const struct sweep *sweep, const char *what, int result)
{
    printf("LSMKV_SEED=%llu: %s: %s (%s)\n", (unsigned long long)sweep->plan.seed, what,
           lsmkv_strerror(result), lsmkv_error_detail());
    fflush(stdout);
    abort();
}

static void
quiet(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    if (level == LSMKV_LOG_ERROR)
        printf("%s\n", line);
}

/* ---- what an image holds ---- */

static int
list_snapshot(void *context, const struct lsmkv_snapshot_info *info)
{
    bool *found = context;

    if (info->name[0] == 's')
        found[strtoull(info->name + 1, NULL, 10)] = true;
    return 0;
}

static int
list_keyspace(void *context, const char *name, enum lsmkv_order order)
{
    bool *found = context;

    (void)order;
    if (name[0] == 'k')
        found[strtoull(name + 1, NULL, 10)] = true;
    return 0;
}

static void
look_at_snapshots(const struct sweep *sweep, struct lsmkv *db, struct look *look)
{
    int result = lsmkv_snapshot_list(db, list_snapshot, look->snapshots);

    if (result != 0)
        die(sweep, "snapshots cannot be listed", result);
    for (size_t i = 0; i < OPERATIONS; i++) {
        struct lsmkv_snapshot *snapshot;
        uint64_t hash = 0;
        char name[32];

        if (!look->snapshots[i])
            continue;
        snprintf(name, sizeof(name), "s%zu", i);
        result = lsmkv_snapshot_open(db, name, &snapshot, NULL);
        if (result == 0)
            result = plan_hash_store(db, snapshot, &hash);
        if (result != 0)
            die(sweep, "a snapshot cannot be read", result);
        lsmkv_snapshot_release(db, snapshot);
        if (hash != sweep->plan.hashes[i])
            die(sweep, "a snapshot does not hold the state it was taken of", 0);
    }
}

/* Each holds one record, put durably after it was made and filled, or none if the power went between or a
 * rollback emptied it. */
static void
look_at_keyspaces(const struct sweep *sweep, struct lsmkv *db, struct look *look)
{
    bool there[OPERATIONS] = {false};
    int result = lsmkv_keyspace_list(db, list_keyspace, there);

    for (size_t i = 0; i < OPERATIONS && result == 0; i++) {
        struct lsmkv_keyspace *keyspace;
        struct lsmkv_record record;
        char name[32], buffer[32];

        if (!there[i])
            continue;
        snprintf(name, sizeof(name), "k%zu", i);
        result = lsmkv_keyspace_open(db, name, &keyspace);
        if (result != 0)
            break;
        result = lsmkv_get(db, keyspace, NULL, lsmkv_str(name), buffer, sizeof(buffer),
                           &record);
        look->keyspaces[i] = result == 0;
        if (result == 0 && has_collected(i))
            result = collected_check(db, keyspace);
        if (result == -ENOENT)
            result = 0;
    }
    if (result != 0)
        die(sweep, "keyspaces cannot be read", result);
}

/* Writes to what was opened, closes it, and opens it once more. */
static void
go_on(const struct sweep *sweep, const struct lsmkv_options *options, struct lsmkv *db)
{
    struct lsmkv_record record;
    char buffer[16];
    int result =
        lsmkv_put(db, NULL, lsmkv_str("after"), lsmkv_str(""), lsmkv_str("cut"), 0);

    if (result == 0)
        result = lsmkv_close(db);
    if (result != 0)
        die(sweep, "an image takes no write", result);
    result = lsmkv_open("store", options, &db);
    if (result == 0)
        result = lsmkv_get(db, NULL, NULL, lsmkv_str("after"), buffer, sizeof(buffer),
                           &record);
    if (result == 0)
        result = lsmkv_close(db);
    if (result != 0)
        die(sweep, "an image does not open a second time", result);
}

static void *
look_at(void *context, struct mem_env *image)
{
    struct sweep *sweep = context;
    struct lsmkv_options options = plan_options(mem_env_base(image));
    struct look *look = mem_need(sizeof(*look));
    struct lsmkv *db;
    int result;

    options.log = quiet;
    result = plan_check(&options);
    if (result != 0)
        die(sweep, "a check finds an image damaged", result);
    if (cuts_opening(&sweep->cuts, image)) {
        result = lsmkv_open("store", &options, &db);
        if (result == 0)
            result = lsmkv_settle(db);
        cuts_opened(&sweep->cuts, image);
    } else {
        result = lsmkv_open("store", &options, &db);
    }
    if (result != 0)
        die(sweep, "an image does not open", result);
    result = plan_hash_store(db, NULL, &look->state);
    if (result != 0)
        die(sweep, "the reopened store cannot be read", result);
    look_at_snapshots(sweep, db, look);
    look_at_keyspaces(sweep, db, look);
    go_on(sweep, &options, db);
    return look;
}

/* ---- whether it may hold that now ---- */

static void
judge_things(const struct sweep *sweep, const char *what, const bool *found,
             const struct things_then *then)
{
    for (size_t i = 0; i < OPERATIONS; i++) {
        if (found[i] ? then->asked[i] && !then->dropped[i]
                     : !then->made[i] || then->dropping[i])
            continue;
        printf("%s %zu is %s\n", what, i, found[i] ? "there" : "gone");
        die(sweep,
            found[i] ? "something that should not be there"
                     : "something acknowledged is gone",
            0);
    }
}

static void
judge(void *context, const void *seen, const void *at)
{
    const struct sweep *sweep = context;
    const struct bounds *bounds = at;
    const struct look *look = seen;
    size_t i = bounds->durable;

    while (i <= bounds->issued && look->state != sweep->plan.hashes[i])
        i++;
    if (i > bounds->issued) {
        for (i = 0; i <= OPERATIONS; i++)
            if (look->state == sweep->plan.hashes[i])
                printf("the image holds %zu operations; durable %zu, issued %zu\n", i,
                       bounds->durable, bounds->issued);
        die(sweep, "the reopened store is not a prefix that holds what was durable", 0);
    }
    judge_things(sweep, "snapshot", look->snapshots, &bounds->snapshots);
    judge_things(sweep, "keyspace", look->keyspaces, &bounds->keyspaces);
}

/* ---- taking images ---- */

static void
load(bool *to, const atomic_bool *from)
{
    for (size_t i = 0; i < OPERATIONS; i++)
        to[i] = atomic_load(&from[i]);
}

/* With real threads the workload goes on meanwhile, but its next call waits for this one: what
 * it asked for by now is all that can be in an image, and what is durable can only grow. */
static void
at_call(void *context, uint64_t ordinal, enum env_call call)
{
    struct sweep *sweep = context;
    struct bounds *bounds;

    if (call == ENV_CALL_DIR_RENAME)
        sweep->done.renames++;
    /* Only a call that changes something makes the state after it another one. */
    if (!cuts_wants(&sweep->cuts, ordinal, call))
        return;
    bounds = mem_need(sizeof(*bounds));
    bounds->durable = atomic_load(&sweep->durable);
    load(bounds->snapshots.made, sweep->snapshots.made);
    load(bounds->snapshots.dropped, sweep->snapshots.dropped);
    load(bounds->keyspaces.made, sweep->keyspaces.made);
    load(bounds->keyspaces.dropped, sweep->keyspaces.dropped);
    bounds->issued = atomic_load(&sweep->issued);
    load(bounds->snapshots.asked, sweep->snapshots.asked);
    load(bounds->snapshots.dropping, sweep->snapshots.dropping);
    load(bounds->keyspaces.asked, sweep->keyspaces.asked);
    load(bounds->keyspaces.dropping, sweep->keyspaces.dropping);
    cuts_take(&sweep->cuts, sweep->env, ordinal, bounds);
    free(bounds);
}

/* ---- running the workload ---- */

static struct lsmkv_stats
stats_of(struct sweep *sweep)
{
    struct lsmkv_stats stats;
    int result = lsmkv_get_stats(sweep->store.db, &stats);

    if (result != 0)
        die(sweep, "stats", result);
    return stats;
}

static void
open_store(struct sweep *sweep)
{
    struct lsmkv_options options = plan_options(mem_env_base(sweep->env));
    int result;

    options.log = quiet;
    result = plan_open(&options, &sweep->store);

    if (result != 0)
        die(sweep, "open", result);
}

static void
close_store(struct sweep *sweep)
{
    struct lsmkv_stats stats = stats_of(sweep);
    int result = lsmkv_close(sweep->store.db);

    sweep->done.flushes += stats.flushes;
    sweep->done.compactions += stats.compactions;
    if (result != 0)
        die(sweep, "close", result);
}

static uint64_t
manifest_left(struct sweep *sweep)
{
    struct env_dir *dir = NULL;
    struct env_file *file = NULL;
    uint64_t size = 0;
    int result = env_dir_open(mem_env_base(sweep->env), "store", false, &dir);

    if (result == 0)
        result = env_file_open(dir, "MANIFEST", ENV_READ, &file);
    if (result == 0)
        result = env_file_size(file, &size);
    if (result != 0)
        die(sweep, "the manifest cannot be measured", result);
    (void)env_file_close(file);
    env_dir_close(dir);
    return size < MANIFEST_ROLLS ? MANIFEST_ROLLS - size : 0;
}

/* Lines that come to nothing, until the manifest is about to be rolled: one more keyspace, and
 * it is.  It must not take longer, for the large one is slow to open. */
static void
fill_manifest(struct sweep *sweep)
{
    char name[LSMKV_NAME_MAX + 1];
    int result = 0;

    while (result == 0 && manifest_left(sweep) > MANIFEST_LEFT) {
        size_t length = manifest_left(sweep) > 4096 ? LSMKV_NAME_MAX : 1;

        memset(name, 'f', length);
        name[length] = '\0';
        result = lsmkv_snapshot_create(sweep->store.db, name, NULL);
        if (result == 0)
            result = lsmkv_snapshot_drop(sweep->store.db, name);
    }
    if (result != 0)
        die(sweep, "the manifest cannot be filled", result);
}

static int
run_snapshot(struct sweep *sweep, size_t at)
{
    char name[32];
    int result;

    snprintf(name, sizeof(name), "s%zu", at);
    for (size_t i = 0; i < OPERATIONS; i++)
        sweep->held[at][i] = atomic_load(&sweep->keyspaces.made[i]) &&
                             !atomic_load(&sweep->keyspaces.dropping[i]);
    atomic_store(&sweep->snapshots.asked[at], true);
    result = lsmkv_snapshot_create(sweep->store.db, name, NULL);
    if (result == 0)
        atomic_store(&sweep->snapshots.made[at], true);
    sweep->done.snapshots++;
    return result;
}

/* The first that is there, or OPERATIONS. */
static size_t
oldest(const struct things *things)
{
    size_t i = 0;

    while (i < OPERATIONS &&
           (!atomic_load(&things->made[i]) || atomic_load(&things->dropping[i])))
        i++;
    return i;
}

static int
run_drop(struct sweep *sweep)
{
    size_t at = oldest(&sweep->snapshots);
    char name[32];
    int result;

    if (at == OPERATIONS)
        return 0;
    snprintf(name, sizeof(name), "s%zu", at);
    atomic_store(&sweep->snapshots.dropping[at], true);
    result = lsmkv_snapshot_drop(sweep->store.db, name);
    if (result == 0)
        atomic_store(&sweep->snapshots.dropped[at], true);
    sweep->done.drops++;
    return result;
}

static int
make_keyspace(struct sweep *sweep, size_t at)
{
    const struct lsmkv_keyspace_options options = {
        .order = at % 60 == 0 ? LSMKV_ORDER_PATH : LSMKV_ORDER_BYTES,
        .compression = at % 90 == 0 ? LSMKV_COMPRESSION_LZ4 : LSMKV_COMPRESSION_NONE};
    struct lsmkv_keyspace *keyspace;
    uint64_t read = 0;
    char name[32];
    int result;

    snprintf(name, sizeof(name), "k%zu", at);
    atomic_store(&sweep->keyspaces.asked[at], true);
    result = lsmkv_keyspace_create_with(sweep->store.db, name, &options, &keyspace);
    if (result == 0 && has_collected(at))
        result = collected_make(sweep->store.db, keyspace, &read);
    sweep->done.collected += read;
    if (result == 0)
        result = lsmkv_put(sweep->store.db, keyspace, lsmkv_str(name), lsmkv_str(""),
                           lsmkv_str("there"), 0);
    if (result == 0)
        atomic_store(&sweep->keyspaces.made[at], true);
    sweep->done.keyspaces++;
    return result;
}

/* It stays as long as a snapshot may see it. */
static int
drop_keyspace(struct sweep *sweep)
{
    size_t at = oldest(&sweep->keyspaces);
    struct lsmkv_keyspace *keyspace;
    char name[32];
    int result;

    if (at == OPERATIONS)
        return 0;
    snprintf(name, sizeof(name), "k%zu", at);
    result = lsmkv_keyspace_open(sweep->store.db, name, &keyspace);
    if (result != 0)
        return result;
    atomic_store(&sweep->keyspaces.dropping[at], true);
    result = lsmkv_keyspace_drop(sweep->store.db, keyspace);
    if (result == -EBUSY) {
        atomic_store(&sweep->keyspaces.dropping[at], false);
        return 0;
    }
    atomic_store(&sweep->keyspaces.dropped[at], result == 0);
    sweep->done.keyspace_drops++;
    return result;
}

static int
run_move(struct sweep *sweep, const struct plan_operation *operation, bool *durable)
{
    struct lsmkv_stats before = stats_of(sweep), after;
    int result = plan_run(&sweep->store, operation, durable);

    after = stats_of(sweep);
    if (after.writes > before.writes)
        sweep->done.small_moves++;
    else if (after.sequence > before.sequence)
        sweep->done.large_moves++;
    return result;
}

/* Those that the snapshot saw have their record after a rollback, be it again; others are empty.
 * Until it is `done` either may be. */
static void
roll_back_keyspaces(struct sweep *sweep, size_t target, bool done)
{
    struct things *keyspaces = &sweep->keyspaces;

    for (size_t i = 0; i < OPERATIONS; i++) {
        bool held = sweep->held[target][i];

        if (!atomic_load(&keyspaces->asked[i]))
            continue;
        if (held)
            atomic_store(&keyspaces->dropped[i], false);
        if (held == done)
            atomic_store(&keyspaces->dropping[i], !held);
        if (!held && done)
            atomic_store(&keyspaces->dropped[i], true);
    }
}

static int
run_rollback(struct sweep *sweep, size_t target)
{
    struct lsmkv_snapshot *snapshot;
    char name[32];
    int result;

    snprintf(name, sizeof(name), "s%zu", target);
    result = lsmkv_snapshot_open(sweep->store.db, name, &snapshot, NULL);
    if (result != 0)
        return result;
    roll_back_keyspaces(sweep, target, false);
    result = lsmkv_rollback(sweep->store.db, snapshot, NULL);
    lsmkv_snapshot_release(sweep->store.db, snapshot);
    if (result == 0)
        roll_back_keyspaces(sweep, target, true);
    sweep->done.rollbacks++;
    return result;
}

/* The process dies and another goes on: what it finds written is not yet durable. */
static void
kill_store(struct sweep *sweep)
{
    struct mem_env *survivor = mem_env_kill(sweep->env);

    mem_env_set_hook(sweep->env, NULL, NULL);
    close_store(sweep);
    mem_env_free(sweep->env);
    sweep->env = survivor;
    mem_env_set_hook(sweep->env, at_call, sweep);
    open_store(sweep);
    sweep->done.deaths++;
}

static void
reopen(struct sweep *sweep)
{
    close_store(sweep);
    open_store(sweep);
    sweep->done.reopenings++;
}

/* Sets *durable if the operation makes everything so far durable. */
static int
run_operation(struct sweep *sweep, const struct plan_operation *operation, bool *durable)
{
    *durable = operation->kind != PLAN_DROP;
    switch (operation->kind) {
    case PLAN_SNAPSHOT:
        return run_snapshot(sweep, operation->number);
    case PLAN_DROP:
        return run_drop(sweep);
    case PLAN_REOPEN:
        *durable = operation->sync;
        if (operation->sync)
            reopen(sweep);
        else
            kill_store(sweep);
        return 0;
    case PLAN_MOVE:
        return run_move(sweep, operation, durable);
    case PLAN_ROLLBACK:
        return run_rollback(sweep, operation->target);
    default:
        return plan_run(&sweep->store, operation, durable);
    }
}

/* Beside the plan: what it does not know, and what it may not draw. */
static int
run_beside(struct sweep *sweep, size_t i)
{
    if (i == OPERATIONS / 3)
        reopen(sweep);
    if (i == OPERATIONS / 2)
        kill_store(sweep);
    if (i % 30 == 0)
        return make_keyspace(sweep, i);
    return i % 15 == 5 ? drop_keyspace(sweep) : 0;
}

static void
run_round(struct sweep *sweep, uint64_t seed, size_t operations)
{
    plan_init(&sweep->plan, seed, OPERATIONS);
    cuts_begin_round(&sweep->cuts, seed);
    memset(&sweep->snapshots, 0, sizeof(sweep->snapshots));
    memset(&sweep->keyspaces, 0, sizeof(sweep->keyspaces));
    sweep->durable = sweep->issued = 0;
    turns_begin(seed);
    sweep->env = mem_env_new();
    mem_env_set_hook(sweep->env, at_call, sweep);
    open_store(sweep);
    if (seed % 2 == 0) {
        mem_env_set_hook(sweep->env, NULL, NULL);
        fill_manifest(sweep);
        mem_env_set_hook(sweep->env, at_call, sweep);
    }
    for (size_t i = 0; i < operations; i++) {
        bool durable = false;
        int result = run_beside(sweep, i);

        atomic_store(&sweep->issued, i + 1);
        if (result == 0)
            result = run_operation(sweep, &sweep->plan.operations[i], &durable);
        if (result != 0)
            die(sweep, "an operation failed", result);
        if (durable)
            atomic_store(&sweep->durable, i + 1);
    }
    close_store(sweep);
    mem_env_set_hook(sweep->env, NULL, NULL);
    mem_env_free(sweep->env);
    turns_end();
    cuts_end_round(&sweep->cuts);
    plan_fini(&sweep->plan);
}

static struct sweep *
sweep_new(uint64_t limit)
{
    struct sweep *sweep = mem_need(sizeof(*sweep));

    sweep->cuts =
        (struct cuts){.context = sweep, .look = look_at, .judge = judge, .limit = limit};
    return sweep;
}

static void
sweep_free(struct sweep *sweep)
{
    cuts_fini(&sweep->cuts);
    free(sweep);
}

static void
print_done(const struct sweep *sweep, uint64_t rounds)
{
    const struct done *done = &sweep->done;
    const struct cuts *cuts = &sweep->cuts;

    printf("power: %llu images, %llu distinct, 0 failures (%llu, %llu and %llu of them "
           "in recoveries from a cut, from two and from three), digest %016llx\n",
           (unsigned long long)cuts->images, (unsigned long long)cuts_distinct(cuts),
           (unsigned long long)cuts->again[1], (unsigned long long)cuts->again[2],
           (unsigned long long)cuts->again[3], (unsigned long long)cuts->digest);
    printf(
        "power: rounds %llu, flushes %llu, compactions %llu, moves %llu small and "
        "%llu large, manifests renamed %llu, snapshots %llu and drops %llu, rollbacks "
        "%llu, keyspaces %llu and drops %llu, reopenings %llu, deaths %llu and %llu, values "
        "collected %llu\n",
        (unsigned long long)rounds, (unsigned long long)done->flushes,
        (unsigned long long)done->compactions, (unsigned long long)done->small_moves,
        (unsigned long long)done->large_moves, (unsigned long long)done->renames,
        (unsigned long long)done->snapshots, (unsigned long long)done->drops,
        (unsigned long long)done->rollbacks, (unsigned long long)done->keyspaces,
        (unsigned long long)done->keyspace_drops, (unsigned long long)done->reopenings,
        (unsigned long long)done->deaths, (unsigned long long)cuts->deaths,
        (unsigned long long)done->collected);
}

START_TEST(test_every_image_is_a_prefix_that_holds_what_was_durable)
{
    struct sweep *sweep = sweep_new(cuts_limit_given(IMAGES));
    const struct done *done = &sweep->done;
    uint64_t seed = random_seed(), rounds = 0;

    do
        run_round(sweep, seed + rounds++, OPERATIONS);
    while (!cuts_are_enough(&sweep->cuts));
    print_done(sweep, rounds);
    if (sweep->cuts.limit >= IMAGES) {
        ck_assert_uint_gt(sweep->cuts.again[CUTS_DEPTH], 0);
        ck_assert_uint_gt(done->renames, rounds); /* the first of each made the store */
        ck_assert(done->flushes > 0 && done->compactions > 0);
        ck_assert(done->small_moves > 0 && done->large_moves > 0);
        ck_assert(done->snapshots > 0 && done->drops > 0 && done->reopenings > 0 &&
                  done->deaths > 0);
        ck_assert(done->keyspaces > 0 && done->keyspace_drops > 0);
        ck_assert(done->rollbacks > 0 && done->collected > 0);
    }
    sweep_free(sweep);
}
END_TEST

#if !defined(__SANITIZE_THREAD__)
START_TEST(test_a_seed_gives_its_images_again)
{
    uint64_t digests[2];

    for (int i = 0; i < 2; i++) {
        struct sweep *sweep = sweep_new(300);

        run_round(sweep, 7, 60);
        digests[i] = sweep->cuts.digest;
        sweep_free(sweep);
    }
    ck_assert_uint_eq(digests[0], digests[1]);
}
END_TEST
#endif

int
main(void)
{
    Suite *suite = suite_create("power");
    TCase *tcase = tcase_create("power");

    tcase_set_timeout(tcase, 3600);
    tcase_add_test(tcase, test_every_image_is_a_prefix_that_holds_what_was_durable);
#if !defined(__SANITIZE_THREAD__)
    tcase_add_test(tcase, test_a_seed_gives_its_images_again);
#endif
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
