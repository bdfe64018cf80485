/*
 * format.h - the fixed parts of a table file: block trailers, properties, footer.
 *
 *     data block 0, trailer
 *     ...                        no gaps: each block begins where the one before ended
 *     data block n-1, trailer
 *     filter block, trailer      see filter.h; left out if its size is 0
 *     index block, trailer       see index.h
 *     properties block, trailer
 *     footer
 *
 * Integers are little-endian.  A block's size never counts its trailer.
 *
 *     trailer
 *     offset  size  field
 *          0     1  type      0: as it is; 1: packed with LZ4, see pack.h (data blocks only)
 *          1     4  checksum  CRC32C of table number (8), block offset (8), block as it
 *                             stands here, type
 *
 * Number and offset are not stored with the block: they seed its checksum, so that a
 * block found in another place or file than it was written to does not pass.
 *
 *     properties
 *     offset  size  field
 *          0     4  version            1
 *          4     4  incompatible       features a reader must know; unknown bits: refuse;
 *                                      bit 0: entries refer to blob files;
 *                                      bit 1: data blocks are packed with LZ4;
 *                                      bit 2: entries refer to values in pages;
 *                                      bit 3: entries refer to packed values
 *          8     4  compatible         features a reader may ignore
 *         12     4  keyspace
 *         16     4  order              enum lsmkv_order
 *         20     8  entries
 *         28     8  tombstones
 *         36     8  data_blocks
 *         44     8  data_bytes         data blocks with their trailers
 *         52     8  index_bytes
 *         60     8  filter_bytes
 *         68     8  raw_key_bytes      internal keys before prefix compression
 *         76     8  raw_payload_bytes
 *         84     8  smallest_sequence
 *         92     8  largest_sequence
 *        100     8  filter_keys        keys and ancestors in the filter
 *        108     8  raw_data_bytes     data blocks with their trailers, unpacked; only with
 *                                      bit 1, else there is nothing here
 *                   later versions may append
 *
 *     footer
 *     offset  size  field
 *          0     8  table number
 *          8     8  filter offset
 *         16     4  filter size
 *         20     8  index offset
 *         28     4  index size
 *         32     8  properties offset
 *         40     4  properties size
 *         44     4  checksum  CRC32C of table number (8), footer offset (8), bytes 0-43
 *         48     8  magic     "lsmkvSST"
 *
 * The decoders are pure.  On failure `problem` says what is wrong in words, for the
 * caller's report; -EBADMSG is a checksum, -EUCLEAN anything else.
 */
#ifndef TABLE_FORMAT_H
#define TABLE_FORMAT_H

#include "table/table.h"

#define BLOCK_TRAILER_SIZE    5u
#define TABLE_FOOTER_SIZE     56u
#define TABLE_PROPERTIES_SIZE 108u /* of a table of which no block is packed */
#define TABLE_PROPERTIES_MAX  116u
#define TABLE_VERSION         1u
#define TABLE_MAGIC           "lsmkvSST"

/* Feature bits that this version understands. */
#define TABLE_FEATURE_BLOBS  1u
#define TABLE_FEATURE_LZ4    2u
#define TABLE_FEATURE_PAGES  4u
#define TABLE_FEATURE_PACKED 8u
#define TABLE_FEATURES_KNOWN \
    (TABLE_FEATURE_BLOBS | TABLE_FEATURE_LZ4 | TABLE_FEATURE_PAGES | TABLE_FEATURE_PACKED)

enum block_type { BLOCK_PLAIN = 0, BLOCK_LZ4 = 1 };

struct block_handle {
    uint64_t offset;
    uint32_t size; /* without the trailer */
};

/* The first offset after a block and its trailer. */
static inline uint64_t
block_handle_end(struct block_handle handle)
{
    return handle.offset + handle.size + BLOCK_TRAILER_SIZE;
}

/* Writes the trailer at `block` + `size`, where there must be room for it. */
void block_seal(uint8_t *block, size_t size, enum block_type type, uint64_t number,
                uint64_t offset);
/* Checks a block of `size` bytes with its trailer behind it, which begins with its type. */
int LSMKV_CHECKED block_check(const uint8_t *block, size_t size, uint64_t number,
                              uint64_t offset, const char **problem);

/* Bytes that they take: of `out`, which has TABLE_PROPERTIES_MAX. */
size_t table_properties_encode(uint8_t *out, const struct table_properties *properties);
int LSMKV_CHECKED table_properties_decode(struct lsmkv_slice in,
                                          struct table_properties *properties,
                                          const char **problem);

struct table_footer {
    uint64_t number;
    struct block_handle filter, index, properties;
};

/* `offset` is where in the file the footer stands. */
void table_footer_encode(uint8_t *out, const struct table_footer *footer,
                         uint64_t offset);
/* Checks magic and checksum, and that the blocks lie one behind the other up to
 * `offset`. */
int LSMKV_CHECKED table_footer_decode(const uint8_t *in, uint64_t offset,
                                      struct table_footer *footer, const char **problem);

#endif
