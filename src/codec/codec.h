/* codec/codec.h - compression of blocks behind one small interface.
 *
 * Format:  ids are stored in block trailers: never renumber. LZ4 is its block format, Zstd whole
 *          frames, Snappy its raw format. A build without a codec's library answers NOT_SUPPORTED
 *          and names it.
 * Threads: all functions may be called at once. */
#ifndef FIRN_CODEC_CODEC_H
#define FIRN_CODEC_CODEC_H

#include "base/slice.h"
#include "base/status.h"

typedef enum codec_id {
    CODEC_NONE = 0,
    CODEC_LZ4 = 1,
    CODEC_ZSTD = 2,
    CODEC_SNAPPY = 3,
    CODEC_ZSTD_DICTIONARY = 4, /* Zstd with a dictionary: codec/codec_dictionary.h, not here */
    CODEC_LAST = CODEC_ZSTD_DICTIONARY
} codec_id;

/* "none", "lz4", ...; "unknown" for any other number. */
FIRN_INTERNAL const char *codec_name(uint8_t id);
FIRN_INTERNAL bool codec_is_available(uint8_t id);
/* The room that codec_compress needs. */
FIRN_INTERNAL size_t codec_bound(codec_id id, size_t raw_bytes);
/* Compresses into `out` (codec_bound bytes of room); *out_bytes is 0 when it does not pay: when it
 * saves less than an eighth, reading the bytes as they are is worth more. */
FIRN_INTERNAL NODISCARD status codec_compress(codec_id id, slice raw, uint8_t *out,
                                              size_t *out_bytes);
/* The same with a level of the codec's own; 0 is its default. Only Zstd has levels, 1 to 19. */
FIRN_INTERNAL NODISCARD status codec_compress_at(codec_id id, int level, slice raw, uint8_t *out,
                                                 size_t *out_bytes);
#define CODEC_LEVEL_MAX 19
/* Fills exactly raw_bytes at `out`; CORRUPTION when the input is not that. Writes no detail but for
 * NOT_SUPPORTED: the caller knows file and offset. On failure the bytes at `out` mean nothing. */
FIRN_INTERNAL NODISCARD status codec_decompress(uint8_t id, slice in, uint8_t *out,
                                                size_t raw_bytes);
#endif
