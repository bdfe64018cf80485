/* lsm-dump-blob.c - prints a blob file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table/blob.h"
#include "tools/lsm-dump.h"

struct blob_dump {
    struct dump *dump;
    uint64_t records, bytes, stored;
};

static int
print_record(void *user, const struct blob_record *record)
{
    struct blob_dump *blob = user;
    struct printer *printer = &blob->dump->printer;

    blob->records++;
    blob->bytes += record->ref.length;
    blob->stored += blob_stored_size(&record->ref);
    if (!blob->dump->entries)
        return 0;
    print_begin(printer, "blob");
    print_number(printer, "file", record->ref.file);
    print_number(printer, "offset", record->ref.offset);
    print_number(printer, "bytes", record->ref.length);
    if (record->ref.pages > 0)
        print_number(printer, "pages", record->ref.pages);
    if (record->ref.packed > 0)
        print_number(printer, "packed_bytes", record->ref.packed);
    print_bytes(printer, "key", internal_user_key(record->key));
    print_number(printer, "sequence", internal_sequence(record->key));
    if (!blob->dump->keys_only && record->value != NULL)
        print_bytes(printer, "value", lsmkv_bytes(record->value, record->ref.length));
    print_end(printer);
    return 0;
}

enum dump_result
dump_blob(struct dump *dump, uint64_t number, uint64_t size)
{
    struct blob_dump blob = {.dump = dump};
    struct printer *printer = &dump->printer;
    uint32_t keyspace = 0;
    int result = blob_walk(&dump->context, number, size, &keyspace, print_record, &blob);
    enum dump_result ended = DUMP_GOOD;

    if (result == -EBADMSG || result == -EUCLEAN)
        ended = DUMP_DAMAGED;
    else if (result != 0)
        ended = DUMP_FAILED;
    if (!dump->properties && !dump->verify)
        return ended;
    print_begin(printer, "blob_file");
    print_number(printer, "number", number);
    print_number(printer, "keyspace", keyspace);
    print_number(printer, "records", blob.records);
    print_number(printer, "value_bytes", blob.bytes);
    if (blob.stored != blob.bytes)
        print_number(printer, "packed_bytes", blob.stored);
    if (dump->verify)
        print_word(printer, "result", ended == DUMP_GOOD ? "good" : "damaged");
    print_end(printer);
    return ended;
}

bool
dump_is_blob_name(const char *name, uint64_t *number)
{
    char ours[TABLE_NAME_SIZE];
    char *end;

    *number = strtoull(name, &end, 10);
    blob_name(ours, *number);
    return strcmp(name, ours) == 0;
}
