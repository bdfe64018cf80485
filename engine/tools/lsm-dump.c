/* lsm-dump.c - prints what tables hold: `lsm-dump FILE|STORE`.  See usage(). */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lsm-dump.h"

static void
usage(FILE *out)
{
    fputs(
        "usage: lsm-dump [OPTION]... FILE|STORE\n"
        "\n"
        "Prints the sorted entries of a table (NNNNNN.sst), or of every live table of a\n"
        "store by keyspace and level: key, sequence, kind, attributes, value.  Every version\n"
        "and every tombstone that is there is shown.  Of a value that stands apart it prints\n"
        "where; a blob file (NNNNNN.blob) is printed record by record, the dead ones too.\n"
        "Takes no lock and changes nothing.\n"
        "\n"
        "  --keys         entries without attributes and values\n"
        "  --from=KEY     entries at or after KEY\n"
        "  --to=KEY       entries before KEY\n"
        "  --prefix=KEY   entries whose key begins with KEY\n"
        "  --index        the data blocks: place, largest sequence, separator\n"
        "  --filter       the bloom filter: size, keys, expected share of false positives\n"
        "  --props        the properties\n"
        "  --verify       read everything again: checksums, order, counts, filter, blob files\n"
        "  --hex          keys, attributes and values as hex digits\n"
        "  --json         one JSON object a line, bytes as hex, and as text if UTF-8\n"
        "  --help, --version\n"
        "\n"
        "--index, --filter, --props and --verify print no entries unless --keys is given\n"
        "too.  In KEY and in the output, \\xNN, \\n, \\t, \\\" and \\\\ stand for bytes.\n"
        "\n"
        "Exit status: 0 all is well; 1 damage was found, told on standard error with file\n"
        "and offset; 2 bad usage, nothing there to read, or output that cannot be written.\n",
        out);
}

enum option_id {
    OPTION_KEYS = 256,
    OPTION_FROM,
    OPTION_TO,
    OPTION_PREFIX,
    OPTION_INDEX,
    OPTION_FILTER,
    OPTION_PROPS,
    OPTION_VERIFY,
    OPTION_HEX,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option options[] = {
    {"keys", no_argument, NULL, OPTION_KEYS},
    {"from", required_argument, NULL, OPTION_FROM},
    {"to", required_argument, NULL, OPTION_TO},
    {"prefix", required_argument, NULL, OPTION_PREFIX},
    {"index", no_argument, NULL, OPTION_INDEX},
    {"filter", no_argument, NULL, OPTION_FILTER},
    {"props", no_argument, NULL, OPTION_PROPS},
    {"verify", no_argument, NULL, OPTION_VERIFY},
    {"hex", no_argument, NULL, OPTION_HEX},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static bool
parse_key(char *text, struct lsmkv_slice *key)
{
    size_t size;

    if (!print_unescape(text, &size)) {
        fprintf(stderr, "lsm-dump: a bad escape in a key; see lsm-dump --help\n");
        return false;
    }
    *key = lsmkv_bytes(text, size);
    return true;
}

/* False: bad usage, and the reason was told. */
static bool
take_option(struct dump *dump, int option)
{
    switch (option) {
    case OPTION_KEYS:
        dump->entries = dump->keys_only = true;
        return true;
    case OPTION_FROM:
        return parse_key(optarg, &dump->from);
    case OPTION_TO:
        return parse_key(optarg, &dump->to);
    case OPTION_PREFIX:
        return parse_key(optarg, &dump->prefix);
    case OPTION_INDEX:
        dump->index = true;
        return true;
    case OPTION_FILTER:
        dump->filter = true;
        return true;
    case OPTION_PROPS:
        dump->properties = true;
        return true;
    case OPTION_VERIFY:
        dump->verify = true;
        return true;
    case OPTION_HEX:
        dump->printer.style = PRINT_HEX;
        return true;
    case OPTION_JSON:
        dump->printer.style = PRINT_JSON;
        return true;
    default:
        return false; /* getopt has told */
    }
}

/* Returns the FILE or STORE.  Ends the program where nothing is left to do. */
static const char *
parse_arguments(struct dump *dump, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == OPTION_HELP) {
            usage(stdout);
            exit(DUMP_GOOD);
        }
        if (option == OPTION_VERSION) {
            printf("lsm-dump %s\n", lsmkv_version());
            exit(DUMP_GOOD);
        }
        if (!take_option(dump, option))
            exit(DUMP_FAILED);
    }
    if (argc - optind != 1) {
        usage(stderr);
        exit(DUMP_FAILED);
    }
    if (!dump->index && !dump->filter && !dump->properties && !dump->verify)
        dump->entries = true;
    return argv[optind];
}

/* ---- opening ---- */

static void
tell(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    if (level == LSMKV_LOG_ERROR || level == LSMKV_LOG_WARNING)
        fprintf(stderr, "lsm-dump: %s\n", line);
}

static enum dump_result
cannot_open(const char *path, int result)
{
    fprintf(stderr, "lsm-dump: %s: %s\n", path, lsmkv_strerror(result));
    return DUMP_FAILED;
}

/* A table by its path: the directory that it stands in is opened for it. */
static enum dump_result
dump_file(struct dump *dump, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char *parent =
        slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    struct table *table;
    enum dump_result ended;
    uint64_t number;
    int result = -ENOMEM;

    if (parent != NULL)
        result = env_dir_open(dump->context.env, parent, false, &dump->context.dir);
    free(parent);
    if (result != 0)
        return cannot_open(path, result);
    if (dump_is_blob_name(name, &number)) {
        ended = dump_blob(dump, number, 0);
        env_dir_close(dump->context.dir);
        return ended;
    }
    result = table_open_file(&dump->context, name, &table);
    if (result == 0) {
        ended = dump_table(dump, table);
        table_close(table);
    } else {
        ended = result == -EBADMSG || result == -EUCLEAN ? DUMP_DAMAGED : DUMP_FAILED;
    }
    env_dir_close(dump->context.dir);
    return ended;
}

static enum dump_result
dump_path(struct dump *dump, const char *path)
{
    enum dump_result ended;
    int result = env_dir_open(dump->context.env, path, false, &dump->context.dir);

    if (result == -ENOTDIR)
        return dump_file(dump, path);
    if (result != 0)
        return cannot_open(path, result);
    ended = dump_store(dump, path);
    env_dir_close(dump->context.dir);
    return ended;
}

int
main(int argc, char **argv)
{
    struct tally counters = {0};
    struct reporter reporter;
    struct block_cache *cache;
    struct dump dump = {
        .printer = {stdout, PRINT_TEXT},
        .context = {.env = env_posix(), .reporter = &reporter, .counters = &counters},
    };
    const char *path = parse_arguments(&dump, argc, argv);
    enum dump_result result;

    reporter_init(&reporter, tell, NULL);
    if (block_cache_new(dump.context.env, 0, &cache) != 0 ||
        open_files_new(1, &dump.context.files) != 0)
        return (int)cannot_open(path, -ENOMEM);
    dump.context.cache = cache;
    result = dump_path(&dump, path);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "lsm-dump: the output cannot be written\n");
        result = DUMP_FAILED;
    }
    open_files_free(dump.context.files);
    block_cache_free(cache);
    reporter_fini(&reporter);
    return (int)result;
}
