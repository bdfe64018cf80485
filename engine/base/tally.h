/*
 * tally.h - counts of what many threads do at once.
 *
 * Each thread counts on cache lines of its own: a count that all add to would travel
 * between the processors at every step.  Who wants to know it adds up the threads' parts.
 */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/epoch.h"

#define TALLY_COUNTS 14u

/* Of one thread.  The gap keeps the next part off its lines, wherever the first
 * begins. */
struct tally_part {
    _Atomic uint64_t counts[TALLY_COUNTS];
    char gap[64];
};

/* Zero it to begin.  The last part is for all threads that have no slot. */
struct tally {
    struct tally_part parts[EPOCH_SLOTS + 1];
};

/* `which` is below TALLY_COUNTS; what it means is up to the tally's owner. */
static inline void
tally_add(struct tally *tally, unsigned which, uint64_t more)
{
    unsigned slot = epoch_slot != EPOCH_SLOTS ? epoch_slot : epoch_take_slot();
    _Atomic uint64_t *count = &tally->parts[slot].counts[which];

    if (slot == EPOCH_SLOTS)
        atomic_fetch_add_explicit(count, more, memory_order_relaxed);
    else /* nobody else writes here, so it need not be one step */
        atomic_store_explicit(count,
                              atomic_load_explicit(count, memory_order_relaxed) + more,
                              memory_order_relaxed);
}

/* What was added so far; a count never goes back. */
uint64_t tally_sum(const struct tally *tally, unsigned which);

#endif
