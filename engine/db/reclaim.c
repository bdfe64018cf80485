/*
 * reclaim.c - space from what was deleted, once the disk is short of it.
 *
 * A delete adds a tombstone; what it hides goes when a merge brings the two together.  By
 * itself that comes with the writes that fill levels, and on a full disk nothing is
 * written any more.  So when a write has found space short, the compaction thread makes
 * rounds whenever no other merge is due: the memtables are flushed, then every table with
 * tombstones is merged downwards, level by level, then blob files are collected that are
 * dead even to a small part (collect.c).  It goes on until there is plenty and rounds
 * free less than they write.
 *
 * Where there is space enough a round waits for quiet, and then makes only the merges
 * that drop much for what they rewrite: what was removed should be gone when somebody
 * looks, and not be walked over by every scan, but a store is not written anew for a few
 * keys.
 *
 * R1  A round begins only if something was deleted or let go since the last one began.  A
 *     full disk on which nothing is deleted costs nothing.
 * R2  After a round that freed next to nothing (snapshots may hold it all, or merges not
 *     fit) it rests, longer the more was written.
 * R3  A merge that fails is left out of its round, and the others go on.  If they made
 *     room there is another round, for what did not fit may do so now.
 * R4  Without shortage a round begins when many keys were deleted since the last one, or
 *     before the store was opened, and then next to nothing was written for a while.
 *     (Where more is, that fills levels, whose tables take their turns, tombstones or
 *     not; a trickle does not.)  It leaves alone what its tombstones are too few for, it
 *     is not repeated, and what has gone down as far as it can is written again only for
 *     a snapshot that was dropped since, and may have held it.
 * R5  Overwriting begins no round.  While puts are refused, any table of level 0 is
 *     merged (pick.c), and then blob files are collected for little (collect.c): both are
 *     done once, and free what newer versions hide.
 */
#include <errno.h>
#include <string.h>

#include "db/collect.h"

/* Plenty: so many times the reserve. */
#define PLENTY 2u
#define IN_VAIN \
    2u /* rounds in a row; one may have come too early for a file being removed */
/* Of a rest, in sleeps of the compaction thread: at least, and for so many bytes
 * written. */
#define REST_ROUNDS 20u
#define REST_WANTED 5u
#define REST_BYTES  (UINT64_C(64) << 20)
/* R4: a while, in which no more is written than one in so many parts of what is flushed at
 * a time; and tombstones are too few that are less than one in so many of the entries
 * that are rewritten for them. */
#define QUIET_ROUNDS 200u
#define QUIET_PARTS  64u
#define QUIET_WORTH  8u

static uint64_t
free_space(struct lsmkv *db)
{
    uint64_t free_bytes, total_bytes;

    return env_dir_space(db->dir, &free_bytes, &total_bytes) == 0 ? free_bytes
                                                                  : UINT64_MAX;
}

/* ---- what begins a round ---- */

static uint64_t
all_tombstones(struct lsmkv *db)
{
    uint64_t count = 0;

    mutex_lock(&db->mutex);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        for (int i = 0; i < LEVEL_COUNT; i++) {
            const struct level *level = &ks->view->version->levels[i];

            for (size_t j = 0; j < level->count; j++)
                count += level->files[j]->meta.tombstones;
        }
    mutex_unlock(&db->mutex);
    return count;
}

static void
note(struct lsmkv *db, unsigned rest)
{
    mutex_lock(&db->mutex);
    db->reclaim.noted = true;
    if (rest > db->reclaim.rest)
        db->reclaim.rest = rest;
    condition_broadcast(&db->work);
    mutex_unlock(&db->mutex);
}

void
reclaim_note_short(struct lsmkv *db)
{
    if (!atomic_exchange(&db->reclaim.is_short, true)) {
        mutex_lock(&db->mutex);
        db->reclaim.rest = 0; /* it was for quiet */
        mutex_unlock(&db->mutex);
        note(db, 0);
    }
}

void
reclaim_note_deletes(struct lsmkv *db, uint64_t count)
{
    uint64_t before;

    if (count == 0)
        return;
    before = atomic_fetch_add(&db->reclaim.deletes, count);
    if (atomic_load(&db->reclaim.is_short))
        note(db, 0);
    else if (before < RECLAIM_MANY && before + count >= RECLAIM_MANY)
        note(db, QUIET_ROUNDS);
}

void
reclaim_note_released(struct lsmkv *db, uint64_t sequence)
{
    struct reclaim *reclaim = &db->reclaim;

    if (!reclaim->released || sequence < reclaim->released_from)
        reclaim->released_from = sequence;
    if (!reclaim->released || sequence > reclaim->released_to)
        reclaim->released_to = sequence;
    reclaim->released = reclaim->let_go = reclaim->noted = true;
    condition_broadcast(&db->work);
}

/* Which snapshots were dropped before is not known; all of them, then. */
void
reclaim_begin(struct lsmkv *db)
{
    db->reclaim.released = true;
    reclaim_note_deletes(db, all_tombstones(db));
}

bool
reclaim_is_pending(struct lsmkv *db)
{
    const struct reclaim *reclaim = &db->reclaim;

    return reclaim->running ||
           (reclaim->noted && (atomic_load(&reclaim->is_short) ||
                               atomic_load(&reclaim->deletes) >= RECLAIM_MANY));
}

bool
reclaim_due(struct lsmkv *db)
{
    return !db->compacting && reclaim_is_pending(db) &&
           (db->reclaim.running || db->reclaim.rest == 0);
}

bool
reclaim_rests(struct lsmkv *db)
{
    return reclaim_is_pending(db) && !db->reclaim.running && db->reclaim.rest > 0;
}

void
reclaim_rested(struct lsmkv *db, unsigned sleeps)
{
    struct reclaim *reclaim = &db->reclaim;
    uint64_t written = bytes_logged(db);

    mutex_lock(&db->mutex);
    reclaim->rest -= sleeps < reclaim->rest ? sleeps : reclaim->rest;
    if (!atomic_load(&reclaim->is_short) &&
        written - reclaim->seen > db->options.write_buffer_size / QUIET_PARTS) {
        if (reclaim_rests(db))
            reclaim->rest = QUIET_ROUNDS;
        reclaim->seen = written;
    }
    mutex_unlock(&db->mutex);
}

/* ---- a round ---- */

static void
begin_round(struct lsmkv *db)
{
    struct reclaim *reclaim = &db->reclaim;
    bool crowded;
    int result;

    mutex_lock(&db->mutex);
    reclaim->running = true;
    reclaim->quiet = !atomic_load(&reclaim->is_short);
    reclaim->failed = false;
    reclaim->in_place = reclaim->quiet ? reclaim->let_go : reclaim->released;
    reclaim->let_go = false;
    reclaim->from = reclaim->released_from;
    reclaim->to = reclaim->released_to;
    reclaim->released = reclaim->released && reclaim->quiet;
    reclaim->keyspace = 0;
    reclaim->level = 0;
    /* Tables that merges do not take away again would stop deletes. */
    crowded = l0_count(db) >= db->options.l0_slowdown_trigger || db->frozen >= FROZEN_MAX;
    reclaim->noted = crowded; /* then what is in memory is for another round */
    if (!crowded)
        atomic_store(&reclaim->deletes, 0);
    /* A writer that stopped for want of a merge has the turn. */
    reclaim->wants_turn = true;
    condition_broadcast(&db->progress);
    mutex_unlock(&db->mutex);
    reclaim->free_before = free_space(db);
    reclaim->written_before = atomic_load(&db->counters.compaction_bytes_written);
    result = crowded ? 0 : lsmkv_flush(db);
    mutex_lock(&db->mutex);
    reclaim->wants_turn = false;
    mutex_unlock(&db->mutex);
    if (result != 0 && result != -ECANCELED)
        report_warning(&db->reporter, "what was deleted last cannot be flushed: %s",
                       strerror(-result));
}

static void
end_round(struct lsmkv *db)
{
    struct reclaim *reclaim = &db->reclaim;
    uint64_t now = free_space(db);
    uint64_t written =
        atomic_load(&db->counters.compaction_bytes_written) - reclaim->written_before;
    uint64_t freed = now > reclaim->free_before ? now - reclaim->free_before : 0;
    uint64_t little = db->options.table_size / 2;

    mutex_lock(&db->mutex);
    reclaim->running = false;
    if (reclaim->quiet) {
        reclaim->rest = reclaim->noted ? QUIET_ROUNDS : 0; /* by what was deleted since */
        condition_broadcast(&db->progress);
        mutex_unlock(&db->mutex);
        return;
    }
    if (reclaim->failed && freed > little) /* it may fit now */
        reclaim->noted = true;
    reclaim->rest = freed > little
                        ? 0
                        : (unsigned)(REST_ROUNDS * (1 + written / REST_BYTES)); /* R2 */
    reclaim->in_vain = freed < written + little ? reclaim->in_vain + 1 : 0;
    if (now / PLENTY >= db->space_reserve && reclaim->in_vain >= IN_VAIN)
        atomic_store(&reclaim->is_short, false);
    condition_broadcast(&db->progress);
    mutex_unlock(&db->mutex);
}

/* The keyspace with the least id from `id` on, or NULL. */
static struct lsmkv_keyspace *
keyspace_from(struct lsmkv *db, uint32_t id) LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_keyspace *found = NULL;

    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        if (ks->id >= id && (found == NULL || ks->id < found->id))
            found = ks;
    return found;
}

static void
go_on(struct reclaim *reclaim, uint32_t keyspace, int level)
{
    reclaim->keyspace = keyspace;
    reclaim->level = level;
    keybuf_fini(&reclaim->after);
    memset(&reclaim->after, 0, sizeof(reclaim->after));
}

/* The next merge of the round; NULL: there is none. */
static int
choose_next(struct lsmkv *db, struct lsmkv_keyspace **keyspace,
            struct compaction **compaction) LSMKV_REQUIRES(db->mutex)
{
    struct reclaim *reclaim = &db->reclaim;

    *compaction = NULL;
    while ((*keyspace = keyspace_from(db, reclaim->keyspace)) != NULL) {
        struct compaction_limits limits = compaction_limits_of(db, *keyspace);
        uint32_t id = (*keyspace)->id;
        int result;

        limits.worth = reclaim->quiet ? QUIET_WORTH : 0;
        limits.in_place = reclaim->in_place;
        limits.released_from = reclaim->from;
        limits.released_to = reclaim->to;

        if (id != reclaim->keyspace)
            go_on(reclaim, id, 0);
        if (reclaim->level < LEVEL_COUNT)
            result =
                compaction_pick_tombstones(id, (*keyspace)->view->version, &limits,
                                           reclaim->level, &reclaim->after, compaction);
        else
            result =
                collect_pick(db, *keyspace, atomic_load(&reclaim->is_short), compaction);
        if (result != 0 || *compaction != NULL)
            return result;
        if (reclaim->level < LEVEL_COUNT)
            go_on(reclaim, id, reclaim->level + 1);
        else
            go_on(reclaim, id + 1, 0);
    }
    return 0;
}

/* True: the round is at its end. */
static bool
merge_next(struct lsmkv *db)
{
    struct compaction *compaction;
    struct lsmkv_keyspace *keyspace;
    int result;

    mutex_lock(&db->mutex);
    compaction_turn_take(db);
    result = choose_next(db, &keyspace, &compaction);
    mutex_unlock(&db->mutex);
    if (compaction == NULL) {
        compaction_turn_end(db);
        return true;
    }
    result = compaction_do(db, keyspace, compaction);
    db->reclaim.failed = result != 0 || db->reclaim.failed;
    if (result != 0 && db->reclaim.level == LEVEL_COUNT) { /* R3 */
        mutex_lock(&db->mutex);
        collect_note_failure(db, keyspace, compaction, result);
        mutex_unlock(&db->mutex);
        go_on(&db->reclaim, keyspace->id + 1, 0);
    } else if (result != 0 &&
               compaction->level == 0) /* deeper levels go on by themselves */
        go_on(&db->reclaim, keyspace->id, 1);
    if (result != 0 && result != -ENOSPC && result != -ECANCELED)
        report_warning(&db->reporter, "what was deleted at level %d stays: %s",
                       compaction->level, strerror(-result));
    compaction_free(compaction);
    files_delete_obsolete(db);
    compaction_turn_end(db);
    return result == -ECANCELED;
}

void
reclaim_step(struct lsmkv *db)
{
    if (!db->reclaim.running)
        begin_round(db);
    else if (merge_next(db))
        end_round(db);
}

void
reclaim_fini(struct lsmkv *db)
{
    keybuf_fini(&db->reclaim.after);
}

/* ---- who waits for it ---- */

#define LOOK_NS UINT64_C(10000000)

static bool
has_room(struct lsmkv *db)
{
    return free_space(db) >= db->space_reserve;
}

/* Whether something is under way or due whose end gives space back: what it replaces goes
 * only then, a flush's log, a merge's inputs.  What failed more than once is not relied
 * upon. */
static bool
space_may_come(struct lsmkv *db) LSMKV_REQUIRES(db->mutex)
{
    if (db->poison != 0)
        return false;
    return db->flushing || db->compacting || reclaim_is_pending(db) ||
           (db->frozen > 0 && db->flush_failures < FAILURES_TOLD) ||
           (compaction_due(db) && db->compaction_failures < FAILURES_TOLD) ||
           files_are_going(db);
}

int
lsmkv_wait_for_space(struct lsmkv *db, unsigned ms)
{
    for (uint64_t waited = 0;; waited += LOOK_NS) {
        bool may_come;

        files_delete_obsolete(db); /* what only readers kept */
        if (has_room(db))
            return 0;
        space_note_full(db);
        mutex_lock(&db->mutex);
        may_come = space_may_come(db);
        if (db->reclaim.rest > REST_WANTED) /* by somebody, soon */
            db->reclaim.rest = REST_WANTED;
        mutex_unlock(&db->mutex);
        if (!may_come) /* but it may have come between the two looks */
            return has_room(db) ? 0 : -ENOSPC;
        if (waited >= ms * UINT64_C(1000000))
            return -ETIMEDOUT;
        db->env->sleep(db->env, LOOK_NS);
    }
}
