/*
 * engine.h - a key-value engine as the benchmark sees it: an adapter's table of functions.
 *
 * A record is a key and a payload.  The payload's first ATTRIBUTES bytes are what a listing
 * shows; lsmkv keeps them as attributes, the others in front of the value, as a program on them
 * would have to.  Whatever a read hands out goes through tally_add, so that no engine is paid
 * for bytes that it never touched, and so that the sums of two engines can be compared.
 *
 * Adapters end the program (die) when a call fails: a benchmark of failed calls is none.
 * A store's functions may be called by several threads; a session belongs to one.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "common.h"

enum { ATTRIBUTES = 32 };

struct engine_options {
    const char *path; /* a directory that is there */
    bool
        synced; /* each write is durable when it returns; else only write(2) has returned */
    size_t write_buffer; /* bytes */
    size_t cache;        /* bytes */
    unsigned filter_bits;
    bool scarce;   /* there is less memory than data */
    bool compress; /* with LZ4: lsmkv alone; the others do not compress */
};

struct pair {
    struct bytes key, payload;
};

/* What of each entry a scan reads. */
enum scan_what { SCAN_ATTRIBUTES, SCAN_VALUES };

struct engine {
    const char *name;
    const char *durability; /* of what both kinds of writes are made, for the report */
    bool puts_only;         /* no more than open, put and close */
    const char *(*build)(void);

    void *(*open)(const struct engine_options *options);
    void (*close)(void *store);
    /* Both NULL: the store is each thread's session. */
    void *(*session_open)(void *store);
    void (*session_close)(void *session);

    void (*put)(void *session, struct bytes key, struct bytes payload);
    /* Durable when it returns, whatever the store's other writes are. */
    void (*put_synced)(void *session, struct bytes key, struct bytes payload);
    /* All or nothing: a batch, or a transaction. */
    void (*put_many)(void *session, const struct pair *pairs, size_t count);
    void (*remove)(void *session, struct bytes key);
    /* False: absent. */
    bool (*get)(void *session, struct bytes key, struct tally *tally);
    /* At most `limit` entries at and after `from`: keys and what was asked for. */
    void (*scan)(void *session, struct bytes from, uint64_t limit, enum scan_what what,
                 struct tally *tally);
    /* Keeps what is there now readable until the store is closed, whatever is deleted.  NULL: it
     * cannot, or only what fits its cache. */
    void (*keep)(void *store);
    /* Writes out what is in memory, and returns when that is done or has begun. */
    void (*settle)(void *store);
};

/* Ends with a NULL. */
extern const struct engine *const engines[];

#endif
