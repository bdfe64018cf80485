/* work.c - see work.h. */
#include "work.h"

#include <pthread.h>
#include <stdlib.h>

struct crew {
    pthread_barrier_t start;
    uint64_t deadline; /* meter_now(); 0: none */
};

struct place {
    struct crew *crew;
    struct worker *worker;
    bool cut;
};

static void
work_through(struct place *place)
{
    struct worker *worker = place->worker;
    const struct work *work = worker->work;
    uint64_t end = work->operations == 0 ? UINT64_MAX : work->operations;
    uint64_t before = meter_now(), after;

    for (uint64_t i = worker->index; i < end; i += work->threads, before = after) {
        if (place->crew->deadline != 0 && before >= place->crew->deadline) {
            place->cut = true;
            break;
        }
        work->step(worker, i);
        after = meter_now();
        histogram_add(&worker->latencies, after - before);
    }
}

static void *
worker_main(void *argument)
{
    struct place *place = argument;
    struct worker *worker = place->worker;
    const struct work *work = worker->work;
    const struct engine *engine = work->engine;

    worker->session =
        engine->session_open == NULL ? work->store : engine->session_open(work->store);
    pthread_barrier_wait(&place->crew->start); /* ready */
    pthread_barrier_wait(&place->crew->start); /* the deadline is set */
    work_through(place);
    pthread_barrier_wait(&place->crew->start); /* done */
    if (engine->session_close != NULL)
        engine->session_close(worker->session);
    return NULL;
}

static void
run_crew(const struct work *work, struct crew *crew, struct outcome *outcome)
{
    uint64_t begin, begin_cpu;

    pthread_barrier_wait(&crew->start);
    begin = meter_now();
    begin_cpu = meter_cpu();
    crew->deadline = work->seconds == 0 ? 0 : begin + (uint64_t)(work->seconds * 1e9);
    pthread_barrier_wait(&crew->start);
    pthread_barrier_wait(&crew->start);
    outcome->seconds = (double)(meter_now() - begin) / 1e9;
    outcome->cpu_seconds = (double)(meter_cpu() - begin_cpu) / 1e9;
}

static void
add_up(struct outcome *outcome, const struct place *place)
{
    const struct worker *worker = place->worker;

    outcome->tally.entries += worker->tally.entries;
    outcome->tally.bytes += worker->tally.bytes;
    outcome->tally.sum += worker->tally.sum;
    histogram_merge(&outcome->latencies, &worker->latencies);
    outcome->cut = outcome->cut || place->cut;
}

void
work_run(const struct work *work, struct outcome *outcome, struct histogram *by_worker)
{
    pthread_t *threads = need(work->threads * sizeof(*threads));
    struct worker *workers = need(work->threads * sizeof(*workers));
    struct place *places = need(work->threads * sizeof(*places));
    struct crew crew = {.deadline = 0};

    memset(outcome, 0, sizeof(*outcome));
    pthread_barrier_init(&crew.start, NULL, work->threads + 1);
    for (unsigned i = 0; i < work->threads; i++) {
        memset(&workers[i], 0, sizeof(workers[i]));
        workers[i].work = work;
        workers[i].index = i;
        workers[i].random.state = (uint64_t)i << 40;
        places[i] = (struct place){&crew, &workers[i], false};
        if (pthread_create(&threads[i], NULL, worker_main, &places[i]) != 0)
            die("a thread cannot be started");
    }
    run_crew(work, &crew, outcome);
    for (unsigned i = 0; i < work->threads; i++) {
        pthread_join(threads[i], NULL);
        add_up(outcome, &places[i]);
        if (by_worker != NULL)
            by_worker[i] = workers[i].latencies;
    }
    pthread_barrier_destroy(&crew.start);
    free(places);
    free(workers);
    free(threads);
}

double
outcome_rate(const struct outcome *outcome)
{
    return (double)outcome->latencies.count / outcome->seconds / 1e3;
}
