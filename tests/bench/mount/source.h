/*
 * source.h - a tree of files beside the contenders, the same for all: what real programs copy,
 * unpack and clone from.
 */
#ifndef BENCH_SOURCE_H
#define BENCH_SOURCE_H

/* Makes `path`, a new directory: tree/ of 6,000 files (scale 1) in 300 directories, 150 MB, most of
 * them small, of text and of bytes that do not compress. */
void source_make(const char *path, double scale);

#endif
