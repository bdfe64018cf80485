/*
 * fuzz_parts.c - the parts of files that are parsed on their own: a table's footer,
 * properties and filter, a log's frame headers, an entry's payload.  None is checksummed
 * here, so all are reached.
 *
 * Input: which part 1, then its bytes; see each.
 */
#include "base/coding.h"
#include "base/record.h"
#include "fuzz.h"
#include "log/frame.h"
#include "table/filter.h"
#include "table/format.h"

/* Input: the footer's offset 8, the fields; or raw: the same with the footer's own checksum
 * and magic. */
static void
part_footer(struct fuzz_input *input, bool raw)
{
    uint8_t bytes[TABLE_FOOTER_SIZE] = {0}, again[TABLE_FOOTER_SIZE];
    uint64_t offset = fuzz_number(input, 8);
    struct table_footer footer;
    const char *problem = NULL;
    int result;

    if (raw) {
        struct lsmkv_slice given = fuzz_take(input, sizeof(bytes));

        if (given.size > 0)
            memcpy(bytes, given.data, given.size);
    } else {
        footer.number = fuzz_number(input, 8);
        footer.filter =
            (struct block_handle){fuzz_number(input, 8), (uint32_t)fuzz_number(input, 4)};
        footer.index =
            (struct block_handle){fuzz_number(input, 8), (uint32_t)fuzz_number(input, 4)};
        footer.properties =
            (struct block_handle){fuzz_number(input, 8), (uint32_t)fuzz_number(input, 4)};
        table_footer_encode(bytes, &footer, offset);
    }
    result = table_footer_decode(bytes, offset, &footer, &problem);
    fuzz_check(result == 0 || problem != NULL);
    if (result != 0)
        return;
    table_footer_encode(again, &footer, offset);
    fuzz_check(memcmp(bytes, again, sizeof(bytes)) == 0);
    /* In order, and nothing beyond the footer. */
    fuzz_check(footer.filter.offset <= footer.index.offset);
    fuzz_check(footer.index.offset < footer.properties.offset);
    fuzz_check(footer.properties.offset < offset);
    fuzz_check(footer.filter.size < offset && footer.index.size < offset &&
               footer.properties.size < offset);
}

static void
part_properties(struct fuzz_input *input)
{
    struct lsmkv_slice given = fuzz_take(input, input->left);
    uint8_t *bytes = fuzz_copy(given), again[TABLE_PROPERTIES_MAX];
    size_t size;
    struct table_properties properties;
    const char *problem = NULL;
    int result =
        table_properties_decode(lsmkv_bytes(bytes, given.size), &properties, &problem);

    fuzz_check(result == 0 || problem != NULL);
    if (result == 0) {
        size = table_properties_encode(again, &properties);
        fuzz_check(given.size >= size);
        memset(bytes + 8, 0, 4); /* compatible features are not kept */
        fuzz_check(memcmp(bytes, again, size) == 0);
    }
    free(bytes);
}

/* Input: a hash 8, the filter. */
static void
part_filter(struct fuzz_input *input)
{
    uint64_t hash = fuzz_number(input, 8);
    struct lsmkv_slice given = fuzz_take(input, input->left);
    uint8_t *bytes = fuzz_copy(given);
    struct filter filter = {0};

    if (filter_decode(lsmkv_bytes(bytes, given.size), &filter) == 0) {
        bool full = true;

        for (size_t i = 0; i + 1 < given.size; i++)
            full = full && bytes[i] == 0xff;
        for (unsigned i = 0; i < 64; i++, hash = hash * 5 + 1)
            fuzz_check(filter_may_contain(&filter, hash) || !full);
    }
    free(bytes);
}

/* Input: bits a key 1, hashes of 8 bytes.  F1 of filter.h. */
static void
part_filter_built(struct fuzz_input *input)
{
    struct filter_builder builder = {0};
    unsigned bits = (unsigned)fuzz_number(input, 1) + 1;
    struct fuzz_input hashes = *input;
    struct filter filter;
    uint8_t *block;
    size_t size;

    while (input->left > 0)
        fuzz_check(filter_builder_add(&builder, fuzz_number(input, 8)) == 0);
    if (builder.count > 0) {
        fuzz_check(filter_builder_finish(&builder, bits, &block, &size) == 0);
        fuzz_check(filter_decode(lsmkv_bytes(block, size), &filter) == 0);
        while (hashes.left > 0)
            fuzz_check(filter_may_contain(&filter, fuzz_number(&hashes, 8)));
        free(block);
    }
    filter_builder_fini(&builder);
}

static void
part_frame_header(struct fuzz_input *input)
{
    uint8_t bytes[FRAME_HEADER_SIZE] = {0}, again[FRAME_HEADER_SIZE];
    struct lsmkv_slice given = fuzz_take(input, sizeof(bytes));
    struct frame_header header;

    if (given.size > 0)
        memcpy(bytes, given.data, given.size);
    frame_header_decode(bytes, &header);
    frame_header_encode(again, &header);
    fuzz_check(memcmp(bytes, again, sizeof(bytes)) == 0);
    fuzz_check(frame_size(header.length) % FRAME_ALIGNMENT == 0);
}

static void
part_frame_first(struct fuzz_input *input)
{
    struct lsmkv_slice given = fuzz_take(input, input->left);
    uint8_t *bytes = fuzz_copy(given), again[FRAME_FIRST_SIZE];
    struct frame_first first;

    if (frame_first_decode(lsmkv_bytes(bytes, given.size), &first) == 0) {
        frame_first_encode(again, &first);
        fuzz_check(fuzz_equal(lsmkv_bytes(bytes, given.size),
                              lsmkv_bytes(again, sizeof(again))));
    }
    free(bytes);
}

/* Input: kind 1, sequence 8, payload. */
static void
part_payload(struct fuzz_input *input)
{
    uint8_t kind = (uint8_t)fuzz_number(input, 1);
    uint64_t sequence = fuzz_number(input, 8);
    struct lsmkv_slice given = fuzz_take(input, input->left);
    uint8_t *bytes = fuzz_copy(given), *again;
    struct lsmkv_record record;

    if (record_decode(kind, sequence, lsmkv_bytes(bytes, given.size), &record) == 0) {
        fuzz_check(record_payload_size(kind, &record) == given.size);
        again = malloc(given.size + 1);
        fuzz_check(again != NULL);
        record_encode(again, kind, &record);
        fuzz_check(given.size == 0 || memcmp(bytes, again, given.size) == 0);
        free(again);
    }
    free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};

    switch (fuzz_number(&input, 1) % 8) {
    case 0:
        part_footer(&input, false);
        break;
    case 1:
        part_footer(&input, true);
        break;
    case 2:
        part_properties(&input);
        break;
    case 3:
        part_filter(&input);
        break;
    case 4:
        part_filter_built(&input);
        break;
    case 5:
        part_frame_header(&input);
        break;
    case 6:
        part_frame_first(&input);
        break;
    default:
        part_payload(&input);
    }
    return 0;
}
