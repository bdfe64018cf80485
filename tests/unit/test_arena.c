/* test_arena.c - pieces that never move, and reservations that hold. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memtable/arena.h"
#include "support/heap_env.h"
#include "support/random.h"
#include "support/rounds.h"
#include "support/suite.h"

static struct heap_env env;
static struct block_pool pool;
static struct arena arena;

static void
setup(void)
{
    heap_env_init(&env);
    pool_init(&pool, &env.base);
    arena_init(&arena, &pool);
}

static void
teardown(void)
{
    arena_fini(&arena);
    ck_assert_uint_eq(env.buffers, 0);
    ck_assert_uint_eq(env.bytes, 0);
    pool_fini(&pool);
}

START_TEST(test_pieces_are_aligned_and_never_overlap)
{
    enum { COUNT = 3000 };
    static uint8_t *pieces[COUNT];
    static size_t sizes[COUNT];
    struct random random = random_of(random_seed());

    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = (size_t)random_below(&random, i % 100 == 0 ? 400000 : 300) + 1;
        if (random_coin(&random)) {
            pieces[i] = arena_allocate_lines(&arena, sizes[i]);
            ck_assert_uint_eq((uintptr_t)pieces[i] % ARENA_LINE, 0);
        } else {
            pieces[i] = arena_allocate(&arena, sizes[i]);
            ck_assert_uint_eq((uintptr_t)pieces[i] % ARENA_ALIGNMENT, 0);
        }
        ck_assert_ptr_nonnull(pieces[i]);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(pieces[i][0], i % 251);
        ck_assert_mem_eq(pieces[i], pieces[i] + 1, sizes[i] - 1);
    }
}
END_TEST

START_TEST(test_memory_is_what_the_env_gave)
{
    ck_assert_uint_eq(arena_memory(&arena), 0);
    for (int i = 0; i < 10000; i++) {
        ck_assert_ptr_nonnull(arena_allocate(&arena, 1000));
        ck_assert_uint_eq(arena_memory(&arena), env.bytes);
    }
    ck_assert_uint_lt(env.bytes, 10000 * 1000 * 5 / 4);
    ck_assert_uint_lt(env.buffers, 40);
}
END_TEST

START_TEST(test_an_idle_arena_is_small)
{
    ck_assert_ptr_nonnull(arena_allocate(&arena, 100));
    ck_assert_uint_le(arena_memory(&arena), 4096);
}
END_TEST

START_TEST(test_a_large_piece_does_not_waste_the_current_block)
{
    uint8_t *before = arena_allocate(&arena, 8);
    size_t memory;

    ck_assert_ptr_nonnull(before);
    memory = arena_memory(&arena);
    ck_assert_ptr_nonnull(arena_allocate(&arena, 1 << 20));
    ck_assert_uint_lt(arena_memory(&arena), memory + (1 << 20) + 64);
    ck_assert_ptr_eq(arena_allocate(&arena, 8), before + 8);
}
END_TEST

static size_t
round_up(size_t size, size_t alignment)
{
    return (size + alignment - 1) / alignment * alignment;
}

/* A2, whatever the pieces and however full the current block. */
START_TEST(test_what_is_reserved_is_handed_out_without_memory)
{
    struct random random = random_of(random_seed());

    for (uint64_t round = rounds_of(300, 20); round > 0; round--) {
        size_t left = (size_t)random_below(&random, round % 10 == 0 ? 3000000 : 20000);
        size_t most = left / (size_t)(1 + random_below(&random, 20)) + 1;

        left -= left % ARENA_ALIGNMENT;
        ck_assert_int_eq(arena_reserve(&arena, left), 0);
        env.failing = true;
        while (left > 0) {
            size_t size = (size_t)random_below(&random, most) + 1;

            if (size <= left / 2 && random_coin(&random)) {
                size = round_up(size, ARENA_LINE);
                if (size <= left)
                    ck_assert_ptr_nonnull(arena_allocate_lines(&arena, size));
            } else {
                size = round_up(size < left ? size : left, ARENA_ALIGNMENT);
                ck_assert_ptr_nonnull(arena_allocate(&arena, size));
            }
            left -= size <= left ? size : 0;
        }
        env.failing = false;
    }
}
END_TEST

START_TEST(test_without_memory_the_arena_stays_as_it_was)
{
    uint8_t *piece = arena_allocate(&arena, 8);
    size_t memory = arena_memory(&arena);

    ck_assert_ptr_nonnull(piece);
    ck_assert_int_eq(arena_reserve(&arena, 8000), 0);
    env.failing = true;
    ck_assert_int_eq(arena_reserve(&arena, 1 << 24), -ENOMEM);
    ck_assert_ptr_null(arena_allocate(&arena, 1 << 24));
    ck_assert_ptr_eq(arena_allocate(&arena, 8), piece + 8);
    ck_assert_ptr_nonnull(arena_allocate(&arena, 7900)); /* of the first reservation */
    ck_assert_uint_ge(arena_memory(&arena), memory);
}
END_TEST

START_TEST(test_a_spare_that_is_too_small_goes_back)
{
    ck_assert_int_eq(arena_reserve(&arena, 100), 0);
    ck_assert_int_eq(arena_reserve(&arena, 1 << 20), 0);
    ck_assert_int_eq(arena_reserve(&arena, 1 << 21), 0);
    ck_assert_uint_eq(env.buffers, 1);
    ck_assert_uint_eq(arena_memory(&arena), env.bytes);
}
END_TEST

static void
fill(size_t bytes, size_t piece)
{
    for (size_t done = 0; done < bytes; done += piece)
        ck_assert_ptr_nonnull(arena_allocate(&arena, piece));
}

START_TEST(test_the_next_arena_gets_the_blocks_of_the_last)
{
    enum { BYTES = 8 << 20 };
    size_t piece = _i == 0 ? 1000 : 140000; /* shared blocks, and blocks of their own */
    uint64_t taken;

    pool_expect(&pool, 2 * BYTES);
    fill(BYTES, piece);
    taken = env.buffers;
    arena_fini(&arena);
    ck_assert(pool_keeps(&pool));
    fill(BYTES, piece);
    ck_assert_uint_le(env.buffers, taken);
    ck_assert_uint_eq(arena_memory(&arena) + pool.kept_bytes, env.bytes);
}
END_TEST

START_TEST(test_no_more_is_kept_than_is_still_expected)
{
    enum { BYTES = 8 << 20 };
    struct arena next;

    pool_expect(&pool, BYTES);
    fill(BYTES, 1000);
    pool_expect(&pool, BYTES); /* of the next, which is half full when this one ends */
    arena_init(&next, &pool);
    for (size_t done = 0; done < BYTES / 2; done += 1000)
        ck_assert_ptr_nonnull(arena_allocate(&next, 1000));
    arena_fini(&arena);
    ck_assert(pool_keeps(&pool));
    ck_assert_uint_le(env.bytes, BYTES);
    for (size_t done = 0; done < BYTES; done += 1000) {
        ck_assert_ptr_nonnull(arena_allocate(&next, 1000));
        ck_assert(!pool_keeps(&pool) || env.bytes <= BYTES);
    }
    ck_assert(!pool_keeps(&pool));
    arena_fini(&next);
}
END_TEST

START_TEST(test_what_nobody_takes_goes_back)
{
    pool_expect(&pool, 8 << 20);
    fill(4 << 20, 1000);
    arena_fini(&arena);
    pool_rest(&pool, 3);
    pool_rest(&pool, 3);
    ck_assert(pool_keeps(&pool));
    fill(1 << 10, 1000); /* in use again */
    pool_rest(&pool, 3);
    pool_rest(&pool, 3);
    ck_assert(pool_keeps(&pool));
    pool_rest(&pool, 3);
    ck_assert(!pool_keeps(&pool));
}
END_TEST

/* The env of which only so much can be had, what is kept included. */
START_TEST(test_what_is_kept_makes_way_for_what_does_not_fit_it)
{
    size_t size = 3 << 20;

    pool_expect(&pool, 16 << 20);
    fill(4 << 20, 1000);
    arena_fini(&arena);
    ck_assert(pool_keeps(&pool));
    env.failing = true;
    ck_assert_ptr_null(pool_take(&pool, &size));
    ck_assert(!pool_keeps(&pool));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("arena");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_pieces_are_aligned_and_never_overlap);
    tcase_add_test(tests, test_memory_is_what_the_env_gave);
    tcase_add_test(tests, test_an_idle_arena_is_small);
    tcase_add_test(tests, test_a_large_piece_does_not_waste_the_current_block);
    tcase_add_test(tests, test_what_is_reserved_is_handed_out_without_memory);
    tcase_add_test(tests, test_without_memory_the_arena_stays_as_it_was);
    tcase_add_test(tests, test_a_spare_that_is_too_small_goes_back);
    tcase_add_loop_test(tests, test_the_next_arena_gets_the_blocks_of_the_last, 0, 2);
    tcase_add_test(tests, test_no_more_is_kept_than_is_still_expected);
    tcase_add_test(tests, test_what_nobody_takes_goes_back);
    tcase_add_test(tests, test_what_is_kept_makes_way_for_what_does_not_fit_it);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
