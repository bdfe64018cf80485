/*
 * ring.c - see ring.h.
 *
 * The system calls are made here, without liburing: an io_uring of one entry is a few words in
 * shared memory, and liburing has no call that submits and waits without a look at more than that.
 *
 * The memory of an entry:
 *
 *     header page    in and out header | the operation's own arguments | sizes, and the id to commit
 *     a page         of which the end becomes in header and arguments: see assemble
 *     payload        names and contents of a request; then all of a reply behind its header
 */
#include "daemon/ring.h"

#include <errno.h>
#include <linux/fuse.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PROCESSORS  "/sys/devices/system/cpu/possible"
#define PAGE        4096u
#define PAYLOAD     RINGS_PAYLOAD
#define PER_QUEUE   8u       /* entries, */
#define ALL         64u      /* and of all queues, while each has two */
#define QUEUES_MOST 48u      /* so that threads have a slot each in the engine */
#define RING_MEMORY PAGE     /* of each part that is mapped */
#define PAUSE       10000000 /* nanoseconds until memory may be found */
#define TRIES       100      /* with a pause each */
#define FORGETS     45u      /* minor version of the protocol: FUSE_NOTIFY_PRUNE */

/* ---- the kernel's interface, which Debian 12's headers end before ---- */

#define OVER_IO_URING (UINT64_C(1) << 41) /* of INIT's flags */

enum { REGISTER = 1, COMMIT_AND_FETCH = 2 };

struct command {
    uint64_t flags;
    uint64_t commit_id;
    uint16_t queue;
    uint8_t padding[6];
};

struct entry {
    union {
        struct fuse_in_header in;
        struct fuse_out_header out;
        char room[128];
    } header;
    char arguments[128];
    struct {
        uint64_t flags;
        uint64_t commit_id;
        uint32_t payload_size;
        uint32_t padding;
        uint64_t reserved;
    } sizes;
};

_Static_assert(sizeof(struct entry) == 288, "what the kernel expects");

/* ---- one io_uring of one entry ---- */

struct ring {
    int fd;
    uint16_t queue;
    bool begun;
    unsigned to_submit;

    /* The request that is to be answered. */
    atomic_uint_fast64_t unique; /* 0: there is none */
    uint64_t commit_id;
    struct rings *all;
    bool waits;           /* it counts among those */
    pthread_mutex_t lock; /* for replies of other threads */
    pthread_cond_t told;
    atomic_bool replied;

    /* Shared with the kernel. */
    char *submissions, *completions; /* RING_MEMORY each */
    char *sqe;                       /* 128 bytes */
    struct io_uring_params params;

    struct entry *entry;
    char *payload;
    size_t used;            /* bytes of it, since some were given back */
    struct iovec memory[2]; /* these two */
};

struct queue {
    atomic_uint left;    /* entries that are not lost */
    atomic_uint waiting; /* entries whose requests others will answer */
};

struct rings {
    unsigned queues, per_queue;
    bool ready, accepted;
    struct queue *of; /* each queue */
    struct ring *all; /* those of a queue together */
};

/* The request that this thread is at. */
static _Thread_local struct ring *current;

static void *
map(int fd, size_t size, off_t at)
{
    int flags =
        fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED | MAP_POPULATE;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, at);

    return memory == MAP_FAILED ? NULL : memory;
}

/* What cannot fail. */
static void
prepare_ring(struct rings *rings, unsigned index)
{
    struct ring *ring = &rings->all[index];

    ring->fd = -1;
    ring->queue = (uint16_t)(index / rings->per_queue);
    ring->all = rings;
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->told, NULL);
}

static int
make(struct ring *ring)
{
    struct io_uring_params *params = &ring->params;

    params->flags = IORING_SETUP_SQE128 | IORING_SETUP_R_DISABLED |
                    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    ring->fd = (int)syscall(SYS_io_uring_setup, 1u, params);
    if (ring->fd < 0)
        return -errno;
    ring->submissions = map(ring->fd, RING_MEMORY, IORING_OFF_SQ_RING);
    ring->completions = map(ring->fd, RING_MEMORY, IORING_OFF_CQ_RING);
    ring->sqe = map(ring->fd, RING_MEMORY, IORING_OFF_SQES);
    ring->entry = map(-1, 2 * PAGE + PAYLOAD, 0);
    if (ring->submissions == NULL || ring->completions == NULL || ring->sqe == NULL ||
        ring->entry == NULL)
        return -ENOMEM;
    ring->payload = (char *)ring->entry + 2 * PAGE;
    ring->memory[0] = (struct iovec){ring->entry, sizeof(*ring->entry)};
    ring->memory[1] = (struct iovec){ring->payload, PAYLOAD};
    return 0;
}

static void
unmap(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}

static void
destroy(struct ring *ring)
{
    unmap(ring->submissions, RING_MEMORY);
    unmap(ring->completions, RING_MEMORY);
    unmap(ring->sqe, RING_MEMORY);
    if (ring->fd >= 0)
        close(ring->fd);
    /* Last: until then the kernel may write into it. */
    unmap(ring->entry, 2 * PAGE + PAYLOAD);
    pthread_mutex_destroy(&ring->lock);
    pthread_cond_destroy(&ring->told);
}

static atomic_uint *
word(char *shared, uint32_t offset)
{
    return (atomic_uint *)(void *)(shared + offset);
}

/* What to do next, when the last has been done: there is never more than one. */
static void
prepare(struct ring *ring, uint32_t operation)
{
    const struct io_sqring_offsets *at = &ring->params.sq_off;
    struct command command = {.commit_id = ring->commit_id, .queue = ring->queue};
    struct io_uring_sqe *sqe = (struct io_uring_sqe *)(void *)ring->sqe;
    atomic_uint *tail = word(ring->submissions, at->tail);

    memset(sqe, 0, 2 * sizeof(*sqe));
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->flags = IOSQE_FIXED_FILE;
    sqe->cmd_op = operation;
    if (operation == REGISTER) {
        sqe->addr = (uintptr_t)ring->memory;
        sqe->len = 2;
    }
    memcpy(sqe->cmd, &command, sizeof(command));
    /* The queue has one place, so its index is 0 for good. */
    *word(ring->submissions, at->array) = 0;
    atomic_store_explicit(tail, atomic_load(tail) + 1, memory_order_release);
    ring->to_submit = 1;
}

static bool
is_completed(const struct ring *ring)
{
    const struct io_cqring_offsets *at = &ring->params.cq_off;

    return atomic_load(word(ring->completions, at->head)) !=
           atomic_load_explicit(word(ring->completions, at->tail), memory_order_acquire);
}

/* 1, and how it went in `result`, if something was done. */
static int
completed(struct ring *ring, int *result)
{
    const struct io_cqring_offsets *at = &ring->params.cq_off;
    atomic_uint *head = word(ring->completions, at->head);
    unsigned now = atomic_load(head);
    const struct io_uring_cqe *cqe =
        (const struct io_uring_cqe *)(void *)(ring->completions + at->cqes);

    if (!is_completed(ring))
        return 0;
    *result = cqe[now & *word(ring->completions, at->ring_mask)].res;
    atomic_store_explicit(head, now + 1, memory_order_release);
    return 1;
}

/* Submits what was prepared, and waits for so many completions.  Lack of memory passes: that is
 * -EINTR, too, after a pause. */
static int
enter(struct ring *ring, unsigned completions)
{
    const struct timespec pause = {.tv_nsec = PAUSE};
    long done = syscall(SYS_io_uring_enter, ring->fd, ring->to_submit, completions,
                        completions > 0 ? IORING_ENTER_GETEVENTS : 0u, NULL, 0);

    if (done >= 0) {
        ring->to_submit -= (unsigned)done;
        return 0;
    }
    if (errno != EAGAIN && errno != EBUSY && errno != ENOMEM)
        return -errno;
    nanosleep(&pause, NULL);
    return -EINTR;
}

/* ---- requests and replies ---- */

static void
use(struct ring *ring, size_t size)
{
    if (size > ring->used)
        ring->used = size;
}

/* As read(2) of /dev/fuse has it: in header, arguments and payload in a row.  The first two are put
 * before the payload. */
static int
assemble(struct ring *ring, struct fuse_buf *request)
{
    const struct entry *entry = ring->entry;
    const struct fuse_in_header *in = &entry->header.in;
    const size_t size = in->len, payload = entry->sizes.payload_size;
    size_t arguments;
    char *begin;

    if (payload > PAYLOAD || size < sizeof(*in) + payload ||
        size - sizeof(*in) - payload > sizeof(entry->arguments))
        return -EPROTO;
    use(ring, payload);
    arguments = size - sizeof(*in) - payload;
    begin = ring->payload - arguments - sizeof(*in);
    memcpy(begin, in, sizeof(*in));
    memcpy(begin + sizeof(*in), entry->arguments, arguments);
    *request = (struct fuse_buf){.mem = begin, .size = size};
    return 0;
}

static void
answer(struct ring *ring, int error, size_t payload)
{
    struct entry *entry = ring->entry;

    entry->header.out = (struct fuse_out_header){
        .len = (uint32_t)(sizeof(struct fuse_out_header) + payload),
        .error = error,
        .unique = ring->unique,
    };
    entry->sizes.payload_size = (uint32_t)payload;
    atomic_store(&ring->replied, true);
}

/* A reply without its header becomes the payload. */
static void
take(struct ring *ring, int error, const struct iovec *parts, int count)
{
    size_t size = 0;

    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > PAYLOAD - size) {
            answer(ring, -EIO, 0);
            return;
        }
        use(ring, size + parts[i].iov_len);
        if (parts[i].iov_base != ring->payload + size)
            memcpy(ring->payload + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    answer(ring, error, size);
}

/* Another thread's request; its ring is told. */
static bool
reply_for(struct rings *rings, const struct fuse_out_header *header,
          const struct iovec *parts, int count)
{
    for (unsigned i = 0; i < rings_count(rings); i++) {
        struct ring *ring = &rings->all[i];

        if (atomic_load(&ring->unique) != header->unique)
            continue;
        pthread_mutex_lock(&ring->lock);
        take(ring, header->error, parts, count);
        pthread_cond_signal(&ring->told);
        pthread_mutex_unlock(&ring->lock);
        return true;
    }
    return false;
}

bool
ring_reply(struct rings *rings, const struct iovec *parts, int count)
{
    struct fuse_out_header header;

    if (count < 1 || parts[0].iov_len != sizeof(header))
        return false;
    memcpy(&header, parts[0].iov_base, sizeof(header));
    if (header.unique == 0)
        return false; /* what the kernel is told */
    if (current == NULL || header.unique != atomic_load(&current->unique))
        return reply_for(rings, &header, parts + 1, count - 1);
    take(current, header.error, parts + 1, count - 1);
    return true;
}

char *
ring_room(size_t size)
{
    if (current == NULL || size > PAYLOAD)
        return NULL;
    use(current, size);
    return current->payload;
}

bool
ring_may_wait(void)
{
    struct ring *ring = current;
    atomic_uint *waiting;

    if (ring == NULL || ring->waits)
        return true;
    waiting = &ring->all->of[ring->queue].waiting;
    ring->waits = atomic_fetch_add(waiting, 1) + 1 < ring->all->per_queue;
    if (!ring->waits)
        atomic_fetch_sub(waiting, 1);
    return ring->waits;
}

static void
await_reply(struct ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    while (!atomic_load(&ring->replied))
        pthread_cond_wait(&ring->told, &ring->lock);
    pthread_mutex_unlock(&ring->lock);
}

/* Prepares to give the answer that is due. */
static void
commit(struct ring *ring)
{
    current = NULL;
    if (atomic_load(&ring->unique) == 0)
        return;
    if (!atomic_load(&ring->replied))
        await_reply(ring);
    if (ring->waits)
        atomic_fetch_sub(&ring->all->of[ring->queue].waiting, 1);
    ring->waits = false;
    atomic_store(&ring->unique, 0);
    prepare(ring, COMMIT_AND_FETCH);
}

void
ring_end(struct ring *ring)
{
    int result = 0;

    commit(ring);
    for (int i = 0; i < TRIES && ring->to_submit > 0 && (result == 0 || result == -EINTR);
         i++)
        result = enter(ring, 0);
}

bool
ring_lose(struct ring *ring)
{
    return atomic_fetch_sub(&ring->all->of[ring->queue].left, 1) == 1 ||
           ring->to_submit > 0;
}

/* Gives an answer that took much memory, and then the memory back (G3).  The kernel writes the next
 * request while it submits, or waits: not in between. */
static int
submit_large(struct ring *ring)
{
    int result = enter(ring, 0);

    if (result == 0 && !is_completed(ring)) {
        madvise(ring->payload + RINGS_KEPT, PAYLOAD - RINGS_KEPT, MADV_DONTNEED);
        ring->used = 0;
    }
    return result;
}

int
ring_next(struct ring *ring, struct fuse_buf *request)
{
    int result;

    commit(ring);
    if (!ring->begun)
        prepare(ring, REGISTER);
    ring->begun = true;
    result = ring->used > RINGS_KEPT && ring->to_submit > 0 ? submit_large(ring) : 0;
    if (result < 0)
        return result;
    while (!completed(ring, &result)) {
        result = enter(ring, 1);
        if (result < 0)
            return result;
    }
    if (result < 0)
        return result == -EINTR || result == -EPROTO ? -EIO : result;
    ring->commit_id = ring->entry->sizes.commit_id;
    atomic_store(&ring->replied, false);
    atomic_store(&ring->unique, ring->entry->header.in.unique);
    result = assemble(ring, request);
    if (result == 0)
        current = ring;
    else
        answer(ring, -EIO, 0);
    return result;
}

/* ---- all of them ---- */

/* A number of at most five digits, which `at` is moved behind; -1: there is none. */
static int
number_at(const char **at)
{
    int number = -1, digits = 0;

    for (; **at >= '0' && **at <= '9' && digits < 5; digits++, ++*at)
        number = (number < 0 ? 0 : number) * 10 + (**at - '0');
    return number;
}

unsigned
rings_processors(const char *text)
{
    int next = 0;

    do {
        int first = number_at(&text), last = first;

        if (*text == '-') {
            text++;
            last = number_at(&text);
        }
        if (first != next || last < first)
            return 0;
        next = last + 1;
    } while (*text++ == ',');
    return text[-1] == '\n' && *text == '\0' ? (unsigned)next : 0;
}

/* 0: cannot be told. */
static unsigned
count_processors(void)
{
    char line[256];
    FILE *file = fopen(PROCESSORS, "re");
    bool known = file != NULL && fgets(line, sizeof(line), file) != NULL;

    if (file != NULL)
        fclose(file);
    return known ? rings_processors(line) : 0;
}

int
rings_new(struct rings **out)
{
    struct rings *rings = calloc(1, sizeof(*rings));
    int result = 0;

    if (rings == NULL)
        return -ENOMEM;
    rings->queues = count_processors();
    if (rings->queues == 0 || rings->queues > QUEUES_MOST) {
        free(rings);
        return -ENOTSUP;
    }
    rings->per_queue = ALL / rings->queues;
    rings->per_queue = rings->per_queue > PER_QUEUE ? PER_QUEUE
                       : rings->per_queue < 2       ? 2
                                                    : rings->per_queue;
    rings->of = calloc(rings->queues, sizeof(*rings->of));
    rings->all = calloc(rings_count(rings), sizeof(*rings->all));
    if (rings->of == NULL || rings->all == NULL)
        result = -ENOMEM;
    for (unsigned i = 0; rings->of != NULL && i < rings->queues; i++)
        rings->of[i].left = rings->per_queue;
    for (unsigned i = 0; rings->all != NULL && i < rings_count(rings); i++)
        prepare_ring(rings, i);
    for (unsigned i = 0; result == 0 && i < rings_count(rings); i++)
        result = make(&rings->all[i]);
    if (result != 0)
        rings_free(rings);
    else
        *out = rings;
    return result;
}

void
rings_shut(struct rings *rings)
{
    for (unsigned i = 0; rings->all != NULL && i < rings_count(rings); i++)
        destroy(&rings->all[i]);
    free(rings->of);
    free(rings->all);
    *rings = (struct rings){.queues = 0};
}

void
rings_free(struct rings *rings)
{
    if (rings == NULL)
        return;
    rings_shut(rings);
    free(rings);
}

size_t
rings_memory(const struct rings *rings)
{
    return rings_count(rings) * (size_t)(RINGS_KEPT + 2 * PAGE + 3 * RING_MEMORY);
}

unsigned
rings_count(const struct rings *rings)
{
    return rings != NULL ? rings->queues * rings->per_queue : 0;
}

struct ring *
rings_at(struct rings *rings, unsigned index)
{
    return &rings->all[index];
}

bool
rings_offered(const void *request, size_t size)
{
    struct fuse_in_header header;
    struct fuse_init_in init;

    if (size < sizeof(header) + sizeof(init))
        return false;
    memcpy(&header, request, sizeof(header));
    memcpy(&init, (const char *)request + sizeof(header), sizeof(init));
    return header.opcode == FUSE_INIT && (init.flags & FUSE_INIT_EXT) != 0 &&
           (init.flags2 & OVER_IO_URING >> 32) != 0 && init.minor >= FORGETS;
}

void
rings_ready(struct rings *rings)
{
    rings->ready = true;
}

void
rings_accept(struct rings *rings, const struct iovec *parts, int count)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct fuse_init_out *out = count == 2 ? parts[1].iov_base : NULL;

    if (!rings->ready || out == NULL || parts[1].iov_len < sizeof(*out) ||
        out->max_write > PAYLOAD || out->max_pages * page > PAYLOAD)
        return;
    out->flags |= FUSE_INIT_EXT;
    out->flags2 |= OVER_IO_URING >> 32;
    rings->accepted = true;
}

bool
rings_accepted(const struct rings *rings)
{
    return rings != NULL && rings->accepted;
}

/* Do commands reach FUSE?  Before INIT has been answered it says -EAGAIN to each; a security module
 * or a filter of system calls says something else. */
static int
probe(struct ring *ring)
{
    int result = 0, entered = 0;

    prepare(ring, REGISTER);
    for (int i = 0; i < TRIES; i++) {
        if (completed(ring, &result))
            return result == -EAGAIN ? 0 : result < 0 ? result : -EPROTO;
        entered = enter(ring, 1);
        if (entered < 0 && entered != -EINTR)
            return entered;
    }
    return entered < 0 ? entered : -ETIMEDOUT;
}

int
ring_begin(struct ring *ring, int fd)
{
    cpu_set_t own, allowed;

    CPU_ZERO(&own);
    CPU_SET(ring->queue, &own);
    /* It is the faster there, and answers elsewhere too: it may be another's, or off. */
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 &&
        CPU_ISSET(ring->queue, &allowed))
        sched_setaffinity(0, sizeof(own), &own);
    if (syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_FILES, &fd, 1u) != 0 ||
        syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) !=
            0)
        return -errno;
    return ring == ring->all->all ? probe(ring) : 0;
}
