/* cli/escape.h - any bytes as one line of text that can be typed back in.
 *
 * Printable characters, UTF-8 included, stand for themselves except backslash. The rest is written
 * \\ \t \n \r \0 \xHH. Characters that would move or hide text on a terminal (controls, direction
 * marks, line separators) count as not printable. Read back, a byte that is no backslash stands
 * for itself, so every text without backslashes means what it says. */
#ifndef FIRN_CLI_ESCAPE_H
#define FIRN_CLI_ESCAPE_H

#include "base/slice.h"
#include "util/buf.h"

/* Appends the escaped form of `bytes`. */
void escape_append(buf *out, slice bytes);
/* Appends what `text` stands for. false: *problem says what is wrong with it. */
bool escape_parse(slice text, buf *out, const char **problem);
/* Appends two hexadecimal digits a byte. */
void escape_append_hex(buf *out, slice bytes);

#endif
