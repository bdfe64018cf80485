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

/* As many answer. */
#define LOOP_THREADS 8u

/* Starts the threads, which count what they answer in `requests`, made for LOOP_THREADS.
 * `changes_wait(context)`, asked before each change: may it wait for the disk, so that it
 * must not hold up other requests?  They inherit the caller's signal mask. */
LSMKV_CHECKED int loop_start(struct fuse_session *session, struct requests *requests,
                             bool (*changes_wait)(void *context), void *context,
                             struct loop **loop);

/* In a request's handler, before what may wait or be long: from here on other threads
 * read and answer.  Does nothing if they do already. */
void loop_step_aside(void);

/* A file descriptor that becomes readable when the threads have ended: because the file
 * system was unmounted, or its connection failed. */
int loop_ended_fd(const struct loop *loop);

/* Ends the threads if they run, each after the request that it is at, and frees
 * `loop`. */
void loop_stop(struct loop *loop);

#endif
