/*
 * test_prune.c - which snapshots a rotation keeps.
 *
 * Times are days, hours and minutes of one timeline (UTC):
 *
 *     day 0        Thursday, 2026-01-01
 *     day 4        Monday, a week begins
 *     day 31       Sunday, 2026-02-01
 *     day -1       Wednesday, 2025-12-31
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "cli/prune.h"
#include "support/suite.h"

#define ITEMS_MAX 400
#define MINUTE    INT64_C(60000000000)
#define DAY_0     (INT64_C(1767225600) * 1000000000)

static struct prune_item items[ITEMS_MAX];
static size_t count;
static unsigned keep[PRUNE_RULES];

static void
setup(void)
{
    count = 0;
    memset(keep, 0, sizeof(keep));
}

static void
add(int day, int hour, int minute)
{
    ck_assert_uint_lt(count, ITEMS_MAX);
    items[count++].time = DAY_0 + ((day * 24 + hour) * INT64_C(60) + minute) * MINUTE;
}

/* Which are kept: a letter each, the oldest first, of the rule that keeps it (the last one, if
 * several do), '.' for those that go. */
static void
expect(const char *wanted)
{
    char got[ITEMS_MAX + 1];

    prune_choose(keep, items, count);
    for (size_t i = 0; i < count; i++) {
        got[i] = '.';
        for (int rule = 0; rule < PRUNE_RULES; rule++) {
            if (items[i].period[rule] != 0)
                got[i] = "lhdwmy"[rule];
        }
        ck_assert_int_eq(prune_is_kept(&items[i]), got[i] != '.');
    }
    got[count] = '\0';
    ck_assert_str_eq(got, wanted);
}

START_TEST(test_the_newest_of_each_period_is_kept)
{
    add(0, 3, 0);
    add(0, 4, 10);
    add(0, 4, 50);
    add(0, 5, 0);
    add(0, 5, 59);
    add(0, 6, 0);
    keep[PRUNE_HOURLY] = 3;
    expect("..h.hh");
    ck_assert_uint_eq(items[5].period[PRUNE_HOURLY], 1);
    ck_assert_uint_eq(items[2].period[PRUNE_HOURLY], 3);
}
END_TEST

START_TEST(test_last_counts_snapshots)
{
    for (int i = 0; i < 6; i++)
        add(0, 0, 0);
    keep[PRUNE_LAST] = 4;
    expect("..llll");
}
END_TEST

/* Empty ones do not count: after a month on the shelf nothing is lost. */
START_TEST(test_periods_without_snapshots_do_not_count)
{
    add(-300, 0, 0);
    add(-200, 0, 0);
    add(-100, 0, 0);
    add(0, 0, 0);
    keep[PRUNE_DAILY] = 3;
    expect(".ddd");
}
END_TEST

START_TEST(test_days_end_at_midnight_of_utc)
{
    add(-1, 23, 59);
    add(0, 0, 0);
    add(0, 23, 59);
    add(1, 0, 0);
    keep[PRUNE_DAILY] = 9;
    expect("d.dd");
}
END_TEST

START_TEST(test_weeks_begin_on_monday)
{
    add(2, 0, 0);
    add(3, 23, 59);
    add(4, 0, 0);
    add(10, 0, 0);
    add(11, 0, 0);
    keep[PRUNE_WEEKLY] = 3;
    expect(".w.ww");
}
END_TEST

START_TEST(test_months_and_years_are_those_of_the_calendar)
{
    add(-1, 23, 59);
    add(0, 0, 0);
    add(30, 23, 59);
    add(31, 0, 0);
    add(58, 0, 0);
    keep[PRUNE_MONTHLY] = 3;
    expect("m.m.m");
    keep[PRUNE_MONTHLY] = 0;
    keep[PRUNE_YEARLY] = 2;
    expect("y...y");
}
END_TEST

START_TEST(test_rules_do_not_know_of_each_other)
{
    add(0, 1, 0);
    add(1, 1, 0);
    add(1, 2, 0);
    keep[PRUNE_LAST] = 1;
    keep[PRUNE_DAILY] = 1;
    expect("..d");
    ck_assert_uint_eq(items[2].period[PRUNE_LAST], 1);
    ck_assert_uint_eq(items[2].period[PRUNE_DAILY], 1);
}
END_TEST

START_TEST(test_without_a_rule_nothing_is_kept)
{
    add(0, 0, 0);
    add(0, 1, 0);
    expect("..");
    count = 0;
    expect("");
}
END_TEST

/* Divided towards zero, two days around 1970 are one. */
START_TEST(test_times_before_1970)
{
    count = 3;
    items[0].time = -1 - 24 * 60 * MINUTE;
    items[1].time = -1;
    items[2].time = 0;
    keep[PRUNE_DAILY] = 3;
    expect("ddd");
    memset(keep, 0, sizeof(keep));
    keep[PRUNE_YEARLY] = 2;
    expect(".yy");
}
END_TEST

/* They were sorted by time, and so the newest, taken since a clock that was ahead was set right, was
 * the first to go. */
START_TEST(test_the_newest_is_the_one_made_last)
{
    add(300, 5, 0);
    add(300, 6, 0);
    add(0, 0, 0);
    keep[PRUNE_LAST] = 1;
    expect("..l");
    keep[PRUNE_LAST] = 0;
    keep[PRUNE_DAILY] = 1;
    expect("..d");
    keep[PRUNE_DAILY] = 2;
    expect(".dd");
}
END_TEST

START_TEST(test_a_period_counts_once_even_if_a_clock_goes_back_and_forth)
{
    add(-5, 0, 0);
    add(0, 12, 0);
    add(-1, 12, 0);
    add(0, 13, 0);
    keep[PRUNE_DAILY] = 3;
    expect("d.dd");
}
END_TEST

/* One an hour for two weeks, pruned after each: what is left is what the rules promise, and as it
 * would be without the prunings in between. */
START_TEST(test_a_rotation_settles)
{
    unsigned kept = 0, hours = 0;

    keep[PRUNE_HOURLY] = 24;
    keep[PRUNE_DAILY] = 7;
    for (int hour = 0; hour < 14 * 24; hour++) {
        size_t used = 0;

        add(0, hour, 0);
        prune_choose(keep, items, count);
        for (size_t i = 0; i < count; i++) {
            if (prune_is_kept(&items[i]))
                items[used++] = items[i];
        }
        count = used;
    }
    for (size_t i = 0; i < count; i++) {
        kept += items[i].period[PRUNE_DAILY] != 0;
        hours += items[i].period[PRUNE_HOURLY] != 0;
    }
    ck_assert_uint_eq(kept, 7);
    ck_assert_uint_eq(hours, 24);
    ck_assert_uint_eq(count, 30); /* the newest day's is an hour's, too */
    ck_assert_int_eq(items[0].time, DAY_0 + (7 * 24 + 23) * 60 * MINUTE);
}
END_TEST

/* What restic 0.14 keeps of the same times by the same rules. */
START_TEST(test_it_keeps_what_restic_keeps)
{
    add(-365, 0, 0);
    add(-364, 10, 0);
    add(-40, 0, 0);
    add(-30, 0, 0);
    add(-29, 12, 0);
    add(-8, 0, 0);
    add(-7, 0, 0);
    add(-1, 23, 0);
    add(0, 1, 0);
    add(0, 1, 30);
    keep[PRUNE_LAST] = 1;
    keep[PRUNE_HOURLY] = 2;
    keep[PRUNE_WEEKLY] = 3;
    keep[PRUNE_MONTHLY] = 3;
    expect("..m.w.wm.m");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("prune");
    TCase *rules = tcase_create("rules");

    tcase_add_checked_fixture(rules, setup, NULL);
    tcase_add_test(rules, test_the_newest_of_each_period_is_kept);
    tcase_add_test(rules, test_last_counts_snapshots);
    tcase_add_test(rules, test_periods_without_snapshots_do_not_count);
    tcase_add_test(rules, test_days_end_at_midnight_of_utc);
    tcase_add_test(rules, test_weeks_begin_on_monday);
    tcase_add_test(rules, test_months_and_years_are_those_of_the_calendar);
    tcase_add_test(rules, test_rules_do_not_know_of_each_other);
    tcase_add_test(rules, test_without_a_rule_nothing_is_kept);
    tcase_add_test(rules, test_times_before_1970);
    tcase_add_test(rules, test_the_newest_is_the_one_made_last);
    tcase_add_test(rules, test_a_period_counts_once_even_if_a_clock_goes_back_and_forth);
    tcase_add_test(rules, test_a_rotation_settles);
    tcase_add_test(rules, test_it_keeps_what_restic_keeps);
    suite_add_tcase(suite, rules);
    return run_suite(suite);
}
