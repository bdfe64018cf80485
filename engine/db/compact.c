/*
 * compact.c - running compactions: whose turn it is, one at a time, and what callers ask
 * for.
 *
 * What to merge is decided by pick.c, the merge is made by merge_tables.c; here a choice
 * is taken, run and installed.  One compaction runs at a time, in the background thread
 * or in the thread that called lsmkv_compact.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/collect.h"

#define PACE_STEP_NS \
    UINT64_C(20000000) /* so that closing and pressure are noticed soon */

struct compaction_limits
compaction_limits_of(const struct lsmkv *db, const struct lsmkv_keyspace *keyspace)
{
    struct compaction_limits limits = {
        .l0_trigger = db->options.l0_compaction_trigger,
        .l0_paid = version_merge_is_paid(keyspace->view->version),
        .level_base_size = db->options.level_base_size,
        .table_size = db->options.table_size,
        .passed_over = keyspace->failed_levels,
        .narrow = atomic_load(&db->reclaim.is_short),
        .pressing = space_presses(db),
    };

    return limits;
}

/* The keyspace most in need, or NULL. */
static struct lsmkv_keyspace *
neediest(struct lsmkv *db) LSMKV_REQUIRES(db->mutex)
{
    struct lsmkv_keyspace *found = NULL;
    double most = 1.0;
    int level;

    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next) {
        struct compaction_limits limits = compaction_limits_of(db, ks);
        double score = compaction_score(ks->view->version, &limits, &level);

        if (score >= most) {
            most = score;
            found = ks;
        }
    }
    return found;
}

/* After a failure the other levels and keyspaces come first: what did not fit the disk,
 * or met a damaged block, must not keep the rest from being merged. */
static void
note_outcome(struct lsmkv *db, struct lsmkv_keyspace *keyspace, int level, int result)
    LSMKV_REQUIRES(db->mutex)
{
    if (result == 0) {
        for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
            ks->failed_levels = 0;
    } else if (result != -ECANCELED) {
        keyspace->failed_levels |= 1u << level;
    }
}

/* Whether merges that failed are left to be tried again. */
static bool
any_failed(struct lsmkv *db) LSMKV_REQUIRES(db->mutex)
{
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        if (ks->failed_levels != 0)
            return true;
    return false;
}

bool
compaction_presses(struct lsmkv *db)
{
    return !db->compacting && neediest(db) != NULL;
}

bool
compaction_due(struct lsmkv *db)
{
    return !db->compacting && (neediest(db) != NULL || collect_due(db) || any_failed(db));
}

void
compaction_wake(struct lsmkv *db)
{
    mutex_lock(&db->mutex);
    condition_broadcast(&db->work);
    mutex_unlock(&db->mutex);
}

void
compaction_turn_take(struct lsmkv *db)
{
    while (db->compacting)
        condition_wait(&db->progress, &db->mutex);
    db->compacting = true;
}

void
compaction_turn_end(struct lsmkv *db)
{
    mutex_lock(&db->mutex);
    db->compacting = false;
    db->merge = (struct merge_now){0};
    condition_broadcast(&db->progress);
    condition_broadcast(&db->work);
    mutex_unlock(&db->mutex);
}

static void
turn_end(struct lsmkv *db, int result)
{
    mutex_lock(&db->mutex);
    if (result != -ECANCELED) {
        db->compaction_error = result;
        db->compaction_failures = result != 0 ? db->compaction_failures + 1 : 0;
    }
    mutex_unlock(&db->mutex);
    compaction_turn_end(db);
}

uint64_t
compaction_kept(const struct lsmkv *db)
{
    return 2 * (uint64_t)db->options.write_buffer_size;
}

int
compaction_may_write(void *store, uint64_t size)
{
    struct lsmkv *db = store;
    uint64_t kept = compaction_kept(db);
    uint64_t free_bytes, total_bytes;

    if (env_dir_space(db->dir, &free_bytes, &total_bytes) != 0 ||
        free_bytes >= kept + size)
        return 0;
    return error_detail(-ENOSPC, "the last %llu bytes of the disk are left alone",
                        (unsigned long long)kept);
}

/* Does somebody wait for merges? */
static bool
is_pressed(struct lsmkv *db)
{
    bool pressed;

    mutex_lock(&db->mutex);
    pressed = l0_count(db) >= db->options.l0_slowdown_trigger ||
              atomic_load(&db->reclaim.is_short);
    mutex_unlock(&db->mutex);
    return pressed;
}

/* In the compaction's turn.  Time that nothing was written in is not made up for. */
static void
pace(void *store, uint64_t bytes)
{
    struct lsmkv *db = store;
    const uint64_t rate = db->options.compaction_rate;
    uint64_t now;

    if (rate == 0)
        return;
    now = db->env->monotonic(db->env);
    if (db->paced_until < now)
        db->paced_until = now;
    db->paced_until += bytes * UINT64_C(1000000000) / rate;
    while (now < db->paced_until && !atomic_load(&db->closing)) {
        if (is_pressed(db)) {
            db->paced_until = now;
            return;
        }
        db->env->sleep(db->env, db->paced_until - now < PACE_STEP_NS
                                    ? db->paced_until - now
                                    : PACE_STEP_NS);
        now = db->env->monotonic(db->env);
    }
}

/* For who looks in. */
static void
note_merge(struct lsmkv *db, const struct compaction *compaction)
    LSMKV_REQUIRES(db->mutex)
{
    db->merge = (struct merge_now){
        .keyspace = compaction->keyspace,
        .level = {compaction->level, compaction->output_level},
        .tables = {compaction->input_counts[0], compaction->input_counts[1]},
    };
    for (int which = 0; which < 2; which++)
        for (size_t i = 0; i < compaction->input_counts[which]; i++)
            db->merge.bytes[which] += compaction->inputs[which][i]->meta.size;
}

static void
count_merge(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
            const struct compaction *compaction)
{
    struct level_traffic *traffic = &keyspace->traffic[compaction->level];

    atomic_fetch_add(
        compaction->trivial ? &db->counters.trivial_moves : &db->counters.compactions, 1);
    mutex_lock(&db->mutex);
    if (compaction->trivial)
        traffic->moves++;
    else
        traffic->merges++;
    mutex_unlock(&db->mutex);
}

int
compaction_do(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
              const struct compaction *compaction)
{
    struct manifest_edit edit = {0};
    struct build_context context;
    struct blob_victims victims = {0};
    uint64_t *sequences = NULL;
    size_t count;
    int result = snapshot_sequences(db, &sequences, &count);

    if (result == 0) {
        mutex_lock(&db->mutex);
        note_merge(db, compaction);
        result = collect_victims(db, keyspace, &victims);
        mutex_unlock(&db->mutex);
    }
    if (result == 0) {
        context = build_context_of(db, keyspace, sequences, count);
        context.victims = &victims;
        context.may_write = compaction_may_write;
        context.pace = pace;
        result = compaction_run(&context, compaction, &edit);
    }
    if (result == 0)
        result = install(db, &edit, NULL, 0);
    if (result == 0)
        count_merge(db, keyspace, compaction);
    manifest_edit_fini(&edit);
    blob_victims_fini(&victims);
    free(sequences);
    return result;
}

/* The choice, in the compaction's turn; NULL: none is due. */
static int
choose(struct lsmkv *db, struct lsmkv_keyspace **keyspace, struct compaction **compaction,
       bool *collects) LSMKV_REQUIRES(db->mutex)
{
    struct compaction_limits limits;

    *compaction = NULL;
    *collects = false;
    *keyspace = neediest(db);
    if (*keyspace == NULL) {
        int result = collect_choose(db, keyspace, compaction);

        *collects = *compaction != NULL;
        if (*collects || result != 0)
            return result;
        for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
            ks->failed_levels =
                0; /* all that was left has failed: from the start again */
        return 0;
    }
    limits = compaction_limits_of(db, *keyspace);
    return compaction_pick((*keyspace)->id, (*keyspace)->view->version, &limits,
                           &(*keyspace)->cursor, compaction);
}

int
compact_once(struct lsmkv *db)
{
    struct compaction *compaction;
    struct lsmkv_keyspace *keyspace;
    bool collects;
    int result;

    mutex_lock(&db->mutex);
    compaction_turn_take(db);
    result = choose(db, &keyspace, &compaction, &collects);
    mutex_unlock(&db->mutex);
    if (compaction != NULL) {
        result = compaction_do(db, keyspace, compaction);
        mutex_lock(&db->mutex);
        note_outcome(db, keyspace, collects ? LEVEL_COUNT : compaction->level, result);
        if (collects && result != 0)
            collect_note_failure(db, keyspace, compaction, result);
        mutex_unlock(&db->mutex);
        compaction_free(compaction);
        files_delete_obsolete(db);
    } else if (result == 0) {
        compaction_turn_end(db); /* nothing was tried, so no failure is over */
        return 0;
    }
    turn_end(db, result);
    return result;
}

/* ---- what callers ask for ---- */

static int
compact_level(struct lsmkv *db, struct lsmkv_keyspace *keyspace, int level,
              struct lsmkv_slice from, struct lsmkv_slice to)
{
    struct compaction *compaction = NULL;
    struct compaction_limits limits;
    int result;

    mutex_lock(&db->mutex);
    compaction_turn_take(db);
    limits = compaction_limits_of(db, keyspace);
    result = compaction_pick_range(keyspace->id, keyspace->view->version, &limits, level,
                                   from, to, &compaction);
    mutex_unlock(&db->mutex);
    if (compaction == NULL) {
        compaction_turn_end(db);
        return result;
    }
    result = compaction_do(db, keyspace, compaction);
    compaction_free(compaction);
    files_delete_obsolete(db);
    turn_end(db, result);
    return result;
}

/* The deepest level with a table, at least 1. */
static int
deepest_level(struct lsmkv *db, const struct lsmkv_keyspace *keyspace)
{
    int level = LEVEL_COUNT - 1;

    mutex_lock(&db->mutex);
    while (level > 1 && keyspace->view->version->levels[level].count == 0)
        level--;
    mutex_unlock(&db->mutex);
    return level;
}

int
lsmkv_compact(struct lsmkv *db, struct lsmkv_keyspace *keyspace, struct lsmkv_slice from,
              struct lsmkv_slice to)
{
    int result = lsmkv_flush(db), deepest;

    if (keyspace == NULL)
        keyspace = db->default_keyspace;
    deepest = deepest_level(db, keyspace);
    for (int level = 0; level <= deepest && result == 0; level++)
        result = compact_level(db, keyspace, level, from, to);
    return result;
}

int
lsmkv_settle(struct lsmkv *db)
{
    int result = 0;

    error_clear();
    if (db->options.read_only)
        return 0;
    mutex_lock(&db->mutex);
    db->flush_error = db->compaction_error = 0;
    db->reclaim.rest = 0;
    for (;;) {
        result = db->poison != 0 ? db->poison : db->flush_error;
        if (result == 0)
            result = db->compaction_error;
        if (result != 0 || (db->frozen == 0 && !db->flushing && !db->compacting &&
                            neediest(db) == NULL && !collect_due(db) && !any_failed(db) &&
                            !reclaim_is_pending(db)))
            break;
        condition_broadcast(&db->work);
        condition_wait(&db->progress, &db->mutex);
    }
    mutex_unlock(&db->mutex);
    return result;
}
