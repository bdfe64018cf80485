/*
 * records.h - the keys of the keyspaces `inodes` and `chunks`.  The byte tables are in
 * records.c.
 */
#ifndef FS_RECORDS_H
#define FS_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"

/* What an `inodes` key begins with. */
enum record_tag {
    RECORD_INODE = 'i', /* number: what the names of a file share; attributes and value */
    RECORD_ORPHAN = 'o', /* data id: no file has these chunks any more */
    RECORD_TAKEN = 'n',  /* number: a directory's record has this one of implied.h */
    RECORD_TRIM = 't',   /* data id, first dead chunk: those from there on are cut off */
    RECORD_XATTR = 'x',  /* number, name: an extended attribute; the value */
};

/* A key in place, no allocation: `record_slice` is valid while the struct is. */
struct record_key {
    uint8_t bytes[1 + 8 + 255];
    uint16_t size;
};

static inline struct lsmkv_slice
record_slice(const struct record_key *key)
{
    return lsmkv_bytes(key->bytes, key->size);
}

struct record_key record_inode(uint64_t ino);
/* `name` has at most 255 bytes; none: the first key of the inode's (record_xattr_end: the
 * first key after them). */
struct record_key record_xattr(uint64_t ino, struct lsmkv_slice name);
struct record_key record_xattr_end(uint64_t ino);
/* Walks the extended attributes of an inode that have records, as `snapshot` sees them (NULL: as
 * they are); their values are read when they are asked for.  Freed by the caller. */
LSMKV_CHECKED int record_xattrs(struct lsmkv *db, struct lsmkv_keyspace *inodes,
                                const struct lsmkv_snapshot *snapshot, uint64_t ino,
                                struct lsmkv_iter **iter);
/* Deletes them all in `batch`. */
LSMKV_CHECKED int record_xattrs_delete(struct lsmkv *db, struct lsmkv_keyspace *inodes,
                                       uint64_t ino, struct lsmkv_batch *batch);
struct record_key record_taken(uint64_t ino);
struct record_key record_orphan(uint64_t data_id);
struct record_key record_trim(uint64_t data_id, uint64_t first_dead);
/* The first key of a tag's, and the first after them. */
struct record_key record_tag_begin(enum record_tag tag);
struct record_key record_tag_end(enum record_tag tag);

/* An orphan's or trim's key; `*first_dead` is 0 for an orphan.  False: neither, or
 * malformed. */
bool record_decode_sweep(struct lsmkv_slice key, uint64_t *data_id, uint64_t *first_dead);

/* The number in a key of `inodes`; 0: malformed. */
uint64_t record_number_of(struct lsmkv_slice key);

/* The name in an extended attribute's key, which points into it. */
struct lsmkv_slice record_xattr_name(struct lsmkv_slice key);

/* ---- chunks ---- */

struct chunk_key {
    uint8_t bytes[13];
};

static inline struct lsmkv_slice
chunk_slice(const struct chunk_key *key)
{
    return lsmkv_bytes(key->bytes, sizeof key->bytes);
}

/* Fragment 0 is the chunk itself; an index of UINT32_MAX or more gives the end of the
 * id. */
struct chunk_key chunk_key(uint64_t data_id, uint64_t index, unsigned fragment);
/* False: malformed. */
bool chunk_key_decode(struct lsmkv_slice key, uint64_t *data_id, uint64_t *index,
                      unsigned *fragment);

#endif
