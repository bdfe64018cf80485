/*
 * blob.h - blob files: values that stand apart from their keys.
 *
 *     header
 *     record 0
 *     ...          no gaps: each record begins where the one before ended
 *     record n-1   the file ends with it; its size is in the manifest, if a table refers to it
 *
 * Integers are little-endian.
 *
 *     header
 *     offset  size  field
 *          0     8  magic         "lsmkvBLB"
 *          8     4  version       1
 *         12     4  incompatible  features a reader must know; unknown bits: refuse;
 *                                  bit 0: values may be in pages; bit 1: or packed
 *         16     4  keyspace
 *         20     8  number        of the file
 *         28     4  checksum      CRC32C of bytes 0-27
 *
 *     record
 *     offset  size  field
 *          0     4  checksum        CRC32C of the file's number (8), the record's offset
 *                                   (8), the bytes from 4 to the key's end
 *          4     4  value checksum  CRC32C of the file's number (8), the value's offset
 *                                   (8), the value; or, of one in pages or packed, the
 *                                   table before it
 *          8     4  value length    1 to LSMKV_VALUE_MAX; and BLOB_PAGED if it is in
 *                                   pages, or BLOB_PACKED if it is packed
 *         12     4  key length      8 to LSMKV_KEY_MAX + 8
 *         16     4  stored length   of a packed value alone: its bytes in the file
 *                   internal key, as it was when the value was written
 *                   table
 *                   value; of a packed one its units, each a block of LZ4's block format,
 *                   or as it is if it has as many bytes in the file
 *
 *     table of a value in pages, for each BLOB_PAGE_SIZE bytes (the last may have fewer)
 *                4  CRC32C of the file's number (8), the page's offset (8), the page
 *
 *     table of a packed value, for each BLOB_UNIT_SIZE bytes (likewise)
 *                4  bytes of the unit in the file
 *                4  CRC32C of the file's number (8), the unit's offset (8), these bytes
 *
 * A part of a value in pages, or packed, is read and checked by itself.  Values longer
 * than BLOB_PAGED_ABOVE are in pages.  Of a keyspace that is compressed those are packed
 * that lose an eighth by it or more, and the others are as in any keyspace.
 *
 * An entry of a table, a memtable or the log refers to a value by file, offset, lengths
 * and value checksum (base/record.h), so a get reads the value and nothing else.  Key and
 * head are for who has only the file.  Records never change; a move of an entry or a
 * merge carries the reference.
 *
 * Most files are written whole, by a flush or a merge.  Others grow while the store is
 * written to (db/direct.h), until their log does no more.
 *
 * B1  A blob file is synced before a manifest line names it, and before the frames of the
 *     log that refer to it are (invariant 14).
 * B2  It stays while a table or a generation of memtables refers to it, of whatever
 *     version or view some reader holds; a generation stands for its log, too.  It is
 *     deleted when the last that did has gone.
 * B3  `live`, the bytes of records that tables of the newest versions refer to, only
 *     chooses what is worth collecting.  A record counts with the key that its entry has
 *     now, as it would be written again.
 * B4  A write that failed is undone durably before another is tried: a file ends with its
 *     last record.  That is a sync, and of two at once the kernel tells one alone what
 *     failed: so one waits for the other.
 */
#ifndef TABLE_BLOB_H
#define TABLE_BLOB_H

#include "base/record.h"
#include "table/cache.h"
#include "table/table.h"

#define BLOB_HEADER_SIZE 32u
#define BLOB_HEAD_SIZE   16u /* of a record, before its key */
#define BLOB_HEAD_MAX    20u /* of a packed value; no record is as short */
#define BLOB_VERSION     1u
/* Feature bits that this version understands. */
#define BLOB_FEATURE_PAGES  1u
#define BLOB_FEATURE_PACKED 2u
#define BLOB_FEATURES_KNOWN (BLOB_FEATURE_PAGES | BLOB_FEATURE_PACKED)
#define BLOB_MAGIC          "lsmkvBLB"
/* Shorter ones are read in one go: a part would cost two reads. */
#define BLOB_PAGED_ABOVE (16u << 10)

struct blob_header {
    uint32_t keyspace;
    uint64_t number;
    bool packs; /* values may be packed */
};

/* What stands in a record before its value. */
static inline size_t
blob_front_size(size_t key_size, const struct blob_ref *ref)
{
    return (ref->packed > 0 ? BLOB_HEAD_MAX : BLOB_HEAD_SIZE) + key_size +
           blob_table_size(ref);
}

/* What a value takes in a file, its head and key included. */
static inline uint64_t
blob_record_size(struct lsmkv_slice internal, const struct blob_ref *ref)
{
    return (uint64_t)blob_front_size(internal.size, ref) + blob_stored_size(ref);
}

void blob_header_encode(uint8_t *out, const struct blob_header *header);
/* As the decoders of format.h. */
int LSMKV_CHECKED blob_header_decode(const uint8_t *in, struct blob_header *header,
                                     const char **problem);
/* Of the record whose value is where `ref` says: the head, and the internal key. */
void blob_head_encode(uint8_t *out, const struct blob_ref *ref,
                      struct lsmkv_slice internal);
/* Of BLOB_HEAD_MAX bytes of the record at `offset`, whose checksum was not looked at yet,
 * for it covers the key: where its value is, and the key's size.  -EUCLEAN. */
int LSMKV_CHECKED blob_head_decode(const uint8_t *in, uint64_t number, uint64_t offset,
                                   struct blob_ref *ref, size_t *key_size,
                                   const char **problem);
/* The internal key in a record. */
struct lsmkv_slice blob_head_key(const uint8_t *record, const struct blob_ref *ref,
                                 size_t key_size);
/* -EBADMSG; `in` holds the head and behind it the key. */
int LSMKV_CHECKED blob_head_check(const uint8_t *in, const struct blob_ref *ref,
                                  size_t key_size, const char **problem);

/* Of what stands where `ref` says, and before that its table: has it the checksum?  Of a
 * value in pages the table may be damaged all the same. */
bool blob_is_intact(const struct blob_ref *ref, const uint8_t *stored);
/* Has the table, which ends before `stored`?  True also if there is none. */
bool blob_table_is_intact(const struct blob_ref *ref, const uint8_t *stored);

/* Where a value that is not empty will stand if its record begins at `offset`; all but
 * the checksum.  `packed` is as blob_ref has it. */
struct blob_ref blob_place(uint64_t number, uint64_t offset, size_t key_size,
                           size_t value_size, uint32_t packed);
/* What stands before it there, and the checksum; `stored` is what blob_pack made, from
 * the table on, or the value. */
void blob_front_encode(uint8_t *out, struct lsmkv_slice internal, const uint8_t *stored,
                       struct blob_ref *ref);

/* ---- packed values ---- */

/* Compresses a value for a place that is not known yet: `packed` holds its table, but for
 * the checksums, and behind it its units, *size bytes.  0 of these: it is not worth it.
 * -ENOMEM. */
int LSMKV_CHECKED blob_pack(struct lsmkv_slice value, struct keybuf *packed,
                            uint32_t *size);
/* The table as it is to stand before the units, from what blob_pack made. */
void blob_table_seal(uint8_t *table, const struct blob_ref *ref, const uint8_t *packed);
/* Of a table that is intact, before the units.  False also if its sizes are not
 * possible. */
bool blob_units_are_intact(const struct blob_ref *ref, const uint8_t *stored);

/* The units `first` to `end - 1` of a packed value. */
struct blob_units {
    uint32_t first, end;
    uint32_t from, size; /* where they are in the stored bytes */
};

/* Finds them by a table whose checksum was looked at.  -EUCLEAN: its sizes are not
 * possible. */
int LSMKV_CHECKED blob_units_find(const struct blob_ref *ref, const uint8_t *table,
                                  struct blob_units *units, const char **problem);
/* Checks those, which are at `bytes`, and unpacks them to `value`, where the first of
 * them begins.  -EBADMSG, -EUCLEAN. */
int LSMKV_CHECKED blob_units_unpack(const struct blob_ref *ref, const uint8_t *table,
                                    const struct blob_units *units, const uint8_t *bytes,
                                    uint8_t *value, const char **problem);
/* All of a packed value, of `stored` and the table before that, which is checked, too. */
int LSMKV_CHECKED blob_unpack(const struct blob_ref *ref, const uint8_t *stored,
                              uint8_t *value, const char **problem);

/* "000012.blob"; `name` has TABLE_NAME_SIZE bytes. */
void blob_name(char *name, uint64_t number);

/* ---- writing ---- */

struct blob_writer;

/* Creates the file of blob `number`. */
int LSMKV_CHECKED blob_writer_open(const struct table_context *context, uint64_t number,
                                   uint32_t keyspace, enum lsmkv_compression compression,
                                   struct blob_writer **writer);
/* Appends a value that is not empty. */
int LSMKV_CHECKED blob_writer_add(struct blob_writer *writer, struct lsmkv_slice internal,
                                  struct lsmkv_slice value, struct blob_ref *ref);
uint64_t blob_writer_size(const struct blob_writer *writer);
uint64_t blob_writer_number(const struct blob_writer *writer);
/* Writes what is left, syncs and closes the file (the caller syncs the directory), frees
 * the writer whatever the result.  On failure the file is deleted. */
int LSMKV_CHECKED blob_writer_finish(struct blob_writer *writer);
/* Closes and deletes the file, frees the writer.  NULL is allowed. */
void blob_writer_abandon(struct blob_writer *writer);

/* ---- writing beside the log ---- */

/* One thread at a time. */
struct blob_appender;

/* Creates the file of blob `number`; on failure there is none. */
int LSMKV_CHECKED blob_appender_open(const struct table_context *context, uint64_t number,
                                     uint32_t keyspace,
                                     enum lsmkv_compression compression,
                                     struct blob_appender **appender);
/* Says where a value that is not empty will stand.  It is borrowed until it is written.
 * -ENOMEM leaves all as it was. */
int LSMKV_CHECKED blob_appender_add(struct blob_appender *appender,
                                    struct lsmkv_slice internal, struct lsmkv_slice value,
                                    struct blob_ref *ref);
/* Forgets what was added since the last write, and how to undo that. */
void blob_appender_forget(struct blob_appender *appender);
/* Writes what was added since the last write, by write(2).  Writing back begins every few
 * MiB.  A failed write is undone (B4), unless blob_appender_is_broken then. */
int LSMKV_CHECKED blob_appender_write(struct blob_appender *appender);
/* Takes back what blob_appender_write wrote when it was called last, durably; if that
 * fails it is broken. */
int LSMKV_CHECKED blob_appender_undo(struct blob_appender *appender);
bool blob_appender_is_broken(const struct blob_appender *appender);
/* Makes all that was written before the call durable, and the file's name.  After a
 * failure it is broken, and this gives its error.  May run beside all but
 * blob_appender_close. */
int LSMKV_CHECKED blob_appender_sync(struct blob_appender *appender);
/* Of the file. */
uint64_t blob_appender_size(const struct blob_appender *appender);
/* Closes the file without syncing it.  NULL is allowed. */
void blob_appender_close(struct blob_appender *appender);

/* ---- the blob files of a store ---- */

struct blob_files;

/* `context` is borrowed. */
int LSMKV_CHECKED blob_files_new(const struct table_context *context,
                                 struct blob_files **files);
/* NULL is allowed. */
void blob_files_free(struct blob_files *files);

/* A table, or a generation, refers to these (B2).  -ENOMEM; -EUCLEAN: others give a file
 * another size or keyspace (reported).  All or none. */
int LSMKV_CHECKED blob_files_ref(struct blob_files *files, uint32_t keyspace,
                                 const struct table_blob *blobs, size_t count);
/* One less refers to it.  True: it was the last one. */
bool LSMKV_CHECKED blob_files_unref(struct blob_files *files, uint64_t number);
/* It grew, or was cut; only its generation refers to it yet. */
void blob_files_set_size(struct blob_files *files, uint64_t number, uint64_t size);
/* A table with these became part of the newest version, or ceased to be (B3). */
void blob_files_add_live(struct blob_files *files, const struct table_blob *blobs,
                         size_t count);
void blob_files_drop_live(struct blob_files *files, const struct table_blob *blobs,
                          size_t count);

/* Values up to a length are kept in the block cache once they were read by themselves: a
 * small part of the cache, within these.  A longer one is not: it would take the place of
 * many, and the kernel has its pages. */
#define BLOB_CACHED_MIN  (16u << 10)
#define BLOB_CACHED_MAX  (64u << 10)
#define BLOB_CACHED_PART 4096u
bool blob_is_kept(const struct blob_files *files, const struct blob_ref *ref);

/* Reads a value of ref->length bytes and checks it.  Somebody holds a table or a
 * generation that refers to it.  Reports damage. */
int LSMKV_CHECKED blob_read(struct blob_files *files, const struct blob_ref *ref,
                            void *buffer);
/* The same of `size` bytes, above 0, from `from` on, of a value in pages or packed: no
 * other pages or units are read than those that they lie in.  `*bytes` are in `room`. */
int LSMKV_CHECKED blob_read_part(struct blob_files *files, const struct blob_ref *ref,
                                 size_t from, size_t size, struct keybuf *room,
                                 const uint8_t **bytes);
/* Of a value that could be read whole, which does without the checksums of its pages: reports
 * them if they are damaged, for then it cannot be read in parts.  -ENOMEM. */
int LSMKV_CHECKED blob_look_at_sums(struct blob_files *files, const struct blob_ref *ref);
/* Bytes of a file, whatever they are: how many there are of `size`.  -ENOENT: no such
 * file; other errors are reported. */
ssize_t LSMKV_CHECKED blob_files_bytes(struct blob_files *files, uint64_t number,
                                       uint64_t offset, void *buffer, size_t size);
/* A value that is in the cache, pinned; or NULL.  Neither waits nor locks. */
const struct block *blob_find(struct blob_files *files, const struct blob_ref *ref);
/* The value will be asked for, `next` or a little later: what it takes to find it in the
 * cache, or its first bytes there, may be fetched by the processor meanwhile. */
void blob_expect(struct blob_files *files, const struct blob_ref *ref, bool next);
/* As blob_read, into a block that is pinned, and kept in the cache unless it is long. */
int LSMKV_CHECKED blob_read_pinned(struct blob_files *files, const struct blob_ref *ref,
                                   const struct block **block);

/* For who asks for one value after the other in the order of keys: in each of the files
 * that its values stand in they follow each other, and are read many at a time.
 * Embedded; zero it to begin.  One thread at a time. */
#define BLOB_STREAMS 8u

struct blob_stream {
    uint64_t file, offset; /* of `bytes` */
    struct keybuf bytes;
    uint64_t next;     /* where the value asked for last ended */
    uint64_t used;     /* when */
    unsigned in_order; /* so many were asked for, each close behind the one before */
};

struct blob_run {
    bool waited; /* the value asked for last came off the disk, and it seems alone */
    unsigned
        begun; /* values to come whose reading has begun: set with blob_begin_reading */

    /* private */
    const struct block *cached; /* the value asked for last, pinned; may be NULL */
    uint64_t asked;
    struct keybuf unpacked; /* the same, if it was packed and came from a stream */
    struct blob_stream streams[BLOB_STREAMS];
};

void blob_run_fini(struct blob_run *run);
/* The value will be asked for soon: the disk may begin with it. */
void blob_begin_reading(struct blob_files *files, const struct blob_ref *ref);
/* As blob_read; *value holds until the next call. */
int LSMKV_CHECKED blob_run_read(struct blob_run *run, struct blob_files *files,
                                const struct blob_ref *ref, const uint8_t **value);

/* Files, and their bytes; of these, those that no table of the newest versions refers
 * to. */
struct blob_totals {
    uint64_t files, bytes, dead_bytes;
};
struct blob_totals blob_files_totals(struct blob_files *files);

/* The size of a file that something refers to. */
uint64_t blob_files_size(struct blob_files *files, uint64_t number);
/* Something of it, or of a table that refers to it, cannot be read: it is no victim any
 * more. */
void blob_files_pass_over(struct blob_files *files, uint64_t number);

/* Files that are to be collected. */
struct blob_victims {
    uint64_t *numbers; /* ascending; malloced */
    size_t count;
    uint64_t dead; /* bytes in them */
};

/* Which are. */
struct blob_wanted {
    unsigned least;        /* dead to so many eighths or more */
    uint64_t small, below; /* or smaller than `small` bytes, of numbers below `below` */
    uint64_t most;         /* live bytes in all */
};

/* Of a keyspace's files those that are wanted, small ones first, then the deadest, as far
 * as their live bytes come to no more than `most`, and without those that alone have more.
 * So while they are being collected they stay the first.  -ENOMEM. */
int LSMKV_CHECKED blob_files_victims(struct blob_files *files, uint32_t keyspace,
                                     const struct blob_wanted *wanted,
                                     struct blob_victims *victims);
void blob_victims_fini(struct blob_victims *victims);
bool blob_victims_have(const struct blob_victims *victims, uint64_t number);

/* ---- all of a file ---- */

struct blob_record {
    uint64_t offset;        /* of the record */
    struct lsmkv_slice key; /* internal */
    struct blob_ref ref;
    const uint8_t *value; /* unpacked; NULL: it is damaged, which was reported */
};

/* Reads blob `number`, of `size` bytes (0: whatever it has), from one end to the other,
 * and calls `each` for every record until it returns something else than 0.  What is
 * wrong is reported; the first of that is the result; after a bad head nothing more can
 * be told.  `keyspace` and `each` may be NULL. */
int LSMKV_CHECKED blob_walk(const struct table_context *context, uint64_t number,
                            uint64_t size, uint32_t *keyspace,
                            int (*each)(void *user, const struct blob_record *record),
                            void *user);
/* The same of a file that a log may go on with: what lies beyond `size` is nothing. */
int LSMKV_CHECKED blob_walk_growing(
    const struct table_context *context, uint64_t number, uint64_t size,
    int (*each)(void *user, const struct blob_record *record), void *user);

/* ---- recovering a file beside its log ---- */

/* Is the record of `ref`, whose internal key has `key_size` bytes, there whole, and the
 * header, too, if it is the first?  1; 0: no; or an error of reading (reported).  `room`
 * is for its bytes. */
int LSMKV_CHECKED blob_probe(struct blob_files *files, const struct blob_ref *ref,
                             size_t key_size, struct keybuf *room);
/* The size of the file itself.  -ENOENT; other errors are reported. */
int LSMKV_CHECKED blob_length(const struct table_context *context, uint64_t number,
                              uint64_t *size);
/* Cuts off what lies beyond `end`, writes the bytes from `from` on again in place, and
 * syncs.  Errors are reported. */
int LSMKV_CHECKED blob_mend(const struct table_context *context, uint64_t number,
                            uint64_t from, uint64_t end);

#endif
