/*
 * open_files.h - the descriptors of a store's tables: opened when they are read, and
 * never many more than a limit.
 *
 * A table stays whole in memory otherwise; only its file is shut when others need the
 * room, the one not used for longest first (approximately: a clock).  The name stays good
 * meanwhile, for files are deleted only when their last reader has gone.
 */
#ifndef TABLE_OPEN_FILES_H
#define TABLE_OPEN_FILES_H

#include "base/report.h"
#include "env/env.h"

struct open_files;
struct open_file; /* one table's */

/* At most `limit` are open, beside those that are being read at the moment. */
int LSMKV_CHECKED open_files_new(unsigned limit, struct open_files **files);
/* All of them must have been freed.  NULL is allowed. */
void open_files_free(struct open_files *files);

/* The file `name` of a directory, which is opened when it is first held. */
int LSMKV_CHECKED open_file_new(struct open_files *files, struct env_dir *dir,
                                const char *name, struct open_file **file);
/* Nobody holds it any more.  NULL is allowed. */
void open_file_free(struct open_file *file);

/* It stays open until open_file_release.  On failure, what opening it said. */
int LSMKV_CHECKED open_file_hold(struct open_file *file, struct env_file **out);
void open_file_release(struct open_file *file);

#endif
