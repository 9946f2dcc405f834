/* cli/record.h - what a line of an import holds, in whichever format. */
#ifndef FIRN_CLI_RECORD_H
#define FIRN_CLI_RECORD_H

#include "base/slice.h"
#include "util/buf.h"

typedef struct cli_record {
    buf key, value;         /* reused from line to line */
    uint64_t expires_at_ms; /* since 1970; 0: never */
} cli_record;

/* Digits and nothing else; false where they are none, or more than fit. */
bool record_parse_time(slice text, uint64_t *out);

#endif
