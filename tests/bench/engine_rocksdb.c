/* engine_rocksdb.c - RocksDB, through its C interface. */
#include <rocksdb/c.h>
#include <stdlib.h>

#include "engine.h"

struct rocksdb_store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_writeoptions_t *write, *write_synced;
    const rocksdb_snapshot_t *kept; /* NULL: none */
    rocksdb_readoptions_t *read;
};

static void
check(char *error, const char *what)
{
    if (error != NULL)
        die("rocksdb: %s: %s", what, error);
}

static const char *
build(void)
{
    return BENCH_ROCKSDB;
}

static void
set_tables(struct rocksdb_store *store, const struct engine_options *wanted)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

    store->cache = rocksdb_cache_create_lru(wanted->cache);
    rocksdb_block_based_options_set_block_cache(table, store->cache);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(wanted->filter_bits));
    rocksdb_options_set_block_based_table_factory(store->options, table);
    rocksdb_block_based_options_destroy(table);
}

static void *
store_open(const struct engine_options *wanted)
{
    struct rocksdb_store *store = need(sizeof(*store));
    char *error = NULL;

    store->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(store->options, 1);
    rocksdb_options_set_write_buffer_size(store->options, wanted->write_buffer);
    rocksdb_options_set_compression(store->options, rocksdb_no_compression);
    rocksdb_options_set_max_background_jobs(store->options, 2);
    set_tables(store, wanted);
    store->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->write, wanted->synced);
    store->write_synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->write_synced, 1);
    store->kept = NULL;
    store->read = rocksdb_readoptions_create();
    store->db = rocksdb_open(store->options, wanted->path, &error);
    check(error, "open");
    return store;
}

static void
store_close(void *store)
{
    struct rocksdb_store *own = store;

    if (own->kept != NULL)
        rocksdb_release_snapshot(own->db, own->kept);
    rocksdb_close(own->db);
    rocksdb_readoptions_destroy(own->read);
    rocksdb_writeoptions_destroy(own->write);
    rocksdb_writeoptions_destroy(own->write_synced);
    rocksdb_options_destroy(own->options);
    rocksdb_cache_destroy(own->cache);
    free(own);
}

static void
put_as(const struct rocksdb_store *store, const rocksdb_writeoptions_t *how,
       struct bytes key, struct bytes payload)
{
    char *error = NULL;

    rocksdb_put(store->db, how, key.data, key.size, payload.data, payload.size, &error);
    check(error, "put");
}

static void
put(void *session, struct bytes key, struct bytes payload)
{
    const struct rocksdb_store *store = session;

    put_as(store, store->write, key, payload);
}

static void
put_synced(void *session, struct bytes key, struct bytes payload)
{
    const struct rocksdb_store *store = session;

    put_as(store, store->write_synced, key, payload);
}

static void
put_many(void *session, const struct pair *pairs, size_t count)
{
    const struct rocksdb_store *store = session;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char *error = NULL;

    for (size_t i = 0; i < count; i++)
        rocksdb_writebatch_put(batch, pairs[i].key.data, pairs[i].key.size,
                               pairs[i].payload.data, pairs[i].payload.size);
    rocksdb_write(store->db, store->write, batch, &error);
    check(error, "write");
    rocksdb_writebatch_destroy(batch);
}

static void
remove_key(void *session, struct bytes key)
{
    struct rocksdb_store *store = session;
    char *error = NULL;

    rocksdb_delete(store->db, store->write, key.data, key.size, &error);
    check(error, "delete");
}

static bool
get(void *session, struct bytes key, struct tally *tally)
{
    struct rocksdb_store *store = session;
    char *error = NULL;
    rocksdb_pinnableslice_t *pinned =
        rocksdb_get_pinned(store->db, store->read, key.data, key.size, &error);
    const char *value;
    size_t size;

    check(error, "get");
    if (pinned == NULL)
        return false;
    value = rocksdb_pinnableslice_value(pinned, &size);
    tally_add(tally, value, size);
    tally->entries++;
    rocksdb_pinnableslice_destroy(pinned);
    return true;
}

static void
scan(void *session, struct bytes from, uint64_t limit, enum scan_what what,
     struct tally *tally)
{
    struct rocksdb_store *store = session;
    rocksdb_iterator_t *iter = rocksdb_create_iterator(store->db, store->read);
    char *error = NULL;

    rocksdb_iter_seek(iter, from.data, from.size);
    for (; limit > 0 && rocksdb_iter_valid(iter); limit--) {
        size_t key_size, size;
        const char *key = rocksdb_iter_key(iter, &key_size);
        const char *value = rocksdb_iter_value(iter, &size);

        tally_add(tally, key, key_size);
        tally_add(tally, value, what == SCAN_VALUES ? size : ATTRIBUTES);
        tally->entries++;
        if (limit > 1)
            rocksdb_iter_next(iter);
    }
    rocksdb_iter_get_error(iter, &error);
    check(error, "scan");
    rocksdb_iter_destroy(iter);
}

static void
settle(void *store)
{
    struct rocksdb_store *own = store;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    char *error = NULL;

    rocksdb_flush(own->db, options, &error);
    check(error, "flush");
    rocksdb_flushoptions_destroy(options);
}

static void
keep(void *store)
{
    struct rocksdb_store *own = store;

    own->kept = rocksdb_create_snapshot(own->db);
}

const struct engine engine_rocksdb = {
    .name = "rocksdb",
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
