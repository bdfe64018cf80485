/*
 * cli_export.h - the command `export`; returns the exit status: 0, 1 failed, 2 called
 * wrongly, 4 not everything could be read.
 */
#ifndef FS_CLI_EXPORT_H
#define FS_CLI_EXPORT_H

int cli_export(int argc, char **argv);

#endif
