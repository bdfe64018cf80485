/*
 * memory.h - keeping what the allocator holds beyond what is in use small.  For the daemon, which
 * has the process to itself.
 */
#ifndef FS_MEMORY_H
#define FS_MEMORY_H

/* Before other threads start. */
void memory_begin(void);

/* Gives back what is free, if it is much.  Called now and then; a few milliseconds at most. */
void memory_give_back(void);

#endif
