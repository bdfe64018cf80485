/*
 * ring.h - requests over io_uring, instead of reads and writes of /dev/fuse.
 *
 * Linux 6.18 and later, where the administrator allows it (RINGS_SWITCH); earlier ones have no way to
 * be told of many nodes to forget (FUSE_NOTIFY_PRUNE), and lookups that are answered so quickly keep
 * us, who have it forget them one by one, from the lock of their directory.  The kernel has a queue
 * of requests for each processor, and puts each request into that of the processor which its
 * caller runs on.  A queue has *entries*, each with memory for one request and its reply; a free
 * entry takes the next request.
 *
 * Here an entry is a thread's own, with an io_uring of its own, and the thread stays on the
 * queue's processor.  So one system call gives the answer to the last request and waits for the
 * next one; and since the kernel takes the entry that became free last, one warm thread, which is
 * where the caller is, answers a stream of small requests.  Whoever waits for the disk holds up
 * nobody: the other entries go on.
 *
 *     before INIT is answered        rings_new; each thread: ring_begin
 *     INIT arrives                   rings_offered?  reply with rings_accept; if not: rings_shut
 *     each thread                    ring_next, answer, ring_next, answer, ...
 *     after an error                 ring_lose
 *
 * Forgets and interrupts still come through /dev/fuse, and what the kernel is told goes there.
 *
 * G1  The kernel holds all requests back until each queue has an entry, so the offer is accepted
 *     only when every ring and thread is there, and a command has been seen to reach the kernel's
 *     FUSE; and when a queue has lost its last entry, the session is to end.
 * G2  A request that ring_next returned is answered by the next ring_next at the latest.
 * G3  Of an entry's memory RINGS_KEPT bytes stay; what a larger request took is given back before
 *     the entry waits for another.
 */
#ifndef FS_RING_H
#define FS_RING_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "lsmkv.h"

#define RINGS_SWITCH  "/sys/module/fuse/parameters/enable_uring"
#define RINGS_PAYLOAD (1u << 20) /* names and contents of the largest request or reply */
#define RINGS_KEPT    (128u << 10)

struct rings;
struct ring;

/* For the processors of this machine.  -ENOMEM; -ENOTSUP: these cannot be counted, or are too many;
 * or what io_uring_setup(2) says: -ENOSYS and -EPERM if there is no io_uring here. */
LSMKV_CHECKED int rings_new(struct rings **rings);
/* No thread uses one any more.  Requests that were not answered wait until the session is
 * closed. */
void rings_free(struct rings *rings);
/* They are not accepted: all but `rings` itself is freed.  No thread uses one. */
void rings_shut(struct rings *rings);

/* How many processors "0-3,4" names, and a newline behind it; 0: not all from 0 on, or not that. */
unsigned rings_processors(const char *text);
/* Bytes that all of them keep. */
size_t rings_memory(const struct rings *rings);
unsigned rings_count(const struct rings *rings);
struct ring *rings_at(struct rings *rings, unsigned index);

/* Does the kernel offer it, in this request, an INIT? */
bool rings_offered(const void *request, size_t size);
/* All threads have begun: the offer may be accepted. */
void rings_ready(struct rings *rings);
/* Puts into the reply to INIT, as parts of a writev, that it is, if rings_ready was called and
 * entries have room for the largest request that the reply allows. */
void rings_accept(struct rings *rings, const struct iovec *parts, int count);
bool rings_accepted(const struct rings *rings);

/* In the thread whose ring it is, first, before INIT is answered: stays on its processor from here
 * on.  `fd` is the session's.  -EACCES, -EPERM, -EOPNOTSUPP and others: commands do not reach it. */
LSMKV_CHECKED int ring_begin(struct ring *ring, int fd);
/* Gives the answer to the last request, if there was one, and waits for another, which stands in
 * `request` until the next call.  -EINTR: after a signal, call again or leave; -EPROTO: what came
 * is no request, call again; -ENOTCONN, -ECONNABORTED and -ENOENT: there will be none, the ordinary
 * end; else an error.  After both the entry is lost. */
LSMKV_CHECKED int ring_next(struct ring *ring, struct fuse_buf *request);
/* Gives the last answer, if that is possible within a second, and waits for nothing more. */
void ring_end(struct ring *ring);
/* The entry is lost.  True: somebody may wait for ever now, because it was the last of its queue, or
 * because its last answer could not be given. */
LSMKV_CHECKED bool ring_lose(struct ring *ring);
/* What libfuse would write(2) to the kernel: true, if it answers a request that came through a
 * ring.  Its bytes have been copied.  Mostly that of this thread; any thread may answer, and then
 * the ring's own waits for it in ring_next. */
bool ring_reply(struct rings *rings, const struct iovec *parts, int count);
/* Room for `size` bytes of that reply: what is built here need not be copied.  The names and the
 * contents of the request are here, until it is written to.  NULL: the request that this thread is
 * at did not come through a ring, or there is not as much. */
char *ring_room(size_t size);
/* May the request that this thread is at be answered by another thread, after other requests have
 * been?  False: too many of the queue wait so already, and the rest has to be left to those. */
bool ring_may_wait(void);

#endif
