/*
 * loop.c - the threads that answer the kernel's requests.
 *
 * One thread leads: it alone reads requests, and it answers what memory can answer itself, since
 * waking another thread costs more than most answers do.  Before a request that may wait for the
 * disk or that copies much, it hands the lead over to a thread that waits for it; or within one
 * that turns out to be so (loop_step_aside: a rename of a directory, a long listing).  So a stream of
 * small requests is served by one warm thread, and a slow fsync holds up nobody; several of them
 * at once share the engine's group commit.
 *
 * While requests come quickly the leading thread looks for the next a little while before it
 * sleeps: see linger.h.
 *
 * Over io_uring (ring.h) there is nothing to hand over: each entry has a thread of its own.  What
 * the kernel sends through /dev/fuse all the same is read as before.
 *
 * L1  At most one thread reads, under `lead`; no other lock is held meanwhile.
 * L2  A request that has been read is answered, whatever happens to the session.
 * L3  Reading takes no memory that may be missing: each thread's buffer is there before the first
 *     request is answered.
 */
#include "daemon/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/linger.h"
#include "daemon/ring.h"
#include "vfs/newer.h"
#include "vfs/requests.h"

#define SMALL        (16u << 10) /* bytes that are copied without handing the lead over */
#define WAKE         SIGUSR1
#define WAKE_EVERY   10000000 /* nanoseconds between tries to wake the reader */
#define FAILED_PAUSE 10000000 /* nanoseconds before another try to read */
#define ENDED_MS     100      /* until it is seen that a connection has ended */

struct loop {
    struct fuse_session *session;
    struct requests *requests;
    struct loop_work work;
    int ended_fd;
    unsigned count; /* of `threads`, those that were started: of rings first */
    pthread_t *threads;
    struct rings *rings;   /* NULL: all comes through /dev/fuse */
    bool prepared;         /* these were, when INIT was answered */
    atomic_uint next_ring; /* each thread takes one */
    pthread_mutex_t gate;  /* guards the next three */
    pthread_cond_t moved;  /* one of them changed */
    unsigned begun;        /* of the rings' threads, that have done ring_begin */
    int failed;            /* what it said to one of them */
    enum { GATE_SHUT, GATE_OPEN, GATE_CLOSED } state; /* go on, or leave */
    struct fuse_buf buffers[LOOP_THREADS];            /* each its thread's */
    atomic_uint next_buffer;
    atomic_uint running;
    atomic_bool lost;  /* an entry of the rings is */
    atomic_uint aside; /* requests being answered without the lead */
    pthread_mutex_t lead;
    struct linger linger; /* under lead */
};

/* ---- which requests are handed over ---- */

/* Those that wait for the disk whatever the mount's options are, or that may be long. */
static bool
is_slow(uint32_t opcode)
{
    switch (opcode) {
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
    case FUSE_SYNCFS:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
    case FUSE_STATFS:
    case FUSE_MKDIR: /* in .snapshots it takes a snapshot, which is durable */
    case FUSE_RMDIR:
        return true;
    default:
        return false;
    }
}

/* Those that write something. */
static bool
is_change(uint32_t opcode)
{
    switch (opcode) {
    case FUSE_SETATTR:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_UNLINK:
    case FUSE_LINK:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_WRITE:
    case FUSE_SETXATTR:
    case FUSE_REMOVEXATTR:
    case FUSE_CREATE:
    case NEWER_TMPFILE:
        return true;
    default:
        return false;
    }
}

/* As the kernel has it; 0: left in a pipe. */
static uint32_t
opcode_of(const struct fuse_buf *buffer)
{
    struct fuse_in_header header;

    if ((buffer->flags & FUSE_BUF_IS_FD) != 0 || buffer->size < sizeof(header))
        return 0;
    memcpy(&header, buffer->mem, sizeof(header));
    return header.opcode;
}

static bool
may_wait(const struct loop *loop, const struct fuse_buf *buffer, uint32_t opcode)
{
    const size_t header = sizeof(struct fuse_in_header);
    struct fuse_read_in read_in;
    struct fuse_write_in write_in;

    /* Left in a pipe: contents to be written, and many. */
    if (opcode == 0 || is_slow(opcode) || buffer->size > SMALL)
        return true;
    if (opcode == FUSE_READ && buffer->size >= header + sizeof(read_in)) {
        memcpy(&read_in, (const char *)buffer->mem + header, sizeof(read_in));
        return read_in.size > SMALL;
    }
    if (opcode == FUSE_WRITE && buffer->size >= header + sizeof(write_in)) {
        memcpy(&write_in, (const char *)buffer->mem + header, sizeof(write_in));
        if (write_in.flags & (O_SYNC | O_DSYNC))
            return true;
    }
    return is_change(opcode) && loop->work.changes_wait(loop->work.context);
}

/* ---- the threads ---- */

/* Looks for the next request for a while without sleeping, and between two looks lets others have
 * the processor, such as a caller on the same one.  Not while a request is being answered aside:
 * whoever sends one after the other waits for that. */
static void
look(struct loop *loop)
{
    struct pollfd fd = {.fd = fuse_session_fd(loop->session), .events = POLLIN};
    uint64_t begin, now, before;

    if (!linger_wanted(&loop->linger) ||
        atomic_load_explicit(&loop->aside, memory_order_relaxed) > 0 ||
        poll(&fd, 1, 0) != 0)
        return;
    begin = now = requests_now();
    do {
        before = now;
        sched_yield();
        now = requests_now();
        if (now - before > LINGER_AWAY) {
            linger_away(&loop->linger, now - before);
            return;
        }
        if (poll(&fd, 1, 0) != 0) {
            linger_gained(&loop->linger);
            return;
        }
    } while (now - begin < LINGER);
    linger_missed(&loop->linger);
}

/* Reads the next request; false: there will be none.  -EINTR comes from WAKE, -ENOENT from a
 * request that was interrupted before it was read.  After any other error but the end of the
 * connection reading goes on: the kernel has answered what it could not hand over, and without a
 * reader all that wait for an answer would wait for ever. */
static bool
receive(struct loop *loop, struct fuse_buf *buffer)
{
    const struct timespec pause = {.tv_nsec = FAILED_PAUSE};
    int failed = 0;

    look(loop);
    while (!fuse_session_exited(loop->session)) {
        int size = fuse_session_receive_buf(loop->session, buffer);
        if (size > 0)
            return true;
        if (size == 0 || size == -ENODEV) {
            fuse_session_exit(loop->session);
        } else if (size != -EINTR && size != -EAGAIN && size != -ENOENT) {
            if (size != failed)
                log_say(LSMKV_LOG_ERROR, "cannot read a request of the kernel: %s",
                        strerror(-size));
            failed = size;
            nanosleep(&pause, NULL);
        }
    }
    return false;
}

static void
raise_end(const struct loop *loop)
{
    uint64_t one = 1;

    if (write(loop->ended_fd, &one, sizeof(one)) != sizeof(one))
        log_say(LSMKV_LOG_ERROR, "cannot announce the end of the loop: %s",
                strerror(errno));
}

static void
announce_end(struct loop *loop)
{
    if (atomic_fetch_sub(&loop->running, 1) == 1)
        raise_end(loop);
}

static _Thread_local struct loop *led; /* by this thread, at a request */

void
loop_step_aside(void)
{
    struct loop *loop = led;

    led = NULL;
    if (loop == NULL)
        return;
    atomic_fetch_add_explicit(&loop->aside, 1, memory_order_relaxed);
    pthread_mutex_unlock(&loop->lead);
}

static void *
reader_main(void *argument)
{
    struct loop *loop = argument;
    unsigned number = atomic_fetch_add(&loop->next_buffer, 1);
    struct fuse_buf *buffer = &loop->buffers[number];

    pthread_mutex_lock(&loop->lead);
    while (receive(loop, buffer)) {
        uint64_t began = requests_now(), ended;
        uint32_t opcode = opcode_of(buffer);

        linger_arrived(&loop->linger, began);
        if ((buffer->flags & FUSE_BUF_IS_FD) == 0)
            newer_translate(buffer->mem, buffer->size);
        led = loop;
        if (may_wait(loop, buffer, opcode))
            loop_step_aside();
        fuse_session_process_buf(loop->session, buffer);
        ended = requests_count(loop->requests, number, opcode, began);
        if (led == NULL) {
            atomic_fetch_sub_explicit(&loop->aside, 1, memory_order_relaxed);
            pthread_mutex_lock(&loop->lead);
        }
        linger_answered(&loop->linger, ended);
    }
    led = NULL;
    pthread_mutex_unlock(&loop->lead);
    announce_end(loop);
    return NULL;
}

/* ---- the rings' threads ---- */

/* Waits until it is known whether requests come through the rings. */
static bool
pass_gate(struct loop *loop, int result)
{
    bool open;

    pthread_mutex_lock(&loop->gate);
    loop->begun++;
    if (result != 0)
        loop->failed = result;
    pthread_cond_broadcast(&loop->moved);
    while (loop->state == GATE_SHUT)
        pthread_cond_wait(&loop->moved, &loop->gate);
    open = loop->state == GATE_OPEN;
    pthread_mutex_unlock(&loop->gate);
    return open && result == 0;
}

static void
move_gate(struct loop *loop, bool open)
{
    pthread_mutex_lock(&loop->gate);
    loop->state = open ? GATE_OPEN : GATE_CLOSED;
    pthread_cond_broadcast(&loop->moved);
    pthread_mutex_unlock(&loop->gate);
}

/* An entry is lost.  Unless the connection has ended, which its descriptor tells a moment later,
 * some requests may be taken by nobody (G1): so all ends. */
static void
lose(struct loop *loop, int result)
{
    struct pollfd fd = {.fd = fuse_session_fd(loop->session)};

    /* A signal comes when all ends, too. */
    if (poll(&fd, 1, ENDED_MS) != 0 || atomic_exchange(&loop->lost, true))
        return;
    log_say(LSMKV_LOG_ERROR, "cannot take requests over io_uring: %s", strerror(-result));
    loop->work.lost(loop->work.context);
    raise_end(loop);
}

static void *
ring_main(void *argument)
{
    struct loop *loop = argument;
    const unsigned number = atomic_fetch_add(&loop->next_ring, 1);
    struct ring *ring = rings_at(loop->rings, number);
    struct fuse_buf request;
    int result = ring_begin(ring, fuse_session_fd(loop->session));

    if (!pass_gate(loop, result))
        return NULL;
    while (!fuse_session_exited(loop->session)) {
        result = ring_next(ring, &request);
        if (result == 0) {
            uint64_t began = requests_now();
            uint32_t opcode = opcode_of(&request);

            newer_translate(request.mem, request.size);
            fuse_session_process_buf(loop->session, &request);
            requests_count(loop->requests, LOOP_THREADS + number, opcode, began);
        } else if (result != -EINTR && result != -EPROTO) {
            break;
        }
    }
    ring_end(ring);
    if (!fuse_session_exited(loop->session))
        lose(loop, result);
    return NULL;
}

/* A thread for each ring; not 0: why not all are there. */
static int
start_rings(struct loop *loop)
{
    const unsigned wanted = rings_count(loop->rings);
    int result = 0;

    while (loop->count < wanted && result == 0) {
        result = -pthread_create(&loop->threads[loop->count], NULL, ring_main, loop);
        loop->count += result == 0;
    }
    pthread_mutex_lock(&loop->gate);
    while (loop->begun < loop->count)
        pthread_cond_wait(&loop->moved, &loop->gate);
    if (result == 0)
        result = loop->failed;
    pthread_mutex_unlock(&loop->gate);
    return result;
}

/* Before the reply to `init`, which says then whether requests come through the rings. */
static void
prepare_rings(struct loop *loop, const struct fuse_buf *init)
{
    int result;

    if (!rings_offered(init->mem, init->size)) {
        log_say(
            LSMKV_LOG_WARNING,
            "the kernel does not offer FUSE over io_uring (Linux 6.18 and later do, after "
            "`echo Y >" RINGS_SWITCH "`): requests go through /dev/fuse");
        return;
    }
    result = start_rings(loop);
    loop->prepared = result == 0;
    if (result == 0)
        rings_ready(loop->rings);
    else
        log_say(LSMKV_LOG_WARNING,
                "no FUSE over io_uring: %s; requests go through /dev/fuse",
                strerror(-result));
}

/* INIT has been answered: the threads go on, or end, and all that they have is given back. */
static void
settle_rings(struct loop *loop, bool answered)
{
    const bool open = answered && rings_accepted(loop->rings);

    if (answered && loop->prepared && !open)
        log_say(LSMKV_LOG_WARNING,
                "no FUSE over io_uring: the kernel's offer could not be accepted; "
                "requests go through /dev/fuse");
    move_gate(loop, open);
    if (loop->rings == NULL || open)
        return;
    while (loop->count > 0)
        pthread_join(loop->threads[--loop->count], NULL);
    rings_shut(loop->rings);
}

/* ---- starting ---- */

static void
ignore_signal(int signal)
{
    (void)signal;
}

/* Without SA_RESTART: WAKE is there to end a read. */
static int
prepare_wake(void)
{
    struct sigaction action = {.sa_handler = ignore_signal};

    sigemptyset(&action.sa_mask);
    return sigaction(WAKE, &action, NULL) == 0 ? 0 : -errno;
}

/* ---- the first request ---- */

/* libfuse makes a buffer, of a size that it alone knows, where it first reads into it: after the
 * request, if that went to a pipe.  Without memory it is lost then, and who sent it waits for
 * ever.  Before INIT has been answered there is no other request, and no pipe. */
static int
make_buffers(struct loop *loop)
{
    int fd = fuse_session_fd(loop->session), flags = fcntl(fd, F_GETFL), result = -EAGAIN;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -errno;
    for (unsigned i = 1; i < LOOP_THREADS && result == -EAGAIN; i++)
        result = fuse_session_receive_buf(loop->session, &loop->buffers[i]);
    if (fcntl(fd, F_SETFL, flags) != 0)
        return -errno;
    return result == -ENOMEM ? result : 0; /* what else there is, the threads will see */
}

/* INIT is answered here.  Nothing else is to be read if the session has ended already. */
static int
answer_init(struct loop *loop)
{
    struct fuse_buf *buffer = &loop->buffers[0];
    int size, result;

    do {
        size = fuse_session_receive_buf(loop->session, buffer);
    } while (size == -EINTR);
    if (size <= 0)
        return size == -ENOMEM ? size : 0;
    result = make_buffers(loop);
    if (result == 0) {
        if (loop->rings != NULL)
            prepare_rings(loop, buffer);
        fuse_session_process_buf(loop->session, buffer);
    }
    return result;
}

/* ---- from outside ---- */

int
loop_start(struct fuse_session *session, struct requests *requests, struct rings *rings,
           const struct loop_work *work, struct loop **out)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    unsigned count;
    int result = 0;

    if (loop == NULL)
        return -ENOMEM;
    loop->threads = calloc(LOOP_THREADS + rings_count(rings), sizeof(*loop->threads));
    if (loop->threads == NULL) {
        free(loop);
        return -ENOMEM;
    }
    loop->session = session;
    loop->requests = requests;
    loop->rings = rings;
    loop->work = *work;
    pthread_mutex_init(&loop->lead, NULL);
    pthread_mutex_init(&loop->gate, NULL);
    pthread_cond_init(&loop->moved, NULL);
    loop->ended_fd = eventfd(0, EFD_CLOEXEC);
    if (loop->ended_fd < 0)
        result = -errno;
    if (result == 0)
        result = prepare_wake();
    if (result == 0)
        result = answer_init(loop);
    settle_rings(loop, result == 0);
    /* Counted before they start, so that the first cannot be the last to end. */
    atomic_store(&loop->running, LOOP_THREADS);
    for (count = 0; result == 0 && count < LOOP_THREADS; count++) {
        result = -pthread_create(&loop->threads[loop->count], NULL, reader_main, loop);
        loop->count += result == 0;
    }
    if (result != 0) {
        loop_stop(loop);
        return result;
    }
    *out = loop;
    return 0;
}

int
loop_ended_fd(const struct loop *loop)
{
    return loop->ended_fd;
}

/* A little later, as pthread_timedjoin_np takes it. */
static struct timespec
soon(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += WAKE_EVERY;
    if (time.tv_nsec >= 1000000000) {
        time.tv_nsec -= 1000000000;
        time.tv_sec++;
    }
    return time;
}

void
loop_stop(struct loop *loop)
{
    fuse_session_exit(loop->session);
    for (unsigned i = 0; i < loop->count; i++) {
        struct timespec until;
        /* All that are left, for any may be the one that reads, and the others wait for it.
         * Again and again: a signal may come just before the read that it is to end. */
        do {
            for (unsigned j = i; j < loop->count; j++)
                pthread_kill(loop->threads[j], WAKE);
            until = soon();
        } while (pthread_timedjoin_np(loop->threads[i], NULL, &until) == ETIMEDOUT);
    }
    if (loop->ended_fd >= 0)
        close(loop->ended_fd);
    for (unsigned i = 0; i < LOOP_THREADS; i++)
        free(loop->buffers[i].mem);
    pthread_mutex_destroy(&loop->lead);
    pthread_mutex_destroy(&loop->gate);
    pthread_cond_destroy(&loop->moved);
    free(loop->threads);
    free(loop);
}
