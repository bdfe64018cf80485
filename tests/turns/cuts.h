/*
 * cuts.h - a power cut at every call that changes storage.
 *
 * A sweep's hook hands each such call over.  For it images are taken of what a power cut now
 * could leave; each that is new is opened once, in a world of its own (turns.h), to see what it
 * holds; that, found again by the image's hash when the same image comes back later, is held
 * against what must be there at this moment:
 *
 *     mem_env_crash --> hash --> new? --> look: opens it, reads everything
 *                         |                 |       |
 *                         |                 v       +--> cuts again while it opens, to a depth
 *                         +------- known -> judge        of CUTS_DEPTH
 *
 * At some calls the process dies instead, and the power goes while another one recovers the
 * store: what was written and not synced is found then, and lost again.
 *
 * Everything is drawn from the round's seed and the image itself, so a seed replays.
 */
#ifndef CUTS_H
#define CUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "support/mem_env.h"
#include "support/seen.h"

#define CUTS_DEPTH    3 /* a cut in the recovery from a cut in a recovery */
#define CUTS_POLICIES 6

struct cuts;

struct cuts_recovery {
    struct cuts *cuts;
    struct mem_env *env;
    uint64_t number; /* calls seen */
    uint64_t at;     /* the call to cut at; 0: at each */
    uint64_t seed;
    bool dying; /* of a process that died: what it wrote is not yet durable */
};

/* Set what is marked, leave the rest zero. */
struct cuts {
    void *context; /* set: for the next two */
    /* Set: what the image holds, malloced; exits when it holds what no image may. */
    void *(*look)(void *context, struct mem_env *image);
    /* Set: exits when what was seen in an image may not be so now. */
    void (*judge)(void *context, const void *look, const void *bounds);
    uint64_t limit; /* set: different images after which none is taken any more */
    uint64_t seed;  /* of the round */
    uint64_t images, again[CUTS_DEPTH + 1]; /* taken; at that depth of recoveries */
    uint64_t deaths;                        /* of the process, its recovery cut */
    uint64_t digest; /* of all images in any order: the same for the same seed */
    struct seen all; /* images of all rounds */
    struct seen looks;
    const void *bounds;
    unsigned depth;
    bool dying; /* the next to open is what a dead process left */
    /* The hash of the image that is being looked at, by depth. */
    uint64_t looking[CUTS_DEPTH + 1];
    struct cuts_recovery recoveries[CUTS_DEPTH];
};

void cuts_begin_round(struct cuts *cuts, uint64_t seed);
void cuts_end_round(struct cuts *cuts);
void cuts_fini(struct cuts *cuts);

/* LSMKV_IMAGES, or of `otherwise` what this build makes of its rounds (rounds.h). */
uint64_t cuts_limit_given(uint64_t otherwise);
/* Different images so far. */
uint64_t cuts_distinct(const struct cuts *cuts);
bool cuts_are_enough(const struct cuts *cuts);

/* For a hook: are images to be taken at this call?  It changes storage, this build takes it (one of
 * so many as rounds.h says, so that a part of all images comes from all of a round), and there are
 * not enough yet. */
bool cuts_wants(const struct cuts *cuts, uint64_t ordinal, enum env_call call);

/* For a hook of `env`, at a call that cuts_wants: `bounds` is what judge is given. */
void cuts_take(struct cuts *cuts, struct mem_env *env, uint64_t ordinal,
               const void *bounds);

/* For look, around its first opening of the image.  True: the power shall be cut meanwhile, so
 * that background work should be waited for before cuts_opened. */
bool cuts_opening(struct cuts *cuts, struct mem_env *image);
void cuts_opened(struct cuts *cuts, struct mem_env *image);

#endif
