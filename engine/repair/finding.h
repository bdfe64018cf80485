/*
 * finding.h - from a reporter's line about a file of the store to a finding (report.h).
 */
#ifndef REPAIR_FINDING_H
#define REPAIR_FINDING_H

#include "db/db.h"

/* A finding, and the name that it points to. */
struct line_finding {
    struct lsmkv_finding finding;
    char file[TABLE_NAME_SIZE];
};

/* Takes "FILE: " and then "offset N: " off the line, as far as they stand there; the
 * rest, which is borrowed, is the text. */
void finding_from_line(enum lsmkv_severity severity, const char *line,
                       struct line_finding *out);

#endif
