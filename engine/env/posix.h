/* posix.h - what the files of the POSIX env share; nobody else includes it. */
#ifndef ENV_POSIX_H
#define ENV_POSIX_H

#include "env/env.h"

struct posix_writeback;

struct posix_dir {
    struct env_dir base;
    int fd;
    struct posix_writeback *writeback; /* of its files */
};

static inline int
posix_dir_fd(const struct env_dir *dir)
{
    const struct posix_dir *posix = (const struct posix_dir *)dir;

    return posix->fd;
}

/* Opens the regular file `name` of a directory and returns its descriptor, or a negative
 * errno: -EUCLEAN if it is anything else, a symbolic link included. */
int ENV_CHECKED posix_open_regular(int dir_fd, const char *name, int flags);
/* All of it, or less only at the end of the file. */
ssize_t ENV_CHECKED posix_read_all(int fd, void *buffer, size_t size, uint64_t offset);
int ENV_CHECKED posix_write_all(int fd, const struct iovec *parts, int count,
                                uint64_t offset);
int ENV_CHECKED posix_truncate(int fd, uint64_t size);

/* Entries of the env's table: posix_file.c, posix_lock.c. */
int posix_file_open(struct env_dir *dir, const char *name, enum env_open how,
                    struct env_file **file);
int posix_file_close(struct env_file *file);
ssize_t posix_file_read(struct env_file *file, uint64_t offset, void *buffer,
                        size_t size);
int posix_file_write(struct env_file *file, uint64_t offset, const struct iovec *parts,
                     int count);
int posix_file_sync(struct env_file *file);
int posix_file_truncate(struct env_file *file, uint64_t size);
int posix_file_size(struct env_file *file, uint64_t *size);
void posix_file_writeback(struct env_file *file, uint64_t offset, uint64_t size);
void posix_file_readahead(struct env_file *file, uint64_t offset, uint64_t size);

/* posix_writeback.c.  NULL: no memory. */
struct posix_writeback *posix_writeback_new(void);
/* Starts the writing of dirty bytes, by a thread of its own if they are many. */
void posix_writeback_start(struct posix_writeback *writeback, struct lsmkv_env *env,
                           int fd, uint64_t offset, uint64_t size);
/* Ends the thread. */
void posix_writeback_free(struct posix_writeback *writeback, struct lsmkv_env *env);

int posix_lock(struct env_dir *dir, const char *name, bool shared,
               struct env_lock **lock);
int posix_lock_write(struct env_lock *lock, const char *text);
int posix_lock_read(struct env_dir *dir, const char *name, char *text, size_t size);
int posix_lock_held(struct env_dir *dir, const char *name);
void posix_unlock(struct env_lock *lock);

#endif
