/*
 * fsck.c - a check of one state: the arrays of facts, how findings are told, and the
 * order of the walks.
 *
 *     default   every name             inodes in use, references, contents
 *     inodes    'i' what names share   more of them; links = references
 *               'n'                    = directories with such a number
 *               'o', 't'               contents that are to be swept
 *               'x'                    extended attributes of an inode in use
 *     chunks    all                    each of one file or orphan, within it
 *
 * The keys of the three keyspaces ascend by the numbers that the facts are sorted by, so
 * that nothing but the facts is kept (fsck.h).
 */
#include "check/fsck.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/fsck_facts.h"
#include "store/data.h"

#define PROGRESS_STEP 4096u       /* records */
#define PROGRESS_SIZE (16u << 20) /* bytes, whatever comes first */
#define WHERE_SIZE    1024u

/* ---- facts ---- */

int
facts_add(struct fact_array *facts, const void *fact)
{
    if (facts->count == facts->capacity) {
        size_t capacity = facts->capacity ? facts->capacity + facts->capacity / 2 : 1024;
        void *items = reallocarray(facts->items, capacity, facts->size);
        if (!items)
            return -ENOMEM;
        facts->items = items;
        facts->capacity = capacity;
    }
    memcpy((char *)facts->items + facts->count++ * facts->size, fact, facts->size);
    return 0;
}

uint64_t
facts_number(const struct fact_array *facts, size_t i)
{
    uint64_t number;
    memcpy(&number, (const char *)facts->items + i * facts->size, sizeof number);
    return number;
}

static int
compare_facts(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

void
facts_sort(struct fact_array *facts)
{
    if (facts->count > 0)
        qsort(facts->items, facts->count, facts->size, compare_facts);
}

void *
facts_find(const struct fact_array *facts, uint64_t number)
{
    size_t low = 0, high = facts->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (facts_number(facts, middle) < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == facts->count || facts_number(facts, low) != number)
        return NULL;
    return (char *)facts->items + low * facts->size;
}

static void
facts_free(struct fact_array *facts)
{
    free(facts->items);
}

/* ---- telling ---- */

static void tell(struct fsck *check, enum lsmkv_severity severity, const char *where,
                 struct lsmkv_slice key, const char *format, va_list arguments)
    __attribute__((format(printf, 5, 0)));

static void
tell(struct fsck *check, enum lsmkv_severity severity, const char *where,
     struct lsmkv_slice key, const char *format, va_list arguments)
{
    char text[512];
    struct fsck_finding finding = {.severity = severity,
                                   .where = where,
                                   .text = text,
                                   .problem = check->next.problem,
                                   .number = check->next.number,
                                   .value = check->next.value,
                                   .key = key};
    check->next.problem = FSCK_UNMENDABLE;
    vsnprintf(text, sizeof text, format, arguments);
    check->damage += severity == LSMKV_DAMAGE;
    check->report->finding(check->report->context, &finding);
}

void
fsck_print_key(struct lsmkv_slice key, char *out, size_t size)
{
    const unsigned char *bytes = key.data;
    size_t used = 0;
    if (key.size == 0)
        snprintf(out, size, "(root)");
    for (size_t i = 0; i < key.size && used + 5 < size; i++) {
        bool plain = bytes[i] > ' ' && bytes[i] < 0x7f && bytes[i] != '\\';
        int length =
            snprintf(out + used, size - used, plain ? "%c" : "\\x%02x", bytes[i]);
        used += (size_t)length;
    }
}

void
fsck_tell_key(struct fsck *check, enum lsmkv_severity severity, struct lsmkv_slice key,
              const char *format, ...)
{
    char where[WHERE_SIZE];
    va_list arguments;
    fsck_print_key(key, where, sizeof where);
    va_start(arguments, format);
    tell(check, severity, where, key, format, arguments);
    va_end(arguments);
}

void
fsck_tell_number(struct fsck *check, const char *what, uint64_t number,
                 const char *format, ...)
{
    char where[64];
    va_list arguments;
    snprintf(where, sizeof where, "%s %llu", what, (unsigned long long)number);
    va_start(arguments, format);
    tell(check, LSMKV_DAMAGE, where, lsmkv_bytes(NULL, 0), format, arguments);
    va_end(arguments);
}

void
fsck_mendable(struct fsck *check, enum fsck_problem problem, uint64_t number,
              uint64_t value)
{
    check->next.problem = problem;
    check->next.number = number;
    check->next.value = value;
}

int
fsck_count(struct fsck *check, const struct lsmkv_record *record)
{
    const struct fsck_report *report = check->report;
    check->records++;
    check->untold.records++;
    check->untold.bytes += record->value.size;
    if (!report->progress ||
        (check->untold.records < PROGRESS_STEP && check->untold.bytes < PROGRESS_SIZE))
        return 0;
    check->untold.records = check->untold.bytes = 0;
    return report->progress(report->context, check->records) ? 0 : -ECANCELED;
}

/* ---- what the walks share ---- */

int
fsck_iterate(const struct fsck *check, struct lsmkv_keyspace *keyspace,
             struct lsmkv_slice lower, struct lsmkv_slice upper, struct lsmkv_iter **iter)
{
    struct lsmkv_iter_options options = {
        .snapshot = check->snapshot, .lower = lower, .upper = upper};
    if (check->report->salvaging)
        return lsmkv_iter_new_salvaging(check->store->db, keyspace, &options, iter);
    return lsmkv_iter_new(check->store->db, keyspace, &options, iter);
}

/* What is wrong with a file's attributes by themselves; NULL: nothing. */
static const char *
problem_of(const struct fsck *check, const struct attr *attr,
           const struct lsmkv_record *record)
{
    bool chunks = attr->data.kind == ATTR_CHUNKS;
    if (attr->ino == 0)
        return "its inode number is 0";
    if (attr->ino < ATTR_INO_IMPLIED && attr->ino >= check->inode_bound)
        return "its inode number was never given out";
    if (chunks && !S_ISREG(attr->mode))
        return "it has chunks, but is no regular file";
    if (chunks && record->value.size > 0)
        return "it has a value beside its chunks";
    if (chunks && (attr->data.id == 0 || attr->data.id >= check->data_bound))
        return "its data id was never given out";
    if (chunks && attr->data.size > DATA_SIZE_MAX)
        return "its size is above the largest";
    if (S_ISLNK(attr->mode) && (record->value.size == 0 || record->value.size > 4095))
        return "it is a symbolic link whose target has no valid length";
    return NULL;
}

int
fsck_note_file(struct fsck *check, const struct attr *attr,
               const struct lsmkv_record *record, const struct lsmkv_slice *key)
{
    struct fact_inode inode = {.ino = attr->ino, .xattrs = attr->xattr_records};
    struct fact_contents contents = {
        .id = attr->data.id,
        .ino = attr->ino,
        .size = attr->data.size,
        .chunks = attr->data.chunks,
        .first_dead = UINT64_MAX,
    };
    const char *problem;
    if (attr->plain)
        return 0;
    problem = problem_of(check, attr, record);
    if (problem && key)
        fsck_tell_key(check, LSMKV_DAMAGE, *key, "%s", problem);
    else if (problem)
        fsck_tell_number(check, "inode", attr->ino, "%s", problem);
    int result = facts_add(&check->inodes, &inode);
    if (result == 0 && attr->data.kind == ATTR_CHUNKS)
        result = facts_add(&check->contents, &contents);
    return result;
}

/* ---- the order ---- */

static int
run(struct fsck *check)
{
    int result = fsck_tree(check);
    if (result == 0 && check->store->inodes)
        result = fsck_records(check);
    if (result == 0 && check->store->chunks)
        result = fsck_chunks(check);
    return result;
}

int
fsck_run(struct store *store, const struct lsmkv_snapshot *snapshot,
         const struct fsck_report *report, uint64_t *damage)
{
    struct fsck check = {
        .store = store,
        .snapshot = snapshot,
        .report = report,
        .inodes = {.size = sizeof(struct fact_inode)},
        .references = {.size = sizeof(struct fact_reference)},
        .contents = {.size = sizeof(struct fact_contents)},
        .trims = {.size = sizeof(struct fact_trim)},
    };
    store_reserved(store, &check.inode_bound, &check.data_bound);
    int result = run(&check);
    facts_free(&check.inodes);
    facts_free(&check.references);
    facts_free(&check.contents);
    facts_free(&check.trims);
    *damage = check.damage;
    return result;
}

/* ---- snapshots ---- */

struct names {
    char (*names)[LSMKV_NAME_MAX + 1];
    size_t count;
};

static int
add_name(void *context, const struct lsmkv_snapshot_info *info)
{
    struct names *names = context;
    void *grown = reallocarray(names->names, names->count + 1, sizeof *names->names);
    if (!grown)
        return -ENOMEM;
    names->names = grown;
    snprintf(names->names[names->count++], LSMKV_NAME_MAX + 1, "%s", info->name);
    return 0;
}

/* One that was dropped since the list was made is passed over. */
static int
run_named(struct store *store, const struct fsck_report *report, const char *name)
{
    struct lsmkv_snapshot *snapshot;
    uint64_t damage;
    int result = lsmkv_snapshot_open(store->db, name, &snapshot, NULL);
    if (result)
        return result == -ENOENT ? 0 : result;
    result = fsck_run(store, snapshot, report, &damage);
    lsmkv_snapshot_release(store->db, snapshot);
    return result;
}

int
fsck_run_named(struct store *store, const struct fsck_report *report,
               void (*begin)(void *context, const char *name))
{
    struct names names = {0};
    int result = lsmkv_snapshot_list(store->db, add_name, &names);
    for (size_t i = 0; i < names.count && result == 0; i++) {
        begin(report->context, names.names[i]);
        result = run_named(store, report, names.names[i]);
    }
    free(names.names);
    return result;
}
