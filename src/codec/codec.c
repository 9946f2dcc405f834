#include "codec/codec.h"

#include "codec/codec_methods.h"
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
    case CODEC_ZSTD_DICTIONARY:
        return "zstd-dictionary";
    default:
        return "unknown";
    }
}

/* What this build has; the amalgamation has no libraries. */
typedef const codec_methods *(*codec_getter)(void);
static const codec_getter codec_getters[] = {
#ifdef FIRN_HAVE_LZ4
    [CODEC_LZ4] = codec_lz4_methods,
#else
    [CODEC_LZ4] = codec_lz4_builtin_methods,
#endif
#ifdef FIRN_HAVE_ZSTD
    [CODEC_ZSTD] = codec_zstd_methods,
#endif
#ifdef FIRN_HAVE_SNAPPY
    [CODEC_SNAPPY] = codec_snappy_methods,
#endif
};

FIRN_INTERNAL const codec_methods *codec_methods_of(uint8_t id) {
    if (id >= sizeof codec_getters / sizeof *codec_getters || !codec_getters[id])
        return NULL;
    return codec_getters[id]();
}

FIRN_INTERNAL bool codec_is_available(uint8_t id) {
    return id == CODEC_NONE || codec_methods_of(id) != NULL;
}

static COLD status codec_missing(uint8_t id) {
    return error_status(FIRN_NOT_SUPPORTED, "compression codec %u (%s) is not part of this build",
                        id, codec_name(id));
}

FIRN_INTERNAL size_t codec_bound(codec_id id, size_t raw_bytes) {
    const codec_methods *methods = codec_methods_of((uint8_t)id);
    return methods && methods->bound ? methods->bound(raw_bytes) : raw_bytes;
}

FIRN_INTERNAL status codec_compress(codec_id id, slice raw, uint8_t *out, size_t *out_bytes) {
    return codec_compress_at(id, 0, raw, out, out_bytes);
}

FIRN_INTERNAL status codec_compress_at(codec_id id, int level, slice raw, uint8_t *out,
                                       size_t *out_bytes) {
    const codec_methods *methods = codec_methods_of((uint8_t)id);
    *out_bytes = 0;
    if (id == CODEC_NONE) /* storing bytes as they are never makes them fewer */
        return STATUS_OK;
    if (!methods)
        return codec_missing((uint8_t)id);
    if (raw.size < 2)
        return STATUS_OK;
    size_t most = raw.size - (raw.size + 7) / 8;
    status st = methods->compress(raw, level, out, most, out_bytes);
    if (!status_is_ok(st) || *out_bytes > most)
        *out_bytes = 0;
    return st;
}

FIRN_INTERNAL status codec_decompress(uint8_t id, slice in, uint8_t *out, size_t raw_bytes) {
    if (id == CODEC_NONE) {
        if (in.size != raw_bytes)
            return status_of(FIRN_CORRUPTION, "size of an uncompressed block");
        slice_copy_to(in, out);
        return STATUS_OK;
    }
    const codec_methods *methods = codec_methods_of(id);
    if (!methods)
        return codec_missing(id);
    /* Nothing is never stored compressed. */
    if (in.size == 0 || raw_bytes == 0)
        return status_of(FIRN_CORRUPTION, "an empty compressed block");
    return methods->decompress(in, out, raw_bytes);
}
