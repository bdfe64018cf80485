/*
 * key.c - paths as keys, and the coded names of keys that are no path.
 *
 * A coded name must be reachable through any directory tree, so it uses the portable file
 * name characters only, never '.', and cuts itself before 255 bytes.  '+' marks a cut: it
 * is not a coded byte, so a name says by itself whether others follow.
 *
 * K1  key_encode is injective, and key_decode accepts its image and nothing else: one
 *     key, one file.
 */
#include "store/key.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "common/slice.h"

/* Coded bytes in a component that others follow. */
#define PART_BYTES (KEY_PART_MAX - 1)

bool
key_is_name(struct lsmkv_slice name)
{
    if (name.size == 0 || name.size > KEY_NAME_MAX)
        return false;
    if (slice_is(name, ".") || slice_is(name, ".."))
        return false;
    return !memchr(name.data, '\0', name.size) && !memchr(name.data, '/', name.size);
}

/* Takes the component before the first '/' off `rest`; false once the last has been
 * taken, which leaves rest->data NULL. */
static bool
next_component(struct lsmkv_slice *rest, struct lsmkv_slice *component)
{
    if (!rest->data)
        return false;
    const char *begin = rest->data;
    const char *slash = memchr(begin, '/', rest->size);
    if (!slash) {
        *component = *rest;
        *rest = lsmkv_bytes(NULL, 0);
        return true;
    }
    size_t size = (size_t)(slash - begin);
    *component = lsmkv_bytes(begin, size);
    *rest = lsmkv_bytes(slash + 1, rest->size - size - 1);
    return true;
}

bool
key_is_plain(struct lsmkv_slice key)
{
    if (key.size == 0)
        return true;
    struct lsmkv_slice rest = key, component;
    while (next_component(&rest, &component)) {
        if (!key_is_name(component))
            return false;
        if (component.data == key.data &&
            (slice_is(component, KEY_SNAPSHOTS) || slice_is(component, KEY_PRIVATE)))
            return false;
    }
    return true;
}

bool
key_is_below(struct lsmkv_slice key, struct lsmkv_slice ancestor)
{
    if (ancestor.size == 0)
        return key.size > 0;
    return key.size > ancestor.size && ((const char *)key.data)[ancestor.size] == '/' &&
           memcmp(key.data, ancestor.data, ancestor.size) == 0;
}

static int
rank(char byte)
{
    return byte == '/' ? -1 : (unsigned char)byte;
}

int
key_compare_paths(struct lsmkv_slice a, struct lsmkv_slice b)
{
    const char *left = a.data, *right = b.data;
    for (size_t i = 0; i < a.size && i < b.size; i++) {
        if (left[i] != right[i])
            return rank(left[i]) - rank(right[i]);
    }
    return (a.size > b.size) - (a.size < b.size);
}

void
key_split(struct lsmkv_slice key, struct lsmkv_slice *parent, struct lsmkv_slice *name)
{
    const char *bytes = key.data;
    const char *slash = memrchr(bytes, '/', key.size);
    size_t before = slash ? (size_t)(slash - bytes) : 0;
    size_t behind = slash ? before + 1 : 0;
    if (parent)
        *parent = lsmkv_bytes(bytes, before);
    if (name)
        *name = lsmkv_bytes(bytes + behind, key.size - behind);
}

int
key_join(struct lsmkv_slice parent, struct lsmkv_slice name, void *buffer,
         size_t capacity, size_t *size)
{
    size_t before = parent.size > 0 ? parent.size + 1 : 0;
    if (capacity > LSMKV_KEY_MAX)
        capacity = LSMKV_KEY_MAX;
    if (before > capacity || name.size > capacity - before)
        return -ENAMETOOLONG;
    uint8_t *out = buffer;
    if (before > 0) {
        memmove(out, parent.data, parent.size);
        out[parent.size] = '/';
    }
    if (name.size > 0)
        memcpy(out + before, name.data, name.size);
    *size = before + name.size;
    return 0;
}

/* ---- coded names ---- */

static bool
stands_for_itself(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

/* Bytes of the coded string before it is cut. */
static size_t
uncut_size(struct lsmkv_slice key)
{
    if (key.size == 0)
        return 1;
    const uint8_t *bytes = key.data;
    size_t size = 0;
    for (size_t i = 0; i < key.size; i++)
        size += stands_for_itself(bytes[i]) ? 1 : 3;
    return size;
}

/* How many components precede the last: as few as leave it at most KEY_PART_MAX bytes. */
static size_t
parts_before_last(size_t uncut)
{
    if (uncut <= KEY_PART_MAX)
        return 0;
    return (uncut - KEY_PART_MAX + PART_BYTES - 1) / PART_BYTES;
}

size_t
key_encoded_size(struct lsmkv_slice key)
{
    size_t uncut = uncut_size(key);
    return uncut + 2 * parts_before_last(uncut);
}

/* Where key_encode writes: cuts as it goes. */
struct coder {
    char *at;
    size_t in_part; /* bytes written to this component */
    size_t parts;   /* components to be cut yet */
};

static void
coder_put(struct coder *coder, char byte)
{
    if (coder->in_part == PART_BYTES && coder->parts > 0) {
        *coder->at++ = '+';
        *coder->at++ = '/';
        coder->in_part = 0;
        coder->parts--;
    }
    *coder->at++ = byte;
    coder->in_part++;
}

void
key_encode(struct lsmkv_slice key, char *buffer)
{
    static const char digits[] = "0123456789ABCDEF";
    const uint8_t *bytes = key.data;
    struct coder coder = {buffer, 0, parts_before_last(uncut_size(key))};
    if (key.size == 0)
        coder_put(&coder, '%');
    for (size_t i = 0; i < key.size; i++) {
        if (stands_for_itself(bytes[i])) {
            coder_put(&coder, (char)bytes[i]);
            continue;
        }
        coder_put(&coder, '%');
        coder_put(&coder, digits[bytes[i] >> 4]);
        coder_put(&coder, digits[bytes[i] & 15]);
    }
}

bool
key_is_coded_directory(struct lsmkv_slice name)
{
    const uint8_t *bytes = name.data;
    if (name.size != KEY_PART_MAX || bytes[PART_BYTES] != '+')
        return false;
    for (size_t i = 0; i < PART_BYTES; i++)
        if (!stands_for_itself(bytes[i]) && bytes[i] != '%')
            return false;
    return true;
}

/* The value of a capital hex digit, or -1. */
static int
hex_digit(int byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* Where key_decode reads: the coded string without its cuts. */
struct decoder {
    const uint8_t *at, *end;
    size_t in_part; /* bytes read of this component */
    bool malformed;
};

/* The next coded byte, or -1 at the end or where a cut is wrong. */
static int
decoder_next(struct decoder *decoder)
{
    if (decoder->in_part == PART_BYTES && decoder->end - decoder->at > 2 &&
        decoder->at[0] == '+' && decoder->at[1] == '/') {
        decoder->at += 2;
        decoder->in_part = 0;
    }
    if (decoder->at == decoder->end)
        return -1;
    if (decoder->in_part == KEY_PART_MAX) {
        decoder->malformed = true;
        return -1;
    }
    decoder->in_part++;
    return *decoder->at++;
}

/* The next byte of the key, or -1 at the end or where the coding is wrong. */
static int
decoder_byte(struct decoder *decoder)
{
    int byte = decoder_next(decoder);
    if (byte < 0 || stands_for_itself((uint8_t)byte))
        return byte;
    int high = byte == '%' ? hex_digit(decoder_next(decoder)) : -1;
    int low = high >= 0 ? hex_digit(decoder_next(decoder)) : -1;
    decoder->malformed |= low < 0 || stands_for_itself((uint8_t)(high << 4 | low));
    return decoder->malformed ? -1 : high << 4 | low;
}

int
key_decode(struct lsmkv_slice path, void *buffer, size_t capacity, size_t *size)
{
    if (slice_is(path, "%")) {
        *size = 0;
        return 0;
    }
    if (path.size == 0)
        return -ENOENT;
    struct decoder decoder = {path.data, (const uint8_t *)path.data + path.size, 0,
                              false};
    uint8_t *out = buffer;
    size_t used = 0;
    for (int byte; (byte = decoder_byte(&decoder)) >= 0; used++) {
        if (used == capacity)
            return -ENAMETOOLONG;
        out[used] = (uint8_t)byte;
    }
    /* Cuts were accepted where they may be; whether all of them are needed, the size
     * tells. */
    if (decoder.malformed || key_encoded_size(lsmkv_bytes(out, used)) != path.size)
        return -ENOENT;
    *size = used;
    return 0;
}
