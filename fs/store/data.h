/*
 * data.h - the contents of a file: in its record's value up to DATA_INLINE_MAX, otherwise
 * in chunks of the `chunks` keyspace.  How these are laid out is in data.c.
 *
 * Locks.  Every file has a lock, the caller's.  It is held
 *   - exclusively from before data_edit_begin reads the file's attributes until
 *     sweep_publish has returned: writing, folding, truncating, copying and punching,
 *     link conversion;
 *   - shared, or a snapshot is read, for data_read and data_seek: so the attributes they
 *     are given and the chunks they find belong together.
 * A file in a snapshot needs none.
 *
 * Changing contents is building a batch:
 *
 *     struct sweep_list dead = {0};
 *     struct data_edit edit;
 *     data_edit_begin(&edit, store, batch, &dead, buffer, &attr.data, value, unlinked);
 *     data_write(&edit, offset, bytes, size);             // or truncate, punch, remove
 *     attr.mtime = ...; attr.data = edit.data;
 *     data_edit_put(&edit, keyspace, key, &attr);         // attributes beside edit.value
 *     sweep_publish(store, batch, &dead, durable);        // all or nothing
 *
 * A failure leaves the store as it was, `edit` and the batch undefined: clear the batch.
 * Other entries (parents, a second file's edit with the same `dead`) may go into the same
 * batch, but two edits of one file may not.
 */
#ifndef FS_DATA_H
#define FS_DATA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lsmkv.h"
#include "store/attr.h"
#include "store/chunks.h"
#include "store/store.h"
#include "store/sweep.h"

#define DATA_INLINE_MAX    4096u
#define DATA_CHUNK         CHUNK_SIZE
#define DATA_FRAGMENTS_MAX CHUNK_FRAGMENTS_MAX           /* this one folds */
#define DATA_SIZE_MAX      ((UINT64_C(1) << 44) - 4096u) /* as ext4: beyond is -EFBIG */
#define DATA_BLOCK         4096u      /* the smallest hole inside a chunk */
#define DATA_SEEK_CHUNKS   64u        /* that one data_seek reads */
#define DATA_WRITE_MAX     (8u << 20) /* bytes in one data_write */

/* Room to put contents together in, one a thread, kept between requests.  Zeroed to begin
 * with; grows to what was needed, a chunk as a rule. */
struct data_buffer {
    uint8_t *bytes;
    size_t capacity;
};
void data_buffer_free(struct data_buffer *buffer);

#define DATA_PUT_MAX 4u

/* A chunk that was written, and what is stored of it then. */
struct data_put {
    uint64_t index;
    struct chunk_state state;
};

/* A change of one file's contents.  `data` and `value` are the file's new state after
 * each call; the rest is the caller's, borrowed. */
struct data_edit {
    struct store *store;
    struct lsmkv_batch *batch;
    struct sweep_list *dead;
    struct data_buffer *buffer;
    struct attr_data data;
    /* What stands beside the attributes: the contents if inline, else empty.  Points to
     * what was handed to data_edit_begin, to the bytes handed to data_write, or into
     * `buffer`. */
    struct lsmkv_slice value;
    bool unlinked; /* it has no name left: new chunks get an orphan record at once */
    /* Private: of the chunks written the last few. */
    unsigned put_count;
    struct data_put put[DATA_PUT_MAX];
};

/* Begins with contents `data` and, if inline, `value` (all of it). */
void data_edit_begin(struct data_edit *edit, struct store *store,
                     struct lsmkv_batch *batch, struct sweep_list *dead,
                     struct data_buffer *buffer, const struct attr_data *data,
                     struct lsmkv_slice value, bool unlinked);

/* Writes `size` bytes (at most DATA_WRITE_MAX) at `offset`; a gap before it reads as
 * zeros. -EFBIG: past DATA_SIZE_MAX. */
LSMKV_CHECKED int data_write(struct data_edit *edit, uint64_t offset, const void *bytes,
                             size_t size);
/* May follow, while the file's lock is still held, when the batch has been published: the next write
 * to what was written need not look for what is stored there. */
void data_published(const struct data_edit *edit);

/* Cuts, or extends with a hole, to `size`.  -EFBIG. */
LSMKV_CHECKED int data_truncate(struct data_edit *edit, uint64_t size);

/* Makes [offset, end) read as zeros without changing the size; what lies past the size is
 * left alone.  Does as much as one batch should hold; `*done` is how far it came.  The
 * caller publishes, clears the batch and begins a new edit until that is `end`. */
LSMKV_CHECKED int data_punch(struct data_edit *edit, uint64_t offset, uint64_t end,
                             uint64_t *done);

/* The contents go with the file's last name: an orphan if there are chunks.  `held`: a
 * node still reads them, sweep_release follows (inline contents the caller keeps by
 * itself). */
LSMKV_CHECKED int data_remove(struct data_edit *edit, bool held);

/* Puts `attr` with edit->data and edit->value at `key`: one record, the last entry of a
 * write. */
LSMKV_CHECKED int data_edit_put(struct data_edit *edit, struct lsmkv_keyspace *keyspace,
                                struct lsmkv_slice key, const struct attr *attr);

/* ---- reading ---- */

/* Copies up to `size` bytes from `offset`; `*got` is less only at the end of the file.
 * `value` is the record's value if the contents are inline. */
LSMKV_CHECKED int data_read(struct store *store, const struct lsmkv_snapshot *snapshot,
                            const struct attr_data *data, struct lsmkv_slice value,
                            uint64_t offset, void *bytes, size_t size, size_t *got);

/* lseek's SEEK_DATA and SEEK_HOLE: holes are what D5 in data.c calls so, and the end of
 * the file.  -ENXIO: `offset` is at or past the end, or there is no data behind it. */
LSMKV_CHECKED int data_seek(struct store *store, const struct lsmkv_snapshot *snapshot,
                            const struct attr_data *data, uint64_t offset, int whence,
                            uint64_t *found);

#endif
