/*
 * engine_bare.c - no engine: what the disk allows.  Synced puts are appended to a file of zeros,
 * so that a sync has no size and no allocation to write; who comes while a sync is going on
 * waits, and all who waited go with the next write and sync.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"

/* Zeros are written in pieces: one write of megabytes makes large folios of the page cache, and
 * a sync of a page in one costs ten microseconds more. */
enum { FILE_SIZE = 64 << 20, GROUP_MAX = 4 << 20, ZEROS_SIZE = 64 << 10 };

struct group {
    char *bytes;
    size_t size;
};

struct bare_store {
    int fd;
    bool synced;
    off_t position; /* of the writer */

    pthread_mutex_t mutex;
    pthread_cond_t done;
    /* Guarded by mutex. */
    struct group groups[2]; /* one fills while the other is written */
    uint64_t filling;       /* number of the group that fills */
    uint64_t written;       /* groups that are durable */
    bool writing;
};

static const char *
build(void)
{
    return "pwrite and fdatasync";
}

static void
write_all(int fd, const void *data, size_t size, off_t at)
{
    if (pwrite(fd, data, size, at) != (ssize_t)size)
        die("bare: write: %s", strerror(errno));
}

static void
sync_file(int fd)
{
    if (fdatasync(fd) != 0)
        die("bare: sync: %s", strerror(errno));
}

static void *
store_open(const struct engine_options *wanted)
{
    struct bare_store *store = need(sizeof(*store));
    char path[4096], *zeros = need(ZEROS_SIZE);

    memset(store, 0, sizeof(*store));
    memset(zeros, 0, ZEROS_SIZE);
    snprintf(path, sizeof(path), "%s/log", wanted->path);
    store->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (store->fd < 0)
        die("bare: %s: %s", path, strerror(errno));
    for (off_t at = 0; at < FILE_SIZE; at += ZEROS_SIZE)
        write_all(store->fd, zeros, ZEROS_SIZE, at);
    sync_file(store->fd);
    free(zeros);
    store->synced = wanted->synced;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->done, NULL);
    for (int i = 0; i < 2; i++)
        store->groups[i].bytes = need(GROUP_MAX);
    return store;
}

static void
store_close(void *store)
{
    struct bare_store *own = store;

    close(own->fd);
    for (int i = 0; i < 2; i++)
        free(own->groups[i].bytes);
    pthread_cond_destroy(&own->done);
    pthread_mutex_destroy(&own->mutex);
    free(own);
}

static void
add(struct group *group, struct bytes bytes)
{
    if (bytes.size > GROUP_MAX - group->size)
        die("bare: a group is too large");
    memcpy(group->bytes + group->size, bytes.data, bytes.size);
    group->size += bytes.size;
}

/* Writes the group that fills; the mutex is held, and let go meanwhile. */
static void
write_group(struct bare_store *store)
{
    struct group *group = &store->groups[store->filling % 2];

    store->writing = true;
    store->filling++;
    pthread_mutex_unlock(&store->mutex);
    if (store->position + (off_t)group->size > FILE_SIZE)
        store->position = 0;
    write_all(store->fd, group->bytes, group->size, store->position);
    if (store->synced)
        sync_file(store->fd);
    store->position += (off_t)group->size;
    group->size = 0;
    pthread_mutex_lock(&store->mutex);
    store->writing = false;
    store->written++;
    pthread_cond_broadcast(&store->done);
}

static void
put(void *session, struct bytes key, struct bytes payload)
{
    struct bare_store *store = session;
    uint64_t own;

    pthread_mutex_lock(&store->mutex);
    own = store->filling;
    add(&store->groups[own % 2], key);
    add(&store->groups[own % 2], payload);
    while (store->written <= own) {
        if (store->writing)
            pthread_cond_wait(&store->done, &store->mutex);
        else
            write_group(store);
    }
    pthread_mutex_unlock(&store->mutex);
}

const struct engine engine_bare = {
    .name = "bare",
    .durability = "synced: fdatasync of a file of zeros; the limit, no engine",
    .puts_only = true,
    .build = build,
    .open = store_open,
    .close = store_close,
    .put = put,
};
