/* base/status.h - the outcome of every fallible call inside the library.
 *
 * Purpose:   a value of 16 bytes, returned in two registers: code, errno where the OS was asked,
 * and a literal that says what was being done. No allocation on the error path. Lifetime:  `what`
 * is always a string literal. It is not: the text a user sees. That is the thread's error detail
 * (platform/error_detail.h), written by the function that knows the file and offset. */
#ifndef FIRN_BASE_STATUS_H
#define FIRN_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "firn/status.h"

typedef struct status {
    firn_status code;
    int os_errno; /* 0 where no system call was involved */
    const char *what;
} status;

#define STATUS_OK ((status){FIRN_OK, 0, NULL})

static inline status status_of(firn_status code, const char *what) {
    return (status){code, 0, what};
}
static inline bool status_is_ok(status st) {
    return st.code == FIRN_OK;
}
static inline bool status_is(status st, firn_status code) {
    return st.code == code;
}

/* Keeps the first error of a sequence whose steps must all be tried. */
static inline status status_first(status earlier, status later) {
    return status_is_ok(earlier) ? later : earlier;
}

/* Leaves for the function's only exit, `out:`, when `expr` is not OK. The function declares
 * `status st = STATUS_OK;` and all it owns, null, before the first TRY. */
#define TRY(expr)                        \
    do {                                 \
        st = (expr);                     \
        if (UNLIKELY(!status_is_ok(st))) \
            goto out;                    \
    } while (0)

#endif
