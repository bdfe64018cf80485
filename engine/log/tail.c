/*
 * tail.c - torn or damaged?
 *
 * A power cut keeps unsynced pages in any order, so good frames may follow a bad one;
 * they were never acknowledged durable, and the log ends at the bad one.  But a frame
 * that says that everything up to beyond the bad one was durable proves damage (invariant
 * 5):
 *
 *      good   good   BAD at B   good, synced <= B    good, synced > B
 *                    torn if only these follow       damaged
 *
 * So everything behind B is searched for frames, at every multiple of 8 (F1), once.  What
 * is searched may be anything, so:
 *
 * T1  A place is checksummed only if its header is plausible: type, length, synced,
 *     sequence.
 * T2  The bytes checksummed in all are bounded by a multiple of the tail.  Only bytes
 *     made on purpose exceed it; then nothing is lost by calling them damage, everything
 *     by not.
 * T3  The search steps over good frames as wholes: a frame inside a value proves nothing.
 */
#include "log/tail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/batch.h"
#include "log/frame.h"

#define WINDOW_SIZE ((size_t)256 << 10)
#define CHUNK_SIZE  ((size_t)64 << 10)
/* T2: bytes checksummed may be this many tails and this much. */
#define EFFORT_TAILS 4u
#define EFFORT_BASE  ((uint64_t)64 << 20)

struct search {
    const struct tail_question *question;
    uint8_t *window; /* of `filled` bytes of the file, from `start` */
    uint8_t *chunk;
    uint64_t start;
    size_t filled;
    uint64_t effort; /* bytes that may still be checksummed */

    uint64_t end; /* behind the last byte met that is not 0; 0: none */
    bool gave_up; /* at `proof` (T2) */
    bool damaged; /* the frame at `proof` says that all before `durable` was synced */
    uint64_t proof, durable;
};

/* Whether a frame of this file may begin so at `offset` (T1). */
static bool
is_plausible(const struct search *search, uint64_t offset,
             const struct frame_header *header)
{
    uint64_t left = search->question->file->size - offset;

    return header->type == WAL_FRAME_BATCH && header->length >= BATCH_HEADER_SIZE &&
           header->length <= FRAME_LENGTH_MAX && frame_size(header->length) <= left &&
           header->synced <= offset && header->synced % FRAME_ALIGNMENT == 0;
}

/* CRC32C of file bytes, from the window if they are all there. */
static int
search_crc(struct search *search, uint64_t offset, uint64_t size, uint32_t *crc)
{
    uint64_t into = offset - search->start;
    size_t now;
    int result;

    if (into <= search->filled && size <= search->filled - into) {
        *crc = crc32c(*crc, search->window + into, (size_t)size);
        return 0;
    }
    for (; size > 0; offset += now, size -= now) {
        now = size < CHUNK_SIZE ? (size_t)size : CHUNK_SIZE;
        result = wal_file_read(search->question->file, offset, search->chunk, now);
        if (result < 0)
            return result;
        *crc = crc32c(*crc, search->chunk, now);
    }
    return 0;
}

/* 1 if a frame with this header at `offset` is good, 0 if not. */
static int
is_good(struct search *search, uint64_t offset, const struct frame_header *header)
{
    uint32_t crc = crc32c_seed(search->question->file->number, offset);
    uint64_t size = frame_size(header->length);
    int result;

    if (size > search->effort)
        return -E2BIG;
    search->effort -= size;
    result = search_crc(search, offset + 4, size - 4, &crc);
    return result < 0 ? result : crc == header->checksum;
}

/* Looks for a frame of this log at `offset`: 1 if there is one, 0 if not. */
static int
try_frame(struct search *search, uint64_t offset, const struct frame_header *header)
{
    const struct tail_question *question = search->question;
    int result;

    if (header->first_sequence < question->min_sequence)
        return 0;
    result = is_good(search, offset, header);
    if (result == -E2BIG) {
        search->gave_up = header->synced > question->offset;
        search->proof = offset;
        return 0;
    }
    if (result <= 0)
        return result;
    if (header->synced > question->offset) {
        search->damaged = true;
        search->proof = offset;
        search->durable = header->synced;
    }
    return 1;
}

/* Sets `*next` to where the search goes on. */
static int
search_at(struct search *search, uint64_t offset, const uint8_t *bytes, uint64_t *next)
{
    struct frame_header header;
    int result;

    *next = offset + FRAME_ALIGNMENT;
    frame_header_decode(bytes, &header);
    if (!is_plausible(search, offset, &header))
        return 0;
    result = try_frame(search, offset, &header);
    if (result > 0) {
        *next = offset + frame_size(header.length); /* T3 */
        if (*next > search->end)
            search->end = *next;
    }
    return result < 0 ? result : 0;
}

static int
search_fill(struct search *search, uint64_t offset)
{
    const struct wal_file *file = search->question->file;
    uint64_t left = file->size - offset;
    size_t size = left < WINDOW_SIZE ? (size_t)left : WINDOW_SIZE;
    int result;

    result = wal_file_read(file, offset, search->window, size);
    if (result < 0)
        return result;
    search->start = offset;
    search->filled = size;
    while (size > 0 && search->window[size - 1] == 0)
        size--;
    if (size > 0 && offset + size > search->end)
        search->end = offset + size;
    return 0;
}

static int
search_tail(struct search *search)
{
    uint64_t size = search->question->file->size;
    uint64_t offset = search->question->offset;
    int result;

    result = search_fill(search, offset);
    while (result == 0 && offset < size && size - offset >= FRAME_HEADER_SIZE &&
           !search->damaged && !search->gave_up) {
        if (offset - search->start > search->filled ||
            search->filled - (offset - search->start) < FRAME_HEADER_SIZE)
            result = search_fill(search, offset);
        if (result == 0)
            result = search_at(search, offset, search->window + (offset - search->start),
                               &offset);
    }
    if (search->damaged || search->gave_up)
        return result;
    /* The last bytes, fewer than a header. */
    if (offset < search->start + search->filled)
        offset = search->start + search->filled;
    if (result == 0 && offset < size)
        result = search_fill(search, offset);
    return result;
}

static void
verdict_of(const struct search *search, struct tail_verdict *verdict)
{
    const struct tail_question *question = search->question;
    size_t size = sizeof(verdict->reason);

    if (search->damaged) {
        verdict->stop = WAL_DAMAGED;
        snprintf(
            verdict->reason, size,
            "a bad frame, but the one at offset %llu says that all before %llu was durable",
            (unsigned long long)search->proof, (unsigned long long)search->durable);
    } else if (search->gave_up) {
        verdict->stop = WAL_DAMAGED;
        snprintf(
            verdict->reason, size,
            "a bad frame, and up to offset %llu too much behind it that resembles frames",
            (unsigned long long)search->proof);
    } else if (search->end == 0) {
        verdict->stop = WAL_ZERO_TAIL;
        snprintf(verdict->reason, size, "%llu zero bytes",
                 (unsigned long long)(question->file->size - question->offset));
    } else {
        verdict->stop = WAL_TORN;
        verdict->end = search->end;
        snprintf(verdict->reason, size,
                 "a torn frame, never acknowledged as durable; %llu bytes",
                 (unsigned long long)(search->end - question->offset));
    }
}

int
tail_judge(const struct tail_question *question, struct tail_verdict *verdict)
{
    struct search search = {.question = question};
    int result = -ENOMEM;

    search.effort =
        EFFORT_TAILS * (question->file->size - question->offset) + EFFORT_BASE;
    search.window = malloc(WINDOW_SIZE);
    search.chunk = malloc(CHUNK_SIZE);
    if (search.window != NULL && search.chunk != NULL)
        result = search_tail(&search);
    if (result == 0)
        verdict_of(&search, verdict);
    free(search.window);
    free(search.chunk);
    return result;
}
