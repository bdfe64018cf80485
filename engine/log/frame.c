/* frame.c - encoding and decoding of what frame.h describes. */
#include "log/frame.h"

#include <errno.h>
#include <string.h>

#include "base/coding.h"
#include "base/crc32c.h"

void
frame_header_encode(uint8_t *out, const struct frame_header *header)
{
    put_u32(out, header->checksum);
    put_u32(out + 4, header->length);
    put_u64(out + 8, header->first_sequence << 8 | header->type);
    put_u64(out + 16, header->synced);
}

void
frame_header_decode(const uint8_t *in, struct frame_header *header)
{
    uint64_t typed_sequence = get_u64(in + 8);

    header->checksum = get_u32(in);
    header->length = get_u32(in + 4);
    header->type = (uint8_t)typed_sequence;
    header->first_sequence = typed_sequence >> 8;
    header->synced = get_u64(in + 16);
}

void
frame_seal(uint8_t *header, uint64_t number, uint64_t offset, struct lsmkv_slice entries)
{
    static const uint8_t zeros[FRAME_ALIGNMENT];
    uint32_t crc = crc32c_seed(number, offset);

    crc = crc32c(crc, header + 4, FRAME_HEADER_SIZE - 4);
    crc = crc32c(crc, entries.data, entries.size);
    put_u32(header, crc32c(crc, zeros, frame_padding((uint32_t)entries.size)));
}

void
frame_first_encode(uint8_t *out, const struct frame_first *first)
{
    put_u32(out, first->version);
    put_u32(out + 4, first->features);
    put_u64(out + 8, first->previous);
    put_u64(out + 16, first->end);
    put_u64(out + 24, 0);
}

int
frame_first_decode(struct lsmkv_slice entries, struct frame_first *first)
{
    const uint8_t *in = entries.data;

    if (entries.size != FRAME_FIRST_SIZE || get_u32(in) != FRAME_VERSION ||
        (get_u32(in + 4) & ~FRAME_FEATURES) != 0 || get_u64(in + 24) != 0)
        return -EUCLEAN;
    first->version = get_u32(in);
    first->features = get_u32(in + 4);
    first->previous = get_u64(in + 8);
    first->end = get_u64(in + 16);
    return 0;
}
