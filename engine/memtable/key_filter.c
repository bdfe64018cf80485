/* key_filter.c - the bloom filter of key_filter.h. */
#include "memtable/key_filter.h"

#include <string.h>

#include "table/filter.h"

#define BITS_PER_HASH 10u
#define BITS_FULL     2u /* a hash */
#define PROBES        6u
#define WORD_BITS     64u

struct key_filter_line {
    _Atomic uint64_t words[FILTER_LINE_SIZE * 8 / WORD_BITS];
};

bool
key_filter_make(struct key_filter *filter, struct block_pool *pool, size_t hashes,
                size_t most)
{
    size_t wanted = hashes * BITS_PER_HASH / 8;
    size_t size = (wanted < most ? wanted : most) + 2 * FILTER_LINE_SIZE;
    uint8_t *block = pool_take(pool, &size);
    size_t before;

    if (block == NULL)
        return false;
    before = -(uintptr_t)block % FILTER_LINE_SIZE;
    memset(block, 0, size);
    filter->block = block;
    filter->lines = (struct key_filter_line *)(block + before);
    filter->count = (uint32_t)((size - before) / FILTER_LINE_SIZE);
    atomic_store_explicit(&filter->memory, size, memory_order_relaxed);
    return true;
}

void
key_filter_fini(struct key_filter *filter, struct block_pool *pool)
{
    if (filter->block != NULL)
        pool_give(pool, filter->block, filter->memory);
}

/* Only one thread changes a word, so that load and store need not be one step. */
bool
key_filter_add(struct key_filter *filter, uint64_t hash)
{
    struct key_filter_line *line = filter->lines + filter_line(hash, filter->count);
    uint32_t state = (uint32_t)hash;
    bool news = false;

    for (unsigned i = 0; i < PROBES; i++) {
        unsigned bit = filter_next_bit(&state);
        _Atomic uint64_t *word = &line->words[bit / WORD_BITS];
        uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
        uint64_t after = before | UINT64_C(1) << bit % WORD_BITS;

        news |= after != before;
        atomic_store_explicit(word, after, memory_order_relaxed);
    }
    return news;
}

void
key_filter_publish(struct key_filter *filter)
{
    atomic_store_explicit(&filter->asked, filter->lines, memory_order_release);
}

bool
key_filter_is_made(const struct key_filter *filter)
{
    return filter->lines != NULL;
}

/* At two bits a hash three of four absent keys pass. */
bool
key_filter_is_full(const struct key_filter *filter, size_t hashes)
{
    return hashes > (size_t)filter->count * FILTER_LINE_SIZE * 8 / BITS_FULL;
}

/* Whoever asks it just now has had the lines before: they stay until the end. */
void
key_filter_give_up(struct key_filter *filter)
{
    filter->lines = NULL;
    atomic_store_explicit(&filter->asked, NULL, memory_order_relaxed);
}

bool
key_filter_may_contain(const struct key_filter *filter, uint64_t hash)
{
    const struct key_filter_line *line =
        atomic_load_explicit(&filter->asked, memory_order_acquire);
    uint32_t state = (uint32_t)hash;
    uint64_t all = 1;

    if (line == NULL)
        return true;
    line += filter_line(hash, filter->count);
    for (unsigned i = 0; i < PROBES; i++) {
        unsigned bit = filter_next_bit(&state);

        all &=
            atomic_load_explicit(&line->words[bit / WORD_BITS], memory_order_relaxed) >>
            bit % WORD_BITS;
    }
    return all != 0;
}
