/*
 * cli_line.h - the command line of a command that takes operands and few options.
 */
#ifndef FS_CLI_LINE_H
#define FS_CLI_LINE_H

#include <limits.h>
#include <stdbool.h>

/* Set the first part, then cli_line_parse. */
struct cli_line {
    const char *name; /* the command's, for messages */
    const char *help;
    bool takes_json;   /* --json is an option of it */
    const char *takes; /* an option with a value, without its dashes; NULL: none */
    int least, most;   /* operands */

    bool json;
    const char *taken; /* that value, the last one; NULL: it was not given */
    char **operands;
    int count;
};

/* -1 to go on, else the exit status: help was shown, or what is wrong was said. */
int cli_line_parse(struct cli_line *line, int argc, char **argv);

/* Says what is wrong with the command line; the exit status. */
int cli_line_misused(const struct cli_line *line, const char *why, const char *what);

/* Standard output to its end; `status` is the command's so far, and is returned unless that fails,
 * which is said. */
int cli_line_finish(const struct cli_line *line, int status);

#endif
