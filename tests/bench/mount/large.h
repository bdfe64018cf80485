/* large.h - one large file: written in pieces as cp writes them, synced, read cold. */
#ifndef BENCH_LARGE_H
#define BENCH_LARGE_H

struct bench;

/* Of so many GiB at scale 1.  Emits the rows write-fsync and read-cold. */
void large_write_and_read(const struct bench *bench, unsigned gibibytes);

#endif
