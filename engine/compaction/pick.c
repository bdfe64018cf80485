/*
 * pick.c - which tables to merge next.  Pure: a version and limits in, a choice out.
 *
 * Level 0 is due by the number of its tables, a deeper one by its bytes against what it
 * aims at (compaction_targets).  From level 0 the oldest table is taken with everything
 * that overlaps it there, directly or through others; from a deeper level one table, the
 * next after the last choice, and more of its neighbours if they come for free.  To take
 * what overlaps least for its size first saves up to 6 % of the bytes, and left every one
 * of 180,000 tombstones where it was, of which taking turns leaves none
 * (tests/bench/README.md).
 *
 * P1  Level 0 is merged into no level below a non-empty one (V3): the base level is never
 *     deeper than the first non-empty one.
 * P2  A table changes level without being rewritten only if nothing at the output level
 *     overlaps it, rewriting would not drop a tombstone, and not too much lies below it
 *     (C5).
 */
#include <errno.h>
#include <stdlib.h>

#include "compaction/compaction.h"

#define DEEPEST     (LEVEL_COUNT - 1)
#define LEVEL_RATIO 10u

/* A range of user keys, both ends in it. */
struct range {
    struct lsmkv_slice from, to;
};

static struct lsmkv_slice
first_key(const struct table_file *file)
{
    return internal_user_key(keybuf_slice(&file->meta.smallest));
}

static struct lsmkv_slice
last_key(const struct table_file *file)
{
    return internal_user_key(keybuf_slice(&file->meta.largest));
}

static void
range_cover(struct range *range, enum lsmkv_order order, const struct table_file *file)
{
    struct lsmkv_slice from = first_key(file), to = last_key(file);

    if (range->from.data == NULL || key_compare(order, from, range->from) < 0)
        range->from = from;
    if (range->to.data == NULL || key_compare(order, to, range->to) > 0)
        range->to = to;
}

/* ---- how much is due ---- */

static int
first_used_level(const struct version *version)
{
    int level = 1;

    while (level < DEEPEST && version->levels[level].count == 0)
        level++;
    return level;
}

int
compaction_targets(const struct version *version, const struct compaction_limits *limits,
                   uint64_t targets[LEVEL_COUNT])
{
    const int used = first_used_level(version);
    uint64_t most = limits->level_base_size > 0 ? limits->level_base_size : 1;
    uint64_t aim = 0;
    int base = used;

    for (int level = 0; level < LEVEL_COUNT; level++) {
        targets[level] = 0;
        if (level > 0 && version->levels[level].bytes > aim)
            aim = version->levels[level].bytes;
    }
    for (int level = DEEPEST; level > used; level--)
        aim /= LEVEL_RATIO;
    while (base > 1 && aim > most) {
        base--;
        aim /= LEVEL_RATIO;
    }
    if (aim > most)
        aim = most;
    if (aim <= most / LEVEL_RATIO)
        aim = most / LEVEL_RATIO + 1;
    for (int level = base; level < LEVEL_COUNT; level++) {
        targets[level] = aim > most ? aim : most;
        aim = aim > UINT64_MAX / LEVEL_RATIO ? UINT64_MAX : aim * LEVEL_RATIO;
    }
    return base;
}

/* So many tables of level 0 are due. */
static unsigned
l0_trigger(const struct compaction_limits *limits)
{
    if (limits->pressing || limits->l0_trigger == 0)
        return 1;
    return limits->l0_paid && limits->l0_trigger > 2 ? 2 : limits->l0_trigger;
}

void
compaction_scores(const struct version *version, const struct compaction_limits *limits,
                  double scores[LEVEL_COUNT], uint64_t due[LEVEL_COUNT])
{
    (void)compaction_targets(version, limits, due);
    due[0] = l0_trigger(limits);
    due[DEEPEST] = 0;
    for (int i = 0; i < LEVEL_COUNT; i++) {
        const struct level *level = &version->levels[i];
        uint64_t size = i == 0 ? level->count : level->bytes;

        scores[i] = due[i] == 0 || (limits->passed_over >> i & 1) != 0
                        ? 0
                        : (double)size / (double)due[i];
    }
}

double
compaction_score(const struct version *version, const struct compaction_limits *limits,
                 int *level)
{
    double scores[LEVEL_COUNT];
    uint64_t due[LEVEL_COUNT];

    compaction_scores(version, limits, scores, due);
    *level = 0;
    for (int i = 1; i < LEVEL_COUNT; i++)
        if (scores[i] > scores[*level])
            *level = i;
    return scores[*level];
}

/* ---- a choice ---- */

static int
compaction_new(uint32_t keyspace, struct version *version, int level, int output_level,
               struct compaction **compaction)
{
    struct compaction *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    made->keyspace = keyspace;
    made->order = version->order;
    made->level = level;
    made->output_level = output_level;
    made->version = version;
    version_ref(version);
    *compaction = made;
    return 0;
}

void
compaction_free(struct compaction *compaction)
{
    if (compaction == NULL)
        return;
    free(compaction->inputs[0]);
    free(compaction->inputs[1]);
    version_unref(compaction->version);
    free(compaction);
}

/* Makes inputs[which] the tables of a level, from index `first` on, that meet `range`, in
 * the level's order. */
static int
take_overlapping_from(struct compaction *compaction, int which, int number, size_t first,
                      const struct range *range)
{
    const struct level *level = &compaction->version->levels[number];
    struct table_file **files = calloc(level->count + 1, sizeof(struct table_file *));
    size_t count = 0;

    if (files == NULL)
        return -ENOMEM;
    for (size_t i = first; i < level->count; i++) {
        if (table_file_overlaps(level->files[i], compaction->order, range->from,
                                range->to))
            files[count++] = level->files[i];
    }
    free(compaction->inputs[which]);
    compaction->inputs[which] = files;
    compaction->input_counts[which] = count;
    return 0;
}

static int
take_overlapping(struct compaction *compaction, int which, int number,
                 const struct range *range)
{
    return take_overlapping_from(compaction, which, number, 0, range);
}

/* The range of the first `inputs` of both inputs. */
static struct range
input_range(const struct compaction *compaction, int inputs)
{
    struct range range = {{NULL, 0}, {NULL, 0}};

    for (int which = 0; which < inputs; which++) {
        for (size_t i = 0; i < compaction->input_counts[which]; i++)
            range_cover(&range, compaction->order, compaction->inputs[which][i]);
    }
    return range;
}

static uint64_t
input_bytes(const struct compaction *compaction)
{
    uint64_t bytes = 0;

    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < compaction->input_counts[which]; i++)
            bytes += compaction->inputs[which][i]->meta.size;
    }
    return bytes;
}

/* From level 0, of the tables from index `first` on (the oldest), `range` and everything
 * that overlaps it, directly or through others.  Whatever is older than a taken one is
 * among them (C4). */
static int
take_closed(struct compaction *compaction, size_t first, struct range range)
{
    size_t before;

    do {
        int result;

        before = compaction->input_counts[0];
        result = take_overlapping_from(compaction, 0, 0, first, &range);
        if (result < 0)
            return result;
        range = input_range(compaction, 1);
    } while (compaction->input_counts[0] > before);
    return 0;
}

/* The tables at the output level under what was taken from the upper one, and no more. */
static int
take_below(struct compaction *compaction)
{
    struct range range = input_range(compaction, 1);

    return take_overlapping(compaction, 1, compaction->output_level, &range);
}

/* More tables of the upper level, where they lie over what is rewritten anyway. */
static int
grow(struct compaction *compaction, uint64_t most_bytes)
{
    struct table_file **upper = compaction->inputs[0];
    size_t upper_count = compaction->input_counts[0];
    size_t lower_count = compaction->input_counts[1];
    struct range range = input_range(compaction, 2);
    int result;

    if (lower_count == 0)
        return 0;
    compaction->inputs[0] = NULL;
    result = take_overlapping(compaction, 0, compaction->level, &range);
    if (result == 0)
        result = take_below(compaction);
    if (result == 0 && compaction->input_counts[1] == lower_count &&
        input_bytes(compaction) <= most_bytes) {
        free(upper);
        return 0;
    }
    free(compaction->inputs[0]);
    compaction->inputs[0] = upper;
    compaction->input_counts[0] = upper_count;
    return result < 0 ? result : take_below(compaction);
}

/* Whether any level below the output has tables; with a range, tables that meet it. */
static bool
has_below(const struct compaction *compaction, const struct range *range)
{
    for (int i = compaction->output_level + 1; i < LEVEL_COUNT; i++) {
        const struct level *level = &compaction->version->levels[i];
        size_t at = range->from.data == NULL
                        ? 0
                        : level_find(level, compaction->order, range->from);

        if (at < level->count && table_file_overlaps(level->files[at], compaction->order,
                                                     range->from, range->to))
            return true;
    }
    return false;
}

static bool
has_tombstones(const struct compaction *compaction)
{
    for (size_t i = 0; i < compaction->input_counts[0]; i++) {
        if (compaction->inputs[0][i]->meta.tombstones > 0)
            return true;
    }
    return false;
}

/* C5 of a move: whether more lies under a table than an output may have. */
static bool
laps_too_much(const struct compaction *compaction, uint64_t table_size)
{
    const struct level *below;

    if (compaction->output_level == DEEPEST)
        return false;
    below = &compaction->version->levels[compaction->output_level + 1];
    for (size_t i = 0; i < compaction->input_counts[0]; i++) {
        struct range range = {{NULL, 0}, {NULL, 0}};
        uint64_t lapped = 0;

        range_cover(&range, compaction->order, compaction->inputs[0][i]);
        for (size_t k = level_find(below, compaction->order, range.from);
             k < below->count && table_file_overlaps(below->files[k], compaction->order,
                                                     range.from, range.to);
             k++)
            lapped += below->files[k]->meta.size;
        if (lapped > COMPACTION_LAPPED_TABLES * table_size)
            return true;
    }
    return false;
}

/* P2.  Several tables of level 0 were taken because they overlap each other. */
static bool
is_trivial(const struct compaction *compaction)
{
    struct range range = input_range(compaction, 1);

    if (compaction->input_counts[1] > 0 ||
        (compaction->level == 0 && compaction->input_counts[0] > 1))
        return false;
    return !has_tombstones(compaction) || has_below(compaction, &range);
}

/* ---- choosing ---- */

/* The table of a level whose turn it is. */
static const struct table_file *
next_in_turn(const struct level *level, enum lsmkv_order order,
             const struct keybuf *after)
{
    size_t index = 0;

    if (after->data != NULL) {
        index = level_find(level, order, keybuf_slice(after));
        if (index < level->count &&
            key_compare(order, last_key(level->files[index]), keybuf_slice(after)) == 0)
            index++;
    }
    return level->files[index < level->count ? index : 0];
}

static int
pick_upper(struct compaction *compaction, const struct compaction_limits *limits,
           struct keybuf *after)
{
    const struct level *level = &compaction->version->levels[compaction->level];
    struct range range = {{NULL, 0}, {NULL, 0}};
    int result;

    if (compaction->level == 0) {
        size_t most =
            COMPACTION_L0_FACTOR * (limits->l0_trigger > 0 ? limits->l0_trigger : 1);

        range_cover(&range, compaction->order, level->files[level->count - 1]);
        result =
            take_closed(compaction, level->count > most ? level->count - most : 0, range);
        return result < 0 ? result : take_below(compaction);
    }
    range_cover(&range, compaction->order, next_in_turn(level, compaction->order, after));
    result = take_overlapping(compaction, 0, compaction->level, &range);
    if (result == 0)
        result = take_below(compaction);
    if (result == 0 && !limits->narrow)
        result = grow(compaction, COMPACTION_GROWN_TABLES * limits->table_size);
    if (result == 0)
        result = keybuf_set(
            after, last_key(compaction->inputs[0][compaction->input_counts[0] - 1]));
    return result;
}

int
compaction_pick(uint32_t keyspace, struct version *version,
                const struct compaction_limits *limits, struct compaction_cursor *cursor,
                struct compaction **chosen)
{
    uint64_t targets[LEVEL_COUNT];
    struct compaction *compaction;
    int level, result;

    if (compaction_score(version, limits, &level) < 1.0 ||
        version->levels[level].count == 0) {
        *chosen = NULL;
        return 0;
    }
    result = compaction_new(keyspace, version, level,
                            level == 0 ? compaction_targets(version, limits, targets)
                                       : level + 1,
                            &compaction);
    if (result < 0)
        return result;
    result = pick_upper(compaction, limits, &cursor->after[level]);
    if (result < 0) {
        compaction_free(compaction);
        return result;
    }
    compaction->trivial =
        is_trivial(compaction) && !laps_too_much(compaction, limits->table_size);
    *chosen = compaction;
    return 0;
}

static int
range_output_level(const struct version *version, int level)
{
    int deepest = DEEPEST;

    if (level == 0)
        return first_used_level(version);
    while (version->levels[deepest].count == 0)
        deepest--;
    return level == deepest ? level : level + 1;
}

static int
take_range(struct compaction *compaction, const struct range *range)
{
    int result = take_overlapping(compaction, 0, compaction->level, range);

    if (result < 0 || compaction->input_counts[0] == 0)
        return result;
    if (compaction->level == 0)
        result = take_closed(compaction, 0, input_range(compaction, 1));
    if (result == 0 && compaction->output_level != compaction->level)
        result = take_below(compaction);
    return result;
}

int
compaction_pick_range(uint32_t keyspace, struct version *version,
                      const struct compaction_limits *limits, int level,
                      struct lsmkv_slice from, struct lsmkv_slice to,
                      struct compaction **chosen)
{
    const struct range range = {from, to}, all = {{NULL, 0}, {NULL, 0}};
    struct compaction *compaction;
    int result;

    *chosen = NULL;
    if (version->levels[level].count == 0)
        return 0;
    result = compaction_new(keyspace, version, level, range_output_level(version, level),
                            &compaction);
    if (result < 0)
        return result;
    result = take_range(compaction, &range);
    if (result < 0 || compaction->input_counts[0] == 0) {
        compaction_free(compaction);
        return result;
    }
    compaction->trivial = has_below(compaction, &all) && is_trivial(compaction) &&
                          !laps_too_much(compaction, limits->table_size);
    *chosen = compaction;
    return 0;
}

/* Whether the table may hold a version for a snapshot that is gone, and a newer one. */
static bool
holds_released(const struct table_file *file, const struct compaction_limits *limits)
{
    return file->meta.smallest_sequence <= limits->released_to &&
           file->meta.largest_sequence > limits->released_from;
}

/* Whether a merge of the table may drop something.  Of the deepest level, in no hurry
 * (`worth`), only what has tombstones and may have been held: for other snapshots it is
 * rewritten in vain. */
static bool
may_drop(const struct table_file *file, const struct compaction_limits *limits,
         bool deepest)
{
    if (!deepest)
        return file->meta.tombstones > 0;
    if (limits->worth > 0)
        return file->meta.tombstones > 0 && holds_released(file, limits);
    return file->meta.tombstones > 0 || holds_released(file, limits);
}

/* The next table with something to be dropped, or NULL; of level 0 any. */
static const struct table_file *
next_droppable(const struct version *version, const struct compaction_limits *limits,
               int number, const struct keybuf *after)
{
    const struct level *level = &version->levels[number];
    bool deepest =
        number > 0 && level->count > 0 && range_output_level(version, number) == number;

    if (deepest && !limits->in_place)
        return NULL;
    for (size_t i = 0; i < level->count; i++) {
        const struct table_file *file = level->files[i];

        if (may_drop(file, limits, deepest) &&
            (number == 0 || after->data == NULL ||
             key_compare(version->order, last_key(file), keybuf_slice(after)) > 0))
            return file;
    }
    return NULL;
}

/* Whether enough is dropped for what is rewritten: the tables below, or those in
 * place. */
static bool
is_worth(const struct compaction *compaction, unsigned worth)
{
    const int rewritten = compaction->output_level == compaction->level ? 0 : 1;
    uint64_t tombstones = 0, entries = 0;

    for (size_t i = 0; i < compaction->input_counts[0]; i++)
        tombstones += compaction->inputs[0][i]->meta.tombstones;
    for (size_t i = 0; i < compaction->input_counts[rewritten]; i++)
        entries += compaction->inputs[rewritten][i]->meta.entries;
    return worth == 0 || tombstones >= entries / worth;
}

/* The choice for `file`, whatever it is worth; of other levels than 0 `*after` is moved
 * on. */
static int
take_droppable(uint32_t keyspace, struct version *version,
               const struct compaction_limits *limits, int level,
               const struct table_file *file, struct keybuf *after,
               struct compaction **chosen)
{
    uint64_t targets[LEVEL_COUNT];
    struct compaction *compaction;
    struct range range = {{NULL, 0}, {NULL, 0}};
    int output, result;

    output = level == 0 ? compaction_targets(version, limits, targets)
                        : range_output_level(version, level);
    result = compaction_new(keyspace, version, level, output, &compaction);
    if (result < 0)
        return result;
    range_cover(&range, version->order, file);
    if (level == 0)
        result = pick_upper(compaction, limits, after);
    else
        result = take_range(compaction, &range);
    if (result == 0 && level > 0)
        result = keybuf_set(after, range.to);
    if (result < 0) {
        compaction_free(compaction);
        return result;
    }
    compaction->trivial = output != level && is_trivial(compaction) &&
                          !laps_too_much(compaction, limits->table_size);
    *chosen = compaction;
    return 0;
}

int
compaction_pick_tombstones(uint32_t keyspace, struct version *version,
                           const struct compaction_limits *limits, int level,
                           struct keybuf *after, struct compaction **chosen)
{
    const struct table_file *file;

    *chosen = NULL;
    while ((file = next_droppable(version, limits, level, after)) != NULL) {
        int result =
            take_droppable(keyspace, version, limits, level, file, after, chosen);

        if (result < 0 || is_worth(*chosen, limits->worth))
            return result;
        compaction_free(*chosen);
        *chosen = NULL;
        if (level == 0) /* what is chosen there is always the same */
            break;
    }
    return 0;
}

/* ---- blob files to be collected ---- */

/* The first victim that it refers to, or 0. */
static uint64_t
first_victim(const struct table_file *file, const struct blob_victims *victims)
{
    for (size_t i = 0; i < file->meta.blob_count; i++)
        if (blob_victims_have(victims, file->meta.blobs[i].number))
            return file->meta.blobs[i].number;
    return 0;
}

size_t
compaction_referring(const struct version *version, const struct blob_victims *victims,
                     uint64_t *bytes)
{
    size_t count = 0;

    *bytes = 0;
    for (int level = 0; level < LEVEL_COUNT; level++)
        for (size_t i = 0; i < version->levels[level].count; i++)
            if (first_victim(version->levels[level].files[i], victims) != 0) {
                *bytes += version->levels[level].files[i]->meta.size;
                count++;
            }
    return count;
}

/* The table that refers to the oldest victim.  What is written for it is newer than all, so
 * after an interruption others have their turn first, though that be a victim again.
 * NULL: there is none. */
static struct table_file *
next_referring(const struct version *version, const struct blob_victims *victims,
               int *level)
{
    struct table_file *found = NULL;
    uint64_t oldest = UINT64_MAX;

    for (int at = DEEPEST; at >= 0; at--)
        for (size_t i = 0; i < version->levels[at].count; i++) {
            struct table_file *file = version->levels[at].files[i];
            uint64_t number = first_victim(file, victims);

            if (number == 0 || number >= oldest)
                continue;
            oldest = number;
            found = file;
            *level = at;
        }
    return found;
}

static int
take_one(struct compaction *compaction, struct table_file *file)
{
    compaction->inputs[0] = calloc(1, sizeof(struct table_file *));
    if (compaction->inputs[0] == NULL)
        return -ENOMEM;
    compaction->inputs[0][0] = file;
    compaction->input_counts[0] = 1;
    return 0;
}

int
compaction_pick_referring(uint32_t keyspace, struct version *version,
                          const struct compaction_limits *limits,
                          const struct blob_victims *victims, struct compaction **chosen)
{
    uint64_t targets[LEVEL_COUNT];
    struct compaction *compaction;
    int level = 0, result;
    struct table_file *file = next_referring(version, victims, &level);

    *chosen = NULL;
    if (file == NULL)
        return 0;
    result = compaction_new(
        keyspace, version, level,
        level == 0 ? compaction_targets(version, limits, targets) : level, &compaction);
    if (result < 0)
        return result;
    result =
        level == 0 ? pick_upper(compaction, limits, NULL) : take_one(compaction, file);
    if (result < 0) {
        compaction_free(compaction);
        return result;
    }
    *chosen = compaction;
    return 0;
}

void
compaction_cursor_fini(struct compaction_cursor *cursor)
{
    for (int level = 0; level < LEVEL_COUNT; level++)
        keybuf_fini(&cursor->after[level]);
}
