/*
 * awake.h - keeping idle processors awake while requests come quickly.
 *
 * Each request wakes the daemon and then its caller.  On a processor that sleeps deeply, or whose
 * halt its hypervisor has to undo, that takes ten times as long as most answers do.  The kernel lets
 * root bound how long waking may take ("PM QoS", cpu_dma_latency): at 0 an idle processor does not
 * sleep but looks for work.  That costs power on every processor of the machine, so it is asked for
 * while requests come quickly only, and if it is wanted at all (-o low_latency).
 *
 * One thread at a time.
 */
#ifndef FS_AWAKE_H
#define FS_AWAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"

#define AWAKE_DEVICE  "/dev/cpu_dma_latency"
#define AWAKE_LOOK_MS 100  /* between two looks */
#define AWAKE_QUICK   100u /* so many requests between two looks, and they come quickly */
#define AWAKE_QUIET \
    5u /* looks in a row that find fewer, and processors may sleep again */

struct awake {
    int fd; /* of the device; below 0: nothing is asked for */
    uint64_t requests;
    unsigned quiet; /* looks in a row that found few */
    bool held;
};

/* Asks for nothing yet.  On failure `awake` is as after awake_close. */
LSMKV_CHECKED int awake_open(struct awake *awake, const char *device);
/* `requests`: how many there have been so far.  Every AWAKE_LOOK_MS; does nothing if it is not open.
 * An error is of the write that asks; what is asked for is as before. */
LSMKV_CHECKED int awake_look(struct awake *awake, uint64_t requests);
/* The kernel takes back what was asked for.  It may be closed already. */
void awake_close(struct awake *awake);

#endif
