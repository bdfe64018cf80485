/*
 * dead_ranges.c - see dead_ranges.h.
 *
 * The list is short and unsorted: it is asked once for each run of dead keys, not for
 * each key, and overlapping ranges of different sequences are normal.
 */
#include "iter/dead_ranges.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mutex.h"

struct dead_ranges {
    /* Constant after dead_ranges_new: */
    enum lsmkv_order order;
    size_t capacity;

    _Atomic size_t count; /* changed under the mutex, read without it as a hint */

    /* Under the mutex: */
    struct mutex mutex;
    uint64_t clock;
    struct dead_range ranges[]; /* slots past the count keep their buffers */
};

void
dead_range_fini(struct dead_range *range)
{
    keybuf_fini(&range->from);
    keybuf_fini(&range->to);
}

int
dead_ranges_new(enum lsmkv_order order, size_t capacity, struct dead_ranges **out)
{
    struct dead_ranges *ranges =
        calloc(1, sizeof(*ranges) + capacity * sizeof(ranges->ranges[0]));

    assert(capacity > 0);
    if (ranges == NULL)
        return -ENOMEM;
    ranges->order = order;
    ranges->capacity = capacity;
    mutex_init(&ranges->mutex);
    *out = ranges;
    return 0;
}

void
dead_ranges_free(struct dead_ranges *ranges)
{
    if (ranges == NULL)
        return;
    for (size_t i = 0; i < ranges->capacity; i++)
        dead_range_fini(&ranges->ranges[i]);
    mutex_fini(&ranges->mutex);
    free(ranges);
}

static size_t
range_count(const struct dead_ranges *ranges)
{
    return atomic_load_explicit(&ranges->count, memory_order_relaxed);
}

static void
set_range_count(struct dead_ranges *ranges, size_t count) LSMKV_REQUIRES(ranges->mutex)
{
    atomic_store_explicit(&ranges->count, count, memory_order_relaxed);
}

static int
compare(const struct dead_ranges *ranges, struct lsmkv_slice a, struct lsmkv_slice b)
{
    return key_compare(ranges->order, a, b);
}

/* Removes range i; the last one takes its place, and keeps its buffers for the next. */
static void
drop(struct dead_ranges *ranges, size_t i) LSMKV_REQUIRES(ranges->mutex)
{
    size_t last = range_count(ranges) - 1;
    struct dead_range gone = ranges->ranges[i];

    ranges->ranges[i] = ranges->ranges[last];
    ranges->ranges[last] = gone;
    set_range_count(ranges, last);
}

/* Whether range i touches or overlaps [from, to) at the same sequence (D1). */
static bool
joins(const struct dead_ranges *ranges, size_t i, const struct dead_range *range)
{
    const struct dead_range *other = &ranges->ranges[i];

    return other->sequence == range->sequence &&
           compare(ranges, keybuf_slice(&other->from), keybuf_slice(&range->to)) <= 0 &&
           compare(ranges, keybuf_slice(&range->from), keybuf_slice(&other->to)) <= 0;
}

/* Exchanges the buffers' contents by exchanging the buffers. */
static void
exchange(struct keybuf *a, struct keybuf *b)
{
    struct keybuf kept = *a;

    *a = *b;
    *b = kept;
}

/* Takes every range that joins `range` out of the list and into it. */
static void
take_in(struct dead_ranges *ranges, struct dead_range *range)
    LSMKV_REQUIRES(ranges->mutex)
{
    size_t i = 0;

    while (i < range_count(ranges)) {
        struct dead_range *other = &ranges->ranges[i];

        if (!joins(ranges, i, range)) {
            i++;
            continue;
        }
        if (compare(ranges, keybuf_slice(&other->from), keybuf_slice(&range->from)) < 0)
            exchange(&other->from, &range->from);
        if (compare(ranges, keybuf_slice(&other->to), keybuf_slice(&range->to)) > 0)
            exchange(&other->to, &range->to);
        drop(ranges, i);
        i = 0; /* larger now: it may join what it did not */
    }
}

static size_t
longest_unused(const struct dead_ranges *ranges) LSMKV_REQUIRES(ranges->mutex)
{
    size_t oldest = 0;
    size_t i;

    for (i = 1; i < range_count(ranges); i++) {
        if (ranges->ranges[i].used < ranges->ranges[oldest].used)
            oldest = i;
    }
    return oldest;
}

static int LSMKV_CHECKED
copy(struct dead_range *to, struct lsmkv_slice from_key, struct lsmkv_slice to_key,
     uint64_t sequence)
{
    int result = keybuf_set(&to->from, from_key);

    if (result == 0)
        result = keybuf_set(&to->to, to_key);
    to->sequence = sequence;
    return result;
}

/* Gives `range`'s buffers to the list and takes the slot's own. */
static void
insert(struct dead_ranges *ranges, struct dead_range *range) LSMKV_REQUIRES(ranges->mutex)
{
    size_t count;
    struct dead_range *slot;

    if (range_count(ranges) == ranges->capacity)
        drop(ranges, longest_unused(ranges));
    count = range_count(ranges);
    slot = &ranges->ranges[count];
    exchange(&slot->from, &range->from);
    exchange(&slot->to, &range->to);
    slot->sequence = range->sequence;
    slot->used = ++ranges->clock;
    set_range_count(ranges, count + 1);
}

void
dead_ranges_add(struct dead_ranges *ranges, struct lsmkv_slice from,
                struct lsmkv_slice to, uint64_t sequence)
{
    struct dead_range range = {0};

    if (compare(ranges, from, to) >= 0 || from.size > DEAD_RANGE_KEY_MAX ||
        to.size > DEAD_RANGE_KEY_MAX)
        return;
    if (copy(&range, from, to, sequence) == 0) {
        mutex_lock(&ranges->mutex);
        take_in(ranges, &range);
        insert(ranges, &range);
        mutex_unlock(&ranges->mutex);
    }
    dead_range_fini(&range);
}

/* Whether range a serves a scan on `key` better than b does; both end after the key. */
static bool
serves_better(const struct dead_ranges *ranges, struct lsmkv_slice key,
              const struct dead_range *a, const struct dead_range *b)
{
    bool a_holds = compare(ranges, keybuf_slice(&a->from), key) <= 0;
    bool b_holds = compare(ranges, keybuf_slice(&b->from), key) <= 0;

    if (a_holds != b_holds)
        return a_holds;
    if (a_holds)
        return a->sequence > b->sequence;
    return compare(ranges, keybuf_slice(&a->from), keybuf_slice(&b->from)) < 0;
}

static struct dead_range *
best(struct dead_ranges *ranges, struct lsmkv_slice key, uint64_t sequence)
    LSMKV_REQUIRES(ranges->mutex)
{
    struct dead_range *found = NULL;
    size_t i;

    for (i = 0; i < range_count(ranges); i++) {
        struct dead_range *range = &ranges->ranges[i];

        if (range->sequence > sequence ||
            compare(ranges, keybuf_slice(&range->to), key) <= 0)
            continue;
        if (found == NULL || serves_better(ranges, key, range, found))
            found = range;
    }
    return found;
}

bool
dead_ranges_find(struct dead_ranges *ranges, struct lsmkv_slice key, uint64_t sequence,
                 struct dead_range *found)
{
    struct dead_range *range;
    bool copied = false;

    if (range_count(ranges) == 0)
        return false;
    mutex_lock(&ranges->mutex);
    range = best(ranges, key, sequence);
    if (range != NULL) {
        range->used = ++ranges->clock;
        copied = copy(found, keybuf_slice(&range->from), keybuf_slice(&range->to),
                      range->sequence) == 0;
    }
    mutex_unlock(&ranges->mutex);
    return copied;
}

bool
dead_ranges_hold(struct dead_ranges *ranges, struct lsmkv_slice key, uint64_t sequence)
{
    struct dead_range *range;
    bool holds;

    if (range_count(ranges) == 0)
        return false;
    mutex_lock(&ranges->mutex);
    range = best(ranges, key, sequence);
    holds = range != NULL && compare(ranges, keybuf_slice(&range->from), key) <= 0;
    if (holds)
        range->used = ++ranges->clock;
    mutex_unlock(&ranges->mutex);
    return holds;
}
