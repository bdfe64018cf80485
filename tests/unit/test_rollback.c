/* test_rollback.c - a store goes back to what a snapshot sees, wholly or not at all. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig_fixture.h"
#include "support/rounds.h"
#include "support/suite.h"
#include "support/world.h"

static void
get(const char *key, char *buffer, size_t size, struct lsmkv_record *record)
{
    int result = lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key), buffer, size, record);

    ck_assert_msg(result == 0, "%s: %s", key, lsmkv_strerror(result));
}

START_TEST(test_all_that_changed_is_as_it_was)
{
    struct lsmkv_move move = {lsmkv_str("d"), lsmkv_str("e")};
    struct lsmkv_record before, after;
    struct lsmkv_snapshot *then, *later;
    char buffer[100];

    rig_put(&rig, "a", "1");
    rig_put(&rig, "b", "1");
    rig_put(&rig, "c", "1");
    rig_put(&rig, "d/x", "1");
    get("c", buffer, sizeof(buffer), &before);
    then = take();
    rig_put(&rig, "b", "2");
    rig_delete(&rig, "c");
    rig_put(&rig, "f", "1");
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &move, 1, NULL, 0), 0);
    later = take();
    ck_assert_int_eq(lsmkv_rollback(rig.db, then, NULL), 0);
    for (int again = 0; again < 2; again++) {
        ck_assert(rig_holds(&rig, NULL, "a", "1"));
        ck_assert(rig_holds(&rig, NULL, "b", "1"));
        ck_assert(rig_holds(&rig, NULL, "c", "1"));
        ck_assert(rig_holds(&rig, NULL, "d/x", "1"));
        ck_assert(rig_holds(&rig, NULL, "e/x", NULL));
        ck_assert(rig_holds(&rig, NULL, "f", NULL));
        get("c", buffer, sizeof(buffer), &after);
        ck_assert_uint_eq(after.stamp_sequence, before.stamp_sequence);
        ck_assert_int_eq(after.stamp_time, before.stamp_time);
        ck_assert_uint_gt(after.sequence, before.sequence);
        if (again > 0)
            break;
        /* What came between is still what it was. */
        ck_assert(rig_holds(&rig, later, "b", "2"));
        ck_assert(rig_holds(&rig, later, "c", NULL));
        ck_assert(rig_holds(&rig, later, "e/x", "1"));
        release(later);
        release(then);
        rig_cut_power(&rig, (struct mem_crash){MEM_DATA_NONE, MEM_NAMES_DROPPED}, 0);
        rig_open(&rig);
    }
}
END_TEST

START_TEST(test_other_keyspaces_go_too_but_for_the_one_that_is_to_stay)
{
    struct lsmkv_keyspace *one, *two;
    struct lsmkv_record record;
    struct lsmkv_snapshot *then;
    struct lsmkv_slice key = lsmkv_str("k");
    struct lsmkv_rollback_options options = {0};
    char buffer[10];

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "one", LSMKV_ORDER_BYTES, &one), 0);
    options.except = one;
    then = take();
    /* One that the snapshot has never seen is empty then. */
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "two", LSMKV_ORDER_BYTES, &two), 0);
    ck_assert_int_eq(lsmkv_put(rig.db, one, key, none, key, 0), 0);
    ck_assert_int_eq(lsmkv_put(rig.db, two, key, none, key, 0), 0);
    rig_put(&rig, "a", "1");
    ck_assert_int_eq(lsmkv_rollback(rig.db, then, &options), 0);
    ck_assert(rig_holds(&rig, NULL, "a", NULL));
    ck_assert_int_eq(lsmkv_get(rig.db, two, NULL, key, buffer, sizeof(buffer), &record),
                     -ENOENT);
    ck_assert_int_eq(lsmkv_get(rig.db, one, NULL, key, buffer, sizeof(buffer), &record),
                     0);
    ck_assert_int_eq(lsmkv_rollback(rig.db, then, NULL), 0);
    ck_assert_int_eq(lsmkv_get(rig.db, one, NULL, key, buffer, sizeof(buffer), &record),
                     -ENOENT);
    release(then);
}
END_TEST

static uint64_t
changing_calls(void)
{
    return fault_env_calls(rig.faults, ENV_CALL_FILE_OPEN) +
           fault_env_calls(rig.faults, ENV_CALL_FILE_WRITE) +
           fault_env_calls(rig.faults, ENV_CALL_FILE_SYNC) +
           fault_env_calls(rig.faults, ENV_CALL_DIR_RENAME) +
           fault_env_calls(rig.faults, ENV_CALL_DIR_UNLINK);
}

/* Not even the memtables. */
START_TEST(test_nothing_to_do_writes_nothing)
{
    struct lsmkv_snapshot *then;
    struct lsmkv_stats before;
    uint64_t calls;

    rig_put(&rig, "a", "1");
    then = take();
    before = rig_stats(&rig);
    calls = changing_calls();
    ck_assert_int_eq(lsmkv_rollback(rig.db, then, NULL), 0);
    ck_assert_uint_eq(changing_calls(), calls);
    ck_assert_uint_eq(rig_stats(&rig).sequence, before.sequence);
    ck_assert(rig_holds(&rig, NULL, "a", "1"));
    release(then);
}
END_TEST

/* Room for as many views as none was asked for, which may be NULL: -ENOMEM. */
START_TEST(test_a_store_of_which_all_is_excepted_stays_as_it_is)
{
    const struct lsmkv_rollback_options options = {.except =
                                                       lsmkv_default_keyspace(rig.db)};
    struct lsmkv_snapshot *then = take();

    rig_put(&rig, "a", "1");
    ck_assert_int_eq(lsmkv_rollback(rig.db, then, &options), 0);
    ck_assert(rig_holds(&rig, NULL, "a", "1"));
    release(then);
}
END_TEST

static void
note_keys(void *context, uint64_t keys)
{
    uint64_t *most = context;

    ck_assert_uint_ge(keys, *most);
    *most = keys;
}

START_TEST(test_it_says_how_far_it_is_and_how_many_keys_it_were)
{
    uint64_t keys = 0;
    const struct lsmkv_rollback_options options = {.progress = note_keys,
                                                   .context = &keys};
    struct lsmkv_snapshot *then = take();
    char key[32];

    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        rig_put(&rig, key, "1");
    }
    ck_assert_int_eq(lsmkv_rollback(rig.db, then, &options), 0);
    ck_assert_uint_eq(keys, 5000);
    release(then);
}
END_TEST

static int
add_level0(void *context, const struct lsmkv_level_stats *level)
{
    if (level->level == 0)
        *(uint64_t *)context += level->tables;
    return 0;
}

static uint64_t
level0_tables(void)
{
    uint64_t tables = 0;

    ck_assert_int_eq(lsmkv_level_list(rig.db, add_level0, &tables), 0);
    return tables;
}

/* Some twenty tables of level 0, where writers are stopped for four (O3): they wait for merges, and
 * go on. */
START_TEST(test_writes_go_on_after_a_large_one)
{
    struct lsmkv_snapshot *then;
    char key[32], value[300];

    rig_close(&rig);
    rig.options.l0_compaction_trigger = 2;
    rig.options.l0_slowdown_trigger = 3;
    rig.options.l0_stop_trigger = 4;
    rig_open(&rig);

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 4000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        rig_put(&rig, key, value);
    }
    then = take();
    for (int i = 0; i < 4000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        rig_delete(&rig, key);
    }
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_int_eq(lsmkv_rollback(rig.db, then, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "new%d", i);
        rig_put(&rig, key, value);
    }
    ck_assert(rig_holds(&rig, NULL, "k3999", value));
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_lt(level0_tables(), rig.options.l0_stop_trigger);
    release(then);
}
END_TEST

/* Values that stand apart are referred to, not written again. */
START_TEST(test_large_values_stay_where_they_are)
{
    static char value[100000];
    struct lsmkv_snapshot *then;
    struct lsmkv_stats before, after;
    char key[32];

    memset(value, 'v', sizeof(value) - 1);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "large%d", i);
        rig_put(&rig, key, value);
    }
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    then = take();
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "large%d", i);
        rig_delete(&rig, key);
    }
    before = rig_stats(&rig);
    ck_assert_int_eq(lsmkv_rollback(rig.db, then, NULL), 0);
    after = rig_stats(&rig);
    ck_assert_uint_eq(after.blob_bytes_written, before.blob_bytes_written);
    release(then);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert(rig_holds(&rig, NULL, "large7", value));
}
END_TEST

/* ---- whatever fails ---- */

#define KEYS  120
#define APART 64 /* values of so many bytes stand apart */

static struct lsmkv_snapshot *
open_named(void)
{
    struct lsmkv_snapshot *snapshot;

    ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "s", &snapshot, NULL), 0);
    return snapshot;
}

/* Two keyspaces; in the second there is one key, with as much to say. */
static void
put_beside(const char *value)
{
    struct lsmkv_keyspace *beside;

    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "beside", &beside), 0);
    ck_assert_int_eq(
        lsmkv_put(rig.db, beside, lsmkv_str("k"), lsmkv_str(""), lsmkv_str(value), 0), 0);
}

static bool
holds_beside(const char *value)
{
    struct lsmkv_keyspace *beside;
    struct lsmkv_record record;
    char buffer[16];

    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "beside", &beside), 0);
    ck_assert_int_eq(
        lsmkv_get(rig.db, beside, NULL, lsmkv_str("k"), buffer, sizeof(buffer), &record),
        0);
    return record.value.size == strlen(value) &&
           memcmp(record.value.data, value, strlen(value)) == 0;
}

/* Of every third key it stands apart; now every other key is absent. */
static const char *
value_of(int i, bool then)
{
    static char value[2 * APART];

    if (!then && i % 2 == 1)
        return NULL;
    memset(value, then ? 't' : 'n', sizeof(value));
    value[i % 3 == 0 ? sizeof(value) - 1 : 4] = '\0';
    return value;
}

static void
put_all(bool then)
{
    char key[32];

    put_beside(then ? "then" : "now");
    for (int i = 0; i < KEYS; i++) {
        const char *value = value_of(i, then);

        snprintf(key, sizeof(key), "k%d", i);
        if (value != NULL)
            rig_put(&rig, key, value);
        else
            rig_delete(&rig, key);
    }
}

static void
prepare(void)
{
    struct lsmkv_keyspace *beside;

    rig_init(&rig);
    rig.options.blob_threshold = APART;
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "beside", LSMKV_ORDER_BYTES, &beside),
                     0);
    put_all(true);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), 0);
    put_all(false);
}

/* True: it is as it was then; false: as it is now.  Nothing else. */
static bool
is_rolled_back(void)
{
    bool then = rig_holds(&rig, NULL, "k1", value_of(1, true));
    char key[32];

    ck_assert(holds_beside(then ? "then" : "now"));
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        ck_assert(rig_holds(&rig, NULL, key, value_of(i, then)));
    }
    return then;
}

static int
roll_back(void)
{
    struct lsmkv_snapshot *then = open_named();
    int result = lsmkv_rollback(rig.db, then, NULL);

    release(then);
    return result;
}

/* A flush that failed stands for a while before it is tried again, and a merge under way may
 * have for the moment what is left of the disk. */
static int
roll_back_in_a_while(void)
{
    int result = roll_back();

    for (unsigned i = 0; result == -ENOSPC && i < 500; i++) {
        env_posix()->sleep(env_posix(), 10000000);
        result = roll_back();
    }
    return result;
}

/* It takes a write, and can go back, be it again. */
static void
expect_goes_on(void)
{
    rig_put(&rig, "k1", "later");
    put_beside("now");
    ck_assert(rig_holds(&rig, NULL, "k1", "later"));
    ck_assert_int_eq(roll_back_in_a_while(), 0);
    ck_assert(is_rolled_back());
}

static const struct {
    bool onwards;
    int error;
    struct mem_crash policy;
} failings[] = {
    {false, EIO, {MEM_DATA_NONE, MEM_NAMES_DROPPED}},
    {true, EIO, {MEM_DATA_NONE, MEM_NAMES_DROPPED}},
    {false, ENOSPC, {MEM_DATA_ALL, MEM_NAMES_KEPT}},
    {true, ENOSPC, {MEM_DATA_RANDOM, MEM_NAMES_RANDOM}},
    {false, EIO, {MEM_DATA_RANDOM, MEM_NAMES_RANDOM}},
};

static int failing; /* which of them it is */

/* What failed in the background would be tried again after a second. */
static void
heal(void)
{
    fault_env_heal(rig.faults);
    rig_hurry(&rig);
}

/* The nth call fails.  True: there was one. */
static bool
fail_nth(uint64_t nth, unsigned done[2])
{
    struct fault fault = {.call = ENV_CALL_ANY,
                          .nth = nth,
                          .onwards = failings[failing].onwards,
                          .error = failings[failing].error};
    uint64_t failures;
    bool rolled_back, poisoned;
    int result;

    prepare();
    failures = fault_env_failures(rig.faults);
    fault_env_set(rig.faults, fault);
    result = roll_back();
    failures = fault_env_failures(rig.faults) - failures;
    heal();
    ck_assert(result == 0 || failures > 0);
    ck_assert(is_rolled_back() == (result == 0));
    rig_cut_power(&rig, failings[failing].policy, nth);
    rig_open(&rig);
    rolled_back = is_rolled_back();
    ck_assert(rolled_back || result != 0);
    done[rolled_back]++;
    expect_goes_on();
    rig_fini(&rig);
    /* Without the power going it goes on as well, unless a sync failed. */
    prepare();
    fault_env_set(rig.faults, fault);
    result = roll_back();
    heal();
    poisoned =
        lsmkv_put(rig.db, NULL, lsmkv_str("x"), lsmkv_str(""), lsmkv_str(""), 0) != 0;
    if (!poisoned)
        expect_goes_on();
    rig_fini(&rig);
    return failures > 0;
}

/* All or nothing, at once and after the power went; what was said to be done is. */
START_TEST(test_a_failure_leaves_it_done_or_not_begun)
{
    unsigned done[2] = {0, 0};

    failing = _i;
    for (uint64_t nth = 1; fail_nth(nth, done); nth += rounds_one_in())
        ;
    ck_assert_uint_ge(done[false], rounds_of(6, 1));
    ck_assert_uint_ge(done[true], 1);
}
END_TEST

/* Where writes are refused, for less than the reserve is free: what was written since can be left by
 * going back, and comes free. */
START_TEST(test_a_full_disk_can_be_left_by_going_back)
{
    char key[32], value[1000];
    uint64_t full;
    int result = 0;

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    rig_init(&rig);
    rig.options.write_buffer_size = 16 << 10;
    rig.options.table_size = 16 << 10;
    rig.options.space_reserve = 256 << 10;
    rig_open(&rig);
    rig_put(&rig, "kept", "then");
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), 0);
    rig_put(&rig, "kept", "now");
    mem_env_set_capacity(rig.memory, 2 << 20);
    for (int i = 0; result == 0; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        result =
            lsmkv_put(rig.db, NULL, lsmkv_str(key), lsmkv_str(""), lsmkv_str(value), 0);
    }
    ck_assert_int_eq(result, -ENOSPC);
    full = mem_env_used(rig.memory);
    ck_assert_int_eq(roll_back_in_a_while(), 0);
    ck_assert(rig_holds(&rig, NULL, "kept", "then"));
    ck_assert(rig_holds(&rig, NULL, "k0", NULL));
    ck_assert_int_eq(lsmkv_wait_for_space(rig.db, 60000), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_lt(mem_env_used(rig.memory), full / 4);
    rig_put(&rig, "after", "it");
    rig_fini(&rig);
}
END_TEST

/* Nor does it take the last of the disk, on which deletes depend. */
START_TEST(test_without_room_for_it_nothing_is_begun)
{
    char key[32];

    rig_init(&rig);
    rig_open(&rig);
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        rig_put(&rig, key, "then");
    }
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), 0);
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        rig_put(&rig, key, "now");
    }
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    mem_env_set_capacity(rig.memory, mem_env_used(rig.memory) + (180 << 10));
    ck_assert_int_eq(roll_back(), -ENOSPC);
    ck_assert(rig_holds(&rig, NULL, "k0", "now"));
    ck_assert(rig_holds(&rig, NULL, "k2999", "now"));
    rig_delete(&rig, "k1");
    mem_env_set_capacity(rig.memory, UINT64_MAX);
    ck_assert_int_eq(roll_back(), 0);
    ck_assert(rig_holds(&rig, NULL, "k0", "then"));
    ck_assert(rig_holds(&rig, NULL, "k1", "then"));
    ck_assert(rig_holds(&rig, NULL, "k2999", "then"));
    rig_fini(&rig);
}
END_TEST

/* ---- beside others ---- */

#define WRITERS   2u
#define ROUNDS    10
#define PAIR_KEYS 40u /* of each writer */

static struct {
    struct lsmkv_keyspace *keyspaces[2];
    atomic_bool stop;
    atomic_uint written, read;
} others;

static struct lsmkv_slice
pair_key(unsigned writer, unsigned i, char key[32])
{
    return lsmkv_bytes(key, (size_t)snprintf(key, 32, "w%u/%u", writer, i % PAIR_KEYS));
}

/* The same in both keyspaces, at once. */
static void *
write_pairs(void *argument)
{
    unsigned writer = (unsigned)(uintptr_t)argument;
    struct lsmkv_batch *batch;
    char key[32];

    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    for (unsigned i = 0; !atomic_load(&others.stop); i++) {
        struct lsmkv_slice value = lsmkv_bytes(&i, sizeof(i));

        lsmkv_batch_clear(batch);
        for (int k = 0; k < 2; k++)
            ck_assert_int_eq(i % 5 == 4 ? lsmkv_batch_delete(batch, others.keyspaces[k],
                                                             pair_key(writer, i * 7, key))
                                        : lsmkv_batch_put(batch, others.keyspaces[k],
                                                          pair_key(writer, i * 7, key),
                                                          lsmkv_str(""), value),
                             0);
        ck_assert_int_eq(lsmkv_write(rig.db, batch, LSMKV_UNSYNCED), 0);
        atomic_fetch_add(&others.written, 1);
    }
    lsmkv_batch_free(batch);
    return NULL;
}

/* What a key holds, or UINT_MAX. */
static unsigned
half_of_pair(int keyspace, const struct lsmkv_snapshot *snapshot, struct lsmkv_slice key)
{
    struct lsmkv_record record;
    unsigned value = UINT_MAX;
    int result = lsmkv_get(rig.db, others.keyspaces[keyspace], snapshot, key, &value,
                           sizeof(value), &record);

    ck_assert(result == 0 || result == -ENOENT);
    return value;
}

static void
expect_pairs(const struct lsmkv_snapshot *snapshot)
{
    char key[32];

    for (unsigned w = 0; w < WRITERS; w++)
        for (unsigned i = 0; i < PAIR_KEYS; i++) {
            struct lsmkv_slice at = pair_key(w, i, key);

            ck_assert_uint_eq(half_of_pair(0, snapshot, at),
                              half_of_pair(1, snapshot, at));
        }
}

static void *
read_pairs(void *unused)
{
    (void)unused;
    while (!atomic_load(&others.stop)) {
        struct lsmkv_snapshot *snapshot = take();

        expect_pairs(snapshot);
        lsmkv_snapshot_release(rig.db, snapshot);
        atomic_fetch_add(&others.read, 1);
    }
    return NULL;
}

/* Writers meanwhile stand before or behind it, wholly, and so do readers.  Where writers do not wait
 * for it (O1) halves differ at times only, but ThreadSanitizer sees it each time. */
START_TEST(test_going_back_beside_writers_is_one_step)
{
    pthread_t threads[WRITERS + 1];
    unsigned before;

    rig_init(&rig);
    rig_open(&rig);
    others.keyspaces[0] = lsmkv_default_keyspace(rig.db);
    ck_assert_int_eq(
        lsmkv_keyspace_create(rig.db, "beside", LSMKV_ORDER_BYTES, &others.keyspaces[1]),
        0);
    for (uintptr_t i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_pairs, (void *)i), 0);
    ck_assert_int_eq(pthread_create(&threads[WRITERS], NULL, read_pairs, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct lsmkv_snapshot *then = take();

        before = atomic_load(&others.written);
        while (atomic_load(&others.written) < before + 100)
            sched_yield();
        ck_assert_int_eq(lsmkv_rollback(rig.db, then, NULL), 0);
        lsmkv_snapshot_release(rig.db, then);
    }
    while (atomic_load(&others.read) == 0)
        sched_yield();
    atomic_store(&others.stop, true);
    for (unsigned i = 0; i <= WRITERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    expect_pairs(NULL);
    rig_kill(&rig);
    rig_open(&rig);
    others.keyspaces[0] = lsmkv_default_keyspace(rig.db);
    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "beside", &others.keyspaces[1]), 0);
    expect_pairs(NULL);
    rig_fini(&rig);
}
END_TEST

/* ---- against the models ---- */

static void
roll_back_world(struct world *world, const struct world_snapshot *snapshot)
{
    ck_assert_int_eq(lsmkv_rollback(world->db, snapshot->handle, NULL), 0);
    for (int ks = 0; ks < WORLD_KEYSPACES; ks++) {
        model_fini(&world->models[ks]);
        model_copy(&world->models[ks], &snapshot->models[ks]);
    }
    world_check(world);
}

START_TEST(test_it_holds_what_the_snapshot_saw_whatever_was_done)
{
    struct world *world = malloc(sizeof(*world));
    uint64_t steps = rounds_of(20000, 4000), count = 0;

    ck_assert_ptr_nonnull(world);
    world_init(world, random_seed(), true);
    for (uint64_t i = 0; i < steps; i++) {
        const struct world_snapshot *snapshot =
            &world->snapshots[random_below(&world->random, WORLD_SNAPSHOTS)];

        world_step(world);
        if (i % 100 == 0 && snapshot->handle != NULL) {
            roll_back_world(world, snapshot);
            count++;
        }
    }
    world_reopen(world);
    world_check(world);
    ck_assert_uint_gt(count, steps < 20000 ? 2 : 50);
    world_fini(world);
    free(world);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rollback");
    TCase *tcase = tcase_create("rollback");

    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_all_that_changed_is_as_it_was);
    tcase_add_test(tcase, test_other_keyspaces_go_too_but_for_the_one_that_is_to_stay);
    tcase_add_test(tcase, test_nothing_to_do_writes_nothing);
    tcase_add_test(tcase, test_a_store_of_which_all_is_excepted_stays_as_it_is);
    tcase_add_test(tcase, test_it_says_how_far_it_is_and_how_many_keys_it_were);
    tcase_add_test(tcase, test_large_values_stay_where_they_are);
    tcase_add_test(tcase, test_writes_go_on_after_a_large_one);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("failures");
    tcase_set_timeout(tcase, 900);
    tcase_add_loop_test(tcase, test_a_failure_leaves_it_done_or_not_begun, 0,
                        (int)(sizeof(failings) / sizeof(failings[0])));
    tcase_add_test(tcase, test_a_full_disk_can_be_left_by_going_back);
    tcase_add_test(tcase, test_without_room_for_it_nothing_is_begun);
    tcase_add_test(tcase, test_it_holds_what_the_snapshot_saw_whatever_was_done);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("beside");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, test_going_back_beside_writers_is_one_step);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
