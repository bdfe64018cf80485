/*
 * record.h - the payload of an entry: what stands beside an internal key in memtables and
 * tables.  Fixed integers are little-endian.
 *
 *     KIND_DELETE       nothing
 *     KIND_PUT                              then body
 *     KIND_PUT_TIMED    time 8              then body
 *     KIND_PUT_STAMPED  sequence 8, time 8  then body
 *
 *     body: attributes' length (varint), attributes, value (all that is left)
 *
 * With KIND_BLOB_BIT the value stands apart, in a blob file (table/blob.h), and here is
 * its reference instead:
 *
 *     offset  size  field
 *          0     8  file      number of the blob file
 *          8     8  offset    of the value in it
 *         16     4  length    of the value, 1 to LSMKV_VALUE_MAX; and BLOB_PAGED if the
 *                             checksums of its pages stand before it, or BLOB_PACKED if it
 *                             is compressed
 *         20     4  checksum  as the blob file has it
 *         24     4  stored    of a packed one alone: its bytes in the file, fewer than
 *                             `length`
 */
#ifndef BASE_RECORD_H
#define BASE_RECORD_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"

/* In the field of a length; not both. */
#define BLOB_PAGED     (1u << 31)
#define BLOB_PACKED    (1u << 30)
#define BLOB_PAGE_SIZE 4096u
#define BLOB_UNIT_SIZE (16u << 10) /* of a packed value, each compressed by itself */

struct blob_ref {
    uint64_t file, offset;
    uint32_t length, checksum;
    uint32_t pages;  /* whose checksums stand before the value; 0: none do */
    uint32_t packed; /* bytes of it in the file, if it is packed; 0: it is not */
};

#define BLOB_REF_SIZE     24u
#define BLOB_REF_SIZE_MAX 28u /* of a packed value */

/* Of `length` bytes. */
static inline uint32_t
blob_pages(uint32_t length)
{
    return length / BLOB_PAGE_SIZE + (length % BLOB_PAGE_SIZE > 0);
}

static inline uint32_t
blob_units(uint32_t length)
{
    return length / BLOB_UNIT_SIZE + (length % BLOB_UNIT_SIZE > 0);
}

/* Can a value of `length` bytes have come to so many? */
static inline bool
blob_packed_is_possible(uint32_t packed, uint32_t length)
{
    return packed < length && packed >= blob_units(length);
}

#define BLOB_PAGE_ENTRY 4u /* of the table before a value: the page's checksum */
#define BLOB_UNIT_ENTRY 8u /* likewise: the unit's bytes in the file, its checksum */

/* What stands before the value. */
static inline size_t
blob_table_size(const struct blob_ref *ref)
{
    return ref->packed > 0 ? (size_t)blob_units(ref->length) * BLOB_UNIT_ENTRY
                           : (size_t)ref->pages * BLOB_PAGE_ENTRY;
}

/* Of the value, in the file. */
static inline uint32_t
blob_stored_size(const struct blob_ref *ref)
{
    return ref->packed > 0 ? ref->packed : ref->length;
}

/* The field of a length. */
static inline uint32_t
blob_lengths_encode(const struct blob_ref *ref)
{
    const uint32_t paged = ref->pages > 0 ? BLOB_PAGED : 0;

    return ref->length | (ref->packed > 0 ? BLOB_PACKED : paged);
}

/* What it says; `stored` is the other field, of a packed value.  False: it cannot be. */
static inline bool LSMKV_CHECKED
blob_lengths_decode(uint32_t field, uint32_t stored, struct blob_ref *ref)
{
    ref->length = field & ~(BLOB_PAGED | BLOB_PACKED);
    ref->pages = (field & BLOB_PAGED) != 0 ? blob_pages(ref->length) : 0;
    ref->packed = (field & BLOB_PACKED) != 0 ? stored : 0;
    return ref->length > 0 && ref->length <= LSMKV_VALUE_MAX &&
           ((field & BLOB_PACKED) == 0 ||
            (ref->pages == 0 && blob_packed_is_possible(stored, ref->length)));
}

/* The bytes: BLOB_REF_SIZE or BLOB_REF_SIZE_MAX. */
size_t blob_ref_encode(uint8_t *out, const struct blob_ref *ref);

/* -EUCLEAN if it cannot be one.  A walk asks that of each entry that it shows. */
static inline int LSMKV_CHECKED
blob_ref_decode(struct lsmkv_slice in, struct blob_ref *ref)
{
    const uint8_t *bytes = in.data;
    struct blob_ref found = {0};
    uint32_t field;

    if (in.size != BLOB_REF_SIZE && in.size != BLOB_REF_SIZE_MAX)
        return -EUCLEAN;
    field = get_u32(bytes + 16);
    if (((field & BLOB_PACKED) != 0) != (in.size == BLOB_REF_SIZE_MAX))
        return -EUCLEAN;
    found.file = get_u64(bytes);
    found.offset = get_u64(bytes + 8);
    found.checksum = get_u32(bytes + 20);
    if (!blob_lengths_decode(field, in.size > BLOB_REF_SIZE ? get_u32(bytes + 24) : 0,
                             &found) ||
        found.offset > (uint64_t)INT64_MAX - found.length ||
        found.offset < blob_table_size(&found))
        return -EUCLEAN;
    *ref = found;
    return 0;
}

/* An upper bound of what record_encode_head writes. */
#define RECORD_HEAD_MAX (16u + 5u)

/* Everything of the payload before the attributes' bytes.  Returns its size. */
size_t record_encode_head(uint8_t *out, uint8_t kind, const struct lsmkv_record *record);
/* The size of the whole payload. */
size_t record_payload_size(uint8_t kind, const struct lsmkv_record *record);
/* Writes the whole payload, record_payload_size bytes. */
void record_encode(uint8_t *out, uint8_t kind, const struct lsmkv_record *record);

/* Parses a payload; the record borrows from it.  `sequence` is the entry's own.  -EUCLEAN
 * if it is not valid.  A tombstone gives an empty record; of a value that stands apart
 * the record has the reference's bytes, which are valid, as its value. */
int LSMKV_CHECKED record_decode_any(uint8_t kind, uint64_t sequence,
                                    struct lsmkv_slice payload,
                                    struct lsmkv_record *record);

/* The same.  Most are puts that were not moved, with fewer than 128 bytes of attributes: told
 * from the others, for a scan decodes every entry that it shows. */
static inline int LSMKV_CHECKED
record_decode(uint8_t kind, uint64_t sequence, struct lsmkv_slice payload,
              struct lsmkv_record *record)
{
    const unsigned put = kind & ~(unsigned)KIND_BLOB_BIT;
    const size_t head = put == KIND_PUT_TIMED ? 8 : 0;
    const uint8_t *data = payload.data;
    size_t attributes, value;
    struct blob_ref ref;

    if ((put != KIND_PUT && put != KIND_PUT_TIMED) || payload.size <= head ||
        data[head] >= 0x80)
        return record_decode_any(kind, sequence, payload, record);
    attributes = data[head];
    if (attributes > payload.size - head - 1)
        return -EUCLEAN;
    value = payload.size - head - 1 - attributes;
    if (value > LSMKV_VALUE_MAX || sequence > SEQUENCE_MAX)
        return -EUCLEAN;
    if (kind_is_apart(kind) &&
        blob_ref_decode(lsmkv_bytes(data + head + 1 + attributes, value), &ref) != 0)
        return -EUCLEAN;
    *record = (struct lsmkv_record){
        .attributes = lsmkv_bytes(data + head + 1, attributes),
        .value = lsmkv_bytes(data + head + 1 + attributes, value),
        .sequence = sequence,
        .stamp_sequence = sequence,
        .stamp_time = head == 0 ? 0 : (int64_t)get_u64(data),
    };
    return 0;
}

#endif
