/*
 * export.c - see export.h.
 *
 * An iterator that passes over damage gives the keys; each record is then read by itself,
 * so that one that cannot be read is one that is lost, and never an older one.  In path
 * order a directory comes before what is in it, and one that only keys imply is written
 * where the first of them comes.
 *
 * E1  A header is written only once all that it says is known.  Then as many bytes follow
 *     as it says, read or not, so that the archive goes on behind them.
 */
#include "archive/export.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/slice.h"
#include "store/attr.h"
#include "store/data.h"
#include "store/key.h"
#include "store/records.h"

#define COPY_SIZE   (1u << 20) /* a multiple of DATA_CHUNK */
#define SINK_BLOCK  (64u << 10)
#define KEYS_FOLDER KEY_PRIVATE "/keys/"
/* Readers take no header above 1 MiB; paths are in it, too. */
#define XATTRS_MAX      900000u
#define XATTR_NAME_ROOM 800u /* a byte of it may take three */

struct export
{
    struct store *store;
    const struct lsmkv_snapshot *snapshot;
    const struct export_report *report;
    const struct export_sink *sink; /* NULL: a descriptor */
    struct archive *archive;
    struct archive_entry_linkresolver *links; /* of files with several names */
    uint64_t lost;
    char unread[256]; /* why keys could not be read, which ended it */
    uint8_t *bytes;   /* COPY_SIZE of contents */
    char *path;       /* of the entry; grows */
    size_t capacity;  /* of it */
    uint8_t key[LSMKV_KEY_MAX], last[LSMKV_KEY_MAX];
    size_t last_size; /* of the key before; SIZE_MAX: there is none */
    size_t tree_size; /* of the key that is exported with all below it */
};

/* What is written of one file. */
struct file {
    struct lsmkv_slice key; /* for reports */
    struct attr attr;
    struct lsmkv_slice value;
};

/* ---- telling ---- */

static void
lose(struct export *export, struct lsmkv_slice key, const char *what)
{
    export->lost++;
    export->report->lost(export->report->context, key, what);
}

static void
lose_because(struct export *export, struct lsmkv_slice key, int result)
{
    const char *detail = lsmkv_error_detail();
    lose(export, key, *detail ? detail : lsmkv_strerror(result));
}

/* ---- paths ---- */

/* Sets the path to `prefix` and `size` bytes, which the caller fills in; "." if both are
 * empty.  NULL: no memory. */
static char *
path_reserve(struct export *export, const char *prefix, size_t size)
{
    size_t length = strlen(prefix);
    if (length + size + 2 > export->capacity) {
        char *path = realloc(export->path, length + size + 2);
        if (!path)
            return NULL;
        export->path = path;
        export->capacity = length + size + 2;
    }
    memcpy(export->path, prefix, length);
    export->path[length + size] = '\0';
    if (length + size == 0)
        strcpy(export->path, ".");
    return export->path + length;
}

static int
path_of_key(struct export *export, struct lsmkv_slice key)
{
    char *at = path_reserve(export, "", key.size);
    if (!at)
        return -ENOMEM;
    if (key.size > 0)
        memcpy(at, key.data, key.size);
    return 0;
}

/* Where a mount shows a value that has no path. */
static int
path_of_value(struct export *export, struct lsmkv_slice key)
{
    char *at = path_reserve(export, KEYS_FOLDER, key_encoded_size(key));
    if (!at)
        return -ENOMEM;
    key_encode(key, at);
    return 0;
}

/* ---- extended attributes ---- */

/* `*room`: for further ones; -E2BIG: it is too small. */
static int
add_xattr(struct archive_entry *entry, struct lsmkv_slice name, struct lsmkv_slice value,
          size_t *room)
{
    char text[256];
    if (name.size == 0 || name.size >= sizeof text)
        return -EUCLEAN;
    if (XATTR_NAME_ROOM + value.size > *room)
        return -E2BIG;
    *room -= XATTR_NAME_ROOM + value.size;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    archive_entry_xattr_add_entry(entry, text, value.data, value.size);
    return 0;
}

/* Those that have records of their own. */
static int
add_xattr_records(struct export *export, struct archive_entry *entry, uint64_t ino,
                  size_t *room)
{
    struct record_key lower = record_xattr(ino, lsmkv_bytes(NULL, 0));
    struct record_key upper = record_xattr_end(ino);
    struct lsmkv_iter_options options = {.snapshot = export->snapshot,
                                         .lower = record_slice(&lower),
                                         .upper = record_slice(&upper)};
    struct lsmkv_iter *iter;
    int result =
        export->store->inodes
            ? lsmkv_iter_new(export->store->db, export->store->inodes, &options, &iter)
            : -EUCLEAN;
    if (result)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && result == 0;
         lsmkv_iter_next(iter))
        result = add_xattr(entry, record_xattr_name(lsmkv_iter_key(iter)),
                           lsmkv_iter_record(iter)->value, room);
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

static void
add_xattrs(struct export *export, struct archive_entry *entry, const struct file *file)
{
    struct lsmkv_slice list = file->attr.xattrs, name, value;
    size_t room = XATTRS_MAX;
    int result = 0;
    while (result == 0 && attr_xattr_next(&list, &name, &value))
        result = add_xattr(entry, name, value, &room);
    if (result == 0 && file->attr.xattr_records)
        result = add_xattr_records(export, entry, file->attr.ino, &room);
    if (result == -E2BIG)
        lose(export, file->key,
             "an archive has no room for all of its extended attributes");
    else if (result)
        lose(export, file->key, "not all of its extended attributes can be read");
}

/* ---- entries ---- */

static int
archive_failure(struct export *export, int status)
{
    int error = archive_errno(export->archive);
    if (status >= ARCHIVE_WARN)
        return 0;
    return error > 0 ? -error : -EIO;
}

/* Libarchive writes a time before 1970 as if its fraction went the other way. */
static long
fraction_of(struct timespec time)
{
    return time.tv_sec < 0 ? 0 : time.tv_nsec;
}

static void
describe(struct archive_entry *entry, const char *path, const struct attr *attr)
{
    archive_entry_set_pathname(entry, path);
    archive_entry_set_mode(entry, attr->mode);
    archive_entry_set_uid(entry, attr->uid);
    archive_entry_set_gid(entry, attr->gid);
    archive_entry_set_atime(entry, attr->atime.tv_sec, fraction_of(attr->atime));
    archive_entry_set_mtime(entry, attr->mtime.tv_sec, fraction_of(attr->mtime));
    archive_entry_set_ctime(entry, attr->ctime.tv_sec, fraction_of(attr->ctime));
    archive_entry_set_dev(entry, 1); /* links are told apart by device and inode */
    archive_entry_set_ino64(entry, (int64_t)attr->ino);
    archive_entry_set_nlink(entry, S_ISDIR(attr->mode) ? 1 : attr->nlink);
    if (S_ISREG(attr->mode))
        archive_entry_set_size(entry, (int64_t)attr->data.size);
    else
        archive_entry_set_size(entry, 0);
    if (S_ISCHR(attr->mode) || S_ISBLK(attr->mode)) {
        archive_entry_set_rdevmajor(entry, major(attr->rdev));
        archive_entry_set_rdevminor(entry, minor(attr->rdev));
    }
}

static int
set_target(struct export *export, struct archive_entry *entry, const struct file *file)
{
    char target[4096];
    if (!S_ISLNK(file->attr.mode))
        return 0;
    if (file->value.size == 0 || file->value.size >= sizeof target) {
        lose(export, file->key, "a symbolic link whose target has no valid length");
        return -EUCLEAN;
    }
    memcpy(target, file->value.data, file->value.size);
    target[file->value.size] = '\0';
    archive_entry_set_symlink(entry, target);
    return 0;
}

/* ---- contents ---- */

static int
write_bytes(struct export *export, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        la_ssize_t done = archive_write_data(export->archive, at, size);
        if (done <= 0)
            return archive_failure(export, done < 0 ? (int)done : ARCHIVE_FATAL);
        at += done;
        size -= (size_t)done;
    }
    return 0;
}

/* Reads `size` bytes at `offset`, all of them; what cannot be read becomes zeros (E1). */
static void
read_contents(struct export *export, const struct file *file, uint64_t offset,
              uint8_t *bytes, size_t size)
{
    size_t got = 0;
    int result = data_read(export->store, export->snapshot, &file->attr.data, file->value,
                           offset, bytes, size, &got);
    if (result == 0 && got == size)
        return;
    memset(bytes, 0, size);
    if (size > DATA_CHUNK) {
        /* Only the chunks that are bad are lost. */
        for (size_t at = 0; at < size; at += DATA_CHUNK)
            read_contents(export, file, offset + at, bytes + at,
                          size - at < DATA_CHUNK ? size - at : DATA_CHUNK);
        return;
    }
    char what[128];
    snprintf(what, sizeof what, "bytes %llu to %llu cannot be read, and are zeros",
             (unsigned long long)offset, (unsigned long long)(offset + size));
    lose(export, file->key, what);
}

static int
write_contents(struct export *export, const struct file *file)
{
    uint64_t size = file->attr.data.size;
    int result = 0;
    for (uint64_t offset = 0; offset < size && result == 0; offset += COPY_SIZE) {
        size_t part = size - offset < COPY_SIZE ? (size_t)(size - offset) : COPY_SIZE;
        read_contents(export, file, offset, export->bytes, part);
        result = write_bytes(export, export->bytes, part);
    }
    return result;
}

/* Writes the file, or the directory, at the path that is set. */
static int
write_entry(struct export *export, const struct file *file)
{
    struct archive_entry *entry, *later = NULL;
    int result = 0;
    if (S_ISSOCK(file->attr.mode)) {
        export->report->left_out(export->report->context, file->key, "a socket");
        return 0;
    }
    entry = archive_entry_new();
    if (!entry)
        return -ENOMEM;
    describe(entry, export->path, &file->attr);
    if (set_target(export, entry, file) == 0) {
        add_xattrs(export, entry, file);
        archive_entry_linkify(export->links, &entry, &later);
        result = archive_failure(export, archive_write_header(export->archive, entry));
        if (result == 0 && S_ISREG(file->attr.mode) && !archive_entry_hardlink(entry))
            result = write_contents(export, file);
    }
    archive_entry_free(entry);
    return result;
}

/* ---- keys ---- */

/* From a name of a file with several to what they share. */
static int
follow(struct export *export, struct file *file, struct lsmkv_held **shared)
{
    struct store *store = export->store;
    struct record_key key = record_inode(file->attr.ino);
    int result = store->inodes
                     ? lsmkv_get_held(store->db, store->inodes, export->snapshot,
                                      record_slice(&key), shared)
                     : -EUCLEAN;
    if (result)
        return result == -ENOENT ? -EUCLEAN : result;
    file->value = lsmkv_held_record(*shared)->value;
    result = attr_decode(lsmkv_held_record(*shared), &store->defaults, &file->attr);
    return result == 0 && file->attr.data.kind == ATTR_REFERENCE ? -EUCLEAN : result;
}

/* Writes what `file`, of which attributes and value are known, turns out to be. */
static int
write_file(struct export *export, struct file *file)
{
    struct lsmkv_held *shared = NULL;
    int result = 0;
    if (file->attr.data.kind == ATTR_REFERENCE)
        result = follow(export, file, &shared);
    if (result == -ENOMEM)
        return result;
    if (result)
        lose_because(export, file->key, result);
    else
        result = write_entry(export, file);
    if (shared)
        lsmkv_held_release(shared);
    return result == -EUCLEAN || result == -EBADMSG ? 0 : result;
}

static int
write_directory(struct export *export, struct file *file,
                const struct lsmkv_record *record)
{
    struct file kept = {.key = file->key, .value = record->value};
    int result = path_of_key(export, file->key);
    if (result == 0)
        result = write_entry(export, file);
    if (result || !file->attr.has_value)
        return result;
    if (attr_decode_kept(&file->attr, record, &export->store->defaults, &kept.attr)) {
        lose(export, file->key, "the attributes of its value are damaged");
        return 0;
    }
    result = path_of_value(export, file->key);
    return result ? result : write_file(export, &kept);
}

/* A directory without a record. */
static int
write_implied(struct export *export, struct lsmkv_slice key)
{
    struct file file = {.key = key};
    attr_init_implied(&file.attr, &export->store->defaults, 0, (struct timespec){0});
    int result = path_of_key(export, key);
    return result ? result : write_entry(export, &file);
}

static bool
is_in(struct lsmkv_slice key, struct lsmkv_slice tree)
{
    return key_is_below(key, tree) || slices_equal(key, tree);
}

/* The directories above `key`, in the tree, that the key before was not in. */
static int
write_parents(struct export *export, struct lsmkv_slice key)
{
    struct lsmkv_slice last = lsmkv_bytes(export->last, export->last_size);
    const char *bytes = key.data;
    int result = 0;
    for (size_t i = 1; i < key.size && result == 0; i++) {
        struct lsmkv_slice parent = lsmkv_bytes(bytes, i);
        if (bytes[i] != '/' || i < export->tree_size)
            continue;
        if (!key_is_plain(parent))
            break;
        if (export->last_size == SIZE_MAX || !is_in(last, parent))
            result = write_implied(export, parent);
    }
    return result;
}

static int
write_record(struct export *export, struct lsmkv_slice key, bool has_below,
             const struct lsmkv_record *record)
{
    struct file file = {.key = key, .value = record->value};
    int result = attr_decode(record, &export->store->defaults, &file.attr);
    if (result) {
        lose(export, key, "its attributes are damaged");
        return 0;
    }
    if (S_ISDIR(file.attr.mode) && key_is_plain(key))
        return write_directory(export, &file, record);
    if (has_below && key_is_plain(key)) {
        result = write_implied(export, key);
        if (result)
            return result;
    }
    if (has_below || !key_is_plain(key) || key.size == 0)
        result = path_of_value(export, key);
    else
        result = path_of_key(export, key);
    return result ? result : write_file(export, &file);
}

/* `has_below`: the next key is below this one, export->key. */
static int
write_key(struct export *export, struct lsmkv_slice key, bool has_below)
{
    struct lsmkv_held *held;
    int result = write_parents(export, key);
    if (result)
        return result;
    memcpy(export->last, key.data, key.size);
    export->last_size = key.size;
    result = lsmkv_get_held(export->store->db, export->store->files, export->snapshot,
                            key, &held);
    if (result == -ENOMEM)
        return result;
    if (result) {
        lose_because(export, key, result);
        return 0;
    }
    result = write_record(export, key, has_below, lsmkv_held_record(held));
    lsmkv_held_release(held);
    return result;
}

/* The next call of the engine forgets what it said of this one. */
static void
note_unread(struct export *export, const struct lsmkv_iter *iter)
{
    if (!lsmkv_iter_valid(iter) && lsmkv_iter_status(iter) != 0)
        snprintf(export->unread, sizeof export->unread, "%s", lsmkv_error_detail());
}

int
export_tree(struct export *export, struct lsmkv_slice tree)
{
    struct lsmkv_iter_options options = {
        .snapshot = export->snapshot, .lower = tree, .lazy_values = true};
    struct lsmkv_iter *iter;
    bool any = false;
    int result =
        export->sink
            ? lsmkv_iter_new(export->store->db, export->store->files, &options, &iter)
            : lsmkv_iter_new_salvaging(export->store->db, export->store->files, &options,
                                       &iter);
    if (result)
        return result;
    export->tree_size = tree.size;
    export->last_size = SIZE_MAX;
    lsmkv_iter_first(iter);
    note_unread(export, iter);
    while (result == 0 && lsmkv_iter_valid(iter) && is_in(lsmkv_iter_key(iter), tree)) {
        struct lsmkv_slice key = lsmkv_iter_key(iter);
        memcpy(export->key, key.data, key.size);
        key = lsmkv_bytes(export->key, key.size);
        lsmkv_iter_next(iter);
        note_unread(export, iter);
        result =
            write_key(export, key,
                      lsmkv_iter_valid(iter) && key_is_below(lsmkv_iter_key(iter), key));
        any = true;
    }
    if (result == 0)
        result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result == 0 && !any ? -ENOENT : result;
}

/* ---- its life ---- */

static la_ssize_t
write_to_sink(struct archive *archive, void *context, const void *bytes, size_t size)
{
    const struct export *export = context;
    int result = export->sink->write(export->sink->context, bytes, size);
    if (result == 0)
        return (la_ssize_t)size;
    archive_set_error(archive, -result, "the archive cannot be written");
    return -1;
}

static int
open_sink(struct export *export)
{
    int status = archive_write_set_bytes_per_block(export->archive, SINK_BLOCK);
    if (status == ARCHIVE_OK)
        status = archive_write_open(export->archive, export, NULL, write_to_sink, NULL);
    return status;
}

static bool
is_device(int fd)
{
    struct stat status;
    return fd >= 0 && fstat(fd, &status) == 0 &&
           (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode));
}

static int
open_archive(struct export *export, int fd)
{
    struct archive *archive = export->archive = archive_write_new();
    export->links = archive_entry_linkresolver_new();
    if (!archive || !export->links)
        return -ENOMEM;
    archive_entry_linkresolver_set_strategy(export->links,
                                            ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
    int status = archive_write_set_format_pax(archive);
    if (status == ARCHIVE_OK)
        status = archive_write_set_format_option(archive, "pax", "xattrheader", "SCHILY");
    /* The last block is cut, but for a device, which may be a tape. */
    if (status == ARCHIVE_OK && !is_device(fd))
        status = archive_write_set_bytes_in_last_block(archive, 1);
    if (status == ARCHIVE_OK)
        status = export->sink ? open_sink(export) : archive_write_open_fd(archive, fd);
    return archive_failure(export, status);
}

static void
export_free(struct export *export)
{
    if (export->archive)
        archive_write_free(export->archive);
    if (export->links)
        archive_entry_linkresolver_free(export->links);
    free(export->bytes);
    free(export->path);
    free(export);
}

static int
make(struct store *store, const struct lsmkv_snapshot *snapshot, int fd,
     const struct export_sink *sink, const struct export_report *report,
     struct export **out)
{
    struct export *export = calloc(1, sizeof *export);
    if (!export)
        return -ENOMEM;
    export->store = store;
    export->snapshot = snapshot;
    export->report = report;
    export->sink = sink;
    export->bytes = malloc(COPY_SIZE);
    int result = export->bytes ? open_archive(export, fd) : -ENOMEM;
    if (result)
        export_free(export);
    else
        *out = export;
    return result;
}

int
export_new(struct store *store, const struct lsmkv_snapshot *snapshot, int fd,
           const struct export_report *report, struct export **out)
{
    return make(store, snapshot, fd, NULL, report, out);
}

int
export_new_to(struct store *store, const struct lsmkv_snapshot *snapshot,
              const struct export_sink *sink, const struct export_report *report,
              struct export **out)
{
    return make(store, snapshot, -1, sink, report, out);
}

const char *
export_unread(const struct export *export)
{
    return export->unread;
}

int
export_finish(struct export *export, uint64_t *lost)
{
    int result = archive_failure(export, archive_write_close(export->archive));
    *lost = export->lost;
    export_free(export);
    return result;
}
