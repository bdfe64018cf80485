/* crc32c.c - ISA-L's crc32_iscsi neither inverts its start nor its result, wants a
 * pointer to non-const although it only reads, and takes an int as length. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include "base/coding.h"

#define PIECE_MAX ((size_t)1 << 30)

uint32_t
crc32c(uint32_t crc, const void *data, size_t size)
{
    union {
        const void *in;
        unsigned char *out;
    } next = {data};
    uint32_t state = ~crc;

    while (size > 0) {
        size_t piece = size < PIECE_MAX ? size : PIECE_MAX;

        state = crc32_iscsi(next.out, (int)piece, state);
        next.out += piece;
        size -= piece;
    }
    return ~state;
}

uint32_t
crc32c_seed(uint64_t number, uint64_t offset)
{
    uint8_t bytes[16];

    put_u64(bytes, number);
    put_u64(bytes + 8, offset);
    return crc32c(0, bytes, sizeof(bytes));
}
