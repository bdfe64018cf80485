/* test_key.c - the two orders, internal keys, separators. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/key.h"
#include "support/random.h"
#include "support/suite.h"

static const enum lsmkv_order orders[] = {LSMKV_ORDER_BYTES, LSMKV_ORDER_PATH};

static struct lsmkv_slice
key(const char *text)
{
    return lsmkv_bytes(text, strlen(text));
}

/* A NUL cannot stand in a C string: sizes are given. */
#define KEY(literal) lsmkv_bytes(literal, sizeof(literal) - 1)

static int
sign(int value)
{
    return (value > 0) - (value < 0);
}

/* ---- the reference: what the header says, byte by byte ---- */

static int
naive_rank(enum lsmkv_order order, uint8_t byte)
{
    if (order == LSMKV_ORDER_BYTES || byte > '/')
        return byte;
    return byte == '/' ? 0 : byte + 1;
}

static int
naive_compare(enum lsmkv_order order, struct lsmkv_slice a, struct lsmkv_slice b)
{
    const uint8_t *x = a.data;
    const uint8_t *y = b.data;
    size_t i;

    for (i = 0; i < a.size && i < b.size; i++) {
        int difference = naive_rank(order, x[i]) - naive_rank(order, y[i]);

        if (difference != 0)
            return sign(difference);
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

/* Bytes around '/', NUL and the ends are what orders get wrong. */
static struct lsmkv_slice
random_key(struct random *random, uint8_t *out, size_t limit)
{
    static const uint8_t alphabet[] = {0, 1, '-', '.', '/', '0', 'a', 0x7f, 0x80, 0xff};
    size_t size = (size_t)random_below(random, limit + 1);
    size_t i;

    for (i = 0; i < size; i++)
        out[i] = random_below(random, 8) == 0
                     ? (uint8_t)random_next(random)
                     : alphabet[random_below(random, sizeof(alphabet))];
    return lsmkv_bytes(out, size);
}

/* A key that shares a long prefix with `from`. */
static struct lsmkv_slice
vary_key(struct random *random, struct lsmkv_slice from, uint8_t *out, size_t limit)
{
    uint8_t tail[8];
    size_t shared = (size_t)random_below(random, from.size + 1);
    struct lsmkv_slice more = random_key(random, tail, sizeof(tail));
    size_t size = shared + more.size < limit ? more.size : limit - shared;

    memcpy(out, from.data, shared);
    memcpy(out + shared, tail, size);
    return lsmkv_bytes(out, shared + size);
}

/* Copies to the heap, exactly: a sanitizer then sees a read past the end. */
static struct lsmkv_slice
exact(struct lsmkv_slice slice)
{
    uint8_t *copy = malloc(slice.size == 0 ? 1 : slice.size);

    if (copy == NULL)
        abort();
    memcpy(copy, slice.data, slice.size);
    return lsmkv_bytes(copy, slice.size);
}

static void
discard(struct lsmkv_slice slice)
{
    union {
        const void *in;
        void *out;
    } data = {slice.data};

    free(data.out);
}

/* A plain result: Check's assertions cost a write to a pipe each. */
static bool
agrees(enum lsmkv_order order, struct lsmkv_slice a, struct lsmkv_slice b)
{
    int want = naive_compare(order, a, b);

    return sign(key_compare(order, a, b)) == want &&
           sign(key_compare(order, b, a)) == -want && slice_equal(a, b) == (want == 0);
}

START_TEST(test_order_agrees_with_the_naive_one)
{
    struct random random = random_of(random_seed());
    uint8_t one[64], two[64];
    int i;

    for (i = 0; i < 200000; i++) {
        struct lsmkv_slice a = exact(random_key(&random, one, sizeof(one)));
        struct lsmkv_slice b = exact(vary_key(&random, a, two, sizeof(two)));

        if (!agrees(orders[_i], a, b) || !agrees(orders[_i], a, a))
            ck_abort_msg("pair %d", i);
        discard(a);
        discard(b);
    }
}
END_TEST

/* ---- named cases ---- */

START_TEST(test_path_order_nests_like_brackets)
{
    static const char *const sorted[] = {"",      "a",   "a/",    "a/b", "a/b/c", "a/b-c",
                                         "a/b.c", "a-b", "a.txt", "a0",  "ab",    "b"};
    size_t count = sizeof(sorted) / sizeof(sorted[0]);
    size_t i, j;

    for (i = 0; i < count; i++)
        for (j = 0; j < count; j++)
            ck_assert_int_eq(
                sign(key_compare(LSMKV_ORDER_PATH, key(sorted[i]), key(sorted[j]))),
                (i > j) - (i < j));
}
END_TEST

START_TEST(test_slash_ranks_below_nul)
{
    ck_assert_int_lt(key_compare(LSMKV_ORDER_PATH, KEY("a/"), KEY("a\0")), 0);
    ck_assert_int_lt(key_compare(LSMKV_ORDER_PATH, KEY("a"), KEY("a/")), 0);
    ck_assert_int_lt(key_compare(LSMKV_ORDER_PATH, KEY("a/\xff\xff"), KEY("a\0")), 0);
    ck_assert_int_gt(key_compare(LSMKV_ORDER_BYTES, KEY("a/"), KEY("a\0")), 0);
}
END_TEST

START_TEST(test_empty_keys_need_no_data)
{
    struct lsmkv_slice none = {NULL, 0};

    ck_assert_int_eq(key_compare(orders[_i], none, none), 0);
    ck_assert_int_lt(key_compare(orders[_i], none, KEY("\0")), 0);
    ck_assert_int_gt(key_compare(orders[_i], KEY("/"), none), 0);
    ck_assert(slice_equal(none, KEY("")));
}
END_TEST

START_TEST(test_below_is_the_range_from_slash_to_nul)
{
    struct random random = random_of(random_seed());
    uint8_t one[24], two[24], low[25], high[25];
    int i;

    for (i = 0; i < 100000; i++) {
        struct lsmkv_slice a = random_key(&random, one, sizeof(one));
        struct lsmkv_slice k = vary_key(&random, a, two, sizeof(two));
        bool within;

        memcpy(low, one, a.size);
        memcpy(high, one, a.size);
        low[a.size] = '/';
        high[a.size] = '\0';
        within = naive_compare(LSMKV_ORDER_PATH, lsmkv_bytes(low, a.size + 1), k) <= 0 &&
                 naive_compare(LSMKV_ORDER_PATH, k, lsmkv_bytes(high, a.size + 1)) < 0;
        if (a.size == 0)
            within = k.size > 0;
        if (key_is_below(k, a) != within)
            ck_abort_msg("pair %d", i);
    }
}
END_TEST

/* ---- separators ---- */

static bool
separates(enum lsmkv_order order, struct lsmkv_slice left, struct lsmkv_slice right)
{
    size_t size = key_separator_size(order, left, right);
    struct lsmkv_slice separator = lsmkv_bytes(right.data, size);
    struct lsmkv_slice shorter = lsmkv_bytes(right.data, size - 1);

    return size > 0 && size <= right.size && naive_compare(order, left, separator) < 0 &&
           naive_compare(order, separator, right) <= 0 &&
           naive_compare(order, left, shorter) >= 0;
}

START_TEST(test_separator_is_the_shortest_prefix_after_the_left_key)
{
    struct random random = random_of(random_seed());
    uint8_t one[32], two[32];
    int i;

    for (i = 0; i < 200000; i++) {
        struct lsmkv_slice a = random_key(&random, one, sizeof(one));
        struct lsmkv_slice b = vary_key(&random, a, two, sizeof(two));
        int order = naive_compare(orders[_i], a, b);

        if ((order < 0 && !separates(orders[_i], a, b)) ||
            (order > 0 && !separates(orders[_i], b, a)))
            ck_abort_msg("pair %d", i);
    }
}
END_TEST

/* '.' + 1 is '/': an incremented byte would be the lowest of all in path order. */
START_TEST(test_separators_around_dot_slash_zero_and_nul)
{
    static const char bytes[] = {'.', '/', '0', '\0', '-', '1'};
    size_t i, j;

    for (i = 0; i < sizeof(bytes); i++) {
        for (j = 0; j < sizeof(bytes); j++) {
            char left[] = {'d', bytes[i], 'x', 'y'};
            char right[] = {'d', bytes[j], 'p', 'q'};
            struct lsmkv_slice a = lsmkv_bytes(left, sizeof(left));
            struct lsmkv_slice b = lsmkv_bytes(right, sizeof(right));

            if (naive_compare(orders[_i], a, b) < 0)
                ck_assert(separates(orders[_i], a, b));
        }
    }
    ck_assert_uint_eq(key_separator_size(LSMKV_ORDER_PATH, KEY("a/z"), KEY("a.b")), 2);
    ck_assert_uint_eq(key_separator_size(LSMKV_ORDER_PATH, KEY("a"), KEY("a\0b")), 2);
    ck_assert_uint_eq(key_separator_size(LSMKV_ORDER_PATH, KEY(""), KEY("abc")), 1);
}
END_TEST

/* ---- internal keys ---- */

START_TEST(test_internal_key_has_these_bytes)
{
    static const uint8_t want[] = {'k',  '/',  0x02, 0x07, 0x06,
                                   0x05, 0x04, 0x03, 0x02, 0x01};
    struct keybuf buf = {0};

    ck_assert_int_eq(
        keybuf_set_internal(&buf, KEY("k/"), UINT64_C(0x01020304050607), KIND_PUT_TIMED),
        0);
    ck_assert_uint_eq(buf.size, sizeof(want));
    ck_assert_mem_eq(buf.data, want, sizeof(want));
    ck_assert(slice_equal(internal_user_key(keybuf_slice(&buf)), KEY("k/")));
    ck_assert_uint_eq(internal_sequence(keybuf_slice(&buf)), UINT64_C(0x01020304050607));
    ck_assert_uint_eq(internal_kind(keybuf_slice(&buf)), KIND_PUT_TIMED);
    keybuf_fini(&buf);
}
END_TEST

START_TEST(test_kinds_keep_their_values)
{
    int kind;

    ck_assert_int_eq(KIND_DELETE, 0x00);
    ck_assert_int_eq(KIND_PUT, 0x01);
    ck_assert_int_eq(KIND_PUT_TIMED, 0x02);
    ck_assert_int_eq(KIND_PUT_STAMPED, 0x03);
    ck_assert_int_eq(KIND_BLOB_BIT, 0x10);
    for (kind = 0; kind < 256; kind++)
        ck_assert(kind_is_known((uint8_t)kind) ==
                  (kind <= 3 || (kind >= 0x11 && kind <= 0x13)));
}
END_TEST

static int
compare_internal(enum lsmkv_order order, const char *a, uint64_t sequence_a,
                 uint8_t kind_a, const char *b, uint64_t sequence_b, uint8_t kind_b)
{
    struct keybuf one = {0}, two = {0};
    int result;

    ck_assert_int_eq(keybuf_set_internal(&one, key(a), sequence_a, kind_a), 0);
    ck_assert_int_eq(keybuf_set_internal(&two, key(b), sequence_b, kind_b), 0);
    result = internal_key_compare(order, keybuf_slice(&one), keybuf_slice(&two));
    keybuf_fini(&one);
    keybuf_fini(&two);
    return sign(result);
}

START_TEST(test_newest_version_comes_first)
{
    enum lsmkv_order order = orders[_i];

    ck_assert_int_eq(compare_internal(order, "k", 9, KIND_PUT, "k", 8, KIND_PUT), -1);
    ck_assert_int_eq(compare_internal(order, "k", 8, KIND_PUT, "k", 9, KIND_DELETE), 1);
    ck_assert_int_eq(compare_internal(order, "k", 8, KIND_PUT, "k", 8, KIND_PUT), 0);
    ck_assert_int_eq(compare_internal(order, "a", 1, KIND_PUT, "b", 9, KIND_PUT), -1);
    /* A seek to the newest version at or below 8 stands before each version of 8. */
    ck_assert_int_eq(compare_internal(order, "k", 8, 0xff, "k", 8, KIND_PUT_STAMPED), -1);
    ck_assert_int_eq(compare_internal(order, "k", 8, 0xff, "k", 9, KIND_DELETE), 1);
    ck_assert_int_eq(compare_internal(order, "k", SEQUENCE_MAX, 0xff, "k", 1, 0), -1);
    /* The trailer's bytes never take part in the order of user keys. */
    ck_assert_int_eq(compare_internal(order, "k", 1, KIND_PUT, "k/", 9, KIND_PUT), -1);
}
END_TEST

START_TEST(test_keybuf_grows_and_may_be_set_from_itself)
{
    struct keybuf buf = {0};
    char want[301];
    int i;

    ck_assert_int_eq(keybuf_set(&buf, KEY("")), 0);
    for (i = 0; i < 100; i++) {
        memcpy(want + 3 * i, "xyz", 3);
        ck_assert_int_eq(keybuf_append(&buf, KEY("xyz")), 0);
    }
    ck_assert_uint_eq(buf.size, 300);
    ck_assert_mem_eq(buf.data, want, 300);
    ck_assert_int_eq(keybuf_set(&buf, lsmkv_bytes(buf.data + 1, 299)), 0);
    ck_assert_mem_eq(buf.data, want + 1, 299);
    keybuf_fini(&buf);
    ck_assert(buf.data == NULL && buf.size == 0 && buf.capacity == 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("key");
    TCase *tests = tcase_create("all");

    tcase_add_loop_test(tests, test_order_agrees_with_the_naive_one, 0, 2);
    tcase_add_test(tests, test_path_order_nests_like_brackets);
    tcase_add_test(tests, test_slash_ranks_below_nul);
    tcase_add_loop_test(tests, test_empty_keys_need_no_data, 0, 2);
    tcase_add_test(tests, test_below_is_the_range_from_slash_to_nul);
    tcase_add_loop_test(tests, test_separator_is_the_shortest_prefix_after_the_left_key,
                        0, 2);
    tcase_add_loop_test(tests, test_separators_around_dot_slash_zero_and_nul, 0, 2);
    tcase_add_test(tests, test_internal_key_has_these_bytes);
    tcase_add_test(tests, test_kinds_keep_their_values);
    tcase_add_loop_test(tests, test_newest_version_comes_first, 0, 2);
    tcase_add_test(tests, test_keybuf_grows_and_may_be_set_from_itself);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
