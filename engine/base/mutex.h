/*
 * mutex.h - mutexes that clang's thread-safety analysis understands, conditions, and
 * semaphores for one thread that waits for one word from another.
 *
 * A mutex that cannot be locked is a bug of ours: the wrappers assert.
 */
#ifndef BASE_MUTEX_H
#define BASE_MUTEX_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#if defined(__clang__)
#define LSMKV_TSA(x) __attribute__((x))
#else
#define LSMKV_TSA(x)
#endif

#define LSMKV_CAPABILITY(name) LSMKV_TSA(capability(name))
#define LSMKV_REQUIRES(...)    LSMKV_TSA(requires_capability(__VA_ARGS__))
#define LSMKV_EXCLUDES(...)    LSMKV_TSA(locks_excluded(__VA_ARGS__))
#define LSMKV_ACQUIRE(...)     LSMKV_TSA(acquire_capability(__VA_ARGS__))
#define LSMKV_RELEASE(...)     LSMKV_TSA(release_capability(__VA_ARGS__))
#define LSMKV_NO_ANALYSIS      LSMKV_TSA(no_thread_safety_analysis)

struct LSMKV_CAPABILITY("mutex") mutex {
    pthread_mutex_t os;
};

struct condition {
    pthread_cond_t os;
};

/* The analysis takes its attributes from these: gcc allows none behind the parameters of
 * a definition, and before them clang does not know the parameters yet. */
static inline void mutex_lock(struct mutex *mutex) LSMKV_ACQUIRE(*mutex);
static inline void mutex_unlock(struct mutex *mutex) LSMKV_RELEASE(*mutex);
static inline void condition_wait(struct condition *condition, struct mutex *mutex)
    LSMKV_REQUIRES(*mutex);

static inline void
mutex_init(struct mutex *mutex)
{
    int result = pthread_mutex_init(&mutex->os, NULL);

    assert(result == 0);
    (void)result;
}

static inline void
mutex_fini(struct mutex *mutex)
{
    pthread_mutex_destroy(&mutex->os);
}

static inline LSMKV_NO_ANALYSIS void
mutex_lock(struct mutex *mutex)
{
    int result = pthread_mutex_lock(&mutex->os);

    assert(result == 0);
    (void)result;
}

static inline LSMKV_NO_ANALYSIS void
mutex_unlock(struct mutex *mutex)
{
    int result = pthread_mutex_unlock(&mutex->os);

    assert(result == 0);
    (void)result;
}

static inline void
condition_init(struct condition *condition)
{
    int result = pthread_cond_init(&condition->os, NULL);

    assert(result == 0);
    (void)result;
}

static inline void
condition_fini(struct condition *condition)
{
    pthread_cond_destroy(&condition->os);
}

static inline void
condition_wait(struct condition *condition, struct mutex *mutex)
{
    pthread_cond_wait(&condition->os, &mutex->os);
}

static inline void
condition_signal(struct condition *condition)
{
    pthread_cond_signal(&condition->os);
}

static inline void
condition_broadcast(struct condition *condition)
{
    pthread_cond_broadcast(&condition->os);
}

struct semaphore {
    sem_t os;
};

static inline void
semaphore_init(struct semaphore *semaphore)
{
    int result = sem_init(&semaphore->os, 0, 0);

    assert(result == 0);
    (void)result;
}

/* Whoever has come back from semaphore_wait may free it, although the one who posted may
 * not have come back from that yet. */
static inline void
semaphore_fini(struct semaphore *semaphore)
{
    sem_destroy(&semaphore->os);
}

static inline void
semaphore_wait(struct semaphore *semaphore)
{
    while (sem_wait(&semaphore->os) != 0)
        assert(errno == EINTR);
}

/* Tells the processor that it is in a loop that waits for another. */
static inline void
processor_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* For a word that is about to come: to sleep and to be woken would take longer than
 * that. */
static inline void
semaphore_wait_awake(struct semaphore *semaphore, unsigned looks)
{
    for (; looks > 0; looks--) {
        if (sem_trywait(&semaphore->os) == 0)
            return;
        processor_pause();
    }
    semaphore_wait(semaphore);
}

static inline void
semaphore_post(struct semaphore *semaphore)
{
    sem_post(&semaphore->os);
}

#endif
