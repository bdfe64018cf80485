/* prune.c - see prune.h. */
#include "cli/prune.h"

#include <string.h>
#include <time.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define HOUR          3600
#define DAY           86400

const char *const prune_names[PRUNE_RULES] = {
    "last", "hourly", "daily", "weekly", "monthly", "yearly",
};

/* Towards the past, also before 1970. */
static int64_t
divide(int64_t number, int64_t by)
{
    return number / by - (number % by < 0);
}

static int64_t
month_of(int64_t seconds)
{
    time_t time = seconds;
    struct tm tm;

    /* A year that has no room in an int: whoever made such a time has one month. */
    if (gmtime_r(&time, &tm) == NULL)
        return 0;
    return tm.tm_year * INT64_C(12) + tm.tm_mon;
}

/* A number for the period in which a snapshot falls; those of the same one have the
 * same. */
static int64_t
period_of(enum prune_rule rule, int64_t time, size_t index)
{
    int64_t seconds = divide(time, NS_PER_SECOND);

    switch (rule) {
    case PRUNE_HOURLY:
        return divide(seconds, HOUR);
    case PRUNE_DAILY:
        return divide(seconds, DAY);
    case PRUNE_WEEKLY: /* 1970 began on a Thursday */
        return divide(divide(seconds, DAY) + 3, 7);
    case PRUNE_MONTHLY:
        return month_of(seconds);
    case PRUNE_YEARLY:
        return divide(month_of(seconds), 12);
    default:
        return (int64_t)index;
    }
}

/* Of those that are newer; where a clock went back, not only the next one's. */
static bool
is_counted(enum prune_rule rule, int64_t period, const struct prune_item *items,
           size_t from, size_t count)
{
    for (size_t i = from; i < count; i++) {
        if (items[i].period[rule] != 0 && period_of(rule, items[i].time, i) == period)
            return true;
    }
    return false;
}

static void
apply(enum prune_rule rule, unsigned keep, struct prune_item *items, size_t count)
{
    int64_t last = 0;
    unsigned used = 0;

    for (size_t i = count; i-- > 0 && used < keep;) {
        int64_t period = period_of(rule, items[i].time, i);
        if (used > 0 && (period == last || is_counted(rule, period, items, i + 1, count)))
            continue;
        items[i].period[rule] = ++used;
        last = period;
    }
}

void
prune_choose(const unsigned keep[PRUNE_RULES], struct prune_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memset(items[i].period, 0, sizeof(items[i].period));
    for (int rule = 0; rule < PRUNE_RULES; rule++)
        apply((enum prune_rule)rule, keep[rule], items, count);
}

bool
prune_is_kept(const struct prune_item *item)
{
    for (int rule = 0; rule < PRUNE_RULES; rule++) {
        if (item->period[rule] != 0)
            return true;
    }
    return false;
}
