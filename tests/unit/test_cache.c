/* test_cache.c - the block cache: its bound, its pins, and many threads at once. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/heap_env.h"
#include "support/mem_env.h"
#include "support/random.h"
#include "support/suite.h"
#include "table/cache.h"

#define CAPACITY (1u << 20)
#define BLOCK    4096u

static struct mem_env *memory;
static struct lsmkv_env *env;
static struct block_cache *cache;

static void
setup(void)
{
    memory = mem_env_new();
    ck_assert_ptr_nonnull(memory);
    env = mem_env_base(memory);
    ck_assert_int_eq(block_cache_new(env, CAPACITY, &cache), 0);
}

static void
teardown(void)
{
    block_cache_free(cache);
    mem_env_free(memory);
}

/* A block that says whose it is. */
static uint8_t *
bytes_of(uint64_t table, uint64_t offset, size_t size)
{
    uint8_t *data = env->allocate(env, size);

    if (data != NULL) {
        memset(data, 0, size);
        memcpy(data, &table, sizeof(table));
        memcpy(data + 8, &offset, sizeof(offset));
    }
    return data;
}

static bool
is_block_of(const struct block *block, uint64_t table, uint64_t offset)
{
    return memcmp(block->data, &table, 8) == 0 &&
           memcmp(block->data + 8, &offset, 8) == 0;
}

static const struct block *
insert(uint64_t table, uint64_t offset, size_t size)
{
    uint8_t *data = bytes_of(table, offset, size);
    const struct block *block;

    ck_assert_ptr_nonnull(data);
    block = block_cache_insert(cache, table, offset, data, size - 5, size);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(block->size, size - 5);
    return block;
}

START_TEST(test_what_was_put_in_is_found)
{
    const struct block *put = insert(1, 4096, BLOCK);
    const struct block *found = block_cache_get(cache, 1, 4096);

    ck_assert_ptr_eq(put, found);
    ck_assert(is_block_of(found, 1, 4096));
    ck_assert_ptr_null(block_cache_get(cache, 2, 4096));
    ck_assert_ptr_null(block_cache_get(cache, 1, 0));
    block_unpin(put);
    block_unpin(found);
}
END_TEST

START_TEST(test_bytes_never_exceed_the_capacity)
{
    struct random random = random_of(random_seed());

    for (uint64_t i = 0; i < 3000; i++) {
        block_unpin(insert(1, i, 100 + random_below(&random, 3 * BLOCK)));
        ck_assert_uint_le(block_cache_bytes(cache), CAPACITY);
    }
    ck_assert_uint_gt(block_cache_bytes(cache), CAPACITY / 2);
}
END_TEST

START_TEST(test_a_pinned_block_stays)
{
    const struct block *pinned = insert(7, 7, BLOCK), *found;

    for (uint64_t i = 0; i < 3000; i++)
        block_unpin(insert(1, i, BLOCK));
    found = block_cache_get(cache, 7, 7);
    ck_assert_ptr_eq(found, pinned);
    ck_assert(is_block_of(pinned, 7, 7));
    block_unpin(found);
    block_unpin(pinned);
    for (uint64_t i = 0; i < 6000; i++)
        block_unpin(insert(2, i, BLOCK));
    ck_assert_ptr_null(block_cache_get(cache, 7, 7));
}
END_TEST

START_TEST(test_beside_pinned_blocks_others_are_handed_out_and_not_kept)
{
    const struct block *pinned[600];

    for (uint64_t i = 0; i < 600; i++) { /* two times what there is room for */
        pinned[i] = insert(1, i, BLOCK);
        ck_assert(is_block_of(pinned[i], 1, i));
        ck_assert_uint_le(block_cache_bytes(cache), CAPACITY);
    }
    for (uint64_t i = 0; i < 600; i++) {
        ck_assert(is_block_of(pinned[i], 1, i));
        block_unpin(pinned[i]);
    }
    block_unpin(insert(2, 1, BLOCK));
    block_unpin(block_cache_get(cache, 2, 1));
}
END_TEST

/* The hot blocks are asked for again after 320 others were read, and 243 have room. */
START_TEST(test_a_scan_leaves_what_was_asked_for_again)
{
    enum { HOT = 40, BETWEEN = 8, SCANNED = 20000 };
    unsigned missing = 0;

    for (uint64_t i = 0; i < HOT; i++)
        block_unpin(insert(7, i, BLOCK));
    for (uint64_t i = 0; i < HOT * 2; i++)
        block_unpin(block_cache_get(cache, 7, i % HOT));
    for (uint64_t i = 0; i < SCANNED; i++) {
        const struct block *hot = NULL;

        block_unpin(insert(1, i, BLOCK));
        if (i % BETWEEN == 0)
            hot = block_cache_get(cache, 7, i / BETWEEN % HOT);
        if (hot != NULL)
            block_unpin(hot);
        else if (i % BETWEEN == 0)
            missing++;
    }
    ck_assert_uint_lt(missing, SCANNED / BETWEEN / 10);
}
END_TEST

START_TEST(test_buffers_are_used_again)
{
    enum { READ = 3000, LARGE = 4 * CAPACITY };
    struct buffers_seen {
        uint8_t *at[READ];
    } *seen = calloc(1, sizeof(*seen));
    unsigned different = 0;

    ck_assert_ptr_nonnull(seen);
    block_cache_free(cache);
    ck_assert_int_eq(block_cache_new(env, LARGE, &cache), 0);
    for (uint64_t i = 0; i < READ; i++) {
        size_t allocated;
        unsigned before = 0;

        seen->at[i] = block_cache_buffer(cache, 1, i, BLOCK + 5, &allocated);
        ck_assert_ptr_nonnull(seen->at[i]);
        ck_assert_uint_ge(allocated, BLOCK + 5);
        ck_assert_uint_le(allocated, BLOCK + 5 + BLOCK / 16);
        block_unpin(block_cache_insert(cache, 1, i, seen->at[i], BLOCK, allocated));
        while (seen->at[before] != seen->at[i])
            before++;
        different += before == i;
    }
    /* No more than fit, and the spare ones. */
    ck_assert_uint_le(different, LARGE / BLOCK + 32);
    free(seen);
}
END_TEST

/* Bug: the blocks of tables that a merge had replaced stayed, often found as they had been, and what
 * was read instead of them had to go. */
START_TEST(test_what_is_forgotten_makes_room)
{
    const size_t empty = block_cache_bytes(cache);
    const struct block *pinned;

    for (uint64_t i = 0; i < 100; i++)
        block_unpin(insert(1, i * BLOCK, BLOCK));
    pinned = block_cache_get(cache, 1, 0);
    for (uint64_t i = 0; i < 100; i++)
        block_cache_forget(cache, 1, i * BLOCK);
    block_cache_forget(cache, 2, 0); /* was never there */
    ck_assert(is_block_of(pinned, 1, 0));
    for (uint64_t i = 0; i < 100; i++) {
        const struct block *block = block_cache_get(cache, 1, i * BLOCK);

        ck_assert_ptr_eq(block, i == 0 ? pinned : NULL);
        if (block != NULL)
            block_unpin(block);
    }
    block_unpin(pinned);
    block_cache_forget(cache, 1, 0);
    ck_assert_uint_eq(block_cache_bytes(cache), empty);
    block_unpin(insert(1, 0, BLOCK)); /* the table is sound: it can come again */
    pinned = block_cache_get(cache, 1, 0);
    ck_assert(is_block_of(pinned, 1, 0));
    block_unpin(pinned);
}
END_TEST

/* Bug: buffers kept for the next block came on top of the capacity. */
START_TEST(test_buffers_kept_for_the_next_block_are_within_the_capacity)
{
    enum { LARGE = 4 * CAPACITY };
    struct random random = random_of(random_seed());
    struct heap_env heap;
    struct block_cache *counted;

    heap_env_init(&heap);
    ck_assert_int_eq(block_cache_new(&heap.base, LARGE, &counted), 0);
    for (uint64_t i = 0; i < 3000; i++) {
        size_t allocated;
        size_t size = BLOCK + random_below(&random, BLOCK);
        uint8_t *buffer = block_cache_buffer(counted, 1, i, size, &allocated);

        ck_assert_ptr_nonnull(buffer);
        block_unpin(block_cache_insert(counted, 1, i, buffer, BLOCK, allocated));
        ck_assert_uint_le(heap.bytes, LARGE);
    }
    ck_assert_uint_gt(heap.bytes, LARGE / 10 * 9);
    block_cache_free(counted);
    ck_assert_uint_eq(heap.bytes, 0);
}
END_TEST

static void
insert_many(uint64_t table)
{
    for (uint64_t i = 0; i < 3000; i++)
        block_unpin(insert(table, i, BLOCK));
}

START_TEST(test_what_is_charged_is_taken_from_the_blocks)
{
    insert_many(1);
    ck_assert_uint_gt(block_cache_bytes(cache), CAPACITY / 2);
    block_cache_charge(cache, CAPACITY / 2);
    insert_many(2);
    ck_assert_uint_le(block_cache_bytes(cache), CAPACITY / 2);
    ck_assert_uint_gt(block_cache_bytes(cache), CAPACITY / 4);
    block_cache_charge(cache, 8 * CAPACITY); /* a fourth is left */
    insert_many(3);
    ck_assert_uint_le(block_cache_bytes(cache), CAPACITY / 4);
    ck_assert_uint_gt(block_cache_bytes(cache), CAPACITY / 8);
    block_cache_discharge(cache, 8 * CAPACITY + CAPACITY / 2);
    insert_many(4);
    ck_assert_uint_gt(block_cache_bytes(cache), CAPACITY / 2);
}
END_TEST

START_TEST(test_a_fourth_may_be_lent)
{
    enum { LARGE = 16 * CAPACITY };
    unsigned lent = 0;

    ck_assert(block_cache_lend(cache, CAPACITY)); /* a MiB always */
    ck_assert(!block_cache_lend(cache, 1));
    insert_many(1);
    ck_assert_uint_le(block_cache_bytes(cache), CAPACITY / 4);
    block_cache_take_back(cache, CAPACITY);
    insert_many(2);
    ck_assert_uint_gt(block_cache_bytes(cache), CAPACITY / 2);

    block_cache_free(cache);
    ck_assert_int_eq(block_cache_new(env, LARGE, &cache), 0);
    while (block_cache_lend(cache, CAPACITY))
        lent++;
    ck_assert_uint_eq(lent, 4);
    block_cache_take_back(cache, CAPACITY);
    ck_assert(block_cache_lend(cache, CAPACITY / 2));
    ck_assert(!block_cache_lend(cache, CAPACITY));
}
END_TEST

START_TEST(test_a_block_in_use_stays_while_unused_ones_go)
{
    block_unpin(insert(7, 7, BLOCK));
    for (uint64_t i = 0; i < 3000; i++) {
        const struct block *used = block_cache_get(cache, 7, 7);

        ck_assert_ptr_nonnull(used);
        block_unpin(used);
        block_unpin(insert(1, i, BLOCK));
    }
}
END_TEST

START_TEST(test_the_second_of_two_inserts_gets_the_first_block)
{
    const struct block *first = insert(1, 1, BLOCK);
    size_t bytes = block_cache_bytes(cache);
    const struct block *second = insert(1, 1, BLOCK);

    ck_assert_ptr_eq(first, second);
    ck_assert_uint_eq(block_cache_bytes(cache), bytes);
    block_unpin(first);
    block_unpin(second);
}
END_TEST

START_TEST(test_a_block_larger_than_the_cache_is_pinned_only)
{
    size_t bytes;
    const struct block *large;

    block_unpin(insert(1, 1, BLOCK));
    bytes = block_cache_bytes(cache);
    large = insert(1, 2, 2 * CAPACITY);
    ck_assert(is_block_of(large, 1, 2));
    ck_assert_uint_eq(block_cache_bytes(cache), bytes);
    ck_assert_ptr_null(block_cache_get(cache, 1, 2));
    block_unpin(large);
}
END_TEST

START_TEST(test_a_detached_block_is_not_kept)
{
    uint8_t *data = bytes_of(3, 3, BLOCK);
    const struct block *block = block_cache_detached(cache, data, BLOCK, BLOCK);

    ck_assert_ptr_nonnull(block);
    ck_assert(is_block_of(block, 3, 3));
    ck_assert_uint_eq(block_cache_bytes(cache), 0);
    block_unpin(block);
}
END_TEST

START_TEST(test_a_cache_of_nothing_still_hands_out_blocks)
{
    block_cache_free(cache);
    ck_assert_int_eq(block_cache_new(env, 0, &cache), 0);
    block_unpin(insert(1, 1, BLOCK));
    ck_assert_uint_eq(block_cache_bytes(cache), 0);
    ck_assert_ptr_null(block_cache_get(cache, 1, 1));
}
END_TEST

/* ---- threads ---- */

#define THREADS 4
#define STEPS   20000

/* Gets or puts blocks of a range larger than the cache; returns NULL if each was its
 * own. */
static void *
use_cache(void *argument)
{
    struct random random = random_of(*(const uint64_t *)argument);
    static char wrong[] = "a wrong block", none[] = "no memory";

    for (int step = 0; step < STEPS; step++) {
        uint64_t table = 1 + random_below(&random, 3);
        uint64_t offset = random_below(&random, 300) * BLOCK;
        const struct block *block = block_cache_get(cache, table, offset);

        if (block == NULL) {
            uint8_t *data = bytes_of(table, offset, BLOCK);

            block = data == NULL
                        ? NULL
                        : block_cache_insert(cache, table, offset, data, BLOCK, BLOCK);
        }
        if (block == NULL)
            return none;
        if (!is_block_of(block, table, offset))
            return wrong;
        block_unpin(block);
        if (block_cache_bytes(cache) > CAPACITY)
            return wrong;
    }
    return NULL;
}

START_TEST(test_threads_always_get_the_block_they_asked_for)
{
    uint64_t seed = random_seed();
    uint64_t seeds[THREADS];
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        seeds[i] = seed + i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_cache, &seeds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *problem;

        ck_assert_int_eq(pthread_join(threads[i], &problem), 0);
        ck_assert_ptr_null(problem);
    }
}
END_TEST

static Suite *
cache_suite(void)
{
    Suite *suite = suite_create("cache");
    TCase *tcase = tcase_create("cache");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_what_was_put_in_is_found);
    tcase_add_test(tcase, test_bytes_never_exceed_the_capacity);
    tcase_add_test(tcase, test_a_pinned_block_stays);
    tcase_add_test(tcase, test_beside_pinned_blocks_others_are_handed_out_and_not_kept);
    tcase_add_test(tcase, test_a_scan_leaves_what_was_asked_for_again);
    tcase_add_test(tcase, test_buffers_are_used_again);
    tcase_add_test(tcase, test_what_is_forgotten_makes_room);
    tcase_add_test(tcase, test_buffers_kept_for_the_next_block_are_within_the_capacity);
    tcase_add_test(tcase, test_what_is_charged_is_taken_from_the_blocks);
    tcase_add_test(tcase, test_a_fourth_may_be_lent);
    tcase_add_test(tcase, test_a_block_in_use_stays_while_unused_ones_go);
    tcase_add_test(tcase, test_the_second_of_two_inserts_gets_the_first_block);
    tcase_add_test(tcase, test_a_block_larger_than_the_cache_is_pinned_only);
    tcase_add_test(tcase, test_a_detached_block_is_not_kept);
    tcase_add_test(tcase, test_a_cache_of_nothing_still_hands_out_blocks);
    tcase_add_test(tcase, test_threads_always_get_the_block_they_asked_for);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    return run_suite(cache_suite());
}
