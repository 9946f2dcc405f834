/* Messages and the small words in them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "progress.h"

static void report_line(const cli_call *call, const char *format, va_list args) {
    /* Results first, so that a terminal or a common log shows them in order. */
    (void)output_flush(call->out);
    progress_hide();
    flockfile(stderr);
    (void)fprintf(stderr, "%s: ", call->label);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    funlockfile(stderr);
}

void cli_message(const cli_call *call, const char *format, ...) {
    va_list args;
    va_start(args, format);
    report_line(call, format, args);
    va_end(args);
}

int cli_usage_error(const cli_call *call, const char *format, ...) {
    va_list args;
    va_start(args, format);
    report_line(call, format, args);
    va_end(args);
    if (!call->session)
        (void)fprintf(stderr, "Try \"firn help %s\".\n", call->verb->name);
    return CLI_USAGE;
}

int cli_engine_error(const cli_call *call, firn_status code) {
    const char *detail = firn_error_detail();
    if (detail[0] == '\0' || code == FIRN_NOT_FOUND)
        cli_message(call, "%s", firn_status_name(code));
    else
        cli_message(call, "%s: %s", firn_status_name(code), detail);
    return CLI_FAILED;
}

int cli_os_error(const cli_call *call, const char *what, int os_errno) {
    cli_message(call, "%s: %s", what, strerror(os_errno));
    return CLI_FAILED;
}

int cli_no_memory(const cli_call *call) {
    return cli_os_error(call, "out of memory", ENOMEM);
}

const char *cli_count(uint64_t number, char out[32]) {
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    char *to = out;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

const char *cli_plural(uint64_t number) {
    return number == 1 ? "" : "s";
}
