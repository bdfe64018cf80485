/*
 * fuzz_block.c - blocks (table/block.h), packed ones (table/pack.h), and the index made of one
 * (table/index.h).
 *
 * Input: order 1 (odd: path order), where the data end 2, then the block.
 */
#include <errno.h>

#include "fuzz.h"
#include "table/block.h"
#include "table/index.h"
#include "table/pack.h"

/* The entries of a walk that went upwards. */
struct walk {
    struct block_builder builder; /* of the same entries */
    struct keybuf last;
    size_t count;
    bool ordered;
};

static void
walk_forwards(struct block_iter *it, size_t size, struct walk *walk)
{
    size_t offset = 0;

    walk->ordered = true;
    for (block_iter_first(it); it->valid; block_iter_next(it)) {
        fuzz_check(it->status == 0 && it->entry.key.size >= KEY_TRAILER_SIZE);
        fuzz_check(walk->count == 0 || it->offset > offset);
        fuzz_check(it->offset < size);
        offset = it->offset;
        if (walk->count > 0 && internal_key_compare(it->order, keybuf_slice(&walk->last),
                                                    it->entry.key) >= 0)
            walk->ordered = false;
        fuzz_check(keybuf_set(&walk->last, it->entry.key) == 0);
        fuzz_check(block_builder_add(&walk->builder, it->entry.key, it->entry.payload) ==
                   0);
        walk->count++;
    }
    fuzz_check(it->status == 0 || it->status == -EUCLEAN);
}

/* However the restart points mislead it, it goes down and ends. */
static void
walk_backwards(struct block_iter *it)
{
    size_t offset = SIZE_MAX;

    for (block_iter_last(it); it->valid; block_iter_prev(it)) {
        fuzz_check(it->offset < offset);
        offset = it->offset;
    }
    fuzz_check(it->status == 0 || it->status == -EUCLEAN);
}

static void
find(enum lsmkv_order order, struct lsmkv_slice contents, struct lsmkv_slice key)
{
    struct block_found found;
    int result = block_find(order, contents, key, &found);

    fuzz_check(result == 0 || result == -ENOENT || result == -EUCLEAN);
}

static void
seek_to(struct block_iter *it, struct lsmkv_slice key)
{
    block_iter_seek(it, key);
    if (it->valid)
        fuzz_check(internal_key_compare(it->order, it->entry.key, key) >= 0);
    block_iter_seek_before(it, key);
    fuzz_check(it->status == 0 || it->status == -EUCLEAN);
}

/* Entries in order, built into a block anew, are all found there, in both directions. */
static void
check_rebuilt(struct block_iter *old, struct walk *walk)
{
    struct block_iter it = {0};
    struct block_found found;
    size_t count = 0;

    fuzz_check(block_builder_finish(&walk->builder) == 0);
    fuzz_check(block_iter_set(&it, old->order, keybuf_slice(&walk->builder.data)) == 0);
    block_iter_first(&it);
    for (block_iter_first(old); old->valid; block_iter_next(old), block_iter_next(&it)) {
        fuzz_check(it.valid && fuzz_equal(it.entry.key, old->entry.key));
        fuzz_check(fuzz_equal(it.entry.payload, old->entry.payload));
        fuzz_check(block_find(old->order, keybuf_slice(&walk->builder.data),
                              old->entry.key, &found) == 0);
        fuzz_check(found.trailer == internal_trailer(old->entry.key) &&
                   fuzz_equal(found.payload, old->entry.payload));
        block_iter_seek(&it, old->entry.key);
        fuzz_check(it.valid && fuzz_equal(it.entry.key, old->entry.key));
        block_iter_seek_before(&it, old->entry.key);
        fuzz_check(it.valid && fuzz_equal(it.entry.key, old->entry.key));
    }
    fuzz_check(!it.valid && it.status == 0);
    for (block_iter_last(&it); it.valid; block_iter_prev(&it))
        count++;
    fuzz_check(it.status == 0 && count == walk->count);
    block_iter_fini(&it);
}

static void
run_block(enum lsmkv_order order, struct lsmkv_slice contents)
{
    struct block_iter it = {0};
    struct walk walk = {.count = 0};

    if (block_iter_set(&it, order, contents) == 0) {
        walk_forwards(&it, contents.size, &walk);
        if (walk.count > 0) {
            find(order, contents, keybuf_slice(&walk.last));
            seek_to(&it, keybuf_slice(&walk.last));
        }
        walk_backwards(&it);
        if (walk.count > 0 && walk.ordered) {
            block_iter_first(&it);
            while (it.valid)
                block_iter_next(&it);
            if (it.status == 0)
                check_rebuilt(&it, &walk);
        }
    }
    block_builder_fini(&walk.builder);
    keybuf_fini(&walk.last);
    block_iter_fini(&it);
}

/* The blocks lie one behind the other below the limit, and each separator is found. */
static void
run_index(enum lsmkv_order order, uint64_t limit, struct lsmkv_slice contents)
{
    struct table_index index;
    struct keybuf key = {0};
    const char *problem = NULL;
    uint64_t offset = 0;
    int result = table_index_decode(contents, order, limit, limit, &index, &problem);

    fuzz_check(result == 0 || (result == -EUCLEAN && problem != NULL));
    if (result != 0)
        return;
    for (size_t i = 0; i < index.count; i++) {
        const struct index_entry *entry = &index.entries[i];

        fuzz_check(entry->offset == offset);
        offset += (uint64_t)entry->size + BLOCK_TRAILER_SIZE;
        fuzz_check(keybuf_set_internal(&key, index_entry_separator(entry),
                                       entry->trailer >> 8,
                                       (uint8_t)entry->trailer) == 0);
        fuzz_check(table_index_find(&index, order, keybuf_slice(&key)) == i);
    }
    fuzz_check(index.count > 0 && index.data_end == offset && offset <= limit);
    keybuf_fini(&key);
    table_index_fini(&index);
}

/* As a packed block it is refused or is one; packed, it comes back. */
static void
run_packed(enum lsmkv_order order, struct lsmkv_slice contents)
{
    struct keybuf packed = {0}, unpacked = {0};
    const char *problem = NULL;
    int result = block_unpack_into(contents.data, contents.size, &unpacked, &problem);

    fuzz_check(result == 0 || (result == -EUCLEAN && problem != NULL));
    if (result == 0)
        run_block(order, keybuf_slice(&unpacked));
    result = block_pack(contents, &packed);
    fuzz_check(result >= 0);
    if (result > 0) {
        fuzz_check(packed.size <= contents.size - contents.size / 8);
        fuzz_check(block_unpack_into(packed.data, packed.size, &unpacked, &problem) == 0);
        fuzz_check(fuzz_equal(keybuf_slice(&unpacked), contents));
    }
    keybuf_fini(&packed);
    keybuf_fini(&unpacked);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    enum lsmkv_order order =
        fuzz_number(&input, 1) % 2 == 1 ? LSMKV_ORDER_PATH : LSMKV_ORDER_BYTES;
    uint64_t limit = fuzz_number(&input, 2);
    struct lsmkv_slice contents = lsmkv_bytes(NULL, input.left);
    uint8_t *bytes = fuzz_copy(fuzz_take(&input, input.left));

    contents.data = bytes;
    run_block(order, contents);
    run_packed(order, contents);
    run_index(order, limit, contents);
    free(bytes);
    return 0;
}
