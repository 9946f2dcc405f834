/* cli/cli.h - what every verb of the tool shares: the table it is described by, the call it is
 * given, how it opens a database and how it reports.
 *
 * A verb is a row of a table (name, usage, options, function). main.c and the shell both look the
 * row up, parse the words after it and hand the function a cli_call; so a verb behaves the same in
 * both. In the shell `session` is the database that is already open, and opening gives just that.
 *
 * Exit status: the numbers below, documented in firn.1. */
#ifndef FIRN_CLI_H
#define FIRN_CLI_H

#include <firn/firn.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/slice.h"
#include "output.h"

enum {
    CLI_OK = 0,
    CLI_NOT_FOUND = 1, /* the key is not there */
    CLI_USAGE = 2,     /* the command line is wrong */
    CLI_FAILED = 3,    /* the engine, a file or the input failed */
    CLI_DAMAGED = 4    /* repair --plan found something to repair */
};

enum { CLI_OPTIONS_MAX = 12 };

typedef struct cli_option {
    const char *name;     /* after "--" */
    const char *argument; /* what to call it in help; NULL: a switch */
    const char *help;
    char letter; /* after "-", or 0 */
} cli_option;

typedef struct cli_call cli_call;

typedef struct cli_verb {
    const char *name;
    const char *alias; /* or NULL */
    const char *summary;
    const char *usage;         /* what follows "firn NAME" */
    const char *help;          /* paragraphs under the usage, or NULL */
    const cli_option *options; /* ends with a NULL name; NULL: none */
    int positional_min, positional_max;
    bool engine_options; /* takes -o option=value */
    bool in_shell;       /* works on the shell's database too */
    int (*run)(cli_call *call);
} cli_verb;

struct cli_call {
    const cli_verb *verb;
    const char *label; /* "firn put": starts every message */
    output *out;
    firn_options engine; /* what -o said */
    char **positional;
    int positional_count;
    const char *values[CLI_OPTIONS_MAX]; /* by position in verb->options; NULL: not given */
    bool wants_help;
    firn_db *session; /* the shell's database, or NULL */
};

/* --- verbs (verbs.c) --- */

/* The row at `position`, or NULL past the last. */
const cli_verb *cli_verb_at(size_t position);
/* By name or alias; NULL if there is none. */
const cli_verb *cli_verb_find(const char *name);
/* The verb whose name is nearest to a mistyped one, or NULL when none is near. */
const cli_verb *cli_verb_nearest(const char *name);

/* What surrounds a call: the process, or a line of the shell. All borrowed. */
typedef struct cli_setting {
    const char *label;
    output *out;
    firn_db *session; /* or NULL */
} cli_setting;

/* Parses argv[1..] for `verb` and runs it. */
int cli_run(const cli_verb *verb, const cli_setting *setting, int argc, char **argv);

/* --- reporting (report.c) --- */

/* One line on stderr, "LABEL: ...", after what was written to stdout so far. */
PRINTF_LIKE(2, 3) void cli_message(const cli_call *call, const char *format, ...);
/* The same followed by a hint at the verb's help. Returns CLI_USAGE. */
PRINTF_LIKE(2, 3) int cli_usage_error(const cli_call *call, const char *format, ...);
/* "LABEL: STATUS: detail". Returns CLI_FAILED. */
int cli_engine_error(const cli_call *call, firn_status code);
/* "LABEL: what: strerror". Returns CLI_FAILED. */
int cli_os_error(const cli_call *call, const char *what, int os_errno);
int cli_no_memory(const cli_call *call);

/* "1,234,567"; returns `out`. */
const char *cli_count(uint64_t number, char out[32]);
/* "s" unless the number is 1. */
const char *cli_plural(uint64_t number);

/* --- the database (database.c) --- */

typedef enum cli_access {
    CLI_READ,            /* read-only, beside a writer, never creates */
    CLI_WRITE,           /* must exist already */
    CLI_WRITE_OR_CREATE, /* created if missing, unless -o create_if_missing=no */
} cli_access;

/* Opens positional[0]. CLI_OK, or reports and answers CLI_FAILED. */
int cli_open(cli_call *call, cli_access access, firn_db **out);
/* Closes what cli_open gave. Gives `code` back, or CLI_FAILED if closing failed. NULL is fine. */
int cli_close(cli_call *call, firn_db *db, int code);

#endif
