/* table/footer.h - the last bytes of a table: where everything else is.
 *
 * Format:  docs/format/table.md, "Footer". Magic and format stay the very last bytes for ever.
 * Threads: pure functions. */
#ifndef FIRN_TABLE_FOOTER_H
#define FIRN_TABLE_FOOTER_H

#include "base/slice.h"
#include "base/status.h"
#include "table/block_file.h"

#define TABLE_FOOTER_BYTES 72
/* Format 1: deletes, puts, large puts. Format 2: the other kinds too, range tombstones among them.
 * Format 3: partitioned indexes. A table is written as the first format that has what it needs. */
#define TABLE_FORMAT_FIRST 1
#define TABLE_FORMAT_KINDS 2
#define TABLE_FORMAT       3

typedef struct table_footer {
    block_handle meta_index;
    block_handle index; /* of a partitioned index, its top */
    uint8_t identity[16];
    uint32_t format;
    bool is_partitioned; /* the index; from format 3 on */
} table_footer;

FIRN_INTERNAL void table_footer_encode(const table_footer *footer, uint8_t out[TABLE_FOOTER_BYTES]);
/* `offset` is the footer's in the file. CORRUPTION or NOT_SUPPORTED, with detail. */
FIRN_INTERNAL NODISCARD status table_footer_decode(const uint8_t in[TABLE_FOOTER_BYTES],
                                                   block_place at, table_footer *out);
/* Whether a footer that NOT_SUPPORTED was said of is a damaged one of a format this build knows. */
FIRN_INTERNAL bool table_footer_has_bad_format(const uint8_t in[TABLE_FOOTER_BYTES]);
#endif
