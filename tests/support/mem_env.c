/*
 * mem_env.c - the env's table on a disk in memory.  One mutex guards the disk and all
 * settings; it is never held while a hook or a caller's function runs.
 */
#include "support/mem_env.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NANOSECONDS 1000000000

struct mem_env {
    struct lsmkv_env base;
    pthread_mutex_t hook_mutex; /* held during a hook; taken before the other */
    pthread_mutex_t mutex;
    /* guarded by mutex */
    struct mem_disk *disk;
    uint64_t calls;
    void (*hook)(void *context, uint64_t ordinal, enum env_call call);
    void *hook_context;
    bool virtual_clock;
    int64_t time;           /* of the virtual clock */
    pthread_cond_t hurried; /* it has become virtual */
};

struct dir_handle {
    struct env_dir base;
    struct mem_dir *dir;
};

struct file_handle {
    struct env_file base;
    struct mem_file *file;
    bool writable;
};

struct lock_handle {
    struct env_lock base;
    struct mem_file *file;
    bool shared;
};

static void fill_table(struct lsmkv_env *table);

static struct mem_env *
env_of(struct lsmkv_env *base)
{
    return (struct mem_env *)base;
}

static struct mem_dir *
dir_of(struct env_dir *dir)
{
    return ((struct dir_handle *)dir)->dir;
}

static struct file_handle *
handle_of(struct env_file *file)
{
    return (struct file_handle *)file;
}

/* ---- every call begins and ends here ---- */

static void
run_hook(struct mem_env *env, enum env_call call)
{
    void (*hook)(void *context, uint64_t ordinal, enum env_call call);
    void *context;
    uint64_t ordinal;

    pthread_mutex_lock(&env->hook_mutex);
    pthread_mutex_lock(&env->mutex);
    ordinal = ++env->calls;
    hook = env->hook;
    context = env->hook_context;
    pthread_mutex_unlock(&env->mutex);
    if (hook != NULL)
        hook(context, ordinal, call);
    pthread_mutex_unlock(&env->hook_mutex);
}

/* Returns with the mutex locked. */
static struct mem_env *
begin(struct lsmkv_env *base, enum env_call call)
{
    struct mem_env *env = env_of(base);

    run_hook(env, call);
    pthread_mutex_lock(&env->mutex);
    return env;
}

static int
end(struct mem_env *env, int result)
{
    pthread_mutex_unlock(&env->mutex);
    return result;
}

static bool
bad_name(const char *name)
{
    return *name == '\0' || strchr(name, '/') != NULL;
}

/* ---- directories ---- */

static int
mem_dir_open(struct lsmkv_env *base, const char *path, bool create, struct env_dir **dir)
{
    struct mem_env *env = begin(base, ENV_CALL_DIR_OPEN);
    struct mem_dir *found = mem_disk_dir(env->disk, path, create);
    struct dir_handle *handle;

    if (found == NULL)
        return end(env, -ENOENT);
    handle = mem_need(sizeof(*handle));
    handle->base.env = base;
    handle->dir = found;
    *dir = &handle->base;
    return end(env, 0);
}

static void
mem_dir_close(struct env_dir *dir)
{
    end(begin(dir->env, ENV_CALL_DIR_CLOSE), 0);
    free(dir);
}

static int
mem_dir_sync_call(struct env_dir *dir)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_DIR_SYNC);

    mem_dir_sync(dir_of(dir));
    return end(env, 0);
}

static char **
copy_names(const struct mem_dir *dir)
{
    char **names = mem_need((dir->live.count + 1) * sizeof(char *));
    size_t i;

    for (i = 0; i < dir->live.count; i++) {
        names[i] = strdup(dir->live.items[i].name);
        if (names[i] == NULL)
            abort();
    }
    return names;
}

static int
mem_dir_list(struct env_dir *dir, int (*each)(void *context, const char *name),
             void *context)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_DIR_LIST);
    char **names = copy_names(dir_of(dir));
    int result = end(env, 0);
    size_t i;

    for (i = 0; names[i] != NULL; i++) {
        if (result == 0)
            result = each(context, names[i]);
        free(names[i]);
    }
    free(names);
    return result;
}

static int
mem_dir_rename_call(struct env_dir *dir, const char *from, const char *to)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_DIR_RENAME);

    if (bad_name(to))
        return end(env, -EINVAL);
    return end(env, mem_dir_rename(env->disk, dir_of(dir), from, to));
}

static int
mem_dir_unlink_call(struct env_dir *dir, const char *name)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_DIR_UNLINK);

    return end(env, mem_dir_unlink(env->disk, dir_of(dir), name));
}

static int
mem_dir_space(struct env_dir *dir, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_DIR_SPACE);
    const struct mem_disk *disk = env->disk;

    *free_bytes = disk->used < disk->capacity ? disk->capacity - disk->used : 0;
    *total_bytes = disk->capacity;
    return end(env, 0);
}

/* ---- the lock ---- */

static bool
lock_conflicts(const struct mem_file *file, bool shared)
{
    return file->exclusive_lock || (!shared && file->shared_locks > 0);
}

static int
mem_lock(struct env_dir *dir, const char *name, bool shared, struct env_lock **lock)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_LOCK);
    struct mem_file *file = mem_dir_find(dir_of(dir), name);
    struct lock_handle *handle;

    if (bad_name(name))
        return end(env, -EINVAL);
    if (file == NULL && shared)
        return end(env, -ENOENT);
    if (file == NULL)
        file = mem_dir_create(dir_of(dir), name);
    if (lock_conflicts(file, shared))
        return end(env, -EBUSY);
    if (shared)
        file->shared_locks++;
    else
        file->exclusive_lock = true;
    mem_disk_hold(file);
    handle = mem_need(sizeof(*handle));
    *handle = (struct lock_handle){{dir->env}, file, shared};
    *lock = &handle->base;
    return end(env, 0);
}

static int
mem_lock_write(struct env_lock *lock, const char *text)
{
    struct lock_handle *handle = (struct lock_handle *)lock;
    struct mem_env *env = begin(lock->env, ENV_CALL_LOCK_WRITE);
    size_t size = strlen(text) + 1;
    int result = mem_disk_write(env->disk, handle->file, 0, text, size);

    if (result == 0)
        result = mem_disk_resize(env->disk, handle->file, size);
    return end(env, result);
}

static int
mem_lock_read(struct env_dir *dir, const char *name, char *text, size_t size)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_LOCK_READ);
    struct mem_file *file = mem_dir_find(dir_of(dir), name);

    if (file == NULL || size == 0)
        return end(env, file == NULL ? -ENOENT : -EINVAL);
    text[mem_pages_read(&file->live, 0, text, size - 1)] = '\0';
    return end(env, 0);
}

static int
mem_lock_held(struct env_dir *dir, const char *name)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_LOCK_HELD);
    struct mem_file *file = mem_dir_find(dir_of(dir), name);

    return end(env, file == NULL              ? -ENOENT
                    : file->exclusive_lock    ? 1
                    : file->shared_locks != 0 ? 2
                                              : 0);
}

static void
mem_unlock(struct env_lock *lock)
{
    struct lock_handle *handle = (struct lock_handle *)lock;
    struct mem_env *env = begin(lock->env, ENV_CALL_UNLOCK);

    if (handle->shared)
        handle->file->shared_locks--;
    else
        handle->file->exclusive_lock = false;
    mem_disk_drop(env->disk, handle->file);
    end(env, 0);
    free(handle);
}

/* ---- files ---- */

/* The file to open, made or cut as `how` says. */
static int
find_file(struct mem_env *env, struct mem_dir *dir, const char *name, enum env_open how,
          struct mem_file **file)
{
    struct mem_file *found = mem_dir_find(dir, name);

    if (bad_name(name))
        return -EINVAL;
    if (found == NULL && (how == ENV_READ || how == ENV_WRITE))
        return -ENOENT;
    if (found != NULL && how == ENV_CREATE)
        return -EEXIST;
    *file = found != NULL ? found : mem_dir_create(dir, name);
    return how == ENV_REPLACE ? mem_disk_resize(env->disk, *file, 0) : 0;
}

static int
mem_file_open(struct env_dir *dir, const char *name, enum env_open how,
              struct env_file **file)
{
    struct mem_env *env = begin(dir->env, ENV_CALL_FILE_OPEN);
    struct file_handle *handle;
    struct mem_file *found;
    int result = find_file(env, dir_of(dir), name, how, &found);

    if (result != 0)
        return end(env, result);
    mem_disk_hold(found);
    handle = mem_need(sizeof(*handle));
    *handle = (struct file_handle){{dir->env}, found, how != ENV_READ};
    *file = &handle->base;
    return end(env, 0);
}

static int
mem_file_close(struct env_file *file)
{
    struct mem_env *env = begin(file->env, ENV_CALL_FILE_CLOSE);

    mem_disk_drop(env->disk, handle_of(file)->file);
    free(file);
    return end(env, 0);
}

static ssize_t
mem_file_read(struct env_file *file, uint64_t offset, void *buffer, size_t size)
{
    struct mem_env *env = begin(file->env, ENV_CALL_FILE_READ);
    size_t n = mem_pages_read(&handle_of(file)->file->live, offset, buffer, size);

    end(env, 0);
    return (ssize_t)n;
}

static int
mem_file_write_call(struct env_file *file, uint64_t offset, const struct iovec *parts,
                    int count)
{
    struct mem_env *env = begin(file->env, ENV_CALL_FILE_WRITE);
    struct file_handle *handle = handle_of(file);
    int result = handle->writable ? 0 : -EBADF;
    int i;

    for (i = 0; i < count && result == 0; i++) {
        result = mem_disk_write(env->disk, handle->file, offset, parts[i].iov_base,
                                parts[i].iov_len);
        offset += parts[i].iov_len;
    }
    return end(env, result);
}

static int
mem_file_sync_call(struct env_file *file)
{
    struct mem_env *env = begin(file->env, ENV_CALL_FILE_SYNC);

    mem_file_sync(handle_of(file)->file);
    return end(env, 0);
}

static int
mem_file_truncate(struct env_file *file, uint64_t size)
{
    struct mem_env *env = begin(file->env, ENV_CALL_FILE_TRUNCATE);

    if (!handle_of(file)->writable)
        return end(env, -EINVAL);
    return end(env, mem_disk_resize(env->disk, handle_of(file)->file, size));
}

static int
mem_file_size(struct env_file *file, uint64_t *size)
{
    struct mem_env *env = begin(file->env, ENV_CALL_FILE_SIZE);

    *size = handle_of(file)->file->live.size;
    return end(env, 0);
}

/* Only hints: what they start may reach the disk or not, as any unsynced write. */
static void
mem_file_writeback(struct env_file *file, uint64_t offset, uint64_t size)
{
    (void)offset;
    (void)size;
    end(begin(file->env, ENV_CALL_FILE_WRITEBACK), 0);
}

static void
mem_file_readahead(struct env_file *file, uint64_t offset, uint64_t size)
{
    (void)offset;
    (void)size;
    end(begin(file->env, ENV_CALL_FILE_READAHEAD), 0);
}

void
mem_env_lose_unsynced(struct env_file *file)
{
    struct mem_env *env = env_of(file->env);

    pthread_mutex_lock(&env->mutex);
    mem_file_lose(handle_of(file)->file);
    pthread_mutex_unlock(&env->mutex);
}

/* ---- clock, threads, memory ---- */

static int64_t
read_clock(struct lsmkv_env *base, clockid_t clock)
{
    struct mem_env *env = env_of(base);
    struct timespec now;
    int64_t time;

    clock_gettime(clock, &now);
    pthread_mutex_lock(&env->mutex);
    time =
        env->virtual_clock ? env->time : (int64_t)now.tv_sec * NANOSECONDS + now.tv_nsec;
    pthread_mutex_unlock(&env->mutex);
    return time;
}

static int64_t
mem_now(struct lsmkv_env *base)
{
    return read_clock(base, CLOCK_REALTIME);
}

static uint64_t
mem_monotonic(struct lsmkv_env *base)
{
    return (uint64_t)read_clock(base, CLOCK_MONOTONIC);
}

static void
mem_sleep(struct lsmkv_env *base, uint64_t nanoseconds)
{
    struct mem_env *env = env_of(base);
    struct timespec until;
    bool virtual_clock;
    int result = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)((nanoseconds + (uint64_t)until.tv_nsec) / NANOSECONDS);
    until.tv_nsec = (long)((nanoseconds + (uint64_t)until.tv_nsec) % NANOSECONDS);
    pthread_mutex_lock(&env->mutex);
    virtual_clock = env->virtual_clock;
    if (virtual_clock)
        env->time += (int64_t)nanoseconds;
    while (!env->virtual_clock && result == 0)
        result = pthread_cond_timedwait(&env->hurried, &env->mutex, &until);
    pthread_mutex_unlock(&env->mutex);
    if (virtual_clock)
        sched_yield();
}

/* The operating system's threads do: theirs are joined through their own env. */
static int
mem_thread_start(struct lsmkv_env *base, const char *name, void (*body)(void *argument),
                 void *argument, struct env_thread **thread)
{
    (void)base;
    return env_posix()->thread_start(env_posix(), name, body, argument, thread);
}

static void
mem_thread_join(struct env_thread *thread)
{
    env_posix()->thread_join(thread);
}

static void *
mem_allocate(struct lsmkv_env *base, size_t size)
{
    (void)base;
    return env_posix()->allocate(env_posix(), size);
}

static void
mem_release(struct lsmkv_env *base, void *buffer, size_t size)
{
    (void)base;
    env_posix()->release(env_posix(), buffer, size);
}

/* ---- the env itself ---- */

static struct mem_env *
new_on(struct mem_disk *disk)
{
    struct mem_env *env = mem_need(sizeof(*env));

    fill_table(&env->base);
    pthread_mutex_init(&env->hook_mutex, NULL);
    pthread_mutex_init(&env->mutex, NULL);
    pthread_cond_init(&env->hurried, NULL);
    env->disk = disk;
    return env;
}

struct mem_env *
mem_env_new(void)
{
    return new_on(mem_disk_new());
}

void
mem_env_free(struct mem_env *env)
{
    mem_disk_free(env->disk);
    pthread_cond_destroy(&env->hurried);
    pthread_mutex_destroy(&env->mutex);
    pthread_mutex_destroy(&env->hook_mutex);
    free(env);
}

struct lsmkv_env *
mem_env_base(struct mem_env *env)
{
    return &env->base;
}

static struct mem_env *
image_on(const struct mem_env *env, struct mem_disk *disk)
{
    struct mem_env *image = new_on(disk);

    image->virtual_clock = env->virtual_clock;
    image->time = env->time;
    return image;
}

struct mem_env *
mem_env_crash(struct mem_env *env, struct mem_crash policy, uint64_t seed)
{
    struct mem_env *image;

    pthread_mutex_lock(&env->mutex);
    image = image_on(env, mem_disk_crash(env->disk, policy.data, policy.names, seed));
    pthread_mutex_unlock(&env->mutex);
    return image;
}

struct mem_env *
mem_env_kill(struct mem_env *env)
{
    struct mem_env *image;

    pthread_mutex_lock(&env->mutex);
    image = image_on(env, mem_disk_clone(env->disk));
    pthread_mutex_unlock(&env->mutex);
    return image;
}

uint64_t
mem_env_hash(struct mem_env *env)
{
    uint64_t hash;

    pthread_mutex_lock(&env->mutex);
    hash = mem_disk_hash(env->disk, "LOCK");
    pthread_mutex_unlock(&env->mutex);
    return hash;
}

void
mem_env_set_hook(struct mem_env *env,
                 void (*hook)(void *context, uint64_t ordinal, enum env_call call),
                 void *context)
{
    pthread_mutex_lock(&env->hook_mutex);
    pthread_mutex_lock(&env->mutex);
    env->hook = hook;
    env->hook_context = context;
    pthread_mutex_unlock(&env->mutex);
    pthread_mutex_unlock(&env->hook_mutex);
}

uint64_t
mem_env_calls(struct mem_env *env)
{
    uint64_t calls;

    pthread_mutex_lock(&env->mutex);
    calls = env->calls;
    pthread_mutex_unlock(&env->mutex);
    return calls;
}

void
mem_env_set_capacity(struct mem_env *env, uint64_t bytes)
{
    pthread_mutex_lock(&env->mutex);
    env->disk->capacity = bytes;
    pthread_mutex_unlock(&env->mutex);
}

uint64_t
mem_env_used(struct mem_env *env)
{
    uint64_t used;

    pthread_mutex_lock(&env->mutex);
    used = env->disk->used;
    pthread_mutex_unlock(&env->mutex);
    return used;
}

void
mem_env_set_time(struct mem_env *env, int64_t now)
{
    pthread_mutex_lock(&env->mutex);
    env->virtual_clock = true;
    pthread_cond_broadcast(&env->hurried);
    env->time = now;
    pthread_mutex_unlock(&env->mutex);
}

void
mem_env_advance(struct mem_env *env, uint64_t nanoseconds)
{
    pthread_mutex_lock(&env->mutex);
    env->time += (int64_t)nanoseconds;
    pthread_mutex_unlock(&env->mutex);
}

static unsigned
mem_file_limit(struct lsmkv_env *env)
{
    (void)env;
    return UINT_MAX;
}

static void
fill_table(struct lsmkv_env *table)
{
    *table = (struct lsmkv_env){
        .dir_open = mem_dir_open,
        .dir_close = mem_dir_close,
        .dir_sync = mem_dir_sync_call,
        .dir_list = mem_dir_list,
        .dir_rename = mem_dir_rename_call,
        .dir_unlink = mem_dir_unlink_call,
        .dir_space = mem_dir_space,
        .lock = mem_lock,
        .lock_write = mem_lock_write,
        .lock_read = mem_lock_read,
        .lock_held = mem_lock_held,
        .unlock = mem_unlock,
        .file_open = mem_file_open,
        .file_close = mem_file_close,
        .file_read = mem_file_read,
        .file_write = mem_file_write_call,
        .file_sync = mem_file_sync_call,
        .file_truncate = mem_file_truncate,
        .file_size = mem_file_size,
        .file_writeback = mem_file_writeback,
        .file_readahead = mem_file_readahead,
        .file_limit = mem_file_limit,
        .now = mem_now,
        .monotonic = mem_monotonic,
        .sleep = mem_sleep,
        .thread_start = mem_thread_start,
        .thread_join = mem_thread_join,
        .allocate = mem_allocate,
        .release = mem_release,
    };
}
