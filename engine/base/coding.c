/* coding.c - varints, and a cursor that cannot run past its end. */
#include "base/coding.h"

uint8_t *
put_long_varint(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

size_t
varint_size(uint64_t value)
{
    size_t bits = 64u - (size_t)__builtin_clzll(value | 1);

    return (bits + 6) / 7;
}

/* The rest is given up too, so that every later read finds nothing left. */
void
reader_fail(struct reader *reader)
{
    reader->failed = true;
    reader->next = reader->end;
}

/* Borrows the next `size` bytes, or NULL. */
static const uint8_t *
take(struct reader *reader, size_t size)
{
    const uint8_t *data = reader->next;

    if (size > reader_left(reader)) {
        reader_fail(reader);
        return NULL;
    }
    reader->next += size;
    return data;
}

uint8_t
read_u8(struct reader *reader)
{
    const uint8_t *data = take(reader, 1);

    return data == NULL ? 0 : *data;
}

uint32_t
read_u32(struct reader *reader)
{
    const uint8_t *data = take(reader, sizeof(uint32_t));

    return data == NULL ? 0 : get_u32(data);
}

uint64_t
read_u64(struct reader *reader)
{
    const uint8_t *data = take(reader, sizeof(uint64_t));

    return data == NULL ? 0 : get_u64(data);
}

uint64_t
read_long_varint(struct reader *reader)
{
    uint64_t value = 0;
    unsigned shift;

    for (shift = 0; shift < 64; shift += 7) {
        const uint8_t *data = take(reader, 1);

        if (data == NULL)
            return 0;
        value |= (uint64_t)(*data & 0x7f) << shift;
        if ((*data & 0x80) != 0)
            continue;
        /* A last byte of 0 is overlong; the tenth byte has room for one bit. */
        if ((*data == 0 && shift > 0) || (shift == 63 && *data > 1))
            break;
        return value;
    }
    reader_fail(reader);
    return 0;
}

uint32_t
read_long_varint32(struct reader *reader)
{
    uint64_t value = read_long_varint(reader);

    if (value > UINT32_MAX) {
        reader_fail(reader);
        return 0;
    }
    return (uint32_t)value;
}
