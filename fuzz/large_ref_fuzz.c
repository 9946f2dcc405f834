/* References to large values: whatever decodes, encodes to the same bytes. The rest of the input is
 * an extent: its checksums hold, and not with any bit flipped. */
#include <stddef.h>
#include <stdint.h>

#include "format/large_ref.h"
#include "platform/memory.h"
#include "util/coding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reference(slice in) {
    large_ref ref;
    uint8_t encoded[LARGE_REF_BYTES_MAX];
    if (!large_ref_decode(in, &ref))
        return;
    uint8_t *end = large_ref_encode(&ref, encoded);
    CHECK(slice_equal(slice_of(encoded, (size_t)(end - encoded)), in));
    CHECK(ref.offset + extent_disk_bytes(ref.bytes) >= ref.offset);
}

static void check_extent(const extent_seed *seed, uint64_t offset, slice bytes, uint64_t flip) {
    if (bytes.size == 0 || bytes.size > EXTENT_CHUNK_BYTES)
        return;
    uint8_t *value = memory_copy(bytes.data, bytes.size), crc[4];
    uint64_t bad;
    if (!value)
        return;
    slice whole = slice_of(value, bytes.size);
    encode_fixed32(crc, extent_chunk_crc(seed, offset, whole));
    CHECK(extent_verify(seed, offset, whole, crc, &bad));
    value[flip / 8 % bytes.size] ^= (uint8_t)(1u << flip % 8);
    CHECK(!extent_verify(seed, offset, whole, crc, &bad));
    CHECK(bad == offset);
    memory_free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    slice in = slice_of(data, size), head;
    check_reference(in);
    size_t cut = size < LARGE_REF_BYTES_MAX ? size : LARGE_REF_BYTES_MAX;
    for (size_t i = 0; i <= cut; i++)
        check_reference(slice_of(data, i));

    uint8_t in_table;
    uint64_t offset, flip;
    extent_seed seed = {0};
    if (!get_u8(&in, &in_table) || !get_fixed64(&in, &offset) || !get_fixed64(&in, &flip) ||
        !get_bytes(&in, 16, &head))
        return 0;
    seed.in_table = in_table & 1;
    slice_copy_to(head, seed.identity);
    seed.epoch = decode_fixed64(head.data);
    seed.number = decode_fixed64(head.data + 8);
    check_extent(&seed, offset, in, flip);
    return 0;
}
