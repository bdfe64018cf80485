/*
 * env.h - everything the engine asks of the machine: storage, clock, sleep, threads, large
 * buffers.  One table of functions; the POSIX one is posix.c.  Mutexes and atomics are not
 * in it.
 *
 * Names are plain file names inside a directory handle: no '/', no following of symbolic
 * links; files are opened close-on-exec.  A file that is not a regular file is -EUCLEAN.
 *
 * E1  A created or renamed name survives a power cut only after env_dir_sync returned 0.
 * E2  Written bytes survive a power cut only after env_file_sync returned 0.
 * E3  After a failed env_file_sync nothing may be concluded about unsynced bytes, and the
 *     call must not be tried again (the kernel may have marked lost pages clean).
 *
 * Every function may be called from any thread; two calls on one file at a time are allowed
 * as far as pread(2) and pwrite(2) allow them.  Results: 0 or a negative errno.
 */
#ifndef ENV_ENV_H
#define ENV_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define ENV_CHECKED __attribute__((warn_unused_result))

struct lsmkv_env;

/* Implementations embed these as the first member of their own structs. */
struct env_dir {
    struct lsmkv_env *env;
};
struct env_file {
    struct lsmkv_env *env;
};
struct env_lock {
    struct lsmkv_env *env;
};
struct env_thread {
    struct lsmkv_env *env;
};

enum env_open {
    ENV_READ,    /* must exist; reading only */
    ENV_WRITE,   /* must exist; reading and writing */
    ENV_CREATE,  /* must not exist; mode 0600; reading and writing */
    ENV_REPLACE, /* created, or truncated to nothing; reading and writing */
};

struct lsmkv_env {
    /* Opens a directory.  `create` makes it (mode 0700) if it is missing, its parent synced. */
    int (*dir_open)(struct lsmkv_env *env, const char *path, bool create,
                    struct env_dir **dir);
    void (*dir_close)(struct env_dir *dir);
    int (*dir_sync)(struct env_dir *dir);
    /* Calls `each` for every name but "." and ".."; stops at its first non-zero result and
     * returns that. */
    int (*dir_list)(struct env_dir *dir, int (*each)(void *context, const char *name),
                    void *context);
    int (*dir_rename)(struct env_dir *dir, const char *from, const char *to);
    int (*dir_unlink)(struct env_dir *dir, const char *name);
    /* What is free for us, and that with all that is used. */
    int (*dir_space)(struct env_dir *dir, uint64_t *free_bytes, uint64_t *total_bytes);

    /* Takes the store's lock, the file `name`: exclusive, or shared with other shared ones.
     * The exclusive one makes the file if it is missing; the shared one changes nothing and
     * gives -ENOENT.  -EBUSY: another open file description holds it.  It survives fork, is
     * kept by the handle alone, and cannot be dropped by closing another descriptor of that
     * file. */
    int (*lock)(struct env_dir *dir, const char *name, bool shared,
                struct env_lock **lock);
    /* The lock file's text: replace it (holder), read it (anyone; NUL-terminated, cut). */
    int (*lock_write)(struct env_lock *lock, const char *text);
    int (*lock_read)(struct env_dir *dir, const char *name, char *text, size_t size);
    /* 1 if somebody holds it exclusively, 2 if it is shared, 0 if it is free, or a negative
     * errno. */
    int (*lock_held)(struct env_dir *dir, const char *name);
    void (*unlock)(struct env_lock *lock);

    /* What root makes, the lock's file, too, belongs to the directory's owner. */
    int (*file_open)(struct env_dir *dir, const char *name, enum env_open how,
                     struct env_file **file);
    /* The result of close(2); the handle is gone whatever it is. */
    int (*file_close)(struct env_file *file);
    /* Bytes read: fewer than `size` only at the end of the file.  Retries EINTR itself. */
    ssize_t (*file_read)(struct env_file *file, uint64_t offset, void *buffer,
                         size_t size);
    /* Writes all, or fails with an unknown part written.  Retries EINTR and short writes. */
    int (*file_write)(struct env_file *file, uint64_t offset, const struct iovec *parts,
                      int count);
    int (*file_sync)(struct env_file *file);
    int (*file_truncate)(struct env_file *file, uint64_t size);
    int (*file_size)(struct env_file *file, uint64_t *size);
    /* Starts writing dirty bytes of the range to the disk without waiting, or has a thread of
     * the directory's start it soon; only a hint. */
    void (*file_writeback)(struct env_file *file, uint64_t offset, uint64_t size);
    /* Reading of the range will follow soon, in order; only a hint. */
    void (*file_readahead)(struct env_file *file, uint64_t offset, uint64_t size);

    /* How many files may be open at once. */
    unsigned (*file_limit)(struct lsmkv_env *env);

    int64_t (*now)(struct lsmkv_env *env);        /* nanoseconds since 1970 */
    uint64_t (*monotonic)(struct lsmkv_env *env); /* nanoseconds, never backwards */
    void (*sleep)(struct lsmkv_env *env, uint64_t nanoseconds);
    int (*thread_start)(struct lsmkv_env *env, const char *name,
                        void (*body)(void *argument), void *argument,
                        struct env_thread **thread);
    void (*thread_join)(struct env_thread *thread);
    /* Buffers of 4 KiB and more: arenas, blocks, batches; aligned as malloc aligns.  NULL: no
     * memory. */
    void *(*allocate)(struct lsmkv_env *env, size_t size);
    void (*release)(struct lsmkv_env *env, void *buffer, size_t size);
};

/* The operating system's env; never freed. */
struct lsmkv_env *env_posix(void);

/* Shorthands, so that calls read as what they do. */
static inline int ENV_CHECKED
env_dir_open(struct lsmkv_env *env, const char *path, bool create, struct env_dir **dir)
{
    return env->dir_open(env, path, create, dir);
}

static inline void
env_dir_close(struct env_dir *dir)
{
    if (dir != NULL)
        dir->env->dir_close(dir);
}

static inline int ENV_CHECKED
env_dir_sync(struct env_dir *dir)
{
    return dir->env->dir_sync(dir);
}

static inline int ENV_CHECKED
env_dir_list(struct env_dir *dir, int (*each)(void *context, const char *name),
             void *context)
{
    return dir->env->dir_list(dir, each, context);
}

static inline int ENV_CHECKED
env_dir_rename(struct env_dir *dir, const char *from, const char *to)
{
    return dir->env->dir_rename(dir, from, to);
}

static inline int ENV_CHECKED
env_dir_unlink(struct env_dir *dir, const char *name)
{
    return dir->env->dir_unlink(dir, name);
}

static inline int ENV_CHECKED
env_dir_space(struct env_dir *dir, uint64_t *free_bytes, uint64_t *total_bytes)
{
    return dir->env->dir_space(dir, free_bytes, total_bytes);
}

static inline int ENV_CHECKED
env_file_open(struct env_dir *dir, const char *name, enum env_open how,
              struct env_file **file)
{
    return dir->env->file_open(dir, name, how, file);
}

/* NULL is allowed and is 0. */
static inline int
env_file_close(struct env_file *file)
{
    return file == NULL ? 0 : file->env->file_close(file);
}

static inline ssize_t ENV_CHECKED
env_file_read(struct env_file *file, uint64_t offset, void *buffer, size_t size)
{
    return file->env->file_read(file, offset, buffer, size);
}

/* A part of what env_file_writev writes. */
static inline struct iovec
env_part(const void *data, size_t size)
{
    union {
        const void *in;
        void *out; /* struct iovec has no const */
    } base = {data};

    return (struct iovec){base.out, size};
}

static inline int ENV_CHECKED
env_file_writev(struct env_file *file, uint64_t offset, const struct iovec *parts,
                int count)
{
    return file->env->file_write(file, offset, parts, count);
}

static inline int ENV_CHECKED
env_file_write(struct env_file *file, uint64_t offset, const void *data, size_t size)
{
    struct iovec part = env_part(data, size);

    return file->env->file_write(file, offset, &part, 1);
}

static inline int ENV_CHECKED
env_file_sync(struct env_file *file)
{
    return file->env->file_sync(file);
}

static inline int ENV_CHECKED
env_file_truncate(struct env_file *file, uint64_t size)
{
    return file->env->file_truncate(file, size);
}

static inline int ENV_CHECKED
env_file_size(struct env_file *file, uint64_t *size)
{
    return file->env->file_size(file, size);
}

static inline void
env_file_writeback(struct env_file *file, uint64_t offset, uint64_t size)
{
    file->env->file_writeback(file, offset, size);
}

static inline void
env_file_readahead(struct env_file *file, uint64_t offset, uint64_t size)
{
    file->env->file_readahead(file, offset, size);
}

#endif
