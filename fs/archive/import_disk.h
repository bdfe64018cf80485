/*
 * import_disk.h - importing into a mount, by its own system calls.  Owners are set by
 * root alone, as tar does.
 *
 * D1  Whoever may write into a directory of the mount can exchange what is there at any
 *     moment.  So every step goes from a directory's descriptor to one name in it, none
 *     follows a link or enters another file system, and an owner or a mode is set through
 *     a descriptor of what was made here.
 */
#ifndef FS_IMPORT_DISK_H
#define FS_IMPORT_DISK_H

#include "archive/import_tree.h"

/* `folder`: a descriptor of the mount's root, or of a directory that is bound elsewhere;
 * `store`: whose daemon puts values of keys without a path.  Both outlive this.  NULL: no
 * memory. */
struct import_tree *import_disk_new(int folder, const char *store);
void import_disk_free(struct import_tree *tree);

#endif
