/* cli/import.h - what the two ways of importing (lines, files) share: the sink that gathers records
 * into batches, writes them and says how many are acknowledged.
 *
 * Crash: a record counts as acknowledged once the write of its batch has returned; only then is the
 * number in the --ack file raised. So after kill -9 at any moment the file names no record that the
 * database could have lost. Records are acknowledged in the order they were given. */
#ifndef FIRN_CLI_IMPORT_H
#define FIRN_CLI_IMPORT_H

#include "cli.h"
#include "progress.h"

typedef struct import_sink {
    cli_call *call;
    firn_db *db;
    firn_batch *batch;
    int ack_fd; /* -1: none */
    uint64_t acknowledged;
    uint64_t acknowledged_bytes; /* keys and values */
    uint64_t batch_value_bytes;
    bool failed; /* reported; nothing more is written */
    progress bar;
} import_sink;

/* Opens the --ack file and the database. After any answer call import_sink_close. */
int import_sink_open(import_sink *sink, cli_call *call);
/* Adds one record, which expires at `expires_at_ms` (0: never); may write a batch. CLI_OK or
 * reports and answers CLI_FAILED. */
int import_sink_put(import_sink *sink, firn_slice key, firn_slice value, uint64_t expires_at_ms);
/* Writes and acknowledges what is still pending. After a failure: nothing, CLI_FAILED again. */
int import_sink_flush(import_sink *sink);
/* Closes everything. Gives `code` back, or CLI_FAILED if closing failed. */
int import_sink_close(import_sink *sink, int code);

/* --files DIR: every regular file below it, in the order of the keys. */
int import_files(cli_call *call);

#endif
