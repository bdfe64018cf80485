/* test_dead_ranges.c - which range serves which scan, and what becomes of too many. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iter/dead_ranges.h"
#include "support/random.h"
#include "support/suite.h"

static struct dead_ranges *ranges;
static struct dead_range found;

static void
setup(void)
{
    ck_assert_int_eq(dead_ranges_new(LSMKV_ORDER_PATH, 4, &ranges), 0);
}

static void
teardown(void)
{
    dead_ranges_free(ranges);
    dead_range_fini(&found);
}

static void
add(const char *from, const char *to, uint64_t sequence)
{
    dead_ranges_add(ranges, lsmkv_str(from), lsmkv_str(to), sequence);
}

static bool
find(const char *key, uint64_t sequence)
{
    return dead_ranges_find(ranges, lsmkv_str(key), sequence, &found);
}

/* As dead_ranges_hold has it. */
static bool
held(const char *key, uint64_t sequence)
{
    return dead_ranges_hold(ranges, lsmkv_str(key), sequence);
}

static void
assert_found(const char *from, const char *to, uint64_t sequence)
{
    ck_assert(slice_equal(keybuf_slice(&found.from), lsmkv_str(from)));
    ck_assert(slice_equal(keybuf_slice(&found.to), lsmkv_str(to)));
    ck_assert_uint_eq(found.sequence, sequence);
}

START_TEST(test_an_empty_list_knows_nothing)
{
    ck_assert(!find("a", SEQUENCE_MAX));
    ck_assert(!held("a", SEQUENCE_MAX));
}
END_TEST

START_TEST(test_a_range_holds_its_first_key_but_not_its_end)
{
    add("b", "d", 10);
    ck_assert(find("b", 10));
    assert_found("b", "d", 10);
    ck_assert(find("c/x", 10));
    assert_found("b", "d", 10);
    ck_assert(!find("d", 10));
    ck_assert(held("b", 10));
    ck_assert(held("c/x", 11));
    ck_assert(!held("c/x", 9));
    ck_assert(!held("d", 10));
    ck_assert(!held("a", 10)); /* though there is one ahead */
}
END_TEST

START_TEST(test_a_key_before_is_told_of_the_first_range_ahead)
{
    add("x", "y", 10);
    add("f", "g", 10);
    ck_assert(find("a", 10));
    assert_found("f", "g", 10);
}
END_TEST

/* What was dead at 10 may have lived at 9. */
START_TEST(test_a_scan_below_the_sequence_never_gets_the_range)
{
    add("b", "d", 10);
    ck_assert(!find("b", 9));
    ck_assert(find("b", 11));
}
END_TEST

START_TEST(test_of_overlapping_ranges_the_newest_allowed_serves)
{
    add("b", "m", 10);
    add("c", "e", 30);
    add("c", "d", 20);
    ck_assert(find("c", 40));
    assert_found("c", "e", 30);
    ck_assert(find("c", 29));
    assert_found("c", "d", 20);
    ck_assert(find("c", 19));
    assert_found("b", "m", 10);
    ck_assert(find("e", 40));
    assert_found("b", "m", 10);
}
END_TEST

START_TEST(test_touching_ranges_of_one_sequence_become_one)
{
    add("a", "c", 10);
    add("e", "g", 10);
    add("c", "e", 10);
    ck_assert(find("a", 10));
    assert_found("a", "g", 10);
    add("f", "h", 10);
    ck_assert(find("a", 10));
    assert_found("a", "h", 10);
    add("b", "c", 10);
    ck_assert(find("a", 10));
    assert_found("a", "h", 10);
}
END_TEST

/* D1: joined at either sequence the claim would be false. */
START_TEST(test_touching_ranges_of_two_sequences_stay_two)
{
    add("a", "c", 10);
    add("c", "e", 20);
    ck_assert(find("a", 30));
    assert_found("a", "c", 10);
    ck_assert(find("c", 30));
    assert_found("c", "e", 20);
    ck_assert(!find("c", 15));
}
END_TEST

START_TEST(test_ranges_apart_stay_apart)
{
    add("a", "c", 10);
    add("d", "e", 10);
    ck_assert(find("a", 10));
    assert_found("a", "c", 10);
}
END_TEST

START_TEST(test_the_order_is_the_keyspaces)
{
    add("a/", "a-", 10); /* empty in the order of bytes */
    ck_assert(find("a/x", 10));
    assert_found("a/", "a-", 10);
    ck_assert(!find("a.", 10));
}
END_TEST

START_TEST(test_a_range_of_nothing_is_not_kept)
{
    add("b", "b", 10);
    add("c", "b", 10);
    ck_assert(!find("a", 10));
}
END_TEST

START_TEST(test_a_range_with_a_huge_key_is_not_kept)
{
    static char huge[DEAD_RANGE_KEY_MAX + 1];

    memset(huge, 'b', sizeof(huge));
    dead_ranges_add(ranges, lsmkv_str("a"), lsmkv_bytes(huge, sizeof(huge)), 10);
    dead_ranges_add(ranges, lsmkv_bytes(huge, sizeof(huge)), lsmkv_str("c"), 10);
    ck_assert(!find("", 10));
    dead_ranges_add(ranges, lsmkv_str("a"), lsmkv_bytes(huge, sizeof(huge) - 1), 10);
    ck_assert(find("", 10));
}
END_TEST

START_TEST(test_a_full_list_forgets_what_was_longest_unused)
{
    add("a", "b", 1);
    add("c", "d", 2);
    add("e", "f", 3);
    add("g", "h", 4);
    ck_assert(find("a", 9)); /* now c is the longest unused */
    add("i", "j", 5);
    ck_assert(find("c", 9));
    assert_found("e", "f", 3);
    ck_assert(find("a", 9));
    assert_found("a", "b", 1);
    ck_assert(find("i", 9));
    assert_found("i", "j", 5);
}
END_TEST

/* Ranges of one key at a sequence equal to it: whatever is found must be one that was added,
 * whole.  For the sanitizers above all. */
static void *
add_and_find(void *argument)
{
    struct random random = random_of((uintptr_t)argument);
    struct dead_range mine = {0};

    for (int i = 0; i < 3000; i++) {
        uint64_t number = random_below(&random, 900);
        char from[8], to[8];

        snprintf(from, sizeof(from), "%03u", (unsigned)number);
        snprintf(to, sizeof(to), "%03ux", (unsigned)number);
        dead_ranges_add(ranges, lsmkv_str(from), lsmkv_str(to), number);
        if (!dead_ranges_find(ranges, lsmkv_str(from), number, &mine))
            continue;
        ck_assert_uint_eq(mine.from.size, 3);
        ck_assert_uint_eq(mine.to.size, 4);
        ck_assert_int_eq(memcmp(mine.from.data, mine.to.data, 3), 0);
        ck_assert_uint_le(mine.sequence, number);
    }
    dead_range_fini(&mine);
    return NULL;
}

START_TEST(test_threads_find_whole_ranges_only)
{
    pthread_t threads[3];

    for (uintptr_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_and_find, (void *)i), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("dead_ranges");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_an_empty_list_knows_nothing);
    tcase_add_test(tests, test_a_range_holds_its_first_key_but_not_its_end);
    tcase_add_test(tests, test_a_key_before_is_told_of_the_first_range_ahead);
    tcase_add_test(tests, test_a_scan_below_the_sequence_never_gets_the_range);
    tcase_add_test(tests, test_of_overlapping_ranges_the_newest_allowed_serves);
    tcase_add_test(tests, test_touching_ranges_of_one_sequence_become_one);
    tcase_add_test(tests, test_touching_ranges_of_two_sequences_stay_two);
    tcase_add_test(tests, test_ranges_apart_stay_apart);
    tcase_add_test(tests, test_the_order_is_the_keyspaces);
    tcase_add_test(tests, test_a_range_of_nothing_is_not_kept);
    tcase_add_test(tests, test_a_range_with_a_huge_key_is_not_kept);
    tcase_add_test(tests, test_a_full_list_forgets_what_was_longest_unused);
    tcase_add_test(tests, test_threads_find_whole_ranges_only);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
