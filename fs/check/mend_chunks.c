/*
 * mend_chunks.c - chunks that were lost: marked, so that reading them is an error.
 *
 * A missing chunk is a hole and reads as zeros, a missing fragment shows what was there
 * before.  What is known are the ranges of keys that could not be read, and how new that
 * was.  So
 *
 *     a chunk is missing, in such a range, and its file      it is marked (it may have been a hole)
 *     says that it has more than there are
 *     it is there, but neither it nor fragments that cover   it is marked: some of it was lost
 *     it are newer than what was lost, and
 *     the range is of no other chunk
 *     the same, but the range is of others, too              it is told; below fragments that do
 *                                                            not cover it, it is marked
 *
 * What logs and whole tables have lost is told by the engine in general.
 */
#include "check/mend_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/coding.h"
#include "store/chunks.h"
#include "store/records.h"

#define MARKS_MAX  4096u /* chunks of one file that are marked */
#define WHERE_SIZE 1024u

/* A file that may have lost something. */
struct sufferer {
    struct fsck_contents file;
    char *name; /* one of its names, printable; NULL: none was found */
};

struct sufferers {
    struct mend *mend;
    const struct mend_loss *losses;
    size_t loss_count;
    struct sufferer *list; /* ascending by inode number, once all are there */
    size_t count, capacity;
    int failure;
};

/* ---- ranges ---- */

static int
compare(struct lsmkv_slice a, struct lsmkv_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Whether records with keys in [low, high] may be among what was lost. */
static bool
meets(const struct mend_loss *loss, struct lsmkv_slice low, struct lsmkv_slice high)
{
    if (loss->first.data && compare(high, loss->first) < 0)
        return false;
    if (!loss->last.data)
        return true;
    int order = compare(low, loss->last);
    return order < 0 || (order == 0 && loss->last_too);
}

static bool
meets_chunk(const struct mend_loss *loss, uint64_t id, uint64_t index)
{
    struct chunk_key low = chunk_key(id, index, 0);
    struct chunk_key high = chunk_key(id, index, UINT8_MAX);
    return meets(loss, chunk_slice(&low), chunk_slice(&high));
}

static bool
meets_file(const struct mend_loss *loss, uint64_t id)
{
    struct chunk_key low = chunk_key(id, 0, 0), high = chunk_key(id, UINT32_MAX, 0);
    return meets(loss, chunk_slice(&low), chunk_slice(&high));
}

static bool
is_bounded(const struct mend_loss *loss)
{
    return loss->first.data && loss->last.data && !loss->last_too;
}

/* Whether the loss is of the chunk alone, in a file of `count`. */
static bool
is_of_chunk(const struct mend_loss *loss, uint64_t id, uint64_t index, uint64_t count)
{
    uint8_t first[8], next[8];
    put_be64(first, id);
    put_be64(next, id + 1);
    return is_bounded(loss) && compare(loss->first, lsmkv_bytes(first, 8)) >= 0 &&
           compare(loss->last, lsmkv_bytes(next, 8)) <= 0 &&
           (index == 0 || !meets_chunk(loss, id, index - 1)) &&
           (index + 1 >= count || !meets_chunk(loss, id, index + 1));
}

static bool
is_lost(const struct sufferers *sufferers, uint64_t id, uint64_t index)
{
    for (size_t i = 0; i < sufferers->loss_count; i++)
        if (meets_chunk(&sufferers->losses[i], id, index))
            return true;
    return false;
}

/* ---- files ---- */

static void
note_file(void *context, const struct fsck_contents *file)
{
    struct sufferers *sufferers = context;
    bool suffers = false;
    for (size_t i = 0; i < sufferers->loss_count && !suffers; i++)
        suffers = meets_file(&sufferers->losses[i], file->id) &&
                  (file->found < file->chunks || is_bounded(&sufferers->losses[i]));
    if (!suffers || sufferers->failure)
        return;
    if (sufferers->count == sufferers->capacity) {
        size_t capacity = sufferers->capacity ? 2 * sufferers->capacity : 64;
        void *list = reallocarray(sufferers->list, capacity, sizeof *sufferers->list);
        if (!list) {
            sufferers->failure = -ENOMEM;
            return;
        }
        sufferers->list = list;
        sufferers->capacity = capacity;
    }
    sufferers->list[sufferers->count++] = (struct sufferer){.file = *file};
}

static void
ignore_finding(void *context, const struct fsck_finding *finding)
{
    (void)context;
    (void)finding;
}

static bool
show_progress(void *context, uint64_t records)
{
    const struct sufferers *sufferers = context;
    return mend_progress(sufferers->mend, records);
}

static int
compare_sufferers(const void *left, const void *right)
{
    const struct sufferer *a = left, *b = right;
    return (a->file.ino > b->file.ino) - (a->file.ino < b->file.ino);
}

static int
note_name(struct sufferers *sufferers, struct lsmkv_slice key,
          const struct lsmkv_record *record)
{
    struct attr attr;
    char name[WHERE_SIZE];
    if (attr_decode(record, &sufferers->mend->store->defaults, &attr) || attr.plain)
        return 0;
    struct sufferer wanted = {.file.ino = attr.ino};
    struct sufferer *found = bsearch(&wanted, sufferers->list, sufferers->count,
                                     sizeof wanted, compare_sufferers);
    if (!found || found->name)
        return 0;
    fsck_print_key(key, name, sizeof name);
    found->name = strdup(name);
    return found->name ? 0 : -ENOMEM;
}

static int
find_names(struct sufferers *sufferers)
{
    struct store *store = sufferers->mend->store;
    struct lsmkv_iter_options all = {.lazy_values = true};
    struct lsmkv_iter *iter;
    if (sufferers->count == 0)
        return 0;
    qsort(sufferers->list, sufferers->count, sizeof *sufferers->list, compare_sufferers);
    int result = lsmkv_iter_new(store->db, store->files, &all, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && result == 0;
         lsmkv_iter_next(iter))
        result = note_name(sufferers, lsmkv_iter_key(iter), lsmkv_iter_record(iter));
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* ---- marking ---- */

/* A walk over one file's chunks. */
struct marking {
    const struct sufferers *sufferers;
    const struct sufferer *of;
    uint64_t count; /* of chunks in its size */
    uint64_t marked;
    uint64_t old_from, old_to; /* chunks that may be older; none if both are 0 */
    /* Of the chunk at hand: the sequence of its record 0, or 0; the least of its fragments; and what
     * is known of these, nothing if one is missing or damaged. */
    uint64_t whole, oldest;
    struct chunk_state state;
};

static int
mark(struct marking *marking, uint64_t index)
{
    struct mend *mend = marking->sufferers->mend;
    uint64_t id = marking->of->file.id;
    struct chunk_key key;
    int result = chunks_put_lost(mend->store, mend->batch, id, index);
    for (unsigned i = 1; i < CHUNK_FRAGMENTS_MAX && result == 0; i++) {
        key = chunk_key(id, index, i);
        result = lsmkv_batch_delete(mend->batch, mend->store->chunks, chunk_slice(&key));
    }
    marking->marked++;
    return result;
}

/* Chunks from `from` to before `to`, of which there is none. */
static int
mark_missing(struct marking *marking, uint64_t from, uint64_t to)
{
    const struct fsck_contents *file = &marking->of->file;
    int result = 0;
    if (file->found >= file->chunks)
        return 0;
    for (uint64_t i = from; i < to && result == 0 && marking->marked < MARKS_MAX; i++)
        if (is_lost(marking->sufferers, file->id, i))
            result = mark(marking, i);
    return result;
}

static void
enter_chunk(struct marking *marking)
{
    marking->whole = 0;
    marking->oldest = UINT64_MAX;
    marking->state = (struct chunk_state){0};
}

static void
note_record(struct marking *marking, unsigned number, const struct lsmkv_record *record)
{
    if (number == 0)
        marking->whole = record->sequence;
    else if (chunks_note(&marking->state, record, number) == 0 &&
             record->sequence < marking->oldest)
        marking->oldest = record->sequence;
}

/* What was written to the chunk before this is not wanted any more; 0: all may be.  As it is with
 * one that was put whole, so with the oldest of fragments that cover it: one that lies over others
 * is newer, for those are not put again (C1). */
static uint64_t
whole_since(const struct marking *marking, uint64_t index)
{
    uint64_t size = marking->of->file.size - index * CHUNK_SIZE;
    bool covered =
        chunks_covered(&marking->state, size < CHUNK_SIZE ? (size_t)size : CHUNK_SIZE);
    return covered && marking->oldest > marking->whole ? marking->oldest : marking->whole;
}

/* A chunk that is there. */
static int
judge(struct marking *marking, uint64_t index)
{
    const struct sufferers *sufferers = marking->sufferers;
    uint64_t id = marking->of->file.id, whole = whole_since(marking, index);
    bool old = false;
    for (size_t i = 0; i < sufferers->loss_count; i++) {
        const struct mend_loss *loss = &sufferers->losses[i];
        if (whole > loss->sequence || !is_bounded(loss) || !meets_chunk(loss, id, index))
            continue;
        if (is_of_chunk(loss, id, index, marking->count))
            return mark(marking, index);
        old = true;
    }
    if (!old)
        return 0;
    if (marking->old_to == 0)
        marking->old_from = index;
    marking->old_to = index + 1;
    if (whole > 0 || marking->marked >= MARKS_MAX)
        return 0;
    /* Without a record 0 what the fragments lack would read as zeros. */
    marking->marked++;
    return chunks_put_lost(sufferers->mend->store, sufferers->mend->batch, id, index);
}

static int
walk(struct marking *marking, struct lsmkv_iter *iter)
{
    uint64_t next = 0, index, id;
    unsigned fragment;
    int result = 0;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && result == 0;
         lsmkv_iter_next(iter)) {
        if (!chunk_key_decode(lsmkv_iter_key(iter), &id, &index, &fragment))
            continue;
        if (index >= marking->count)
            break;
        if (index >= next) {
            if (next > 0)
                result = judge(marking, next - 1);
            if (result == 0)
                result = mark_missing(marking, next, index);
            enter_chunk(marking);
        }
        next = index + 1;
        note_record(marking, fragment, lsmkv_iter_record(iter));
    }
    if (result == 0 && next > 0)
        result = judge(marking, next - 1);
    if (result == 0)
        result = mark_missing(marking, next, marking->count);
    return result ? result : lsmkv_iter_status(iter);
}

static void
tell(const struct marking *marking)
{
    const struct mend_report *report = marking->sufferers->mend->report;
    const struct sufferer *of = marking->of;
    char inode[64], text[192];
    const char *where = of->name ? of->name : inode;
    snprintf(inode, sizeof inode, "inode %llu", (unsigned long long)of->file.ino);
    snprintf(text, sizeof text,
             "%llu of its %llu chunks cannot be read, holes maybe among them",
             (unsigned long long)marking->marked, (unsigned long long)of->file.chunks);
    if (marking->marked > 0)
        report->lost(report->context, where, text);
    snprintf(text, sizeof text, "bytes %llu to %llu may be older than they were",
             (unsigned long long)(marking->old_from * CHUNK_SIZE),
             (unsigned long long)(marking->old_to * CHUNK_SIZE));
    if (marking->old_to > 0)
        report->lost(report->context, where, text);
}

static int
mark_file(const struct sufferers *sufferers, const struct sufferer *of)
{
    struct marking marking = {
        .sufferers = sufferers, .of = of, .count = chunk_count(of->file.size)};
    struct lsmkv_iter *iter;
    int result =
        chunks_iter(sufferers->mend->store, NULL, of->file.id, 0, UINT64_MAX, &iter);
    if (result)
        return result;
    result = walk(&marking, iter);
    lsmkv_iter_free(iter);
    if (result == 0)
        result = mend_write(sufferers->mend);
    if (result == 0)
        tell(&marking);
    return result;
}

int
mend_lost_chunks(struct mend *mend, const struct mend_loss *losses, size_t count)
{
    struct sufferers sufferers = {.mend = mend, .losses = losses, .loss_count = count};
    struct fsck_report report = {.finding = ignore_finding,
                                 .progress =
                                     mend->report->progress ? show_progress : NULL,
                                 .context = &sufferers,
                                 .contents = note_file};
    uint64_t damage;
    int result = fsck_run(mend->store, NULL, &report, &damage);
    result = result ? result : sufferers.failure;
    result = result ? result : find_names(&sufferers);
    for (size_t i = 0; i < sufferers.count && result == 0; i++)
        result = mark_file(&sufferers, &sufferers.list[i]);
    for (size_t i = 0; i < sufferers.count; i++)
        free(sufferers.list[i].name);
    free(sufferers.list);
    return result;
}
