/* common.c - see common.h. */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t
tally_check(const struct tally *tally)
{
    return tally->sum ^ tally->entries << 32;
}

void
die(const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\n", stderr);
    exit(1);
}

void *
need(size_t size)
{
    void *memory = malloc(size);

    if (memory == NULL)
        die("no memory");
    return memory;
}

bool
parse_number(const char *text, double least, double most, double *number)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        fprintf(stderr, "%s: %s: a number from %g to %g is wanted\n",
                program_invocation_short_name, text, least, most);
        return false;
    }
    *number = value;
    return true;
}

bool
names_it(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (; text != NULL; text = strchr(text, ',')) {
        text += *text == ',';
        if (strncmp(text, name, length) == 0 &&
            (text[length] == ',' || text[length] == '\0'))
            return true;
    }
    return false;
}

bool
is_chosen(char **names, const char *name)
{
    if (*names == NULL)
        return true;
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}
