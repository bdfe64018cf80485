/*
 * loop.h - the threads that answer the kernel's requests.
 */
#ifndef FS_LOOP_H
#define FS_LOOP_H

#include <fuse_lowlevel.h>
#include <stdbool.h>

#include "lsmkv.h"

struct loop;
struct requests;
struct rings;

/* As many answer what comes through /dev/fuse. */
#define LOOP_THREADS 8u

/* Called by the threads. */
struct loop_work {
    /* Before each change: may it wait for the disk, so that it must not hold up other requests? */
    bool (*changes_wait)(void *context);
    /* Once, if a ring fails: some requests may be taken by nobody, so the connection is to be
     * aborted, lest whatever ends the mount wait for them. */
    void (*lost)(void *context);
    void *context;
};

/* Starts the threads, which count what they answer in `requests`, made for LOOP_THREADS and those
 * of `rings`.  `rings`, unless NULL: requests come through these, if the kernel offers it; if it
 * does not, that is said, and they are shut.  Threads inherit the caller's signal mask. */
LSMKV_CHECKED int loop_start(struct fuse_session *session, struct requests *requests,
                             struct rings *rings, const struct loop_work *work,
                             struct loop **loop);

/* In a request's handler, before what may wait or be long: from here on other threads
 * read and answer.  Does nothing if they do already. */
void loop_step_aside(void);

/* A file descriptor that becomes readable when the threads have ended: because the file
 * system was unmounted, or its connection failed; or when a ring has. */
int loop_ended_fd(const struct loop *loop);

/* Ends the threads if they run, each after the request that it is at, and frees
 * `loop`. */
void loop_stop(struct loop *loop);

#endif
