/*
 * ring.h - requests over io_uring, instead of reads and writes of /dev/fuse.
 *
 * Linux 6.18 and later, where the administrator allows it (RINGS_SWITCH); earlier ones have no way
 * to be told of many nodes to forget (FUSE_NOTIFY_PRUNE), and lookups that are answered so quickly
 * keep us, who have it forget them one by one, from the lock of their directory.  The kernel has a
 * queue of requests for each processor, and puts each request into that of the processor which its
 * caller runs on.  A queue has *entries*, each with memory for one request and its reply; a free
 * entry takes the next request.
 *
 * Here an entry is a thread's own, with an io_uring of its own, and the thread stays on the queue's
 * processor.  So one system call gives the answer to the last request and waits for the next one;
 * and since the kernel takes the entry that became free last, one warm thread, which is where the
 * caller is, answers a stream of small requests.  Who waits for the disk holds up nobody, as long as
 * the queue has another entry: there are two to eight, the more processors the fewer.
 *
 *     before INIT is answered        rings_new; each thread: ring_begin
 *     INIT arrives                   rings_offered?  reply with rings_accept; if not: rings_shut
 *     each thread                    ring_next, answer, ring_next, answer, ..., ring_end
 *
 * Forgets and interrupts still come through /dev/fuse, and what the kernel is told goes there.
 *
 * G1  The kernel holds all requests back until each queue has an entry, so the offer is accepted
 *     only when every ring and thread is there, and a command of each has been seen to reach the
 *     kernel's FUSE.  An entry whose thread has left may be given a request all the same, and a
 *     queue without entries keeps what comes: so the session is to end.
 * G2  A request that ring_next returned is answered by its thread, by the next ring_next at the
 *     latest.  So nothing that a handler does may wait for another request without end (see
 *     on_lseek; for space on the disk it waits some seconds).
 * G3  A ring is its thread's alone and ends with it, and with it whatever waits in its entry: no
 *     other thread, wherever it may hang, keeps that from being ended.
 */
#ifndef FS_RING_H
#define FS_RING_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lsmkv.h"

#define RINGS_SWITCH "/sys/module/fuse/parameters/enable_uring"
/* Names and contents of the largest request or reply. */
#define RINGS_PAYLOAD (256u << 10)

struct rings;
struct ring;

/* For the processors of this machine, in an eighth of `memory` bytes.  -ENOMEM; -ENOTSUP: they
 * cannot be counted, or are too many, or too many for that. */
LSMKV_CHECKED int rings_new(uint64_t memory, struct rings **rings);
/* No thread uses one any more. */
void rings_free(struct rings *rings);
/* They are not accepted: all but `rings` itself is freed.  No thread uses one. */
void rings_shut(struct rings *rings);

/* How many processors "0-3,4" names, and a newline behind it; 0: not all from 0 on, or not that. */
unsigned rings_processors(const char *text);
/* How many entries each processor's queue has, in an eighth of `memory` bytes; 0: there would be too
 * few, or there are too many processors. */
unsigned rings_entries(unsigned processors, uint64_t memory);
/* Bytes that all of them and their threads may take. */
size_t rings_memory(const struct rings *rings);
unsigned rings_count(const struct rings *rings);
struct ring *rings_at(struct rings *rings, unsigned index);

/* Does the kernel offer it, in this request, an INIT? */
bool rings_offered(const void *request, size_t size);
/* All threads have begun: the offer may be accepted. */
void rings_ready(struct rings *rings);
/* How much a write may have at once, of `most`: what an entry has room for, if they are ready. */
unsigned rings_fit(const struct rings *rings, unsigned most);
/* Puts into the reply to INIT, as parts of a writev, that it is, if rings_ready was called and
 * entries have room for the largest request that the reply allows. */
void rings_accept(struct rings *rings, const struct iovec *parts, int count);
bool rings_accepted(const struct rings *rings);

/* In the thread whose ring it is, first, before INIT is answered: stays on its processor from here
 * on.  `fd` is the session's.  -ENOSYS and -EPERM: there is no io_uring here; -EACCES, -EOPNOTSUPP
 * and others: commands do not reach FUSE. */
LSMKV_CHECKED int ring_begin(struct ring *ring, int fd);
/* Gives the answer to the last request, if there was one, and waits for another, which stands in
 * `request` until the next call.  -EINTR: after a signal, or for want of memory, call again or
 * leave; -EPROTO: what came is no request, call again; else there will be none: because the
 * connection has ended, as poll(2) of its descriptor says then, or after an error. */
LSMKV_CHECKED int ring_next(struct ring *ring, struct fuse_buf *request);
/* Gives the last answer, if that is possible within a second, and waits for nothing more. */
void ring_end(struct ring *ring);
/* What libfuse would write(2) to the kernel: true, if it answers the request of this thread, which
 * came through a ring.  Its bytes have been copied. */
bool ring_reply(const struct iovec *parts, int count);
/* Room for `size` bytes of that reply: what is built here need not be copied.  The names and the
 * contents of the request are here, until it is written to.  NULL: the request that this thread is
 * at did not come through a ring, or there is not as much. */
char *ring_room(size_t size);

#endif
