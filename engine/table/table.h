/*
 * table.h - SSTables: writing one, and reading it.
 *
 * A table is an immutable file of internal entries in order.  The byte tables of its
 * parts stand in format.h, block.h and filter.h.
 *
 * A filter holds, for every entry, its user key and in path order every ancestor of it:
 * each prefix that ends before a '/', the empty one left out.  So one check answers
 * whether a name can be an exact or an implied entry.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"
#include "base/report.h"
#include "base/tally.h"
#include "env/env.h"
#include "iter/iterator.h"
#include "table/cache.h"
#include "table/open_files.h"

/* Counts of all tables and blob files of a store, in one tally. */
enum table_count {
    TABLE_CACHE_HITS,
    TABLE_CACHE_MISSES,
    TABLE_FILTER_CHECKS,
    TABLE_FILTER_NEGATIVES,
    TABLE_FILTER_FALSE_POSITIVES,
    TABLE_BLOCKS_READ,
    TABLE_BLOCK_BYTES_READ,
    TABLE_BLOBS_READ,
    TABLE_BLOB_BYTES_READ,
    TABLE_COUNTS /* others may follow */
};

/* What a salvaging walk could not read of a file, as struct lsmkv_loss has it. */
#define KEYSPACE_UNKNOWN UINT32_MAX /* of a log; no keyspace has this number */
struct table_loss {
    const char *file;
    uint64_t offset, size; /* bytes of the file; size 0: all of it */
    uint32_t keyspace;
    struct lsmkv_slice first, last; /* user keys */
    bool last_too;
    uint64_t sequence;
};

struct blob_files; /* table/blob.h */

/* What writing and reading tables needs of the store; borrowed, outlives every table. */
struct table_context {
    struct lsmkv_env *env;
    struct env_dir *dir;
    struct block_cache *cache;
    struct open_files *files;
    struct blob_files *blobs; /* NULL: no table refers to any */
    struct reporter *reporter;
    struct tally *counters;
    size_t block_size;
    unsigned filter_bits_per_key;
    bool salvage; /* tables that are damaged open, too: see table_open_salvaging */
    /* Told by TABLE_SALVAGING walks, besides what is reported; NULL: nobody asks. */
    void (*lost)(void *context, const struct table_loss *loss);
    void *lost_context;
};

/* "000012.sst": the name of table number 12.  `name` has TABLE_NAME_SIZE bytes. */
#define TABLE_NAME_SIZE 32u
void table_name(char *name, uint64_t number);

/* ---- writing ---- */

/* A blob file that a table refers to. */
struct table_blob {
    uint64_t number;
    uint64_t bytes; /* of its records that the table refers to, B3 of blob.h */
    uint64_t size;  /* of the file */
};

/* What the manifest keeps of a table.  Zero it to begin; table_meta_fini frees the
 * keys. */
struct table_meta {
    uint64_t number;
    uint64_t size;
    uint64_t entries;
    uint64_t tombstones;
    uint64_t smallest_sequence;
    uint64_t largest_sequence;
    struct keybuf smallest; /* internal keys of the first and last entry */
    struct keybuf largest;
    struct table_blob *blobs; /* by number; malloced */
    size_t blob_count;
};

void table_meta_fini(struct table_meta *meta);
/* Adds `bytes` to what the table refers to of a file.  -ENOMEM. */
int LSMKV_CHECKED table_meta_add_blob(struct table_meta *meta, uint64_t number,
                                      uint64_t bytes);

struct table_writer;

/* Creates the file of table `number`. */
int LSMKV_CHECKED table_writer_open(const struct table_context *context, uint64_t number,
                                    uint32_t keyspace, enum lsmkv_order order,
                                    struct table_writer **writer);
/* Before the first entry; without it there is none. */
void table_writer_compress(struct table_writer *writer,
                           enum lsmkv_compression compression);
/* Entries come in strictly rising internal-key order.  -EINVAL if not (a bug of ours, or
 * a damaged input). */
int LSMKV_CHECKED table_writer_add(struct table_writer *writer,
                                   struct lsmkv_slice internal,
                                   struct lsmkv_slice payload);
/* Bytes the file will have at least; a block that is not finished counts as it is unpacked. */
uint64_t table_writer_size(const struct table_writer *writer);
/* Writes what is left, syncs and closes the file (the caller syncs the directory), frees
 * the writer whatever the result.  On failure the file is deleted.  At least one
 * entry. */
int LSMKV_CHECKED table_writer_finish(struct table_writer *writer,
                                      struct table_meta *meta);
/* Closes and deletes the file, frees the writer.  NULL is allowed. */
void table_writer_abandon(struct table_writer *writer);

/* ---- reading ---- */

struct table;

/* Opens table `number`, expected to have `size` bytes (0: whatever it has), reads and
 * checks footer, properties, index and filter, which stay in memory.  -EBADMSG, -EUCLEAN:
 * damage, reported with file and offset; -ENOENT: no such file (reported as missing). */
int LSMKV_CHECKED table_open(const struct table_context *context, uint64_t number,
                             uint64_t size, struct table **table);

/* Which keyspace a table is of, from elsewhere than the table. */
struct table_identity {
    bool known;
    uint32_t keyspace;
    enum lsmkv_order order;
};
/* As table_open, of a table that is damaged: without a filter; without a footer or properties,
 * if `identity` is known; without an index, as far as one data block follows another from the
 * file's beginning on.  What cannot be read then is one block that is bad, so whoever reads on
 * meets an error there.  Whatever is wrong is reported.  A result other than 0: nothing of it can
 * be read. */
int LSMKV_CHECKED table_open_salvaging(const struct table_context *context,
                                       uint64_t number, uint64_t size,
                                       const struct table_identity *identity,
                                       struct table **table);
/* The same by file name, whatever it is; the table's number is what its footer says. */
int LSMKV_CHECKED table_open_file(const struct table_context *context, const char *name,
                                  struct table **table);
/* NULL is allowed. */
void table_close(struct table *table);
/* Before that, of a table that will not be opened again: its blocks make room in the cache. */
void table_forget_blocks(const struct table *table);

/* The hash that every table's filter is asked with: one for all tables. */
uint64_t table_hash(struct lsmkv_slice user_key);
/* It will be asked that soon. */
void table_expect(const struct table *table, uint64_t hash);
/* False: no entry of the table has this user key nor, in path order, one below it. */
bool table_may_contain(const struct table *table, uint64_t hash);

/* An entry inside a pinned block; zero it to begin. */
struct table_hit {
    struct lsmkv_slice key;     /* internal; may point at `copy` */
    struct lsmkv_slice payload; /* inside the block */
    const struct block *block;
    struct keybuf copy;
};

/* The first entry at or after an internal key.  -ENOENT: none.  On success the hit must
 * be released; zero it before first use. */
int LSMKV_CHECKED table_ceiling(struct table *table, struct lsmkv_slice internal,
                                struct table_hit *hit);
void table_hit_release(struct table_hit *hit);

/* A version of the user key that was asked for, inside a pinned block. */
struct table_version {
    uint64_t trailer; /* of its internal key */
    struct lsmkv_slice payload;
    const struct block *block; /* block_unpin */
};
/* The first entry at or after `internal` with the same user key.  -ENOENT: none; who has asked
 * the filter is spared most of that. */
int LSMKV_CHECKED table_get(struct table *table, struct lsmkv_slice internal,
                            struct table_version *version);
/* The same without I/O.  TABLE_UNREAD: a block would have to be read. */
#define TABLE_UNREAD 1
int LSMKV_CHECKED table_get_cached(struct table *table, struct lsmkv_slice internal,
                                   struct table_version *version);

/* How an iterator reads blocks. */
enum table_walk {
    TABLE_PASSING, /* they are not kept (compaction, verifying); it asks for reading ahead */
    TABLE_KEEPING, /* they go to the cache */
    TABLE_SALVAGING, /* as PASSING; what cannot be read is reported and left out; forwards only */
};

/* Borrows the table. */
int LSMKV_CHECKED table_iterate(struct table *table, enum table_walk walk,
                                struct iterator **it);
/* The same for who does not go on to `upper`, a user key that is borrowed (NULL data: none): no
 * block is read, forwards, that holds nothing before it, so none of those is missed if it is
 * bad. */
int LSMKV_CHECKED table_iterate_to(struct table *table, enum table_walk walk,
                                   struct lsmkv_slice upper, struct iterator **it);

/* What the properties block says. */
struct table_properties {
    uint32_t keyspace;
    enum lsmkv_order order;
    bool has_blobs;  /* entries refer to blob files, */
    bool has_pages;  /* and to values in pages there, */
    bool has_packed; /* or packed */
    bool packed;     /* of its data blocks one or more is compressed */
    uint64_t entries, tombstones, data_blocks;
    uint64_t data_bytes, index_bytes, filter_bytes, raw_key_bytes, raw_payload_bytes;
    uint64_t raw_data_bytes; /* data_bytes if nothing were compressed */
    uint64_t smallest_sequence, largest_sequence;
    uint64_t filter_keys;
};

const struct table_properties *table_get_properties(const struct table *table);
uint64_t table_number(const struct table *table);

/* Calls `each` for every index entry, in order. */
struct table_index_entry {
    struct lsmkv_slice separator; /* user-key prefix; see index.h */
    uint64_t trailer; /* the rest of the separator; UINT64_MAX: before any version */
    uint64_t offset;
    uint64_t size;
    uint64_t largest_sequence;
};
int LSMKV_CHECKED table_each_index_entry(
    const struct table *table,
    int (*each)(void *context, const struct table_index_entry *entry), void *context);

/* How a table's filter is built; all 0 without one. */
struct table_filter_info {
    uint64_t lines; /* of 64 bytes */
    uint64_t bits_set;
    unsigned probes;
};
struct table_filter_info table_get_filter_info(const struct table *table);

/* Reads every byte: checksums, order of entries, index and filter against keys,
 * properties against counts.  Reports each finding; returns the first error. */
int LSMKV_CHECKED table_verify(struct table *table);
/* Holds what the manifest keeps of the table against the table; reports. */
int LSMKV_CHECKED table_verify_meta(struct table *table, const struct table_meta *meta);

#endif
