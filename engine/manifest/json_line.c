/* json_line.c - see json_line.h. */
#include "manifest/json_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/report.h"
#include "manifest/json_read.h"

#define CRC_DIGITS 8u

struct line_buffer {
    char *data;
    size_t size, capacity;
    bool failed; /* for good: jansson passes over some of the callback's failures */
};

static int
line_buffer_append(const char *bytes, size_t size, void *context)
{
    struct line_buffer *buffer = context;

    if (buffer->failed)
        return -1;
    if (size > buffer->capacity - buffer->size) {
        size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
        char *data;

        while (size > capacity - buffer->size)
            capacity *= 2;
        data = realloc(buffer->data, capacity);
        if (data == NULL) {
            buffer->failed = true;
            return -1;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    return 0;
}

int
line_seal(const json_t *object, char **line, size_t *size)
{
    struct line_buffer buffer = {0};
    char suffix[LINE_SUFFIX_SIZE + 1];

    if (json_dump_callback(object, line_buffer_append, &buffer, JSON_COMPACT) != 0 ||
        buffer.failed)
        goto no_memory;
    snprintf(suffix, sizeof(suffix), "\t%08" PRIx32 "\n",
             crc32c(0, buffer.data, buffer.size));
    if (line_buffer_append(suffix, LINE_SUFFIX_SIZE, &buffer) != 0)
        goto no_memory;
    *line = buffer.data;
    *size = buffer.size;
    return 0;

no_memory:
    free(buffer.data);
    return -ENOMEM;
}

static int
hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool
line_crc(const char *digits, uint32_t *crc)
{
    uint32_t value = 0;

    for (size_t i = 0; i < CRC_DIGITS; i++) {
        int digit = hex_value(digits[i]);

        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    *crc = value;
    return true;
}

int
line_unseal(const char *line, size_t size, json_t **object)
{
    uint32_t stored, computed;

    if (size < CRC_DIGITS + 1 || line[size - CRC_DIGITS - 1] != '\t' ||
        !line_crc(line + size - CRC_DIGITS, &stored))
        return error_detail(-EBADMSG, "the line does not end with a checksum");
    size -= CRC_DIGITS + 1;
    computed = crc32c(0, line, size);
    if (stored != computed)
        return error_detail(-EBADMSG,
                            "checksum %08" PRIx32 " expected, %08" PRIx32 " found",
                            stored, computed);
    return json_read(line, size, object);
}

int
line_only(json_t *object, const char *const *known)
{
    for (void *at = json_object_iter(object); at != NULL;
         at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        size_t i = 0;

        while (known[i] != NULL && strcmp(known[i], key) != 0)
            i++;
        if (known[i] == NULL)
            return error_detail(-EUCLEAN, "unknown field \"%.40s\"", key);
    }
    return 0;
}

static int
line_missing(const char *name, const char *expected)
{
    return error_detail(-EUCLEAN, "field \"%s\": %s expected", name, expected);
}

int
line_integer(const json_t *object, const char *name, int64_t least, int64_t most,
             int64_t *value)
{
    const json_t *field = json_object_get(object, name);
    json_int_t number;

    if (!json_is_integer(field))
        return line_missing(name, "an integer");
    number = json_integer_value(field);
    if (number < least || number > most)
        return error_detail(-EUCLEAN, "field \"%s\": %lld is out of range", name,
                            (long long)number);
    *value = number;
    return 0;
}

int
line_number(const json_t *object, const char *name, uint64_t most, bool required,
            uint64_t *value)
{
    int64_t number = 0;
    int result = 0;

    if (required || json_object_get(object, name) != NULL)
        result = line_integer(object, name, 0, (int64_t)most, &number);
    if (result == 0)
        *value = (uint64_t)number;
    return result;
}

int
line_string(const json_t *object, const char *name, const char **value)
{
    const json_t *field = json_object_get(object, name);

    if (!json_is_string(field))
        return line_missing(name, "a string");
    *value = json_string_value(field);
    return 0;
}

int
line_array(const json_t *object, const char *name, const json_t **array)
{
    const json_t *field = json_object_get(object, name);

    if (field != NULL && !json_is_array(field))
        return line_missing(name, "an array");
    *array = field;
    return 0;
}

int
line_bytes(const json_t *object, const char *name, size_t least, size_t most,
           struct keybuf *bytes)
{
    const json_t *field = json_object_get(object, name);
    size_t digits = json_string_length(field);
    const char *hex = json_string_value(field);

    if (hex == NULL || digits % 2 != 0 || digits / 2 < least || digits / 2 > most)
        return line_missing(name, "a string of hex digits of a valid length");
    bytes->size = 0;
    for (size_t i = 0; i < digits; i += 2) {
        int high = hex_value(hex[i]), low = hex_value(hex[i + 1]);
        uint8_t byte = (uint8_t)((unsigned)high << 4 | (unsigned)low);

        if (high < 0 || low < 0)
            return line_missing(name, "lower-case hex digits");
        if (keybuf_append(bytes, lsmkv_bytes(&byte, 1)) < 0)
            return -ENOMEM;
    }
    return 0;
}

json_t *
line_hex(struct lsmkv_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *data = bytes.data;
    char *hex = malloc(2 * bytes.size + 1);
    json_t *string;

    if (hex == NULL)
        return NULL;
    for (size_t i = 0; i < bytes.size; i++) {
        hex[2 * i] = digits[data[i] >> 4];
        hex[2 * i + 1] = digits[data[i] & 15];
    }
    string = json_stringn_nocheck(hex, 2 * bytes.size);
    free(hex);
    return string;
}
