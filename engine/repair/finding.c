/* finding.c - see finding.h. */
#include "repair/finding.h"

#include <stdio.h>
#include <string.h>

static bool
is_file_name(const char *name)
{
    static const char *const names[] = {MANIFEST_NAME, CLOSED_NAME, LOCK_NAME,
                                        MANIFEST_TMP_NAME, CLOSED_TMP_NAME};
    uint64_t number;
    enum file_kind kind;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return file_name_parse(name, &number, &kind);
}

void
finding_from_line(enum lsmkv_severity severity, const char *line,
                  struct line_finding *out)
{
    const char *colon = strstr(line, ": ");
    unsigned long long offset;
    int used = 0;

    out->file[0] = '\0';
    out->finding = (struct lsmkv_finding){severity, out->file, 0, line};
    if (colon != NULL && (size_t)(colon - line) < sizeof(out->file)) {
        memcpy(out->file, line, (size_t)(colon - line));
        out->file[colon - line] = '\0';
    }
    if (!is_file_name(out->file)) {
        out->file[0] = '\0';
        return;
    }
    out->finding.text = colon + 2;
    if (sscanf(out->finding.text, "offset %llu: %n", &offset, &used) == 1 && used > 0) {
        out->finding.offset = offset;
        out->finding.text += used;
    }
}
