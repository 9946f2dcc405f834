#include "wal/wal_large.h"

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "record/record.h"
#include "util/coding.h"

#include "base/poison.h"

struct wal_large_reader {
    vfs_file *file;
    large_ref ref;
    extent_seed seed;
};

FIRN_INTERNAL status wal_large_open(const firn_vfs *vfs, const char *directory,
                                    const large_ref *ref, wal_large_reader **out) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    uint8_t page[SEGMENT_HEADER_BYTES];
    segment_header header;
    uint64_t file_bytes;
    *out = NULL;
    wal_large_reader *r = memory_new_zeroed(sizeof *r);
    if (!r)
        return error_status(FIRN_NO_MEMORY, "no memory to read a large value");
    file_path(path, directory, FILE_LOG, ref->file);
    st = vfs_open(vfs, path, FIRN_VFS_READ, &r->file);
    if (status_is(st, FIRN_NOT_FOUND))
        st = error_corruption_at(path, ref->offset, "the log segment of a large value is missing");
    if (!status_is_ok(st))
        goto out;
    TRY(vfs_read_exact(r->file, 0, page, sizeof page));
    st = segment_header_decode(page, &header);
    if (!status_is_ok(st) || header.kind != SEGMENT_LOG || header.number != ref->file) {
        st = error_corruption_at(path, 0, "log segment has no valid header");
        goto out;
    }
    TRY(vfs_get_size(r->file, &file_bytes));
    /* Also what keeps a mapping from reaching beyond the file. */
    if (ref->place != LARGE_IN_LOG || ref->bytes == 0 || ref->bytes > VALUE_BYTES_MAX ||
        ref->offset < SEGMENT_HEADER_BYTES || ref->offset > file_bytes ||
        extent_disk_bytes(ref->bytes) > file_bytes - ref->offset) {
        st = error_corruption_at(path, ref->offset, "large value reaches beyond the file");
        goto out;
    }
    r->ref = *ref;
    r->seed = (extent_seed){.epoch = header.epoch, .number = header.number};
    *out = r;
    return STATUS_OK;
out:
    wal_large_close(r);
    return st;
}

FIRN_INTERNAL status wal_large_read_chunk(wal_large_reader *r, uint64_t index, uint8_t *out,
                                          size_t *bytes) {
    status st = STATUS_OK;
    uint64_t done = index * EXTENT_CHUNK_BYTES;
    uint8_t stored[4];
    *bytes = 0;
    CHECK(index < extent_chunk_count(r->ref.bytes));
    uint64_t left = r->ref.bytes - done, offset = r->ref.offset + done;
    size_t part = left < EXTENT_CHUNK_BYTES ? (size_t)left : EXTENT_CHUNK_BYTES;
    TRY(vfs_read_exact(r->file, offset, out, part));
    TRY(vfs_read_exact(r->file, r->ref.offset + r->ref.bytes + 4 * index, stored, sizeof stored));
    if (extent_chunk_crc(&r->seed, offset, slice_of(out, part)) != decode_fixed32(stored)) {
        st = error_corruption_at(r->file->path, offset, "checksum of a large value");
        goto out;
    }
    *bytes = part;
out:
    return st;
}

FIRN_INTERNAL void wal_large_close(wal_large_reader *r) {
    if (!r)
        return;
    (void)vfs_close(r->file); /* nothing was written */
    memory_free(r);
}

/* What keeps a mapped value alive. */
typedef struct wal_large_pin {
    wal_large_reader *reader;
    vfs_mapping mapping;
} wal_large_pin;

static void wal_large_unpin(void *context) {
    wal_large_pin *pin = context;
    vfs_unmap(&pin->mapping);
    wal_large_close(pin->reader);
    memory_free(pin);
}

FIRN_INTERNAL status wal_large_map(const firn_vfs *vfs, const char *directory, const large_ref *ref,
                                   slice *value, void **pin_out, void (**unpin)(void *pin)) {
    status st = STATUS_OK;
    uint64_t bad_offset;
    *value = SLICE_UNSET;
    *pin_out = NULL;
    *unpin = NULL;
    wal_large_pin *pin = memory_new_zeroed(sizeof *pin);
    if (!pin)
        return error_status(FIRN_NO_MEMORY, "no memory to read a large value");
    TRY(wal_large_open(vfs, directory, ref, &pin->reader));
    TRY(vfs_map(pin->reader->file, ref->offset, (size_t)extent_disk_bytes(ref->bytes), false,
                &pin->mapping));
    slice bytes = slice_of(pin->mapping.data, (size_t)ref->bytes);
    bool matches =
        extent_verify(&pin->reader->seed, ref->offset, bytes, bytes.data + bytes.size, &bad_offset);
    TRY(vfs_map_check(&pin->mapping)); /* zeros that stand for a failed page prove nothing */
    if (!matches) {
        st = error_corruption_at(pin->reader->file->path, bad_offset, "checksum of a large value");
        goto out;
    }
    *value = bytes;
    *pin_out = pin;
    *unpin = wal_large_unpin;
    return STATUS_OK;
out:
    wal_large_unpin(pin);
    return st;
}
