/* record.c - the payload of an entry, to and from bytes; the byte table is in
 * record.h. */
#include "base/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/coding.h"

size_t
blob_ref_encode(uint8_t *out, const struct blob_ref *ref)
{
    put_u64(out, ref->file);
    put_u64(out + 8, ref->offset);
    put_u32(out + 16, blob_lengths_encode(ref));
    put_u32(out + 20, ref->checksum);
    if (ref->packed == 0)
        return BLOB_REF_SIZE;
    put_u32(out + BLOB_REF_SIZE, ref->packed);
    return BLOB_REF_SIZE_MAX;
}

/* What stands before the body. */
static size_t
stamp_size(uint8_t kind)
{
    switch (kind & ~(unsigned)KIND_BLOB_BIT) {
    case KIND_PUT_TIMED:
        return 8;
    case KIND_PUT_STAMPED:
        return 16;
    default:
        return 0;
    }
}

size_t
record_encode_head(uint8_t *out, uint8_t kind, const struct lsmkv_record *record)
{
    uint8_t *next = out;

    assert(kind_is_known(kind));
    if (kind == KIND_DELETE)
        return 0;
    if (stamp_size(kind) == 16) {
        put_u64(next, record->stamp_sequence);
        next += 8;
    }
    if (stamp_size(kind) > 0) {
        put_u64(next, (uint64_t)record->stamp_time);
        next += 8;
    }
    next = put_varint(next, record->attributes.size);
    return (size_t)(next - out);
}

size_t
record_payload_size(uint8_t kind, const struct lsmkv_record *record)
{
    if (kind == KIND_DELETE)
        return 0;
    return stamp_size(kind) + varint_size(record->attributes.size) +
           record->attributes.size + record->value.size;
}

static uint8_t *
append(uint8_t *out, struct lsmkv_slice bytes)
{
    if (bytes.size > 0)
        memcpy(out, bytes.data, bytes.size);
    return out + bytes.size;
}

void
record_encode(uint8_t *out, uint8_t kind, const struct lsmkv_record *record)
{
    uint8_t *next = out + record_encode_head(out, kind, record);

    if (kind == KIND_DELETE)
        return;
    next = append(next, record->attributes);
    append(next, record->value);
}

static void
decode_stamp(struct reader *reader, uint8_t kind, struct lsmkv_record *record)
{
    if (stamp_size(kind) == 16)
        record->stamp_sequence = read_u64(reader);
    if (stamp_size(kind) > 0)
        record->stamp_time = (int64_t)read_u64(reader);
}

int
record_decode_any(uint8_t kind, uint64_t sequence, struct lsmkv_slice payload,
                  struct lsmkv_record *record)
{
    struct reader reader = reader_of(payload);
    struct lsmkv_record found = {.sequence = sequence, .stamp_sequence = sequence};
    struct blob_ref ref;

    if (!kind_is_known(kind))
        return -EUCLEAN;
    if (kind != KIND_DELETE) {
        decode_stamp(&reader, kind, &found);
        found.attributes = read_bytes(&reader, read_varint32(&reader));
        found.value = read_bytes(&reader, reader_left(&reader));
    }
    if (reader.failed || reader_left(&reader) > 0 ||
        found.attributes.size > LSMKV_ATTRIBUTES_MAX ||
        found.value.size > LSMKV_VALUE_MAX || found.stamp_sequence > SEQUENCE_MAX)
        return -EUCLEAN;
    if (kind_is_apart(kind) && blob_ref_decode(found.value, &ref) != 0)
        return -EUCLEAN;
    *record = found;
    return 0;
}
