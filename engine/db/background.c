/*
 * background.c - the two threads behind an open store: one flushes, one compacts.
 *
 * Both wait for work under mutex.  After a failure they wait a little and try again: the
 * error stands in flush_error or compaction_error meanwhile, so that writers are told
 * instead of waiting for ever; nothing is poisoned, what was written is deleted and
 * written again (invariant 1).
 */
#include <stdlib.h>

#include "db/db.h"

#define RETRY_NS     UINT64_C(50000000)
#define RETRY_ROUNDS 20 /* of RETRY_NS, so that closing is noticed soon */

static void
wait_before_retry(struct lsmkv *db)
{
    for (int i = 0; i < RETRY_ROUNDS && !atomic_load(&db->closing); i++)
        db->env->sleep(db->env, RETRY_NS);
}

/* A poisoned store takes no manifest line, so there is nothing to do in the
 * background. */
static bool
may_work(struct lsmkv *db) LSMKV_REQUIRES(db->mutex)
{
    return db->poison == 0;
}

static void
flush_thread(void *argument)
{
    struct lsmkv *db = argument;

    for (;;) {
        mutex_lock(&db->mutex);
        while (!atomic_load(&db->closing) && !(may_work(db) && db->frozen > 0))
            condition_wait(&db->work, &db->mutex);
        mutex_unlock(&db->mutex);
        if (atomic_load(&db->closing))
            return;
        if (flush_oldest(db) != 0)
            wait_before_retry(db);
    }
}

/* Waits for something to merge; false: the store closes. */
static bool
await_merge(struct lsmkv *db, bool *reclaims)
{
    mutex_lock(&db->mutex);
    for (;;) {
        bool may = may_work(db);

        *reclaims = may && reclaim_due(db) && !compaction_presses(db);
        if (atomic_load(&db->closing) || *reclaims || (may && compaction_due(db)))
            break;
        if (may && reclaim_rests(db)) {
            mutex_unlock(&db->mutex);
            db->env->sleep(db->env, RETRY_NS);
            reclaim_rested(db, 1);
            mutex_lock(&db->mutex);
        } else if (pool_keeps(&db->pool)) {
            mutex_unlock(&db->mutex);
            db->env->sleep(db->env, RETRY_NS);
            pool_rest(&db->pool, RETRY_ROUNDS);
            mutex_lock(&db->mutex);
        } else {
            condition_wait(&db->work, &db->mutex);
        }
    }
    mutex_unlock(&db->mutex);
    return !atomic_load(&db->closing);
}

static void
compaction_thread(void *argument)
{
    struct lsmkv *db = argument;
    bool reclaims;

    while (await_merge(db, &reclaims)) {
        if (reclaims) {
            reclaim_step(db);
        } else if (compact_once(db) != 0) {
            wait_before_retry(db);
            reclaim_rested(db, RETRY_ROUNDS);
        }
    }
}

int
background_start(struct lsmkv *db)
{
    int result = db->env->thread_start(db->env, "lsmkv-flush", flush_thread, db,
                                       &db->flush_thread);

    if (result == 0)
        result = db->env->thread_start(db->env, "lsmkv-compact", compaction_thread, db,
                                       &db->compaction_thread);
    return result;
}

void
background_stop(struct lsmkv *db)
{
    mutex_lock(&db->mutex);
    atomic_store(&db->closing, true);
    condition_broadcast(&db->work);
    condition_broadcast(&db->progress); /* a round of reclaim.c may wait for the flush */
    mutex_unlock(&db->mutex);
    if (db->flush_thread != NULL)
        db->env->thread_join(db->flush_thread);
    if (db->compaction_thread != NULL)
        db->env->thread_join(db->compaction_thread);
    db->flush_thread = db->compaction_thread = NULL;
}
