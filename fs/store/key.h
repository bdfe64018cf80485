/*
 * key.h - the keys of the `default` keyspace: paths, and the names of keys that are no
 * path.
 *
 * A key is a path relative to the root without a leading slash; the empty key is the
 * root.  Nothing here allocates, touches a store or fails for any reason but its
 * arguments.
 */
#ifndef FS_KEY_H
#define FS_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "lsmkv.h"

#define KEY_NAME_MAX  255u /* bytes in one component of a plain key */
#define KEY_PART_MAX  200u /* bytes in one component of a coded key */
#define KEY_SNAPSHOTS ".snapshots"
#define KEY_PRIVATE   ".lsmfs"

/* May `name` be one component of a plain key: 1 to 255 bytes, no NUL, no '/', not "." or
 * ".."?  Says nothing of the two names that are taken at the root only. */
bool key_is_name(struct lsmkv_slice name);

/* Is `key` plain: empty, or components that are names, the first neither .snapshots nor
 * .lsmfs?  Only plain keys show at their path. */
bool key_is_plain(struct lsmkv_slice key);

/* Is `key` below `ancestor` (not equal to it)?  Below the empty key is every other. */
bool key_is_below(struct lsmkv_slice key, struct lsmkv_slice ancestor);

/* The order of `default`: '/' ranks below every other byte.  Below 0, 0 or above. */
int key_compare_paths(struct lsmkv_slice a, struct lsmkv_slice b);

/* The part before the last '/' (the empty key if there is none), and the part behind it.
 * Both point into `key`, which is not empty.  Either may be NULL. */
void key_split(struct lsmkv_slice key, struct lsmkv_slice *parent,
               struct lsmkv_slice *name);

/* Writes `parent`, a '/' unless `parent` is empty, and `name`; `*size` is the length.
 * -ENAMETOOLONG: longer than `capacity` or LSMKV_KEY_MAX.  `parent` may stand at the
 * start of `buffer` already, nothing else may overlap. */
LSMKV_CHECKED int key_join(struct lsmkv_slice parent, struct lsmkv_slice name,
                           void *buffer, size_t capacity, size_t *size);

/* ---- coded names: `.lsmfs/keys/` ---- */

/* Every key has exactly one coded path, of components of at most 200 bytes:
 *   - bytes in [A-Za-z0-9_-] stand for themselves, others are %XX, two capital hex
 *   digits;
 *   - the empty key is "%";
 *   - beyond 200 bytes the coded string is cut: every component but the last has 199
 *     bytes of it and a '+' (which no coded byte is), the last at most 200.  A cut may
 *     fall within a %XX.
 * So a component ending in '+' is a directory and any other is a file. */

/* Bytes that key_encode writes. */
size_t key_encoded_size(struct lsmkv_slice key);

/* Writes key_encoded_size(key) bytes, components separated by '/', no NUL. */
void key_encode(struct lsmkv_slice key, char *buffer);

/* May `name` be a component that others follow (200 bytes, a '+' last)? */
bool key_is_coded_directory(struct lsmkv_slice name);

/* Turns a whole coded path back into a key.  -ENOENT: it is not what key_encode writes,
 * so there is no such file; -ENAMETOOLONG: the key is longer than `capacity`
 * (LSMKV_KEY_MAX is always enough). */
LSMKV_CHECKED int key_decode(struct lsmkv_slice path, void *buffer, size_t capacity,
                             size_t *size);

#endif
