/*
 * listing.c - see listing.h.
 *
 * A span's names, one after another:
 *
 *     1  bytes shared with the name before
 *     1  bytes that follow
 *     n  those
 *
 * Spans stand in two lists by age, those with all names and those with two; the oldest of
 * the first moves to the second when names take more than the limit, and the oldest of
 * the second goes when ends do.
 */
#include "vfs/listing.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS        16384u
#define FIRST_CAPACITY 1024u
#define NAME_MAX_BYTES 255u

struct listing_span {
    uint64_t number;
    uint64_t directory;
    struct listing_span *next; /* in its bucket */
    struct listing_span *older, *newer;
    uint8_t *names; /* NULL: only the ends are left */
    size_t used, capacity;
    unsigned count;
    uint8_t first_size, last_size;
    char first[NAME_MAX_BYTES], last[NAME_MAX_BYTES];
};

struct span_list {
    struct listing_span head; /* head.newer is the oldest */
    size_t bytes;
};

struct listing {
    size_t limit;                /* constant */
    _Atomic uint64_t number;     /* the last one given */
    pthread_mutex_t mutex;       /* guards the rest */
    struct span_list whole, cut; /* with all names; with first and last */
    struct listing_span *buckets[BUCKETS];
};

static void
list_init(struct span_list *list)
{
    list->head.older = list->head.newer = &list->head;
    list->bytes = 0;
}

struct listing *
listing_new(size_t limit)
{
    struct listing *listing = calloc(1, sizeof(*listing));

    if (!listing)
        return NULL;
    listing->limit = limit;
    listing->number = LISTING_FIRST / LISTING_SPAN_MAX - 1;
    list_init(&listing->whole);
    list_init(&listing->cut);
    pthread_mutex_init(&listing->mutex, NULL);
    return listing;
}

static void
span_free(struct listing_span *span)
{
    free(span->names);
    free(span);
}

void
listing_free(struct listing *listing)
{
    if (!listing)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        while (listing->buckets[i]) {
            struct listing_span *span = listing->buckets[i];

            listing->buckets[i] = span->next;
            span_free(span);
        }
    pthread_mutex_destroy(&listing->mutex);
    free(listing);
}

/* ---- building ---- */

struct listing_span *
listing_begin(struct listing *listing, uint64_t directory)
{
    struct listing_span *span = malloc(sizeof(*span));

    if (!span)
        return NULL;
    span->number = ++listing->number;
    span->directory = directory;
    span->names = NULL;
    span->used = span->capacity = 0;
    span->count = 0;
    span->first_size = span->last_size = 0;
    return span;
}

uint64_t
listing_next_cookie(const struct listing_span *span)
{
    return span->number << LISTING_INDEX_BITS | span->count;
}

bool
listing_is_full(const struct listing_span *span)
{
    return span->count == LISTING_SPAN_MAX;
}

static int
reserve(struct listing_span *span, size_t size)
{
    size_t capacity = span->capacity ? span->capacity * 2 : FIRST_CAPACITY;
    uint8_t *names;

    if (span->capacity - span->used >= size)
        return 0;
    names = realloc(span->names, capacity);
    if (!names)
        return -ENOMEM;
    span->names = names;
    span->capacity = capacity;
    return 0;
}

int
listing_add(struct listing_span *span, struct lsmkv_slice name)
{
    const char *bytes = name.data;
    uint8_t shared = 0, *at;

    if (reserve(span, 2 + name.size) < 0)
        return -ENOMEM;
    while (shared < name.size && shared < span->last_size &&
           bytes[shared] == span->last[shared])
        shared++;
    at = span->names + span->used;
    at[0] = shared;
    at[1] = (uint8_t)(name.size - shared);
    memcpy(at + 2, bytes + shared, name.size - shared);
    span->used += 2 + name.size - shared;
    memcpy(span->last + shared, bytes + shared, name.size - shared);
    span->last_size = (uint8_t)name.size;
    if (span->count++ == 0) {
        memcpy(span->first, bytes, name.size);
        span->first_size = (uint8_t)name.size;
    }
    return 0;
}

/* ---- keeping ---- */

static size_t
whole_cost(const struct listing_span *span)
{
    return sizeof(*span) + span->capacity;
}

static void
list_remove(struct listing_span *span)
{
    span->older->newer = span->newer;
    span->newer->older = span->older;
}

static void
list_add(struct span_list *list, struct listing_span *span)
{
    span->older = list->head.older;
    span->newer = &list->head;
    span->older->newer = span;
    list->head.older = span;
}

static void
forget_span(struct listing *listing, struct listing_span *span)
{
    struct listing_span **slot = &listing->buckets[span->number % BUCKETS];

    while (*slot != span)
        slot = &(*slot)->next;
    *slot = span->next;
    list_remove(span);
    span_free(span);
}

/* Makes room by cutting spans, then by forgetting cut ones. */
static void
shrink(struct listing *listing)
{
    while (listing->whole.bytes > listing->limit) {
        struct listing_span *span = listing->whole.head.newer;

        listing->whole.bytes -= whole_cost(span);
        list_remove(span);
        free(span->names);
        span->names = NULL;
        span->capacity = 0;
        list_add(&listing->cut, span);
        listing->cut.bytes += sizeof(*span);
    }
    while (listing->cut.bytes > listing->limit) {
        forget_span(listing, listing->cut.head.newer);
        listing->cut.bytes -= sizeof(struct listing_span);
    }
}

void
listing_end(struct listing *listing, struct listing_span *span)
{
    uint8_t *fitted;

    if (!span)
        return;
    if (span->count == 0) {
        span_free(span);
        return;
    }
    fitted = realloc(span->names, span->used);
    if (fitted) {
        span->names = fitted;
        span->capacity = span->used;
    }
    pthread_mutex_lock(&listing->mutex);
    span->next = listing->buckets[span->number % BUCKETS];
    listing->buckets[span->number % BUCKETS] = span;
    list_add(&listing->whole, span);
    listing->whole.bytes += whole_cost(span);
    shrink(listing);
    pthread_mutex_unlock(&listing->mutex);
}

/* ---- finding ---- */

static int
decode(const struct listing_span *span, unsigned index, char *name)
{
    const uint8_t *at = span->names;
    int size = 0;

    for (unsigned i = 0; i <= index; i++) {
        memcpy(name + at[0], at + 2, at[1]);
        size = at[0] + at[1];
        at += 2 + at[1];
    }
    return size;
}

static int
name_of(const struct listing_span *span, unsigned index, char *name, unsigned *skip)
{
    *skip = 0;
    if (span->names)
        return decode(span, index, name);
    if (index == span->count - 1) {
        memcpy(name, span->last, span->last_size);
        return span->last_size;
    }
    memcpy(name, span->first, span->first_size);
    *skip = index;
    return span->first_size;
}

int
listing_name(struct listing *listing, uint64_t directory, uint64_t cookie, char *name,
             unsigned *skip)
{
    uint64_t number = cookie >> LISTING_INDEX_BITS;
    unsigned index = cookie & (LISTING_SPAN_MAX - 1);
    struct listing_span *span;
    int result = -EINVAL;

    pthread_mutex_lock(&listing->mutex);
    span = listing->buckets[number % BUCKETS];
    while (span && span->number != number)
        span = span->next;
    if (span && span->directory == directory && index < span->count) {
        result = name_of(span, index, name, skip);
        if (span->names) {
            list_remove(span);
            list_add(&listing->whole, span);
        }
    }
    pthread_mutex_unlock(&listing->mutex);
    return result;
}
