/*
 * move.c - moving whole trees of keys, atomically.
 *
 * The move holds the writer's turn from choosing the sequence it reads at until it is
 * published, so no write falls between.  A small one is one batch: one log frame.  A
 * large one would not fit a frame: the moved entries go straight to level-0 tables
 * (straight.h), together with the tombstones of the old keys and the caller's batch.  Its
 * values that stand apart stay where they are, only the references are written.  A log
 * refers to files of its own only (direct.h), so a small move writes values anew.
 *
 * T1  The caller's batch gets the sequences after the moved entries, in tables of its
 *     own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/move_stream.h"

/* A move of so much goes on below the reserve, so that a full disk can be put in
 * order. */
#define MOVE_SMALL_BYTES (64u << 10)

/* ---- what may be moved ---- */

static bool
is_same_or_below(struct lsmkv_slice key, struct lsmkv_slice ancestor)
{
    return slice_equal(key, ancestor) || key_is_below(key, ancestor);
}

static bool
trees_meet(struct lsmkv_slice a, struct lsmkv_slice b)
{
    return is_same_or_below(a, b) || is_same_or_below(b, a);
}

static int
check_moves(const struct lsmkv_keyspace *keyspace, const struct lsmkv_move *moves,
            size_t count)
{
    if (keyspace->order != LSMKV_ORDER_PATH)
        return error_detail(-EINVAL, "keyspace \"%s\" is not in path order",
                            keyspace->name);
    for (size_t i = 0; i < count; i++) {
        if (is_same_or_below(moves[i].to, moves[i].from))
            return error_detail(-EINVAL, "a tree cannot move to itself or into itself");
        for (size_t k = 0; k < i; k++)
            if (trees_meet(moves[i].from, moves[k].from) ||
                trees_meet(moves[i].to, moves[k].to))
                return error_detail(-EINVAL, "moved trees meet");
    }
    return 0;
}

/* ---- one frame ---- */

/* Collects the move into `out`; 1 if it is larger than one frame should be. */
static int
collect(struct lsmkv *db, const struct read_point *point, const struct lsmkv_move *moves,
        size_t count, const struct lsmkv_batch *batch, struct lsmkv_batch *out)
{
    size_t limit = db->options.move_log_limit < LSMKV_BATCH_MAX
                       ? db->options.move_log_limit
                       : LSMKV_BATCH_MAX;
    struct move_stream *stream;
    struct straight_entry entry;
    int result = move_stream_open(db, point, moves, count, &stream);

    if (result != 0)
        return result;
    while ((result = move_stream_next(stream, &entry)) == 1) {
        result = move_stream_load(stream, &entry);
        if (result == 0)
            result = batch_add(out, point->keyspace->id, entry.kind, entry.key,
                               entry.kind == KIND_DELETE ? NULL : &entry.record);
        if (result == -E2BIG || out->size > limit) {
            result = 1;
            break;
        }
        if (result != 0)
            break;
    }
    move_stream_close(stream);
    if (result == 0 && batch != NULL) {
        result = batch_append(out, batch);
        if (result == -E2BIG)
            result = 1;
    }
    return result;
}

/* ---- tables ---- */

static int
build_moved(struct lsmkv *db, const struct read_point *point,
            const struct lsmkv_move *moves, size_t count, struct manifest_edit *edit)
{
    struct move_stream *stream;
    int result = move_stream_open(db, point, moves, count, &stream);

    if (result != 0)
        return result;
    result = straight_put(db, point->keyspace, move_stream_source(stream), edit);
    move_stream_close(stream);
    return result;
}

/* The caller's batch in memtables of its own, numbered from *sequence on. */
static int
fill_memtables(struct lsmkv *db, const struct lsmkv_batch *batch, uint64_t *sequence,
               struct generation **out)
{
    struct generation *generation;
    struct batch_reader reader;
    struct batch_entry entry;
    int result;

    mutex_lock(&db->mutex);
    result = generation_new(db, 0, &generation);
    mutex_unlock(&db->mutex);
    if (result != 0)
        return result;
    result = batch_read(&reader, batch_slice(batch), *sequence);
    while (result == 0 && (result = batch_next(&reader, &entry)) == 1) {
        struct memtable *memtable = generation_memtable(generation, entry.keyspace);

        result =
            memtable == NULL
                ? error_detail(-EINVAL, "a batch names keyspace %u, which does not exist",
                               entry.keyspace)
                : memtable_add(memtable, entry.key, entry.sequence, entry.kind,
                               &entry.record);
    }
    *sequence += batch->count;
    if (result == 0)
        *out = generation;
    else
        generation_unref(generation);
    return result;
}

static int
build_batch(struct lsmkv *db, const struct lsmkv_batch *batch, uint64_t *sequence,
            struct manifest_edit *edit)
{
    struct generation *generation;
    int result;

    if (batch == NULL || batch->count == 0)
        return 0;
    result = fill_memtables(db, batch, sequence, &generation);
    if (result != 0)
        return result;
    for (size_t i = 0; i < generation->count && result == 0; i++) {
        struct lsmkv_keyspace *keyspace;
        struct iterator *it;

        if (memtable_is_empty(generation->slots[i].memtable))
            continue;
        mutex_lock(&db->mutex);
        keyspace =
            keyspace_by_id(db, generation->slots[i].keyspace); /* held by the turn */
        mutex_unlock(&db->mutex);
        result = memtable_iterate(generation->slots[i].memtable, &it);
        if (result == 0) {
            result = straight_build(db, keyspace, it, edit);
            iterator_free(it);
        }
    }
    generation_unref(generation);
    return result;
}

static int
move_by_tables(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
               const struct lsmkv_move *moves, size_t count,
               const struct lsmkv_batch *batch)
{
    struct manifest_edit edit = {0};
    struct read_point point;
    int result = space_check(db, NULL);

    if (result == 0)
        result = straight_begin(db);
    if (result != 0)
        return result;
    point = read_point_take(db, keyspace, NULL);
    result = build_moved(db, &point, moves, count, &edit);
    if (result == 0)
        result = build_batch(db, batch, &db->next_sequence, &edit); /* T1 */
    result = straight_end(db, &edit, result);
    view_unref(point.view); /* N2 */
    files_delete_obsolete(db);
    return result;
}

/* ---- the public function ---- */

static int
move_in_turn(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
             const struct lsmkv_move *moves, size_t count, struct lsmkv_batch *batch,
             unsigned flags)
{
    struct lsmkv_batch all;
    struct read_point point = read_point_take(db, keyspace, NULL);
    int result;

    batch_init(&all);
    result = collect(db, &point, moves, count, batch, &all);
    view_unref(point.view);
    if (result == 0 && all.size > MOVE_SMALL_BYTES)
        result = space_check(db, NULL);
    if (result == 0)
        result = write_in_turn(db, &all, flags);
    else if (result == 1)
        result = move_by_tables(db, keyspace, moves, count, batch);
    batch_fini(&all);
    return result;
}

int
lsmkv_move_trees(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                 const struct lsmkv_move *moves, size_t count, struct lsmkv_batch *batch,
                 unsigned flags)
{
    struct writer turn;
    uint64_t before, moved;
    int result;

    error_clear();
    if (keyspace == NULL)
        keyspace = db->default_keyspace;
    result = check_moves(keyspace, moves, count);
    if (result == 0)
        result = check_writable(db);
    if (result != 0)
        return result;
    if (batch != NULL)
        batch_set_time(batch, db->env->now(db->env));
    writer_begin(db, &turn);
    before = db->next_sequence;
    result = move_in_turn(db, keyspace, moves, count, batch, flags);
    space_look(db);
    moved = (db->next_sequence - before) / 2; /* each left a tombstone where it was */
    writer_end(db, &turn);
    if (result == 0)
        reclaim_note_deletes(db, moved);
    if (result == -ENOSPC)
        space_note_full(db);
    return result;
}
