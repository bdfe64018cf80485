/*
 * failing_alloc.h - the allocations of the code under test, counted and failed.
 *
 * A program that CMakeLists.txt names in `fails_allocations` links copies of the engine and of
 * the filesystem in whose objects malloc, calloc, realloc, reallocarray, posix_memalign, strdup,
 * strndup, asprintf and vasprintf are these: under every thread, and nothing that a test, Check or
 * the envs for tests allocate.  jansson is given failing_malloc too.  The env's buffers are
 * among them, for those of the memory env come from the POSIX env, which is the engine's.
 *
 * Left out: what libc and libarchive allocate for themselves.
 */
#ifndef SUPPORT_FAILING_ALLOC_H
#define SUPPORT_FAILING_ALLOC_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on: fails the nth allocation (1: the next), alone or with all that follow.  Counting
 * begins anew. */
void failing_alloc_set(uint64_t nth, bool onwards);
/* From now on each fails with a chance of one in `chance`. */
void failing_alloc_at_random(uint64_t seed, uint64_t chance);
/* Nothing fails from now on; the counts stay. */
void failing_alloc_heal(void);
/* While it is set, allocations neither fail nor count: what a test does for itself. */
void failing_alloc_pause(bool paused);
/* Since the last of the first two. */
uint64_t failing_alloc_calls(void);
uint64_t failing_alloc_failures(void);

void *failing_malloc(size_t size);
void *failing_calloc(size_t count, size_t size);
void *failing_realloc(void *old, size_t size);
void *failing_reallocarray(void *old, size_t count, size_t size);
int failing_posix_memalign(void **memory, size_t alignment, size_t size);
char *failing_strdup(const char *text);
char *failing_strndup(const char *text, size_t size);
int failing_asprintf(char **text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int failing_vasprintf(char **text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#endif
