/*
 * fuzz_log.c - the write-ahead log: its frames (log/frame.h, log/wal_reader.c), its tail
 * (log/tail.c), and the recovery of several logs together (log/recovery.c).
 *
 * Input: the number of the oldest log that a manifest names 1, then files (files.h), which
 * all become logs.
 */
#include <errno.h>

#include "base/record.h"
#include "files.h"
#include "log/batch.h"
#include "log/frame.h"
#include "log/wal.h"

/* What a recovery replayed.  Of the values that frames refer to those are not there whose checksum
 * is odd. */
struct replay {
    unsigned begun, ended, frames;
    uint64_t number, next_sequence;
    unsigned frames_before; /* the log at hand */
    uint64_t sequence_before;
    uint64_t torn[64]; /* where its frames are that refer to such */
    unsigned torn_count;
    uint64_t
        durable; /* what lies before it is there, whatever the log still says of that */
    bool settled, mended;
};

static int
begin_log(void *context, uint64_t number)
{
    struct replay *replay = context;

    if (replay->settled) { /* once more, up to a torn frame */
        fuzz_check(replay->begun == replay->ended + 1 && number == replay->number);
        replay->frames = replay->frames_before;
        replay->next_sequence = replay->sequence_before;
        return 0;
    }
    fuzz_check(replay->begun == replay->ended && number > replay->number);
    replay->begun++;
    replay->number = number;
    replay->frames_before = replay->frames;
    replay->sequence_before = replay->next_sequence;
    replay->torn_count = 0;
    return 0;
}

static int
replay_frame(void *context, const struct wal_frame *frame)
{
    struct replay *replay = context;
    struct batch_reader reader;
    struct batch_entry entry;
    struct blob_ref ref;
    bool torn = false;
    int result;

    fuzz_check(frame->type == WAL_FRAME_BATCH);
    fuzz_check(frame->first_sequence >= replay->next_sequence);
    fuzz_check(batch_read(&reader, frame->entries, frame->first_sequence) == 0);
    while ((result = batch_next(&reader, &entry)) > 0)
        if (kind_is_apart(entry.kind)) {
            fuzz_check(blob_ref_decode(entry.record.value, &ref) == 0);
            torn = torn || ref.checksum % 2 == 1;
        }
    fuzz_check(result == 0);
    if (torn && replay->torn_count < 64)
        replay->torn[replay->torn_count++] = frame->offset;
    replay->next_sequence = reader.next_sequence;
    replay->frames++;
    return 0;
}

static int
end_log(void *context, uint64_t number, uint64_t end)
{
    struct replay *replay = context;

    (void)end;
    fuzz_check(number == replay->number);
    replay->ended++;
    return 0;
}

static int
settle(void *context, uint64_t synced, uint64_t *end)
{
    struct replay *replay = context;

    fuzz_check(!replay->settled && replay->begun == replay->ended + 1);
    replay->settled = true;
    if (replay->durable < synced)
        replay->durable = synced;
    for (unsigned i = 0; i < replay->torn_count; i++)
        if (replay->torn[i] >= replay->durable) {
            *end = replay->torn[i];
            return 1;
        }
    return 0;
}

static int
mend(void *context, uint64_t synced)
{
    struct replay *replay = context;

    (void)synced;
    fuzz_check(replay->settled && !replay->mended && replay->begun == replay->ended);
    replay->mended = true;
    return 0;
}

static const struct wal_recovery_ops recovery_ops = {begin_log, replay_frame, end_log,
                                                     settle, mend};

/* Frames stand one behind the other inside the file, and what ended them is said. */
static void
read_log(struct fuzz_files *files, uint64_t number)
{
    struct wal_reader *reader;
    struct wal_frame frame;
    uint64_t offset = 0, end = 0, sequence = 0;
    int result;

    fuzz_check(wal_reader_open(files->dir, number, &files->reporter, &reader) == 0);
    while ((result = wal_read(reader, &frame)) > 0) {
        fuzz_check(frame.offset == end && frame.end > frame.offset);
        fuzz_check(frame.end <= wal_reader_size(reader) && frame.synced <= frame.offset);
        fuzz_check((frame.type == WAL_FRAME_FIRST) == (frame.offset == 0));
        if (frame.type == WAL_FRAME_BATCH) {
            fuzz_check(frame.first_sequence >= sequence);
            sequence = frame.first_sequence;
            fuzz_check(batch_verify(frame.entries) == 0);
        }
        end = frame.end;
    }
    fuzz_check(result == 0);
    fuzz_check((wal_reader_stop(reader, &offset) == WAL_DAMAGED) ==
               (wal_reader_error(reader) != 0));
    fuzz_check(offset == end && wal_reader_reason(reader) != NULL);
    fuzz_check(wal_read(reader, &frame) == 0);
    wal_reader_close(reader);
}

static int
recover(struct fuzz_files *files, const uint64_t *numbers, size_t count, uint64_t oldest,
        bool read_only, uint64_t durable, struct replay *replay,
        struct wal_recovery *recovery)
{
    *replay = (struct replay){.durable = durable};
    return wal_recover(files->dir, numbers, count, oldest, read_only, &files->reporter,
                       &recovery_ops, replay, recovery);
}

/* Reading only and mending agree; what was mended is whole, and gives the same again. */
static void
recover_logs(struct fuzz_files *files, const uint64_t *numbers, size_t count,
             uint64_t oldest)
{
    struct wal_recovery looked = {0}, mended = {0}, again = {0};
    struct replay first, second, third;
    int result = recover(files, numbers, count, oldest, true, 0, &first, &looked);

    fuzz_check(recover(files, numbers, count, oldest, false, 0, &second, &mended) ==
               result);
    fuzz_check(first.frames == second.frames);
    if (result != 0) {
        fuzz_check(result == -EBADMSG || result == -EUCLEAN);
        return;
    }
    fuzz_check(recover(files, numbers, count, oldest, false, second.durable, &third,
                       &again) == 0);
    fuzz_check(third.frames == first.frames && third.begun == first.begun);
    fuzz_check(again.last.number == looked.last.number &&
               again.last.end == looked.last.end);
    fuzz_check(again.logs == 0 || again.stop == WAL_CLEAN_END);
    fuzz_check(second.mended == (mended.logs > 0) && !first.mended);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint64_t oldest = fuzz_number(&input, 1) % (FUZZ_NUMBER_MAX + 1);
    uint64_t numbers[FUZZ_NUMBER_MAX + 1];
    struct fuzz_file made[FUZZ_FILES_MAX];
    struct fuzz_files files;
    size_t count = 0;

    fuzz_files_init(&files);
    (void)fuzz_files_unpack(&files, &input, made);
    for (uint64_t number = oldest; number <= FUZZ_NUMBER_MAX; number++) {
        char name[WAL_NAME_SIZE];

        wal_name(name, number);
        if (number > 0 && fuzz_files_has(&files, name)) {
            numbers[count++] = number;
            read_log(&files, number);
        }
    }
    recover_logs(&files, numbers, count, oldest);
    fuzz_files_fini(&files);
    return 0;
}
