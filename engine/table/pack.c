/* pack.c - data blocks compressed with LZ4; see pack.h. */
#include "table/pack.h"

#include <errno.h>
#include <lz4.h>

#include "base/coding.h"

#define HEAD_SIZE 4u
/* LZ4's longest matches cost a byte every 255. */
#define LZ4_RATIO_MAX 255u

static int
found(const char *what, const char **problem)
{
    *problem = what;
    return -EUCLEAN;
}

int
block_pack(struct lsmkv_slice raw, struct keybuf *packed)
{
    const size_t most = raw.size - raw.size / 8; /* K1 */
    int result, size;

    if (most <= HEAD_SIZE || raw.size > BLOCK_UNPACKED_MAX)
        return 0;
    result = keybuf_reserve(packed, most);
    if (result != 0)
        return result;
    size = LZ4_compress_default(raw.data, (char *)packed->data + HEAD_SIZE, (int)raw.size,
                                (int)(most - HEAD_SIZE));
    if (size <= 0)
        return 0;
    put_u32(packed->data, (uint32_t)raw.size);
    packed->size = HEAD_SIZE + (size_t)size;
    return 1;
}

int
block_unpacked_size(const uint8_t *block, size_t size, size_t *unpacked_size,
                    const char **problem)
{
    size_t said;

    if (size <= HEAD_SIZE)
        return found("it is compressed, and too short for that", problem);
    said = get_u32(block);
    if (said == 0 || said > BLOCK_UNPACKED_MAX || said / LZ4_RATIO_MAX > size - HEAD_SIZE)
        return found("it is compressed, and cannot be as large as it says", problem);
    *unpacked_size = said;
    return 0;
}

int
block_unpack(const uint8_t *block, size_t size, uint8_t *unpacked, size_t unpacked_size,
             const char **problem)
{
    int got;

    if (size <= HEAD_SIZE || size - HEAD_SIZE > LZ4_MAX_INPUT_SIZE)
        return found("it is compressed, and of no such size", problem);
    got = LZ4_decompress_safe((const char *)block + HEAD_SIZE, (char *)unpacked,
                              (int)(size - HEAD_SIZE), (int)unpacked_size);
    if (got < 0 || (size_t)got != unpacked_size)
        return found("it is compressed, and cannot be decompressed", problem);
    return 0;
}

int
block_unpack_into(const uint8_t *block, size_t size, struct keybuf *unpacked,
                  const char **problem)
{
    size_t unpacked_size;
    int result = block_unpacked_size(block, size, &unpacked_size, problem);

    if (result == 0)
        result = keybuf_reserve(unpacked, unpacked_size);
    if (result == 0)
        result = block_unpack(block, size, unpacked->data, unpacked_size, problem);
    if (result == 0)
        unpacked->size = unpacked_size;
    return result;
}
