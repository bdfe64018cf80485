/*
 * log_fixture.h - logs to test with: written, read, patched by hand, crashed.
 *
 * Batches are made of their sequence alone, so that a reader can tell whether it got them
 * right: log_batch(sequence, size).  Failing checks end the test.
 */
#ifndef SUPPORT_LOG_FIXTURE_H
#define SUPPORT_LOG_FIXTURE_H

#include "log/batch.h"
#include "log/wal.h"
#include "support/fault_env.h"
#include "support/mem_env.h"

struct log_fixture {
    struct mem_env *mem;
    struct fault_env *fault; /* around mem; failed syncs lose what was unsynced */
    struct env_dir *dir;
    struct reporter reporter;
    char report[512]; /* the last line reported */
    unsigned warnings, errors;
};

void log_fixture_init(struct log_fixture *fixture);
void log_fixture_fini(struct log_fixture *fixture);
/* Goes on with what a power cut leaves, or the death of the process; handles must be closed,
 * or are of the machine before and must be closed before log_fixture_fini. */
void log_fixture_crash(struct log_fixture *fixture, struct mem_crash policy,
                       uint64_t seed);
void log_fixture_kill(struct log_fixture *fixture);

struct wal_writer *log_create(struct log_fixture *fixture, uint64_t number,
                              struct wal_previous previous);
/* A batch of one put, whose value has `size` bytes that depend on `sequence`. */
void log_batch(struct lsmkv_batch *batch, uint64_t sequence, size_t size);
/* Appends it as one frame. */
int log_append(struct wal_writer *writer, uint64_t sequence, size_t size);
void log_append_ok(struct wal_writer *writer, uint64_t sequence, size_t size);

/* The whole file, malloced; NULL if there is none. */
uint8_t *log_bytes(struct log_fixture *fixture, uint64_t number, size_t *size);
/* Replaces the file, durably. */
void log_replace(struct log_fixture *fixture, uint64_t number, const void *bytes,
                 size_t size);
/* An encoded frame for this place, malloced, checksum set whatever its fields say. */
uint8_t *log_forge(uint64_t number, uint64_t offset, uint8_t type, uint64_t sequence,
                   uint64_t synced, struct lsmkv_slice entries, size_t *size);

/* Checks that a frame is a batch of log_batch; gives its sequence. */
uint64_t log_check_frame(const struct wal_frame *frame);

/* What reading a log to its end gives. */
struct log_reading {
    int result;           /* 0, or the error */
    unsigned frames;      /* batches */
    uint64_t first, last; /* sequences of the first and last batch */
    enum wal_stop stop;
    uint64_t offset;
    int error;
    char reason[160];
};

/* Reads it all; sequences must go up by one. */
struct log_reading log_read(struct log_fixture *fixture, uint64_t number);

#define LOG_LIST_MAX 64u

/* The numbers of the logs there are, at or above `oldest`, ascending. */
struct log_list {
    uint64_t numbers[LOG_LIST_MAX];
    size_t count;
    uint64_t oldest; /* set before */
};

void log_list_logs(struct log_fixture *fixture, struct log_list *list);

/* What a recovery replays.  Sequences must go up by one, and logs begin and end in turn. */
struct log_replay {
    int result;
    struct wal_recovery outcome;
    unsigned begun, ended, frames;
    uint64_t numbers[LOG_LIST_MAX]; /* of the logs replayed */
    uint64_t first, last;           /* sequences */
    int fail_frame;                 /* what the callback for a frame gives; set before */
};

/* Their context is a struct log_replay. */
extern const struct wal_recovery_ops log_recovery_ops;

/* Recovers all logs at or above `oldest`; gives and keeps the result. */
int log_recover(struct log_fixture *fixture, uint64_t oldest, bool read_only,
                struct log_replay *replay);

#endif
