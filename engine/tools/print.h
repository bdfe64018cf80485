/*
 * print.h - how the dump tools print: one record a line, of named fields, in one of three
 * styles.
 *
 *     text   entry key="a/b\n" sequence=5 kind=put value="x"
 *     hex    entry key=612f620a sequence=5 kind=put value=78
 *     json   {"type":"entry","key":"612f620a","key_text":"a/b\n","sequence":5,...}
 *
 * In text, bytes that are no printable UTF-8 stand as \xNN, and \n, \t, \" and \\ as in
 * C.  In JSON, bytes are a hex string, and beside it under NAME_text the same as a string
 * if they are valid UTF-8.
 */
#ifndef TOOLS_PRINT_H
#define TOOLS_PRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lsmkv.h"

enum print_style { PRINT_TEXT, PRINT_HEX, PRINT_JSON };

struct printer {
    FILE *out;
    enum print_style style;
};

void print_begin(struct printer *printer, const char *type);
void print_end(struct printer *printer);

/* Fields, between the two.  Names and words are plain identifiers of ours. */
void print_number(struct printer *printer, const char *name, uint64_t number);
void print_signed(struct printer *printer, const char *name, int64_t number);
void print_fraction(struct printer *printer, const char *name, double number);
void print_word(struct printer *printer, const char *name, const char *word);
void print_bool(struct printer *printer, const char *name, bool value);
void print_bytes(struct printer *printer, const char *name, struct lsmkv_slice bytes);
/* The fields of a value's reference, which are those of base/record.h. */
void print_reference(struct printer *printer, struct lsmkv_slice bytes);

/* The name of an entry's kind, as base/key.h has them, "unknown" for others. */
const char *print_kind_name(uint8_t kind);

/* Turns the escapes of the text style back into bytes, in place.  False: a bad escape. */
bool print_unescape(char *text, size_t *size);

#endif
