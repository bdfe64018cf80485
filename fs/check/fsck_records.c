/*
 * fsck_records.c - the walk over `inodes`: what names share, notes of implied numbers,
 * what is to be swept, long extended attributes.  The tags come in this order: i, n, o,
 * t, x.
 */
#include <errno.h>

#include "check/fsck_facts.h"
#include "common/coding.h"
#include "store/chunks.h"

#define NUMBER_SIZE 9u /* of a key that is a tag and a number */

/* How many names lead to an inode. */
static uint64_t
count_references(const struct fsck *check, uint64_t ino)
{
    const struct fact_reference *found = facts_find(&check->references, ino), *end;
    uint64_t count = 0;
    if (!found)
        return 0;
    end =
        (const struct fact_reference *)check->references.items + check->references.count;
    while (found + count < end && found[count].ino == ino)
        count++;
    return count;
}

/* What several names share. */
static int
check_inode(struct fsck *check, uint64_t ino, const struct lsmkv_record *record)
{
    struct attr attr;
    uint64_t names = count_references(check, ino);
    int result = attr_decode(record, &check->store->defaults, &attr);
    if (result == -EUCLEAN || (result == 0 && attr.plain)) {
        fsck_tell_number(check, "inode", ino, "its attributes are damaged");
        return 0;
    }
    if (result)
        return result;
    if (attr.data.kind == ATTR_REFERENCE || S_ISDIR(attr.mode)) {
        fsck_tell_number(check, "inode", ino, "its record is no file's");
        return 0;
    }
    if (attr.ino != ino)
        fsck_tell_number(check, "inode", ino, "its record is that of inode %llu",
                         (unsigned long long)attr.ino);
    if (names == 0) {
        fsck_mendable(check, FSCK_NAMELESS, ino, 0);
        fsck_tell_number(check, "inode", ino, "it has no name");
    } else if (names != attr.nlink) {
        fsck_mendable(check, FSCK_LINKS, ino, names);
        fsck_tell_number(check, "inode", ino,
                         "it says that it has %u names, but has %llu", attr.nlink,
                         (unsigned long long)names);
    }
    return fsck_note_file(check, &attr, record, NULL);
}

/* All inodes are known: no number is there twice. */
static void
inodes_known(struct fsck *check)
{
    facts_sort(&check->inodes);
    for (size_t i = 1; i < check->inodes.count; i++) {
        uint64_t ino = facts_number(&check->inodes, i);
        if (ino != facts_number(&check->inodes, i - 1))
            continue;
        fsck_mendable(check, FSCK_TWO_INODES, ino, 0);
        fsck_tell_number(check, "inode", ino, "two files or directories have it");
    }
}

static void
check_note(struct fsck *check, uint64_t ino)
{
    struct fact_inode *inode = facts_find(&check->inodes, ino);
    if (inode && inode->implied) {
        inode->noted = true;
        return;
    }
    fsck_mendable(check, FSCK_NOTE_UNUSED, ino, 0);
    fsck_tell_number(check, "inode", ino,
                     "it is noted as in use, but no directory has it");
}

static void
tell_missing_notes(struct fsck *check)
{
    const struct fact_inode *inodes = check->inodes.items;
    for (size_t i = 0; i < check->inodes.count; i++) {
        if (!inodes[i].implied || inodes[i].noted)
            continue;
        fsck_mendable(check, FSCK_NOTE_MISSING, inodes[i].ino, 0);
        fsck_tell_number(check, "inode", inodes[i].ino,
                         "a directory has it, but it is not noted as in use");
    }
}

static int
check_sweep(struct fsck *check, struct lsmkv_slice key)
{
    uint64_t id, first_dead;
    struct fact_trim trim;
    if (!record_decode_sweep(key, &id, &first_dead)) {
        fsck_tell_number(check, "data", 0, "a record of what to sweep is malformed");
        return 0;
    }
    if (id == 0 || id >= check->data_bound)
        fsck_tell_number(check, "data", id, "it is to be swept, but was never given out");
    if (first_dead == 0) {
        struct fact_contents orphan = {.id = id, .first_dead = 0};
        return facts_add(&check->contents, &orphan);
    }
    trim = (struct fact_trim){id, first_dead};
    return facts_add(&check->trims, &trim);
}

static void
check_xattr(struct fsck *check, struct lsmkv_slice key)
{
    uint64_t ino = get_be64((const uint8_t *)key.data + 1);
    const struct fact_inode *inode = facts_find(&check->inodes, ino);
    size_t size = record_xattr_name(key).size;
    if (size == 0 || size > 255)
        fsck_tell_number(check, "inode", ino,
                         "an extended attribute whose name has %zu bytes", size);
    if (!inode) {
        fsck_mendable(check, FSCK_XATTR_UNOWNED, ino, 0);
        fsck_tell_number(check, "inode", ino,
                         "an extended attribute of it, but no file has it");
    } else if (!inode->xattrs)
        fsck_tell_number(check, "inode", ino,
                         "an extended attribute that its record does not know of");
}

static int
check_record(struct fsck *check, struct lsmkv_slice key,
             const struct lsmkv_record *record, uint8_t *last_tag)
{
    const uint8_t *bytes = key.data;
    uint8_t tag = key.size > 0 ? bytes[0] : 0;
    uint64_t number = key.size >= NUMBER_SIZE ? get_be64(bytes + 1) : 0;
    bool whole = key.size >= NUMBER_SIZE;
    /* Behind the last inode. */
    if (tag > RECORD_INODE && *last_tag <= RECORD_INODE)
        inodes_known(check);
    *last_tag = tag;
    if (tag == RECORD_INODE && key.size == NUMBER_SIZE)
        return check_inode(check, number, record);
    if (tag == RECORD_TAKEN && key.size == NUMBER_SIZE)
        check_note(check, number);
    else if (tag == RECORD_ORPHAN || tag == RECORD_TRIM)
        return check_sweep(check, key);
    else if (tag == RECORD_XATTR && whole)
        check_xattr(check, key);
    else
        fsck_tell_number(check, "inode", number,
                         "a record of %zu bytes of an unknown kind, 0x%02x", key.size,
                         tag);
    return 0;
}

/* All contents are known: each data id has one owner; trims spare what its file has. */
static void
contents_known(struct fsck *check)
{
    const struct fact_trim *trims = check->trims.items;
    const struct fact_contents *contents;
    facts_sort(&check->contents);
    contents = check->contents.items;
    for (size_t i = 1; i < check->contents.count; i++) {
        if (contents[i].id != contents[i - 1].id)
            continue;
        fsck_mendable(check, FSCK_TWO_OWNERS, contents[i].id, 0);
        fsck_tell_number(
            check, "data", contents[i].id,
            "two files or orphans have it (inodes %llu and %llu; 0: an orphan): "
            "the end of one takes the contents of both",
            (unsigned long long)contents[i - 1].ino, (unsigned long long)contents[i].ino);
    }
    for (size_t i = 0; i < check->trims.count; i++) {
        struct fact_contents *owner = facts_find(&check->contents, trims[i].id);
        if (!owner || owner->ino == 0)
            continue;
        if (chunk_count(owner->size) > trims[i].first_dead)
            fsck_tell_number(check, "data", owner->id,
                             "its chunks from %llu on are to be cut off, but its file "
                             "(inode %llu) has %llu",
                             (unsigned long long)trims[i].first_dead,
                             (unsigned long long)owner->ino,
                             (unsigned long long)chunk_count(owner->size));
        if (trims[i].first_dead < owner->first_dead)
            owner->first_dead = trims[i].first_dead;
    }
}

int
fsck_records(struct fsck *check)
{
    struct lsmkv_iter *iter;
    uint8_t last_tag = 0;
    int result = fsck_iterate(check, check->store->inodes, lsmkv_bytes(NULL, 0),
                              lsmkv_bytes(NULL, 0), &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); result == 0 && lsmkv_iter_valid(iter);
         lsmkv_iter_next(iter)) {
        result = fsck_count(check, lsmkv_iter_record(iter));
        if (result == 0)
            result = check_record(check, lsmkv_iter_key(iter), lsmkv_iter_record(iter),
                                  &last_tag);
    }
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    if (result)
        return result;
    if (last_tag <= RECORD_INODE)
        inodes_known(check);
    tell_missing_notes(check);
    contents_known(check);
    return 0;
}
