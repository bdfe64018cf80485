/*
 * import_input.h - the bytes of an archive that is read from a file descriptor.
 *
 * What gzip has packed is unpacked here, since libarchive does not look at the checksum that ends it.
 */
#ifndef FS_IMPORT_INPUT_H
#define FS_IMPORT_INPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct import_input;

/* `stopped`: is reading to end where it is?  It is asked before each read of the descriptor.  NULL:
 * no memory. */
struct import_input *import_input_new(int fd, bool (*stopped)(void *context),
                                      void *context);
/* NULL is nothing. */
void import_input_free(struct import_input *input);

/* The next bytes, which hold until the next call.  0: the end; -EINTR: stopped; -EBADMSG: damaged, and
 * import_input_why says how; errors of reading. */
ssize_t import_input_read(struct import_input *input, const void **bytes);
const char *import_input_why(const struct import_input *input);

/* How many were read of the descriptor. */
uint64_t import_input_bytes(const struct import_input *input);

#endif
