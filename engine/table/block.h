/*
 * block.h - a sorted run of entries, prefix-compressed: what data blocks and the index
 * hold.
 *
 *     entries, each:
 *         varint  shared    bytes of the key that are those of the key before
 *         varint  rest      bytes of the key that follow here
 *         varint  size      of the payload
 *                 rest of the key, payload
 *     restart points: offset of an entry, 4 bytes each
 *     count of restart points, 4 bytes
 *
 * B1  At a restart point `shared` is 0; the first entry is one, and every 16th after it.
 *     So a search can begin there, by bisection; and a key has no more bytes than the
 *     block has of it and the 15 before it, so that all keys together have no more than
 *     16 times what the block has.
 * B2  Keys are internal keys, strictly rising.
 * B3  The reader trusts nothing: whatever the bytes are, it stays inside them, ends, and
 *     gives -EUCLEAN for what cannot be an entry.  (Order is not checked while reading;
 *     see table_verify.)
 */
#ifndef TABLE_BLOCK_H
#define TABLE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"
#include "iter/iterator.h"

#define BLOCK_RESTART_INTERVAL 16u /* B1 */

/* ---- building ---- */

/* Zero it to begin. */
struct block_builder {
    struct keybuf data;
    struct keybuf restarts; /* encoded */
    struct keybuf last;     /* key */
    size_t entries;
};

void block_builder_fini(struct block_builder *builder);
/* Keeps the memory. */
void block_builder_clear(struct block_builder *builder);
int LSMKV_CHECKED block_builder_add(struct block_builder *builder, struct lsmkv_slice key,
                                    struct lsmkv_slice payload);
/* Bytes of the block if it were finished now. */
size_t block_builder_size(const struct block_builder *builder);
/* Appends the restart points: `builder->data` is the block then, until it is cleared. */
int LSMKV_CHECKED block_builder_finish(struct block_builder *builder);

/* ---- reading ---- */

/* A cursor over one block; I1 and I3 of iter/iterator.h hold for it.  Zero it to
 * begin. */
struct block_iter {
    struct iterator_entry entry; /* its key is in `buffer`, its payload in the block */
    int status;
    bool valid;

    /* private */
    enum lsmkv_order order;
    const uint8_t *data;
    size_t entries_end;
    size_t restarts;
    size_t offset; /* of the current entry */
    size_t next;   /* of the one after it */
    struct keybuf buffer;
};

/* Points the cursor at a block, borrowed; may be called again for another.  -EUCLEAN if
 * it cannot be a block. */
int LSMKV_CHECKED block_iter_set(struct block_iter *it, enum lsmkv_order order,
                                 struct lsmkv_slice contents);
void block_iter_fini(struct block_iter *it);

/* A search in the block will follow: the processor may fetch what it looks at first. */
void block_expect_search(struct lsmkv_slice contents);

/* As the operations of struct iterator. */
void block_iter_seek(struct block_iter *it, struct lsmkv_slice internal);
void block_iter_seek_before(struct block_iter *it, struct lsmkv_slice internal);
void block_iter_first(struct block_iter *it);
void block_iter_last(struct block_iter *it);
void block_iter_next(struct block_iter *it);
void block_iter_prev(struct block_iter *it);
size_t block_iter_peek(const struct block_iter *it, struct iterator_ahead *ahead,
                       size_t count);

/* ---- one key (block_find.c) ---- */

struct block_found {
    uint64_t trailer; /* of its key; the user key is the one that was sought */
    struct lsmkv_slice payload;
    /* Nothing was found: */
    bool at_end; /* every entry of the block sorts before what was sought */
    bool below;  /* the next entry is below it (key_is_below) */
};

/* The first entry at or after `internal`, if it has the same user key; if not, -ENOENT.
 * As a cursor would find it, without memory for keys. */
int LSMKV_CHECKED block_find(enum lsmkv_order order, struct lsmkv_slice contents,
                             struct lsmkv_slice internal, struct block_found *found);

#endif
