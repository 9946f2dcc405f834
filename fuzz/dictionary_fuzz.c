/* Zstd with a dictionary: the first two bytes say how many of the rest, behind the bytes every
 * dictionary begins with, are the dictionary; what follows is a frame. Any may be damaged: what is
 * expanded fills what was asked for, and nothing beyond it. With a dictionary that the library
 * takes, what compresses comes back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec_dictionary.h"
#include "platform/memory.h"
#include "util/coding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DICTIONARY_FUZZ_RAW_MAX = 1 << 16 };

static void dictionary_fuzz_expand(const codec_dictionary *d, slice frame) {
    size_t raw_bytes = frame.size * 7 % DICTIONARY_FUZZ_RAW_MAX;
    uint8_t *out = memory_new(raw_bytes ? raw_bytes : 1);
    if (!out)
        return;
    status st = codec_dictionary_decompress(d, frame, out, raw_bytes);
    CHECK(status_is_ok(st) || status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NO_MEMORY));
    memory_free(out);
}

static void dictionary_fuzz_both_ways(slice bytes, const codec_dictionary *d, slice raw) {
    codec_dictionary *packer = NULL;
    uint8_t *packed = memory_new(raw.size ? raw.size : 1);
    uint8_t *back = memory_new(raw.size ? raw.size : 1);
    size_t packed_bytes = 0;
    if (packed && back && status_is_ok(codec_dictionary_new_packer(bytes, 0, &packer)) &&
        status_is_ok(codec_dictionary_compress(packer, raw, packed, &packed_bytes)) &&
        packed_bytes > 0) {
        CHECK(packed_bytes < raw.size);
        slice frame = slice_of(packed, packed_bytes);
        CHECK(status_is_ok(codec_dictionary_decompress(d, frame, back, raw.size)));
        CHECK(memcmp(back, raw.data, raw.size) == 0);
    }
    codec_dictionary_free(packer);
    memory_free(packed);
    memory_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t magic[4] = {0x37, 0xa4, 0x30, 0xec};
    codec_dictionary *d = NULL;
    if (size < 2 || !codec_dictionary_is_available())
        return 0;
    slice rest = slice_of(data + 2, size - 2);
    size_t bytes = decode_fixed16(data) < rest.size ? decode_fixed16(data) : rest.size;
    uint8_t *dictionary = memory_new(sizeof magic + bytes);
    if (!dictionary)
        return 0;
    memcpy(dictionary, magic, sizeof magic);
    memcpy(dictionary + sizeof magic, rest.data, bytes);
    slice whole = slice_of(dictionary, sizeof magic + bytes);
    slice frame = slice_skip(rest, bytes);
    status st = codec_dictionary_new(whole, &d);
    CHECK(status_is_ok(st) || status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NO_MEMORY));
    if (d) {
        dictionary_fuzz_expand(d, frame);
        dictionary_fuzz_both_ways(whole, d, frame);
    }
    codec_dictionary_free(d);
    memory_free(dictionary);
    return 0;
}
