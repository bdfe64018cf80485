/*
 * notify.c - see notify.h.
 */
#include "vfs/notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PICK          VFS_PRUNE_MAX
#define PAUSE_NS      1000000 /* between two picks: forgetting takes the kernel a while */
#define PAUSE_MAX_NS  NS_PER_SECOND /* where nothing is forgotten */
#define NS_PER_SECOND 1000000000

struct notice {
    struct notice *next;
    struct node *node;
    notices_work *work; /* or NULL, and a name, which may be empty */
    void *context;
    size_t size;
    char name[256];
};

struct notices {
    struct nodes *nodes;
    size_t limit;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_cond_t delivered;
    pthread_t thread;
    struct vfs_notify notify; /* constant while the thread runs */
    /* Guarded by the mutex. */
    struct notice *first, **last;
    struct notice *spare;  /* for want of memory; NULL: it is queued, or is told */
    uint64_t queued, done; /* notices so far */
    _Atomic bool running;
    _Atomic bool crowded;
    _Atomic bool prunes; /* the last try did */
    bool stop;
    /* The thread's own: of the pause after a pick, and the nodes that were gone at the
     * last. */
    long pause_ns;
    uint64_t gone;
};

struct notices *
notices_new(struct nodes *nodes, size_t limit)
{
    struct notices *notices = calloc(1, sizeof(*notices));

    if (!notices)
        return NULL;
    notices->spare = malloc(sizeof(*notices->spare));
    if (!notices->spare) {
        free(notices);
        return NULL;
    }
    notices->nodes = nodes;
    notices->limit = limit;
    notices->last = &notices->first;
    pthread_mutex_init(&notices->mutex, NULL);
    pthread_cond_init(&notices->wake, NULL);
    pthread_cond_init(&notices->delivered, NULL);
    return notices;
}

void
notices_free(struct notices *notices)
{
    if (!notices)
        return;
    pthread_cond_destroy(&notices->wake);
    pthread_cond_destroy(&notices->delivered);
    pthread_mutex_destroy(&notices->mutex);
    free(notices->spare);
    free(notices);
}

static struct notice *
take_spare(struct notices *notices)
{
    pthread_mutex_lock(&notices->mutex);
    struct notice *spare = notices->spare;
    notices->spare = NULL;
    pthread_mutex_unlock(&notices->mutex);
    return spare;
}

static void
drop(struct notices *notices, struct notice *notice)
{
    node_unref(notices->nodes, notice->node, 1);
    pthread_mutex_lock(&notices->mutex);
    if (!notices->spare) {
        notices->spare = notice;
        notice = NULL;
    }
    pthread_mutex_unlock(&notices->mutex);
    free(notice);
}

static void
deliver(struct notices *notices, struct notice *notice)
{
    const struct vfs_notify *notify = &notices->notify;

    if (notice->work)
        notice->work(notice->context, notify);
    else
        notify->invalidate(notify->context, notice->node,
                           notice->size ? notice->name : NULL, notice->size);
    drop(notices, notice);
}

/* Asks for a few nodes to be forgotten.  Where none can be, or the kernel forgets none,
 * as when all are directories or mapped, it asks less and less often. */
static void
thin(struct notices *notices)
{
    const struct vfs_notify *notify = &notices->notify;
    struct node_victim victims[PICK];
    struct node *nodes[PICK];
    size_t count = nodes_pick(notices->nodes, victims, PICK);

    for (size_t i = 0; i < count; i++)
        nodes[i] = victims[i].node;
    if (notify->prune && count > 0)
        notices->prunes = notify->prune(notify->context, nodes, count);
    for (size_t i = 0; i < count; i++) {
        if (!notices->prunes)
            notify->invalidate(notify->context, victims[i].parent, victims[i].name,
                               strlen(victims[i].name));
        node_unref(notices->nodes, victims[i].parent, 1);
    }
    if (count > 0 && nodes_gone(notices->nodes) != notices->gone)
        notices->pause_ns = PAUSE_NS;
    else if (notices->pause_ns < PAUSE_MAX_NS / 2)
        notices->pause_ns *= 2;
    else
        notices->pause_ns = PAUSE_MAX_NS;
    notices->gone = nodes_gone(notices->nodes);
}

static void
pause_a_little(struct notices *notices)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += notices->pause_ns;
    until.tv_sec += until.tv_nsec / NS_PER_SECOND;
    until.tv_nsec %= NS_PER_SECOND;
    pthread_cond_timedwait(&notices->wake, &notices->mutex, &until);
}

static void *
run(void *argument)
{
    struct notices *notices = argument;

    pthread_mutex_lock(&notices->mutex);
    while (!notices->stop) {
        struct notice *notice = notices->first;

        if (notice) {
            notices->first = notice->next;
            if (!notices->first)
                notices->last = &notices->first;
            pthread_mutex_unlock(&notices->mutex);
            deliver(notices, notice);
            pthread_mutex_lock(&notices->mutex);
            notices->done++;
            pthread_cond_broadcast(&notices->delivered);
        } else if (notices->crowded) {
            pthread_mutex_unlock(&notices->mutex);
            thin(notices);
            pthread_mutex_lock(&notices->mutex);
            notices->crowded = nodes_count(notices->nodes) > notices->limit;
            if (notices->crowded && !notices->stop)
                pause_a_little(notices);
        } else {
            pthread_cond_wait(&notices->wake, &notices->mutex);
        }
    }
    pthread_mutex_unlock(&notices->mutex);
    return NULL;
}

int
notices_start(struct notices *notices, const struct vfs_notify *notify)
{
    int result;

    notices->notify = *notify;
    notices->prunes = notify->prune != NULL;
    notices->stop = false;
    notices->pause_ns = PAUSE_NS;
    result = pthread_create(&notices->thread, NULL, run, notices);
    if (result == 0)
        notices->running = true;
    return -result;
}

void
notices_stop(struct notices *notices)
{
    if (!notices->running)
        return;
    pthread_mutex_lock(&notices->mutex);
    notices->running = false;
    notices->stop = true;
    pthread_cond_signal(&notices->wake);
    pthread_cond_broadcast(&notices->delivered);
    pthread_mutex_unlock(&notices->mutex);
    pthread_join(notices->thread, NULL);
    while (notices->first) {
        struct notice *notice = notices->first;

        notices->first = notice->next;
        if (notice->work)
            notice->work(notice->context, NULL);
        drop(notices, notice);
    }
    notices->last = &notices->first;
}

/* -ESHUTDOWN: nobody listens. */
static int
enqueue(struct notices *notices, const struct notice *said)
{
    struct notice *notice = malloc(sizeof(*notice));
    int result = -ESHUTDOWN;

    if (!notice)
        notice = take_spare(notices);
    if (!notice)
        return -ENOMEM;
    *notice = *said;
    node_ref(notices->nodes, notice->node);
    pthread_mutex_lock(&notices->mutex);
    if (notices->running) {
        *notices->last = notice;
        notices->last = &notice->next;
        notices->queued++;
        pthread_cond_signal(&notices->wake);
        result = 0;
    }
    pthread_mutex_unlock(&notices->mutex);
    if (result < 0)
        drop(notices, notice);
    return result;
}

static int
add(struct notices *notices, struct node *node, struct lsmkv_slice name)
{
    struct notice notice = {.node = node, .size = name.size};

    if (!notices->running || name.size >= sizeof(notice.name))
        return 0;
    if (name.size > 0)
        memcpy(notice.name, name.data, name.size);
    return enqueue(notices, &notice);
}

void
notices_add(struct notices *notices, struct node *node, struct lsmkv_slice name)
{
    int result = add(notices, node, name);

    (void)result; /* the kernel goes on believing what it knew */
}

void
notices_tell(struct notices *notices, struct node *node, struct lsmkv_slice name)
{
    while (add(notices, node, name) == -ENOMEM)
        notices_wait(notices); /* then the spare one is there again */
}

int
notices_ask(struct notices *notices, struct node *node, notices_work *work, void *context)
{
    struct notice notice = {.node = node, .work = work, .context = context};

    return notices->running ? enqueue(notices, &notice) : -ESHUTDOWN;
}

void
notices_wait(struct notices *notices)
{
    uint64_t until;

    if (!notices->running)
        return;
    pthread_mutex_lock(&notices->mutex);
    until = notices->queued;
    while (!notices->stop && notices->done < until)
        pthread_cond_wait(&notices->delivered, &notices->mutex);
    pthread_mutex_unlock(&notices->mutex);
}

void
notices_count(struct notices *notices)
{
    if (nodes_count(notices->nodes) <= notices->limit || !notices->running ||
        notices->crowded)
        return;
    pthread_mutex_lock(&notices->mutex);
    notices->crowded = true;
    pthread_cond_signal(&notices->wake);
    pthread_mutex_unlock(&notices->mutex);
}

bool
notices_crowded(const struct notices *notices)
{
    size_t most = notices->limit;

    if (!notices->crowded)
        return false;
    if (notices->prunes)
        most += most / 4;
    return nodes_count(notices->nodes) > most;
}
