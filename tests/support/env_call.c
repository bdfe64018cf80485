/* env_call.c - see env_call.h. */
#include "support/env_call.h"

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
        return true;
    default:
        return false;
    }
}
