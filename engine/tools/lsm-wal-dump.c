/*
 * lsm-wal-dump.c - shows a write-ahead log frame by frame, and why reading it ends.
 *
 * Of a store it reads all logs in order, and judges an older one as recovery would: by
 * the end that the first frame of its successor names.  It opens files for reading only
 * and takes no lock; of a log that is being written it shows what was there when it was
 * opened.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "env/env.h"
#include "log/batch.h"
#include "log/frame.h"
#include "log/wal.h"
#include "log/wal_file.h"
#include "lsmkv.h"
#include "tools/print.h"

enum status {
    STATUS_CLEAN = 0,
    STATUS_DAMAGED = 1,
    STATUS_USAGE = 2,
    STATUS_UNREADABLE = 3,
    STATUS_TORN = 4,
};

static const char help[] =
    "usage: lsm-wal-dump [--json] [--hex] [--number N] FILE|STORE\n"
    "\n"
    "Shows the frames of a write-ahead log (FILE), or of all logs of a store in order:\n"
    "offset, length, checksum, sequences and operations, and at which offset and why each\n"
    "log ends: clean_end, zero_tail, torn_frame or damage.  Changes nothing\n"
    "and needs no lock.\n"
    "\n"
    "      --json       one JSON object a line, bytes as hex and, if they are UTF-8, as text\n"
    "      --hex        keys, attributes and values as hex\n"
    "      --number N   the log's number, if FILE is not named like 000007.log: it is part\n"
    "                   of every checksum\n"
    "  -h, --help       this text\n"
    "  -V, --version    the version\n"
    "\n"
    "Exit status: 0 every log ends well; 1 damage; 2 usage; 3 something could not be read;\n"
    "4 the newest log ends in a torn frame, as a crash may leave it.\n";

struct dump {
    struct printer printer;
    uint64_t number; /* 0: from the name */
    struct env_dir *dir;
    struct reporter reporter;
    enum status status;
};

/* One log, and what a newer one says of it. */
struct log {
    uint64_t number;
    struct wal_previous previous;
    uint64_t successor; /* 0: none names it */
    uint64_t end;       /* that it names */
};

/* The gravest status stays. */
static void
note(struct dump *dump, enum status status)
{
    static const int gravity[] = {
        [STATUS_CLEAN] = 0,   [STATUS_TORN] = 1,       [STATUS_USAGE] = 2,
        [STATUS_DAMAGED] = 3, [STATUS_UNREADABLE] = 4,
    };

    if (gravity[status] > gravity[dump->status])
        dump->status = status;
}

/* ---- frames ---- */

static void
print_operation(struct printer *printer, const struct log *log,
                const struct batch_entry *entry)
{
    print_begin(printer, "operation");
    print_number(printer, "log", log->number);
    print_number(printer, "sequence", entry->sequence);
    print_word(printer, "kind", print_kind_name(entry->kind));
    print_number(printer, "keyspace", entry->keyspace);
    print_bytes(printer, "key", entry->key);
    if (kind_is_put(entry->kind)) {
        print_number(printer, "stamp_sequence", entry->record.stamp_sequence);
        print_signed(printer, "stamp_time", entry->record.stamp_time);
        print_bytes(printer, "attributes", entry->record.attributes);
        if (kind_is_apart(entry->kind))
            print_reference(printer, entry->record.value);
        else
            print_bytes(printer, "value", entry->record.value);
    }
    print_end(printer);
}

static void
print_place(struct printer *printer, const struct log *log, uint64_t offset,
            uint64_t length, const char *checksum)
{
    print_number(printer, "log", log->number);
    print_number(printer, "offset", offset);
    print_number(printer, "length", length);
    print_word(printer, "checksum", checksum);
}

static void
print_batch(struct printer *printer, const struct log *log, const struct wal_frame *frame)
{
    struct batch_reader entries;
    struct batch_entry entry;

    if (batch_read(&entries, frame->entries, frame->first_sequence) < 0)
        return; /* cannot be: wal_read has read every entry */
    print_begin(printer, "batch");
    print_place(printer, log, frame->offset, frame->entries.size, "ok");
    print_number(printer, "first_sequence", frame->first_sequence);
    print_number(printer, "entries", entries.left);
    print_number(printer, "synced", frame->synced);
    print_signed(printer, "time", entries.time);
    if (log->successor != 0 && frame->offset >= log->end)
        print_bool(printer, "ignored", true);
    print_end(printer);
    while (batch_next(&entries, &entry) > 0)
        print_operation(printer, log, &entry);
}

static void
print_first(struct printer *printer, const struct log *log, const struct wal_frame *frame)
{
    struct frame_first first;

    if (frame_first_decode(frame->entries, &first) < 0)
        return; /* cannot be: wal_read has decoded it */
    print_begin(printer, "first");
    print_place(printer, log, frame->offset, frame->entries.size, "ok");
    print_number(printer, "version", first.version);
    print_number(printer, "features", first.features);
    print_number(printer, "previous", first.previous);
    print_number(printer, "previous_end", first.end);
    print_end(printer);
}

/* What stands in the header of a frame that is bad, if all of it is there. */
static void
print_bad(struct dump *dump, const struct log *log, const char *name, uint64_t offset,
          bool is_checksum_good)
{
    uint8_t bytes[FRAME_HEADER_SIZE];
    struct frame_header header;
    struct wal_file file;
    bool is_there = false;

    if (wal_file_open(&file, dump->dir, name, log->number, ENV_READ, &dump->reporter) < 0)
        return; /* reported; the frames were read, so only this line is missing */
    if (offset <= file.size && file.size - offset >= sizeof(bytes))
        is_there = wal_file_read(&file, offset, bytes, sizeof(bytes)) == 0;
    (void)wal_file_close(&file); /* only read */
    if (!is_there)
        return;
    frame_header_decode(bytes, &header);
    print_begin(&dump->printer, "bad_frame");
    print_place(&dump->printer, log, offset, header.length,
                is_checksum_good ? "ok" : "bad");
    print_number(&dump->printer, "frame_type", header.type);
    print_number(&dump->printer, "first_sequence", header.first_sequence);
    print_number(&dump->printer, "synced", header.synced);
    print_end(&dump->printer);
}

/* ---- why it ends ---- */

static const char *
stop_name(enum wal_stop stop)
{
    switch (stop) {
    case WAL_CLEAN_END:
        return "clean_end";
    case WAL_ZERO_TAIL:
        return "zero_tail";
    case WAL_TORN:
        return "torn_frame";
    case WAL_DAMAGED:
        return "damage";
    }
    return "?";
}

static void
print_stop(struct dump *dump, const struct log *log, enum wal_stop stop, uint64_t offset,
           const char *reason)
{
    print_begin(&dump->printer, "end");
    print_number(&dump->printer, "log", log->number);
    print_number(&dump->printer, "offset", offset);
    print_word(&dump->printer, "stop", stop_name(stop));
    print_word(&dump->printer, "reason", reason); /* last: it has spaces */
    print_end(&dump->printer);
    if (stop == WAL_DAMAGED)
        note(dump, STATUS_DAMAGED);
    else if (stop == WAL_TORN)
        note(dump, STATUS_TORN);
}

/* Judges the end by what the successor says, if there is one. */
static void
dump_stop(struct dump *dump, const struct log *log, const struct wal_reader *reader,
          const char *name)
{
    char reason[240];
    uint64_t offset;
    enum wal_stop stop = wal_reader_stop(reader, &offset);

    if (stop == WAL_TORN || stop == WAL_DAMAGED)
        print_bad(dump, log, name, offset, wal_reader_error(reader) == -EUCLEAN);
    if (log->successor == 0) {
        print_stop(dump, log, stop, offset, wal_reader_reason(reader));
    } else if (offset < log->end) {
        snprintf(reason, sizeof(reason),
                 "%s; but log %llu says it was durable up to %llu",
                 stop == WAL_TORN ? "a bad frame" : wal_reader_reason(reader),
                 (unsigned long long)log->successor, (unsigned long long)log->end);
        print_stop(dump, log, WAL_DAMAGED, offset, reason);
    } else {
        snprintf(reason, sizeof(reason), "where log %llu says; at %llu follows: %s",
                 (unsigned long long)log->successor, (unsigned long long)offset,
                 wal_reader_reason(reader));
        print_stop(dump, log, WAL_CLEAN_END, log->end, reason);
    }
}

static void
dump_log(struct dump *dump, const struct log *log, const char *name)
{
    struct wal_reader *reader;
    struct wal_frame frame;
    int result;

    if (wal_reader_open_file(dump->dir, name, log->number, &dump->reporter, &reader) <
        0) {
        note(dump, STATUS_UNREADABLE);
        return;
    }
    print_begin(&dump->printer, "log");
    print_number(&dump->printer, "log", log->number);
    print_number(&dump->printer, "size", wal_reader_size(reader));
    print_end(&dump->printer);
    while ((result = wal_read(reader, &frame)) > 0) {
        if (frame.type == WAL_FRAME_FIRST)
            print_first(&dump->printer, log, &frame);
        else
            print_batch(&dump->printer, log, &frame);
    }
    if (result < 0)
        note(dump, STATUS_UNREADABLE);
    else
        dump_stop(dump, log, reader, name);
    wal_reader_close(reader);
}

/* ---- a store ---- */

struct logs {
    struct log *items;
    size_t count;
};

static int
add_log(void *context, const char *name)
{
    struct logs *logs = context;
    struct log log = {0};
    struct log *items;
    size_t i;

    if (!wal_name_parse(name, &log.number))
        return 0;
    items = realloc(logs->items, (logs->count + 1) * sizeof(*items));
    if (items == NULL)
        return -ENOMEM;
    logs->items = items;
    for (i = logs->count++; i > 0 && items[i - 1].number > log.number; i--)
        items[i] = items[i - 1];
    items[i] = log;
    return 0;
}

/* Reads a log's first frame and tells the log that it names. */
static void
link_log(struct dump *dump, struct logs *logs, const struct log *log)
{
    struct wal_previous previous;
    struct wal_reader *reader;
    struct wal_frame frame;
    size_t i;

    if (wal_reader_open(dump->dir, log->number, &dump->reporter, &reader) < 0)
        return; /* will be told when it is dumped */
    if (wal_read(reader, &frame) > 0) {
        previous = wal_reader_previous(reader);
        for (i = 0; i < logs->count; i++) {
            if (logs->items[i].number == previous.number && previous.number != 0) {
                logs->items[i].successor = log->number;
                logs->items[i].end = previous.end;
            }
        }
    }
    wal_reader_close(reader);
}

static void
dump_store(struct dump *dump)
{
    struct logs logs = {0};
    char name[WAL_NAME_SIZE];
    size_t i;
    int result;

    result = env_dir_list(dump->dir, add_log, &logs);
    if (result < 0) {
        fprintf(stderr, "lsm-wal-dump: listing the store: %s\n", strerror(-result));
        note(dump, STATUS_UNREADABLE);
    }
    for (i = 0; i < logs.count; i++)
        link_log(dump, &logs, &logs.items[i]);
    for (i = 0; i < logs.count; i++) {
        wal_name(name, logs.items[i].number);
        dump_log(dump, &logs.items[i], name);
    }
    free(logs.items);
}

/* ---- a file ---- */

static void
dump_file(struct dump *dump, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(name - path));
    struct log log = {.number = dump->number};
    int result;

    if (log.number == 0 && !wal_name_parse(name, &log.number)) {
        fprintf(stderr, "lsm-wal-dump: %s: not named like 000007.log; give --number\n",
                path);
        note(dump, STATUS_USAGE);
        free(folder);
        return;
    }
    result =
        folder == NULL ? -ENOMEM : env_dir_open(env_posix(), folder, false, &dump->dir);
    if (result < 0) {
        fprintf(stderr, "lsm-wal-dump: %s: %s\n", path, strerror(-result));
        note(dump, STATUS_UNREADABLE);
    } else {
        dump_log(dump, &log, name);
        env_dir_close(dump->dir);
    }
    free(folder);
}

static enum status
dump_path(struct dump *dump, const char *path)
{
    int result;

    reporter_init(&dump->reporter, NULL, NULL);
    result = env_dir_open(env_posix(), path, false, &dump->dir);
    if (result == 0) {
        dump_store(dump);
        env_dir_close(dump->dir);
    } else if (result == -ENOTDIR) {
        dump_file(dump, path);
    } else {
        fprintf(stderr, "lsm-wal-dump: %s: %s\n", path, strerror(-result));
        note(dump, STATUS_UNREADABLE);
    }
    reporter_fini(&dump->reporter);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "lsm-wal-dump: writing the output: %s\n", strerror(errno));
        note(dump, STATUS_UNREADABLE);
    }
    return dump->status;
}

static bool
parse_number(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *number != 0;
}

static enum status
usage(void)
{
    fputs("try lsm-wal-dump --help\n", stderr);
    return STATUS_USAGE;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},         {"hex", no_argument, NULL, 'x'},
        {"number", required_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0},
    };
    struct dump dump = {.printer = {stdout, PRINT_TEXT}};
    int option;

    while ((option = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            dump.printer.style = PRINT_JSON;
            break;
        case 'x':
            dump.printer.style = PRINT_HEX;
            break;
        case 'n':
            if (!parse_number(optarg, &dump.number)) {
                fprintf(stderr, "lsm-wal-dump: --number %s: not a log's number\n",
                        optarg);
                return (int)usage();
            }
            break;
        case 'h':
            fputs(help, stdout);
            return STATUS_CLEAN;
        case 'V':
            printf("lsm-wal-dump %s\n", lsmkv_version());
            return STATUS_CLEAN;
        default:
            return (int)usage();
        }
    }
    if (argc - optind != 1) {
        fputs("lsm-wal-dump: give one file or store\n", stderr);
        return (int)usage();
    }
    return (int)dump_path(&dump, argv[optind]);
}
