/*
 * control.c - the daemon's end of the control socket: one thread accepts, one a connection
 * answers; without memory for another thread the first answers as well, so that a daemon that has
 * come to a limit can still be unmounted.
 *
 * C1  A connection that asked for the unmounting is answered when the store is closed, not
 *     before: its descriptor outlives its thread.
 * C2  No thread waits for a client while it holds up the filesystem: contents pass through a
 *     file without a name, for the client's other end may be a file of this very mount.
 *     What takes long or is read at the client's pace the thread that accepts never does, and
 *     for a client that says nothing it waits a second.
 * C3  What takes long ends soon after its connection does, so that an unmounting need not wait.
 * C4  Going back to a snapshot does not end so, for who asked must hear whether the tree went back.
 *     An unmounting, which ends it if there is time, waits for its answer.
 */
#include "daemon/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mountinfo.h"
#include "common/wire.h"
#include "daemon/control_files.h"
#include "daemon/control_reads.h"
#include "store/compact.h"
#include "vfs/snapshots.h"
#include "vfs/stats.h"

#define CONNECTIONS_MAX 32u
/* At a time; more are refused: readers who stopped leave connections to unmount with. */
#define CHECKS_MAX      1u /* of repairs, too */
#define EXPORTS_MAX     8u
#define ACCEPT_PAUSE_NS 100000000
#define CLIENT_SECONDS  1 /* for each step of a client, without a thread for it */

struct connection {
    struct control *control;
    struct connection *next;
    pthread_t thread;
    bool has_thread;
    struct wire wire;
    atomic_bool done; /* answered; the thread, if any, has ended but for its return */
    bool waiting;     /* for the unmounting (C1); guarded by control->mutex */
    bool deciding;    /* or has decided (C4); guarded by control->mutex */
    char
        text[PATH_MAX + 64]; /* why it failed, if there is more to say than the errno's */
};

struct control {
    struct vfs *vfs;
    const struct stats_source *source;
    int directory; /* of the store, wherever that is moved */
    int socket;
    pthread_t thread;
    pthread_mutex_t mutex;
    bool stopping;                     /* guarded by mutex */
    struct connection *connections;    /* guarded by mutex */
    struct connection *spare;          /* for want of memory; guarded by mutex */
    unsigned count;                    /* guarded by mutex */
    unsigned checks, exports, repairs; /* that run; guarded by mutex */
};

/* ---- commands ---- */

static int
print_status(const struct control *control, FILE *out)
{
    struct lsmkv_stats stats;
    int result = lsmkv_get_stats(vfs_store(control->vfs)->db, &stats);

    if (result != 0)
        return result;
    fprintf(out,
            "version: %s\npid: %d\nstore: %s\nmounted_at: %s\nmode: %s\nio_uring: %s\n"
            "writeback_cache: %s\n",
            LSMFS_VERSION, (int)getpid(), control->source->store,
            control->source->mountpoint,
            vfs_is_read_only(control->vfs) ? "read-only" : "read-write",
            control->source->io_uring ? "yes" : "no",
            control->source->writeback ? "yes" : "no");
    for (size_t i = 0; i < stats_number_count; i++)
        fprintf(out, "%s: %llu\n", stats_numbers[i].name,
                (unsigned long long)stats_value(&stats, &stats_numbers[i]));
    return 0;
}

static bool
is_stats(const char *command)
{
    return strncmp(command, "stats-", strlen("stats-")) == 0;
}

static int
print_answer(const struct control *control, const char *name, struct lsmkv_slice argument,
             FILE *out)
{
    if (strcmp(name, "status") == 0)
        return print_status(control, out);
    if (!is_stats(name))
        return snapshots_do(control->vfs, name, argument, out);
    for (enum stats_form form = 0; form < STATS_FORMS; form++)
        if (strcmp(name + strlen("stats-"), stats_form_name(form)) == 0)
            return stats_print(control->vfs, control->source, form, out);
    return -EPROTO;
}

/* Commands whose answer is made in memory, so that nothing waits for who reads it (C2). */
static int
do_print(struct connection *connection, const char *name, struct lsmkv_slice argument)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (stream == NULL)
        return -ENOMEM;
    int result = print_answer(connection->control, name, argument, stream);
    if (fclose(stream) != 0 && result == 0)
        result = -ENOMEM;
    if (result == 0 && size > 0)
        wire_data(&connection->wire, text, size);
    free(text);
    return result;
}

static int
do_compact(struct connection *connection)
{
    const struct compact_report report = {wire_progress, &connection->wire};
    struct compact_sizes sizes;
    int result = compact_store(vfs_store(connection->control->vfs)->db, &report, &sizes);

    if (result == 0)
        wire_say(&connection->wire, "sizes %llu %llu\n", (unsigned long long)sizes.before,
                 (unsigned long long)sizes.after);
    return result;
}

/* C4.  False: the daemon ends. */
static bool
begin_deciding(struct connection *connection)
{
    struct control *control = connection->control;

    pthread_mutex_lock(&control->mutex);
    bool may = connection->deciding = !control->stopping;
    pthread_mutex_unlock(&control->mutex);
    return may;
}

/* Says nothing while the filesystem waits (C2). */
static int
do_rollback(struct connection *connection, struct lsmkv_slice name, bool force)
{
    char text[LSMKV_NAME_MAX + 1];
    struct vfs_rollback rollback = {.snapshot = text, .force = force};

    if (name.size >= sizeof(text))
        return -ENOENT;
    if (!begin_deciding(connection))
        return -ESHUTDOWN;
    snprintf(text, sizeof(text), "%.*s", (int)name.size, (const char *)name.data);
    int result = vfs_rollback(connection->control->vfs, &rollback);
    if (result == 0)
        wire_say(&connection->wire, "keys %llu\n", (unsigned long long)rollback.keys);
    else if (result == -EBUSY)
        snprintf(connection->text, sizeof(connection->text), "%llu %s open; see --force",
                 (unsigned long long)rollback.open,
                 rollback.open == 1 ? "file is" : "files are");
    return result;
}

/* Whether one more of those counted in `*running` may run; then it is counted. */
static bool
begin_read(struct control *control, unsigned *running, unsigned most)
{
    pthread_mutex_lock(&control->mutex);
    bool may = *running < most;
    *running += may;
    pthread_mutex_unlock(&control->mutex);
    return may;
}

static void
end_read(struct control *control, unsigned *running)
{
    pthread_mutex_lock(&control->mutex);
    --*running;
    pthread_mutex_unlock(&control->mutex);
}

static int
do_export(struct connection *connection, struct lsmkv_slice argument)
{
    struct control *control = connection->control;

    if (!begin_read(control, &control->exports, EXPORTS_MAX)) {
        snprintf(connection->text, sizeof(connection->text),
                 "%u others are running, or wait for who reads them", EXPORTS_MAX);
        return -EBUSY;
    }
    int result = control_export(control->vfs, &connection->wire, argument,
                                connection->text, sizeof(connection->text));
    end_read(control, &control->exports);
    return result;
}

static int
do_check(struct connection *connection, bool snapshots)
{
    struct control *control = connection->control;

    if (!begin_read(control, &control->checks, CHECKS_MAX)) {
        snprintf(connection->text, sizeof(connection->text), "another check is running");
        return -EBUSY;
    }
    int result = control_check(control->vfs, &connection->wire, snapshots);
    end_read(control, &control->checks);
    return result;
}

static int
do_repair(struct connection *connection)
{
    struct control *control = connection->control;

    if (!begin_read(control, &control->repairs, CHECKS_MAX)) {
        snprintf(connection->text, sizeof(connection->text), "another repair is running");
        return -EBUSY;
    }
    int result = control_repair(control->vfs, &connection->wire, connection->text,
                                sizeof(connection->text));
    end_read(control, &control->repairs);
    return result;
}

static void
set_waiting(struct connection *connection, bool waiting)
{
    pthread_mutex_lock(&connection->control->mutex);
    connection->waiting = waiting;
    pthread_mutex_unlock(&connection->control->mutex);
}

/* While the session is mounted elsewhere, too, its end is not to be waited for. */
static int
check_elsewhere(struct connection *connection, const char *device)
{
    struct mountinfo info;
    int result = mountinfo_find_device(device, connection->control->source->store, &info);

    if (result != 0)
        return result == -ENOENT ? 0 : result;
    snprintf(connection->text, sizeof(connection->text),
             "unmounted here, but still mounted at %s", info.point);
    return -EBUSY;
}

static int
do_umount(struct connection *connection)
{
    const char *point = connection->control->source->mountpoint;
    struct mountinfo info;
    int result = mountinfo_find(0, point, &info);

    if (result != 0)
        return result == -ENOENT ? -EINVAL : result;
    /* Set first: the end of the session may overtake this thread. */
    set_waiting(connection, true);
    result = mountinfo_unmount(point, false);
    if (result == 0)
        result = check_elsewhere(connection, info.device);
    else
        snprintf(connection->text, sizeof(connection->text), "%s", mountinfo_why(result));
    if (result != 0)
        set_waiting(connection, false);
    return result;
}

static int
nothing(void *context, struct store *store)
{
    (void)context, (void)store;
    return 0;
}

/* What takes long.  False: it is another command. */
static bool
do_long(struct connection *connection, const char *name, struct lsmkv_slice key,
        int *result)
{
    bool compact = strcmp(name, "compact") == 0, export = strcmp(name, "export") == 0;
    bool check = strcmp(name, "check") == 0, all = strcmp(name, "check-snapshots") == 0;
    bool repair = strcmp(name, "repair") == 0, back = strcmp(name, "rollback") == 0;
    bool force = strcmp(name, "rollback-force") == 0;

    if (!compact && !export && !check && !all && !repair && !back && !force)
        return false;
    if (!connection->has_thread) { /* C2 */
        snprintf(connection->text, sizeof(connection->text),
                 "its daemon has no memory for a thread");
        *result = -EAGAIN;
    } else if (compact || repair) {
        *result = compact ? do_compact(connection) : do_repair(connection);
    } else if (back || force) {
        *result = do_rollback(connection, key, force);
    } else {
        *result = export ? do_export(connection, key) : do_check(connection, all);
    }
    return true;
}

/* What looks at contents as they are now sees those that only the kernel has, too. */
static int
write_back_before(const struct connection *connection, const char *name)
{
    static const char *const looks[] = {
        "sync", "snapshot-create", "get", "put", "export", "diff", "ls-l"};

    if (connection->control->source->writeback && connection->has_thread) /* C2 */
        for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
            if (strcmp(name, looks[i]) == 0)
                return vfs_write_back(connection->control->vfs);
    return 0;
}

static int
do_command(struct connection *connection, const char *name, struct lsmkv_slice key)
{
    struct vfs *vfs = connection->control->vfs;
    int result;

    result = write_back_before(connection, name);
    if (result != 0)
        return result;
    if (do_long(connection, name, key, &result))
        return result;
    if (strcmp(name, "sync") == 0)
        return vfs_sync(vfs);
    if (strcmp(name, "umount") == 0)
        return do_umount(connection);
    if (strcmp(name, "changed") == 0)
        return vfs_alter(vfs, key, nothing, NULL);
    if (strcmp(name, "status") == 0 || is_stats(name) ||
        strncmp(name, "snapshot", strlen("snapshot")) == 0)
        return do_print(connection, name, key);
    return control_files(vfs, connection->control->directory, &connection->wire, name,
                         key);
}

/* ---- connections ---- */

/* Splits a request into its words; -EPROTO, -EPROTONOSUPPORT. */
static int
parse_request(char *line, char **name, struct lsmkv_slice *argument)
{
    char *rest = line, *magic = strsep(&rest, " "), *version = strsep(&rest, " ");
    size_t size = 0;

    if (strcmp(magic, "lsmfs") != 0 || version == NULL || rest == NULL)
        return -EPROTO;
    if (strtol(version, NULL, 10) != WIRE_VERSION)
        return -EPROTONOSUPPORT;
    *name = strsep(&rest, " ");
    if (rest != NULL && wire_decode(rest, &size) != 0)
        return -EPROTO;
    if (size > LSMKV_KEY_MAX)
        return -E2BIG;
    *argument = lsmkv_bytes(rest, size);
    return 0;
}

static void
reply(struct connection *connection, int result)
{
    struct wire *wire = &connection->wire;

    if (result == 0)
        wire_say(wire, "ok\n");
    else if (connection->text[0] != '\0')
        wire_say(wire, "error %d %s\n", -result, connection->text);
    else if (result == -EPROTONOSUPPORT)
        wire_say(wire, "error %d this daemon speaks version %d\n", -result, WIRE_VERSION);
    else
        wire_say(wire, "error %d %s\n", -result, strerror(-result));
}

static void
answer(struct connection *connection)
{
    struct lsmkv_slice argument;
    char *line = wire_line(&connection->wire), *copy, *name;

    if (line == NULL)
        return;
    /* The buffer is needed again for what follows the line. */
    copy = strdup(line);
    int result = copy == NULL ? -ENOMEM : parse_request(copy, &name, &argument);
    if (result == 0)
        result = do_command(connection, name, argument);
    free(copy);
    if (!connection->waiting)
        reply(connection, result);
}

static void *
connection_main(void *argument)
{
    struct connection *connection = argument;

    answer(connection);
    if (!connection->waiting)
        shutdown(connection->wire.fd, SHUT_RDWR);
    atomic_store(&connection->done, true);
    return NULL;
}

/* With the mutex held, or alone; NULL: no memory. */
static struct connection *
connection_new(struct control *control, int fd)
{
    struct connection *connection = malloc(sizeof(*connection));

    if (connection == NULL) {
        connection = control->spare;
        control->spare = NULL;
    }
    if (connection == NULL)
        return NULL;
    connection->control = control;
    connection->waiting = connection->deciding = false;
    connection->text[0] = '\0';
    atomic_init(&connection->done, false);
    wire_init(&connection->wire, fd);
    return connection;
}

static void
connection_free(struct connection *connection)
{
    struct control *control = connection->control;

    wire_fini(&connection->wire);
    if (control->spare == NULL)
        control->spare = connection;
    else
        free(connection);
}

static void
connection_join(struct connection *connection)
{
    if (connection->has_thread)
        pthread_join(connection->thread, NULL);
}

/* Frees the connections that are done. */
static void
reap(struct control *control)
{
    struct connection **at = &control->connections, *connection;

    while ((connection = *at) != NULL) {
        if (!atomic_load(&connection->done) || connection->waiting) {
            at = &connection->next;
            continue;
        }
        *at = connection->next;
        control->count--;
        connection_join(connection);
        connection_free(connection);
    }
}

/* The thread that accepts does not wait long for one client, while another may be there that is to
 * unmount. */
static void
limit_waiting(const struct connection *connection)
{
    const struct timeval limit = {CLIENT_SECONDS, 0};
    const int fd = connection->wire.fd;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
        log_say(LSMKV_LOG_WARNING, "cannot limit the waiting for a command: %s",
                strerror(errno));
}

static void
begin_connection(struct control *control, int fd)
{
    struct connection *connection = NULL;
    bool has_thread;

    pthread_mutex_lock(&control->mutex);
    reap(control);
    if (!control->stopping && control->count < CONNECTIONS_MAX)
        connection = connection_new(control, fd);
    if (connection == NULL) {
        pthread_mutex_unlock(&control->mutex);
        close(fd);
        return;
    }
    connection->has_thread = true;
    has_thread =
        pthread_create(&connection->thread, NULL, connection_main, connection) == 0;
    if (!has_thread)
        connection->has_thread = false;
    connection->next = control->connections;
    control->connections = connection;
    control->count++;
    pthread_mutex_unlock(&control->mutex);
    if (!has_thread) {
        limit_waiting(connection);
        connection_main(connection);
    }
}

static bool
is_stopping(struct control *control)
{
    pthread_mutex_lock(&control->mutex);
    bool stopping = control->stopping;
    pthread_mutex_unlock(&control->mutex);
    return stopping;
}

/* Without a descriptor to give, accept says so even of a socket that has been shut down. */
static void *
accept_main(void *argument)
{
    const struct timespec pause = {0, ACCEPT_PAUSE_NS};
    struct control *control = argument;

    while (!is_stopping(control)) {
        int fd = accept4(control->socket, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            begin_connection(control, fd);
        else if (errno != EINTR && errno != ECONNABORTED)
            nanosleep(&pause, NULL); /* descriptors or memory, which come back */
    }
    return NULL;
}

/* ---- from outside ---- */

int
control_start(struct vfs *vfs, const struct stats_source *source, struct control **out)
{
    struct control *control = calloc(1, sizeof(*control));

    if (control == NULL)
        return -ENOMEM;
    control->vfs = vfs;
    control->source = source;
    pthread_mutex_init(&control->mutex, NULL);
    control->spare = malloc(sizeof(*control->spare));
    int result = control->spare != NULL ? 0 : -ENOMEM;
    if (result != 0)
        goto free_control;
    control->directory = result = wire_directory(source->store);
    if (result < 0)
        goto free_control;
    result = wire_listen(control->directory, &control->socket);
    if (result != 0)
        goto close_directory;
    result = -pthread_create(&control->thread, NULL, accept_main, control);
    if (result != 0)
        goto unlisten;
    *out = control;
    return 0;

unlisten:
    wire_unlisten(control->directory);
    close(control->socket);
close_directory:
    close(control->directory);
free_control:
    free(control->spare);
    free(control);
    return result;
}

void
control_stop(struct control *control)
{
    struct connection *connection;

    wire_unlisten(control->directory);
    pthread_mutex_lock(&control->mutex);
    control->stopping = true;
    for (connection = control->connections; connection != NULL;
         connection = connection->next)
        if (!connection->waiting && !connection->deciding)
            shutdown(connection->wire.fd, SHUT_RDWR);
    pthread_mutex_unlock(&control->mutex);
    shutdown(control->socket, SHUT_RDWR);
    pthread_join(control->thread, NULL);
    close(control->socket);
    /* Nobody else changes the list any more. */
    for (connection = control->connections; connection != NULL;
         connection = connection->next)
        connection_join(connection);
}

void
control_finish(struct control *control, int result)
{
    struct connection *connection;

    if (control == NULL)
        return;
    while ((connection = control->connections) != NULL) {
        control->connections = connection->next;
        if (connection->waiting)
            reply(connection, result);
        connection_free(connection);
    }
    pthread_mutex_destroy(&control->mutex);
    close(control->directory);
    free(control->spare);
    free(control);
}
