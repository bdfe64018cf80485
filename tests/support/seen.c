/* seen.c - open addressing, half empty. */
#include "support/seen.h"

#include <stdlib.h>

#include "support/mem_pages.h"

/* Where it is, or where it would stand. */
static struct seen_item *
place_of(const struct seen *seen, uint64_t hash)
{
    size_t at = (size_t)hash & (seen->capacity - 1);

    while (seen->items[at].used && seen->items[at].hash != hash)
        at = (at + 1) & (seen->capacity - 1);
    return &seen->items[at];
}

void *
seen_find(const struct seen *seen, uint64_t hash)
{
    return seen->count == 0 ? NULL : place_of(seen, hash)->value;
}

static void
grow(struct seen *seen)
{
    struct seen old = *seen;

    seen->capacity = old.capacity == 0 ? 1024 : old.capacity * 2;
    seen->items = mem_need(seen->capacity * sizeof(*seen->items));
    for (size_t i = 0; i < old.capacity; i++)
        if (old.items[i].used)
            *place_of(seen, old.items[i].hash) = old.items[i];
    free(old.items);
}

bool
seen_add(struct seen *seen, uint64_t hash, void *value)
{
    struct seen_item *item;

    if (seen->count * 2 >= seen->capacity)
        grow(seen);
    item = place_of(seen, hash);
    if (item->used)
        return false;
    *item = (struct seen_item){hash, true, value};
    seen->count++;
    return true;
}

void
seen_fini(struct seen *seen, void (*release)(void *value))
{
    for (size_t i = 0; release != NULL && i < seen->capacity; i++)
        if (seen->items[i].used)
            release(seen->items[i].value);
    free(seen->items);
    *seen = (struct seen){0};
}
