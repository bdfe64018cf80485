/*
 * flush.c - from memtables to level 0.
 *
 * The oldest frozen generation becomes at most one table a keyspace; one manifest line adds
 * them all and moves the oldest live log past the generation's, which is then deleted
 * (invariant 8).  In memory the generation leaves the views in the same step in which its
 * tables enter them.
 */
#include <errno.h>
#include <stdlib.h>

#include "db/db.h"

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

static int
flush_memtable(struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
               const struct memtable *memtable, const uint64_t *sequences, size_t count,
               struct manifest_edit *edit)
{
    struct build_context context = build_context_of(db, keyspace, sequences, count);
    struct iterator *it;
    int result;

    context.table_size = UINT64_MAX; /* one table */
    context.bytes_read = &db->counters.flush_bytes_read;
    context.bytes_written = &db->counters.flush_bytes_written;
    result = memtable_iterate(memtable, &it);
    if (result != 0)
        return result;
    result = build_flush(&context, it, edit);
    iterator_free(it);
    return result;
}

/* A keyspace cannot be dropped meanwhile: dropping waits for the flush's turn. */
static int
flush_generation(struct lsmkv *db, const struct generation *generation,
                 struct manifest_edit *edit)
{
    uint64_t *sequences = NULL;
    size_t count;
    int result = snapshot_sequences(db, &sequences, &count);

    for (size_t i = 0; i < generation->count && result == 0; i++) {
        struct memtable *memtable = generation->slots[i].memtable;
        struct lsmkv_keyspace *keyspace;

        mutex_lock(&db->mutex);
        keyspace = keyspace_by_id(db, generation->slots[i].keyspace);
        mutex_unlock(&db->mutex);
        if (keyspace != NULL && !memtable_is_empty(memtable))
            result = flush_memtable(db, keyspace, memtable, sequences, count, edit);
    }
    free(sequences);
    return result;
}

/* Begins a flush: the generation to write, or NULL. */
static struct generation *
take_turn(struct lsmkv *db)
{
    struct generation *generation = NULL;

    mutex_lock(&db->mutex);
    while (db->flushing)
        condition_wait(&db->progress, &db->mutex);
    if (db->frozen > 0) {
        generation = db->oldest;
        db->flushing = true;
    }
    mutex_unlock(&db->mutex);
    return generation;
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
    struct generation *generation = take_turn(db);
    struct manifest_edit edit = {0};
    uint64_t log_number;
    int result;

    if (generation == NULL)
        return 0;
    log_number = generation->log_number;
    result = flush_generation(db, generation, &edit);
    if (result != 0) {
        files_discard_added(db, &edit);
    } else {
        mutex_lock(&db->mutex);
        edit.oldest_log = generation->newer->log_number;
        mutex_unlock(&db->mutex);
        result = install(db, &edit, generation, 0);
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
