/*
 * requests.h - how many requests the kernel made, of which kind, and how long their answers took.
 *
 * Each thread that answers has a row of its own, in which nobody else writes: counting takes no lock
 * and no cache line from another.  Who wants to know adds the rows up.
 */
#ifndef FS_REQUESTS_H
#define FS_REQUESTS_H

#include <stdint.h>

/* Kinds are the kernel's opcodes; 0 has those that are not known here. */
#define REQUESTS_KINDS 64u
/* Bucket i counts what took up to REQUESTS_BOUND(i) nanoseconds, 1 us to 4.3 s in steps of four; the
 * last one whatever took longer. */
#define REQUESTS_BUCKETS  13u
#define REQUESTS_BOUND(i) (UINT64_C(1) << (10 + 2 * (i)))

struct requests;

struct requests_kind {
    uint64_t count;
    uint64_t nanoseconds; /* all of them together */
    uint64_t buckets[REQUESTS_BUCKETS];
};

/* NULL: no memory. */
struct requests *requests_new(unsigned threads);
void requests_free(struct requests *requests);

/* Nanoseconds since some moment. */
uint64_t requests_now(void);
/* By thread `thread` alone: a request that was read at `began` has been answered.  Returns now. */
uint64_t requests_count(struct requests *requests, unsigned thread, uint32_t opcode,
                        uint64_t began);

/* All threads' of one kind, so far. */
void requests_sum(const struct requests *requests, unsigned kind,
                  struct requests_kind *sum);
/* How many, of all kinds. */
uint64_t requests_total(const struct requests *requests);
/* "lookup"; NULL: the kernel has no such kind. */
const char *requests_name(unsigned kind);

#endif
