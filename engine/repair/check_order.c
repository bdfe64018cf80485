/*
 * check_order.c - V3 of version.h: of one key, what lies in a shallower place is newer
 * than what lies in a deeper one.
 *
 *     rank 0 ...    memtables, newest first
 *     then          level 0, newest first
 *     then          one source a deeper level
 *
 * All sources are walked at once in the order of internal keys.  The versions of one key
 * come newest first, so their ranks may only rise.  A merge by a heap does not tell which
 * source an entry is of; there are few sources, and the smallest is looked for among all.
 *
 * Every value that an entry refers to is read.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/record.h"
#include "repair/check.h"
#include "table/blob.h"

#define TOLD_MAX   16u /* of one keyspace; more say nothing new */
#define KEY_SHOWN  80u
#define STEP_BYTES (UINT64_C(1) << 20)

struct order_walk {
    struct lsmkv *db;
    const struct lsmkv_keyspace *keyspace;
    struct iterator **sources; /* by rank */
    size_t count;
    struct keybuf last; /* the internal key passed last, and the rank it had */
    size_t last_rank;
    unsigned told;
    int (*walked)(void *context, uint64_t bytes);
    void *context;
    uint64_t bytes;      /* not yet told of */
    struct keybuf value; /* room for one */
    int unread;          /* why a value could not be read; reported */
};

static void
tell(struct order_walk *walk, struct lsmkv_slice key, const char *what)
{
    struct lsmkv_slice user = internal_user_key(key);
    int shown = (int)(user.size < KEY_SHOWN ? user.size : KEY_SHOWN);

    walk->told++;
    (void)report_error(&walk->db->reporter, -EUCLEAN,
                       "MANIFEST: offset 0: keyspace \"%s\", key \"%.*s\": %s",
                       walk->keyspace->name, shown, (const char *)user.data, what);
}

/* The source whose entry comes first; walk->count if all are at their ends. */
static size_t
first_source(const struct order_walk *walk)
{
    size_t first = walk->count;

    for (size_t i = 0; i < walk->count; i++) {
        if (!walk->sources[i]->valid)
            continue;
        if (first == walk->count ||
            internal_key_compare(walk->keyspace->order, walk->sources[i]->entry->key,
                                 walk->sources[first]->entry->key) < 0)
            first = i;
    }
    return first;
}

/* -ENOMEM. */
static int
read_value(struct order_walk *walk, const struct iterator *source)
{
    struct lsmkv_record record;
    struct blob_ref ref;
    int result;

    if (!kind_is_apart(internal_kind(source->entry->key)))
        return 0;
    result = record_decode(internal_kind(source->entry->key),
                           internal_sequence(source->entry->key), source->entry->payload,
                           &record);
    if (result == 0)
        result = blob_ref_decode(record.value, &ref);
    if (result == 0)
        result = keybuf_reserve(&walk->value, ref.length);
    if (result == 0) {
        result = blob_read(walk->db->blobs, &ref, walk->value.data);
        walk->bytes += ref.length;
    }
    if (result != 0 && result != -ENOMEM)
        walk->unread = result;
    return result == -ENOMEM ? result : 0;
}

static int
pass(struct order_walk *walk, size_t rank)
{
    const struct iterator *source = walk->sources[rank];
    struct lsmkv_slice last = keybuf_slice(&walk->last);
    int result = read_value(walk, source);

    if (result != 0)
        return result;
    if (last.size > 0 &&
        slice_equal(internal_user_key(last), internal_user_key(source->entry->key))) {
        if (internal_sequence(last) == internal_sequence(source->entry->key))
            tell(walk, source->entry->key, "one version is in two places");
        else if (rank < walk->last_rank)
            tell(walk, source->entry->key, "an older version lies above a newer one");
    }
    walk->last_rank = rank;
    walk->bytes += source->entry->key.size + source->entry->payload.size;
    if (walk->bytes >= STEP_BYTES) {
        result = walk->walked(walk->context, walk->bytes);
        walk->bytes = 0;
    }
    return result == 0 ? keybuf_set(&walk->last, source->entry->key) : result;
}

static int
status_of(const struct order_walk *walk)
{
    for (size_t i = 0; i < walk->count; i++)
        if (walk->sources[i]->status != 0)
            return walk->sources[i]->status;
    return 0;
}

static int
walk_all(struct order_walk *walk)
{
    size_t rank;
    int result = 0;

    for (size_t i = 0; i < walk->count; i++)
        iterator_first(walk->sources[i]);
    while (result == 0 && walk->told < TOLD_MAX &&
           (rank = first_source(walk)) < walk->count) {
        result = pass(walk, rank);
        if (result == 0) {
            iterator_next(walk->sources[rank]);
            result = walk->sources[rank]->status;
        }
    }
    if (result == 0)
        result = status_of(walk);
    if (result == 0 && walk->told > 0)
        result = -EUCLEAN;
    if (result == 0)
        result = walk->unread;
    return result;
}

static int
open_sources(struct order_walk *walk, const struct view *view)
{
    int result = 0;

    walk->sources = calloc(view->count + VERSION_ITERATORS_MAX(view->version),
                           sizeof(struct iterator *));
    if (walk->sources == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < view->count && result == 0; i++) {
        result = memtable_iterate(view->memtables[i], &walk->sources[walk->count]);
        if (result == 0)
            walk->count++;
    }
    if (result == 0)
        result = version_iterators(view->version, TABLE_PASSING, lsmkv_bytes(NULL, 0),
                                   walk->sources, &walk->count);
    return result;
}

int
check_order(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
            int (*walked)(void *context, uint64_t bytes), void *context)
{
    struct read_point point = read_point_take(db, keyspace, NULL);
    struct order_walk walk = {
        .db = db, .keyspace = keyspace, .walked = walked, .context = context};
    int result = open_sources(&walk, point.view);

    if (result == 0)
        result = walk_all(&walk);
    for (size_t i = 0; i < walk.count; i++)
        iterator_free(walk.sources[i]);
    free(walk.sources);
    keybuf_fini(&walk.last);
    keybuf_fini(&walk.value);
    view_unref(point.view);
    return result;
}
