#include "util/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>
#undef XXH_INLINE_ALL

#include "base/poison.h"

FIRN_INTERNAL uint64_t hash64(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}
