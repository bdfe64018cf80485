/* files.c - see files.h. */
#include "files.h"

#include "log/wal.h"
#include "seal.h"
#include "table/blob.h"

void
fuzz_silence(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
}

void
fuzz_files_init(struct fuzz_files *files)
{
    files->mem = mem_env_new();
    fuzz_check(files->mem != NULL);
    files->env = mem_env_base(files->mem);
    fuzz_check(env_dir_open(files->env, "store", true, &files->dir) == 0);
    reporter_init(&files->reporter, fuzz_silence, NULL);
}

void
fuzz_files_fini(struct fuzz_files *files)
{
    reporter_fini(&files->reporter);
    env_dir_close(files->dir);
    mem_env_free(files->mem);
}

void
fuzz_files_put(struct fuzz_files *files, const char *name, struct lsmkv_slice bytes)
{
    struct env_file *file;

    fuzz_check(env_file_open(files->dir, name, ENV_REPLACE, &file) == 0);
    if (bytes.size > 0)
        fuzz_check(env_file_write(file, 0, bytes.data, bytes.size) == 0);
    fuzz_check(env_file_sync(file) == 0);
    fuzz_check(env_file_close(file) == 0);
    fuzz_check(env_dir_sync(files->dir) == 0);
}

bool
fuzz_files_has(struct fuzz_files *files, const char *name)
{
    struct env_file *file;

    return env_file_open(files->dir, name, ENV_READ, &file) == 0 &&
           env_file_close(file) == 0;
}

static void
name_file(struct fuzz_file *file)
{
    switch (file->kind) {
    case FUZZ_LOG:
        wal_name(file->name, file->number);
        break;
    case FUZZ_TABLE:
        table_name(file->name, file->number);
        break;
    case FUZZ_BLOB:
        blob_name(file->name, file->number);
        break;
    default:
        snprintf(file->name, sizeof(file->name), "%s",
                 file->kind == FUZZ_MANIFEST ? "MANIFEST" : "CLOSED");
    }
}

static uint8_t *
seal_file(const struct fuzz_file *file, unsigned how, struct lsmkv_slice bytes,
          size_t *size)
{
    uint8_t *sealed;

    *size = bytes.size;
    if (how == 0)
        return fuzz_copy(bytes);
    if (file->kind == FUZZ_MANIFEST || file->kind == FUZZ_CLOSED)
        return seal_lines(bytes.data, bytes.size, size);
    sealed = fuzz_copy(bytes);
    if (file->kind == FUZZ_LOG)
        seal_log(sealed, bytes.size, file->number, how);
    else if (file->kind == FUZZ_BLOB)
        seal_blob(sealed, bytes.size, file->number);
    else
        seal_table(sealed, bytes.size, file->number, how % 2 == 1);
    return sealed;
}

size_t
fuzz_files_unpack(struct fuzz_files *files, struct fuzz_input *input,
                  struct fuzz_file *made)
{
    size_t count = 0;

    for (; input->left > 0 && count < FUZZ_FILES_MAX; count++) {
        struct fuzz_file *file = &made[count];
        struct lsmkv_slice bytes;
        uint8_t *sealed;
        unsigned how;
        size_t size;

        file->kind = (enum fuzz_kind)(fuzz_number(input, 1) % FUZZ_KINDS);
        file->number = fuzz_number(input, 1) % (FUZZ_NUMBER_MAX + 1);
        how = (unsigned)fuzz_number(input, 1);
        bytes = fuzz_take(input, (size_t)fuzz_number(input, 3));
        name_file(file);
        sealed = seal_file(file, how, bytes, &size);
        fuzz_files_put(files, file->name, lsmkv_bytes(sealed, size));
        free(sealed);
    }
    return count;
}
