/*
 * sync.c - making the log durable while others write to it.
 *
 * Who wants a sync joins a queue of its own, beside that of the writers.  The one at its
 * head has *the sync's turn*: it syncs, without the writer's turn unless it had that
 * anyway, so that writes that ask for no sync go on meanwhile.  At the end it tells
 * everybody whose writes were in the log when the sync began, one word for each, and
 * whoever stands behind them syncs next: for all who came in the meantime.
 *
 *     logged    ....1..2..3...4..............    frames in the log, counted
 *     syncs             |-- 2 --|---- 4 ----|    the first serves 1 and 2, the second 3 and 4
 *     durable                   2           4
 *
 * S1  One sync at a time: of two at once the kernel tells one alone what failed (W4 of
 *     log/wal_writer.c).
 * S2  `durable` is raised after a sync, and no further than `logged` was before it.
 * S3  A failed sync fails all who waited for it, and poisons the store.
 * S4  A sync fails only if one did, or if the store was poisoned: never for want of space
 *     or room.
 * S5  The log is replaced by who has both turns, so either keeps it where it is.  Who has
 *     the sync's turn does not wait for the writer's.
 */
#include "db/db.h"

/* Wants the turn for itself: no sync is one for it. */
#define FOR_ITSELF UINT64_MAX

/* Returns with the turn, or done. */
static void
enqueue_and_wait(struct lsmkv *db, struct syncer *syncer) LSMKV_EXCLUDES(db->mutex)
{
    bool at_once;

    mutex_lock(&db->mutex);
    syncer->done = syncer->wanted <= atomic_load(&db->durable);
    at_once = syncer->done || db->syncers == NULL;
    if (!syncer->done) {
        if (db->syncers == NULL)
            db->syncers = syncer;
        else
            db->last_syncer->next = syncer;
        db->last_syncer = syncer;
    }
    mutex_unlock(&db->mutex);
    if (!at_once)
        semaphore_wait(&syncer->told);
}

/* Gives the turn on, and tells `result` to those behind who wanted no more than `served`:
 * some may stand behind who wants more, or the turn itself. */
static void
hand_over(struct lsmkv *db, uint64_t served, int result) LSMKV_EXCLUDES(db->mutex)
{
    struct syncer *done, **end = &done, *next, **link = &db->syncers;

    mutex_lock(&db->mutex);
    db->syncers = db->syncers->next;
    while (*link != NULL) {
        struct syncer *behind = *link;

        if (behind->wanted <= served) {
            *link = behind->next;
            *end = behind;
            end = &behind->next;
        } else {
            db->last_syncer = behind;
            link = &behind->next;
        }
    }
    *end = NULL;
    next = db->syncers;
    mutex_unlock(&db->mutex);
    if (next != NULL)
        semaphore_post(&next->told); /* first: its sync can go on meanwhile */
    while (done != NULL) {
        struct syncer *told = done;

        done = told->next;
        told->done = true;
        told->result = result;
        semaphore_post(&told->told); /* and it may be gone */
    }
}

uint64_t
bytes_logged(const struct lsmkv *db)
{
    return atomic_load(&db->counters.log_bytes_written) +
           atomic_load(&db->counters.direct_bytes_written);
}

/* The head's work, for itself and for all whose writes are in the log when it begins. */
static int
lead(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex)
{
    uint64_t logged = atomic_load(&db->logged), bytes = bytes_logged(db);
    int result;

    mutex_lock(&db->mutex);
    result = db->poison;
    mutex_unlock(&db->mutex);
    if (result == 0) {
        result = wal_sync(db->wal);
        if (result != 0)
            (void)poison(db, result); /* S3 */
        else
            atomic_fetch_add(&db->counters.log_syncs, 1);
    }
    if (result == 0) {
        atomic_store(&db->durable, logged); /* S2 */
        atomic_store(&db->durable_bytes, bytes);
    }
    hand_over(db, logged, result);
    return result;
}

int
sync_log(struct lsmkv *db)
{
    struct syncer syncer = {.wanted = atomic_load(&db->logged)};

    if (syncer.wanted <= atomic_load(&db->durable))
        return 0;
    semaphore_init(&syncer.told);
    enqueue_and_wait(db, &syncer);
    if (!syncer.done)
        syncer.result = lead(db);
    semaphore_fini(&syncer.told);
    return syncer.result;
}

void
syncer_begin(struct lsmkv *db, struct syncer *syncer)
{
    *syncer = (struct syncer){.wanted = FOR_ITSELF};
    semaphore_init(&syncer->told);
    enqueue_and_wait(db, syncer);
}

void
syncer_end(struct lsmkv *db, struct syncer *syncer)
{
    hand_over(db, atomic_load(&db->durable), 0);
    semaphore_fini(&syncer->told);
}
