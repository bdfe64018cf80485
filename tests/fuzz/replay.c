/*
 * replay.c - main of a fuzz target outside the preset `fuzz`: runs each file it is given, and
 * each file in a folder it is given.  Prints "ok NAME" for each, or dies of it.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static void
run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;
    long size;

    fuzz_check(file != NULL && fseek(file, 0, SEEK_END) == 0);
    size = ftell(file);
    fuzz_check(size >= 0 && fseek(file, 0, SEEK_SET) == 0);
    bytes = malloc((size_t)size + 1);
    fuzz_check(bytes != NULL && fread(bytes, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    fprintf(stderr, "running %s\n", path);
    (void)LLVMFuzzerTestOneInput(bytes, (size_t)size); /* 0 and -1 are both well */
    free(bytes);
    printf("ok %s\n", path);
}

static void
run_folder(const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);

    fuzz_check(count >= 0);
    for (int i = 0; i < count; i++) {
        char *inside;

        if (names[i]->d_name[0] != '.') {
            fuzz_check(asprintf(&inside, "%s/%s", path, names[i]->d_name) > 0);
            run_file(inside);
            free(inside);
        }
        free(names[i]);
    }
    free(names);
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        if (S_ISDIR(st.st_mode))
            run_folder(argv[i]);
        else
            run_file(argv[i]);
    }
    return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
