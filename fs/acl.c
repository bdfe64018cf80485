/*
 * acl.c - see acl.h.
 */
#include "acl.h"

#include <endian.h>
#include <string.h>

#define ACL_VERSION 2u
#define HEADER      4u
#define ENTRY       8u

enum tag {
    USER_OBJ = 0x01,
    USER = 0x02,
    GROUP_OBJ = 0x04,
    GROUP = 0x08,
    MASK = 0x10,
    OTHER = 0x20,
};

static uint16_t
get16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return le16toh(value);
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
    unsigned seen = 0;
    uint32_t version;

    if (acl.size < HEADER || (acl.size - HEADER) % ENTRY != 0)
        return false;
    memcpy(&version, bytes, sizeof(version));
    if (le32toh(version) != ACL_VERSION)
        return false;
    for (size_t at = HEADER; at < acl.size; at += ENTRY) {
        unsigned tag = get16(bytes + at);
        bool many = tag == USER || tag == GROUP;

        if (tag != USER_OBJ && tag != GROUP_OBJ && tag != MASK && tag != OTHER && !many)
            return false;
        if (get16(bytes + at + 2) > 7 || (!many && seen & tag))
            return false;
        seen |= tag;
    }
    if ((seen & (USER_OBJ | GROUP_OBJ | OTHER)) != (USER_OBJ | GROUP_OBJ | OTHER))
        return false;
    return !(seen & (USER | GROUP)) || seen & MASK;
}

/* The permissions of the entry `tag`, of which there is one; NULL. */
static uint8_t *
find(uint8_t *acl, size_t size, unsigned tag)
{
    for (size_t at = HEADER; at < size; at += ENTRY)
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

    for (size_t at = HEADER; at < acl.size; at += ENTRY) {
        uint32_t permissions = get16(bytes + at + 2);

        switch (get16(bytes + at)) {
        case USER_OBJ:
            user = permissions;
            break;
        case GROUP_OBJ:
            group = permissions;
            break;
        case OTHER:
            other = permissions;
            break;
        case MASK:
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
    uint8_t *user = find(acl, size, USER_OBJ), *group = find(acl, size, GROUP_OBJ);
    uint8_t *mask = find(acl, size, MASK), *other = find(acl, size, OTHER);

    if (!user || !group || !other)
        return;
    put16(user, mode >> 6 & 7);
    put16(mask ? mask : group, mode >> 3 & 7);
    put16(other, mode & 7);
}

bool
acl_inherit(void *acl, size_t size, uint32_t *mode)
{
    uint8_t *user = find(acl, size, USER_OBJ), *group = find(acl, size, GROUP_OBJ);
    uint8_t *mask = find(acl, size, MASK), *other = find(acl, size, OTHER);
    uint8_t *class = mask ? mask : group;
    bool more = size > HEADER + 3 * ENTRY;

    if (!user || !class || !other)
        return false;
    put16(user, get16(user) & (*mode >> 6 & 7));
    put16(class, get16(class) & (*mode >> 3 & 7));
    put16(other, get16(other) & (*mode & 7));
    *mode = (*mode & ~0777u) | (uint32_t)get16(user) << 6 | (uint32_t)get16(class) << 3 |
            get16(other);
    return more;
}
