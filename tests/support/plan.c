/*
 * plan.c - see plan.h.
 */
#include "support/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- states ---- */

static uint64_t
hash_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* Word by word: a sweep reads each of its stores whole. */
static uint64_t
hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t word;

    hash = hash_word(hash, size);
    for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        hash = hash_word(hash, word);
    }
    for (; size > 0; bytes++, size--)
        hash = hash_word(hash, *bytes);
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

uint64_t
plan_hash_models(const struct model models[PLAN_KEYSPACES])
{
    uint64_t hash = HASH_START;

    for (int k = 0; k < PLAN_KEYSPACES; k++) {
        hash = hash_bytes(hash, &k, sizeof(k));
        for (size_t i = 0; i < models[k].count; i++) {
            const struct model_entry *entry = &models[k].entries[i];

            hash = hash_entry(hash, entry->key, entry->attributes, entry->value);
        }
    }
    return hash;
}

int
plan_hash_store(struct lsmkv *db, const struct lsmkv_snapshot *snapshot, uint64_t *out)
{
    struct lsmkv_iter_options options = {.snapshot = snapshot};
    uint64_t hash = HASH_START;

    for (int k = 0; k < PLAN_KEYSPACES; k++) {
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

static enum plan_kind
random_kind(struct random *random)
{
    static const struct {
        enum plan_kind kind;
        unsigned share; /* of 100 */
    } shares[] = {{PLAN_PUT, 37},  {PLAN_DELETE, 15}, {PLAN_BATCH, 15},   {PLAN_MOVE, 8},
                  {PLAN_FLUSH, 4}, {PLAN_COMPACT, 3}, {PLAN_SNAPSHOT, 5}, {PLAN_DROP, 4},
                  {PLAN_SYNC, 4},  {PLAN_REOPEN, 2},  {PLAN_ROLLBACK, 3}};
    uint64_t dice = random_below(random, 100);
    size_t i = 0;

    while (dice >= shares[i].share)
        dice -= shares[i++].share;
    return shares[i].kind;
}

static struct lsmkv_slice
value_of(const struct plan_operation *operation, char *buffer, size_t salt)
{
    for (size_t i = 0; i < operation->value_size; i++)
        buffer[i] = (char)(operation->number * 31 + salt * 7 + i);
    return lsmkv_bytes(buffer, operation->value_size);
}

#define BATCH_ENTRIES 5

/* The key of entry `i` of a batch. */
static struct lsmkv_slice
batch_key(const struct plan_operation *operation, size_t i, char *buffer)
{
    int size =
        snprintf(buffer, 80, "%s/%zu", i % 2 == 0 ? operation->key : operation->other, i);

    return lsmkv_bytes(buffer, (size_t)size);
}

bool
plan_is_nothing(const struct plan_operation *operation)
{
    struct lsmkv_slice from = lsmkv_str(operation->key), to = lsmkv_str(operation->other);

    return operation->kind == PLAN_MOVE &&
           (strcmp(operation->key, operation->other) == 0 || model_is_below(from, to) ||
            model_is_below(to, from));
}

void
plan_apply(struct model models[PLAN_KEYSPACES], const struct plan_operation *operation)
{
    struct lsmkv_move move = {lsmkv_str(operation->key), lsmkv_str(operation->other)};
    struct lsmkv_slice number =
        lsmkv_bytes(&operation->number, sizeof(operation->number));
    char value[8192], key[80];

    switch (operation->kind) {
    case PLAN_PUT:
        model_put(&models[operation->keyspace], lsmkv_str(operation->key), number,
                  value_of(operation, value, 0));
        break;
    case PLAN_DELETE:
        model_delete(&models[operation->keyspace], lsmkv_str(operation->key));
        break;
    case PLAN_BATCH:
        for (size_t i = 0; i < BATCH_ENTRIES; i++)
            model_put(&models[i % PLAN_KEYSPACES], batch_key(operation, i, key), number,
                      value_of(operation, value, i));
        break;
    case PLAN_MOVE:
        if (!plan_is_nothing(operation))
            model_move(&models[0], &move, 1);
        break;
    default:
        break;
    }
}

void
plan_models_init(struct model models[PLAN_KEYSPACES])
{
    model_init(&models[0], LSMKV_ORDER_PATH);
    model_init(&models[1], LSMKV_ORDER_BYTES);
}

void
plan_models_fini(struct model models[PLAN_KEYSPACES])
{
    for (int k = 0; k < PLAN_KEYSPACES; k++)
        model_fini(&models[k]);
}

static void
make(struct plan_operation *operation, size_t number, struct random *random)
{
    operation->kind = random_kind(random);
    operation->keyspace = (int)random_below(random, PLAN_KEYSPACES);
    operation->sync = random_below(random, 3) == 0;
    operation->number = number;
    operation->value_size =
        random_below(random, random_below(random, 8) == 0 ? 5000 : 60);
    random_path(random, operation->key, sizeof(operation->key));
    random_path(random, operation->other, sizeof(operation->other));
}

/* The snapshots that there are while the plan is made, the oldest first: drops take that one. */
struct taken {
    size_t count;
    struct {
        uint64_t number;
        struct model models[PLAN_KEYSPACES];
    } all[64];
};

static void
take(struct taken *taken, uint64_t number, const struct model models[PLAN_KEYSPACES])
{
    if (taken->count == sizeof(taken->all) / sizeof(taken->all[0]))
        abort();
    taken->all[taken->count].number = number;
    for (int k = 0; k < PLAN_KEYSPACES; k++)
        model_copy(&taken->all[taken->count].models[k], &models[k]);
    taken->count++;
}

static void
drop_oldest(struct taken *taken)
{
    if (taken->count == 0)
        return;
    plan_models_fini(taken->all[0].models);
    taken->count--;
    memmove(&taken->all[0], &taken->all[1], taken->count * sizeof(taken->all[0]));
}

/* To any of them; without one it is a flush. */
static void
go_back(struct taken *taken, struct plan_operation *operation, struct random *random,
        struct model models[PLAN_KEYSPACES])
{
    size_t at;

    if (taken->count == 0) {
        operation->kind = PLAN_FLUSH;
        return;
    }
    at = random_below(random, taken->count);
    operation->target = taken->all[at].number;
    for (int k = 0; k < PLAN_KEYSPACES; k++) {
        model_fini(&models[k]);
        model_copy(&models[k], &taken->all[at].models[k]);
    }
}

void
plan_init(struct plan *plan, uint64_t seed, size_t count)
{
    struct random random = random_of(seed);
    struct model models[PLAN_KEYSPACES];
    struct taken taken = {0};

    *plan = (struct plan){seed, count, calloc(count, sizeof(*plan->operations)),
                          calloc(count + 1, sizeof(*plan->hashes))};
    if (!plan->operations || !plan->hashes)
        abort();
    plan_models_init(models);
    plan->hashes[0] = plan_hash_models(models);
    for (size_t i = 0; i < count; i++) {
        struct plan_operation *operation = &plan->operations[i];

        make(operation, i, &random);
        if (operation->kind == PLAN_SNAPSHOT)
            take(&taken, i, models);
        if (operation->kind == PLAN_DROP)
            drop_oldest(&taken);
        if (operation->kind == PLAN_ROLLBACK)
            go_back(&taken, operation, &random, models);
        plan_apply(models, operation);
        plan->hashes[i + 1] = plan_hash_models(models);
    }
    while (taken.count > 0)
        drop_oldest(&taken);
    plan_models_fini(models);
}

void
plan_fini(struct plan *plan)
{
    free(plan->operations);
    free(plan->hashes);
}

/* ---- running ---- */

struct lsmkv_options
plan_options(struct lsmkv_env *env)
{
    struct lsmkv_options options;

    lsmkv_options_init(&options);
    options.env = env;
    options.create = true;
    options.write_buffer_size = 16 << 10;
    options.table_size = 8 << 10;
    options.level_base_size = 16 << 10;
    options.l0_compaction_trigger = 2;
    options.cache_size = 64 << 10;
    options.move_log_limit = 600;
    options.blob_threshold = 40; /* a third of the values */
    options.direct_threshold = 50;
    return options;
}

int
plan_open(const struct lsmkv_options *options, struct plan_store *store)
{
    const struct lsmkv_keyspace_options plain = {.order = LSMKV_ORDER_BYTES,
                                                 .compression = LSMKV_COMPRESSION_LZ4};
    int result = lsmkv_open("store", options, &store->db);

    if (result != 0)
        return result;
    store->keyspaces[0] = NULL;
    result = lsmkv_keyspace_open(store->db, "plain", &store->keyspaces[1]);
    if (result == -ENOENT)
        result =
            lsmkv_keyspace_create_with(store->db, "plain", &plain, &store->keyspaces[1]);
    if (result != 0)
        (void)lsmkv_close(store->db); /* what failed first is told */
    return result;
}

static void
print_finding(void *context, const struct lsmkv_finding *finding)
{
    (void)context;
    if (finding->severity == LSMKV_DAMAGE)
        printf("%s: offset %llu: %s\n", finding->file,
               (unsigned long long)finding->offset, finding->text);
}

int
plan_check(const struct lsmkv_options *options)
{
    struct lsmkv_check_options check = {.finding = print_finding};
    int result = lsmkv_check("store", options, &check);

    return result == -ENOENT ? 0 : result;
}

static int
run_batch(struct plan_store *store, const struct plan_operation *operation,
          unsigned flags)
{
    struct lsmkv_slice number =
        lsmkv_bytes(&operation->number, sizeof(operation->number));
    struct lsmkv_batch *batch = NULL;
    char value[8192], key[80];
    int result = lsmkv_batch_new(&batch);

    for (size_t i = 0; i < BATCH_ENTRIES && result == 0; i++)
        result = lsmkv_batch_put(batch, store->keyspaces[i % PLAN_KEYSPACES],
                                 batch_key(operation, i, key), number,
                                 value_of(operation, value, i));
    if (result == 0)
        result = lsmkv_write(store->db, batch, flags);
    lsmkv_batch_free(batch);
    return result;
}

int
plan_run(struct plan_store *store, const struct plan_operation *operation, bool *durable)
{
    struct lsmkv_slice number =
        lsmkv_bytes(&operation->number, sizeof(operation->number));
    struct lsmkv_slice none = {NULL, 0}, key = lsmkv_str(operation->key);
    struct lsmkv_move move = {key, lsmkv_str(operation->other)};
    struct lsmkv_keyspace *keyspace = store->keyspaces[operation->keyspace];
    unsigned flags = operation->sync ? 0 : LSMKV_UNSYNCED;
    char value[8192];

    *durable = operation->sync;
    switch (operation->kind) {
    case PLAN_PUT:
        return lsmkv_put(store->db, keyspace, key, number, value_of(operation, value, 0),
                         flags);
    case PLAN_DELETE:
        return lsmkv_delete(store->db, keyspace, key, flags);
    case PLAN_BATCH:
        return run_batch(store, operation, flags);
    case PLAN_MOVE:
        *durable = *durable && !plan_is_nothing(operation);
        return plan_is_nothing(operation)
                   ? 0
                   : lsmkv_move_trees(store->db, NULL, &move, 1, NULL, flags);
    case PLAN_FLUSH:
        *durable = true;
        return lsmkv_flush(store->db);
    case PLAN_COMPACT:
        *durable = true;
        return lsmkv_compact(store->db, keyspace, none, none);
    case PLAN_SYNC:
        *durable = true;
        return lsmkv_sync(store->db);
    default:
        return -EINVAL;
    }
}
