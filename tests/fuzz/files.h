/*
 * files.h - an input that is a store's files, one behind the other, put into a directory in
 * memory.
 *
 *     offset  size  field
 *          0     1  kind    enum fuzz_kind, modulo FUZZ_KINDS
 *          1     1  number  of a table, a log or a blob file
 *          2     1  how     to seal it: 0 not at all; of a log, so many frames; of a table,
 *                           an odd one makes it fit (seal.h)
 *          3     3  size    little-endian, cut to what there is
 *          6     n  bytes
 */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include "base/report.h"
#include "fuzz.h"
#include "support/mem_env.h"

enum fuzz_kind {
    FUZZ_MANIFEST,
    FUZZ_LOG,
    FUZZ_TABLE,
    FUZZ_CLOSED,
    FUZZ_BLOB,
    FUZZ_KINDS,
};

#define FUZZ_FILES_MAX  16u
#define FUZZ_NUMBER_MAX 31u /* file numbers are taken modulo one more */

struct fuzz_files {
    struct mem_env *mem;
    struct lsmkv_env *env;
    struct env_dir *dir;      /* "store" */
    struct reporter reporter; /* says nothing */
};

void fuzz_files_init(struct fuzz_files *files);
void fuzz_files_fini(struct fuzz_files *files);

/* The log function of whoever shall say nothing. */
void fuzz_silence(void *context, enum lsmkv_level level, const char *line);

/* Replaces a file, durably. */
void fuzz_files_put(struct fuzz_files *files, const char *name, struct lsmkv_slice bytes);
bool fuzz_files_has(struct fuzz_files *files, const char *name);

/* What one entry of the input became. */
struct fuzz_file {
    enum fuzz_kind kind;
    uint64_t number;
    char name[32];
};

/* Puts all entries of the input; how many, at most FUZZ_FILES_MAX.  A later one replaces an
 * earlier one of its name, and `made` then has both. */
size_t fuzz_files_unpack(struct fuzz_files *files, struct fuzz_input *input,
                         struct fuzz_file *made);

#endif
