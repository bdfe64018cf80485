/*
 * common.h - what the benchmark of the engine and that of the mount share beside their report:
 * bytes, what reads have seen, the end after a failure, words of the command line.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const void *data;
    size_t size;
};

/* What reads have seen. */
struct tally {
    uint64_t entries;
    uint64_t bytes;
    uint64_t sum; /* of 64-bit words; a multiple of 8 bytes may be added in parts */
};

static inline void
tally_add(struct tally *tally, const void *data, size_t size)
{
    const unsigned char *at = data;
    uint64_t word, sum = 0;
    size_t left = size;

    for (; left >= sizeof(word); at += sizeof(word), left -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum += word;
    }
    for (word = 0; left > 0; left--)
        word = word << 8 | at[left - 1];
    tally->sum += sum + word;
    tally->bytes += size;
}

/* What of two tallies must be the same if the same was read; never 0 if something was. */
uint64_t tally_check(const struct tally *tally);

/* Prints "PROGRAM: ..." and ends the process with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* As malloc, or ends the process. */
void *need(size_t size);

/* False: the text is no number, or lies outside; that was told. */
bool parse_number(const char *text, double least, double most, double *number);

/* Is `name` one of the names in `text`, which commas part? */
bool names_it(const char *text, const char *name);
/* Is `name` one of those that NULL ends, or are there none? */
bool is_chosen(char **names, const char *name);

#endif
