/*
 * store_fixture.h - a store of fs/ in a mem_env, for the tests of what stands on it.
 *
 * All of it is static inline: it looks into fs/, which tests/support/ may not.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/data.h"
#include "store/records.h"
#include "store/store.h"
#include "store/sweep.h"
#include "support/mem_env.h"
#include "support/random.h"
#include "support/suite.h"

struct store_fixture {
    struct mem_env *env;
    struct lsmkv_options engine;
    struct store_options options;
    struct store *store;
};

static inline void
fixture_open(struct store_fixture *fixture)
{
    char why[512] = "";

    fixture->engine.env = mem_env_base(fixture->env);
    int result = store_open(&fixture->options, &fixture->store, why, sizeof why);
    ck_assert_msg(result == 0, "open: %d %s", result, why);
    ck_assert_int_eq(sweep_new(fixture->store), 0);
}

static inline void
fixture_close(struct store_fixture *fixture)
{
    sweep_free(fixture->store);
    ck_assert_int_eq(store_stop(fixture->store), 0);
    ck_assert_int_eq(store_close(fixture->store), 0);
    fixture->store = NULL;
}

static inline void
fixture_init(struct store_fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->env = mem_env_new();
    lsmkv_options_init(&fixture->engine);
    fixture->engine.write_buffer_size = 1 << 20;
    fixture->engine.table_size = 256 << 10;
    fixture->engine.space_reserve = 1 << 20;
    store_options_init(&fixture->options);
    fixture->options.path = "lsmfs-test-store";
    fixture->options.engine = &fixture->engine;
    fixture->options.create = true;
    fixture_open(fixture);
}

static inline void
fixture_fini(struct store_fixture *fixture)
{
    if (fixture->store)
        fixture_close(fixture);
    mem_env_free(fixture->env);
}

/* Continues in what a power cut now would leave. */
static inline void
fixture_crash(struct store_fixture *fixture, struct mem_crash policy, uint64_t seed)
{
    struct mem_env *image = mem_env_crash(fixture->env, policy, seed);

    fixture_close(fixture);
    mem_env_free(fixture->env);
    fixture->env = image;
    fixture_open(fixture);
}

static inline void
fixture_reopen(struct store_fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

/* How many records `keyspace` has from `lower` to before `upper`. */
static inline size_t
fixture_count(struct store_fixture *fixture, struct lsmkv_keyspace *keyspace,
              struct lsmkv_slice lower, struct lsmkv_slice upper)
{
    struct lsmkv_iter_options options = {.lower = lower, .upper = upper};
    struct lsmkv_iter *iter;
    size_t count = 0;

    ck_assert_int_eq(lsmkv_iter_new(fixture->store->db, keyspace, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_free(iter);
    return count;
}

static inline size_t
fixture_count_tag(struct store_fixture *fixture, enum record_tag tag)
{
    struct record_key lower = record_tag_begin(tag), upper = record_tag_end(tag);

    return fixture_count(fixture, fixture->store->inodes, record_slice(&lower),
                         record_slice(&upper));
}

static inline size_t
fixture_count_chunks(struct store_fixture *fixture)
{
    return fixture_count(fixture, fixture->store->chunks, lsmkv_bytes(NULL, 0),
                         lsmkv_bytes(NULL, 0));
}

static inline void
fixture_sweep(struct store_fixture *fixture)
{
    bool more = true;

    while (more)
        ck_assert_int_eq(sweep_step(fixture->store, &more), 0);
}

#endif
