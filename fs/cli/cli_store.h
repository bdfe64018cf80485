/*
 * cli_store.h - `lsmfs put`, `get`, `rm` and `ls`: the commands for a store that is not mounted.
 *
 * Each takes its own part of the command line, argv[0] the command's name, and returns the exit
 * status (mount.h), what went wrong having been said on stderr.
 */
#ifndef FS_CLI_STORE_H
#define FS_CLI_STORE_H

int cli_put(int argc, char **argv);
int cli_get(int argc, char **argv);
int cli_rm(int argc, char **argv);
int cli_ls(int argc, char **argv);

#endif
