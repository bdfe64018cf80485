/*
 * edit_json.c - the fields of a manifest line.
 *
 * Every line is an object of these fields; an absent number is 0 and an absent list empty.
 * Numbers are exact (64-bit integers, never floating point).  "hex" is a string of lower-case
 * hex digits, two a byte.
 *
 *     field              type     meaning
 *     format             string   "lsmkv-manifest"                   | the first line only,
 *     version            number   1                                  | and there required
 *     compatible         strings  features one may ignore            |
 *     read_only_compatible                                           |
 *                        strings  features who only reads may ignore |
 *     incompatible       strings  features one must know             |
 *     manifest           number   of this file, for CLOSED           |
 *     next_file          number   file numbers from here on are unused
 *     oldest_log         number   logs below it are replaced by tables
 *     last_sequence      number   published when the line was written
 *     next_keyspace      number   keyspace ids from here on are unused
 *     next_snapshot      number   snapshot ids from here on are unused
 *     keyspaces          objects  created: id, name (hex), text, order ("bytes" or "path"); if
 *                                 its tables are compressed, compression ("lz4")
 *     removed            objects  tables: keyspace (id), level, table (file number)
 *     added              objects  tables: keyspace, level, table, size (bytes), entries,
 *                                 tombstones, smallest_sequence, largest_sequence,
 *                                 smallest, largest (internal keys, hex); if it refers to
 *                                 blob files, blobs: objects of blob (file number), bytes
 *                                 (of its records referred to), size (of the file), by blob
 *     dropped_keyspaces  numbers  ids; their tables go with them
 *     snapshots          objects  created, or by its id renamed: id, name (hex), text,
 *                                 sequence, time (nanoseconds since 1970)
 *     dropped_snapshots  numbers  ids
 *
 * `text` repeats a name for human eyes where it is UTF-8; it is not read.
 *
 * A first line with tables that have `blobs` names the incompatible feature "blobs".  A version
 * that does not know it refuses the store, and so it does at a later line with such a table.  A
 * first line with a keyspace that has `compression` names "lz4" and "packed", and so does one before
 * any later line with such a keyspace (M5): blocks of its tables may be compressed, and values of its
 * blob files.  Each that this version writes names "pages": blob files may have values in pages
 * (table/blob.h).
 *
 * This version writes no feature of the two others.  One that it does not know: of `compatible`, it is
 * lost at the next roll; of `read_only_compatible`, the store is opened to be read and not to be written
 * (manifest_check_features).  Versions before `read_only_compatible` refuse a store that has it
 * as damaged, which is safe; such a feature is never named in `compatible` as well, for they
 * would write to the store.  An unknown field is an error, unless one of these two names a feature that
 * this version does not know: then it is passed over.
 */
#include "manifest/edit_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/report.h"
#include "manifest/json_line.h"

#define FORMAT_NAME    "lsmkv-manifest"
#define FORMAT_VERSION 1
#define FEATURE_BLOBS  "blobs"
#define FEATURE_LZ4    "lz4"
#define FEATURE_PAGES  "pages"
#define FEATURE_PACKED "packed"
#define NUMBER_MAX     ((uint64_t)INT64_MAX - 1) /* so that the one after it still fits */
#define KEYSPACE_MAX   (UINT32_MAX - 1)

#define COMPATIBLE           "compatible"
#define READ_ONLY_COMPATIBLE "read_only_compatible"
#define INCOMPATIBLE         "incompatible"

static const char *const header_fields[] = {
    "format", "version", COMPATIBLE, READ_ONLY_COMPATIBLE, INCOMPATIBLE, "manifest"};
static const char *const edit_fields[] = {
    "next_file",         "oldest_log", "last_sequence",     "next_keyspace",
    "next_snapshot",     "keyspaces",  "removed",           "added",
    "dropped_keyspaces", "snapshots",  "dropped_snapshots", NULL};
static const char *const keyspace_fields[] = {"id",    "name",        "text",
                                              "order", "compression", NULL};
static const char *const removed_fields[] = {"keyspace", "level", "table", NULL};
static const char *const added_fields[] = {"keyspace",
                                           "level",
                                           "table",
                                           "size",
                                           "entries",
                                           "tombstones",
                                           "smallest_sequence",
                                           "largest_sequence",
                                           "smallest",
                                           "largest",
                                           "blobs",
                                           NULL};
static const char *const blob_fields[] = {"blob", "bytes", "size", NULL};
static const char *const snapshot_fields[] = {"id",       "name", "text",
                                              "sequence", "time", NULL};

/* ---- writing ---- */

/* An object being built; `failed` is looked at once, at the end. */
struct builder {
    json_t *object;
    bool failed;
};

static struct builder
builder_new(void)
{
    struct builder builder = {json_object(), false};

    builder.failed = builder.object == NULL;
    return builder;
}

static void
build_value(struct builder *builder, const char *name, json_t *value)
{
    if (builder->failed)
        json_decref(value);
    else if (json_object_set_new(builder->object, name, value) != 0)
        builder->failed = true;
}

static void
build_number(struct builder *builder, const char *name, uint64_t value)
{
    build_value(builder, name, json_integer((json_int_t)value));
}

/* As build_number, left out when 0. */
static void
build_number_if(struct builder *builder, const char *name, uint64_t value)
{
    if (value != 0)
        build_number(builder, name, value);
}

static void
build_hex(struct builder *builder, const char *name, struct lsmkv_slice bytes)
{
    build_value(builder, name, line_hex(bytes));
}

static void
build_name(struct builder *builder, const char *name)
{
    json_t *text = json_string(name); /* NULL if it is not UTF-8 */

    build_hex(builder, "name", lsmkv_str(name));
    if (text != NULL)
        build_value(builder, "text", text);
}

static json_t *
builder_end(struct builder *builder)
{
    if (builder->failed) {
        json_decref(builder->object);
        return NULL;
    }
    return builder->object;
}

/* The list `name` of `count` elements, each made by `element`; left out when empty. */
static void
build_list(struct builder *builder, const char *name, const struct manifest_edit *edit,
           size_t count,
           json_t *(*element)(const struct manifest_edit *edit, size_t index))
{
    json_t *list;

    if (count == 0)
        return;
    list = json_array();
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (json_array_append_new(list, element(edit, i)) != 0)
            builder->failed = true;
    }
    build_value(builder, name, list);
}

static json_t *
keyspace_to_json(const struct manifest_edit *edit, size_t index)
{
    const struct edit_keyspace *keyspace = &edit->keyspaces[index];
    struct builder builder = builder_new();

    build_number(&builder, "id", keyspace->id);
    build_name(&builder, keyspace->name);
    build_value(&builder, "order",
                json_string(keyspace->order == LSMKV_ORDER_PATH ? "path" : "bytes"));
    if (keyspace->compression == LSMKV_COMPRESSION_LZ4)
        build_value(&builder, "compression", json_string("lz4"));
    return builder_end(&builder);
}

static void
build_place(struct builder *builder, const struct edit_table *table)
{
    build_number(builder, "keyspace", table->keyspace);
    build_number(builder, "level", (uint64_t)table->level);
    build_number(builder, "table", table->meta.number);
}

static json_t *
removed_to_json(const struct manifest_edit *edit, size_t index)
{
    struct builder builder = builder_new();

    build_place(&builder, &edit->removed[index]);
    return builder_end(&builder);
}

static json_t *
blob_to_json(const struct table_blob *blob)
{
    struct builder builder = builder_new();

    build_number(&builder, "blob", blob->number);
    build_number(&builder, "bytes", blob->bytes);
    build_number(&builder, "size", blob->size);
    return builder_end(&builder);
}

static json_t *
blobs_to_json(const struct table_meta *meta)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < meta->blob_count; i++) {
        if (json_array_append_new(list, blob_to_json(&meta->blobs[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* What a reader of these tables and keyspaces must know. */
static json_t *
features_to_json(const struct manifest_edit *edit)
{
    json_t *list = json_array();
    bool has_blobs = false, has_lz4 = edit->names_lz4;

    for (size_t i = 0; i < edit->added_count; i++)
        has_blobs = has_blobs || edit->added[i].meta.blob_count > 0;
    for (size_t i = 0; i < edit->keyspace_count; i++)
        has_lz4 = has_lz4 || edit->keyspaces[i].compression == LSMKV_COMPRESSION_LZ4;
    if (list != NULL &&
        ((has_blobs && json_array_append_new(list, json_string(FEATURE_BLOBS)) != 0) ||
         (has_lz4 && (json_array_append_new(list, json_string(FEATURE_LZ4)) != 0 ||
                      json_array_append_new(list, json_string(FEATURE_PACKED)) != 0)) ||
         json_array_append_new(list, json_string(FEATURE_PAGES)) != 0)) {
        json_decref(list);
        list = NULL;
    }
    return list;
}

static json_t *
added_to_json(const struct manifest_edit *edit, size_t index)
{
    const struct table_meta *meta = &edit->added[index].meta;
    struct builder builder = builder_new();

    build_place(&builder, &edit->added[index]);
    build_number(&builder, "size", meta->size);
    build_number(&builder, "entries", meta->entries);
    build_number(&builder, "tombstones", meta->tombstones);
    build_number(&builder, "smallest_sequence", meta->smallest_sequence);
    build_number(&builder, "largest_sequence", meta->largest_sequence);
    build_hex(&builder, "smallest", keybuf_slice(&meta->smallest));
    build_hex(&builder, "largest", keybuf_slice(&meta->largest));
    if (meta->blob_count > 0)
        build_value(&builder, "blobs", blobs_to_json(meta));
    return builder_end(&builder);
}

static json_t *
snapshot_to_json(const struct manifest_edit *edit, size_t index)
{
    const struct lsmkv_snapshot_info *snapshot = &edit->snapshots[index];
    struct builder builder = builder_new();

    build_number(&builder, "id", snapshot->id);
    build_name(&builder, snapshot->name);
    build_number(&builder, "sequence", snapshot->sequence);
    build_value(&builder, "time", json_integer(snapshot->time));
    return builder_end(&builder);
}

static json_t *
dropped_keyspace_to_json(const struct manifest_edit *edit, size_t index)
{
    return json_integer(edit->dropped_keyspaces[index]);
}

static json_t *
dropped_snapshot_to_json(const struct manifest_edit *edit, size_t index)
{
    return json_integer((json_int_t)edit->dropped_snapshots[index]);
}

int
edit_to_json(const struct manifest_header *header, const struct manifest_edit *edit,
             json_t **object)
{
    struct builder builder = builder_new();

    if (header != NULL) {
        build_value(&builder, "format", json_string(FORMAT_NAME));
        build_number(&builder, "version", FORMAT_VERSION);
        build_value(&builder, COMPATIBLE, json_array());
        build_value(&builder, INCOMPATIBLE, features_to_json(edit));
        build_number(&builder, "manifest", header->number);
    }
    build_number_if(&builder, "next_file", edit->next_file);
    build_number_if(&builder, "oldest_log", edit->oldest_log);
    build_number_if(&builder, "last_sequence", edit->last_sequence);
    build_number_if(&builder, "next_keyspace", edit->next_keyspace);
    build_number_if(&builder, "next_snapshot", edit->next_snapshot);
    build_list(&builder, "keyspaces", edit, edit->keyspace_count, keyspace_to_json);
    build_list(&builder, "removed", edit, edit->removed_count, removed_to_json);
    build_list(&builder, "added", edit, edit->added_count, added_to_json);
    build_list(&builder, "dropped_keyspaces", edit, edit->dropped_keyspace_count,
               dropped_keyspace_to_json);
    build_list(&builder, "snapshots", edit, edit->snapshot_count, snapshot_to_json);
    build_list(&builder, "dropped_snapshots", edit, edit->dropped_snapshot_count,
               dropped_snapshot_to_json);
    *object = builder_end(&builder);
    return *object == NULL ? -ENOMEM : 0;
}

/* ---- reading ---- */

/* Puts a name behind those that are in `text`, quoted; what has no room is cut. */
static void
add_feature(char text[MANIFEST_FEATURES], const char *name)
{
    size_t used = strlen(text);

    snprintf(text + used, MANIFEST_FEATURES - used, "%s\"%.40s\"", used > 0 ? ", " : "",
             name);
}

/* Of a list of features those that are not known here; "": all are. */
static int
unknown_features(const json_t *object, const char *list_name,
                 char text[MANIFEST_FEATURES])
{
    const json_t *list;
    int result = line_array(object, list_name, &list);

    text[0] = '\0';
    for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name == NULL)
            result = error_detail(-EUCLEAN, "field \"%s\": strings expected", list_name);
        else if (strcmp(name, FEATURE_BLOBS) != 0 && strcmp(name, FEATURE_LZ4) != 0 &&
                 strcmp(name, FEATURE_PAGES) != 0 && strcmp(name, FEATURE_PACKED) != 0)
            add_feature(text, name);
    }
    return result;
}

static bool
names(const json_t *object, const char *feature)
{
    const json_t *list = json_object_get(object, INCOMPATIBLE);
    bool found = false;

    for (size_t i = 0; i < json_array_size(list) && !found; i++)
        found = strcmp(json_string_value(json_array_get(list, i)), feature) == 0;
    return found;
}

static bool
names_all(const json_t *object)
{
    return names(object, FEATURE_PAGES) &&
           (!names(object, FEATURE_LZ4) || names(object, FEATURE_PACKED));
}

static int
features_from_json(const json_t *object, struct manifest_header *header)
{
    char text[MANIFEST_FEATURES];
    int result = unknown_features(object, INCOMPATIBLE, text);

    if (result == 0 && text[0] != '\0')
        result = error_detail(-ENOTSUP, "the store needs feature %s", text);
    if (result == 0)
        result = unknown_features(object, READ_ONLY_COMPATIBLE, header->unknown);
    if (result == 0)
        result = unknown_features(object, COMPATIBLE, text);
    header->names_all = result == 0 && names_all(object);
    header->lenient = result == 0 && (text[0] != '\0' || header->unknown[0] != '\0');
    return result;
}

int
header_from_json(const json_t *object, struct manifest_header *header)
{
    const char *format;
    uint64_t version, number;
    int result = line_string(object, "format", &format);

    if (result == 0 && strcmp(format, FORMAT_NAME) != 0)
        result =
            error_detail(-EUCLEAN, "the format is \"%.40s\", not " FORMAT_NAME, format);
    if (result == 0)
        result = line_number(object, "version", NUMBER_MAX, true, &version);
    if (result == 0 && version != FORMAT_VERSION)
        result = error_detail(-ENOTSUP, "version %llu of the format is not known",
                              (unsigned long long)version);
    if (result == 0)
        result = features_from_json(object, header);
    if (result == 0)
        result = line_number(object, "manifest", NUMBER_MAX, true, &number);
    if (result == 0)
        header->number = number;
    return result;
}

/* An element of a list, with what it is to become part of. */
struct element {
    json_t *object;
    bool lenient;
    struct manifest_edit *edit;
};

static int
element_only(const struct element *element, const char *const *known)
{
    return element->lenient ? 0 : line_only(element->object, known);
}

/* A name of 1 to LSMKV_NAME_MAX bytes without NUL. */
static int
name_from_json(const json_t *object, char *name)
{
    struct keybuf bytes = {0};
    int result = line_bytes(object, "name", 1, LSMKV_NAME_MAX, &bytes);

    if (result == 0 && memchr(bytes.data, '\0', bytes.size) != NULL)
        result = error_detail(-EUCLEAN, "field \"name\": a NUL is in it");
    if (result == 0) {
        memcpy(name, bytes.data, bytes.size);
        name[bytes.size] = '\0';
    }
    keybuf_fini(&bytes);
    return result;
}

/* 0 too if there is none, which is none. */
static int
compression_from_json(const json_t *object, enum lsmkv_compression *compression)
{
    const char *name;
    int result;

    if (json_object_get(object, "compression") == NULL)
        return 0;
    result = line_string(object, "compression", &name);
    if (result == 0 && strcmp(name, "lz4") != 0)
        result = error_detail(-EUCLEAN, "the compression \"%.40s\" is not known", name);
    if (result == 0)
        *compression = LSMKV_COMPRESSION_LZ4;
    return result;
}

static int
keyspace_from_json(const struct element *element)
{
    struct edit_keyspace keyspace = {0};
    const char *order;
    uint64_t id;
    int result = element_only(element, keyspace_fields);

    if (result == 0)
        result = line_number(element->object, "id", KEYSPACE_MAX, true, &id);
    if (result == 0)
        result = name_from_json(element->object, keyspace.name);
    if (result == 0)
        result = line_string(element->object, "order", &order);
    if (result == 0)
        result = compression_from_json(element->object, &keyspace.compression);
    if (result < 0)
        return result;
    if (strcmp(order, "path") == 0)
        keyspace.order = LSMKV_ORDER_PATH;
    else if (strcmp(order, "bytes") != 0)
        return error_detail(-EUCLEAN, "the order \"%.40s\" is not known", order);
    keyspace.id = (uint32_t)id;
    return manifest_edit_keyspace(element->edit, &keyspace);
}

static int
place_from_json(const json_t *object, uint32_t *keyspace, int *level, uint64_t *number)
{
    uint64_t id, depth;
    int result = line_number(object, "keyspace", KEYSPACE_MAX, true, &id);

    if (result == 0)
        result = line_number(object, "level", LEVEL_COUNT - 1, true, &depth);
    if (result == 0)
        result = line_number(object, "table", NUMBER_MAX, true, number);
    if (result < 0)
        return result;
    *keyspace = (uint32_t)id;
    *level = (int)depth;
    return 0;
}

static int
removed_from_json(const struct element *element)
{
    uint32_t keyspace;
    uint64_t number;
    int level;
    int result = element_only(element, removed_fields);

    if (result == 0)
        result = place_from_json(element->object, &keyspace, &level, &number);
    return result < 0 ? result
                      : manifest_edit_remove(element->edit, keyspace, level, number);
}

static int
meta_from_json(const json_t *object, struct table_meta *meta)
{
    const size_t longest = LSMKV_KEY_MAX + KEY_TRAILER_SIZE;
    int result = line_number(object, "size", NUMBER_MAX, true, &meta->size);

    if (result == 0)
        result = line_number(object, "entries", NUMBER_MAX, true, &meta->entries);
    if (result == 0)
        result = line_number(object, "tombstones", NUMBER_MAX, true, &meta->tombstones);
    if (result == 0)
        result = line_number(object, "smallest_sequence", SEQUENCE_MAX, true,
                             &meta->smallest_sequence);
    if (result == 0)
        result = line_number(object, "largest_sequence", SEQUENCE_MAX, true,
                             &meta->largest_sequence);
    if (result == 0)
        result =
            line_bytes(object, "smallest", KEY_TRAILER_SIZE, longest, &meta->smallest);
    if (result == 0)
        result = line_bytes(object, "largest", KEY_TRAILER_SIZE, longest, &meta->largest);
    return result;
}

static int
blob_from_json(json_t *object, bool lenient, struct table_meta *meta)
{
    struct table_blob blob = {0};
    int result;

    if (!json_is_object(object))
        return error_detail(-EUCLEAN, "field \"blobs\": objects expected");
    result = lenient ? 0 : line_only(object, blob_fields);
    if (result == 0)
        result = line_number(object, "blob", NUMBER_MAX, true, &blob.number);
    if (result == 0)
        result = line_number(object, "bytes", NUMBER_MAX, true, &blob.bytes);
    if (result == 0)
        result = line_number(object, "size", NUMBER_MAX, true, &blob.size);
    if (result == 0 && meta->blob_count > 0 &&
        meta->blobs[meta->blob_count - 1].number >= blob.number)
        result = error_detail(-EUCLEAN, "field \"blobs\": not in ascending order");
    if (result == 0)
        result = table_meta_add_blob(meta, blob.number, blob.bytes);
    if (result == 0)
        meta->blobs[meta->blob_count - 1].size = blob.size;
    return result;
}

static int
blobs_from_json(const struct element *element, struct table_meta *meta)
{
    const json_t *list;
    int result = line_array(element->object, "blobs", &list);

    for (size_t i = 0; result == 0 && i < json_array_size(list); i++)
        result = blob_from_json(json_array_get(list, i), element->lenient, meta);
    return result;
}

static int
added_from_json(const struct element *element)
{
    struct table_meta meta = {0};
    uint32_t keyspace;
    int level, result;

    result = element_only(element, added_fields);
    if (result == 0)
        result = place_from_json(element->object, &keyspace, &level, &meta.number);
    if (result == 0)
        result = meta_from_json(element->object, &meta);
    if (result == 0)
        result = blobs_from_json(element, &meta);
    if (result == 0)
        result = manifest_edit_add(element->edit, keyspace, level, &meta);
    table_meta_fini(&meta);
    return result;
}

static int
snapshot_from_json(const struct element *element)
{
    struct lsmkv_snapshot_info snapshot = {0};
    const json_t *object = element->object;
    int result = element_only(element, snapshot_fields);

    if (result == 0)
        result = line_number(object, "id", NUMBER_MAX, true, &snapshot.id);
    if (result == 0)
        result = name_from_json(object, snapshot.name);
    if (result == 0 && strchr(snapshot.name, '/') != NULL)
        result = error_detail(-EUCLEAN, "a snapshot's name has a '/' in it");
    if (result == 0)
        result = line_number(object, "sequence", SEQUENCE_MAX, true, &snapshot.sequence);
    if (result == 0)
        result = line_integer(object, "time", INT64_MIN, INT64_MAX, &snapshot.time);
    return result < 0 ? result : manifest_edit_snapshot(element->edit, &snapshot);
}

static int
id_from_json(const struct element *element, json_int_t most, uint64_t *id)
{
    json_int_t value = json_integer_value(element->object);

    if (!json_is_integer(element->object) || value < 0 || value > most)
        return error_detail(-EUCLEAN, "a list of ids holds something else");
    *id = (uint64_t)value;
    return 0;
}

static int
dropped_keyspace_from_json(const struct element *element)
{
    uint64_t id = 0;
    int result = id_from_json(element, KEYSPACE_MAX, &id);

    return result < 0 ? result : manifest_edit_drop_keyspace(element->edit, (uint32_t)id);
}

static int
dropped_snapshot_from_json(const struct element *element)
{
    uint64_t id = 0;
    int result = id_from_json(element, (json_int_t)NUMBER_MAX, &id);

    return result < 0 ? result : manifest_edit_drop_snapshot(element->edit, id);
}

static int
list_from_json(const json_t *object, const char *name, bool objects,
               const struct manifest_header *header, struct manifest_edit *edit,
               int (*parse)(const struct element *element))
{
    const json_t *list;
    int result = line_array(object, name, &list);

    for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
        struct element element = {json_array_get(list, i), header->lenient, edit};

        if (objects && !json_is_object(element.object))
            return error_detail(-EUCLEAN, "field \"%s\": objects expected", name);
        result = parse(&element);
    }
    return result;
}

static int
numbers_from_json(const json_t *object, struct manifest_edit *edit)
{
    uint64_t next_keyspace = 0;
    int result = line_number(object, "next_file", NUMBER_MAX, false, &edit->next_file);

    if (result == 0)
        result = line_number(object, "oldest_log", NUMBER_MAX, false, &edit->oldest_log);
    if (result == 0)
        result = line_number(object, "last_sequence", SEQUENCE_MAX, false,
                             &edit->last_sequence);
    if (result == 0)
        result = line_number(object, "next_keyspace", UINT32_MAX, false, &next_keyspace);
    if (result == 0)
        result =
            line_number(object, "next_snapshot", NUMBER_MAX, false, &edit->next_snapshot);
    edit->next_keyspace = (uint32_t)next_keyspace;
    return result;
}

static int
fields_only(json_t *object, bool first)
{
    const size_t headers = sizeof(header_fields) / sizeof(header_fields[0]);
    const size_t edits = sizeof(edit_fields) / sizeof(edit_fields[0]);
    const char *known[sizeof(header_fields) / sizeof(header_fields[0]) +
                      sizeof(edit_fields) / sizeof(edit_fields[0])];

    memcpy(known, header_fields, headers * sizeof(*known));
    memcpy(known + headers, edit_fields, edits * sizeof(*known));
    return line_only(object, first ? known : edit_fields);
}

int
edit_from_json(json_t *object, const struct manifest_header *header, bool first,
               struct manifest_edit *edit)
{
    int result = header->lenient ? 0 : fields_only(object, first);

    if (result == 0)
        result =
            list_from_json(object, "keyspaces", true, header, edit, keyspace_from_json);
    if (result == 0)
        result = list_from_json(object, "removed", true, header, edit, removed_from_json);
    if (result == 0)
        result = list_from_json(object, "added", true, header, edit, added_from_json);
    if (result == 0)
        result = list_from_json(object, "dropped_keyspaces", false, header, edit,
                                dropped_keyspace_from_json);
    if (result == 0)
        result =
            list_from_json(object, "snapshots", true, header, edit, snapshot_from_json);
    if (result == 0)
        result = list_from_json(object, "dropped_snapshots", false, header, edit,
                                dropped_snapshot_from_json);
    /* Last: what the lists imply of the numbers (see manifest_edit_add) is not read, it must
     * be written. */
    return result < 0 ? result : numbers_from_json(object, edit);
}
