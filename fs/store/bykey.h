/*
 * bykey.h - reading, writing and removing a file by its key, without a mount: what `lsmfs
 * get`, `put` and `rm` do.  The filesystem's rules hold: contents in chunks are resolved,
 * put keeps attributes as O_TRUNC and write do, rm is unlink.
 *
 * Keys are any bytes.  A directory whose record keeps a value is that value here.  Nobody
 * else may be changing the store; under a mount, bykey_commit and bykey_remove run within
 * vfs_alter, and the others at any time.
 *
 * -EISDIR: a directory, implied ones too, without a value.  -ENOTDIR: a file where the
 * key has a directory.
 */
#ifndef FS_BYKEY_H
#define FS_BYKEY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lsmkv.h"
#include "store/store.h"

/* Where put takes contents from: fills up to `size` bytes and returns how many, less only
 * at the end; or a negative errno. */
struct bykey_source {
    ssize_t (*read)(void *context, void *bytes, size_t size);
    void *context;
};

/* Where get puts contents: 0 or a negative errno. */
struct bykey_sink {
    int (*write)(void *context, const void *bytes, size_t size);
    void *context;
};

/* Whose a new file is. */
struct bykey_owner {
    uint32_t uid, gid;
    uint32_t permissions; /* umask applied */
    bool privileged;      /* writing leaves setuid and setgid bits alone */
};

LSMKV_CHECKED int bykey_get(struct store *store, struct lsmkv_slice key,
                            const struct bykey_sink *sink);

/* Durable on return, and all or nothing at any size: until then the old contents stand.
 * -EINVAL: neither a regular file nor absent. */
LSMKV_CHECKED int bykey_put(struct store *store, struct lsmkv_slice key,
                            const struct bykey_source *source,
                            const struct bykey_owner *owner);

/* The same in two steps.  The first brings the contents in, which may take its time, but
 * of no file yet; the second, which is short, makes them those of `key`. */
struct bykey_upload;
LSMKV_CHECKED int bykey_upload(struct store *store, struct lsmkv_slice key,
                               const struct bykey_source *source,
                               struct bykey_upload **upload);
LSMKV_CHECKED int bykey_commit(struct bykey_upload *upload, struct lsmkv_slice key,
                               const struct bykey_owner *owner);
/* Contents that no bykey_commit took are given back.  NULL is nothing. */
void bykey_upload_free(struct bykey_upload *upload);

/* Durable on return. */
LSMKV_CHECKED int bykey_remove(struct store *store, struct lsmkv_slice key);

#endif
