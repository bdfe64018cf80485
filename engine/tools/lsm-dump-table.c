/* lsm-dump-table.c - prints the parts of one table. */
#include <errno.h>

#include "base/record.h"
#include "tools/lsm-dump.h"

/* ---- entries ---- */

static void
print_record(struct printer *printer, uint8_t kind, const struct lsmkv_record *record)
{
    if (!kind_is_put(kind))
        return;
    if ((kind & ~KIND_BLOB_BIT) == KIND_PUT_STAMPED)
        print_number(printer, "stamp_sequence", record->stamp_sequence);
    if ((kind & ~KIND_BLOB_BIT) != KIND_PUT)
        print_signed(printer, "stamp_time", record->stamp_time);
    print_bytes(printer, "attributes", record->attributes);
    if (kind_is_apart(kind))
        print_reference(printer, record->value);
    else
        print_bytes(printer, "value", record->value);
}

/* A payload that does not parse is shown as it is. */
static enum dump_result
print_payload(struct printer *printer, const struct iterator *it)
{
    uint8_t kind = internal_kind(it->entry->key);
    struct lsmkv_record record;

    if (kind_is_known(kind) && record_decode(kind, internal_sequence(it->entry->key),
                                             it->entry->payload, &record) == 0) {
        print_record(printer, kind, &record);
        return DUMP_GOOD;
    }
    print_bytes(printer, "malformed_payload", it->entry->payload);
    return DUMP_DAMAGED;
}

static enum dump_result
print_entry(struct dump *dump, const struct table *table, const struct iterator *it)
{
    struct printer *printer = &dump->printer;
    uint8_t kind = internal_kind(it->entry->key);
    enum dump_result result = DUMP_GOOD;

    print_begin(printer, "entry");
    if (printer->style == PRINT_JSON) /* there each line stands for itself */
        print_number(printer, "table", table_number(table));
    print_bytes(printer, "key", internal_user_key(it->entry->key));
    print_number(printer, "sequence", internal_sequence(it->entry->key));
    print_word(printer, "kind", print_kind_name(kind));
    if (!kind_is_known(kind))
        print_number(printer, "kind_byte", kind);
    if (!dump->keys_only)
        result = print_payload(printer, it);
    print_end(printer);
    return result;
}

static bool
begins_with(struct lsmkv_slice key, struct lsmkv_slice prefix)
{
    return key.size >= prefix.size &&
           slice_equal(lsmkv_bytes(key.data, prefix.size), prefix);
}

/* Whether `key`, which is not before the start, lies past all that was asked for. */
static bool
is_past(const struct dump *dump, enum lsmkv_order order, struct lsmkv_slice key)
{
    if (dump->to.data != NULL && key_compare(order, key, dump->to) >= 0)
        return true;
    /* Keys with one prefix stand together in both orders. */
    return dump->prefix.data != NULL && !begins_with(key, dump->prefix) &&
           key_compare(order, key, dump->prefix) > 0;
}

/* To the first entry asked for. */
static int
seek_start(const struct dump *dump, enum lsmkv_order order, struct iterator *it)
{
    struct lsmkv_slice start = dump->from;
    struct keybuf target = {0};
    int result;

    if (dump->prefix.data != NULL &&
        (start.data == NULL || key_compare(order, start, dump->prefix) < 0))
        start = dump->prefix;
    if (start.data == NULL) {
        iterator_first(it);
        return 0;
    }
    result = keybuf_set_internal(&target, start, SEQUENCE_MAX, 0xff);
    if (result == 0)
        iterator_seek(it, keybuf_slice(&target));
    keybuf_fini(&target);
    return result;
}

static enum dump_result
result_of(int status)
{
    if (status == 0)
        return DUMP_GOOD;
    return status == -EBADMSG || status == -EUCLEAN ? DUMP_DAMAGED : DUMP_FAILED;
}

static enum dump_result
worse(enum dump_result a, enum dump_result b)
{
    return a > b ? a : b;
}

static enum dump_result
dump_entries(struct dump *dump, struct table *table)
{
    enum lsmkv_order order = table_get_properties(table)->order;
    enum dump_result result = DUMP_GOOD;
    struct iterator *it;
    int status = table_iterate(table, TABLE_PASSING, &it);

    if (status != 0)
        return DUMP_FAILED;
    status = seek_start(dump, order, it);
    while (status == 0 && it->valid &&
           !is_past(dump, order, internal_user_key(it->entry->key))) {
        result = worse(result, print_entry(dump, table, it));
        iterator_next(it);
    }
    if (status == 0)
        status = it->status;
    iterator_free(it);
    return worse(result, result_of(status));
}

/* ---- the rest ---- */

static int
print_index_entry(void *context, const struct table_index_entry *entry)
{
    struct printer *printer = context;

    print_begin(printer, "block");
    print_number(printer, "offset", entry->offset);
    print_number(printer, "size", entry->size);
    print_number(printer, "largest_sequence", entry->largest_sequence);
    print_bytes(printer, "separator", entry->separator);
    if (entry->trailer != UINT64_MAX) /* begins amid the versions of one key */
        print_number(printer, "separator_sequence", entry->trailer >> 8);
    print_end(printer);
    return 0;
}

/* What share of absent keys a filter with so many bits set lets pass, about. */
static double
expected_passing(const struct table_filter_info *info)
{
    double share = 1;

    for (unsigned i = 0; i < info->probes; i++)
        share *= (double)info->bits_set / (double)(info->lines * 512);
    return share;
}

static void
dump_filter(struct dump *dump, const struct table *table)
{
    struct table_filter_info info = table_get_filter_info(table);
    const struct table_properties *properties = table_get_properties(table);
    struct printer *printer = &dump->printer;

    print_begin(printer, "filter");
    print_number(printer, "lines", info.lines);
    print_number(printer, "bytes", properties->filter_bytes);
    print_number(printer, "keys", properties->filter_keys);
    if (info.lines > 0) {
        print_number(printer, "probes", info.probes);
        print_number(printer, "bits_set", info.bits_set);
        if (properties->filter_keys > 0)
            print_fraction(printer, "bits_per_key",
                           (double)(info.lines * 512) / (double)properties->filter_keys);
        print_fraction(printer, "passing", expected_passing(&info));
    }
    print_end(printer);
}

static void
dump_properties(struct dump *dump, const struct table *table)
{
    const struct table_properties *p = table_get_properties(table);
    struct printer *printer = &dump->printer;

    print_begin(printer, "properties");
    print_number(printer, "table", table_number(table));
    print_number(printer, "keyspace", p->keyspace);
    print_word(printer, "order", p->order == LSMKV_ORDER_PATH ? "path" : "bytes");
    print_number(printer, "entries", p->entries);
    print_number(printer, "tombstones", p->tombstones);
    print_number(printer, "smallest_sequence", p->smallest_sequence);
    print_number(printer, "largest_sequence", p->largest_sequence);
    print_number(printer, "data_blocks", p->data_blocks);
    print_number(printer, "data_bytes", p->data_bytes);
    if (p->packed) {
        print_word(printer, "compression", "lz4");
        print_number(printer, "raw_data_bytes", p->raw_data_bytes);
    }
    print_number(printer, "index_bytes", p->index_bytes);
    print_number(printer, "filter_bytes", p->filter_bytes);
    print_number(printer, "filter_keys", p->filter_keys);
    print_number(printer, "raw_key_bytes", p->raw_key_bytes);
    print_number(printer, "raw_payload_bytes", p->raw_payload_bytes);
    if (p->has_blobs)
        print_bool(printer, "has_blobs", true);
    if (p->has_pages)
        print_bool(printer, "has_pages", true);
    if (p->has_packed)
        print_bool(printer, "has_packed", true);
    print_end(printer);
}

static enum dump_result
verify_table(struct dump *dump, struct table *table)
{
    enum dump_result result = result_of(table_verify(table));
    struct printer *printer = &dump->printer;

    print_begin(printer, "verify");
    print_number(printer, "table", table_number(table));
    print_word(printer, "result", result == DUMP_GOOD ? "good" : "damaged");
    print_number(printer, "entries", table_get_properties(table)->entries);
    print_number(printer, "blocks", table_get_properties(table)->data_blocks);
    print_end(printer);
    return result;
}

enum dump_result
dump_table(struct dump *dump, struct table *table)
{
    enum dump_result result = DUMP_GOOD;

    if (dump->properties)
        dump_properties(dump, table);
    if (dump->filter)
        dump_filter(dump, table);
    if (dump->index)
        result =
            result_of(table_each_index_entry(table, print_index_entry, &dump->printer));
    if (dump->entries)
        result = worse(result, dump_entries(dump, table));
    if (dump->verify)
        result = worse(result, verify_table(dump, table));
    return result;
}
