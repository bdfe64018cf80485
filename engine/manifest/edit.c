/* edit.c - manifest edits in memory: building one, and applying them one after another. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/report.h"
#include "manifest/manifest.h"

/* ---- building ---- */

static void
free_tables(struct edit_table *tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        table_meta_fini(&tables[i].meta);
    free(tables);
}

void
manifest_edit_fini(struct manifest_edit *edit)
{
    free_tables(edit->added, edit->added_count);
    free_tables(edit->removed, edit->removed_count);
    free(edit->keyspaces);
    free(edit->dropped_keyspaces);
    free(edit->snapshots);
    free(edit->dropped_snapshots);
    free(edit->made_blobs);
    memset(edit, 0, sizeof(*edit));
}

static int
copy_blobs(struct table_meta *to, const struct table_meta *from)
{
    size_t room = 1;

    if (from->blob_count == 0)
        return 0;
    while (room < from->blob_count) /* as table_meta_add_blob has it */
        room *= 2;
    to->blobs = calloc(room, sizeof(*to->blobs));
    if (to->blobs == NULL)
        return -ENOMEM;
    memcpy(to->blobs, from->blobs, from->blob_count * sizeof(*to->blobs));
    return 0;
}

int
table_meta_copy(struct table_meta *to, const struct table_meta *from)
{
    struct table_meta copy = *from;
    int result;

    memset(&copy.smallest, 0, sizeof(copy.smallest));
    memset(&copy.largest, 0, sizeof(copy.largest));
    copy.blobs = NULL;
    result = copy_blobs(&copy, from);
    if (result == 0)
        result = keybuf_set(&copy.smallest, keybuf_slice(&from->smallest));
    if (result == 0)
        result = keybuf_set(&copy.largest, keybuf_slice(&from->largest));
    table_meta_fini(to);
    if (result < 0) {
        table_meta_fini(&copy);
        memset(to, 0, sizeof(*to));
        return result;
    }
    *to = copy;
    return 0;
}

int
manifest_edit_add(struct manifest_edit *edit, uint32_t keyspace, int level,
                  struct table_meta *meta)
{
    struct edit_table *added =
        array_grown(edit->added, edit->added_count, sizeof(*added));
    uint64_t number = meta->number;

    if (added == NULL)
        return -ENOMEM;
    edit->added = added;
    if (edit->next_file <= number)
        edit->next_file = number + 1;
    if (meta->blob_count > 0 &&
        edit->next_file <= meta->blobs[meta->blob_count - 1].number)
        edit->next_file = meta->blobs[meta->blob_count - 1].number + 1;
    added[edit->added_count++] = (struct edit_table){keyspace, level, *meta};
    memset(meta, 0, sizeof(*meta));
    return 0;
}

int
manifest_edit_make_blob(struct manifest_edit *edit, const struct table_blob *blob)
{
    struct table_blob *made =
        array_grown(edit->made_blobs, edit->made_blob_count, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    edit->made_blobs = made;
    made[edit->made_blob_count++] = *blob;
    if (edit->next_file <= blob->number)
        edit->next_file = blob->number + 1;
    return 0;
}

int
manifest_edit_remove(struct manifest_edit *edit, uint32_t keyspace, int level,
                     uint64_t number)
{
    struct edit_table *removed =
        array_grown(edit->removed, edit->removed_count, sizeof(*removed));

    if (removed == NULL)
        return -ENOMEM;
    edit->removed = removed;
    removed += edit->removed_count++;
    memset(removed, 0, sizeof(*removed));
    removed->keyspace = keyspace;
    removed->level = level;
    removed->meta.number = number;
    return 0;
}

int
manifest_edit_keyspace(struct manifest_edit *edit, const struct edit_keyspace *keyspace)
{
    struct edit_keyspace *created =
        array_grown(edit->keyspaces, edit->keyspace_count, sizeof(*created));

    if (created == NULL)
        return -ENOMEM;
    edit->keyspaces = created;
    created[edit->keyspace_count++] = *keyspace;
    if (edit->next_keyspace <= keyspace->id)
        edit->next_keyspace = keyspace->id + 1;
    return 0;
}

int
manifest_edit_drop_keyspace(struct manifest_edit *edit, uint32_t id)
{
    uint32_t *dropped = array_grown(edit->dropped_keyspaces, edit->dropped_keyspace_count,
                                    sizeof(*dropped));

    if (dropped == NULL)
        return -ENOMEM;
    edit->dropped_keyspaces = dropped;
    dropped[edit->dropped_keyspace_count++] = id;
    return 0;
}

int
manifest_edit_snapshot(struct manifest_edit *edit,
                       const struct lsmkv_snapshot_info *snapshot)
{
    struct lsmkv_snapshot_info *snapshots =
        array_grown(edit->snapshots, edit->snapshot_count, sizeof(*snapshots));

    if (snapshots == NULL)
        return -ENOMEM;
    edit->snapshots = snapshots;
    snapshots[edit->snapshot_count++] = *snapshot;
    if (edit->next_snapshot <= snapshot->id)
        edit->next_snapshot = snapshot->id + 1;
    return 0;
}

int
manifest_edit_drop_snapshot(struct manifest_edit *edit, uint64_t id)
{
    uint64_t *dropped = array_grown(edit->dropped_snapshots, edit->dropped_snapshot_count,
                                    sizeof(*dropped));

    if (dropped == NULL)
        return -ENOMEM;
    edit->dropped_snapshots = dropped;
    dropped[edit->dropped_snapshot_count++] = id;
    return 0;
}

/* ---- applying ---- */

struct edit_keyspace *
manifest_state_keyspace(const struct manifest_edit *state, uint32_t id)
{
    for (size_t i = 0; i < state->keyspace_count; i++) {
        if (state->keyspaces[i].id == id)
            return &state->keyspaces[i];
    }
    return NULL;
}

static struct lsmkv_snapshot_info *
find_snapshot(const struct manifest_edit *state, uint64_t id)
{
    for (size_t i = 0; i < state->snapshot_count; i++) {
        if (state->snapshots[i].id == id)
            return &state->snapshots[i];
    }
    return NULL;
}

/* The index of the first table whose number is not below `number`. */
static size_t
find_table(const struct manifest_edit *state, uint64_t number)
{
    size_t low = 0, high = state->added_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (state->added[middle].meta.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
raise_to(uint64_t *number, uint64_t least)
{
    if (*number < least)
        *number = least;
}

static void
apply_numbers(struct manifest_edit *state, const struct manifest_edit *edit)
{
    raise_to(&state->next_file, edit->next_file);
    raise_to(&state->oldest_log, edit->oldest_log);
    raise_to(&state->last_sequence, edit->last_sequence);
    raise_to(&state->next_snapshot, edit->next_snapshot);
    if (state->next_keyspace < edit->next_keyspace)
        state->next_keyspace = edit->next_keyspace;
}

static int
apply_keyspace(struct manifest_edit *state, const struct edit_keyspace *keyspace)
{
    if (keyspace->id >= state->next_keyspace)
        return error_detail(-EUCLEAN, "keyspace %u is past next_keyspace", keyspace->id);
    for (size_t i = 0; i < state->keyspace_count; i++) {
        if (state->keyspaces[i].id == keyspace->id ||
            strcmp(state->keyspaces[i].name, keyspace->name) == 0)
            return error_detail(-EUCLEAN, "keyspace %u or its name stands twice",
                                keyspace->id);
    }
    return manifest_edit_keyspace(state, keyspace);
}

static int
apply_removed(struct manifest_edit *state, const struct edit_table *removed)
{
    size_t index = find_table(state, removed->meta.number);
    struct edit_table *table = index == state->added_count ? NULL : &state->added[index];

    if (table == NULL || table->meta.number != removed->meta.number ||
        table->keyspace != removed->keyspace || table->level != removed->level)
        return error_detail(
            -EUCLEAN, "table %llu is not at level %d of keyspace %u to be removed",
            (unsigned long long)removed->meta.number, removed->level, removed->keyspace);
    table_meta_fini(&table->meta);
    memmove(table, table + 1, (state->added_count - index - 1) * sizeof(*table));
    state->added_count--;
    return 0;
}

static bool
sequence_within(const struct keybuf *internal, const struct table_meta *meta)
{
    uint64_t sequence = internal_sequence(keybuf_slice(internal));

    return sequence >= meta->smallest_sequence && sequence <= meta->largest_sequence;
}

static bool
meta_is_sound(const struct table_meta *meta, enum lsmkv_order order)
{
    if (meta->size == 0 || meta->entries == 0 || meta->tombstones > meta->entries ||
        meta->smallest_sequence > meta->largest_sequence ||
        meta->largest_sequence > SEQUENCE_MAX)
        return false;
    if (meta->smallest.size < KEY_TRAILER_SIZE || meta->largest.size < KEY_TRAILER_SIZE ||
        !sequence_within(&meta->smallest, meta) || !sequence_within(&meta->largest, meta))
        return false;
    return internal_key_compare(order, keybuf_slice(&meta->smallest),
                                keybuf_slice(&meta->largest)) <= 0;
}

static int
check_blobs(const struct manifest_edit *state, const struct table_meta *meta)
{
    for (size_t i = 0; i < meta->blob_count; i++) {
        const struct table_blob *blob = &meta->blobs[i];

        if (blob->number == 0 || blob->number >= state->next_file || blob->bytes == 0 ||
            blob->size == 0 || (i > 0 && meta->blobs[i - 1].number >= blob->number))
            return error_detail(-EUCLEAN,
                                "table %llu: its blob files are not in order, not below "
                                "next_file, or empty",
                                (unsigned long long)meta->number);
    }
    return 0;
}

static int
apply_added(struct manifest_edit *state, const struct edit_table *added)
{
    const unsigned long long number = added->meta.number;
    const struct edit_keyspace *keyspace =
        manifest_state_keyspace(state, added->keyspace);
    size_t index = find_table(state, number);
    struct edit_table table = {added->keyspace, added->level, {0}};
    int result;

    if (keyspace == NULL)
        return error_detail(-EUCLEAN, "table %llu is of keyspace %u, which there is not",
                            number, added->keyspace);
    if (added->level < 0 || added->level >= LEVEL_COUNT)
        return error_detail(-EUCLEAN, "table %llu is at level %d, of %d", number,
                            added->level, LEVEL_COUNT);
    if (number == 0 || number >= state->next_file)
        return error_detail(-EUCLEAN, "table %llu is not below next_file, %llu", number,
                            (unsigned long long)state->next_file);
    if (index < state->added_count && state->added[index].meta.number == number)
        return error_detail(-EUCLEAN, "table %llu stands twice", number);
    if (!meta_is_sound(&added->meta, keyspace->order))
        return error_detail(-EUCLEAN, "table %llu: sizes, sequences or keys contradict",
                            number);
    result = check_blobs(state, &added->meta);
    if (result < 0)
        return result;
    raise_to(&state->last_sequence, added->meta.largest_sequence);
    result = table_meta_copy(&table.meta, &added->meta);
    if (result == 0)
        result = manifest_edit_add(state, table.keyspace, table.level, &table.meta);
    if (result < 0) {
        table_meta_fini(&table.meta);
        return result;
    }
    /* It was put last; it belongs at `index`. */
    table = state->added[state->added_count - 1];
    memmove(&state->added[index + 1], &state->added[index],
            (state->added_count - 1 - index) * sizeof(table));
    state->added[index] = table;
    return 0;
}

static int
apply_dropped_keyspace(struct manifest_edit *state, uint32_t id)
{
    struct edit_keyspace *keyspace = manifest_state_keyspace(state, id);
    size_t kept = 0;

    if (keyspace == NULL)
        return error_detail(-EUCLEAN, "keyspace %u is not there to be dropped", id);
    memmove(keyspace, keyspace + 1,
            (size_t)(&state->keyspaces[state->keyspace_count] - keyspace - 1) *
                sizeof(*keyspace));
    state->keyspace_count--;
    for (size_t i = 0; i < state->added_count; i++) {
        if (state->added[i].keyspace == id)
            table_meta_fini(&state->added[i].meta);
        else
            state->added[kept++] = state->added[i];
    }
    state->added_count = kept;
    return 0;
}

static int
apply_snapshot(struct manifest_edit *state, const struct lsmkv_snapshot_info *snapshot)
{
    const unsigned long long id = snapshot->id;
    struct lsmkv_snapshot_info *known = find_snapshot(state, snapshot->id);

    if (snapshot->id >= state->next_snapshot)
        return error_detail(-EUCLEAN, "snapshot %llu is past next_snapshot", id);
    for (size_t i = 0; i < state->snapshot_count; i++) {
        if (&state->snapshots[i] != known &&
            strcmp(state->snapshots[i].name, snapshot->name) == 0)
            return error_detail(-EUCLEAN, "snapshot %llu has the name of another", id);
    }
    raise_to(&state->last_sequence, snapshot->sequence);
    if (known == NULL)
        return manifest_edit_snapshot(state, snapshot);
    if (known->sequence != snapshot->sequence)
        return error_detail(-EUCLEAN, "snapshot %llu stands twice", id);
    *known = *snapshot;
    return 0;
}

static int
apply_dropped_snapshot(struct manifest_edit *state, uint64_t id)
{
    struct lsmkv_snapshot_info *snapshot = find_snapshot(state, id);

    if (snapshot == NULL)
        return error_detail(-EUCLEAN, "snapshot %llu is not there to be dropped",
                            (unsigned long long)id);
    memmove(snapshot, snapshot + 1,
            (size_t)(&state->snapshots[state->snapshot_count] - snapshot - 1) *
                sizeof(*snapshot));
    state->snapshot_count--;
    return 0;
}

int
manifest_state_apply(struct manifest_edit *state, const struct manifest_edit *edit)
{
    int result = 0;

    apply_numbers(state, edit);
    for (size_t i = 0; result == 0 && i < edit->keyspace_count; i++)
        result = apply_keyspace(state, &edit->keyspaces[i]);
    for (size_t i = 0; result == 0 && i < edit->removed_count; i++)
        result = apply_removed(state, &edit->removed[i]);
    for (size_t i = 0; result == 0 && i < edit->added_count; i++)
        result = apply_added(state, &edit->added[i]);
    for (size_t i = 0; result == 0 && i < edit->dropped_keyspace_count; i++)
        result = apply_dropped_keyspace(state, edit->dropped_keyspaces[i]);
    for (size_t i = 0; result == 0 && i < edit->dropped_snapshot_count; i++)
        result = apply_dropped_snapshot(state, edit->dropped_snapshots[i]);
    for (size_t i = 0; result == 0 && i < edit->snapshot_count; i++)
        result = apply_snapshot(state, &edit->snapshots[i]);
    return result;
}

/* The table of a state with this number, or NULL; valid until the state changes. */
static struct edit_table *
manifest_state_table(const struct manifest_edit *state, uint64_t number)
{
    size_t index = find_table(state, number);

    return index < state->added_count && state->added[index].meta.number == number
               ? &state->added[index]
               : NULL;
}

static int
compare_blobs(const void *left, const void *right)
{
    const struct table_blob *a = left, *b = right;

    return (a->number > b->number) - (a->number < b->number);
}

int
manifest_state_blobs(const struct manifest_edit *state, struct table_blob **out,
                     size_t *out_count)
{
    struct table_blob *blobs;
    size_t room = 1, count = 0, kept = 0;

    for (size_t i = 0; i < state->added_count; i++)
        room += state->added[i].meta.blob_count;
    blobs = calloc(room, sizeof(*blobs));
    if (blobs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < state->added_count; i++)
        for (size_t k = 0; k < state->added[i].meta.blob_count; k++)
            blobs[count++] = state->added[i].meta.blobs[k];
    qsort(blobs, count, sizeof(*blobs), compare_blobs);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && blobs[kept - 1].number == blobs[i].number)
            blobs[kept - 1].bytes += blobs[i].bytes;
        else
            blobs[kept++] = blobs[i];
    }
    *out = blobs;
    *out_count = kept;
    return 0;
}

/* Takes a table away whatever its level, and remembers it. */
static int
forget_table(struct manifest_edit *state, const struct edit_table *removed)
{
    const struct edit_table *table = manifest_state_table(state, removed->meta.number);

    if (table != NULL) {
        int result = apply_removed(state, table);

        if (result < 0)
            return result;
    }
    return manifest_edit_remove(state, removed->keyspace, removed->level,
                                removed->meta.number);
}

/* 0 for what does not fit. */
static int
unless_unfit(int result)
{
    return result == -ENOMEM ? result : 0;
}

int
manifest_state_apply_fitting(struct manifest_edit *state,
                             const struct manifest_edit *edit)
{
    int result = 0;

    apply_numbers(state, edit);
    for (size_t i = 0; result == 0 && i < edit->keyspace_count; i++)
        result = unless_unfit(apply_keyspace(state, &edit->keyspaces[i]));
    for (size_t i = 0; result == 0 && i < edit->removed_count; i++)
        result = forget_table(state, &edit->removed[i]);
    for (size_t i = 0; result == 0 && i < edit->added_count; i++)
        result = unless_unfit(apply_added(state, &edit->added[i]));
    for (size_t i = 0; result == 0 && i < edit->dropped_keyspace_count; i++)
        result = unless_unfit(apply_dropped_keyspace(state, edit->dropped_keyspaces[i]));
    for (size_t i = 0; result == 0 && i < edit->dropped_snapshot_count; i++)
        result = unless_unfit(apply_dropped_snapshot(state, edit->dropped_snapshots[i]));
    for (size_t i = 0; result == 0 && i < edit->snapshot_count; i++)
        result = unless_unfit(apply_snapshot(state, &edit->snapshots[i]));
    return result;
}
