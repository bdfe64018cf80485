/* cli_report.c - see cli_report.h. */
#include "cli/cli_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 30u

void
report_begin(struct cli_report *report)
{
    report->bar = isatty(STDERR_FILENO) && !report->json && !report->quiet;
    report->colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

/* ---- progress ---- */

void
report_clear_bar(struct cli_report *report)
{
    if (report->bar_shown)
        fputs("\r\033[K", stderr);
    report->bar_shown = false;
}

void
report_bytes(void *context, uint64_t done, uint64_t total)
{
    struct cli_report *report = context;
    unsigned percent = total > 0 ? (unsigned)((double)done * 100 / (double)total) : 100;
    unsigned filled = percent * BAR_WIDTH / 100;
    if (!report->bar || (report->bar_shown && percent == report->percent))
        return;
    report->percent = percent;
    report->bar_shown = true;
    fprintf(stderr, "\r\033[K[%.*s%*s] %3u %%", (int)filled,
            "##############################", (int)(BAR_WIDTH - filled), "", percent);
    fflush(stderr);
}

void
report_amount(struct cli_report *report, const char *text)
{
    if (!report->bar)
        return;
    report->bar_shown = true;
    fprintf(stderr, "\r\033[K%s", text);
    fflush(stderr);
}

void
report_records(void *context, uint64_t records)
{
    char text[64];

    snprintf(text, sizeof text, "%llu records", (unsigned long long)records);
    report_amount(context, text);
}

/* ---- findings ---- */

void
report_json(json_t *object)
{
    if (!object)
        return; /* the exit status tells */
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

const char *
report_severity(enum lsmkv_severity severity)
{
    return severity == LSMKV_DAMAGE ? "damage" : "note";
}

/* What comes from a store, or from who serves it, does not command the terminal. */
static void
print_plain(const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        printf(byte >= ' ' && byte != 0x7f ? "%c" : "\\x%02x", byte);
    }
}

void
report_line(struct cli_report *report, const char *word, bool bad, const char *where,
            const char *text)
{
    bool red = report->colour && bad;
    report_clear_bar(report);
    printf("%s%s: ", red ? "\033[31m" : "", word);
    print_plain(where);
    print_plain(text);
    puts(red ? "\033[0m" : "");
    fflush(stdout);
}

void
report_file(struct cli_report *report, const struct lsmkv_finding *finding)
{
    const char *word = report_severity(finding->severity);
    char where[128] = "";
    if (report->json) {
        report_json(json_pack(
            "{ss so sI so}", "severity", word, "file", report_text(finding->file),
            "offset", (json_int_t)finding->offset, "text", report_text(finding->text)));
        return;
    }
    if (finding->file[0] != '\0')
        snprintf(where, sizeof where, "%s: offset %llu: ", finding->file,
                 (unsigned long long)finding->offset);
    report_line(report, word, finding->severity == LSMKV_DAMAGE, where, finding->text);
}

/* ---- what could not be done ---- */

int
report_unable(struct cli_report *report, const char *why)
{
    report_clear_bar(report);
    fprintf(stderr, "lsmfs %s: %s\n", report->name, why);
    return REPORT_UNABLE;
}

int
report_unable_at(struct cli_report *report, const char *path, int result)
{
    const char *detail = lsmkv_error_detail();
    char why[1024];
    if (strncmp(detail, path, strlen(path)) == 0)
        snprintf(why, sizeof why, "%s", detail);
    /* A file system that lacks a call has the same errno. */
    else if (result == -ENOTSUP && strncmp(detail, "MANIFEST", strlen("MANIFEST")) == 0)
        snprintf(why, sizeof why,
                 "%s: written by a newer version of lsmkv, which is no damage: %s", path,
                 detail);
    else
        snprintf(why, sizeof why, "%s: %s%s%s", path, lsmkv_strerror(result),
                 *detail ? ": " : "", detail);
    return report_unable(report, why);
}
