/* util/text.h - keys and values as text a person can read and type back in.
 *
 * Printable ASCII stands for itself except backslash; \\ \t \n \r \0 and \xHH for the rest. */
#ifndef FIRN_UTIL_TEXT_H
#define FIRN_UTIL_TEXT_H

#include "base/slice.h"
#include "util/buf.h"

/* Appends the escaped form of at most `limit` bytes; a cut is marked with "...". */
FIRN_INTERNAL void text_append_escaped(buf *out, slice bytes, size_t limit);
/* Appends the JSON string body of `bytes` (no quotes): for events and reports. Bytes that are not
 * valid UTF-8 are escaped as \u00XX. */
FIRN_INTERNAL void text_append_json(buf *out, slice bytes);
/* "12.3 MiB". Returns `out`. */
FIRN_INTERNAL const char *text_bytes(uint64_t bytes, char out[16]);
#endif
