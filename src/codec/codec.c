#include "codec/codec.h"

#include "platform/error_detail.h"

#include "base/poison.h"

FIRN_INTERNAL const char *codec_name(uint8_t id) {
    switch (id) {
    case CODEC_NONE:
        return "none";
    case CODEC_LZ4:
        return "lz4";
    case CODEC_ZSTD:
        return "zstd";
    case CODEC_SNAPPY:
        return "snappy";
    default:
        return "unknown";
    }
}

FIRN_INTERNAL bool codec_is_available(uint8_t id) {
    return id == CODEC_NONE;
}

static COLD status codec_missing(uint8_t id) {
    return error_status(FIRN_NOT_SUPPORTED, "compression codec %u (%s) is not part of this build",
                        id, codec_name(id));
}

FIRN_INTERNAL size_t codec_bound(MAYBE_UNUSED codec_id id, size_t raw_bytes) {
    return raw_bytes;
}

FIRN_INTERNAL status codec_compress(codec_id id, slice raw, uint8_t *out, size_t *out_bytes) {
    *out_bytes = 0;
    if (!codec_is_available((uint8_t)id))
        return codec_missing((uint8_t)id);
    /* Storing bytes as they are never makes them fewer. */
    (void)raw;
    (void)out;
    return STATUS_OK;
}

FIRN_INTERNAL status codec_decompress(uint8_t id, slice in, uint8_t *out, size_t raw_bytes) {
    if (!codec_is_available(id))
        return codec_missing(id);
    if (in.size != raw_bytes)
        return status_of(FIRN_CORRUPTION, "size of an uncompressed block");
    slice_copy_to(in, out);
    return STATUS_OK;
}
