/* Filters: the input taken as a filter gives the same answers in both variants; taken as hashes, a
 * filter built from them denies none. */
#include <stddef.h>
#include <stdint.h>

#include "format/filter.h"
#include "platform/memory.h"
#include "util/coding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_foreign(slice contents) {
    filter_view view;
    bool valid = filter_view_init(&view, contents);
    CHECK(valid == (view.lines != NULL));
    uint64_t hash = contents.size;
    for (int i = 0; i < 64; i++) {
        filter_prefetch(&view, hash);
        bool answer = filter_may_contain(&view, hash);
        CHECK(answer == filter_may_contain_portable(&view, hash));
        CHECK(valid || answer);
        hash = hash * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;
    }
}

/* The first byte gives the bits per key, the rest is hashes. */
static void check_built(slice in) {
    uint8_t bits_per_key;
    if (!get_u8(&in, &bits_per_key))
        return;
    uint64_t keys = in.size / 8;
    size_t bytes = filter_bytes(keys, bits_per_key);
    uint64_t *hashes = memory_new(keys * sizeof *hashes);
    uint8_t *filter = memory_new(bytes);
    if (hashes && filter) {
        for (uint64_t i = 0; i < keys; i++)
            hashes[i] = decode_fixed64(in.data + 8 * i);
        filter_build(hashes, keys, bits_per_key, filter);
        filter_view view;
        CHECK(filter_view_init(&view, slice_of(filter, bytes)));
        for (uint64_t i = 0; i < keys; i++) {
            CHECK(filter_may_contain(&view, hashes[i]));
            CHECK(filter_may_contain_portable(&view, hashes[i]));
        }
    }
    memory_free(hashes);
    memory_free(filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_foreign(slice_of(data, size));
    check_built(slice_of(data, size));
    return 0;
}
