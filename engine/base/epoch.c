/* epoch.c - see epoch.h.  The time and the readers are the process's, what waits is a
 * store's. */
#include "base/epoch.h"

#include <pthread.h>
#include <stddef.h>

#define CACHE_LINE 64

struct reader_slot {
    _Alignas(CACHE_LINE) _Atomic uint64_t entered; /* the time; 0: outside */
    atomic_bool taken;
};

static struct reader_slot slots[EPOCH_SLOTS];
static _Atomic uint64_t now = 1;

_Thread_local unsigned epoch_slot = EPOCH_SLOTS;
static pthread_key_t key; /* its value is the slot, given back when the thread ends */
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool key_made;

/* ---- a slot a thread ---- */

static void
give_back(void *slot)
{
    epoch_slot = EPOCH_SLOTS;
    atomic_store_explicit(&((struct reader_slot *)slot)->taken, false,
                          memory_order_release);
}

/* In a child all other threads are gone, wherever they were. */
static void
after_fork(void)
{
    for (size_t i = 0; i < EPOCH_SLOTS; i++) {
        if (i == epoch_slot)
            continue;
        atomic_store(&slots[i].entered, 0);
        atomic_store(&slots[i].taken, false);
    }
}

static void
make_key(void)
{
    key_made = pthread_key_create(&key, give_back) == 0 &&
               pthread_atfork(NULL, NULL, after_fork) == 0;
}

unsigned
epoch_take_slot(void)
{
    if (epoch_slot != EPOCH_SLOTS)
        return epoch_slot;
    pthread_once(&key_once, make_key);
    for (unsigned i = 0; key_made && i < EPOCH_SLOTS; i++) {
        bool taken = atomic_load_explicit(&slots[i].taken, memory_order_relaxed);

        if (taken || !atomic_compare_exchange_strong(&slots[i].taken, &taken, true))
            continue;
        if (pthread_setspecific(key, &slots[i]) == 0)
            epoch_slot = i;
        else
            give_back(&slots[i]);
        break;
    }
    return epoch_slot;
}

/* ---- readers ---- */

bool
epoch_enter(void)
{
    unsigned slot = epoch_take_slot();

    if (slot == EPOCH_SLOTS)
        return false;
    atomic_store(&slots[slot].entered, atomic_load(&now)); /* E1 */
    return true;
}

void
epoch_leave(struct limbo *limbo)
{
    atomic_store_explicit(&slots[epoch_slot].entered, 0, memory_order_release);
    if (atomic_load_explicit(&limbo->any, memory_order_relaxed))
        epoch_collect(limbo);
}

/* ---- what is retired ---- */

/* What was retired before this time no reader has: that at which the reader entered who
 * has been inside longest, but not later than now, for who enters behind this look may
 * have what others retire behind it. */
static uint64_t
oldest_reader(void)
{
    uint64_t oldest = atomic_load(&now);

    for (size_t i = 0; i < EPOCH_SLOTS; i++) {
        uint64_t entered = atomic_load(&slots[i].entered);

        if (entered != 0 && entered < oldest)
            oldest = entered;
    }
    return oldest;
}

/* Releases what was retired before `time`. */
static void
release_before(struct limbo *limbo, uint64_t time)
{
    struct retired *ready = NULL, **link = &limbo->first;

    mutex_lock(&limbo->mutex);
    while (*link != NULL) {
        struct retired *retired = *link;

        if (retired->time >= time) {
            link = &retired->next;
            continue;
        }
        *link = retired->next;
        retired->next = ready;
        ready = retired;
    }
    atomic_store_explicit(&limbo->any, limbo->first != NULL, memory_order_relaxed);
    mutex_unlock(&limbo->mutex);
    while (ready != NULL) {
        struct retired *next = ready->next;

        ready->release(ready);
        ready = next;
    }
}

void
epoch_retire(struct limbo *limbo, struct retired *retired)
{
    mutex_lock(&limbo->mutex);
    retired->time = atomic_fetch_add(&now, 1);
    retired->next = limbo->first;
    limbo->first = retired;
    atomic_store_explicit(&limbo->any, true, memory_order_relaxed);
    mutex_unlock(&limbo->mutex);
    epoch_collect(limbo);
}

void
epoch_collect(struct limbo *limbo)
{
    release_before(limbo, oldest_reader());
}

void
limbo_init(struct limbo *limbo)
{
    mutex_init(&limbo->mutex);
}

void
limbo_empty(struct limbo *limbo)
{
    release_before(limbo, UINT64_MAX);
}

void
limbo_fini(struct limbo *limbo)
{
    limbo_empty(limbo);
    mutex_fini(&limbo->mutex);
}
