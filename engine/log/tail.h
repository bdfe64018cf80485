/*
 * tail.h - what lies behind the last good frame of a log, and what that says about it.
 */
#ifndef LOG_TAIL_H
#define LOG_TAIL_H

#include "log/wal_file.h"

/* No good frame begins at `offset`, although the file goes on. */
struct tail_question {
    const struct wal_file *file;
    uint64_t offset;
    uint64_t min_sequence; /* of a frame behind those that were read */
};

struct tail_verdict {
    enum wal_stop stop; /* any but WAL_CLEAN_END */
    uint64_t end;       /* of WAL_TORN: behind the last byte that is not 0 */
    char reason[160];   /* in words */
};

/* An I/O error is returned, never taken for an end. */
int LSMKV_CHECKED tail_judge(const struct tail_question *question,
                             struct tail_verdict *verdict);

#endif
