/* blob_format.c - the parts of a blob file to and from bytes; see blob.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "table/blob.h"

#define HEADER_CHECKED 28u

void
blob_name(char *name, uint64_t number)
{
    snprintf(name, TABLE_NAME_SIZE, "%06llu.blob", (unsigned long long)number);
}

static int
found(int result, const char *what, const char **problem)
{
    *problem = what;
    return result;
}

void
blob_header_encode(uint8_t *out, const struct blob_header *header)
{
    memcpy(out, BLOB_MAGIC, strlen(BLOB_MAGIC));
    put_u32(out + 8, BLOB_VERSION);
    put_u32(out + 12, BLOB_FEATURE_PAGES | (header->packs ? BLOB_FEATURE_PACKED : 0));
    put_u32(out + 16, header->keyspace);
    put_u64(out + 20, header->number);
    put_u32(out + HEADER_CHECKED, crc32c(0, out, HEADER_CHECKED));
}

int
blob_header_decode(const uint8_t *in, struct blob_header *header, const char **problem)
{
    if (memcmp(in, BLOB_MAGIC, strlen(BLOB_MAGIC)) != 0)
        return found(-EUCLEAN, "the magic is missing: not a blob file", problem);
    if (get_u32(in + HEADER_CHECKED) != crc32c(0, in, HEADER_CHECKED))
        return found(-EBADMSG, "the header's checksum does not match", problem);
    if (get_u32(in + 8) != BLOB_VERSION)
        return found(-EUCLEAN, "its format version is unknown to this version", problem);
    if ((get_u32(in + 12) & ~BLOB_FEATURES_KNOWN) != 0)
        return found(-EUCLEAN, "it uses features that this version does not know",
                     problem);
    header->keyspace = get_u32(in + 16);
    header->number = get_u64(in + 20);
    header->packs = (get_u32(in + 12) & BLOB_FEATURE_PACKED) != 0;
    return 0;
}

/* ---- heads ---- */

static size_t
head_size(const struct blob_ref *ref)
{
    return ref->packed > 0 ? BLOB_HEAD_MAX : BLOB_HEAD_SIZE;
}

/* Over the head from its value checksum on, and the key. */
static uint32_t
head_checksum(const uint8_t *head, const struct blob_ref *ref, size_t key_size)
{
    uint64_t offset = ref->offset - blob_front_size(key_size, ref);

    return crc32c(crc32c_seed(ref->file, offset), head + 4,
                  head_size(ref) + key_size - 4);
}

void
blob_head_encode(uint8_t *out, const struct blob_ref *ref, struct lsmkv_slice internal)
{
    put_u32(out + 4, ref->checksum);
    put_u32(out + 8, blob_lengths_encode(ref));
    put_u32(out + 12, (uint32_t)internal.size);
    if (ref->packed > 0)
        put_u32(out + BLOB_HEAD_SIZE, ref->packed);
    memcpy(out + head_size(ref), internal.data, internal.size);
    put_u32(out, head_checksum(out, ref, internal.size));
}

int
blob_head_decode(const uint8_t *in, uint64_t number, uint64_t offset,
                 struct blob_ref *ref, size_t *key_size, const char **problem)
{
    const uint32_t size = get_u32(in + 12);
    struct blob_ref decoded = {.file = number, .checksum = get_u32(in + 4)};

    if (!blob_lengths_decode(get_u32(in + 8), get_u32(in + BLOB_HEAD_SIZE), &decoded) ||
        size < KEY_TRAILER_SIZE || size > LSMKV_KEY_MAX + KEY_TRAILER_SIZE)
        return found(-EUCLEAN, "a record's lengths are not possible", problem);
    decoded.offset = offset + blob_front_size(size, &decoded);
    *ref = decoded;
    *key_size = size;
    return 0;
}

struct lsmkv_slice
blob_head_key(const uint8_t *record, const struct blob_ref *ref, size_t key_size)
{
    return lsmkv_bytes(record + head_size(ref), key_size);
}

int
blob_head_check(const uint8_t *in, const struct blob_ref *ref, size_t key_size,
                const char **problem)
{
    if (get_u32(in) != head_checksum(in, ref, key_size))
        return found(-EBADMSG, "the checksum of a record's head does not match", problem);
    return 0;
}

/* ---- values ---- */

static uint32_t
page_checksum(const struct blob_ref *ref, uint32_t page, const uint8_t *value)
{
    const uint32_t at = page * BLOB_PAGE_SIZE, left = ref->length - at;

    return crc32c(crc32c_seed(ref->file, ref->offset + at), value + at,
                  left < BLOB_PAGE_SIZE ? left : BLOB_PAGE_SIZE);
}

static uint32_t
pages_checksum(const struct blob_ref *ref, const uint8_t *value)
{
    uint32_t crc = crc32c_seed(ref->file, ref->offset);

    for (uint32_t i = 0; i < ref->pages; i++) {
        uint8_t sum[4];

        put_u32(sum, page_checksum(ref, i, value));
        crc = crc32c(crc, sum, sizeof(sum));
    }
    return crc;
}

bool
blob_is_intact(const struct blob_ref *ref, const uint8_t *stored)
{
    if (ref->packed > 0)
        return blob_table_is_intact(ref, stored) && blob_units_are_intact(ref, stored);
    if (ref->pages > 0)
        return pages_checksum(ref, stored) == ref->checksum;
    return crc32c(crc32c_seed(ref->file, ref->offset), stored, ref->length) ==
           ref->checksum;
}

static uint32_t
table_checksum(const struct blob_ref *ref, const uint8_t *table)
{
    return crc32c(crc32c_seed(ref->file, ref->offset), table, blob_table_size(ref));
}

bool
blob_table_is_intact(const struct blob_ref *ref, const uint8_t *stored)
{
    const size_t size = blob_table_size(ref);

    return size == 0 || table_checksum(ref, stored - size) == ref->checksum;
}

struct blob_ref
blob_place(uint64_t number, uint64_t offset, size_t key_size, size_t value_size,
           uint32_t packed)
{
    struct blob_ref ref = {
        .file = number, .length = (uint32_t)value_size, .packed = packed};

    if (packed == 0 && ref.length > BLOB_PAGED_ABOVE)
        ref.pages = blob_pages(ref.length);
    ref.offset = offset + blob_front_size(key_size, &ref);
    return ref;
}

void
blob_front_encode(uint8_t *out, struct lsmkv_slice internal, const uint8_t *stored,
                  struct blob_ref *ref)
{
    const size_t table_size = blob_table_size(ref);
    uint8_t *table = out + blob_front_size(internal.size, ref) - table_size;

    if (ref->packed > 0)
        blob_table_seal(table, ref, stored);
    for (uint32_t i = 0; i < ref->pages; i++)
        put_u32(table + (size_t)i * BLOB_PAGE_ENTRY, page_checksum(ref, i, stored));
    ref->checksum =
        table_size > 0 ? table_checksum(ref, table)
                       : crc32c(crc32c_seed(ref->file, ref->offset), stored, ref->length);
    blob_head_encode(out, ref, internal);
}
