#include "support/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX     256
#define VALUE_MAX   6000
#define ENTRIES_MAX 700 /* beyond it, deletes outnumber puts */

static const char *const keyspace_names[WORLD_KEYSPACES] = {"default", "plain"};

static void
fail(const struct world *world, const char *what, int result)
{
    printf("step %llu: %s: %s (%s)\n", (unsigned long long)world->step, what,
           lsmkv_strerror(result), lsmkv_error_detail());
    exit(1);
}

static void
need(const struct world *world, const char *what, int result)
{
    if (result != 0)
        fail(world, what, result);
}

/* ---- random material ---- */

/* Components around the bytes on which orders differ. */
static const char *const components[] = {"a",  "b", "a.b", "a-b", "a0",
                                         "ab", ".", "0",   "zz",  "\x01"};

static uint64_t
below(struct world *world, uint64_t limit)
{
    return random_below(&world->random, limit);
}

/* A path of 1 to 4 components; now and then an odd key: empty, "//", with a NUL. */
static struct lsmkv_slice
random_key(struct world *world, char *buffer)
{
    size_t size = 0, depth = 1 + below(world, 4);

    if (below(world, 50) == 0) {
        static const struct lsmkv_slice odd[] = {{"", 0},    {"/", 1},    {"a//b", 4},
                                                 {"a\0", 2}, {"a/\0", 3}, {"\xff", 1},
                                                 {"a/", 2}};
        struct lsmkv_slice key = odd[below(world, sizeof(odd) / sizeof(odd[0]))];

        memcpy(buffer, key.data, key.size);
        return lsmkv_bytes(buffer, key.size);
    }
    for (size_t i = 0; i < depth; i++) {
        const char *component =
            components[below(world, sizeof(components) / sizeof(components[0]))];

        if (i > 0)
            buffer[size++] = '/';
        memcpy(buffer + size, component, strlen(component));
        size += strlen(component);
    }
    return lsmkv_bytes(buffer, size);
}

static struct lsmkv_slice
random_bytes(struct world *world, char *buffer, size_t size)
{
    /* Compressible, and different each time. */
    for (size_t i = 0; i < size; i++)
        buffer[i] = (char)('a' + (world->step + i) % 26);
    if (size >= 8)
        memcpy(buffer, &world->step, 8);
    return lsmkv_bytes(buffer, size);
}

struct material {
    char key_bytes[KEY_MAX], attribute_bytes[64], value_bytes[VALUE_MAX];
    struct lsmkv_slice key, attributes, value;
};

static void
random_material(struct world *world, struct material *m)
{
    size_t size = below(world, 20) == 0 ? below(world, VALUE_MAX) : below(world, 200);

    m->key = random_key(world, m->key_bytes);
    m->attributes = random_bytes(world, m->attribute_bytes, below(world, 64));
    m->value = random_bytes(world, m->value_bytes, size);
}

static unsigned
random_flags(struct world *world)
{
    return below(world, 4) == 0 ? 0 : LSMKV_UNSYNCED;
}

/* ---- opening and closing ---- */

static void
open_store(struct world *world)
{
    const struct lsmkv_keyspace_options plain = {.order = LSMKV_ORDER_BYTES,
                                                 .compression = LSMKV_COMPRESSION_LZ4};
    int result = lsmkv_open("store", &world->options, &world->db);

    need(world, "open", result);
    world->keyspaces[0] = lsmkv_default_keyspace(world->db);
    result = lsmkv_keyspace_open(world->db, keyspace_names[1], &world->keyspaces[1]);
    if (result != 0)
        result = lsmkv_keyspace_create_with(world->db, keyspace_names[1], &plain,
                                            &world->keyspaces[1]);
    need(world, "keyspace", result);
}

static void
print_finding(void *context, const struct lsmkv_finding *finding)
{
    (void)context;
    if (finding->severity == LSMKV_DAMAGE)
        printf("%s: offset %llu: %s\n", finding->file,
               (unsigned long long)finding->offset, finding->text);
}

/* Whatever was done to it, a store that nobody damaged has no damage. */
static void
check_store(struct world *world)
{
    struct lsmkv_check_options check = {.finding = print_finding};

    need(world, "check", lsmkv_check("store", &world->options, &check));
}

void
world_init(struct world *world, uint64_t seed, bool dead_ranges)
{
    static const size_t thresholds[] = {64, 1024, 0};

    memset(world, 0, sizeof(*world));
    world->random = random_of(seed);
    world->env = mem_env_new();
    lsmkv_options_init(&world->options);
    world->options.env = mem_env_base(world->env);
    world->options.create = true;
    world->options.write_buffer_size = 64 << 10;
    world->options.cache_size = 256 << 10;
    world->options.table_size = 24 << 10;
    world->options.level_base_size = 64 << 10;
    world->options.block_size = 1024;
    world->options.l0_compaction_trigger = 2;
    world->options.move_log_limit = 8 << 10;
    world->options.blob_threshold = thresholds[seed % 3];
    world->options.direct_threshold = thresholds[seed / 3 % 3];
    world->options.dead_ranges = dead_ranges;
    if (seed % 2 == 0)
        world->options.compression = LSMKV_COMPRESSION_LZ4;
    model_init(&world->models[0], LSMKV_ORDER_PATH);
    model_init(&world->models[1], LSMKV_ORDER_BYTES);
    open_store(world);
}

static void
snapshot_forget(struct world *world, struct world_snapshot *snapshot)
{
    lsmkv_snapshot_release(world->db, snapshot->handle);
    for (int i = 0; i < WORLD_KEYSPACES; i++)
        model_fini(&snapshot->models[i]);
    memset(snapshot, 0, sizeof(*snapshot));
}

/* Before the store is closed: unnamed snapshots go, named ones give up their handle. */
static void
release_handles(struct world *world)
{
    for (int i = 0; i < WORLD_SNAPSHOTS; i++) {
        struct world_snapshot *snapshot = &world->snapshots[i];

        if (snapshot->handle != NULL && snapshot->name[0] == '\0')
            snapshot_forget(world, snapshot);
        else
            lsmkv_snapshot_release(world->db, snapshot->handle);
        snapshot->handle = NULL;
    }
}

static void
reopen_handles(struct world *world)
{
    for (int i = 0; i < WORLD_SNAPSHOTS; i++)
        if (world->snapshots[i].name[0] != '\0')
            need(world, "snapshot after reopening",
                 lsmkv_snapshot_open(world->db, world->snapshots[i].name,
                                     &world->snapshots[i].handle, NULL));
}

void
world_reopen(struct world *world)
{
    release_handles(world);
    need(world, "close", lsmkv_close(world->db));
    check_store(world);
    open_store(world);
    reopen_handles(world);
}

static void
world_kill(struct world *world)
{
    struct mem_env *survivor = mem_env_kill(world->env);

    release_handles(world);
    need(world, "close of the killed one", lsmkv_close(world->db));
    mem_env_free(world->env);
    world->env = survivor;
    world->options.env = mem_env_base(survivor);
    check_store(world);
    open_store(world);
    reopen_handles(world);
}

void
world_fini(struct world *world)
{
    release_handles(world);
    need(world, "close", lsmkv_close(world->db));
    for (int i = 0; i < WORLD_SNAPSHOTS; i++)
        for (int k = 0; k < WORLD_KEYSPACES; k++)
            model_fini(&world->snapshots[i].models[k]);
    for (int k = 0; k < WORLD_KEYSPACES; k++)
        model_fini(&world->models[k]);
    mem_env_free(world->env);
}

/* ---- checks ---- */

void
world_check(struct world *world)
{
    for (int k = 0; k < WORLD_KEYSPACES; k++) {
        if (!model_matches(&world->models[k], world->db, world->keyspaces[k], NULL))
            fail(world, "the newest state differs", 0);
        for (int i = 0; i < WORLD_SNAPSHOTS; i++)
            if (world->snapshots[i].handle != NULL &&
                !model_matches(&world->snapshots[i].models[k], world->db,
                               world->keyspaces[k], world->snapshots[i].handle))
                fail(world, "a snapshot differs", 0);
    }
}

static enum lsmkv_presence
expected_presence(const struct model *model, struct lsmkv_slice key)
{
    if (model_find(model, key) != NULL)
        return LSMKV_EXACT;
    if (model->order == LSMKV_ORDER_PATH)
        for (size_t i = 0; i < model->count; i++)
            if (model_is_below(model->entries[i].key, key))
                return LSMKV_IMPLIED;
    return LSMKV_ABSENT;
}

static void
check_key(struct world *world, int k, const struct model *model,
          const struct lsmkv_snapshot *snapshot, struct lsmkv_slice key)
{
    static _Thread_local char buffer[VALUE_MAX + 64];
    const struct model_entry *entry = model_find(model, key);
    struct lsmkv_record record;
    int result = lsmkv_get(world->db, world->keyspaces[k], snapshot, key, buffer,
                           sizeof(buffer), &record);

    if ((entry == NULL) != (result == -ENOENT) || (entry != NULL && result != 0))
        fail(world, "get", result);
    if (entry != NULL &&
        (record.value.size != entry->value.size ||
         memcmp(record.value.data, entry->value.data, entry->value.size) != 0))
        fail(world, "get gave another value", 0);
    result = lsmkv_lookup(world->db, world->keyspaces[k], snapshot, key, false, buffer,
                          sizeof(buffer), &record);
    if (result != (int)expected_presence(model, key))
        fail(world, "lookup", result);
}

/* A seek to a random key, a few steps either way, and jumps over subtrees. */
static void
check_walk(struct world *world, int k, const struct model *model,
           const struct lsmkv_snapshot *snapshot)
{
    struct lsmkv_iter_options options = {.snapshot = snapshot};
    struct lsmkv_iter *iter;
    char bytes[KEY_MAX];
    struct lsmkv_slice key = random_key(world, bytes);
    size_t at = model_ceiling(model, key);

    need(world, "iterator",
         lsmkv_iter_new(world->db, world->keyspaces[k], &options, &iter));
    lsmkv_iter_seek(iter, key);
    for (int i = 0; i < 30; i++) {
        if (lsmkv_iter_valid(iter) != (at < model->count))
            fail(world, "a walk ended elsewhere", lsmkv_iter_status(iter));
        if (at == model->count)
            break;
        if (model_compare(model->order, lsmkv_iter_key(iter), model->entries[at].key) !=
            0)
            fail(world, "a walk went elsewhere", 0);
        switch (below(world, 4)) {
        case 0:
            if (at == 0) {
                lsmkv_iter_first(iter);
                break;
            }
            lsmkv_iter_prev(iter);
            at--;
            break;
        case 1:
            if (model->order == LSMKV_ORDER_PATH) {
                struct lsmkv_slice root = model->entries[at].key;

                lsmkv_iter_skip_tree(iter, root);
                for (at++;
                     at < model->count && model_is_below(model->entries[at].key, root);)
                    at++;
                break;
            } /* fall through */
        default:
            lsmkv_iter_next(iter);
            at++;
        }
    }
    lsmkv_iter_free(iter);
}

static void
check_some(struct world *world)
{
    int k = (int)below(world, WORLD_KEYSPACES);
    struct world_snapshot *snapshot = &world->snapshots[below(world, WORLD_SNAPSHOTS)];
    const struct model *model = &world->models[k];
    const struct lsmkv_snapshot *handle = NULL;
    char bytes[KEY_MAX];

    if (snapshot->handle != NULL && random_coin(&world->random)) {
        handle = snapshot->handle;
        model = &snapshot->models[k];
    }
    if (below(world, 8) == 0)
        check_walk(world, k, model, handle);
    else
        check_key(world, k, model, handle, random_key(world, bytes));
}

/* ---- operations ---- */

static void
do_put(struct world *world)
{
    int k = (int)below(world, WORLD_KEYSPACES);
    struct material m;

    random_material(world, &m);
    need(world, "put",
         lsmkv_put(world->db, world->keyspaces[k], m.key, m.attributes, m.value,
                   random_flags(world)));
    model_put(&world->models[k], m.key, m.attributes, m.value);
}

static void
do_delete(struct world *world)
{
    int k = (int)below(world, WORLD_KEYSPACES);
    struct model *model = &world->models[k];
    char bytes[KEY_MAX];
    struct lsmkv_slice key = random_key(world, bytes);

    if (model->count > 0 && below(world, 4) != 0) {
        struct lsmkv_slice there = model->entries[below(world, model->count)].key;

        if (there.size > KEY_MAX)
            there.size = KEY_MAX;
        memcpy(bytes, there.data, there.size);
        key = lsmkv_bytes(bytes, there.size);
    }
    need(world, "delete",
         lsmkv_delete(world->db, world->keyspaces[k], key, random_flags(world)));
    model_delete(model, key);
}

static void
do_batch(struct world *world)
{
    struct lsmkv_batch *batch;
    size_t count = below(world, 12);

    need(world, "batch", lsmkv_batch_new(&batch));
    for (size_t i = 0; i < count; i++) {
        int k = (int)below(world, WORLD_KEYSPACES);
        struct material m;

        random_material(world, &m);
        if (below(world, 3) == 0) {
            need(world, "batch delete",
                 lsmkv_batch_delete(batch, world->keyspaces[k], m.key));
            model_delete(&world->models[k], m.key);
        } else {
            need(world, "batch put",
                 lsmkv_batch_put(batch, world->keyspaces[k], m.key, m.attributes,
                                 m.value));
            model_put(&world->models[k], m.key, m.attributes, m.value);
        }
    }
    need(world, "write", lsmkv_write(world->db, batch, random_flags(world)));
    lsmkv_batch_free(batch);
}

/* One tree, or two exchanged; what stands at the target is deleted in the same batch only if
 * it is not moved itself, as the filesystem does. */
static void
do_move(struct world *world)
{
    char a[KEY_MAX], b[KEY_MAX];
    struct lsmkv_slice from = random_key(world, a), to = random_key(world, b);
    struct lsmkv_move moves[2] = {{from, to}, {to, from}};
    size_t count = 1 + below(world, 2);
    struct model *model = &world->models[0];
    struct lsmkv_batch *batch;
    struct material m;

    if (from.size == to.size && memcmp(from.data, to.data, from.size) == 0)
        return;
    if (model_is_below(from, to) || model_is_below(to, from) || from.size + to.size > 60)
        return;
    random_material(world, &m);
    need(world, "batch", lsmkv_batch_new(&batch));
    need(world, "batch put",
         lsmkv_batch_put(batch, world->keyspaces[1], m.key, m.attributes, m.value));
    need(world, "move",
         lsmkv_move_trees(world->db, world->keyspaces[0], moves, count, batch,
                          random_flags(world)));
    model_move(model, moves, count);
    model_put(&world->models[1], m.key, m.attributes, m.value);
    lsmkv_batch_free(batch);
}

static void
do_snapshot(struct world *world)
{
    struct world_snapshot *snapshot = &world->snapshots[below(world, WORLD_SNAPSHOTS)];

    if (snapshot->handle != NULL) {
        if (snapshot->name[0] != '\0')
            need(world, "snapshot drop", lsmkv_snapshot_drop(world->db, snapshot->name));
        snapshot_forget(world, snapshot);
        return;
    }
    if (random_coin(&world->random)) {
        snprintf(snapshot->name, sizeof(snapshot->name), "s%u", world->named++);
        need(world, "snapshot", lsmkv_snapshot_create(world->db, snapshot->name, NULL));
        need(world, "snapshot open",
             lsmkv_snapshot_open(world->db, snapshot->name, &snapshot->handle, NULL));
    } else {
        need(world, "snapshot take", lsmkv_snapshot_take(world->db, &snapshot->handle));
    }
    for (int k = 0; k < WORLD_KEYSPACES; k++)
        model_copy(&snapshot->models[k], &world->models[k]);
}

static void
do_compact(struct world *world)
{
    char a[KEY_MAX], b[KEY_MAX];
    struct lsmkv_slice none = {NULL, 0};
    bool bounded = random_coin(&world->random);

    need(world, "compact",
         lsmkv_compact(world->db, world->keyspaces[below(world, WORLD_KEYSPACES)],
                       bounded ? random_key(world, a) : none,
                       bounded ? random_key(world, b) : none));
}

void
world_step(struct world *world)
{
    uint64_t dice = below(world, 10000);
    bool crowded = world->models[0].count + world->models[1].count > ENTRIES_MAX;

    world->step++;
    if (dice < 5)
        world_reopen(world);
    else if (dice < 8)
        world_kill(world);
    else if (dice < 20)
        do_compact(world);
    else if (dice < 40)
        need(world, "flush", lsmkv_flush(world->db));
    else if (dice < 45)
        world_check(world);
    else if (dice < 80)
        do_snapshot(world);
    else if (dice < 250)
        do_move(world);
    else if (dice < 1000)
        do_batch(world);
    else if (dice < 5000)
        check_some(world);
    else if (dice < (crowded ? 6000 : 8000))
        do_put(world);
    else
        do_delete(world);
}
