/*
 * cursor.c - from entries to keys: the newest version at or below the sequence decides.
 *
 *     a  9 put    <- above the sequence: hidden
 *     a  5 put    <- the newest at or below it: decides, shown
 *     a  3 put    <- older: passed
 *     b  4 delete <- decides: dead
 *     b  2 put    <- older: passed                            (sequence of the scan: 7)
 *
 * Forwards the iterator stands on the entry that is shown, and key and record borrow from
 * it.  Backwards the versions of a key come oldest first; the iterator stands before all
 * of them, and key and payload are copies.  Where many versions of one key stand in a
 * row, a seek passes them, so that a key written a million times costs a scan no more
 * than a few.
 *
 * C1  Forwards, while a run is open, every key from run.from up to the iterator is dead
 *     at the cursor's sequence, and `decided` is the last of them that had a tombstone.
 * C2  A run becomes a dead range only as far as it was wholly passed, within the bounds.
 * C3  Entries are skipped unseen only inside a range of a sequence r at or below the
 *     cursor's, and only those at or below r.
 */
#include "iter/cursor.h"

#include <assert.h>
#include <errno.h>

#include "base/record.h"

#define STEPS_MAX 8u  /* entries passed one by one before a seek is cheaper */
#define DEAD_MANY 64u /* dead entries in a row worth remembering */

static struct lsmkv_slice
current_key(const struct cursor *cursor)
{
    return internal_user_key(cursor->it->entry->key);
}

static uint64_t
current_sequence(const struct cursor *cursor)
{
    return internal_sequence(cursor->it->entry->key);
}

static int
compare(const struct cursor *cursor, struct lsmkv_slice a, struct lsmkv_slice b)
{
    return key_compare(cursor->order, a, b);
}

static bool
reaches_upper(const struct cursor *cursor, struct lsmkv_slice key)
{
    return cursor->has_upper && compare(cursor, key, keybuf_slice(&cursor->upper)) >= 0;
}

static bool
misses_lower(const struct cursor *cursor, struct lsmkv_slice key)
{
    return cursor->has_lower && compare(cursor, key, keybuf_slice(&cursor->lower)) < 0;
}

static void
stop(struct cursor *cursor, int status)
{
    cursor->valid = false;
    cursor->status = status;
}

/* Copies a key; if there is no memory for it, that is the status. */
static bool
keep(struct cursor *cursor, struct keybuf *buf, struct lsmkv_slice key)
{
    int result = keybuf_set(buf, key);

    if (result != 0)
        stop(cursor, result);
    return result == 0;
}

/* ---- moving the iterator ---- */

static bool
aim(struct cursor *cursor, struct lsmkv_slice key, uint64_t sequence, uint8_t kind)
{
    int result = keybuf_set_internal(&cursor->target, key, sequence, kind);

    cursor->seeks++;
    if (result != 0)
        stop(cursor, result);
    return result == 0;
}

/* To the newest version of the key that the cursor may see, or what comes after it. */
static void
go_to(struct cursor *cursor, struct lsmkv_slice key)
{
    if (aim(cursor, key, cursor->sequence, 0xff))
        iterator_seek(cursor->it, keybuf_slice(&cursor->target));
}

/* To what comes after every version of the key. */
static void
go_after(struct cursor *cursor, struct lsmkv_slice key)
{
    if (aim(cursor, key, 0, 0))
        iterator_seek(cursor->it, keybuf_slice(&cursor->target));
}

/* To the last entry before every version of the key. */
static void
go_before(struct cursor *cursor, struct lsmkv_slice key)
{
    if (aim(cursor, key, SEQUENCE_MAX, 0xff))
        iterator_seek_before(cursor->it, keybuf_slice(&cursor->target));
}

/* To the last entry of the key or before it. */
static void
go_to_last(struct cursor *cursor, struct lsmkv_slice key)
{
    if (aim(cursor, key, 0, 0))
        iterator_seek_before(cursor->it, keybuf_slice(&cursor->target));
}

/* ---- dead ranges ---- */

/* Asks the list for a range around the key or ahead of it. */
static void
ask(struct cursor *cursor, struct lsmkv_slice key)
{
    cursor->known = dead_ranges_find(cursor->dead, key, cursor->sequence, &cursor->range)
                        ? DEAD_AHEAD
                        : DEAD_NONE;
    cursor->run.asked = cursor->run.passed;
}

/* Whether a dead key is inside a known range.  Asks when it does not know, and again each
 * time that many dead entries have been passed: another scan may have learnt of them. */
static bool
enters_range(struct cursor *cursor, struct lsmkv_slice key)
{
    if (cursor->dead == NULL)
        return false;
    if (cursor->known == DEAD_UNKNOWN ||
        cursor->run.passed - cursor->run.asked >= DEAD_MANY ||
        (cursor->known == DEAD_AHEAD &&
         compare(cursor, key, keybuf_slice(&cursor->range.to)) >= 0))
        ask(cursor, key);
    if (cursor->known == DEAD_AHEAD &&
        compare(cursor, keybuf_slice(&cursor->range.from), key) <= 0)
        cursor->known = DEAD_INSIDE;
    return cursor->known == DEAD_INSIDE;
}

/* Inside a range, jumps from an entry that is old enough (C3).  False: it has not
 * moved. */
static bool
skip_range(struct cursor *cursor, struct lsmkv_slice key)
{
    struct lsmkv_slice bound;

    if (cursor->known != DEAD_INSIDE)
        return false;
    bound = keybuf_slice(&cursor->range.to);
    if (compare(cursor, key, bound) >= 0) {
        cursor->known = DEAD_UNKNOWN;
        return false;
    }
    if (current_sequence(cursor) > cursor->range.sequence)
        return false;
    if (reaches_upper(cursor, bound))
        bound = keybuf_slice(&cursor->upper);
    iterator_skip_older(cursor->it, cursor->range.sequence, bound);
    cursor->dead_skips++;
    return true;
}

/* The run ends before `to`: everything from its first key up to there was passed (C2). */
static void
end_run(struct cursor *cursor, struct lsmkv_slice to)
{
    struct dead_run *run = &cursor->run;

    if (run->open && run->passed >= DEAD_MANY && cursor->dead != NULL)
        dead_ranges_add(cursor->dead, keybuf_slice(&run->from), to, cursor->sequence);
    run->open = false;
}

/* The run ends with the data: right behind its last key, which is where the lowest byte
 * of the order follows it. */
static void
end_run_with_data(struct cursor *cursor)
{
    const char *lowest = cursor->order == LSMKV_ORDER_PATH ? "/" : "\0";

    if (!cursor->run.open)
        return;
    if (keybuf_set(&cursor->target, keybuf_slice(&cursor->decided)) == 0 &&
        keybuf_append(&cursor->target, lsmkv_bytes(lowest, 1)) == 0)
        end_run(cursor, keybuf_slice(&cursor->target));
}

/* ---- forwards ---- */

/* A version above the sequence. */
static void
pass_hidden(struct cursor *cursor, struct lsmkv_slice key)
{
    if (cursor->hidden_count > 0 && slice_equal(key, keybuf_slice(&cursor->hidden))) {
        if (++cursor->hidden_count < STEPS_MAX) {
            iterator_next(cursor->it);
        } else {
            cursor->hidden_count = 0;
            go_to(cursor, key);
        }
    } else if (keep(cursor, &cursor->hidden, key)) {
        cursor->hidden_count = 1;
        iterator_next(cursor->it);
    }
}

/* A version of a key that a newer one has decided. */
static void
pass_older(struct cursor *cursor)
{
    if (cursor->run.open)
        cursor->run.passed++;
    if (++cursor->older_count < STEPS_MAX) {
        iterator_next(cursor->it);
    } else {
        cursor->older_count = 0;
        go_after(cursor, keybuf_slice(&cursor->decided));
    }
}

static void
pass_tombstone(struct cursor *cursor, struct lsmkv_slice key)
{
    struct dead_run *run = &cursor->run;

    if (!keep(cursor, &cursor->decided, key))
        return;
    if (!run->open) {
        if (!keep(cursor, &run->from, key))
            return;
        run->open = true;
        run->passed = 0;
        run->asked = 0;
    }
    cursor->passing = true;
    cursor->older_count = 0;
    if (enters_range(cursor, key) && skip_range(cursor, key))
        return;
    run->passed++;
    iterator_next(cursor->it);
}

/* Shows what the bytes say. */
static inline void
show(struct cursor *cursor, struct lsmkv_slice key, uint64_t trailer,
     struct lsmkv_slice payload)
{
    int result = record_decode((uint8_t)trailer, trailer >> 8, payload, &cursor->record);

    cursor->key = key;
    cursor->apart = kind_is_apart((uint8_t)trailer);
    cursor->valid = result == 0;
    cursor->status = result;
}

/* Looks at the entry under the iterator: passes it, or ends the search.  True: go on. */
static bool
look(struct cursor *cursor)
{
    struct iterator *it = cursor->it;
    struct lsmkv_slice key = current_key(cursor);

    /* What is most often passed is asked for first: it is no further than what was shown. */
    if (cursor->passing && cursor->known != DEAD_INSIDE &&
        slice_equal(key, keybuf_slice(&cursor->decided))) {
        pass_older(cursor);
        return true;
    }
    if (reaches_upper(cursor, key)) {
        end_run(cursor, keybuf_slice(&cursor->upper));
        return false;
    }
    if (skip_range(cursor, key))
        return true;
    if (current_sequence(cursor) > cursor->sequence) {
        pass_hidden(cursor, key);
    } else if (cursor->passing && slice_equal(key, keybuf_slice(&cursor->decided))) {
        pass_older(cursor);
    } else if (internal_kind(it->entry->key) == KIND_DELETE) {
        pass_tombstone(cursor, key);
    } else {
        end_run(cursor, key);
        show(cursor, key, internal_trailer(it->entry->key), it->entry->payload);
        return false;
    }
    return true;
}

/* Shows the first living key from the iterator's entry on. */
static void
find_forwards(struct cursor *cursor)
{
    if (cursor->status != 0)
        return;
    cursor->run.open = false;
    cursor->hidden_count = 0;
    cursor->older_count = 0;
    for (;;) {
        if (!cursor->it->valid) {
            stop(cursor, cursor->it->status);
            if (cursor->status == 0)
                end_run_with_data(cursor);
            return;
        }
        if (!look(cursor) || cursor->status != 0)
            return;
    }
}

/* A new walk forwards, from wherever the iterator will be put. */
static void
start_forwards(struct cursor *cursor)
{
    stop(cursor, 0);
    cursor->backwards = false;
    cursor->passing = false;
    cursor->known = DEAD_UNKNOWN;
}

void
cursor_first(struct cursor *cursor)
{
    start_forwards(cursor);
    if (cursor->has_lower) {
        go_to(cursor, keybuf_slice(&cursor->lower));
    } else {
        cursor->seeks++;
        iterator_first(cursor->it);
    }
    find_forwards(cursor);
}

void
cursor_seek(struct cursor *cursor, struct lsmkv_slice key)
{
    start_forwards(cursor);
    if (misses_lower(cursor, key))
        key = keybuf_slice(&cursor->lower);
    if (reaches_upper(cursor, key))
        return;
    go_to(cursor, key);
    find_forwards(cursor);
}

/* Copies the key that is shown to `decided`, word by word: behind it, forwards, its trailer
 * stands. */
static bool
keep_shown(struct cursor *cursor)
{
    const uint8_t *from = cursor->key.data;
    const size_t size = cursor->key.size;
    uint8_t *to;

    if (keybuf_reserve(&cursor->decided, size + KEY_TRAILER_SIZE) != 0) {
        stop(cursor, -ENOMEM);
        return false;
    }
    to = cursor->decided.data;
    for (size_t i = 0; i < size; i += KEY_TRAILER_SIZE)
        put_u64(to + i, get_u64(from + i));
    cursor->decided.size = size;
    return true;
}

/* Shows the entry that the iterator has stepped to, if there is nothing about it, as with nearly
 * all: the first of its key, to be seen, alive.  False: it has to be looked at. */
static bool
show_next(struct cursor *cursor)
{
    struct lsmkv_slice key;
    uint64_t trailer;

    if (!cursor->it->valid || cursor->known == DEAD_INSIDE)
        return false;
    key = current_key(cursor);
    trailer = internal_trailer(cursor->it->entry->key);
    if (slice_equal(key, keybuf_slice(&cursor->decided)) || reaches_upper(cursor, key) ||
        trailer >> 8 > cursor->sequence || !kind_is_put((uint8_t)trailer))
        return false;
    show(cursor, key, trailer, cursor->it->entry->payload);
    return true;
}

void
cursor_next(struct cursor *cursor)
{
    assert(cursor->valid);
    if (cursor->backwards) { /* then `decided` is the key shown */
        start_forwards(cursor);
        go_after(cursor, keybuf_slice(&cursor->decided));
    } else {
        if (!keep_shown(cursor))
            return;
        iterator_next(cursor->it);
        if (show_next(cursor))
            return;
        stop(cursor, 0);
    }
    cursor->passing = true;
    find_forwards(cursor);
}

/* Steps to the first entry at or past a key.  False: it is further, or behind. */
static bool
step_to(struct cursor *cursor, struct lsmkv_slice key)
{
    struct iterator *it = cursor->it;

    if (cursor->backwards) {
        start_forwards(cursor);
        return false;
    }
    for (unsigned i = 0; i < STEPS_MAX && it->valid; i++) {
        if (compare(cursor, current_key(cursor), key) >= 0)
            return true;
        iterator_next(it);
    }
    return !it->valid || compare(cursor, current_key(cursor), key) >= 0;
}

/* The key's tree ends before the key followed by NUL (K1 of base/key.h). */
void
cursor_skip_tree(struct cursor *cursor, struct lsmkv_slice key)
{
    struct lsmkv_slice end;

    assert(cursor->valid && cursor->order == LSMKV_ORDER_PATH);
    stop(cursor, 0);
    if (key.size == 0) /* all other keys are below it */
        return;
    if (!keep(cursor, &cursor->decided, key))
        return;
    if (keybuf_append(&cursor->decided, lsmkv_bytes("", 1)) != 0) {
        stop(cursor, -ENOMEM);
        return;
    }
    end = keybuf_slice(&cursor->decided);
    if (reaches_upper(cursor, end))
        return;
    if (!step_to(cursor, end))
        go_to(cursor, end);
    cursor->passing = false;
    find_forwards(cursor);
}

/* ---- backwards ---- */

/* Keeps the entry under the iterator. */
static bool
keep_entry(struct cursor *cursor, uint64_t *trailer)
{
    *trailer = internal_trailer(cursor->it->entry->key);
    return keep(cursor, &cursor->payload, cursor->it->entry->payload);
}

static bool
on_decided(const struct cursor *cursor)
{
    return cursor->it->valid &&
           slice_equal(current_key(cursor), keybuf_slice(&cursor->decided));
}

/* Too many versions: finds the one that decides from the other side. */
static void
jump_versions(struct cursor *cursor, uint64_t *trailer)
{
    go_to(cursor, keybuf_slice(&cursor->decided));
    if (cursor->status == 0 && on_decided(cursor))
        keep_entry(cursor, trailer);
    if (cursor->status == 0 && cursor->it->status == 0)
        go_before(cursor, keybuf_slice(&cursor->decided));
}

/* Walks back over the versions of `decided` and keeps the newest that may be seen.
 * Returns its trailer; one of a tombstone if there is none. */
static uint64_t
newest_version(struct cursor *cursor)
{
    uint64_t trailer = trailer_pack(0, KIND_DELETE);
    unsigned steps = 0;

    while (cursor->status == 0 && on_decided(cursor)) {
        if (++steps == STEPS_MAX) {
            jump_versions(cursor, &trailer);
            break;
        }
        if (current_sequence(cursor) <= cursor->sequence && !keep_entry(cursor, &trailer))
            break;
        iterator_prev(cursor->it);
    }
    if (cursor->status == 0)
        stop(cursor, cursor->it->status);
    return trailer;
}

/* Shows the last living key from the iterator's entry back. */
static void
find_backwards(struct cursor *cursor)
{
    if (cursor->status != 0)
        return;
    for (;;) {
        uint64_t trailer;

        if (!cursor->it->valid) {
            stop(cursor, cursor->it->status);
            return;
        }
        if (misses_lower(cursor, current_key(cursor)) ||
            !keep(cursor, &cursor->decided, current_key(cursor)))
            return;
        trailer = newest_version(cursor);
        if (cursor->status != 0)
            return;
        if (kind_is_put((uint8_t)trailer)) {
            show(cursor, keybuf_slice(&cursor->decided), trailer,
                 keybuf_slice(&cursor->payload));
            return;
        }
    }
}

static void
start_backwards(struct cursor *cursor)
{
    stop(cursor, 0);
    cursor->backwards = true;
    cursor->known = DEAD_UNKNOWN;
}

void
cursor_last(struct cursor *cursor)
{
    start_backwards(cursor);
    if (cursor->has_upper) {
        go_before(cursor, keybuf_slice(&cursor->upper));
    } else {
        cursor->seeks++;
        iterator_last(cursor->it);
    }
    find_backwards(cursor);
}

void
cursor_seek_before(struct cursor *cursor, struct lsmkv_slice key)
{
    if (reaches_upper(cursor, key)) {
        cursor_last(cursor);
        return;
    }
    start_backwards(cursor);
    go_to_last(cursor, key);
    find_backwards(cursor);
}

void
cursor_prev(struct cursor *cursor)
{
    assert(cursor->valid);
    if (cursor->backwards) {
        stop(cursor, 0);
    } else {
        start_backwards(cursor);
        go_before(cursor, cursor->key);
    }
    find_backwards(cursor);
}

/* ---- making ---- */

int
cursor_init(struct cursor *cursor, struct iterator *it, enum lsmkv_order order,
            uint64_t sequence, struct lsmkv_slice lower, struct lsmkv_slice upper,
            struct dead_ranges *dead)
{
    int result;

    *cursor = (struct cursor){
        .it = it,
        .order = order,
        .sequence = sequence,
        .has_lower = lower.data != NULL,
        .has_upper = upper.data != NULL,
        .dead = dead,
    };
    result = keybuf_set(&cursor->lower, lower);
    if (result == 0)
        result = keybuf_set(&cursor->upper, upper);
    if (result != 0)
        cursor_fini(cursor);
    return result;
}

void
cursor_fini(struct cursor *cursor)
{
    iterator_free(cursor->it);
    keybuf_fini(&cursor->lower);
    keybuf_fini(&cursor->upper);
    keybuf_fini(&cursor->decided);
    keybuf_fini(&cursor->payload);
    keybuf_fini(&cursor->hidden);
    keybuf_fini(&cursor->target);
    keybuf_fini(&cursor->run.from);
    dead_range_fini(&cursor->range);
    cursor->it = NULL;
}
