/*
 * engine_wiredtiger.c - WiredTiger: a B-tree with a log, and a checkpoint each minute, as MongoDB
 * has them.  It has no write buffer apart from its cache.
 */
#include <stdio.h>
#include <stdlib.h>
#include <wiredtiger.h>

#include "engine.h"

#define TABLE "table:bench"

struct wiredtiger_session {
    WT_SESSION *session;
    WT_CURSOR *cursor;
};

static void
check(int result, const char *what)
{
    if (result != 0)
        die("wiredtiger: %s: %s", what, wiredtiger_strerror(result));
}

static const char *
build(void)
{
    static char text[40];
    int major, minor, patch;

    wiredtiger_version(&major, &minor, &patch);
    snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
    return text;
}

static void *
store_open(const struct engine_options *wanted)
{
    char config[256];
    WT_CONNECTION *connection;
    WT_SESSION *session;

    snprintf(config, sizeof(config),
             "create,cache_size=%zu,log=(enabled=true),checkpoint=(wait=60),"
             "transaction_sync=(enabled=true,method=%s)",
             wanted->cache, wanted->synced ? "fsync" : "none");
    check(wiredtiger_open(wanted->path, NULL, config, &connection), "open");
    check(connection->open_session(connection, NULL, NULL, &session), "session");
    check(session->create(session, TABLE, "key_format=u,value_format=u"), "create");
    check(session->close(session, NULL), "session");
    return connection;
}

static void
store_close(void *store)
{
    WT_CONNECTION *connection = store;

    check(connection->close(connection, NULL), "close");
}

static void *
session_open(void *store)
{
    struct wiredtiger_session *own = need(sizeof(*own));
    WT_CONNECTION *connection = store;

    check(connection->open_session(connection, NULL, NULL, &own->session), "session");
    check(own->session->open_cursor(own->session, TABLE, NULL, NULL, &own->cursor),
          "cursor");
    return own;
}

static void
session_close(void *session)
{
    struct wiredtiger_session *own = session;

    check(own->session->close(own->session, NULL), "session");
    free(own);
}

static void
set_key(WT_CURSOR *cursor, struct bytes key)
{
    WT_ITEM item = {.data = key.data, .size = key.size};

    cursor->set_key(cursor, &item);
}

static int
insert(const struct wiredtiger_session *own, struct bytes key, struct bytes payload)
{
    WT_ITEM item = {.data = payload.data, .size = payload.size};

    set_key(own->cursor, key);
    own->cursor->set_value(own->cursor, &item);
    return own->cursor->insert(own->cursor);
}

static void
put(void *session, struct bytes key, struct bytes payload)
{
    const struct wiredtiger_session *own = session;
    int result;

    do {
        result = insert(own, key, payload);
    } while (result == WT_ROLLBACK);
    check(result, "put");
}

static void
put_many(void *session, const struct pair *pairs, size_t count)
{
    const struct wiredtiger_session *own = session;
    WT_SESSION *transaction = own->session;
    int result;

    do {
        result = transaction->begin_transaction(transaction, NULL);
        check(result, "begin");
        for (size_t i = 0; result == 0 && i < count; i++)
            result = insert(own, pairs[i].key, pairs[i].payload);
        if (result == 0)
            result = transaction->commit_transaction(transaction, NULL);
        else if (result == WT_ROLLBACK)
            check(transaction->rollback_transaction(transaction, NULL), "rollback");
    } while (result == WT_ROLLBACK);
    check(result, "put");
}

static void
put_synced(void *session, struct bytes key, struct bytes payload)
{
    struct wiredtiger_session *own = session;

    put(session, key, payload);
    check(own->session->log_flush(own->session, "sync=on"), "sync");
}

static void
remove_key(void *session, struct bytes key)
{
    struct wiredtiger_session *own = session;
    int result;

    do {
        set_key(own->cursor, key);
        result = own->cursor->remove(own->cursor);
    } while (result == WT_ROLLBACK);
    if (result != WT_NOTFOUND)
        check(result, "delete");
}

static bool
get(void *session, struct bytes key, struct tally *tally)
{
    struct wiredtiger_session *own = session;
    WT_ITEM item;
    int result;

    set_key(own->cursor, key);
    result = own->cursor->search(own->cursor);
    if (result == WT_NOTFOUND)
        return false;
    check(result, "get");
    check(own->cursor->get_value(own->cursor, &item), "get");
    tally_add(tally, item.data, item.size);
    tally->entries++;
    check(own->cursor->reset(own->cursor), "get");
    return true;
}

/* Reads the current entry. */
static void
read_entry(WT_CURSOR *cursor, enum scan_what what, struct tally *tally)
{
    WT_ITEM item;

    check(cursor->get_key(cursor, &item), "scan");
    tally_add(tally, item.data, item.size);
    check(cursor->get_value(cursor, &item), "scan");
    tally_add(tally, item.data, what == SCAN_VALUES ? item.size : ATTRIBUTES);
    tally->entries++;
}

static void
scan(void *session, struct bytes from, uint64_t limit, enum scan_what what,
     struct tally *tally)
{
    struct wiredtiger_session *own = session;
    WT_CURSOR *cursor = own->cursor;
    int exact = 0, result;

    set_key(cursor, from);
    result = cursor->search_near(cursor, &exact);
    if (result == 0 && exact < 0)
        result = cursor->next(cursor);
    for (; limit > 0 && result == 0; limit--) {
        read_entry(cursor, what, tally);
        if (limit > 1)
            result = cursor->next(cursor);
    }
    if (result != WT_NOTFOUND)
        check(result, "scan");
    check(cursor->reset(cursor), "scan");
}

static void
settle(void *store)
{
    WT_CONNECTION *connection = store;
    WT_SESSION *session;

    check(connection->open_session(connection, NULL, NULL, &session), "session");
    check(session->checkpoint(session, NULL), "checkpoint");
    check(session->close(session, NULL), "session");
}

const struct engine engine_wiredtiger = {
    .name = "wiredtiger",
    .durability =
        "synced: transaction_sync fsync; unsynced: transaction_sync none, a write "
        "to the log",
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
    .settle = settle,
};
