/*
 * salvage.c - opening a table of which not everything can be read.
 *
 *     data block 0 ... n-1 | filter | index | properties | footer
 *
 * The footer tells where the rest is; the properties, of one of two sizes in this version, stand
 * before it, and tell the same.  Without an index the data blocks are found one behind the other: a block
 * ends at the first place where its trailer's checksum, which table and offset seed, holds.  Behind
 * a bad block the next one cannot be found so, for nothing says where it begins.
 *
 * S1  A rebuilt index covers the whole of what may hold data: what no block was found in is its
 *     last entry, a block that fails its checksum, or begins behind the end of the file.
 * S2  A block that passes its checksum, but does not hold entries that go on from those before, is
 *     the filter or the index: the data ends before it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/record.h"
#include "table/pack.h"
#include "table/reader.h"

/* No data block is larger: one entry may be behind a block that is not full yet. */
#define BLOCK_MAX  ((size_t)24 << 20)
#define FIRST_READ ((size_t)64 << 10)

/* ---- blocks without an index ---- */

struct finder {
    struct table *table;
    uint64_t limit; /* no data is at or behind it */
    uint8_t *bytes; /* of the file, from `offset` on */
    size_t capacity, filled;
    uint64_t offset;
    struct keybuf last; /* internal key of the last entry found */
    struct keybuf unpacked;
    uint64_t largest_sequence;
    struct block_builder index;
};

/* Reads on.  0: there is no more. */
static int
read_more(struct finder *finder)
{
    uint64_t left = finder->limit - finder->offset - finder->filled;
    size_t more = finder->filled < FIRST_READ ? FIRST_READ : finder->filled;
    ssize_t got;

    if (more > left)
        more = (size_t)left;
    if (more == 0 || finder->filled >= BLOCK_MAX)
        return 0;
    if (finder->capacity < finder->filled + more) {
        uint8_t *bytes = realloc(finder->bytes, finder->filled + more);

        if (bytes == NULL)
            return -ENOMEM;
        finder->bytes = bytes;
        finder->capacity = finder->filled + more;
    }
    got = table_read_some(finder->table, finder->offset + finder->filled,
                          finder->bytes + finder->filled, more);
    if (got < 0)
        return 0; /* a read error ends what can be found, as a bad block does */
    finder->filled += (size_t)got;
    return got > 0;
}

/* 1 and the size of the block that begins at the finder's offset; 0: none ends anywhere. */
static int
find_end(struct finder *finder, size_t *size)
{
    uint8_t seed[16];
    uint32_t crc, next;
    size_t at = 0;

    put_u64(seed, finder->table->footer.number);
    put_u64(seed + 8, finder->offset);
    crc = crc32c(0, seed, sizeof(seed));
    for (;; at++) {
        while (finder->filled < at + BLOCK_TRAILER_SIZE) {
            int result = read_more(finder);

            if (result <= 0)
                return result;
        }
        next = crc32c(crc, finder->bytes + at, 1);
        if (finder->bytes[at] <= BLOCK_LZ4 && next == get_u32(finder->bytes + at + 1)) {
            *size = at;
            return 1;
        }
        crc = next;
    }
}

/* Whether the entry under the cursor can be data, and comes after those before (S2). */
static bool
goes_on(const struct block_iter *it, const struct keybuf *last)
{
    struct lsmkv_record record;
    uint64_t sequence = internal_sequence(it->entry.key);

    return record_decode(internal_kind(it->entry.key), sequence, it->entry.payload,
                         &record) == 0 &&
           it->entry.key.size - KEY_TRAILER_SIZE <= LSMKV_KEY_MAX &&
           (last->size == 0 ||
            internal_key_compare(it->order, keybuf_slice(last), it->entry.key) < 0);
}

/* Points the cursor at the block of `size` bytes, unpacked. */
static int
look_into(struct finder *finder, size_t size, struct block_iter *it)
{
    struct lsmkv_slice contents = lsmkv_bytes(finder->bytes, size);
    const char *problem;
    int result = 0;

    if (finder->bytes[size] != BLOCK_PLAIN) {
        result = block_unpack_into(finder->bytes, size, &finder->unpacked, &problem);
        contents = keybuf_slice(&finder->unpacked);
    }
    return result == 0 ? block_iter_set(it, finder->table->properties.order, contents)
                       : result;
}

/* 1 if the block of `size` bytes holds data: it is in the index then. */
static int
take_block(struct finder *finder, size_t size)
{
    struct block_iter it = {0};
    struct keybuf last = {0};
    uint64_t largest = 0;
    bool good = true;
    int result = look_into(finder, size, &it);

    if (result != 0)
        return result == -EUCLEAN ? 0 : result;
    if (finder->last.size > 0)
        result = keybuf_set(&last, keybuf_slice(&finder->last));
    for (block_iter_first(&it); result == 0 && good && it.valid; block_iter_next(&it)) {
        good = goes_on(&it, &last);
        if (internal_sequence(it.entry.key) > largest)
            largest = internal_sequence(it.entry.key);
        result = keybuf_set(&last, it.entry.key);
    }
    good = good && it.status == 0 && largest > 0;
    if (it.status == -ENOMEM)
        result = -ENOMEM;
    if (result == 0 && good) {
        struct keybuf separator = {0};

        block_iter_first(&it);
        result = index_separator(it.order, keybuf_slice(&finder->last), it.entry.key,
                                 &separator);
        if (result == 0)
            result = index_add(&finder->index, keybuf_slice(&separator), (uint32_t)size,
                               largest);
        keybuf_fini(&separator);
        if (largest > finder->largest_sequence)
            finder->largest_sequence = largest;
    }
    if (result == 0 && good) {
        keybuf_fini(&finder->last);
        finder->last = last;
        memset(&last, 0, sizeof(last));
    }
    keybuf_fini(&last);
    block_iter_fini(&it);
    return result != 0 ? result : good;
}

/* S1: the rest, from the finder's offset up to the limit, as one block. */
static int
take_rest(struct finder *finder, uint64_t *end)
{
    uint64_t left = finder->limit - finder->offset;
    uint64_t size = left > BLOCK_TRAILER_SIZE ? left - BLOCK_TRAILER_SIZE : 1;
    struct keybuf separator = {0};
    int result;

    if (size > UINT32_MAX)
        size = UINT32_MAX;
    if (finder->last.size == 0)
        result = keybuf_set_internal(&separator, lsmkv_bytes("", 0),
                                     SEPARATOR_TRAILER >> 8, (uint8_t)SEPARATOR_TRAILER);
    else {
        struct lsmkv_slice last = keybuf_slice(&finder->last);
        uint64_t next = internal_trailer(last) - 1; /* what sorts right behind it */

        result = keybuf_set_internal(&separator, internal_user_key(last), next >> 8,
                                     (uint8_t)next);
    }
    if (result == 0)
        result = index_add(&finder->index, keybuf_slice(&separator), (uint32_t)size,
                           SEQUENCE_MAX);
    keybuf_fini(&separator);
    *end = finder->offset + size + BLOCK_TRAILER_SIZE;
    return result;
}

/* Adds every block that can be found; `*whole`: nothing is missing (S2). */
static int
find_blocks(struct finder *finder, bool limit_known, bool *whole)
{
    size_t size;
    int result;

    *whole = false;
    while (finder->offset < finder->limit) {
        result = find_end(finder, &size);
        if (result <= 0)
            return result;
        result = take_block(finder, size);
        if (result < 0)
            return result;
        if (result == 0) {
            *whole = !limit_known;
            return 0;
        }
        size += BLOCK_TRAILER_SIZE;
        finder->offset += size;
        finder->filled -= size;
        memmove(finder->bytes, finder->bytes + size, finder->filled);
    }
    *whole = limit_known;
    return 0;
}

/* What it holds was in blocks that were read. */
static int
use_index(struct finder *finder, uint64_t end)
{
    struct table *table = finder->table;
    const char *problem;
    int result = block_builder_finish(&finder->index);

    if (result == 0)
        result =
            table_index_decode(keybuf_slice(&finder->index.data), table->properties.order,
                               end, UINT64_MAX, &table->index, &problem);
    return result;
}

/* Without an index that can be read: one of the blocks that can be found below `limit`. */
static int
rebuild_index(struct table *table, uint64_t limit, bool limit_known)
{
    struct finder finder = {.table = table, .limit = limit};
    uint64_t end;
    bool whole;
    int result = find_blocks(&finder, limit_known, &whole);

    end = finder.offset;
    if (result == 0 && !whole)
        result = take_rest(&finder, &end);
    if (result == 0 && finder.index.entries == 0)
        result = table_damaged(table, -EUCLEAN, 0, "nothing of its data can be found");
    if (result == 0)
        result = use_index(&finder, end);
    free(finder.bytes);
    keybuf_fini(&finder.last);
    keybuf_fini(&finder.unpacked);
    block_builder_fini(&finder.index);
    return result;
}

/* ---- opening ---- */

/* A size other than the expected one is told; what stands behind it is not looked at. */
static int
find_size(struct table *table, uint64_t expected)
{
    int result = table_ask_size(table, &table->size);

    if (result != 0)
        return result;
    if (expected == 0 || table->size == expected)
        return 0;
    result = report_error(table->context->reporter, -EUCLEAN,
                          "%s: offset %llu: the file ends here, expected %llu bytes",
                          table->name, (unsigned long long)table->size,
                          (unsigned long long)expected);
    if (table->size > expected)
        table->size = expected;
    return 0;
}

/* Without a footer: the properties where they stand, being so large, in a file that is whole.
 * False: they are not there. */
static bool
find_properties(struct table *table, uint32_t size)
{
    uint8_t bytes[TABLE_PROPERTIES_MAX + BLOCK_TRAILER_SIZE];
    const size_t with_trailer = size + BLOCK_TRAILER_SIZE;
    struct block_handle handle = {0, size};
    struct table_properties *properties = &table->properties;
    struct table_footer *footer = &table->footer;
    const char *problem;

    if (table->size < with_trailer + TABLE_FOOTER_SIZE)
        return false;
    handle.offset = table->size - with_trailer - TABLE_FOOTER_SIZE;
    if (table_read_some(table, handle.offset, bytes, with_trailer) !=
            (ssize_t)with_trailer ||
        block_check(bytes, size, footer->number, handle.offset, &problem) != 0 ||
        table_properties_decode(lsmkv_bytes(bytes, size), properties, &problem) != 0)
        return false;
    footer->properties = handle;
    footer->filter.offset = properties->data_bytes;
    footer->filter.size = (uint32_t)properties->filter_bytes;
    footer->index.size = (uint32_t)properties->index_bytes;
    footer->index.offset = footer->filter.size == 0 ? footer->filter.offset
                                                    : block_handle_end(footer->filter);
    return footer->filter.offset <= handle.offset &&
           block_handle_end(footer->index) == handle.offset;
}

/* Which keyspace and order: of itself, or as others have it. */
static int
identify(struct table *table, bool has_properties, const struct table_identity *identity)
{
    struct table_properties *properties = &table->properties;

    if (has_properties && identity->known &&
        (properties->keyspace != identity->keyspace ||
         properties->order != identity->order))
        return table_damaged(
            table, -EUCLEAN, 0,
            "the table is of another keyspace or order than MANIFEST has it");
    if (has_properties)
        return 0;
    if (!identity->known)
        return table_damaged(table, -EUCLEAN, 0,
                             "which keyspace the table is of cannot be told");
    *properties = (struct table_properties){
        .keyspace = identity->keyspace,
        .order = identity->order,
        .largest_sequence = SEQUENCE_MAX,
    };
    return 0;
}

/* The filter is only a help: without it nothing is ruled out. */
static int
load_filter_if_good(struct table *table)
{
    int result = table_load_filter(table);

    if (result == 0 || result == -ENOMEM)
        return result;
    table->context->env->release(table->context->env, table->filter_buffer,
                                 table->filter_allocated);
    table->filter_buffer = NULL;
    memset(&table->filter, 0, sizeof(table->filter));
    return 0;
}

static int
load_parts(struct table *table, uint64_t number, const struct table_identity *identity)
{
    bool has_footer, has_properties;
    int result = -EUCLEAN;

    if (table->size < TABLE_FOOTER_SIZE)
        (void)table_damaged(table, -EUCLEAN, table->size, "too short to be a table");
    else
        result = table_load_footer(table, &number);
    has_footer = result == 0;
    if (!has_footer)
        memset(&table->footer, 0, sizeof(table->footer));
    table->footer.number = number;
    if (has_footer)
        result = table_load_properties(table);
    else
        result = find_properties(table, TABLE_PROPERTIES_SIZE) ||
                         find_properties(table, TABLE_PROPERTIES_MAX)
                     ? 0
                     : -EUCLEAN;
    if (result == -ENOMEM)
        return result; /* it says nothing about the table */
    has_properties = result == 0;
    result = identify(table, has_properties, identity);
    if (result != 0)
        return result;
    if (!has_footer && !has_properties)
        return rebuild_index(table, table->size, false);
    result = table_load_index(table);
    if (result == -ENOMEM)
        return result;
    if (result == 0 && table->index.data_end != table->footer.filter.offset) {
        result = table_damaged(table, -EUCLEAN, table->footer.index.offset,
                               "the index does not cover the data blocks");
        table_index_fini(&table->index);
        memset(&table->index, 0, sizeof(table->index));
    }
    if (result != 0)
        result = rebuild_index(table, table->footer.filter.offset, true);
    return result == 0 ? load_filter_if_good(table) : result;
}

int
table_open_salvaging(const struct table_context *context, uint64_t number, uint64_t size,
                     const struct table_identity *identity, struct table **table)
{
    char name[TABLE_NAME_SIZE];
    struct table *made = calloc(1, sizeof(*made));
    int result = -ENOMEM;

    if (made == NULL)
        return -ENOMEM;
    table_name(name, number);
    made->context = context;
    made->name = strdup(name);
    if (made->name != NULL)
        result = open_file_new(context->files, context->dir, name, &made->file);
    if (result == 0)
        result = find_size(made, size);
    if (result == 0)
        result = load_parts(made, number, identity);
    if (result != 0) {
        table_close(made);
        return result;
    }
    *table = made;
    return 0;
}
