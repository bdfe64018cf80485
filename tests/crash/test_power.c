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
#include "support/model.h"
#include "support/random.h"

#define OPERATIONS    500
#define KEYSPACES     2
#define SNAPSHOTS_MAX 64

enum operation_kind {
    PUT,
    DELETE,
    BATCH,
    MOVE,
    FLUSH,
    COMPACT,
    SNAPSHOT,
    DROP,
    SYNC,
    REOPEN
};

struct operation {
    enum operation_kind kind;
    int keyspace;
    bool sync;
    char key[64], other[64];
    size_t value_size;
    uint64_t number;
};

struct sweep {
    uint64_t seed;
    struct operation operations[OPERATIONS];
    uint64_t hashes[OPERATIONS + 1]; /* of the state after so many operations */
    struct mem_env *env;
    struct lsmkv *db;
    struct lsmkv_keyspace *keyspaces[KEYSPACES];
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
    printf("LSMKV_SEED=%llu: %s: %s (%s)\n", (unsigned long long)sweep->seed, what,
           lsmkv_strerror(result), lsmkv_error_detail());
    fflush(stdout);
    abort();
}

/* ---- hashing a state ---- */

static uint64_t
hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    hash = (hash ^ size) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t
hash_entry(uint64_t hash, struct lsmkv_slice key, struct lsmkv_slice attributes,
           struct lsmkv_slice value)
{
    hash = hash_bytes(hash, key.data, key.size);
    hash = hash_bytes(hash, attributes.data, attributes.size);
    return hash_bytes(hash, value.data, value.size);
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t
hash_models(const struct model models[KEYSPACES])
{
    uint64_t hash = HASH_START;

    for (int k = 0; k < KEYSPACES; k++) {
        hash = hash_bytes(hash, &k, sizeof(k));
        for (size_t i = 0; i < models[k].count; i++) {
            const struct model_entry *entry = &models[k].entries[i];

            hash = hash_entry(hash, entry->key, entry->attributes, entry->value);
        }
    }
    return hash;
}

/* -ENOENT of the second keyspace counts as an empty one. */
static int
hash_store(struct lsmkv *db, const struct lsmkv_snapshot *snapshot, uint64_t *out)
{
    struct lsmkv_iter_options options = {.snapshot = snapshot};
    uint64_t hash = HASH_START;

    for (int k = 0; k < KEYSPACES; k++) {
        struct lsmkv_keyspace *keyspace = lsmkv_default_keyspace(db);
        struct lsmkv_iter *iter;
        int result = k == 0 ? 0 : lsmkv_keyspace_open(db, "plain", &keyspace);

        hash = hash_bytes(hash, &k, sizeof(k));
        if (result == -ENOENT)
            continue;
        if (result == 0)
            result = lsmkv_iter_new(db, keyspace, &options, &iter);
        if (result != 0)
            return result;
        for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
            const struct lsmkv_record *record = lsmkv_iter_record(iter);

            hash =
                hash_entry(hash, lsmkv_iter_key(iter), record->attributes, record->value);
        }
        result = lsmkv_iter_status(iter);
        lsmkv_iter_free(iter);
        if (result != 0)
            return result;
    }
    *out = hash;
    return 0;
}

/* ---- the workload, made beforehand ---- */

static void
random_path(struct random *random, char *path, size_t size)
{
    static const char *const parts[] = {"a", "b", "a.b", "a0", "c"};
    size_t depth = 1 + random_below(random, 3), at = 0;

    for (size_t i = 0; i < depth; i++)
        at += (size_t)snprintf(path + at, size - at, "%s%s", i > 0 ? "/" : "",
                               parts[random_below(random, 5)]);
}

static enum operation_kind
random_kind(struct random *random)
{
    static const struct {
        enum operation_kind kind;
        unsigned share; /* of 100 */
    } shares[] = {{PUT, 40},    {DELETE, 15},  {BATCH, 15}, {MOVE, 8}, {FLUSH, 4},
                  {COMPACT, 3}, {SNAPSHOT, 5}, {DROP, 4},   {SYNC, 4}, {REOPEN, 2}};
    uint64_t dice = random_below(random, 100);
    size_t i = 0;

    while (dice >= shares[i].share)
        dice -= shares[i++].share;
    return shares[i].kind;
}

static struct lsmkv_slice
value_of(const struct operation *operation, char *buffer, size_t salt)
{
    for (size_t i = 0; i < operation->value_size; i++)
        buffer[i] = (char)(operation->number * 31 + salt * 7 + i);
    return lsmkv_bytes(buffer, operation->value_size);
}

static bool
can_move(const struct operation *operation)
{
    struct lsmkv_slice from = lsmkv_str(operation->key), to = lsmkv_str(operation->other);

    return strcmp(operation->key, operation->other) != 0 && !model_is_below(from, to) &&
           !model_is_below(to, from);
}

#define BATCH_ENTRIES 5

/* The key of entry `i` of a batch. */
static struct lsmkv_slice
batch_key(const struct operation *operation, size_t i, char *buffer)
{
    int size =
        snprintf(buffer, 80, "%s/%zu", i % 2 == 0 ? operation->key : operation->other, i);

    return lsmkv_bytes(buffer, (size_t)size);
}

static void
model_apply(struct model models[KEYSPACES], const struct operation *operation)
{
    struct lsmkv_move move = {lsmkv_str(operation->key), lsmkv_str(operation->other)};
    struct lsmkv_slice number =
        lsmkv_bytes(&operation->number, sizeof(operation->number));
    char value[8192], key[80];

    switch (operation->kind) {
    case PUT:
        model_put(&models[operation->keyspace], lsmkv_str(operation->key), number,
                  value_of(operation, value, 0));
        break;
    case DELETE:
        model_delete(&models[operation->keyspace], lsmkv_str(operation->key));
        break;
    case BATCH:
        for (size_t i = 0; i < BATCH_ENTRIES; i++)
            model_put(&models[i % KEYSPACES], batch_key(operation, i, key), number,
                      value_of(operation, value, i));
        break;
    case MOVE:
        if (can_move(operation))
            model_move(&models[0], &move, 1);
        break;
    default:
        break;
    }
}

static void
plan(struct sweep *sweep)
{
    struct random random = random_of(sweep->seed);
    struct model models[KEYSPACES];

    model_init(&models[0], LSMKV_ORDER_PATH);
    model_init(&models[1], LSMKV_ORDER_BYTES);
    sweep->hashes[0] = hash_models(models);
    for (size_t i = 0; i < OPERATIONS; i++) {
        struct operation *operation = &sweep->operations[i];

        operation->kind = random_kind(&random);
        operation->keyspace = (int)random_below(&random, KEYSPACES);
        operation->sync = random_below(&random, 3) == 0;
        operation->number = i;
        operation->value_size =
            random_below(&random, random_below(&random, 8) == 0 ? 5000 : 60);
        random_path(&random, operation->key, sizeof(operation->key));
        random_path(&random, operation->other, sizeof(operation->other));
        model_apply(models, operation);
        sweep->hashes[i + 1] = hash_models(models);
    }
    for (int k = 0; k < KEYSPACES; k++)
        model_fini(&models[k]);
}

/* ---- one image ---- */

static struct lsmkv_options
options_for(struct mem_env *env)
{
    struct lsmkv_options options;

    lsmkv_options_init(&options);
    options.env = mem_env_base(env);
    options.create = true;
    options.write_buffer_size = 16 << 10;
    options.table_size = 8 << 10;
    options.level_base_size = 16 << 10;
    options.l0_compaction_trigger = 2;
    options.cache_size = 64 << 10;
    options.move_log_limit = 600;
    return options;
}

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
            result = hash_store(db, snapshot, &hash);
        if (result != 0)
            die(sweep, "a snapshot cannot be read", result);
        lsmkv_snapshot_release(db, snapshot);
        if (hash != sweep->hashes[at])
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
    int result = hash_store(db, NULL, &hash);

    if (result != 0)
        die(sweep, "the reopened store cannot be read", result);
    for (size_t i = bounds->durable; i <= bounds->issued; i++)
        if (hash == sweep->hashes[i])
            return;
    for (size_t i = 0; i <= OPERATIONS; i++)
        if (hash == sweep->hashes[i])
            printf("the image holds %zu operations; durable %zu, issued %zu\n", i,
                   bounds->durable, bounds->issued);
    die(sweep, "the reopened store is not a prefix that holds what was durable", 0);
}

/* Opens the image, checks it, writes to it, and opens it once more. */
static void
check_image(const struct sweep *sweep, const struct bounds *bounds, struct mem_env *image)
{
    struct lsmkv_options options = options_for(image);
    struct lsmkv *db;
    struct lsmkv_record record;
    char buffer[16];
    int result;

    options.log = quiet;
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
    struct lsmkv_options options = options_for(image);
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
        image = mem_env_crash(sweep->env, policies[i], sweep->seed ^ ordinal);
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
    struct lsmkv_options options = options_for(sweep->env);
    int result = lsmkv_open("store", &options, &sweep->db);

    if (result != 0)
        die(sweep, "open", result);
    sweep->keyspaces[0] = NULL;
    result = lsmkv_keyspace_open(sweep->db, "plain", &sweep->keyspaces[1]);
    if (result == -ENOENT)
        result = lsmkv_keyspace_create(sweep->db, "plain", LSMKV_ORDER_BYTES,
                                       &sweep->keyspaces[1]);
    if (result != 0)
        die(sweep, "keyspace", result);
}

static int
run_batch(struct sweep *sweep, const struct operation *operation, unsigned flags)
{
    struct lsmkv_slice number =
        lsmkv_bytes(&operation->number, sizeof(operation->number));
    struct lsmkv_batch *batch;
    char value[8192], key[80];
    int result = lsmkv_batch_new(&batch);

    for (size_t i = 0; i < BATCH_ENTRIES && result == 0; i++)
        result = lsmkv_batch_put(batch, sweep->keyspaces[i % KEYSPACES],
                                 batch_key(operation, i, key), number,
                                 value_of(operation, value, i));
    if (result == 0)
        result = lsmkv_write(sweep->db, batch, flags);
    lsmkv_batch_free(batch);
    return result;
}

static int
run_snapshot(struct sweep *sweep, size_t at)
{
    char name[32];
    int result;

    snprintf(name, sizeof(name), "s%zu", at);
    atomic_store(&sweep->snapshot_issued[at], true);
    result = lsmkv_snapshot_create(sweep->db, name, NULL);
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
        result = lsmkv_snapshot_drop(sweep->db, name);
        if (result == 0)
            atomic_store(&sweep->snapshot_dropped[i], true);
        return result;
    }
    return 0;
}

/* Sets *durable if the operation makes everything so far durable. */
static int
run_operation(struct sweep *sweep, const struct operation *operation, bool *durable)
{
    struct lsmkv_slice number =
        lsmkv_bytes(&operation->number, sizeof(operation->number));
    struct lsmkv_slice none = {NULL, 0}, key = lsmkv_str(operation->key);
    struct lsmkv_move move = {key, lsmkv_str(operation->other)};
    unsigned flags = operation->sync ? 0 : LSMKV_UNSYNCED;
    char value[8192];
    int result;

    *durable = operation->sync;
    switch (operation->kind) {
    case PUT:
        return lsmkv_put(sweep->db, sweep->keyspaces[operation->keyspace], key, number,
                         value_of(operation, value, 0), flags);
    case DELETE:
        return lsmkv_delete(sweep->db, sweep->keyspaces[operation->keyspace], key, flags);
    case BATCH:
        return run_batch(sweep, operation, flags);
    case MOVE:
        *durable = *durable && can_move(operation);
        return can_move(operation)
                   ? lsmkv_move_trees(sweep->db, NULL, &move, 1, NULL, flags)
                   : 0;
    case FLUSH:
        *durable = true;
        return lsmkv_flush(sweep->db);
    case COMPACT:
        *durable = true;
        return lsmkv_compact(sweep->db, sweep->keyspaces[operation->keyspace], none,
                             none);
    case SNAPSHOT:
        *durable = true;
        return run_snapshot(sweep, operation->number);
    case DROP:
        *durable = false;
        return run_drop(sweep);
    case SYNC:
        *durable = true;
        return lsmkv_sync(sweep->db);
    case REOPEN:
        *durable = true;
        result = lsmkv_close(sweep->db);
        if (result == 0)
            open_store(sweep);
        return result;
    }
    return -EINVAL;
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
    sweep->seed = random_seed();
    sweep->random = random_of(sweep->seed);
    sweep->images_limit = limit_given();
    plan(sweep);
    sweep->env = mem_env_new();
    mem_env_set_hook(sweep->env, at_call, sweep);
    open_store(sweep);
    for (size_t i = 0; i < OPERATIONS; i++) {
        bool durable;
        int result;

        atomic_store(&sweep->issued, i + 1);
        result = run_operation(sweep, &sweep->operations[i], &durable);
        if (result != 0)
            die(sweep, "an operation failed", result);
        if (durable)
            atomic_store(&sweep->durable, i + 1);
    }
    ck_assert_int_eq(lsmkv_close(sweep->db), 0);
    mem_env_set_hook(sweep->env, NULL, NULL);
    mem_env_free(sweep->env);
    printf("power: %llu images, 0 failures\n", (unsigned long long)sweep->images);
    ck_assert(sweep->images_limit != 0 || sweep->images >= 10000);
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
