#include "format/large_ref.h"

#include "format/key.h"
#include "util/coding.h"
#include "util/crc32c.h"

#include "base/poison.h"

/* On disk: never renumber. */
enum { LARGE_REF_HAS_EXPIRY = 1 };

FIRN_INTERNAL uint8_t *large_ref_encode(const large_ref *ref, uint8_t *p) {
    DCHECK(ref->place == LARGE_IN_TABLE || ref->place == LARGE_IN_LOG);
    DCHECK(ref->place == LARGE_IN_LOG || ref->file == 0);
    p[0] = ref->place;
    p[1] = ref->has_expiry ? LARGE_REF_HAS_EXPIRY : 0;
    encode_fixed64(p + 2, ref->file);
    encode_fixed64(p + 10, ref->offset);
    encode_fixed64(p + 18, ref->bytes);
    if (!ref->has_expiry)
        return p + LARGE_REF_BYTES;
    encode_fixed64(p + LARGE_REF_BYTES, ref->expiry_ms);
    return p + LARGE_REF_BYTES_MAX;
}

FIRN_INTERNAL bool large_ref_decode(slice in, large_ref *out) {
    *out = (large_ref){0};
    uint8_t place, flags;
    large_ref ref = {0};
    if (!get_u8(&in, &place) || !get_u8(&in, &flags) || !get_fixed64(&in, &ref.file) ||
        !get_fixed64(&in, &ref.offset) || !get_fixed64(&in, &ref.bytes))
        return false;
    if (place > LARGE_IN_LOG || (flags & ~LARGE_REF_HAS_EXPIRY) != 0)
        return false;
    ref.place = place;
    ref.has_expiry = (flags & LARGE_REF_HAS_EXPIRY) != 0;
    if (ref.has_expiry && !get_fixed64(&in, &ref.expiry_ms))
        return false;
    /* Readers add the extent's size to its offset and allocate by `bytes`. */
    if (in.size != 0 || (place == LARGE_IN_TABLE && ref.file != 0) || ref.bytes > VALUE_BYTES_MAX ||
        ref.offset > UINT64_MAX - extent_disk_bytes(ref.bytes))
        return false;
    *out = ref;
    return true;
}

FIRN_INTERNAL uint32_t extent_chunk_crc(const extent_seed *seed, uint64_t offset, slice chunk) {
    DCHECK(chunk.size <= EXTENT_CHUNK_BYTES);
    uint32_t crc = seed->in_table ? crc32c_seed_table(seed->identity, offset)
                                  : crc32c_seed_segment(seed->epoch, seed->number, offset);
    return crc32c_extend(crc, chunk.data, chunk.size);
}

FIRN_INTERNAL bool extent_verify(const extent_seed *seed, uint64_t offset, slice value,
                                 const uint8_t *crcs, uint64_t *bad_offset) {
    *bad_offset = 0;
    for (; value.size > 0; crcs += 4) {
        size_t size = value.size < EXTENT_CHUNK_BYTES ? value.size : EXTENT_CHUNK_BYTES;
        if (extent_chunk_crc(seed, offset, slice_of(value.data, size)) != decode_fixed32(crcs)) {
            *bad_offset = offset;
            return false;
        }
        value = slice_skip(value, size);
        offset += size;
    }
    return true;
}
