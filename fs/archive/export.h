/*
 * export.h - a store's files as a tar archive (pax), without a mount: for the worst day.
 *
 * What cannot be read is told and left out, or, in the midst of a file's contents, zeros;
 * nothing but the archive's own failure ends it.  Values without a path of their own are
 * below .lsmfs/keys, as a mount shows them.  Keys that cannot be read nobody can name:
 * the engine reports to its log where in which file they were, so `store` is to be one
 * whose log is listened to.
 */
#ifndef FS_EXPORT_H
#define FS_EXPORT_H

#include <stdint.h>

#include "lsmkv.h"
#include "store/store.h"

struct export_report {
    /* `key` cannot be exported, or not all of it: `what`, one line. */
    void (*lost)(void *context, struct lsmkv_slice key, const char *what);
    /* It is left out because a tar archive has no place for it. */
    void (*left_out)(void *context, struct lsmkv_slice key, const char *what);
    void *context;
};

struct export;

/* Writes to file descriptor `fd`, which is kept open.  `snapshot` NULL: the newest
 * state. */
LSMKV_CHECKED int export_new(struct store *store, const struct lsmkv_snapshot *snapshot,
                             int fd, const struct export_report *report,
                             struct export **export);
/* The same into a sink, of a store in use: keys that cannot be read end it, for what the
 * engine reports of them comes to the store's log and not to who asked. */
struct export_sink {
    int (*write)(void *context, const void *bytes, size_t size);
    void *context;
};
LSMKV_CHECKED int export_new_to(struct store *store,
                                const struct lsmkv_snapshot *snapshot,
                                const struct export_sink *sink,
                                const struct export_report *report,
                                struct export **export);
/* Adds `key` and all below it.  -ENOENT: nothing is there; any other result is the
 * archive's failure. */
LSMKV_CHECKED int export_tree(struct export *export, struct lsmkv_slice key);
/* Why keys could not be read, which ended export_tree; "": they could. */
const char *export_unread(const struct export *export);
/* Ends the archive and frees `export`, whatever the result; `*lost` is how often
 * something was. */
LSMKV_CHECKED int export_finish(struct export *export, uint64_t *lost);

#endif
