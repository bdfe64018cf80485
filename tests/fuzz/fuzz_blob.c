/*
 * fuzz_blob.c - a blob file (table/blob.h) walked from end to end, and references into it.
 *
 * What must hold: a walk ends; what it gives lies in the file, record behind record; a value that it
 * gives is what a read by its reference gives, and a probe finds it; without an error every byte was part of a record.
 *
 * Input: 1, whether checksums are made right (odd); reference: offset 8, length 4; then the file.
 */
#include <errno.h>

#include "files.h"
#include "fuzz.h"
#include "seal.h"
#include "table/blob.h"

#define NUMBER 7u

struct walk {
    struct blob_files *files;
    uint64_t end; /* of the record before */
    struct keybuf room;
};

static int
read_again(struct blob_files *files, const struct blob_ref *ref, uint8_t **value)
{
    *value = malloc(ref->length);
    fuzz_check(*value != NULL);
    return blob_read(files, ref, *value);
}

/* A value that is intact is so in its parts, whatever became of the checksums of its pages. */
static void
check_parts(struct walk *walk, const struct blob_record *record)
{
    const struct blob_ref *ref = &record->ref;
    const size_t from[] = {0, ref->length / 2, ref->length - 1};

    for (size_t i = 0; i < 3; i++) {
        size_t size = i == 1 ? ref->length - from[i] : 1;
        const uint8_t *part;

        fuzz_check(blob_read_part(walk->files, ref, from[i], size, &walk->room, &part) ==
                   0);
        fuzz_check(memcmp(part, record->value + from[i], size) == 0);
    }
}

static int
check_record(void *user, const struct blob_record *record)
{
    struct walk *walk = user;
    uint8_t *value;
    bool intact;
    int result;

    fuzz_check(record->offset == walk->end);
    fuzz_check(record->key.size >= KEY_TRAILER_SIZE);
    fuzz_check(record->ref.offset ==
               record->offset + blob_front_size(record->key.size, &record->ref));
    fuzz_check(record->ref.length > 0 && record->ref.length <= LSMKV_VALUE_MAX);
    result = read_again(walk->files, &record->ref, &value);
    fuzz_check(record->value != NULL ? result == 0
                                     : result == -EBADMSG || (result == -EUCLEAN &&
                                                              record->ref.packed > 0));
    fuzz_check(result != 0 || memcmp(value, record->value, record->ref.length) == 0);
    free(value);
    intact = result == 0 && (record->ref.packed > 0 ||
                             blob_table_is_intact(&record->ref, record->value));
    /* Units that are what was written, and were never right. */
    fuzz_check(result == -EUCLEAN || blob_probe(walk->files, &record->ref,
                                                record->key.size, &walk->room) == intact);
    if (result == 0 && (record->ref.pages > 0 || record->ref.packed > 0))
        check_parts(walk, record);
    walk->end = record->ref.offset + blob_stored_size(&record->ref);
    return 0;
}

static void
check_reference(struct blob_files *files, uint64_t offset, uint32_t length)
{
    struct blob_ref ref = {NUMBER, offset, length, 0, 0, 0};
    uint8_t bytes[BLOB_REF_SIZE_MAX], *value;
    size_t size;
    const uint8_t *part;
    struct keybuf room = {0};
    int result;

    if (length % 2 == 1)
        ref.pages = 1; /* which is only told: the reader counts them */
    if (length % 4 == 2)
        ref.packed = length - length / 4;
    size = blob_ref_encode(bytes, &ref);
    if (blob_ref_decode(lsmkv_bytes(bytes, size), &ref) != 0)
        return;
    result = read_again(files, &ref, &value);
    fuzz_check(result == 0 || result == -EBADMSG || result == -EUCLEAN);
    free(value);
    if (ref.pages > 0 || ref.packed > 0) {
        result = blob_read_part(files, &ref, ref.length / 2, 1, &room, &part);
        fuzz_check(result == 0 || result == -EBADMSG || result == -EUCLEAN);
    }
    keybuf_fini(&room);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    bool sealed = fuzz_number(&input, 1) % 2 == 1;
    uint64_t offset = fuzz_number(&input, 8);
    uint32_t length = (uint32_t)fuzz_number(&input, 4) % (1u << 20);
    struct lsmkv_slice given = fuzz_take(&input, input.left);
    uint8_t *bytes = fuzz_copy(given);
    struct table_blob blob = {NUMBER, 1, given.size};
    struct tally counters = {0};
    struct table_context context = {.counters = &counters};
    struct walk walk = {.end = BLOB_HEADER_SIZE};
    struct fuzz_files store;
    struct open_files *open;
    int result;

    if (sealed)
        seal_blob(bytes, given.size, NUMBER);
    fuzz_files_init(&store);
    fuzz_files_put(&store, "000007.blob", lsmkv_bytes(bytes, given.size));
    fuzz_check(open_files_new(1, &open) == 0);
    context.env = store.env;
    context.dir = store.dir;
    context.reporter = &store.reporter;
    context.files = open;
    fuzz_check(blob_files_new(&context, &walk.files) == 0);
    fuzz_check(blob_files_ref(walk.files, 0, &blob, 1) == 0);

    result = blob_walk(&context, NUMBER, 0, NULL, check_record, &walk);
    fuzz_check(result == 0 || result == -EBADMSG || result == -EUCLEAN);
    fuzz_check(result != 0 || walk.end == given.size);
    check_reference(walk.files, offset, length);

    fuzz_check(blob_files_unref(walk.files, NUMBER));
    blob_files_free(walk.files);
    keybuf_fini(&walk.room);
    open_files_free(open);
    fuzz_files_fini(&store);
    free(bytes);
    return 0;
}
