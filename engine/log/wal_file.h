/*
 * wal_file.h - a log's file as its readers see it: of one number and, for them, one size.
 */
#ifndef LOG_WAL_FILE_H
#define LOG_WAL_FILE_H

#include "log/wal.h"

struct wal_file {
    struct env_file *file;
    struct reporter *reporter;
    char *name; /* owned */
    uint64_t number;
    uint64_t size; /* when it was opened */
};

/* `how` is ENV_READ or ENV_WRITE.  Errors are reported. */
int LSMKV_CHECKED wal_file_open(struct wal_file *file, struct env_dir *dir,
                                const char *name, uint64_t number, enum env_open how,
                                struct reporter *reporter);
/* The result of closing. */
int wal_file_close(struct wal_file *file);
/* Reads exactly `size` bytes; they must lie below file->size.  Errors are reported; a
 * file that has become shorter is -EIO, not an end. */
int LSMKV_CHECKED wal_file_read(const struct wal_file *file, uint64_t offset,
                                void *buffer, size_t size);

#endif
