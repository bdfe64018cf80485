/* stats_text.c - numbers for people; see stats.h. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vfs/stats.h"

#define NS_PER_SECOND 1000000000
#define SIZE_TEXT     24u

/* A size as people read it, in `text` of SIZE_TEXT bytes. */
static const char *
size_text(uint64_t bytes, char *text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    unsigned unit = 0;

    for (; value >= 1024; unit++)
        value /= 1024;
    snprintf(text, SIZE_TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

static const char *
duration_text(double seconds, char *text)
{
    if (seconds < 1e-3)
        snprintf(text, SIZE_TEXT, "%.1f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(text, SIZE_TEXT, "%.1f ms", seconds * 1e3);
    else
        snprintf(text, SIZE_TEXT, "%.2f s", seconds);
    return text;
}

static double
percent(uint64_t part, uint64_t rest)
{
    return part + rest > 0 ? 100.0 * (double)part / (double)(part + rest) : 0;
}

/* A name may hold anything: what would spoil a line or a terminal shows as '?'. */
static void
print_name(const char *name, FILE *out)
{
    for (; *name != '\0'; name++)
        putc(iscntrl((unsigned char)*name) ? '?' : *name, out);
}

/* ---- its parts ---- */

static void
print_place(const struct stats *stats, FILE *out)
{
    const struct stats_source *source = &stats->source;
    const char *mode = stats->read_only ? "read-only" : "read-write";

    fprintf(out, "Store:        ");
    print_name(source->store != NULL ? source->store : "?", out);
    fprintf(out, "\nMounted:      ");
    if (source->mountpoint == NULL) {
        fprintf(out, "no\n");
    } else {
        print_name(source->mountpoint, out);
        fprintf(out, " (%s), by process %d of lsmfs %s, %zu inodes held\n", mode,
                (int)getpid(), LSMFS_VERSION, stats->nodes);
    }
    fprintf(out, "Compression:  %s\n", stats->compression);
    fprintf(out, "Opened after: %s\n", stats->recovery);
    fprintf(out, "Errors:       %s\n", *stats->error != '\0' ? stats->error : "none");
}

static void
print_level(const struct stats_level *level, FILE *out)
{
    const struct lsmkv_level_stats *of = &level->of;
    char size[SIZE_TEXT], due[SIZE_TEXT] = "-", written[SIZE_TEXT] = "-";

    if (of->bytes_in > 0)
        snprintf(written, sizeof(written), "%.2f", stats_level_amplification(of));
    if (of->level == 0)
        snprintf(due, sizeof(due), "%" PRIu64 " tables", of->due);
    else if (of->due > 0)
        size_text(of->due, due);
    fprintf(out, "%5u %7" PRIu64 " %10s %6.2f %10s %9" PRIu64 " %9s  ", of->level,
            of->tables, size_text(of->bytes, size), of->score, due, of->tables_a_read,
            written);
    print_name(level->keyspace, out);
    if (of->merging_tables > 0)
        fprintf(out, "; %" PRIu64 " tables, %s, are being merged", of->merging_tables,
                size_text(of->merging_bytes, size));
    fprintf(out, "\n");
}

static void
print_levels(const struct stats *stats, FILE *out)
{
    fprintf(out, "\n%5s %7s %10s %6s %10s %9s %9s  %s\n", "Level", "Tables", "Size",
            "Score", "Due at", "Read amp", "Write amp", "Keyspace");
    for (size_t i = 0; i < stats->level_count; i++)
        print_level(&stats->levels[i], out);
    fprintf(out,
            "A read looks into %" PRIu64
            " tables at most; a byte written came to %.2f on "
            "the disk.\n",
            stats_tables_a_read(stats), stats_write_amplification(stats));
}

static void
print_work(const struct lsmkv_stats *engine, FILE *out)
{
    char size[SIZE_TEXT], read[SIZE_TEXT];
    uint64_t waiting = engine->memtable_sets > 0 ? engine->memtable_sets - 1 : 0;

    fprintf(out, "\nMemtables:    %s; %" PRIu64 " sets wait to be flushed\n",
            size_text(engine->memtable_bytes, size), waiting);
    fprintf(out,
            "Log:          %" PRIu64 " files, %s; %" PRIu64 " syncs, %" PRIu64
            " batches in %" PRIu64 " groups\n",
            engine->logs, size_text(engine->log_bytes, size), engine->log_syncs,
            engine->writes, engine->write_groups);
    fprintf(out, "Flushes:      %" PRIu64 ", %s written\n", engine->flushes,
            size_text(engine->flush_bytes_written, size));
    fprintf(out,
            "Compactions:  %" PRIu64 ", %s read, %s written; %" PRIu64
            " tables moved as they were\n",
            engine->compactions, size_text(engine->compaction_bytes_read, read),
            size_text(engine->compaction_bytes_written, size), engine->trivial_moves);
    fprintf(out, "Stalls:       %" PRIu64 " writes delayed, %" PRIu64 " stopped\n",
            engine->stall_slowdowns, engine->stall_stops);
}

static void
print_unsynced(const struct stats *stats, FILE *out)
{
    char size[SIZE_TEXT], age[SIZE_TEXT];

    fprintf(out, "Unsynced:     %s", size_text(stats->engine.unsynced_bytes, size));
    if (stats->engine.unsynced_bytes > 0)
        fprintf(out, ", the oldest for %s at most",
                duration_text((double)stats->unsynced_age / NS_PER_SECOND, age));
    fprintf(out, "\n");
}

static void
print_reads(const struct stats *stats, FILE *out)
{
    const struct lsmkv_stats *engine = &stats->engine;
    char size[SIZE_TEXT], limit[SIZE_TEXT];

    fprintf(out,
            "Reads:        %" PRIu64 " gets, %" PRIu64 " lookups, %" PRIu64
            " iterators; %" PRIu64 " blocks and %" PRIu64 " apart values read\n",
            engine->gets, engine->lookups, engine->iterators, engine->blocks_read,
            engine->blobs_read);
    fprintf(out,
            "Cache:        %s of %s; %" PRIu64 " hits, %" PRIu64
            " misses (%.1f %% hits)\n",
            size_text(engine->cache_bytes, size),
            size_text(engine->cache_limit_bytes, limit), engine->cache_hits,
            engine->cache_misses, percent(engine->cache_hits, engine->cache_misses));
    fprintf(out,
            "Filters:      %" PRIu64 " checks: %" PRIu64 " absent, %" PRIu64
            " may be there and were, %" PRIu64 " and were not\n",
            engine->filter_checks, engine->filter_negatives, stats_filter_hits(stats),
            engine->filter_false_positives);
}

static void
print_space(const struct lsmkv_stats *engine, FILE *out)
{
    char a[SIZE_TEXT], b[SIZE_TEXT], c[SIZE_TEXT];

    fprintf(out, "Tables:       %" PRIu64 ", %s\n", engine->tables,
            size_text(engine->table_bytes, a));
    fprintf(out, "Blob files:   %" PRIu64 ", %s, of which %s are dead\n",
            engine->blob_files, size_text(engine->blob_file_bytes, a),
            size_text(engine->blob_dead_bytes, b));
    fprintf(out, "Disk:         %s free of %s; %s are kept back\n",
            size_text(engine->free_bytes, a), size_text(engine->total_bytes, b),
            size_text(engine->reserve_bytes, c));
}

static void
print_pins(const struct stats *stats, FILE *out)
{
    char size[SIZE_TEXT], time[40];

    if (stats->pin_count == 0) {
        fprintf(out, "\nNo snapshots.\n");
        return;
    }
    fprintf(out, "\n%-20s %14s %7s %12s  %s\n", "Taken", "Sequence", "Tables",
            "Keeps up to", "Snapshot");
    for (size_t i = 0; i < stats->pin_count; i++) {
        const struct lsmkv_pin *pin = &stats->pins[i].of;
        time_t seconds = (time_t)(pin->time / NS_PER_SECOND);
        struct tm utc;

        snprintf(time, sizeof(time), "-");
        if (stats->pins[i].name[0] != '\0' && gmtime_r(&seconds, &utc) != NULL)
            strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &utc);
        fprintf(out, "%-20s %14" PRIu64 " %7" PRIu64 " %12s  ", time, pin->sequence,
                pin->tables, size_text(pin->bytes, size));
        print_name(stats->pins[i].name[0] != '\0' ? stats->pins[i].name : "(open)", out);
        fprintf(out, "\n");
    }
}

/* The bound of the bucket in which `share` of all is reached. */
static const char *
quantile(const struct requests_kind *kind, double share, char *text)
{
    uint64_t wanted = (uint64_t)(share * (double)kind->count), seen = 0;
    unsigned i = 0;

    while (i + 1 < REQUESTS_BUCKETS && (seen += kind->buckets[i]) <= wanted)
        i++;
    if (i + 1 == REQUESTS_BUCKETS)
        return "longer";
    return duration_text((double)REQUESTS_BOUND(i) / NS_PER_SECOND, text);
}

static void
print_requests(const struct requests *requests, FILE *out)
{
    fprintf(out, "\n%-16s %12s %10s %12s %12s %12s\n", "Request", "Count", "Mean",
            "Half within", "99 % within", "99.9 %");
    for (unsigned i = 0; i < REQUESTS_KINDS; i++) {
        struct requests_kind kind;
        char text[4][SIZE_TEXT];

        requests_sum(requests, i, &kind);
        if (kind.count == 0)
            continue;
        fprintf(
            out, "%-16s %12" PRIu64 " %10s %12s %12s %12s\n", requests_name(i),
            kind.count,
            duration_text((double)kind.nanoseconds / (double)kind.count / NS_PER_SECOND,
                          text[0]),
            quantile(&kind, 0.5, text[1]), quantile(&kind, 0.99, text[2]),
            quantile(&kind, 0.999, text[3]));
    }
}

/* ---- all of it ---- */

void
stats_print_text(const struct stats *stats, FILE *out)
{
    print_place(stats, out);
    print_levels(stats, out);
    print_work(&stats->engine, out);
    print_unsynced(stats, out);
    print_reads(stats, out);
    print_space(&stats->engine, out);
    print_pins(stats, out);
    if (stats->source.requests != NULL)
        print_requests(stats->source.requests, out);
}
