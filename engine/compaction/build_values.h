/*
 * build_values.h - where the value of each entry that a build keeps comes to stand.
 *
 *     large, in its table or memtable     to a blob file
 *     apart, in a file to be collected    to a new blob file
 *     apart                               stays; the entry carries its reference
 *     any other                           stays with its key
 *
 * The entry keeps key, sequence, stamp and attributes.
 */
#ifndef COMPACTION_BUILD_VALUES_H
#define COMPACTION_BUILD_VALUES_H

#include "compaction/compaction.h"

/* Zero it but for these two, which are borrowed. */
struct build_values {
    const struct build_context *context;
    struct manifest_edit *edit;             /* gets the files that are made */
    struct blob_writer *writer;             /* NULL: none is open */
    struct keybuf internal, payload, value; /* of an entry that changes */
};

/* Changes an entry that is about to be added to a table, if its value comes to stand
 * elsewhere; what it changes them to holds until the next call. */
int LSMKV_CHECKED build_place(struct build_values *values, struct lsmkv_slice *internal,
                              struct lsmkv_slice *payload);
/* After the last entry: syncs. */
int LSMKV_CHECKED build_values_finish(struct build_values *values);
/* Tells the tables that the edit got since it had `added_count`, and blob files since it
 * had `made_count`, the sizes of the blob files that they refer to.  -EUCLEAN: an entry
 * that was carried refers to one that no table has in MANIFEST, and neither may a new
 * one; reported. */
int LSMKV_CHECKED build_values_measure(struct build_values *values, size_t added_count,
                                       size_t made_count);
/* What was not finished is deleted. */
void build_values_fini(struct build_values *values);

#endif
