/*
 * control_files.h - get, put, rm, ls and diff of a mounted store, for control.c.
 */
#ifndef FS_CONTROL_FILES_H
#define FS_CONTROL_FILES_H

#include "common/wire.h"
#include "vfs/vfs.h"

/* Carries out command `name`, receiving and sending contents, but not the last line of
 * the reply.  `directory`: in which contents can wait.  -EPROTO: no such command. */
LSMKV_CHECKED int control_files(struct vfs *vfs, int directory, struct wire *wire,
                                const char *name, struct lsmkv_slice key);

#endif
