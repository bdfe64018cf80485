/*
 * iterator.h - a cursor over internal entries in internal-key order: over a memtable, a
 * block, a table, a level, or a merge of such.
 *
 * The current entry stands where it was decoded, and each layer above points at it: so to look at
 * it costs no call, and to hand it up nothing.
 *
 * I1  `valid` implies status == 0.  At either end, and after an error, valid is false;
 *     after an error status is negative and stays so until the next seek.
 * I2  `entry` and what it refers to hold until the iterator moves or is freed.
 * I3  next, prev and skip_older need `valid`.
 * I4  Its key holds at least KEY_TRAILER_SIZE bytes: a source that reads a shorter one from
 *     a disk ends with -EUCLEAN.
 * I5  What is passed to a seek must not be the iterator's own key.
 */
#ifndef ITER_ITERATOR_H
#define ITER_ITERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"

struct iterator;

struct iterator_entry {
    struct lsmkv_slice key;     /* internal */
    struct lsmkv_slice payload; /* see base/record.h */
};

/* An entry that was not yet moved to. */
struct iterator_ahead {
    uint8_t kind;
    struct lsmkv_slice payload;
};

struct iterator_ops {
    /* To the first entry at or after an internal key; the last one at or before it. */
    void (*seek)(struct iterator *it, struct lsmkv_slice internal);
    void (*seek_before)(struct iterator *it, struct lsmkv_slice internal);
    void (*first)(struct iterator *it);
    void (*last)(struct iterator *it);
    void (*next)(struct iterator *it);
    void (*prev)(struct iterator *it);
    /* Forward to the first entry, at or after the current one, that is newer than
     * `sequence` or whose user key is at or past `bound` (NULL data: no bound).  Whole
     * blocks and sources that hold nothing newer are passed unread.  It is how dead
     * ranges are jumped: a walk on forwards may leave out further entries before `bound`
     * that are as old, for each source of a merge skips on its own. */
    void (*skip_older)(struct iterator *it, uint64_t sequence, struct lsmkv_slice bound);
    void (*free)(struct iterator *it);
    /* NULL, or: a part of the seek to `internal` that is to follow, the steps 0 up to
     * APPROACH_STEPS - 1 one after the other.  Each does what can be done without waiting
     * for memory, and asks for the memory that the next will look at: who has several
     * iterators takes each step with all of them, and they wait together.  It reads no
     * file, and it is the seek that tells of errors. */
    void (*approach)(struct iterator *it, struct lsmkv_slice internal, unsigned step);
    /* NULL, or: entries that a walk forwards is likely to meet next, at most `count` of
     * them, as far as they can be told without waiting for memory.  A hint: of a merge
     * they are those of one source.  They hold as `entry` does. */
    size_t (*peek)(const struct iterator *it, struct iterator_ahead *ahead, size_t count);
};

#define APPROACH_STEPS 3u

struct iterator {
    const struct iterator_ops *ops;
    const struct iterator_entry *entry; /* the current one, while `valid` */
    int status;
    bool valid;
};

static inline void
iterator_approach(struct iterator *it, struct lsmkv_slice internal, unsigned step)
{
    if (it->ops->approach != NULL)
        it->ops->approach(it, internal, step);
}

static inline void
iterator_seek(struct iterator *it, struct lsmkv_slice internal)
{
    it->ops->seek(it, internal);
}

static inline void
iterator_seek_before(struct iterator *it, struct lsmkv_slice internal)
{
    it->ops->seek_before(it, internal);
}

static inline void
iterator_first(struct iterator *it)
{
    it->ops->first(it);
}

static inline void
iterator_last(struct iterator *it)
{
    it->ops->last(it);
}

static inline void
iterator_next(struct iterator *it)
{
    it->ops->next(it);
}

static inline void
iterator_prev(struct iterator *it)
{
    it->ops->prev(it);
}

static inline void
iterator_skip_older(struct iterator *it, uint64_t sequence, struct lsmkv_slice bound)
{
    it->ops->skip_older(it, sequence, bound);
}

static inline size_t
iterator_peek(const struct iterator *it, struct iterator_ahead *ahead, size_t count)
{
    return it->valid && it->ops->peek != NULL ? it->ops->peek(it, ahead, count) : 0;
}

/* NULL is allowed. */
static inline void
iterator_free(struct iterator *it)
{
    if (it != NULL)
        it->ops->free(it);
}

#endif
