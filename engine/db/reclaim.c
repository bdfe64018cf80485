/*
 * reclaim.c - space from what was deleted, once the disk is short of it.
 *
 * A delete adds a tombstone; what it deletes goes when the two are merged.  By itself that comes
 * with the writes that fill levels, and on a full disk nothing is written any more.  So whoever is
 * refused for want of space first has the memtables flushed and every table with tombstones
 * merged downwards, level by level, until there is room or none is left.
 *
 * R1  Nothing is walked twice for the same deletes: without a new one, or a snapshot let go, a
 *     refusal costs nothing.
 * R2  One thread walks; others that are refused meanwhile wait for it.
 */
#include <errno.h>

#include "db/db.h"

/* Goes on until so many times the reserve is free, so that the next write is not refused again. */
#define ENOUGH 2u

static bool
has_enough(struct lsmkv *db)
{
    uint64_t free_bytes, total_bytes;

    return env_dir_space(db->dir, &free_bytes, &total_bytes) != 0 ||
           free_bytes >= ENOUGH * db->space_reserve;
}

/* The keyspace with the least id from `id` on; false: there is none. */
static bool
next_keyspace(struct lsmkv *db, uint32_t *id)
{
    uint64_t found = UINT64_MAX;

    mutex_lock(&db->mutex);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        if (ks->id >= *id && ks->id < found)
            found = ks->id;
    mutex_unlock(&db->mutex);
    if (found == UINT64_MAX)
        return false;
    *id = (uint32_t)found;
    return true;
}

static int
walk_level(struct lsmkv *db, uint32_t keyspace, int level)
{
    struct keybuf after = {0};
    int result = 1;

    while (result == 1 && !has_enough(db))
        result = compact_tombstones(db, keyspace, level, &after);
    keybuf_fini(&after);
    return result < 0 ? result : 0;
}

static int
walk(struct lsmkv *db)
{
    /* Tables that are flushed and cannot be merged would crowd level 0, which stops deletes. */
    int result = compaction_has_room(db) ? lsmkv_flush(db) : -ENOSPC;

    for (uint32_t id = 0; result == 0 && next_keyspace(db, &id); id++)
        for (int level = 0; level < LEVEL_COUNT && result == 0; level++)
            result = walk_level(db, id, level);
    return result;
}

void
space_note_reclaimable(struct lsmkv *db)
{
    atomic_store(&db->reclaimable, true);
}

bool
space_reclaim(struct lsmkv *db)
{
    mutex_lock(&db->mutex);
    if (db->reclaiming) { /* R2 */
        while (db->reclaiming)
            condition_wait(&db->progress, &db->mutex);
        mutex_unlock(&db->mutex);
        return true;
    }
    if (!atomic_exchange(&db->reclaimable, false)) { /* R1 */
        mutex_unlock(&db->mutex);
        return false;
    }
    db->reclaiming = true;
    mutex_unlock(&db->mutex);

    int result = walk(db);

    /* What it did not come to is left for the next. */
    if (result != 0 || has_enough(db))
        space_note_reclaimable(db);
    mutex_lock(&db->mutex);
    db->reclaiming = false;
    condition_broadcast(&db->progress);
    mutex_unlock(&db->mutex);
    return true;
}
