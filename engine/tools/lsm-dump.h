/* lsm-dump.h - what the files of lsm-dump share: what was asked for, and one table's
 * dump. */
#ifndef TOOLS_LSM_DUMP_H
#define TOOLS_LSM_DUMP_H

#include "table/table.h"
#include "tools/print.h"

struct dump {
    /* What is printed. */
    bool entries;
    bool keys_only; /* of entries */
    bool index, filter, properties, verify;

    /* Which entries; NULL data: no limit. */
    struct lsmkv_slice from, to, prefix;

    struct printer printer;
    struct table_context context;
};

/* How a dump ended, worst last. */
enum dump_result { DUMP_GOOD = 0, DUMP_DAMAGED = 1, DUMP_FAILED = 2 };

/* Prints what was asked for of an open table.  Damage has been reported when it
 * returns. */
enum dump_result dump_table(struct dump *dump, struct table *table);

/* The same of a blob file; `size` 0: whatever it has. */
enum dump_result dump_blob(struct dump *dump, uint64_t number, uint64_t size);
/* Whether `name` is a blob file's, "000012.blob". */
bool dump_is_blob_name(const char *name, uint64_t *number);

/* Dumps the tables that the MANIFEST of context.dir names, by keyspace and level.  Takes
 * no lock and changes nothing; a table that a running store replaces meanwhile is passed
 * over. */
enum dump_result dump_store(struct dump *dump, const char *path);

#endif
