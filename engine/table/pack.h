/*
 * pack.h - data blocks compressed with LZ4: what stands in a block of type BLOCK_LZ4.
 *
 *     offset  size  field
 *          0     4  size  of the block unpacked, bytes
 *          4     n  one block of LZ4's block format
 *
 * K1  A block is packed only if that saves an eighth of it or more.
 * K2  What a block says of its size is held against two bounds before memory is asked for:
 *     BLOCK_UNPACKED_MAX, and what so many bytes of LZ4 can come to at most (invariant 16).
 *     Unpacking writes just so many bytes, or fails.
 *
 * All functions are pure; `problem` is as in format.h.
 */
#ifndef TABLE_PACK_H
#define TABLE_PACK_H

#include "base/key.h"

/* No packed block is larger: one entry may be behind a block that is not full yet. */
#define BLOCK_UNPACKED_MAX ((size_t)24 << 20)

/* 1: `packed` holds `raw`, packed; 0: that is not worth it (K1); -ENOMEM. */
int LSMKV_CHECKED block_pack(struct lsmkv_slice raw, struct keybuf *packed);

/* How large a packed block of `size` bytes is unpacked (K2).  -EUCLEAN: it cannot be one. */
int LSMKV_CHECKED block_unpacked_size(const uint8_t *block, size_t size,
                                      size_t *unpacked_size, const char **problem);
/* Unpacks it to `unpacked`, so large.  -EUCLEAN: it is none. */
int LSMKV_CHECKED block_unpack(const uint8_t *block, size_t size, uint8_t *unpacked,
                               size_t unpacked_size, const char **problem);
/* Both, into a buffer that grows; -ENOMEM, too, which leaves `problem` alone. */
int LSMKV_CHECKED block_unpack_into(const uint8_t *block, size_t size,
                                    struct keybuf *unpacked, const char **problem);

#endif
