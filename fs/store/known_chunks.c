/* known_chunks.c - see known_chunks.h. */
#include "store/known_chunks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* 512 MiB of files, in 1.2 MB that are taken from the system as they are used. */
#define PLACES 4096u

struct known_chunk {
    uint64_t data_id, index;
    struct chunk_state state; /* not present: nothing is known */
};

struct known_chunks {
    pthread_mutex_t mutex;
    struct known_chunk places[PLACES];
};

struct known_chunks *
known_chunks_new(void)
{
    struct known_chunks *known = calloc(1, sizeof *known);
    if (known)
        pthread_mutex_init(&known->mutex, NULL);
    return known;
}

void
known_chunks_free(struct known_chunks *known)
{
    if (known)
        pthread_mutex_destroy(&known->mutex);
    free(known);
}

/* The chunks of one file have places in a row. */
static struct known_chunk *
place_of(struct known_chunks *known, uint64_t data_id, uint64_t index)
{
    return &known->places[((data_id * UINT64_C(0x9e3779b97f4a7c15) >> 32) + index) %
                          PLACES];
}

static bool
find(struct known_chunks *known, uint64_t data_id, uint64_t index, bool stays,
     struct chunk_state *state)
{
    struct known_chunk *place = place_of(known, data_id, index);
    pthread_mutex_lock(&known->mutex);
    bool found =
        place->state.present && place->data_id == data_id && place->index == index;
    if (found) {
        *state = place->state;
        place->state.present = stays;
    }
    pthread_mutex_unlock(&known->mutex);
    return found;
}

bool
known_chunks_take(struct known_chunks *known, uint64_t data_id, uint64_t index,
                  struct chunk_state *state)
{
    return find(known, data_id, index, false, state);
}

bool
known_chunks_look(struct known_chunks *known, uint64_t data_id, uint64_t index,
                  struct chunk_state *state)
{
    return find(known, data_id, index, true, state);
}

void
known_chunks_give(struct known_chunks *known, uint64_t data_id, uint64_t index,
                  const struct chunk_state *state)
{
    pthread_mutex_lock(&known->mutex);
    *place_of(known, data_id, index) = (struct known_chunk){data_id, index, *state};
    pthread_mutex_unlock(&known->mutex);
}

void
known_chunks_forget(struct known_chunks *known, uint64_t data_id, uint64_t count)
{
    pthread_mutex_lock(&known->mutex);
    for (uint64_t i = 0; i < count && i < PLACES; i++) {
        struct known_chunk *place = place_of(known, data_id, i);
        if (place->data_id == data_id)
            place->state.present = false;
    }
    pthread_mutex_unlock(&known->mutex);
}

void
known_chunks_forget_all(struct known_chunks *known)
{
    pthread_mutex_lock(&known->mutex);
    memset(known->places, 0, sizeof known->places);
    pthread_mutex_unlock(&known->mutex);
}
