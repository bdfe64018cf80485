/*
 * write.c - the life of a write: queue, log, sync, memtables, publish.
 *
 * Writers queue.  The one at the head has the turn: it takes a group of the batches
 * behind it, writes large values to blob files (direct.h), appends their frames to the
 * log with one write, syncs once if any of them asked for it, inserts the entries,
 * publishes the last sequence, gives the turn to the next in the queue and wakes the
 * others: one word for each, which it waits for without a lock.  Meanwhile the next group
 * forms behind it.  A sync without a write does not join this queue (sync.c).
 *
 * R1  A synced write returns 0 only after a sync covered its frame.
 * R2  Nothing of a failed write shows: entries reach the memtables only after the log
 *     took them, and memory for them is reserved before that.  Its sequences are burned.
 * R3  A failed sync poisons the store.  A failed append was undone by the log, or the
 *     blob file; if it could not be, that is broken and the store poisoned.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/record.h"
#include "db/direct.h"

#define GROUP_MAX       64u        /* batches in one group */
#define GROUP_BYTES_MAX (1u << 20) /* their bytes, unless the first alone is larger */
#define GROUP_SMALL_BYTES \
    (128u << 10) /* a small first write is not kept waiting by more */

#define LOOKS_AWAKE \
    300u /* of a writer whose turn comes next: some microseconds, as a write takes */

/* ---- the turn ---- */

static bool
is_short(const struct writer *writer)
{
    return writer->batch != NULL && !writer->sync;
}

/* Returns with the turn, or done by the one who had it. */
static void
enqueue_and_wait(struct lsmkv *db, struct writer *writer) LSMKV_EXCLUDES(db->mutex)
{
    bool at_once, soon;

    mutex_lock(&db->mutex);
    at_once = db->writers == NULL;
    soon = !at_once && db->writers == db->last_writer && is_short(db->writers) &&
           is_short(writer);
    if (at_once)
        db->writers = writer;
    else
        db->last_writer->next = writer;
    db->last_writer = writer;
    mutex_unlock(&db->mutex);
    if (!at_once)
        semaphore_wait_awake(&writer->told, soon ? LOOKS_AWAKE : 0);
}

/* Takes `count` writers off the queue's head; who is at the head then gets the turn, to
 * be told without the lock that it will want: NULL, nobody waits. */
static struct writer *
dequeue(struct lsmkv *db, size_t count) LSMKV_REQUIRES(db->mutex)
{
    for (; count > 0; count--)
        db->writers = db->writers->next;
    if (db->writers == NULL)
        db->last_writer = NULL;
    return db->writers;
}

static void
tell(struct writer *writer)
{
    if (writer != NULL)
        semaphore_post(&writer->told); /* and it may be gone */
}

void
writer_begin(struct lsmkv *db, struct writer *writer)
{
    memset(writer, 0, sizeof(*writer));
    semaphore_init(&writer->told);
    enqueue_and_wait(db, writer);
}

void
writer_end(struct lsmkv *db, struct writer *writer)
{
    struct writer *next;

    mutex_lock(&db->mutex);
    assert(db->writers == writer);
    next = dequeue(db, 1);
    mutex_unlock(&db->mutex);
    tell(next);
    semaphore_fini(&writer->told);
}

int
poison(struct lsmkv *db, int error)
{
    mutex_lock(&db->mutex);
    if (db->poison == 0) {
        db->poison = error;
        (void)report_error(&db->reporter, error,
                           "no more writes until the store is reopened");
    }
    condition_broadcast(&db->progress);
    mutex_unlock(&db->mutex);
    return error;
}

int
check_writable(struct lsmkv *db)
{
    int result;

    if (db->options.read_only)
        return error_detail(-EROFS, "the store was opened read-only");
    mutex_lock(&db->mutex);
    result = db->poison;
    mutex_unlock(&db->mutex);
    if (result != 0)
        return error_detail(result, "an earlier sync failed; reopen the store");
    return 0;
}

/* ---- a group ---- */

struct group {
    struct writer *writers[GROUP_MAX];
    struct wal_append frames[GROUP_MAX];
    int results[GROUP_MAX];
    bool direct[GROUP_MAX]; /* large values go to a blob file at once */
    size_t count;
    bool sync;
    uint64_t last_sequence;
    uint64_t entries;
};

static void
group_add(struct lsmkv *db, struct group *group, struct writer *writer)
{
    group->writers[group->count] = writer;
    group->direct[group->count] =
        !writer->sync && writer->batch->largest >= db->direct_least;
    group->sync = group->sync || writer->sync;
    group->frames[group->count].first_sequence = db->next_sequence;
    group->frames[group->count].entries = batch_slice(writer->batch);
    db->next_sequence += writer->batch->count; /* burned if the write fails (R2) */
    group->entries += writer->batch->count;
    group->count++;
}

/* The head's batch and those behind it, up to one that wants the turn for itself. */
static void
group_form(struct lsmkv *db, struct group *group) LSMKV_REQUIRES(db->mutex)
{
    struct writer *writer = db->writers;
    size_t bytes = 0, limit = GROUP_BYTES_MAX;

    memset(&group->sync, 0, sizeof(*group) - offsetof(struct group, sync));
    group->count = 0;
    if (writer->batch->size <= GROUP_SMALL_BYTES)
        limit = writer->batch->size + GROUP_SMALL_BYTES;
    while (writer != NULL && writer->batch != NULL && group->count < GROUP_MAX) {
        if (group->count > 0 && writer->batch->size > limit - bytes)
            break;
        bytes += writer->batch->size;
        group_add(db, group, writer);
        if (bytes >= limit)
            break;
        writer = writer->next;
    }
    group->last_sequence = db->next_sequence - 1;
}

/* Counts what a frame will take of each memtable; refuses a keyspace that is not
 * there. */
static int
count_needs(struct lsmkv *db, const struct wal_append *frame)
{
    struct batch_reader reader;
    struct batch_entry entry;
    int result = batch_read(&reader, frame->entries, frame->first_sequence);

    if (result != 0)
        return result;
    while ((result = batch_next(&reader, &entry)) == 1) {
        struct generation_slot *slot = generation_slot(db->active, entry.keyspace);

        if (slot == NULL)
            return error_detail(-EINVAL,
                                "a batch names keyspace %u, which does not exist",
                                entry.keyspace);
        slot->need_count++;
        slot->need_bytes += entry.key.size + KEY_TRAILER_SIZE +
                            record_payload_size(entry.kind, &entry.record);
    }
    return result;
}

/* Makes room in the active memtables for all entries, so that inserting cannot fail.  A
 * frame that is refused is emptied, with its reason in `results`; the others go on. */
static int
reserve(struct lsmkv *db, struct wal_append *frames, int *results, size_t count)
{
    struct generation *active = db->active;
    int result = 0;

    for (size_t i = 0; i < active->count; i++)
        active->slots[i].need_bytes = active->slots[i].need_count = 0;
    for (size_t i = 0; i < count; i++) {
        results[i] = frames[i].entries.size > 0 ? count_needs(db, &frames[i]) : 0;
        if (results[i] != 0)
            frames[i].entries.size = 0;
    }
    for (size_t i = 0; i < active->count && result == 0; i++)
        if (active->slots[i].need_count > 0)
            result =
                memtable_reserve(active->slots[i].memtable, active->slots[i].need_bytes,
                                 active->slots[i].need_count);
    return result;
}

static int
insert(struct lsmkv *db, const struct wal_append *frame)
{
    struct batch_reader reader;
    struct batch_entry entry;
    int result = batch_read(&reader, frame->entries, frame->first_sequence);

    while (result == 0 && (result = batch_next(&reader, &entry)) == 1)
        result = memtable_add(generation_memtable(db->active, entry.keyspace), entry.key,
                              entry.sequence, entry.kind, &entry.record);
    return result;
}

/* What frames refer to, then the frames: all, or nothing. */
static int
log_frames(struct lsmkv *db, const struct wal_append *frames, size_t count)
{
    uint64_t before = wal_end(db->wal);
    int result = direct_write(db);

    if (result != 0 || count == 0)
        return result;
    result = wal_append(db->wal, frames, count);
    if (result != 0) {
        if (wal_is_broken(db->wal))
            return poison(db, result);
        direct_undo(db);
        return result;
    }
    atomic_fetch_add(&db->counters.log_bytes_written, wal_end(db->wal) - before);
    atomic_fetch_add(&db->logged, 1);
    return 0;
}

/* All of a group but its queueing.  Of the frames with `direct`, `placed` gets the
 * entries that are logged.  `results` gets each frame's own outcome, if the whole went
 * well. */
static int
commit_placed(struct lsmkv *db, struct wal_append *frames, const bool *direct,
              struct lsmkv_batch *placed, int *results, size_t count, bool sync)
{
    size_t kept = 0;
    int result = direct_place(db, frames, direct, count, placed);

    if (result == 0)
        result = reserve(db, frames, results, count);
    if (result != 0) {
        direct_forget(db);
        return result;
    }
    for (size_t i = 0; i < count; i++)
        if (frames[i].entries.size > 0)
            frames[kept++] = frames[i];
    result = log_frames(db, frames, kept);
    if (result == 0 && sync)
        result = sync_log(db);
    if (result != 0)
        return result;
    for (size_t i = 0; i < kept && result == 0; i++)
        result = insert(db, &frames[i]);
    /* Reserved and read once already: a failure means that memory and log differ. */
    return result == 0 ? 0 : poison(db, result);
}

static int
commit(struct lsmkv *db, struct wal_append *frames, const bool *direct, int *results,
       size_t count, bool sync)
{
    struct lsmkv_batch placed[GROUP_MAX];
    int result;

    for (size_t i = 0; i < count; i++)
        batch_init(&placed[i]);
    result = commit_placed(db, frames, direct, placed, results, count, sync);
    for (size_t i = 0; i < count; i++)
        batch_fini(&placed[i]);
    return result;
}

static void
count_writes(struct lsmkv *db, size_t writes, uint64_t entries)
{
    atomic_fetch_add(&db->counters.writes, writes);
    atomic_fetch_add(&db->counters.write_groups, 1);
    atomic_fetch_add(&db->counters.write_entries, entries);
}

/* Publishes a group that ended with `result`, and tells its writers; first the next one,
 * whose write and sync can go on meanwhile. */
static void
group_end(struct lsmkv *db, struct group *group, int result)
{
    struct writer *next;

    for (size_t i = 0; i < group->count; i++) {
        struct writer *writer = group->writers[i];

        writer->done = true;
        writer->result = result == 0 ? group->results[i] : result;
    }
    mutex_lock(&db->mutex);
    if (result == 0)
        db->last_sequence = group->last_sequence; /* D1 */
    next = dequeue(db, group->count);
    mutex_unlock(&db->mutex);
    tell(next);
    for (size_t i = 1; i < group->count; i++)
        tell(group->writers[i]);
}

/* The head's work for itself and its group. */
static void
lead(struct lsmkv *db)
{
    struct group group;
    int result = make_room(db);

    direct_begin(db);
    mutex_lock(&db->mutex);
    if (result == 0)
        result = db->poison;
    group_form(db, &group);
    mutex_unlock(&db->mutex);
    if (result == 0)
        result = commit(db, group.frames, group.direct, group.results, group.count,
                        group.sync);
    if (result == 0) {
        space_look(db);
        count_writes(db, group.count, group.entries);
    } else if (result == -ENOSPC) {
        space_note_full(db);
    }
    group_end(db, &group, result);
}

static int
queue_write(struct lsmkv *db, struct lsmkv_batch *batch, bool sync)
{
    struct writer writer = {.batch = batch, .sync = sync};

    semaphore_init(&writer.told);
    enqueue_and_wait(db, &writer);
    if (!writer.done)
        lead(db);
    semaphore_fini(&writer.told);
    return writer.result;
}

int
write_in_turn(struct lsmkv *db, struct lsmkv_batch *batch, unsigned flags)
{
    const bool sync = (flags & LSMKV_UNSYNCED) == 0;
    struct wal_append frame;
    int result = make_room(db), refused;
    bool direct;

    if (result != 0)
        return result;
    direct_begin(db);
    direct = !sync && batch->largest >= db->direct_least;
    batch_set_time(batch, db->env->now(db->env));
    frame.first_sequence = db->next_sequence;
    frame.entries = batch->count > 0 ? batch_slice(batch) : lsmkv_bytes(NULL, 0);
    db->next_sequence += batch->count;
    result = commit(db, &frame, &direct, &refused, 1, sync);
    if (result == 0)
        result = refused;
    if (result != 0)
        return result;
    count_writes(db, 1, batch->count);
    mutex_lock(&db->mutex);
    db->last_sequence = db->next_sequence - 1; /* D1 */
    mutex_unlock(&db->mutex);
    return 0;
}

/* ---- the public functions ---- */

int
lsmkv_write(struct lsmkv *db, struct lsmkv_batch *batch, unsigned flags)
{
    int result;

    error_clear();
    result = check_writable(db);
    if (result == 0)
        result = space_check(db, batch);
    if (result != 0)
        return result;
    if (batch->count == 0)
        return (flags & LSMKV_UNSYNCED) != 0 ? 0 : sync_log(db);
    batch_set_time(batch, db->env->now(db->env));
    result = queue_write(db, batch, (flags & LSMKV_UNSYNCED) == 0);
    if (result == 0)
        reclaim_note_deletes(db, batch->tombstones);
    return result;
}

int
lsmkv_sync(struct lsmkv *db)
{
    int result;

    error_clear();
    if (db->options.read_only)
        return 0;
    result = check_writable(db);
    return result == 0 ? sync_log(db) : result;
}

int
lsmkv_put(struct lsmkv *db, struct lsmkv_keyspace *keyspace, struct lsmkv_slice key,
          struct lsmkv_slice attributes, struct lsmkv_slice value, unsigned flags)
{
    struct lsmkv_batch batch;
    int result;

    error_clear();
    batch_init(&batch);
    result = lsmkv_batch_put(&batch, keyspace, key, attributes, value);
    if (result == 0)
        result = lsmkv_write(db, &batch, flags);
    batch_fini(&batch);
    return result;
}

int
lsmkv_delete(struct lsmkv *db, struct lsmkv_keyspace *keyspace, struct lsmkv_slice key,
             unsigned flags)
{
    struct lsmkv_batch batch;
    int result;

    error_clear();
    batch_init(&batch);
    result = lsmkv_batch_delete(&batch, keyspace, key);
    if (result == 0)
        result = lsmkv_write(db, &batch, flags);
    batch_fini(&batch);
    return result;
}
