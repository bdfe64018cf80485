/* filter.c - the cache-line blocked bloom filter of filter.h. */
#include "table/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/array.h"

#define LINE_BITS  (FILTER_LINE_SIZE * 8u)
#define PROBES_MAX 16u

uint64_t
filter_hash(struct lsmkv_slice key)
{
    return XXH3_64bits(key.data, key.size);
}

/* ---- which keys a filter holds ---- */

static size_t
slash_at_or_after(struct lsmkv_slice key, size_t from)
{
    const uint8_t *bytes = key.data;
    const uint8_t *slash;

    if (from >= key.size)
        return key.size;
    slash = memchr(bytes + from, '/', key.size - from);
    return slash == NULL ? key.size : (size_t)(slash - bytes);
}

size_t
filter_ancestor_first(struct lsmkv_slice previous, struct lsmkv_slice key)
{
    const uint8_t *a = previous.data;
    const uint8_t *b = key.data;
    size_t limit = previous.size < key.size ? previous.size : key.size;
    size_t shared = 0;

    while (shared < limit && a[shared] == b[shared])
        shared++;
    if (shared == previous.size) /* `previous` is itself no news */
        shared++;
    return slash_at_or_after(key, shared > 0 ? shared : 1);
}

size_t
filter_ancestor_next(struct lsmkv_slice key, size_t at)
{
    return slash_at_or_after(key, at + 1);
}

/* ---- building ---- */

void
filter_builder_fini(struct filter_builder *builder)
{
    free(builder->hashes);
}

int
filter_builder_add(struct filter_builder *builder, uint64_t hash)
{
    uint64_t *hashes = array_grown(builder->hashes, builder->count, sizeof(*hashes));

    if (hashes == NULL)
        return -ENOMEM;
    builder->hashes = hashes;
    hashes[builder->count++] = hash;
    return 0;
}

/* About 0.6 of the bits a key: fewer than ln 2, as lines fill unevenly (F2). */
static unsigned
probes_for(unsigned bits_per_key)
{
    unsigned probes = bits_per_key * 3 / 5;

    if (probes == 0)
        return 1;
    return probes > PROBES_MAX ? PROBES_MAX : probes;
}

static void
set_bits(uint8_t *line, uint32_t state, unsigned probes)
{
    while (probes-- > 0) {
        unsigned bit = filter_next_bit(&state);

        line[bit / 8] = (uint8_t)(line[bit / 8] | 1u << bit % 8);
    }
}

int
filter_builder_finish(const struct filter_builder *builder, unsigned bits_per_key,
                      uint8_t **block, size_t *size)
{
    uint64_t bits = (uint64_t)builder->count * bits_per_key;
    uint64_t lines = (bits + bits / 20 + LINE_BITS - 1) / LINE_BITS; /* F2 */
    unsigned probes = probes_for(bits_per_key);
    uint8_t *made;

    if (lines > UINT32_MAX / FILTER_LINE_SIZE - 1)
        return -EFBIG;
    made = calloc(1, lines * FILTER_LINE_SIZE + 1);
    if (made == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < builder->count; i++) {
        uint64_t hash = builder->hashes[i];
        size_t line = filter_line(hash, (uint32_t)lines);

        set_bits(made + line * FILTER_LINE_SIZE, (uint32_t)hash, probes);
    }
    made[lines * FILTER_LINE_SIZE] = (uint8_t)probes;
    *block = made;
    *size = lines * FILTER_LINE_SIZE + 1;
    return 0;
}

/* ---- asking ---- */

int
filter_decode(struct lsmkv_slice contents, struct filter *filter)
{
    const uint8_t *bytes = contents.data;
    size_t lines = contents.size / FILTER_LINE_SIZE;
    unsigned probes;

    if (lines == 0 || lines > UINT32_MAX || contents.size % FILTER_LINE_SIZE != 1)
        return -EUCLEAN;
    probes = bytes[contents.size - 1];
    if (probes == 0 || probes > PROBES_MAX)
        return -EUCLEAN;
    filter->lines = bytes;
    filter->count = (uint32_t)lines;
    filter->probes = probes;
    return 0;
}

/* All bits are looked at, as where the first one is missing could not be foreseen. */
void
filter_expect(const struct filter *filter, uint64_t hash)
{
    if (filter->lines != NULL)
        __builtin_prefetch(filter->lines +
                           filter_line(hash, filter->count) * FILTER_LINE_SIZE);
}

bool
filter_may_contain(const struct filter *filter, uint64_t hash)
{
    const uint8_t *line;
    uint32_t state = (uint32_t)hash;
    unsigned all = 1;

    if (filter->lines == NULL)
        return true;
    line = filter->lines + filter_line(hash, filter->count) * FILTER_LINE_SIZE;
    for (unsigned i = 0; i < filter->probes; i++) {
        unsigned bit = filter_next_bit(&state);

        all &= (unsigned)line[bit / 8] >> bit % 8;
    }
    return all != 0;
}
