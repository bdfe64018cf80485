/*
 * dead_ranges.h - where scans have found nothing alive: a bounded list, in memory only.
 *
 * A range (from, to, r) claims: of every key in [from, to), the newest version with a
 * sequence at or below r is a tombstone, or there is none.  No later write makes that
 * false, for it gets a sequence above r; nor does compaction, which drops a tombstone
 * only when nothing is left below it.  So a scan at R >= r may pass every entry of the
 * range with a sequence at or below r: what could decide such a key differently is newer.
 *
 * It is only a cache.  A scan below r must not use the range (what lived before may have
 * been deleted since), and gets, filters and compaction never ask; a lookup asks only
 * whether a scan would tell sooner what is below a key.
 *
 * D1  Two ranges become one only if they touch and have the same r: the claim at r says
 *     nothing of any r below it, and nothing beyond its keys.
 * D2  At most `capacity` ranges, no key of theirs above DEAD_RANGE_KEY_MAX bytes.
 */
#ifndef ITER_DEAD_RANGES_H
#define ITER_DEAD_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"

#define DEAD_RANGES_MAX    64u /* what a keyspace asks for */
#define DEAD_RANGE_KEY_MAX 2048u

struct dead_range {
    struct keybuf from;
    struct keybuf to;
    uint64_t sequence;
    uint64_t used; /* when it was last found or added, by the list's own clock */
};

void dead_range_fini(struct dead_range *range);

/* One a keyspace.  Any thread may call; a mutex of its own, under which nothing else is
 * taken, guards it. */
struct dead_ranges;

/* A list of at most `capacity` (at least 1) ranges.  -ENOMEM. */
int LSMKV_CHECKED dead_ranges_new(enum lsmkv_order order, size_t capacity,
                                  struct dead_ranges **ranges);
/* NULL is allowed. */
void dead_ranges_free(struct dead_ranges *ranges);

/* Remembers a claim, if from < to.  When the list is full the range longest unused goes.
 * A range too large to keep, and one there is no memory for, is forgotten. */
void dead_ranges_add(struct dead_ranges *ranges, struct lsmkv_slice from,
                     struct lsmkv_slice to, uint64_t sequence);

/* Copies the range that serves a scan at `sequence` that stands on `key`: of those that
 * hold the key, the one of the greatest sequence; if none does, the first that begins
 * after it.  False: there is none (or no memory for the copy). */
bool LSMKV_CHECKED dead_ranges_find(struct dead_ranges *ranges, struct lsmkv_slice key,
                                    uint64_t sequence, struct dead_range *found);
/* Whether there is one for a scan at `sequence` that holds the key. */
bool LSMKV_CHECKED dead_ranges_hold(struct dead_ranges *ranges, struct lsmkv_slice key,
                                    uint64_t sequence);

#endif
