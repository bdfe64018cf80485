/*
 * salvage.c - see salvage.h.
 *
 *     chunks   keys of 13 bytes, the first of which, of a data id, is 0
 *     inodes   keys of 9 bytes and more that begin with a tag
 *     meta     the names of store.c
 *
 * No key is of two kinds, so the first that can be read tells.
 */
#include "store/salvage.h"

#include <stdio.h>
#include <string.h>

#include "common/slice.h"
#include "store/records.h"

#define NAMELESS "keyspace-" /* how the engine calls those that lost their names */

static const char *const role_names[SALVAGE_ROLES] = {"chunks", "inodes", "meta"};

/* SALVAGE_ROLES: no key of ours. */
static enum salvage_role
role_of(struct lsmkv_slice key)
{
    const unsigned char *bytes = key.data;
    if (slice_is(key, "format") || slice_is(key, "inode") || slice_is(key, "data") ||
        slice_is(key, "closed") || slice_is(key, "foreign"))
        return SALVAGE_META;
    if (key.size == sizeof(struct chunk_key) && bytes[0] == 0)
        return SALVAGE_CHUNKS;
    if (key.size >= 9 &&
        (bytes[0] == RECORD_INODE || bytes[0] == RECORD_ORPHAN ||
         bytes[0] == RECORD_TAKEN || bytes[0] == RECORD_TRIM || bytes[0] == RECORD_XATTR))
        return SALVAGE_INODES;
    return SALVAGE_ROLES;
}

struct finder {
    struct lsmkv *db;
    struct salvage_names *names;
    char list[64][LSMKV_NAME_MAX + 1]; /* of keyspaces in byte order */
    size_t count;
};

static int
add_keyspace(void *context, const char *name, enum lsmkv_order order)
{
    struct finder *finder = context;
    if (order == LSMKV_ORDER_BYTES &&
        finder->count < sizeof finder->list / sizeof finder->list[0])
        snprintf(finder->list[finder->count++], LSMKV_NAME_MAX + 1, "%s", name);
    return 0;
}

static int
look_into(struct finder *finder, const char *name)
{
    struct lsmkv_iter_options all = {0};
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_iter *iter;
    int result = lsmkv_keyspace_open(finder->db, name, &keyspace);
    if (result == 0)
        result = lsmkv_iter_new_salvaging(finder->db, keyspace, &all, &iter);
    if (result)
        return result;
    lsmkv_iter_first(iter);
    if (lsmkv_iter_valid(iter)) {
        enum salvage_role role = role_of(lsmkv_iter_key(iter));
        if (role < SALVAGE_ROLES && finder->names->names[role][0] == '\0')
            snprintf(finder->names->names[role], LSMKV_NAME_MAX + 1, "%s", name);
    }
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

int
salvage_find_names(struct lsmkv *db, struct salvage_names *names)
{
    struct finder finder = {.db = db, .names = names};
    memset(names, 0, sizeof *names);
    int result = lsmkv_keyspace_list(db, add_keyspace, &finder);
    for (size_t i = 0; i < finder.count; i++)
        for (int role = 0; role < SALVAGE_ROLES; role++)
            if (strcmp(finder.list[i], role_names[role]) == 0)
                snprintf(names->names[role], LSMKV_NAME_MAX + 1, "%s", role_names[role]);
    for (size_t i = 0; i < finder.count && result == 0; i++)
        if (strncmp(finder.list[i], NAMELESS, strlen(NAMELESS)) == 0)
            result = look_into(&finder, finder.list[i]);
    return result;
}

const char *
salvage_old_name(const struct salvage_names *names, const char *name)
{
    for (int role = 0; role < SALVAGE_ROLES; role++)
        if (strcmp(names->names[role], name) == 0 && strcmp(name, role_names[role]) != 0)
            return role_names[role];
    return NULL;
}
