/* edit_json.h - manifest edits to and from JSON objects.  The fields stand in
 * edit_json.c. */
#ifndef MANIFEST_EDIT_JSON_H
#define MANIFEST_EDIT_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "manifest/manifest.h"

/* What the first line says beside its edit. */
struct manifest_header {
    uint64_t number;
    bool lenient; /* a compatible feature unknown here is in use: unknown fields are
                  * passed */
    char unknown[MANIFEST_FEATURES]; /* as manifest_edit's unknown_features */
    bool names_all;                  /* likewise */
};

/* The object of a line; `header` is NULL but for the first.  -ENOMEM. */
int LSMKV_CHECKED edit_to_json(const struct manifest_header *header,
                               const struct manifest_edit *edit, json_t **object);

/* The header in a first line.  -EUCLEAN: it is none; -ENOTSUP: a format or an
 * incompatible feature that this version does not know.  The reason is in
 * error_detail. */
int LSMKV_CHECKED header_from_json(const json_t *object, struct manifest_header *header);
/* The edit in a line (with `first`, beside the header); `edit` is zeroed, and on failure
 * to be freed all the same.  -EUCLEAN, -ENOTSUP, -ENOMEM. */
int LSMKV_CHECKED edit_from_json(json_t *object, const struct manifest_header *header,
                                 bool first, struct manifest_edit *edit);

#endif
