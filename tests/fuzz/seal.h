/*
 * seal.h - makes the checksums of a file right whatever else is wrong with it, so that what
 * lies behind them is reached.
 */
#ifndef FUZZ_SEAL_H
#define FUZZ_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first `frames` frames of log `number`, as far as their lengths lead from one to the
 * next. */
void seal_log(uint8_t *bytes, size_t size, uint64_t number, unsigned frames);

/* Table `number`: the footer, the blocks that it names, and those that the index names.
 * `fit`: first the footer's blocks are moved so that they lie one behind the other, and the
 * properties made to agree with them. */
void seal_table(uint8_t *bytes, size_t size, uint64_t number, bool fit);

/* Blob file `number`: its header, and head and value of each record, as far as their lengths lead from
 * one to the next. */
void seal_blob(uint8_t *bytes, size_t size, uint64_t number);

/* The lines of a MANIFEST or a CLOSED: each gets its checksum, in place of what follows its
 * last tab.  Text behind the last newline stays as it is.  The result is malloced. */
uint8_t *seal_lines(const uint8_t *bytes, size_t size, size_t *sealed_size);

#endif
