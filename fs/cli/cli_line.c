/* cli_line.c - see cli_line.h. */
#include "cli/cli_line.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "daemon/mount.h"

int
cli_line_misused(const struct cli_line *line, const char *why, const char *what)
{
    fprintf(stderr, "lsmfs %s: %s%s\nTry 'lsmfs %s --help'.\n", line->name, why, what,
            line->name);
    return STATUS_USAGE;
}

int
cli_line_parse(struct cli_line *line, int argc, char **argv)
{
    const struct option names[] = {{"help", no_argument, NULL, 'h'},
                                   {"json", no_argument, NULL, 'j'},
                                   {line->takes, required_argument, NULL, 't'},
                                   {0}};

    opterr = 0; /* getopt would call this program by the command's name */
    optind = 0;
    for (int letter; (letter = getopt_long(argc, argv, ":h", names, NULL)) != -1;) {
        if (letter == 'h') {
            fputs(line->help, stdout);
            return fflush(stdout) != 0 ? STATUS_FAILED : STATUS_OK;
        }
        if (letter == ':')
            return cli_line_misused(line, "no value of ", argv[optind - 1]);
        if (letter == 't')
            line->taken = optarg;
        else if (letter == 'j' && line->takes_json)
            line->json = true;
        else
            return cli_line_misused(line, "unknown option ", argv[optind - 1]);
    }
    line->operands = argv + optind;
    line->count = argc - optind;
    if (line->count < line->least)
        return cli_line_misused(line, "missing operand", "");
    return line->count > line->most ? cli_line_misused(line, "too many operands", "")
                                    : -1;
}

int
cli_line_finish(const struct cli_line *line, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "lsmfs %s: standard output: %s\n", line->name, strerror(errno));
    return status != STATUS_OK ? status : STATUS_FAILED;
}
