/*
 * blob_files.c - which blob files a store has, and who refers to them.
 *
 * They stand in one array by number.  It grows at its end, for numbers only rise, and is
 * short: a file holds a memtable's worth of values.
 */
#include "table/blob_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* NULL: of files that are only walked. */
static size_t
kept_max(const struct block_cache *cache)
{
    size_t part = cache == NULL ? 0 : block_cache_capacity(cache) / BLOB_CACHED_PART;

    if (part > BLOB_CACHED_MAX)
        return BLOB_CACHED_MAX;
    return part > BLOB_CACHED_MIN ? part : BLOB_CACHED_MIN;
}

int
blob_files_new(const struct table_context *context, struct blob_files **files)
{
    struct blob_files *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    made->context = context;
    made->kept_max = kept_max(context->cache);
    mutex_init(&made->mutex);
    *files = made;
    return 0;
}

static void
file_free(struct blob_file *file)
{
    open_file_free(file->file);
    free(file);
}

void
blob_files_free(struct blob_files *files)
{
    if (files == NULL)
        return;
    for (size_t i = 0; i < files->count; i++)
        file_free(files->files[i]);
    while (files->gone != NULL) {
        struct blob_file *file = files->gone;

        files->gone = file->gone;
        file_free(file);
    }
    free(files->files);
    mutex_fini(&files->mutex);
    free(files);
}

/* The index of the first file whose number is not below `number`. */
static size_t
find_index(const struct blob_files *files, uint64_t number) LSMKV_REQUIRES(files->mutex)
{
    size_t low = 0, high = files->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (files->files[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct blob_file *
find(const struct blob_files *files, uint64_t number) LSMKV_REQUIRES(files->mutex)
{
    size_t at = find_index(files, number);

    return at < files->count && files->files[at]->number == number ? files->files[at]
                                                                   : NULL;
}

static int
file_new(const struct table_context *context, const struct table_blob *blob,
         uint32_t keyspace, struct blob_file **file)
{
    struct blob_file *made = calloc(1, sizeof(*made));
    char name[TABLE_NAME_SIZE];
    int result;

    if (made == NULL)
        return -ENOMEM;
    made->number = blob->number;
    made->size = blob->size;
    made->keyspace = keyspace;
    blob_name(name, blob->number);
    result = open_file_new(context->files, context->dir, name, &made->file);
    if (result != 0) {
        free(made);
        return result;
    }
    *file = made;
    return 0;
}

static int
insert(struct blob_files *files, const struct table_blob *blob, uint32_t keyspace,
       struct blob_file **file) LSMKV_REQUIRES(files->mutex)
{
    size_t at = find_index(files, blob->number);
    int result;

    if (files->count == files->capacity) {
        size_t capacity = files->capacity == 0 ? 16 : 2 * files->capacity;
        struct blob_file **grown =
            reallocarray(files->files, capacity, sizeof(struct blob_file *));

        if (grown == NULL)
            return -ENOMEM;
        files->files = grown;
        files->capacity = capacity;
    }
    result = file_new(files->context, blob, keyspace, file);
    if (result != 0)
        return result;
    memmove(&files->files[at + 1], &files->files[at],
            (files->count - at) * sizeof(struct blob_file *));
    files->files[at] = *file;
    files->count++;
    return 0;
}

/* ---- who refers to them ---- */

static int
ref_one(struct blob_files *files, uint32_t keyspace, const struct table_blob *blob)
    LSMKV_REQUIRES(files->mutex)
{
    struct blob_file *file = find(files, blob->number);
    int result = file == NULL ? insert(files, blob, keyspace, &file) : 0;

    if (result != 0)
        return result;
    file->refs++;
    if ((file->size == blob->size && file->keyspace == keyspace) ||
        files->context->salvage)
        return 0;
    file->refs--;
    return report_error(files->context->reporter, -EUCLEAN,
                        "MANIFEST: offset 0: two that refer to %06" PRIu64
                        ".blob differ about its size or keyspace",
                        blob->number);
}

static bool
unref_one(struct blob_files *files, uint64_t number) LSMKV_REQUIRES(files->mutex)
{
    size_t at = find_index(files, number);
    struct blob_file *file;

    assert(at < files->count && files->files[at]->number == number);
    file = files->files[at];
    if (--file->refs > 0)
        return false;
    memmove(&files->files[at], &files->files[at + 1],
            (files->count - at - 1) * sizeof(struct blob_file *));
    files->count--;
    if (atomic_load(&file->readers) > 0) {
        file->gone = files->gone;
        files->gone = file;
    } else {
        file_free(file);
    }
    return true;
}

int
blob_files_ref(struct blob_files *files, uint32_t keyspace,
               const struct table_blob *blobs, size_t count)
{
    size_t done = 0;
    int result = 0;

    mutex_lock(&files->mutex);
    while (done < count && result == 0) {
        result = ref_one(files, keyspace, &blobs[done]);
        if (result == 0)
            done++;
    }
    while (result != 0 && done > 0)
        (void)unref_one(files, blobs[--done].number);
    mutex_unlock(&files->mutex);
    return result;
}

bool
blob_files_unref(struct blob_files *files, uint64_t number)
{
    bool last;

    mutex_lock(&files->mutex);
    last = unref_one(files, number);
    mutex_unlock(&files->mutex);
    return last;
}

void
blob_files_set_size(struct blob_files *files, uint64_t number, uint64_t size)
{
    struct blob_file *file;

    mutex_lock(&files->mutex);
    file = find(files, number);
    assert(file != NULL);
    file->size = size;
    mutex_unlock(&files->mutex);
}

void
blob_files_add_live(struct blob_files *files, const struct table_blob *blobs,
                    size_t count)
{
    mutex_lock(&files->mutex);
    for (size_t i = 0; i < count; i++) {
        struct blob_file *file = find(files, blobs[i].number);

        assert(file != NULL);
        file->live += blobs[i].bytes;
    }
    mutex_unlock(&files->mutex);
}

void
blob_files_drop_live(struct blob_files *files, const struct table_blob *blobs,
                     size_t count)
{
    mutex_lock(&files->mutex);
    for (size_t i = 0; i < count; i++) {
        struct blob_file *file = find(files, blobs[i].number);

        assert(file != NULL);
        file->live -= blobs[i].bytes;
    }
    mutex_unlock(&files->mutex);
}

int
blob_files_find_to_read(struct blob_files *files, uint64_t number,
                        struct blob_file **file)
{
    const struct table_blob unknown = {.number = number};
    int result = 0;

    mutex_lock(&files->mutex);
    *file = find(files, number);
    if (*file == NULL && files->context->salvage)
        result = insert(files, &unknown, 0, file);
    if (result == 0 && *file != NULL)
        atomic_fetch_add_explicit(&(*file)->readers, 1, memory_order_relaxed);
    mutex_unlock(&files->mutex);
    return result;
}

/* ---- what is worth collecting ---- */

uint64_t
blob_files_size(struct blob_files *files, uint64_t number)
{
    struct blob_file *file;
    uint64_t size;

    mutex_lock(&files->mutex);
    file = find(files, number);
    size = file != NULL ? file->size : 0;
    mutex_unlock(&files->mutex);
    return size;
}

void
blob_files_pass_over(struct blob_files *files, uint64_t number)
{
    struct blob_file *file;

    mutex_lock(&files->mutex);
    file = find(files, number);
    if (file != NULL)
        file->passed_over = true;
    mutex_unlock(&files->mutex);
}

/* What nobody but an old reader refers to goes by itself. */
static uint64_t
dead_bytes(const struct blob_file *file)
{
    uint64_t records = file->size > BLOB_HEADER_SIZE ? file->size - BLOB_HEADER_SIZE : 0;

    return file->live == 0 || file->live >= records ? 0 : records - file->live;
}

struct blob_totals
blob_files_totals(struct blob_files *files)
{
    struct blob_totals totals = {0};

    mutex_lock(&files->mutex);
    totals.files = files->count;
    for (size_t i = 0; i < files->count; i++) {
        totals.bytes += files->files[i]->size;
        totals.dead_bytes += dead_bytes(files->files[i]);
    }
    mutex_unlock(&files->mutex);
    return totals;
}

struct victim {
    uint64_t number, live, dead;
    bool small;
};

/* Small ones, then those with the greater share of dead bytes. */
static int
compare_victims(const void *left, const void *right)
{
    const struct victim *a = left, *b = right;
    double x = (double)a->dead / (double)(a->live + a->dead);
    double y = (double)b->dead / (double)(b->live + b->dead);

    if (a->small != b->small)
        return a->small ? -1 : 1;
    if (x != y)
        return x > y ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static int
compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static bool
is_dead(const struct blob_file *file, const struct blob_wanted *wanted)
{
    uint64_t dead = dead_bytes(file);

    return dead > 0 && dead >= (file->live + dead) / 8 * wanted->least;
}

static bool
is_small(const struct blob_file *file, const struct blob_wanted *wanted)
{
    return file->live > 0 && file->size < wanted->small && file->number < wanted->below;
}

static size_t
find_victims(const struct blob_files *files, uint32_t keyspace,
             const struct blob_wanted *wanted, struct victim *found)
    LSMKV_REQUIRES(files->mutex)
{
    size_t count = 0;

    for (size_t i = 0; i < files->count; i++) {
        const struct blob_file *file = files->files[i];

        if (file->keyspace == keyspace && !file->passed_over &&
            (is_dead(file, wanted) || is_small(file, wanted)))
            found[count++] = (struct victim){file->number, file->live, dead_bytes(file),
                                             is_small(file, wanted)};
    }
    return count;
}

int
blob_files_victims(struct blob_files *files, uint32_t keyspace,
                   const struct blob_wanted *wanted, struct blob_victims *victims)
{
    struct blob_victims made = {0};
    struct victim *found;
    size_t count = 0;
    uint64_t live = 0;

    mutex_lock(&files->mutex);
    found = calloc(files->count + 1, sizeof(*found));
    made.numbers = calloc(files->count + 1, sizeof(*made.numbers));
    if (found != NULL && made.numbers != NULL)
        count = find_victims(files, keyspace, wanted, found);
    mutex_unlock(&files->mutex);
    if (found == NULL || made.numbers == NULL) {
        free(found);
        free(made.numbers);
        return -ENOMEM;
    }
    qsort(found, count, sizeof(*found), compare_victims);
    for (size_t i = 0; i < count; i++) {
        if (found[i].live > wanted->most)
            continue;
        if (found[i].live > wanted->most - live)
            break;
        live += found[i].live;
        made.dead += found[i].dead;
        made.numbers[made.count++] = found[i].number;
    }
    qsort(made.numbers, made.count, sizeof(*made.numbers), compare_numbers);
    free(found);
    *victims = made;
    return 0;
}

void
blob_victims_fini(struct blob_victims *victims)
{
    free(victims->numbers);
    memset(victims, 0, sizeof(*victims));
}

bool
blob_victims_have(const struct blob_victims *victims, uint64_t number)
{
    return victims->count > 0 && bsearch(&number, victims->numbers, victims->count,
                                         sizeof(number), compare_numbers) != NULL;
}
