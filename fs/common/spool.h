/*
 * spool.h - bytes on their way between a store and a client who may be slow: a file without a name,
 * in memory while it is small, then in the store's directory.  So what is short can be told of a
 * store on a full disk.
 *
 * One thread at a time.
 */
#ifndef FS_SPOOL_H
#define FS_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "lsmkv.h"

#define SPOOL_MEMORY (256u << 10) /* bytes, at most */

struct spool {
    int directory; /* borrowed */
    int fd;
    bool on_disk;
    size_t size; /* bytes written by spool_write */
    int error;   /* of the stream's first write that failed, or 0 */
};

/* `directory`: where it goes when it is no longer small.  An error of the system's. */
LSMKV_CHECKED int spool_open(struct spool *spool, int directory);
void spool_close(struct spool *spool);

/* For what others write to `fd`: to the disk at once. */
LSMKV_CHECKED int spool_to_disk(struct spool *spool);

LSMKV_CHECKED int spool_write(struct spool *spool, const void *bytes, size_t size);
/* To the beginning, to be read. */
LSMKV_CHECKED int spool_rewind(struct spool *spool);
/* As read(2), but less than `size` only at the end. */
LSMKV_CHECKED ssize_t spool_read(struct spool *spool, void *bytes, size_t size);
/* The same of any descriptor. */
LSMKV_CHECKED ssize_t spool_read_from(int fd, void *bytes, size_t size);

/* A stream of spool_write, for fclose; then `error` says what it met.  NULL, errno. */
FILE *spool_stream(struct spool *spool);

#endif
