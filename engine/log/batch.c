/*
 * batch.c - building and reading the entries of an atomic batch; the bytes are in
 * batch.h.
 *
 * B1  What batch_next hands out was checked against what is left, by subtraction, before
 *     it is pointed at; nothing is allocated for a count that was read.
 * B2  A failed batch_add or batch_append leaves the batch as it was.
 */
#include "log/batch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "base/record.h"
#include "lsmkv.h"

/* kind, keyspace and the length of an empty key: what `count` is bounded by. */
#define ENTRY_SIZE_MIN 3u
#define STAMP_SIZE     16u

static bool
kind_is_stamped(uint8_t kind)
{
    return (kind & ~(unsigned)KIND_BLOB_BIT) == KIND_PUT_STAMPED;
}

void
batch_init(struct lsmkv_batch *batch)
{
    memset(batch, 0, sizeof(*batch));
}

void
batch_fini(struct lsmkv_batch *batch)
{
    free(batch->data);
    batch_init(batch);
}

void
batch_clear(struct lsmkv_batch *batch)
{
    batch->count = batch->tombstones = batch->largest = 0;
    batch->size = 0;
    if (batch->data != NULL) {
        memset(batch->data, 0, BATCH_HEADER_SIZE);
        batch->size = BATCH_HEADER_SIZE;
    }
}

/* Makes room for `extra` bytes behind the header and what is there. */
static int
batch_reserve(struct lsmkv_batch *batch, size_t extra)
{
    size_t used = batch->data == NULL ? BATCH_HEADER_SIZE : batch->size;
    size_t capacity;
    uint8_t *data;

    if (extra > LSMKV_BATCH_MAX - used)
        return -E2BIG;
    if (batch->data != NULL && extra <= batch->capacity - used)
        return 0;
    capacity = used + extra;
    if (capacity < 2 * batch->capacity)
        capacity = 2 * batch->capacity;
    if (capacity < 256)
        capacity = 256;
    data = realloc(batch->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    if (batch->data == NULL) {
        memset(data, 0, BATCH_HEADER_SIZE);
        batch->size = BATCH_HEADER_SIZE;
    }
    batch->data = data;
    batch->capacity = capacity;
    return 0;
}

static void
batch_grown(struct lsmkv_batch *batch, size_t extra, uint32_t count)
{
    batch->size += extra;
    batch->count += count;
    put_u32(batch->data + 8, batch->count);
}

static size_t
sized_bytes(size_t size)
{
    return varint_size(size) + size;
}

static size_t
entry_size(uint32_t keyspace, uint8_t kind, struct lsmkv_slice key,
           const struct lsmkv_record *record)
{
    size_t size = 1 + varint_size(keyspace) + sized_bytes(key.size);

    if (!kind_is_put(kind))
        return size;
    if (kind_is_stamped(kind))
        size += STAMP_SIZE;
    return size + sized_bytes(record->attributes.size) + sized_bytes(record->value.size);
}

static uint8_t *
put_sized(uint8_t *out, struct lsmkv_slice bytes)
{
    out = put_varint(out, bytes.size);
    if (bytes.size > 0)
        memcpy(out, bytes.data, bytes.size);
    return out + bytes.size;
}

int
batch_add(struct lsmkv_batch *batch, uint32_t keyspace, uint8_t kind,
          struct lsmkv_slice key, const struct lsmkv_record *record)
{
    uint8_t *out;
    size_t size;
    int result;

    assert(kind_is_known(kind) && kind_is_put(kind) == (record != NULL));
    assert(!kind_is_apart(kind) || record->value.size == BLOB_REF_SIZE ||
           record->value.size == BLOB_REF_SIZE_MAX);
    if (key.size > LSMKV_KEY_MAX || batch->count == UINT32_MAX)
        return -E2BIG;
    if (record != NULL && (record->attributes.size > LSMKV_ATTRIBUTES_MAX ||
                           record->value.size > LSMKV_VALUE_MAX))
        return -E2BIG;
    size = entry_size(keyspace, kind, key, record);
    result = batch_reserve(batch, size);
    if (result < 0)
        return result;

    out = batch->data + batch->size;
    *out++ = kind;
    out = put_varint(out, keyspace);
    out = put_sized(out, key);
    if (record != NULL) {
        if (kind_is_stamped(kind)) {
            put_u64(out, record->stamp_sequence);
            put_u64(out + 8, (uint64_t)record->stamp_time);
            out += STAMP_SIZE;
        }
        out = put_sized(out, record->attributes);
        out = put_sized(out, record->value);
    }
    assert((size_t)(out - batch->data) == batch->size + size);
    batch_grown(batch, size, 1);
    batch->tombstones += !kind_is_put(kind);
    if (record != NULL && record->value.size > batch->largest)
        batch->largest = (uint32_t)record->value.size;
    return 0;
}

int
batch_append(struct lsmkv_batch *batch, const struct lsmkv_batch *other)
{
    uint32_t count = other->count;
    size_t size;
    int result;

    if (count == 0)
        return 0;
    if (count > UINT32_MAX - batch->count)
        return -E2BIG;
    size = other->size - BATCH_HEADER_SIZE;
    result = batch_reserve(batch, size);
    if (result < 0)
        return result;
    /* After the reserve: `other` may be `batch` itself. */
    memcpy(batch->data + batch->size, other->data + BATCH_HEADER_SIZE, size);
    batch_grown(batch, size, count);
    batch->tombstones += other->tombstones;
    if (other->largest > batch->largest)
        batch->largest = other->largest;
    return 0;
}

void
batch_set_time(struct lsmkv_batch *batch, int64_t time)
{
    if (batch->data != NULL)
        put_u64(batch->data, (uint64_t)time);
}

struct lsmkv_slice
batch_slice(const struct lsmkv_batch *batch)
{
    static const uint8_t empty[BATCH_HEADER_SIZE];

    if (batch->data == NULL)
        return lsmkv_bytes(empty, sizeof(empty));
    return lsmkv_bytes(batch->data, batch->size);
}

int
batch_read(struct batch_reader *reader, struct lsmkv_slice encoded,
           uint64_t first_sequence)
{
    struct reader bytes = reader_of(encoded);
    int64_t time = (int64_t)read_u64(&bytes);
    uint32_t count = read_u32(&bytes);

    if (bytes.failed || count > reader_left(&bytes) / ENTRY_SIZE_MIN)
        return -EUCLEAN;
    if (first_sequence > SEQUENCE_MAX || count > SEQUENCE_MAX - first_sequence)
        return -EUCLEAN;
    reader->rest = lsmkv_bytes(bytes.next, reader_left(&bytes));
    reader->next_sequence = first_sequence;
    reader->time = time;
    reader->left = count;
    return 0;
}

/* A length of at most `max`, then as many bytes. */
static struct lsmkv_slice
read_sized(struct reader *bytes, uint64_t max)
{
    uint64_t size = read_varint(bytes);

    if (size > max)
        bytes->failed = true;
    return read_bytes(bytes, size);
}

static void
read_record(struct reader *bytes, uint8_t kind, int64_t batch_time,
            struct lsmkv_record *record)
{
    struct blob_ref ref;

    record->stamp_sequence = record->sequence;
    if (kind_is_stamped(kind)) {
        record->stamp_sequence = read_u64(bytes);
        record->stamp_time = (int64_t)read_u64(bytes);
        if (record->stamp_sequence > SEQUENCE_MAX)
            bytes->failed = true;
    } else if ((kind & ~(unsigned)KIND_BLOB_BIT) == KIND_PUT_TIMED) {
        record->stamp_time = batch_time;
    }
    record->attributes = read_sized(bytes, LSMKV_ATTRIBUTES_MAX);
    record->value = read_sized(bytes, LSMKV_VALUE_MAX);
    if (kind_is_apart(kind) && !bytes->failed &&
        blob_ref_decode(record->value, &ref) != 0)
        bytes->failed = true;
}

int
batch_next(struct batch_reader *reader, struct batch_entry *entry)
{
    struct reader bytes = reader_of(reader->rest);
    struct batch_entry parsed = {0};

    if (reader->left == 0)
        return reader->rest.size == 0 ? 0 : -EUCLEAN;
    parsed.kind = read_u8(&bytes);
    if (bytes.failed || !kind_is_known(parsed.kind))
        return -EUCLEAN;
    parsed.keyspace = read_varint32(&bytes);
    parsed.key = read_sized(&bytes, LSMKV_KEY_MAX);
    parsed.sequence = reader->next_sequence;
    parsed.record.sequence = parsed.sequence;
    if (kind_is_put(parsed.kind))
        read_record(&bytes, parsed.kind, reader->time, &parsed.record);
    if (bytes.failed)
        return -EUCLEAN;

    reader->rest = lsmkv_bytes(bytes.next, reader_left(&bytes));
    reader->next_sequence++;
    reader->left--;
    *entry = parsed;
    return 1;
}

int
batch_verify(struct lsmkv_slice encoded)
{
    struct batch_reader reader;
    struct batch_entry entry;
    int result;

    result = batch_read(&reader, encoded, 0);
    if (result < 0)
        return result;
    do
        result = batch_next(&reader, &entry);
    while (result > 0);
    return result;
}
