/*
 * index.h - which block holds a key: one entry a data block, in memory while a table is
 * open.
 *
 * On disk the index is a block (block.h).  The key of an entry is its block's separator,
 * an internal key; the payload is
 *
 *     varint  size              of the data block, without its trailer
 *     varint  largest_sequence  of the entries in the data block
 *
 * The block's offset is where the one before it ended; the first begins at 0.
 *
 * X1  Every entry of a block is at or after its separator, every entry of an earlier
 *     block before it, as internal keys.
 * X2  Where two blocks meet between two user keys, the separator is the shortest prefix
 *     of the right one that sorts after the left one, with the trailer UINT64_MAX, which
 *     comes before every version.  Before the first block there is nothing: the empty
 *     prefix.
 * X3  Where they meet between two versions of one user key, the separator is the first
 *     internal key of the right block.  So a search by internal key never reads a block
 *     too many, nor passes over versions that the block before still holds.
 *
 * In memory a search first goes by ranks (ranks.h), and looks at separators, each in a
 * cache line of its own, only among those with an equal one.
 */
#ifndef TABLE_INDEX_H
#define TABLE_INDEX_H

#include "table/block.h"
#include "table/format.h"
#include "table/ranks.h"

#define SEPARATOR_TRAILER UINT64_MAX

/* Sets `separator` to that between an entry and the next; `left` is empty before the
 * first. */
int LSMKV_CHECKED index_separator(enum lsmkv_order order, struct lsmkv_slice left,
                                  struct lsmkv_slice right, struct keybuf *separator);
int LSMKV_CHECKED index_add(struct block_builder *builder, struct lsmkv_slice separator,
                            uint32_t size, uint64_t largest_sequence);

struct index_entry {
    const uint8_t *separator; /* user-key prefix */
    uint32_t separator_size;
    uint32_t size;
    uint64_t offset;
    uint64_t largest_sequence;
    uint64_t trailer;
};

struct table_index {
    struct index_entry *entries;
    size_t count;
    uint64_t data_end;   /* where the last data block's trailer ends */
    uint8_t *separators; /* their bytes, one behind the other */
    /* For searching: of each separator but the first, which is empty, the rank (key.h) of
     * the eight bytes behind those that all of them share. */
    struct ranks ranks;
    size_t shared; /* how many */
    size_t memory; /* bytes of all of this */
};

/* `data_limit`: the bytes of the file before the index, which the data blocks stay below.
 * `raw_limit`: what they are at most, unpacked.  What this allocates stays below a small
 * multiple of the size of `contents`, and its separators below `raw_limit`, too.  On
 * failure `problem` says why. */
int LSMKV_CHECKED table_index_decode(struct lsmkv_slice contents, enum lsmkv_order order,
                                     uint64_t data_limit, uint64_t raw_limit,
                                     struct table_index *index, const char **problem);
void table_index_fini(struct table_index *index);

static inline struct lsmkv_slice
index_entry_separator(const struct index_entry *entry)
{
    return lsmkv_bytes(entry->separator, entry->separator_size);
}

/* The last block whose separator is at or before an internal key; 0 if none. */
size_t table_index_find(const struct table_index *index, enum lsmkv_order order,
                        struct lsmkv_slice internal);

#endif
