/* The engine against a sorted array, under random operations. */
#include <check.h>
#include <stdlib.h>

#include "support/rounds.h"
#include "support/suite.h"
#include "support/world.h"

#define STEPS 1000000

/* LSMKV_STEPS overrides the number of operations, LSMKV_SEED the seed. */
static uint64_t
steps(void)
{
    const char *given = getenv("LSMKV_STEPS");

    return given != NULL ? strtoull(given, NULL, 10) : rounds_of(STEPS, 0);
}

static void
run(bool dead_ranges)
{
    struct world *world = malloc(sizeof(*world));

    ck_assert_ptr_nonnull(world);
    world_init(world, random_seed(), dead_ranges);
    for (uint64_t i = steps() / 2; i > 0; i--)
        world_step(world);
    world_check(world);
    world_reopen(world);
    world_check(world);
    world_fini(world);
    free(world);
}

START_TEST(test_engine_holds_what_a_sorted_array_holds)
{
    run(true);
}
END_TEST

START_TEST(test_engine_holds_it_without_dead_ranges_too)
{
    run(false);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("model");
    TCase *tcase = tcase_create("model");

    tcase_set_timeout(tcase, 900);
    tcase_add_test(tcase, test_engine_holds_what_a_sorted_array_holds);
    tcase_add_test(tcase, test_engine_holds_it_without_dead_ranges_too);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
