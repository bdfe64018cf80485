/* ranks.c - see ranks.h. */
#include "table/ranks.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_BYTES (RANKS_LINE * sizeof(uint64_t))

static size_t
lines_of(size_t count)
{
    return count / RANKS_LINE + (count % RANKS_LINE > 0);
}

int
ranks_reserve(struct ranks *ranks, size_t count)
{
    size_t lines = 1, above = count;
    uint64_t *next;

    *ranks = (struct ranks){.count = count};
    if (count == 0)
        return 0;
    do {
        above = lines_of(above);
        lines += above;
        ranks->height++;
    } while (above > 1);
    ranks->memory = calloc(lines, LINE_BYTES); /* one more, to begin at a line */
    if (ranks->memory == NULL)
        return -ENOMEM;
    ranks->bytes = lines * LINE_BYTES;
    next =
        (uint64_t *)((uint8_t *)ranks->memory + -(uintptr_t)ranks->memory % LINE_BYTES);
    above = count;
    for (unsigned level = 0; level < ranks->height; level++) {
        ranks->levels[level] = next;
        above = lines_of(above);
        next += above * RANKS_LINE;
    }
    return 0;
}

void
ranks_build(struct ranks *ranks)
{
    size_t count = ranks->count;

    for (unsigned level = 0; level < ranks->height; level++) {
        uint64_t *numbers = ranks->levels[level];

        while (count % RANKS_LINE != 0)
            numbers[count++] = UINT64_MAX;
        count /= RANKS_LINE;
        if (level + 1 == ranks->height)
            break;
        for (size_t i = 0; i + 1 < count; i++)
            ranks->levels[level + 1][i] = numbers[i * RANKS_LINE + RANKS_LINE - 1];
        ranks->levels[level + 1][count - 1] = UINT64_MAX; /* no search goes past it */
    }
}

void
ranks_fini(struct ranks *ranks)
{
    free(ranks->memory);
}

/* How many of a line are below `least`.  No branch depends on what is compared: none
 * would be foreseen. */
static size_t
below(const uint64_t *line, uint64_t least)
{
    size_t count = 0;

    for (size_t i = 0; i < RANKS_LINE; i++)
        count += line[i] < least;
    return count;
}

size_t
ranks_find(const struct ranks *ranks, uint64_t least)
{
    size_t at = 0;

    for (unsigned level = ranks->height; level-- > 0;)
        at = at * RANKS_LINE + below(&ranks->levels[level][at * RANKS_LINE], least);
    return at < ranks->count ? at : ranks->count;
}
