/* stats_json.c - numbers for programs, as one JSON object; see stats.h. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "common/report_text.h"
#include "vfs/stats.h"

#define NS_PER_SECOND 1e9

/* Integers of JSON are signed here; nothing comes near that. */
static json_int_t
whole(uint64_t number)
{
    return (json_int_t)number;
}

/* What cannot be added for want of memory takes the array with it, and so the whole. */
static void
append(json_t **array, json_t *value)
{
    if (json_array_append_new(*array, value) == 0)
        return;
    json_decref(*array);
    *array = NULL;
}

static json_t *
text_or_null(const char *text)
{
    return text != NULL && *text != '\0' ? report_text(text) : json_null();
}

static json_t *
engine_object(const struct lsmkv_stats *engine)
{
    json_t *object = json_object();

    for (size_t i = 0; i < stats_number_count && object != NULL; i++) {
        json_t *value = json_integer(whole(stats_value(engine, &stats_numbers[i])));

        if (json_object_set_new(object, stats_numbers[i].name, value) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

static json_t *
levels_array(const struct stats *stats)
{
    json_t *array = json_array();

    for (size_t i = 0; i < stats->level_count; i++) {
        const struct lsmkv_level_stats *level = &stats->levels[i].of;

        append(&array,
               json_pack("{so si sI sI sf sI sI sI sI so sI sI sI sI}", "keyspace",
                         report_text(stats->levels[i].keyspace), "level",
                         (int)level->level, "tables", whole(level->tables), "bytes",
                         whole(level->bytes), "score", level->score, "due",
                         whole(level->due), "merges", whole(level->merges), "moves",
                         whole(level->moves), "read_amplification",
                         whole(level->tables_a_read), "write_amplification",
                         level->bytes_in > 0 ? json_real(stats_level_amplification(level))
                                             : json_null(),
                         "bytes_in", whole(level->bytes_in), "bytes_written",
                         whole(level->bytes_written), "merging_tables",
                         whole(level->merging_tables), "merging_bytes",
                         whole(level->merging_bytes)));
    }
    return array;
}

static json_t *
pins_array(const struct stats *stats)
{
    json_t *array = json_array();

    for (size_t i = 0; i < stats->pin_count; i++) {
        const struct lsmkv_pin *pin = &stats->pins[i].of;
        bool named = stats->pins[i].name[0] != '\0';

        append(&array, json_pack("{so so sI sI sI}", "snapshot",
                                 text_or_null(stats->pins[i].name), "seconds",
                                 named ? json_real((double)pin->time / NS_PER_SECOND)
                                       : json_null(),
                                 "sequence", whole(pin->sequence), "tables",
                                 whole(pin->tables), "bytes", whole(pin->bytes)));
    }
    return array;
}

static json_t *
buckets_array(const struct requests_kind *kind)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < REQUESTS_BUCKETS; i++)
        append(&array,
               json_pack("{so sI}", "up_to",
                         i + 1 < REQUESTS_BUCKETS
                             ? json_real((double)REQUESTS_BOUND(i) / NS_PER_SECOND)
                             : json_null(),
                         "count", whole(kind->buckets[i])));
    return array;
}

static json_t *
requests_array(const struct requests *requests)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < REQUESTS_KINDS; i++) {
        struct requests_kind kind;

        requests_sum(requests, i, &kind);
        if (kind.count > 0)
            json_array_append_new(array,
                                  json_pack("{ss sI sf so}", "kind", requests_name(i),
                                            "count", whole(kind.count), "seconds",
                                            (double)kind.nanoseconds / NS_PER_SECOND,
                                            "buckets", buckets_array(&kind)));
    }
    return array;
}

int
stats_print_json(const struct stats *stats, FILE *out)
{
    const struct lsmkv_stats *engine = &stats->engine;
    const struct stats_source *source = &stats->source;
    bool mounted = source->mountpoint != NULL;
    json_t *object = json_pack(
        "{ss so so so ss ss so sb so so sf sI s{sI sf} s{sI sI sI sI} so so so}",
        "version", LSMFS_VERSION, "store", text_or_null(source->store), "mounted_at",
        text_or_null(source->mountpoint), "pid",
        mounted ? json_integer(getpid()) : json_null(), "mode",
        stats->read_only ? "read-only" : "read-write", "compression", stats->compression,
        "recovery", text_or_null(stats->recovery), "unclean_stop",
        engine->unclean_stop != 0, "error", text_or_null(stats->error), "inodes",
        mounted ? json_integer(whole(stats->nodes)) : json_null(), "write_amplification",
        stats_write_amplification(stats), "read_amplification",
        whole(stats_tables_a_read(stats)), "unsynced", "bytes",
        whole(engine->unsynced_bytes), "seconds",
        engine->unsynced_bytes > 0 ? (double)stats->unsynced_age / NS_PER_SECOND : 0.0,
        "filters", "checks", whole(engine->filter_checks), "absent",
        whole(engine->filter_negatives), "present", whole(stats_filter_hits(stats)),
        "false_positives", whole(engine->filter_false_positives), "engine",
        engine_object(engine), "levels", levels_array(stats), "pins", pins_array(stats));
    int result = -ENOMEM;

    if (object == NULL)
        return result;
    if (json_object_set_new(object, "requests",
                            source->requests != NULL ? requests_array(source->requests)
                                                     : json_null()) == 0 &&
        json_dumpf(object, out, JSON_COMPACT) == 0) {
        putc('\n', out);
        result = 0;
    }
    json_decref(object);
    return result;
}
