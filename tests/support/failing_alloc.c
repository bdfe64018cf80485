/*
 * failing_alloc.c - see failing_alloc.h.
 *
 * Relaxed atomics, no lock: nothing here may order threads that the code under test does not.
 */
#include "support/failing_alloc.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random.h"

static struct {
    atomic_uint_fast64_t calls, failures;
    atomic_uint_fast64_t first, last;  /* ordinals that fail; first 0: none */
    atomic_uint_fast64_t seed, chance; /* chance 0: none */
    atomic_bool paused;
} plan;

static void
set(uint64_t first, uint64_t last, uint64_t seed, uint64_t chance)
{
    failing_alloc_heal();
    plan.calls = 0;
    plan.failures = 0;
    plan.last = last;
    plan.seed = seed;
    plan.chance = chance;
    plan.first = first;
}

void
failing_alloc_set(uint64_t nth, bool onwards)
{
    set(nth, onwards ? UINT64_MAX : nth, 0, 0);
}

void
failing_alloc_at_random(uint64_t seed, uint64_t chance)
{
    set(0, 0, seed, chance);
}

void
failing_alloc_heal(void)
{
    plan.first = 0;
    plan.chance = 0;
}

void
failing_alloc_pause(bool paused)
{
    plan.paused = paused;
}

uint64_t
failing_alloc_calls(void)
{
    return plan.calls;
}

uint64_t
failing_alloc_failures(void)
{
    return plan.failures;
}

static uint64_t
get(atomic_uint_fast64_t *field)
{
    return atomic_load_explicit(field, memory_order_relaxed);
}

/* Counts one; does it fail? */
static bool
fails(void)
{
    uint64_t first = get(&plan.first), chance = get(&plan.chance), ordinal;
    struct random random;
    bool planned;

    if (atomic_load_explicit(&plan.paused, memory_order_relaxed))
        return false;
    ordinal = 1 + atomic_fetch_add_explicit(&plan.calls, 1, memory_order_relaxed);
    random = random_of(get(&plan.seed) + ordinal);
    planned = first != 0 && ordinal >= first && ordinal <= get(&plan.last);
    if (!planned && (chance == 0 || random_below(&random, chance) != 0))
        return false;
    atomic_fetch_add_explicit(&plan.failures, 1, memory_order_relaxed);
    errno = ENOMEM;
    return true;
}

void *
failing_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

void *
failing_calloc(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

void *
failing_realloc(void *old, size_t size)
{
    return fails() ? NULL : realloc(old, size);
}

void *
failing_reallocarray(void *old, size_t count, size_t size)
{
    return fails() ? NULL : reallocarray(old, count, size);
}

int
failing_posix_memalign(void **memory, size_t alignment, size_t size)
{
    return fails() ? ENOMEM : posix_memalign(memory, alignment, size);
}

char *
failing_strdup(const char *text)
{
    return fails() ? NULL : strdup(text);
}

char *
failing_strndup(const char *text, size_t size)
{
    return fails() ? NULL : strndup(text, size);
}

int
failing_vasprintf(char **text, const char *format, va_list arguments)
{
    return fails() ? -1 : vasprintf(text, format, arguments);
}

int
failing_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = failing_vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}

/* Before the code under test has asked jansson for anything. */
__attribute__((constructor)) static void
adopt_jansson(void)
{
    json_set_alloc_funcs(failing_malloc, free);
}
