/*
 * merge.h - the merging iterator: many sorted sources as one, by a binary heap.
 *
 * Entries of all sources come out in internal-key order: every version of every key,
 * newest first.  No two sources hold the same internal key (each entry has its own
 * sequence).  A source's error ends the walk: the merge is invalid with that status,
 * never a shorter result (a read error is not the end of the data).
 */
#ifndef ITER_MERGE_H
#define ITER_MERGE_H

#include "iter/iterator.h"

/* Takes ownership of the `count` children (freed with the merge, or on failure).  With
 * one child, that child itself is returned; with none, an empty iterator.  The array is
 * borrowed for the call.  -ENOMEM. */
int LSMKV_CHECKED merge_new(enum lsmkv_order order, struct iterator **children,
                            size_t count, struct iterator **merge);

/* An iterator over nothing whose status is `status`; a seek does not clear it.  Never
 * fails: static for status 0 - otherwise NULL means no memory. */
struct iterator *iterator_new_empty(int status);

#endif
