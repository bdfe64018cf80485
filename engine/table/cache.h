/*
 * cache.h - blocks of tables, and short values of blob files, kept in memory, bounded in
 * bytes.
 *
 * A block is immutable, and stays in the cache while it is pinned.  Looking one up takes
 * no lock.
 */
#ifndef TABLE_CACHE_H
#define TABLE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "env/env.h"
#include "lsmkv.h"

struct block_cache;

/* The bytes of one block, uncompressed, or of one value, its checksum verified. */
struct block {
    const uint8_t *data;
    size_t size;
};

int LSMKV_CHECKED block_cache_new(struct lsmkv_env *env, size_t capacity,
                                  struct block_cache **cache);
/* Every pin must have been released. */
void block_cache_free(struct block_cache *cache);

/* A pinned block, or NULL.  (table, offset) names a block for ever: file numbers are
 * never used twice.  Numbers with the highest bit are of blob files. */
const struct block *block_cache_get(struct block_cache *cache, uint64_t table,
                                    uint64_t offset);
/* A block will be asked for soon: the processor may fetch what finding it needs. */
void block_cache_expect(struct block_cache *cache, uint64_t table, uint64_t offset);
/* Memory for a block that is about to be read and put in: `*allocated` bytes from
 * env->allocate, at least `size`; released by the caller if it comes to nothing.  NULL:
 * no memory. */
uint8_t *block_cache_buffer(struct block_cache *cache, uint64_t table, uint64_t offset,
                            size_t size, size_t *allocated);
/* A block will not be asked for again: it goes, unless it is pinned. */
void block_cache_forget(struct block_cache *cache, uint64_t table, uint64_t offset);
/* Takes ownership of `data` (from env->allocate, `allocated` bytes, of which the first
 * `size` are the block), puts it in the cache and pins it.  If another thread was first,
 * that block is pinned and `data` released.  A block for which the pinned ones leave no
 * room is pinned only.  NULL: no memory, `data` released. */
const struct block *block_cache_insert(struct block_cache *cache, uint64_t table,
                                       uint64_t offset, uint8_t *data, size_t size,
                                       size_t allocated);
/* The same for a block that is not to be kept: gone with its last pin. */
const struct block *block_cache_detached(struct block_cache *cache, uint8_t *data,
                                         size_t size, size_t allocated);
void block_unpin(const struct block *block);
/* What it was made with. */
size_t block_cache_capacity(const struct block_cache *cache);
/* Memory that is kept beside the blocks within the same capacity, in proportion to what
 * the store holds: so much less are the blocks to come, but never less than a fourth. */
void block_cache_charge(struct block_cache *cache, size_t bytes);
void block_cache_discharge(struct block_cache *cache, size_t bytes);
/* The same of what can be done without, at most a fourth of the capacity, or a MiB.
 * False: there is none left. */
bool LSMKV_CHECKED block_cache_lend(struct block_cache *cache, size_t bytes);
void block_cache_take_back(struct block_cache *cache, size_t bytes);
/* Bytes of blocks in the cache, what keeping them costs included; never above its
 * capacity. */
size_t block_cache_bytes(struct block_cache *cache);

#endif
