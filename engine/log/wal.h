/*
 * wal.h - the write-ahead log: what makes an acknowledged write survive a crash.
 *
 * A log is a file of frames, one an atomic batch; the byte table stands in frame.h.  Its
 * first frame names the log before it and where that ended.  Logs are numbered upwards by
 * the store's file numbers.
 */
#ifndef LOG_WAL_H
#define LOG_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"
#include "env/env.h"

#define WAL_NAME_SIZE 32u
/* "000007.log". */
void wal_name(char *name, uint64_t number);
/* Whether `name` is what wal_name gives for some number. */
bool wal_name_parse(const char *name, uint64_t *number);

/* The log before, and the offset where its last frame ends; number 0: there is none. */
struct wal_previous {
    uint64_t number;
    uint64_t end;
};

/* ---- writing ---- */

struct wal_writer;

struct wal_append {
    uint64_t first_sequence;
    struct lsmkv_slice entries; /* an encoded batch */
};

/* Creates log `number`, writes and syncs its first frame, syncs the directory.  The
 * caller has synced the log before (invariant 4) and never appends to it again, even if
 * this fails: on failure the file is removed, but perhaps not durably, and recovery
 * ignores what lies beyond the end that a first frame names.  To go on with the log
 * before, see wal_rotate. */
int LSMKV_CHECKED wal_create(struct env_dir *dir, uint64_t number,
                             const struct wal_previous *previous,
                             struct reporter *reporter, struct wal_writer **writer);
/* Syncs `older` and creates the log after it, which names it; nothing may be appended to
 * `older` then.  On failure `older` may be written on, unless wal_is_broken(older): then
 * the new log could not be removed durably, or a sync failed. */
int LSMKV_CHECKED wal_rotate(struct env_dir *dir, uint64_t number,
                             struct wal_writer *older, struct wal_writer **writer);
/* Appends the frames of a group with one write.  A failed write is undone: the file is
 * cut back to the last good frame and synced; if that fails too, the writer is broken:
 * this and every later call gives its error.  One thread at a time for append; wal_sync
 * may run beside it. */
int LSMKV_CHECKED wal_append(struct wal_writer *writer, const struct wal_append *frames,
                             size_t count);
/* Makes all that was appended before this call durable.  Never tried again after a
 * failure: the writer is broken. */
int LSMKV_CHECKED wal_sync(struct wal_writer *writer);
/* What is to be made durable before each sync from now on, because frames refer to it; a
 * failure is one of the sync.  Called by the thread that syncs. */
void wal_set_ahead(struct wal_writer *writer, int (*ahead)(void *context), void *context);
bool wal_is_broken(const struct wal_writer *writer);
uint64_t wal_number(const struct wal_writer *writer);
/* Where the last frame ends, and up to where the log is known durable. */
uint64_t wal_end(const struct wal_writer *writer);
uint64_t wal_synced(const struct wal_writer *writer);
/* Before a clean close: cuts off the zeros behind the log's end, if there are some, and
 * makes that durable, so that the file ends with its last frame.  Nothing may be appended
 * then. */
int LSMKV_CHECKED wal_finish(struct wal_writer *writer);
/* Closes the file without syncing it. */
int wal_close(struct wal_writer *writer);

/* ---- reading ---- */

enum wal_stop {
    WAL_CLEAN_END, /* the file ends with its last frame */
    WAL_ZERO_TAIL, /* zeros follow (written ahead) */
    WAL_TORN,      /* a frame that was never acknowledged durable is bad */
    WAL_DAMAGED,   /* a frame that was durable is bad, or a log or its beginning is
                  * missing */
};

struct wal_frame {
    uint64_t offset;
    uint64_t end;
    uint8_t type; /* see frame.h */
    uint64_t first_sequence;
    uint64_t synced;
    struct lsmkv_slice entries; /* holds until the next frame is read */
};

struct wal_reader;

/* Reads log `number` from the start, as long as it is now.  A read error is its errno,
 * never the end of the log (invariant 6). */
int LSMKV_CHECKED wal_reader_open(struct env_dir *dir, uint64_t number,
                                  struct reporter *reporter, struct wal_reader **reader);
/* As wal_reader_open, of a file under another name. */
int LSMKV_CHECKED wal_reader_open_file(struct env_dir *dir, const char *name,
                                       uint64_t number, struct reporter *reporter,
                                       struct wal_reader **reader);
/* 1 and the next frame, the first one (WAL_FRAME_FIRST) included; 0 at the end, whatever
 * ended it: see wal_reader_stop; negative: an I/O error. */
int LSMKV_CHECKED wal_read(struct wal_reader *reader, struct wal_frame *frame);
/* After wal_read gave 0: why, and at which offset.  Damage is not yet reported. */
enum wal_stop wal_reader_stop(const struct wal_reader *reader, uint64_t *offset);
/* After wal_read gave 0: what was found there, in words, never NULL; and for WAL_DAMAGED
 * what the damage is: -EBADMSG, or -EUCLEAN if the checksum holds but not the structure;
 * else 0. */
const char *wal_reader_reason(const struct wal_reader *reader);
int wal_reader_error(const struct wal_reader *reader);
/* After WAL_TORN: where what was written ends; only zeros follow. */
uint64_t wal_reader_torn_end(const struct wal_reader *reader);
/* The file's size when it was opened, and the largest `synced` of the frames read. */
uint64_t wal_reader_size(const struct wal_reader *reader);
uint64_t wal_reader_synced(const struct wal_reader *reader);
/* What the first frame names, after the first wal_read; number 0 and end 0 if there was
 * none or it is bad. */
struct wal_previous wal_reader_previous(const struct wal_reader *reader);
void wal_reader_close(struct wal_reader *reader);

/* ---- what a damaged log still has ---- */

struct wal_salvage {
    /* Called for each good frame that holds a batch, in order; a negative result ends it
     * all. */
    int (*frame)(void *context, const struct wal_frame *frame);
    /* Bytes that hold no good frame, up to one that does, or to where the log ended. */
    void (*gap)(void *context, uint64_t from, uint64_t to);
    void *context;
};

/* All of the log was, for a newer one was begun, but which offset that is cannot be
 * told. */
#define WAL_DURABLE_UNKNOWN UINT64_MAX

/* Reads log `number` past whatever is bad, up to `limit` (what a newer log's first frame
 * names as its end, or UINT64_MAX).  A bad frame that may be a torn one ends it as
 * recovery would, unless it stands before `durable`, up to where the log was.  Reports
 * read errors only.  -ENOENT, -ENOMEM, what `frame` returned; an error of the first look
 * at the file. */
int LSMKV_CHECKED wal_salvage(struct env_dir *dir, uint64_t number, uint64_t limit,
                              uint64_t durable, struct reporter *reporter,
                              const struct wal_salvage *ops);

/* 1 and what the first frame of log `number` names; 0: it cannot be read; -ENOMEM. */
int LSMKV_CHECKED wal_first_frame(struct env_dir *dir, uint64_t number,
                                  struct wal_previous *previous);
/* Where log `number` ends, says the first frame of one of the `count` logs `newer`;
 * UINT64_MAX: none that can be read says it.  -ENOMEM. */
int LSMKV_CHECKED wal_named_end(struct env_dir *dir, uint64_t number,
                                const uint64_t *newer, size_t count, uint64_t *end);

/* ---- recovery of all logs ---- */

struct wal_recovery_ops {
    /* Called in order; `frame` for batches only.  A negative result ends the recovery
     * with it.  Damage may be met after they were called: put nothing of it to use before
     * wal_recover has returned 0. */
    int (*begin_log)(void *context, uint64_t number);
    int (*frame)(void *context, const struct wal_frame *frame);
    int (*end_log)(void *context, uint64_t number, uint64_t end);
    /* Of the newest log, before end_log: whether what its frames from `synced` on refer
     * to is there whole, for those were never acknowledged as durable.  1: the frame at
     * `*end` is the first of which it is not, and the log ends before it (which was
     * reported); then it is begun again, and the frames before that are given once more.
     * NULL: frames refer to nothing. */
    int (*settle)(void *context, uint64_t synced, uint64_t *end);
    /* Unless `read_only`, before the newest log is made durable: makes durable what the
     * frames of all logs refer to.  NULL likewise. */
    int (*mend)(void *context, uint64_t synced);
};

/* The outcome, for the recovery report and for the next log's first frame. */
struct wal_recovery {
    struct wal_previous last;     /* the newest log with a frame; number 0: none */
    uint64_t logs, frames, bytes; /* replayed; frames of batches */
    enum wal_stop stop;           /* of the newest log */
    uint64_t stop_offset;
    uint64_t cut_bytes; /* of a torn tail, the zeros written ahead left out */
};

/* Replays the logs `numbers` (ascending, all those at or above the manifest's oldest live
 * one, `oldest`) by invariants 5, 6 and 8 of the design: tells torn tails from damage,
 * uses what each first frame says of the log before, and unless `read_only` cuts the
 * newest log, writes its bytes past the last *synced* again in place and syncs it before
 * returning. -EBADMSG: damage, reported with file and offset; -EUCLEAN the same where a
 * checksum holds but not the structure, or the logs do not fit together; no file is
 * changed then.  A log that is empty by invariant 5, or that no other names as the one
 * before it and that holds no batch, is passed over; its number must not be used again.
 * May be interrupted anywhere and started again.
 *
 * A caller that knows from elsewhere where the newest log must end (a clean close)
 * recovers with `read_only`, so that nothing is cut before it has compared: all of it was
 * synced. */
int LSMKV_CHECKED wal_recover(struct env_dir *dir, const uint64_t *numbers, size_t count,
                              uint64_t oldest, bool read_only, struct reporter *reporter,
                              const struct wal_recovery_ops *ops, void *context,
                              struct wal_recovery *recovery);

#endif
