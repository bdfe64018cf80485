/*
 * keys.h - the keys and payloads that every engine is given, and the random choices among them.
 *
 * Key n is a path of 27 bytes, of a tree with 50 files in a directory:
 *
 *     src/tree/0000/0012/00000623
 *
 * Its first bytes are those of every other key, as paths' are.
 */
#ifndef BENCH_KEYS_H
#define BENCH_KEYS_H

#include "common.h"

enum { KEY_SIZE = 27, FILES_IN_DIRECTORY = 50, PAYLOAD_MAX = 64 << 10 };

struct key {
    char text[KEY_SIZE + 1];
    size_t size;
};

struct key key_of(uint64_t n);
/* One that is not there, and sorts among those that are. */
struct key key_absent(uint64_t n);
/* The directory of key n with its slash: sorts in front of all in it. */
struct key key_directory(uint64_t n);

static inline struct bytes
key_bytes(const struct key *key)
{
    return (struct bytes){key->text, key->size};
}

/* What payloads are made of. */
enum payload_kind {
    PAYLOAD_NOISE, /* random bytes, which do not compress */
    PAYLOAD_WORDS, /* of 128, in lines: LZ4 makes some 60 % of blocks of them */
};

/* Bytes, the same for the same n; static. */
struct bytes payload_of(uint64_t n, size_t size);
/* Before the first payload_of. */
void payloads_init(enum payload_kind kind);

/* A permutation of the numbers below count. */
uint64_t permute(uint64_t n, uint64_t count);

struct random {
    uint64_t state;
};

uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t bound);

/* Numbers below `count` with the skew of YCSB (0.99); 0 is the most frequent. */
struct zipf {
    uint64_t count;
    double zeta, eta, alpha;
};

void zipf_init(struct zipf *zipf, uint64_t count);
uint64_t zipf_next(const struct zipf *zipf, struct random *random);

#endif
