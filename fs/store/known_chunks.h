/*
 * known_chunks.h - what is stored of chunks that were written lately, so that the next write to
 * one need not look for it: an append would pass all that was ever put and deleted there.  And a
 * read of a page looks for the one fragment that it is in alone.
 *
 * K1  What is known of a chunk is what the newest state of the store has of it, or nothing is known.
 *     So whoever changes a chunk takes what is known of it away first, while it alone may change the
 *     file, and gives what it put when that has been published.  One file has an id (D4 of data.c), and
 *     what sweeping takes away nobody writes to.
 *
 * A table without chains: of two chunks that fall on one place the later is known.  Threads: any, at
 * any time; the mutex is a leaf.
 */
#ifndef FS_KNOWN_CHUNKS_H
#define FS_KNOWN_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/chunks.h"

struct known_chunks;

/* NULL: no memory. */
struct known_chunks *known_chunks_new(void);
void known_chunks_free(struct known_chunks *known);

/* False, and `*state` as it was: nothing is known.  Nothing is afterwards. */
bool known_chunks_take(struct known_chunks *known, uint64_t data_id, uint64_t index,
                       struct chunk_state *state);
/* The same, and it stays known: for who reads the newest state, while nobody may change the file. */
bool known_chunks_look(struct known_chunks *known, uint64_t data_id, uint64_t index,
                       struct chunk_state *state);
void known_chunks_give(struct known_chunks *known, uint64_t data_id, uint64_t index,
                       const struct chunk_state *state);
/* All of a file of `count` chunks, or of all files. */
void known_chunks_forget(struct known_chunks *known, uint64_t data_id, uint64_t count);
void known_chunks_forget_all(struct known_chunks *known);

#endif
