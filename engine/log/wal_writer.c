/*
 * wal_writer.c - appending to the log.
 *
 *      0          synced          end             zeroed
 *      |  durable   |  written(2)  |  zeros, or nothing |
 *
 * W1  A write is acknowledged durable only after a sync that began when its whole frame
 *     was written: wal_sync reads `end` before it syncs and raises `synced` to that, no
 *     further.
 * W2  A log is deleted only once the manifest line replacing it is durable (the caller's
 *     duty).
 * W3  A failed write is undone, by truncating to `end` and syncing, before anything else
 *     is written: its bytes carry this log's number and would pass for frames.
 * W4  A failed sync breaks the writer and no sync follows it: the kernel may have marked
 *     the lost pages clean, and a second sync would call them durable (E3).
 * W5  Nothing is appended to a log once a newer one may exist whose first frame names its
 *     end: recovery ignores what lies beyond.  So a new log that could not be made is
 *     gone durably, or the older one is broken.
 * W6  A log that is synced often is zeroed ahead of its end: then a sync writes pages
 *     that the file has, and neither its size nor where they are.  Behind the end lie
 *     zeros and nothing else, so a zero header is the end (tail.c), and zeros whose write
 *     fails cost speed alone (if it is the writing back that fails, the next sync does).
 *     Zeros that were only allocated would not do: the first write into each of them is a
 *     change of the file's map, to be synced with it.
 * W7  What its frames refer to is durable before they are: `ahead` is called before every
 *     sync (invariant 14).
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutex.h"
#include "log/frame.h"
#include "log/wal.h"

/* Writing back begins every so many bytes, so that no sync waits for a second's worth. */
#define WRITEBACK_SIZE (4u << 20)
/* W6: a fourth of the log, within these, so that a small log stays small. */
#define ZEROS_LEAST (UINT64_C(16) << 10)
#define ZEROS_MOST  (UINT64_C(256) << 10)
#define ZEROS_PART  4096u
/* Often: so many syncs there were, and no more bytes are written between two of them. */
#define OFTEN_SYNCS 4u
#define OFTEN_BYTES (UINT64_C(64) << 10)

struct wal_writer {
    /* Constant. */
    struct env_file *file;
    struct reporter *reporter;
    uint64_t number;
    char name[WAL_NAME_SIZE];
    int (*ahead)(void *context); /* W7; NULL: they refer to nothing */
    void *context;

    /* Of the appending thread. */
    uint64_t hinted; /* writeback was asked for up to here */
    uint64_t zeroed; /* how far the file may reach, if that is beyond `end` */
    bool no_zeros;   /* writing them failed once, or a frame met a full disk */
    uint8_t *headers;
    struct iovec *parts;
    size_t capacity; /* frames that both have room for */

    struct mutex syncing; /* one sync at a time: see W4 */
    _Atomic uint64_t end, synced, syncs;
    _Atomic int error; /* what broke the writer; 0: nothing */
};

/* The first error stays. */
static int
writer_break(struct wal_writer *writer, int error)
{
    int none = 0;

    atomic_compare_exchange_strong(&writer->error, &none, error);
    return error;
}

static int
writer_sync_locked(struct wal_writer *writer) LSMKV_REQUIRES(writer->syncing)
{
    uint64_t end = atomic_load(&writer->end);
    int result = atomic_load(&writer->error);

    if (result < 0)
        return result;
    atomic_fetch_add(&writer->syncs, 1);
    if (writer->ahead != NULL)
        result = writer->ahead(writer->context); /* which reports */
    if (result < 0)
        return writer_break(writer, result);
    result = env_file_sync(writer->file);
    if (result < 0) {
        writer_break(writer, result);
        return report_error(writer->reporter, result,
                            "%s: sync up to offset %llu failed: %s", writer->name,
                            (unsigned long long)end, strerror(-result));
    }
    atomic_store(&writer->synced, end);
    return 0;
}

/* W3; under the lock, so that no sync runs beside the truncation. */
static int
writer_undo(struct wal_writer *writer)
{
    uint64_t end = atomic_load(&writer->end);
    int result;

    mutex_lock(&writer->syncing);
    result = env_file_truncate(writer->file, end);
    if (result < 0) {
        writer_break(writer, result);
        report_error(writer->reporter, result,
                     "%s: undoing a write at offset %llu failed: %s", writer->name,
                     (unsigned long long)end, strerror(-result));
    } else {
        writer->zeroed = end;
        result = writer_sync_locked(writer);
    }
    mutex_unlock(&writer->syncing);
    return result;
}

static struct iovec *
part_of(struct iovec *part, const void *data, size_t size)
{
    if (size == 0)
        return part;
    *part = env_part(data, size);
    return part + 1;
}

/* W6: writes zeros behind `end`, if the last write went beyond those there were, and
 * syncs come so often that they are worth it. */
static void
writer_zero_ahead(struct wal_writer *writer, uint64_t end)
{
    static const uint8_t zeros[ZEROS_PART];
    struct iovec parts[ZEROS_MOST / ZEROS_PART];
    uint64_t step = end / 4 / ZEROS_PART * ZEROS_PART;
    int count = 0, result;

    if (end <= writer->zeroed || writer->no_zeros ||
        atomic_load(&writer->syncs) < OFTEN_SYNCS ||
        end - atomic_load(&writer->synced) > OFTEN_BYTES)
        return;
    if (step < ZEROS_LEAST)
        step = ZEROS_LEAST;
    else if (step > ZEROS_MOST)
        step = ZEROS_MOST;
    for (uint64_t left = step; left > 0; left -= ZEROS_PART)
        parts[count++] = env_part(zeros, sizeof(zeros));
    writer->zeroed = end + step;
    result = env_file_writev(writer->file, end, parts, count);
    if (result == 0)
        return;
    /* Whatever part was written is zeros; the disk may be full. */
    writer->no_zeros = true;
    report_info(writer->reporter, "%s: offset %llu: no zeros ahead: %s", writer->name,
                (unsigned long long)end, strerror(-result));
}

/* Writes `count` parts, `size` bytes in all, at the end, or nothing. */
static int
writer_write(struct wal_writer *writer, const struct iovec *parts, size_t count,
             uint64_t size)
{
    uint64_t end = atomic_load(&writer->end);
    uint64_t offset = end;
    int result = 0;

    while (count > 0 && result == 0) {
        size_t now = count < IOV_MAX ? count : IOV_MAX;

        result = env_file_writev(writer->file, offset, parts, (int)now);
        for (; now > 0; now--, parts++, count--)
            offset += parts->iov_len;
    }
    if (result < 0) {
        report_error(writer->reporter, result,
                     "%s: write of %llu bytes at offset %llu: %s", writer->name,
                     (unsigned long long)size, (unsigned long long)end,
                     strerror(-result));
        if (result == -ENOSPC) /* what there is is for frames */
            writer->no_zeros = true;
        /* If undoing fails too the writer is broken; the cause is still the write's. */
        (void)writer_undo(writer);
        return result;
    }
    assert(offset - end == size);
    atomic_store(&writer->end, offset);
    if (offset - writer->hinted >= WRITEBACK_SIZE) {
        env_file_writeback(writer->file, writer->hinted, offset - writer->hinted);
        writer->hinted = offset;
    }
    writer_zero_ahead(writer, offset);
    return 0;
}

static int
writer_reserve(struct wal_writer *writer, size_t count)
{
    uint8_t *headers;
    struct iovec *parts;

    if (count <= writer->capacity)
        return 0;
    headers = realloc(writer->headers, count * FRAME_HEADER_SIZE);
    if (headers == NULL)
        return -ENOMEM;
    writer->headers = headers;
    parts = realloc(writer->parts, 3 * count * sizeof(*parts));
    if (parts == NULL)
        return -ENOMEM;
    writer->parts = parts;
    writer->capacity = count;
    return 0;
}

/* Encodes one frame's header and points parts at the frame.  Returns the end of the
 * parts. */
static struct iovec *
writer_frame(struct wal_writer *writer, uint8_t *out, struct iovec *part, uint64_t offset,
             enum wal_frame_type type, const struct wal_append *frame)
{
    static const uint8_t zeros[FRAME_ALIGNMENT];
    uint32_t length = (uint32_t)frame->entries.size;
    struct frame_header header = {
        .length = length,
        .type = (uint8_t)type,
        .first_sequence = frame->first_sequence,
        .synced = atomic_load(&writer->synced),
    };

    frame_header_encode(out, &header);
    frame_seal(out, writer->number, offset, frame->entries);
    part = part_of(part, out, FRAME_HEADER_SIZE);
    part = part_of(part, frame->entries.data, length);
    return part_of(part, zeros, frame_padding(length));
}

static int
writer_append(struct wal_writer *writer, enum wal_frame_type type,
              const struct wal_append *frames, size_t count)
{
    uint64_t end = atomic_load(&writer->end);
    uint64_t offset = end;
    struct iovec *part;
    size_t i;
    int result;

    result = atomic_load(&writer->error);
    if (result < 0)
        return result;
    for (i = 0; i < count; i++)
        if (frames[i].entries.size > FRAME_LENGTH_MAX)
            return -E2BIG;
    result = writer_reserve(writer, count);
    if (result < 0)
        return result;
    part = writer->parts;
    for (i = 0; i < count; i++) {
        part = writer_frame(writer, writer->headers + i * FRAME_HEADER_SIZE, part, offset,
                            type, &frames[i]);
        offset += frame_size((uint32_t)frames[i].entries.size);
    }
    return writer_write(writer, writer->parts, (size_t)(part - writer->parts),
                        offset - end);
}

int
wal_append(struct wal_writer *writer, const struct wal_append *frames, size_t count)
{
    return writer_append(writer, WAL_FRAME_BATCH, frames, count);
}

int
wal_sync(struct wal_writer *writer)
{
    uint64_t end = atomic_load(&writer->end);
    int result;

    mutex_lock(&writer->syncing);
    result = atomic_load(&writer->error);
    if (result == 0 && atomic_load(&writer->synced) < end)
        result = writer_sync_locked(writer);
    mutex_unlock(&writer->syncing);
    return result;
}

static struct wal_writer *
writer_new(struct env_file *file, uint64_t number, struct reporter *reporter)
{
    struct wal_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL)
        return NULL;
    writer->file = file;
    writer->reporter = reporter;
    writer->number = number;
    wal_name(writer->name, number);
    mutex_init(&writer->syncing);
    return writer;
}

static int
writer_begin(struct wal_writer *writer, struct env_dir *dir,
             const struct wal_previous *previous)
{
    struct frame_first first = {
        .version = FRAME_VERSION,
        .features = FRAME_FEATURES,
        .previous = previous->number,
        .end = previous->end,
    };
    uint8_t bytes[FRAME_FIRST_SIZE];
    struct wal_append frame = {0};
    int result;

    frame_first_encode(bytes, &first);
    frame.entries = lsmkv_bytes(bytes, sizeof(bytes));
    result = writer_append(writer, WAL_FRAME_FIRST, &frame, 1);
    if (result < 0)
        return result;
    result = wal_sync(writer);
    if (result < 0)
        return result;
    result = env_dir_sync(dir);
    if (result < 0)
        return writer_break(writer, report_error(writer->reporter, result,
                                                 "%s: sync of its directory: %s",
                                                 writer->name, strerror(-result)));
    return 0;
}

/* Removes what wal_create made.  Whether it is certainly gone (W5): nothing that failed
 * was a sync, and the removal is durable. */
static bool
created_undo(struct env_dir *dir, uint64_t number, bool broken)
{
    char name[WAL_NAME_SIZE];

    wal_name(name, number);
    if (env_dir_unlink(dir, name) < 0)
        return false;
    return !broken && env_dir_sync(dir) == 0;
}

/* `undone` is set on failure. */
static int
create(struct env_dir *dir, uint64_t number, const struct wal_previous *previous,
       struct reporter *reporter, struct wal_writer **out, bool *undone)
{
    char name[WAL_NAME_SIZE];
    struct wal_writer *made;
    struct env_file *file;
    bool broken = false;
    int result;

    wal_name(name, number);
    *undone = true;
    result = env_file_open(dir, name, ENV_CREATE, &file);
    if (result < 0)
        return report_error(reporter, result, "%s: cannot be created: %s", name,
                            strerror(-result));
    made = writer_new(file, number, reporter);
    if (made == NULL) {
        (void)env_file_close(file); /* empty */
        result = -ENOMEM;
        goto remove;
    }
    result = writer_begin(made, dir, previous);
    if (result < 0) {
        broken = wal_is_broken(made);
        (void)wal_close(made); /* about to be removed */
        goto remove;
    }
    *out = made;
    return 0;

remove:
    *undone = created_undo(dir, number, broken);
    return result;
}

int
wal_create(struct env_dir *dir, uint64_t number, const struct wal_previous *previous,
           struct reporter *reporter, struct wal_writer **writer)
{
    bool undone;

    return create(dir, number, previous, reporter, writer, &undone);
}

int
wal_rotate(struct env_dir *dir, uint64_t number, struct wal_writer *older,
           struct wal_writer **writer)
{
    struct wal_previous previous = {older->number, 0};
    bool undone;
    int result;

    result = wal_sync(older);
    if (result < 0)
        return result;
    previous.end = atomic_load(&older->end);
    result = create(dir, number, &previous, older->reporter, writer, &undone);
    if (result < 0 && !undone)
        writer_break(older, result);
    return result;
}

void
wal_set_ahead(struct wal_writer *writer, int (*ahead)(void *context), void *context)
{
    writer->ahead = ahead;
    writer->context = context;
}

bool
wal_is_broken(const struct wal_writer *writer)
{
    return atomic_load(&writer->error) < 0;
}

uint64_t
wal_number(const struct wal_writer *writer)
{
    return writer->number;
}

uint64_t
wal_end(const struct wal_writer *writer)
{
    return atomic_load(&writer->end);
}

uint64_t
wal_synced(const struct wal_writer *writer)
{
    return atomic_load(&writer->synced);
}

static int
writer_cut_locked(struct wal_writer *writer) LSMKV_REQUIRES(writer->syncing)
{
    uint64_t end = atomic_load(&writer->end);
    int result = atomic_load(&writer->error);

    if (result < 0)
        return result;
    result = env_file_truncate(writer->file, end);
    if (result < 0)
        return report_error(writer->reporter, result,
                            "%s: zeros at offset %llu cannot be cut off: %s",
                            writer->name, (unsigned long long)end, strerror(-result));
    return writer_sync_locked(writer);
}

int
wal_finish(struct wal_writer *writer)
{
    int result;

    if (writer->zeroed <= atomic_load(&writer->end))
        return 0;
    mutex_lock(&writer->syncing);
    result = writer_cut_locked(writer);
    mutex_unlock(&writer->syncing);
    return result;
}

int
wal_close(struct wal_writer *writer)
{
    int result;

    if (writer == NULL)
        return 0;
    result = env_file_close(writer->file);
    mutex_fini(&writer->syncing);
    free(writer->headers);
    free(writer->parts);
    free(writer);
    return result;
}
