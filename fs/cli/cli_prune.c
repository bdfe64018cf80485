/*
 * cli_prune.c - `lsmfs snapshot prune`: prune.c chooses, here it is done and told.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_report.h"
#include "cli/cli_snapshot.h"
#include "cli/place.h"
#include "daemon/mount.h"
#include "vfs/snapdir.h"

struct rotation {
    const struct snapshot_call *call;
    struct place place;
    struct place_snapshot *snapshots; /* those that take part, the newest last */
    struct prune_item *items;         /* one each */
    size_t count;
};

/* ---- telling ---- */

static void
reason(const struct prune_item *item, int rule, char *text, size_t size)
{
    snprintf(text, size, "%s %u", prune_names[rule], item->period[rule]);
}

static void
print_json(const struct rotation *rotation, size_t index, bool deleted)
{
    const struct prune_item *item = &rotation->items[index];
    char time[SNAPSHOT_TIME_SIZE], text[64];
    json_t *reasons = json_array();

    for (int rule = 0; rule < PRUNE_RULES; rule++) {
        if (item->period[rule] == 0)
            continue;
        reason(item, rule, text, sizeof(text));
        if (json_array_append_new(reasons, json_string(text)) != 0)
            break;
    }
    snapshot_time(item->time, time);
    report_json(json_pack("{so ss sb sb so}", "name",
                          report_text(rotation->snapshots[index].name), "created", time,
                          "kept", prune_is_kept(item), "deleted", deleted, "reasons",
                          reasons));
}

/* "keep", "delete" or "would delete", and for which rules. */
static void
print(const struct rotation *rotation, size_t index, bool deleted)
{
    const struct prune_item *item = &rotation->items[index];
    const char *word = prune_is_kept(item) ? "keep" : deleted ? "delete" : "would delete";
    const char *before = "  (";
    char time[SNAPSHOT_TIME_SIZE], text[64];

    if (rotation->call->json) {
        print_json(rotation, index, deleted);
        return;
    }
    snapshot_time(item->time, time);
    printf("%s  %s  %s", word, time, rotation->snapshots[index].name);
    for (int rule = 0; rule < PRUNE_RULES; rule++) {
        if (item->period[rule] == 0)
            continue;
        reason(item, rule, text, sizeof(text));
        printf("%s%s", before, text);
        before = ", ";
    }
    puts(prune_is_kept(item) ? ")" : "");
}

/* ---- doing ---- */

/* The backup's own is not another's to delete. */
static bool
takes_part(const struct rotation *rotation, const char *name)
{
    const char *prefix = rotation->call->prefix;

    return strncmp(name, prefix, strlen(prefix)) == 0 && !snapdir_is_backup(name);
}

static int
list(struct rotation *rotation)
{
    size_t all, used = 0;
    int result = place_list(&rotation->place, &rotation->snapshots, &all);

    if (result != 0)
        return place_fail(&rotation->place, rotation->place.store, result);
    rotation->items = calloc(all > 0 ? all : 1, sizeof(*rotation->items));
    if (rotation->items == NULL)
        return place_fail(&rotation->place, rotation->place.store, -ENOMEM);
    for (size_t i = 0; i < all; i++) {
        if (!takes_part(rotation, rotation->snapshots[i].name))
            continue;
        rotation->snapshots[used] = rotation->snapshots[i];
        rotation->items[used++].time = rotation->snapshots[i].time;
    }
    rotation->count = used;
    return STATUS_OK;
}

/* One that is gone by now was somebody else's to delete. */
static int
carry_out(const struct rotation *rotation)
{
    int status = STATUS_OK;

    for (size_t i = 0; i < rotation->count; i++) {
        const char *name = rotation->snapshots[i].name;
        bool deleted = !prune_is_kept(&rotation->items[i]) && !rotation->call->dry_run;
        int result = deleted ? place_delete(&rotation->place, name) : 0;

        if (result != 0 && result != -ENOENT)
            status = place_fail(&rotation->place, name, result);
        else
            print(rotation, i, deleted);
    }
    return status;
}

int
snapshot_prune(const struct snapshot_call *call)
{
    struct rotation rotation = {.call = call};
    int status =
        place_open(&rotation.place, call->name, call->operands[0], !call->dry_run);

    if (status != STATUS_OK)
        return status;
    status = list(&rotation);
    if (status == STATUS_OK) {
        prune_choose(call->keep, rotation.items, rotation.count);
        status = carry_out(&rotation);
    }
    free(rotation.items);
    free(rotation.snapshots);
    return place_close(&rotation.place, status);
}
