/*
 * version.c - counted table files, and the versions that hold them.
 *
 * A version is built whole and then only read, so readers need no lock: they take a
 * reference.  A file is in as many versions as were made since it was added; it goes when
 * the last of them does, and is deleted only if no durable version names it any more.
 */
#include "manifest/version.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table/blob.h"

/* ---- files ---- */

int
table_file_new(const struct table_context *context, struct file_reaper *reaper,
               uint32_t keyspace, struct table_meta *meta, struct table_file **file)
{
    struct table_file *made = calloc(1, sizeof(*made));
    int result = 0;

    if (made == NULL)
        return -ENOMEM;
    if (meta->blob_count > 0)
        result = blob_files_ref(context->blobs, keyspace, meta->blobs, meta->blob_count);
    if (result != 0) {
        free(made);
        return result;
    }
    made->meta = *meta;
    memset(meta, 0, sizeof(*meta));
    atomic_init(&made->refs, 1);
    atomic_init(&made->obsolete, false);
    atomic_init(&made->table, NULL);
    mutex_init(&made->mutex);
    made->context = context;
    made->reaper = reaper;
    *file = made;
    return 0;
}

void
table_file_ref(struct table_file *file)
{
    atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
}

/* A table referred to them: those that no other does go with it, if it goes. */
static void
unref_blobs(const struct table_file *file, bool goes)
{
    for (size_t i = 0; i < file->meta.blob_count; i++) {
        uint64_t number = file->meta.blobs[i].number;
        bool last = blob_files_unref(file->context->blobs, number);

        if (last && goes)
            file->reaper->reap(file->reaper, FILE_BLOB, number);
    }
}

void
table_file_unref(struct table_file *file)
{
    struct table *table;
    bool goes;

    if (file == NULL || atomic_fetch_sub(&file->refs, 1) > 1)
        return;
    goes = atomic_load(&file->obsolete) && file->reaper != NULL;
    table = atomic_load(&file->table);
    if (table != NULL && goes)
        table_forget_blocks(table);
    table_close(table);
    unref_blobs(file, goes);
    if (goes)
        file->reaper->reap(file->reaper, FILE_TABLE, file->meta.number);
    table_meta_fini(&file->meta);
    mutex_fini(&file->mutex);
    free(file);
}

static int
open_file(const struct table_file *file, struct table **table)
{
    const struct table_meta *meta = &file->meta;

    if (!file->context->salvage)
        return table_open(file->context, meta->number, meta->size, table);
    return table_open_salvaging(file->context, meta->number, meta->size, &file->identity,
                                table);
}

int
table_file_table(struct table_file *file, struct table **table)
{
    struct table *open = table_file_if_open(file);
    int result = 0;

    if (open == NULL) {
        mutex_lock(&file->mutex);
        open = atomic_load_explicit(&file->table, memory_order_relaxed);
        if (open == NULL) {
            result = open_file(file, &open);
            if (result == 0)
                atomic_store_explicit(&file->table, open, memory_order_release);
            else if (result == -ENOENT)
                result = -EUCLEAN; /* a missing table is damage, not an absent key */
        }
        mutex_unlock(&file->mutex);
    }
    if (result == 0)
        *table = open;
    return result;
}

static struct lsmkv_slice
smallest_user_key(const struct table_file *file)
{
    return internal_user_key(keybuf_slice(&file->meta.smallest));
}

static struct lsmkv_slice
largest_user_key(const struct table_file *file)
{
    return internal_user_key(keybuf_slice(&file->meta.largest));
}

void
table_file_tell_lost(const struct table_file *file)
{
    const struct table_context *context = file->context;
    char name[TABLE_NAME_SIZE];
    struct table_loss loss = {
        .file = name,
        .keyspace = file->identity.keyspace,
        .first = smallest_user_key(file),
        .last = largest_user_key(file),
        .last_too = true,
        .sequence = file->meta.largest_sequence,
    };

    if (context->lost == NULL)
        return;
    table_name(name, file->meta.number);
    context->lost(context->lost_context, &loss);
}

bool
table_file_overlaps(const struct table_file *file, enum lsmkv_order order,
                    struct lsmkv_slice from, struct lsmkv_slice to)
{
    if (from.data != NULL && key_compare(order, largest_user_key(file), from) < 0)
        return false;
    return to.data == NULL || key_compare(order, smallest_user_key(file), to) <= 0;
}

/* ---- versions ---- */

int
version_new(enum lsmkv_order order, struct version **version)
{
    struct version *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    atomic_init(&made->refs, 1);
    made->order = order;
    made->detours_due = UINT64_MAX;
    *version = made;
    return 0;
}

void
version_ref(struct version *version)
{
    atomic_fetch_add_explicit(&version->refs, 1, memory_order_relaxed);
}

void
version_unref(struct version *version)
{
    if (version == NULL || atomic_fetch_sub(&version->refs, 1) > 1)
        return;
    for (int level = 0; level < LEVEL_COUNT; level++) {
        for (size_t i = 0; i < version->levels[level].count; i++)
            table_file_unref(version->levels[level].files[i]);
        free(version->levels[level].files);
    }
    free(version);
}

/* ---- detours ---- */

#define DETOURS_LEAST   UINT64_C(16384) /* a small merge is not worth less */
#define DETOURS_AT_ONCE 64u

bool
version_count_detours(struct version *version, uint64_t count)
{
    static _Thread_local uint64_t kept;
    uint64_t before;

    kept += count;
    if (kept < DETOURS_AT_ONCE)
        return false;
    count = kept;
    kept = 0;
    before = atomic_fetch_add_explicit(&version->detours, count, memory_order_relaxed);
    return before < version->detours_due && count >= version->detours_due - before;
}

bool
version_merge_is_paid(const struct version *version)
{
    return atomic_load_explicit(&version->detours, memory_order_relaxed) >=
           version->detours_due;
}

static uint64_t
entries_of(const struct level *level)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < level->count; i++)
        sum += level->files[i]->meta.entries;
    return sum;
}

/* What level 0 is merged with is taken to be all of the first level below that is in
 * use. */
static void
price_detours(struct version *version, const struct version *base)
{
    uint64_t entries = entries_of(&version->levels[0]);
    int below = 1;

    version->detours_due = UINT64_MAX;
    if (version->levels[0].count < 2)
        return;
    while (below < LEVEL_COUNT - 1 && version->levels[below].count == 0)
        below++;
    entries += entries_of(&version->levels[below]);
    version->detours_due = entries > DETOURS_LEAST ? entries : DETOURS_LEAST;
    /* A merge of level 0 has made the tables fewer, and begins the count anew. */
    if (base->levels[0].count >= 2 && version->levels[0].count >= base->levels[0].count)
        atomic_init(&version->detours,
                    atomic_load_explicit(&base->detours, memory_order_relaxed));
}

/* ---- editing ---- */

/* Newest first (V1). */
static int
compare_newest(const void *left, const void *right)
{
    const struct table_meta *a = &(*(struct table_file *const *)left)->meta;
    const struct table_meta *b = &(*(struct table_file *const *)right)->meta;

    if (a->largest_sequence != b->largest_sequence)
        return a->largest_sequence > b->largest_sequence ? -1 : 1;
    return (a->number < b->number) - (a->number > b->number);
}

static int
compare_smallest(const void *left, const void *right, void *order)
{
    const struct table_file *a = *(struct table_file *const *)left;
    const struct table_file *b = *(struct table_file *const *)right;

    return internal_key_compare(*(enum lsmkv_order *)order,
                                keybuf_slice(&a->meta.smallest),
                                keybuf_slice(&b->meta.smallest));
}

static bool
names_file(const struct version_change *changes, size_t count, int level, uint64_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].level == level && changes[i].file->meta.number == number)
            return true;
    }
    return false;
}

static size_t
count_at(const struct version_change *changes, size_t count, int level)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += changes[i].level == level;
    return found;
}

static void
level_put(struct level *level, struct table_file *file)
{
    table_file_ref(file);
    level->files[level->count++] = file;
    level->bytes += file->meta.size;
}

/* V2, and in level 0 that no file stands twice. */
static int
level_check(const struct level *level, int number, enum lsmkv_order order,
            struct reporter *reporter)
{
    for (size_t i = 1; i < level->count; i++) {
        const struct table_file *left = level->files[i - 1], *right = level->files[i];

        if (left->meta.number == right->meta.number)
            return report_error(reporter, -EUCLEAN, "level %d: table %llu stands twice",
                                number, (unsigned long long)left->meta.number);
        if (number > 0 &&
            key_compare(order, largest_user_key(left), smallest_user_key(right)) >= 0)
            return report_error(reporter, -EUCLEAN,
                                "level %d: tables %llu and %llu overlap, they must not",
                                number, (unsigned long long)left->meta.number,
                                (unsigned long long)right->meta.number);
    }
    return 0;
}

/* One level of the new version.  On failure what it holds is freed with the version. */
static int
level_edit(struct level *level, int number, enum lsmkv_order order,
           const struct level *base, const struct version_change *removed,
           size_t removed_count, const struct version_change *added, size_t added_count,
           struct reporter *reporter)
{
    size_t gone = count_at(removed, removed_count, number);
    size_t room = base->count + count_at(added, added_count, number);
    size_t kept;

    if (room == 0 && gone == 0)
        return 0;
    level->files = calloc(room + 1, sizeof(struct table_file *));
    if (level->files == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < base->count; i++) {
        if (gone == 0 ||
            !names_file(removed, removed_count, number, base->files[i]->meta.number))
            level_put(level, base->files[i]);
    }
    kept = level->count;
    if (base->count - kept != gone)
        return report_error(
            reporter, -EUCLEAN,
            "level %d: %zu tables to remove, but only %zu of them are there", number,
            gone, base->count - kept);
    for (size_t i = 0; i < added_count; i++) {
        if (added[i].level == number)
            level_put(level, added[i].file);
    }
    if (level->count == kept)
        return 0;
    if (number == 0)
        qsort(level->files, level->count, sizeof(struct table_file *), compare_newest);
    else
        qsort_r(level->files, level->count, sizeof(struct table_file *), compare_smallest,
                &order);
    return level_check(level, number, order, reporter);
}

int
version_edit(const struct version *base, const struct version_change *removed,
             size_t removed_count, const struct version_change *added, size_t added_count,
             struct reporter *reporter, struct version **version)
{
    struct version *made = NULL;
    int result = version_new(base->order, &made);

    for (int level = 0; result == 0 && level < LEVEL_COUNT; level++)
        result =
            level_edit(&made->levels[level], level, base->order, &base->levels[level],
                       removed, removed_count, added, added_count, reporter);
    if (result == 0) {
        price_detours(made, base);
        *version = made;
    } else {
        version_unref(made);
    }
    return result;
}

size_t
level_find(const struct level *level, enum lsmkv_order order, struct lsmkv_slice key)
{
    size_t low = 0, high = level->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (key_compare(order, largest_user_key(level->files[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int
file_iterate(struct table_file *file, enum table_walk walk, struct lsmkv_slice upper,
             struct iterator **it)
{
    struct table *table;
    int result = table_file_table(file, &table);

    return result < 0 ? result : table_iterate_to(table, walk, upper, it);
}

int
version_iterators(const struct version *version, enum table_walk walk,
                  struct lsmkv_slice upper, struct iterator **children, size_t *count)
{
    const struct level *level = &version->levels[0];
    int result = 0;

    for (size_t i = 0; result == 0 && i < level->count; i++) {
        result = file_iterate(level->files[i], walk, upper, &children[*count]);
        *count += result == 0;
        if (walk == TABLE_SALVAGING && result != 0 && result != -ENOMEM) {
            table_file_tell_lost(level->files[i]); /* why was reported */
            result = 0;
        }
    }
    for (int i = 1; result == 0 && i < LEVEL_COUNT; i++) {
        level = &version->levels[i];
        if (level->count == 0)
            continue;
        result = level_iterate(level->files, level->count, version->order, walk, upper,
                               &children[*count]);
        *count += result == 0;
    }
    return result;
}
