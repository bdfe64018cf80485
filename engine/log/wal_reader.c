/*
 * wal_reader.c - reading one log from its first frame to whatever ends it.
 *
 * R1  A length is believed only as far as the file goes, and only up to FRAME_LENGTH_MAX:
 *     nothing is allocated before that (invariant 16 of the design).
 * R2  A read error is returned and the reader stands where it was; it is never an end.
 * R3  A frame is handed out only if its checksum holds, it may stand where it stands, its
 *     sequences continue upwards, and every entry of it can be read.  A frame whose
 *     checksum holds but not the rest was written so: damage, not a tear.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/batch.h"
#include "log/frame.h"
#include "log/tail.h"
#include "log/wal_file.h"

#define WINDOW_SIZE ((size_t)256 << 10)

struct wal_reader {
    struct wal_file file;

    uint8_t *window; /* of `filled` bytes of the file, from `start` */
    size_t capacity;
    uint64_t start;
    size_t filled;

    uint64_t offset;       /* of the next frame */
    uint64_t min_sequence; /* of the next frame */
    uint64_t synced;       /* the largest said by a frame so far */
    struct frame_first first;

    bool ended; /* the rest is set then */
    int error;
    struct tail_verdict verdict;
};

/* Keeps what the window holds from `offset` on, with room for `size` bytes. */
static int
window_move(struct wal_reader *reader, uint64_t offset, size_t size)
{
    uint64_t into = offset - reader->start;
    size_t capacity = size < WINDOW_SIZE ? WINDOW_SIZE : size;
    uint8_t *window;

    reader->filled = into < reader->filled ? reader->filled - (size_t)into : 0;
    if (reader->filled > 0 && into > 0)
        memmove(reader->window, reader->window + into, reader->filled);
    reader->start = offset;
    if (capacity <= reader->capacity)
        return 0;
    window = realloc(reader->window, capacity);
    if (window == NULL)
        return -ENOMEM;
    reader->window = window;
    reader->capacity = capacity;
    return 0;
}

/* Points at `size` bytes of the file at `offset`, which are there. */
static int
window_get(struct wal_reader *reader, uint64_t offset, size_t size, const uint8_t **bytes)
{
    uint64_t into = offset - reader->start;
    uint64_t left;
    size_t more;
    int result;

    if (into > reader->filled || size > reader->filled - into) {
        result = window_move(reader, offset, size);
        if (result < 0)
            return result;
        left = reader->file.size - offset - reader->filled;
        more = reader->capacity - reader->filled;
        if (more > left)
            more = (size_t)left;
        result = wal_file_read(&reader->file, offset + reader->filled,
                               reader->window + reader->filled, more);
        if (result < 0)
            return result;
        reader->filled += more;
        into = 0;
    }
    *bytes = reader->window + into;
    return 0;
}

int
wal_reader_open_file(struct env_dir *dir, const char *name, uint64_t number,
                     struct reporter *reporter, struct wal_reader **reader)
{
    struct wal_reader *opened = calloc(1, sizeof(*opened));
    int result;

    if (opened == NULL)
        return -ENOMEM;
    result = wal_file_open(&opened->file, dir, name, number, ENV_READ, reporter);
    if (result < 0) {
        free(opened);
        return result;
    }
    env_file_readahead(opened->file.file, 0, opened->file.size);
    *reader = opened;
    return 0;
}

int
wal_reader_open(struct env_dir *dir, uint64_t number, struct reporter *reporter,
                struct wal_reader **reader)
{
    char name[WAL_NAME_SIZE];

    wal_name(name, number);
    return wal_reader_open_file(dir, name, number, reporter, reader);
}

void
wal_reader_close(struct wal_reader *reader)
{
    if (reader == NULL)
        return;
    (void)wal_file_close(&reader->file); /* nothing was written */
    free(reader->window);
    free(reader);
}

/* R1: the header at the reader's offset, and 1 if a whole frame may follow it. */
static int
read_header(struct wal_reader *reader, struct frame_header *header)
{
    uint64_t left = reader->file.size - reader->offset;
    const uint8_t *bytes;
    int result;

    if (left < FRAME_HEADER_SIZE)
        return 0;
    result = window_get(reader, reader->offset, FRAME_HEADER_SIZE, &bytes);
    if (result < 0)
        return result;
    frame_header_decode(bytes, header);
    return header->type != 0 && header->length <= FRAME_LENGTH_MAX &&
           frame_size(header->length) <= left;
}

/* 1 and the frame at the reader's offset if its checksum holds; 0 if none does. */
static int
read_frame(struct wal_reader *reader, struct wal_frame *frame)
{
    struct frame_header header;
    const uint8_t *bytes;
    size_t size;
    uint32_t crc;
    int result;

    result = read_header(reader, &header);
    if (result <= 0)
        return result;
    size = (size_t)frame_size(header.length);
    result = window_get(reader, reader->offset, size, &bytes);
    if (result < 0)
        return result;
    crc = crc32c(crc32c_seed(reader->file.number, reader->offset), bytes + 4, size - 4);
    if (crc != header.checksum)
        return 0;
    frame->offset = reader->offset;
    frame->end = reader->offset + size;
    frame->type = header.type;
    frame->first_sequence = header.first_sequence;
    frame->synced = header.synced;
    frame->entries = lsmkv_bytes(bytes + FRAME_HEADER_SIZE, header.length);
    return 1;
}

/* Reads every entry; `*next` is the sequence after the last. */
static const char *
check_batch(const struct wal_frame *frame, uint64_t *next)
{
    struct batch_reader entries;

    if (batch_read(&entries, frame->entries, frame->first_sequence) < 0 ||
        batch_verify(frame->entries) < 0)
        return "a frame whose entries are not valid";
    *next = frame->first_sequence + entries.left;
    return NULL;
}

/* R3: what is wrong with a frame whose checksum holds; NULL: nothing. */
static const char *
check_frame(struct wal_reader *reader, const struct wal_frame *frame)
{
    uint64_t next = 0;
    const char *wrong = NULL;

    if (frame->synced > frame->offset)
        return "a frame that says it was durable before it was written";
    if ((frame->type == WAL_FRAME_FIRST) != (frame->offset == 0))
        return frame->offset == 0 ? "a log that does not begin with a first frame"
                                  : "a first frame in mid-log";
    if (frame->type == WAL_FRAME_FIRST) {
        if (frame_first_decode(frame->entries, &reader->first) < 0)
            return "a first frame of another version, or with features unknown to this one";
    } else if (frame->type != WAL_FRAME_BATCH) {
        return "a frame of unknown type";
    } else if (frame->first_sequence < reader->min_sequence) {
        return "a frame whose sequences do not continue those before";
    } else {
        wrong = check_batch(frame, &next);
    }
    if (wrong == NULL && next > reader->min_sequence)
        reader->min_sequence = next;
    return wrong;
}

static void
end_at(struct wal_reader *reader, enum wal_stop stop, int error, const char *reason)
{
    reader->ended = true;
    reader->error = error;
    reader->verdict.stop = stop;
    snprintf(reader->verdict.reason, sizeof(reader->verdict.reason), "%s", reason);
}

/* No frame begins here: why? */
static int
end_in_tail(struct wal_reader *reader)
{
    struct tail_question question = {
        .file = &reader->file,
        .offset = reader->offset,
        .min_sequence = reader->min_sequence,
    };
    int result = tail_judge(&question, &reader->verdict);

    if (result < 0)
        return result;
    reader->ended = true;
    reader->error = reader->verdict.stop == WAL_DAMAGED ? -EBADMSG : 0;
    return 0;
}

int
wal_read(struct wal_reader *reader, struct wal_frame *frame)
{
    struct wal_frame found;
    const char *wrong;
    int result;

    if (reader->ended)
        return 0;
    if (reader->offset == reader->file.size) {
        end_at(reader, WAL_CLEAN_END, 0, "the end of the file");
        return 0;
    }
    result = read_frame(reader, &found);
    if (result < 0)
        return result;
    if (result == 0)
        return end_in_tail(reader);
    wrong = check_frame(reader, &found);
    if (wrong != NULL) {
        end_at(reader, WAL_DAMAGED, -EUCLEAN, wrong);
        return 0;
    }
    reader->offset = found.end;
    if (found.synced > reader->synced)
        reader->synced = found.synced;
    *frame = found;
    return 1;
}

enum wal_stop
wal_reader_stop(const struct wal_reader *reader, uint64_t *offset)
{
    *offset = reader->offset;
    return reader->verdict.stop;
}

const char *
wal_reader_reason(const struct wal_reader *reader)
{
    return reader->verdict.reason;
}

int
wal_reader_error(const struct wal_reader *reader)
{
    return reader->error;
}

uint64_t
wal_reader_torn_end(const struct wal_reader *reader)
{
    return reader->verdict.end;
}

uint64_t
wal_reader_size(const struct wal_reader *reader)
{
    return reader->file.size;
}

uint64_t
wal_reader_synced(const struct wal_reader *reader)
{
    return reader->synced;
}

struct wal_previous
wal_reader_previous(const struct wal_reader *reader)
{
    struct wal_previous previous = {reader->first.previous, reader->first.end};

    return previous;
}
