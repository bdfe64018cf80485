/*
 * cache.c - the block cache: sixteen shards, each a hash table and a clock under a mutex.
 *
 * A clock is a ring of blocks with a hand.  A block that is asked for sets its bit; the
 * hand clears bits as it turns and throws out the first block whose bit is already clear:
 * nearly as good as least recently used, and a hit changes nothing but that bit and a
 * count.
 *
 * C1  A block's count is its pins, and one more while it is in the ring.  Whoever takes
 *     it to nothing releases it.
 * C2  A block is found, and its first pin of a lookup taken, only under its shard's
 *     mutex; leaving the ring happens under it too.  So no lookup revives a dead block.
 * C3  The bytes of the blocks in a shard's ring never exceed its share.
 */
#include "table/cache.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mutex.h"

#define SHARDS             16u
#define BUCKETS_MIN        16u
#define BLOCK_SIZE_GUESSED 4096u

struct cached_block {
    struct block block; /* first: a pin is a pointer to it */

    /* Constant after construction. */
    struct lsmkv_env *env;
    uint64_t table;
    uint64_t offset;
    uint8_t *buffer;
    size_t allocated;

    atomic_size_t references; /* C1 */

    /* Under the shard's mutex, while in the ring. */
    bool used;
    struct cached_block *chain;
    struct cached_block *newer, *older; /* the ring */
};

struct shard {
    struct mutex mutex;

    /* Constant after construction. */
    size_t capacity;
    size_t bucket_mask;

    /* Under the mutex. */
    struct cached_block **buckets;
    struct cached_block *hand;
    size_t bytes;
};

struct block_cache {
    struct lsmkv_env *env;
    struct shard shards[SHARDS];
};

static uint64_t
place_of(uint64_t table, uint64_t offset)
{
    uint64_t mixed = (table * UINT64_C(0x9e3779b97f4a7c15)) ^ offset;

    mixed *= UINT64_C(0xd6e8feb86659fd93);
    mixed ^= mixed >> 32;
    return mixed * UINT64_C(0xd6e8feb86659fd93);
}

static struct shard *
shard_of(struct block_cache *cache, uint64_t place)
{
    return &cache->shards[place >> 60];
}

static size_t
cost_of(const struct cached_block *block)
{
    return sizeof(*block) + block->allocated;
}

static struct cached_block *
cached(const struct block *block)
{
    union {
        const struct block *in;
        struct cached_block *out; /* every pin was made from one */
    } cast = {block};

    return cast.out;
}

/* ---- references ---- */

void
block_pin(const struct block *block)
{
    atomic_fetch_add_explicit(&cached(block)->references, 1, memory_order_relaxed);
}

void
block_unpin(const struct block *block)
{
    struct cached_block *held = cached(block);

    if (atomic_fetch_sub_explicit(&held->references, 1, memory_order_acq_rel) != 1)
        return;
    held->env->release(held->env, held->buffer, held->allocated);
    free(held);
}

const struct block *
block_cache_detached(struct block_cache *cache, uint8_t *data, size_t size,
                     size_t allocated)
{
    struct cached_block *block = malloc(sizeof(*block));

    if (block == NULL) {
        cache->env->release(cache->env, data, allocated);
        return NULL;
    }
    *block = (struct cached_block){
        .block = {data, size},
        .env = cache->env,
        .buffer = data,
        .allocated = allocated,
    };
    atomic_init(&block->references, 1);
    return &block->block;
}

/* ---- a shard ---- */

static struct cached_block **
bucket_of(struct shard *shard, uint64_t place)
{
    return &shard->buckets[place & shard->bucket_mask];
}

/* Where the pointer to the block stands, or the end of its chain. */
static struct cached_block **
find_link(struct shard *shard, uint64_t place, uint64_t table, uint64_t offset)
    LSMKV_REQUIRES(shard->mutex)
{
    struct cached_block **link = bucket_of(shard, place);

    while (*link != NULL && ((*link)->table != table || (*link)->offset != offset))
        link = &(*link)->chain;
    return link;
}

static struct cached_block *
find_pinned(struct shard *shard, uint64_t place, uint64_t table, uint64_t offset)
    LSMKV_REQUIRES(shard->mutex)
{
    struct cached_block *block = *find_link(shard, place, table, offset);

    if (block != NULL) {
        block->used = true;
        block_pin(&block->block);
    }
    return block;
}

static void
ring_insert(struct shard *shard, struct cached_block *block) LSMKV_REQUIRES(shard->mutex)
{
    struct cached_block *hand = shard->hand;

    if (hand == NULL) {
        block->newer = block->older = block;
        shard->hand = block;
    } else { /* just behind the hand: the last that it will come to */
        block->older = hand->older;
        block->newer = hand;
        hand->older->newer = block;
        hand->older = block;
    }
    shard->bytes += cost_of(block);
}

/* Takes the block under the hand out of the shard; its reference is the caller's. */
static struct cached_block *
ring_remove_hand(struct shard *shard) LSMKV_REQUIRES(shard->mutex)
{
    struct cached_block *block = shard->hand;

    shard->hand = block->newer == block ? NULL : block->newer;
    block->newer->older = block->older;
    block->older->newer = block->newer;
    shard->bytes -= cost_of(block);
    *find_link(shard, place_of(block->table, block->offset), block->table,
               block->offset) = block->chain;
    return block;
}

/* Makes room for `cost` bytes, at most the shard's capacity.  The blocks thrown out are
 * chained, to be unpinned without the mutex. */
static struct cached_block *
evict_for(struct shard *shard, size_t cost) LSMKV_REQUIRES(shard->mutex)
{
    struct cached_block *evicted = NULL;

    while (shard->bytes > shard->capacity - cost) {
        struct cached_block *block = shard->hand;

        if (block->used) {
            block->used = false;
            shard->hand = block->newer;
            continue;
        }
        block = ring_remove_hand(shard);
        block->chain = evicted;
        evicted = block;
    }
    return evicted;
}

static void
unpin_chain(struct cached_block *block)
{
    while (block != NULL) {
        struct cached_block *next = block->chain;

        block_unpin(&block->block);
        block = next;
    }
}

/* ---- the cache ---- */

static size_t
bucket_count(size_t shard_capacity)
{
    size_t count = BUCKETS_MIN;

    while (count < shard_capacity / BLOCK_SIZE_GUESSED)
        count *= 2;
    return count;
}

int
block_cache_new(struct lsmkv_env *env, size_t capacity, struct block_cache **cache)
{
    struct block_cache *made = calloc(1, sizeof(*made));
    size_t buckets = bucket_count(capacity / SHARDS);

    if (made == NULL)
        return -ENOMEM;
    made->env = env;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &made->shards[i];

        mutex_init(&shard->mutex);
        shard->capacity = capacity / SHARDS;
        shard->bucket_mask = buckets - 1;
        shard->buckets = calloc(buckets, sizeof(*shard->buckets));
    }
    for (size_t i = 0; i < SHARDS; i++) {
        if (made->shards[i].buckets == NULL) {
            block_cache_free(made);
            return -ENOMEM;
        }
    }
    *cache = made;
    return 0;
}

static void
shard_fini(struct shard *shard)
{
    mutex_lock(&shard->mutex);
    while (shard->hand != NULL)
        block_unpin(&ring_remove_hand(shard)->block);
    mutex_unlock(&shard->mutex);
    mutex_fini(&shard->mutex);
    free(shard->buckets);
}

void
block_cache_free(struct block_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        shard_fini(&cache->shards[i]);
    free(cache);
}

const struct block *
block_cache_get(struct block_cache *cache, uint64_t table, uint64_t offset)
{
    uint64_t place = place_of(table, offset);
    struct shard *shard = shard_of(cache, place);
    struct cached_block *block;

    mutex_lock(&shard->mutex);
    block = find_pinned(shard, place, table, offset);
    mutex_unlock(&shard->mutex);
    return block == NULL ? NULL : &block->block;
}

void
block_cache_expect(struct block_cache *cache, uint64_t table, uint64_t offset)
{
    uint64_t place = place_of(table, offset);
    struct shard *shard = shard_of(cache, place);

    mutex_lock(&shard->mutex);
    __builtin_prefetch(*bucket_of(shard, place));
    mutex_unlock(&shard->mutex);
}

const struct block *
block_cache_insert(struct block_cache *cache, uint64_t table, uint64_t offset,
                   uint8_t *data, size_t size, size_t allocated)
{
    uint64_t place = place_of(table, offset);
    struct shard *shard = shard_of(cache, place);
    const struct block *pin = block_cache_detached(cache, data, size, allocated);
    struct cached_block *block, *first, *evicted = NULL;

    if (pin == NULL)
        return NULL;
    block = cached(pin);
    block->table = table;
    block->offset = offset;
    if (cost_of(block) > shard->capacity)
        return pin;

    mutex_lock(&shard->mutex);
    first = find_pinned(shard, place, table, offset);
    if (first == NULL) {
        evicted = evict_for(shard, cost_of(block));
        block_pin(pin); /* the ring's */
        ring_insert(shard, block);
        block->chain = *bucket_of(shard, place);
        *bucket_of(shard, place) = block;
    }
    mutex_unlock(&shard->mutex);

    unpin_chain(evicted);
    if (first == NULL)
        return pin;
    block_unpin(pin);
    return &first->block;
}

size_t
block_cache_bytes(struct block_cache *cache)
{
    size_t bytes = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        mutex_lock(&shard->mutex);
        bytes += shard->bytes;
        mutex_unlock(&shard->mutex);
    }
    return bytes;
}
