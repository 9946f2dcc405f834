/* util/hash.h - XXH3 64-bit, seed 0 (the public format of xxHash 0.8; also the stored filter hash).
 *
 * One of two twins is compiled in: over the xxHash library (hash_xxhash.c) or our own code
 * (hash_builtin.c, FIRN_CODECS=builtin and the amalgamation); tests hold them equal. */
#ifndef FIRN_UTIL_HASH_H
#define FIRN_UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

FIRN_INTERNAL uint64_t hash64(const void *data, size_t size);
#endif
