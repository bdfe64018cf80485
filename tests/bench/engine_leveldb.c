/* engine_leveldb.c - LevelDB, through its C interface. */
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

struct leveldb_store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_writeoptions_t *write, *write_synced;
    const leveldb_snapshot_t *kept; /* NULL: none */
    leveldb_readoptions_t *read;
};

static void
check(char *error, const char *what)
{
    if (error != NULL)
        die("leveldb: %s: %s", what, error);
}

static const char *
build(void)
{
    static char text[32];

    snprintf(text, sizeof(text), "%d.%d", leveldb_major_version(),
             leveldb_minor_version());
    return text;
}

static void *
store_open(const struct engine_options *wanted)
{
    struct leveldb_store *store = need(sizeof(*store));
    char *error = NULL;

    store->options = leveldb_options_create();
    store->cache = leveldb_cache_create_lru(wanted->cache);
    store->filter = leveldb_filterpolicy_create_bloom((int)wanted->filter_bits);
    leveldb_options_set_create_if_missing(store->options, 1);
    leveldb_options_set_write_buffer_size(store->options, wanted->write_buffer);
    leveldb_options_set_compression(store->options, leveldb_no_compression);
    leveldb_options_set_cache(store->options, store->cache);
    leveldb_options_set_filter_policy(store->options, store->filter);
    store->write = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(store->write, wanted->synced);
    store->write_synced = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(store->write_synced, 1);
    store->kept = NULL;
    store->read = leveldb_readoptions_create();
    store->db = leveldb_open(store->options, wanted->path, &error);
    check(error, "open");
    return store;
}

static void
store_close(void *store)
{
    struct leveldb_store *own = store;

    if (own->kept != NULL)
        leveldb_release_snapshot(own->db, own->kept);
    leveldb_close(own->db);
    leveldb_readoptions_destroy(own->read);
    leveldb_writeoptions_destroy(own->write);
    leveldb_writeoptions_destroy(own->write_synced);
    leveldb_options_destroy(own->options);
    leveldb_filterpolicy_destroy(own->filter);
    leveldb_cache_destroy(own->cache);
    free(own);
}

static void
put_as(const struct leveldb_store *store, const leveldb_writeoptions_t *how,
       struct bytes key, struct bytes payload)
{
    char *error = NULL;

    leveldb_put(store->db, how, key.data, key.size, payload.data, payload.size, &error);
    check(error, "put");
}

static void
put(void *session, struct bytes key, struct bytes payload)
{
    const struct leveldb_store *store = session;

    put_as(store, store->write, key, payload);
}

static void
put_synced(void *session, struct bytes key, struct bytes payload)
{
    const struct leveldb_store *store = session;

    put_as(store, store->write_synced, key, payload);
}

static void
put_many(void *session, const struct pair *pairs, size_t count)
{
    const struct leveldb_store *store = session;
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    char *error = NULL;

    for (size_t i = 0; i < count; i++)
        leveldb_writebatch_put(batch, pairs[i].key.data, pairs[i].key.size,
                               pairs[i].payload.data, pairs[i].payload.size);
    leveldb_write(store->db, store->write, batch, &error);
    check(error, "write");
    leveldb_writebatch_destroy(batch);
}

static void
remove_key(void *session, struct bytes key)
{
    struct leveldb_store *store = session;
    char *error = NULL;

    leveldb_delete(store->db, store->write, key.data, key.size, &error);
    check(error, "delete");
}

static bool
get(void *session, struct bytes key, struct tally *tally)
{
    struct leveldb_store *store = session;
    char *error = NULL;
    size_t size;
    char *value = leveldb_get(store->db, store->read, key.data, key.size, &size, &error);

    check(error, "get");
    if (value == NULL)
        return false;
    tally_add(tally, value, size);
    tally->entries++;
    leveldb_free(value);
    return true;
}

static void
scan(void *session, struct bytes from, uint64_t limit, enum scan_what what,
     struct tally *tally)
{
    struct leveldb_store *store = session;
    leveldb_iterator_t *iter = leveldb_create_iterator(store->db, store->read);
    char *error = NULL;

    leveldb_iter_seek(iter, from.data, from.size);
    for (; limit > 0 && leveldb_iter_valid(iter); limit--) {
        size_t key_size, size;
        const char *key = leveldb_iter_key(iter, &key_size);
        const char *value = leveldb_iter_value(iter, &size);

        tally_add(tally, key, key_size);
        tally_add(tally, value, what == SCAN_VALUES ? size : ATTRIBUTES);
        tally->entries++;
        if (limit > 1)
            leveldb_iter_next(iter);
    }
    leveldb_iter_get_error(iter, &error);
    check(error, "scan");
    leveldb_iter_destroy(iter);
}

/* There is no flush, but a compaction of no keys begins with one. */
static void
settle(void *store)
{
    struct leveldb_store *own = store;

    leveldb_compact_range(own->db, "\0", 1, "\1", 1);
}

static void
keep(void *store)
{
    struct leveldb_store *own = store;

    own->kept = leveldb_create_snapshot(own->db);
}

const struct engine engine_leveldb = {
    .name = "leveldb",
    .durability = "synced: WriteOptions.sync; unsynced: write to the log",
    .build = build,
    .open = store_open,
    .close = store_close,
    .put = put,
    .put_synced = put_synced,
    .put_many = put_many,
    .remove = remove_key,
    .get = get,
    .scan = scan,
    .keep = keep,
    .settle = settle,
};
