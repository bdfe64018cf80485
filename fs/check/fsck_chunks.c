/*
 * fsck_chunks.c - the walk over `chunks`: C1 and C2 of chunks.c, D2 to D4 of data.c.
 *
 * What is past the end of a file may be there only while a trim says that it is cut off;
 * what an orphan has is about to go, and of no interest.
 */

#include "check/fsck_facts.h"
#include "store/chunks.h"

struct chunk_walk {
    struct fsck *check;
    uint64_t id, index;
    struct fact_contents *owner; /* of id; NULL: nobody, told once */
    unsigned next_fragment;      /* of the chunk; 0: the chunk itself may come as well */
    uint32_t total;              /* bytes of its fragments so far */
    bool any;
};

static void
enter_id(struct chunk_walk *walk, uint64_t id)
{
    struct fsck *check = walk->check;
    walk->any = true;
    walk->id = id;
    walk->index = UINT64_MAX;
    walk->owner = facts_find(&check->contents, id);
    if (!walk->owner) {
        fsck_mendable(check, FSCK_UNOWNED, id, 0);
        fsck_tell_number(check, "data", id, "it has chunks, but no file or orphan");
    }
}

static void
enter_chunk(struct chunk_walk *walk, uint64_t index)
{
    struct fact_contents *owner = walk->owner;
    walk->index = index;
    walk->next_fragment = 0;
    walk->total = 0;
    if (owner && index < chunk_count(owner->size))
        owner->found++;
}

static void
check_fragment(struct chunk_walk *walk, unsigned fragment, uint32_t size, uint32_t total)
{
    unsigned expected = walk->next_fragment > 0 ? walk->next_fragment : 1;
    const struct fact_contents *owner = walk->owner;
    walk->total += size;
    /* A sweep that was interrupted leaves what it likes of what nobody has. */
    if (owner && (owner->ino == 0 || walk->index >= owner->first_dead))
        return;
    if (fragment != expected)
        fsck_tell_number(walk->check, "data", walk->id,
                         "chunk %llu: fragment %u comes where %u is expected",
                         (unsigned long long)walk->index, fragment, expected);
    else if (total != walk->total)
        fsck_tell_number(walk->check, "data", walk->id,
                         "chunk %llu: fragment %u counts %u bytes so far, not %u",
                         (unsigned long long)walk->index, fragment, total, walk->total);
    walk->next_fragment = fragment + 1;
}

/* D2: nothing reaches past the end but what is cut off. */
static void
check_reach(struct chunk_walk *walk, uint32_t end)
{
    const struct fact_contents *owner = walk->owner;
    if (!owner || owner->ino == 0 || walk->index >= owner->first_dead)
        return;
    if (walk->index * CHUNK_SIZE + end > owner->size) {
        fsck_mendable(walk->check, FSCK_PAST_END, walk->id,
                      walk->index * CHUNK_SIZE + end);
        fsck_tell_number(walk->check, "data", walk->id,
                         "chunk %llu reaches past the end of its file, inode %llu of "
                         "%llu bytes",
                         (unsigned long long)walk->index, (unsigned long long)owner->ino,
                         (unsigned long long)owner->size);
    }
}

static void
check_chunk(struct chunk_walk *walk, struct lsmkv_slice key,
            const struct lsmkv_record *record)
{
    uint64_t id, index;
    uint32_t end, total;
    unsigned fragment;
    if (!chunk_key_decode(key, &id, &index, &fragment)) {
        fsck_tell_number(walk->check, "data", 0, "the key of a chunk is malformed");
        return;
    }
    if (!walk->any || walk->id != id)
        enter_id(walk, id);
    if (walk->index != index)
        enter_chunk(walk, index);
    if (chunks_is_lost(record, fragment)) {
        fsck_tell_number(
            walk->check, "data", id,
            "chunk %llu is lost: bytes %llu to %llu of its file, inode %llu, cannot be read",
            (unsigned long long)index, (unsigned long long)(index * CHUNK_SIZE),
            (unsigned long long)((index + 1) * CHUNK_SIZE),
            (unsigned long long)(walk->owner ? walk->owner->ino : 0));
        return;
    }
    if (chunks_record_decode(record, fragment, &end, &total)) {
        fsck_tell_number(walk->check, "data", id, "chunk %llu, fragment %u is malformed",
                         (unsigned long long)index, fragment);
        return;
    }
    if (fragment > 0)
        check_fragment(walk, fragment, (uint32_t)record->value.size, total);
    check_reach(walk, end);
}

static void
check_counts(struct fsck *check)
{
    const struct fact_contents *contents = check->contents.items;
    for (size_t i = 0; i < check->contents.count; i++) {
        struct fsck_contents file = {contents[i].id, contents[i].ino, contents[i].size,
                                     contents[i].chunks, contents[i].found};
        if (file.ino > 0 && check->report->contents)
            check->report->contents(check->report->context, &file);
        if (contents[i].ino > 0 && contents[i].found > contents[i].chunks) {
            fsck_mendable(check, FSCK_CHUNKS, contents[i].id, contents[i].found);
            fsck_tell_number(
                check, "data", contents[i].id,
                "its file, inode %llu, says that it has %llu chunks at most, "
                "but there are %llu",
                (unsigned long long)contents[i].ino,
                (unsigned long long)contents[i].chunks,
                (unsigned long long)contents[i].found);
        }
    }
}

int
fsck_chunks(struct fsck *check)
{
    struct chunk_walk walk = {.check = check};
    struct lsmkv_iter *iter;
    int result = fsck_iterate(check, check->store->chunks, lsmkv_bytes(NULL, 0),
                              lsmkv_bytes(NULL, 0), &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); result == 0 && lsmkv_iter_valid(iter);
         lsmkv_iter_next(iter)) {
        check_chunk(&walk, lsmkv_iter_key(iter), lsmkv_iter_record(iter));
        result = fsck_count(check, lsmkv_iter_record(iter));
    }
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    if (result == 0)
        check_counts(check);
    return result;
}
