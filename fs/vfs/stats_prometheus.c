/*
 * stats_prometheus.c - numbers for Prometheus, in its text format; see stats.h.
 *
 * A family is its HELP and TYPE and then all its samples, and stands once.  Names begin with
 * "lsmfs_" and end with the unit, a base one, and with "_total" if they count.
 */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "common/wire.h"
#include "vfs/stats.h"

#define NS_PER_SECOND 1e9

static bool
counts(const char *metric)
{
    size_t size = strlen(metric), end = strlen("_total");

    return size > end && strcmp(metric + size - end, "_total") == 0;
}

static void
begin(FILE *out, const char *metric, const char *type, const char *help)
{
    fprintf(out, "# HELP lsmfs_%s %s\n# TYPE lsmfs_%s %s\n", metric, help, metric, type);
}

/* Counters and gauges, by their name. */
static void
begin_number(FILE *out, const char *metric, const char *help)
{
    begin(out, metric, counts(metric) ? "counter" : "gauge", help);
}

static void
print_escaped(FILE *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            fprintf(out, "\\%c", *value);
        else
            putc(*value, out);
    }
}

/* name="value".  A value that is no UTF-8 is coded as wire.h does, so that two of them stay two. */
static void
print_label(FILE *out, const char *name, const char *value)
{
    json_t *utf8 = json_string(value);
    char coded[3 * PATH_MAX + 1];

    if (utf8 == NULL)
        wire_encode(value, strlen(value), coded);
    fprintf(out, "%s=\"", name);
    print_escaped(out, utf8 != NULL ? value : coded);
    putc('"', out);
    json_decref(utf8);
}

/* ---- the store ---- */

static void
print_numbers(const struct stats *stats, FILE *out)
{
    for (size_t i = 0; i < stats_number_count; i++) {
        const struct stats_number *number = &stats_numbers[i];

        if (number->metric == NULL)
            continue;
        begin_number(out, number->metric, number->help);
        fprintf(out, "lsmfs_%s %" PRIu64 "\n", number->metric,
                stats_value(&stats->engine, number));
    }
}

static void
print_single(FILE *out, const char *metric, const char *help, double value)
{
    begin_number(out, metric, help);
    fprintf(out, "lsmfs_%s %.9g\n", metric, value);
}

static void
print_filters(const struct stats *stats, FILE *out)
{
    const struct lsmkv_stats *engine = &stats->engine;

    begin_number(out, "filter_checks_total", "Questions to filters, by their outcome.");
    fprintf(out, "lsmfs_filter_checks_total{outcome=\"absent\"} %" PRIu64 "\n",
            engine->filter_negatives);
    fprintf(out, "lsmfs_filter_checks_total{outcome=\"present\"} %" PRIu64 "\n",
            stats_filter_hits(stats));
    fprintf(out, "lsmfs_filter_checks_total{outcome=\"false_positive\"} %" PRIu64 "\n",
            engine->filter_false_positives);
}

/* Members of struct lsmkv_level_stats. */
static const struct {
    const char *metric;
    size_t offset;
    const char *help;
} level_numbers[] = {
    {"level_tables", offsetof(struct lsmkv_level_stats, tables), "Tables of a level."},
    {"level_size_bytes", offsetof(struct lsmkv_level_stats, bytes),
     "Bytes of a level's tables."},
    {"level_due", offsetof(struct lsmkv_level_stats, due),
     "Tables of level 0, bytes of a deeper one, that make it due; 0: never."},
    {"level_merges_total", offsetof(struct lsmkv_level_stats, merges),
     "Compactions that took tables of a level."},
    {"level_moves_total", offsetof(struct lsmkv_level_stats, moves),
     "Of tables of a level to the next, as they were."},
    {"level_tables_per_read", offsetof(struct lsmkv_level_stats, tables_a_read),
     "Tables that a read may have to look into: read amplification."},
    {"level_in_bytes_total", offsetof(struct lsmkv_level_stats, bytes_in),
     "Bytes of tables that came into a level from above."},
    {"level_written_bytes_total", offsetof(struct lsmkv_level_stats, bytes_written),
     "Bytes of tables written to a level; by what came in: write amplification."},
    {"level_merging_tables", offsetof(struct lsmkv_level_stats, merging_tables),
     "Tables that the compaction under way reads."},
    {"level_merging_bytes", offsetof(struct lsmkv_level_stats, merging_bytes),
     "Bytes of tables that the compaction under way reads."},
};

static void
print_level_sample(const char *metric, const struct stats_level *level, double value,
                   FILE *out)
{
    fprintf(out, "lsmfs_%s{", metric);
    print_label(out, "keyspace", level->keyspace);
    fprintf(out, ",level=\"%u\"} %.15g\n", level->of.level, value);
}

static void
print_levels(const struct stats *stats, FILE *out)
{
    for (size_t k = 0; k < sizeof(level_numbers) / sizeof(level_numbers[0]); k++) {
        begin_number(out, level_numbers[k].metric, level_numbers[k].help);
        for (size_t i = 0; i < stats->level_count; i++) {
            uint64_t value;

            memcpy(&value, (const char *)&stats->levels[i].of + level_numbers[k].offset,
                   sizeof(value));
            print_level_sample(level_numbers[k].metric, &stats->levels[i], (double)value,
                               out);
        }
    }
    begin_number(out, "level_score", "How due a level is for compaction; 1: it is.");
    for (size_t i = 0; i < stats->level_count; i++)
        print_level_sample("level_score", &stats->levels[i], stats->levels[i].of.score,
                           out);
}

/* Of named snapshots alone: a name is what tells one sample from another. */
static void
print_pin_family(const struct stats *stats, const char *metric, const char *help,
                 double (*value)(const struct lsmkv_pin *pin), FILE *out)
{
    begin_number(out, metric, help);
    for (size_t i = 0; i < stats->pin_count; i++) {
        if (stats->pins[i].name[0] == '\0')
            continue;
        fprintf(out, "lsmfs_%s{", metric);
        print_label(out, "snapshot", stats->pins[i].name);
        fprintf(out, "} %.15g\n", value(&stats->pins[i].of));
    }
}

static double
pin_time(const struct lsmkv_pin *pin)
{
    return (double)pin->time / NS_PER_SECOND;
}

static double
pin_bytes(const struct lsmkv_pin *pin)
{
    return (double)pin->bytes;
}

static void
print_pins(const struct stats *stats, FILE *out)
{
    print_single(out, "pins", "Sequences kept readable, those of snapshots among them.",
                 (double)stats->pin_count);
    print_pin_family(stats, "snapshot_taken_timestamp_seconds",
                     "When a snapshot was taken, since 1970.", pin_time, out);
    print_pin_family(stats, "snapshot_kept_bytes",
                     "Bytes that a snapshot may keep, at most.", pin_bytes, out);
}

/* ---- the mount ---- */

static void
print_histogram(unsigned number, const struct requests_kind *kind, FILE *out)
{
    const char *name = requests_name(number);
    uint64_t below = 0;

    for (unsigned i = 0; i + 1 < REQUESTS_BUCKETS; i++) {
        below += kind->buckets[i];
        fprintf(
            out,
            "lsmfs_request_duration_seconds_bucket{opcode=\"%s\",le=\"%.10g\"} %" PRIu64
            "\n",
            name, (double)REQUESTS_BOUND(i) / NS_PER_SECOND, below);
    }
    fprintf(out,
            "lsmfs_request_duration_seconds_bucket{opcode=\"%s\",le=\"+Inf\"} %" PRIu64
            "\n",
            name, kind->count);
    fprintf(out, "lsmfs_request_duration_seconds_sum{opcode=\"%s\"} %.9f\n", name,
            (double)kind->nanoseconds / NS_PER_SECOND);
    fprintf(out, "lsmfs_request_duration_seconds_count{opcode=\"%s\"} %" PRIu64 "\n",
            name, kind->count);
}

static void
print_requests(const struct requests *requests, FILE *out)
{
    begin(out, "request_duration_seconds", "histogram",
          "From reading a request of the kernel to its answer.");
    for (unsigned i = 0; i < REQUESTS_KINDS; i++) {
        struct requests_kind kind;

        requests_sum(requests, i, &kind);
        if (kind.count > 0)
            print_histogram(i, &kind, out);
    }
}

/* ---- all of it ---- */

static void
print_info(const struct stats *stats, FILE *out)
{
    const struct stats_source *source = &stats->source;

    begin(out, "info", "gauge", "What this is of; always 1.");
    fprintf(out, "lsmfs_info{");
    print_label(out, "version", LSMFS_VERSION);
    fprintf(out, ",");
    print_label(out, "store", source->store != NULL ? source->store : "");
    fprintf(out, ",");
    print_label(out, "mountpoint", source->mountpoint != NULL ? source->mountpoint : "");
    fprintf(out, ",");
    print_label(out, "compression", stats->compression);
    fprintf(out, "} 1\n");
}

void
stats_print_prometheus(const struct stats *stats, FILE *out)
{
    const struct lsmkv_stats *engine = &stats->engine;

    print_info(stats, out);
    print_single(out, "read_only", "1: nothing can be written.", stats->read_only);
    print_single(out, "failed", "1: a sync, a flush or a compaction has failed.",
                 *stats->error != '\0');
    print_numbers(stats, out);
    print_single(out, "unsynced_age_seconds",
                 "Since the oldest unsynced change was acknowledged, at most.",
                 engine->unsynced_bytes > 0 ? (double)stats->unsynced_age / NS_PER_SECOND
                                            : 0);
    print_filters(stats, out);
    print_levels(stats, out);
    print_pins(stats, out);
    if (stats->source.mountpoint != NULL)
        print_single(out, "inodes", "Inodes that the kernel holds.",
                     (double)stats->nodes);
    if (stats->source.requests != NULL)
        print_requests(stats->source.requests, out);
}
