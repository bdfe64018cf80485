/*
 * flush.c - from memtables to level 0.
 *
 * The oldest frozen generation becomes at most one table a keyspace; one manifest line adds
 * them all and moves the oldest live log past the generation's, which is then deleted
 * (invariant 8).  In memory the generation leaves the views in the same step in which its
 * tables enter them.
 *
 * Those behind it go with it as far as they fit a write buffer together: a store that is
 * opened again and again has a log of each time, and a little in each.  Where the disk has
 * no room for that, the first goes alone, and gives its log back.
 */
#include <errno.h>
#include <stdlib.h>

#include "db/db.h"
#include "iter/merge.h"

static uint64_t
next_number(void *store)
{
    return file_number_take(store);
}

struct build_context
build_context_of(struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
                 const uint64_t *sequences, size_t count)
{
    struct build_context context = {
        .tables = &db->tables,
        .keyspace = keyspace->id,
        .order = keyspace->order,
        .compression = keyspace->compression,
        .table_size = db->options.table_size,
        .blob_threshold = db->options.blob_threshold,
        .blob_size = db->options.write_buffer_size,
        .snapshots = sequences,
        .snapshot_count = count,
        .next_number = next_number,
        .store = db,
        .cancel = &db->closing,
        .bytes_read = &db->counters.compaction_bytes_read,
        .bytes_written = &db->counters.compaction_bytes_written,
        .blob_bytes_written = &db->counters.blob_bytes_written,
    };

    return context;
}

/* Generations that are flushed together, one behind the other. */
struct harvest {
    struct generation *first, *last;
    size_t count;
};

static size_t
generation_bytes(const struct generation *generation)
{
    return generation_memory(generation) + generation_blob_bytes(generation);
}

/* What a keyspace has in them; NULL: nothing. */
static int
iterate(const struct harvest *harvest, const struct lsmkv_keyspace *keyspace,
        struct iterator **it)
{
    struct iterator **children = calloc(harvest->count, sizeof(struct iterator *));
    const struct generation *g = harvest->first;
    size_t count = 0;
    int result = children != NULL ? 0 : -ENOMEM;

    *it = NULL;
    for (size_t i = 0; i < harvest->count && result == 0; i++, g = g->newer) {
        const struct memtable *memtable = generation_memtable(g, keyspace->id);

        if (memtable == NULL || memtable_is_empty(memtable))
            continue;
        result = memtable_iterate(memtable, &children[count]);
        if (result == 0)
            count++;
    }
    if (result == 0 && count > 0) {
        result = merge_new(keyspace->order, children, count, it);
        count = 0; /* the merge owns them, or freed them */
    }
    for (size_t i = 0; i < count; i++)
        iterator_free(children[i]);
    free(children);
    return result;
}

static int
flush_keyspace(struct lsmkv *db, const struct harvest *harvest,
               const struct lsmkv_keyspace *keyspace, const uint64_t *sequences,
               size_t count, struct manifest_edit *edit)
{
    struct build_context context = build_context_of(db, keyspace, sequences, count);
    struct iterator *it;
    int result = iterate(harvest, keyspace, &it);

    if (result != 0 || it == NULL)
        return result;
    context.table_size = UINT64_MAX; /* one table */
    context.bytes_read = &db->counters.flush_bytes_read;
    context.bytes_written = &db->counters.flush_bytes_written;
    result = build_flush(&context, it, edit);
    iterator_free(it);
    return result;
}

/* The last has a memtable for each keyspace that there still is.  None can be dropped
 * meanwhile: dropping waits for the flush's turn. */
static int
flush_harvest(struct lsmkv *db, const struct harvest *harvest, struct manifest_edit *edit)
{
    uint64_t *sequences = NULL;
    size_t count;
    int result = snapshot_sequences(db, &sequences, &count);

    for (size_t i = 0; i < harvest->last->count && result == 0; i++) {
        struct lsmkv_keyspace *keyspace;

        mutex_lock(&db->mutex);
        keyspace = keyspace_by_id(db, harvest->last->slots[i].keyspace);
        mutex_unlock(&db->mutex);
        if (keyspace != NULL)
            result = flush_keyspace(db, harvest, keyspace, sequences, count, edit);
    }
    free(sequences);
    return result;
}

/* Begins a flush; false: there is nothing to write. */
static bool
take_turn(struct lsmkv *db, struct harvest *harvest)
{
    bool any;

    mutex_lock(&db->mutex);
    while (db->flushing)
        condition_wait(&db->progress, &db->mutex);
    any = db->frozen > 0;
    if (any) {
        size_t bytes = generation_bytes(db->oldest);

        *harvest = (struct harvest){db->oldest, db->oldest, 1};
        while (harvest->count < db->frozen) {
            bytes += generation_bytes(harvest->last->newer);
            if (bytes > db->options.write_buffer_size)
                break;
            harvest->last = harvest->last->newer;
            harvest->count++;
        }
        db->flushing = true;
    }
    mutex_unlock(&db->mutex);
    return any;
}

static void
end_turn(struct lsmkv *db, int result)
{
    mutex_lock(&db->mutex);
    db->flushing = false;
    if (result != -ECANCELED) {
        db->flush_error = result;
        db->flush_failures = result != 0 ? db->flush_failures + 1 : 0;
    }
    condition_broadcast(&db->progress);
    condition_broadcast(&db->work);
    mutex_unlock(&db->mutex);
}

int
flush_oldest(struct lsmkv *db)
{
    struct manifest_edit edit = {0};
    struct harvest harvest;
    uint64_t log_number;
    int result;

    if (!take_turn(db, &harvest))
        return 0;
    log_number = harvest.first->log_number;
    result = flush_harvest(db, &harvest, &edit);
    if (result == -ENOSPC && harvest.count > 1) {
        files_discard_added(db, &edit);
        manifest_edit_fini(&edit);
        harvest.last = harvest.first;
        harvest.count = 1;
        result = flush_harvest(db, &harvest, &edit);
    }
    if (result != 0) {
        files_discard_added(db, &edit);
    } else {
        mutex_lock(&db->mutex);
        edit.oldest_log = harvest.last->newer->log_number;
        mutex_unlock(&db->mutex);
        result = install(db, &edit, harvest.last, 0);
    }
    if (result == 0)
        files_delete_logs(db, log_number, edit.oldest_log);
    files_delete_obsolete(db);
    manifest_edit_fini(&edit);
    end_turn(db, result);
    return result;
}

int
flush_wait(struct lsmkv *db, uint64_t number)
{
    int result;

    mutex_lock(&db->mutex);
    db->flush_error = 0; /* wait for a new try, not for an old failure */
    for (;;) {
        result = db->poison != 0 ? db->poison : db->flush_error;
        if (result == 0 && atomic_load(&db->closing))
            result = -ECANCELED;
        if (result != 0 || db->frozen == 0 || db->oldest->log_number > number)
            break;
        condition_broadcast(&db->work);
        condition_wait(&db->progress, &db->mutex);
    }
    mutex_unlock(&db->mutex);
    return result;
}

int
lsmkv_flush(struct lsmkv *db)
{
    struct writer turn;
    uint64_t number;
    int result;

    error_clear();
    result = check_writable(db);
    if (result != 0)
        return result;
    writer_begin(db, &turn);
    if (!generation_is_empty(db->active))
        result = rotate(db);
    number = wal_number(db->wal) - 1; /* what came before the active generation */
    writer_end(db, &turn);
    return result == 0 ? flush_wait(db, number) : result;
}
