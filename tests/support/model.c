#include "support/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
must(void *memory)
{
    if (memory == NULL) {
        perror("model");
        exit(2);
    }
    return memory;
}

void
model_init(struct model *model, enum lsmkv_order order)
{
    memset(model, 0, sizeof(*model));
    model->order = order;
}

static void
entry_free(struct model_entry *entry)
{
    union {
        const void *in;
        void *out;
    } data = {entry->key.data};

    free(data.out);
}

void
model_fini(struct model *model)
{
    for (size_t i = 0; i < model->count; i++)
        entry_free(&model->entries[i]);
    free(model->entries);
    memset(model, 0, sizeof(*model));
}

static unsigned
rank(enum lsmkv_order order, unsigned char byte)
{
    if (order == LSMKV_ORDER_PATH)
        return byte == '/' ? 0 : byte < '/' ? byte + 1u : byte;
    return byte;
}

int
model_compare(enum lsmkv_order order, struct lsmkv_slice a, struct lsmkv_slice b)
{
    const unsigned char *x = a.data, *y = b.data;

    for (size_t i = 0; i < a.size && i < b.size; i++)
        if (x[i] != y[i])
            return rank(order, x[i]) < rank(order, y[i]) ? -1 : 1;
    return a.size < b.size ? -1 : a.size > b.size;
}

bool
model_is_below(struct lsmkv_slice key, struct lsmkv_slice ancestor)
{
    const char *bytes = key.data;

    if (ancestor.size == 0)
        return key.size > 0;
    return key.size > ancestor.size && memcmp(bytes, ancestor.data, ancestor.size) == 0 &&
           bytes[ancestor.size] == '/';
}

size_t
model_ceiling(const struct model *model, struct lsmkv_slice key)
{
    size_t low = 0, high = model->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (model_compare(model->order, model->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct model_entry *
model_find(const struct model *model, struct lsmkv_slice key)
{
    size_t at = model_ceiling(model, key);

    if (at == model->count ||
        model_compare(model->order, model->entries[at].key, key) != 0)
        return NULL;
    return &model->entries[at];
}

static void
copy_bytes(char *to, struct lsmkv_slice from)
{
    if (from.size > 0)
        memcpy(to, from.data, from.size);
}

static struct model_entry
entry_new(struct lsmkv_slice key, struct lsmkv_slice attributes, struct lsmkv_slice value)
{
    char *bytes = must(malloc(key.size + attributes.size + value.size + 1));
    struct model_entry entry = {
        .key = {bytes, key.size},
        .attributes = {bytes + key.size, attributes.size},
        .value = {bytes + key.size + attributes.size, value.size},
    };

    copy_bytes(bytes, key);
    copy_bytes(bytes + key.size, attributes);
    copy_bytes(bytes + key.size + attributes.size, value);
    return entry;
}

void
model_copy(struct model *to, const struct model *from)
{
    model_init(to, from->order);
    to->capacity = from->count + 1;
    to->entries = must(malloc(to->capacity * sizeof(*to->entries)));
    for (size_t i = 0; i < from->count; i++) {
        const struct model_entry *entry = &from->entries[i];

        to->entries[to->count++] = entry_new(entry->key, entry->attributes, entry->value);
    }
}

void
model_delete(struct model *model, struct lsmkv_slice key)
{
    size_t at = model_ceiling(model, key);

    if (at == model->count ||
        model_compare(model->order, model->entries[at].key, key) != 0)
        return;
    entry_free(&model->entries[at]);
    model->count--;
    memmove(&model->entries[at], &model->entries[at + 1],
            (model->count - at) * sizeof(*model->entries));
}

void
model_put(struct model *model, struct lsmkv_slice key, struct lsmkv_slice attributes,
          struct lsmkv_slice value)
{
    struct model_entry entry = entry_new(key, attributes, value);
    size_t at;

    model_delete(model, key);
    at = model_ceiling(model, entry.key);
    if (model->count == model->capacity) {
        model->capacity = model->capacity * 2 + 16;
        model->entries =
            must(realloc(model->entries, model->capacity * sizeof(*model->entries)));
    }
    memmove(&model->entries[at + 1], &model->entries[at],
            (model->count - at) * sizeof(*model->entries));
    model->entries[at] = entry;
    model->count++;
}

static bool
in_tree(struct lsmkv_slice key, struct lsmkv_slice root)
{
    return (key.size == root.size && memcmp(key.data, root.data, root.size) == 0) ||
           model_is_below(key, root);
}

void
model_move(struct model *model, const struct lsmkv_move *moves, size_t count)
{
    struct model before;

    model_copy(&before, model);
    for (size_t m = 0; m < count; m++)
        for (size_t i = 0; i < before.count; i++)
            if (in_tree(before.entries[i].key, moves[m].from))
                model_delete(model, before.entries[i].key);
    for (size_t m = 0; m < count; m++)
        for (size_t i = 0; i < before.count; i++) {
            const struct model_entry *entry = &before.entries[i];
            const char *old = entry->key.data;
            size_t suffix = entry->key.size - moves[m].from.size;
            char *key;

            if (!in_tree(entry->key, moves[m].from))
                continue;
            key = must(malloc(moves[m].to.size + suffix + 1));
            copy_bytes(key, moves[m].to);
            copy_bytes(key + moves[m].to.size,
                       lsmkv_bytes(old + moves[m].from.size, suffix));
            model_put(model, lsmkv_bytes(key, moves[m].to.size + suffix),
                      entry->attributes, entry->value);
            free(key);
        }
    model_fini(&before);
}

/* ---- holding the engine against it ---- */

static void
print_key(const char *what, struct lsmkv_slice key)
{
    const unsigned char *bytes = key.data;

    printf("%s \"", what);
    for (size_t i = 0; i < key.size; i++)
        printf(bytes[i] >= 32 && bytes[i] < 127 ? "%c" : "\\x%02x", bytes[i]);
    printf("\"\n");
}

static bool
same(struct lsmkv_slice a, struct lsmkv_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool
shows(const struct lsmkv_iter *iter, const struct model_entry *entry)
{
    if (!lsmkv_iter_valid(iter)) {
        printf("the walk ended with %d before the end\n", lsmkv_iter_status(iter));
        print_key("expected", entry->key);
        return false;
    }
    if (!same(lsmkv_iter_key(iter), entry->key)) {
        print_key("found   ", lsmkv_iter_key(iter));
        print_key("expected", entry->key);
        return false;
    }
    if (!same(lsmkv_iter_record(iter)->attributes, entry->attributes) ||
        !same(lsmkv_iter_record(iter)->value, entry->value)) {
        print_key("another record under", entry->key);
        return false;
    }
    return true;
}

static bool
ended(const struct lsmkv_iter *iter)
{
    if (lsmkv_iter_valid(iter))
        print_key("past the end, found", lsmkv_iter_key(iter));
    else if (lsmkv_iter_status(iter) != 0)
        printf("the walk ended with %d\n", lsmkv_iter_status(iter));
    else
        return true;
    return false;
}

static bool
walks_match(const struct model *model, struct lsmkv_iter *iter)
{
    lsmkv_iter_first(iter);
    for (size_t i = 0; i < model->count; i++, lsmkv_iter_next(iter))
        if (!shows(iter, &model->entries[i]))
            return false;
    if (!ended(iter))
        return false;
    lsmkv_iter_last(iter);
    for (size_t i = model->count; i > 0; i--, lsmkv_iter_prev(iter))
        if (!shows(iter, &model->entries[i - 1]))
            return false;
    return ended(iter);
}

static bool
get_matches(const struct model_entry *entry, struct lsmkv *db,
            struct lsmkv_keyspace *keyspace, const struct lsmkv_snapshot *snapshot)
{
    struct lsmkv_held *held;
    int result = lsmkv_get_held(db, keyspace, snapshot, entry->key, &held);
    bool matches;

    if (result != 0) {
        printf("get gave %d\n", result);
        print_key("for", entry->key);
        return false;
    }
    matches = same(lsmkv_held_record(held)->value, entry->value) &&
              same(lsmkv_held_record(held)->attributes, entry->attributes);
    lsmkv_held_release(held);
    if (!matches)
        print_key("get gave another record for", entry->key);
    return matches;
}

bool
model_matches(const struct model *model, struct lsmkv *db,
              struct lsmkv_keyspace *keyspace, const struct lsmkv_snapshot *snapshot)
{
    struct lsmkv_iter_options options = {.snapshot = snapshot};
    struct lsmkv_iter *iter;
    bool matches;

    if (lsmkv_iter_new(db, keyspace, &options, &iter) != 0) {
        printf("no iterator\n");
        return false;
    }
    matches = walks_match(model, iter);
    lsmkv_iter_free(iter);
    for (size_t i = 0; i < model->count && matches; i++)
        matches = get_matches(&model->entries[i], db, keyspace, snapshot);
    return matches;
}
