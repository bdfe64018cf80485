/*
 * linger.h - whether the thread that reads requests should look for the next a little while before
 * it sleeps.
 *
 * Requests of one caller come one after the other, and waking a thread on another processor, which
 * has gone to sleep meanwhile, takes longer than answering does.  But who looks uses a processor,
 * and gains nothing if the next request is far, or if the caller has to run on the same one.  So
 * it is done while requests come quickly, and while looking finds them.
 *
 * Nothing here reads a clock or makes a system call.  Times are in nanoseconds.  One thread at a
 * time.
 */
#ifndef FS_LINGER_H
#define FS_LINGER_H

#include <stdbool.h>
#include <stdint.h>

#define LINGER 50000u /* so long at most */
/* A request that came so soon after an answer came quickly: with two threads to be woken on the way, the
 * caller and the one that reads, which on some machines takes longer than LINGER. */
#define LINGER_QUICK 100000u
#define LINGER_AWAY  2000u /* so long without the processor, and others use it */

/* All zero at first. */
struct linger {
    uint64_t answered; /* when the last answer was given */
    int quick;         /* requests in a row that came quickly; below 0: as many to come */
    unsigned shared;   /* looks in a row that ended because others used the processor */
};

/* A request was read, or answered, at `now`. */
void linger_arrived(struct linger *linger, uint64_t now);
void linger_answered(struct linger *linger, uint64_t now);

/* Is it worth it now? */
bool linger_wanted(const struct linger *linger);

/* A request came while this thread looked, and was not away. */
void linger_gained(struct linger *linger);
/* None came all the while. */
void linger_missed(struct linger *linger);
/* It looked, and others had its processor for so long: they are spared for as many requests as
 * they used microseconds, and for twice as many each time that this comes again. */
void linger_away(struct linger *linger, uint64_t nanoseconds);

#endif
