/* cli/utf8.h - is this text? As RFC 3629 says: no overlong forms, no surrogates, up to U+10FFFF. */
#ifndef FIRN_CLI_UTF8_H
#define FIRN_CLI_UTF8_H

#include <stdbool.h>

#include "base/slice.h"

/* Bytes of the character `s` starts with (1 to 4), 0 if it starts with none. *code is the
 * character. */
size_t utf8_decode(slice s, uint32_t *code);
bool utf8_is_valid(slice s);
/* Writes the character, which must not be a surrogate, and returns its bytes. */
size_t utf8_encode(uint32_t code, uint8_t out[4]);

#endif
