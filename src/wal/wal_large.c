#include "wal/wal_large.h"

#include "base/atomic.h"
#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "record/record.h"
#include "util/coding.h"

#include "base/poison.h"

/* A segment with large values, open, and what their checksums begin with. */
typedef struct wal_large_file {
    vfs_file *file;
    extent_seed seed;
} wal_large_file;

struct wal_large_files {
    atomic_u32 references;
    const firn_vfs *vfs;
    const char *directory;
    uint32_t count, count_max;
    wal_large_file *list; /* ascending by number */
};

struct wal_large_reader {
    wal_large_file segment;
    wal_large_files *held; /* what the segment belongs to, referenced; NULL: it is owned */
    large_ref ref;
};

/* --- segments --- */

/* The segment that `ref` names. */
static status wal_large_open_file(const firn_vfs *vfs, const char *directory, const large_ref *ref,
                                  wal_large_file *out) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    uint8_t page[SEGMENT_HEADER_BYTES];
    segment_header header;
    vfs_file *file = NULL;
    *out = (wal_large_file){0};
    file_path(path, directory, FILE_LOG, ref->file);
    st = vfs_open(vfs, path, FIRN_VFS_READ, &file);
    if (status_is(st, FIRN_NOT_FOUND))
        st = error_corruption_at(path, ref->offset, "the log segment of a large value is missing");
    if (!status_is_ok(st))
        goto out;
    TRY(vfs_read_exact(file, 0, page, sizeof page));
    st = segment_header_decode(page, &header);
    if (!status_is_ok(st) || header.kind != SEGMENT_LOG || header.number != ref->file) {
        st = error_corruption_at(path, 0, "log segment has no valid header");
        goto out;
    }
    *out = (wal_large_file){file, {.epoch = header.epoch, .number = header.number}};
    return STATUS_OK;
out:
    (void)vfs_close(file); /* nothing was written */
    return st;
}

FIRN_INTERNAL status wal_large_files_new(const firn_vfs *vfs, const char *directory,
                                         uint32_t count_max, wal_large_files **out) {
    wal_large_files *files = memory_new_zeroed(sizeof *files);
    *out = files;
    if (!files)
        return error_status(FIRN_NO_MEMORY, "no memory to hold log segments open");
    atomic_u32_init(&files->references, 1);
    files->vfs = vfs;
    files->directory = directory;
    files->count_max = count_max;
    return STATUS_OK;
}

FIRN_INTERNAL void wal_large_files_ref(wal_large_files *files) {
    /* relaxed: the caller holds a reference. */
    atomic_u32_add(&files->references, 1, memory_order_relaxed);
}

FIRN_INTERNAL void wal_large_files_unref(void *held) {
    wal_large_files *files = held;
    /* acq_rel: pairs with the other droppers' release; the last one closes. */
    if (!files || atomic_u32_sub(&files->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < files->count; i++)
        (void)vfs_close(files->list[i].file); /* nothing was written */
    memory_free(files->list);
    memory_free(files);
}

FIRN_INTERNAL status wal_large_files_hold(wal_large_files *files, uint64_t number) {
    status st = STATUS_OK;
    if (files->count == files->count_max ||
        (files->count > 0 && files->list[files->count - 1].seed.number == number))
        return STATUS_OK;
    CHECK(files->count == 0 || files->list[files->count - 1].seed.number < number);
    wal_large_file *list = memory_resize(files->list, (files->count + 1) * sizeof *list);
    if (!list)
        return error_status(FIRN_NO_MEMORY, "no memory to hold log segments open");
    files->list = list;
    TRY(wal_large_open_file(files->vfs, files->directory, &(large_ref){.file = number},
                            &list[files->count]));
    files->count++;
out:
    return st;
}

FIRN_INTERNAL bool wal_large_files_any(const wal_large_files *files) {
    return files->count > 0;
}

/* --- chunk by chunk --- */

/* Takes the segment, also where it fails, if it is `held` by nobody. */
static status wal_large_reader_new(wal_large_file segment, wal_large_files *held,
                                   const large_ref *ref, wal_large_reader **out) {
    status st = STATUS_OK;
    uint64_t file_bytes;
    *out = NULL;
    wal_large_reader *r = memory_new_zeroed(sizeof *r);
    if (!r) {
        if (!held)
            (void)vfs_close(segment.file); /* nothing was written */
        return error_status(FIRN_NO_MEMORY, "no memory to read a large value");
    }
    *r = (wal_large_reader){.segment = segment, .held = held, .ref = *ref};
    if (held)
        wal_large_files_ref(held);
    TRY(vfs_get_size(segment.file, &file_bytes));
    /* Also what keeps a mapping from reaching beyond the file. */
    if (ref->place != LARGE_IN_LOG || ref->bytes == 0 || ref->bytes > VALUE_BYTES_MAX ||
        ref->offset < SEGMENT_HEADER_BYTES || ref->offset > file_bytes ||
        extent_disk_bytes(ref->bytes) > file_bytes - ref->offset) {
        st = error_corruption_at(segment.file->path, ref->offset,
                                 "large value reaches beyond the file");
        goto out;
    }
    *out = r;
    return STATUS_OK;
out:
    wal_large_close(r);
    return st;
}

FIRN_INTERNAL status wal_large_open(const firn_vfs *vfs, const char *directory,
                                    const large_ref *ref, wal_large_reader **out) {
    wal_large_file segment;
    *out = NULL;
    status st = wal_large_open_file(vfs, directory, ref, &segment);
    return status_is_ok(st) ? wal_large_reader_new(segment, NULL, ref, out) : st;
}

static status wal_large_open_held(wal_large_files *files, const large_ref *ref,
                                  wal_large_reader **out) {
    for (uint32_t i = 0; i < files->count; i++) {
        if (files->list[i].seed.number == ref->file)
            return wal_large_reader_new(files->list[i], files, ref, out);
    }
    return wal_large_open(files->vfs, files->directory, ref, out);
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
    vfs_file *file = r->segment.file;
    TRY(vfs_read_exact(file, offset, out, part));
    TRY(vfs_read_exact(file, r->ref.offset + r->ref.bytes + 4 * index, stored, sizeof stored));
    if (extent_chunk_crc(&r->segment.seed, offset, slice_of(out, part)) != decode_fixed32(stored)) {
        st = error_corruption_at(file->path, offset, "checksum of a large value");
        goto out;
    }
    *bytes = part;
out:
    return st;
}

FIRN_INTERNAL void wal_large_close(wal_large_reader *r) {
    if (!r)
        return;
    if (!r->held)
        (void)vfs_close(r->segment.file); /* nothing was written */
    wal_large_files_unref(r->held);
    memory_free(r);
}

/* --- as a whole --- */

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

/* Takes the reader, which may be NULL after the failure `st`. */
static status wal_large_map_by(status st, wal_large_reader *reader, slice *value, void **pin_out,
                               void (**unpin)(void *pin)) {
    uint64_t bad_offset;
    *value = SLICE_UNSET;
    *pin_out = NULL;
    *unpin = NULL;
    if (!status_is_ok(st))
        return st;
    wal_large_pin *pin = memory_new_zeroed(sizeof *pin);
    if (!pin) {
        wal_large_close(reader);
        return error_status(FIRN_NO_MEMORY, "no memory to read a large value");
    }
    pin->reader = reader;
    const large_ref *ref = &reader->ref;
    vfs_file *file = reader->segment.file;
    TRY(vfs_map(file, ref->offset, (size_t)extent_disk_bytes(ref->bytes), false, &pin->mapping));
    slice bytes = slice_of(pin->mapping.data, (size_t)ref->bytes);
    bool matches = extent_verify(&reader->segment.seed, ref->offset, bytes, bytes.data + bytes.size,
                                 &bad_offset);
    TRY(vfs_map_check(&pin->mapping)); /* zeros that stand for a failed page prove nothing */
    if (!matches) {
        st = error_corruption_at(file->path, bad_offset, "checksum of a large value");
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

FIRN_INTERNAL status wal_large_map(const firn_vfs *vfs, const char *directory, const large_ref *ref,
                                   slice *value, void **pin, void (**unpin)(void *pin)) {
    wal_large_reader *reader;
    status st = wal_large_open(vfs, directory, ref, &reader);
    return wal_large_map_by(st, reader, value, pin, unpin);
}

FIRN_INTERNAL status wal_large_files_map(wal_large_files *files, const large_ref *ref, slice *value,
                                         void **pin, void (**unpin)(void *pin)) {
    wal_large_reader *reader;
    status st = wal_large_open_held(files, ref, &reader);
    return wal_large_map_by(st, reader, value, pin, unpin);
}
