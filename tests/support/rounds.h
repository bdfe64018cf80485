/*
 * rounds.h - how many of the rounds of a long proof a build makes.
 *
 * A round is a call that fails, a byte that is flipped, an image of a power cut, a random operation.
 * Proofs whose rounds are the same in every build make all of them where there is no sanitizer.  A
 * sanitizer sees what the code does on the way, and a part of the rounds, from all over their range,
 * leads through all of it.  ThreadSanitizer sees nothing new where one thread works:
 *
 *                                  none   address   thread
 *     rounds_one_in                   1         7       41
 *     rounds_of_bytes_one_in          1         1       41
 *
 * Tests of threads beside each other ask for no share.  Both numbers are primes, so that kinds of
 * rounds that take turns are met equally.  LSMKV_ROUNDS=all makes every round in any build.
 */
#ifndef SUPPORT_ROUNDS_H
#define SUPPORT_ROUNDS_H

#include <stdint.h>

/* A build makes one round in so many. */
unsigned rounds_one_in(void);

/* The same of rounds in which bytes that nobody wrote so are parsed: they are what AddressSanitizer
 * is for. */
unsigned rounds_of_bytes_one_in(void);

/* So many of `all` rounds, but no fewer than `least`. */
uint64_t rounds_of(uint64_t all, uint64_t least);

#endif
