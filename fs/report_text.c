/* report_text.c - see report_text.h. */
#include "report_text.h"

#include <stdlib.h>
#include <string.h>

size_t
report_character(const char *text)
{
    for (size_t length = 1; length <= strnlen(text, 4); length++) {
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
