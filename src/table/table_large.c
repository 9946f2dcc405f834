/* Large values: extents between the blocks, read in chunks or mapped, never through the cache. */
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/table.h"
#include "table/table_internal.h"
#include "util/coding.h"

#include "base/poison.h"

static status table_large_check(const table *t, const large_ref *ref) {
    uint64_t disk_bytes = 0;
    bool sound = ref->place == LARGE_IN_TABLE && ref->bytes > 0 && ref->bytes <= VALUE_BYTES_MAX;
    if (sound)
        disk_bytes = extent_disk_bytes(ref->bytes);
    if (!sound || ref->offset > t->source.end || t->source.end - ref->offset < disk_bytes)
        return error_corruption_at(t->file->path, ref->offset,
                                   "a large value's reference points outside the file");
    return STATUS_OK;
}

FIRN_INTERNAL status table_large_decode(const table *t, block_place at, slice value,
                                        large_ref *out) {
    if (!large_ref_decode(value, out))
        return error_corruption_at(at.path, at.offset,
                                   "malformed reference to a large value in the block");
    return table_large_check(t, out);
}

static extent_seed table_large_seed(const table *t) {
    extent_seed seed = {.in_table = true};
    memcpy(seed.identity, t->source.identity, sizeof seed.identity);
    return seed;
}

FIRN_INTERNAL status table_large_read_chunk(table *t, const large_ref *ref, uint64_t chunk_index,
                                            uint8_t *out, size_t *bytes) {
    status st = STATUS_OK;
    *bytes = 0;
    TRY(table_large_check(t, ref));
    if (chunk_index >= extent_chunk_count(ref->bytes)) {
        st = error_status(FIRN_INVALID_ARGUMENT, "%s: the large value has no such chunk",
                          t->file->path);
        goto out;
    }
    extent_seed seed = table_large_seed(t);
    uint64_t skip = chunk_index * EXTENT_CHUNK_BYTES;
    uint64_t offset = ref->offset + skip;
    uint64_t left = ref->bytes - skip;
    size_t wanted = left < EXTENT_CHUNK_BYTES ? (size_t)left : EXTENT_CHUNK_BYTES;
    for (int attempt = 0; attempt < 2; attempt++) {
        uint8_t crc[4];
        TRY(vfs_read_exact(t->file, offset, out, wanted));
        TRY(vfs_read_exact(t->file, ref->offset + ref->bytes + 4 * chunk_index, crc, sizeof crc));
        if (extent_chunk_crc(&seed, offset, slice_of(out, wanted)) == decode_fixed32(crc)) {
            *bytes = wanted;
            goto out;
        }
    }
    st = error_corruption_at(t->file->path, offset, "checksum mismatch in a large value");
out:
    return st;
}

/* What keeps a mapped value in place. */
typedef struct table_large_pin {
    table *t;
    vfs_mapping mapping;
} table_large_pin;

static void table_large_unpin(void *context) {
    table_large_pin *pin = context;
    vfs_unmap(&pin->mapping);
    table_unref(pin->t);
    memory_free(pin);
}

FIRN_INTERNAL status table_large_map(table *t, const large_ref *ref, slice *value, void **pin,
                                     void (**unpin)(void *pin)) {
    status st = STATUS_OK;
    table_large_pin *p = NULL;
    uint64_t bad_offset = 0;
    *value = SLICE_UNSET;
    *pin = NULL;
    *unpin = NULL;
    TRY(table_large_check(t, ref));
    p = memory_new_zeroed(sizeof *p);
    if (!p) {
        st = error_status(FIRN_NO_MEMORY, "%s: no memory to map a large value", t->file->path);
        goto out;
    }
    TRY(vfs_map(t->file, ref->offset, extent_disk_bytes(ref->bytes), false, &p->mapping));
    extent_seed seed = table_large_seed(t);
    slice mapped = slice_of(p->mapping.data, ref->bytes);
    bool matches = extent_verify(&seed, ref->offset, mapped, mapped.data + ref->bytes, &bad_offset);
    TRY(vfs_map_check(&p->mapping)); /* zeros that stand for a failed page prove nothing */
    if (!matches) {
        st = error_corruption_at(t->file->path, bad_offset, "checksum mismatch in a large value");
        goto out;
    }
    table_ref(t);
    p->t = t;
    *value = mapped;
    *pin = p;
    *unpin = table_large_unpin;
    return STATUS_OK;
out:
    if (p)
        vfs_unmap(&p->mapping);
    memory_free(p);
    return st;
}
