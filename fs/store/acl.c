/*
 * acl.c - see acl.h.
 */
#include "store/acl.h"

#include <endian.h>
#include <string.h>

static uint16_t
get16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static uint32_t
get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static void
put16(uint8_t *at, uint32_t value)
{
    uint16_t little = htole16((uint16_t)value);

    memcpy(at, &little, sizeof(little));
}

bool
acl_is_valid(struct lsmkv_slice acl)
{
    const uint8_t *bytes = acl.data;
    unsigned seen = 0, last = 0;

    if (acl.size < ACL_HEADER_SIZE || (acl.size - ACL_HEADER_SIZE) % ACL_ENTRY_SIZE != 0)
        return false;
    if (get32(bytes) != ACL_VERSION)
        return false;
    for (size_t at = ACL_HEADER_SIZE; at < acl.size; at += ACL_ENTRY_SIZE) {
        unsigned tag = get16(bytes + at);
        bool many = tag == ACL_TAG_USER || tag == ACL_TAG_GROUP;

        if (tag != ACL_TAG_OWNER && tag != ACL_TAG_OWNERS_GROUP && tag != ACL_TAG_MASK &&
            tag != ACL_TAG_OTHER && !many)
            return false;
        if (tag < last || get16(bytes + at + 2) > 7 || (!many && seen & tag))
            return false;
        if (many && get32(bytes + at + 4) == ACL_NOBODY)
            return false;
        last = tag;
        seen |= tag;
    }
    if ((seen & (ACL_TAG_OWNER | ACL_TAG_OWNERS_GROUP | ACL_TAG_OTHER)) !=
        (ACL_TAG_OWNER | ACL_TAG_OWNERS_GROUP | ACL_TAG_OTHER))
        return false;
    return !(seen & (ACL_TAG_USER | ACL_TAG_GROUP)) || seen & ACL_TAG_MASK;
}

/* The permissions of the entry `tag`, of which there is one; NULL. */
static uint8_t *
find(uint8_t *acl, size_t size, unsigned tag)
{
    for (size_t at = ACL_HEADER_SIZE; at < size; at += ACL_ENTRY_SIZE)
        if (get16(acl + at) == tag)
            return acl + at + 2;
    return NULL;
}

bool
acl_to_mode(struct lsmkv_slice acl, uint32_t *mode)
{
    const uint8_t *bytes = acl.data;
    uint32_t user = 0, group = 0, mask = 8, other = 0;
    bool more = false;

    for (size_t at = ACL_HEADER_SIZE; at < acl.size; at += ACL_ENTRY_SIZE) {
        uint32_t permissions = get16(bytes + at + 2);

        switch (get16(bytes + at)) {
        case ACL_TAG_OWNER:
            user = permissions;
            break;
        case ACL_TAG_OWNERS_GROUP:
            group = permissions;
            break;
        case ACL_TAG_OTHER:
            other = permissions;
            break;
        case ACL_TAG_MASK:
            mask = permissions;
            more = true;
            break;
        default:
            more = true;
        }
    }
    *mode = (*mode & ~0777u) | user << 6 | (mask < 8 ? mask : group) << 3 | other;
    return more;
}

void
acl_chmod(void *acl, size_t size, uint32_t mode)
{
    uint8_t *user = find(acl, size, ACL_TAG_OWNER),
            *group = find(acl, size, ACL_TAG_OWNERS_GROUP);
    uint8_t *mask = find(acl, size, ACL_TAG_MASK),
            *other = find(acl, size, ACL_TAG_OTHER);

    if (!user || !group || !other)
        return;
    put16(user, mode >> 6 & 7);
    put16(mask ? mask : group, mode >> 3 & 7);
    put16(other, mode & 7);
}

bool
acl_inherit(void *acl, size_t size, uint32_t *mode)
{
    uint8_t *user = find(acl, size, ACL_TAG_OWNER),
            *group = find(acl, size, ACL_TAG_OWNERS_GROUP);
    uint8_t *mask = find(acl, size, ACL_TAG_MASK),
            *other = find(acl, size, ACL_TAG_OTHER);
    uint8_t *class = mask ? mask : group;
    bool more = size > ACL_HEADER_SIZE + 3 * ACL_ENTRY_SIZE;

    if (!user || !class || !other)
        return false;
    put16(user, get16(user) & (*mode >> 6 & 7));
    put16(class, get16(class) & (*mode >> 3 & 7));
    put16(other, get16(other) & (*mode & 7));
    *mode = (*mode & ~0777u) | (uint32_t)get16(user) << 6 | (uint32_t)get16(class) << 3 |
            get16(other);
    return more;
}
