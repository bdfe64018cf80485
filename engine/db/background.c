/*
 * background.c - the two threads behind an open store: one flushes, one compacts.
 *
 * Both wait for work under mutex.  After a failure they wait a little and try again: the error
 * stands in flush_error or compaction_error meanwhile, so that writers are told instead of waiting for ever;
 * nothing is poisoned, what was written is deleted and written again (invariant 1).
 */
#include <errno.h>
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

/* A poisoned store takes no manifest line, so there is nothing to do in the background. */
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

static void
compaction_thread(void *argument)
{
    struct lsmkv *db = argument;

    for (;;) {
        mutex_lock(&db->mutex);
        while (!atomic_load(&db->closing) && !(may_work(db) && compaction_due(db)))
            condition_wait(&db->work, &db->mutex);
        mutex_unlock(&db->mutex);
        if (atomic_load(&db->closing))
            return;
        if (compact_once(db) != 0)
            wait_before_retry(db);
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
    mutex_unlock(&db->mutex);
    if (db->flush_thread != NULL)
        db->env->thread_join(db->flush_thread);
    if (db->compaction_thread != NULL)
        db->env->thread_join(db->compaction_thread);
    db->flush_thread = db->compaction_thread = NULL;
}
