/*
 * reader.h - what reader.c, salvage.c, table_iter.c and verify.c share: an open table.
 *
 * Constant from table_open to table_close, so that any number of threads may read it.  Its file
 * may be shut meanwhile, and is opened again by who reads it.
 */
#ifndef TABLE_READER_H
#define TABLE_READER_H

#include "table/block.h"
#include "table/filter.h"
#include "table/format.h"
#include "table/index.h"
#include "table/open_files.h"

struct table {
    const struct table_context *context;
    char *name;
    struct open_file *file;
    uint64_t size;
    struct table_footer footer;
    struct table_properties properties;
    struct table_index index;
    struct filter filter;
    uint8_t *filter_buffer; /* from env->allocate, holds the filter's lines */
    size_t filter_allocated;
    size_t charged; /* to the cache, for index and filter */
};

/* As env_file_read and env_file_size; report. */
ssize_t table_read_some(const struct table *table, uint64_t offset, void *buffer,
                        size_t size);
int LSMKV_CHECKED table_ask_size(const struct table *table, uint64_t *size);

/* Reads a block and its trailer, handle.size + BLOCK_TRAILER_SIZE bytes, from the file
 * and checks it; reports.  A data block may be packed (buffer[handle.size], its type, is
 * BLOCK_LZ4 then); the others may not. */
int LSMKV_CHECKED table_read_data(const struct table *table, struct block_handle handle,
                                  uint8_t *buffer);
int LSMKV_CHECKED table_read_block(const struct table *table, struct block_handle handle,
                                   uint8_t *buffer);
/* Reports what block_unpack and the like say of a block; returns `result`. */
int table_block_bad(const struct table *table, int result, struct block_handle handle,
                    const char *problem);

/* A block has been read. */
void table_count_read(const struct table *table, struct block_handle handle);

/* Where the table's data block number `i` stands. */
struct block_handle table_data_handle(const struct table *table, size_t i);
/* Pins it; from the cache, or read and, with `keep`, put there. */
int LSMKV_CHECKED table_pin_block(struct table *table, size_t i, bool keep,
                                  const struct block **block);
/* Pins it if it is in the cache; NULL if not. */
const struct block *table_find_block(struct table *table, size_t i);
/* It will be asked for soon. */
void table_expect_block(const struct table *table, size_t i);
/* What a cursor says of data block `i`: reports damage, passes the status on. */
int table_block_failed(const struct table *table, size_t i, int status);

/* Reports damage of the table at `offset`; returns `result`. */
int table_damaged(const struct table *table, int result, uint64_t offset,
                  const char *problem);

/* ---- the steps of opening ---- */

/* Each reads and checks one part, in this order, and reports.  `number`: which table it should
 * be; NULL: any.  The index is held against the footer by the caller. */
int LSMKV_CHECKED table_load_footer(struct table *table, const uint64_t *number);
int LSMKV_CHECKED table_load_properties(struct table *table);
int LSMKV_CHECKED table_load_index(struct table *table);
int LSMKV_CHECKED table_load_filter(struct table *table);

#endif
