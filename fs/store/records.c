/*
 * records.c - the keys of the keyspaces `inodes` and `chunks`.  Both are in byte order
 * and the numbers big-endian, so a file's chunks, and a file's extended attributes, are
 * neighbours.
 *
 *     inodes    offset  size  field
 *                    0     1  tag         'i', 'n', 'o', 't', 'x'
 *                    1     8  number      inode ('i', 'n', 'x') or data id ('o', 't')
 *                    9     8  first_dead  't' only: the first chunk that is cut off
 *                    9     n  name        'x' only: 1 to 255 bytes
 *
 *     chunks    offset  size  field
 *                    0     8  data id
 *                    8     4  index       offset in the file / DATA_CHUNK
 *                   12     1  fragment    0: the chunk, others lie over it in order
 *
 * The values: of 'i', as of a file's record in `default`; of 'x', the attribute's; of
 * 'n', 'o' and 't', nothing.  Those of `chunks` are described in data.c.
 */
#include "store/records.h"

#include <assert.h>
#include <string.h>

#include "common/coding.h"

static struct record_key
record_number(enum record_tag tag, uint64_t number)
{
    struct record_key key;
    key.bytes[0] = (uint8_t)tag;
    put_be64(key.bytes + 1, number);
    key.size = 9;
    return key;
}

struct record_key
record_inode(uint64_t ino)
{
    return record_number(RECORD_INODE, ino);
}

struct record_key
record_xattr(uint64_t ino, struct lsmkv_slice name)
{
    struct record_key key = record_number(RECORD_XATTR, ino);
    assert(name.size <= sizeof key.bytes - 9);
    if (name.size > 0)
        memcpy(key.bytes + 9, name.data, name.size);
    key.size = (uint16_t)(9 + name.size);
    return key;
}

struct record_key
record_xattr_end(uint64_t ino)
{
    return ino == UINT64_MAX ? record_tag_end(RECORD_XATTR)
                             : record_number(RECORD_XATTR, ino + 1);
}

int
record_xattrs(struct lsmkv *db, struct lsmkv_keyspace *inodes,
              const struct lsmkv_snapshot *snapshot, uint64_t ino,
              struct lsmkv_iter **iter)
{
    struct record_key first = record_xattr(ino, lsmkv_bytes(NULL, 0));
    struct record_key end = record_xattr_end(ino);
    struct lsmkv_iter_options options = {.snapshot = snapshot,
                                         .lower = record_slice(&first),
                                         .upper = record_slice(&end),
                                         .lazy_values = true};
    return lsmkv_iter_new(db, inodes, &options, iter);
}

int
record_xattrs_delete(struct lsmkv *db, struct lsmkv_keyspace *inodes, uint64_t ino,
                     struct lsmkv_batch *batch)
{
    struct lsmkv_iter *iter;
    int result = record_xattrs(db, inodes, NULL, ino, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && result == 0;
         lsmkv_iter_next(iter))
        result = lsmkv_batch_delete(batch, inodes, lsmkv_iter_key(iter));
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

struct record_key
record_taken(uint64_t ino)
{
    return record_number(RECORD_TAKEN, ino);
}

struct record_key
record_orphan(uint64_t data_id)
{
    return record_number(RECORD_ORPHAN, data_id);
}

struct record_key
record_trim(uint64_t data_id, uint64_t first_dead)
{
    struct record_key key = record_number(RECORD_TRIM, data_id);
    put_be64(key.bytes + 9, first_dead);
    key.size = 17;
    return key;
}

struct record_key
record_tag_begin(enum record_tag tag)
{
    struct record_key key;
    key.bytes[0] = (uint8_t)tag;
    key.size = 1;
    return key;
}

struct record_key
record_tag_end(enum record_tag tag)
{
    struct record_key key = record_tag_begin(tag);
    key.bytes[0]++;
    return key;
}

bool
record_decode_sweep(struct lsmkv_slice key, uint64_t *data_id, uint64_t *first_dead)
{
    const uint8_t *bytes = key.data;
    bool orphan = key.size == 9 && bytes[0] == RECORD_ORPHAN;
    bool trim = key.size == 17 && bytes[0] == RECORD_TRIM;
    if (!orphan && !trim)
        return false;
    *data_id = get_be64(bytes + 1);
    *first_dead = trim ? get_be64(bytes + 9) : 0;
    return orphan || *first_dead > 0;
}

uint64_t
record_number_of(struct lsmkv_slice key)
{
    return key.size < 9 ? 0 : get_be64((const uint8_t *)key.data + 1);
}

struct lsmkv_slice
record_xattr_name(struct lsmkv_slice key)
{
    if (key.size < 9)
        return lsmkv_bytes(NULL, 0);
    return lsmkv_bytes((const uint8_t *)key.data + 9, key.size - 9);
}

struct chunk_key
chunk_key(uint64_t data_id, uint64_t index, unsigned fragment)
{
    struct chunk_key key;
    bool end = index >= UINT32_MAX;
    put_be64(key.bytes, data_id);
    put_be32(key.bytes + 8, end ? UINT32_MAX : (uint32_t)index);
    key.bytes[12] = end ? UINT8_MAX : (uint8_t)fragment;
    return key;
}

bool
chunk_key_decode(struct lsmkv_slice key, uint64_t *data_id, uint64_t *index,
                 unsigned *fragment)
{
    const uint8_t *bytes = key.data;
    if (key.size != sizeof(struct chunk_key))
        return false;
    *data_id = get_be64(bytes);
    *index = get_be32(bytes + 8);
    *fragment = bytes[12];
    return true;
}
