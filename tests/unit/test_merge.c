/* test_merge.c - the merging iterator against one sorted array. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "iter/merge.h"
#include "support/array_iterator.h"
#include "support/random.h"
#include "support/suite.h"

enum { SOURCES_MAX = 7 };

static const enum lsmkv_order orders[] = {LSMKV_ORDER_BYTES, LSMKV_ORDER_PATH};

static struct entry_array whole;
static struct entry_array parts[SOURCES_MAX];
static struct array_control controls[SOURCES_MAX];
static struct iterator *it;

/* What the last move skipped: until a seek or a turn, steps may leave such entries out. */
static struct {
    bool set;
    uint64_t sequence;
    struct keybuf bound;
    bool bounded;
} skipped;

static struct lsmkv_slice
random_key(struct random *random, uint8_t *out)
{
    static const uint8_t alphabet[] = {0, '.', '/', 'a', 0xff};
    size_t size = (size_t)random_below(random, 4);

    for (size_t i = 0; i < size; i++)
        out[i] = alphabet[random_below(random, sizeof(alphabet))];
    return lsmkv_bytes(out, size);
}

/* `count` entries dealt to `sources` children, some of which may get none. */
static void
begin(enum lsmkv_order order, struct random *random, size_t sources, size_t count)
{
    struct iterator *children[SOURCES_MAX];

    whole.order = order;
    for (size_t i = 0; i < sources; i++)
        parts[i].order = order;
    for (uint64_t sequence = 1; sequence <= count; sequence++) {
        uint8_t key[8];
        struct lsmkv_slice user = random_key(random, key);
        struct lsmkv_slice payload = lsmkv_bytes(&sequence, sizeof(sequence));

        entry_array_add(&whole, user, sequence, KIND_PUT, payload);
        entry_array_add(&parts[random_below(random, sources)], user, sequence, KIND_PUT,
                        payload);
    }
    entry_array_sort(&whole);
    for (size_t i = 0; i < sources; i++) {
        entry_array_sort(&parts[i]);
        controls[i] = (struct array_control){0};
        children[i] = array_iterator_new(&parts[i], &controls[i]);
    }
    ck_assert_int_eq(merge_new(order, children, sources, &it), 0);
    ck_assert(!it->valid);
    skipped.set = false;
}

static void
finish(size_t sources)
{
    iterator_free(it);
    for (size_t i = 0; i < sources; i++) {
        ck_assert_uint_eq(controls[i].freed, 1);
        entry_array_fini(&parts[i]);
    }
    entry_array_fini(&whole);
    keybuf_fini(&skipped.bound);
}

static bool
may_be_left_out(size_t at)
{
    struct lsmkv_slice key = whole.entries[at].key;

    return skipped.set && internal_sequence(key) <= skipped.sequence &&
           (!skipped.bounded || key_compare(whole.order, internal_user_key(key),
                                            keybuf_slice(&skipped.bound)) < 0);
}

/* The index a step forwards led to: the next one, or one behind entries left out. */
static size_t
stepped(size_t at)
{
    size_t to = it->valid ? entry_array_ceiling(&whole, it->entry->key) : whole.count;

    ck_assert_uint_gt(to, at);
    while (++at < to)
        ck_assert(may_be_left_out(at));
    return to;
}

static void
assert_at(size_t at)
{
    ck_assert_int_eq(it->status, 0);
    ck_assert_int_eq(it->valid, at < whole.count);
    if (!it->valid)
        return;
    ck_assert(slice_equal(it->entry->key, whole.entries[at].key));
    ck_assert(slice_equal(it->entry->payload, whole.entries[at].payload));
}

static size_t
naive_skip(size_t at, uint64_t sequence, struct lsmkv_slice bound)
{
    for (; at < whole.count; at++) {
        struct lsmkv_slice key = whole.entries[at].key;

        if (internal_sequence(key) > sequence ||
            (bound.data != NULL &&
             key_compare(whole.order, internal_user_key(key), bound) >= 0))
            break;
    }
    return at;
}

static size_t
skip(struct random *random, size_t at, struct lsmkv_slice bound)
{
    skipped.set = true;
    skipped.sequence = random_below(random, whole.count + 2);
    skipped.bounded = random_below(random, 4) != 0;
    ck_assert_int_eq(keybuf_set(&skipped.bound, bound), 0);
    bound = skipped.bounded ? keybuf_slice(&skipped.bound) : lsmkv_bytes(NULL, 0);
    if (skipped.bounded && bound.data == NULL)
        bound.data = "";
    iterator_skip_older(it, skipped.sequence, bound);
    return naive_skip(at, skipped.sequence, bound);
}

/* One random move of the merge and of an index into the whole array. */
static size_t
move(struct random *random, size_t at)
{
    struct keybuf target = {0};
    uint8_t key[8];
    uint64_t chosen;
    size_t found;

    ck_assert_int_eq(keybuf_set_internal(&target, random_key(random, key),
                                         random_below(random, whole.count + 2), KIND_PUT),
                     0);
    found = entry_array_ceiling(&whole, keybuf_slice(&target));
    chosen = at < whole.count ? random_below(random, 12) : random_below(random, 4);
    if (chosen < 4 || chosen > 8)
        skipped.set = false;
    switch (chosen) {
    case 0:
        iterator_first(it);
        at = 0;
        break;
    case 1:
        iterator_last(it);
        at = whole.count - 1; /* SIZE_MAX of none is no entry either */
        break;
    case 2:
        iterator_seek(it, keybuf_slice(&target));
        at = found;
        break;
    case 3:
        iterator_seek_before(it, keybuf_slice(&target));
        if (found == whole.count ||
            !slice_equal(whole.entries[found].key, keybuf_slice(&target)))
            found--;
        at = found;
        break;
    case 4:
        if (!skipped.set) {
            at = skip(random, at, internal_user_key(keybuf_slice(&target)));
            break;
        } /* else what both left out would be mixed up */
        __attribute__((fallthrough));
    case 5:
    case 6:
    case 7:
    case 8:
        iterator_next(it);
        at = stepped(at);
        break;
    default:
        iterator_prev(it);
        at--;
        break;
    }
    keybuf_fini(&target);
    return at;
}

START_TEST(test_any_walk_sees_what_one_sorted_array_shows)
{
    struct random random = random_of(random_seed());

    for (int round = 0; round < 150; round++) {
        size_t sources = (size_t)random_below(&random, SOURCES_MAX - 1) + 2;
        size_t at = SIZE_MAX;

        begin(orders[_i], &random, sources, (size_t)random_below(&random, 120));
        for (int i = 0; i < 300; i++) {
            at = move(&random, at);
            assert_at(at);
        }
        finish(sources);
    }
}
END_TEST

START_TEST(test_a_step_forwards_moves_one_child_only)
{
    struct random random = random_of(random_seed());
    size_t moves = 0;

    begin(LSMKV_ORDER_PATH, &random, 5, 1000);
    for (iterator_first(it); it->valid; iterator_next(it))
        ;
    for (int i = 0; i < 5; i++)
        moves += controls[i].steps + controls[i].seeks;
    ck_assert_uint_eq(moves, 1000 + 5);
    finish(5);
}
END_TEST

START_TEST(test_one_child_stands_for_itself)
{
    struct iterator *child = array_iterator_new(&whole, NULL);

    ck_assert_int_eq(merge_new(LSMKV_ORDER_PATH, &child, 1, &it), 0);
    ck_assert_ptr_eq(it, child);
    iterator_free(it);
}
END_TEST

START_TEST(test_no_children_are_an_empty_iterator)
{
    ck_assert_int_eq(merge_new(LSMKV_ORDER_PATH, NULL, 0, &it), 0);
    iterator_first(it);
    ck_assert(!it->valid && it->status == 0);
    iterator_seek_before(it, lsmkv_bytes("12345678", 8));
    ck_assert(!it->valid && it->status == 0);
    iterator_free(it);
}
END_TEST

START_TEST(test_an_empty_iterator_keeps_its_error)
{
    it = iterator_new_empty(-EIO);
    ck_assert_ptr_nonnull(it);
    iterator_first(it);
    iterator_seek(it, lsmkv_bytes("12345678", 8));
    ck_assert(!it->valid);
    ck_assert_int_eq(it->status, -EIO);
    iterator_free(it);
}
END_TEST

/* A read error is not the end of the data: the walk stops with it, at once or later, but
 * never passes it; and a seek elsewhere works again. */
START_TEST(test_an_error_of_a_child_ends_the_walk)
{
    struct random random = random_of(random_seed());

    for (int round = 0; round < 100; round++) {
        bool backwards = random_coin(&random);
        struct lsmkv_slice bad;
        size_t failing;

        begin(orders[_i], &random, 3, 60);
        do
            failing = (size_t)random_below(&random, 3);
        while (parts[failing].count == 0);
        controls[failing].failure = -EIO;
        controls[failing].fail_at = (size_t)random_below(&random, parts[failing].count);
        bad = parts[failing].entries[controls[failing].fail_at].key;
        if (backwards)
            iterator_last(it);
        else
            iterator_first(it);
        while (it->valid) {
            int order = internal_key_compare(orders[_i], it->entry->key, bad);

            ck_assert(backwards ? order > 0 : order < 0);
            if (backwards)
                iterator_prev(it);
            else
                iterator_next(it);
        }
        ck_assert_int_eq(it->status, -EIO);
        controls[failing].failure = 0;
        iterator_first(it);
        assert_at(0);
        finish(3);
    }
}
END_TEST

START_TEST(test_an_error_met_while_turning_ends_the_walk)
{
    begin(LSMKV_ORDER_PATH, &(struct random){7}, 2, 40);
    iterator_first(it);
    while (it->valid) {
        controls[0].failure = controls[1].failure = 0;
        iterator_next(it);
        if (!it->valid)
            break;
        for (int i = 0; i < 2; i++) {
            controls[i].failure = -EBADMSG;
            controls[i].fail_at = 0;
        }
        iterator_prev(it);
        if (!it->valid) {
            ck_assert_int_eq(it->status, -EBADMSG);
            break;
        }
        iterator_next(it);
        ck_assert(it->valid);
    }
    ck_assert_int_eq(it->status, -EBADMSG);
    finish(2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("merge");
    TCase *tests = tcase_create("all");

    tcase_add_loop_test(tests, test_any_walk_sees_what_one_sorted_array_shows, 0, 2);
    tcase_add_test(tests, test_a_step_forwards_moves_one_child_only);
    tcase_add_test(tests, test_one_child_stands_for_itself);
    tcase_add_test(tests, test_no_children_are_an_empty_iterator);
    tcase_add_test(tests, test_an_empty_iterator_keeps_its_error);
    tcase_add_loop_test(tests, test_an_error_of_a_child_ends_the_walk, 0, 2);
    tcase_add_test(tests, test_an_error_met_while_turning_ends_the_walk);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
