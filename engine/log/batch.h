/*
 * batch.h - the entries of one atomic batch: what a frame of the log carries and what is
 * inserted into memtables.
 *
 *     offset  size  field
 *          0     8  time      nanoseconds since 1970, set when the batch is written
 *          8     4  count     of entries
 *         12        entries, each:
 *                1  kind      see base/key.h
 *           varint  keyspace
 *           varint  key's length, then the key
 *                   of a KIND_PUT_STAMPED: sequence 8, time 8
 *                   of a put: varint attributes' length, attributes,
 *                             varint value's length, value
 *                             with KIND_BLOB_BIT: the value's reference (base/record.h)
 *
 * A KIND_PUT_TIMED takes its time from the batch.  Entry i has sequence first + i.
 */
#ifndef LOG_BATCH_H
#define LOG_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/key.h"

#define BATCH_HEADER_SIZE 12u

struct lsmkv_batch {
    uint8_t *data; /* NULL while empty; malloced */
    size_t size;
    size_t capacity;
    uint32_t count;
    uint32_t tombstones; /* of them */
    uint32_t largest;    /* bytes of the largest value */
};

void batch_init(struct lsmkv_batch *batch);
void batch_fini(struct lsmkv_batch *batch);
/* Keeps the memory. */
void batch_clear(struct lsmkv_batch *batch);
/* Appends an entry.  `kind` as in base/key.h; `record` is NULL for a tombstone; its stamp
 * is written for KIND_PUT_STAMPED only, its value is the reference if it stands apart.
 * -E2BIG beyond the limits of lsmkv.h; -ENOMEM. */
int LSMKV_CHECKED batch_add(struct lsmkv_batch *batch, uint32_t keyspace, uint8_t kind,
                            struct lsmkv_slice key, const struct lsmkv_record *record);
/* Appends all entries of `other`. */
int LSMKV_CHECKED batch_append(struct lsmkv_batch *batch,
                               const struct lsmkv_batch *other);
void batch_set_time(struct lsmkv_batch *batch, int64_t time);
/* The encoded batch; an empty one has a header too. */
struct lsmkv_slice batch_slice(const struct lsmkv_batch *batch);

struct batch_entry {
    uint8_t kind;
    uint32_t keyspace;
    uint64_t sequence;
    struct lsmkv_slice key;
    struct lsmkv_record record; /* stamp filled in for every put */
};

struct batch_reader {
    struct lsmkv_slice rest;
    uint64_t next_sequence;
    int64_t time;
    uint32_t left;
};

/* Starts reading an encoded batch.  -EUCLEAN. */
int LSMKV_CHECKED batch_read(struct batch_reader *reader, struct lsmkv_slice encoded,
                             uint64_t first_sequence);
/* 1 and an entry that borrows from the encoded bytes; 0 at the end; -EUCLEAN if the bytes
 * are not valid, or something follows the last entry. */
int LSMKV_CHECKED batch_next(struct batch_reader *reader, struct batch_entry *entry);
/* Reads it all: 0 or -EUCLEAN, so that a bad batch is refused before any of it is
 * applied. */
int LSMKV_CHECKED batch_verify(struct lsmkv_slice encoded);

#endif
