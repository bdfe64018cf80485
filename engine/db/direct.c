/* direct.c - see direct.h. */
#include "db/direct.h"

#include <errno.h>

#include "base/record.h"
#include "table/blob.h"

/* L5 */
#define UNSYNCED_SHARE    32
#define UNSYNCED_DISCOUNT 16

void
direct_begin(struct lsmkv *db)
{
    const struct lsmkv_options *options = &db->options;
    uint64_t unsynced = bytes_logged(db) - atomic_load(&db->durable_bytes);
    size_t least = options->direct_threshold;

    if (unsynced >= options->write_buffer_size / UNSYNCED_SHARE)
        least /= UNSYNCED_DISCOUNT;
    if (least < options->blob_threshold)
        least = options->blob_threshold;
    if (options->blob_threshold == 0 || options->direct_threshold == 0)
        least = SIZE_MAX;
    db->direct_least = least;
}

/* ---- placing ---- */

/* What adds to the file of the active generation that takes a keyspace's values; NULL:
 * there is none yet. */
static struct blob_appender *
appender_of(const struct generation *active, uint32_t keyspace)
{
    for (size_t i = 0; i < active->blob_count; i++)
        if (active->blobs[i].keyspace == keyspace)
            return atomic_load(&active->appenders[i]);
    return NULL;
}

static enum lsmkv_compression
compression_of(struct lsmkv *db, uint32_t id)
{
    const struct lsmkv_keyspace *keyspace;
    enum lsmkv_compression compression = LSMKV_COMPRESSION_NONE;

    mutex_lock(&db->mutex);
    keyspace = keyspace_by_id(db, id);
    if (keyspace != NULL)
        compression = keyspace->compression;
    mutex_unlock(&db->mutex);
    return compression;
}

static int
need_appender(struct lsmkv *db, uint32_t keyspace, struct blob_appender **appender)
{
    struct generation *active = db->active;
    uint64_t number;
    int result;

    *appender = appender_of(active, keyspace);
    if (*appender != NULL)
        return 0;
    number = file_number_take(db);
    result = generation_refer(active, keyspace, number, 0);
    if (result != 0)
        return result;
    result = blob_appender_open(&db->tables, number, keyspace,
                                compression_of(db, keyspace), appender);
    if (result != 0)
        generation_refer_no_more(active);
    else
        atomic_store(&active->appenders[active->blob_count - 1], *appender);
    return result;
}

static bool
is_to_be_placed(const struct lsmkv *db, const struct batch_entry *entry)
{
    const struct generation *active = db->active;

    return kind_is_put(entry->kind) && !kind_is_apart(entry->kind) &&
           entry->record.value.size >= db->direct_least &&
           (active->blob_count < GENERATION_BLOBS_MAX ||
            appender_of(active, entry->keyspace) != NULL);
}

/* One that names a keyspace which is not there will be refused: its values would stay in
 * a file that no frame refers to. */
static bool
is_acceptable(const struct lsmkv *db, const struct wal_append *frame)
{
    struct batch_reader reader;
    struct batch_entry entry;
    int result = batch_read(&reader, frame->entries, frame->first_sequence);

    while (result == 0 && (result = batch_next(&reader, &entry)) == 1)
        result = generation_slot(db->active, entry.keyspace) != NULL ? 0 : -EINVAL;
    return result == 0;
}

/* Makes an entry that refers to its value; `bytes` are of the reference. */
static int
place_value(struct lsmkv *db, struct batch_entry *entry, uint8_t *bytes)
{
    struct blob_appender *appender;
    struct keybuf internal = {0};
    struct blob_ref ref;
    int result = need_appender(db, entry->keyspace, &appender);

    if (result == 0)
        result = keybuf_set_internal(&internal, entry->key, entry->sequence, entry->kind);
    if (result == 0)
        result = blob_appender_add(appender, keybuf_slice(&internal), entry->record.value,
                                   &ref);
    keybuf_fini(&internal);
    if (result != 0)
        return result;
    entry->kind |= KIND_BLOB_BIT;
    entry->record.value = lsmkv_bytes(bytes, blob_ref_encode(bytes, &ref));
    return 0;
}

static int
place_frame(struct lsmkv *db, struct wal_append *frame, struct lsmkv_batch *placed)
{
    uint8_t bytes[BLOB_REF_SIZE_MAX];
    struct batch_reader reader;
    struct batch_entry entry;
    int result = batch_read(&reader, frame->entries, frame->first_sequence);

    while (result == 0 && (result = batch_next(&reader, &entry)) == 1) {
        result = is_to_be_placed(db, &entry) ? place_value(db, &entry, bytes) : 0;
        if (result == 0)
            result = batch_add(placed, entry.keyspace, entry.kind, entry.key,
                               kind_is_put(entry.kind) ? &entry.record : NULL);
    }
    if (result != 0)
        return result;
    batch_set_time(placed, reader.time);
    frame->entries = batch_slice(placed);
    return 0;
}

int
direct_place(struct lsmkv *db, struct wal_append *frames, const bool *wanted,
             size_t count, struct lsmkv_batch *placed)
{
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++)
        if (wanted[i] && is_acceptable(db, &frames[i]))
            result = place_frame(db, &frames[i], &placed[i]);
    return result;
}

void
direct_forget(struct lsmkv *db)
{
    const struct generation *active = db->active;

    for (size_t i = 0; i < active->blob_count; i++)
        blob_appender_forget(atomic_load(&active->appenders[i]));
}

/* ---- writing ---- */

/* The file's size, for whom it concerns. */
static void
measure(struct lsmkv *db, struct generation_blob *blob,
        const struct blob_appender *appender)
{
    uint64_t size = blob_appender_size(appender);

    if (size == blob->size)
        return;
    if (size > blob->size) {
        atomic_fetch_add(&db->counters.blob_bytes_written, size - blob->size);
        atomic_fetch_add(&db->counters.direct_bytes_written, size - blob->size);
    }
    blob->size = size;
    blob_files_set_size(db->blobs, blob->number, size);
}

void
direct_undo(struct lsmkv *db)
{
    const struct generation *active = db->active;

    for (size_t i = 0; i < active->blob_count; i++) {
        struct blob_appender *appender = atomic_load(&active->appenders[i]);
        int result = blob_appender_undo(appender);

        if (result != 0)
            (void)poison(db, result);
        measure(db, &active->blobs[i], appender);
    }
}

int
direct_write(struct lsmkv *db)
{
    const struct generation *active = db->active;
    int result = 0;

    for (size_t i = 0; i < active->blob_count; i++) {
        struct blob_appender *appender = atomic_load(&active->appenders[i]);

        if (result != 0) {
            blob_appender_forget(appender);
            continue;
        }
        result = blob_appender_write(appender);
        if (result != 0 && blob_appender_is_broken(appender))
            (void)poison(db, result);
        measure(db, &active->blobs[i], appender);
    }
    if (result != 0)
        direct_undo(db);
    return result;
}

/* ---- syncing ---- */

int
direct_sync(void *store)
{
    struct lsmkv *db = store;
    const struct generation *active = db->active;
    struct blob_appender *appender;
    int result = 0;

    /* Beside the writer: a file that comes now holds nothing that is to be synced now. */
    for (size_t i = 0; i < GENERATION_BLOBS_MAX && result == 0; i++) {
        appender = atomic_load(&active->appenders[i]);
        if (appender == NULL)
            break;
        result = blob_appender_sync(appender);
    }
    return result;
}

void
direct_finish(struct generation *generation)
{
    for (size_t i = 0; i < generation->blob_count; i++)
        blob_appender_close(atomic_exchange(&generation->appenders[i], NULL));
}
