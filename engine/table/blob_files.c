/*
 * blob_files.c - which blob files a store has, who refers to them, and reading values.
 *
 * They stand in one array by number.  It grows at its end, for numbers only rise, and is
 * short: a file holds a memtable's worth of values.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutex.h"
#include "table/blob.h"

struct blob_file {
    /* constant */
    uint64_t number;
    uint32_t keyspace;
    struct open_file *file;
    /* Reading it at this moment.  Becomes more under the mutex only. */
    atomic_uint readers;
    /* guarded by the mutex of blob_files */
    uint64_t size;
    size_t refs; /* tables and generations */
    uint64_t
        live; /* bytes, B3; after a move by reference they may be more than there are */
    bool passed_over;       /* as a victim */
    struct blob_file *gone; /* the next of those */
};

struct blob_files {
    const struct table_context *context;
    size_t kept_max; /* constant */
    struct mutex mutex;
    /* guarded by mutex */
    struct blob_file **files; /* by number */
    size_t count, capacity;
    /* A crafted table may refer to files that it does not tell of.  Those that went while
     * somebody read them. */
    struct blob_file *gone;
};

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

/* ---- reading ---- */

static int
damaged(const struct blob_files *files, int result, const struct blob_ref *ref,
        const char *problem)
{
    return report_error(files->context->reporter, result,
                        "%06" PRIu64 ".blob: offset %" PRIu64 ": a value of %" PRIu32
                        " bytes: %s",
                        ref->file, ref->offset, ref->length, problem);
}

/* It has a reader more.  Of a store that is salvaged, tables may be all that tells of a
 * file. */
static int
find_to_read(struct blob_files *files, uint64_t number, struct blob_file **file)
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

static bool
is_intact(const struct blob_files *files, const struct blob_ref *ref,
          const uint8_t *value)
{
    struct tally *counters = files->context->counters;

    tally_add(counters, TABLE_BLOBS_READ, 1);
    tally_add(counters, TABLE_BLOB_BYTES_READ, ref->length);
    return blob_value_checksum(ref->file, ref->offset, lsmkv_bytes(value, ref->length)) ==
           ref->checksum;
}

static int
read_value(struct blob_files *files, const struct blob_file *blob,
           const struct blob_ref *ref, void *buffer)
{
    struct env_file *file;
    ssize_t got;
    int result = open_file_hold(blob->file, &file);

    if (result == -ENOENT)
        return damaged(files, -EUCLEAN, ref, "the file is missing");
    if (result != 0)
        return damaged(files, result, ref, "the file cannot be opened");
    got = env_file_read(file, ref->offset, buffer, ref->length);
    open_file_release(blob->file);
    if (got < 0)
        return damaged(files, (int)got, ref, "reading failed");
    if ((size_t)got < ref->length)
        return damaged(files, -EUCLEAN, ref, "the file ends in it");
    return 0;
}

int
blob_read(struct blob_files *files, const struct blob_ref *ref, void *buffer)
{
    struct blob_file *blob;
    int result = find_to_read(files, ref->file, &blob);

    if (result != 0)
        return result;
    if (blob == NULL)
        return damaged(files, -EUCLEAN, ref,
                       "nothing that the store knows refers to this file");
    result = read_value(files, blob, ref, buffer);
    atomic_fetch_sub(&blob->readers, 1);
    if (result != 0)
        return result;
    if (!is_intact(files, ref, buffer))
        return damaged(files, -EBADMSG, ref, "its checksum does not match");
    return 0;
}

ssize_t
blob_files_bytes(struct blob_files *files, uint64_t number, uint64_t offset, void *buffer,
                 size_t size)
{
    struct blob_file *blob;
    struct env_file *file;
    ssize_t got = 0;
    int result = find_to_read(files, number, &blob);

    if (result == 0 && blob == NULL)
        result = -ENOENT;
    if (result != 0)
        return result;
    result = open_file_hold(blob->file, &file);
    if (result == 0) {
        got = env_file_read(file, offset, buffer, size);
        open_file_release(blob->file);
        result = got < 0 ? (int)got : 0;
    }
    atomic_fetch_sub(&blob->readers, 1);
    if (result == 0)
        return got;
    if (result == -ENOENT || result == -ENOMEM)
        return result;
    return report_error(files->context->reporter, result,
                        "%06" PRIu64 ".blob: offset %" PRIu64 ": reading failed", number,
                        offset);
}

#define LINE_SIZE      64u        /* of the processor's cache */
#define EXPECTED_BYTES (4u << 10) /* fetched of a value ahead of time, at most */

/* Under what a value's file is known to the cache: a crafted MANIFEST may have a table of
 * the same number, whose blocks are there, too. */
static uint64_t
cached_number(const struct blob_ref *ref)
{
    return ref->file | UINT64_C(1) << 63;
}

const struct block *
blob_find(struct blob_files *files, const struct blob_ref *ref)
{
    const struct block *found;

    if (!blob_is_kept(files, ref))
        return NULL;
    found = block_cache_get(files->context->cache, cached_number(ref), ref->offset);
    if (found == NULL)
        return NULL;
    if (found->size != ref->length) {
        block_unpin(found);
        return NULL;
    }
    tally_add(files->context->counters, TABLE_CACHE_HITS, 1);
    return found;
}

bool
blob_is_kept(const struct blob_files *files, const struct blob_ref *ref)
{
    return ref->length <= files->kept_max;
}

void
blob_expect(struct blob_files *files, const struct blob_ref *ref, bool next)
{
    struct block_cache *cache = files->context->cache;
    const struct block *found;

    if (!next) {
        block_cache_expect(cache, cached_number(ref), ref->offset);
        return;
    }
    found = block_cache_get(cache, cached_number(ref), ref->offset);
    if (found == NULL)
        return;
    for (size_t i = 0; i < found->size && i < EXPECTED_BYTES; i += LINE_SIZE)
        __builtin_prefetch(found->data + i);
    block_unpin(found);
}

int
blob_read_pinned(struct blob_files *files, const struct blob_ref *ref,
                 const struct block **block)
{
    struct lsmkv_env *env = files->context->env;
    struct block_cache *cache = files->context->cache;
    bool keep = blob_is_kept(files, ref);
    size_t allocated = ref->length;
    uint8_t *buffer;
    int result;

    if (keep)
        buffer = block_cache_buffer(cache, cached_number(ref), ref->offset, allocated,
                                    &allocated);
    else
        buffer = env->allocate(env, allocated);
    if (buffer == NULL)
        return -ENOMEM;
    if (keep)
        tally_add(files->context->counters, TABLE_CACHE_MISSES, 1);
    result = blob_read(files, ref, buffer);
    if (result != 0) {
        env->release(env, buffer, allocated);
        return result;
    }
    if (keep)
        *block = block_cache_insert(cache, cached_number(ref), ref->offset, buffer,
                                    ref->length, allocated);
    else
        *block = block_cache_detached(cache, buffer, ref->length, allocated);
    if (*block == NULL)
        return -ENOMEM;
    if ((*block)->size == ref->length)
        return 0;
    block_unpin(*block);
    return damaged(files, -EUCLEAN, ref, "another reference gives it another length");
}

void
blob_begin_reading(struct blob_files *files, const struct blob_ref *ref)
{
    struct blob_file *blob;
    struct env_file *file;

    if (find_to_read(files, ref->file, &blob) != 0 || blob == NULL)
        return; /* that is told when it is asked for */
    if (open_file_hold(blob->file, &file) == 0) {
        env_file_readahead(file, ref->offset, ref->length);
        open_file_release(blob->file);
    }
    atomic_fetch_sub(&blob->readers, 1);
}

/* ---- reading one after the other ---- */

#define WAITED 30000u /* nanoseconds to read a value, and one more a byte: off the disk */

#define STREAM_BYTES_MIN (16u << 10)
#define STREAM_DOUBLINGS 3u          /* to 128 KiB */
#define STREAM_GAP       (16u << 10) /* of other bytes, between two values in order */

static void
unpin(struct blob_run *run)
{
    if (run->cached != NULL)
        block_unpin(run->cached);
    run->cached = NULL;
}

void
blob_run_fini(struct blob_run *run)
{
    unpin(run);
    for (unsigned i = 0; i < BLOB_STREAMS; i++)
        keybuf_fini(&run->streams[i].bytes);
}

/* The one of a file; a new one in place of that which was not used for longest. */
static struct blob_stream *
stream_of(struct blob_run *run, uint64_t file)
{
    struct blob_stream *oldest = &run->streams[0];

    for (unsigned i = 0; i < BLOB_STREAMS; i++) {
        if (run->streams[i].file == file)
            return &run->streams[i];
        if (run->streams[i].used < oldest->used)
            oldest = &run->streams[i];
    }
    oldest->bytes.size = 0;
    *oldest = (struct blob_stream){.file = file, .bytes = oldest->bytes};
    return oldest;
}

/* A value is about to be asked for. */
static void
stream_advance(struct blob_stream *stream, const struct blob_ref *ref, uint64_t now)
{
    if (ref->offset < stream->next || ref->offset - stream->next > STREAM_GAP)
        stream->in_order = 0;
    else if (stream->in_order < STREAM_DOUBLINGS)
        stream->in_order++;
    stream->next = ref->offset + ref->length;
    stream->used = now;
}

/* NULL also for what its checksum refuses. */
static const uint8_t *
stream_find(const struct blob_stream *stream, const struct blob_files *files,
            const struct blob_ref *ref)
{
    const uint64_t skip = ref->offset - stream->offset;

    if (ref->offset < stream->offset || skip > stream->bytes.size ||
        ref->length > stream->bytes.size - skip)
        return NULL;
    return is_intact(files, ref, stream->bytes.data + skip) ? stream->bytes.data + skip
                                                            : NULL;
}

/* The stream begins with the value and has `size` bytes, if there are as many; without a
 * word if that fails. */
static void
stream_fill(struct blob_stream *stream, struct blob_files *files,
            const struct blob_ref *ref, size_t size)
{
    struct blob_file *blob;
    struct env_file *file;
    ssize_t got;

    if (keybuf_reserve(&stream->bytes, size) != 0 ||
        find_to_read(files, ref->file, &blob) != 0 || blob == NULL)
        return;
    if (open_file_hold(blob->file, &file) == 0) {
        got = env_file_read(file, ref->offset, stream->bytes.data, size);
        open_file_release(blob->file);
        stream->bytes.size = got > 0 ? (size_t)got : 0;
        stream->offset = ref->offset;
    }
    atomic_fetch_sub(&blob->readers, 1);
}

/* By itself, and sees whether that waited for the disk. */
static int
read_alone(struct blob_run *run, struct blob_files *files, const struct blob_ref *ref,
           struct keybuf *bytes)
{
    struct lsmkv_env *env = files->context->env;
    int result = keybuf_reserve(bytes, ref->length);
    uint64_t began;

    if (result != 0)
        return result;
    began = env->monotonic(env);
    result = blob_read(files, ref, bytes->data);
    run->waited = run->begun == 0 && env->monotonic(env) - began > WAITED + ref->length;
    return result;
}

/* Nothing is put in the cache: a walk would throw out what gets ask for. */
int
blob_run_read(struct blob_run *run, struct blob_files *files, const struct blob_ref *ref,
              const uint8_t **value)
{
    struct blob_stream *stream = stream_of(run, ref->file);
    size_t ahead;
    int result;

    unpin(run);
    run->waited = false;
    run->begun -= run->begun > 0;
    stream_advance(stream, ref, ++run->asked);
    *value = stream_find(stream, files, ref);
    if (*value != NULL)
        return 0;
    run->cached = blob_find(files, ref);
    if (run->cached != NULL) {
        *value = run->cached->data;
        return 0;
    }
    stream->bytes.size = 0;
    ahead = (size_t)STREAM_BYTES_MIN << stream->in_order;
    if (stream->in_order > 0 && ref->length <= ahead / 2) {
        stream_fill(stream, files, ref, ahead);
        *value = stream_find(stream, files, ref);
        if (*value != NULL)
            return 0;
        stream->bytes.size = 0;
    }
    result = read_alone(run, files, ref, &stream->bytes);
    *value = stream->bytes.data;
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
};

/* The greater share of dead bytes first. */
static int
compare_victims(const void *left, const void *right)
{
    const struct victim *a = left, *b = right;
    double x = (double)a->dead / (double)(a->live + a->dead);
    double y = (double)b->dead / (double)(b->live + b->dead);

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

static size_t
find_victims(const struct blob_files *files, uint32_t keyspace, unsigned least,
             struct victim *found) LSMKV_REQUIRES(files->mutex)
{
    size_t count = 0;

    for (size_t i = 0; i < files->count; i++) {
        const struct blob_file *file = files->files[i];
        uint64_t dead = dead_bytes(file);

        if (file->keyspace == keyspace && !file->passed_over && dead > 0 &&
            dead >= (file->live + dead) / 8 * least)
            found[count++] = (struct victim){file->number, file->live, dead};
    }
    return count;
}

int
blob_files_victims(struct blob_files *files, uint32_t keyspace, unsigned least,
                   uint64_t most, struct blob_victims *victims)
{
    struct blob_victims made = {0};
    struct victim *found;
    size_t count = 0;
    uint64_t live = 0;

    mutex_lock(&files->mutex);
    found = calloc(files->count + 1, sizeof(*found));
    made.numbers = calloc(files->count + 1, sizeof(*made.numbers));
    if (found != NULL && made.numbers != NULL)
        count = find_victims(files, keyspace, least, found);
    mutex_unlock(&files->mutex);
    if (found == NULL || made.numbers == NULL) {
        free(found);
        free(made.numbers);
        return -ENOMEM;
    }
    qsort(found, count, sizeof(*found), compare_victims);
    for (size_t i = 0; i < count; i++) {
        if (found[i].live > most)
            continue;
        if (found[i].live > most - live)
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
