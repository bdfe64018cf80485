/*
 * attr.h - what stands in the attributes of a record: a file's inode.  The byte table is
 * in attr.c.
 *
 * Decoding points slices into the bytes it was given: a struct attr is valid while those
 * are.  Nothing here allocates.
 */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "lsmkv.h"

/* Room for the attributes of everything this daemon writes but a directory's that keeps
 * the attributes of a value, or a file's that keeps foreign ones; those need
 * attr_encoded_size. */
#define ATTR_BUFFER 1280u

/* Extended attributes stay in the attributes while these are smaller than this. */
#define ATTR_INLINE_MAX 1024u

/* Inode numbers: counted ones below 2^61, and what the upper bits say. */
#define ATTR_INO_ROOT     1u
#define ATTR_INO_FIRST    64u /* the counter's first; below: virtual entries */
#define ATTR_INO_IMPLIED  (UINT64_C(1) << 61) /* | a salted hash of the path */
#define ATTR_INO_PLAIN    (UINT64_C(1) << 62) /* | the stamp's sequence */
#define ATTR_INO_SNAPSHOT (UINT64_C(1) << 63) /* | a permuted number */

#define ATTR_SUBDIRS_UNKNOWN UINT32_MAX

/* Where the contents are. */
enum attr_kind {
    ATTR_INLINE = 1,    /* in the record's value (also a symlink's target) */
    ATTR_CHUNKS = 2,    /* in the `chunks` keyspace under data.id; the value is empty */
    ATTR_REFERENCE = 3, /* a name of a hard-linked file: see its inode record */
};

/* A file's contents as its attributes describe them.  For inline ones `size` is the
 * value's and id and chunks are 0. */
struct attr_data {
    enum attr_kind kind; /* of a reference nothing else is known */
    uint64_t size;       /* bytes */
    uint64_t id;         /* data id */
    uint64_t chunks; /* present ones; an upper bound after cutting a file with holes */
};

struct attr {
    uint32_t mode; /* type and permissions; of a reference, the type alone */
    uint32_t uid;
    uint32_t gid;
    uint64_t ino;
    struct timespec atime, mtime, ctime, btime;
    struct attr_data data;
    uint32_t nlink; /* of an inode record: its names; 1 elsewhere (directories as well) */
    uint32_t subdirs;   /* of a directory, or ATTR_SUBDIRS_UNKNOWN; see attr_nlink */
    uint64_t rdev;      /* of a device */
    bool xattr_records; /* further extended attributes stand in the `inodes` keyspace */
    bool has_value; /* of a directory: the record's value is that of the key, not ours */
    bool plain;     /* out only: the record had no attributes of ours; all is default */
    struct lsmkv_slice xattrs; /* a list, see below */
    /* Attributes that were here before ours: of a directory with has_value, those of the
     * value (maybe empty, maybe ours: a file that got descendants); of a file, foreign
     * ones. */
    struct lsmkv_slice value_attributes;
    /* Of a directory with has_value whose value has no attributes of ours: the stamp it
     * was put with, which the record's own put replaced.  Sequence 0: none. */
    uint64_t value_stamp_sequence;
    int64_t value_stamp_time;
};

/* What a value without attributes looks like. */
struct attr_defaults {
    uint32_t uid, gid;
    uint32_t file_mode;      /* permissions, 0644 */
    uint32_t directory_mode; /* 0755 */
};

/* The attributes of `record`.  With none, or with foreign ones (not beginning with our
 * mark): a regular file as `defaults` has it, all times the stamp's, ino ATTR_INO_PLAIN |
 * the stamp's sequence, `plain` set.  record->value needs only its size.  -EUCLEAN: ours,
 * and damaged or of a newer version. */
LSMKV_CHECKED int attr_decode(const struct lsmkv_record *record,
                              const struct attr_defaults *defaults, struct attr *attr);

/* The bytes attr_encode writes; above LSMKV_ATTRIBUTES_MAX the change must be refused. */
size_t attr_encoded_size(const struct attr *attr);

/* Writes attr_encoded_size bytes; `buffer` must not overlap the slices of `attr`. */
size_t attr_encode(const struct attr *attr, void *buffer);

/* A fresh file, directory, link or device: kind inline, size 0, one link, no
 * subdirectories, all four times `now`. */
void attr_init(struct attr *attr, uint32_t mode, uint32_t uid, uint32_t gid, uint64_t ino,
               struct timespec now);

/* A directory that only keys below it imply: defaults, subdirs unknown, times `when`. */
void attr_init_implied(struct attr *attr, const struct attr_defaults *defaults,
                       uint64_t ino, struct timespec when);

/* The number of an implied directory: ATTR_INO_IMPLIED | a hash of its key and the
 * store's salt.  A mount that finds it taken by another live node asks again with the
 * next salt. */
uint64_t attr_implied_ino(uint64_t salt, struct lsmkv_slice key);

/* Makes `directory` (initialised) the record of a key that holds `record`, a value:
 * has_value, its attributes and stamp.  The value itself must be put along
 * (lsmkv_batch_put_held). */
void attr_keep_value(struct attr *directory, const struct lsmkv_record *record);

/* The attributes of the value that a directory's record keeps (has_value), decoded as
 * attr_decode does; `record` is the directory's. */
LSMKV_CHECKED int attr_decode_kept(const struct attr *directory,
                                   const struct lsmkv_record *record,
                                   const struct attr_defaults *defaults,
                                   struct attr *value);

/* As stat shows them: links (of a directory 2 + subdirs, 1 if unknown), blocks of 512. */
uint32_t attr_nlink(const struct attr *attr);
/* As `ls -l` has it: '-', 'd', 'l', ...; '?' of none. */
char attr_type_letter(mode_t mode);
uint64_t attr_blocks(const struct attr *attr);
/* All of it; st_dev and, for a reference, everything but ino and type are left 0. */
void attr_to_stat(const struct attr *attr, struct stat *st);

/* ---- lists of extended attributes ---- */

/* A list is the names and values one after another; an empty slice is an empty one. */

/* Takes the first entry off `list`; false at the end.  attr_decode has checked the
 * list. */
bool attr_xattr_next(struct lsmkv_slice *list, struct lsmkv_slice *name,
                     struct lsmkv_slice *value);
/* False: not there. */
bool attr_xattr_find(struct lsmkv_slice list, struct lsmkv_slice name,
                     struct lsmkv_slice *value);
/* Writes to `out` the list without `name`, then, unless `value` is NULL, `name` with it;
 * the result is at most list.size + 3 + name.size + value->size bytes.  Returns its
 * size. */
size_t attr_xattr_replace(struct lsmkv_slice list, struct lsmkv_slice name,
                          const struct lsmkv_slice *value, void *out);

#endif
