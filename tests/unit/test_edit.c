/* test_edit.c - what one manifest line after another makes of the state. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "manifest_fixture.h"
#include "support/suite.h"

START_TEST(test_a_table_moves_between_levels_in_one_line)
{
    struct manifest_edit state = first_state(), edit = {0};

    ck_assert_int_eq(manifest_edit_remove(&edit, 0, 1, 3), 0);
    add_table(&edit, 2, 3, "a", "b");
    ck_assert_int_eq(manifest_state_apply(&state, &edit), 0);
    ck_assert_uint_eq(state.added_count, 1);
    ck_assert_int_eq(state.added[0].level, 2);
    manifest_edit_fini(&edit);
    manifest_edit_fini(&state);
}
END_TEST

/* Lines are made by several threads; a lower number in a later one gives nothing back. */
START_TEST(test_numbers_never_go_back)
{
    struct manifest_edit state = {0};
    const struct manifest_edit high = {.next_file = 50,
                                       .oldest_log = 40,
                                       .last_sequence = 900,
                                       .next_keyspace = 7,
                                       .next_snapshot = 8};
    const struct manifest_edit low = {.next_file = 5,
                                      .oldest_log = 4,
                                      .last_sequence = 90,
                                      .next_keyspace = 1,
                                      .next_snapshot = 1};

    ck_assert_int_eq(manifest_state_apply(&state, &high), 0);
    ck_assert_int_eq(manifest_state_apply(&state, &low), 0);
    ck_assert_uint_eq(state.next_file, 50);
    ck_assert_uint_eq(state.oldest_log, 40);
    ck_assert_uint_eq(state.last_sequence, 900);
    ck_assert_uint_eq(state.next_keyspace, 7);
    ck_assert_uint_eq(state.next_snapshot, 8);
    manifest_edit_fini(&state);
}
END_TEST

START_TEST(test_a_snapshot_is_renamed_by_its_id)
{
    struct manifest_edit state = first_state(), edit = {0};
    struct lsmkv_snapshot_info one = snapshot_of(1, "one", 50),
                               two = snapshot_of(2, "two", 60);

    ck_assert_int_eq(manifest_edit_snapshot(&edit, &one), 0);
    ck_assert_int_eq(manifest_edit_snapshot(&edit, &two), 0);
    ck_assert_int_eq(manifest_state_apply(&state, &edit), 0);
    snprintf(edit.snapshots[0].name, sizeof(edit.snapshots[0].name), "new");
    edit.snapshot_count = 1;
    ck_assert_int_eq(manifest_state_apply(&state, &edit), 0);
    ck_assert_uint_eq(state.snapshot_count, 2);
    ck_assert_str_eq(state.snapshots[0].name, "new");
    snprintf(edit.snapshots[0].name, sizeof(edit.snapshots[0].name), "two");
    ck_assert_int_eq(manifest_state_apply(&state, &edit), -EUCLEAN);
    manifest_edit_fini(&edit);
    manifest_edit_fini(&state);
}
END_TEST

START_TEST(test_a_dropped_keyspace_takes_its_tables_along)
{
    struct manifest_edit state = first_state(), edit = {0};

    add_keyspace(&edit, 1, "other", LSMKV_ORDER_BYTES);
    add_table(&edit, 0, 9, "x", "y");
    edit.added[0].keyspace = 1;
    ck_assert_int_eq(manifest_state_apply(&state, &edit), 0);
    ck_assert_uint_eq(state.added_count, 2);
    manifest_edit_fini(&edit);
    ck_assert_int_eq(manifest_edit_drop_keyspace(&edit, 1), 0);
    ck_assert_int_eq(manifest_state_apply(&state, &edit), 0);
    ck_assert_uint_eq(state.added_count, 1);
    ck_assert_uint_eq(state.added[0].meta.number, 3);
    ck_assert_uint_eq(state.keyspace_count, 1);
    ck_assert_uint_eq(state.next_keyspace, 2);
    manifest_edit_fini(&edit);
    manifest_edit_fini(&state);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("edit");
    TCase *cases = tcase_create("edit");

    tcase_add_test(cases, test_a_table_moves_between_levels_in_one_line);
    tcase_add_test(cases, test_numbers_never_go_back);
    tcase_add_test(cases, test_a_snapshot_is_renamed_by_its_id);
    tcase_add_test(cases, test_a_dropped_keyspace_takes_its_tables_along);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
