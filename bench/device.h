/* bench/device.h - how fast the device is, with no engine in between: what a cold read is held
 * against. */
#ifndef FIRN_BENCH_DEVICE_H
#define FIRN_BENCH_DEVICE_H

#include "result.h"

/* Reads the files under `path` from the device: random pages, then one file after the other. Leaves
 * none of them in the system's page cache, as far as it can be asked to. Nobody may have them
 * mapped.
 */
void device_measure(const char *path, device_speed *out);

#endif
