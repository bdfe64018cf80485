/*
 * fsck_tree.c - the walk over `default`: every name, and the directories' counts.
 *
 * In path order a directory's subtree follows it at once, so the directories that a key
 * is in are a stack: those that end are left, those that are new entered.  A level is a
 * directory's record, an implied directory, or a file; a file that keys stand below shows
 * as an implied directory.
 *
 * Others than lsmfs may have put and removed directories, of which nobody counted
 * anything (inode.h, dir.c).  So a wrong count is damage only in a store without a trace
 * of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check/fsck_facts.h"
#include "store/implied.h"
#include "store/key.h"

/* A directory, or a file, that the walk is in. */
struct level {
    size_t size;      /* of its key, a prefix of the current one */
    uint32_t said;    /* subdirectories, says its record; or ATTR_SUBDIRS_UNKNOWN */
    uint32_t counted; /* that were met */
    bool file;
};

/* A directory whose count is wrong, told when it is known whether there were others. */
struct miscount {
    char *key;
    size_t size;
    uint32_t said, counted;
};

#define MISCOUNTS_MAX 1000u

struct tree {
    struct fsck *check;
    uint8_t key[LSMKV_KEY_MAX]; /* the levels' */
    struct level *levels;
    size_t depth, capacity;
    struct miscount miscounts[MISCOUNTS_MAX];
    size_t miscount_count;
    bool foreign; /* there are traces of others */
};

/* ---- levels ---- */

static int
enter(struct tree *tree, const struct level *level)
{
    if (tree->depth == tree->capacity) {
        size_t capacity = tree->capacity ? 2 * tree->capacity : 64;
        struct level *levels = reallocarray(tree->levels, capacity, sizeof *levels);
        if (!levels)
            return -ENOMEM;
        tree->levels = levels;
        tree->capacity = capacity;
    }
    tree->levels[tree->depth++] = *level;
    return 0;
}

/* The directory ends. */
static int
leave(struct tree *tree)
{
    const struct level *level = &tree->levels[--tree->depth];
    if (level->said == ATTR_SUBDIRS_UNKNOWN || level->said == level->counted ||
        tree->miscount_count == MISCOUNTS_MAX)
        return 0;
    char *key = malloc(level->size + 1);
    if (!key)
        return -ENOMEM;
    memcpy(key, tree->key, level->size);
    tree->miscounts[tree->miscount_count++] =
        (struct miscount){key, level->size, level->said, level->counted};
    return 0;
}

/* Leaves what `key` is not in. */
static int
leave_to(struct tree *tree, struct lsmkv_slice key)
{
    int result = 0;
    while (result == 0 && tree->depth > 0 &&
           !key_is_below(key, lsmkv_bytes(tree->key, tree->levels[tree->depth - 1].size)))
        result = leave(tree);
    return result;
}

/* A directory was met in the level above. */
static void
count_directory(struct tree *tree, bool implied)
{
    if (tree->depth == 0)
        return;
    struct level *parent = &tree->levels[tree->depth - 1];
    parent->counted++;
    tree->foreign |= implied && parent->said != ATTR_SUBDIRS_UNKNOWN;
}

/* A file has keys below it, and so shows as a directory. */
static void
become_directory(struct tree *tree)
{
    struct level *level = &tree->levels[tree->depth - 1];
    if (!level->file)
        return;
    level->file = false;
    tree->foreign = true;
    fsck_tell_key(tree->check, LSMKV_NOTE, lsmkv_bytes(tree->key, level->size),
                  "a file that has keys below it, so a mount shows it in .lsmfs/keys");
    tree->depth--;
    count_directory(tree, true);
    tree->depth++;
}

/* Enters the directories that nothing but `key` implies, as far as they have a path. */
static int
enter_implied(struct tree *tree, struct lsmkv_slice key)
{
    const char *bytes = key.data;
    size_t from = tree->depth > 0 ? tree->levels[tree->depth - 1].size : 0;
    int result = 0;
    if (tree->depth > 0)
        become_directory(tree);
    for (size_t i = from + 1; i < key.size && result == 0; i++) {
        struct level level = {.size = i, .said = ATTR_SUBDIRS_UNKNOWN};
        if (bytes[i] != '/')
            continue;
        if (!key_is_plain(lsmkv_bytes(bytes, i)))
            break;
        count_directory(tree, true);
        result = enter(tree, &level);
    }
    return result;
}

/* ---- records ---- */

/* A name of a file with several. */
static int
check_reference(struct tree *tree, struct lsmkv_slice key, const struct attr *attr)
{
    struct fsck *check = tree->check;
    struct store *store = check->store;
    struct record_key inode = record_inode(attr->ino);
    struct fact_reference reference = {attr->ino};
    int presence = LSMKV_ABSENT;
    if (store->inodes)
        presence = lsmkv_lookup(store->db, store->inodes, check->snapshot,
                                record_slice(&inode), false, NULL, 0, NULL);
    if (presence < 0 && (presence == -ENOMEM || !check->report->salvaging))
        return presence;
    if (presence < 0) {
        fsck_tell_key(check, LSMKV_DAMAGE, key,
                      "a name of inode %llu, which cannot be read",
                      (unsigned long long)attr->ino);
    } else if (presence != LSMKV_EXACT) {
        fsck_mendable(check, FSCK_NO_INODE, attr->ino, attr->mode & S_IFMT);
        fsck_tell_key(check, LSMKV_DAMAGE, key,
                      "a name of inode %llu, which is not there",
                      (unsigned long long)attr->ino);
    }
    return facts_add(&check->references, &reference);
}

static int
check_file(struct tree *tree, struct lsmkv_slice key, const struct attr *attr,
           const struct lsmkv_record *record)
{
    tree->foreign |= attr->plain;
    if (attr->data.kind == ATTR_REFERENCE)
        return check_reference(tree, key, attr);
    return fsck_note_file(tree->check, attr, record, &key);
}

/* The value that a directory's record keeps. */
static int
check_kept(struct tree *tree, struct lsmkv_slice key, const struct attr *directory,
           const struct lsmkv_record *record)
{
    struct fsck *check = tree->check;
    struct attr attr;
    tree->foreign = true;
    int result = attr_decode_kept(directory, record, &check->store->defaults, &attr);
    if (result == 0 && S_ISDIR(attr.mode))
        result = -EUCLEAN;
    if (result == -EUCLEAN) {
        fsck_tell_key(check, LSMKV_DAMAGE, key,
                      "the attributes of the value that its directory keeps are damaged");
        return 0;
    }
    return result ? result : check_file(tree, key, &attr, record);
}

static int
check_directory(struct tree *tree, struct lsmkv_slice key, const struct attr *attr,
                const struct lsmkv_record *record)
{
    struct fsck *check = tree->check;
    struct fact_inode inode = {.ino = attr->ino,
                               .xattrs = attr->xattr_records,
                               .implied = implied_is(attr->ino)};
    struct level level = {.size = key.size, .said = attr->subdirs};
    int result = facts_add(&check->inodes, &inode);
    if (attr->ino == 0 ||
        (attr->ino < ATTR_INO_IMPLIED && attr->ino >= check->inode_bound))
        fsck_tell_key(check, LSMKV_DAMAGE, key, "its inode number was never given out");
    if (attr->data.kind != ATTR_INLINE)
        fsck_tell_key(check, LSMKV_DAMAGE, key,
                      "a directory with the contents of a file");
    if (!attr->has_value && record->value.size > 0)
        fsck_tell_key(check, LSMKV_DAMAGE, key,
                      "a directory with a value that it does not know of");
    if (result == 0 && attr->has_value)
        result = check_kept(tree, key, attr, record);
    count_directory(tree, false);
    return result ? result : enter(tree, &level);
}

static int
check_record(struct tree *tree, struct lsmkv_slice key, const struct lsmkv_record *record)
{
    struct fsck *check = tree->check;
    struct level level = {.size = key.size, .said = ATTR_SUBDIRS_UNKNOWN, .file = true};
    struct attr attr;
    int result = attr_decode(record, &check->store->defaults, &attr);
    if (result == -EUCLEAN)
        fsck_tell_key(check, LSMKV_DAMAGE, key, "its attributes are damaged");
    else if (result)
        return result;
    if (result == 0 && S_ISDIR(attr.mode))
        return check_directory(tree, key, &attr, record);
    if (result == 0 && key.size == 0 && !attr.plain)
        fsck_tell_key(check, LSMKV_DAMAGE, key, "the root is no directory");
    if (result == 0)
        result = check_file(tree, key, &attr, record);
    else
        result = 0;
    return result ? result : enter(tree, &level);
}

static int
check_at(struct tree *tree, struct lsmkv_slice key, const struct lsmkv_record *record)
{
    int result = leave_to(tree, key);
    if (result == 0 && key.size > 0)
        result = enter_implied(tree, key);
    if (result)
        return result;
    memcpy(tree->key, key.data, key.size);
    result = fsck_count(tree->check, record);
    return result ? result : check_record(tree, key, record);
}

static int
walk(struct tree *tree)
{
    struct fsck *check = tree->check;
    struct lsmkv_iter *iter;
    int result = fsck_iterate(check, check->store->files, lsmkv_bytes(NULL, 0),
                              lsmkv_bytes(NULL, 0), &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); result == 0 && lsmkv_iter_valid(iter);
         lsmkv_iter_next(iter))
        result = check_at(tree, lsmkv_iter_key(iter), lsmkv_iter_record(iter));
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    while (result == 0 && tree->depth > 0)
        result = leave(tree);
    return result;
}

static void
tell_miscounts(struct tree *tree)
{
    for (size_t i = 0; i < tree->miscount_count; i++) {
        const struct miscount *miscount = &tree->miscounts[i];
        fsck_mendable(tree->check, FSCK_SUBDIRS, 0, miscount->counted);
        fsck_tell_key(tree->check, tree->foreign ? LSMKV_NOTE : LSMKV_DAMAGE,
                      lsmkv_bytes(miscount->key, miscount->size),
                      "it says that it has %u subdirectories, but has %u", miscount->said,
                      miscount->counted);
        free(miscount->key);
    }
}

int
fsck_tree(struct fsck *check)
{
    struct tree *tree = calloc(1, sizeof *tree);
    if (!tree)
        return -ENOMEM;
    tree->check = check;
    int result = walk(tree);
    tell_miscounts(tree);
    free(tree->levels);
    free(tree);
    facts_sort(&check->references);
    return result;
}
