/* cli/base64.h - RFC 4648 section 4: the standard alphabet, padded, no line breaks. */
#ifndef FIRN_CLI_BASE64_H
#define FIRN_CLI_BASE64_H

#include "base/slice.h"
#include "util/buf.h"

void base64_append(buf *out, slice bytes);
/* false when `text` is not exactly what base64_append would have written for some bytes. */
bool base64_parse(slice text, buf *out);

#endif
