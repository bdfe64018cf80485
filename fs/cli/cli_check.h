/*
 * cli_check.h - the command `check`; returns the exit status: as fsck(8)'s, 0, 4, 8 or
 * 16.
 */
#ifndef FS_CLI_CHECK_H
#define FS_CLI_CHECK_H

int cli_check(int argc, char **argv);

#endif
