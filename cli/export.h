/* cli/export.h - the two ways of exporting share the walk over the database. */
#ifndef FIRN_CLI_EXPORT_H
#define FIRN_CLI_EXPORT_H

#include "cli.h"

/* One entry. CLI_OK goes on; anything else stops with that exit status; EXPORT_STOP stops well. */
enum { EXPORT_STOP = -1 };
typedef struct export_record {
    firn_slice key, value;
    uint64_t expires_at_ms; /* 0: never */
} export_record;
typedef int (*export_entry)(void *context, const export_record *record);

/* Every entry that the verb's --from, --to and --prefix admit, in key order, with a progress bar
 * where `shows_progress`. */
int export_walk(cli_call *call, bool shows_progress, export_entry each, void *context);

/* --files DIR: each value into the file that its key names. */
int export_files(cli_call *call, const char *root);

#endif
