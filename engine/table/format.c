/* format.c - block trailers, properties and footer to and from bytes; see format.h. */
#include "table/format.h"

#include <errno.h>
#include <stdio.h>

#include "base/coding.h"
#include "base/crc32c.h"

#define FOOTER_CHECKED 44u /* bytes under the footer's checksum */
#define FOOTER_MAGIC   48u

void
table_name(char *name, uint64_t number)
{
    snprintf(name, TABLE_NAME_SIZE, "%06llu.sst", (unsigned long long)number);
}

static uint32_t
placed_checksum(uint64_t number, uint64_t offset, const uint8_t *bytes, size_t size)
{
    uint8_t seed[16];

    put_u64(seed, number);
    put_u64(seed + 8, offset);
    return crc32c(crc32c(0, seed, sizeof(seed)), bytes, size);
}

static int
found(int result, const char *what, const char **problem)
{
    *problem = what;
    return result;
}

/* ---- blocks ---- */

void
block_seal(uint8_t *block, size_t size, enum block_type type, uint64_t number,
           uint64_t offset)
{
    block[size] = (uint8_t)type;
    put_u32(block + size + 1, placed_checksum(number, offset, block, size + 1));
}

int
block_check(const uint8_t *block, size_t size, uint64_t number, uint64_t offset,
            const char **problem)
{
    if (get_u32(block + size + 1) != placed_checksum(number, offset, block, size + 1))
        return found(-EBADMSG, "its checksum does not match", problem);
    if (block[size] != BLOCK_PLAIN && block[size] != BLOCK_LZ4)
        return found(-EUCLEAN, "its type is unknown to this version", problem);
    return 0;
}

/* ---- properties ---- */

size_t
table_properties_encode(uint8_t *out, const struct table_properties *properties)
{
    put_u32(out, TABLE_VERSION);
    put_u32(out + 4, (properties->has_blobs ? TABLE_FEATURE_BLOBS : 0) |
                         (properties->packed ? TABLE_FEATURE_LZ4 : 0) |
                         (properties->has_pages ? TABLE_FEATURE_PAGES : 0) |
                         (properties->has_packed ? TABLE_FEATURE_PACKED : 0));
    put_u32(out + 8, 0);
    put_u32(out + 12, properties->keyspace);
    put_u32(out + 16, (uint32_t)properties->order);
    put_u64(out + 20, properties->entries);
    put_u64(out + 28, properties->tombstones);
    put_u64(out + 36, properties->data_blocks);
    put_u64(out + 44, properties->data_bytes);
    put_u64(out + 52, properties->index_bytes);
    put_u64(out + 60, properties->filter_bytes);
    put_u64(out + 68, properties->raw_key_bytes);
    put_u64(out + 76, properties->raw_payload_bytes);
    put_u64(out + 84, properties->smallest_sequence);
    put_u64(out + 92, properties->largest_sequence);
    put_u64(out + 100, properties->filter_keys);
    if (!properties->packed)
        return TABLE_PROPERTIES_SIZE;
    put_u64(out + TABLE_PROPERTIES_SIZE, properties->raw_data_bytes);
    return TABLE_PROPERTIES_MAX;
}

int
table_properties_decode(struct lsmkv_slice in, struct table_properties *properties,
                        const char **problem)
{
    struct reader reader = reader_of(in);
    struct table_properties p = {0};
    uint32_t version = read_u32(&reader);
    uint32_t incompatible = read_u32(&reader);
    uint32_t order;

    /* These first: of an unknown version nothing else can be judged. */
    if (!reader.failed && version != TABLE_VERSION)
        return found(-EUCLEAN, "its format version is unknown to this version", problem);
    if (!reader.failed && (incompatible & ~TABLE_FEATURES_KNOWN) != 0)
        return found(-EUCLEAN, "it uses features that this version does not know",
                     problem);

    (void)read_u32(&reader); /* compatible features may be ignored */
    p.has_blobs = (incompatible & TABLE_FEATURE_BLOBS) != 0;
    p.packed = (incompatible & TABLE_FEATURE_LZ4) != 0;
    p.has_pages = (incompatible & TABLE_FEATURE_PAGES) != 0;
    p.has_packed = (incompatible & TABLE_FEATURE_PACKED) != 0;
    p.keyspace = read_u32(&reader);
    order = read_u32(&reader);
    p.entries = read_u64(&reader);
    p.tombstones = read_u64(&reader);
    p.data_blocks = read_u64(&reader);
    p.data_bytes = read_u64(&reader);
    p.index_bytes = read_u64(&reader);
    p.filter_bytes = read_u64(&reader);
    p.raw_key_bytes = read_u64(&reader);
    p.raw_payload_bytes = read_u64(&reader);
    p.smallest_sequence = read_u64(&reader);
    p.largest_sequence = read_u64(&reader);
    p.filter_keys = read_u64(&reader);
    p.raw_data_bytes = p.packed ? read_u64(&reader) : p.data_bytes;
    if (reader.failed)
        return found(-EUCLEAN, "it is too short for properties", problem);
    if (p.keyspace == KEYSPACE_UNKNOWN)
        return found(-EUCLEAN, "its keyspace has a number that none can have", problem);
    if (order != LSMKV_ORDER_BYTES && order != LSMKV_ORDER_PATH)
        return found(-EUCLEAN, "its order of keys is unknown to this version", problem);
    p.order = (enum lsmkv_order)order;
    *properties = p;
    return 0;
}

/* ---- footer ---- */

static uint8_t *
put_handle(uint8_t *out, struct block_handle handle)
{
    put_u64(out, handle.offset);
    put_u32(out + 8, handle.size);
    return out + 12;
}

static struct block_handle
get_handle(const uint8_t *in)
{
    struct block_handle handle = {get_u64(in), get_u32(in + 8)};

    return handle;
}

void
table_footer_encode(uint8_t *out, const struct table_footer *footer, uint64_t offset)
{
    put_u64(out, footer->number);
    put_handle(put_handle(put_handle(out + 8, footer->filter), footer->index),
               footer->properties);
    put_u32(out + FOOTER_CHECKED,
            placed_checksum(footer->number, offset, out, FOOTER_CHECKED));
    memcpy(out + FOOTER_MAGIC, TABLE_MAGIC, strlen(TABLE_MAGIC));
}

/* Whether the block lies below `end`, where the next thing must begin. */
static bool
handle_ends_at(struct block_handle handle, uint64_t end)
{
    return handle.offset <= end &&
           end - handle.offset == (uint64_t)handle.size + BLOCK_TRAILER_SIZE;
}

int
table_footer_decode(const uint8_t *in, uint64_t offset, struct table_footer *footer,
                    const char **problem)
{
    struct table_footer f;
    uint64_t filter_end;

    if (memcmp(in + FOOTER_MAGIC, TABLE_MAGIC, strlen(TABLE_MAGIC)) != 0)
        return found(-EUCLEAN, "the magic is missing: not a table, or cut short",
                     problem);
    f.number = get_u64(in);
    if (get_u32(in + FOOTER_CHECKED) !=
        placed_checksum(f.number, offset, in, FOOTER_CHECKED))
        return found(-EBADMSG, "the footer's checksum does not match", problem);
    f.filter = get_handle(in + 8);
    f.index = get_handle(in + 20);
    f.properties = get_handle(in + 32);
    filter_end = f.filter.size == 0 ? f.filter.offset : block_handle_end(f.filter);
    if (!handle_ends_at(f.properties, offset) ||
        !handle_ends_at(f.index, f.properties.offset) ||
        f.filter.offset > f.index.offset || filter_end != f.index.offset)
        return found(-EUCLEAN, "the footer's blocks do not follow each other", problem);
    *footer = f;
    return 0;
}
