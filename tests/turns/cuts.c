/* cuts.c - see cuts.h. */
#include "turns/cuts.h"

#include <pthread.h>
#include <stdlib.h>

#include "support/random.h"
#include "support/rounds.h"
#include "turns/turns.h"

#define EVERY  512 /* of so many recoveries one is cut at each of its calls, */
#define SINGLE 3   /* and of so many one at a single call among the first */
#define FIRST  30
#define DEATHS 8                        /* of so many calls the process dies at one, */
#define DYING  UINT64_C(0x6b696c6c6564) /* which makes its image another */

static const struct mem_crash policies[CUTS_POLICIES] = {
    {MEM_DATA_ALL, MEM_NAMES_KEPT},    {MEM_DATA_NONE, MEM_NAMES_DROPPED},
    {MEM_DATA_NONE, MEM_NAMES_KEPT},   {MEM_DATA_ALL, MEM_NAMES_DROPPED},
    {MEM_DATA_RANDOM, MEM_NAMES_KEPT}, {MEM_DATA_RANDOM, MEM_NAMES_RANDOM},
};

void
cuts_begin_round(struct cuts *cuts, uint64_t seed)
{
    cuts->seed = seed;
}

void
cuts_end_round(struct cuts *cuts)
{
    seen_fini(&cuts->looks, free);
}

void
cuts_fini(struct cuts *cuts)
{
    seen_fini(&cuts->looks, free);
    seen_fini(&cuts->all, NULL);
}

uint64_t
cuts_limit_given(uint64_t otherwise)
{
    const char *given = getenv("LSMKV_IMAGES");

    return given != NULL ? strtoull(given, NULL, 10) : rounds_of(otherwise, 0);
}

uint64_t
cuts_distinct(const struct cuts *cuts)
{
    return cuts->all.count;
}

bool
cuts_are_enough(const struct cuts *cuts)
{
    return cuts->limit != 0 && cuts->all.count >= cuts->limit;
}

bool
cuts_wants(const struct cuts *cuts, uint64_t ordinal, enum env_call call)
{
    return env_call_changes(call) && ordinal % rounds_one_in() == 0 &&
           !cuts_are_enough(cuts);
}

/* A recovery that has changed nothing yet leaves the image that it is recovering. */
static bool
is_being_looked_at(const struct cuts *cuts, uint64_t hash)
{
    for (unsigned i = 0; i < cuts->depth; i++)
        if (cuts->looking[i] == hash)
            return true;
    return false;
}

static void *
look_at(struct cuts *cuts, struct mem_env *image, uint64_t hash)
{
    void *look;

    cuts->looking[cuts->depth] = hash;
    turns_begin(cuts->seed ^ hash);
    look = cuts->look(cuts->context, image);
    turns_end();
    (void)seen_add(&cuts->looks, hash, look);
    return look;
}

static void
check(struct cuts *cuts, struct mem_env *image, const void *bounds)
{
    uint64_t hash = mem_env_hash(image);
    void *look = seen_find(&cuts->looks, hash);
    const void *outer = cuts->bounds;

    cuts->images++;
    cuts->again[cuts->depth]++;
    cuts->digest += hash;
    if (is_being_looked_at(cuts, hash))
        return;
    (void)seen_add(&cuts->all, hash, NULL);
    cuts->bounds = bounds;
    if (look == NULL)
        look = look_at(cuts, image, hash);
    cuts->bounds = outer;
    cuts->judge(cuts->context, look, bounds);
}

/* The process dies at this call, and the power goes in the recovery from that. */
static void
check_death(struct cuts *cuts, struct mem_env *env, const void *bounds)
{
    struct mem_env *survivor = mem_env_kill(env);
    uint64_t hash = mem_env_hash(survivor) ^ DYING;

    if (seen_find(&cuts->looks, hash) == NULL) {
        cuts->bounds = bounds;
        cuts->dying = true;
        cuts->judge(cuts->context, look_at(cuts, survivor, hash), bounds);
        cuts->deaths++;
    }
    mem_env_free(survivor);
}

/* One image of each policy, or of one that is drawn. */
static void
take(struct cuts *cuts, struct mem_env *env, uint64_t seed, bool all, const void *bounds)
{
    struct random random = random_of(seed);
    uint64_t begin = all ? 0 : random_below(&random, CUTS_POLICIES);
    uint64_t end = all ? CUTS_POLICIES : begin + 1;

    for (uint64_t i = begin; i < end; i++) {
        struct mem_env *image;

        if (cuts_are_enough(cuts))
            return;
        image = mem_env_crash(env, policies[i], random_next(&random));
        check(cuts, image, bounds);
        mem_env_free(image);
    }
}

void
cuts_take(struct cuts *cuts, struct mem_env *env, uint64_t ordinal, const void *bounds)
{
    struct random random = random_of(cuts->seed * 37 + ordinal);

    take(cuts, env, cuts->seed * 31 + ordinal, true, bounds);
    if (random_below(&random, DEATHS) == 0 && !cuts_are_enough(cuts))
        check_death(cuts, env, bounds);
}

/* ---- while an image opens ---- */

static void
at_recovery(void *context, uint64_t ordinal, enum env_call call)
{
    struct cuts_recovery *recovery = context;
    struct cuts *cuts = recovery->cuts;

    (void)ordinal;
    if (!env_call_changes(call) || !turns_inside())
        return;
    recovery->number++;
    if (recovery->at != 0 && recovery->at != recovery->number)
        return;
    cuts->depth++;
    take(cuts, recovery->env, recovery->seed + recovery->number,
         recovery->at == 0 || recovery->dying, cuts->bounds);
    cuts->depth--;
}

bool
cuts_opening(struct cuts *cuts, struct mem_env *image)
{
    uint64_t seed = cuts->seed ^ (mem_env_hash(image) * 3);
    struct random random = random_of(seed);
    bool dying = cuts->dying, every = random_below(&random, dying ? DEATHS : EVERY) == 0;

    cuts->dying = false;
    if (cuts->depth == CUTS_DEPTH ||
        (!every && !dying && random_below(&random, SINGLE) != 0))
        return false;
    cuts->recoveries[cuts->depth] = (struct cuts_recovery){
        cuts, image, 0, every ? 0 : 1 + random_below(&random, FIRST), seed, dying};
    mem_env_set_hook(image, at_recovery, &cuts->recoveries[cuts->depth]);
    return true;
}

void
cuts_opened(struct cuts *cuts, struct mem_env *image)
{
    (void)cuts;
    mem_env_set_hook(image, NULL, NULL);
}
