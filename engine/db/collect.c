/*
 * collect.c - when blob files are collected: the space of values that nothing refers to,
 * and files that are small and many.
 *
 * A merge drops entries, and with them references.  A file that no table refers to is
 * deleted; one that a few do is collected: those tables are rewritten, and what is live
 * of it goes to a new file.  Every merge does so for its own inputs; a collection goes
 * through all tables that refer to the victims, so that these are free when it is done.
 * Nothing is remembered: what is partly collected is deader than before, so it is chosen
 * again, after a restart too.
 *
 * Others are at least half dead: then a collection writes no more than it frees, and
 * files are no more than twice what is live in them.  It is worth it, too, only if what
 * is dead in them is more than the tables that are to be rewritten.  While free space is
 * below the reserve an eighth dead is enough, whatever the tables are, the deadest first:
 * puts are refused until it is done, and where nothing is dead there is nothing to do.
 *
 * A store that is opened again and again, or flushed, has a file of each time.  Small
 * ones are collected together, dead or not, when they are many, and twice as many as the
 * tables that are to be rewritten, each of which may leave a new one.  Victims are those
 * that were there before (small_below), so that this ends.  What is left of them when the
 * store closes is chosen again when they are as many again.
 *
 * G1  Victims are collected within what the disk has free: their live bytes stand twice
 *     until the last table is rewritten.  A merge does without those that do not fit.
 */
#include "db/collect.h"

#include <errno.h>

#define HALF_DEAD   4u /* eighths */
#define LITTLE_DEAD 1u /* while space is short */
#define NONE_DEAD   9u /* more than there are: not for that */
/* Live bytes to be written at once: so many files, or what the tables come to. */
#define LIVE_FILES 4u
#define SMALL_PART 64u /* of a file as a full write buffer makes it */
#define SMALL_MANY 32u

static uint64_t
table_bytes(const struct version *version)
{
    uint64_t bytes = 0;

    for (int level = 0; level < LEVEL_COUNT; level++)
        bytes += version->levels[level].bytes;
    return bytes;
}

/* What may be written of live values (G1): beside what merges leave alone there is to be
 * room for the file that the last of them goes to. */
static uint64_t
room_for_values(struct lsmkv *db)
{
    uint64_t kept = compaction_kept(db) + db->options.write_buffer_size;
    uint64_t free_bytes, total_bytes;

    if (env_dir_space(db->dir, &free_bytes, &total_bytes) != 0)
        return UINT64_MAX;
    return free_bytes > kept ? free_bytes - kept : 0;
}

/* Files that are dead to `least` eighths, and small ones below `below`. */
static int
find_victims(struct lsmkv *db, const struct lsmkv_keyspace *keyspace, unsigned least,
             uint64_t below, struct blob_victims *victims)
{
    uint64_t file = db->options.write_buffer_size, room = room_for_values(db);
    uint64_t most = LIVE_FILES * file + table_bytes(keyspace->view->version);
    struct blob_wanted wanted = {
        .least = least,
        .small = file / SMALL_PART,
        .below = below,
    };

    if (atomic_load(&db->reclaim.is_short))
        most = 2 * file; /* what the reserve has for a merge */
    wanted.most = most < room ? most : room;
    return blob_files_victims(db->blobs, keyspace->id, &wanted, victims);
}

static unsigned
least_dead(const struct lsmkv *db)
{
    return space_presses(db) ? LITTLE_DEAD : HALF_DEAD;
}

/* Small ones free nothing. */
static uint64_t
below_of(struct lsmkv *db, const struct lsmkv_keyspace *keyspace)
    LSMKV_REQUIRES(db->mutex)
{
    return atomic_load(&db->reclaim.is_short) ? 0 : keyspace->small_below;
}

int
collect_victims(struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
                struct blob_victims *victims)
{
    return find_victims(db, keyspace, least_dead(db), below_of(db, keyspace), victims);
}

/* Is it worth it for what is dead? */
static int
look_for_dead(struct lsmkv *db, struct lsmkv_keyspace *keyspace) LSMKV_REQUIRES(db->mutex)
{
    struct blob_victims victims;
    uint64_t bytes;
    int result = find_victims(db, keyspace, least_dead(db), 0, &victims);

    if (result != 0)
        return result;
    (void)compaction_referring(keyspace->view->version, &victims, &bytes);
    keyspace->collect_dead =
        victims.count > 0 && (space_presses(db) || victims.dead >= bytes);
    keyspace->collect_due = keyspace->collect_dead;
    blob_victims_fini(&victims);
    return 0;
}

/* And for small files?  Once it is, until those are gone. */
static int
look_for_small(struct lsmkv *db, struct lsmkv_keyspace *keyspace)
    LSMKV_REQUIRES(db->mutex)
{
    uint64_t below = keyspace->small_below, bytes;
    struct blob_victims victims;
    size_t tables;
    int result;

    if (atomic_load(&db->reclaim.is_short))
        return 0;
    result =
        find_victims(db, keyspace, NONE_DEAD, below > 0 ? below : UINT64_MAX, &victims);
    if (result != 0)
        return result;
    if (below > 0 || victims.count >= SMALL_MANY) {
        tables = compaction_referring(keyspace->view->version, &victims, &bytes);
        if (below > 0 && tables == 0)
            keyspace->small_below = 0;
        else if (below == 0 && victims.count / 2 >= tables)
            keyspace->small_below = atomic_load(&db->next_file);
    }
    keyspace->collect_due = keyspace->collect_due || keyspace->small_below > 0;
    blob_victims_fini(&victims);
    return 0;
}

static bool
is_due(struct lsmkv *db, struct lsmkv_keyspace *keyspace) LSMKV_REQUIRES(db->mutex)
{
    if (keyspace->collect_known)
        return keyspace->collect_due;
    if (look_for_dead(db, keyspace) != 0 || look_for_small(db, keyspace) != 0)
        return false; /* no memory: at another time */
    keyspace->collect_known = true;
    return keyspace->collect_due;
}

/* NULL: none. */
static struct lsmkv_keyspace *
due_keyspace(struct lsmkv *db) LSMKV_REQUIRES(db->mutex)
{
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        if ((ks->failed_levels >> LEVEL_COUNT & 1) == 0 && is_due(db, ks))
            return ks;
    return NULL;
}

bool
collect_due(struct lsmkv *db)
{
    return due_keyspace(db) != NULL;
}

void
collect_look_again(struct lsmkv *db)
{
    mutex_lock(&db->mutex);
    for (struct lsmkv_keyspace *ks = db->keyspaces; ks != NULL; ks = ks->next)
        ks->collect_known = false;
    condition_broadcast(&db->work);
    mutex_unlock(&db->mutex);
}

void
collect_note_room(struct lsmkv *db)
{
    if (atomic_load(&db->reclaim.is_short))
        collect_look_again(db);
}

int
collect_pick(struct lsmkv *db, struct lsmkv_keyspace *keyspace, bool force,
             struct compaction **compaction)
{
    struct compaction_limits limits = compaction_limits_of(db, keyspace);
    struct blob_victims victims;
    int result;

    *compaction = NULL;
    if (!force && !is_due(db, keyspace))
        return 0;
    /* Where only small ones are due, no table is chosen for what is dead. */
    result = find_victims(db, keyspace,
                          force || keyspace->collect_dead ? least_dead(db) : NONE_DEAD,
                          below_of(db, keyspace), &victims);
    if (result != 0)
        return result;
    result = compaction_pick_referring(keyspace->id, keyspace->view->version, &limits,
                                       &victims, compaction);
    blob_victims_fini(&victims);
    if (result == 0 && *compaction == NULL)
        keyspace->collect_due = false; /* what was to be collected has no room any more */
    return result;
}

void
collect_note_failure(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                     const struct compaction *compaction, int result)
{
    if (result != -EBADMSG && result != -EUCLEAN && result != -EIO)
        return;
    for (int which = 0; which < 2; which++)
        for (size_t i = 0; i < compaction->input_counts[which]; i++) {
            const struct table_meta *meta = &compaction->inputs[which][i]->meta;

            for (size_t k = 0; k < meta->blob_count; k++)
                blob_files_pass_over(db->blobs, meta->blobs[k].number);
        }
    keyspace->collect_known = false;
}

int
collect_choose(struct lsmkv *db, struct lsmkv_keyspace **keyspace,
               struct compaction **compaction)
{
    *compaction = NULL;
    *keyspace = due_keyspace(db);
    return *keyspace == NULL ? 0 : collect_pick(db, *keyspace, false, compaction);
}
