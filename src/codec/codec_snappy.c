#include <snappy-c.h>

#include "codec/codec_methods.h"

#include "base/poison.h"

static size_t codec_snappy_bound(size_t raw_bytes) {
    return snappy_max_compressed_length(raw_bytes);
}

/* The library cannot be told how much is too much. It takes its working memory (at most some
 * 200 KiB) from C++'s heap and ends the process when there is none. */
static status codec_snappy_compress(slice raw, MAYBE_UNUSED int level, uint8_t *out,
                                    MAYBE_UNUSED size_t most, size_t *out_bytes) {
    *out_bytes = 0;
    if (raw.size > UINT32_MAX) /* the format's sizes */
        return STATUS_OK;
    size_t bytes = snappy_max_compressed_length(raw.size);
    if (snappy_compress((const char *)raw.data, raw.size, (char *)out, &bytes) == SNAPPY_OK)
        *out_bytes = bytes;
    return STATUS_OK;
}

static status codec_snappy_decompress(slice in, uint8_t *out, size_t raw_bytes) {
    const char *data = (const char *)in.data;
    size_t bytes;
    /* The length comes first: the library writes as many bytes as the input promises. */
    if (snappy_uncompressed_length(data, in.size, &bytes) != SNAPPY_OK || bytes != raw_bytes ||
        snappy_uncompress(data, in.size, (char *)out, &bytes) != SNAPPY_OK || bytes != raw_bytes)
        return status_of(FIRN_CORRUPTION, "Snappy block");
    return STATUS_OK;
}

static const codec_methods codec_snappy_table = {
    .bound = codec_snappy_bound,
    .compress = codec_snappy_compress,
    .decompress = codec_snappy_decompress,
};

FIRN_INTERNAL const codec_methods *codec_snappy_methods(void) {
    return &codec_snappy_table;
}
