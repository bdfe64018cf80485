/*
 * fuzz_records.c - keys of the filesystem's keyspaces (fs/store/records.c), names of keys that are
 * no path (fs/store/key.c), words of the control protocol (fs/common/wire.c).
 *
 * Input: which 1, then the bytes.
 */
#include <errno.h>

#include "common/wire.h"
#include "fuzz.h"
#include "store/key.h"
#include "store/records.h"

static void
run_record(struct lsmkv_slice key)
{
    uint64_t id, index, first_dead;
    unsigned fragment;

    if (record_decode_sweep(key, &id, &first_dead)) {
        struct record_key again =
            first_dead > 0 ? record_trim(id, first_dead) : record_orphan(id);

        fuzz_check(fuzz_equal(record_slice(&again), key));
    }
    if (chunk_key_decode(key, &id, &index, &fragment) && index < UINT32_MAX) {
        struct chunk_key again = chunk_key(id, index, fragment);

        fuzz_check(fuzz_equal(chunk_slice(&again), key));
    }
    if (key.size >= 9 && key.size <= 9 + 255)
        fuzz_check(record_xattr_name(key).size == key.size - 9);
    else
        (void)record_xattr_name(key);
}

/* Every key has one name, and every name that is one has one key. */
static void
run_name(struct lsmkv_slice path)
{
    uint8_t *key = malloc(LSMKV_KEY_MAX);
    size_t size;
    int result;

    fuzz_check(key != NULL);
    result = key_decode(path, key, LSMKV_KEY_MAX, &size);
    fuzz_check(result == 0 || result == -ENOENT || result == -ENAMETOOLONG);
    if (result == 0) {
        char *again = malloc(path.size);

        fuzz_check(again != NULL && size <= LSMKV_KEY_MAX);
        fuzz_check(key_encoded_size(lsmkv_bytes(key, size)) == path.size);
        key_encode(lsmkv_bytes(key, size), again);
        fuzz_check(memcmp(again, path.data, path.size) == 0);
        free(again);
    }
    free(key);
}

static void
run_key(struct lsmkv_slice key)
{
    size_t size = key_encoded_size(key), back_size, joined_size;
    struct lsmkv_slice parent, name;
    char *path = malloc(size);
    uint8_t *back = malloc(key.size + 1);

    fuzz_check(path != NULL && back != NULL);
    key_encode(key, path);
    fuzz_check(key_decode(lsmkv_bytes(path, size), back, key.size, &back_size) == 0);
    fuzz_check(fuzz_equal(lsmkv_bytes(back, back_size), key));
    if (key.size > 0 && key_is_plain(key)) {
        key_split(key, &parent, &name);
        fuzz_check(key_is_name(name) && key_is_plain(parent));
        fuzz_check(key_is_below(key, parent));
        fuzz_check(key_join(parent, name, back, key.size, &joined_size) == 0);
        fuzz_check(fuzz_equal(lsmkv_bytes(back, joined_size), key));
    }
    free(path);
    free(back);
}

static void
run_word(struct lsmkv_slice bytes)
{
    char *text = malloc(3 * bytes.size + 1);
    size_t size;

    fuzz_check(text != NULL);
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    if (wire_decode(text, &size) == 0)
        fuzz_check(size <= bytes.size);
    wire_encode(bytes.data, bytes.size, text);
    fuzz_check(strchr(text, ' ') == NULL && strchr(text, '\n') == NULL);
    fuzz_check(wire_decode(text, &size) == 0);
    fuzz_check(fuzz_equal(lsmkv_bytes(text, size), bytes));
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned which = (unsigned)fuzz_number(&input, 1);
    struct lsmkv_slice bytes = lsmkv_bytes(NULL, input.left);
    uint8_t *copy = fuzz_copy(fuzz_take(&input, input.left));

    bytes.data = copy;
    if (bytes.size <= LSMKV_KEY_MAX) {
        if (which % 4 == 0)
            run_record(bytes);
        else if (which % 4 == 1)
            run_name(bytes);
        else if (which % 4 == 2)
            run_key(bytes);
        else
            run_word(bytes);
    }
    free(copy);
    return 0;
}
