/*
 * table_iter.c - the cursor over a table: the index chooses a data block, a block cursor
 * walks it.
 *
 * T1  At most two blocks are pinned: that of the current entry, and the one behind it if
 *     the cache has it and the walk has come through some blocks in a row already.
 *     Blocks lie anywhere in memory: to find one and to see its first byte costs as much
 *     waiting for memory as it costs to decode all its entries, unless that is asked for
 *     a block ahead.
 * T2  skip_older reads no block whose largest sequence is not newer, but for the one in
 *     which the bound lies.
 * T3  A walk that is not to fill the cache, and one that has come far already, reads
 *     blocks that the cache does not have in runs.  They do not go to the cache: what is
 *     read once must not push out what is read often.
 */
#include <errno.h>
#include <stdlib.h>

#include "table/run.h"

#define READ_AHEAD    (512u << 10)
#define STRIDES_MIN   2u         /* blocks in a row before the next is taken for needed */
#define LINE_SIZE     64u        /* of the processor's cache */
#define LINES_AT_ONCE 16u        /* that are fetched with one entry */
#define WALKED_MIN    (1u << 20) /* bytes in a row after which a walk is a long one */

struct table_iter {
    struct iterator base; /* first */
    struct table *table;
    enum table_walk walk;
    struct lsmkv_slice upper; /* user key; NULL data: none */

    /* The current block. */
    bool entered; /* the cursor stands for block `i` */
    size_t i;
    const struct block *block; /* pinned; NULL: it stands in the run */
    struct block_iter cursor;
    struct block_run run; /* T3 */

    /* The next. */
    const struct block *near; /* pinned beforehand; NULL: it is not cached */
    size_t near_i;            /* which one that is */
    bool approached;          /* it is where the seek that follows lands */
    unsigned strides;         /* blocks entered from the one before, in a row */
    uint64_t walked;          /* their bytes */
    uint64_t asked_ahead;     /* of the file, up to here */
};

static struct table_iter *
table_iter_of(struct iterator *it)
{
    return (struct table_iter *)it;
}

static enum lsmkv_order
order_of(const struct table_iter *t)
{
    return t->table->properties.order;
}

static const struct index_entry *
index_entry(const struct table_iter *t, size_t i)
{
    return &t->table->index.entries[i];
}

static size_t
block_count(const struct table_iter *t)
{
    return t->table->index.count;
}

static void
drop_near(struct table_iter *t)
{
    if (t->near != NULL)
        block_unpin(t->near);
    t->near = NULL;
}

static void
drop_block(struct table_iter *t)
{
    drop_near(t);
    if (t->block != NULL)
        block_unpin(t->block);
    t->block = NULL;
    t->entered = false;
}

static void
stop(struct table_iter *t, int status)
{
    t->base.valid = false;
    t->base.status = status;
    drop_block(t);
}

static void
read_ahead(struct table_iter *t, size_t i)
{
    uint64_t offset = index_entry(t, i)->offset;
    struct env_file *file;

    if (t->walk == TABLE_KEEPING || offset < t->asked_ahead)
        return;
    if (open_file_hold(t->table->file, &file) != 0)
        return; /* the read that follows will say why */
    env_file_readahead(file, offset, READ_AHEAD);
    open_file_release(t->table->file);
    t->asked_ahead = offset + READ_AHEAD / 2; /* the next half comes in time */
}

/* Pins block `i` if it is cached, and has its ends come nearer. */
static void
pin_near(struct table_iter *t, size_t i)
{
    drop_near(t);
    t->near = table_find_block(t->table, i);
    t->near_i = i;
    if (t->near == NULL)
        return;
    __builtin_prefetch(t->near->data);
    __builtin_prefetch(t->near->data + LINE_SIZE);
    __builtin_prefetch(t->near->data + t->near->size - 1);
}

/* For a walk: the next block, and of the one after that what finds it in the cache. */
static void
look_ahead(struct table_iter *t)
{
    if (block_run_has(&t->run, t->i + 1))
        return;
    if (t->i + 1 < block_count(t))
        pin_near(t, t->i + 1);
    if (t->i + 2 < block_count(t))
        table_expect_block(t->table, t->i + 2);
}

/* Whether what the cache does not have is read in runs (T3). */
static bool
reads_runs(const struct table_iter *t)
{
    return t->walk == TABLE_PASSING ||
           (t->walk == TABLE_KEEPING && t->walked >= WALKED_MIN);
}

/* Takes the block from where it is nearest: pinned already, the cache or a run.  `block`
 * is NULL if that is a run. */
static int
take_block(struct table_iter *t, size_t i, const struct block **block,
           struct lsmkv_slice *contents)
{
    int result = 0;

    *block = NULL;
    if (t->near != NULL && i == t->near_i) {
        *block = t->near;
        t->near = NULL;
    } else if (reads_runs(t) && !block_run_has(&t->run, i)) {
        if (t->walk == TABLE_KEEPING)
            *block = table_find_block(t->table, i);
        if (*block == NULL) {
            read_ahead(t, i);
            block_run_read(&t->run, t->table, i);
        }
    }
    if (*block == NULL && block_run_get(&t->run, i, contents))
        return 0;
    if (*block == NULL) {
        read_ahead(t, i);
        result = table_pin_block(t->table, i, t->walk == TABLE_KEEPING, block);
    }
    if (result == 0)
        *contents = lsmkv_bytes((*block)->data, (*block)->size);
    return result;
}

/* Points the cursor at block `i`.  False: stopped, with the status. */
static bool
enter_block(struct table_iter *t, size_t i)
{
    const struct block *block;
    struct lsmkv_slice contents;
    int result;

    if (t->entered && t->i == i)
        return true;
    result = take_block(t, i, &block, &contents);
    if (result != 0) {
        stop(t, result);
        return false;
    }
    t->strides = t->entered && i == t->i + 1 ? t->strides + 1 : 0;
    t->walked = t->strides == 0 ? 0 : t->walked + contents.size;
    drop_block(t);
    t->block = block;
    t->i = i;
    t->entered = true;
    if (t->strides >= STRIDES_MIN && t->walk == TABLE_KEEPING)
        look_ahead(t);
    result = block_iter_set(&t->cursor, order_of(t), contents);
    if (result != 0) {
        stop(t, table_block_failed(t->table, i, result));
        return false;
    }
    return true;
}

/* Whether to go on behind a block that could not be read. */
static bool
passes_over(const struct table_iter *t, int status)
{
    return t->walk == TABLE_SALVAGING && status != -ENOMEM;
}

/* Block `i` is passed over: its keys are those from its separator to the next one. */
static void
tell_lost(const struct table_iter *t, size_t i)
{
    const struct table_context *context = t->table->context;
    struct table_loss loss = {
        .file = t->table->name,
        .offset = index_entry(t, i)->offset,
        .size = (uint64_t)index_entry(t, i)->size + BLOCK_TRAILER_SIZE,
        .keyspace = t->table->properties.keyspace,
        .sequence = index_entry(t, i)->largest_sequence,
    };

    if (context->lost == NULL)
        return;
    if (i > 0)
        loss.first = index_entry_separator(index_entry(t, i));
    if (i + 1 < block_count(t))
        loss.last = index_entry_separator(index_entry(t, i + 1));
    /* Between two versions of one key the block has newer ones of it (X3 of index.h). */
    loss.last_too =
        i + 1 < block_count(t) && index_entry(t, i + 1)->trailer != SEPARATOR_TRAILER;
    context->lost(context->lost_context, &loss);
}

/* Whether block `i`, not the first, holds nothing before the upper bound (X1 of
 * index.h). */
static bool
is_past_upper(const struct table_iter *t, size_t i)
{
    return t->upper.data != NULL &&
           key_compare(order_of(t), index_entry_separator(index_entry(t, i)), t->upper) >=
               0;
}

/* As enter_block; salvaging, the first block from `i` on that can be read. */
static bool
enter_block_from(struct table_iter *t, size_t i)
{
    while (!enter_block(t, i)) {
        if (!passes_over(t, t->base.status))
            return false;
        tell_lost(t, i);
        if (++i == block_count(t) || is_past_upper(t, i)) {
            stop(t, 0);
            return false;
        }
    }
    return true;
}

/* Makes the cursor's entry the current one.  False: it has none. */
static bool
show(struct table_iter *t)
{
    if (!t->cursor.valid && t->cursor.status != 0) {
        int status = table_block_failed(t->table, t->i, t->cursor.status);

        if (passes_over(t, status)) {
            tell_lost(t, t->i);
            return false;
        }
        stop(t, status);
        return true;
    }
    if (!t->cursor.valid)
        return false;
    t->base.status = 0;
    t->base.valid = true;
    return true;
}

/* After a move forwards: shows the entry, or the first of the blocks that follow. */
static void
settle_forward(struct table_iter *t)
{
    while (!show(t)) {
        if (t->i + 1 >= block_count(t) || is_past_upper(t, t->i + 1)) {
            stop(t, 0);
            return;
        }
        if (!enter_block_from(t, t->i + 1))
            return;
        block_iter_first(&t->cursor);
    }
}

static void
settle_backward(struct table_iter *t)
{
    while (!show(t)) {
        if (t->i == 0) {
            stop(t, 0);
            return;
        }
        if (!enter_block(t, t->i - 1))
            return;
        block_iter_last(&t->cursor);
    }
}

static size_t
block_of(const struct table_iter *t, struct lsmkv_slice internal)
{
    return table_index_find(&t->table->index, order_of(t), internal);
}

static void
table_iter_approach(struct iterator *it, struct lsmkv_slice internal, unsigned step)
{
    struct table_iter *t = table_iter_of(it);

    if (t->walk != TABLE_KEEPING)
        return;
    if (step == 0) {
        drop_near(t);
        t->near_i = block_of(t, internal);
        t->approached = true;
        table_expect_block(t->table, t->near_i);
    } else if (step == 1) {
        pin_near(t, t->near_i);
    } else if (t->near != NULL) {
        block_expect_search(lsmkv_bytes(t->near->data, t->near->size));
    }
}

static void
table_iter_seek(struct iterator *it, struct lsmkv_slice internal)
{
    struct table_iter *t = table_iter_of(it);
    size_t i = t->approached ? t->near_i : block_of(t, internal);

    t->approached = false;
    if (!enter_block_from(t, i))
        return;
    block_iter_seek(&t->cursor, internal);
    settle_forward(t);
}

static void
table_iter_seek_before(struct iterator *it, struct lsmkv_slice internal)
{
    struct table_iter *t = table_iter_of(it);

    if (!enter_block(t, block_of(t, internal)))
        return;
    block_iter_seek_before(&t->cursor, internal);
    settle_backward(t);
}

static void
table_iter_first(struct iterator *it)
{
    struct table_iter *t = table_iter_of(it);

    if (!enter_block_from(t, 0))
        return;
    block_iter_first(&t->cursor);
    settle_forward(t);
}

static void
table_iter_last(struct iterator *it)
{
    struct table_iter *t = table_iter_of(it);

    if (!enter_block(t, block_count(t) - 1))
        return;
    block_iter_last(&t->cursor);
    settle_backward(t);
}

/* For a walk that has looked ahead: with each entry what of the next block lies where the entry
 * does in its own.  So most of that block comes nearer in time, and never much at once: the
 * processor waits for no more than some lines of memory side by side. */
static inline void
fetch_ahead(const struct table_iter *t)
{
    const size_t begin = t->cursor.offset & ~(size_t)(LINE_SIZE - 1);
    size_t end = begin + LINES_AT_ONCE * LINE_SIZE;

    end = t->cursor.next < end ? t->cursor.next : end;
    end = t->near->size < end ? t->near->size : end;
    for (size_t at = begin; at < end; at += LINE_SIZE)
        __builtin_prefetch(t->near->data + at);
}

static void
table_iter_next(struct iterator *it)
{
    struct table_iter *t = table_iter_of(it);

    block_iter_next(&t->cursor);
    if (!t->cursor.valid)
        settle_forward(t);
    if (t->near != NULL && t->near_i > t->i && t->cursor.valid)
        fetch_ahead(t);
}

static void
table_iter_prev(struct iterator *it)
{
    struct table_iter *t = table_iter_of(it);

    block_iter_prev(&t->cursor);
    settle_backward(t);
}

static size_t
table_iter_peek(const struct iterator *it, struct iterator_ahead *ahead, size_t count)
{
    return block_iter_peek(&((const struct table_iter *)it)->cursor, ahead, count);
}

/* ---- skip_older ---- */

struct skip {
    uint64_t sequence;
    struct lsmkv_slice bound; /* user key; NULL data: none */
    size_t bound_block;       /* no entry before this block is at or past the bound */
};

static bool
skip_ends_here(const struct table_iter *t, const struct skip *skip)
{
    if (internal_sequence(t->cursor.entry.key) > skip->sequence)
        return true;
    return skip->bound.data != NULL &&
           key_compare(order_of(t), internal_user_key(t->cursor.entry.key),
                       skip->bound) >= 0;
}

static int
skip_begin(const struct table_iter *t, uint64_t sequence, struct lsmkv_slice bound,
           struct skip *skip)
{
    struct keybuf target = {0}; /* the first internal key that `bound` can have */
    int result;

    *skip = (struct skip){
        .sequence = sequence, .bound = bound, .bound_block = block_count(t)};
    if (bound.data == NULL)
        return 0;
    result = keybuf_set_internal(&target, bound, SEQUENCE_MAX, 0xff);
    if (result == 0)
        skip->bound_block =
            table_index_find(&t->table->index, order_of(t), keybuf_slice(&target));
    keybuf_fini(&target);
    return result;
}

/* The first block from `i` on that must be looked into. */
static size_t
skip_blocks(const struct table_iter *t, const struct skip *skip, size_t i)
{
    if (t->table->properties.largest_sequence <= skip->sequence)
        return i < skip->bound_block ? skip->bound_block : i;
    while (i < skip->bound_block && index_entry(t, i)->largest_sequence <= skip->sequence)
        i++;
    return i;
}

/* Moves to the first entry of a later block that may end the skip. */
static void
skip_to_block(struct table_iter *t, size_t i)
{
    if (i >= block_count(t) || is_past_upper(t, i)) {
        stop(t, 0);
    } else if (enter_block_from(t, i)) {
        block_iter_first(&t->cursor);
        settle_forward(t);
    }
}

static void
table_iter_skip_older(struct iterator *it, uint64_t sequence, struct lsmkv_slice bound)
{
    struct table_iter *t = table_iter_of(it);
    struct skip skip;
    int result = skip_begin(t, sequence, bound, &skip);

    if (result != 0)
        stop(t, result);
    while (it->valid && !skip_ends_here(t, &skip)) {
        size_t i = skip_blocks(t, &skip, t->i);

        if (i == t->i) {
            block_iter_next(&t->cursor);
            if (show(t))
                continue;
            i = skip_blocks(t, &skip, t->i + 1);
        }
        skip_to_block(t, i);
    }
}

static void
table_iter_free(struct iterator *it)
{
    struct table_iter *t = table_iter_of(it);

    drop_block(t);
    block_run_fini(&t->run);
    block_iter_fini(&t->cursor);
    free(t);
}

static const struct iterator_ops table_iter_ops = {
    .seek = table_iter_seek,
    .seek_before = table_iter_seek_before,
    .first = table_iter_first,
    .last = table_iter_last,
    .next = table_iter_next,
    .prev = table_iter_prev,
    .skip_older = table_iter_skip_older,
    .free = table_iter_free,
    .approach = table_iter_approach,
    .peek = table_iter_peek,
};

int
table_iterate(struct table *table, enum table_walk walk, struct iterator **it)
{
    return table_iterate_to(table, walk, lsmkv_bytes(NULL, 0), it);
}

int
table_iterate_to(struct table *table, enum table_walk walk, struct lsmkv_slice upper,
                 struct iterator **it)
{
    struct table_iter *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    made->base.ops = &table_iter_ops;
    made->base.entry = &made->cursor.entry;
    made->table = table;
    made->walk = walk;
    made->upper = upper;
    *it = &made->base;
    return 0;
}
