/*
 * manager.c - the service manager's socket.
 */
#include "daemon/manager.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define LINE_SIZE    6000u
#define TICK_SECONDS 1
#define EXTENSION    "EXTEND_TIMEOUT_USEC=60000000" /* a minute from the message on */
#define SEND_SECONDS 5    /* a manager that does not read does not stop us */
#define STEP_US      2000 /* processor time of a tick that counts as work */

struct manager {
    int fd;
    pthread_t ticker;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* protected by mutex */
    bool working;
};

/* ---- the socket ---- */

/* A path, or a name in the abstract namespace, which begins with '@'. */
static int
connect_to(const char *name)
{
    const struct timeval limit = {SEND_SECONDS, 0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    int fd;

    if ((name[0] != '/' && name[0] != '@') || length >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

struct manager *
manager_open(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct manager *manager;
    pthread_condattr_t monotonic;

    if (name == NULL || *name == '\0')
        return NULL;
    manager = malloc(sizeof(*manager));
    int fd = manager == NULL ? -ENOMEM : connect_to(name);
    if (fd < 0) {
        log_say(LSMKV_LOG_WARNING, "NOTIFY_SOCKET=%s: %s", name, strerror(-fd));
        free(manager);
        manager = NULL;
    } else {
        manager->fd = fd;
        manager->working = false;
        pthread_mutex_init(&manager->mutex, NULL);
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&manager->changed, &monotonic);
        pthread_condattr_destroy(&monotonic);
    }
    unsetenv("NOTIFY_SOCKET");
    return manager;
}

void
manager_close(struct manager *manager)
{
    if (manager == NULL)
        return;
    manager_end_work(manager);
    close(manager->fd);
    pthread_cond_destroy(&manager->changed);
    pthread_mutex_destroy(&manager->mutex);
    free(manager);
}

static void
say(const struct manager *manager, const char *line)
{
    if (send(manager->fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        log_say(LSMKV_LOG_WARNING, "the service manager cannot be told: %s",
                strerror(errno));
}

/* `state`, and the rest as STATUS, which is one line: a path may hold anything. */
__attribute__((format(printf, 3, 0))) static void
say_status(const struct manager *manager, const char *state, const char *format,
           va_list arguments)
{
    char line[LINE_SIZE];
    size_t begin = (size_t)snprintf(line, sizeof(line), "%s\nSTATUS=", state);

    vsnprintf(line + begin, sizeof(line) - begin, format, arguments);
    for (char *byte = line + begin; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ')
            *byte = '?';
    }
    say(manager, line);
}

void
manager_ready(struct manager *manager, const char *format, ...)
{
    va_list arguments;

    if (manager == NULL)
        return;
    va_start(arguments, format);
    say_status(manager, "READY=1", format, arguments);
    va_end(arguments);
}

void
manager_stopping(struct manager *manager, const char *format, ...)
{
    va_list arguments;

    if (manager == NULL)
        return;
    va_start(arguments, format);
    say_status(manager, "STOPPING=1", format, arguments);
    va_end(arguments);
}

/* ---- long work ---- */

struct effort {
    int64_t us;  /* of processors */
    long blocks; /* read and written */
};

static struct effort
effort_now(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (struct effort){(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) *
                                   INT64_C(1000000) +
                               usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
                           usage.ru_inblock + usage.ru_oublock};
}

static void *
tick(void *context)
{
    struct manager *manager = context;
    struct effort before = effort_now(), now;
    struct timespec next;

    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&manager->mutex);
    while (manager->working) {
        next.tv_sec += TICK_SECONDS;
        while (manager->working &&
               pthread_cond_timedwait(&manager->changed, &manager->mutex, &next) !=
                   ETIMEDOUT)
            ;
        if (!manager->working)
            break;
        pthread_mutex_unlock(&manager->mutex);
        now = effort_now();
        if (now.us - before.us > STEP_US || now.blocks != before.blocks)
            say(manager, EXTENSION);
        before = now;
        pthread_mutex_lock(&manager->mutex);
    }
    pthread_mutex_unlock(&manager->mutex);
    return NULL;
}

void
manager_begin_work(struct manager *manager, const char *format, ...)
{
    va_list arguments;

    if (manager == NULL)
        return;
    va_start(arguments, format);
    say_status(manager, EXTENSION, format, arguments);
    va_end(arguments);
    manager->working = true;
    int error = pthread_create(&manager->ticker, NULL, tick, manager);
    if (error != 0) {
        manager->working = false;
        log_say(LSMKV_LOG_WARNING, "no thread to ask the service manager for time: %s",
                strerror(error));
    }
}

void
manager_end_work(struct manager *manager)
{
    if (manager == NULL || !manager->working)
        return;
    pthread_mutex_lock(&manager->mutex);
    manager->working = false;
    pthread_cond_signal(&manager->changed);
    pthread_mutex_unlock(&manager->mutex);
    pthread_join(manager->ticker, NULL);
}
