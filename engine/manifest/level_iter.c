/*
 * level_iter.c - one iterator over many disjoint tables, opened one at a time.
 *
 * The files' smallest and largest keys, which stand in memory, say which table a seek
 * lands in; the largest sequence of each says which a jump over dead entries passes
 * unopened.
 *
 * L1  `inner` iterates files[index]; it is NULL before the first seek and after an error
 *     in opening.
 */
#include <errno.h>
#include <stdlib.h>

#include "manifest/version.h"

struct level_iterator {
    struct iterator base;
    struct table_file *const *files; /* borrowed, as all below until `index` */
    size_t count;
    enum lsmkv_order order;
    enum table_walk walk;
    struct lsmkv_slice upper; /* user key; NULL data: none */
    size_t index;
    struct iterator *inner;
    bool approached; /* by a step of a seek: `index` is where it lands */
};

static void
level_end(struct level_iterator *level, int status)
{
    level->base.valid = false;
    level->base.status = status;
}

/* Makes `inner` stand, unpositioned, for files[index].  False: status is set. */
static bool
level_enter(struct level_iterator *level, size_t index)
{
    struct table *table;
    int result;

    if (level->inner != NULL && level->index == index)
        return true;
    iterator_free(level->inner);
    level->inner = NULL;
    level->index = index;
    result = table_file_table(level->files[index], &table);
    if (result == 0)
        result = table_iterate_to(table, level->walk, level->upper, &level->inner);
    if (result < 0)
        level_end(level, result);
    return result == 0;
}

/* Whether to go on behind a table that could not be opened. */
static bool
level_passes_over(const struct level_iterator *level)
{
    return level->walk == TABLE_SALVAGING && level->base.status != -ENOMEM;
}

/* Takes over where `inner` stands; false: it stands nowhere, at either end of its
 * table. */
static bool
level_take(struct level_iterator *level)
{
    if (!level->inner->valid && level->inner->status == 0)
        return false;
    level->base.valid = level->inner->valid;
    level->base.status = level->inner->status;
    level->base.entry = level->inner->entry;
    return true;
}

/* Whether a table holds nothing before the upper bound. */
static bool
level_is_past_upper(const struct level_iterator *level, size_t index)
{
    const struct table_meta *meta = &level->files[index]->meta;

    return level->upper.data != NULL &&
           key_compare(level->order, internal_user_key(keybuf_slice(&meta->smallest)),
                       level->upper) >= 0;
}

static void
level_forward_from(struct level_iterator *level, size_t index)
{
    for (; index < level->count && !level_is_past_upper(level, index); index++) {
        if (!level_enter(level, index)) {
            if (!level_passes_over(level))
                return;
            table_file_tell_lost(level->files[index]);
            continue;
        }
        iterator_first(level->inner);
        if (level_take(level))
            return;
    }
    level_end(level, 0);
}

/* From the table before `index` downwards. */
static void
level_backward_from(struct level_iterator *level, size_t index)
{
    while (index-- > 0) {
        if (!level_enter(level, index))
            return;
        iterator_last(level->inner);
        if (level_take(level))
            return;
    }
    level_end(level, 0);
}

/* The number of files that lie wholly before `internal`, or with `smallest` those that
 * begin at or before it. */
static size_t
level_search(const struct level_iterator *level, struct lsmkv_slice internal,
             bool smallest)
{
    size_t low = 0, high = level->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct table_meta *meta = &level->files[middle]->meta;
        int order = internal_key_compare(
            level->order, keybuf_slice(smallest ? &meta->smallest : &meta->largest),
            internal);

        if (smallest ? order <= 0 : order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Which table has to be opened is left to the seek. */
static void
level_approach(struct iterator *it, struct lsmkv_slice internal, unsigned step)
{
    struct level_iterator *level = (struct level_iterator *)it;

    if (step == 0) {
        size_t index = level_search(level, internal, false);

        level->approached = index < level->count &&
                            table_file_if_open(level->files[index]) != NULL &&
                            level_enter(level, index);
    }
    if (level->approached)
        iterator_approach(level->inner, internal, step);
}

static void
level_seek(struct iterator *it, struct lsmkv_slice internal)
{
    struct level_iterator *level = (struct level_iterator *)it;
    size_t index =
        level->approached ? level->index : level_search(level, internal, false);

    level->approached = false;
    if (index == level->count) {
        level_end(level, 0);
        return;
    }
    if (!level_enter(level, index)) {
        if (level_passes_over(level)) {
            table_file_tell_lost(level->files[index]);
            level_forward_from(level, index + 1);
        }
        return;
    }
    iterator_seek(level->inner, internal);
    if (!level_take(level))
        level_forward_from(level, index + 1);
}

static void
level_seek_before(struct iterator *it, struct lsmkv_slice internal)
{
    struct level_iterator *level = (struct level_iterator *)it;
    size_t index = level_search(level, internal, true);

    if (index == 0) {
        level_end(level, 0);
        return;
    }
    if (!level_enter(level, index - 1))
        return;
    iterator_seek_before(level->inner, internal);
    if (!level_take(level))
        level_backward_from(level, index - 1);
}

static void
level_first(struct iterator *it)
{
    level_forward_from((struct level_iterator *)it, 0);
}

static void
level_last(struct iterator *it)
{
    struct level_iterator *level = (struct level_iterator *)it;

    level_backward_from(level, level->count);
}

static void
level_next(struct iterator *it)
{
    struct level_iterator *level = (struct level_iterator *)it;

    iterator_next(level->inner);
    if (!level_take(level))
        level_forward_from(level, level->index + 1);
}

static void
level_prev(struct iterator *it)
{
    struct level_iterator *level = (struct level_iterator *)it;

    iterator_prev(level->inner);
    if (!level_take(level))
        level_backward_from(level, level->index);
}

/* Whether all of a table is older and before the bound: nothing in it stops the jump. */
static bool
level_can_pass(const struct level_iterator *level, size_t index, uint64_t sequence,
               struct lsmkv_slice bound)
{
    const struct table_meta *meta = &level->files[index]->meta;

    if (meta->largest_sequence > sequence)
        return false;
    return bound.data == NULL ||
           key_compare(level->order, internal_user_key(keybuf_slice(&meta->largest)),
                       bound) < 0;
}

static void
level_skip_older(struct iterator *it, uint64_t sequence, struct lsmkv_slice bound)
{
    struct level_iterator *level = (struct level_iterator *)it;
    size_t index = level->index;

    if (!level->base.valid)
        return;
    while (index < level->count) {
        if (level_can_pass(level, index, sequence, bound)) {
            index++;
            continue;
        }
        if (index != level->index) {
            if (!level_enter(level, index))
                return;
            iterator_first(level->inner);
        }
        if (level->inner->valid)
            iterator_skip_older(level->inner, sequence, bound);
        if (level_take(level))
            return;
        index++;
    }
    level_end(level, 0);
}

static size_t
level_peek(const struct iterator *it, struct iterator_ahead *ahead, size_t count)
{
    return iterator_peek(((const struct level_iterator *)it)->inner, ahead, count);
}

static void
level_free(struct iterator *it)
{
    struct level_iterator *level = (struct level_iterator *)it;

    iterator_free(level->inner);
    free(level);
}

static const struct iterator_ops level_ops = {
    .seek = level_seek,
    .seek_before = level_seek_before,
    .first = level_first,
    .last = level_last,
    .next = level_next,
    .prev = level_prev,
    .skip_older = level_skip_older,
    .free = level_free,
    .approach = level_approach,
    .peek = level_peek,
};

int
level_iterate(struct table_file *const *files, size_t count, enum lsmkv_order order,
              enum table_walk walk, struct lsmkv_slice upper, struct iterator **it)
{
    struct level_iterator *level = calloc(1, sizeof(*level));

    if (level == NULL)
        return -ENOMEM;
    level->base.ops = &level_ops;
    level->files = files;
    level->count = count;
    level->order = order;
    level->walk = walk;
    level->upper = upper;
    *it = &level->base;
    return 0;
}
