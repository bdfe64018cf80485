/* test_block.c - blocks: round trips, searches, and bytes that are none. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "support/random.h"
#include "support/rounds.h"
#include "support/suite.h"
#include "table/block.h"

#define ENTRIES 300u

static struct block_builder builder;
static struct block_iter it;

static void
setup(void)
{
    builder = (struct block_builder){0};
    it = (struct block_iter){0};
}

static void
teardown(void)
{
    block_builder_fini(&builder);
    block_iter_fini(&it);
}

/* Entry i has the key "key" 0000i*2 at sequence 9; its payload is i zeros. */
static struct lsmkv_slice
numbered_key(unsigned i, struct keybuf *key)
{
    char user[32];

    snprintf(user, sizeof(user), "key%05u", i * 2);
    ck_assert_int_eq(keybuf_set_internal(key, lsmkv_str(user), 9, KIND_PUT), 0);
    return keybuf_slice(key);
}

static void
build(unsigned count)
{
    static const uint8_t zeros[ENTRIES];
    struct keybuf key = {0};

    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(
            block_builder_add(&builder, numbered_key(i, &key), lsmkv_bytes(zeros, i)), 0);
    ck_assert_uint_eq(builder.entries, count);
    keybuf_fini(&key);
}

static void
finish_and_set(void)
{
    size_t size = block_builder_size(&builder);

    ck_assert_int_eq(block_builder_finish(&builder), 0);
    ck_assert_uint_eq(builder.data.size, size);
    ck_assert_int_eq(block_iter_set(&it, LSMKV_ORDER_BYTES, keybuf_slice(&builder.data)),
                     0);
}

static void
assert_at(unsigned i)
{
    struct keybuf key = {0};

    ck_assert(it.valid);
    ck_assert_int_eq(it.status, 0);
    ck_assert(slice_equal(it.entry.key, numbered_key(i, &key)));
    ck_assert_uint_eq(it.entry.payload.size, i);
    keybuf_fini(&key);
}

START_TEST(test_a_block_is_walked_both_ways)
{
    unsigned count = (unsigned)_i, i = 0;

    build(count);
    finish_and_set();
    for (block_iter_first(&it); it.valid; block_iter_next(&it))
        assert_at(i++);
    ck_assert_uint_eq(i, count);
    for (block_iter_last(&it); it.valid; block_iter_prev(&it))
        assert_at(--i);
    ck_assert_uint_eq(i, 0);
    ck_assert_int_eq(it.status, 0);
}
END_TEST

START_TEST(test_a_cursor_tells_what_follows_in_its_block)
{
    struct iterator_ahead ahead[3];
    unsigned i = 0;

    build(ENTRIES);
    finish_and_set();
    for (block_iter_first(&it); it.valid; block_iter_next(&it), i++) {
        unsigned left = ENTRIES - 1 - i;

        ck_assert_uint_eq(block_iter_peek(&it, ahead, 3), left < 3 ? left : 3);
        for (unsigned k = 0; k < 3 && k < left; k++) {
            ck_assert_uint_eq(ahead[k].payload.size, i + 1 + k);
            ck_assert_int_eq(ahead[k].kind, KIND_PUT);
        }
        assert_at(i);
    }
}
END_TEST

START_TEST(test_a_search_finds_each_key_and_each_gap)
{
    struct keybuf key = {0};

    build(ENTRIES);
    finish_and_set();
    for (unsigned i = 0; i < ENTRIES; i++) {
        block_iter_seek(&it, numbered_key(i, &key));
        assert_at(i);
        block_iter_seek_before(&it, numbered_key(i, &key));
        assert_at(i);
        key.data[7]++; /* between it and the next */
        block_iter_seek_before(&it, keybuf_slice(&key));
        assert_at(i);
        block_iter_seek(&it, keybuf_slice(&key));
        if (i + 1 < ENTRIES)
            assert_at(i + 1);
        else
            ck_assert(!it.valid && it.status == 0);
    }
    ck_assert_int_eq(keybuf_set_internal(&key, lsmkv_str("a"), 9, KIND_PUT), 0);
    block_iter_seek_before(&it, keybuf_slice(&key));
    ck_assert(!it.valid && it.status == 0);
    keybuf_fini(&key);
}
END_TEST

/* ---- one key ---- */

/* Short keys of few different bytes, so that many begin as others do or have versions; bytes
 * that a trailer holds are among them. */
static struct lsmkv_slice
random_user_key(struct random *random, uint8_t bytes[6])
{
    static const uint8_t alphabet[] = {'/', 'a', 'b', 0x00, 0x01, 0xff};
    size_t size = random_below(random, 7);

    for (size_t i = 0; i < size; i++)
        bytes[i] = alphabet[random_below(random, sizeof(alphabet))];
    return lsmkv_bytes(bytes, size);
}

static int
compare_keybufs(const void *left, const void *right, void *order)
{
    return internal_key_compare(*(enum lsmkv_order *)order,
                                keybuf_slice((const struct keybuf *)left),
                                keybuf_slice((const struct keybuf *)right));
}

/* Fills the block with random versions of random keys. */
static void
build_random(enum lsmkv_order order, struct random *random, struct keybuf *keys,
             size_t count)
{
    static const uint8_t zeros[20000];
    size_t longest = random_coin(random) ? 20 : random_coin(random) ? 300 : sizeof(zeros);

    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[6];
        uint64_t sequence = random_below(random, random_coin(random) ? 4 : 1000);

        ck_assert_int_eq(keybuf_set_internal(&keys[i], random_user_key(random, bytes),
                                             sequence, (uint8_t)random_below(random, 4)),
                         0);
    }
    qsort_r(keys, count, sizeof(*keys), compare_keybufs, &order);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || compare_keybufs(&keys[i - 1], &keys[i], &order) != 0)
            ck_assert_int_eq(
                block_builder_add(&builder, keybuf_slice(&keys[i]),
                                  lsmkv_bytes(zeros, random_below(random, longest))),
                0);
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    ck_assert_int_eq(block_iter_set(&it, order, keybuf_slice(&builder.data)), 0);
}

static void
assert_found_as_by_cursor(enum lsmkv_order order, struct lsmkv_slice internal)
{
    struct lsmkv_slice user = internal_user_key(internal);
    struct block_found found;
    int result = block_find(order, keybuf_slice(&builder.data), internal, &found);

    block_iter_seek(&it, internal);
    ck_assert_int_eq(it.status, 0);
    if (it.valid && slice_equal(internal_user_key(it.entry.key), user)) {
        ck_assert_int_eq(result, 0);
        ck_assert_uint_eq(found.trailer, internal_trailer(it.entry.key));
        ck_assert_ptr_eq(found.payload.data, it.entry.payload.data);
        ck_assert_uint_eq(found.payload.size, it.entry.payload.size);
        return;
    }
    ck_assert_int_eq(result, -ENOENT);
    ck_assert_int_eq(found.at_end, !it.valid);
    ck_assert_int_eq(found.below,
                     it.valid && key_is_below(internal_user_key(it.entry.key), user));
}

START_TEST(test_one_key_is_found_as_the_cursor_finds_it)
{
    enum { KEYS = 120, BLOCKS = 200 };
    struct random random = random_of(random_seed());
    struct keybuf keys[KEYS] = {{0}}, target = {0};
    enum lsmkv_order order = (enum lsmkv_order)_i;

    for (unsigned round = 0; round < BLOCKS; round++) {
        size_t count = 1 + random_below(&random, KEYS);

        block_builder_clear(&builder);
        build_random(order, &random, keys, count);
        for (unsigned probe = 0; probe < 3 * KEYS; probe++) {
            struct lsmkv_slice user =
                internal_user_key(keybuf_slice(&keys[random_below(&random, count)]));
            uint8_t bytes[6];

            if (probe % 3 == 0)
                user = random_user_key(&random, bytes);
            ck_assert_int_eq(keybuf_set_internal(&target, user,
                                                 random_below(&random, 1010),
                                                 (uint8_t)random_next(&random)),
                             0);
            assert_found_as_by_cursor(order, keybuf_slice(&target));
        }
    }
    for (size_t i = 0; i < KEYS; i++)
        keybuf_fini(&keys[i]);
    keybuf_fini(&target);
}
END_TEST

START_TEST(test_prefixes_are_stored_once)
{
    build(ENTRIES);
    finish_and_set();
    /* 300 keys of 16 bytes, payloads of 300 * 299 / 2 */
    ck_assert_uint_lt(builder.data.size, 44850 + ENTRIES * 15);
}
END_TEST

START_TEST(test_a_cleared_builder_builds_the_same_block_again)
{
    struct keybuf first = {0};

    build(50);
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    ck_assert_int_eq(keybuf_set(&first, keybuf_slice(&builder.data)), 0);
    block_builder_clear(&builder);
    build(50);
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    ck_assert(slice_equal(keybuf_slice(&first), keybuf_slice(&builder.data)));
    keybuf_fini(&first);
}
END_TEST

/* ---- hostile bytes ---- */

/* Uses every operation; each must end. */
static void
walk_everywhere(struct lsmkv_slice target)
{
    size_t steps = 0;

    for (block_iter_first(&it); it.valid; block_iter_next(&it))
        ck_assert_uint_lt(steps++, 100000);
    for (block_iter_last(&it); it.valid; block_iter_prev(&it))
        ck_assert_uint_lt(steps++, 100000);
    block_iter_seek(&it, target);
    if (it.valid)
        block_iter_prev(&it);
    block_iter_seek_before(&it, target);
    if (it.valid)
        block_iter_next(&it);
}

START_TEST(test_damaged_blocks_are_errors_or_blocks_but_never_a_crash)
{
    struct random random = random_of(random_seed());
    struct keybuf target = {0};
    uint8_t *bytes;
    unsigned refused = 0, rounds = 20000 / rounds_of_bytes_one_in();

    build(60);
    ck_assert_int_eq(block_builder_finish(&builder), 0);
    numbered_key(30, &target);
    for (unsigned round = 0; round < rounds; round++) {
        size_t size = builder.data.size;

        if (random_below(&random, 4) == 0)
            size = random_below(&random, size + 1);
        bytes = malloc(size + 1); /* its own, so that an overrun is seen */
        ck_assert_ptr_nonnull(bytes);
        memcpy(bytes, builder.data.data, size);
        for (uint64_t flips = random_below(&random, 6); size > 0 && flips > 0; flips--)
            bytes[random_below(&random, size)] = (uint8_t)random_next(&random);
        if (block_iter_set(&it, LSMKV_ORDER_PATH, lsmkv_bytes(bytes, size)) == 0)
            walk_everywhere(keybuf_slice(&target));
        else
            refused++;
        free(bytes);
    }
    ck_assert_uint_gt(refused, rounds / 200);
    keybuf_fini(&target);
}
END_TEST

static void
assert_refused(const uint8_t *bytes, size_t size)
{
    int result = block_iter_set(&it, LSMKV_ORDER_BYTES, lsmkv_bytes(bytes, size));

    if (result == 0) {
        block_iter_first(&it);
        while (it.valid)
            block_iter_next(&it);
        result = it.status;
    }
    ck_assert_int_eq(result, -EUCLEAN);
}

#define ENTRY    0, 8, 0, 'k', 0, 0, 0, 0, 0, 0, 0 /* key of 8 bytes, no payload */
#define RESTARTS 0, 0, 0, 0, 1, 0, 0, 0

START_TEST(test_what_cannot_be_a_block_is_refused)
{
    static const uint8_t short_of_a_count[] = {1, 0, 0};
    static const uint8_t no_restarts[] = {ENTRY, 0, 0, 0, 0};
    static const uint8_t too_many_restarts[] = {ENTRY, 0, 0, 0, 0, 5, 0, 0, 0};
    static const uint8_t vast_count[] = {ENTRY, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t no_entries[] = {RESTARTS};
    static const uint8_t first_restart_elsewhere[] = {ENTRY, 1, 0, 0, 0, 1, 0, 0, 0};
    static const uint8_t shares_with_nothing[] = {1, 8, 0, 'k', 0, 0,
                                                  0, 0, 0, 0,   0, RESTARTS};
    static const uint8_t key_past_the_end[] = {0, 90, 0, 'k', 0, 0,
                                               0, 0,  0, 0,   0, RESTARTS};
    static const uint8_t payload_past_the_end[] = {0, 8, 1, 'k', 0, 0,
                                                   0, 0, 0, 0,   0, RESTARTS};
    static const uint8_t key_without_trailer[] = {0, 7, 0, 'k', 0,       0,
                                                  0, 0, 0, 0,   RESTARTS};
    static const uint8_t cut_head[] = {0x80, RESTARTS};
    static const uint8_t overlong[] = {0, 8, 0x80, 0, 'k', 0, 0, 0, 0, 0, 0, 0, RESTARTS};

    assert_refused(NULL, 0);
    assert_refused(short_of_a_count, sizeof(short_of_a_count));
    assert_refused(no_restarts, sizeof(no_restarts));
    assert_refused(too_many_restarts, sizeof(too_many_restarts));
    assert_refused(vast_count, sizeof(vast_count));
    assert_refused(no_entries, sizeof(no_entries));
    assert_refused(first_restart_elsewhere, sizeof(first_restart_elsewhere));
    assert_refused(shares_with_nothing, sizeof(shares_with_nothing));
    assert_refused(key_past_the_end, sizeof(key_past_the_end));
    assert_refused(payload_past_the_end, sizeof(payload_past_the_end));
    assert_refused(key_without_trailer, sizeof(key_without_trailer));
    assert_refused(cut_head, sizeof(cut_head));
    assert_refused(overlong, sizeof(overlong));
}
END_TEST

/* The rest of a key is copied in steps that are larger than it, but not past the end of the block. */
START_TEST(test_keys_of_any_length_end_a_block)
{
    for (size_t rest = 1; rest <= 40; rest++) {
        uint8_t bytes[48], *exact;
        size_t size;

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)(rest + 3 * i);
        block_builder_clear(&builder);
        ck_assert_int_eq(
            block_builder_add(&builder, lsmkv_bytes(bytes, 8), lsmkv_bytes("", 0)), 0);
        ck_assert_int_eq(
            block_builder_add(&builder, lsmkv_bytes(bytes, 8 + rest), lsmkv_bytes("", 0)),
            0);
        ck_assert_int_eq(block_builder_finish(&builder), 0);
        size = builder.data.size;
        exact = malloc(size);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, builder.data.data, size);
        ck_assert_int_eq(block_iter_set(&it, LSMKV_ORDER_BYTES, lsmkv_bytes(exact, size)),
                         0);
        block_iter_last(&it);
        ck_assert(it.valid);
        ck_assert(slice_equal(it.entry.key, lsmkv_bytes(bytes, 8 + rest)));
        free(exact);
    }
}
END_TEST

/* A key may grow by what each entry shares; it must not grow past what a key can be. */
START_TEST(test_keys_beyond_the_limit_are_refused)
{
    struct keybuf bytes = {0};
    uint8_t entry[16];
    size_t grown = 0;
    static const uint8_t tail[] = {RESTARTS};
    static const uint8_t thousand[1000];

    while (grown < LSMKV_KEY_MAX + 1000u) {
        uint8_t *end = put_varint(put_varint(put_varint(entry, grown), 1000), 0);

        ck_assert_int_eq(keybuf_append(&bytes, lsmkv_bytes(entry, (size_t)(end - entry))),
                         0);
        ck_assert_int_eq(keybuf_append(&bytes, lsmkv_bytes(thousand, 1000)), 0);
        grown += 1000;
    }
    ck_assert_int_eq(keybuf_append(&bytes, lsmkv_bytes(tail, sizeof(tail))), 0);
    assert_refused(bytes.data, bytes.size);
    ck_assert_uint_le(it.buffer.size, LSMKV_KEY_MAX + KEY_TRAILER_SIZE);
    keybuf_fini(&bytes);
}
END_TEST

static Suite *
block_suite(void)
{
    Suite *suite = suite_create("block");
    TCase *tcase = tcase_create("block");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_a_block_is_walked_both_ways, 1, 50);
    tcase_add_test(tcase, test_a_cursor_tells_what_follows_in_its_block);
    tcase_add_test(tcase, test_a_search_finds_each_key_and_each_gap);
    tcase_add_loop_test(tcase, test_one_key_is_found_as_the_cursor_finds_it,
                        LSMKV_ORDER_BYTES, LSMKV_ORDER_PATH + 1);
    tcase_add_test(tcase, test_prefixes_are_stored_once);
    tcase_add_test(tcase, test_a_cleared_builder_builds_the_same_block_again);
    tcase_add_test(tcase, test_damaged_blocks_are_errors_or_blocks_but_never_a_crash);
    tcase_add_test(tcase, test_what_cannot_be_a_block_is_refused);
    tcase_add_test(tcase, test_keys_of_any_length_end_a_block);
    tcase_add_test(tcase, test_keys_beyond_the_limit_are_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    return run_suite(block_suite());
}
