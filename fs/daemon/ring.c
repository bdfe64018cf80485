/*
 * ring.c - see ring.h.
 *
 * The system calls are made here, without liburing: an io_uring of one entry is a few words in
 * shared memory, and liburing has no call that submits and waits without a look at more than that.
 *
 * The memory of an entry and its io_uring:
 *
 *     a page         the io_uring's queues
 *     a page         its one submission
 *     header page    in and out header | the operation's own arguments | sizes, and the id to commit
 *     a page         of which the end becomes in header and arguments: see assemble
 *     payload        names and contents of a request; then all of a reply behind its header
 */
#include "daemon/ring.h"

#include <errno.h>
#include <linux/fuse.h>
#include <linux/io_uring.h>
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

#include "vfs/newer.h"

#define PROCESSORS  "/sys/devices/system/cpu/possible"
#define PAGE        4096u
#define PAYLOAD     RINGS_PAYLOAD
#define MEMORY      (4 * PAGE + PAYLOAD) /* of an entry and its io_uring */
#define COUNTED     (1u << 20) /* for it, with what its thread keeps for operations */
#define SHARE       8u         /* of all memory, that they may have */
#define LEAST       2u         /* entries of a queue */
#define MOST        8u         /* likewise, */
#define ALL         64u        /* and of all queues */
#define QUEUES_MOST 48u        /* so that threads have a slot each in the engine */
#define PAUSE       10000000   /* nanoseconds until memory may be found */
#define TRIES       100        /* with a pause each */

/* ---- the kernel's interface, where Debian 12's headers end before it ---- */

#define OVER_IO_URING (UINT64_C(1) << 41) /* of INIT's flags */

/* Of io_uring_setup(2): its memory is given, and the ring has no descriptor but is the thread's, and
 * ends with that.  Of the others: such a ring is meant. */
#define SETUP_NO_MMAP            (1u << 14)
#define SETUP_REGISTERED_FD_ONLY (1u << 15)
#define REGISTER_WITH_REGISTERED (1u << 31)
/* Of io_uring_enter(2): a processor whose threads wait here is idle, and does not wait for a disk. */
#define ENTER_NO_IOWAIT (1u << 7)

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
    int number; /* among those of its thread, from ring_begin on */
    uint16_t queue;
    bool begun;
    unsigned to_submit;

    /* The request that is to be answered. */
    uint64_t unique; /* 0: there is none, or it has its answer */
    uint64_t commit_id;
    bool due; /* an answer is to be given */

    /* Shared with the kernel. */
    char *queues; /* of submissions and completions */
    char *sqe;    /* 128 bytes */
    struct io_uring_params params;

    struct entry *entry;
    char *payload;
    struct iovec memory[2]; /* these two */
};

struct rings {
    unsigned queues, per_queue;
    bool ready, accepted;
    struct ring *all; /* those of a queue together */
};

/* The request that this thread is at. */
static _Thread_local struct ring *current;

static int
make(struct ring *ring, unsigned queue)
{
    char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return -ENOMEM;
    ring->queue = (uint16_t)queue;
    ring->queues = memory;
    ring->sqe = memory + PAGE;
    ring->entry = (struct entry *)(void *)(memory + 2 * PAGE);
    ring->payload = memory + 4 * PAGE;
    ring->memory[0] = (struct iovec){ring->entry, sizeof(*ring->entry)};
    ring->memory[1] = (struct iovec){ring->payload, PAYLOAD};
    return 0;
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
    atomic_uint *tail = word(ring->queues, at->tail);

    memset(sqe, 0, 2 * sizeof(*sqe));
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->flags = IOSQE_FIXED_FILE;
    sqe->cmd_op = operation;
    if (operation == REGISTER) {
        sqe->addr = (uintptr_t)ring->memory;
        sqe->len = 2;
    }
    memcpy(sqe->cmd, &command, sizeof(command));
    atomic_store_explicit(tail, atomic_load(tail) + 1, memory_order_release);
    ring->to_submit = 1;
}

/* Has something been done?  Sets `result` to how it went. */
static bool
completed(struct ring *ring, int *result)
{
    const struct io_cqring_offsets *at = &ring->params.cq_off;
    atomic_uint *head = word(ring->queues, at->head);
    unsigned now = atomic_load(head);
    const struct io_uring_cqe *cqe =
        (const struct io_uring_cqe *)(void *)(ring->queues + at->cqes);

    if (now == atomic_load_explicit(word(ring->queues, at->tail), memory_order_acquire))
        return false;
    *result = cqe[now & *word(ring->queues, at->ring_mask)].res;
    atomic_store_explicit(head, now + 1, memory_order_release);
    return true;
}

/* Submits what was prepared, and waits for so many completions.  Lack of memory passes: that is
 * -EINTR, too, after a pause. */
static int
enter(struct ring *ring, unsigned completions)
{
    const struct timespec pause = {.tv_nsec = PAUSE};
    const unsigned waiting = IORING_ENTER_GETEVENTS | ENTER_NO_IOWAIT;
    long done =
        syscall(SYS_io_uring_enter, ring->number, ring->to_submit, completions,
                IORING_ENTER_REGISTERED_RING | (completions > 0 ? waiting : 0u), NULL, 0);

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
    ring->unique = 0;
    ring->due = true;
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
        if (parts[i].iov_base != ring->payload + size)
            memcpy(ring->payload + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    answer(ring, error, size);
}

bool
ring_reply(const struct iovec *parts, int count)
{
    struct fuse_out_header header;

    if (current == NULL || count < 1 || parts[0].iov_len != sizeof(header))
        return false;
    memcpy(&header, parts[0].iov_base, sizeof(header));
    if (header.unique == 0 || header.unique != current->unique)
        return false; /* what the kernel is told */
    take(current, header.error, parts + 1, count - 1);
    return true;
}

char *
ring_room(size_t size)
{
    return current != NULL && size <= PAYLOAD ? current->payload : NULL;
}

/* Prepares to give the answer that is due. */
static void
commit(struct ring *ring)
{
    current = NULL;
    if (ring->unique != 0)
        answer(ring, -EIO, 0); /* its handler has not */
    if (ring->due)
        prepare(ring, COMMIT_AND_FETCH);
    ring->due = false;
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

int
ring_next(struct ring *ring, struct fuse_buf *request)
{
    int result;

    commit(ring);
    if (!ring->begun)
        prepare(ring, REGISTER);
    ring->begun = true;
    while (!completed(ring, &result)) {
        result = enter(ring, 1);
        if (result < 0)
            return result;
    }
    if (result < 0)
        return result == -EINTR || result == -EPROTO ? -EIO : result;
    ring->commit_id = ring->entry->sizes.commit_id;
    ring->unique = ring->entry->header.in.unique;
    result = assemble(ring, request);
    if (result == 0)
        current = ring;
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

unsigned
rings_entries(unsigned queues, uint64_t memory)
{
    uint64_t all = memory / SHARE / COUNTED, each;

    if (queues == 0 || queues > QUEUES_MOST)
        return 0;
    each = (all < ALL ? all : ALL) / queues;
    if (each < LEAST)
        each = all >= (uint64_t)queues * LEAST ? LEAST : 0;
    return each < MOST ? (unsigned)each : MOST;
}

int
rings_new(uint64_t memory, struct rings **out)
{
    const unsigned queues = count_processors(), each = rings_entries(queues, memory);
    struct rings *rings;
    int result = 0;

    if (each == 0)
        return -ENOTSUP;
    rings = calloc(1, sizeof(*rings));
    if (rings == NULL)
        return -ENOMEM;
    rings->queues = queues;
    rings->per_queue = each;
    rings->all = calloc(rings_count(rings), sizeof(*rings->all));
    if (rings->all == NULL)
        result = -ENOMEM;
    for (unsigned i = 0; result == 0 && i < rings_count(rings); i++)
        result = make(&rings->all[i], i / each);
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
        if (rings->all[i].queues != NULL)
            munmap(rings->all[i].queues, MEMORY);
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
    return rings_count(rings) * (size_t)COUNTED;
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
           (init.flags2 & OVER_IO_URING >> 32) != 0 && init.minor >= NEWER_PRUNE_MINOR;
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

unsigned
rings_fit(const struct rings *rings, unsigned most)
{
    return rings != NULL && rings->ready && most > PAYLOAD ? PAYLOAD : most;
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

/* The last member of both kinds of offsets, which later headers call user_addr. */
static void
give_memory(void *offsets, size_t size, const void *memory)
{
    const uint64_t address = (uintptr_t)memory;

    memcpy((char *)offsets + size - sizeof(address), &address, sizeof(address));
}

static int
set_up(struct ring *ring, int fd)
{
    struct io_uring_params *params = &ring->params;
    long number;

    params->flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER |
                    IORING_SETUP_DEFER_TASKRUN | SETUP_NO_MMAP | SETUP_REGISTERED_FD_ONLY;
    give_memory(&params->cq_off, sizeof(params->cq_off), ring->queues);
    give_memory(&params->sq_off, sizeof(params->sq_off), ring->sqe);
    number = syscall(SYS_io_uring_setup, 1u, params);
    if (number < 0)
        return -errno;
    ring->number = (int)number;
    if (syscall(SYS_io_uring_register, ring->number,
                IORING_REGISTER_FILES | REGISTER_WITH_REGISTERED, &fd, 1u) != 0)
        return -errno;
    return 0;
}

int
ring_begin(struct ring *ring, int fd)
{
    cpu_set_t own, allowed;
    int result;

    CPU_ZERO(&own);
    CPU_SET(ring->queue, &own);
    /* It is the faster there, and answers elsewhere too: it may be another's, or off. */
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 &&
        CPU_ISSET(ring->queue, &allowed))
        sched_setaffinity(0, sizeof(own), &own);
    result = set_up(ring, fd);
    return result == 0 ? probe(ring) : result;
}
