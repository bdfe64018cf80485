/*
 * control.h - the daemon's end of the control socket (wire.h).
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include "lsmkv.h"
#include "vfs/vfs.h"

struct control;
struct stats_source;

/* Listens in directory source->store, whose lock the caller holds.  `source` outlives
 * this. */
LSMKV_CHECKED int control_start(struct vfs *vfs, const struct stats_source *source,
                                struct control **control);

/* Ends all commands but those that wait for the unmounting; from then on the vfs is not
 * touched.  Precedes vfs_close. */
void control_stop(struct control *control);

/* Tells those who wait that the store is closed, with the result of that, and frees
 * `control` (may be NULL). */
void control_finish(struct control *control, int result);

#endif
