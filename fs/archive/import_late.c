/* import_late.c - see import_late.h. */
#include "archive/import_late.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SPREAD 0x9e3779b97f4a7c15u

/* Where that number is, or would be. */
static size_t *
find(const struct import_lates *lates, ino_t ino)
{
    size_t mask = lates->place_count - 1;
    size_t i = (size_t)(((uint64_t)ino * SPREAD) >> 32) & mask;

    while (lates->places[i] != 0 && lates->all[lates->places[i] - 1].ino != ino)
        i = (i + 1) & mask;
    return &lates->places[i];
}

/* Room for one more; half of the places are free. */
static int
grow(struct import_lates *lates)
{
    size_t capacity = lates->capacity * 2 + 64, place_count = 64;

    if (lates->count < lates->capacity)
        return 0;
    while (place_count < 2 * capacity)
        place_count *= 2;
    struct import_late *all = reallocarray(lates->all, capacity, sizeof(*all));
    if (all == NULL)
        return -ENOMEM;
    lates->all = all;
    size_t *places = calloc(place_count, sizeof(*places));
    if (places == NULL)
        return -ENOMEM;
    free(lates->places);
    lates->places = places;
    lates->place_count = place_count;
    lates->capacity = capacity;
    for (size_t i = 0; i < lates->count; i++) {
        if (all[i].ino != 0)
            *find(lates, all[i].ino) = i + 1;
    }
    return 0;
}

static void
fini(struct import_late *late)
{
    import_traits_fini(&late->traits);
    free(late->path);
}

int
import_lates_add(struct import_lates *lates, const struct import_late *late)
{
    int result = grow(lates);

    if (result != 0)
        return result;
    size_t *place = find(lates, late->ino);
    if (*place != 0) {
        fini(&lates->all[*place - 1]);
        lates->all[*place - 1] = *late;
        return 0;
    }
    lates->all[lates->count++] = *late;
    *place = lates->count;
    return 0;
}

void
import_lates_remove(struct import_lates *lates, ino_t ino)
{
    size_t place = lates->count > 0 ? *find(lates, ino) : 0;

    if (place != 0)
        lates->all[place - 1].ino = 0;
}

/* A path comes before all that it begins; so does the root. */
static const char *
sorted_path(const struct import_late *late)
{
    return strcmp(late->path, ".") == 0 ? "" : late->path;
}

static int
compare(const void *left, const void *right)
{
    return strcmp(sorted_path(right), sorted_path(left));
}

void
import_lates_sort(struct import_lates *lates)
{
    if (lates->count > 0)
        qsort(lates->all, lates->count, sizeof(*lates->all), compare);
}

void
import_lates_fini(struct import_lates *lates)
{
    for (size_t i = 0; i < lates->count; i++)
        fini(&lates->all[i]);
    free(lates->all);
    free(lates->places);
}
