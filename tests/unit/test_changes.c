/* test_changes.c - what a walk over changes tells, and what it reads for that. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig_fixture.h"
#include "support/rounds.h"
#include "support/suite.h"
#include "support/world.h"

/* The keys that are told, with a space after each. */
static const char *
told(const struct lsmkv_changes_options *options)
{
    static char text[4096];
    struct lsmkv_changes *changes;
    size_t used = 0;

    text[0] = '\0';
    ck_assert_int_eq(lsmkv_changes_new(rig.db, NULL, options, &changes), 0);
    while (lsmkv_changes_next(changes)) {
        struct lsmkv_slice key = lsmkv_changes_key(changes);

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s ", (int)key.size,
                                 (const char *)key.data);
        ck_assert_uint_lt(used, sizeof(text));
    }
    ck_assert_int_eq(lsmkv_changes_status(changes), 0);
    ck_assert(!lsmkv_changes_next(changes));
    lsmkv_changes_free(changes);
    return text;
}

static const char *
told_between(const struct lsmkv_snapshot *from, const struct lsmkv_snapshot *to)
{
    struct lsmkv_changes_options options = {.from = from, .to = to};

    return told(&options);
}

START_TEST(test_what_was_put_deleted_or_moved_is_told_and_nothing_else)
{
    struct lsmkv_move move = {lsmkv_str("d"), lsmkv_str("e")};
    struct lsmkv_snapshot *from;

    rig_put(&rig, "a", "1");
    rig_put(&rig, "b", "1");
    rig_put(&rig, "c", "1");
    rig_put(&rig, "d/x", "1");
    from = take();
    ck_assert_str_eq(told_between(from, NULL), "");
    rig_put(&rig, "b", "2");
    rig_delete(&rig, "c");
    rig_put(&rig, "b", "3");
    rig_put(&rig, "f", "1");
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &move, 1, NULL, 0), 0);
    ck_assert_str_eq(told_between(from, NULL), "b c d/x e/x f ");
    flush_and_merge();
    ck_assert_str_eq(told_between(from, NULL), "b c d/x e/x f ");
    release(from);
}
END_TEST

/* What a merge drops is what neither sequence sees. */
START_TEST(test_what_came_after_the_second_is_not_told)
{
    struct lsmkv_snapshot *from, *to;

    rig_put(&rig, "a", "1");
    rig_put(&rig, "b", "1");
    from = take();
    rig_put(&rig, "a", "2");
    to = take();
    for (int i = 0; i < 100; i++)
        rig_put(&rig, i % 2 == 0 ? "a" : "b", "3");
    rig_put(&rig, "c", "1");
    ck_assert_str_eq(told_between(from, to), "a ");
    ck_assert_str_eq(told_between(to, NULL), "a b c ");
    ck_assert_str_eq(told_between(from, from), "");
    flush_and_merge();
    ck_assert_str_eq(told_between(from, to), "a ");
    release(to);
    release(from);
}
END_TEST

/* Without a snapshot there is the empty store, which has changed in every key. */
START_TEST(test_without_a_first_all_that_was_written_is_told)
{
    struct lsmkv_snapshot *to;

    rig_put(&rig, "a", "1");
    rig_put(&rig, "b", "1");
    flush_and_merge();
    to = take();
    rig_put(&rig, "c", "1");
    ck_assert_str_eq(told_between(NULL, to), "a b ");
    ck_assert_str_eq(told_between(NULL, NULL), "a b c ");
    release(to);
}
END_TEST

static bool
refuse(void *context)
{
    ++*(unsigned *)context;
    return false;
}

/* What was written after `to` is walked over, however much it is, before the first key is told. */
START_TEST(test_a_walk_over_what_is_not_told_can_be_ended)
{
    struct lsmkv_snapshot *from = take(), *to;
    unsigned asked = 0;
    struct lsmkv_changes_options options = {
        .from = from, .go_on = refuse, .context = &asked};
    struct lsmkv_changes *changes;
    char key[32];

    rig_put(&rig, "z", "1");
    to = take();
    options.to = to;
    ck_assert_str_eq(told(&options), "z ");
    ck_assert_uint_eq(asked, 0);
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        rig_put(&rig, key, "1");
    }
    ck_assert_int_eq(lsmkv_changes_new(rig.db, NULL, &options, &changes), 0);
    ck_assert(!lsmkv_changes_next(changes));
    ck_assert_int_eq(lsmkv_changes_status(changes), -ECANCELED);
    ck_assert(!lsmkv_changes_next(changes));
    ck_assert_uint_eq(asked, 1);
    lsmkv_changes_free(changes);
    release(to);
    release(from);
}
END_TEST

START_TEST(test_bounds_hold_as_an_iterators)
{
    struct lsmkv_snapshot *from = take();
    struct lsmkv_changes_options options = {
        .from = from, .lower = lsmkv_str("b"), .upper = lsmkv_str("b0")};

    rig_put(&rig, "", "1");
    rig_put(&rig, "a", "1");
    rig_put(&rig, "b", "1");
    rig_put(&rig, "b/x", "1");
    rig_put(&rig, "b0", "1");
    ck_assert_str_eq(told(&options), "b b/x ");
    flush_and_merge();
    ck_assert_str_eq(told(&options), "b b/x ");
    options.lower = lsmkv_str("c");
    options.upper = lsmkv_bytes(NULL, 0);
    ck_assert_str_eq(told(&options), "");
    options.lower = lsmkv_bytes(NULL, 0);
    options.upper = lsmkv_str("a");
    ck_assert_str_eq(told(&options), " ");
    options.upper = lsmkv_str("");
    ck_assert_str_eq(told(&options), "");
    release(from);
}
END_TEST

START_TEST(test_the_wrong_order_is_an_error)
{
    struct lsmkv_snapshot *first = take(), *second;
    struct lsmkv_changes_options options = {.to = first};
    struct lsmkv_changes *changes;

    rig_put(&rig, "a", "1");
    second = take();
    options.from = second;
    ck_assert_int_eq(lsmkv_changes_new(rig.db, NULL, &options, &changes), -EINVAL);
    release(second);
    release(first);
}
END_TEST

/* The newer version of a key is above, in a memtable or a higher level, or beside the old one. */
START_TEST(test_it_reads_what_has_changed_not_what_is_there)
{
    enum { KEYS = 20000 };
    struct lsmkv_snapshot *from;
    struct lsmkv_stats before, after;
    char key[32];

    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "d%d/f%d", i / 100, i);
        rig_put(&rig, key, "some contents of a small file");
    }
    flush_and_merge();
    from = take();
    rig_put(&rig, "d7/f700", "2");
    rig_delete(&rig, "d150/f15012");
    for (int merged = 0; merged < 2; merged++) {
        struct lsmkv_iter *iter;

        before = rig_stats(&rig);
        ck_assert_str_eq(told_between(from, NULL), "d150/f15012 d7/f700 ");
        after = rig_stats(&rig);
        ck_assert_uint_lt(after.blocks_read + after.cache_hits - before.blocks_read -
                              before.cache_hits,
                          20);
        /* Whereas there are so many: */
        before = after;
        ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, NULL, &iter), 0);
        for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter);)
            lsmkv_iter_next(iter);
        lsmkv_iter_free(iter);
        after = rig_stats(&rig);
        ck_assert_uint_gt(after.blocks_read + after.cache_hits - before.blocks_read -
                              before.cache_hits,
                          100);
        flush_and_merge();
    }
    release(from);
}
END_TEST

/* A read error is not the end of the changes. */
START_TEST(test_a_read_error_ends_the_walk_and_is_told)
{
    struct fault fault = {
        .call = ENV_CALL_FILE_READ, .nth = 1, .onwards = true, .error = EIO};
    struct lsmkv_snapshot *from = take();
    struct lsmkv_changes_options options = {.from = from};
    struct lsmkv_changes *changes;

    rig_put(&rig, "a", "1");
    rig_put(&rig, "b", "1");
    flush_and_merge();
    ck_assert_int_eq(lsmkv_changes_new(rig.db, NULL, &options, &changes), 0);
    fault_env_set(rig.faults, fault);
    ck_assert(!lsmkv_changes_next(changes));
    ck_assert_int_eq(lsmkv_changes_status(changes), -EIO);
    ck_assert(!lsmkv_changes_next(changes));
    fault_env_heal(rig.faults);
    lsmkv_changes_free(changes);
    release(from);
}
END_TEST

/* ---- each read ---- */

/* Keys in two tables of level 0 above those of level 1, and in the log. */
static void
fill_levels(void)
{
    char key[32], value[200];

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof(key), "k%03d", i);
        rig_put(&rig, key, value);
    }
    flush_and_merge();
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), 0);
    for (int i = 0; i < 600; i += 7) {
        snprintf(key, sizeof(key), "k%03d", i);
        rig_put(&rig, key, "new");
    }
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    for (int i = 0; i < 600; i += 11) {
        snprintf(key, sizeof(key), "k%03d", i);
        rig_delete(&rig, key);
    }
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_put(&rig, "k300", "last");
}

/* What is told while the nth read fails, into `text`; the walk's status. */
static int
told_under_fault(struct fault fault, char *text, size_t size)
{
    struct lsmkv_changes_options options = {0};
    struct lsmkv_snapshot *from;
    struct lsmkv_changes *changes;
    size_t used = 0;
    int result;

    text[0] = '\0';
    rig_close(&rig);
    rig_open(&rig); /* no table is open, no block in the cache */
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "s", &from, NULL), 0);
    options.from = from;
    fault_env_set(rig.faults, fault);
    result = lsmkv_changes_new(rig.db, NULL, &options, &changes);
    if (result == 0) {
        while (lsmkv_changes_next(changes)) {
            struct lsmkv_slice key = lsmkv_changes_key(changes);

            used += (size_t)snprintf(text + used, size - used, "%.*s ", (int)key.size,
                                     (const char *)key.data);
            ck_assert_uint_lt(used, size);
        }
        result = lsmkv_changes_status(changes);
        lsmkv_changes_free(changes);
    }
    fault_env_heal(rig.faults);
    release(from);
    return result;
}

START_TEST(test_whichever_read_fails_no_change_is_left_out)
{
    struct fault fault = {
        .call = ENV_CALL_FILE_READ, .error = EIO, .onwards = _i == 1, .nth = UINT64_MAX};
    char all[4096], some[4096];
    uint64_t failures;
    unsigned failed = 0;

    rig.options.l0_compaction_trigger = 20;
    rig_close(&rig);
    rig_open(&rig);
    fill_levels();
    ck_assert_int_eq(told_under_fault(fault, all, sizeof(all)), 0);
    ck_assert_uint_gt(strlen(all), 5 * (600 / 7 + 600 / 11 - 600 / 77 - 1));
    for (fault.nth = 1;; fault.nth++) {
        int result;

        failures = fault_env_failures(rig.faults);
        result = told_under_fault(fault, some, sizeof(some));
        if (fault_env_failures(rig.faults) == failures)
            break;
        ck_assert(result == 0 || result == -EIO);
        if (result == 0) /* what was read ahead was read again */
            ck_assert_str_eq(some, all);
        else
            ck_assert(strncmp(some, all, strlen(some)) == 0);
        failed += result != 0;
    }
    ck_assert_uint_gt(failed, 4);
}
END_TEST

/* ---- against the models ---- */

static bool
slices_equal(struct lsmkv_slice a, struct lsmkv_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool
entries_equal(const struct model_entry *a, const struct model_entry *b)
{
    return slices_equal(a->attributes, b->attributes) && slices_equal(a->value, b->value);
}

/* The next key, from places in both on, of which the entries differ; both places are moved past
 * it.  False: there is none. */
static bool
next_difference(const struct model *a, const struct model *b, size_t *i, size_t *k,
                struct lsmkv_slice *key)
{
    while (*i < a->count || *k < b->count) {
        int order = *i == a->count ? 1
                    : *k == b->count
                        ? -1
                        : model_compare(a->order, a->entries[*i].key, b->entries[*k].key);
        const struct model_entry *left = &a->entries[*i], *right = &b->entries[*k];

        *key = order <= 0 ? left->key : right->key;
        *i += order <= 0;
        *k += order >= 0;
        if (order != 0 || !entries_equal(left, right))
            return true;
    }
    return false;
}

/* Every key that differs is told, each key once and in order.  How many are. */
static size_t
check_pair(const struct world *world, int keyspace, const struct world_snapshot *from,
           const struct lsmkv_snapshot *to, const struct model *newer)
{
    const struct model *older = &from->models[keyspace];
    struct lsmkv_changes_options options = {.from = from->handle, .to = to};
    struct lsmkv_changes *changes;
    struct lsmkv_slice key;
    char last[1024];
    size_t last_size = 0, count = 0, i = 0, k = 0;
    bool differs = next_difference(older, newer, &i, &k, &key);

    ck_assert_int_eq(
        lsmkv_changes_new(world->db, world->keyspaces[keyspace], &options, &changes), 0);
    for (; lsmkv_changes_next(changes); count++) {
        struct lsmkv_slice at = lsmkv_changes_key(changes);

        ck_assert_uint_le(at.size, sizeof(last));
        if (count > 0)
            ck_assert_int_gt(
                model_compare(older->order, at, lsmkv_bytes(last, last_size)), 0);
        memcpy(last, at.data, at.size);
        last_size = at.size;
        if (!differs)
            continue;
        ck_assert_int_le(model_compare(older->order, at, key), 0);
        if (slices_equal(at, key))
            differs = next_difference(older, newer, &i, &k, &key);
    }
    ck_assert_int_eq(lsmkv_changes_status(changes), 0);
    ck_assert_msg(!differs, "step %llu: a key that differs was not told",
                  (unsigned long long)world->step);
    lsmkv_changes_free(changes);
    return count;
}

/* Every snapshot with every later one, and with now. */
static size_t
check_all(const struct world *world)
{
    size_t count = 0;

    for (int a = 0; a < WORLD_SNAPSHOTS; a++) {
        const struct world_snapshot *from = &world->snapshots[a];

        for (int ks = 0; ks < WORLD_KEYSPACES && from->handle != NULL; ks++) {
            count += check_pair(world, ks, from, NULL, &world->models[ks]);
            for (int b = 0; b < WORLD_SNAPSHOTS; b++) {
                const struct world_snapshot *to = &world->snapshots[b];

                if (to->handle != NULL && lsmkv_snapshot_sequence(to->handle) >=
                                              lsmkv_snapshot_sequence(from->handle))
                    count += check_pair(world, ks, from, to->handle, &to->models[ks]);
            }
        }
    }
    return count;
}

START_TEST(test_every_key_that_differs_is_told_whatever_was_merged)
{
    struct world *world = malloc(sizeof(*world));
    uint64_t steps = rounds_of(20000, 4000);
    size_t count = 0;

    ck_assert_ptr_nonnull(world);
    world_init(world, random_seed(), true);
    for (uint64_t i = 0; i < steps; i++) {
        world_step(world);
        if (i % 40 == 0)
            count += check_all(world);
    }
    ck_assert_uint_gt(count, steps / 2);
    world_fini(world);
    free(world);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("changes");
    TCase *tcase = tcase_create("changes");

    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_what_was_put_deleted_or_moved_is_told_and_nothing_else);
    tcase_add_test(tcase, test_what_came_after_the_second_is_not_told);
    tcase_add_test(tcase, test_without_a_first_all_that_was_written_is_told);
    tcase_add_test(tcase, test_a_walk_over_what_is_not_told_can_be_ended);
    tcase_add_test(tcase, test_bounds_hold_as_an_iterators);
    tcase_add_test(tcase, test_the_wrong_order_is_an_error);
    tcase_add_test(tcase, test_it_reads_what_has_changed_not_what_is_there);
    tcase_add_test(tcase, test_a_read_error_ends_the_walk_and_is_told);
    tcase_add_loop_test(tcase, test_whichever_read_fails_no_change_is_left_out, 0, 2);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("model");
    tcase_set_timeout(tcase, 900);
    tcase_add_test(tcase, test_every_key_that_differs_is_told_whatever_was_merged);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
