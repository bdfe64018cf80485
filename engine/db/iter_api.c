/* iter_api.c - the public iterator: a cursor and the view that keeps what it reads
 * alive. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "iter/cursor.h"
#include "table/blob.h"

#define READ_AHEAD       16u        /* values at once, */
#define READ_AHEAD_BYTES (1u << 20) /* while these are no more */

struct lsmkv_iter {
    struct lsmkv *db;
    struct view *view;
    struct keybuf upper; /* what the sources borrow */
    struct cursor cursor;
    bool lazy, salvaging;
    bool walks; /* it has been moved by a step since it was put somewhere */
    /* Of what is shown, if its value stands apart: */
    bool apart;
    int failed; /* reading the value did; then it is not valid */
    struct blob_ref ref;
    struct lsmkv_record record;
    struct blob_run values;
    struct keybuf part; /* of a value: its pages, or units */
};

/* ---- values that stand apart ---- */

static int
load_value(struct lsmkv_iter *iter)
{
    const uint8_t *value;
    int result;

    result = blob_run_read(&iter->values, iter->db->blobs, &iter->ref, &value);
    if (result == 0)
        iter->record.value.data = value;
    return result;
}

/* False: its value does not stand apart. */
static bool
ahead_is_apart(const struct iterator_ahead *ahead, struct blob_ref *ref)
{
    struct lsmkv_record record;

    return kind_is_apart(ahead->kind) &&
           record_decode(ahead->kind, 0, ahead->payload, &record) == 0 &&
           blob_ref_decode(record.value, ref) == 0;
}

/* Values in the cache lie anywhere in memory: to find one and to see its first bytes
 * costs as much waiting as reading it, unless that is asked for ahead.  The next one is
 * looked up, and of that behind it what finds it. */
static void
look_ahead(struct lsmkv_iter *iter)
{
    struct iterator_ahead ahead[2];
    size_t count = cursor_peek(&iter->cursor, ahead, 2);
    struct blob_ref ref;

    for (size_t i = 0; i < count; i++)
        if (ahead_is_apart(&ahead[i], &ref))
            blob_expect(iter->db->blobs, &ref, i == 0);
}

/* Values that were not put in the order of keys lie anywhere on the disk: it is asked for
 * several at once, and for the next ones when the walk has come to the last of these. */
static void
read_ahead(struct lsmkv_iter *iter)
{
    struct iterator_ahead ahead[READ_AHEAD];
    size_t count = cursor_peek(&iter->cursor, ahead, READ_AHEAD), bytes = 0;
    struct blob_ref ref;

    for (size_t i = 0; i < count && bytes < READ_AHEAD_BYTES; i++) {
        if (ahead_is_apart(&ahead[i], &ref)) {
            blob_begin_reading(iter->db->blobs, &ref);
            bytes += blob_stored_size(&ref);
            iter->values.begun++;
        }
    }
}

static void
settle_apart(struct lsmkv_iter *iter)
{
    iter->record = *cursor_record(&iter->cursor);
    iter->failed = blob_ref_decode(iter->record.value, &iter->ref);
    iter->record.value = lsmkv_bytes(NULL, iter->ref.length);
    if (iter->failed != 0 || iter->lazy)
        return;
    iter->failed = load_value(iter);
    if (iter->values.cached != NULL)
        look_ahead(iter);
    if (iter->values.waited && iter->walks)
        read_ahead(iter);
}

/* After each move of the cursor. */
static inline void
settle(struct lsmkv_iter *iter)
{
    iter->failed = 0;
    iter->apart = cursor_valid(&iter->cursor) && cursor_is_apart(&iter->cursor);
    if (iter->apart)
        settle_apart(iter);
}

/* The same forwards: salvaging passes over what cannot be read. */
static inline void
settle_forwards(struct lsmkv_iter *iter)
{
    settle(iter);
    while (iter->salvaging && iter->failed != 0 && iter->failed != -ENOMEM) {
        cursor_next(&iter->cursor);
        settle(iter);
    }
}

int
lsmkv_iter_value(struct lsmkv_iter *iter, struct lsmkv_slice *value)
{
    const struct lsmkv_record *record = lsmkv_iter_record(iter);
    int result = 0;

    error_clear();
    if (iter->apart && record->value.data == NULL)
        result = load_value(iter);
    if (result == 0)
        *value = record->value;
    return result;
}

/* Of a long value that is not at hand: all of it straight to where it is to go, or what
 * is wanted of it. */
static int
copy_apart(struct lsmkv_iter *iter, size_t from, size_t size, void *buffer)
{
    struct blob_files *blobs = iter->db->blobs;
    const struct block *cached = blob_find(blobs, &iter->ref);
    const uint8_t *bytes;
    int result;

    if (cached != NULL) {
        memcpy(buffer, cached->data + from, size);
        block_unpin(cached);
        return 0;
    }
    if (size == iter->ref.length)
        return blob_read(blobs, &iter->ref, buffer);
    result = blob_read_part(blobs, &iter->ref, from, size, &iter->part, &bytes);
    if (result == 0)
        memcpy(buffer, bytes, size);
    return result;
}

int
lsmkv_iter_value_copy(struct lsmkv_iter *iter, size_t from, size_t size, void *buffer)
{
    const struct lsmkv_record *record = lsmkv_iter_record(iter);
    const size_t length = record->value.size;
    struct lsmkv_slice value;
    int result;

    error_clear();
    if (from > length || size > length - from)
        return error_detail(-ERANGE, "%zu bytes from %zu on of a value of %zu", size,
                            from, length);
    if (size == 0)
        return 0;
    if (iter->apart && record->value.data == NULL &&
        (iter->ref.pages > 0 ||
         (iter->ref.packed > 0 && iter->ref.length > BLOB_PAGED_ABOVE)))
        return copy_apart(iter, from, size, buffer);
    result = lsmkv_iter_value(iter, &value);
    if (result == 0)
        memcpy(buffer, (const uint8_t *)value.data + from, size);
    return result;
}

/* ---- making and freeing ---- */

/* NULL data if there is no upper bound. */
static int
copy_upper(struct lsmkv_iter *iter, struct lsmkv_slice upper, struct lsmkv_slice *copy)
{
    int result = 0;

    *copy = lsmkv_bytes(NULL, 0);
    if (upper.data == NULL)
        return 0;
    result = keybuf_reserve(&iter->upper, upper.size + 1); /* its data is not NULL */
    if (result == 0)
        result = keybuf_set(&iter->upper, upper);
    *copy = keybuf_slice(&iter->upper);
    return result;
}

static int
iter_new(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
         const struct lsmkv_iter_options *options, enum table_walk walk,
         struct lsmkv_iter **out)
{
    static const struct lsmkv_iter_options everything;
    struct lsmkv_iter *iter = calloc(1, sizeof(*iter));
    struct read_point point;
    struct lsmkv_slice upper;
    struct iterator *it;
    int result;

    if (iter == NULL)
        return -ENOMEM;
    if (options == NULL)
        options = &everything;
    tally_add(&db->reads, READ_ITERATORS, 1);
    point = read_point_take(db, keyspace, options->snapshot);
    iter->db = db;
    iter->view = point.view;
    iter->lazy = options->lazy_values;
    iter->salvaging = walk == TABLE_SALVAGING;
    result = copy_upper(iter, options->upper, &upper);
    if (result == 0)
        result = view_iterate(point.view, point.keyspace->order, walk, upper, &it);
    if (result == 0)
        result = cursor_init(
            &iter->cursor, it, point.keyspace->order, point.sequence, options->lower,
            options->upper, walk == TABLE_SALVAGING ? NULL : point.keyspace->dead_ranges);
    if (result != 0) {
        view_unref(iter->view);
        keybuf_fini(&iter->upper);
        free(iter);
        return result;
    }
    *out = iter;
    return 0;
}

int
lsmkv_iter_new(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
               const struct lsmkv_iter_options *options, struct lsmkv_iter **iter)
{
    error_clear();
    return iter_new(db, keyspace, options, TABLE_KEEPING, iter);
}

int
lsmkv_iter_new_salvaging(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                         const struct lsmkv_iter_options *options,
                         struct lsmkv_iter **iter)
{
    error_clear();
    return iter_new(db, keyspace, options, TABLE_SALVAGING, iter);
}

/* What a seek costs in a run more, in detours of a get. */
#define SEEK_DETOURS 8u

static void
count_detours(const struct lsmkv_iter *iter)
{
    struct version *version = iter->view->version;
    size_t runs = version->levels[0].count;

    if (runs > 1 && version_count_detours(version, SEEK_DETOURS * (runs - 1) *
                                                       (iter->cursor.seeks + 1)))
        compaction_wake(iter->db);
}

void
lsmkv_iter_free(struct lsmkv_iter *iter)
{
    if (iter == NULL)
        return;
    count_detours(iter);
    tally_add(&iter->db->reads, READ_SEEKS, iter->cursor.seeks);
    tally_add(&iter->db->reads, READ_DEAD_RANGE_SKIPS, iter->cursor.dead_skips);
    cursor_fini(&iter->cursor);
    keybuf_fini(&iter->upper);
    keybuf_fini(&iter->part);
    blob_run_fini(&iter->values);
    view_unref(iter->view);
    files_delete_obsolete(iter->db); /* what only this walk kept */
    free(iter);
}

/* ---- moving ---- */

/* Other values are to come than those whose reading has begun; and whether any are is not known. */
static void
go_elsewhere(struct lsmkv_iter *iter)
{
    iter->values.begun = 0;
    iter->walks = false;
}

void
lsmkv_iter_first(struct lsmkv_iter *iter)
{
    go_elsewhere(iter);
    cursor_first(&iter->cursor);
    settle_forwards(iter);
}

void
lsmkv_iter_last(struct lsmkv_iter *iter)
{
    go_elsewhere(iter);
    cursor_last(&iter->cursor);
    settle(iter);
}

void
lsmkv_iter_seek(struct lsmkv_iter *iter, struct lsmkv_slice key)
{
    go_elsewhere(iter);
    cursor_seek(&iter->cursor, key);
    settle_forwards(iter);
}

void
lsmkv_iter_seek_before(struct lsmkv_iter *iter, struct lsmkv_slice key)
{
    go_elsewhere(iter);
    cursor_seek_before(&iter->cursor, key);
    settle(iter);
}

void
lsmkv_iter_next(struct lsmkv_iter *iter)
{
    iter->walks = true;
    cursor_next(&iter->cursor);
    settle_forwards(iter);
}

void
lsmkv_iter_prev(struct lsmkv_iter *iter)
{
    cursor_prev(&iter->cursor);
    settle(iter);
}

void
lsmkv_iter_skip_tree(struct lsmkv_iter *iter, struct lsmkv_slice key)
{
    go_elsewhere(iter);
    cursor_skip_tree(&iter->cursor, key);
    settle_forwards(iter);
}

bool
lsmkv_iter_valid(const struct lsmkv_iter *iter)
{
    return cursor_valid(&iter->cursor) && iter->failed == 0;
}

int
lsmkv_iter_status(const struct lsmkv_iter *iter)
{
    return iter->failed != 0 ? iter->failed : cursor_status(&iter->cursor);
}

struct lsmkv_slice
lsmkv_iter_key(const struct lsmkv_iter *iter)
{
    return cursor_key(&iter->cursor);
}

const struct lsmkv_record *
lsmkv_iter_record(const struct lsmkv_iter *iter)
{
    return iter->apart ? &iter->record : cursor_record(&iter->cursor);
}
