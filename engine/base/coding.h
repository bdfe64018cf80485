/*
 * coding.h - integers to and from bytes: little-endian, and varints of 7 bits a byte, low
 * bits first.  A reader never runs past its end (invariant 16 of the design: lengths are
 * checked by subtraction).
 */
#ifndef BASE_CODING_H
#define BASE_CODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lsmkv.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the fixed-width coders assume a little-endian machine"
#endif

#define VARINT32_MAX 5u
#define VARINT64_MAX 10u

static inline void
put_u32(void *out, uint32_t value)
{
    memcpy(out, &value, sizeof(value));
}

static inline void
put_u64(void *out, uint64_t value)
{
    memcpy(out, &value, sizeof(value));
}

static inline uint32_t
get_u32(const void *in)
{
    uint32_t value;

    memcpy(&value, in, sizeof(value));
    return value;
}

static inline uint64_t
get_u64(const void *in)
{
    uint64_t value;

    memcpy(&value, in, sizeof(value));
    return value;
}

/* put_varint for those of more than one byte. */
uint8_t *put_long_varint(uint8_t *out, uint64_t value);
size_t varint_size(uint64_t value);

/* Returns the end of what was written. */
static inline uint8_t *
put_varint(uint8_t *out, uint64_t value)
{
    if (value >= 0x80)
        return put_long_varint(out, value);
    *out = (uint8_t)value;
    return out + 1;
}

/* A cursor over borrowed bytes.  After a failed read `failed` is set, and every later
 * read gives 0 or an empty slice: check once at the end. */
struct reader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
};

static inline struct reader
reader_of(struct lsmkv_slice slice)
{
    const uint8_t *data = slice.data;
    struct reader reader = {data, data + slice.size, false};

    return reader;
}

static inline size_t
reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->next);
}

/* What a read does that finds too little, or what cannot be. */
void reader_fail(struct reader *reader);

uint8_t read_u8(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
/* read_varint and read_varint32 for those of more than one byte. */
uint64_t read_long_varint(struct reader *reader);
uint32_t read_long_varint32(struct reader *reader);

/* Fails on an overlong or overflowing varint. */
static inline uint64_t
read_varint(struct reader *reader)
{
    if (reader->next < reader->end && *reader->next < 0x80)
        return *reader->next++;
    return read_long_varint(reader);
}

static inline uint32_t
read_varint32(struct reader *reader)
{
    if (reader->next < reader->end && *reader->next < 0x80)
        return *reader->next++;
    return read_long_varint32(reader);
}

static inline struct lsmkv_slice
read_bytes(struct reader *reader, uint64_t size)
{
    const uint8_t *data = reader->next;

    if (reader->failed || size > reader_left(reader)) {
        reader_fail(reader);
        return lsmkv_bytes(NULL, 0);
    }
    reader->next += size;
    return lsmkv_bytes(data, (size_t)size);
}

#endif
