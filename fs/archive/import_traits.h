/*
 * import_traits.h - what an entry of an archive says of a file beside its contents, and
 * setting it.
 */
#ifndef FS_IMPORT_TRAITS_H
#define FS_IMPORT_TRAITS_H

#include <archive_entry.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "archive/import_tree.h"

struct import_maker;

/* An access control list in the form of an attribute; bytes NULL: none. */
struct import_list {
    void *bytes;
    size_t size;
};

/* All but the extended attributes. */
struct import_traits {
    uid_t uid;
    gid_t gid;
    mode_t mode;
    struct timespec times[2]; /* of access and of change; UTIME_OMIT: not told */
    struct import_list access, inherited;
};

/* Of the entry under way; lists that cannot be read are told. */
struct import_traits import_traits_read(struct import_maker *maker);
void import_traits_fini(struct import_traits *traits);
/* The times that the archive tells, of access and of change; UTIME_OMIT for one that it does not. */
void import_traits_read_times(struct archive_entry *entry, struct timespec times[2]);

/* Sets them but for the times, which come last (M2 of import_make.h); what cannot be set
 * is told. */
void import_traits_set(struct import_maker *maker, const char *path,
                       union import_file file, const struct import_traits *traits,
                       bool is_link);
void import_traits_set_times(struct import_maker *maker, const char *path,
                             union import_file file, const struct import_traits *traits);

/* The extended attributes of the entry under way. */
void import_set_xattrs(struct import_maker *maker);
/* A list that it took over; that there is none is no failure. */
void import_drop_list(struct import_maker *maker, const char *path,
                      union import_file file, const char *name);

#endif
