#include "codec/codec_dictionary.h"

#include "codec/codec.h"
#include "codec/codec_methods.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/coding.h"

#include "base/poison.h"

/* On disk, Zstd's: the first bytes of every dictionary. */
static const uint32_t codec_dictionary_magic = 0xec30a437u;

struct codec_dictionary {
    void *packer, *expander; /* the library's; one of them is NULL */
    uint64_t bytes;
};

#ifdef FIRN_HAVE_ZSTD
static const codec_dictionary_methods *codec_dictionary_library(void) {
    return codec_zstd_dictionary_methods();
}
#else
static const codec_dictionary_methods *codec_dictionary_library(void) {
    return NULL;
}
#endif

FIRN_INTERNAL bool codec_dictionary_is_available(void) {
    return codec_dictionary_library() != NULL;
}

static COLD status codec_dictionary_missing(void) {
    return error_status(FIRN_NOT_SUPPORTED,
                        "Zstd dictionaries: the codec %u (%s) is not part of this build",
                        (unsigned)CODEC_ZSTD, codec_name(CODEC_ZSTD));
}

FIRN_INTERNAL status codec_dictionary_train(const uint8_t *samples, const size_t *sizes,
                                            uint32_t count, size_t most, buf *out) {
    const codec_dictionary_methods *library = codec_dictionary_library();
    buf_clear(out);
    if (!library)
        return codec_dictionary_missing();
    uint8_t *room = buf_reserve(out, most);
    if (room)
        out->size = library->train(room, most, samples, sizes, count);
    return buf_status(out);
}

FIRN_INTERNAL bool codec_dictionary_begins(slice bytes) {
    return bytes.size >= 8 && decode_fixed32(bytes.data) == codec_dictionary_magic;
}

static status codec_dictionary_make(slice bytes, int level, bool packs, codec_dictionary **out) {
    const codec_dictionary_methods *library = codec_dictionary_library();
    *out = NULL;
    if (!library)
        return codec_dictionary_missing();
    if (!codec_dictionary_begins(bytes))
        return status_of(FIRN_CORRUPTION, "Zstd dictionary");
    codec_dictionary *d = memory_new_zeroed(sizeof *d);
    if (!d)
        return error_status(FIRN_NO_MEMORY, "no memory for a Zstd dictionary");
    status st = packs ? library->new_packer(bytes, level, &d->packer, &d->bytes)
                      : library->new_expander(bytes, &d->expander, &d->bytes);
    if (!status_is_ok(st)) {
        memory_free(d);
        return st;
    }
    *out = d;
    return STATUS_OK;
}

FIRN_INTERNAL status codec_dictionary_new(slice bytes, codec_dictionary **out) {
    return codec_dictionary_make(bytes, 0, false, out);
}

FIRN_INTERNAL status codec_dictionary_new_packer(slice bytes, int level, codec_dictionary **out) {
    return codec_dictionary_make(bytes, level, true, out);
}

FIRN_INTERNAL void codec_dictionary_free(codec_dictionary *d) {
    if (!d)
        return;
    codec_dictionary_library()->release(d->packer, d->expander);
    memory_free(d);
}

FIRN_INTERNAL uint64_t codec_dictionary_memory_bytes(const codec_dictionary *d) {
    return d ? sizeof *d + d->bytes : 0;
}

FIRN_INTERNAL status codec_dictionary_compress(const codec_dictionary *d, slice raw, uint8_t *out,
                                               size_t *out_bytes) {
    DCHECK(d->packer);
    *out_bytes = 0;
    if (raw.size < 2)
        return STATUS_OK;
    size_t most = raw.size - (raw.size + 7) / 8; /* as codec_compress_at has it */
    status st = codec_dictionary_library()->compress(d->packer, raw, out, most, out_bytes);
    if (!status_is_ok(st) || *out_bytes > most)
        *out_bytes = 0;
    return st;
}

FIRN_INTERNAL status codec_dictionary_decompress(const codec_dictionary *d, slice in, uint8_t *out,
                                                 size_t raw_bytes) {
    DCHECK(d->expander);
    if (in.size == 0 || raw_bytes == 0)
        return status_of(FIRN_CORRUPTION, "an empty compressed block");
    return codec_dictionary_library()->decompress(d->expander, in, out, raw_bytes);
}
