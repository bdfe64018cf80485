/*
 * fuzz_batch.c - the entries of an atomic batch (log/batch.h), and the payloads they become
 * (base/record.h).
 *
 * Input: first sequence 8, then an encoded batch.
 */
#include "base/record.h"
#include "fuzz.h"
#include "log/batch.h"

/* What a batch carries goes through the payload of a table and comes out the same. */
static void
check_payload(const struct batch_entry *entry)
{
    size_t size = record_payload_size(entry->kind, &entry->record);
    uint8_t *payload = malloc(size + 1);
    struct lsmkv_record back;

    fuzz_check(payload != NULL);
    record_encode(payload, entry->kind, &entry->record);
    fuzz_check(record_decode(entry->kind, entry->sequence, lsmkv_bytes(payload, size),
                             &back) == 0);
    fuzz_check(back.stamp_sequence == entry->record.stamp_sequence ||
               !kind_is_put(entry->kind));
    fuzz_check(fuzz_equal(back.attributes, entry->record.attributes));
    fuzz_check(fuzz_equal(back.value, entry->record.value));
    free(payload);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint64_t first = fuzz_number(&input, 8);
    struct lsmkv_slice encoded = lsmkv_bytes(NULL, input.left);
    uint8_t *bytes = fuzz_copy(fuzz_take(&input, input.left));
    struct lsmkv_batch again;
    struct batch_reader reader;
    struct batch_entry entry;
    bool verified;
    int result;

    encoded.data = bytes;
    batch_init(&again);
    verified = batch_verify(encoded) == 0;
    result = batch_read(&reader, encoded, first);
    if (result == 0) {
        int64_t time = reader.time;
        uint32_t count = reader.left;

        fuzz_check(first + count <= SEQUENCE_MAX);
        while ((result = batch_next(&reader, &entry)) > 0) {
            fuzz_check(entry.sequence >= first && entry.sequence < first + count);
            check_payload(&entry);
            fuzz_check(batch_add(&again, entry.keyspace, entry.kind, entry.key,
                                 kind_is_put(entry.kind) ? &entry.record : NULL) == 0);
        }
        fuzz_check((result == 0) == verified);
        /* There is one way to write a batch down. */
        batch_set_time(&again, time);
        if (result == 0 && count > 0)
            fuzz_check(fuzz_equal(batch_slice(&again), encoded));
    }
    batch_fini(&again);
    free(bytes);
    return 0;
}
