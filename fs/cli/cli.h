/*
 * cli.h - the commands for a mounted store.  Each takes its own part of the command line,
 * argv[0] the command's name, and returns the exit status (mount.h), what went wrong
 * having been said on stderr.  Those for a store that is not mounted are in cli_store.h.
 */
#ifndef FS_CLI_H
#define FS_CLI_H

#include <stdbool.h>

/* Of none, or of all that are mounted. */
int cli_create(int argc, char **argv);
int cli_list(int argc, char **argv);

/* Of a store that is not mounted, too. */
int cli_snapshot(int argc, char **argv);
int cli_stats(int argc, char **argv);
int cli_compact(int argc, char **argv); /* 128 and a number: ended by that signal */
int cli_import(int argc, char **argv);
int cli_backup(int argc, char **argv); /* its statuses are those of command.h */

int cli_umount(int argc, char **argv);
/* Its work, without the command line. */
int cli_umount_at(const char *place);
int cli_status(int argc, char **argv);
int cli_sync(int argc, char **argv);

/* get, put, rm or ls of a store that is mounted.  False: it is not, or help is asked for,
 * so nothing was done. */
bool cli_mounted(int argc, char **argv, int *status);

#endif
