/* apart.h - work in a process of its own, whose samples go to the report. */
#ifndef BENCH_APART_H
#define BENCH_APART_H

#include "report.h"

/* Runs `work(context, out)` in a child, which writes its samples to `out`, and adds them to the
 * report.  False: the child failed and has said why, or this process was asked to end. */
bool run_apart(void (*work)(void *context, int out), void *context, struct report *report,
               unsigned subject);

/* Writes one to `out`; ends the process if nobody reads. */
void sample_emit(int out, const struct sample *sample);

/* From now on SIGINT and SIGTERM end the work that is running, and none begins. */
void catch_signals(void);
bool asked_to_end(void);

#endif
