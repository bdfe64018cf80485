/*
 * frame.h - the bytes of a frame of the log.  Fixed integers are little-endian.
 *
 *     offset  size  field
 *          0     4  checksum   CRC32C of every later byte, padding included, seeded with the
 *                              log's number and the frame's offset
 *          4     4  length     of the entries, bytes
 *          8     1  type       1 first, 2 batch
 *          9     7  first_seq  sequence of the first entry; 0 in a first frame
 *         16     8  synced     position known durable when this frame was written
 *         24     n  entries    of a batch: see batch.h
 *       24+n  0..7  zeros      up to a multiple of 8
 *
 * The seed is the CRC32C of 16 bytes: number 8, offset 8.
 *
 * The first frame of a log stands at offset 0 and nowhere else; its entries are
 *
 *          0     4  version    of this format
 *          4     4  features   bits that a reader must know or refuse the log:
 *                           1  entries may refer to blob files
 *                           2  and to values in pages there
 *                              (to packed ones, too, if MANIFEST names them: a keyspace
 *                              that has them may come when the log is there)
 *          8     8  previous   number of the log before, 0: none
 *         16     8  end        where the last frame of that log ends
 *         24     8  zero       kept for a file that was another log before; none is
 *
 * F1  A frame begins at a multiple of 8: who searches for one has an eighth of the places
 *     to look at.
 * F2  The seed makes a frame foreign in any other log and at any other offset, so one
 *     that was left where a log is written now is never taken for a new one.
 * F3  synced is at most the frame's own offset.
 */
#ifndef LOG_FRAME_H
#define LOG_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "lsmkv.h"

#define FRAME_HEADER_SIZE 24u
#define FRAME_ALIGNMENT   8u
#define FRAME_LENGTH_MAX  LSMKV_BATCH_MAX

enum wal_frame_type {
    WAL_FRAME_FIRST = 1,
    WAL_FRAME_BATCH = 2,
};

struct frame_header {
    uint32_t checksum;
    uint32_t length;
    uint8_t type;
    uint64_t first_sequence;
    uint64_t synced;
};

/* Zeros up to the next multiple of 8. */
static inline size_t
frame_padding(uint32_t length)
{
    return (FRAME_ALIGNMENT - length % FRAME_ALIGNMENT) % FRAME_ALIGNMENT;
}

/* Header, entries and padding. */
static inline uint64_t
frame_size(uint32_t length)
{
    return (uint64_t)FRAME_HEADER_SIZE + length + frame_padding(length);
}

void frame_header_encode(uint8_t *out, const struct frame_header *header);
void frame_header_decode(const uint8_t *in, struct frame_header *header);

/* Sets the checksum of an encoded header, whose entries may lie elsewhere. */
void frame_seal(uint8_t *header, uint64_t number, uint64_t offset,
                struct lsmkv_slice entries);

#define FRAME_FIRST_SIZE 32u
#define FRAME_VERSION    1u
#define FRAME_FEATURES   3u /* the bits this program knows, and writes */

struct frame_first {
    uint32_t version;
    uint32_t features;
    uint64_t previous;
    uint64_t end;
};

void frame_first_encode(uint8_t *out, const struct frame_first *first);
/* -EUCLEAN: not the size or not the version that this program knows, or an unknown
 * feature, or what is to be zero is not. */
int LSMKV_CHECKED frame_first_decode(struct lsmkv_slice entries,
                                     struct frame_first *first);

#endif
