/*
 * cursor.h - what a user of an iterator sees: keys that are alive at one sequence, within
 * bounds, each once, with its record.
 *
 * Embedded; one thread at a time.  All but `seeks` and `dead_skips` is private to
 * cursor.c.
 */
#ifndef ITER_CURSOR_H
#define ITER_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"
#include "iter/dead_ranges.h"
#include "iter/iterator.h"

/* Dead keys passed in a row, since the last one shown. */
struct dead_run {
    bool open;
    struct keybuf from; /* the first of them */
    size_t passed;      /* entries stepped over */
    size_t asked;       /* `passed` when the list was last asked */
};

/* What the cursor knows of the list of dead ranges. */
enum dead_known {
    DEAD_UNKNOWN, /* has not asked, or has left the range it knew */
    DEAD_AHEAD,   /* `range` is the next one */
    DEAD_INSIDE,  /* within `range` */
    DEAD_NONE,    /* asked, and there is none ahead */
};

struct cursor {
    /* Constant after cursor_init: */
    struct iterator *it;
    enum lsmkv_order order;
    uint64_t sequence;
    bool has_lower, has_upper;
    struct keybuf lower, upper;
    struct dead_ranges *dead; /* NULL: not remembered */

    /* What is shown: */
    bool valid;
    int status;
    struct lsmkv_slice key;
    struct lsmkv_record record;
    bool apart; /* its value is a blob reference */

    bool backwards;
    bool passing; /* forwards: `decided` is set */
    struct keybuf
        decided; /* forwards: whose further versions are passed; backwards: shown */
    struct keybuf payload; /* backwards: of what is shown */
    struct keybuf hidden;  /* the last key met with a version above the sequence */
    unsigned hidden_count; /* of such versions in a row */
    unsigned older_count;  /* of versions of `decided` in a row */
    struct keybuf target;  /* of a seek */
    struct dead_run run;
    enum dead_known known;
    struct dead_range range;

    uint64_t seeks;      /* of the iterator */
    uint64_t dead_skips; /* runs of dead entries jumped over */
};

/* A scan over `it`, which the cursor owns from here on (on failure it is freed), at a
 * sequence, from `lower` (included) to `upper` (left out); NULL data is no bound.  The
 * bounds are copied; `dead` (may be NULL) is borrowed.  It starts not valid.  -ENOMEM. */
int LSMKV_CHECKED cursor_init(struct cursor *cursor, struct iterator *it,
                              enum lsmkv_order order, uint64_t sequence,
                              struct lsmkv_slice lower, struct lsmkv_slice upper,
                              struct dead_ranges *dead);
/* A zeroed cursor is allowed. */
void cursor_fini(struct cursor *cursor);

/* These do what the functions of the public iterator do.  A key passed in may be the
 * cursor's own. */
void cursor_first(struct cursor *cursor);
void cursor_last(struct cursor *cursor);
void cursor_seek(struct cursor *cursor, struct lsmkv_slice key);
void cursor_seek_before(struct cursor *cursor, struct lsmkv_slice key);
/* These three need a valid cursor. */
void cursor_next(struct cursor *cursor);
void cursor_prev(struct cursor *cursor);
void cursor_skip_tree(struct cursor *cursor, struct lsmkv_slice key);

static inline bool
cursor_valid(const struct cursor *cursor)
{
    return cursor->valid;
}

/* 0, or what ended the walk: an error of a source, -EUCLEAN for a record that cannot be
 * parsed, -ENOMEM. */
static inline int LSMKV_CHECKED
cursor_status(const struct cursor *cursor)
{
    return cursor->status;
}

/* Both hold until the cursor moves. */
static inline struct lsmkv_slice
cursor_key(const struct cursor *cursor)
{
    return cursor->key;
}

/* As record_decode has it: of a value that stands apart it has the reference. */
static inline const struct lsmkv_record *
cursor_record(const struct cursor *cursor)
{
    return &cursor->record;
}

static inline bool
cursor_is_apart(const struct cursor *cursor)
{
    return cursor->apart;
}

/* As iterator_peek; nothing of a walk backwards. */
static inline size_t
cursor_peek(const struct cursor *cursor, struct iterator_ahead *ahead, size_t count)
{
    return cursor->backwards ? 0 : iterator_peek(cursor->it, ahead, count);
}

#endif
