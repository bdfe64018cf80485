/*
 * room.c - room to write: freezing a full generation, slowing and stopping writers, and
 * free space on the disk.
 *
 * A generation is full when its memtables and the blob files beside its log hold
 * write_buffer_size bytes.  Writers are delayed a little each when level 0 has many
 * tables, and stop when it has too many or when FROZEN_MAX generations wait for the
 * flush.  A background error lets them go with that error instead of keeping them waiting
 * for space that may never come.
 */
#include <errno.h>
#include <string.h>

#include "db/collect.h"
#include "db/direct.h"

#define SLOWDOWN_NS UINT64_C(1000000)
#define SPACE_LOOK_BYTES \
    (UINT64_C(1) << 20) /* or an eighth of the reserve, if that is less */
/* A batch with a delete may put this many bytes although space is short: removing a file
 * puts a record or two. */
#define SMALL_PUTS_BYTES 8192u

/* All that needs memory: once there is a new log, which names the old one's end, nothing
 * may fail.  Views that a manifest line is waited for with must have room for one more
 * generation. */
static int
prepare_rotation(struct lsmkv *db, uint64_t number, struct generation **generation,
                 struct view_set *views)
{
    int result;

    mutex_lock(&db->mutex);
    while (db->view_room != 0 && db->frozen + 2 > db->view_room)
        condition_wait(&db->progress, &db->mutex);
    result = generation_new(db, number, generation);
    if (result == 0) {
        result = view_set_reserve(db, db->frozen + 2, views);
        if (result != 0)
            generation_unref(*generation);
    }
    mutex_unlock(&db->mutex);
    return result;
}

/* The new log, and the new memtables; in both turns. */
static void
exchange(struct lsmkv *db, struct wal_writer *wal, struct generation *generation,
         struct view_set *views)
{
    (void)wal_close(db->wal); /* wholly synced */
    direct_finish(db->active);
    wal_set_ahead(wal, direct_sync, db);
    db->wal = wal;
    atomic_store(&db->durable, atomic_load(&db->logged));
    atomic_store(&db->durable_bytes, bytes_logged(db));
    atomic_fetch_add(&db->counters.log_syncs, 1);
    mutex_lock(&db->mutex);
    db->active->newer = generation;
    db->active = generation;
    db->frozen++;
    view_set_install_all(db, views);
    condition_broadcast(&db->work);
    mutex_unlock(&db->mutex);
}

int
rotate(struct lsmkv *db)
{
    struct wal_writer *wal;
    struct generation *generation;
    struct view_set views;
    struct syncer turn;
    uint64_t number = file_number_take(db);
    int result = prepare_rotation(db, number, &generation, &views);

    if (result != 0)
        return result;
    syncer_begin(db, &turn); /* a sync that runs may be using the log */
    result = wal_rotate(db->dir, number, db->wal, &wal); /* invariant 4 */
    if (result == 0) {
        exchange(db, wal, generation, &views);
    } else {
        generation_unref(generation);
        view_set_fini(&views);
        if (wal_is_broken(db->wal))
            (void)poison(db, result);
    }
    syncer_end(db, &turn);
    return result;
}

size_t
l0_count(struct lsmkv *db)
{
    size_t most = 0;

    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        if (ks->view->version->levels[0].count > most)
            most = ks->view->version->levels[0].count;
    return most;
}

/* The error, if it lasts. */
static int
told(int error, unsigned failures, bool lasts)
{
    return failures >= FAILURES_TOLD && lasts && error != 0 ? error : -EAGAIN;
}

/* Why a writer must wait: 0, or the error of whom it waits for, or -EAGAIN if that is
 * still at work. */
static int
must_wait(struct lsmkv *db) LSMKV_REQUIRES(db->mutex)
{
    if (db->frozen >= FROZEN_MAX)
        return told(db->flush_error, db->flush_failures, !db->compacting);
    if (l0_count(db) >= db->options.l0_stop_trigger && !db->reclaim.wants_turn)
        return told(db->compaction_error, db->compaction_failures, true);
    return 0;
}

/* Waits until the background threads have made room, or cannot. */
static int
wait_for_background(struct lsmkv *db) LSMKV_REQUIRES(db->mutex)
{
    int result = must_wait(db);

    if (result != 0)
        atomic_fetch_add(&db->counters.stall_stops, 1);
    while (result == -EAGAIN && db->poison == 0) {
        condition_broadcast(&db->work);
        condition_wait(&db->progress, &db->mutex);
        result = must_wait(db);
    }
    return db->poison != 0 ? db->poison : result;
}

int
make_room(struct lsmkv *db)
{
    bool full, slow;
    int result;

    mutex_lock(&db->mutex);
    result = db->poison;
    full = generation_memory(db->active) + generation_blob_bytes(db->active) >=
           db->options.write_buffer_size; /* L4 of direct.h */
    slow = l0_count(db) >= db->options.l0_slowdown_trigger;
    if (result == 0 && full)
        result = wait_for_background(db);
    mutex_unlock(&db->mutex);
    if (result == 0 && slow) {
        atomic_fetch_add(&db->counters.stall_slowdowns, 1);
        db->env->sleep(db->env, SLOWDOWN_NS);
    }
    if (result == 0 && full)
        result = rotate(db);
    return result;
}

/* ---- space on the disk ---- */

static bool
space_is_low(struct lsmkv *db)
{
    uint64_t free_bytes, total_bytes;

    if (env_dir_space(db->dir, &free_bytes, &total_bytes) != 0)
        return false; /* unknown: the write itself will tell */
    return free_bytes < db->space_reserve;
}

bool
lsmkv_is_full(const struct lsmkv *db)
{
    return atomic_load_explicit(&db->space_low, memory_order_relaxed);
}

bool
space_presses(const struct lsmkv *db)
{
    return atomic_load(&db->reclaim.is_short) && lsmkv_is_full(db);
}

void
space_look(struct lsmkv *db)
{
    uint64_t written = atomic_load(&db->counters.log_bytes_written) +
                       atomic_load(&db->counters.direct_bytes_written);
    uint64_t interval = db->space_reserve / 8;

    if (interval > SPACE_LOOK_BYTES)
        interval = SPACE_LOOK_BYTES;
    if (written > 0 && written - db->space_checked_at < interval)
        return;
    db->space_checked_at = written;
    if (space_is_low(db))
        space_note_full(db);
    else
        atomic_store(&db->space_low, false);
}

void
space_note_full(struct lsmkv *db)
{
    reclaim_note_short(db);
    if (!atomic_exchange(&db->space_low, true))
        collect_look_again(db);
}

/* Whether the batch grows the store: more than small puts beside a delete. */
static bool
adds_data(const struct lsmkv_batch *batch)
{
    struct batch_reader reader;
    struct batch_entry entry;
    size_t bytes = 0;

    if (batch->count == 0 || batch_read(&reader, batch_slice(batch), 0) != 0)
        return false;
    while (batch_next(&reader, &entry) == 1) {
        if (kind_is_put(entry.kind))
            bytes +=
                entry.key.size + entry.record.attributes.size + entry.record.value.size;
    }
    return batch->tombstones > 0 ? bytes > SMALL_PUTS_BYTES : bytes > 0;
}

int
space_check(struct lsmkv *db, const struct lsmkv_batch *batch)
{
    if (!atomic_load(&db->space_low))
        return 0;
    files_delete_obsolete(db); /* what only readers kept */
    if (!space_is_low(db)) {
        atomic_store(&db->space_low, false);
        return 0;
    }
    if (batch != NULL && !adds_data(batch))
        return 0;
    return error_detail(-ENOSPC, "free space is below the reserve of %llu bytes",
                        (unsigned long long)db->space_reserve);
}
