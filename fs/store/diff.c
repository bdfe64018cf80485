/*
 * diff.c - see diff.h.
 *
 *     changed keys of `default` ----+-- in path order --> each, at both states: told if
 *     it differs names of changed inodes ------+
 *
 * D1  A key of which neither the record changed nor, if it is a name of several, the
 *     inode, shows the same file at both states, or it shows a directory because of keys
 *     below it at either.
 * D2  So what is left are directories that come or go with keys below them, be it from
 *     nothing or from a file (inode.c has the table).  They are ancestors of a key whose
 *     record came or went.  Where one stays, those above it do, too; but to look at all
 *     of a key's is cheap: in path order those that an earlier key had as well are the
 *     ones that were seen to already.
 */
#include "store/diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/slice.h"
#include "store/attr.h"
#include "store/chunks.h"
#include "store/data.h"
#include "store/implied.h"
#include "store/key.h"
#include "store/records.h"

#define KEYS_FOLDER KEY_PRIVATE "/keys/"
#define ASKED_EVERY 64u /* keys and chunks */

/* What a name shows at one state. */
struct seen {
    bool there;
    struct attr attr;
    struct lsmkv_keyspace *keyspace; /* of the record with its contents, */
    struct lsmkv_slice key;          /* which is this one's */
    struct record_key inode;         /* room for that */
};

/* One of the two states, and what a key is there. */
struct side {
    const struct lsmkv_snapshot *snapshot;
    struct lsmkv_iter *below; /* for has_below; NULL until then */
    bool exact;               /* it has a record */
    struct seen shown;        /* at its path */
    struct seen value;        /* in .lsmfs/keys */
    uint8_t name[LSMKV_ATTRIBUTES_MAX], inode[LSMKV_ATTRIBUTES_MAX]; /* attributes */
};

struct diff {
    struct store *store;
    const struct diff_calls *calls;
    unsigned looked_at;               /* since go_on was asked */
    bool ended;                       /* `each` wants no more */
    struct side sides[2];             /* from, to */
    const struct side *older, *newer; /* the same */
    struct timespec born;             /* of the root: the times of implied directories */
    uint64_t *inodes;                 /* with several names, that differ; ascending */
    size_t inode_count, inode_capacity;
    bool any; /* a key was looked at; the last one: */
    size_t last_size;
    uint8_t last[LSMKV_KEY_MAX];
    uint8_t first_below[LSMKV_KEY_MAX];
    uint8_t *chunks; /* two, from each state one; NULL until they are needed */
    char *path;      /* of a value in .lsmfs/keys; grows */
    size_t path_capacity;
};

static bool
is_stopped(struct diff *diff)
{
    if (++diff->looked_at < ASKED_EVERY)
        return false;
    diff->looked_at = 0;
    return !diff->calls->go_on(diff->calls->context);
}

/* Of one record or what it refers to; others can be read. */
static bool
is_damage(int result)
{
    return result == -EUCLEAN || result == -EBADMSG;
}

/* ---- what is there ---- */

/* A directory without a record. */
static int
see_implied(struct diff *diff, struct side *side, struct lsmkv_slice key)
{
    uint64_t ino = 0;
    int used = 1;
    for (unsigned i = 0; i < IMPLIED_TRIES && used > 0; i++) {
        ino = implied_number(diff->store, key, i);
        used = implied_in_use(diff->store, side->snapshot, ino);
    }
    side->shown.there = true;
    attr_init_implied(&side->shown.attr, &diff->store->defaults, ino, diff->born);
    return used < 0 ? used : 0;
}

/* What the names of inode `ino` share; -ENOENT. */
static int
look_inode(struct diff *diff, struct side *side, uint64_t ino, struct seen *seen)
{
    struct store *store = diff->store;
    struct lsmkv_record record;

    seen->inode = record_inode(ino);
    seen->keyspace = store->inodes;
    seen->key = record_slice(&seen->inode);
    if (!store->inodes)
        return -EUCLEAN;
    int presence = lsmkv_lookup(store->db, store->inodes, side->snapshot, seen->key,
                                false, side->inode, sizeof side->inode, &record);
    if (presence != LSMKV_EXACT)
        return presence < 0 ? presence : -ENOENT;
    int result = attr_decode(&record, &store->defaults, &seen->attr);
    seen->there = result == 0;
    return result == 0 && seen->attr.data.kind == ATTR_REFERENCE ? -EUCLEAN : result;
}

/* 1: keys are below `key` at that state, 0, or an error.  Asked of every changed file, so
 * the iterator stays. */
static int
has_below(struct diff *diff, struct side *side, struct lsmkv_slice key)
{
    const struct lsmkv_iter_options options = {.snapshot = side->snapshot,
                                               .lazy_values = true};

    if (key.size == LSMKV_KEY_MAX)
        return 0;
    if (!side->below) {
        int result =
            lsmkv_iter_new(diff->store->db, diff->store->files, &options, &side->below);
        if (result)
            return result;
    }
    if (key.size > 0)
        memcpy(diff->first_below, key.data, key.size);
    diff->first_below[key.size] = '/'; /* nothing ranks lower */
    lsmkv_iter_seek(side->below, lsmkv_bytes(diff->first_below, key.size + 1));
    if (!lsmkv_iter_valid(side->below))
        return lsmkv_iter_status(side->below);
    return key_is_below(lsmkv_iter_key(side->below), key);
}

/* A record that is no directory's, as it was decoded. */
static int
see_file(struct diff *diff, struct side *side, struct lsmkv_slice key,
         const struct attr *attr)
{
    bool plain = key_is_plain(key);
    int below = plain ? has_below(diff, side, key) : 0;
    if (below < 0)
        return below;
    bool shown = plain && below == 0 && key.size > 0;
    struct seen *seen = shown ? &side->shown : &side->value;
    int result = plain && !shown ? see_implied(diff, side, key) : 0;
    if (result == 0 && attr->data.kind == ATTR_REFERENCE) {
        result = look_inode(diff, side, attr->ino, seen);
        return result == -ENOENT ? -EUCLEAN : result;
    }
    seen->there = true;
    seen->attr = *attr;
    seen->keyspace = diff->store->files;
    seen->key = key;
    return result;
}

static int
see_directory(struct diff *diff, struct side *side, struct lsmkv_slice key,
              const struct lsmkv_record *record, const struct attr *attr)
{
    side->shown.there = true;
    side->shown.attr = *attr;
    if (!attr->has_value)
        return 0;
    side->value.there = true;
    side->value.keyspace = diff->store->files;
    side->value.key = key;
    return attr_decode_kept(attr, record, &diff->store->defaults, &side->value.attr);
}

/* What `key` is at one state. */
static int
look(struct diff *diff, struct side *side, struct lsmkv_slice key)
{
    struct store *store = diff->store;
    struct lsmkv_record record;
    struct attr attr;
    int presence = lsmkv_lookup(store->db, store->files, side->snapshot, key, false,
                                side->name, sizeof side->name, &record);

    side->exact = presence == LSMKV_EXACT;
    side->shown.there = side->value.there = false;
    if (presence < 0)
        return presence;
    if (presence == LSMKV_IMPLIED || (presence == LSMKV_ABSENT && key.size == 0)) {
        return key_is_plain(key) ? see_implied(diff, side, key) : 0;
    }
    if (presence == LSMKV_ABSENT)
        return 0;
    int result = attr_decode(&record, &store->defaults, &attr);
    if (result)
        return result;
    if (S_ISDIR(attr.mode) && key_is_plain(key))
        return see_directory(diff, side, key, &record, &attr);
    return see_file(diff, side, key, &attr);
}

/* Both, even if the first one fails: whether there are records is known then. */
static int
look_both(struct diff *diff, struct lsmkv_slice key)
{
    int from = look(diff, &diff->sides[0], key), to = look(diff, &diff->sides[1], key);
    return from ? from : to;
}

/* ---- whether two are the same ---- */

/* 1: the values of two records differ, or one is absent; 0, or an error. */
static int
values_differ(struct diff *diff, struct lsmkv_keyspace *const keyspaces[2],
              const struct lsmkv_slice keys[2])
{
    struct lsmkv_held *held[2] = {NULL, NULL};
    int result = 0;

    for (int i = 0; i < 2 && result == 0; i++) {
        result = lsmkv_get_held(diff->store->db, keyspaces[i], diff->sides[i].snapshot,
                                keys[i], &held[i]);
        if (result == -ENOENT)
            result = 0;
    }
    if (result == 0 && held[0] && held[1])
        result = !slices_equal(lsmkv_held_record(held[0])->value,
                               lsmkv_held_record(held[1])->value);
    else if (result == 0)
        result = held[0] != held[1];
    for (int i = 0; i < 2; i++)
        lsmkv_held_release(held[i]);
    return result;
}

static int
changes_between(struct diff *diff, struct lsmkv_keyspace *keyspace,
                struct lsmkv_slice lower, struct lsmkv_slice upper,
                struct lsmkv_changes **changes)
{
    struct lsmkv_changes_options options = {.from = diff->older->snapshot,
                                            .to = diff->newer->snapshot,
                                            .lower = lower,
                                            .upper = upper,
                                            .go_on = diff->calls->go_on,
                                            .context = diff->calls->context};
    return lsmkv_changes_new(diff->store->db, keyspace, &options, changes);
}

static bool
attributes_differ(const struct attr *a, const struct attr *b)
{
    return a->ino != b->ino || a->mode != b->mode || a->uid != b->uid ||
           a->gid != b->gid || a->mtime.tv_sec != b->mtime.tv_sec ||
           a->mtime.tv_nsec != b->mtime.tv_nsec || !slices_equal(a->xattrs, b->xattrs);
}

/* Those that have records of their own. */
static int
xattrs_differ(struct diff *diff, const struct attr *a, const struct attr *b)
{
    struct lsmkv_keyspace *keyspaces[2] = {diff->store->inodes, diff->store->inodes};
    struct record_key lower = record_xattr(a->ino, lsmkv_bytes(NULL, 0));
    struct record_key upper = record_xattr_end(a->ino);
    struct lsmkv_changes *changes;
    if (!a->xattr_records && !b->xattr_records)
        return 0;
    if (!diff->store->inodes)
        return -EUCLEAN;
    int result = changes_between(diff, diff->store->inodes, record_slice(&lower),
                                 record_slice(&upper), &changes);
    if (result)
        return result;
    while (result == 0 && lsmkv_changes_next(changes)) {
        struct lsmkv_slice key = lsmkv_changes_key(changes);
        result = values_differ(diff, keyspaces, (struct lsmkv_slice[]){key, key});
    }
    if (result == 0)
        result = lsmkv_changes_status(changes);
    lsmkv_changes_free(changes);
    return result;
}

/* 1: chunk `index` of a file, which has as many bytes at both states, differs; 0, or an
 * error. */
static int
chunk_differs(struct diff *diff, const struct attr_data *data, uint64_t index)
{
    size_t got[2] = {0, 0};
    int result = 0;

    if (!diff->chunks && !(diff->chunks = malloc(2 * DATA_CHUNK)))
        return -ENOMEM;
    for (unsigned i = 0; i < 2 && result == 0; i++)
        result = data_read(diff->store, diff->sides[i].snapshot, data, lsmkv_str(""),
                           index * DATA_CHUNK, diff->chunks + i * DATA_CHUNK, DATA_CHUNK,
                           &got[i]);
    if (result)
        return result;
    return got[0] != got[1] ||
           memcmp(diff->chunks, diff->chunks + DATA_CHUNK, got[0]) != 0;
}

/* Of what was written of them in between, for a write may have changed nothing. */
static int
chunks_differ(struct diff *diff, const struct attr_data *data)
{
    struct chunk_key lower = chunk_key(data->id, 0, 0);
    struct chunk_key upper = chunk_key(data->id, chunk_count(data->size), 0);
    struct lsmkv_changes *changes;
    uint64_t id, index, last = UINT64_MAX;
    unsigned fragment;
    if (!diff->store->chunks)
        return -EUCLEAN;
    int result = changes_between(diff, diff->store->chunks, chunk_slice(&lower),
                                 chunk_slice(&upper), &changes);
    if (result)
        return result;
    while (result == 0 && lsmkv_changes_next(changes)) {
        if (!chunk_key_decode(lsmkv_changes_key(changes), &id, &index, &fragment) ||
            index == last)
            continue;
        last = index;
        result = is_stopped(diff) ? -ECANCELED : chunk_differs(diff, data, index);
    }
    if (result == 0)
        result = lsmkv_changes_status(changes);
    lsmkv_changes_free(changes);
    return result;
}

static int
contents_differ(struct diff *diff, const struct seen *a, const struct seen *b)
{
    const struct attr_data *old = &a->attr.data, *new = &b->attr.data;
    struct lsmkv_keyspace *keyspaces[2] = {a->keyspace, b->keyspace};
    if (old->kind != new->kind || old->size != new->size || old->id != new->id)
        return 1;
    if (old->kind == ATTR_INLINE)
        return values_differ(diff, keyspaces, (struct lsmkv_slice[]){a->key, b->key});
    return chunks_differ(diff, old);
}

/* 1, 0 or an error; both are there, and of one type. */
static int
differs(struct diff *diff, const struct seen *a, const struct seen *b)
{
    if (attributes_differ(&a->attr, &b->attr))
        return 1;
    int result = xattrs_differ(diff, &a->attr, &b->attr);
    if (result || S_ISDIR(a->attr.mode))
        return result;
    if (a->attr.nlink != b->attr.nlink || a->attr.rdev != b->attr.rdev)
        return 1;
    return contents_differ(diff, a, b);
}

/* ---- telling ---- */

static int
tell(struct diff *diff, enum diff_kind kind, mode_t mode, struct lsmkv_slice path)
{
    struct diff_entry entry = {kind, mode, path};
    int result = diff->calls->each(diff->calls->context, &entry);
    diff->ended = result != 0;
    return result;
}

static int
tell_pair(struct diff *diff, const struct seen *a, const struct seen *b,
          struct lsmkv_slice path)
{
    bool same_type =
        a->there && b->there && (a->attr.mode & S_IFMT) == (b->attr.mode & S_IFMT);
    int result = 0;

    if (same_type) {
        result = differs(diff, a, b);
        return result > 0 ? tell(diff, DIFF_MODIFIED, b->attr.mode, path) : result;
    }
    if (a->there)
        result = tell(diff, DIFF_REMOVED, a->attr.mode, path);
    if (b->there && result == 0)
        result = tell(diff, DIFF_ADDED, b->attr.mode, path);
    return result;
}

/* Where a value is that has no path of its own. */
static int
path_of_value(struct diff *diff, struct lsmkv_slice key, struct lsmkv_slice *path)
{
    const size_t folder = strlen(KEYS_FOLDER), size = folder + key_encoded_size(key);
    if (size > diff->path_capacity) {
        char *grown = realloc(diff->path, size);
        if (!grown)
            return -ENOMEM;
        diff->path = grown;
        diff->path_capacity = size;
    }
    memcpy(diff->path, KEYS_FOLDER, folder);
    key_encode(key, diff->path + folder);
    *path = lsmkv_bytes(diff->path, size);
    return 0;
}

static int
tell_value(struct diff *diff, struct lsmkv_slice key)
{
    struct lsmkv_slice path;
    int result = path_of_value(diff, key, &path);
    return result ? result
                  : tell_pair(diff, &diff->sides[0].value, &diff->sides[1].value, path);
}

/* `result` is what came of looking at `key` and telling it; damage is told, and over. */
static int
tell_damage(struct diff *diff, struct lsmkv_slice key, int result)
{
    struct lsmkv_slice path = key;
    if (diff->ended || !is_damage(result))
        return result;
    result = key_is_plain(key) ? 0 : path_of_value(diff, key, &path);
    return result ? result : tell(diff, DIFF_DAMAGED, 0, path);
}

/* What was looked at. */
static int
tell_key(struct diff *diff, struct lsmkv_slice key)
{
    int result = tell_pair(diff, &diff->sides[0].shown, &diff->sides[1].shown, key);
    if (result == 0 && (diff->sides[0].value.there || diff->sides[1].value.there))
        result = tell_value(diff, key);
    return result;
}

/* ---- the keys ---- */

static bool
seen_to(const struct diff *diff, struct lsmkv_slice ancestor)
{
    struct lsmkv_slice last = lsmkv_bytes(diff->last, diff->last_size);
    return diff->any && (key_is_below(last, ancestor) || slices_equal(last, ancestor));
}

/* The directories above `key` that were not seen to (D2); *any: there are such. */
static int
tell_ancestors(struct diff *diff, struct lsmkv_slice key, bool *any)
{
    const char *bytes = key.data;
    int result = 0;
    for (size_t i = 1; i < key.size && result == 0; i++) {
        struct lsmkv_slice ancestor = lsmkv_bytes(bytes, i);
        if (bytes[i] != '/' || seen_to(diff, ancestor))
            continue;
        if (!key_is_plain(ancestor))
            break;
        *any = true;
        result = look_both(diff, ancestor);
        if (result == 0)
            result = tell_key(diff, ancestor);
        result = tell_damage(diff, ancestor, result);
    }
    return result;
}

static int
tell_changed(struct diff *diff, struct lsmkv_slice key)
{
    bool any = false;
    if (is_stopped(diff))
        return -ECANCELED;
    int looked = look_both(diff, key), result = 0;
    if ((looked == 0 || is_damage(looked)) &&
        !(diff->sides[0].exact && diff->sides[1].exact))
        result = tell_ancestors(diff, key, &any);
    if (result == 0 && any)
        looked = look_both(diff, key);
    if (result == 0)
        result = tell_damage(diff, key, looked ? looked : tell_key(diff, key));
    if (key.size > 0)
        memcpy(diff->last, key.data, key.size);
    diff->last_size = key.size;
    diff->any = true;
    return result;
}

/* ---- files with several names ---- */

static int
add_inode(struct diff *diff, uint64_t ino)
{
    if (diff->inode_count == diff->inode_capacity) {
        size_t capacity = diff->inode_capacity ? 2 * diff->inode_capacity : 64;
        uint64_t *inodes = reallocarray(diff->inodes, capacity, sizeof *inodes);
        if (!inodes)
            return -ENOMEM;
        diff->inodes = inodes;
        diff->inode_capacity = capacity;
    }
    diff->inodes[diff->inode_count++] = ino;
    return 0;
}

/* One that is at one state only has no name at the other: those have changed, too.  Of
 * one that is damaged the names tell. */
static int
find_inode(struct diff *diff, uint64_t ino)
{
    struct seen *seen[2] = {&diff->sides[0].shown, &diff->sides[1].shown};
    int result = 0;
    for (int i = 0; i < 2 && result == 0; i++)
        result = look_inode(diff, &diff->sides[i], ino, seen[i]);
    if (result == -ENOENT)
        return 0;
    if (result == 0)
        result = differs(diff, seen[0], seen[1]);
    return result > 0 || is_damage(result) ? add_inode(diff, ino) : result;
}

/* Inodes that differ at both states; in the order of the keys, which is that of
 * numbers. */
static int
find_inodes(struct diff *diff)
{
    struct record_key lower = record_tag_begin(RECORD_INODE);
    struct record_key upper = record_tag_end(RECORD_INODE);
    struct lsmkv_changes *changes;
    if (!diff->store->inodes)
        return 0;
    int result = changes_between(diff, diff->store->inodes, record_slice(&lower),
                                 record_slice(&upper), &changes);
    if (result)
        return result;
    while (result == 0 && lsmkv_changes_next(changes))
        result = find_inode(diff, record_number_of(lsmkv_changes_key(changes)));
    if (result == 0)
        result = lsmkv_changes_status(changes);
    lsmkv_changes_free(changes);
    return result;
}

static int
compare_numbers(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* Whether a record, itself unchanged, is a name of one of these. */
static bool
names_one(const struct diff *diff, const struct lsmkv_record *record)
{
    struct attr attr;
    if (record->sequence > lsmkv_snapshot_sequence(diff->older->snapshot) ||
        attr_decode(record, &diff->store->defaults, &attr) ||
        attr.data.kind != ATTR_REFERENCE)
        return false;
    return bsearch(&attr.ino, diff->inodes, diff->inode_count, sizeof attr.ino,
                   compare_numbers) != NULL;
}

/* A walk over the names of `inodes`; NULL: there are none. */
static int
names_new(struct diff *diff, struct lsmkv_iter **names)
{
    struct lsmkv_iter_options options = {.snapshot = diff->newer->snapshot,
                                         .lazy_values = true};
    *names = NULL;
    if (diff->inode_count == 0)
        return 0;
    int result = lsmkv_iter_new(diff->store->db, diff->store->files, &options, names);
    if (result == 0)
        lsmkv_iter_first(*names);
    return result;
}

/* From where the walk stands to the next such name: 1, 0 at the end, or an error. */
static int
names_find(struct diff *diff, struct lsmkv_iter *names)
{
    if (!names)
        return 0;
    while (lsmkv_iter_valid(names) && !names_one(diff, lsmkv_iter_record(names))) {
        if (is_stopped(diff))
            return -ECANCELED;
        lsmkv_iter_next(names);
    }
    return lsmkv_iter_valid(names) ? 1 : lsmkv_iter_status(names);
}

/* ---- both, in path order ---- */

/* Directories without a record have the root's times.  It has a record from the first
 * mount on; of two states one may be from before that, after a rollback the newer. */
static int
find_birth(struct diff *diff)
{
    const struct side *side = diff->newer;
    int result = look_both(diff, lsmkv_str(""));
    if (!side->exact)
        side = diff->older;
    if (result == 0 && side->exact)
        diff->born = side->shown.attr.btime;
    return is_damage(result) ? 0 : result; /* told when it is its turn */
}

static int
walk(struct diff *diff, struct lsmkv_changes *changes, struct lsmkv_iter *names)
{
    bool changed = lsmkv_changes_next(changes);
    int named = names_find(diff, names), result = 0;

    while (result == 0 && named >= 0 && (changed || named > 0)) {
        if (changed && (named == 0 || key_compare_paths(lsmkv_changes_key(changes),
                                                        lsmkv_iter_key(names)) < 0)) {
            result = tell_changed(diff, lsmkv_changes_key(changes));
            changed = lsmkv_changes_next(changes);
        } else {
            result = tell_changed(diff, lsmkv_iter_key(names));
            lsmkv_iter_next(names);
            named = names_find(diff, names);
        }
    }
    if (result == 0)
        result = lsmkv_changes_status(changes);
    return result || named >= 0 ? result : named;
}

static int
tell_all(struct diff *diff)
{
    const struct lsmkv_slice none = {NULL, 0};
    struct lsmkv_changes *changes;
    struct lsmkv_iter *names;
    int result = find_birth(diff);
    if (result == 0)
        result = find_inodes(diff);
    if (result == 0)
        result = names_new(diff, &names);
    if (result)
        return result;
    result = changes_between(diff, diff->store->files, none, none, &changes);
    if (result == 0) {
        result = walk(diff, changes, names);
        lsmkv_changes_free(changes);
    }
    lsmkv_iter_free(names);
    return result;
}

int
diff_trees(struct store *store, const struct lsmkv_snapshot *from,
           const struct lsmkv_snapshot *to, const struct diff_calls *calls)
{
    struct diff *diff = calloc(1, sizeof *diff);
    if (!diff)
        return -ENOMEM;
    bool forwards = lsmkv_snapshot_sequence(from) <= lsmkv_snapshot_sequence(to);
    diff->store = store;
    diff->calls = calls;
    diff->sides[0].snapshot = from;
    diff->sides[1].snapshot = to;
    diff->older = &diff->sides[forwards ? 0 : 1];
    diff->newer = &diff->sides[forwards ? 1 : 0];
    int result = tell_all(diff);
    for (int i = 0; i < 2; i++)
        lsmkv_iter_free(diff->sides[i].below);
    free(diff->inodes);
    free(diff->chunks);
    free(diff->path);
    free(diff);
    return result;
}
