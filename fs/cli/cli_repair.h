/*
 * cli_repair.h - the command `repair`; returns the exit status: as fsck(8)'s, 0, 1, 4, 8
 * or 16.
 */
#ifndef FS_CLI_REPAIR_H
#define FS_CLI_REPAIR_H

int cli_repair(int argc, char **argv);

#endif
