/*
 * json_line.h - the checksummed JSON lines that MANIFEST and CLOSED consist of.
 *
 *     a JSON object, compact, on one line
 *     a tab
 *     CRC32C of the object's bytes, 8 lower-case hex digits
 *     a newline
 *
 * Reading trusts nothing: every function below names in error_detail what it did not
 * find.
 */
#ifndef MANIFEST_JSON_LINE_H
#define MANIFEST_JSON_LINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"

/* Tab, checksum, newline. */
#define LINE_SUFFIX_SIZE 10u

/* The object as a line, newline included; the caller frees it.  -ENOMEM. */
int LSMKV_CHECKED line_seal(const json_t *object, char **line, size_t *size);
/* The object of a line given without its newline; json_decref it.  -EBADMSG: the checksum
 * is not there or does not match; -EUCLEAN: not a JSON object; -ENOMEM. */
int LSMKV_CHECKED line_unseal(const char *line, size_t size, json_t **object);

/* Whether all of the object's keys are among `known`, which ends with NULL.  -EUCLEAN. */
int LSMKV_CHECKED line_only(json_t *object, const char *const *known);
/* An integer field within [least, most].  A missing one is -EUCLEAN. */
int LSMKV_CHECKED line_integer(const json_t *object, const char *name, int64_t least,
                               int64_t most, int64_t *value);
/* As line_integer from 0 upwards; 0 if the field is missing and not `required`. */
int LSMKV_CHECKED line_number(const json_t *object, const char *name, uint64_t most,
                              bool required, uint64_t *value);
/* A string field; borrowed from the object.  -EUCLEAN if missing. */
int LSMKV_CHECKED line_string(const json_t *object, const char *name, const char **value);
/* The bytes that a string field names in hex; at least `least`, at most `most` of
 * them. */
int LSMKV_CHECKED line_bytes(const json_t *object, const char *name, size_t least,
                             size_t most, struct keybuf *bytes);
/* An array field, borrowed, or NULL if it is missing. */
int LSMKV_CHECKED line_array(const json_t *object, const char *name,
                             const json_t **array);

/* The hex string of some bytes; NULL: no memory. */
json_t *line_hex(struct lsmkv_slice bytes);

#endif
