/*
 * acl.h - POSIX access control lists in the form of the system.posix_acl_* attributes:
 *
 *     offset  size  field
 *          0     4  version, 2
 *          4   8*n  entries: 2 tag, 2 permissions, 4 id
 *
 * little-endian.  The kernel checks access; kept here is what ties a list to a mode.
 */
#ifndef FS_ACL_H
#define FS_ACL_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"

enum {
    ACL_VERSION = 2,
    ACL_HEADER_SIZE = 4,
    ACL_ENTRY_SIZE = 8,
};
#define ACL_NOBODY UINT32_MAX /* the id of entries that have none */

/* In the order of their entries. */
enum acl_tag {
    ACL_TAG_OWNER = 0x01,
    ACL_TAG_USER = 0x02,
    ACL_TAG_OWNERS_GROUP = 0x04,
    ACL_TAG_GROUP = 0x08,
    ACL_TAG_MASK = 0x10,
    ACL_TAG_OTHER = 0x20,
};

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* Is it a list that can stand for a file: all of owner, group and other once, a mask if
 * there are named entries, and by tag, as the kernel takes for granted of what it is
 * given? */
bool acl_is_valid(struct lsmkv_slice acl);

/* The permission bits of `mode` as a valid list has them.  False: the list says no more
 * than those bits do and need not be kept. */
bool acl_to_mode(struct lsmkv_slice acl, uint32_t *mode);

/* Makes a valid list, of `size` bytes, agree with a new mode. */
void acl_chmod(void *acl, size_t size, uint32_t mode);

/* Makes of a directory's default list, copied to `acl`, the access list of something new
 * in it and takes from `*mode` what the list does not allow.  False: `*mode` says it
 * all. */
bool acl_inherit(void *acl, size_t size, uint32_t *mode);

#endif
