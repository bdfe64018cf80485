/*
 * retain.c - see retain.h.  The rules are C1 and C2 of compaction.h; drawn for one key,
 * newest on the left, with snapshots at 5 and 8 and 9 published last:
 *
 *     sequence  12  11  10   9   7   6   4   3
 *     entry      P   P   P   P   P   P   P   P
 *     kept       *   *   *   *   *       *
 *                |       |   |   |       the snapshot at 5 sees 4; nobody sees 3
 *                |       |   |   the snapshot at 8 sees 7, so nobody sees 6
 *                |       |   a reader at 9
 *                above 9 a reader may come to stand anywhere
 *
 * A tombstone that is kept says "absent" to some reader.  It can go if that is said
 * without it: nothing older is outside, and what is left here below it is another
 * tombstone or nothing.
 */
#include "compaction/retain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is outside ---- */

static bool
is_input(const struct compaction *compaction, const struct table_file *file)
{
    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < compaction->input_counts[which]; i++) {
            if (compaction->inputs[which][i] == file)
                return true;
        }
    }
    return false;
}

int
outside_init(struct outside *outside, const struct compaction *compaction)
{
    memset(outside, 0, sizeof(*outside));
    outside->order = compaction->order;
    for (int i = 0; i < LEVEL_COUNT; i++) {
        const struct level *all = &compaction->version->levels[i];
        struct level *left = &outside->levels[i];
        bool mixed = i == compaction->level || i == compaction->output_level;

        if (all->count == 0)
            continue;
        left->files = calloc(all->count, sizeof(struct table_file *));
        if (left->files == NULL) {
            outside_fini(outside);
            return -ENOMEM;
        }
        for (size_t k = 0; k < all->count; k++) {
            if (!mixed || !is_input(compaction, all->files[k]))
                left->files[left->count++] = all->files[k];
        }
    }
    return 0;
}

void
outside_fini(struct outside *outside)
{
    for (int i = 0; i < LEVEL_COUNT; i++)
        free(outside->levels[i].files);
    memset(outside, 0, sizeof(*outside));
}

static bool
file_may_hold(const struct table_file *file, enum lsmkv_order order,
              struct lsmkv_slice key, uint64_t sequence)
{
    return file->meta.smallest_sequence < sequence &&
           table_file_overlaps(file, order, key, key);
}

/* Whether one of them may hold a version of `key` older than `sequence`. */
static bool
outside_may_hold(const struct outside *outside, struct lsmkv_slice key, uint64_t sequence)
{
    const struct level *level = &outside->levels[0];

    for (size_t i = 0; i < level->count; i++) {
        if (file_may_hold(level->files[i], outside->order, key, sequence))
            return true;
    }
    for (int i = 1; i < LEVEL_COUNT; i++) {
        size_t at;

        level = &outside->levels[i];
        at = level_find(level, outside->order, key);
        if (at < level->count &&
            file_may_hold(level->files[at], outside->order, key, sequence))
            return true;
    }
    return false;
}

/* ---- what is kept ---- */

void
retain_init(struct retain *retain, enum lsmkv_order order, const uint64_t *snapshots,
            size_t snapshot_count, const struct outside *outside,
            struct retain_sink *sink)
{
    memset(retain, 0, sizeof(*retain));
    retain->order = order;
    retain->snapshots = snapshots;
    retain->snapshot_count = snapshot_count;
    retain->outside = outside;
    retain->sink = sink;
}

void
retain_fini(struct retain *retain)
{
    keybuf_fini(&retain->key);
    keybuf_fini(&retain->tombstone);
    free(retain->waiting);
    memset(retain, 0, sizeof(*retain));
}

/* Whether some reader sees an entry that `newer` follows: a snapshot lies in [entry,
 * newer). */
static bool
is_seen(const struct retain *retain, uint64_t entry, uint64_t newer)
{
    size_t low = 0, high = retain->snapshot_count;

    if (newer > retain->snapshots[retain->snapshot_count - 1])
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (retain->snapshots[middle] < entry)
            low = middle + 1;
        else
            high = middle;
    }
    return low < retain->snapshot_count && retain->snapshots[low] < newer;
}

static int
pass_on(struct retain *retain, struct lsmkv_slice internal, struct lsmkv_slice payload)
{
    bool first = !retain->passed;

    retain->passed = true;
    return retain->sink->keep(retain->sink, internal, payload, first);
}

static int
pass_tombstone(struct retain *retain, uint64_t sequence)
{
    int result = keybuf_set_internal(&retain->tombstone, keybuf_slice(&retain->key),
                                     sequence, KIND_DELETE);

    return result < 0
               ? result
               : pass_on(retain, keybuf_slice(&retain->tombstone), lsmkv_bytes("", 0));
}

/* Settles the tombstones that wait, before an older put that is kept, or at the end of
 * the key (C2). */
static int
pass_waiting(struct retain *retain, bool put_follows)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < retain->waiting_count; i++) {
        bool oldest = i == retain->waiting_count - 1;

        if (retain->outside == NULL || (oldest && put_follows) ||
            outside_may_hold(retain->outside, keybuf_slice(&retain->key),
                             retain->waiting[i]))
            result = pass_tombstone(retain, retain->waiting[i]);
    }
    retain->waiting_count = 0;
    return result;
}

static int
wait_tombstone(struct retain *retain, uint64_t sequence)
{
    if (retain->waiting_count == retain->waiting_capacity) {
        size_t capacity =
            retain->waiting_capacity == 0 ? 8 : 2 * retain->waiting_capacity;
        uint64_t *waiting = reallocarray(retain->waiting, capacity, sizeof(*waiting));

        if (waiting == NULL)
            return -ENOMEM;
        retain->waiting = waiting;
        retain->waiting_capacity = capacity;
    }
    retain->waiting[retain->waiting_count++] = sequence;
    return 0;
}

static int
key_begin(struct retain *retain, struct lsmkv_slice user_key)
{
    int result = pass_waiting(retain, false);

    if (result == 0)
        result = keybuf_set(&retain->key, user_key);
    retain->any = false;
    retain->passed = false;
    return result;
}

int
retain_offer(struct retain *retain, struct lsmkv_slice internal,
             struct lsmkv_slice payload)
{
    const struct lsmkv_slice user_key = internal_user_key(internal);
    const uint64_t sequence = internal_sequence(internal);
    uint64_t newer = retain->newer;
    int result = 0;
    bool first;

    if (!retain->any || !slice_equal(user_key, keybuf_slice(&retain->key)))
        result = key_begin(retain, user_key);
    if (result < 0)
        return result;
    first = !retain->any;
    retain->any = true;
    retain->newer = sequence;
    if (!first && !is_seen(retain, sequence, newer))
        return 0;
    if (!kind_is_put(internal_kind(internal)))
        return wait_tombstone(retain, sequence);
    result = pass_waiting(retain, true);
    return result < 0 ? result : pass_on(retain, internal, payload);
}

int
retain_end(struct retain *retain)
{
    return pass_waiting(retain, false);
}
