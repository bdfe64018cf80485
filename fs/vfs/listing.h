/*
 * listing.h - what a cookie of readdir stands for.
 *
 * The entries of one reply are a *span*; a cookie is its number and the entry's index in
 * it.  The names of a span are kept front-coded while memory allows, so that listing goes
 * on behind any name whether it still exists or not, without a handle: nothing is tied to
 * an open directory.  Of spans whose names had to go the first and last stay longer:
 * reading on from the end of a reply, as all programs do, needs no more.
 *
 * Cookies below LISTING_FIRST are free for other uses (".", ".." and the end).
 *
 * Threads: any; the mutex is a leaf.
 */
#ifndef FS_LISTING_H
#define FS_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lsmkv.h"

#define LISTING_INDEX_BITS 12u
#define LISTING_SPAN_MAX   (1u << LISTING_INDEX_BITS) /* entries */
#define LISTING_FIRST      (2 * LISTING_SPAN_MAX)

struct listing;
struct listing_span; /* being built; belongs to one thread */

/* `limit` in bytes, for names and again for first and last ones.  NULL: out of memory. */
struct listing *listing_new(size_t limit);
void listing_free(struct listing *listing);

/* Begins a span of the directory `directory` (any number that tells directories apart).
 * NULL: out of memory. */
struct listing_span *listing_begin(struct listing *listing, uint64_t directory);
/* The cookie that the next name added will have; it is not known before listing_end. */
uint64_t listing_next_cookie(const struct listing_span *span);
bool listing_is_full(const struct listing_span *span);
/* Names come in the order of the listing, at most 255 bytes.  -ENOMEM. */
LSMKV_CHECKED int listing_add(struct listing_span *span, struct lsmkv_slice name);
/* Keeps the span, unless it is empty; NULL does nothing. */
void listing_end(struct listing *listing, struct listing_span *span);

/* The name behind which a cookie says to go on, into `name` (256 bytes), and how many
 * entries behind that to leave out (not 0 only if memory was short).  Its length, or
 * -EINVAL: the cookie is none of this directory, or too old. */
LSMKV_CHECKED int listing_name(struct listing *listing, uint64_t directory,
                               uint64_t cookie, char *name, unsigned *skip);

#endif
