/*
 * report_text.h - strings that may be any bytes, where only UTF-8 may stand.
 */
#ifndef FS_REPORT_TEXT_H
#define FS_REPORT_TEXT_H

#include <jansson.h>
#include <stdio.h>

/* Names and damaged bytes may be no UTF-8, which JSON must be: a byte that is of no
 * character is '?'. */
json_t *report_text(const char *text);
/* Prints it for people, as the table of mounts writes it: what is no character, what a
 * terminal obeys, and a backslash is \OOO, its byte in octal digits. */
void report_quoted(FILE *out, const char *text);

#endif
