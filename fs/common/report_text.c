/* report_text.c - see report_text.h. */
#include "common/report_text.h"

#include <stdlib.h>
#include <string.h>

/* The bytes of the character of UTF-8 that `text`, which is not empty, begins with; 0: it
 * begins with none. */
static size_t
report_character(const char *text)
{
    if ((unsigned char)*text < 0x80)
        return 1;
    for (size_t length = 2; length <= strnlen(text, 4); length++) {
        json_t *character = json_stringn(text, length);
        if (character) {
            json_decref(character);
            return length;
        }
    }
    return 0;
}

json_t *
report_text(const char *text)
{
    json_t *string = json_string(text);
    char *utf8 = string ? NULL : strdup(text);
    if (!utf8)
        return string;
    for (char *at = utf8; *at;) {
        size_t length = report_character(at);
        if (length == 0)
            *at = '?';
        at += length > 0 ? length : 1;
    }
    string = json_string(utf8);
    free(utf8);
    return string;
}

void
report_quoted(FILE *out, const char *text)
{
    while (*text) {
        size_t length = report_character(text);
        unsigned char first = (unsigned char)*text;

        /* Those of C1 are two bytes, 0xc2 and one below 0xa0. */
        if (length > 0 && first >= 0x20 && first != 0x7f && first != '\\' &&
            (first != 0xc2 || (unsigned char)text[1] >= 0xa0)) {
            fprintf(out, "%.*s", (int)length, text);
            text += length;
        } else {
            fprintf(out, "\\%03o", first);
            text++;
        }
    }
}
