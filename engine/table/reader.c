/*
 * reader.c - an open table: its footer, properties, index and filter are read and checked
 * at open and stay in memory, charged to the cache; data blocks come through it.  Its file is open when it is
 * read, and may be shut in between.
 *
 * R1  Every byte that comes from the file has passed its checksum before it is looked at,
 *     and lengths are held against the file's size before anything is allocated.
 * R2  Damage is reported here, once, with file and offset.
 */
#include "table/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "table/pack.h"

/* ---- reading blocks ---- */

int
table_damaged(const struct table *table, int result, uint64_t offset, const char *problem)
{
    return report_error(table->context->reporter, result, "%s: offset %" PRIu64 ": %s",
                        table->name, offset, problem);
}

/* Released with open_file_release. */
static int
hold_file(const struct table *table, struct env_file **file)
{
    int result = open_file_hold(table->file, file);

    if (result != 0)
        return report_error(table->context->reporter, result, "%s: cannot be opened",
                            table->name);
    return 0;
}

ssize_t
table_read_some(const struct table *table, uint64_t offset, void *buffer, size_t size)
{
    struct env_file *file;
    ssize_t got = hold_file(table, &file);

    if (got != 0)
        return got == -ENOENT ? -EUCLEAN : got; /* it was there before: damage */
    got = env_file_read(file, offset, buffer, size);
    open_file_release(table->file);
    return got >= 0 ? got : table_damaged(table, (int)got, offset, "reading failed");
}

int
table_ask_size(const struct table *table, uint64_t *size)
{
    struct env_file *file;
    int result = hold_file(table, &file);

    if (result != 0)
        return result;
    result = env_file_size(file, size);
    open_file_release(table->file);
    return result == 0 ? 0 : table_damaged(table, result, 0, "its size cannot be asked");
}

/* All of it or an error. */
static int
read_bytes_at(const struct table *table, uint64_t offset, void *buffer, size_t size)
{
    ssize_t got = table_read_some(table, offset, buffer, size);

    if (got < 0)
        return (int)got;
    if ((size_t)got < size)
        return table_damaged(table, -EUCLEAN, offset,
                             "the file ends where a block should be");
    return 0;
}

void
table_count_read(const struct table *table, struct block_handle handle)
{
    struct tally *counters = table->context->counters;

    tally_add(counters, TABLE_BLOCKS_READ, 1);
    tally_add(counters, TABLE_BLOCK_BYTES_READ, handle.size);
}

int
table_block_bad(const struct table *table, int result, struct block_handle handle,
                const char *problem)
{
    return report_error(table->context->reporter, result,
                        "%s: offset %" PRIu64 ": a block of %" PRIu32 " bytes: %s",
                        table->name, handle.offset, handle.size, problem);
}

int
table_read_data(const struct table *table, struct block_handle handle, uint8_t *buffer)
{
    const char *problem;
    int result = read_bytes_at(table, handle.offset, buffer,
                               (size_t)handle.size + BLOCK_TRAILER_SIZE);

    if (result != 0)
        return result;
    table_count_read(table, handle);
    result =
        block_check(buffer, handle.size, table->footer.number, handle.offset, &problem);
    return result == 0 ? 0 : table_block_bad(table, result, handle, problem);
}

int
table_read_block(const struct table *table, struct block_handle handle, uint8_t *buffer)
{
    int result = table_read_data(table, handle, buffer);

    if (result == 0 && buffer[handle.size] != BLOCK_PLAIN)
        result = table_block_bad(table, -EUCLEAN, handle,
                                 "it is compressed, as only data may be");
    return result;
}

struct block_handle
table_data_handle(const struct table *table, size_t i)
{
    struct block_handle handle = {table->index.entries[i].offset,
                                  table->index.entries[i].size};

    return handle;
}

int
table_block_failed(const struct table *table, size_t i, int status)
{
    if (status != -EUCLEAN)
        return status;
    return table_damaged(table, status, table->index.entries[i].offset,
                         "a data block does not parse");
}

/* A block on its way into memory. */
struct incoming {
    uint8_t *data; /* from env->allocate */
    size_t size, allocated;
};

static int
incoming_allocate(const struct table *table, uint64_t offset, size_t size, bool keep,
                  struct incoming *incoming)
{
    struct lsmkv_env *env = table->context->env;

    incoming->allocated = size;
    if (keep)
        incoming->data = block_cache_buffer(table->context->cache, table->footer.number,
                                            offset, size, &incoming->allocated);
    else
        incoming->data = env->allocate(env, size);
    return incoming->data == NULL ? -ENOMEM : 0;
}

static void
incoming_release(const struct table *table, const struct incoming *incoming)
{
    struct lsmkv_env *env = table->context->env;

    env->release(env, incoming->data, incoming->allocated);
}

/* Puts a block that was read packed in the place of its bytes on the disk. */
static int
unpack(const struct table *table, struct block_handle handle, bool keep,
       struct incoming *incoming)
{
    struct incoming packed = *incoming;
    const char *problem;
    int result = block_unpacked_size(packed.data, handle.size, &incoming->size, &problem);

    if (result == 0)
        result = incoming_allocate(table, handle.offset, incoming->size, keep, incoming);
    if (result == -ENOMEM)
        *incoming = packed;
    if (result == 0) {
        result = block_unpack(packed.data, handle.size, incoming->data, incoming->size,
                              &problem);
        incoming_release(table, &packed);
    }
    return result == -EUCLEAN ? table_block_bad(table, result, handle, problem) : result;
}

static int
read_and_pin(struct table *table, struct block_handle handle, bool keep,
             const struct block **block)
{
    struct block_cache *cache = table->context->cache;
    struct incoming incoming = {.size = handle.size};
    /* The cache's buffers are for what stays: not for bytes that are unpacked from. */
    int result =
        incoming_allocate(table, handle.offset, (size_t)handle.size + BLOCK_TRAILER_SIZE,
                          keep && !table->properties.packed, &incoming);

    if (result != 0)
        return result;
    result = table_read_data(table, handle, incoming.data);
    if (result == 0 && incoming.data[handle.size] != BLOCK_PLAIN)
        result = unpack(table, handle, keep, &incoming);
    if (result != 0) {
        incoming_release(table, &incoming);
        return result;
    }
    if (keep)
        *block = block_cache_insert(cache, table->footer.number, handle.offset,
                                    incoming.data, incoming.size, incoming.allocated);
    else
        *block =
            block_cache_detached(cache, incoming.data, incoming.size, incoming.allocated);
    return *block == NULL ? -ENOMEM : 0;
}

const struct block *
table_find_block(struct table *table, size_t i)
{
    const struct block *found = block_cache_get(
        table->context->cache, table->footer.number, table->index.entries[i].offset);

    if (found != NULL)
        tally_add(table->context->counters, TABLE_CACHE_HITS, 1);
    return found;
}

void
table_expect_block(const struct table *table, size_t i)
{
    block_cache_expect(table->context->cache, table->footer.number,
                       table->index.entries[i].offset);
}

int
table_pin_block(struct table *table, size_t i, bool keep, const struct block **block)
{
    *block = table_find_block(table, i);
    if (*block != NULL)
        return 0;
    tally_add(table->context->counters, TABLE_CACHE_MISSES, 1);
    return read_and_pin(table, table_data_handle(table, i), keep, block);
}

/* ---- opening ---- */

/* The file must have `expected` bytes, unless that is 0. */
static int
check_size(struct table *table, uint64_t expected)
{
    int result = table_ask_size(table, &table->size);

    if (result != 0)
        return result;
    if (expected != 0 && table->size != expected)
        return report_error(table->context->reporter, -EUCLEAN,
                            "%s: offset %" PRIu64
                            ": the file ends here, expected %" PRIu64 " bytes",
                            table->name, table->size, expected);
    if (table->size < TABLE_FOOTER_SIZE)
        return table_damaged(table, -EUCLEAN, table->size, "too short to be a table");
    return 0;
}

int
table_load_footer(struct table *table, const uint64_t *number)
{
    uint8_t bytes[TABLE_FOOTER_SIZE];
    uint64_t offset = table->size - TABLE_FOOTER_SIZE;
    const char *problem;
    int result = read_bytes_at(table, offset, bytes, sizeof(bytes));

    if (result != 0)
        return result;
    result = table_footer_decode(bytes, offset, &table->footer, &problem);
    if (result != 0)
        return table_damaged(table, result, offset, problem);
    if (number != NULL && *number != table->footer.number)
        return report_error(table->context->reporter, -EUCLEAN,
                            "%s: offset %" PRIu64 ": this is table %" PRIu64
                            ", expected table %" PRIu64,
                            table->name, offset, table->footer.number, *number);
    return 0;
}

int
table_load_properties(struct table *table)
{
    struct block_handle handle = table->footer.properties;
    uint8_t *buffer = malloc((size_t)handle.size + BLOCK_TRAILER_SIZE);
    const char *problem;
    int result;

    if (buffer == NULL)
        return -ENOMEM;
    result = table_read_block(table, handle, buffer);
    if (result == 0) {
        result = table_properties_decode(lsmkv_bytes(buffer, handle.size),
                                         &table->properties, &problem);
        if (result != 0)
            result = report_error(table->context->reporter, result,
                                  "%s: offset %" PRIu64 ": the properties: %s",
                                  table->name, handle.offset, problem);
    }
    free(buffer);
    return result;
}

/* The index must cover the data blocks exactly, and agree with the properties. */
static int
check_index(const struct table *table)
{
    const struct table_properties *properties = &table->properties;

    if (table->index.data_end != table->footer.filter.offset)
        return table_damaged(table, -EUCLEAN, table->footer.index.offset,
                             "the index does not cover the data blocks");
    if (properties->data_blocks != table->index.count ||
        properties->data_bytes != table->index.data_end ||
        properties->index_bytes != table->footer.index.size ||
        properties->filter_bytes != table->footer.filter.size)
        return table_damaged(table, -EUCLEAN, table->footer.properties.offset,
                             "the properties do not agree with index and filter");
    return 0;
}

/* What stays in memory as long as the table does. */
static void
charge(struct table *table, size_t bytes)
{
    block_cache_charge(table->context->cache, bytes);
    table->charged += bytes;
}

/* What the data blocks are, unpacked, at most; of packed ones as the properties say. */
static uint64_t
raw_limit(const struct table *table)
{
    return table->properties.packed ? table->properties.raw_data_bytes
                                    : table->footer.filter.offset;
}

int
table_load_index(struct table *table)
{
    struct block_handle handle = table->footer.index;
    uint8_t *buffer = malloc((size_t)handle.size + BLOCK_TRAILER_SIZE);
    const char *problem;
    int result;

    if (buffer == NULL)
        return -ENOMEM;
    result = table_read_block(table, handle, buffer);
    if (result == 0) {
        result = table_index_decode(lsmkv_bytes(buffer, handle.size),
                                    table->properties.order, table->footer.filter.offset,
                                    raw_limit(table), &table->index, &problem);
        if (result == -EUCLEAN)
            result = table_damaged(table, result, handle.offset, problem);
        charge(table, table->index.memory);
    }
    free(buffer);
    return result;
}

/* Lines aligned to cache lines, so that a question touches one (filter.h). */
int
table_load_filter(struct table *table)
{
    struct lsmkv_env *env = table->context->env;
    struct block_handle handle = table->footer.filter;
    uint8_t *lines;
    int result;

    if (handle.size == 0)
        return 0;
    table->filter_allocated = (size_t)handle.size + BLOCK_TRAILER_SIZE + FILTER_LINE_SIZE;
    table->filter_buffer = env->allocate(env, table->filter_allocated);
    if (table->filter_buffer == NULL)
        return -ENOMEM;
    charge(table, table->filter_allocated);
    lines = table->filter_buffer;
    lines += -(uintptr_t)lines % FILTER_LINE_SIZE;
    result = table_read_block(table, handle, lines);
    if (result != 0)
        return result;
    result = filter_decode(lsmkv_bytes(lines, handle.size), &table->filter);
    if (result != 0)
        return table_damaged(table, result, handle.offset, "the filter is malformed");
    return 0;
}

static int
load(struct table *table, uint64_t expected_size, const uint64_t *number)
{
    int result = open_file_new(table->context->files, table->context->dir, table->name,
                               &table->file);

    if (result == 0)
        result = check_size(table, expected_size);
    if (result == 0)
        result = table_load_footer(table, number);
    if (result == 0)
        result = table_load_properties(table);
    if (result == 0)
        result = table_load_index(table);
    if (result == 0)
        result = check_index(table);
    if (result == 0)
        result = table_load_filter(table);
    return result;
}

static int
open_named(const struct table_context *context, const char *name, uint64_t expected_size,
           const uint64_t *number, struct table **table)
{
    struct table *made = calloc(1, sizeof(*made));
    int result = -ENOMEM;

    if (made == NULL)
        return -ENOMEM;
    made->context = context;
    made->name = strdup(name);
    if (made->name != NULL)
        result = load(made, expected_size, number);
    if (result != 0) {
        table_close(made);
        return result;
    }
    *table = made;
    return 0;
}

int
table_open(const struct table_context *context, uint64_t number, uint64_t size,
           struct table **table)
{
    char name[TABLE_NAME_SIZE];

    table_name(name, number);
    return open_named(context, name, size, &number, table);
}

int
table_open_file(const struct table_context *context, const char *name,
                struct table **table)
{
    return open_named(context, name, 0, NULL, table);
}

void
table_close(struct table *table)
{
    struct lsmkv_env *env;

    if (table == NULL)
        return;
    env = table->context->env;
    open_file_free(table->file);
    table_index_fini(&table->index);
    if (table->filter_buffer != NULL)
        env->release(env, table->filter_buffer, table->filter_allocated);
    block_cache_discharge(table->context->cache, table->charged);
    free(table->name);
    free(table);
}

void
table_forget_blocks(const struct table *table)
{
    for (size_t i = 0; i < table->index.count; i++)
        block_cache_forget(table->context->cache, table->footer.number,
                           table->index.entries[i].offset);
}

/* ---- looking up ---- */

uint64_t
table_hash(struct lsmkv_slice user_key)
{
    return filter_hash(user_key);
}

void
table_expect(const struct table *table, uint64_t hash)
{
    filter_expect(&table->filter, hash);
}

bool
table_may_contain(const struct table *table, uint64_t hash)
{
    struct tally *counters = table->context->counters;
    bool may;

    if (table->filter.lines == NULL)
        return true;
    may = filter_may_contain(&table->filter, hash);
    tally_add(counters, TABLE_FILTER_CHECKS, 1);
    if (!may)
        tally_add(counters, TABLE_FILTER_NEGATIVES, 1);
    return may;
}

void
table_hit_release(struct table_hit *hit)
{
    if (hit->block != NULL)
        block_unpin(hit->block);
    keybuf_fini(&hit->copy);
}

/* The first entry of block `i` at or after `internal`, which NULL leaves at the very
 * first.  -ENOENT: none in this block. */
static int
ceiling_in_block(struct table *table, size_t i, const struct lsmkv_slice *internal,
                 struct table_hit *hit)
{
    struct block_iter cursor = {0};
    const struct block *block;
    int result = table_pin_block(table, i, true, &block);

    if (result != 0)
        return result;
    result = block_iter_set(&cursor, table->properties.order,
                            lsmkv_bytes(block->data, block->size));
    if (result == 0) {
        if (internal != NULL)
            block_iter_seek(&cursor, *internal);
        else
            block_iter_first(&cursor);
        result = cursor.valid || cursor.status != 0 ? cursor.status : -ENOENT;
    }
    if (result != 0) {
        block_unpin(block);
        block_iter_fini(&cursor);
        return table_block_failed(table, i, result);
    }
    hit->key = cursor.entry.key;
    hit->payload = cursor.entry.payload;
    hit->block = block;
    hit->copy = cursor.buffer;
    return 0;
}

int
table_ceiling(struct table *table, struct lsmkv_slice internal, struct table_hit *hit)
{
    size_t i = table_index_find(&table->index, table->properties.order, internal);
    int result = ceiling_in_block(table, i, &internal, hit);

    /* Beyond the end of its block it is the first of the next, which is after it (X1). */
    if (result == -ENOENT && i + 1 < table->index.count)
        result = ceiling_in_block(table, i + 1, NULL, hit);
    return result;
}

static void
count_false_positive(const struct table *table)
{
    if (table->filter.lines != NULL)
        tally_add(table->context->counters, TABLE_FILTER_FALSE_POSITIVES, 1);
}

/* A search for one user key. */
struct search {
    struct table *table;
    struct lsmkv_slice internal;
    bool cached_only;
    struct block_found found;
    const struct block *block; /* that it is in, pinned */
};

static int
search_block(struct search *search, size_t i)
{
    struct table *table = search->table;
    const struct block *block;
    int result = 0;

    if (search->cached_only) {
        block = table_find_block(table, i);
        result = block == NULL ? TABLE_UNREAD : 0;
    } else {
        result = table_pin_block(table, i, true, &block);
    }
    if (result != 0)
        return result;
    result = block_find(table->properties.order, lsmkv_bytes(block->data, block->size),
                        search->internal, &search->found);
    if (result == 0)
        search->block = block;
    else
        block_unpin(block);
    return result == -ENOENT ? result : table_block_failed(table, i, result);
}

/* Every entry of the block before `i` is before the one sought: versions of one user key may go
 * on in the next (X3). */
static int
search_next(struct search *search, size_t i)
{
    const struct table_index *index = &search->table->index;

    if (i == index->count)
        return -ENOENT;
    if (index->entries[i].trailer != SEPARATOR_TRAILER)
        return search_block(search, i);
    /* X2: what follows begins with that, which sorts after the user key that was sought. */
    search->found.below = key_is_below(index_entry_separator(&index->entries[i]),
                                       internal_user_key(search->internal));
    return -ENOENT;
}

static int
get(struct search *search, struct table_version *version)
{
    struct table *table = search->table;
    enum lsmkv_order order = table->properties.order;
    size_t i = table_index_find(&table->index, order, search->internal);
    int result = search_block(search, i);

    if (result == -ENOENT && search->found.at_end)
        result = search_next(search, i + 1);
    if (result == 0)
        *version = (struct table_version){search->found.trailer, search->found.payload,
                                          search->block};
    /* The filter was right if the key is an ancestor. */
    if (result == -ENOENT && (order != LSMKV_ORDER_PATH || !search->found.below))
        count_false_positive(table);
    return result;
}

int
table_get(struct table *table, struct lsmkv_slice internal, struct table_version *version)
{
    struct search search = {.table = table, .internal = internal};

    return get(&search, version);
}

int
table_get_cached(struct table *table, struct lsmkv_slice internal,
                 struct table_version *version)
{
    struct search search = {.table = table, .internal = internal, .cached_only = true};

    return get(&search, version);
}

/* ---- about the table ---- */

const struct table_properties *
table_get_properties(const struct table *table)
{
    return &table->properties;
}

uint64_t
table_number(const struct table *table)
{
    return table->footer.number;
}

struct table_filter_info
table_get_filter_info(const struct table *table)
{
    struct table_filter_info info = {table->filter.count, 0, table->filter.probes};
    size_t bytes = (size_t)table->filter.count * FILTER_LINE_SIZE;

    for (size_t i = 0; i < bytes; i++)
        info.bits_set += (unsigned)__builtin_popcount(table->filter.lines[i]);
    return info;
}

int
table_each_index_entry(const struct table *table,
                       int (*each)(void *context, const struct table_index_entry *entry),
                       void *context)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < table->index.count; i++) {
        const struct index_entry *entry = &table->index.entries[i];
        struct table_index_entry shown = {
            .separator = index_entry_separator(entry),
            .trailer = entry->trailer,
            .offset = entry->offset,
            .size = entry->size,
            .largest_sequence = entry->largest_sequence,
        };

        result = each(context, &shown);
    }
    return result;
}
