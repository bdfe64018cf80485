/* print.c - records of named fields as text, hex or JSON lines; see print.h. */
#include "tools/print.h"

#include <inttypes.h>
#include <string.h>

#include "base/record.h"

/* ---- fields ---- */

void
print_begin(struct printer *printer, const char *type)
{
    if (printer->style == PRINT_JSON)
        fprintf(printer->out, "{\"type\":\"%s\"", type);
    else
        fputs(type, printer->out);
}

void
print_end(struct printer *printer)
{
    fputs(printer->style == PRINT_JSON ? "}\n" : "\n", printer->out);
}

static void
print_name(struct printer *printer, const char *name, const char *suffix)
{
    if (printer->style == PRINT_JSON)
        fprintf(printer->out, ",\"%s%s\":", name, suffix);
    else
        fprintf(printer->out, " %s=", name);
}

void
print_number(struct printer *printer, const char *name, uint64_t number)
{
    print_name(printer, name, "");
    fprintf(printer->out, "%" PRIu64, number);
}

void
print_signed(struct printer *printer, const char *name, int64_t number)
{
    print_name(printer, name, "");
    fprintf(printer->out, "%" PRId64, number);
}

void
print_fraction(struct printer *printer, const char *name, double number)
{
    print_name(printer, name, "");
    fprintf(printer->out, "%.4f", number);
}

void
print_word(struct printer *printer, const char *name, const char *word)
{
    print_name(printer, name, "");
    if (printer->style == PRINT_JSON)
        fprintf(printer->out, "\"%s\"", word);
    else
        fputs(word, printer->out);
}

void
print_bool(struct printer *printer, const char *name, bool value)
{
    print_name(printer, name, "");
    fputs(value ? "true" : "false", printer->out);
}

/* ---- bytes ---- */

/* The length of the UTF-8 sequence that `bytes` begins with, 0 if it is none: overlong
 * forms, surrogates and what lies beyond Unicode are none. */
static size_t
utf8_length(const uint8_t *bytes, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code;
    size_t length;

    if (bytes[0] < 0x80)
        return 1;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4)
        return 0;
    length = bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
    if (length > size)
        return 0;
    code = bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return length;
}

static bool
is_utf8(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t length = utf8_length(bytes + i, size - i);

        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

static void
print_hex(FILE *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        fputc(digits[bytes[i] >> 4], out);
        fputc(digits[bytes[i] & 15], out);
    }
}

/* The letter that stands for a byte after a backslash in both text and JSON, 0 if
 * none. */
static char
short_escape(uint8_t byte)
{
    switch (byte) {
    case '\n':
        return 'n';
    case '\t':
        return 't';
    case '"':
    case '\\':
        return (char)byte;
    default:
        return 0;
    }
}

/* Control characters, those of U+0080 to U+009F too: a terminal would obey them. */
static bool
is_control(const uint8_t *bytes, size_t length)
{
    if (length == 1)
        return bytes[0] < ' ' || bytes[0] == 0x7f;
    return length == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

/* Text: whatever is not printable byte by byte. */
static void
print_quoted(FILE *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t length = utf8_length(bytes + i, size - i);

        if (short_escape(bytes[i]) != 0) {
            fprintf(out, "\\%c", short_escape(bytes[i]));
        } else if (length == 0 || is_control(bytes + i, length)) {
            fprintf(out, "\\x%02x", bytes[i]);
            length = 1; /* what is left of a sequence is none, and follows the same way */
        } else {
            fwrite(bytes + i, 1, length, out);
        }
        i += length;
    }
}

/* Valid UTF-8: only what JSON does not allow inside a string is escaped. */
static void
print_json_string(FILE *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (short_escape(bytes[i]) != 0)
            fprintf(out, "\\%c", short_escape(bytes[i]));
        else if (is_control(bytes + i, 1))
            fprintf(out, "\\u%04x", bytes[i]);
        else
            fputc(bytes[i], out);
    }
}

void
print_bytes(struct printer *printer, const char *name, struct lsmkv_slice slice)
{
    const uint8_t *bytes = slice.data;

    print_name(printer, name, "");
    switch (printer->style) {
    case PRINT_TEXT:
        fputc('"', printer->out);
        print_quoted(printer->out, bytes, slice.size);
        fputc('"', printer->out);
        break;
    case PRINT_HEX:
        print_hex(printer->out, bytes, slice.size);
        break;
    case PRINT_JSON:
        fputc('"', printer->out);
        print_hex(printer->out, bytes, slice.size);
        fputc('"', printer->out);
        if (is_utf8(bytes, slice.size)) {
            print_name(printer, name, "_text");
            fputc('"', printer->out);
            print_json_string(printer->out, bytes, slice.size);
            fputc('"', printer->out);
        }
        break;
    }
}

const char *
print_kind_name(uint8_t kind)
{
    switch (kind) {
    case KIND_DELETE:
        return "delete";
    case KIND_PUT:
        return "put";
    case KIND_PUT_TIMED:
        return "put_timed";
    case KIND_PUT_STAMPED:
        return "put_stamped";
    case KIND_PUT | KIND_BLOB_BIT:
        return "put_blob";
    case KIND_PUT_TIMED | KIND_BLOB_BIT:
        return "put_timed_blob";
    case KIND_PUT_STAMPED | KIND_BLOB_BIT:
        return "put_stamped_blob";
    default:
        return "unknown";
    }
}

/* ---- back to bytes ---- */

static int
hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Parses what follows a backslash; NULL if it is no escape. */
static const char *
unescape_one(const char *in, char *out)
{
    switch (*in) {
    case 'n':
        *out = '\n';
        return in + 1;
    case 't':
        *out = '\t';
        return in + 1;
    case '"':
    case '\\':
        *out = *in;
        return in + 1;
    case 'x':
        if (hex_value(in[1]) < 0 || hex_value(in[2]) < 0)
            return NULL;
        *out = (char)(hex_value(in[1]) << 4 | hex_value(in[2]));
        return in + 3;
    default:
        return NULL;
    }
}

bool
print_unescape(char *text, size_t *size)
{
    const char *in = text;
    char *out = text;

    while (*in != '\0') {
        if (*in != '\\') {
            *out++ = *in++;
            continue;
        }
        in = unescape_one(in + 1, out++);
        if (in == NULL)
            return false;
    }
    *size = (size_t)(out - text);
    return true;
}

void
print_reference(struct printer *printer, struct lsmkv_slice bytes)
{
    struct blob_ref ref;

    if (blob_ref_decode(bytes, &ref) != 0)
        return; /* the record's decoding has looked at it */
    print_number(printer, "blob", ref.file);
    print_number(printer, "offset", ref.offset);
    print_number(printer, "bytes", ref.length);
    if (ref.pages > 0)
        print_number(printer, "pages", ref.pages);
    if (ref.packed > 0)
        print_number(printer, "packed_bytes", ref.packed);
    print_number(printer, "checksum", ref.checksum);
}
