/*
 * chunks.h - the chunks and fragments of one data id, for data.c; the layout is in
 * chunks.c.
 *
 * Nothing here knows of files: sizes and what lies past them are the caller's.
 */
#ifndef FS_CHUNKS_H
#define FS_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"
#include "store/store.h"

#define CHUNK_SIZE (128u << 10)
/* This one would fold: blocks of 4 KiB that lie across the edges of chunks are 33 pieces of one. */
#define CHUNK_FRAGMENTS_MAX 33u
#define CHUNK_GROWN_MAX     1024u /* a fragment that is appended to */

static inline uint64_t
chunk_index(uint64_t offset)
{
    return offset / CHUNK_SIZE;
}

/* How many chunks hold `size` bytes. */
static inline uint64_t
chunk_count(uint64_t size)
{
    return size / CHUNK_SIZE + (size % CHUNK_SIZE > 0);
}

/* What is stored of one chunk. */
struct chunk_state {
    bool present;
    bool bare;               /* it is known to be fragments alone */
    unsigned fragments;      /* their numbers are 1 to this */
    uint32_t fragment_bytes; /* in all of them */
    struct chunk_extent {
        uint32_t at, size;              /* bytes; size 0: not known */
    } extents[CHUNK_FRAGMENTS_MAX - 1]; /* of fragment n at n - 1 */
};

/* What a record of a chunk holds of it, checked against C2 in chunks.c: `end` is one past
 * its last byte in the chunk, `total` what a fragment says of the bytes up to it.
 * -EUCLEAN. */
LSMKV_CHECKED int chunks_record_decode(const struct lsmkv_record *record,
                                       unsigned fragment, uint32_t *end, uint32_t *total);

/* Puts in place of a chunk, of which there is nothing, a record that says so: reading it
 * is -EUCLEAN until all of the chunk is written or cut off. */
LSMKV_CHECKED int chunks_put_lost(struct store *store, struct lsmkv_batch *batch,
                                  uint64_t data_id, uint64_t index);
bool chunks_is_lost(const struct lsmkv_record *record, unsigned fragment);

/* An iterator over the chunks `first` to `last` (which may be UINT64_MAX) of `data_id`;
 * contents are read by lsmkv_iter_value and lsmkv_iter_value_copy only. */
LSMKV_CHECKED int chunks_iter(struct store *store, const struct lsmkv_snapshot *snapshot,
                              uint64_t data_id, uint64_t first, uint64_t last,
                              struct lsmkv_iter **iter);

/* The state of chunk `index`, looked up with an iterator of the chunks around it: of its fragments
 * the last one's extent. */
LSMKV_CHECKED int chunks_probe(struct lsmkv_iter *iter, uint64_t data_id, uint64_t index,
                               struct chunk_state *state);

/* Adds the next record of a chunk to what is known of its fragments.  -EUCLEAN: it is damaged, or one is
 * missing before it; of this chunk nothing is known any more. */
LSMKV_CHECKED int chunks_note(struct chunk_state *state,
                              const struct lsmkv_record *record, unsigned number);

/* The index of the chunk the iterator stands on.  -ENOENT: it is at its end. */
LSMKV_CHECKED int chunks_at(struct lsmkv_iter *iter, uint64_t *index);

/* Copies `size` (above 0) bytes from `offset`; what is not stored reads as zeros.  All of
 * it is of one state. */
LSMKV_CHECKED int chunks_read(struct store *store, const struct lsmkv_snapshot *snapshot,
                              uint64_t data_id, uint64_t offset, uint8_t *bytes,
                              size_t size);

/* Puts the whole chunk and deletes the fragments that `state` knows of. */
LSMKV_CHECKED int chunks_put(struct store *store, struct lsmkv_batch *batch,
                             uint64_t data_id, uint64_t index,
                             const struct chunk_state *state, const void *bytes,
                             size_t size);

/* `*number` is the fragment that `size` bytes, `at` bytes into the chunk, would lie over exactly, if no
 * later one lies over any of it; else 0.  Where the chunk would fold, or be covered, without it, what
 * `state` does not know of the fragments is looked up. */
LSMKV_CHECKED int chunks_place(struct store *store, uint64_t data_id, uint64_t index,
                               struct chunk_state *state, size_t at, size_t size,
                               unsigned *number);
/* Do the fragments whose extents are known lie over the first `size` bytes? */
bool chunks_covered(const struct chunk_state *state, size_t size);
/* Would a fragment of `size` bytes fold the chunk? */
bool chunks_would_fold(const struct chunk_state *state, size_t size);
/* Would `size` bytes that lie `at` bytes into the chunk rather go to the end of its last fragment? */
bool chunks_would_grow(const struct chunk_state *state, size_t at, size_t size);

/* Puts `size` bytes that lie `at` bytes into the chunk over what is there. */
LSMKV_CHECKED int chunks_put_fragment(struct store *store, struct lsmkv_batch *batch,
                                      uint64_t data_id, uint64_t index,
                                      const struct chunk_state *state, size_t at,
                                      const void *bytes, size_t size);
/* The same in place of fragment `number` (chunks_place). */
LSMKV_CHECKED int chunks_put_again(struct store *store, struct lsmkv_batch *batch,
                                   uint64_t data_id, uint64_t index,
                                   const struct chunk_state *state, unsigned number,
                                   const void *bytes);
/* Deletes what lies below the fragments of `state` if they cover the `size` bytes that the chunk had
 * before them (C4). */
LSMKV_CHECKED int chunks_delete_covered(struct store *store, struct lsmkv_batch *batch,
                                        uint64_t data_id, uint64_t index,
                                        struct chunk_state *state, size_t size);
/* The same to the end of the last fragment, which is read. */
LSMKV_CHECKED int chunks_grow_fragment(struct store *store, struct lsmkv_batch *batch,
                                       uint64_t data_id, uint64_t index,
                                       const struct chunk_state *state, const void *bytes,
                                       size_t size);

#endif
