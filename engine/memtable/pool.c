/* pool.c - see pool.h. */
#include "memtable/pool.h"

#define KEPT_MIN   ((size_t)128 << 10) /* smaller ones malloc has at hand */
#define LOOKED_AT  8                   /* of those kept, for one that fits */
#define SPARE_PART 8                   /* it may be larger by this part */

/* At the head of what is kept. */
struct kept_block {
    struct kept_block *next;
    size_t size;
};

void
pool_init(struct block_pool *pool, struct lsmkv_env *env)
{
    *pool = (struct block_pool){.env = env};
    mutex_init(&pool->mutex);
}

/* Unlinks one of those kept. */
static struct kept_block *
unlink_kept(struct block_pool *pool, struct kept_block **link) LSMKV_REQUIRES(pool->mutex)
{
    struct kept_block *block = *link;

    *link = block->next;
    pool->kept_bytes -= block->size;
    return block;
}

static void
release_down_to(struct block_pool *pool, size_t most) LSMKV_REQUIRES(pool->mutex)
{
    while (pool->kept_bytes > most) {
        struct kept_block *block = unlink_kept(pool, &pool->kept);

        pool->env->release(pool->env, block, block->size);
    }
}

void
pool_fini(struct block_pool *pool)
{
    mutex_lock(&pool->mutex);
    release_down_to(pool, 0);
    mutex_unlock(&pool->mutex);
    mutex_fini(&pool->mutex);
}

static void *
take_kept(struct block_pool *pool, size_t *size) LSMKV_REQUIRES(pool->mutex)
{
    struct kept_block **link = &pool->kept;

    for (int i = 0; i < LOOKED_AT && *link != NULL; i++, link = &(*link)->next) {
        if ((*link)->size < *size || (*link)->size - *size > *size / SPARE_PART)
            continue;
        *size = (*link)->size;
        return unlink_kept(pool, link);
    }
    return NULL;
}

void *
pool_take(struct block_pool *pool, size_t *size)
{
    void *block;

    mutex_lock(&pool->mutex);
    pool->looks = 0;
    block = take_kept(pool, size);
    pool->wanted -= *size < pool->wanted ? *size : pool->wanted;
    release_down_to(pool, pool->wanted); /* P1 */
    if (block == NULL)
        block = pool->env->allocate(pool->env, *size);
    if (block == NULL && pool->kept != NULL) {
        release_down_to(pool, 0);
        block = pool->env->allocate(pool->env, *size);
    }
    mutex_unlock(&pool->mutex);
    return block;
}

void
pool_give(struct block_pool *pool, void *block, size_t size)
{
    struct kept_block *kept = block;

    mutex_lock(&pool->mutex);
    if (size < KEPT_MIN || pool->kept_bytes >= pool->wanted ||
        size > pool->wanted - pool->kept_bytes) {
        pool->env->release(pool->env, block, size);
    } else {
        kept->next = pool->kept;
        kept->size = size;
        pool->kept = kept;
        pool->kept_bytes += size;
    }
    mutex_unlock(&pool->mutex);
}

void
pool_expect(struct block_pool *pool, size_t bytes)
{
    mutex_lock(&pool->mutex);
    pool->wanted = bytes;
    release_down_to(pool, bytes);
    mutex_unlock(&pool->mutex);
}

bool
pool_keeps(struct block_pool *pool)
{
    bool keeps;

    mutex_lock(&pool->mutex);
    keeps = pool->kept != NULL;
    mutex_unlock(&pool->mutex);
    return keeps;
}

void
pool_rest(struct block_pool *pool, unsigned most)
{
    mutex_lock(&pool->mutex);
    if (++pool->looks >= most)
        release_down_to(pool, 0);
    mutex_unlock(&pool->mutex);
}
