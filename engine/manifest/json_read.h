/*
 * json_read.h - the text of a JSON object as jansson's values.
 *
 * Not jansson's own reader: when memory for its token buffer is not to be had, that drops
 * a byte of the token and goes on, so that a good line reads as a damaged one or, worse,
 * as another; and it may write past the token's copy.  Here a failed allocation is
 * -ENOMEM, and nothing else.
 */
#ifndef MANIFEST_JSON_READ_H
#define MANIFEST_JSON_READ_H

#include <jansson.h>
#include <stddef.h>

#include "lsmkv.h"

/* An object, json_decref it.  -EUCLEAN: it is not one, with the offset in error_detail:
 * the text is no JSON, or another type, has a key twice, a NUL in a string, a number
 * beyond 64 bits or lists and objects more than 16 deep.  UTF-8 is not checked.
 * -ENOMEM. */
int LSMKV_CHECKED json_read(const char *text, size_t size, json_t **object);

#endif
