/* firn/version.h - which Firn this is. The one place the version is written. */
#ifndef FIRN_VERSION_H
#define FIRN_VERSION_H

#include "firn/status.h"

#define FIRN_VERSION_MAJOR 0
#define FIRN_VERSION_MINOR 1
#define FIRN_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": of the library that runs, not of the header. */
FIRN_API const char *firn_version(void);

#ifdef __cplusplus
}
#endif
#endif
