/* seal.c - see seal.h. */
#include "seal.h"

#include <inttypes.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "fuzz.h"
#include "log/frame.h"
#include "table/blob.h"
#include "table/format.h"
#include "table/index.h"
#include "table/pack.h"

#define LINE_SUFFIX 10u /* tab, 8 digits, newline */

/* Offsets in the footer, of the handles' sizes and of what the checksum covers; and in the
 * properties. */
enum {
    FOOTER_FILTER_SIZE = 16,
    FOOTER_INDEX_SIZE = 28,
    FOOTER_PROPERTIES_SIZE = 40,
    PROPERTIES_ORDER = 16,
    PROPERTIES_BLOCKS = 36,
    PROPERTIES_DATA = 44,
    PROPERTIES_INDEX = 52,
    PROPERTIES_FILTER = 60,
};

void
seal_log(uint8_t *bytes, size_t size, uint64_t number, unsigned frames)
{
    size_t offset = 0;

    while (frames-- > 0 && size - offset >= FRAME_HEADER_SIZE) {
        uint32_t length = get_u32(bytes + offset + 4);
        uint8_t *entries = bytes + offset + FRAME_HEADER_SIZE;

        if (frame_size(length) > size - offset)
            return;
        memset(entries + length, 0, frame_padding(length));
        frame_seal(bytes + offset, number, offset, lsmkv_bytes(entries, length));
        offset += (size_t)frame_size(length);
    }
}

/* Of a record, its head, its key, and the checksums of its value's pages or units, unless the sizes
 * of these are not possible. */
static void
seal_value(uint8_t *record, size_t key_size, struct blob_ref *ref)
{
    const size_t front = blob_front_size(key_size, ref), table = blob_table_size(ref);
    struct blob_units units = {.end = blob_units(ref->length)};
    uint8_t *copy = fuzz_copy(lsmkv_bytes(record, front + blob_stored_size(ref)));
    struct lsmkv_slice key = blob_head_key(copy, ref, key_size);
    const char *problem;

    if (ref->packed == 0) {
        blob_front_encode(record, key, copy + front, ref);
    } else if (blob_units_find(ref, copy + front - table, &units, &problem) == 0) {
        blob_front_encode(record, key, copy + front - table, ref);
    } else {
        ref->checksum =
            crc32c(crc32c_seed(ref->file, ref->offset), copy + front - table, table);
        blob_head_encode(record, ref, key);
    }
    free(copy);
}

void
seal_blob(uint8_t *bytes, size_t size, uint64_t number)
{
    size_t at = BLOB_HEADER_SIZE;

    if (size < BLOB_HEADER_SIZE)
        return;
    put_u64(bytes + 20, number);
    put_u32(bytes + 28, crc32c(0, bytes, 28));
    while (size - at >= BLOB_HEAD_MAX) {
        const char *problem;
        struct blob_ref ref;
        size_t key_size;

        if (blob_head_decode(bytes + at, number, at, &ref, &key_size, &problem) != 0 ||
            ref.offset > size || blob_stored_size(&ref) > size - ref.offset)
            return;
        seal_value(bytes + at, key_size, &ref);
        at = (size_t)ref.offset + blob_stored_size(&ref);
    }
}

/* ---- tables ---- */

static void
seal_block(uint8_t *bytes, size_t size, uint64_t number, struct block_handle handle)
{
    if (handle.offset <= size &&
        (uint64_t)handle.size + BLOCK_TRAILER_SIZE <= size - handle.offset)
        block_seal(bytes + handle.offset, handle.size, BLOCK_PLAIN, number,
                   handle.offset);
}

/* A block of `size` bytes that ends, with its trailer, at `end`; moved inside. */
static struct block_handle
block_below(uint64_t end, uint32_t size)
{
    struct block_handle handle = {0, 0};

    if (end < BLOCK_TRAILER_SIZE)
        return handle;
    end -= BLOCK_TRAILER_SIZE;
    handle.size = size <= end ? size : (uint32_t)end;
    handle.offset = end - handle.size;
    return handle;
}

static void
fit_footer(const uint8_t *in, uint64_t end, struct table_footer *footer)
{
    uint32_t filter = get_u32(in + FOOTER_FILTER_SIZE);

    footer->properties = block_below(end, get_u32(in + FOOTER_PROPERTIES_SIZE));
    footer->index =
        block_below(footer->properties.offset, get_u32(in + FOOTER_INDEX_SIZE));
    footer->filter = block_below(footer->index.offset, filter);
    if (filter == 0)
        footer->filter = (struct block_handle){footer->index.offset, 0};
}

static void
read_footer(const uint8_t *in, struct table_footer *footer)
{
    footer->filter = (struct block_handle){get_u64(in + 8), get_u32(in + 16)};
    footer->index = (struct block_handle){get_u64(in + 20), get_u32(in + 28)};
    footer->properties = (struct block_handle){get_u64(in + 32), get_u32(in + 40)};
}

/* Seals the data blocks that the index names; their number, and where they end. */
static size_t
seal_data(uint8_t *bytes, const struct table_footer *footer, enum lsmkv_order order,
          uint64_t *end)
{
    struct table_index index;
    const char *problem;
    size_t count;

    *end = footer->filter.offset;

    if (footer->index.offset > footer->properties.offset ||
        footer->filter.offset > footer->index.offset ||
        table_index_decode(lsmkv_bytes(bytes + footer->index.offset, footer->index.size),
                           order, footer->filter.offset, UINT64_MAX, &index,
                           &problem) != 0)
        return 0;
    count = index.count;
    *end = index.data_end;
    for (size_t i = 0; i < count; i++) {
        const struct index_entry *entry = &index.entries[i];
        uint8_t *block = bytes + entry->offset;

        block_seal(block, entry->size,
                   block[entry->size] == BLOCK_LZ4 ? BLOCK_LZ4 : BLOCK_PLAIN,
                   footer->number, entry->offset);
    }
    table_index_fini(&index);
    return count;
}

static void
fit_properties(uint8_t *properties, const struct table_footer *footer, size_t blocks,
               uint64_t data_end)
{
    put_u64(properties + PROPERTIES_BLOCKS, blocks);
    put_u64(properties + PROPERTIES_DATA, data_end);
    put_u64(properties + PROPERTIES_INDEX, footer->index.size);
    put_u64(properties + PROPERTIES_FILTER, footer->filter.size);
}

static bool
footer_fits(const struct table_footer *footer, uint64_t end)
{
    return footer->properties.size >= TABLE_PROPERTIES_SIZE &&
           block_handle_end(footer->properties) == end &&
           block_handle_end(footer->index) == footer->properties.offset;
}

void
seal_table(uint8_t *bytes, size_t size, uint64_t number, bool fit)
{
    struct table_footer footer = {.number = number};
    uint64_t end = size - TABLE_FOOTER_SIZE;
    uint64_t data_end;
    size_t blocks;

    if (size < TABLE_FOOTER_SIZE)
        return;
    if (fit)
        fit_footer(bytes + end, end, &footer);
    else
        read_footer(bytes + end, &footer);
    table_footer_encode(bytes + end, &footer, end);
    if (footer_fits(&footer, end)) {
        uint8_t *properties = bytes + footer.properties.offset;

        blocks = seal_data(bytes, &footer,
                           get_u32(properties + PROPERTIES_ORDER) == LSMKV_ORDER_PATH
                               ? LSMKV_ORDER_PATH
                               : LSMKV_ORDER_BYTES,
                           &data_end);
        if (fit)
            fit_properties(properties, &footer, blocks, data_end);
    }
    if (footer.filter.size > 0)
        seal_block(bytes, size, number, footer.filter);
    seal_block(bytes, size, number, footer.index);
    seal_block(bytes, size, number, footer.properties);
}

/* ---- lines ---- */

/* Bytes of a line, without its newline, that stand before its last tab. */
static size_t
object_size(const uint8_t *line, size_t size)
{
    const uint8_t *tab = memrchr(line, '\t', size);

    return tab == NULL ? size : (size_t)(tab - line);
}

uint8_t *
seal_lines(const uint8_t *bytes, size_t size, size_t *sealed_size)
{
    const uint8_t *end = bytes + size, *newline;
    size_t lines = 0, used = 0;
    uint8_t *sealed;

    for (size_t i = 0; i < size; i++)
        lines += bytes[i] == '\n';
    sealed = malloc(size + lines * LINE_SUFFIX + 1);
    fuzz_check(sealed != NULL);
    while (bytes < end &&
           (newline = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        size_t object = object_size(bytes, (size_t)(newline - bytes));
        char suffix[LINE_SUFFIX + 1];

        memcpy(sealed + used, bytes, object);
        snprintf(suffix, sizeof(suffix), "\t%08" PRIx32 "\n", crc32c(0, bytes, object));
        memcpy(sealed + used + object, suffix, LINE_SUFFIX);
        used += object + LINE_SUFFIX;
        bytes = newline + 1;
    }
    if (bytes < end)
        memcpy(sealed + used, bytes, (size_t)(end - bytes));
    *sealed_size = used + (size_t)(end - bytes);
    return sealed;
}
