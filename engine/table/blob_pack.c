/* blob_pack.c - values of blob files compressed with LZ4; the byte table is in blob.h. */
#include <errno.h>
#include <lz4.h>
#include <string.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "table/blob.h"

/* Of the value. */
static uint32_t
unit_length(uint32_t length, uint32_t unit)
{
    const uint32_t left = length - unit * BLOB_UNIT_SIZE;

    return left < BLOB_UNIT_SIZE ? left : BLOB_UNIT_SIZE;
}

static uint32_t
unit_size(const uint8_t *table, uint32_t unit)
{
    return get_u32(table + (size_t)unit * BLOB_UNIT_ENTRY);
}

/* Is so much left for the unit, and can it have come to that? */
static bool
unit_is_possible(const struct blob_ref *ref, uint32_t unit, uint32_t from, uint32_t size)
{
    return size > 0 && size <= unit_length(ref->length, unit) &&
           size <= ref->packed - from;
}

static uint32_t
unit_checksum(const struct blob_ref *ref, uint32_t from, const uint8_t *bytes,
              uint32_t size)
{
    return crc32c(crc32c_seed(ref->file, ref->offset + from), bytes, size);
}

static bool
unit_is_intact(const struct blob_ref *ref, const uint8_t *table, uint32_t unit,
               uint32_t from, const uint8_t *bytes)
{
    return unit_checksum(ref, from, bytes, unit_size(table, unit)) ==
           get_u32(table + (size_t)unit * BLOB_UNIT_ENTRY + 4);
}

/* ---- packing ---- */

/* One that does not become shorter stays as it is. */
static uint32_t
pack_unit(const uint8_t *value, uint32_t length, uint8_t *out)
{
    int size = LZ4_compress_default((const char *)value, (char *)out, (int)length,
                                    (int)length - 1);

    if (size > 0)
        return (uint32_t)size;
    memcpy(out, value, length);
    return length;
}

int
blob_pack(struct lsmkv_slice value, struct keybuf *packed, uint32_t *size)
{
    const uint32_t length = (uint32_t)value.size, units = blob_units(length);
    const size_t table_size = (size_t)units * BLOB_UNIT_ENTRY;
    const size_t most = length - length / 8;
    uint32_t stored = 0;
    int result = keybuf_reserve(packed, table_size + length);

    *size = 0;
    if (result != 0)
        return result;
    for (uint32_t i = 0; i < units; i++) {
        const uint32_t at = i * BLOB_UNIT_SIZE;
        const uint32_t made =
            pack_unit((const uint8_t *)value.data + at, unit_length(length, i),
                      packed->data + table_size + stored);

        put_u32(packed->data + (size_t)i * BLOB_UNIT_ENTRY, made);
        stored += made;
    }
    packed->size = table_size + stored;
    if (packed->size <= most)
        *size = stored;
    return 0;
}

void
blob_table_seal(uint8_t *table, const struct blob_ref *ref, const uint8_t *packed)
{
    const uint8_t *bytes = packed + blob_table_size(ref);
    const uint32_t units = blob_units(ref->length);
    uint32_t from = 0;

    for (uint32_t i = 0; i < units; i++) {
        uint8_t *entry = table + (size_t)i * BLOB_UNIT_ENTRY;
        const uint32_t size = unit_size(packed, i);

        put_u32(entry, size);
        put_u32(entry + 4, unit_checksum(ref, from, bytes + from, size));
        from += size;
    }
}

/* ---- unpacking ---- */

static int
found(int result, const char *what, const char **problem)
{
    *problem = what;
    return result;
}

bool
blob_units_are_intact(const struct blob_ref *ref, const uint8_t *stored)
{
    const uint8_t *table = stored - blob_table_size(ref);
    const uint32_t units = blob_units(ref->length);
    uint32_t from = 0;

    for (uint32_t i = 0; i < units; i++) {
        if (!unit_is_possible(ref, i, from, unit_size(table, i)) ||
            !unit_is_intact(ref, table, i, from, stored + from))
            return false;
        from += unit_size(table, i);
    }
    return from == ref->packed;
}

int
blob_units_find(const struct blob_ref *ref, const uint8_t *table,
                struct blob_units *units, const char **problem)
{
    const uint32_t count = blob_units(ref->length);
    uint32_t at = 0;

    units->size = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t size = unit_size(table, i);

        if (!unit_is_possible(ref, i, at, size))
            return found(-EUCLEAN, "the sizes of its units are not possible", problem);
        if (i == units->first)
            units->from = at;
        if (i >= units->first && i < units->end)
            units->size += size;
        at += size;
    }
    if (at != ref->packed)
        return found(-EUCLEAN, "the sizes of its units are not possible", problem);
    return 0;
}

static int
unpack_unit(const uint8_t *bytes, uint32_t size, uint8_t *value, uint32_t length,
            const char **problem)
{
    if (size == length) {
        memcpy(value, bytes, length);
        return 0;
    }
    if (LZ4_decompress_safe((const char *)bytes, (char *)value, (int)size, (int)length) !=
        (int)length)
        return found(-EUCLEAN, "it cannot be decompressed", problem);
    return 0;
}

int
blob_units_unpack(const struct blob_ref *ref, const uint8_t *table,
                  const struct blob_units *units, const uint8_t *bytes, uint8_t *value,
                  const char **problem)
{
    uint32_t done = 0;
    int result = 0;

    for (uint32_t i = units->first; i < units->end && result == 0; i++) {
        const uint32_t size = unit_size(table, i);

        if (!unit_is_intact(ref, table, i, units->from + done, bytes + done))
            return found(-EBADMSG, "the checksum of a unit does not match", problem);
        result = unpack_unit(bytes + done, size,
                             value + (size_t)(i - units->first) * BLOB_UNIT_SIZE,
                             unit_length(ref->length, i), problem);
        done += size;
    }
    return result;
}

int
blob_unpack(const struct blob_ref *ref, const uint8_t *stored, uint8_t *value,
            const char **problem)
{
    const uint8_t *table = stored - blob_table_size(ref);
    struct blob_units units = {.end = blob_units(ref->length)};
    int result;

    if (!blob_table_is_intact(ref, stored))
        return found(-EBADMSG, "its checksum does not match", problem);
    result = blob_units_find(ref, table, &units, problem);
    if (result == 0)
        result = blob_units_unpack(ref, table, &units, stored, value, problem);
    return result;
}
