/*
 * foreign.h - may others than lsmfs have written to a store?
 *
 * Then a file of ours may have keys below it, which lsmfs itself never makes, and lookups
 * have to look.  What is known stands in `meta`; a walk over the store finds out anew.
 */
#ifndef FS_FOREIGN_H
#define FS_FOREIGN_H

#include <stdbool.h>

#include "lsmkv.h"
#include "store/store.h"

/* Was the store written by lsmfs alone, as far as it tells?  Belongs before the first
 * write. */
LSMKV_CHECKED int foreign_find(struct store *store, bool *foreign);

/* A store that is not foreign shall be none at the next foreign_find; `foreign`: a mount,
 * whose end would hide it, makes it known that it is.  Nothing is written between
 * foreign_note_closed and store_close.  On a full store, too. */
LSMKV_CHECKED int foreign_note(struct store *store);
LSMKV_CHECKED int foreign_note_closed(struct store *store);

/* The walk: ends early when `*stop` is set, with -ECANCELED.  0: no file has keys below
 * it, and that is noted, so the store is not foreign any more; -EEXIST: one has.  The
 * store may be in use meanwhile. */
LSMKV_CHECKED int foreign_walk(struct store *store, const _Atomic bool *stop);

#endif
