/*
 * import_acl.h - access control lists as libarchive holds them, and as the
 * system.posix_acl_* attributes do (acl.h).  An archive may have them in either form.
 */
#ifndef FS_IMPORT_ACL_H
#define FS_IMPORT_ACL_H

#include <archive_entry.h>
#include <stdbool.h>
#include <stddef.h>

#include "lsmkv.h"

/* Is `name` that of an attribute that is a list? */
bool import_acl_is(const char *name);

/* The list of an entry as an attribute, ARCHIVE_ENTRY_ACL_TYPE_ACCESS or _DEFAULT:
 * `*list` is for free(), NULL if it has none.  Whom the archive has by name alone is who has that name
 * here.  -ENOENT: nobody has that of `*stranger`, which is the entry's.  -E2BIG. */
LSMKV_CHECKED int import_acl_make(struct archive_entry *entry, int type, void **list,
                                  size_t *size, const char **stranger);

#endif
