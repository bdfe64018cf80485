/*
 * salvage.c - what a damaged store consists of.
 *
 *     MANIFEST is whole, and what it names is there      its tables, where it has them
 *     ... and a table or the oldest log is missing       also newer tables that it does not name
 *     ... is damaged, missing, or lacks its last lines   all tables there are but those that a
 *                                                        good line took away; all logs
 *
 * A last line of MANIFEST that is damaged, or cut off whole, looks as if it had never been (M2).
 * Then the tables or the log that it replaced may be gone already, and the tables that it added, of
 * higher numbers, are not named.
 *
 * Tables that were found so, and those beside them, are at level 0, though one may hold newer
 * versions than the one before it (V3 of version.h): readers ask them all (db->is_rebuilt).
 *
 * A1  A table that MANIFEST, being whole, does not name is left alone unless something that it
 *     names is missing: what was deleted does not come back.
 * A2  Names of keyspaces stand in MANIFEST only.  Orders stand in tables, too; of a keyspace that
 *     only logs know, id 0 is in path order, any other is taken for one in byte order.  It is
 *     compressed if one of its tables is, or a value.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "db/salvage.h"

struct salvage {
    struct lsmkv *db;
    struct manifest_edit *state;
    uint64_t *tables, *logs; /* numbers in the directory, ascending */
    size_t table_count, log_count;
    bool has_manifest, is_whole;
};

/* ---- the directory ---- */

static int
add_number(uint64_t **numbers, size_t *count, uint64_t number)
{
    uint64_t *grown = array_grown(*numbers, *count, sizeof(*grown));

    if (grown == NULL)
        return -ENOMEM;
    *numbers = grown;
    grown[(*count)++] = number;
    return 0;
}

static int
note_name(void *context, const char *name)
{
    struct salvage *salvage = context;
    uint64_t number;
    enum file_kind kind;

    if (strcmp(name, MANIFEST_NAME) == 0)
        salvage->has_manifest = true;
    if (!file_name_parse(name, &number, &kind) || number > FILE_NUMBER_MAX ||
        kind == FILE_BLOB) /* tables tell of them */
        return 0;
    return kind == FILE_LOG ? add_number(&salvage->logs, &salvage->log_count, number)
                            : add_number(&salvage->tables, &salvage->table_count, number);
}

static bool
has_number(const uint64_t *numbers, size_t count, uint64_t number)
{
    return count > 0 &&
           bsearch(&number, numbers, count, sizeof(number), compare_numbers) != NULL;
}

static int
scan_directory(struct salvage *salvage)
{
    int result = env_dir_list(salvage->db->dir, note_name, salvage);

    if (salvage->table_count > 0)
        qsort(salvage->tables, salvage->table_count, sizeof(uint64_t), compare_numbers);
    if (salvage->log_count > 0)
        qsort(salvage->logs, salvage->log_count, sizeof(uint64_t), compare_numbers);
    return result;
}

/* ---- keyspaces ---- */

static bool
is_taken(const struct manifest_edit *state, const char *name)
{
    for (size_t i = 0; i < state->keyspace_count; i++)
        if (strcmp(state->keyspaces[i].name, name) == 0)
            return true;
    return false;
}

static int
need_keyspace(struct salvage *salvage, uint32_t id, enum lsmkv_order order, bool packed)
{
    struct edit_keyspace keyspace = {.id = id, .order = order};
    struct edit_keyspace *known = manifest_state_keyspace(salvage->state, id);
    unsigned again = 1;

    if (packed)
        keyspace.compression = LSMKV_COMPRESSION_LZ4;
    if (known != NULL) {
        if (packed)
            known->compression = LSMKV_COMPRESSION_LZ4;
        return 0;
    }
    if (id == 0)
        snprintf(keyspace.name, sizeof(keyspace.name), "default");
    else
        snprintf(keyspace.name, sizeof(keyspace.name), "keyspace-%u", id);
    while (is_taken(salvage->state, keyspace.name)) /* somebody chose it */
        snprintf(keyspace.name, sizeof(keyspace.name), "keyspace-%u-%u", id, ++again);
    if (id > 0)
        (void)report_error(&salvage->db->reporter, -EUCLEAN,
                           "MANIFEST: offset 0: the name of keyspace %u is lost", id);
    return manifest_edit_keyspace(salvage->state, &keyspace);
}

/* ---- tables ---- */

/* Bounds of the keys that a table may hold.  What cannot be read is not bounded. */
static int
find_bounds(struct table *table, struct table_meta *meta)
{
    struct iterator *it;
    int result = table_iterate(table, TABLE_PASSING, &it);

    if (result != 0)
        return result;
    iterator_first(it);
    if (it->valid)
        result = keybuf_set(&meta->smallest, it->entry->key);
    else
        result = keybuf_set_internal(&meta->smallest, lsmkv_bytes("", 0), SEQUENCE_MAX,
                                     UINT8_MAX);
    if (result == 0)
        iterator_last(it);
    if (result == 0 && it->valid)
        result = keybuf_set(&meta->largest, it->entry->key);
    else if (result == 0)
        result = keybuf_reserve(&meta->largest, LSMKV_KEY_MAX + KEY_TRAILER_SIZE);
    if (result == 0 && !it->valid) {
        /* The last of all keys, and of its versions. */
        memset(meta->largest.data, UINT8_MAX, LSMKV_KEY_MAX);
        memset(meta->largest.data + LSMKV_KEY_MAX, 0, KEY_TRAILER_SIZE);
        meta->largest.size = LSMKV_KEY_MAX + KEY_TRAILER_SIZE;
    }
    iterator_free(it);
    return result;
}

static void
tell_lost(const struct lsmkv *db, uint64_t number)
{
    char name[TABLE_NAME_SIZE];
    struct table_loss loss = {
        .file = name, .keyspace = KEYSPACE_UNKNOWN, .sequence = SEQUENCE_MAX};

    table_name(name, number);
    if (db->tables.lost != NULL)
        db->tables.lost(db->tables.lost_context, &loss);
}

/* A table that MANIFEST does not tell of, as its own properties have it. */
static int
add_unnamed(struct salvage *salvage, uint64_t number)
{
    struct lsmkv *db = salvage->db;
    struct table_identity nothing = {.known = false};
    struct table_meta meta = {.number = number};
    const struct table_properties *properties;
    struct table *table;
    int result = table_open_salvaging(&db->tables, number, 0, &nothing, &table);

    if (result != 0) {
        tell_lost(db, number);
        return result == -ENOMEM ? result : 0; /* why was reported */
    }
    properties = table_get_properties(table);
    if (salvage->is_whole && properties->keyspace < salvage->state->next_keyspace &&
        manifest_state_keyspace(salvage->state, properties->keyspace) == NULL) {
        table_close(table);
        return 0; /* of a keyspace that was dropped */
    }
    meta.entries = properties->entries;
    meta.tombstones = properties->tombstones;
    meta.smallest_sequence = properties->smallest_sequence;
    meta.largest_sequence = properties->largest_sequence;
    if (meta.largest_sequence > salvage->state->last_sequence &&
        meta.largest_sequence <= SEQUENCE_LIMIT)
        salvage->state->last_sequence = meta.largest_sequence;
    result = need_keyspace(salvage, properties->keyspace, properties->order,
                           properties->packed || properties->has_packed);
    if (result == 0)
        result = find_bounds(table, &meta);
    if (result == 0)
        result = manifest_edit_add(salvage->state, properties->keyspace, 0, &meta);
    table_meta_fini(&meta);
    table_close(table);
    return result;
}

static bool
was_removed(const struct manifest_edit *state, uint64_t number)
{
    for (size_t i = 0; i < state->removed_count; i++)
        if (state->removed[i].meta.number == number)
            return true;
    return false;
}

/* The lowest number of a file that MANIFEST needs and that is not there; 0 if it does not tell. */
static uint64_t
first_missing(const struct salvage *salvage)
{
    const struct manifest_edit *state = salvage->state;
    uint64_t first = UINT64_MAX;

    if (!salvage->is_whole)
        return 0;
    for (size_t i = 0; i < state->added_count && first == UINT64_MAX; i++)
        if (!has_number(salvage->tables, salvage->table_count,
                        state->added[i].meta.number))
            first = state->added[i].meta.number; /* they ascend */
    if (state->oldest_log > 0 && state->oldest_log < first &&
        !has_number(salvage->logs, salvage->log_count, state->oldest_log))
        first = state->oldest_log;
    return first;
}

/* A1. */
static int
add_unnamed_tables(struct salvage *salvage)
{
    struct manifest_edit *state = salvage->state;
    const size_t named = state->added_count;
    uint64_t missing = first_missing(salvage);
    int result = 0;

    for (size_t i = 0; i < salvage->table_count && result == 0; i++) {
        uint64_t number = salvage->tables[i];
        bool is_named = false;

        for (size_t k = 0; k < named && !is_named; k++)
            is_named = state->added[k].meta.number == number;
        if (!is_named && number > missing && !was_removed(state, number))
            result = add_unnamed(salvage, number);
    }
    if (state->added_count > named && salvage->is_whole)
        (void)report_error(
            &salvage->db->reporter, -EUCLEAN,
            "MANIFEST: offset 0: files that it names are missing, and there are "
            "newer ones that it does not name: its last line seems to be lost");
    if (state->added_count > named || !salvage->is_whole)
        salvage->db->is_rebuilt = true;
    return result;
}

/* Of a MANIFEST that is not whole: a table that is not there went, as a rule, by a line that
 * is lost, and those that it became are in the directory.  Else all of its keyspace would
 * be an error for it. */
static void
leave_out_missing(struct salvage *salvage)
{
    struct manifest_edit *state = salvage->state;
    size_t kept = 0;

    for (size_t i = 0; i < state->added_count; i++) {
        uint64_t number = state->added[i].meta.number;
        char name[TABLE_NAME_SIZE];

        if (has_number(salvage->tables, salvage->table_count, number)) {
            state->added[kept++] = state->added[i];
            continue;
        }
        table_name(name, number);
        (void)report_error(&salvage->db->reporter, -EUCLEAN,
                           "%s: offset 0: it is missing: replaced by others, or lost",
                           name);
        tell_lost(salvage->db, number);
        table_meta_fini(&state->added[i].meta);
    }
    state->added_count = kept;
}

/* ---- logs ---- */

static bool
refers_to_packed(const struct batch_entry *entry)
{
    struct blob_ref ref;

    return kind_is_apart(entry->kind) &&
           blob_ref_decode(entry->record.value, &ref) == 0 && ref.packed > 0;
}

static int
note_keyspaces(void *context, const struct wal_frame *frame)
{
    struct salvage *salvage = context;
    struct batch_reader reader;
    struct batch_entry entry;
    int result = batch_read(&reader, frame->entries, frame->first_sequence);

    while (result == 0 && (result = batch_next(&reader, &entry)) == 1)
        result =
            entry.keyspace == KEYSPACE_UNKNOWN ? 0 : /* replaying tells of it */
                need_keyspace(salvage, entry.keyspace,
                              entry.keyspace == 0 ? LSMKV_ORDER_PATH : LSMKV_ORDER_BYTES,
                              refers_to_packed(&entry));
    return result;
}

static void
ignore_gap(void *context, uint64_t from, uint64_t to)
{
    (void)context;
    (void)from;
    (void)to;
}

/* Keyspaces of which there is no table yet (A2). */
static int
find_keyspaces(struct salvage *salvage)
{
    struct wal_salvage ops = {note_keyspaces, ignore_gap, salvage};
    size_t first = 0;

    while (first < salvage->log_count &&
           salvage->logs[first] < salvage->state->oldest_log)
        first++;
    if (first == salvage->log_count)
        return 0;
    return salvage_each_log(salvage->db, salvage->logs + first,
                            salvage->log_count - first, NULL, NULL, NULL, NULL, &ops);
}

/* ---- all of it ---- */

/* Whether lines of a MANIFEST that looks whole are lost: the mark of the last clean close has seen
 * more of it, or a log is not there that no line says was replaced.  1, 0 or -ENOMEM. */
static int
is_cut(const struct salvage *salvage, uint64_t number, uint64_t end)
{
    struct lsmkv *db = salvage->db;
    uint64_t oldest = salvage->state->oldest_log;
    struct closed_mark mark;
    struct wal_previous previous;
    int result = closed_read(db->dir, NULL, &mark);

    if (result == -ENOMEM)
        return result;
    if (result == 0 && mark.manifest_number == number && mark.manifest_end == end)
        return 0;
    if (result == 0) {
        (void)report_error(
            &db->reporter, -EUCLEAN,
            "MANIFEST: offset %llu: the store was closed with manifest %llu "
            "ending at %llu, not %llu",
            (unsigned long long)end, (unsigned long long)mark.manifest_number,
            (unsigned long long)mark.manifest_end, (unsigned long long)number);
        return 1;
    }
    for (size_t i = 0; i < salvage->log_count; i++) {
        if (salvage->logs[i] <= oldest)
            continue;
        result = wal_first_frame(db->dir, salvage->logs[i], &previous);
        if (result < 0)
            return result;
        if (result > 0 && previous.number > oldest &&
            !has_number(salvage->logs, salvage->log_count, previous.number))
            return 1;
    }
    return 0;
}

static int
read_manifest(struct salvage *salvage, const char *path, uint64_t *number, uint64_t *end)
{
    struct lsmkv *db = salvage->db;
    int result;

    if (!salvage->has_manifest && salvage->table_count + salvage->log_count == 0)
        return error_detail(-ENOENT, "%s: not a store (it has no MANIFEST)", path);
    *number = *end = 0;
    if (!salvage->has_manifest) {
        (void)report_error(&db->reporter, -EUCLEAN,
                           "MANIFEST: offset 0: the file is missing");
        return 0;
    }
    result = manifest_load(db->dir, &db->reporter, salvage->state, number, end);
    if (result == 0)
        result = is_cut(salvage, *number, *end);
    salvage->is_whole = result == 0;
    if (salvage->is_whole || result == -ENOMEM || result == -ENOTSUP)
        return result;
    manifest_edit_fini(salvage->state);
    memset(salvage->state, 0, sizeof(*salvage->state));
    result = manifest_salvage(db->dir, &db->reporter, salvage->state);
    return result == -ENOMEM || result == -ENOTSUP ? result : 0;
}

static int
complete_state(struct salvage *salvage)
{
    struct manifest_edit *state = salvage->state;
    int result = need_keyspace(salvage, 0, LSMKV_ORDER_PATH, false);

    if (!salvage->is_whole)
        leave_out_missing(salvage);
    if (result == 0)
        result = add_unnamed_tables(salvage);
    if (result == 0 && !salvage->is_whole)
        result = find_keyspaces(salvage);
    for (size_t i = 0; i < state->added_count && salvage->db->is_rebuilt; i++)
        state->added[i].level = 0;
    if (!salvage->is_whole)
        (void)report_error(
            &salvage->db->reporter, -EUCLEAN,
            "MANIFEST: offset 0: which tables and logs were replaced cannot be "
            "told; deleted keys may be back, snapshots be missing");
    return result;
}

int
salvage_state(struct lsmkv *db, const char *path, struct manifest_edit *state,
              uint64_t *number, uint64_t *end)
{
    struct salvage salvage = {.db = db, .state = state};
    int result = scan_directory(&salvage);

    if (result == 0)
        result = read_manifest(&salvage, path, number, end);
    if (result == 0)
        result = complete_state(&salvage);
    free(salvage.tables);
    free(salvage.logs);
    return result;
}
