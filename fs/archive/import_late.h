/*
 * import_late.h - directories that have come, and what each is to get in the end (M4 of import_make.h):
 * a table by their numbers, so that one that comes again takes no more memory.
 */
#ifndef FS_IMPORT_LATE_H
#define FS_IMPORT_LATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "archive/import_traits.h"

struct import_late {
    char *path; /* its own */
    ino_t ino;  /* 0: it is gone */
    bool told;  /* something of it: it is counted among the failed */
    struct import_traits traits;
};

/* Zero it. */
struct import_lates {
    struct import_late *all;
    size_t count;
    /* private */
    size_t capacity;
    size_t *places; /* by number: 1 and an index of `all`; 0: none */
    size_t place_count;
};

/* Takes over `late`, in the place of an earlier one of that number.  -ENOMEM: it does not. */
LSMKV_CHECKED int import_lates_add(struct import_lates *lates,
                                   const struct import_late *late);
/* That directory was taken away. */
void import_lates_remove(struct import_lates *lates, ino_t ino);
/* What is in a directory before it; then none can be added any more. */
void import_lates_sort(struct import_lates *lates);
void import_lates_fini(struct import_lates *lates);

#endif
