/* bench/micro/micro_keys.h - 16-byte keys in the three shapes firn-bench has (bench/keys.h, whose
 * names collide with those of the library's own headers). */
#ifndef FIRN_BENCH_MICRO_KEYS_H
#define FIRN_BENCH_MICRO_KEYS_H

#include <stdint.h>
#include <string.h>

enum { MICRO_KEY_BYTES = 16 };

typedef enum micro_shape { MICRO_BINARY, MICRO_DECIMAL, MICRO_USER, MICRO_SHAPES } micro_shape;

static inline const char *micro_shape_name(micro_shape shape) {
    static const char *const names[] = {"binary", "decimal", "user"};
    return names[shape];
}

static inline void micro_key(micro_shape shape, uint64_t index, uint8_t out[MICRO_KEY_BYTES]) {
    memset(out, '0', MICRO_KEY_BYTES);
    if (shape == MICRO_BINARY) {
        for (int i = 7; i >= 0; i--, index >>= 8)
            out[i] = (uint8_t)index;
    } else if (shape == MICRO_DECIMAL) {
        for (int i = MICRO_KEY_BYTES - 1; index > 0; i--, index /= 10)
            out[i] = (uint8_t)('0' + index % 10);
    } else {
        uint64_t hash = index * 0x5851f42d4c957f2du; /* bijective, also in its upper 48 bits */
        memcpy(out, "user", 4);
        for (int i = 4; i < MICRO_KEY_BYTES; i++, hash <<= 4)
            out[i] = (uint8_t) "0123456789abcdef"[hash >> 60];
    }
}
#endif
