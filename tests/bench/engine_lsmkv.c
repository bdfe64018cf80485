/* engine_lsmkv.c - lsmkv, through its public header alone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"
#include "lsmkv.h"

struct lsmkv_store {
    struct lsmkv *db;
    unsigned flags;
};

static void
check(int result, const char *what)
{
    if (result != 0)
        die("lsmkv: %s: %s: %s", what, lsmkv_strerror(result), lsmkv_error_detail());
}

/* A recovery's warning is no news here. */
static void
tell(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    if (level == LSMKV_LOG_ERROR)
        fprintf(stderr, "lsmkv: %s\n", line);
}

static void *
store_open(const struct engine_options *wanted)
{
    struct lsmkv_store *store = need(sizeof(*store));
    struct lsmkv_options options;

    lsmkv_options_init(&options);
    options.create = true;
    options.log = tell;
    options.write_buffer_size = wanted->write_buffer;
    options.cache_size = wanted->cache;
    options.filter_bits_per_key = wanted->filter_bits;
    if (wanted->compress)
        options.compression = LSMKV_COMPRESSION_LZ4;
    store->flags = wanted->synced ? 0 : LSMKV_UNSYNCED;
    check(lsmkv_open(wanted->path, &options, &store->db), "open");
    return store;
}

static void
store_close(void *store)
{
    struct lsmkv_store *own = store;

    check(lsmkv_close(own->db), "close");
    free(own);
}

static struct lsmkv_slice
slice(struct bytes bytes)
{
    return lsmkv_bytes(bytes.data, bytes.size);
}

static void
put_as(const struct lsmkv_store *store, struct bytes key, struct bytes payload,
       unsigned flags)
{
    check(lsmkv_put(store->db, NULL, slice(key), lsmkv_bytes(payload.data, ATTRIBUTES),
                    lsmkv_bytes((const char *)payload.data + ATTRIBUTES,
                                payload.size - ATTRIBUTES),
                    flags),
          "put");
}

static void
put(void *session, struct bytes key, struct bytes payload)
{
    const struct lsmkv_store *store = session;

    put_as(store, key, payload, store->flags);
}

static void
put_synced(void *session, struct bytes key, struct bytes payload)
{
    put_as(session, key, payload, 0);
}

static void
put_many(void *session, const struct pair *pairs, size_t count)
{
    const struct lsmkv_store *store = session;
    struct lsmkv_batch *batch;

    check(lsmkv_batch_new(&batch), "batch");
    for (size_t i = 0; i < count; i++) {
        struct bytes payload = pairs[i].payload;

        check(lsmkv_batch_put(batch, NULL, slice(pairs[i].key),
                              lsmkv_bytes(payload.data, ATTRIBUTES),
                              lsmkv_bytes((const char *)payload.data + ATTRIBUTES,
                                          payload.size - ATTRIBUTES)),
              "batch");
    }
    check(lsmkv_write(store->db, batch, store->flags), "write");
    lsmkv_batch_free(batch);
}

static void
remove_key(void *session, struct bytes key)
{
    struct lsmkv_store *store = session;

    check(lsmkv_delete(store->db, NULL, slice(key), store->flags), "delete");
}

static bool
get(void *session, struct bytes key, struct tally *tally)
{
    struct lsmkv_store *store = session;
    const struct lsmkv_record *record;
    struct lsmkv_held *held;
    int result = lsmkv_get_held(store->db, NULL, NULL, slice(key), &held);

    if (result == -ENOENT)
        return false;
    check(result, "get");
    record = lsmkv_held_record(held);
    tally_add(tally, record->attributes.data, record->attributes.size);
    tally_add(tally, record->value.data, record->value.size);
    tally->entries++;
    lsmkv_held_release(held);
    return true;
}

static void
scan(void *session, struct bytes from, uint64_t limit, enum scan_what what,
     struct tally *tally)
{
    struct lsmkv_store *store = session;
    struct lsmkv_iter_options options = {.lazy_values = what != SCAN_VALUES};
    struct lsmkv_iter *iter;

    check(lsmkv_iter_new(store->db, NULL, &options, &iter), "iterator");
    for (lsmkv_iter_seek(iter, slice(from)); limit > 0 && lsmkv_iter_valid(iter);
         limit--) {
        const struct lsmkv_record *record = lsmkv_iter_record(iter);
        struct lsmkv_slice key = lsmkv_iter_key(iter);

        tally_add(tally, key.data, key.size);
        tally_add(tally, record->attributes.data, record->attributes.size);
        if (what == SCAN_VALUES)
            tally_add(tally, record->value.data, record->value.size);
        tally->entries++;
        if (limit > 1)
            lsmkv_iter_next(iter);
    }
    check(lsmkv_iter_status(iter), "scan");
    lsmkv_iter_free(iter);
}

static void
keep(void *store)
{
    struct lsmkv_store *own = store;

    check(lsmkv_snapshot_create(own->db, "kept", NULL), "snapshot");
}

static void
settle(void *store)
{
    struct lsmkv_store *own = store;

    check(lsmkv_flush(own->db), "flush");
    check(lsmkv_settle(own->db), "settle");
}

const struct engine engine_lsmkv = {
    .name = "lsmkv",
    .durability = "synced: fdatasync of the log; unsynced: write to the log",
    .build = lsmkv_version,
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
