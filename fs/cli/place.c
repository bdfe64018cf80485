/* place.c - see place.h. */
#include "cli/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/client.h"
#include "daemon/mount.h"
#include "vfs/snapshots.h"

/* ---- opening ---- */

static int
open_store(struct place *place, bool writing)
{
    struct vfs_options options;
    char why[2048];

    vfs_options_init(&options);
    options.store.path = place->store;
    options.store.read_only = !writing;
    int result = vfs_open(&options, &place->vfs, why, sizeof(why));
    if (result == 0)
        return STATUS_OK;
    fprintf(stderr, "lsmfs %s: %s\n", place->command, why);
    return mount_status_of(result);
}

int
place_open(struct place *place, const char *command, const char *given, bool writing)
{
    int result = client_find_store(given, place->store, NULL);

    place->command = command;
    place->vfs = NULL;
    if (result != 0) {
        fprintf(stderr, "lsmfs %s: %s: %s\n", command, given, strerror(-result));
        return mount_status_of(result);
    }
    struct client *client = client_open(place->store);
    if (client == NULL)
        return open_store(place, writing);
    client_close(client);
    return STATUS_OK;
}

int
place_close(struct place *place, int status)
{
    int result = place->vfs != NULL ? vfs_close(place->vfs) : 0;

    place->vfs = NULL;
    if (result == 0)
        return status;
    fprintf(stderr, "lsmfs %s: %s: %s\n", place->command, place->store,
            lsmkv_strerror(result));
    return STATUS_FAILED;
}

/* ---- asking ---- */

/* What the answer carries goes to `out`, which the caller closes, or nowhere. */
static int
ask(const struct place *place, const char *command, struct lsmkv_slice argument, int out)
{
    struct client *client = client_open(place->store);

    if (client == NULL)
        return errno == ENOMEM ? -ENOMEM : -EPIPE; /* it was there: see place_open */
    client_ask(client, command, argument);
    int result = client_answer(client, out);
    client_close(client);
    return result;
}

static int
change(const struct place *place, const char *command, const char *argument)
{
    struct lsmkv_slice text = lsmkv_str(argument);

    if (place->vfs != NULL)
        return snapshots_do(place->vfs, command, text, NULL);
    return ask(place, command, text, STDOUT_FILENO);
}

int
place_create(const struct place *place, const char *name)
{
    return change(place, "snapshot-create", name);
}

int
place_delete(const struct place *place, const char *name)
{
    return change(place, "snapshot-delete", name);
}

int
place_rename(const struct place *place, const char *from, const char *to)
{
    char *both;

    if (asprintf(&both, "%s/%s", from, to) < 0)
        return -ENOMEM;
    int result = change(place, "snapshot-rename", both);
    free(both);
    return result;
}

/* ---- listing ---- */

static bool
parse_line(char *line, struct place_snapshot *snapshot)
{
    unsigned long long id;
    long long time;
    int name = 0;
    size_t size;

    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%llu %lld %n", &id, &time, &name) != 2 || name == 0 ||
        wire_decode(line + name, &size) != 0 || size > LSMKV_NAME_MAX)
        return false;
    memcpy(snapshot->name, line + name, size);
    snapshot->name[size] = '\0';
    snapshot->id = id;
    snapshot->time = time;
    return true;
}

/* In the order in which they were made, whatever the clock was then. */
static int
compare(const void *left, const void *right)
{
    const struct place_snapshot *a = left, *b = right;

    return a->id < b->id ? -1 : a->id > b->id;
}

static int
parse_list(FILE *file, struct place_snapshot **all, size_t *count)
{
    struct place_snapshot *snapshots = NULL;
    size_t used = 0, capacity = 0, line_size = 0;
    char *line = NULL;
    int result = 0;

    while (result == 0 && getline(&line, &line_size, file) > 0) {
        if (used == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 16;
            void *grown = reallocarray(snapshots, capacity, sizeof(*snapshots));
            if (grown == NULL) {
                result = -ENOMEM;
                break;
            }
            snapshots = grown;
        }
        result = parse_line(line, &snapshots[used++]) ? 0 : -EPROTO;
    }
    free(line);
    if (result == 0 && ferror(file))
        result = -EIO;
    if (result != 0) {
        free(snapshots);
        return result;
    }
    if (used > 0)
        qsort(snapshots, used, sizeof(*snapshots), compare);
    *all = snapshots;
    *count = used;
    return 0;
}

int
place_list(const struct place *place, struct place_snapshot **all, size_t *count)
{
    int fd = memfd_create("snapshots", MFD_CLOEXEC), result;
    FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;

    if (file == NULL) {
        result = -errno;
        if (fd >= 0)
            close(fd);
        return result;
    }
    if (place->vfs != NULL)
        result = snapshots_do(place->vfs, "snapshots", lsmkv_bytes(NULL, 0), file);
    else
        result = ask(place, "snapshots", lsmkv_bytes(NULL, 0), fd);
    if (result == 0) {
        rewind(file);
        result = parse_list(file, all, count);
    }
    fclose(file);
    return result;
}

/* ---- differences ---- */

int
place_diff(const struct place *place, const char *from, const char *to, FILE *file)
{
    const struct snapshots_output output = {.out = file};
    char names[2 * LSMKV_NAME_MAX + 2];
    int result = snprintf(names, sizeof(names), "%s/%s", from, to != NULL ? to : "");

    if (result < 0 || (size_t)result >= sizeof(names))
        return -ENOENT;
    if (place->vfs != NULL)
        result = snapshots_diff(place->vfs, lsmkv_str(names), &output);
    else
        result = ask(place, "diff", lsmkv_str(names), fileno(file));
    if (result == 0 && fflush(file) != 0)
        result = -errno;
    if (result == 0)
        rewind(file);
    return result;
}

/* ---- messages ---- */

int
place_fail(const struct place *place, const char *name, int result)
{
    const char *why = result == -EPIPE       ? "the daemon ended before it answered"
                      : name == place->store ? lsmkv_strerror(result)
                      : result == -ENOENT    ? "no such snapshot"
                      : result == -EEXIST    ? "there is a snapshot of this name"
                      : result == -EINVAL    ? "not a name for a snapshot"
                                             : lsmkv_strerror(result);

    fprintf(stderr, "lsmfs %s: %s: %s\n", place->command, name, why);
    return mount_status_of(result);
}
