/*
 * view.c - generations of memtables, and the views readers hold.
 *
 * A view lists one keyspace's memtables, newest first, and its version.  Whoever holds a
 * view sees all entries up to any sequence published before it was taken, without a lock:
 * what freezes, is flushed or merged meanwhile makes new views and leaves this one alone
 * (D3).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "db/db.h"
#include "iter/merge.h"
#include "table/blob.h"

/* ---- generations ---- */

/* What a memtable may come to if each keyspace has its part: so all their filters together are as
 * small a part of the buffer as the filter of one. */
static size_t
expected_size(const struct lsmkv *db)
{
    size_t keyspaces = 0;

    for (const struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        keyspaces++;
    return db->options.write_buffer_size / (keyspaces > 0 ? keyspaces : 1);
}

int
generation_add_keyspace(struct lsmkv *db, struct generation *generation,
                        uint32_t keyspace, enum lsmkv_order order)
{
    struct generation_slot *slots =
        realloc(generation->slots, (generation->count + 1) * sizeof(*slots));
    int result;

    if (slots == NULL)
        return -ENOMEM;
    generation->slots = slots;
    slots[generation->count] = (struct generation_slot){.keyspace = keyspace};
    result = memtable_new(&db->pool, order, expected_size(db),
                          &slots[generation->count].memtable);
    if (result == 0)
        generation->count++;
    return result;
}

void
generation_take_back(struct generation *generation, uint32_t keyspace)
{
    if (generation->count > 0 &&
        generation->slots[generation->count - 1].keyspace == keyspace)
        memtable_free(generation->slots[--generation->count].memtable);
}

static void
generation_ref(struct generation *generation)
{
    atomic_fetch_add_explicit(&generation->refs, 1, memory_order_relaxed);
}

int
generation_refer(struct generation *generation, uint32_t keyspace, uint64_t number,
                 uint64_t size)
{
    const struct table_blob blob = {.number = number};
    struct generation_blob *blobs;
    int result = 0;

    for (size_t i = 0; i < generation->blob_count; i++) {
        struct generation_blob *known = &generation->blobs[i];

        if (known->number == number && known->keyspace == keyspace) {
            if (known->size < size)
                known->size = size;
            return 0;
        }
    }
    if (generation->blob_count == GENERATION_BLOBS_MAX)
        return -EUCLEAN;
    blobs = reallocarray(generation->blobs, generation->blob_count + 1, sizeof(*blobs));
    if (blobs == NULL)
        return -ENOMEM;
    generation->blobs = blobs;
    result = blob_files_ref(generation->db->blobs, keyspace, &blob, 1);
    if (result == 0)
        blobs[generation->blob_count++] = (struct generation_blob){
            .number = number, .size = size, .keyspace = keyspace};
    return result;
}

/* One that was flushed: tables have what they need of it (L3 of direct.h). */
static void
unref_blob(struct generation *generation, struct generation_blob *blob)
{
    struct file_reaper *reaper = &generation->db->obsolete.reaper;

    if (blob_files_unref(generation->db->blobs, blob->number) && generation->flushed)
        reaper->reap(reaper, FILE_BLOB, blob->number);
}

void
generation_refer_no_more(struct generation *generation)
{
    size_t last = --generation->blob_count;

    blob_appender_close(atomic_load(&generation->appenders[last]));
    unref_blob(generation, &generation->blobs[last]);
}

uint64_t
generation_blob_bytes(const struct generation *generation)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < generation->blob_count; i++)
        sum += generation->blobs[i].size;
    return sum;
}

void
generation_unref(struct generation *generation)
{
    if (generation == NULL ||
        atomic_fetch_sub_explicit(&generation->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (generation->blob_count > 0)
        generation_refer_no_more(generation);
    free(generation->blobs);
    for (size_t i = 0; i < generation->count; i++)
        memtable_free(generation->slots[i].memtable);
    free(generation->slots);
    free(generation);
}

int
generation_new(struct lsmkv *db, uint64_t log_number, struct generation **out)
{
    struct generation *generation = calloc(1, sizeof(*generation));
    int result = 0;

    if (generation == NULL)
        return -ENOMEM;
    atomic_init(&generation->refs, 1);
    generation->db = db;
    pool_expect(&db->pool, db->options.write_buffer_size);
    generation->log_number = log_number;
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL && result == 0;
         ks = ks->next)
        result = generation_add_keyspace(db, generation, ks->id, ks->order);
    if (result == 0)
        *out = generation;
    else
        generation_unref(generation);
    return result;
}

struct generation_slot *
generation_slot(const struct generation *generation, uint32_t keyspace)
{
    for (size_t i = 0; i < generation->count; i++)
        if (generation->slots[i].keyspace == keyspace && !generation->slots[i].dropped)
            return &generation->slots[i];
    return NULL;
}

struct memtable *
generation_memtable(const struct generation *generation, uint32_t keyspace)
{
    struct generation_slot *slot = generation_slot(generation, keyspace);

    return slot != NULL ? slot->memtable : NULL;
}

bool
generation_is_empty(const struct generation *generation)
{
    for (size_t i = 0; i < generation->count; i++)
        if (!memtable_is_empty(generation->slots[i].memtable))
            return false;
    return true;
}

size_t
generation_memory(const struct generation *generation)
{
    size_t sum = 0;

    for (size_t i = 0; i < generation->count; i++)
        if (!memtable_is_empty(generation->slots[i].memtable))
            sum += memtable_memory(generation->slots[i].memtable);
    return sum;
}

/* ---- views ---- */

static void
view_release(struct retired *retired)
{
    struct view *view = (struct view *)retired;

    for (size_t i = 0; i < view->count; i++)
        generation_unref(view->generations[i]);
    version_unref(view->version);
    free(view->generations);
    free(view->memtables);
    free(view);
}

void
view_unref(struct view *view)
{
    if (view != NULL &&
        atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) == 1)
        epoch_retire(view->limbo, &view->retired);
}

bool
view_try_ref(struct view *view)
{
    unsigned refs = atomic_load_explicit(&view->refs, memory_order_relaxed);

    while (refs > 0)
        if (atomic_compare_exchange_weak_explicit(
                &view->refs, &refs, refs + 1, memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

/* A view of nothing, with room for so many generations. */
static int
view_reserve(struct lsmkv *db, size_t room, struct view **out)
{
    struct view *view = calloc(1, sizeof(*view));

    if (view == NULL)
        return -ENOMEM;
    view->retired.release = view_release;
    view->limbo = &db->limbo;
    atomic_init(&view->refs, 1);
    view->generations = calloc(room, sizeof(*view->generations));
    view->memtables = calloc(room, sizeof(*view->memtables));
    if (view->generations == NULL || view->memtables == NULL) {
        free(view->generations);
        free(view->memtables);
        free(view);
        return -ENOMEM;
    }
    *out = view;
    return 0;
}

/* Makes it the view of `keyspace`. */
static void
view_fill(struct lsmkv *db, struct lsmkv_keyspace *keyspace, struct version *version,
          struct view *view) LSMKV_REQUIRES(db->mutex)
{
    version_ref(version);
    view->version = version;
    for (struct generation *g = db->oldest; g != NULL; g = g->newer)
        if (generation_memtable(g, keyspace->id) != NULL)
            view->count++;
    /* The list runs from old to new, the view from new to old. */
    size_t at = view->count;
    for (struct generation *g = db->oldest; g != NULL; g = g->newer) {
        struct memtable *memtable = generation_memtable(g, keyspace->id);

        if (memtable == NULL)
            continue;
        assert(at > 0);
        at--;
        generation_ref(g);
        view->generations[at] = g;
        view->memtables[at] = memtable;
    }
    /* E1: it is replaced before it is retired. */
    view_unref(atomic_exchange(&keyspace->view, view));
}

int
view_install(struct lsmkv *db, struct lsmkv_keyspace *keyspace, struct version *version)
{
    struct view *view;
    int result = view_reserve(db, db->frozen + 1, &view);

    if (result == 0)
        view_fill(db, keyspace, version, view);
    return result;
}

int
view_set_reserve(struct lsmkv *db, size_t room, struct view_set *set)
{
    size_t count = 0;
    int result = 0;

    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        count++;
    set->count = 0;
    set->views = calloc(count, sizeof(*set->views));
    if (set->views == NULL)
        return -ENOMEM;
    while (set->count < count && result == 0) {
        result = view_reserve(db, room, &set->views[set->count]);
        if (result == 0)
            set->count++;
    }
    if (result != 0)
        view_set_fini(set);
    return result;
}

void
view_set_install(struct lsmkv *db, struct view_set *set, struct lsmkv_keyspace *keyspace,
                 struct version *version)
{
    assert(set->count > 0);
    view_fill(db, keyspace, version, set->views[--set->count]);
}

void
view_set_fini(struct view_set *set)
{
    while (set->count > 0)
        view_unref(set->views[--set->count]);
    free(set->views);
    set->views = NULL;
}

void
view_set_install_all(struct lsmkv *db, struct view_set *set)
{
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        view_set_install(db, set, ks, ks->view->version);
    view_set_fini(set);
}

int
view_install_all(struct lsmkv *db)
{
    struct view_set set;
    int result = view_set_reserve(db, db->frozen + 1, &set);

    if (result == 0)
        view_set_install_all(db, &set);
    return result;
}

struct read_point
read_point_take(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                const struct lsmkv_snapshot *snapshot)
{
    struct read_point point;

    point.keyspace = keyspace != NULL ? keyspace : db->default_keyspace;
    mutex_lock(&db->mutex);
    point.view = point.keyspace->view;
    atomic_fetch_add_explicit(&point.view->refs, 1, memory_order_relaxed);
    point.sequence = snapshot != NULL ? snapshot->sequence : db->last_sequence;
    mutex_unlock(&db->mutex);
    return point;
}

struct read_point
read_point_peek(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                const struct lsmkv_snapshot *snapshot)
{
    struct read_point point;

    point.keyspace = keyspace != NULL ? keyspace : db->default_keyspace;
    do {
        point.view = atomic_load(&point.keyspace->view);
        point.sequence = snapshot != NULL ? snapshot->sequence : db->last_sequence;
    } while (point.view != atomic_load(&point.keyspace->view));
    return point;
}

int
view_iterate(const struct view *view, enum lsmkv_order order, enum table_walk walk,
             struct lsmkv_slice upper, struct iterator **it)
{
    size_t room = view->count + VERSION_ITERATORS_MAX(view->version), count = 0;
    struct iterator **children = calloc(room, sizeof(struct iterator *));
    int result = 0;

    if (children == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < view->count && result == 0; i++) {
        if (memtable_is_empty(view->memtables[i]) && i > 0)
            continue; /* frozen and empty: it stays so */
        result = memtable_iterate(view->memtables[i], &children[count]);
        if (result == 0)
            count++;
    }
    if (result == 0)
        result = version_iterators(view->version, walk, upper, children, &count);
    if (result == 0) {
        result = merge_new(order, children, count, it);
        count = 0; /* the merge owns them, or freed them */
    }
    for (size_t i = 0; i < count; i++)
        iterator_free(children[i]);
    free(children);
    return result;
}
