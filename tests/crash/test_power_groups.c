/*
 * test_power_groups.c - a power cut at every env call while several threads write, so that their
 * batches form groups; in some rounds env calls fail, too.
 *
 * No operation is known beforehand to come before another, but each writes keys of its own, and
 * every entry takes one sequence number.  So an image holds a prefix of some order if it holds as
 * many entries as its largest sequence says; that order is the right one if
 *
 *   - of each writer it holds his first operations, whole, and at least those that are durable:
 *     what was written synced or had a sync behind it, and what anybody had been told of before that
 *     was begun;
 *   - no more than were begun.
 *
 * A round with faults burns sequence numbers, so there only this holds, of each image and of the
 * store itself when the faults are over.  A writer whom one meets writes no more.
 *
 * Which thread runs is drawn from the seed (turns/turns.h).  LSMKV_SEED replays, LSMKV_IMAGES=N
 * stops after N different images.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsmkv.h"
#include "support/fault_env.h"
#include "support/mem_env.h"
#include "support/plan.h"
#include "support/random.h"
#include "support/suite.h"
#include "turns/cuts.h"
#include "turns/turns.h"

#define WRITERS    4
#define OPERATIONS 50 /* of each writer */
#define IMAGES     5000
#define ENTRIES    3 /* of a batch, in both keyspaces; a put is one */

struct bounds {
    size_t issued[WRITERS], durable[WRITERS];
};

/* How many operations of each writer an image holds. */
struct look {
    size_t held[WRITERS];
};

struct sweep {
    uint64_t seed;
    struct mem_env *env;
    struct plan_store store;
    atomic_size_t issued[WRITERS], acknowledged[WRITERS], durable[WRITERS];
    struct fault_env *faults;
    bool faulty; /* the round: something fails */
    uint64_t writes, groups, met;
    struct cuts cuts;
};

struct writer {
    struct sweep *sweep;
    size_t number;
};

static void
die(const struct sweep *sweep, const char *what, int result)
{
    printf("LSMKV_SEED=%llu: %s: %s (%s)\n", (unsigned long long)sweep->seed, what,
           lsmkv_strerror(result), lsmkv_error_detail());
    fflush(stdout);
    abort();
}

/* ---- what an image holds ---- */

struct counted {
    unsigned char entries[WRITERS][OPERATIONS];
    uint64_t count, last_sequence;
};

/* Keys are "WRITER/OPERATION/ENTRY"; the value of each says of how many entries it is one. */
static int
count_keyspace(struct lsmkv *db, struct lsmkv_keyspace *keyspace, struct counted *counted,
               unsigned char sizes[WRITERS][OPERATIONS])
{
    struct lsmkv_iter_options options = {0};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(db, keyspace, &options, &iter);

    if (result != 0)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        const struct lsmkv_record *record = lsmkv_iter_record(iter);
        const char *key = lsmkv_iter_key(iter).data;
        unsigned writer = (unsigned)(key[0] - '0');
        size_t operation = strtoul(key + 2, NULL, 10);

        counted->entries[writer][operation]++;
        sizes[writer][operation] = *(const unsigned char *)record->value.data;
        counted->count++;
        if (record->sequence > counted->last_sequence)
            counted->last_sequence = record->sequence;
    }
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* The first operations of each writer, each whole, and none behind a gap. */
static void
count_held(const struct sweep *sweep, struct lsmkv *db, struct look *look)
{
    unsigned char sizes[WRITERS][OPERATIONS] = {{0}};
    struct counted counted = {.count = 0};
    struct lsmkv_keyspace *plain;
    int result = count_keyspace(db, NULL, &counted, sizes);

    if (result == 0 && (result = lsmkv_keyspace_open(db, "plain", &plain)) == 0)
        result = count_keyspace(db, plain, &counted, sizes);
    if (result != 0 && result != -ENOENT)
        die(sweep, "an image cannot be read", result);
    for (size_t w = 0; w < WRITERS; w++) {
        size_t held = 0;

        while (held < OPERATIONS && counted.entries[w][held] != 0)
            held++;
        look->held[w] = held;
        for (size_t i = 0; i < OPERATIONS; i++)
            if (counted.entries[w][i] != (i < held ? sizes[w][i] : 0))
                die(sweep, "half of a batch, or one behind a lost one", 0);
    }
    if (counted.count > counted.last_sequence ||
        (!sweep->faulty && counted.count != counted.last_sequence))
        die(sweep, "the image is no prefix in the order of sequences", 0);
}

static void
quiet(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    if (level == LSMKV_LOG_ERROR)
        printf("%s\n", line);
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
    (void)cuts_opening(&sweep->cuts, image);
    result = lsmkv_open("store", &options, &db);
    cuts_opened(&sweep->cuts, image);
    if (result != 0)
        die(sweep, "an image does not open", result);
    count_held(sweep, db, look);
    result = lsmkv_close(db);
    if (result != 0)
        die(sweep, "an image does not close", result);
    return look;
}

static void
judge(void *context, const void *seen, const void *at)
{
    const struct sweep *sweep = context;
    const struct bounds *bounds = at;
    const struct look *look = seen;

    for (size_t w = 0; w < WRITERS; w++) {
        if (look->held[w] >= bounds->durable[w] && look->held[w] <= bounds->issued[w])
            continue;
        printf("writer %zu: %zu operations held, %zu durable, %zu issued\n", w,
               look->held[w], bounds->durable[w], bounds->issued[w]);
        die(sweep, "the image does not hold what it should", 0);
    }
}

static void
at_call(void *context, uint64_t ordinal, enum env_call call)
{
    struct sweep *sweep = context;
    struct bounds bounds;

    if (!cuts_wants(&sweep->cuts, ordinal, call))
        return;
    for (size_t w = 0; w < WRITERS; w++)
        bounds.durable[w] = atomic_load(&sweep->durable[w]);
    /* Said before the writer made a call, and so before anything of it can be in an image. */
    for (size_t w = 0; w < WRITERS; w++)
        bounds.issued[w] = atomic_load(&sweep->issued[w]);
    cuts_take(&sweep->cuts, sweep->env, ordinal, &bounds);
}

/* ---- the writers ---- */

static void
raise_to(atomic_size_t *number, size_t to)
{
    size_t now = atomic_load(number);

    while (now < to && !atomic_compare_exchange_weak(number, &now, to))
        continue;
}

static int
write_one(struct writer *writer, size_t operation, struct random *random, unsigned flags)
{
    struct plan_store *store = &writer->sweep->store;
    unsigned char value[400] = {random_below(random, 3) == 0 ? ENTRIES : 1};
    size_t size = 1 + random_below(random, sizeof(value));
    struct lsmkv_batch *batch;
    int result = lsmkv_batch_new(&batch);

    for (size_t i = 0; i < value[0] && result == 0; i++) {
        char key[32];

        snprintf(key, sizeof(key), "%zu/%zu/%zu", writer->number, operation, i);
        result =
            lsmkv_batch_put(batch, store->keyspaces[(operation + i) % PLAN_KEYSPACES],
                            lsmkv_str(key), lsmkv_str(""), lsmkv_bytes(value, size));
    }
    if (result == 0)
        result = lsmkv_write(store->db, batch, flags);
    lsmkv_batch_free(batch);
    return result;
}

static void
note_acknowledged(const struct sweep *sweep, size_t acknowledged[WRITERS])
{
    for (size_t w = 0; w < WRITERS; w++)
        acknowledged[w] = atomic_load(&sweep->acknowledged[w]);
}

/* Returns false when a fault met it; without faults in the round that must not be. */
static bool
succeeded(struct sweep *sweep, const char *what, int result)
{
    if (result != 0 && !sweep->faulty)
        die(sweep, what, result);
    return result == 0;
}

static void *
write_many(void *argument)
{
    struct writer *writer = argument;
    struct sweep *sweep = writer->sweep;
    struct random random = random_of(sweep->seed * WRITERS + writer->number);

    for (size_t i = 0; i < OPERATIONS; i++) {
        uint64_t drawn = random_below(&random, 4); /* synced, or with a sync behind it */
        size_t before[WRITERS];
        int result;

        note_acknowledged(sweep, before);
        atomic_store(&sweep->issued[writer->number], i + 1);
        result = write_one(writer, i, &random, drawn == 0 ? 0 : LSMKV_UNSYNCED);
        if (!succeeded(sweep, "a write failed", result))
            break;
        atomic_store(&sweep->acknowledged[writer->number], i + 1);
        if (drawn > 1)
            continue;
        if (drawn == 1) {
            note_acknowledged(sweep, before);
            result = lsmkv_sync(sweep->store.db);
            if (!succeeded(sweep, "a sync failed", result))
                break;
        }
        before[writer->number] = i + 1;
        for (size_t w = 0; w < WRITERS; w++)
            raise_to(&sweep->durable[w], before[w]);
    }
    return NULL;
}

static void
run_writers(struct sweep *sweep)
{
    struct writer writers[WRITERS];
    pthread_t ids[WRITERS];

    for (size_t w = 0; w < WRITERS; w++) {
        writers[w] = (struct writer){sweep, w};
        ck_assert_int_eq(pthread_create(&ids[w], NULL, write_many, &writers[w]), 0);
    }
    for (size_t w = 0; w < WRITERS; w++)
        pthread_join(ids[w], NULL);
}

/* What fails in a round, if anything does; drawn from its seed. */
static void
set_fault(struct sweep *sweep)
{
    static const struct fault shapes[] = {
        {.call = ENV_CALL_FILE_SYNC, .error = EIO},
        {.call = ENV_CALL_FILE_SYNC, .error = EIO, .onwards = true},
        {.call = ENV_CALL_FILE_WRITE, .error = ENOSPC, .partial_write = true},
        {.call = ENV_CALL_FILE_WRITE,
         .error = ENOSPC,
         .partial_write = true,
         .onwards = true},
        {.call = ENV_CALL_ANY, .error = EIO},
        {.call = ENV_CALL_ANY, .error = EIO, .onwards = true},
    };
    struct random random = random_of(sweep->seed);
    struct fault fault =
        shapes[random_below(&random, sizeof(shapes) / sizeof(shapes[0]))];

    if (!sweep->faulty)
        return;
    fault.nth = 1 + random_below(&random, fault.call == ENV_CALL_ANY ? 2000 : 300);
    fault_env_set(sweep->faults, fault);
}

/* Holds a look, which it frees, against what must be there now. */
static void
judge_now(struct sweep *sweep, struct look *look, const atomic_size_t least[WRITERS])
{
    struct bounds bounds;

    for (size_t w = 0; w < WRITERS; w++) {
        bounds.issued[w] = sweep->issued[w];
        bounds.durable[w] = least[w];
    }
    judge(sweep, look, &bounds);
    free(look);
}

/* Nothing fails any more: all that was acknowledged can be read, durable or not. */
static void
end_faults(struct sweep *sweep)
{
    struct look *look = mem_need(sizeof(*look));

    sweep->met += fault_env_failures(sweep->faults) > 0;
    fault_env_heal(sweep->faults);
    count_held(sweep, sweep->store.db, look);
    judge_now(sweep, look, sweep->acknowledged);
}

static void
run_round(struct sweep *sweep, uint64_t seed)
{
    struct lsmkv_options options;
    struct lsmkv_stats stats;
    int result;

    sweep->seed = seed;
    sweep->faulty = seed % 2 == 1;
    cuts_begin_round(&sweep->cuts, seed);
    for (size_t w = 0; w < WRITERS; w++)
        sweep->issued[w] = sweep->acknowledged[w] = sweep->durable[w] = 0;
    turns_begin(seed);
    sweep->env = mem_env_new();
    mem_env_set_hook(sweep->env, at_call, sweep);
    sweep->faults = fault_env_new(mem_env_base(sweep->env));
    fault_env_on_lost_sync(sweep->faults, mem_env_lose_unsynced);
    options = plan_options(fault_env_base(sweep->faults));
    result = plan_open(&options, &sweep->store);
    if (result != 0)
        die(sweep, "open", result);
    set_fault(sweep);
    run_writers(sweep);
    end_faults(sweep);
    result = lsmkv_get_stats(sweep->store.db, &stats);
    sweep->writes += stats.writes;
    sweep->groups += stats.write_groups;
    if (result == 0)
        result = lsmkv_close(sweep->store.db);
    (void)succeeded(sweep, "close", result);
    fault_env_free(sweep->faults);
    mem_env_set_hook(sweep->env, NULL, NULL);
    mem_env_free(sweep->env);
    turns_end();
    cuts_end_round(&sweep->cuts);
}

START_TEST(test_every_image_is_a_prefix_of_what_the_writers_did)
{
    struct sweep *sweep = mem_need(sizeof(*sweep));
    uint64_t seed = random_seed(), rounds = 0;

    sweep->cuts = (struct cuts){.context = sweep,
                                .look = look_at,
                                .judge = judge,
                                .limit = cuts_limit_given(IMAGES)};
    do
        run_round(sweep, seed + rounds++);
    while (!cuts_are_enough(&sweep->cuts));
    printf(
        "groups: %llu images, %llu distinct, 0 failures; %llu rounds, faults in %llu, %llu "
        "writes in %llu groups\n",
        (unsigned long long)sweep->cuts.images,
        (unsigned long long)cuts_distinct(&sweep->cuts), (unsigned long long)rounds,
        (unsigned long long)sweep->met, (unsigned long long)sweep->writes,
        (unsigned long long)sweep->groups);
    ck_assert_uint_lt(sweep->groups, sweep->writes);
    cuts_fini(&sweep->cuts);
    free(sweep);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("power_groups");
    TCase *tcase = tcase_create("groups");

    tcase_set_timeout(tcase, 3600);
    tcase_add_test(tcase, test_every_image_is_a_prefix_of_what_the_writers_did);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
