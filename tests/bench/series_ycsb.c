/*
 * series_ycsb.c - the core workloads of YCSB, on one store, in the order that YCSB advises: A, B,
 * C, F, D, E; those that insert come last.
 */
#include "series.h"

enum { SCAN_LONGEST = 100 };

enum operation { READ, UPDATE, READ_MODIFY_WRITE, INSERT, SCAN };

/* Each operation is the second kind with this chance, else the first. */
struct mix {
    const char *name;
    enum operation usual, other;
    unsigned other_percent;
    bool latest; /* prefers the keys that it inserted last to some that lie scattered */
};

static const struct mix mixes[] = {
    {"a", READ, UPDATE, 50, false}, {"b", READ, UPDATE, 5, false},
    {"c", READ, UPDATE, 0, false},  {"f", READ, READ_MODIFY_WRITE, 50, false},
    {"d", READ, INSERT, 5, true},   {"e", SCAN, INSERT, 5, false},
};

struct ycsb {
    const struct mix *mix;
    const struct zipf *zipf;
    uint64_t fresh; /* no key at or above was there before */
};

/* Numbers to insert are dealt out to the threads, so that each knows which of its own are
 * there. */
static uint64_t
inserted_key(const struct ycsb *ycsb, const struct worker *worker, uint64_t nth)
{
    return ycsb->fresh + nth * worker->work->threads + worker->index;
}

static uint64_t
choose_key(const struct ycsb *ycsb, struct worker *worker)
{
    uint64_t rank = zipf_next(ycsb->zipf, &worker->random);

    if (!ycsb->mix->latest)
        return permute(rank, worker->work->keys);
    if (rank < worker->inserted)
        return inserted_key(ycsb, worker, worker->inserted - 1 - rank);
    return worker->work->keys - 1 - (rank - worker->inserted);
}

static void
put(struct worker *worker, uint64_t n)
{
    struct key key = key_of(n);

    worker->work->engine->put(worker->session, key_bytes(&key),
                              payload_of(n, worker->work->payload));
}

static void
get(struct worker *worker, uint64_t n)
{
    struct key key = key_of(n);

    if (!worker->work->engine->get(worker->session, key_bytes(&key), &worker->tally))
        die("%s: %s is not there", worker->work->engine->name, key.text);
}

static void
scan(struct worker *worker, uint64_t n)
{
    struct key key = key_of(n);

    worker->work->engine->scan(worker->session, key_bytes(&key),
                               1 + random_below(&worker->random, SCAN_LONGEST),
                               SCAN_VALUES, &worker->tally);
}

static void
step_ycsb(struct worker *worker, uint64_t i)
{
    const struct ycsb *ycsb = worker->work->context;
    enum operation operation =
        random_below(&worker->random, 100) < ycsb->mix->other_percent ? ycsb->mix->other
                                                                      : ycsb->mix->usual;

    (void)i;
    switch (operation) {
    case READ:
        get(worker, choose_key(ycsb, worker));
        break;
    case UPDATE:
        put(worker, choose_key(ycsb, worker));
        break;
    case READ_MODIFY_WRITE: {
        uint64_t n = choose_key(ycsb, worker);

        get(worker, n);
        put(worker, n);
        break;
    }
    case INSERT:
        put(worker, inserted_key(ycsb, worker, worker->inserted++));
        break;
    case SCAN:
        scan(worker, choose_key(ycsb, worker));
        break;
    }
}

void
series_ycsb(struct bench *bench)
{
    struct zipf zipf;
    struct ycsb ycsb = {.zipf = &zipf};
    struct outcome outcome;

    zipf_init(&zipf, bench->keys);
    bench_open(bench, false);
    bench_fill(bench, &outcome);
    bench_settle(bench);
    for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
        struct work work =
            bench_work(bench, bench->series->threads, bench->keys / 2, step_ycsb);

        ycsb.mix = &mixes[i];
        ycsb.fresh = (i + 1) * bench->keys;
        work.context = &ycsb;
        work_run(&work, &outcome, NULL);
        outcome.cut = true; /* threads meet each other's puts: what is read differs */
        bench_emit_rate(bench, mixes[i].name, &outcome);
        bench_emit_latencies(bench, mixes[i].name, &outcome.latencies);
    }
    bench_close(bench);
}
