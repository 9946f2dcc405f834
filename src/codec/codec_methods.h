/* codec/codec_methods.h - what a codec is to codec.c: a few functions over one library, or over our
 * own code. For this folder and its tests.
 *
 * CMakeLists.txt defines FIRN_HAVE_LZ4, FIRN_HAVE_ZSTD and FIRN_HAVE_SNAPPY where it found the
 * library; without liblz4 the builtin LZ4 takes its place.
 *
 * Threads: all functions may be called at once. */
#ifndef FIRN_CODEC_CODEC_METHODS_H
#define FIRN_CODEC_CODEC_METHODS_H

#include "base/slice.h"
#include "base/status.h"

typedef struct codec_methods {
    /* Room that compress needs at `out`; NULL: it never writes beyond `most`. */
    size_t (*bound)(size_t raw_bytes);
    /* `level` is 0, the default, or what codec_level_is_sound took. `raw` and `most` are not empty,
     * most < raw.size. *out_bytes may be 0, or more than `most`, when that many do not suffice. */
    status (*compress)(slice raw, int level, uint8_t *out, size_t most, size_t *out_bytes);
    /* Fills exactly raw_bytes (not 0) at `out` from any input (not empty), or says CORRUPTION. */
    status (*decompress)(slice in, uint8_t *out, size_t raw_bytes);
} codec_methods;

/* What a library with dictionaries is to codec_dictionary.c. Packers and expanders are its own. */
typedef struct codec_dictionary_methods {
    /* Bytes of the dictionary written to `out`; 0: nothing was learned. */
    size_t (*train)(uint8_t *out, size_t most, const uint8_t *samples, const size_t *sizes,
                    uint32_t count);
    status (*new_packer)(slice bytes, int level, void **out, uint64_t *memory);
    status (*new_expander)(slice bytes, void **out, uint64_t *memory);
    void (*release)(void *packer, void *expander); /* NULL is fine */
    /* As in codec_methods. */
    status (*compress)(const void *packer, slice raw, uint8_t *out, size_t most, size_t *out_bytes);
    status (*decompress)(const void *expander, slice in, uint8_t *out, size_t raw_bytes);
} codec_dictionary_methods;

/* Of the codec this build has under that id; NULL: none. */
FIRN_INTERNAL const codec_methods *codec_methods_of(uint8_t id);

FIRN_INTERNAL const codec_methods *codec_lz4_methods(void);
FIRN_INTERNAL const codec_methods *codec_lz4_builtin_methods(void);
FIRN_INTERNAL const codec_methods *codec_zstd_methods(void);
FIRN_INTERNAL const codec_dictionary_methods *codec_zstd_dictionary_methods(void);
FIRN_INTERNAL const codec_methods *codec_snappy_methods(void);
#endif
