/* keys.c - see keys.h. */
#include "keys.h"

#include <math.h>

static const char key_form[] = "src/tree/0000/0000/00000000";
enum { POOL_SIZE = 1 << 20, DIRECTORIES_IN_DIRECTORY = 1000 };

static unsigned char pool[POOL_SIZE + PAYLOAD_MAX];

/* ---- keys ---- */

static void
write_digits(char *last, uint64_t number, int digits)
{
    for (; digits > 0; digits--, number /= 10)
        *last-- = (char)('0' + number % 10);
}

struct key
key_of(uint64_t n)
{
    struct key key = {.size = KEY_SIZE};
    uint64_t directory = n / FILES_IN_DIRECTORY;

    memcpy(key.text, key_form, sizeof(key_form));
    write_digits(key.text + 12, directory / DIRECTORIES_IN_DIRECTORY, 4);
    write_digits(key.text + 17, directory % DIRECTORIES_IN_DIRECTORY, 4);
    write_digits(key.text + 26, n, 8);
    return key;
}

struct key
key_absent(uint64_t n)
{
    struct key key = key_of(n);

    key.text[KEY_SIZE - 1] = 'x';
    return key;
}

struct key
key_directory(uint64_t n)
{
    struct key key = key_of(n);

    key.size = 19;
    return key;
}

/* ---- payloads ---- */

static uint64_t
mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A word of 2 to 9 letters; its size. */
static size_t
word_of(uint64_t n, char *word)
{
    uint64_t letters = mix(n % 128 + 1);
    size_t size = 2 + letters % 8;

    for (size_t i = 0; i < size; i++)
        word[i] = (char)('a' + (letters >> (8 + 5 * i)) % 26);
    return size;
}

static void
fill_with_words(void)
{
    size_t at = 0;

    for (uint64_t n = 0; at < sizeof(pool); n++) {
        char word[16];
        size_t size = word_of(mix(n), word);

        word[size++] = n % 12 == 11 ? '\n' : ' ';
        if (size > sizeof(pool) - at)
            size = sizeof(pool) - at;
        memcpy(pool + at, word, size);
        at += size;
    }
}

void
payloads_init(enum payload_kind kind)
{
    if (kind == PAYLOAD_WORDS) {
        fill_with_words();
        return;
    }
    for (size_t i = 0; i < sizeof(pool); i += sizeof(uint64_t)) {
        uint64_t word = mix(i);

        memcpy(pool + i, &word, sizeof(word));
    }
}

struct bytes
payload_of(uint64_t n, size_t size)
{
    return (struct bytes){pool + (mix(n) % POOL_SIZE & ~(uint64_t)7), size};
}

/* ---- random choices ---- */

/* A Feistel network of the next even number of bits, walked until it falls below count. */
uint64_t
permute(uint64_t n, uint64_t count)
{
    unsigned half = 1;

    while ((uint64_t)1 << 2 * half < count)
        half++;
    do {
        uint64_t mask = ((uint64_t)1 << half) - 1;
        uint64_t left = n >> half, right = n & mask;

        for (uint64_t round = 1; round <= 3; round++) {
            uint64_t next = (left ^ mix(right + (round << 40))) & mask;

            left = right;
            right = next;
        }
        n = left << half | right;
    } while (n >= count);
    return n;
}

uint64_t
random_next(struct random *random)
{
    return mix(random->state++);
}

__extension__ typedef unsigned __int128 wide;

uint64_t
random_below(struct random *random, uint64_t bound)
{
    return (uint64_t)((wide)random_next(random) * bound >> 64);
}

static const double skew = 0.99;

void
zipf_init(struct zipf *zipf, uint64_t count)
{
    double of_two = 1 + pow(0.5, skew);

    zipf->count = count;
    zipf->zeta = 0;
    for (uint64_t i = 1; i <= count; i++)
        zipf->zeta += pow(1 / (double)i, skew);
    zipf->alpha = 1 / (1 - skew);
    zipf->eta = (1 - pow(2 / (double)count, 1 - skew)) / (1 - of_two / zipf->zeta);
}

/* Gray et al., "Quickly generating billion-record synthetic databases", 1994. */
uint64_t
zipf_next(const struct zipf *zipf, struct random *random)
{
    double u = (double)(random_next(random) >> 11) * 0x1p-53;
    uint64_t n;

    if (u * zipf->zeta < 1)
        return 0;
    if (u * zipf->zeta < 1 + pow(0.5, skew))
        return 1;
    n = (uint64_t)((double)zipf->count * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
    return n < zipf->count ? n : zipf->count - 1;
}
