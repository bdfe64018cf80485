/* import_input.c - see import_input.h. */
#include "archive/import_input.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_SIZE (1u << 20)
#define MAGIC      "\x1f\x8b"
#define MAGIC_SIZE 2u

struct import_input {
    int fd;
    bool (*stopped)(void *context);
    void *context;
    uint64_t bytes; /* read of the descriptor */
    const char *why;
    bool begun, packed;
    bool ended; /* behind the last member of what is packed */
    uint8_t *at;
    size_t left; /* of `raw`, from `at` on */
    struct inflate_state state;
    uint8_t raw[INPUT_SIZE];
    uint8_t unpacked[INPUT_SIZE];
};

struct import_input *
import_input_new(int fd, bool (*stopped)(void *context), void *context)
{
    struct import_input *input = calloc(1, sizeof(*input));

    if (input == NULL)
        return NULL;
    input->fd = fd;
    input->stopped = stopped;
    input->context = context;
    return input;
}

void
import_input_free(struct import_input *input)
{
    free(input);
}

const char *
import_input_why(const struct import_input *input)
{
    return input->why;
}

uint64_t
import_input_bytes(const struct import_input *input)
{
    return input->bytes;
}

/* Reads more than `left`, unless that is the end; the bytes there are, or an error. */
static ssize_t
fill(struct import_input *input)
{
    ssize_t got;

    if (input->left > 0)
        memmove(input->raw, input->at, input->left);
    input->at = input->raw;
    do {
        if (input->stopped(input->context))
            return -EINTR;
        got = read(input->fd, input->raw + input->left, INPUT_SIZE - input->left);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    input->bytes += (uint64_t)got;
    input->left += (size_t)got;
    return (ssize_t)input->left;
}

static bool
is_packed(const struct import_input *input)
{
    return input->left >= MAGIC_SIZE && memcmp(input->at, MAGIC, MAGIC_SIZE) == 0;
}

/* Reads until it can be told whether a member of gzip begins here. */
static ssize_t
look(struct import_input *input)
{
    size_t before;
    ssize_t got = (ssize_t)input->left;

    while (input->left < MAGIC_SIZE) {
        before = input->left;
        got = fill(input);
        if (got < 0 || input->left == before)
            break;
    }
    return got;
}

static ssize_t
damaged(struct import_input *input, const char *why)
{
    input->why = why;
    return -EBADMSG;
}

/* One step; 0, or an error. */
static ssize_t
unpack(struct import_input *input)
{
    struct inflate_state *state = &input->state;

    if (input->left == 0) {
        ssize_t got = fill(input);
        if (got <= 0)
            return got < 0 ? got : damaged(input, "the gzip stream ends too early");
    }
    state->next_in = input->at;
    state->avail_in = (uint32_t)input->left;
    int result = isal_inflate(state);
    input->at = state->next_in;
    input->left = state->avail_in;
    if (result == ISAL_INCORRECT_CHECKSUM)
        return damaged(input, "the gzip stream is damaged: its checksum is another");
    return result < 0 ? damaged(input, "the gzip stream is damaged") : 0;
}

/* To the next member, behind which there is no more than padding; errors of reading. */
static ssize_t
next_member(struct import_input *input)
{
    ssize_t result = look(input);

    if (result < 0)
        return result;
    input->ended = !is_packed(input);
    isal_inflate_reset(&input->state);
    return 0;
}

static ssize_t
read_packed(struct import_input *input, const void **bytes)
{
    struct inflate_state *state = &input->state;
    ssize_t result = 0;

    state->next_out = input->unpacked;
    state->avail_out = INPUT_SIZE;
    while (result == 0 && !input->ended && state->avail_out == INPUT_SIZE) {
        result = unpack(input);
        if (result == 0 && state->block_state == ISAL_BLOCK_FINISH)
            result = next_member(input);
    }
    *bytes = input->unpacked;
    return result < 0 ? result : (ssize_t)(INPUT_SIZE - state->avail_out);
}

ssize_t
import_input_read(struct import_input *input, const void **bytes)
{
    ssize_t got = 0;

    if (!input->begun) {
        got = look(input);
        if (got < 0)
            return got;
        input->begun = true;
        input->packed = is_packed(input);
        isal_inflate_init(&input->state);
        input->state.crc_flag = ISAL_GZIP;
    } else if (!input->packed) {
        input->left = 0;
    }
    if (input->packed)
        return read_packed(input, bytes);
    if (input->left == 0)
        got = fill(input);
    *bytes = input->at;
    return got < 0 ? got : (ssize_t)input->left;
}
