/*
 * compact.c - see compact.h.
 *
 * A slice ends at a key behind some 64 MiB of what tables hold: keys, attributes, and
 * values that are not in blob files.  All ends are found first, by one walk over each
 * keyspace, so that it is known how many slices there are.  What is deleted is not
 * counted; it makes slices longer.
 */
#include "store/compact.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_SIZE  (64u << 20)
#define RECORD_SIZE 24u     /* about what a table adds to a record */
#define LOOK_EVERY  100000u /* records, between two calls of progress */

struct slice {
    struct lsmkv_keyspace *keyspace;
    void *from; /* for free(); NULL: from the beginning */
    size_t size;
};

struct compact {
    struct lsmkv *db;
    const struct compact_report *report;
    struct slice *slices;
    size_t count, capacity;
    char (*names)[LSMKV_NAME_MAX + 1]; /* of keyspaces */
    size_t name_count;
    uint64_t records;
};

static bool
goes_on(const struct compact *compact, uint64_t done, uint64_t total)
{
    return compact->report->progress(compact->report->context, done, total);
}

/* ---- slices ---- */

static int
add_slice(struct compact *compact, struct lsmkv_keyspace *keyspace,
          struct lsmkv_slice from)
{
    if (compact->count == compact->capacity) {
        size_t capacity = compact->capacity > 0 ? 2 * compact->capacity : 16;
        void *grown = reallocarray(compact->slices, capacity, sizeof(*compact->slices));

        if (grown == NULL)
            return -ENOMEM;
        compact->slices = grown;
        compact->capacity = capacity;
    }
    struct slice *slice = &compact->slices[compact->count];
    *slice = (struct slice){.keyspace = keyspace, .size = from.size};
    if (from.size > 0) {
        slice->from = malloc(from.size);
        if (slice->from == NULL)
            return -ENOMEM;
        memcpy(slice->from, from.data, from.size);
    }
    compact->count++;
    return 0;
}

static size_t
size_of(struct lsmkv_iter *iter)
{
    const struct lsmkv_record *record = lsmkv_iter_record(iter);

    return lsmkv_iter_key(iter).size + record->attributes.size + RECORD_SIZE +
           (record->value.data != NULL ? record->value.size : 0);
}

static int
walk(struct compact *compact, struct lsmkv_keyspace *keyspace, struct lsmkv_iter *iter)
{
    uint64_t used = 0;
    int result = add_slice(compact, keyspace, lsmkv_bytes(NULL, 0));

    for (lsmkv_iter_first(iter); result == 0 && lsmkv_iter_valid(iter);
         lsmkv_iter_next(iter)) {
        if (used >= SLICE_SIZE) {
            result = add_slice(compact, keyspace, lsmkv_iter_key(iter));
            used = 0;
        }
        used += size_of(iter);
        if (++compact->records % LOOK_EVERY == 0 &&
            !goes_on(compact, compact->records, 0))
            result = -ECANCELED;
    }
    return result != 0 ? result : lsmkv_iter_status(iter);
}

static int
cut(struct compact *compact, const char *name)
{
    struct lsmkv_iter_options options = {.lazy_values = true};
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_iter *iter;
    int result = lsmkv_keyspace_open(compact->db, name, &keyspace);

    if (result == 0)
        result = lsmkv_iter_new(compact->db, keyspace, &options, &iter);
    if (result != 0)
        return result;
    result = walk(compact, keyspace, iter);
    lsmkv_iter_free(iter);
    return result;
}

static int
add_name(void *context, const char *name, enum lsmkv_order order)
{
    struct compact *compact = context;
    void *grown =
        reallocarray(compact->names, compact->name_count + 1, sizeof(*compact->names));

    (void)order;
    if (grown == NULL)
        return -ENOMEM;
    compact->names = grown;
    strncpy(compact->names[compact->name_count], name, LSMKV_NAME_MAX);
    compact->names[compact->name_count++][LSMKV_NAME_MAX] = '\0';
    return 0;
}

static int
find_slices(struct compact *compact)
{
    int result = lsmkv_keyspace_list(compact->db, add_name, compact);

    for (size_t i = 0; i < compact->name_count && result == 0; i++)
        result = cut(compact, compact->names[i]);
    return result;
}

/* ---- merging ---- */

/* Up to where the next one begins; both merge the tables in which they meet. */
static int
merge(struct compact *compact, size_t index)
{
    const struct slice *slice = &compact->slices[index];
    const struct slice *next = index + 1 < compact->count ? slice + 1 : NULL;
    struct lsmkv_slice from = lsmkv_bytes(slice->from, slice->size), to = {NULL, 0};

    if (next != NULL && next->keyspace == slice->keyspace)
        to = lsmkv_bytes(next->from, next->size);
    return lsmkv_compact(compact->db, slice->keyspace, from, to);
}

static int
merge_all(struct compact *compact)
{
    int result = 0;

    for (size_t i = 0; i < compact->count && result == 0; i++) {
        if (!goes_on(compact, i, compact->count))
            return -ECANCELED;
        result = merge(compact, i);
    }
    if (result == 0)
        goes_on(compact, compact->count, compact->count);
    return result;
}

/* ---- the whole ---- */

static int
measure(struct lsmkv *db, uint64_t *bytes)
{
    struct lsmkv_stats stats;
    int result = lsmkv_get_stats(db, &stats);

    if (result == 0)
        *bytes = stats.table_bytes + stats.blob_file_bytes + stats.log_bytes;
    return result;
}

int
compact_store(struct lsmkv *db, const struct compact_report *report,
              struct compact_sizes *sizes)
{
    struct compact compact = {.db = db, .report = report};
    struct compact_sizes measured;
    int result = measure(db, &measured.before);

    if (result == 0)
        result = find_slices(&compact);
    if (result == 0)
        result = merge_all(&compact);
    if (result == 0)
        result = measure(db, &measured.after);
    if (result == 0)
        *sizes = measured;
    for (size_t i = 0; i < compact.count; i++)
        free(compact.slices[i].from);
    free(compact.slices);
    free(compact.names);
    return result;
}
