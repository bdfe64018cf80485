/*
 * blob_read.c - reading values of blob files: one, a part of one, one after the other.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "table/blob_files.h"

static int
damaged(const struct blob_files *files, int result, const struct blob_ref *ref,
        const char *problem)
{
    return report_error(files->context->reporter, result,
                        "%06" PRIu64 ".blob: offset %" PRIu64 ": a value of %" PRIu32
                        " bytes: %s",
                        ref->file, ref->offset, ref->length, problem);
}

static void
count(const struct blob_files *files, size_t bytes)
{
    tally_add(files->context->counters, TABLE_BLOBS_READ, 1);
    tally_add(files->context->counters, TABLE_BLOB_BYTES_READ, bytes);
}

/* Where what it takes to read all of a value begins, and its size: of a packed one with
 * its table. */
static uint64_t
whole_offset(const struct blob_ref *ref)
{
    return ref->offset - (ref->packed > 0 ? blob_table_size(ref) : 0);
}

static size_t
whole_size(const struct blob_ref *ref)
{
    return (size_t)(ref->offset - whole_offset(ref)) + blob_stored_size(ref);
}

/* Bytes of the file that are, or stand before, those of the value. */
struct piece {
    uint64_t offset;
    void *buffer;
    size_t size;
};

static int
read_pieces(struct blob_files *files, const struct blob_file *blob,
            const struct blob_ref *ref, const struct piece *pieces, size_t count)
{
    struct env_file *file;
    int result = open_file_hold(blob->file, &file);

    if (result == -ENOENT)
        return damaged(files, -EUCLEAN, ref, "the file is missing");
    if (result != 0)
        return damaged(files, result, ref, "the file cannot be opened");
    for (size_t i = 0; i < count && result == 0; i++) {
        ssize_t got =
            env_file_read(file, pieces[i].offset, pieces[i].buffer, pieces[i].size);

        if (got < 0)
            result = damaged(files, (int)got, ref, "reading failed");
        else if ((size_t)got < pieces[i].size)
            result = damaged(files, -EUCLEAN, ref, "the file ends in it");
    }
    open_file_release(blob->file);
    return result;
}

static int
find_and_read(struct blob_files *files, const struct blob_ref *ref,
              const struct piece *pieces, size_t count)
{
    struct blob_file *blob;
    int result = blob_files_find_to_read(files, ref->file, &blob);

    if (result != 0)
        return result;
    if (blob == NULL)
        return damaged(files, -EUCLEAN, ref,
                       "nothing that the store knows refers to this file");
    result = read_pieces(files, blob, ref, pieces, count);
    atomic_fetch_sub(&blob->readers, 1);
    return result;
}

static int
read_packed(struct blob_files *files, const struct blob_ref *ref, void *buffer)
{
    const size_t size = whole_size(ref);
    uint8_t *bytes = malloc(size);
    const struct piece whole = {whole_offset(ref), bytes, size};
    const char *problem;
    int result = bytes == NULL ? -ENOMEM : find_and_read(files, ref, &whole, 1);

    if (result == 0) {
        count(files, size);
        result = blob_unpack(ref, bytes + blob_table_size(ref), buffer, &problem);
        if (result != 0)
            result = damaged(files, result, ref, problem);
    }
    free(bytes);
    return result;
}

int
blob_read(struct blob_files *files, const struct blob_ref *ref, void *buffer)
{
    const struct piece whole = {ref->offset, buffer, ref->length};
    int result;

    if (ref->packed > 0)
        return read_packed(files, ref, buffer);
    result = find_and_read(files, ref, &whole, 1);
    if (result != 0)
        return result;
    count(files, ref->length);
    if (!blob_is_intact(ref, buffer))
        return damaged(files, -EBADMSG, ref, "its checksum does not match");
    return 0;
}

/* ---- a part of a value ---- */

/* Of the pages from `first` on, `bytes` being `size` bytes of them; their checksums are in `sums`. */
static bool
pages_are_intact(const struct blob_ref *ref, uint32_t first, const uint8_t *bytes,
                 size_t size, const uint8_t *sums)
{
    const size_t at = (size_t)first * BLOB_PAGE_SIZE;

    for (size_t done = 0; done < size; done += BLOB_PAGE_SIZE) {
        size_t left = size - done;
        uint32_t crc =
            crc32c(crc32c_seed(ref->file, ref->offset + at + done), bytes + done,
                   left < BLOB_PAGE_SIZE ? left : BLOB_PAGE_SIZE);

        if (crc != get_u32(sums + (at + done) / BLOB_PAGE_SIZE * sizeof(uint32_t)))
            return false;
    }
    return true;
}

static void
tell_of_sums(const struct blob_files *files, const struct blob_ref *ref)
{
    (void)report_error(files->context->reporter, -EBADMSG,
                       "%06" PRIu64 ".blob: offset %" PRIu64
                       ": the checksums of a value's pages do not match",
                       ref->file, ref->offset - blob_table_size(ref));
}

/* Who reads on and on would fill a log. */
static void
tell_of_sums_once(struct blob_files *files, const struct blob_ref *ref)
{
    struct blob_file *blob;
    bool told;

    if (blob_files_find_to_read(files, ref->file, &blob) != 0 || blob == NULL)
        return;
    told = atomic_exchange(&blob->told, true);
    atomic_fetch_sub(&blob->readers, 1);
    if (!told)
        tell_of_sums(files, ref);
}

int
blob_look_at_sums(struct blob_files *files, const struct blob_ref *ref)
{
    uint8_t sums[LSMKV_VALUE_MAX / BLOB_PAGE_SIZE * BLOB_PAGE_ENTRY];
    const size_t size = blob_table_size(ref);
    const struct piece table = {ref->offset - size, sums, size};
    int result;

    if (ref->pages == 0)
        return 0;
    result = find_and_read(files, ref, &table, 1);
    if (result == 0 && !blob_table_is_intact(ref, sums + size))
        tell_of_sums(files, ref);
    return result == -ENOMEM ? result : 0;
}

/* The checksums are short beside what they spare: they are read with every part.  If they are
 * damaged, the value may be intact. */
static int
read_pages(struct blob_files *files, const struct blob_ref *ref, size_t from, size_t size,
           struct keybuf *room, const uint8_t **bytes)
{
    const size_t sums_size = blob_table_size(ref);
    const uint32_t first = (uint32_t)(from / BLOB_PAGE_SIZE);
    const size_t begin = (size_t)first * BLOB_PAGE_SIZE;
    const size_t rest = (from + size) % BLOB_PAGE_SIZE;
    size_t end = from + size + (rest > 0 ? BLOB_PAGE_SIZE - rest : 0);
    int result;

    if (end > ref->length)
        end = ref->length;
    result = keybuf_reserve(room, sums_size + (end - begin));
    if (result != 0)
        return result;
    /* They stand together if it is the first page. */
    const struct piece pieces[2] = {
        {ref->offset - sums_size, room->data, sums_size + (begin == 0 ? end : 0)},
        {ref->offset + begin, room->data + sums_size, end - begin}};
    result = find_and_read(files, ref, pieces, begin == 0 ? 1 : 2);
    if (result != 0)
        return result;
    if (!blob_table_is_intact(ref, room->data + sums_size)) {
        tell_of_sums_once(files, ref);
        result = keybuf_reserve(room, ref->length);
        if (result == 0)
            result = blob_read(files, ref, room->data);
        *bytes = room->data + from;
        return result;
    }
    count(files, end - begin);
    if (!pages_are_intact(ref, first, room->data + sums_size, end - begin, room->data))
        return damaged(files, -EBADMSG, ref, "the checksum of a page does not match");
    *bytes = room->data + sums_size + (from - begin);
    return 0;
}

/* Finds the units by the table, which was read. */
static int
find_units(struct blob_files *files, const struct blob_ref *ref, const uint8_t *table,
           struct blob_units *units)
{
    const char *problem;
    int result;

    if (!blob_table_is_intact(ref, table + blob_table_size(ref)))
        return damaged(files, -EBADMSG, ref, "its checksum does not match");
    result = blob_units_find(ref, table, units, &problem);
    return result == 0 ? 0 : damaged(files, result, ref, problem);
}

/* The table says where the units are, so it is read before them; but the first units, which
 * are behind it, with it, as much as they can be. */
static int
read_units(struct blob_files *files, const struct blob_ref *ref, size_t from, size_t size,
           struct keybuf *room, const uint8_t **bytes)
{
    struct blob_units units = {
        .first = (uint32_t)(from / BLOB_UNIT_SIZE),
        .end = (uint32_t)((from + size - 1) / BLOB_UNIT_SIZE) + 1,
    };
    const size_t most = (size_t)(units.end - units.first) * BLOB_UNIT_SIZE;
    const size_t table_size = blob_table_size(ref);
    const bool together = units.first == 0;
    uint8_t *table, *stored, *value;
    const char *problem;
    int result = keybuf_reserve(room, table_size + 2 * most);

    if (result != 0)
        return result;
    table = room->data;
    stored = table + table_size;
    value = stored + most;
    const struct piece front = {
        whole_offset(ref), table,
        table_size + (together ? (ref->packed < most ? ref->packed : most) : 0)};
    result = find_and_read(files, ref, &front, 1);
    if (result == 0)
        result = find_units(files, ref, table, &units);
    if (result == 0 && !together) {
        const struct piece rest = {ref->offset + units.from, stored, units.size};

        result = find_and_read(files, ref, &rest, 1);
    }
    if (result != 0)
        return result;
    count(files, units.size);
    result = blob_units_unpack(ref, table, &units, stored, value, &problem);
    if (result != 0)
        return damaged(files, result, ref, problem);
    *bytes = value + (from - (size_t)units.first * BLOB_UNIT_SIZE);
    return 0;
}

int
blob_read_part(struct blob_files *files, const struct blob_ref *ref, size_t from,
               size_t size, struct keybuf *room, const uint8_t **bytes)
{
    return ref->packed > 0 ? read_units(files, ref, from, size, room, bytes)
                           : read_pages(files, ref, from, size, room, bytes);
}

ssize_t
blob_files_bytes(struct blob_files *files, uint64_t number, uint64_t offset, void *buffer,
                 size_t size)
{
    struct blob_file *blob;
    struct env_file *file;
    ssize_t got = 0;
    int result = blob_files_find_to_read(files, number, &blob);

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

    if (blob_files_find_to_read(files, ref->file, &blob) != 0 || blob == NULL)
        return; /* that is told when it is asked for */
    if (open_file_hold(blob->file, &file) == 0) {
        env_file_readahead(file, whole_offset(ref), whole_size(ref));
        open_file_release(blob->file);
    }
    atomic_fetch_sub(&blob->readers, 1);
}

/* ---- reading one after the other ---- */

/* Nanoseconds to read a value, and one more a byte, another a packed one: off the disk. */
#define WAITED 30000u

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
    keybuf_fini(&run->unpacked);
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
    stream->next = ref->offset + blob_stored_size(ref);
    stream->used = now;
}

/* NULL also for what its checksum refuses. */
static const uint8_t *
stream_find(const struct blob_stream *stream, struct blob_run *run,
            const struct blob_files *files, const struct blob_ref *ref)
{
    const uint64_t skip = whole_offset(ref) - stream->offset;
    const uint8_t *stored;
    const char *problem;

    if (whole_offset(ref) < stream->offset || skip > stream->bytes.size ||
        whole_size(ref) > stream->bytes.size - skip)
        return NULL;
    stored = stream->bytes.data + skip + (ref->offset - whole_offset(ref));
    count(files, whole_size(ref));
    if (ref->packed == 0)
        return blob_is_intact(ref, stored) ? stored : NULL;
    if (keybuf_reserve(&run->unpacked, ref->length) != 0 ||
        blob_unpack(ref, stored, run->unpacked.data, &problem) != 0)
        return NULL;
    return run->unpacked.data;
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
        blob_files_find_to_read(files, ref->file, &blob) != 0 || blob == NULL)
        return;
    if (open_file_hold(blob->file, &file) == 0) {
        got = env_file_read(file, whole_offset(ref), stream->bytes.data, size);
        open_file_release(blob->file);
        stream->bytes.size = got > 0 ? (size_t)got : 0;
        stream->offset = whole_offset(ref);
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
    run->waited = run->begun == 0 &&
                  env->monotonic(env) - began > WAITED + ref->length + ref->packed;
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
    *value = stream_find(stream, run, files, ref);
    if (*value != NULL)
        return 0;
    run->cached = blob_find(files, ref);
    if (run->cached != NULL) {
        *value = run->cached->data;
        return 0;
    }
    stream->bytes.size = 0;
    ahead = (size_t)STREAM_BYTES_MIN << stream->in_order;
    if (stream->in_order > 0 && whole_size(ref) <= ahead / 2) {
        stream_fill(stream, files, ref, ahead);
        *value = stream_find(stream, run, files, ref);
        if (*value != NULL)
            return 0;
        stream->bytes.size = 0;
    }
    result = read_alone(run, files, ref, &stream->bytes);
    *value = stream->bytes.data;
    return result;
}
