/* fault_env.c - every call asks whether it is to fail, and otherwise passes on. */
#include "support/fault_env.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/param.h>

#define PARTS_MAX 64

struct fault_env {
    struct lsmkv_env base;
    struct lsmkv_env *inner;
    void (*lost)(struct env_file *inner); /* constant in use */
    pthread_mutex_t mutex;
    /* guarded by mutex */
    bool armed;
    struct fault fault;
    uint64_t seen; /* calls that the plan is about, since it was set */
    uint64_t failures;
    uint64_t calls[ENV_CALL_COUNT];
};

struct fault_dir {
    struct env_dir base;
    struct env_dir *inner;
};

struct fault_lock {
    struct env_lock base;
    struct env_lock *inner;
};

struct fault_file {
    struct env_file base;
    struct env_file *inner;
};

struct fault_thread {
    struct env_thread base;
    struct env_thread *inner;
};

static void fill_table(struct lsmkv_env *table);

static struct fault_env *
env_of(struct lsmkv_env *base)
{
    return (struct fault_env *)base;
}

static struct env_dir *
inner_dir(struct env_dir *dir)
{
    return ((struct fault_dir *)dir)->inner;
}

static struct env_file *
inner_file(struct env_file *file)
{
    return ((struct fault_file *)file)->inner;
}

/* A handle around an inner one; without memory a test cannot go on. */
static void *
wrap(size_t size)
{
    void *handle = calloc(1, size);

    if (handle == NULL)
        abort();
    return handle;
}

/* ---- the plan ---- */

static bool
plan_hits(struct fault_env *env, enum env_call call)
{
    const struct fault *fault = &env->fault;

    if (!env->armed || (fault->call != ENV_CALL_ANY && fault->call != call))
        return false;
    env->seen++;
    return env->seen == fault->nth || (fault->onwards && env->seen > fault->nth);
}

/* Counts a call; 0, or the negative errno it is to fail with. */
static int
meet(struct lsmkv_env *base, enum env_call call)
{
    struct fault_env *env = env_of(base);
    int result = 0;

    pthread_mutex_lock(&env->mutex);
    env->calls[call]++;
    if (plan_hits(env, call)) {
        env->failures++;
        result = -env->fault.error;
    }
    pthread_mutex_unlock(&env->mutex);
    return result;
}

/* Counts a call that cannot fail. */
static void
count(struct lsmkv_env *base, enum env_call call)
{
    struct fault_env *env = env_of(base);

    pthread_mutex_lock(&env->mutex);
    env->calls[call]++;
    pthread_mutex_unlock(&env->mutex);
}

static bool
writes_partly(struct lsmkv_env *base)
{
    struct fault_env *env = env_of(base);
    bool partly;

    pthread_mutex_lock(&env->mutex);
    partly = env->fault.partial_write;
    pthread_mutex_unlock(&env->mutex);
    return partly;
}

/* ---- directories ---- */

static int
fault_dir_open(struct lsmkv_env *base, const char *path, bool create,
               struct env_dir **dir)
{
    int result = meet(base, ENV_CALL_DIR_OPEN);
    struct fault_dir *handle;
    struct env_dir *inner;

    if (result == 0)
        result = env_dir_open(env_of(base)->inner, path, create, &inner);
    if (result != 0)
        return result;
    handle = wrap(sizeof(*handle));
    *handle = (struct fault_dir){{base}, inner};
    *dir = &handle->base;
    return 0;
}

static void
fault_dir_close(struct env_dir *dir)
{
    count(dir->env, ENV_CALL_DIR_CLOSE);
    env_dir_close(inner_dir(dir));
    free(dir);
}

static int
fault_dir_sync(struct env_dir *dir)
{
    int result = meet(dir->env, ENV_CALL_DIR_SYNC);

    return result != 0 ? result : env_dir_sync(inner_dir(dir));
}

static int
fault_dir_list(struct env_dir *dir, int (*each)(void *context, const char *name),
               void *context)
{
    int result = meet(dir->env, ENV_CALL_DIR_LIST);

    return result != 0 ? result : env_dir_list(inner_dir(dir), each, context);
}

static int
fault_dir_rename(struct env_dir *dir, const char *from, const char *to)
{
    int result = meet(dir->env, ENV_CALL_DIR_RENAME);

    return result != 0 ? result : env_dir_rename(inner_dir(dir), from, to);
}

static int
fault_dir_unlink(struct env_dir *dir, const char *name)
{
    int result = meet(dir->env, ENV_CALL_DIR_UNLINK);

    return result != 0 ? result : env_dir_unlink(inner_dir(dir), name);
}

static int
fault_dir_space(struct env_dir *dir, uint64_t *free_bytes, uint64_t *total_bytes)
{
    int result = meet(dir->env, ENV_CALL_DIR_SPACE);

    return result != 0 ? result : env_dir_space(inner_dir(dir), free_bytes, total_bytes);
}

/* ---- the lock ---- */

static int
fault_lock_take(struct env_dir *dir, const char *name, bool shared,
                struct env_lock **lock)
{
    int result = meet(dir->env, ENV_CALL_LOCK);
    struct env_dir *inside = inner_dir(dir);
    struct fault_lock *handle;
    struct env_lock *inner;

    if (result == 0)
        result = inside->env->lock(inside, name, shared, &inner);
    if (result != 0)
        return result;
    handle = wrap(sizeof(*handle));
    *handle = (struct fault_lock){{dir->env}, inner};
    *lock = &handle->base;
    return 0;
}

static int
fault_lock_write(struct env_lock *lock, const char *text)
{
    struct env_lock *inner = ((struct fault_lock *)lock)->inner;
    int result = meet(lock->env, ENV_CALL_LOCK_WRITE);

    return result != 0 ? result : inner->env->lock_write(inner, text);
}

static int
fault_lock_read(struct env_dir *dir, const char *name, char *text, size_t size)
{
    struct env_dir *inner = inner_dir(dir);
    int result = meet(dir->env, ENV_CALL_LOCK_READ);

    return result != 0 ? result : inner->env->lock_read(inner, name, text, size);
}

static int
fault_lock_held(struct env_dir *dir, const char *name)
{
    struct env_dir *inner = inner_dir(dir);
    int result = meet(dir->env, ENV_CALL_LOCK_HELD);

    return result != 0 ? result : inner->env->lock_held(inner, name);
}

static void
fault_unlock(struct env_lock *lock)
{
    struct env_lock *inner = ((struct fault_lock *)lock)->inner;

    count(lock->env, ENV_CALL_UNLOCK);
    inner->env->unlock(inner);
    free(lock);
}

/* ---- files ---- */

static int
fault_file_open(struct env_dir *dir, const char *name, enum env_open how,
                struct env_file **file)
{
    int result = meet(dir->env, ENV_CALL_FILE_OPEN);
    struct fault_file *handle;
    struct env_file *inner;

    if (result == 0)
        result = env_file_open(inner_dir(dir), name, how, &inner);
    if (result != 0)
        return result;
    handle = wrap(sizeof(*handle));
    *handle = (struct fault_file){{dir->env}, inner};
    *file = &handle->base;
    return 0;
}

static int
fault_file_close(struct env_file *file)
{
    int result = meet(file->env, ENV_CALL_FILE_CLOSE);
    int closed = env_file_close(inner_file(file));

    free(file);
    return result != 0 ? result : closed;
}

static ssize_t
fault_file_read(struct env_file *file, uint64_t offset, void *buffer, size_t size)
{
    int result = meet(file->env, ENV_CALL_FILE_READ);

    return result != 0 ? result : env_file_read(inner_file(file), offset, buffer, size);
}

/* Its result does not matter: the call fails in any case. */
static void
write_half(struct env_file *file, uint64_t offset, const struct iovec *parts,
           int parts_count)
{
    struct iovec half[PARTS_MAX];
    size_t left = 0;
    int n = MIN(parts_count, PARTS_MAX);
    int i;

    for (i = 0; i < n; i++)
        left += parts[i].iov_len;
    left /= 2;
    for (i = 0; i < n; i++) {
        half[i] = parts[i];
        half[i].iov_len = MIN(parts[i].iov_len, left);
        left -= half[i].iov_len;
    }
    if (env_file_writev(file, offset, half, n) != 0)
        return;
}

static int
fault_file_write(struct env_file *file, uint64_t offset, const struct iovec *parts,
                 int parts_count)
{
    int result = meet(file->env, ENV_CALL_FILE_WRITE);

    if (result == 0)
        return env_file_writev(inner_file(file), offset, parts, parts_count);
    if (writes_partly(file->env))
        write_half(inner_file(file), offset, parts, parts_count);
    return result;
}

static int
fault_file_sync(struct env_file *file)
{
    int result = meet(file->env, ENV_CALL_FILE_SYNC);
    void (*lost)(struct env_file * inner) = env_of(file->env)->lost;

    if (result == 0)
        return env_file_sync(inner_file(file));
    if (lost != NULL)
        lost(inner_file(file));
    return result;
}

static int
fault_file_truncate(struct env_file *file, uint64_t size)
{
    int result = meet(file->env, ENV_CALL_FILE_TRUNCATE);

    return result != 0 ? result : env_file_truncate(inner_file(file), size);
}

static int
fault_file_size(struct env_file *file, uint64_t *size)
{
    int result = meet(file->env, ENV_CALL_FILE_SIZE);

    return result != 0 ? result : env_file_size(inner_file(file), size);
}

static void
fault_file_writeback(struct env_file *file, uint64_t offset, uint64_t size)
{
    count(file->env, ENV_CALL_FILE_WRITEBACK);
    env_file_writeback(inner_file(file), offset, size);
}

static void
fault_file_readahead(struct env_file *file, uint64_t offset, uint64_t size)
{
    count(file->env, ENV_CALL_FILE_READAHEAD);
    env_file_readahead(inner_file(file), offset, size);
}

/* ---- clock, threads, memory ---- */

static int64_t
fault_now(struct lsmkv_env *base)
{
    struct lsmkv_env *inner = env_of(base)->inner;

    return inner->now(inner);
}

static uint64_t
fault_monotonic(struct lsmkv_env *base)
{
    struct lsmkv_env *inner = env_of(base)->inner;

    return inner->monotonic(inner);
}

static void
fault_sleep(struct lsmkv_env *base, uint64_t nanoseconds)
{
    struct lsmkv_env *inner = env_of(base)->inner;

    inner->sleep(inner, nanoseconds);
}

static int
fault_thread_start(struct lsmkv_env *base, const char *name, void (*body)(void *argument),
                   void *argument, struct env_thread **thread)
{
    struct lsmkv_env *inside = env_of(base)->inner;
    int result = meet(base, ENV_CALL_THREAD_START);
    struct fault_thread *handle;
    struct env_thread *inner;

    if (result == 0)
        result = inside->thread_start(inside, name, body, argument, &inner);
    if (result != 0)
        return result;
    handle = wrap(sizeof(*handle));
    *handle = (struct fault_thread){{base}, inner};
    *thread = &handle->base;
    return 0;
}

static void
fault_thread_join(struct env_thread *thread)
{
    struct env_thread *inner = ((struct fault_thread *)thread)->inner;

    inner->env->thread_join(inner);
    free(thread);
}

static void *
fault_allocate(struct lsmkv_env *base, size_t size)
{
    struct lsmkv_env *inner = env_of(base)->inner;

    return meet(base, ENV_CALL_ALLOCATE) != 0 ? NULL : inner->allocate(inner, size);
}

static void
fault_release(struct lsmkv_env *base, void *buffer, size_t size)
{
    struct lsmkv_env *inner = env_of(base)->inner;

    inner->release(inner, buffer, size);
}

/* ---- the env itself ---- */

struct fault_env *
fault_env_new(struct lsmkv_env *inner)
{
    struct fault_env *env = wrap(sizeof(*env));

    fill_table(&env->base);
    env->inner = inner;
    pthread_mutex_init(&env->mutex, NULL);
    return env;
}

void
fault_env_free(struct fault_env *env)
{
    pthread_mutex_destroy(&env->mutex);
    free(env);
}

struct lsmkv_env *
fault_env_base(struct fault_env *env)
{
    return &env->base;
}

void
fault_env_set(struct fault_env *env, struct fault fault)
{
    pthread_mutex_lock(&env->mutex);
    env->fault = fault;
    env->seen = 0;
    env->armed = true;
    pthread_mutex_unlock(&env->mutex);
}

void
fault_env_heal(struct fault_env *env)
{
    pthread_mutex_lock(&env->mutex);
    env->armed = false;
    pthread_mutex_unlock(&env->mutex);
}

uint64_t
fault_env_calls(struct fault_env *env, enum env_call call)
{
    uint64_t calls = 0;
    int i;

    pthread_mutex_lock(&env->mutex);
    for (i = 0; i < ENV_CALL_COUNT; i++)
        if (call == ENV_CALL_ANY || i == (int)call)
            calls += env->calls[i];
    pthread_mutex_unlock(&env->mutex);
    return calls;
}

uint64_t
fault_env_failures(struct fault_env *env)
{
    uint64_t failures;

    pthread_mutex_lock(&env->mutex);
    failures = env->failures;
    pthread_mutex_unlock(&env->mutex);
    return failures;
}

void
fault_env_on_lost_sync(struct fault_env *env, void (*lost)(struct env_file *inner))
{
    env->lost = lost;
}

static unsigned
fault_file_limit(struct lsmkv_env *base)
{
    struct lsmkv_env *inner = env_of(base)->inner;

    return inner->file_limit(inner);
}

static void
fill_table(struct lsmkv_env *table)
{
    *table = (struct lsmkv_env){
        .dir_open = fault_dir_open,
        .dir_close = fault_dir_close,
        .dir_sync = fault_dir_sync,
        .dir_list = fault_dir_list,
        .dir_rename = fault_dir_rename,
        .dir_unlink = fault_dir_unlink,
        .dir_space = fault_dir_space,
        .lock = fault_lock_take,
        .lock_write = fault_lock_write,
        .lock_read = fault_lock_read,
        .lock_held = fault_lock_held,
        .unlock = fault_unlock,
        .file_open = fault_file_open,
        .file_close = fault_file_close,
        .file_read = fault_file_read,
        .file_write = fault_file_write,
        .file_sync = fault_file_sync,
        .file_truncate = fault_file_truncate,
        .file_size = fault_file_size,
        .file_writeback = fault_file_writeback,
        .file_readahead = fault_file_readahead,
        .file_limit = fault_file_limit,
        .now = fault_now,
        .monotonic = fault_monotonic,
        .sleep = fault_sleep,
        .thread_start = fault_thread_start,
        .thread_join = fault_thread_join,
        .allocate = fault_allocate,
        .release = fault_release,
    };
}
