/*
 * newer.h - requests that the kernel makes and libfuse 3.14 does not know.  It answers
 * every such with ENOSYS, after which the kernel makes none of them again.
 *
 * libfuse looks for nothing but the operation in a request's header, so such a request
 * can be given to it as one that it does know, which hands the same arguments to a
 * handler of ours.
 */
#ifndef FS_NEWER_H
#define FS_NEWER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Their opcodes.  Debian 12's headers end before the second. */
enum { NEWER_TMPFILE = 51, NEWER_STATX = 52 };

/* Minor version of the protocol from which on the kernel can be told of many nodes to forget. */
#define NEWER_PRUNE_MINOR 45u /* Linux 6.18 */

/* The name in a CREATE that was a TMPFILE: the kernel's own, and no other file has it. */
#define NEWER_NO_NAME "/"

/* Makes a request, as it was read, one that libfuse knows:
 *
 *     TMPFILE   CREATE, whose arguments and reply it has; the name is NEWER_NO_NAME
 *     STATX     BMAP, which the kernel asks of block devices only; its arguments do not
 *               matter, and newer_statx makes the reply
 */
void newer_translate(void *request, size_t size);

struct newer_time {
    int64_t seconds;
    uint32_t nanoseconds;
    uint32_t zero;
};

/* The reply to a STATX, without its header: the kernel's interface, in its own byte
 * order.  It has no padding. */
struct newer_statx {
    uint64_t valid; /* seconds that the kernel may keep it */
    uint32_t valid_nanoseconds;
    uint32_t flags;
    uint64_t zero[2];
    uint32_t mask; /* which of the following are right, as in statx(2) */
    uint32_t block_size;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, zero16;
    uint64_t ino, size, blocks, known_attributes;
    struct newer_time access, birth, change, modification;
    uint32_t major, minor; /* of a device */
    uint32_t on[2];        /* what device it is on: the kernel knows */
    uint64_t spare[14];
};

/* All of `st`, and the time of birth. */
void newer_statx(const struct stat *st, struct timespec birth, uint64_t valid,
                 struct newer_statx *reply);

#endif
