/* base/check.h - the two asserts.
 *
 * CHECK stays in every build and stops the process: for states in which going on could lose data.
 * DCHECK is for the rest and is compiled out of release builds (NDEBUG). Neither is ever used on
 * bytes that came from disk or network: those return CORRUPTION. */
#ifndef FIRN_BASE_CHECK_H
#define FIRN_BASE_CHECK_H

#include "base/attributes.h"

/* Prints where and what to stderr, then aborts. */
FIRN_INTERNAL COLD __attribute__((noreturn)) void check_failed(const char *file, int line,
                                                               const char *expression);

#define CHECK(condition)                                  \
    do {                                                  \
        if (UNLIKELY(!(condition)))                       \
            check_failed(__FILE__, __LINE__, #condition); \
    } while (0)

#ifdef NDEBUG
#define DCHECK(condition) ((void)sizeof(!(condition)))
#else
#define DCHECK(condition) CHECK(condition)
#endif

#endif
