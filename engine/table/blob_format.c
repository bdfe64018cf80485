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
    put_u32(out + 12, BLOB_FEATURES);
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
    if ((get_u32(in + 12) & ~BLOB_FEATURES) != 0)
        return found(-EUCLEAN, "it uses features that this version does not know",
                     problem);
    header->keyspace = get_u32(in + 16);
    header->number = get_u64(in + 20);
    return 0;
}

/* Over the head from its value checksum on, and the key. */
static uint32_t
head_checksum(const uint8_t *head, uint64_t number, uint64_t offset,
              struct lsmkv_slice key)
{
    uint32_t crc = crc32c(crc32c_seed(number, offset), head + 4, BLOB_HEAD_SIZE - 4);

    return crc32c(crc, key.data, key.size);
}

void
blob_head_encode(uint8_t *out, uint64_t number, uint64_t offset,
                 const struct blob_head *head, struct lsmkv_slice key)
{
    put_u32(out + 4, head->checksum);
    put_u32(out + 8, blob_length_encode(head->length, head->pages));
    put_u32(out + 12, head->key_size);
    put_u32(out, head_checksum(out, number, offset, key));
}

int
blob_head_decode(const uint8_t *in, struct blob_head *head, const char **problem)
{
    struct blob_head h = {.checksum = get_u32(in + 4), .key_size = get_u32(in + 12)};

    blob_length_decode(get_u32(in + 8), &h.length, &h.pages);
    if (h.length == 0 || h.length > LSMKV_VALUE_MAX || h.key_size < KEY_TRAILER_SIZE ||
        h.key_size > LSMKV_KEY_MAX + KEY_TRAILER_SIZE)
        return found(-EUCLEAN, "a record's lengths are not possible", problem);
    *head = h;
    return 0;
}

int
blob_head_check(const uint8_t *in, const struct blob_head *head, uint64_t number,
                uint64_t offset, const char **problem)
{
    struct lsmkv_slice key = lsmkv_bytes(in + BLOB_HEAD_SIZE, head->key_size);

    if (get_u32(in) != head_checksum(in, number, offset, key))
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

uint32_t
blob_value_checksum(const struct blob_ref *ref, const uint8_t *value)
{
    uint32_t crc = crc32c_seed(ref->file, ref->offset);

    if (ref->pages == 0)
        return crc32c(crc, value, ref->length);
    for (uint32_t i = 0; i < ref->pages; i++) {
        uint8_t sum[4];

        put_u32(sum, page_checksum(ref, i, value));
        crc = crc32c(crc, sum, sizeof(sum));
    }
    return crc;
}

bool
blob_sums_are_intact(const struct blob_ref *ref, const uint8_t *value)
{
    const size_t size = ref->pages * sizeof(uint32_t);

    return ref->pages == 0 || crc32c(crc32c_seed(ref->file, ref->offset), value - size,
                                     size) == ref->checksum;
}

struct blob_ref
blob_place(uint64_t number, uint64_t offset, size_t key_size, size_t value_size)
{
    struct blob_ref ref = {.file = number};
    uint32_t field = (uint32_t)value_size;

    if (field > BLOB_PAGED_ABOVE)
        field |= BLOB_PAGED;
    blob_length_decode(field, &ref.length, &ref.pages);
    ref.offset = offset + blob_front_size(key_size, ref.pages);
    return ref;
}

void
blob_front_encode(uint8_t *out, struct lsmkv_slice internal, struct lsmkv_slice value,
                  struct blob_ref *ref)
{
    const uint64_t offset = ref->offset - blob_front_size(internal.size, ref->pages);
    uint8_t *sums = out + BLOB_HEAD_SIZE + internal.size;
    struct blob_head head = {
        .length = ref->length, .pages = ref->pages, .key_size = (uint32_t)internal.size};

    for (uint32_t i = 0; i < ref->pages; i++)
        put_u32(sums + i * sizeof(uint32_t), page_checksum(ref, i, value.data));
    head.checksum = ref->checksum = ref->pages == 0
                                        ? blob_value_checksum(ref, value.data)
                                        : crc32c(crc32c_seed(ref->file, ref->offset),
                                                 sums, ref->pages * sizeof(uint32_t));
    blob_head_encode(out, ref->file, offset, &head, internal);
    memcpy(out + BLOB_HEAD_SIZE, internal.data, internal.size);
}
