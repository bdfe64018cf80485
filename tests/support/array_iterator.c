#include "support/array_iterator.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct lsmkv_slice
copy(struct lsmkv_slice bytes)
{
    void *data = malloc(bytes.size + 1);

    assert(data != NULL);
    if (bytes.size > 0)
        memcpy(data, bytes.data, bytes.size);
    return lsmkv_bytes(data, bytes.size);
}

static void
release(struct lsmkv_slice *bytes)
{
    union {
        const void *in;
        void *out;
    } data = {bytes->data};

    free(data.out);
    *bytes = lsmkv_bytes(NULL, 0);
}

/* ---- the array ---- */

void
entry_array_fini(struct entry_array *array)
{
    for (size_t i = 0; i < array->count; i++) {
        release(&array->entries[i].key);
        release(&array->entries[i].payload);
    }
    free(array->entries);
    *array = (struct entry_array){.order = array->order};
}

void
entry_array_add_entry(struct entry_array *array, const struct array_entry *entry)
{
    if (array->count == array->capacity) {
        array->capacity = array->capacity * 2 + 16;
        array->entries =
            realloc(array->entries, array->capacity * sizeof(array->entries[0]));
        assert(array->entries != NULL);
    }
    array->entries[array->count].key = copy(entry->key);
    array->entries[array->count].payload = copy(entry->payload);
    array->count++;
}

void
entry_array_add(struct entry_array *array, struct lsmkv_slice user_key, uint64_t sequence,
                uint8_t kind, struct lsmkv_slice payload)
{
    struct keybuf key = {0};
    struct array_entry entry;
    int result = keybuf_set_internal(&key, user_key, sequence, kind);

    assert(result == 0);
    (void)result;
    entry = (struct array_entry){keybuf_slice(&key), payload};
    entry_array_add_entry(array, &entry);
    keybuf_fini(&key);
}

static int
compare(const void *a, const void *b, void *context)
{
    const struct entry_array *array = context;
    const struct array_entry *x = a;
    const struct array_entry *y = b;

    return internal_key_compare(array->order, x->key, y->key);
}

void
entry_array_sort(struct entry_array *array)
{
    if (array->count > 0)
        qsort_r(array->entries, array->count, sizeof(array->entries[0]), compare, array);
}

size_t
entry_array_ceiling(const struct entry_array *array, struct lsmkv_slice internal)
{
    size_t low = 0;
    size_t high = array->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (internal_key_compare(array->order, array->entries[middle].key, internal) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- the iterator ---- */

#define NOWHERE SIZE_MAX

struct array_iterator {
    struct iterator base;
    struct iterator_entry entry;
    const struct entry_array *array;
    struct array_control *control;
    struct array_control unasked;
    size_t at;
};

static struct array_iterator *
iterator_of(struct iterator *it)
{
    return (struct array_iterator *)it;
}

/* Any index that is not one of an entry means an end. */
static void
stand_on(struct array_iterator *it, size_t at)
{
    release(&it->entry.key);
    release(&it->entry.payload);
    it->at = at;
    it->base.valid = false;
    it->base.status = 0;
    if (at >= it->array->count)
        return;
    if (it->control->failure != 0 && it->control->fail_at == at) {
        it->base.status = it->control->failure;
        return;
    }
    it->entry.key = copy(it->array->entries[at].key);
    it->entry.payload = copy(it->array->entries[at].payload);
    it->base.valid = true;
}

static void
seek(struct iterator *base, struct lsmkv_slice internal)
{
    struct array_iterator *it = iterator_of(base);

    it->control->seeks++;
    stand_on(it, entry_array_ceiling(it->array, internal));
}

static void
seek_before(struct iterator *base, struct lsmkv_slice internal)
{
    struct array_iterator *it = iterator_of(base);
    size_t at = entry_array_ceiling(it->array, internal);

    it->control->seeks++;
    if (at < it->array->count && slice_equal(it->array->entries[at].key, internal))
        stand_on(it, at);
    else
        stand_on(it, at == 0 ? NOWHERE : at - 1);
}

static void
first(struct iterator *base)
{
    iterator_of(base)->control->seeks++;
    stand_on(iterator_of(base), 0);
}

static void
last(struct iterator *base)
{
    struct array_iterator *it = iterator_of(base);

    it->control->seeks++;
    stand_on(it, it->array->count == 0 ? NOWHERE : it->array->count - 1);
}

static void
next(struct iterator *base)
{
    struct array_iterator *it = iterator_of(base);

    assert(base->valid);
    it->control->steps++;
    stand_on(it, it->at + 1);
}

static void
prev(struct iterator *base)
{
    struct array_iterator *it = iterator_of(base);

    assert(base->valid);
    it->control->steps++;
    stand_on(it, it->at == 0 ? NOWHERE : it->at - 1);
}

static void
skip_older(struct iterator *base, uint64_t sequence, struct lsmkv_slice bound)
{
    struct array_iterator *it = iterator_of(base);
    size_t at = it->at;

    assert(base->valid);
    it->control->steps++;
    while (at < it->array->count) {
        struct lsmkv_slice key = it->array->entries[at].key;

        if (internal_sequence(key) > sequence ||
            (bound.data != NULL &&
             key_compare(it->array->order, internal_user_key(key), bound) >= 0))
            break;
        at++;
    }
    if (at != it->at)
        stand_on(it, at);
}

static void
release_iterator(struct iterator *base)
{
    struct array_iterator *it = iterator_of(base);

    it->control->freed++;
    release(&it->entry.key);
    release(&it->entry.payload);
    free(it);
}

static const struct iterator_ops array_iterator_ops = {
    .seek = seek,
    .seek_before = seek_before,
    .first = first,
    .last = last,
    .next = next,
    .prev = prev,
    .skip_older = skip_older,
    .free = release_iterator,
};

struct iterator *
array_iterator_new(const struct entry_array *array, struct array_control *control)
{
    struct array_iterator *it = calloc(1, sizeof(*it));

    assert(it != NULL);
    it->base.ops = &array_iterator_ops;
    it->base.entry = &it->entry;
    it->array = array;
    it->control = control != NULL ? control : &it->unasked;
    it->at = NOWHERE;
    return &it->base;
}
