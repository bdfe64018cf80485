/*
 * fuzz.h - what the fuzz targets share: taking an input apart, and checks.
 *
 * A target is fuzz_X.c and defines LLVMFuzzerTestOneInput.  The preset `fuzz` links it with
 * libFuzzer, every other build with replay.c, which runs the inputs it is given.  An input
 * that a checksum stopped would teach the fuzzer nothing, so targets seal what they are
 * given (seal.h) unless the input says not to.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsmkv.h"

/* 0: the input was run; -1: it shall not join the corpus.  Anything wrong aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says where and why, and aborts. */
#define fuzz_fail(format, ...)                                                   \
    do {                                                                         \
        fprintf(stderr, "%s:%d: %s: " format "\n", __FILE__, __LINE__, __func__, \
                __VA_ARGS__);                                                    \
        abort();                                                                 \
    } while (0)

/* What must hold, whatever the bytes are. */
#define fuzz_check(condition)                           \
    do {                                                \
        if (!(condition))                               \
            fuzz_fail("does not hold: %s", #condition); \
    } while (0)

/* An input, taken from the front; at its end numbers are 0 and slices empty. */
struct fuzz_input {
    const uint8_t *next;
    size_t left;
};

static inline struct lsmkv_slice
fuzz_take(struct fuzz_input *input, size_t size)
{
    struct lsmkv_slice taken;

    if (size > input->left)
        size = input->left;
    taken = lsmkv_bytes(input->next, size);
    input->next += size;
    input->left -= size;
    return taken;
}

/* A little-endian number of `size` bytes. */
static inline uint64_t
fuzz_number(struct fuzz_input *input, size_t size)
{
    struct lsmkv_slice bytes = fuzz_take(input, size);
    uint64_t number = 0;

    for (size_t i = 0; i < bytes.size; i++)
        number |= (uint64_t)((const uint8_t *)bytes.data)[i] << 8 * i;
    return number;
}

/* A copy on the heap, of its very size, so that a sanitizer sees who reads past its end. */
static inline uint8_t *
fuzz_copy(struct lsmkv_slice bytes)
{
    uint8_t *copy = malloc(bytes.size > 0 ? bytes.size : 1);

    fuzz_check(copy != NULL);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return copy;
}

static inline bool
fuzz_equal(struct lsmkv_slice a, struct lsmkv_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
