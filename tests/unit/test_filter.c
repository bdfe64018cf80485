/* test_filter.c - the bloom filter: never a false no, seldom a false yes. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "support/random.h"
#include "support/suite.h"
#include "table/filter.h"

static struct filter_builder builder;
static uint8_t *block;
static struct filter filter;

static void
setup(void)
{
    builder = (struct filter_builder){0};
    block = NULL;
}

static void
teardown(void)
{
    filter_builder_fini(&builder);
    free(block);
}

enum family { NUMBERS, DEEP_PATHS, SHORT_PATHS, FAMILIES };

/* Key `i` of a family: paths, or plain numbers, which differ in few bits. */
static uint64_t
hash_of(enum family family, uint64_t i)
{
    char path[64];
    uint8_t number[8];

    if (family == NUMBERS) {
        put_u64(number, i);
        return filter_hash(lsmkv_bytes(number, sizeof(number)));
    }
    snprintf(path, sizeof(path),
             family == DEEP_PATHS ? "home/user%lu/file-%lu.txt" : "%lu/%lu",
             (unsigned long)(i / 100), (unsigned long)i);
    return filter_hash(lsmkv_str(path));
}

static void
build(enum family family, uint64_t keys, unsigned bits_per_key)
{
    size_t size;

    for (uint64_t i = 0; i < keys; i++)
        ck_assert_int_eq(filter_builder_add(&builder, hash_of(family, i)), 0);
    ck_assert_int_eq(filter_builder_finish(&builder, bits_per_key, &block, &size), 0);
    ck_assert_uint_le(size, keys * bits_per_key * 21 / 160 + FILTER_LINE_SIZE + 1);
    ck_assert_int_eq(filter_decode(lsmkv_bytes(block, size), &filter), 0);
}

static double
passing_share(enum family family, uint64_t present, uint64_t absent)
{
    uint64_t passed = 0;

    for (uint64_t i = present; i < present + absent; i++)
        passed += filter_may_contain(&filter, hash_of(family, i));
    return (double)passed / (double)absent;
}

START_TEST(test_every_key_added_is_found)
{
    static const uint64_t counts[] = {1, 2, 63, 1000, 50000};
    uint64_t count = counts[_i % 5];
    unsigned bits = 1 + (unsigned)_i * 2;

    build((enum family)(_i % FAMILIES), count, bits);
    for (uint64_t i = 0; i < count; i++)
        ck_assert(filter_may_contain(&filter, hash_of((enum family)(_i % FAMILIES), i)));
}
END_TEST

/* The promise is 1 %; the expected share is 0.79 %, give or take 0.06 % of 20,000. */
START_TEST(test_ten_bits_pass_one_in_a_hundred_of_20000_absent_keys)
{
    double share;

    build((enum family)_i, 20000, 10);
    share = passing_share((enum family)_i, 20000, 20000);
    printf("%.3f %% of 20,000 absent keys pass\n", share * 100);
    ck_assert_double_le(share, 0.0100);
    ck_assert_double_ge(share, 0.0058);
}
END_TEST

START_TEST(test_ten_bits_pass_one_in_a_hundred_of_1000000_absent_keys)
{
    double share;

    build((enum family)_i, 1000000, 10);
    share = passing_share((enum family)_i, 1000000, 1000000);
    printf("%.3f %% of 1,000,000 absent keys pass\n", share * 100);
    ck_assert_double_le(share, 0.0085);
    ck_assert_double_ge(share, 0.0073);
}
END_TEST

START_TEST(test_more_bits_pass_fewer_absent_keys)
{
    double last = 1;

    for (unsigned bits = 4; bits <= 24; bits += 4) {
        double share;

        build(DEEP_PATHS, 30000, bits);
        share = passing_share(DEEP_PATHS, 30000, 100000);
        ck_assert_double_lt(share, last);
        last = share;
        teardown();
        setup();
    }
    ck_assert_double_lt(last, 0.001);
}
END_TEST

START_TEST(test_a_malformed_filter_is_refused)
{
    uint8_t bytes[2 * FILTER_LINE_SIZE + 2] = {0};

    ck_assert_int_eq(filter_decode(lsmkv_bytes(bytes, 0), &filter), -EUCLEAN);
    ck_assert_int_eq(filter_decode(lsmkv_bytes(bytes, 1), &filter), -EUCLEAN);
    ck_assert_int_eq(filter_decode(lsmkv_bytes(bytes, FILTER_LINE_SIZE), &filter),
                     -EUCLEAN);
    /* no probes at all would let everything pass; too many, nothing */
    ck_assert_int_eq(filter_decode(lsmkv_bytes(bytes, FILTER_LINE_SIZE + 1), &filter),
                     -EUCLEAN);
    bytes[FILTER_LINE_SIZE] = 17;
    ck_assert_int_eq(filter_decode(lsmkv_bytes(bytes, FILTER_LINE_SIZE + 1), &filter),
                     -EUCLEAN);
    bytes[FILTER_LINE_SIZE] = 6;
    ck_assert_int_eq(filter_decode(lsmkv_bytes(bytes, FILTER_LINE_SIZE + 1), &filter), 0);
    ck_assert_uint_eq(filter.count, 1);
    ck_assert_uint_eq(filter.probes, 6);
}
END_TEST

/* ---- ancestors ---- */

static unsigned
count_ancestors(struct lsmkv_slice previous, struct lsmkv_slice key)
{
    unsigned count = 0;
    size_t at = filter_ancestor_first(previous, key);

    for (; at < key.size; at = filter_ancestor_next(key, at))
        count++;
    return count;
}

START_TEST(test_ancestors_are_prefixes_before_each_slash)
{
    struct lsmkv_slice none = {NULL, 0};

    ck_assert_uint_eq(count_ancestors(none, lsmkv_str("")), 0);
    ck_assert_uint_eq(count_ancestors(none, lsmkv_str("a")), 0);
    ck_assert_uint_eq(count_ancestors(none, lsmkv_str("a/b/c")), 2);
    ck_assert_uint_eq(count_ancestors(none, lsmkv_str("a/")), 1);
    ck_assert_uint_eq(count_ancestors(none, lsmkv_str("/a")), 0);
    ck_assert_uint_eq(count_ancestors(none, lsmkv_str("//a")), 1);
    ck_assert_uint_eq(filter_ancestor_first(none, lsmkv_str("ab/c")), 2);
}
END_TEST

START_TEST(test_ancestors_that_the_key_before_brought_are_left_out)
{
    ck_assert_uint_eq(count_ancestors(lsmkv_str("a"), lsmkv_str("a/b")), 0);
    ck_assert_uint_eq(count_ancestors(lsmkv_str("a/b"), lsmkv_str("a/c")), 0);
    ck_assert_uint_eq(count_ancestors(lsmkv_str("a/b"), lsmkv_str("a/b/c/d")), 1);
    ck_assert_uint_eq(count_ancestors(lsmkv_str("a/b"), lsmkv_str("a//d")), 1);
    ck_assert_uint_eq(count_ancestors(lsmkv_str("a/bc"), lsmkv_str("a/bd/e")), 1);
    ck_assert_uint_eq(count_ancestors(lsmkv_str("a/b"), lsmkv_str("ab/c/d")), 2);
    ck_assert_uint_eq(count_ancestors(lsmkv_str("x/y/z"), lsmkv_str("y/y/z")), 2);
}
END_TEST

static int
compare_path_keys(const void *a, const void *b)
{
    const struct lsmkv_slice *left = a, *right = b;

    return key_compare(LSMKV_ORDER_PATH, *left, *right);
}

/* All prefixes before slashes of all keys, by brute force, against what comes one by
 * one. */
START_TEST(test_no_ancestor_of_sorted_keys_comes_twice_or_is_missing)
{
    enum { KEYS = 400 };
    static const char alphabet[] = {'/', '/', 'a', 'b', '.', '0', '\0'};
    struct random random = random_of(random_seed());
    static uint8_t bytes[KEYS][12];
    struct lsmkv_slice keys[KEYS], previous = {NULL, 0};
    unsigned expected = 0, given = 0;

    for (size_t i = 0; i < KEYS; i++) {
        size_t size = random_below(&random, sizeof(bytes[i]));

        for (size_t j = 0; j < size; j++)
            bytes[i][j] = (uint8_t)alphabet[random_below(&random, sizeof(alphabet))];
        keys[i] = lsmkv_bytes(bytes[i], size);
    }
    qsort(keys, KEYS, sizeof(keys[0]), compare_path_keys);
    for (size_t i = 0; i < KEYS; i++) {
        const uint8_t *key = keys[i].data;

        for (size_t at = 1; at < keys[i].size; at++) {
            bool known = key[at] != '/';

            for (size_t j = 0; j < i && !known; j++)
                known = keys[j].size >= at && memcmp(keys[j].data, key, at) == 0 &&
                        (keys[j].size == at || ((const char *)keys[j].data)[at] == '/');
            expected += !known;
        }
        given += count_ancestors(previous, keys[i]);
        previous = keys[i];
    }
    ck_assert_uint_eq(given, expected);
}
END_TEST

static Suite *
filter_suite(void)
{
    Suite *suite = suite_create("filter");
    TCase *tcase = tcase_create("filter");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_every_key_added_is_found, 0, 15);
    tcase_add_loop_test(tcase, test_ten_bits_pass_one_in_a_hundred_of_20000_absent_keys,
                        0, 3);
    tcase_add_loop_test(tcase, test_ten_bits_pass_one_in_a_hundred_of_1000000_absent_keys,
                        0, 2);
    tcase_add_test(tcase, test_more_bits_pass_fewer_absent_keys);
    tcase_add_test(tcase, test_a_malformed_filter_is_refused);
    tcase_add_test(tcase, test_ancestors_are_prefixes_before_each_slash);
    tcase_add_test(tcase, test_ancestors_that_the_key_before_brought_are_left_out);
    tcase_add_test(tcase, test_no_ancestor_of_sorted_keys_comes_twice_or_is_missing);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    return run_suite(filter_suite());
}
