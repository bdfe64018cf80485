/* build.h - sorted entries become tables: what flush and merge share. */
#ifndef COMPACTION_BUILD_H
#define COMPACTION_BUILD_H

#include "compaction/compaction.h"
#include "compaction/retain.h"

/* Writes what C1 and C2 keep of `it`, from its first entry on, as tables added to `edit`
 * at `level`, and syncs the directory.  `outside` as in retain.h; `it` is borrowed.  On
 * failure no output is left behind and `edit` is as it was.  -ECANCELED; -EUCLEAN: the
 * entries are out of order. */
int LSMKV_CHECKED build_tables(const struct build_context *context,
                               const struct outside *outside, struct iterator *it,
                               int level, struct manifest_edit *edit);
/* Takes back what an edit was given since it had `added_count` tables and `made_count`
 * blob files: deletes the files, which no manifest line names yet. */
void build_undo(const struct build_context *context, struct manifest_edit *edit,
                size_t added_count, size_t made_count);

#endif
