/*
 * changes.c - which keys may differ between two sequences: those with an entry between
 * them.
 *
 *     sequence      1    3    5    7    9
 *     a             P              D         told: 7 lies in (4, 8]
 *     b             P                   P    not told: 9 is above `to`
 *     c                  P    P              told: 5 does
 *                           |         |
 *                      from, 4     to, 8
 *
 * H1  No key that differs is left out.  Both sequences are read points, so reading at
 *     either is right.  Say that of a key the entry e decides at `from`, or none does,
 *     and at `to` another one, f.  Then f is newer than e, and not at or below `from`,
 *     where it would decide as well: it lies between.  If at `to` the key is absent and e
 *     is a put, which is still there, then f is a tombstone, for reading at `to` finds it
 *     above e.  What a merge may drop is thus nothing to this walk, and it needs no list
 *     of what was deleted.
 * H2  Entries at or below `from` are passed unseen, by tables and blocks of which the
 *     largest sequence says so (skip_older of iter/iterator.h).
 */
#include <errno.h>
#include <stdlib.h>

#include "db/db.h"

#define ASKED_EVERY 1024u /* entries */

struct lsmkv_changes {
    struct lsmkv *db;
    struct view *view;
    struct iterator *it;
    enum lsmkv_order order;
    uint64_t from, to;
    struct keybuf lower, upper;
    bool bounded; /* there is an upper bound */
    bool begun;   /* the iterator stands on the entry that was looked at last */
    bool any;     /* `key` was told */
    struct keybuf key;
    int status;
    bool (*go_on)(void *context);
    void *context;
    unsigned looked_at; /* entries, since that was asked */
};

/* ---- making and freeing ---- */

void
lsmkv_changes_free(struct lsmkv_changes *changes)
{
    if (changes == NULL)
        return;
    iterator_free(changes->it);
    keybuf_fini(&changes->lower);
    keybuf_fini(&changes->upper);
    keybuf_fini(&changes->key);
    if (changes->view != NULL)
        view_unref(changes->view);
    files_delete_obsolete(changes->db); /* what only this walk kept */
    free(changes);
}

/* With room for one byte more, so that the data of an empty key is not NULL. */
static int
copy_key(struct keybuf *copy, struct lsmkv_slice key)
{
    int result = keybuf_reserve(copy, key.size + 1);

    return result == 0 ? keybuf_set(copy, key) : result;
}

static int
changes_init(struct lsmkv_changes *changes, const struct lsmkv_changes_options *options)
{
    struct lsmkv_slice upper = lsmkv_bytes(NULL, 0);
    int result = copy_key(&changes->lower, options->lower);

    if (result == 0 && options->upper.data != NULL) {
        result = copy_key(&changes->upper, options->upper);
        upper = keybuf_slice(&changes->upper);
        changes->bounded = true;
    }
    if (result == 0)
        result = view_iterate(changes->view, changes->order, TABLE_KEEPING, upper,
                              &changes->it);
    return result;
}

int
lsmkv_changes_new(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                  const struct lsmkv_changes_options *options, struct lsmkv_changes **out)
{
    struct lsmkv_changes *changes = calloc(1, sizeof(*changes));
    struct read_point point;
    int result;

    error_clear();
    if (changes == NULL)
        return -ENOMEM;
    tally_add(&db->reads, READ_ITERATORS, 1);
    point = read_point_take(db, keyspace, options->to);
    changes->db = db;
    changes->view = point.view;
    changes->order = point.keyspace->order;
    changes->from = options->from != NULL ? options->from->sequence : 0;
    changes->to = point.sequence;
    changes->go_on = options->go_on;
    changes->context = options->context;
    if (changes->from > changes->to)
        result = error_detail(-EINVAL, "the first snapshot is newer than the second");
    else
        result = changes_init(changes, options);
    if (result != 0)
        lsmkv_changes_free(changes);
    else
        *out = changes;
    return result;
}

/* ---- walking ---- */

/* To the first entry, or from the one that was looked at to the next. */
static void
step(struct lsmkv_changes *changes)
{
    struct keybuf target = {0};

    if (changes->begun) {
        iterator_next(changes->it);
        return;
    }
    changes->status =
        keybuf_set_internal(&target, keybuf_slice(&changes->lower), SEQUENCE_MAX, 0xff);
    if (changes->status == 0)
        iterator_seek(changes->it, keybuf_slice(&target));
    keybuf_fini(&target);
    changes->begun = true;
}

/* What lies between two keys that are told may be all that was written after `to`. */
static bool
is_stopped(struct lsmkv_changes *changes)
{
    if (++changes->looked_at < ASKED_EVERY)
        return false;
    changes->looked_at = 0;
    return changes->go_on != NULL && !changes->go_on(changes->context);
}

static bool
is_told(const struct lsmkv_changes *changes, struct lsmkv_slice key)
{
    return changes->any && slice_equal(key, keybuf_slice(&changes->key));
}

/* To the next entry that is newer than `from`, if there is one before the bound (H2). */
static void
find_newer(struct lsmkv_changes *changes, struct lsmkv_slice bound)
{
    struct iterator *it = changes->it;

    step(changes);
    if (changes->status == 0 && it->valid &&
        internal_sequence(it->entry->key) <= changes->from)
        iterator_skip_older(it, changes->from, bound);
    if (changes->status == 0)
        changes->status = it->status;
    if (changes->status == 0 && is_stopped(changes))
        changes->status = -ECANCELED;
}

bool
lsmkv_changes_next(struct lsmkv_changes *changes)
{
    struct lsmkv_slice bound = lsmkv_bytes(NULL, 0), key;
    struct iterator *it = changes->it;

    if (changes->bounded)
        bound = keybuf_slice(&changes->upper);
    if (changes->status != 0 || (changes->begun && !it->valid))
        return false;
    for (;;) {
        find_newer(changes, bound);
        if (changes->status != 0 || !it->valid)
            return false;
        key = internal_user_key(it->entry->key);
        if (changes->bounded && key_compare(changes->order, key, bound) >= 0)
            return false;
        if (internal_sequence(it->entry->key) <= changes->to && !is_told(changes, key))
            break;
    }
    changes->status = copy_key(&changes->key, key);
    changes->any = changes->status == 0;
    return changes->any;
}

int
lsmkv_changes_status(const struct lsmkv_changes *changes)
{
    return changes->status;
}

struct lsmkv_slice
lsmkv_changes_key(const struct lsmkv_changes *changes)
{
    return keybuf_slice(&changes->key);
}
