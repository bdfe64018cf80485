/* import_traits.c - see import_traits.h. */
#include "archive/import_traits.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/import_acl.h"
#include "archive/import_make.h"
#include "store/acl.h"

/* ---- what an entry says ---- */

void
import_traits_read_times(struct archive_entry *entry, struct timespec times[2])
{
    const struct timespec none = {.tv_nsec = UTIME_OMIT};

    times[0] = times[1] = none;
    if (archive_entry_atime_is_set(entry)) {
        times[0].tv_sec = archive_entry_atime(entry);
        times[0].tv_nsec = archive_entry_atime_nsec(entry);
    }
    if (archive_entry_mtime_is_set(entry)) {
        times[1].tv_sec = archive_entry_mtime(entry);
        times[1].tv_nsec = archive_entry_mtime_nsec(entry);
    }
}

/* A list that is text may name users, where the archive has no numbers of them. */
static void
parse_list(struct import_maker *maker, const char *wanted, int type,
           struct import_list *list)
{
    const char *stranger = NULL;
    char what[300];
    int result =
        import_acl_make(maker->entry, type, &list->bytes, &list->size, &stranger);

    if (stranger == NULL) {
        import_done(maker, maker->path, wanted, result);
        return;
    }
    snprintf(what, sizeof(what), "%s names \"%s\", who is not known here", wanted,
             stranger);
    import_fail(maker, maker->path, what, 0);
}

/* An archive has a list as an attribute, or as text. */
static struct import_list
read_list(struct import_maker *maker, int type)
{
    const char *wanted = type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS ? ACL_ACCESS : ACL_DEFAULT;
    struct import_list list = {NULL, 0};
    const char *name;
    const void *value;

    archive_entry_xattr_reset(maker->entry);
    while (archive_entry_xattr_next(maker->entry, &name, &value, &list.size) ==
           ARCHIVE_OK) {
        if (name == NULL || strcmp(name, wanted) != 0)
            continue;
        if (list.size <= XATTR_SIZE_MAX)
            list.bytes = malloc(list.size + 1);
        if (list.bytes != NULL)
            memcpy(list.bytes, value, list.size);
        import_done(maker, maker->path, wanted,
                    list.bytes != NULL           ? 0
                    : list.size > XATTR_SIZE_MAX ? -E2BIG
                                                 : -ENOMEM);
        return list;
    }
    parse_list(maker, wanted, type, &list);
    return list;
}

struct import_traits
import_traits_read(struct import_maker *maker)
{
    struct archive_entry *entry = maker->entry;
    struct import_traits traits = {.uid = (uid_t)archive_entry_uid(entry),
                                   .gid = (gid_t)archive_entry_gid(entry),
                                   .mode = archive_entry_perm(entry)};

    import_traits_read_times(entry, traits.times);
    if (archive_entry_filetype(entry) != AE_IFLNK)
        traits.access = read_list(maker, ARCHIVE_ENTRY_ACL_TYPE_ACCESS);
    if (archive_entry_filetype(entry) == AE_IFDIR)
        traits.inherited = read_list(maker, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT);
    return traits;
}

void
import_traits_fini(struct import_traits *traits)
{
    free(traits->access.bytes);
    free(traits->inherited.bytes);
}

/* ---- attributes ---- */

/* M3: what was told of an owner that could not be set counts, too. */
static mode_t
mode_of(struct import_maker *maker, union import_file file,
        const struct import_traits *traits)
{
    mode_t mode = traits->mode;
    struct stat now = {0};

    if ((mode & (S_ISUID | S_ISGID)) == 0)
        return mode;
    int result = maker->tree->stat(maker->tree, file, &now);
    if (result != 0 || now.st_uid != traits->uid)
        mode &= ~(mode_t)S_ISUID;
    if (result != 0 || now.st_gid != traits->gid)
        mode &= ~(mode_t)S_ISGID;
    return mode;
}

void
import_drop_list(struct import_maker *maker, const char *path, union import_file file,
                 const char *name)
{
    int result = maker->tree->remove_xattr(maker->tree, file, name);

    if (result != -ENODATA && result != -EOPNOTSUPP)
        import_done(maker, path, name, result);
}

static void
set_list(struct import_maker *maker, const char *path, union import_file file,
         const char *name, const struct import_list *list)
{
    int result = list->bytes == NULL ? 0
                                     : maker->tree->set_xattr(maker->tree, file, name,
                                                              list->bytes, list->size);

    if (result == -EOPNOTSUPP)
        import_fail(maker, path,
                    "no access control list: the store is mounted without -o acl", 0);
    else
        import_done(maker, path, name, result);
}

void
import_traits_set(struct import_maker *maker, const char *path, union import_file file,
                  const struct import_traits *traits, bool is_link)
{
    struct import_tree *tree = maker->tree;

    if (tree->sets_owners)
        import_done(maker, path, "its owner",
                    tree->set_owner(tree, file, traits->uid, traits->gid));
    if (is_link)
        return;
    import_drop_list(maker, path, file, ACL_ACCESS);
    import_done(maker, path, "its mode",
                tree->set_mode(tree, file, mode_of(maker, file, traits)));
    set_list(maker, path, file, ACL_ACCESS, &traits->access);
    set_list(maker, path, file, ACL_DEFAULT, &traits->inherited);
}

void
import_traits_set_times(struct import_maker *maker, const char *path,
                        union import_file file, const struct import_traits *traits)
{
    import_done(maker, path, "its times",
                maker->tree->set_times(maker->tree, file, traits->times));
}

static int
digit_of(char letter)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = letter != '\0' ? strchr(digits, letter) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* GNU tar escapes a '=', which would end the name, and '%'; lsmfs export what is not ASCII, too. */
static void
unescape_name(char *to, size_t size, const char *from)
{
    const char *end = to + size - 1;

    while (*from != '\0' && to < end) {
        int high = *from == '%' ? digit_of(from[1]) : -1;
        int low = high >= 0 ? digit_of(from[2]) : -1;
        bool escaped = low >= 0 && (high | low) != 0; /* no name has a NUL */

        if (escaped)
            *to++ = (char)(high << 4 | low);
        else
            *to++ = *from;
        from += escaped ? 3 : 1;
    }
    *to = '\0';
}

/* As the kernel would have it of a mount. */
static int
set_xattr(struct import_maker *maker, const char *escaped, const void *value, size_t size)
{
    mode_t type = archive_entry_filetype(maker->entry);
    char name[XATTR_NAME_MAX + 2]; /* too long stays too long */

    unescape_name(name, sizeof(name), escaped);

    if (size > XATTR_SIZE_MAX)
        return -E2BIG;
    if (strncmp(name, "user.", 5) == 0 && type != AE_IFREG && type != AE_IFDIR)
        return -EPERM;
    return maker->tree->set_xattr(maker->tree, maker->file, name, value, size);
}

void
import_set_xattrs(struct import_maker *maker)
{
    const char *name;
    const void *value;
    size_t size;

    archive_entry_xattr_reset(maker->entry);
    while (archive_entry_xattr_next(maker->entry, &name, &value, &size) == ARCHIVE_OK) {
        if (name != NULL && !import_acl_is(name))
            import_done(maker, maker->path, name, set_xattr(maker, name, value, size));
    }
}
