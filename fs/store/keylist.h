/*
 * keylist.h - the keys of a store as lines of text: `lsmfs ls`.
 */
#ifndef FS_KEYLIST_H
#define FS_KEYLIST_H

#include <stdbool.h>
#include <stdio.h>

#include "lsmkv.h"
#include "store/store.h"

struct keylist_options {
    bool recursive; /* every key below that has a record, whole */
    bool lengthy;   /* mode, links, owner, size and time as well */
    char end;       /* of a line */
    /* Asked now and then; false: to go no further.  NULL: it goes on. */
    bool (*go_on)(void *context);
    void *context;
};

/* Prints what is directly below `key`, directories with a '/'; or the key itself if
 * nothing is. -ENOENT: there is neither; -ECANCELED.  What `out` has met is left to the
 * caller to ask. */
LSMKV_CHECKED int keylist_print(struct store *store, struct lsmkv_slice key,
                                const struct keylist_options *options, FILE *out);

#endif
