/* stats.c - see stats.h. */
#include "vfs/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/op.h"

/* ---- the engine's numbers ---- */

#define NUMBER(member, metric, help)                                \
    {                                                               \
#member, offsetof(struct lsmkv_stats, member), metric, help \
    }
const struct stats_number stats_numbers[] = {
    NUMBER(sequence, "sequence_number", "Sequence number published last."),
    NUMBER(snapshots, "snapshots", "Named snapshots."),
    NUMBER(writes, "write_batches_total", "Batches written."),
    NUMBER(write_groups, "write_groups_total",
           "Groups in which batches went to the log."),
    NUMBER(write_entries, "written_entries_total", "Entries of all batches."),
    NUMBER(log_syncs, "log_syncs_total", "Syncs of the log."),
    NUMBER(log_bytes_written, "log_written_bytes_total", "Bytes written to logs."),
    NUMBER(direct_bytes_written, "direct_written_bytes_total",
           "Bytes of large values written to blob files in place of the log."),
    NUMBER(logs, "log_files", "Logs that are needed."),
    NUMBER(log_bytes, "log_size_bytes", "Bytes of the logs that are needed."),
    NUMBER(unsynced_bytes, "unsynced_bytes",
           "Bytes acknowledged that would be lost with the power."),
    NUMBER(gets, "gets_total", "Values looked up."),
    NUMBER(lookups, "lookups_total", "Keys looked up as a path."),
    NUMBER(iterators, "iterators_total", "Iterators made."),
    NUMBER(seeks, "seeks_total", "Seeks of iterators."),
    NUMBER(blocks_read, "blocks_read_total", "Blocks read from tables on disk."),
    NUMBER(block_bytes_read, "block_read_bytes_total", "Bytes of blocks read from disk."),
    NUMBER(cache_hits, "cache_hits_total", "Blocks found in the cache."),
    NUMBER(cache_misses, "cache_misses_total", "Blocks not found in the cache."),
    NUMBER(filter_checks, NULL, NULL),
    NUMBER(filter_negatives, NULL, NULL),
    NUMBER(filter_false_positives, NULL, NULL),
    NUMBER(flushes, "flushes_total", "Flushes of memtables."),
    NUMBER(flush_bytes_written, "flush_written_bytes_total",
           "Bytes that flushes wrote to tables and blob files."),
    NUMBER(compactions, "compactions_total", "Compactions done."),
    NUMBER(trivial_moves, "table_moves_total",
           "Tables that changed level without being rewritten."),
    NUMBER(compaction_bytes_read, "compaction_read_bytes_total",
           "Bytes that compactions read."),
    NUMBER(compaction_bytes_written, "compaction_written_bytes_total",
           "Bytes that compactions wrote to tables and blob files."),
    NUMBER(stall_slowdowns, "write_slowdowns_total", "Writes delayed by crowded levels."),
    NUMBER(stall_stops, "write_stops_total", "Writes stopped until there was room."),
    NUMBER(manifest_lines, "manifest_lines_total", "Lines written to MANIFEST."),
    NUMBER(manifest_bytes, "manifest_written_bytes_total", "Bytes written to MANIFEST."),
    NUMBER(memtable_sets, "memtable_sets",
           "Sets of memtables; all but one wait to be flushed."),
    NUMBER(memtable_bytes, "memtable_size_bytes", "Bytes of all memtables."),
    NUMBER(cache_bytes, "cache_size_bytes", "Bytes in the cache."),
    NUMBER(cache_limit_bytes, "cache_limit_bytes", "Bytes that the cache may come to."),
    NUMBER(tables, "tables", "Tables."),
    NUMBER(table_bytes, "table_size_bytes", "Bytes of all tables."),
    NUMBER(blob_files, "blob_files", "Blob files."),
    NUMBER(blob_file_bytes, "blob_size_bytes", "Bytes of all blob files."),
    NUMBER(blob_dead_bytes, "blob_dead_bytes",
           "Bytes of blob files that nothing refers to."),
    NUMBER(blobs_read, "blobs_read_total", "Values read from blob files."),
    NUMBER(blob_bytes_read, "blob_read_bytes_total",
           "Bytes of values read from blob files."),
    NUMBER(blob_bytes_written, "blob_written_bytes_total",
           "Bytes written to blob files, by whomever."),
    NUMBER(free_bytes, "filesystem_free_bytes",
           "Free bytes of the file system beneath the store."),
    NUMBER(total_bytes, "filesystem_size_bytes",
           "Bytes of the file system beneath the store."),
    NUMBER(reserve_bytes, "filesystem_reserve_bytes",
           "Free bytes below which what adds data is refused."),
    NUMBER(dead_range_skips, "dead_range_skips_total",
           "Runs of dead keys that scans jumped over."),
    NUMBER(unclean_stop, "unclean_stop",
           "1: the store was not closed before it was opened."),
};
const size_t stats_number_count = sizeof(stats_numbers) / sizeof(stats_numbers[0]);

uint64_t
stats_value(const struct lsmkv_stats *engine, const struct stats_number *number)
{
    uint64_t value;

    memcpy(&value, (const char *)engine + number->offset, sizeof(value));
    return value;
}

/* ---- what follows from them ---- */

uint64_t
stats_tables_a_read(const struct stats *stats)
{
    uint64_t most = 0, sum = 0;

    for (size_t i = 0; i < stats->level_count; i++) {
        const struct stats_level *level = &stats->levels[i];

        if (i == 0 || strcmp(level->keyspace, level[-1].keyspace) != 0)
            sum = 0;
        sum += level->of.tables_a_read;
        if (sum > most)
            most = sum;
    }
    return most;
}

static double
ratio(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

double
stats_write_amplification(const struct stats *stats)
{
    const struct lsmkv_stats *engine = &stats->engine;
    uint64_t given = engine->log_bytes_written + engine->direct_bytes_written;

    return ratio(given + engine->flush_bytes_written + engine->compaction_bytes_written,
                 given);
}

double
stats_level_amplification(const struct lsmkv_level_stats *level)
{
    return ratio(level->bytes_written, level->bytes_in);
}

/* Counted apart and read one after the other: a false one may be known before its check. */
uint64_t
stats_filter_hits(const struct stats *stats)
{
    const struct lsmkv_stats *engine = &stats->engine;
    uint64_t others = engine->filter_negatives + engine->filter_false_positives;

    return engine->filter_checks > others ? engine->filter_checks - others : 0;
}

/* ---- gathering ---- */

static int
add_level(void *context, const struct lsmkv_level_stats *level)
{
    struct stats *stats = context;
    struct stats_level *grown =
        reallocarray(stats->levels, stats->level_count + 1, sizeof(*grown));

    if (grown == NULL)
        return -ENOMEM;
    stats->levels = grown;
    grown += stats->level_count++;
    grown->of = *level;
    stpcpy(grown->keyspace, level->keyspace);
    return 0;
}

static int
add_pin(void *context, const struct lsmkv_pin *pin)
{
    struct stats *stats = context;
    struct stats_pin *grown =
        reallocarray(stats->pins, stats->pin_count + 1, sizeof(*grown));

    if (grown == NULL)
        return -ENOMEM;
    stats->pins = grown;
    grown += stats->pin_count++;
    grown->of = *pin;
    stpcpy(grown->name, pin->snapshot);
    return 0;
}

/* What the engine says in words; it may grow between two questions, and is cut then. */
static char *
property(struct lsmkv *db, const char *name)
{
    int size = lsmkv_property(db, name, NULL, 0);
    char *text = size >= 0 ? malloc((size_t)size + 1) : NULL;

    if (text != NULL && lsmkv_property(db, name, text, (size_t)size + 1) < 0)
        text[0] = '\0';
    return text;
}

static int
gather(struct vfs *vfs, const struct stats_source *source, struct stats *stats)
{
    struct lsmkv *db = vfs->store->db;
    int result = lsmkv_get_stats(db, &stats->engine);

    if (source != NULL)
        stats->source = *source;
    stats->read_only = vfs->read_only;
    stats->compression =
        lsmkv_keyspace_compression(lsmkv_default_keyspace(db)) == LSMKV_COMPRESSION_LZ4
            ? "lz4"
            : "none";
    stats->unsynced_age = store_unsynced_age(vfs->store);
    stats->nodes = nodes_count(vfs->nodes);
    if (result == 0)
        result = lsmkv_level_list(db, add_level, stats);
    if (result == 0)
        result = lsmkv_pin_list(db, add_pin, stats);
    if (result < 0)
        return result;
    stats->recovery = property(db, "lsmkv.recovery");
    stats->error = property(db, "lsmkv.error");
    return stats->recovery != NULL && stats->error != NULL ? 0 : -ENOMEM;
}

static void
stats_fini(struct stats *stats)
{
    free(stats->levels);
    free(stats->pins);
    free(stats->recovery);
    free(stats->error);
}

/* ---- printing ---- */

static const struct {
    const char *name, *file;
} forms[STATS_FORMS] = {
    [STATS_TEXT] = {"text", "stats"},
    [STATS_JSON] = {"json", "stats.json"},
    [STATS_PROMETHEUS] = {"prometheus", "stats.prom"},
};

const char *
stats_form_name(enum stats_form form)
{
    return forms[form].name;
}

const char *
stats_file_name(enum stats_form form)
{
    return forms[form].file;
}

int
stats_print(struct vfs *vfs, const struct stats_source *source, enum stats_form form,
            FILE *out)
{
    struct stats stats = {0};
    int result = gather(vfs, source, &stats);

    if (result == 0 && form == STATS_JSON)
        result = stats_print_json(&stats, out);
    else if (result == 0 && form == STATS_PROMETHEUS)
        stats_print_prometheus(&stats, out);
    else if (result == 0)
        stats_print_text(&stats, out);
    stats_fini(&stats);
    return result;
}
