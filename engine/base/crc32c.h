/* crc32c.h - CRC32C (Castagnoli), by ISA-L. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `size` bytes; any size. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* To begin with, of what stands at `offset` in the file `number`: what stands elsewhere is not
 * taken for it. */
uint32_t crc32c_seed(uint64_t number, uint64_t offset);

#endif
