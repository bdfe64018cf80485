/* env_call.h - names for the calls of an env, by which tests count them, fail them and stop
 * at them. */
#ifndef SUPPORT_ENV_CALL_H
#define SUPPORT_ENV_CALL_H

#include <stdbool.h>

enum env_call {
    ENV_CALL_DIR_OPEN,
    ENV_CALL_DIR_CLOSE,
    ENV_CALL_DIR_SYNC,
    ENV_CALL_DIR_LIST,
    ENV_CALL_DIR_RENAME,
    ENV_CALL_DIR_UNLINK,
    ENV_CALL_DIR_SPACE,
    ENV_CALL_LOCK,
    ENV_CALL_LOCK_WRITE,
    ENV_CALL_LOCK_READ,
    ENV_CALL_LOCK_HELD,
    ENV_CALL_UNLOCK,
    ENV_CALL_FILE_OPEN,
    ENV_CALL_FILE_CLOSE,
    ENV_CALL_FILE_READ,
    ENV_CALL_FILE_WRITE,
    ENV_CALL_FILE_SYNC,
    ENV_CALL_FILE_TRUNCATE,
    ENV_CALL_FILE_SIZE,
    ENV_CALL_FILE_WRITEBACK,
    ENV_CALL_FILE_READAHEAD,
    ENV_CALL_THREAD_START,
    ENV_CALL_ALLOCATE,
    ENV_CALL_COUNT,
    ENV_CALL_ANY = ENV_CALL_COUNT,
};

/* Whether the call can change what a power cut leaves. */
bool env_call_changes(enum env_call call);

#endif
