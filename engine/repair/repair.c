/*
 * repair.c - lsmkv_repair: a new, good store of what can be read of a damaged one.
 *
 * The damaged store is opened read-only, with `salvage` (salvage.c), and walked once, keyspace by
 * keyspace, all its sources merged; what the walk passes over is told.  The entries go through the
 * same rules as those of a merge into the deepest level (retain.c) and become one run of tables.
 *
 * Of a store that is open (lsmkv_repair_open) it is the tables of the moment, and that there is nothing
 * but tables: what memory has is flushed in the same writer's turn.
 *
 * P1  The new directory is a store from the moment its MANIFEST is renamed into place, which is
 *     after all tables were synced.
 * P2  An entry is taken only if it can be one: it comes after the one before, its payload can be
 *     read, and its value, where that stands apart.  Two tables may hold the same one, for tables that were merged may be there beside what
 *     they were merged into.
 * P3  Of snapshots ids and sequences ascend together, as lsmkv_check has it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/crc32c.h"
#include "base/record.h"
#include "compaction/build.h"
#include "db/open.h"
#include "db/straight.h"
#include "repair/beside.h"
#include "repair/finding.h"
#include "table/blob.h"

#define PROGRESS_STEP (UINT64_C(1) << 20)

struct repairer {
    const struct lsmkv_repair_options *ask;
    struct lsmkv *db; /* the damaged store */
    uint64_t damage;  /* findings of it */
    uint32_t *told;   /* checksums of the lines told: what is read twice is told once */
    size_t told_count;
    uint64_t done, total, shown;

    /* the new one */
    struct reporter reporter; /* of it nothing is found: what fails is the result */
    struct env_dir *dir;
    struct env_lock *lock;
    struct block_cache *cache;
    struct table_context tables;
    struct manifest_edit made;
    uint64_t next_file;
};

/* ---- telling ---- */

static bool
was_told(struct repairer *repairer, const char *line)
{
    uint32_t sum = crc32c(0, line, strlen(line));
    uint32_t *told = repairer->told;

    for (size_t i = 0; i < repairer->told_count; i++)
        if (told[i] == sum)
            return true;
    told = reallocarray(told, repairer->told_count + 1, sizeof(*told));
    if (told != NULL) {
        repairer->told = told;
        told[repairer->told_count++] = sum;
    }
    return false;
}

static void
take_line(void *context, enum lsmkv_level level, const char *line)
{
    struct repairer *repairer = context;
    bool is_error = level == LSMKV_LOG_ERROR;
    struct line_finding told;

    if (is_error)
        line = lsmkv_error_detail(); /* without the errno */
    if (level > LSMKV_LOG_WARNING || was_told(repairer, line))
        return;
    repairer->damage += is_error;
    finding_from_line(is_error ? LSMKV_DAMAGE : LSMKV_NOTE, line, &told);
    if (repairer->ask->finding != NULL)
        repairer->ask->finding(repairer->ask->context, &told.finding);
}

static void
ignore_line(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
}

static const char *
new_name(const struct repairer *repairer, const char *name)
{
    const char *other = NULL;

    if (repairer->ask->rename != NULL)
        other = repairer->ask->rename(repairer->ask->context, name);
    return other != NULL ? other : name;
}

static void
take_loss(void *context, const struct table_loss *loss)
{
    struct repairer *repairer = context;
    struct lsmkv_loss told = {.file = loss->file,
                              .offset = loss->offset,
                              .size = loss->size,
                              .first = loss->first,
                              .last = loss->last,
                              .last_too = loss->last_too,
                              .sequence = loss->sequence};

    for (const struct lsmkv_keyspace *ks = repairer->db->keyspaces; ks != NULL;
         ks = ks->next)
        if (ks->id == loss->keyspace)
            told.keyspace = new_name(repairer, ks->name);
    if (repairer->ask->lost != NULL)
        repairer->ask->lost(repairer->ask->context, &told);
}

/* -ECANCELED: to go no further. */
static int
advance(struct repairer *repairer, uint64_t bytes)
{
    const struct lsmkv_repair_options *ask = repairer->ask;

    repairer->done += bytes;
    if (repairer->done > repairer->total)
        repairer->done = repairer->total;
    if (ask->progress == NULL || (repairer->done < repairer->total &&
                                  repairer->done - repairer->shown < PROGRESS_STEP))
        return 0;
    repairer->shown = repairer->done;
    if (ask->progress(ask->context, repairer->done, repairer->total))
        return 0;
    return error_detail(-ECANCELED, "the repair was ended");
}

/* ---- entries that can be taken (P2) ---- */

struct sound_iterator {
    struct iterator base; /* first */
    struct repairer *repairer;
    const struct lsmkv_keyspace *keyspace;
    struct iterator *inner;
    struct keybuf last; /* internal key of the entry shown before */
    /* Of an entry whose value was read from a blob file: */
    struct keybuf key, payload, value;
    struct iterator_entry entry; /* which they make */
    bool apart;
    bool told; /* that some are out of order */
};

static void
tell_unsound(struct sound_iterator *sound, const char *what)
{
    if (!sound->told)
        (void)report_error(&sound->repairer->db->reporter, -EUCLEAN,
                           "keyspace \"%s\": %s", sound->keyspace->name, what);
    sound->told = true;
}

/* From the key to before what would follow it at once.  -ENOMEM. */
static int
tell_lost(struct sound_iterator *sound, const struct blob_ref *ref)
{
    const struct table_context *tables = &sound->repairer->db->tables;
    struct lsmkv_slice key = internal_user_key(sound->inner->entry->key);
    const char *lowest = sound->keyspace->order == LSMKV_ORDER_PATH ? "/" : "";
    struct keybuf *last = &sound->key; /* of no use before the next entry */
    int result = keybuf_set(last, key);
    char name[TABLE_NAME_SIZE];
    struct table_loss loss = {
        .file = name,
        .offset = ref->offset,
        .size = blob_stored_size(ref),
        .keyspace = sound->keyspace->id,
        .first = key,
        .sequence = internal_sequence(sound->inner->entry->key),
    };

    if (result == 0)
        result = keybuf_append(last, lsmkv_bytes(lowest, 1));
    if (result != 0)
        return result;
    loss.last = keybuf_slice(last);
    blob_name(name, ref->file);
    tables->lost(tables->lost_context, &loss);
    return 0;
}

/* Makes of the current entry, whose value stands apart, one that holds it.  1: done; 0: the value
 * cannot be read, which was told; -ENOMEM. */
static int
take_value(struct sound_iterator *sound, struct lsmkv_record *record)
{
    const struct lsmkv_slice inner = sound->inner->entry->key;
    const uint8_t kind = internal_kind(inner) & (uint8_t)~KIND_BLOB_BIT;
    struct blob_ref ref;
    int result = blob_ref_decode(record->value, &ref);

    if (result == 0)
        result = keybuf_reserve(&sound->value, ref.length);
    if (result == 0) {
        result = blob_read(sound->repairer->db->blobs, &ref, sound->value.data);
        if (result != 0 && result != -ENOMEM)
            return tell_lost(sound, &ref);
        if (result == 0)
            result = blob_look_at_sums(sound->repairer->db->blobs, &ref);
    }
    record->value = lsmkv_bytes(sound->value.data, ref.length);
    if (result == 0)
        result = keybuf_set_internal(&sound->key, internal_user_key(inner),
                                     internal_sequence(inner), kind);
    if (result == 0)
        result = keybuf_reserve(&sound->payload, record_payload_size(kind, record));
    if (result != 0)
        return result;
    record_encode(sound->payload.data, kind, record);
    sound->payload.size = record_payload_size(kind, record);
    return 1;
}

/* 1 if it is; -ENOMEM. */
static int
is_sound(struct sound_iterator *sound)
{
    const struct iterator *inner = sound->inner;
    uint64_t sequence = internal_sequence(inner->entry->key);
    struct lsmkv_slice last = keybuf_slice(&sound->last);
    struct lsmkv_record record;

    if (sequence > SEQUENCE_LIMIT ||
        inner->entry->key.size - KEY_TRAILER_SIZE > LSMKV_KEY_MAX ||
        record_decode(internal_kind(inner->entry->key), sequence, inner->entry->payload,
                      &record) != 0) {
        tell_unsound(sound, "entries that cannot be read are left out");
        return 0;
    }
    if (last.size > 0 &&
        slice_equal(internal_user_key(last), internal_user_key(inner->entry->key)) &&
        internal_sequence(last) == sequence)
        return 0; /* the same one */
    if (last.size > 0 &&
        internal_key_compare(sound->keyspace->order, last, inner->entry->key) >= 0) {
        tell_unsound(sound, "entries that are out of order are left out");
        return 0;
    }
    sound->apart = kind_is_apart(internal_kind(inner->entry->key));
    return sound->apart ? take_value(sound, &record) : 1;
}

static void
sound_settle(struct sound_iterator *sound)
{
    struct iterator *inner = sound->inner;
    int result = 0;

    while (inner->valid && (result = is_sound(sound)) == 0)
        iterator_next(inner);
    if (inner->valid && result > 0)
        result = keybuf_set(&sound->last, inner->entry->key);
    sound->entry =
        (struct iterator_entry){keybuf_slice(&sound->key), keybuf_slice(&sound->payload)};
    sound->base.entry = sound->apart ? &sound->entry : inner->entry;
    if (inner->valid && result == 0)
        result = advance(sound->repairer,
                         sound->base.entry->key.size + sound->base.entry->payload.size);
    sound->base.valid = inner->valid && result == 0;
    sound->base.status = result != 0 ? result : inner->status;
}

static void
sound_first(struct iterator *it)
{
    struct sound_iterator *sound = (struct sound_iterator *)it;

    iterator_first(sound->inner);
    sound_settle(sound);
}

static void
sound_next(struct iterator *it)
{
    struct sound_iterator *sound = (struct sound_iterator *)it;

    iterator_next(sound->inner);
    sound_settle(sound);
}

/* What a build asks of an iterator, and nothing else. */
static const struct iterator_ops sound_ops = {.first = sound_first, .next = sound_next};

/* ---- copying ---- */

static uint64_t
next_number(void *store)
{
    struct repairer *repairer = store;

    return repairer->next_file++;
}

static int
write_entries(struct repairer *repairer, const struct lsmkv_keyspace *keyspace,
              struct iterator *merge, const uint64_t *sequences, size_t count)
{
    struct build_context context = {
        .tables = &repairer->tables,
        .keyspace = keyspace->id,
        .order = keyspace->order,
        .compression = keyspace->compression,
        .table_size = repairer->db->options.table_size,
        .blob_threshold = repairer->db->options.blob_threshold,
        .blob_size = repairer->db->options.write_buffer_size,
        .snapshots = sequences,
        .snapshot_count = count,
        .next_number = next_number,
        .store = repairer,
    };
    struct outside nothing = {.order = keyspace->order};
    struct sound_iterator sound = {.base.ops = &sound_ops,
                                   .repairer = repairer,
                                   .keyspace = keyspace,
                                   .inner = merge};
    int result =
        build_tables(&context, &nothing, &sound.base, LEVEL_COUNT - 1, &repairer->made);

    keybuf_fini(&sound.last);
    keybuf_fini(&sound.key);
    keybuf_fini(&sound.payload);
    keybuf_fini(&sound.value);
    return result;
}

static int
copy_keyspace(struct repairer *repairer, struct lsmkv_keyspace *keyspace)
{
    struct lsmkv *db = repairer->db;
    struct edit_keyspace made = {.id = keyspace->id,
                                 .order = keyspace->order,
                                 .compression = keyspace->compression};
    struct read_point point;
    struct iterator *merge;
    uint64_t *sequences;
    size_t count;
    int result = snapshot_sequences(db, &sequences, &count);

    if (result != 0)
        return result;
    snprintf(made.name, sizeof(made.name), "%s", new_name(repairer, keyspace->name));
    result = manifest_edit_keyspace(&repairer->made, &made);
    if (result == 0) {
        point = read_point_take(db, keyspace, NULL);
        result = view_iterate(point.view, keyspace->order, TABLE_SALVAGING,
                              lsmkv_bytes(NULL, 0), &merge);
        if (result == 0) {
            result = write_entries(repairer, keyspace, merge, sequences, count);
            iterator_free(merge);
        }
        view_unref(point.view);
    }
    free(sequences);
    return result;
}

static int
compare_sequences(const void *left, const void *right)
{
    const struct lsmkv_snapshot_info *a = left, *b = right;

    if (a->sequence != b->sequence)
        return a->sequence > b->sequence ? 1 : -1;
    return (a->id > b->id) - (a->id < b->id);
}

/* P3: the ids, as they are, in order go to the snapshots in the order of their sequences. */
static bool
put_in_order(struct lsmkv_snapshot_info *infos, uint64_t *ids, size_t count)
{
    bool changed = false;

    for (size_t i = 0; i < count; i++)
        ids[i] = infos[i].id;
    qsort(infos, count, sizeof(*infos), compare_sequences);
    qsort(ids, count, sizeof(*ids), compare_numbers);
    for (size_t i = 0; i < count; i++) {
        changed = changed || infos[i].id != ids[i];
        infos[i].id = ids[i];
    }
    return changed;
}

static int
copy_snapshots(struct repairer *repairer)
{
    struct lsmkv *db = repairer->db;
    struct lsmkv_snapshot_info *infos;
    uint64_t *ids;
    size_t count = 0;
    int result = 0;

    for (struct named_snapshot *named = db->named; named != NULL; named = named->next)
        count++;
    infos = calloc(count + 1, sizeof(*infos));
    ids = calloc(count + 1, sizeof(*ids));
    if (infos == NULL || ids == NULL)
        result = -ENOMEM;
    count = 0;
    for (struct named_snapshot *named = db->named; named != NULL && result == 0;
         named = named->next)
        infos[count++] = named->info;
    if (result == 0 && put_in_order(infos, ids, count))
        (void)report_error(&db->reporter, -EUCLEAN,
                           "MANIFEST: offset 0: the ids of snapshots are not in the "
                           "order of their sequences");
    for (size_t i = 0; i < count && result == 0; i++)
        result = manifest_edit_snapshot(&repairer->made, &infos[i]);
    free(infos);
    free(ids);
    return result;
}

/* P1. */
static int
write_manifest(struct repairer *repairer)
{
    struct lsmkv *db = repairer->db;
    struct manifest_edit *made = &repairer->made;
    struct manifest *manifest;
    uint64_t number = next_number(repairer);
    int result;

    made->last_sequence = db->last_sequence;
    made->next_file = repairer->next_file;
    if (made->next_keyspace < db->next_keyspace)
        made->next_keyspace = db->next_keyspace;
    if (made->next_snapshot < db->next_snapshot)
        made->next_snapshot = db->next_snapshot;
    if (made->next_snapshot == 0)
        made->next_snapshot = 1;
    result = manifest_roll(repairer->dir, &repairer->reporter, number, made, &manifest);
    return result == 0 ? manifest_close(manifest) : result;
}

static int
copy_all(struct repairer *repairer)
{
    int result = 0;

    for (struct lsmkv_keyspace *ks = repairer->db->keyspaces; ks != NULL && result == 0;
         ks = ks->next)
        result = copy_keyspace(repairer, ks);
    if (result == 0)
        result = copy_snapshots(repairer);
    return result == 0 ? write_manifest(repairer) : result;
}

/* ---- the two directories ---- */

static int
refuse_name(void *context, const char *name)
{
    (void)context;
    return strcmp(name, LOCK_NAME) == 0 ? 0 : -ENOTEMPTY;
}

static int
open_target(struct repairer *repairer, const char *target)
{
    struct lsmkv *db = repairer->db;
    struct lsmkv_env *env = db->env;
    int result = env_dir_open(env, target, true, &repairer->dir);

    if (result == 0)
        result = env_dir_list(repairer->dir, refuse_name, NULL);
    if (result == 0)
        result = env->lock(repairer->dir, LOCK_NAME, false, &repairer->lock);
    if (result != 0)
        return error_detail(result, "%s: %s", target, strerror(-result));
    repairer->next_file = 1;
    repairer->tables = db->tables;
    repairer->tables.dir = repairer->dir;
    repairer->tables.reporter = &repairer->reporter;
    repairer->tables.salvage = false;
    repairer->tables.lost = NULL;
    repairer->tables.blobs = NULL; /* no reference is carried over */
    result = block_cache_new(env, db->options.block_size, &repairer->cache);
    repairer->tables.cache = repairer->cache;
    return result;
}

/* The manifest, which may be there if its directory could not be synced, goes first: what it names
 * stays if it does (P1). */
static void
undo(struct repairer *repairer)
{
    struct build_context context = {.tables = &repairer->tables};
    int tmp = env_dir_unlink(repairer->dir, MANIFEST_TMP_NAME);
    int result = env_dir_unlink(repairer->dir, MANIFEST_NAME);

    (void)tmp; /* nobody takes it for anything */
    if (result == 0 || result == -ENOENT)
        build_undo(&context, &repairer->made, 0, 0);
}

static void
close_target(struct repairer *repairer, bool failed)
{
    if (failed && repairer->lock != NULL)
        undo(repairer);
    if (repairer->cache != NULL)
        block_cache_free(repairer->cache);
    if (repairer->lock != NULL)
        repairer->db->env->unlock(repairer->lock);
    env_dir_close(repairer->dir);
    manifest_edit_fini(&repairer->made);
}

static int
add_size(void *context, const char *name)
{
    struct repairer *repairer = context;
    struct env_file *file;
    uint64_t number, size = 0;
    enum file_kind kind;

    if (!file_name_parse(name, &number, &kind) ||
        env_file_open(repairer->db->dir, name, ENV_READ, &file) != 0)
        return 0;
    if (env_file_size(file, &size) == 0)
        repairer->total += size;
    (void)env_file_close(file); /* only looked at */
    return 0;
}

/* Of the damaged store, which can be read. */
static int
make_target(struct repairer *repairer, const char *target)
{
    int result = env_dir_list(repairer->db->dir, add_size, repairer);

    if (result == 0)
        result = open_target(repairer, target);
    if (result == 0)
        result = copy_all(repairer);
    close_target(repairer, result != 0);
    if (result == 0)
        (void)advance(repairer, repairer->total); /* it is made, whatever this says */
    return result;
}

static int
repairer_result(struct repairer *repairer, int result)
{
    reporter_fini(&repairer->reporter);
    free(repairer->told);
    return result == 0 && repairer->damage > 0 ? -EUCLEAN : result;
}

int
lsmkv_repair(const char *path, const char *target, const struct lsmkv_options *options,
             const struct lsmkv_repair_options *repair)
{
    struct repairer repairer = {.ask = repair};
    struct lsmkv_options changed;
    int result;

    error_clear();
    lsmkv_options_init(&changed);
    if (options != NULL)
        changed = *options;
    changed.read_only = changed.salvage = true;
    changed.create = false;
    changed.log = take_line;
    changed.log_context = &repairer;
    repairer.db = db_new(&changed);
    if (repairer.db == NULL)
        return -ENOMEM;
    reporter_init(&repairer.reporter, ignore_line, NULL);
    repairer.db->tables.lost = take_loss;
    repairer.db->tables.lost_context = &repairer;
    result = open_store(repairer.db, path);
    if (result == 0)
        result = make_target(&repairer, target);
    db_free(repairer.db);
    return repairer_result(&repairer, result);
}

/* ---- a store that is open ---- */

/* All that was written before is in the tables of the state: nothing is written in this turn. */
static int
look_beside(struct repairer *repairer, struct lsmkv *of, struct beside *beside)
{
    struct writer turn;
    int result = check_writable(of);

    if (result != 0)
        return result;
    writer_begin(of, &turn);
    result = straight_begin(of);
    if (result == 0)
        result = beside_open(beside, of, true, take_line, repairer);
    writer_end(of, &turn);
    return result;
}

int
lsmkv_repair_open(struct lsmkv *db, const char *target,
                  const struct lsmkv_repair_options *repair)
{
    struct repairer repairer = {.ask = repair};
    struct beside beside = {0};
    int result;

    error_clear();
    reporter_init(&repairer.reporter, ignore_line, NULL);
    result = look_beside(&repairer, db, &beside);
    if (result == 0) {
        repairer.db = beside.db;
        repairer.db->tables.lost = take_loss;
        repairer.db->tables.lost_context = &repairer;
        result = take_state(repairer.db, &beside.state);
    }
    if (result == 0)
        result = begin_read_only(repairer.db);
    if (result == 0)
        result = make_target(&repairer, target);
    beside_close(&beside);
    return repairer_result(&repairer, result);
}
