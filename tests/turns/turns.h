/*
 * turns.h - threads that run one at a time, in an order drawn from a seed, so that what a test
 * with threads did once it does again.
 *
 * A program that links turns.c has its mutexes, conditions, semaphores, read-write locks, threads
 * and clock wrapped (the linker's --wrap).  Between turns_begin and turns_end the calling thread
 * and all that are started from it take turns: only one runs, until it waits, and now and then
 * it hands over where it takes a lock.  Which one goes on is drawn from the seed.  Time stands still but
 * for a step at each look at the clock, and jumps to the next deadline when everybody waits.
 * Random bytes come from the seed, too.  Everywhere else the wrapped functions are the real ones.
 *
 *     turns_begin(7)   thread A  ==|   |===|      |=====
 *                      thread B    |===|          |
 *                      thread C        |   |======|
 *
 * Worlds nest: turns_begin within another one stops all of the outer one's threads but the
 * caller until turns_end; they must not hold a lock that the caller will want.  Who holds the
 * turn is the only one to touch memory, so a thread sanitizer sees no race in such a world:
 * with it turns_begin only counts, and the threads run as they like.
 *
 * Everybody waiting and no deadline is a deadlock: the program says so and aborts.
 */
#ifndef TURNS_H
#define TURNS_H

#include <stdbool.h>
#include <stdint.h>

void turns_begin(uint64_t seed);
/* All threads that were started since must have been joined. */
void turns_end(void);
/* Does the calling thread take turns? */
bool turns_inside(void);

#endif
