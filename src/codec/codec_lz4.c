#include <lz4.h>

#include "codec/codec_methods.h"

#include "base/poison.h"

static status codec_lz4_compress(slice raw, MAYBE_UNUSED int level, uint8_t *out, size_t most,
                                 size_t *out_bytes) {
    *out_bytes = 0;
    if (raw.size > LZ4_MAX_INPUT_SIZE)
        return STATUS_OK;
    int bytes = LZ4_compress_default((const char *)raw.data, (char *)out, (int)raw.size, (int)most);
    *out_bytes = bytes > 0 ? (size_t)bytes : 0;
    return STATUS_OK;
}

static status codec_lz4_decompress(slice in, uint8_t *out, size_t raw_bytes) {
    int bytes =
        in.size > INT32_MAX || raw_bytes > INT32_MAX
            ? -1
            : LZ4_decompress_safe((const char *)in.data, (char *)out, (int)in.size, (int)raw_bytes);
    if (bytes < 0 || (size_t)bytes != raw_bytes)
        return status_of(FIRN_CORRUPTION, "LZ4 block");
    return STATUS_OK;
}

static const codec_methods codec_lz4_table = {
    .compress = codec_lz4_compress,
    .decompress = codec_lz4_decompress,
};

FIRN_INTERNAL const codec_methods *codec_lz4_methods(void) {
    return &codec_lz4_table;
}
