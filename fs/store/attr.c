/*
 * attr.c - the attributes codec.  Integers are little-endian.
 *
 *     offset  size  field
 *          0     1  mark        0xF5: ours
 *          1     1  version     1
 *          2     1  kind        1 inline, 2 chunks, 3 reference
 *          3     1  flags       see below
 *          4     4  mode        of a reference the type alone
 *          8     8  ino
 *    -- a reference ends here --
 *         16     4  uid
 *         20     4  gid
 *         24    48  times       access, change of contents, change of inode, birth:
 *                               8 seconds since 1970 (signed), 4 nanoseconds each
 *    -- then, in this order, what kind and flags say --
 *               24  data        kind 2: 8 size, 8 data id, 8 chunks present
 *                4  links       0x04: names of an inode record, subdirectories of a directory
 *                8  rdev        0x08
 *            2 + n  xattrs      0x10: length, list
 *            2 + n  value       0x20: length, attributes that were here before ours
 *               16  stamp       0x40: sequence and time (nanoseconds) of the put of the value
 *                               that a directory keeps
 *
 *     0x01 further extended attributes are records of their own
 *     0x02 a directory whose record keeps the value of its key
 *
 *     a list of extended attributes: 1 length of name, 2 length of value, name, value;
 *     again
 *
 * A1  Nothing follows the last field, and a field that says nothing is left out: one
 *     struct attr, one encoding.
 * A2  An inline file's size is that of its value, nowhere else.
 */
#include "store/attr.h"

#include <errno.h>
#include <string.h>

#include "common/coding.h"
#include "common/slice.h"

enum {
    MARK = 0xF5,
    VERSION = 1,
    REFERENCE_SIZE = 16,
    FIXED_SIZE = 72,
    DATA_FIELD_SIZE = 24,
    STAMP_SIZE = 16,
    NANOSECONDS = 1000000000,
};

enum {
    HAS_XATTR_RECORDS = 0x01,
    HAS_VALUE = 0x02,
    HAS_LINKS = 0x04,
    HAS_RDEV = 0x08,
    HAS_XATTRS = 0x10,
    HAS_VALUE_ATTRIBUTES = 0x20,
    HAS_STAMP = 0x40,
    KNOWN_FLAGS = 0x7F,
};

#define DIRECTORY_SIZE 4096u /* what stat shows, as ext4's does */

/* ---- decoding ---- */

/* What is left of the bytes; a field that does not fit empties it and sets `bad`. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static const uint8_t *
reader_take(struct reader *reader, size_t size)
{
    static const uint8_t zeros[DATA_FIELD_SIZE];
    if (size > reader->left) {
        reader->bad = true;
        reader->left = 0;
        return size <= sizeof zeros ? zeros : NULL;
    }
    const uint8_t *field = reader->at;
    reader->at += size;
    reader->left -= size;
    return field;
}

static struct lsmkv_slice
reader_bytes(struct reader *reader)
{
    size_t size = get_le16(reader_take(reader, 2));
    const uint8_t *bytes = reader_take(reader, size);
    return reader->bad ? lsmkv_bytes(NULL, 0) : lsmkv_bytes(bytes, size);
}

static void
read_time(const uint8_t *at, struct timespec *time, bool *bad)
{
    time->tv_sec = (int64_t)get_le64(at);
    uint32_t nanoseconds = get_le32(at + 8);
    *bad |= nanoseconds >= NANOSECONDS;
    time->tv_nsec = (long)nanoseconds;
}

static void
read_data(struct reader *reader, struct attr_data *data)
{
    const uint8_t *field = reader_take(reader, DATA_FIELD_SIZE);
    data->size = get_le64(field);
    data->id = get_le64(field + 8);
    data->chunks = get_le64(field + 16);
    reader->bad |= data->size > INT64_MAX;
}

/* Does every entry of the list end within it, and have a name? */
static bool
list_is_whole(struct lsmkv_slice list)
{
    struct lsmkv_slice name, value;
    while (attr_xattr_next(&list, &name, &value))
        continue;
    return list.size == 0;
}

static void
read_optional(struct reader *reader, uint8_t flags, struct attr *attr)
{
    if (attr->data.kind == ATTR_CHUNKS)
        read_data(reader, &attr->data);
    if (flags & HAS_LINKS) {
        uint32_t links = get_le32(reader_take(reader, 4));
        *(S_ISDIR(attr->mode) ? &attr->subdirs : &attr->nlink) = links;
    }
    if (flags & HAS_RDEV)
        attr->rdev = get_le64(reader_take(reader, 8));
    if (flags & HAS_XATTRS)
        attr->xattrs = reader_bytes(reader);
    if (flags & HAS_VALUE_ATTRIBUTES)
        attr->value_attributes = reader_bytes(reader);
    if (flags & HAS_STAMP) {
        const uint8_t *stamp = reader_take(reader, STAMP_SIZE);
        attr->value_stamp_sequence = get_le64(stamp);
        attr->value_stamp_time = (int64_t)get_le64(stamp + 8);
    }
    reader->bad |= reader->left > 0 || !list_is_whole(attr->xattrs);
}

/* Everything of `attr` is 0 or unknown but mode, ino and kind. */
static void
attr_clear(struct attr *attr, uint32_t mode, uint64_t ino, enum attr_kind kind)
{
    memset(attr, 0, sizeof *attr);
    attr->mode = mode;
    attr->ino = ino;
    attr->data.kind = kind;
    attr->nlink = 1;
    attr->subdirs = ATTR_SUBDIRS_UNKNOWN;
}

static bool
is_ours(struct lsmkv_slice attributes)
{
    return attributes.size > 0 && *(const uint8_t *)attributes.data == MARK;
}

static bool
is_file_type(uint32_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISFIFO(mode) ||
           S_ISSOCK(mode) || S_ISCHR(mode) || S_ISBLK(mode);
}

static int
decode_ours(const struct lsmkv_record *record, struct attr *attr)
{
    struct reader reader = {record->attributes.data, record->attributes.size, false};
    const uint8_t *head = reader_take(&reader, REFERENCE_SIZE);
    uint8_t kind = head[2], flags = head[3];
    if (reader.bad || head[1] != VERSION || kind < ATTR_INLINE || kind > ATTR_REFERENCE ||
        (flags & ~KNOWN_FLAGS))
        return -EUCLEAN;
    attr_clear(attr, get_le32(head + 4), get_le64(head + 8), (enum attr_kind)kind);
    if (!is_file_type(attr->mode))
        return -EUCLEAN;
    if (kind == ATTR_REFERENCE) /* a directory has one name */
        return reader.left == 0 && flags == 0 && !S_ISDIR(attr->mode) ? 0 : -EUCLEAN;
    if (reader.left < FIXED_SIZE - REFERENCE_SIZE)
        return -EUCLEAN;
    const uint8_t *fixed = reader_take(&reader, FIXED_SIZE - REFERENCE_SIZE);
    attr->uid = get_le32(fixed);
    attr->gid = get_le32(fixed + 4);
    struct timespec *times[] = {&attr->atime, &attr->mtime, &attr->ctime, &attr->btime};
    for (size_t i = 0; i < 4; i++)
        read_time(fixed + 8 + 12 * i, times[i], &reader.bad);
    attr->xattr_records = flags & HAS_XATTR_RECORDS;
    attr->has_value = flags & HAS_VALUE;
    read_optional(&reader, flags, attr);
    if (kind == ATTR_INLINE && !S_ISDIR(attr->mode))
        attr->data.size = record->value.size;
    return reader.bad ? -EUCLEAN : 0;
}

static struct timespec
stamp_timespec(int64_t nanoseconds)
{
    struct timespec time = {nanoseconds / NANOSECONDS, (long)(nanoseconds % NANOSECONDS)};
    if (time.tv_nsec < 0) {
        time.tv_sec--;
        time.tv_nsec += NANOSECONDS;
    }
    return time;
}

int
attr_decode(const struct lsmkv_record *record, const struct attr_defaults *defaults,
            struct attr *attr)
{
    if (is_ours(record->attributes))
        return decode_ours(record, attr);
    attr_init(attr, S_IFREG | defaults->file_mode, defaults->uid, defaults->gid,
              ATTR_INO_PLAIN | record->stamp_sequence,
              stamp_timespec(record->stamp_time));
    attr->data.size = record->value.size;
    attr->plain = true;
    attr->value_attributes = record->attributes;
    return 0;
}

int
attr_decode_kept(const struct attr *directory, const struct lsmkv_record *record,
                 const struct attr_defaults *defaults, struct attr *value)
{
    struct lsmkv_record kept = *record;
    kept.attributes = directory->value_attributes;
    if (directory->value_stamp_sequence > 0) {
        kept.stamp_sequence = directory->value_stamp_sequence;
        kept.stamp_time = directory->value_stamp_time;
    }
    return attr_decode(&kept, defaults, value);
}

/* ---- encoding ---- */

/* The field `links`, and whether it says anything. */
static bool
attr_links(const struct attr *attr, uint32_t *links)
{
    bool directory = S_ISDIR(attr->mode);
    *links = directory ? attr->subdirs : attr->nlink;
    return *links != (directory ? ATTR_SUBDIRS_UNKNOWN : 1);
}

static uint8_t
attr_flags(const struct attr *attr)
{
    uint32_t links;
    unsigned flags = 0;
    if (attr->xattr_records)
        flags |= HAS_XATTR_RECORDS;
    if (attr->has_value)
        flags |= HAS_VALUE;
    if (attr_links(attr, &links))
        flags |= HAS_LINKS;
    if (attr->rdev != 0)
        flags |= HAS_RDEV;
    if (attr->xattrs.size > 0)
        flags |= HAS_XATTRS;
    if (attr->value_attributes.size > 0)
        flags |= HAS_VALUE_ATTRIBUTES;
    if (attr->has_value && attr->value_stamp_sequence > 0)
        flags |= HAS_STAMP;
    return (uint8_t)flags;
}

size_t
attr_encoded_size(const struct attr *attr)
{
    if (attr->data.kind == ATTR_REFERENCE)
        return REFERENCE_SIZE;
    uint8_t flags = attr_flags(attr);
    size_t size = FIXED_SIZE;
    size += attr->data.kind == ATTR_CHUNKS ? DATA_FIELD_SIZE : 0;
    size += flags & HAS_LINKS ? 4 : 0;
    size += flags & HAS_RDEV ? 8 : 0;
    size += flags & HAS_XATTRS ? 2 + attr->xattrs.size : 0;
    size += flags & HAS_VALUE_ATTRIBUTES ? 2 + attr->value_attributes.size : 0;
    size += flags & HAS_STAMP ? STAMP_SIZE : 0;
    return size;
}

static uint8_t *
put_time(uint8_t *at, struct timespec time)
{
    at = put_le64(at, (uint64_t)time.tv_sec);
    return put_le32(at, (uint32_t)time.tv_nsec);
}

static uint8_t *
put_bytes(uint8_t *at, struct lsmkv_slice bytes)
{
    at = put_le16(at, (uint16_t)bytes.size);
    memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static uint8_t *
put_optional(uint8_t *at, const struct attr *attr)
{
    uint32_t links;
    if (attr->data.kind == ATTR_CHUNKS) {
        at = put_le64(at, attr->data.size);
        at = put_le64(at, attr->data.id);
        at = put_le64(at, attr->data.chunks);
    }
    if (attr_links(attr, &links))
        at = put_le32(at, links);
    if (attr->rdev != 0)
        at = put_le64(at, attr->rdev);
    if (attr->xattrs.size > 0)
        at = put_bytes(at, attr->xattrs);
    if (attr->value_attributes.size > 0)
        at = put_bytes(at, attr->value_attributes);
    if (attr->has_value && attr->value_stamp_sequence > 0) {
        at = put_le64(at, attr->value_stamp_sequence);
        at = put_le64(at, (uint64_t)attr->value_stamp_time);
    }
    return at;
}

size_t
attr_encode(const struct attr *attr, void *buffer)
{
    bool reference = attr->data.kind == ATTR_REFERENCE;
    uint8_t *at = buffer;
    *at++ = MARK;
    *at++ = VERSION;
    *at++ = (uint8_t)attr->data.kind;
    *at++ = reference ? 0 : attr_flags(attr);
    at = put_le32(at, reference ? attr->mode & S_IFMT : attr->mode);
    at = put_le64(at, attr->ino);
    if (reference)
        return REFERENCE_SIZE;
    at = put_le32(at, attr->uid);
    at = put_le32(at, attr->gid);
    at = put_time(at, attr->atime);
    at = put_time(at, attr->mtime);
    at = put_time(at, attr->ctime);
    at = put_time(at, attr->btime);
    at = put_optional(at, attr);
    return (size_t)(at - (uint8_t *)buffer);
}

/* ---- making ---- */

void
attr_init(struct attr *attr, uint32_t mode, uint32_t uid, uint32_t gid, uint64_t ino,
          struct timespec now)
{
    attr_clear(attr, mode, ino, ATTR_INLINE);
    attr->uid = uid;
    attr->gid = gid;
    attr->atime = attr->mtime = attr->ctime = attr->btime = now;
    if (S_ISDIR(mode))
        attr->subdirs = 0;
}

void
attr_init_implied(struct attr *attr, const struct attr_defaults *defaults, uint64_t ino,
                  struct timespec when)
{
    attr_init(attr, S_IFDIR | defaults->directory_mode, defaults->uid, defaults->gid, ino,
              when);
    attr->subdirs = ATTR_SUBDIRS_UNKNOWN;
}

uint64_t
attr_implied_ino(uint64_t salt, struct lsmkv_slice key)
{
    const uint8_t *bytes = key.data;
    uint64_t hash = salt;
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    hash *= UINT64_C(0xd6e8feb86659fd93);
    hash ^= hash >> 32;
    return ATTR_INO_IMPLIED | (hash & (ATTR_INO_IMPLIED - 1));
}

void
attr_keep_value(struct attr *directory, const struct lsmkv_record *record)
{
    directory->has_value = true;
    directory->value_attributes = record->attributes;
    directory->value_stamp_sequence = 0;
    if (!is_ours(record->attributes)) {
        directory->value_stamp_sequence = record->stamp_sequence;
        directory->value_stamp_time = record->stamp_time;
    }
}

/* ---- showing ---- */

char
attr_type_letter(mode_t mode)
{
    return "?pc?d?b?-?l?s???"[(mode & S_IFMT) >> 12];
}

uint32_t
attr_nlink(const struct attr *attr)
{
    if (!S_ISDIR(attr->mode))
        return attr->nlink;
    return attr->subdirs < ATTR_SUBDIRS_UNKNOWN - 2 ? 2 + attr->subdirs : 1;
}

uint64_t
attr_blocks(const struct attr *attr)
{
    uint64_t size = S_ISDIR(attr->mode) ? DIRECTORY_SIZE : attr->data.size;
    uint64_t blocks = size / 512 + (size % 512 > 0);
    if (attr->data.kind != ATTR_CHUNKS)
        return blocks;
    /* Of a file with holes only the chunks are counted, each as if it were full. */
    uint64_t present =
        attr->data.chunks <= INT64_MAX / 256 ? attr->data.chunks * 256 : blocks;
    return present < blocks ? present : blocks;
}

void
attr_to_stat(const struct attr *attr, struct stat *st)
{
    memset(st, 0, sizeof *st);
    st->st_ino = attr->ino;
    st->st_mode = attr->mode;
    if (attr->data.kind == ATTR_REFERENCE)
        return;
    st->st_nlink = attr_nlink(attr);
    st->st_uid = attr->uid;
    st->st_gid = attr->gid;
    st->st_rdev = attr->rdev;
    st->st_size = (off_t)(S_ISDIR(attr->mode) ? DIRECTORY_SIZE : attr->data.size);
    st->st_blksize = 4096;
    st->st_blocks = (blkcnt_t)attr_blocks(attr);
    st->st_atim = attr->atime;
    st->st_mtim = attr->mtime;
    st->st_ctim = attr->ctime;
}

/* ---- lists of extended attributes ---- */

bool
attr_xattr_next(struct lsmkv_slice *list, struct lsmkv_slice *name,
                struct lsmkv_slice *value)
{
    const uint8_t *bytes = list->data;
    if (list->size < 3)
        return false;
    size_t name_size = bytes[0], value_size = get_le16(bytes + 1);
    if (name_size == 0 || name_size + value_size > list->size - 3)
        return false;
    *name = lsmkv_bytes(bytes + 3, name_size);
    *value = lsmkv_bytes(bytes + 3 + name_size, value_size);
    size_t entry = 3 + name_size + value_size;
    *list = lsmkv_bytes(bytes + entry, list->size - entry);
    return true;
}

bool
attr_xattr_find(struct lsmkv_slice list, struct lsmkv_slice name,
                struct lsmkv_slice *value)
{
    struct lsmkv_slice entry_name, entry_value;
    while (attr_xattr_next(&list, &entry_name, &entry_value)) {
        if (!slices_equal(entry_name, name))
            continue;
        *value = entry_value;
        return true;
    }
    return false;
}

static uint8_t *
put_xattr(uint8_t *at, struct lsmkv_slice name, struct lsmkv_slice value)
{
    *at++ = (uint8_t)name.size;
    at = put_le16(at, (uint16_t)value.size);
    memcpy(at, name.data, name.size);
    at += name.size;
    if (value.size > 0)
        memcpy(at, value.data, value.size);
    return at + value.size;
}

size_t
attr_xattr_replace(struct lsmkv_slice list, struct lsmkv_slice name,
                   const struct lsmkv_slice *value, void *out)
{
    struct lsmkv_slice entry_name, entry_value;
    uint8_t *at = out;
    while (attr_xattr_next(&list, &entry_name, &entry_value))
        if (!slices_equal(entry_name, name))
            at = put_xattr(at, entry_name, entry_value);
    if (value)
        at = put_xattr(at, name, *value);
    return (size_t)(at - (uint8_t *)out);
}
