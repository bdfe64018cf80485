/* report_text.c - see report_text.h. */
#include "report_text.h"

#include <stdlib.h>
#include <string.h>

json_t *
report_text(const char *text)
{
    json_t *string = json_string(text);
    char *ascii = string ? NULL : strdup(text);
    if (!ascii)
        return string;
    for (char *at = ascii; *at; at++)
        *at = (unsigned char)*at < 0x80 ? *at : '?';
    string = json_string(ascii);
    free(ascii);
    return string;
}
