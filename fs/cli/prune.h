/*
 * prune.h - which snapshots a rotation keeps.
 *
 * A rule counts periods: `keep` of them, from the newest snapshot backwards and only
 * those that have any, and of each keeps the newest.  The rules do not know of each
 * other; kept is what any of them keeps.  Periods are those of UTC; weeks begin on
 * Monday.  It is what restic's forget does.
 */
#ifndef FS_PRUNE_H
#define FS_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum prune_rule {
    PRUNE_LAST, /* a period is one snapshot */
    PRUNE_HOURLY,
    PRUNE_DAILY,
    PRUNE_WEEKLY,
    PRUNE_MONTHLY,
    PRUNE_YEARLY,
    PRUNE_RULES
};

/* "last", "hourly", ... */
extern const char *const prune_names[PRUNE_RULES];

struct prune_item {
    int64_t time; /* nanoseconds since 1970 */
    /* Set by prune_choose: which period of the rule, from 1 for the newest; 0: not kept
     * by it. */
    unsigned period[PRUNE_RULES];
};

/* `items` are in the order in which they were made, the newest last, which any rule
 * keeps: times may go back where a clock did. */
void prune_choose(const unsigned keep[PRUNE_RULES], struct prune_item *items,
                  size_t count);

bool prune_is_kept(const struct prune_item *item);

#endif
