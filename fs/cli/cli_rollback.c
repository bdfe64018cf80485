/*
 * cli_rollback.c - `lsmfs snapshot rollback`: of a mounted store its daemon does it (vfs_rollback.c);
 * else the store is opened by itself, without the sweep, which has in memory what would be of another
 * state, and its lock keeps others out.
 *
 * R1  What foreign.h knows is not renewed.  A state comes back of which nobody knows whether others
 *     had written below files (V2 of foreign.c has it that this does not come about); the store's
 *     sequence is no longer that of "closed", so the next mount looks.
 * R2  A store that was never mounted gets nothing of ours, be it that the name was mistyped.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli_report.h"
#include "cli/cli_snapshot.h"
#include "cli/place.h"
#include "common/client.h"
#include "daemon/mount.h"
#include "store/store.h"

struct command {
    const struct snapshot_call *call;
    const char *snapshot;
    struct place place; /* for messages */
    struct cli_report report;
    uint64_t keys;
};

static void
show(void *context, uint64_t keys)
{
    struct command *command = context;

    command->keys = keys;
    report_records(&command->report, keys);
}

/* Returns the exit status; what went wrong has been said. */
static int
roll_back(struct command *command, struct store *store)
{
    struct lsmkv_snapshot *snapshot;
    int result = lsmkv_snapshot_open(store->db, command->snapshot, &snapshot, NULL);

    if (result != 0)
        return place_fail(&command->place, command->snapshot, result);
    result = store_rollback(store, snapshot, show, command);
    lsmkv_snapshot_release(store->db, snapshot);
    report_clear_bar(&command->report);
    if (result == 0)
        return STATUS_OK;
    report_unable_at(&command->report, command->place.store, result);
    return mount_status_of(result);
}

static int
run_unmounted(struct command *command)
{
    struct store_options options;
    struct store *store;
    char why[2048];

    store_options_init(&options);
    options.path = command->place.store;
    options.as_is = true; /* R2 */
    int result = store_open(&options, &store, why, sizeof(why));
    if (result != 0) {
        report_unable(&command->report, why);
        return mount_status_of(result);
    }
    int status = roll_back(command, store);
    result = store_close(store);
    return result == 0 ? status
                       : place_fail(&command->place, command->place.store, result);
}

static int
run_mounted(struct command *command, struct client *client)
{
    unsigned long long keys;
    const char *line;

    client_ask(client, command->call->force ? "rollback-force" : "rollback",
               lsmkv_str(command->snapshot));
    while ((line = wire_line(&client->wire)) != NULL &&
           sscanf(line, "keys %llu", &keys) == 1)
        command->keys = keys;
    int result = client_end(client, line);
    if (result == 0)
        return STATUS_OK;
    if (result == -ENOENT)
        return place_fail(&command->place, command->snapshot, result);
    client_fail(client, command->call->name, command->place.store, result);
    return mount_status_of(result);
}

static int
run(struct command *command)
{
    struct client *client = client_open(command->place.store);

    if (client == NULL)
        return run_unmounted(command);
    int status = run_mounted(command, client);
    client_close(client);
    return status;
}

static void
print(const struct command *command)
{
    if (command->call->json)
        report_json(json_pack("{so so sI}", "store", report_text(command->place.store),
                              "snapshot", report_text(command->snapshot), "keys",
                              (json_int_t)command->keys));
    else
        printf("%s: %llu keys as they were in %s\n", command->place.store,
               (unsigned long long)command->keys, command->snapshot);
}

int
snapshot_rollback(const struct snapshot_call *call)
{
    struct command command = {
        .call = call,
        .snapshot = call->operands[1],
        .place.command = call->name,
        .report = {.name = call->name, .json = call->json},
    };
    int result = client_find_store(call->operands[0], command.place.store, NULL);

    if (result != 0) {
        fprintf(stderr, "lsmfs %s: %s: %s\n", call->name, call->operands[0],
                strerror(-result));
        return mount_status_of(result);
    }
    report_begin(&command.report);
    int status = run(&command);
    if (status == STATUS_OK)
        print(&command);
    return status;
}
