/*
 * store.c - the store beneath a mount.
 *
 * Records of `meta`, integers little-endian:
 *
 *     key       value
 *     "format"  4 version, 8 salt (random, of hashed inode numbers)
 *     "inode"   8 the first inode number not reserved
 *     "data"    8 the first data id not reserved
 *     "none"    never there: see store_let_through
 *
 * Work is acknowledged unsynced; the commit thread makes it durable at most commit_ms later.  It
 * sleeps while there is nothing to do, and begins its interval with the first write.
 *
 * M1  `format` is the last thing that the first mount writes, synced: a store without it has no
 *     record of ours, and an interrupted first mount begins again.
 * M2  A number is given out only below a reserved bound that is on disk (counter.h), so it is never
 *     given out again, even to a store whose last second was lost.
 * M3  A sync that failed is never tried again: every later write and sync is -EIO.
 * M4  `before` runs ahead of the sync that covers what it puts, and what is deferred while it
 *     runs keeps `touched` set for the next round.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/coding.h"
#include "store/counter.h"
#include "store/known_chunks.h"
#include "store/salvage.h"

#define DEFAULT_COMMIT_MS 1000u
#define FORMAT_SIZE       12u
#define APART             512u /* bytes from which on contents stand apart from attributes */
#define ROLLBACK_TRIES    30u /* 3 seconds; a flush that failed stands for one */

struct store_state {
    /* constant */
    bool sync;
    unsigned commit_ms;
    void (*log)(void *context, enum lsmkv_level level, const char *line);
    void *log_context;
    int (*before)(void *context);
    void *before_context;

    struct counter inodes;
    struct counter data_ids;
    atomic_bool unsynced; /* something was written since the last sync began */
    atomic_bool touched;  /* something was deferred since `before` was last called */
    atomic_int failure;   /* of a sync (M3), or 0 */

    pthread_t thread;
    bool running; /* the thread was started */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    /* protected by mutex */
    bool stopping;
    bool idle;        /* the thread waits for a reason to commit */
    unsigned syncing; /* syncs under way */
    /* When the oldest write that is not on disk was made, or before; 0: there is none. */
    int64_t unsynced_since;
};

void
store_log(struct store *store, enum lsmkv_level level, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (store->state->log)
        store->state->log(store->state->log_context, level, line);
    else if (level <= LSMKV_LOG_WARNING)
        fprintf(stderr, "lsmfs: %s\n", line);
}

struct timespec
store_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

/* ---- writing ---- */

/* Why nothing may be written, or 0. */
static int
store_refusal(struct store *store)
{
    if (store->read_only)
        return -EROFS;
    return atomic_load(&store->state->failure) ? -EIO : 0;
}

static int64_t
monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* For a reason that is there already; with the mutex.  One that waits for its interval
 * commits in time for what comes meanwhile, so a caller that syncs by itself wakes nobody. */
static void
wake_commit(struct store_state *state)
{
    if (state->idle)
        pthread_cond_signal(&state->wake);
}

/* An unsynced write was made: the first since a sync is a reason to commit. */
static void
raise_unsynced(struct store_state *state)
{
    if (atomic_load_explicit(&state->unsynced, memory_order_relaxed))
        return;
    pthread_mutex_lock(&state->mutex);
    if (state->unsynced_since == 0)
        state->unsynced_since = monotonic_now();
    atomic_store(&state->unsynced, true);
    wake_commit(state);
    pthread_mutex_unlock(&state->mutex);
}

/* Lowered before a sync: a write that it misses raises it again.  Returns when it began. */
static int64_t
lower_unsynced(struct store_state *state)
{
    pthread_mutex_lock(&state->mutex);
    int64_t now = monotonic_now();
    atomic_store(&state->unsynced, false);
    state->syncing++;
    pthread_mutex_unlock(&state->mutex);
    return now;
}

/* What the sync missed, or another is still at, came after it began. */
static void
note_synced(struct store_state *state, int64_t began, int result)
{
    pthread_mutex_lock(&state->mutex);
    state->syncing--;
    if (result == 0)
        state->unsynced_since =
            atomic_load(&state->unsynced) || state->syncing > 0 ? began : 0;
    pthread_mutex_unlock(&state->mutex);
}

uint64_t
store_unsynced_age(const struct store *store)
{
    struct store_state *state = store->state;
    pthread_mutex_lock(&state->mutex);
    int64_t since = state->unsynced_since;
    pthread_mutex_unlock(&state->mutex);
    return since != 0 ? (uint64_t)(monotonic_now() - since) : 0;
}

static unsigned
write_flags(struct store *store, bool durable)
{
    return durable || store->state->sync ? 0 : LSMKV_UNSYNCED;
}

int
store_write(struct store *store, struct lsmkv_batch *batch, bool durable)
{
    if (lsmkv_batch_count(batch) == 0)
        return 0;
    int result = store_refusal(store);
    if (result)
        return result;
    unsigned flags = write_flags(store, durable);
    result = lsmkv_write(store->db, batch, flags);
    if (result == 0 && (flags & LSMKV_UNSYNCED))
        raise_unsynced(store->state);
    return result;
}

int
store_let_through(struct store *store, struct lsmkv_batch *batch)
{
    return lsmkv_batch_delete(batch, store->meta, lsmkv_str("none"));
}

int
store_move(struct store *store, const struct lsmkv_move *moves, size_t count,
           struct lsmkv_batch *batch, bool durable)
{
    int result = store_refusal(store);
    if (result)
        return result;
    unsigned flags = write_flags(store, durable);
    result = lsmkv_move_trees(store->db, store->files, moves, count, batch, flags);
    if (result == -E2BIG)
        result = -ENAMETOOLONG;
    if (result == 0 && (flags & LSMKV_UNSYNCED))
        raise_unsynced(store->state);
    return result;
}

int
store_rollback(struct store *store, const struct lsmkv_snapshot *snapshot,
               void (*progress)(void *context, uint64_t keys), void *context)
{
    const struct lsmkv_rollback_options options = {
        .except = store->meta, .progress = progress, .context = context};
    const struct timespec pause = {0, 100000000};
    int result = store_refusal(store);
    if (result == 0)
        result = lsmkv_rollback(store->db, snapshot, &options);
    for (unsigned i = 0; result == -ENOSPC && i < ROLLBACK_TRIES; i++) {
        nanosleep(&pause, NULL);
        result = lsmkv_rollback(store->db, snapshot, &options);
    }
    known_chunks_forget_all(store->known_chunks);
    return result;
}

int
store_sync(struct store *store)
{
    if (store->read_only)
        return 0;
    struct store_state *state = store->state;
    if (atomic_load(&state->failure))
        return -EIO;
    int64_t began = lower_unsynced(state);
    int result = lsmkv_sync(store->db);
    note_synced(state, began, result);
    if (result == 0)
        return 0;
    atomic_store(&state->failure, result);
    store_log(store, LSMKV_LOG_ERROR, "sync failed, the store takes no more writes: %s",
              lsmkv_strerror(result));
    return result;
}

void
store_touch(struct store *store)
{
    struct store_state *state = store->state;
    if (atomic_load_explicit(&state->touched, memory_order_relaxed) ||
        atomic_exchange(&state->touched, true))
        return;
    pthread_mutex_lock(&state->mutex);
    wake_commit(state);
    pthread_mutex_unlock(&state->mutex);
}

/* ---- numbers ---- */

static int
take(struct store *store, struct counter *counter, uint64_t *number)
{
    int result = store_refusal(store);
    return result ? result : counter_take(store, counter, number);
}

int
store_new_ino(struct store *store, uint64_t *ino)
{
    return take(store, &store->state->inodes, ino);
}

int
store_new_data_id(struct store *store, uint64_t *id)
{
    return take(store, &store->state->data_ids, id);
}

void
store_reserved(const struct store *store, uint64_t *inodes, uint64_t *data_ids)
{
    *inodes = atomic_load(&store->state->inodes.bound);
    *data_ids = atomic_load(&store->state->data_ids.bound);
}

/* ---- the commit thread ---- */

/* Puts what was deferred (M4). */
static int
commit_deferred(struct store *store)
{
    struct store_state *state = store->state;
    if (!atomic_exchange(&state->touched, false) || !state->before)
        return 0;
    int result = state->before(state->before_context);
    if (result) {
        atomic_store(&state->touched, true);
        store_log(store, LSMKV_LOG_ERROR, "cannot put deferred times: %s",
                  lsmkv_strerror(result));
    }
    return result;
}

static void
commit(struct store *store)
{
    struct store_state *state = store->state;
    if (atomic_load(&state->failure))
        return;
    int result = commit_deferred(store);
    if (atomic_load(&state->unsynced))
        result = store_sync(store);
    if (result)
        return;
    counter_keep_ahead(store, &state->inodes);
    counter_keep_ahead(store, &state->data_ids);
}

static struct timespec
deadline_after(unsigned milliseconds)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += milliseconds / 1000;
    at.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Waits for a reason to commit and then for the interval; false when it shall stop. */
static bool
await_commit(struct store_state *state)
{
    pthread_mutex_lock(&state->mutex);
    while (!state->stopping && !atomic_load(&state->unsynced) &&
           !atomic_load(&state->touched)) {
        state->idle = true;
        pthread_cond_wait(&state->wake, &state->mutex);
        state->idle = false;
    }
    struct timespec deadline = deadline_after(state->commit_ms);
    while (!state->stopping &&
           pthread_cond_timedwait(&state->wake, &state->mutex, &deadline) != ETIMEDOUT)
        continue;
    bool go_on = !state->stopping;
    pthread_mutex_unlock(&state->mutex);
    return go_on;
}

static void *
commit_thread(void *argument)
{
    struct store *store = argument;
    while (await_commit(store->state))
        commit(store);
    return NULL;
}

int
store_start(struct store *store, int (*before)(void *context), void *context)
{
    struct store_state *state = store->state;
    state->before = before;
    state->before_context = context;
    if (store->read_only)
        return 0;
    int result = -pthread_create(&state->thread, NULL, commit_thread, store);
    state->running = result == 0;
    return result;
}

int
store_stop(struct store *store)
{
    struct store_state *state = store->state;
    if (state->running) {
        pthread_mutex_lock(&state->mutex);
        state->stopping = true;
        pthread_cond_signal(&state->wake);
        pthread_mutex_unlock(&state->mutex);
        pthread_join(state->thread, NULL);
        state->running = false;
    }
    int deferred = commit_deferred(store);
    int synced = store_sync(store);
    state->before = NULL;
    /* On a full store what was said in the log are times that do not count as work. */
    return deferred && deferred != -ENOSPC ? deferred : synced;
}

/* ---- opening ---- */

void
store_options_init(struct store_options *options)
{
    memset(options, 0, sizeof *options);
    options->commit_ms = DEFAULT_COMMIT_MS;
    options->defaults.uid = geteuid();
    options->defaults.gid = getegid();
    options->defaults.file_mode = 0644;
    options->defaults.directory_mode = 0755;
}

static struct store *
store_new(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    struct store_state *state = calloc(1, sizeof *state);
    struct known_chunks *known_chunks = known_chunks_new();
    if (!store || !state || !known_chunks) {
        free(store);
        free(state);
        known_chunks_free(known_chunks);
        return NULL;
    }
    store->read_only = options->read_only;
    store->defaults = options->defaults;
    store->known_chunks = known_chunks;
    store->state = state;
    state->sync = options->sync;
    state->commit_ms = options->commit_ms ? options->commit_ms : DEFAULT_COMMIT_MS;
    if (options->engine) {
        state->log = options->engine->log;
        state->log_context = options->engine->log_context;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&state->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&state->mutex, NULL);
    counter_init(&state->inodes, "inode", ATTR_INO_FIRST);
    counter_init(&state->data_ids, "data", 1);
    return store;
}

static void
store_free(struct store *store)
{
    struct store_state *state = store->state;
    pthread_mutex_destroy(&state->inodes.reserving);
    pthread_mutex_destroy(&state->data_ids.reserving);
    pthread_mutex_destroy(&state->mutex);
    pthread_cond_destroy(&state->wake);
    known_chunks_free(store->known_chunks);
    free(state);
    free(store);
}

/* What does not keep a directory from being empty: of a file system of its own, and what is left of a
 * store whose making was interrupted before it was one (check_empty of the engine). */
static bool
is_nothing(const char *name)
{
    static const char *const names[] = {".", "..", "lost+found", "LOCK", "MANIFEST.tmp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* 0: there is nothing at `path`, or an empty directory.  A store is made nowhere else.  -EEXIST:
 * anything else is; or why that cannot be seen. */
static int
expect_vacant(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) {
        int result = errno == ENOENT ? 0 : -errno;
        /* A file, and not a path that leads through one. */
        return result == -ENOTDIR && access(path, F_OK) == 0 ? -EEXIST : result;
    }
    bool vacant = true;
    errno = 0;
    for (struct dirent *entry; vacant && (entry = readdir(directory));)
        vacant = is_nothing(entry->d_name);
    int failure = errno;
    closedir(directory);
    return !vacant ? -EEXIST : -failure;
}

void
store_engine_init(struct lsmkv_options *engine)
{
    lsmkv_options_init(engine);
    engine->blob_threshold = APART;
}

static int
open_engine(const struct store_options *options, struct store *store)
{
    struct lsmkv_options engine;
    if (options->engine)
        engine = *options->engine;
    else
        store_engine_init(&engine);
    engine.read_only = options->read_only;
    engine.create = false;
    if (options->create && !options->read_only) {
        int result = expect_vacant(options->path);
        if (result && engine.exclusive)
            return result;
        engine.create = result == 0;
    }
    int result = lsmkv_open(options->path, &engine, &store->db);
    if (result == 0)
        store->files = lsmkv_default_keyspace(store->db);
    return result;
}

/* The keyspace of that name, or NULL if there is none.  -EUCLEAN: it cannot be ours. */
static int
find_keyspace(struct store *store, const char *name, struct lsmkv_keyspace **keyspace)
{
    int result = lsmkv_keyspace_open(store->db, name, keyspace);
    if (result == -ENOENT)
        return 0;
    if (result == 0 && lsmkv_keyspace_order(*keyspace) != LSMKV_ORDER_BYTES)
        return -EUCLEAN;
    return result;
}

/* 1, 0 or an error. */
static int
is_empty(struct store *store, struct lsmkv_keyspace *keyspace)
{
    struct lsmkv_iter_options all = {.lazy_values = true};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(store->db, keyspace, &all, &iter);
    if (result)
        return result;
    lsmkv_iter_first(iter);
    result = lsmkv_iter_status(iter);
    result = result ? result : !lsmkv_iter_valid(iter);
    lsmkv_iter_free(iter);
    return result;
}

int
store_is_empty(struct store *store)
{
    return is_empty(store, store->files);
}

/* -EUCLEAN if `keyspace` holds anything: without a format it is somebody else's (M1). */
static int
expect_empty(struct store *store, struct lsmkv_keyspace *keyspace)
{
    int empty = keyspace ? is_empty(store, keyspace) : 1;
    return empty < 0 ? empty : empty ? 0 : -EUCLEAN;
}

/* Compressed as "default" is: what was chosen for that, whoever made it, is chosen for all. */
static int
create_keyspace(struct lsmkv *db, const char *name, struct lsmkv_keyspace **keyspace)
{
    const struct lsmkv_keyspace_options options = {
        .order = LSMKV_ORDER_BYTES,
        .compression = lsmkv_keyspace_compression(lsmkv_default_keyspace(db)),
    };
    return lsmkv_keyspace_create_with(db, name, &options, keyspace);
}

static int
make_keyspace(struct store *store, const char *name, struct lsmkv_keyspace **keyspace)
{
    if (*keyspace)
        return 0;
    return create_keyspace(store->db, name, keyspace);
}

static int
put_format(struct lsmkv *db, struct lsmkv_keyspace *meta, uint64_t *salt)
{
    uint8_t value[FORMAT_SIZE];
    if (getrandom(salt, sizeof *salt, 0) != sizeof *salt)
        return -EIO;
    put_le64(put_le32(value, STORE_FORMAT), *salt);
    return lsmkv_put(db, meta, lsmkv_str("format"), lsmkv_bytes(NULL, 0),
                     lsmkv_bytes(value, sizeof value), 0);
}

/* The first mount: keyspaces, then format (M1). */
static int
make_format(struct store *store, bool as_is)
{
    int result = expect_empty(store, store->chunks);
    result = result ? result : expect_empty(store, store->inodes);
    result = result ? result : expect_empty(store, store->meta);
    if (result || store->read_only || as_is)
        return result;
    result = make_keyspace(store, "chunks", &store->chunks);
    result = result ? result : make_keyspace(store, "inodes", &store->inodes);
    result = result ? result : make_keyspace(store, "meta", &store->meta);
    if (result)
        return result;
    return put_format(store->db, store->meta, &store->salt);
}

/* A counter's record that is missing, or says less than `least`, is put. */
static int
raise_counter(struct lsmkv *db, struct lsmkv_keyspace *meta, const char *name,
              uint64_t first, uint64_t least, bool *made)
{
    uint8_t value[8];
    struct lsmkv_record record;
    int result = lsmkv_get(db, meta, NULL, lsmkv_str(name), value, sizeof value, &record);
    if (result == 0 && record.value.size == sizeof value &&
        get_le64(record.value.data) >= least)
        return 0;
    if (result && result != -ENOENT && result != -ERANGE)
        return result;
    if (result == -ENOENT && least <= first)
        return 0; /* none was ever given out */
    *made = true;
    put_le64(value,
             least < NUMBER_LIMIT - COUNTER_BLOCK ? least + COUNTER_BLOCK : NUMBER_LIMIT);
    return lsmkv_put(db, meta, lsmkv_str(name), lsmkv_bytes(NULL, 0),
                     lsmkv_bytes(value, sizeof value), 0);
}

int
store_make_meta(struct lsmkv *db, uint64_t inodes, uint64_t data_ids, bool *made)
{
    static const char *const names[] = {"chunks", "inodes", "meta"};
    struct lsmkv_keyspace *keyspace = NULL; /* meta, at last */
    uint64_t salt;
    *made = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int result = lsmkv_keyspace_open(db, names[i], &keyspace);
        if (result == -ENOENT) {
            *made = true;
            result = create_keyspace(db, names[i], &keyspace);
        }
        if (result)
            return result;
    }
    int result =
        lsmkv_lookup(db, keyspace, NULL, lsmkv_str("format"), false, NULL, 0, NULL);
    if (result == LSMKV_ABSENT) {
        *made = true;
        result = put_format(db, keyspace, &salt);
    }
    if (result >= 0)
        result = raise_counter(db, keyspace, "inode", ATTR_INO_FIRST, inodes, made);
    return result ? result : raise_counter(db, keyspace, "data", 1, data_ids, made);
}

static int
check_format(struct store *store, struct lsmkv_slice value)
{
    const uint8_t *bytes = value.data;
    if (value.size < 4)
        return -EUCLEAN;
    if (get_le32(bytes) > STORE_FORMAT)
        return -EPROTONOSUPPORT;
    if (get_le32(bytes) != STORE_FORMAT || value.size != FORMAT_SIZE || !store->chunks ||
        !store->inodes)
        return -EUCLEAN;
    store->salt = get_le64(bytes + 4);
    return 0;
}

static int
open_keyspaces(struct store *store, bool as_is)
{
    uint8_t value[256];
    struct lsmkv_record record;
    int result = find_keyspace(store, "chunks", &store->chunks);
    result = result ? result : find_keyspace(store, "inodes", &store->inodes);
    result = result ? result : find_keyspace(store, "meta", &store->meta);
    if (result || !store->meta)
        return result ? result : make_format(store, as_is);
    result = lsmkv_get(store->db, store->meta, NULL, lsmkv_str("format"), value,
                       sizeof value, &record);
    if (result == -ENOENT)
        return make_format(store, as_is);
    if (result)
        return result == -ERANGE ? -EUCLEAN : result;
    result = check_format(store, record.value);
    result = result ? result : counter_load(store, &store->state->inodes);
    result = result ? result : counter_load(store, &store->state->data_ids);
    if (result == 0 && !store->read_only)
        counters_pass_records(store, &store->state->inodes, &store->state->data_ids);
    return result;
}

/* The same of a damaged store: what there is of ours, and can be read. */
static int
open_keyspaces_salvaging(struct store *store)
{
    struct lsmkv_keyspace **keyspaces[SALVAGE_ROLES] = {
        [SALVAGE_CHUNKS] = &store->chunks,
        [SALVAGE_INODES] = &store->inodes,
        [SALVAGE_META] = &store->meta,
    };
    uint8_t value[FORMAT_SIZE];
    struct lsmkv_record record;
    struct salvage_names names;
    int result = salvage_find_names(store->db, &names);
    for (int role = 0; role < SALVAGE_ROLES && result == 0; role++)
        if (names.names[role][0] != '\0')
            result = find_keyspace(store, names.names[role], keyspaces[role]);
    if (result || !store->meta)
        return result;
    result = lsmkv_get(store->db, store->meta, NULL, lsmkv_str("format"), value,
                       sizeof value, &record);
    if (result == 0 && record.value.size >= 4 && get_le32(value) > STORE_FORMAT)
        return -EPROTONOSUPPORT;
    if (result == 0 && record.value.size == FORMAT_SIZE)
        store->salt = get_le64(value + 4);
    counter_salvage(store, &store->state->inodes);
    counter_salvage(store, &store->state->data_ids);
    return result == -ENOMEM ? result : 0;
}

static void
explain(int result, const char *path, char *why, size_t why_size)
{
    const char *detail = lsmkv_error_detail();
    if (result == -ENOENT && access(path, F_OK) == 0)
        snprintf(why, why_size, "%s: not a store", path);
    else if (result == -EEXIST)
        snprintf(why, why_size, "%s: is there already", path);
    else if (result == -EPROTONOSUPPORT)
        snprintf(why, why_size, "%s: written by a newer version of lsmfs", path);
    else if (result == -ENOTSUP)
        snprintf(why, why_size, "%s: written by a newer version of lsmkv: %s", path,
                 detail);
    else if (result == -EUCLEAN && !*detail)
        snprintf(why, why_size,
                 "%s: its keyspaces chunks, inodes and meta are damaged or not lsmfs's",
                 path);
    else if (result == -ENOENT || !*detail)
        snprintf(why, why_size, "%s: %s", path, strerror(-result));
    else if (strncmp(detail, path, strlen(path)) == 0)
        snprintf(why, why_size, "%s", detail);
    else
        snprintf(why, why_size, "%s: %s", path, detail);
}

int
store_open(const struct store_options *options, struct store **out, char *why,
           size_t why_size)
{
    struct store *store = store_new(options);
    if (!store) {
        snprintf(why, why_size, "%s: out of memory", options->path);
        return -ENOMEM;
    }
    int result = open_engine(options, store);
    if (result == 0)
        result = options->read_only && options->engine && options->engine->salvage
                     ? open_keyspaces_salvaging(store)
                     : open_keyspaces(store, options->as_is);
    if (result == 0) {
        *out = store;
        return 0;
    }
    explain(result, options->path, why, why_size);
    if (store->db)
        lsmkv_close(store->db);
    store_free(store);
    return result;
}

int
store_close(struct store *store)
{
    int failure = atomic_load(&store->state->failure);
    int result = lsmkv_close(store->db);
    store_free(store);
    return failure ? failure : result;
}
