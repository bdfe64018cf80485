/*
 * blob_files.h - what blob_files.c and blob_read.c, and nobody else, know of the files.
 */
#ifndef TABLE_BLOB_FILES_H
#define TABLE_BLOB_FILES_H

#include "base/mutex.h"
#include "table/blob.h"

struct blob_file {
    /* constant */
    uint64_t number;
    uint32_t keyspace;
    struct open_file *file;
    /* Reading it at this moment.  Becomes more under the mutex only. */
    atomic_uint readers;
    atomic_bool told; /* that checksums of pages are damaged */
    /* guarded by the mutex of blob_files */
    uint64_t size;
    size_t refs; /* tables and generations */
    uint64_t
        live; /* bytes, B3; after a move by reference they may be more than there are */
    bool passed_over;       /* as a victim */
    struct blob_file *gone; /* the next of those */
};

struct blob_files {
    const struct table_context *context;
    size_t kept_max; /* constant */
    struct mutex mutex;
    /* guarded by mutex */
    struct blob_file **files; /* by number */
    size_t count, capacity;
    /* A crafted table may refer to files that it does not tell of.  Those that went while
     * somebody read them. */
    struct blob_file *gone;
};

/* It has a reader more, until `readers` is taken down again.  NULL: nothing refers to it; of a store
 * that is salvaged, tables may be all that tells of a file.  -ENOMEM. */
int LSMKV_CHECKED blob_files_find_to_read(struct blob_files *files, uint64_t number,
                                          struct blob_file **file);

#endif
