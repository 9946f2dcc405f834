/* Any bytes, twice: as what a codec should expand (the first byte picks the codec, the next two the
 * size it should come to), and as what it should compress and give back. Nothing may be written
 * outside, and our own LZ4 takes only what the library takes, as the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/codec_methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *codec_fuzz_new(size_t bytes) {
    uint8_t *p = calloc(1, bytes ? bytes : 1);
    if (!p)
        abort();
    return p;
}

static void codec_fuzz_drop(uint8_t *p) {
    free(p);
}

/* The last include: it forbids what stands above. */
#include "codec/codec_lz4_builtin.c"

static void codec_fuzz_expand(uint8_t id, slice in, size_t raw_bytes) {
    uint8_t *out = codec_fuzz_new(raw_bytes), *own = codec_fuzz_new(raw_bytes);
    status st = codec_decompress(id, in, out, raw_bytes);
    if (!status_is_ok(st) && !status_is(st, FIRN_CORRUPTION) && !status_is(st, FIRN_NOT_SUPPORTED))
        abort();
    if (id == CODEC_LZ4 && in.size && raw_bytes &&
        status_is_ok(codec_lz4_builtin_methods()->decompress(in, own, raw_bytes)))
        CHECK(status_is_ok(st) && memcmp(out, own, raw_bytes) == 0);
    codec_fuzz_drop(out);
    codec_fuzz_drop(own);
}

static void codec_fuzz_round_trip(const codec_methods *packer, const codec_methods *expander,
                                  slice raw) {
    size_t most = raw.size - (raw.size + 7) / 8, bytes;
    if (!packer || most == 0)
        return;
    uint8_t *packed = codec_fuzz_new(packer->bound ? packer->bound(raw.size) : most);
    uint8_t *back = codec_fuzz_new(raw.size);
    CHECK(status_is_ok(packer->compress(raw, 0, packed, most, &bytes)));
    if (bytes > 0 && bytes <= most) {
        CHECK(status_is_ok(expander->decompress(slice_of(packed, bytes), back, raw.size)));
        CHECK(memcmp(raw.data, back, raw.size) == 0);
    }
    codec_fuzz_drop(packed);
    codec_fuzz_drop(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const codec_methods *own = codec_lz4_builtin_methods();
    if (size < 3)
        return 0;
    uint8_t id = data[0] % 5;
    slice rest = slice_of(data + 3, size - 3);
    codec_fuzz_expand(id, rest, decode_fixed16(data + 1));
    const codec_methods *methods = codec_methods_of(id);
    codec_fuzz_round_trip(methods, methods, rest);
    if (id == CODEC_LZ4) {
        codec_fuzz_round_trip(own, methods, rest);
        codec_fuzz_round_trip(methods, own, rest);
    }
    return 0;
}
