/* tally.c - see tally.h. */
#include "base/tally.h"

uint64_t
tally_sum(const struct tally *tally, unsigned which)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i <= EPOCH_SLOTS; i++)
        sum += atomic_load_explicit(&tally->parts[i].counts[which], memory_order_relaxed);
    return sum;
}
