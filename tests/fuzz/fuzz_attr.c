/*
 * fuzz_attr.c - the attributes of a record (fs/store/attr.c): a file's inode.
 *
 * Input: size of the record's value 4, stamp's sequence 8 and time 8, then the attributes.
 */
#include <errno.h>

#include "fuzz.h"
#include "store/attr.h"

static const struct attr_defaults defaults = {1, 2, 0644, 0755};

static bool
is_within(struct lsmkv_slice inner, struct lsmkv_slice outer)
{
    const uint8_t *begin = outer.data, *at = inner.data;

    return inner.size == 0 ||
           (at >= begin && (size_t)(at - begin) + inner.size <= outer.size);
}

static void
check_xattrs(struct lsmkv_slice list)
{
    struct lsmkv_slice rest = list, name, value, found;
    uint8_t *out = malloc(list.size + 1);

    fuzz_check(out != NULL);
    while (attr_xattr_next(&rest, &name, &value)) {
        fuzz_check(name.size > 0 && is_within(name, list) && is_within(value, list));
        fuzz_check(attr_xattr_find(list, name, &found));
        fuzz_check(attr_xattr_replace(list, name, NULL, out) < list.size);
    }
    fuzz_check(rest.size == 0);
    free(out);
}

/* What was decoded can be written, and means the same when read again: one more encoding
 * changes nothing. */
static void
check_encoding(const struct attr *attr, const struct lsmkv_record *record)
{
    size_t size = attr_encoded_size(attr), again_size;
    uint8_t *bytes = malloc(size), *again_bytes = malloc(size);
    struct lsmkv_record encoded = *record;
    struct attr again;

    fuzz_check(bytes != NULL && again_bytes != NULL);
    fuzz_check(attr_encode(attr, bytes) == size);
    encoded.attributes = lsmkv_bytes(bytes, size);
    fuzz_check(attr_decode(&encoded, &defaults, &again) == 0 && !again.plain);
    fuzz_check(again.data.kind == attr->data.kind && again.ino == attr->ino);
    fuzz_check(attr->data.kind == ATTR_REFERENCE || again.data.size == attr->data.size);
    fuzz_check(attr_nlink(&again) == attr_nlink(attr) ||
               attr->data.kind == ATTR_REFERENCE);
    again_size = attr_encoded_size(&again);
    fuzz_check(again_size == size && attr_encode(&again, again_bytes) == size);
    fuzz_check(memcmp(bytes, again_bytes, size) == 0);
    free(bytes);
    free(again_bytes);
}

static void
check_attr(const struct attr *attr, const struct lsmkv_record *record)
{
    struct attr kept;
    struct stat st;

    fuzz_check(is_within(attr->xattrs, record->attributes));
    fuzz_check(is_within(attr->value_attributes, record->attributes));
    attr_to_stat(attr, &st);
    fuzz_check(st.st_size >= 0 && st.st_blocks >= 0);
    fuzz_check(st.st_mtim.tv_nsec >= 0 && st.st_mtim.tv_nsec < 1000000000);
    check_xattrs(attr->xattrs);
    if (attr->has_value) {
        int result = attr_decode_kept(attr, record, &defaults, &kept);

        fuzz_check(result == 0 || result == -EUCLEAN);
    }
    if (!attr->plain)
        check_encoding(attr, record);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct lsmkv_record record = {0};
    struct attr attr;
    uint8_t *bytes;
    int result;

    record.value.size = (size_t)fuzz_number(&input, 4);
    record.stamp_sequence = fuzz_number(&input, 8);
    record.stamp_time = (int64_t)fuzz_number(&input, 8);
    record.attributes.size = input.left;
    bytes = fuzz_copy(fuzz_take(&input, input.left));
    record.attributes.data = bytes;
    if (record.attributes.size <= LSMKV_ATTRIBUTES_MAX) {
        result = attr_decode(&record, &defaults, &attr);
        fuzz_check(result == 0 || result == -EUCLEAN);
        if (result == 0)
            check_attr(&attr, &record);
    }
    free(bytes);
    return 0;
}
