/*
 * turns.c - one thread at a time.
 *
 * Every thread of a world stands in its list with what it waits for: NULL, it may run; else the
 * address of a lock, a condition or the thread to be joined.  Only `running` executes outside
 * hand_over.  Locks are taken with the real trylock, so that a real lock is held by who has it
 * here, too; who finds one taken waits for its address, and whoever gives it back wakes all
 * that do.
 */
#include "turns/turns.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#include "support/random.h"

#define NANOSECONDS 1000000000
#define BEGINNING   INT64_C(1700000000000000000) /* of the clock: some day in 2023 */
#define CLOCK_STEP  1000
#define SWITCHES    32 /* one in so many locks taken hands the turn over */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __real_pthread_cond_signal(pthread_cond_t *condition);
int __real_pthread_cond_broadcast(pthread_cond_t *condition);
int __real_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_timedwrlock(pthread_rwlock_t *lock,
                                      const struct timespec *until);
int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
                          void *(*body)(void *argument), void *argument);
int __real_pthread_join(pthread_t id, void **result);
int __real_sem_wait(sem_t *semaphore);
int __real_sem_post(sem_t *semaphore);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
ssize_t __real_getrandom(void *buffer, size_t size, unsigned flags);
int __real_sched_yield(void);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_timedwrlock(pthread_rwlock_t *lock,
                                      const struct timespec *until);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
                          void *(*body)(void *argument), void *argument);
int __wrap_pthread_join(pthread_t id, void **result);
int __wrap_sem_wait(sem_t *semaphore);
int __wrap_sem_post(sem_t *semaphore);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags);
int __wrap_sched_yield(void);

struct thread;

struct world {
    pthread_mutex_t mutex;
    struct thread *threads;
    struct thread *running;
    struct random random;
    int64_t now;
    struct thread
        *outer; /* what the thread that began this one is in the world around it */
};

struct thread {
    struct thread *next;
    struct world *world;
    pthread_cond_t turn;
    pthread_t id;
    void *(*body)(void *argument);
    void *argument;
    const void *waits_for; /* NULL: it may run */
    int64_t deadline;      /* of that waiting; 0: none */
    bool ended;
};

static _Thread_local struct thread *self; /* NULL: none of ours */

static void *
need(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL)
        abort();
    return memory;
}

/* ---- whose turn it is ---- */

static bool
may_run(const struct thread *thread)
{
    return !thread->ended && thread->waits_for == NULL;
}

/* Deadlines that have passed end the waiting for whatever it was. */
static void
pass_deadlines(struct world *world)
{
    for (struct thread *thread = world->threads; thread != NULL; thread = thread->next)
        if (thread->deadline != 0 && thread->deadline <= world->now)
            thread->waits_for = NULL;
}

/* When nobody may run, the time of the next deadline comes. */
static void
skip_time(struct world *world)
{
    int64_t next = 0;

    for (struct thread *thread = world->threads; thread != NULL; thread = thread->next) {
        if (may_run(thread))
            return;
        if (thread->deadline != 0 && (next == 0 || thread->deadline < next))
            next = thread->deadline;
    }
    if (next == 0) {
        fprintf(stderr, "turns: everybody waits\n");
        abort();
    }
    world->now = next;
    pass_deadlines(world);
}

static struct thread *
draw(struct world *world)
{
    uint64_t ready = 0, chosen;

    skip_time(world);
    for (struct thread *thread = world->threads; thread != NULL; thread = thread->next)
        ready += may_run(thread);
    chosen = random_below(&world->random, ready);
    for (struct thread *thread = world->threads;; thread = thread->next)
        if (may_run(thread) && chosen-- == 0)
            return thread;
}

/* The world's mutex is held.  Returns in the caller's next turn, or at once if he has ended. */
static void
hand_over(struct thread *me)
{
    struct world *world = me->world;
    struct thread *next = draw(world);

    if (next == me)
        return;
    world->running = next;
    __real_pthread_cond_signal(&next->turn);
    while (!me->ended && world->running != me)
        __real_pthread_cond_wait(&me->turn, &world->mutex);
}

static void
wait_for(const void *address)
{
    __real_pthread_mutex_lock(&self->world->mutex);
    self->waits_for = address;
    hand_over(self);
    __real_pthread_mutex_unlock(&self->world->mutex);
}

static void
hand_over_sometimes(void)
{
    __real_pthread_mutex_lock(&self->world->mutex);
    if (random_below(&self->world->random, SWITCHES) == 0)
        hand_over(self);
    __real_pthread_mutex_unlock(&self->world->mutex);
}

static void
wake(const void *address)
{
    for (struct thread *thread = self->world->threads; thread; thread = thread->next)
        if (thread->waits_for == address)
            thread->waits_for = NULL;
}

static void
wake_one(const void *address)
{
    uint64_t waiting = 0, chosen;
    struct thread *thread;

    for (thread = self->world->threads; thread != NULL; thread = thread->next)
        waiting += thread->waits_for == address;
    if (waiting == 0)
        return;
    chosen = random_below(&self->world->random, waiting);
    for (thread = self->world->threads; thread != NULL; thread = thread->next)
        if (thread->waits_for == address && chosen-- == 0)
            thread->waits_for = NULL;
}

/* ---- the wrapped functions ---- */

int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (self == NULL)
        return __real_pthread_mutex_lock(mutex);
    hand_over_sometimes();
    while (pthread_mutex_trylock(mutex) != 0)
        wait_for(mutex);
    return 0;
}

int
__wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int result = __real_pthread_mutex_unlock(mutex);

    if (self != NULL)
        wake(mutex);
    return result;
}

/* `deadline` 0: none. */
static int
wait_on(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline)
{
    bool late;

    __real_pthread_mutex_unlock(mutex);
    wake(mutex);
    self->deadline = deadline;
    wait_for(condition);
    late = deadline != 0 && self->world->now >= deadline;
    self->deadline = 0;
    while (pthread_mutex_trylock(mutex) != 0)
        wait_for(mutex);
    return late ? ETIMEDOUT : 0;
}

static int64_t
nanoseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * NANOSECONDS + time->tv_nsec;
}

int
__wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    return self == NULL ? __real_pthread_cond_wait(condition, mutex)
                        : wait_on(condition, mutex, 0);
}

int
__wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                              const struct timespec *until)
{
    return self == NULL ? __real_pthread_cond_timedwait(condition, mutex, until)
                        : wait_on(condition, mutex, nanoseconds(until));
}

int
__wrap_pthread_cond_signal(pthread_cond_t *condition)
{
    if (self == NULL)
        return __real_pthread_cond_signal(condition);
    wake_one(condition);
    return 0;
}

int
__wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
    if (self == NULL)
        return __real_pthread_cond_broadcast(condition);
    wake(condition);
    return 0;
}

int
__wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    if (self == NULL)
        return __real_pthread_rwlock_rdlock(lock);
    hand_over_sometimes();
    while (pthread_rwlock_tryrdlock(lock) != 0)
        wait_for(lock);
    return 0;
}

int
__wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    if (self == NULL)
        return __real_pthread_rwlock_wrlock(lock);
    hand_over_sometimes();
    while (pthread_rwlock_trywrlock(lock) != 0)
        wait_for(lock);
    return 0;
}

int
__wrap_pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
    int result;

    if (self == NULL)
        return __real_pthread_rwlock_timedwrlock(lock, until);
    hand_over_sometimes();
    self->deadline = nanoseconds(until);
    while ((result = pthread_rwlock_trywrlock(lock)) != 0 &&
           self->world->now < self->deadline)
        wait_for(lock);
    self->deadline = 0;
    return result == 0 ? 0 : ETIMEDOUT;
}

int
__wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    int result = __real_pthread_rwlock_unlock(lock);

    if (self != NULL)
        wake(lock);
    return result;
}

int
__wrap_sem_wait(sem_t *semaphore)
{
    if (self == NULL)
        return __real_sem_wait(semaphore);
    hand_over_sometimes();
    while (sem_trywait(semaphore) != 0)
        wait_for(semaphore);
    return 0;
}

int
__wrap_sem_post(sem_t *semaphore)
{
    int result = __real_sem_post(semaphore);

    if (self != NULL)
        wake(semaphore);
    return result;
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (self == NULL)
        return __real_clock_gettime(clock, now);
    self->world->now += CLOCK_STEP;
    pass_deadlines(self->world);
    now->tv_sec = (time_t)(self->world->now / NANOSECONDS);
    now->tv_nsec = (long)(self->world->now % NANOSECONDS);
    return 0;
}

int
__wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    if (self == NULL)
        return __real_nanosleep(time, left);
    self->deadline = self->world->now + nanoseconds(time);
    wait_for(time); /* nobody wakes that */
    self->deadline = 0;
    return 0;
}

ssize_t
__wrap_getrandom(void *buffer, size_t size, unsigned flags)
{
    if (self == NULL)
        return __real_getrandom(buffer, size, flags);
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)buffer)[i] = (unsigned char)random_next(&self->world->random);
    return (ssize_t)size;
}

int
__wrap_sched_yield(void)
{
    if (self == NULL)
        return __real_sched_yield();
    __real_pthread_mutex_lock(&self->world->mutex);
    hand_over(self);
    __real_pthread_mutex_unlock(&self->world->mutex);
    return 0;
}

/* ---- threads ---- */

static struct thread *
thread_new(struct world *world)
{
    struct thread *thread = need(sizeof(*thread));

    thread->world = world;
    pthread_cond_init(&thread->turn, NULL);
    thread->next = world->threads;
    world->threads = thread;
    return thread;
}

static void
thread_free(struct thread *thread)
{
    struct thread **at = &thread->world->threads;

    while (*at != thread)
        at = &(*at)->next;
    *at = thread->next;
    pthread_cond_destroy(&thread->turn);
    free(thread);
}

static void *
thread_main(void *argument)
{
    struct thread *me = argument;
    void *result;

    self = me;
    __real_pthread_mutex_lock(&me->world->mutex);
    while (me->world->running != me)
        __real_pthread_cond_wait(&me->turn, &me->world->mutex);
    __real_pthread_mutex_unlock(&me->world->mutex);
    result = me->body(me->argument);
    __real_pthread_mutex_lock(&me->world->mutex);
    me->ended = true;
    wake(me);
    hand_over(me);
    __real_pthread_mutex_unlock(&me->world->mutex);
    return result;
}

int
__wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
                      void *(*body)(void *argument), void *argument)
{
    struct thread *thread;
    int result;

    if (self == NULL)
        return __real_pthread_create(id, attributes, body, argument);
    thread = thread_new(self->world);
    thread->body = body;
    thread->argument = argument;
    result = __real_pthread_create(&thread->id, attributes, thread_main, thread);
    if (result == 0)
        *id = thread->id;
    else
        thread_free(thread);
    return result;
}

int
__wrap_pthread_join(pthread_t id, void **result)
{
    struct thread *thread;
    int joined;

    if (self == NULL)
        return __real_pthread_join(id, result);
    thread = self->world->threads;
    while (thread == self || !pthread_equal(thread->id, id))
        thread = thread->next;
    while (!thread->ended)
        wait_for(thread);
    joined = __real_pthread_join(id, result);
    thread_free(thread);
    return joined;
}

/* ---- worlds ---- */

#if defined(__SANITIZE_THREAD__)

static _Thread_local unsigned depth;

void
turns_begin(uint64_t seed)
{
    (void)seed;
    depth++;
}

void
turns_end(void)
{
    depth--;
}

bool
turns_inside(void)
{
    return depth > 0;
}

#else

bool
turns_inside(void)
{
    return self != NULL;
}

void
turns_begin(uint64_t seed)
{
    struct world *world = need(sizeof(*world));

    pthread_mutex_init(&world->mutex, NULL);
    world->random = random_of(seed);
    world->now = self != NULL ? self->world->now : BEGINNING;
    world->outer = self;
    self = thread_new(world);
    self->id = pthread_self();
    world->running = self;
}

void
turns_end(void)
{
    struct world *world = self->world;
    struct thread *me = self;

    if (world->threads != me || me->next != NULL)
        abort(); /* a thread was not joined */
    self = world->outer;
    thread_free(me);
    pthread_mutex_destroy(&world->mutex);
    free(world);
}

#endif
