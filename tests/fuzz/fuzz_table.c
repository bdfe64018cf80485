/*
 * fuzz_table.c - a whole table: footer, properties, index, filter, data blocks, read in every
 * way there is.
 *
 * Input: how it is sealed 1 (files.h), then the file.
 */
#include <errno.h>

#include "base/coding.h"
#include "base/record.h"
#include "files.h"
#include "seal.h"
#include "table/format.h"

#define NUMBER 7u

/* A walk of a table: how far it came, and whether upwards (or downwards) all the way. */
struct walk {
    uint64_t entries;
    bool ordered;
    int status;
};

static struct walk
walk_table(struct table *table, bool forwards, uint64_t limit)
{
    const enum lsmkv_order order = table_get_properties(table)->order;
    struct walk walk = {0, true, 0};
    struct keybuf last = {0};
    struct iterator *it;

    fuzz_check(table_iterate(table, forwards, &it) == 0);
    if (forwards)
        iterator_first(it);
    else
        iterator_last(it);
    while (it->valid) {
        int compared;

        fuzz_check(it->status == 0 && it->entry->key.size >= KEY_TRAILER_SIZE);
        compared = walk.entries == 0
                       ? -1
                       : internal_key_compare(order, keybuf_slice(&last), it->entry->key);
        if (forwards ? compared >= 0 : walk.entries > 0 && compared <= 0)
            walk.ordered = false;
        fuzz_check(keybuf_set(&last, it->entry->key) == 0);
        fuzz_check(++walk.entries <= limit);
        if (forwards)
            iterator_next(it);
        else
            iterator_prev(it);
    }
    walk.status = it->status;
    fuzz_check(walk.status == 0 || walk.status == -EBADMSG || walk.status == -EUCLEAN);
    iterator_free(it);
    keybuf_fini(&last);
    return walk;
}

/* The other moves, from every few entries; `whole` is what table_verify says. */
static void
move_about(struct table *table, bool whole, uint64_t limit)
{
    struct iterator *it, *other;
    uint64_t steps = 0;

    fuzz_check(table_iterate(table, true, &it) == 0);
    fuzz_check(table_iterate(table, true, &other) == 0);
    for (iterator_first(it); it->valid; iterator_next(it)) {
        struct table_version version;
        struct lsmkv_record record;
        int result;

        fuzz_check(++steps <= limit);
        result = table_get(table, it->entry->key, &version);
        fuzz_check(result == 0 || !whole);
        if (result == 0) {
            fuzz_check(!whole || (version.trailer == internal_trailer(it->entry->key) &&
                                  fuzz_equal(version.payload, it->entry->payload)));
            block_unpin(version.block);
        }
        result =
            record_decode(internal_kind(it->entry->key),
                          internal_sequence(it->entry->key), it->entry->payload, &record);
        fuzz_check(result == 0 || result == -EUCLEAN);
        if (steps % 8 != 1)
            continue;
        iterator_seek(other, it->entry->key);
        fuzz_check(!whole ||
                   (other->valid && fuzz_equal(other->entry->key, it->entry->key)));
        iterator_seek_before(other, it->entry->key);
        fuzz_check(!whole ||
                   (other->valid && fuzz_equal(other->entry->key, it->entry->key)));
        if (other->valid)
            iterator_skip_older(other, internal_sequence(it->entry->key),
                                internal_user_key(it->entry->key));
        if (other->valid)
            iterator_skip_older(other, SEQUENCE_MAX, lsmkv_bytes(NULL, 0));
        fuzz_check(!other->valid);
    }
    iterator_free(other);
    iterator_free(it);
}

static int
add_entry(void *context, const struct table_index_entry *entry)
{
    uint64_t *end = context;

    fuzz_check(entry->offset == *end);
    *end = entry->offset + entry->size + BLOCK_TRAILER_SIZE;
    return 0;
}

/* Every byte of the file belongs to a block, a trailer or the footer. */
static void
check_cover(const struct table *table, const uint8_t *bytes, uint64_t size)
{
    const struct table_properties *properties = table_get_properties(table);
    const uint8_t *footer = bytes + size - TABLE_FOOTER_SIZE;
    uint64_t covered = properties->data_bytes + properties->index_bytes;

    covered += get_u32(footer + 40); /* of the properties; see format.h */
    covered += 2 * BLOCK_TRAILER_SIZE + TABLE_FOOTER_SIZE;
    if (properties->filter_bytes > 0)
        covered += properties->filter_bytes + BLOCK_TRAILER_SIZE;
    fuzz_check(covered == size);
}

static void
run_table(struct table *table, const uint8_t *bytes, uint64_t size)
{
    const struct table_properties *properties = table_get_properties(table);
    int verified = table_verify(table);
    struct walk up = walk_table(table, true, size), down = walk_table(table, false, size);
    uint64_t end = 0;

    fuzz_check(verified == 0 || verified == -EBADMSG || verified == -EUCLEAN);
    fuzz_check(table_each_index_entry(table, add_entry, &end) == 0);
    fuzz_check(end == properties->data_bytes);
    check_cover(table, bytes, size);
    (void)table_get_filter_info(table);
    if (verified == 0) {
        /* Whole means whole. */
        fuzz_check(up.status == 0 && up.ordered && up.entries == properties->entries);
        fuzz_check(down.status == 0 && down.ordered && down.entries == up.entries);
    }
    move_about(table, verified == 0, size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned how = (unsigned)fuzz_number(&input, 1);
    struct lsmkv_slice bytes = lsmkv_bytes(NULL, input.left);
    uint8_t *sealed = fuzz_copy(fuzz_take(&input, input.left));
    struct tally counters = {0};
    struct table_context context = {.counters = &counters};
    struct fuzz_files files;
    struct table *table;
    char name[TABLE_NAME_SIZE];
    int result;

    bytes.data = sealed;
    if (how > 0)
        seal_table(sealed, bytes.size, NUMBER, how % 2 == 1);
    fuzz_files_init(&files);
    table_name(name, NUMBER);
    fuzz_files_put(&files, name, bytes);
    context.env = files.env;
    context.dir = files.dir;
    context.reporter = &files.reporter;
    fuzz_check(block_cache_new(files.env, 64 << 10, &context.cache) == 0);
    fuzz_check(open_files_new(1, &context.files) == 0);
    result = table_open(&context, NUMBER, bytes.size, &table);
    if (result == 0) {
        run_table(table, sealed, bytes.size);
        table_close(table);
    } else {
        fuzz_check(result == -EBADMSG || result == -EUCLEAN);
    }
    open_files_free(context.files);
    block_cache_free(context.cache);
    fuzz_files_fini(&files);
    free(sealed);
    return 0;
}
