#include "support/rounds.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESS_ONE_IN 7
#define THREAD_ONE_IN  41

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#elif defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#elif __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#endif

static unsigned
unless_all(unsigned one_in)
{
    const char *given = getenv("LSMKV_ROUNDS");

    return given != NULL && strcmp(given, "all") == 0 ? 1 : one_in;
}

unsigned
rounds_one_in(void)
{
#if defined(THREAD_SANITIZER)
    return unless_all(THREAD_ONE_IN);
#elif defined(ADDRESS_SANITIZER)
    return unless_all(ADDRESS_ONE_IN);
#else
    return unless_all(1);
#endif
}

unsigned
rounds_of_bytes_one_in(void)
{
#if defined(THREAD_SANITIZER)
    return unless_all(THREAD_ONE_IN);
#else
    return unless_all(1);
#endif
}

uint64_t
rounds_of(uint64_t all, uint64_t least)
{
    uint64_t share = all / rounds_one_in();

    return share < least ? least : share;
}
