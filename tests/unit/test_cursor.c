/*
 * test_cursor.c - the user's scan against a model that reads every version.
 *
 * The store is an array of versions, dealt to several sources.  It grows as a store does:
 * each put and delete takes the next sequence; now and then a "compaction" drops what no read
 * sequence that is still allowed can see.  Scans at random sequences, bounds and moves must
 * show what the model shows, with dead ranges remembered across all of it, and without.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/record.h"
#include "iter/cursor.h"
#include "iter/merge.h"
#include "support/array_iterator.h"
#include "support/random.h"
#include "support/rounds.h"
#include "support/suite.h"

enum { SOURCES = 3 };

static struct lsmkv_slice none;

/* ---- a store of versions ---- */

struct store {
    enum lsmkv_order order;
    struct entry_array all;            /* sorted by store_settle */
    struct entry_array parts[SOURCES]; /* the same, dealt */
    struct array_control controls[SOURCES];
    uint64_t sequence; /* last given */
    uint64_t floor;    /* the oldest that may still be read at */
    struct dead_ranges *dead;
};

static void
store_init(struct store *store, enum lsmkv_order order, bool remember)
{
    *store = (struct store){.order = order, .all.order = order};
    for (int i = 0; i < SOURCES; i++)
        store->parts[i].order = order;
    if (remember)
        ck_assert_int_eq(dead_ranges_new(order, DEAD_RANGES_MAX, &store->dead), 0);
}

static void
store_fini(struct store *store)
{
    entry_array_fini(&store->all);
    for (int i = 0; i < SOURCES; i++)
        entry_array_fini(&store->parts[i]);
    dead_ranges_free(store->dead);
}

static void
store_write(struct store *store, struct lsmkv_slice key, uint8_t kind)
{
    uint64_t sequence = ++store->sequence;
    struct lsmkv_record record = {.attributes = lsmkv_bytes(&sequence, sizeof(sequence)),
                                  .value = key,
                                  .stamp_sequence = sequence / 2,
                                  .stamp_time = (int64_t)sequence * 3};
    uint8_t payload[256];

    record_encode(payload, kind, &record);
    entry_array_add(&store->all, key, sequence, kind,
                    lsmkv_bytes(payload, record_payload_size(kind, &record)));
}

/* Sorts, and deals every version to the source its sequence names. */
static void
store_settle(struct store *store)
{
    entry_array_sort(&store->all);
    for (int i = 0; i < SOURCES; i++)
        entry_array_fini(&store->parts[i]);
    for (size_t i = 0; i < store->all.count; i++) {
        const struct array_entry *entry = &store->all.entries[i];

        entry_array_add_entry(&store->parts[internal_sequence(entry->key) / 16 % SOURCES],
                              entry);
    }
}

static bool
same_key(const struct store *store, size_t a, size_t b)
{
    return slice_equal(internal_user_key(store->all.entries[a].key),
                       internal_user_key(store->all.entries[b].key));
}

/* Drops every version that no read at the last sequence or later sees. */
static void
store_compact(struct store *store)
{
    struct entry_array kept = {.order = store->order};

    entry_array_sort(&store->all);
    for (size_t i = 0; i < store->all.count; i++) {
        if ((i == 0 || !same_key(store, i - 1, i)) &&
            internal_kind(store->all.entries[i].key) != KIND_DELETE)
            entry_array_add_entry(&kept, &store->all.entries[i]);
    }
    entry_array_fini(&store->all);
    store->all = kept;
    store->floor = store->sequence;
}

static struct iterator *
store_iterate(struct store *store)
{
    struct iterator *children[SOURCES];
    struct iterator *it;

    for (int i = 0; i < SOURCES; i++)
        children[i] = array_iterator_new(&store->parts[i], &store->controls[i]);
    ck_assert_int_eq(merge_new(store->order, children, SOURCES, &it), 0);
    return it;
}

static size_t
store_moves(const struct store *store)
{
    size_t moves = 0;

    for (int i = 0; i < SOURCES; i++)
        moves += store->controls[i].steps + store->controls[i].seeks;
    return moves;
}

/* ---- the model: what a scan shows, as indexes of versions ---- */

struct view {
    const struct store *store;
    size_t shown[4096];
    size_t count;
};

static void
view_take(struct view *view, const struct store *store, uint64_t sequence,
          struct lsmkv_slice lower, struct lsmkv_slice upper)
{
    const struct entry_array *all = &store->all;
    size_t decided = SIZE_MAX;

    *view = (struct view){.store = store};
    for (size_t i = 0; i < all->count; i++) {
        struct lsmkv_slice key = internal_user_key(all->entries[i].key);

        if (internal_sequence(all->entries[i].key) > sequence ||
            (decided != SIZE_MAX && same_key(store, decided, i)))
            continue;
        decided = i;
        if (internal_kind(all->entries[i].key) == KIND_DELETE ||
            (lower.data != NULL && key_compare(store->order, key, lower) < 0) ||
            (upper.data != NULL && key_compare(store->order, key, upper) >= 0))
            continue;
        ck_assert_uint_lt(view->count, 4096);
        view->shown[view->count++] = i;
    }
}

static struct lsmkv_slice
view_key(const struct view *view, size_t at)
{
    return internal_user_key(view->store->all.entries[view->shown[at]].key);
}

/* The index of the first key shown at or after `key`. */
static size_t
view_ceiling(const struct view *view, struct lsmkv_slice key)
{
    size_t at = 0;

    while (at < view->count &&
           key_compare(view->store->order, view_key(view, at), key) < 0)
        at++;
    return at;
}

static void
assert_shows(const struct cursor *cursor, const struct view *view, size_t at)
{
    const struct array_entry *entry;
    struct lsmkv_record record;

    ck_assert_int_eq(cursor_status(cursor), 0);
    ck_assert_int_eq(cursor_valid(cursor), at < view->count);
    if (at >= view->count)
        return;
    entry = &view->store->all.entries[view->shown[at]];
    ck_assert(slice_equal(cursor_key(cursor), view_key(view, at)));
    ck_assert_int_eq(record_decode(internal_kind(entry->key),
                                   internal_sequence(entry->key), entry->payload,
                                   &record),
                     0);
    ck_assert(slice_equal(cursor_record(cursor)->attributes, record.attributes));
    ck_assert(slice_equal(cursor_record(cursor)->value, record.value));
    ck_assert_uint_eq(cursor_record(cursor)->sequence, record.sequence);
    ck_assert_uint_eq(cursor_record(cursor)->stamp_sequence, record.stamp_sequence);
    ck_assert_int_eq(cursor_record(cursor)->stamp_time, record.stamp_time);
}

/* ---- any scan shows what the model shows ---- */

/* Short keys, so that they meet; in a third of them a number, so that runs grow long. */
static struct lsmkv_slice
random_key(struct random *random, char *out)
{
    static const char alphabet[] = {'\0', '-', '/', '/', 'a', 'b'};
    size_t size = (size_t)random_below(random, 4);

    for (size_t i = 0; i < size; i++)
        out[i] = alphabet[random_below(random, sizeof(alphabet))];
    if (random_below(random, 3) == 0)
        size += (size_t)sprintf(out + size, "/%03u", (unsigned)random_below(random, 400));
    return lsmkv_bytes(out, size);
}

static const uint8_t put_kinds[] = {KIND_PUT, KIND_PUT_TIMED, KIND_PUT_STAMPED};

/* Some writes: single ones, many to one key, or a directory filled, or emptied. */
static void
write_some(struct store *store, struct random *random)
{
    unsigned first = (unsigned)random_below(random, 400);
    unsigned count = (unsigned)random_below(random, 200);
    uint64_t how = random_below(random, 6);
    uint8_t kind = put_kinds[random_below(random, 3)];
    char key[16];

    if (how == 0) {
        struct lsmkv_slice chosen = random_key(random, key);

        for (unsigned i = 0; i < count % 30; i++)
            store_write(store, chosen, random_below(random, 4) == 0 ? KIND_DELETE : kind);
        return;
    }
    if (how <= 2) {
        for (unsigned i = 0; i < 20; i++)
            store_write(store, random_key(random, key),
                        random_coin(random) ? KIND_DELETE : kind);
        return;
    }
    for (unsigned i = first; i < first + count && i < 400; i++) {
        sprintf(key, "b/%03u", i);
        store_write(store, lsmkv_str(key), how == 3 ? kind : KIND_DELETE);
    }
}

struct walk {
    struct store *store;
    struct random *random;
    struct cursor cursor;
    struct view view;
    size_t at; /* of the view; any index past its count is an end */
};

/* Over the tree of the current key, or of one that it is below. */
static void
skip_tree(struct walk *walk)
{
    struct lsmkv_slice key = cursor_key(&walk->cursor);
    const char *data = key.data;

    while (key.size > 0 && random_coin(walk->random)) {
        do
            key.size--;
        while (key.size > 0 && data[key.size] != '/');
    }
    while (walk->at < walk->view.count &&
           (slice_equal(view_key(&walk->view, walk->at), key) ||
            key_is_below(view_key(&walk->view, walk->at), key)))
        walk->at++;
    cursor_skip_tree(&walk->cursor, key);
}

/* One move of both. */
static void
move(struct walk *walk)
{
    struct cursor *cursor = &walk->cursor;
    uint64_t chosen = random_below(walk->random, cursor_valid(cursor) ? 16 : 4);
    char buffer[16];
    struct lsmkv_slice key = random_key(walk->random, buffer);

    switch (chosen) {
    case 0:
        cursor_first(cursor);
        walk->at = 0;
        break;
    case 1:
        cursor_last(cursor);
        walk->at = walk->view.count - 1;
        break;
    case 2:
        cursor_seek(cursor, key);
        walk->at = view_ceiling(&walk->view, key);
        break;
    case 3:
        cursor_seek_before(cursor, key);
        walk->at = view_ceiling(&walk->view, key);
        if (walk->at == walk->view.count ||
            !slice_equal(view_key(&walk->view, walk->at), key))
            walk->at--;
        break;
    case 4:
    case 5:
        if (walk->store->order == LSMKV_ORDER_PATH)
            skip_tree(walk);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        cursor_prev(cursor);
        walk->at--;
        break;
    default:
        cursor_next(cursor);
        walk->at++;
        break;
    }
}

static void
scan(struct store *store, struct random *random, uint64_t *dead_skips)
{
    struct walk walk = {.store = store, .random = random, .at = SIZE_MAX};
    uint64_t sequence =
        store->floor + random_below(random, store->sequence - store->floor + 1);
    char from[16], to[16];
    struct lsmkv_slice lower = random_key(random, from);
    struct lsmkv_slice upper = random_key(random, to);

    if (random_coin(random))
        sequence = store->sequence;
    if (random_coin(random))
        lower = none;
    if (random_coin(random))
        upper = none;
    view_take(&walk.view, store, sequence, lower, upper);
    ck_assert_int_eq(cursor_init(&walk.cursor, store_iterate(store), store->order,
                                 sequence, lower, upper, store->dead),
                     0);
    ck_assert(!cursor_valid(&walk.cursor));
    for (int i = 0; i < 60; i++) {
        move(&walk);
        assert_shows(&walk.cursor, &walk.view, walk.at);
    }
    *dead_skips += walk.cursor.dead_skips;
    cursor_fini(&walk.cursor);
}

static void
check_scans(enum lsmkv_order order, bool remember)
{
    struct random random = random_of(random_seed());
    uint64_t dead_skips = 0;
    struct store store;

    for (uint64_t round = rounds_of(12, 2); round > 0; round--) {
        store_init(&store, order, remember);
        for (int step = 0; step < 40; step++) {
            write_some(&store, &random);
            if (random_below(&random, 12) == 0)
                store_compact(&store);
            store_settle(&store);
            for (int i = 0; i < 4; i++)
                scan(&store, &random, &dead_skips);
        }
        store_fini(&store);
    }
    if (remember) /* else the test tests nothing */
        ck_assert_uint_gt(dead_skips, 0);
    else
        ck_assert_uint_eq(dead_skips, 0);
}

START_TEST(test_scans_show_what_the_model_shows)
{
    check_scans(LSMKV_ORDER_PATH, false);
}
END_TEST

START_TEST(test_scans_in_byte_order_show_what_the_model_shows)
{
    check_scans(LSMKV_ORDER_BYTES, false);
}
END_TEST

START_TEST(test_scans_that_remember_dead_ranges_show_the_same)
{
    check_scans(LSMKV_ORDER_PATH, true);
}
END_TEST

START_TEST(test_scans_in_byte_order_that_remember_dead_ranges_show_the_same)
{
    check_scans(LSMKV_ORDER_BYTES, true);
}
END_TEST

/* ---- what a scan costs ---- */

static struct store store;
static struct cursor cursor;

static void
open_cursor(uint64_t sequence, struct lsmkv_slice lower, struct lsmkv_slice upper)
{
    ck_assert_int_eq(cursor_init(&cursor, store_iterate(&store), store.order, sequence,
                                 lower, upper, store.dead),
                     0);
}

static void
write_files(unsigned from, unsigned to, uint8_t kind)
{
    char key[16];

    for (unsigned i = from; i < to; i++) {
        sprintf(key, "dir/%04u", i);
        store_write(&store, lsmkv_str(key), kind);
    }
}

/* How many moves of the sources a listing of dir/ takes that shows `count` keys. */
static size_t
list(uint64_t sequence, size_t count)
{
    size_t before = store_moves(&store);
    size_t shown = 0;

    open_cursor(sequence, lsmkv_str("dir/"), lsmkv_bytes("dir", 4));
    for (cursor_first(&cursor); cursor_valid(&cursor); cursor_next(&cursor))
        shown++;
    ck_assert_int_eq(cursor_status(&cursor), 0);
    ck_assert_uint_eq(shown, count);
    cursor_fini(&cursor);
    return store_moves(&store) - before;
}

START_TEST(test_an_emptied_directory_is_walked_once)
{
    store_init(&store, LSMKV_ORDER_PATH, true);
    write_files(0, 1000, KIND_PUT);
    write_files(0, 1000, KIND_DELETE);
    store_write(&store, lsmkv_str("e"), KIND_PUT);
    store_settle(&store);
    ck_assert_uint_ge(list(store.sequence, 0), 2000);
    ck_assert_uint_lt(list(store.sequence, 0), 20);
    store_fini(&store);
}
END_TEST

START_TEST(test_a_scan_goes_from_one_dead_range_to_the_next)
{
    size_t moves;

    store_init(&store, LSMKV_ORDER_PATH, true);
    for (unsigned i = 0; i < 5; i++) {
        write_files(i * 200, i * 200 + 199, KIND_PUT);
        write_files(i * 200, i * 200 + 199, KIND_DELETE);
        write_files(i * 200 + 199, i * 200 + 200, KIND_PUT);
    }
    store_settle(&store);
    ck_assert_uint_ge(list(store.sequence, 5), 5 * 2 * 199);
    moves = list(store.sequence, 5);
    ck_assert_uint_lt(moves, 5 * 20);
    store_fini(&store);
}
END_TEST

START_TEST(test_without_memory_of_it_it_is_walked_again)
{
    store_init(&store, LSMKV_ORDER_PATH, false);
    write_files(0, 1000, KIND_PUT);
    write_files(0, 1000, KIND_DELETE);
    store_settle(&store);
    ck_assert_uint_ge(list(store.sequence, 0), 2000);
    ck_assert_uint_ge(list(store.sequence, 0), 2000);
    store_fini(&store);
}
END_TEST

START_TEST(test_a_snapshot_from_before_sees_what_a_dead_range_hides)
{
    uint64_t before;

    store_init(&store, LSMKV_ORDER_PATH, true);
    write_files(0, 500, KIND_PUT);
    before = store.sequence;
    write_files(0, 500, KIND_DELETE);
    store_settle(&store);
    list(store.sequence, 0);
    list(before, 500);
    list(before + 250, 250);
    list(store.sequence, 0);
    store_fini(&store);
}
END_TEST

START_TEST(test_a_file_made_in_a_dead_range_is_seen)
{
    store_init(&store, LSMKV_ORDER_PATH, true);
    write_files(0, 1000, KIND_PUT);
    write_files(0, 1000, KIND_DELETE);
    store_settle(&store);
    list(store.sequence, 0);
    write_files(300, 310, KIND_PUT);
    write_files(305, 306, KIND_DELETE);
    store_settle(&store);
    ck_assert_uint_lt(list(store.sequence, 9), 100);
    list(store.sequence - 11, 0); /* before they were made */
    store_fini(&store);
}
END_TEST

/* A range found inside narrow bounds says nothing of the keys outside them. */
START_TEST(test_bounds_cut_what_a_scan_claims)
{
    store_init(&store, LSMKV_ORDER_PATH, true);
    write_files(0, 1000, KIND_PUT);
    write_files(200, 800, KIND_DELETE);
    store_settle(&store);
    open_cursor(store.sequence, lsmkv_str("dir/0300"), lsmkv_str("dir/0500"));
    cursor_first(&cursor);
    ck_assert(!cursor_valid(&cursor));
    cursor_fini(&cursor);
    list(store.sequence, 400);
    store_fini(&store);
}
END_TEST

/* A key rewritten many times is passed by seeks, in both directions and above and below the
 * sequence. */
START_TEST(test_many_versions_of_one_key_cost_a_few_moves)
{
    enum { VERSIONS = 3000 };

    store_init(&store, LSMKV_ORDER_PATH, true);
    store_write(&store, lsmkv_str("a"), KIND_PUT);
    store_write(&store, lsmkv_str("c"), KIND_PUT);
    for (int i = 0; i < VERSIONS; i++)
        store_write(&store, lsmkv_str("b"), KIND_PUT);
    store_settle(&store);
    for (int backwards = 0; backwards < 2; backwards++) {
        size_t before = store_moves(&store);
        size_t shown = 0;

        open_cursor(2 + VERSIONS / 2, none, none);
        if (backwards)
            for (cursor_last(&cursor); cursor_valid(&cursor); cursor_prev(&cursor))
                shown++;
        else
            for (cursor_first(&cursor); cursor_valid(&cursor); cursor_next(&cursor))
                shown++;
        ck_assert_uint_eq(shown, 3);
        ck_assert_uint_lt(store_moves(&store) - before, 100);
        cursor_fini(&cursor);
    }
    store_fini(&store);
}
END_TEST

START_TEST(test_skip_tree_jumps_a_large_tree_and_steps_over_a_small_one)
{
    size_t moves;

    store_init(&store, LSMKV_ORDER_PATH, false);
    write_files(0, 1000, KIND_PUT);
    store_write(&store, lsmkv_str("e/1"), KIND_PUT);
    store_write(&store, lsmkv_str("e/2"), KIND_PUT);
    store_write(&store, lsmkv_str("f"), KIND_PUT);
    store_settle(&store);
    open_cursor(store.sequence, none, none);
    cursor_first(&cursor);
    moves = store_moves(&store);
    cursor_skip_tree(&cursor, lsmkv_str("dir"));
    ck_assert(slice_equal(cursor_key(&cursor), lsmkv_str("e/1")));
    ck_assert_uint_lt(store_moves(&store) - moves, 8 + SOURCES + 1);
    ck_assert_uint_eq(cursor.seeks, 2);
    cursor_skip_tree(&cursor, lsmkv_str("e"));
    ck_assert(slice_equal(cursor_key(&cursor), lsmkv_str("f")));
    ck_assert_uint_eq(cursor.seeks, 2);
    cursor_skip_tree(&cursor, lsmkv_str(""));
    ck_assert(!cursor_valid(&cursor));
    ck_assert_int_eq(cursor_status(&cursor), 0);
    cursor_fini(&cursor);
    store_fini(&store);
}
END_TEST

/* ---- errors ---- */

/* Wherever the source fails, a scan shows the keys before that and then the error. */
START_TEST(test_an_error_of_a_source_ends_the_scan_with_it)
{
    store_init(&store, LSMKV_ORDER_PATH, true);
    write_files(0, 50, KIND_PUT);
    write_files(20, 40, KIND_DELETE);
    store_settle(&store);
    for (size_t at = 0; at < store.parts[1].count; at++) {
        for (int backwards = 0; backwards < 2; backwards++) {
            size_t shown = 0;

            store.controls[1].failure = -EIO;
            store.controls[1].fail_at = at;
            open_cursor(store.sequence, none, none);
            if (backwards)
                for (cursor_last(&cursor); cursor_valid(&cursor); cursor_prev(&cursor))
                    shown++;
            else
                for (cursor_first(&cursor); cursor_valid(&cursor); cursor_next(&cursor))
                    shown++;
            ck_assert_int_eq(cursor_status(&cursor), -EIO);
            ck_assert_uint_lt(shown, 30);
            store.controls[1].failure = 0;
            cursor_first(&cursor);
            ck_assert(cursor_valid(&cursor));
            ck_assert_int_eq(cursor_status(&cursor), 0);
            cursor_fini(&cursor);
        }
    }
    store_fini(&store);
}
END_TEST

/* A walk that an error cut short claims nothing. */
START_TEST(test_a_scan_that_failed_leaves_no_dead_range)
{
    store_init(&store, LSMKV_ORDER_PATH, true);
    write_files(0, 1000, KIND_DELETE);
    store_settle(&store);
    store.controls[0].failure = -EIO;
    store.controls[0].fail_at = store.parts[0].count - 1;
    open_cursor(store.sequence, none, none);
    cursor_first(&cursor);
    ck_assert_int_eq(cursor_status(&cursor), -EIO);
    cursor_fini(&cursor);
    store.controls[0].failure = 0;
    ck_assert_uint_ge(list(store.sequence, 0), 1000);
    store_fini(&store);
}
END_TEST

START_TEST(test_a_record_that_cannot_be_parsed_is_an_error)
{
    static const struct {
        uint8_t kind;
        const char *payload;
        size_t size;
    } bad[] = {{KIND_PUT,
                "\x05"
                "abc",
                4},
               {KIND_PUT_TIMED, "1234567", 7},
               {0x77, "\0", 1}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        store_init(&store, LSMKV_ORDER_PATH, true);
        entry_array_add(&store.all, lsmkv_str("k"), 16, bad[i].kind,
                        lsmkv_bytes(bad[i].payload, bad[i].size));
        store_settle(&store);
        open_cursor(100, none, none);
        cursor_first(&cursor);
        ck_assert(!cursor_valid(&cursor));
        ck_assert_int_eq(cursor_status(&cursor), -EUCLEAN);
        cursor_last(&cursor);
        ck_assert(!cursor_valid(&cursor));
        ck_assert_int_eq(cursor_status(&cursor), -EUCLEAN);
        cursor_fini(&cursor);
        store_fini(&store);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, test_scans_show_what_the_model_shows);
    tcase_add_test(tests, test_scans_in_byte_order_show_what_the_model_shows);
    tcase_add_test(tests, test_scans_that_remember_dead_ranges_show_the_same);
    tcase_add_test(tests,
                   test_scans_in_byte_order_that_remember_dead_ranges_show_the_same);
    tcase_add_test(tests, test_an_emptied_directory_is_walked_once);
    tcase_add_test(tests, test_a_scan_goes_from_one_dead_range_to_the_next);
    tcase_add_test(tests, test_without_memory_of_it_it_is_walked_again);
    tcase_add_test(tests, test_a_snapshot_from_before_sees_what_a_dead_range_hides);
    tcase_add_test(tests, test_a_file_made_in_a_dead_range_is_seen);
    tcase_add_test(tests, test_bounds_cut_what_a_scan_claims);
    tcase_add_test(tests, test_many_versions_of_one_key_cost_a_few_moves);
    tcase_add_test(tests, test_skip_tree_jumps_a_large_tree_and_steps_over_a_small_one);
    tcase_add_test(tests, test_an_error_of_a_source_ends_the_scan_with_it);
    tcase_add_test(tests, test_a_scan_that_failed_leaves_no_dead_range);
    tcase_add_test(tests, test_a_record_that_cannot_be_parsed_is_an_error);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
