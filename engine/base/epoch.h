/*
 * epoch.h - when memory that is read without a lock may be freed.
 *
 * A reader enters before it loads a shared pointer, and leaves when it is done with what
 * that leads to.  Who replaces the pointer retires what it led to, and that is released
 * once every reader that was inside then has left.  Readers write nothing but a cache
 * line of their own.
 *
 * E1  A reader stores the time at which it entered before it loads the pointer; who
 *     retires has stored the new pointer, then takes the time, which moves on, and then
 *     looks at the readers; all of that is sequentially consistent.  So a reader that is
 *     not seen inside, or entered at a later time, loads the new pointer.
 * E2  Inside there is no waiting: no I/O, no lock that is held during I/O.
 */
#ifndef BASE_EPOCH_H
#define BASE_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mutex.h"

/* Part of what is retired. */
struct retired {
    struct retired *next;
    void (*release)(struct retired *retired);
    uint64_t time;
};

/* What waits to be released.  Zero it, then limbo_init. */
struct limbo {
    atomic_bool any;
    struct mutex mutex;
    struct retired *first; /* guarded by mutex */
};

void limbo_init(struct limbo *limbo);
/* Releases all that is left; no reader may be inside with any of it. */
void limbo_empty(struct limbo *limbo);
/* The same, and the end of it. */
void limbo_fini(struct limbo *limbo);

/* A thread has a slot, which no other that runs has, from when it first enters or takes
 * it until it ends. */
#define EPOCH_SLOTS 128u
/* Its number; EPOCH_SLOTS: none yet. */
extern _Thread_local unsigned epoch_slot;
/* The same; EPOCH_SLOTS: all are taken. */
unsigned epoch_take_slot(void);

/* False: too many threads have entered at one time or another; count references
 * instead. */
bool epoch_enter(void);
/* Releases what no reader can have any more. */
void epoch_leave(struct limbo *limbo);
/* The object cannot be reached any more.  Released by this call, if nobody is inside, or
 * by a later one of these. */
void epoch_retire(struct limbo *limbo, struct retired *retired);
void epoch_collect(struct limbo *limbo);

#endif
