/*
 * read.c - the life of a read: view, memtables, level 0, one table a deeper level.
 *
 * A get begins inside an epoch (epoch.h), in a view that it does not count, and mostly
 * ends there: no lock is taken, and nothing written that other threads read.  Before it
 * opens a table or reads a block it counts the view and leaves the epoch; should the view
 * have gone meanwhile, it begins anew, counted from the beginning (REPEAT).
 *
 * Sources are asked from new to old (V3), and the first version found at or below the
 * read sequence decides, live or tombstone.  Each table's filter is asked with one hash
 * of the key, so that a name that was never written costs no block.
 *
 * A lookup that finds no record asks whether a key below it is live: that would follow it
 * at once, where the memtables have been searched already.  Filters hold ancestors, so an
 * absent name still costs no block; an implied one costs a seek in the tables that may
 * hold something below.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/record.h"
#include "db/db.h"
#include "iter/cursor.h"
#include "table/blob.h"

#define KEY_STACK_SIZE 512u
#define BEHIND_MAX     4u /* memtables; a view seldom has more */

/* What a search found: a version of the key, and what keeps it in memory besides the
 * view. `block` may be NULL. */
struct found {
    uint64_t trailer;
    struct lsmkv_slice payload;
    const struct block *block;
    struct blob_ref ref; /* length 0: the value stands in the payload */
};

static void
found_release(struct found *found)
{
    if (found->block != NULL)
        block_unpin(found->block);
}

static void
found_in_memtable(struct found *found, const struct memtable_hit *hit)
{
    *found =
        (struct found){.trailer = internal_trailer(hit->key), .payload = hit->payload};
}

/* An internal key for seeking, on the stack unless it is long. */
struct target {
    uint8_t stack[KEY_STACK_SIZE];
    uint8_t *heap;
    struct lsmkv_slice internal;
    struct lsmkv_slice user;
};

/* `key`, then the `suffix_size` (0 or 1) bytes of `suffix`, then the trailer. */
static int
target_init(struct target *target, struct lsmkv_slice key, const char *suffix,
            size_t suffix_size, uint64_t sequence)
{
    size_t user_size = key.size + suffix_size;
    size_t size = user_size + KEY_TRAILER_SIZE;
    uint8_t *bytes = target->stack;

    target->heap = NULL;
    if (size > sizeof(target->stack)) {
        target->heap = malloc(size);
        if (target->heap == NULL)
            return -ENOMEM;
        bytes = target->heap;
    }
    if (key.size > 0)
        memcpy(bytes, key.data, key.size);
    if (suffix_size > 0)
        memcpy(bytes + key.size, suffix, suffix_size);
    put_u64(bytes + user_size, trailer_pack(sequence, 0xff));
    target->internal = lsmkv_bytes(bytes, size);
    target->user = lsmkv_bytes(bytes, user_size);
    return 0;
}

static void
target_fini(struct target *target)
{
    free(target->heap);
}

/* In place of a result: ask again, in a view that is counted. */
#define REPEAT TABLE_UNREAD

/* One key asked of one state. */
struct query {
    struct lsmkv *db;
    struct view *view;
    bool in_epoch; /* if not, who asks has counted the view */
    uint64_t sequence;
    uint64_t hash; /* of the user key, for the filters */
    struct target target;
    struct lsmkv_slice
        behind[BEHIND_MAX]; /* internal: what follows the key in memtables */
    size_t missed;          /* so many of which, from the newest on, do not have it */
    bool paid;              /* its detours were the last that a merge wanted */
};

static int
query_init(struct query *query, struct lsmkv *db, struct view *view, uint64_t sequence,
           struct lsmkv_slice key)
{
    query->db = db;
    query->view = view;
    query->in_epoch = false;
    query->sequence = sequence;
    query->hash = table_hash(key);
    query->missed = 0;
    query->paid = false;
    return target_init(&query->target, key, NULL, 0, sequence);
}

static void
query_fini(struct query *query)
{
    target_fini(&query->target);
}

/* What was asked for; how is up to query_begin. */
struct request {
    struct lsmkv *db;
    struct lsmkv_keyspace *keyspace;
    const struct lsmkv_snapshot *snapshot;
    struct lsmkv_slice key;
};

/* In an epoch, or `counted`.  On success query_end follows. */
static int
query_begin(struct query *query, const struct request *request, bool counted)
{
    struct lsmkv *db = request->db;
    bool in_epoch = !counted && epoch_enter();
    struct read_point point =
        in_epoch ? read_point_peek(db, request->keyspace, request->snapshot)
                 : read_point_take(db, request->keyspace, request->snapshot);
    int result = query_init(query, db, point.view, point.sequence, request->key);

    query->in_epoch = in_epoch;
    if (result != 0 && in_epoch)
        epoch_leave(&db->limbo);
    else if (result != 0)
        view_unref(point.view);
    return result;
}

/* Before what takes time, or outlasts the query: counts the view, and leaves the epoch.
 * After REPEAT nothing of the view may be looked at. */
static int
query_hold(struct query *query)
{
    bool held;

    if (!query->in_epoch)
        return 0;
    held = view_try_ref(query->view);
    query->in_epoch = false;
    epoch_leave(&query->db->limbo);
    if (held)
        return 0;
    query->view = NULL;
    return REPEAT;
}

static void
query_end(struct query *query)
{
    query_fini(query);
    if (query->in_epoch)
        epoch_leave(&query->db->limbo);
    else
        view_unref(query->view);
    if (query->paid)
        compaction_wake(query->db);
}

/* ---- the newest version of a key ---- */

/* With I/O only outside an epoch. */
static int
get_from_table(struct query *query, struct table *table, struct table_version *version)
{
    struct lsmkv_slice internal = query->target.internal;
    int result;

    if (!query->in_epoch)
        return table_get(table, internal, version);
    result = table_get_cached(table, internal, version);
    if (result != TABLE_UNREAD)
        return result;
    result = query_hold(query);
    return result != 0 ? result : table_get(table, internal, version);
}

/* In a table that is open the filter is asked first: it tells most tables apart, and
 * costs one cache line, where the range of keys costs several. */
static int
search_table(struct query *query, struct table_file *file, struct found *found)
{
    enum lsmkv_order order = query->view->version->order;
    struct lsmkv_slice user = query->target.user;
    struct table *table = table_file_if_open(file);
    struct table_version version;
    int result = 0;

    if (table != NULL && !table_may_contain(table, query->hash))
        return -ENOENT;
    if (!table_file_overlaps(file, order, user, user))
        return -ENOENT;
    if (table == NULL) {
        result = query_hold(query);
        if (result == 0)
            result = table_file_table(file, &table);
        if (result == 0 && !table_may_contain(table, query->hash))
            return -ENOENT;
    }
    if (result == 0)
        result = get_from_table(query, table, &version);
    if (result == 0)
        *found = (struct found){.trailer = version.trailer,
                                .payload = version.payload,
                                .block = version.block};
    return result;
}

/* Each of these filters is another line of memory: all are fetched while the first is
 * asked. */
static void
expect_level_0(const struct query *query)
{
    const struct level *level = &query->view->version->levels[0];

    for (size_t i = 1; i < level->count; i++) {
        const struct table *table = table_file_if_open(level->files[i]);

        if (table != NULL)
            table_expect(table, query->hash);
    }
}

static int
search_version(struct query *query, struct found *found)
{
    struct version *version = query->view->version;
    const struct level *level = &version->levels[0];
    size_t asked = 0;
    int result = -ENOENT;

    expect_level_0(query);
    while (result == -ENOENT && asked < level->count)
        result = search_table(query, level->files[asked++], found);
    if (asked > 1 && result != REPEAT)
        query->paid = version_count_detours(version, asked - 1);
    for (int n = 1; n < LEVEL_COUNT && result == -ENOENT; n++) {
        level = &version->levels[n];
        size_t at = level_find(level, version->order, query->target.user);

        if (at < level->count)
            result = search_table(query, level->files[at], found);
    }
    return result;
}

/* Keeps in `newest` whichever of two finds is newer; the other is released. */
static void
keep_newer(struct found *newest, bool *any, struct found *found)
{
    if (!*any || found->trailer >> 8 > newest->trailer >> 8) {
        struct found other = *newest;

        *newest = *found;
        *found = other;
        *any = true;
    }
    found_release(found);
}

/* As search where V3 does not hold: all sources are asked. */
static int
search_everywhere(struct query *query, struct found *newest)
{
    const struct view *view = query->view;
    struct memtable_hit hit;
    struct found found;
    bool any = false;
    int result = 0;

    for (size_t i = 0; i < view->count; i++)
        if (memtable_get(view->memtables[i], query->target.user, query->hash,
                         query->sequence, &hit)) {
            found_in_memtable(&found, &hit);
            keep_newer(newest, &any, &found);
        }
    for (int n = 0; n < LEVEL_COUNT && result == 0; n++) {
        const struct level *level = &view->version->levels[n];

        for (size_t i = 0; result == 0 && i < level->count; i++) {
            result = search_table(query, level->files[i], &found);
            if (result == 0)
                keep_newer(newest, &any, &found);
            if (result == -ENOENT)
                result = 0;
        }
    }
    return result == 0 && !any ? -ENOENT : result;
}

/* The newest version at or below the sequence, live or tombstone; -ENOENT: none. */
static int
search(struct query *query, struct found *found)
{
    const struct view *view = query->view;
    struct memtable_hit hit;

    if (query->db->is_rebuilt)
        return search_everywhere(query, found);
    for (size_t i = 0; i < view->count; i++) {
        if (memtable_get(view->memtables[i], query->target.user, query->hash,
                         query->sequence, &hit)) {
            found_in_memtable(found, &hit);
            return 0;
        }
        if (i < BEHIND_MAX)
            query->behind[query->missed++] = hit.key;
    }
    return search_version(query, found);
}

/* As search, but a tombstone is -ENOENT.  The record borrows from `found` and the view;
 * the value of one that stands apart has a size and NULL data. */
static int
search_live(struct query *query, struct found *found, struct lsmkv_record *record)
{
    int result = search(query, found);
    uint8_t kind;

    if (result != 0)
        return result;
    kind = (uint8_t)found->trailer;
    if (!kind_is_put(kind))
        return -ENOENT;
    result = record_decode(kind, found->trailer >> 8, found->payload, record);
    if (result == 0 && kind_is_apart(kind)) {
        result = blob_ref_decode(record->value, &found->ref);
        record->value = lsmkv_bytes(NULL, found->ref.length);
    }
    if (result != 0)
        return report_error(&query->db->reporter, result,
                            "the payload of entry %llu is not valid",
                            (unsigned long long)(found->trailer >> 8));
    return 0;
}

/* ---- whether something live is below a key ---- */

/* Whether the key of an entry below the one asked for is live at the query's sequence. */
static int
is_live(struct query *query, struct lsmkv_slice user_key, bool *live)
{
    struct found found = {0};
    struct lsmkv_record record;
    struct query other;
    int result = query_init(&other, query->db, query->view, query->sequence, user_key);

    if (result != 0)
        return result;
    result = search_live(&other, &found, &record);
    *live = result == 0;
    found_release(&found);
    query_fini(&other);
    return result == -ENOENT ? 0 : result;
}

/* What asking the sources one after the other has shown. */
struct below {
    struct lsmkv_slice ancestor;
    const struct target *from; /* "K/" */
    struct dead_ranges *dead;  /* NULL: none are remembered */
    bool live;                 /* something below is live: the answer */
    bool maybe; /* a source holds something below, though its first is dead */
    bool known; /* a scan jumps over that, where each table would be asked in vain */
};

static bool
is_asked(const struct below *below)
{
    return !below->live && !below->known;
}

static int
below_entry(struct query *query, struct below *below, struct lsmkv_slice internal)
{
    struct lsmkv_slice user_key = internal_user_key(internal);
    int result;

    if (!key_is_below(user_key, below->ancestor))
        return 0;
    below->maybe = true;
    result = is_live(query, user_key, &below->live);
    if (result == 0 && !below->live && below->dead != NULL)
        below->known = dead_ranges_hold(below->dead, user_key, query->sequence);
    return result;
}

static int
below_in_table(struct query *query, struct below *below, struct table_file *file)
{
    struct table_hit hit = {0};
    struct table *table;
    int result = table_file_table(file, &table);

    if (result != 0)
        return result;
    /* Filters leave the empty ancestor out: everything is below it. */
    if (below->ancestor.size > 0 && !table_may_contain(table, query->hash))
        return 0;
    result = table_ceiling(table, below->from->internal, &hit);
    if (result == 0)
        result = below_entry(query, below, hit.key);
    else if (result == -ENOENT)
        result = 0;
    table_hit_release(&hit);
    return result;
}

static int
below_in_version(struct query *query, struct below *below)
{
    const struct version *version = query->view->version;
    int result = 0;

    for (int n = 0; n < LEVEL_COUNT && result == 0; n++) {
        const struct level *level = &version->levels[n];
        size_t at = n == 0 ? 0 : level_find(level, version->order, below->from->user);

        for (; at < level->count && result == 0 && is_asked(below); at++) {
            struct lsmkv_slice smallest =
                internal_user_key(keybuf_slice(&level->files[at]->meta.smallest));

            /* Past the last table of a level that can hold something below. */
            if (key_compare(version->order, smallest, below->from->user) > 0 &&
                !key_is_below(smallest, below->ancestor)) {
                if (n > 0)
                    break;
                continue;
            }
            result = below_in_table(query, below, level->files[at]);
        }
    }
    return result;
}

/* In path order nothing stands between a key and those below it. */
static int
below_in_memtables(struct query *query, struct below *below)
{
    int result = 0;

    for (size_t i = 0; i < query->view->count && result == 0 && is_asked(below); i++) {
        struct memtable_hit hit = {0};

        if (i < query->missed)
            hit.key = query->behind[i];
        else
            (void)memtable_ceiling(query->view->memtables[i], below->from->internal,
                                   &hit);
        if (hit.key.size > 0)
            result = below_entry(query, below, hit.key);
    }
    return result;
}

/* The rare case: the first key below is dead in every source that has one, or known to be
 * dead with those after it.  A scan tells. */
static int
below_by_scan(struct query *query, struct below *below)
{
    struct target end = {.heap =
                             NULL}; /* the empty key has none: all others are below it */
    struct iterator *it;
    struct cursor cursor;
    int result = 0;

    if (below->ancestor.size > 0)
        result = target_init(&end, below->ancestor, "", 1, SEQUENCE_MAX);
    if (result == 0)
        result =
            view_iterate(query->view, LSMKV_ORDER_PATH, TABLE_KEEPING, end.user, &it);
    if (result == 0)
        result = cursor_init(&cursor, it, LSMKV_ORDER_PATH, query->sequence,
                             below->from->user, end.user, below->dead);
    if (result == 0) {
        cursor_first(&cursor);
        below->live = cursor_valid(&cursor);
        result = cursor_status(&cursor);
        cursor_fini(&cursor);
    }
    target_fini(&end);
    return result;
}

static int
is_implied(struct query *query, struct lsmkv_keyspace *keyspace, struct lsmkv_slice key,
           bool *implied)
{
    struct target from;
    struct below below = {.ancestor = key, .from = &from, .dead = keyspace->dead_ranges};
    int result = query_hold(query);

    if (result == 0)
        result = target_init(&from, key, "/", 1, SEQUENCE_MAX);
    if (result != 0)
        return result;
    result = below_in_memtables(query, &below);
    if (result == 0 && is_asked(&below))
        result = below_in_version(query, &below);
    if (result == 0 && !below.live && below.maybe)
        result = below_by_scan(query, &below);
    target_fini(&from);
    if (result == 0)
        *implied = below.live;
    return result;
}

/* ---- copying out ---- */

/* A value that stands apart and is not in the cache is read outside the epoch, in a view
 * that is counted: its tables keep the blob's file. */
static int
copy_apart(struct query *query, const struct blob_ref *ref, uint8_t *to)
{
    struct blob_files *blobs = query->db->blobs;
    const struct block *block = blob_find(blobs, ref);
    int result = 0;

    if (block == NULL) {
        result = query_hold(query);
        if (result == 0 && !blob_is_kept(blobs, ref))
            return blob_read(blobs, ref, to);
        if (result == 0)
            result = blob_read_pinned(blobs, ref, &block);
        if (result != 0)
            return result;
    }
    memcpy(to, block->data, block->size);
    block_unpin(block);
    return 0;
}

/* Copies attributes, then the value if wanted, to `buffer`; the record points at the
 * copies. */
static int
copy_out(struct query *query, const struct found *found, const struct lsmkv_record *live,
         bool with_value, void *buffer, size_t capacity, struct lsmkv_record *record)
{
    uint8_t *to = buffer;
    size_t attributes = live->attributes.size, value = live->value.size;
    bool fits = attributes <= capacity && (!with_value || value <= capacity - attributes);
    int result;

    if (fits && with_value && found->ref.length > 0) {
        result = copy_apart(query, &found->ref, to + attributes);
        if (result != 0)
            return result;
    } else if (fits && with_value && value > 0) {
        memcpy(to + attributes, live->value.data, value);
    }
    *record = *live;
    record->attributes.data = record->value.data = NULL;
    if (!fits)
        return -ERANGE;
    if (attributes > 0)
        memcpy(to, live->attributes.data, attributes);
    record->attributes.data = to;
    if (with_value)
        record->value.data = to + attributes;
    return 0;
}

/* ---- the public functions ---- */

static int
get(const struct request *request, bool counted, void *buffer, size_t capacity,
    struct lsmkv_record *record)
{
    struct found found = {0};
    struct lsmkv_record live;
    struct query query;
    int result = query_begin(&query, request, counted);

    if (result != 0)
        return result;
    result = search_live(&query, &found, &live);
    if (result == 0)
        result = copy_out(&query, &found, &live, true, buffer, capacity, record);
    found_release(&found);
    query_end(&query);
    return result;
}

int
lsmkv_get(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
          const struct lsmkv_snapshot *snapshot, struct lsmkv_slice key, void *buffer,
          size_t capacity, struct lsmkv_record *record)
{
    struct request request = {db, keyspace, snapshot, key};
    int result;

    error_clear();
    tally_add(&db->reads, READ_GETS, 1);
    result = get(&request, false, buffer, capacity, record);
    return result == REPEAT ? get(&request, true, buffer, capacity, record) : result;
}

/* What lsmkv_lookup is asked for. */
struct lookup {
    bool with_value;
    void *buffer;
    size_t capacity;
    struct lsmkv_record *record; /* NULL: not wanted */
};

/* Sets `*answer` to LSMKV_EXACT, LSMKV_IMPLIED or LSMKV_ABSENT. */
static int
look_up(const struct request *request, bool counted, const struct lookup *lookup,
        int *answer)
{
    struct lsmkv_keyspace *keyspace =
        request->keyspace != NULL ? request->keyspace : request->db->default_keyspace;
    struct found found = {0};
    struct lsmkv_record live;
    struct query query;
    bool implied = false;
    int result = query_begin(&query, request, counted);

    if (result != 0)
        return result;
    result = search_live(&query, &found, &live);
    if (result == 0) {
        bool with_value = lookup->with_value && live.value.size <= lookup->capacity &&
                          live.attributes.size <= lookup->capacity - live.value.size;

        *answer = LSMKV_EXACT;
        if (lookup->record != NULL)
            result = copy_out(&query, &found, &live, with_value, lookup->buffer,
                              lookup->capacity, lookup->record);
    } else if (result == -ENOENT) {
        result = 0;
        if (keyspace->order == LSMKV_ORDER_PATH)
            result = is_implied(&query, keyspace, request->key, &implied);
        *answer = implied ? LSMKV_IMPLIED : LSMKV_ABSENT;
    }
    found_release(&found);
    query_end(&query);
    return result;
}

int
lsmkv_lookup(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
             const struct lsmkv_snapshot *snapshot, struct lsmkv_slice key,
             bool with_value, void *buffer, size_t capacity, struct lsmkv_record *record)
{
    struct request request = {db, keyspace, snapshot, key};
    struct lookup lookup = {with_value, buffer, capacity, record};
    int result, answer;

    error_clear();
    tally_add(&db->reads, READ_LOOKUPS, 1);
    result = look_up(&request, false, &lookup, &answer);
    if (result == REPEAT)
        result = look_up(&request, true, &lookup, &answer);
    return result == 0 ? answer : result;
}

/* ---- held records ---- */

struct lsmkv_held {
    struct lsmkv *db;
    struct lsmkv_record record;
    /* What keeps it in memory; each may be NULL. */
    const struct block *block;
    struct view *view;
    const struct block *value; /* that stands apart */
};

/* As copy_apart. */
static int
hold_apart(struct lsmkv_held *held, struct query *query, const struct blob_ref *ref)
{
    struct blob_files *blobs = query->db->blobs;
    int result;

    held->value = blob_find(blobs, ref);
    if (held->value == NULL) {
        result = query_hold(query);
        if (result == 0)
            result = blob_read_pinned(blobs, ref, &held->value);
        if (result != 0)
            return result;
    }
    held->record.value.data = held->value->data;
    return 0;
}

static int
get_held(const struct request *request, bool counted, struct lsmkv_held *held)
{
    struct found found = {0};
    struct query query;
    int result = query_begin(&query, request, counted);

    if (result != 0)
        return result;
    result = search_live(&query, &found, &held->record);
    if (result == 0 && found.block == NULL) { /* it is in a memtable */
        result = query_hold(&query);
        held->view = query.view;
        query.view = NULL;
    }
    if (result == 0 && found.ref.length > 0)
        result = hold_apart(held, &query, &found.ref);
    if (result == 0)
        held->block = found.block;
    else
        found_release(&found);
    query_end(&query);
    return result;
}

int
lsmkv_get_held(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
               const struct lsmkv_snapshot *snapshot, struct lsmkv_slice key,
               struct lsmkv_held **out)
{
    struct request request = {db, keyspace, snapshot, key};
    struct lsmkv_held *held = malloc(sizeof(*held));
    int result;

    error_clear();
    if (held == NULL)
        return -ENOMEM;
    tally_add(&db->reads, READ_GETS, 1);
    held->db = db;
    held->block = NULL;
    held->view = NULL;
    held->value = NULL;
    result = get_held(&request, false, held);
    if (result == REPEAT)
        result = get_held(&request, true, held);
    if (result == 0)
        *out = held;
    else
        lsmkv_held_release(held);
    return result;
}

const struct lsmkv_record *
lsmkv_held_record(const struct lsmkv_held *held)
{
    return &held->record;
}

void
lsmkv_held_release(struct lsmkv_held *held)
{
    if (held == NULL)
        return;
    if (held->block != NULL)
        block_unpin(held->block);
    if (held->value != NULL)
        block_unpin(held->value);
    view_unref(held->view);
    files_delete_obsolete(held->db); /* what only this record kept */
    free(held);
}
