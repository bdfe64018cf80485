/*
 * salvage.c - the good frames of a damaged log.
 *
 * A log is read as recovery reads it (wal_reader.c) until that stops.  If it stopped at
 * damage, the rest is searched for frames, at every multiple of 8 (F1 of frame.h): the
 * seed of their checksums makes sure that they are this log's, and stand where they were
 * written.
 *
 * As in tail.c a place is checksummed only if its header is plausible, good frames are
 * stepped over as wholes, and the bytes checksummed in vain are bounded by a multiple of
 * the file's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/batch.h"
#include "log/frame.h"
#include "log/wal_file.h"

#define WINDOW_SIZE  ((size_t)256 << 10)
#define EFFORT_FILES 4u
#define EFFORT_BASE  ((uint64_t)64 << 20)
#define UNREAD_STEP  4096u /* bytes passed over where reading fails */

struct search {
    struct wal_file file;
    const struct wal_salvage *ops;
    uint64_t limit;   /* of frames' ends */
    uint64_t durable; /* all before it was, as far as is known */
    bool tell_last;   /* what no good frame follows is a gap, too, unless it is zeros */
    uint64_t min_sequence; /* of the next frame */
    uint64_t effort;       /* bytes that may still be checksummed in vain */
    uint8_t *bytes;        /* of the file, from `start` on */
    size_t capacity, filled;
    uint64_t start;
};

/* Points at `size` bytes at `offset`, which lie below the limit. */
static int
get_bytes(struct search *search, uint64_t offset, size_t size, const uint8_t **bytes)
{
    uint64_t into = offset - search->start, left = search->limit - offset;
    size_t wanted = size < WINDOW_SIZE ? WINDOW_SIZE : size;
    int result;

    if (into <= search->filled && size <= search->filled - into) {
        *bytes = search->bytes + into;
        return 0;
    }
    if (wanted > left)
        wanted = (size_t)left;
    if (wanted > search->capacity) {
        uint8_t *grown = realloc(search->bytes, wanted);

        if (grown == NULL)
            return -ENOMEM;
        search->bytes = grown;
        search->capacity = wanted;
    }
    search->filled = 0;
    result = wal_file_read(&search->file, offset, search->bytes, wanted);
    if (result < 0)
        return result;
    search->start = offset;
    search->filled = wanted;
    *bytes = search->bytes;
    return 0;
}

/* 1 and the frame at `offset`, 0 if there is none. */
static int
look_at(struct search *search, uint64_t offset, struct wal_frame *frame)
{
    struct frame_header header;
    const uint8_t *bytes;
    uint64_t size;
    int result = get_bytes(search, offset, FRAME_HEADER_SIZE, &bytes);

    if (result < 0)
        return result;
    frame_header_decode(bytes, &header);
    size = frame_size(header.length);
    if (header.type != WAL_FRAME_BATCH || header.length < BATCH_HEADER_SIZE ||
        header.length > FRAME_LENGTH_MAX || size > search->limit - offset ||
        header.synced > offset || header.first_sequence < search->min_sequence ||
        size > search->effort)
        return 0;
    result = get_bytes(search, offset, (size_t)size, &bytes);
    if (result < 0)
        return result;
    if (crc32c(crc32c_seed(search->file.number, offset), bytes + 4, (size_t)size - 4) !=
        header.checksum) {
        search->effort -= size;
        return 0;
    }
    *frame = (struct wal_frame){
        .offset = offset,
        .end = offset + size,
        .type = header.type,
        .first_sequence = header.first_sequence,
        .synced = header.synced,
        .entries = lsmkv_bytes(bytes + FRAME_HEADER_SIZE, header.length),
    };
    return batch_verify(frame->entries) == 0;
}

static int
take_frame(struct search *search, const struct wal_frame *frame)
{
    struct batch_reader entries;
    int result = batch_read(&entries, frame->entries, frame->first_sequence);

    if (result < 0)
        return result; /* it was verified: cannot be */
    search->min_sequence = frame->first_sequence + entries.left;
    return search->ops->frame(search->ops->context, frame);
}

/* Whether zeros can be read from here to the limit: then they may be those written
 * ahead. */
static bool
is_zero_from(struct search *search, uint64_t offset)
{
    const uint8_t *bytes;

    for (size_t now; offset < search->limit; offset += now) {
        now = search->limit - offset < UNREAD_STEP ? (size_t)(search->limit - offset)
                                                   : UNREAD_STEP;
        if (get_bytes(search, offset, now, &bytes) < 0 || bytes[0] != 0 ||
            memcmp(bytes, bytes + 1, now - 1) != 0)
            return false;
    }
    return true;
}

/* Searches [offset, limit), where the first frame is bad. */
static int
search_rest(struct search *search, uint64_t offset)
{
    uint64_t gap = offset;
    struct wal_frame frame;

    while (offset < search->limit && search->limit - offset >= FRAME_HEADER_SIZE) {
        int result = look_at(search, offset, &frame);

        if (result == -ENOMEM)
            return result;
        if (result <= 0) { /* what cannot be read is passed over, too */
            offset += result < 0 ? UNREAD_STEP : FRAME_ALIGNMENT;
            continue;
        }
        if (gap < offset)
            search->ops->gap(search->ops->context, gap, offset);
        gap = offset = frame.end;
        result = take_frame(search, &frame);
        if (result < 0)
            return result;
    }
    if (gap < search->limit && search->tell_last &&
        (gap < search->durable || !is_zero_from(search, gap)))
        search->ops->gap(search->ops->context, gap, search->limit);
    return 0;
}

/* Reads up to where recovery would stop; `*bad`: and something bad is there, at
 * `*end`. */
static int
read_good(struct search *search, struct wal_reader *reader, uint64_t durable,
          uint64_t *end, bool *bad)
{
    struct wal_frame frame;
    enum wal_stop stop;
    int result = 0;

    *end = 0;
    while (*end < search->limit && (result = wal_read(reader, &frame)) > 0) {
        if (frame.end > search->limit)
            break;
        *end = frame.end;
        if (frame.type == WAL_FRAME_BATCH)
            result = take_frame(search, &frame);
        if (result < 0)
            return result;
    }
    *bad = false;
    if (*end >= search->limit)
        return 0;
    if (result == -ENOMEM)
        return result;
    if (result == 0) {
        stop = wal_reader_stop(reader, end);
        *bad = stop == WAL_DAMAGED || *end < durable;
        search->tell_last = stop == WAL_DAMAGED || durable != WAL_DURABLE_UNKNOWN;
    } else {
        *bad = search->tell_last = true;
    }
    return 0;
}

int
wal_salvage(struct env_dir *dir, uint64_t number, uint64_t limit, uint64_t durable,
            struct reporter *reporter, const struct wal_salvage *ops)
{
    struct search search = {.ops = ops};
    struct wal_reader *reader;
    char name[WAL_NAME_SIZE];
    uint64_t end = 0, size;
    bool bad = false;
    int result = wal_reader_open(dir, number, reporter, &reader);

    if (result < 0)
        return result;
    search.limit = limit < wal_reader_size(reader) ? limit : wal_reader_size(reader);
    search.effort = EFFORT_FILES * search.limit + EFFORT_BASE;
    size = wal_reader_size(reader);
    result = read_good(&search, reader, durable, &end, &bad);
    wal_reader_close(reader);
    if (durable == WAL_DURABLE_UNKNOWN)
        durable = limit == UINT64_MAX ? 0 : limit;
    search.durable = durable;
    if (result < 0 || !bad) {
        if (result == 0 && size < durable)
            ops->gap(ops->context, size, durable);
        return result;
    }
    wal_name(name, number);
    result = wal_file_open(&search.file, dir, name, number, ENV_READ, reporter);
    if (result == 0) {
        result = search_rest(&search, end);
        (void)wal_file_close(&search.file); /* it was only read */
    }
    free(search.bytes);
    if (result == 0 && size < durable)
        ops->gap(ops->context, size, durable);
    return result;
}

int
wal_first_frame(struct env_dir *dir, uint64_t number, struct wal_previous *previous)
{
    struct wal_reader *reader;
    struct wal_frame frame;
    int result = wal_reader_open(dir, number, NULL, &reader);

    if (result == 0) {
        result = wal_read(reader, &frame);
        if (result == 1)
            *previous = wal_reader_previous(reader);
        wal_reader_close(reader);
    }
    return result < 0 && result != -ENOMEM ? 0 : result;
}

int
wal_named_end(struct env_dir *dir, uint64_t number, const uint64_t *newer, size_t count,
              uint64_t *end)
{
    struct wal_previous previous;

    *end = UINT64_MAX;
    for (size_t i = 0; i < count && *end == UINT64_MAX; i++) {
        int result = wal_first_frame(dir, newer[i], &previous);

        if (result < 0)
            return result;
        if (result > 0 && previous.number == number)
            *end = previous.end;
    }
    return 0;
}
