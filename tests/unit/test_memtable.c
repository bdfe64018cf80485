/* test_memtable.c - the skip list against a sorted array, and readers beside the writer. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/record.h"
#include "memtable/memtable.h"
#include "support/array_iterator.h"
#include "support/heap_env.h"
#include "support/random.h"
#include "support/suite.h"
#include "table/filter.h"

static const enum lsmkv_order orders[] = {LSMKV_ORDER_BYTES, LSMKV_ORDER_PATH};

static struct heap_env env;
enum { EXPECTED = 4 << 20 }; /* bytes */

static struct block_pool pool;
static struct memtable *memtable;
static struct entry_array array; /* the same entries, sorted on demand */

static void
begin(enum lsmkv_order order)
{
    heap_env_init(&env);
    array = (struct entry_array){.order = order};
    pool_init(&pool, &env.base);
    ck_assert_int_eq(memtable_new(&pool, order, EXPECTED, &memtable), 0);
}

static void
finish(void)
{
    memtable_free(memtable);
    entry_array_fini(&array);
    pool_fini(&pool);
    ck_assert_uint_eq(env.buffers, 0);
}

static void
add(struct lsmkv_slice key, uint64_t sequence, uint8_t kind, struct lsmkv_slice value)
{
    struct lsmkv_record record = {.attributes = lsmkv_bytes("at", 2), .value = value};
    uint8_t *payload = malloc(record_payload_size(kind, &record) + 1);

    ck_assert_int_eq(memtable_add(memtable, key, sequence, kind, &record), 0);
    record_encode(payload, kind, &record);
    entry_array_add(&array, key, sequence, kind,
                    lsmkv_bytes(payload, record_payload_size(kind, &record)));
    free(payload);
}

static bool
get(struct lsmkv_slice key, uint64_t sequence, struct memtable_hit *hit)
{
    return memtable_get(memtable, key, filter_hash(key), sequence, hit);
}

/* Long shared prefixes, NULs, slashes and ends at every place: what ranks must not confuse. */
static struct lsmkv_slice
random_key(struct random *random, uint8_t *out)
{
    static const char prefix[] = "home/user/projects/source/deep/er/than/this";
    static const uint8_t alphabet[] = {0, 1, '.', '/', '0', 0x7f, 0x80, 0xff};
    size_t size = (size_t)random_below(random, sizeof(prefix));
    size_t tail = (size_t)random_below(random, 12);

    memcpy(out, prefix, size);
    while (tail-- > 0)
        out[size++] = alphabet[random_below(random, sizeof(alphabet))];
    return lsmkv_bytes(out, size);
}

/* Few keys with many versions, many keys with few. */
static void
add_random(struct random *random, size_t count)
{
    uint8_t key[64];

    for (size_t i = 1; i <= count; i++) {
        uint8_t kind = random_below(random, 4) == 0 ? KIND_DELETE : KIND_PUT;
        struct lsmkv_slice chosen = random_key(random, key);

        if (random_below(random, 5) == 0)
            chosen.size = chosen.size < 3 ? chosen.size : 3;
        add(chosen, i, kind, lsmkv_bytes(&i, sizeof(i)));
    }
    entry_array_sort(&array);
}

static void
assert_same(const struct iterator *it, size_t at)
{
    ck_assert_int_eq(it->status, 0);
    ck_assert_int_eq(it->valid, at < array.count);
    if (!it->valid)
        return;
    ck_assert(slice_equal(it->entry->key, array.entries[at].key));
    ck_assert(slice_equal(it->entry->payload, array.entries[at].payload));
}

START_TEST(test_entries_come_out_sorted)
{
    struct random random = random_of(random_seed());
    struct iterator *it;
    size_t at;

    begin(orders[_i]);
    ck_assert(memtable_is_empty(memtable));
    add_random(&random, 5000);
    ck_assert(!memtable_is_empty(memtable));
    ck_assert_uint_eq(memtable_count(memtable), array.count);
    ck_assert_uint_eq(memtable_memory(memtable), env.bytes);
    ck_assert_int_eq(memtable_iterate(memtable, &it), 0);
    ck_assert(!it->valid);
    for (iterator_first(it), at = 0; it->valid; iterator_next(it), at++)
        assert_same(it, at);
    ck_assert_uint_eq(at, array.count);
    for (iterator_last(it), at = array.count; it->valid; iterator_prev(it))
        assert_same(it, --at);
    ck_assert_uint_eq(at, 0);
    iterator_free(it);
    finish();
}
END_TEST

START_TEST(test_inserts_in_order_come_out_sorted)
{
    struct iterator *it;
    size_t at = 0;

    begin(orders[_i]);
    for (uint64_t i = 1; i <= 5000; i++) {
        char key[64];
        int size = snprintf(key, sizeof(key), "home/user/%04u/%06u", (unsigned)i / 100,
                            (unsigned)i);

        add(lsmkv_bytes(key, (size_t)size), i, KIND_PUT, lsmkv_bytes(&i, sizeof(i)));
        if (i % 7 == 0) /* leaves the sequence, and a newer version of the same key */
            add(lsmkv_str("home/user/0000"), i, KIND_PUT, lsmkv_bytes("", 0));
    }
    entry_array_sort(&array);
    ck_assert_int_eq(memtable_iterate(memtable, &it), 0);
    for (iterator_first(it); it->valid; iterator_next(it))
        assert_same(it, at++);
    ck_assert_uint_eq(at, array.count);
    iterator_free(it);
    finish();
}
END_TEST

/* The blocks that it stands in are cut, and their slots used again. */
START_TEST(test_an_iterator_goes_on_while_entries_are_added_around_it)
{
    struct random random = random_of(random_seed());
    struct keybuf last = {0};
    uint64_t sequence, seen = 0;
    struct iterator *it;
    uint8_t key[64];

    begin(orders[_i]);
    add_random(&random, 1000);
    sequence = array.count;
    ck_assert_int_eq(memtable_iterate(memtable, &it), 0);
    for (iterator_first(it); it->valid; iterator_next(it)) {
        if (seen > 0)
            ck_assert_int_lt(
                internal_key_compare(orders[_i], keybuf_slice(&last), it->entry->key), 0);
        ck_assert_int_eq(keybuf_set(&last, it->entry->key), 0);
        if (internal_sequence(it->entry->key) > 1000)
            continue;
        ck_assert(slice_equal(it->entry->key, array.entries[seen].key));
        seen++;
        for (uint64_t i = random_below(&random, 20); i > 0; i--) {
            struct lsmkv_record record = {.value = lsmkv_bytes("", 0)};
            struct lsmkv_slice chosen =
                random_coin(&random)
                    ? random_key(&random, key)
                    : internal_user_key(it->entry->key); /* newer: in front */

            ck_assert_int_eq(
                memtable_add(memtable, chosen, ++sequence, KIND_PUT, &record), 0);
        }
    }
    ck_assert_uint_eq(seen, array.count);
    iterator_free(it);
    keybuf_fini(&last);
    finish();
}
END_TEST

START_TEST(test_seeks_find_what_a_sorted_array_finds)
{
    struct random random = random_of(random_seed());
    struct keybuf target = {0};
    struct iterator *it;

    begin(orders[_i]);
    add_random(&random, 2000);
    ck_assert_int_eq(memtable_iterate(memtable, &it), 0);
    for (int i = 0; i < 20000; i++) {
        uint8_t key[64];
        struct memtable_hit hit;
        size_t at;

        if (random_coin(&random))
            ck_assert_int_eq(
                keybuf_set(&target,
                           array.entries[random_below(&random, array.count)].key),
                0);
        else
            ck_assert_int_eq(keybuf_set_internal(&target, random_key(&random, key),
                                                 random_below(&random, 2100), 0xff),
                             0);
        at = entry_array_ceiling(&array, keybuf_slice(&target));
        iterator_seek(it, keybuf_slice(&target));
        assert_same(it, at);
        ck_assert_int_eq(memtable_ceiling(memtable, keybuf_slice(&target), &hit),
                         at < array.count);
        if (at < array.count)
            ck_assert(slice_equal(hit.key, array.entries[at].key));
        iterator_seek_before(it, keybuf_slice(&target));
        if (at == array.count ||
            !slice_equal(array.entries[at].key, keybuf_slice(&target)))
            at = at == 0 ? SIZE_MAX : at - 1;
        assert_same(it, at);
    }
    iterator_free(it);
    keybuf_fini(&target);
    finish();
}
END_TEST

START_TEST(test_get_finds_the_newest_version_at_or_below)
{
    struct random random = random_of(random_seed());

    begin(orders[_i]);
    add_random(&random, 2000);
    for (int i = 0; i < 20000; i++) {
        size_t of = random_below(&random, array.count);
        struct lsmkv_slice key = internal_user_key(array.entries[of].key);
        uint64_t sequence = random_below(&random, 2100);
        const struct array_entry *newest = NULL;
        struct memtable_hit hit;

        for (size_t j = 0; j < array.count && newest == NULL && i % 20 == 0; j++) {
            if (slice_equal(internal_user_key(array.entries[j].key), key) &&
                internal_sequence(array.entries[j].key) <= sequence)
                newest = &array.entries[j];
        }
        if (!get(key, sequence, &hit)) {
            ck_assert_ptr_null(newest);
            continue;
        }
        ck_assert_uint_le(internal_sequence(hit.key), sequence);
        if (i % 20 != 0)
            continue;
        ck_assert_ptr_nonnull(newest);
        ck_assert(slice_equal(hit.key, newest->key));
        ck_assert(slice_equal(hit.payload, newest->payload));
    }
    finish();
}
END_TEST

START_TEST(test_what_a_get_misses_is_followed_by_what_it_gives)
{
    struct memtable_hit hit;

    begin(orders[_i]);
    add(lsmkv_str("a"), 5, KIND_PUT, lsmkv_bytes("new", 3));
    ck_assert(!get(lsmkv_str("a"), 4, &hit));
    ck_assert_uint_eq(hit.key.size, 0);
    add(lsmkv_str("a"), 6, KIND_PUT, lsmkv_bytes("newer", 5));
    add(lsmkv_str("a/b"), 7, KIND_DELETE, lsmkv_bytes(NULL, 0));
    add(lsmkv_str("a/b"), 8, KIND_PUT, lsmkv_bytes("below", 5));
    /* Its own newer versions are none. */
    ck_assert(!get(lsmkv_str("a"), 4, &hit));
    ck_assert(slice_equal(internal_user_key(hit.key), lsmkv_str("a/b")));
    ck_assert_uint_eq(internal_sequence(hit.key), 8);
    ck_assert(!get(lsmkv_str("b"), 9, &hit));
    ck_assert_uint_eq(hit.key.size, 0);
    finish();
}
END_TEST

/* What a name is asked for that has neither an entry nor one below it. */
START_TEST(test_a_large_memtable_seldom_looks_for_what_is_not_there)
{
    struct memtable_hit hit;
    unsigned searched = 0;
    char key[64];

    begin(orders[_i]);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned n = i * 7919 % 20000; /* in no order */

        add(lsmkv_str((sprintf(key, "top/%u/in/%u", n / 10, n), key)), i + 1,
            n % 3 == 0 ? KIND_DELETE : KIND_PUT, lsmkv_bytes("", 0));
    }
    for (unsigned i = 0; i < 20000; i++) {
        ck_assert(
            get(lsmkv_str((sprintf(key, "top/%u/in/%u", i / 10, i), key)), 20000, &hit));
        ck_assert(!get(lsmkv_str((sprintf(key, "top/%u/in/%u-", i / 10, i), key)), 20000,
                       &hit));
        searched += hit.key.size > 0;
    }
    ck_assert_uint_lt(searched, 20000 / 20);
    for (unsigned i = 0; i < 2000 && orders[_i] == LSMKV_ORDER_PATH; i++)
        for (int in = 0; in < 2; in++) {
            sprintf(key, in ? "top/%u/in" : "top/%u", i);
            ck_assert(!get(lsmkv_str(key), 20000, &hit));
            ck_assert(key_is_below(internal_user_key(hit.key), lsmkv_str(key)));
        }
    finish();
}
END_TEST

/* One key was put over and over before the others came, as a file's record is by who writes to it. */
START_TEST(test_a_memtable_that_began_with_one_key_seldom_looks_either)
{
    struct memtable_hit hit;
    unsigned searched = 0;
    char key[64];

    begin(orders[_i]);
    for (unsigned i = 0; i < 2000; i++)
        add(lsmkv_str("top/log"), i + 1, KIND_PUT, lsmkv_bytes("", 0));
    for (unsigned i = 0; i < 10000; i++)
        add(lsmkv_str((sprintf(key, "top/%u", i), key)), 2001 + i, KIND_PUT,
            lsmkv_bytes("", 0));
    for (unsigned i = 0; i < 10000; i++) {
        ck_assert(get(lsmkv_str((sprintf(key, "top/%u", i), key)), 20000, &hit));
        ck_assert(!get(lsmkv_str((sprintf(key, "top/%u-", i), key)), 20000, &hit));
        searched += hit.key.size > 0;
    }
    ck_assert_uint_lt(searched, 10000 / 20);
    finish();
}
END_TEST

/* A key brings a thousand ancestors: nothing is asked of the filter any more, and all is found. */
START_TEST(test_a_filter_that_would_cost_too_much_is_given_up)
{
    struct memtable_hit hit;
    char deep[2001], key[64];

    begin(LSMKV_ORDER_PATH);
    for (unsigned i = 0; i < 2000; i++) {
        add(lsmkv_str((sprintf(key, "top/%u", i), key)), i + 1, KIND_PUT,
            lsmkv_bytes("", 0));
        if (i != 1500)
            continue;
        for (unsigned at = 0; at < 1000; at++)
            memcpy(deep + 2 * at, "d/", 2);
        deep[1999] = '\0';
        add(lsmkv_str(deep), 5000, KIND_PUT, lsmkv_bytes("", 0));
    }
    for (unsigned i = 0; i < 2000; i++)
        ck_assert(get(lsmkv_str((sprintf(key, "top/%u", i), key)), 6000, &hit));
    ck_assert(get(lsmkv_str(deep), 6000, &hit));
    for (size_t size = 1; size < 1999; size += 2) {
        ck_assert(!get(lsmkv_bytes(deep, size), 6000, &hit));
        ck_assert(key_is_below(internal_user_key(hit.key), lsmkv_bytes(deep, size)));
    }
    finish();
}
END_TEST

START_TEST(test_skip_older_stops_at_newer_entries_and_at_its_bound)
{
    struct random random = random_of(random_seed());
    struct iterator *it, *naive;

    begin(orders[_i]);
    add_random(&random, 500);
    ck_assert_int_eq(memtable_iterate(memtable, &it), 0);
    naive = array_iterator_new(&array, NULL);
    for (int i = 0; i < 5000; i++) {
        struct lsmkv_slice from = array.entries[random_below(&random, array.count)].key;
        struct lsmkv_slice bound =
            internal_user_key(array.entries[random_below(&random, array.count)].key);
        uint64_t sequence =
            random_below(&random, 3) == 0 ? 500 : random_below(&random, 510);

        if (random_below(&random, 5) == 0)
            bound = lsmkv_bytes(NULL, 0);
        iterator_seek(it, from);
        iterator_seek(naive, from);
        iterator_skip_older(it, sequence, bound);
        iterator_skip_older(naive, sequence, bound);
        ck_assert_int_eq(it->valid, naive->valid);
        if (it->valid)
            ck_assert(slice_equal(it->entry->key, naive->entry->key));
    }
    iterator_free(it);
    iterator_free(naive);
    finish();
}
END_TEST

START_TEST(test_keys_and_values_of_every_size_fit)
{
    static uint8_t large[LSMKV_KEY_MAX];
    struct memtable_hit hit;
    uint8_t *value = calloc(1, LSMKV_VALUE_MAX);

    begin(orders[_i]);
    memset(large, 'x', sizeof(large));
    add(lsmkv_bytes(large, sizeof(large)), 1, KIND_PUT,
        lsmkv_bytes(value, LSMKV_VALUE_MAX));
    add(lsmkv_bytes(large, sizeof(large) - 1), 2, KIND_PUT, lsmkv_bytes("", 0));
    add(lsmkv_bytes(NULL, 0), 3, KIND_PUT, lsmkv_bytes("root", 4));
    ck_assert(get(lsmkv_bytes(large, sizeof(large)), 9, &hit));
    ck_assert_uint_eq(hit.payload.size, 3 + LSMKV_VALUE_MAX);
    ck_assert(get(lsmkv_bytes(large, sizeof(large) - 1), 9, &hit));
    ck_assert_uint_eq(hit.payload.size, 3);
    ck_assert(get(lsmkv_bytes("", 0), 9, &hit));
    ck_assert_uint_eq(hit.payload.size, 7);
    free(value);
    finish();
}
END_TEST

START_TEST(test_a_reserved_batch_cannot_fail)
{
    struct random random = random_of(random_seed());

    begin(LSMKV_ORDER_PATH);
    for (uint64_t i = 1; i < 20000;) {
        size_t count = (size_t)random_below(&random, 200) + 1;
        uint8_t value[300] = {0};

        ck_assert_int_eq(
            memtable_reserve(memtable, count * (16 + 4 + sizeof(value)), count), 0);
        env.failing = true;
        for (; count > 0; count--, i++) {
            char key[17];

            snprintf(key, sizeof(key), "%016llx",
                     (unsigned long long)random_next(&random));
            add(lsmkv_bytes(key, 16), i, KIND_PUT, lsmkv_bytes(value, sizeof(value)));
        }
        env.failing = false;
    }
    finish();
}
END_TEST

/* Orders in which the numbers below `count` are added. */
enum order_of_adding { RISING, FALLING, FALLING_PAIRS, FALLING_RUNS, HALVING, ORDERS };

static size_t
number_at(enum order_of_adding order, size_t i, size_t count)
{
    size_t run = order == FALLING_PAIRS ? 2 : 9, bits = 0;

    switch (order) {
    case RISING:
        return i;
    case FALLING:
        return count - 1 - i;
    case FALLING_PAIRS:
    case FALLING_RUNS:
        return count - run * (i / run + 1) + i % run;
    default: /* the bits of i, the other way round: always between others */
        for (size_t bit = 1; bit < count; bit *= 2)
            bits = bits * 2 + ((i & bit) != 0);
        return bits;
    }
}

static void
add_in_order(enum order_of_adding order, size_t count, unsigned offset,
             uint64_t *sequence)
{
    const struct lsmkv_record none = {0};

    for (size_t i = 0; i < count; i++) {
        char key[16];

        snprintf(key, sizeof(key), "/d/%08zx%x", number_at(order, i, count), offset);
        ck_assert_int_eq(
            memtable_add(memtable, lsmkv_bytes(key, 12), ++*sequence, KIND_DELETE, &none),
            0);
    }
}

/* What stood there before decides how many blocks a batch cuts: whole ones, as a list has that was
 * filled in order, are cut by one entry each.  Bug: room was reserved as if each entry cut a
 * block: 616 bytes for one that took 80, so that a batch of 32 MiB took 862 MB. */
START_TEST(test_a_batch_in_any_order_fits_what_is_reserved_and_that_is_little)
{
    enum { COUNT = 9 << 11, BITS = 1 << 14 };
    enum order_of_adding after = (unsigned)_i % ORDERS,
                         before = (unsigned)_i / ORDERS; /* ORDERS: few are */
    size_t count = after == HALVING ? BITS : COUNT;
    uint64_t sequence = 0;

    begin(LSMKV_ORDER_PATH);
    /* So many that pairs in front of pairs fill their block over and over. */
    for (char key[] = "/c/a"; before == ORDERS && key[3] < 'a' + 17; key[3]++)
        add(lsmkv_str(key), ++sequence, KIND_DELETE, lsmkv_bytes(NULL, 0));
    if (before != ORDERS)
        add_in_order(before, before == HALVING ? BITS : COUNT, 0, &sequence);
    for (unsigned round = 1; round < 3; round++) {
        ck_assert_int_eq(memtable_reserve(memtable, count * 20, count), 0);
        env.failing = true;
        add_in_order(after, count, round, &sequence);
        env.failing = false;
    }
    finish();

    begin(LSMKV_ORDER_PATH);
    ck_assert_int_eq(memtable_reserve(memtable, COUNT * 20, COUNT), 0);
    ck_assert_uint_le(env.bytes, COUNT * (20 + 24 + 576 / 4));
    finish();
}
END_TEST

START_TEST(test_without_memory_the_memtable_stays_as_it_was)
{
    struct lsmkv_record record = {.value = lsmkv_bytes("v", 1)};
    struct memtable_hit hit;
    uint64_t sequence = 0;
    int result = 0;

    begin(LSMKV_ORDER_PATH);
    env.failing = true;
    while (result == 0)
        result = memtable_add(memtable, lsmkv_str("k"), ++sequence, KIND_PUT, &record);
    ck_assert_int_eq(result, -ENOMEM);
    ck_assert_uint_eq(memtable_count(memtable), sequence - 1);
    ck_assert_int_eq(memtable_reserve(memtable, 100, 1), -ENOMEM);
    ck_assert_int_eq(memtable_reserve(memtable, SIZE_MAX - 10, 1), -ENOMEM);
    ck_assert(get(lsmkv_str("k"), sequence, &hit));
    ck_assert_uint_eq(internal_sequence(hit.key), sequence - 1);
    env.failing = false;
    ck_assert_int_eq(memtable_add(memtable, lsmkv_str("k"), sequence, KIND_PUT, &record),
                     0);
    finish();
}
END_TEST

START_TEST(test_a_memtable_without_memory_is_not_made)
{
    heap_env_init(&env);
    pool_init(&pool, &env.base);
    env.failing = true;
    ck_assert_int_eq(memtable_new(&pool, LSMKV_ORDER_PATH, EXPECTED, &memtable), -ENOMEM);
    pool_fini(&pool);
}
END_TEST

/* ---- readers beside the writer ----
 *
 * Entry s puts key number s % key_count, and its value is s.  So at sequence R the newest version
 * of key k is known: the greatest s <= R with s % key_count == k. */
enum { ENTRIES = 60000, READERS = 2 };

/* Few: every insert is where a get looks.  As many as entries: blocks are cut everywhere. */
static const uint64_t key_counts[] = {211, 2, ENTRIES};
static uint64_t key_count;

static _Atomic uint64_t published;
static uint64_t race_seed;
static pthread_barrier_t start;

static struct lsmkv_slice
numbered_key(uint64_t number, char *out)
{
    uint64_t scattered = number * UINT64_C(0x9e3779b97f4a7c15) >> 40;

    return lsmkv_bytes(out, (size_t)sprintf(out, "shared/prefix/%06llx/%llu",
                                            (unsigned long long)scattered,
                                            (unsigned long long)number));
}

static void
check_get(uint64_t at, uint64_t key_number)
{
    char key[64];
    uint64_t expected = at - (at + key_count - key_number) % key_count;
    struct memtable_hit hit;
    bool found = get(numbered_key(key_number, key), at, &hit);

    if (at < key_number || expected == 0 || expected > at) {
        ck_assert(!found);
        return;
    }
    ck_assert(found);
    ck_assert_uint_eq(internal_sequence(hit.key), expected);
    ck_assert_uint_eq(hit.payload.size, 1 + sizeof(expected));
    ck_assert_int_eq(
        memcmp((const uint8_t *)hit.payload.data + 1, &expected, sizeof(expected)), 0);
}

/* A whole walk, forwards or backwards, sees every entry up to `at`, in order. */
static void
check_walk(uint64_t at, bool backwards)
{
    struct keybuf last = {0};
    struct iterator *it;
    uint64_t seen = 0;

    ck_assert_int_eq(memtable_iterate(memtable, &it), 0);
    if (backwards)
        iterator_last(it);
    else
        iterator_first(it);
    while (it->valid) {
        if (seen > 0 || last.size > 0) {
            int order = internal_key_compare(LSMKV_ORDER_PATH, keybuf_slice(&last),
                                             it->entry->key);

            ck_assert(backwards ? order > 0 : order < 0);
        }
        seen += internal_sequence(it->entry->key) <= at;
        ck_assert_int_eq(keybuf_set(&last, it->entry->key), 0);
        if (backwards)
            iterator_prev(it);
        else
            iterator_next(it);
    }
    ck_assert_uint_eq(seen, at);
    iterator_free(it);
    keybuf_fini(&last);
}

static void *
read_along(void *argument)
{
    struct random random = random_of(race_seed + (uintptr_t)argument);
    uint64_t at;
    int round = 0;

    pthread_barrier_wait(&start);
    do {
        for (int i = 0; i < 2000; i++) {
            uint64_t back = random_below(&random, 40); /* into blocks that are cut now */

            at = atomic_load_explicit(&published, memory_order_acquire);
            check_get(at - (back < at ? back : 0), random_below(&random, key_count));
        }
        if (round++ % 16 == 0)
            check_walk(at, round % 32 == 1);
    } while (at < ENTRIES);
    return NULL;
}

START_TEST(test_readers_see_every_published_entry_while_the_writer_adds)
{
    pthread_t readers[READERS];

    race_seed = random_seed();
    key_count = key_counts[_i];
    begin(LSMKV_ORDER_PATH);
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, READERS + 1), 0);
    for (uintptr_t i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_along, (void *)i), 0);
    pthread_barrier_wait(&start);
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        char key[64];
        struct lsmkv_record record = {.value = lsmkv_bytes(&i, sizeof(i))};

        ck_assert_int_eq(memtable_add(memtable, numbered_key(i % key_count, key), i,
                                      KIND_PUT, &record),
                         0);
        atomic_store_explicit(&published, i, memory_order_release);
    }
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_join(readers[i], NULL), 0);
    pthread_barrier_destroy(&start);
    finish();
}
END_TEST

/* It answers the same without. */
START_TEST(test_a_memtable_may_do_without_a_filter)
{
    size_t memory[2] = {0, 0};

    for (unsigned round = 0; round < 2; round++) {
        struct memtable_hit hit;
        char key[32];

        begin(LSMKV_ORDER_PATH);
        if (round == 1)
            memtable_forgo_filter(memtable);
        for (unsigned i = 0; i < 5000; i++) {
            snprintf(key, sizeof(key), "d%u/k%u", i % 7, 2 * i);
            add(lsmkv_str(key), i + 1, KIND_PUT, lsmkv_str("value"));
        }
        for (unsigned i = 0; i < 10000; i++) {
            snprintf(key, sizeof(key), "d%u/k%u", i / 2 % 7, i);
            ck_assert_int_eq(get(lsmkv_str(key), SEQUENCE_MAX, &hit), i % 2 == 0);
        }
        memory[round] = memtable_memory(memtable);
        finish();
    }
    ck_assert_uint_lt(memory[1], memory[0]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("memtable");
    TCase *tests = tcase_create("all");

    tcase_add_loop_test(tests, test_entries_come_out_sorted, 0, 2);
    tcase_add_loop_test(tests, test_inserts_in_order_come_out_sorted, 0, 2);
    tcase_add_loop_test(tests, test_an_iterator_goes_on_while_entries_are_added_around_it,
                        0, 2);
    tcase_add_loop_test(tests, test_seeks_find_what_a_sorted_array_finds, 0, 2);
    tcase_add_loop_test(tests, test_get_finds_the_newest_version_at_or_below, 0, 2);
    tcase_add_loop_test(tests, test_what_a_get_misses_is_followed_by_what_it_gives, 0, 2);
    tcase_add_loop_test(tests, test_a_large_memtable_seldom_looks_for_what_is_not_there,
                        0, 2);
    tcase_add_loop_test(
        tests, test_a_memtable_that_began_with_one_key_seldom_looks_either, 0, 2);
    tcase_add_test(tests, test_a_filter_that_would_cost_too_much_is_given_up);
    tcase_add_test(tests, test_a_memtable_may_do_without_a_filter);
    tcase_add_loop_test(tests, test_skip_older_stops_at_newer_entries_and_at_its_bound, 0,
                        2);
    tcase_add_loop_test(tests, test_keys_and_values_of_every_size_fit, 0, 2);
    tcase_add_test(tests, test_a_reserved_batch_cannot_fail);
    tcase_add_loop_test(
        tests, test_a_batch_in_any_order_fits_what_is_reserved_and_that_is_little, 0,
        (ORDERS + 1) * ORDERS);
    tcase_add_test(tests, test_without_memory_the_memtable_stays_as_it_was);
    tcase_add_test(tests, test_a_memtable_without_memory_is_not_made);
    tcase_add_loop_test(
        tests, test_readers_see_every_published_entry_while_the_writer_adds, 0, 3);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
