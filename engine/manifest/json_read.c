/*
 * json_read.c - see json_read.h.
 *
 * Recursive descent, one function a rule of the grammar of RFC 8259.  Each moves `at`
 * behind what it took, and gives NULL with `result` set for what it could not.
 */
#include "manifest/json_read.h"

#include <errno.h>
#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"

#define DEPTH_MAX 16u

struct reader {
    const char *text;
    size_t size, at;
    char *space; /* as much as is left of the text, and a byte */
    unsigned depth;
    int result; /* 0 until something failed */
};

static json_t *read_value(struct reader *reader);

static void *
fail(struct reader *reader, const char *what)
{
    if (reader->result == 0)
        reader->result =
            error_detail(-EUCLEAN, "not a JSON object: %s at byte %zu", what, reader->at);
    return NULL;
}

static void *
no_memory(struct reader *reader)
{
    if (reader->result == 0)
        reader->result = -ENOMEM;
    return NULL;
}

/* The next character that is no white space; NUL: none is left, or that is one. */
static char
peek(struct reader *reader)
{
    while (reader->at < reader->size && strchr(" \t\r\n", reader->text[reader->at]) &&
           reader->text[reader->at] != '\0')
        reader->at++;
    return reader->at < reader->size ? reader->text[reader->at] : '\0';
}

static bool
take(struct reader *reader, char expected)
{
    if (peek(reader) != expected)
        return false;
    reader->at++;
    return true;
}

/* ---- strings ---- */

static int
hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The four digits of \uXXXX; -1: they are not there. */
static int
read_unit(struct reader *reader)
{
    int unit = 0;

    for (int i = 0; i < 4; i++) {
        int digit = reader->at < reader->size ? hex_digit(reader->text[reader->at]) : -1;

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
        reader->at++;
    }
    return unit;
}

/* The character of \u, two of them for one beyond 16 bits; 0: none that is allowed. */
static uint32_t
read_escaped_unit(struct reader *reader)
{
    int high = read_unit(reader), low;

    if (high < 0xd800 || high > 0xdfff)
        return high < 0 ? 0 : (uint32_t)high;
    if (high > 0xdbff || reader->size - reader->at < 2 ||
        memcmp(reader->text + reader->at, "\\u", 2) != 0)
        return 0;
    reader->at += 2;
    low = read_unit(reader);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    return 0x10000 + ((uint32_t)(high - 0xd800) << 10 | (uint32_t)(low - 0xdc00));
}

static size_t
put_utf8(char *out, uint32_t character)
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xc0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char)(0xe0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3f));
        out[2] = (char)(0x80 | (character & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | character >> 18);
    out[1] = (char)(0x80 | (character >> 12 & 0x3f));
    out[2] = (char)(0x80 | (character >> 6 & 0x3f));
    out[3] = (char)(0x80 | (character & 0x3f));
    return 4;
}

/* Behind a backslash; returns the bytes put, 0 if it is none that is allowed. */
static size_t
read_escape(struct reader *reader, char *out)
{
    static const char escapes[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    char escape = reader->at < reader->size ? reader->text[reader->at++] : '\0';
    const char *found = escape != '\0' ? strchr(escapes, escape) : NULL;
    uint32_t character;

    if (found != NULL) {
        *out = means[found - escapes];
        return 1;
    }
    character = escape == 'u' ? read_escaped_unit(reader) : 0;
    return character != 0 ? put_utf8(out, character) : 0;
}

/* A string's bytes and a NUL, in the reader's space: they are fewer than its text has. */
static const char *
read_text(struct reader *reader, size_t *size)
{
    char *out = reader->space;
    size_t used = 0;

    if (!take(reader, '"'))
        return fail(reader, "a string expected");
    while (reader->at < reader->size && reader->text[reader->at] != '"') {
        char byte = reader->text[reader->at++];
        size_t put = 1;

        if (byte == '\\')
            put = read_escape(reader, out + used);
        else if ((unsigned char)byte >= 0x20)
            out[used] = byte;
        else
            put = 0;
        if (put == 0)
            return fail(reader, "a character that no string has");
        used += put;
    }
    if (reader->at == reader->size)
        return fail(reader, "a string without its end");
    reader->at++;
    out[used] = '\0';
    reader->space += used + 1;
    *size = used;
    return out;
}

static json_t *
read_string(struct reader *reader)
{
    size_t size;
    const char *text = read_text(reader, &size);
    json_t *string = text != NULL ? json_stringn_nocheck(text, size) : NULL;

    return string != NULL ? string : no_memory(reader);
}

/* ---- the others ---- */

static size_t
count_digits(const struct reader *reader, size_t at)
{
    size_t count = 0;

    while (at + count < reader->size && reader->text[at + count] >= '0' &&
           reader->text[at + count] <= '9')
        count++;
    return count;
}

/* Behind the integer part: how many characters make it a fraction; 0: none. */
static size_t
count_fraction(const struct reader *reader, size_t at)
{
    size_t begin = at, digits;

    if (at < reader->size && reader->text[at] == '.') {
        digits = count_digits(reader, at + 1);
        if (digits == 0)
            return 0;
        at += 1 + digits;
    }
    if (at < reader->size && (reader->text[at] | 0x20) == 'e') {
        size_t sign =
            at + 1 < reader->size && memchr("+-", reader->text[at + 1], 2) != NULL;

        digits = count_digits(reader, at + 1 + sign);
        if (digits > 0)
            at += 1 + sign + digits;
    }
    return at - begin;
}

static json_t *
read_number(struct reader *reader)
{
    size_t begin = reader->at, sign = reader->text[begin] == '-';
    size_t digits = count_digits(reader, begin + sign), fraction;
    char *out = reader->space; /* stays unused: a copy with a NUL is wanted */
    json_t *number;

    if (digits == 0 || (digits > 1 && reader->text[begin + sign] == '0'))
        return fail(reader, "a bad number");
    fraction = count_fraction(reader, begin + sign + digits);
    reader->at = begin + sign + digits + fraction;
    memcpy(out, reader->text + begin, reader->at - begin);
    out[reader->at - begin] = '\0';
    errno = 0;
    if (fraction > 0) {
        double real = strtod(out, NULL);

        if (real > DBL_MAX || real < -DBL_MAX)
            return fail(reader, "too large a number");
        number = json_real(real);
    } else {
        long long integer = strtoll(out, NULL, 10);

        if (errno == ERANGE)
            return fail(reader, "too large a number");
        number = json_integer(integer);
    }
    return number != NULL ? number : no_memory(reader);
}

static bool
take_word(struct reader *reader, const char *word)
{
    size_t size = strlen(word);

    if (reader->size - reader->at < size ||
        memcmp(reader->text + reader->at, word, size) != 0)
        return false;
    reader->at += size;
    return true;
}

static json_t *
read_list(struct reader *reader)
{
    json_t *list = json_array();
    bool more = list != NULL;

    if (list == NULL)
        return no_memory(reader);
    reader->at++;
    if (take(reader, ']'))
        return list;
    while (more) {
        json_t *value = read_value(reader);

        if (value == NULL)
            goto bad;
        if (json_array_append_new(list, value) != 0) {
            no_memory(reader);
            goto bad;
        }
        more = take(reader, ',');
    }
    if (take(reader, ']'))
        return list;
    fail(reader, "']' or ',' expected");
bad:
    json_decref(list);
    return NULL;
}

/* One key and its value into `object`. */
static bool
read_member(struct reader *reader, json_t *object)
{
    size_t size;
    const char *key =
        peek(reader) == '"' ? read_text(reader, &size) : fail(reader, "a key expected");
    json_t *value;

    if (key == NULL)
        return false;
    if (json_object_get(object, key) != NULL) {
        fail(reader, "a key that stands twice");
        return false;
    }
    if (!take(reader, ':')) {
        fail(reader, "':' expected");
        return false;
    }
    value = read_value(reader);
    if (value == NULL)
        return false;
    if (json_object_set_new_nocheck(object, key, value) != 0) {
        no_memory(reader);
        return false;
    }
    return true;
}

static json_t *
read_object(struct reader *reader)
{
    json_t *object = json_object();

    if (object == NULL)
        return no_memory(reader);
    reader->at++;
    if (take(reader, '}'))
        return object;
    do {
        if (!read_member(reader, object))
            goto bad;
    } while (take(reader, ','));
    if (take(reader, '}'))
        return object;
    fail(reader, "'}' or ',' expected");
bad:
    json_decref(object);
    return NULL;
}

static json_t *
read_value(struct reader *reader)
{
    char first = peek(reader);
    json_t *value;

    if (reader->depth == DEPTH_MAX)
        return fail(reader, "too deep");
    reader->depth++;
    if (first == '{')
        value = read_object(reader);
    else if (first == '[')
        value = read_list(reader);
    else if (first == '"')
        value = read_string(reader);
    else if (first == '-' || (first >= '0' && first <= '9'))
        value = read_number(reader);
    else if (take_word(reader, "true"))
        value = json_true();
    else if (take_word(reader, "false"))
        value = json_false();
    else if (take_word(reader, "null"))
        value = json_null();
    else
        value = fail(reader, "a value expected");
    reader->depth--;
    return value;
}

int
json_read(const char *text, size_t size, json_t **out)
{
    struct reader reader = {.text = text, .size = size};
    char *space = malloc(size + 1);
    json_t *object = NULL;

    if (space == NULL)
        return -ENOMEM;
    reader.space = space;
    if (peek(&reader) == '{')
        object = read_object(&reader);
    else
        fail(&reader, "another type");
    if (object != NULL && (peek(&reader) != '\0' || reader.at < reader.size)) {
        json_decref(object);
        object = fail(&reader, "something follows it");
    }
    free(space);
    if (object == NULL)
        return reader.result;
    *out = object;
    return 0;
}
