/*
 * control_reads.h - export, check and repair of a mounted store, which read all of it: of a state that
 * they pin, so nothing waits for them, nor for who reads what they send.
 */
#ifndef FS_CONTROL_READS_H
#define FS_CONTROL_READS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/wire.h"
#include "vfs/vfs.h"

/* Answer but for the last line (wire.h).  Its error, with `text` (of `size` bytes) if there is more to
 * say. */
LSMKV_CHECKED int control_export(struct vfs *vfs, struct wire *wire,
                                 struct lsmkv_slice argument, char *text, size_t size);
LSMKV_CHECKED int control_check(struct vfs *vfs, struct wire *wire, bool snapshots);
LSMKV_CHECKED int control_repair(struct vfs *vfs, struct wire *wire, char *text,
                                 size_t size);

#endif
