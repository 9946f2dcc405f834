/* cli/entry.h - how a key and its value are written out, in each format. */
#ifndef FIRN_CLI_ENTRY_H
#define FIRN_CLI_ENTRY_H

#include "cli.h"
#include "util/buf.h"

typedef enum entry_format {
    ENTRY_TEXT, /* escaped key, tab, escaped value: what `firn import` reads; behind another tab,
                 * where it is given, when the value expires */
    ENTRY_JSON, /* one object a line */
    ENTRY_HEX,
    ENTRY_RAW /* the bytes themselves */
} entry_format;

typedef struct entry_writer {
    output *out;
    entry_format format;
    bool keys_only;
    uint64_t expires_at_ms; /* of the next entry, written with TEXT and JSON; 0: not written */
    buf line;               /* reused */
} entry_writer;

/* false when there is no use in going on: the output is closed or full, or memory is short (then
 * line.out_of_memory is set). `value` is ignored with keys_only. */
bool entry_write(entry_writer *writer, firn_slice key, firn_slice value);

#endif
