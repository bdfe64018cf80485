/* stats.c - counters and sizes, as numbers and as text. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "table/blob.h"

static uint64_t
read_counter(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void
copy_counters(struct lsmkv *db, struct lsmkv_stats *stats)
{
    const struct db_counters *c = &db->counters;
    const struct tally *reads = &db->reads;
    uint64_t durable = atomic_load(&db->durable_bytes); /* first: it is never ahead */

    stats->unsynced_bytes = bytes_logged(db) - durable;
    stats->writes = read_counter(&c->writes);
    stats->write_groups = read_counter(&c->write_groups);
    stats->write_entries = read_counter(&c->write_entries);
    stats->log_bytes_written = read_counter(&c->log_bytes_written);
    stats->log_syncs = read_counter(&c->log_syncs);
    stats->direct_bytes_written = read_counter(&c->direct_bytes_written);
    stats->gets = tally_sum(reads, READ_GETS);
    stats->lookups = tally_sum(reads, READ_LOOKUPS);
    stats->iterators = tally_sum(reads, READ_ITERATORS);
    stats->seeks = tally_sum(reads, READ_SEEKS);
    stats->blocks_read = tally_sum(reads, TABLE_BLOCKS_READ);
    stats->block_bytes_read = tally_sum(reads, TABLE_BLOCK_BYTES_READ);
    stats->cache_hits = tally_sum(reads, TABLE_CACHE_HITS);
    stats->cache_misses = tally_sum(reads, TABLE_CACHE_MISSES);
    stats->filter_checks = tally_sum(reads, TABLE_FILTER_CHECKS);
    stats->filter_negatives = tally_sum(reads, TABLE_FILTER_NEGATIVES);
    stats->filter_false_positives = tally_sum(reads, TABLE_FILTER_FALSE_POSITIVES);
    stats->flushes = read_counter(&c->flushes);
    stats->flush_bytes_written = read_counter(&c->flush_bytes_written);
    stats->compactions = read_counter(&c->compactions);
    stats->trivial_moves = read_counter(&c->trivial_moves);
    stats->compaction_bytes_read = read_counter(&c->compaction_bytes_read);
    stats->compaction_bytes_written = read_counter(&c->compaction_bytes_written);
    stats->stall_slowdowns = read_counter(&c->stall_slowdowns);
    stats->stall_stops = read_counter(&c->stall_stops);
    stats->manifest_lines = read_counter(&c->manifest_lines);
    stats->manifest_bytes = read_counter(&c->manifest_bytes);
    stats->blobs_read = tally_sum(reads, TABLE_BLOBS_READ);
    stats->blob_bytes_read = tally_sum(reads, TABLE_BLOB_BYTES_READ);
    stats->blob_bytes_written = read_counter(&c->blob_bytes_written);
    stats->dead_range_skips = tally_sum(reads, READ_DEAD_RANGE_SKIPS);
}

/* What stands in memory and on disk now. */
static void
copy_sizes(struct lsmkv *db, struct lsmkv_stats *stats) LSMKV_REQUIRES(db->mutex)
{
    stats->sequence = db->last_sequence;
    for (struct generation *g = db->oldest; g != NULL; g = g->newer) {
        stats->memtable_bytes += generation_memory(g);
        stats->memtable_sets++;
        stats->logs += g->log_number != 0;
    }
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        for (int i = 0; i < LEVEL_COUNT; i++) {
            stats->tables += ks->view->version->levels[i].count;
            stats->table_bytes += ks->view->version->levels[i].bytes;
        }
    for (struct named_snapshot *named = db->named; named != NULL; named = named->next)
        stats->snapshots += named->durable;
}

/* The bytes of the logs of all live generations, from the files themselves. */
static uint64_t
log_bytes(struct lsmkv *db, uint64_t oldest_log)
{
    uint64_t *logs = NULL, highest, sum = 0;
    size_t count;

    if (files_scan(db, oldest_log, &logs, &count, &highest) != 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        char name[WAL_NAME_SIZE];
        struct env_file *file;
        uint64_t size;

        wal_name(name, logs[i]);
        if (env_file_open(db->dir, name, ENV_READ, &file) != 0)
            continue; /* replaced meanwhile */
        if (env_file_size(file, &size) == 0)
            sum += size;
        (void)env_file_close(file); /* only read */
    }
    free(logs);
    return sum;
}

int
lsmkv_get_space(struct lsmkv *db, struct lsmkv_space *space)
{
    struct lsmkv_space found = {.reserve_bytes = db->space_reserve};
    int result;

    error_clear();
    result = env_dir_space(db->dir, &found.free_bytes, &found.total_bytes);
    if (result == 0)
        *space = found;
    return result;
}

int
lsmkv_get_stats(struct lsmkv *db, struct lsmkv_stats *out)
{
    struct lsmkv_stats filled = {0}, *stats = &filled;
    struct lsmkv_space space;
    struct blob_totals blobs;
    uint64_t oldest_log;
    int result;

    error_clear();
    copy_counters(db, stats);
    mutex_lock(&db->mutex);
    copy_sizes(db, stats);
    oldest_log = db->oldest->log_number;
    mutex_unlock(&db->mutex);
    stats->log_bytes = log_bytes(db, oldest_log);
    blobs = blob_files_totals(db->blobs);
    stats->blob_files = blobs.files;
    stats->blob_file_bytes = blobs.bytes;
    stats->blob_dead_bytes = blobs.dead_bytes;
    stats->cache_bytes = block_cache_bytes(db->cache);
    stats->cache_limit_bytes = db->options.cache_size;
    stats->unclean_stop = db->was_stopped;
    result = lsmkv_get_space(db, &space);
    if (result != 0)
        return result;
    stats->free_bytes = space.free_bytes;
    stats->total_bytes = space.total_bytes;
    stats->reserve_bytes = space.reserve_bytes;
    *out = filled;
    return 0;
}

/* ---- text ---- */

/* snprintf over and over: counts what would have been written, writes what fits. */
struct text {
    char *buffer;
    size_t size;
    size_t length;
};

static void text_add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
text_add(struct text *text, const char *format, ...)
{
    size_t left = text->length < text->size ? text->size - text->length : 0;
    va_list arguments;
    int added;

    va_start(arguments, format);
    added =
        vsnprintf(left > 0 ? text->buffer + text->length : NULL, left, format, arguments);
    va_end(arguments);
    if (added > 0)
        text->length += (size_t)added;
}

static void
add_level(struct text *text, const struct lsmkv_level_stats *level)
{
    text_add(text, "  L%u %6llu tables %12llu bytes  score %6.2f  ", level->level,
             (unsigned long long)level->tables, (unsigned long long)level->bytes,
             level->score);
    if (level->due > 0)
        text_add(text, "due at %12llu %s  ", (unsigned long long)level->due,
                 level->level == 0 ? "tables" : "bytes ");
    else
        text_add(text, "%-26s  ", "never due");
    text_add(text, "%llu merges %llu moves\n", (unsigned long long)level->merges,
             (unsigned long long)level->moves);
}

static void
add_levels(struct lsmkv *db, struct text *text)
{
    mutex_lock(&db->mutex);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next) {
        struct lsmkv_level_stats levels[LEVEL_COUNT];

        text_add(text, "keyspace %s (%s order)\n", ks->name,
                 ks->order == LSMKV_ORDER_PATH ? "path" : "byte");
        level_stats_of(db, ks, levels);
        for (int i = 0; i < LEVEL_COUNT; i++)
            if (level_is_told(&levels[i]))
                add_level(text, &levels[i]);
    }
    mutex_unlock(&db->mutex);
}

static int
add_stats(struct lsmkv *db, struct text *text)
{
    struct lsmkv_stats s;
    int result = lsmkv_get_stats(db, &s);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"sequence", s.sequence},
        {"writes", s.writes},
        {"write-groups", s.write_groups},
        {"write-entries", s.write_entries},
        {"log-bytes-written", s.log_bytes_written},
        {"log-syncs", s.log_syncs},
        {"direct-bytes-written", s.direct_bytes_written},
        {"logs", s.logs},
        {"log-bytes", s.log_bytes},
        {"unsynced-bytes", s.unsynced_bytes},
        {"gets", s.gets},
        {"lookups", s.lookups},
        {"iterators", s.iterators},
        {"seeks", s.seeks},
        {"blocks-read", s.blocks_read},
        {"block-bytes-read", s.block_bytes_read},
        {"cache-hits", s.cache_hits},
        {"cache-misses", s.cache_misses},
        {"filter-checks", s.filter_checks},
        {"filter-negatives", s.filter_negatives},
        {"filter-false-positives", s.filter_false_positives},
        {"flushes", s.flushes},
        {"flush-bytes-written", s.flush_bytes_written},
        {"compactions", s.compactions},
        {"trivial-moves", s.trivial_moves},
        {"compaction-bytes-read", s.compaction_bytes_read},
        {"compaction-bytes-written", s.compaction_bytes_written},
        {"stall-slowdowns", s.stall_slowdowns},
        {"stall-stops", s.stall_stops},
        {"manifest-lines", s.manifest_lines},
        {"manifest-bytes", s.manifest_bytes},
        {"memtable-bytes", s.memtable_bytes},
        {"memtable-sets", s.memtable_sets},
        {"cache-bytes", s.cache_bytes},
        {"cache-limit-bytes", s.cache_limit_bytes},
        {"tables", s.tables},
        {"table-bytes", s.table_bytes},
        {"blob-files", s.blob_files},
        {"blob-file-bytes", s.blob_file_bytes},
        {"blob-dead-bytes", s.blob_dead_bytes},
        {"blobs-read", s.blobs_read},
        {"blob-bytes-read", s.blob_bytes_read},
        {"blob-bytes-written", s.blob_bytes_written},
        {"snapshots", s.snapshots},
        {"free-bytes", s.free_bytes},
        {"total-bytes", s.total_bytes},
        {"reserve-bytes", s.reserve_bytes},
        {"dead-range-skips", s.dead_range_skips},
        {"unclean-stop", s.unclean_stop},
    };

    if (result != 0)
        return result;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        text_add(text, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
    return 0;
}

static void
add_error(struct lsmkv *db, struct text *text)
{
    mutex_lock(&db->mutex);
    if (db->poison != 0)
        text_add(text, "poisoned: %s", strerror(-db->poison));
    if (db->flush_error != 0)
        text_add(text, "%sflush: %s", text->length > 0 ? "; " : "",
                 strerror(-db->flush_error));
    if (db->compaction_error != 0)
        text_add(text, "%scompaction: %s", text->length > 0 ? "; " : "",
                 strerror(-db->compaction_error));
    mutex_unlock(&db->mutex);
}

int
lsmkv_property(struct lsmkv *db, const char *name, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};
    int result = 0;

    error_clear();
    if (size > 0)
        buffer[0] = '\0';
    if (strcmp(name, "lsmkv.stats") == 0)
        result = add_stats(db, &text);
    else if (strcmp(name, "lsmkv.levels") == 0)
        add_levels(db, &text);
    else if (strcmp(name, "lsmkv.recovery") == 0)
        text_add(&text, "%s", db->recovery_text != NULL ? db->recovery_text : "");
    else if (strcmp(name, "lsmkv.error") == 0)
        add_error(db, &text);
    else
        result = error_detail(-ENOENT, "no property named \"%s\"", name);
    return result != 0 ? result : (int)text.length;
}
