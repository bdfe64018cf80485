/*
 * import.c - see import.h.
 *
 * I1  Nothing is made outside of the tree: a path with ".." is refused, and one is never
 *     followed through a symbolic link, which an earlier entry may have made.
 * I2  .snapshots and .lsmfs at the root are not the archive's to make: there, a new
 *     directory would be a snapshot.  But .lsmfs/keys/NAME is a value, as lsmfs export
 *     writes it; it has no place in a directory.  One that has a path would change what is
 *     in the file there, not who owns it: it is left out, but where a directory is, which
 *     may have a value.
 * I3  What a file cannot be is refused before anything is made: numbers that a store has
 *     no room for are not cut.
 */
#include "archive/import.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/import_input.h"
#include "archive/import_make.h"
#include "archive/import_traits.h"
#include "store/key.h"

#define KEYS_FOLDER KEY_PRIVATE "/keys/"
#define ID_MAX      (UINT32_MAX - 1) /* the one above is none */
#define MAJOR_MAX   0xfffu           /* as Linux has them */
#define MINOR_MAX   0xfffffu

struct import {
    struct archive *archive;
    struct archive_entry *entry; /* the first, or the one under way */
    int status;                  /* of reading it */
    const struct import_report *report;
    const struct import_place *place;
    struct import_maker maker;
    struct import_input *input;
    bool cut; /* the entry under way, by a stop */
    /* Of a value: what of its contents is to be handed out, and behind which byte it ends. */
    const char *block;
    size_t left;
    la_int64_t end;
};

/* ---- paths ---- */

char *
import_clean(const char *directory, const char *path)
{
    char *clean = malloc(strlen(directory) + strlen(path) + 3), *end;

    if (clean == NULL)
        return NULL;
    end = stpcpy(clean, directory);
    while (*path != '\0') {
        size_t length = strcspn(path, "/");

        if (length == 2 && memcmp(path, "..", 2) == 0) {
            free(clean);
            errno = EINVAL;
            return NULL;
        }
        if (length > 1 || (length == 1 && *path != '.')) {
            if (end > clean)
                *end++ = '/';
            end = mempcpy(end, path, length);
        }
        path += length;
        path += strspn(path, "/");
    }
    *end = '\0';
    if (end == clean)
        strcpy(clean, ".");
    return clean;
}

static void
tell(struct import *import, const char *what, int result)
{
    const char *path = archive_entry_pathname(import->entry);

    import_fail(&import->maker, path != NULL ? path : "?", what, result);
}

/* Sets what is to be the entry's path, or that it is a link to; false: told. */
static bool
clean_paths(struct import *import)
{
    const char *path = archive_entry_pathname(import->entry);
    const char *link = archive_entry_hardlink(import->entry);
    const char *directory = import->place->directory;
    char *clean = path != NULL ? import_clean(directory, path) : NULL;
    char *clean_link =
        clean != NULL && link != NULL ? import_clean(directory, link) : NULL;
    bool good = clean != NULL && (link == NULL || clean_link != NULL);

    if (!good)
        tell(import, "left out: not a path in a tree", 0);
    else
        archive_entry_copy_pathname(import->entry, clean);
    if (good && link != NULL)
        archive_entry_copy_hardlink(import->entry, clean_link);
    free(clean);
    free(clean_link);
    return good;
}

/* ---- what a file cannot be (I3) ---- */

static bool
is_id(la_int64_t id)
{
    return id >= 0 && id <= (la_int64_t)ID_MAX;
}

static const char *
check_link(struct archive_entry *entry)
{
    const char *target = archive_entry_symlink(entry);

    if (target == NULL || *target == '\0')
        return "left out: a symbolic link to nowhere";
    return strlen(target) < PATH_MAX ? NULL
                                     : "left out: a symbolic link to too long a path";
}

/* Why it is left out; NULL: it is not. */
static const char *
check_entry(struct archive_entry *entry)
{
    if (!is_id(archive_entry_uid(entry)) || !is_id(archive_entry_gid(entry)))
        return "left out: the number of its owner or group is too large";
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
    case AE_IFDIR:
    case AE_IFIFO:
    case AE_IFSOCK:
        return NULL;
    case AE_IFLNK:
        return check_link(entry);
    case AE_IFCHR:
    case AE_IFBLK:
        return archive_entry_rdevmajor(entry) <= MAJOR_MAX &&
                       archive_entry_rdevminor(entry) <= MINOR_MAX
                   ? NULL
                   : "left out: the number of the device is too large";
    default:
        return "left out: of an unknown kind";
    }
}

/* ---- values without a path (I2) ---- */

static bool
is_stopped(const struct import *import)
{
    return import->report->stopped(import->report->context);
}

/* The next block of a value.  Holes have no place in one: lsmfs export writes none, and of a few bytes
 * of archive they would make a disk full of zeros. */
static int
next_block(struct import *import)
{
    const void *bytes;
    la_int64_t offset;

    if (is_stopped(import)) {
        import->cut = true;
        return -ECANCELED;
    }
    import->status =
        archive_read_data_block(import->archive, &bytes, &import->left, &offset);
    if (import->status != ARCHIVE_OK && import->status != ARCHIVE_EOF)
        return -ECANCELED;
    if (import->status == ARCHIVE_EOF) {
        import->left = 0;
        offset = archive_entry_size(import->entry);
    }
    if (offset != import->end) {
        tell(import, "left out: a value has no holes", 0);
        return -ECANCELED;
    }
    import->block = bytes;
    import->end += (la_int64_t)import->left;
    return 0;
}

/* -ECANCELED: it has not come, which is told by whoever reads the entry. */
static ssize_t
read_value(void *context, void *bytes, size_t size)
{
    struct import *import = context;
    size_t used = 0;

    while (used < size && import->status != ARCHIVE_EOF) {
        size_t part = import->left < size - used ? import->left : size - used;

        if (part > 0) {
            memcpy((char *)bytes + used, import->block, part);
            import->block += part;
        }
        import->left -= part;
        used += part;
        if (import->left == 0 && used < size) {
            int result = next_block(import);
            if (result != 0)
                return result;
        }
    }
    return (ssize_t)used;
}

static void
put_value(struct import *import, struct lsmkv_slice key)
{
    struct archive_entry *entry = import->entry;
    struct import_tree *tree = import->place->tree;
    struct bykey_source source = {read_value, import};
    struct bykey_owner owner = {.uid = (uint32_t)archive_entry_uid(entry),
                                .gid = (uint32_t)archive_entry_gid(entry),
                                .permissions = archive_entry_perm(entry),
                                .privileged = true};

    import->left = 0;
    import->end = 0;
    int result = tree->put(tree, key, &source, &owner);
    if (result == 0)
        import_end_value(&import->maker, entry, &owner);
    else if (result != -ECANCELED)
        tell(import, "", result);
}

/* Has a key a path at which a file may be (I2)? */
static bool
has_path(struct import *import, struct lsmkv_slice key)
{
    char *path = key_is_plain(key) && key.size > 0 ? strndup(key.data, key.size) : NULL;
    bool has = path != NULL && !import_is_directory(&import->maker, path);

    free(path);
    return has;
}

/* `name`: the path behind .lsmfs/keys/. */
static void
take_value(struct import *import, const char *name)
{
    const char *why = check_entry(import->entry);
    char *key = malloc(LSMKV_KEY_MAX);
    size_t size = 0;
    int result =
        key == NULL ? -ENOMEM : key_decode(lsmkv_str(name), key, LSMKV_KEY_MAX, &size);

    if (result == -ENOMEM)
        tell(import, "", result);
    else if (archive_entry_hardlink(import->entry) != NULL ||
             archive_entry_filetype(import->entry) != AE_IFREG)
        tell(import, "left out: no value of a key", 0);
    else if (result != 0)
        tell(import, "left out: not the name of a key", 0);
    else if (why != NULL)
        tell(import, why, 0);
    else if (has_path(import, lsmkv_bytes(key, size)))
        tell(import, "left out: it has a path, at which is no directory", 0);
    else
        put_value(import, lsmkv_bytes(key, size));
    free(key);
}

/* ---- entries ---- */

static bool
is_in(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return strncmp(path, folder, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

/* What the root has of its own (I2): true if this is it, and was dealt with. */
static bool
take_reserved(struct import *import)
{
    const char *path = archive_entry_pathname(import->entry);
    const char *link = archive_entry_hardlink(import->entry);
    const char *directory = import->place->directory;
    bool at_root = import->place->is_whole && *directory == '\0';
    const char *name = path + strlen(directory) + (*directory != '\0' ? 1 : 0);

    if (strlen(path) > strlen(directory) &&
        strncmp(name, KEYS_FOLDER, strlen(KEYS_FOLDER)) == 0) {
        if (at_root)
            take_value(import, name + strlen(KEYS_FOLDER));
        else
            tell(import, "left out: a value without a path has no place in a directory",
                 0);
        return true;
    }
    if (!at_root ||
        (!is_in(path, KEY_SNAPSHOTS) && !is_in(path, KEY_PRIVATE) &&
         (link == NULL || (!is_in(link, KEY_SNAPSHOTS) && !is_in(link, KEY_PRIVATE)))))
        return false;
    tell(import, "left out: the name is taken in every store", 0);
    return true;
}

static void
show_progress(const struct import *import)
{
    const struct import_report *report = import->report;

    report->progress(report->context, import_input_bytes(import->input),
                     import->maker.put + import->maker.failed);
}

/* False: they have not come, as `status` tells, or not been written. */
static bool
copy_contents(struct import *import)
{
    const void *bytes;
    size_t size;
    la_int64_t offset;

    while (!is_stopped(import)) {
        import->status = archive_read_data_block(import->archive, &bytes, &size, &offset);
        if (import->status != ARCHIVE_OK)
            return import->status == ARCHIVE_EOF;
        if (!import_write(&import->maker, bytes, size, offset))
            return false; /* the rest is skipped with the entry */
        show_progress(import);
    }
    import->cut = true;
    return false;
}

/* Is it the directory that all others go into? */
static bool
is_top(const struct import *import)
{
    const char *directory = import->place->directory;

    return strcmp(archive_entry_pathname(import->entry),
                  *directory != '\0' ? directory : ".") == 0;
}

/* The contents of a further name, if it has any, are those of the first. */
static void
take_file(struct import *import)
{
    struct archive_entry *entry = import->entry;
    const char *link = archive_entry_hardlink(entry), *why;

    if (is_top(import) && (link != NULL || archive_entry_filetype(entry) != AE_IFDIR)) {
        tell(import, "left out: all others go into it", 0);
        return;
    }
    if (link != NULL) {
        import_link(&import->maker, archive_entry_pathname(entry), link);
        return;
    }
    why = check_entry(entry);
    if (why != NULL)
        tell(import, why, 0);
    else if (import_begin(&import->maker, entry)) {
        if (archive_entry_filetype(entry) != AE_IFREG || copy_contents(import))
            import_end(&import->maker);
        else
            import_abandon(&import->maker);
    }
}

/* Names stay the bytes that they are: in the C locale libarchive turns none of them into others, and
 * warns of all that are not ASCII.  It has no other sign of it than this text, behind which it hides
 * another warning of the same entry. */
static bool
is_of_names(const char *text)
{
    return strstr(text, "can't be converted") != NULL;
}

/* A list that cannot be read is told; what else libarchive warns of may be that contents are not what
 * they should be. */
static bool
is_of_a_list(const char *text)
{
    return strstr(text, "SCHILY.acl") != NULL;
}

static const char *
text_of(struct import *import)
{
    const char *text = archive_error_string(import->archive);

    /* Of an archive cut within some headers libarchive says nothing. */
    return text != NULL ? text : "the archive ends too early, or is damaged";
}

/* Did it end here, for good, and not at its end? */
static bool
is_bad(int status)
{
    return status == ARCHIVE_RETRY || status == ARCHIVE_FATAL || status == ARCHIVE_FAILED;
}

/* Tells what libarchive warned of.  False: the entry is left out for it. */
static bool
obey_warning(struct import *import)
{
    const char *text = text_of(import);
    char why[512];

    if (import->status != ARCHIVE_WARN || is_of_names(text))
        return true;
    if (is_of_a_list(text)) {
        tell(import, text, 0);
        return true;
    }
    snprintf(why, sizeof(why), "left out: %s", text);
    tell(import, why, 0);
    return false;
}

static void
take_entry(struct import *import)
{
    import_next(&import->maker);
    import->cut = false;
    bool good = obey_warning(import);
    archive_clear_error(import->archive);
    import->status = ARCHIVE_OK;
    if (good && clean_paths(import) && !take_reserved(import))
        take_file(import);
    if (import->status != ARCHIVE_OK && import->status != ARCHIVE_EOF &&
        !is_stopped(import)) {
        char why[512];
        snprintf(why, sizeof(why), "left out: its contents: %s", text_of(import));
        tell(import, why, 0);
    }
    if (!import->cut)
        import_made(&import->maker);
}

/* ---- the whole ---- */

/* Not libarchive's own, which cannot be stopped. */
static la_ssize_t
read_archive(struct archive *archive, void *context, const void **bytes)
{
    struct import *import = context;
    ssize_t got = import_input_read(import->input, bytes);

    if (got == -EINTR) {
        import->cut = true;
        archive_set_error(archive, EINTR, "interrupted");
    } else if (got == -EBADMSG) {
        archive_set_error(archive, EBADMSG, "%s", import_input_why(import->input));
    } else if (got < 0) {
        archive_set_error(archive, (int)-got, "%s", strerror((int)-got));
    }
    return got < 0 ? ARCHIVE_FATAL : got;
}

/* Those filters that libarchive has in itself: others would be programs that it runs. */
static int
open_archive(struct import *import)
{
    static int (*const filters[])(struct archive *) = {
        archive_read_support_filter_bzip2, archive_read_support_filter_xz,
        archive_read_support_filter_zstd, archive_read_support_filter_lz4};
    struct archive *archive = import->archive;

    archive_read_support_format_tar(archive);
    /* Read on to the end of what a filter unpacks, where its checksum is. */
    archive_read_set_format_option(archive, "tar", "read_concatenated_archives", "1");
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        if (filters[i](archive) != ARCHIVE_OK) {
            archive_set_error(archive, ENOSYS, "libarchive lacks a filter");
            return ARCHIVE_FATAL;
        }
    }
    return archive_read_open(archive, import, NULL, read_archive, NULL);
}

/* Zero blocks end an archive.  Libarchive takes the end of its input for that, too, which
 * between two entries may be where it was cut off. */
static int
check_end(struct archive *archive)
{
    if (archive_filter_bytes(archive, 0) > archive_read_header_position(archive))
        return ARCHIVE_EOF;
    archive_set_error(archive, EBADMSG, "the archive has no end: it was cut off");
    return ARCHIVE_FATAL;
}

static void
next_entry(struct import *import)
{
    import->status = archive_read_next_header(import->archive, &import->entry);
    if (import->status == ARCHIVE_EOF)
        import->status = check_end(import->archive);
}

/* What became of it: 0, or as import_into returns it. */
static int
result_of(struct import *import, char *why, size_t why_size)
{
    if (is_stopped(import))
        return -ECANCELED;
    if (import->maker.broken)
        return -EIO;
    if (!is_bad(import->status))
        return 0;
    snprintf(why, why_size, "%s", text_of(import));
    return -EBADMSG;
}

int
import_open(int fd, const struct import_report *report, struct import **import, char *why,
            size_t why_size)
{
    struct import *new = calloc(1, sizeof(*new));

    if (new != NULL) {
        new->report = report;
        new->archive = archive_read_new();
        new->input = import_input_new(fd, report->stopped, report->context);
    }
    if (new == NULL || new->archive == NULL || new->input == NULL) {
        import_close(new);
        snprintf(why, why_size, "%s", strerror(ENOMEM));
        return -EBADMSG;
    }
    new->status = open_archive(new);
    if (!is_bad(new->status))
        next_entry(new);
    int result = result_of(new, why, why_size);
    if (result != 0) {
        import_close(new);
        return result;
    }
    *import = new;
    return 0;
}

int
import_into(struct import *import, const struct import_place *place,
            struct import_counts *counts, char *why, size_t why_size)
{
    const struct import_report *report = import->report;
    struct import_maker *maker = &import->maker;

    import->place = place;
    import_maker_init(maker, place->tree, report->failed, report->context);
    int result = import_make_directory(maker, place->directory);
    if (result != 0) {
        import_fail(maker, place->directory, "", result);
        maker->broken = true; /* for everything would go there */
    }
    while (import->status != ARCHIVE_EOF && !is_bad(import->status) && !maker->broken &&
           !is_stopped(import)) {
        take_entry(import);
        show_progress(import);
        if (!is_bad(import->status))
            next_entry(import);
    }
    result = result_of(import, why, why_size);
    import_maker_finish(maker);
    *counts = (struct import_counts){maker->put, maker->failed};
    return result == 0 && maker->broken ? -EIO : result;
}

void
import_close(struct import *import)
{
    if (import == NULL)
        return;
    archive_read_free(import->archive);
    import_input_free(import->input);
    free(import);
}
