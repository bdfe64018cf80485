/*
 * recover.c - from logs back to memtables.
 *
 * Each log becomes a generation of its own, frozen, to be flushed in the background as if
 * the store had never stopped; nothing is flushed while opening.  What is a torn tail and
 * what is damage is decided by the log layer (wal_recover); here its frames are applied,
 * and what they refer to is looked at (direct.h):
 *
 *     frames up to the newest log's last `synced`     the blob file must be there, so long
 *     frames behind that                              each record is verified (invariant 14)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "db/db.h"
#include "db/salvage.h"
#include "table/blob.h"

/* An entry of the newest log that refers to a blob file. */
struct logged_ref {
    uint64_t frame; /* its offset */
    struct blob_ref ref;
    size_t key_size; /* internal */
};

struct replayed {
    uint64_t last_sequence;
    uint64_t entries, skipped;
};

struct replay {
    struct lsmkv *db;
    bool was_closed; /* cleanly: all is durable */
    struct generation *generation;
    uint64_t log_number;
    struct replayed done, before; /* the log at hand */
    /* Of the log at hand. */
    struct logged_ref *refs;
    size_t ref_count;
    struct keybuf room; /* for a record */
};

static void
replay_fini(struct replay *replay)
{
    generation_unref(replay->generation);
    free(replay->refs);
    keybuf_fini(&replay->room);
}

/* A log that was not ended is begun again. */
static int
begin_log(void *context, uint64_t number)
{
    struct replay *replay = context;
    struct lsmkv *db = replay->db;
    int result;

    if (replay->generation != NULL)
        replay->done = replay->before;
    generation_unref(replay->generation);
    replay->generation = NULL;
    replay->before = replay->done;
    replay->ref_count = 0;
    replay->log_number = number;
    mutex_lock(&db->mutex);
    result = generation_new(db, number, &replay->generation);
    mutex_unlock(&db->mutex);
    /* A store that is only read keeps them as they are. */
    for (size_t i = 0;
         result == 0 && !db->options.read_only && i < replay->generation->count; i++)
        memtable_forgo_filter(replay->generation->slots[i].memtable);
    return result;
}

/* Where the next record of a file begins. */
static uint64_t
end_of(const struct generation *generation, uint64_t number)
{
    for (size_t i = 0; i < generation->blob_count; i++)
        if (generation->blobs[i].number == number)
            return generation->blobs[i].size;
    return BLOB_HEADER_SIZE;
}

/* Frames come in the order of the records that they refer to (L2 of direct.h), so a log
 * made on purpose has no more to be read and written again than the files have. */
static int
note_ref(struct replay *replay, const struct batch_entry *entry, uint64_t frame)
{
    const size_t key_size = entry->key.size + KEY_TRAILER_SIZE;
    struct logged_ref *noted;
    struct blob_ref ref;
    int result = blob_ref_decode(entry->record.value, &ref);

    if (result != 0)
        return result; /* batch_next has decoded it: cannot be */
    if (ref.offset !=
        end_of(replay->generation, ref.file) + blob_front_size(key_size, &ref))
        return report_error(
            &replay->db->reporter, -EUCLEAN,
            "%06llu.log: offset %llu: refers to %06llu.blob, offset %llu, "
            "which does not follow the value before",
            (unsigned long long)replay->log_number, (unsigned long long)frame,
            (unsigned long long)ref.file, (unsigned long long)ref.offset);
    noted = array_grown(replay->refs, replay->ref_count, sizeof(*noted));
    if (noted == NULL)
        return -ENOMEM;
    replay->refs = noted;
    noted[replay->ref_count++] = (struct logged_ref){frame, ref, key_size};
    result = generation_refer(replay->generation, entry->keyspace, ref.file,
                              ref.offset + blob_stored_size(&ref));
    if (result == -EUCLEAN)
        return report_error(
            &replay->db->reporter, -EUCLEAN,
            "%06llu.log: offset %llu: refers to %06llu.blob, one file more "
            "than the %u that are written beside a log",
            (unsigned long long)replay->log_number, (unsigned long long)frame,
            (unsigned long long)ref.file, GENERATION_BLOBS_MAX);
    return result;
}

/* Entries of a keyspace that was dropped meanwhile are passed over; one that never was is
 * damage. */
static int
apply_entry(struct replay *replay, const struct batch_entry *entry, uint64_t offset)
{
    struct memtable *memtable = generation_memtable(replay->generation, entry->keyspace);

    if (memtable != NULL) {
        int result = kind_is_apart(entry->kind) ? note_ref(replay, entry, offset) : 0;

        replay->done.entries++;
        return result != 0 ? result
                           : memtable_add(memtable, entry->key, entry->sequence,
                                          entry->kind, &entry->record);
    }
    if (entry->keyspace >= replay->db->next_keyspace)
        return report_error(
            &replay->db->reporter, -EUCLEAN,
            "%06llu.log: offset %llu: an entry names keyspace %u, which never "
            "was",
            (unsigned long long)replay->log_number, (unsigned long long)offset,
            entry->keyspace);
    replay->done.skipped++;
    return 0;
}

static int
replay_frame(void *context, const struct wal_frame *frame)
{
    struct replay *replay = context;
    struct lsmkv *db = replay->db;
    struct batch_reader reader;
    struct batch_entry entry;
    int result;

    if (frame->first_sequence <= replay->done.last_sequence)
        return report_error(&db->reporter, -EUCLEAN,
                            "%06llu.log: offset %llu: sequence %llu comes after %llu",
                            (unsigned long long)replay->log_number,
                            (unsigned long long)frame->offset,
                            (unsigned long long)frame->first_sequence,
                            (unsigned long long)replay->done.last_sequence);
    if (frame->first_sequence > SEQUENCE_LIMIT)
        return report_error(
            &db->reporter, -EUCLEAN,
            "%06llu.log: offset %llu: sequence %llu, which no store comes to",
            (unsigned long long)replay->log_number, (unsigned long long)frame->offset,
            (unsigned long long)frame->first_sequence);
    result = batch_read(&reader, frame->entries, frame->first_sequence);
    while (result == 0 && (result = batch_next(&reader, &entry)) == 1) {
        replay->done.last_sequence = entry.sequence;
        result = apply_entry(replay, &entry, frame->offset);
    }
    return result;
}

/* What was durable must be there: all that the log refers to, but for what settle has
 * cut. */
static int
measure_blob(struct replay *replay, const struct generation_blob *blob)
{
    struct lsmkv *db = replay->db;
    uint64_t size;
    int result = blob_length(&db->tables, blob->number, &size);

    if (result == -ENOENT)
        return report_error(&db->reporter, -EUCLEAN,
                            "%06llu.blob: offset 0: the file is missing, and %06llu.log "
                            "needs it",
                            (unsigned long long)blob->number,
                            (unsigned long long)replay->log_number);
    if (result != 0)
        return result;
    if (size < blob->size || (replay->was_closed && size > blob->size))
        return report_error(&db->reporter, -EUCLEAN,
                            "%06llu.blob: offset %llu: the file ends here, expected %llu "
                            "bytes, to which %06llu.log refers",
                            (unsigned long long)blob->number, (unsigned long long)size,
                            (unsigned long long)blob->size,
                            (unsigned long long)replay->log_number);
    blob_files_set_size(db->blobs, blob->number, blob->size);
    return 0;
}

static int
measure_blobs(struct replay *replay)
{
    const struct generation *generation = replay->generation;
    int result = 0;

    for (size_t i = 0; i < generation->blob_count && result == 0; i++)
        result = measure_blob(replay, &generation->blobs[i]);
    return result;
}

static int
end_log(void *context, uint64_t number, uint64_t end)
{
    struct replay *replay = context;
    struct lsmkv *db = replay->db;
    int result = measure_blobs(replay);

    (void)number;
    (void)end;
    if (result != 0)
        return result;
    mutex_lock(&db->mutex);
    if (db->oldest == NULL)
        db->oldest = replay->generation;
    else
        db->active->newer = replay->generation;
    db->active = replay->generation;
    db->frozen++;
    mutex_unlock(&db->mutex);
    replay->generation = NULL;
    return 0;
}

static int
settle(void *context, uint64_t synced, uint64_t *end)
{
    struct replay *replay = context;
    struct lsmkv *db = replay->db;

    for (size_t i = 0; i < replay->ref_count && !replay->was_closed; i++) {
        const struct logged_ref *noted = &replay->refs[i];
        int there;

        if (noted->frame < synced)
            continue;
        there = blob_probe(db->blobs, &noted->ref, noted->key_size, &replay->room);
        if (there < 0)
            return there;
        if (there > 0)
            continue;
        report_warning(
            &db->reporter,
            "%06llu.log: offset %llu: refers to %06llu.blob, offset %llu, "
            "where its value is not, never acknowledged as durable; the log "
            "ends there",
            (unsigned long long)replay->log_number, (unsigned long long)noted->frame,
            (unsigned long long)noted->ref.file, (unsigned long long)noted->ref.offset);
        *end = noted->frame;
        return 1;
    }
    return 0;
}

/* Where the first record begins that the newest log refers to from `synced` on. */
static uint64_t
unsynced_from(const struct replay *replay, const struct generation_blob *blob,
              uint64_t synced)
{
    for (size_t i = 0; i < replay->ref_count; i++) {
        const struct logged_ref *noted = &replay->refs[i];
        uint64_t before = blob_front_size(noted->key_size, &noted->ref);

        if (noted->frame < synced || noted->ref.file != blob->number)
            continue;
        return noted->ref.offset > BLOB_HEADER_SIZE + before ? noted->ref.offset - before
                                                             : 0;
    }
    return blob->size;
}

/* As V4 of log/recovery.c has it for the log, for the files beside it (invariant 14). */
static int
mend(void *context, uint64_t synced)
{
    struct replay *replay = context;
    struct lsmkv *db = replay->db;
    bool any = false;
    int result = 0;

    for (const struct generation *g = db->oldest; g != NULL; g = g->newer)
        for (size_t i = 0; i < g->blob_count && result == 0; i++) {
            const struct generation_blob *blob = &g->blobs[i];
            uint64_t from = g->log_number == replay->log_number
                                ? unsynced_from(replay, blob, synced)
                                : blob->size;

            result = blob_mend(&db->tables, blob->number, from, blob->size);
            any = true;
        }
    return result == 0 && any ? env_dir_sync(db->dir) : result;
}

static const char *
stop_text(enum wal_stop stop)
{
    switch (stop) {
    case WAL_CLEAN_END:
        return "clean end";
    case WAL_ZERO_TAIL:
        return "zero tail";
    case WAL_TORN:
        return "torn frame";
    case WAL_DAMAGED:
        return "damage";
    }
    return "?";
}

static int
describe(struct lsmkv *db, const struct replay *replay,
         const struct wal_recovery *recovery, bool was_closed)
{
    const bool was_stopped = !was_closed && recovery->logs > 0;
    int size =
        asprintf(&db->recovery_text,
                 "%s; %llu logs, %llu frames, %llu entries (%llu of dropped keyspaces) "
                 "replayed; newest log ended with: %s at offset %llu, %llu bytes cut",
                 was_closed    ? "clean close"
                 : was_stopped ? "unclean stop"
                               : "no log",
                 (unsigned long long)recovery->logs, (unsigned long long)recovery->frames,
                 (unsigned long long)replay->done.entries,
                 (unsigned long long)replay->done.skipped, stop_text(recovery->stop),
                 (unsigned long long)recovery->stop_offset,
                 (unsigned long long)recovery->cut_bytes);

    db->was_stopped = was_stopped;
    if (size < 0) {
        db->recovery_text = NULL;
        return -ENOMEM;
    }
    if (was_stopped)
        report_warning(&db->reporter, "recovery: %s", db->recovery_text);
    else
        report_info(&db->reporter, "recovery: %s", db->recovery_text);
    return 0;
}

/* A store that was closed cleanly must be as it was left: anything shorter lost
 * something. */
static int
hold_against_mark(struct lsmkv *db, const struct closed_mark *closed,
                  const struct wal_recovery *recovery)
{
    if (closed->log_number == recovery->last.number &&
        closed->log_end == recovery->last.end)
        return 0;
    return report_error(
        &db->reporter, -EUCLEAN,
        "%06llu.log: offset %llu: the store was closed with its log ending "
        "there, but the last one found is %06llu.log, ending at %llu",
        (unsigned long long)closed->log_number, (unsigned long long)closed->log_end,
        (unsigned long long)recovery->last.number,
        (unsigned long long)recovery->last.end);
}

/* The manifest names a log as the oldest live one only after it was made durably. */
static int
check_oldest(struct lsmkv *db, uint64_t oldest_log, const uint64_t *logs, size_t count)
{
    if (oldest_log == 0 || (count > 0 && logs[0] == oldest_log))
        return 0;
    return report_error(
        &db->reporter, -EUCLEAN,
        "%06llu.log: offset 0: the file is missing, and MANIFEST needs it",
        (unsigned long long)oldest_log);
}

/* ---- salvaging ---- */

/* Nothing that was replayed before damage was met counts: all of it is read again. */
static void
forget_generations(struct lsmkv *db)
{
    mutex_lock(&db->mutex);
    while (db->oldest != NULL) {
        struct generation *generation = db->oldest;

        db->oldest = generation->newer;
        generation_unref(generation);
    }
    db->active = NULL;
    db->frozen = 0;
    mutex_unlock(&db->mutex);
}

static int
salvage_frame(void *context, const struct wal_frame *frame)
{
    struct replay *replay = context;
    struct batch_reader reader;
    struct batch_entry entry;
    int result;

    if (frame->first_sequence > SEQUENCE_LIMIT)
        return 0; /* made on purpose */
    result = batch_read(&reader, frame->entries, frame->first_sequence);
    while (result == 0 && (result = batch_next(&reader, &entry)) == 1) {
        struct memtable *memtable =
            generation_memtable(replay->generation, entry.keyspace);

        if (entry.sequence > replay->done.last_sequence)
            replay->done.last_sequence = entry.sequence;
        result = memtable == NULL ? 0
                                  : memtable_add(memtable, entry.key, entry.sequence,
                                                 entry.kind, &entry.record);
    }
    return result;
}

static void
salvage_gap(void *context, uint64_t from, uint64_t to)
{
    struct replay *replay = context;
    const struct table_context *tables = &replay->db->tables;
    char name[WAL_NAME_SIZE];
    struct table_loss loss = {.file = name,
                              .offset = from,
                              .size = to - from,
                              .keyspace = KEYSPACE_UNKNOWN,
                              .sequence = SEQUENCE_MAX};

    (void)report_error(&replay->db->reporter, -EBADMSG,
                       "%06llu.log: offset %llu: %llu bytes that hold no good frame",
                       (unsigned long long)replay->log_number, (unsigned long long)from,
                       (unsigned long long)(to - from));
    wal_name(name, replay->log_number);
    if (tables->lost != NULL)
        tables->lost(tables->lost_context, &loss);
}

int
salvage_each_log(struct lsmkv *db, const uint64_t *logs, size_t count,
                 const struct closed_mark *closed, struct reporter *reporter,
                 int (*begin)(void *context, uint64_t number),
                 int (*end)(void *context, uint64_t number, uint64_t size),
                 struct wal_salvage *ops)
{
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        uint64_t limit, durable = i + 1 < count ? WAL_DURABLE_UNKNOWN : 0;

        result = wal_named_end(db->dir, logs[i], logs + i + 1, count - i - 1, &limit);
        if (result < 0)
            return result;
        if (limit != UINT64_MAX)
            durable = limit;
        else if (closed != NULL && closed->log_number == logs[i])
            durable = closed->log_end;
        result = begin == NULL ? 0 : begin(ops->context, logs[i]);
        if (result == 0)
            result = wal_salvage(db->dir, logs[i], limit, durable, reporter, ops);
        if (result == -ENOMEM)
            return result;
        result = end == NULL ? 0 : end(ops->context, logs[i], 0);
    }
    return result;
}

static void
tell_unless_there(const struct lsmkv *db, const uint64_t *logs, size_t count,
                  uint64_t number)
{
    char name[WAL_NAME_SIZE];
    struct table_loss loss = {
        .file = name, .keyspace = KEYSPACE_UNKNOWN, .sequence = SEQUENCE_MAX};

    for (size_t i = 0; i < count; i++)
        if (logs[i] == number)
            return;
    wal_name(name, number);
    if (db->tables.lost != NULL)
        db->tables.lost(db->tables.lost_context, &loss);
}

/* Logs that are needed and not there, as others tell; why they are needed was reported.
 * Without MANIFEST, one that a newer one names has been flushed, as a rule. */
static int
tell_missing_logs(const struct lsmkv *db, uint64_t oldest_log, const uint64_t *logs,
                  size_t count, const struct closed_mark *closed)
{
    struct wal_previous previous;
    int result = 0;

    if (closed != NULL && closed->log_number != oldest_log)
        tell_unless_there(db, logs, count, closed->log_number);
    if (db->is_rebuilt || oldest_log == 0)
        return 0;
    tell_unless_there(db, logs, count, oldest_log);
    for (size_t i = 0; i < count && result >= 0; i++) {
        result = wal_first_frame(db->dir, logs[i], &previous);
        if (result > 0 && previous.number > oldest_log)
            tell_unless_there(db, logs, count, previous.number);
    }
    return result < 0 ? result : 0;
}

/* Everything that the logs still have, each a generation of its own. */
static int
salvage_logs(struct replay *replay, uint64_t oldest_log, const uint64_t *logs,
             size_t count, const struct closed_mark *closed)
{
    struct wal_salvage ops = {salvage_frame, salvage_gap, replay};
    int result = tell_missing_logs(replay->db, oldest_log, logs, count, closed);

    if (result < 0)
        return result;
    generation_unref(replay->generation);
    replay->generation = NULL; /* what it refers to is found as it is read */
    forget_generations(replay->db);
    return salvage_each_log(replay->db, logs, count, closed, &replay->db->reporter,
                            begin_log, end_log, &ops);
}

/* ---- all of it ---- */

int
recover_logs(struct lsmkv *db, uint64_t oldest_log, const struct closed_mark *closed,
             struct wal_previous *last)
{
    static const struct wal_recovery_ops ops = {begin_log, replay_frame, end_log, settle,
                                                mend};
    struct replay replay = {.db = db, .was_closed = closed != NULL};
    struct wal_recovery recovery = {0};
    uint64_t *logs = NULL, highest;
    bool salvaged = false;
    size_t count;
    int result = files_scan(db, oldest_log, &logs, &count, &highest);

    if (result != 0)
        return result;
    if (highest > FILE_NUMBER_MAX) {
        free(logs);
        return report_error(&db->reporter, -EUCLEAN,
                            "a file is named by the number %llu, which no store comes to",
                            (unsigned long long)highest);
    }
    if (atomic_load(&db->next_file) <= highest)
        atomic_store(&db->next_file, highest + 1);
    if (db->is_rebuilt)
        result = -EUCLEAN; /* there is nothing to hold the logs against */
    else
        result = check_oldest(db, oldest_log, logs, count);
    /* After a clean close all is synced: nothing to mend, and what differs is
     * evidence. */
    if (result == 0)
        result = wal_recover(db->dir, logs, count, oldest_log,
                             db->options.read_only || closed != NULL, &db->reporter, &ops,
                             &replay, &recovery);
    if (result == 0 && closed != NULL)
        result = hold_against_mark(db, closed, &recovery);
    if (result != 0 && result != -ENOMEM && db->options.salvage) {
        result = salvage_logs(&replay, oldest_log, logs, count, closed);
        salvaged = true;
    }
    replay_fini(&replay);
    free(logs);
    if (result == 0 && !salvaged)
        result = describe(db, &replay, &recovery, closed != NULL);
    if (result != 0)
        return result;
    if (replay.done.last_sequence > db->last_sequence)
        db->last_sequence = replay.done.last_sequence;
    db->next_sequence = db->last_sequence + 1;
    *last = recovery.last;
    return 0;
}
