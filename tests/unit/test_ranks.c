/* test_ranks.c - searching ranks: against looking at all of them. */
#include "support/suite.h"
#include "table/ranks.h"

#include <check.h>
#include <stdlib.h>

static size_t
look_at_all(const struct ranks *ranks, uint64_t least)
{
    size_t at = 0;

    while (at < ranks->count && ranks->levels[0][at] < least)
        at++;
    return at;
}

static void
assert_found(const struct ranks *ranks, uint64_t least)
{
    ck_assert_uint_eq(ranks_find(ranks, least), look_at_all(ranks, least));
}

static void
assert_all_found(const struct ranks *ranks)
{
    assert_found(ranks, 0);
    assert_found(ranks, UINT64_MAX);
    for (size_t i = 0; i < ranks->count; i++) {
        uint64_t number = ranks->levels[0][i];

        assert_found(ranks, number);
        assert_found(ranks, number - 1);
        assert_found(ranks, number + 1);
    }
}

/* Every number of lines and of levels: up to eight, 64, 512 and more; some numbers stand many
 * times, the greatest there is among them. */
START_TEST(test_a_search_finds_what_looking_at_all_does)
{
    for (size_t count = 0; count < 700; count += count < 140 ? 1 : 37)
        for (uint64_t most = 0; most < 3; most++) {
            struct ranks ranks;
            uint64_t number = 0;

            ck_assert_int_eq(ranks_reserve(&ranks, count), 0);
            for (size_t i = 0; i < count; i++) {
                number += i % 3 == 0 ? most * (i + 1) : 0;
                ranks.levels[0][i] = most == 2 && i + 20 > count ? UINT64_MAX : number;
            }
            ranks_build(&ranks);
            assert_all_found(&ranks);
            ranks_fini(&ranks);
        }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ranks");
    TCase *cases = tcase_create("ranks");

    tcase_add_test(cases, test_a_search_finds_what_looking_at_all_does);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
