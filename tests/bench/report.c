/* report.c - see report.h. */
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

/* ---- collecting ---- */

static struct row *
find_row(struct report *report, const struct sample *sample)
{
    struct row *row;

    for (unsigned i = 0; i < report->row_count; i++)
        if (strcmp(report->rows[i].name, sample->row) == 0)
            return &report->rows[i];
    if (report->row_count == ROWS_MAX)
        die("more than %d rows", ROWS_MAX);
    row = &report->rows[report->row_count++];
    memcpy(row->name, sample->row, sizeof(row->name));
    memcpy(row->unit, sample->unit, sizeof(row->unit));
    row->better = sample->better;
    return row;
}

bool
report_add(struct report *report, unsigned subject, const struct sample *sample)
{
    struct row *row = find_row(report, sample);
    struct cell *cell = &row->cells[subject];

    if (row->check != 0 && sample->check != 0 && row->check != sample->check) {
        fprintf(stderr, "%s: %s: %s has read something else than the others\n",
                program_invocation_short_name, row->name, report->subjects[subject].name);
        return false;
    }
    if (sample->check != 0)
        row->check = sample->check;
    if (cell->count < REPEATS_MAX)
        cell->values[cell->count++] = sample->value;
    return true;
}

/* ---- statistics ---- */

static int
compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* How far apart the values are, as a share of their median, is left in `spread`. */
static double
median(const struct cell *cell, double *spread)
{
    struct cell sorted = *cell;
    unsigned last = sorted.count - 1;
    double middle;

    qsort(sorted.values, sorted.count, sizeof(sorted.values[0]), compare);
    middle = (sorted.values[last / 2] + sorted.values[sorted.count / 2]) / 2;
    *spread = middle == 0 ? 0 : (sorted.values[last] - sorted.values[0]) / middle;
    return middle;
}

/* The peer with the best median, or -1. */
static int
best_peer(const struct report *report, const struct row *row)
{
    int best = -1;
    double best_value = 0, spread;

    for (unsigned i = 1; i < report->subject_count; i++) {
        double value;

        if (row->cells[i].count == 0 || report->subjects[i].standing != PEER)
            continue;
        value = median(&row->cells[i], &spread);
        if (best < 0 || (row->better == BETTER_MORE) == (value > best_value)) {
            best = (int)i;
            best_value = value;
        }
    }
    return best;
}

/* 0: there is nothing to compare. */
static double
ratio(const struct row *row, int peer)
{
    double own, best, spread;

    if (peer < 0 || row->cells[0].count == 0 || row->cells[peer].count == 0)
        return 0;
    own = median(&row->cells[0], &spread);
    best = median(&row->cells[peer], &spread);
    if (own == 0 || best == 0)
        return 0;
    return row->better == BETTER_MORE ? own / best : best / own;
}

/* ---- the table ---- */

static void
print_cell(const struct cell *cell, FILE *out)
{
    double value, spread;

    if (cell->count == 0) {
        fprintf(out, " - |");
        return;
    }
    value = median(cell, &spread);
    fprintf(out, value < 10 ? " %.3g" : value < 100 ? " %.1f" : " %.0f", value);
    if (cell->count > 1)
        fprintf(out, " ±%.0f%%", spread * 50);
    fprintf(out, " |");
}

static void
print_head(const struct report *report, FILE *out)
{
    unsigned columns = report->subject_count + 3;

    fprintf(out, "| row | unit |");
    for (unsigned i = 0; i < report->subject_count; i++)
        fprintf(out, " %s |", report->subjects[i].name);
    fprintf(out, " %s / best other |", report->subjects[0].name);
    for (unsigned i = 0; i < report->subject_count; i++) {
        if (report->subjects[i].standing == YARDSTICK) {
            fprintf(out, " / %s |", report->subjects[i].name);
            columns++;
        }
    }
    fprintf(out, "\n|");
    for (unsigned i = 0; i < columns; i++)
        fprintf(out, "---|");
    fprintf(out, "\n");
}

static void
print_ratios(const struct report *report, const struct row *row, FILE *out)
{
    int peer = best_peer(report, row);
    double factor = ratio(row, peer);

    if (factor == 0)
        fprintf(out, " - |");
    else
        fprintf(out, " %.2f (%s) |", factor, report->subjects[peer].name);
    for (unsigned i = 0; i < report->subject_count; i++) {
        if (report->subjects[i].standing != YARDSTICK)
            continue;
        factor = ratio(row, (int)i);
        fprintf(out, factor == 0 ? " - |" : " %.2f |", factor);
    }
    fprintf(out, "\n");
}

void
report_print(const struct report *report, FILE *out)
{
    print_head(report, out);
    for (unsigned i = 0; i < report->row_count; i++) {
        const struct row *row = &report->rows[i];

        fprintf(out, "| %s | %s%s |", row->name, row->unit,
                row->better == BETTER_LESS ? ", less is better" : "");
        for (unsigned j = 0; j < report->subject_count; j++)
            print_cell(&row->cells[j], out);
        print_ratios(report, row, out);
    }
    fprintf(
        out,
        "\nMedians of at most %u; ± is half of what lies between the least and the most.\n",
        report->repeats);
}

/* ---- JSON ---- */

/* Names and texts are ours and need no escapes. */
static void
json_cell(const struct cell *cell, const char *name, FILE *out)
{
    double spread;

    fprintf(out, "\"%s\": {\"median\": %.6g, \"values\": [", name, median(cell, &spread));
    for (unsigned i = 0; i < cell->count; i++)
        fprintf(out, "%s%.6g", i == 0 ? "" : ", ", cell->values[i]);
    fprintf(out, "]}");
}

static void
json_row(const struct report *report, const struct row *row, FILE *out)
{
    int peer = best_peer(report, row);
    double factor = ratio(row, peer);
    const char *comma = "";

    fprintf(out, "  {\"row\": \"%s\", \"unit\": \"%s\", \"better\": \"%s\",\n", row->name,
            row->unit, row->better == BETTER_MORE ? "more" : "less");
    fprintf(out, "   \"engines\": {");
    for (unsigned i = 0; i < report->subject_count; i++) {
        if (row->cells[i].count == 0)
            continue;
        fprintf(out, "%s", comma);
        json_cell(&row->cells[i], report->subjects[i].name, out);
        comma = ",\n    ";
    }
    fprintf(out, "}");
    if (factor != 0)
        fprintf(out, ",\n   \"best_peer\": \"%s\", \"ratio\": %.4g",
                report->subjects[peer].name, factor);
    fprintf(out, ",\n   \"ratios\": {");
    comma = "";
    for (unsigned i = 0; i < report->subject_count; i++) {
        factor = report->subjects[i].standing == YARDSTICK ? ratio(row, (int)i) : 0;
        if (factor == 0)
            continue;
        fprintf(out, "%s\"%s\": %.4g", comma, report->subjects[i].name, factor);
        comma = ", ";
    }
    fprintf(out, "}}");
}

void
report_json(const struct report *report, FILE *out)
{
    struct utsname system;
    char date[32];
    time_t now = time(NULL);

    uname(&system);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    fprintf(out,
            "{\"program\": \"%s\", \"date\": \"%s\", \"system\": \"%s %s\", "
            "\"processors\": %ld,\n",
            program_invocation_short_name, date, system.sysname, system.machine,
            sysconf(_SC_NPROCESSORS_ONLN));
    fprintf(out, " \"scale\": %g, \"repeats\": %u,\n \"engines\": [", report->scale,
            report->repeats);
    for (unsigned i = 0; i < report->subject_count; i++) {
        const struct subject *subject = &report->subjects[i];

        fprintf(out,
                "%s\n  {\"name\": \"%s\", \"build\": \"%s\",\n"
                "   \"durability\": \"%s\"}",
                i == 0 ? "" : ",", subject->name, subject->build, subject->durability);
    }
    fprintf(out, "],\n \"rows\": [");
    for (unsigned i = 0; i < report->row_count; i++) {
        fprintf(out, "%s\n", i == 0 ? "" : ",");
        json_row(report, &report->rows[i], out);
    }
    fprintf(out, "]}\n");
}

void
report_save(const struct report *report, const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL)
        die("%s: %s", path, strerror(errno));
    report_json(report, file);
    if (ferror(file) || fclose(file) != 0)
        die("%s cannot be written", path);
}
