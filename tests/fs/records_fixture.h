/*
 * records_fixture.h - a store in memory, and records put into it one by one through the engine's
 * interface, good and bad ones.
 */
#ifndef TESTS_FS_RECORDS_FIXTURE_H
#define TESTS_FS_RECORDS_FIXTURE_H

#include "common/coding.h"
#include "store/chunks.h"
#include "store/records.h"
#include "store_fixture.h"

#define LARGE (300u << 10) /* three chunks */

static const struct lsmkv_slice nothing;

static struct store_fixture fixture;

static inline void
put_bytes(struct lsmkv_keyspace *keyspace, struct lsmkv_slice key,
          struct lsmkv_slice attributes, struct lsmkv_slice value)
{
    ck_assert_int_eq(
        lsmkv_put(fixture.store->db, keyspace, key, attributes, value, LSMKV_UNSYNCED),
        0);
}

static inline void
put_attr(struct lsmkv_keyspace *keyspace, struct lsmkv_slice key, const struct attr *attr,
         const char *value)
{
    uint8_t bytes[ATTR_BUFFER];
    size_t size = attr_encode(attr, bytes);

    put_bytes(keyspace, key, lsmkv_bytes(bytes, size), lsmkv_str(value));
}

static inline struct attr
new_attr(uint32_t mode)
{
    struct attr attr;
    uint64_t ino;

    ck_assert_int_eq(store_new_ino(fixture.store, &ino), 0);
    attr_init(&attr, mode, 0, 0, ino, store_now());
    return attr;
}

static inline struct attr
put_file(const char *key, const char *value)
{
    struct attr attr = new_attr(S_IFREG | 0644);

    put_attr(fixture.store->files, lsmkv_str(key), &attr, value);
    return attr;
}

static inline struct attr
put_directory(const char *key, uint32_t subdirs)
{
    struct attr attr = new_attr(S_IFDIR | 0755);

    attr.subdirs = subdirs;
    put_attr(fixture.store->files, lsmkv_str(key), &attr, "");
    return attr;
}

static inline struct attr
put_reference(const char *key, uint64_t ino)
{
    struct attr attr = {.mode = S_IFREG, .ino = ino, .data.kind = ATTR_REFERENCE};

    put_attr(fixture.store->files, lsmkv_str(key), &attr, "");
    return attr;
}

/* What `names` names share. */
static inline struct attr
put_inode(uint32_t names)
{
    struct attr attr = new_attr(S_IFREG | 0644);
    struct record_key key = record_inode(attr.ino);

    attr.nlink = names;
    put_attr(fixture.store->inodes, record_slice(&key), &attr, "shared");
    return attr;
}

static inline void
put_mark(struct record_key key)
{
    put_bytes(fixture.store->inodes, record_slice(&key), nothing, nothing);
}

static inline void
put_chunk(uint64_t id, uint64_t index, size_t size)
{
    static const uint8_t zeros[CHUNK_SIZE];
    struct chunk_key key = chunk_key(id, index, 0);

    put_bytes(fixture.store->chunks, chunk_slice(&key), nothing,
              lsmkv_bytes(zeros, size));
}

static inline void
put_fragment(uint64_t id, uint64_t index, unsigned number, uint32_t at, uint32_t total,
             size_t size)
{
    static const uint8_t zeros[CHUNK_SIZE];
    struct chunk_key key = chunk_key(id, index, number);
    uint8_t attributes[8];

    put_le32(put_le32(attributes, at), total);
    put_bytes(fixture.store->chunks, chunk_slice(&key),
              lsmkv_bytes(attributes, sizeof attributes), lsmkv_bytes(zeros, size));
}

static inline uint64_t
new_data_id(void)
{
    uint64_t id;

    ck_assert_int_eq(store_new_data_id(fixture.store, &id), 0);
    return id;
}

/* A file in chunks of LARGE bytes, whole. */
static inline struct attr
put_large(const char *key)
{
    struct attr attr = new_attr(S_IFREG | 0644);

    attr.data = (struct attr_data){ATTR_CHUNKS, LARGE, new_data_id(), 3};
    put_attr(fixture.store->files, lsmkv_str(key), &attr, "");
    put_chunk(attr.data.id, 0, CHUNK_SIZE);
    put_chunk(attr.data.id, 1, CHUNK_SIZE);
    put_chunk(attr.data.id, 2, LARGE - 2 * CHUNK_SIZE);
    return attr;
}

#endif
