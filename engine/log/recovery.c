/*
 * recovery.c - which logs there are to replay, how far, and making the newest one whole.
 *
 *      000005   <- names 5, ended at E ->   000007   <- names 7 ->   000009   000010
 *      older: must be good up to E          older                    newest   empty
 *
 * The logs form a chain by what each first frame names (invariant 5 of the design); the
 * numbers between were given to other files.  The chain is walked from the newest log
 * down to the manifest's oldest live one, then replayed upwards.
 *
 * V1  A log whose first frame is bad, with no good frame behind it, never took a batch:
 *     the first frame is synced before a second is written.
 * V2  A log older than the newest is read up to the end that its successor names, and
 *     anything bad before that is damage: the successor was begun after the older one was
 *     wholly synced (invariant 4).  What lies beyond is not looked at.
 * V3  A log outside the chain holds no batch, or one was lost: damage.
 * V4  Files change only after every log was read to its end, and only in ways that leave
 *     the same log behind: the newest one is cut, the bytes past its last `synced` are
 *     written again as they are, because a kernel that failed to sync them may hold them
 *     clean, and it is synced.  So recovery may stop anywhere and start again.
 * V5  A frame of the newest log past its last `synced` that refers to something which is
 *     not there whole is a torn one, whatever follows: it was never acknowledged as
 *     durable.  What frames refer to is durable before they are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log/batch.h"
#include "log/frame.h"
#include "log/wal_file.h"

#define COPY_SIZE ((size_t)1 << 20)
#define NO_LIMIT  UINT64_MAX

/* A log of the chain, and the end that its successor names. */
struct link {
    uint64_t number;
    uint64_t end;
};

struct recoverer {
    struct env_dir *dir;
    struct reporter *reporter;
    const uint64_t *numbers;
    size_t count;
    uint64_t oldest;
    const struct wal_recovery_ops *ops;
    void *context;

    struct link *chain; /* newest first */
    size_t links;
    uint64_t min_sequence; /* of the next batch */
    uint64_t size, synced; /* of the newest log */
    uint64_t written;      /* up to where it was: only zeros follow */
    struct wal_recovery outcome;
};

static int
damage(struct recoverer *recoverer, uint64_t number, const struct wal_reader *reader)
{
    char name[WAL_NAME_SIZE];
    uint64_t offset;

    (void)wal_reader_stop(reader, &offset); /* for the offset */
    wal_name(name, number);
    return report_error(recoverer->reporter, wal_reader_error(reader),
                        "%s: offset %llu: %s", name, (unsigned long long)offset,
                        wal_reader_reason(reader));
}

static bool
has_number(const struct recoverer *recoverer, uint64_t number)
{
    size_t i;

    for (i = 0; i < recoverer->count; i++)
        if (recoverer->numbers[i] == number)
            return true;
    return false;
}

/* 1 and what the first frame of a log names; 0 if the log is empty (V1). */
static int
read_first(struct recoverer *recoverer, uint64_t number, struct wal_previous *previous)
{
    struct wal_reader *reader;
    struct wal_frame frame;
    uint64_t offset;
    int result;

    result = wal_reader_open(recoverer->dir, number, recoverer->reporter, &reader);
    if (result < 0)
        return result;
    result = wal_read(reader, &frame);
    if (result > 0)
        *previous = wal_reader_previous(reader);
    else if (result == 0 && wal_reader_stop(reader, &offset) == WAL_DAMAGED)
        result = damage(recoverer, number, reader);
    wal_reader_close(reader);
    return result;
}

/* The newest log with a frame: 1 and what it names, or 0. */
static int
find_newest(struct recoverer *recoverer, uint64_t *number, struct wal_previous *previous)
{
    size_t i;
    int result;

    for (i = recoverer->count; i > 0; i--) {
        *number = recoverer->numbers[i - 1];
        result = read_first(recoverer, *number, previous);
        if (result != 0)
            return result;
        if (*number == recoverer->oldest)
            return report_error(recoverer->reporter, -EBADMSG,
                                "%06llu.log: offset 0: a bad first frame, but MANIFEST "
                                "names this log, which was durable then",
                                (unsigned long long)*number);
        report_info(recoverer->reporter,
                    "%06llu.log: empty, its first frame was never whole",
                    (unsigned long long)*number);
    }
    return 0;
}

/* Follows what first frames name, down to the oldest log that is needed. */
static int
find_chain(struct recoverer *recoverer)
{
    struct link *link = recoverer->chain;
    struct wal_previous previous = {0, 0};
    uint64_t number;
    int result;

    result = find_newest(recoverer, &number, &previous);
    if (result <= 0)
        return result;
    *link++ = (struct link){number, NO_LIMIT};
    while (previous.number != 0 && previous.number >= recoverer->oldest) {
        if (previous.number >= number)
            return report_error(
                recoverer->reporter, -EUCLEAN,
                "%06llu.log: offset 0: names log %llu as the one before it",
                (unsigned long long)number, (unsigned long long)previous.number);
        if (!has_number(recoverer, previous.number))
            return report_error(
                recoverer->reporter, -EBADMSG,
                "%06llu.log: missing, but %06llu.log names it as the log before it, good up "
                "to offset %llu",
                (unsigned long long)previous.number, (unsigned long long)number,
                (unsigned long long)previous.end);
        number = previous.number;
        *link++ = (struct link){number, previous.end};
        result = read_first(recoverer, number, &previous);
        if (result < 0)
            return result;
        if (result == 0)
            return report_error(
                recoverer->reporter, -EBADMSG,
                "%06llu.log: offset 0: a bad first frame in an older log, "
                "which was durable up to %llu",
                (unsigned long long)number, (unsigned long long)link[-1].end);
    }
    recoverer->links = (size_t)(link - recoverer->chain);
    return 0;
}

/* V3, of one log outside the chain. */
static int
check_outsider(struct recoverer *recoverer, uint64_t number)
{
    struct wal_reader *reader;
    struct wal_frame frame;
    uint64_t offset;
    int result;

    result = wal_reader_open(recoverer->dir, number, recoverer->reporter, &reader);
    if (result < 0)
        return result;
    do
        result = wal_read(reader, &frame);
    while (result > 0 && frame.type == WAL_FRAME_FIRST);
    if (result > 0)
        result =
            report_error(recoverer->reporter, -EUCLEAN,
                         "%06llu.log: offset %llu: a batch in a log that no newer log "
                         "names as the one before it",
                         (unsigned long long)number, (unsigned long long)frame.offset);
    else if (result == 0 && wal_reader_stop(reader, &offset) == WAL_DAMAGED)
        result = damage(recoverer, number, reader);
    wal_reader_close(reader);
    return result;
}

static int
check_outsiders(struct recoverer *recoverer)
{
    size_t i, link = 0;
    int result = 0;

    /* Both lists downwards; logs above the newest were found empty. */
    for (i = recoverer->count; i > 0 && result == 0; i--) {
        uint64_t number = recoverer->numbers[i - 1];

        if (link < recoverer->links && recoverer->chain[link].number == number)
            link++;
        else if (link > 0)
            result = check_outsider(recoverer, number);
    }
    return result;
}

static int
replay_frame(struct recoverer *recoverer, const struct link *link,
             const struct wal_frame *frame)
{
    struct batch_reader entries;
    int result;

    if (frame->end > link->end)
        return report_error(
            recoverer->reporter, -EUCLEAN,
            "%06llu.log: offset %llu: a frame that ends at %llu, beyond the "
            "log's end at %llu",
            (unsigned long long)link->number, (unsigned long long)frame->offset,
            (unsigned long long)frame->end, (unsigned long long)link->end);
    if (frame->type == WAL_FRAME_FIRST)
        return 0;
    if (frame->first_sequence < recoverer->min_sequence)
        return report_error(
            recoverer->reporter, -EUCLEAN,
            "%06llu.log: offset %llu: sequence %llu after %llu in an older log",
            (unsigned long long)link->number, (unsigned long long)frame->offset,
            (unsigned long long)frame->first_sequence,
            (unsigned long long)recoverer->min_sequence - 1);
    result = batch_read(&entries, frame->entries, frame->first_sequence);
    if (result < 0)
        return result; /* wal_read has verified it: cannot be */
    recoverer->min_sequence = frame->first_sequence + entries.left;
    recoverer->outcome.frames++;
    return recoverer->ops->frame(recoverer->context, frame);
}

/* Replays up to where the log ends; V2 for an older one. */
static int
replay_frames(struct recoverer *recoverer, const struct link *link,
              struct wal_reader *reader, uint64_t *end)
{
    struct wal_frame frame;
    int result;

    *end = 0;
    while (*end == 0 || *end < link->end) {
        result = wal_read(reader, &frame);
        if (result < 0)
            return result;
        if (result == 0)
            break;
        result = replay_frame(recoverer, link, &frame);
        if (result < 0)
            return result;
        *end = frame.end;
    }
    return 0;
}

static int
older_is_short(struct recoverer *recoverer, const struct link *link,
               const struct wal_reader *reader, uint64_t end)
{
    int error = wal_reader_error(reader);
    uint64_t offset;
    bool is_torn = wal_reader_stop(reader, &offset) == WAL_TORN;

    return report_error(recoverer->reporter, error < 0 ? error : -EBADMSG,
                        "%06llu.log: offset %llu: %s; but the log was durable up to %llu",
                        (unsigned long long)link->number, (unsigned long long)end,
                        is_torn ? "a bad frame" : wal_reader_reason(reader),
                        (unsigned long long)link->end);
}

static void
note_newest(struct recoverer *recoverer, const struct link *link,
            const struct wal_reader *reader)
{
    struct wal_recovery *outcome = &recoverer->outcome;

    outcome->stop = wal_reader_stop(reader, &outcome->stop_offset);
    outcome->last = (struct wal_previous){link->number, outcome->stop_offset};
    recoverer->size = wal_reader_size(reader);
    recoverer->synced = wal_reader_synced(reader);
    recoverer->written =
        outcome->stop == WAL_TORN ? wal_reader_torn_end(reader) : outcome->stop_offset;
    if (outcome->stop != WAL_TORN)
        return;
    outcome->cut_bytes = recoverer->written - outcome->stop_offset;
    report_warning(recoverer->reporter, "%06llu.log: offset %llu: %s; the log ends there",
                   (unsigned long long)link->number,
                   (unsigned long long)outcome->stop_offset, wal_reader_reason(reader));
}

/* All of a log but for its end, which `settle` may set. */
static int
replay_whole(struct recoverer *recoverer, const struct link *link, bool *settle,
             uint64_t *end)
{
    struct wal_reader *reader;
    uint64_t offset;
    int result;

    *settle = false;
    result = wal_reader_open(recoverer->dir, link->number, recoverer->reporter, &reader);
    if (result < 0)
        return result;
    result = recoverer->ops->begin_log(recoverer->context, link->number);
    if (result < 0)
        goto out;
    result = replay_frames(recoverer, link, reader, end);
    if (result < 0)
        goto out;
    if (link->end == NO_LIMIT) {
        *settle = recoverer->ops->settle != NULL;
        if (wal_reader_stop(reader, &offset) == WAL_DAMAGED)
            result = damage(recoverer, link->number, reader);
        else
            note_newest(recoverer, link, reader);
    } else if (*end < link->end) {
        result = older_is_short(recoverer, link, reader, *end);
    }
out:
    wal_reader_close(reader);
    return result;
}

/* V5: the newest log once more, up to a frame that is torn although it is good itself. */
static int
replay_before(struct recoverer *recoverer, uint64_t number, uint64_t offset)
{
    struct wal_recovery *outcome = &recoverer->outcome;
    struct link cut = {number, offset};
    uint64_t end;
    bool settle;
    int result = replay_whole(recoverer, &cut, &settle, &end);

    outcome->stop = WAL_TORN;
    outcome->stop_offset = outcome->last.end = offset;
    outcome->cut_bytes = recoverer->written - offset;
    return result;
}

static int
replay_log(struct recoverer *recoverer, const struct link *link)
{
    const uint64_t frames = recoverer->outcome.frames,
                   min_sequence = recoverer->min_sequence;
    uint64_t end;
    bool settle;
    int result = replay_whole(recoverer, link, &settle, &end);

    if (result == 0 && settle)
        result = recoverer->ops->settle(recoverer->context, recoverer->synced, &end);
    if (result > 0) {
        recoverer->outcome.frames = frames;
        recoverer->min_sequence = min_sequence;
        result = replay_before(recoverer, link->number, end);
    }
    if (result < 0)
        return result;
    recoverer->outcome.logs++;
    recoverer->outcome.bytes += end;
    return recoverer->ops->end_log(recoverer->context, link->number, end);
}

static int
rewrite(const struct wal_file *file, uint64_t from, uint64_t to)
{
    uint8_t *buffer = malloc(COPY_SIZE);
    size_t now;
    int result = buffer == NULL ? -ENOMEM : 0;

    for (; result == 0 && from < to; from += now) {
        now = to - from < COPY_SIZE ? (size_t)(to - from) : COPY_SIZE;
        result = wal_file_read(file, from, buffer, now);
        if (result == 0)
            result = env_file_write(file->file, from, buffer, now);
    }
    free(buffer);
    return result;
}

/* V4. */
static int
mend_newest(struct recoverer *recoverer)
{
    const struct wal_previous *last = &recoverer->outcome.last;
    struct wal_file file;
    char name[WAL_NAME_SIZE];
    int closed, result;

    wal_name(name, last->number);
    result = wal_file_open(&file, recoverer->dir, name, last->number, ENV_WRITE,
                           recoverer->reporter);
    if (result < 0)
        return result;
    if (recoverer->size > last->end)
        result = env_file_truncate(file.file, last->end);
    if (result == 0)
        result = rewrite(&file, recoverer->synced, last->end);
    if (result == 0)
        result = env_file_sync(file.file);
    if (result < 0)
        report_error(recoverer->reporter, result,
                     "%s: writing bytes %llu to %llu again failed: %s", name,
                     (unsigned long long)recoverer->synced, (unsigned long long)last->end,
                     strerror(-result));
    closed = wal_file_close(&file);
    return result < 0 ? result : closed;
}

static int
recover(struct recoverer *recoverer, bool read_only)
{
    size_t i;
    int result;

    result = find_chain(recoverer);
    if (result < 0)
        return result;
    result = check_outsiders(recoverer);
    if (result < 0)
        return result;
    for (i = recoverer->links; i > 0; i--) {
        result = replay_log(recoverer, &recoverer->chain[i - 1]);
        if (result < 0)
            return result;
    }
    if (recoverer->links == 0 || read_only)
        return 0;
    if (recoverer->ops->mend != NULL)
        result = recoverer->ops->mend(recoverer->context, recoverer->synced);
    return result < 0 ? result : mend_newest(recoverer);
}

int
wal_recover(struct env_dir *dir, const uint64_t *numbers, size_t count, uint64_t oldest,
            bool read_only, struct reporter *reporter, const struct wal_recovery_ops *ops,
            void *context, struct wal_recovery *recovery)
{
    struct recoverer recoverer = {
        .dir = dir,
        .reporter = reporter,
        .numbers = numbers,
        .count = count,
        .oldest = oldest,
        .ops = ops,
        .context = context,
        .outcome = {.stop = WAL_CLEAN_END},
    };
    int result;

    recoverer.chain = malloc((count + 1) * sizeof(*recoverer.chain));
    if (recoverer.chain == NULL)
        return -ENOMEM;
    result = recover(&recoverer, read_only);
    if (result == 0)
        *recovery = recoverer.outcome;
    free(recoverer.chain);
    return result;
}
