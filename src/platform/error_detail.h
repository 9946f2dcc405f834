/* platform/error_detail.h - the sentence behind the calling thread's last failure.
 *
 * Purpose:   the function that knows file, offset and cause writes it; firn_error_detail() reads
 * it. Threads:   one fixed buffer per thread; no allocation, nothing to fail. It is not: cleared by
 * success. */
#ifndef FIRN_PLATFORM_ERROR_DETAIL_H
#define FIRN_PLATFORM_ERROR_DETAIL_H

#include <stdint.h>

#include "base/status.h"

#define ERROR_DETAIL_BYTES 1024

/* Replaces the detail. */
FIRN_INTERNAL PRINTF_LIKE(1, 2) void error_detail_set(const char *format, ...);
/* Appends to it, e.g. what to do next. */
FIRN_INTERNAL PRINTF_LIKE(1, 2) void error_detail_append(const char *format, ...);
FIRN_INTERNAL const char *error_detail_get(void);

/* error_detail_set + a status in one: `return error_status(FIRN_CORRUPTION, "...", ...)`. The
 * status's `what` is a generic literal for the code. */
FIRN_INTERNAL PRINTF_LIKE(2, 3) COLD status error_status(firn_status code, const char *format, ...);
/* The only maker of CORRUPTION for a place in a file: "<path>: <problem> at offset <offset>". */
FIRN_INTERNAL COLD status error_corruption_at(const char *path, uint64_t offset,
                                              const char *problem);
#endif
