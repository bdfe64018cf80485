/*
 * import_make.h - makes one entry of an archive after the other in a tree
 * (import_tree.h):
 *
 *     import_next, import_begin, any number of import_write, import_end or import_abandon
 *     import_next, import_link
 *
 * M1  A file is made under another name in its directory, and takes its place when it is
 *     whole: what was there stays until then, and if the archive, the disk or the import
 *     ends.
 * M2  A file's owner, mode, attributes and times are set behind its contents, in this
 *     order: each may take something from the next, as a change of owner takes
 *     set-user-ID bits.
 * M3  Set-user-ID and set-group-ID bits go with the owner and group that they are for, or
 *     not at all.
 * M4  A directory with an entry lets nobody else in until all have come; then it gets what
 *     changes with what is put into it, its times, what would keep the import out, its
 *     owner and mode, and what is taken over by what is put in, its default list.
 * M5  What a new file or directory took over from its directory's default list is taken
 *     from it.
 * M6  A directory that was moved while files came into it has them elsewhere; that is told.
 *
 * What cannot be done is told, with its path, and is no reason to stop, unless the maker
 * is `broken`: nothing more can be written.
 */
#ifndef FS_IMPORT_MAKE_H
#define FS_IMPORT_MAKE_H

#include <archive.h>
#include <archive_entry.h>

#include "archive/import_late.h"
#include "archive/import_tree.h"

struct import_maker {
    struct import_tree *tree;
    /* Tells that `path` is not there, or not as it should be: `why`, one line. */
    void (*tell)(void *context, const char *path, const char *why);
    void *context;

    bool broken;  /* nothing more can be written */
    bool told;    /* of the entry under way; import_next clears it */
    uint64_t put; /* entries of which nothing was told; import_made sees to it */
    uint64_t failed;

    /* private: the entry under way, and the one before it, met -EIO */
    bool met_io_error, met_io_error_before;
    /* private: the directory where the last one was made; NULL: none */
    char *directory_path;
    union import_file directory;
    mode_t permissions; /* of directories that have no entry */
    unsigned number;    /* of the last name that was thought out */
    /* private: the entry under way */
    struct archive_entry *entry;
    const char *path, *name;
    char temporary[48]; /* its name until it is whole; "": it has its own */
    union import_file file;
    bool is_new;
    int64_t end; /* of what was written */
    /* private: M4 */
    struct import_lates lates;
};

void import_maker_init(struct import_maker *maker, struct import_tree *tree,
                       void (*tell)(void *context, const char *path, const char *why),
                       void *context);
/* Directories get what they get in the end. */
void import_maker_finish(struct import_maker *maker);

/* Another entry is under way. */
void import_next(struct import_maker *maker);

/* Tells of `path`; errors after which no other file could be written break the maker, and
 * then no more is told of this one. */
void import_fail(struct import_maker *maker, const char *path, const char *what,
                 int result);

/* Tells unless `result` is 0; false: told. */
bool import_done(struct import_maker *maker, const char *path, const char *what,
                 int result);

/* Makes a directory and those on the way to it, if they are not there. */
LSMKV_CHECKED int import_make_directory(struct import_maker *maker, const char *path);

/* Paths are clean: names with a '/' between, or "." for the root, which is a directory.
 * The entry, no hard link, is used until import_end or import_abandon.  False: told. */
bool import_begin(struct import_maker *maker, struct archive_entry *entry);
bool import_write(struct import_maker *maker, const void *bytes, size_t size,
                  int64_t offset);
void import_end(struct import_maker *maker);
/* Its contents have not come, which was told. */
void import_abandon(struct import_maker *maker);

/* Makes `path` a further name of the file at `link`. */
void import_link(struct import_maker *maker, const char *path, const char *link);

/* Is a directory at `path`? */
bool import_is_directory(struct import_maker *maker, const char *path);

/* Sets the times of a value without a path, which has been put at that of the entry; tells so if it
 * has another owner or mode, or lost attributes. */
void import_end_value(struct import_maker *maker, struct archive_entry *entry,
                      const struct bykey_owner *owner);

/* Counts the entry that was under way. */
void import_made(struct import_maker *maker);

#endif
