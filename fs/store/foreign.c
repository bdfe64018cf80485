/*
 * foreign.c - see foreign.h.
 *
 * Two records of `meta` are ours, integers little-endian:
 *
 *     key        value
 *     "closed"   8 the sequence that the store had when it was last closed in good order
 *     "foreign"  0 others than lsmfs may have written to the store
 *
 * V1  A store whose sequence is not that of "closed" was written to by somebody who did
 *     not go through lsmfs, or by a mount that was killed: nothing tells which.  It is
 *     foreign until a walk has seen all of one state of it.
 * V2  Neither a mount nor a command makes a key below a file.  So what a walk did not
 *     find in a state does not come about later in the same session.
 */
#include "store/foreign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/coding.h"
#include "store/key.h"

#define CLOSED_SIZE 8u

static int
sequence_of(struct store *store, uint64_t *sequence)
{
    struct lsmkv_stats stats;
    int result = lsmkv_get_stats(store->db, &stats);

    if (result == 0)
        *sequence = stats.sequence;
    return result;
}

/* V1; 1, 0 or an error. */
static int
was_closed_by_us(struct store *store)
{
    struct lsmkv_record record;
    uint64_t sequence = 0;
    uint8_t buffer[CLOSED_SIZE];
    int result = lsmkv_get(store->db, store->meta, NULL, lsmkv_str("closed"), buffer,
                           sizeof(buffer), &record);

    if (result == -ENOENT || result == -ERANGE)
        return store_is_empty(store);
    if (result < 0)
        return result;
    if (record.value.size != CLOSED_SIZE)
        return 0;
    result = sequence_of(store, &sequence);
    return result < 0 ? result : get_le64(record.value.data) == sequence;
}

int
foreign_find(struct store *store, bool *foreign)
{
    int result;

    *foreign = true;
    if (!store->meta)
        return 0;
    result = lsmkv_lookup(store->db, store->meta, NULL, lsmkv_str("foreign"), false, NULL,
                          0, NULL);
    if (result < 0 || result == LSMKV_EXACT)
        return result < 0 ? result : 0;
    result = was_closed_by_us(store);
    *foreign = result == 0;
    return result < 0 ? result : 0;
}

/* Removes one key and puts another: as removals, it gets through a full store. */
static int
replace(struct store *store, const char *old, const char *key, struct lsmkv_slice value,
        bool durable)
{
    struct lsmkv_batch *batch;
    int result = lsmkv_batch_new(&batch);

    if (result < 0)
        return result;
    result = lsmkv_batch_delete(batch, store->meta, lsmkv_str(old));
    if (result == 0 && key)
        result = lsmkv_batch_put(batch, store->meta, lsmkv_str(key), lsmkv_bytes(NULL, 0),
                                 value);
    if (result == 0)
        result = store_write(store, batch, durable);
    lsmkv_batch_free(batch);
    return result;
}

int
foreign_note(struct store *store)
{
    return replace(store, "closed", "foreign", lsmkv_bytes(NULL, 0), false);
}

int
foreign_note_closed(struct store *store)
{
    uint64_t sequence = 0;
    uint8_t value[CLOSED_SIZE];
    int result = sequence_of(store, &sequence);

    if (result < 0)
        return result;
    put_le64(value, sequence + 2); /* this batch's own */
    return replace(store, "none", "closed", lsmkv_bytes(value, sizeof(value)), true);
}

/* ---- the walk ---- */

struct walk {
    uint8_t bytes[LSMKV_KEY_MAX];
    struct lsmkv_slice file; /* the file passed last, in `bytes` */
    bool any;
};

/* Keys below a file follow it at once in the order of paths.  -EEXIST: here is one.  A
 * value that is none of ours says by itself that it has to be looked below. */
static int
walk_at(struct walk *walk, struct store *store, struct lsmkv_iter *iter)
{
    struct lsmkv_slice key = lsmkv_iter_key(iter);
    struct attr attr;
    int result;

    if (walk->any && key_is_below(key, walk->file))
        return -EEXIST;
    walk->any = false;
    result = attr_decode(lsmkv_iter_record(iter), &store->defaults, &attr);
    if (result < 0 || attr.plain || S_ISDIR(attr.mode) || key.size == 0)
        return result;
    walk->any = true;
    memcpy(walk->bytes, key.data, key.size);
    walk->file = lsmkv_bytes(walk->bytes, key.size);
    return 0;
}

static int
walk_all(struct store *store, struct walk *walk, const _Atomic bool *stop)
{
    struct lsmkv_iter_options options = {.lazy_values = true};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(store->db, store->files, &options, &iter);

    if (result < 0)
        return result;
    for (lsmkv_iter_first(iter); result == 0 && lsmkv_iter_valid(iter);
         lsmkv_iter_next(iter))
        result = *stop ? -ECANCELED : walk_at(walk, store, iter);
    if (result == 0)
        result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

int
foreign_walk(struct store *store, const _Atomic bool *stop)
{
    struct walk *walk = malloc(sizeof(*walk));
    int result;

    if (!walk)
        return -ENOMEM;
    walk->any = false;
    result = walk_all(store, walk, stop);
    free(walk);
    return result < 0 ? result
                      : replace(store, "foreign", NULL, lsmkv_bytes(NULL, 0), false);
}
