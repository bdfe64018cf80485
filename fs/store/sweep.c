/*
 * sweep.c - giving back chunks.
 *
 * Orphans are found by walking their records; there may be any number (rm -rf), so they are not
 * kept in memory but for those that are held.  Trims are kept: a file that grows must know
 * whether dead chunks lie in its way, and it asks at every write past its end.
 *
 *     shrink  file: [0 1 2 3 4 5 6 7]  ->  [0 1 2]  3 4 5 6 7    trim (id, 3)
 *     grow    to chunk 4: the trim is finished first, or 3 and 4 would show old bytes
 *
 * S1  A trim is in `trims` from before its batch is written; it is swept only once armed, that
 *     is after the batch was published, and leaves `trims` only when its record is gone.  (Swept
 *     any earlier it would delete chunks of a file that may not shrink after all.)
 * S2  Whoever deletes chunks of a trim holds `sweeping` from reading them until its batch is
 *     written; so once sweep_finish_trims returns, nobody is about to delete any.
 * S3  An orphan is held from before its batch is written until sweep_release, or until it is
 *     one no more (sweep_adopt).
 * S4  The record goes in the same batch as the last of its chunks.
 */
#include "store/sweep.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/chunks.h"
#include "store/records.h"

#define RETRY_SECONDS 10 /* after an error */

struct mark {
    uint64_t data_id, first_dead;
    bool armed;
};

/* Sorted by data id, then first dead chunk. */
struct marks {
    struct mark *items;
    size_t count, capacity;
};

struct sweep {
    /* Held through a batch of the sweep (S2); taken before `mutex`. */
    pthread_mutex_t sweeping;
    /* protected by sweeping */
    struct lsmkv_batch *batch;
    uint64_t cursor;   /* the data id at which the walk over orphans goes on */
    struct marks then; /* the trims of the state that is gone back to */

    pthread_mutex_t mutex;
    pthread_cond_t wake;
    /* protected by mutex */
    struct marks trims;
    struct marks held;
    bool orphans; /* there may be some that the walk has passed or not reached */
    bool busy;    /* the thread is at a batch, or between two */
    bool failing; /* its last batch was */
    bool stopping;

    _Atomic size_t trim_count; /* of trims.count, to be read without the mutex */
    pthread_t thread;
    bool running;
};

/* ---- marks ---- */

/* The position of the first mark at or after (data_id, first_dead). */
static size_t
marks_find(const struct marks *marks, uint64_t data_id, uint64_t first_dead)
{
    size_t low = 0, high = marks->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mark *mark = &marks->items[middle];
        if (mark->data_id < data_id ||
            (mark->data_id == data_id && mark->first_dead < first_dead))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct mark *
marks_get(const struct marks *marks, uint64_t data_id, uint64_t first_dead)
{
    size_t at = marks_find(marks, data_id, first_dead);
    if (at == marks->count || marks->items[at].data_id != data_id ||
        marks->items[at].first_dead != first_dead)
        return NULL;
    return &marks->items[at];
}

/* Adds a mark; one that is there already stays as it is. */
static int
marks_add(struct marks *marks, uint64_t data_id, uint64_t first_dead, bool armed)
{
    if (marks_get(marks, data_id, first_dead))
        return 0;
    if (marks->count == marks->capacity) {
        size_t capacity = marks->capacity ? 2 * marks->capacity : 16;
        struct mark *items = realloc(marks->items, capacity * sizeof *items);
        if (!items)
            return -ENOMEM;
        marks->items = items;
        marks->capacity = capacity;
    }
    size_t at = marks_find(marks, data_id, first_dead);
    memmove(&marks->items[at + 1], &marks->items[at],
            (marks->count - at) * sizeof *marks->items);
    marks->items[at] = (struct mark){data_id, first_dead, armed};
    marks->count++;
    return 0;
}

static void
marks_remove(struct marks *marks, uint64_t data_id, uint64_t first_dead)
{
    struct mark *mark = marks_get(marks, data_id, first_dead);
    if (!mark)
        return;
    size_t at = (size_t)(mark - marks->items);
    marks->count--;
    memmove(mark, mark + 1, (marks->count - at) * sizeof *mark);
}

/* ---- telling the sweep ---- */

static int
list_add(struct sweep_list *list, uint64_t data_id, uint64_t first_dead, bool held)
{
    if (list->count == sizeof list->items / sizeof list->items[0])
        return -E2BIG;
    list->items[list->count++] = (struct sweep_item){data_id, first_dead, held};
    return 0;
}

static int
put_record(struct store *store, struct lsmkv_batch *batch, struct record_key key)
{
    return lsmkv_batch_put(batch, store->inodes, record_slice(&key), lsmkv_bytes(NULL, 0),
                           lsmkv_bytes(NULL, 0));
}

int
sweep_orphan(struct store *store, struct lsmkv_batch *batch, struct sweep_list *list,
             uint64_t data_id, bool held)
{
    int result = put_record(store, batch, record_orphan(data_id));
    return result ? result : list_add(list, data_id, 0, held);
}

int
sweep_trim(struct store *store, struct lsmkv_batch *batch, struct sweep_list *list,
           uint64_t data_id, uint64_t first_dead)
{
    int result = put_record(store, batch, record_trim(data_id, first_dead));
    return result ? result : list_add(list, data_id, first_dead, false);
}

/* The trims as others see them without the mutex. */
static void
count_trims(struct sweep *sweep)
{
    atomic_store(&sweep->trim_count, sweep->trims.count);
}

int
sweep_before(struct store *store, const struct sweep_list *list)
{
    struct sweep *sweep = store->sweep;
    int result = 0;
    if (list->count == 0)
        return 0;
    pthread_mutex_lock(&sweep->mutex);
    for (unsigned i = 0; result == 0 && i < list->count; i++) {
        const struct sweep_item *item = &list->items[i];
        if (item->first_dead > 0)
            result = marks_add(&sweep->trims, item->data_id, item->first_dead, false);
        else if (item->held)
            result = marks_add(&sweep->held, item->data_id, 0, true);
    }
    count_trims(sweep);
    pthread_mutex_unlock(&sweep->mutex);
    if (result)
        sweep_after(store, list, result);
    return result;
}

/* The batch that `item` is of was published, or was not. */
static void
settle_item(struct sweep *sweep, const struct sweep_item *item, bool published)
{
    if (item->first_dead > 0) {
        struct mark *trim = marks_get(&sweep->trims, item->data_id, item->first_dead);
        if (trim && published)
            trim->armed = true;
        else if (trim && !trim->armed)
            marks_remove(&sweep->trims, item->data_id, item->first_dead);
    } else if (item->held != published) {
        /* An orphan held in vain, or one that nobody holds any more. */
        marks_remove(&sweep->held, item->data_id, 0);
    }
    if (published && !item->held)
        sweep->orphans |= item->first_dead == 0;
}

void
sweep_after(struct store *store, const struct sweep_list *list, int result)
{
    struct sweep *sweep = store->sweep;
    if (list->count == 0)
        return;
    pthread_mutex_lock(&sweep->mutex);
    for (unsigned i = 0; i < list->count; i++)
        settle_item(sweep, &list->items[i], result == 0);
    count_trims(sweep);
    pthread_cond_signal(&sweep->wake);
    pthread_mutex_unlock(&sweep->mutex);
}

int
sweep_publish(struct store *store, struct lsmkv_batch *batch,
              const struct sweep_list *list, bool durable)
{
    int result = sweep_before(store, list);
    if (result)
        return result;
    result = store_write(store, batch, durable);
    sweep_after(store, list, result);
    return result;
}

void
sweep_release(struct store *store, uint64_t data_id)
{
    struct sweep *sweep = store->sweep;
    pthread_mutex_lock(&sweep->mutex);
    if (marks_get(&sweep->held, data_id, 0)) {
        marks_remove(&sweep->held, data_id, 0);
        sweep->orphans = true;
        pthread_cond_signal(&sweep->wake);
    }
    pthread_mutex_unlock(&sweep->mutex);
}

int
sweep_adopt_in(struct store *store, struct lsmkv_batch *batch, uint64_t data_id)
{
    struct record_key key = record_orphan(data_id);
    return lsmkv_batch_delete(batch, store->inodes, record_slice(&key));
}

/* A walk over orphans that began before may still see the record, but not without `sweeping`:
 * until it ends the mark says that the chunks are to stay. */
void
sweep_adopt(struct store *store, uint64_t data_id)
{
    struct sweep *sweep = store->sweep;
    pthread_mutex_lock(&sweep->sweeping);
    pthread_mutex_lock(&sweep->mutex);
    marks_remove(&sweep->held, data_id, 0);
    pthread_mutex_unlock(&sweep->mutex);
    pthread_mutex_unlock(&sweep->sweeping);
}

/* ---- sweeping ---- */

/* Puts deletions of the chunks of `data_id` from `first` on into sweep->batch, until it holds
 * SWEEP_BATCH entries; `*whole` says that these were all. */
static int
delete_chunks(struct store *store, uint64_t data_id, uint64_t first, bool *whole)
{
    struct lsmkv_batch *batch = store->sweep->batch;
    struct lsmkv_iter *iter;
    int result = chunks_iter(store, NULL, data_id, first, UINT64_MAX, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        if (lsmkv_batch_count(batch) >= SWEEP_BATCH)
            break;
        result = lsmkv_batch_delete(batch, store->chunks, lsmkv_iter_key(iter));
        if (result)
            break;
    }
    *whole = !lsmkv_iter_valid(iter);
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

static int
delete_record(struct store *store, struct record_key key)
{
    return lsmkv_batch_delete(store->sweep->batch, store->inodes, record_slice(&key));
}

/* One batch of a trim; `*whole` says that it is done with, and forgotten (S1, S4). */
static int
sweep_trim_batch(struct store *store, struct mark trim, bool *whole)
{
    struct sweep *sweep = store->sweep;
    lsmkv_batch_clear(sweep->batch);
    int result = delete_chunks(store, trim.data_id, trim.first_dead, whole);
    if (result == 0 && *whole)
        result = delete_record(store, record_trim(trim.data_id, trim.first_dead));
    if (result == 0)
        result = store_write(store, sweep->batch, false);
    if (result || !*whole)
        return result;
    pthread_mutex_lock(&sweep->mutex);
    marks_remove(&sweep->trims, trim.data_id, trim.first_dead);
    count_trims(sweep);
    pthread_mutex_unlock(&sweep->mutex);
    return 0;
}

/* An armed trim; of `data_id`, beginning at or before `last`, unless `any`. */
static bool
choose_trim(struct sweep *sweep, bool any, uint64_t data_id, uint64_t last,
            struct mark *chosen)
{
    bool found = false;
    pthread_mutex_lock(&sweep->mutex);
    const struct marks *trims = &sweep->trims;
    for (size_t i = any ? 0 : marks_find(trims, data_id, 0); i < trims->count; i++) {
        const struct mark *trim = &trims->items[i];
        if (!any && (trim->data_id != data_id || trim->first_dead > last))
            break;
        if (!trim->armed)
            continue;
        *chosen = *trim;
        found = true;
        break;
    }
    pthread_mutex_unlock(&sweep->mutex);
    return found;
}

int
sweep_finish_trims(struct store *store, uint64_t data_id, uint64_t last)
{
    struct sweep *sweep = store->sweep;
    struct mark trim;
    int result = 0;
    if (atomic_load(&sweep->trim_count) == 0 ||
        !choose_trim(sweep, false, data_id, last, &trim))
        return 0;
    pthread_mutex_lock(&sweep->sweeping);
    while (result == 0 && choose_trim(sweep, false, data_id, last, &trim)) {
        bool whole;
        result = sweep_trim_batch(store, trim, &whole);
    }
    pthread_mutex_unlock(&sweep->sweeping);
    return result;
}

/* Is there anything to do?  Under the mutex. */
static bool
is_due(const struct sweep *sweep)
{
    bool due = sweep->orphans;
    for (size_t i = 0; !due && i < sweep->trims.count; i++)
        due = sweep->trims.items[i].armed;
    return due;
}

bool
sweep_is_busy(struct store *store)
{
    struct sweep *sweep = store->sweep;
    pthread_mutex_lock(&sweep->mutex);
    bool busy = sweep->running && !sweep->failing && (sweep->busy || is_due(sweep));
    pthread_mutex_unlock(&sweep->mutex);
    return busy;
}

static bool
is_held(struct sweep *sweep, uint64_t data_id)
{
    pthread_mutex_lock(&sweep->mutex);
    bool held = marks_get(&sweep->held, data_id, 0) != NULL;
    pthread_mutex_unlock(&sweep->mutex);
    return held;
}

/* Adds to the batch what the orphan the iterator stands on still has; moves the cursor past it
 * if that is all. */
static int
add_orphan(struct store *store, struct lsmkv_slice key)
{
    struct sweep *sweep = store->sweep;
    uint64_t data_id, first_dead;
    bool whole = true;
    int result = 0;
    if (!record_decode_sweep(key, &data_id, &first_dead)) {
        store_log(store, LSMKV_LOG_WARNING, "an orphan record of %zu bytes is malformed",
                  key.size);
        return 0;
    }
    if (!is_held(sweep, data_id)) {
        result = delete_chunks(store, data_id, 0, &whole);
        if (result == 0 && whole)
            result = delete_record(store, record_orphan(data_id));
    }
    if (result == 0)
        sweep->cursor = whole ? data_id + 1 : data_id;
    return result;
}

/* Fills the batch from the orphans at the cursor on; `*end` says that there are no more. */
static int
gather_orphans(struct store *store, bool *end)
{
    struct sweep *sweep = store->sweep;
    struct record_key lower = record_orphan(sweep->cursor);
    struct record_key upper = record_tag_end(RECORD_ORPHAN);
    struct lsmkv_iter_options options = {.lower = record_slice(&lower),
                                         .upper = record_slice(&upper)};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(store->db, store->inodes, &options, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter);
         lsmkv_iter_valid(iter) && lsmkv_batch_count(sweep->batch) < SWEEP_BATCH;
         lsmkv_iter_next(iter)) {
        result = add_orphan(store, lsmkv_iter_key(iter));
        if (result)
            break;
    }
    *end = !lsmkv_iter_valid(iter) && lsmkv_batch_count(sweep->batch) < SWEEP_BATCH;
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* Are there orphans to look for?  Beginning the walk anew takes the flag down: what comes while
 * it runs raises it again. */
static bool
begin_orphans(struct sweep *sweep)
{
    pthread_mutex_lock(&sweep->mutex);
    bool begin = sweep->cursor > 0 || sweep->orphans;
    if (sweep->cursor == 0)
        sweep->orphans = false;
    pthread_mutex_unlock(&sweep->mutex);
    return begin;
}

/* One batch of orphans. */
static int
sweep_orphan_batch(struct store *store)
{
    struct sweep *sweep = store->sweep;
    bool end = false;
    uint64_t from = sweep->cursor;
    lsmkv_batch_clear(sweep->batch);
    int result = gather_orphans(store, &end);
    if (result == 0)
        result = store_write(store, sweep->batch, false);
    if (result) {
        sweep->cursor = from;
        pthread_mutex_lock(&sweep->mutex);
        sweep->orphans = true;
        pthread_mutex_unlock(&sweep->mutex);
    } else if (end) {
        sweep->cursor = 0;
    }
    return result;
}

int
sweep_step(struct store *store, bool *more)
{
    struct sweep *sweep = store->sweep;
    struct mark trim;
    int result = 0;
    *more = false;
    if (store->read_only)
        return 0;
    pthread_mutex_lock(&sweep->sweeping);
    if (choose_trim(sweep, true, 0, 0, &trim)) {
        bool whole;
        result = sweep_trim_batch(store, trim, &whole);
    } else if (begin_orphans(sweep)) {
        result = sweep_orphan_batch(store);
    }
    pthread_mutex_lock(&sweep->mutex);
    *more = sweep->cursor > 0 || is_due(sweep);
    pthread_mutex_unlock(&sweep->mutex);
    pthread_mutex_unlock(&sweep->sweeping);
    return result;
}

/* ---- the thread ---- */

/* Waits until there may be something to do; after an error, a while.  False: stop. */
static bool
await_work(struct sweep *sweep, bool more, bool failed)
{
    struct timespec retry;
    clock_gettime(CLOCK_MONOTONIC, &retry);
    retry.tv_sec += RETRY_SECONDS;
    pthread_mutex_lock(&sweep->mutex);
    sweep->busy = more && !failed;
    sweep->failing = failed;
    while (!sweep->stopping && failed)
        failed = pthread_cond_timedwait(&sweep->wake, &sweep->mutex, &retry) != ETIMEDOUT;
    while (!sweep->stopping && !more && !is_due(sweep))
        pthread_cond_wait(&sweep->wake, &sweep->mutex);
    bool go_on = !sweep->stopping;
    sweep->busy = true;
    pthread_mutex_unlock(&sweep->mutex);
    return go_on;
}

static void *
sweep_thread(void *argument)
{
    struct store *store = argument;
    bool more = true;
    int result = 0;
    while (await_work(store->sweep, more, result != 0)) {
        int before = result;
        result = sweep_step(store, &more);
        if (result && result != before)
            store_log(store, LSMKV_LOG_WARNING,
                      "cannot give back the chunks of files: %s", lsmkv_strerror(result));
    }
    return NULL;
}

/* ---- its life ---- */

/* The trims of a state, NULL: of now, into `marks`. */
static int
load_trims(struct store *store, const struct lsmkv_snapshot *snapshot,
           struct marks *marks)
{
    struct record_key lower = record_tag_begin(RECORD_TRIM);
    struct record_key upper = record_tag_end(RECORD_TRIM);
    struct lsmkv_iter_options options = {.snapshot = snapshot,
                                         .lower = record_slice(&lower),
                                         .upper = record_slice(&upper)};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(store->db, store->inodes, &options, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); result == 0 && lsmkv_iter_valid(iter);
         lsmkv_iter_next(iter)) {
        uint64_t data_id, first_dead;
        struct lsmkv_slice key = lsmkv_iter_key(iter);
        if (record_decode_sweep(key, &data_id, &first_dead))
            result = marks_add(marks, data_id, first_dead, true);
        else
            store_log(store, LSMKV_LOG_WARNING, "a trim record of %zu bytes is malformed",
                      key.size);
    }
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

int
sweep_new(struct store *store)
{
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep)
        return -ENOMEM;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sweep->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&sweep->mutex, NULL);
    pthread_mutex_init(&sweep->sweeping, NULL);
    sweep->orphans = true;
    store->sweep = sweep;
    int result = 0;
    if (!store->read_only)
        result = lsmkv_batch_new(&sweep->batch);
    if (result == 0 && !store->read_only)
        result = load_trims(store, NULL, &sweep->trims);
    count_trims(sweep);
    if (result)
        sweep_free(store);
    return result;
}

int
sweep_before_rollback(struct store *store, const struct lsmkv_snapshot *snapshot)
{
    struct sweep *sweep = store->sweep;
    pthread_mutex_lock(&sweep->sweeping);
    sweep->then.count = 0;
    int result = load_trims(store, snapshot, &sweep->then);
    if (result)
        pthread_mutex_unlock(&sweep->sweeping);
    return result;
}

void
sweep_went_back(struct store *store, bool back)
{
    struct sweep *sweep = store->sweep;
    if (back) {
        pthread_mutex_lock(&sweep->mutex);
        struct marks before = sweep->trims;
        sweep->trims = sweep->then;
        sweep->then = before;
        sweep->held.count = 0;
        sweep->orphans = true;
        sweep->cursor = 0;
        count_trims(sweep);
        pthread_cond_signal(&sweep->wake);
        pthread_mutex_unlock(&sweep->mutex);
    }
    pthread_mutex_unlock(&sweep->sweeping);
}

int
sweep_start(struct store *store)
{
    struct sweep *sweep = store->sweep;
    if (store->read_only)
        return 0;
    int result = -pthread_create(&sweep->thread, NULL, sweep_thread, store);
    sweep->running = result == 0;
    return result;
}

void
sweep_free(struct store *store)
{
    struct sweep *sweep = store->sweep;
    if (!sweep)
        return;
    if (sweep->running) {
        pthread_mutex_lock(&sweep->mutex);
        sweep->stopping = true;
        pthread_cond_signal(&sweep->wake);
        pthread_mutex_unlock(&sweep->mutex);
        pthread_join(sweep->thread, NULL);
    }
    lsmkv_batch_free(sweep->batch);
    free(sweep->trims.items);
    free(sweep->held.items);
    free(sweep->then.items);
    pthread_mutex_destroy(&sweep->mutex);
    pthread_mutex_destroy(&sweep->sweeping);
    pthread_cond_destroy(&sweep->wake);
    free(sweep);
    store->sweep = NULL;
}
