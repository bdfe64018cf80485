/*
 * merge.c - the merging iterator: a binary heap of the children that have an entry.
 *
 * The merge walks in one direction at a time.  Forwards the heap's top is the least
 * entry, backwards the greatest; the top is always the current one.  Changing direction
 * puts every other child on the other side of the current entry, which costs a seek each,
 * and builds the heap again.
 *
 * M1  Forwards, every child but the top stands at its first entry after the current one
 *     (or at a later one, if skip_older took it there); backwards, at its last before it.
 * M2  The heap holds exactly the valid children; it is empty after an error.
 * M3  `second` is the place of what comes out after the top: 1 or 2, or 0 if the top is
 *     alone.  So a step in which the top stays the top, as when one child holds a whole
 *     stretch of keys, costs one comparison, or none, and does not touch the heap.
 */
#include "iter/merge.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct merge {
    struct iterator base;
    enum lsmkv_order order;
    bool backwards;
    size_t size;            /* of the heap */
    size_t second;          /* M3 */
    size_t count;           /* of the children */
    struct iterator **heap; /* borrowed from them; it stands behind them */
    struct iterator *children[];
};

static struct merge *
merge_of(struct iterator *it)
{
    return (struct merge *)it;
}

/* Whether `a` comes out before `b`. */
static bool
precedes(const struct merge *merge, const struct iterator *a, const struct iterator *b)
{
    int result = internal_key_compare(merge->order, a->entry->key, b->entry->key);

    return merge->backwards ? result > 0 : result < 0;
}

/* Lets the child at `hole` sink to its place. */
static void
sift_down(struct merge *merge, size_t hole)
{
    struct iterator *child = merge->heap[hole];

    for (;;) {
        size_t best = 2 * hole + 1;

        if (best >= merge->size)
            break;
        if (best + 1 < merge->size &&
            precedes(merge, merge->heap[best + 1], merge->heap[best]))
            best++;
        if (!precedes(merge, merge->heap[best], child))
            break;
        merge->heap[hole] = merge->heap[best];
        hole = best;
    }
    merge->heap[hole] = child;
}

/* Ends the walk; an error stays until the next seek. */
static void
end(struct merge *merge, int status)
{
    merge->size = 0;
    merge->base.valid = false;
    merge->base.status = status;
}

static void
find_second(struct merge *merge)
{
    if (merge->size < 3)
        merge->second = merge->size < 2 ? 0 : 1;
    else
        merge->second = precedes(merge, merge->heap[2], merge->heap[1]) ? 2 : 1;
}

static inline void
show(struct merge *merge, const struct iterator *top)
{
    merge->base.entry = top->entry;
    merge->base.status = 0;
    merge->base.valid = true;
}

/* The heap has been built or has changed: makes its top the current entry. */
static void
show_top(struct merge *merge)
{
    if (merge->size == 0) {
        end(merge, 0);
        return;
    }
    find_second(merge);
    show(merge, merge->heap[0]);
}

/* Builds the heap from wherever the children stand. */
static void
gather(struct merge *merge)
{
    size_t i;

    merge->size = 0;
    for (i = 0; i < merge->count; i++) {
        struct iterator *child = merge->children[i];

        if (child->status != 0) {
            end(merge, child->status);
            return;
        }
        if (child->valid)
            merge->heap[merge->size++] = child;
    }
    for (i = merge->size / 2; i-- > 0;)
        sift_down(merge, i);
    show_top(merge);
}

/* The top child has moved, and is not the top any more. */
static void
replace_top(struct merge *merge)
{
    struct iterator *top = merge->heap[0];
    const size_t second = merge->second;

    if (top->status != 0) {
        end(merge, top->status);
        return;
    }
    if (top->valid) {
        merge->heap[0] = merge->heap[second];
        merge->heap[second] = top;
        sift_down(merge, second);
    } else {
        merge->heap[0] = merge->heap[--merge->size];
        if (merge->size > 1)
            sift_down(merge, 0);
    }
    show_top(merge);
}

/* The top child has moved. */
static inline void
settle_top(struct merge *merge)
{
    const struct iterator *top = merge->heap[0];

    if (top->valid &&
        (merge->second == 0 || precedes(merge, top, merge->heap[merge->second])))
        show(merge, top);
    else
        replace_top(merge);
}

/* Puts every child but the top beyond the current entry, in the other direction (M1).
 * The top keeps still, so the current key holds meanwhile. */
static void
turn(struct merge *merge)
{
    struct iterator *top = merge->heap[0];
    size_t i;

    merge->backwards = !merge->backwards;
    for (i = 0; i < merge->count; i++) {
        struct iterator *child = merge->children[i];

        if (child == top)
            continue;
        if (merge->backwards)
            iterator_seek_before(child, top->entry->key);
        else
            iterator_seek(child, top->entry->key);
    }
}

static void
merge_seek(struct iterator *it, struct lsmkv_slice internal)
{
    struct merge *merge = merge_of(it);
    size_t i;

    merge->backwards = false;
    for (unsigned step = 0; step < APPROACH_STEPS; step++)
        for (i = 0; i < merge->count; i++)
            iterator_approach(merge->children[i], internal, step);
    for (i = 0; i < merge->count; i++)
        iterator_seek(merge->children[i], internal);
    gather(merge);
}

static void
merge_seek_before(struct iterator *it, struct lsmkv_slice internal)
{
    struct merge *merge = merge_of(it);
    size_t i;

    merge->backwards = true;
    for (i = 0; i < merge->count; i++)
        iterator_seek_before(merge->children[i], internal);
    gather(merge);
}

static void
merge_first(struct iterator *it)
{
    struct merge *merge = merge_of(it);
    size_t i;

    merge->backwards = false;
    for (i = 0; i < merge->count; i++)
        iterator_first(merge->children[i]);
    gather(merge);
}

static void
merge_last(struct iterator *it)
{
    struct merge *merge = merge_of(it);
    size_t i;

    merge->backwards = true;
    for (i = 0; i < merge->count; i++)
        iterator_last(merge->children[i]);
    gather(merge);
}

static void
merge_next(struct iterator *it)
{
    struct merge *merge = merge_of(it);
    bool turned = merge->backwards;

    assert(it->valid);
    if (turned)
        turn(merge);
    iterator_next(merge->heap[0]);
    if (turned)
        gather(merge);
    else
        settle_top(merge);
}

static void
merge_prev(struct iterator *it)
{
    struct merge *merge = merge_of(it);
    bool turned = !merge->backwards;

    assert(it->valid);
    if (turned)
        turn(merge);
    iterator_prev(merge->heap[0]);
    if (turned)
        gather(merge);
    else
        settle_top(merge);
}

static void
merge_skip_older(struct iterator *it, uint64_t sequence, struct lsmkv_slice bound)
{
    struct merge *merge = merge_of(it);
    size_t i;

    assert(it->valid);
    if (merge->backwards)
        turn(merge);
    for (i = 0; i < merge->count; i++) {
        if (merge->children[i]->valid)
            iterator_skip_older(merge->children[i], sequence, bound);
    }
    gather(merge);
}

static size_t
merge_peek(const struct iterator *it, struct iterator_ahead *ahead, size_t count)
{
    const struct merge *merge = (const struct merge *)it;

    return iterator_peek(merge->heap[0], ahead, count);
}

static void
merge_free(struct iterator *it)
{
    struct merge *merge = merge_of(it);
    size_t i;

    for (i = 0; i < merge->count; i++)
        iterator_free(merge->children[i]);
    free(merge);
}

static const struct iterator_ops merge_ops = {
    .seek = merge_seek,
    .seek_before = merge_seek_before,
    .first = merge_first,
    .last = merge_last,
    .next = merge_next,
    .prev = merge_prev,
    .skip_older = merge_skip_older,
    .free = merge_free,
    .peek = merge_peek,
};

int
merge_new(enum lsmkv_order order, struct iterator **children, size_t count,
          struct iterator **it)
{
    struct merge *merge;
    size_t i;

    if (count == 0) {
        *it = iterator_new_empty(0);
        return 0;
    }
    if (count == 1) {
        *it = children[0];
        return 0;
    }
    merge = malloc(sizeof(*merge) + 2 * count * sizeof(struct iterator *));
    if (merge == NULL) {
        for (i = 0; i < count; i++)
            iterator_free(children[i]);
        return -ENOMEM;
    }
    *merge = (struct merge){.base.ops = &merge_ops, .order = order, .count = count};
    merge->heap = merge->children + count;
    memcpy(merge->children, children, count * sizeof(*children));
    *it = &merge->base;
    return 0;
}
