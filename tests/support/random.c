/* random.c - where a random test gets its seed from. */
#include "support/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t
random_seed(void)
{
    const char *given = getenv("LSMKV_SEED");
    struct timespec now;
    uint64_t seed;

    clock_gettime(CLOCK_REALTIME, &now);
    seed = given != NULL ? strtoull(given, NULL, 0)
                         : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
    printf("LSMKV_SEED=%" PRIu64 "\n", seed);
    fflush(stdout); /* a test that dies must not take its seed along */
    return seed;
}
