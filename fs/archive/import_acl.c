/* import_acl.c - see import_acl.h. */
#include "archive/import_acl.h"

#include <archive.h>
#include <errno.h>
#include <grp.h>
#include <linux/limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/coding.h"
#include "store/acl.h"

/* Permissions are the same three bits in both. */
#define PERMISSIONS 7

static const struct {
    int theirs;
    uint16_t ours;
} tags[] = {
    {ARCHIVE_ENTRY_ACL_USER_OBJ, ACL_TAG_OWNER},
    {ARCHIVE_ENTRY_ACL_USER, ACL_TAG_USER},
    {ARCHIVE_ENTRY_ACL_GROUP_OBJ, ACL_TAG_OWNERS_GROUP},
    {ARCHIVE_ENTRY_ACL_GROUP, ACL_TAG_GROUP},
    {ARCHIVE_ENTRY_ACL_MASK, ACL_TAG_MASK},
    {ARCHIVE_ENTRY_ACL_OTHER, ACL_TAG_OTHER},
};
#define TAGS (sizeof(tags) / sizeof(tags[0]))

bool
import_acl_is(const char *name)
{
    return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

struct one {
    uint16_t tag, permissions;
    uint32_t id;
};

/* As the kernel wants them: by tag, then by id. */
static int
compare(const void *left, const void *right)
{
    const struct one *a = left, *b = right;

    if (a->tag != b->tag)
        return a->tag < b->tag ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static bool
has_id(uint16_t tag)
{
    return tag == ACL_TAG_USER || tag == ACL_TAG_GROUP;
}

/* The number of who has a name here; false: nobody has. */
static bool
find_id(uint16_t tag, const char *name, uint32_t *id)
{
    const struct passwd *user = tag == ACL_TAG_USER ? getpwnam(name) : NULL;
    const struct group *group = tag == ACL_TAG_GROUP ? getgrnam(name) : NULL;

    if (user != NULL)
        *id = user->pw_uid;
    else if (group != NULL)
        *id = group->gr_gid;
    return user != NULL || group != NULL;
}

/* 0, with the number of `all`, or -ENOENT, with the `*stranger`. */
static int
collect(struct archive_entry *entry, int type, struct one *all, size_t most,
        size_t *count, const char **stranger)
{
    int kind, permissions, tag, id;
    const char *name;

    *count = 0;
    while (*count < most && archive_entry_acl_next(entry, type, &kind, &permissions, &tag,
                                                   &id, &name) == ARCHIVE_OK) {
        for (size_t i = 0; i < TAGS; i++) {
            struct one one = {tags[i].ours, (uint16_t)(permissions & PERMISSIONS),
                              ACL_NOBODY};

            if (tags[i].theirs != tag)
                continue;
            if (has_id(one.tag) && id >= 0) {
                one.id = (uint32_t)id;
            } else if (has_id(one.tag) &&
                       !find_id(one.tag, name != NULL ? name : "", &one.id)) {
                *stranger = name != NULL ? name : "";
                return -ENOENT;
            }
            all[(*count)++] = one;
        }
    }
    return 0;
}

static uint8_t *
put_all(uint8_t *bytes, const struct one *all, size_t count)
{
    uint8_t *at = put_le32(bytes, ACL_VERSION);

    for (size_t i = 0; i < count; i++)
        at = put_le32(put_le16(put_le16(at, all[i].tag), all[i].permissions), all[i].id);
    return at;
}

int
import_acl_make(struct archive_entry *entry, int type, void **list, size_t *size,
                const char **stranger)
{
    /* Of an access list, three may come from the mode. */
    int count = archive_entry_acl_reset(entry, type);
    size_t space = ACL_HEADER_SIZE + (size_t)count * ACL_ENTRY_SIZE, used = 0;
    struct one *all;
    uint8_t *bytes;

    *list = NULL;
    if (count == 0)
        return 0;
    if (space > XATTR_SIZE_MAX)
        return -E2BIG;
    all = calloc((size_t)count, sizeof(*all));
    bytes = malloc(space);
    int result = all == NULL || bytes == NULL
                     ? -ENOMEM
                     : collect(entry, type, all, (size_t)count, &used, stranger);
    if (result == 0 && used > 0) {
        qsort(all, used, sizeof(*all), compare);
        *size = (size_t)(put_all(bytes, all, used) - bytes);
        *list = bytes;
        bytes = NULL;
    }
    free(all);
    free(bytes);
    return result;
}
