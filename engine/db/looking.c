/*
 * looking.c - what levels and pins are, for who looks into the store.
 */
#include <errno.h>
#include <stdlib.h>

#include "db/db.h"

/* ---- levels ---- */

static struct lsmkv_level_stats
level_stats(const struct lsmkv *db, const struct lsmkv_keyspace *keyspace, int number,
            double score, uint64_t due) LSMKV_REQUIRES(db->mutex)
{
    const struct level *level = &keyspace->view->version->levels[number];
    struct lsmkv_level_stats stats = {
        .keyspace = keyspace->name,
        .level = (unsigned)number,
        .tables = level->count,
        .bytes = level->bytes,
        .score = score,
        .due = due,
        .merges = keyspace->traffic[number].merges,
        .moves = keyspace->traffic[number].moves,
        .tables_a_read = number == 0 ? level->count : level->count > 0,
        .bytes_in = keyspace->traffic[number].in,
        .bytes_written = keyspace->traffic[number].written,
    };

    for (int which = 0; which < 2 && db->merge.keyspace == keyspace->id; which++) {
        if (db->merge.level[which] == number) {
            stats.merging_tables += db->merge.tables[which];
            stats.merging_bytes += db->merge.bytes[which];
        }
    }
    return stats;
}

bool
level_is_told(const struct lsmkv_level_stats *level)
{
    return level->tables > 0 || level->bytes_in > 0 || level->bytes_written > 0 ||
           level->merges > 0 || level->moves > 0;
}

void
level_stats_of(const struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
               struct lsmkv_level_stats levels[LEVEL_COUNT])
{
    struct compaction_limits limits = compaction_limits_of(db, keyspace);
    double scores[LEVEL_COUNT];
    uint64_t due[LEVEL_COUNT];

    limits.passed_over = 0; /* it is due all the same */
    compaction_scores(keyspace->view->version, &limits, scores, due);
    for (int i = 0; i < LEVEL_COUNT; i++)
        levels[i] = level_stats(db, keyspace, i, scores[i], due[i]);
}

int
lsmkv_level_list(struct lsmkv *db,
                 int (*each)(void *context, const struct lsmkv_level_stats *level),
                 void *context)
{
    int result = 0;

    error_clear();
    mutex_lock(&db->mutex);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL && result == 0;
         ks = ks->next) {
        struct lsmkv_level_stats levels[LEVEL_COUNT];

        level_stats_of(db, ks, levels);
        for (int i = 0; i < LEVEL_COUNT && result == 0; i++)
            if (level_is_told(&levels[i]))
                result = each(context, &levels[i]);
    }
    mutex_unlock(&db->mutex);
    return result;
}

/* ---- pins ---- */

/* A table by the oldest sequence in it. */
struct aged {
    uint64_t sequence, bytes;
};

/* Copies, so that nobody waits for the lock while they are held against each other. */
struct pin_facts {
    struct aged *tables;
    struct lsmkv_snapshot_info *pins; /* name "": of a handle */
    size_t table_count, pin_count;
};

static void
add_tables(struct pin_facts *facts, const struct level *level)
{
    for (size_t i = 0; i < level->count; i++) {
        const struct table_meta *meta = &level->files[i]->meta;
        struct aged *table = &facts->tables[facts->table_count++];

        *table = (struct aged){meta->smallest_sequence, meta->size};
        for (size_t k = 0; k < meta->blob_count; k++)
            table->bytes += meta->blobs[k].bytes;
    }
}

static const struct named_snapshot *
name_of(struct lsmkv *db, const struct lsmkv_snapshot *pin) LSMKV_REQUIRES(db->mutex)
{
    const struct named_snapshot *named = db->named;

    while (named != NULL && named->pin != pin)
        named = named->next;
    return named;
}

static int
gather(struct lsmkv *db, struct pin_facts *facts) LSMKV_REQUIRES(db->mutex)
{
    size_t tables = 0, pins = 0;

    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        for (int i = 0; i < LEVEL_COUNT; i++)
            tables += ks->view->version->levels[i].count;
    for (struct lsmkv_snapshot *s = db->snapshots.next; s != &db->snapshots; s = s->next)
        pins++;
    facts->tables = calloc(tables + 1, sizeof(*facts->tables));
    facts->pins = calloc(pins + 1, sizeof(*facts->pins));
    if (facts->tables == NULL || facts->pins == NULL)
        return -ENOMEM;
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        for (int i = 0; i < LEVEL_COUNT; i++)
            add_tables(facts, &ks->view->version->levels[i]);
    for (struct lsmkv_snapshot *s = db->snapshots.next; s != &db->snapshots;
         s = s->next) {
        const struct named_snapshot *named = name_of(db, s);

        if (named != NULL)
            facts->pins[facts->pin_count] = named->info;
        facts->pins[facts->pin_count++].sequence = s->sequence;
    }
    return 0;
}

static int
compare_ages(const void *left, const void *right)
{
    const struct aged *a = left, *b = right;

    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

int
lsmkv_pin_list(struct lsmkv *db, int (*each)(void *context, const struct lsmkv_pin *pin),
               void *context)
{
    struct pin_facts facts = {0};
    uint64_t tables = 0, bytes = 0;
    int result;

    error_clear();
    mutex_lock(&db->mutex);
    result = gather(db, &facts);
    mutex_unlock(&db->mutex);
    if (result == 0)
        qsort(facts.tables, facts.table_count, sizeof(*facts.tables), compare_ages);
    /* Both ascend: what an older pin may keep, a newer one may, too. */
    for (size_t i = 0; i < facts.pin_count && result == 0; i++) {
        struct lsmkv_pin pin = {.snapshot = facts.pins[i].name,
                                .time = facts.pins[i].time,
                                .sequence = facts.pins[i].sequence};

        while (tables < facts.table_count &&
               facts.tables[tables].sequence <= pin.sequence)
            bytes += facts.tables[tables++].bytes;
        pin.tables = tables;
        pin.bytes = bytes;
        result = each(context, &pin);
    }
    free(facts.tables);
    free(facts.pins);
    return result;
}
