/*
 * table_fixture.h - what tests of tables stand on: a directory in memory, a cache, a
 * reporter that counts, and tables filled from a sorted array that knows the right
 * answers.
 *
 * Every function fails the running test on an error of its own.
 */
#ifndef SUPPORT_TABLE_FIXTURE_H
#define SUPPORT_TABLE_FIXTURE_H

#include "support/fault_env.h"
#include "support/mem_env.h"
#include "support/random.h"
#include "table/table.h"

struct table_fixture {
    struct mem_env *memory;
    struct fault_env *fault; /* around it */
    struct env_dir *dir;
    struct block_cache *cache;
    struct reporter reporter;
    struct tally counters;
    struct open_files *files; /* two at a time */
    struct table_context context;
    enum lsmkv_compression compression; /* of tables that table_model_write makes; none */
    unsigned reports;                   /* lines reported */
    char last_report[600];
};

/* With a cache of `cache_bytes`, blocks of `block_size`, 10 filter bits a key. */
void table_fixture_init(struct table_fixture *fixture, size_t cache_bytes,
                        size_t block_size);
void table_fixture_fini(struct table_fixture *fixture);

/* An entry of the array. */
struct table_model_entry {
    struct keybuf key; /* internal */
    struct keybuf payload;
};

/* Zero it to begin. */
struct table_model {
    enum lsmkv_order order;
    struct table_model_entry *entries;
    size_t count;
    size_t capacity;
};

void table_model_fini(struct table_model *model);
/* Adds a put of `value`; in any order of keys. */
void table_model_put(struct table_model *model, struct lsmkv_slice key, uint64_t sequence,
                     struct lsmkv_slice value);
void table_model_delete(struct table_model *model, struct lsmkv_slice key,
                        uint64_t sequence);
/* Random versions of random keys over an alphabet of '.', '/', '0', NUL and letters. */
void table_model_fill_random(struct table_model *model, struct random *random,
                             size_t count);
/* A key as table_model_fill_random makes them, in `out` (16 bytes). */
struct lsmkv_slice table_model_random_key(struct random *random, uint8_t *out);
void table_model_sort(struct table_model *model);
/* The first entry at or after an internal key; `count` if none. */
size_t table_model_ceiling(const struct table_model *model, struct lsmkv_slice internal);

struct lsmkv_slice table_model_key(const struct table_model *model, size_t i);
struct lsmkv_slice table_model_user_key(const struct table_model *model, size_t i);
struct lsmkv_slice table_model_payload(const struct table_model *model, size_t i);

/* Writes the sorted array as table `number`; the meta is checked and thrown away. */
void table_model_write(const struct table_model *model, struct table_fixture *fixture,
                       uint64_t number);
struct table *table_fixture_open(struct table_fixture *fixture, uint64_t number);

/* The whole file; malloced. */
uint8_t *table_fixture_read(struct table_fixture *fixture, uint64_t number, size_t *size);
/* Makes the file hold just these bytes. */
void table_fixture_replace(struct table_fixture *fixture, uint64_t number,
                           const uint8_t *bytes, size_t size);

/* Fails unless `a` and `b` are the same bytes. */
void assert_slices(struct lsmkv_slice a, struct lsmkv_slice b);

#endif
