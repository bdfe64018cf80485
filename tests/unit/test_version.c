/*
 * test_version.c - which tables a version holds and in what order (V1, V2), when a file goes
 * (invariant 13), and the iterator over a level.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iter/merge.h"
#include "manifest/version.h"
#include "support/random.h"
#include "support/suite.h"
#include "support/table_fixture.h"

static struct reporter reporter;
static unsigned reports;

/* What the reaper was given, in order. */
static struct file_reaper reaper;
static uint64_t reaped[64];
static size_t reaped_count;

static void
count_report(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
    reports++;
}

static void
note_reaped(struct file_reaper *which, enum file_kind kind, uint64_t number)
{
    ck_assert_int_eq(kind, FILE_TABLE);
    ck_assert_ptr_eq(which, &reaper);
    reaped[reaped_count++] = number;
}

static void
setup(void)
{
    reporter_init(&reporter, count_report, NULL);
    reaper.reap = note_reaped;
}

static void
teardown(void)
{
    reporter_fini(&reporter);
}

static struct table_file *
file_of(uint64_t number, const char *from, const char *to, uint64_t largest_sequence)
{
    struct table_meta meta = {.number = number,
                              .size = 100,
                              .entries = 1,
                              .smallest_sequence = 1,
                              .largest_sequence = largest_sequence};
    struct table_file *file;

    ck_assert_int_eq(keybuf_set_internal(&meta.smallest, lsmkv_str(from), 1, KIND_PUT),
                     0);
    ck_assert_int_eq(keybuf_set_internal(&meta.largest, lsmkv_str(to), 1, KIND_PUT), 0);
    ck_assert_int_eq(table_file_new(NULL, &reaper, 0, &meta, &file), 0);
    ck_assert_ptr_null(meta.smallest.data);
    return file;
}

/* `base` with one more file, whose reference is taken over; `base` is let go. */
static struct version *
with(struct version *base, int level, struct table_file *file)
{
    struct version_change added = {level, file};
    struct version *version;

    ck_assert_int_eq(version_edit(base, NULL, 0, &added, 1, &reporter, &version), 0);
    table_file_unref(file);
    version_unref(base);
    return version;
}

static struct version *
empty(enum lsmkv_order order)
{
    struct version *version;

    ck_assert_int_eq(version_new(order, &version), 0);
    return version;
}

static void
assert_numbers(const struct level *level, const char *expected)
{
    char text[128] = "";
    size_t used = 0;

    for (size_t i = 0; i < level->count; i++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i > 0 ? " " : "",
                             (unsigned)level->files[i]->meta.number);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(level->bytes, 100 * level->count);
}

START_TEST(test_level_0_is_ordered_newest_first)
{
    struct version *version = empty(LSMKV_ORDER_BYTES);

    version = with(version, 0, file_of(1, "a", "z", 50));
    version = with(version, 0, file_of(2, "a", "z", 90));
    version = with(version, 0, file_of(3, "a", "z", 70));
    assert_numbers(&version->levels[0], "2 3 1");
    version_unref(version);
}
END_TEST

static struct table_file *
file_with(uint64_t number, uint64_t entries)
{
    struct table_file *file = file_of(number, "a", "z", number);

    file->meta.entries = entries;
    return file;
}

/* Counts detours until a merge of level 0 is paid for. */
static uint64_t
detours_until_paid(struct version *version)
{
    const uint64_t step = 100;
    uint64_t count = 0;

    ck_assert(!version_merge_is_paid(version));
    do
        count += step;
    while (!version_count_detours(version, step));
    ck_assert(version_merge_is_paid(version));
    ck_assert(!version_count_detours(version, step)); /* it is said once */
    return count;
}

START_TEST(test_detours_pay_for_the_entries_of_level_0_and_what_is_below)
{
    struct version *version = empty(LSMKV_ORDER_BYTES);
    struct version_change removed = {0, NULL};
    struct version *merged;

    version = with(version, 0, file_with(1, 20000));
    for (unsigned i = 0; i < 1000; i++) /* a single run costs no detour */
        ck_assert(!version_count_detours(version, 100));
    version = with(version, 0, file_with(2, 30000));
    ck_assert_uint_eq(detours_until_paid(version), 50000);
    /* One table more, and what was paid is not lost. */
    version = with(version, 0, file_with(3, 10000));
    ck_assert(!version_merge_is_paid(version));
    ck_assert_uint_le(detours_until_paid(version), 10000);
    version = with(version, 5, file_with(4, 40000));
    ck_assert_uint_ge(detours_until_paid(version), 39000);
    /* Merged: from nothing on. */
    removed.file = version->levels[0].files[0];
    ck_assert_int_eq(version_edit(version, &removed, 1, NULL, 0, &reporter, &merged), 0);
    ck_assert_uint_eq(detours_until_paid(merged), 90000);
    version_unref(merged);
    version_unref(version);
}
END_TEST

START_TEST(test_a_small_merge_is_paid_for_by_no_fewer)
{
    struct version *version = empty(LSMKV_ORDER_BYTES);

    version = with(version, 0, file_with(1, 1));
    version = with(version, 0, file_with(2, 1));
    ck_assert_uint_ge(detours_until_paid(version), 16384);
    version_unref(version);
}
END_TEST

START_TEST(test_a_deeper_level_is_ordered_by_key_in_its_order)
{
    struct version *version = empty(LSMKV_ORDER_BYTES);

    version = with(version, 3, file_of(1, "a-", "a-z", 50));
    version = with(version, 3, file_of(2, "a/", "a/z", 90));
    assert_numbers(&version->levels[3], "1 2");
    version_unref(version);
    version = empty(LSMKV_ORDER_PATH);
    version = with(version, 3, file_of(1, "a-", "a-z", 50));
    version = with(version, 3, file_of(2, "a/", "a/z", 90));
    assert_numbers(&version->levels[3], "2 1");
    version_unref(version);
}
END_TEST

/* V2: one user key at the end of one table and the start of the next is an overlap too. */
START_TEST(test_overlapping_tables_are_refused_below_level_0)
{
    struct version *version = with(empty(LSMKV_ORDER_BYTES), 2, file_of(1, "c", "f", 9));
    static const char *const ranges[][2] = {
        {"f", "g"}, {"a", "c"}, {"d", "e"}, {"a", "z"}};

    for (size_t i = 0; i < 4; i++) {
        struct table_file *file = file_of(9, ranges[i][0], ranges[i][1], 5);
        struct version_change added = {2, file};
        struct version *next;

        ck_assert_int_eq(version_edit(version, NULL, 0, &added, 1, &reporter, &next),
                         -EUCLEAN);
        ck_assert_uint_eq(reports, i + 1);
        added.level = 0;
        ck_assert_int_eq(version_edit(version, NULL, 0, &added, 1, &reporter, &next), 0);
        version_unref(next);
        table_file_unref(file);
    }
    version_unref(version);
}
END_TEST

START_TEST(test_only_what_is_there_can_be_removed)
{
    struct version *version = with(empty(LSMKV_ORDER_BYTES), 2, file_of(1, "c", "f", 9)),
                   *next;
    struct table_file *other = file_of(2, "c", "f", 9);
    struct version_change removed = {2, other};

    ck_assert_int_eq(version_edit(version, &removed, 1, NULL, 0, &reporter, &next),
                     -EUCLEAN);
    removed = (struct version_change){1, version->levels[2].files[0]};
    ck_assert_int_eq(version_edit(version, &removed, 1, NULL, 0, &reporter, &next),
                     -EUCLEAN);
    removed.level = 2;
    ck_assert_int_eq(version_edit(version, &removed, 1, NULL, 0, &reporter, &next), 0);
    ck_assert_uint_eq(next->levels[2].count, 0);
    ck_assert_uint_eq(next->levels[2].bytes, 0);
    version_unref(next);
    version_unref(version);
    table_file_unref(other);
}
END_TEST

START_TEST(test_a_file_changes_level_in_one_edit)
{
    struct version *version = with(empty(LSMKV_ORDER_BYTES), 2, file_of(1, "c", "f", 9)),
                   *next;
    struct version_change removed = {2, version->levels[2].files[0]};
    struct version_change added = {3, version->levels[2].files[0]};

    ck_assert_int_eq(version_edit(version, &removed, 1, &added, 1, &reporter, &next), 0);
    version_unref(version);
    assert_numbers(&next->levels[2], "");
    assert_numbers(&next->levels[3], "1");
    version_unref(next);
    ck_assert_uint_eq(reaped_count, 0);
}
END_TEST

/* Invariant 13: an obsolete file goes with its last reference, and only an obsolete one. */
START_TEST(test_a_file_is_reaped_after_its_last_reader)
{
    struct version *one = with(empty(LSMKV_ORDER_BYTES), 2, file_of(1, "c", "f", 9)),
                   *two;
    struct table_file *file;
    struct version_change removed;

    one = with(one, 2, file_of(2, "x", "z", 9));
    file = one->levels[2].files[0];
    removed = (struct version_change){2, file};
    version_ref(one); /* a reader */
    ck_assert_int_eq(version_edit(one, &removed, 1, NULL, 0, &reporter, &two), 0);
    atomic_store(&file->obsolete, true);
    version_unref(one); /* the store goes on to `two` */
    ck_assert_uint_eq(reaped_count, 0);
    version_unref(one); /* the reader ends */
    ck_assert_uint_eq(reaped_count, 1);
    ck_assert_uint_eq(reaped[0], 1);
    version_unref(two);
    ck_assert_uint_eq(reaped_count, 1);
}
END_TEST

START_TEST(test_a_failed_edit_keeps_no_reference)
{
    struct version *version = with(empty(LSMKV_ORDER_BYTES), 2, file_of(1, "c", "f", 9)),
                   *next;
    struct table_file *file = file_of(2, "d", "e", 5);
    struct version_change added[2] = {{0, file}, {2, file}};

    ck_assert_int_eq(version_edit(version, NULL, 0, added, 2, &reporter, &next),
                     -EUCLEAN);
    ck_assert_uint_eq(atomic_load(&file->refs), 1);
    ck_assert_uint_eq(atomic_load(&version->levels[2].files[0]->refs), 1);
    table_file_unref(file);
    version_unref(version);
}
END_TEST

START_TEST(test_level_find_and_overlaps_agree_with_looking_at_all)
{
    static const char *const ends[][2] = {{"", "a"},        {"a/", "a/z"}, {"a-", "a-"},
                                          {"a.b", "a.b/c"}, {"b", "c"},    {"d/e", "e"}};
    static const char *const keys[] = {"",   "\x01", "a",   "a/",   "a/b", "a/zz",
                                       "a-", "a-b",  "a.b", "a.b/", "b",   "b/c",
                                       "c",  "d",    "e",   "f"};
    struct version *version = empty(LSMKV_ORDER_PATH);
    const struct lsmkv_slice none = {NULL, 0};

    for (size_t i = 0; i < 6; i++)
        version = with(version, 4, file_of(i + 1, ends[i][0], ends[i][1], 9));
    for (size_t i = 0; i < 16; i++) {
        const struct level *level = &version->levels[4];
        struct lsmkv_slice key = lsmkv_str(keys[i]);
        size_t at = 0;

        while (at < level->count &&
               key_compare(LSMKV_ORDER_PATH, lsmkv_str(ends[at][1]), key) < 0)
            at++;
        ck_assert_uint_eq(level_find(level, LSMKV_ORDER_PATH, key), at);
        for (size_t k = 0; k < level->count; k++) {
            bool from = key_compare(LSMKV_ORDER_PATH, lsmkv_str(ends[k][1]), key) >= 0;
            bool to = key_compare(LSMKV_ORDER_PATH, lsmkv_str(ends[k][0]), key) <= 0;
            const struct table_file *file = level->files[k];

            ck_assert(table_file_overlaps(file, LSMKV_ORDER_PATH, key, none) == from);
            ck_assert(table_file_overlaps(file, LSMKV_ORDER_PATH, none, key) == to);
            ck_assert(table_file_overlaps(file, LSMKV_ORDER_PATH, key, key) ==
                      (from && to));
            ck_assert(table_file_overlaps(file, LSMKV_ORDER_PATH, none, none));
        }
    }
    version_unref(version);
}
END_TEST

/* ---- the iterator over a level ---- */

#define LEVEL_TABLES 7

struct level_world {
    struct table_fixture fixture;
    struct table_model model; /* all entries of the level */
    struct table_file *files[LEVEL_TABLES];
    size_t count;
};

/* Entries [from, to) of the model as a table. */
static void
level_add(struct level_world *world, size_t from, size_t to)
{
    struct table_fixture *fixture = &world->fixture;
    struct table_writer *writer;
    struct table_meta meta = {0};

    ck_assert_int_eq(table_writer_open(&fixture->context, world->count + 1, 0,
                                       world->model.order, &writer),
                     0);
    for (size_t i = from; i < to; i++)
        ck_assert_int_eq(table_writer_add(writer, table_model_key(&world->model, i),
                                          table_model_payload(&world->model, i)),
                         0);
    ck_assert_int_eq(table_writer_finish(writer, &meta), 0);
    ck_assert_int_eq(
        table_file_new(&fixture->context, NULL, 0, &meta, &world->files[world->count++]),
        0);
}

static void
level_world_init(struct level_world *world, enum lsmkv_order order, struct random *random)
{
    size_t from = 0;

    memset(world, 0, sizeof(*world));
    table_fixture_init(&world->fixture, 1 << 20, 256);
    world->model.order = order;
    table_model_fill_random(&world->model, random, 600);
    table_model_sort(&world->model);
    for (size_t i = 1; i <= LEVEL_TABLES; i++) {
        size_t to = i == LEVEL_TABLES ? world->model.count
                                      : i * world->model.count / LEVEL_TABLES;

        while (to < world->model.count &&
               slice_equal(table_model_user_key(&world->model, to - 1),
                           table_model_user_key(&world->model, to)))
            to++;
        if (to > from)
            level_add(world, from, to);
        from = to;
    }
}

static void
level_world_fini(struct level_world *world)
{
    for (size_t i = 0; i < world->count; i++)
        table_file_unref(world->files[i]);
    table_model_fini(&world->model);
    table_fixture_fini(&world->fixture);
}

static void
assert_at(const struct iterator *it, const struct table_model *model, size_t index)
{
    ck_assert_int_eq(it->status, 0);
    ck_assert(it->valid == (index < model->count));
    if (it->valid) {
        assert_slices(it->entry->key, table_model_key(model, index));
        assert_slices(it->entry->payload, table_model_payload(model, index));
    }
}

START_TEST(test_a_level_iterates_as_a_sorted_array)
{
    const enum lsmkv_order order = _i == 0 ? LSMKV_ORDER_BYTES : LSMKV_ORDER_PATH;
    struct random random = random_of(random_seed());
    struct level_world world;
    const struct table_model *model = &world.model;
    struct keybuf target = {0};
    struct iterator_ahead ahead;
    struct iterator *it;
    size_t at, peeked = 0;

    level_world_init(&world, order, &random);
    ck_assert_int_eq(level_iterate(world.files, world.count, order, TABLE_KEEPING,
                                   lsmkv_bytes(NULL, 0), &it),
                     0);
    iterator_first(it);
    for (at = 0; at < model->count; at++, iterator_next(it)) {
        assert_at(it, model, at);
        if (iterator_peek(it, &ahead, 1) == 1) {
            assert_slices(ahead.payload, table_model_payload(model, at + 1));
            peeked++;
        }
    }
    assert_at(it, model, at);
    ck_assert_uint_gt(peeked, 0);
    iterator_last(it);
    for (at = model->count; at-- > 0; iterator_prev(it))
        assert_at(it, model, at);
    ck_assert(!it->valid);
    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[16];
        struct lsmkv_slice key = table_model_random_key(&random, bytes);

        ck_assert_int_eq(
            keybuf_set_internal(&target, key, random_below(&random, 2000), 0xff), 0);
        at = table_model_ceiling(model, keybuf_slice(&target));
        iterator_seek(it, keybuf_slice(&target));
        assert_at(it, model, at);
        if (it->valid && random_coin(&random)) {
            iterator_next(it);
            assert_at(it, model, at + 1);
        } else if (it->valid) {
            iterator_prev(it);
            assert_at(it, model, at == 0 ? model->count : at - 1);
        }
        iterator_seek_before(it, keybuf_slice(&target));
        assert_at(it, model, at == 0 ? model->count : at - 1);
    }
    iterator_free(it);
    keybuf_fini(&target);
    level_world_fini(&world);
}
END_TEST

START_TEST(test_skip_older_stops_where_a_walk_would)
{
    const enum lsmkv_order order = _i == 0 ? LSMKV_ORDER_BYTES : LSMKV_ORDER_PATH;
    struct random random = random_of(random_seed());
    struct level_world world;
    const struct table_model *model = &world.model;
    struct iterator *it;

    level_world_init(&world, order, &random);
    ck_assert_int_eq(level_iterate(world.files, world.count, order, TABLE_KEEPING,
                                   lsmkv_bytes(NULL, 0), &it),
                     0);
    for (int round = 0; round < 2000; round++) {
        size_t at = random_below(&random, model->count);
        uint64_t sequence = internal_sequence(
            table_model_key(model, random_below(&random, model->count)));
        uint8_t bytes[16];
        struct lsmkv_slice bound = table_model_random_key(&random, bytes);

        if (random_below(&random, 4) == 0)
            bound = (struct lsmkv_slice){NULL, 0};
        iterator_seek(it, table_model_key(model, at));
        iterator_skip_older(it, sequence, bound);
        while (at < model->count &&
               internal_sequence(table_model_key(model, at)) <= sequence &&
               (bound.data == NULL ||
                key_compare(order, table_model_user_key(model, at), bound) < 0))
            at++;
        assert_at(it, model, at);
    }
    iterator_free(it);
    level_world_fini(&world);
}
END_TEST

/* Tables 1 to 5 of this level hold nothing newer than 100, the last holds 200. */
START_TEST(test_skip_older_does_not_open_tables_that_hold_nothing_newer)
{
    struct level_world world;
    struct iterator *it;
    char key[8];

    memset(&world, 0, sizeof(world));
    table_fixture_init(&world.fixture, 1 << 20, 256);
    for (size_t i = 0; i < 60; i++) {
        snprintf(key, sizeof(key), "k%02zu", i);
        table_model_put(&world.model, lsmkv_str(key), i == 55 ? 200 : 1 + i,
                        lsmkv_str("v"));
    }
    table_model_sort(&world.model);
    for (size_t i = 0; i < 6; i++)
        level_add(&world, 10 * i, 10 * i + 10);
    ck_assert_int_eq(level_iterate(world.files, world.count, LSMKV_ORDER_BYTES,
                                   TABLE_KEEPING, lsmkv_bytes(NULL, 0), &it),
                     0);
    iterator_first(it);
    iterator_skip_older(it, 100, (struct lsmkv_slice){NULL, 0});
    assert_at(it, &world.model, 55);
    for (size_t i = 1; i < 5; i++)
        ck_assert_ptr_null(atomic_load(&world.files[i]->table));
    /* A bound is met before. */
    iterator_first(it);
    iterator_skip_older(it, 100, lsmkv_str("k25"));
    assert_at(it, &world.model, 25);
    ck_assert_ptr_null(atomic_load(&world.files[1]->table));
    ck_assert_ptr_nonnull(atomic_load(&world.files[2]->table));
    iterator_free(it);
    level_world_fini(&world);
}
END_TEST

START_TEST(test_a_table_that_cannot_be_opened_is_an_error_not_an_end)
{
    struct random random = random_of(7);
    struct level_world world;
    struct iterator *it;
    char name[TABLE_NAME_SIZE];

    level_world_init(&world, LSMKV_ORDER_BYTES, &random);
    table_name(name, 3);
    ck_assert_int_eq(env_dir_unlink(world.fixture.dir, name), 0);
    ck_assert_int_eq(level_iterate(world.files, world.count, LSMKV_ORDER_BYTES,
                                   TABLE_KEEPING, lsmkv_bytes(NULL, 0), &it),
                     0);
    for (iterator_first(it); it->valid;)
        iterator_next(it);
    ck_assert_int_eq(it->status, -EUCLEAN);
    for (iterator_last(it); it->valid;)
        iterator_prev(it);
    ck_assert_int_eq(it->status, -EUCLEAN);
    iterator_first(it);
    ck_assert_int_eq(it->status, 0);
    ck_assert(it->valid);
    iterator_free(it);
    level_world_fini(&world);
}
END_TEST

/* All of a version: tables of level 0 and a deeper level, merged, give every entry once. */
START_TEST(test_the_iterators_of_a_version_give_all_of_it)
{
    struct random random = random_of(random_seed());
    struct level_world world;
    struct version *version = empty(LSMKV_ORDER_BYTES);
    struct iterator *children[LEVEL_TABLES + LEVEL_COUNT], *it;
    size_t count = 0;

    level_world_init(&world, LSMKV_ORDER_BYTES, &random);
    for (size_t i = 0; i < world.count; i++) {
        table_file_ref(world.files[i]);
        version = with(version, i % 3 == 0 ? 0 : i % 3 == 1 ? 2 : 6, world.files[i]);
    }
    ck_assert_int_eq(
        version_iterators(version, TABLE_KEEPING, lsmkv_bytes(NULL, 0), children, &count),
        0);
    ck_assert_uint_eq(count, version->levels[0].count + 2);
    ck_assert_uint_le(count, VERSION_ITERATORS_MAX(version));
    ck_assert_int_eq(merge_new(LSMKV_ORDER_BYTES, children, count, &it), 0);
    iterator_first(it);
    for (size_t at = 0; at < world.model.count; at++, iterator_next(it))
        assert_at(it, &world.model, at);
    ck_assert(!it->valid);
    iterator_free(it);
    version_unref(version);
    level_world_fini(&world);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("version");
    TCase *cases = tcase_create("version");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_level_0_is_ordered_newest_first);
    tcase_add_test(cases, test_detours_pay_for_the_entries_of_level_0_and_what_is_below);
    tcase_add_test(cases, test_a_small_merge_is_paid_for_by_no_fewer);
    tcase_add_test(cases, test_a_deeper_level_is_ordered_by_key_in_its_order);
    tcase_add_test(cases, test_overlapping_tables_are_refused_below_level_0);
    tcase_add_test(cases, test_only_what_is_there_can_be_removed);
    tcase_add_test(cases, test_a_file_changes_level_in_one_edit);
    tcase_add_test(cases, test_a_file_is_reaped_after_its_last_reader);
    tcase_add_test(cases, test_a_failed_edit_keeps_no_reference);
    tcase_add_test(cases, test_level_find_and_overlaps_agree_with_looking_at_all);
    tcase_add_loop_test(cases, test_a_level_iterates_as_a_sorted_array, 0, 2);
    tcase_add_loop_test(cases, test_skip_older_stops_where_a_walk_would, 0, 2);
    tcase_add_test(cases, test_skip_older_does_not_open_tables_that_hold_nothing_newer);
    tcase_add_test(cases, test_a_table_that_cannot_be_opened_is_an_error_not_an_end);
    tcase_add_test(cases, test_the_iterators_of_a_version_give_all_of_it);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
