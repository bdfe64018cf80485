/*
 * random.h - random numbers for tests: small, seeded, the same everywhere.
 *
 * A test takes its seed from random_seed(), which prints it; LSMKV_SEED=... runs it again.
 */
#ifndef SUPPORT_RANDOM_H
#define SUPPORT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* Not zero-initialised by accident: any state is a good one (splitmix64). */
struct random {
    uint64_t state;
};

/* LSMKV_SEED, or one from the clock; printed to stdout. */
uint64_t random_seed(void);

static inline struct random
random_of(uint64_t seed)
{
    struct random random = {seed};

    return random;
}

static inline uint64_t
random_next(struct random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* In [0, limit); limit is not 0. */
static inline uint64_t
random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

static inline bool
random_coin(struct random *random)
{
    return (random_next(random) & 1) != 0;
}

#endif
