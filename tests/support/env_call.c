/* env_call.c - names of the calls of an env. */
#include "support/env_call.h"

const char *
env_call_name(enum env_call call)
{
    static const char *const names[] = {
        [ENV_CALL_DIR_OPEN] = "dir_open",
        [ENV_CALL_DIR_CLOSE] = "dir_close",
        [ENV_CALL_DIR_SYNC] = "dir_sync",
        [ENV_CALL_DIR_LIST] = "dir_list",
        [ENV_CALL_DIR_RENAME] = "dir_rename",
        [ENV_CALL_DIR_UNLINK] = "dir_unlink",
        [ENV_CALL_DIR_SPACE] = "dir_space",
        [ENV_CALL_LOCK] = "lock",
        [ENV_CALL_LOCK_WRITE] = "lock_write",
        [ENV_CALL_LOCK_READ] = "lock_read",
        [ENV_CALL_LOCK_HELD] = "lock_held",
        [ENV_CALL_UNLOCK] = "unlock",
        [ENV_CALL_FILE_OPEN] = "file_open",
        [ENV_CALL_FILE_CLOSE] = "file_close",
        [ENV_CALL_FILE_READ] = "file_read",
        [ENV_CALL_FILE_WRITE] = "file_write",
        [ENV_CALL_FILE_SYNC] = "file_sync",
        [ENV_CALL_FILE_TRUNCATE] = "file_truncate",
        [ENV_CALL_FILE_ALLOCATE] = "file_allocate",
        [ENV_CALL_FILE_SIZE] = "file_size",
        [ENV_CALL_FILE_WRITEBACK] = "file_writeback",
        [ENV_CALL_FILE_READAHEAD] = "file_readahead",
        [ENV_CALL_THREAD_START] = "thread_start",
        [ENV_CALL_ALLOCATE] = "allocate",
        [ENV_CALL_ANY] = "any",
    };

    return names[call];
}

bool
env_call_changes(enum env_call call)
{
    switch (call) {
    case ENV_CALL_DIR_OPEN:
    case ENV_CALL_DIR_SYNC:
    case ENV_CALL_DIR_RENAME:
    case ENV_CALL_DIR_UNLINK:
    case ENV_CALL_LOCK:
    case ENV_CALL_LOCK_WRITE:
    case ENV_CALL_FILE_OPEN:
    case ENV_CALL_FILE_WRITE:
    case ENV_CALL_FILE_SYNC:
    case ENV_CALL_FILE_TRUNCATE:
    case ENV_CALL_FILE_ALLOCATE:
        return true;
    default:
        return false;
    }
}
