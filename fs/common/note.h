/*
 * note.h - what a mount writes beside the store's lock: where it is.
 *
 *     mounted at POINT
 *
 * on one line: a newline in POINT is \n, and a backslash is \\.
 */
#ifndef FS_NOTE_H
#define FS_NOTE_H

#include <limits.h>

#include "lsmkv.h"

#define NOTE_SIZE (2 * PATH_MAX + 16)

/* The note of a mount at `point`, an absolute path. */
void note_print(const char *point, char note[NOTE_SIZE]);

/* Who holds the store: its process, 0 if it is being read only, and where it has it
 * mounted (PATH_MAX bytes), "" if it is no mount or only reads.  Otherwise as
 * lsmkv_lock_holder. */
LSMKV_CHECKED int note_read(const char *store, int *pid, char *point);

#endif
