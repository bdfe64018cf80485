/*
 * test_histories.c - what threads read while others write is consistent with one order of the
 * writes.
 *
 * Writers put, delete and exchange trees, over a few keys, in batches; readers get keys, walk
 * them and take snapshots; another thread flushes and merges.  Every call is noted with what it
 * saw, and with a tick of one counter before and after it:
 *
 *     writer    [---- 7 ----]            [---- 9 ----]
 *     reader         [---- saw 7 ----]        [- saw 7 or 9 -]
 *     ticks     1    2      3        4   5    6       7       8
 *
 * Each batch also puts a key of its own that says what the batch does.  When all have ended these
 * keys are read: their sequence numbers give the order of the batches, and replaying them in that
 * order gives the state at each place of it.  Then:
 *
 *   H1  A batch that was acknowledged before another was begun stands before it.
 *   H2  A get has a place in the order, not before the batches that were acknowledged before it
 *       began nor behind those begun after it ended, where its key holds what it saw.
 *   H3  A walk over all keys has one such place for all of them; so has a snapshot, and it is the
 *       one that lsmkv_snapshot_sequence tells; whatever is read through it later, and when, is
 *       the state there.
 *       A walk over the changes from one snapshot to the next tells each key that they show
 *       different, each once, in order.
 *   H4  Of one thread's reads no place stands before an earlier one's.
 *
 * This is sound and complete for that order: with H1 to H4 writes and reads can be put in one
 * sequence that agrees with real time and in which each read gives what was written last; and if
 * they can, with the writes in the order of their numbers, nothing here fails, since for each
 * read the first place that fits is taken.  Half of a batch at one place is a state that was none.
 *
 * Rounds run in real threads until LSMKV_SECONDS are over (3; with the thread sanitizer 60, for
 * this is its stress of the engine); then some in turns (turns/turns.h), which their seeds
 * replay.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lsmkv.h"
#include "support/mem_env.h"
#include "support/plan.h"
#include "support/random.h"
#include "support/suite.h"
#include "turns/turns.h"

#define WRITERS      3
#define READERS      3
#define BATCHES      400 /* of each writer in a round of real threads; in turns a tenth */
#define READS_MAX    20000
#define KEYS         12 /* a/0 to a/3, b/0 to b/3 in path order; p0 to p3 in bytes order */
#define TREE         4
#define ABSENT       UINT32_MAX
#define TURNS_ROUNDS 40

#if defined(__SANITIZE_THREAD__)
#define SECONDS 60
#else
#define SECONDS 3
#endif

enum batch_kind { BATCH_PUT, BATCH_DELETE, BATCH_EXCHANGE };

/* What the key of a batch holds, and what is known of it. */
struct batch {
    uint32_t kind, keys;   /* a bit for each key */
    uint64_t begun, ended; /* ticks */
    uint64_t sequence;     /* of its own key: its last entry */
};

/* What a read saw: for each key the batch that put it, or ABSENT. */
struct read {
    uint64_t begun, ended;
    uint32_t keys; /* those that it looked at */
    uint64_t at;   /* the snapshot's sequence; 0: none */
    uint32_t saw[KEYS];
};

struct reader {
    struct history *history;
    size_t number, count;
    struct read *reads;
};

struct history {
    uint64_t seed;
    size_t batches; /* of each writer */
    struct mem_env *env;
    struct plan_store store;
    atomic_uint_fast64_t tick;
    atomic_uint writing; /* writers that have not ended */
    struct batch done[WRITERS * BATCHES];
    struct reader readers[READERS];
    /* Behind: the batches in their order, and after each what the keys hold. */
    uint32_t order[WRITERS * BATCHES];
    uint32_t (*states)[KEYS]; /* states[i]: after the first i */
    uint64_t reads;
};

struct writer {
    struct history *history;
    size_t number;
};

static void
die(const struct history *history, const char *what, int result)
{
    printf("LSMKV_SEED=%llu: %s: %s (%s)\n", (unsigned long long)history->seed, what,
           lsmkv_strerror(result), lsmkv_error_detail());
    fflush(stdout);
    abort();
}

static void
need(const struct history *history, const char *what, int result)
{
    if (result != 0)
        die(history, what, result);
}

static uint64_t
tick(struct history *history)
{
    return atomic_fetch_add(&history->tick, 1);
}

static struct lsmkv_slice
key_name(size_t key, char *name)
{
    int size = key < 2 * TREE
                   ? snprintf(name, 16, "%c/%zu", key < TREE ? 'a' : 'b', key % TREE)
                   : snprintf(name, 16, "p%zu", key % TREE);

    return lsmkv_bytes(name, (size_t)size);
}

static struct lsmkv_keyspace *
keyspace_of(const struct history *history, size_t key)
{
    return history->store.keyspaces[key < 2 * TREE ? 0 : 1];
}

/* ---- writers ---- */

static void
build(struct history *history, const struct batch *made, uint32_t number,
      struct lsmkv_batch *batch)
{
    char value[200] = {0}, name[32];
    size_t size = sizeof(number) + number % 150;

    memcpy(value, &number, sizeof(number));
    lsmkv_batch_clear(batch);
    for (size_t key = 0; key < KEYS; key++) {
        int result = 0;

        if ((made->keys >> key & 1) == 0)
            continue;
        if (made->kind == BATCH_PUT)
            result =
                lsmkv_batch_put(batch, keyspace_of(history, key), key_name(key, name),
                                lsmkv_str(""), lsmkv_bytes(value, size));
        else if (made->kind == BATCH_DELETE)
            result =
                lsmkv_batch_delete(batch, keyspace_of(history, key), key_name(key, name));
        need(history, "a batch cannot be built", result);
    }
    snprintf(name, sizeof(name), "batch %u", number);
    need(history, "a batch cannot be built",
         lsmkv_batch_put(batch, history->store.keyspaces[1], lsmkv_str(name),
                         lsmkv_str(""), lsmkv_str("")));
}

static void *
write_batches(void *argument)
{
    static const struct lsmkv_move exchange[] = {{{"a", 1}, {"b", 1}},
                                                 {{"b", 1}, {"a", 1}}};
    struct writer *writer = argument;
    struct history *history = writer->history;
    struct random random = random_of(history->seed * 64 + writer->number);
    struct lsmkv_batch *batch;

    need(history, "no batch", lsmkv_batch_new(&batch));
    for (size_t i = 0; i < history->batches; i++) {
        uint32_t number = (uint32_t)(writer->number * BATCHES + i);
        unsigned flags = random_below(&random, 8) == 0 ? 0 : LSMKV_UNSYNCED;
        uint64_t dice = random_below(&random, 8);
        struct batch *made = &history->done[number];

        made->kind = dice == 0 ? BATCH_EXCHANGE : dice < 3 ? BATCH_DELETE : BATCH_PUT;
        made->keys = made->kind == BATCH_EXCHANGE
                         ? 0
                         : (uint32_t)(random_next(&random) & random_next(&random)) &
                               ((1u << KEYS) - 1);
        build(history, made, number, batch);
        made->begun = tick(history);
        need(history, "a write failed",
             made->kind == BATCH_EXCHANGE
                 ? lsmkv_move_trees(history->store.db, NULL, exchange, 2, batch, flags)
                 : lsmkv_write(history->store.db, batch, flags));
        made->ended = tick(history);
    }
    lsmkv_batch_free(batch);
    atomic_fetch_sub(&history->writing, 1);
    return NULL;
}

/* ---- readers ---- */

static uint32_t
number_in(struct lsmkv_slice value)
{
    uint32_t number;

    memcpy(&number, value.data, sizeof(number));
    return number;
}

static void
get(struct history *history, const struct lsmkv_snapshot *snapshot, size_t key,
    struct read *read)
{
    struct lsmkv_record record;
    char name[32], buffer[512];
    int result = lsmkv_get(history->store.db, keyspace_of(history, key), snapshot,
                           key_name(key, name), buffer, sizeof(buffer), &record);

    if (result != 0 && result != -ENOENT)
        die(history, "a read failed", result);
    read->keys |= 1u << key;
    read->saw[key] = result == 0 ? number_in(record.value) : ABSENT;
}

/* Of a key of the keyspace whose first one has that number. */
static size_t
key_number(const char *name, size_t first)
{
    return first == 0 ? (size_t)(name[0] - 'a') * TREE + (size_t)(name[2] - '0')
                      : first + (size_t)(name[1] - '0');
}

/* All keys of one keyspace, forwards or backwards. */
static void
walk(struct history *history, const struct lsmkv_snapshot *snapshot, size_t first,
     size_t end, bool backwards, struct read *read)
{
    struct lsmkv_iter_options options = {.snapshot = snapshot,
                                         .lower = lsmkv_str(first == 0 ? "a" : "p"),
                                         .upper = lsmkv_str(first == 0 ? "c" : "q")};
    struct lsmkv_iter *iter;

    need(history, "no iterator",
         lsmkv_iter_new(history->store.db, keyspace_of(history, first), &options, &iter));
    for (size_t key = first; key < end; key++)
        read->saw[key] = ABSENT;
    read->keys |= ((1u << end) - 1) & ~((1u << first) - 1);
    for (backwards ? lsmkv_iter_last(iter) : lsmkv_iter_first(iter);
         lsmkv_iter_valid(iter);
         backwards ? lsmkv_iter_prev(iter) : lsmkv_iter_next(iter)) {
        read->saw[key_number(lsmkv_iter_key(iter).data, first)] =
            number_in(lsmkv_iter_record(iter)->value);
    }
    need(history, "a walk failed", lsmkv_iter_status(iter));
    lsmkv_iter_free(iter);
}

/* The next note to be filled in; beyond the last, the last again. */
static struct read *
note(struct reader *reader)
{
    struct read *read;

    if (reader->count < READS_MAX)
        reader->count++;
    read = &reader->reads[reader->count - 1];
    memset(read, 0, sizeof(*read));
    return read;
}

/* Keys told of the range that walk() goes over: a bit for each. */
static uint32_t
changes(struct history *history, const struct lsmkv_snapshot *from,
        const struct lsmkv_snapshot *to, size_t first)
{
    struct lsmkv_changes_options options = {.from = from,
                                            .to = to,
                                            .lower = lsmkv_str(first == 0 ? "a" : "p"),
                                            .upper = lsmkv_str(first == 0 ? "c" : "q")};
    struct lsmkv_changes *walk;
    uint32_t told = 0;

    need(history, "no walk over changes",
         lsmkv_changes_new(history->store.db, keyspace_of(history, first), &options,
                           &walk));
    while (lsmkv_changes_next(walk)) {
        uint32_t key = 1u << key_number(lsmkv_changes_key(walk).data, first);

        if (told >= key)
            die(history, "changes are told twice or out of order", 0);
        told |= key;
    }
    need(history, "a walk over changes failed", lsmkv_changes_status(walk));
    lsmkv_changes_free(walk);
    return told;
}

/* From a snapshot, of which `then` is what it shows, to another that is taken now. */
static void
read_changes(struct reader *reader, const struct lsmkv_snapshot *from,
             const struct read *then)
{
    struct history *history = reader->history;
    struct lsmkv_snapshot *to;
    struct read *now;
    uint32_t before[KEYS], told;

    memcpy(before, then->saw, sizeof(before));
    now = note(reader); /* which may be `then` */
    now->begun = tick(history);
    need(history, "snapshot", lsmkv_snapshot_take(history->store.db, &to));
    now->ended = tick(history);
    now->at = lsmkv_snapshot_sequence(to);
    told = changes(history, from, to, 0) | changes(history, from, to, (size_t)2 * TREE);
    walk(history, to, 0, 2 * TREE, false, now);
    walk(history, to, 2 * TREE, KEYS, false, now);
    for (size_t key = 0; key < KEYS; key++)
        if (now->saw[key] != before[key] && (told >> key & 1) == 0)
            die(history, "a key that changed is not told", 0);
    lsmkv_snapshot_release(history->store.db, to);
}

/* What it sees is all at its sequence, read at once or later. */
static void
read_snapshot(struct reader *reader, struct random *random)
{
    struct history *history = reader->history;
    struct lsmkv *db = history->store.db;
    struct lsmkv_snapshot *snapshot;
    struct read *read = note(reader);
    char name[32];

    snprintf(name, sizeof(name), "s%zu", reader->number);
    read->begun = tick(history);
    if (random_below(random, 4) == 0) {
        need(history, "snapshot", lsmkv_snapshot_create(db, name, NULL));
        need(history, "snapshot", lsmkv_snapshot_open(db, name, &snapshot, NULL));
        need(history, "drop", lsmkv_snapshot_drop(db, name));
    } else {
        need(history, "snapshot", lsmkv_snapshot_take(db, &snapshot));
    }
    read->ended = tick(history);
    read->at = lsmkv_snapshot_sequence(snapshot);
    for (uint64_t i = random_below(random, 20); i > 0; i--) {
        struct read again;

        get(history, NULL, random_below(random, KEYS), &again); /* lets others go on */
    }
    walk(history, snapshot, 0, 2 * TREE, random_coin(random), read);
    walk(history, snapshot, 2 * TREE, KEYS, random_coin(random), read);
    if (random_coin(random))
        for (size_t key = 0; key < KEYS; key++) {
            uint32_t walked = read->saw[key];

            get(history, snapshot, key, read);
            if (read->saw[key] != walked)
                die(history, "a snapshot shows two things", 0);
        }
    if (random_coin(random))
        read_changes(reader, snapshot, read);
    lsmkv_snapshot_release(db, snapshot);
}

static void *
read_keys(void *argument)
{
    struct reader *reader = argument;
    struct history *history = reader->history;
    struct random random = random_of(history->seed * 64 + 32 + reader->number);

    while (atomic_load(&history->writing) > 0) {
        uint64_t dice = random_below(&random, 16);
        struct read *read;

        if (dice == 0) {
            read_snapshot(reader, &random);
            continue;
        }
        read = note(reader);
        read->begun = tick(history);
        if (dice == 1)
            walk(history, NULL, 0, 2 * TREE, random_coin(&random), read);
        else if (dice == 2)
            walk(history, NULL, 2 * TREE, KEYS, random_coin(&random), read);
        else
            get(history, NULL, random_below(&random, KEYS), read);
        read->ended = tick(history);
    }
    return NULL;
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

static void *
keep_up(void *argument)
{
    static const struct lsmkv_slice none = {NULL, 0};
    struct history *history = argument;
    struct random random = random_of(history->seed * 64 + 63);

    while (atomic_load(&history->writing) > 0) {
        struct lsmkv_stats stats;

        if (random_coin(&random))
            need(history, "flush", lsmkv_flush(history->store.db));
        else
            need(history, "compact",
                 lsmkv_compact(history->store.db,
                               history->store.keyspaces[random_below(&random, 2)], none,
                               none));
        need(history, "stats", lsmkv_get_stats(history->store.db, &stats));
        need(history, "levels", lsmkv_level_list(history->store.db, pass_level, NULL));
        need(history, "pins", lsmkv_pin_list(history->store.db, pass_pin, NULL));
    }
    return NULL;
}

/* ---- the order, and the state at each place of it ---- */

static const struct history *sorted; /* for the comparison */

static int
compare_batches(const void *a, const void *b)
{
    uint64_t x = sorted->done[*(const uint32_t *)a].sequence,
             y = sorted->done[*(const uint32_t *)b].sequence;

    return x < y ? -1 : x > y;
}

static size_t
total(const struct history *history)
{
    return WRITERS * history->batches;
}

static void
learn_order(struct history *history)
{
    size_t count = 0;

    for (size_t w = 0; w < WRITERS; w++)
        for (size_t i = 0; i < history->batches; i++) {
            uint32_t number = (uint32_t)(w * BATCHES + i);
            struct lsmkv_record record;
            char name[32], buffer[8];

            snprintf(name, sizeof(name), "batch %u", number);
            need(history, "an acknowledged batch is gone",
                 lsmkv_get(history->store.db, history->store.keyspaces[1], NULL,
                           lsmkv_str(name), buffer, sizeof(buffer), &record));
            history->done[number].sequence = record.sequence;
            history->order[count++] = number;
        }
    sorted = history;
    qsort(history->order, count, sizeof(history->order[0]), compare_batches);
}

static void
apply(const struct batch *batch, uint32_t number, const uint32_t *before, uint32_t *after)
{
    for (size_t key = 0; key < KEYS; key++) {
        if (batch->kind == BATCH_EXCHANGE && key < 2 * TREE)
            after[key] = before[(key + TREE) % (2 * TREE)];
        else if ((batch->keys >> key & 1) == 0)
            after[key] = before[key];
        else
            after[key] = batch->kind == BATCH_PUT ? number : ABSENT;
    }
}

/* H1, and the states. */
static void
replay(struct history *history)
{
    uint64_t latest_begin = 0;

    for (size_t key = 0; key < KEYS; key++)
        history->states[0][key] = ABSENT;
    for (size_t i = 0; i < total(history); i++) {
        const struct batch *batch = &history->done[history->order[i]];

        if (batch->ended < latest_begin)
            die(history, "a batch stands behind one that was begun later", 0);
        if (batch->begun > latest_begin)
            latest_begin = batch->begun;
        apply(batch, history->order[i], history->states[i], history->states[i + 1]);
    }
}

/* ---- H2 to H4 ---- */

static bool
fits(const struct history *history, const struct read *read, size_t place)
{
    for (size_t key = 0; key < KEYS; key++)
        if ((read->keys >> key & 1) != 0 && read->saw[key] != history->states[place][key])
            return false;
    return true;
}

/* What was acknowledged before it began is in, what was begun after it ended is not: by H1 both
 * are found by going through the order. */
static bool
may_stand(const struct history *history, const struct read *read, size_t place)
{
    for (size_t i = place; i < total(history); i++)
        if (history->done[history->order[i]].ended < read->begun)
            return false;
    for (size_t i = 0; i < place; i++)
        if (history->done[history->order[i]].begun > read->ended)
            return false;
    return true;
}

/* firsts[i]: no read that began at tick i or later stands before this place. */
static size_t *
first_places(const struct history *history)
{
    uint64_t ticks = history->tick;
    size_t *firsts = mem_need((ticks + 1) * sizeof(*firsts));

    for (size_t i = 0; i < total(history); i++)
        firsts[history->done[history->order[i]].ended + 1] = i + 1;
    for (uint64_t t = 1; t <= ticks; t++)
        if (firsts[t] < firsts[t - 1])
            firsts[t] = firsts[t - 1];
    return firsts;
}

static size_t
place_of_snapshot(const struct history *history, const struct read *read)
{
    size_t place = 0;

    while (place < total(history) &&
           history->done[history->order[place]].sequence <= read->at)
        place++;
    if (!may_stand(history, read, place) || !fits(history, read, place))
        die(history, "a snapshot is not the state at its sequence", 0);
    return place;
}

static size_t
place_of_read(const struct history *history, const struct read *read, size_t first)
{
    size_t place = first;

    while (place <= total(history) && !fits(history, read, place))
        place++;
    if (place > total(history) || !may_stand(history, read, place))
        die(history, "a read saw what was not there at any moment of it", 0);
    return place;
}

static void
check_reads(struct history *history)
{
    size_t *firsts = first_places(history);

    for (size_t r = 0; r < READERS; r++) {
        const struct reader *reader = &history->readers[r];
        size_t place = 0;

        for (size_t i = 0; i < reader->count; i++) {
            const struct read *read = &reader->reads[i];
            size_t first = firsts[read->begun];

            if (first < place)
                first = place; /* H4 */
            place = read->at != 0 ? place_of_snapshot(history, read)
                                  : place_of_read(history, read, first);
            if (place < first)
                die(history, "a read is older than one before it", 0);
        }
        history->reads += reader->count;
    }
    free(firsts);
}

/* ---- rounds ---- */

static void
run_threads(struct history *history)
{
    pthread_t ids[WRITERS + READERS + 1];
    struct writer writers[WRITERS];

    for (size_t w = 0; w < WRITERS; w++) {
        writers[w] = (struct writer){history, w};
        ck_assert_int_eq(pthread_create(&ids[w], NULL, write_batches, &writers[w]), 0);
    }
    for (size_t r = 0; r < READERS; r++)
        ck_assert_int_eq(
            pthread_create(&ids[WRITERS + r], NULL, read_keys, &history->readers[r]), 0);
    ck_assert_int_eq(pthread_create(&ids[WRITERS + READERS], NULL, keep_up, history), 0);
    for (size_t i = 0; i < WRITERS + READERS + 1; i++)
        pthread_join(ids[i], NULL);
}

static void
quiet(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    if (level == LSMKV_LOG_ERROR)
        printf("%s\n", line);
}

/* Returns how many reads were held against `batches` of each writer. */
static uint64_t
run_round(uint64_t seed, size_t batches)
{
    struct history *history = mem_need(sizeof(*history));
    struct lsmkv_options options;
    uint64_t reads;

    history->seed = seed;
    history->batches = batches;
    history->writing = WRITERS;
    history->env = mem_env_new();
    history->states = mem_need((WRITERS * batches + 1) * sizeof(*history->states));
    for (size_t r = 0; r < READERS; r++)
        history->readers[r] =
            (struct reader){history, r, 0, mem_need(READS_MAX * sizeof(struct read))};
    options = plan_options(mem_env_base(history->env));
    options.move_log_limit = seed % 2 == 0 ? 100 : 1 << 20;
    options.log = quiet;
    need(history, "open", plan_open(&options, &history->store));
    run_threads(history);
    learn_order(history);
    need(history, "close", lsmkv_close(history->store.db));
    need(history, "check", plan_check(&options));
    replay(history);
    check_reads(history);
    reads = history->reads;
    for (size_t r = 0; r < READERS; r++)
        free(history->readers[r].reads);
    free(history->states);
    mem_env_free(history->env);
    free(history);
    return reads;
}

static double
seconds_given(void)
{
    const char *given = getenv("LSMKV_SECONDS");

    return given != NULL ? strtod(given, NULL) : SECONDS;
}

static double
seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(test_reads_beside_writes_agree_with_one_order_of_them)
{
    double end = seconds_now() + seconds_given();
    uint64_t seed = random_seed(), rounds = 0, reads = 0;

    do
        reads += run_round(seed + rounds++, BATCHES);
    while (seconds_now() < end);
    printf("histories: %llu rounds of %d batches, %llu reads\n",
           (unsigned long long)rounds, WRITERS * BATCHES, (unsigned long long)reads);
    ck_assert_uint_gt(reads, 0);
}
END_TEST

START_TEST(test_threads_in_turns_read_what_agrees_with_one_order)
{
    uint64_t seed = random_seed(), reads = 0;

    for (uint64_t i = 0; i < TURNS_ROUNDS; i++) {
        turns_begin(seed + i);
        reads += run_round(seed + i, BATCHES / 10);
        turns_end();
    }
    printf("histories in turns: %d rounds, %llu reads\n", TURNS_ROUNDS,
           (unsigned long long)reads);
    ck_assert_uint_gt(reads, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("histories");
    TCase *tcase = tcase_create("histories");

    tcase_set_timeout(tcase, 3600);
    tcase_add_test(tcase, test_reads_beside_writes_agree_with_one_order_of_them);
    tcase_add_test(tcase, test_threads_in_turns_read_what_agrees_with_one_order);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
