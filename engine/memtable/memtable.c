/*
 * memtable.c - the newest entries of one keyspace: a skip list (skiplist.c) of records,
 * a filter of their keys, what readers ask of it, and the iterator over it.
 *
 * T1  largest_sequence is stored before the entry is linked: whoever may read a sequence
 *     finds it there or above.
 * T2  The filter, while it is asked, has the keys of all entries that may be read: one of an
 *     entry is added before the entry's sequence is published, those of earlier ones
 *     before the filter is.
 */
#include "memtable/memtable.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/record.h"
#include "memtable/key_filter.h"
#include "memtable/skiplist.h"
#include "table/filter.h"

#define FILTERED_FROM 1024u /* entries; fewer are searched in cached memory */
#define FILTER_PART   64u   /* of the bytes expected, at most */
#define SLOT_SIZE     50u   /* about what an entry takes beside its key and payload */
#define ANCESTORS_MAX 128u  /* of a key, new ones; each is hashed from its beginning */

struct memtable {
    struct skiplist list;
    _Atomic uint64_t largest_sequence;
    _Atomic size_t count;
    struct key_filter filter;

    /* The writer's alone. */
    size_t expected;
    size_t hashes;               /* in the filter */
    struct lsmkv_slice filtered; /* the key that it got last */
};

int
memtable_new(struct block_pool *pool, enum lsmkv_order order, size_t expected,
             struct memtable **out)
{
    struct memtable *memtable = calloc(1, sizeof(*memtable));

    if (memtable == NULL)
        return -ENOMEM;
    if (skiplist_init(&memtable->list, pool, order) != 0) {
        free(memtable);
        return -ENOMEM;
    }
    memtable->expected = expected;
    *out = memtable;
    return 0;
}

void
memtable_free(struct memtable *memtable)
{
    if (memtable == NULL)
        return;
    key_filter_fini(&memtable->filter, memtable->list.arena.pool);
    skiplist_fini(&memtable->list);
    free(memtable);
}

/* ---- the filter ---- */

/* Adds to `filter`, unless that is NULL, the hashes that a key brings which is put after `previous`, and
 * to *count how many are new.  False: too many, and it need not have all. */
static bool
add_key(struct key_filter *filter, enum lsmkv_order order, struct lsmkv_slice previous,
        struct lsmkv_slice key, size_t *count)
{
    size_t at, ancestors = 0;

    if (previous.data != NULL && slice_equal(previous, key))
        return true; /* another version */
    *count += filter == NULL || key_filter_add(filter, filter_hash(key));
    if (order != LSMKV_ORDER_PATH)
        return true;
    for (at = filter_ancestor_first(previous, key); at < key.size;
         at = filter_ancestor_next(key, at)) {
        if (++ancestors > ANCESTORS_MAX)
            return false;
        *count += filter == NULL ||
                  key_filter_add(filter, filter_hash(lsmkv_bytes(key.data, at)));
    }
    return true;
}

/* Adds what there is in the list, as add_key; sets *bytes to what it takes there. */
static bool
add_list(const struct memtable *memtable, struct key_filter *filter, size_t *count,
         size_t *bytes)
{
    struct lsmkv_slice previous = {NULL, 0};
    struct place at = skiplist_first(&memtable->list);

    *count = *bytes = 0;
    for (; at.node != NULL; at = skiplist_next(&memtable->list, &at)) {
        if (!add_key(filter, memtable->list.order, previous, node_user_key(at.node),
                     count))
            return false;
        previous = node_user_key(at.node);
        *bytes += SLOT_SIZE + at.node->key_size + at.node->payload_size;
    }
    return true;
}

void
memtable_forgo_filter(struct memtable *memtable)
{
    memtable->expected = 0;
}

/* As large as it takes if all that is to come is like what there is; but if that is one key over and
 * over, others may follow.  Where it cannot be made, all is searched without. */
static void
make_filter(struct memtable *memtable)
{
    struct key_filter *filter = &memtable->filter;
    size_t bytes, likely;

    if (!add_list(memtable, NULL, &memtable->hashes, &bytes))
        return;
    likely = memtable->hashes > FILTERED_FROM ? memtable->hashes : FILTERED_FROM;
    if (!key_filter_make(filter, memtable->list.arena.pool,
                         likely * (memtable->expected / bytes + 1),
                         memtable->expected / FILTER_PART))
        return;
    (void)add_list(memtable, filter, &memtable->hashes, &bytes);
    key_filter_publish(filter);
}

/* The entry is linked and counted, but may not be read yet (T2).  A filter that has become too full
 * to tell anything, or would cost too much, is given up. */
static void
note_key(struct memtable *memtable, struct lsmkv_slice key)
{
    struct key_filter *filter = &memtable->filter;

    if (memtable_count(memtable) == FILTERED_FROM && memtable->expected > 0)
        make_filter(memtable);
    else if (key_filter_is_made(filter) &&
             (!add_key(filter, memtable->list.order, memtable->filtered, key,
                       &memtable->hashes) ||
              key_filter_is_full(filter, memtable->hashes)))
        key_filter_give_up(filter);
    memtable->filtered = key;
}

/* ---- adding ---- */

/* Only the writer changes it, so that load and store need not be one step. */
static void
note_sequence(struct memtable *memtable, uint64_t sequence)
{
    if (sequence >
        atomic_load_explicit(&memtable->largest_sequence, memory_order_relaxed))
        atomic_store_explicit(&memtable->largest_sequence, sequence,
                              memory_order_relaxed);
}

int
memtable_add(struct memtable *memtable, struct lsmkv_slice key, uint64_t sequence,
             uint8_t kind, const struct lsmkv_record *record)
{
    struct node *node;
    int result;

    assert(key.size <= LSMKV_KEY_MAX && sequence <= SEQUENCE_MAX);
    node = skiplist_new_node(&memtable->list, key, trailer_pack(sequence, kind),
                             record_payload_size(kind, record));
    if (node == NULL)
        return -ENOMEM;
    record_encode(node_payload_room(node), kind, record);
    note_sequence(memtable, sequence);
    result = skiplist_link(&memtable->list, node);
    if (result != 0)
        return result;
    atomic_store_explicit(&memtable->count, memtable_count(memtable) + 1,
                          memory_order_relaxed);
    note_key(memtable, node_user_key(node));
    return 0;
}

int
memtable_reserve(struct memtable *memtable, size_t bytes, size_t count)
{
    return skiplist_reserve(&memtable->list, bytes, count);
}

/* ---- asking ---- */

size_t
memtable_memory(const struct memtable *memtable)
{
    return arena_memory(&memtable->list.arena) +
           atomic_load_explicit(&memtable->filter.memory, memory_order_relaxed);
}

size_t
memtable_count(const struct memtable *memtable)
{
    return atomic_load_explicit(&memtable->count, memory_order_relaxed);
}

bool
memtable_is_empty(const struct memtable *memtable)
{
    return memtable_count(memtable) == 0;
}

static void
set_hit(struct memtable_hit *hit, const struct node *node)
{
    hit->key = node_internal_key(node);
    hit->payload = node_payload(node);
}

bool
memtable_get(const struct memtable *memtable, struct lsmkv_slice key, uint64_t hash,
             uint64_t sequence, struct memtable_hit *hit)
{
    const struct node *node, *before;

    *hit = (struct memtable_hit){0};
    if (key.size > 0 && !key_filter_may_contain(&memtable->filter, hash))
        return false;
    node =
        skiplist_find(&memtable->list, key, trailer_pack(sequence, 0xff), &before).node;
    if (node == NULL)
        return false;
    set_hit(hit, node);
    return slice_equal(node_user_key(node), key);
}

/* The first entry at or after an internal key. */
static struct place
find(const struct memtable *memtable, struct lsmkv_slice internal,
     const struct node **before)
{
    return skiplist_find(&memtable->list, internal_user_key(internal),
                         internal_trailer(internal), before);
}

bool
memtable_ceiling(const struct memtable *memtable, struct lsmkv_slice internal,
                 struct memtable_hit *hit)
{
    const struct node *before;
    const struct node *node = find(memtable, internal, &before).node;

    if (node == NULL)
        return false;
    set_hit(hit, node);
    return true;
}

/* ---- iterating ---- */

struct memtable_iterator {
    struct iterator base;
    struct iterator_entry entry;
    const struct memtable *memtable;
    struct place at; /* without a node: not valid */
};

static struct memtable_iterator *
iterator_of(struct iterator *it)
{
    return (struct memtable_iterator *)it;
}

static void
stand_on(struct memtable_iterator *it, struct place place)
{
    it->at = place;
    it->base.valid = place.node != NULL;
    if (place.node == NULL)
        return;
    it->entry.key = node_internal_key(place.node);
    it->entry.payload = node_payload(place.node);
}

static struct place
place_at(const struct node *node)
{
    struct place place = {.node = node};

    return place;
}

static void
seek(struct iterator *base, struct lsmkv_slice internal)
{
    struct memtable_iterator *it = iterator_of(base);
    const struct node *before;

    stand_on(it, find(it->memtable, internal, &before));
}

static void
seek_before(struct iterator *base, struct lsmkv_slice internal)
{
    struct memtable_iterator *it = iterator_of(base);
    const struct node *before;
    struct place found = find(it->memtable, internal, &before);

    if (found.node != NULL && slice_equal(node_internal_key(found.node), internal))
        stand_on(it, found);
    else
        stand_on(it, place_at(before));
}

static void
first(struct iterator *base)
{
    struct memtable_iterator *it = iterator_of(base);

    stand_on(it, skiplist_first(&it->memtable->list));
}

static void
last(struct iterator *base)
{
    struct memtable_iterator *it = iterator_of(base);

    stand_on(it, place_at(skiplist_last(&it->memtable->list)));
}

static void
next(struct iterator *base)
{
    struct memtable_iterator *it = iterator_of(base);

    assert(base->valid);
    stand_on(it, skiplist_next(&it->memtable->list, &it->at));
}

/* By a search: links backwards could not be kept in step with those forwards. */
static void
prev(struct iterator *base)
{
    struct memtable_iterator *it = iterator_of(base);
    const struct node *before;

    assert(base->valid);
    find(it->memtable, base->entry->key, &before);
    stand_on(it, place_at(before));
}

static bool
reaches(const struct memtable_iterator *it, struct lsmkv_slice bound)
{
    if (bound.data == NULL)
        return false;
    return key_compare(it->memtable->list.order, node_user_key(it->at.node), bound) >= 0;
}

static void
skip_older(struct iterator *base, uint64_t sequence, struct lsmkv_slice bound)
{
    struct memtable_iterator *it = iterator_of(base);
    const struct memtable *memtable = it->memtable;
    const struct node *before;

    assert(base->valid);
    if (internal_sequence(base->entry->key) > sequence || reaches(it, bound))
        return;
    if (atomic_load_explicit(&memtable->largest_sequence, memory_order_relaxed) <=
        sequence) {
        stand_on(it, bound.data == NULL
                         ? place_at(NULL)
                         : skiplist_find(&memtable->list, bound, UINT64_MAX, &before));
        return;
    }
    while (base->valid && internal_sequence(base->entry->key) <= sequence &&
           !reaches(it, bound))
        stand_on(it, skiplist_next(&it->memtable->list, &it->at));
}

static void
release(struct iterator *base)
{
    free(iterator_of(base));
}

static const struct iterator_ops memtable_iterator_ops = {
    .seek = seek,
    .seek_before = seek_before,
    .first = first,
    .last = last,
    .next = next,
    .prev = prev,
    .skip_older = skip_older,
    .free = release,
};

int
memtable_iterate(const struct memtable *memtable, struct iterator **out)
{
    struct memtable_iterator *it = calloc(1, sizeof(*it));

    if (it == NULL)
        return -ENOMEM;
    it->base.ops = &memtable_iterator_ops;
    it->base.entry = &it->entry;
    it->memtable = memtable;
    *out = &it->base;
    return 0;
}
