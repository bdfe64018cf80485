/*
 * test_memory.c - every allocation of a workload fails: once, and from then on.
 *
 * The workload is that of test_faults.c, and is held against the same (trial.h), but more is asked:
 * what fails says -ENOMEM and leaves nothing behind, opened again or not; nothing is poisoned; when
 * memory returns, writes, flushes and merges go on in the store that is open.  Its allocations are
 * too many for each run of this test: so many of them as RUNS says fail, others each time.
 *
 * Then every public call by itself, for each of its allocations: it does what it should, or says
 * -ENOMEM and the store is as before.
 *
 * LSMKV_SEED replays; LSMKV_FAULT=N makes only the N-th run, which a failure names; LSMKV_RUNS sets
 * how many are made (0: all).
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsmkv.h"
#include "support/failing_alloc.h"
#include "support/rounds.h"
#include "support/suite.h"
#include "support/trial.h"

/* Of a failure from then on: does memory return before the store is closed? */
static const struct shape {
    bool onwards, heal_opened;
} shapes[] = {{false, true}, {true, true}, {true, false}};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void
heal(struct trial *trial)
{
    (void)trial;
    failing_alloc_heal();
}

static void
run(const struct plan *plan, uint64_t number, uint64_t nth, struct shape shape)
{
    struct trial trial;

    failing_alloc_set(nth, shape.onwards);
    trial_init(&trial, plan, number);
    trial.variable = "LSMKV_FAULT";
    trial.heal = heal;
    trial.pause = failing_alloc_pause;
    trial.only_error = -ENOMEM;
    trial.heal_opened = shape.heal_opened;
    trial_run(&trial);
    trial_fini(&trial);
}

#define RUNS 2400 /* those of rounds.h among them are made */

/* Every how many-th run is made, so that they are as many; of each shape. */
static uint64_t
stride_of(uint64_t all)
{
    const char *text = getenv("LSMKV_RUNS");
    uint64_t wanted = text ? strtoull(text, NULL, 10) : rounds_of(RUNS, 0);
    uint64_t stride = wanted > 0 && all > wanted ? (all + wanted - 1) / wanted : 1;

    return stride % SHAPES == 0 ? stride + 1 : stride;
}

START_TEST(test_nothing_is_lost_whatever_allocation_fails)
{
    const char *only = getenv("LSMKV_FAULT");
    uint64_t seed = random_seed(), runs = 0, hits = 0, calls, stride, number;
    struct plan plan;

    plan_init(&plan, seed, TRIAL_OPERATIONS);
    run(&plan, 0, 0, shapes[2]);
    calls = failing_alloc_calls();
    ck_assert_uint_gt(calls, 500);
    stride = stride_of(calls * SHAPES);
    for (number = only ? strtoull(only, NULL, 10) : seed % stride;
         number < calls * SHAPES; number += stride) {
        run(&plan, number, 1 + number / SHAPES, shapes[number % SHAPES]);
        hits += failing_alloc_failures() > 0;
        runs++;
        if (only)
            break;
    }
    printf("memory: %llu allocations, %llu runs, %llu with failures, 0 wrong\n",
           (unsigned long long)calls, (unsigned long long)runs, (unsigned long long)hits);
    ck_assert(only || hits > runs / 3);
    plan_fini(&plan);
}
END_TEST

/* ---- one call at a time ---- */

static struct mem_env *disk;
static struct plan_store store;
static unsigned damage;

static struct lsmkv_options
options_here(void)
{
    return trial_options(mem_env_base(disk));
}

static int
call_get(void)
{
    char buffer[8192];
    struct lsmkv_record record;
    int result = lsmkv_get(store.db, NULL, NULL, lsmkv_str("kept/a"), buffer,
                           sizeof(buffer), &record);

    ck_assert(result != 0 || record.value.size == 5000);
    return result;
}

static int
call_get_held(void)
{
    struct lsmkv_held *held;
    int result = lsmkv_get_held(store.db, NULL, NULL, lsmkv_str("kept/a"), &held);

    if (result == 0) {
        ck_assert_uint_eq(lsmkv_held_record(held)->value.size, 5000);
        lsmkv_held_release(held);
    }
    return result;
}

static int
call_lookup(void)
{
    int presence =
        lsmkv_lookup(store.db, NULL, NULL, lsmkv_str("kept"), false, NULL, 0, NULL);

    ck_assert(presence < 0 || presence == LSMKV_IMPLIED);
    return presence < 0 ? presence : 0;
}

static int
call_scan(void)
{
    uint64_t hash, again;
    int result = plan_hash_store(store.db, NULL, &hash);

    if (result == 0) {
        failing_alloc_heal();
        ck_assert_int_eq(plan_hash_store(store.db, NULL, &again), 0);
        ck_assert_uint_eq(hash, again);
    }
    return result;
}

/* Keys that are passed over are a lie: the damage is not there. */
static int
walk(int (*make)(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                 const struct lsmkv_iter_options *options, struct lsmkv_iter **iter),
     bool backwards, size_t *count)
{
    struct lsmkv_iter *iter;
    int result = make(store.db, NULL, NULL, &iter);

    *count = 0;
    if (result != 0)
        return result;
    if (backwards)
        lsmkv_iter_last(iter);
    else
        lsmkv_iter_first(iter);
    for (; lsmkv_iter_valid(iter); ++*count)
        if (backwards)
            lsmkv_iter_prev(iter);
        else
            lsmkv_iter_next(iter);
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

static int
expect_as_many(int result, size_t count)
{
    size_t all;

    if (result != 0)
        return result;
    failing_alloc_heal();
    ck_assert_int_eq(walk(lsmkv_iter_new, false, &all), 0);
    ck_assert_uint_eq(count, all);
    return 0;
}

static int
call_walk_back(void)
{
    size_t count;
    int result = walk(lsmkv_iter_new, true, &count);

    return expect_as_many(result, count);
}

static int
call_walk_salvaging(void)
{
    size_t count;
    int result = walk(lsmkv_iter_new_salvaging, false, &count);

    return expect_as_many(result, count);
}

static int
call_seek(void)
{
    struct lsmkv_iter_options options = {.lower = lsmkv_str("kept")};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(store.db, NULL, &options, &iter);

    if (result != 0)
        return result;
    lsmkv_iter_seek(iter, lsmkv_str("kept/a"));
    if (lsmkv_iter_valid(iter))
        lsmkv_iter_skip_tree(iter, lsmkv_str("kept/a"));
    ck_assert(!lsmkv_iter_valid(iter) || lsmkv_iter_key(iter).size == 6);
    lsmkv_iter_seek_before(iter, lsmkv_str("kept/b"));
    ck_assert(!lsmkv_iter_valid(iter) || lsmkv_iter_key(iter).size == 6);
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

static int
call_batch(void)
{
    struct lsmkv_held *held = NULL;
    struct lsmkv_batch *batch = NULL;
    struct lsmkv_slice none = {NULL, 0};
    int result = lsmkv_get_held(store.db, NULL, NULL, lsmkv_str("kept/a"), &held);

    if (result == 0)
        result = lsmkv_batch_new(&batch);
    if (result == 0)
        result = lsmkv_batch_put_held(batch, NULL, lsmkv_str("kept/c"), none, held);
    if (result == 0)
        result = lsmkv_batch_put(batch, store.keyspaces[1], lsmkv_str("k"), none,
                                 lsmkv_held_record(held)->value);
    if (result == 0)
        result = lsmkv_batch_delete(batch, NULL, lsmkv_str("kept/b"));
    if (result == 0)
        result = lsmkv_write(store.db, batch, 0);
    lsmkv_batch_free(batch);
    lsmkv_held_release(held);
    return result;
}

static int
move(const char *from, const char *to)
{
    struct lsmkv_move moves = {lsmkv_str(from), lsmkv_str(to)};

    return lsmkv_move_trees(store.db, NULL, &moves, 1, NULL, 0);
}

static int
call_move_small(void)
{
    return move("kept/b", "moved");
}

static int
call_move_large(void)
{
    return move("kept", "moved");
}

static int
call_flush(void)
{
    return lsmkv_flush(store.db);
}

static int
call_compact(void)
{
    struct lsmkv_slice none = {NULL, 0};

    return lsmkv_compact(store.db, NULL, none, none);
}

static int
call_keyspace_create(void)
{
    struct lsmkv_keyspace *made;
    int result = lsmkv_keyspace_create(store.db, "made", LSMKV_ORDER_PATH, &made);

    if (result == 0) {
        failing_alloc_heal();
        ck_assert_int_eq(
            lsmkv_put(store.db, made, lsmkv_str("k"), lsmkv_str(""), lsmkv_str("v"), 0),
            0);
    }
    return result;
}

/* The plan's second keyspace, made anew, so that the hash sees it. */
static int
call_keyspace_drop(void)
{
    int result;

    failing_alloc_pause(true);
    ck_assert_int_eq(lsmkv_snapshot_drop(store.db, "s"), 0); /* it sees the keyspace */
    failing_alloc_pause(false);
    result = lsmkv_keyspace_drop(store.db, store.keyspaces[1]);
    if (result == 0) {
        failing_alloc_heal();
        ck_assert_int_eq(lsmkv_keyspace_create(store.db, "plain", LSMKV_ORDER_PATH,
                                               &store.keyspaces[1]),
                         0);
    }
    return result;
}

static int
has_snapshot(const char *name)
{
    struct lsmkv_snapshot *snapshot;
    int result = lsmkv_snapshot_open(store.db, name, &snapshot, NULL);

    if (result == 0)
        lsmkv_snapshot_release(store.db, snapshot);
    return result;
}

/* The result of making, dropping or renaming, and whether the names are there that should be. */
static int
expect_snapshots(int result, const char *gone, const char *made)
{
    failing_alloc_heal();
    if (gone)
        ck_assert_int_eq(has_snapshot(gone), result == 0 ? -ENOENT : 0);
    if (made)
        ck_assert_int_eq(has_snapshot(made), result == 0 ? 0 : -ENOENT);
    return result;
}

static int
call_snapshot_create(void)
{
    return expect_snapshots(lsmkv_snapshot_create(store.db, "made", NULL), NULL, "made");
}

static int
call_snapshot_rename(void)
{
    return expect_snapshots(lsmkv_snapshot_rename(store.db, "s", "t"), "s", "t");
}

static int
call_snapshot_drop(void)
{
    return expect_snapshots(lsmkv_snapshot_drop(store.db, "s"), "s", NULL);
}

static int
call_snapshot_read(void)
{
    struct lsmkv_snapshot *named, *nameless;
    uint64_t hash;
    int result = lsmkv_snapshot_open(store.db, "s", &named, NULL);

    if (result != 0)
        return result;
    result = lsmkv_snapshot_take(store.db, &nameless);
    if (result == 0) {
        result = plan_hash_store(store.db, named, &hash);
        lsmkv_snapshot_release(store.db, nameless);
    }
    lsmkv_snapshot_release(store.db, named);
    return result;
}

/* What was done after the snapshot: see what is put after its making. */
static int
call_changes(void)
{
    struct lsmkv_changes_options options = {.lower = lsmkv_str(""),
                                            .upper = lsmkv_str("~")};
    struct lsmkv_changes *changes;
    struct lsmkv_snapshot *named;
    int result = lsmkv_snapshot_open(store.db, "s", &named, NULL);

    if (result != 0)
        return result;
    options.from = named;
    result = lsmkv_changes_new(store.db, NULL, &options, &changes);
    if (result == 0) {
        while (lsmkv_changes_next(changes))
            ;
        result = lsmkv_changes_status(changes);
        lsmkv_changes_free(changes);
    }
    lsmkv_snapshot_release(store.db, named);
    return result;
}

static int
call_rollback(void)
{
    struct lsmkv_snapshot *named;
    int result = lsmkv_snapshot_open(store.db, "s", &named, NULL);

    if (result == 0) {
        result = lsmkv_rollback(store.db, named, NULL);
        lsmkv_snapshot_release(store.db, named);
    }
    return result;
}

static int
pass_level(void *context, const struct lsmkv_level_stats *level)
{
    (void)context, (void)level;
    return 0;
}

static int
pass_pin(void *context, const struct lsmkv_pin *pin)
{
    (void)context, (void)pin;
    return 0;
}

static int
call_informing(void)
{
    char text[1024];
    struct lsmkv_stats stats;
    int result;

    (void)lsmkv_property(store.db, "lsmkv.stats", text, sizeof(text));
    (void)lsmkv_property(store.db, "lsmkv.levels", text, sizeof(text));
    (void)lsmkv_property(store.db, "lsmkv.recovery", text, sizeof(text));
    result = lsmkv_level_list(store.db, pass_level, NULL);
    if (result == 0)
        result = lsmkv_pin_list(store.db, pass_pin, NULL);
    return result == 0 ? lsmkv_get_stats(store.db, &stats) : result;
}

static int
call_set_lock_note(void)
{
    return lsmkv_set_lock_note(store.db, "another note");
}

static void
count_damage(void *context, const struct lsmkv_finding *finding)
{
    (void)context;
    if (finding->severity == LSMKV_DAMAGE) {
        printf("# %s: %s\n", finding->file, finding->text);
        damage++;
    }
}

/* Of a store that is closed: of a copy, for this one is held. */
static int
call_check(void)
{
    struct lsmkv_check_options check = {.finding = count_damage};
    struct mem_env *copy = mem_env_kill(disk);
    struct lsmkv_options options = trial_options(mem_env_base(copy));
    int result = lsmkv_check("store", &options, &check);

    mem_env_free(copy);
    ck_assert_uint_eq(damage, 0);
    return result;
}

static int
call_check_open(void)
{
    struct lsmkv_check_options check = {.finding = count_damage};
    int result = lsmkv_check_open(store.db, &check);

    ck_assert_uint_eq(damage, 0);
    return result;
}

/* Each into a directory of its own: of one that fails a lock file stays. */
static int
call_repair_open(void)
{
    static unsigned times;
    struct lsmkv_repair_options repair = {.finding = count_damage};
    char target[32];
    int result;

    snprintf(target, sizeof(target), "repaired%u", times++);
    result = lsmkv_repair_open(store.db, target, &repair);
    ck_assert_uint_eq(damage, 0);
    return result;
}

/* Without memory a salvaging opening must not show a prefix: nothing is damaged. */
static int
call_salvage(void)
{
    struct mem_env *copy = mem_env_kill(disk);
    struct lsmkv_options options = trial_options(mem_env_base(copy));
    struct plan_store read;
    uint64_t hash, expected;
    int result;

    options.create = false;
    options.read_only = options.salvage = true;
    result = plan_open(&options, &read);
    if (result == 0) {
        failing_alloc_heal();
        ck_assert_int_eq(plan_hash_store(read.db, NULL, &hash), 0);
        ck_assert_int_eq(plan_hash_store(store.db, NULL, &expected), 0);
        ck_assert_uint_eq(hash, expected);
        ck_assert_int_eq(lsmkv_close(read.db), 0);
    }
    mem_env_free(copy);
    return result;
}

static const struct call {
    const char *name;
    int (*run)(void);
} calls[] = {
    {"get", call_get},
    {"get_held", call_get_held},
    {"lookup", call_lookup},
    {"scan", call_scan},
    {"walk back", call_walk_back},
    {"walk around damage", call_walk_salvaging},
    {"seek", call_seek},
    {"batch", call_batch},
    {"small move", call_move_small},
    {"large move", call_move_large},
    {"flush", call_flush},
    {"compact", call_compact},
    {"keyspace_create", call_keyspace_create},
    {"keyspace_drop", call_keyspace_drop},
    {"snapshot_create", call_snapshot_create},
    {"snapshot_rename", call_snapshot_rename},
    {"snapshot_drop", call_snapshot_drop},
    {"reading a snapshot", call_snapshot_read},
    {"changes", call_changes},
    {"rollback", call_rollback},
    {"stats and properties", call_informing},
    {"set_lock_note", call_set_lock_note},
    {"check", call_check},
    {"check_open", call_check_open},
    {"repair_open", call_repair_open},
    {"opening around damage", call_salvage},
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void
put(const char *key, size_t size)
{
    static const char bytes[5000];

    ck_assert_int_eq(lsmkv_put(store.db, NULL, lsmkv_str(key), lsmkv_str("attributes"),
                               lsmkv_bytes(bytes, size), LSMKV_UNSYNCED),
                     0);
}

static void
open_here(void)
{
    struct lsmkv_options options = options_here();

    ck_assert_int_eq(plan_open(&options, &store), 0);
}

/* A store with tables on two levels, a snapshot, and a memtable. */
static struct mem_env *
make_store(void)
{
    struct lsmkv_slice none = {NULL, 0};
    struct mem_env *made;
    char key[32];

    disk = mem_env_new();
    mem_env_set_time(disk, 1);
    open_here();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) {
            snprintf(key, sizeof(key), "kept/b/%d", i * (round + 1));
            put(key, 100);
        }
        put("kept/b", 10);
        if (round == 0)
            ck_assert_int_eq(lsmkv_compact(store.db, NULL, none, none), 0);
        else if (round == 1)
            ck_assert_int_eq(lsmkv_flush(store.db), 0);
        put("kept/a", 5000);
        if (round == 1)
            ck_assert_int_eq(lsmkv_snapshot_create(store.db, "s", NULL), 0);
    }
    ck_assert_int_eq(lsmkv_put(store.db, store.keyspaces[1], lsmkv_str("plain"),
                               lsmkv_str(""), lsmkv_str("x"), 0),
                     0);
    made = mem_env_kill(disk);
    ck_assert_int_eq(lsmkv_close(store.db), 0);
    mem_env_free(disk);
    return made;
}

static uint64_t
hash_here(void)
{
    uint64_t hash;

    failing_alloc_pause(true);
    ck_assert_int_eq(plan_hash_store(store.db, NULL, &hash), 0);
    failing_alloc_pause(false);
    return hash;
}

/* On a fresh copy of the store; `*after` is its hash behind a call that succeeded.  Returns
 * whether that was without a failure. */
static bool
try_call(const struct call *call, struct mem_env *image, uint64_t nth, bool onwards,
         uint64_t *after)
{
    uint64_t before, failures;
    int result;

    disk = mem_env_kill(image);
    open_here();
    before = hash_here();
    failing_alloc_set(nth, onwards);
    result = call->run();
    failing_alloc_heal();
    failures = failing_alloc_failures();
    ck_assert_msg(result == 0 || (result == -ENOMEM && failures > 0),
                  "%s, allocation %llu: %s (%s)", call->name, (unsigned long long)nth,
                  lsmkv_strerror(result), lsmkv_error_detail());
    if (result == 0 && *after == 0)
        *after = hash_here();
    ck_assert_msg(hash_here() == (result == 0 ? *after : before),
                  "%s, allocation %llu: %s, but it shows another state", call->name,
                  (unsigned long long)nth, result == 0 ? "made" : "refused");
    /* A flush that failed may not have told yet. */
    if (lsmkv_flush(store.db) != 0)
        ck_assert_int_eq(lsmkv_flush(store.db), 0);
    ck_assert_int_eq(lsmkv_close(store.db), 0);
    open_here();
    ck_assert_msg(hash_here() == (result == 0 ? *after : before),
                  "%s, allocation %llu: opened again another state", call->name,
                  (unsigned long long)nth);
    ck_assert_int_eq(lsmkv_close(store.db), 0);
    mem_env_free(disk);
    return failures == 0;
}

START_TEST(test_a_call_that_finds_no_memory_changes_nothing)
{
    struct mem_env *image = make_store();
    uint64_t runs = 0;

    for (size_t i = 0; i < CALLS; i++)
        for (int onwards = 0; onwards < 2; onwards++) {
            uint64_t after = 0, nth = 1 + runs % rounds_one_in();

            ck_assert(try_call(&calls[i], image, UINT64_MAX, false, &after));
            for (runs += 2; !try_call(&calls[i], image, nth, onwards != 0, &after);
                 runs++)
                nth += rounds_one_in();
        }
    printf("memory: %zu calls, %llu runs, 0 failures\n", CALLS, (unsigned long long)runs);
    mem_env_free(image);
}
END_TEST

/* ---- a sync beside a write ---- */

static atomic_bool blocked, released;

/* The first write to the log waits for the others to queue behind it. */
static void
block_write(void *context, uint64_t ordinal, enum env_call call)
{
    (void)context, (void)ordinal;
    if (call != ENV_CALL_FILE_WRITE || atomic_exchange(&blocked, true))
        return;
    while (!released)
        usleep(1000);
}

static void *
put_first(void *argument)
{
    (void)argument;
    put("first", 10);
    return NULL;
}

/* More than the memtable has room for. */
static void *
put_refused(void *argument)
{
    static const char bytes[200000];
    int *result = argument;

    *result = lsmkv_put(store.db, NULL, lsmkv_str("refused"), lsmkv_str(""),
                        lsmkv_bytes(bytes, sizeof(bytes)), LSMKV_UNSYNCED);
    return NULL;
}

static void *
sync_behind(void *argument)
{
    int *result = argument;

    *result = lsmkv_sync(store.db);
    return NULL;
}

/* A sync that formed a group with a write was given that one's error, no memory or no space; and
 * who takes a failed sync for what it is, as a mount does, took no more writes. */
START_TEST(test_a_sync_does_not_fail_with_the_write_before_it)
{
    struct lsmkv_options options;
    pthread_t threads[3];
    int refused = 0, synced = -1;

    disk = mem_env_new();
    options = options_here();
    options.write_buffer_size = 1 << 20;
    ck_assert_int_eq(plan_open(&options, &store), 0);
    put("zero", 10); /* something to sync */
    mem_env_set_hook(disk, block_write, NULL);
    pthread_create(&threads[0], NULL, put_first, NULL);
    while (!blocked)
        usleep(1000);
    failing_alloc_set(0, false);
    pthread_create(&threads[1], NULL, put_refused, &refused);
    usleep(100000); /* until it has its place in the queue, and its batch */
    pthread_create(&threads[2], NULL, sync_behind, &synced);
    usleep(100000);
    failing_alloc_set(1, true);
    released = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    failing_alloc_heal();
    ck_assert_int_eq(refused, -ENOMEM);
    ck_assert_int_eq(synced, 0);
    mem_env_set_hook(disk, NULL, NULL);
    put("after", 10);
    ck_assert_int_eq(lsmkv_close(store.db), 0);
    mem_env_free(disk);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");

    tcase_set_timeout(tcase, 900);
    tcase_add_test(tcase, test_nothing_is_lost_whatever_allocation_fails);
    tcase_add_test(tcase, test_a_call_that_finds_no_memory_changes_nothing);
    tcase_add_test(tcase, test_a_sync_does_not_fail_with_the_write_before_it);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
