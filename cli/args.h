/* cli/args.h - the words after the verb: options anywhere, `--` ends them.
 *
 * Options are --name, --name VALUE, --name=VALUE, and one-letter forms; `-o option=value` goes to
 * the engine's options at once. The rest are positionals, kept in argv. */
#ifndef FIRN_CLI_ARGS_H
#define FIRN_CLI_ARGS_H

#include "cli.h"
#include "util/buf.h"

/* Parses argv[1..] into `call`, permuting argv. CLI_OK, or reports and answers CLI_USAGE. */
int args_parse(cli_call *call, int argc, char **argv);

/* The value of option `name`, NULL when it was not given. `name` must be one of the verb's. */
const char *args_text(const cli_call *call, const char *name);
bool args_given(const cli_call *call, const char *name);
/* A whole number, or `fallback` when not given. CLI_USAGE on anything else. */
int args_number(const cli_call *call, const char *name, uint64_t fallback, uint64_t *out);
/* A span of time such as 500ms, 30s, 15m, 2h or 7d (a number alone: seconds), in milliseconds; 0
 * when not given. CLI_USAGE on anything else, a span of nothing included. */
int args_span_ms(const cli_call *call, const char *name, uint64_t *out);
/* The position of option `name`'s value in the '|'-separated `words`, 0 when it was not given. */
int args_choice(const cli_call *call, const char *name, const char *words, int *out);

/* Reads a key or value as typed (see escape.h) into `out`. CLI_OK or CLI_USAGE. */
int args_bytes(const cli_call *call, const char *what, const char *typed, buf *out);

/* The bounds --from, --to and --prefix as read options. They borrow from the struct. */
typedef struct args_range {
    buf from, to, prefix;
} args_range;
int args_range_read(const cli_call *call, args_range *range, firn_read_options *options);
void args_range_deinit(args_range *range);

#endif
