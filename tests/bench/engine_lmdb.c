/*
 * engine_lmdb.c - LMDB: one transaction a put, as the others' puts are atomic by themselves.
 *
 * It has no cache and no write buffer of its own: the page cache is both, whatever the options
 * say.  Unsynced it runs with MDB_NOSYNC: that survives the process; a power failure may cost
 * the whole file, not only the end, so it promises less than a log does.  Where there is less
 * memory than data the kernel is told not to read ahead (MDB_NORDAHEAD), as LMDB's manual advises.
 */
#include <lmdb.h>
#include <stdlib.h>

#include "engine.h"

struct lmdb_store {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *kept; /* NULL: none */
};

struct lmdb_session {
    struct lmdb_store *store;
    MDB_txn *reader; /* reset between reads */
};

static void
check(int result, const char *what)
{
    if (result != 0)
        die("lmdb: %s: %s", what, mdb_strerror(result));
}

static const char *
build(void)
{
    return mdb_version(NULL, NULL, NULL);
}

static void *
store_open(const struct engine_options *wanted)
{
    struct lmdb_store *store = need(sizeof(*store));
    MDB_txn *txn;

    check(mdb_env_create(&store->env), "create");
    check(mdb_env_set_mapsize(store->env, (size_t)64 << 30), "map size");
    check(mdb_env_open(store->env, wanted->path,
                       MDB_NOTLS | (wanted->synced ? 0 : MDB_NOSYNC) |
                           (wanted->scarce ? MDB_NORDAHEAD : 0),
                       0644),
          "open");
    check(mdb_txn_begin(store->env, NULL, 0, &txn), "begin");
    check(mdb_dbi_open(txn, NULL, 0, &store->dbi), "open");
    check(mdb_txn_commit(txn), "commit");
    store->kept = NULL;
    return store;
}

static void
store_close(void *store)
{
    struct lmdb_store *own = store;

    if (own->kept != NULL)
        mdb_txn_abort(own->kept);
    mdb_env_close(own->env);
    free(own);
}

static void *
session_open(void *store)
{
    struct lmdb_session *session = need(sizeof(*session));

    session->store = store;
    check(mdb_txn_begin(session->store->env, NULL, MDB_RDONLY, &session->reader),
          "begin");
    mdb_txn_reset(session->reader);
    return session;
}

static void
session_close(void *session)
{
    struct lmdb_session *own = session;

    mdb_txn_abort(own->reader);
    free(own);
}

/* LMDB's type for what goes in, too, is not const. */
static MDB_val
val(struct bytes bytes)
{
    MDB_val val = {.mv_size = bytes.size};

    memcpy(&val.mv_data, &bytes.data, sizeof(val.mv_data));
    return val;
}

static void
put_many(void *session, const struct pair *pairs, size_t count)
{
    struct lmdb_session *own = session;
    MDB_txn *txn;

    check(mdb_txn_begin(own->store->env, NULL, 0, &txn), "begin");
    for (size_t i = 0; i < count; i++) {
        MDB_val name = val(pairs[i].key), value = val(pairs[i].payload);

        check(mdb_put(txn, own->store->dbi, &name, &value, 0), "put");
    }
    check(mdb_txn_commit(txn), "commit");
}

static void
put(void *session, struct bytes key, struct bytes payload)
{
    struct pair pair = {key, payload};

    put_many(session, &pair, 1);
}

static void
put_synced(void *session, struct bytes key, struct bytes payload)
{
    const struct lmdb_session *own = session;

    put(session, key, payload);
    check(mdb_env_sync(own->store->env, 1), "sync");
}

static void
remove_key(void *session, struct bytes key)
{
    struct lmdb_session *own = session;
    MDB_val name = val(key);
    MDB_txn *txn;
    int result;

    check(mdb_txn_begin(own->store->env, NULL, 0, &txn), "begin");
    result = mdb_del(txn, own->store->dbi, &name, NULL);
    if (result != MDB_NOTFOUND)
        check(result, "delete");
    check(mdb_txn_commit(txn), "commit");
}

static bool
get(void *session, struct bytes key, struct tally *tally)
{
    struct lmdb_session *own = session;
    MDB_val name = val(key), value;
    int result;

    check(mdb_txn_renew(own->reader), "renew");
    result = mdb_get(own->reader, own->store->dbi, &name, &value);
    if (result != MDB_NOTFOUND) {
        check(result, "get");
        tally_add(tally, value.mv_data, value.mv_size);
        tally->entries++;
    }
    mdb_txn_reset(own->reader);
    return result == 0;
}

static void
scan(void *session, struct bytes from, uint64_t limit, enum scan_what what,
     struct tally *tally)
{
    struct lmdb_session *own = session;
    MDB_val key = val(from), value;
    MDB_cursor *cursor;
    int result;

    check(mdb_txn_renew(own->reader), "renew");
    check(mdb_cursor_open(own->reader, own->store->dbi, &cursor), "cursor");
    result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; limit > 0 && result == 0; limit--) {
        tally_add(tally, key.mv_data, key.mv_size);
        tally_add(tally, value.mv_data, what == SCAN_VALUES ? value.mv_size : ATTRIBUTES);
        tally->entries++;
        if (limit > 1)
            result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (result != MDB_NOTFOUND)
        check(result, "scan");
    mdb_cursor_close(cursor);
    mdb_txn_reset(own->reader);
}

static void
keep(void *store)
{
    struct lmdb_store *own = store;

    check(mdb_txn_begin(own->env, NULL, MDB_RDONLY, &own->kept), "begin");
}

static void
settle(void *store)
{
    struct lmdb_store *own = store;

    check(mdb_env_sync(own->env, 1), "sync");
}

const struct engine engine_lmdb = {
    .name = "lmdb",
    .durability =
        "synced: fdatasync of the file a transaction; unsynced: MDB_NOSYNC, which "
        "survives the process, not always the power",
    .build = build,
    .open = store_open,
    .close = store_close,
    .session_open = session_open,
    .session_close = session_close,
    .put = put,
    .put_synced = put_synced,
    .put_many = put_many,
    .remove = remove_key,
    .get = get,
    .scan = scan,
    .keep = keep,
    .settle = settle,
};
