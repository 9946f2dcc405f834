/* table/properties.h - what a table says about itself, as entries of its properties block.
 *
 * Format:  docs/format/table.md, "Properties".
 * Threads: pure functions. */
#ifndef FIRN_TABLE_PROPERTIES_H
#define FIRN_TABLE_PROPERTIES_H

#include "table/block.h"
#include "table/block_builder.h"
#include "table/table.h"

FIRN_INTERNAL void properties_encode(const table_properties *p, const char *comparator,
                                     block_builder *out);
/* Fills what the block holds (identity and file_bytes are not in it); *comparator points into the
 * block. CORRUPTION when a property is missing or malformed; unknown ones are skipped. */
FIRN_INTERNAL NODISCARD status properties_decode(const block_view *view, block_place at,
                                                 table_properties *out, slice *comparator);
/* One "name  value" line after the other; stops when `print` says so. */
FIRN_INTERNAL bool properties_print(const table_properties *p, firn_line_callback print,
                                    void *context);
#endif
