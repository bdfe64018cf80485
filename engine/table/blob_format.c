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
    put_u32(out + 12, 0);
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
    if (get_u32(in + 12) != 0)
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
    put_u32(out + 8, head->length);
    put_u32(out + 12, head->key_size);
    put_u32(out, head_checksum(out, number, offset, key));
}

int
blob_head_decode(const uint8_t *in, struct blob_head *head, const char **problem)
{
    struct blob_head h = {get_u32(in + 4), get_u32(in + 8), get_u32(in + 12)};

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

uint32_t
blob_value_checksum(uint64_t number, uint64_t offset, struct lsmkv_slice value)
{
    return crc32c(crc32c_seed(number, offset), value.data, value.size);
}
